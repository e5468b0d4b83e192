// The keys, and the dialog that lists them.

import { nextOnScreen } from "./cameras.js";
import { toggleInterpolation } from "./curve.js";
import { goToDifference } from "./differences.js";
import { $, focusOn } from "./dom.js";
import {
  copyToNext, deletePoint, fail, movePoint, nextOutcome, nextPoint, raisePoint, redo, setPoint, toggleExclude,
  toggleStep, undo,
} from "./editing.js";
import { openNeighbour, openUnlabelled } from "./episodes.js";
import { toggleLater } from "./later.js";
import { changeSpeed, goTo, play } from "./player.js";
import { accept } from "./proposals.js";
import { length, state } from "./state.js";
import { showAll, zoom } from "./view.js";

const goBy = (event, frames) => goTo(state.frame + (event.shiftKey ? 10 : 1) * frames);
const goBySeconds = (event, by) => goBy(event, Math.round(by * state.data.fps));

// [keys as they are shown, what they do, {key: action}]
const KEYS = [
  ["← →", "previous, next frame (Shift: ten frames)", { ArrowLeft: (e) => goBy(e, -1), ArrowRight: (e) => goBy(e, 1) }],
  ["J L", "one second back, on (Shift: ten seconds)", { j: (e) => goBySeconds(e, -1), l: (e) => goBySeconds(e, 1) }],
  ["T", "go to a frame, or to a time such as 12.5s or 1:05", { t: () => focusOn("go") }],
  ["D", "the frame where prediction and label differ most", { d: goToDifference }],
  ["E W Q", "zoom in, out; the whole episode", { e: () => zoom(1 / 2), w: () => zoom(2), q: showAll }],
  ["B", "one camera on the whole screen, the next, all (Esc)", { b: nextOnScreen }],
  ["Home End", "first, last frame", { Home: () => goTo(0), End: () => goTo(length() - 1) }],
  ["Space", "play, pause", { " ": play }],
  ["- +", "slower, faster", { "-": () => changeSpeed(-1), "+": () => changeSpeed(1), "=": () => changeSpeed(1) }],
  ["1 2 3 4", "0.25, 0.5, 0.75, 1.0 at this frame", {
    1: () => setPoint(0.25), 2: () => setPoint(0.5), 3: () => setPoint(0.75), 4: () => setPoint(1) }],
  ["0", "0 at this frame", { 0: () => setPoint(0) }],
  ["V", "any value at this frame: type it, Enter", { v: () => focusOn("value") }],
  ["[ ]", "previous, next point, also of those proposed", { "[": () => nextPoint(-1), "]": () => nextPoint(1) }],
  [", .", "move the point to the previous, next frame", { ",": () => movePoint(-1), ".": () => movePoint(1) }],
  ["↑ ↓", "its value up, down by 0.05", { ArrowUp: () => raisePoint(0.05), ArrowDown: () => raisePoint(-0.05) }],
  ["S", "make it a step; again: a ramp", { s: toggleStep }],
  ["Del", "delete it", { Delete: deletePoint, Backspace: deletePoint }],
  ["F", "fails at this frame; again: does not fail", { f: fail }],
  ["O", "outcome: none, success, failure", { o: nextOutcome }],
  ["X", "exclude the episode; again: include it", { x: toggleExclude }],
  ["A", "accept what the policy or the gripper proposes", { a: accept }],
  ["C", "copy the points to the next episode, go there", { c: copyToNext }],
  ["M", "mark for later; again: no longer", { m: () => toggleLater([state.current]) }],
  ["Z Y", "undo, redo", { z: (e) => (e.shiftKey ? redo() : undo()), y: redo }],
  ["N P", "next, previous episode of the list", { n: () => openNeighbour(1), p: () => openNeighbour(-1) }],
  ["U", "next episode without a label of a person", { u: openUnlabelled }],
  ["G", "go to an episode, or filter by task", { g: () => focusOn("find") }],
  ["Tab", "into the list: ↑ ↓ move, Enter opens, Space selects (Shift: the range)", {}],
  ["I", "linear or pchip between points", { i: toggleInterpolation }],
  ["?", "these keys (Esc closes them)", { "?": () => $("help").showModal() }],
];
const ACTIONS = Object.assign({}, ...KEYS.map(([, , actions]) => actions));

export function listenToKeys() {
  document.addEventListener("keydown", onKey);
  for (const [keys, what] of KEYS) {
    const row = document.createElement("p");
    row.append(Object.assign(document.createElement("kbd"), { textContent: keys }), what);
    $("keys").append(row);
  }
}

function onKey(event) {
  if ($("help").open || event.isComposing) return;
  const field = event.target.closest("input:not([type=checkbox]), select");
  if (field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const command = event.ctrlKey || event.metaKey;
  if (event.altKey || (command && key !== "z" && key !== "y")) return;
  // space and Enter press what has the focus
  if (event.target.closest("button, input") && (key === " " || key === "Enter")) return;
  const action = ACTIONS[key];
  if (!action) return;
  event.preventDefault();
  action(event);
}
