"""The actions of a trained policy: how far they are from the recorded ones, and how long they take."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from shared.predict import observe

from benchmarking.recordings import Frames

ACTION_EVERY = 20  # frames between two chunks of which the action error is taken
TIMED_STEPS = 40


@torch.no_grad()
def action_error(
    policy: torch.nn.Module, preprocessor: Callable, postprocessor: Callable, episodes: Sequence[Frames]
) -> float:
    """Mean absolute error of the predicted chunks against the episodes' actions, in the dataset's units."""
    errors = []
    for frames in episodes:
        rows = torch.arange(0, len(frames.state), ACTION_EVERY)
        chunks = policy.predict_action_chunk(observe(preprocessor, frames.inputs(rows)))
        for row, chunk in zip(rows, postprocessor(chunks).cpu(), strict=True):
            true = frames.action[row : row + len(chunk)]
            errors.append((chunk[: len(true)] - true).abs().mean())
    return float(torch.stack(errors).mean())


@torch.no_grad()
def step_times(policies: dict[str, tuple], frames: Frames) -> dict[str, float]:
    """Mean milliseconds of `select_action` without pre-processing; the policies take turns."""
    times: dict[str, list[float]] = {name: [] for name in policies}
    for policy, *_ in policies.values():
        policy.reset()
    for t in range(TIMED_STEPS):
        for name, (policy, preprocessor, _) in policies.items():
            inputs = frames.inputs(slice(t, t + 1))
            batch = observe(preprocessor, inputs)
            start = time.perf_counter()
            policy.select_action(batch)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: float(np.mean(values)) for name, values in times.items()}
