"""The file of scores: the parquet that LeRobot's RA-BC reads.

Its columns are index, episode_index, frame_index and progress_sparse. Its metadata says what made it.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shared.cli import UserError, format_episodes

from lerobot.datasets import LeRobotDatasetMetadata

SOURCE = b"rewact"  # the key in the file's metadata under which it says what made it


def read_source(path: Path) -> dict[str, Any] | None:
    """What made a file of scores; None if it was not score_dataset.py."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is there and is no parquet file: give another --output.") from error
    return json.loads(metadata[SOURCE]) if SOURCE in metadata else None


def check_output(path: Path, episodes: list[int], is_cross_fit: bool) -> None:
    """Refuse to overwrite what cannot be made again by the same command, before any work is done.

    Args:
        path: the file.
        episodes: to be scored.
        is_cross_fit: whether by models that have not seen what they score.
    """
    if path.is_dir():
        raise UserError(f"--output {path} is a folder: name a file.")
    if not path.is_file():
        return
    source = read_source(path)
    another = "name another file (OUTPUT=), or remove it."
    if source is None:
        raise UserError(f"{path} has the scores of another reward model: {another}")
    if lost := sorted(set(read_scores(path)) - set(episodes)):
        raise UserError(
            f"{path} also has scores of episodes {format_episodes(lost)}, which would be lost: {another}"
        )
    if "cross_fit" in source and not is_cross_fit:
        raise UserError(
            f"{path} has scores by models that have not seen what they score (CROSS_FIT=), which these are not: {another}"
        )


def write_scores(
    path: Path, meta: LeRobotDatasetMetadata, scores: dict[int, np.ndarray], source: dict[str, Any]
) -> None:
    """Write the file, whole or not at all.

    Args:
        path: the file.
        meta: the dataset.
        scores: (T,) rewards of each episode.
        source: what made them.
    """
    episodes = sorted(scores)
    if bad := [episode for episode in episodes if not np.isfinite(scores[episode]).all()]:
        raise UserError(
            f"the reward is not a number in episodes {format_episodes(bad)}. Nothing was written."
        )
    starts = [int(meta.episodes["dataset_from_index"][episode]) for episode in episodes]
    frames = [np.arange(len(scores[episode])) for episode in episodes]
    columns = {
        "index": np.concatenate([start + frame for start, frame in zip(starts, frames, strict=True)]),
        "episode_index": np.repeat(episodes, [len(frame) for frame in frames]),
        "frame_index": np.concatenate(frames),
    }
    table = pa.table(
        {name: column.astype(np.int64) for name, column in columns.items()}
        | {"progress_sparse": np.concatenate([scores[episode] for episode in episodes]).astype(np.float32)}
    )
    table = table.replace_schema_metadata({SOURCE: json.dumps(source).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_scores(path: Path) -> dict[int, np.ndarray]:
    """The (T,) rewards of each episode in a file."""
    table = pq.read_table(path)
    episode = table["episode_index"].to_numpy()
    reward = table["progress_sparse"].to_numpy()
    return {int(index): reward[episode == index] for index in np.unique(episode)}
