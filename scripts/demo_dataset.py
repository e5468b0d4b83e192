#!/usr/bin/env python
"""Make the demo dataset in the simulator: 40 demonstrations, and a dataset of 10 failed episodes.

    python scripts/demo_dataset.py                          # outputs/demo/drawer-open-v3 and ...-failures
    python scripts/demo_dataset.py --task button-press-topdown-v3 --image-size 128
    lerobot-eval --policy.path=CHECKPOINT --env.type=metaworld --env.task=drawer-open-v3

A scripted Meta-World expert acts in LeRobot's own MetaworldEnv, so the camera, the feature names and the actions are
those that lerobot-eval uses with the trained policy. The last quarter of the demonstrations (episodes 30-39 of 40) is
held out from training. `rewact_extensions/demo_dataset.json` in each dataset records how every episode was made;
simulation/demo.py says what the episodes are like.
"""

import argparse
from pathlib import Path

from shared.cli import at_least
from simulation.dataset import Wanted, add_arguments, is_complete, make_datasets
from simulation.demo import DEMO, FAILURE_KINDS, summarise


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="drawer-open-v3",
        help="the Meta-World task")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/demo"),
        help="where the folders <task> and <task>-failures go")
    parser.add_argument("--episodes", type=int, default=40,
        help="the number of demonstrations, the last quarter of which is held out")
    parser.add_argument("--failures", type=int, default=10,
        help="the number of failed episodes; 0 makes no dataset of them")
    add_arguments(parser)
    # fmt: on
    args = parser.parse_args()
    at_least(parser, args, episodes=1, failures=0, image_size=16, seed=0, workers=1)
    return args


def main() -> None:
    args = parse_args()
    common = {"task": args.task, "image_size": args.image_size, "seed": args.seed, "version": 1}
    kinds = {
        "demo": ["demo"] * args.episodes,
        "failure": [FAILURE_KINDS[i % len(FAILURE_KINDS)] for i in range(args.failures)],
    }
    folders = {"demo": args.task, "failure": f"{args.task}-failures"}
    held_out = {"demo": args.episodes // 4, "failure": 0}
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
    for each in wanted:
        if each not in missing:
            print(f"complete already: {summarise(each.root)}")
    make_datasets(DEMO, missing, args.workers)
    for each in missing:
        print(summarise(each.root))


if __name__ == "__main__":
    main()
