#!/usr/bin/env python
"""Make the demo dataset in the simulator: 50 demonstrations, and a dataset of 9 failed episodes.

    python scripts/demo_dataset.py                   # outputs/demo/so101-cube-on-plate and ...-failures
    python scripts/demo_dataset.py --episodes 100

A scripted expert puts a cube onto a plate with the simulated SO-101, the robot `--robot.type=so101_sim`: names, units
and images are those that lerobot-rollout gives to the trained policy. The last fifth of the demonstrations (episodes
40-49 of 50) is held out from training. `rewact_extensions/demo_dataset.json` in each dataset records how every episode
was made; simulation/so101/demo.py says what the episodes are like.
"""

import shared.console  # noqa: F401  # isort: skip

import argparse
from pathlib import Path

from shared.cli import Parser, at_least, run_cli
from shared.training import DEMO_DIR, DEMO_TASK
from simulation.dataset import Wanted, add_arguments, is_complete, make_datasets
from simulation.so101.demo import DEMO, FAILURE_KINDS, IMAGE_SIZE, summarise


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=DEMO_DIR,
        help=f"where the folders {DEMO_TASK} and {DEMO_TASK}-failures go")
    parser.add_argument("--episodes", type=int, default=50,
        help="the number of demonstrations, the last fifth of which is held out")
    parser.add_argument("--failures", type=int, default=9,
        help="the number of failed episodes; 0 makes no dataset of them")
    add_arguments(parser, image_size=IMAGE_SIZE)
    # fmt: on
    args = parser.parse_args()
    at_least(parser, args, episodes=1, failures=0, image_size=16, seed=0, workers=1)
    return args


def main() -> None:
    args = parse_args()
    common = {"task": DEMO_TASK, "image_size": args.image_size, "seed": args.seed, "version": 2}
    kinds = {
        "demo": ["demo"] * args.episodes,
        "failure": [FAILURE_KINDS[i % len(FAILURE_KINDS)] for i in range(args.failures)],
    }
    folders = {"demo": DEMO_TASK, "failure": f"{DEMO_TASK}-failures"}
    held_out = {"demo": args.episodes // 5, "failure": 0}
    wanted = [
        Wanted(
            root=args.output_dir / folders[name],
            settings={"kind": name, "episodes": len(kinds[name]), "held_out": held_out[name], **common},
            episodes=[(kind, i) for i, kind in enumerate(kinds[name])],
        )
        for name in kinds
        if kinds[name]
    ]
    missing = [each for each in wanted if not is_complete(each, DEMO, args.overwrite)]
    if there := [str(each.root) for each in wanted if each not in missing]:
        print(f"already complete: {' and '.join(there)}")
    make_datasets(DEMO, missing, args.workers)
    for each in missing:
        print(summarise(each.root))


if __name__ == "__main__":
    run_cli(main)
