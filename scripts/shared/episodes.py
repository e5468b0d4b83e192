"""Which episodes of a dataset a checkpoint was trained on, and which to look at.

    from shared.episodes import choose_episodes, load_meta, training_episodes

    meta = load_meta("me/cups", root=None)
    training_episodes(train_config["dataset"], meta)  # what `episodes` and `eval_split` left for training
    choose_episodes(train_config, meta).episodes      # the held-out ones, or the next best with a warning

A metric of an episode that was trained on says little, so the scripts ask here before they show one.
`train_config` is a checkpoint's train_config.json, read as a plain dict: LeRobot's own config would resolve
devices, video decoders and the policy's path on this machine.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lerobot.datasets import LeRobotDatasetMetadata
from lerobot.utils.constants import HF_LEROBOT_HOME
from shared.checkpoint import read_train_config
from shared.cli import UserError, format_episodes
from shared.merged import first_episode
from shared.old_format import check_version


def load_meta(repo_id: str, root: str | Path | None, revision: str | None = None) -> LeRobotDatasetMetadata:
    """The metadata of a dataset on this disk or on the Hub, or a UserError that names it."""
    # LeRobot would create a root that does not exist and fill it from the Hub: a mistyped path would leave an
    # empty folder and an error about the network.
    if root is not None and not (Path(root) / "meta" / "info.json").is_file():
        raise UserError(f"no LeRobot dataset at {root}: there is no meta/info.json in it.")
    check_version(repo_id, HF_LEROBOT_HOME / repo_id if root is None else Path(root))
    try:
        return LeRobotDatasetMetadata(repo_id, root=root, revision=revision)
    except Exception as error:  # the Hub's client and the file readers raise many unrelated types
        where = f"at {root}" if root is not None else "on this disk or the Hub"
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"cannot read dataset '{repo_id}' {where}: {reason}") from error


def split_episodes(
    episodes: list[int], tasks: list[list[str]], eval_split: float
) -> tuple[list[int], list[int]]:
    """LeRobot's `eval_split`: (train, held out).

    The same as lerobot.datasets.factory.make_train_eval_datasets, which has it inline and builds three
    datasets on the way; a test holds the two together. Of each task's episodes, in the order in which `episodes`
    lists them, the last ceil(n * eval_split) are held out.

    Args:
        episodes: the episodes to split.
        tasks: every episode's tasks, by episode index; the first one counts.
        eval_split: the fraction to hold out, in [0, 1).
    """
    by_task: dict[str, list[int]] = {}
    for episode in episodes:
        task = tasks[episode][0] if tasks[episode] else ""
        by_task.setdefault(task, []).append(episode)
    train, held_out = [], []
    for of_task in by_task.values():
        n_train = len(of_task) - math.ceil(len(of_task) * eval_split)
        train += of_task[:n_train]
        held_out += of_task[n_train:]
    return train, held_out


def training_episodes(dataset_config: dict[str, Any], meta: LeRobotDatasetMetadata) -> list[int]:
    """The episodes that a run with this `dataset` config trained on, sorted.

    Args:
        dataset_config: the `dataset` part of a train_config.json.
        meta: the metadata of the dataset that it names.
    """
    if dataset_config.get("streaming"):
        return list(range(meta.total_episodes))  # LeRobot streams every episode, whatever was chosen
    episodes = dataset_config.get("episodes")
    # LeRobot only warns about episodes that the dataset does not have, and trains on the others.
    episodes = [
        e
        for e in (range(meta.total_episodes) if episodes is None else episodes)
        if e in range(meta.total_episodes)
    ]
    eval_split = dataset_config.get("eval_split") or 0.0
    if eval_split:
        episodes, _ = split_episodes(episodes, meta.episodes["tasks"], eval_split)
    return sorted(episodes)


def episode_lengths(meta: LeRobotDatasetMetadata) -> list[int]:
    """The number of frames of every episode, by episode index."""
    return [int(length) for length in meta.episodes["length"]]


def is_trained_dataset(
    dataset_config: dict[str, Any], meta: LeRobotDatasetMetadata
) -> tuple[bool, LeRobotDatasetMetadata | None]:
    """Whether `meta` is the dataset that was trained on, and the metadata of the one that was, if readable.

    Datasets move from the machine with the GPU to this one, or from a folder to the Hub, so the path alone
    decides nothing. In doubt the answer is yes: mistaking a new dataset for the old one hides a few episodes,
    the opposite mistake presents training episodes as held out.

    - the same folder: yes, whatever it is called;
    - the same repo_id, and both folders here: yes if the episodes have the same lengths (a copy, or a copy
      that has grown since);
    - the same repo_id, and the folder that was trained on is not here: yes;
    - anything else: no.
    """
    repo_id, root = dataset_config["repo_id"], dataset_config.get("root")
    if root is not None and Path(root).resolve() == Path(meta.root).resolve():
        return True, meta
    if repo_id == meta.repo_id and (root is None or not Path(root).exists()):
        return True, meta
    try:
        trained = load_meta(repo_id, root, dataset_config.get("revision"))
    except UserError:
        return repo_id == meta.repo_id, None
    if Path(trained.root).resolve() == Path(meta.root).resolve():
        return True, trained
    pairs = zip(episode_lengths(trained), episode_lengths(meta), strict=False)
    return repo_id == meta.repo_id and all(before == now for before, now in pairs), trained


def trained_in(
    dataset_config: dict[str, Any],
    same: bool,
    trained: LeRobotDatasetMetadata | None,
    meta: LeRobotDatasetMetadata,
) -> list[int]:
    """The episodes of a dataset that a run trained on: in this dataset, in one that it was merged into, or as a part of it.

    Args:
        dataset_config: the `dataset` part of a train_config.json.
        same, trained: of `is_trained_dataset`.
        meta: the dataset.
    """
    if same:
        return training_episodes(dataset_config, meta)
    if trained is None:
        return []
    episodes = training_episodes(dataset_config, trained)
    if (first := first_episode(Path(meta.root), trained)) is not None:
        return [episode + first for episode in episodes]
    if (first := first_episode(Path(trained.root), meta)) is not None:
        return [episode - first for episode in episodes if episode - first in range(meta.total_episodes)]
    return []


def runs_before(train_config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The weights that a run started from, those that they were trained from, and so on.

    Returns:
        Each folder or Hub id with the `dataset` part of its train_config.json, which is empty where it is not known here.
    """
    runs: dict[str, dict[str, Any]] = {}
    while not train_config.get("resume"):
        start = (train_config.get("policy") or {}).get("pretrained_path")
        if not start:
            break
        if start in runs:  # renamed to the folder of the weights that it started from, which are gone
            runs[start] = {}
            break
        train_config = read_train_config(Path(start)) or {}
        runs[start] = train_config.get("dataset") or {}
    return list(runs.items())


@dataclass
class Choice:
    """The episodes to look at and what is known about them.

    Attributes:
        episodes: the episode indices, in the order in which to draw them.
        rule: how they were chosen: requested | held-out | other-dataset | trained-on-all | unknown.
        trained_on: the episodes of this dataset that were trained on; None where that is not known.
        train_lengths: the lengths of the episodes trained on (for the clock); None where not known.
        warnings: what the user must know before reading a metric, one line each.
        is_other_dataset: whether the policy was trained on another dataset. This one may be a part of it.
    """

    episodes: list[int]
    rule: str
    trained_on: list[int] | None
    train_lengths: list[int] | None
    warnings: list[str] = field(default_factory=list)
    is_other_dataset: bool = False

    @property
    def why(self) -> str:
        """How they were chosen, in words."""
        return {
            "requested": "as you named them",
            "held-out": "held-out: not trained on",
            "other-dataset": "all of a dataset that was not trained on",
            "trained-on-all": "the last ones; training used every episode",
            "unknown": "the last ones; nothing says which were trained on",
        }[self.rule]

    @property
    def kind(self) -> str:
        plural = "s" if len(self.episodes) > 1 else ""
        return f"{'held-out ' if self.rule == 'held-out' else ''}episode{plural}"


def choose_episodes(
    train_config: dict[str, Any] | None, meta: LeRobotDatasetMetadata, requested: list[int] | None = None
) -> Choice:
    """Choose the episodes to look at: those asked for, or else those held out from training.

    Args:
        train_config: the checkpoint's train_config.json, or None where it has none.
        meta: the dataset to look at.
        requested: the episodes asked for, or None for the default.
    """
    total = meta.total_episodes
    for episode in requested or []:
        if episode not in range(total):
            raise UserError(
                f"episode {episode} does not exist: '{meta.repo_id}' has episodes 0 to {total - 1}."
            )

    train_config = train_config or {}
    dataset_config = train_config.get("dataset") or {}
    if not dataset_config:
        trained_on, train_lengths, known, other = None, None, False, False
    else:
        known = True
        same, trained_meta = is_trained_dataset(dataset_config, meta)
        other = not same
        trained_on = trained_in(dataset_config, same, trained_meta, meta)
        train_lengths = None
        if trained_meta is not None or same:
            source = meta if same else trained_meta
            lengths = episode_lengths(source)
            train_lengths = [lengths[episode] for episode in training_episodes(dataset_config, source)]

    warnings = []
    for start, dataset in runs_before(train_config):
        same, of_start = is_trained_dataset(dataset, meta) if dataset else (False, None)
        if not same and of_start is None:
            warnings.append(
                f"training started from {start}: the episodes that it was trained on are not known here."
            )
        elif trained_on is not None:
            trained_on = sorted({*trained_on, *trained_in(dataset, same, of_start, meta)})
    last_three = list(range(max(0, total - 3), total))
    held_out = [episode for episode in range(total) if episode not in set(trained_on or [])]
    if requested is not None:
        episodes, rule = list(dict.fromkeys(requested)), "requested"
        if seen := sorted(set(episodes) & set(trained_on or [])):
            plural = "episodes" if len(seen) > 1 else "episode"
            warnings.append(f"trained on {plural} {format_episodes(seen)}: not a test of the reward.")
        if not known:
            warnings.append(
                "no train_config.json beside the weights: whether these were trained on is unknown."
            )
    elif not known:
        episodes, rule = last_three, "unknown"
        warnings.append(
            "no train_config.json beside the weights, so which episodes are held out is unknown: "
            f"drawing the last {len(episodes)}."
        )
    elif not trained_on:
        episodes, rule = list(range(total)), "other-dataset"
    elif held_out:
        episodes, rule = held_out, "held-out"
    else:
        episodes, rule = last_three, "trained-on-all"
        warnings.append(
            f"training used all {total} episodes, none is held out: drawing the last {len(episodes)}, "
            "which is not a test of the reward."
        )
    if known and train_lengths is None:
        warnings.append(f"the training dataset '{dataset_config.get('repo_id')}' is not here: no clock.")
    return Choice(episodes, rule, trained_on, train_lengths, warnings, other)
