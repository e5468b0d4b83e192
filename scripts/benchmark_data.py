#!/usr/bin/env python
"""Make the episodes of the benchmark: demonstrations, held-out successes and failures, with the truth.

    python scripts/benchmark_data.py --task drawer-open-v3     # outputs/benchmark/data/drawer-open-v3/...
    for task in door-open-v3 window-open-v3 pick-place-v3 drawer-open-close; do
        python scripts/benchmark_data.py --task $task
    done

A task's folder holds three LeRobot data sets: `train`, `success` and `failures`. `load_truth(root)` reads
what the simulator says about each of their frames (rewact_extensions/benchmark.json):
    phase            the arm's progress in the motion that it plays, 0 to 1: in a success, the true progress
    success          the task is solved in this frame; not sticky
    stage            0 at the start, 1 near the object, 2 object moved by 1 cm, 3 task solved
    object_distance  of the object to its goal, in metres (for drawer-open-close: to being open)
    object_travel    of the object from where it stood at first, in metres

Every episode plays a reference, an expert's motion at about half of its speed up to success, in a warped
time: phase(t) says which step of the reference the hand is told to be at. In `train` that is t. In
`success` the arm is 0.5 to 2 times as fast, changes its speed and stalls for a second or more, and waits
for a second after it is done. How far a success has come is thus known at each frame, whatever its speed.

Failures come in four kinds, at 0.7 to 1.4 times the speed and with a wait at the end:
    ghost       the whole motion of a success, but the object does not come along (`variant` pinned), or only
                for a part of the way (slip)
    miss        the motion for an object that stands elsewhere
    stall       stops half way and waits until a success would have ended
    wrong_goal  brings the object to another place: pick-place to another goal, a drawer, door or window
                is opened a part of the way and let go, drawer-open-close leaves it open and goes back

drawer-open-close is a task of our own that ends as it begins: Meta-World's expert opens the drawer, then the
hand goes round, pushes it shut and returns to where it started.

When the arm has been told to stand still for 0.3 s, the simulator's time stops until it is told to go on.
Else the elbow would go on sinking for seconds, since the simulator holds nothing but the hand. A picture in
which nothing moves is drawn once.
"""

import argparse
import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from demo_dataset import (
    ATTEMPTS,
    FPS,
    add_simulation_arguments,
    check_simulator,
    is_complete,
    make_env,
    make_frame,
    reset_simulator,
    workers,
    write_dataset,
)
from shared.cli import at_least
from shared.rendering import choose_mujoco_gl

RECORD = "rewact_extensions/benchmark.json"
CYCLE = "drawer-open-close"
TASKS = ("drawer-open-v3", "door-open-v3", "window-open-v3", "pick-place-v3", CYCLE)
FIXTURES = TASKS[:3]  # what opens by a joint
FAILURE_KINDS = ("ghost", "miss", "stall", "wrong_goal")
KINDS = ("train", "success", *FAILURE_KINDS)
TRUTHS = ("phase", "success", "stage", "object_distance", "object_travel")

# How far from its object a miss goes, in metres. The door's place varies by no more than 10 cm each way.
MISS_DISTANCE = {"door-open-v3": 0.06}
GOAL_DISTANCE = 0.17  # between the goal and a wrong one; 7 cm count as success
PART_OF_THE_WAY = (0.25, 0.65)  # how far a fixture is opened that is let go, as a share of a success
TOUCHED = 0.25  # how far a miss may move the object by chance, as a share of a success
BACK_HOME = 0.012  # metres; the hand of drawer-open-close is back where it started
SUCCESS_PHASE = 0.95  # a success comes at the reference's end, give or take this
SUCCESS_DELAY = 0.25  # and this, in seconds: the hand lags behind its commands
MAX_STEPS = 1000  # of a reference
REST_AFTER = 0.3  # seconds without a command; the hand has settled by then
STILL = 3e-4  # radians and metres; 0.3 mm at the end of the arm is a thirtieth of a pixel of 96
STUCK = 1e6  # damping of an object that is not to move; a drawer's is 2


# ---- Plans: everything random in an episode ----


@dataclass(frozen=True)
class Plan:
    task: str
    kind: str
    variant: str  # of a ghost: pinned or slip
    seed: int  # places the object, as lerobot-eval's reset(seed=...) does
    start: tuple[float, float, float]  # of the hand, relative to Meta-World's own start, in metres
    speed: float  # share of the expert's speed at which the reference is recorded
    factors: tuple[float, ...]  # the speed of the playing, in steps of the reference a frame
    changes: tuple[float, ...]  # phases at which the next factor begins
    stalls: tuple[tuple[float, float], ...]  # phase and seconds
    hold: float  # the wait at the end, in seconds
    fraction: float  # of the motion (stall) or of the object's way (slip, wrong_goal) where it goes wrong
    other_seed: int  # where a miss looks for the object
    other_goal: tuple[float, float, float]  # share of the range of goals, for the wrong goal of pick-place


def draw_plan(task: str, kind: str, index: int, rng: np.random.Generator) -> Plan:
    variant = ("pinned", "slip")[index % 2] if kind == "ghost" else ""
    speed = float(rng.uniform(0.45, 0.55))
    n_changes = int(rng.integers(0, 3)) if kind == "success" else 0
    fastest = {"train": 1, "success": 2}.get(kind, 1.4)
    slowest = 1 / fastest
    if kind == "wrong_goal" and task == "window-open-v3":
        slowest, fastest = 0.5, 0.8  # faster, it slides on until it is open
    factors = np.exp(rng.uniform(np.log(slowest), np.log(fastest), n_changes + 1))
    n_stalls = (1, 2, 0)[index % 3] if kind == "success" else 0
    stall_s = rng.uniform(1, 3) * rng.dirichlet([5] * max(n_stalls, 1))
    fractions = {"stall": (0.4, 0.7), "wrong_goal": (0.05, 0.5), "ghost": (0.1, 0.4)}
    if task == "pick-place-v3":
        fractions["ghost"] = (0.2, 0.5)  # it falls from a height that can be seen
    return Plan(
        task=task,
        kind=kind,
        variant=variant,
        seed=int(rng.integers(2**31)),
        start=tuple(rng.uniform((-0.1, -0.05, -0.05), (0.1, 0.05, 0.05)).tolist()),
        speed=speed,
        factors=tuple(np.minimum(factors, 1 / speed).tolist()),  # faster is beyond the range of actions
        changes=tuple(np.sort(rng.uniform(0.1, 0.9, n_changes)).tolist()),
        stalls=tuple(sorted(zip(rng.uniform(0.05, 0.95, n_stalls).tolist(), stall_s.tolist(), strict=False))),
        hold=float(rng.uniform(0.1, 0.3)) if kind == "train" else 1.0,
        fraction=float(rng.uniform(*fractions.get(kind, (1, 1)))),
        other_seed=int(rng.integers(2**31)),
        other_goal=tuple(rng.uniform(size=3).tolist()),
    )


def make_simulator(task: str, image_size: int):
    """LeRobot's environment of a task, which `play` steps below its own `step`: that ends at a success."""
    env = make_env("drawer-open-v3" if task == CYCLE else task, image_size)
    env._env.max_path_length = 10 * MAX_STEPS  # it refuses to go on after 500 steps
    return env


def place(env, plan: Plan, seed: int) -> np.ndarray:
    """Reset with the hand at the plan's start, or as near as it may go; the simulator's observation (39,)."""
    import mujoco

    simulator = env._env
    home = simulator.init_config["hand_init_pos"]
    start = np.clip(home + np.array(plan.start), simulator.mocap_low, simulator.mocap_high) - home
    reset_simulator(env, seed, tuple(start))
    # Where the object stands now is known to the simulator only after its next step: LeRobot's first picture
    # shows it where it stood before. This changes no more than that.
    mujoco.mj_kinematics(simulator.model, simulator.data)
    return simulator._get_obs()


# ---- References: an expert's motion at an even speed ----


@dataclass(frozen=True)
class Reference:
    path: np.ndarray  # (T+1, 3) where the hand is told to be; an action of 1 moves it by 1
    gripper: np.ndarray  # (T,)
    travel: np.ndarray  # (T+1,) of the object from its place, in metres


def expert(env) -> Iterator[np.ndarray]:
    """Meta-World's expert up to success."""
    simulator = env._env
    success = False
    while not success:
        action = env.expert_policy.get_action(simulator._get_obs())
        yield action
        success = simulator.evaluate_state(simulator._last_stable_obs, action)[1]["success"]


def go(env, target: np.ndarray, gripper: float, near: float) -> Iterator[np.ndarray]:
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
    return -float(simulator.data.qpos[-1])


def rehearse(
    env, plan: Plan, seed: int, drive: Callable[..., Iterator[np.ndarray]], goal: np.ndarray | None = None
) -> Reference | None:
    """What `drive` does to the scene of a seed, None if it does not get to its end. Draws no pictures."""
    simulator = env._env
    place(env, plan, seed)
    if goal is not None:
        simulator._target_pos = goal
    home = simulator._get_pos_objects().copy()
    path, gripper, travel = [simulator.data.mocap_pos[0].copy()], [], [0.0]
    for action in itertools.islice(drive(env), MAX_STEPS):
        action = np.clip(action, -1, 1) * (plan.speed, plan.speed, plan.speed, 1)
        simulator.step(action)
        path.append(simulator.data.mocap_pos[0].copy())  # it stays within its box, whatever the actions
        gripper.append(action[3])
        travel.append(float(np.linalg.norm(simulator._get_pos_objects() - home)))
    if len(gripper) == MAX_STEPS:
        return None
    return Reference(np.array(path) / simulator.action_scale, np.array(gripper), np.array(travel))


# ---- Motions: a reference played in a warped time ----


@dataclass(frozen=True)
class Motion:
    path: np.ndarray  # (N, 3) as in Reference, one for each frame
    gripper: np.ndarray  # (N,)
    phase: np.ndarray  # (N,) of the reference, 0 to 1
    travel: float  # of the reference's object, at the most

    def actions(self) -> np.ndarray:
        """(N, 4) float32; nothing moves after the last frame."""
        steps = np.diff(self.path, axis=0, append=self.path[-1:])
        return np.clip(np.column_stack([steps, self.gripper]), -1, 1).astype(np.float32)

    def resting(self) -> np.ndarray:
        """(N,) frames for which the arm has been told to stand still by then, and is told to go on so."""
        # Not while a reference waits for its gripper, in which its phase goes on.
        still = ~np.diff(np.column_stack([self.path, self.phase]), axis=0, append=0).any(axis=1)
        still[-1] = True
        frames = np.arange(len(still))
        moved = np.maximum.accumulate(np.where(still, 0, frames + 1))
        return frames - moved >= REST_AFTER * FPS


def warp(steps: int, plan: Plan) -> np.ndarray:
    """The step of the reference, a fraction included, at each frame: from 0 to `steps`, never falling."""
    stalls = list(plan.stalls)
    phase = [0.0]
    while phase[-1] < steps:
        now = phase[-1]
        while stalls and now >= stalls[0][0] * steps:
            phase += [now] * round(stalls.pop(0)[1] * FPS)
        factor = plan.factors[sum(now >= change * steps for change in plan.changes)]
        phase.append(min(now + factor, steps))
    return np.array(phase)


def plan_motion(env, plan: Plan) -> Motion | None:
    """The motion of an episode, None if the plan does not work out."""
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
    if plan.kind == "wrong_goal" and plan.task == "pick-place-v3":
        place(env, plan, plan.seed)
        space = env._env.goal_space
        goal = space.low + np.array(plan.other_goal) * (space.high - space.low)
        if np.linalg.norm(goal - env._env._target_pos) < GOAL_DISTANCE:
            return None
    reference = rehearse(env, plan, seed, drive, goal)
    if reference is None:
        return None

    steps, travel = len(reference.gripper), reference.travel.max()
    phase, lift = warp(steps, plan), 0
    n_frames = len(phase) + round(plan.hold * FPS)
    if plan.kind == "stall":
        phase = phase[: np.searchsorted(phase, plan.fraction * steps) + 1]
    if plan.kind == "wrong_goal" and plan.task in FIXTURES:
        end = np.argmax(reference.travel >= plan.fraction * travel)
        phase = phase[: np.searchsorted(phase, end) + 1]
        lift = round(15 / plan.speed)  # frames for 15 cm
        n_frames = len(phase) + lift + round(plan.hold * FPS)
    released = len(phase)
    phase = np.pad(phase, (0, n_frames - released), mode="edge")
    path = np.column_stack([np.interp(phase, np.arange(steps + 1), axis) for axis in reference.path.T])
    if lift:
        path[:, 2] += np.interp(np.arange(n_frames), [released, released + lift], [0, 15])
    gripper = reference.gripper[np.minimum(phase.astype(int), steps - 1)]
    return Motion(path, gripper, phase / steps, travel)


# ---- Episodes: what happens in the simulator ----


@contextlib.contextmanager
def model_restored(model):
    """Take back what an episode changes in the model, which the next one in this process shares."""
    names = ("geom_contype", "geom_conaffinity", "dof_damping")
    saved = {name: getattr(model, name).copy() for name in names}
    try:
        yield
    finally:
        for name, value in saved.items():
            getattr(model, name)[:] = value


def let_go(plan: Plan, model) -> None:
    """From now on the arm passes through everything; a loose object falls, all others stay where they are."""
    robot = model.body_rootid[model.body("hand").id]
    geoms = model.body_rootid[model.geom_bodyid] == robot
    model.geom_contype[geoms] = model.geom_conaffinity[geoms] = 0
    if plan.task != "pick-place-v3":
        model.dof_damping[model.jnt_dofadr[-1] :] = STUCK  # the object's joint is the last one


class Judge:
    """Says of each frame what is true in it."""

    def __init__(self, plan: Plan, simulator):
        self.plan, self.simulator = plan, simulator
        self.hand = simulator.get_endeff_pos().copy()
        self.object = simulator._get_pos_objects().copy()
        self.opened = False

    def __call__(self, raw: np.ndarray, action: np.ndarray) -> dict:
        simulator = self.simulator
        info = simulator.evaluate_state(raw, action)[1]
        success, distance = bool(info["success"]), float(info["obj_to_target"])
        if self.plan.task == CYCLE:
            self.opened |= success
            back = np.linalg.norm(simulator.get_endeff_pos() - self.hand) < BACK_HOME
            success = self.opened and drawer_opening(simulator) < 0.01 and bool(back)
        if self.plan.task == "door-open-v3":  # its info says 0; this is what it judges by
            distance = float(abs(raw[4] - simulator._target_pos[0]))
        travel = float(np.linalg.norm(simulator._get_pos_objects() - self.object))
        moved = travel > 0.01 or self.opened
        stage = 3 if success else 2 if moved else int(info["near_object"] >= 0.5)
        return {"success": success, "stage": stage, "object_distance": distance, "object_travel": travel}


class Camera:
    """LeRobot's own pictures, drawn when something has moved."""

    def __init__(self, env):
        self.env, self.qpos, self.observation = env, None, None

    def __call__(self, raw: np.ndarray) -> dict:
        qpos = self.env._env.data.qpos
        if self.qpos is None or np.abs(qpos - self.qpos).max() > STILL:
            self.qpos, self.observation = qpos.copy(), self.env._format_raw_obs(raw)
        return self.observation | {"agent_pos": raw[:4]}


def play(env, plan: Plan, motion: Motion, draw: bool) -> tuple[list[dict], dict[str, list]]:
    """The frames, none without `draw`, and the truth of an episode."""
    simulator, model = env._env, env._env.model
    raw = place(env, plan, plan.seed)
    judge, camera = Judge(plan, simulator), Camera(env)
    slips = plan.fraction * motion.travel if plan.variant == "slip" else np.inf
    frames, truth = [], []
    with model_restored(model):
        if plan.variant == "pinned":
            let_go(plan, model)
            model.dof_damping[model.jnt_dofadr[-1] :] = STUCK
        for action, resting in zip(motion.actions(), motion.resting(), strict=True):
            truth.append(judge(raw, action))
            if draw:
                frames.append(make_frame(camera(raw), action))
            if truth[-1]["object_travel"] >= slips:
                let_go(plan, model)
                slips = np.inf
            if not resting:
                raw = simulator.step(action)[0]
    columns = {name: [row[name] for row in truth] for name in truth[0]}
    return frames, {"phase": motion.phase.tolist()} | columns


def is_as_planned(plan: Plan, motion: Motion, truth: dict[str, list]) -> bool:
    """The simulator's verdict: failures fail to the end, all others succeed at their end and stay there."""
    success, phase = np.array(truth["success"]), np.array(truth["phase"])
    if plan.kind == "miss" and max(truth["object_travel"]) > TOUCHED * motion.travel:
        return False
    if plan.kind == "wrong_goal" and plan.task in FIXTURES:  # they move on a little when let go
        least, most = np.array(PART_OF_THE_WAY) * motion.travel
        return bool(not success.any() and least <= truth["object_travel"][-1] <= most)
    if plan.kind in FAILURE_KINDS:
        return not success.any()
    end = np.argmax(phase == 1)
    first = np.argmax(success)
    return bool(success[-1] and phase[first] >= SUCCESS_PHASE and first - end <= SUCCESS_DELAY * FPS)


def make_episode(task: str, image_size: int, seed: int, kind: str, index: int) -> tuple[list[dict], dict]:
    """Frames and record of an episode that the simulator has judged."""
    env = make_simulator(task, image_size)
    for attempt in range(ATTEMPTS):
        # Drawn from the episode's own numbers, so that the number of workers changes nothing.
        plan = draw_plan(task, kind, index, np.random.default_rng([seed, KINDS.index(kind), index, attempt]))
        motion = plan_motion(env, plan)
        if motion is None or not is_as_planned(plan, motion, play(env, plan, motion, draw=False)[1]):
            continue
        frames, truth = play(env, plan, motion, draw=True)  # the simulator is deterministic
        truth = {name: np.round(np.array(values, float), 6).tolist() for name, values in truth.items()}
        return frames, asdict(plan) | {"length": len(frames), "attempts": attempt + 1, "truth": truth}
    raise SystemExit(f"{task}: no episode of kind '{kind}' in {ATTEMPTS} attempts")


# ---- Data sets: what lies on the disk ----


def make_task(
    task: str,
    root: Path,
    train: int = 40,
    success: int = 20,
    failures: int = 10,
    image_size: int = 96,
    seed: int = 0,
    n_workers: int = 2,
    overwrite: bool = False,
) -> None:
    """Make a task's data sets in the folder `root`, those that are not there yet or, to overwrite, all."""
    kinds = {
        "train": ["train"] * train,
        "success": ["success"] * success,
        "failures": [kind for kind in FAILURE_KINDS for _ in range(failures)],
    }
    common = {"task": task, "image_size": image_size, "seed": seed, "held_out": 0, "version": 1}
    settings = {name: common | {"kind": name, "episodes": len(kinds[name])} for name in kinds}
    missing = [
        name
        for name in kinds
        if kinds[name] and not is_complete(root / name, settings[name], overwrite, RECORD)
    ]
    if not missing:
        return
    os.environ["MUJOCO_GL"] = choose_mujoco_gl()
    with workers(n_workers) as run:
        if task == CYCLE:
            check_simulator("drawer-open-v3")
            description = "Open the drawer, close it and go back"
        else:
            description = check_simulator(task)
        episodes = {}
        for name in missing:
            # A failure's number within its kind. More of one kind leave the others as they are.
            numbers = [kinds[name][:i].count(kind) for i, kind in enumerate(kinds[name])]
            jobs = [(task, image_size, seed, *job) for job in zip(kinds[name], numbers, strict=True)]
            # With workers this starts them all: the next data set is on its way while one is written.
            episodes[name] = run(make_episode, *zip(*jobs, strict=True))
        for name in missing:
            write_dataset(root / name, settings[name], episodes[name], description, record=RECORD)


def load_truth(root: Path) -> list[dict]:
    """Every episode's record (kind, seed, ...), and its truth as arrays (N,), one value a frame."""
    records = json.loads((Path(root) / RECORD).read_text())["episodes"]
    dtypes = {"success": bool, "stage": int}
    for record in records:
        truth = record.pop("truth")
        record |= {name: np.array(truth[name]).astype(dtypes.get(name, float)) for name in TRUTHS}
    return records


def load_cr5_truth(root: Path) -> list[dict]:
    """The labels of the CR5 arm's episodes (a folder of cr5_banana, see the README), all of which succeed.

    Per episode: `linear` (N,), the package's own label at its default settings, and `switch` (N,), which
    rises to 0.5 at the grasp and to 1 at the release: the first and the last switch of the gripper.
    """
    from lerobot.configs.default import DatasetConfig
    from lerobot.datasets.reward_labels import progress_reward

    episodes = []
    for index, event in json.loads((Path(root) / "events.json").read_text()).items():
        frames, switches = np.arange(event["length"]), event["gripper_switches"]
        linear = progress_reward(
            frames, event["length"], DatasetConfig.reward_start_pct, DatasetConfig.reward_end_pct
        )
        switch = np.interp(frames, [0, switches[0], switches[-1]], [0, 0.5, 1])
        episode = {"episode": int(index), "length": event["length"]}
        episodes.append(episode | {"linear": linear, "switch": switch})
    return episodes


def summarise(root: Path) -> str:
    """One line on a data set."""
    episodes = load_truth(root)
    lengths = [episode["length"] for episode in episodes]
    line = f"{root}: {len(episodes)} episodes of {min(lengths)} to {max(lengths)} frames"
    for kind in KINDS:
        attempts = [episode["attempts"] for episode in episodes if episode["kind"] == kind]
        line += f", {len(attempts)} {kind} in {sum(attempts)} attempts" if attempts else ""
    return line


# ---- The command ----


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, default=TASKS[0],
        help="the task to make the data of")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs/benchmark/data"),
        help="where the folder <task> goes")
    parser.add_argument("--train", type=int, default=40,
        help="the number of demonstrations")
    parser.add_argument("--success", type=int, default=20,
        help="the number of held-out successes")
    parser.add_argument("--failures", type=int, default=10,
        help="the number of failures of each kind")
    add_simulation_arguments(parser)
    parser.add_argument("--overwrite", action="store_true",
        help="make anew what this script has made")
    args = parser.parse_args()
    # fmt: on
    at_least(parser, args, train=0, success=0, failures=0, image_size=16, seed=0, workers=1)
    root = args.output_dir / args.task
    sizes = {name: getattr(args, name) for name in ("train", "success", "failures", "image_size", "seed")}
    make_task(args.task, root, **sizes, n_workers=args.workers, overwrite=args.overwrite)
    for name in ("train", "success", "failures"):
        if (root / name).exists():
            print(summarise(root / name))


if __name__ == "__main__":
    main()
