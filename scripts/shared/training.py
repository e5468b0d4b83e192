"""The lerobot-train command of a RewACT policy, on the demo dataset or on any other.

from shared.training import make_command, make_flags

command, flags = make_command(make_flags("me/cups", steps=20000), extra=["--policy.chunk_size=50"])
run_lerobot(command)
"""

import json
import re
import shlex
import sys
from datetime import datetime
from pathlib import Path

from shared.children import run_command
from shared.cli import UserError, parse_episodes
from shared.old_format import check_version

DEMO_TASK = "so101-cube-on-plate"
DEMO_DIR = Path("outputs/demo")
DEMO_FPS = 10
# The demo trains from scratch, so that it needs no download, at a size that two CPU cores manage in minutes.
DEMO_FLAGS = {
    "steps": "600",
    "batch_size": "16",
    "log_freq": "50",
    "save_freq": "600",
    "num_workers": "2",
    "policy.pretrained_backbone_weights": "null",
    "policy.optimizer_lr": "2e-4",
    "policy.optimizer_lr_backbone": "2e-4",
    "policy.chunk_size": "20",  # 2 seconds
    "policy.n_action_steps": "10",
    "policy.dim_model": "256",
    "policy.dim_feedforward": "1024",
    "policy.n_encoder_layers": "2",
    "policy.use_vae": "false",  # one expert, who always does the same
}


def make_demo_dataset() -> dict[str, str]:
    """Make the demo dataset, unless it is there. Returns the flags that train on it."""
    script = Path(__file__).parents[1] / "demo_dataset.py"
    # In a process of its own, where the simulator's OpenGL context stays. It prints its own errors.
    code = run_command([sys.executable, script, f"--output-dir={DEMO_DIR}"])
    if code:
        sys.exit(code)
    root = DEMO_DIR / DEMO_TASK
    made = json.loads((root / "rewact_extensions" / "demo_dataset.json").read_text())
    return {
        "dataset.repo_id": f"rewact/demo-{DEMO_TASK}",
        "dataset.root": str(root),
        "dataset.episodes": str([i for i in range(len(made["episodes"])) if i not in made["held_out"]]),
    }


def make_flags(
    dataset: str | None = None,
    root: str | None = None,
    episodes: str | None = None,
    steps: int | None = None,
    output: Path | None = None,
    wandb: str = "disabled",
) -> dict[str, str]:
    """The flags of lerobot-train for a new run, without the leading dashes.

    Args:
        dataset: repo id; None for the demo dataset, which is made if it is not there, with the demo's settings.
        root: folder of the dataset; None for LeRobot's cache or the Hub.
        episodes: to train on, such as "0-39"; None for all.
        steps: None for LeRobot's default, or the demo's.
        output: folder for the run; None for a new one in outputs/train.
        wandb: online | offline | disabled.
    """
    if root and not dataset:
        raise UserError(f"ROOT={root} is the folder of a dataset: name it too, with DATASET=<repo id>.")
    given = given_flags(dataset, root, episodes, steps, output, wandb)
    flags = {"policy.type": "rewact", "policy.push_to_hub": "false"}
    if not dataset:
        flags |= DEMO_FLAGS | make_demo_dataset()
    flags |= given
    name = flags["dataset.repo_id"].split("/")[-1]
    return {"output_dir": f"outputs/train/{name}-{datetime.now():%Y%m%d-%H%M%S}"} | flags


def given_flags(
    dataset: str | None,
    root: str | None,
    episodes: str | None,
    steps: int | None,
    output: Path | None,
    wandb: str,
) -> dict[str, str]:
    """The flags that a user asks for, and no others: a run that is gone on with keeps its own settings."""
    flags = {}
    if dataset:
        flags["dataset.repo_id"] = dataset
    if root:
        if not (Path(root) / "meta" / "info.json").is_file():
            raise UserError(f"no LeRobot dataset at ROOT={root}: there is no meta/info.json in it.")
        check_version(dataset or root, Path(root))
        flags["dataset.root"] = root
    if episodes:
        flags["dataset.episodes"] = str(parse_episodes(episodes))
    if steps is not None:
        if steps < 1:
            raise UserError(f"STEPS={steps} trains nothing: it takes a number from 1 up.")
        flags["steps"] = str(steps)
    if output:
        flags["output_dir"] = str(output)
    if wandb != "disabled":
        flags |= {"wandb.enable": "true", "wandb.mode": wandb}
    return flags


def show(command: list[str]) -> str:
    """The command as a user can type it. A long run of episodes, [0, 1, … 39], is left to the shell's seq."""
    return " ".join(["lerobot-train", *map(show_argument, command[1:])])


def show_argument(argument: str) -> str:
    name, _, value = argument.partition("=")
    if name == "--dataset.episodes" and re.fullmatch(r"\[\d+(, \d+)+\]", value):
        episodes = json.loads(value)
        if len(episodes) > 4 and episodes == list(range(episodes[0], episodes[-1] + 1)):
            return f'{name}="[$(seq -s, {episodes[0]} {episodes[-1]})]"'
    return shlex.quote(argument)


def make_command(flags: dict[str, str], extra: list[str]) -> tuple[list[str], dict[str, str]]:
    """The lerobot-train command, and those of the flags that `extra` does not set itself."""
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
