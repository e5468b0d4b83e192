"""apply_patches.sh on a toy upstream: every command, and every state of a checkout in which it could lose work."""

import os
import shutil
import subprocess

import pytest
from toy_upstream import (
    ACT,
    FACTORY,
    HEAD,
    REPO,
    TEST,
    TRAILERS,
    Checkout,
    Project,
    takes_less_than,
)

ONE = "feat(act): add a reward head"
TWO = "feat(datasets): label the progress"


@pytest.fixture
def lerobot(project) -> Checkout:
    return project.lerobot


def backups(checkout: Checkout) -> list[str]:
    return checkout.git("for-each-ref", "--format=%(refname)", "refs/rewact/backup").split()


def nothing_lost(before: dict, commits: set[str], checkout: Checkout) -> None:
    """After a refusal everything is as it was, to the reflog."""
    assert checkout.state() == before
    assert commits <= checkout.every_commit()


def refused(project: Project, *args: str, target: Checkout | None = None, **env: str) -> str:
    """Runs a command that must refuse, and checks that it touched nothing."""
    checkout = target or project.lerobot
    before, commits, patches = checkout.state(), checkout.every_commit(), project.patches()
    output = project.run(*args, target=target, ok=False, env=env)
    nothing_lost(before, commits, checkout)
    assert project.patches() == patches
    return output


# ---------------------------------------------------------------- apply, unapply


def test_apply_and_unapply(project, lerobot):
    before = lerobot.state()
    assert "Applied the series v0.6.1 (2 patches)" in project.run("apply")
    assert lerobot.git("symbolic-ref", "HEAD") == "refs/heads/rewact"
    assert lerobot.subjects() == [ONE, TWO]
    assert "reward = 'head'" in (lerobot.path / ACT).read_text()
    assert lerobot.git("status", "--porcelain") == ""
    assert lerobot.git("rev-parse", "refs/rewact/base") == before["head"]
    tip = lerobot.git("rev-parse", "HEAD")

    project.run("unapply")
    after = lerobot.state()
    del before["reflog"], after["reflog"]
    assert after == before
    assert tip in lerobot.every_commit()
    assert "Nothing to remove" in project.run("unapply")


def test_hashes_are_the_same_whatever_the_users_settings(project, lerobot, tmp_path):
    project.run("apply")
    tip = lerobot.git("rev-parse", "HEAD")
    project.run("unapply")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in (
        "applypatch-msg",
        "pre-applypatch",
        "post-applypatch",
        "pre-commit",
        "post-checkout",
        "commit-msg",
    ):
        (hooks / name).write_text("#!/bin/sh\ntouch hook-was-here\nexit 1\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "attributes").write_text("*.py diff=odd\n*.patch text eol=crlf\n")
    odd = (
        ("am.threeWay", "true"), ("am.keepcr", "true"), ("am.messageid", "true"), ("commit.gpgSign", "true"),
        ("gpg.program", "false"), ("core.hooksPath", str(hooks)), ("mailinfo.scissors", "true"),
        ("apply.whitespace", "fix"), ("core.whitespace", "tab-in-indent"), ("apply.ignoreWhitespace", "change"),
        ("diff.noprefix", "true"), ("diff.mnemonicPrefix", "true"), ("diff.context", "1"), ("diff.external", "false"),
        ("diff.algorithm", "histogram"), ("diff.renames", "copies"), ("diff.orderFile", "/dev/null"),
        ("diff.odd.textconv", "false"), ("diff.interHunkContext", "9"), ("diff.relative", "true"),
        ("core.attributesFile", str(tmp_path / "attributes")), ("core.abbrev", "5"), ("core.quotePath", "false"),
        ("format.signOff", "true"), ("format.numbered", "true"), ("format.attach", "true"), ("format.suffix", ".txt"),
        ("format.subjectPrefix", "PATCH rewact"), ("format.coverLetter", "true"), ("format.signature", "me"),
        ("format.outputDirectory", "elsewhere"), ("format.thread", "true"), ("format.from", "me <me@example.com>"),
        ("format.encodeEmailHeaders", "true"), ("format.filenameMaxLength", "12"), ("format.useAutoBase", "true"),
        ("i18n.commitEncoding", "latin1"), ("i18n.logOutputEncoding", "latin1"), ("log.showSignature", "true"),
        ("log.date", "relative"), ("log.mailmap", "true"), ("status.relativePaths", "false"), ("status.short", "true"),
        ("color.ui", "always"), ("core.pager", "false"), ("checkout.defaultRemote", "x"), ("push.default", "nothing"),
        ("branch.autoSetupMerge", "always"), ("rerere.enabled", "true"), ("merge.conflictStyle", "diff3"),
        ("status.showUntrackedFiles", "all"), ("user.useConfigOnly", "true"), ("advice.detachedHead", "true"),
    )  # fmt: skip
    project.configure(*odd)
    for key, value in odd:
        lerobot.git("config", key, value)
    project.run("apply")
    assert lerobot.git("rev-parse", "HEAD") == tip
    assert "already applied" in project.run("apply")
    assert "nothing changed" in project.run("export")
    assert "the same." in project.run("check")
    assert "state     applied" in project.run("status")
    assert project.git("status", "--porcelain", "-uno", "patches") == ""
    project.run("unapply")
    assert not (lerobot.path / "hook-was-here").exists()


def test_apply_twice_is_quick_and_changes_nothing(project, lerobot):
    project.run("apply")
    before = lerobot.state()
    with takes_less_than(0.5):  # a tenth of that
        assert "already applied" in project.run("apply")
    assert lerobot.state() == before
    # without what apply noted, the commits themselves tell
    lerobot.git("update-ref", "-d", "refs/rewact/tip")
    assert "already applied" in project.run("apply")
    assert lerobot.state() == before


def test_same_commits_by_another_committer_are_the_series(project, lerobot):
    project.run("apply")
    lerobot.git(
        "-c", "user.name=Me", "-c", "user.email=me@example.com", "rebase", "-q", "--force-rebase", "HEAD~2"
    )
    assert lerobot.git("rev-parse", "HEAD") != lerobot.git("rev-parse", "refs/rewact/tip")
    assert "already applied" in project.run("apply")
    assert "nothing changed" in project.run("export")
    project.run("unapply")


def test_own_clone_and_own_branch(project):
    mine = project.clone("my lerobot")
    mine.git("checkout", "-q", "-b", "mine", "v0.6.1")
    mine.write("mine.txt", "mine\n")
    mine.commit("mine")
    before = mine.state()
    assert "made from mine" in project.run("apply", target=mine)
    assert mine.subjects("mine..rewact") == [ONE, TWO]
    project.run("unapply", target=mine)
    after = mine.state()
    del before["reflog"], after["reflog"]
    assert after == before


def test_main_with_the_next_version_is_accepted(project):
    """Upstream's main calls itself 0.6.2 right after 0.6.1; what counts is the files. Here one differs."""
    mine = project.clone("my lerobot")
    mine.git("checkout", "-q", "-b", "mine", "v0.6.1")
    mine.edit("pyproject.toml", "0.6.1", "0.6.2")
    mine.commit("next version")
    assert "the series v0.6.1 (2 patches) was made for these files" in project.run("status", target=mine)
    project.run("apply", target=mine)
    project.run("unapply", target=mine)
    mine.git("checkout", "-q", "main")
    output = refused(project, "apply", target=mine)
    assert f"{FACTORY} differs" in output and "apply --3way" in output
    assert f"{ACT} differs" not in output
    output = project.run("status", target=mine)
    assert "2 of 2 patches go on as they are, no conflict" in output and "apply --3way" in output


def test_three_way_is_taken_only_when_asked_for(project):
    mine = project.clone("my lerobot")
    refused(project, "apply", target=mine)
    project.run("apply", "--3way", target=mine)
    assert mine.subjects("main..rewact") == [ONE, TWO]
    assert "factory_30 = 'later'" in (mine.path / FACTORY).read_text()
    project.run("unapply", target=mine)
    assert mine.git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_series_that_came_with_a_pull_replaces_the_old_one(project, lerobot):
    project.run("apply")
    old = project.patches()
    lerobot.write(HEAD, "better = 1\n")
    lerobot.commit("fix(act): a better head\n\nIt was bad." + TRAILERS, day=7)
    project.run("export")
    new = project.patches()
    project.run("unapply")
    for name in new.keys() - old.keys():
        (project.series / name).unlink()
    project.run("apply")
    assert lerobot.subjects() == [ONE, TWO]
    for name, content in new.items():
        (project.series / name).write_bytes(content)
    assert "an earlier form of the series" in project.run("status")
    project.run("apply")
    assert lerobot.subjects()[2:] == ["fix(act): a better head"]
    project.run("unapply")
    assert lerobot.git("symbolic-ref", "-q", "HEAD", ok=False) == ""


def test_branch_fetched_from_a_fork_is_recognised(project, tmp_path):
    project.run("apply")
    mine = project.clone("my lerobot")
    mine.git("fetch", "-q", str(project.lerobot.path), "rewact")
    mine.git("checkout", "-q", "-b", "rewact", "FETCH_HEAD")
    assert "already applied" in project.run("apply", target=mine)


def test_series_by_name_and_unknown_names(project, lerobot):
    project.run("--series", "v0.6.1", "apply")
    assert "There are: v0.6.1" in refused(project, "--series", "v9", "apply")
    assert "See:" in project.run("frobnicate", ok=False)
    assert "needs a value" in project.run("apply", "--target", ok=False)
    assert "apply_patches.sh status" in project.run("--help")


# ---------------------------------------------------------------- states in which work could be lost


def test_not_filled(project, lerobot):
    """git would act on the outer repository, which is what is around an empty submodule."""
    shutil.rmtree(lerobot.path)
    lerobot.path.mkdir()
    before = project.state()
    for command in ("apply", "unapply", "export", "check", "status"):
        output = project.run(command, ok=False)
        assert "no repository of its own" in output and "make setup" in output
    assert project.state() == before
    lerobot.path.rmdir()
    assert "does not exist" in project.run("apply", ok=False)


def test_target_that_is_no_lerobot(project, tmp_path):
    assert "no LeRobot checkout" in refused(project, "apply", target=project)
    empty = Checkout(tmp_path / "empty", project.home)
    empty.path.mkdir()
    assert "no git checkout" in project.run("apply", target=empty, ok=False)
    empty.git("init", "-q")
    assert "no commit yet" in project.run("apply", target=empty, ok=False)
    bare = Checkout(tmp_path / "bare.git", project.home)
    project.git("clone", "-q", "--bare", str(project.upstream.path), str(bare.path))
    assert "without files" in project.run("apply", target=bare, ok=False)


def test_dirty_tree(project, lerobot):
    lerobot.write(ACT, "dirty\n")
    lerobot.write("README.md", "staged\n")
    lerobot.git("add", "README.md")
    lerobot.write("README.md", "staged and changed again\n")
    lerobot.write("docs/new.md", "new and staged\n")
    lerobot.git("add", "docs/new.md")
    (lerobot.path / "setup.py").unlink()
    before, tree = lerobot.state(), lerobot.git("status", "--porcelain")
    output = refused(project, "apply")
    assert ACT in output and "stash push" in output and "FORCE=1" in output

    output = project.run("apply", env={"FORCE": "1"})
    (backup,) = backups(lerobot)
    assert f"stash apply {backup}" in output
    assert lerobot.subjects() == [ONE, TWO]
    project.run("unapply")
    lerobot.git("stash", "apply", "--index", backup)
    after = lerobot.state()
    assert lerobot.git("status", "--porcelain") == tree
    assert (after["files"], after["index"]) == (before["files"], before["index"])


@pytest.mark.parametrize("ignored", [False, True])
def test_untracked_files(project, lerobot, ignored):
    """One that a patch adds is in the way, and stays; others are in nobody's way."""
    if ignored:
        (lerobot.path / ".git/info/exclude").write_text(f"{HEAD}\n")
    lerobot.write("notes.txt", "mine\n")
    lerobot.write("outputs/model.bin", "mine\n")
    project.run("apply")
    project.run("unapply")
    lerobot.write(HEAD, "mine\n")
    output = refused(project, "apply")
    assert HEAD in output and "Move these files" in output

    output = project.run("apply", env={"FORCE": "1"})
    (backup,) = backups(lerobot)
    assert lerobot.git("show", f"{backup}^3:{HEAD}") == "mine"
    assert (lerobot.path / "notes.txt").read_text() == "mine\n"
    project.run("unapply")
    lerobot.git("stash", "apply", backup)
    assert (lerobot.path / HEAD).read_text() == "mine\n"


def test_changes_that_git_was_told_to_hide(project, lerobot):
    lerobot.git("update-index", "--assume-unchanged", ACT)
    lerobot.edit(ACT, "modeling_act_3 = 3", "modeling_act_3 = 'mine'")
    for force in ("", "1"):
        output = refused(project, "apply", FORCE=force)
        assert ACT in output and "--no-assume-unchanged" in output


def test_commits_on_top(project, lerobot):
    project.run("apply")
    lerobot.write("mine.txt", "mine\n")
    mine = lerobot.commit("feat(mine): something\n\nMine." + TRAILERS)
    for command in ("unapply", "apply"):
        output = refused(project, command)
        assert "feat(mine): something" in output and "export" in output and "FORCE=1" in output
    assert "not all of them in the series" in project.run("status")
    project.run("unapply", env={"FORCE": "1"})
    (backup,) = backups(lerobot)
    assert lerobot.git("rev-parse", backup) == mine
    assert not (lerobot.path / "mine.txt").exists()
    # or they become the series, and then nothing holds them back
    project.run("apply")
    lerobot.git("cherry-pick", mine, env={f"GIT_COMMITTER_{k}": v for k, v in lerobot.who(8)})
    project.run("export")
    project.run("unapply")
    project.run("apply")
    assert lerobot.subjects()[2:] == ["feat(mine): something"]


def test_commits_on_top_of_a_dirty_tree(project, lerobot):
    project.run("apply")
    lerobot.write("mine.txt", "mine\n")
    mine = lerobot.commit("feat(mine): something\n\nMine." + TRAILERS)
    lerobot.write("mine.txt", "and more\n")
    refused(project, "unapply")
    project.run("unapply", env={"FORCE": "1"})
    work, commits = sorted(backups(lerobot), key=lambda name: lerobot.git("rev-parse", name) == mine)
    assert lerobot.git("rev-parse", commits) == mine
    assert lerobot.git("show", f"{work}:mine.txt") == "and more"


def test_detached_head_and_branch_that_moved_or_went(project, lerobot):
    lerobot.git("checkout", "-q", "-b", "mine")
    project.run("apply")
    lerobot.git("checkout", "-q", "mine")
    lerobot.write("mine.txt", "mine\n")
    mine = lerobot.commit("mine")
    # applied again, from where mine is now; the old branch is remembered
    last = lerobot.git("rev-parse", "rewact")
    project.run("apply")
    assert lerobot.git("rev-parse", "refs/rewact/base") == mine
    assert lerobot.git("rev-parse", "refs/rewact/last") == last
    project.run("unapply")
    assert lerobot.git("rev-parse", "mine") == mine == lerobot.git("rev-parse", "HEAD")
    project.run("apply")
    lerobot.git("branch", "-D", "mine")
    assert "is gone" in project.run("unapply")
    assert lerobot.git("rev-parse", "HEAD") == mine


def test_branch_of_the_users_own_called_rewact(project, lerobot):
    lerobot.git("checkout", "-q", "-b", "rewact")
    lerobot.write("mine.txt", "mine\n")
    mine = lerobot.commit("mine")
    lerobot.git("checkout", "-q", "--detach", "v0.6.1")
    assert "branch -m rewact" in refused(project, "apply")
    assert "not made by apply" in refused(project, "unapply")
    project.run("apply", env={"FORCE": "1"})
    assert lerobot.git("rev-parse", *backups(lerobot)) == mine


@pytest.mark.parametrize("operation", ["am", "rebase", "merge", "cherry-pick", "revert", "bisect"])
def test_operation_in_progress(project, operation):
    mine = project.clone("my lerobot")
    identity = ("-c", "user.name=Me", "-c", "user.email=me@example.com")
    mine.git("checkout", "-q", "-b", "mine", "v0.6.1")
    mine.edit(FACTORY, "factory_30 = 30", "factory_30 = 'mine'")
    own = mine.commit("mine")
    if operation == "am":
        patch = project.path / "mine.patch"
        patch.write_text(mine.git("format-patch", "--stdout", "-1") + "\n")
        mine.git("checkout", "-q", "main")
        mine.git(*identity, "am", "-3", str(patch), ok=False)
    elif operation == "rebase":
        mine.git(*identity, "rebase", "main", ok=False)
    elif operation == "bisect":
        mine.git("bisect", "start", "main", "v0.6.0")
    else:
        mine.git("checkout", "-q", "main")
        if operation == "revert":
            mine.edit(FACTORY, "factory_30 = 'later'", "factory_30 = 'mine'")
            mine.commit("mine")
            mine.git(*identity, "revert", "--no-edit", "HEAD~1", ok=False)
        else:
            mine.git(*identity, operation, own, ok=False)
    for command, force in (("apply", "1"), ("unapply", ""), ("export", "")):
        output = refused(project, command, target=mine, FORCE=force)
        assert f"{operation} is under way" in output
        assert ("bisect reset" if operation == "bisect" else f"{operation} --abort") in output


def test_another_git_at_work(project, lerobot):
    (lerobot.path / ".git/index.lock").touch()
    output = project.run("apply", ok=False)
    assert "index.lock" in output
    (lerobot.path / ".git/index.lock").unlink()
    project.run("apply")


@pytest.mark.parametrize("autocrlf", ["true", "input"])
def test_line_ends(project, autocrlf):
    """A checkout with CRLF, made by a git that converts; patches that git did not convert."""
    project.configure(("core.autocrlf", autocrlf), ("core.safecrlf", "true"))
    mine = project.clone("my lerobot")
    mine.git("checkout", "-q", "-b", "mine", "v0.6.1")
    crlf = autocrlf == "true"
    assert (b"\r\n" in (mine.path / ACT).read_bytes()) == crlf
    before = mine.state()
    project.run("apply", target=mine)
    assert mine.git("status", "--porcelain") == ""
    assert (b"\r\n" in (mine.path / ACT).read_bytes()) == crlf
    assert "nothing changed" in project.run("export", target=mine)
    mine.write(ACT, "mine\n")
    refused(project, "unapply", target=mine)
    project.run("unapply", target=mine, env={"FORCE": "1"})
    assert mine.state()["files"] == before["files"]

    # the outer repository cloned with the same setting keeps the bytes of the patches
    again = Checkout(project.path.parent / "again", project.home)
    project.git("clone", "-q", str(project.path), str(again.path))
    for name, content in project.patches().items():
        assert (again.path / "patches/v0.6.1" / name).read_bytes() == content
    assert b"\r" not in (again.path / "apply_patches.sh").read_bytes()


def test_patches_with_crlf_are_named(project):
    for file in project.series.glob("*.patch"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert "CRLF" in project.run("check", ok=False)


def test_read_only_files(project, lerobot):
    for path in (ACT, FACTORY):
        (lerobot.path / path).chmod(0o444)
    for file in project.series.glob("*.patch"):
        file.chmod(0o444)
    project.run("apply")
    lerobot.edit(HEAD, "head_1 = 1", "head_1 = 2")
    lerobot.commit("fix(act): two\n\nOne was wrong." + TRAILERS)
    project.run("export")
    project.run("unapply")
    assert lerobot.git("status", "--porcelain") == ""


def test_linked_worktree(project, lerobot):
    tree = Checkout(project.path.parent / "a tree", project.home)
    lerobot.git("worktree", "add", "-q", "--detach", str(tree.path), "v0.6.1")
    project.run("apply", target=tree)
    assert tree.subjects() == [ONE, TWO]
    # the branch is one for all worktrees: the other says so instead of taking it away
    refused(project, "apply")
    project.run("unapply", target=tree)
    project.run("apply")


def test_shallow_clone(project):
    shallow = Checkout(project.path.parent / "shallow", project.home)
    url = f"file://{project.upstream.path}"
    project.git("clone", "-q", "--depth", "1", "--branch", "v0.6.1", url, str(shallow.path))
    project.run("apply", target=shallow)
    assert "nothing changed" in project.run("export", target=shallow)
    project.run("unapply", target=shallow)


def test_called_from_a_git_hook(project, lerobot):
    """git sets GIT_DIR and more for its hooks, which would send every command to the hook's repository."""
    before = project.state()
    project.run("apply", env={"GIT_DIR": str(project.path / ".git"), "GIT_INDEX_FILE": "/nowhere"})
    assert lerobot.subjects() == [ONE, TWO]
    assert project.state()["branches"] == before["branches"]


# ---------------------------------------------------------------- export


def test_export_of_nothing_new_is_byte_identical(project, lerobot):
    project.run("apply")
    before = {file: file.stat().st_mtime_ns for file in project.series.iterdir()}
    patches = project.patches()
    assert "nothing changed" in project.run("export")
    assert project.patches() == patches
    assert {file: file.stat().st_mtime_ns for file in project.series.iterdir()} == before


def rebase(checkout: Checkout, todo: str) -> None:
    """An interactive rebase with the todo list given."""
    env = {"GIT_SEQUENCE_EDITOR": f"printf '{todo}' >", "GIT_EDITOR": "true"}
    identity = ("-c", "user.name=Me", "-c", "user.email=me@example.com")
    checkout.git(*identity, "rebase", "-q", "-i", "--autosquash", "refs/rewact/base", env=env)


def test_edit_loop(project, lerobot):
    project.run("apply")
    # added
    lerobot.write("src/lerobot/extra.py", "extra = 1\n")
    extra = lerobot.commit("feat(extra): one more\n\nMore." + TRAILERS, day=8)
    untouched = {file.name: file.stat().st_mtime_ns for file in project.series.glob("*.patch")}
    output = project.run("export")
    assert "+ 0003-feat-extra-one-more.patch" in output
    now = {file.name: file.stat().st_mtime_ns for file in project.series.glob("*.patch")}
    assert {name: now[name] for name in untouched} == untouched
    # reordered: the file is the same, its number is not
    one, two = lerobot.git("rev-list", "--reverse", "refs/rewact/base..HEAD").split()[:2]
    rebase(lerobot, f"pick {extra}\\npick {one}\\npick {two}\\n")
    output = project.run("export")
    assert "> 0001-feat-extra-one-more.patch  (was 0003-" in output
    assert list(project.patches()) == [
        "0001-feat-extra-one-more.patch",
        "0002-feat-act-add-a-reward-head.patch",
        "0003-feat-datasets-label-the-progress.patch",
    ]
    assert "the same." in project.run("check")
    # fixed up
    first = lerobot.git("rev-list", "--reverse", "refs/rewact/base..HEAD").split()
    lerobot.edit("src/lerobot/extra.py", "extra = 1", "extra = 2")
    fixup = lerobot.commit("fixup! feat(extra): one more")
    assert "is a fixup" in refused(project, "export")
    rebase(lerobot, f"pick {first[0]}\\nfixup {fixup}\\npick {first[1]}\\npick {first[2]}\\n")
    assert "~ 0001-feat-extra-one-more.patch" in project.run("export")
    # dropped
    first = lerobot.git("rev-list", "--reverse", "refs/rewact/base..HEAD").split()
    rebase(lerobot, f"drop {first[0]}\\npick {first[1]}\\npick {first[2]}\\n")
    output = project.run("export")
    assert "- 0001-feat-extra-one-more.patch  (dropped)" in output
    assert project.git("status", "--porcelain", "patches") == ""  # where it all began
    project.run("unapply")


def test_export_refuses(project, lerobot):
    assert "apply" in refused(project, "export")  # nothing applied
    project.run("apply")
    lerobot.write(ACT, "dirty\n")
    assert "uncommitted changes" in refused(project, "export")
    lerobot.git("checkout", "-q", "--", ACT)
    tip = lerobot.git("rev-parse", "HEAD")
    lerobot.git("reset", "-q", "--hard", "refs/rewact/base")
    assert "an empty series is not written" in refused(project, "export")
    lerobot.git("reset", "-q", "--hard", tip)
    lerobot.git("checkout", "-q", "--detach")
    assert "switch rewact" in refused(project, "export")
    lerobot.git("checkout", "-q", "rewact")
    identity = ("-c", "user.name=Me", "-c", "user.email=me@example.com")
    lerobot.git(*identity, "merge", "-q", "--no-ff", "-m", "merge", "origin/main")
    assert "merge among the commits" in refused(project, "export")


def test_lint_of_messages(project, lerobot):
    project.run("apply")
    before = project.patches()
    for message, fault in (
        ("Add something\n\nWhy." + TRAILERS, "style of LeRobot"),
        ("feat(act): x\n\nWhy.\n\nDrop-when: never\n", 'lacks the trailer "Upstream'),
        ("feat(act): x\n\nWhy.\n\nUpstream: none\n", 'lacks the trailer "Drop-when'),
        ("feat(act): x\n\nWhy.\n\nUpstream: perhaps\nDrop-when: never\n", "Upstream: is none"),
        ("feat(act): x" + TRAILERS, "the body says nothing"),
        ("feat(act): x\n\nWhy.\n---\nThis would be lost." + TRAILERS, "would end the message"),
        ("feat(act): x\n\nWhy.\n\ndiff -u a b\n" + TRAILERS, "would end the message"),
        (
            "feat(act): x\n\nWhy.\n\ndiff --git a/x b/x\nis how it starts\n" + TRAILERS,
            "would end the message",
        ),
        ("feat(act): x\n\nFrom: someone else\n" + TRAILERS, "taken for a header"),
        (f"feat(act): {'long ' * 20}\n\nWhy." + TRAILERS, "longer than 100"),
    ):
        lerobot.write("src/lerobot/extra.py", "extra = 1\n")
        commit = lerobot.commit(message)
        output = project.run("export", ok=False)
        assert fault in output and "0003-" in output and "rebase -i" in output
        assert lerobot.git("rev-parse", "HEAD") == commit
        assert project.patches() == before
        lerobot.git("reset", "-q", "--hard", "HEAD~1")


def test_lint_of_files(project, lerobot):
    project.run("apply")
    lerobot.write("docs/index.md", "changed\n")
    lerobot.write("docs/new.md", "a new file may be anywhere\n")
    lerobot.commit("docs: say more\n\nMore." + TRAILERS)
    output = refused(project, "export")
    assert "modifies docs/index.md" in output and "docs/new.md" not in output


def test_long_subject_survives(project, lerobot):
    """Patches fold a subject of more than 78 characters."""
    subject = "feat(act): a subject of ninety characters that goes over the fold of a mail's header, ok"
    project.run("apply")
    lerobot.write("src/lerobot/extra.py", "extra = 1\n")
    lerobot.commit(
        f"{subject}\n\nBody with ünïcode — and a\ttab.\n\n  indented\n\nFrom here on: fine." + TRAILERS
    )
    project.run("export")
    project.run("unapply")
    project.run("apply")
    assert lerobot.subjects()[2] == subject
    assert "nothing changed" in project.run("export")


def test_patches_edited_by_hand_are_not_written_over(project, lerobot):
    project.run("apply")
    patch = sorted(project.series.glob("*.patch"))[0]
    patch.write_bytes(patch.read_bytes().replace(b"Now it can.", b"Now it can!"))
    edited = patch.read_bytes()
    assert "edited by hand" in refused(project, "export")
    project.run("export", env={"FORCE": "1"})
    assert b"Now it can." in patch.read_bytes()
    (backup,) = backups(lerobot)
    assert lerobot.git("show", f"{backup}:{patch.name}").encode() == edited.rstrip()


def test_export_after_a_rebase_by_hand(project):
    """The branch it came from went on, and the user rebased onto it: only their commits are exported."""
    mine = project.clone("my lerobot")
    mine.git("checkout", "-q", "-b", "mine", "v0.6.1")
    project.run("apply", target=mine)
    mine.git("checkout", "-q", "mine")
    mine.write("docs/index.md", "went on\n")
    mine.commit("went on")
    mine.git("checkout", "-q", "rewact")
    mine.git("-c", "user.name=Me", "-c", "user.email=me@example.com", "rebase", "-q", "mine")
    assert "nothing changed" in project.run("export", target=mine)


# ---------------------------------------------------------------- check


def test_check(project, lerobot):
    assert "export again: the same." in project.run("check")
    before = lerobot.state()
    patch = sorted(project.series.glob("*.patch"))[1]
    good = patch.read_bytes()
    patch.write_bytes(good.replace(b"@@ factory_7 = 7", b"@@"))
    assert "is not what an export of it gives" in project.run("check", ok=False)
    patch.write_bytes(good.replace(b" factory_9 = 9", b" factory_9 = 8"))
    assert "does not apply" in project.run("check", ok=False)
    patch.write_bytes(good)
    patch.rename(patch.with_name("0003-feat-datasets-label-the-progress.patch"))
    assert "the number should be 0002" in project.run("check", ok=False)
    assert lerobot.state() == before


def test_the_real_series():
    """Lint, apply to a pristine copy, export, compare."""
    if not (REPO / "lerobot/.git").exists():
        pytest.fail("lerobot/ is not filled: make setup")
    done = subprocess.run(["bash", "apply_patches.sh", "check"], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------- bump


def release(project: Project, edit, tag: str = "v0.7.0") -> None:
    """A later release of the toy upstream, in the history of lerobot/."""
    project.upstream.git("checkout", "-q", "-b", f"release-{tag}", "v0.6.1")
    edit(project.upstream)
    project.upstream.commit(f"release {tag}", day=9)
    project.upstream.git("tag", tag)


def bump(project: Project, version: str, ok: bool = True) -> str:
    before = project.lerobot.files()
    output = project.run("bump", version, ok=ok)
    assert project.lerobot.files() == before
    if not ok:
        assert [entry.name for entry in (project.path / "patches").iterdir()] == ["v0.6.1"]
    return output


def test_bump_clean_and_back(project):
    output = bump(project, "v0.6.0")
    assert output.count(": clean") == 2
    commit = project.upstream.git("rev-parse", "v0.6.0")
    text = (project.path / "patches/v0.6.0/UPSTREAM").read_text()
    assert f"\nUPSTREAM_TAG=v0.6.0\nUPSTREAM_COMMIT={commit}\n" in text
    patches = project.patches()
    shutil.rmtree(project.series)
    bump(project, "v0.6.1")
    assert project.patches() == patches
    assert "already exists" in project.run("--series", "v0.6.0", "bump", "v0.6.1", ok=False)
    assert project.run("check").count("the same.") == 2


def test_bump_by_three_way_merge(project):
    def edit(upstream):
        upstream.edit(ACT, "modeling_act_12 = 12", "modeling_act_12 = 'changed beside it'")

    release(project, edit)
    output = bump(project, "v0.7.0")  # the tag is fetched from origin
    assert output.count("3-way merge") == 2
    assert "the same." in project.run("--series", "v0.7.0", "check")


@pytest.mark.parametrize("line", [22, 20])
def test_merge_where_the_series_was_never_applied(project, lerobot, line):
    """The third patch needs a merge, with the file as the first two left it, which no fresh clone holds."""
    project.run("apply")
    lerobot.edit(ACT, "modeling_act_20 = 20\n", "modeling_act_20 = 'reward'\n")
    lerobot.commit("feat(act): one more\n\nMore." + TRAILERS, day=7)
    project.run("export")
    theirs = f"modeling_act_{line} = 'theirs'"
    release(project, lambda upstream: upstream.edit(ACT, f"modeling_act_{line} = {line}", theirs))
    fresh = project.clone("fresh", "--branch", "v0.7.0")
    conflict = line == 20  # the very line that the patch changes
    output = project.run("bump", "v0.7.0", "--output", "../out", target=fresh, ok=not conflict)
    assert output.count(": clean") == 2
    assert output.count(": conflict" if conflict else ": 3-way merge") == 1
    output = project.run("apply", "--3way", target=fresh, ok=not conflict)
    if conflict:
        assert f"{ACT}:22" in output and "patch 3 of 3" in output
    else:
        assert fresh.subjects("v0.7.0..rewact") == [ONE, TWO, "feat(act): one more"]


def test_bump_with_conflict_writes_nothing(project):
    def edit(upstream):
        upstream.edit(ACT, "modeling_act_10 = 10\n", "modeling_act_10 = 'another'\n")

    release(project, edit)
    output = bump(project, "v0.7.0", ok=False)
    assert "0001-feat-act-add-a-reward-head.patch: conflict" in output and f"{ACT}:11" in output
    assert "apply --3way" in output and "--series v0.7.0 export" in output


def test_bump_with_a_patch_that_upstream_took(project):
    def edit(upstream):
        upstream.edit(ACT, "modeling_act_10 = 10\n", "modeling_act_10 = 10\nreward = 'héad'\n")
        upstream.write(HEAD, "".join(f"head_{i} = {i}\n" for i in range(5)))
        upstream.write(TEST, "def test_head():\n    pass\n")

    release(project, edit)
    output = bump(project, "v0.7.0")
    assert "Wrote patches/v0.7.0, 1 patch. To try it:" in output
    assert (
        f"0001-{ONE.replace('(', '-').replace('): ', '-').replace(' ', '-')}.patch: already there, dropped"
        in output
    )
    assert [f.name for f in (project.path / "patches/v0.7.0").glob("*.patch")] == [
        "0001-feat-datasets-label-the-progress.patch"
    ]


def test_bump_to_a_commit_without_a_release(project):
    bump(project, "main" if project.lerobot.git("branch", "--list", "main") else "origin/main")
    (folder,) = (f for f in (project.path / "patches").iterdir() if f.name != "v0.6.1")
    assert folder.name.startswith("v0.6.1-1-g")
    text = (folder / "UPSTREAM").read_text()
    assert "without a release" in text and "UPSTREAM_TAG=\n" in text and "UPSTREAM_SDIST_SHA256=\n" in text


def test_bump_to_what_is_not_there(project):
    assert "has no tag or commit v9.9.9" in bump(project, "v9.9.9", ok=False)
    assert "VERSION=" in project.run("bump", ok=False)


def test_bump_to_a_folder_outside_patches(project, lerobot, tmp_path):
    """A trial: neither patches/ nor the checkout changes, not even where a series of that name exists."""
    refs = ("for-each-ref", "--format=%(refname) %(objectname)")
    before, refs_before = lerobot.state(), lerobot.git(*refs)
    series = {file: file.read_bytes() for file in (project.path / "patches").rglob("*") if file.is_file()}
    (tmp_path / "empty").mkdir()
    for version, folder in (("v0.6.0", "new"), ("v0.6.1", "empty"), ("origin/main", "a commit")):
        output = project.run("bump", version, "--output", str(tmp_path / folder))
        assert f"Wrote {tmp_path / folder}, 2 patches" in output
        names = sorted(file.name for file in (tmp_path / folder).iterdir())
        assert names == ["0001-feat-act-add-a-reward-head.patch", "0002-feat-datasets-label-the-progress.patch",
                         "UPSTREAM"]  # fmt: skip
    assert {name: (tmp_path / "empty" / name).read_bytes() for name in project.patches()} == project.patches()
    assert "without a release" in (tmp_path / "a commit/UPSTREAM").read_text()
    assert lerobot.state() == before and lerobot.git(*refs) == refs_before
    assert series == {f: f.read_bytes() for f in (project.path / "patches").rglob("*") if f.is_file()}
    assert not list(tmp_path.glob(".new.*"))
    # the relative path is the caller's, and what was written is a series
    project.run("bump", "v0.6.0", "--output=../relative")
    (project.path.parent / "relative").rename(project.path / "patches/v0.6.0")
    assert project.run("check").count("the same.") == 2


def test_bump_refuses_a_folder_where_nothing_new_belongs(project, lerobot, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine\n")
    for folder, words in (
        (tmp_path / "full", "is not empty"),
        (tmp_path / "full/mine.txt", "is no folder"),
        (tmp_path / "missing/series", "there is no folder"),
        (lerobot.path / "series", "is in the checkout"),
        (lerobot.path, "is not empty"),
        (project.path / "patches/trial", "is in patches/"),
        ("", "needs a folder"),
    ):
        output = refused(project, "bump", "v0.6.0", "--output", str(folder))
        assert words in output and len(output.splitlines()) <= 2
    assert "goes with bump only" in refused(project, "apply", "--output", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_bump_with_conflict_leaves_no_output(project, tmp_path):
    release(project, lambda upstream: upstream.edit(ACT, "modeling_act_10 = 10\n", "modeling_act_10 = 'x'\n"))
    output = project.run("bump", "v0.7.0", "--output", str(tmp_path / "new"), ok=False)
    assert "2 of 2 patches have conflicts" in output
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".new.*"))


# ---------------------------------------------------------------- pr


@pytest.fixture
def fork(project, tmp_path) -> Checkout:
    fork = Checkout(tmp_path / "my fork.git", project.home)
    project.git("clone", "-q", "--bare", str(project.upstream.path), str(fork.path))
    return fork


def test_pr_to_a_local_fork(project, lerobot, fork):
    refused(project, "pr", "--fork", str(fork.path))  # nothing applied yet
    project.run("apply")
    before = lerobot.state()
    output = project.run("pr", "--fork", str(fork.path))
    assert fork.git("rev-parse", "rewact") == before["head"]
    assert f"Title: {ONE}" in output
    assert "ACT cannot say how far it is. Now it can." in output and "Drop-when" not in output
    assert "has these commits already" in project.run("pr", "--fork", str(fork.path))
    assert lerobot.state() == before and "commits of your own" not in output
    # more commits, and then others in their place: both are ours to push
    lerobot.write("src/lerobot/extra.py", "extra = 1\n")
    lerobot.commit("feat(extra): more\n\nMore." + TRAILERS)
    project.run("pr", "--fork", str(fork.path))
    lerobot.git("commit", "-q", "--amend", "-m", "feat(extra): other\n\nMore." + TRAILERS,
                env={f"GIT_COMMITTER_{k}": v for k, v in lerobot.who(9)})  # fmt: skip
    project.run("pr", "--fork", str(fork.path))
    assert fork.git("rev-parse", "rewact") == lerobot.git("rev-parse", "HEAD")


def test_pr_never_overwrites_commits_of_others(project, lerobot, fork, tmp_path):
    project.run("apply")
    project.run("pr", "--fork", str(fork.path))
    other = Checkout(tmp_path / "other", project.home)
    project.git("clone", "-q", "--branch", "rewact", str(fork.path), str(other.path))
    other.write("other.txt", "theirs\n")
    theirs = other.commit("theirs")
    other.git("push", "-q", "origin", "rewact")
    lerobot.write("src/lerobot/extra.py", "extra = 1\n")
    lerobot.commit("feat(extra): more\n\nMore." + TRAILERS)
    output = refused(project, "pr", "--fork", str(fork.path), FORCE="1")
    assert "were not pushed from here" in output and "--branch rewact-2" in output
    assert fork.git("rev-parse", "rewact") == theirs
    project.run("pr", "--fork", str(fork.path), "--branch", "rewact-2")
    assert fork.git("rev-parse", "rewact") == theirs
    assert "do not go onto main" in refused(project, "pr", "--fork", str(fork.path), "--branch", "main")


@pytest.mark.parametrize(
    "url",
    [
        "huggingface/lerobot",
        "https://GitHub.com/HuggingFace/LeRobot.git/",
        "git@github.com:huggingface/lerobot.git",
        "ssh://git@github.com:22//huggingface/lerobot",
        "hf:lerobot",
        "https://example.com/me/lerobot.git",
    ],
)
def test_pr_never_pushes_to_upstream(project, url):
    project.configure(
        ("url.https://github.com/huggingface/.insteadOf", "hf:"),
        ("url.git@github.com:huggingface/lerobot.git.pushInsteadOf", "https://example.com/me/lerobot.git"),
    )
    project.run("apply")
    assert "is LeRobot itself" in refused(project, "pr", "--fork", url)


def test_pr_says_when_commits_of_the_users_lie_below(project, fork):
    mine = project.clone("my lerobot")
    mine.git("checkout", "-q", "-b", "mine", "v0.6.1")
    mine.write("mine.txt", "mine")
    mine.commit("mine")
    project.run("apply", target=mine)
    output = project.run("pr", "--fork", str(fork.path), target=mine)
    assert "below the series lie 1 commit " in output and "checkout --detach v0.6.1" in output


@pytest.mark.parametrize("logged_in", [True, False])
def test_pr_on_github(project, fork, tmp_path, logged_in):
    """Without GitHub: its address leads to the local fork, and gh is a fake that notes how it was called."""
    project.configure((f"url.{fork.path}.insteadOf", "https://github.com/me/lerobot.git"))
    gh = tmp_path / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(
        f'#!/bin/sh\n[ "$1" = auth ] && exit {0 if logged_in else 1}\nprintf "%s\\n" "$@" >"{tmp_path}/gh.log"\n'
    )
    gh.chmod(0o755)
    project.run("apply")
    env = {"PATH": f"{gh.parent}{os.pathsep}{os.environ['PATH']}"}
    output = project.run("pr", "--fork", "me/lerobot", env=env)
    assert fork.git("rev-parse", "rewact") == project.lerobot.git("rev-parse", "rewact")
    if logged_in:
        called = (tmp_path / "gh.log").read_text().split("\n")
        assert called[:8] == [
            "pr",
            "create",
            "--repo",
            "huggingface/lerobot",
            "--base",
            "main",
            "--head",
            "me:rewact",
        ]
    else:
        assert "https://github.com/huggingface/lerobot/compare/main...me:rewact?expand=1" in output
        assert f"Title: {ONE}" in output
