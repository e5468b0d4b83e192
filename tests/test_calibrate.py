"""scripts/calibrate.py: the threshold in the checkpoint, and what it refuses."""

import json
import shutil
import sys
from pathlib import Path

import calibrate
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shared.checkpoint import CALIBRATION
from shared.cli import UserError
from shared.episodes import load_meta
from shared.merged import save_merged_from
from tiny_run import REPO_ID

from lerobot.configs import PreTrainedConfig
from rewact.keypoints import REWARD_LABELS_PATH
from rewact.stopping import conformal_threshold, early_peak


@pytest.fixture
def own_checkpoint(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "pretrained_model")


@pytest.fixture
def run(monkeypatch):
    def call(*arguments):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr(sys, "argv", ["calibrate.py", *map(str, arguments), "--device", "cpu"])
        calibrate.main()

    return call


def test_the_threshold_is_that_of_the_held_out_episodes(own_checkpoint, run, monkeypatch, capsys):
    seen = {}
    predict = calibrate.predict_episodes

    def spy(opened):
        seen["episodes"], seen["rewards"] = opened.choice.episodes, predict(opened)
        return seen["rewards"]

    monkeypatch.setattr(calibrate, "predict_episodes", spy)
    before = json.loads((own_checkpoint / "config.json").read_text())
    run("--policy-path", own_checkpoint)
    assert seen["episodes"] == [1, 3]  # it was trained on 0 and 2
    # 10 frames a second, so the rule holds for 5; the label of this training is 1 from 80 % of an episode on.
    peaks = [early_peak(r, int(np.ceil(0.8 * (len(r) - 1))), 5) for r in seen["rewards"]]
    after = json.loads((own_checkpoint / "config.json").read_text())
    assert after == before | {"reward_stop_threshold": pytest.approx(conformal_threshold(peaks))}
    assert PreTrainedConfig.from_pretrained(own_checkpoint).reward_stop_threshold is not None
    assert "2 episodes promise no more than 33%" in capsys.readouterr().err
    assert json.loads((own_checkpoint / CALIBRATION).read_text()) == {
        "threshold": after["reward_stop_threshold"],
        "early_stops": 0.1,
        "dataset": REPO_ID,
        "episodes": [1, 3],
        "trained_on": [],
        "never_stopped": 0,
    }
    assert not list(own_checkpoint.glob("*.partial"))


def test_no_threshold_is_written_where_none_would_do(own_checkpoint, run, monkeypatch):
    before = (own_checkpoint / "config.json").read_bytes()
    monkeypatch.setattr(calibrate, "predict_episodes", lambda opened: [np.ones(12), np.ones(11)])
    with pytest.raises(UserError, match="in 2 of 2 episodes the reward is 1"):
        run("--policy-path", own_checkpoint)
    assert (own_checkpoint / "config.json").read_bytes() == before


def test_training_episodes_do_not_calibrate(own_checkpoint, run):
    config = json.loads((own_checkpoint / "train_config.json").read_text())
    config["dataset"]["episodes"] = None
    (own_checkpoint / "train_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="held out"):
        run("--policy-path", own_checkpoint)


@pytest.fixture
def labelled(own_checkpoint, tmp_path, monkeypatch):
    """A checkpoint whose training had labels made by people; which episodes calibrate it."""
    used = []

    def predict(opened):
        used.extend(opened.choice.episodes)
        return [np.linspace(0, 1, len(opened.label(episode))) for episode in used]

    monkeypatch.setattr(calibrate, "predict_episodes", predict)

    def label(episodes):
        (tmp_path / "labels.json").write_text(json.dumps(episodes))
        config = json.loads((own_checkpoint / "train_config.json").read_text())
        config["dataset"]["reward_labels"] = str(tmp_path / "labels.json")
        (own_checkpoint / "train_config.json").write_text(json.dumps(config))
        return used

    return label


FAILURE = {"outcome": "failure", "keypoints": [{"frame_index": 3, "reward": 1.0}]}


@pytest.mark.parametrize("label", [{"exclude": True}, FAILURE, {"failed_at": 10}])
def test_failures_and_excluded_episodes_do_not_calibrate(own_checkpoint, run, labelled, capsys, label):
    used = labelled({"1": label})
    run("--policy-path", own_checkpoint)
    assert used == [3]
    assert (
        "left out, as they failed, are excluded, or have labels that nobody accepted: 1."
        in capsys.readouterr().err
    )


def test_no_success_is_left(own_checkpoint, run, labelled):
    used = labelled({"1": {"exclude": True}, "3": {"failed_at": 2}})
    before = (own_checkpoint / "config.json").read_bytes()
    with pytest.raises(
        UserError, match="episodes 1,3 failed, are excluded, or have labels that a policy proposed"
    ):
        run("--policy-path", own_checkpoint)
    assert not used and (own_checkpoint / "config.json").read_bytes() == before


def test_a_share_that_is_none(own_checkpoint, run, capsys):
    with pytest.raises(SystemExit):
        run("--policy-path", own_checkpoint, "--early-stops", "1.5")
    assert "1.5" in capsys.readouterr().err


def own_dataset(data_set, tmp_path, labels: dict | None = None):
    """A dataset other than the one trained on."""
    root = Path(shutil.copytree(data_set, tmp_path / "other"))
    if labels is not None:
        path = root / REWARD_LABELS_PATH
        path.parent.mkdir()
        path.write_text(json.dumps(labels))
    return root


def test_episodes_that_nobody_called_successes_are_refused(own_checkpoint, run, data_set, tmp_path, capsys):
    """They may all be failures. The user's word counts, and a person's label; what a policy proposed does not."""
    before = (own_checkpoint / "config.json").read_bytes()
    root = own_dataset(data_set, tmp_path)
    arguments = ["--policy-path", own_checkpoint, "--dataset-repo-id", "local/other", "--dataset-root", root]
    with pytest.raises(UserError, match="nothing says whether episodes 0-3 of 'local/other' are successes"):
        run(*arguments)
    proposed = {"stopped_by": "reward"}
    labels = {
        "0": {"outcome": "success"},
        "1": {"outcome": "success", "proposed": proposed | {"accepted": True}},
        "2": {"outcome": "success", "proposed": proposed},
        "3": {"failed_at": 2},
    }
    (root / REWARD_LABELS_PATH).parent.mkdir()
    (root / REWARD_LABELS_PATH).write_text(json.dumps(labels))
    assert (own_checkpoint / "config.json").read_bytes() == before
    run(*arguments)
    said = capsys.readouterr()
    assert "successes 0-1: 2 are said to be" in said.out
    assert "have labels that nobody accepted: 2-3" in said.err


def test_rollouts_that_were_merged_into_the_training_are_no_demonstrations(
    own_checkpoint, run, data_set, tmp_path
):
    merged = shutil.copytree(data_set, tmp_path / "merged")
    root = own_dataset(data_set, tmp_path)
    save_merged_from(merged, [load_meta("local/other", root)])
    config = json.loads((own_checkpoint / "train_config.json").read_text())
    config["dataset"]["root"] = str(merged)
    (own_checkpoint / "train_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="nothing says whether episodes 1,3 of 'local/other' are successes"):
        run("--policy-path", own_checkpoint, "--dataset-repo-id", "local/other", "--dataset-root", root)


def test_the_label_file_of_the_training_says_nothing_of_another_dataset(
    own_checkpoint, run, labelled, data_set, tmp_path
):
    used = labelled({"1": {"exclude": True}, "4": {"failed_at": 2}})  # the other has no episode 4
    root = own_dataset(data_set, tmp_path)
    other = ["--dataset-repo-id", "local/other", "--dataset-root", root]
    run("--policy-path", own_checkpoint, *other, "--episodes", "1,3")
    assert used == [1, 3]


def test_the_users_word_counts(own_checkpoint, run, capsys, monkeypatch):
    rewards = [np.linspace(0, 1, 12), np.linspace(0, 1, 11), np.full(9, 0.1), np.linspace(0, 1, 7)]
    monkeypatch.setattr(calibrate, "predict_episodes", lambda opened: rewards)
    run("--policy-path", own_checkpoint, "--episodes", "1,3,0,2")
    said = capsys.readouterr().out
    assert "4 are taken as such (you named them)" in said and "1 of them would never stop" in said


def test_a_threshold_that_half_of_the_successes_do_not_reach_is_refused(own_checkpoint, run, monkeypatch):
    """As with recordings of failures: the reward is high before their end, and low there."""
    before = (own_checkpoint / "config.json").read_bytes()
    rewards = [np.linspace(0.6, 0, 12), np.linspace(0, 1, 11)]
    monkeypatch.setattr(calibrate, "predict_episodes", lambda opened: rewards)
    with pytest.raises(UserError, match="only 1 of 2 successes would ever stop at the threshold 0.38"):
        run("--policy-path", own_checkpoint)
    assert (own_checkpoint / "config.json").read_bytes() == before


def test_what_is_not_finite_is_refused(own_checkpoint, run, data_set, tmp_path, monkeypatch):
    before = (own_checkpoint / "config.json").read_bytes()
    root = own_dataset(data_set, tmp_path, {str(i): {"outcome": "success"} for i in range(4)})
    [path] = (root / "data").glob("*/*.parquet")
    table = pq.read_table(path)
    values = table.column("observation.state").to_pylist()
    values[20][0] = float("nan")  # frame 11 of episode 1
    column = pa.array(values, type=table.schema.field("observation.state").type)
    index = table.column_names.index("observation.state")
    pq.write_table(table.set_column(index, "observation.state", column), path)
    arguments = ["--policy-path", own_checkpoint, "--dataset-repo-id", "local/other", "--dataset-root", root]
    with pytest.raises(
        UserError, match="'observation.state' is not finite in frame 11 of episode 1. Repair it"
    ):
        run(*arguments)
    monkeypatch.setattr(calibrate, "predict_episodes", lambda opened: [np.full(12, np.nan), np.ones(11)])
    with pytest.raises(UserError, match="the policy's reward is not a number"):
        run("--policy-path", own_checkpoint)
    assert (own_checkpoint / "config.json").read_bytes() == before
