// Curves of state and action below the timeline: the gripper, others on request.

import { $, svg } from "./dom.js";
import { path } from "./paths.js";
import { ask } from "./server.js";
import { redraw, state } from "./state.js";
import { xScale } from "./timeline.js";
import { shown } from "./view.js";

const STEPS = 1000; // the server sends integers from 0 to this
const EDGE = 5; // pixels above and below
const CHOICE = "curve below the timeline"; // its name in this browser's storage

export async function askForSignals(episode) {
  if (!state.data.signals.names.length || state.signals[episode]) return;
  const answer = await ask(`/api/signals/${episode}`).catch(() => null);
  if (answer?.status !== 200) return;
  state.signals = { [episode]: answer.signals }; // of one episode alone: they are long
  if (episode === state.current) redraw("view");
}

// {name of a choice: the curves that it shows}
function choices() {
  const { names, gripper } = state.data.signals, found = {};
  const feature = (name) => name.split(": ")[0], dim = (name) => name.slice(name.indexOf(": ") + 2);
  const alike = (i) => names.flatMap((name, j) => (dim(name) === dim(names[i]) ? [j] : []));
  if (gripper !== null) found.gripper = [gripper, ...alike(gripper).filter((i) => i !== gripper)];
  for (const key of new Set(names.map(feature))) found[`all of ${key}`] = names.flatMap((name, i) => (feature(name) === key ? [i] : []));
  names.forEach((name, i) => (found[name] = [i]));
  return found;
}

const chosen = () => choices()[$("signal").value] ?? [];
const colour = (n) => `n${n % 6}`;

export function makeSignalChoice() {
  const names = Object.keys(choices()), select = $("signal");
  $("signal-row").hidden = !names.length;
  for (const name of names) select.add(new Option(name, name));
  try {
    const kept = localStorage.getItem(CHOICE);
    if (names.includes(kept)) select.value = kept;
  } catch { /* this browser keeps nothing */ }
  select.addEventListener("change", () => {
    try {
      localStorage.setItem(CHOICE, select.value);
    } catch { /* this browser keeps nothing */ }
    redraw("view");
    select.blur();
  });
}

export function drawSignals() {
  const { height } = $("signals").getBoundingClientRect();
  const y = (value) => height - EDGE - (value / STEPS) * (height - 2 * EDGE);
  const curves = state.signals[state.current], x = xScale(), parts = [];
  for (const [n, i] of chosen().entries()) {
    if (!curves?.[i]) continue;
    const curve = svg("path", { class: `signal ${colour(n)}`, d: path(curves[i].values, shown(), x, y) });
    curve.append(svg("title", {}, state.data.signals.names[i]));
    parts.push(curve);
  }
  parts.push(svg("line", { class: "playhead", y1: 0, y2: height }));
  $("signals").replaceChildren(...parts);
  drawSignalsHere();
}

// What they are at the current frame, each in the colour of its curve.
export function drawSignalsHere() {
  const curves = state.signals[state.current], { names } = state.data.signals;
  const parts = !curves ? [] : chosen().map((i, n) => {
    const { low, high, values } = curves[i], value = values[state.frame] ?? null;
    const part = document.createElement("span");
    part.className = colour(n);
    part.textContent = `${names[i]} ${value === null ? "–" : (low + (value / STEPS) * (high - low)).toPrecision(3)}`;
    return part;
  });
  $("signals-here").replaceChildren(...parts);
}
