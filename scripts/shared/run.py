"""A training run, and the episodes of a dataset to look at with its policy.

from shared.run import find_run, open_run

run = find_run("outputs/train/banana")       # prints which policy and which dataset it has found
opened = open_run(run)                       # loaded, with the held-out episodes
for episode in opened.choice.episodes:
    opened.label(episode)                    # (T,)
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lerobot.configs.default import DatasetConfig
from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
from rewact.keypoints import EpisodeLabel, load_labels
from rewact.labels import ProgressLabels, find_label_file, make_reward_labels
from shared.checkpoint import RUNS, checkpoint_step, find_policy, read_train_config
from shared.cli import UserError, format_episodes, parse_episodes, warn
from shared.episodes import Choice, choose_episodes, episode_lengths, load_meta
from shared.outcomes import known_outcomes, said_outcomes
from shared.predict import Loaded, load_with_dataset

# The fields of `dataset` in a train_config.json that say how the labels of the training run were made.
LABEL_SETTINGS = (
    "reward_start_pct",
    "reward_end_pct",
    "reward_interpolation",
    "reward_source",
    "reward_labels",
)


def add_run_arguments(
    parser: ArgumentParser, episodes: str, dataset: str = "dataset to look at (default: the one trained on)"
) -> None:
    """The arguments of every command that looks at a dataset with a trained policy.

    Args:
        parser: gets --policy-path, --dataset-repo-id, --dataset-root, --episodes and --device.
        episodes: the help text of --episodes.
        dataset: the help text of --dataset-repo-id.
    """
    # fmt: off
    parser.add_argument("--policy-path", metavar="PATH",
        help="run, checkpoint, pretrained_model folder or Hub id (default: newest run)")
    parser.add_argument("--dataset-repo-id", metavar="ID",
        help=dataset)
    parser.add_argument("--dataset-root", metavar="DIR",
        help="its folder, if it is neither on the Hub nor in LeRobot's cache")
    parser.add_argument("--episodes", metavar="RANGE",
        help=episodes)
    parser.add_argument("--device",
        help="cpu, cuda, cuda:1, mps, … (default: an accelerator if there is one)")
    # fmt: on


@dataclass
class Run:
    """A trained policy, and the dataset to look at with it; neither is loaded yet.

    Attributes:
        folder: holds the policy's config.json.
        name: of the training run.
        step: of the checkpoint, None where the folder does not say.
        train_config: the checkpoint's train_config.json, None where it has none.
        meta: the dataset's metadata.
        root: the dataset's folder as given or as in the training run, None for LeRobot's own.
    """

    folder: Path
    name: str
    step: int | None
    train_config: dict[str, Any] | None
    meta: LeRobotDatasetMetadata
    root: str | None

    @property
    def trained_dataset(self) -> dict[str, Any]:
        """The `dataset` part of the train_config.json; empty where there is none."""
        return (self.train_config or {}).get("dataset") or {}


def find_run(
    policy_path: str | None = None, dataset_repo_id: str | None = None, dataset_root: str | None = None
) -> Run:
    """Find a policy and a dataset, and print which they are.

    Args:
        policy_path: as in `find_policy`.
        dataset_repo_id: None for the dataset that the policy was trained on.
        dataset_root: its folder; None for where it was in training, for LeRobot's cache or the Hub.
    """
    folder, name = find_policy(policy_path)
    newest = f" (the newest run in {RUNS})" if policy_path is None else ""
    step = checkpoint_step(folder)
    print(f"policy    {folder}{'' if step is None else f', step {step}'}{newest}")
    train_config = read_train_config(folder)
    trained = (train_config or {}).get("dataset") or {}

    # What is not said about the dataset comes from the training run, as long as it is the same dataset.
    repo_id, root, revision = dataset_repo_id, dataset_root, None
    if repo_id is None and not trained:
        raise UserError(f"{folder} has no train_config.json that names a dataset: give --dataset-repo-id.")
    repo_id = repo_id or trained["repo_id"]
    if root is None and repo_id == trained.get("repo_id"):
        root, revision = trained.get("root"), trained.get("revision")
    meta = load_meta(repo_id, root, revision)
    print(f"dataset   {repo_id} at {meta.root}: {meta.total_episodes} episodes, {meta.fps} fps")
    return Run(folder, name, step, train_config, meta, root)


@dataclass
class Opened:
    """A run's policy, loaded with the episodes to look at.

    Attributes:
        run: the policy and the dataset.
        loaded: both, ready to predict; the dataset holds the episodes of `choice`.
        choice: the episodes, and what is known about them.
        labels: of the dataset's episodes, made with `label_settings`.
        label_settings: as in the training run.
    """

    run: Run
    loaded: Loaded
    choice: Choice
    labels: ProgressLabels
    label_settings: dict[str, Any]

    @cached_property
    def entries(self) -> dict[int, EpisodeLabel]:
        """What the label file says that `labels` are made of, by episode; empty without one."""
        meta, named = self.run.meta, self.label_settings.get("reward_labels")
        if self.label_settings.get("reward_source", "labels") != "labels":
            return {}
        file = Path(named) if named else find_label_file(meta)
        return {} if file is None else load_labels(file, episode_lengths(meta), meta.fps)

    @cached_property
    def outcomes(self) -> dict[int, bool]:
        """Whether each episode is a success; without those of which nobody has said it."""
        return known_outcomes(self.run.meta) | said_outcomes(self.entries)

    def label(self, episode: int) -> np.ndarray:
        """The (T,) labels that the policy would have been trained on, had it been trained on this episode.

        NaN where it would not: in an excluded episode, and in a failure of which only the end is known.
        """
        return self.labels.episode(episode)


def open_run(
    run: Run, episodes: str | None = None, device: str | None = None, overrides: Sequence[str] = ()
) -> Opened:
    """Load the policy with the episodes to look at, and print which they are.

    Args:
        run: of `find_run`.
        episodes: such as "40-47"; None for those that were held out from training.
        device, overrides: as in `load_policy`.
    """
    choice = choose_episodes(
        run.train_config, run.meta, None if episodes is None else parse_episodes(episodes)
    )
    loaded = load_with_dataset(run.folder, run.meta, run.root, choice.episodes, device, overrides)
    print(f"episodes  {format_episodes(choice.episodes)} ({choice.why})")
    for warning in choice.warnings:
        warn(warning)
    labels, settings = labels_as_trained(loaded.dataset, run.trained_dataset, choice)
    return Opened(run, loaded, choice, labels, settings)


def labels_as_trained(
    dataset: LeRobotDataset, trained: dict[str, Any], choice: Choice
) -> tuple[ProgressLabels, dict[str, Any]]:
    """The labels of the dataset, made with the settings of the training run, and these settings."""
    settings = {key: trained[key] for key in LABEL_SETTINGS if trained.get(key) is not None}
    if choice.is_other_dataset:  # a label file belongs to one dataset
        settings.pop("reward_labels", None)
    # A policy must not be measured by what a policy proposed.
    exclude = settings.get("reward_source", "labels") == "labels"
    try:
        config = DatasetConfig(repo_id=dataset.repo_id, exclude_proposed_labels=exclude, **settings)
        return make_reward_labels(dataset, config), settings
    except ValueError as error:
        raise UserError(f"the labels of the training run cannot be made here: {error}") from error
