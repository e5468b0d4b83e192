"""What is random in an episode of the SO-101.

    so101-pick-place   the block goes onto the plate; cameras front and side, 10 frames per second
    so101-show         the block is shown and put back to where it was; cameras front and wrist, 15 frames per second

Demonstrations vary in speed by 15 %. A `success` is 0.5 to 1.6 times as fast, changes its speed, pauses, and waits for a
second at the end. Failures are 0.7 to 1.4 times as fast and wait at the end:
    pinned      the whole motion of a success, but the block stays where it is
    slip        the block slips out of the jaws while it is lifted
    miss        the motion for a block in another place
    stall       stops half way and waits until a success would have ended
    wrong_goal  brings the block to another place
    lost_late   the block slips out of the jaws shortly before it arrives
    beside      puts the block down 4 to 6 cm beside its goal
"""

from dataclasses import dataclass

import numpy as np
from lerobot_robot_so101_sim.days import DAYS, draw_outside

PICK_PLACE, SHOW = "so101-pick-place", "so101-show"
TASKS = (PICK_PLACE, SHOW)
FPS = {PICK_PLACE: 10, SHOW: 15}
CAMERAS = {PICK_PLACE: ("front", "side"), SHOW: ("front", "wrist")}
DESCRIPTIONS = {
    PICK_PLACE: "Put the block onto the plate",
    SHOW: "Show the block and put it back",
}
FAILURE_KINDS = ("pinned", "slip", "miss", "stall", "wrong_goal", "lost_late", "beside")
KINDS = ("train", "success", *FAILURE_KINDS)

BLOCKS = (0.19, -0.1), (0.27, 0.02)  # range of the block's place, in metres
PLATES = (0.19, 0.07), (0.25, 0.12)
ANYWHERE = (0.18, -0.1), (0.26, 0.12)  # range of wrong goals
MISSED = 0.065  # metres between the block and where a miss looks for it
WRONG = 0.07  # metres between the goal and a wrong one


@dataclass(frozen=True)
class SO101Plan:
    """A plan; places are in metres on the table.

    Attributes:
        block, goal: where the block is, and where it belongs.
        aim, place: where the arm takes it, and where it puts it.
        home: (5,) joint angles at the start, in radians.
        durations: (9,) factors on the parts of the motion.
        factors, changes, stalls, hold: as in `BenchmarkPlan`.
        fraction: where a stall stops, or where within its part of the motion the block gets lost.
        day: its name in `DAYS`.
        seed: of what the day changes.
    """

    task: str
    kind: str
    block: tuple[float, float]
    goal: tuple[float, float]
    aim: tuple[float, float]
    place: tuple[float, float]
    home: tuple[float, ...]
    durations: tuple[float, ...]
    factors: tuple[float, ...]
    changes: tuple[float, ...]
    stalls: tuple[tuple[float, float], ...]
    hold: float
    fraction: float
    day: str
    seed: int


def far_from(rng: np.random.Generator, place: np.ndarray, distance: float, area) -> np.ndarray:
    """A (2,) place in an area, at least a distance from another."""
    while True:
        other = rng.uniform(*area)
        if np.linalg.norm(other - place) > distance:
            return other


def draw_plan(task: str, kind: str, index: int, rng: np.random.Generator, day: str) -> SO101Plan:
    """Draw an episode of a kind, for the day of that name."""
    outside = DAYS[day].outside
    block = draw_outside(rng, BLOCKS, outside) if any(outside) else rng.uniform(*BLOCKS)
    goal = rng.uniform(*PLATES) if task == PICK_PLACE else block.copy()
    aim, place = block, goal
    if kind == "miss":
        aim = far_from(rng, block, MISSED, BLOCKS)
        place = goal if task == PICK_PLACE else aim
    if kind == "wrong_goal":
        place = far_from(rng, goal, WRONG, ANYWHERE)
    if kind == "beside":
        angle = rng.uniform(0, 2 * np.pi)
        place = goal + rng.uniform(0.04, 0.06) * np.array([np.cos(angle), np.sin(angle)])
    success = kind == "success"
    n_changes = int(rng.integers(0, 3)) if success else 0
    n_stalls = int(rng.integers(0, 3)) if success else 0
    fastest = {"train": 1.15, "success": 2.0}.get(kind, 1.4)
    factors = np.exp(rng.uniform(-np.log(fastest), np.log(fastest), n_changes + 1))
    stalls = zip(
        rng.uniform(0.05, 0.95, n_stalls).tolist(), rng.uniform(0.7, 2.5, n_stalls).tolist(), strict=True
    )
    return SO101Plan(
        task=task,
        kind=kind,
        block=tuple(block.tolist()),
        goal=tuple(goal.tolist()),
        aim=tuple(aim.tolist()),
        place=tuple(place.tolist()),
        home=tuple(rng.uniform(-0.06, 0.06, 5).tolist()),
        durations=tuple(rng.uniform(0.9, 1.1, 12).tolist()),
        factors=tuple(np.clip(factors, 0.5, 1.6).tolist()),
        changes=tuple(np.sort(rng.uniform(0.1, 0.9, n_changes)).tolist()),
        stalls=tuple(sorted(stalls)),
        hold=float(rng.uniform(0.1, 0.4)) if kind == "train" else 1.0,
        fraction=float(rng.uniform()),
        day=day,
        seed=int(rng.integers(2**31)),
    )
