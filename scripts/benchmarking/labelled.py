"""Trainings with labelled failures: how many does it take, and what do they cost?"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from improving.merge import merge, save_labels, shifted
from shared.cli import UserError
from simulation.benchmark_data import load_truth, make_task
from simulation.environment import FPS

from benchmarking.curves import OK
from benchmarking.measuring import clocks, episodes_of, predictions
from benchmarking.runs import VARIANTS, prediction_folder, run_folder, train
from benchmarking.scores import score
from benchmarking.tasks import simulated_task
from lerobot.datasets import LeRobotDatasetMetadata
from rewact.keypoints import REWARD_LABELS_PATH

LABELLED = (1, 3, 6, 12)  # failures of each kind that are labelled; none of them is held out
KINDS = ("ghost", "miss")  # the failures that the arm's pose does not give away
NOTICED_S = 0.5  # seconds after which a person notices
MOVES = 1e-4  # metres in a frame, 8 mm in a second


def failed_at(truth: dict) -> int:
    """The frame in which a person would notice the failure: soon after the object should have moved on.

    That is after it has moved for the last time, after the hand has reached it, or after half of the motion. Up to then a
    failure looks like a success, and a label of 0 would contradict those of the successes.
    """
    moved = np.flatnonzero(np.diff(truth["object_travel"]) > MOVES)[-1:] + 1
    near = np.flatnonzero(truth["stage"] >= 1)
    half = np.flatnonzero(truth["phase"] >= 0.5)
    since = np.concatenate([moved, near, half])[0]
    return int(since + NOTICED_S * FPS)


def failures_to_label(name: str, output: Path) -> Path:
    """The root of a dataset with failures of a task that are not held out; it is made unless it is there."""
    folder = output / "data" / name / "labelled"
    make_task(name, folder, train=0, success=0, failures=max(LABELLED), seed=1)
    return folder / "failures"


def join(demonstrations: Path, failures: Path, folder: Path) -> Path:
    """The root of one dataset in `folder` with the demonstrations first, then the failures, and labels of these."""
    root = folder / "dataset"
    if not (root / REWARD_LABELS_PATH).is_file():  # it is written last
        shutil.rmtree(folder, ignore_errors=True)
        demos = LeRobotDatasetMetadata("local/train", root=demonstrations)
        merge(demos, LeRobotDatasetMetadata("local/failures", root=failures), folder)
        truth = load_truth(failures)
        labels = {i: {"failed_at": failed_at(e)} for i, e in enumerate(truth) if e["kind"] in KINDS}
        save_labels(root, {}, labels, demos.total_episodes)
    return root


def of_each_kind(truth: list[dict], n: int) -> list[int]:
    """The indices of the first n failures of each of `KINDS` among episodes with this truth."""
    return sorted(
        index for kind in KINDS for index in [i for i, e in enumerate(truth) if e["kind"] == kind][:n]
    )


def measure(name: str, seed: int, counts: list[int], output: Path) -> dict[str, dict]:
    """Train on the demonstrations and on labelled failures, and score. What is on the disk is not done again.

    The actions of the failures are not learned.

    Args:
        name: of the task, one of Meta-World.
        seed: of the training runs.
        counts: of labelled failures of each of `KINDS`, up to `max(LABELLED)`; 0 is the run "ours" of the benchmark.
        output: the benchmark's folder.
    Returns:
        {count: {row: {metric: value}}}.
    """
    if wrong := [n for n in counts if not 0 <= n <= max(LABELLED)]:
        raise UserError(f"--failures must be 0 to {max(LABELLED)}. Got {wrong[0]}.")
    task = simulated_task(name, output / "data" / name)
    results = {}
    for n in counts:
        run, flags, data = "ours", VARIANTS["ours"], task.train
        if n:
            failures = failures_to_label(name, output)
            data = join(task.train, failures, failures.parent / "with-demonstrations")
            n_demonstrations = len(task.train_lengths)
            used = shifted(of_each_kind(load_truth(failures), n), n_demonstrations)
            run = f"ours, {n} labelled"
            flags = flags | {
                "dataset.episodes": str([*range(n_demonstrations), *used]),
                "dataset.mask_failed_actions": "true",
            }
        trained_on = dataclasses.replace(task, train=data)
        checkpoint = train(run_folder(output, name, seed, run), trained_on, seed, flags)
        rows = predictions(task, checkpoint, prediction_folder(output, name, seed) / f"{run}.npz")
        ok = rows.pop(OK, None)
        rows = {"clock": clocks(task)} | rows
        results[str(n)] = {
            row: score(episodes_of(task, curves, ok if row == "ours" else None))
            for row, curves in rows.items()
        }
    return results
