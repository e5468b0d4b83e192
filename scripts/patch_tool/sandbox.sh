# shellcheck shell=bash
# Patches are applied, compared and written in a sandbox: an empty repository in the temporary folder that borrows the
# objects of the target and of lerobot/, and has no setting, hook or attribute of the user. So the result is the same
# for everybody, and the checkout is touched only once, when there is a finished result. Sourced by apply_patches.sh.

sgit() {
  GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 \
    GIT_COMMITTER_NAME="RewACT patches" GIT_COMMITTER_EMAIL="patches@rewact.invalid" \
    git -C "$TMP/sandbox" "$@"
}

# Renames are not followed: each patch names its files, and in a fork of another age git takes one small file for
# another (policies/act/__init__.py for cameras/opencv/__init__.py).
open_sandbox() {
  [ ! -d "$TMP/sandbox" ] || return 0
  mkdir "$TMP/sandbox"
  sgit init --quiet --template= --object-format="$(object_format)" .
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
[diff]
	renames = false
[merge]
	renames = false
CONFIG
  mkdir -p "$TMP/sandbox/.git/objects/info"
  borrow_objects "$TARGET"
}

object_format() { tgit rev-parse --show-object-format; }

# borrow_objects REPOSITORY: the sandbox can read its objects, and knows where its history is cut off.
borrow_objects() {
  local objects shallow
  {
    read -r objects
    read -r shallow
  } <<PATHS
$(git -C "$1" rev-parse --path-format=absolute --git-path objects --git-path shallow)
PATHS
  say "$objects" >>"$TMP/sandbox/.git/objects/info/alternates"
  [ ! -f "$shallow" ] || cat "$shallow" >>"$TMP/sandbox/.git/shallow"
}

# borrow_from_lerobot: the same for lerobot/, which `make setup` fills with the release that the series was made for.
# A personal fork often lacks it: it has neither upstream's tags nor its release branch.
borrow_from_lerobot() {
  local lerobot=$ROOT/lerobot
  open_sandbox
  [ "$TARGET" != "$lerobot" ] && [ ! -f "$TMP/borrowed" ] && [ -e "$lerobot/.git" ] || return 0
  [ "$(git -C "$lerobot" rev-parse --show-prefix --show-object-format 2>/dev/null)" = "
$(object_format)" ] || return 0
  borrow_objects "$lerobot"
  : >"$TMP/borrowed"
}

# pristine SERIES: prints the commit that a series was made for, as the sandbox can read it: upstream's own, or the
# import of its sdist, in the target or in lerobot/. Returns 1 where neither has it.
pristine() {
  local commit tag repository found
  commit=$(upstream "$1" COMMIT) tag=$(upstream "$1" TAG)
  open_sandbox
  for repository in "$TARGET" "$ROOT/lerobot"; do
    [ "$repository" = "$TARGET" ] || borrow_from_lerobot
    found=$(sgit rev-parse -q --verify "$commit^{commit}" 2>/dev/null ||
      git -C "$repository" rev-parse -q --verify "refs/tags/pypi-$tag^{commit}" 2>/dev/null || true)
    if [ -n "$found" ] && sgit cat-file -e "$found" 2>/dev/null; then
      say "$found"
      return
    fi
  done
  return 1
}

# require_pristine SERIES: the same, and gets the release where it is missing: lerobot/ is filled with it, as
# `make setup` does it, from a git host or from PyPI.
require_pristine() {
  local release
  if pristine "$1"; then return; fi
  release=$(release_of "$1")
  if [ ! -e "$ROOT/lerobot/.git" ]; then
    say "The merge needs LeRobot $release, which the series was made for: filling lerobot/ with it …" >&2
    SERIES=$1 "$ROOT/scripts/setup.sh" --source-only >&2 || true
    if pristine "$1"; then return; fi
  fi
  die "neither $TARGET nor lerobot/ holds $release, which patches/$1 was made for." "Get it:" \
    "git -C $(quoted "$ROOT/lerobot") fetch https://github.com/$UPSTREAM_REPO.git $(upstream "$1" COMMIT)"
}

# fetch_missing COMMIT: in a partial clone (git clone --filter=blob:none) the files of a commit are fetched when git
# needs them, which the sandbox cannot do. This lets the target fetch all of them, in one go.
fetch_missing() {
  tgit config --get-regexp '^remote\..*\.promisor$' '^true$' >/dev/null || return 0
  if ! tgit cat-file -e "$1^{commit}" 2>/dev/null; then return 0; fi # then it is from lerobot/
  tgit ls-tree -r "$1" >/dev/null
  tgit diff-tree -r -p --no-renames --no-ext-diff --no-textconv "$(tgit hash-object -t tree /dev/null)" "$1" \
    >/dev/null 2>"$TMP/error" || die_of_git "$TARGET is a partial clone, and the rest of its files could not be fetched:"
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

# build DIR BASE [OPTION…]: applies the patches in DIR to BASE in the sandbox, with more options for `git am`, and
# prints the last commit. Returns 1 when they do not apply; git's output is then in $TMP/error.
build() {
  local dir=$1 base=$2 file
  shift 2
  fetch_missing "$base"
  set -- "$@" --
  while IFS= read -r file; do set -- "$@" "$file"; done <<LIST
$(patch_files "$dir")
LIST
  sandbox_at "$base"
  if ! sandbox_am "$@" >"$TMP/error" 2>&1; then
    sgit am --abort 2>/dev/null || true
    return 1
  fi
  sgit rev-parse HEAD
}

# Copies the commits BASE..TIP from the sandbox into the target.
take_from_sandbox() {
  { printf '%s\n^%s\n' "$2" "$1" | sgit pack-objects --quiet --revs --stdout | tgit unpack-objects -q; } 2>"$TMP/error" ||
    die_of_git "the commits of the series could not be written to $TARGET:"
}

# One hash for the content of the commits BASE..TIP: their trees, authors, dates and messages, but neither
# committer nor parents. Equal for commits that export to the same patches.
fingerprint() {
  open_sandbox
  sgit log --reverse --date=raw --format='%T%n%an%n%ae%n%ad%n%B%x00' "$1..$2" | git hash-object --stdin
}
