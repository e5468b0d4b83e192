"""Says on a terminal that LeRobot is being imported, which takes seconds. The first line of the command replaces it.

A script that needs LeRobot imports this before anything else, in the place of shared.console.
"""

import multiprocessing
import sys

import shared.console  # noqa: F401

if multiprocessing.parent_process() is None and sys.stderr.isatty():
    print("loading LeRobot …", end="\r", file=sys.stderr, flush=True)
