"""The model card of a checkpoint: LeRobot's own, with what is known about the reward."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from huggingface_hub import ModelCard
from shared.checkpoint import CALIBRATION, read_json, read_train_config
from shared.cli import UserError, format_episodes
from shared.episodes import load_meta
from shared.run import LABEL_SETTINGS

from cards.figures import figures_section
from cards.section import put_section, split
from lerobot.configs.default import DatasetConfig
from rewact.model_card import NEXT_HEADING
from rewact.stopping import EARLY_STOPS, HOLD_S

REWARD_HEADING = "## Reward Head"  # of rewact.model_card
NO_NAME = "<hf_user>/<policy_repo_id>"  # LeRobot's, in a card whose policy has no name on the Hub


def training_config(folder: Path) -> SimpleNamespace | None:
    """What LeRobot's card wants of a train_config.json, None where there is none.

    LeRobot's own class would resolve devices and paths on this machine.
    """
    config = read_train_config(folder)
    if config is None:
        return None
    trained, optimizer = config["dataset"], config.get("optimizer") or {}
    settings = {key: trained[key] for key in LABEL_SETTINGS if trained.get(key) is not None}
    return SimpleNamespace(
        steps=config["steps"],
        batch_size=config["batch_size"],
        seed=config["seed"],
        optimizer=SimpleNamespace(type=optimizer.get("type"), lr=optimizer.get("lr")),
        dataset=DatasetConfig(repo_id=trained["repo_id"], **settings),
    )


def lerobot_card(policy: Any, folder: Path) -> str:
    """The card that LeRobot would push at the end of training."""
    cfg, meta = training_config(folder), None
    trained = (read_train_config(folder) or {}).get("dataset") or {}
    if trained:
        try:
            meta = load_meta(trained["repo_id"], trained.get("root"), trained.get("revision"))
        except UserError as error:
            print(f"the card does not describe the training dataset: {error}")
    config = policy.config
    # LeRobot asks the Hub whether the metadata are valid. The Hub asks again at the upload, and here may be no network.
    with patch.object(ModelCard, "validate"):
        card = policy.generate_model_card(
            trained.get("repo_id"), config.type, config.license, config.tags, cfg=cfg, dataset_meta=meta
        )
    return str(card)


def promise(threshold: float, folder: Path) -> str:
    """What a threshold promises, as far as it is known what it was calibrated on."""
    path = folder / CALIBRATION
    known = read_json(path) if path.is_file() else {}
    if known.get("threshold") != threshold:  # given by hand, or changed since
        return (
            f"The checkpoint does not say what this threshold was calibrated on. `make calibrate` sets it so that at most "
            f"{EARLY_STOPS:.0%} of the held-out successes are stopped before they are done, unless told otherwise. It "
            "expects the same of new episodes like them."
        )
    n, seen, share = len(known["episodes"]), known["trained_on"], known["early_stops"]
    which = f"{n} success{'es' if n > 1 else ''} (episodes {format_episodes(known['episodes'])} of `{known['dataset']}`)"
    if seen is None:
        which += ". **Whether the policy was trained on them is not known.**"
    elif seen:
        which += f". **The policy was trained on {len(seen)} of them, so the promise below is not kept.**"
    else:
        which += " that the policy was not trained on."
    return (
        f"It was calibrated on {which} At most {share:.0%} of them would be stopped before they are done, and "
        f"{n - known['never_stopped']} of the {n} would be stopped at all. A new episode like them is stopped too early "
        f"with a probability of at most {max(share, 1 / (n + 1)):.0%}."
    )


def threshold_section(threshold: float | None, folder: Path) -> str:
    """When the task counts as done, and what the threshold promises."""
    heading = "## When the task counts as done"
    if threshold is None:
        return f"{heading}\n\nNo threshold yet. `make calibrate POLICY={folder}` finds it on successes that were held out."
    return f"""\
{heading}

When the reward stays at or above **{threshold:.3f}** for {HOLD_S} s. `lerobot-rollout` with `--stop_on_reward` ends an \
episode then.

{promise(threshold, folder)} Nothing is promised in another light, with another camera or another object, nor that every \
success is stopped."""


def model_card(policy: Any, folder: Path, found: tuple[Path, dict[str, Any]] | None) -> str:
    """The text of README.md for a checkpoint; the text that a person wrote into it is kept.

    Args:
        policy: with a reward head.
        folder: that it was loaded from.
        found: of `cards.figures.find_summary`.
    """
    fresh = lerobot_card(policy, folder)
    before, rest = fresh.split(REWARD_HEADING, 1)
    reward, after = rest.split(NEXT_HEADING, 1)
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else before + NEXT_HEADING + after
    text = text.replace(NO_NAME, policy.config.repo_id or NO_NAME)  # a card may get its name later
    # A card that LeRobot pushed has this section already, and its owner may have changed it.
    has_reward = REWARD_HEADING in "".join(split(text, path) or text)
    parts = [] if has_reward else [f"{REWARD_HEADING}{reward}".strip()]
    parts += [figures_section(folder, found), threshold_section(policy.config.reward_stop_threshold, folder)]
    return put_section(text, "\n\n".join(parts), NEXT_HEADING, path)
