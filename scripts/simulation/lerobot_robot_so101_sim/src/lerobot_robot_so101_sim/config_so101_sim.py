"""What can be set about the simulated SO-101."""

from dataclasses import dataclass

from draccus.utils import DecodingError

from lerobot.robots import RobotConfig
from lerobot_robot_so101_sim.days import DAYS, SAME
from lerobot_robot_so101_sim.pick_place import FAILURES


def refused(message: str) -> DecodingError:
    """The one error whose message LeRobot's commands show: of a ValueError they only say that there was one."""
    return DecodingError((), message)


@RobotConfig.register_subclass("so101_sim")
@dataclass
class SO101SimConfig(RobotConfig):
    # Frames per second: how long a command lasts with real_time=false. Give --fps of lerobot-rollout the same value.
    fps: int = 10
    # Width and height of the images of both cameras, front and side.
    image_size: int = 64
    # Decides where cube and plate are in each episode.
    seed: int = 0
    # true: simulated time follows the clock, and the arm holds the last command until the next one comes, as a real
    # one does. false: each command advances the simulation by one frame, as fast as the computer can.
    real_time: bool = True
    # What goes wrong: none, slip, missing or moved. A list such as "none,none,slip" goes on with every reset, and
    # begins again at its end.
    failure: str = "none"
    # Light, cameras and objects, by a name such as "darker" or "camera bumped".
    day: str = SAME

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.fps <= 100:
            raise refused(f"fps={self.fps}: it takes a number from 1 to 100.")
        if self.image_size < 16:
            raise refused(f"image_size={self.image_size}: it takes a number from 16 up.")
        if self.day not in DAYS:
            days = ", ".join(f"'{day}'" for day in DAYS)  # quoted: a name may have a comma
            raise refused(f"no day '{self.day}'; there are: {days}.")
        for failure in self.failures:
            if failure not in FAILURES:
                raise refused(f"no failure '{failure}'; there are: {', '.join(FAILURES)}.")

    @property
    def failures(self) -> list[str]:
        """The failures of the first episodes, by name."""
        return [name.strip() for name in self.failure.split(",")]
