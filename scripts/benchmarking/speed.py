"""What the reward costs: training, inference, labels and visualise.py, each against plain ACT.

Weights and data are random: time does not depend on them.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared.frames import match_inputs, open_dataset, rows_of_episode
from shared.predict import Loaded, observe
from shared.scheduling import keep_scheduling
from tqdm import tqdm
from visualising.caption import Caption
from visualising.episode import draw_episode

from benchmarking.control_loop import CAMERAS, drive
from benchmarking.timing import ratio, take_turns
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.datasets import LeRobotDataset
from lerobot.policies import get_policy_class, make_policy, make_policy_config, make_pre_post_processors
from lerobot.utils.constants import ACTION, OBS_STATE
from rewact.constants import REWARD_LABEL
from rewact.evidence.gripper import Gripper
from rewact.evidence.source import Demonstrations
from rewact.labels import ProgressLabels
from rewact.progress import progress_reward

CAMERA = "observation.images.top"
REPO_ID, FPS, JOINTS = "local/benchmark_speed", 30, 14
EPISODES = 2
FAST = 5  # turns of an inference for each of a training step, which takes longer
CONTROL_S = 20  # seconds of lerobot-rollout in a turn
ALONE = 64  # frames of the episode that are predicted one by one; enough to know the time of one


def make_dataset(root: Path, height: int, width: int, frames: int) -> LeRobotDataset:
    """Make episodes of `frames` frames, in which a pattern moves slowly, in the folder `root`."""
    features = {
        CAMERA: {"dtype": "video", "shape": (height, width, 3), "names": ["height", "width", "channels"]},
        OBS_STATE: {"dtype": "float32", "shape": (JOINTS,), "names": None},
        ACTION: {"dtype": "float32", "shape": (JOINTS,), "names": None},
    }
    dataset = LeRobotDataset.create(REPO_ID, FPS, features, root=root)
    rng = np.random.default_rng(0)
    pattern = np.kron(
        rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)
    )
    for _ in range(EPISODES):
        for i in range(frames):
            joints = {key: rng.normal(size=JOINTS).astype(np.float32) for key in (OBS_STATE, ACTION)}
            dataset.add_frame({CAMERA: np.roll(pattern, i, axis=1), "task": "lift", **joints})
        with keep_scheduling():
            dataset.save_episode()
    dataset.finalize()
    return dataset


def make_policies(dataset: LeRobotDataset, device: str) -> dict[str, tuple[torch.nn.Module, Callable]]:
    """ACT and RewACT at their default size with their pre-processors, by type. Every part of the reward is on."""
    policies = {}
    for policy_type in ("act", "rewact"):
        torch.manual_seed(0)
        config = make_policy_config(policy_type, device=device, pretrained_backbone_weights=None)
        policy = make_policy(config, ds_meta=dataset.meta)
        policies[policy_type] = policy, make_pre_post_processors(config, dataset_stats=dataset.meta.stats)[0]
    fit_reward(policies["rewact"][0])
    return policies


def fit_reward(policy: torch.nn.Module) -> None:
    """Turn every part of the reward on, as after a training."""
    head = policy.model.reward_head
    head.filter.fit([torch.linspace(0, 1, 100)])
    # As many frames as the evidence remembers at most: 40 demonstrations of 300 frames have more.
    n = 2 * Gripper.MOST_FRAMES
    state, episode = torch.randn(n, JOINTS), torch.arange(n) // (n // 40)
    names = [f"joint {i}" for i in range(JOINTS - 1)] + ["gripper"]
    head.verdict.fit(Demonstrations(state, state, names, state, state, names, episode.clamp(max=39), FPS))
    if not (head.filter.fitted and head.verdict.fitted):
        raise RuntimeError("The reward's filter or evidence is off: its cost would be missing.")


def make_control_policies(height: int, width: int, device: str, folder: Path) -> dict[str, Path]:
    """Checkpoints of ACT and RewACT at their default size for two cameras in a folder, by type."""
    joints, image = (JOINTS,), (3, height, width)
    cameras = {f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, image) for name in CAMERAS}
    stats = {key: {"mean": torch.zeros(joints), "std": torch.ones(joints)} for key in (OBS_STATE, ACTION)}
    stats |= {key: {"mean": torch.zeros(3, 1, 1), "std": torch.ones(3, 1, 1)} for key in cameras}
    for policy_type in ("act", "rewact"):
        torch.manual_seed(0)
        config = make_policy_config(
            policy_type, device=device, pretrained_backbone_weights=None, push_to_hub=False
        )
        config.input_features = cameras | {OBS_STATE: PolicyFeature(FeatureType.STATE, joints)}
        config.output_features = {ACTION: PolicyFeature(FeatureType.ACTION, joints)}
        policy = get_policy_class(policy_type)(config)
        if policy_type == "rewact":
            fit_reward(policy)
        policy.save_pretrained(folder / policy_type)
        for processor in make_pre_post_processors(config, dataset_stats=stats):
            processor.save_pretrained(folder / policy_type)
    return {policy_type: folder / policy_type for policy_type in ("act", "rewact")}


def measure_control_loop(
    height: int, width: int, device: str, repetitions: int
) -> dict[str, dict[str, float]]:
    """Actions and rewards a second in lerobot-rollout, and the longest time between two actions, for two cameras."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = make_control_policies(height, width, device, Path(folder))
        turns: dict[str, list[dict[str, float]]] = {name: [] for name in checkpoints}
        for repetition in range(repetitions):
            order = list(checkpoints)
            for name in reversed(order) if repetition % 2 else order:
                turns[name].append(drive(checkpoints[name], FPS, CONTROL_S))
    per_s, gap = (
        {name: [turn[key] for turn in runs] for name, runs in turns.items()} for key in ("actions", "gap")
    )
    actions = ratio(per_s, "rewact", "act")
    rewards = statistics.median(turn["rewards"] for turn in turns["rewact"])
    return {
        "control_actions": {
            "ratio": actions["ratio"],
            "quartiles": actions["quartiles"],
            "fps": actions["ms"] / 1000,
            "baseline_fps": actions["baseline_ms"] / 1000,
        },
        "control_gap": ratio(gap, "rewact", "act"),
        "control_rewards": {"per_s": rewards},
    }


def make_batch(policy: torch.nn.Module, size: int, training: bool) -> dict[str, torch.Tensor]:
    """A pre-processed batch on the policy's device."""
    config = policy.config
    batch = {key: torch.randn(size, *feature.shape) for key, feature in config.input_features.items()}
    if training:
        batch[ACTION] = torch.randn(size, config.chunk_size, JOINTS)
        batch["action_is_pad"] = torch.zeros(size, config.chunk_size, dtype=torch.bool)
        batch[REWARD_LABEL] = torch.rand(size)
    return {key: value.to(config.device) for key, value in batch.items()}


def training_step(policy: torch.nn.Module, batch_size: int) -> Callable[[], None]:
    """One step as lerobot-train makes it, without the data."""
    preset = policy.config.get_optimizer_preset()
    optimizer = preset.build(policy.get_optim_params())
    batch = make_batch(policy, batch_size, training=True)

    def step() -> None:
        policy.train()
        loss, _ = policy.forward(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), preset.grad_clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return step


def backbone_pass(policy: torch.nn.Module, batch: dict[str, torch.Tensor]) -> Callable[[], Any]:
    """The backbone alone, in the layout in which the reward runs it: no reward from images costs less."""
    layout = torch.channels_last if policy.config.device == "cpu" else torch.contiguous_format

    def run() -> None:
        with torch.no_grad():
            policy.model.backbone(batch[CAMERA].contiguous(memory_format=layout))

    return run


def action_step(policy: torch.nn.Module, batch: dict[str, torch.Tensor], queued: bool) -> Callable[[], None]:
    """One `select_action`, with actions in the queue or without."""

    def step() -> None:
        if queued:
            policy._action_queue.extend([torch.zeros(1, JOINTS, device=policy.config.device)] * 2)
        else:
            policy._action_queue.clear()
        policy.select_action(batch)

    return step


def measure(
    height: int, width: int, frames: int, batch_size: int, repetitions: int, device: str
) -> dict[str, dict[str, float]]:
    """Measure everything for one size of images.

    Args:
        height, width: of the images.
        frames: length of an episode.
        batch_size: of a training step.
        repetitions: turns of a training step.
        device: to run on.
    Returns:
        {what: ratio and times}, see `ratio`.
    """
    with tempfile.TemporaryDirectory() as folder, tqdm(total=6, desc=f"{height}x{width}") as progress:
        root = Path(folder) / "data"
        dataset = make_dataset(root, height, width, frames)
        policies = make_policies(dataset, device)
        act, rewact = (policies[name][0] for name in ("act", "rewact"))
        metrics = {}

        def turns(variants: dict[str, Callable], n: int) -> dict[str, list[float]]:
            times = take_turns(variants, n, device)
            progress.update()
            return times

        steps = {name: training_step(policy, batch_size) for name, (policy, _) in policies.items()}
        metrics["training"] = ratio(turns(steps, repetitions), "rewact", "act")
        del steps

        batch = make_batch(act, 1, training=False)
        calls = {
            "act": lambda: act.predict_action_chunk(batch),
            "rewact": lambda: rewact.predict_action_chunk(batch),
            "reward": lambda: rewact.predict_reward(batch),
            "backbone": backbone_pass(rewact, batch),
        }
        times = turns(calls, FAST * repetitions)
        metrics["inference"] = ratio(times, "rewact", "act")
        metrics["reward_only"] = ratio(times, "reward", "act")
        metrics["backbone"] = ratio(times, "backbone", "act")
        metrics["reward_backbone"] = ratio(times, "reward", "backbone")

        calls = {
            f"{name} {'queue' if queued else 'chunk'}": action_step(policy, batch, queued)
            for name, (policy, _) in policies.items()
            for queued in (True, False)
        }
        times = turns(calls, FAST * repetitions)
        n = act.config.n_action_steps
        mean = {  # of a chunk's first step and the steps from the queue that follow
            name: [
                (chunk + (n - 1) * queue) / n
                for chunk, queue in zip(times[f"{name} chunk"], times[f"{name} queue"], strict=True)
            ]
            for name in policies
        }
        metrics["select_action"] = ratio(mean, "rewact", "act")
        metrics["select_action_queue"] = ratio(times, "rewact queue", "act queue")

        metrics["label"] = measure_label(root, 10 * repetitions)
        progress.update()
        metrics["visualise"] = measure_visualise(
            dataset, policies, Path(folder), -(-repetitions // FAST), device
        )
        progress.update()
        metrics |= measure_control_loop(height, width, device, -(-repetitions // FAST))
        progress.update()
    return metrics


def measure_label(root: Path, repetitions: int) -> dict[str, float]:
    """Making a label against fetching an item as in training."""
    chunk = [i / FPS for i in range(100)]
    dataset = LeRobotDataset(REPO_ID, root=root, delta_timestamps={ACTION: chunk}, return_uint8=True)
    labels = ProgressLabels(list(dataset.meta.episodes["length"]))
    rows = np.random.default_rng(0).integers(len(dataset), size=repetitions + 1)
    item = {}

    def fetch() -> None:
        nonlocal rows, item
        item, rows = dataset[int(rows[0])], np.roll(rows, -1)

    item = dataset[0]
    times = take_turns({"item": fetch, "label": lambda: labels(item)}, len(rows) - 1, "cpu")
    return ratio(times, "label", "item")


def measure_visualise(
    dataset: LeRobotDataset,
    policies: dict[str, tuple[torch.nn.Module, Callable]],
    folder: Path,
    repetitions: int,
    device: str,
) -> dict[str, float]:
    """Frames per second of visualise.py, which also draws, against ACT on one frame after the other."""
    policy, preprocessor = policies["rewact"]
    act, act_preprocessor = policies["act"]
    meta = dataset.meta
    inputs = match_inputs(policy.config, preprocessor, meta)
    opened = open_dataset(meta, str(dataset.root), [0], inputs)
    loaded = Loaded(policy, preprocessor, opened, inputs)
    rows = rows_of_episode(opened, 0)
    alone = rows[:: -(-len(rows) // ALONE)]
    label = progress_reward(np.arange(len(rows)), len(rows))

    def draw() -> None:
        draw_episode(loaded, 0, folder / "episode", Caption("speed", "benchmark"), label)

    def one_by_one() -> None:
        for row in alone:
            item = opened[row]
            act.predict_action_chunk(observe(act_preprocessor, {key: item[key][None] for key in inputs}))

    times = take_turns({"one": one_by_one, "visualise": draw}, repetitions, device)
    per_frame = {
        "one": [seconds / len(alone) for seconds in times["one"]],
        "visualise": [seconds / len(rows) for seconds in times["visualise"]],
    }
    metrics = ratio(per_frame, "one", "visualise")  # more is better here, so the other way round
    return {
        "ratio": metrics["ratio"],
        "quartiles": metrics["quartiles"],
        "fps": 1000 / metrics["baseline_ms"],
        "baseline_fps": 1000 / metrics["ms"],
    }
