#!/usr/bin/env bash
# Puts RewACT's patch series on a LeRobot checkout as ordinary commits, and makes commits the series again.
# `apply_patches.sh --help` lists the commands. The parts lie in scripts/patch_tool/, one job each.
# shellcheck disable=SC2034 # the parts read these
# For git 2.32 and bash 3.2 (macOS) upward.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: apply_patches.sh [--target DIR] [--series NAME] COMMAND

  apply          put the series on branch `rewact`, made from the checkout's HEAD
                 (--3way: merge it onto files that differ from those it was made for)
  unapply        take it off: the checkout is exactly as it was before
  status         what is applied, what differs from the series, what to do next
  export         make the commits on `rewact` the series again (--base COMMIT: those after COMMIT)
  check          lint the series, apply it to a pristine copy, export it, compare
  bump TAG       write a new series for another LeRobot release or commit
  pr             push the commits to a fork and open the pull request
                 (--fork OWNER/NAME or URL, --branch rewact, --base main, --title TEXT)

  --target DIR   any LeRobot checkout; without it lerobot/, which `make setup` fills
  --series NAME  a folder of patches/; without it the one that was made for the checkout's files

Nothing of yours is overwritten: a command that would have to says what is in the way and how to go on.
FORCE=1 saves that to a ref under refs/rewact/backup/ first, prints its name, and goes on.

Start with:  apply_patches.sh status
USAGE
}

unset CDPATH
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BRANCH=rewact
UPSTREAM_REPO=huggingface/lerobot

export LC_ALL=C GIT_PAGER=cat GIT_EDITOR=: GIT_MERGE_AUTOEDIT=no
# Called from a git hook, these would send every git command here to the hook's repository.
# shellcheck disable=SC2046
unset $(git rev-parse --local-env-vars)

for part in common series target apply export bump pr; do
  # shellcheck source=/dev/null
  . "$ROOT/scripts/patch_tool/$part.sh"
done

TARGET=$ROOT/lerobot
TARGET_DEFAULT=$TARGET # as the messages show it
[ "$PWD" != "$ROOT" ] || TARGET_DEFAULT=lerobot
TARGET_GIVEN=
SERIES_WISH=
THREE_WAY=
BASE_WISH=
FORK=
FORK_BRANCH=
TITLE=
FORCE=${FORCE:-}
command=
argument=

while [ $# -gt 0 ]; do
  case $1 in
    --*=*)
      option=$1
      shift
      set -- "${option%%=*}" "${option#*=}" "$@"
      ;;
    --target | --series | --base | --fork | --branch | --title)
      [ $# -ge 2 ] || die "$1 needs a value." "See:  apply_patches.sh --help"
      case $1 in
        --target) TARGET=$2 TARGET_GIVEN=$2 ;;
        --series) SERIES_WISH=${2%/} SERIES_WISH=${SERIES_WISH##*/} ;;
        --base) BASE_WISH=$2 ;;
        --fork) FORK=$2 ;;
        --branch) FORK_BRANCH=$2 ;;
        --title) TITLE=$2 ;;
      esac
      shift 2
      ;;
    --3way)
      THREE_WAY=1
      shift
      ;;
    -h | --help | help)
      usage
      exit 0
      ;;
    -*) die "unknown option $1." "See:  apply_patches.sh --help" ;;
    *)
      if [ -z "$command" ]; then
        command=$1
      elif [ -z "$argument" ] && [ "$command" = bump ]; then
        argument=$1
      else
        die "unexpected argument $1." "See:  apply_patches.sh --help"
      fi
      shift
      ;;
  esac
done

case $command in
  "")
    usage
    exit 2
    ;;
  apply | unapply | status | export | check | bump | pr | series-tests | series-files) ;;
  *) die "unknown command $command." "See:  apply_patches.sh --help" ;;
esac

make_temporary_folder
open_target
case $command in
  apply) cmd_apply ;;
  unapply) cmd_unapply ;;
  status) cmd_status ;;
  export) cmd_export ;;
  check) cmd_check ;;
  bump) cmd_bump "$argument" ;;
  pr) cmd_pr ;;
  series-tests) cmd_series_files A tests ;; # for `make test`
  series-files) cmd_series_files d . ;;     # for `make lint`
esac
