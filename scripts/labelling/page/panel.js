// What is written around the timeline: heading, buttons, proposal, legend, and position.

import { $, show } from "./dom.js";
import { objection } from "./proposals.js";
import { currentLabel, hasTask, isOpen, length, neighbour, seconds, state, staysBelow, suggestion } from "./state.js";

const HELD_OUT = { true: "held-out", false: "trained on this episode", null: "may be trained on this episode" };

export function drawHeading() {
  const { current, data, done, undone } = state, label = currentLabel();
  $("episode").textContent = `Episode ${current}`;
  $("task").textContent = data.tasks[current];
  $("task").title = data.tasks[current];
  $("fail").setAttribute("aria-pressed", label.failed_at !== null);
  $("outcome").value = label.outcome ?? "";
  $("exclude").setAttribute("aria-pressed", label.exclude);
  $("later").setAttribute("aria-pressed", state.later.has(current));
  $("largest").hidden = !data.policy;
  $("suggest").disabled = !suggestion() && !isOpen(label);
  $("suggest").hidden = !Object.keys(data.suggestions).length && !label.proposed;
  $("copy").disabled = !label.keypoints.length || neighbour(1, hasTask) === null;
  $("undo").disabled = !done.length;
  $("redo").disabled = !undone.length;
}

// What a policy proposed for an episode that it played, why, and what speaks against it. Of the points from the gripper,
// which the timeline shows, only the latter.
export function drawProposal() {
  const { proposed } = currentLabel(), why = objection(state.current);
  const contradiction = why?.text && `But look first: ${why.text}.`;
  $("proposal").hidden = !proposed && !contradiction;
  if ($("proposal").hidden) return;
  $("proposal").dataset.open = isOpen(currentLabel()) || Boolean(contradiction);
  $("proposal").textContent = (proposed ? played(proposed, contradiction) : ["The gripper proposes points.", contradiction, "[ and ] visit them, A accepts them."])
    .filter(Boolean).join(" ");
}

function played({ stopped_by, reason, threshold, checkpoint, doubt, accepted }, contradiction) {
  const because = reason ? `: ${reason}` : "";
  const ended = {
    reward: `the reward stayed at ${threshold} or above, so it ended as done`,
    failure: `it ended as failed${because}`,
  }[stopped_by] ?? `time or the operator ended it${reason ? `; the alarm had said${because}` : ""}`;
  const against = {
    reward: doubt >= 0.5 && `But an alarm was raised on the way${because}.`,
    failure: doubt >= 0.5 && `But the reward had been at ${doubt.toFixed(2)}.`,
  }[stopped_by];
  const todo = accepted
    ? "A person has looked at it."
    : stopped_by
      ? "A accepts; any change makes the label yours."
      : "How did it end? F where it failed, O if it succeeded, X to leave it out.";
  return [`Played by ${checkpoint ?? "a policy"}: ${ended}.`, against, contradiction, todo];
}

export function drawPosition() {
  const { current, curve, frame, predictions } = state;
  $("where").textContent = `frame ${frame} of ${length() - 1} · ${seconds(frame)}`;
  const values = [];
  if (curve && !currentLabel().exclude) values.push(`label ${curve[frame]?.toFixed(2)}`);
  const predicted = predictions[current]?.reward;
  if (predicted) values.push(`predicted ${predicted[frame]?.toFixed(2)}`);
  $("values").textContent = values.join(" · ");
  for (const caption of document.querySelectorAll("#cameras figcaption"))
    caption.dataset.position = [`frame ${frame}`, seconds(frame), ...values].join(" · "); // on the whole screen
}

export function drawLegend() {
  const { current, data, interpolation, predictions } = state;
  const label = currentLabel(), prediction = predictions[current];
  const parts = [];
  const add = (name, text) => {
    const part = document.createElement("span");
    part.className = name;
    part.append(document.createElement("i"), text);
    parts.push(part);
  };
  if (label.exclude) add("excluded", "excluded: no reward loss on this episode");
  else if (label.outcome === "failure" && label.failed_at === null && !label.keypoints.length)
    add("label", "a failure: only the last frame is used in training, as 0 (F says where it failed)");
  else if (staysBelow(label) !== null)
    add("label", `open: the reward stays at ${show(staysBelow(label))} to the end (4 where it is done, F where it fails)`);
  else add("label", label.keypoints.length ? "label, as used in training" : "linear progress, used in training while there are no points");
  if (data.policy && prediction) {
    const text = { waiting: waitingText(prediction), ready: HELD_OUT[prediction.held_out] }[prediction.state] ?? prediction.error;
    add("predicted", `predicted by ${data.policy}: ${text}`);
  }
  $("legend").replaceChildren(...parts);
  $("interpolation").textContent = interpolation;
  drawFile();
}

const waitingText = ({ done }) => (done ? `being computed, ${Math.floor((100 * done) / length())} %` : "waits to be computed");

function drawFile() {
  const { path, why, flag } = state.data.place;
  const flags = [flag, state.interpolation === "pchip" && "--dataset.reward_interpolation=pchip"].filter(Boolean);
  const code = (text) => Object.assign(document.createElement("code"), { textContent: text });
  const parts = ["Saves to ", code(path), ` (${why}).`];
  if (flags.length) parts.push(" Train with ", code(flags.join(" ")));
  $("file").replaceChildren(...parts);
}
