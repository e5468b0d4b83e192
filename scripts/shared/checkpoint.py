"""Find a trained policy, and load it with the processors that were saved beside it.

    from shared.checkpoint import find_policy, load_policy

    folder, name = find_policy("outputs/train/banana")     # a run, a checkpoint or a Hub id; None: the newest run
    policy, preprocessor, postprocessor = load_policy(folder)

Whatever the user can put right is a UserError.
"""

import contextlib
import difflib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors import safe_open

from lerobot.configs import PreTrainedConfig
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.processor import PolicyProcessorPipeline
from lerobot.utils.device_utils import is_torch_device_available
from shared.cli import UserError

RUNS = Path("outputs/train")
CALIBRATION = "reward_calibration.json"  # beside config.json: what the threshold was calibrated on


# ---- Where it is ----


def find_policy(path: str | None) -> tuple[Path, str]:
    """Find the folder that holds the policy's config.json, and name its training run.

    Args:
        path: a pretrained_model folder, a checkpoint, a run, or a model on the Hub; None for the newest run.
    """
    if path is None:
        # Search for the file and not for the folder: `last` is a link, which ** does not follow by itself.
        configs = RUNS.glob("**/checkpoints/last/pretrained_model/config.json")
        newest = max(configs, key=lambda config: config.stat().st_mtime, default=None)
        if newest is None:
            raise UserError(f"no trained run in {RUNS}: train one (make train) or give --policy-path.")
        path = str(newest.parent)

    folder = Path(path)
    if folder.is_dir():
        steps = sorted(
            (p for p in folder.glob("checkpoints/*") if p.name.isdecimal()), key=lambda p: int(p.name)
        )
        candidates = [folder, folder / "pretrained_model", folder / "last" / "pretrained_model"]
        candidates += [folder / "checkpoints" / "last" / "pretrained_model"]
        candidates += [
            step / "pretrained_model" for step in reversed(steps)
        ]  # a copy may lack the link `last`
        for candidate in candidates:
            if (candidate / "config.json").is_file():
                return candidate, run_name(candidate)
        raise UserError(f"no policy in {path}: neither it nor its checkpoints hold a config.json.")
    if folder.exists():
        raise UserError(f"{path} is a file: --policy-path takes the folder that holds config.json.")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", path):
        raise UserError(f"no such folder: {path}.")
    try:
        folder = Path(snapshot_download(path, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # the Hub's client raises many unrelated types
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{path} is neither a folder here nor a model that the Hub provides: {reason}"
        ) from error
    if not (folder / "config.json").is_file():
        raise UserError(f"{path} on the Hub is no policy: it has no config.json.")
    return folder, path.replace("/", "_")


def run_name(pretrained_model: Path) -> str:
    """A short name for the run of .../<run>/checkpoints/<step>/pretrained_model."""
    parents = pretrained_model.resolve().parents
    if len(parents) < 4 or parents[1].name != "checkpoints":
        return pretrained_model.resolve().name
    run = parents[2]
    # LeRobot's own default is outputs/train/<date>/<time>_<job>: the time alone is no name.
    return f"{run.parent.name}_{run.name}" if re.fullmatch(r"\d{4}-\d\d-\d\d", run.parent.name) else run.name


def checkpoint_step(pretrained_model: Path) -> int | None:
    """The training step of .../checkpoints/<step>/pretrained_model, also behind the link `last`; None for other folders."""
    checkpoint = pretrained_model.resolve().parent.name
    return int(checkpoint) if checkpoint.isdecimal() else None


def read_json(path: Path) -> dict[str, Any]:
    """The contents of a JSON file, or a UserError that names it."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error


def read_train_config(folder: Path) -> dict[str, Any] | None:
    """The checkpoint's train_config.json, or None where it has none."""
    path = folder / "train_config.json"
    return read_json(path) if path.is_file() else None


def choose_device(device: str | None) -> str:
    """The device asked for, if it is available; None stands for an accelerator, or the CPU without one."""
    if device is None:
        return next((name for name in ("cuda", "mps", "xpu") if is_torch_device_available(name)), "cpu")
    try:
        available = is_torch_device_available(device)
    except ValueError:
        available = False
    if not available:
        raise UserError(f"--device {device} is not available here.")
    return device


# ---- What it holds ----


def load_policy(
    path: str | Path,
    device: str | None = None,
    overrides: Sequence[str] = (),
    needs_reward: bool = True,
) -> tuple[torch.nn.Module, PolicyProcessorPipeline, PolicyProcessorPipeline]:
    """Load a policy in eval mode, with its own saved pre-processor and post-processor.

    Args:
        path: the folder that holds config.json, as `find_policy` gives it.
        device: to run on, such as "cuda:1"; None for an accelerator if there is one.
        overrides: fields of the policy's config to change, such as "n_action_steps=10".
        needs_reward: whether to refuse a policy that has no trained reward head.
    """
    folder, device = Path(path), choose_device(device)
    config = read_config(folder, device, overrides)
    if needs_reward:
        check_reward_head(folder, config)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # LeRobot prints where it loads from
            policy = get_policy_class(config.type).from_pretrained(folder, config=config)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the weights of {folder} do not fit its config: {reason[:300]}") from error
    try:
        preprocessor, postprocessor = make_pre_post_processors(
            config, str(folder), preprocessor_overrides={"device_processor": {"device": device}}
        )
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no saved pre-processor (policy_preprocessor.json).") from error
    return policy.to(device).eval(), preprocessor, postprocessor


def read_config(folder: Path, device: str, overrides: Sequence[str] = ()) -> PreTrainedConfig:
    """The policy's config for this device, with the fields in `overrides` changed."""
    policy_type = read_json(folder / "config.json").get("type")
    if policy_type not in PreTrainedConfig.get_known_choices():
        unpatched = (
            "apply the patch series first (make apply)." if policy_type == "rewact" else "is it a policy?"
        )
        raise UserError(f"LeRobot does not know the policy type '{policy_type}' of {folder}: {unpatched}")
    config_class = PreTrainedConfig.get_choice_class(policy_type)
    arguments = override_arguments(overrides, config_class)

    # The backbone's ImageNet weights would be downloaded only to be overwritten by the checkpoint's.
    defaults = [f"--device={device}"]
    if "pretrained_backbone_weights" in {f.name for f in fields(config_class)}:
        defaults.append("--pretrained_backbone_weights=null")
    parser_output = io.StringIO()
    try:
        with contextlib.redirect_stderr(parser_output):
            return PreTrainedConfig.from_pretrained(folder, cli_overrides=defaults + arguments)
    except (Exception, SystemExit) as error:  # LeRobot's parser raises its own types, and exits on some
        said = (parser_output.getvalue() if isinstance(error, SystemExit) else str(error)).strip().split("\n")
        what = f"--policy-overrides {' '.join(overrides)}" if overrides else f"{folder}/config.json"
        raise UserError(f"{what} does not make a valid {config_class.__name__}: {said[-1]}") from error


def override_arguments(overrides: Sequence[str], config_class: type[PreTrainedConfig]) -> list[str]:
    """['n_action_steps=10'] as arguments for LeRobot's config parser; a UserError names an unknown field."""
    known = [f.name for f in fields(config_class)]
    arguments = []
    for override in overrides:
        name, equals, value = override.removeprefix("--").partition("=")
        if not equals:
            raise UserError(f"--policy-overrides takes name=value, got '{override}'.")
        if name.split(".")[0] not in known:
            close = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(sorted(known))}."
            raise UserError(f"--policy-overrides: {config_class.__name__} has no field '{name}': {hint}")
        arguments.append(f"--{name}={value}")
    return arguments


def check_reward_head(folder: Path, config: PreTrainedConfig) -> None:
    """Refuse a policy without a reward head, and one whose weights do not have one."""
    if not getattr(config, "use_reward_head", False):
        raise UserError(
            f"the policy at {folder} (type '{config.type}') has no reward head: "
            "train one with --policy.type=rewact (make train does)."
        )
    weights = folder / "model.safetensors"
    if (folder / "adapter_config.json").is_file():
        raise UserError(
            f"{folder} holds PEFT adapters without the policy's weights, which these commands cannot load: merge them "
            "into the policy first (merge_and_unload of the peft library)."
        )
    if not weights.is_file():
        raise UserError(f"no weights at {weights}.")
    with safe_open(weights, framework="pt") as checkpoint:
        if not any("reward_head." in name for name in checkpoint.keys()):  # noqa: SIM118 (not a dict)
            raise UserError(f"{weights} holds no reward head: the override would leave it untrained.")
