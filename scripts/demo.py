#!/usr/bin/env python
"""The whole journey in simulation: record, train, calibrate, and let the arm stop by itself.

    make demo                 # minutes on two CPU cores
    make demo POLICY=outputs/train/RUN      # rollouts with a policy that is trained

Each step is a command that you can run by itself; it is printed before it runs. With an arm on the desk you record with
lerobot-record in the place of the first, and give lerobot-rollout your own --robot.*: see docs/ROBOT.md.
"""

import shared.loading  # noqa: F401  # isort: skip

import argparse
import os
import shlex
import sys
from pathlib import Path

from lerobot_robot_so101_sim.pick_place import TASK
from shared.checkpoint import find_policy
from shared.children import run_command, run_lerobot
from shared.cli import Parser, UserError, at_least, run_cli
from shared.next_step import demo_rollout_flags, free_rollouts
from shared.rendering import choose_mujoco_gl

SCRIPTS = Path(__file__).parent


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy-path", metavar="PATH",
        help="a run on the demo dataset; nothing is trained")
    parser.add_argument("--output", type=Path, default=Path("outputs/train/demo"),
        help="folder for the run")
    parser.add_argument("--rollouts", type=int, default=4,
        help="the number of episodes that the policy plays")
    parser.add_argument("--failure", default="none,none,slip",
        help="what goes wrong in them, in turn")
    # fmt: on
    args = parser.parse_args()
    at_least(parser, args, rollouts=1)
    return args


def step(what: str, shown: str, command: list[str]) -> None:
    """Print a step and its command, and run it. Its failure ends the demo with its exit code."""
    print(f"\n== {what}\n   {shown}\n", flush=True)
    code = run_lerobot(command) if Path(command[0]).name.startswith("lerobot-") else run_command(command)
    if code:
        sys.exit(code)


def script(name: str, *args: str) -> list[str]:
    return [sys.executable, str(SCRIPTS / f"{name}.py"), *args]


def main() -> None:
    args = parse_args()
    os.environ["MUJOCO_GL"] = choose_mujoco_gl()
    if args.policy_path is None:
        if args.output.exists():
            raise UserError(
                f"{args.output} already exists: make demo POLICY={args.output} goes on with it, or remove it."
            )
        step("1. Record demonstrations by a scripted expert", "make demo-dataset", script("demo_dataset"))
        step(
            "2. Train RewACT on them",
            f"make train OUTPUT={args.output}",
            script("train", "--output", str(args.output)),
        )
        args.policy_path = str(args.output)
    step(
        "3. Find the reward at which the task counts as done, on demonstrations that were held out",
        f"make calibrate POLICY={args.policy_path}",
        script("calibrate", "--policy-path", args.policy_path),
    )
    checkpoint, _ = find_policy(args.policy_path)
    root = free_rollouts()
    flags = demo_rollout_flags(checkpoint, TASK, root, args.rollouts, args.failure)
    step(
        "4. Let the arm do it: each episode ends by itself, when the task is done or has failed",
        shlex.join([".venv/bin/lerobot-rollout", *flags]),
        [str(Path(sys.executable).with_name("lerobot-rollout")), *flags],
    )
    data = f"DATASET=local/{root.name} ROOT={root}"
    print(
        f"\nRecorded: {root}\nNext, see the reward of these episodes: make visualise POLICY={args.policy_path} {data}\n"
        f"or say how they ended, to train on with them: make label {data}"
    )
    print("The same with an arm on the desk: docs/ROBOT.md")


if __name__ == "__main__":
    run_cli(main)
