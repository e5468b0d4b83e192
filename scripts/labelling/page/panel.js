// What is written around the timeline: heading, buttons, legend, position, and the list of points.

import { $, show } from "./dom.js";
import { didNotFail, removePoint, setPoint, toggleStep } from "./editing.js";
import { goTo } from "./player.js";
import { currentLabel, hasTask, isOpen, length, neighbour, seconds, state, suggestion } from "./state.js";

const HELD_OUT = { true: "held-out", false: "trained on this episode", null: "may be trained on this episode" };

export function drawHeading() {
  const { current, data, done, undone } = state, label = currentLabel();
  $("episode").textContent = `Episode ${current}`;
  $("task").textContent = data.tasks[current];
  $("task").title = data.tasks[current];
  $("fail").setAttribute("aria-pressed", label.failed_at !== null);
  $("outcome").value = label.outcome ?? "";
  $("exclude").setAttribute("aria-pressed", label.exclude);
  $("suggest").disabled = !suggestion() && !isOpen(label);
  $("suggest").hidden = !Object.keys(data.suggestions).length && !label.proposed;
  $("copy").disabled = !label.keypoints.length || neighbour(1, hasTask) === null;
  $("undo").disabled = !done.length;
  $("redo").disabled = !undone.length;
}

// What a policy proposed for an episode that it played, why, and what speaks against it.
export function drawProposal() {
  const { proposed } = currentLabel();
  $("proposal").hidden = !proposed;
  if (!proposed) return;
  const { stopped_by, reason, threshold, checkpoint, doubt, accepted } = proposed;
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
  $("proposal").textContent = [`Played by ${checkpoint ?? "a policy"}: ${ended}.`, against, todo].filter(Boolean).join(" ");
  $("proposal").dataset.open = isOpen(currentLabel());
}

export function drawPosition() {
  const { current, curve, frame, predictions } = state;
  $("where").textContent = `frame ${frame} of ${length() - 1} · ${seconds(frame)}`;
  const values = [];
  if (curve && !currentLabel().exclude) values.push(`label ${curve[frame]?.toFixed(2)}`);
  const predicted = predictions[current]?.reward;
  if (predicted) values.push(`predicted ${predicted[frame]?.toFixed(2)}`);
  $("values").textContent = values.join(" · ");
  for (const chip of document.querySelectorAll("#points .chip"))
    chip.classList.toggle("selected", Number(chip.dataset.at) === frame);
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
  else add("label", label.keypoints.length ? "label, as used in training" : "linear progress, used in training while there are no points");
  if (data.policy && prediction) {
    const text = { waiting: "being computed …", ready: HELD_OUT[prediction.held_out] }[prediction.state] ?? prediction.error;
    add("predicted", `predicted by ${data.policy}: ${text}`);
  }
  if (suggestion()) add("ghost", "proposed from the gripper (A accepts)");
  $("legend").replaceChildren(...parts);
  $("interpolation").textContent = `between points: ${interpolation}`;
  drawFile();
}

function drawFile() {
  const { path, why, flag } = state.data.place;
  const flags = [flag, state.interpolation === "pchip" && "--dataset.reward_interpolation=pchip"].filter(Boolean);
  const code = (text) => Object.assign(document.createElement("code"), { textContent: text });
  const parts = ["Saves to ", code(path), ` (${why}).`];
  if (flags.length) parts.push(" Train with ", code(flags.join(" ")));
  $("file").replaceChildren(...parts);
}

export function drawPoints() {
  const label = currentLabel();
  const parts = label.keypoints.map(pointChip);
  if (label.failed_at !== null) {
    const failed = chip(`failed at ${label.failed_at} · ${seconds(label.failed_at)}`, label.failed_at);
    failed.classList.add("bad");
    failed.append(button("×", "It did not fail", null, didNotFail));
    parts.push(failed);
  }
  if (!parts.length) {
    const none = document.createElement("span");
    none.className = "none";
    none.textContent = "No points: go to the frame where something is reached, and press 2 for 0.5, 4 for 1.0, or V for any value.";
    parts.push(none);
  }
  // keep the field in which the person types
  const isTyping = $("points").contains(document.activeElement) && document.activeElement.tagName === "INPUT";
  if (!isTyping || parts.length !== $("points").children.length) $("points").replaceChildren(...parts);
}

function pointChip(point) {
  const element = chip(`${point.frame} · ${seconds(point.frame)}`, point.frame);
  const value = document.createElement("input");
  Object.assign(value, { type: "number", min: 0, max: 1, step: "any", value: show(point.reward), ariaLabel: `reward at frame ${point.frame}` });
  value.addEventListener("keydown", (event) => {
    if (event.key === "Enter") value.blur(); // so that the next key is a command again
  });
  value.addEventListener("change", () => setPoint(value.value === "" ? NaN : Number(value.value), point.frame));
  element.append(
    value,
    button("step", "The reward jumps here instead of rising (S)", point.step, () => {
      goTo(point.frame);
      toggleStep();
    }),
    button("×", "Delete (Del)", null, () => removePoint(point.frame)),
  );
  return element;
}

function chip(text, at) {
  const element = document.createElement("span"), link = document.createElement("a");
  element.className = "chip";
  element.dataset.at = at;
  link.textContent = text;
  link.addEventListener("click", () => goTo(at));
  element.append(link);
  return element;
}

function button(text, title, pressed, action) {
  const element = document.createElement("button");
  Object.assign(element, { textContent: text, title });
  if (pressed !== null) element.setAttribute("aria-pressed", pressed);
  element.addEventListener("click", action);
  return element;
}
