#!/usr/bin/env python
"""Measure the reward on the day of the demonstrations, and on other days.

    make benchmark-days                        # both tasks of the SO-101: hours; it resumes where it stopped
    make benchmark-days ARGS="--tasks so101-pick-place pick-place-v3 --days 'camera bumped' darker"

Trains as make benchmark does, on 40 demonstrations recorded under one light, and predicts held-out successes and
failures under other lights, with a bumped camera, a new object on the table, a noisy sensor, and with the object outside
of its usual range (lerobot_robot_so101_sim/days.py). Writes days.json, days.csv and an image for each task into
--output-dir, and prints a short table.
"""

import shared.console  # noqa: F401  # isort: skip

import argparse
import json
from pathlib import Path

from benchmarking.days import measure_days
from benchmarking.dots import draw_days
from benchmarking.results import as_csv, over_seeds, records, table_of
from benchmarking.runs import SEEDS
from benchmarking.tasks import SIMULATED
from lerobot_robot_so101_sim.days import DAYS, SAME
from shared.cli import run_cli
from simulation.so101.plans import TASKS

OTHER_DAYS = [day for day in DAYS if day != SAME]


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=(*TASKS, *SIMULATED), default=list(TASKS),
        help="the tasks to measure")
    parser.add_argument("--days", nargs="+", choices=OTHER_DAYS, default=OTHER_DAYS,
        help="the days to measure besides the same day")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS[:1]),
        help="the seeds of the training runs")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="where data, training runs and results go")
    args = parser.parse_args()
    # fmt: on
    results: dict[str, dict] = {}
    for task in args.tasks:
        for seed in args.seeds:
            print(f"{task}, seed {seed}", flush=True)
            results.setdefault(task, {})[str(seed)] = measure_days(task, seed, args.output_dir, args.days)
            (args.output_dir / "days.json").write_text(json.dumps(results, indent=1))
            measured = records({task: {str(seed): results[task][str(seed)]}})
            draw_days(args.output_dir / f"days-{task}-{seed}.png", measured)
    measured = records(results)
    (args.output_dir / "days.csv").write_text(as_csv({"days": [*measured, *over_seeds(measured)]}))
    print(table_of(measured))


if __name__ == "__main__":
    run_cli(main)
