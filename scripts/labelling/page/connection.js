// Whether the server is there: asked every second, so that a person does not label for long without one.

import { $, say } from "./dom.js";
import { ask } from "./server.js";
import { state } from "./state.js";

const EVERY = 1000, LIMIT = 4000; // milliseconds

let timer = 0, asking = false, wasGone = false;

// Calls `back` when the server is there again.
export function watchServer(back) {
  const check = async () => {
    clearTimeout(timer);
    if (asking) return;
    asking = true;
    const answer = await ask("/api/alive", "GET", undefined, LIMIT).catch(() => null);
    asking = false;
    tellServer(answer);
    if (answer && wasGone) {
      say("the server is back");
      back();
    }
    wasGone = !answer;
    timer = setTimeout(check, EVERY);
  };
  document.addEventListener("visibilitychange", () => document.hidden || check()); // a hidden page is woken rarely
  check();
}

function tellServer(answer) {
  let text = "";
  if (!answer) text = "The server is gone. Start it again: your changes are kept here.";
  else if (answer.session !== state.data.session) text = `This address now serves ${answer.session}: reload the page.`;
  if ($("connection").textContent !== text) $("connection").textContent = text;
  $("connection").hidden = !text;
}
