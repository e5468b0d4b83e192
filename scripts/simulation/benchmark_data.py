"""The benchmark's datasets of a task (`train`, `success` and `failures`), and the truth about their frames.

make_task("drawer-open-v3", Path("outputs/benchmark/data/drawer-open-v3"))
load_truth(Path("outputs/benchmark/data/drawer-open-v3/success"))[0]["phase"]
"""

import json
from pathlib import Path

import numpy as np

from simulation.benchmark_episodes import BENCHMARK, TRUTHS
from simulation.benchmark_plans import FAILURE_KINDS, KINDS
from simulation.dataset import Wanted, is_complete, make_datasets


def make_task(
    task: str,
    root: Path,
    train: int = 40,
    success: int = 20,
    failures: int = 10,
    image_size: int = 96,
    seed: int = 0,
    n_workers: int = 2,
    overwrite: bool = False,
) -> None:
    """Make a task's datasets in the folder `root`: those that are missing or, to overwrite, all.

    Args:
        train: the number of demonstrations.
        success: the number of held-out successes.
        failures: the number of failures of each kind.
    """
    kinds = {
        "train": ["train"] * train,
        "success": ["success"] * success,
        "failures": [kind for kind in FAILURE_KINDS for _ in range(failures)],
    }
    common = {"task": task, "image_size": image_size, "seed": seed, "held_out": 0, "version": 1}
    wanted = [
        Wanted(
            root=root / name,
            settings=common | {"kind": name, "episodes": len(kinds[name])},
            # A failure's number within its kind: more failures of one kind leave the others unchanged.
            episodes=[(kind, kinds[name][:i].count(kind)) for i, kind in enumerate(kinds[name])],
        )
        for name in kinds
        if kinds[name]
    ]
    missing = [each for each in wanted if not is_complete(each, BENCHMARK, overwrite)]
    make_datasets(BENCHMARK, missing, n_workers)


def load_truth(root: Path) -> list[dict]:
    """Every episode's record (kind, seed, ...), and its truth as arrays (N,), one value per frame."""
    records = json.loads((Path(root) / BENCHMARK.record).read_text())["episodes"]
    dtypes = {"success": bool, "stage": int}
    for record in records:
        truth = record.pop("truth")
        record |= {name: np.array(truth[name]).astype(dtypes.get(name, float)) for name in TRUTHS}
    return records


def load_cr5_truth(root: Path) -> list[dict]:
    """The labels of the CR5 arm's episodes (a folder of cr5_banana, see the README), all of which succeed.

    Per episode: `linear` (N,), the package's own label at its default settings, and `switch` (N,), which rises to 0.5
    at the grasp and to 1 at the release: the first and the last switch of the gripper.
    """
    from lerobot.configs.default import DatasetConfig
    from rewact.progress import progress_reward

    episodes = []
    for index, event in json.loads((Path(root) / "events.json").read_text()).items():
        frames, switches = np.arange(event["length"]), event["gripper_switches"]
        linear = progress_reward(
            frames, event["length"], DatasetConfig.reward_start_pct, DatasetConfig.reward_end_pct
        )
        switch = np.interp(frames, [0, switches[0], switches[-1]], [0, 0.5, 1])
        episode = {"episode": int(index), "length": event["length"]}
        episodes.append(episode | {"linear": linear, "switch": switch})
    return episodes


def summarise(root: Path) -> str:
    """One line about a dataset."""
    episodes = load_truth(root)
    lengths = [episode["length"] for episode in episodes]
    line = f"{root}: {len(episodes)} episodes of {min(lengths)} to {max(lengths)} frames"
    for kind in KINDS:
        attempts = [episode["attempts"] for episode in episodes if episode["kind"] == kind]
        line += f", {len(attempts)} {kind} in {sum(attempts)} attempts" if attempts else ""
    return line
