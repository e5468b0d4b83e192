"""apply_patches.sh on forks as people have them: merges onto other files, and everything that could be lost there."""

import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from toy_upstream import (
    ACT,
    FACTORY,
    HEAD,
    TEST,
    TRAILERS,
    Checkout,
    Project,
    environment,
)

ONE = "feat(act): add a reward head"
TWO = "feat(datasets): label the progress"
ME = ("-c", "user.name=Me", "-c", "user.email=me@example.com")
ORDINARY_USER = 65534


@pytest.fixture
def mine(project) -> Checkout:
    """A clone with history, on a branch of the user's own."""
    mine = project.clone("my lerobot")
    mine.git("checkout", "-q", "-b", "mine", "v0.6.1")
    return mine


def every_byte(checkout: Checkout) -> dict[str, object]:
    """All files outside the checkout's own .git, those of repositories inside it too, all refs, all reflogs."""
    files = {
        str(path.relative_to(checkout.path)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(checkout.path.rglob("*"))
        if path.relative_to(checkout.path).parts[0] != ".git" and (path.is_symlink() or path.is_file())
    }
    return {
        "files": files,
        "head": checkout.git("symbolic-ref", "-q", "HEAD", ok=False) or checkout.git("rev-parse", "HEAD"),
        "refs": [
            line
            for line in checkout.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
            if not line.startswith("refs/rewact/")
        ],
        "reflogs": checkout.git("reflog", "--all", "--format=%H %gs"),
        "index": checkout.git("ls-files", "--stage", "-v"),
    }


def refused(project: Project, target: Checkout, *args: str, **env: str) -> str:
    before = every_byte(target)
    output = project.run(*args, target=target, ok=False, env=env)
    assert every_byte(target) == before
    return output


def backups(checkout: Checkout) -> list[str]:
    return checkout.git("for-each-ref", "--format=%(refname)", "refs/rewact/backup").split()


def conflict(checkout: Checkout) -> None:
    """A commit that changes the very line beside which the first patch adds one."""
    checkout.edit(ACT, "modeling_act_10 = 10\n", "modeling_act_10 = 11\n")
    checkout.commit("mine")


def resolve(checkout: Checkout) -> None:
    text = (checkout.path / ACT).read_text()
    checkout.write(
        ACT,
        re.sub(r"<<<<<<<.*?(reward = '\S+'\n)>>>>>>>.*?\n", r"modeling_act_10 = 11\n\1", text, flags=re.S),
    )


# ---------------------------------------------------------------- nothing is lost


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("force", ["", "1"])
def test_merge_keeps_files_where_the_series_adds_some(project, mine, ignored, force):
    conflict(mine)
    mine.write(HEAD, "MY\n")
    if ignored:
        (mine.path / ".git/info/exclude").write_text("src/lerobot/policies/act/reward_head.py\n")
    if not force:
        output = refused(project, mine, "apply", "--3way")
        assert HEAD in output and "Move these files" in output
        return
    project.run("apply", "--3way", target=mine, ok=False, env={"FORCE": "1"})
    (backup,) = backups(mine)
    assert mine.git("show", f"{backup}^3:{HEAD}") == "MY"
    assert "head_1 = 1" in (mine.path / HEAD).read_text()


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_force_leaves_hidden_edits_outside_the_series_alone(project, mine, flag):
    mine.git("update-index", flag, "README.md")
    hidden = mine.write("README.md", (mine.path / "README.md").read_text() + "H\n").read_bytes()
    mine.write("setup.py", "x\n")
    project.run("apply", target=mine, env={"FORCE": "1"})
    assert (mine.path / "README.md").read_bytes() == hidden
    (backup,) = backups(mine)
    assert mine.git("show", f"{backup}:setup.py") == "x"
    project.run("unapply", target=mine)
    assert (mine.path / "README.md").read_bytes() == hidden
    assert mine.git("ls-files", "-v", "README.md")[0] in "hS"


@pytest.mark.parametrize("force", ["", "1"])
@pytest.mark.parametrize("extra", [(), ("--3way",)])
def test_repository_inside_the_folder_of_a_new_file_stays(project, mine, force, extra):
    if extra:
        conflict(mine)
    folder = mine.path / Path(TEST).parent
    folder.mkdir(parents=True)
    mine.git("init", "-q", str(folder))
    mine.write(TEST, "U\n")
    output = refused(project, mine, "apply", *extra, FORCE=force)
    assert "tests/policies/act  (a git repository of its own)" in output and "Move it" in output


@pytest.mark.parametrize("force", ["", "1"])
def test_folder_where_the_series_adds_a_file_stays(project, mine, force):
    mine.write(f"{HEAD}/notes.txt", "mine\n")
    output = refused(project, mine, "apply", FORCE=force)
    assert f"{HEAD}  (a folder)" in output


def test_file_where_the_series_needs_a_folder(project, mine):
    mine.write("tests", "mine\n")
    output = refused(project, mine, "apply")
    assert "tests  (untracked" in output
    project.run("apply", target=mine, env={"FORCE": "1"})
    (backup,) = backups(mine)
    assert mine.git("show", f"{backup}^3:tests") == "mine"


def test_link_out_of_the_checkout_is_not_followed(project, mine, tmp_path):
    outside = tmp_path / "outside"
    (outside / "policies/act").mkdir(parents=True)
    (outside / "policies/act" / Path(TEST).name).write_text("elsewhere\n")
    (mine.path / "tests").symlink_to(outside)
    assert "tests  (untracked" in refused(project, mine, "apply")
    project.run("apply", target=mine, env={"FORCE": "1"})
    assert (outside / "policies/act" / Path(TEST).name).read_text() == "elsewhere\n"
    (backup,) = backups(mine)
    assert mine.git("cat-file", "blob", f"{backup}^3:tests") == str(outside)


@pytest.mark.parametrize("recurse", ["true", "false"])
def test_edits_inside_a_submodule_stay(project, mine, tmp_path, recurse):
    other = Checkout(tmp_path / "other", project.home)
    other.path.mkdir()
    other.git("init", "-q", "-b", "main", ".")
    other.write("driver.py", "one\n")
    other.commit("driver")
    mine.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.path), "driver")
    mine.commit("mine")
    mine.git("config", "submodule.recurse", recurse)
    mine.write("driver/driver.py", "edited\n")
    mine.write("README.md", "x\n")
    refused(project, mine, "apply")
    project.run("apply", target=mine, env={"FORCE": "1"})
    project.run("unapply", target=mine)
    assert (mine.path / "driver/driver.py").read_text() == "edited\n"
    # alone it is in nobody's way
    project.run("apply", target=mine)
    assert (mine.path / "driver/driver.py").read_text() == "edited\n"


def test_backup_holds_every_byte(project, mine):
    """Where git's filters would change what comes back, the bytes are saved beside the stash."""
    mine.git("config", "core.autocrlf", "true")
    mixed = b"one\r\ntwo\nthree\r\n"
    (mine.path / ACT).write_bytes(mixed)
    mine.write("odd 'name' \u00e4.txt", "staged\n")
    mine.git("add", "odd 'name' \u00e4.txt")
    output = project.run("apply", target=mine, env={"FORCE": "1"})
    exact = next(name for name in backups(mine) if name.endswith("-exact"))
    assert exact in output
    done = subprocess.run(
        ["git", "cat-file", "blob", f"{exact}:{ACT}"],
        cwd=mine.path,
        env=environment(mine.home),
        capture_output=True,
        check=True,
    )
    assert done.stdout == mixed
    assert mine.git("show", f"{exact.removesuffix('-exact')}:odd 'name' \u00e4.txt") == "staged"


# ---------------------------------------------------------------- three-way merges


def test_conflict_shows_place_both_sides_and_the_ways_on(project, mine):
    conflict(mine)
    before = every_byte(mine)
    output = project.run("apply", "--3way", "--dry-run", target=mine)
    assert "0 of 2 patches go on as they are, 2 conflict, in 1 file" in output
    assert f"0001-feat-act-add-a-reward-head.patch: conflict\n      {ACT}:11" in output
    assert every_byte(mine) == before

    output = project.run("apply", "--3way", target=mine, ok=False)
    assert f"patch 1 of 2 waits for you: {ONE}" in output and f"\n  {ACT}:11\n" in output
    for side in ("<<<<<<< yours\n      modeling_act_10 = 11", "reward = 'héad'\n      >>>>>>> the patch"):
        assert side in output
    assert f"what the patch changes in {ACT}:\n      @@\n      +reward = 'héad'" in output
    for way in ("apply --continue", "apply --skip", "apply --abort"):
        assert way in output
    # every command now says so, and touches nothing
    for command in ("apply", "unapply", "export", "status", "pr"):
        fork = ("--fork", "me/lerobot") if command == "pr" else ()
        assert "apply --continue" in refused(project, mine, command, *fork)
    output = refused(project, mine, "apply", "--continue")
    assert output.splitlines()[1:] == [f"  {ACT}:11"]  # each place once, by its first line


def test_conflict_resolved_becomes_a_series(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    resolve(mine)
    output = project.run("apply", "--continue", target=mine, ok=False)
    assert "patch 2 of 2 waits" in output and f"{ACT}:11" in output
    resolve(mine)
    mine.git("add", ACT)
    output = project.run("apply", "--continue", target=mine)
    assert "Merged: 2 commits" in output and "export --series mine" in output
    assert mine.subjects() == [ONE, TWO]
    assert "merged from a series" in project.run("status", target=mine)
    assert "made on other files" in refused(project, mine, "--series", "v0.6.1", "export")
    assert "not in the series" in refused(project, mine, "unapply")
    assert "add -N patches/mine" in project.run("export", "--series", "mine", target=mine)
    assert "patches/mine: 2 patches; lint" in project.run("check", target=mine)
    project.run("unapply", target=mine)
    assert "Applied the series mine" in project.run("apply", target=mine)


def test_series_of_ones_own_goes_on_where_the_fork_does(project, mine):
    """It holds the conflicts as resolved. Without --series the release's is taken, whatever one's own is called."""
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    for ok in (False, True):
        resolve(mine)
        project.run("apply", "--continue", target=mine, ok=ok)
    project.run("export", "--series", "mine-v9.9.9", target=mine)
    project.run("unapply", target=mine)
    mine.edit(ACT, "modeling_act_12 = 12", "modeling_act_12 = 'a later release'")
    mine.commit("merge a later release")
    output = project.run("status", target=mine)
    assert "not applied; a merge of v0.6.1 onto" in output and "2 conflict" in output
    output = project.run("--series", "mine-v9.9.9", "apply", "--3way", target=mine)
    assert "2 by a three-way merge, no conflict" in output
    assert mine.subjects() == [ONE, TWO]


def test_conflict_given_up(project, mine):
    conflict(mine)
    before = every_byte(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    assert "on branch mine" in project.run("apply", "--abort", target=mine)
    after = every_byte(mine)
    assert {**after, "reflogs": ""} == {**before, "reflogs": ""}
    assert "nothing to abort" in refused(project, mine, "apply", "--abort")
    # what was resolved by then is kept
    project.run("apply", "--3way", target=mine, ok=False)
    resolve(mine)
    project.run("apply", "--continue", target=mine, ok=False)
    output = project.run("apply", "--abort", target=mine)
    (backup,) = backups(mine)
    assert backup in output and mine.git("log", "-1", "--format=%s", backup) == ONE
    assert {**every_byte(mine), "reflogs": ""} == {**before, "reflogs": ""}
    # and after git's own way
    project.run("apply", "--3way", target=mine, ok=False)
    mine.git("reset", "-q", "--hard")
    output = project.run("apply", "--continue", target=mine, ok=False)
    assert "here it is again" in output and f"{ACT}:11" in output
    project.run("apply", "--abort", target=mine)
    assert {**every_byte(mine), "reflogs": ""} == {**before, "reflogs": ""}


def test_patch_left_out(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    output = project.run("apply", "--skip", target=mine, ok=False)
    assert "patch 2 of 2 waits" in output
    mine.git("checkout", "--ours", "--", ACT)
    project.run("apply", "--continue", target=mine)
    assert mine.subjects() == [TWO]


def test_own_am_is_not_taken_for_a_merge_of_ours(project, mine):
    conflict(mine)
    patch = project.path / "mine.patch"
    patch.write_text(mine.git("format-patch", "--stdout", "-1") + "\n")
    mine.git("checkout", "-q", "main")
    mine.edit(ACT, "modeling_act_10 = 10\n", "modeling_act_10 = 12\n")
    mine.commit("other")
    mine.git(*ME, "am", "-3", str(patch), ok=False)
    output = refused(project, mine, "apply", "--3way")
    assert "an am is under way" in output and "am --abort" in output and "apply --continue" not in output
    assert "am --abort" in refused(project, mine, "apply", "--continue")


def test_nothing_of_the_users_is_lost_while_a_merge_waits(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    # staged, unstaged, and ignored where the second patch would add a file
    mine.write("setup.py", "staged\n")
    mine.write("docs/n.md", "staged too\n")
    mine.git("add", "setup.py", "docs/n.md")
    before = every_byte(mine)["files"]
    for how, again in (("--skip", "--continue"), ("--abort", "--abort")):
        output = project.run("apply", how, target=mine, ok=False)
        assert "setup.py" in output and "FORCE=1" in output and f"apply {again}" in output
        files = every_byte(mine)["files"]
        for path in ("setup.py", "docs/n.md"):
            assert files[path] == before[path]
    project.run("apply", "--abort", target=mine, env={"FORCE": "1"})
    assert "setup.py" in mine.git("show", "--stat", backups(mine)[-1], "--")
    assert mine.git("symbolic-ref", "HEAD") == "refs/heads/mine"


def test_resolution_is_kept_when_it_is_given_up(project, mine):
    conflict(mine)
    for how in ("--skip", "--abort"):
        project.run("apply", "--3way", target=mine, ok=False)
        resolve(mine)
        mine.write(HEAD, "edited too\n")
        resolved = (mine.path / ACT).read_text()
        project.run("apply", how, target=mine, ok=how == "--abort")
        backup = backups(mine)[-1]
        assert mine.git("show", f"{backup}:{ACT}") == resolved.strip()
        assert mine.git("show", f"{backup}:{HEAD}") == "edited too"
        if how == "--skip":
            project.run("apply", "--abort", target=mine)
    assert mine.git("status", "--porcelain") == ""


def test_work_in_the_way_of_going_on_stops_it_without_losing_a_patch(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    resolve(mine)
    mine.edit(FACTORY, "factory_30 = 30", "factory_30 = 'unstaged'")  # the second patch changes this file
    output = project.run("apply", "--continue", target=mine, ok=False)
    assert f"M {FACTORY}" in output
    assert "before patch 2 of 2" in project.run("status", target=mine, ok=False)
    mine.git("checkout", "--", FACTORY)
    assert "patch 2 of 2 waits" in project.run("apply", "--continue", target=mine, ok=False)
    resolve(mine)
    project.run("apply", "--continue", target=mine)
    assert mine.subjects() == [ONE, TWO]


def test_ignored_file_where_a_later_patch_adds_one(project, mine):
    project.run("apply")
    project.lerobot.write("src/lerobot/extra.py", "extra = 1\n")
    project.lerobot.commit("feat(extra): one more\n\nMore." + TRAILERS, day=8)
    project.run("export")
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    (mine.path / ".git/info/exclude").write_text("extra.py\n")
    mine.write("src/lerobot/extra.py", "MY\n")
    resolve(mine)
    project.run("apply", "--continue", target=mine, ok=False)
    resolve(mine)
    output = project.run("apply", "--continue", target=mine, ok=False)
    assert "src/lerobot/extra.py  (untracked" in output
    assert (mine.path / "src/lerobot/extra.py").read_text() == "MY\n"


@pytest.mark.parametrize("left", ["=======\n", ">>>>>>> the patch\n", "<<<<<<< yours\n"])
@pytest.mark.parametrize("staged", [True, False])
def test_markers_left_over(project, mine, left, staged):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    text = (mine.path / ACT).read_text()
    for marker in {"=======\n", ">>>>>>> the patch\n", "<<<<<<< yours\n"} - {left}:
        text = text.replace(marker, "")
    mine.write(ACT, text)
    if staged and left != "=======\n":  # that may be a line of the file
        mine.git("add", ACT)
    assert f"{ACT}:" in refused(project, mine, "apply", "--continue")


def test_lines_of_the_file_that_look_like_markers(project, mine):
    """Only the markers that the tool has written count."""
    mine.edit(ACT, "modeling_act_3 = 3\n", "<<<<<<< HEAD\n=======\n>>>>>>> theirs\n")
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    resolve_ours = (mine.path / ACT).read_text()
    mine.write(
        ACT,
        re.sub(r"<<<<<<< yours\n.*?(reward = '\S+'\n)>>>>>>> the patch\n", r"\1", resolve_ours, flags=re.S),
    )
    output = project.run("apply", "--continue", target=mine, ok=False)
    assert "patch 2 of 2 waits" in output or "Merged" in output


def test_settings_that_would_stop_git(project, mine, tmp_path):
    """No hook, no signature, no whitespace rule of the user's comes between."""
    conflict(mine)
    (tmp_path / "hooks").mkdir()
    for name in ("pre-commit", "commit-msg", "applypatch-msg", "pre-applypatch", "post-checkout"):
        (tmp_path / "hooks" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "hooks" / name).chmod(0o755)
    project.configure(
        ("commit.gpgSign", "true"), ("gpg.program", "false"), ("core.hooksPath", str(tmp_path / "hooks")),
        ("apply.whitespace", "error"), ("merge.conflictStyle", "diff3"), ("rerere.enabled", "true"),
        ("user.useConfigOnly", "true"),
    )  # fmt: skip
    (mine.path / ".git/info/attributes").write_text("*.py -merge conflict-marker-size=10\n")
    project.run("apply", "--3way", target=mine, ok=False)
    resolve(mine)
    project.run("apply", "--continue", target=mine, ok=False)
    resolve(mine)
    project.run("apply", "--continue", target=mine)
    author = mine.git("log", "--format=%an %ad %s", "--date=short", "mine..rewact").splitlines()
    assert author == [f"Zoë Ärm 2026-01-06 {TWO}", f"Zoë Ärm 2026-01-05 {ONE}"]


def test_resolution_that_the_user_committed(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    resolve(mine)
    mine.commit("my own message")
    assert "patch 2 of 2 waits" in project.run("apply", "--continue", target=mine, ok=False)
    assert mine.subjects() == [ONE]


def test_what_the_user_committed_is_checked_too(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    mine.commit("with its markers")
    assert f"{ACT}:" in refused(project, mine, "apply", "--continue")


def test_skip_leaves_out_one_patch_however_often_it_is_refused(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    mine.write("setup.py", "x\n")
    output = project.run("apply", "--skip", target=mine, ok=False)
    assert "FORCE=1" in output and "apply --continue" in output
    assert "none to leave out" in refused(project, mine, "apply", "--skip")
    output = project.run("apply", "--continue", target=mine, ok=False, env={"FORCE": "1"})
    assert "patch 2 of 2 waits" in output


def test_branch_that_was_deleted_takes_its_merge_along(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    mine.git("checkout", "-q", "-f", "v0.6.1")
    mine.git("branch", "-q", "-D", "rewact")
    project.run("apply", target=mine)
    assert "state     applied" in project.run("status", target=mine)
    project.run("unapply", target=mine)


def test_abort_gives_an_older_branch_back(project, mine):
    project.run("apply", target=mine)
    old = mine.git("rev-parse", "rewact")
    mine.git("checkout", "-q", "mine")
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    project.run("apply", "--abort", target=mine)
    assert mine.git("rev-parse", "rewact") == old
    assert mine.git("symbolic-ref", "HEAD") == "refs/heads/mine" and not backups(mine)


@pytest.mark.parametrize("how", ["--skip", "--abort", "--continue"])
@pytest.mark.parametrize("odd", ["link", "folder"])
def test_something_else_where_a_file_of_the_patch_was(project, mine, tmp_path, how, odd):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    resolve(mine)
    folder = (mine.path / TEST).parents[2]
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    if odd == "link":
        folder.symlink_to(elsewhere)
    else:
        mine.write(f"{TEST}/notes.txt", "mine\n")
    assert "Move it to another place" in refused(project, mine, "apply", how)
    assert (elsewhere / Path(TEST).relative_to("tests")).exists()


@pytest.mark.parametrize("kind", ["deleted", "only deleted", "folder"])
def test_conflict_without_a_marked_place(project, kind):
    """The patch removes a file that the fork has changed, or adds one where the fork has a folder."""
    lerobot = project.lerobot
    project.run("apply")
    if kind == "folder":
        lerobot.write("src/lerobot/extra", "extra = 1\n")
    else:
        (lerobot.path / "setup.py").unlink()
        if kind == "deleted":
            lerobot.write("src/lerobot/more.py", "more = 1\n")
    lerobot.commit("feat(extra): one more\n\nMore." + TRAILERS, day=8)
    project.run("export")
    mine = project.clone("my lerobot")
    mine.git("checkout", "-q", "-b", "mine", "v0.6.1")
    if kind == "folder":
        mine.write("src/lerobot/extra/notes.py", "mine\n")
    else:
        mine.write("setup.py", "changed\n")
    mine.commit("mine")
    before = every_byte(mine)
    assert "patch 3 of 3 waits" in project.run("apply", "--3way", target=mine, ok=False)
    project.run("apply", "--abort", target=mine)
    assert {**every_byte(mine), "reflogs": ""} == {**before, "reflogs": ""}
    project.run("apply", "--3way", target=mine, ok=False)
    project.run("apply", "--skip", target=mine)
    assert mine.subjects() == [ONE, TWO]
    assert (
        every_byte(mine)["files"].items()
        >= {path: content for path, content in before["files"].items() if path not in (ACT, FACTORY)}.items()
    )


def test_series_that_changed_while_a_merge_waits(project, mine):
    conflict(mine)
    project.run("apply", "--3way", target=mine, ok=False)
    patch = sorted(project.series.glob("*.patch"))[1]
    patch.write_bytes(patch.read_bytes().replace(b"needs labels", b"needs more labels"))
    resolve(mine)
    assert "are not those whose merge waits" in refused(project, mine, "apply", "--continue")
    project.run("apply", "--abort", target=mine)
    assert mine.git("symbolic-ref", "HEAD") == "refs/heads/mine"


def fork_without_tags(project: Project, edit) -> Checkout:
    """A fork as GitHub gives it, of which lerobot/ holds the release and the fork only files with other content."""
    fork = Checkout(project.path.parent / "fork", project.home)
    fork.path.mkdir()
    fork.git("init", "-q", "-b", "main", ".")
    for path in project.upstream.git("ls-tree", "-r", "--name-only", "v0.6.1").splitlines():
        fork.write(path, project.upstream.git("show", f"v0.6.1:{path}") + "\n")
    edit(fork)
    fork.commit("a fork")
    return fork


def test_fork_that_lacks_the_release(project):
    """The merge gets the files from lerobot/; nobody has to fetch anything."""
    fork = fork_without_tags(
        project, lambda fork: fork.edit(ACT, "modeling_act_12 = 12", "modeling_act_12 = 'beside it'")
    )
    output = project.run("status", target=fork)
    assert "0 of 2 patches go on as they are, 2 by a three-way merge, no conflict" in output
    project.run("apply", "--3way", target=fork)
    assert fork.subjects() == [ONE, TWO]
    project.run("export", "--series", "mine", target=fork)
    project.run("--series", "mine", "check", target=fork)
    project.run("--series", "v0.6.1", "check", target=fork)  # of which the fork has nothing


def test_fork_that_lacks_the_release_with_a_conflict_in_a_later_patch(project, mine):
    """The third patch conflicts; git needs the file as the first two left it, which no fork has."""
    lerobot = project.lerobot
    project.run("apply")
    lerobot.edit(ACT, "modeling_act_20 = 20\n", "modeling_act_20 = 'reward'\n")
    lerobot.commit("feat(act): one more\n\nMore." + TRAILERS, day=7)
    project.run("export")
    project.run("unapply")

    def edit(fork):
        fork.edit(ACT, "modeling_act_20 = 20\n", "modeling_act_20 = 'theirs'\n")
        fork.edit(ACT, "modeling_act_12 = 12", "modeling_act_12 = 'beside it'")

    fork = fork_without_tags(project, edit)
    output = project.run("apply", "--3way", target=fork, ok=False)
    assert "patch 3 of 3 waits" in output and "modeling_act_20 = 'theirs'" in output
    text = (fork.path / ACT).read_text()
    fork.write(ACT, re.sub(r"<<<<<<<.*?>>>>>>>.*?\n", "modeling_act_20 = 'both'\n", text, flags=re.S))
    project.run("apply", "--continue", target=fork)
    assert len(fork.subjects()) == 3


def test_release_is_fetched_where_lerobot_is_empty(project):
    """As `make setup` does it: here from the submodule's URL."""
    fork = fork_without_tags(
        project, lambda fork: fork.edit(ACT, "modeling_act_12 = 12", "modeling_act_12 = 0")
    )
    subprocess.run(["rm", "-rf", str(project.lerobot.path)], check=True)
    project.lerobot.path.mkdir()
    project.git("config", "-f", ".gitmodules", "submodule.lerobot.url", str(project.upstream.path))
    assert "--dry-run" in project.run("status", target=fork)  # touches no network
    assert "filling lerobot/" in project.run("apply", "--3way", target=fork)
    assert fork.subjects() == [ONE, TWO]


def test_file_that_the_fork_lacks_is_not_another_one(project):
    """git's rename detection would change the file that looks most like it."""

    def edit(fork):
        text = (fork.path / FACTORY).read_text()
        fork.write("src/lerobot/cameras/factory.py", text)
        (fork.path / FACTORY).unlink()

    fork = fork_without_tags(project, edit)
    output = project.run("apply", "--3way", target=fork, ok=False)
    assert "patch 2 of 2 waits" in output and f"{FACTORY}: not in your files" in output
    assert "labels" not in (fork.path / "src/lerobot/cameras/factory.py").read_text()
    assert f"{FACTORY}: not in your files" in refused(project, fork, "apply", "--continue")
    project.run("apply", "--skip", target=fork)
    assert fork.subjects() == [ONE] and not (fork.path / FACTORY).exists()
    project.run("unapply", target=fork)
    project.run("apply", "--3way", target=fork, ok=False)
    fork.git("rm", "-q", FACTORY)
    project.run("apply", "--continue", target=fork)
    assert fork.subjects() == [ONE, TWO]


@pytest.mark.parametrize("filter", ["blob:none", "tree:0"])
def test_partial_clone(project, filter):
    project.upstream.git("config", "uploadpack.allowFilter", "true")
    project.upstream.git("config", "uploadpack.allowAnySHA1InWant", "true")
    partial = project.clone("partial", f"--filter={filter}", "--no-local", "--branch", "v0.6.1")
    partial.git("remote", "set-url", "origin", f"file://{project.upstream.path}")
    assert "the same." in project.run("check", target=partial)
    project.run("apply", target=partial)
    assert "nothing changed" in project.run("export", target=partial)
    project.run("unapply", target=partial)
    output = project.run("bump", "v0.6.0", target=partial)
    assert "2 of 2 patches go on as they are" in output
    assert "fatal" not in output and "error" not in output


# ---------------------------------------------------------------- the move fails, or is cut off


def as_ordinary_user(project: Project, target: Checkout, *args: str, ok: bool = False) -> str:
    """Root may write everything, so the tool has to run as somebody else."""
    done = subprocess.run(
        ["bash", str(project.path / "apply_patches.sh"), "--target", str(target.path), *args],
        cwd=project.path,
        env=environment(project.home) | {"TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        user=ORDINARY_USER if os.geteuid() == 0 else None,
    )
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def readable(project, mine, tmp_path):
    """Everything belongs to the ordinary user, who can reach it."""
    if os.geteuid() == 0:
        for path in (tmp_path, *tmp_path.rglob("*")):
            os.chown(path, ORDINARY_USER, ORDINARY_USER, follow_symlinks=False)
        parents = [path for path in tmp_path.parents if path.stat().st_mode & 0o001 == 0]
        modes = {path: path.stat().st_mode for path in parents}
        for path in parents:
            path.chmod(modes[path] | 0o011)
        yield
        for path, mode in modes.items():
            path.chmod(mode)
    else:
        yield


@pytest.mark.parametrize("command", ["apply", "unapply"])
@pytest.mark.parametrize("folder", ["src/lerobot/policies/act", ".git"])
def test_files_that_cannot_be_written(project, mine, readable, command, folder):
    if command == "unapply":
        as_ordinary_user(project, mine, "apply", ok=True)
    if os.geteuid() == 0 and folder != ".git":  # which git does not trust then
        os.chown(mine.path / folder, 0, 0)
    (mine.path / folder).chmod(0o555)
    before = (mine.files(), (mine.path / ".git/HEAD").read_text())
    output = as_ordinary_user(project, mine, command)
    assert folder in output and "sudo chown" in output
    assert (mine.files(), (mine.path / ".git/HEAD").read_text()) == before


def limit_files(size: int):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_disk_that_is_full(project, mine):
    """git gets half of the files written. As on a full disk, the next one is too large."""
    mine.git("config", "filter.large.smudge", "cat; seq 1 20000")
    (mine.path / ".git/info/attributes").write_text(f"{HEAD} filter=large\n")
    before = every_byte(mine)
    done = subprocess.run(
        ["bash", str(project.path / "apply_patches.sh"), "--target", str(mine.path), "apply"],
        cwd=project.path,
        env=environment(project.home),
        capture_output=True,
        text=True,
        preexec_fn=limit_files(60_000),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "as it was before" in done.stderr and "disk is full" in done.stderr
    assert {**every_byte(mine), "reflogs": ""} == {**before, "reflogs": ""}
    (mine.path / ".git/info/attributes").unlink()
    project.run("apply", target=mine)


def test_branch_below_ours(project, mine):
    mine.git("branch", "rewact/x")
    output = refused(project, mine, "apply")
    assert "branch -m rewact/x rewact-x" in output


@pytest.mark.parametrize("lock", ["HEAD.lock", "index.lock", "refs/heads/rewact.lock", "config.lock"])
def test_stale_lock(project, mine, lock):
    (mine.path / ".git" / lock).touch()
    output = refused(project, mine, "apply")
    assert re.search(rf"rm '?{re.escape(str(mine.path / '.git' / lock))}", output)


def slow_checkout(project: Project, mine: Checkout) -> None:
    """Each file that is written takes a second: time to be cut off between two of them."""
    mine.git("config", "filter.slow.smudge", "sleep 1; cat")
    (mine.path / ".git/info/attributes").write_text("src/lerobot/policies/act/*.py filter=slow\n")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_cut_off_inside_the_checkout(project, mine, sent):
    slow_checkout(project, mine)
    before = every_byte(mine)
    process = subprocess.Popen(
        ["bash", str(project.path / "apply_patches.sh"), "--target", str(mine.path), "apply"],
        cwd=project.path,
        env=environment(project.home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (mine.path / ".git/rewact-pending").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)  # inside the first of the slow files
    os.killpg(process.pid, sent)
    process.communicate(timeout=60)
    (mine.path / ".git/index.lock").unlink(missing_ok=True)  # as the message says, after SIGKILL
    if sent != signal.SIGKILL:
        assert {**every_byte(mine), "reflogs": ""} == {**before, "reflogs": ""}
    else:
        assert (mine.path / ".git/rewact-pending").exists()
        assert "was cut off; nothing of yours" in project.run("status", target=mine)
    mine.git("config", "filter.slow.smudge", "cat")
    output = project.run("apply", target=mine)
    assert ("was cut off" in output) == (sent == signal.SIGKILL)
    assert mine.subjects() == [ONE, TWO]
    project.run("unapply", target=mine)
    assert every_byte(mine)["files"] == before["files"]


@pytest.mark.parametrize("command", ["--3way", "--continue"])
def test_cut_off_inside_a_merge(project, mine, command):
    conflict(mine)
    if command == "--continue":
        project.run("apply", "--3way", target=mine, ok=False)
        resolve(mine)
    slow_checkout(project, mine)
    process = subprocess.Popen(
        ["bash", str(project.path / "apply_patches.sh"), "--target", str(mine.path), "apply", command],
        cwd=project.path, env=environment(project.home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (mine.path / ".git/rewact-pending").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    for lock in (mine.path / ".git").glob("*.lock"):
        lock.unlink()
    (mine.path / ".git/info/attributes").unlink()
    output = project.run("apply", command, target=mine, ok=False)
    assert f"patch {1 if command == '--3way' else 2} of 2 waits" in output
    while "waits" in output:
        resolve(mine)
        done = mine.git("rev-list", "--count", "mine..rewact")
        output = project.run("apply", "--continue", target=mine, ok=done == "1")
    assert mine.subjects() == [ONE, TWO]


def test_cut_off_in_one_worktree_is_not_put_back_in_another(project, mine, tmp_path):
    tree = Checkout(tmp_path / "a tree", project.home)
    mine.git("worktree", "add", "-q", "-b", "other", str(tree.path), "mine")
    cut_off(project, mine, {ACT: ""})
    before = every_byte(tree)
    assert "not applied" in project.run("status", target=tree)
    assert "Nothing to remove" in project.run("unapply", target=tree)
    assert every_byte(tree) == before
    assert "is as it was before" in project.run("unapply", target=mine)


def test_branch_made_after_a_cut_off_stays_checked_out(project, mine):
    cut_off(project, mine, {HEAD: ""})
    mine.git("checkout", "-q", "-b", "feature")
    project.run("unapply", target=mine)
    assert mine.git("symbolic-ref", "HEAD") == "refs/heads/feature"
    assert not (mine.path / HEAD).exists()


def test_staged_work_among_half_written_files(project, mine):
    cut_off(project, mine, {})
    original = (mine.path / ACT).read_text()
    mine.write(ACT, "staged\n")
    mine.git("add", ACT)
    mine.write(ACT, original)
    assert "holds work" in refused(project, mine, "apply")
    mine.git("reset", "-q", "--hard")
    mine.write("é.txt", "mine\n")
    mine.commit("mine")
    cut_off(project, mine, {HEAD: ""})
    mine.write("é.txt", "changed\n")
    assert "holds work" in refused(project, mine, "apply")


def cut_off(project: Project, mine: Checkout, contents: dict[str, str]) -> None:
    """As a killed checkout leaves it: some files of the goal are there, whole or in part."""
    project.run("apply", target=mine)
    tip, base = mine.git("rev-parse", "rewact"), mine.git("rev-parse", "refs/rewact/base")
    project.run("unapply", target=mine)
    (mine.path / ".git/rewact-pending").write_text(f"{base} {tip} {tip} - refs/heads/mine\n")
    for path, text in contents.items():
        mine.write(path, text or mine.git("show", f"{tip}:{path}") + "\n")


def test_files_half_written_are_put_back(project, mine):
    before = every_byte(mine)["files"]
    cut_off(project, mine, {ACT: "", HEAD: "head_0 = 0\nhea"})
    (mine.path / FACTORY).unlink()
    assert "was cut off" in project.run("status", target=mine)
    assert "is as it was before" in project.run("unapply", target=mine)
    assert every_byte(mine)["files"] == before
    assert not (mine.path / ".git/rewact-pending").exists()


def test_a_new_time_on_a_file_does_not_hide_a_cut_off(project, mine):
    cut_off(project, mine, {ACT: ""})
    os.utime(mine.path / "README.md")
    assert "is as it was before" in project.run("unapply", target=mine)


@pytest.mark.parametrize("left", ["1", "-1", "", "99999999"])
def test_note_of_a_command_that_was_killed(project, mine, left):
    """Another process may have its number by now."""
    (mine.path / ".git/rewact-running").write_text(left)
    project.run("apply", target=mine)


@pytest.mark.parametrize("note", ["", "garbage", "v0.6.1 x 1 y - 0 -"])
def test_damaged_note_of_a_merge_is_none(project, mine, note):
    project.run("apply", target=mine)
    (mine.path / ".git/rewact-merge").write_text(note)
    assert "state     applied" in project.run("status", target=mine)
    project.run("unapply", target=mine)


@pytest.mark.parametrize("path", [ACT, HEAD, "README.md"])
def test_work_of_the_users_among_half_written_files(project, mine, path):
    cut_off(project, mine, {FACTORY: "", path: "mine\n"})
    assert "was cut off" not in project.run("status", target=mine)
    assert "holds work" in refused(project, mine, "apply")


def test_cut_off_before_the_branch_was_made(project, mine):
    cut_off(project, mine, {})
    mine.git("checkout", "-q", "--detach", "refs/rewact/last")
    assert "is as it was before" in project.run("unapply", target=mine)
    assert mine.git("symbolic-ref", "HEAD") == "refs/heads/mine"
    assert mine.git("status", "--porcelain") == ""


# ---------------------------------------------------------------- what the branch holds


def test_branch_made_on_an_older_base(project, mine):
    project.run("apply", target=mine)
    mine.git("checkout", "-q", "mine")
    mine.write("docs/index.md", "pulled\n")
    pulled = mine.commit("pulled")
    for note in ("base", "tip"):
        mine.git("update-ref", "-d", f"refs/rewact/{note}")
    project.run("apply", target=mine)
    assert mine.git("rev-parse", "refs/rewact/base") == pulled
    assert mine.subjects() == [ONE, TWO]


@pytest.mark.parametrize("merge", [("merge", "-q", "--no-ff", "--no-edit"), ("merge", "-q", "--squash")])
def test_series_that_was_merged_is_applied(project, mine, merge):
    project.run("apply", target=mine)
    mine.git("checkout", "-q", "mine")
    mine.write("docs/index.md", "mine\n")
    mine.commit("mine")
    mine.git(*ME, *merge, "rewact")
    if "--squash" in merge:
        mine.commit("RewACT")
    assert "is in the history of branch mine" in project.run("apply", target=mine)
    if "--squash" in merge:
        mine.git("branch", "-q", "-D", "rewact")
    else:
        assert "stay in the history" in project.run("unapply", target=mine)
    assert "is in the history of this commit" in project.run("status", target=mine)
    assert mine.git("symbolic-ref", "HEAD") == "refs/heads/mine"


def test_exported_commits_whose_patches_were_reverted(project, mine):
    """They are nowhere but on the branch, so they count as the user's."""
    project.run("apply", target=mine)
    mine.write("src/lerobot/extra.py", "extra = 1\n")
    own = mine.commit("feat(extra): one more\n\nMore." + TRAILERS, day=8)
    project.run("export", target=mine)
    project.git("clean", "-q", "-f", "patches")
    project.git("checkout", "-q", "--", "patches")
    assert "nothing of yours" not in project.run("status", target=mine)
    for command in ("apply", "unapply"):
        assert "feat(extra): one more" in refused(project, mine, command)
    project.run("unapply", target=mine, env={"FORCE": "1"})
    for _ in range(3):
        project.run("apply", target=mine)
        project.run("unapply", target=mine)
    assert mine.git("rev-parse", *backups(mine)) == own


def test_own_commit_below_the_series_counts_as_the_users(project, mine):
    project.run("apply", target=mine)
    one, two = mine.git("rev-list", "--reverse", "refs/rewact/base..rewact").split()
    mine.git("reset", "-q", "--hard", "v0.6.0")
    mine.write("mine.txt", "mine\n")
    own = mine.commit("mine")
    mine.git(*ME, "cherry-pick", one, two)
    refused(project, mine, "unapply")
    project.run("unapply", target=mine, env={"FORCE": "1"})
    assert own in mine.git("rev-list", *backups(mine)).split()


def test_series_that_was_fast_forwarded_into_a_branch(project, mine):
    project.run("apply", target=mine)
    mine.git("checkout", "-q", "mine")
    mine.git("merge", "-q", "--ff-only", "rewact")
    mine.git("checkout", "-q", "rewact")
    mine.write("src/lerobot/extra.py", "extra = 1\n")
    mine.commit("feat(extra): one more\n\nMore." + TRAILERS, day=8)
    assert "Exported 3 commits" in project.run("export", target=mine)
    mine.git("reset", "-q", "--hard", "mine")
    mine.git("update-ref", "refs/rewact/tip", "mine")
    project.git("clean", "-q", "-f", "patches")
    project.git("checkout", "-q", "--", "patches")
    assert "stay in the history" in project.run("unapply", target=mine)


def test_own_branch_called_rewact_is_not_where_unapply_returns_to(project, mine):
    mine.git("checkout", "-q", "-b", "rewact")
    mine.write("mine.txt", "mine\n")
    own = mine.commit("mine")
    project.run("apply", target=mine, env={"FORCE": "1"})
    project.run("unapply", target=mine)
    assert mine.git("rev-parse", "HEAD") == own
    assert mine.git("status", "--porcelain") == ""


def test_branch_that_is_another_name(project, mine):
    mine.git("symbolic-ref", "refs/heads/rewact", "refs/heads/mine")
    for force in ("", "1"):
        assert "symbolic-ref -d" in refused(project, mine, "apply", FORCE=force)


def test_backup_of_what_is_staged_beside_a_conflict(project, mine):
    mine.write("README.md", "stashed\n")
    mine.git(*ME, "stash", "push", "-q")
    mine.write("README.md", "committed\n")
    mine.commit("mine")
    mine.git("stash", "pop", ok=False)
    mine.write("setup.py", "S1\n")
    mine.git("add", "setup.py")
    mine.write("setup.py", "S2\n")
    project.run("apply", target=mine, env={"FORCE": "1"})
    (backup,) = backups(mine)
    assert mine.git("show", f"{backup}^2:setup.py") == "S1"
    assert mine.git("show", f"{backup}:setup.py") == "S2"
    assert "stashed" in mine.git("show", f"{backup}:README.md")


def test_return_branch_is_checked_out_elsewhere(project, mine, tmp_path):
    project.run("apply", target=mine)
    mine.git("worktree", "add", "-q", str(tmp_path / "a tree"), "mine")
    output = project.run("unapply", target=mine)
    assert "is checked out in the worktree" in output
    assert mine.git("rev-parse", "HEAD") == mine.git("rev-parse", "mine")


def test_worktree_that_is_gone(project, mine, tmp_path):
    tree = Checkout(tmp_path / "a tree", project.home)
    mine.git("worktree", "add", "-q", "--detach", str(tree.path), "v0.6.1")
    project.run("apply", target=tree)
    subprocess.run(["rm", "-rf", str(tree.path)], check=True)
    assert "worktree prune" in refused(project, mine, "apply")


# ---------------------------------------------------------------- settings of the user


def test_both_marks_are_lifted_by_the_advice(project, mine):
    mine.git("update-index", "--assume-unchanged", ACT)
    mine.git("update-index", "--skip-worktree", ACT)
    output = refused(project, mine, "apply")
    for line in output.splitlines():
        if "update-index" in line:
            subprocess.run(line, shell=True, check=True, env=environment(project.home))
    project.run("apply", target=mine)


def test_sparse_checkout(project, mine):
    mine.git("sparse-checkout", "set", "docs")
    before = every_byte(mine)
    output = project.run("apply", target=mine, ok=False)
    assert {**every_byte(mine), "reflogs": ""} == {**before, "reflogs": ""}
    (way,) = (line for line in output.splitlines() if "sparse-checkout add" in line)
    subprocess.run(way.split(":", 1)[1], shell=True, check=True, env=environment(project.home))
    project.run("apply", target=mine)
    assert "reward = 'head'" in (mine.path / ACT).read_text()


def test_git_variables_change_no_patch(project, mine):
    project.run("apply", target=mine)
    patches = project.patches()
    env = {
        "GIT_DIFF_OPTS": "-u5", "GIT_EXTERNAL_DIFF": "false", "GIT_LITERAL_PATHSPECS": "0",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "diff.noprefix", "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_PARAMETERS": "'diff.context=9'", "GIT_DEFAULT_HASH": "sha256",
    }  # fmt: skip
    assert "nothing changed" in project.run("export", target=mine, env=env)
    assert project.patches() == patches


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a folder of another user")
def test_safe_directory_from_the_environment(project, mine):
    for path in (mine.path, *mine.path.rglob("*")):
        os.chown(path, ORDINARY_USER, ORDINARY_USER)
    assert "does not trust" in project.run("status", target=mine, ok=False, env={"SUDO_UID": "1"})
    env = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    assert "not applied" in project.run("status", target=mine, env=env | {"SUDO_UID": "1"})


def test_subject_is_counted_in_characters(project, mine):
    project.run("apply", target=mine)
    mine.write("src/lerobot/extra.py", "extra = 1\n")
    mine.commit(f"feat(act): {'ä' * 85}\n\nMore." + TRAILERS)
    project.run("export", target=mine)


@pytest.mark.parametrize("make", ["status", "apply"])
def test_tilde_in_a_make_variable(project, mine, make):
    mine.path.rename(project.home / "my lerobot")
    done = subprocess.run(
        ["make", make, "TARGET=~/my lerobot"],
        cwd=project.path,
        env=environment(project.home),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------- pr, and addresses


@pytest.fixture
def fork(project, tmp_path) -> Checkout:
    fork = Checkout(tmp_path / "my fork.git", project.home)
    project.git("clone", "-q", "--bare", str(project.upstream.path), str(fork.path))
    return fork


@pytest.mark.parametrize("option", ["--fork", "--series", "--target", "--branch", "--base", "--output"])
def test_values_that_git_would_take_for_options(project, mine, tmp_path, option):
    project.run("apply", target=mine)
    for value in ("--upload-pack=touch pwned;:x", "-x"):
        output = refused(project, mine, "pr", "--fork", "me/lerobot", f"{option}={value}")
        assert "cannot start with a dash" in output
    done = subprocess.run(
        ["make", "pr", "FORK=--upload-pack=touch pwned;:x"],
        cwd=project.path, env=environment(project.home), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0 and "cannot start with a dash" in done.stderr
    assert not list(project.path.parent.rglob("pwned"))


def test_passwords_are_not_shown(project, mine):
    secret = "https://me:TOKEN@127.0.0.1:9/me/lerobot.git"
    mine.git("remote", "set-url", "origin", secret)
    project.run("apply", target=mine)
    outputs = [project.run("status", target=mine)]
    outputs.append(project.run("pr", "--fork", secret, target=mine, ok=False))
    outputs.append(project.run("bump", "v9.9.9", target=mine, ok=False))
    for output in outputs:
        assert "TOKEN" not in output
    assert "https://127.0.0.1:9/me/lerobot.git does not answer" in outputs[1]


def test_pr_counts_own_commits_that_are_on_the_fork_already(project, mine, fork):
    mine.git("remote", "set-url", "origin", str(fork.path))
    mine.write("mine.txt", "mine\n")
    mine.commit("mine")
    mine.git("push", "-q", "origin", "mine")
    project.run("apply", target=mine)
    output = project.run("pr", "--fork", str(fork.path), target=mine)
    assert "the 2 commits of the series" in output and "1 commit that no release of LeRobot has" in output


def test_fork_is_relative_to_where_one_stands(project, mine, fork):
    project.run("apply", target=mine)
    where = os.path.relpath(fork.path, project.path)
    assert where.startswith("../")
    project.run("pr", "--fork", where, target=mine)
    assert fork.git("rev-parse", "rewact") == mine.git("rev-parse", "rewact")


def test_git_lfs_that_is_missing(project, mine):
    mine.git("config", "filter.lfs.required", "true")
    mine.git("config", "filter.lfs.smudge", "git-lfs-is-not-here smudge -- %f")
    (mine.path / ".git/info/attributes").write_text(f"{HEAD} filter=lfs\n")
    before = every_byte(mine)
    output = project.run("apply", target=mine, ok=False)
    assert "git-lfs" in output and "as it was before" in output
    assert {**every_byte(mine), "reflogs": ""} == {**before, "reflogs": ""}


def test_own_commit_below_an_old_branch_is_not_replaced(project, mine):
    project.run("apply", target=mine)
    one, two = mine.git("rev-list", "--reverse", "refs/rewact/base..rewact").split()
    mine.git("reset", "-q", "--hard", "v0.6.0")
    mine.write("mine.txt", "mine\n")
    mine.commit("own commit")
    mine.git(*ME, "cherry-pick", one, two)
    mine.git("checkout", "-q", "mine")
    refused(project, mine, "apply")
