"""The drawings of the benchmark: a success, a ghost and a stall, each with the reward of one frame alone and over time."""

from pathlib import Path
from typing import Any

import numpy as np
from shared.drawing import BLUE, GREY, ORANGE, PAGE_DPI, PAGE_WIDTH, SKY_BLUE, VERMILION, plt

TITLES = {
    "success": "a success\nthat pauses",
    "ghost": "a ghost: the whole\nmotion, without object",
    "stall": "a stall:\nit stops half way",
}
SO101_TITLES = {
    "success": TITLES["success"],
    "lost_late": "the block slips\nout of the gripper",
    "stall": TITLES["stall"],
}
LINES: dict[str, dict[str, Any]] = {
    "ours": {"color": BLUE, "linewidth": 2.5, "label": "RewACT, followed over time"},
    "ours, one frame alone": {"color": SKY_BLUE, "linewidth": 1, "label": "RewACT, one frame alone"},
    "original": {"color": VERMILION, "linewidth": 1.5, "linestyle": "--", "label": "the original's head"},
    "clock": {"color": ORANGE, "linewidth": 2, "linestyle": ":", "label": "a clock"},
}
MOTION: dict[str, Any] = {"color": GREY, "linewidth": 1.5, "linestyle": "-.", "label": "the arm's motion"}


def choose(truth: list[dict[str, Any]], kind: str, fps: float) -> int | None:
    """The index of the first episode of a kind; of the successes, of the first that pauses for half a second or more."""
    for index, episode in enumerate(truth):
        paused = np.diff(episode["phase"])[: int(np.argmax(episode["done"]))] == 0
        if episode["kind"] == kind and (kind != "success" or paused.sum() > fps / 2):
            return index
    return next((i for i, episode in enumerate(truth) if episode["kind"] == kind), None)


def draw_task(
    path: Path,
    name: str,
    truth: list[dict[str, Any]],
    rows: dict[str, list[np.ndarray]],
    fps: float,
    titles: dict[str, str] = TITLES,
) -> None:
    """Draw the episodes that `choose` picks, whatever they show.

    Args:
        path: the PNG file to write.
        name: of the task.
        truth: of every held-out episode, see `Task`.
        rows: (T,) rewards of every held-out episode, by row of the table.
        fps: frames per second.
        titles: by kind of the episodes to draw.
    """
    chosen = [(kind, index) for kind in titles if (index := choose(truth, kind, fps)) is not None]
    with plt.rc_context({"font.size": 10.5}):
        figure, axes = plt.subplots(
            1, len(chosen), figsize=(PAGE_WIDTH, 3.6), sharey=True, squeeze=False, layout="constrained",
            facecolor="white",
        )  # fmt: skip
        for axis, (kind, index) in zip(axes[0], chosen, strict=True):
            seconds = np.arange(len(truth[index]["phase"])) / fps
            for row, style in LINES.items():
                if row in rows:
                    axis.plot(seconds, rows[row][index][: len(seconds)], **style)
            # In a success this is the true progress.
            axis.plot(seconds, truth[index]["phase"], **MOTION)
            axis.set_title(titles[kind], fontsize=10.5)
            axis.set(xlabel="seconds", ylim=(-0.03, 1.05))
        axes[0][0].set_ylabel(f"reward, {name}")
        handles = axes[0][0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2, fontsize=10, frameon=False)
        figure.savefig(path, dpi=PAGE_DPI)
        plt.close(figure)
