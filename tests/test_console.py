"""scripts/shared/console.py, children.py and lerobot_quietly.py: what Ctrl-C and a long configuration leave on a console."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import lerobot_quietly
import pytest
from shared.children import run_command
from shared.cli import warn

SCRIPTS = Path(lerobot_quietly.__file__).parent


def answer_ctrl_c() -> None:
    """In a child: a job that a shell has put into the background ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(code: str, reaches: str = "group") -> tuple[int, str]:
    """The exit code of Python code that prints "ready", gets Ctrl-C, and what it then wrote to stderr."""
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SCRIPTS)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=answer_ctrl_c,
    )  # fmt: skip
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does it
    _, said = child.communicate(timeout=30)
    return child.returncode, said


WAIT = "print('ready', flush=True); time.sleep(30)"


def test_ctrl_c_in_a_command_is_one_line():
    code, said = interrupted(
        f"import time\nfrom shared.cli import run_cli\ndef main():\n    {WAIT}\nrun_cli(main)"
    )
    assert (code, said.strip()) == (130, "stopped")


def test_ctrl_c_during_the_imports_is_one_line():
    code, said = interrupted(f"import shared.console, time; {WAIT}")
    assert code == -signal.SIGINT  # which a shell calls 130
    assert said.strip() == "stopped"


def test_a_python_without_the_packages_is_told_which_one_has_them():
    python = Path(sys.executable).resolve()  # outside its environment: no packages
    done = subprocess.run([python, SCRIPTS / "visualise.py"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: No module named ") and done.stderr.count("\n") == 1
    assert ".venv/bin/python" in done.stderr


def test_ctrl_c_lets_a_child_end_by_itself():
    child = "import time; from shared.cli import run_cli\\ndef main():\\n"
    child += "    try:\\n        print('ready', flush=True); time.sleep(30)\\n"
    child += (
        "    finally:\\n        time.sleep(1); print('saved', file=__import__('sys').stderr)\\nrun_cli(main)"
    )
    code, said = interrupted(
        f"import sys; from shared.children import run_command\nsys.exit(run_command([sys.executable, '-c', \"{child}\"]))"
    )
    assert (code, said.split()) == (130, ["saved", "stopped"])


@pytest.mark.parametrize(
    ("code", "seen"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_the_exit_code_of_a_child(code, seen):
    assert run_command([sys.executable, "-c", code]) == seen


def test_a_step_of_another_script_does_not_say_what_comes_next(capfd):
    code = "import shared.cli; shared.cli.say_next('make visualise')"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {code}"]
    subprocess.run(command, check=True)
    assert capfd.readouterr().out == "Next, make visualise\n"
    run_command(command)
    assert capfd.readouterr().out == ""


def test_warnings_name_what_the_reader_types(monkeypatch, capsys):
    monkeypatch.setenv("REWACT_BY_MAKE", "1")
    warn("try --cross-fit 5.")
    assert capsys.readouterr().err == "WARNING   try CROSS_FIT=5.\n"


def test_the_configuration_of_a_training_run_goes_into_a_file(tmp_path, monkeypatch):
    command = ModuleType("lerobot.scripts.lerobot_train")
    monkeypatch.setitem(sys.modules, command.__name__, command)
    run = tmp_path / "runs" / "cups"
    said = lerobot_quietly.load("lerobot-train").pformat({"output_dir": run, "steps": 7})
    assert said == f"Configuration: {run}.config.txt"
    assert "'steps': 7" in Path(f"{run}.config.txt").read_text()
    assert not run.exists()  # LeRobot refuses a folder that is there


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_video_encoders_report_errors_alone(codec, tmp_path):
    code = f"""
import av
from shared.encoders import quiet_encoders
quiet_encoders()
av.logging.restore_default_callback()  # as LeRobot does
with av.open("video.mp4", "w", options={{"movflags": "faststart"}}) as container:
    stream = container.add_stream("{codec}", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for frame in (av.VideoFrame(64, 64, "yuv420p"), None):
        container.mux(stream.encode(frame))
"""
    environment = {name: value for name, value in os.environ.items() if name != "SVT_LOG"}
    environment["PYTHONPATH"] = str(SCRIPTS)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert (tmp_path / "video.mp4").stat().st_size > 0


def test_the_workers_of_a_command_leave_ctrl_c_to_it(tmp_path):
    script = tmp_path / "command.py"
    script.write_text(
        "import shared.console\nimport multiprocessing, signal\n"
        "def ignored():\n    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(ignored(), pool.apply(ignored))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, preexec_fn=answer_ctrl_c)
    assert done.stdout.split() == ["False", "True"], done.stderr
