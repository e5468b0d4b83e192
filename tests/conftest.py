"""What many tests want: one tiny dataset, one checkpoint trained on it by LeRobot's own command, one toy upstream.

They read them; a test that writes takes a copy, as `project` is one of the toy.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_upstream import Project, copy_project, make_project


def scheduling_policy() -> int | None:
    return os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None


POLICY = scheduling_policy()


@pytest.fixture(autouse=True)
def scheduled_as_before():
    """A test that leaves real-time priority behind starves the processes that the next ones start."""
    yield
    assert scheduling_policy() == POLICY, "a video was encoded without keep_scheduling()"


@pytest.fixture(scope="session")
def mujoco_gl() -> str:
    from shared import rendering

    try:
        return rendering.choose_mujoco_gl()
    except SystemExit as err:
        if os.environ.get("CI"):
            pytest.fail(str(err))
        pytest.skip(str(err))


@pytest.fixture(scope="session")
def data_set(tmp_path_factory) -> Path:
    from tiny_run import CAMERAS, LENGTHS, make_data_set  # imports LeRobot, which not every test wants

    return make_data_set(tmp_path_factory.mktemp("data") / "tiny", LENGTHS, CAMERAS)


@pytest.fixture(scope="session")
def meta(data_set):
    from shared.episodes import load_meta
    from tiny_run import REPO_ID

    return load_meta(REPO_ID, data_set)


@pytest.fixture(scope="session")
def run_dir(data_set, tmp_path_factory) -> Path:
    """A run of the real lerobot-train on episodes 0 and 2, with labels other than the default."""
    from tiny_run import REPO_ID, TINY_POLICY

    output_dir = tmp_path_factory.mktemp("work") / "outputs" / "train" / "tiny_run"
    policy = [f"--policy.{k}={'null' if v is None else str(v).lower()}" for k, v in TINY_POLICY.items()]
    command = [sys.executable, "-m", "lerobot.scripts.lerobot_train", "--policy.type=rewact", *policy]
    command += [f"--dataset.repo_id={REPO_ID}", f"--dataset.root={data_set}", "--dataset.episodes=[0,2]"]
    command += [
        "--dataset.reward_start_pct=0.1",
        "--dataset.reward_end_pct=0.8",
        "--dataset.video_backend=pyav",
    ]
    command += ["--num_workers=0", "--batch_size=4", "--steps=4", f"--output_dir={output_dir}"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return output_dir


@pytest.fixture
def offline_in_a_folder_of_its_own(monkeypatch, tmp_path):
    """For tests of commands that write to the folder they run in, and would ask the Hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def checkpoint(run_dir) -> Path:
    return run_dir / "checkpoints" / "last" / "pretrained_model"


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Project:
    return make_project(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def project(original, tmp_path) -> Project:
    return copy_project(original, tmp_path / "copy")


@pytest.fixture(scope="session")
def demo_dir(mujoco_gl, tmp_path_factory) -> Path:
    from tiny_run import make_demo

    output_dir = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_demo(monkeypatch, output_dir)
    return output_dir
