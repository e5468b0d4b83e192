"""make check-bump on the toy upstream: rebase, tree, tests and the list of expected failures."""

import subprocess
import sys
import tempfile
from pathlib import Path

import check_bump
import patch_tool.series
import pytest
from toy_upstream import ACT, REPO, TRAILERS, Project, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """The toy with one more patch, whose tests pass, fail and are skipped. v0.7.0 conflicts with the first patch."""
    project = make_project(tmp_path_factory.mktemp("toy"))
    lerobot = project.lerobot
    project.run("apply")
    lerobot.write(
        "tests/policies/act/test_more.py",
        "import pytest\n\n\ndef test_more():\n    pass\n\n\nclass TestMore:\n    @pytest.mark.parametrize('x', ['a b'])\n"
        "    def test_fails(self, x):\n        assert False\n\n\n@pytest.mark.skip\ndef test_skipped():\n    pass\n",
    )
    lerobot.commit("feat(act): more tests\n\nMore." + TRAILERS, day=7)
    project.run("export")
    project.run("unapply")
    upstream = project.upstream
    upstream.git("checkout", "-q", "-b", "release", "v0.6.1")
    upstream.edit(ACT, "modeling_act_10 = 10\n", "modeling_act_10 = 'another'\n")
    upstream.commit("release v0.7.0", day=9)
    upstream.git("tag", "v0.7.0")
    (project.path / "tests/bump_expected").mkdir(parents=True)
    return project


@pytest.fixture
def check(project, tmp_path, monkeypatch, capfd):
    """Runs the script with the arguments given, in this Python: its exit code and its output."""
    monkeypatch.setattr(check_bump, "ROOT", project.path)
    monkeypatch.setattr(patch_tool.series, "PATCHES", project.path / "patches")
    monkeypatch.setattr(check_bump, "install", lambda tree, venv: Path(sys.executable))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(*args: str) -> tuple[int, str]:
        before = project.upstream.state(), project.lerobot.state(), project.git("status", "--porcelain")
        monkeypatch.setattr(sys, "argv", ["check_bump.py", str(project.upstream.path), *args])
        with pytest.raises(SystemExit) as exit:
            check_bump.main()
        assert not list(tmp_path.iterdir()), "something was left behind"
        assert before == (
            project.upstream.state(),
            project.lerobot.state(),
            project.git("status", "--porcelain"),
        )
        return exit.value.code, capfd.readouterr().out

    return run


FAILS = "tests/policies/act/test_more.py::TestMore::test_fails[a b]"


def expect(project: Project, name: str, text: str) -> None:
    (project.path / "tests/bump_expected" / f"{name}.txt").write_text(f"# a heading\n\n{text}")
    project.git("add", "tests")


def test_a_failure_that_is_not_expected(check):
    code, output = check("--onto", "v0.6.0")
    assert code == 1
    assert "v0.6.0: 3 patches applied; tests: 2 passed, 1 failed, 1 skipped" in output
    assert f"  FAILED {FAILS}  # not expected" in output


def test_expected_failures_and_a_commit_without_a_tag(project, check):
    commit = project.upstream.git("rev-parse", "main")
    expect(project, "v0.6.0", f"{FAILS}  # LeRobot lacks it\n")
    expect(
        project, commit[:9], f"{FAILS}  # LeRobot lacks it\ntests/test_gone.py::test_gone  # not there yet\n"
    )
    code, output = check("--onto", "v0.6.0", commit)
    assert code == 0
    assert output.count(f"  FAILED {FAILS}  # LeRobot lacks it") == 2
    assert f"{commit[:9]}: 3 patches applied" in output
    assert "passes now, take it off the list: tests/test_gone.py::test_gone" in output


def test_conflict(check):
    code, output = check("--onto", "v0.6.0", "v0.7.0", "--no-tests")
    assert code == 1
    assert "0001-feat-act-add-a-reward-head.patch: conflict" in output and f"{ACT}:11" in output
    assert output.splitlines()[-2:] == [
        "v0.6.0: 3 patches applied",
        "v0.7.0: not rebased, 2 patches conflict (see above)",
    ]


def test_what_is_not_there(check):
    code, output = check("--onto", "v9.9.9")
    assert code == 1 and "has no tag or commit v9.9.9" in output


def test_an_expected_failure_needs_a_reason(project, check):
    expect(project, "v0.6.0", f"{FAILS}\n")
    code, _ = check("--onto", "v0.6.0")
    assert "gives no reason" in str(code)


def test_a_file_that_cannot_be_imported(tmp_path):
    (tmp_path / "tree/tests").mkdir(parents=True)
    (tmp_path / "tree/tests/test_import.py").write_text("import not_there\n")
    results = check_bump.run_tests(tmp_path / "tree", Path(sys.executable), ["tests/test_import.py"])
    assert results.failed == ["tests/test_import.py"] and results.passed == 0


def test_the_committed_lists_can_be_read():
    names = {file.stem for file in (REPO / "tests/bump_expected").glob("*.txt")}
    assert names == {check_bump.short_name(version) for version in check_bump.ONTO}
    for version in check_bump.ONTO:
        check_bump.read_expected(version)


def test_make_asks_for_a_source():
    done = subprocess.run(
        [sys.executable, "scripts/check_bump.py", ""], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 2 and "LEROBOT_URL" in done.stderr
