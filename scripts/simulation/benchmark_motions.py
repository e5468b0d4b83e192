"""The motion of an episode of the benchmark: an expert's rehearsal, played in a warped time.

phase(t) is the step of the rehearsal at which the hand is told to be. So it is known at each frame how far a success
has come, whatever its speed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from simulation.benchmark_plans import BenchmarkPlan
from simulation.benchmark_scenes import (
    CYCLE,
    FIXTURES,
    MAX_STEPS,
    PICK_PLACE,
    open_and_close_drawer,
    open_drawer_and_return,
    place,
)
from simulation.environment import FPS
from simulation.generator import Rehearsal, expert, rehearse
from simulation.warp import warp

# How far from its object a miss goes, in metres. The door's place varies by no more than 10 cm each way.
MISS_DISTANCE = {"door-open-v3": 0.06}
GOAL_DISTANCE = 0.17  # between the goal and a wrong one, in metres; within 7 cm counts as success
REST_AFTER = 0.3  # seconds without a command, after which the hand has settled


@dataclass(frozen=True)
class Motion:
    path: (
        np.ndarray
    )  # (N, 3) where the hand is told to be at each frame, in actions: an action of 1 moves it by 1
    gripper: np.ndarray  # (N,)
    phase: np.ndarray  # (N,) of the rehearsal, 0 to 1
    travel: float  # the longest way of the rehearsal's object, in metres

    def actions(self) -> np.ndarray:
        """(N, 4) float32; nothing moves after the last frame."""
        steps = np.diff(self.path, axis=0, append=self.path[-1:])
        return np.clip(np.column_stack([steps, self.gripper]), -1, 1).astype(np.float32)

    def resting(self) -> np.ndarray:
        """(N,) whether the arm has stood still for REST_AFTER at a frame, and is told to stand still on."""
        # The phase counts too: while a rehearsal waits for its gripper, only the phase moves.
        steps = np.diff(np.column_stack([self.path, self.phase]), axis=0, append=0)
        still = np.all(steps == 0, axis=1)
        still[-1] = True
        frames = np.arange(len(still))
        moved = np.maximum.accumulate(np.where(still, 0, frames + 1))
        return frames - moved >= REST_AFTER * FPS


def rehearse_plan(
    env,
    plan: BenchmarkPlan,
    seed: int,
    drive: Callable[..., Iterator[np.ndarray]] = expert,
    goal: np.ndarray | None = None,
) -> Rehearsal | None:
    """What `drive` does in the scene of a seed, for another goal if one is given; None if it does not end."""
    place(env, plan, seed)
    if goal is not None:
        env._env._target_pos = goal
    return rehearse(env, plan.speed, MAX_STEPS, drive, np.float64)


def plan_rehearsal(env, plan: BenchmarkPlan) -> Rehearsal | None:
    """The rehearsal of a plan's kind, None if the plan does not work out."""
    seed, goal = plan.seed, None
    drive = open_and_close_drawer if plan.task == CYCLE else expert
    if plan.kind == "miss":
        place(env, plan, plan.seed)
        object_pos, seed = env._env.obj_init_pos.copy(), plan.other_seed
        place(env, plan, seed)
        if np.linalg.norm(env._env.obj_init_pos - object_pos) < MISS_DISTANCE.get(plan.task, 0.1):
            return None
    if plan.kind == "wrong_goal" and plan.task == CYCLE:
        drive = open_drawer_and_return
    if plan.kind == "wrong_goal" and plan.task == PICK_PLACE:
        place(env, plan, plan.seed)
        space = env._env.goal_space
        goal = space.low + np.array(plan.other_goal) * (space.high - space.low)
        if np.linalg.norm(goal - env._env._target_pos) < GOAL_DISTANCE:
            return None
    return rehearse_plan(env, plan, seed, drive, goal)


def plan_motion(env, plan: BenchmarkPlan) -> Motion | None:
    """The motion of an episode, None if the plan does not work out."""
    rehearsal = plan_rehearsal(env, plan)
    if rehearsal is None:
        return None
    steps, travel = len(rehearsal.actions), rehearsal.travel.max()
    phase, lift = warp(steps, plan, FPS), 0
    n_frames = len(phase) + round(plan.hold * FPS)
    if plan.kind == "stall":
        phase = phase[: np.searchsorted(phase, plan.fraction * steps) + 1]
    if plan.kind == "wrong_goal" and plan.task in FIXTURES:
        end = np.argmax(rehearsal.travel >= plan.fraction * travel)
        phase = phase[: np.searchsorted(phase, end) + 1]
        lift = round(15 / plan.speed)  # frames for 15 cm
        n_frames = len(phase) + lift + round(plan.hold * FPS)
    released = len(phase)
    phase = np.pad(phase, (0, n_frames - released), mode="edge")
    positions = rehearsal.hand / env._env.action_scale  # (T+1, 3)
    path = np.column_stack([np.interp(phase, np.arange(steps + 1), axis) for axis in positions.T])
    if lift:
        path[:, 2] += np.interp(np.arange(n_frames), [released, released + lift], [0, 15])
    gripper = rehearsal.actions[np.minimum(phase.astype(int), steps - 1), 3]
    return Motion(path, gripper, phase / steps, travel)
