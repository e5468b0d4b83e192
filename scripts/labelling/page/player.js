// Moving through the frames of the current episode.

import { views } from "./cameras.js";
import { $, clamp } from "./dom.js";
import { length, redraw, state } from "./state.js";

export function goTo(frame) {
  pause();
  state.frame = clamp(Math.round(frame), 0, length() - 1);
  for (const view of views) view.show(state.frame);
  redraw("frame");
}

// What a person types: a frame, or a time as 12.5s or 1:05. Null if it is neither, or not in the episode.
export function frameOf(text) {
  const time = /^(?:(\d+):)?(\d+(?:\.\d*)?)\s*(s?)$/.exec(text.trim());
  if (!time) return null;
  const [, minutes, number, unit] = time;
  if (minutes === undefined && !unit) return /^\d+$/.test(number) && Number(number) < length() ? Number(number) : null;
  const frame = Math.round((Number(minutes ?? 0) * 60 + Number(number)) * state.data.fps);
  return frame < length() ? frame : null;
}

export function play() {
  if (state.playing) return pause();
  if (state.frame >= length() - 1) goTo(0);
  const rate = Number($("speed").value);
  state.playing = { rate, from: state.frame, at: performance.now() };
  for (const view of views) view.play(rate);
  $("play").textContent = "❚❚";
  requestAnimationFrame(tick);
}

// A playing video keeps the time; without one, the clock does.
function tick() {
  const { playing } = state;
  if (!playing) return;
  const master = views.find((view) => view.keepsTime);
  const clock = playing.from + Math.floor(((performance.now() - playing.at) / 1000) * playing.rate * state.data.fps);
  const now = clamp(master ? master.now : clock, 0, length() - 1);
  if (now !== state.frame) {
    state.frame = now;
    for (const view of views) view.follow(now);
    redraw("frame");
  }
  if (state.frame >= length() - 1) return goTo(length() - 1); // the next episode begins in the same file
  requestAnimationFrame(tick);
}

export function pause() {
  if (!state.playing) return;
  state.playing = null;
  for (const view of views) view.pause();
  for (const view of views) view.show(state.frame);
  $("play").textContent = "▶";
}

export function changeSpeed(by) {
  const speeds = $("speed");
  speeds.selectedIndex = clamp(speeds.selectedIndex + by, 0, speeds.length - 1);
  if (state.playing) {
    pause();
    play();
  }
}
