"""The training runs of the benchmark."""

import shutil
import subprocess
import sys
from pathlib import Path

import torch
from shared.cli import UserError
from shared.training import make_command

from benchmarking.tasks import Task

# Every training is from scratch, at a size that two CPU cores manage in minutes.
FLAGS = {
    "steps": "500",
    "batch_size": "8",
    "log_freq": "50",
    "save_freq": "500",
    "num_workers": "2",
    "policy.pretrained_backbone_weights": "null",
    "policy.optimizer_lr": "1e-4",
    "policy.optimizer_lr_backbone": "1e-4",
    "policy.chunk_size": "40",
    "policy.n_action_steps": "10",
    "policy.dim_model": "256",
    "policy.dim_feedforward": "1024",
    "policy.n_encoder_layers": "2",
    "policy.n_vae_encoder_layers": "2",
}
# What is compared: lerobot-train's flags beside those.
VARIANTS = {
    "original": {"policy.type": "rewact", "policy.reward_head": "decoder"},
    "ours": {"policy.type": "rewact"},
}
PLAIN = {"plain ACT": {"policy.type": "act"}}
SEEDS = (1000, 1001, 1002)


def run_folder(output: Path, task: str, seed: int, name: str) -> Path:
    """Where the run `name` of a task and a seed lies in the benchmark's folder."""
    return output / "runs" / task / f"seed{seed}" / name


def prediction_folder(output: Path, task: str, seed: int) -> Path:
    """Where the predictions for a task and a seed lie in the benchmark's folder."""
    return output / "predictions" / task / f"seed{seed}"


def checkpoint_of(run: Path) -> Path:
    """The last checkpoint of a run, whether it is there or not."""
    return run / "checkpoints/last/pretrained_model"


def train(run: Path, task: Task, seed: int, flags: dict[str, str], module: str | None = None) -> Path:
    """Train in the folder `run`, unless its checkpoint is there. Returns the checkpoint.

    Args:
        run: the output folder.
        task: to train on.
        seed: of lerobot-train.
        flags: of lerobot-train, which win over the benchmark's and the task's.
        module: in the place of lerobot-train, None for that.
    """
    checkpoint = checkpoint_of(run)
    if (checkpoint / "model.safetensors").is_file():
        return checkpoint
    shutil.rmtree(run, ignore_errors=True)  # an interrupted one
    flags = (
        FLAGS
        | {
            "dataset.repo_id": f"local/{task.name}",
            "dataset.root": str(task.train),
            "output_dir": str(run),
            "seed": str(seed),
            "policy.push_to_hub": "false",
            "policy.device": "cuda" if torch.cuda.is_available() else "cpu",
            "wandb.enable": "false",
        }
        | task.flags
        | flags
    )
    flags["save_freq"] = flags["steps"]
    log = run.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    command, _ = make_command(flags, [])
    if module:
        command[:1] = [sys.executable, "-m", module]
    scripts = Path(__file__).parents[1]
    with log.open("w") as output:
        if subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=scripts if module else None
        ).returncode:
            raise UserError(f"training {run} failed, see {log}")
    return checkpoint
