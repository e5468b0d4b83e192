"""scripts/visualise.py: which metrics, which files, which errors.

The tiny dataset and the checkpoint are those of conftest.py.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import visualise
from PIL import Image
from shared.checkpoint import read_json
from shared.cli import run_cli
from shared.episodes import choose_episodes, episode_lengths, load_meta
from shared.metrics import METRICS, clock, episode_metrics
from tiny_run import CAMERAS, FPS, LENGTHS, REPO_ID, TINY_POLICY, make_data_set

from lerobot.configs.default import DatasetConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.datasets.factory import make_dataset
from lerobot.policies import get_policy_class, make_policy, make_policy_config, make_pre_post_processors
from rewact.evidence.source import Demonstrations
from rewact.keypoints import REWARD_LABELS_PATH

pytestmark = pytest.mark.usefixtures("offline_in_a_folder_of_its_own")


def run(*arguments) -> None:
    """Run the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["visualise.py", "--device=cpu", *map(str, arguments)])
        visualise.main()


@pytest.fixture
def refused(capsys):
    """Runs the command with arguments that it is to refuse; returns the one line that it says."""

    def call(*arguments) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_cli(lambda: run(*arguments))
        assert ended.value.code == 2
        lines = capsys.readouterr().err.strip().split("\n")
        assert len(lines) == 1 and lines[0].startswith("error: "), lines
        return lines[0]

    return call


# ---- End to end ----


@pytest.fixture(scope="module")
def drawn(checkpoint, tmp_path_factory) -> tuple[Path, dict]:
    output_dir = tmp_path_factory.mktemp("drawn") / "out"
    run("--policy-path", checkpoint, "--output-dir", output_dir)
    return output_dir, json.loads((output_dir / "summary.json").read_text())


def test_one_video_and_one_image_of_each_held_out_episode(drawn):
    output_dir, summary = drawn
    names = {f"local_tiny_episode_{episode:06d}.{kind}" for episode in (1, 3) for kind in ("mp4", "png")}
    assert {path.name for path in output_dir.iterdir()} == names | {"curves.png", "summary.json"}
    assert summary["selection"] == {"rule": "held-out", "trained_on": "0,2"}
    assert [(row["episode"], row["trained_on"]) for row in summary["episodes"]] == [(1, False), (3, False)]


def test_the_video_plays_and_has_the_episodes_frames(drawn):
    output_dir, summary = drawn
    for row in summary["episodes"]:
        with av.open(str(output_dir / row["video"])) as container:
            stream = container.streams.video[0]
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            assert stream.codec_context.name in ("h264", "mpeg4")
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert stream.average_rate == FPS
        assert len(frames) == row["length"] == LENGTHS[row["episode"]]
        height, width, _ = frames[0].shape
        assert width >= 720 and width % 2 == 0 and height % 2 == 0
        # The curve grows: there is more of its blue under the last camera row than at the start.
        blue = [
            ((f[-200:] - np.array([0, 114, 178])).astype(int) ** 2).sum(-1) < 3000
            for f in (frames[0], frames[-1])
        ]
        assert blue[1].sum() > 3 * blue[0].sum()


def test_the_metrics_are_those_of_the_plain_computation(drawn, checkpoint, data_set):
    """Recomputed with LeRobot alone: the training dataset's labels, one frame at a time, a model call each."""
    _, summary = drawn
    policy = get_policy_class("rewact").from_pretrained(checkpoint).eval()
    preprocess, _ = make_pre_post_processors(policy.config, str(checkpoint))
    config = TrainPipelineConfig.from_pretrained(checkpoint)
    for row in summary["episodes"]:
        config.dataset.episodes = [row["episode"]]
        items = make_dataset(config)
        rewards, labels, alone = [], [], []
        policy.reset()
        for i in range(len(items)):
            observation = {
                k: v for k, v in items[i].items() if k.startswith("observation.") and "is_pad" not in k
            }
            observation = {k: v / 255 if v.dtype == torch.uint8 else v for k, v in observation.items()}
            rewards.append(policy.select_action(preprocess(observation))[1].item())
            alone.append(policy.predict_reward(preprocess(observation)).item())
            labels.append(items[i]["reward"].item())
        baseline = clock(len(items), np.mean([LENGTHS[0], LENGTHS[2]]))
        expected = episode_metrics(rewards, labels, baseline, alone)
        for name in (*METRICS, "alone_mae"):
            assert row[name] == pytest.approx(expected[name], abs=1e-4), name
    for name, value in summary["mean"].items():
        assert value == pytest.approx(np.mean([row[name] for row in summary["episodes"]]))
    assert summary["labels"] == {
        "reward_start_pct": 0.1,
        "reward_end_pct": 0.8,
        "reward_interpolation": "linear",
    }
    assert summary["clock"] == {"mean_train_length": 8.0}


def test_an_alarm_is_drawn_dated_and_explained(checkpoint, data_set, tmp_path, capsys):
    """The gripper of the demonstrations is near 20, that of the recordings near 0."""
    policy = get_policy_class("rewact").from_pretrained(checkpoint)
    index = torch.arange(8).repeat_interleave(20)
    state = torch.rand(160, 2, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 20.0])
    names = ["x", "gripper"]
    policy.model.reward_head.verdict.fit(Demonstrations(state, state, names, state, state, names, index, FPS))
    run_dir = Path(shutil.copytree(checkpoint, tmp_path / "policy"))
    policy.save_pretrained(run_dir)
    output = tmp_path / "out"
    run("--policy-path", run_dir, "--episodes", "1", "--output-dir", output)

    (row,) = json.loads((output / "summary.json").read_text())["episodes"]
    alarm = row["alarm"]
    assert re.match(r"gripper -?\d.*, demonstrations 2\d.* here", alarm["reason"])
    assert 0 < alarm["seconds"] < (LENGTHS[1] - 1) / FPS
    assert f"episode 1, {alarm['seconds']:.1f} s: {alarm['reason']}" in capsys.readouterr().out

    def red(image):  # of the reason and of the moment of the alarm
        return ((image.astype(int) - np.array([200, 51, 10])) ** 2).sum(-1) < 3000

    with Image.open(output / row["picture"]) as picture:
        assert red(np.asarray(picture.convert("RGB"))).any()
    with av.open(str(output / row["video"])) as container:
        frames = [red(frame.to_ndarray(format="rgb24"))[-200:].sum() for frame in container.decode(video=0)]
    first = round(alarm["seconds"] * FPS)
    assert min(frames[first:]) > 10 * max(1, *frames[:first])


def test_without_a_label_no_error_is_claimed(checkpoint, data_set, tmp_path):
    """Of an excluded episode, and of a failure of which only the end is known: a clock would win against false labels."""
    root = Path(shutil.copytree(data_set, tmp_path / "data"))
    (root / REWARD_LABELS_PATH).parent.mkdir()
    labels = {"0": {"exclude": True}, "1": {"outcome": "failure"}}
    (root / REWARD_LABELS_PATH).write_text(json.dumps(labels))
    output = tmp_path / "out"
    arguments = ["--policy-path", checkpoint, "--dataset-repo-id", REPO_ID, "--dataset-root", root]
    run(*arguments, "--episodes", "0,1,3", "--output-dir", output)
    summary = json.loads((output / "summary.json").read_text())
    errors = ("mae", "clock_mae", "alone_mae", "blind_mae")
    for row in summary["episodes"][:2]:
        assert [row[name] for name in errors] == [None] * 4
        assert row["final_reward"] is not None and (output / row["video"]).is_file()
    labelled = summary["episodes"][2]
    assert all(summary["mean"][name] == labelled[name] is not None for name in errors)


def test_the_newest_run_is_found_and_each_drawing_has_a_folder_of_its_own(run_dir, monkeypatch, capsys):
    monkeypatch.chdir(run_dir.parents[2])
    for _ in range(2):
        run("--episodes", "2")
    said = capsys.readouterr()
    assert "newest run" in said.out and "tiny_run" in said.out
    assert "WARNING   trained on episode 2: not a test of the reward." in said.err
    folders = list(Path("outputs/visualise/tiny_run").iterdir())
    assert len(folders) == 2
    for folder in folders:
        assert (folder / "local_tiny_episode_000002.mp4").is_file()
        assert json.loads((folder / "summary.json").read_text())["warnings"]


# ---- What is refused ----


def test_output_of_another_run_is_never_overwritten(drawn, checkpoint, refused):
    output_dir, _ = drawn
    before = {path.name: path.stat().st_mtime_ns for path in output_dir.iterdir()}
    assert "is not empty" in refused("--policy-path", checkpoint, "--output-dir", output_dir)
    assert {path.name: path.stat().st_mtime_ns for path in output_dir.iterdir()} == before


def test_a_wrong_policy_path(refused, tmp_path):
    assert "no such folder: some/where/else" in refused("--policy-path", "some/where/else")
    assert "nobody/nothing" in refused("--policy-path", "nobody/nothing")
    assert "config.json" in refused("--policy-path", tmp_path)
    assert "no trained run in outputs" in refused()


def test_a_wrong_dataset(checkpoint, refused, tmp_path):
    gone = tmp_path / "gone"
    assert f"no LeRobot dataset at {gone}" in refused("--policy-path", checkpoint, "--dataset-root", gone)
    assert not gone.exists()
    assert "'local/nothing'" in refused("--policy-path", checkpoint, "--dataset-repo-id", "local/nothing")


def test_an_episode_that_does_not_exist(checkpoint, refused):
    expected = "episode 4 does not exist: 'local/tiny' has episodes 0 to 3"
    assert expected in refused("--policy-path", checkpoint, "--episodes", "1,4")
    assert expected in refused("--policy-path", checkpoint, "--episodes", "2-9")
    assert "'-1'" in refused("--policy-path", checkpoint, "--episodes", -1)
    assert "'2..3'" in refused("--policy-path", checkpoint, "--episodes", "2..3")


def test_an_override_that_makes_no_sense(checkpoint, refused):
    def override(value):
        return refused("--policy-path", checkpoint, "--policy-overrides", value)

    assert "no field 'n_action_step': did you mean n_action_steps" in override("n_action_step=4")
    assert "name=value" in override("n_action_steps")
    assert "n_action_steps=many" in override("n_action_steps=many")
    assert "do not fit" in override("dim_feedforward=64")
    assert "no reward head" in override("use_reward_head=false")


def test_a_policy_without_a_reward_head(refused, data_set, meta, tmp_path):
    save_policy("act", meta, data_set, tmp_path / "act")
    said = refused("--policy-path", tmp_path / "act")
    assert "type 'act'" in said and "--policy.type=rewact" in said
    said = refused("--policy-path", tmp_path / "act", "--policy-overrides", "use_reward_head=true")
    assert "untrained" in said


def test_cameras_that_do_not_match(checkpoint, refused, tmp_path):
    other = make_data_set(tmp_path / "other", [4], {"observation.images.side": (48, 64, 3)})
    said = refused("--policy-path", checkpoint, "--dataset-repo-id", "local/other", "--dataset-root", other)
    assert all(key in said for key in [*CAMERAS, "observation.images.side"])


def test_a_device_that_is_not_here(checkpoint, refused):
    assert "teapot" in refused("--policy-path", checkpoint, "--device", "teapot")


# ---- Real data ----


def save_policy(kind: str, meta, root: Path, folder: Path, **dataset) -> Path:
    """An untrained policy with everything that lerobot-train saves beside the weights."""
    config = make_policy_config(kind, **TINY_POLICY)
    policy = make_policy(config, ds_meta=meta)
    preprocessor, postprocessor = make_pre_post_processors(config, dataset_stats=meta.stats)
    for part in (policy, preprocessor, postprocessor):
        part.save_pretrained(folder)
    TrainPipelineConfig(
        dataset=DatasetConfig(meta.repo_id, root=str(root), video_backend="pyav", **dataset), policy=config
    )._save_pretrained(folder)
    return folder


@pytest.mark.skipif(not os.environ.get("REAL_DATASET"), reason="REAL_DATASET does not name the real data")
def test_a_held_out_episode_of_a_real_robot(tmp_path):
    root = Path(os.environ["REAL_DATASET"])
    meta = load_meta("local/cr5_banana", root)
    folder = save_policy("rewact", meta, root, tmp_path / "policy", episodes=list(range(40)))
    assert choose_episodes(read_json(folder / "train_config.json"), meta).episodes == list(range(40, 48))
    shortest = min(range(40, 48), key=lambda episode: episode_lengths(meta)[episode])
    run("--policy-path", folder, "--episodes", shortest, "--output-dir", tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["clock"]["mean_train_length"] == pytest.approx(np.mean(episode_lengths(meta)[:40]))
    (row,) = summary["episodes"]
    assert (
        row["trained_on"] is False and row["clock_mae"] < 0.2 < row["mae"]
    )  # untrained: worse than the clock
    with av.open(str(tmp_path / "out" / row["video"])) as container:
        assert sum(1 for _ in container.decode(video=0)) == row["length"]
