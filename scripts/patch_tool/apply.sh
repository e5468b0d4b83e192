# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# apply, unapply, status. Sourced by apply_patches.sh.

# The commit that the series on the branch starts from. Normally the one that apply noted. Where `rewact`
# came from elsewhere (fetched from a fork, say), the commit before the series' first subject.
known_base() {
  local tip base from onto name first
  tip=$(branch_tip)
  base=$(ref base)
  if [ -n "$base" ] && tgit merge-base --is-ancestor "$base" "$tip"; then
    # rebased by hand onto a newer state of the branch it came from
    from=$(tgit config rewact.from || true)
    onto=$(tgit merge-base "$tip" "${from:-$base}" 2>/dev/null || true)
    if [ -n "$onto" ] && [ "$onto" != "$tip" ] && tgit merge-base --is-ancestor "$base" "$onto"; then base=$onto; fi
    echo "$base"
    return
  fi
  for name in ${SERIES_WISH:-$(series_names)}; do
    first=$(patch_files "$ROOT/patches/$name" | head -n 1)
    [ -n "$first" ] || continue
    first=$(subject_of "$first")
    base=$(tgit log --first-parent --max-count=300 --format='%P %s' "$tip" | awk -v subject="$first" \
      '{ parent = $1; sub(/^[^ ]+ /, ""); if ($0 == subject) { print parent; exit } }')
    if [ -n "$base" ]; then
      echo "$base"
      return
    fi
  done
  return 1
}

# Builds the loaded series on BASE in the sandbox, with further options for `git am`: sets BUILT, its tip.
# Returns 1 when it does not apply; git's words are then in $TMP/error.
build() {
  local base=$1 file
  shift
  set -- "$@" --
  while IFS= read -r file; do set -- "$@" "$file"; done <<LIST
$(patch_files "$SERIES_DIR")
LIST
  sandbox_at "$base"
  if ! sandbox_am "$@" >"$TMP/error" 2>&1; then
    sgit am --abort
    return 1
  fi
  BUILT=$(sgit rev-parse HEAD)
}

# What the branch holds, given its base and the series built on it:
#   same     the series, commit for commit
#   ours     a state that the tool made or exported itself, so that nothing is lost with it
#   edited   commits that are in no series folder
branch_state() {
  local tip=$1 base=$2 built=$3
  if [ "$tip" = "$built" ] || { [ -n "$built" ] && [ "$(fingerprint "$base" "$tip")" = "$(fingerprint "$base" "$built")" ]; }; then
    echo same
  elif [ "$tip" = "$(ref tip)" ] || [ "$tip" = "$base" ]; then
    echo ours
  elif [ -n "$built" ] && sgit rev-list "$base..$built" | grep -q "^$tip"; then
    echo ours # the first few patches of an apply that was given up
  else
    echo edited
  fi
}

refuse_edited() {
  local tip=$1 base=$2
  die "branch $BRANCH holds commits that are not in the series:" \
    "$(tgit log --oneline --no-decorate --max-count=10 "$base..$tip" | indent)" \
    "To make them the series:  $(next export)" \
    "Or let them be saved to a backup ref first:  FORCE=1 $(next "$command")"
}

# The quick way to know: the branch is where it was, and so are the patches.
already_applied() {
  local name
  on_branch && [ "$(head_commit)" = "$(ref tip)" ] || return 1
  name=$(tgit config rewact.series || true)
  [ -n "$name" ] && [ -f "$ROOT/patches/$name/UPSTREAM" ] && [ "${SERIES_WISH:-$name}" = "$name" ] || return 1
  load_series "$name"
  [ "$(tgit config rewact.hash || true)" = "$(series_hash "$SERIES_DIR")" ]
}

cmd_apply() {
  local head from base old old_base state=none what
  refuse_in_progress
  if already_applied; then
    say "The series $SERIES ($(patch_count "$SERIES_DIR") patches) is already applied to $TARGET, on branch $BRANCH."
    return
  fi
  refuse_other_worktree
  head=$(head_commit)
  old=$(branch_tip)
  old_base=
  if [ -n "$old" ] && ! old_base=$(known_base) && [ -z "$FORCE" ]; then
    die "there is a branch $BRANCH in $TARGET already, and it is not ours. Give it another name:" \
      "$(in_target branch -m "$BRANCH" my-rewact)" "Or let it be saved to a backup ref first:  FORCE=1 $(next apply)"
  fi
  if [ -n "$old_base" ] && on_branch; then
    base=$old_base
    from=$(tgit config rewact.from || echo "$base")
  else
    base=$head
    from=$(head_branch)
    from=${from:-$head}
  fi

  if choose_series "$base"; then
    build "$base" || die "the series $SERIES does not apply, though its files are there:" "$(cat "$TMP/error")" "Look for the fault with:  $(next check)"
  elif [ -n "$THREE_WAY" ]; then
    [ -n "$SERIES_WISH" ] || load_series "$(series_names | head -n 1)"
    [ "$(patch_count "$SERIES_DIR")" -gt 0 ] || die "patches/$SERIES holds no patch."
    if ! build "$base" --3way; then
      apply_three_way "$base" "$from" "$old"
      return
    fi
  else
    {
      say "apply_patches.sh: no series fits $(short "$base")$(tgit describe --tags "$base" 2>/dev/null | sed 's/.*/ (&)/') of $TARGET."
      explain_misfits "$base"
      say "  Check out a release that a series was made for, or merge one onto these files:"
      say "  $(next "--series ${SERIES_WISH:-$(series_names | head -n 1)} apply --3way")"
    } >&2
    exit 1
  fi

  if [ -n "$old" ]; then
    state=foreign
    [ -z "$old_base" ] || state=$(branch_state "$old" "$old_base" "$([ "$old_base" != "$base" ] || echo "$BUILT")")
  fi
  if [ "$state" = same ] && on_branch; then
    remember "$base" "$old" "$from"
    say "The series $SERIES ($(patch_count "$SERIES_DIR") patches) is already applied to $TARGET, on branch $BRANCH."
    return
  fi
  take_from_sandbox "$base" "$BUILT"
  case $state in
    edited | foreign)
      [ -n "$FORCE" ] || refuse_edited "$old" "$old_base"
      make_way_for "$BUILT"
      save_branch "$old"
      ;;
    *) make_way_for "$BUILT" ;;
  esac

  [ "$state" = none ] || set_ref last "$old"
  what=$BUILT
  [ "$state" != same ] || what=$old # the same commits, perhaps with other committers
  remember "$base" "$what" "$from"
  switch_to "$what" "$BRANCH"
  say "Applied the series $SERIES ($(patch_count "$SERIES_DIR") patches) to $TARGET, on branch $BRANCH made from $(describe_from "$from" "$base")."
  tgit log --reverse --format='%s' "$base..$BRANCH" | indent
  say "To take it off again:  $(next unapply)"
}

# Notes what the branch was made of, so that unapply, export and status know it.
remember() {
  set_ref base "$1"
  set_ref tip "$2"
  tgit config rewact.from "$3"
  tgit config rewact.series "$SERIES"
  tgit config rewact.hash "$(series_hash "$SERIES_DIR")"
}

forget() {
  local key
  drop_ref base
  drop_ref tip
  for key in from series hash; do tgit config --unset "rewact.$key" || true; done
}

describe_from() {
  case $1 in
    refs/heads/*) printf '%s (%s)' "${1#refs/heads/}" "$(short "$2")" ;;
    *) printf '%s' "$(short "$2")" ;;
  esac
}

# The three-way merge has conflicts: it is done in the checkout itself, where they can be resolved.
apply_three_way() {
  local base=$1 from=$2 old=$3 file
  if grep -q 'lacks the necessary blobs' "$TMP/error"; then
    die "a three-way merge needs the release that the series was made for, which $TARGET does not hold. Get it:" \
      "$(in_target fetch "https://github.com/$UPSTREAM_REPO.git" tag "$UPSTREAM_TAG")"
  fi
  if [ -n "$old" ]; then
    [ "$old" = "$(ref tip)" ] || [ "$old" = "$(ref base)" ] || [ -n "$FORCE" ] || refuse_edited "$old" "$(ref base)"
    save_branch "$old"
  fi
  make_way_for "$base"
  tgit config rewact.from "$from"
  tgit config rewact.series "$SERIES"
  tgit config rewact.hash ''
  set_ref base "$base"
  set_ref tip "$base"
  switch_to "$base" "$BRANCH"
  set --
  while IFS= read -r file; do set -- "$@" "$file"; done <<LIST
$(patch_files "$SERIES_DIR")
LIST
  export GIT_COMMITTER_NAME="RewACT patches" GIT_COMMITTER_EMAIL="patches@rewact.invalid"
  if tgit am --quiet --3way --keep --keep-cr --no-scissors --no-gpg-sign --committer-date-is-author-date "$@" >"$TMP/error" 2>&1; then
    say "Merged the series $SERIES onto $TARGET, on branch $BRANCH. To keep the result as a series:  $(next "export --series $(name_of "$base")")"
  elif [ "$(in_progress)" = am ]; then
    explain_am
  else
    die "git would not merge the series:" "$(cat "$TMP/error")" "To go back:  $(next unapply)"
  fi
}

cmd_unapply() {
  local tip base from state
  refuse_in_progress
  tip=$(branch_tip)
  if [ -z "$tip" ]; then
    say "Nothing to take off: there is no branch $BRANCH in $TARGET."
    return
  fi
  refuse_other_worktree
  base=$(known_base) || die "branch $BRANCH in $TARGET was not made by apply, so it stays." "If it is in the way:  $(in_target branch -m "$BRANCH" my-rewact)"
  BUILT=
  if [ "$tip" != "$(ref tip)" ] && choose_series "$base"; then build "$base" || true; fi
  state=$(branch_state "$tip" "$base" "$BUILT")
  if [ "$state" = edited ]; then
    [ -n "$FORCE" ] || refuse_edited "$tip" "$base"
  fi
  from=$(tgit config rewact.from || echo "$base")
  case $from in
    refs/heads/*)
      if ! tgit rev-parse -q --verify "$from" >/dev/null; then
        say "Branch ${from#refs/heads/}, which you were on, is gone: going to the commit it was made from."
        from=$base
      fi
      ;;
  esac
  if on_branch; then
    make_way_for "$(tgit rev-parse "$from^{commit}")"
    [ "$state" != edited ] || save_branch "$tip"
    case $from in
      refs/heads/*) switch_to "$(tgit rev-parse "$from")" "$from" ;;
      *) switch_to "$from" ;;
    esac
  else
    [ "$state" != edited ] || save_branch "$tip"
  fi
  set_ref last "$tip"
  tgit branch --quiet -D "$BRANCH" 2>"$TMP/error" || die "branch $BRANCH could not be removed:" "$(cat "$TMP/error")"
  forget
  from=$(head_branch)
  say "Took the series off $TARGET, which is on ${from:+branch ${from#refs/heads/}, }commit $(short HEAD) again."
}

cmd_status() {
  local what tip base from changed state
  say "checkout  $TARGET"
  say "from      $(tgit config rewact.source || tgit config remote.origin.url || echo 'a repository without a remote')"
  from=$(head_branch)
  say "at        ${from:+branch ${from#refs/heads/}, }commit $(short HEAD)"
  changed=$(changed_files)
  [ -z "$changed" ] || say "changed   $(say "$changed" | wc -l | tr -d ' ') files, not committed"
  what=$(in_progress)
  if [ -n "$what" ]; then
    say "state     a $what is under way"
    refuse_in_progress
  fi
  if [ -n "$(ref pending)" ] && cut_off && [ -n "$changed$(in_the_way "$(ref pending)")" ]; then
    say "state     a checkout was cut off half way"
    say "next      FORCE=1 $(next apply)"
    return
  fi
  tip=$(branch_tip)
  if [ -z "$tip" ]; then
    if choose_series HEAD; then
      say "series    $SERIES, $(patch_count "$SERIES_DIR") patches, made for these files"
      say "state     not applied"
      say "next      $(next apply)"
    else
      say "state     not applied, and no series fits:"
      explain_misfits HEAD | indent
      say "next      check out a release that fits, or  $(next 'apply --3way')"
    fi
    return
  fi
  if ! base=$(known_base); then
    say "state     a branch $BRANCH that apply did not make"
    say "next      give it another name, $(in_target branch -m "$BRANCH" my-rewact)"
    say "          or make its commits a series, $(next 'export --series NAME --base COMMIT')"
    return
  fi
  say "base      $(short "$base")$(tgit describe --tags "$base" 2>/dev/null | sed 's/.*/ (&)/')"
  BUILT=
  if [ -z "$SERIES_WISH" ] && [ -z "$(tgit config rewact.hash || true)" ]; then SERIES_WISH=$(tgit config rewact.series || true); fi
  if ! choose_series "$base"; then
    say "state     $(tgit rev-list --count "$base..$tip") commits on $BRANCH, merged from a series made for other files"
    say "next      $(next "export --series $(name_of "$base")")"
    return
  fi
  say "series    $SERIES"
  build "$base" || true
  state=$(branch_state "$tip" "$base" "$BUILT")
  if [ "$state" = same ]; then
    tgit log --reverse --format='  %s' "$base..$tip"
    if on_branch; then
      say "state     applied"
      say "next      use it; or edit the commits, then  $(next export);  or  $(next unapply)"
    else
      say "state     applied on branch $BRANCH, which is not checked out"
      say "next      $(next apply)"
    fi
    return
  fi
  mkdir "$TMP/now"
  format_series "$base" "$tip" "$TMP/now"
  compare_folders "$TMP/now" "$SERIES_DIR"
  if [ "$state" = ours ]; then
    say "state     an earlier form of the series; nothing of yours is on it"
    say "next      $(next apply)"
  else
    say "state     commits on $BRANCH that are not in the series"
    say "next      $(next export)"
  fi
}

# For the Makefile: the files that the applied series touches, filtered by kind and folder.
cmd_series_files() {
  local base
  if [ -z "$(branch_tip)" ] || ! base=$(known_base); then die "the series is not applied." "$(next apply)"; fi
  tgit diff-tree -r --name-only --no-renames --diff-filter="$1" "$base" "$BRANCH" -- "$2" | grep '\.py$' || true
}
