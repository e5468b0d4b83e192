"""scripts/card.py: what the cards say, and that they keep what a person wrote."""

import json
import os
import shutil
import sys

import calibrate
import card
import numpy as np
import pytest
import visualise
from cards.model import NO_NAME
from cards.section import BEGIN, END
from scoring.score_file import write_scores
from shared.checkpoint import CALIBRATION
from shared.cli import UserError
from tiny_run import LENGTHS, REPO_ID

from rewact.keypoints import REWARD_LABELS_PATH
from rewact.scores import SCORES_PATH


def call(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    module.main()


@pytest.fixture(scope="module")
def measured(checkpoint, tmp_path_factory):
    """A folder to work in, with a checkpoint and the figures that visualise.py has written for it."""
    folder = tmp_path_factory.mktemp("measured")
    shutil.copytree(checkpoint, folder / "pretrained_model")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.chdir(folder)
        call(monkeypatch, visualise, "--policy-path", "pretrained_model", "--device", "cpu")
    return folder


@pytest.fixture
def work(measured, tmp_path, monkeypatch):
    """A copy of it, which is the current folder."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shutil.copytree(measured, tmp_path / "work")  # with the files' times
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def write_model_card(work, monkeypatch):
    def write(*arguments) -> str:
        call(monkeypatch, card, "--policy-path", "pretrained_model", *arguments)
        return (work / "pretrained_model" / "README.md").read_text()

    return write


def change_summary(work, **changes):
    [path] = (work / "outputs").glob("**/summary.json")
    summary = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(summary))
    return summary


def test_the_model_card_has_the_measured_figures(work, write_model_card, capsys):
    text = write_model_card("--hub-id", "me/pusher")
    mean = change_summary(work)["mean"]
    for row, prefix, final in (("this policy", "", "final_reward"), ("clock", "clock_", "clock_final")):
        figures = [mean[f"{prefix}mae"], mean[f"{prefix}spearman"], mean[final]]
        assert f"| {row} | {' | '.join(f'{figure:.3f}' for figure in figures)} |" in text
    assert f"2 episodes of `{REPO_ID}` (1,3), which were held out from training." in text
    assert text.startswith("---\ndatasets: local/tiny") and "## How to Get Started with the Model" in text
    assert text.count("## Reward Head") == 1 and 'path = "me/pusher"' in text
    assert "1 from 0.8, and linear" in text  # the labels of this training
    assert "| Training steps | 4 |" in text
    assert "No threshold yet. `make calibrate POLICY=pretrained_model`" in text
    assert "    .venv/bin/hf upload me/pusher pretrained_model\n" in capsys.readouterr().out


def test_figures_that_are_not_those_of_the_weights_are_not_shown(work, write_model_card):
    weights = work / "pretrained_model" / "model.safetensors"
    os.utime(weights)  # trained again since
    text = write_model_card()
    assert "Not measured yet. `make visualise POLICY=pretrained_model` measures" in text
    assert "clock" not in text


def test_figures_of_another_checkpoint_are_not_shown(work, write_model_card):
    policy = change_summary(work)["policy"]
    change_summary(work, policy=policy | {"path": "elsewhere/pretrained_model"})
    assert "Not measured yet" in write_model_card()


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        ([True, False], "**The policy was trained on 1 of them: this is no test of the reward.**"),
        ([None, None], "**Whether the policy was trained on them is not known.**"),
    ],
)
def test_figures_that_are_no_test_say_so(work, write_model_card, seen, sentence):
    rows = change_summary(work)["episodes"]
    rows = [row | {"trained_on": said} for row, said in zip(rows, seen, strict=True)]
    change_summary(work, episodes=rows, selection={"rule": "requested"}, warnings=["from another run."])
    text = write_model_card()
    assert sentence in text and "held out" not in text.partition("## How good the reward is")[2].split("|")[0]
    assert "Note: from another run." in text


def test_what_a_person_wrote_stays_and_the_section_is_renewed(work, write_model_card):
    readme, config = work / "pretrained_model" / "README.md", work / "pretrained_model" / "config.json"
    write_model_card()
    mine = readme.read_text().replace("# Model Card for rewact", "# My pusher")
    readme.write_text(mine + "\nIt worked in 8 of 10 trials.\n")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"reward_stop_threshold": 0.9}))
    text = write_model_card()
    assert "# My pusher" in text and text.endswith("\nIt worked in 8 of 10 trials.\n")
    assert text.count("## How good the reward is") == text.count("## Reward Head") == text.count(BEGIN) == 1
    assert "stays at or above **0.900** for 0.5 s" in text and "No threshold yet" not in text
    assert "does not say what this threshold was calibrated on" in text
    assert write_model_card() == text
    text = write_model_card("--hub-id", "me/pusher")  # named later
    assert "--policy.path=me/pusher" in text and NO_NAME not in text and "# My pusher" in text


def test_the_promise_is_that_of_the_calibration(work, write_model_card, monkeypatch):
    rewards = [np.linspace(0, 1, LENGTHS[i]) for i in (1, 3)]
    monkeypatch.setattr(calibrate, "predict_episodes", lambda opened: rewards)
    call(monkeypatch, calibrate, "--policy-path", "pretrained_model", "--device", "cpu")
    text = write_model_card()
    assert (
        f"calibrated on 2 successes (episodes 1,3 of `{REPO_ID}`) that the policy was not trained on." in text
    )
    assert (
        "At most 10% of them would be stopped before they are done, and 2 of the 2 would be stopped at all"
        in text
    )
    assert "a probability of at most 33%." in text  # of two episodes one in three, whatever is asked for
    path = work / "pretrained_model" / CALIBRATION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trained_on": [3]}))
    assert "The policy was trained on 1 of them" in write_model_card()


def test_a_card_that_has_the_reward_section_gets_no_second_one(work, write_model_card):
    pushed = "# Pusher\n\n## Reward Head\n\nMy words.\n\n## How to Get Started with the Model\n\nLike this."
    (work / "pretrained_model" / "README.md").write_text(pushed)
    text = write_model_card()
    assert text.count("## Reward Head") == 1 and "My words." in text
    assert text.index("My words.") < text.index("## How good the reward is") < text.index("Like this.")
    assert write_model_card() == text


@pytest.mark.parametrize("left", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}\n{END}\n{BEGIN}\n{END}"])
def test_a_section_without_its_comments_is_refused(work, write_model_card, left):
    readme = work / "pretrained_model" / "README.md"
    readme.write_text(f"# Mine\n{left}\nmore\n")
    with pytest.raises(UserError, match="has lost one of the two comments"):
        write_model_card()
    assert readme.read_text() == f"# Mine\n{left}\nmore\n"


@pytest.fixture
def write_dataset_card(data_set, tmp_path, monkeypatch):
    root = shutil.copytree(data_set, tmp_path / "data")

    def write() -> str:
        call(monkeypatch, card, "--dataset", REPO_ID, "--root", root)
        return (root / "README.md").read_text()

    write.root = root
    return write


def test_the_dataset_card_counts_labels_and_scores(write_dataset_card, meta, capsys):
    labels = {
        "0": {"outcome": "success", "keypoints": [{"frame_index": 3, "reward": 0.5}]},
        "1": {"outcome": "success", "proposed": {"stopped_by": "reward"}},
        "3": {"failed_at": 2},
    }
    path = write_dataset_card.root / REWARD_LABELS_PATH
    path.parent.mkdir()
    path.write_text(json.dumps(labels))
    scores = {i: np.linspace(0, 0.8, LENGTHS[i]) for i in (0, 2)}
    write_scores(write_dataset_card.root / SCORES_PATH, meta, scores, {"cross_fit": "x", "folds": [[0], [2]]})
    text = write_dataset_card()
    assert (
        "| success | failed | excluded | proposed, not accepted | not said |\n|---|---|---|---|---|\n"
        "| 1 | 1 | 0 | 1 | 1 |" in text
    )
    assert "Episodes with keypoints of the reward: 1." in text
    assert "in 2 of 4 episodes" in text and "ends at 0.80 on average" in text
    assert "by 2 RewACT policies, each for the episodes that it was not trained on" in text
    command = text.partition("```bash\n")[2].partition("```")[0]
    for flag in ("repo_id=me/tiny", "mask_failed_actions=true", "exclude_proposed_labels=true", "type=rabc"):
        assert flag in command
    assert len(command.splitlines()) == 4
    said = capsys.readouterr().out
    assert f".venv/bin/hf upload me/tiny {write_dataset_card.root} --repo-type=dataset" in said
    assert ".venv/bin/hf repos tag create me/tiny v3.0 --repo-type=dataset" in said


def test_a_dataset_card_keeps_its_text(write_dataset_card):
    readme = write_dataset_card.root / "README.md"
    readme.write_text("# Mine\n\n## Dataset Structure\n\nas usual\n")
    text = write_dataset_card()
    assert "Nothing says how the 4 episodes ended" in text and "There are no scores for RA-BC" in text
    assert text.replace(text[text.index(BEGIN) : text.index(END) + len(END)] + "\n\n", "") == (
        "# Mine\n\n## Dataset Structure\n\nas usual\n"
    )
    assert write_dataset_card() == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--root", "data"], "name it too, with --dataset"),
        (["--dataset", "me/cups", "--hub-id", "me/policy"], "is the name of a policy"),
    ],
)
def test_arguments_without_their_partner_are_refused(monkeypatch, arguments, message):
    with pytest.raises(UserError, match=message):
        call(monkeypatch, card, *arguments)
