"""scripts/benchmarking/labelled.py: demonstrations and labelled failures as one dataset to train on."""

import json

import numpy as np
from benchmarking.labelled import failed_at, join, of_each_kind
from simulation.benchmark_data import TRUTHS, load_truth, recipe_of
from simulation.environment import FPS
from tiny_run import make_data_set

from lerobot.configs.default import DatasetConfig
from lerobot.datasets import LeRobotDataset
from rewact.keypoints import REWARD_LABELS_PATH
from rewact.labels import make_reward_labels

LENGTH = FPS  # frames of a failure, a second
KINDS = ["ghost", "stall", "miss", "ghost"]


def truth_of(moves_until: int) -> dict[str, list]:
    """The truth about a failure whose object moves up to a frame, and is reached by the hand at frame 5."""
    frames = np.arange(LENGTH)
    values = dict.fromkeys(TRUTHS, (frames / LENGTH).tolist())
    return values | {
        "object_travel": (np.minimum(frames, moves_until) * 0.001).tolist(),
        "stage": (frames >= 5).astype(int).tolist(),
        "success": [False] * LENGTH,
    }


def test_failures_are_labelled_behind_the_demonstrations(tmp_path):
    camera = {"observation.image": (64, 64, 3)}
    demonstrations = make_data_set(tmp_path / "train", [8, 9], camera)
    failures = make_data_set(tmp_path / "failures", [LENGTH] * len(KINDS), camera)
    record = failures / recipe_of("").record
    record.parent.mkdir(parents=True, exist_ok=True)
    episodes = [{"kind": kind, "truth": truth_of(10 * i)} for i, kind in enumerate(KINDS)]
    record.write_text(json.dumps({"episodes": episodes}))

    root = join(demonstrations, failures, tmp_path / "together")
    truth = load_truth(failures)
    # Half a second after the object has moved for the last time; after the hand has reached one that never moves.
    assert [failed_at(e) for e in truth] == [FPS // 2 + moved for moved in (5, 10, 20, 30)]
    assert of_each_kind(truth, 1) == [0, 2] and of_each_kind(truth, 3) == [0, 2, 3]
    dataset = LeRobotDataset("local/together", root=root, episodes=[0, 1, 2, 4], video_backend="pyav")
    labels = make_reward_labels(dataset, DatasetConfig(repo_id="local/together", root=str(root)))
    assert labels.failed == {2, 4, 5}  # the arm that stops is no failure to label
    assert np.flatnonzero(labels.episode(4) > 0)[-1] == failed_at(truth[2]) - 1
    assert labels.episode(1)[-1] == 1

    file = root / REWARD_LABELS_PATH
    before = file.stat().st_mtime_ns
    assert join(demonstrations, failures, tmp_path / "together") == root
    assert file.stat().st_mtime_ns == before
