#!/usr/bin/env python
"""Train RewACT with LeRobot's own lerobot-train, on the demo dataset or on yours.

    make train                                               # the demo: minutes on two CPU cores
    make train DATASET=me/cups EPISODES=0-39 STEPS=20000     # any LeRobot dataset, ACT at its full size
    make train DATASET=me/cups ROOT=data/cups WANDB=online ARGS="--policy.chunk_size=50 --policy.n_action_steps=50"
    make train ARGS="--config_path=RUN/checkpoints/last/pretrained_model/train_config.json --resume=true"    # go on

It puts a lerobot-train command together, prints it and runs it. Whatever ARGS sets wins. With --config_path, the settings
of that configuration rule.
"""

import shared.console  # noqa: F401  # isort: skip

import argparse
import shlex
import sys
from pathlib import Path

from shared.children import run_lerobot
from shared.cli import Parser, UserError, run_cli, say_next
from shared.training import given_flags, make_command, make_flags, show


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset",
        help="repo id of a LeRobot dataset; the demo dataset without one")
    parser.add_argument("--root",
        help="folder of the dataset, where it is not in LeRobot's cache or the Hub")
    parser.add_argument("--episodes",
        help="episodes to train on, such as 0-39 or 0,3,5-7 (default: all)")
    parser.add_argument("--steps", type=int,
        help="training steps (default: LeRobot's, 600 in the demo)")
    parser.add_argument("--output", type=Path,
        help="folder for the run (default: outputs/train/NAME-TIME)")
    parser.add_argument("--wandb", choices=["online", "offline", "disabled"], default="disabled",
        help="log to wandb")
    parser.add_argument("--args", default="",
        help="further lerobot-train flags in one string; they win over the others")
    # fmt: on
    return parser.parse_args()


def config_path(extra: list[str]) -> Path | None:
    """The configuration that a user's own flags begin with, as `--config_path=RUN/.../train_config.json`."""
    return next((Path(arg.split("=", 1)[1]) for arg in extra if arg.startswith("--config_path=")), None)


def resumed_run(config: Path | None, extra: list[str]) -> Path | None:
    """The folder of a run that is gone on with."""
    if config is None or "--resume=true" not in extra:
        return None
    return next((folder.parent for folder in config.parents if folder.name == "checkpoints"), None)


def check_output(command: list[str]) -> None:
    """Refuse a folder that already exists, as lerobot-train does, but before the dataset is read."""
    output = next(
        (arg.split("=", 1)[1] for arg in reversed(command) if arg.startswith("--output_dir=")), None
    )
    if output is not None and Path(output).is_dir() and "--resume=true" not in command:
        raise UserError(f"OUTPUT={output} already exists: name another folder, or remove it.")


def main() -> None:
    args = parse_args()
    extra = shlex.split(args.args)
    given = (args.dataset, args.root, args.episodes, args.steps, args.output, args.wandb)
    config = config_path(extra)
    flags = make_flags(*given) if config is None else given_flags(*given)
    command, flags = make_command(flags, extra)
    check_output(command)
    print(show(command), flush=True)

    code = run_lerobot(command)
    if code:
        sys.exit(code)
    run = Path(flags["output_dir"]) if "output_dir" in flags else resumed_run(config, extra)
    if run is not None:
        checkpoint = run / "checkpoints" / "last" / "pretrained_model"
        print(f"\nCheckpoint: {checkpoint}")
        if (checkpoint / "adapter_config.json").is_file():
            say_next("merge the PEFT adapters into the policy (merge_and_unload of the peft library).")
        else:
            say_next(
                f"see its reward on held-out episodes: make visualise POLICY={shlex.quote(str(checkpoint))}"
            )


if __name__ == "__main__":
    run_cli(main)
