"""A trained policy on the simulated SO-101, as fast as possible: whether it does the task, and what its reward says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lerobot_robot_so101_sim import SO101Sim
from lerobot_robot_so101_sim.pick_place import TASK

from lerobot.policies.utils import build_inference_frame, make_robot_action
from lerobot.utils.feature_utils import hw_to_dataset_features


@dataclass
class Rollout:
    """What came of a rollout.

    Attributes:
        seed: of where cube and plate were.
        failure: what went wrong, by its name; "none" for nothing.
        lifted: whether the cube was lifted.
        done: (T,) whether the task was done, frame by frame.
        reward, progress, ok: (T,) what the policy said, NaN from one without a reward head.
        reasons: why it raised an alarm, each reason once.
    """

    seed: int
    failure: str
    lifted: bool
    done: np.ndarray
    reward: np.ndarray
    progress: np.ndarray
    ok: np.ndarray
    reasons: list[str]


@torch.no_grad()
def roll_out(
    robot: SO101Sim,
    policy: torch.nn.Module,
    preprocessor: Callable,
    postprocessor: Callable,
    seed: int,
    failure: str = "none",
    seconds: float = 20.0,
    after: float = 4.0,
    watch: Callable[[], object] | None = None,
) -> Rollout:
    """One episode, of `seconds` of simulated time or until `after` seconds after the task was done.

    Args:
        robot: connected, with real_time=False.
        policy, preprocessor, postprocessor: of `load_policy`.
        seed, failure: of `SO101Sim.reset`.
        watch: called in every frame, before the arm is commanded.
    """
    features = hw_to_dataset_features(robot.observation_features, "observation")
    features |= hw_to_dataset_features(robot.action_features, "action")
    device = torch.device(policy.config.device)
    robot.reset(seed, failure)
    policy.reset()
    said: dict[str, list[float]] = {"reward": [], "progress": [], "ok": []}
    done: list[bool] = []
    reasons: list[str] = []
    fps = robot.config.fps
    while len(done) < seconds * fps and sum(done) < after * fps:
        frame = build_inference_frame(robot.get_observation(), device, features, TASK, robot.name)
        output = policy.select_action(preprocessor(frame))
        action, reward = output if isinstance(output, tuple) else (output, None)
        details = {} if reward is None else {"reward": reward} | policy.reward_details()
        for name, values in said.items():
            values.append(details[name].item() if details else np.nan)
        if watch is not None:
            watch()
        reasons += [reason for reason in details.get("reasons", []) if reason]
        robot.send_action(make_robot_action(postprocessor(action), features))
        done.append(robot.truth.done)
    return Rollout(
        seed, failure, robot.truth.lifted, np.array(done), **{name: np.array(v) for name, v in said.items()},
        reasons=list(dict.fromkeys(reasons)),
    )  # fmt: skip


def describe(rollout: Rollout) -> str:
    """One line about a rollout."""
    what = "done" if rollout.done[-1] else "lifted" if rollout.lifted else "not lifted"
    line = f"seed {rollout.seed}, {rollout.failure}: {what} after {len(rollout.done)} frames"
    if not np.isnan(rollout.reward).any():
        line += f", reward {rollout.reward[-1]:.2f} = progress {rollout.progress[-1]:.2f} x ok {rollout.ok[-1]:.2f}"
    return line + "".join(f"; {reason}" for reason in rollout.reasons[:1])


def summarise(rollouts: Sequence[Rollout]) -> str:
    """One line about rollouts with the same failure."""
    successes = [bool(rollout.done[-1]) for rollout in rollouts]
    line = f"{rollouts[0].failure}: {sum(successes)} of {len(rollouts)} done"
    for name, kind in (("successes", True), ("others", False)):
        chosen = [r for r, success in zip(rollouts, successes, strict=True) if success == kind]
        if chosen and not np.isnan(chosen[0].reward).any():
            last = [r.reward[-1] for r in chosen]
            low = sum(r.ok.min() < 0.5 for r in chosen)
            line += f"; {name}: final reward {np.mean(last):.2f} ({min(last):.2f} to {max(last):.2f})"
            line += f", highest {np.mean([r.reward.max() for r in chosen]):.2f}, ok below 0.5 in {low}"
    return line
