"""What a dataset was merged from, so that a policy trained on it knows the episodes of those datasets again."""

import json
from collections.abc import Sequence
from pathlib import Path

from lerobot.datasets import LeRobotDatasetMetadata

MERGED_FROM = Path("rewact_extensions/merged_from.json")


def save_merged_from(root: Path, parts: Sequence[LeRobotDatasetMetadata]) -> None:
    """Write into the dataset at `root` which datasets it was merged from, in their order."""
    file = root / MERGED_FROM
    file.parent.mkdir(parents=True, exist_ok=True)
    named = [
        {"repo_id": part.repo_id, "root": str(Path(part.root).resolve()), "episodes": part.total_episodes}
        for part in parts
    ]
    file.write_text(json.dumps(named, indent=1) + "\n")


def first_episode(root: Path, meta: LeRobotDatasetMetadata) -> int | None:
    """The index that the first episode of a dataset has in the merged one at `root`; None if it is not in it.

    A dataset is in it by its folder, or by its name and number of episodes.
    """
    file = root / MERGED_FROM
    first = 0
    for part in json.loads(file.read_text()) if file.is_file() else []:
        same_folder = part["root"] == str(Path(meta.root).resolve())
        if same_folder or (part["repo_id"], part["episodes"]) == (meta.repo_id, meta.total_episodes):
            return first
        first += part["episodes"]
    return None
