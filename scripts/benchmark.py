#!/usr/bin/env python
"""Measure the reward where the truth is known: made-up speeds, stalls, and failures never trained on.

    make benchmark QUICK=1                                # one task, one seed, no plain ACT: about half an hour
    make benchmark                                        # everything: hours; it resumes where it stopped
    make benchmark ARGS="--tasks drawer-open-v3 pick-place-v3 --seeds 1000 1001"
    make benchmark ARGS="--real-dataset <folder>"         # with the recordings of a real arm, cr5_banana

For each task and seed it trains, with lerobot-train, RewACT with the original's reward head and RewACT as
shipped (on two tasks plain ACT too), lets them see the held-out episodes, and scores them (benchmark_score.py)
beside a clock. Rows named "ours, ..." are the same checkpoint as "ours" with a part switched off.

Everything lies in --output-dir: data/, runs/ (the trainings), predictions/, results.json, table.md, and a picture for
each task. What is there already is not done again.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_plot import draw_task
from benchmark_predict import action_error, latent_gap, load, predict, read_episodes, step_times
from benchmark_rollout import success_rate
from benchmark_score import Episode, score
from cli import UserError, run_cli
from reward_metrics import clock, mae
from simulation.benchmark_data import load_cr5_truth, load_truth, make_task
from simulation.benchmark_scenes import TASKS
from train import DEMO_FLAGS

from lerobot.datasets import LeRobotDatasetMetadata

# Full trainings: lerobot-train's flags beside those of the demo.
TRAININGS = {
    "original": {"policy.type": "rewact", "policy.reward_head": "decoder"},
    "ours": {"policy.type": "rewact", "policy.reward_familiarity": "true"},
}
PLAIN = {"plain ACT": {"policy.type": "act"}}
SEEDS = (1000, 1001, 1002)
REAL = "cr5_banana"
REAL_TRAIN, REAL_HELD_OUT = range(40), range(40, 48)
THREE_SEEDS = ("drawer-open-v3", "pick-place-v3", REAL)
PLAIN_TASKS = ("drawer-open-v3", "window-open-v3")  # with the first seed
ENOUGH = 0.5  # success of plain ACT below which a comparison of successes says nothing, and is not printed


@dataclass
class Task:
    """What there is to train on and to see of a task.

    Attributes:
        name: of the task.
        train: the root of the data set to train on.
        flags: lerobot-train's, beside those of every task.
        held_out: the roots of the data sets to see, with the episodes.
        truth: of every held-out episode: kind, phase (T,), done (T,); switch (T,) on the real arm.
        train_lengths: frames of every demonstration.
    """

    name: str
    train: Path
    flags: dict[str, str]
    held_out: list[tuple[Path, range | None]]
    truth: list[dict[str, Any]]
    train_lengths: list[int]

    @cached_property
    def fps(self) -> int:
        return LeRobotDatasetMetadata(f"local/{self.train.name}", root=self.train).fps


def simulated_task(name: str, data: Path) -> Task:
    make_task(name, data)
    truth = load_truth(data / "success") + load_truth(data / "failures")
    return Task(
        name=name,
        train=data / "train",
        flags={},
        held_out=[(data / "success", None), (data / "failures", None)],
        truth=[episode | {"done": episode["success"]} for episode in truth],
        train_lengths=[len(episode["phase"]) for episode in load_truth(data / "train")],
    )


def real_task(root: Path) -> Task:
    """cr5_banana; the true progress is the linear label, `switch` the line through grasp and release."""
    truth = load_cr5_truth(root)
    return Task(
        name=REAL,
        train=root,
        # 10 frames a second: 20 frames are as far as the demo's 40 of 80
        flags={"dataset.episodes": json.dumps([*REAL_TRAIN]), "policy.chunk_size": "20"},
        held_out=[(root, REAL_HELD_OUT)],
        truth=[
            {
                "kind": "success",
                "phase": truth[index]["linear"],
                "done": truth[index]["switch"] >= 1,
                "switch": truth[index]["switch"],
            }
            for index in REAL_HELD_OUT
        ],
        train_lengths=[truth[index]["length"] for index in REAL_TRAIN],
    )


def train(run: Path, name: str, dataset: Path, seed: int, flags: dict[str, str]) -> None:
    """A full training with lerobot-train, unless its checkpoint is there."""
    if (run / "checkpoints/last/pretrained_model/model.safetensors").is_file():
        return
    shutil.rmtree(run, ignore_errors=True)  # an interrupted one
    flags = (
        DEMO_FLAGS
        | {
            "dataset.repo_id": f"local/{name}",
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


# ---- One task, one seed ----


def predictions(task: Task, name: str, checkpoint: Path, file: Path) -> dict[str, list[np.ndarray]]:
    """The curves by row and held-out episode, from `file` or made anew."""
    if not file.is_file():
        policy, preprocessor, _ = load(checkpoint)
        frames = [episode for root, episodes in task.held_out for episode in read_episodes(root, episodes)]
        found = predict(policy, preprocessor, frames)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            file, **{f"{i}/{row}": curve for row, curves in found.items() for i, curve in enumerate(curves)}
        )
    rows: dict[str, list[np.ndarray]] = {}
    with np.load(file) as saved:
        for key in sorted(saved.files, key=lambda key: int(key.split("/")[0])):
            rows.setdefault(key.split("/", 1)[1], []).append(saved[key])
    return rows


def measure_actions(task: Task, checkpoints: dict[str, Path], file: Path) -> dict[str, dict[str, float]]:
    """Action error, success rate and time of a step by training, from `file` or made anew.

    One that lacks a training, as a quick run's lacks plain ACT, is made anew: the policies are timed in turns.
    """
    known = json.loads(file.read_text()) if file.is_file() else {}
    if not checkpoints.keys() <= known.keys():
        policies = {name: load(folder) for name, folder in checkpoints.items()}
        root, episodes = task.held_out[0]  # successes
        frames = list(read_episodes(root, episodes))
        times = step_times(policies, frames[0])
        figures = {
            name: {"action_l1": action_error(*parts, frames), "ms": times[name]}
            for name, parts in policies.items()
        }
        if "plain ACT" in policies:
            for name, parts in policies.items():
                figures[name]["success_rate"] = success_rate(*parts, task.name, max(task.train_lengths))
        file.write_text(json.dumps(figures, indent=1))
    return json.loads(file.read_text())


def measure_latent(task: Task, checkpoints: dict[str, Path], file: Path) -> dict[str, dict[str, float]]:
    """What knowing the VAE's latent does to the reward by training, from `file` or made anew."""
    if not file.is_file():
        root, episodes = task.held_out[0]  # successes
        phases = [episode["phase"] for episode in task.truth if episode["kind"] == "success"]
        seen = list(zip(read_episodes(root, episodes), phases, strict=True))
        figures = {
            name: latent_gap(*load(folder)[:2], seen)
            for name, folder in checkpoints.items()
            if name not in PLAIN
        }
        file.write_text(json.dumps(figures, indent=1))
    return json.loads(file.read_text())


def measure(task: Task, seed: int, trainings: dict[str, dict[str, str]], output: Path) -> dict[str, dict]:
    """The figures of every row, from what is there or made anew."""
    rows = {"clock": [clock(len(e["phase"]), float(np.mean(task.train_lengths))) for e in task.truth]}
    checkpoints = {}
    for name, flags in trainings.items():
        run = output / "runs" / task.name / f"seed{seed}" / name
        train(run, task.name, task.train, seed, task.flags | flags)
        checkpoints[name] = run / "checkpoints/last/pretrained_model"
        if name not in PLAIN:
            file = output / "predictions" / task.name / f"seed{seed}" / f"{name}.npz"
            rows |= predictions(task, name, checkpoints[name], file)
    figures = {}
    for row, curves in rows.items():
        episodes = [
            Episode(kind=e["kind"], reward=curve, phase=e["phase"], done=e["done"], fps=task.fps)
            for e, curve in zip(task.truth, curves, strict=True)
        ]
        figures[row] = score(episodes)
        if "switch" in task.truth[0]:
            figures[row]["mae_switch"] = float(
                np.mean([mae(curve, e["switch"]) for e, curve in zip(task.truth, curves, strict=True)])
            )
    folder = output / "predictions" / task.name / f"seed{seed}"
    for measured in (
        measure_actions(task, checkpoints, folder / "actions.json"),
        measure_latent(task, checkpoints, folder / "latent.json"),
    ):
        for name, values in measured.items():
            figures.setdefault(name, {}).update(values)
    if seed == SEEDS[0]:
        draw_task(output / f"{task.name}.png", task.name, task.truth, rows, task.fps)
    return figures


# ---- The table ----


COLUMNS = {
    "mae": "MAE", "voc": "VOC", "auroc_final_miss": "miss", "auroc_final_stall": "stall",
    "auroc_final_ghost": "ghost", "auroc_final_wrong_goal": "wrong goal", "final_success": "final, success",
    "final_ghost": "final, ghost", "false_stops": "false stops", "early_stops": "early stops",
    "missed_stops": "missed stops", "stop_delay_s": "delay, s", "ece": "ECE", "mae_switch": "MAE to the switches",
    "mae_with_latent": "MAE with the latent", "mae_without_latent": "MAE without the latent",
    "action_l1": "action L1", "success_rate": "success of the policy", "ms": "ms a step",
}  # fmt: skip


def mean_and_spread(values: list[float | None], undefined: str = "n/a") -> str:
    defined = [value for value in values if value is not None]
    if not defined:
        return undefined
    text = f"{np.mean(defined):.3f}"
    return text + (f" ± {np.std(defined, ddof=1):.3f}" if len(defined) > 1 else "")


def table(results: dict[str, dict[str, dict[str, dict]]]) -> str:
    """A table of every task (mean and spread over seeds), and one over all tasks."""
    blocks, pooled = [], {}
    for task, seeds in results.items():
        rows = list(next(iter(seeds.values())))
        per_row = {
            row: {key: [figures.get(row, {}).get(key) for figures in seeds.values()] for key in COLUMNS}
            for row in rows
        }
        plain = [rate for name in PLAIN for rate in per_row.get(name, {}).get("success_rate", [])]
        if any(rate is not None and rate < ENOUGH for rate in plain):
            for figures in per_row.values():
                figures["success_rate"] = [None]
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
            cells = [
                mean_and_spread(figures[key], "not measured" if key == "success_rate" else "n/a")
                for key in COLUMNS
            ]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS),
        help="the simulated tasks to measure")
    parser.add_argument("--real-dataset", type=Path,
        help="the folder of cr5_banana, the recordings of a real arm; without it they are left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS),
        help="the seeds of the trainings; all but the first are for drawer-open, pick-place and the real arm alone")
    parser.add_argument("--quick", action="store_true",
        help="the first task with the first seed alone, and no plain ACT beside it")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="where data, trainings and results go")
    args = parser.parse_args()
    # fmt: on
    if args.real_dataset and not (args.real_dataset / "events.json").is_file():
        raise UserError(f"no cr5_banana at {args.real_dataset}: there is no events.json in it.")
    names, seeds = (args.tasks[:1], args.seeds[:1]) if args.quick else (args.tasks, args.seeds)
    if args.real_dataset and not args.quick:
        names = [*names, REAL]
    results: dict[str, dict] = {}
    for seed in seeds:
        for name in names:
            if seed != seeds[0] and name not in THREE_SEEDS:
                continue
            print(f"{name}, seed {seed}", flush=True)
            task = (
                real_task(args.real_dataset)
                if name == REAL
                else simulated_task(name, args.output_dir / "data" / name)
            )
            plain = PLAIN if name in PLAIN_TASKS and seed == seeds[0] and not args.quick else {}
            results.setdefault(name, {})[str(seed)] = measure(task, seed, plain | TRAININGS, args.output_dir)
            machine = {
                "platform": f"{platform.system()} {platform.machine()}",
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
            }
            config = {"trainings": PLAIN | TRAININGS, "flags": DEMO_FLAGS, "machine": machine}
            (args.output_dir / "results.json").write_text(
                json.dumps({"config": config, "results": results}, indent=1)
            )
            (args.output_dir / "table.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    run_cli(main)
