"""A LeRobot in miniature with a series of two patches, for the tests of apply_patches.sh and setup.sh.

Everything is made by the tool itself under a home of its own, so that the git settings of whoever runs the
tests change nothing. All paths have a space in them.
"""

import os
import resource
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
ROBOT = "scripts/simulation/lerobot_robot_so101_sim/pyproject.toml"
TOOL = [
    "apply_patches.sh",
    "scripts/patch_tool",
    "scripts/setup.sh",
    "scripts/requirements.txt",
    ROBOT,
    "Makefile",
]

ACT = "src/lerobot/policies/act/modeling_act.py"
FACTORY = "src/lerobot/datasets/factory.py"
HEAD = "src/lerobot/policies/act/reward_head.py"
TEST = "tests/policies/act/test_reward_head.py"

TRAILERS = "\n\nUpstream: none\nDrop-when: LeRobot has it\n"


def numbered(name: str, lines: int = 40) -> str:
    return "".join(f"{name}_{i} = {i}\n" for i in range(lines))


def environment(home: Path, **more: str) -> dict[str, str]:
    """The caller's environment without its git settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") and k not in ("FORCE", "SERIES")}
    env |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {"GIT_TEMPLATE_DIR": str(home / "template"), "PIP_NO_INDEX": "1", "LEROBOT_URL": ""}
    return env | more


@contextmanager
def takes_less_than(seconds: float):
    """Of the processor's time, so that a busy machine does not fail the test."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    start = used()
    yield
    assert used() - start < seconds


class Checkout:
    """A git repository with the commands that the tests need."""

    def __init__(self, path: Path, home: Path):
        self.path, self.home = path, home

    def git(self, *args: str, ok: bool = True, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            env=environment(self.home, **(env or {})),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 or not ok, f"git {args}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, text: str) -> Path:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self, message: str, *paths: str, day: int = 1) -> str:
        self.git("add", "--", *(paths or (".",)))
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in self.who(day)}
        self.git("commit", "-q", "-m", message, env=who)
        return self.git("rev-parse", "HEAD")

    @staticmethod
    def who(day: int):
        return ("NAME", "Zoë Ärm"), ("EMAIL", "zoe@example.com"), ("DATE", f"2026-01-{day:02d}T12:00:00+0200")

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.path / path).read_text()
        assert old in text
        (self.path / path).write_text(text.replace(old, new))

    def subjects(self, commits: str = "refs/rewact/base..rewact") -> list[str]:
        return self.git("log", "--reverse", "--format=%s", commits).splitlines()

    def files(self) -> dict[str, tuple[str, str]]:
        """All files outside .git: their content and mode."""
        return {
            str(file.relative_to(self.path)): (
                os.readlink(file) if file.is_symlink() else file.read_bytes().hex(),
                oct(file.lstat().st_mode),
            )
            for file in sorted(self.path.rglob("*"))
            if ".git" not in file.relative_to(self.path).parts and (file.is_file() or file.is_symlink())
        }

    def state(self) -> dict[str, object]:
        """Everything of the user's that a command could damage."""
        return {
            "files": self.files(),
            "head": self.git("rev-parse", "HEAD"),
            "branch": self.git("symbolic-ref", "-q", "HEAD", ok=False),
            "branches": self.git(
                "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"
            ),
            "stash": self.git("stash", "list"),
            "index": self.git("ls-files", "--stage", "-v"),
            "status": self.git("status", "--porcelain"),
            "reflog": self.git("reflog", "--format=%H %gs"),
        }

    def every_commit(self) -> set[str]:
        """The commits that a reflog or a ref still leads to."""
        return set(self.git("rev-list", "--all", "--reflog").split())


class Project(Checkout):
    """The outer repository: the tool, patches/v0.6.1 and, in lerobot/, a clone of the toy upstream."""

    def __init__(self, path: Path, home: Path, upstream: Path):
        super().__init__(path, home)
        self.upstream = Checkout(upstream, home)
        self.lerobot = Checkout(path / "lerobot", home)
        self.series = path / "patches" / "v0.6.1"

    def run(
        self, *args: str, target: Checkout | None = None, ok: bool = True, env: dict[str, str] | None = None
    ) -> str:
        """Runs apply_patches.sh and returns what it prints; `ok` says whether it should succeed."""
        where = ["--target", str(target.path)] if target else []
        done = subprocess.run(
            ["bash", str(self.path / "apply_patches.sh"), *where, *args],
            cwd=self.path, env=environment(self.home, **(env or {})), capture_output=True, text=True,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, f"{args}: {done.returncode}\n{output}"
        return output

    def patches(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in sorted(self.series.glob("*.patch"))}

    def clone(self, name: str, *args: str) -> Checkout:
        """A LeRobot clone of the user's own."""
        path = self.path.parent / name
        self.git("clone", "-q", *args, str(self.upstream.path), str(path))
        return Checkout(path, self.home)

    def configure(self, *settings: tuple[str, str]) -> None:
        """Settings of the user, for all repositories."""
        for key, value in settings:
            self.git("config", "--global", key, value)


def make_upstream(upstream: Checkout) -> None:
    """main: v0.6.0, v0.6.1, and two commits later that calls itself 0.6.2."""
    upstream.path.mkdir(parents=True)
    upstream.git("init", "-q", "-b", "main", ".")
    for day, version in enumerate(("0.6.0", "0.6.1", "0.6.2"), start=1):
        upstream.write("pyproject.toml", f'[project]\nname = "lerobot"\nversion = "{version}"\n')
        if version == "0.6.0":
            for path in (ACT, FACTORY, "src/lerobot/__init__.py", "README.md", "setup.py", "docs/index.md"):
                upstream.write(path, numbered(Path(path).stem))
            upstream.write(".gitignore", "outputs/\n__pycache__/\n*.local\n")
        elif version == "0.6.1":
            upstream.write("docs/index.md", "one more page\n")
        else:
            upstream.edit(FACTORY, "factory_30 = 30", "factory_30 = 'later'")
        upstream.commit(f"release {version}", day=day)
        if version != "0.6.2":
            upstream.git("tag", f"v{version}")


def make_project(folder: Path) -> Project:
    home = folder / "home"
    (home / ".config").mkdir(parents=True)
    (home / "template/info").mkdir(parents=True)
    upstream = Checkout(folder / "toy upstream", home)
    make_upstream(upstream)
    project = Project(folder / "my project", home, upstream.path)
    (project.path / "scripts").mkdir(parents=True)
    for name in TOOL:
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (REPO / name).is_dir() else shutil.copy2
        copy(REPO / name, project.path / name)
    shutil.copy2(REPO / ".gitattributes", project.path)
    pin = upstream.git("rev-parse", "v0.6.1")
    project.git("init", "-q", "-b", "main", ".")
    url = "https://github.com/huggingface/lerobot.git"
    project.write(".gitmodules", f'[submodule "lerobot"]\n\tpath = lerobot\n\turl = {url}\n')
    project.write(
        "patches/v0.6.1/UPSTREAM", f"UPSTREAM_TAG=v0.6.1\nUPSTREAM_COMMIT={pin}\nUPSTREAM_SDIST_SHA256=\n"
    )

    project.git("clone", "-q", str(upstream.path), str(project.lerobot.path))
    project.lerobot.git("checkout", "-q", "--detach", "v0.6.1")
    lerobot = project.lerobot
    lerobot.git("checkout", "-q", "-b", "rewact")
    lerobot.edit(ACT, "modeling_act_10 = 10\n", "modeling_act_10 = 10\nreward = 'héad'\n")
    lerobot.write(HEAD, numbered("head", 5))
    lerobot.write(TEST, "def test_head():\n    pass\n")
    lerobot.commit(
        "feat(act): add a reward head\n\nACT cannot say how far it is. Now it can." + TRAILERS, day=5
    )
    lerobot.edit(FACTORY, "factory_10 = 10\n", "factory_10 = 10\nlabels = True\n")
    lerobot.edit(ACT, "reward = 'héad'", "reward = 'head'")
    lerobot.commit("feat(datasets): label the progress\n\nThe head needs labels." + TRAILERS, day=6)
    project.run("export", "--base", "v0.6.1", "--series", "v0.6.1")
    # as after `make setup`: nothing of the making is left
    shutil.rmtree(lerobot.path)
    project.git("clone", "-q", str(upstream.path), str(lerobot.path))
    lerobot.git("checkout", "-q", "--detach", "v0.6.1")
    project.git("add", ".gitmodules", ".gitattributes", "patches", "scripts", "Makefile", "apply_patches.sh")
    project.git("update-index", "--add", "--cacheinfo", f"160000,{pin},lerobot")
    project.commit("RewACT", ".gitmodules")
    return project


def copy_project(project: Project, folder: Path) -> Project:
    """A project of its own for one test. The clones keep the upstream they were made from."""
    shutil.copytree(project.path.parent, folder, symlinks=True)
    copied = Project(folder / project.path.name, folder / "home", folder / project.upstream.path.name)
    copied.lerobot.git("remote", "set-url", "origin", str(copied.upstream.path))
    return copied
