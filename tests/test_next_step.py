"""shared/next_step.py and scripts/demo.py: the rollout that is printed runs as it is, on the simulated arm."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from shared.next_step import demo_rollout_flags, free_rollouts, rollout_command
from shared.training import DEMO_DIR

from lerobot.configs import FeatureType, PolicyFeature
from lerobot.datasets import LeRobotDataset
from lerobot.policies import make_pre_post_processors
from lerobot.policies.act.configuration_act import RewACTConfig
from lerobot.policies.act.modeling_act import RewACTPolicy
from lerobot.utils.constants import ACTION, OBS_STATE

SCRIPTS = Path(__file__).parents[1] / "scripts"
BIN = Path(sys.executable).parent
TASKS = SimpleNamespace(index=["Put it there"])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A policy for the simulated arm that has learned nothing. Its reward is above 0 all the same."""
    torch.manual_seed(0)
    cameras = [f"observation.images.{name}" for name in ("front", "side")]
    features = {camera: PolicyFeature(FeatureType.VISUAL, (3, 64, 64)) for camera in cameras}
    config = RewACTConfig(
        chunk_size=5,
        n_action_steps=5,
        dim_model=32,
        n_heads=2,
        dim_feedforward=32,
        n_encoder_layers=1,
        use_vae=False,
        pretrained_backbone_weights=None,
        input_features=features | {OBS_STATE: PolicyFeature(FeatureType.STATE, (6,))},
        output_features={ACTION: PolicyFeature(FeatureType.ACTION, (6,))},
        device="cpu",
        push_to_hub=False,
        reward_stop_threshold=0.001,
        reward_evidence=False,
    )
    stats = {key: {"mean": torch.zeros(6), "std": torch.ones(6)} for key in (OBS_STATE, ACTION)}
    stats |= {camera: {"mean": torch.zeros(3, 1, 1), "std": torch.ones(3, 1, 1)} for camera in cameras}
    path = tmp_path_factory.mktemp("policy")
    RewACTPolicy(config).save_pretrained(path)
    for processor in make_pre_post_processors(config, dataset_stats=stats):
        processor.save_pretrained(path)
    return path


def test_the_printed_rollout_runs_and_stops_by_itself(checkpoint, tmp_path, mujoco_gl):
    """Two episodes of at most 20 s, each of which ends when the reward has been high for half a second. Over 20 s: a
    process of its own that imports torch and drives the arm in real time."""
    root = DEMO_DIR / "rollout_so101"
    flags = demo_rollout_flags(checkpoint, "Put the cube onto the plate", root, episodes=2, failure="none")
    flags.remove("--stop_on_failure=true")  # this policy has no evidence
    env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "MUJOCO_GL": mujoco_gl}
    ran = subprocess.run(
        [BIN / "lerobot-rollout", *flags], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    output = ran.stdout + ran.stderr
    assert ran.returncode == 0, output
    assert output.count("Task done, the episode ends: the predicted reward was") == 2
    assert "The cube was not on the plate at the end of episode 0" in output
    recorded = LeRobotDataset("local/rollout", root=tmp_path / root)
    assert recorded.num_episodes == 2 and recorded.meta.robot_type == "so101_sim"
    assert max(recorded.meta.episodes["length"]) < 200
    rewards = torch.stack([recorded[i]["predicted_reward"] for i in range(len(recorded))])
    assert (rewards.isfinite()).sum() >= 4


def test_the_command_is_the_demos_or_that_of_an_arm_on_the_desk():
    checkpoint = Path("outputs/train/my run/checkpoints/last/pretrained_model")
    robots = [("so101_sim", 10), ("koch_follower", 30), (None, 30)]
    demo, desk, unknown = (
        shlex.split(rollout_command(checkpoint, SimpleNamespace(robot_type=robot, fps=fps, tasks=TASKS)))
        for robot, fps in robots
    )
    assert demo[0] == desk[0] == ".venv/bin/lerobot-rollout"
    assert f"--policy.path={checkpoint}" in demo and f"--policy.path={checkpoint}" in desk
    assert "--robot.type=so101_sim" in demo and "--robot.type=koch_follower" in desk
    assert (
        "--dataset.no_stamp=true" in demo and "--dataset.no_stamp=true" in desk
    )  # label finds it by its name
    assert "--robot.type=so101_follower" in unknown and "--dataset.single_task=Put it there" in unknown
    differ = {flag.split("=")[0] for flag in set(demo) ^ set(desk)}
    assert all(name.startswith(("--robot.", "--dataset.")) or name == "--fps" for name in differ)


def test_recorded_rollouts_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = []
    for _ in range(3):
        folders.append(free_rollouts())
        folders[-1].mkdir(parents=True)
    assert [folder.name for folder in folders] == ["rollout_so101", "rollout_so101_2", "rollout_so101_3"]


@pytest.mark.parametrize(
    "args, message",
    [
        (["--output", "run"], "run already exists: make demo POLICY=run goes on with it, or remove it."),
        (["--rollouts", "0"], "--rollouts"),
    ],
)
def test_the_demo_refuses_in_one_line(tmp_path, args, message, mujoco_gl):
    (tmp_path / "run").mkdir()
    ran = subprocess.run(
        [sys.executable, SCRIPTS / "demo.py", *args], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode != 0 and message in ran.stderr and "Traceback" not in ran.stderr
