"""The tasks of the benchmark: what to train on, what to predict, and the truth about it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.cli import UserError
from simulation.benchmark_data import load_cr5_truth, load_truth, make_task
from simulation.benchmark_scenes import TASKS

from benchmarking.recordings import Frames, read_episodes
from lerobot.datasets import LeRobotDatasetMetadata

SIMULATED = TASKS
REAL = "cr5_banana"
REAL_TRAIN, REAL_HELD_OUT = range(40), range(40, 48)


@dataclass
class Task:
    """A task.

    Attributes:
        name: of the task.
        train: the root of the dataset to train on.
        flags: lerobot-train's for this task.
        held_out: the roots of the datasets to predict, with the episodes; successes come first.
        truth: of every held-out episode: kind, phase (T,), done (T,); stage (T,) in the simulator, switch (T,) on the
            real arm.
        train_lengths: frames of every demonstration.
        rest_s: seconds for which the robot stays at its end after every held-out episode, and the stop rule may still
            stop it.
    """

    name: str
    train: Path
    flags: dict[str, str]
    held_out: list[tuple[Path, range | None]]
    truth: list[dict[str, Any]]
    train_lengths: list[int]
    rest_s: float = 0.0

    @cached_property
    def fps(self) -> int:
        return LeRobotDatasetMetadata(f"local/{self.train.name}", root=self.train).fps

    @property
    def rest(self) -> int:
        """`rest_s` in frames."""
        return round(self.rest_s * self.fps)

    def read_held_out(self) -> Iterator[Frames]:
        """The held-out episodes with the rest after them, in the order of `truth`."""
        for root, episodes in self.held_out:
            for frames in read_episodes(root, episodes):
                yield frames.resting(self.rest)

    def read_successes(self) -> Iterator[Frames]:
        """The held-out successes, in the order of `truth`."""
        return read_episodes(*self.held_out[0])


def simulated_task(name: str, data: Path) -> Task:
    """A task of the simulator; its episodes are made in the folder `data` unless they are there."""
    make_task(name, data)
    truth = load_truth(data / "success") + load_truth(data / "failures")
    return Task(
        name=name,
        train=data / "train",
        flags={},
        held_out=[(data / "success", None), (data / "failures", None)],
        truth=[episode | {"done": episode["success"]} for episode in truth],
        train_lengths=[len(episode["phase"]) for episode in load_truth(data / "train")],
    )


def check_real_dataset(root: Path) -> None:
    if not (root / "events.json").is_file():
        raise UserError(f"no cr5_banana at {root}: there is no events.json in it.")


def real_task(root: Path) -> Task:
    """cr5_banana, the recordings of a real arm in the folder `root`.

    The true progress is the linear label; `switch` is the line through grasp and release.
    """
    check_real_dataset(root)
    truth = load_cr5_truth(root)
    return Task(
        name=REAL,
        train=root,
        # the arm records 10 frames per second, the demo 80
        flags={"dataset.episodes": json.dumps([*REAL_TRAIN]), "policy.chunk_size": "20"},
        held_out=[(root, REAL_HELD_OUT)],
        truth=[
            {
                "kind": "success",
                "phase": truth[index]["linear"],
                "done": truth[index]["switch"] >= 1,
                "switch": truth[index]["switch"],
            }
            for index in REAL_HELD_OUT
        ],
        train_lengths=[truth[index]["length"] for index in REAL_TRAIN],
    )
