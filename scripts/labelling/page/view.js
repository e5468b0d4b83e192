// Which frames of the episode the timeline shows, and the strip that shows where they are in the whole.

import { $, clamp, svg } from "./dom.js";
import { path } from "./paths.js";
import { length, redraw, state } from "./state.js";

const FEWEST = 10; // frames that are shown

export const shown = () => state.view ?? { from: 0, to: length() - 1 };
const span = () => shown().to - shown().from;

function setView(from, n) {
  const whole = length() - 1, frames = Math.round(n);
  const start = clamp(Math.round(from), 0, Math.max(whole - frames, 0));
  const view = frames >= whole ? null : { from: start, to: start + frames };
  if (JSON.stringify(view) === JSON.stringify(state.view)) return;
  state.view = view;
  redraw("view");
}

// Show `by` times as many frames, with the one at `around` where it is.
export function zoom(by, around = state.frame) {
  const n = Math.max(span() * by, Math.min(FEWEST, length() - 1));
  setView(around - ((around - shown().from) / Math.max(span(), 1)) * n, n);
}
export const pan = (part) => setView(shown().from + part * span(), span());
export const showAll = () => setView(0, length() - 1);
export const showAround = (frame) => setView(frame - span() / 2, span());

// The frame on the screen is always in view.
export function follow() {
  const { from, to } = shown();
  if (state.frame < from || state.frame > to) showAround(state.frame);
}

const width = () => $("overview").getBoundingClientRect().width;
export const wholeFrameAt = (event) =>
  (event.offsetX / Math.max(width(), 1)) * (length() - 1);

export function drawOverview() {
  $("zoom-fit").disabled = $("zoom-out").disabled = !state.view;
  const { height } = $("overview").getBoundingClientRect();
  const perFrame = width() / Math.max(length() - 1, 1), x = (frame) => frame * perFrame;
  const parts = [];
  const whole = { from: 0, to: length() - 1 }, y = (reward) => height - 2 - reward * (height - 4);
  if (state.curve) parts.push(svg("path", { class: "label", d: path(state.curve, whole, x, y) }));
  const { from, to } = shown();
  parts.push(svg("rect", { class: "window", x: x(from), width: Math.max(x(to) - x(from), 3), y: 0.5, height: height - 1 }));
  $("overview").replaceChildren(...parts);
}
