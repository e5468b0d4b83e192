"""The rollout that comes after training and calibration, as the scripts print it."""

import shlex
from pathlib import Path

from lerobot.datasets import LeRobotDatasetMetadata
from shared.training import DEMO_DIR, DEMO_FPS

DEMO_ROLLOUTS = "rollout_so101"
DEMO_ARM = {"type": "so101_sim"}
# What a user fills in; docs/ROBOT.md has it side by side with the demo's.
ARM = {"type": "so101_follower", "port": "/dev/ttyACM0", "id": "my_arm", "cameras": "{...}"}


def rollout_flags(
    checkpoint: Path, fps: int, task: str, arm: dict[str, str], dataset: dict[str, str]
) -> list[str]:
    """The flags of a lerobot-rollout that records episodes, and ends each when the policy says that it is done.

    Args:
        checkpoint: a pretrained_model folder with a calibrated threshold.
        fps: frames per second of the training data.
        task: in words.
        arm: flags below --robot.
        dataset: flags below --dataset; the others are LeRobot's defaults.
    """
    flags = {
        "policy.path": str(checkpoint),
        **{f"robot.{name}": value for name, value in arm.items()},
        "fps": str(fps),
        "play_sounds": "false",
        "strategy.type": "episodic",
        "stop_on_reward": "true",
        "stop_on_failure": "true",
        "dataset.fps": str(fps),
        "dataset.single_task": task,
        "dataset.push_to_hub": "false",
        "dataset.no_stamp": "true",  # else LeRobot appends the time, and the name below finds nothing
        **{f"dataset.{name}": value for name, value in dataset.items()},
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def free_rollouts() -> Path:
    """A folder for the demo's rollouts that is not there yet: what was recorded before stays."""
    folder, n = DEMO_DIR / DEMO_ROLLOUTS, 1
    while folder.exists():
        n += 1
        folder = DEMO_DIR / f"{DEMO_ROLLOUTS}_{n}"
    return folder


def demo_rollout_flags(
    checkpoint: Path, task: str, root: Path, episodes: int = 4, failure: str = "none,none,slip"
) -> list[str]:
    """The demo's: episodes with the simulated arm, in which something goes wrong in turn. They are recorded at `root`."""
    dataset = {
        "repo_id": f"local/{root.name}",
        "root": str(root),
        "num_episodes": str(episodes),
        "episode_time_s": "20",
        "reset_time_s": "2",
    }
    return rollout_flags(checkpoint, DEMO_FPS, task, DEMO_ARM | {"failure": failure}, dataset)


def rollout_command(checkpoint: Path, meta: LeRobotDatasetMetadata) -> str:
    """The command line for a policy: the demo's, or that of an arm on the desk.

    Args:
        checkpoint: a pretrained_model folder with a calibrated threshold.
        meta: of a dataset recorded with the robot, for its first task.
    """
    task = str(meta.tasks.index[0])
    if meta.robot_type == DEMO_ARM["type"]:
        flags = demo_rollout_flags(checkpoint, task, free_rollouts())
    else:
        arm = ARM | ({"type": meta.robot_type} if meta.robot_type else {})
        flags = rollout_flags(checkpoint, meta.fps, task, arm, {"repo_id": "me/rollout_1"})
    return shlex.join([".venv/bin/lerobot-rollout", *flags])
