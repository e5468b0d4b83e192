"""scripts/setup.sh on a toy upstream: the three sources, running it again, and interruptions.

uv is a fake that records its calls: the tests check when setup.sh calls it, not uv itself.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from toy_upstream import Checkout, Project, copy_project, environment, takes_less_than

FAKE_UV = """#!/bin/sh
echo "$@" >>"$UV_LOG"
site=.venv/lib/python3.12/site-packages
case "$1 $2" in
  --version*) echo "uv 0.9.0" ;;
  venv*)
    mkdir -p .venv/bin $site
    touch .venv/pyvenv.cfg
    printf '#!/bin/sh\\ncase "$*" in *version_info*) echo 3.12 ;; esac\\n' >.venv/bin/python
    chmod +x .venv/bin/python ;;
  "pip install")
    case "$*" in
      *--editable*) [ -z "$UV_FAILS" ] || exit 1
        mkdir -p $site/opencv_python_headless-4.13.dist-info ;;
    esac ;;
  "pip uninstall") rm -rf $site/opencv_python-4.13.dist-info ;;
esac
"""


@pytest.fixture
def project(original, tmp_path) -> Project:
    """A fresh clone: lerobot/ is empty."""
    project = copy_project(original, tmp_path / "copy")
    shutil.rmtree(project.lerobot.path)
    project.lerobot.path.mkdir()
    fake = tmp_path / "bin" / "uv"
    fake.parent.mkdir()
    fake.write_text(FAKE_UV)
    fake.chmod(0o755)
    return project


def setup(project: Project, *args: str, ok: bool = True, umask: int = 0o022, **env: str) -> str:
    path = f"{project.path.parent.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(project.path / "scripts/setup.sh"), *args], cwd=project.path.parent, umask=umask,
        env=environment(project.home, **{"PATH": path, "UV_LOG": str(project.path / "uv.log")} | env),
        capture_output=True, text=True,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, output
    assert not list(project.path.glob(".setup*")), "the set-up left something behind"
    return output


def uv_calls(project: Project) -> list[str]:
    log = project.path / "uv.log"
    return [line for line in log.read_text().splitlines() if line != "--version"] if log.exists() else []


def test_from_lerobot_url(project):
    output = setup(project, "--source-only", LEROBOT_URL=str(project.upstream.path))
    assert f"from LEROBOT_URL, {project.upstream.path}" in output
    lerobot = project.lerobot
    assert lerobot.git("rev-parse", "HEAD") == lerobot.git("rev-parse", "v0.6.1")
    # the layout of a submodule
    assert (lerobot.path / ".git").is_file()
    assert project.git("submodule", "status").split()[0] == lerobot.git("rev-parse", "v0.6.1")
    assert project.git("status", "--porcelain", "-uno") == ""

    # a second run keeps it, whatever the user did there and whatever source is given now
    lerobot.git("checkout", "-q", "-b", "mine")
    lerobot.write("README.md", "mine\n")
    lerobot.commit("mine")
    lerobot.write("setup.py", "dirty\n")
    lerobot.write("notes.txt", "untracked\n")
    before = lerobot.state()
    assert "kept as it is: branch mine" in setup(project, "--source-only")
    output = setup(project, "--source-only", LEROBOT_URL="/somewhere/else")
    assert "is not used" in output and "remote set-url origin" in output
    assert lerobot.state() == before


def test_relative_lerobot_url(project):
    setup(project, "--source-only", LEROBOT_URL="./toy upstream")
    assert project.lerobot.git("config", "remote.origin.url") == str(project.upstream.path)


def test_lerobot_url_without_the_pin(project, tmp_path):
    other = Checkout(tmp_path / "other", project.home)
    other.path.mkdir()
    other.git("init", "-q")
    other.write("a", "a")
    other.commit("a")
    output = setup(project, "--source-only", ok=False, LEROBOT_URL=str(other.path))
    assert "does not hold LeRobot v0.6.1" in output
    assert list(project.lerobot.path.iterdir()) == []
    # and then with the right one
    setup(project, "--source-only", LEROBOT_URL=str(project.upstream.path))


def test_from_the_submodules_own_url(project):
    project.git("config", "-f", ".gitmodules", "submodule.lerobot.url", str(project.upstream.path))
    assert "filled from the submodule's URL" in setup(project, "--source-only")
    assert project.lerobot.git("rev-parse", "HEAD") == project.lerobot.git("rev-parse", "v0.6.1")


def test_from_a_git_directory_that_is_there(project):
    """After `git submodule deinit` the user's branches are still in .git/modules."""
    setup(project, "--source-only", LEROBOT_URL=str(project.upstream.path))
    project.lerobot.git("checkout", "-q", "-b", "mine")
    mine = project.lerobot.commit("mine", project.lerobot.write("mine.txt", "mine").name)
    project.git("submodule", "deinit", "-f", "lerobot")
    assert "existed already" in setup(project, "--source-only")
    assert project.lerobot.git("rev-parse", "mine") == mine


def test_silent_host_is_given_up(project):
    """A host that accepts the connection and never answers, like a name server that is silent."""
    with socket.create_server(("127.0.0.1", 0)) as host:
        url = f"http://127.0.0.1:{host.getsockname()[1]}/lerobot.git"
        project.git("config", "-f", ".gitmodules", "submodule.lerobot.url", url)
        start = time.monotonic()
        output = setup(project, "--source-only", ok=False, PROBE_SECONDS="1")
        assert time.monotonic() - start < 20
    # the toy has no source distribution, and setup.sh says so
    assert "no answer" in output and "set LEROBOT_URL" in output


@pytest.fixture
def sdist(project, tmp_path) -> Path:
    """A source distribution with the files that setuptools adds; there is no network."""
    pytest.importorskip("setuptools")
    archive = tmp_path / "wheels" / "lerobot-0.6.1.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name, text, mode in (
            ("PKG-INFO", "Metadata-Version: 2.1\nName: lerobot\nVersion: 0.6.1\n", 0o644),
            ("setup.cfg", "[egg_info]\n", 0o644),
            ("pyproject.toml", '[project]\nname = "lerobot"\nversion = "0.6.1"\n', 0o644),
            ("src/lerobot/__init__.py", "x = 1\n", 0o644),
            ("src/lerobot/tool.py", "#!/usr/bin/env python\n", 0o755),
            ("src/lerobot.egg-info/PKG-INFO", "Name: lerobot\n", 0o644),
        ):
            info = tarfile.TarInfo(f"lerobot-0.6.1/{name}")
            info.size, info.mode = len(text), mode
            tar.addfile(info, BytesIO(text.encode()))
    upstream = project.path / "patches/v0.6.1/UPSTREAM"
    digest = sha256(archive.read_bytes()).hexdigest()
    upstream.write_text(upstream.read_text().replace("SHA256=", f"SHA256={digest}"))
    (project.path / ".venv").symlink_to(Path(sys.prefix))  # its Python and pip, which setup.sh would install
    project.git("config", "-f", ".gitmodules", "submodule.lerobot.url", str(tmp_path / "unreachable"))
    return archive


def from_sdist(project: Project, sdist: Path, **more) -> str:
    return setup(
        project, "--source-only", PIP_FIND_LINKS=str(sdist.parent), PIP_NO_BUILD_ISOLATION="0", **more
    )  # fmt: skip


needs_pip = pytest.mark.skipif(
    sys.version_info[:2] != (3, 12)
    or subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0,
    reason="needs the Python 3.12 and the pip that make setup installs",
)


@needs_pip
def test_sdist_gives_the_same_commit_everywhere(project, sdist, tmp_path):
    assert "PyPI's source distribution" in from_sdist(project, sdist)
    lerobot = project.lerobot
    plain = lerobot.git("rev-parse", "HEAD")
    assert lerobot.git("ls-tree", "-r", "--name-only", "HEAD").splitlines() == [
        "pyproject.toml",
        "src/lerobot/__init__.py",
        "src/lerobot/tool.py",
    ]
    assert os.access(lerobot.path / "src/lerobot/tool.py", os.X_OK)
    # files of an editable installation and of a test run do not make the tree dirty
    lerobot.write("src/lerobot.egg-info/PKG-INFO", "x")
    lerobot.write("src/lerobot/__pycache__/a.pyc", "x")
    assert lerobot.git("status", "--porcelain") == ""
    assert "kept as it is: branch main" in from_sdist(project, sdist)
    # `git pull` in RewACT would ask its remote, but it has none
    assert project.git("config", "submodule.lerobot.fetchRecurseSubmodules") == "false"

    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "post-checkout", "reference-transaction"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    project.configure(
        ("core.autocrlf", "true"), ("core.fileMode", "false"), ("commit.gpgSign", "true"),
        ("init.defaultBranch", "trunk"), ("init.templateDir", str(tmp_path)), ("i18n.commitEncoding", "latin1"),
        ("user.name", "Someone"), ("core.attributesFile", str(tmp_path / "attributes")),
    )  # fmt: skip
    (tmp_path / "attributes").write_text("*.py text eol=crlf\n")
    shutil.rmtree(lerobot.path)
    from_sdist(project, sdist, umask=0o077, GIT_DEFAULT_HASH="sha256")
    assert lerobot.git("rev-parse", "HEAD") == plain
    assert lerobot.git("status", "--porcelain") == ""


@needs_pip
def test_sdist_with_another_hash_is_refused(project, sdist):
    sdist.write_bytes(sdist.read_bytes() + b"\0")
    output = setup(
        project, "--source-only", ok=False, PIP_FIND_LINKS=str(sdist.parent), PIP_NO_BUILD_ISOLATION="0"
    )
    assert "hash" in output.lower() and "LEROBOT_URL" in output
    assert list(project.lerobot.path.iterdir()) == []


def test_second_run_changes_nothing(project):
    setup(project, LEROBOT_URL=str(project.upstream.path))
    calls = uv_calls(project)
    assert calls[0].startswith("venv") and "--no-sources --editable ./lerobot[training," in calls[1]
    before = project.files()
    with takes_less_than(1):
        assert "nothing to do" in setup(project)
    assert project.files() == before

    # the environment would have other packages now
    requirements = project.path / "scripts/requirements.txt"
    requirements.write_text(requirements.read_text() + "pytest\n")
    setup(project)
    assert len(uv_calls(project)) == len(calls) + 1
    # a series for the user's own fork and the settings of LeRobot's tools change nothing
    mine = project.path / "patches" / "mine"
    mine.mkdir()
    (mine / "UPSTREAM").write_text(f"UPSTREAM_TAG=\nUPSTREAM_COMMIT={'1' * 40}\nUPSTREAM_SDIST_SHA256=\n")
    pyproject = project.lerobot.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "[tool.ruff]\nline-length = 1\n")
    setup(project)
    assert len(uv_calls(project)) == len(calls) + 1


def test_interrupted_installation_goes_on(project):
    url = str(project.upstream.path)
    assert "run make setup again" in setup(project, ok=False, LEROBOT_URL=url, UV_FAILS="1")
    keep = project.lerobot.write("notes.txt", "mine")
    (project.path / ".setup.lock").write_text("99999999\n")  # a run that was killed
    (project.path / ".setup-tmp.abc" / "lerobot").mkdir(parents=True)
    assert "done" in setup(project)
    assert keep.read_text() == "mine"
    # after an interrupted run everything is installed again, into the same environment
    mine = project.path / ".venv/lib/mine.txt"
    mine.write_text("mine")
    (project.path / ".venv/.rewact-installing").touch()
    setup(project)
    assert "--reinstall" in uv_calls(project)[-1]
    assert mine.exists()


def test_one_package_owns_cv2(project):
    setup(project, LEROBOT_URL=str(project.upstream.path))
    second = project.path / ".venv/lib/python3.12/site-packages/opencv_python-4.13.dist-info"
    second.mkdir()
    assert "removed opencv-python and kept opencv-python-headless" in setup(project)
    assert not second.exists()
    assert "--reinstall-package opencv-python-headless" in uv_calls(project)[-1]


@pytest.mark.parametrize("what", ["files", "broken git", "venv"])
def test_what_it_did_not_make_it_does_not_touch(project, what):
    if what == "files":
        project.lerobot.write("notes.txt", "mine")
    elif what == "broken git":
        project.lerobot.write(".git", "gitdir: ../nowhere\n")
    else:
        setup(project, "--source-only", LEROBOT_URL=str(project.upstream.path))
        (project.path / ".venv").mkdir()
        (project.path / ".venv" / "notes.txt").write_text("mine")
    before = project.files()
    output = setup(project, ok=False)
    assert "ove it away" in output
    (project.path / "uv.log").unlink(missing_ok=True)
    assert project.files() == before


def test_broken_environment_is_created_again(project):
    setup(project, LEROBOT_URL=str(project.upstream.path))
    python = project.path / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python3.12")
    assert "lost its Python" in setup(project)
    assert python.stat().st_mode & stat.S_IXUSR


def test_password_in_the_url_is_neither_shown_nor_kept(project):
    secret = "https://me:s3cr3t-pw@example.com/lerobot.git"
    output = setup(project, "--source-only", ok=False, LEROBOT_URL="https://me:s3cr3t-pw@127.0.0.1:9/x.git")
    assert "s3cr3t-pw" not in output and "https://127.0.0.1:9/x.git" in output
    project.configure((f"url.{project.upstream.path}.insteadOf", secret))
    for _ in range(2):
        assert "s3cr3t-pw" not in setup(project, "--source-only", LEROBOT_URL=secret)
    assert project.lerobot.git("config", "remote.origin.url") == "https://example.com/lerobot.git"
    for file in project.path.rglob("*"):
        assert not file.is_file() or b"s3cr3t-pw" not in file.read_bytes(), file


def test_nothing_is_said_before_another_target_where_nothing_is_missing(project):
    setup(project, LEROBOT_URL=str(project.upstream.path))
    assert setup(project, REWACT_QUIET="1") == ""


def test_a_second_setup_waits_for_the_first(project):
    first = subprocess.Popen(["sleep", "2"])
    (project.path / ".setup.lock").write_text(f"{first.pid}\n")
    threading.Thread(target=first.wait).start()
    output = setup(project, "--source-only", LEROBOT_URL=str(project.upstream.path))
    assert f"waiting for the set-up that process {first.pid} does here" in output
    assert (project.lerobot.path / ".git").exists()


def test_a_lock_without_a_process_is_taken(project):
    (project.path / ".setup.lock").touch()  # a run that was killed before it had written its number
    setup(project, "--source-only", LEROBOT_URL=str(project.upstream.path))
