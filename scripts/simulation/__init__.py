"""Episodes from simulators: one generator, with a recipe for the demo and two for the benchmark.

environment.py        LeRobot's environment, drawing small and fast
generator.py          plans, rehearsals and the loop that tries plans until one works
warp.py               a motion played in a warped time
dataset.py            datasets on the disk, made by several processes
demo.py               the demo's recipe: demonstrations and three kinds of failures
benchmark_scenes.py   the benchmark's tasks, and what drives the arm in them
benchmark_plans.py    what is random in an episode of the benchmark
benchmark_motions.py  an expert's motion played in that time
benchmark_episodes.py the benchmark's recipe: playing, judging and recording the truth
benchmark_data.py     the benchmark's datasets and their truth
so101/                the same for a simulated SO-101, on the same day and on other days
"""
