#!/usr/bin/env python
"""Measure the reward where the truth is known: at varied speeds, in stalls, and in failures never trained on.

    make benchmark QUICK=1                                # one task, one seed, no plain ACT: about half an hour
    make benchmark                                        # everything: hours; it resumes where it stopped
    make benchmark ARGS="--tasks drawer-open-v3 pick-place-v3 --seeds 1000 1001"
    make benchmark ARGS="--real-dataset <folder>"         # with the recordings of a real arm, cr5_banana

For each task and seed it trains, with lerobot-train, RewACT with the original's reward head and RewACT as
shipped (on two tasks plain ACT too), predicts the held-out episodes, and scores them beside a clock (see
benchmarking/scores.py). Rows named "ours, ..." are the same checkpoint as "ours" with a part switched off.

Everything lies in --output-dir: data/, runs/ (the training runs), predictions/, results.json, results.csv, and an
image for each task. A short table is printed. What is there already is not done again.
"""

import shared.console  # noqa: F401  # isort: skip

import argparse
import json
import platform
from pathlib import Path

import torch
from benchmarking.measuring import measure
from benchmarking.results import as_csv, on_same_day, over_seeds, over_tasks, table_of
from benchmarking.runs import FLAGS, PLAIN, SEEDS, VARIANTS
from benchmarking.tasks import REAL, SIMULATED, check_real_dataset, real_task, simulated_task
from shared.cli import run_cli

THREE_SEEDS = ("drawer-open-v3", "pick-place-v3", REAL)
PLAIN_TASKS = ("drawer-open-v3", "window-open-v3")  # with the first seed


def write_results(output: Path, results: dict[str, dict]) -> None:
    """Write results.json and results.csv."""
    machine = {
        "platform": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    config = {"trainings": PLAIN | VARIANTS, "flags": FLAGS, "machine": machine}
    (output / "results.json").write_text(json.dumps({"config": config, "results": results}, indent=1))
    measured = on_same_day(results)
    every = [*measured, *over_seeds(measured), *over_tasks(measured)]
    (output / "results.csv").write_text(as_csv({"results": every}))


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=SIMULATED, default=list(SIMULATED),
        help="the simulated tasks to measure")
    parser.add_argument("--real-dataset", type=Path,
        help="the folder of cr5_banana, the recordings of a real arm; without it they are left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS),
        help="the seeds of the training runs; all but the first are only for drawer-open, pick-place and the real arm")
    parser.add_argument("--quick", action="store_true",
        help="only the first task with the first seed, and no plain ACT")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="where data, training runs and results go")
    args = parser.parse_args()
    # fmt: on
    if args.real_dataset:
        check_real_dataset(args.real_dataset)  # before hours of training
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
            results.setdefault(name, {})[str(seed)] = measure(task, seed, plain | VARIANTS, args.output_dir)
            write_results(args.output_dir, results)
    print(table_of(on_same_day(results)))


if __name__ == "__main__":
    run_cli(main)
