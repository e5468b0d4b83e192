"""The tasks of the benchmark: their simulator, how an episode's scene is set up, and what drives the arm in it.

drawer-open-close is a task of our own that ends as it begins: Meta-World's expert opens the drawer, then the hand goes
round, pushes it shut and returns to where it started.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from lerobot_robot_so101_sim.days import DAYS

from simulation.environment import check_simulator, make_env, reset_simulator
from simulation.generator import expert

if TYPE_CHECKING:
    from simulation.benchmark_plans import BenchmarkPlan

DRAWER, PICK_PLACE, CYCLE = "drawer-open-v3", "pick-place-v3", "drawer-open-close"
FIXTURES = (DRAWER, "door-open-v3", "window-open-v3")  # what opens on a joint
TASKS = (*FIXTURES, PICK_PLACE, CYCLE)
MAX_STEPS = 1000  # of a rehearsal


def describe(task: str) -> str:
    """A task in words; exit with one line where the simulator cannot run it."""
    if task == CYCLE:
        check_simulator(DRAWER)
        return "Open the drawer, close it and go back"
    return check_simulator(task)


def make_simulator(task: str, image_size: int):
    """LeRobot's environment of a task. Step its simulator: the environment's own `step` ends at a success."""
    env = make_env(DRAWER if task == CYCLE else task, image_size)
    env._env.max_path_length = 10 * MAX_STEPS  # by default it refuses to continue after 500 steps
    return env


@contextlib.contextmanager
def places_outside(simulator, distance: tuple[float, float], seed: int) -> Iterator[None]:
    """Resets in this context put the object beyond one side of its usual range, by a distance between the two given."""
    usual = simulator._random_reset_space
    low, high = usual.low.copy(), usual.high.copy()
    rng = np.random.default_rng(seed)
    side = rng.choice(np.flatnonzero(high[:2] > low[:2]))
    near, far = distance
    if rng.integers(2):
        low[side], high[side] = high[side] + near, high[side] + far
    else:
        low[side], high[side] = low[side] - far, low[side] - near
    simulator._random_reset_space = type(usual)(low, high, dtype=usual.dtype)
    try:
        yield
    finally:
        simulator._random_reset_space = usual


def place(env, plan: "BenchmarkPlan", seed: int) -> np.ndarray:
    """Reset with the hand at the plan's start, or as near as it may go; the simulator's observation (39,)."""
    import mujoco

    simulator = env._env
    outside = DAYS[plan.day].outside
    home = simulator.init_config["hand_init_pos"]
    start = np.clip(home + np.array(plan.start), simulator.mocap_low, simulator.mocap_high) - home
    with places_outside(simulator, outside, seed) if any(outside) else contextlib.nullcontext():
        reset_simulator(env, seed, tuple(start))
    # The simulator knows where the object stands now only after its next step, so LeRobot's first image shows it where
    # it stood before. This computes the positions, and changes nothing else.
    mujoco.mj_kinematics(simulator.model, simulator.data)
    return simulator._get_obs()


# ---- What drives the arm: actions (4,) up to the end of the task ----


def go(env, target: np.ndarray, gripper: float, near: float) -> Iterator[np.ndarray]:
    """Move the hand to a target, up to a distance of `near`."""
    while np.linalg.norm(offset := target - env._env.get_endeff_pos()) > near:
        yield np.array([*(10 * offset), gripper])


def open_drawer_and_return(env) -> Iterator[np.ndarray]:
    hand = env._env.get_endeff_pos().copy()
    yield from expert(env)
    above = env._env.get_endeff_pos() + (0, 0, 0.13)  # the fingers have to clear the handle
    yield from go(env, above, gripper=-1, near=0.03)
    yield from go(env, hand, gripper=-1, near=0.01)


def open_and_close_drawer(env) -> Iterator[np.ndarray]:
    simulator = env._env
    hand = simulator.get_endeff_pos().copy()
    yield from expert(env)
    handle = simulator._get_pos_objects() - (0, 0, 0.02)
    above = simulator.get_endeff_pos() + (0, 0, 0.13)
    yield from go(env, above, gripper=1, near=0.03)
    yield from go(env, handle + (0, -0.1, 0.13), gripper=1, near=0.04)
    yield from go(env, handle + (0, -0.1, 0), gripper=1, near=0.03)
    while drawer_opening(simulator) > 0.004:
        yield np.array([0, 1, 0, 1])
    yield from go(env, hand, gripper=-1, near=0.01)


def drawer_opening(simulator) -> float:
    """How far the drawer is open, in metres."""
    return -float(simulator.data.qpos[-1])
