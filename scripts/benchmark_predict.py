"""What a trained policy says about the held-out episodes of the benchmark.

from benchmark_predict import load, predict, read_episodes

policy, preprocessor, postprocessor = load(checkpoint)
curves = predict(policy, preprocessor, list(read_episodes(root)))     # a row of curves for each episode
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from lerobot.configs import PreTrainedConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.policies.act.reward_filter import RewardTracker
from lerobot.policies.act.reward_head import RewardEvidence

BATCH_SIZE = 64
ACTION_EVERY = 20  # frames between two chunks of which the action error is taken
TIMED_STEPS = 40


@dataclass
class Frames:
    """The frames of one episode, in memory."""

    images: Tensor  # (T, C, H, W) uint8
    state: Tensor  # (T, S)
    action: Tensor  # (T, A)


def read_episodes(root: Path, episodes: Sequence[int] | None = None) -> Iterator[Frames]:
    """Episodes of a data set with one camera, its video decoded once from start to end."""
    dataset = LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav", return_uint8=True)
    (camera,) = dataset.meta.camera_keys
    columns = dataset.hf_dataset.with_format("numpy")
    state, action = (
        torch.from_numpy(np.stack(columns[key])).float() for key in ("observation.state", "action")
    )
    videos: dict[Path, tuple[np.ndarray, np.ndarray]] = {}
    for index in range(dataset.meta.total_episodes) if episodes is None else episodes:
        episode = dataset.meta.episodes[index]
        file = root / dataset.meta.get_video_file_path(index, camera)
        if file not in videos:
            with av.open(str(file)) as container:
                frames = [
                    (frame.to_ndarray(format="rgb24"), frame.time) for frame in container.decode(video=0)
                ]
            videos = {file: (np.stack([f for f, _ in frames]), np.array([t for _, t in frames]))}
        pictures, times = videos[file]
        start = int(np.abs(times - episode[f"videos/{camera}/from_timestamp"]).argmin())
        rows = slice(episode["dataset_from_index"], episode["dataset_to_index"])
        yield Frames(
            images=torch.from_numpy(pictures[start : start + episode["length"]]).permute(0, 3, 1, 2),
            state=state[rows],
            action=action[rows],
        )


def load(folder: Path) -> tuple[torch.nn.Module, Callable, Callable]:
    """A trained policy, ready to predict, and its own pre- and post-processor."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # The backbone's weights would be downloaded only to be overwritten.
    overrides = [f"--device={device}", "--pretrained_backbone_weights=null"]
    config = PreTrainedConfig.from_pretrained(folder, cli_overrides=overrides)
    policy = get_policy_class(config.type).from_pretrained(folder, config=config)
    device_step = {"device_processor": {"device": device}}
    return policy.eval(), *make_pre_post_processors(
        config, str(folder), preprocessor_overrides=device_step, postprocessor_overrides=device_step
    )


def observe(
    policy: torch.nn.Module, preprocessor: Callable, images: Tensor, state: Tensor, **more: Tensor
) -> dict:
    """The policy's batch of (B, C, H, W) uint8 pictures and (B, S) states, and of more, such as actions."""
    (camera,) = policy.config.image_features
    return preprocessor(
        {camera: images.float() / 255, "observation.state": state, "task": [""] * len(images), **more}
    )


# ---- The reward ----


def changed(frames: Frames) -> tuple[Tensor, Tensor]:
    """The frames that differ from the one before, and for each frame which of them it equals.

    A waiting arm shows the same picture for seconds; it need not be looked at again.
    """
    new = (frames.images[1:] != frames.images[:-1]).flatten(1).any(1) | (
        frames.state[1:] != frames.state[:-1]
    ).any(1)
    new = torch.cat([torch.ones(1, dtype=torch.bool), new])
    return new.nonzero()[:, 0], new.cumsum(0) - 1


def look(policy: torch.nn.Module, preprocessor: Callable, frames: Frames) -> RewardEvidence:
    """The evidence of every frame of an episode."""
    rows, same = changed(frames)
    parts = [
        policy.reward_evidence(observe(policy, preprocessor, frames.images[some], frames.state[some]))
        for some in rows.split(BATCH_SIZE)
    ]
    return RewardEvidence(
        *(None if part[0] is None else torch.cat(part)[same] for part in zip(*parts, strict=True))
    )


def follow(head: torch.nn.Module, evidence: Sequence[RewardEvidence]) -> list[np.ndarray]:
    """The (T,) rewards that select_action gives along each episode; all of them are followed at once."""
    lengths = [len(episode.logits) for episode in evidence]
    tracker, rewards = RewardTracker(head), []
    for t in range(max(lengths)):  # an episode that has ended stays at its last frame
        rows = [
            episode.samples(slice(min(t, n - 1), min(t, n - 1) + 1))
            for episode, n in zip(evidence, lengths, strict=True)
        ]
        rewards.append(
            tracker(
                RewardEvidence(
                    *(None if part[0] is None else torch.cat(part) for part in zip(*rows, strict=True))
                )
            )
        )
    stacked = torch.stack(rewards, dim=1).cpu().numpy()  # (episodes, T)
    return [row[:n] for row, n in zip(stacked, lengths, strict=True)]


@torch.no_grad()
def predict(
    policy: torch.nn.Module, preprocessor: Callable, episodes: Sequence[Frames]
) -> dict[str, list[np.ndarray]]:
    """The (T,) rewards of every episode by row: one for the original head, ours with and without its parts."""
    head = policy.model.reward_head
    evidence = [look(policy, preprocessor, frames) for frames in episodes]
    raw = [head.value(episode.logits).cpu().numpy() for episode in evidence]
    if not head.reads_observation:
        return {"original": raw}
    blind = [episode._replace(features=None) for episode in evidence]
    return {
        "ours": follow(head, evidence),
        "ours, without familiarity": follow(head, blind),
        "ours, one frame alone": raw,
    }


@torch.no_grad()
def latent_gap(
    policy: torch.nn.Module, preprocessor: Callable, episodes: Sequence[tuple[Frames, np.ndarray]]
) -> dict[str, float]:
    """The reward's MAE with the VAE's latent of the true actions, as in training, and with none, as at inference.

    Args:
        episodes: of each its frames, and the (T,) true progress.
    """
    errors: dict[str, list[float]] = {"mae_with_latent": [], "mae_without_latent": []}
    chunk = torch.arange(policy.config.chunk_size)
    for frames, phase in episodes:
        length = len(frames.state)
        rows = torch.arange(0, length, ACTION_EVERY)
        ahead = rows[:, None] + chunk  # (B, chunk_size)
        batch = observe(
            policy,
            preprocessor,
            frames.images[rows],
            frames.state[rows],
            action=frames.action[ahead.clamp(max=length - 1)],
            action_is_pad=ahead >= length,
            reward=torch.tensor(np.asarray(phase)[rows.numpy()], dtype=torch.float32),
        )
        for name, told in (("mae_with_latent", True), ("mae_without_latent", False)):
            policy.model.training = told  # of ACT alone: its parts go on without dropout
            errors[name].append(policy.forward(batch)[1]["reward_mae"])
        policy.model.training = False
    return {name: float(np.mean(values)) for name, values in errors.items()}


# ---- The actions, and the time they take ----


@torch.no_grad()
def action_error(
    policy: torch.nn.Module, preprocessor: Callable, postprocessor: Callable, episodes: Sequence[Frames]
) -> float:
    """Mean absolute error of the predicted chunks against the episodes' actions, in the data set's units."""
    errors = []
    for frames in episodes:
        rows = torch.arange(0, len(frames.state), ACTION_EVERY)
        chunks = policy.predict_action_chunk(
            observe(policy, preprocessor, frames.images[rows], frames.state[rows])
        )
        for row, chunk in zip(rows, postprocessor(chunks).cpu(), strict=True):
            true = frames.action[row : row + len(chunk)]
            errors.append((chunk[: len(true)] - true).abs().mean())
    return float(torch.stack(errors).mean())


@torch.no_grad()
def step_times(policies: dict[str, tuple], frames: Frames) -> dict[str, float]:
    """Mean milliseconds of `select_action`, pre-processing left out, the policies taking turns."""
    times: dict[str, list[float]] = {name: [] for name in policies}
    for policy, *_ in policies.values():
        policy.reset()
    for t in range(TIMED_STEPS):
        for name, (policy, preprocessor, _) in policies.items():
            batch = observe(policy, preprocessor, frames.images[t : t + 1], frames.state[t : t + 1])
            start = time.perf_counter()
            policy.select_action(batch)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: float(np.mean(values)) for name, values in times.items()}
