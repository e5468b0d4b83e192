#!/usr/bin/env python
"""Measure the reward where the truth is known: made-up speeds, stalls, and failures never trained on.

    make benchmark QUICK=1                                # one task, one seed: about half an hour on two cores
    make benchmark                                        # everything: hours; it resumes where it stopped
    make benchmark ARGS="--tasks drawer-open-v3 pick-place-v3 --seeds 1000 1001"

For each task and seed it trains, with lerobot-train, RewACT with the original's reward head and RewACT as
shipped, lets them see the held-out episodes, and scores them (benchmark_score.py) beside a clock. Rows named
"ours, ..." are the same checkpoint as "ours" with a part switched off.

Everything lies in --output-dir: data/, runs/ (the trainings), predictions/, results.json and table.md. What is there already is not done again.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_data import TASKS, load_truth, make_task
from benchmark_score import Episode, score
from cli import UserError, run_cli
from reward_metrics import clock
from train import DEMO_FLAGS
from visualise import load_policy

from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies.act.reward_filter import RewardTracker
from lerobot.policies.act.reward_head import RewardEvidence

# Full trainings: lerobot-train's flags beside those of the demo.
TRAININGS = {
    "original": {"policy.type": "rewact", "policy.reward_head": "decoder"},
    "ours": {"policy.type": "rewact"},
}
SEEDS = (1000, 1001, 1002)
THREE_SEEDS = ("drawer-open-v3", "pick-place-v3")
BATCH_SIZE = 64


@dataclass
class Frames:
    """The frames of one episode, in memory."""

    images: torch.Tensor  # (T, C, H, W) uint8
    state: torch.Tensor  # (T, S)


# ---- Data ----


def read_episodes(root: Path) -> Iterator[Frames]:
    """Every episode of a data set with one camera, its video decoded once from start to end."""
    import av

    dataset = LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav", return_uint8=True)
    (camera,) = dataset.meta.camera_keys
    columns = dataset.hf_dataset.with_format("numpy")
    state = torch.from_numpy(np.stack(columns["observation.state"]))
    videos: dict[Path, tuple[np.ndarray, np.ndarray]] = {}
    for index, episode in enumerate(dataset.meta.episodes):
        file = root / dataset.meta.get_video_file_path(index, camera)
        if file not in videos:
            with av.open(str(file)) as container:
                frames = [
                    (frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)
                ]
            videos = {file: (np.stack([f for f, _ in frames]), np.array([t for _, t in frames]))}
        pictures, times = videos[file]
        start = int(np.abs(times - episode[f"videos/{camera}/from_timestamp"]).argmin())
        rows = slice(episode["dataset_from_index"], episode["dataset_to_index"])
        stop = start + episode["length"]
        yield Frames(
            images=torch.from_numpy(pictures[start:stop]).permute(0, 3, 1, 2),
            state=state[rows],
        )


def folder_of(run: Path) -> Path:
    return run / "checkpoints/last/pretrained_model"


def train(run: Path, dataset: Path, seed: int, flags: dict[str, str]) -> None:
    """A full training with lerobot-train, unless its checkpoint is there."""
    if (folder_of(run) / "model.safetensors").is_file():
        return
    shutil.rmtree(run, ignore_errors=True)  # an interrupted one
    flags = (
        DEMO_FLAGS
        | {
            "dataset.repo_id": f"local/{dataset.parent.name}",
            "dataset.root": str(dataset),
            "output_dir": str(run),
            "seed": str(seed),
            "policy.push_to_hub": "false",
            "policy.device": "cuda" if torch.cuda.is_available() else "cpu",
            "wandb.enable": "false",
        }
        | flags
    )
    flags["save_freq"] = flags["steps"]
    log = run.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        str(Path(sys.executable).with_name("lerobot-train")),
        *(f"--{k}={v}" for k, v in flags.items()),
    ]
    with log.open("w") as output:
        if subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode:
            raise UserError(f"training {run} failed, see {log}")


# ---- Predictions ----


def changed(frames: Frames) -> tuple[torch.Tensor, torch.Tensor]:
    """The frames that differ from the one before, and for each frame which of them it equals.

    A waiting arm shows the same picture for seconds; it need not be looked at again.
    """
    new = (frames.images[1:] != frames.images[:-1]).flatten(1).any(1) | (
        frames.state[1:] != frames.state[:-1]
    ).any(1)
    new = torch.cat([torch.ones(1, dtype=torch.bool), new])
    return new.nonzero()[:, 0], new.cumsum(0) - 1


def look(policy: torch.nn.Module, preprocessor: Callable, frames: Frames, camera: str) -> RewardEvidence:
    """The evidence of every frame of an episode."""
    rows, same = changed(frames)
    parts = []
    for some in rows.split(BATCH_SIZE):
        batch = preprocessor(
            {
                camera: frames.images[some].float() / 255,
                "observation.state": frames.state[some],
                "task": [""] * len(some),
            }
        )
        parts.append(policy.reward_evidence(batch))
    return RewardEvidence(
        *(None if part[0] is None else torch.cat(part)[same] for part in zip(*parts, strict=True))
    )


def follow(head: torch.nn.Module, evidence: RewardEvidence) -> np.ndarray:
    """(T,) the reward that select_action gives along an episode."""
    tracker = RewardTracker(head)
    rewards = [tracker(evidence.samples(slice(t, t + 1))) for t in range(len(evidence.logits))]
    return torch.cat(rewards).cpu().numpy()


def curves(policy: torch.nn.Module, evidence: RewardEvidence) -> dict[str, np.ndarray]:
    """The rewards (T,) of an episode by row: one for the original head, those of ours with and without its parts."""
    head = policy.model.reward_head
    raw = head.value(evidence.logits).cpu().numpy()
    if not head.reads_observation:
        return {"original": raw}
    return {
        "ours": follow(head, evidence),
        "ours, without familiarity": follow(head, evidence._replace(features=None)),
        "ours, one frame alone": raw,
    }


@torch.no_grad()
def predict(policy_dir: Path, roots: list[Path]) -> list[dict[str, np.ndarray]]:
    """Rows and curves of every held-out episode, one after the other."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    policy, preprocessor = load_policy(policy_dir, [], device)
    (camera,) = policy.config.image_features
    return [
        curves(policy, look(policy, preprocessor, frames, camera))
        for root in roots
        for frames in read_episodes(root)
    ]


# ---- One task, one seed ----


def measure(task: str, seed: int, output: Path) -> dict[str, dict[str, Any]]:
    """The figures of every row, from what is there or made anew."""
    data = output / "data" / task
    make_task(task, data)
    truth = load_truth(data / "success") + load_truth(data / "failures")
    fps = LeRobotDataset(f"local/{task}", root=data / "success").fps
    lengths = [len(episode["phase"]) for episode in load_truth(data / "train")]
    predictions = [{"clock": clock(len(episode["phase"]), float(np.mean(lengths)))} for episode in truth]
    for name, flags in TRAININGS.items():
        run = output / "runs" / task / f"seed{seed}" / name
        train(run, data / "train", seed, flags)
        file = output / "predictions" / task / f"seed{seed}" / f"{name}.npz"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            found = predict(folder_of(run), [data / "success", data / "failures"])
            np.savez_compressed(
                file, **{f"{i}/{row}": curve for i, rows in enumerate(found) for row, curve in rows.items()}
            )
        with np.load(file) as saved:
            for key in saved.files:
                index, row = key.split("/", 1)
                predictions[int(index)][row] = saved[key]
    return {
        row: score(
            [
                Episode(
                    kind=episode["kind"],
                    reward=p[row],
                    phase=episode["phase"],
                    done=episode["success"],
                    fps=fps,
                )
                for episode, p in zip(truth, predictions, strict=True)
            ]
        )
        for row in predictions[0]
    }


# ---- The table ----


COLUMNS = {
    "mae": "MAE", "voc": "VOC", "auroc_final_miss": "miss", "auroc_final_stall": "stall",
    "auroc_final_ghost": "ghost", "auroc_final_wrong_goal": "wrong goal", "final_success": "final, success",
    "final_ghost": "final, ghost", "false_stops": "false stops", "early_stops": "early stops",
    "missed_stops": "missed stops", "stop_delay_s": "delay, s", "ece": "ECE",
}  # fmt: skip


def mean_and_spread(values: list[float | None]) -> str:
    defined = [value for value in values if value is not None]
    if not defined:
        return "n/a"
    text = f"{np.mean(defined):.3f}"
    return text + (f" ± {np.std(defined, ddof=1):.3f}" if len(defined) > 1 else "")


def table(results: dict[str, dict[str, dict[str, dict]]]) -> str:
    """A table of every task (mean and spread over seeds), and one over all tasks."""
    blocks, pooled = [], {}
    for task, seeds in results.items():
        rows = list(next(iter(seeds.values())))
        per_row = {
            row: {key: [figures[row].get(key) for figures in seeds.values()] for key in COLUMNS}
            for row in rows
        }
        blocks.append((f"{task} ({len(seeds)} seed{'s' * (len(seeds) > 1)})", per_row))
        for row, figures in per_row.items():
            for key, values in figures.items():
                defined = [v for v in values if v is not None]
                pooled.setdefault(row, {}).setdefault(key, []).append(
                    float(np.mean(defined)) if defined else None
                )
    if len(results) > 1:
        blocks.append((f"all {len(results)} tasks (mean and spread over tasks)", pooled))
    lines = []
    for title, per_row in blocks:
        lines += [
            f"### {title}",
            "",
            "| | " + " | ".join(COLUMNS.values()) + " |",
            "|---" * (len(COLUMNS) + 1) + "|",
        ]
        for row, figures in per_row.items():
            lines.append(f"| {row} | " + " | ".join(mean_and_spread(figures[key]) for key in COLUMNS) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS),
        help="the tasks to measure")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS),
        help="the seeds of the trainings; all but the first are for drawer-open and pick-place alone")
    parser.add_argument("--quick", action="store_true",
        help="the first task with the first seed alone")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="where data, trainings and results go")
    args = parser.parse_args()
    # fmt: on
    tasks, seeds = (args.tasks[:1], args.seeds[:1]) if args.quick else (args.tasks, args.seeds)
    results: dict[str, dict] = {}
    for seed in seeds:
        for task in tasks:
            if seed != seeds[0] and task not in THREE_SEEDS:
                continue
            print(f"{task}, seed {seed}", flush=True)
            results.setdefault(task, {})[str(seed)] = measure(task, seed, args.output_dir)
            machine = {
                "platform": platform.platform(),
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
            }
            config = {"trainings": TRAININGS, "flags": DEMO_FLAGS, "machine": machine}
            (args.output_dir / "results.json").write_text(
                json.dumps({"config": config, "results": results}, indent=1)
            )
            (args.output_dir / "table.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    run_cli(main)
