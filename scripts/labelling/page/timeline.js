// The timeline: the curves over the frames of the current episode, its points, and the playhead.

import { curveIsOld } from "./curve.js";
import { $, clamp, show, svg } from "./dom.js";
import { path } from "./paths.js";
import { currentLabel, length, seconds, state, suggestion } from "./state.js";
import { shown } from "./view.js";

const EDGE = { left: 34, right: 14, top: 14, bottom: 22 }; // pixels around the plot
const TICKS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600]; // seconds between two labels

// ---------------------------------------------------------------------------------------------- frames and pixels

const box = () => $("timeline").getBoundingClientRect();
const plotWidth = () => box().width - EDGE.left - EDGE.right;
const plotHeight = () => box().height - EDGE.top - EDGE.bottom;
const span = () => Math.max(shown().to - shown().from, 1);
// Measured once for many frames.
export function xScale() {
  const { from } = shown(), perFrame = plotWidth() / span();
  return (frame) => EDGE.left + (frame - from) * perFrame;
}
function yScale() {
  const height = plotHeight();
  return (reward) => EDGE.top + (1 - reward) * height;
}
export const xOf = (frame) => xScale()(frame);
const yOf = (reward) => yScale()(reward);
const isShown = (frame) => frame >= shown().from && frame <= shown().to;
export const frameAt = (event) =>
  clamp(Math.round(shown().from + ((event.clientX - box().left - EDGE.left) / plotWidth()) * span()), 0, length() - 1);
export const rewardAt = (event) => clamp(1 - (event.clientY - box().top - EDGE.top) / plotHeight(), 0, 1);

// ---------------------------------------------------------------------------------------------- drawing

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
  const duration = span() / fps, { from, to } = shown();
  const tick = TICKS.find((t) => duration / t <= width / 70) ?? TICKS.at(-1);
  const first = Math.ceil(from / fps / tick - 1e-9);
  for (let i = first; i * tick * fps <= to + 1e-6; i++)
    parts.push(svg("text", { x: xOf(i * tick * fps), y: height - 6, "text-anchor": "middle" }, `${show(i * tick)}${i > first ? "" : " s"}`));
  return parts;
}

function curves() {
  const { width, height } = box(), label = currentLabel(), parts = [];
  const x = xScale(), y = yScale();
  const line = (values) => path(values, shown(), x, y);
  if (label.failed_at !== null) {
    const left = clamp(x(label.failed_at), EDGE.left, width - EDGE.right);
    parts.push(svg("rect", { class: "failure", x: left, y: EDGE.top, width: width - EDGE.right - left, height: plotHeight() }));
  }
  const prediction = state.predictions[state.current];
  if (prediction?.state === "ready") parts.push(svg("path", { class: "predicted", d: line(prediction.reward) }));
  if (state.curve) {
    const kind = label.exclude ? " excluded" : label.keypoints.length ? "" : " default";
    parts.push(svg("path", { class: `label${kind}${curveIsOld() ? " old" : ""}`, d: line(state.curve) }));
  }
  parts.push(svg("line", { class: "playhead", y1: EDGE.top - 6, y2: height - EDGE.bottom + 4 }));
  return parts;
}

function failure() {
  const { failed_at } = currentLabel();
  if (failed_at === null || !isShown(failed_at)) return [];
  const x = xOf(failed_at);
  const grip = svg("path", { class: "failed-grip", "data-failed": "", d: `M${x - 7} ${EDGE.top - 9}h14v8l-7 7l-7 -7z` });
  grip.append(svg("title", {}, `fails at frame ${failed_at}: drag it`));
  return [svg("line", { class: "failed", x1: x, x2: x, y1: EDGE.top, y2: box().height - EDGE.bottom }), grip];
}

function points() {
  const inView = (list) => list.filter((point) => isShown(point.frame));
  const ghosts = inView(suggestion()?.keypoints ?? []).map((point) =>
    svg("circle", { class: "ghost", cx: xOf(point.frame), cy: yOf(point.reward), r: 7 }),
  );
  const shapes = inView(currentLabel().keypoints).map((point) => {
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
  const x = xOf(state.frame);
  for (const playhead of document.querySelectorAll("#graphs .playhead"))
    for (const end of ["x1", "x2"]) playhead.setAttribute(end, x);
  // the keys change the point on this frame
  for (const point of document.querySelectorAll("#timeline [data-point]"))
    point.classList.toggle("selected", Number(point.dataset.point) === state.frame);
  describe();
}

// For those who hear the page instead of seeing it.
function describe() {
  const { curve, frame } = state, timeline = $("timeline");
  timeline.setAttribute("aria-valuemax", length() - 1);
  timeline.setAttribute("aria-valuenow", frame);
  const reward = (curve?.[frame] ?? null) === null ? "" : `, reward ${show(curve[frame])}`;
  timeline.setAttribute("aria-valuetext", `frame ${frame} of ${length() - 1}, ${seconds(frame)}${reward}`);
}
