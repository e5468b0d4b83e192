"""Recorded episodes in memory, and as a policy's input.

from benchmarking.recordings import read_episodes

for frames in read_episodes(root, [3, 7]):
    frames.images, frames.state, frames.action
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.utils.constants import OBS_STATE


@dataclass
class Frames:
    """The frames of one episode."""

    images: Tensor  # (T, C, H, W) uint8
    state: Tensor  # (T, S)
    action: Tensor  # (T, A)


def read_episodes(root: Path, episodes: Sequence[int] | None = None) -> Iterator[Frames]:
    """Read episodes of a dataset with one camera; each video is decoded once from start to end."""
    dataset = LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav", return_uint8=True)
    (camera,) = dataset.meta.camera_keys
    columns = dataset.hf_dataset.with_format("numpy")
    state, action = (torch.from_numpy(np.stack(columns[key])).float() for key in (OBS_STATE, "action"))
    videos: dict[Path, tuple[np.ndarray, np.ndarray]] = {}
    for index in range(dataset.meta.total_episodes) if episodes is None else episodes:
        episode = dataset.meta.episodes[index]
        file = root / dataset.meta.get_video_file_path(index, camera)
        if file not in videos:
            with av.open(str(file)) as container:
                decoded = [
                    (frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)
                ]
            videos = {file: (np.stack([image for image, _ in decoded]), np.array([t for _, t in decoded]))}
        images, times = videos[file]
        start = int(np.abs(times - episode[f"videos/{camera}/from_timestamp"]).argmin())
        rows = slice(episode["dataset_from_index"], episode["dataset_to_index"])
        yield Frames(
            images=torch.from_numpy(images[start : start + episode["length"]]).permute(0, 3, 1, 2),
            state=state[rows],
            action=action[rows],
        )


def inputs_of(policy: torch.nn.Module, images: Tensor, state: Tensor) -> dict[str, Tensor]:
    """(B, C, H, W) uint8 images and (B, S) states under the names by which the policy knows them."""
    (camera,) = policy.config.image_features
    return {camera: images, OBS_STATE: state}
