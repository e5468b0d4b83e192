"""Commands that a script runs, one after the other."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.cli import IS_STEP
from shared.console import STOPPED

QUIETLY = Path(__file__).parents[1] / "lerobot_quietly.py"


def run_command(command: Sequence[str | Path]) -> int:
    """Run a command to its end. Returns its exit code.

    Ctrl-C reaches the command as well, which then ends by itself and says so: nothing of it is cut off. The exit code is
    130 then, whatever the command's.
    """
    child = subprocess.Popen(command, env=os.environ | {IS_STEP: "1"})
    stopped = False
    while True:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            stopped = True
            continue
        if stopped:
            return STOPPED
        return code if code >= 0 else 128 - code


def run_lerobot(command: Sequence[str | Path]) -> int:
    """Run one of LeRobot's commands, such as [".venv/bin/lerobot-train", ...], as `run_command`."""
    return run_command([sys.executable, QUIETLY, Path(command[0]).name, *command[1:]])
