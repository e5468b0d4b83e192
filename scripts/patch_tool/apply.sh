# shellcheck shell=bash
# apply and unapply. Sourced by apply_patches.sh.

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

# branch_state SERIES TIP BASE: what the branch holds:
#   same     the series, commit for commit
#   ours     a state that the tool made or exported itself, and that is still in this repository
#   edited   commits that are in no series folder
# For "same", $TMP/built-series names the series.
branch_state() {
  local series=$1 tip=$2 base=$3 name built=''
  if name=$(choose_series "$series" "$base"); then
    built=$(build "$(series_dir "$name")" "$base" || true)
    say "$name" >"$TMP/built-series"
  fi
  if [ -n "$built" ] && { [ "$tip" = "$built" ] || [ "$(fingerprint "$base" "$tip")" = "$(fingerprint "$base" "$built")" ]; }; then
    echo same
  elif [ "$tip" = "$base" ]; then
    echo ours
  elif [ "$tip" = "$(ref tip)" ] && is_kept; then
    echo ours
  elif [ -n "$built" ] && sgit rev-list "$base..$built" | grep -q "^$tip"; then
    echo ours # the first few patches of an apply that was aborted
  else
    echo edited
  fi
}

# Is what the branch was made of or exported to still in this repository: in its series folder, or in its history?
is_kept() {
  local tree name
  tree=$(tgit config rewact.exported || true)
  name=$(tgit config rewact.series || true)
  [ -n "$tree" ] && [ -n "$name" ] || return 1
  if is_series "$name" && [ "$(folder_tree "$name")" = "$tree" ]; then return 0; fi
  git -C "$ROOT" rev-list --all -- "patches/$name" 2>/dev/null | sed "s|\$|:./patches/$name|" |
    git -C "$ROOT" cat-file --batch-check='%(objectname)' 2>/dev/null | grep -xF "$tree" >/dev/null
}

# The git tree that the folder of a series is, as a commit of this repository has it.
folder_tree() {
  open_sandbox
  find "$(series_dir "$1")" -maxdepth 1 -type f ! -name '.*' >"$TMP/folder"
  sgit hash-object --no-filters --stdin-paths <"$TMP/folder" >"$TMP/blobs"
  paste "$TMP/blobs" "$TMP/folder" |
    sed "s|^\([0-9a-f]*\)$TAB.*/|100644 blob \1$TAB|" | sgit mktree --missing
}

refuse_edited() {
  local tip=$1 base=$2
  die "branch $BRANCH holds commits that are not in the series:" \
    "$(tgit log --oneline --no-decorate "$base..$tip" | at_most 10 | indent)" \
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

# applied_below SERIES: prints the series that the history of HEAD holds, because `rewact` was merged into it or its
# patches were picked. Returns 1 when there is none.
applied_below() {
  local name missing
  tgit log --max-count=3000 --format=%s HEAD >"$TMP/history"
  for name in ${1:-$(series_names)}; do
    if [ "$(patch_count "$(series_dir "$name")")" = 0 ]; then continue; fi
    missing=$(patch_files "$(series_dir "$name")" | while IFS= read -r file; do
      grep -qxF -- "$(subject_of "$file")" "$TMP/history" || say "$file"
    done)
    # or the files are those after the last patch, in one commit
    if [ -z "$missing" ] || [ -z "$(misfits_after HEAD "$(series_dir "$name")")" ]; then
      say "$name"
      return
    fi
  done
  return 1
}

# cmd_apply SERIES THREE-WAY DRY-RUN
cmd_apply() {
  local series=$1 three_way=$2 dry_run=$3 name base from old old_base='' built state=none what
  refuse_in_progress
  put_back_what_was_cut_off
  if name=$(already_applied "$series"); then
    say_already_applied "$name"
    return
  fi
  if [ -z "$dry_run" ]; then
    refuse_other_worktree
    refuse_branch_below
  fi
  old=$(branch_tip)
  if [ -n "$old" ] && ! old_base=$(known_base "$series") && [ -z "$FORCE$dry_run" ]; then
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
      die_of_git "the series $name does not apply, though its files are there:" "Look for the fault with:  $(next check)"
    if [ -n "$dry_run" ]; then
      say "$name was made for these files: all $(plural "$(patch_count "$(series_dir "$name")")" patch patches) go on as they are."
      return
    fi
  elif ! on_branch && name=$(applied_below "$series"); then
    from=$(head_branch)
    say "The series $name is in the history of ${from:+branch ${from#refs/heads/} of }$TARGET: there is nothing to apply."
    return
  elif [ -n "$three_way" ]; then
    name=${series:-$(newest_series)}
    require_patches "$name"
    merge_series "$name" "$base"
    report_merge "$name" "$base"
    [ -z "$dry_run" ] || return 0
    built=$(sgit rev-parse HEAD)
    if [ "$built" = "$base" ]; then
      say "There is nothing to apply."
      return
    fi
  else
    {
      say "apply_patches.sh: no series fits $(in_words "$base") of $TARGET."
      explain_misfits "$series" "$base"
      say "  Check out a release that a series was made for, or merge one onto these files. What that would give:"
      say "  $(next "--series ${series:-$(newest_series)} apply --3way --dry-run")"
    } >&2
    exit 1
  fi

  if [ -n "$old" ]; then
    state=foreign
    [ -z "$old_base" ] || state=$(state_before "$series" "$old" "$old_base" "$base" "$built")
  fi
  if [ "$state" = same ] && on_branch; then
    remember "$name" "$base" "$old" "$from"
    say_already_applied "$name"
    return
  fi
  case $state in edited | foreign) [ -n "$FORCE" ] || refuse_edited "$old" "$old_base" ;; esac
  if [ -f "$TMP/stop" ]; then
    [ "$state" = none ] || save_branch "$old"
    merge_in_checkout "$name" "$base" "$from"
    return
  fi
  take_from_sandbox "$base" "$built"
  make_way_for "$built"
  case $state in edited | foreign) save_branch "$old" ;; esac
  [ "$state" = none ] || set_ref last "$old"
  what=$built
  [ "$state" != same ] || what=$old # the same commits, perhaps with other committers
  remember "$name" "$base" "$what" "$from"
  switch_to "$what" "refs/heads/$BRANCH"
  say "Applied the series $name ($(plural "$(tgit rev-list --count "$base..$what")" patch patches)) to $TARGET, on branch $BRANCH made from $(describe_from "$from" "$base")."
  tgit log --reverse --format='%s' "$base..$BRANCH" | indent
  [ -z "$three_way" ] || ! [ -f "$TMP/outcomes" ] ||
    say "To keep the result as a series of its own, made for your files:  $(next "export --series $(own_series_name)")"
  say "To remove it again:  $(next unapply)"
}

# state_before SERIES OLD OLD-BASE BASE BUILT: the state of the branch that apply finds, where BUILT is what it would
# put there. The series on an older base is no work of the user's.
state_before() {
  local state
  if [ "$3" = "$4" ] && [ "$(fingerprint "$3" "$2")" = "$(fingerprint "$4" "$5")" ]; then
    echo same
    return
  fi
  state=$(branch_state "$1" "$2" "$3")
  [ "$state" != same ] || state=ours
  echo "$state"
}

# remember SERIES BASE TIP FROM: records what the branch was made of, for unapply, export and status.
remember() {
  set_ref base "$2"
  set_ref tip "$3"
  tgit config rewact.from "$4"
  tgit config rewact.series "$1"
  tgit config rewact.hash "$(series_hash "$(series_dir "$1")")"
  tgit config rewact.exported "$(folder_tree "$1")"
}

forget() {
  local key
  drop_ref base
  drop_ref tip
  for key in from series hash exported merging; do tgit config --unset "rewact.$key" || true; done
}

describe_from() {
  case $1 in
    refs/heads/*) printf '%s (%s)' "${1#refs/heads/}" "$(short "$2")" ;;
    *) printf '%s' "$(short "$2")" ;;
  esac
}

cmd_unapply() {
  local series=$1 tip base from name other state merged=''
  refuse_in_progress
  put_back_what_was_cut_off
  tip=$(branch_tip)
  if [ -z "$tip" ]; then
    say "Nothing to remove: there is no branch $BRANCH in $TARGET."
    return
  fi
  refuse_other_worktree
  base=$(known_base "$series") || die "branch $BRANCH in $TARGET was not made by apply, so it stays." "If it is in the way:  $(in_target branch -m "$BRANCH" my-rewact)"
  state=ours
  if [ "$tip" != "$(ref tip)" ] || ! is_kept; then state=$(branch_state "$series" "$tip" "$base"); fi
  # merged into the branch that is checked out: nothing is lost with the name of the branch
  if ! on_branch && [ "$tip" != "$base" ] && tgit merge-base --is-ancestor "$tip" HEAD; then merged=1 state=ours; fi
  if [ "$state" = edited ]; then
    [ -n "$FORCE" ] || refuse_edited "$tip" "$base"
  fi
  from=$(tgit config rewact.from || echo "$base")
  case $from in
    refs/heads/*)
      name=${from#refs/heads/}
      other=$(worktree_of "$from")
      if ! tgit rev-parse -q --verify "$from" >/dev/null; then
        say "Branch $name, which you were on, is gone: going to the commit it was made from."
        from=$base
      elif [ -n "$other" ] && on_branch; then
        say "Branch $name, which you were on, is checked out in the worktree $other: going to its commit."
        from=$(tgit rev-parse "$from^{commit}")
      fi
      ;;
  esac
  if on_branch; then
    make_way_for "$(tgit rev-parse "$from^{commit}")"
    [ "$state" != edited ] || save_branch "$tip"
    case $from in
      refs/heads/*) switch_to "$(tgit rev-parse "$from^{commit}")" "$from" ;;
      *) switch_to "$from" ;;
    esac
  else
    [ "$state" != edited ] || save_branch "$tip"
  fi
  set_ref last "$tip"
  tgit branch --quiet -D "$BRANCH" 2>"$TMP/error" || die_of_git "branch $BRANCH could not be removed:"
  forget
  from=$(head_branch)
  from="${from:+branch ${from#refs/heads/}, }commit $(short HEAD)"
  if [ -n "$merged" ]; then
    say "Removed branch $BRANCH from $TARGET. Its commits stay in the history of $from, into which you merged them."
  else
    say "Removed the series from $TARGET, which is on $from again."
  fi
}

# cmd_series_files SERIES KIND FOLDER, for the Makefile: the Python files that the applied series touches.
cmd_series_files() {
  local base
  if [ -z "$(branch_tip)" ] || ! base=$(known_base "$1"); then die "the series is not applied." "$(next apply)"; fi
  tgit diff-tree -r --name-only --no-renames --diff-filter="$2" "$base" "$BRANCH" -- "$3" | grep '\.py$' || true
}
