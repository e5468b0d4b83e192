#!/usr/bin/env python
"""Score every frame of a data set with RewACT's reward, and weight a training by it (LeRobot's RA-BC).

    make score                                               # the last training run scores its data set
    make score POLICY=outputs/train/cups DATASET=me/new_cups ROOT=data/new_cups
    make score DATASET=me/cups CROSS_FIT=5 STEPS=20000       # by five models that have not seen what they score
    make train DATASET=me/cups ROOT=data/cups ARGS="--sample_weighting.type=rabc"

A policy knows the episodes that it was trained on, and its reward for them says little. With --cross-fit K the
episodes are dealt into K parts, K policies are trained by lerobot-train on what one part leaves, and each
scores the part that it has not seen. It resumes where it stopped.

The file is the parquet that LeRobot's RA-BC reads: index, episode_index, frame_index, progress_sparse. The
progress is the reward as select_action gives it along the episode. Without --output it lies where RA-BC
looks when a data set has a root.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import train
from shared.cli import UserError, at_least, format_episodes, parse_episodes, run_cli
from shared.episodes import choose_episodes, episode_lengths, load_meta
from tqdm import tqdm
from visualise import choose_device, find_run, load, predict, read_json, rows_of_episode

from lerobot.datasets import LeRobotDatasetMetadata

RABC_FILE = "sarm_progress.parquet"  # where RA-BC looks in the root of a data set
SOURCE = b"rewact"  # the key in the file's metadata under which it says who made it
RUNS = Path("outputs/score")
# What --cross-fit sets for every training.
OWN_FLAGS = ("dataset.repo_id", "dataset.root", "dataset.episodes", "output_dir", "config_path", "resume")


# ---- The file ----


def read_source(path: Path) -> dict[str, Any] | None:
    """What made a file of scores; None if it was not this script."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is there and is no parquet file: give another --output.") from error
    return json.loads(metadata[SOURCE]) if SOURCE in metadata else None


def check_output(path: Path) -> None:
    """Refuses to overwrite the scores of another reward model, before any work is done."""
    if path.is_dir():
        raise UserError(f"--output {path} is a folder: name a file.")
    if path.is_file() and read_source(path) is None:
        raise UserError(
            f"{path} has the scores of another reward model: give another --output, or remove it."
        )


def write_scores(
    path: Path, meta: LeRobotDatasetMetadata, scores: dict[int, np.ndarray], source: dict[str, Any]
) -> None:
    """Writes the file in one go: it is there as a whole or not at all.

    Args:
        path: the file.
        meta: the data set.
        scores: (T,) rewards of each episode.
        source: what made them.
    """
    episodes = sorted(scores)
    starts = [int(meta.episodes["dataset_from_index"][episode]) for episode in episodes]
    frames = [np.arange(len(scores[episode])) for episode in episodes]
    columns = {
        "index": np.concatenate([start + frame for start, frame in zip(starts, frames, strict=True)]),
        "episode_index": np.repeat(episodes, [len(frame) for frame in frames]),
        "frame_index": np.concatenate(frames),
    }
    table = pa.table(
        {name: column.astype(np.int64) for name, column in columns.items()}
        | {"progress_sparse": np.concatenate([scores[episode] for episode in episodes]).astype(np.float32)}
    )
    table = table.replace_schema_metadata({SOURCE: json.dumps(source).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_scores(path: Path) -> dict[int, np.ndarray]:
    """The (T,) rewards of each episode in a file."""
    table = pq.read_table(path)
    episode = table["episode_index"].to_numpy()
    reward = table["progress_sparse"].to_numpy()
    return {int(index): reward[episode == index] for index in np.unique(episode)}


# ---- Scoring ----


def score_episodes(
    folder: Path, meta: LeRobotDatasetMetadata, root: str | None, episodes: list[int], args: Namespace
) -> dict[int, np.ndarray]:
    """The (T,) rewards of each episode by the policy in `folder`."""
    policy, preprocessor, dataset, inputs = load(folder, meta, root, episodes, args.device)
    scores = {}
    rows = {episode: rows_of_episode(dataset, episode) for episode in episodes}
    with tqdm(total=sum(map(len, rows.values())), unit="frame") as progress:
        for episode in episodes:
            progress.set_description(f"episode {episode}")
            rewards = []
            for _, reward, _ in predict(
                policy, preprocessor, dataset, rows[episode], inputs, args.batch_size
            ):
                rewards.append(reward)
                progress.update()
            scores[episode] = np.array(rewards, dtype=np.float32)
    return scores


def requested(text: str | None, meta: LeRobotDatasetMetadata) -> list[int]:
    """The episodes asked for, or all."""
    return list(range(meta.total_episodes)) if text is None else sorted(parse_episodes(text))


def score_with_policy(args: Namespace) -> tuple[LeRobotDatasetMetadata, str | None, Path]:
    """Scores the episodes with one policy. Returns the data set's metadata, its root, and the file."""
    run = find_run(args)
    choice = choose_episodes(run.train_config, run.meta, requested(args.episodes, run.meta))
    episodes, trained_on = choice.episodes, choice.trained_on
    output = args.output or Path(run.meta.root) / RABC_FILE
    check_output(output)
    print(f"episodes  {format_episodes(episodes)}")
    if trained_on is None:
        print("WARNING   which episodes the policy was trained on is unknown.")
    elif seen := sorted(set(trained_on) & set(episodes)):
        print(
            f"WARNING   the policy was trained on {len(seen)} of these {len(episodes)} episodes: its rewards for "
            "them say little. --cross-fit 5 scores each episode with a model that has not seen it."
        )
    scores = score_episodes(run.folder, run.meta, run.root, episodes, args)
    write_scores(output, run.meta, scores, {"policy": str(run.folder)})
    return run.meta, run.root, output


# ---- Cross-fitting ----


def make_folds(episodes: list[int], tasks: list[list[str]], n_folds: int) -> list[list[int]]:
    """Deals the episodes out, task by task, so that every part has some of each task.

    Args:
        episodes: the episodes to score.
        tasks: every episode's tasks, by episode index; the first one counts.
        n_folds: the number of parts.
    """
    if not 2 <= n_folds <= len(episodes):
        raise UserError(
            f"--cross-fit {n_folds}: it takes 2 to {len(episodes)} parts of {len(episodes)} episodes."
        )
    by_task = sorted(episodes, key=lambda episode: (tasks[episode][0] if tasks[episode] else "", episode))
    return [sorted(by_task[fold::n_folds]) for fold in range(n_folds)]


def check_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Writes down what is being done in `folder`, or refuses to go on with something else."""
    file = folder / "plan.json"
    if file.is_file():
        before = read_json(file)
        if changed := [key for key in plan if before.get(key) != plan[key]]:
            raise UserError(
                f"{folder} holds a cross-fit with other settings ({', '.join(changed)}): give another --runs, or "
                "remove it."
            )
        print(f"resuming  {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(plan, indent=1) + "\n")


def train_fold(run: Path, flags: dict[str, str], extra: list[str]) -> Path:
    """Trains, or goes on with, one fold's policy; returns its folder."""
    done, policy = run.with_suffix(".trained"), run / "checkpoints" / "last" / "pretrained_model"
    if done.is_file():
        return policy
    config = policy / "train_config.json"
    if config.is_file():
        command, _ = train.make_command({"config_path": str(config), "resume": "true"}, [])
    else:
        shutil.rmtree(run, ignore_errors=True)  # stopped before its first checkpoint
        command, _ = train.make_command(flags | {"output_dir": str(run)}, extra)
    print("lerobot-train", shlex.join(command[1:]), flush=True)
    if code := subprocess.run(command).returncode:
        raise UserError(f"training {run} failed with code {code}, see above. Run this again to go on.")
    if not config.is_file():
        raise UserError(f"training {run} left no checkpoint: --args must not switch it off.")
    done.touch()
    return policy


def cross_fit(args: Namespace) -> tuple[LeRobotDatasetMetadata, str | None, Path]:
    """Scores each episode with a policy that has not seen it. Returns as `score_with_policy`."""
    extra = shlex.split(args.args)
    names = [arg[2:].split("=")[0] for arg in extra if arg.startswith("--")]
    for name in OWN_FLAGS:
        if name in names:
            raise UserError(f"--cross-fit sets --{name} for every training: take it out of --args.")
    if "policy.path" in names:
        print("WARNING   --policy.path: what that policy had seen is not left out.")
    flags = train.make_flags(
        Namespace(
            dataset=args.dataset_repo_id, root=args.dataset_root, episodes=None, steps=args.steps,
            output=None, wandb="disabled",
        )
    )  # fmt: skip
    repo_id, root = flags["dataset.repo_id"], flags.get("dataset.root")
    meta = load_meta(repo_id, root)
    output = args.output or Path(meta.root) / RABC_FILE
    check_output(output)
    episodes = choose_episodes(None, meta, requested(args.episodes, meta)).episodes
    folds = make_folds(episodes, meta.episodes["tasks"], args.cross_fit)
    del flags["output_dir"]
    folder = args.runs or RUNS / repo_id.split("/")[-1]
    plan = {
        "flags": {k: v for k, v in flags.items() if k != "dataset.episodes"},
        "args": extra,
        "lengths": episode_lengths(meta),
        "folds": folds,
    }
    check_plan(folder, plan)

    scores: dict[int, np.ndarray] = {}
    for i, held_out in enumerate(folds):
        file = folder / f"fold-{i}.parquet"
        if not file.is_file():
            training = sorted(set(episodes) - set(held_out))
            print(f"fold {i + 1}/{len(folds)}: trains on {format_episodes(training)}", flush=True)
            policy = train_fold(folder / f"fold-{i}", flags | {"dataset.episodes": str(training)}, extra)
            write_scores(
                file, meta, score_episodes(policy, meta, root, held_out, args), {"policy": str(policy)}
            )
        scores |= read_scores(file)
    write_scores(output, meta, scores, {"cross_fit": str(folder), "folds": folds})
    return meta, root, output


# ---- The command ----


def parse_args() -> Namespace:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy-path", metavar="PATH",
        help="run, checkpoint, pretrained_model folder or Hub id (default: newest run)")
    parser.add_argument("--dataset-repo-id", metavar="ID",
        help="data set to score (default: the one trained on; with --cross-fit the demo data set)")
    parser.add_argument("--dataset-root", metavar="DIR",
        help="its folder, if it is neither on the Hub nor in LeRobot's cache")
    parser.add_argument("--episodes", metavar="RANGE",
        help="episodes to score, such as 0-39 or 0,3,5-7 (default: all)")
    parser.add_argument("--output", type=Path, metavar="FILE",
        help=f"the parquet file (default: {RABC_FILE} in the folder of the data set)")
    parser.add_argument("--cross-fit", type=int, metavar="K",
        help="train K policies, and score each episode with the one that has not seen it")
    parser.add_argument("--steps", type=int,
        help="training steps of each of them, as in train.py")
    parser.add_argument("--args", default="",
        help="further lerobot-train flags for them in one string, as in train.py")
    parser.add_argument("--runs", type=Path, metavar="DIR",
        help=f"where the trainings of --cross-fit go, and are resumed (default: {RUNS}/NAME)")
    parser.add_argument("--device",
        help="to score on: cpu, cuda, cuda:1, mps, … (default: an accelerator if there is one)")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N",
        help="frames a model call; changes speed, not scores")
    # fmt: on
    args = parser.parse_args()
    at_least(parser, args, batch_size=1)
    return args


def main() -> None:
    args = parse_args()
    args.device = choose_device(args.device)
    if args.cross_fit is not None and args.policy_path:
        raise UserError("--cross-fit trains policies of its own: leave out --policy-path.")
    if args.cross_fit is None and (args.args or args.steps is not None or args.runs):
        raise UserError("--steps, --args and --runs are for the trainings of --cross-fit.")
    meta, root, output = (cross_fit if args.cross_fit is not None else score_with_policy)(args)

    scores = read_scores(output)
    final = {episode: float(score[-1]) for episode, score in scores.items()}
    worst = min(final, key=final.get)
    print(
        f"\n{output}: {sum(map(len, scores.values()))} frames of {len(scores)} episodes, which end at "
        f"{np.mean(list(final.values())):.2f} on average, episode {worst} lowest at {final[worst]:.2f}"
    )
    flags = ["--sample_weighting.type=rabc"]
    if root is None or output.resolve() != (Path(root) / RABC_FILE).resolve():
        flags.append(f"--sample_weighting.progress_path={output}")
    where = "" if root is None else f" ROOT={shlex.quote(str(root))}"
    print(
        f"Next, weight a training by it: make train DATASET={meta.repo_id}{where} ARGS={shlex.quote(' '.join(flags))}"
    )


if __name__ == "__main__":
    run_cli(main)
