"""Episodes from simulators: one generator, with a recipe for the demo and two for the benchmark.

generator.py               plans, rehearsals and the loop that tries plans until one works
warp.py                    a motion played in a warped time
dataset.py                 datasets on the disk, made by several processes
lerobot_robot_so101_sim/   the simulated SO-101 as a LeRobot robot: a package of its own, which `make setup` installs
so101/                     what it does: the demo's demonstrations, rollouts of a policy, and the benchmark's episodes
environment.py             LeRobot's Meta-World environment, drawing small and fast
benchmark_scenes.py        the benchmark's tasks in Meta-World, and what drives the arm in them
benchmark_plans.py         what is random in an episode of the benchmark
benchmark_motions.py       an expert's motion played in that time
benchmark_episodes.py      the benchmark's recipe: playing, judging and recording the truth
benchmark_data.py          the benchmark's datasets and their truth
"""
