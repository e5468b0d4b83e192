"""What all drawings share: matplotlib without a screen, the colours, and the reward curve of an episode."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("Agg")  # before pyplot: no screen is needed, and there may be none

import matplotlib.pyplot as plt
import numpy as np

# Okabe and Ito's palette, which colour-blind readers can tell apart; the line styles differ as well.
BLUE, SKY_BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#666666"
GREEN = "#009E73"
PAGE_WIDTH, PAGE_DPI = 8.4, 200  # inches: shown as wide as a page on GitHub, a point is more than a pixel
PREDICTED, LABEL, CLOCK, OK, WARNING, DONE = BLUE, GREY, ORANGE, VERMILION, "#C8330A", GREEN


@dataclass
class Curve:
    """The reward of an episode, and what to compare it with.

    Attributes:
        reward: (T,) as select_action gives it.
        alone: (T,) the reward of each frame alone.
        label: (T,) what the policy was to predict, NaN where nobody knows it.
        clock: (T,) the baseline that only counts frames; None where the training lengths are not known.
        fps: frames per second.
        ok: (T,) whether the episode goes as successes go, 1 where nothing speaks against it.
        reason: of the first alarm, None without.
        threshold: the calibrated reward from which on the task counts as done, None without.
        stop: the frame in which a robot would stop because of it, None if it would not.
        keypoints: frames and rewards of the label's keypoints.
        failed_at: the frame from which the label says that the episode has failed.
    """

    reward: np.ndarray
    alone: np.ndarray
    label: np.ndarray
    clock: np.ndarray | None
    fps: float
    ok: np.ndarray
    reason: str | None = None
    threshold: float | None = None
    stop: int | None = None
    keypoints: Sequence[tuple[int, float]] = ()
    failed_at: int | None = None

    @property
    def alarm(self) -> int | None:
        """The frame of the first alarm, None without."""
        below = np.flatnonzero(self.ok < 0.5)
        return int(below[0]) if len(below) else None


def style_axes(ax: plt.Axes, duration: float) -> None:
    """The axes that all drawings of an episode share: reward in [0, 1] over seconds."""
    ax.set_xlim(0, duration) if duration > 0 else ax.set_xlim(-0.5, 0.5)
    ax.set_ylim(-0.04, 1.04)
    ax.set_yticks([0, 0.5, 1])
    ax.grid(color="#e4e4e4", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def plot_curve(ax: plt.Axes, curve: Curve, linewidth: float = 2.2) -> None:
    """Over seconds: reward, label, clock and the reward of each frame alone, and the moments that stand out."""
    seconds = np.arange(len(curve.reward)) / curve.fps
    marker = "o" if len(curve.reward) == 1 else ""  # a line through one point is invisible
    style_axes(ax, seconds[-1])

    def plot(values: np.ndarray, name: str, **style: Any) -> None:
        ax.plot(seconds, values, label=name, **style)

    if not np.isnan(curve.label).all():
        plot(curve.label, "label", color=LABEL, linestyle="--", linewidth=0.7 * linewidth, marker=marker)
    if curve.clock is not None:
        plot(curve.clock, "clock", color=CLOCK, linestyle=":", linewidth=linewidth, marker=marker)
    if not np.array_equal(curve.alone, curve.reward):
        plot(curve.alone, "one frame alone", color=PREDICTED, linewidth=0.4 * linewidth, alpha=0.6)
    if curve.alarm is not None:
        plot(curve.ok, "ok", color=OK, linestyle="-.", linewidth=0.7 * linewidth, marker=marker)
        ax.axvline(seconds[curve.alarm], color=WARNING, linewidth=0.5 * linewidth, label="alarm")
    if curve.threshold is not None:
        ax.axhline(curve.threshold, color=DONE, linewidth=0.5 * linewidth, linestyle="--", label="threshold")
    if curve.stop is not None:
        ax.axvline(seconds[curve.stop], color=DONE, linewidth=0.6 * linewidth, label="stop")
    if curve.failed_at is not None:
        ax.plot(seconds[curve.failed_at], 0, "X", color="black", markersize=3.5 * linewidth, clip_on=False, zorder=6,
                label="labelled as failed")  # fmt: skip
    if curve.keypoints:
        frames, rewards = zip(*curve.keypoints, strict=True)
        ax.plot(seconds[list(frames)], rewards, "D", color="white", markeredgecolor=LABEL, markersize=3 * linewidth,
                clip_on=False, zorder=4, label="keypoint")  # fmt: skip
    plot(curve.reward, "predicted", color=PREDICTED, linewidth=linewidth, marker=marker)


def legend_entries(ax: plt.Axes) -> tuple[list[Any], list[str]]:
    """The lines of plot_curve and their names, the policy's first although it is drawn last."""
    handles, names = ax.get_legend_handles_labels()
    return [handles[-1], *handles[:-1]], [names[-1], *names[:-1]]
