"""Run one of LeRobot's commands with a console that can be read at a glance.

    python scripts/lerobot_quietly.py lerobot-train --policy.type=rewact ...

It does what the command does. The 150 lines of its configuration go into a file beside the run, the video encoders
report errors alone, and Ctrl-C ends it with one line.
"""

import shared.console  # noqa: F401  # isort: skip

import importlib
import logging
import os
import sys
from pathlib import Path
from pprint import pformat
from types import ModuleType
from typing import Any

from shared.cli import run_cli
from shared.encoders import quiet_encoders


def write_configuration(config: dict[str, Any]) -> str:
    """Write a training run's configuration beside its folder, and say where: the folder itself must not exist yet."""
    path = Path(f"{config['output_dir']}.config.txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pformat(config) + "\n")
    return f"Configuration: {path}"


def load(name: str) -> ModuleType:
    command = importlib.import_module(f"lerobot.scripts.{name.replace('-', '_')}")
    if name == "lerobot-train":
        vars(command)["pformat"] = write_configuration
    return command


def main() -> None:
    name, sys.argv = sys.argv[1], sys.argv[1:]
    if name == "lerobot-rollout":  # a bar of 50 rows for each recorded episode
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    # It would say that the device None is not available, where a run names none.
    logging.getLogger("lerobot.configs.policies").setLevel(logging.ERROR)
    quiet_encoders()
    load(name).main()


if __name__ == "__main__":
    run_cli(main)
