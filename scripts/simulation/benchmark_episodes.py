"""The benchmark's episodes: they play a motion, and the simulator tells the truth about each frame.

The truth of an episode, one value per frame:
    phase            the arm's progress in the motion that it plays, 0 to 1: in a success, the true progress
    success          the task is solved in this frame; not sticky
    stage            0 at the start, 1 near the object, 2 object moved by 1 cm, 3 task solved
    object_distance  of the object to its goal, in metres (in drawer-open-close: to being open)
    object_travel    of the object from its first place, in metres

When the arm has been told to stand still for 0.3 s, the simulator's time stops until the arm is told to move again.
Otherwise the elbow would sink for seconds, because the simulator holds nothing but the hand. An image in which nothing
moves is drawn once.
"""

import contextlib
import functools

import numpy as np
from lerobot_robot_so101_sim.days import DAYS, SAME, change_image, change_scene

from simulation.benchmark_motions import Motion, plan_motion
from simulation.benchmark_plans import FAILURE_KINDS, KINDS, BenchmarkPlan, draw_plan
from simulation.benchmark_scenes import (
    CYCLE,
    FIXTURES,
    PICK_PLACE,
    describe,
    drawer_opening,
    make_simulator,
    place,
)
from simulation.environment import FPS, describe_format, make_frame
from simulation.generator import Recipe

TRUTHS = ("phase", "success", "stage", "object_distance", "object_travel")

PART_OF_THE_WAY = (0.25, 0.65)  # how far a fixture that is let go has opened, as a fraction of a success
TOUCHED = 0.25  # how far a miss may move the object by chance, as a fraction of a success
BACK_HOME = 0.012  # metres within which the hand of drawer-open-close is back where it started
SUCCESS_PHASE = 0.95  # the earliest phase of a success
SUCCESS_DELAY = 0.25  # seconds after the motion's end, at most: the hand lags behind its commands
CUPS = (0.3, 0.45), (0.38, 0.6)  # range of places for a cup: beside the workspace
STILL = 3e-4  # radians and metres; 0.3 mm at the end of the arm is a thirtieth of a pixel of 96
STUCK = 1e6  # damping of an object that must not move; a drawer's own is 2


@contextlib.contextmanager
def model_restored(model):
    """Undo what an episode changes in the model, because the next one in this process uses it too."""
    arrays = [
        model.geom_contype,
        model.geom_conaffinity,
        model.dof_damping,
        model.light_diffuse,
        model.light_dir,
        model.cam_quat,
    ]
    arrays += [model.vis.headlight.diffuse, model.vis.headlight.ambient]
    saved = [array.copy() for array in arrays]
    try:
        yield
    finally:
        for array, value in zip(arrays, saved, strict=True):
            array[:] = value


def let_go(plan: BenchmarkPlan, model) -> None:
    """From now on the arm passes through everything. A loose object falls, any other stays in its place."""
    robot = model.body_rootid[model.body("hand").id]
    geoms = model.body_rootid[model.geom_bodyid] == robot
    model.geom_contype[geoms] = model.geom_conaffinity[geoms] = 0
    if plan.task != PICK_PLACE:
        model.dof_damping[model.jnt_dofadr[-1] :] = STUCK  # the object's joint is the last one


class Judge:
    """The truth of each frame, except for its phase."""

    def __init__(self, plan: BenchmarkPlan, simulator):
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
        if self.plan.task == "door-open-v3":  # its own info is always 0; it judges success by this
            distance = float(abs(raw[4] - simulator._target_pos[0]))
        travel = float(np.linalg.norm(simulator._get_pos_objects() - self.object))
        moved = travel > 0.01 or self.opened
        stage = 3 if success else 2 if moved else int(info["near_object"] >= 0.5)
        return {"success": success, "stage": stage, "object_distance": distance, "object_travel": travel}


class Camera:
    """LeRobot's own observations, with an image that is drawn again when something has moved.

    Args:
        env: the environment.
        cup: (2,) where a cup stands, None without one. It is drawn, and nothing can touch it.
    """

    def __init__(self, env, cup: np.ndarray | None = None):
        self.env, self.cup = env, cup
        self.qpos: np.ndarray | None = None
        self.observation: dict = {}

    def __call__(self, raw: np.ndarray) -> dict:
        qpos = self.env._env.data.qpos
        if self.qpos is None or np.abs(qpos - self.qpos).max() > STILL:
            if self.cup is not None:
                self._add_cup(*self.cup)
            self.qpos, self.observation = qpos.copy(), self.env._format_raw_obs(raw)
        return self.observation | {"agent_pos": raw[:4]}

    def _add_cup(self, x: float, y: float) -> None:
        """Have a cup drawn in the next image."""
        import mujoco

        radius, height = 0.04, 0.1
        self.env._env.mujoco_renderer._get_viewer("rgb_array").add_marker(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            size=np.array([radius, height / 2, 0]),
            pos=np.array([x, y, height / 2]),
            rgba=np.array([0.2, 0.45, 0.25, 1]),
        )


def play_motion(env, plan: BenchmarkPlan, motion: Motion, draw: bool) -> tuple[list[dict], dict[str, list]]:
    """The frames of an episode, none without `draw`, and its truth: a list for each of TRUTHS."""
    simulator, model = env._env, env._env.model
    raw = place(env, plan, plan.seed)
    judge = Judge(plan, simulator)
    slips = plan.fraction * motion.travel if plan.variant == "slip" else np.inf
    frames, truth = [], []
    day, rng = DAYS[plan.day], np.random.default_rng(plan.seed)
    with model_restored(model):
        if draw:
            change_scene(model, simulator.data, day, rng)
        camera = Camera(env, rng.uniform(*CUPS) if day.cup else None)
        if plan.variant == "pinned":
            let_go(plan, model)
            model.dof_damping[model.jnt_dofadr[-1] :] = STUCK
        for action, resting in zip(motion.actions(), motion.resting(), strict=True):
            truth.append(judge(raw, action))
            if draw:
                frame = make_frame(camera(raw), action)
                frame["observation.image"] = change_image(frame["observation.image"], day, rng)
                frames.append(frame)
            if truth[-1]["object_travel"] >= slips:
                let_go(plan, model)
                slips = np.inf
            if not resting:
                raw = simulator.step(action)[0]
    columns = {name: [row[name] for row in truth] for name in truth[0]}
    return frames, {"phase": motion.phase.tolist()} | columns


def is_as_planned(plan: BenchmarkPlan, motion: Motion, truth: dict[str, list]) -> bool:
    """Whether a failure never succeeds, or any other episode succeeds when its motion ends and stays solved."""
    success, phase = np.array(truth["success"]), np.array(truth["phase"])
    if plan.kind == "miss" and max(truth["object_travel"]) > TOUCHED * motion.travel:
        return False
    if plan.kind == "wrong_goal" and plan.task in FIXTURES:  # they move a little further when let go
        least, most = np.array(PART_OF_THE_WAY) * motion.travel
        return bool(not success.any() and least <= truth["object_travel"][-1] <= most)
    if plan.kind in FAILURE_KINDS:
        return not success.any()
    end = np.argmax(phase == 1)
    first = np.argmax(success)
    return bool(success[-1] and phase[first] >= SUCCESS_PHASE and first - end <= SUCCESS_DELAY * FPS)


def play(env, plan: BenchmarkPlan) -> tuple[list[dict], dict] | None:
    """The frames and the truth of an episode, None unless it ends as planned."""
    motion = plan_motion(env, plan)
    if motion is None or not is_as_planned(plan, motion, play_motion(env, plan, motion, draw=False)[1]):
        return None
    frames, truth = play_motion(env, plan, motion, draw=True)  # the simulator is deterministic
    return frames, {
        "truth": {name: np.round(np.array(values, float), 6).tolist() for name, values in truth.items()}
    }


def make_recipe(day: str = SAME) -> Recipe:
    """The recipe of a day of that name."""
    return Recipe(
        record="rewact_extensions/benchmark.json",
        kinds=KINDS,
        describe=describe,
        describe_format=describe_format,
        make_env=make_simulator,
        draw_plan=functools.partial(draw_plan, day=day),
        play=play,
    )
