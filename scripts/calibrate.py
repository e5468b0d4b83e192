#!/usr/bin/env python
"""Find the reward from which on the task counts as done, and put it into the checkpoint.

    make calibrate                                                        # the newest run, its held-out episodes
    make calibrate POLICY=outputs/train/banana EPISODES=40-47
    make calibrate POLICY=outputs/train/banana DATASET=local/banana_more ROOT=data/banana_more

The episodes are successes that the policy was not trained on; those that the labels call failed or exclude are left
out. The threshold is the lowest one at which at most
--early-stops of such episodes would be stopped before they are done, by split conformal prediction: see
lerobot/policies/act/reward_stop.py. It goes into the checkpoint's config.json, as reward_stop_threshold.
"""

import argparse
import json
import os
import sys

import numpy as np
from shared.cli import UserError, format_episodes, parse_episodes, run_cli
from visualise import Opened, choose_device, open_run, predict, read_json, rows_of_episode

from lerobot.policies.act.reward_stop import EARLY_STOPS, HOLD_S, conformal_threshold, early_peak, hold_frames


def predict_episodes(opened: Opened, batch_size: int = 32) -> list[np.ndarray]:
    """The (T,) rewards of every episode, as `select_action` gives them."""
    return [
        np.array([reward for _, reward, _ in frames])
        for episode in opened.choice.episodes
        for frames in [
            predict(
                opened.policy,
                opened.preprocessor,
                opened.dataset,
                rows_of_episode(opened.dataset, episode),
                opened.inputs,
                batch_size,
            )
        ]
    ]


def leave_out_failures(opened: Opened) -> None:
    """Keep the successes alone: neither failed episodes, nor those of which the labels say nothing."""
    labels, episodes = opened.labels, opened.choice.episodes
    unfit = [e for e in episodes if e in labels.failed or not labels.is_labelled(e)]
    if not unfit:
        return
    if len(unfit) == len(episodes):
        raise UserError(
            f"the labels say of episodes {format_episodes(unfit)} that they failed or are excluded: name successes "
            "(EPISODES=, or DATASET= and ROOT= of another recording)."
        )
    print(
        f"WARNING   left out, as the labels say that they failed or are excluded: {format_episodes(unfit)}.",
        file=sys.stderr,
    )
    opened.choice.episodes = [e for e in episodes if e not in unfit]


def store(opened: Opened, threshold: float) -> None:
    """Write the threshold into the checkpoint's config.json, whole or not at all."""
    path = opened.folder / "config.json"
    config = read_json(path) | {"reward_stop_threshold": threshold}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(config, indent=4) + "\n")
    os.replace(partial, path)


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy-path",
        help="run, checkpoint or pretrained_model folder (default: the newest run)")
    parser.add_argument("--dataset-repo-id",
        help="data set of the episodes (default: the one trained on)")
    parser.add_argument("--dataset-root",
        help="its folder, if it is neither on the Hub nor in LeRobot's cache")
    parser.add_argument("--episodes",
        help="successes, such as 40-47 or 0,3,5-7 (default: those that were held out)")
    parser.add_argument("--early-stops", type=float, default=EARLY_STOPS,
        help="the share of successes that may be stopped before they are done")
    parser.add_argument("--device",
        help="cpu, cuda, mps, ... (default: an accelerator if there is one)")
    args = parser.parse_args()
    # fmt: on
    if not 0 < args.early_stops < 1:
        parser.error(f"--early-stops must be between 0 and 1, not {args.early_stops}")
    if args.episodes is not None:
        parse_episodes(args.episodes)
    args.episode_id, args.policy_overrides = None, []

    opened = open_run(args, choose_device(args.device))
    if (opened.folder / "config.json").is_symlink():
        raise UserError(
            f"{opened.folder} is in the Hub's cache: download the model into a folder of your own."
        )
    if opened.choice.rule in ("trained-on-all", "unknown"):
        raise UserError(
            "no episodes are known to be held out from training: name successes that it has not seen "
            "(EPISODES=, or DATASET= and ROOT= of another recording)."
        )
    leave_out_failures(opened)
    never = [episode for episode in opened.choice.episodes if opened.label(episode).max() < 1]
    if never:
        raise UserError(
            f"episodes {format_episodes(never)} are labelled as never done: name successes alone (EPISODES=)."
        )
    fps = opened.dataset.meta.fps
    rewards = predict_episodes(opened)
    completions = [int(np.argmax(opened.label(episode) >= 1)) for episode in opened.choice.episodes]
    hold = hold_frames(HOLD_S, fps)
    peaks = [early_peak(r, done, hold) for r, done in zip(rewards, completions, strict=True)]
    threshold = conformal_threshold(peaks, args.early_stops)
    n = len(rewards)
    if threshold > 1:
        raise UserError(
            f"no threshold keeps early stops to {args.early_stops:.0%}: in {sum(p >= 1 for p in peaks)} of {n} "
            f"episodes the reward is 1 for {HOLD_S} s before the task is done. Nothing was written."
        )
    store(opened, threshold)
    reached = sum(reward[-1] >= threshold for reward in rewards)
    print(
        f"threshold {threshold:.4f}, held for {HOLD_S} s, from {n} episodes; {reached} of them end above it"
    )
    if n + 1 < 1 / args.early_stops:
        print(
            f"WARNING   {n} episodes promise no more than {1 / (n + 1):.0%} early stops; "
            f"{args.early_stops:.0%} takes {int(np.ceil(1 / args.early_stops)) - 1}.",
            file=sys.stderr,
        )
    print(f"written to {opened.folder / 'config.json'}")


if __name__ == "__main__":
    run_cli(main)
