// The timeline: the curves over the frames of the current episode, its points, and the playhead.

import { curveIsOld } from "./curve.js";
import { $, clamp, show, svg } from "./dom.js";
import { currentLabel, length, state, suggestion } from "./state.js";

const EDGE = { left: 34, right: 14, top: 14, bottom: 22 }; // pixels around the plot
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600]; // seconds between two labels

// ---------------------------------------------------------------------------------------------- frames and pixels

const box = () => $("timeline").getBoundingClientRect();
const plotWidth = () => box().width - EDGE.left - EDGE.right;
const plotHeight = () => box().height - EDGE.top - EDGE.bottom;
export const xOf = (frame) => EDGE.left + (frame / Math.max(length() - 1, 1)) * plotWidth();
const yOf = (reward) => EDGE.top + (1 - reward) * plotHeight();
export const frameAt = (event) =>
  clamp(Math.round(((event.clientX - box().left - EDGE.left) / plotWidth()) * (length() - 1)), 0, length() - 1);
export const rewardAt = (event) => clamp(1 - (event.clientY - box().top - EDGE.top) / plotHeight(), 0, 1);

// ---------------------------------------------------------------------------------------------- drawing

// A path through the values; null leaves a gap, and a value between two gaps is a dot.
function line(values) {
  const isKnown = (f) => (values[f] ?? null) !== null;
  return values
    .map((r, f) => (isKnown(f) ? `${isKnown(f - 1) ? "L" : "M"}${xOf(f).toFixed(1)} ${yOf(r).toFixed(1)}${isKnown(f - 1) || isKnown(f + 1) ? "" : "h0.01"}` : ""))
    .join("");
}

export function drawTimeline() {
  $("timeline").replaceChildren(...axes(), ...curves(), ...failure(), ...points());
  drawPlayhead();
}

function axes() {
  const { width, height } = box(), { fps } = state.data, parts = [];
  for (const r of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: yOf(r), y2: yOf(r) }));
    if (r * 2 === Math.round(r * 2)) parts.push(svg("text", { x: EDGE.left - 6, y: yOf(r) + 4, "text-anchor": "end" }, r));
  }
  const duration = (length() - 1) / fps;
  const tick = TICKS.find((t) => duration / t <= width / 70) ?? TICKS.at(-1);
  for (let i = 0; i * tick <= duration + 1e-9; i++)
    parts.push(svg("text", { x: xOf(i * tick * fps), y: height - 6, "text-anchor": "middle" }, `${show(i * tick)}${i ? "" : " s"}`));
  return parts;
}

function curves() {
  const { width, height } = box(), label = currentLabel(), parts = [];
  if (label.failed_at !== null) {
    const x = xOf(label.failed_at);
    parts.push(svg("rect", { class: "failure", x, y: EDGE.top, width: Math.max(width - EDGE.right - x, 0), height: plotHeight() }));
  }
  const prediction = state.predictions[state.current];
  if (prediction?.state === "ready") parts.push(svg("path", { class: "predicted", d: line(prediction.reward) }));
  if (state.curve) {
    const kind = label.exclude ? " excluded" : label.keypoints.length ? "" : " default";
    parts.push(svg("path", { class: `label${kind}${curveIsOld() ? " old" : ""}`, d: line(state.curve) }));
  }
  parts.push(svg("line", { class: "playhead", y1: EDGE.top - 6, y2: height - EDGE.bottom + 4, x1: 0, x2: 0 }));
  return parts;
}

function failure() {
  const { failed_at } = currentLabel();
  if (failed_at === null) return [];
  const x = xOf(failed_at);
  const grip = svg("path", { class: "failed-grip", "data-failed": "", d: `M${x - 7} ${EDGE.top - 9}h14v8l-7 7l-7 -7z` });
  grip.append(svg("title", {}, `fails at frame ${failed_at}: drag it`));
  return [svg("line", { class: "failed", x1: x, x2: x, y1: EDGE.top, y2: box().height - EDGE.bottom }), grip];
}

function points() {
  const ghosts = (suggestion()?.keypoints ?? []).map((point) =>
    svg("circle", { class: "ghost", cx: xOf(point.frame), cy: yOf(point.reward), r: 7 }),
  );
  const shapes = currentLabel().keypoints.map((point) => {
    const [x, y] = [xOf(point.frame), yOf(point.reward)];
    const shape = point.step
      ? svg("rect", { x: x - 6.5, y: y - 6.5, width: 13, height: 13 })
      : svg("circle", { cx: x, cy: y, r: 7.5 });
    shape.setAttribute("class", "point");
    shape.dataset.point = point.frame;
    shape.append(svg("title", {}, `frame ${point.frame}: ${show(point.reward)}${point.step ? ", a step" : ""}`));
    return shape;
  });
  return [...ghosts, ...shapes];
}

export function drawPlayhead() {
  const playhead = document.querySelector("#timeline .playhead");
  if (playhead) for (const end of ["x1", "x2"]) playhead.setAttribute(end, xOf(state.frame));
  // the keys change the point on this frame
  for (const point of document.querySelectorAll("#timeline [data-point]"))
    point.classList.toggle("selected", Number(point.dataset.point) === state.frame);
}
