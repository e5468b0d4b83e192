"""Run LeRobot's own tests on the pristine pin and on the patched tree, and print the difference by test.

    make test-upstream                                   # the tests of what the series can change
    make test-upstream ALL=1                             # LeRobot's whole suite
    python scripts/test_upstream.py                      # the same by hand
    python scripts/test_upstream.py tests/policies -k act        # further arguments go to pytest
    python scripts/test_upstream.py --base v0.6.1 --head my-branch --keep /tmp/look

Many of LeRobot's tests need the Hub, Git LFS files or a GPU and fail on any tree without them, so counts say nothing.
What counts is each test: none that passed on the pristine tree may fail, be skipped or be missing on the patched one,
and every test that the series adds must pass. A test that fails is run twice more on its own before it counts. Exit
status: 0 no regression, 1 a regression, 2 no answer (refused, or a run that did not end). Both trees are copied out of
git's objects into a temporary folder; the checkout is only read.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from upstream_tests.compare import MAX_RERUN_TESTS, RERUNS, compare, rerun, summarise
from upstream_tests.report import report, short
from upstream_tests.run import Run, Side, run_all, select
from upstream_tests.trees import ROOT, NoAnswerError, export, fill_lfs, git, resolve_revisions

OUTPUT_DIR = ROOT / "outputs" / "test_upstream"


def run(args: argparse.Namespace, pytest_args: list[str], work: Path, scratch: Path) -> int:
    """Compare the two commits and print the difference; the exit status."""
    target = args.target.resolve()
    base_commit, head_commit = resolve_revisions(target, args.base, args.head)
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    shutil.rmtree(OUTPUT_DIR, ignore_errors=True)  # so that no older answer stays if this run is interrupted
    OUTPUT_DIR.mkdir(parents=True)

    base, head = (
        Side(name, commit, work, scratch, threads)
        for name, commit in [("pristine", base_commit), ("patched", head_commit)]
    )
    for side in (base, head):
        export(target, side.commit, side.tree)
        filled, pointers = fill_lfs(target, side.tree)
        side.check_import()
    base_run = Run(base, "tests", select(base.tree, head.tree, args.all, pytest_args), OUTPUT_DIR)
    head_run = Run(head, "tests", select(head.tree, base.tree, args.all, pytest_args), OUTPUT_DIR)
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
        reruns = rerun(suspects, base, head, base_run.outcomes, args.jobs, OUTPUT_DIR)

    summary = summarise(base_run, head_run, found, reruns)
    summary |= {"jobs": args.jobs, "threads": threads, "lfs_files": {"present": filled, "all": pointers}}
    # A series could also pass by changing the tests: say which of upstream's files it edits.
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

    signal.signal(signal.SIGTERM, interrupt)  # a CI job that is stopped cleans up as after Ctrl-C
    try:
        # A short name, because it holds the sockets of data loaders, whose paths may have 104 bytes on macOS.
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
