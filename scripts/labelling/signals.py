"""The curves below the timeline: state and action of an episode, and which of them is the gripper.

signals = Signals(meta, gripper=("action", -1))
signals.describe()    # {"names": ["observation.state: shoulder", ..., "action: gripper"], "gripper": 11}
signals.of(3)         # by that order {"low", "high", "values": 0 to 1000 or null, by frame}
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from labelling.frames import NotThereError
from lerobot.datasets import LeRobotDatasetMetadata
from lerobot.utils.constants import ACTION, OBS_STATE

STEPS = 1000  # values are integers from 0 to this: a third of the bytes, and finer than the curve is high


class Signals:
    """State, action and gripper of one dataset."""

    def __init__(self, meta: LeRobotDatasetMetadata, gripper: tuple[str, int]):
        self.meta, self.gripper = meta, gripper
        self.keys = [key for key in dict.fromkeys((OBS_STATE, ACTION, gripper[0])) if key in meta.features]
        self.of = lru_cache(maxsize=8)(self._read)

    def describe(self) -> dict[str, Any]:
        """The names of all curves in order, and the place of the gripper's, None without one."""
        names: list[str] = []
        at = None
        for key in self.keys:
            dims = list(dimensions(self.meta.features[key]))
            if key == self.gripper[0] and -len(dims) <= self.gripper[1] < len(dims):
                at = len(names) + self.gripper[1] % len(dims)
            names += [f"{key.removeprefix('observation.')}: {name}" for name in dims]
        return {"names": names, "gripper": at}

    def _read(self, episode: int) -> list[dict[str, Any]]:
        if episode not in range(self.meta.total_episodes):
            raise NotThereError("no such episode.")
        path = Path(self.meta.root) / self.meta.get_data_file_path(episode)
        if not path.is_file():
            raise NotThereError(f"{path} is missing.")
        table = pq.read_table(
            path, columns=["frame_index", *self.keys], filters=[("episode_index", "==", episode)]
        ).sort_by("frame_index")
        curves = []
        for key in self.keys:
            values = np.array(table.column(key).to_pylist(), dtype=float).reshape(len(table), -1)
            low, high = self._range(key, values)
            curves += [scaled(values[:, i], float(low[i]), float(high[i])) for i in range(values.shape[1])]
        return curves

    def _range(self, key: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(D,) lowest and highest value in the dataset, so that episodes can be compared, or else in the episode."""
        stats = (self.meta.stats or {}).get(key, {})
        bounds = [np.asarray(stats.get(name, []), dtype=float).reshape(-1) for name in ("min", "max")]
        if any(len(bound) != values.shape[1] or not np.isfinite(bound).all() for bound in bounds):
            bounds = [np.nan_to_num(np.nanmin(values, axis=0)), np.nan_to_num(np.nanmax(values, axis=0))]
        return bounds[0], bounds[1]


def dimensions(feature: dict[str, Any]) -> Iterator[str]:
    """The names of a feature's dimensions; their numbers where it has no names."""
    size = int(np.prod(feature["shape"]))
    names = feature.get("names") or []
    if isinstance(names, dict):  # {"motors": [...]}, or {name: index}
        lists = [value for value in names.values() if isinstance(value, list)]
        names = lists[0] if lists else list(names)
    yield from (str(name) for name in (names if len(names) == size else range(size)))


def scaled(values: np.ndarray, low: float, high: float) -> dict[str, Any]:
    """A curve as integers from 0 at `low` to STEPS at `high`; null where the value is not finite."""
    part = (values - low) / ((high - low) or 1.0) * STEPS
    steps = [round(float(p)) if np.isfinite(p) else None for p in part.clip(0, STEPS)]
    return {"low": low, "high": high, "values": steps}
