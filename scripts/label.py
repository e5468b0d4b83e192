#!/usr/bin/env python
"""Merge label files, or propose labels from the gripper.

    scripts/label.py --merge a/rewact_extensions/reward_keypoints.json b.json --output merged.json
    scripts/label.py --merge a.json b.json --counts 40,8 --output merged.json
    scripts/label.py --suggest gripper --dataset me/cups --root data/cups --output suggested.json

Train on the result with `make train DATASET=… ARGS="--dataset.reward_labels=merged.json"`.
"""

import argparse
import sys
from pathlib import Path

from cli import UserError, format_episodes, run_cli


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--merge", nargs="+", type=Path, metavar="FILE", help="label files, in the order of the merge"
    )
    what.add_argument("--suggest", choices=["gripper"], help="propose keypoints for a person to accept")
    parser.add_argument(
        "--output", type=Path, required=True, help="the label file to write; it must not exist"
    )
    parser.add_argument("--counts", help="number of episodes of each merged data set, such as 40,8")
    parser.add_argument("--dataset", help="repo id of the data set; of the result, when merging")
    parser.add_argument(
        "--root", type=Path, help="folder of the data set, where it is not in LeRobot's cache"
    )
    parser.add_argument(
        "--gripper-key", default="action", help="feature that the gripper is in (default: action)"
    )
    parser.add_argument("--gripper-dim", type=int, default=-1, help="its dimension there (default: the last)")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.output.exists():
        raise UserError(f"{args.output} exists: name another file, or move it away.")
    # After the checks: these import torch.
    from label_tools import merge_labels, save_labels, suggest_gripper

    if args.merge:
        counts: list[int | None] = [None] * len(args.merge)
        if args.counts:
            parts = args.counts.split(",")
            if len(parts) != len(args.merge) or not all(part.strip().isdecimal() for part in parts):
                raise UserError(
                    f"--counts {args.counts}: one number for each of the {len(args.merge)} files is needed, such as 40,8."
                )
            counts = [int(part) for part in parts]
        episodes = merge_labels(args.merge, counts)
        print(f"{len(episodes)} labelled episodes: {format_episodes([int(index) for index in episodes])}")
    else:
        if args.dataset is None:
            raise UserError("--suggest needs --dataset, and --root where it is not in LeRobot's cache.")
        from episodes import load_meta

        meta = load_meta(args.dataset, args.root)
        suggested = suggest_gripper(Path(meta.root), meta.fps, args.gripper_key, args.gripper_dim)
        episodes = {str(index): entry for index, entry in suggested.items() if entry is not None}
        for index, entry in episodes.items():
            grasp, release = (point["frame_index"] for point in entry["keypoints"])
            print(f"episode {index}: grasp at frame {grasp}, release at frame {release}")
        if without := [index for index, entry in suggested.items() if entry is None]:
            print(
                f"no suggestion for episodes {format_episodes(without)}: less than two switches",
                file=sys.stderr,
            )
        if not episodes:
            raise UserError(
                f"the gripper ({args.gripper_key}, dimension {args.gripper_dim}) never switches twice."
            )
    save_labels(args.output, {"repo_id": args.dataset, "episodes": episodes} if args.dataset else episodes)
    print(f"written to {args.output}; train on it with --dataset.reward_labels={args.output}")


if __name__ == "__main__":
    run_cli(main)
