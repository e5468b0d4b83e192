"""What the benchmark measures for one task and one seed. Results that are on the disk are not measured again."""

import json
from pathlib import Path

import numpy as np
from shared.checkpoint import load_policy
from shared.metrics import clock, mae

from benchmarking.actions import action_error, step_times
from benchmarking.curves import OK, latent_gap, predict
from benchmarking.plots import draw_task
from benchmarking.rollout import success_rate
from benchmarking.runs import PLAIN, SEEDS, prediction_folder, run_folder, train
from benchmarking.scores import Episode, score
from benchmarking.tasks import Task


def predictions(task: Task, checkpoint: Path, file: Path) -> dict[str, list[np.ndarray]]:
    """The curves by row and held-out episode, (T + task.rest,) each, from `file` or predicted now.

    They are predicted again if the file's are shorter, or of other episodes.
    """
    rows = load_curves(file) if file.is_file() else {}
    lengths = [len(episode["phase"]) + task.rest for episode in task.truth]
    if not rows or any([len(curve) for curve in curves] != lengths for curves in rows.values()):
        policy, preprocessor, _ = load_policy(checkpoint)
        found = predict(policy, preprocessor, list(task.read_held_out()))
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            file, **{f"{i}/{row}": curve for row, curves in found.items() for i, curve in enumerate(curves)}
        )
        rows = load_curves(file)
    return rows


def load_curves(file: Path) -> dict[str, list[np.ndarray]]:
    """The curves of a file that `predictions` wrote."""
    rows: dict[str, list[np.ndarray]] = {}
    with np.load(file) as saved:
        for key in sorted(saved.files, key=lambda key: int(key.split("/")[0])):
            rows.setdefault(key.split("/", 1)[1], []).append(saved[key])
    return rows


def episodes_of(task: Task, curves: list[np.ndarray], ok: list[np.ndarray] | None = None) -> list[Episode]:
    """The held-out episodes of a task with the rewards that a row predicts, and the ok: both (T + task.rest,)."""
    return [
        Episode(
            kind=e["kind"],
            reward=curve[: len(e["phase"])],
            phase=e["phase"],
            done=e["done"],
            fps=task.fps,
            ok=None if ok is None else ok[i][: len(e["phase"])],
            after=curve[len(e["phase"]) :],
        )
        for i, (e, curve) in enumerate(zip(task.truth, curves, strict=True))
    ]


def clocks(task: Task) -> list[np.ndarray]:
    """The clock of every held-out episode, (T + task.rest,)."""
    mean = float(np.mean(task.train_lengths))
    return [clock(len(e["phase"]) + task.rest, mean) for e in task.truth]


def measure_actions(task: Task, checkpoints: dict[str, Path], file: Path) -> dict[str, dict[str, float]]:
    """Action error, success rate and time of a step by variant, from `file` or measured now.

    A file that lacks a variant, as that of a quick benchmark lacks plain ACT, is measured again as a whole, because
    the policies take turns while they are timed.
    """
    known = json.loads(file.read_text()) if file.is_file() else {}
    if not checkpoints.keys() <= known.keys():
        policies = {
            name: load_policy(folder, needs_reward=name not in PLAIN) for name, folder in checkpoints.items()
        }
        frames = list(task.read_successes())
        times = step_times(policies, frames[0])
        metrics = {
            name: {"action_l1": action_error(*parts, frames), "ms": times[name]}
            for name, parts in policies.items()
        }
        if "plain ACT" in policies:
            for name, parts in policies.items():
                metrics[name]["success_rate"] = success_rate(*parts, task.name, max(task.train_lengths))
        file.write_text(json.dumps(metrics, indent=1))
    return json.loads(file.read_text())


def measure_latent(task: Task, checkpoints: dict[str, Path], file: Path) -> dict[str, dict[str, float]]:
    """What knowing the VAE's latent does to the reward, by variant, from `file` or measured now."""
    if not file.is_file():
        phases = [episode["phase"] for episode in task.truth if episode["kind"] == "success"]
        seen = list(zip(task.read_successes(), phases, strict=True))
        metrics = {
            name: latent_gap(*load_policy(folder)[:2], seen)
            for name, folder in checkpoints.items()
            if name not in PLAIN
        }
        file.write_text(json.dumps(metrics, indent=1))
    return json.loads(file.read_text())


def measure(task: Task, seed: int, variants: dict[str, dict[str, str]], output: Path) -> dict[str, dict]:
    """Train, predict and score, or take what is there.

    Args:
        task: to train on.
        seed: of the training runs.
        variants: {name: lerobot-train's flags} of every policy to compare.
        output: the benchmark's folder.
    Returns:
        The metrics by row of the table; a variant has one row or several.
    """
    predicted = prediction_folder(output, task.name, seed)
    rows = {"clock": clocks(task)}
    checkpoints = {}
    for name, flags in variants.items():
        checkpoints[name] = train(run_folder(output, task.name, seed, name), task, seed, flags)
        if name not in PLAIN:
            rows |= predictions(task, checkpoints[name], predicted / f"{name}.npz")
    metrics = {}
    for row, curves in rows.items():
        if row == OK:
            continue
        metrics[row] = score(episodes_of(task, curves, rows[OK] if row == "ours" else None))
        if "switch" in task.truth[0]:
            metrics[row]["mae_switch"] = float(
                np.mean([mae(curve, e["switch"]) for e, curve in zip(task.truth, curves, strict=True)])
            )
    for measured in (
        measure_actions(task, checkpoints, predicted / "actions.json"),
        measure_latent(task, checkpoints, predicted / "latent.json"),
    ):
        for name, values in measured.items():
            metrics.setdefault(name, {}).update(values)
    if seed == SEEDS[0]:
        draw_task(output / f"{task.name}.png", task.name, task.truth, rows, task.fps)
    return metrics
