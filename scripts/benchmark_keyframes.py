#!/usr/bin/env python
"""What keyframes do to the reward of a real arm: linear labels against the gripper's switches.

    python scripts/benchmark_keyframes.py --real-dataset <folder of cr5_banana>

Trains, with lerobot-train, RewACT on the linear label (the benchmark's own "ours", if it is there) and on keypoints
that `label.py --suggest gripper` proposes (grasp 0.5, release 1.0), on the same episodes and from the same seed. On the
held-out episodes it asks both for the reward at the true grasp and release, and when the reward first reaches 0.5 and
0.95. Writes keyframes.json, keyframes.md and keyframes.png beside the benchmark's results, and resumes as that does.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # before pyplot: no screen is needed, and none may be there

import matplotlib.pyplot as plt
import numpy as np
from benchmark import REAL, REAL_HELD_OUT, SEEDS, TRAININGS, Task, predictions, real_task, train
from cli import UserError, run_cli
from labelling.tools import GRASP, RELEASE, save_labels, suggest_gripper

DONE = 0.95
LINEAR, KEYFRAMES = "linear label", "keyframes at the gripper's switches"
COLOURS = {
    LINEAR: "#E69F00",
    KEYFRAMES: "#0072B2",
}  # Okabe and Ito's, which colour-blind readers can tell apart
PARTS = {"ours": "", "ours, without familiarity": ", `--policy.reward_familiarity=false`"}


def switches_of(root: Path) -> list[tuple[int, int]]:
    """The frames of the grasp and of the release in every held-out episode."""
    events = json.loads((root / "events.json").read_text())
    return [
        (events[str(index)]["gripper_switches"][0], events[str(index)]["gripper_switches"][-1])
        for index in REAL_HELD_OUT
    ]


def curves_of(task: Task, root: Path, seed: int, output: Path) -> dict[str, dict[str, list[np.ndarray]]]:
    """The held-out curves by label and by part of the reward, from what is there or trained anew."""
    labels = output / "data" / "cr5_gripper.json"
    suggested = suggest_gripper(root, task.fps)
    save_labels(labels, {str(index): entry for index, entry in suggested.items() if entry})
    flags = {LINEAR: {}, KEYFRAMES: {"dataset.reward_labels": str(labels)}}
    names = {LINEAR: "ours", KEYFRAMES: "ours, keyframes"}
    curves = {}
    for label, more in flags.items():
        run = output / "runs" / REAL / f"seed{seed}" / names[label]
        train(run, REAL, task.train, seed, task.flags | TRAININGS["ours"] | more)
        file = output / "predictions" / REAL / f"seed{seed}" / f"{names[label]}.npz"
        curves[label] = predictions(task, "ours", run / "checkpoints/last/pretrained_model", file)
    return curves


def crossing(curve: np.ndarray, level: float) -> int | None:
    """The first frame in which the reward is at the level or above it."""
    above = np.flatnonzero(curve >= level)
    return int(above[0]) if len(above) else None


def measure(curves: list[np.ndarray], switches: list[tuple[int, int]], fps: float) -> dict:
    """By event, the rewards at it and the seconds by which the reward reaches its level too late (early: below 0)."""
    figures = {}
    for event, at, level in (("grasp", 0, GRASP), ("release", 1, DONE)):
        found = [crossing(curve, level) for curve in curves]
        figures[event] = {
            "reward": [float(curve[frames[at]]) for curve, frames in zip(curves, switches, strict=True)],
            "delay_s": [
                None if frame is None else (frame - frames[at]) / fps
                for frame, frames in zip(found, switches, strict=True)
            ],
        }
    return figures


def spread(values: list[float | None], unit: str = "") -> str:
    """'0.52 ± 0.08', and how many there are none of."""
    known = [value for value in values if value is not None]
    never = f", {len(values) - len(known)} never" if len(known) < len(values) else ""
    return (
        f"{np.mean(known):.2f}{unit} ± {np.std(known, ddof=1):.2f}{never}"
        if len(known) > 1
        else "n/a" + never
    )


def table(figures: dict[str, dict[str, dict]]) -> str:
    lines = [
        f"| mean and spread of {len(REAL_HELD_OUT)} episodes | reward at the grasp ({GRASP}) | reward at the release "
        f"({RELEASE:g}) | reaches {GRASP} after the grasp by | reaches {DONE} after the release by |",
        "|---|---|---|---|---|",
    ]
    for label, parts in figures.items():
        for part, events in parts.items():
            grasp, release = events["grasp"], events["release"]
            lines.append(
                f"| {label}{PARTS[part]} | {spread(grasp['reward'])} | {spread(release['reward'])} "
                f"| {spread(grasp['delay_s'], ' s')} | {spread(release['delay_s'], ' s')} |"
            )
    return "\n".join(lines) + "\n"


def draw(
    path: Path, curves: dict[str, list[np.ndarray]], switches: list[tuple[int, int]], fps: float, part: str
) -> None:
    """Every held-out episode, with the switches."""
    figure, axes = plt.subplots(2, 4, figsize=(13, 5), sharey=True, layout="constrained")
    for i, (axis, (grasp, release)) in enumerate(zip(axes.flat, switches, strict=True)):
        for label, of_label in curves.items():
            axis.plot(np.arange(len(of_label[i])) / fps, of_label[i], color=COLOURS[label], label=label)
        for frame, style, name in ((grasp, "--", "grasp"), (release, "-", "release")):
            axis.axvline(frame / fps, color="#666666", linestyle=style, linewidth=1, label=name)
        for level in (GRASP, DONE):
            axis.axhline(level, color="#BBBBBB", linewidth=0.5)
        axis.set(title=f"episode {REAL_HELD_OUT[i]}", xlabel="seconds", ylim=(-0.03, 1.05))
        axis.set_yticks([0, GRASP, DONE])
    for row in axes:
        row[0].set_ylabel(f"predicted reward\n({part})")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-dataset", type=Path, required=True,
        help="the folder of cr5_banana")
    parser.add_argument("--seed", type=int, default=SEEDS[0],
        help="of the trainings")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="that of make benchmark")
    args = parser.parse_args()
    # fmt: on
    if not (args.real_dataset / "events.json").is_file():
        raise UserError(f"no cr5_banana at {args.real_dataset}: there is no events.json in it.")
    task = real_task(args.real_dataset)
    curves = curves_of(task, args.real_dataset, args.seed, args.output_dir)
    switches = switches_of(args.real_dataset)
    truth = [episode["switch"] for episode in task.truth]
    figures = {"the keyframes themselves": {"ours": measure(truth, switches, task.fps)}}
    figures |= {
        label: {part: measure(rows[part], switches, task.fps) for part in PARTS}
        for label, rows in curves.items()
    }
    config = {"seed": args.seed, "episodes": [*REAL_HELD_OUT]}
    (args.output_dir / "keyframes.json").write_text(
        json.dumps({"config": config, "figures": figures}, indent=1)
    )
    (args.output_dir / "keyframes.md").write_text(table(figures))
    part = "ours, without familiarity"
    shown = {label: rows[part] for label, rows in curves.items()}
    draw(args.output_dir / "keyframes.png", shown, switches, task.fps, part.removeprefix("ours, "))
    print(table(figures))


if __name__ == "__main__":
    run_cli(main)
