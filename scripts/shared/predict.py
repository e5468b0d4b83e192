"""What a policy says about the progress of an episode, frame by frame.

    from shared.predict import load_with_dataset, predict_episode

    loaded = load_with_dataset(folder, meta, root, episodes=[3, 7])
    reward = predict_episode(loaded, 7)       # (T,), as select_action gives it along the episode

Two steps make a reward: the evidence of each frame alone (`read_evidence`), and following it over time
(`follow`). A reward of one frame alone is `reward_of`.

The commands that the evidence compares are those of the recording. In front of the robot they are the policy's own.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.utils.constants import ACTION
from rewact.head import RewardEvidence
from shared.checkpoint import load_policy, read_train_config
from shared.cli import warn
from shared.frames import TOLERANCE_S, match_inputs, open_dataset, read_frames, rows_of_episode

BATCH_SIZE = 32


# ---- Any frames ----


def observe(preprocessor: Any, frames: dict[str, Tensor], task: str = "") -> dict[str, Any]:
    """The policy's batch of frames as a dataset holds them.

    Args:
        preprocessor: the policy's own.
        frames: {dataset key: (B, ...)}; uint8 images are scaled to [0, 1].
        task: of all of them; ACT does not read it.
    """
    n = len(next(iter(frames.values())))
    batch: dict[str, Any] = {
        key: value.to(torch.float32) / 255.0 if value.dtype == torch.uint8 else value
        for key, value in frames.items()
    }
    return preprocessor(batch | {"task": [task] * n})


def read_evidence(
    policy: torch.nn.Module, preprocessor: Any, frames: dict[str, Tensor], task: str = ""
) -> RewardEvidence:
    """What each of the frames, {dataset key: (B, ...)}, says about the reward by itself.

    Where they hold an action, it is that of the frame before, see `before`.
    """
    batch = observe(preprocessor, frames, task)
    command = batch.pop(ACTION, None)
    return policy.reward.evidence(batch)._replace(command=command)


def before(actions: Tensor) -> Tensor:
    """(T, A) actions of an episode to those of the frame before each, NaN for the first."""
    return torch.cat([torch.full_like(actions[:1], torch.nan), actions[:-1]])


def actions_before(policy: torch.nn.Module, dataset: LeRobotDataset, rows: Sequence[int]) -> Tensor | None:
    """The (T, A) action before each of an episode's frames, None where the dataset has none that is like the policy's."""
    if not has_commands(policy, dataset.meta):
        return None
    column = dataset.hf_dataset.with_format("numpy", columns=[ACTION])[list(rows)][ACTION]
    return before(torch.as_tensor(np.stack(column), dtype=torch.float32))


def has_commands(policy: torch.nn.Module, meta: LeRobotDatasetMetadata) -> bool:
    """Whether a dataset has actions like the policy's."""
    feature = meta.features.get(ACTION)
    return feature is not None and tuple(feature["shape"]) == tuple(policy.config.action_feature.shape)


def needs_commands(policy: torch.nn.Module) -> bool:
    """Whether the evidence of a policy compares states after the same command."""
    verdict = getattr(policy.model.reward_head, "verdict", None)
    return verdict is not None and bool(verdict.fitted) and any(s.commanded for s in verdict.sources)


def reward_of(policy: torch.nn.Module, evidence: RewardEvidence) -> Tensor:
    """The (B,) rewards of frames taken one by one, whatever came before them."""
    return policy.model.reward_head.value(evidence.logits)


class Followed(NamedTuple):
    """What the policy says along T frames of an episode.

    Attributes:
        reward: (T,) as select_action gives it: progress * ok.
        progress: (T,) how far the task has come.
        ok: (T,) whether the episode goes as successes go.
        reasons: of each frame, that of the latest alarm, None without.
    """

    reward: Tensor
    progress: Tensor
    ok: Tensor
    reasons: list[str | None]


def follow(policy: torch.nn.Module, episodes: Sequence[RewardEvidence]) -> list[Followed]:
    """Follow episodes over time, all at once, each as a sample of a batch.

    Args:
        policy: it goes on from where it is, so reset it before the first frames of the episodes.
        episodes: the evidence of T consecutive frames of each; T may differ.
    """
    lengths = [len(evidence.logits) for evidence in episodes]
    steps: list[tuple[Tensor, Tensor, Tensor]] = []
    reasons: list[list[str | None]] = []
    for t in range(max(lengths)):
        now = [min(t, length - 1) for length in lengths]  # an episode that has ended stays at its last frame
        samples = [evidence.samples(slice(i, i + 1)) for evidence, i in zip(episodes, now, strict=True)]
        reward, details = policy.reward.follow(join(samples)), policy.reward.details()
        steps.append((reward, details["progress"], details["ok"]))
        reasons.append(details["reasons"])
    reward, progress, ok = (torch.stack(part, dim=1) for part in zip(*steps, strict=True))  # (episodes, T)
    return [
        Followed(reward[i, :n], progress[i, :n], ok[i, :n], [at[i] for at in reasons[:n]])
        for i, n in enumerate(lengths)
    ]


def follow_nothing(policy: torch.nn.Module, length: int) -> np.ndarray | None:
    """The (T,) rewards of `length` frames in which nothing is observed: what the filter knows of the demonstrations'
    pace. None from a policy without a filter, which knows nothing then."""
    head = policy.model.reward_head
    if not (policy.config.reward_filter and head.filter is not None and head.filter.fitted):
        return None
    policy.reset()
    # NaN says nothing to the filter. Equal probabilities would speak against the bins that the labels have most often.
    nothing = torch.full((length, head.n_bins), torch.nan, device=next(policy.parameters()).device)
    (followed,) = follow(policy, [RewardEvidence(nothing)])
    return followed.reward.cpu().numpy()


def join(parts: Sequence[RewardEvidence]) -> RewardEvidence:
    """The evidence of several batches as that of one."""
    return RewardEvidence(
        *(None if part[0] is None else torch.cat(part) for part in zip(*parts, strict=True))
    )


# ---- The episodes of a dataset ----


@dataclass
class Loaded:
    """A policy, and the episodes that it is to look at.

    Attributes:
        policy: in eval mode, with the reward head.
        preprocessor: its own saved pre-processor.
        dataset: the chosen episodes, with the policy's cameras only.
        inputs: {dataset key: policy key} of what the policy reads, cameras first.
    """

    policy: torch.nn.Module
    preprocessor: Any
    dataset: LeRobotDataset
    inputs: dict[str, str]

    @property
    def cameras(self) -> list[str]:
        return [key for key in self.inputs if key in self.dataset.meta.camera_keys]


def load_with_dataset(
    folder: Path,
    meta: LeRobotDatasetMetadata,
    root: str | None,
    episodes: list[int],
    device: str | None = None,
    overrides: Sequence[str] = (),
) -> Loaded:
    """Load a policy together with the episodes that it is to look at.

    Args:
        folder, device, overrides: as in `load_policy`.
        meta: the dataset's metadata.
        root: the dataset's folder; None for LeRobot's cache or the Hub.
        episodes: the episodes to open.
    """
    policy, preprocessor, _ = load_policy(folder, device, overrides)
    inputs = match_inputs(policy.config, preprocessor, meta)
    if needs_commands(policy) and not has_commands(policy, meta):
        warn(
            f"{meta.repo_id} has no actions like the policy's: its gripper is not compared with the "
            "demonstrations, and no failure is noticed."
        )
    tolerance_s = (read_train_config(folder) or {}).get("tolerance_s") or TOLERANCE_S
    return Loaded(policy, preprocessor, open_dataset(meta, root, episodes, inputs, tolerance_s), inputs)


@dataclass
class Prediction:
    """One frame of an episode, and what the policy says there.

    Attributes:
        images: {camera: (C, H, W)} as the dataset holds them.
        reward: as select_action gives it.
        ok: the part of it that says whether the episode goes as successes go.
        alone: the reward of this frame alone.
        reason: of the latest alarm up to here, None without.
    """

    images: dict[str, Tensor]
    reward: float
    ok: float
    alone: float
    reason: str | None


@torch.inference_mode()
def predict_frames(
    loaded: Loaded,
    episode: int,
    batch_size: int = BATCH_SIZE,
    dtype: torch.dtype = torch.float32,
    rest: int = 0,
) -> Iterator[Prediction]:
    """Predict an episode from its first frame on, reading and looking at a batch of frames at a time.

    Args:
        loaded: the policy, and the dataset that holds the episode.
        episode: its index.
        batch_size: frames per model call; it changes the speed, not the rewards.
        dtype: the precision to compute in; below float32 by autocast.
        rest: how many frames longer the last one is shown, as if the robot stayed there.
    """
    policy = loaded.policy
    policy.reset()
    precision = (
        contextlib.nullcontext()
        if dtype == torch.float32
        else torch.autocast(torch.device(policy.config.device).type, dtype)
    )
    rows = rows_of_episode(loaded.dataset, episode)
    sent = actions_before(policy, loaded.dataset, rows)
    for start in range(0, len(rows), batch_size):
        n = min(batch_size, len(rows) - start)
        frames, task = read_frames(loaded.dataset, rows[start], n, loaded.inputs)
        if sent is not None:
            frames |= {ACTION: sent[start : start + n]}
        with precision:
            evidence = read_evidence(policy, loaded.preprocessor, frames, task)
        if start + n == len(rows):
            evidence = evidence.samples(torch.arange(n + rest).clamp(max=n - 1))
        alone = reward_of(policy, evidence)  # (n,), rest more at the end
        if len(alone) != len(evidence.logits):
            raise ValueError(f"the reward head gave shape {tuple(alone.shape)} for {n} frames.")
        (followed,) = follow(policy, [evidence])
        curves = (part.float().tolist() for part in (followed.reward, followed.ok, alone))
        for i, values in enumerate(zip(*curves, followed.reasons, strict=True)):
            yield Prediction({key: frames[key][min(i, n - 1)] for key in loaded.cameras}, *values)


def predict_episode(
    loaded: Loaded, episode: int, batch_size: int = BATCH_SIZE, progress: tqdm | None = None
) -> np.ndarray:
    """The (T,) rewards of an episode, as select_action gives them.

    Args:
        loaded, episode, batch_size: as in `predict_frames`.
        progress: a bar to move on by one with each frame.
    """
    rewards = []
    for prediction in predict_frames(loaded, episode, batch_size):
        rewards.append(prediction.reward)
        if progress is not None:
            progress.update()
    return np.array(rewards)
