"""The frames of a dataset as a policy reads them: only its inputs, several frames at a time.

from shared.frames import match_inputs, open_dataset, read_frames, rows_of_episode

inputs = match_inputs(policy.config, preprocessor, meta)
dataset = open_dataset(meta, root, [3, 7], inputs)
rows = rows_of_episode(dataset, 7)
frames, task = read_frames(dataset, rows[0], 32, inputs)
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from lerobot.configs import FeatureType, PreTrainedConfig
from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.processor import RenameObservationsProcessorStep
from lerobot.utils.constants import ACTION
from lerobot.utils.feature_utils import dataset_to_policy_features
from rewact.finite import NotFiniteError, check_finite
from shared.cli import UserError

TOLERANCE_S = 1e-4  # LeRobot's default, between a frame's time stamp and its image's in the video


def match_inputs(config: PreTrainedConfig, preprocessor: Any, meta: LeRobotDatasetMetadata) -> dict[str, str]:
    """Find the dataset's feature for each of the policy's inputs; a UserError says which one does not fit.

    Returns:
        {dataset key: policy key}, cameras first.
    """
    # A policy may have been trained under names other than its dataset's: its pre-processor renames.
    renamed = {}
    for step in preprocessor.steps:
        if isinstance(step, RenameObservationsProcessorStep):
            renamed.update({new: old for old, new in step.rename_map.items()})
    available = dataset_to_policy_features(meta.features)
    wanted = {}
    for name, feature in config.input_features.items():
        wanted[renamed[name] if renamed.get(name) in available else name] = (name, feature)

    missing = [key for key in wanted if key not in available]
    if cameras := [key for key in missing if wanted[key][1].type is FeatureType.VISUAL]:
        raise UserError(
            f"cameras don't match: the policy needs {', '.join(cameras)}, "
            f"'{meta.repo_id}' has {', '.join(meta.camera_keys) or 'no cameras'}."
        )
    if missing:
        raise UserError(
            f"the policy needs {', '.join(missing)}, '{meta.repo_id}' has {', '.join(sorted(available))}."
        )
    for key, (_, feature) in wanted.items():
        got, expected = tuple(available[key].shape), tuple(feature.shape)
        if feature.type is FeatureType.VISUAL and got[0] == expected[0]:
            continue  # the policy resizes them
        if got != expected:
            raise UserError(
                f"{key} has shape {got} in '{meta.repo_id}', the policy was trained on {expected}."
            )
    return {
        key: name for key, (name, _) in sorted(wanted.items(), key=lambda w: w[0] not in meta.camera_keys)
    }


def open_dataset(
    meta: LeRobotDatasetMetadata,
    root: str | None,
    episodes: list[int],
    inputs: Iterable[str],
    tolerance_s: float = TOLERANCE_S,
) -> LeRobotDataset:
    """Open the chosen episodes as single frames without action chunks, decoding only the policy's cameras.

    A value that is not finite, in what the policy reads or in an action, is a UserError.
    """
    dataset = LeRobotDataset(
        meta.repo_id,
        root=root,
        episodes=sorted(episodes),
        revision=meta.revision,
        tolerance_s=tolerance_s,
        return_uint8=True,  # as in training, which divides by 255 afterwards
    )
    read = [key for key in (*inputs, ACTION) if key in meta.features]
    try:
        check_finite(dataset, dict.fromkeys(read))
    except NotFiniteError as error:
        raise UserError(str(error)) from error
    # A dataset decodes every camera that its metadata names, and has no option to leave one out.
    unused = [key for key in dataset.meta.camera_keys if key not in inputs]
    in_table = [key for key in unused if key in dataset.hf_dataset.column_names]
    if in_table:
        dataset.reader.hf_dataset = dataset.hf_dataset.remove_columns(in_table)
    for key in unused:
        del dataset.meta.features[key]
    return dataset


def rows_of_episode(dataset: LeRobotDataset, episode: int) -> list[int]:
    """The positions of the episode's frames, in order, in a dataset opened with a selection of episodes."""
    first = dataset.meta.episodes["dataset_from_index"][episode]
    last = dataset.meta.episodes["dataset_to_index"][episode]
    positions = dataset.absolute_to_relative_idx
    return [index if positions is None else positions[index] for index in range(first, last)]


def read_frames(
    dataset: LeRobotDataset, first: int, n: int, keys: Iterable[str]
) -> tuple[dict[str, torch.Tensor], str]:
    """Read `n` frames of an episode from position `first` on, and the task there.

    They are read as one item with a window of time, so that each video is opened once and not for every frame.

    Returns:
        {key: (n, ...)} for each of `keys`, equal to the items one by one.
    """
    reader, windows = dataset.reader, dataset.reader.delta_indices
    reader.delta_indices = {key: list(range(n)) for key in keys} if n > 1 else None
    try:
        item = dataset[first]
    finally:
        reader.delta_indices = windows
    return {key: item[key] if n > 1 else item[key][None] for key in keys}, item["task"]


def to_image(frame: torch.Tensor) -> np.ndarray:
    """(C, H, W) uint8 or float from the dataset as an (H, W, 3) uint8 image."""
    image = frame.permute(1, 2, 0).numpy()
    if image.dtype != np.uint8:
        scale = 255 if image.shape[2] == 3 else 255 / max(float(image.max()), 1e-6)  # else a depth map
        image = (image * scale).clip(0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(image if image.shape[2] == 3 else image[..., :1].repeat(3, axis=2))
