// The list of episodes, and moving from one to another.

import { note, views } from "./cameras.js";
import { askForCurve, askForPrediction } from "./curve.js";
import { $, clamp, say } from "./dom.js";
import { goTo, pause } from "./player.js";
import { currentLabel, hasTask, labelOf, length, listed, neighbour, redraw, state, STATES, stateOf, TO_DO } from "./state.js";

const OF_A_POLICY = ["open", "proposed"]; // states that not every dataset has
const PROPOSED = { reward: "success?", failure: "failed?" };
const items = []; // of the list, by episode

export function openEpisode(episode, at = 0) {
  pause();
  state.current = episode;
  state.curve = null;
  state.curveOf = "";
  state.frame = clamp(at, 0, length() - 1);
  history.replaceState(null, "", `#${episode}`);
  note("");
  for (const view of views) view.open(episode);
  goTo(state.frame);
  redraw("label");
  document.querySelector("#episodes [aria-current=true]")?.scrollIntoView({ block: "nearest" });
  askForCurve(episode, currentLabel()).catch(() => {});
  askForPrediction(episode);
}

export function openNeighbour(by) {
  const episode = neighbour(by);
  if (episode === null) return say(by > 0 ? "this is the last one" : "this is the first one");
  openEpisode(episode);
}

export function openUnlabelled() {
  const is = (episode) => TO_DO.includes(stateOf(episode)) && hasTask(episode);
  const episode = neighbour(1, is) ?? state.order.find(is);
  if (episode === undefined) return say(state.search ? "every episode with this task has a label" : "every episode has a label");
  openEpisode(episode);
}

export function drawList() {
  const { changed, current, data, filter } = state;
  const states = data.lengths.map((_, i) => stateOf(i));
  const counts = { all: states.length };
  for (const name of states) counts[name] = (counts[name] ?? 0) + 1;
  const toDo = TO_DO.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  $("progress").textContent = `${states.length - toDo} of ${states.length} labelled`;
  for (const button of $("filters").children) {
    button.textContent = `${button.dataset.filter} ${counts[button.dataset.filter] ?? 0}`;
    button.setAttribute("aria-pressed", button.dataset.filter === filter);
    button.hidden = OF_A_POLICY.includes(button.dataset.filter) && !(button.dataset.filter in counts);
  }
  states.forEach((name, i) => {
    const item = items[i];
    const text = (name === "proposed" ? PROPOSED[labelOf(i).proposed.stopped_by] : name) + (i in changed ? " *" : "");
    item.hidden = !listed(i) && i !== current;
    if (item.dataset.text !== text) {
      item.dataset.text = text;
      item.dataset.state = name;
      item.querySelector(".state").textContent = text;
      item.title = i in changed ? "not saved yet" : "";
    }
    if (i === current) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  });
}

export function makeList() {
  const { data } = state;
  for (const name of ["all", ...STATES]) {
    const button = document.createElement("button");
    button.dataset.filter = name;
    button.addEventListener("click", () => {
      state.filter = name;
      drawList();
      button.blur();
    });
    $("filters").append(button);
  }
  for (const i of state.order) {
    const item = document.createElement("li");
    items[i] = item;
    for (const [name, text] of [["index", i], ["state", ""], ["seconds", `${(data.lengths[i] / data.fps).toFixed(1)} s`]]) {
      const part = document.createElement("span");
      part.className = name;
      part.textContent = text;
      item.append(part);
    }
    item.addEventListener("click", () => openEpisode(i));
    $("episodes").append(item);
  }
  $("find").addEventListener("input", () => {
    state.search = $("find").value.trim().toLowerCase();
    drawList();
  });
  $("find").addEventListener("keydown", (event) => {
    if (event.key === "Enter") openFound();
  });
}

function openFound() {
  const { data, search } = state, isNumber = /^\d+$/.test(search);
  const found = isNumber ? Number(search) : state.order.find(listed);
  if (!(found in data.lengths))
    return say(`there is no episode ${search}: they are 0 to ${data.lengths.length - 1}`, true);
  if (isNumber) $("find").value = state.search = "";
  $("find").blur();
  openEpisode(found);
}
