#!/usr/bin/env python
"""Write the cards that describe a policy and a dataset on the Hub.

    make card                                                  # the newest run
    make card POLICY=outputs/train/cups
    make card DATASET=me/cups ROOT=data/cups                   # a dataset alone
    make card POLICY=outputs/train/cups HUB_ID=me/cups_policy DATASET=me/cups ROOT=data/cups

A card is the README.md in the folder. The checkpoint's is LeRobot's own, with the figures of the newest summary.json
that visualise.py wrote for it, and the threshold. The dataset's says what is labelled and what is scored. What you write
into a card stays: the command replaces only what is between its two comments. It uploads nothing.
"""

import shared.loading  # noqa: F401  # isort: skip

import argparse
import shlex
from pathlib import Path

from cards.dataset import dataset_card
from cards.figures import find_summary
from cards.model import NO_NAME, model_card
from cards.section import write_text
from shared.checkpoint import find_policy, load_policy
from shared.cli import Parser, UserError, run_cli
from shared.episodes import load_meta

from lerobot.datasets.dataset_metadata import CODEBASE_VERSION

HF = ".venv/bin/hf"


def own_readme(folder: Path, described_by: Path) -> Path:
    """The README.md to write, or a UserError if the folder belongs to the Hub's cache."""
    if described_by.is_symlink() or (folder / "README.md").is_symlink():
        raise UserError(f"{folder} is in the Hub's cache: download it into a folder of your own.")
    return folder / "README.md"


def name_on_hub(repo_id: str | None, name: str) -> str:
    """The repository to upload to. Of a name that is not meant for the Hub only the last part is kept."""
    if repo_id and not repo_id.startswith(("local/", "rewact/")):
        return repo_id
    return f"me/{(repo_id or name).split('/')[-1]}"


def write_model_card(policy_path: str | None, repo_id: str | None) -> list[list[str]]:
    """Write a checkpoint's card. Returns the commands that upload it.

    Args:
        policy_path: as in `find_policy`.
        repo_id: its name on the Hub; None for that of the training run, which may have none.
    """
    folder, name = find_policy(policy_path)
    path = own_readme(folder, folder / "config.json")
    print(f"policy    {folder}")
    policy, _, _ = load_policy(folder, device="cpu")
    policy.config.repo_id = repo_id or policy.config.repo_id
    if policy.config.repo_id is None:
        print(f"name      none: the card has {NO_NAME} in its commands, which HUB_ID= fills in")
    found = find_summary(folder)
    print(f"figures   {found[0] if found else 'none: make visualise measures the reward'}")
    write_text(path, model_card(policy, folder, found))
    print(f"written to {path}")
    return [[HF, "upload", name_on_hub(policy.config.repo_id, name), str(folder)]]


def write_dataset_card(repo_id: str, root: str | None) -> list[list[str]]:
    """Write a dataset's card. Returns the commands that upload it."""
    meta = load_meta(repo_id, root)
    folder = Path(meta.root)
    path = own_readme(folder, folder / "meta" / "info.json")
    print(f"dataset   {repo_id} at {folder}: {meta.total_episodes} episodes")
    hub, kind = name_on_hub(repo_id, folder.name), "--repo-type=dataset"
    write_text(path, dataset_card(meta, hub))
    print(f"written to {path}")
    # LeRobot loads a dataset by the tag of its format.
    return [
        [HF, "upload", hub, str(folder), kind],
        [HF, "repos", "tag", "create", hub, CODEBASE_VERSION, kind],
    ]


def parse_args() -> argparse.Namespace:
    # fmt: off
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy-path", metavar="PATH",
        help="run, checkpoint or pretrained_model folder (default without --dataset: newest run)")
    parser.add_argument("--hub-id", metavar="ID",
        help="the policy's repo id on the Hub (default: policy.repo_id of its training)")
    parser.add_argument("--dataset", metavar="ID",
        help="repo id of a dataset to write a card for")
    parser.add_argument("--root", metavar="DIR",
        help="its folder, if it is not in LeRobot's cache")
    # fmt: on
    args = parser.parse_args()
    if args.root and not args.dataset:
        raise UserError("--root is the folder of a dataset: name it too, with --dataset.")
    if args.hub_id and args.dataset and not args.policy_path:
        raise UserError("--hub-id is the name of a policy: give --policy-path.")
    return args


def main() -> None:
    args = parse_args()
    uploads = []
    if args.policy_path or not args.dataset:
        uploads += write_model_card(args.policy_path, args.hub_id)
    if args.dataset:
        uploads += write_dataset_card(args.dataset, args.root)
    print("Next, read what is written, and upload it:")
    for command in uploads:
        print(f"    {shlex.join(command)}")


if __name__ == "__main__":
    run_cli(main)
