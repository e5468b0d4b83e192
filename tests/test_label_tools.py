"""scripts/label.py and labelling/tools.py: labels merged as LeRobot merges datasets, written safely, proposed."""

import json
import os
import sys
from pathlib import Path

import label
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labelling.tools import gripper_switches, merge_labels, read_entries, suggest_gripper
from shared.cli import UserError

from lerobot.datasets import LeRobotDataset
from lerobot.datasets.dataset_tools import merge_datasets
from rewact.keypoints import REWARD_LABELS_PATH, load_labels


def entry(frame: int) -> dict:
    return {"keypoints": [{"frame_index": frame, "timestamp": frame / 10, "reward": 0.5}], "fps": 10}


def write(path: Path, data: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def make_data_set(root: Path, lengths: list[int]) -> LeRobotDataset:
    features = {"action": {"dtype": "float32", "shape": (2,), "names": None}}
    dataset = LeRobotDataset.create(f"local/{root.name}", 10, features, root=root, use_videos=False)
    for length in lengths:
        for _ in range(length):
            dataset.add_frame({"task": "push", "action": np.zeros(2, np.float32)})
        dataset.save_episode()
    dataset.finalize()
    return LeRobotDataset(f"local/{root.name}", root=root)


def run(monkeypatch, *args) -> None:
    monkeypatch.setattr(sys, "argv", ["label.py", *map(str, args)])
    label.main()


def test_merge_numbers_episodes_as_lerobot_does(tmp_path, monkeypatch):
    """Each episode has a label on its last frame; their lengths tell the episodes apart."""
    lengths = {"a": [5, 6, 7], "b": [8, 9]}
    sources = [make_data_set(tmp_path / name, each) for name, each in lengths.items()]
    files = [
        write(source.root / REWARD_LABELS_PATH, {str(i): entry(lengths[name][i] - 1) for i in labelled})
        for source, name, labelled in zip(sources, "ab", ([0, 1], [0, 1]), strict=True)
    ]
    output = tmp_path / "merged.json"
    run(monkeypatch, "--merge", *files, "--output", output, "--dataset", "local/merged")
    merged = merge_datasets(sources, "local/merged", tmp_path / "merged")
    labels = load_labels(output, list(merged.meta.episodes["length"]), 10, "local/merged")
    assert sorted(labels) == [0, 1, 3, 4]
    for index, one in labels.items():
        assert one.keypoints[0].frame_index == merged.meta.episodes["length"][index] - 1


def test_merge_keeps_what_it_does_not_know(tmp_path):
    a = write(tmp_path / "a.json", {"repo_id": "me/a", "episodes": {"1": entry(3)}})
    b = write(tmp_path / "b.json", {"0": {"failed_at": 2.5, "outcome": "failure"}, "7": {"exclude": True}})
    assert merge_labels([a, b], [2, 8]) == {
        "1": entry(3),
        "2": {"failed_at": 2.5, "outcome": "failure"},
        "9": {"exclude": True},
    }
    with pytest.raises(UserError, match=r"a.json: how many episodes .* --counts 40,8"):
        merge_labels([a, b], [None, None])
    with pytest.raises(UserError, match=r"a.json: episode 1 does not exist: .* has 1 episodes"):
        merge_labels([a, b], [1, 8])
    with pytest.raises(UserError, match="cannot be merged"):
        merge_labels([a, write(tmp_path / "c.json", {"0": {"fps": 30}})], [2, None])
    a.write_text("{")
    with pytest.raises(UserError, match="a.json: not a JSON file"):
        read_entries(a)


def test_command_line_refuses(tmp_path, monkeypatch):
    a = write(tmp_path / "a.json", {})
    with pytest.raises(UserError, match="a.json exists"):
        run(monkeypatch, "--merge", a, "--output", a)
    with pytest.raises(UserError, match="one number for each of the 2 files"):
        run(monkeypatch, "--merge", a, a, "--counts", "40", "--output", tmp_path / "b.json")
    with pytest.raises(UserError, match="needs --dataset"):
        run(monkeypatch, "--suggest", "gripper", "--output", tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0, 0, 1, 1, 0], [2, 4]),
        ([1, 0, 0, 1], [1, 3]),
        ([0, 0, 0], []),
        ([0, 0.3, 0.6, 0.9, 1, 0.6, 0.4, 0.1], [2, 6]),  # slow: the first frame past the middle
        ([0, 0.55, 0.45, 0.55, 0.4, 0, 1], [6]),  # trembling
        ([0, 0.55, 0.6, 0.6], []),  # half closed
        ([0.4, 0.6, 1, 1, 0.4, 0, 0.6, 1, 0.4], [4, 6]),  # begins and ends half open
    ],
)
def test_switches(values, expected):
    scale = [np.array([0.0] * 50 + [1.0] * 50)]  # open and closed are found over all episodes
    assert gripper_switches([np.array(values), *scale])[0] == expected
    assert gripper_switches([100 - 50 * np.array(values), 100 - 50 * scale[0]])[0] == expected


def test_suggestions(tmp_path):
    gripper = {0: [0, 0, 1, 1, 1, 0, 0], 1: [0, 0, 0, 1], 2: [0, 1, 0, 1, 1, 0]}
    rows = [(e, f, [9.0, float(v)]) for e, values in gripper.items() for f, v in enumerate(values)]
    columns = dict(
        zip(("episode_index", "frame_index", "action"), map(list, zip(*rows, strict=True)), strict=True)
    )
    (tmp_path / "data/chunk-000").mkdir(parents=True)
    pq.write_table(pa.table(columns), tmp_path / "data/chunk-000/file-000.parquet")
    suggested = suggest_gripper(tmp_path, 10)
    frames = {i: [p["frame_index"] for p in e["keypoints"]] if e else None for i, e in suggested.items()}
    assert frames == {0: [2, 5], 1: None, 2: [1, 5]}
    assert suggested[0] == {
        "keypoints": [
            {"frame_index": 2, "timestamp": 0.2, "reward": 0.5},
            {"frame_index": 5, "timestamp": 0.5, "reward": 1.0},
        ],
        "fps": 10,
    }
    with pytest.raises(UserError, match="no feature 'gripper'"):
        suggest_gripper(tmp_path, 10, "gripper")
    with pytest.raises(UserError, match="'action' has no dimension 2"):
        suggest_gripper(tmp_path, 10, dim=2)


@pytest.mark.skipif("REAL_DATASET" not in os.environ, reason="REAL_DATASET=<folder of cr5_banana> is not set")
def test_suggestions_on_a_real_arm_are_the_true_switches():
    root = Path(os.environ["REAL_DATASET"])
    events = json.loads((root / "events.json").read_text())
    suggested = suggest_gripper(root, 10)
    assert {str(index) for index in suggested} == set(events)
    for index, one in suggested.items():
        switches = events[str(index)]["gripper_switches"]
        assert [point["frame_index"] for point in one["keypoints"]] == [switches[0], switches[-1]]
