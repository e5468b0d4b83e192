"""The section on labels and scores in the card of a dataset."""

from collections import Counter
from pathlib import Path

import numpy as np
from scoring.score_file import read_scores, read_source
from shared.cli import UserError
from shared.episodes import episode_lengths
from shared.outcomes import SUCCESS_FEATURE, known_outcomes

from cards.section import put_section
from lerobot.datasets import LeRobotDatasetMetadata, create_lerobot_dataset_card
from rewact.keypoints import REWARD_LABELS_PATH, EpisodeLabel, RewardLabelError, load_labels
from rewact.scores import SCORES_PATH

NEXT_HEADING = "## Dataset Structure"
KINDS = ("success", "failed", "excluded", "proposed, not accepted", "not said")
SUCCESS, FAILED, EXCLUDED, OPEN, UNKNOWN = KINDS


def read_labels(meta: LeRobotDatasetMetadata) -> dict[int, EpisodeLabel] | None:
    """The label file in the dataset's folder; None if there is none."""
    path = Path(meta.root) / REWARD_LABELS_PATH
    if not path.is_file():
        return None
    try:
        return load_labels(path, episode_lengths(meta), meta.fps)
    except RewardLabelError as error:
        raise UserError(str(error)) from error


def count_kinds(meta: LeRobotDatasetMetadata, labels: dict[int, EpisodeLabel]) -> Counter[str]:
    """How many episodes there are of each of KINDS."""
    outcomes = known_outcomes(meta)

    def kind(episode: int) -> str:
        label = labels.get(episode, EpisodeLabel())
        if label.is_open:
            return OPEN
        if label.exclude:
            return EXCLUDED
        return {True: SUCCESS, False: FAILED, None: UNKNOWN}[outcomes.get(episode)]

    return Counter(kind(episode) for episode in range(meta.total_episodes))


def labels_text(labels: dict[int, EpisodeLabel] | None, counts: Counter[str]) -> str:
    """Where the labels come from, and how many episodes there are of each kind."""
    if labels is None and counts[UNKNOWN] == counts.total():
        return (
            f"Nothing says how the {counts.total()} episodes ended: there is no `{REWARD_LABELS_PATH}`, and no "
            f"`{SUCCESS_FEATURE}` that says it. Training takes every episode for a success, with a reward that rises "
            "steadily from 0 to 1."
        )
    source = f"`{SUCCESS_FEATURE}`" if labels is None else f"`{REWARD_LABELS_PATH}`"
    table = f"| {' | '.join(KINDS)} |\n{'|---' * len(KINDS)}|\n| {' | '.join(str(counts[kind]) for kind in KINDS)} |"
    text = f"What {source} says about the {counts.total()} episodes:\n\n{table}"
    keypoints = sum(bool(label.keypoints) for label in (labels or {}).values())
    if keypoints:
        text += (
            f"\n\nEpisodes with keypoints of the reward: {keypoints}. In the others it rises steadily from 0 to 1, unless "
            "they failed."
        )
    if counts[UNKNOWN]:
        text += "\n\nTraining takes an episode of which nothing is said for a success."
    if counts[OPEN]:
        text += (
            "\n\nA policy that played the episodes proposed labels for some, and nobody has accepted these. Training "
            "refuses them: accept or change them with `make label`, or leave them out as below."
        )
    return text


def scores_text(meta: LeRobotDatasetMetadata) -> str:
    """Whether there are scores for RA-BC, and how they were made as far as the file says."""
    path = Path(meta.root) / SCORES_PATH
    if not path.is_file():
        return f"There are no scores for RA-BC (`{SCORES_PATH}`)."
    source, scores = read_source(path), read_scores(path)
    if source is None:
        made = "by a reward model that the file does not name"
    elif "cross_fit" in source:
        made = f"by {len(source['folds'])} RewACT policies, each for the episodes that it was not trained on"
    else:
        made = f"by the RewACT policy `{source['policy']}`. The file does not say which episodes that was trained on"
    final = np.mean([score[-1] for score in scores.values()])
    return (
        f"`{SCORES_PATH}` has the progress of every frame in {len(scores)} of {meta.total_episodes} episodes, for RA-BC. "
        f"It ends at {final:.2f} on average, and was made {made}."
    )


def training_text(
    meta: LeRobotDatasetMetadata, hub: str, labels: dict[int, EpisodeLabel] | None, counts: Counter[str]
) -> str:
    """The command that trains on the dataset with all of this."""
    lines = [f"lerobot-train --policy.type=rewact --policy.repo_id=me/policy --dataset.repo_id={hub}"]
    if labels is None and counts[SUCCESS]:
        lines.append(f"--dataset.reward_source=feature:{SUCCESS_FEATURE}")
    if counts[FAILED]:
        lines.append("--dataset.mask_failed_actions=true")
    if counts[OPEN]:
        lines.append("--dataset.exclude_proposed_labels=true")
    if (Path(meta.root) / SCORES_PATH).is_file():
        lines.append("--sample_weighting.type=rabc")
    command = " \\\n    ".join(lines)
    text = f"Train on it, with a LeRobot that has the RewACT patches:\n\n```bash\n{command}\n```"
    if counts[FAILED]:
        text += "\n\nFailures teach the reward, and with `mask_failed_actions` not the arm."
    return text


def dataset_card(meta: LeRobotDatasetMetadata, hub: str) -> str:
    """The text of README.md for a dataset; the text that a person wrote into it is kept.

    Args:
        meta: of the dataset.
        hub: its repo id on the Hub.
    """
    labels = read_labels(meta)
    counts = count_kinds(meta, labels or {})
    parts = ["## Reward labels and scores", labels_text(labels, counts), scores_text(meta)]
    section = "\n\n".join([*parts, training_text(meta, hub, labels, counts)])
    path = Path(meta.root) / "README.md"
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    else:
        text = str(create_lerobot_dataset_card(dataset_info=meta.info, repo_id=hub))
    return put_section(text, section, NEXT_HEADING, path)
