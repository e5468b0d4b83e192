# shellcheck shell=bash
# Messages, the temporary folder, and the two ways in which git is called. Sourced by apply_patches.sh.
#
# What apply_patches.sh sets once, and every part may read:
#   ROOT           this repository
#   BRANCH         the branch of the checkout on which the series is: rewact
#   UPSTREAM_REPO  LeRobot on GitHub
#   COMMAND        the command that runs
#   FORCE          not empty: save what is in the way, then go on
#   TARGET         the LeRobot checkout, as a full path
#   TARGET_GIVEN   --target as it was typed, or nothing
#   TARGET_SHOWN   the checkout as messages name it
#   TMP            the temporary folder, removed at the end
# Everything else is passed as arguments and printed as results. `series` is --series, or nothing.

say() { printf '%s\n' "$*"; }

# The first argument says what is wrong, the others say how to go on.
die() {
  printf 'apply_patches.sh: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/  /' >&2
  exit 1
}

indent() { sed 's/^/  /'; }

# A word as one has to type it: quoted when it holds more than plain characters.
quoted() {
  case $1 in
    *[!A-Za-z0-9_./:@%+=,-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
  esac
}

# The command line to type next, for the same target: $(next apply)
next() { printf '%s%s %s' "$(quoted "$0")" "${TARGET_GIVEN:+ --target $(quoted "$TARGET_GIVEN")}" "$1"; }

# The same for git in the target: $(in_target am --abort)
in_target() { printf 'git -C %s %s' "$(quoted "$TARGET_SHOWN")" "$*"; }

make_temporary_folder() {
  TMP=$(mktemp -d "${TMPDIR:-/tmp}/rewact.XXXXXX")
  readonly TMP
  : >"$TMP/unfinished"
  trap remove_temporary_folders EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# shellcheck disable=SC2317,SC2329 # called by the trap
remove_temporary_folders() {
  local folder
  while IFS= read -r folder; do rm -rf "$folder"; done <"$TMP/unfinished"
  rm -rf "$TMP"
}

# Prints a new folder in PARENT, where a result is made before it is moved to its place. It is removed at the
# end if it is still there.
unfinished_folder() {
  local folder
  folder=$(mktemp -d "$1/.new.XXXXXX") || die "nothing can be written in $1."
  say "$folder" >>"$TMP/unfinished"
  say "$folder"
}

# git in the user's checkout, without the user's hooks: a hook may commit, format or refuse.
tgit() { git -C "$TARGET" -c core.hooksPath=/dev/null -c advice.detachedHead=false -c color.ui=false "$@"; }

# The full path of a file in the target's git directory.
git_path() { tgit rev-parse --path-format=absolute --git-path "$1"; }

# Patches are applied, compared and written in a sandbox: an empty repository in the temporary folder that
# borrows the target's objects, and has no setting, hook or attribute of the user. So the result is the
# same for everybody, and the checkout is touched only once, when there is a finished result.
sgit() {
  GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 \
    GIT_COMMITTER_NAME="RewACT patches" GIT_COMMITTER_EMAIL="patches@rewact.invalid" \
    git -C "$TMP/sandbox" "$@"
}

open_sandbox() {
  local shallow
  [ ! -d "$TMP/sandbox" ] || return 0
  mkdir "$TMP/sandbox"
  sgit init --quiet --template= --object-format="$(tgit rev-parse --show-object-format)" .
  # maintenance would work on the target's objects, of which the sandbox knows no ref
  cat >>"$TMP/sandbox/.git/config" <<'CONFIG'
[core]
	autocrlf = false
	attributesFile = /dev/null
	excludesFile = /dev/null
[gc]
	auto = 0
[maintenance]
	auto = false
[advice]
	mergeConflict = false
CONFIG
  mkdir -p "$TMP/sandbox/.git/objects/info"
  git_path objects >"$TMP/sandbox/.git/objects/info/alternates"
  shallow=$(git_path shallow)
  [ ! -f "$shallow" ] || cp "$shallow" "$TMP/sandbox/.git/shallow"
}

# Puts the sandbox on COMMIT, with its index but without its files: `git am` fetches what it needs.
sandbox_at() {
  open_sandbox
  find "$TMP/sandbox" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
  sgit update-ref --no-deref HEAD "$1"
  sgit read-tree --reset "$1"
}

# `git am` with every option spelled out; the sandbox has no setting that could change the result.
sandbox_am() {
  sgit am --quiet --keep --keep-cr --no-scissors --no-gpg-sign --committer-date-is-author-date "$@"
}

# Copies the commits BASE..TIP from the sandbox into the target.
take_from_sandbox() {
  printf '%s\n^%s\n' "$2" "$1" | sgit pack-objects --quiet --revs --stdout | tgit unpack-objects -q
}

# One hash for the content of the commits BASE..TIP: their trees, authors, dates and messages, but neither
# committer nor parents. Equal for commits that export to the same patches.
fingerprint() {
  open_sandbox
  sgit log --reverse --date=raw --format='%T%n%an%n%ae%n%ad%n%B%x00' "$1..$2" | git hash-object --stdin
}
