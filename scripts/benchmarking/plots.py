"""The drawings of the benchmark: a success, a ghost and a stall, each with the reward of one frame alone and over time."""

from pathlib import Path
from typing import Any

import numpy as np
from shared.drawing import BLUE, GREY, ORANGE, SKY_BLUE, VERMILION, plt

TITLES = {
    "success": "a success that pauses",
    "ghost": "a ghost: the whole motion, without the object",
    "stall": "a stall: it stops half way",
}
SO101_TITLES = {
    "success": TITLES["success"],
    "lost_late": "the block slips out of the gripper",
    "stall": TITLES["stall"],
}
LINES = {
    "ours": {"color": BLUE, "linewidth": 2, "label": "RewACT, followed over time"},
    "ours, one frame alone": {"color": SKY_BLUE, "linewidth": 0.8, "label": "RewACT, one frame alone"},
    "original": {"color": VERMILION, "linewidth": 1, "linestyle": "--", "label": "the original's head"},
    "clock": {"color": ORANGE, "linewidth": 1, "linestyle": ":", "label": "a clock"},
}


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
    figure, axes = plt.subplots(
        1, len(chosen), figsize=(4 * len(chosen), 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (kind, index) in zip(axes[0], chosen, strict=True):
        seconds = np.arange(len(truth[index]["phase"])) / fps
        for row, style in LINES.items():
            if row in rows:
                axis.plot(seconds, rows[row][index][: len(seconds)], **style)
        # In a success this is the true progress.
        axis.plot(
            seconds,
            truth[index]["phase"],
            color=GREY,
            linewidth=1,
            linestyle="-.",
            label="the arm's motion",
        )
        axis.set(title=titles[kind], xlabel="seconds", ylim=(-0.03, 1.05))
    axes[0][0].set_ylabel(f"reward, {name}")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
