"""Runs pytest on a tree, in a process with a home of its own, and reads what the plug-in records."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from upstream_tests import plugin
from upstream_tests.trees import NoAnswerError

# Tests of the modules that the series changes, and of the callers of `select_action`.
DEFAULT_TESTS = [
    "tests/policies",
    "tests/datasets",
    "tests/processor",
    "tests/configs",
    "tests/rewards",
    "tests/scripts",
    "tests/training",
    "tests/utils",
    "tests/envs",
    "tests/optim",
    "tests/rl",
    "tests/async_inference",
    "tests/test_available.py",
    "tests/test_control_robot.py",
    "tests/test_rollout.py",
    "tests/test_yaml_policy_path.py",
]

PLUGIN = "rewact_outcomes"  # the module name of plugin.py's copy
# Per test, of which the slowest takes two minutes on a busy machine; `--timeout=N` overrides it.
TEST_TIMEOUT_S = 300
STALL_S = 900  # without a test that starts or ends: the run hangs where pytest-timeout cannot interrupt it
POLL_S = 0.2
PROGRESS_EVERY_S = 15


class Side:
    """One of the two trees, with a home of its own, so that both runs start from the same empty state."""

    def __init__(self, name: str, commit: str, work: Path, scratch: Path, threads: int):
        self.name, self.commit, self.dir = name, commit, work / name
        self.tree, self.home, self.tmp = self.dir / "tree", self.dir / "home", scratch / name
        self.home.mkdir(parents=True)
        self.tmp.mkdir()
        shutil.copyfile(plugin.__file__, self.dir / f"{PLUGIN}.py")
        # The user's caches, home and pytest options would change what a test finds.
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("GIT_", "PYTEST_ADDOPTS", "XDG_"))
            and not (k.startswith("HF_") and k.endswith(("_HOME", "_CACHE")))
        }
        self.env = kept | {
            "PYTHONPATH": os.pathsep.join([str(self.tree / "src"), str(self.dir)]),
            "PYTHONHASHSEED": "0",  # so that parameters from a set have the same ids in both runs
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "HF_HOME": str(self.home / "huggingface"),
            "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.home / "inductor"),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
        }

    def check_import(self) -> None:
        """Make sure that this tree's LeRobot is imported, not the editable installation of the environment."""
        done = subprocess.run(
            [sys.executable, "-c", "import lerobot; print(lerobot.__file__)"],
            cwd=self.tree,
            env=self.env,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise NoAnswerError(
                f"`import lerobot` fails on the {self.name} tree: {done.stderr.strip()[-300:]}"
            )
        if not Path(done.stdout.strip()).resolve().is_relative_to(self.tree.resolve()):
            raise NoAnswerError(
                f"`import lerobot` finds {done.stdout.strip()}, not the {self.name} tree: "
                "reinstall it with `make setup` (an editable install through an import hook comes first)"
            )


class Run:
    """One pytest process on one side."""

    def __init__(self, side: Side, label: str, pytest_args: list[str], output_dir: Path):
        self.side = side
        self.events_path = side.dir / f"{label}.jsonl"
        self.log_path = output_dir / f"{side.name}-{label}.log"
        self.command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider"]
        # LeRobot's own settings; in a tree kept inside this project, pytest would find those of our tests.
        self.command += [
            f"--rootdir={side.tree}",
            "-c",
            "pyproject.toml",
            f"--basetemp={side.tmp / 'pytest'}",
        ]
        self.command += ["-o", "tmp_path_retention_policy=none", "--continue-on-collection-errors", "-q"]
        self.command += [f"--timeout={TEST_TIMEOUT_S}", *pytest_args]
        self.process: subprocess.Popen | None = None
        self.problem, self.seconds = "", 0.0
        self.size = self.idle_polls = 0

    def start(self) -> None:
        self.started = time.monotonic()
        self.events_path.touch()
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.side.tree,
                env=self.side.env | {"REWACT_OUTCOMES": str(self.events_path)},
                stdin=subprocess.DEVNULL,  # LeRobot's keyboard code checks for a terminal
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that stop() also ends what a test has started
            )

    def running(self) -> bool:
        if self.process is None or self.seconds:
            return False
        # Counted in polls, not by the clock: a machine or a job that was suspended has not stalled.
        size = self.events_path.stat().st_size
        self.size, self.idle_polls = size, self.idle_polls + 1 if size == self.size else 0
        stalled = self.idle_polls * POLL_S > STALL_S
        if self.process.poll() is None and not stalled:
            return True
        if self.process.poll() is None:
            self.read()
            self.problem = f"no test started or ended for {STALL_S // 60} minutes in {self.current}"
        self.stop()
        self.problem = self.problem or self.incomplete(self.process.returncode)
        return False

    def stop(self) -> None:
        if self.process is None or self.seconds:
            return
        self.seconds = time.monotonic() - self.started
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is empty: all have ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def read(self) -> None:
        """Read the events written so far into collected, outcomes, current and exit."""
        text = self.events_path.read_text()
        self.collected, self.outcomes, self.current, self.exit = None, {}, None, None
        for line in text[: text.rfind("\n") + 1].splitlines():
            event = json.loads(line)
            if "collected" in event:
                self.collected = event["collected"]
            elif "start" in event:
                self.current = event["start"]
            elif "test" in event:
                self.outcomes[event["test"]] = event
                self.current = None
            else:
                self.exit = event["exit"]

    def progress(self) -> str:
        if self.process is None:
            return f"{self.side.name} waits"
        if self.seconds:
            return f"{self.side.name} done"
        self.read()
        if self.collected is None:
            return f"{self.side.name} collects"
        done = sum(test in self.outcomes for test in self.collected)
        bad = sum(event["outcome"] in ("failed", "error") for event in self.outcomes.values())
        return f"{self.side.name} {done}/{len(self.collected)} ({bad} not passing)"

    def incomplete(self, status: int | None) -> str:
        """Why this run, which ended with `status`, has no result for some of its tests; "" if it has one for all."""
        self.read()
        where = f" in {self.current}" if self.current else ""
        if self.exit is None:
            return f"pytest died with status {status}{where}"
        if self.exit not in (0, 1, 5):  # all passed, some failed, none collected
            return f"pytest ended with status {self.exit}{where}"
        left = set(self.collected or []) - set(self.outcomes)
        return f"pytest stopped with {len(left)} tests not run" if left else ""


def run_all(runs: list[Run], jobs: int, quiet: bool = False) -> None:
    """Run them `jobs` at a time, with a line of progress now and then."""
    began = shown = time.monotonic()
    try:
        while True:
            active = [run for run in runs if run.running()]
            waiting = [run for run in runs if run.process is None]
            if not active and not waiting:
                return
            if not quiet and any(run.problem for run in runs):
                return  # there will be no answer, whatever the other run finds
            for run in waiting[: max(0, jobs - len(active))]:
                run.start()
            if not quiet and time.monotonic() - shown >= PROGRESS_EVERY_S:
                shown = time.monotonic()
                minutes, seconds = divmod(int(shown - began), 60)
                print(
                    f"  {minutes:2d}:{seconds:02d}  " + "   ".join(run.progress() for run in runs), flush=True
                )
            time.sleep(POLL_S)
    finally:  # also on Ctrl-C
        for run in runs:
            run.stop()


def select(tree: Path, other: Path, everything: bool, pytest_args: list[str]) -> list[str]:
    """The arguments for pytest: if the user names no test paths, the default ones come first."""

    def file(arg: str) -> str:
        return arg.split("::")[0]

    own = [
        arg
        for arg in pytest_args
        if not arg.startswith("-") and ((tree / file(arg)).exists() or (other / file(arg)).exists())
    ]
    if own:
        here = [arg for arg in own if (tree / file(arg)).exists()]
        if not here:
            raise NoAnswerError(
                f"{own[0]} is on one of the two trees only, nothing to compare (`make test` runs the series' own)"
            )
        return [arg for arg in pytest_args if arg in here or arg not in own]
    paths = ["tests"] if everything else [path for path in DEFAULT_TESTS if (tree / path).exists()]
    return [*(paths or ["tests"]), *pytest_args]
