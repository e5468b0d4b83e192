#!/usr/bin/env bash
# Commits RewACT's patch series to a LeRobot checkout, and writes such commits back as the series.
# `apply_patches.sh --help` lists the commands. The parts are in scripts/patch_tool/, one job each.
# Needs git 2.32 and bash 3.2 (macOS) or newer.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: apply_patches.sh [--target DIR] [--series NAME] COMMAND

  apply          commit the series to branch `rewact`, which starts at the checkout's HEAD
                 --3way: merge it onto files that differ from those it was made for
                 --3way --dry-run: say how each patch would go on, and touch nothing
                 --continue, --skip, --abort: go on after a conflict, leave that patch out, give up
  unapply        remove it: the checkout is exactly as it was before
  status         what is applied, what differs from the series, what to do next
  export         write the commits on `rewact` back as the series (--base COMMIT: those after COMMIT)
  check          lint the series, apply it to a pristine copy, export it, compare
  bump TAG       write a new series for another LeRobot release or commit
                 (--output DIR: write it to DIR, not to patches/)
  pr             push the commits to a fork and open the pull request
                 (--fork OWNER/NAME or URL, --branch rewact, --base main, --title TEXT)

  --target DIR   any LeRobot checkout (default: lerobot/, which `make setup` fills)
  --series NAME  a folder of patches/ (default: the one that was made for the checkout's files)

Your work is never overwritten: a command that would have to do so says what is in the way and how to go on.
FORCE=1 first saves that to a ref under refs/rewact/backup/ and prints its name, then goes on.

Start with:  apply_patches.sh status
USAGE
}

unset CDPATH
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BRANCH=rewact
UPSTREAM_REPO=huggingface/lerobot

# shellcheck source=scripts/patch_tool/environment.sh
. "$ROOT/scripts/patch_tool/environment.sh"
# shellcheck source=scripts/patch_tool/common.sh
. "$ROOT/scripts/patch_tool/common.sh"
# shellcheck source=scripts/patch_tool/sandbox.sh
. "$ROOT/scripts/patch_tool/sandbox.sh"
# shellcheck source=scripts/patch_tool/series.sh
. "$ROOT/scripts/patch_tool/series.sh"
# shellcheck source=scripts/patch_tool/target.sh
. "$ROOT/scripts/patch_tool/target.sh"
# shellcheck source=scripts/patch_tool/save.sh
. "$ROOT/scripts/patch_tool/save.sh"
# shellcheck source=scripts/patch_tool/in_the_way.sh
. "$ROOT/scripts/patch_tool/in_the_way.sh"
# shellcheck source=scripts/patch_tool/switch.sh
. "$ROOT/scripts/patch_tool/switch.sh"
# shellcheck source=scripts/patch_tool/merge.sh
. "$ROOT/scripts/patch_tool/merge.sh"
# shellcheck source=scripts/patch_tool/resolve.sh
. "$ROOT/scripts/patch_tool/resolve.sh"
# shellcheck source=scripts/patch_tool/branch.sh
. "$ROOT/scripts/patch_tool/branch.sh"
# shellcheck source=scripts/patch_tool/apply.sh
. "$ROOT/scripts/patch_tool/apply.sh"
# shellcheck source=scripts/patch_tool/status.sh
. "$ROOT/scripts/patch_tool/status.sh"
# shellcheck source=scripts/patch_tool/export.sh
. "$ROOT/scripts/patch_tool/export.sh"
# shellcheck source=scripts/patch_tool/bump.sh
. "$ROOT/scripts/patch_tool/bump.sh"
# shellcheck source=scripts/patch_tool/pr.sh
. "$ROOT/scripts/patch_tool/pr.sh"

clean_git_environment
export LC_ALL=C GIT_PAGER=cat GIT_EDITOR=: GIT_MERGE_AUTOEDIT=no

AGAIN=$(quoted "$0")
for option in "$@"; do AGAIN="$AGAIN $(quoted "$option")"; done
TARGET_GIVEN=
COMMAND=
FORCE=${FORCE:-}
series='' three_way='' dry_run='' go_on='' base='' output='' fork='' branch='' title='' version=''

while [ $# -gt 0 ]; do
  case $1 in
    --*=*)
      option=$1
      shift
      set -- "${option%%=*}" "${option#*=}" "$@"
      ;;
    --target | --series | --base | --output | --fork | --branch | --title)
      [ $# -ge 2 ] || die "$1 needs a value." "See:  apply_patches.sh --help"
      # git would take such a value for an option
      case $2 in -*) [ "$1" = --title ] || die "$1 $2: the value cannot start with a dash (for a folder write ./$2)." ;; esac
      case $1 in
        --target) TARGET_GIVEN=$2 ;;
        --series) series=${2%/} series=${series##*/} ;;
        --base) base=$2 ;;
        --output)
          [ -n "$2" ] || die "--output needs a folder." "See:  apply_patches.sh --help"
          output=$2
          ;;
        --fork) fork=$2 ;;
        --branch) branch=$2 ;;
        --title) title=$2 ;;
      esac
      shift 2
      ;;
    --3way)
      three_way=1
      shift
      ;;
    --dry-run)
      dry_run=1
      shift
      ;;
    --continue | --skip | --abort)
      go_on=${1#--}
      shift
      ;;
    -h | --help | help)
      usage
      exit 0
      ;;
    -*) die "unknown option $1." "See:  apply_patches.sh --help" ;;
    *)
      if [ -z "$COMMAND" ]; then
        COMMAND=$1
      elif [ -z "$version" ] && [ "$COMMAND" = bump ]; then
        version=$1
      else
        die "unexpected argument $1." "See:  apply_patches.sh --help"
      fi
      shift
      ;;
  esac
done

case $COMMAND in
  "")
    usage
    exit 2
    ;;
  apply | unapply | status | export | check | bump | pr | series-tests | series-files) ;;
  *) die "unknown command $COMMAND." "See:  apply_patches.sh --help" ;;
esac
[ -z "$output" ] || [ "$COMMAND" = bump ] || die "--output goes with bump only." "See:  apply_patches.sh --help"

[ -z "$three_way$go_on" ] || [ "$COMMAND" = apply ] || die "--${go_on:-3way} goes with apply only." "See:  apply_patches.sh --help"
[ -z "$dry_run" ] || [ -n "$three_way" ] || die "--dry-run goes with apply --3way only." "See:  apply_patches.sh --help"

make_temporary_folder
TARGET_SHOWN=${TARGET_GIVEN:-$ROOT/lerobot}
if [ -z "$TARGET_GIVEN" ] && [ "$PWD" = "$ROOT" ]; then TARGET_SHOWN=lerobot; fi
[ -d "$TARGET_SHOWN" ] || die "$TARGET_SHOWN does not exist." "$(how_to_fill)"
TARGET=$(cd -- "$TARGET_SHOWN" && pwd)
readonly ROOT BRANCH UPSTREAM_REPO TARGET TARGET_GIVEN TARGET_SHOWN COMMAND FORCE AGAIN
case $TARGET in *"
"*) die "the path of the checkout has a line break in it." "Give it another name." ;; esac
check_target
case $COMMAND in apply | unapply | export) refuse_a_second_one ;; esac
case $COMMAND in
  export) ;; # may write a new series
  check) [ -z "$series" ] || require_series "$series" ;;
  *) [ -z "$series" ] || require_patches "$series" ;;
esac

case $COMMAND in
  apply)
    if [ -n "$go_on" ]; then
      cmd_go_on "$go_on"
    else
      cmd_apply "$series" "$three_way" "$dry_run"
    fi
    ;;
  unapply) cmd_unapply "$series" ;;
  status) cmd_status "$series" ;;
  export) cmd_export "$series" "$base" ;;
  check) cmd_check "$series" ;;
  bump) cmd_bump "$series" "$version" "$output" ;;
  pr) cmd_pr "$series" "$fork" "${branch:-$BRANCH}" "${base:-main}" "$title" ;;
  series-tests) cmd_series_files "$series" A tests ;; # for `make test`
  series-files) cmd_series_files "$series" d . ;;     # for `make lint`
esac
