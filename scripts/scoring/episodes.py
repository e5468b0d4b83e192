"""Score episodes with one policy."""

from pathlib import Path

import numpy as np
from shared.frames import rows_of_episode
from shared.predict import BATCH_SIZE, load_with_dataset, predict_episode
from tqdm import tqdm

from lerobot.datasets import LeRobotDatasetMetadata


def score_episodes(
    folder: Path,
    meta: LeRobotDatasetMetadata,
    root: str | None,
    episodes: list[int],
    device: str | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[int, np.ndarray]:
    """The (T,) rewards of each episode by the policy in `folder`; arguments as in `load_with_dataset`."""
    loaded = load_with_dataset(folder, meta, root, episodes, device)
    total = sum(len(rows_of_episode(loaded.dataset, episode)) for episode in episodes)
    scores = {}
    with tqdm(total=total, unit="frame") as progress:
        for episode in episodes:
            progress.set_description(f"episode {episode}")
            scores[episode] = predict_episode(loaded, episode, batch_size, progress).astype(np.float32)
    return scores
