"""scripts/visualise.py and scripts/episodes.py: which episodes, which figures, which files, which errors.

The tiny data set and the checkpoint are those of conftest.py.
"""

import json
import os
import shutil
from pathlib import Path

import av
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import visualise
from shared.cli import UserError, format_episodes, parse_episodes
from shared.episodes import (
    choose_episodes,
    episode_lengths,
    load_meta,
    split_episodes,
    training_episodes,
)
from shared.metrics import clock, episode_metrics
from tiny_run import CAMERAS, FPS, LENGTHS, REPO_ID, TINY_POLICY, make_data_set

from lerobot.configs.default import DatasetConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.datasets.factory import make_dataset, make_train_eval_datasets
from lerobot.policies import get_policy_class, make_policy, make_policy_config, make_pre_post_processors

pytestmark = pytest.mark.usefixtures("offline_in_a_folder_of_its_own")


@pytest.fixture(scope="module")
def meta(data_set):
    return load_meta(REPO_ID, data_set)


@pytest.fixture
def refused(capsys):
    """Runs the command with arguments that it is to refuse; returns the one line that it says."""

    def call(*arguments) -> str:
        capsys.readouterr()
        assert visualise.main([str(argument) for argument in [*arguments, "--device", "cpu"]]) == 2
        lines = capsys.readouterr().err.strip().split("\n")
        assert len(lines) == 1 and lines[0].startswith("error: "), lines
        return lines[0]

    return call


# ---------------------------------------------------------------------------------------- which episodes


@pytest.mark.parametrize(
    ("text", "episodes"),
    [("40-42", [40, 41, 42]), ("7", [7]), ("0,3, 5-7", [0, 3, 5, 6, 7]), ("2,1-3", [2, 1, 3])],
)
def test_parse_episodes(text, episodes):
    assert parse_episodes(text) == episodes


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "1,,2", "7-5", "1.5"])
def test_parse_episodes_names_what_it_cannot_read(text):
    with pytest.raises(UserError, match=f"'{text}'"):
        parse_episodes(text)


def test_format_episodes_is_the_reverse():
    assert format_episodes([7, 0, 1, 2]) == "0-2,7"
    assert parse_episodes(format_episodes([1, 2, 9, 5])) == [1, 2, 5, 9]


@pytest.mark.parametrize("episodes", [None, [3, 0, 2], [1, 3]])
@pytest.mark.parametrize("eval_split", [0.0, 0.25, 0.5])
def test_the_split_is_lerobots(data_set, meta, episodes, eval_split):
    config = TrainPipelineConfig(
        dataset=DatasetConfig(
            REPO_ID, root=str(data_set), episodes=episodes, eval_split=eval_split, video_backend="pyav"
        ),
        policy=make_policy_config("rewact", **TINY_POLICY),
    )
    as_saved = {"repo_id": REPO_ID, "root": str(data_set), "episodes": episodes, "eval_split": eval_split}
    try:
        train, held_out = make_train_eval_datasets(config)
    except ValueError:  # LeRobot refuses a split that leaves nothing to train on
        assert training_episodes(as_saved, meta) == []
        return
    mine = training_episodes(as_saved, meta)
    assert mine == sorted(range(4) if train.episodes is None else train.episodes)
    if held_out is not None:
        base = list(range(4)) if episodes is None else episodes
        assert split_episodes(base, meta.episodes["tasks"], eval_split) == (train.episodes, held_out.episodes)


def config_of(root, **dataset) -> dict:
    return {
        "dataset": {"repo_id": REPO_ID, "root": str(root), "episodes": None, "eval_split": 0.0, **dataset}
    }


def test_held_out_are_the_episodes_not_selected_for_training(data_set, meta):
    choice = choose_episodes(config_of(data_set, episodes=[0, 2]), meta)
    assert (choice.episodes, choice.rule, choice.trained_on) == ([1, 3], "held-out", [0, 2])
    assert choice.train_lengths == [9, 7]
    assert choice.warnings == []


def test_held_out_are_the_episodes_of_the_eval_split(data_set, meta):
    # "push" has 0, 2 and 3 and gives up its last two, "pull" has only 1 and gives it up.
    choice = choose_episodes(config_of(data_set, eval_split=0.5), meta)
    assert (choice.episodes, choice.rule, choice.trained_on) == ([1, 2, 3], "held-out", [0])


def test_where_training_used_everything_the_last_three_come_with_a_warning(data_set, meta):
    choice = choose_episodes(config_of(data_set), meta)
    assert (choice.episodes, choice.rule) == ([1, 2, 3], "trained-on-all")
    assert "all 4 episodes" in choice.warnings[0]


def test_training_episodes_asked_for_come_with_a_warning(data_set, meta):
    choice = choose_episodes(config_of(data_set, episodes=[0, 2]), meta, requested=[3, 2])
    assert (choice.episodes, choice.rule) == ([3, 2], "requested")
    assert choice.warnings == ["trained on episode 2: not a test of the reward."]
    assert choose_episodes(config_of(data_set, episodes=[0, 2]), meta, requested=[3]).warnings == []


def test_all_episodes_of_another_data_set(data_set, meta, tmp_path):
    elsewhere = config_of(tmp_path / "gone", repo_id="local/other", episodes=[0])
    choice = choose_episodes(elsewhere, meta)
    assert (choice.episodes, choice.rule, choice.trained_on) == ([0, 1, 2, 3], "other-data-set", [])
    assert choice.train_lengths is None and "no clock" in choice.warnings[0]


def test_another_data_set_of_the_same_name_is_told_by_its_lengths(data_set, meta, tmp_path):
    trained = make_data_set(tmp_path / "trained", [5, 6], {})
    choice = choose_episodes(config_of(trained, episodes=[1]), meta)
    assert (choice.rule, choice.trained_on) == ("other-data-set", [])
    assert choice.train_lengths == [6]  # of the data set that was trained on


@pytest.mark.parametrize("original", ["still there", "gone"])
def test_a_copy_is_the_data_set_that_was_trained_on(data_set, tmp_path, original):
    copy = shutil.copytree(data_set, tmp_path / "copy")
    trained_root = data_set if original == "still there" else tmp_path / "gone"
    choice = choose_episodes(config_of(trained_root, episodes=[0, 2]), load_meta(REPO_ID, copy))
    assert (choice.episodes, choice.rule) == ([1, 3], "held-out")


def test_the_same_folder_under_another_name_is_the_data_set_that_was_trained_on(data_set):
    choice = choose_episodes(config_of(data_set, episodes=[0, 2]), load_meta("me/renamed", data_set))
    assert (choice.episodes, choice.rule) == ([1, 3], "held-out")


def test_without_a_train_config_nothing_is_called_held_out(meta):
    choice = choose_episodes(None, meta)
    assert (choice.episodes, choice.rule, choice.trained_on) == ([1, 2, 3], "unknown", None)
    assert "unknown" in choice.warnings[0]


def test_weights_that_another_training_started_from_are_named(data_set, meta):
    config = {**config_of(data_set, episodes=[0]), "policy": {"pretrained_path": "me/base"}, "resume": False}
    assert "me/base" in choose_episodes(config, meta).warnings[0]
    assert choose_episodes({**config, "resume": True}, meta).warnings == []


# ---------------------------------------------------------------------------------------- end to end


@pytest.fixture(scope="module")
def drawn(checkpoint, tmp_path_factory) -> tuple[Path, dict]:
    output_dir = tmp_path_factory.mktemp("drawn") / "out"
    arguments = ["--policy-path", str(checkpoint), "--output-dir", str(output_dir), "--device", "cpu"]
    assert visualise.main(arguments) == 0
    return output_dir, json.loads((output_dir / "summary.json").read_text())


def test_one_video_and_one_picture_of_each_held_out_episode(drawn):
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


def test_the_figures_are_those_of_the_plain_computation(drawn, checkpoint, data_set):
    """Recomputed with LeRobot alone: the training data set's labels, one frame at a time, a model call each."""
    _, summary = drawn
    policy = get_policy_class("rewact").from_pretrained(checkpoint).eval()
    preprocess, _ = make_pre_post_processors(policy.config, str(checkpoint))
    config = TrainPipelineConfig.from_pretrained(checkpoint)
    for row in summary["episodes"]:
        config.dataset.episodes = [row["episode"]]
        items = make_dataset(config)
        rewards, labels = [], []
        policy.reset()
        for i in range(len(items)):
            observation = {
                k: v for k, v in items[i].items() if k.startswith("observation.") and "is_pad" not in k
            }
            observation = {k: v / 255 if v.dtype == torch.uint8 else v for k, v in observation.items()}
            rewards.append(policy.select_action(preprocess(observation))[1].item())
            labels.append(items[i]["reward"].item())
        expected = episode_metrics(rewards, labels, clock(len(items), np.mean([LENGTHS[0], LENGTHS[2]])))
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, abs=1e-4), name
    for name, value in summary["mean"].items():
        assert value == pytest.approx(np.mean([row[name] for row in summary["episodes"]]))
    assert summary["labels"] == {
        "reward_start_pct": 0.1,
        "reward_end_pct": 0.8,
        "reward_interpolation": "linear",
    }
    assert summary["clock"] == {"mean_train_length": 8.0}


def test_the_batch_size_changes_no_figure(checkpoint, meta, data_set):
    policy, preprocessor = visualise.load_policy(checkpoint, [], "cpu")
    inputs = visualise.match_inputs(policy.config, preprocessor, meta)
    dataset = visualise.open_data_set(meta, data_set, [1, 2], inputs, 1e-4)
    rows = visualise.rows_of_episode(dataset, 2)
    assert [dataset[row]["frame_index"].item() for row in rows] == list(range(LENGTHS[2]))
    assert {dataset[row]["episode_index"].item() for row in rows} == {2}
    rewards = {
        n: [reward for _, *reward in visualise.predict(policy, preprocessor, dataset, rows, inputs, n)]
        for n in (1, 3, 32)
    }
    np.testing.assert_allclose(rewards[3], rewards[1], atol=1e-5)
    np.testing.assert_allclose(rewards[32], rewards[1], atol=1e-5)
    low = [r for _, *r in visualise.predict(policy, preprocessor, dataset, rows, inputs, 32, torch.bfloat16)]
    np.testing.assert_allclose(low, rewards[1], atol=0.05)


@pytest.mark.parametrize("n", [1, 4, LENGTHS[2]])
def test_frames_read_together_are_those_read_one_by_one_and_each_video_is_opened_once(
    data_set, meta, monkeypatch, n
):
    keys = [*CAMERAS, "observation.state"]
    dataset = visualise.open_data_set(meta, data_set, [1, 2], {key: key for key in keys}, 1e-4)
    row = visualise.rows_of_episode(dataset, 2)[0]
    items = [dataset[row + i] for i in range(n)]
    opened = []
    av_open = av.open
    monkeypatch.setattr(
        av, "open", lambda file, *args, **kwargs: opened.append(file) or av_open(file, *args, **kwargs)
    )
    dataset.reader._video_backend = "pyav"  # torchcodec keeps its files open

    frames, task = visualise.read_frames(dataset, row, n, keys)

    assert set(frames) == set(keys) and task == items[0]["task"]
    for key in keys:
        torch.testing.assert_close(frames[key], torch.stack([item[key] for item in items]), rtol=0, atol=0)
    assert len(opened) == len(CAMERAS)
    assert set(dataset[row]) == set(items[0])  # which gives single frames as before


def test_only_the_policys_cameras_are_decoded(checkpoint, data_set):
    meta = load_meta(REPO_ID, data_set)
    dataset = visualise.open_data_set(
        meta, data_set, [1], {"observation.images.top": "observation.images.top"}, 1e-4
    )
    assert "observation.images.wrist" not in dataset[0]
    assert dataset[0]["observation.images.top"].dtype == torch.uint8


def test_a_video_has_every_picture_in_order_and_in_its_colours(tmp_path):
    n = visualise.VideoFile.WAITING + 8
    greys = np.linspace(0, 255, n).round().astype(np.uint8)
    with visualise.VideoFile(tmp_path / "video.mp4", 30, 64, 48) as video:
        for grey in greys:
            video.write(np.full((48, 64, 3), (grey, 200, 40), dtype=np.uint8))
    with av.open(str(tmp_path / "video.mp4")) as container:
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert len(pictures) == n
    middle = pictures[:, 24, 32].astype(int)
    np.testing.assert_allclose(middle, [(grey, 200, 40) for grey in greys], atol=12)


@pytest.mark.parametrize("n", [1, visualise.VideoFile.WAITING + 8])
def test_a_picture_that_cannot_be_encoded_ends_the_video_with_its_error(tmp_path, monkeypatch, n):
    def fail(self, picture):
        raise OSError("disk full")

    monkeypatch.setattr(visualise.VideoFile, "_encode", fail)
    with (
        pytest.raises(OSError, match="disk full"),
        visualise.VideoFile(tmp_path / "video.mp4", 30, 64, 48) as video,
    ):
        for _ in range(n):
            video.write(np.zeros((48, 64, 3), dtype=np.uint8))


def test_the_newest_run_is_found_and_each_drawing_has_a_folder_of_its_own(run_dir, monkeypatch, capsys):
    monkeypatch.chdir(run_dir.parents[2])
    for _ in range(2):
        assert visualise.main(["--episode-id", "2", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "newest run" in said.out and "tiny_run" in said.out
    assert "WARNING   trained on episode 2: not a test of the reward." in said.err
    folders = list(Path("outputs/visualise/tiny_run").iterdir())
    assert len(folders) == 2
    for folder in folders:
        assert (folder / "local_tiny_episode_000002.mp4").is_file()
        assert json.loads((folder / "summary.json").read_text())["warnings"]


def test_a_run_a_checkpoint_and_its_weights_folder_name_the_same_policy(run_dir, checkpoint, tmp_path):
    found = [
        visualise.find_policy(str(path))
        for path in (run_dir, run_dir / "checkpoints", checkpoint.parent, checkpoint)
    ]
    assert {folder.resolve() for folder, _ in found} == {checkpoint.resolve()}
    assert {name for _, name in found} == {"tiny_run"}
    copy = shutil.copytree(run_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("last"))  # without links
    assert visualise.find_policy(str(copy))[0].parent.name == checkpoint.resolve().parent.name


# ---------------------------------------------------------------------------------------- what is refused


def test_output_of_an_earlier_run_is_never_overwritten(drawn, checkpoint, refused):
    output_dir, _ = drawn
    before = {path.name: path.stat().st_mtime_ns for path in output_dir.iterdir()}
    assert "is not empty" in refused("--policy-path", checkpoint, "--output-dir", output_dir)
    assert {path.name: path.stat().st_mtime_ns for path in output_dir.iterdir()} == before


def test_a_wrong_policy_path(refused, tmp_path):
    assert "no such folder: some/where/else" in refused("--policy-path", "some/where/else")
    assert "nobody/nothing" in refused("--policy-path", "nobody/nothing")
    assert "config.json" in refused("--policy-path", tmp_path)
    assert "no trained run in outputs" in refused()


def test_a_wrong_data_set(checkpoint, refused, tmp_path):
    gone = tmp_path / "gone"
    assert f"no LeRobot data set at {gone}" in refused("--policy-path", checkpoint, "--dataset-root", gone)
    assert not gone.exists()
    assert "'local/nothing'" in refused("--policy-path", checkpoint, "--dataset-repo-id", "local/nothing")


def test_an_episode_that_does_not_exist(checkpoint, refused):
    expected = "episode 4 does not exist: 'local/tiny' has episodes 0 to 3"
    assert expected in refused("--policy-path", checkpoint, "--episode-id", 1, 4)
    assert expected in refused("--policy-path", checkpoint, "--episodes", "2-9")
    assert "episode -1 does not exist" in refused("--policy-path", checkpoint, "--episode-id", -1)
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


def test_a_device_that_is_not_here(checkpoint, capsys):
    assert visualise.main(["--policy-path", str(checkpoint), "--device", "teapot"]) == 2
    assert "teapot" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------- the drawing


@pytest.mark.parametrize("length", [1, 2])
def test_the_shortest_episodes_can_be_drawn(length, tmp_path):
    note = visualise.Caption("tiny  ·  episode 0", "held out", False)
    images = {"observation.image": torch.zeros(3, 96, 96, dtype=torch.uint8)}
    reward, label = np.full(length, 0.25, np.float32), np.zeros(length, np.float32)
    video = visualise.VideoFrames(note, {"observation.image": (96, 96)}, label, FPS)
    for i in range(length):
        assert video.draw(i, images, 0.25).shape == (video.height, video.width, 3)
    thumbnails = {
        i: {k: visualise.to_picture(v) for k, v in images.items()} for i in visualise.thumbnail_frames(length)
    }
    row = episode_metrics(reward, label, None)
    visualise.draw_picture(tmp_path / "a.png", note, row, (reward, label, None, reward / 2), thumbnails, FPS)
    visualise.draw_overview(
        tmp_path / "b.png",
        "t",
        [{"episode": 0, "trained_on": False}],
        [(reward, label, None, reward)],
        [note],
        FPS,
    )
    assert (tmp_path / "a.png").stat().st_size > 1000 and (tmp_path / "b.png").stat().st_size > 1000
    assert plt.get_fignums() == []


def test_a_table_shows_what_is_not_defined_as_such():
    row = {"episode": 0, "length": 1, "trained_on": None, **episode_metrics([0.5], [0.0])}
    means = {name: row[name] for name in episode_metrics([0.5], [0.0])}
    shown = visualise.table([row], means)
    assert "n/a" in shown and "nan" not in shown and "unknown" in shown


def test_pictures_and_depth_maps_are_drawn_from_floats_too():
    picture = visualise.to_picture(torch.full((3, 4, 5), 0.5))
    assert picture.shape == (4, 5, 3) and picture.dtype == np.uint8 and (picture == 128).all()
    depth = visualise.to_picture(torch.tensor([[[0.0, 500.0, 1000.0]]]))
    assert depth.shape == (1, 3, 3) and depth[0, 2, 0] == 255


# ---------------------------------------------------------------------------------------- real data


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
    assert choose_episodes(visualise.read_json(folder / "train_config.json"), meta).episodes == list(
        range(40, 48)
    )
    shortest = min(range(40, 48), key=lambda episode: episode_lengths(meta)[episode])
    arguments = ["--policy-path", folder, "--episode-id", shortest, "--output-dir", tmp_path / "out"]
    assert visualise.main([str(argument) for argument in [*arguments, "--device", "cpu"]]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["clock"]["mean_train_length"] == pytest.approx(np.mean(episode_lengths(meta)[:40]))
    (row,) = summary["episodes"]
    assert (
        row["trained_on"] is False and row["clock_mae"] < 0.2 < row["mae"]
    )  # untrained: worse than the clock
    with av.open(str(tmp_path / "out" / row["video"])) as container:
        assert sum(1 for _ in container.decode(video=0)) == row["length"]
