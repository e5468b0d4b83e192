"""scripts/score_dataset.py and scripts/scoring/: the file that RA-BC reads, who scores which episode, resuming, and errors.

The policies are untrained ones of the smallest size, saved as lerobot-train saves them; one test trains.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import score_dataset
import torch
from scoring import cross_fit, score_file
from scoring.cross_fit import make_folds
from scoring.score_file import read_scores, write_scores
from shared.checkpoint import load_policy
from shared.cli import UserError

from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.policies import make_policy, make_policy_config, make_pre_post_processors
from lerobot.rewards.sarm.rabc import RABCWeights

pytestmark = pytest.mark.usefixtures("offline_in_a_folder_of_its_own")

REPO_ID = "local/tiny"
LENGTHS = [9, 12, 1, 11, 7]
TASKS = ["push", "push", "pull", "push", "pull"]
CAMERA = "observation.images.top"
TINY_POLICY = {
    "dim_model": 16, "n_heads": 2, "dim_feedforward": 16, "n_encoder_layers": 1, "n_vae_encoder_layers": 1,
    "chunk_size": 4, "n_action_steps": 4, "pretrained_backbone_weights": None, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def data_set(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "tiny"
    features = {
        CAMERA: {"dtype": "image", "shape": (32, 32, 3), "names": ["height", "width", "channels"]},
        "observation.state": {"dtype": "float32", "shape": (2,), "names": None},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
    }
    dataset = LeRobotDataset.create(REPO_ID, 10, features, root=root, use_videos=False)
    rng = np.random.default_rng(0)
    for length, task in zip(LENGTHS, TASKS, strict=True):
        for i in range(length):
            frame = {CAMERA: rng.integers(0, 255, (32, 32, 3), dtype=np.uint8), "task": task}
            frame |= {"observation.state": np.float32([i, 0]), "action": np.float32(rng.normal(size=2))}
            dataset.add_frame(frame)
        dataset.save_episode()
    dataset.finalize()
    return root


def save_policy(folder: Path, root: Path, episodes: list[int] | None, seed: int = 0) -> Path:
    meta = LeRobotDatasetMetadata(REPO_ID, root=root)
    torch.manual_seed(seed)
    policy = make_policy(make_policy_config("rewact", **TINY_POLICY), ds_meta=meta)
    # As after a training, the reward depends on the frames before.
    policy.model.reward_head.filter.fit([torch.linspace(0, 1, length) for length in LENGTHS])
    for part in (policy, *make_pre_post_processors(policy.config, dataset_stats=meta.stats)):
        part.save_pretrained(folder)
    trained = {"repo_id": REPO_ID, "root": str(root), "episodes": episodes}
    (folder / "train_config.json").write_text(json.dumps({"dataset": trained}))
    return folder


@pytest.fixture
def policy(data_set, tmp_path) -> Path:
    return save_policy(tmp_path / "policy", data_set, [0, 1])


@pytest.fixture
def score(monkeypatch):
    """Runs the command in this process."""

    def run(*argv) -> None:
        monkeypatch.setattr(sys, "argv", ["score_dataset.py", "--device=cpu", *map(str, argv)])
        score_dataset.main()

    return run


def test_the_file_has_the_reward_of_select_action_for_every_frame(score, policy, data_set, tmp_path, capsys):
    output = tmp_path / "scores.parquet"
    score("--policy-path", policy, "--output", output, "--batch-size", 5)

    table = pandas.read_parquet(output)
    assert list(table.columns) == ["index", "episode_index", "frame_index", "progress_sparse"]
    assert table["progress_sparse"].dtype == np.float32
    assert list(table["index"]) == list(range(sum(LENGTHS)))
    assert list(table["episode_index"]) == [e for e, n in enumerate(LENGTHS) for _ in range(n)]
    assert list(table["frame_index"]) == [i for n in LENGTHS for i in range(n)]

    loaded, preprocessor, _ = load_policy(policy, "cpu")
    dataset = LeRobotDataset(REPO_ID, root=data_set)
    expected = []
    for item in dataset:
        if item["frame_index"] == 0:
            loaded.reset()
        keys = (CAMERA, "observation.state")
        batch = preprocessor({key: item[key][None] for key in keys} | {"task": [item["task"]]})
        expected.append(loaded.select_action(batch)[1].item())
    np.testing.assert_allclose(table["progress_sparse"], expected, atol=1e-5)
    assert np.ptp(expected) > 0.1

    said, warned = capsys.readouterr()
    assert "trained on 2 of these 5 episodes" in warned and "--cross-fit 5" in warned
    assert f"--sample_weighting.progress_path={output}" in said


def test_without_output_it_lies_where_rabc_looks_and_rabc_reads_it(score, policy, data_set, capsys):
    score("--policy-path", policy, "--dataset-repo-id", REPO_ID, "--dataset-root", data_set)
    file = data_set / "sarm_progress.parquet"
    try:
        weights = RABCWeights(file, chunk_size=4, device=torch.device("cpu"))
        of_batch, _ = weights.compute_batch_weights({"index": torch.arange(sum(LENGTHS))})
        assert of_batch.shape == (sum(LENGTHS),) and of_batch.unique().numel() > 1
        assert weights.get_stats()["num_frames"] == sum(LENGTHS)
        said = capsys.readouterr().out
        assert f"make train DATASET={REPO_ID} ROOT={data_set} ARGS=--sample_weighting.type=rabc\n" in said
        score("--policy-path", policy)  # its own file may be written anew
    finally:
        file.unlink()


def test_episodes_can_be_chosen(score, policy, tmp_path, capsys):
    output = tmp_path / "scores.parquet"
    score("--policy-path", policy, "--output", output, "--episodes", "2-3")
    table = pandas.read_parquet(output)
    assert list(table["index"]) == list(range(21, 33))
    assert set(table["episode_index"]) == {2, 3}
    assert "WARNING" not in capsys.readouterr().err  # neither was trained on


def test_the_file_of_another_reward_model_is_not_overwritten(score, policy, tmp_path):
    output = tmp_path / "scores.parquet"
    pandas.DataFrame({"index": [0], "episode_index": [0], "progress_sparse": [0.5]}).to_parquet(output)
    before = output.read_bytes()
    with pytest.raises(UserError, match="scores.parquet has the scores of another reward model"):
        score("--policy-path", policy, "--output", output)
    assert output.read_bytes() == before


def test_scores_that_would_be_lost_are_not_overwritten(score, policy, data_set, tmp_path):
    """Those of other episodes, and those by models that have not seen what they score."""
    output, meta = tmp_path / "scores.parquet", LeRobotDatasetMetadata(REPO_ID, root=data_set)
    scores = {i: np.zeros(length, np.float32) for i, length in enumerate(LENGTHS)}
    write_scores(output, meta, scores, {"policy": "x"})
    before = output.read_bytes()
    with pytest.raises(
        UserError, match="also has scores of episodes 0-1,4, which would be lost: name another"
    ):
        score("--policy-path", policy, "--output", output, "--episodes", "2-3")
    assert output.read_bytes() == before
    write_scores(output, meta, scores, {"cross_fit": "outputs/score/tiny", "folds": [[0], [1]]})
    before = output.read_bytes()
    with pytest.raises(UserError, match="by models that have not seen what they score"):
        score("--policy-path", policy, "--output", output)
    assert output.read_bytes() == before
    with pytest.raises(UserError, match="the reward is not a number in episodes 3. Nothing was written"):
        write_scores(output, meta, scores | {3: np.full(LENGTHS[3], np.nan)}, {})
    assert output.read_bytes() == before


def test_a_failed_write_leaves_the_old_file(data_set, tmp_path, monkeypatch):
    meta = LeRobotDatasetMetadata(REPO_ID, root=data_set)
    output = tmp_path / "scores.parquet"
    write_scores(output, meta, {2: np.float32([0.25])}, {})

    def fail(table, path):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(score_file.pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        write_scores(output, meta, {2: np.float32([0.75])}, {})
    assert read_scores(output) == {2: 0.25}
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_every_episode_is_in_one_fold_and_every_fold_has_some_of_each_task(n_folds):
    folds = make_folds(list(range(5)), [[task] for task in TASKS], n_folds)
    assert sorted(sum(folds, [])) == list(range(5))
    assert all(folds)
    if n_folds == 2:
        assert all({TASKS[episode] for episode in fold} == {"push", "pull"} for fold in folds)


@pytest.fixture
def trainings(data_set, monkeypatch):
    """Stands in for lerobot-train: saves an untrained policy, one for each set of episodes."""
    commands = []

    def run(command):
        commands.append(command)
        flags = dict(part[2:].split("=", 1) for part in command[1:])
        if trainings.code:
            return trainings.code
        if "resume" not in flags:
            folder = Path(flags["output_dir"]) / "checkpoints" / "last" / "pretrained_model"
            save_policy(folder, data_set, json.loads(flags["dataset.episodes"]), seed=len(commands))
        return 0

    trainings = type("Trainings", (), {"commands": commands, "code": 0})()
    monkeypatch.setattr(cross_fit, "run_lerobot", run)
    return trainings


def test_cross_fit_scores_each_episode_with_a_policy_that_has_not_seen_it(
    score, trainings, data_set, tmp_path
):
    arguments = ["--dataset-repo-id", REPO_ID, "--dataset-root", data_set, "--cross-fit", 2, "--steps", 7]
    arguments += ["--args=--batch_size=3", "--runs", "runs", "--output", tmp_path / "scores.parquet"]
    score(*arguments)

    for command in trainings.commands:
        assert {"--policy.type=rewact", "--steps=7", "--batch_size=3"} <= set(command)
    trained_on = [
        json.loads(part.split("=")[1])
        for command in trainings.commands
        for part in command
        if part.startswith("--dataset.episodes=")
    ]
    assert len(trained_on) == 2 and sorted(sum(trained_on, [])) == list(range(5))
    scores = read_scores(tmp_path / "scores.parquet")
    assert {episode: len(score) for episode, score in scores.items()} == dict(enumerate(LENGTHS))
    for i, training in enumerate(trained_on):
        of_fold = read_scores(tmp_path / "runs" / f"fold-{i}.parquet")
        assert not set(of_fold) & set(training)
        for episode, score_of_episode in of_fold.items():
            np.testing.assert_array_equal(scores[episode], score_of_episode)

    # Again: nothing is left to do. With other settings: refused.
    score(*arguments)
    assert len(trainings.commands) == 2
    with pytest.raises(UserError, match="other settings \\(args\\)"):
        score(*arguments, "--args=--batch_size=4")


def test_cross_fit_resumes_where_it_stopped(score, trainings, data_set, tmp_path):
    arguments = ["--dataset-repo-id", REPO_ID, "--dataset-root", data_set, "--cross-fit", 2]
    arguments += ["--output", tmp_path / "scores.parquet"]
    trainings.code = 1
    with pytest.raises(UserError, match="fold-0 failed with code 1"):
        score(*arguments)
    runs = tmp_path / "outputs" / "score" / "tiny"
    # One training run with a checkpoint, and one without.
    checkpoint = runs / "fold-0" / "checkpoints" / "last" / "pretrained_model"
    save_policy(checkpoint, data_set, [0])
    (runs / "fold-1").mkdir()

    trainings.code = 0
    score(*arguments)

    _, first, second = trainings.commands
    assert set(first[1:]) == {
        f"--config_path={checkpoint.relative_to(tmp_path)}/train_config.json",
        "--resume=true",
    }
    assert "--output_dir=outputs/score/tiny/fold-1" in second
    assert len(read_scores(tmp_path / "scores.parquet")) == 5


def test_a_cross_fit_that_has_trained_nothing_takes_other_settings(score, trainings, data_set, tmp_path):
    arguments = ["--dataset-repo-id", REPO_ID, "--dataset-root", data_set, "--cross-fit", 2]
    arguments += ["--output", tmp_path / "scores.parquet"]
    trainings.code = 1
    with pytest.raises(UserError, match="fold-0 failed with code 1"):
        score(*arguments, "--args=--batch_size=-1")
    trainings.code = 0
    score(*arguments)
    assert len(read_scores(tmp_path / "scores.parquet")) == 5


def test_a_cross_fit_does_not_go_on_after_the_labels_changed(score, trainings, data_set, tmp_path):
    labels = tmp_path / "labels.json"
    labels.write_text("{}")
    arguments = ["--dataset-repo-id", REPO_ID, "--dataset-root", data_set, "--cross-fit", 2]
    arguments += ["--output", tmp_path / "scores.parquet", f"--args=--dataset.reward_labels={labels}"]
    score(*arguments)
    labels.write_text('{"0": {"exclude": true}}')
    with pytest.raises(UserError, match=r"holds a cross-fit with other settings \(labels\)"):
        score(*arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--cross-fit", "1"], "--cross-fit 1: 5 episodes can be split into 2 to 5 folds"),
        (["--cross-fit", "6"], "--cross-fit 6: 5 episodes can be split into 2 to 5 folds"),
        (["--cross-fit", "2", "--args=--dataset.episodes=[0]"], "take it out of --args"),
        (["--cross-fit", "2", "--policy-path", "x"], "leave out --policy-path"),
        (["--steps", "3"], "are for the training runs of --cross-fit"),
        (["--policy-path", "nowhere"], "no such folder: nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(score, trainings, data_set, arguments, message):
    with pytest.raises(UserError, match=message) as error:
        score("--dataset-repo-id", REPO_ID, "--dataset-root", data_set, *arguments)
    assert "\n" not in str(error.value)
    assert not trainings.commands


def test_an_episode_that_does_not_exist_is_named(score, policy):
    with pytest.raises(UserError, match="episode 5 does not exist: 'local/tiny' has episodes 0 to 4"):
        score("--policy-path", policy, "--episodes", "3-9")


def test_cross_fit_with_lerobot_train_itself(score, data_set, tmp_path):
    """Over 20 s: two training runs, each in its own process."""
    policy = " ".join(
        f"--policy.{key}={'null' if value is None else value}" for key, value in TINY_POLICY.items()
    )
    output = tmp_path / "scores.parquet"
    score(
        "--dataset-repo-id", REPO_ID, "--dataset-root", data_set, "--cross-fit", 2, "--steps", 2,
        f"--args={policy} --batch_size=2 --num_workers=0", "--output", output,
    )  # fmt: skip
    scores = read_scores(output)
    assert {episode: len(score) for episode, score in scores.items()} == dict(enumerate(LENGTHS))
    assert all(((score >= 0) & (score <= 1)).all() for score in scores.values())
