// The address of a frame, #episode=3&frame=120: it follows what is shown, and opens what it names.

import { clamp } from "./dom.js";
import { openEpisode } from "./episodes.js";
import { state } from "./state.js";

const WRITE_AFTER = 250; // milliseconds: browsers slow down a page that writes its address more often

let timer = 0;

const here = () => `#episode=${state.current}&frame=${state.frame}`;

// The episode and frame that the address names; null without.
function readLink() {
  const named = new URLSearchParams(location.hash.slice(1));
  const [episode, frame] = ["episode", "frame"].map((key) => Number(named.get(key) ?? NaN));
  if (!(episode in state.data.lengths)) return null;
  return { episode, frame: Number.isInteger(frame) ? clamp(frame, 0, state.data.lengths[episode] - 1) : 0 };
}

export function writeLink() {
  clearTimeout(timer);
  timer = setTimeout(() => history.replaceState(null, "", here()), WRITE_AFTER);
}

export function openLink() {
  const named = readLink();
  openEpisode(named?.episode ?? state.order[0], named?.frame);
}

export const listenToLink = () =>
  addEventListener("hashchange", () => {
    if (location.hash !== here() && readLink()) openLink();
  });
