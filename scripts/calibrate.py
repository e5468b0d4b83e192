#!/usr/bin/env python
"""Find the reward from which on the task counts as done, and put it into the checkpoint.

    make calibrate                                                        # the newest run, its held-out episodes
    make calibrate POLICY=outputs/train/banana EPISODES=40-47
    make calibrate POLICY=outputs/train/banana DATASET=local/banana_more ROOT=data/banana_more EPISODES=0-9

The episodes are successes that the policy was not trained on. Those that the labels or `next.success` call failed, and
those that the labels exclude, are left out. The threshold is the lowest one at which at most --early-stops of such
episodes would be stopped before they are done, by split conformal prediction. It goes into the checkpoint's config.json,
as reward_stop_threshold. What it was found on goes into reward_calibration.json beside it, for the model card (make card).
"""

import shared.loading  # noqa: F401  # isort: skip

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from shared.checkpoint import CALIBRATION, read_json
from shared.cli import Parser, UserError, format_episodes, run_cli, say_next, warn
from shared.frames import rows_of_episode
from shared.next_step import rollout_command
from shared.outcomes import known_outcomes
from shared.predict import predict_episode
from shared.run import Opened, add_run_arguments, find_run, open_run
from shared.stop_frame import stop_frame
from tqdm import tqdm

from rewact.stopping import (
    EARLY_STOPS,
    HOLD_S,
    conformal_threshold,
    early_peak,
    hold_frames,
)


def predict_episodes(opened: Opened) -> list[np.ndarray]:
    """The (T,) rewards of every chosen episode."""
    dataset, episodes = opened.loaded.dataset, opened.choice.episodes
    total = sum(len(rows_of_episode(dataset, episode)) for episode in episodes)
    with tqdm(total=total, unit="frame", desc="predicting") as progress:
        return [predict_episode(opened.loaded, episode, progress=progress) for episode in episodes]


def choose_successes(opened: Opened) -> None:
    """Keep only the successes, and print why they count as such.

    Neither failures are kept, nor episodes that the labels exclude, nor those whose labels a policy proposed.
    """
    labels, chosen = opened.labels, opened.choice
    outcomes = known_outcomes(opened.run.meta)
    unfit = [
        e
        for e in chosen.episodes
        if e in labels.failed or not labels.is_labelled(e) or outcomes.get(e) is False
    ]
    if unfit and len(unfit) == len(chosen.episodes):
        raise UserError(
            f"episodes {format_episodes(unfit)} failed, are excluded, or have labels that a policy proposed and nobody "
            "accepted (make label): name successes (EPISODES=, or DATASET= and ROOT= of another recording)."
        )
    if unfit:
        warn(
            f"left out, as they failed, are excluded, or have labels that nobody accepted: {format_episodes(unfit)}."
        )
    chosen.episodes = [e for e in chosen.episodes if e not in unfit]
    assumed = [e for e in chosen.episodes if e not in outcomes]
    if assumed and chosen.is_other_dataset and chosen.rule != "requested":
        raise UserError(
            f"nothing says whether episodes {format_episodes(assumed)} of '{opened.run.meta.repo_id}' are successes: say "
            "so with make label, or name the successes with EPISODES=."
        )
    why = (
        "you named them"
        if chosen.rule == "requested"
        else "demonstrations, and nothing says that they failed"
    )
    known = len(chosen.episodes) - len(assumed)
    parts = [f"{known} are said to be"] if known else []
    parts += [f"{len(assumed)} are taken as such ({why})"] if assumed else []
    print(f"successes {format_episodes(chosen.episodes)}: {', '.join(parts)}")


def calibrate(rewards: list[np.ndarray], completions: list[int], fps: float, early_stops: float) -> float:
    """The threshold for the stop rule, or a UserError if none keeps early stops rare enough.

    Args:
        rewards: (T,) of every success.
        completions: the frame in which the task is done, of every success.
        fps: frames per second.
        early_stops: the share of successes that may be stopped before they are done.
    """
    if not all(np.isfinite(reward).all() for reward in rewards):
        raise UserError("the policy's reward is not a number: its weights are broken. Nothing was written.")
    hold = hold_frames(HOLD_S, fps)
    peaks = [early_peak(r, done, hold) for r, done in zip(rewards, completions, strict=True)]
    threshold = conformal_threshold(peaks, early_stops)
    if threshold > 1:
        raise UserError(
            f"no threshold keeps early stops to {early_stops:.0%}: in {sum(p >= 1 for p in peaks)} of "
            f"{len(rewards)} episodes the reward is 1 for {HOLD_S} s before the task is done. Nothing was written."
        )
    return threshold


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write the file, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data, indent=4, allow_nan=False) + "\n")
    os.replace(partial, path)


def store(opened: Opened, threshold: float, early_stops: float, never_stopped: int) -> None:
    """Write the threshold into the checkpoint's config.json, and beside it what it was found on."""
    folder, choice = opened.run.folder, opened.choice
    write_json(
        folder / "config.json", read_json(folder / "config.json") | {"reward_stop_threshold": threshold}
    )
    calibration = {
        "threshold": threshold,
        "early_stops": early_stops,
        "dataset": opened.run.meta.repo_id,
        "episodes": choice.episodes,
        # None: not known
        "trained_on": None
        if choice.trained_on is None
        else sorted(set(choice.trained_on) & set(choice.episodes)),
        "never_stopped": never_stopped,
    }
    write_json(folder / CALIBRATION, calibration)


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_run_arguments(parser,
        dataset="dataset of the episodes (default: the one trained on)",
        episodes="successes, such as 40-47 or 0,3,5-7 (default: those that were held out)")
    parser.add_argument("--early-stops", type=float, default=EARLY_STOPS, metavar="SHARE",
        help="the share of successes that may be stopped before they are done")
    # fmt: on
    args = parser.parse_args()
    if not 0 < args.early_stops < 1:
        parser.error(f"--early-stops must be between 0 and 1, not {args.early_stops}")
    return args


def main() -> None:
    args = parse_args()
    run = find_run(args.policy_path, args.dataset_repo_id, args.dataset_root)
    opened = open_run(run, args.episodes, args.device)
    if (run.folder / "config.json").is_symlink():
        raise UserError(f"{run.folder} is in the Hub's cache: download the model into a folder of your own.")
    if opened.choice.rule in ("trained-on-all", "unknown"):
        raise UserError(
            "no episodes are known to be held out from training: name successes that it has not seen "
            "(EPISODES=, or DATASET= and ROOT= of another recording)."
        )
    choose_successes(opened)
    labels = [opened.label(episode) for episode in opened.choice.episodes]
    never = [e for e, label in zip(opened.choice.episodes, labels, strict=True) if label.max() < 1]
    if never:
        raise UserError(
            f"episodes {format_episodes(never)} are labelled as never done: name only successes (EPISODES=)."
        )
    rewards = predict_episodes(opened)
    completions = [int(np.argmax(label >= 1)) for label in labels]
    threshold = calibrate(rewards, completions, run.meta.fps, args.early_stops)
    reached = sum(stop_frame(reward, threshold, run.meta.fps) is not None for reward in rewards)
    if 2 * reached <= len(rewards):
        raise UserError(
            f"only {reached} of {len(rewards)} successes would ever stop at the threshold {threshold:.4f}: the reward does "
            "not tell their end from what comes before. Are they successes, as in training? Nothing was written."
        )
    n = len(rewards)
    store(opened, threshold, args.early_stops, n - reached)
    print(
        f"threshold {threshold:.4f}, held for {HOLD_S} s, from {n} successes; {n - reached} of them would never stop"
    )
    if n + 1 < 1 / args.early_stops:
        warn(
            f"{n} episodes promise no more than {1 / (n + 1):.0%} early stops; "
            f"{args.early_stops:.0%} takes {int(np.ceil(1 / args.early_stops)) - 1}."
        )
    print(f"written to {run.folder / 'config.json'}")
    say_next(f"let the arm stop by itself: {rollout_command(run.folder, run.meta)}")


if __name__ == "__main__":
    run_cli(main)
