"""Says on a terminal that LeRobot is being imported, which takes seconds. The first line of the command replaces it.

A script that needs LeRobot imports this before anything else, in the place of shared.console.
"""

import sys

from shared.console import IS_WORKER

if not IS_WORKER and sys.stderr.isatty():
    print("loading LeRobot …", end="\r", file=sys.stderr, flush=True)
