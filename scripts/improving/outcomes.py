"""How recorded rollouts ended, as a person has said, and which of them are held out.

outcomes = read_outcomes(load_meta("local/rollout_cups", root), RewardLabelConfig())
train, held_out = split(outcomes)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.cli import UserError, format_episodes
from shared.episodes import episode_lengths
from shared.outcomes import feature_failures

from lerobot.datasets import LeRobotDatasetMetadata
from rewact.keypoints import EpisodeLabel, RewardLabelError, load_labels, read_label_file
from rewact.label_config import RewardLabelConfig
from rewact.labels import find_label_file
from rewact.proposals import settle_proposals

HELD_OUT_EVERY = 3
KINDS = {"reward": "stopped as done", "failure": "stopped as failed", None: "not stopped"}


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended.

    Attributes:
        success: whether the task was done.
        stopped_by: what ended the recording: "reward", "failure", or None for time, the operator or an unknown end.
        entry: of a label file.
    """

    success: bool
    stopped_by: str | None
    entry: dict[str, Any]

    @property
    def foreseen(self) -> bool | None:
        """Whether the policy that played was right about it, None if it did not end the recording."""
        return None if self.stopped_by is None else (self.stopped_by == "reward") == self.success

    @property
    def kind(self) -> str:
        """What the policy that played made of it, in words."""
        return KINDS[self.stopped_by]


def read_outcomes(meta: LeRobotDatasetMetadata, settings: RewardLabelConfig) -> dict[int, Outcome]:
    """The outcome of every rollout that is not left out, by episode index.

    It comes from the label file, or else from a `next.success` that is true in the last frame alone.

    Args:
        meta: of the recording.
        settings: what to do with labels that a policy proposed and nobody accepted, as in training.
    """
    file = find_label_file(meta)
    if file is not None:
        return outcomes_of_labels(file, meta, settings)
    if (failed := feature_failures(meta)) is not None:
        return outcomes_of_feature(meta, failed)
    raise UserError(
        f"nothing says how the episodes of {meta.repo_id} ended: set it with make label DATASET={meta.repo_id} "
        f"ROOT={meta.root}"
    )


def outcomes_of_labels(
    file: Path, meta: LeRobotDatasetMetadata, settings: RewardLabelConfig
) -> dict[int, Outcome]:
    every = range(meta.total_episodes)
    try:
        labels = load_labels(file, episode_lengths(meta), meta.fps)
        labels, _ = settle_proposals(labels, every, settings, meta.repo_id)
        entries, _ = read_label_file(file)
    except RewardLabelError as error:
        raise UserError(str(error)) from error
    outcomes = {}
    for index in every:
        label = labels.get(index, EpisodeLabel())
        done = label.outcome == "success" or (bool(label.keypoints) and label.keypoints[-1].reward == 1)
        if (label.failed or done) and not label.exclude:
            stopped_by = label.proposed.stopped_by if label.proposed else None
            outcomes[index] = Outcome(not label.failed, stopped_by, entries[index])
    unknown = [i for i in every if i not in outcomes and not labels.get(i, EpisodeLabel()).exclude]
    if unknown:
        raise UserError(
            f"nobody has said how episodes {format_episodes(unknown)} of {meta.repo_id} ended: set it, or exclude them, "
            f"with make label DATASET={meta.repo_id} ROOT={meta.root}"
        )
    return outcomes


def outcomes_of_feature(meta: LeRobotDatasetMetadata, failed: set[int]) -> dict[int, Outcome]:
    failure = Outcome(False, None, {"outcome": "failure"})
    success = Outcome(True, None, {"outcome": "success"})
    return {index: failure if index in failed else success for index in range(meta.total_episodes)}


def split(outcomes: Mapping[int, Outcome]) -> tuple[list[int], list[int]]:
    """The rollouts to train on and those to measure with: of each kind every third is held out."""
    held_out: list[int] = []
    for success in (True, False):
        of_kind = [index for index, outcome in outcomes.items() if outcome.success == success]
        held_out += sorted(of_kind, key=lambda i: (outcomes[i].kind, i))[1::HELD_OUT_EVERY]
    if not held_out:
        raise UserError(f"too few rollouts ({len(outcomes)}): it takes two successes, or two failures.")
    return [index for index in sorted(outcomes) if index not in held_out], sorted(held_out)
