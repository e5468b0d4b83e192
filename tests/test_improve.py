"""The journey with the simulated arm in miniature: record, train, roll out, label, improve. Real commands throughout."""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import improve
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from improving.compare import Seen, measure, table
from improving.outcomes import Outcome, read_outcomes, split
from labelling.listening import listen
from labelling.server import make_app, make_server
from labelling.session import make_session
from safetensors.torch import load_file
from shared.cli import UserError
from shared.episodes import choose_episodes, load_meta
from shared.training import DEMO_TASK
from tiny_run import TINY_POLICY

from lerobot.datasets import LeRobotDataset
from rewact.keypoints import REWARD_LABELS_PATH
from rewact.label_config import RewardLabelConfig

SCRIPTS = Path(__file__).parents[1] / "scripts"
N_DEMOS, N_ROLLOUTS = 2, 5
ROLLOUTS = Path("outputs/demo/rollout_so101")


def run(folder: Path, *command) -> str:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    return output


def script(name: str, *args: str) -> list[str]:
    return [sys.executable, str(SCRIPTS / f"{name}.py"), *args]


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def journey(tmp_path_factory, demo_dir, mujoco_gl) -> Path:
    """A folder with a policy that was trained on a demonstration for two steps, and rollouts that it played."""
    folder = tmp_path_factory.mktemp("journey")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUJOCO_GL", mujoco_gl)
        policy = {k: "null" if v is None else str(v).lower() for k, v in TINY_POLICY.items()}
        flags = [f"--policy.{key}={value}" for key, value in policy.items()]
        flags += ["--steps=2", "--batch_size=4", "--num_workers=0", "--dataset.episodes=[0]"]
        data = ["--dataset", "local/demo", "--root", str(demo_dir / DEMO_TASK)]
        train = script("train", *data, "--output", "outputs/train/first", "--args", " ".join(flags))
        (folder / "train.txt").write_text(run(folder, *train))
        rollout = {
            "policy.path": "outputs/train/first/checkpoints/last/pretrained_model",
            "robot.type": "so101_sim",
            "fps": 10,
            "play_sounds": "false",
            "strategy.type": "episodic",
            "stop_on_reward": 1,
            "dataset.repo_id": "local/rollout_so101",
            "dataset.root": ROLLOUTS,
            "dataset.fps": 10,
            "dataset.single_task": "Put the cube onto the plate",
            "dataset.push_to_hub": "false",
            "dataset.num_episodes": N_ROLLOUTS,
            "dataset.episode_time_s": 1,
            "dataset.reset_time_s": 0.1,
        }
        flags = [f"--{name}={value}" for name, value in rollout.items()]
        (folder / "console.txt").write_text(
            run(folder, *script("lerobot_quietly", "lerobot-rollout", *flags))
        )
    return folder


def test_the_console_of_a_recording_is_without_the_video_encoders_settings(journey):
    said = (journey / "console.txt").read_text()
    assert "Recording episode 4" in said
    assert not re.search(r"Svt|moov atom|Map:", said)


def test_the_console_of_a_training_is_without_warnings_about_progress_bars(journey):
    said = (journey / "train.txt").read_text()
    assert "End of training" in said and "progress bars" not in said


def label_all(root: Path) -> None:
    """Through the page's own interface: failures from the third episode on."""
    sock = listen(0)
    port = sock.getsockname()[1]
    server = make_server(make_app(make_session(load_meta("local/rollout_so101", root)), port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()

    def ask(path: str, method: str = "GET", body=None) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.status == 200
        return json.loads(answer.read())

    try:
        session, before = ask("/api/data")["session"], ask("/api/labels")["labels"]
        assert [before[str(i)]["proposed"]["stopped_by"] for i in range(N_ROLLOUTS)] == [None] * N_ROLLOUTS
        labels = {str(i): {"outcome": "success"} if i < 3 else {"failed_at": 4} for i in range(N_ROLLOUTS)}
        ask("/api/labels", "PUT", {"session": session, "labels": labels, "before": before})
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def test_rollouts_make_the_policy_better(journey, demo_dir, monkeypatch, capfd):
    """Over 20 s: two trainings in processes of their own, and an arm that moves in real time."""
    monkeypatch.chdir(journey)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = ["improve.py", "--rollouts", str(ROLLOUTS), "--output", "outputs/train/second", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(
        UserError, match=r"^a policy proposed the labels of episodes 0-4 of local/rollout_so101, "
    ):
        improve.main()
    assert not Path("outputs/improve").exists()

    label_all(journey / ROLLOUTS)
    theirs = (demo_dir / DEMO_TASK, journey / ROLLOUTS, journey / "outputs/train/first")
    before = [files(folder) for folder in theirs]
    improve.main()
    output, errors = capfd.readouterr()
    assert [files(folder) for folder in theirs] == before
    assert "to train on 0,2-3 (successes: 2, failures: 1)" in output
    assert "held out    1,4 (successes: 1, failures: 1)" in output
    assert not Path("outputs/improve/second/rollouts").exists()

    merged = LeRobotDataset("local/improved", root=journey / "outputs/improve/second/dataset")
    assert merged.num_episodes == N_DEMOS + N_ROLLOUTS
    assert merged.features.keys() == LeRobotDataset("local/demo", root=demo_dir / DEMO_TASK).features.keys()
    assert np.isfinite(merged[len(merged) - 1]["observation.state"].numpy()).all()
    labels = json.loads((merged.root / REWARD_LABELS_PATH).read_text())
    assert labels[str(N_DEMOS + 3)]["failed_at"] == 4 and set(labels) == {
        str(N_DEMOS + i) for i in range(N_ROLLOUTS)
    }

    run_config = journey / "outputs/train/second/checkpoints/last/pretrained_model/train_config.json"
    dataset = json.loads(run_config.read_text())["dataset"]
    assert dataset["episodes"] == [0, 2, 4, 5] and dataset["mask_failed_actions"]
    seen = choose_episodes({"dataset": dataset}, load_meta("local/rollout_so101", ROLLOUTS))
    assert (seen.trained_on, seen.episodes, seen.is_other_dataset) == ([0, 2, 3], [1, 4], True)
    assert choose_episodes(
        {"dataset": dataset}, load_meta("local/demo", demo_dir / DEMO_TASK)
    ).trained_on == [0]
    config = json.loads(run_config.with_name("config.json").read_text())
    first, second = (
        load_file(journey / f"outputs/train/{run}/checkpoints/last/pretrained_model/model.safetensors")
        for run in ("first", "second")
    )
    changed = {key for key in second if not torch.equal(first[key], second[key])}
    assert changed and all(".reward_head." in key for key in changed)  # the arm acts as before
    assert "not known here" not in errors  # what the first checkpoint was trained on is known
    assert ("is not calibrated" in errors) == (config["reward_stop_threshold"] is None)  # after two steps
    assert re.search(r"Held out \(rollouts: \d+, demonstrations: 1\):\n +before +after\n", output)
    assert re.search(r"AUROC, failures not stopped \(1\) +\d\.\d\d +\d\.\d\d", output)
    assert "Next, let it run: .venv/bin/lerobot-rollout" in output and "--robot.type=so101_sim" in output
    with pytest.raises(UserError, match="outputs/train/second already exists"):
        improve.main()


def test_of_each_kind_every_third_is_held_out():
    success, missed = Outcome(True, "reward", {}), Outcome(False, "reward", {})
    outcomes = {
        0: success,
        1: missed,
        2: success,
        3: Outcome(False, "failure", {}),
        4: success,
        5: success,
        6: success,
    }
    assert split(outcomes) == ([0, 1, 4, 5], [2, 3, 6])
    with pytest.raises(UserError, match="too few rollouts"):
        split({0: success})


def test_it_warns_where_the_policy_was_right_already():
    right, wrong = Outcome(True, "reward", {}), Outcome(False, "reward", {})
    open_end = Outcome(False, None, {})
    assert "right about 11 of 12 rollouts" in improve.little_to_learn(dict(enumerate([right] * 11 + [wrong])))
    assert improve.little_to_learn(dict(enumerate([right] * 10 + [wrong] * 2))) is None
    assert improve.little_to_learn(dict(enumerate([Outcome(False, "failure", {})] * 3)))
    assert improve.little_to_learn({0: open_end}) is None


def test_outcomes_of_a_recording_without_labels(tmp_path):
    """A success that an operator stamps on the last frame is an outcome."""
    features = {
        "action": {"dtype": "float32", "shape": (1,), "names": None},
        "next.success": {"dtype": "bool", "shape": (1,), "names": None},
    }
    dataset = LeRobotDataset.create("local/eval", 10, features, root=tmp_path / "eval", use_videos=False)
    for episode in range(3):
        for frame in range(4):
            done = np.array([episode != 1 and frame == 3])
            dataset.add_frame({"task": "lift", "action": np.zeros(1, np.float32), "next.success": done})
        dataset.save_episode()
    dataset.finalize()
    meta = load_meta("local/eval", tmp_path / "eval")
    outcomes = read_outcomes(meta, RewardLabelConfig())
    assert [outcomes[i].success for i in range(3)] == [True, False, True]
    assert outcomes[1].entry == {"outcome": "failure"}

    # a success that was never set says nothing
    [path] = (tmp_path / "eval" / "data").glob("*/*.parquet")
    table = pq.read_table(path)
    never = pa.array([False] * len(table), type=table.schema.field("next.success").type)
    pq.write_table(table.set_column(table.column_names.index("next.success"), "next.success", never), path)
    with pytest.raises(UserError, match="nothing says how the episodes of local/eval ended"):
        read_outcomes(meta, RewardLabelConfig())

    file = tmp_path / "eval" / REWARD_LABELS_PATH
    file.parent.mkdir()
    file.write_text(json.dumps({"0": {"outcome": "success"}, "2": {"exclude": True}}))
    with pytest.raises(UserError, match="nobody has said how episodes 1 of local/eval ended"):
        read_outcomes(meta, RewardLabelConfig())
    file.write_text(json.dumps({"0": {"outcome": "success"}, "1": {"failed_at": 1}, "2": {"exclude": True}}))
    assert {i: outcome.success for i, outcome in read_outcomes(meta, RewardLabelConfig()).items()} == {
        0: True,
        1: False,
    }


def test_the_table_counts():
    outcomes = {0: Outcome(True, "reward", {}), 1: Outcome(True, None, {}), 2: Outcome(False, "reward", {})}
    seen = {0: Seen(1.0, True, False), 1: Seen(0.4, False, True), 2: Seen(0.4, True, False)}
    rows = measure(seen, outcomes, {7: Seen(1.0, True, False)})
    assert rows == {
        "AUROC, failures stopped as done (1)": "0.75",
        "final reward of successes": "0.70",
        "final reward of failures": "0.40",
        "failures stopped as done (false stops)": "1 of 1",
        "failures with an alarm": "0 of 1",
        "successes never stopped (missed stops)": "1 of 2",
        "successes with an alarm": "1 of 2",
        "demonstrations never stopped": "0 of 1",
        "demonstrations with an alarm": "0 of 1",
    }
    unknown = measure({0: Seen(1.0, None, False)}, outcomes, {})
    assert unknown["successes never stopped (missed stops)"] == "n/a"
    assert table({"before": rows, "after": rows}).splitlines()[1].split()[-2:] == ["0.75", "0.75"]
