"""scripts/test_upstream.py on a toy repository with a `lerobot` package and a test suite of its own.

python -m pytest tests/test_test_upstream.py
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "test_upstream.py"
CONTENT = b"weights"
POINTER = (
    f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(CONTENT).hexdigest()}\nsize 7\n"
)

BASE_FILES = {
    "src/lerobot/__init__.py": "VALUE = 1\n",
    "pyproject.toml": "",
    "tests/conftest.py": "",
    "tests/artifact.bin": POINTER,
    ".gitattributes": "*.bin filter=lfs\n",
    "tests/policies/test_a.py": """
import os
import tempfile
from pathlib import Path

import lerobot

def test_kept(): pass
def test_value(): assert lerobot.VALUE == 1, f"VALUE is {lerobot.VALUE}"
def test_gone(): pass
def test_needs_the_hub(): assert False
def test_leaves_a_file(): tempfile.mkstemp()
def test_home(): assert not (Path.home() / ".netrc").exists() and "HF_LEROBOT_HOME" not in os.environ
def test_lfs(): assert Path("tests/artifact.bin").read_bytes() == b"weights"
""",
    "tests/policies/test_b.py": "def test_one(): pass\ndef test_two(): pass\n",
    "tests/policies/test_c.py": "def test_fails_once(): pass\ndef test_passes_once(): pass\n",
    "tests/motors/test_m.py": "import lerobot\ndef test_motor(): assert lerobot.VALUE == 1\n",
}

# Each tree has a home of its own, which stays while the failed tests are run again.
FLAKY = """
from pathlib import Path

def runs(name):
    path = Path.home() / name
    path.write_text(path.read_text() + "." if path.exists() else ".")
    return len(path.read_text())

def test_fails_once(): assert runs("a") > 1
def test_passes_once(): assert runs("b") == 2
"""


def run_git(cwd, *args):
    config = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", *config, *args], cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


class Toy:
    """A project with a copy of the script, a lerobot/ checkout and a pin on the checkout's first commit."""

    def __init__(self, root: Path):
        self.root, self.lerobot, self.tmp = root, root / "lerobot", root / "tmp"
        for folder in ("scripts", "patches/v1", "lerobot", "tmp"):
            (root / folder).mkdir(parents=True)
        (root / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")  # must not be used
        shutil.copyfile(SCRIPT, root / "scripts" / SCRIPT.name)
        shutil.copytree(SCRIPT.with_name("upstream_tests"), root / "scripts" / "upstream_tests")
        run_git(self.lerobot, "init", "-q")

    def commit(self, files: dict[str, str | None]) -> str:
        for name, text in files.items():
            path = self.lerobot / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text)
        run_git(self.lerobot, "add", "-A")
        run_git(self.lerobot, "commit", "-qm", "commit")
        return run_git(self.lerobot, "rev-parse", "HEAD")

    def pin(self, files: dict[str, str]) -> None:
        (self.root / "patches/v1/UPSTREAM").write_text(f"UPSTREAM_COMMIT={self.commit(files)}\n")

    def start(self, *args: str) -> subprocess.Popen:
        command = [sys.executable, "scripts/test_upstream.py", *args]
        env = os.environ | {"TMPDIR": str(self.tmp)}
        # Importing plug-ins that the toy does not need is half of pytest's start.
        env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_timeout"}
        # These must not reach the suite.
        env |= {"HF_LEROBOT_HOME": "/nowhere", "PYTEST_ADDOPTS": "--no-such-option"}
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A shell's background jobs ignore Ctrl-C, and so would the processes that they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *args: str) -> tuple[int, str, dict | None]:
        process = self.start(*args)
        out, err = process.communicate(timeout=180)
        summary = self.root / "outputs/test_upstream/summary.json"
        result = json.loads(summary.read_text()) if summary.exists() else None
        return process.returncode, out + err, result

    def snapshot(self) -> dict[str, tuple]:
        files = [path for path in self.lerobot.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.fixture
def toy(tmp_path):
    toy = Toy(tmp_path)
    toy.pin(BASE_FILES)
    return toy


def ids(entries: list[dict]) -> list[str]:
    return [entry["test"] for entry in entries]


def test_no_regression(toy):
    """Tests that fail on both trees, new tests and fixed ones are no regression; the checkout is only read."""
    toy.commit(
        {
            "tests/policies/test_new.py": "def test_new(): pass\n",
            "tests/policies/test_a.py": BASE_FILES["tests/policies/test_a.py"].replace(
                "Path.home()", "Path('/')"
            ),
        }
    )
    oid = hashlib.sha256(CONTENT).hexdigest()
    store = toy.lerobot / ".git/lfs/objects" / oid[:2] / oid[2:4]
    store.mkdir(parents=True)
    (store / oid).write_bytes(CONTENT)
    run_git(toy.lerobot, "config", "filter.lfs.clean", "cat")
    run_git(toy.lerobot, "config", "filter.lfs.smudge", "false")  # would fail, as without git-lfs
    run_git(toy.lerobot, "config", "filter.lfs.required", "true")
    before = toy.snapshot()

    code, text, summary = toy.run()

    assert code == 0, text
    assert toy.snapshot() == before
    assert list(toy.tmp.iterdir()) == []
    assert summary["verdict"] == "ok"
    assert summary["regressions"] == summary["flaky"] == []
    assert ids(summary["failing_on_both"]) == ["tests/policies/test_a.py::test_needs_the_hub"]
    assert summary["new"]["tests"] == ["tests/policies/test_new.py::test_new"]
    assert summary["pristine"]["counts"] == {
        "passed": 10,
        "failed": 1,
        "error": 0,
        "skipped": 0,
        "xfailed": 0,
    }
    assert summary["patched"]["counts"]["passed"] == 11
    assert summary["edited_tests"] == ["tests/policies/test_a.py"]
    assert summary["lfs_files"] == {"present": 1, "all": 1}
    assert not any("motors" in test for test in summary["tests"]), "the default selection leaves motors out"
    assert "new tests: 1, of them 1 passed" in text


def test_regressions_of_each_kind(toy):
    """A test counts as flaky only if it passes each time when it is run again."""
    test_a = BASE_FILES["tests/policies/test_a.py"].replace("def test_gone(): pass\n", "")
    toy.commit(
        {
            "src/lerobot/__init__.py": "VALUE = 2\n",
            "tests/policies/test_a.py": test_a.replace(
                "def test_kept(): pass", "import pytest\ndef test_kept(): pytest.skip('no more')"
            ),
            "tests/policies/test_b.py": "import no_such_module\n",
            "tests/policies/test_c.py": FLAKY,
            "tests/policies/test_new.py": "def test_good(): pass\ndef test_bad(): assert 1 == 2\n",
        }
    )
    before = toy.snapshot()

    code, text, summary = toy.run()

    assert code == 1, text
    assert toy.snapshot() == before
    assert list(toy.tmp.iterdir()) == []
    found = {entry["test"]: entry for entry in summary["regressions"]}
    assert {test: (entry["pristine"], entry["patched"]) for test, entry in found.items()} == {
        "tests/policies/test_a.py::test_kept": ("passed", "skipped"),
        "tests/policies/test_a.py::test_value": ("passed", "failed"),
        "tests/policies/test_a.py::test_gone": ("passed", "vanished"),
        "tests/policies/test_b.py::test_one": ("passed", "vanished"),
        "tests/policies/test_b.py::test_two": ("passed", "vanished"),
        "tests/policies/test_b.py": ("not there", "error"),
        "tests/policies/test_c.py::test_passes_once": ("passed", "failed"),
        "tests/policies/test_new.py::test_bad": ("not there", "failed"),
    }
    value = found["tests/policies/test_a.py::test_value"]
    assert value["error"].startswith("AssertionError: VALUE is 2")
    assert value["reruns"] == {"pristine": ["passed"] * 2, "patched": ["failed"] * 2}
    assert found["tests/policies/test_c.py::test_passes_once"]["reruns"]["patched"] == ["passed", "failed"]
    assert ids(summary["flaky"]) == ["tests/policies/test_c.py::test_fails_once"]
    assert "no_such_module" in found["tests/policies/test_b.py"]["error"]
    assert summary["new"] | {"tests": None} == {"count": 3, "passed": 1, "failing": 2, "tests": None}
    assert "AssertionError: VALUE is 2" in text
    assert "tests/policies/test_b.py: 2 that passed are gone" in text
    assert "REGRESSION" in text


def test_all_and_arguments(toy):
    """--all adds what the default leaves out; unknown arguments go to pytest; --keep keeps the trees."""
    toy.commit({"src/lerobot/__init__.py": "VALUE = 1  # one\n"})
    code, text, summary = toy.run("--all", "-k", "motor", "--jobs", "1", "--keep", "kept")
    assert code == 0, text
    assert summary["tests"] == {"tests/motors/test_m.py::test_motor": ["passed", "passed"]}
    assert (toy.root / "kept/pristine/tree/src/lerobot/__init__.py").read_text() == "VALUE = 1\n"


def test_a_run_that_dies_is_no_answer(toy):
    toy.commit({"tests/policies/test_b.py": "import os\ndef test_one(): pass\ndef test_two(): os._exit(0)\n"})
    code, text, summary = toy.run()
    assert code == 2, text
    assert summary is None
    assert "patched tree did not end" in text and "test_b.py::test_two" in text
    assert list(toy.tmp.iterdir()) == []


def test_a_run_cut_short_is_no_answer(toy):
    toy.commit({"src/lerobot/__init__.py": "VALUE = 2\n"})
    code, text, summary = toy.run("tests/policies/test_a.py", "-x")
    assert code == 2, text
    assert summary is None
    assert "tests not run" in text


def test_another_lerobot_imported_is_no_answer(toy):
    toy.commit({"src/lerobot/__init__.py": None, "README.md": "no package any more"})
    code, text, _ = toy.run()
    assert code == 2, text
    assert "`import lerobot`" in text and "patched tree" in text


def test_interrupt_cleans_up(toy):
    toy.commit(
        {
            "tests/policies/test_b.py": f"""
import os, subprocess, time
def test_one():
    child = subprocess.Popen(["sleep", "60"])
    open({str(toy.root / "pids")!r}, "a").write(f"{{os.getpid()}} {{child.pid}}\\n")
    time.sleep(60)
"""
        }
    )
    before = toy.snapshot()
    process = toy.start()
    deadline = time.monotonic() + 60
    while not (toy.root / "pids").exists() or not (toy.root / "pids").read_text().endswith("\n"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert list(toy.tmp.iterdir()) == []
    assert toy.snapshot() == before
    time.sleep(0.2)
    for pid in (toy.root / "pids").read_text().split():
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z", f"{pid} still runs"


def test_refusals(toy):
    """Each is one line that says what to do, before anything runs."""

    def refusal(*args):
        code, text, summary = toy.run(*args)
        assert code == 2 and summary is None, text
        assert len(text.splitlines()) == 1 and "Traceback" not in text
        return text

    assert "make apply" in refusal()  # HEAD is the pin
    assert "no commit nonsense" in refusal("--head", "nonsense")
    head = toy.commit({"src/lerobot/__init__.py": "VALUE = 2\n", "tests/policies/test_new.py": ""})
    assert "on one of the two trees only" in refusal("tests/policies/test_new.py")
    (toy.lerobot / "src/lerobot/__init__.py").write_text("VALUE = 3\n")
    assert "in no commit" in refusal()
    run_git(toy.lerobot, "checkout", "-q", ".")
    (toy.root / "patches/v1/UPSTREAM").write_text(f"UPSTREAM_TAG=v1\nUPSTREAM_COMMIT={'0' * 40}\n")
    assert "is built on no UPSTREAM_COMMIT" in refusal()
    assert "make apply" in refusal("--base", head)
    toy.commit({"tests/conftest.py": None})
    assert "LEROBOT_URL=" in refusal()  # as from the sdist
    shutil.rmtree(toy.lerobot)
    toy.lerobot.mkdir()
    run_git(toy.root, "init", "-q")  # an empty submodule folder inside the project's own repository
    assert "make setup" in refusal()
    assert list(toy.tmp.iterdir()) == []
