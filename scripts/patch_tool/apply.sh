# shellcheck shell=bash
# apply, unapply, status. Sourced by apply_patches.sh.

# known_base SERIES: prints the commit that the series on the branch starts from. Normally apply recorded it.
# Where `rewact` came from elsewhere (fetched from a fork, say), it is the commit before the series' first subject.
known_base() {
  local series=$1 tip base from onto name first
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
  for name in ${series:-$(series_names)}; do
    is_series "$name" || continue
    first=$(patch_files "$(series_dir "$name")" | head -n 1)
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

# build DIR BASE [OPTION…]: applies the patches in DIR to BASE in the sandbox, with more options for `git am`, and
# prints the last commit. Returns 1 when they do not apply; git's output is then in $TMP/error.
build() {
  local dir=$1 base=$2 file
  shift 2
  set -- "$@" --
  while IFS= read -r file; do set -- "$@" "$file"; done <<LIST
$(patch_files "$dir")
LIST
  sandbox_at "$base"
  if ! sandbox_am "$@" >"$TMP/error" 2>&1; then
    sgit am --abort
    return 1
  fi
  sgit rev-parse HEAD
}

# branch_state TIP BASE BUILT: what the branch holds, where BUILT is the series applied to BASE:
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
    echo ours # the first few patches of an apply that was aborted
  else
    echo edited
  fi
}

refuse_edited() {
  local tip=$1 base=$2
  die "branch $BRANCH holds commits that are not in the series:" \
    "$(tgit log --oneline --no-decorate --max-count=10 "$base..$tip" | indent)" \
    "To make them the series:  $(next export)" \
    "Or let them be saved to a backup ref first:  FORCE=1 $(next "$COMMAND")"
}

# already_applied SERIES: prints the series that is applied, found without building it: the branch is where apply
# left it, and so are the patches. Returns 1 when that is not sure.
already_applied() {
  local series=$1 name
  on_branch && [ "$(head_commit)" = "$(ref tip)" ] || return 1
  name=$(tgit config rewact.series || true)
  [ -n "$name" ] && is_series "$name" && [ "${series:-$name}" = "$name" ] || return 1
  [ "$(tgit config rewact.hash || true)" = "$(series_hash "$(series_dir "$name")")" ] || return 1
  say "$name"
}

say_already_applied() {
  say "The series $1 ($(patch_count "$(series_dir "$1")") patches) is already applied to $TARGET, on branch $BRANCH."
}

cmd_apply() {
  local series=$1 three_way=$2 name base from old old_base='' built bases state=none what
  refuse_in_progress
  if name=$(already_applied "$series"); then
    say_already_applied "$name"
    return
  fi
  refuse_other_worktree
  old=$(branch_tip)
  if [ -n "$old" ] && ! old_base=$(known_base "$series") && [ -z "$FORCE" ]; then
    die "there is a branch $BRANCH in $TARGET already, and it is not ours. Give it another name:" \
      "$(in_target branch -m "$BRANCH" my-rewact)" "Or let it be saved to a backup ref first:  FORCE=1 $(next apply)"
  fi
  if [ -n "$old_base" ] && on_branch; then
    base=$old_base
    from=$(tgit config rewact.from || echo "$base")
  else
    base=$(head_commit)
    from=$(head_branch)
    from=${from:-$base}
  fi

  if name=$(choose_series "$series" "$base"); then
    built=$(build "$(series_dir "$name")" "$base") ||
      die "the series $name does not apply, though its files are there:" "$(cat "$TMP/error")" "Look for the fault with:  $(next check)"
  elif [ -n "$three_way" ]; then
    name=${series:-$(newest_series)}
    require_patches "$name"
    bases=$(make_merge_bases "$name")
    if ! built=$(build "$(series_dir "$name")" "$base" --3way); then
      apply_three_way "$name" "$base" "$from" "$old" "$bases"
      return
    fi
  else
    {
      say "apply_patches.sh: no series fits $(short "$base")$(tgit describe --tags "$base" 2>/dev/null | sed 's/.*/ (&)/') of $TARGET."
      explain_misfits "$series" "$base"
      say "  Check out a release that a series was made for, or merge one onto these files:"
      say "  $(next "--series ${series:-$(newest_series)} apply --3way")"
    } >&2
    exit 1
  fi

  if [ -n "$old" ]; then
    state=foreign
    [ -z "$old_base" ] || state=$(branch_state "$old" "$old_base" "$([ "$old_base" != "$base" ] || echo "$built")")
  fi
  if [ "$state" = same ] && on_branch; then
    remember "$name" "$base" "$old" "$from"
    say_already_applied "$name"
    return
  fi
  take_from_sandbox "$base" "$built"
  case $state in
    edited | foreign)
      [ -n "$FORCE" ] || refuse_edited "$old" "$old_base"
      make_way_for "$built"
      save_branch "$old"
      ;;
    *) make_way_for "$built" ;;
  esac

  [ "$state" = none ] || set_ref last "$old"
  what=$built
  [ "$state" != same ] || what=$old # the same commits, perhaps with other committers
  remember "$name" "$base" "$what" "$from"
  switch_to "$what" "$BRANCH"
  say "Applied the series $name ($(patch_count "$(series_dir "$name")") patches) to $TARGET, on branch $BRANCH made from $(describe_from "$from" "$base")."
  tgit log --reverse --format='%s' "$base..$BRANCH" | indent
  say "To remove it again:  $(next unapply)"
}

# remember SERIES BASE TIP FROM: records what the branch was made of, for unapply, export and status.
remember() {
  set_ref base "$2"
  set_ref tip "$3"
  tgit config rewact.from "$4"
  tgit config rewact.series "$1"
  tgit config rewact.hash "$(series_hash "$(series_dir "$1")")"
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

# make_merge_bases SERIES: a three-way merge of a patch needs the files as the patches before it left them. A checkout
# where the series was never applied does not hold these, so this applies it to its own release in the sandbox, and
# prints the release's commit and the last one. Prints nothing where the checkout lacks the release.
make_merge_bases() {
  local pin tip
  if pin=$(pristine "$1") && tip=$(build "$(series_dir "$1")" "$pin"); then say "$pin $tip"; fi
}

# apply_three_way SERIES BASE FROM OLD-TIP MERGE-BASES: the three-way merge has conflicts, so it is done in the checkout
# itself, where they can be resolved.
apply_three_way() {
  local name=$1 base=$2 from=$3 old=$4 file
  if grep -q 'lacks the necessary blobs' "$TMP/error"; then
    die "a three-way merge needs the release that the series was made for, which $TARGET does not hold. Get it:" \
      "$(in_target fetch "https://github.com/$UPSTREAM_REPO.git" tag "$(upstream "$name" TAG)")"
  fi
  if [ -n "$old" ]; then
    [ "$old" = "$(ref tip)" ] || [ "$old" = "$(ref base)" ] || [ -n "$FORCE" ] || refuse_edited "$old" "$(ref base)"
    save_branch "$old"
  fi
  make_way_for "$base"
  [ -z "$5" ] || take_from_sandbox "${5% *}" "${5#* }"
  tgit config rewact.from "$from"
  tgit config rewact.series "$name"
  tgit config rewact.hash ''
  set_ref base "$base"
  set_ref tip "$base"
  switch_to "$base" "$BRANCH"
  set --
  while IFS= read -r file; do set -- "$@" "$file"; done <<LIST
$(patch_files "$(series_dir "$name")")
LIST
  export GIT_COMMITTER_NAME="RewACT patches" GIT_COMMITTER_EMAIL="patches@rewact.invalid"
  if tgit am --quiet --3way --keep --keep-cr --no-scissors --no-gpg-sign --committer-date-is-author-date "$@" >"$TMP/error" 2>&1; then
    say "Merged the series $name onto $TARGET, on branch $BRANCH. To keep the result as a series:  $(next "export --series $(name_of "$base")")"
  elif [ "$(in_progress)" = am ]; then
    explain_am
  else
    die "git could not merge the series:" "$(cat "$TMP/error")" "To go back:  $(next unapply)"
  fi
}

cmd_unapply() {
  local series=$1 tip base from name built='' state
  refuse_in_progress
  tip=$(branch_tip)
  if [ -z "$tip" ]; then
    say "Nothing to remove: there is no branch $BRANCH in $TARGET."
    return
  fi
  refuse_other_worktree
  base=$(known_base "$series") || die "branch $BRANCH in $TARGET was not made by apply, so it stays." "If it is in the way:  $(in_target branch -m "$BRANCH" my-rewact)"
  if [ "$tip" != "$(ref tip)" ] && name=$(choose_series "$series" "$base"); then
    built=$(build "$(series_dir "$name")" "$base" || true)
  fi
  state=$(branch_state "$tip" "$base" "$built")
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
  say "Removed the series from $TARGET, which is on ${from:+branch ${from#refs/heads/}, }commit $(short HEAD) again."
}

cmd_status() {
  local series=$1 what tip base from changed name built state
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
  if [ -n "$(ref pending)" ] && interrupted && [ -n "$changed$(in_the_way "$(ref pending)")" ]; then
    say "state     a checkout was interrupted"
    say "next      FORCE=1 $(next apply)"
    return
  fi
  tip=$(branch_tip)
  if [ -z "$tip" ]; then
    if name=$(choose_series "$series" HEAD); then
      say "series    $name, $(patch_count "$(series_dir "$name")") patches, made for these files"
      say "state     not applied"
      say "next      $(next apply)"
    else
      say "state     not applied, and no series fits:"
      explain_misfits "$series" HEAD | indent
      say "next      check out a release that fits, or  $(next 'apply --3way')"
    fi
    return
  fi
  if ! base=$(known_base "$series"); then
    say "state     a branch $BRANCH that apply did not make"
    say "next      give it another name, $(in_target branch -m "$BRANCH" my-rewact)"
    say "          or make its commits a series, $(next 'export --series NAME --base COMMIT')"
    return
  fi
  say "base      $(short "$base")$(tgit describe --tags "$base" 2>/dev/null | sed 's/.*/ (&)/')"
  if [ -z "$series" ] && [ -z "$(tgit config rewact.hash || true)" ]; then
    series=$(tgit config rewact.series || true)
    [ -z "$series" ] || require_series "$series"
  fi
  if ! name=$(choose_series "$series" "$base"); then
    say "state     $(tgit rev-list --count "$base..$tip") commits on $BRANCH, merged from a series made for other files"
    say "next      $(next "export --series $(name_of "$base")")"
    return
  fi
  say "series    $name"
  built=$(build "$(series_dir "$name")" "$base" || true)
  state=$(branch_state "$tip" "$base" "$built")
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
  compare_folders "$TMP/now" "$(series_dir "$name")"
  if [ "$state" = ours ]; then
    say "state     an earlier form of the series; nothing of yours is on it"
    say "next      $(next apply)"
  else
    say "state     commits on $BRANCH that are not in the series"
    say "next      $(next export)"
  fi
}

# cmd_series_files SERIES KIND FOLDER, for the Makefile: the Python files that the applied series touches.
cmd_series_files() {
  local base
  if [ -z "$(branch_tip)" ] || ! base=$(known_base "$1"); then die "the series is not applied." "$(next apply)"; fi
  tgit diff-tree -r --name-only --no-renames --diff-filter="$2" "$base" "$BRANCH" -- "$3" | grep '\.py$' || true
}
