"""What keyframes do to the reward of a real arm: linear labels against the gripper's switches."""

import json
from pathlib import Path

import numpy as np
from labelling.tools import GRASP, RELEASE, suggest_gripper
from shared.drawing import BLUE, GREY, ORANGE, plt

from benchmarking.measuring import predictions
from benchmarking.runs import VARIANTS, prediction_folder, run_folder, train
from benchmarking.tasks import REAL_HELD_OUT, Task
from rewact.keypoints import save_label_file

DONE = 0.95
LINEAR, KEYFRAMES = "linear label", "keyframes at the gripper's switches"
COLOURS = {LINEAR: ORANGE, KEYFRAMES: BLUE}
# The rows of predictions that are shown, and how the table calls them.
PARTS = {"ours": "", "ours, without evidence": ", `--policy.reward_evidence=false`"}


def switches_of(root: Path) -> list[tuple[int, int]]:
    """The frames of the grasp and of the release in every held-out episode."""
    events = json.loads((root / "events.json").read_text())
    return [
        (events[str(index)]["gripper_switches"][0], events[str(index)]["gripper_switches"][-1])
        for index in REAL_HELD_OUT
    ]


def curves_of(task: Task, seed: int, output: Path) -> dict[str, dict[str, list[np.ndarray]]]:
    """The held-out curves by label and by row, from what is there or trained now.

    Args:
        task: the real arm.
        seed: of the training runs.
        output: the benchmark's folder.
    """
    labels = output / "data" / "cr5_gripper.json"
    suggested = suggest_gripper(task.train, task.fps)
    save_label_file(labels, {str(index): entry for index, entry in suggested.items() if entry})
    flags = {LINEAR: {}, KEYFRAMES: {"dataset.reward_labels": str(labels)}}
    names = {LINEAR: "ours", KEYFRAMES: "ours, keyframes"}
    curves = {}
    for label, more in flags.items():
        run = run_folder(output, task.name, seed, names[label])
        checkpoint = train(run, task, seed, VARIANTS["ours"] | more)
        file = prediction_folder(output, task.name, seed) / f"{names[label]}.npz"
        curves[label] = predictions(task, checkpoint, file)
    return curves


def crossing(curve: np.ndarray, level: float) -> int | None:
    """The first frame in which the reward is at the level or above it."""
    above = np.flatnonzero(curve >= level)
    return int(above[0]) if len(above) else None


def measure(curves: list[np.ndarray], switches: list[tuple[int, int]], fps: float) -> dict:
    """By event: the rewards at it, and by how many seconds the reward reaches its level late (below 0: early).

    Args:
        curves: (T,) rewards of every episode.
        switches: of `switches_of`.
        fps: frames per second.
    """
    metrics = {}
    for event, at, level in (("grasp", 0, GRASP), ("release", 1, DONE)):
        found = [crossing(curve, level) for curve in curves]
        metrics[event] = {
            "reward": [float(curve[frames[at]]) for curve, frames in zip(curves, switches, strict=True)],
            "delay_s": [
                None if frame is None else (frame - frames[at]) / fps
                for frame, frames in zip(found, switches, strict=True)
            ],
        }
    return metrics


def spread(values: list[float | None], unit: str = "") -> str:
    """'0.52 ± 0.08', and how many values are missing."""
    known = [value for value in values if value is not None]
    never = f", {len(values) - len(known)} never" if len(known) < len(values) else ""
    return (
        f"{np.mean(known):.2f}{unit} ± {np.std(known, ddof=1):.2f}{never}"
        if len(known) > 1
        else "n/a" + never
    )


def table(metrics: dict[str, dict[str, dict]]) -> str:
    """The metrics by label and row, each as `measure` gives them."""
    lines = [
        f"| mean and spread of {len(REAL_HELD_OUT)} episodes | reward at the grasp ({GRASP}) | reward at the release "
        f"({RELEASE:g}) | reaches {GRASP} after the grasp by | reaches {DONE} after the release by |",
        "|---|---|---|---|---|",
    ]
    for label, parts in metrics.items():
        for part, events in parts.items():
            grasp, release = events["grasp"], events["release"]
            lines.append(
                f"| {label}{PARTS[part]} | {spread(grasp['reward'])} | {spread(release['reward'])} "
                f"| {spread(grasp['delay_s'], ' s')} | {spread(release['delay_s'], ' s')} |"
            )
    return "\n".join(lines) + "\n"


def draw(
    path: Path, curves: dict[str, list[np.ndarray]], switches: list[tuple[int, int]], fps: float
) -> None:
    """Draw every held-out episode with the gripper's switches.

    Args:
        path: the PNG file to write.
        curves: (T,) rewards of every episode by label.
        switches: of `switches_of`.
        fps: frames per second.
    """
    figure, axes = plt.subplots(2, 4, figsize=(13, 5), sharey=True, layout="constrained")
    for i, (axis, (grasp, release)) in enumerate(zip(axes.flat, switches, strict=True)):
        for label, of_label in curves.items():
            axis.plot(np.arange(len(of_label[i])) / fps, of_label[i], color=COLOURS[label], label=label)
        for frame, style, name in ((grasp, "--", "grasp"), (release, "-", "release")):
            axis.axvline(frame / fps, color=GREY, linestyle=style, linewidth=1, label=name)
        for level in (GRASP, DONE):
            axis.axhline(level, color="#BBBBBB", linewidth=0.5)
        axis.set(title=f"episode {REAL_HELD_OUT[i]}", xlabel="seconds", ylim=(-0.03, 1.05))
        axis.set_yticks([0, GRASP, DONE])
    for row in axes:
        row[0].set_ylabel("predicted reward")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=100)
    plt.close(figure)
