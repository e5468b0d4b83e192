"""The demo dataset in miniature: made with the real command, read with LeRobot, played again on the simulated robot."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import demo_dataset
import numpy as np
import pytest
from lerobot_robot_so101_sim.arm import NAMES
from shared.training import DEMO_TASK as TASK
from simulation import dataset as simulation_dataset
from simulation.generator import make_episode
from simulation.so101.demo import DEMO, draw_plan, make_robot, plan_commands
from tiny_run import make_demo


def record(root: Path) -> dict:
    return json.loads((root / DEMO.record).read_text())


def load(root: Path):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset(f"rewact/demo-{root.name}", root=root, video_backend="pyav")


@pytest.fixture(scope="session")
def demos(demo_dir):
    return load(demo_dir / TASK)


@pytest.fixture(scope="session")
def failures(demo_dir):
    return load(demo_dir / f"{TASK}-failures")


def bounds(dataset, episode: int) -> tuple[int, int]:
    row = dataset.meta.episodes[episode]
    return row["dataset_from_index"], row["dataset_to_index"]


def recorded_actions(dataset, episode: int) -> np.ndarray:
    start, end = bounds(dataset, episode)
    return np.stack(dataset.hf_dataset.with_format("numpy")[start:end]["action"])


def test_features(demos, failures):
    for dataset in (demos, failures):
        assert dataset.meta.info.codebase_version == "v3.0"
        assert dataset.fps == 10 and dataset.meta.robot_type == "so101_sim"
        item = dataset[0]
        for camera in ("front", "side"):
            assert item[f"observation.images.{camera}"].shape == (3, 64, 64)
        for key in ("observation.state", "action"):
            assert item[key].shape == (6,)
            assert str(item[key].dtype) == "torch.float32"
            assert dataset.features[key]["names"] == NAMES
        assert item["task"] == "Put the cube onto the plate"
    assert demos.num_episodes == 2
    assert failures.num_episodes == 3


def test_lengths_differ(demos):
    lengths = [demos.meta.episodes[episode]["length"] for episode in range(demos.num_episodes)]
    assert lengths == [episode["length"] for episode in record(demos.root)["episodes"]]
    assert lengths[0] != lengths[1]
    assert all(50 < length < 110 for length in lengths)


def replay(dataset, episode: int) -> tuple[list[bool], list[np.ndarray]]:
    """Whether the task was done after each recorded action, and the state before it."""
    plan = record(dataset.root)["episodes"][episode]
    robot = make_robot(TASK, 64)
    robot.reset(plan["seed"], "none" if plan["kind"] == "demo" else plan["kind"])
    done, states = [], []
    for action in recorded_actions(dataset, episode):
        observation = robot.get_observation()
        states.append([observation[name] for name in NAMES])
        robot.send_action(dict(zip(NAMES, action.tolist(), strict=True)))
        done.append(robot.truth.done)
    return done, states


def test_recorded_actions_put_the_cube_onto_the_plate(demos):
    for episode in range(demos.num_episodes):
        done, states = replay(demos, episode)
        # it ends some seconds after the cube was released, in which the arm goes back and stays for one of them
        assert done[-1] and len(done) - 45 < done.index(True) < len(done) - 15
        start, end = bounds(demos, episode)
        recorded = np.stack(demos.hf_dataset.with_format("numpy")[start:end]["observation.state"])
        np.testing.assert_allclose(recorded, states, atol=0.01)
        assert np.abs(recorded[-1] - recorded[0]).max() < 5


def test_failures_fail_and_say_how(failures):
    episodes = record(failures.root)["episodes"]
    assert [episode["kind"] for episode in episodes] == ["slip", "missing", "moved"]
    for index, episode in enumerate(episodes):
        assert not any(replay(failures, index)[0])
        assert episode["success"] is False


def test_the_same_seed_makes_the_same_episodes(demos, failures):
    """In a new simulator and another order: an episode depends on seed, kind and number only."""
    make_robot.cache_clear()
    for dataset, kind in ((failures, "missing"), (demos, "demo")):
        frames, _ = make_episode(DEMO, TASK, 64, 0, kind, 1)
        assert len(frames) == len(recorded_actions(dataset, 1))
        np.testing.assert_array_equal([frame["action"] for frame in frames], recorded_actions(dataset, 1))
        start, _ = bounds(dataset, 1)
        for i in (0, len(frames) - 1):
            image = dataset[start + i]["observation.images.side"].numpy().transpose(1, 2, 0) * 255
            assert np.abs(image - frames[i]["observation.images.side"]).mean() < 6  # the codec's loss


def test_another_seed_makes_other_episodes(mujoco_gl):
    robot = make_robot(TASK, 64)
    made = []
    for seed in (0, 1):
        plan = draw_plan(TASK, "demo", 0, np.random.default_rng(seed))
        robot.reset(plan.seed)
        made.append(plan_commands(robot, plan))
    assert len(made[0]) != len(made[1])


def test_the_last_fifth_is_held_out(tmp_path, monkeypatch, capsys):
    frame = {
        "observation.images.front": np.zeros((16, 16, 3), np.uint8),
        "observation.images.side": np.zeros((16, 16, 3), np.uint8),
        "observation.state": np.zeros(6, np.float32),
        "action": np.zeros(6, np.float32),
    }
    monkeypatch.setattr(
        simulation_dataset, "make_episode", lambda *job: ([frame] * 3, {"length": 3, "attempts": 1})
    )
    monkeypatch.setattr(simulation_dataset, "choose_mujoco_gl", lambda: "none")
    make_demo(monkeypatch, tmp_path, "--episodes", "10", "--failures", "0", "--image-size", "16")
    assert record(tmp_path / TASK)["held_out"] == [8, 9]
    assert "train on 0-7, held out 8-9" in capsys.readouterr().out


def test_complete_datasets_are_left_alone(demo_dir, monkeypatch, capsys):
    before = {path: path.stat().st_mtime_ns for path in demo_dir.rglob("*") if path.is_file()}
    monkeypatch.setattr(simulation_dataset, "choose_mujoco_gl", lambda: pytest.fail("started the simulator"))
    make_demo(monkeypatch, demo_dir)
    assert re.fullmatch("already complete: .* and .*\n", capsys.readouterr().out)
    assert before == {path: path.stat().st_mtime_ns for path in demo_dir.rglob("*") if path.is_file()}


def test_other_settings_need_overwrite(demo_dir, monkeypatch):
    with pytest.raises(SystemExit, match="--overwrite"):
        make_demo(monkeypatch, demo_dir, "--seed", "1")


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_foreign_folder_is_refused(tmp_path, monkeypatch, overwrite):
    mine = tmp_path / TASK / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    with pytest.raises(SystemExit, match="--output-dir") as err:
        make_demo(monkeypatch, tmp_path, *overwrite)
    assert "\n" not in str(err.value)
    assert mine.read_text() == "years of work"


def test_the_command_makes_an_interrupted_dataset_again(demos, tmp_path):
    """With workers; the actions are the same as without."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    partial = tmp_path / f"{TASK}.partial"
    (partial / "dataset").mkdir(parents=True)
    (partial / "PID").write_text(ended.stdout.decode().strip())
    args = ["--output-dir", tmp_path, "--episodes", "2", "--failures", "0", "--image-size", "16"]
    command = [sys.executable, demo_dataset.__file__, *args]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert "2 of 2 attempts of the expert" in run.stdout
    assert "Traceback" not in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == [TASK]
    again = load(tmp_path / TASK)
    for episode in range(2):
        np.testing.assert_array_equal(recorded_actions(again, episode), recorded_actions(demos, episode))


def test_a_partial_folder_of_another_process_stays(tmp_path):
    partial = tmp_path / "x.partial"
    partial.mkdir()
    with pytest.raises(SystemExit, match="in the way"):
        simulation_dataset.claim_partial(tmp_path / "x")
    (partial / "PID").write_text(str(os.getpid()))  # a process that is running
    with pytest.raises(SystemExit, match="is being made"):
        simulation_dataset.claim_partial(tmp_path / "x")
