"""What every command's console leaves out. A script imports this before anything that takes seconds to import.

- Ctrl-C ends a command with one line, also while it still imports, and its worker processes say nothing.
- A Python without LeRobot's packages is refused with the one that has them, not with a traceback.
- That videos are decoded without torchcodec is said by set-up, once, and not by each command.
"""

import logging
import multiprocessing
import signal
import sys
from pathlib import Path
from types import TracebackType

ENVIRONMENT = Path(__file__).parents[2] / ".venv"
STOPPED = 130  # exit code after Ctrl-C, as shells have it


def say_stopped() -> None:
    print("\nstopped", file=sys.stderr, flush=True)


def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        say_stopped()
    elif isinstance(error, ModuleNotFoundError) and Path(sys.prefix).resolve() != ENVIRONMENT.resolve():
        print(
            f"error: {error} in {sys.executable}. Run the script with .venv/bin/python, which make setup installs.",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, traceback)


# Not parent_process(), which a spawned worker knows only after it has imported the script.
IS_WORKER = multiprocessing.current_process().name != "MainProcess"
if not IS_WORKER:
    sys.excepthook = hook
else:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command that started this process ends it
logging.getLogger("lerobot.utils.video_backend").setLevel(logging.ERROR)
