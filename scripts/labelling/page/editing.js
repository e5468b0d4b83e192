// What a person does to a label. Each edit is one step of undo; the server says whether the result is valid.

import { askForCurve } from "./curve.js";
import { clamp, say } from "./dom.js";
import { openEpisode } from "./episodes.js";
import { goTo } from "./player.js";
import { saveSoon } from "./saving.js";
import { Gone } from "./server.js";
import { copyOf, currentLabel, hasTask, labelOf, length, neighbour, redraw, same, state, suggestion } from "./state.js";

export const edit = (episode, change) => editMany([episode], change);

// Change labels in one step of undo. Returns how many have changed.
export function editMany(episodes, change) {
  const step = [];
  for (const episode of episodes) {
    const before = labelOf(episode), after = copyOf(before);
    change(after, episode);
    after.keypoints.sort((a, b) => a.frame - b.frame);
    if (same(before, after)) continue;
    if (after.proposed) after.proposed = { ...after.proposed, accepted: true };
    step.push({ episode, before, after });
  }
  if (!step.length) return 0;
  state.done.push(step);
  state.undone = [];
  put(step, "after");
  return step.length;
}

// Show labels and save them. A single one that the server refuses is taken back at once; several together come from the
// server, or change nothing that could be refused.
async function put(step, side) {
  for (const { episode, [side]: label } of step) state.changed[episode] = label;
  redraw("label");
  const { episode, before, [side]: label } = step.find((change) => change.episode === state.current) ?? step[0];
  let answer;
  try {
    answer = await askForCurve(episode, label);
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
  }
  if (answer?.status === 422 && step.length === 1 && state.changed[episode] === label) {
    if (state.done.at(-1) === step) {
      state.done.pop();
      state.changed[episode] = before;
    }
    say(answer.error, true);
    redraw("label");
    return askForCurve(episode, labelOf(episode)).catch(() => {});
  }
  saveSoon();
}

function moveStep(from, to, which) {
  const step = from.pop();
  if (!step) return say(`nothing to ${which}`);
  to.push(step);
  if (!step.some(({ episode }) => episode === state.current)) openEpisode(step[0].episode);
  put(step, which === "undo" ? "before" : "after");
}
export const undo = () => moveStep(state.done, state.undone, "undo");
export const redo = () => moveStep(state.undone, state.done, "redo");

// ---------------------------------------------------------------------------------------------- points

export function setPoint(reward, at = state.frame) {
  if (!(reward >= 0 && reward <= 1)) return say("a reward is between 0 and 1", true);
  edit(state.current, (label) => {
    const point = label.keypoints.find((p) => p.frame === at);
    if (point) point.reward = reward;
    else label.keypoints.push({ frame: at, reward, step: false });
  });
}

const pointHere = (label) => label.keypoints.find((p) => p.frame === state.frame);
const sayNoPoint = () => say("there is no point on this frame: [ and ] go to the points");

export function deletePoint() {
  const label = currentLabel(), point = pointHere(label);
  if (point) return removePoint(point.frame);
  if (label.failed_at === state.frame) return fail();
  sayNoPoint();
}
export function removePoint(at) {
  edit(state.current, (label) => {
    label.keypoints = label.keypoints.filter((p) => p.frame !== at);
  });
}

function changePoint(change) {
  if (!pointHere(currentLabel())) return sayNoPoint();
  edit(state.current, (label) => change(pointHere(label), label));
}
export const toggleStep = () => changePoint((p) => (p.step = !p.step));
export const raisePoint = (by) => changePoint((p) => (p.reward = clamp(Math.round((p.reward + by) * 100) / 100, 0, 1)));
export function movePoint(by) {
  let to = null;
  changePoint((p, label) => {
    to = freeFrame(label, p, p.frame + by, Math.sign(by));
    if (to !== null) p.frame = to;
  });
  if (to !== null) goTo(to);
}

// The first frame without another point, from `to` in the direction `by`; null if there is none.
export function freeFrame(label, point, to, by) {
  const taken = new Set(label.keypoints.filter((p) => p !== point).map((p) => p.frame));
  while (to >= 0 && to < length() && taken.has(to)) to += by;
  return to >= 0 && to < length() ? to : null;
}

export function nextPoint(by) {
  const points = currentLabel().keypoints;
  const frames = (points.length ? points : (suggestion()?.keypoints ?? [])).map((p) => p.frame);
  const to = by > 0 ? frames.find((f) => f > state.frame) : frames.findLast((f) => f < state.frame);
  if (to === undefined) return say("no further point");
  goTo(to);
}

// ---------------------------------------------------------------------------------------------- the whole episode

export function fail() {
  edit(state.current, (label) => {
    label.failed_at = label.failed_at === state.frame ? null : state.frame;
    agree(label, label.failed_at === null ? "failure" : "success");
  });
}
export function didNotFail() {
  edit(state.current, (label) => {
    label.failed_at = null;
    agree(label, "failure");
  });
}
// Take back an outcome that contradicts what has just been said.
function agree(label, contradicted) {
  if (label.outcome === contradicted) label.outcome = null;
}

export function setOutcome(outcome) {
  edit(state.current, (label) => {
    label.outcome = outcome;
    if (outcome === "success") label.failed_at = null;
  });
}
export const toggleExclude = () => edit(state.current, (label) => (label.exclude = !label.exclude));
export function nextOutcome() {
  const order = [null, "success", "failure"];
  setOutcome(order[(order.indexOf(currentLabel().outcome) + 1) % order.length]);
}

// Put the points of this episode on the next one, each at the same fraction of its length.
export function copyToNext() {
  const { keypoints } = currentLabel(), { lengths } = state.data;
  const next = neighbour(1, hasTask);
  if (!keypoints.length) return say("this episode has no points to copy");
  if (next === null) return say("this is the last episode");
  const scale = (lengths[next] - 1) / Math.max(length() - 1, 1);
  const had = labelOf(next).keypoints.length;
  const points = [];
  for (const point of keypoints) {
    const at = Math.max(Math.round(point.frame * scale), points.length ? points.at(-1).frame + 1 : 0);
    points.push({ ...point, frame: at });
  }
  openEpisode(next);
  edit(next, (label) => (label.keypoints = points));
  say(had ? `replaced ${had} point${had > 1 ? "s" : ""} of episode ${next}; Z brings them back` : `copied to episode ${next}`);
}
