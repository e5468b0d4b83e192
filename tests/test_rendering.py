"""MUJOCO_GL is chosen by what renders, and one line says what to do where nothing does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shared import rendering

SCRIPT = Path(rendering.__file__)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """A Linux machine with no display and no choice made; the environment is restored afterwards."""
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUJOCO_GL", "")


def only(monkeypatch, *working: str) -> list[str]:
    """Let only these backends render; the list returned fills with those that are tried."""
    tried = []
    monkeypatch.setattr(rendering, "renders", lambda backend: tried.append(backend) or backend in working)
    return tried


@pytest.mark.parametrize("working, chosen", [(("egl", "osmesa"), "egl"), (("osmesa",), "osmesa")])
def test_the_first_that_renders(monkeypatch, working, chosen):
    only(monkeypatch, *working)
    assert rendering.choose_mujoco_gl() == chosen
    assert os.environ["MUJOCO_GL"] == chosen


def test_the_users_choice_stays_if_it_works(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert only(monkeypatch, "egl", "osmesa") == []
    assert rendering.choose_mujoco_gl() == "osmesa"


def test_the_users_choice_is_replaced_if_it_does_not_work(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    tried = only(monkeypatch, "egl")
    assert rendering.choose_mujoco_gl() == "egl"
    assert tried == ["osmesa", "egl"]


@pytest.mark.parametrize(
    "name, value, has_display",
    [("DISPLAY", ":0", True), ("WAYLAND_DISPLAY", "w", True), ("TERM", "x", False)],
)
def test_glfw_needs_a_display(monkeypatch, name, value, has_display):
    monkeypatch.setenv(name, value)
    tried = only(monkeypatch)
    with pytest.raises(SystemExit):
        rendering.choose_mujoco_gl()
    assert ("glfw" in tried) is has_display


def test_the_answer_is_not_remembered(monkeypatch):
    only(monkeypatch)
    with pytest.raises(SystemExit):
        rendering.choose_mujoco_gl()
    only(monkeypatch, "egl")  # as after installing the driver
    assert rendering.choose_mujoco_gl() == "egl"


def test_one_line_where_nothing_renders(tmp_path):
    # A gymnasium that cannot be used stands for missing system libraries: every real probe fails.
    (tmp_path / "gymnasium.py").write_text("raise OSError('libEGL.so.1: cannot open shared object file')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1, run.stderr
    assert "apt-get install libegl1" in run.stderr
    assert "make train DATASET=" in run.stderr


def test_this_machine_renders():
    """The command prints the choice alone, for use in a shell."""
    run = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=200)
    if run.returncode and not os.environ.get("CI"):
        pytest.skip(run.stderr.strip())
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() in ("egl", "osmesa", "glfw")
