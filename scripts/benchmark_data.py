#!/usr/bin/env python
"""Make the benchmark's datasets of a task: demonstrations, held-out successes and failures, with the truth.

    python scripts/benchmark_data.py --task drawer-open-v3     # outputs/benchmark/data/drawer-open-v3/...
    for task in door-open-v3 window-open-v3 pick-place-v3 drawer-open-close; do
        python scripts/benchmark_data.py --task $task
    done

scripts/benchmark.py makes those that it needs by itself. A task's folder holds three LeRobot datasets: `train`,
`success` and `failures`. simulation/benchmark_plans.py says what their episodes are like, and
simulation/benchmark_episodes.py what rewact_extensions/benchmark.json says about each of their frames.
"""

import argparse
from pathlib import Path

from shared.cli import at_least
from simulation.benchmark_data import make_task, summarise
from simulation.benchmark_scenes import TASKS
from simulation.dataset import add_arguments


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, default=TASKS[0],
        help="the task whose datasets to make")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark/data"),
        help="where the folder <task> goes")
    parser.add_argument("--train", type=int, default=40,
        help="the number of demonstrations")
    parser.add_argument("--success", type=int, default=20,
        help="the number of held-out successes")
    parser.add_argument("--failures", type=int, default=10,
        help="the number of failures of each kind")
    add_arguments(parser)
    # fmt: on
    args = parser.parse_args()
    at_least(parser, args, train=0, success=0, failures=0, image_size=16, seed=0, workers=1)
    root = args.output_dir / args.task
    sizes = {name: getattr(args, name) for name in ("train", "success", "failures", "image_size", "seed")}
    make_task(args.task, root, **sizes, n_workers=args.workers, overwrite=args.overwrite)
    for name in ("train", "success", "failures"):
        if (root / name).exists():
            print(summarise(root / name))


if __name__ == "__main__":
    main()
