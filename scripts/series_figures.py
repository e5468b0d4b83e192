#!/usr/bin/env python
"""How much of LeRobot the patch series changes, and how much of itself it takes back.

    make series-figures
    python scripts/series_figures.py --series v0.6.1 --target ~/lerobot

Prints:
- the number of patches;
- the changed lines (added and removed, summed over the patches) in files that LeRobot has, and in how many files;
- the same for modeling_act.py, and how many patches touch it;
- the lines taken back: lines that an earlier patch added and a later one removes, in all, in tests, and for each
  pair of patches.

The patches are applied one after another in an index of their own, so that the patched branch need not exist and the
checkout is only read. Changed lines are counted as the patches have them (git's default diff). Lines taken back are
counted with the histogram diff, which keeps a rewritten block together.
"""

import argparse
import os
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from patch_tool.series import find_series, patch_files, read_upstream

ROOT = Path(__file__).resolve().parent.parent
MODEL = "src/lerobot/policies/act/modeling_act.py"
HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
UPSTREAM = 0  # the author of LeRobot's own lines; a patch's lines have its number


@dataclass
class Patch:
    changed: dict[str, int]  # file -> lines added and removed
    hunks: dict[
        str, list[tuple[int, int, int]]
    ]  # file -> (first old line from 1, lines removed, lines added)


@dataclass
class Figures:
    patches: int
    changed: Counter[str]  # file of LeRobot -> changed lines
    touching: Counter[str]  # file of LeRobot -> patches that change it
    taken_back: Counter[tuple[int, int]]  # (earlier patch, later patch) -> lines
    taken_back_in_tests: int


def read_hunks(diff: str) -> dict[str, list[tuple[int, int, int]]]:
    """The hunks of a unified diff without context lines, by file."""
    hunks: dict[str, list[tuple[int, int, int]]] = {}
    path = ""
    for line in diff.split("\n"):
        if line.startswith("diff --git "):
            path = line.split(" b/", 1)[1]
        elif match := HUNK.match(line):
            start, removed, _, added = (1 if n is None else int(n) for n in match.groups())
            # where nothing is removed, git names the line before the first one added
            hunks.setdefault(path, []).append((start if removed else start + 1, removed, added))
    return hunks


def count(base: dict[str, int], patches: list[Patch]) -> Figures:
    """The figures of `patches`, in their order, on a tree whose files have `base` lines."""
    figures = Figures(len(patches), Counter(), Counter(), Counter(), 0)
    authors = {path: [UPSTREAM] * lines for path, lines in base.items()}  # file -> the author of each line
    for number, patch in enumerate(patches, start=1):
        for path, changed in patch.changed.items():
            if path in base:
                figures.changed[path] += changed
                figures.touching[path] += 1
        for path, hunks in patch.hunks.items():
            lines = authors.setdefault(path, [])
            for start, removed, added in reversed(hunks):  # from the end, so that line numbers stay valid
                old = slice(start - 1, start - 1 + removed)
                taken_back = [author for author in lines[old] if author != UPSTREAM]
                figures.taken_back.update((author, number) for author in taken_back)
                figures.taken_back_in_tests += len(taken_back) if path.startswith("tests/") else 0
                lines[old] = [number] * added
    return figures


def report(series: str, figures: Figures) -> str:
    text = [
        f"series {series}: {figures.patches} patches",
        f"LeRobot's own files: {sum(figures.changed.values())} changed lines in {len(figures.changed)} files",
        f"{MODEL}: {figures.changed[MODEL]} changed lines in {figures.touching[MODEL]} patches",
        f"taken back by a later patch: {figures.taken_back.total()} lines, {figures.taken_back_in_tests} in tests",
    ]
    pairs = sorted(figures.taken_back.items(), key=lambda item: item[0][::-1])
    text += [f"  {later:04d} takes {lines} from {earlier:04d}" for (earlier, later), lines in pairs]
    return "\n".join(text)


class Replay:
    """Applies patches one after another to a commit of `target`, in an index and object store of its own."""

    def __init__(self, target: Path, commit: str, folder: Path):
        self.target = target
        self.env: dict[str, str] = {}
        objects = self.git("rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
        (folder / "objects").mkdir()
        self.env = {
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        self.git("read-tree", commit)
        self.tree = self.git("write-tree").strip()

    def git(self, *args: str) -> str:
        keep = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        settings = ["-c", "core.autocrlf=false", "-c", "apply.ignoreWhitespace=no"]
        done = subprocess.run(
            ["git", "-C", str(self.target), *settings, *args],
            env={**keep, **self.env}, capture_output=True, encoding="utf-8", errors="surrogateescape",
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"series_figures: git {args[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def apply(self, patch: Path) -> Patch:
        before = self.tree
        self.git("apply", "--cached", "--whitespace=nowarn", str(patch.resolve()))
        self.tree = self.git("write-tree").strip()
        diff = ["diff-tree", "-r", "--no-renames", "--no-ext-diff", "--no-color", before, self.tree]
        changed = {}
        for line in self.git(*diff, "--numstat").splitlines():
            added, removed, path = line.split("\t")
            changed[path] = int(added) + int(removed) if added != "-" else 0  # "-" for a binary file
        return Patch(changed, read_hunks(self.git(*diff, "--patch", "--unified=0", "--histogram")))

    def lines(self, tree: str, paths: list[str]) -> dict[str, int]:
        """The number of lines of those `paths` that are in `tree`."""
        present = self.git("ls-tree", "-r", "--name-only", "-z", tree, "--", *paths).split("\0")
        return {path: self.git("show", f"{tree}:{path}").count("\n") + 1 for path in present if path}


def pinned_commit(target: Path, series: Path) -> str:
    """The commit of `target` that the series is made for: LeRobot's own, or the import of its sdist."""
    upstream = read_upstream(series)
    for name in (upstream["UPSTREAM_COMMIT"], f"refs/tags/pypi-{upstream['UPSTREAM_TAG']}"):
        found = subprocess.run(
            ["git", "-C", str(target), "rev-parse", "-q", "--verify", f"{name}^{{commit}}"],
            capture_output=True,
            text=True,
        )
        if found.returncode == 0:
            return found.stdout.strip()
    raise SystemExit(f"series_figures: {target} does not hold the commit of {series.name}: run make setup.")


def measure(target: Path, series: Path) -> Figures:
    files = patch_files(series)
    if not files:
        raise SystemExit(f"series_figures: {series} holds no patch.")
    with tempfile.TemporaryDirectory(prefix="rewact.") as folder:
        commit = pinned_commit(target, series)
        replay = Replay(target, commit, Path(folder))
        pristine = replay.tree
        patches = [replay.apply(file) for file in files]
        paths = sorted({path for patch in patches for path in patch.changed})
        return count(replay.lines(pristine, paths), patches)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", help="a folder of patches/ (default: the newest)")
    parser.add_argument(
        "--target", type=Path, default=ROOT / "lerobot", help="a LeRobot checkout to read from"
    )
    args = parser.parse_args()
    series = find_series(args.series)
    print(report(series.name, measure(args.target, series)))


if __name__ == "__main__":
    main()
