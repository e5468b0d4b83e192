// Episodes that a person wants to come back to. Training has no use for that, so it stays in this browser.

import { say } from "./dom.js";
import { redraw, state } from "./state.js";

const place = () => `later: ${state.data.session}`;

export function loadLater() {
  try {
    state.later = new Set(JSON.parse(localStorage.getItem(place()) ?? "[]").filter((e) => e in state.data.lengths));
  } catch {
    state.later = new Set(); // the browser keeps nothing for this page, or something else
  }
}

// Mark episodes; if all of them are marked, take the marks away.
export function toggleLater(episodes) {
  const isMarked = episodes.every((episode) => state.later.has(episode));
  for (const episode of episodes) isMarked ? state.later.delete(episode) : state.later.add(episode);
  try {
    localStorage.setItem(place(), JSON.stringify([...state.later]));
  } catch {
    say("this browser keeps no marks: they are gone when the page is closed", true);
  }
  redraw("label");
}
