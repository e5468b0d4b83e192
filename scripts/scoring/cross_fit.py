"""Cross-fitting: score each episode with a policy that has not seen it.

The episodes are dealt into K folds. For each fold lerobot-train trains a policy on all the others, which then scores
the fold. Whatever is done lies in a folder, so that an interrupted cross-fit goes on where it stopped.
"""

import hashlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from shared.checkpoint import read_json
from shared.children import run_lerobot
from shared.cli import UserError, format_episodes, warn
from shared.console import STOPPED
from shared.episodes import episode_lengths
from shared.training import make_command, show

from lerobot.datasets import LeRobotDatasetMetadata
from rewact.labels import find_label_file
from scoring.episodes import score_episodes
from scoring.score_file import read_scores, write_scores

# What a cross-fit sets for every training run.
OWN_FLAGS = ("dataset.repo_id", "dataset.root", "dataset.episodes", "output_dir", "config_path", "resume")


def make_folds(episodes: list[int], tasks: list[list[str]], n_folds: int) -> list[list[int]]:
    """Deal the episodes out, task by task, so that every fold has some of each task.

    Args:
        episodes: the episodes to score.
        tasks: every episode's tasks, by episode index; the first one counts.
        n_folds: the number of folds.
    """
    if not 2 <= n_folds <= len(episodes):
        raise UserError(
            f"--cross-fit {n_folds}: {len(episodes)} episodes can be split into 2 to {len(episodes)} folds."
        )
    by_task = sorted(episodes, key=lambda episode: (tasks[episode][0] if tasks[episode] else "", episode))
    return [sorted(by_task[fold::n_folds]) for fold in range(n_folds)]


def check_extra(extra: list[str]) -> None:
    """Refuse lerobot-train flags that a cross-fit sets itself."""
    names = [arg[2:].split("=")[0] for arg in extra if arg.startswith("--")]
    for name in OWN_FLAGS:
        if name in names:
            raise UserError(f"--cross-fit sets --{name} for every training run: take it out of --args.")
    if "policy.path" in names:
        warn("--policy.path: what that policy had seen is not left out.")


def label_hash(meta: LeRobotDatasetMetadata, extra: list[str]) -> str | None:
    """Changes with the labels to train on; None without a label file."""
    flag = "--dataset.reward_labels="
    named = [arg.removeprefix(flag) for arg in extra if arg.startswith(flag)]
    file = Path(named[-1]).expanduser() if named else find_label_file(meta)
    if file is None or not file.is_file():
        return None
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Write down what is being done in `folder`, or refuse to go on with something else.

    A folder in which no policy has got as far as a checkpoint takes new settings: nothing of the old ones is kept.
    """
    file = folder / "plan.json"
    begun = [*folder.glob("fold-*/checkpoints/last"), *folder.glob("fold-*.parquet")]
    if file.is_file() and begun:
        before = read_json(file)
        if changed := [key for key in plan if before.get(key) != plan[key]]:
            raise UserError(
                f"{folder} holds a cross-fit with other settings ({', '.join(changed)}): remove it to start "
                "again, or name another folder with scripts/score_dataset.py --runs."
            )
        print(f"resuming  {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(plan, indent=1) + "\n")


def train_fold(run: Path, flags: dict[str, str], extra: list[str]) -> Path:
    """Train one fold's policy, or go on with it. Returns its folder."""
    done, policy = run.with_suffix(".trained"), run / "checkpoints" / "last" / "pretrained_model"
    if done.is_file():
        return policy
    config = policy / "train_config.json"
    if config.is_file():
        command, _ = make_command({"config_path": str(config), "resume": "true"}, [])
    else:
        shutil.rmtree(run, ignore_errors=True)  # it stopped before its first checkpoint
        command, _ = make_command(flags | {"output_dir": str(run)}, extra)
    print(show(command), flush=True)
    code = run_lerobot(command)
    if code == STOPPED:
        sys.exit(code)
    if code:
        raise UserError(f"training {run} failed with code {code}, see above. Run this again to go on.")
    if not config.is_file():
        raise UserError(f"training {run} left no checkpoint: --args must not switch it off.")
    done.touch()
    return policy


def time_left(seconds: list[float], policies: int) -> str:
    """How long the policies that are left will take, by how long those before them took."""
    minutes = sum(seconds) / len(seconds) * policies / 60
    return f"about {max(1, round(minutes))} min left"


def cross_fit(
    folder: Path,
    meta: LeRobotDatasetMetadata,
    folds: list[list[int]],
    flags: dict[str, str],
    extra: list[str],
    device: str | None,
    batch_size: int,
) -> dict[int, np.ndarray]:
    """Score each episode with a policy that has not seen it.

    Args:
        folder: where the training runs go, and are resumed.
        meta: the dataset.
        folds: of `make_folds`.
        flags: of lerobot-train for every fold, see `make_flags`.
        extra: further flags, which win over these.
        device, batch_size: to score with, as in `score_episodes`.
    Returns:
        (T,) rewards of each episode.
    """
    flags = {name: value for name, value in flags.items() if name not in ("output_dir", "dataset.episodes")}
    plan = {"flags": flags, "args": extra, "lengths": episode_lengths(meta), "folds": folds}
    check_plan(folder, plan | {"labels": label_hash(meta, extra)})
    episodes = sorted(sum(folds, []))
    scores: dict[int, np.ndarray] = {}
    seconds: list[float] = []  # of each policy that this call trained and that scored
    for i, held_out in enumerate(folds):
        file = folder / f"fold-{i}.parquet"
        if not file.is_file():
            training = sorted(set(episodes) - set(held_out))
            left = f", {time_left(seconds, len(folds) - i)}" if seconds else ""
            print(
                f"\npolicy {i + 1} of {len(folds)}{left}: trains on episodes {format_episodes(training)}, "
                f"scores {format_episodes(held_out)}",
                flush=True,
            )
            start = time.monotonic()
            policy = train_fold(folder / f"fold-{i}", flags | {"dataset.episodes": str(training)}, extra)
            found = score_episodes(policy, meta, flags.get("dataset.root"), held_out, device, batch_size)
            write_scores(file, meta, found, {"policy": str(policy)})
            seconds.append(time.monotonic() - start)
        scores |= read_scores(file)
    return scores
