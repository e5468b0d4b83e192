"""What labelling needs beside the page: files written safely, merged, and proposed from the gripper.

    from label_tools import merge_labels, save_labels, suggest_gripper

    save_labels(path, {"0": {"keypoints": [...]}})            # atomically; the version before stays as .bak
    merge_labels([Path("a.json"), Path("b.json")], [40, None])  # renumbered as lerobot-edit-dataset does
    suggest_gripper(root, fps=10)                             # {0: entry or None, ...}

What a label file means is LeRobot's business: lerobot.datasets.reward_keypoints, which training uses too.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from shared.cli import UserError

from lerobot.datasets.reward_keypoints import REWARD_LABELS_PATH, RewardLabelError, read_label_file

GRASP, RELEASE = 0.5, 1.0  # the rewards at the first and at the last switch of the gripper


def save_labels(path: Path, data: dict[str, Any]) -> None:
    """Write a label file in one go: a crash or a full disk leaves the old one, never half a file.

    Args:
        path: the file; its folder is made, and a version that is there already stays as `<name>.bak`.
        data: the episodes by their index as a string, plain or wrapped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    try:
        with open(new, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            backup = path.with_name(path.name + ".bak")
            backup.unlink(missing_ok=True)
            os.link(path, backup)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def read_entries(path: Path) -> tuple[dict[int, Any], str | None]:
    """The entries of a label file by episode index, and the repo_id that it names, or a UserError."""
    try:
        return read_label_file(path)
    except RewardLabelError as error:
        raise UserError(str(error)) from error


def episodes_of(path: Path) -> int | None:
    """The number of episodes of the data set that a label file lies in; None for one that lies elsewhere."""
    info = path.resolve().parents[1] / "meta" / "info.json"
    if path.resolve() != info.parents[1] / REWARD_LABELS_PATH or not info.is_file():
        return None
    return json.loads(info.read_text(encoding="utf-8"))["total_episodes"]


def merge_labels(paths: Sequence[Path], counts: Sequence[int | None]) -> dict[str, Any]:
    """The labels of data sets that were merged with `lerobot-edit-dataset --operation.type=merge`.

    It numbers the episodes of each data set on from those before, in the order in which they are named.

    Args:
        paths: the label files, in the order of the merge.
        counts: the number of episodes of the data set of each, labelled or not. None takes it from the data set
            that the file lies in; of the last one it need not be known.
    Returns:
        The entries of all, as they are in their files, by their new index.
    """
    merged: dict[str, Any] = {}
    start, fps = 0, {}
    for i, (path, count) in enumerate(zip(paths, counts, strict=True)):
        entries, _ = read_entries(path)
        count = episodes_of(path) if count is None else count
        if count is None and i < len(paths) - 1:
            raise UserError(
                f"{path}: how many episodes its data set has decides how those after it are numbered, and cannot be "
                "seen from here: name them in order, such as --counts 40,8."
            )
        if count is not None and (beyond := [index for index in entries if index >= count]):
            raise UserError(
                f"{path}: episode {beyond[0]} does not exist: its data set has {count} episodes, 0 to {count - 1}."
            )
        for index, entry in sorted(entries.items()):
            merged[str(start + index)] = entry
            if isinstance(entry, dict) and "fps" in entry:
                fps.setdefault(entry["fps"], path)
        start += count or 0
    if len(fps) > 1:
        (one, at_one), (other, at_other) = list(fps.items())[:2]
        raise UserError(
            f"{at_one} is at {one} fps and {at_other} at {other}: such data sets cannot be merged."
        )
    return merged


def read_column(root: Path, key: str) -> dict[int, np.ndarray]:
    """A feature of every episode: (T, ...) by episode index, read from the data set's own files."""
    parts: dict[int, list[tuple[int, Any]]] = {}
    files = sorted((root / "data").glob("*/*.parquet"))
    if not files:
        raise UserError(f"no data of a LeRobot data set in {root}/data.")
    for file in files:
        if key not in pq.read_schema(file).names:
            raise UserError(f"the data set in {root} has no feature '{key}'.")
        table = pq.read_table(file, columns=["episode_index", "frame_index", key])
        for episode, frame, value in zip(*(table.column(i).to_pylist() for i in range(3)), strict=True):
            parts.setdefault(episode, []).append((frame, value))
    return {
        episode: np.array([value for _, value in sorted(frames, key=lambda frame: frame[0])])
        for episode, frames in sorted(parts.items())
    }


def gripper_switches(values: Sequence[np.ndarray]) -> list[list[int]]:
    """The frames at which a gripper opens or closes.

    Open and closed are the ends of what all episodes show. A switch is the first frame beyond the middle, and it has
    to be followed by one in the outer third before there can be another: a hand that trembles in between is none.

    Args:
        values: (T,) position of the gripper in every episode.
    Returns:
        The frames of each episode, in order.
    """
    low, high = np.percentile(np.concatenate(list(values)), [1, 99])
    if high <= low:
        return [[] for _ in values]
    switches = []
    for episode in values:
        position = (np.asarray(episode, dtype=float) - low) / (high - low)
        closed, since, frames = bool(position[0] > 0.5), None, []
        for frame, p in enumerate(position):
            side = bool(p > 0.5)
            if side == closed:
                since = None
                continue
            since = frame if since is None else since
            if p > 2 / 3 if side else p < 1 / 3:
                frames.append(since)
                closed, since = side, None
        switches.append(frames)
    return switches


def suggest_gripper(
    root: Path, fps: float, key: str = "action", dim: int = -1
) -> dict[int, dict[str, Any] | None]:
    """Propose keypoints: the first switch of the gripper is the grasp, the last one the release.

    Args:
        root: folder of the data set.
        fps: its frames per second.
        key: the feature that the gripper is in.
        dim: its dimension there.
    Returns:
        By episode index an entry for a label file, as rewact writes it; None where the gripper switches less than
        twice, and somebody has to look.
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
