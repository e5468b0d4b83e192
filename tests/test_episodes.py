"""scripts/shared/episodes.py: which episodes are held out, and which are looked at."""

import json
import shutil
from pathlib import Path

import pytest
from shared.cli import UserError
from shared.episodes import choose_episodes, load_meta, split_episodes, training_episodes
from shared.merged import save_merged_from
from shared.training import make_flags
from tiny_run import REPO_ID, TINY_POLICY, make_data_set

from lerobot.configs.default import DatasetConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.datasets.factory import make_train_eval_datasets
from lerobot.policies import make_policy_config


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


def test_all_episodes_of_another_dataset(data_set, meta, tmp_path):
    elsewhere = config_of(tmp_path / "gone", repo_id="local/other", episodes=[0])
    choice = choose_episodes(elsewhere, meta)
    assert (choice.episodes, choice.rule, choice.trained_on) == ([0, 1, 2, 3], "other-dataset", [])
    assert choice.train_lengths is None and "no clock" in choice.warnings[0]


def test_another_dataset_of_the_same_name_is_told_by_its_lengths(data_set, meta, tmp_path):
    trained = make_data_set(tmp_path / "trained", [5, 6], {})
    choice = choose_episodes(config_of(trained, episodes=[1]), meta)
    assert (choice.rule, choice.trained_on) == ("other-dataset", [])
    assert choice.train_lengths == [6]  # of the dataset that was trained on


def test_the_episodes_of_a_dataset_that_was_merged_into_the_one_trained_on(data_set, meta, tmp_path):
    merged = make_data_set(tmp_path / "merged", [5, 6, 9, 9], {})
    other = load_meta("local/first", make_data_set(tmp_path / "first", [5, 6], {}))
    save_merged_from(merged, [other, meta])
    config = config_of(merged, repo_id="local/merged", episodes=[1, 3])
    choice = choose_episodes(config, meta)
    assert (choice.episodes, choice.rule, choice.trained_on) == ([0, 2, 3], "held-out", [1])
    assert choice.is_other_dataset  # the label file of the training counts from another episode
    assert choose_episodes(config, other).trained_on == [1]
    copy = load_meta(REPO_ID, shutil.copytree(data_set, tmp_path / "copy"))
    assert choose_episodes(config, copy).trained_on == [1]
    unknown = load_meta("local/unknown", tmp_path / "copy")
    assert choose_episodes(config, unknown).rule == "other-dataset"


@pytest.mark.parametrize("original", ["still there", "gone"])
def test_a_copy_is_the_dataset_that_was_trained_on(data_set, tmp_path, original):
    copy = shutil.copytree(data_set, tmp_path / "copy")
    trained_root = data_set if original == "still there" else tmp_path / "gone"
    choice = choose_episodes(config_of(trained_root, episodes=[0, 2]), load_meta(REPO_ID, copy))
    assert (choice.episodes, choice.rule) == ([1, 3], "held-out")


def test_the_same_folder_under_another_name_is_the_dataset_that_was_trained_on(data_set):
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


def save_run(folder: Path, config: dict) -> Path:
    folder.mkdir()
    (folder / "train_config.json").write_text(json.dumps(config))
    return folder


def test_the_episodes_of_the_run_that_a_training_started_from_are_not_held_out(data_set, meta, tmp_path):
    first = save_run(tmp_path / "first", config_of(data_set, episodes=[0]))
    second = save_run(
        tmp_path / "second",
        config_of(data_set, episodes=[2]) | {"policy": {"pretrained_path": str(first)}, "resume": False},
    )
    config = config_of(data_set, episodes=[3]) | {"policy": {"pretrained_path": str(second)}}
    choice = choose_episodes(config, meta)
    assert (choice.episodes, choice.trained_on, choice.warnings) == ([1], [0, 2, 3], [])
    assert choice.train_lengths == [11]  # the filter and the clock know the last training


def test_the_episodes_of_a_run_are_known_in_a_dataset_that_its_own_was_merged_into(data_set, meta, tmp_path):
    merged = make_data_set(tmp_path / "merged", [5, 6, 9, 9], {})
    other = load_meta("local/first", make_data_set(tmp_path / "first", [5, 6], {}))
    save_merged_from(merged, [other, meta])
    choice = choose_episodes(config_of(data_set, episodes=[1]), load_meta("local/merged", merged))
    assert (choice.episodes, choice.rule, choice.trained_on) == ([0, 1, 2], "held-out", [3])


def test_where_the_data_of_the_weights_that_a_training_started_from_is_gone_nobody_knows(
    data_set, meta, tmp_path
):
    first = save_run(tmp_path / "first", config_of(tmp_path / "gone", repo_id="local/other"))
    config = config_of(data_set, episodes=[3]) | {"policy": {"pretrained_path": str(first)}}
    choice = choose_episodes(config, meta)
    assert choice.trained_on == [3] and f"started from {first}" in choice.warnings[0]


def test_a_run_that_names_itself_as_its_start_is_read_once(data_set, meta, tmp_path):
    folder = tmp_path / "run"
    config = config_of(data_set, episodes=[3]) | {"policy": {"pretrained_path": str(folder)}}
    save_run(folder, config)
    choice = choose_episodes(config, meta)
    assert choice.trained_on == [3] and str(folder) in choice.warnings[0]


def test_with_streaming_nothing_is_held_out(data_set, meta):
    choice = choose_episodes(config_of(data_set, episodes=[0, 1], streaming=True), meta)
    assert choice.rule == "trained-on-all" and choice.trained_on == [0, 1, 2, 3]


def test_a_dataset_in_the_old_format_is_named_with_the_command_that_converts_it(data_set, tmp_path):
    root = tmp_path / "my cups"
    shutil.copytree(data_set / "meta", root / "meta")
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    command = (
        f"-m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=me/cups --root='{root}' --push-to-hub=false"
    )
    for use in (lambda: load_meta("me/cups", root), lambda: make_flags("me/cups", str(root))):
        with pytest.raises(UserError) as error:
            use()
        assert "old format v2.1. Convert it: .venv/bin/python " + command in str(error.value)
        assert "\n" not in str(error.value)

    (root / "rewact_extensions").mkdir()  # labels, which LeRobot's command leaves behind
    with pytest.raises(UserError) as error:
        load_meta("me/cups", root)
    assert str(error.value).endswith(f"{command} && cp -r '{root}_old/rewact_extensions' '{root}'")
