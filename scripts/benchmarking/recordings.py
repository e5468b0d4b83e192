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

    images: dict[str, Tensor]  # of each camera (T, C, H, W) uint8
    state: Tensor  # (T, S)
    action: Tensor  # (T, A)

    def inputs(self, rows: Tensor | slice) -> dict[str, Tensor]:
        """Some frames as a policy's input, whose cameras have the dataset's names."""
        return {camera: images[rows] for camera, images in self.images.items()} | {
            OBS_STATE: self.state[rows]
        }

    def resting(self, n_frames: int) -> "Frames":
        """These frames, and `n_frames` more in which the robot stays as it is in the last one."""

        def stay(part: Tensor) -> Tensor:
            return torch.cat([part, part[-1:].expand(n_frames, *part.shape[1:])])

        images = {camera: stay(images) for camera, images in self.images.items()}
        return Frames(images=images, state=stay(self.state), action=stay(self.action))


def read_episodes(root: Path, episodes: Sequence[int] | None = None) -> Iterator[Frames]:
    """Read episodes of a dataset; each video is decoded once from start to end."""
    dataset = LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav", return_uint8=True)
    columns = dataset.hf_dataset.with_format("numpy")
    state, action = (torch.from_numpy(np.stack(columns[key])).float() for key in (OBS_STATE, "action"))
    videos: dict[str, Video] = {}  # the latest of each camera
    for index in range(dataset.meta.total_episodes) if episodes is None else episodes:
        episode = dataset.meta.episodes[index]
        images = {}
        for camera in dataset.meta.camera_keys:
            file = root / dataset.meta.get_video_file_path(index, camera)
            if camera not in videos or videos[camera].file != file:
                videos[camera] = Video(file)
            start = episode[f"videos/{camera}/from_timestamp"]
            images[camera] = videos[camera].images_from(start, episode["length"])
        rows = slice(episode["dataset_from_index"], episode["dataset_to_index"])
        yield Frames(images=images, state=state[rows], action=action[rows])


class Video:
    """A video file in memory.

    Args:
        file: its path.
    """

    def __init__(self, file: Path):
        self.file = file
        with av.open(str(file)) as container:
            decoded = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)]
        self.images = np.stack([image for image, _ in decoded])
        self.times = np.array([time for _, time in decoded])

    def images_from(self, start: float, length: int) -> Tensor:
        """(length, C, H, W) images from a time in seconds on."""
        first = int(np.abs(self.times - start).argmin())
        return torch.from_numpy(self.images[first : first + length]).permute(0, 3, 1, 2)
