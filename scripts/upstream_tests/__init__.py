"""LeRobot's own tests on the pristine and on the patched tree: the parts of scripts/test_upstream.py.

trees.py     the two commits, and their files in temporary folders
run.py       pytest on each tree, in processes of their own
plugin.py    the pytest plug-in that records what becomes of each test
compare.py   the difference by test, and what counts as a regression
report.py    the difference as text
"""
