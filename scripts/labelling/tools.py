"""Label files without the page: merge them, propose labels from the gripper.

    from labelling.tools import merge_labels, suggest_gripper

    merge_labels([Path("a.json"), Path("b.json")], [40, None])  # episodes numbered as lerobot-edit-dataset does
    suggest_gripper(root, fps=10)                             # {0: entry or None, ...}

The format is defined by rewact.keypoints, which training uses too.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from shared.cli import UserError
from shared.columns import read_column

from rewact.keypoints import REWARD_LABELS_PATH, RewardLabelError, read_label_file

GRASP, RELEASE = 0.5, 1.0  # the rewards at the first and at the last switch of the gripper


def read_entries(path: Path) -> tuple[dict[int, Any], str | None]:
    """The entries of a label file by episode index, and its repo_id; a UserError if it cannot be read."""
    try:
        return read_label_file(path)
    except RewardLabelError as error:
        raise UserError(str(error)) from error


def episodes_of(path: Path) -> int | None:
    """The number of episodes in the dataset that contains a label file; None for a file elsewhere."""
    info = path.resolve().parents[1] / "meta" / "info.json"
    if path.resolve() != info.parents[1] / REWARD_LABELS_PATH or not info.is_file():
        return None
    return json.loads(info.read_text(encoding="utf-8"))["total_episodes"]


def merge_labels(paths: Sequence[Path], counts: Sequence[int | None]) -> dict[str, Any]:
    """The labels of datasets that were merged with `lerobot-edit-dataset --operation.type=merge`.

    LeRobot numbers the episodes of each dataset after those of the datasets before it.

    Args:
        paths: the label files, in the order of the merge.
        counts: the number of episodes in each dataset, labelled or not. None reads it from the dataset that
            contains the file; the last dataset's is not needed.
    Returns:
        The unchanged entries of all files, by their new episode index.
    """
    merged: dict[str, Any] = {}
    fps: dict[float, Path] = {}
    start = 0
    for i, (path, count) in enumerate(zip(paths, counts, strict=True)):
        entries, _ = read_entries(path)
        count = episodes_of(path) if count is None else count
        if count is None and i < len(paths) - 1:
            raise UserError(
                f"{path}: how many episodes its dataset has is not known here, and the next dataset's episodes are "
                "numbered after them: give the numbers in order, such as --counts 40,8."
            )
        if count is not None and (beyond := [index for index in entries if index >= count]):
            raise UserError(
                f"{path}: episode {beyond[0]} does not exist: its dataset has {count} episodes, 0 to {count - 1}."
            )
        for index, entry in sorted(entries.items()):
            merged[str(start + index)] = entry
            if isinstance(entry, dict) and "fps" in entry:
                fps.setdefault(entry["fps"], path)
        start += count or 0
    if len(fps) > 1:
        (one, at_one), (other, at_other) = list(fps.items())[:2]
        raise UserError(
            f"{at_one} is at {one} fps and {at_other} at {other}: such datasets cannot be merged."
        )
    return merged


def gripper_switches(values: Sequence[np.ndarray]) -> list[list[int]]:
    """The frames at which a gripper opens or closes.

    Open and closed are the 1st and the 99th percentile over all episodes. A switch is the first frame past the
    middle, and counts once the gripper reaches the outer third of that side: trembling around the middle is no
    switch. Nor is the way to the first side from a start between the thirds.

    Args:
        values: position of the gripper, (T,) for each episode.
    Returns:
        The frames of the switches in each episode, in order.
    """
    low, high = np.percentile(np.concatenate(list(values)), [1, 99])
    if high <= low:
        return [[] for _ in values]
    switches = []
    for episode in values:
        position = (np.asarray(episode, dtype=float) - low) / (high - low)
        at, since, frames = None, None, []
        for frame, p in enumerate(position):
            side = bool(p > 0.5)
            if side == at:
                since = None
                continue
            since = frame if since is None else since
            if p > 2 / 3 if side else p < 1 / 3:
                if at is not None:
                    frames.append(since)
                at, since = side, None
        switches.append(frames)
    return switches


def suggest_gripper(
    root: Path, fps: float, key: str = "action", dim: int = -1
) -> dict[int, dict[str, Any] | None]:
    """Propose keypoints: the first switch of the gripper is the grasp, the last one the release.

    Args:
        root: folder of the dataset.
        fps: its frames per second.
        key: the feature that holds the gripper's position.
        dim: its index in that feature.
    Returns:
        By episode index an entry of a label file; None where the gripper switches fewer than two times, so that a
        person has to look.
    """
    columns = read_column(root, key)
    try:
        values = [column.reshape(len(column), -1)[:, dim] for column in columns.values()]
    except IndexError as error:
        raise UserError(f"'{key}' has no dimension {dim}.") from error
    suggested: dict[int, dict[str, Any] | None] = {}
    for episode, frames in zip(columns, gripper_switches(values), strict=True):
        points = [(frames[0], GRASP), (frames[-1], RELEASE)] if len(frames) > 1 else []
        keypoints = [
            {"frame_index": frame, "timestamp": frame / fps, "reward": reward} for frame, reward in points
        ]
        suggested[episode] = {"keypoints": keypoints, "fps": fps} if keypoints else None
    return suggested
