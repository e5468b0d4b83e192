#!/usr/bin/env python
"""What keyframes do to the reward of a real arm: linear labels against the gripper's switches.

    python scripts/benchmark_keyframes.py --real-dataset <folder of cr5_banana>

Trains, with lerobot-train, RewACT on the linear label (the benchmark's own "ours", if it is there) and on keypoints
that `label.py --suggest gripper` proposes (grasp 0.5, release 1.0), on the same episodes and from the same seed. On the
held-out episodes it asks both for the reward at the true grasp and release, and when the reward first reaches 0.5 and
0.95. Writes keyframes.json, keyframes.md and keyframes.png beside the benchmark's results, and resumes as that does.
"""

import argparse
import json
from pathlib import Path

from benchmarking.keyframes import PARTS, curves_of, draw, measure, switches_of, table
from benchmarking.runs import SEEDS
from benchmarking.tasks import REAL_HELD_OUT, real_task
from shared.cli import run_cli


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real-dataset", type=Path, required=True,
        help="the folder of cr5_banana")
    parser.add_argument("--seed", type=int, default=SEEDS[0],
        help="of the training runs")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="that of make benchmark")
    args = parser.parse_args()
    # fmt: on
    task = real_task(args.real_dataset)
    curves = curves_of(task, args.seed, args.output_dir)
    switches = switches_of(args.real_dataset)
    truth = [episode["switch"] for episode in task.truth]
    metrics = {"the keyframes themselves": {"ours": measure(truth, switches, task.fps)}}
    metrics |= {
        label: {part: measure(rows[part], switches, task.fps) for part in PARTS}
        for label, rows in curves.items()
    }
    config = {"seed": args.seed, "episodes": [*REAL_HELD_OUT]}
    (args.output_dir / "keyframes.json").write_text(
        json.dumps({"config": config, "figures": metrics}, indent=1)
    )
    (args.output_dir / "keyframes.md").write_text(table(metrics))
    shown = {label: rows["ours"] for label, rows in curves.items()}
    draw(args.output_dir / "keyframes.png", shown, switches, task.fps)
    print(table(metrics))


if __name__ == "__main__":
    run_cli(main)
