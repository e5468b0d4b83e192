"""The reward of held-out episodes, as a trained policy predicts it.

from benchmarking.curves import predict
from benchmarking.recordings import read_episodes
from shared.checkpoint import load_policy

policy, preprocessor, _ = load_policy(checkpoint)
rows = predict(policy, preprocessor, list(read_episodes(root)))     # a curve for each episode, by row
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from shared.predict import before, follow, join, observe, read_evidence, reward_of
from torch import Tensor

from benchmarking.recordings import Frames
from lerobot.utils.constants import ACTION, OBS_STATE
from rewact.head import RewardEvidence

BATCH_SIZE = 64
OK = "ok"
LATENT_EVERY = 20  # frames between two of which the latent is compared


def changed(frames: Frames) -> tuple[Tensor, Tensor]:
    """The frames that differ from the one before, and for each frame which of them it equals.

    The image of a waiting arm stays the same for seconds; the policy need not look at it again.
    """
    new = (frames.state[1:] != frames.state[:-1]).any(1)
    for images in frames.images.values():
        new |= (images[1:] != images[:-1]).flatten(1).any(1)
    new = torch.cat([torch.ones(1, dtype=torch.bool), new])
    return new.nonzero()[:, 0], new.cumsum(0) - 1


def look(policy: torch.nn.Module, preprocessor: Callable, frames: Frames) -> RewardEvidence:
    """The evidence of every frame of an episode."""
    rows, same = changed(frames)
    parts = [read_evidence(policy, preprocessor, frames.inputs(some)) for some in rows.split(BATCH_SIZE)]
    sent = observe(preprocessor, {OBS_STATE: frames.state, ACTION: before(frames.action)})[ACTION]
    return join(parts).samples(same)._replace(command=sent)


@torch.no_grad()
def predict(
    policy: torch.nn.Module, preprocessor: Callable, episodes: Sequence[Frames]
) -> dict[str, list[np.ndarray]]:
    """The (T,) rewards of every episode by row: one for the original head, ours with and without its parts.

    The row OK holds no reward but the part of "ours" that says whether the episode goes as successes go.
    """
    evidence = [look(policy, preprocessor, frames) for frames in episodes]
    alone = [reward_of(policy, episode).cpu().numpy() for episode in evidence]
    if policy.config.reward_head == "decoder":
        return {"original": alone}
    policy.reset()
    followed = follow(policy, evidence)
    return {
        "ours, without evidence": [each.progress.cpu().numpy() for each in followed],
        "ours": [each.reward.cpu().numpy() for each in followed],
        "ours, one frame alone": alone,
        OK: [each.ok.cpu().numpy() for each in followed],
    }


@torch.no_grad()
def latent_gap(
    policy: torch.nn.Module, preprocessor: Callable, episodes: Sequence[tuple[Frames, np.ndarray]]
) -> dict[str, float]:
    """The reward's MAE with the VAE's latent of the true actions, as in training, and without, as at inference.

    Args:
        episodes: of each its frames, and the (T,) true progress.
    """
    errors: dict[str, list[float]] = {"mae_with_latent": [], "mae_without_latent": []}
    chunk = torch.arange(policy.config.chunk_size)
    for frames, phase in episodes:
        length = len(frames.state)
        rows = torch.arange(0, length, LATENT_EVERY)
        ahead = rows[:, None] + chunk  # (B, chunk_size)
        labels = {
            "action": frames.action[ahead.clamp(max=length - 1)],
            "action_is_pad": ahead >= length,
            "reward": torch.tensor(np.asarray(phase)[rows.numpy()], dtype=torch.float32),
        }
        batch = observe(preprocessor, frames.inputs(rows) | labels)
        for name, told in (("mae_with_latent", True), ("mae_without_latent", False)):
            policy.model.training = told  # only ACT itself: its modules stay without dropout
            errors[name].append(policy.forward(batch)[1]["reward_mae"])
        policy.model.training = False
    return {name: float(np.mean(values)) for name, values in errors.items()}
