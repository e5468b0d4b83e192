#!/usr/bin/env python
"""Measure the head of lerobot_policy_rewact 0.1.4 (benchmarking/newer_head.py) on the benchmark's held-out episodes.

    python scripts/benchmark_newer_head.py --tasks pick-place-v3 so101-pick-place

Trains as make benchmark and make benchmark-days do, into the same folders, and writes newer_head.json there. What is
there already is not done again.
"""

import argparse
import json
from pathlib import Path

from benchmarking.days import make_day_task
from benchmarking.measuring import episodes_of, predictions
from benchmarking.newer_head import FLAGS, newer_head
from benchmarking.runs import SEEDS, prediction_folder, run_folder, train
from benchmarking.scores import score
from benchmarking.tasks import SIMULATED
from shared.cli import run_cli
from simulation.so101.plans import TASKS

NAME = "newer head"


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=(*SIMULATED, *TASKS), default=["pick-place-v3", "so101-pick-place"],
        help="the tasks to measure")
    parser.add_argument("--seed", type=int, default=SEEDS[0],
        help="the seed of the training runs")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="where data, training runs and results go")
    args = parser.parse_args()
    # fmt: on
    output = args.output_dir.resolve()  # the training runs elsewhere
    file = output / "newer_head.json"
    results = json.loads(file.read_text()) if file.is_file() else {}
    for name in args.tasks:
        task = make_day_task(name, output / "data" / name)
        run = run_folder(output, name, args.seed, NAME)
        checkpoint = train(run, task, args.seed, FLAGS, module="benchmarking.newer_head")
        with newer_head():
            rows = predictions(task, checkpoint, prediction_folder(output, name, args.seed) / f"{NAME}.npz")
        metrics = score(episodes_of(task, rows["original"]))
        results.setdefault(name, {})[str(args.seed)] = metrics
        file.write_text(json.dumps(results, indent=1))
        print(name, {key: value if value is None else round(value, 3) for key, value in metrics.items()})


if __name__ == "__main__":
    run_cli(main)
