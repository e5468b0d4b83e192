"""What the page shows of a data set: the video files of its cameras, and single frames as pictures.

    cameras = Cameras(meta)
    cameras.video(episode, camera)         # (file, seconds at which the episode begins in it)
    cameras.picture(episode, camera, 10)   # (bytes, media type): image data sets, and videos no browser plays

Everything is named by episode and by the number of the camera, so that no request can name a file.
"""

import io
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from lerobot.datasets import LeRobotDatasetMetadata
from lerobot.datasets.video_utils import decode_video_frames

# What browsers show as it is, by how the bytes begin.
PICTURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


class NotThereError(Exception):
    """The data set has no such camera, episode or frame, or its file is missing."""


class Cameras:
    """The cameras of one data set."""

    def __init__(self, meta: LeRobotDatasetMetadata):
        self.meta, self.root = meta, Path(meta.root)
        self.keys = list(meta.camera_keys)
        self._episode_pictures = lru_cache(maxsize=4)(self._read_pictures)

    def describe(self) -> list[dict[str, Any]]:
        """Name, size and kind of every camera."""
        described = []
        for key in self.keys:
            feature = self.meta.features[key]
            names = [str(name) for name in feature.get("names") or ["height", "width", "channels"]]
            shape = dict(zip(names, feature["shape"], strict=False))
            info = feature.get("info") or {}
            described.append(
                {
                    "name": key.removeprefix("observation.").removeprefix("images."),
                    "width": shape.get("width"),
                    "height": shape.get("height"),
                    "codec": info.get("video.codec"),
                    # a depth map is 12 bits of grey: no browser plays it
                    "video": key in self.meta.video_keys and key not in self.meta.depth_keys,
                }
            )
        return described

    def _key(self, episode: int, camera: int) -> str:
        if camera not in range(len(self.keys)) or episode not in range(self.meta.total_episodes):
            raise NotThereError("no such episode or camera.")
        return self.keys[camera]

    def video(self, episode: int, camera: int) -> tuple[Path, float]:
        """The video file of a camera, and where in it the episode begins, in seconds."""
        key = self._key(episode, camera)
        if key not in self.meta.video_keys:
            raise NotThereError(f"camera {key} has pictures, no video.")
        path = Path(os.path.normpath(self.root / self.meta.get_video_file_path(episode, key)))
        # The template is the data set's: one with .. in it would name any file. Links are followed: the Hub's cache
        # is made of them.
        if not path.is_relative_to(os.path.normpath(self.root)):
            raise NotThereError(f"the video of camera {key} lies outside the data set.")
        return path, float(self.meta.episodes[episode][f"videos/{key}/from_timestamp"])

    def needed(self) -> list[Path]:
        """All files that the cameras are shown from, each once."""
        found: dict[Path, None] = {}
        for episode in range(self.meta.total_episodes):
            for camera, key in enumerate(self.keys):
                in_table = key not in self.meta.video_keys
                path = (
                    self.root / self.meta.get_data_file_path(episode)
                    if in_table
                    else self.video(episode, camera)[0]
                )
                found[path] = None
        return list(found)

    def starts(self) -> list[list[tuple[int, float] | None]]:
        """By camera and episode: the first episode in the same video file, and where the episode begins in it.

        A file is asked for by its first episode, so that a browser goes on to the next one without loading it again.
        """
        columns = []
        for camera, key in enumerate(self.keys):
            first: dict[Path, int] = {}
            column: list[tuple[int, float] | None] = []
            for episode in range(self.meta.total_episodes):
                if key not in self.meta.video_keys:
                    column.append(None)
                    continue
                path, start = self.video(episode, camera)
                column.append((first.setdefault(path, episode), start))
            columns.append(column)
        return columns

    def picture(self, episode: int, camera: int, frame: int) -> tuple[bytes, str]:
        """A frame as (bytes, media type)."""
        key = self._key(episode, camera)
        if frame not in range(int(self.meta.episodes[episode]["length"])):
            raise NotThereError("no such frame.")
        if key not in self.meta.video_keys:
            return as_picture(self._episode_pictures(episode, key)[frame])
        path, start = self.video(episode, camera)
        if not path.is_file():
            raise NotThereError(f"{path} is missing.")
        depth = key in self.meta.depth_keys
        frames = decode_video_frames(
            path,
            [start + frame / self.meta.fps],
            0.5 / self.meta.fps,
            None,
            return_uint8=True,
            is_depth=depth,
        )
        return encode(frames[0].permute(1, 2, 0).numpy())

    def _read_pictures(self, episode: int, key: str) -> list[bytes]:
        """The pictures of an image data set's episode, as they lie in its table."""
        path = self.root / self.meta.get_data_file_path(episode)
        if not path.is_file():
            raise NotThereError(f"{path} is missing.")
        table = pq.read_table(
            path, columns=["frame_index", key], filters=[("episode_index", "==", episode)]
        ).sort_by("frame_index")
        pictures = [picture["bytes"] for picture in table.column(key).to_pylist()]
        if None in pictures:
            raise NotThereError(f"the pictures of camera {key} are not in {path}.")
        return pictures


def as_picture(data: bytes) -> tuple[bytes, str]:
    """A picture of any kind as one that a browser shows."""
    for start, media_type in PICTURES.items():
        if data.startswith(start):
            return data, media_type
    return encode(np.asarray(Image.open(io.BytesIO(data))))


def encode(pixels: np.ndarray) -> tuple[bytes, str]:
    """(H, W) or (H, W, C) as a JPEG; more than 8 bits, a depth map, scaled to what is in it."""
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.dtype != np.uint8:
        pixels = (pixels * (255 / max(float(pixels.max()), 1e-6))).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92)
    return out.getvalue(), "image/jpeg"
