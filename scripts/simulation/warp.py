"""A motion played in a warped time."""

from typing import Protocol

import numpy as np


class Warped(Protocol):
    """The part of a plan that says how time is warped."""

    @property
    def factors(self) -> tuple[float, ...]:
        """Speeds, in steps of the motion per frame."""

    @property
    def changes(self) -> tuple[float, ...]:
        """Phases at which the next speed begins."""

    @property
    def stalls(self) -> tuple[tuple[float, float], ...]:
        """Phase and seconds of each pause."""


def warp(steps: int, plan: Warped, fps: int) -> np.ndarray:
    """The step of the motion at each frame, with its fraction: from 0 to `steps`, never falling."""
    stalls = list(plan.stalls)
    phase = [0.0]
    while phase[-1] < steps:
        now = phase[-1]
        while stalls and now >= stalls[0][0] * steps:
            phase += [now] * round(stalls.pop(0)[1] * fps)
        factor = plan.factors[sum(now >= change * steps for change in plan.changes)]
        phase.append(min(now + factor, steps))
    return np.array(phase)
