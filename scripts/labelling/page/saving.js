// Saving changed labels, and what happens when the file was changed elsewhere.

import { askForCurve, curveIsOld } from "./curve.js";
import { refreshDifferences } from "./differences.js";
import { $ } from "./dom.js";
import { openEpisode } from "./episodes.js";
import { ask, Gone } from "./server.js";
import { currentLabel, redraw, state } from "./state.js";

const SAVE_AFTER = 200, RETRY_AFTER = 1500; // milliseconds

let saving = false, saveTimer = 0;

export const isSaved = () => !Object.keys(state.changed).length;
const count = (n) => `${n} episode${n === 1 ? "" : "s"}`;

export function tell(status, text) {
  $("save").dataset.state = status;
  $("save").textContent = text;
}

export function saveSoon(after = SAVE_AFTER) {
  clearTimeout(saveTimer);
  saveTimer = setTimeout(save, after);
}

// Labels that were not in the file as the page knew it may wait for the person; all others are saved.
async function save() {
  const { changed, conflicts, data, saved } = state;
  const sent = Object.fromEntries(Object.entries(changed).filter(([episode]) => !conflicts.has(episode)));
  if (saving || !Object.keys(sent).length) return;
  const before = Object.fromEntries(Object.keys(sent).filter((e) => e in saved).map((e) => [e, saved[e]]));
  saving = true;
  if ($("save").dataset.state !== "gone") tell("saving", "saving …");
  let answer;
  try {
    answer = await ask("/api/labels", "PUT", { session: data.session, labels: sent, before });
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
    tell("gone", `not saved: server gone (${count(Object.keys(state.changed).length)} kept here, trying again)`);
    return saveSoon(RETRY_AFTER);
  } finally {
    saving = false;
  }
  if (answer.status === 200 || answer.episodes) {
    state.saved = answer.labels;
    for (const episode of answer.episodes ?? []) conflicts.add(String(episode));
    for (const episode in sent)
      if (!conflicts.has(episode) && state.changed[episode] === sent[episode]) delete state.changed[episode];
    if (!conflicts.size) tell("saved", `saved ${answer.saved_at} · ${count(answer.n_episodes)}`);
    if (answer.path) $("save").title = answer.path + (answer.backup ? "; the previous version is in the same folder as .bak" : "");
    redraw("label");
    if (Object.keys(state.changed).some((episode) => !conflicts.has(episode))) saveSoon();
    if (curveIsOld()) askForCurve(state.current, currentLabel()).catch(() => {});
    refreshDifferences();
    showConflicts(answer.error);
  } else if (answer.other) {
    tell("conflict", `not saved: ${answer.error}`);
    $("banner-text").textContent = `Not saved: ${answer.error} Your changes are kept here.`;
    $("mine").disabled = $("theirs").disabled = true;
    $("banner").hidden = false;
  } else {
    tell("refused", `not saved: ${answer.error}`);
    saveSoon(5 * RETRY_AFTER); // the disk may have room again, or the file be repaired
  }
}

// The same episodes were changed here and elsewhere. Theirs stay in the file until the person has chosen.
function showConflicts(error) {
  const episodes = [...state.conflicts];
  if (episodes.length && error) {
    const which = `episode${episodes.length > 1 ? "s" : ""} ${episodes.join(", ")}`;
    tell("conflict", `not saved: ${which} changed elsewhere too`);
    $("banner-text").textContent = `Not saved: ${which}. ${error[0].toUpperCase()}${error.slice(1)} Your changes are kept here.`;
  }
  $("banner").hidden = !episodes.length;
}

// End the conflicts: save the changes over what the file has of these episodes, or drop them.
export function settle(keepMine) {
  const episodes = [...state.conflicts];
  state.conflicts.clear();
  $("banner").hidden = true;
  if (!keepMine) {
    const dropped = new Set(episodes.map(Number));
    for (const episode of episodes) delete state.changed[episode];
    const without = (steps) =>
      steps.map((step) => step.filter(({ episode }) => !dropped.has(episode))).filter((step) => step.length);
    state.done = without(state.done);
    state.undone = without(state.undone);
    tell("saved", "as in the file");
  }
  openEpisode(state.current, state.frame);
  save();
}

// All labels as a file, to merge by hand.
export function download() {
  const episodes = {};
  for (const [episode, label] of Object.entries({ ...state.saved, ...state.changed })) {
    const entry = {};
    if (label.keypoints.length)
      entry.keypoints = label.keypoints.map(({ frame, reward, step }) => ({ frame_index: frame, reward, ...(step && { step }) }));
    if (label.failed_at !== null) entry.failed_at = label.failed_at;
    if (label.outcome) entry.outcome = label.outcome;
    if (label.exclude) entry.exclude = true;
    if (label.proposed) entry.proposed = label.proposed;
    if (Object.keys(entry).length) episodes[episode] = entry;
  }
  const link = document.createElement("a");
  const text = JSON.stringify({ repo_id: state.data.repo_id, episodes }, null, 1);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "my_reward_keypoints.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
