"""What the scripts' command lines share: one-line errors, limits of numbers, and lists of episodes."""

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import NoReturn

from shared.console import STOPPED, say_stopped


class UserError(Exception):
    """An error that the user can put right. The message says what is wrong and what to do; there is no traceback."""


class Parser(ArgumentParser):
    """As argparse's, but an error is one line where make runs the script: its user has not typed what the usage lists."""

    def error(self, message: str) -> NoReturn:
        if os.environ.get(BY_MAKE):
            raise UserError(message)
        super().error(message)


# What a user of make types for a flag of a script.
VARIABLES = {
    "args": "ARGS",
    "cross-fit": "CROSS_FIT",
    "dataset": "DATASET",
    "dataset-repo-id": "DATASET",
    "dataset-root": "ROOT",
    "episodes": "EPISODES",
    "hub-id": "HUB_ID",
    "labels": "LABELS",
    "output": "OUTPUT",
    "output-dir": "OUTPUT",
    "policy-path": "POLICY",
    "port": "PORT",
    "rollouts": "ROLLOUTS",
    "root": "ROOT",
    "steps": "STEPS",
}
BY_MAKE = "REWACT_BY_MAKE"  # in the environment of a script that a make target runs
IS_STEP = "REWACT_IS_STEP"  # in the environment of a script that another script runs


def run_cli(main: Callable[[], None]) -> None:
    """Run a script's main function.

    A UserError ends the script with one line and exit code 2, Ctrl-C with one line and exit code 130.
    """
    try:
        main()
    except UserError as error:
        print(f"error: {as_typed(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        say_stopped()
        sys.exit(STOPPED)


def warn(message: str) -> None:
    """Print a warning as the reader of an error reads it. It goes to stderr, so that a pipe takes the results alone."""
    print(f"WARNING   {as_typed(message)}", file=sys.stderr, flush=True)


def say_next(message: str) -> None:
    """Print what a user can do next, unless this script is a step of another one, which does it or says what comes next."""
    if not os.environ.get(IS_STEP):
        print(f"Next, {message}")


def as_typed(message: str) -> str:
    """A message with the names that its reader types: make's variables where make runs the script.

    A command that begins with .venv/bin/ is to be copied, and stays as it is to the end of the message.
    """
    if not os.environ.get(BY_MAKE):
        return message
    names = "|".join(sorted(VARIABLES, key=len, reverse=True))
    said, command, rest = message.partition(".venv/bin/")
    said = re.sub(
        rf"--({names})(?![\w.-]*[\w-])(?:[ =](?=[\dA-Z/]))?", lambda found: f"{VARIABLES[found[1]]}=", said
    )
    return said + command + rest


def at_least(parser: ArgumentParser, args: Namespace, **limits: int) -> None:
    """End the command with one line if an argument is below its limit, given by its name in `args`."""
    for name, least in limits.items():
        if getattr(args, name) < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}, not {getattr(args, name)}")


def parse_episodes(text: str) -> list[int]:
    """'40-47' or '0,3,5-7' as episode indices, in the order given and each of them once."""
    episodes: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(f"'{text}' is not a list of episodes: write it like 40-47 or 0,3,5-7.")
        if dash and int(last) < int(first):
            raise UserError(f"'{part.strip()}' in '{text}' runs backwards: write {last}-{first}.")
        episodes += range(int(first), int(last if dash else first) + 1)
    return list(dict.fromkeys(episodes))


def format_episodes(episodes: list[int]) -> str:
    """The reverse of parse_episodes, runs shortened: [0, 1, 2, 7] is '0-2,7'."""
    runs: list[list[int]] = []
    for episode in sorted(episodes):
        if runs and episode == runs[-1][1] + 1:
            runs[-1][1] = episode
        else:
            runs.append([episode, episode])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs) or "none"
