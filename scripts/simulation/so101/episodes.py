"""Plays and judges an episode of the SO-101. The truth of each frame is that of benchmark_episodes.py: phase, success,
stage, object_distance and object_travel."""

import functools

import numpy as np
from lerobot_robot_so101_sim.arm import NAMES, Arm, to_units
from lerobot_robot_so101_sim.days import DAYS, SAME, change_image

from simulation.generator import Format, Recipe
from simulation.so101.motions import Motion, plan_motion
from simulation.so101.plans import (
    CAMERAS,
    DESCRIPTIONS,
    FAILURE_KINDS,
    FPS,
    KINDS,
    PICK_PLACE,
    SO101Plan,
    draw_plan,
)

AT_GOAL = 0.03  # metres between the block and its goal
LIFTED = 0.05  # metres, the height of a block that is carried
DOWN = 0.03  # metres, the height of a block that is put down
RELEASED = 20  # of the gripper's 100: a block in the jaws keeps them at 20.5
BACK = 0.06  # radians between the arm and where it started


@functools.cache  # one per process
def make_arm(task: str, image_size: int) -> Arm:
    return Arm(FPS[task], image_size)


def describe_format(task: str, image_size: int) -> Format:
    """How the episodes of a task are recorded."""
    image = {"dtype": "video", "shape": (image_size, image_size, 3), "names": ["height", "width", "channels"]}
    joints = {"dtype": "float32", "shape": (6,), "names": NAMES}
    cameras = {f"observation.images.{camera}": image for camera in CAMERAS[task]}
    return Format(FPS[task], "so101_follower", cameras | {"observation.state": joints, "action": joints})


def play_motion(arm: Arm, plan: SO101Plan, motion: Motion, draw: bool) -> tuple[list[dict], dict[str, list]]:
    """The frames of an episode, none without `draw`, and its truth by name."""
    home, block, goal = motion.commands[0, :5], np.array(plan.block), np.array(plan.goal)
    day, rng = DAYS[plan.day], np.random.default_rng(plan.seed)
    arm.reset(block, goal if plan.task == PICK_PLACE else None, home)
    arm.change_scene(day, rng)
    if plan.kind == "pinned":
        arm.pin()
    frames: list[dict] = []
    truth: dict[str, list] = {
        name: [] for name in ("phase", "success", "stage", "object_distance", "object_travel")
    }
    carried = moved = False
    for command, phase in zip(motion.commands, motion.phase, strict=True):
        if phase >= motion.lost:
            arm.let_go()
        joints, place = arm.joints, arm.block
        units = to_units(joints)
        carried |= bool(place[2] > LIFTED)
        moved |= bool(np.linalg.norm(place[:2] - block) > 0.01) or carried
        distance = float(np.linalg.norm(place[:2] - goal))
        back = np.abs(joints[:5] - home).max() < BACK
        done = (
            carried
            and distance < AT_GOAL
            and place[2] < DOWN
            and units[5] > RELEASED
            and back
            and phase > 0.9
        )
        truth["phase"].append(float(phase))
        truth["success"].append(bool(done))
        truth["stage"].append(3 if done else 2 if moved else int(phase > 0.3))
        truth["object_distance"].append(distance)
        truth["object_travel"].append(float(np.linalg.norm(place[:2] - block)))
        if draw:
            images = {
                f"observation.images.{camera}": change_image(arm.look(camera), day, rng)
                for camera in CAMERAS[plan.task]
            }
            frames.append(
                images
                | {
                    "observation.state": units.astype(np.float32),
                    "action": to_units(command.copy()).astype(np.float32),
                }
            )
        arm.step(command)
    return frames, truth


def play(arm: Arm, plan: SO101Plan) -> tuple[list[dict], dict] | None:
    """The frames and the truth of an episode, None unless it ends as planned."""
    motion = plan_motion(arm, plan)
    if motion is None:
        return None
    success = play_motion(arm, plan, motion, draw=False)[1]["success"]
    if any(success) if plan.kind in FAILURE_KINDS else not success[-1]:
        return None
    frames, truth = play_motion(arm, plan, motion, draw=True)  # the simulator is deterministic
    return frames, {
        "truth": {name: np.round(np.array(values, float), 6).tolist() for name, values in truth.items()}
    }


def make_recipe(day: str = SAME) -> Recipe:
    """The recipe of a day of that name."""
    return Recipe(
        record="rewact_extensions/benchmark.json",
        kinds=KINDS,
        describe=DESCRIPTIONS.__getitem__,
        describe_format=describe_format,
        make_env=make_arm,
        draw_plan=functools.partial(draw_plan, day=day),
        play=play,
    )
