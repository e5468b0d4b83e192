// What the page knows, and what it asks to be drawn again. A label as a person edits it, with times in frames:
//   {keypoints: [{frame, reward, step}, …], failed_at: frame or null, outcome: "success" | "failure" | null, exclude,
//    proposed: null, or what a policy proposed: {stopped_by, reason, threshold, checkpoint, doubt, accepted}}

export const EMPTY = { keypoints: [], failed_at: null, outcome: null, exclude: false, proposed: null };
// Of an open episode a policy played it, and not even the policy knows how it ended.
export const STATES = ["open", "proposed", "unlabelled", "labelled", "failed", "excluded"];
export const TO_DO = ["open", "proposed", "unlabelled"];

export const state = {
  data: null, // the answer to /api/data
  saved: {}, // labels in the file, by episode
  changed: {}, // labels that are not in the file yet, by episode
  order: [], // the episodes as they are listed: what a policy proposed comes first, in the order of its doubt
  conflicts: new Set(), // episodes, as strings, that were changed here and elsewhere
  done: [], // edits that can be undone: {episode, before, after}
  undone: [], // edits that can be redone
  current: 0, // the episode on the screen
  frame: 0, // and its frame
  playing: null, // {rate, from, at} while it plays
  curve: null, // the reward of the current episode's label, by frame
  curveOf: "", // the label that `curve` is of: see curveKey
  interpolation: "linear",
  predictions: {}, // the answers to /api/prediction, by episode
  filter: "all", // which episodes are listed: all, or one of STATES
  search: "", // and with which text in their task
};

// ---------------------------------------------------------------------------------------------- drawing again

const drawings = { label: [], interpolation: [], curve: [], frame: [] };

// Run these, in this order, whenever `what` has changed.
export const drawOn = (what, ...draws) => drawings[what].push(...draws);

export function redraw(what) {
  for (const draw of drawings[what]) draw();
}

// ---------------------------------------------------------------------------------------------- reading it

export const labelOf = (episode) => state.changed[episode] ?? state.saved[episode] ?? EMPTY;
export const currentLabel = () => labelOf(state.current);
export const length = () => state.data.lengths[state.current];
export const seconds = (frame) => `${(frame / state.data.fps).toFixed(2)} s`;
export const copyOf = (label) => structuredClone(label);
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// Whether nobody has accepted what a policy proposed.
export const isOpen = (label) => Boolean(label.proposed && !label.proposed.accepted);

export function stateOf(episode) {
  const label = labelOf(episode);
  if (isOpen(label)) return label.proposed.stopped_by ? "proposed" : "open";
  if (label.exclude) return "excluded";
  if (label.failed_at !== null || label.outcome === "failure") return "failed";
  return label.keypoints.length || label.outcome ? "labelled" : "unlabelled";
}

// The points proposed from the gripper for the current episode, as long as it has none and no policy proposed a label.
export function suggestion() {
  const label = currentLabel();
  return label.keypoints.length || isOpen(label) ? null : state.data.suggestions[state.current];
}

// Whether an episode has the task that is looked for. A number in the search field is an episode to go to, not a text.
export const hasTask = (episode) =>
  !state.search || /^\d+$/.test(state.search) || state.data.tasks[episode].toLowerCase().includes(state.search);

// Whether an episode is in the list.
export const listed = (episode) => (state.filter === "all" || stateOf(episode) === state.filter) && hasTask(episode);

// The next wanted episode after the current one, or before it with by = -1; null if there is none.
export function neighbour(by, wanted = listed) {
  for (let at = state.order.indexOf(state.current) + by; at in state.order; at += by)
    if (wanted(state.order[at])) return state.order[at];
  return null;
}

// The episodes by the doubt about what a policy proposed, those first of which nobody knows how they ended.
export function byDoubt() {
  const doubt = (episode) => (isOpen(labelOf(episode)) ? labelOf(episode).proposed.doubt : -1);
  return state.data.lengths.map((_, episode) => episode).sort((a, b) => doubt(b) - doubt(a) || a - b);
}
