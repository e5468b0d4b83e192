#!/usr/bin/env python
"""Compare reward heads on one frozen trunk: what each part of the head does, and what labelled failures do.

    python scripts/benchmark_heads.py --task drawer-open-v3     # after `make benchmark` has trained "ours" there

Writes heads.json and heads.md beside the benchmark's results. See benchmarking/heads.py.
"""

import argparse
import json
from pathlib import Path

from benchmarking.heads import EVERY, STEPS, measure, table
from benchmarking.runs import SEEDS
from benchmarking.tasks import SIMULATED
from shared.cli import run_cli


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=SIMULATED, default=SIMULATED[0],
        help="the task whose trunk it is")
    parser.add_argument("--seed", type=int, default=SEEDS[0],
        help="of the trunk's training run, and of the heads'")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark"),
        help="that of make benchmark")
    args = parser.parse_args()
    # fmt: on
    rows = measure(args.task, args.seed, args.output_dir)
    config = {"task": args.task, "seed": args.seed, "steps": STEPS, "every": EVERY}
    (args.output_dir / "heads.json").write_text(json.dumps({"config": config, "rows": rows}, indent=1))
    (args.output_dir / "heads.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    run_cli(main)
