// The curves of the current episode: the reward of its label, and what the policy predicts. Both come from the server.

import { refreshDifferences } from "./differences.js";
import { say } from "./dom.js";
import { ask } from "./server.js";
import { currentLabel, neighbour, redraw, state } from "./state.js";

const ASK_AGAIN_AFTER = 800; // milliseconds

export const curveKey = (episode, label) => JSON.stringify([episode, label, state.interpolation]);
export const curveIsOld = () => state.curveOf !== curveKey(state.current, currentLabel());

// The curve of a label. The answer also says whether the label is valid (200) or not (422).
export async function askForCurve(episode, label) {
  const of = curveKey(episode, label);
  const answer = await ask("/api/curve", "POST", { episode, label, interpolation: state.interpolation });
  if (answer.status === 200 && of === curveKey(state.current, currentLabel())) {
    state.curve = answer.reward;
    state.curveOf = of;
    redraw("curve");
  }
  return answer;
}

export function toggleInterpolation() {
  state.interpolation = state.interpolation === "linear" ? "pchip" : "linear";
  redraw("interpolation");
  askForCurve(state.current, currentLabel()).catch(() => say("server gone", true));
  refreshDifferences();
}

let asking = false, latest = null;
// The same while something is dragged: one request at a time, and after it only the latest.
export async function askForLatestCurve(episode, label) {
  latest = { episode, label };
  if (asking) return;
  asking = true;
  try {
    while (latest) {
      const now = latest;
      latest = null;
      await askForCurve(now.episode, now.label);
    }
  } catch {
    latest = null; // the server is gone, and the page says so
  } finally {
    asking = false;
  }
}

// Asks until the prediction is there, then for the next episode's, so that it is ready when that is opened.
export async function askForPrediction(episode) {
  const { data, predictions } = state;
  if (!data.policy || predictions[episode]?.state === "ready" || predictions[episode]?.state === "failed") return;
  let answer;
  try {
    answer = await ask(`/api/prediction/${episode}`);
  } catch {
    return;
  }
  predictions[episode] = answer;
  if (answer.state === "ready") refreshDifferences();
  if (episode !== state.current) return;
  redraw(answer.state === "waiting" ? "interpolation" : "label");
  if (answer.state === "waiting")
    return setTimeout(() => episode === state.current && askForPrediction(episode), ASK_AGAIN_AFTER);
  const next = neighbour(1);
  if (next !== null) askForPrediction(next);
}
