"""The benchmark's datasets of a task (`train`, `success` and `failures`), and the truth about their frames.

make_task("drawer-open-v3", Path("outputs/benchmark/data/drawer-open-v3"))
load_truth(Path("outputs/benchmark/data/drawer-open-v3/success"))[0]["phase"]
"""

import json
from pathlib import Path

import numpy as np
from lerobot_robot_so101_sim.days import DAYS, SAME

from simulation import benchmark_episodes
from simulation.benchmark_episodes import TRUTHS
from simulation.benchmark_plans import FAILURE_KINDS, KINDS
from simulation.dataset import Wanted, is_complete, make_datasets
from simulation.generator import Recipe
from simulation.so101 import episodes as so101_episodes, plans as so101


def failure_kinds(task: str) -> tuple[str, ...]:
    """The kinds of failures of a task."""
    return so101.FAILURE_KINDS if task in so101.TASKS else FAILURE_KINDS


def recipe_of(task: str, day: str = SAME) -> Recipe:
    """The recipe of a task's episodes on a day."""
    return (so101_episodes if task in so101.TASKS else benchmark_episodes).make_recipe(day)


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
        "failures": [kind for kind in failure_kinds(task) for _ in range(failures)],
    }
    make_missing(
        recipe_of(task), task, root, kinds, {"image_size": image_size, "seed": seed}, n_workers, overwrite
    )


def make_other_day(
    task: str,
    root: Path,
    day: str,
    success: int = 20,
    failures: int = 10,
    image_size: int = 96,
    seed: int = 0,
    n_workers: int = 2,
) -> None:
    """Make the held-out datasets of a task on another day, one of `DAYS`, unless they are there.

    Its episodes are other ones than those of the same day.
    """
    kinds = {
        "success": ["success"] * success,
        "failures": [kind for kind in failure_kinds(task) for _ in range(failures)],
    }
    number = list(DAYS).index(day)
    settings = {"image_size": image_size, "seed": seed + 1000 * number, "day": day}
    make_missing(recipe_of(task, day), task, root, kinds, settings, n_workers, overwrite=False)


def make_missing(
    recipe: Recipe,
    task: str,
    root: Path,
    kinds: dict[str, list[str]],
    settings: dict,
    n_workers: int,
    overwrite: bool,
) -> None:
    """Make datasets whose episodes are of the kinds given, by the datasets' names."""
    common = {"task": task, "held_out": 0, "version": 1} | settings
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
    missing = [each for each in wanted if not is_complete(each, recipe, overwrite)]
    make_datasets(recipe, missing, n_workers)


def load_truth(root: Path) -> list[dict]:
    """Every episode's record (kind, seed, ...), and its truth as arrays (N,), one value per frame."""
    records = json.loads((Path(root) / recipe_of("").record).read_text())["episodes"]
    dtypes = {"success": bool, "stage": int}
    for record in records:
        truth = record.pop("truth")
        record |= {name: np.array(truth[name]).astype(dtypes.get(name, float)) for name in TRUTHS}
    return records


def load_cr5_truth(root: Path) -> list[dict]:
    """The labels of the CR5 arm's episodes (a folder of cr5_banana, see docs/REAL_ARM.md), all of which succeed.

    Per episode: `linear` (N,), the package's own label at its default settings, and `switch` (N,), which rises to 0.5
    at the grasp and to 1 at the release: the first and the last switch of the gripper.
    """
    from rewact.progress import progress_reward

    episodes = []
    for index, event in json.loads((Path(root) / "events.json").read_text()).items():
        frames, switches = np.arange(event["length"]), event["gripper_switches"]
        linear = progress_reward(frames, event["length"])
        switch = np.interp(frames, [0, switches[0], switches[-1]], [0, 0.5, 1])
        episode = {"episode": int(index), "length": event["length"]}
        episodes.append(episode | {"linear": linear, "switch": switch})
    return episodes


def summarise(root: Path) -> str:
    """One line about a dataset."""
    episodes = load_truth(root)
    lengths = [episode["length"] for episode in episodes]
    line = f"{root}: {len(episodes)} episodes of {min(lengths)} to {max(lengths)} frames"
    for kind in dict.fromkeys((*KINDS, *so101.KINDS)):
        attempts = [episode["attempts"] for episode in episodes if episode["kind"] == kind]
        line += f", {len(attempts)} {kind} in {sum(attempts)} attempts" if attempts else ""
    return line
