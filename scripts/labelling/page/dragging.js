// The mouse on the timeline: a click goes to a frame, a point or the failure can be dragged, a double click adds a point,
// the wheel zooms. A drag on the strip below it moves what it shows.

import { askForLatestCurve } from "./curve.js";
import { $ } from "./dom.js";
import { edit, freeFrame, setPoint } from "./editing.js";
import { goTo } from "./player.js";
import { saveSoon } from "./saving.js";
import { copyOf, currentLabel, redraw, state } from "./state.js";
import { frameAt, rewardAt } from "./timeline.js";
import { pan, showAround, wholeFrameAt, zoom } from "./view.js";

const MOVED = 3, LIFTED = 10; // pixels from which on a drag counts, and changes the reward too

const rounded = (reward, steps) => Math.round(reward * steps) / steps;

export function listenToTimeline() {
  $("timeline").addEventListener("pointerdown", onPointerDown);
  $("timeline").addEventListener("dblclick", (event) => {
    if (event.target.dataset.point === undefined) setPoint(rounded(rewardAt(event), 20), frameAt(event));
  });
  for (const id of ["timeline", "signals"]) $(id).addEventListener("wheel", onWheel, { passive: false });
  $("signals").addEventListener("pointerdown", (event) => whileDown(event, (now) => goTo(frameAt(now))));
  $("overview").addEventListener("pointerdown", (event) => whileDown(event, (now) => showAround(wholeFrameAt(now))));
  new ResizeObserver(() => redraw("view")).observe($("timeline"));
}

function onWheel(event) {
  event.preventDefault();
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX / 500);
  else zoom(Math.exp(event.deltaY / 300), frameAt(event));
}

// Run `move` now and with each move until the button is released.
function whileDown(event, move) {
  if (event.button !== 0) return;
  event.preventDefault();
  event.currentTarget.setPointerCapture(event.pointerId);
  event.currentTarget.onpointermove = (now) => now.buttons && move(now);
  move(event);
}

function onPointerDown(event) {
  if (event.button !== 0) return;
  event.preventDefault();
  document.activeElement?.blur();
  const { point, failed } = event.target.dataset;
  const timeline = $("timeline");
  timeline.setPointerCapture(event.pointerId);
  const before = copyOf(currentLabel()), episode = state.current;
  const dragged = point === undefined ? null : before.keypoints.find((p) => p.frame === Number(point));
  let lifted = false, moved = false;
  goTo(dragged ? dragged.frame : failed !== undefined ? before.failed_at : frameAt(event));

  const move = (now) => {
    if (state.current !== episode) return;
    if (Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > MOVED) moved = true;
    if (!dragged && failed === undefined) return goTo(frameAt(now));
    if (!moved) return;
    const after = copyOf(before);
    let at = frameAt(now);
    if (failed !== undefined) after.failed_at = at;
    else {
      const p = after.keypoints.find((q) => q.frame === dragged.frame);
      const to = freeFrame(after, p, at, Math.sign(at - p.frame) || 1);
      // a hand that drags sideways also moves up and down a little
      lifted ||= Math.abs(now.clientY - event.clientY) > LIFTED;
      if (to !== null) p.frame = to;
      if (lifted) p.reward = rounded(rewardAt(now), now.shiftKey ? 100 : 20);
      at = p.frame;
      after.keypoints.sort((a, b) => a.frame - b.frame);
    }
    state.changed[episode] = after;
    goTo(at);
    redraw("label");
    askForLatestCurve(episode, after);
  };
  const up = () => {
    timeline.removeEventListener("pointermove", move);
    timeline.removeEventListener("pointerup", up);
    timeline.removeEventListener("pointercancel", up);
    const after = state.changed[episode];
    if (after === undefined || !moved || (!dragged && failed === undefined)) return;
    state.changed[episode] = before; // so that the whole drag is one step of undo
    edit(episode, (label) => Object.assign(label, after));
    saveSoon();
  };
  timeline.addEventListener("pointermove", move);
  timeline.addEventListener("pointerup", up);
  timeline.addEventListener("pointercancel", up);
}
