// The page on which labels are made. The server holds the file and the maths: it draws the curve, checks each label,
// and writes. What is here is the label as a person edits it, in frames:
//   {keypoints: [{frame, reward, step}, …], failed_at: frame or null, outcome: "success" | "failure" | null, exclude}
"use strict";

const $ = (id) => document.getElementById(id);
const EMPTY = { keypoints: [], failed_at: null, outcome: null, exclude: false };
const SAVE_AFTER = 200, RETRY_AFTER = 1500, ASK_AGAIN_AFTER = 800; // milliseconds
const SVG = "http://www.w3.org/2000/svg";
const STATES = ["unlabelled", "labelled", "failed", "excluded"];

let data; // what /api/data says
let saved = {}; // labels in the file, by episode
let changed = {}; // labels that are not in it yet
let version = ""; // of the file that `saved` is
let conflict = null; // the server's answer, when the file is another one
let saving = false, saveTimer = 0;
let undone = [], done = []; // {episode, before, after}
let current = 0, frame = 0;
let curve = null, curveOf = ""; // of the current episode, and of which label it is
let interpolation = "linear", filter = "all", search = "";
const predictions = {};
let views = [], playing = null;

const labelOf = (episode) => changed[episode] ?? saved[episode] ?? EMPTY;
const length = () => data.lengths[current];
const seconds = (f) => `${(f / data.fps).toFixed(2)} s`;
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const copyOf = (label) => structuredClone(label);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const show = (value) => String(Math.round(value * 1000) / 1000);

function stateOf(episode) {
  const label = labelOf(episode);
  if (label.exclude) return "excluded";
  if (label.failed_at !== null || label.outcome === "failure") return "failed";
  return label.keypoints.length || label.outcome ? "labelled" : "unlabelled";
}

// ---------------------------------------------------------------------------------------------- the server

class Gone extends Error {}

async function ask(path, method = "GET", body = undefined) {
  let response;
  try {
    response = await fetch(path, {
      method,
      body: body && JSON.stringify(body),
      headers: body && { "Content-Type": "application/json" },
    });
  } catch {
    throw new Gone("server gone");
  }
  const content = await response.json().catch(() => ({ error: `the server answered ${response.status}.` }));
  return { status: response.status, ...content };
}

// ---------------------------------------------------------------------------------------------- labels

// Change the label of an episode, as one step of undo. The server is asked whether it is valid; if not, it is taken back.
function edit(episode, change) {
  const before = labelOf(episode), after = copyOf(before);
  change(after);
  after.keypoints.sort((a, b) => a.frame - b.frame);
  if (same(before, after)) return;
  done.push({ episode, before, after });
  undone = [];
  put(episode, after);
}

async function put(episode, label) {
  changed[episode] = label;
  render();
  let answer;
  try {
    answer = await askForCurve(episode, label);
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
  }
  if (answer?.status === 422 && changed[episode] === label) {
    const step = done.at(-1);
    if (step?.after === label) {
      done.pop();
      changed[episode] = step.before;
    }
    say(answer.error, true);
    render();
    return askForCurve(episode, labelOf(episode)).catch(() => {});
  }
  saveSoon();
}

async function askForCurve(episode, label) {
  const of = curveKey(episode, label);
  const answer = await ask("/api/curve", "POST", { episode, label, interpolation });
  if (answer.status === 200 && of === curveKey(current, labelOf(current))) {
    curve = answer.reward;
    curveOf = of;
    drawTimeline();
    drawPosition();
  }
  return answer;
}
const curveKey = (episode, label) => JSON.stringify([episode, label, interpolation]);

function step(from, to, which) {
  const entry = from.pop();
  if (!entry) return say(`nothing to ${which}`);
  to.push(entry);
  if (entry.episode !== current) open(entry.episode);
  put(entry.episode, which === "undo" ? entry.before : entry.after);
}
const undo = () => step(done, undone, "undo");
const redo = () => step(undone, done, "redo");

// ---------------------------------------------------------------------------------------------- saving

function saveSoon(after = SAVE_AFTER) {
  clearTimeout(saveTimer);
  saveTimer = setTimeout(save, after);
}

async function save() {
  if (saving || conflict || !Object.keys(changed).length) return;
  const sent = { ...changed };
  saving = true;
  if ($("save").dataset.state !== "gone") tell("saving", "saving …");
  let answer;
  try {
    answer = await ask("/api/labels", "PUT", { session: data.session, version, labels: sent });
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
    tell("gone", `not saved: server gone (${count(Object.keys(changed).length)} kept here, trying again)`);
    return saveSoon(RETRY_AFTER);
  } finally {
    saving = false;
  }
  if (answer.status === 200) {
    version = answer.version;
    saved = answer.labels;
    for (const episode in sent) if (changed[episode] === sent[episode]) delete changed[episode];
    tell("saved", `saved ${answer.saved_at} · ${count(answer.n_episodes)}`);
    $("save").title = answer.path + (answer.backup ? "; the version before is beside it as .bak" : "");
    render();
    if (Object.keys(changed).length) saveSoon();
    if (curveOf !== curveKey(current, labelOf(current))) askForCurve(current, labelOf(current)).catch(() => {});
  } else if (answer.status === 409) {
    conflict = answer;
    showConflict();
  } else {
    tell("refused", `not saved: ${answer.error}`);
    saveSoon(5 * RETRY_AFTER); // a full disk may be emptied, a file that somebody broke be mended
  }
}
const count = (n) => `${n} episode${n === 1 ? "" : "s"}`;

function tell(state, text) {
  $("save").dataset.state = state;
  $("save").textContent = text;
}

// The file is not the one that the changes were made to. Nothing is written until the person has said what to do.
function showConflict() {
  tell("conflict", "not saved: the file has changed");
  const mine = Object.keys(changed).map(Number);
  const theirs = conflict.labels ? mine.filter((e) => !same(conflict.labels[e] ?? EMPTY, saved[e] ?? EMPTY)) : [];
  const both = theirs.length ? ` Episode${theirs.length > 1 ? "s" : ""} ${theirs.join(", ")} changed there as well.` : "";
  $("banner-text").textContent =
    `Not saved: ${conflict.error} Your changes to episode${mine.length > 1 ? "s" : ""} ${mine.join(", ")} are kept here.${both}`;
  $("mine").disabled = Boolean(conflict.other);
  $("theirs").disabled = Boolean(conflict.other);
  $("banner").hidden = false;
}

async function settle(keepMine) {
  let answer;
  try {
    answer = await ask("/api/labels");
  } catch {
    return say("server gone: try again when it is back", true);
  }
  if (answer.status !== 200) return say(answer.error, true);
  ({ version, labels: saved } = answer);
  if (!keepMine) {
    changed = {};
    done = [];
    undone = [];
    tell("saved", "as in the file");
  }
  conflict = null;
  $("banner").hidden = true;
  open(current, frame);
  if (keepMine) save();
}

// As a label file of its own, to merge by hand.
function download() {
  const episodes = {};
  for (const [episode, label] of Object.entries({ ...saved, ...changed })) {
    const entry = {};
    if (label.keypoints.length)
      entry.keypoints = label.keypoints.map(({ frame, reward, step }) => ({ frame_index: frame, reward, ...(step && { step }) }));
    if (label.failed_at !== null) entry.failed_at = label.failed_at;
    if (label.outcome) entry.outcome = label.outcome;
    if (label.exclude) entry.exclude = true;
    if (Object.keys(entry).length) episodes[episode] = entry;
  }
  const link = document.createElement("a");
  const text = JSON.stringify({ repo_id: data.repo_id, episodes }, null, 1);
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "my_reward_keypoints.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// ---------------------------------------------------------------------------------------------- cameras

// A camera's video file holds many episodes: `start` is where this one begins. The middle of a frame is sought, so that
// rounding shows no neighbour. While a seek runs, only the last one asked for is kept.
class VideoView {
  constructor(camera) {
    this.element = document.createElement("video");
    Object.assign(this.element, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    this.element.addEventListener("loadedmetadata", () => this.seek());
    this.element.addEventListener("seeked", () => this.arrived());
    this.element.addEventListener("loadeddata", () => this.arrived());
    this.element.addEventListener("error", () => this.failed());
    this.camera = camera;
  }
  open(episode) {
    const [file, start] = data.videos[this.camera][episode];
    this.start = start;
    const source = `/video/${file}/${this.camera}`;
    if (this.element.getAttribute("src") !== source) this.element.src = source;
  }
  show(f) {
    this.frame = f;
    delete this.element.dataset.frame;
    this.seek();
  }
  seek() {
    if (this.frame === undefined || this.element.readyState < 1 || this.element.seeking) return;
    this.sought = this.start + (this.frame + 0.5) / data.fps;
    this.element.currentTime = this.sought;
  }
  arrived() {
    if (this.element.seeking || this.element.readyState < 2 || playing) return;
    if (this.sought !== this.start + (this.frame + 0.5) / data.fps) return this.seek();
    this.element.dataset.frame = this.frame;
  }
  // The frame that is playing.
  get now() {
    return Math.floor((this.element.currentTime - this.start) * data.fps + 1e-3);
  }
  play(rate) {
    this.element.playbackRate = rate;
    this.element.play().catch(() => {});
  }
  pause() {
    this.element.pause();
  }
  failed() {
    const { name, codec } = data.cameras[this.camera];
    const missing = this.element.error?.code !== MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED ? "could not be loaded" : null;
    fetch(this.element.src, { headers: { Range: "bytes=0-0" } }).then(
      (response) => {
        if (!response.ok) return note(`The video of camera ${name} is missing: its file is not in the data set.`);
        const why = missing ?? `(${codec ?? "unknown codec"}) cannot be played by this browser`;
        note(`The video of camera ${name} ${why}: the server decodes single frames instead, which is slower.`);
        views[this.camera] = replaceView(this, new FrameView(this.camera));
      },
      () => setTimeout(() => { this.element.load(); }, RETRY_AFTER), // the server is gone
    );
  }
}

// A camera as single pictures from the server. While one loads, only the last one asked for is kept.
class FrameView {
  constructor(camera) {
    this.element = document.createElement("img");
    this.element.alt = "";
    this.element.addEventListener("load", () => this.loaded());
    this.element.addEventListener("error", () => this.loaded());
    this.camera = camera;
  }
  open(episode) {
    this.episode = episode;
  }
  show(f) {
    this.frame = f;
    delete this.element.dataset.frame;
    const source = `/frame/${this.episode}/${this.camera}/${f}`;
    if (this.loading || this.source === source) return this.loading || (this.element.dataset.frame = f);
    this.loading = true;
    this.source = source;
    this.element.src = source;
  }
  loaded() {
    this.loading = false;
    this.show(this.frame);
  }
  play() {}
  pause() {}
}

function replaceView(old, view) {
  old.element.replaceWith(view.element);
  view.open(current);
  view.show(frame);
  return view;
}

function makeViews() {
  views = data.cameras.map((camera, i) => (camera.video ? new VideoView(i) : new FrameView(i)));
  data.cameras.forEach((camera, i) => {
    const figure = document.createElement("figure"), view = document.createElement("div");
    view.className = "view";
    view.append(views[i].element);
    const caption = document.createElement("figcaption");
    caption.textContent = camera.name;
    figure.append(view, caption);
    $("cameras").append(figure);
  });
}

function note(text) {
  $("camera-note").textContent = text;
  $("camera-note").hidden = !text;
}

// ---------------------------------------------------------------------------------------------- moving about

function goTo(f, { keepPlaying = false } = {}) {
  if (!keepPlaying) pause();
  frame = clamp(Math.round(f), 0, length() - 1);
  for (const view of views) view.show(frame);
  drawPosition();
}

function play() {
  if (playing) return pause();
  if (frame >= length() - 1) goTo(0);
  const rate = Number($("speed").value);
  playing = { rate, from: frame, at: performance.now() };
  for (const view of views) view.play(rate);
  $("play").textContent = "❚❚";
  requestAnimationFrame(tick);
}

// A video that plays keeps the time; without one, the clock does.
function tick() {
  if (!playing) return;
  const master = views.find((view) => view instanceof VideoView && !view.element.paused);
  const clock = playing.from + Math.floor(((performance.now() - playing.at) / 1000) * playing.rate * data.fps);
  const now = clamp(master ? master.now : clock, 0, length() - 1);
  if (now !== frame) {
    frame = now;
    for (const view of views) if (view instanceof FrameView) view.show(frame);
    drawPosition();
  }
  if (frame >= length() - 1) return goTo(length() - 1); // the next episode begins in the same file
  requestAnimationFrame(tick);
}

function pause() {
  if (!playing) return;
  playing = null;
  for (const view of views) view.pause();
  for (const view of views) view.show(frame);
  $("play").textContent = "▶";
}

function changeSpeed(by) {
  const speeds = $("speed");
  speeds.selectedIndex = clamp(speeds.selectedIndex + by, 0, speeds.length - 1);
  if (playing) {
    pause();
    play();
  }
}

function open(episode, at = 0) {
  pause();
  current = episode;
  curve = null;
  curveOf = "";
  frame = clamp(at, 0, length() - 1);
  history.replaceState(null, "", `#${current}`);
  note("");
  for (const view of views) view.open(current);
  goTo(frame);
  render();
  document.querySelector("#episodes [aria-current=true]")?.scrollIntoView({ block: "nearest" });
  askForCurve(current, labelOf(current)).catch(() => {});
  askForPrediction(current);
}

const listed = (episode) =>
  (filter === "all" || stateOf(episode) === filter) &&
  (!search || /^\d+$/.test(search) || data.tasks[episode].toLowerCase().includes(search));

function neighbour(by, wanted = listed) {
  for (let episode = current + by; episode in data.lengths; episode += by) if (wanted(episode)) return episode;
  return null;
}
function openNeighbour(by) {
  const episode = neighbour(by);
  if (episode === null) return say(by > 0 ? "this is the last one" : "this is the first one");
  open(episode);
}
function openUnlabelled() {
  const is = (episode) => stateOf(episode) === "unlabelled";
  const episode = neighbour(1, is) ?? data.lengths.findIndex((_, i) => is(i));
  if (episode === -1) return say("every episode has a label");
  open(episode);
}

async function askForPrediction(episode) {
  if (!data.policy || predictions[episode]?.state === "ready" || predictions[episode]?.state === "failed") return;
  let answer;
  try {
    answer = await ask(`/api/prediction/${episode}`);
  } catch {
    return;
  }
  predictions[episode] = answer;
  if (episode !== current) return;
  render();
  if (answer.state === "waiting") return setTimeout(() => episode === current && askForPrediction(episode), ASK_AGAIN_AFTER);
  const next = neighbour(1);
  if (next !== null) askForPrediction(next); // so that it is there when it is opened
}

// ---------------------------------------------------------------------------------------------- what a person does

function setPoint(reward, at = frame) {
  if (!(reward >= 0 && reward <= 1)) return say("a reward is between 0 and 1", true);
  edit(current, (label) => {
    const point = label.keypoints.find((p) => p.frame === at);
    if (point) point.reward = reward;
    else label.keypoints.push({ frame: at, reward, step: false });
  });
}

const pointHere = () => labelOf(current).keypoints.find((p) => p.frame === frame);

function deletePoint() {
  const point = pointHere();
  if (point) return removePoint(point.frame);
  if (labelOf(current).failed_at === frame) return fail();
  say("there is no point on this frame: [ and ] go to the points");
}
function removePoint(at) {
  edit(current, (label) => {
    label.keypoints = label.keypoints.filter((p) => p.frame !== at);
  });
}

function fail() {
  edit(current, (label) => {
    label.failed_at = label.failed_at === frame ? null : frame;
    if (label.failed_at !== null && label.outcome === "success") label.outcome = null;
  });
}

function changePoint(change) {
  if (!pointHere()) return say("there is no point on this frame: [ and ] go to the points");
  edit(current, (label) => change(label.keypoints.find((p) => p.frame === frame), label));
}
const toggleStep = () => changePoint((p) => (p.step = !p.step));
const raisePoint = (by) => changePoint((p) => (p.reward = clamp(Math.round((p.reward + by) * 100) / 100, 0, 1)));
function movePoint(by) {
  let to = null;
  changePoint((p, label) => {
    to = freeFrame(label, p, p.frame + by, Math.sign(by));
    if (to !== null) p.frame = to;
  });
  if (to !== null) goTo(to);
}

// The nearest frame without another point, from `to` on towards `by`; null if there is none.
function freeFrame(label, point, to, by) {
  const taken = new Set(label.keypoints.filter((p) => p !== point).map((p) => p.frame));
  while (to >= 0 && to < length() && taken.has(to)) to += by;
  return to >= 0 && to < length() ? to : null;
}

function nextPoint(by) {
  const label = labelOf(current);
  const frames = label.keypoints.map((p) => p.frame);
  const to = by > 0 ? frames.find((f) => f > frame) : frames.findLast((f) => f < frame);
  if (to === undefined) return say("no further point");
  goTo(to);
}

const setOutcome = (outcome) => edit(current, (label) => (label.outcome = outcome));
const toggleExclude = () => edit(current, (label) => (label.exclude = !label.exclude));
const nextOutcome = () => {
  const order = [null, "success", "failure"];
  setOutcome(order[(order.indexOf(labelOf(current).outcome) + 1) % order.length]);
};

const suggestion = () => (labelOf(current).keypoints.length ? null : data.suggestions[current]);
function accept() {
  const suggested = suggestion();
  if (!suggested) return say(data.suggestions[current] ? "this episode has points already" : "nothing is proposed for this episode");
  edit(current, (label) => (label.keypoints = copyOf(suggested.keypoints)));
}

// The points of this episode on the next one, each at the same part of its length.
function copyToNext() {
  const { keypoints } = labelOf(current);
  const next = current + 1;
  if (!keypoints.length) return say("this episode has no points to copy");
  if (!(next in data.lengths)) return say("this is the last episode");
  const part = (data.lengths[next] - 1) / Math.max(length() - 1, 1);
  const had = labelOf(next).keypoints.length;
  const points = [];
  for (const point of keypoints) {
    const at = Math.max(Math.round(point.frame * part), points.length ? points.at(-1).frame + 1 : 0);
    points.push({ ...point, frame: at });
  }
  open(next);
  edit(next, (label) => (label.keypoints = points));
  say(had ? `replaced ${had} point${had > 1 ? "s" : ""} of episode ${next}; Z brings them back` : `copied to episode ${next}`);
}

// ---------------------------------------------------------------------------------------------- drawing

function render() {
  const label = labelOf(current);
  $("episode").textContent = `Episode ${current}`;
  $("task").textContent = data.tasks[current];
  $("task").title = data.tasks[current];
  $("fail").setAttribute("aria-pressed", label.failed_at !== null);
  $("outcome").value = label.outcome ?? "";
  $("exclude").setAttribute("aria-pressed", label.exclude);
  $("suggest").disabled = !suggestion();
  $("suggest").hidden = !Object.keys(data.suggestions).length;
  $("copy").disabled = !label.keypoints.length || current + 1 >= data.lengths.length;
  $("undo").disabled = !done.length;
  $("redo").disabled = !undone.length;
  drawList();
  drawTimeline();
  drawLegend();
  drawPoints();
  drawPosition();
}

function drawList() {
  const states = data.lengths.map((_, i) => stateOf(i));
  const counts = { all: states.length };
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
  $("progress").textContent = `${states.length - (counts.unlabelled ?? 0)} of ${states.length} labelled`;
  for (const button of $("filters").children) {
    button.textContent = `${button.dataset.filter} ${counts[button.dataset.filter] ?? 0}`;
    button.setAttribute("aria-pressed", button.dataset.filter === filter);
  }
  states.forEach((state, i) => {
    const item = $("episodes").children[i];
    const text = i in changed ? `${state} *` : state;
    item.hidden = !listed(i) && i !== current;
    if (item.dataset.text !== text) {
      item.dataset.text = text;
      item.dataset.state = state;
      item.querySelector(".state").textContent = text;
      item.title = i in changed ? "not saved yet" : "";
    }
    if (i === current) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  });
}

function makeList() {
  for (const name of ["all", ...STATES]) {
    const button = document.createElement("button");
    button.dataset.filter = name;
    button.addEventListener("click", () => {
      filter = name;
      drawList();
      button.blur();
    });
    $("filters").append(button);
  }
  data.lengths.forEach((n, i) => {
    const item = document.createElement("li");
    for (const [name, text] of [["index", i], ["state", ""], ["seconds", `${(n / data.fps).toFixed(1)} s`]]) {
      const part = document.createElement("span");
      part.className = name;
      part.textContent = text;
      item.append(part);
    }
    item.addEventListener("click", () => open(i));
    $("episodes").append(item);
  });
}

const EDGE = { left: 34, right: 14, top: 14, bottom: 22 };
const box = () => $("timeline").getBoundingClientRect();
const xOf = (f) => EDGE.left + (f / Math.max(length() - 1, 1)) * (box().width - EDGE.left - EDGE.right);
const yOf = (r) => EDGE.top + (1 - r) * (box().height - EDGE.top - EDGE.bottom);
const frameAt = (event) =>
  clamp(Math.round(((event.clientX - box().left - EDGE.left) / (box().width - EDGE.left - EDGE.right)) * (length() - 1)), 0, length() - 1);
const rewardAt = (event) => clamp(1 - (event.clientY - box().top - EDGE.top) / (box().height - EDGE.top - EDGE.bottom), 0, 1);

function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  return element;
}
const line = (values) => values.map((r, f) => `${f ? "L" : "M"}${xOf(f).toFixed(1)} ${yOf(r).toFixed(1)}`).join("");

function drawTimeline() {
  const { width, height } = box(), label = labelOf(current), parts = [];
  for (const r of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: yOf(r), y2: yOf(r) }));
    if (r * 2 === Math.round(r * 2)) parts.push(svg("text", { x: EDGE.left - 6, y: yOf(r) + 4, "text-anchor": "end" }, r));
  }
  const duration = (length() - 1) / data.fps;
  const tick = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800].find((t) => duration / t <= width / 70) ?? 3600;
  for (let i = 0; i * tick <= duration + 1e-9; i++)
    parts.push(svg("text", { x: xOf(i * tick * data.fps), y: height - 6, "text-anchor": "middle" }, `${show(i * tick)}${i ? "" : " s"}`));
  if (label.failed_at !== null) {
    const x = xOf(label.failed_at);
    parts.push(svg("rect", { class: "failure", x, y: EDGE.top, width: Math.max(width - EDGE.right - x, 0), height: height - EDGE.top - EDGE.bottom }));
  }
  const prediction = predictions[current];
  if (prediction?.state === "ready") parts.push(svg("path", { class: "predicted", d: line(prediction.reward) }));
  if (curve) {
    const kind = label.exclude ? " excluded" : label.keypoints.length ? "" : " default";
    const old = curveOf === curveKey(current, label) ? "" : " old";
    parts.push(svg("path", { class: `label${kind}${old}`, d: line(curve) }));
  }
  parts.push(svg("line", { class: "playhead", y1: EDGE.top - 6, y2: height - EDGE.bottom + 4, x1: 0, x2: 0 }));
  if (label.failed_at !== null) {
    const x = xOf(label.failed_at);
    parts.push(svg("line", { class: "failed", x1: x, x2: x, y1: EDGE.top, y2: height - EDGE.bottom }));
    const grip = svg("path", { class: "failed-grip", "data-failed": "", d: `M${x - 7} ${EDGE.top - 9}h14v8l-7 7l-7 -7z` });
    grip.append(svg("title", {}, `fails at frame ${label.failed_at}: drag it`));
    parts.push(grip);
  }
  for (const point of suggestion()?.keypoints ?? [])
    parts.push(svg("circle", { class: "ghost", cx: xOf(point.frame), cy: yOf(point.reward), r: 7 }));
  for (const point of label.keypoints) {
    const [x, y] = [xOf(point.frame), yOf(point.reward)];
    const shape = point.step
      ? svg("rect", { x: x - 6.5, y: y - 6.5, width: 13, height: 13 })
      : svg("circle", { cx: x, cy: y, r: 7.5 });
    shape.setAttribute("class", "point");
    shape.dataset.point = point.frame;
    shape.append(svg("title", {}, `frame ${point.frame}: ${show(point.reward)}${point.step ? ", a step" : ""}`));
    parts.push(shape);
  }
  $("timeline").replaceChildren(...parts);
  drawPosition();
}

function drawPosition() {
  const playhead = document.querySelector("#timeline .playhead");
  if (playhead) for (const end of ["x1", "x2"]) playhead.setAttribute(end, xOf(frame));
  // the point on this frame is the one that the keys change
  for (const point of document.querySelectorAll("#timeline [data-point], #points .chip"))
    point.classList.toggle("selected", Number(point.dataset.point ?? point.dataset.at) === frame);
  $("where").textContent = `frame ${frame} of ${length() - 1} · ${seconds(frame)}`;
  const values = [];
  if (curve && !labelOf(current).exclude) values.push(`label ${curve[frame]?.toFixed(2)}`);
  const predicted = predictions[current]?.reward;
  if (predicted) values.push(`predicted ${predicted[frame]?.toFixed(2)}`);
  $("values").textContent = values.join(" · ");
}

function drawLegend() {
  const label = labelOf(current), prediction = predictions[current];
  const parts = [];
  const add = (name, text) => {
    const part = document.createElement("span");
    part.className = name;
    part.append(document.createElement("i"), text);
    parts.push(part);
  };
  if (label.exclude) add("excluded", "excluded: in no reward loss");
  else add("label", label.keypoints.length ? "label, as it is trained" : "linear progress, as it is trained without points");
  if (data.policy && prediction) {
    const from = { true: "held out", false: "trained on this episode", null: "may be trained on it" }[prediction.held_out];
    const text = { waiting: "being computed …", ready: from, failed: prediction.error }[prediction.state] ?? prediction.error;
    add("predicted", `predicted by ${data.policy}: ${text}`);
  }
  if (suggestion()) add("ghost", "proposed from the gripper (A accepts)");
  $("legend").replaceChildren(...parts);
  $("interpolation").textContent = `between points: ${interpolation}`;
  drawFile();
}

function toggleInterpolation() {
  interpolation = interpolation === "linear" ? "pchip" : "linear";
  drawLegend();
  drawTimeline();
  askForCurve(current, labelOf(current)).catch(() => say("server gone", true));
}

function drawFile() {
  const { path, why, flag } = data.place;
  const flags = [flag, interpolation === "pchip" && "--dataset.reward_interpolation=pchip"].filter(Boolean);
  const code = (text) => Object.assign(document.createElement("code"), { textContent: text });
  const parts = ["Saves to ", code(path), ` (${why}).`];
  if (flags.length) parts.push(" Train with ", code(flags.join(" ")));
  $("file").replaceChildren(...parts);
}

function drawPoints() {
  const label = labelOf(current), parts = [];
  const chip = (bad, text, at) => {
    const element = document.createElement("span"), link = document.createElement("a");
    element.className = "chip" + (bad ? " bad" : "");
    element.dataset.at = at;
    link.textContent = text;
    link.addEventListener("click", () => goTo(at));
    element.append(link);
    parts.push(element);
    return element;
  };
  const button = (text, title, pressed, action) => {
    const element = document.createElement("button");
    Object.assign(element, { textContent: text, title });
    if (pressed !== null) element.setAttribute("aria-pressed", pressed);
    element.addEventListener("click", action);
    return element;
  };
  for (const point of label.keypoints) {
    const element = chip(false, `${point.frame} · ${seconds(point.frame)}`, point.frame);
    const value = document.createElement("input");
    Object.assign(value, { type: "number", min: 0, max: 1, step: "any", value: show(point.reward), ariaLabel: `reward at frame ${point.frame}` });
    value.addEventListener("change", () => setPoint(value.value === "" ? NaN : Number(value.value), point.frame));
    element.append(
      value,
      button("step", "The reward jumps here instead of rising (S)", point.step, () => {
        goTo(point.frame);
        toggleStep();
      }),
      button("×", "Delete (Del)", null, () => removePoint(point.frame)),
    );
  }
  if (label.failed_at !== null)
    chip(true, `failed at ${label.failed_at} · ${seconds(label.failed_at)}`, label.failed_at).append(
      button("×", "It did not fail", null, () => edit(current, (l) => (l.failed_at = null))),
    );
  if (!parts.length) {
    const none = document.createElement("span");
    none.className = "none";
    none.textContent = "No points: go to the frame where something is reached, and press 2 for 0.5, 4 for 1.0, or V for any value.";
    parts.push(none);
  }
  if (!$("points").contains(document.activeElement) || document.activeElement.tagName !== "INPUT" || !same(parts.length, $("points").children.length))
    $("points").replaceChildren(...parts);
}

let toastTimer = 0;
function say(text, isError = false) {
  $("toast").textContent = text;
  $("toast").className = isError ? "shown error" : "shown";
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => ($("toast").className = ""), isError ? 7000 : 2500);
}

// ---------------------------------------------------------------------------------------------- mouse

function onPointerDown(event) {
  if (event.button !== 0) return;
  event.preventDefault();
  document.activeElement?.blur();
  const { point, failed } = event.target.dataset;
  const timeline = $("timeline");
  timeline.setPointerCapture(event.pointerId);
  const label = labelOf(current), before = copyOf(label), episode = current;
  const dragged = point === undefined ? null : copyOf(label).keypoints.find((p) => p.frame === Number(point));
  let vertical = false, moved = false;
  goTo(dragged ? dragged.frame : failed !== undefined ? label.failed_at : frameAt(event));

  const move = (now) => {
    if (current !== episode) return;
    if (Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > 3) moved = true;
    if (!dragged && failed === undefined) return goTo(frameAt(now));
    if (!moved) return;
    const after = copyOf(before);
    let at = frameAt(now);
    if (failed !== undefined) after.failed_at = at;
    else {
      const p = after.keypoints.find((q) => q.frame === Number(point));
      const to = freeFrame(after, p, at, Math.sign(at - p.frame) || 1);
      // a hand that drags sideways does not mean the value
      vertical ||= Math.abs(now.clientY - event.clientY) > 10;
      if (to !== null) p.frame = to;
      if (vertical) p.reward = now.shiftKey ? Math.round(rewardAt(now) * 100) / 100 : Math.round(rewardAt(now) * 20) / 20;
      at = p.frame;
      after.keypoints.sort((a, b) => a.frame - b.frame);
    }
    changed[episode] = after;
    goTo(at);
    render();
    askForCurve(episode, after).catch(() => {});
  };
  const up = () => {
    timeline.removeEventListener("pointermove", move);
    timeline.removeEventListener("pointerup", up);
    timeline.removeEventListener("pointercancel", up);
    if (changed[episode] === undefined || !moved || (!dragged && failed === undefined)) return;
    const after = changed[episode];
    changed[episode] = before;
    edit(episode, (l) => Object.assign(l, after));
    saveSoon();
  };
  timeline.addEventListener("pointermove", move);
  timeline.addEventListener("pointerup", up);
  timeline.addEventListener("pointercancel", up);
}

// ---------------------------------------------------------------------------------------------- keys

const focusOn = (id) => { $(id).focus(); $(id).select(); };
// [keys as they are named, what they do, {key: action}]
const KEYS = [
  ["← →", "one frame back, on (Shift: ten)", {
    ArrowLeft: (e) => goTo(frame - (e.shiftKey ? 10 : 1)), ArrowRight: (e) => goTo(frame + (e.shiftKey ? 10 : 1)) }],
  ["Home End", "first, last frame", { Home: () => goTo(0), End: () => goTo(length() - 1) }],
  ["Space", "play, pause", { " ": play }],
  ["- +", "slower, faster", { "-": () => changeSpeed(-1), "+": () => changeSpeed(1), "=": () => changeSpeed(1) }],
  ["1 2 3 4", "0.25, 0.5, 0.75, 1.0 at this frame", {
    1: () => setPoint(0.25), 2: () => setPoint(0.5), 3: () => setPoint(0.75), 4: () => setPoint(1) }],
  ["0", "0 at this frame", { 0: () => setPoint(0) }],
  ["V", "any value at this frame: type it, Enter", { v: () => focusOn("value") }],
  ["[ ]", "previous, next point", { "[": () => nextPoint(-1), "]": () => nextPoint(1) }],
  [", .", "move the point one frame back, on", { ",": () => movePoint(-1), ".": () => movePoint(1) }],
  ["↑ ↓", "its value up, down by 0.05", { ArrowUp: () => raisePoint(0.05), ArrowDown: () => raisePoint(-0.05) }],
  ["S", "its ramp a step, and back", { s: toggleStep }],
  ["Del", "delete it", { Delete: deletePoint, Backspace: deletePoint }],
  ["F", "fails at this frame; again: does not", { f: fail }],
  ["O", "outcome: none, success, failure", { o: nextOutcome }],
  ["X", "exclude the episode, and back", { x: toggleExclude }],
  ["A", "accept the suggestion", { a: accept }],
  ["C", "copy the points to the next episode, go there", { c: copyToNext }],
  ["Z Y", "undo, redo", { z: (e) => (e.shiftKey ? redo() : undo()), y: redo }],
  ["N P", "next, previous episode of the list", { n: () => openNeighbour(1), p: () => openNeighbour(-1) }],
  ["U", "next episode without a label", { u: openUnlabelled }],
  ["G", "go to an episode, or filter by task", { g: () => focusOn("find") }],
  ["I", "linear or pchip between points", { i: toggleInterpolation }],
  ["?", "these keys (Esc closes them)", { "?": () => $("help").showModal() }],
];
const ACTIONS = Object.assign({}, ...KEYS.map(([, , actions]) => actions));

function onKey(event) {
  if ($("help").open || event.isComposing) return;
  const field = event.target.closest("input, select");
  if (field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const command = event.ctrlKey || event.metaKey;
  if (event.altKey || (command && key !== "z" && key !== "y")) return;
  // a button that has the focus takes space and Enter for itself
  if (event.target.closest("button") && (key === " " || key === "Enter")) return;
  const action = ACTIONS[key];
  if (!action) return;
  event.preventDefault();
  action(event);
}

function listen() {
  const click = (id, action) => $(id).addEventListener("click", () => { action(); $(id).blur(); });
  document.addEventListener("keydown", onKey);
  $("timeline").addEventListener("pointerdown", onPointerDown);
  $("timeline").addEventListener("dblclick", (event) => {
    if (event.target.dataset.point === undefined) setPoint(Math.round(rewardAt(event) * 20) / 20, frameAt(event));
  });
  click("previous", () => openNeighbour(-1));
  click("next", () => openNeighbour(1));
  click("next-unlabelled", openUnlabelled);
  click("back", () => goTo(frame - 1));
  click("forward", () => goTo(frame + 1));
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
  $("find").addEventListener("input", () => { search = $("find").value.trim().toLowerCase(); drawList(); });
  $("find").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const number = /^\d+$/.test(search) ? Number(search) : data.lengths.findIndex((_, i) => listed(i));
    if (!(number in data.lengths)) return say(`there is no episode ${search}: they are 0 to ${data.lengths.length - 1}`, true);
    if (/^\d+$/.test(search)) $("find").value = search = "";
    $("find").blur();
    open(number);
  });
  addEventListener("beforeunload", (event) => { if (Object.keys(changed).length) event.preventDefault(); });
  new ResizeObserver(drawTimeline).observe($("timeline"));
  for (const [keys, what] of KEYS) {
    const row = document.createElement("p");
    row.append(Object.assign(document.createElement("kbd"), { textContent: keys }), what);
    $("keys").append(row);
  }
}

async function start() {
  let labels;
  try {
    [data, labels] = await Promise.all([ask("/api/data"), ask("/api/labels")]);
  } catch {
    return tell("gone", "the server is gone: start it again and reload");
  }
  if (data.status !== 200 || labels.status !== 200) return tell("refused", data.error ?? labels.error);
  ({ version, labels: saved } = labels);
  interpolation = data.interpolation;
  document.title = `${data.repo_id}: reward labels`;
  $("title").textContent = data.repo_id;
  $("title").title = data.root;
  tell("idle", version ? "nothing changed" : "no labels yet");
  makeViews();
  makeList();
  listen();
  const asked = Number(location.hash.slice(1));
  open(location.hash && asked in data.lengths ? asked : 0);
  document.body.dataset.ready = "";
}
start();
