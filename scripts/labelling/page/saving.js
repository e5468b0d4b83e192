// Saving changed labels, and what happens when the file was changed elsewhere.

import { askForCurve, curveIsOld } from "./curve.js";
import { $, say } from "./dom.js";
import { openEpisode } from "./episodes.js";
import { ask, Gone } from "./server.js";
import { currentLabel, EMPTY, redraw, same, state } from "./state.js";

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

async function save() {
  const { changed, data } = state;
  if (saving || state.conflict || isSaved()) return;
  const sent = { ...changed };
  saving = true;
  if ($("save").dataset.state !== "gone") tell("saving", "saving …");
  let answer;
  try {
    answer = await ask("/api/labels", "PUT", { session: data.session, version: state.version, labels: sent });
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
    tell("gone", `not saved: server gone (${count(Object.keys(state.changed).length)} kept here, trying again)`);
    return saveSoon(RETRY_AFTER);
  } finally {
    saving = false;
  }
  if (answer.status === 200) {
    state.version = answer.version;
    state.saved = answer.labels;
    for (const episode in sent) if (state.changed[episode] === sent[episode]) delete state.changed[episode];
    tell("saved", `saved ${answer.saved_at} · ${count(answer.n_episodes)}`);
    $("save").title = answer.path + (answer.backup ? "; the previous version is in the same folder as .bak" : "");
    redraw("label");
    if (!isSaved()) saveSoon();
    if (curveIsOld()) askForCurve(state.current, currentLabel()).catch(() => {});
  } else if (answer.status === 409) {
    state.conflict = answer;
    showConflict();
  } else {
    tell("refused", `not saved: ${answer.error}`);
    saveSoon(5 * RETRY_AFTER); // the disk may have room again, or the file be repaired
  }
}

// The file has changed since the version that was edited. Nothing is written until the person has chosen what to do.
function showConflict() {
  const { conflict, saved } = state;
  tell("conflict", "not saved: the file has changed");
  const mine = Object.keys(state.changed).map(Number);
  const theirs = conflict.labels ? mine.filter((e) => !same(conflict.labels[e] ?? EMPTY, saved[e] ?? EMPTY)) : [];
  const both = theirs.length ? ` Episode${theirs.length > 1 ? "s" : ""} ${theirs.join(", ")} changed there as well.` : "";
  $("banner-text").textContent =
    `Not saved: ${conflict.error} Your changes to episode${mine.length > 1 ? "s" : ""} ${mine.join(", ")} are kept here.${both}`;
  $("mine").disabled = Boolean(conflict.other);
  $("theirs").disabled = Boolean(conflict.other);
  $("banner").hidden = false;
}

// End a conflict: save the changes over the file, or drop them.
export async function settle(keepMine) {
  let answer;
  try {
    answer = await ask("/api/labels");
  } catch {
    return say("server gone: try again when it is back", true);
  }
  if (answer.status !== 200) return say(answer.error, true);
  state.version = answer.version;
  state.saved = answer.labels;
  if (!keepMine) {
    state.changed = {};
    state.done = [];
    state.undone = [];
    tell("saved", "as in the file");
  }
  state.conflict = null;
  $("banner").hidden = true;
  openEpisode(state.current, state.frame);
  if (keepMine) save();
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
