"""How the episodes of a dataset ended, as far as somebody or something said so.

from shared.outcomes import known_outcomes

known_outcomes(meta)      # {0: True, 3: False}; episodes of which nothing is known are not in it
"""

from collections.abc import Mapping
from pathlib import Path

from lerobot.datasets import LeRobotDatasetMetadata
from rewact.keypoints import EpisodeLabel, RewardLabelError, load_labels
from rewact.labels import find_label_file
from rewact.sources import failures_of
from shared.cli import UserError
from shared.columns import read_column
from shared.episodes import episode_lengths

SUCCESS_FEATURE = "next.success"


def known_outcomes(meta: LeRobotDatasetMetadata) -> dict[int, bool]:
    """Whether each episode was a success, from the label file inside the dataset, or else from `next.success`.

    What a policy proposed counts once a person has accepted it. Excluded episodes are left out.
    """
    file = find_label_file(meta)
    if file is None:
        failed = feature_failures(meta)
        return {} if failed is None else {i: i not in failed for i in range(meta.total_episodes)}
    try:
        labels = load_labels(file, episode_lengths(meta), meta.fps)
    except RewardLabelError as error:
        raise UserError(str(error)) from error
    return said_outcomes(labels)


def said_outcomes(labels: Mapping[int, EpisodeLabel]) -> dict[int, bool]:
    """Whether each episode was a success, as labels say it that a person has made or accepted."""
    said = {i: label for i, label in labels.items() if not (label.exclude or label.is_open)}
    return {i: not label.failed for i, label in said.items() if label.failed or label.outcome}


def feature_failures(meta: LeRobotDatasetMetadata) -> set[int] | None:
    """The failed episodes by a success in the last frame alone; None if the dataset does not say it like this.

    Where no episode has a success, the feature says nothing: many demonstrations were recorded with it and never set it.
    """
    if SUCCESS_FEATURE not in meta.features:
        return None
    columns = read_column(Path(meta.root), SUCCESS_FEATURE)
    failed = failures_of({index: values.astype(float).reshape(-1) for index, values in columns.items()})
    return None if failed is not None and len(failed) == len(columns) else failed
