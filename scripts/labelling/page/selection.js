// Many episodes at once: which are selected, and what is done to them.

import { $ } from "./dom.js";
import { editMany } from "./editing.js";
import { toggleLater } from "./later.js";
import { acceptMany } from "./proposals.js";
import { listed, redraw, state } from "./state.js";

let anchor = null; // where a range begins

// Only what is listed: nothing happens to an episode that the person does not see.
const selection = () => state.order.filter((episode) => state.selected.has(episode) && listed(episode));

// Select an episode or not. With `isRange` all listed ones from the last one touched become as this one.
export function toggleSelected(episode, isRange) {
  const isOn = !state.selected.has(episode);
  const ends = [anchor ?? episode, episode].map((e) => state.order.indexOf(e)).sort((a, b) => a - b);
  const range = isRange ? state.order.slice(ends[0], ends[1] + 1).filter(listed) : [episode];
  for (const one of range) isOn ? state.selected.add(one) : state.selected.delete(one);
  anchor = episode;
  redraw("list");
}

export function drawSelection() {
  const n = selection().length, all = state.order.filter(listed).length;
  $("many").hidden = !n;
  $("many-count").textContent = `${n} selected`;
  $("pick-all").checked = n > 0 && n === all;
  $("pick-all").indeterminate = n > 0 && n < all;
}

export function listenToSelection() {
  const click = (id, action) =>
    $(id).addEventListener("click", (event) => {
      action();
      redraw("list");
      if (event.detail) $(id).blur(); // the mouse takes no focus away from the keys
    });
  click("pick-all", () => (state.selected = new Set($("pick-all").checked ? state.order.filter(listed) : [])));
  click("many-clear", () => state.selected.clear());
  click("many-accept", () => acceptMany(selection()));
  click("many-exclude", () => editMany(selection(), (label) => (label.exclude = true)));
  click("many-include", () => editMany(selection(), (label) => (label.exclude = false)));
  click("many-later", () => toggleLater(selection()));
}
