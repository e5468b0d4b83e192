# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# bump: the series rebased, by three-way merges, onto another release or commit. Everything happens in the
# sandbox: the checkout is not touched, and a folder appears only when all went well. Sourced by apply_patches.sh.

cmd_bump() {
  local version=$1 new name old file outcome number=0 conflicts=0 written=0
  [ -n "$version" ] || die "bump to which release? Name a tag or a commit:" "make bump VERSION=v0.6.2   or   $(next 'bump v0.6.2')"
  load_series "${SERIES_WISH:-$(series_names | head -n 1)}"
  old=$SERIES
  [ "$(patch_count "$SERIES_DIR")" -gt 0 ] || die "patches/$old holds no patch."
  new=$(find_release "$version")
  name=$(name_of "$new")
  [ ! -d "$ROOT/patches/$name" ] || die "patches/$name is there already." "To look at it:  $(next "--series $name check")"

  say "Rebasing patches/$old onto $name ($(short "$new")):"
  sandbox_at "$new"
  sgit reset --quiet --hard # a merge wants the files too
  patch_files "$SERIES_DIR" >"$TMP/files"
  while IFS= read -r file; do
    number=$((number + 1))
    merge_patch "$file"
    say "  $(basename "$file"): $outcome"
    case $outcome in
      conflict*)
        conflicts=$((conflicts + 1))
        sed 's/^/      /' "$TMP/conflicts"
        ;;
      already*) ;;
      *) written=$((written + 1)) ;;
    esac
  done <"$TMP/files"

  if [ $conflicts -gt 0 ]; then
    die "$conflicts of $number patches need a hand, so nothing was written. To resolve them in a checkout:" \
      "$(in_target checkout --detach "$(tgit describe --tags --exact-match "$new" 2>/dev/null || short "$new")")" \
      "$(next "--series $old apply --3way")" \
      "edit the files,  $(in_target add FILE…),  $(in_target am --continue)  until it is through" \
      "$(next "--series $name export")"
  fi
  [ $written -gt 0 ] || die "upstream has every patch of patches/$old already: there is nothing left to write."

  SWAP=$(mktemp -d "$ROOT/patches/.new.XXXXXX") || die "nothing can be written in $ROOT/patches."
  format_series "$new" "$(sgit rev-parse HEAD)" "$SWAP"
  outcome=$(lint_series "$SWAP")
  [ -z "$outcome" ] || die "the rebased patches are not in order, so nothing was written:" "$(say "$outcome" | indent)"
  write_upstream "$new" "$SWAP"
  chmod 755 "$SWAP"
  mv "$SWAP" "$ROOT/patches/$name"
  say "Wrote patches/$name, $written patches. To try it:"
  say "  $(in_target checkout --detach "$(short "$new")")  (after  $(next unapply))"
  say "  $(next apply),  make test,  and when all is well:  git add lerobot patches/$name"
}

# The commit of a tag or commit, fetched from the checkout's origin when it is not there.
find_release() {
  local commit
  commit=$(tgit rev-parse -q --verify "$1^{commit}" || true)
  if [ -z "$commit" ] && tgit remote get-url origin >/dev/null 2>&1; then
    say "$1 is not in $TARGET: asking its origin …" >&2
    GIT_TERMINAL_PROMPT=0 tgit fetch --quiet --no-tags origin "refs/tags/$1:refs/tags/$1" 2>/dev/null || true
    commit=$(tgit rev-parse -q --verify "$1^{commit}" || true)
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

# Puts one patch on the sandbox's HEAD: sets `outcome`, and on a conflict fills $TMP/conflicts with the
# files and lines. The conflict is then committed as it is, so that the patches after it can be tried too.
merge_patch() {
  local before file
  before=$(sgit rev-parse HEAD)
  : >"$TMP/conflicts"
  if sandbox_am -- "$1" >"$TMP/error" 2>&1; then
    outcome=clean
    return
  fi
  sgit am --abort
  if sandbox_am --3way -- "$1" >"$TMP/error" 2>&1; then
    outcome="3-way merge"
    [ "$(sgit rev-parse HEAD)" != "$before" ] || outcome="already upstream, dropped"
    return
  fi
  outcome=conflict
  sgit diff --name-only --diff-filter=U | while IFS= read -r file; do
    if ! grep -n '^<<<<<<<' "$TMP/sandbox/$file" 2>/dev/null | sed "s|^\([0-9]*\):.*|$file:\1|"; then
      say "$file: it is gone upstream, or added there as well"
    fi
  done >"$TMP/conflicts"
  if [ ! -s "$TMP/conflicts" ]; then
    grep -E '^(error|fatal):' "$TMP/error" | head -n 5 >"$TMP/conflicts" || true
    sgit am --abort
  else
    sgit add --all
    sandbox_am --continue >/dev/null 2>&1 || sgit am --skip >/dev/null 2>&1 || sgit am --abort
  fi
}
