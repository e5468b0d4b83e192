"""What the scripts' command lines share: one-line errors, limits of numbers, and lists of episodes."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable


class UserError(Exception):
    """An error that the user can put right. The message says what is wrong and what to do; there is no traceback."""


def run_cli(main: Callable[[], None]) -> None:
    """Run a script's main function. A UserError ends the script with one line and exit code 2."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


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
