"""What the simulated SO-101 of the package lerobot_robot_so101_sim does.

demo.py       the demo's recipe: demonstrations through the robot, and three kinds of failures
rollouts.py   a trained policy on the robot
plans.py      what is random in an episode of the benchmark: joint angles, two cameras, 10 or 15 frames per second
motions.py    the expert's motion, played in a warped time
episodes.py   playing and judging an episode of the benchmark, and its recipe
"""
