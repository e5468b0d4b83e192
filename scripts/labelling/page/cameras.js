// The cameras of the current episode, each as a video or as single frames.

import { $, svg } from "./dom.js";
import { state } from "./state.js";

const RETRY_AFTER = 1500; // milliseconds

export let views = [];

// A camera's video file holds many episodes: `start` is where this one begins. Seeks aim at the middle of a frame, so
// that rounding never shows its neighbour. During a seek only the latest requested frame is remembered.
export class VideoView {
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
    const [file, start] = state.data.videos[this.camera][episode];
    this.start = start;
    const source = `/video/${file}/${this.camera}`;
    if (this.element.getAttribute("src") !== source) this.element.src = source;
  }
  show(frame) {
    this.frame = frame;
    delete this.element.dataset.frame;
    this.seek();
  }
  get target() {
    return this.start + (this.frame + 0.5) / state.data.fps;
  }
  seek() {
    if (this.frame === undefined || this.element.readyState < 1 || this.element.seeking) return;
    this.sought = this.target;
    this.element.currentTime = this.sought;
  }
  arrived() {
    if (this.element.seeking || this.element.readyState < 2 || state.playing) return;
    if (this.sought !== this.target) return this.seek();
    this.element.dataset.frame = this.frame;
  }
  // The frame that is playing.
  get now() {
    return Math.floor((this.element.currentTime - this.start) * state.data.fps + 1e-3);
  }
  get keepsTime() {
    return !this.element.paused;
  }
  play(rate) {
    this.element.playbackRate = rate;
    this.element.play().catch(() => {});
  }
  // A video plays by itself.
  follow() {}
  pause() {
    this.element.pause();
  }
  failed() {
    const { name, codec } = state.data.cameras[this.camera];
    const missing = this.element.error?.code !== MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED ? "could not be loaded" : null;
    fetch(this.element.src, { headers: { Range: "bytes=0-0" } }).then(
      (response) => {
        if (!response.ok) return note(`The video of camera ${name} is missing: its file is not in the dataset.`);
        const why = missing ?? `(${codec ?? "unknown codec"}) cannot be played by this browser`;
        note(`The video of camera ${name} ${why}: the server decodes single frames instead, which is slower.`);
        views[this.camera] = replaceView(this, new FrameView(this.camera));
      },
      () => setTimeout(() => this.element.load(), RETRY_AFTER), // the server is gone
    );
  }
}

// A camera as single frames from the server. While one loads, only the latest requested frame is remembered.
export class FrameView {
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
  show(frame) {
    this.frame = frame;
    delete this.element.dataset.frame;
    const source = `/frame/${this.episode}/${this.camera}/${frame}`;
    if (this.loading) return;
    if (this.source === source) {
      this.element.dataset.frame = frame;
      return;
    }
    this.loading = true;
    this.source = source;
    this.element.src = source;
  }
  loaded() {
    this.loading = false;
    this.show(this.frame);
  }
  get keepsTime() {
    return false;
  }
  play() {}
  follow(frame) {
    this.show(frame);
  }
  pause() {}
}

function replaceView(old, view) {
  old.element.replaceWith(view.element);
  view.open(state.current);
  view.show(state.frame);
  return view;
}

export function makeViews() {
  views = state.data.cameras.map((camera, i) => (camera.video ? new VideoView(i) : new FrameView(i)));
  state.data.cameras.forEach((camera, i) => {
    const figure = document.createElement("figure"), view = document.createElement("div");
    view.className = "view";
    view.append(views[i].element);
    const caption = document.createElement("figcaption");
    caption.textContent = camera.name;
    const larger = document.createElement("button");
    Object.assign(larger, { className: "larger", ariaLabel: `Camera ${camera.name} on the whole screen`, title: "On the whole screen (B)" });
    const icon = svg("svg", { viewBox: "0 0 14 14" });
    icon.append(svg("path", { d: "M1 5V1h4M9 1h4v4M13 9v4h-4M5 13h-4v-4" }));
    larger.append(icon);
    larger.addEventListener("click", () => { fillScreen(figure); larger.blur(); });
    view.addEventListener("dblclick", () => fillScreen(figure));
    figure.append(view, caption, larger);
    $("cameras").append(figure);
  });
}

const fillScreen = (figure) =>
  document.fullscreenElement === figure ? document.exitFullscreen() : figure.requestFullscreen().catch(() => {});

// One camera after the other on the whole screen, then all again.
export function nextOnScreen() {
  const figures = [...document.querySelectorAll("#cameras figure")];
  const next = figures[figures.indexOf(document.fullscreenElement) + 1];
  return next ? fillScreen(next) : document.exitFullscreen();
}

export function note(text) {
  $("camera-note").textContent = text;
  $("camera-note").hidden = !text;
}
