"""How fast lerobot-rollout drives an arm with plain ACT, and with a reward beside it.

The arm is one that only counts what reaches it; its two cameras show noise. Each run is a process of its own:

    python -m benchmarking.control_loop CHECKPOINT FPS SECONDS OUTPUT
"""

import json
import logging
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lerobot.robots import Robot, RobotConfig
from lerobot.scripts import lerobot_rollout

CAMERAS = ("front", "side")
SKIPPED_S = 2.0  # at the start, while the first passes warm up
IMAGES = 8  # that a camera shows in turn


@RobotConfig.register_subclass("counting_arm")
@dataclass(kw_only=True)
class CountingArmConfig(RobotConfig):
    """An arm without hardware.

    Attributes:
        joints: number of them.
        height, width: of the images.
        output: the JSON file for the times.
    """

    joints: int = 14
    height: int = 480
    width: int = 640
    output: str = "times.json"


class CountingArm(Robot):
    """Notes when each action reaches it."""

    config_class = CountingArmConfig
    name = "counting_arm"
    is_connected = False
    is_calibrated = True

    def __init__(self, config: CountingArmConfig):
        super().__init__(config)
        self.config = config
        rng = np.random.default_rng(0)
        shape = (IMAGES, config.height, config.width, 3)
        self.images = {name: rng.integers(0, 255, shape, dtype=np.uint8) for name in CAMERAS}
        self.times: list[float] = []

    @cached_property
    def action_features(self) -> dict:
        return {f"joint_{i}.pos": float for i in range(self.config.joints)}

    @cached_property
    def observation_features(self) -> dict:
        image = (self.config.height, self.config.width, 3)
        return self.action_features | dict.fromkeys(self.images, image)

    def connect(self, calibrate: bool = True) -> None:
        self.is_connected = True

    def calibrate(self) -> None:
        pass

    def configure(self) -> None:
        pass

    def get_observation(self) -> dict:
        joints = dict.fromkeys(self.action_features, 0.0)
        i = len(self.times) % IMAGES
        return joints | {name: images[i] for name, images in self.images.items()}

    def send_action(self, action: dict) -> dict:
        self.times.append(time.perf_counter())
        return action

    def disconnect(self) -> None:
        self.is_connected = False
        Path(self.config.output).write_text(json.dumps(self.times))


def drive(checkpoint: Path, fps: float, seconds: float) -> dict[str, float]:
    """Drive the arm for some seconds.

    Args:
        checkpoint: of the policy.
        fps: of the control loop.
        seconds: after the warm-up.
    Returns:
        actions: a second; gap: the longest time between two actions in seconds; rewards: a second.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "times.json"
        command = [sys.executable, "-m", "benchmarking.control_loop", str(checkpoint), str(fps), str(seconds), str(output)]  # fmt: skip
        ran = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
        if ran.returncode or not output.is_file():
            raise RuntimeError(f"lerobot-rollout failed: {ran.stderr[-2000:]}")
        times = np.array(json.loads(output.read_text()))
        rewards = np.array(json.loads(output.with_suffix(".rewards").read_text()))
    start = times[0] + SKIPPED_S
    times, rewards = times[times >= start], rewards[rewards >= start]
    span = times[-1] - times[0]
    return {
        "actions": float((len(times) - 1) / span),
        "gap": float(np.diff(times).max()),
        "rewards": float(len(rewards) / span),
    }


def main() -> None:
    checkpoint, fps, seconds, output = sys.argv[1:]
    config = json.loads((Path(checkpoint) / "config.json").read_text())
    image = next(feature for feature in config["input_features"].values() if feature["type"] == "VISUAL")
    rewards: list[float] = []
    count_rewards(rewards)
    arm = {
        "joints": config["output_features"]["action"]["shape"][0],
        "height": image["shape"][1],
        "width": image["shape"][2],
        "output": output,
    }
    sys.argv[1:] = [
        f"--policy.path={checkpoint}",
        f"--fps={fps}",
        f"--duration={float(seconds) + SKIPPED_S}",
        "--robot.type=counting_arm",
        *(f"--robot.{name}={value}" for name, value in arm.items()),
        f"--robot.calibration_dir={Path(output).parent}",
        "--return_to_initial_position=false",
        "--play_sounds=false",
    ]
    lerobot_rollout.init_logging = lambda: logging.getLogger().setLevel(logging.ERROR)
    lerobot_rollout.rollout()
    Path(output).with_suffix(".rewards").write_text(json.dumps(rewards))


def count_rewards(times: list[float]) -> None:
    """Note in `times` when each reward is computed."""
    from rewact.background import BackgroundReward

    finish = BackgroundReward.finish

    def noting(*args: Any) -> None:
        finish(*args)
        times.append(time.perf_counter())

    setattr(BackgroundReward, "finish", noting)  # noqa: B010


if __name__ == "__main__":
    main()
