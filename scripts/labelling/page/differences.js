// How far prediction and label are apart: of every episode for the list, and the frame where it is most in this one.

import { $, say, show } from "./dom.js";
import { listEpisodes } from "./episodes.js";
import { goTo } from "./player.js";
import { ask } from "./server.js";
import { redraw, state } from "./state.js";

const ASK_AGAIN_AFTER = 1500; // milliseconds

let timer = 0, ranks = {}; // of the episodes in the list, so that a new label does not move an episode away

export async function refreshDifferences() {
  const { data, interpolation } = state;
  if (!data.policy) return;
  clearTimeout(timer);
  const isSorting = state.sort === "difference";
  const answer = await ask(`/api/differences?interpolation=${interpolation}${isSorting ? "&all=1" : ""}`).catch(() => null);
  if (answer?.status !== 200) return;
  state.differences = answer.differences;
  const isComplete = answer.done >= data.lengths.length;
  $("predicted-of").textContent = isSorting && !isComplete ? `${answer.done} of ${data.lengths.length} predicted` : "";
  if (isSorting) sortByDifference();
  redraw("list");
  if (isSorting && !isComplete) timer = setTimeout(refreshDifferences, ASK_AGAIN_AFTER);
}

function sortByDifference() {
  for (const [episode, { mean }] of Object.entries(state.differences)) ranks[episode] ??= mean;
  const rank = (episode) => ranks[episode] ?? -1;
  listEpisodes((a, b) => rank(b) - rank(a) || a - b);
}

export function startSorting() {
  ranks = {};
  refreshDifferences();
}

export function goToDifference() {
  const predicted = state.predictions[state.current]?.reward, { curve } = state;
  if (!predicted || !curve)
    return say(state.data.policy ? "the prediction is not there yet" : "there is no prediction: make label … POLICY=…");
  let at = null;
  const apart = (frame) => Math.abs(curve[frame] - predicted[frame]);
  for (let frame = 0; frame < predicted.length; frame++)
    if ((curve[frame] ?? null) !== null && (at === null || apart(frame) > apart(at))) at = frame;
  if (at === null) return say("the label says nothing about any frame");
  goTo(at);
  say(`largest difference: label ${show(curve[at])}, predicted ${show(predicted[at])}`);
}
