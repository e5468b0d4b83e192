"""The demo's episodes: a scripted expert puts a cube onto a plate with the simulated robot, `--robot.type=so101_sim`.

Demonstrations differ in where cube and plate are and in how fast the expert moves. They end shortly after the arm is
back. In a failure the expert moves as ever, and does not notice what goes wrong:
    slip     the cube slips out of the jaws once it is lifted
    missing  there is no cube
    moved    somebody puts the cube elsewhere while the arm approaches
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lerobot_robot_so101_sim import SO101Sim, SO101SimConfig
from lerobot_robot_so101_sim.arm import NAMES, to_units
from lerobot_robot_so101_sim.days import SAME
from lerobot_robot_so101_sim.pick_place import CUBES, TASK
from lerobot_robot_so101_sim.scene import assets

from lerobot.utils.feature_utils import build_dataset_frame, hw_to_dataset_features
from simulation.generator import Format, Recipe, draw_seed
from simulation.so101.motions import plan_motion
from simulation.so101.plans import FPS, PICK_PLACE, SO101Plan

FAILURE_KINDS = ("slip", "missing", "moved")
IMAGE_SIZE = 64
FASTEST = 1.15  # times the usual speed; the slowest is as much slower
# Seconds for which the arm stays at its end. In that time a policy learns that there is nothing left to do, and its
# reward that this is not the start.
HOLD_S = 1.0
# Range of how far the gripper opens, in radians. Were it always the same, a policy that opens it by a little less would
# look like none of the demonstrations to the evidence of failure.
OPENINGS = 0.72, 1.08
# Metres from the cube's middle to where the expert takes it. One jaw does not move: this leaves as much room between
# the cube and each of them.
BESIDE = np.array([0.0, -0.011])


@dataclass(frozen=True)
class DemoPlan:
    """A plan.

    Attributes:
        seed: of where the robot's cube and plate are.
        aim: where a missing cube is looked for, in metres on the table.
        durations: (12,) factors on the parts of the motion.
        openings: of the gripper before and after it holds the cube, in radians.
        speed: of the whole motion, 1 for the usual one.
    """

    kind: str
    seed: int
    aim: tuple[float, float]
    durations: tuple[float, ...]
    openings: tuple[float, float]
    speed: float


def draw_plan(task: str, kind: str, index: int, rng: np.random.Generator) -> DemoPlan:
    return DemoPlan(
        kind=kind,
        seed=draw_seed(rng),
        aim=tuple(rng.uniform(*CUBES).tolist()),
        durations=tuple(rng.uniform(0.8, 1.2, 12).tolist()),
        openings=tuple(rng.uniform(*OPENINGS, 2).tolist()),
        speed=float(np.exp(rng.uniform(-np.log(FASTEST), np.log(FASTEST)))),
    )


def describe(task: str) -> str:
    """The task in words; exit with one line where the simulator cannot run it."""
    try:
        assets()
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None
    return TASK


@functools.cache  # one per process
def make_robot(task: str, image_size: int) -> SO101Sim:
    robot = SO101Sim(SO101SimConfig(fps=FPS[PICK_PLACE], image_size=image_size, real_time=False))
    robot.connect()
    return robot


def describe_format(task: str, image_size: int) -> Format:
    """As lerobot-record has it."""
    robot = SO101Sim(SO101SimConfig(image_size=image_size))
    features = hw_to_dataset_features(robot.observation_features, "observation", use_video=True)
    features |= hw_to_dataset_features(robot.action_features, "action")
    return Format(FPS[PICK_PLACE], robot.name, features)


def plan_commands(robot: SO101Sim, plan: DemoPlan) -> np.ndarray | None:
    """The expert's (T, 6) commands in the robot's units, None if a place is out of reach. The robot was just reset."""
    truth = robot.truth
    aim = np.array(plan.aim) if plan.kind == "missing" else truth.cube[:2]
    motion = plan_motion(
        robot.arm,
        SO101Plan(
            task=PICK_PLACE, kind="train", block=tuple(aim), goal=tuple(truth.plate), aim=tuple(aim + BESIDE),
            place=tuple(truth.plate), home=(0.0,) * 5, durations=plan.durations, factors=(plan.speed,), changes=(),
            stalls=(), hold=HOLD_S, fraction=0.0, day=SAME, seed=0,
        ),
        plan.openings,
    )  # fmt: skip
    return None if motion is None else to_units(motion.commands)


def play(robot: SO101Sim, plan: DemoPlan) -> tuple[list[dict], dict] | None:
    """The frames of an episode; None unless the cube is on the plate after a demonstration, and not after a failure."""
    robot.reset(plan.seed, "none" if plan.kind == "demo" else plan.kind)
    commands = plan_commands(robot, plan)
    if commands is None:
        return None
    features = describe_format("", robot.config.image_size).features
    frames = []
    for command in commands:
        frame = build_dataset_frame(features, robot.get_observation(), "observation")
        sent = robot.send_action(dict(zip(NAMES, command.tolist(), strict=True)))
        frames.append(frame | build_dataset_frame(features, sent, "action"))
    truth = robot.truth
    if truth.done != (plan.kind == "demo"):
        return None
    return frames, {
        "success": truth.done,
        "cube": truth.cube.round(4).tolist(),
        "plate": truth.plate.round(4).tolist(),
    }


DEMO = Recipe(
    record="rewact_extensions/demo_dataset.json",
    kinds=("demo", *FAILURE_KINDS),
    describe=describe,
    describe_format=describe_format,
    make_env=make_robot,
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
