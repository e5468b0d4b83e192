"""The demo's episodes: Meta-World's experts acting in LeRobot's own environment, and three kinds of failures.

Demonstrations differ in where the object is, where the hand starts and how fast the expert moves, and end with the
first frame of success, where lerobot-eval ends too. Failures:
    miss     the expert's motion for an object in another place
    stall    the expert's motion up to some point, then a wait
    release  the expert's motion up to some point, then the hand lifts off and waits
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulation.environment import (
    check_simulator,
    describe_format,
    make_env,
    make_frame,
    reset,
    reset_simulator,
)
from simulation.generator import Plan, Recipe, draw_seed, draw_start, rehearse

FAILURE_KINDS = ("miss", "stall", "release")


@dataclass(frozen=True)
class DemoPlan(Plan):
    wait: float  # how long a stall or a release waits, as a fraction of the motion


def draw_plan(task: str, kind: str, index: int, rng: np.random.Generator) -> DemoPlan:
    return DemoPlan(
        kind=kind,
        seed=draw_seed(rng),
        start=draw_start(rng),
        speed=float(rng.uniform(0.5, 1.0)),
        fraction=float(rng.uniform(0.6, 0.88)),
        wait=float(rng.uniform(0.3, 0.5)),
        other_seed=draw_seed(rng),
    )


def expert_actions(env, plan: DemoPlan, seed: int) -> list[np.ndarray] | None:
    """The expert's actions (4,) float32 for the object of a seed, None if it does not succeed."""
    reset_simulator(env, seed, plan.start)
    rehearsal = rehearse(env, plan.speed, max_steps=env._max_episode_steps)
    return None if rehearsal is None else list(rehearsal.actions)


def plan_actions(env, plan: DemoPlan) -> list[np.ndarray] | None:
    """The actions (4,) float32 of an episode, None if the plan does not work out."""
    actions = expert_actions(env, plan, plan.seed)
    if actions is None or plan.kind == "demo":
        return actions
    object_pos = env._env.obj_init_pos.copy()
    if plan.kind == "miss":
        actions = expert_actions(env, plan, plan.other_seed)
        # Far enough from the object not to touch it by chance.
        return actions if np.linalg.norm(env._env.obj_init_pos - object_pos) > 0.1 else None
    done = actions[: round(plan.fraction * len(actions))]
    gripper, n_lift = done[-1][3], 0
    if plan.kind == "release":
        gripper, n_lift = -1, round(15 / plan.speed)  # open, 15 cm up: an action of 1 is a centimetre
    lift = np.array([0, 0, plan.speed, gripper], dtype=np.float32)
    wait = np.array([0, 0, 0, gripper], dtype=np.float32)
    return done + n_lift * [lift] + round(plan.wait * len(actions)) * [wait]


def play_actions(env, plan: DemoPlan, actions: list[np.ndarray]) -> Iterator[tuple[dict, bool]]:
    """Yield a frame, and whether the task is solved in it, for each action and for the end."""
    observation, success = reset(env, plan.seed, plan.start), False
    for action in actions:
        yield make_frame(observation, action), success
        observation, _, _, _, info = env.step(action)
        success = info["is_success"]
        if success:  # the environment has reset itself
            break
    # No action follows the last frame, because lerobot-eval ends here. It repeats the action before it.
    yield make_frame(observation, action), success


def play(env, plan: DemoPlan) -> tuple[list[dict], dict] | None:
    """The frames of an episode; None unless it ends in success as a demonstration, and in none as a failure."""
    actions = plan_actions(env, plan)
    if actions is None:
        return None
    frames, successes = zip(*play_actions(env, plan, actions), strict=True)
    if successes[-1] != (plan.kind == "demo"):
        return None
    return list(frames), {"success": successes[-1]}


DEMO = Recipe(
    record="rewact_extensions/demo_dataset.json",
    kinds=("demo", *FAILURE_KINDS),
    describe=check_simulator,
    describe_format=describe_format,
    make_env=make_env,
    draw_plan=draw_plan,
    play=play,
)


def summarise(root: Path) -> str:
    """One line about a dataset."""
    content = json.loads((root / DEMO.record).read_text())
    episodes, held_out = content["episodes"], content["held_out"]
    lengths = [episode["length"] for episode in episodes]
    line = f"{root}: {len(episodes)} episodes of {min(lengths)} to {max(lengths)} frames"
    line += f" (median {np.median(lengths):g})"
    if held_out:
        line += f", train on 0-{held_out[0] - 1}, held out {held_out[0]}-{held_out[-1]}"
    if content["settings"]["kind"] == "demo":
        return line + f", {len(episodes)} of {sum(e['attempts'] for e in episodes)} attempts of the expert"
    kinds = [episode["kind"] for episode in episodes]
    return line + ", " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in FAILURE_KINDS)
