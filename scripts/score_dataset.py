#!/usr/bin/env python
"""Score every frame of a dataset with RewACT's reward, and weight a training run by it (LeRobot's RA-BC).

    make score                                               # the last training run scores its dataset
    make score POLICY=outputs/train/cups DATASET=me/new_cups ROOT=data/new_cups
    make score DATASET=me/cups CROSS_FIT=5 STEPS=20000       # by five models that have not seen what they score
    make train DATASET=me/cups ROOT=data/cups ARGS="--sample_weighting.type=rabc"

A policy knows the episodes that it was trained on, and its reward for them says little. With --cross-fit K the
episodes are dealt into K folds; for each of them lerobot-train trains a policy on the others, which scores the
fold. It resumes where it stopped.

The file is the parquet that LeRobot's RA-BC reads: index, episode_index, frame_index, progress_sparse. The
progress is the reward as select_action gives it along the episode. Without --output the file lies where RA-BC
looks when a dataset has a root.
"""

import shared.loading  # noqa: F401  # isort: skip

import argparse
import shlex
from pathlib import Path

import numpy as np
from scoring.cross_fit import check_extra, cross_fit, make_folds
from scoring.episodes import score_episodes
from scoring.score_file import check_output, write_scores
from shared.checkpoint import choose_device
from shared.cli import Parser, UserError, at_least, format_episodes, parse_episodes, run_cli, say_next, warn
from shared.episodes import choose_episodes, load_meta
from shared.predict import BATCH_SIZE
from shared.run import Run, add_run_arguments, find_run
from shared.training import make_flags

from lerobot.datasets import LeRobotDatasetMetadata
from rewact.scores import SCORES_PATH

RUNS = Path("outputs/score")

Scores = dict[int, np.ndarray]  # (T,) rewards of each episode


def requested(text: str | None, meta: LeRobotDatasetMetadata) -> list[int]:
    """The episodes that --episodes names, sorted; all without it."""
    return list(range(meta.total_episodes)) if text is None else sorted(parse_episodes(text))


def score_with_policy(
    run: Run, episodes: list[int], output: Path, device: str | None, batch_size: int
) -> Scores:
    """Score the episodes with the run's policy, and write the file."""
    choice = choose_episodes(run.train_config, run.meta, episodes)
    print(f"episodes  {format_episodes(choice.episodes)}")
    if choice.trained_on is None:
        warn("which episodes the policy was trained on is unknown.")
    elif seen := set(choice.trained_on) & set(choice.episodes):
        warn(
            f"the policy was trained on {len(seen)} of these {len(choice.episodes)} episodes: its rewards "
            "for them say little. --cross-fit 5 scores each episode with a model that has not seen it."
        )
    scores = score_episodes(run.folder, run.meta, run.root, choice.episodes, device, batch_size)
    write_scores(output, run.meta, scores, {"policy": str(run.folder)})
    return scores


def report(scores: Scores, output: Path, repo_id: str, root: str | None) -> None:
    """Say what the scores are like, and how to train with them."""
    final = {episode: float(score[-1]) for episode, score in scores.items()}
    worst = min(final, key=final.__getitem__)
    print(
        f"\nwritten to {output}: {sum(map(len, scores.values()))} frames of {len(scores)} episodes. The last frame is scored "
        f"{np.mean(list(final.values())):.2f} on average; the lowest, {final[worst]:.2f}, is that of episode {worst}."
    )
    flags = ["--sample_weighting.type=rabc"]
    if root is None or output.resolve() != (Path(root) / SCORES_PATH).resolve():
        flags.append(f"--sample_weighting.progress_path={output}")
    where = "" if root is None else f" ROOT={shlex.quote(str(root))}"
    args = shlex.quote(" ".join(flags))
    say_next(f"weight a training run by it: make train DATASET={repo_id}{where} ARGS={args}")


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_arguments(parser,
        dataset="dataset to score (default: the one trained on; with --cross-fit the demo dataset)",
        episodes="episodes to score, such as 0-39 or 0,3,5-7 (default: all)")
    parser.add_argument("--output", type=Path, metavar="FILE",
        help=f"the parquet file (default: {SCORES_PATH} in the folder of the dataset)")
    parser.add_argument("--cross-fit", type=int, metavar="K",
        help="train K policies, and score each episode with the one that has not seen it")
    parser.add_argument("--steps", type=int,
        help="training steps of each of them, as in train.py")
    parser.add_argument("--args", default="",
        help="further lerobot-train flags for them in one string, as in train.py")
    parser.add_argument("--runs", type=Path, metavar="DIR",
        help=f"where the training runs of --cross-fit go, and are resumed (default: {RUNS}/NAME)")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, metavar="N",
        help="frames per model call; changes the speed, not the scores")
    # fmt: on
    args = parser.parse_args()
    at_least(parser, args, batch_size=1)
    if args.cross_fit is not None and args.policy_path:
        raise UserError("--cross-fit trains policies of its own: leave out --policy-path.")
    if args.cross_fit is None and (args.args or args.steps is not None or args.runs):
        raise UserError("--steps, --args and --runs are for the training runs of --cross-fit.")
    return args


def main() -> None:
    args = parse_args()
    device = choose_device(args.device)  # refused now, and not after hours of training
    if args.cross_fit is None:
        run = find_run(args.policy_path, args.dataset_repo_id, args.dataset_root)
        repo_id, root = run.meta.repo_id, run.root
        output = args.output or Path(run.meta.root) / SCORES_PATH
        episodes = requested(args.episodes, run.meta)
        check_output(output, episodes, is_cross_fit=False)
        scores = score_with_policy(run, episodes, output, device, args.batch_size)
    else:
        extra = shlex.split(args.args)
        check_extra(extra)
        flags = make_flags(args.dataset_repo_id, args.dataset_root, steps=args.steps)
        repo_id, root = flags["dataset.repo_id"], flags.get("dataset.root")
        meta = load_meta(repo_id, root)
        output = args.output or Path(meta.root) / SCORES_PATH
        episodes = choose_episodes(None, meta, requested(args.episodes, meta)).episodes
        check_output(output, episodes, is_cross_fit=True)
        folds = make_folds(episodes, meta.episodes["tasks"], args.cross_fit)
        folder = args.runs or RUNS / repo_id.split("/")[-1]
        scores = cross_fit(folder, meta, folds, flags, extra, device, args.batch_size)
        write_scores(output, meta, scores, {"cross_fit": str(folder), "folds": folds})
    report(scores, output, repo_id, root)


if __name__ == "__main__":
    run_cli(main)
