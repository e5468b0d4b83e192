#!/usr/bin/env python
"""Measure what the reward costs, as ratios against plain ACT from the same checkout.

    make benchmark-speed                                          # ACT at its default size; an hour on two cores
    make benchmark-speed ARGS="--sizes 96x96 --repetitions 5"     # minutes
    make benchmark-speed ARGS="--device cuda --batch-size 32"

RTC is not measured: LeRobot refuses ACT there, because ACT cannot continue a chunk.
ACT and RewACT take turns, so that whatever else the machine does slows both. A ratio is the median of the
ratios of the turns, and the milliseconds are medians too. Prints a table, and writes all of it to --output.
"""

import shared.console  # noqa: F401  # isort: skip

import argparse
import contextlib
import json
import logging
import os
import platform
from pathlib import Path
from typing import Any

import av
import torch
from benchmarking.speed import measure
from shared.checkpoint import choose_device
from shared.cli import UserError, at_least, run_cli

import lerobot

ROWS = {
    "training": ("training step, RewACT / ACT", "at most 1.02"),
    "inference": ("full inference, RewACT / ACT", "at most 1.02"),
    "reward_only": ("reward-only call / full inference of ACT", ""),
    "backbone": ("the backbone alone / full inference of ACT", ""),
    "reward_backbone": ("reward-only call / the backbone alone", "at most 1.10"),
    "label": ("label / fetching an item", "at most 0.01"),
    "visualise": ("frames per second, `visualise.py` / ACT frame by frame", "at least 3, small images"),
    "select_action": ("mean step of `select_action`, with / without reward", ""),
    "select_action_queue": ("its steps from the queue, with / without reward", ""),
    "control_actions": ("lerobot-rollout, two cameras: actions a second, RewACT / ACT", "at least 0.97"),
    "control_gap": ("its longest time between two actions, RewACT / ACT", "at most 1.10"),
    "control_rewards": ("its rewards a second", "at least 2 on two cores"),
}


def cell(times: dict[str, float]) -> str:
    """'1.01 (812 / 804 ms)'."""
    if "per_s" in times:
        return format(times["per_s"], ".3g")
    unit, values = ("fps", ("fps", "baseline_fps")) if "fps" in times else ("ms", ("ms", "baseline_ms"))
    both = " / ".join(format(times[v], ".0f" if times[v] >= 100 else ".3g") for v in values)
    return f"{times['ratio']:.3g} ({both} {unit})"


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """The ratios of every size, {size: {what: ratio and times}}."""
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
    """What the times depend on."""
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
    """'480x640' as height and width."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and min(int(height), int(width)) >= 32):
        raise UserError(f"--sizes {text}: write a size as HEIGHTxWIDTH, at least 32 pixels.")
    return int(height), int(width)


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["480x640", "96x96"], metavar="HxW",
        help="heights and widths of the images")
    parser.add_argument("--repetitions", type=int, default=15, metavar="N",
        help="turns of a training step; five times as many of an inference")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N",
        help="samples of a training step")
    parser.add_argument("--frames", type=int, default=300, metavar="N",
        help="length of an episode")
    parser.add_argument("--device",
        help="cpu, cuda, cuda:1, mps, … (default: an accelerator if there is one)")
    parser.add_argument("--output", type=Path, default=Path("outputs/benchmark_speed.json"), metavar="FILE",
        help="the JSON file to write")
    args = parser.parse_args()
    # fmt: on
    sizes = [parse_size(text) for text in args.sizes]
    at_least(parser, args, repetitions=1, batch_size=1, frames=1)
    device = choose_device(args.device)
    # Neither LeRobot's lines on every dataset nor the video encoders'.
    logging.getLogger().setLevel(logging.ERROR)
    av.logging.set_libav_level(av.logging.ERROR)
    os.environ["SVT_LOG"] = "1"

    results: dict[str, dict[str, dict[str, float]]] = {}
    machine = describe_machine(device)
    settings = {name: getattr(args, name) for name in ("repetitions", "batch_size", "frames")}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    for (height, width), name in zip(sizes, args.sizes, strict=True):
        results[name] = measure(height, width, **settings, device=device)
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
