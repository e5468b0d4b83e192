"""A feature of a dataset without its videos."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from shared.cli import UserError


def read_column(root: Path, key: str) -> dict[int, np.ndarray]:
    """A feature of every episode, (T, ...) by episode index, read from the dataset's parquet files."""
    parts: dict[int, list[tuple[int, Any]]] = {}
    files = sorted((root / "data").glob("*/*.parquet"))
    if not files:
        raise UserError(f"no data of a LeRobot dataset in {root}/data.")
    for file in files:
        if key not in pq.read_schema(file).names:
            raise UserError(f"the dataset in {root} has no feature '{key}'.")
        table = pq.read_table(file, columns=["episode_index", "frame_index", key])
        for episode, frame, value in zip(*(table.column(i).to_pylist() for i in range(3)), strict=True):
            parts.setdefault(episode, []).append((frame, value))
    return {
        episode: np.array([value for _, value in sorted(frames, key=lambda frame: frame[0])])
        for episode, frames in sorted(parts.items())
    }
