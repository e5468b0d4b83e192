"""What the page shows of a dataset: the video files of its cameras, and single frames as images.

    cameras = Cameras(meta)
    cameras.video(episode, camera)       # (file, seconds at which the episode begins in it)
    cameras.image(episode, camera, 10)   # (bytes, media type): image datasets, and videos the browser cannot play
    cameras.preview(episode)             # the same, small, of the last frame

Requests name an episode and the number of a camera, never a file.
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

# Image formats that every browser shows, by their first bytes.
IMAGE_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}

PREVIEW_SIZE = (112, 84)  # the most pixels, twice as many as the page shows for dense screens


class NotThereError(Exception):
    """The dataset has no such camera, episode or frame, or its file is missing."""


class Cameras:
    """The cameras of one dataset."""

    def __init__(self, meta: LeRobotDatasetMetadata):
        self.meta, self.root = meta, Path(meta.root)
        self.keys = list(meta.camera_keys)
        self._episode_images = lru_cache(maxsize=4)(self._read_images)
        self.preview = lru_cache(maxsize=2000)(self._preview)

    def describe(self) -> list[dict[str, Any]]:
        """Name, size, codec and kind of every camera."""
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
                    # depth maps are 12-bit grey video, which no browser plays
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
            raise NotThereError(f"camera {key} has images, no video.")
        path = Path(os.path.normpath(self.root / self.meta.get_video_file_path(episode, key)))
        # The path template comes from the dataset, so it could hold "..". Symbolic links are allowed: the Hub's cache
        # consists of them.
        if not path.is_relative_to(os.path.normpath(self.root)):
            raise NotThereError(f"the video of camera {key} lies outside the dataset.")
        return path, float(self.meta.episodes[episode][f"videos/{key}/from_timestamp"])

    def needed(self) -> list[Path]:
        """All files that hold the cameras' frames, each once."""
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
        """By camera and episode: the first episode in the same video file, and the second at which this one begins.

        The page requests a file by its first episode, so it can move to the next episode without loading it again.
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

    def image(self, episode: int, camera: int, frame: int) -> tuple[bytes, str]:
        """A frame as (bytes, media type)."""
        key = self._key(episode, camera)
        if frame not in range(int(self.meta.episodes[episode]["length"])):
            raise NotThereError("no such frame.")
        if key not in self.meta.video_keys:
            return for_browser(self._episode_images(episode, key)[frame])
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

    def _preview(self, episode: int) -> tuple[bytes, str]:
        """The first camera's last frame, small, as (bytes, media type): it shows how an episode ended."""
        key = self._key(episode, 0)
        frame = int(self.meta.episodes[episode]["length"]) - 1
        if key in self.meta.video_keys:
            data, _ = self.image(episode, 0, frame)
        else:  # without reading the whole episode
            data, _ = for_browser(self._read_images(episode, key, frame)[0])
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        picture.thumbnail(PREVIEW_SIZE)
        return encode(np.asarray(picture))

    def _read_images(self, episode: int, key: str, frame: int | None = None) -> list[bytes]:
        """The encoded images of one episode of an image dataset, or of one frame."""
        path = self.root / self.meta.get_data_file_path(episode)
        if not path.is_file():
            raise NotThereError(f"{path} is missing.")
        only = [("episode_index", "==", episode)]
        if frame is not None:
            only.append(("frame_index", "==", frame))
        table = pq.read_table(path, columns=["frame_index", key], filters=only).sort_by("frame_index")
        images = [image["bytes"] for image in table.column(key).to_pylist()]
        if None in images or not images:
            raise NotThereError(f"the images of camera {key} are not in {path}.")
        return images


def for_browser(data: bytes) -> tuple[bytes, str]:
    """An encoded image in a format that browsers show, and its media type."""
    for start, media_type in IMAGE_TYPES.items():
        if data.startswith(start):
            return data, media_type
    return encode(np.asarray(Image.open(io.BytesIO(data))))


def encode(pixels: np.ndarray) -> tuple[bytes, str]:
    """(H, W) or (H, W, C) as a JPEG. A depth map has more than 8 bits and is scaled to its largest value."""
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.dtype != np.uint8:
        pixels = (pixels * (255 / max(float(pixels.max()), 1e-6))).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92)
    return out.getvalue(), "image/jpeg"
