// What is proposed for an episode, by the policy that played it or from its gripper, and what the prediction says to it.

import { askForPrediction } from "./curve.js";
import { say, show } from "./dom.js";
import { editMany } from "./editing.js";
import { goTo } from "./player.js";
import { copyOf, isOpen, labelOf, redraw, state, suggestionOf } from "./state.js";

const APART = 0.5; // a prediction that far from a proposed reward contradicts it
const NOTHING = 0.2; // and so does one that never rises above this, of a success

const proposalOf = (episode) => (isOpen(labelOf(episode)) ? labelOf(episode) : suggestionOf(episode));
// Whether not even the policy knows how the episode ended.
const isUnknown = (episode) => {
  const { proposed, failed_at, outcome } = labelOf(episode);
  return proposed && failed_at === null && outcome === null;
};

// Why the prediction contradicts what is proposed, as {text, frame}. "later": it is not there yet. Null: it does not.
export function objection(episode) {
  const proposal = proposalOf(episode), prediction = state.predictions[episode];
  if (!proposal || !state.data.policy || isUnknown(episode)) return null;
  if (!prediction || prediction.state === "waiting") return "later";
  if (prediction.state !== "ready") return null;
  const { reward } = prediction, last = reward.length - 1;
  const fails = proposal.failed_at !== null || proposal.outcome === "failure";
  const highest = reward.reduce((a, b) => Math.max(a, b), 0);
  if (!fails && highest < NOTHING) return { text: `the prediction never rises above ${show(highest)}`, frame: last };
  for (const point of proposal.keypoints) {
    const predicted = reward[point.frame];
    if (Math.abs(predicted - point.reward) > APART)
      return { text: `the proposal says ${show(point.reward)} at frame ${point.frame}, the prediction ${show(predicted)}`, frame: point.frame };
  }
  const end = fails ? 0 : 1;
  if (Math.abs(reward[last] - end) > APART)
    return { text: `the proposal is a ${fails ? "failure" : "success"}, the prediction ends at ${show(reward[last])}`, frame: last };
  return null;
}

const take = (label, episode) => {
  if (isOpen(label)) label.proposed = { ...label.proposed, accepted: true };
  else label.keypoints = copyOf(suggestionOf(episode).keypoints);
};

// Accept what is proposed for this episode. Where the prediction contradicts it, the first time only goes there.
export function accept() {
  const episode = state.current, proposal = proposalOf(episode);
  if (!proposal)
    return say(state.data.suggestions[episode] ? "this episode has points already" : "nothing is proposed for this episode");
  if (isOpen(proposal) && isUnknown(episode))
    return say("nobody knows how this episode ended: F where it failed, O if it succeeded, X to leave it out", true);
  const why = objection(episode);
  if (why && state.warned !== episode) {
    state.warned = episode;
    if (why === "later") return say("the prediction is not there yet; A once more accepts without it", true);
    goTo(why.frame);
    redraw("label");
    return say(`look first: ${why.text}. A once more accepts`, true);
  }
  editMany([episode], take);
  say("accepted; N goes to the next one");
}

const NAMED = 10; // episodes in a message
const several = (episodes) =>
  episodes.slice(0, NAMED).join(", ") + (episodes.length > NAMED ? ` and ${episodes.length - NAMED} more` : "");

// Accept what is proposed for many episodes, except where nobody knows the end or the prediction contradicts.
export async function acceptMany(episodes) {
  const proposed = episodes.filter(proposalOf);
  await Promise.all(proposed.map(askForPrediction));
  const left = { open: [], contradicted: [], waiting: [] };
  const good = proposed.filter((episode) => {
    const why = isUnknown(episode) ? "open" : objection(episode);
    if (why) left[why === "open" ? "open" : why === "later" ? "waiting" : "contradicted"].push(episode);
    return !why;
  });
  const n = editMany(good, take);
  const parts = [`accepted ${n} of ${episodes.length}`];
  if (episodes.length > proposed.length) parts.push(`nothing is proposed for ${episodes.length - proposed.length}`);
  if (left.open.length) parts.push(`nobody knows how ${several(left.open)} ended`);
  if (left.contradicted.length) parts.push(`the prediction contradicts ${several(left.contradicted)}`);
  if (left.waiting.length) parts.push(`${left.waiting.length} still lack a prediction: try again later`);
  say(parts.join("; "), parts.length > 1);
}
