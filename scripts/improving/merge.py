"""Demonstrations and rollouts as one dataset, with LeRobot's own tools, and the labels of both."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.cli import UserError
from shared.encoders import quiet_encoders
from shared.merged import save_merged_from
from shared.scheduling import keep_scheduling

from lerobot.configs.video import encoder_config_from_video_info
from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.datasets.dataset_tools import merge_datasets, reencode_dataset, remove_feature
from rewact.keypoints import REWARD_LABELS_PATH, save_label_file

REPO_ID = "local/improved"
COPY = "local/rollouts"


def merge(demonstrations: LeRobotDatasetMetadata, rollouts: LeRobotDatasetMetadata, folder: Path) -> Path:
    """Merge two datasets in `folder`. The rollouts' episodes come after the demonstrations'.

    Of the rollouts, features that they alone have, such as the predicted reward, are left out, and videos of another
    codec are encoded anew. The two datasets themselves are only read.

    Returns:
        The root of the merged dataset.
    """
    if Path(demonstrations.root).resolve() == Path(rollouts.root).resolve():
        raise UserError(f"{rollouts.root} is both the demonstrations and the rollouts.")
    if missing := sorted(demonstrations.features.keys() - rollouts.features.keys()):
        raise UserError(f"{rollouts.repo_id} lacks {', '.join(missing)}, which {demonstrations.repo_id} has.")
    merged, copy = folder / "dataset", folder / "rollouts"
    quiet_encoders()
    try:
        demos = LeRobotDataset(demonstrations.repo_id, root=demonstrations.root)
        alike = make_alike(demonstrations, LeRobotDataset(rollouts.repo_id, root=rollouts.root), copy)
        # Video files of encoders with other settings cannot be put into one.
        merge_datasets([demos, alike], REPO_ID, merged, concatenate_videos=False)
    except Exception as error:  # LeRobot's tools and the video library raise many unrelated types
        shutil.rmtree(folder, ignore_errors=True)
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{demonstrations.repo_id} and {rollouts.repo_id} cannot be joined: {reason[:300]}"
        ) from error
    shutil.rmtree(copy, ignore_errors=True)
    save_merged_from(merged, [demonstrations, rollouts])
    return merged


def make_alike(
    demonstrations: LeRobotDatasetMetadata, rollouts: LeRobotDataset, copy: Path
) -> LeRobotDataset:
    """The rollouts with the features and the codec of the demonstrations: a copy, unless they are alike."""
    if extra := sorted(rollouts.features.keys() - demonstrations.features.keys()):
        rollouts = remove_feature(rollouts, extra, copy, COPY)
    wanted, given = demonstrations.features, rollouts.features
    colour = [key for key in demonstrations.video_keys if key not in demonstrations.depth_keys]
    other = [key for key in colour if codec(wanted[key]) != codec(given[key])]
    if other:
        if not extra:
            shutil.copytree(rollouts.root, copy)
            rollouts = LeRobotDataset(COPY, root=copy)
        with keep_scheduling():
            reencode_dataset(rollouts, encoder_config_from_video_info(wanted[other[0]]["info"]))
    return rollouts


def codec(feature: dict[str, Any]) -> tuple[Any, Any]:
    """What must agree for LeRobot to merge videos."""
    info = feature.get("info") or {}
    return info.get("video.codec"), info.get("video.pix_fmt")


def save_labels(
    root: Path, demonstrations: Mapping[int, Any], rollouts: Mapping[int, Any], n_demonstrations: int
) -> None:
    """Write the labels of a merged dataset into it: entries of a label file by the index in their own dataset."""
    entries = {str(index): entry for index, entry in sorted(demonstrations.items())}
    entries |= {str(n_demonstrations + index): entry for index, entry in sorted(rollouts.items())}
    save_label_file(root / REWARD_LABELS_PATH, entries)


def shifted(episodes: Sequence[int], n_demonstrations: int) -> list[int]:
    """The indices of rollouts in the merged dataset."""
    return [n_demonstrations + index for index in episodes]
