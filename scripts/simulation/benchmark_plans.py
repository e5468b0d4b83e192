"""What is random in an episode of the benchmark.

Every episode plays a rehearsal, an expert's motion at about half of its speed up to success, in a warped time. In
`train` that is the rehearsal's own time. In `success` the arm is 0.5 to 2 times as fast, changes its speed, stalls for
a second or more, and waits for a second at the end. Failures are 0.7 to 1.4 times as fast and wait at the end:
    ghost       the whole motion of a success, but the object does not come along (`variant` pinned), or only for a
                part of the way (slip)
    miss        the motion for an object in another place
    stall       stops half way and waits until a success would have ended
    wrong_goal  brings the object to another place: pick-place to another goal; a drawer, door or window is opened a
                part of the way and let go; drawer-open-close leaves it open and goes back
"""

from dataclasses import dataclass

import numpy as np

from simulation.benchmark_scenes import PICK_PLACE
from simulation.generator import Plan, draw_seed, draw_start

FAILURE_KINDS = ("ghost", "miss", "stall", "wrong_goal")
KINDS = ("train", "success", *FAILURE_KINDS)


@dataclass(frozen=True)
class BenchmarkPlan(Plan):
    """`fraction` is of the motion in a stall, and of the object's way in a slip or a wrong goal."""

    task: str
    variant: str  # of a ghost: pinned or slip
    factors: tuple[float, ...]  # speeds at which it is played, in steps of the rehearsal per frame
    changes: tuple[float, ...]  # phases at which the next factor begins
    stalls: tuple[tuple[float, float], ...]  # phase and seconds
    hold: float  # the wait at the end, in seconds
    other_goal: tuple[float, float, float]  # the wrong goal of pick-place, as fractions of the range of goals
    day: str  # its name in `DAYS`


def draw_plan(task: str, kind: str, index: int, rng: np.random.Generator, day: str) -> BenchmarkPlan:
    """Draw an episode of a kind, for the day of that name."""
    variant = ("pinned", "slip")[index % 2] if kind == "ghost" else ""
    speed = float(rng.uniform(0.45, 0.55))
    n_changes = int(rng.integers(0, 3)) if kind == "success" else 0
    fastest = {"train": 1, "success": 2}.get(kind, 1.4)
    slowest = 1 / fastest
    if kind == "wrong_goal" and task == "window-open-v3":
        slowest, fastest = 0.5, 0.8  # any faster, it slides on until it is open
    factors = np.exp(rng.uniform(np.log(slowest), np.log(fastest), n_changes + 1))
    n_stalls = (1, 2, 0)[index % 3] if kind == "success" else 0
    stall_s = rng.uniform(1, 3) * rng.dirichlet([5] * max(n_stalls, 1))
    fractions = {"stall": (0.4, 0.7), "wrong_goal": (0.05, 0.5), "ghost": (0.1, 0.4)}
    if task == PICK_PLACE:
        fractions["ghost"] = (0.2, 0.5)  # high enough for its fall to be seen
    return BenchmarkPlan(
        task=task,
        kind=kind,
        variant=variant,
        seed=draw_seed(rng),
        start=draw_start(rng),
        speed=speed,
        factors=tuple(
            np.minimum(factors, 1 / speed).tolist()
        ),  # anything faster exceeds the range of actions
        changes=tuple(np.sort(rng.uniform(0.1, 0.9, n_changes)).tolist()),
        stalls=tuple(sorted(zip(rng.uniform(0.05, 0.95, n_stalls).tolist(), stall_s.tolist(), strict=False))),
        hold=float(rng.uniform(0.1, 0.3)) if kind == "train" else 1.0,
        fraction=float(rng.uniform(*fractions.get(kind, (1, 1)))),
        other_seed=draw_seed(rng),
        other_goal=tuple(rng.uniform(size=3).tolist()),
        day=day,
    )
