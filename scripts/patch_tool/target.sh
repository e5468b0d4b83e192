# shellcheck shell=bash
# The checkout: is it one, what state is it in, and what forbids to work on it. Sourced by apply_patches.sh.
#
# What the tool keeps in a checkout, beside the branch `rewact`:
#   refs/rewact/base      the commit that the series was applied to
#   refs/rewact/tip       the last state of the branch that apply made or export wrote to a series folder
#   refs/rewact/conflict  the patch that waits to be resolved; see resolve.sh
#   refs/rewact/last      what the branch was before it was removed or replaced
#   refs/rewact/backup/*  what FORCE=1 saved
#   config rewact.from    where unapply returns to: a branch (refs/heads/…) or a commit
#   config rewact.series, rewact.hash   the series, and its hash, that apply or export used last
#   config rewact.folder   the series folder that apply or export used last, a git tree: is it still there, or in this
#                            repository's history?
#   files rewact-pending, rewact-merge, rewact-running of the git directory: a move, a merge, a command under way

# Refuses a target that is no LeRobot checkout of its own.
check_target() {
  local prefix inside
  if ! git -C "$TARGET" rev-parse --show-prefix --is-inside-work-tree >"$TMP/where" 2>"$TMP/error"; then
    if grep -q 'dubious ownership' "$TMP/error"; then
      die "git does not trust $TARGET_SHOWN, since another user owns it:" "$(grep -m 1 'safe.directory' "$TMP/error")"
    elif [ -f "$TARGET/.git" ]; then
      die "$TARGET_SHOWN is a worktree or submodule whose repository is gone or has moved:" "$(git_error)" \
        "If you moved it, run in the repository:  git worktree repair $(quoted "$TARGET")"
    fi
    die "$TARGET_SHOWN is no git checkout." "$(how_to_fill)"
  fi
  {
    read -r prefix
    read -r inside
  } <"$TMP/where"
  [ "$inside" = true ] || die "$TARGET_SHOWN is a repository without files: apply needs a checkout of it." \
    "git clone $(quoted "$TARGET") my-lerobot"
  # In a folder of another repository, as an empty submodule is, git would act on that one.
  [ -z "$prefix" ] || die "$TARGET_SHOWN is no repository of its own, but a folder of $(git -C "$TARGET" rev-parse --show-toplevel)." "$(how_to_fill)"
  if ! tgit rev-parse -q --verify HEAD:src/lerobot >/dev/null; then
    tgit rev-parse -q --verify 'HEAD^{commit}' >/dev/null || die "$TARGET_SHOWN has no commit yet." "$(how_to_fill)"
    die "$TARGET_SHOWN is no LeRobot checkout: it has no src/lerobot." "$(how_to_fill)"
  fi
}

how_to_fill() {
  if [ -z "$TARGET_GIVEN" ]; then
    printf 'Fill it with:  make setup'
  else
    printf 'Give a LeRobot checkout, for example:  git clone https://github.com/%s.git' "$UPSTREAM_REPO"
  fi
}

head_commit() { tgit rev-parse HEAD; }
head_branch() { tgit symbolic-ref -q HEAD || true; } # empty when HEAD is detached
branch_tip() { tgit rev-parse -q --verify "refs/heads/$BRANCH^{commit}" || true; }
on_branch() { [ "$(head_branch)" = "refs/heads/$BRANCH" ]; }
ref() { tgit rev-parse -q --verify "refs/rewact/$1^{commit}" || true; }
set_ref() { tgit update-ref -m "rewact: $COMMAND" "refs/rewact/$1" "$2" 2>"$TMP/error" || die_of_git "$TARGET could not be written:"; }
drop_ref() { [ -z "$(ref "$1")" ] || tgit update-ref -d "refs/rewact/$1"; }
short() { tgit rev-parse --short "$1"; }
# Submodules count as unchanged: the series has none, and no command touches the files in them.
changed_files() { tgit status --porcelain --untracked-files=no --ignore-submodules=all; }

# in_words COMMIT: the commit as people know it: 7e241bd63 (v0.6.1)
in_words() { printf '%s%s' "$(short "$1")" "$(tgit describe --tags "$1" 2>/dev/null | sed 's/.*/ (&)/')"; }

# ---------------------------------------------------------------- reasons to refuse

# Which git command is unfinished in the target: am, rebase, merge, cherry-pick, revert, bisect.
in_progress() {
  local dir
  dir=$(git_path .)
  if [ -f "$dir/rebase-apply/applying" ]; then
    echo am
  elif [ -d "$dir/rebase-apply" ] || [ -d "$dir/rebase-merge" ]; then
    echo rebase
  elif [ -f "$dir/MERGE_HEAD" ]; then
    echo merge
  elif [ -f "$dir/CHERRY_PICK_HEAD" ]; then
    echo cherry-pick
  elif [ -f "$dir/REVERT_HEAD" ]; then
    echo revert
  elif [ -d "$dir/sequencer" ]; then
    echo cherry-pick # of several commits, between two of them
  elif [ -f "$dir/BISECT_LOG" ]; then
    echo bisect
  fi
}

# refuse_in_progress [ours]: "ours" lets a merge of ours through, which --continue and the like are for.
refuse_in_progress() {
  local what name
  what=$(in_progress)
  case $what in
    "") ;;
    bisect) die "a bisect is under way in $TARGET. End it first:" "$(in_target bisect reset)" ;;
    *) die "$(article "$what") is under way in $TARGET. Finish or abort it, then run this again:" \
      "$(in_target "$what" --continue)" "$(in_target "$what" --abort)" ;;
  esac
  refuse_locks
  if [ "${1:-}" = ours ]; then return 0; fi
  name=$(merge_under_way)
  if [ -n "$name" ]; then
    put_back_what_was_cut_off
    explain_merge "$name"
  fi
}

article() { case $1 in am) printf 'an am' ;; *) printf 'a %s' "$1" ;; esac; }

# A lock that a killed git left would stop ours half-way.
refuse_locks() {
  local own common lock
  {
    read -r own
    read -r common
  } <<DIRS
$(tgit rev-parse --path-format=absolute --git-dir --git-common-dir)
DIRS
  for lock in "$own/index.lock" "$own/HEAD.lock" "$common/refs/heads/$BRANCH.lock" "$common/packed-refs.lock" \
    "$common/config.lock"; do
    [ ! -e "$lock" ] || die "another git command is at work in $TARGET, or one was killed there. If none runs any more:" "rm $(quoted "$lock")"
  done
  for lock in "$common"/refs/rewact/*.lock; do
    [ ! -e "$lock" ] || die "another git command is at work in $TARGET, or one was killed there. If none runs any more:" "rm $(quoted "$lock")"
  done
}

# Two commands at once would undo each other's moves.
refuse_a_second_one() {
  local file other
  file=$(tgit rev-parse --path-format=absolute --git-common-dir)/rewact-running
  while ! (set -C && echo $$ >"$file") 2>/dev/null; do
    other=$(cat "$file" 2>/dev/null || true)
    [ -w "$(dirname "$file")" ] || return 0 # what needs to be written will say so
    case $other in *[!0-9]*) other='' ;; esac
    # not just any process that has got its number since
    if [ -n "$other" ] && [ "$other" != $$ ] && ps -p "$other" -o args= 2>/dev/null | grep -q apply_patches; then
      die "another $0 is at work in $TARGET (process $other): wait until it has ended."
    fi
    rm -f "$file" 2>/dev/null || die "$file is in the way: remove it." # left by one that was killed
  done
  say "$file" >>"$TMP/unfinished"
}

# All worktrees of a repository share the branch, and making it anew would take it away from another one.
refuse_other_worktree() {
  local other
  if on_branch; then return 0; fi
  other=$(worktree_of "refs/heads/$BRANCH")
  [ -n "$other" ] || return 0
  [ -d "$other" ] || die "branch $BRANCH is checked out in the worktree $other, which is gone. Let git forget it:" "$(in_target worktree prune)"
  die "branch $BRANCH is checked out in another worktree of this repository, $other." \
    "Work there:  $(quoted "$0") --target $(quoted "$other") $COMMAND"
}

# worktree_of REF: the worktree in which a branch is checked out.
worktree_of() {
  tgit worktree list --porcelain | awk -v ref="$1" '
    /^worktree / { path = substr($0, 10) } $1 == "branch" && $2 == ref { print path }'
}

# git keeps a branch as a file: rewact/x needs a folder where rewact would be. And a symbolic ref would lead us to another
# branch.
refuse_branch_below() {
  local other
  other=$(tgit symbolic-ref -q "refs/heads/$BRANCH" || true)
  [ -z "$other" ] || die "branch $BRANCH is only another name for ${other#refs/heads/}. Remove that name:" "$(in_target symbolic-ref -d "refs/heads/$BRANCH")"
  other=$(tgit for-each-ref --count=1 --format='%(refname)' "refs/heads/$BRANCH/")
  other=${other#refs/heads/}
  [ -z "$other" ] || die "branch $other is in the way: git cannot have a branch $BRANCH beside it. Give it another name:" \
    "$(in_target branch -m "$other" "$(printf '%s' "$other" | tr / -)")"
}
