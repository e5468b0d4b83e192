#!/usr/bin/env python
"""Rebases the series onto other states of LeRobot, and runs the series' own tests there.

    make check-bump LEROBOT_URL=~/lerobot              # a clone of LeRobot with its history
    make check-bump LEROBOT_URL=~/lerobot NO_TESTS=1   # only rebase
    python scripts/check_bump.py ~/lerobot --onto v0.6.0

For each release or commit: `apply_patches.sh bump` into a temporary folder, a tree with the result applied, an
environment made from that tree's own pyproject.toml, and the tests that the series adds. Failures are compared with
tests/bump_expected/<release or commit>.txt, which gives a reason for each. Everything that was made is removed.
Exits with 1 on a conflict or on a failure that is not expected.
"""

import argparse
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

from patch_tool.series import find_series, patch_files, read_upstream

ROOT = Path(__file__).resolve().parent.parent
# the release before the series', and LeRobot's main a while after it
ONTO = ("v0.6.0", "7427f31801f944f5ec9ce53cda02862ce7d1638b")


@dataclass
class TestResults:
    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)  # pytest's node IDs


def environment() -> dict[str, str]:
    """The caller's, without what would send git or Python elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON"))}
    return {**kept, "GIT_LFS_SKIP_SMUDGE": "1", "HF_HUB_OFFLINE": "1"}


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a command from the repository's root; `stdout` of the result is all that it printed."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if check and done.returncode:
        raise SystemExit(f"check-bump: {' '.join(map(str, command[:4]))} … failed:\n{done.stdout}")
    return done


def git(repository: Path, *args: str | Path) -> str:
    return run("git", "-C", repository, "-c", "core.hooksPath=/dev/null", *args).stdout.strip()


def short_name(version: str) -> str:
    """v0.6.0 stays, a commit is cut to nine digits."""
    return version[:9] if re.fullmatch(r"[0-9a-f]{40}", version) else version


def clone(url: str, folder: Path, pin: str) -> Path:
    """A clone at the commit that the series is made for. From a folder it borrows the objects."""
    shared = ["--shared"] if Path(url).is_dir() else []
    run("git", "clone", "--quiet", "--no-checkout", *shared, url, folder)
    git(folder, "checkout", "--quiet", "--detach", pin)
    return folder


def make_tree(target: Path, version: str, series: Path, tree: Path) -> list[str]:
    """A worktree of `version` with the patches of `series` as commits: the test files that they add."""
    git(target, "worktree", "add", "--quiet", "--detach", tree, f"{version}^{{commit}}")
    who = [
        "-c",
        "user.name=RewACT patches",
        "-c",
        "user.email=patches@rewact.invalid",
        "-c",
        "commit.gpgSign=false",
    ]
    git(tree, *who, "am", "--quiet", "--keep", "--keep-cr", "--no-scissors", *patch_files(series))
    added = git(
        tree, "diff", "--name-only", "--no-renames", "--diff-filter=A", version, "HEAD", "--", "tests"
    )
    return [path for path in added.splitlines() if path.endswith(".py")]


def find_uv() -> Path:
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".uv/bin"))
    if not uv:
        raise SystemExit("check-bump: uv is missing: run make setup.")
    return Path(uv)


def install(tree: Path, venv: Path) -> Path:
    """An environment from the tree's own pyproject.toml, as scripts/setup.sh makes it: its Python."""
    setup = dict(re.findall(r"^([A-Z_]+)=(\S+)", (ROOT / "scripts/setup.sh").read_text(), re.M))
    python = venv / "bin/python"
    run(find_uv(), "venv", "--quiet", "--python", setup["PYTHON_VERSION"], venv)
    run(
        find_uv(), "pip", "install", "--quiet", "--python", python, "--no-sources",
        "--editable", f"{tree}[{setup['EXTRAS']}]", "--requirement", ROOT / "scripts/requirements.txt",
    )  # fmt: skip
    return python


def run_tests(tree: Path, python: Path, tests: list[str]) -> TestResults:
    """Runs the series' tests as `make test` does."""
    report = tree.parent / f"{tree.name}.xml"
    options = ["-q", "-p", "no:cacheprovider", "--noconftest", "--timeout=1200", "-o", "junit_family=xunit1"]
    options += ["--continue-on-collection-errors", f"--junitxml={report}"]
    subprocess.run(
        [python, "-m", "pytest", *options, *tests],
        cwd=tree,
        env=environment(),
    )
    if not report.exists():
        raise SystemExit(f"check-bump: pytest ended without a result in {tree.name}, see above.")
    return read_results(report)


def read_results(report: Path) -> TestResults:
    """From pytest's JUnit report in its xunit1 form, which names the files."""
    results = TestResults()
    for case in ET.parse(report).iter("testcase"):
        path, name = case.get("file", ""), case.get("name", "")
        module = path.removesuffix(".py").replace("/", ".")
        classes = case.get("classname", "").removeprefix(module).strip(".").replace(".", "::")
        if case.find("failure") is not None or case.find("error") is not None:
            parts = [path] if name == module else [path, classes, name]  # a file that cannot be imported
            results.failed.append("::".join(part for part in parts if part))
        elif case.find("skipped") is not None:
            results.skipped += 1
        else:
            results.passed += 1
    return results


def read_expected(version: str) -> dict[str, str]:
    """Failures that are expected, with their reasons."""
    file = ROOT / "tests/bump_expected" / f"{short_name(version)}.txt"
    expected = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        if line and not line.startswith("#"):
            test, separator, reason = line.partition("  # ")
            if not separator or not reason.strip():
                raise SystemExit(f"check-bump: {file.name} gives no reason for {test}.")
            expected[test.strip()] = reason.strip()
    return expected


def summary(version: str, patches: int, results: TestResults, expected: dict[str, str]) -> tuple[bool, str]:
    """Whether all failures are expected, and the lines to print."""
    lines = [
        f"{short_name(version)}: {patches} patches applied; tests: {results.passed} passed, "
        f"{len(results.failed)} failed, {results.skipped} skipped"
    ]
    lines += [f"  FAILED {test}  # {expected.get(test, 'not expected')}" for test in results.failed]
    lines += [
        f"  passes now, take it off the list: {test}" for test in expected if test not in results.failed
    ]
    return all(test in expected for test in results.failed), "\n".join(lines)


def check(url: str, target: Path, version: str, series: Path, folder: Path, tests: bool) -> tuple[bool, str]:
    """One release or commit: whether all is well, and the summary."""
    bumped, tree, venv = folder / "series", folder / "tree", folder / "venv"
    tool = ["bash", str(ROOT / "apply_patches.sh"), "--target", str(target), "--series", series.name]
    done = run(*tool, "bump", version, "--output", bumped, check=False)
    # up to where it says what to do with the result, which does not stay; with the user's clone in place of ours
    report = itertools.takewhile(lambda line: not line.startswith("Wrote "), done.stdout.splitlines())
    print("\n".join(report).replace(str(target), url), flush=True)
    if done.returncode:
        conflicts = len(re.findall(r"^  \S+\.patch: conflict$", done.stdout, re.M))
        return False, f"{short_name(version)}: not rebased, {conflicts} patches conflict (see above)"
    patches = len(patch_files(bumped))
    if not tests:
        return True, f"{short_name(version)}: {patches} patches applied"
    added = make_tree(target, version, bumped, tree)
    results = run_tests(tree, install(tree, venv), added)
    return summary(version, patches, results, read_expected(version))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="a git URL or path of LeRobot with its history")
    parser.add_argument(
        "--onto", nargs="+", default=ONTO, metavar="VERSION", help="tags or full commit hashes"
    )
    parser.add_argument("--series", help="a folder of patches/ (default: the newest)")
    parser.add_argument("--no-tests", action="store_true", help="only rebase the series")
    args = parser.parse_args()
    if not args.url:
        parser.error("name a clone of LeRobot that has its history: make check-bump LEROBOT_URL=~/lerobot")
    folder = Path(args.url).expanduser()
    url = str(folder.resolve()) if folder.is_dir() else args.url
    series = find_series(args.series)
    well, summaries = True, []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed then too
    with tempfile.TemporaryDirectory(prefix="rewact-bump.") as temporary:
        target = clone(url, Path(temporary) / "lerobot", read_upstream(series)["UPSTREAM_COMMIT"])
        for version in args.onto:
            folder = Path(temporary) / short_name(version)
            folder.mkdir()
            passed, text = check(url, target, version, series, folder, tests=not args.no_tests)
            shutil.rmtree(folder)  # an environment takes gigabytes
            well = well and passed
            summaries.append(text)
    print("\n".join(summaries))
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
