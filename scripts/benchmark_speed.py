#!/usr/bin/env python
"""Measure what the reward costs: every figure a ratio against plain ACT from the same checkout.

    make benchmark-speed                                          # ACT at its default size; an hour on two cores
    make benchmark-speed ARGS="--sizes 96x96 --repetitions 5"     # minutes
    make benchmark-speed ARGS="--device cuda --batch-size 32"

ACT and RewACT take turns, so that whatever else the machine does slows both. A ratio is the median of the
ratios of the turns, and the milliseconds are medians too. Weights and data are random: time does not
depend on them. Prints a table, and writes all of it to --output.
"""

import argparse
import contextlib
import json
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from shared.checkpoint import choose_device
from shared.cli import UserError, at_least, run_cli
from shared.frames import match_inputs, open_dataset, rows_of_episode
from shared.predict import Loaded, observe
from shared.scheduling import keep_scheduling
from tqdm import tqdm
from visualising.caption import Caption
from visualising.episode import draw_episode

import lerobot
from lerobot.datasets import LeRobotDataset
from lerobot.datasets.reward_labels import ProgressLabels, progress_reward
from lerobot.policies import make_policy, make_policy_config, make_pre_post_processors
from lerobot.utils.constants import ACTION, OBS_STATE, REWARD_LABEL

CAMERA = "observation.images.top"
REPO_ID, FPS, JOINTS = "local/benchmark_speed", 30, 14
EPISODES = 2
FAST = 5  # turns of what takes a fraction of a training step, for each of those
ALONE = 64  # frames of the episode that are looked at one by one: enough to know a frame's time


# ---- What is measured ----


def make_data_set(root: Path, height: int, width: int, frames: int) -> LeRobotDataset:
    """Episodes of a slowly moving pattern on video."""
    features = {
        CAMERA: {"dtype": "video", "shape": (height, width, 3), "names": ["height", "width", "channels"]},
        OBS_STATE: {"dtype": "float32", "shape": (JOINTS,), "names": None},
        ACTION: {"dtype": "float32", "shape": (JOINTS,), "names": None},
    }
    dataset = LeRobotDataset.create(REPO_ID, FPS, features, root=root)
    rng = np.random.default_rng(0)
    pattern = np.kron(
        rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)
    )
    for _ in range(EPISODES):
        for i in range(frames):
            joints = {key: rng.normal(size=JOINTS).astype(np.float32) for key in (OBS_STATE, ACTION)}
            dataset.add_frame({CAMERA: np.roll(pattern, i, axis=1), "task": "lift", **joints})
        with keep_scheduling():
            dataset.save_episode()
    dataset.finalize()
    return dataset


def make_policies(dataset: LeRobotDataset, device: str) -> dict[str, tuple[torch.nn.Module, Callable]]:
    """ACT and RewACT at their default size, with their pre-processors, by type. Every part of the reward is on."""
    policies = {}
    for policy_type in ("act", "rewact"):
        torch.manual_seed(0)
        config = make_policy_config(policy_type, device=device, pretrained_backbone_weights=None)
        config.reward_familiarity = True  # has no effect on plain ACT
        policy = make_policy(config, ds_meta=dataset.meta)
        policies[policy_type] = policy, make_pre_post_processors(config, dataset_stats=dataset.meta.stats)[0]
    head = policies["rewact"][0].model.reward_head
    head.filter.fit([torch.linspace(0, 1, 100)])
    n, known = 4 * head.familiarity.COMPONENTS, head.familiarity
    known.FIT_STEPS = 1  # a fit on noise is none, and takes no less time to use
    episode = torch.arange(n, device=device) % known.FOLDS
    features = torch.randn(n, len(known.mean), device=device)
    known.fit(features, torch.randn(n, JOINTS, device=device), episode.sort().values)
    if not (head.filter.fitted and known.fitted):
        raise RuntimeError("The reward's filter or familiarity is off: its cost would be missing.")
    return policies


def make_batch(policy: torch.nn.Module, size: int, training: bool) -> dict[str, torch.Tensor]:
    """A pre-processed batch on the policy's device."""
    config = policy.config
    batch = {key: torch.randn(size, *feature.shape) for key, feature in config.input_features.items()}
    if training:
        batch[ACTION] = torch.randn(size, config.chunk_size, JOINTS)
        batch["action_is_pad"] = torch.zeros(size, config.chunk_size, dtype=torch.bool)
        batch[REWARD_LABEL] = torch.rand(size)
    return {key: value.to(config.device) for key, value in batch.items()}


def training_step(policy: torch.nn.Module, batch_size: int) -> Callable[[], None]:
    """One step as lerobot-train makes it, without the data."""
    preset = policy.config.get_optimizer_preset()
    optimizer = preset.build(policy.get_optim_params())
    batch = make_batch(policy, batch_size, training=True)

    def step() -> None:
        policy.train()
        loss, _ = policy.forward(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), preset.grad_clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return step


def action_step(policy: torch.nn.Module, batch: dict[str, torch.Tensor], queued: bool) -> Callable[[], None]:
    """One `select_action`, with actions in the queue or without."""

    def step() -> None:
        if queued:
            policy._action_queue.extend([torch.zeros(1, JOINTS)] * 2)
        else:
            policy._action_queue.clear()
        policy.select_action(batch)

    return step


# ---- Measuring ----


def take_turns(
    variants: dict[str, Callable[[], Any]], repetitions: int, device: str
) -> dict[str, list[float]]:
    """Seconds of every turn of each variant. They take turns, every second time in reverse order."""
    wait = getattr(torch, torch.device(device).type).synchronize if device != "cpu" else lambda: None
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repetition in range(-1, repetitions):  # the first is for warming up
        order = list(variants.items())
        for name, run in reversed(order) if repetition % 2 else order:
            wait()
            start = time.perf_counter()
            run()
            wait()
            if repetition >= 0:
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times: dict[str, list[float]], of: str, to: str) -> dict[str, float]:
    """The median ratio of the turns with its quartiles, and the median milliseconds of both."""
    ratios = [a / b for a, b in zip(times[of], times[to], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {
        "ratio": statistics.median(ratios),
        "quartiles": [low, high],
        "ms": 1000 * statistics.median(times[of]),
        "baseline_ms": 1000 * statistics.median(times[to]),
    }


def measure(height: int, width: int, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """All figures for one size of pictures."""
    with tempfile.TemporaryDirectory() as folder, tqdm(total=5, desc=f"{height}x{width}") as progress:
        root = Path(folder) / "data"
        dataset = make_data_set(root, height, width, args.frames)
        policies = make_policies(dataset, args.device)
        act, rewact = (policies[name][0] for name in ("act", "rewact"))
        figures = {}

        def turns(variants: dict[str, Callable], repetitions: int) -> dict[str, list[float]]:
            times = take_turns(variants, repetitions, args.device)
            progress.update()
            return times

        steps = {name: training_step(policy, args.batch_size) for name, (policy, _) in policies.items()}
        figures["training"] = ratio(turns(steps, args.repetitions), "rewact", "act")
        del steps

        batch = make_batch(act, 1, training=False)
        calls = {
            "act": lambda: act.predict_action_chunk(batch),
            "rewact": lambda: rewact.predict_action_chunk(batch),
            "reward": lambda: rewact.predict_reward(batch),
        }
        times = turns(calls, FAST * args.repetitions)
        figures["inference"] = ratio(times, "rewact", "act")
        figures["reward_only"] = ratio(times, "reward", "act")

        calls = {
            f"{name} {'queue' if queued else 'chunk'}": action_step(policy, batch, queued)
            for name, (policy, _) in policies.items()
            for queued in (True, False)
        }
        times = turns(calls, FAST * args.repetitions)
        n = act.config.n_action_steps
        mean = {  # of the steps between two chunks
            name: [
                (chunk + (n - 1) * queue) / n
                for chunk, queue in zip(times[f"{name} chunk"], times[f"{name} queue"], strict=True)
            ]
            for name in policies
        }
        figures["select_action"] = ratio(mean, "rewact", "act")
        figures["select_action_queue"] = ratio(times, "rewact queue", "act queue")

        figures["label"] = measure_label(root, args)
        progress.update()
        figures["visualise"] = measure_visualise(dataset, policies, Path(folder), args)
        progress.update()
    return figures


def measure_label(root: Path, args: argparse.Namespace) -> dict[str, float]:
    """A label against an item as a training fetches it."""
    chunk = [i / FPS for i in range(100)]
    dataset = LeRobotDataset(REPO_ID, root=root, delta_timestamps={ACTION: chunk}, return_uint8=True)
    labels = ProgressLabels(list(dataset.meta.episodes["length"]))
    rows = np.random.default_rng(0).integers(len(dataset), size=10 * args.repetitions + 1)
    item = {}

    def fetch() -> None:
        nonlocal rows, item
        item, rows = dataset[int(rows[0])], np.roll(rows, -1)

    item = dataset[0]
    times = take_turns({"item": fetch, "label": lambda: labels(item)}, len(rows) - 1, "cpu")
    return ratio(times, "label", "item")


def measure_visualise(
    dataset: LeRobotDataset,
    policies: dict[str, tuple[torch.nn.Module, Callable]],
    folder: Path,
    args: argparse.Namespace,
) -> dict[str, float]:
    """Frames per second of visualise.py, drawing and all, against ACT on one frame after the other."""
    policy, preprocessor = policies["rewact"]
    act, act_preprocessor = policies["act"]
    meta = dataset.meta
    inputs = match_inputs(policy.config, preprocessor, meta)
    opened = open_dataset(meta, str(dataset.root), [0], inputs)
    loaded = Loaded(policy, preprocessor, opened, inputs)
    rows = rows_of_episode(opened, 0)
    alone = rows[:: -(-len(rows) // ALONE)]
    label = progress_reward(np.arange(len(rows)), len(rows), 0.05, 0.95)

    def draw() -> None:
        draw_episode(loaded, 0, folder / "episode", Caption("speed", "benchmark"), label)

    def one_by_one() -> None:
        for row in alone:
            item = opened[row]
            act.predict_action_chunk(observe(act_preprocessor, {key: item[key][None] for key in inputs}))

    times = take_turns({"one": one_by_one, "visualise": draw}, -(-args.repetitions // FAST), args.device)
    per_frame = {
        "one": [seconds / len(alone) for seconds in times["one"]],
        "visualise": [seconds / len(rows) for seconds in times["visualise"]],
    }
    figures = ratio(per_frame, "one", "visualise")  # more is better here, so the other way round
    return {
        "ratio": figures["ratio"],
        "quartiles": figures["quartiles"],
        "fps": 1000 / figures["baseline_ms"],
        "baseline_fps": 1000 / figures["ms"],
    }


# ---- The report ----


ROWS = {
    "training": ("training step, RewACT / ACT", "at most 1.02"),
    "inference": ("full inference, RewACT / ACT", "at most 1.02"),
    "reward_only": ("reward-only call / full inference of ACT", ""),
    "label": ("label / fetching an item", "at most 0.01"),
    "visualise": ("frames per second, `visualise.py` / ACT frame by frame", "at least 3, small pictures"),
    "select_action": ("mean step of `select_action`, with / without reward", ""),
    "select_action_queue": ("its steps from the queue, with / without reward", ""),
}


def cell(figures: dict[str, float]) -> str:
    """'1.01 (812 / 804 ms)'."""
    unit, values = ("fps", ("fps", "baseline_fps")) if "fps" in figures else ("ms", ("ms", "baseline_ms"))
    both = " / ".join(format(figures[v], ".0f" if figures[v] >= 100 else ".3g") for v in values)
    return f"{figures['ratio']:.3g} ({both} {unit})"


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = [
        "| median ratio (and both sides) | " + " | ".join(results) + " | goal |",
        "|---" * (len(results) + 2) + "|",
    ]
    for key, (name, goal) in ROWS.items():
        lines.append(
            f"| {name} | " + " | ".join(cell(size[key]) for size in results.values()) + f" | {goal} |"
        )
    return "\n".join(lines)


def describe_machine(device: str) -> dict[str, Any]:
    cpu = platform.processor()
    with contextlib.suppress(OSError):  # only Linux has it
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    return {
        "platform": platform.platform(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lerobot": lerobot.__version__,
        "load_average": os.getloadavg()[0],
    }


def parse_size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and min(int(height), int(width)) >= 32):
        raise UserError(f"--sizes {text}: write a size as HEIGHTxWIDTH, 32 pixels at least.")
    return int(height), int(width)


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["480x640", "96x96"], metavar="HxW",
        help="heights and widths of the pictures")
    parser.add_argument("--repetitions", type=int, default=15, metavar="N",
        help="turns of a training step; five times as many of an inference")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N",
        help="of a training step")
    parser.add_argument("--frames", type=int, default=300, metavar="N",
        help="length of an episode")
    parser.add_argument("--device",
        help="cpu, cuda, cuda:1, mps, … (default: an accelerator if there is one)")
    parser.add_argument("--output", type=Path, default=Path("outputs/benchmark_speed.json"), metavar="FILE",
        help="where all figures go")
    args = parser.parse_args()
    # fmt: on
    sizes = [parse_size(text) for text in args.sizes]
    at_least(parser, args, repetitions=1, batch_size=1, frames=1)
    args.device = choose_device(args.device)
    # Not a line for every data set, and none of the encoders'.
    logging.getLogger().setLevel(logging.ERROR)
    av.logging.set_libav_level(av.logging.ERROR)
    os.environ["SVT_LOG"] = "1"

    results: dict[str, dict[str, dict[str, float]]] = {}
    machine = describe_machine(args.device)
    settings = {name: getattr(args, name) for name in ("repetitions", "batch_size", "frames")}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    for (height, width), name in zip(sizes, args.sizes, strict=True):
        results[name] = measure(height, width, args)
        args.output.write_text(
            json.dumps({"machine": machine, "settings": settings, "results": results}, indent=1) + "\n"
        )
    where = machine["gpu"] or f"{machine['cpu']}, {machine['threads']} threads of {machine['cores']} cores"
    print(
        f"\n{table(results)}\n\n{where}; torch {machine['torch']}, load {machine['load_average']:.1f} at the start, "
        f"batch size {args.batch_size}, {args.repetitions} turns. Written to {args.output}."
    )


if __name__ == "__main__":
    run_cli(main)
