"""The simulated SO-101: its failures fail, its successes succeed, and another day changes the images alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from benchmarking.recordings import read_episodes
from lerobot_robot_so101_sim.arm import NAMES
from lerobot_robot_so101_sim.days import DAYS, SAME
from lerobot_robot_so101_sim.scene import simplify
from simulation.benchmark_data import load_truth, make_other_day, make_task
from simulation.generator import make_episode
from simulation.so101.episodes import make_arm, make_recipe, play_motion
from simulation.so101.motions import plan_motion
from simulation.so101.plans import BLOCKS, FAILURE_KINDS, FPS, PICK_PLACE, SHOW, TASKS, draw_plan

pytestmark = pytest.mark.usefixtures("mujoco_gl")
SIZE = 16


def find(task: str, kind: str, day: str = SAME):
    """A plan of a kind that works out, with its motion and its truth as arrays."""
    arm = make_arm(task, SIZE)
    for attempt in range(50):
        plan = draw_plan(task, kind, 0, np.random.default_rng(attempt), day)
        motion = plan_motion(arm, plan)
        if motion is None:
            continue
        truth = {
            name: np.array(values) for name, values in play_motion(arm, plan, motion, draw=False)[1].items()
        }
        if (kind in FAILURE_KINDS) != truth["success"][-1]:
            return plan, motion, truth
    raise AssertionError(f"no {kind} of {task}")


@pytest.mark.parametrize("task", TASKS)
def test_a_success_moves_the_block_and_comes_home(task):
    _, motion, truth = find(task, "success")
    first = np.argmax(truth["success"])
    assert truth["success"][first:].all() and truth["phase"][first] > 0.9
    assert truth["object_distance"][-1] < 0.03 and truth["object_travel"].max() > 0.05
    assert np.abs(motion.commands[-1] - motion.commands[0]).max() < 1e-9
    assert (np.diff(truth["phase"]) >= 0).all() and truth["phase"][-1] == 1
    if task == SHOW:  # it ends as it began
        assert truth["object_travel"][-1] < 0.03


@pytest.mark.parametrize("kind", FAILURE_KINDS)
def test_failures_fail(kind):
    plan, motion, truth = find(PICK_PLACE, kind)
    assert not truth["success"].any()
    if kind in ("pinned", "miss"):
        assert truth["object_travel"][-1] < 0.02
    if kind == "stall":
        assert 0.3 < truth["phase"][-1] < 0.75
    else:
        assert truth["phase"][-1] == 1
    if kind in ("slip", "lost_late"):
        assert motion.lost < 1 and truth["object_travel"][-1] > 0.005
    if kind in ("wrong_goal", "beside"):
        assert np.linalg.norm(np.subtract(plan.place, plan.goal)) > 0.039


def test_a_held_block_keeps_the_gripper_open():
    """What the evidence of the robot's state sees."""

    def least(kind):
        frames, _ = make_episode(make_recipe(), PICK_PLACE, SIZE, 0, kind, 0)
        return min(frame["observation.state"][5] for frame in frames)

    assert least("pinned") < 5 < 15 < least("success")


def test_a_failure_leaves_nothing_behind():
    plan, motion, truth = find(PICK_PLACE, "success")
    find(PICK_PLACE, "pinned")
    find(PICK_PLACE, "success", "darker, camera bumped")
    again = play_motion(make_arm(PICK_PLACE, SIZE), plan, motion, draw=False)[1]
    for name in truth:
        np.testing.assert_array_equal(truth[name], again[name])


@pytest.mark.parametrize("day", [day for day in DAYS if day != SAME])
def test_another_day_changes_the_images_and_not_what_the_arm_does(day):
    arm = make_arm(PICK_PLACE, 32)
    plan, motion, _ = find(PICK_PLACE, "success", day)
    short = replace(motion, commands=motion.commands[:3], phase=motion.phase[:3])
    changed, same = (play_motion(arm, replace(plan, day=name), short, draw=True)[0] for name in (day, SAME))
    for frame, usual in zip(changed, same, strict=True):
        np.testing.assert_array_equal(frame["observation.state"], usual["observation.state"])
    difference = np.abs(
        changed[0]["observation.images.front"] - same[0]["observation.images.front"].astype(float)
    )
    assert (difference.mean() > 0.3) == (day != "object outside")  # from the first image on
    low, high = np.array(BLOCKS)
    outside = np.maximum(low - plan.block, plan.block - high).max()
    assert (0.019 < outside < 0.041) if day == "object outside" else outside <= 0


def test_simplified_triangles_keep_their_shape():
    corners = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[1, 0, 0], [1, 1, 0], [0, 1, 0.0001]]])
    vertices, faces = simplify(corners)
    assert len(vertices) == 4 and len(faces) == 2
    tiny = 0.0005 * corners[:1]
    assert len(simplify(np.concatenate([corners, tiny]))[1]) == 2


def test_the_datasets_are_lerobots(tmp_path):
    make_task(SHOW, tmp_path, train=1, success=1, failures=0, image_size=SIZE, n_workers=1)
    make_other_day(SHOW, tmp_path / "day", "new object", success=1, failures=0, image_size=SIZE, n_workers=1)
    info = json.loads((tmp_path / "train/meta/info.json").read_text())
    assert info["fps"] == FPS[SHOW] and info["robot_type"] == "so101_follower"
    assert info["features"]["observation.state"]["names"] == NAMES
    (frames,) = read_episodes(tmp_path / "success")
    (truth,) = load_truth(tmp_path / "success")
    assert set(frames.images) == {"observation.images.front", "observation.images.wrist"}
    assert all(len(images) == len(truth["phase"]) == len(frames.state) for images in frames.images.values())
    (other,) = load_truth(tmp_path / "day/success")
    assert other["day"] == "new object" and other["block"] != truth["block"]
