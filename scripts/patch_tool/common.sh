# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# Messages, the temporary folder, and the two ways in which git is called. Sourced by apply_patches.sh.

say() { printf '%s\n' "$*"; }

# The first argument is what is wrong, the others are the way on.
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

# The command line to type next, for the target in hand, as the user called this one: $(next apply)
next() { printf '%s%s %s' "$(quoted "$0")" "${TARGET_GIVEN:+ --target $(quoted "$TARGET_GIVEN")}" "$1"; }

# The same for git in the target: $(in_target am --abort)
in_target() { printf 'git -C %s %s' "$(quoted "${TARGET_GIVEN:-$TARGET_DEFAULT}")" "$*"; }

TMP=
SWAP=
make_temporary_folder() {
  TMP=$(mktemp -d "${TMPDIR:-/tmp}/rewact.XXXXXX")
  trap 'rm -rf "$TMP" ${SWAP:+"$SWAP"}' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# git in the user's checkout. No hooks of theirs: a hook may commit, format or refuse.
tgit() { git -C "$TARGET" -c core.hooksPath=/dev/null -c advice.detachedHead=false -c color.ui=false "$@"; }

# Patches are applied, compared and written in a sandbox: an empty repository in the temporary folder that
# borrows the target's objects, and has no setting, hook or attribute of the user. So the result is the
# same for everybody, and the checkout is touched only once, when there is a finished result.
sgit() {
  GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 \
    GIT_COMMITTER_NAME="RewACT patches" GIT_COMMITTER_EMAIL="patches@rewact.invalid" \
    git -C "$TMP/sandbox" "$@"
}

open_sandbox() {
  [ ! -d "$TMP/sandbox" ] || return 0
  mkdir "$TMP/sandbox"
  sgit init --quiet --template= --object-format="$(tgit rev-parse --show-object-format)" .
  # maintenance would be of the target's objects, of which the sandbox knows no ref
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
  printf '%s\n' "$OBJECTS" >"$TMP/sandbox/.git/objects/info/alternates"
  [ ! -f "$SHALLOW" ] || cp "$SHALLOW" "$TMP/sandbox/.git/shallow"
}

# Puts the sandbox on COMMIT, with its index but without its files: `git am` fetches what it needs.
sandbox_at() {
  open_sandbox
  find "$TMP/sandbox" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
  sgit update-ref --no-deref HEAD "$1"
  sgit read-tree --reset "$1"
}

# `git am`, spelled out; the sandbox has no setting that could change the result.
sandbox_am() {
  sgit am --quiet --keep --keep-cr --no-scissors --no-gpg-sign --committer-date-is-author-date "$@"
}

# Copies the commits BASE..TIP from the sandbox into the target.
take_from_sandbox() {
  printf '%s\n^%s\n' "$2" "$1" | sgit pack-objects --quiet --revs --stdout | tgit unpack-objects -q
}

# One hash for what the commits BASE..TIP hold: their trees, authors, dates and messages, but neither
# committer nor parents. Equal for commits that export to the same patches.
fingerprint() {
  open_sandbox
  sgit log --reverse --date=raw --format='%T%n%an%n%ae%n%ad%n%B%x00' "$1..$2" | git hash-object --stdin
}
