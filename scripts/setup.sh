#!/usr/bin/env bash
# Fills lerobot/ with the pinned LeRobot and creates .venv with everything that RewACT needs.
#
#   make setup                           from the submodule's URL, or from PyPI if no git host answers
#   make setup LEROBOT_URL=~/my-lerobot  from any git URL or local path that holds the pinned commit
#   scripts/setup.sh --source-only       fill lerobot/ and stop
#   REWACT_QUIET=1 scripts/setup.sh      says nothing where nothing is missing
#
# Safe to run at any time: it keeps what is there, finishes what an interrupted run left, and changes nothing
# if nothing is missing. It never resets a lerobot/ that is filled.
set -euo pipefail

LEROBOT_URL=${LEROBOT_URL:-}
# a path relative to the caller's directory: make it absolute before changing to ours
if [ -n "$LEROBOT_URL" ] && [ -d "$LEROBOT_URL" ]; then
  LEROBOT_URL=$(cd "$LEROBOT_URL" && pwd)
fi
unset CDPATH
cd "$(dirname "$0")/.."
root=$(pwd)

# shellcheck source=scripts/patch_tool/environment.sh
. scripts/patch_tool/environment.sh
# shellcheck source=scripts/patch_tool/lock.sh
. scripts/patch_tool/lock.sh
clean_git_environment
# shellcheck disable=SC2088 # a tilde that the shell left as it is: make setup LEROBOT_URL=~/lerobot
case $LEROBOT_URL in '~/'*) LEROBOT_URL=$HOME/${LEROBOT_URL#'~/'} ;; esac
export GIT_LFS_SKIP_SMUDGE=1 # the large files are test artifacts, which we do not need
unset PYTHONPATH PYTHONHOME  # a sourced ROS puts another Python's packages there

EXTRAS=training,test,metaworld,diffusion,peft,async
SIMULATED_ROBOT=scripts/simulation/lerobot_robot_so101_sim # LeRobot finds it as --robot.type=so101_sim
PYTHON_VERSION=3.12
UV_MINIMUM=0.5.0 # the first version with all the flags used here
PROBE_SECONDS=${PROBE_SECONDS:-15}
python=.venv/bin/python

# Before another target, the user need not be told that nothing is missing.
if_asked() { [ -n "${REWACT_QUIET:-}" ] || say "$@"; }
say() { printf 'setup: %s\n' "$*" | without_passwords; }
die() {
  printf 'setup: %s\n' "$1" | without_passwords >&2
  shift
  [ $# -eq 0 ] || printf '       %s\n' "$@" | without_passwords >&2
  exit 1
}

# ---------------------------------------------------------------- one run at a time, with a clean-up at its end

tmp=
probe=
cleanup() {
  [ -z "$probe" ] || kill -TERM -- "-$probe" 2>/dev/null || true
  [ -z "$tmp" ] || rm -rf "$tmp"
  give_lock
}
lock() {
  take_lock
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  rm -rf .setup-tmp.* # everything is built in such a folder and moved into place once it is complete
  tmp=$(mktemp -d "$root/.setup-tmp.XXXXXX")
}

# ---------------------------------------------------------------- the pin

# Is this folder a git repository? Not if RewACT was unpacked from an archive, perhaps inside another repository.
outer_is_git() { [ "$(git rev-parse --show-prefix 2>/dev/null || echo none)" = "" ]; }
gitlink() { if outer_is_git; then git ls-files -s -- lerobot | awk '$1 == 160000 { print $2 }'; fi; }

# The series to set up: SERIES, or the one whose commit is the gitlink, or the only one.
read_pin() {
  local link dir found=
  link=$(gitlink)
  for dir in patches/*/; do
    [ -f "$dir/UPSTREAM" ] || continue
    if [ -n "${SERIES:-}" ]; then
      [ "$dir" = "patches/$SERIES/" ] || continue
    elif [ -n "$link" ] && ! grep -q "^UPSTREAM_COMMIT=$link" "$dir/UPSTREAM"; then
      continue
    fi
    found=$dir/UPSTREAM
  done
  [ -n "$found" ] || die "no patches/*/UPSTREAM names ${SERIES:-the commit $link that the submodule lerobot is pinned to}." \
    "If lerobot was staged by accident:  git restore --staged lerobot"
  # shellcheck source=/dev/null
  . "$found"
}

# ---------------------------------------------------------------- lerobot/

# Is lerobot/ a repository of its own, with a commit, and not just a folder of the outer one?
is_filled() {
  [ -e lerobot/.git ] &&
    [ "$(git -C lerobot rev-parse --show-prefix 2>/dev/null || echo none)" = "" ] &&
    git -C lerobot rev-parse -q --verify 'HEAD^{commit}' >/dev/null
}

source_of_lerobot() {
  git -C lerobot config rewact.source || git -C lerobot config remote.origin.url | without_passwords | grep . || echo "a repository without a remote"
}

report_lerobot() {
  local head branch changed where
  head=$(git -C lerobot rev-parse HEAD)
  branch=$(git -C lerobot symbolic-ref -q --short HEAD || true)
  changed=$(git -C lerobot status --porcelain | wc -l | tr -d ' ')
  where="${branch:+branch $branch, }commit $(git -C lerobot rev-parse --short HEAD)"
  if [ "$head" = "$UPSTREAM_COMMIT" ] || [ "$(git -C lerobot rev-parse -q --verify "refs/tags/pypi-$UPSTREAM_TAG" || true)" = "$head" ]; then
    where="$where ($UPSTREAM_TAG)"
  fi
  [ "$changed" = 0 ] || where="$where, $changed changed files"
  if_asked "lerobot/ is kept as it is: $where; from $(source_of_lerobot)."
  [ -f lerobot/pyproject.toml ] || die "lerobot/ has its git directory, but no files. Restore them with:" \
    "git -C lerobot checkout -f ${UPSTREAM_COMMIT} && make setup"
}

# Where LEROBOT_URL names another source than that of a filled lerobot/: keep lerobot/ and say how to switch.
check_wish() {
  local from
  [ -n "$LEROBOT_URL" ] || return 0
  from=$(source_of_lerobot)
  [ "$from" != "$(shown_url "$LEROBOT_URL")" ] || return 0
  say "LEROBOT_URL=$LEROBOT_URL is not used: lerobot/ is already filled, from $from. To switch:"
  if git -C lerobot cat-file -e "$UPSTREAM_COMMIT^{commit}" 2>/dev/null; then
    say "  git -C lerobot remote set-url origin '$(shown_url "$LEROBOT_URL")' && git -C lerobot fetch origin"
  else
    say "  make unapply && mv lerobot lerobot-old && mkdir lerobot && make setup LEROBOT_URL='$(shown_url "$LEROBOT_URL")'"
  fi
}

# Does a git host answer? Neither git nor macOS has a timeout for a name server that does not answer.
reachable() {
  local ticks=0
  set -m # its own process group, so that git's helpers can be ended with it
  GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-ssh -o BatchMode=yes}" \
    git ls-remote -- "$1" HEAD </dev/null >/dev/null 2>&1 &
  probe=$!
  set +m
  while kill -0 "$probe" 2>/dev/null; do
    if [ $ticks -ge $((PROBE_SECONDS * 5)) ]; then
      kill -TERM -- "-$probe" 2>/dev/null || true
      probe=
      return 1
    fi
    sleep 0.2
    ticks=$((ticks + 1))
  done
  ticks=0
  wait "$probe" || ticks=1
  probe=
  return $ticks
}

# Clones into the temporary folder, checks the pin out and moves it into place. register_submodule then gives it
# the layout of `git submodule update --init`; unlike that command, this never leaves a partial clone behind.
fill_from_git() {
  local url=$1 new=$tmp/lerobot
  set -- git -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=60 clone --no-checkout --origin origin -- "$url" "$new"
  if [ "$(shown_url "$url")" = "$url" ]; then
    "$@" || return 1
  else
    "$@" 2>"$tmp/log" || { without_passwords <"$tmp/log" >&2 && return 1; }
  fi
  if ! git -C "$new" cat-file -e "$UPSTREAM_COMMIT^{commit}" 2>/dev/null &&
    ! git -C "$new" fetch --quiet origin "$UPSTREAM_COMMIT" 2>/dev/null; then
    say "$url does not hold LeRobot $UPSTREAM_TAG ($UPSTREAM_COMMIT)." >&2
    say "If it is a fork that lacks the tag, run in it: git fetch https://github.com/huggingface/lerobot.git tag $UPSTREAM_TAG" >&2
    return 1
  fi
  git -C "$new" -c core.hooksPath=/dev/null checkout --quiet --detach "$UPSTREAM_COMMIT" || return 1
  git -C "$new" remote set-url origin "$(shown_url "$url")" # a password does not belong on the disk
  move_into_place
}

move_into_place() {
  if [ -d lerobot ]; then rmdir lerobot; fi
  mv "$tmp/lerobot" lerobot
}

# Gives lerobot/ the layout of a submodule, unless it has it. Not for the sdist, whose history differs from the
# submodule's.
register_submodule() {
  [ -n "$(gitlink)" ] && [ -d lerobot/.git ] && [ -z "$(git -C lerobot config rewact.source || true)" ] || return 0
  git config submodule.lerobot.url "$(git -C lerobot config remote.origin.url)"
  git config --unset submodule.lerobot.fetchRecurseSubmodules || true
  git submodule --quiet init lerobot
  git submodule --quiet absorbgitdirs lerobot 2>"$tmp/log" || die "$(cat "$tmp/log")"
}

# PyPI's source distribution as a repository with one commit. The commit has the same hash on every machine, because
# it is written from the archive directly: file systems, umasks and git settings have no influence.
fill_from_sdist() {
  local version=${UPSTREAM_TAG#v} new=$tmp/lerobot
  [ -n "${UPSTREAM_SDIST_SHA256:-}" ] ||
    die "this series is for a commit without a release on PyPI: set LEROBOT_URL to a git repository that holds $UPSTREAM_COMMIT."
  if ! { python_works && $python -m pip --version >/dev/null 2>&1; }; then
    make_venv
    "$UV" pip install --quiet --python $python 'pip>=24.0'
  fi
  # with the hash in a requirements file, pip checks the archive before it opens it
  printf 'lerobot==%s --hash=sha256:%s\n' "$version" "$UPSTREAM_SDIST_SHA256" >"$tmp/requirements.txt"
  $python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary lerobot --require-hashes \
    --dest "$tmp/sdist" --requirement "$tmp/requirements.txt" ||
    die "LeRobot $version came neither from a git host nor from the package index." \
      "Give a source:  make setup LEROBOT_URL=<git URL or path of a LeRobot clone>"
  git init --quiet --template= --object-format=sha1 "$new"
  git -C "$new" symbolic-ref HEAD refs/heads/main
  git -C "$new" config core.autocrlf false
  git -C "$new" config rewact.source "PyPI's source distribution of $UPSTREAM_TAG"
  mkdir -p "$new/.git/info"
  # the sdist has no .gitignore, and files of the installation and the tests must not make the tree dirty
  printf '%s\n' '*.egg-info/' '__pycache__/' '*.py[cod]' 'build/' '.pytest_cache/' '.ruff_cache/' '.mypy_cache/' \
    '.coverage' 'outputs/' 'wandb/' '.venv/' '.idea/' '.vscode/' '.DS_Store' '*.swp' '*~' >"$new/.git/info/exclude"
  SDIST="$tmp/sdist/lerobot-$version.tar.gz" TAG=$UPSTREAM_TAG SHA256=$UPSTREAM_SDIST_SHA256 $python - <<'PYTHON' |
import os
import sys
import tarfile

# files that setuptools adds to the archive; the tag does not have them
ADDED = ("PKG-INFO", "setup.cfg")

out = sys.stdout.buffer
message = f"LeRobot {os.environ['TAG']}\n\nPyPI's source distribution, sha256 {os.environ['SHA256']}\n".encode()
who = b"LeRobot source distribution <rewact@localhost> 1735689600 +0000\n"
out.write(b"commit refs/heads/main\nauthor " + who + b"committer " + who)
out.write(b"data %d\n%s" % (len(message), message))
with tarfile.open(os.environ["SDIST"]) as archive:
    for member in sorted(archive, key=lambda m: m.name):
        path = member.name.partition("/")[2]
        if not member.isfile() or path in ADDED or ".egg-info/" in path:
            continue
        data = archive.extractfile(member).read()
        mode = b"100755" if member.mode & 0o100 else b"100644"
        out.write(b"M %s inline %s\ndata %d\n%s\n" % (mode, path.encode(), len(data), data))
PYTHON
    git -C "$new" fast-import --quiet --date-format=raw
  git -C "$new" tag --no-sign "pypi-$UPSTREAM_TAG" main
  git -C "$new" -c core.hooksPath=/dev/null checkout --quiet -f main
  move_into_place
  # else every `git pull` here would look for a remote in lerobot/
  if [ -n "$(gitlink)" ]; then git config submodule.lerobot.fetchRecurseSubmodules false; fi
}

fill_lerobot() {
  local url
  if is_filled; then
    register_submodule
    report_lerobot
    check_wish
    return
  fi
  if [ -e lerobot/.git ]; then
    die "lerobot/.git exists, but git cannot read it. Move it away and run again:" "mv lerobot lerobot-broken && make setup"
  elif [ -d lerobot ] && [ -n "$(ls -A lerobot)" ]; then
    die "lerobot/ has files in it, but is no git repository. Move it away and run again:" "mv lerobot lerobot-old && make setup"
  fi

  if [ -n "$(gitlink)" ] && [ -d "$(git rev-parse --git-path modules/lerobot)" ] &&
    git -c core.hooksPath=/dev/null submodule --quiet update --init lerobot; then
    say "lerobot/ was filled from the submodule's own git directory, which existed already."
    check_wish
    return
  fi
  if [ -n "$LEROBOT_URL" ]; then
    say "filling lerobot/ from LEROBOT_URL, $LEROBOT_URL"
    fill_from_git "$LEROBOT_URL" || die "lerobot/ could not be filled from LEROBOT_URL=$LEROBOT_URL." \
      "Without LEROBOT_URL, make setup uses the submodule's URL, or PyPI's source distribution."
    register_submodule
    say "lerobot/ was filled from LEROBOT_URL, $LEROBOT_URL ($UPSTREAM_TAG)."
    return
  fi
  url=$(git config -f .gitmodules submodule.lerobot.url)
  say "asking $url (at most $PROBE_SECONDS seconds) …"
  if reachable "$url" && fill_from_git "$url"; then
    register_submodule
    say "lerobot/ was filled from the submodule's URL, $url ($UPSTREAM_TAG)."
    return
  fi
  say "no answer: downloading PyPI's source distribution of LeRobot $UPSTREAM_TAG."
  fill_from_sdist
  say "lerobot/ was filled from PyPI's source distribution of $UPSTREAM_TAG (sha256 checked; no tests, no history)."
}

# ---------------------------------------------------------------- .venv

at_least() { # VERSION MINIMUM
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$2" ]
}

# uv from PATH, or one of our own in .uv
find_uv() {
  local candidate
  for candidate in "$(command -v uv || true)" "$root/.uv/bin/uv"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] &&
      at_least "$("$candidate" --version 2>/dev/null | awk '{ print $2 }')" "$UV_MINIMUM"; then
      UV=$candidate
      return
    fi
  done
  say "uv is not on PATH: installing it into .uv"
  for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    command -v $candidate >/dev/null || continue
    # not here, because pyenv's python3 refuses to start where .python-version names a version that it lacks
    if (cd / && $candidate -m venv --clear "$root/.uv") 2>/dev/null >&2 &&
      .uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=$UV_MINIMUM"; then
      UV=$root/.uv/bin/uv
      return
    fi
  done
  die "uv could not be installed: no python3 here can create a virtual environment (on Debian: apt-get install python3-venv)." \
    "Or install uv yourself: https://docs.astral.sh/uv/getting-started/installation/"
}

python_works() { [ "$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$PYTHON_VERSION" ]; }

make_venv() {
  find_uv
  # the first installation was interrupted: its files may be incomplete, and nobody has changed them
  if [ -e .venv/.rewact-installing ] && [ ! -e .venv/.rewact-stamp ]; then rm -rf .venv; fi
  if python_works; then return; fi
  if [ -e .venv ]; then
    [ -f .venv/pyvenv.cfg ] || die ".venv exists, but is no virtual environment. Move it away and run again."
    if $python -c '' 2>/dev/null; then
      die ".venv has another Python than $PYTHON_VERSION. Move it away and run again:" "mv .venv venv-old && make setup"
    fi
    say ".venv has lost its Python: creating it again."
    rm -rf .venv
  fi
  "$UV" venv --quiet --python "$PYTHON_VERSION" .venv ||
    die "no Python $PYTHON_VERSION was found, and uv could not fetch one. Install it and run again:" \
      "apt-get install python3.12 python3.12-venv | brew install python@3.12 | pyenv install 3.12"
}

# The hash of everything that decides what is installed. Of lerobot's pyproject.toml this is the part before the
# settings of its tools.
stamp() {
  {
    echo "$UPSTREAM_COMMIT" # that of lerobot/: a series of the user's own installs nothing
    cat scripts/requirements.txt scripts/setup.sh "$SIMULATED_ROBOT/pyproject.toml"
    sed '/^\[tool\./,$d' lerobot/pyproject.toml
    pwd # an editable installation contains its path
  } | git hash-object --stdin
}

# Only one package may install cv2: LeRobot's opencv-python-headless.
one_opencv() {
  local dist others=
  for dist in .venv/lib/python*/site-packages/opencv_*.dist-info; do
    [ -d "$dist" ] || continue
    dist=${dist##*/}
    dist=${dist%%-*}
    [ "$dist" = opencv_python_headless ] || others="$others ${dist//_/-}"
  done
  [ -n "$others" ] || return 0
  find_uv
  # shellcheck disable=SC2086
  "$UV" pip uninstall --quiet --python $python $others
  # they share files, so uninstalling the others removed those of the headless one as well
  "$UV" pip install --quiet --python $python --reinstall-package opencv-python-headless --no-deps opencv-python-headless
  say "two packages had installed cv2: removed$others and kept opencv-python-headless."
}

has_ffmpeg_libraries() {
  command -v ffmpeg >/dev/null || { command -v ldconfig >/dev/null && ldconfig -p | grep -q 'libavcodec\.'; }
}

install_packages() {
  local again=
  [ ! -e .venv/.rewact-installing ] || again=--reinstall # interrupted: any file may be missing or incomplete
  : >.venv/.rewact-installing
  say "installing LeRobot [$EXTRAS], the simulated robot and scripts/requirements.txt into .venv …"
  # Without --no-sources, LeRobot's [tool.uv.sources] would fetch torch from another index. Compiled here once: where
  # Python may not write bytecode, each command would compile torch again, for half a minute.
  "$UV" pip install --python $python --compile-bytecode --no-sources ${again:+"$again"} \
    --editable "./lerobot[$EXTRAS]" --editable "./$SIMULATED_ROBOT" --requirement scripts/requirements.txt ||
    die "the installation failed: see above. Once that is fixed, run make setup again: it continues from here."
  one_opencv
  $python -c 'import cv2, lerobot, torch' || die "the environment does not work: see above. Create it again with:" "rm -rf .venv && make setup"
  stamp >.venv/.rewact-stamp
  rm -f .venv/.rewact-installing
}

# ---------------------------------------------------------------- the whole setup

case ${1:-} in
  "" | --source-only) ;;
  *) die "usage: [LEROBOT_URL=<git URL or path>] [SERIES=v0.6.1] scripts/setup.sh [--source-only]" ;;
esac
lock
read_pin
fill_lerobot
[ "${1:-}" = "" ] || exit 0

if [ -e .venv/.rewact-stamp ] && [ ! -e .venv/.rewact-installing ] && [ "$(cat .venv/.rewact-stamp)" = "$(stamp)" ] && python_works; then
  one_opencv
  if_asked ".venv is up to date: nothing to do."
  exit 0
fi
make_venv
install_packages
has_ffmpeg_libraries || say "ffmpeg's libraries are missing: videos are decoded with PyAV. For torchcodec: apt-get install ffmpeg (macOS: brew install ffmpeg)."
if_asked "done. Next: make apply"
