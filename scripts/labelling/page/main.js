// The page on which labels are made. The server holds the label file and the maths: it computes the curve, validates
// each label, and writes. The page holds the label that a person edits: see state.js.
//
//   state.js      what the page knows           server.js     requests
//   episodes.js   the list, opening an episode  player.js     moving through its frames
//   cameras.js    videos and single frames      curve.js      the label's reward, the predicted reward
//   editing.js    changing a label, undo        saving.js     writing it, conflicts
//   timeline.js   drawing                       dragging.js   the mouse on it
//   panel.js      what is written around it     keyboard.js   keys

import { makeViews } from "./cameras.js";
import { toggleInterpolation } from "./curve.js";
import { $ } from "./dom.js";
import { listenToTimeline } from "./dragging.js";
import { accept, copyToNext, fail, redo, setOutcome, setPoint, toggleExclude, undo } from "./editing.js";
import { drawList, makeList, openEpisode, openNeighbour, openUnlabelled } from "./episodes.js";
import { listenToKeys } from "./keyboard.js";
import { drawHeading, drawLegend, drawPoints, drawPosition, drawProposal } from "./panel.js";
import { changeSpeed, goTo, play } from "./player.js";
import { download, isSaved, settle, tell } from "./saving.js";
import { ask } from "./server.js";
import { byDoubt, drawOn, state } from "./state.js";
import { drawPlayhead, drawTimeline } from "./timeline.js";

drawOn("label", drawHeading, drawProposal, drawList, drawTimeline, drawLegend, drawPoints, drawPosition);
drawOn("interpolation", drawLegend, drawTimeline);
drawOn("curve", drawTimeline, drawPosition);
drawOn("frame", drawPlayhead, drawPosition);

function listenToButtons() {
  const click = (id, action) => $(id).addEventListener("click", () => { action(); $(id).blur(); });
  click("previous", () => openNeighbour(-1));
  click("next", () => openNeighbour(1));
  click("next-unlabelled", openUnlabelled);
  click("back", () => goTo(state.frame - 1));
  click("forward", () => goTo(state.frame + 1));
  click("play", play);
  click("fail", fail);
  click("exclude", toggleExclude);
  click("suggest", accept);
  click("copy", copyToNext);
  click("undo", undo);
  click("redo", redo);
  click("interpolation", toggleInterpolation);
  click("mine", () => settle(true));
  click("theirs", () => settle(false));
  click("download", download);
  click("show-help", () => $("help").showModal());
  for (const button of document.querySelectorAll("[data-reward]"))
    button.addEventListener("click", () => { setPoint(Number(button.dataset.reward)); button.blur(); });
  $("outcome").addEventListener("change", () => { setOutcome($("outcome").value || null); $("outcome").blur(); });
  $("speed").addEventListener("change", () => { changeSpeed(0); $("speed").blur(); });
  $("value").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || $("value").value === "") return;
    setPoint(Number($("value").value));
    $("value").value = "";
    $("value").blur();
  });
  addEventListener("beforeunload", (event) => { if (!isSaved()) event.preventDefault(); });
}

async function start() {
  let data, labels;
  try {
    [data, labels] = await Promise.all([ask("/api/data"), ask("/api/labels")]);
  } catch {
    return tell("gone", "the server is gone: start it again and reload");
  }
  if (data.status !== 200 || labels.status !== 200) return tell("refused", data.error ?? labels.error);
  Object.assign(state, { data, saved: labels.labels, interpolation: data.interpolation });
  document.title = `${data.repo_id}: reward labels`;
  $("title").textContent = data.repo_id;
  $("title").title = data.root;
  tell("idle", labels.version ? "nothing changed" : "no labels yet");
  state.order = byDoubt();
  makeViews();
  makeList();
  listenToKeys();
  listenToTimeline();
  listenToButtons();
  const asked = Number(location.hash.slice(1));
  openEpisode(location.hash && asked in data.lengths ? asked : state.order[0]);
  document.body.dataset.ready = "";
}
start();
