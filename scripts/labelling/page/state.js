// What the page knows, and what it asks to be drawn again. A label as a person edits it, with times in frames:
//   {keypoints: [{frame, reward, step}, …], failed_at: frame or null, outcome: "success" | "failure" | null, exclude,
//    proposed: null, or what a policy proposed: {stopped_by, reason, threshold, checkpoint, doubt, accepted}}

export const EMPTY = { keypoints: [], failed_at: null, outcome: null, exclude: false, proposed: null };
// Of an open episode nobody has said how it ended: the policy that played it does not know, or the last point is below
// 1, where the reward would stay to the end.
export const STATES = ["open", "proposed", "unlabelled", "labelled", "failed", "excluded"];
export const TO_DO = ["open", "proposed", "unlabelled"];

export const state = {
  data: null, // the answer to /api/data
  saved: {}, // labels in the file, by episode
  changed: {}, // labels that are not in the file yet, by episode
  order: [], // the episodes as they are listed
  sort: "number", // and by what: number, doubt, or difference
  differences: {}, // between prediction and label, by episode: {mean, frame, label, predicted}
  selected: new Set(), // episodes to change together
  later: new Set(), // episodes that are marked for later
  conflicts: new Set(), // episodes, as strings, that were changed here and elsewhere
  done: [], // edits that can be undone, each a list of {episode, before, after}
  undone: [], // edits that can be redone
  current: 0, // the episode on the screen
  frame: 0, // and its frame
  view: null, // the frames {from, to} that the timeline shows; null for all
  playing: null, // {rate, from, at} while it plays
  curve: null, // the reward of the current episode's label, by frame
  curveOf: "", // the label that `curve` is of: see curveKey
  interpolation: "linear",
  predictions: {}, // the answers to /api/prediction, by episode
  signals: {}, // the curves of state and action, by episode
  warned: null, // the episode of which A has warned that the prediction contradicts the proposal
  filter: "all", // which episodes are listed: all, later, or one of STATES
  search: "", // and with which text in their task
};

// ---------------------------------------------------------------------------------------------- drawing again

const drawings = { label: [], list: [], interpolation: [], curve: [], view: [], frame: [] };

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
  if (staysBelow(label) !== null) return "open";
  return label.keypoints.length || label.outcome ? "labelled" : "unlabelled";
}

// The reward below 1 at which a label stays to the end of its episode without a word that it failed; null otherwise.
export function staysBelow(label) {
  const last = label.keypoints.at(-1);
  return last && last.reward < 1 && label.failed_at === null && label.outcome !== "failure" ? last.reward : null;
}

// The label proposed from the gripper for an episode, as long as it has no points and no policy proposed a label.
export function suggestionOf(episode) {
  const label = labelOf(episode);
  return label.keypoints.length || isOpen(label) ? null : (state.data.suggestions[episode] ?? null);
}
export const suggestion = () => suggestionOf(state.current);

// Whether an episode has the task that is looked for. A number in the search field is an episode to go to, not a text.
export const hasTask = (episode) =>
  !state.search || /^\d+$/.test(state.search) || state.data.tasks[episode].toLowerCase().includes(state.search);

// Whether an episode is in the list.
export const listed = (episode) => passes(episode) && hasTask(episode);
function passes(episode) {
  if (state.filter === "later") return state.later.has(episode);
  return state.filter === "all" || stateOf(episode) === state.filter;
}

// The next wanted episode after the current one, or before it with by = -1; null if there is none.
export function neighbour(by, wanted = listed) {
  for (let at = state.order.indexOf(state.current) + by; at in state.order; at += by)
    if (wanted(state.order[at])) return state.order[at];
  return null;
}
