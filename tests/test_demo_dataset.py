"""The demo dataset in miniature: made with the real command, read with LeRobot, played again in its environment."""

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import demo_dataset
import numpy as np
import pytest
from shared import rendering
from simulation import dataset as simulation_dataset
from simulation.demo import DEMO, draw_plan, plan_actions
from simulation.environment import check_simulator, make_env
from simulation.generator import make_episode

TASK = "drawer-open-v3"
MINIATURE = ["--episodes", "2", "--failures", "3", "--image-size", "64", "--workers", "1"]


@pytest.fixture(scope="session")
def mujoco_gl():
    try:
        return rendering.choose_mujoco_gl()
    except SystemExit as err:
        if os.environ.get("CI"):
            pytest.fail(str(err))
        pytest.skip(str(err))


def make(monkeypatch, output_dir, *args: str) -> None:
    """Run the command in this process, which has already imported LeRobot."""
    monkeypatch.setattr(sys, "argv", ["demo_dataset.py", "--output-dir", str(output_dir), *MINIATURE, *args])
    demo_dataset.main()


@pytest.fixture(scope="session")
def output_dir(mujoco_gl, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as monkeypatch:
        make(monkeypatch, output_dir)
    return output_dir


def record(root: Path) -> dict:
    return json.loads((root / DEMO.record).read_text())


def load(root: Path):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset(f"rewact/demo-{root.name}", root=root, video_backend="pyav")


@pytest.fixture(scope="session")
def demos(output_dir):
    return load(output_dir / TASK)


@pytest.fixture(scope="session")
def failures(output_dir):
    return load(output_dir / f"{TASK}-failures")


def bounds(dataset, episode: int) -> tuple[int, int]:
    row = dataset.meta.episodes[episode]
    return row["dataset_from_index"], row["dataset_to_index"]


def recorded_actions(dataset, episode: int) -> np.ndarray:
    start, end = bounds(dataset, episode)
    return np.stack(dataset.hf_dataset.with_format("numpy")[start:end]["action"])


def test_features(demos, failures):
    for dataset in (demos, failures):
        assert dataset.meta.info.codebase_version == "v3.0"
        assert dataset.fps == 80
        item = dataset[0]
        assert item["observation.image"].shape == (3, 64, 64)
        assert str(item["observation.image"].dtype) == "torch.float32"
        for key in ("observation.state", "action"):
            assert item[key].shape == (4,)
            assert str(item[key].dtype) == "torch.float32"
        assert item["task"] == "Open a drawer"
    assert demos.num_episodes == 2
    assert failures.num_episodes == 3


def test_the_environments_features_match(demos):
    """lerobot-eval feeds these names to the policy."""
    from lerobot.envs.configs import MetaworldEnv

    env = MetaworldEnv(task=TASK)
    names = {env.features_map[key] for key in env.features}
    assert names == {"observation.image", "observation.state", "action"}
    assert names <= demos.features.keys()
    assert env.fps == demos.fps


def test_lengths_differ_and_stay_within_the_environments_limit(demos):
    lengths = [demos.meta.episodes[episode]["length"] for episode in range(demos.num_episodes)]
    assert lengths == [episode["length"] for episode in record(demos.root)["episodes"]]
    assert abs(lengths[0] - lengths[1]) > 10
    assert all(50 < length < 400 for length in lengths)


def replay(
    dataset, episode: int, draw: bool = False
) -> tuple[list[bool], list[np.ndarray], list[np.ndarray]]:
    """Success after each recorded action, states and images in LeRobot's own environment."""
    from lerobot.envs.metaworld import MetaworldEnv

    plan = record(dataset.root)["episodes"][episode]
    env = MetaworldEnv(TASK, obs_type="pixels_agent_pos")
    env._ensure_env()
    env._env.mujoco_renderer.width = env._env.mujoco_renderer.height = (
        64  # 480 with shadows would take a minute
    )
    env._env.model.vis.quality.shadowsize = 0
    if not draw:
        env._env.render = lambda: np.zeros((64, 64, 3), np.uint8)
    env._env.hand_init_pos = env._env.hand_init_pos + np.array(plan["start"])
    successes, states, images = [], [], []
    observation, _ = env.reset(seed=plan["seed"])
    for action in recorded_actions(dataset, episode)[:-1]:  # nothing acts on the last frame
        states.append(observation["agent_pos"])
        images.append(observation["pixels"])
        observation, _, terminated, truncated, info = env.step(action)
        successes.append(info["is_success"])
        assert terminated == info["is_success"]
        assert not truncated
    env.close()
    return successes, states, images


def test_recorded_actions_open_the_drawer_at_the_last_frame(demos):
    for episode in range(demos.num_episodes):
        successes, states, images = replay(demos, episode, draw=episode == 0)
        assert successes == [False] * (len(successes) - 1) + [True]
        start, end = bounds(demos, episode)
        assert len(successes) == end - start - 1
        recorded = np.stack(demos.hf_dataset.with_format("numpy")[start:end]["observation.state"])
        np.testing.assert_allclose(recorded[:-1], np.stack(states), atol=1e-5)
        # The image is of the same moment and the right way up, except for the codec and the edges.
        for i in (0, len(images) // 2, len(images) - 1) if episode == 0 else ():
            image = demos[start + i]["observation.image"].numpy().transpose(1, 2, 0) * 255
            assert np.abs(image - images[i]).mean() < 6
            assert np.abs(image - images[i][:, ::-1]).mean() > 12


def test_failures_fail_and_say_how(failures):
    episodes = record(failures.root)["episodes"]
    assert [episode["kind"] for episode in episodes] == ["miss", "stall", "release"]
    for index, episode in enumerate(episodes):
        successes, _, _ = replay(failures, index)
        assert not any(successes)
        assert episode["success"] is False


def test_actions_are_within_the_environments_range(demos, failures):
    for dataset in (demos, failures):
        for episode in range(dataset.num_episodes):
            assert np.abs(recorded_actions(dataset, episode)).max() <= 1


def test_the_same_seed_makes_the_same_episodes(demos, failures):
    """In a new simulator and another order: an episode depends on seed, kind and number only."""
    make_env.cache_clear()
    for dataset, kind in ((failures, "stall"), (demos, "demo")):
        frames, _ = make_episode(DEMO, TASK, 64, 0, kind, 1)
        np.testing.assert_array_equal([frame["action"] for frame in frames], recorded_actions(dataset, 1))
        start, _ = bounds(dataset, 1)
        for i in (0, len(frames) - 1):
            image = dataset[start + i]["observation.image"].numpy().transpose(1, 2, 0) * 255
            assert np.abs(image - frames[i]["observation.image"]).mean() < 6  # the codec's loss


def test_another_seed_makes_other_episodes(mujoco_gl):
    env = make_env(TASK, 64)
    plans = [draw_plan(TASK, "demo", 0, np.random.default_rng(seed)) for seed in (0, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = (plan_actions(env, plan) for plan in plans)
    assert len(first) != len(second)


def test_the_last_quarter_is_held_out(tmp_path, monkeypatch, capsys):
    frame = {
        "observation.image": np.zeros((16, 16, 3), np.uint8),
        "observation.state": np.zeros(4, np.float32),
        "action": np.zeros(4, np.float32),
    }
    monkeypatch.setattr(
        simulation_dataset, "make_episode", lambda *job: ([frame] * 3, {"length": 3, "attempts": 1})
    )
    monkeypatch.setattr(simulation_dataset, "choose_mujoco_gl", lambda: "none")
    monkeypatch.setattr(demo_dataset, "DEMO", replace(DEMO, describe=lambda task: "Open a drawer"))
    make(monkeypatch, tmp_path, "--episodes", "8", "--failures", "0", "--image-size", "16")
    assert record(tmp_path / TASK)["held_out"] == [6, 7]
    assert "train on 0-5, held out 6-7" in capsys.readouterr().out


def test_complete_datasets_are_left_alone(output_dir, monkeypatch, capsys):
    before = {path: path.stat().st_mtime_ns for path in output_dir.rglob("*") if path.is_file()}
    monkeypatch.setattr(simulation_dataset, "choose_mujoco_gl", lambda: pytest.fail("started the simulator"))
    make(monkeypatch, output_dir)
    assert capsys.readouterr().out.count("complete already") == 2
    assert before == {path: path.stat().st_mtime_ns for path in output_dir.rglob("*") if path.is_file()}


def test_other_settings_need_overwrite(output_dir, monkeypatch):
    with pytest.raises(SystemExit, match="--overwrite"):
        make(monkeypatch, output_dir, "--seed", "1")


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_foreign_folder_is_refused(tmp_path, monkeypatch, overwrite):
    mine = tmp_path / TASK / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    with pytest.raises(SystemExit, match="--output-dir") as err:
        make(monkeypatch, tmp_path, *overwrite)
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


def test_unknown_task(tmp_path, monkeypatch, mujoco_gl):
    with pytest.raises(SystemExit, match="no task 'make-tea-v3' in Meta-World; there are: assembly-v3"):
        make(monkeypatch, tmp_path, "--task", "make-tea-v3")
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_mujoco_is_one_line(monkeypatch):
    import mujoco

    monkeypatch.setattr(mujoco, "mjNEQDATA", 12)
    with pytest.raises(SystemExit, match="mujoco<3.17"):
        check_simulator(TASK)
