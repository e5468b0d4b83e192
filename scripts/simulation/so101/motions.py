"""The expert's motion: joint angles along waypoints, played in a warped time."""

from dataclasses import dataclass

import numpy as np
from lerobot_robot_so101_sim.arm import CLOSED, HALF_OPEN, HOME, OPEN, Arm

from simulation.so101.plans import FPS, PICK_PLACE, SO101Plan
from simulation.warp import warp

BLOCK, GRIP, HOVER, LIFT = 0.02, 0.015, 0.075, 0.085  # metres: the block's centre, and heights relative to it
SHOWN = (0.22, 0.09)  # where the block is shown
STALLED = (0.35, 0.7)  # where a stall stops, as fractions of the motion


@dataclass(frozen=True)
class Motion:
    """What the arm is told at each of T frames.

    Attributes:
        commands: (T, 6) joint positions in radians.
        phase: (T,) of the motion, 0 to 1.
        lost: the phase at which the block gets lost, above 1 for never.
    """

    commands: np.ndarray
    phase: np.ndarray
    lost: float


def plan_waypoints(
    arm: Arm, plan: SO101Plan, home: np.ndarray, openings: tuple[float, float]
) -> tuple[list, dict[str, int]] | None:
    """The motion's parts as (joint angles (5,), gripper, seconds), and the index of some of them; None if out of reach.

    The first part is the start and takes no time.
    """
    above, at = BLOCK + HOVER, BLOCK + GRIP
    high = BLOCK + LIFT
    carry = 1.0 if plan.task == PICK_PLACE else 0.9
    targets: list[tuple] = [  # name, place, height, gripper, seconds
        ("hover", plan.aim, above, openings[0], 1.2),
        ("down", plan.aim, at, openings[0], 0.8),
        ("close", None, None, CLOSED, 0.6),
        ("lift", plan.aim, high, CLOSED, 0.7),
        *(
            []
            if plan.task == PICK_PLACE
            else [("show", SHOWN, high, CLOSED, 0.9), ("wait", None, None, CLOSED, 0.4)]
        ),
        ("carry", plan.place, high, CLOSED, carry),
        ("lower", plan.place, at + 0.003, CLOSED, 0.8),
        ("open", None, None, openings[1], 0.5),
        ("leave", plan.place, above, openings[1], 0.6),
    ]
    joints, seed = home, None
    parts, names = [(home, HALF_OPEN, 0.0)], {}
    for (name, place, height, gripper, seconds), factor in zip(targets, plan.durations, strict=False):
        if place is not None:
            solved = arm.solve((*place, height), seed)
            if solved is None:
                return None
            joints = seed = solved
        names[name] = len(parts)
        parts.append((joints, gripper, seconds * factor))
    parts.append((home, HALF_OPEN, 1.0 * plan.durations[len(targets)]))
    return parts, names


def plan_motion(arm: Arm, plan: SO101Plan, openings: tuple[float, float] = (OPEN, OPEN)) -> Motion | None:
    """The motion of an episode, None if a place is out of reach.

    Args:
        openings: of the gripper's joint before and after it holds the block, in radians.
    """
    found = plan_waypoints(arm, plan, HOME + np.array(plan.home), openings)
    if found is None:
        return None
    parts, names = found
    fps = FPS[plan.task]
    path = [np.array([*parts[0][0], parts[0][1]])]
    ends = [0]  # the step at which each part ends
    for joints, gripper, seconds in parts[1:]:
        n = max(1, round(seconds * fps))
        t = np.arange(1, n + 1) / n
        smooth = 10 * t**3 - 15 * t**4 + 6 * t**5  # minimum jerk
        start, end = path[-1], np.array([*joints, gripper])
        path += [start + (end - start) * s for s in smooth]
        ends.append(len(path) - 1)
    steps = len(path) - 1
    phase = warp(steps, plan, fps)
    n_frames = len(phase) + round(plan.hold * fps)
    if plan.kind == "stall":
        low, high = STALLED
        phase = phase[: np.searchsorted(phase, (low + (high - low) * plan.fraction) * steps) + 1]
    phase = np.pad(phase, (0, n_frames - len(phase)), mode="edge")
    commands = np.stack([np.interp(phase, np.arange(steps + 1), axis) for axis in np.array(path).T], axis=1)
    return Motion(arm.clip(commands), phase / steps, when_lost(plan, ends, names) / steps)


def when_lost(plan: SO101Plan, ends: list[int], names: dict[str, int]) -> float:
    """The step at which the block slips out of the jaws, infinite for never."""

    def within(part: str, low: float, high: float) -> float:
        start, end = ends[names[part] - 1], ends[names[part]]
        return start + (low + (high - low) * plan.fraction) * (end - start)

    if plan.kind == "slip":
        # While it is lifted or carried away. Shown and put back, it must not fall near its goal.
        return within("carry", -0.6, 0.4) if plan.task == PICK_PLACE else within("show", 0.3, 1.2)
    if plan.kind == "lost_late":
        return within("carry", 0.5, 0.9) if plan.task == PICK_PLACE else within("carry", 0.0, 0.5)
    return np.inf
