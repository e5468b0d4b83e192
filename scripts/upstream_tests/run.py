"""Run LeRobot's own tests on the pristine pin and on the patched tree, and print the difference by test.

    make test-upstream                                   # what the series can touch
    make test-upstream ALL=1                             # LeRobot's whole suite
    python scripts/test_upstream.py                      # the same by hand
    python scripts/test_upstream.py tests/policies -k act        # what follows goes to pytest
    python scripts/test_upstream.py --base v0.6.1 --head my-branch --keep /tmp/look

Many of LeRobot's tests need the Hub, Git LFS files or a GPU and fail on any tree without them, so a
count says nothing: no test that passed on the pristine tree may fail, be skipped or be gone on the
patched one, and every test that the series adds must pass. What fails is run twice more on its own
before it counts. Exit status: 0 no regression, 1 a regression, 2 no answer (refused, or a run that
did not end). Both trees are copied out of git's objects into a temporary folder; the checkout is only read.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT_DIR = ROOT / "outputs" / "test_upstream"

# What the series can touch: the modules it changes, and the callers of `select_action`.
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

TEST_TIMEOUT_S = 300  # one test; the slowest takes two minutes on a busy machine; `--timeout=N` overrides it
STALL_S = 900  # a run in which no test starts or ends for so long hangs where pytest-timeout cannot reach
POLL_S = 0.2
PROGRESS_EVERY_S = 15
RERUNS = 2
MAX_RERUN_TESTS = 100  # more than this is breakage, not flakiness
OUTCOMES = ["passed", "failed", "error", "skipped", "xfailed"]
VANISHED = {"outcome": "vanished", "error": "no such test on the patched tree"}


class NoAnswerError(Exception):
    """A state in which there is no answer; the text is one line with the way out."""


# ---------------------------------------------------------------------------------------------------
# The pytest plugin. Each run loads a copy of this file with `-p`, which writes one JSON line per event:
# a JUnit file comes only at the end and would be lost with a crashed run, and progress needs it earlier.
# ---------------------------------------------------------------------------------------------------


def pytest_configure(config):
    config.pluginmanager.register(OutcomeRecorder(os.environ["REWACT_OUTCOMES"]))


class OutcomeRecorder:
    RANK = ["passed", "skipped", "xfailed", "failed", "error"]  # the worst of setup, call, teardown counts

    def __init__(self, path):
        self.file = open(path, "a", buffering=1)  # noqa: SIM115  # line by line, so that a crash loses none
        self.current = {}

    def write(self, **event):
        self.file.write(json.dumps(event) + "\n")

    def pytest_collectreport(self, report):
        if report.outcome != "passed":  # a file that fails to import, or skips itself as a whole
            outcome = "error" if report.outcome == "failed" else "skipped"
            self.write(test=report.nodeid, outcome=outcome, error=first_line(report))

    def pytest_collection_finish(self, session):
        self.write(collected=[item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid):
        self.current = {"test": nodeid, "outcome": "passed", "error": ""}
        self.write(start=nodeid)

    def pytest_runtest_logreport(self, report):
        outcome = report.outcome
        if outcome == "failed" and report.when != "call":
            outcome = "error"
        if hasattr(report, "wasxfail"):
            outcome = "xfailed"
        if self.RANK.index(outcome) > self.RANK.index(self.current["outcome"]):
            self.current.update(outcome=outcome, error=first_line(report))

    def pytest_runtest_logfinish(self, nodeid):
        self.write(**self.current)

    def pytest_sessionfinish(self, exitstatus):
        self.write(exit=int(exitstatus))


def first_line(report) -> str:
    """The line of a report that says most: the exception's own, or a skip's reason."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr or "")
    lines = [line for line in text.splitlines() if line.strip()]
    exceptions = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (exceptions[-1] if exceptions else lines[0] if lines else "")[:300]


# ---------------------------------------------------------------------------------------------------
# Trees
# ---------------------------------------------------------------------------------------------------


def git(*args, cwd: Path, check: bool = True, **env) -> str:
    # Variables that a git hook sets would lead elsewhere; optional locks would rewrite the user's index.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", *args],
        cwd=cwd,
        env=clean | {"GIT_OPTIONAL_LOCKS": "0"} | env,
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        raise NoAnswerError(f"git {args[0]} in {cwd}: {done.stderr.strip() or 'failed'}")
    return done.stdout.strip() if done.returncode == 0 else ""


def resolve_revisions(target: Path, base: str | None, head: str | None) -> tuple[str, str]:
    """The two commits to compare, or a NoAnswerError that names the next command."""
    name = target.name
    # An empty submodule folder would answer for the repository around it.
    if not target.is_dir() or Path(git("rev-parse", "--show-toplevel", cwd=target, check=False)) != target:
        raise NoAnswerError(f"{name}/ is not a git checkout of LeRobot: run `make setup`")
    head_commit = git("rev-parse", "--verify", "-q", f"{head or 'HEAD'}^{{commit}}", cwd=target, check=False)
    if not head_commit:
        raise NoAnswerError(f"{name}/ has no commit {head or 'HEAD'}")
    if not git("ls-tree", head_commit, "tests/conftest.py", cwd=target):
        raise NoAnswerError(
            f"{name}/ comes without LeRobot's test suite (PyPI's sdist leaves it out): empty {name}/ and run "
            "`LEROBOT_URL=<git URL or path of a LeRobot clone> make setup`, then `make apply`"
        )
    if base:
        base_commit = git("rev-parse", "--verify", "-q", f"{base}^{{commit}}", cwd=target, check=False)
        if not base_commit:
            raise NoAnswerError(f"{name}/ has no commit {base}")
    else:
        base_commit = pinned_base(target, head_commit)
    if not head and git("status", "--porcelain", cwd=target):
        raise NoAnswerError(
            f"{name}/ has changes that are in no commit: commit or stash them, or test HEAD with `--head HEAD`"
        )
    if head_commit == base_commit:
        raise NoAnswerError(
            f"{name}/ is at the pristine {base_commit[:9]}, nothing to compare: run `make apply`"
        )
    return base_commit, head_commit


def pinned_base(target: Path, head: str) -> str:
    """UPSTREAM_COMMIT of the series that `head` is built on."""
    pins = []
    for path in sorted(ROOT.glob("patches/*/UPSTREAM")):
        pairs = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        pins.append(pairs["UPSTREAM_COMMIT"].strip("\"' "))
    history = set(git("rev-list", head, cwd=target).split())
    built_on = [pin for pin in pins if pin in history]
    if not built_on:
        raise NoAnswerError(
            f"{target.name}/ is built on no UPSTREAM_COMMIT of patches/*/UPSTREAM: "
            "run `make setup` and `make apply`, or name the commit to compare with `--base`"
        )
    return built_on[-1]


def export(target: Path, commit: str, tree: Path) -> None:
    """Writes the files of `commit` to `tree` through an index of its own: nothing is left in the repository."""
    tree.mkdir(parents=True)
    git_dir = git("rev-parse", "--absolute-git-dir", cwd=target)
    index = {"GIT_INDEX_FILE": str(tree.parent / "index")}
    # No filters: LFS files come out as pointers, whether or not git-lfs is there, without network.
    no_lfs = ["-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false"]
    git("--git-dir", git_dir, "read-tree", commit, cwd=tree, **index)
    git(*no_lfs, "--git-dir", git_dir, "--work-tree", str(tree), "checkout-index", "--all", cwd=tree, **index)


def fill_lfs(target: Path, tree: Path) -> tuple[int, int]:
    """Replaces LFS pointers by their content where the checkout has fetched it; (filled, all pointers)."""
    store = Path(git("rev-parse", "--absolute-git-dir", cwd=target)) / "lfs" / "objects"
    filled = pointers = 0
    for path in (tree / "tests").rglob("*"):
        if not path.is_file() or path.stat().st_size > 200:
            continue
        data = path.read_bytes()
        if not data.startswith(b"version https://git-lfs"):
            continue
        pointers += 1
        oid = data.decode().split("oid sha256:")[1].split()[0]
        content = store / oid[:2] / oid[2:4] / oid
        if content.is_file():
            shutil.copyfile(content, path)
            filled += 1
    return filled, pointers


# ---------------------------------------------------------------------------------------------------
# Runs
# ---------------------------------------------------------------------------------------------------


class Side:
    """One tree with a home of its own, so that both sides start from the same, empty state."""

    def __init__(self, name: str, commit: str, work: Path, scratch: Path, threads: int):
        self.name, self.commit, self.dir = name, commit, work / name
        self.tree, self.home, self.tmp = self.dir / "tree", self.dir / "home", scratch / name
        self.home.mkdir(parents=True)
        self.tmp.mkdir()
        shutil.copyfile(__file__, self.dir / "rewact_outcomes.py")
        # A user's own caches, home and pytest options would decide what a test finds.
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("GIT_", "PYTEST_ADDOPTS", "XDG_"))
            and not (k.startswith("HF_") and k.endswith(("_HOME", "_CACHE")))
        }
        self.env = kept | {
            "PYTHONPATH": os.pathsep.join([str(self.tree / "src"), str(self.dir)]),
            "PYTHONHASHSEED": "0",  # parameters taken from a set keep their ids
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "HF_HOME": str(self.home / "huggingface"),
            "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.home / "inductor"),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
        }

    def check_import(self) -> None:
        """The environment has LeRobot installed as editable: make sure that this tree's is imported."""
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

    def __init__(self, side: Side, label: str, pytest_args: list[str]):
        self.side, self.label = side, label
        self.events_path = side.dir / f"{label}.jsonl"
        self.log_path = OUTPUT_DIR / f"{side.name}-{label}.log"
        self.command = [sys.executable, "-m", "pytest", "-p", "rewact_outcomes", "-p", "no:cacheprovider"]
        # LeRobot's own settings: trees kept inside this project would find those of our tests.
        self.command += [
            f"--rootdir={side.tree}",
            "-c",
            "pyproject.toml",
            f"--basetemp={side.tmp / 'pytest'}",
        ]
        self.command += ["-o", "tmp_path_retention_policy=none", "--continue-on-collection-errors", "-q"]
        self.command += [f"--timeout={TEST_TIMEOUT_S}", *pytest_args]
        self.process, self.problem, self.seconds = None, "", 0.0
        self.size = self.idle_polls = 0

    def start(self) -> None:
        self.started = time.monotonic()
        self.events_path.touch()
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.side.tree,
                env=self.side.env | {"REWACT_OUTCOMES": str(self.events_path)},
                stdin=subprocess.DEVNULL,  # LeRobot's keyboard code asks whether it has a terminal
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own: what a test started dies with it
            )

    def running(self) -> bool:
        if self.process is None or self.seconds:
            return False
        # In polls, not by the clock: a machine that sleeps for a while, or a job that is paused, has not stalled.
        size = self.events_path.stat().st_size
        self.size, self.idle_polls = size, self.idle_polls + 1 if size == self.size else 0
        stalled = self.idle_polls * POLL_S > STALL_S
        if self.process.poll() is None and not stalled:
            return True
        if self.process.poll() is None:
            self.read()
            self.problem = f"no test started or ended for {STALL_S // 60} minutes in {self.current}"
        self.stop()
        self.problem = self.problem or self.incomplete()
        return False

    def stop(self) -> None:
        if self.process is None or self.seconds:
            return
        self.seconds = time.monotonic() - self.started
        with contextlib.suppress(ProcessLookupError, PermissionError):  # an empty group: all have ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def read(self) -> None:
        """Reads the events written so far into collected, outcomes, current and exit."""
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

    def incomplete(self) -> str:
        """Why this run says nothing about all of its tests; "" when it does."""
        self.read()
        where = f" in {self.current}" if self.current else ""
        if self.exit is None:
            return f"pytest died with status {self.process.returncode}{where}"
        if self.exit not in (0, 1, 5):  # all passed, some failed, none collected
            return f"pytest ended with status {self.exit}{where}"
        left = set(self.collected or []) - set(self.outcomes)
        return f"pytest stopped with {len(left)} tests not run" if left else ""


def run_all(runs: list[Run], jobs: int, quiet: bool = False) -> None:
    """Runs them `jobs` at a time, with a line of progress now and then."""
    began = shown = time.monotonic()
    try:
        while True:
            active = [run for run in runs if run.running()]
            waiting = [run for run in runs if run.process is None]
            if not active and not waiting:
                return
            if not quiet and any(run.problem for run in runs):
                return  # no answer, whatever the other side says
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
    """The arguments for pytest: with paths of the user's own these alone, else the default ones in front."""

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


# ---------------------------------------------------------------------------------------------------
# The difference
# ---------------------------------------------------------------------------------------------------


def compare(base: dict, head: dict) -> dict[str, list[str]]:
    """Test ids by what became of them; an outcome is {"outcome": …, "error": first line}."""

    def got(side: dict, test: str) -> str:
        return side.get(test, VANISHED)["outcome"]

    def bad(side: dict, test: str) -> bool:
        return got(side, test) in ("failed", "error")

    lost = [test for test in base if got(base, test) == "passed" and got(head, test) != "passed"]
    new = [test for test in head if test not in base]
    return {
        # Skipped on the pristine and failing on the patched tree: the series did that too.
        "worse": [t for t in head if t in lost or (t in base and bad(head, t) and not bad(base, t))],
        "vanished": [test for test in lost if test not in head],
        "new": new,
        "new_failing": [test for test in new if bad(head, test)],
        "fixed": [test for test in base if bad(base, test) and got(head, test) == "passed"],
        "failing_on_both": [test for test in base if bad(base, test) and bad(head, test)],
    }


def rerun(tests: list[str], base: Side, head: Side, known: dict, jobs: int) -> dict[str, dict]:
    """Runs `tests` alone, twice on each side; per test the outcomes of either side."""
    seen = {test: {"pristine": [], "patched": []} for test in tests}
    for attempt in range(1, RERUNS + 1):
        runs = [Run(head, f"rerun{attempt}", tests)]
        on_base = [test for test in tests if test in known]
        if on_base:
            runs.append(Run(base, f"rerun{attempt}", on_base))
        run_all(runs, jobs, quiet=True)
        for run in runs:
            run.read()
            for test in tests if run.side is head else on_base:
                outcome = run.outcomes.get(test, {"outcome": "no result"})["outcome"]
                seen[test][run.side.name].append(outcome)
    return seen


def summarise(base_run: Run, head_run: Run, found: dict, reruns: dict) -> dict:
    """What summary.json holds: what counts first, every test's two outcomes last."""
    suspects = found["worse"] + found["new_failing"]

    def entry(test: str) -> dict:
        before, after = base_run.outcomes.get(test), head_run.outcomes.get(test, VANISHED)
        return {
            "test": test,
            "pristine": before["outcome"] if before else "not there",
            "patched": after["outcome"],
            "error": after["error"],
            "reruns": reruns.get(test, {}),
        }

    flaky = [test for test in suspects if reruns and set(reruns[test]["patched"]) == {"passed"}]
    regressions = [test for test in suspects if test not in flaky] + found["vanished"]
    new_outcomes = counts({test: head_run.outcomes[test] for test in found["new"]})
    return {
        "verdict": "regression" if regressions else "ok",
        **{
            side_run.side.name: {
                "commit": side_run.side.commit,
                "counts": counts(side_run.outcomes),
                "minutes": round(side_run.seconds / 60, 2),
                "pytest": side_run.command[3:],
            }
            for side_run in (base_run, head_run)
        },
        "regressions": [entry(test) for test in regressions],
        "flaky": [entry(test) for test in flaky],
        "fixed": found["fixed"],
        "new": {
            "count": len(found["new"]),
            "passed": new_outcomes["passed"],
            "failing": new_outcomes["failed"] + new_outcomes["error"],
            "tests": found["new"],
        },
        "failing_on_both": [
            {"test": t, "pristine": base_run.outcomes[t]["error"], "patched": head_run.outcomes[t]["error"]}
            for t in found["failing_on_both"]
        ],
        "tests": {
            test: [side.get(test, VANISHED)["outcome"] for side in (base_run.outcomes, head_run.outcomes)]
            for test in base_run.outcomes | head_run.outcomes
        },
    }


def short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def counts(outcomes: dict) -> dict[str, int]:
    tally = Counter(event["outcome"] for event in outcomes.values())
    return {outcome: tally[outcome] for outcome in OUTCOMES}


def reason(error: str) -> str:
    """An error without what differs from run to run: paths and addresses."""
    return re.sub(r"(/|0x)[^\s'\"]+", "", error)


def report(summary: dict) -> None:
    print(f"\n{'':10}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES) + f"{'total':>9}{'minutes':>9}")
    for name in ("pristine", "patched"):
        side = summary[name]
        cells = "".join(f"{side['counts'][outcome]:9d}" for outcome in OUTCOMES)
        print(f"{name:10}{cells}{sum(side['counts'].values()):9d}{side['minutes']:9.1f}")
    # Where both fail, a fault of the series can hide behind the missing Hub: show what fails differently.
    other = [e for e in summary["failing_on_both"] if reason(e["pristine"]) != reason(e["patched"])]
    print(f"\nfailing on both: {len(summary['failing_on_both'])}, of them {len(other)} with another error")
    for entry in other:
        print(f"  {entry['test']}\n    {entry['pristine']}\n    {entry['patched']}")
    new = summary["new"]
    print(f"new tests: {new['count']}, of them {new['passed']} passed, {new['failing']} not passing")
    for title, key in [("fixed", "fixed"), ("edited by the series", "edited_tests")]:
        if summary[key]:
            print(f"{title}: {len(summary[key])}\n" + "\n".join(f"  {test}" for test in summary[key]))
    if summary["flaky"]:
        print(
            f"flaky: {len(summary['flaky'])} (failed on the patched tree, then passed {RERUNS} times alone: "
            "chance, or an effect of the tests before it)"
        )
        print_tests(summary["flaky"])
    if summary["regressions"]:
        print(f"regressions: {len(summary['regressions'])}")
        print_tests(summary["regressions"])


def print_tests(entries: list[dict]) -> None:
    vanished = [entry for entry in entries if entry["patched"] == "vanished"]
    for entry in entries:
        if entry not in vanished:
            print(f"  {entry['test']}\n    {entry['pristine']} -> {entry['patched']}: {entry['error']}")
            for side, outcomes in entry.get("reruns", {}).items():
                if outcomes:
                    print(f"    alone on {side}: {', '.join(outcomes)}")
    # A file that no longer imports takes all its tests with it: one line a file, not one a test.
    by_file = Counter(entry["test"].split("::")[0] for entry in vanished)
    for file, count in by_file.items():
        some = next(entry["test"] for entry in vanished if entry["test"].startswith(file))
        print(f"  {file}: {count} that passed are gone, such as {some}")


def run(args: argparse.Namespace, pytest_args: list[str], work: Path, scratch: Path) -> int:
    target = args.target.resolve()
    base_commit, head_commit = resolve_revisions(target, args.base, args.head)
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    shutil.rmtree(OUTPUT_DIR, ignore_errors=True)  # a run that is cut off leaves no older answer behind
    OUTPUT_DIR.mkdir(parents=True)

    base, head = (
        Side(name, commit, work, scratch, threads)
        for name, commit in [("pristine", base_commit), ("patched", head_commit)]
    )
    for side in (base, head):
        export(target, side.commit, side.tree)
        filled, pointers = fill_lfs(target, side.tree)
        side.check_import()
    base_run = Run(base, "tests", select(base.tree, head.tree, args.all, pytest_args))
    head_run = Run(head, "tests", select(head.tree, base.tree, args.all, pytest_args))
    commits = git("rev-list", "--count", f"{base_commit}..{head_commit}", cwd=target)
    print(f"LeRobot's tests: pristine {base_commit[:9]}, patched {head_commit[:9]} ({commits} commits on)")
    if filled < pointers:
        print(
            f"{pointers - filled} of {pointers} LFS files are not here; the tests that read them fail on both "
            f"sides (`git -C {short(target)} lfs pull` fetches them)"
        )
    run_all([base_run, head_run], args.jobs)
    for side_run in (base_run, head_run):
        if side_run.problem:
            raise NoAnswerError(
                f"the run on the {side_run.side.name} tree did not end: {side_run.problem}; "
                f"{short(side_run.log_path)}"
            )
    if not base_run.collected:
        raise NoAnswerError(f"nothing was collected on the pristine tree; {short(base_run.log_path)}")

    found = compare(base_run.outcomes, head_run.outcomes)
    suspects = found["worse"] + found["new_failing"]
    reruns = {}
    if 0 < len(suspects) <= MAX_RERUN_TESTS:
        print(f"  {len(suspects)} to run again, alone, {RERUNS} times on each side")
        reruns = rerun(suspects, base, head, base_run.outcomes, args.jobs)

    summary = summarise(base_run, head_run, found, reruns)
    summary |= {"jobs": args.jobs, "threads": threads, "lfs_files": {"present": filled, "all": pointers}}
    # A series could also pass by changing what is tested: say which of upstream's files it edits.
    changed = ["diff", "--name-only", "--diff-filter=MDRT", base_commit, head_commit, "--", "tests"]
    summary["edited_tests"] = git(*changed, cwd=target).splitlines()
    summary_path = OUTPUT_DIR / "summary.json"
    summary_path.write_text(json.dumps(summary, indent=1) + "\n")
    report(summary)
    if summary["verdict"] == "ok":
        print(f"\nOK: nothing that passed on the pristine tree fails on the patched; {short(summary_path)}")
        return 0
    print(f"\nREGRESSION; all of it in {short(summary_path)}")
    for entry in [entry for entry in summary["regressions"] if entry["pristine"] != "not there"][:1]:
        file = entry["test"].split("::")[0]
        print(f"To look into it: python {short(Path(__file__).resolve())} --keep /tmp/trees {file}")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--all", action="store_true", help="LeRobot's whole suite")
    parser.add_argument("--target", type=Path, default=ROOT / "lerobot", help="the LeRobot checkout")
    parser.add_argument("--base", help="the pristine commit (the pin in patches/*/UPSTREAM)")
    parser.add_argument("--head", help="the patched commit (HEAD of a clean checkout)")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=min(2, os.cpu_count() or 1))
    parser.add_argument("--keep", type=Path, help="a new folder for the two trees, which then stay")
    args, pytest_args = parser.parse_known_args()
    pytest_args = [arg for arg in pytest_args if arg != "--"]

    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)  # a stopped CI job cleans up like Ctrl-C
    try:
        # A short name: the sockets of data loaders lie in there, and their paths may have 104 bytes on macOS.
        with tempfile.TemporaryDirectory(prefix="ut-", ignore_cleanup_errors=True) as scratch:
            if args.keep and args.keep.exists() and any(args.keep.iterdir()):
                raise NoAnswerError(f"{args.keep} is not empty: name a new folder for --keep")
            return run(
                args, pytest_args, (args.keep or Path(scratch, "trees")).resolve(), Path(scratch).resolve()
            )
    except NoAnswerError as error:
        print(f"test-upstream: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("test-upstream: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
