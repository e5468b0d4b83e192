"""The figures of a series, on the toy upstream and on the real series."""

import subprocess
import sys

import pytest
from series_figures import Patch, count, measure, read_hunks, report
from toy_upstream import ACT, FACTORY, HEAD, REPO, TEST, TRAILERS, make_project


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """The toy's two patches, and a third one that takes back lines of both."""
    project = make_project(tmp_path_factory.mktemp("toy"))
    lerobot = project.lerobot
    before = lerobot.state()
    project.run("apply")
    lerobot.edit(HEAD, "head_1 = 1\nhead_2 = 2\n", "head_1 = 'other'\n")  # two lines of 0001
    lerobot.edit(FACTORY, "labels = True\n", "")  # a line of 0002
    lerobot.edit(ACT, "modeling_act_30 = 30\n", "")  # a line of LeRobot's
    lerobot.write(TEST, "def test_head():\n    assert True\n")  # a line of 0001, in a test
    lerobot.commit("fix(act): another head\n\nIt was wrong." + TRAILERS, day=7)
    project.run("export")
    project.run("unapply")
    # the patched branch is not needed
    for name in ("last", "base", "tip"):
        lerobot.git("update-ref", "-d", f"refs/rewact/{name}")
    measured = measure(lerobot.path, project.series)
    assert lerobot.state()["files"] == before["files"]
    assert lerobot.git("status", "--porcelain") == ""
    return measured


def test_lines_in_lerobots_own_files(figures):
    assert figures.patches == 3
    assert figures.changed == {ACT: 4, FACTORY: 2}  # +1, +1 -1, -1 and +1, -1; new files do not count
    assert figures.touching == {ACT: 3, FACTORY: 2}


def test_lines_taken_back(figures):
    # 0002 rewrites a line of 0001; 0003 takes two of the head, one of a test, and one of 0002
    assert figures.taken_back == {(1, 2): 1, (1, 3): 3, (2, 3): 1}
    assert figures.taken_back_in_tests == 1


def test_report(figures):
    assert report("toy", figures).splitlines() == [
        "series toy: 3 patches",
        "LeRobot's own files: 6 changed lines in 2 files",
        f"{ACT}: 4 changed lines in 3 patches",
        "taken back by a later patch: 5 lines, 1 in tests",
        "  0002 takes 1 from 0001",
        "  0003 takes 3 from 0001",
        "  0003 takes 1 from 0002",
    ]


def test_a_line_is_followed_through_later_patches():
    """Lines added above it move it; only the patch that wrote it counts."""
    patches = [
        Patch({"a.py": 2}, {"a.py": [(3, 0, 2)]}),  # adds lines 3 and 4
        Patch({"a.py": 1}, {"a.py": [(1, 0, 1)]}),  # adds a line at the top
        Patch(
            {"a.py": 3}, {"a.py": [(1, 1, 0), (5, 2, 0)]}
        ),  # takes the top, the second of 0001, one of LeRobot
    ]
    assert count({"a.py": 10}, patches).taken_back == {(2, 3): 1, (1, 3): 1}


def test_hunks_of_a_diff():
    diff = (
        "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -3,0 +4,2 @@\n+a\n+@@ -1 +1 @@\n"
        "@@ -9 +11 @@ def f():\n-b\n+c\ndiff --git a/y.py b/y.py\nnew file mode 100644\n@@ -0,0 +1 @@\n+d\n"
    )
    assert read_hunks(diff) == {"x.py": [(4, 0, 2), (9, 1, 1)], "y.py": [(1, 0, 1)]}


def test_the_real_series():
    done = subprocess.run(
        [sys.executable, "scripts/series_figures.py"], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert "LeRobot's own files:" in done.stdout


def test_a_series_that_is_not_there():
    command = [sys.executable, "scripts/series_figures.py", "--series", "v9"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 1 and "there is no series patches/v9" in done.stderr
