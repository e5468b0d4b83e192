"""A dataset and a policy so small that LeRobot's own training takes seconds."""

import sys
from pathlib import Path

import demo_dataset
import numpy as np
from shared.scheduling import keep_scheduling

from lerobot.datasets import LeRobotDataset

REPO_ID, FPS = "local/tiny", 10
LENGTHS = [9, 12, 7, 11]
TASKS = ["push", "pull", "push", "push"]
CAMERAS = {"observation.images.top": (48, 64, 3), "observation.images.wrist": (64, 64, 3)}
TINY_POLICY = {
    "dim_model": 64,
    "n_heads": 4,
    "dim_feedforward": 128,
    "n_encoder_layers": 1,
    "n_vae_encoder_layers": 1,
    "chunk_size": 8,
    "n_action_steps": 8,
    "pretrained_backbone_weights": None,
    "push_to_hub": False,
    "device": "cpu",
}


def make_data_set(root: Path, lengths: list[int], cameras: dict[str, tuple[int, int, int]]) -> Path:
    """Episodes in which a bright block moves from left to right."""
    features = {
        key: {"dtype": "video", "shape": shape, "names": ["height", "width", "channels"]}
        for key, shape in cameras.items()
    }
    features["observation.state"] = {"dtype": "float32", "shape": (2,), "names": ["x", "y"]}
    features["action"] = {"dtype": "float32", "shape": (2,), "names": ["x", "y"]}
    dataset = LeRobotDataset.create(REPO_ID, FPS, features, root=root, video_backend="pyav")
    rng = np.random.default_rng(0)
    for length, task in zip(lengths, TASKS, strict=False):
        for i in range(length):
            frame = {"task": task, "action": rng.normal(size=2).astype(np.float32)}
            frame["observation.state"] = np.float32([i / length, rng.normal()])
            for key, shape in cameras.items():
                image = rng.integers(40, 60, shape, dtype=np.uint8)
                left = round(i / length * (shape[1] - 16))
                image[16:32, left : left + 16] = (220, 180, 40)
                frame[key] = image
            dataset.add_frame(frame)
        with keep_scheduling():
            dataset.save_episode()
    dataset.finalize()
    return root


def make_demo(monkeypatch, output_dir: Path, *args: str) -> None:
    """The demo dataset in miniature, by its real command, in this process, which has already imported LeRobot."""
    miniature = ["--episodes", "2", "--failures", "3", "--image-size", "64", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["demo_dataset.py", "--output-dir", str(output_dir), *miniature, *args])
    demo_dataset.main()
