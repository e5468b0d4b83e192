#!/usr/bin/env python
"""Measure what labelled failures in the training do, on the benchmark's held-out episodes.

    python scripts/benchmark_labelled.py --tasks drawer-open-v3 door-open-v3 --failures 0 3

Trains as make benchmark does, into the same folders, on the demonstrations and on as many failures of each of two kinds as
you name, and writes labelled.json there. What is there already is not done again.
"""

import argparse
import json
from pathlib import Path

from benchmarking.labelled import LABELLED, measure
from benchmarking.runs import SEEDS
from benchmarking.tasks import SIMULATED
from shared.cli import run_cli


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=SIMULATED, default=["drawer-open-v3"],
        help="the tasks to measure")
    parser.add_argument("--failures", nargs="+", type=int, default=[0, *LABELLED],
        help="the numbers of labelled failures of each kind")
    parser.add_argument("--seed", type=int, default=SEEDS[0],
        help="the seed of the training runs")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="where data, training runs and results go")
    args = parser.parse_args()
    # fmt: on
    file = args.output_dir / "labelled.json"
    results = json.loads(file.read_text()) if file.is_file() else {}
    for name in args.tasks:
        found = measure(name, args.seed, args.failures, args.output_dir)
        results.setdefault(name, {}).setdefault(str(args.seed), {}).update(found)
        file.write_text(json.dumps(results, indent=1))
        for n, rows in found.items():
            shown = {key: value if value is None else round(value, 3) for key, value in rows["ours"].items()}
            print(name, n, shown)


if __name__ == "__main__":
    run_cli(main)
