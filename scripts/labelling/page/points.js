// The list of points beside the timeline.

import { $, show } from "./dom.js";
import { didNotFail, removePoint, setPoint, toggleStep } from "./editing.js";
import { goTo } from "./player.js";
import { currentLabel, seconds, state, suggestion } from "./state.js";

// The point on the current frame is marked, and in view.
export function markPoint() {
  for (const chip of document.querySelectorAll("#points .chip")) {
    const isHere = Number(chip.dataset.at) === state.frame;
    if (isHere && !chip.classList.contains("selected")) chip.scrollIntoView({ block: "nearest" });
    chip.classList.toggle("selected", isHere);
  }
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
  if (suggestion()) parts.push(note("Proposed from the gripper: [ and ] visit the points, A accepts them."));
  for (const point of suggestion()?.keypoints ?? []) {
    const ghost = chip(`${point.frame} · ${seconds(point.frame)}`, point.frame);
    ghost.classList.add("ghost");
    ghost.append(show(point.reward));
    parts.push(ghost);
  }
  if (!parts.length)
    parts.push(note("No points: go to the frame where something is reached, and press 2 for 0.5, 4 for 1.0, or V for any value."));
  // keep the field in which the person types
  const isTyping = $("points").contains(document.activeElement) && document.activeElement.tagName === "INPUT";
  if (!isTyping || parts.length !== $("points").children.length) $("points").replaceChildren(...parts);
}

const note = (text) => Object.assign(document.createElement("span"), { className: "note", textContent: text });

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
    button("step", `The reward jumps at frame ${point.frame} instead of rising (S)`, point.step, () => {
      goTo(point.frame);
      toggleStep();
    }),
    button("×", `Delete the point at frame ${point.frame} (Del)`, null, () => removePoint(point.frame)),
  );
  return element;
}

function chip(text, at) {
  const element = document.createElement("span"), link = document.createElement("button");
  element.className = "chip";
  element.dataset.at = at;
  link.className = "go";
  link.textContent = text;
  link.title = "Go to this frame";
  link.addEventListener("click", (event) => { goTo(at); if (event.detail) link.blur(); });
  element.append(link);
  return element;
}

function button(text, title, pressed, action) {
  const element = document.createElement("button");
  Object.assign(element, { textContent: text, title, ariaLabel: text === "×" ? title : text });
  if (pressed !== null) element.setAttribute("aria-pressed", pressed);
  element.addEventListener("click", action);
  return element;
}
