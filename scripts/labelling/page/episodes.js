// The list of episodes, and moving from one to another.

import { note, views } from "./cameras.js";
import { askForCurve, askForPrediction } from "./curve.js";
import { startSorting } from "./differences.js";
import { $, clamp, say } from "./dom.js";
import { goTo, pause } from "./player.js";
import { makePreview } from "./previews.js";
import { toggleSelected } from "./selection.js";
import { askForSignals } from "./signals.js";
import {
  currentLabel, hasTask, isOpen, labelOf, length, listed, neighbour, redraw, same, state, STATES, stateOf, TO_DO,
} from "./state.js";

const NOT_ALWAYS = ["open", "proposed", "later"]; // filters that are shown when there is such an episode
const PROPOSED = { reward: "success?", failure: "failed?" };
let rows = []; // of the list, by episode: their elements

export function openEpisode(episode, at = 0) {
  pause();
  if (episode !== state.current) state.view = state.warned = null;
  state.current = episode;
  state.curve = null;
  state.curveOf = "";
  state.frame = clamp(at, 0, length() - 1);
  note("");
  for (const view of views) view.open(episode);
  goTo(state.frame);
  redraw("label");
  rows[episode].item.scrollIntoView({ block: "nearest" });
  askForCurve(episode, currentLabel()).catch(() => {});
  askForPrediction(episode);
  askForSignals(episode);
}

export function openNeighbour(by) {
  const episode = neighbour(by);
  if (episode === null) return say(by > 0 ? "this is the last one" : "this is the first one");
  openEpisode(episode);
}

export function openUnlabelled() {
  const is = (episode) => TO_DO.includes(stateOf(episode)) && hasTask(episode);
  const episode = neighbour(1, is) ?? state.order.find((other) => other !== state.current && is(other));
  if (episode === undefined)
    return say(is(state.current) ? "this is the last one without a label" : state.search ? "every episode with this task has a label" : "every episode has a label");
  openEpisode(episode);
}

// ---------------------------------------------------------------------------------------------- drawing

export function drawList() {
  const { current, data, differences, filter, later } = state;
  const states = data.lengths.map((_, i) => stateOf(i));
  const counts = { all: states.length, later: later.size };
  for (const name of states) counts[name] = (counts[name] ?? 0) + 1;
  const toDo = TO_DO.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  $("progress").textContent = `${states.length - toDo} of ${states.length} labelled`;
  for (const button of $("filters").children) {
    const name = button.dataset.filter;
    button.textContent = `${name} ${counts[name] ?? 0}`;
    button.setAttribute("aria-pressed", name === filter);
    button.hidden = NOT_ALWAYS.includes(name) && !counts[name] && name !== filter;
  }
  states.forEach((name, i) => drawItem(i, name, differences[i], i === current));
}

function drawItem(i, name, difference, isCurrent) {
  const { item, pick, open, word, mark, apart } = rows[i], isChanged = i in state.changed;
  const isProposal = isOpen(labelOf(i)) && name === "proposed";
  const text = (isProposal ? PROPOSED[labelOf(i).proposed.stopped_by] : name) + (isChanged ? " *" : "");
  item.hidden = !listed(i) && !isCurrent;
  if (item.dataset.text !== text) {
    item.dataset.text = text;
    item.dataset.state = name;
    word.textContent = text;
    item.title = isChanged ? "not saved yet" : "";
  }
  mark.hidden = !state.later.has(i);
  apart.textContent = difference ? `Δ ${difference.mean.toFixed(2)}` : "";
  apart.title = difference ? `mean difference; largest at frame ${difference.frame}: label ${difference.label.toFixed(2)}, predicted ${difference.predicted.toFixed(2)}` : "";
  pick.checked = state.selected.has(i);
  // one stop for the tab key: from there the arrows go on
  pick.tabIndex = open.tabIndex = isCurrent ? 0 : -1;
  if (isCurrent) open.setAttribute("aria-current", "true");
  else open.removeAttribute("aria-current");
}

// ---------------------------------------------------------------------------------------------- making it

export function makeList() {
  for (const name of ["all", ...STATES, "later"]) {
    const button = document.createElement("button");
    button.dataset.filter = name;
    button.addEventListener("click", (event) => {
      state.filter = name;
      redraw("list");
      if (event.detail) button.blur();
    });
    $("filters").append(button);
  }
  rows = state.data.lengths.map((_, i) => makeRow(i));
  $("find").addEventListener("input", () => {
    state.search = $("find").value.trim().toLowerCase();
    redraw("list");
  });
  $("find").addEventListener("keydown", (event) => {
    if (event.key === "Enter") openFound();
  });
  $("episodes").addEventListener("keydown", onListKey);
  const isProposed = rows.some((_, i) => isOpen(labelOf(i)));
  const available = { number: true, doubt: isProposed, difference: state.data.policy };
  for (const option of $("sort").options) option.hidden = option.disabled = !available[option.value];
  $("sort").value = isProposed ? "doubt" : "number";
  $("sort").addEventListener("change", () => { sort(); $("sort").blur(); });
  sort();
}

function makeRow(i) {
  const { data } = state;
  const make = (name, className, text = "") => Object.assign(document.createElement(name), { className, textContent: text });
  const pick = Object.assign(make("input", "pick"), { type: "checkbox", ariaLabel: `Select episode ${i}` });
  pick.addEventListener("click", (event) => {
    toggleSelected(i, event.shiftKey);
    if (event.detail) pick.blur();
  });
  const first = make("span", "line"), second = make("span", "line"), lines = make("span", "lines");
  const word = make("span", "state"), mark = make("span", "mark", "⚑"), apart = make("span", "difference");
  mark.title = "for later";
  first.append(make("span", "index", i), word, mark, make("span", "seconds", `${(data.lengths[i] / data.fps).toFixed(1)} s`));
  const task = make("span", "task", data.tasks[i]);
  task.title = data.tasks[i];
  second.append(task, apart);
  lines.append(first, second);
  const open = make("button", "open");
  open.append(makePreview(i), lines);
  open.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) toggleSelected(i, event.shiftKey);
    else openEpisode(i);
    if (event.detail) open.blur(); // the mouse takes no focus away from the keys
  });
  const item = make("li", "");
  item.append(pick, open);
  return { item, pick, open, word, mark, apart };
}

// Put the episodes into an order: `compare` two of their indices.
export function listEpisodes(compare) {
  const order = state.data.lengths.map((_, episode) => episode).sort(compare);
  if (same(order, state.order)) return;
  state.order = order;
  $("episodes").append(...order.map((i) => rows[i].item));
}

// By the doubt about what a policy proposed, those come first of which nobody knows how they ended.
function sort() {
  state.sort = $("sort").value;
  const doubt = (episode) => (isOpen(labelOf(episode)) ? labelOf(episode).proposed.doubt : -1);
  if (state.sort === "doubt") listEpisodes((a, b) => doubt(b) - doubt(a) || a - b);
  else if (state.sort === "number") listEpisodes((a, b) => a - b);
  startSorting(); // by difference, as far as it is known
}

// ---------------------------------------------------------------------------------------------- using it

// In the list the arrows move from row to row, and Space selects.
function onListKey(event) {
  const item = event.target.closest("li"), by = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!item || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === " ") toggleSelected(rows.findIndex((row) => row.item === item), event.shiftKey);
  else if (by) {
    let to = item[by];
    while (to?.hidden) to = to[by];
    to?.querySelector(".open").focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
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
