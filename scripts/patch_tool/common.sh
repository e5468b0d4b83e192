# shellcheck shell=bash
# Messages, the temporary folder, and git in the user's checkout. Sourced by apply_patches.sh.
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
#   AGAIN          the command line, as one has to type it again
#   TMP            the temporary folder, removed at the end
# Everything else is passed as arguments and printed as results. `series` is --series, or nothing.

say() { printf '%s\n' "$*"; }

# The first argument says what is wrong, the others say how to go on.
die() {
  printf 'apply_patches.sh: %s\n' "$1" | without_passwords >&2
  shift
  [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/  /' | without_passwords >&2
  exit 1
}

# die_of_git WHAT [WAY-ON…]: a git command failed, and what it printed is in $TMP/error. Adds the way out of the
# failures that users meet: permissions, a full disk, large files, locks.
die_of_git() {
  local what=$1 way=''
  shift
  case $(cat "$TMP/error") in
    *ermission\ denied* | *nsufficient\ permission* | *"unable to unlink"*)
      way="These files belong to another user, perhaps root (Docker leaves such). To own them:  sudo chown -R \"\$(id -un)\" $(quoted "$TARGET_SHOWN")"
      ;;
    *"No space left"* | *"isk quota"* | *"File too large"*) way="The disk is full: make room, then run this again." ;;
    *"unable to write file"*) way="The disk is full, it seems: make room, then run this again." ;;
    *git-lfs* | *"filter-process"*) way="This needs git-lfs, which is not installed: https://git-lfs.com" ;;
    *".lock"*) way="Another git command is at work there, or one was killed. If none runs any more, delete that lock file." ;;
  esac
  die "$what" "$(git_error)" ${way:+"$way"} "$@"
}

# What git printed, without its advice: that is for somebody who typed the git command.
git_error() {
  sed -e '/^hint: /d' -e '/^Applying: /d' -e '/^When you have resolved/d' -e '/^If you prefer to skip/d' \
    -e '/^To restore the original/d' -e '/^Patch failed at/d' -e '/^Please commit your changes/d' -e '/^Aborting$/d' \
    -e '/^Use .git am --show-current-patch/d' "$TMP/error" | sed -n '1,12p;13s/.*/…/p'
}

indent() { sed 's/^/  /'; }

# Reads lines, and prints the first N and how many there are in all.
at_most() { awk -v most="$1" 'NR <= most { print } END { if (NR > most) print "… and " NR - most " more, " NR " in all" }'; }

# plural 2 patch patches
plural() { if [ "$1" = 1 ]; then printf '%s %s' "$1" "$2"; else printf '%s %s' "$1" "${3:-$2s}"; fi; }

# A word as one has to type it: quoted when it holds more than plain characters.
quoted() {
  case $1 in
    '' | *[!A-Za-z0-9_./:@%+=,-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
  esac
}

# Reads paths, one in a line, and prints them as words of one command line.
as_words() {
  local path words=
  while IFS= read -r path; do words="$words $(quoted "$path")"; done
  printf '%s' "${words# }"
}

# The command line to type next, for the same target: $(next apply)
next() { printf '%s%s %s' "$(quoted "$0")" "${TARGET_GIVEN:+ --target $(quoted "$TARGET_GIVEN")}" "$1"; }

# The whole command line, to be typed again: $(again) after FORCE=1. $TMP/again holds another one where the first half of
# the command is done already.
again() { if [ -f "$TMP/again" ]; then cat "$TMP/again"; else printf '%s' "$AGAIN"; fi; }

# The same for git in the target: $(in_target am --abort)
in_target() { printf 'git -C %s %s' "$(quoted "$TARGET_SHOWN")" "$*"; }

make_temporary_folder() {
  TMP=$(mktemp -d "${TMPDIR:-/tmp}/rewact.XXXXXX")
  TMP=$(cd "$TMP" && pwd)
  readonly TMP
  : >"$TMP/unfinished"
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# shellcheck disable=SC2317,SC2329 # called by the trap
clean_up() {
  local folder
  if [ -f "$TMP/switching" ]; then
    if put_back; then say "The checkout was stopped: $TARGET_SHOWN is as it was. $(saved_note)" >&2; fi
  fi
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

# git in the user's checkout, without the user's hooks: a hook may commit, format or refuse. Submodules are the
# user's own business: the series has none, and what is edited inside them is nowhere else.
tgit() {
  git -C "$TARGET" -c core.hooksPath=/dev/null -c submodule.recurse=false -c advice.detachedHead=false \
    -c color.ui=false "$@"
}

# The full path of a file in the target's git directory.
git_path() { tgit rev-parse --path-format=absolute --git-path "$1"; }
