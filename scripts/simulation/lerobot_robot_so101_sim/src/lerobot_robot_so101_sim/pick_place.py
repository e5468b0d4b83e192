"""The task of the simulated SO-101: a cube belongs onto a plate. Where they are, what goes wrong, and the truth."""

from dataclasses import dataclass

import numpy as np

from lerobot_robot_so101_sim.arm import HOME, Arm
from lerobot_robot_so101_sim.days import DAYS, change_image, draw_outside
from lerobot_robot_so101_sim.scene import FAR

TASK = "Put the cube onto the plate"
CAMERAS = ("front", "side")
FIELDS_OF_VIEW = {"front": 28.0, "side": 28.0}  # degrees, close enough for small images
CUBES = (0.205, -0.08), (0.25, -0.01)  # range of the cube's place, in metres
PLATES = (0.2, 0.08), (0.24, 0.11)

FAILURES = {
    "none": "nothing goes wrong",
    "slip": "the cube slips out of the jaws once it is lifted, and they cannot hold it any more",
    "missing": "there is no cube",
    "moved": "somebody puts the cube elsewhere when the open jaws are above it for the first time",
}
LIFTED = 0.05  # metres, the height of a cube that is carried
DOWN = 0.03  # metres, the height of a cube that lies on the table or the plate
AT_GOAL = 0.03  # metres between the middle of the cube and that of the plate
ABOVE = 0.03  # metres on the table between the jaws and a cube that is about to be moved
OPENED = 0.5  # radians, the gripper's joint when it is about to take the cube; at home it is half open
MOVED = 0.038  # metres by which it is moved, at least: about its width
SLICE = 10  # steps of the simulator after which failures are looked at again: 20 ms


@dataclass(frozen=True)
class Truth:
    """What the simulator knows and the robot does not tell.

    Attributes:
        episode: its number, from 0.
        failure: by its name in `FAILURES`.
        cube: (3,) its position in metres.
        plate: (2,) its place in metres.
        lifted: whether the cube has been lifted in this episode.
        done: the cube lies on the plate and nothing touches it, after it was lifted.
    """

    episode: int
    failure: str
    cube: np.ndarray
    plate: np.ndarray
    lifted: bool
    done: bool


class PickPlace:
    """The arm and its table.

    Args:
        fps: as in `Arm`.
        image_size: as in `Arm`.
        seed: decides about every episode.
        failures: of the first episodes, by their names in `FAILURES`; then they begin again.
        day: its name in `DAYS`.
    """

    def __init__(self, fps: int, image_size: int, seed: int, failures: list[str], day: str):
        self.arm = Arm(fps, image_size, firm_grip=True, fields_of_view=FIELDS_OF_VIEW)
        self.seed, self.failures, self.day = seed, failures, DAYS[day]
        self._noise = np.random.default_rng([seed, 1])
        self.episode = -1
        self._lifted = False
        self._pending = False  # whether something is going to go wrong

    def reset(self, seed: int | None = None, failure: str | None = None) -> None:
        """Begin an episode with the arm at home.

        Args:
            seed: of where cube and plate are, None for that of the episode's number.
            failure: by its name in `FAILURES`, None for the next one of the list.
        """
        self._draw(seed, failure)
        self.arm.reset(self._cube, self._plate, HOME)
        self._change_scene()

    def tidy_up(self) -> None:
        """Begin the next episode as a person does, who puts cube and plate to new places and leaves the arm alone."""
        self._draw(None, None)
        self.arm.restore()
        self.arm.put_block(self._cube)
        self.arm.put_plate(self._plate)
        self.arm.notice()
        self._change_scene()

    def advance(self, steps: int) -> None:
        """Let the time of some simulator steps go by, in which what goes wrong goes wrong."""
        while steps > 0:
            self.arm.advance(min(steps, SLICE))
            steps -= SLICE
            self._lifted |= bool(self.arm.block[2] > LIFTED)
            if self._pending and self._is_time():
                self._pending = False
                if self.failure == "slip":
                    self.arm.let_go()
                else:
                    self.arm.put_block(self._draw_cube(MOVED))

    def look(self, camera: str) -> np.ndarray:
        """The (H, W, 3) uint8 image of a camera."""
        return change_image(self.arm.look(camera), self.day, self._noise)

    @property
    def truth(self) -> Truth:
        cube = self.arm.block
        on_plate = np.linalg.norm(cube[:2] - self._plate) < AT_GOAL and cube[2] < DOWN
        done = bool(self._lifted and on_plate and not self.arm.touches_block())
        return Truth(self.episode, self.failure, cube, self._plate.copy(), self._lifted, done)

    def _draw(self, seed: int | None, failure: str | None) -> None:
        self.episode += 1
        self.failure = failure or self.failures[self.episode % len(self.failures)]
        self._rng = np.random.default_rng([self.seed, 0, self.episode] if seed is None else seed)
        self._cube = np.array([FAR, 0.0])  # what a missing one and a plate of any place are far from
        self._cube = self._draw_cube(0)
        self._plate = self._rng.uniform(*PLATES)
        if self.failure == "missing":
            self._cube = np.array([FAR, 0.0])
        self._pending = self.failure in ("slip", "moved")
        self._lifted = False

    def _draw_cube(self, distance: float) -> np.ndarray:
        """A (2,) place for the cube, at least a distance from where it was put before."""
        outside = self.day.outside
        while True:
            place = draw_outside(self._rng, CUBES, outside) if any(outside) else self._rng.uniform(*CUBES)
            if np.linalg.norm(place - self._cube) >= distance:
                return place

    def _change_scene(self) -> None:
        # the same seed every time: cameras that were bumped stay as they are
        self.arm.change_scene(self.day, np.random.default_rng([self.seed, 2]))

    def _is_time(self) -> bool:
        if self.failure == "slip":
            return self._lifted
        above = np.linalg.norm(self.arm.jaws[:2] - self.arm.block[:2]) < ABOVE
        return bool(above and self.arm.joints[5] > OPENED)
