"""The two commits of LeRobot that are compared, and their files in temporary folders. The checkout is only read."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class NoAnswerError(Exception):
    """Why there is no answer, in one line that also says what to do."""


def git(*args: str, cwd: Path, check: bool = True, env: dict[str, str] | None = None) -> str:
    """What a git command prints; a NoAnswerError, or without `check` "", where it fails."""
    # A git hook's variables would point to its own repository; optional locks would rewrite the user's index.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", *args],
        cwd=cwd,
        env=clean | {"GIT_OPTIONAL_LOCKS": "0"} | (env or {}),
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        raise NoAnswerError(f"git {args[0]} in {cwd}: {done.stderr.strip() or 'failed'}")
    return done.stdout.strip() if done.returncode == 0 else ""


def resolve_revisions(target: Path, base: str | None, head: str | None) -> tuple[str, str]:
    """The commits to compare, pristine and patched, or a NoAnswerError that names the next command."""
    name = target.name
    # In an empty submodule folder git would answer for the repository around it.
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
    """The UPSTREAM_COMMIT in patches/ that `head` is built on."""
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
    """Write the files of `commit` to `tree` through a temporary index, so that the repository does not change."""
    tree.mkdir(parents=True)
    git_dir = git("rev-parse", "--absolute-git-dir", cwd=target)
    index = {"GIT_INDEX_FILE": str(tree.parent / "index")}
    # Without filters, LFS files come out as pointers, with or without git-lfs, and without the network.
    no_lfs = ["-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false"]
    git("--git-dir", git_dir, "read-tree", commit, cwd=tree, env=index)
    git(
        *no_lfs,
        "--git-dir",
        git_dir,
        "--work-tree",
        str(tree),
        "checkout-index",
        "--all",
        cwd=tree,
        env=index,
    )


def fill_lfs(target: Path, tree: Path) -> tuple[int, int]:
    """Replace LFS pointers by their content where the checkout has it; (number replaced, number of pointers)."""
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
