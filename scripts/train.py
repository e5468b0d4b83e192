#!/usr/bin/env python
"""Train RewACT with LeRobot's own lerobot-train, on the demo data set or on yours.

    make train                                               # the demo: minutes on two CPU cores
    make train DATASET=me/cups EPISODES=0-39 STEPS=20000     # any LeRobot data set, ACT at its full size
    make train DATASET=me/cups ROOT=data/cups WANDB=online ARGS="--policy.chunk_size=50 --policy.n_action_steps=50"

It only puts a lerobot-train command together, prints it and runs it. Whatever ARGS sets is left to ARGS.
"""

import argparse
import json
import shlex
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from shared.cli import UserError, parse_episodes, run_cli

DEMO_TASK = "drawer-open-v3"
DEMO_DIR = Path("outputs/demo")
# The demo trains from scratch, so that it needs no download, at a size that two CPU cores manage in minutes.
DEMO_FLAGS = {
    "steps": "500",
    "batch_size": "8",
    "log_freq": "50",
    "save_freq": "500",
    "num_workers": "2",
    "policy.pretrained_backbone_weights": "null",
    "policy.optimizer_lr": "1e-4",
    "policy.optimizer_lr_backbone": "1e-4",
    "policy.chunk_size": "40",
    "policy.n_action_steps": "10",
    "policy.dim_model": "256",
    "policy.dim_feedforward": "1024",
    "policy.n_encoder_layers": "2",
    "policy.n_vae_encoder_layers": "2",
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", help="repo id of a LeRobot data set; the demo data set without one")
    parser.add_argument(
        "--root", help="folder of the data set, where it is not in LeRobot's cache or the Hub"
    )
    parser.add_argument("--episodes", help="episodes to train on, such as 0-39 or 0,3,5-7 (default: all)")
    parser.add_argument("--steps", type=int, help="training steps (default: LeRobot's, 500 in the demo)")
    parser.add_argument("--output", type=Path, help="folder for the run (default: outputs/train/NAME-TIME)")
    parser.add_argument(
        "--wandb", choices=["online", "offline", "disabled"], default="disabled", help="log to wandb"
    )
    parser.add_argument(
        "--args", default="", help="further lerobot-train flags in one string; they win over the others"
    )
    return parser.parse_args()


def make_demo_dataset() -> dict[str, str]:
    """Make the demo data set, unless it is there, and say how to train on it."""
    script = Path(__file__).parent / "demo_dataset.py"
    # In a process of its own, where the simulator's OpenGL context stays. It prints its own errors.
    code = subprocess.run(
        [sys.executable, script, f"--task={DEMO_TASK}", f"--output-dir={DEMO_DIR}"]
    ).returncode
    if code:
        sys.exit(code)
    root = DEMO_DIR / DEMO_TASK
    made = json.loads((root / "rewact_extensions" / "demo_dataset.json").read_text())
    return {
        "dataset.repo_id": f"rewact/demo-{DEMO_TASK}",
        "dataset.root": str(root),
        "dataset.episodes": str([i for i in range(len(made["episodes"])) if i not in made["held_out"]]),
    }


def make_flags(args: argparse.Namespace) -> dict[str, str]:
    """The flags of lerobot-train, without the leading dashes."""
    flags = {"policy.type": "rewact", "policy.push_to_hub": "false"}
    if args.dataset:
        flags["dataset.repo_id"] = args.dataset
    else:
        if args.root:
            raise UserError(
                f"ROOT={args.root} is the folder of a data set: name it too, with DATASET=<repo id>."
            )
        flags |= DEMO_FLAGS | make_demo_dataset()
    if args.root:
        if not (Path(args.root) / "meta" / "info.json").is_file():
            raise UserError(f"no LeRobot data set at ROOT={args.root}: there is no meta/info.json in it.")
        flags["dataset.root"] = args.root
    if args.episodes:
        flags["dataset.episodes"] = str(parse_episodes(args.episodes))
    if args.steps is not None:
        if args.steps < 1:
            raise UserError(f"STEPS={args.steps} trains nothing: it takes a number from 1 up.")
        flags["steps"] = str(args.steps)
    if args.wandb != "disabled":
        flags |= {"wandb.enable": "true", "wandb.mode": args.wandb}
    name = flags["dataset.repo_id"].split("/")[-1]
    flags["output_dir"] = str(args.output or f"outputs/train/{name}-{datetime.now():%Y%m%d-%H%M%S}")
    return flags


def make_command(flags: dict[str, str], extra: list[str]) -> tuple[list[str], dict[str, str]]:
    """The lerobot-train command, and those of the flags that `extra` leaves as they are."""
    extra_names = {arg[2:].split("=")[0] for arg in extra if arg.startswith("--")}
    if {"policy.path", "config_path"} & extra_names:
        # These bring a policy of their own.
        extra_names.add("policy.type")
    flags = {name: value for name, value in flags.items() if name not in extra_names}
    command = [
        str(Path(sys.executable).with_name("lerobot-train")),
        *(f"--{name}={value}" for name, value in flags.items()),
        *extra,
    ]
    return command, flags


def main() -> None:
    args = parse_args()
    command, flags = make_command(make_flags(args), shlex.split(args.args))
    print("lerobot-train", shlex.join(command[1:]), flush=True)

    # Ctrl-C reaches lerobot-train as well; its exit code is ours.
    code = subprocess.run(command).returncode
    if code:
        sys.exit(code)
    if "output_dir" in flags:
        checkpoint = Path(flags["output_dir"]) / "checkpoints" / "last" / "pretrained_model"
        print(f"\nCheckpoint: {checkpoint}")
        print(
            f"Next, see its reward on held-out episodes: make visualise POLICY={shlex.quote(str(checkpoint))}"
        )


if __name__ == "__main__":
    run_cli(main)
