# shellcheck shell=bash
# The checkout: is it one, what state is it in, what would be lost, and how that is saved first.
# Sourced by apply_patches.sh.
#
# What the tool keeps in a checkout, beside the branch `rewact`:
#   refs/rewact/base      the commit that the series was applied to
#   refs/rewact/tip       the last state of the branch that is in a series folder: only commits after it can be lost
#   refs/rewact/pending   where a running checkout goes; left behind only when it was interrupted
#   refs/rewact/last      what the branch was before it was removed or replaced
#   refs/rewact/backup/*  what FORCE=1 saved
#   config rewact.from    where unapply returns to: a branch (refs/heads/…) or a commit
#   config rewact.series, rewact.hash   the series, and its hash, that apply or export used last

# Refuses a target that is no LeRobot checkout of its own.
check_target() {
  local prefix inside
  if ! git -C "$TARGET" rev-parse --show-prefix --is-inside-work-tree >"$TMP/where" 2>"$TMP/error"; then
    if grep -q 'dubious ownership' "$TMP/error"; then
      die "git does not trust $TARGET_SHOWN, since another user owns it:" "$(grep -m 1 'safe.directory' "$TMP/error")"
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
set_ref() { tgit update-ref -m "rewact: $COMMAND" "refs/rewact/$1" "$2"; }
drop_ref() { tgit update-ref -d "refs/rewact/$1"; }
short() { tgit rev-parse --short "$1"; }

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
  elif [ -f "$dir/BISECT_LOG" ]; then
    echo bisect
  fi
}

refuse_in_progress() {
  local what lock
  what=$(in_progress)
  case $what in
    "") ;;
    bisect) die "a bisect is under way in $TARGET. End it first:" "$(in_target bisect reset)" ;;
    am) explain_am ;;
    *) die "a $what is under way in $TARGET. Finish or abort it, then run this again:" \
      "$(in_target "$what" --continue)" "$(in_target "$what" --abort)" ;;
  esac
  lock=$(git_path index.lock)
  [ ! -f "$lock" ] || die "another git command is at work in $TARGET, or one was killed there. If none runs any more:" "rm $(quoted "$lock")"
}

# A stopped `git am`: which patch, which files and lines, and the three ways to go on.
explain_am() {
  local dir file
  dir=$(git_path rebase-apply)
  {
    say "apply_patches.sh: an \`am\` is under way in $TARGET, at patch $(cat "$dir/next" 2>/dev/null) of $(cat "$dir/last" 2>/dev/null):"
    sed -n 's/^Subject: //p' "$dir/info" 2>/dev/null | sed 's/^/    /'
    tgit diff --name-only --diff-filter=U | while IFS= read -r file; do
      grep -n '^<<<<<<<' "$TARGET/$file" 2>/dev/null | sed "s|^\([0-9]*\):.*|    $file:\1: conflict|" || say "    $file: conflict"
    done
    say "  To resolve it:  edit these files, then  $(in_target add FILE…)  and  $(in_target am --continue)"
    if on_branch && [ -n "$(ref base)" ]; then
      say "  To abort it:    $(in_target am --abort)  and  $(next unapply)"
      say "  When it is finished, keep the result as a series of its own:  $(next "export --series $(name_of "$(ref base)")")"
    else
      say "  To abort it:    $(in_target am --abort)"
    fi
  } >&2
  exit 1
}

# All worktrees of a repository share the branch, and `checkout -B` would take it away from another one.
refuse_other_worktree() {
  local other
  if on_branch; then return 0; fi
  other=$(tgit worktree list --porcelain | awk -v ref="refs/heads/$BRANCH" '
    /^worktree / { path = substr($0, 10) } $1 == "branch" && $2 == ref { print path }')
  [ -z "$other" ] || die "branch $BRANCH is checked out in another worktree of this repository, $other." \
    "Work there:  $(quoted "$0") --target $(quoted "$other") $COMMAND"
}

changed_files() { tgit status --porcelain --untracked-files=no; }

# in_the_way TIP: untracked files that a checkout of TIP would have to overwrite.
in_the_way() {
  local path
  tgit diff-tree -r --name-only --no-renames --diff-filter=A HEAD "$1" | while IFS= read -r path; do
    if [ -e "$TARGET/$path" ] || [ -L "$TARGET/$path" ]; then
      # staged as new already: then it counts among the changed files
      [ -n "$(tgit ls-files -- "$path")" ] || say "$path"
    fi
  done
}

# Files whose changes `git status` was told to hide; a checkout may overwrite them without a message.
hidden_files() {
  tgit diff-tree -r --name-only --no-renames HEAD "$1" | tr '\n' '\0' | xargs -0 git -C "$TARGET" ls-files -v -- | sed -n 's/^[a-zS] //p'
}

# Refuses to move the checkout to COMMIT while something of the user's is in the way; with FORCE=1 saves
# it first. Other untracked files are not in the way, and stay where they are.
make_way_for() {
  local commit=$1 changed blocked hidden
  hidden=$(hidden_files "$commit")
  [ -z "$hidden" ] || die "these files are marked assume-unchanged or skip-worktree, so that git would not see your changes:" \
    "$hidden" "Lift the marks:  $(in_target update-index --no-assume-unchanged --no-skip-worktree FILE…)"
  changed=$(changed_files)
  blocked=$(in_the_way "$commit")
  if [ -z "$changed$blocked" ]; then return 0; fi
  if [ -n "$FORCE" ]; then
    save_work "$blocked"
    return 0
  fi
  {
    if interrupted; then
      say "apply_patches.sh: a checkout was interrupted in $TARGET. Nothing of yours is among the files that differ:"
    else
      say "apply_patches.sh: $TARGET holds work that would be in the way:"
    fi
    [ -z "$changed" ] || say "$changed" | sed -n '1,20p;21s/.*/…/p' | sed 's/^/    /'
    [ -z "$blocked" ] || say "$blocked" | sed -n '1,20p;21s/.*/…/p' | sed 's/$/  (untracked; the series adds a file of this name)/; s/^/    /'
    if interrupted; then
      say "  To finish it:  FORCE=1 $(next "$COMMAND")"
    else
      [ -z "$changed" ] || say "  Commit it, or put it away:  $(in_target stash push)"
      [ -z "$blocked" ] || say "  Move these files to another place."
      say "  Or let it be saved to a backup ref first:  FORCE=1 $(next "$COMMAND")"
    fi
  } >&2
  exit 1
}

# Is all that differs from HEAD what an interrupted checkout of ours was about to write?
interrupted() {
  local goal path
  goal=$(ref pending)
  [ -n "$goal" ] || return 1
  { changed_files | cut -c 4- && in_the_way "$goal"; } | while IFS= read -r path; do
    [ ! -e "$TARGET/$path" ] ||
      [ "$(tgit hash-object --path "$path" "$TARGET/$path")" = "$(tgit rev-parse -q --verify "$goal:$path")" ] || exit 1
  done
}

# ---------------------------------------------------------------- FORCE=1: save first

backup_name() {
  local stamp n=
  stamp=$(date +%Y%m%d-%H%M%S)
  while [ -n "$(ref "backup/$stamp${n:+-$n}")" ]; do n=$((${n:-1} + 1)); done
  printf 'backup/%s' "$stamp${n:+-$n}"
}

# Makes a commit without touching HEAD, for users without a user.name too.
plain_commit() {
  if ! tgit var GIT_COMMITTER_IDENT >/dev/null 2>&1 || ! tgit var GIT_AUTHOR_IDENT >/dev/null 2>&1; then
    export GIT_AUTHOR_NAME=rewact GIT_AUTHOR_EMAIL=rewact@localhost GIT_COMMITTER_NAME=rewact GIT_COMMITTER_EMAIL=rewact@localhost
  fi
  tgit commit-tree --no-gpg-sign "$@"
}

# Saves changed files, what is staged, and the untracked files named, in the form of a stash, so that
# `git stash apply` brings them back; then puts the tracked files back to HEAD.
save_work() {
  local blocked=$1 head index staged work others name
  head=$(head_commit)
  name=$(backup_name)
  index=$(tgit rev-parse --path-format=absolute --git-path index)
  # in the middle of a conflict the index cannot be written as a tree
  staged=$(tgit write-tree 2>/dev/null || tgit rev-parse 'HEAD^{tree}')
  staged=$(plain_commit -p "$head" -m "rewact: what was staged" "$staged")
  cp "$index" "$TMP/index"
  GIT_INDEX_FILE=$TMP/index tgit -c core.safecrlf=false add --update .
  work=$(GIT_INDEX_FILE=$TMP/index tgit write-tree)
  set -- -p "$head" -p "$staged"
  if [ -n "$blocked" ]; then
    printf '%s\n' "$blocked" | tr '\n' '\0' |
      GIT_INDEX_FILE=$TMP/others tgit -c core.safecrlf=false add --force --pathspec-from-file=- --pathspec-file-nul
    others=$(GIT_INDEX_FILE=$TMP/others tgit write-tree)
    set -- "$@" -p "$(plain_commit -m "rewact: files that were not in git" "$others")"
  fi
  set_ref "$name" "$(plain_commit "$@" -m "rewact: saved before $COMMAND" "$work")"
  say "Your work is saved at refs/rewact/$name. To bring it back:  $(in_target stash apply "refs/rewact/$name")"
  tgit reset --quiet --hard HEAD
  if [ -n "$blocked" ]; then
    printf '%s\n' "$blocked" | while IFS= read -r path; do rm -f "$TARGET/$path"; done
  fi
}

save_branch() {
  local name
  name=$(backup_name)
  set_ref "$name" "$1"
  say "The commits on $BRANCH are saved at refs/rewact/$name. To look at them:  $(in_target log "refs/rewact/$name")"
}

# ---------------------------------------------------------------- moving the checkout

# switch_to COMMIT [BRANCH-NAME-TO-CREATE-OR-MOVE | refs/heads/NAME]: the only place where files change.
switch_to() {
  local commit=$1 name=${2:-}
  set_ref pending "$commit"
  case $name in
    "") set -- --detach "$commit" ;;
    refs/heads/*) set -- "${name#refs/heads/}" -- ;;
    *) set -- -B "$name" "$commit" ;;
  esac
  if ! tgit checkout --quiet --no-overwrite-ignore "$@" 2>"$TMP/error"; then
    drop_ref pending
    die "git would not move $TARGET to $(short "$commit"), and left it as it was:" "$(cat "$TMP/error")"
  fi
  drop_ref pending
}
