"""The simulated SO-101 as a LeRobot robot.

robot = SO101Sim(SO101SimConfig(real_time=False, failure="none,slip"))
robot.connect()
robot.reset(seed=7)
observation = robot.get_observation()   # {"shoulder_pan.pos": degrees, ..., "front": (H, W, 3) uint8, "side": ...}
robot.send_action({"shoulder_pan.pos": 10.0, ...})
robot.truth.done
"""

import logging
import os
import time
from functools import cached_property

from lerobot.lerobot_types import RobotAction, RobotObservation
from lerobot.robots import Robot
from lerobot.utils.decorators import check_if_already_connected, check_if_not_connected
from lerobot_robot_so101_sim.arm import NAMES, Arm, from_units, to_units
from lerobot_robot_so101_sim.config_so101_sim import SO101SimConfig
from lerobot_robot_so101_sim.gl import draw_without_screen
from lerobot_robot_so101_sim.pick_place import CAMERAS, PickPlace, Truth
from lerobot_robot_so101_sim.scene import assets

logger = logging.getLogger(__name__)

RESET_AFTER_S = 1.0  # without a command, while observations are read
RESET_LOOKS = 3  # observations in a row, at least: a slow policy reads one before each command
SETTLED_S = 2.0  # after which an arm that holds a command does not move any more


class SO101Sim(Robot):
    """An SO-101 in simulation that puts a cube onto a plate: names, units and cameras as a real one has them.

    LeRobot's robots have no reset. As at a real arm, a person puts the cube to another place while nobody commands the
    arm: when observations have been read for a second without any command, after at least one command. That is what
    the reset phase of lerobot-rollout's episodic strategy and of lerobot-record does, without a teleoperator. A slow
    policy does not, since it reads one observation for each command.
    """

    config_class = SO101SimConfig
    name = "so101_sim"

    def __init__(self, config: SO101SimConfig):
        super().__init__(config)
        self.config = config
        self._table: PickPlace  # from connect() to disconnect()
        self._is_connected = False

    @cached_property
    def observation_features(self) -> dict[str, type | tuple]:
        size = self.config.image_size
        return self.action_features | dict.fromkeys(CAMERAS, (size, size, 3))

    @cached_property
    def action_features(self) -> dict[str, type]:
        return dict.fromkeys(NAMES, float)

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    @check_if_already_connected
    def connect(self, calibrate: bool = True) -> None:
        """Build the simulator and begin the first episode. `calibrate` has no effect: there is nothing to calibrate."""
        assets()  # says what is missing
        draw_without_screen()
        config = self.config
        try:
            table = PickPlace(config.fps, config.image_size, config.seed, config.failures, config.day)
            table.reset()
            table.look(CAMERAS[0])
        except Exception as error:  # of many types, by backend
            raise RuntimeError(
                f"MuJoCo cannot draw with MUJOCO_GL={os.environ.get('MUJOCO_GL', '')} ({error}): "
                "set MUJOCO_GL=egl or MUJOCO_GL=osmesa, after apt-get install libegl1 libgl1 libgl1-mesa-dri"
            ) from error
        self._table, self._is_connected = table, True
        self._begin()

    @check_if_not_connected
    def disconnect(self) -> None:
        if self._commanded:
            self._say_end()
        self._table.arm.close()
        self._is_connected = False

    @property
    def is_calibrated(self) -> bool:
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    @check_if_not_connected
    def reset(self, seed: int | None = None, failure: str | None = None) -> None:
        """Begin an episode with the arm at home, for scripts and tests. See `PickPlace.reset`."""
        self._table.reset(seed, failure)
        self._begin()

    @property
    @check_if_not_connected
    def truth(self) -> Truth:
        """What the simulator knows and the robot does not tell: for scripts and tests."""
        return self._table.truth

    @property
    @check_if_not_connected
    def arm(self) -> Arm:
        """The simulator, for an expert that asks it for joint angles."""
        return self._table.arm

    @check_if_not_connected
    def get_observation(self) -> RobotObservation:
        """The positions of the joints in degrees, the gripper's from 0 to 100, and the images (H, W, 3) uint8."""
        self._follow_clock()
        self._looks += 1
        if self._is_reset_phase():
            self._say_end()
            self._table.tidy_up()
            self._begin()
            logger.info(f"A person puts the cube elsewhere (next failure: {self.truth.failure}).")
        joints = dict(zip(NAMES, to_units(self._table.arm.joints).tolist(), strict=True))
        return joints | {camera: self._table.look(camera) for camera in CAMERAS}

    @check_if_not_connected
    def send_action(self, action: RobotAction) -> RobotAction:
        """Command positions, in the units of the observations. Joints that are not named keep their command.

        Returns:
            What was commanded: `action` within the range of the servos.
        """
        self._follow_clock()
        arm = self._table.arm
        units = to_units(arm.command)
        for name, value in action.items():
            units[NAMES.index(name)] = value
        arm.command = arm.clip(from_units(units))
        self._looks, self._commanded, self._last_command = 0, True, time.perf_counter()
        if not self.config.real_time:
            self._table.advance(arm.steps_per_frame)
        sent = dict(zip(NAMES, to_units(arm.command).tolist(), strict=True))
        return {name: sent[name] for name in action}

    def _say_end(self) -> None:
        """Log how an episode has ended."""
        ended = self.truth
        logger.info(
            f"The cube was {'' if ended.done else 'not '}on the plate at the end of episode {ended.episode} "
            f"(failure: {ended.failure})."
        )

    def _begin(self) -> None:
        """Note that an episode begins."""
        self._looks, self._commanded = 0, False
        self._last_command = self._now = time.perf_counter()

    def _follow_clock(self) -> None:
        """Let the simulated time catch up with the clock, during which the arm holds its last command."""
        if not self.config.real_time:
            return
        timestep = self._table.arm.timestep
        passed = time.perf_counter() - self._now
        if passed > SETTLED_S:  # nothing moves any more
            self._now += passed - SETTLED_S
            passed = SETTLED_S
        steps = int(passed / timestep)
        self._now += steps * timestep
        self._table.advance(steps)

    def _is_reset_phase(self) -> bool:
        if not self._commanded or self._looks < RESET_LOOKS:
            return False
        if self.config.real_time:
            return time.perf_counter() - self._last_command >= RESET_AFTER_S
        return self._looks >= RESET_AFTER_S * self.config.fps
