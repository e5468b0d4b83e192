#!/usr/bin/env python
"""Run a policy on the simulated SO-101, and count in how many episodes the cube is on the plate.

    python scripts/simulate.py                                        # the newest run, 20 episodes
    python scripts/simulate.py --policy-path outputs/train/RUN --failures none slip missing moved --episodes 10
    python scripts/simulate.py --policy-overrides n_action_steps=5 --output rollouts.json

As fast as the computer can, without lerobot-rollout. The places of cube and plate are none of the demonstrations'.
"""

import shared.loading  # noqa: F401  # isort: skip

import argparse
import json
import os
from pathlib import Path

from lerobot_robot_so101_sim import SO101Sim, SO101SimConfig
from lerobot_robot_so101_sim.days import DAYS, SAME
from lerobot_robot_so101_sim.pick_place import FAILURES
from shared.checkpoint import find_policy, load_policy
from shared.cli import Parser, at_least, run_cli
from shared.rendering import choose_mujoco_gl
from simulation.so101.rollouts import describe, roll_out, summarise


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy-path",
        help="a run, a checkpoint or a model on the Hub (default: the newest run)")
    parser.add_argument("--policy-overrides", nargs="*", default=[], metavar="NAME=VALUE",
        help="fields of the policy's configuration to change")
    parser.add_argument("--episodes", type=int, default=20,
        help="the number of episodes of each failure")
    parser.add_argument("--failures", nargs="+", default=["none"], choices=FAILURES,
        help="what goes wrong")
    parser.add_argument("--day", default=SAME, choices=DAYS,
        help="light, cameras and objects")
    parser.add_argument("--seed", type=int, default=1000,
        help="of the first episode; the next ones follow")
    parser.add_argument("--seconds", type=int, default=20,
        help="the longest episode, in simulated time")
    parser.add_argument("--output", type=Path,
        help="a JSON file for every frame's reward, progress, ok and done")
    # fmt: on
    args = parser.parse_args()
    at_least(parser, args, episodes=1, seed=0, seconds=1)
    return args


def main() -> None:
    args = parse_args()
    folder, name = find_policy(args.policy_path)
    policy, preprocessor, postprocessor = load_policy(
        folder, overrides=args.policy_overrides, needs_reward=False
    )
    os.environ["MUJOCO_GL"] = choose_mujoco_gl()
    image = next(iter(policy.config.image_features.values()))
    robot = SO101Sim(SO101SimConfig(image_size=image.shape[1], real_time=False, day=args.day))
    rollouts = []
    print(f"{name} on the simulated SO-101")
    with robot:
        for failure in args.failures:
            seeds = range(args.seed, args.seed + args.episodes)
            for seed in seeds:
                rollouts.append(
                    roll_out(robot, policy, preprocessor, postprocessor, seed, failure, args.seconds)
                )
                print(" ", describe(rollouts[-1]), flush=True)
            print(summarise(rollouts[-args.episodes :]))
    if args.output:
        frames = ("done", "reward", "progress", "ok")
        made = [vars(rollout) | {k: getattr(rollout, k).tolist() for k in frames} for rollout in rollouts]
        args.output.write_text(json.dumps(made))


if __name__ == "__main__":
    run_cli(main)
