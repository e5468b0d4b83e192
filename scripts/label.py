#!/usr/bin/env python
"""Label episodes on a web page, merge label files, or propose labels from the gripper.

    make label DATASET=me/cups ROOT=data/cups                     # the page, on http://127.0.0.1:8765
    scripts/label.py --dataset me/cups --root data/cups --policy-path outputs/train/cups
    scripts/label.py --merge a/rewact_extensions/reward_keypoints.json b.json --output merged.json
    scripts/label.py --merge a.json b.json --counts 40,8 --output merged.json
    scripts/label.py --suggest gripper --dataset me/cups --root data/cups --output suggested.json

The page saves inside the dataset, where training finds the labels, or shows the flag to train with:
`make train DATASET=… ARGS="--dataset.reward_labels=labels.json"`.
"""

import shared.console  # noqa: F401  # isort: skip

import argparse
import sys
from pathlib import Path

from shared.cli import Parser, UserError, format_episodes, run_cli

DEFAULT_PORT = 8765


def parse_args() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--merge",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="label files, in the order in which the datasets were merged",
    )
    what.add_argument("--suggest", choices=["gripper"], help="propose keypoints for a person to accept")
    parser.add_argument("--dataset", help="repo id of the dataset; with --merge, of the merged one")
    parser.add_argument("--root", type=Path, help="folder of the dataset, if it is not in LeRobot's cache")
    parser.add_argument(
        "--gripper-key", default="action", help="feature with the gripper's position (default: action)"
    )
    parser.add_argument(
        "--gripper-dim", type=int, default=-1, help="index of the gripper in that feature (default: the last)"
    )
    page = parser.add_argument_group("the page")
    page.add_argument("--labels", type=Path, help="the label file (default: inside the dataset)")
    page.add_argument(
        "--policy-path", help="a training run or checkpoint; the page draws its predicted reward as well"
    )
    page.add_argument(
        "--interpolation",
        choices=["linear", "pchip"],
        default="linear",
        help="how the curve is first drawn; train with the same --dataset.reward_interpolation",
    )
    page.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"port on 127.0.0.1 (default: {DEFAULT_PORT})"
    )
    file = parser.add_argument_group("--merge and --suggest")
    file.add_argument("--output", type=Path, help="the label file to write; it must not exist")
    file.add_argument("--counts", help="number of episodes of each merged dataset, such as 40,8")
    return parser.parse_args()


def merge(args: argparse.Namespace) -> dict:
    from labelling.tools import merge_labels

    counts: list[int | None] = [None] * len(args.merge)
    if args.counts:
        parts = args.counts.split(",")
        if len(parts) != len(args.merge) or not all(part.strip().isdecimal() for part in parts):
            raise UserError(
                f"--counts {args.counts}: one number for each of the {len(args.merge)} files is needed, such as 40,8."
            )
        counts = [int(part) for part in parts]
    episodes = merge_labels(args.merge, counts)
    print(
        f"labelled episodes: {format_episodes([int(index) for index in episodes])} ({len(episodes)} in all)"
    )
    return episodes


def suggest(args: argparse.Namespace) -> dict:
    from labelling.tools import suggest_gripper
    from shared.episodes import load_meta

    meta = load_meta(args.dataset, args.root)
    suggested = suggest_gripper(Path(meta.root), meta.fps, args.gripper_key, args.gripper_dim)
    episodes = {str(index): entry for index, entry in suggested.items() if entry is not None}
    for index, entry in episodes.items():
        grasp, release = (point["frame_index"] for point in entry["keypoints"])
        print(f"episode {index}: grasp at frame {grasp}, release at frame {release}")
    if without := [index for index, entry in suggested.items() if entry is None]:
        print(
            f"no suggestion for episodes {format_episodes(without)}: fewer than two switches", file=sys.stderr
        )
    if not episodes:
        raise UserError(
            f"the gripper ({args.gripper_key}, dimension {args.gripper_dim}) switches twice in no episode."
        )
    return episodes


def serve_page(args: argparse.Namespace) -> None:
    from labelling.listening import listen

    sock = listen(args.port)  # before LeRobot, the dataset and the policy are loaded, which takes time
    import shared.loading  # noqa: F401  # before the imports that take seconds
    from labelling.server import make_app, serve
    from labelling.session import make_session
    from shared.episodes import load_meta

    session = make_session(
        load_meta(args.dataset, args.root),
        labels=args.labels,
        policy_path=args.policy_path,
        gripper=(args.gripper_key, args.gripper_dim),
        interpolation=args.interpolation,
    )
    port = sock.getsockname()[1]
    place = session.store.place
    print(f"labels    {place.path} ({place.why})")
    if place.flag:
        print(f"          train on them with {place.flag}")
    if any(label.is_open for label in session.store.read().labels.values()):
        print(
            f"          a policy proposed labels: accept or change them; then make improve ROLLOUTS={args.root or args.dataset}"
        )
    print(f"open      http://127.0.0.1:{port}   (Ctrl-C ends it; labels are saved as you go)", flush=True)  # fmt: skip
    serve(make_app(session, port), sock)


def main() -> None:
    args = parse_args()
    if not (args.merge or args.suggest):
        if args.output or args.counts:
            raise UserError(
                "--output and --counts are for --merge and --suggest; the page saves to --labels."
            )
        if args.dataset is None:
            raise UserError(
                "which dataset? make label DATASET=<repo id>, and ROOT=<folder> if it is not in LeRobot's cache."
            )
        serve_page(args)
        return
    if args.output is None:
        raise UserError("--output FILE is needed: where to write the labels.")
    if args.output.exists():
        raise UserError(f"{args.output} exists: name another file, or move it away.")
    if args.suggest and args.dataset is None:
        raise UserError("--suggest needs --dataset, and --root if it is not in LeRobot's cache.")
    # after the checks, because this imports torch
    from rewact.keypoints import save_label_file

    episodes = merge(args) if args.merge else suggest(args)
    save_label_file(
        args.output, {"repo_id": args.dataset, "episodes": episodes} if args.dataset else episodes
    )
    print(f"written to {args.output}; train on it with --dataset.reward_labels={args.output}")


if __name__ == "__main__":
    run_cli(main)
