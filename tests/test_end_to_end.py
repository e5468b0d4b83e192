"""The whole path through the real commands: demo data, training, resuming, a video of held-out episodes.

Over 20 s: every command is a process of its own that imports torch, as a user's is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
REAL_DATASET = os.environ.get("REAL_DATASET")
TINY_POLICY = [
    "--policy.pretrained_backbone_weights=null",
    "--policy.dim_model=32",
    "--policy.n_heads=4",
    "--policy.dim_feedforward=32",
    "--policy.n_encoder_layers=1",
    "--policy.n_vae_encoder_layers=1",
    "--policy.chunk_size=10",
    "--policy.n_action_steps=10",
    "--policy.device=cpu",
    "--batch_size=2",
    "--num_workers=0",
    "--log_freq=10",
]


def run(*command, cwd: Path) -> str:
    env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    result = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output


def train_and_resume(cwd: Path, repo_id: str, root: Path, episodes: str) -> Path:
    """20 training steps and 10 more after resuming; returns the checkpoint."""
    output = run(
        sys.executable, ROOT / "scripts/train.py", "--dataset", repo_id, "--root", root,
        "--episodes", episodes, "--steps", 20, "--output", "run", "--wandb", "offline",
        f"--args={' '.join(TINY_POLICY)}", cwd=cwd,
    )  # fmt: skip
    assert "step:20" in output and "reward_loss:" in output and "reward_mae:" in output
    (log,) = (cwd / "run/wandb").glob("offline-run-*/run-*.wandb")
    assert b"train/reward_loss" in log.read_bytes() and b"train/reward_mae" in log.read_bytes()
    assert "make visualise POLICY=run/checkpoints/last/pretrained_model" in output

    config = cwd / "run/checkpoints/last/pretrained_model/train_config.json"
    output = run(
        BIN / "lerobot-train", f"--config_path={config}", "--resume=true", "--steps=30", cwd=cwd
    )  # fmt: skip
    assert "step:30" in output and "reward_loss:" in output
    checkpoints = sorted(path.name for path in (cwd / "run/checkpoints").iterdir())
    assert [int(name) for name in checkpoints if name != "last"] == [20, 30]
    return cwd / "run/checkpoints/last/pretrained_model"


def visualise(cwd: Path, checkpoint: Path, *args) -> dict:
    """Draw the held-out episodes; returns the run's summary."""
    output = run(
        sys.executable, ROOT / "scripts/visualise.py", "--policy-path", checkpoint, "--output-dir", "pictures",
        *args, cwd=cwd,
    )  # fmt: skip
    assert "MAE" in output
    return json.loads((cwd / "pictures/summary.json").read_text())


def check_pictures(cwd: Path, episodes: list[int]) -> None:
    for suffix in ("mp4", "png"):
        pictures = sorted((cwd / "pictures").glob(f"*_episode_*.{suffix}"))
        assert len(pictures) == len(episodes)
        assert all(picture.stat().st_size > 5_000 for picture in pictures)


def test_demo_data_set(tmp_path):
    """make train && make visualise, in miniature, and the policy on the simulated robot."""
    run(
        sys.executable, ROOT / "scripts/demo_dataset.py", "--episodes", 4, "--failures", 0,
        "--image-size", 64, "--output-dir", "demo", cwd=tmp_path,
    )  # fmt: skip
    (root,) = (tmp_path / "demo").iterdir()
    checkpoint = train_and_resume(tmp_path, f"rewact/demo-{root.name}", root, "0-2")
    summary = visualise(tmp_path, checkpoint)
    assert [episode["episode"] for episode in summary["episodes"]] == [3]
    check_pictures(tmp_path, [3])
    output = run(
        sys.executable, ROOT / "scripts/simulate.py", "--policy-path", checkpoint, "--episodes", 1, "--seconds", 2,
        "--failures", "none", "slip", "--output", "rollouts.json", cwd=tmp_path,
    )  # fmt: skip
    assert "seed 1000, slip: not lifted after 20 frames, reward" in output and "none: 0 of 1 done" in output
    rollouts = json.loads((tmp_path / "rollouts.json").read_text())
    assert [len(rollout["reward"]) for rollout in rollouts] == [20, 20]


@pytest.mark.skipif(REAL_DATASET is None, reason="REAL_DATASET is not set: the folder of cr5_banana")
def test_real_recordings(tmp_path):
    """A few episodes of a real arm; the released object ends each of them."""
    root = Path(REAL_DATASET)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    checkpoint = train_and_resume(tmp_path, "local/cr5_banana", root, "0-3")
    summary = visualise(tmp_path, checkpoint, "--episodes", "40")

    lengths = pandas.read_parquet(root / "meta/episodes")["length"]
    assert [episode["episode"] for episode in summary["episodes"]] == [40]
    for episode in summary["episodes"]:
        assert episode["length"] == lengths[episode["episode"]]
        assert 0 < episode["mae"] < 1
    check_pictures(tmp_path, [40])
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*")}, (
        "the data set was written to"
    )
