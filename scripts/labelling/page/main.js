// The page on which labels are made. The server holds the label file and the maths: it computes the curve, validates
// each label, and writes. The page holds the label that a person edits: see state.js.
//
//   state.js      what the page knows           server.js       requests
//   episodes.js   the list, opening an episode  player.js       moving through its frames
//   selection.js  many episodes at once         later.js        marks in this browser
//   previews.js   pictures in the list          link.js         the address of a frame
//   cameras.js    videos and single frames      curve.js        the label's reward, the predicted reward
//   editing.js    changing a label, undo        proposals.js    what is proposed, and what contradicts it
//   saving.js     writing it, conflicts         connection.js   whether the server is there
//   timeline.js   drawing                       dragging.js     the mouse on it
//   view.js       zoom                          paths.js        curves as paths
//   signals.js    state and action              differences.js  prediction and label compared
//   points.js     the list of points            panel.js        what is written around it
//   keyboard.js   keys                          dom.js          small helpers

import { makeViews } from "./cameras.js";
import { watchServer } from "./connection.js";
import { askForCurve, askForPrediction, toggleInterpolation } from "./curve.js";
import { goToDifference } from "./differences.js";
import { $, say } from "./dom.js";
import { listenToTimeline } from "./dragging.js";
import { copyToNext, fail, redo, setOutcome, setPoint, toggleExclude, undo } from "./editing.js";
import { drawList, makeList, openNeighbour, openUnlabelled } from "./episodes.js";
import { listenToKeys } from "./keyboard.js";
import { loadLater, toggleLater } from "./later.js";
import { listenToLink, openLink, writeLink } from "./link.js";
import { drawHeading, drawLegend, drawPosition, drawProposal } from "./panel.js";
import { changeSpeed, frameOf, goTo, play } from "./player.js";
import { drawPoints, markPoint } from "./points.js";
import { accept } from "./proposals.js";
import { download, isSaved, saveSoon, settle, tell } from "./saving.js";
import { drawSelection, listenToSelection } from "./selection.js";
import { ask } from "./server.js";
import { drawSignals, drawSignalsHere, makeSignalChoice } from "./signals.js";
import { currentLabel, drawOn, state } from "./state.js";
import { drawPlayhead, drawTimeline } from "./timeline.js";
import { drawOverview, follow, showAll, zoom } from "./view.js";

const drawView = [drawOverview, drawSignals, drawTimeline, drawPosition];
drawOn("label", drawHeading, drawProposal, drawList, drawSelection, ...drawView, drawLegend, drawPoints, markPoint);
drawOn("list", drawList, drawSelection);
drawOn("interpolation", drawLegend, drawTimeline);
drawOn("curve", drawOverview, drawTimeline, drawPosition);
drawOn("view", ...drawView);
drawOn("frame", follow, drawPlayhead, drawSignalsHere, drawPosition, markPoint, writeLink);

function listenToButtons() {
  // the mouse takes no focus away from the keys
  const click = (id, action) => $(id).addEventListener("click", (event) => { action(); if (event.detail) $(id).blur(); });
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
  click("later", () => toggleLater([state.current]));
  click("largest", goToDifference);
  click("zoom-in", () => zoom(1 / 2));
  click("zoom-out", () => zoom(2));
  click("zoom-fit", showAll);
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
  $("go").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const frame = frameOf($("go").value);
    if (frame === null) return say(`there is no frame ${$("go").value}: give 0 to ${state.data.lengths[state.current] - 1}, or a time such as 12.5s`, true);
    goTo(frame);
    $("go").value = "";
    $("go").blur();
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
  loadLater();
  makeViews();
  makeList();
  makeSignalChoice();
  listenToKeys();
  listenToTimeline();
  listenToButtons();
  listenToSelection();
  listenToLink();
  openLink();
  watchServer(() => {
    askForCurve(state.current, currentLabel()).catch(() => {});
    askForPrediction(state.current);
    saveSoon(0);
  });
  document.body.dataset.ready = "";
}
start();
