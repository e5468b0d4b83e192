"""Makes episodes in the simulator: draws a plan, rehearses it, plays it, and keeps what the simulator confirms.

    frames, record = make_episode(DEMO, "so101-cube-on-plate", image_size=64, seed=0, kind="demo", index=3)

A recipe (`so101.demo.DEMO`, `benchmark_episodes.make_recipe()`) says what is random in an episode and how it is played.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

ATTEMPTS = 50


@dataclass(frozen=True)
class Plan:
    """Everything random in an episode, drawn before it begins. Recipes add what they need."""

    kind: str
    seed: int  # places the object, as lerobot-eval's reset(seed=...) does
    start: tuple[float, float, float]  # of the hand, relative to Meta-World's own start, in metres
    speed: float  # fraction of the expert's speed
    fraction: float  # where a failure goes wrong, as a fraction of the motion
    other_seed: int  # where a miss looks for the object


def draw_seed(rng: np.random.Generator) -> int:
    """A seed that places an object."""
    return int(rng.integers(2**31))


def draw_start(rng: np.random.Generator) -> tuple[float, float, float]:
    """Where the hand starts, relative to Meta-World's own start, in metres."""
    return tuple(rng.uniform((-0.1, -0.05, -0.05), (0.1, 0.05, 0.05)).tolist())


@dataclass(frozen=True)
class Rehearsal:
    """What an expert did, and what came of it."""

    actions: np.ndarray  # (T, 4) in the range of actions: hand x, y, z and gripper
    hand: np.ndarray  # (T+1, 3) where the hand was told to be, in metres
    travel: np.ndarray  # (T+1,) of the object from its place, in metres


def expert(env) -> Iterator[np.ndarray]:
    """The actions of Meta-World's expert up to success."""
    simulator = env._env
    success = False
    while not success:
        action = env.expert_policy.get_action(simulator._get_obs())
        yield action
        success = simulator.evaluate_state(simulator._last_stable_obs, action)[1]["success"]


def rehearse(
    env,
    speed: float,
    max_steps: int,
    drive: Callable[..., Iterator[np.ndarray]] = expert,
    dtype: type[np.floating] = np.float32,
) -> Rehearsal | None:
    """Play what `drive` asks for at a fraction of its speed; None if it does not end. Draws nothing.

    The simulator is deterministic: the same actions after the same reset do the same again.

    Args:
        env: the environment, reset to where the rehearsal begins.
        speed: factor on the hand's movements.
        max_steps: the number of actions after which to give up.
        drive: gives the actions in `env`, each after the one before was played.
        dtype: of the actions that are played.
    """
    simulator = env._env
    home = simulator._get_pos_objects().copy()
    actions: list[np.ndarray] = []
    hand, travel = [simulator.data.mocap_pos[0].copy()], [0.0]
    for action in drive(env):
        if len(actions) == max_steps:
            return None
        action = np.clip(action, -1, 1).astype(dtype)
        action[:3] *= dtype(speed)
        simulator.step(action)
        actions.append(action)
        hand.append(simulator.data.mocap_pos[0].copy())  # stays within its box, whatever the actions
        travel.append(float(np.linalg.norm(simulator._get_pos_objects() - home)))
    return Rehearsal(np.array(actions), np.array(hand), np.array(travel))


class Format(NamedTuple):
    """How episodes are recorded.

    Attributes:
        fps: frames per second.
        robot_type: of the LeRobot dataset.
        features: of the LeRobot dataset.
    """

    fps: int
    robot_type: str
    features: dict[str, dict]


@dataclass(frozen=True)
class Recipe:
    """How one family of episodes is made. Its functions are those of modules, so that it can be pickled."""

    record: str  # the file in a dataset that records how its episodes were made
    kinds: tuple[str, ...]  # the random numbers of an episode depend on the position of its kind
    describe: Callable[[str], str]  # (task) -> its description in words
    describe_format: Callable[[str, int], Format]  # (task, image_size) -> how its episodes are recorded
    make_env: Callable  # (task, image_size) -> environment
    draw_plan: Callable  # (task, kind, index, rng) -> Plan
    play: Callable  # (env, plan) -> (frames, what to record besides the plan), or None if the plan does not work out


def make_episode(
    recipe: Recipe, task: str, image_size: int, seed: int, kind: str, index: int
) -> tuple[list[dict], dict]:
    """Frames and record of an episode that has ended as its kind should."""
    env = recipe.make_env(task, image_size)
    for attempt in range(ATTEMPTS):
        # Seeded by the episode itself, so that the number of processes changes nothing.
        rng = np.random.default_rng([seed, recipe.kinds.index(kind), index, attempt])
        plan = recipe.draw_plan(task, kind, index, rng)
        if played := recipe.play(env, plan):
            frames, outcome = played
            return frames, asdict(plan) | {"length": len(frames), "attempts": attempt + 1} | outcome
    raise SystemExit(f"{task}: no episode of kind '{kind}' in {ATTEMPTS} attempts; choose another --task")
