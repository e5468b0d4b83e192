# shellcheck shell=bash
# bump: the series rebased, by three-way merges, onto another release or commit. Everything happens in the
# sandbox: the checkout is not touched, and a folder appears only when every patch applied. Sourced by apply_patches.sh.

cmd_bump() {
  local old=$1 version=$2 output=$3 commit name shown parent new faults conflicts written
  [ -n "$version" ] || die "bump to which release? Name a tag or a commit:" "make bump VERSION=v0.6.2   or   $(next 'bump v0.6.2')"
  old=${old:-$(newest_series)}
  require_patches "$old"
  if [ -n "$output" ]; then output=$(output_folder "$output"); fi
  commit=$(find_release "$version")
  name=$(name_of "$commit")
  shown=${output:-patches/$name}
  output=${output:-$ROOT/patches/$name}
  [ "$shown" = "$output" ] || [ ! -d "$output" ] || die "$shown already exists." "To look at it:  $(next "--series $name check")"

  merge_series "$old" "$commit"
  report_all "$old" "$commit"
  conflicts=$(grep -c '\.patch: conflict$' "$TMP/outcomes" || true)
  written=$(grep -cE ': (clean|3-way merge)$' "$TMP/outcomes" || true)

  if [ "$conflicts" -gt 0 ]; then
    die "$conflicts of $(plural "$(patch_count "$(series_dir "$old")")" patch patches) have conflicts, so nothing was written. To resolve them in a checkout:" \
      "$(in_target checkout --detach "$(tgit describe --tags --exact-match "$commit" 2>/dev/null || short "$commit")")" \
      "$(next "--series $old apply --3way")" \
      "edit the files,  $(next 'apply --continue'),  until it is finished" \
      "$(next "--series $name export")"
  fi
  [ "$written" -gt 0 ] || die "upstream has every patch of patches/$old already: there is nothing left to write."

  parent=$(dirname "$output")
  new=$(unfinished_folder "$parent")
  format_series "$commit" "$(sgit rev-parse HEAD)" "$new"
  faults=$(lint_series "$new")
  [ -z "$faults" ] || die "the rebased patches have faults, so nothing was written:" "$(say "$faults" | indent)"
  write_upstream "$commit" "$new"
  chmod 755 "$new"
  if [ -d "$output" ]; then # empty: it keeps its owner and permissions
    mv "$new"/* "$output"
  else
    mv "$new" "$output"
  fi
  if [ "$shown" = "$output" ] && is_series "$name"; then
    say "Wrote $shown, $(plural "$written" patch patches)."
    return
  fi
  say "Wrote $shown, $(plural "$written" patch patches). To try it:"
  [ "$shown" != "$output" ] || say "  mv $(quoted "$output") $(quoted "$ROOT/patches/$name")"
  say "  $(in_target checkout --detach "$(short "$commit")")  (after  $(next unapply))"
  say "  $(next apply),  make test,  and if the tests pass:  git add lerobot patches/$name"
}

# output_folder DIR: prints the full path of --output DIR, and refuses one that is not the place for a new folder.
output_folder() {
  local dir=${1%/} full
  if [ -d "$dir" ]; then
    full=$(cd "$dir" && pwd -P)
    [ -z "$(ls -A "$full")" ] || die "--output $1 is not empty."
  else
    [ ! -e "$dir" ] && [ ! -L "$dir" ] || die "--output $1 is no folder."
    [ -d "$(dirname "$dir")" ] || die "--output $1: there is no folder $(dirname "$dir")."
    full=$(cd "$(dirname "$dir")" && pwd -P)/$(basename "$dir")
  fi
  case $full/ in
    "$(cd "$TARGET" && pwd -P)"/*) die "--output $1 is in the checkout $TARGET_SHOWN: name a folder outside it." ;;
    "$(cd "$ROOT/patches" && pwd -P)"/*) die "--output $1 is in patches/, where it would count as a release's series: name a folder outside it." ;;
  esac
  say "$full"
}

# find_release NAME: prints the commit of a tag or commit. A tag is fetched from the checkout's origin if need be.
find_release() {
  local commit
  commit=$(tgit rev-parse -q --verify --end-of-options "$1^{commit}" || true)
  if [ -z "$commit" ] && tgit remote get-url origin >/dev/null 2>&1; then
    say "$1 is not in $TARGET: asking its origin …" >&2
    GIT_TERMINAL_PROMPT=0 tgit fetch --quiet --no-tags -- origin "refs/tags/$1:refs/tags/$1" 2>/dev/null || true
    commit=$(tgit rev-parse -q --verify --end-of-options "$1^{commit}" || true)
  fi
  if [ -z "$commit" ]; then
    if [ -n "$(tgit config rewact.source || true)" ]; then
      die "$TARGET comes from $(tgit config rewact.source), which has no history to rebase on. Use a clone:" \
        "git clone https://github.com/$UPSTREAM_REPO.git my-lerobot" "$0 --target my-lerobot bump $1"
    fi
    die "$TARGET has no tag or commit $1. Get it:" "$(in_target fetch "https://github.com/$UPSTREAM_REPO.git" tag "$1")"
  fi
  echo "$commit"
}

# What a series for COMMIT is called: its release, or the release before it and the way from there.
name_of() {
  tgit describe --tags --match 'v[0-9]*' --abbrev=9 "$1" 2>/dev/null || short "$1"
}
