# shellcheck shell=bash
# apply and unapply. Sourced by apply_patches.sh.

say_already_applied() {
  say "The series $1 ($(patch_count "$(series_dir "$1")") patches) is already applied to $TARGET, on branch $BRANCH."
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
  [ -n "$dry_run" ] || forget_merge # one of a branch that is gone
  old=$(branch_tip)
  if [ -n "$old" ] && ! old_base=$(known_base "$series") && [ -z "$FORCE$dry_run" ]; then
    die "there is a branch $BRANCH in $TARGET already, and it is not ours. Give it another name:" \
      "$(in_target branch -m "$BRANCH" my-rewact)" "Or let it be saved to a backup ref first:  FORCE=1 $(again)"
  fi
  if [ -n "$old_base" ] && on_branch; then
    base=$old_base
    from=$(tgit config rewact.from || echo "$base")
  else
    base=$(head_commit)
    from=$(head_branch)
    # a branch of that name which is not ours: it is about to be replaced
    if [ -z "$from" ] || [ "$from" = "refs/heads/$BRANCH" ]; then from=$base; fi
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
    if [ -n "$dry_run" ]; then
      report_all "$name" "$base"
      return
    fi
    report_merge "$name" "$base"
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
  if [ -f "$TMP/outcomes" ] && [ -f "$TMP/stop" ]; then
    case $state in edited | foreign) : >"$TMP/save-branch" ;; esac
    settle "$name" "$base" "$base" "$from" "$old"
    return
  fi
  take_from_sandbox "$base" "$built"
  make_way_for "$built"
  case $state in edited | foreign) save_branch "$old" ;; esac
  [ "$state" = none ] || set_ref last "$old"
  what=$built
  [ "$state" != same ] || what=$old # the same commits, perhaps with other committers
  switch_to "$what" "refs/heads/$BRANCH" "$what" '' remember "$name" "$base" "$what" "$from"
  say "Applied the series $name ($(plural "$(tgit rev-list --count "$base..$what")" patch patches)) to $TARGET, on branch $BRANCH made from $(describe_from "$from" "$base")."
  tgit log --reverse --format='%s' "$base..$what" | indent
  [ -z "$three_way" ] || ! [ -f "$TMP/outcomes" ] ||
    say "To keep the result as a series of its own, made for your files:  $(next "export --series $(own_series_name)")"
  say "To remove it again:  $(next unapply)"
}

describe_from() {
  case $1 in
    refs/heads/*) printf '%s (%s)' "${1#refs/heads/}" "$(short "$2")" ;;
    *) printf '%s' "$(short "$2")" ;;
  esac
}

cmd_unapply() {
  local series=$1 tip base state=ours
  refuse_in_progress
  put_back_what_was_cut_off
  tip=$(branch_tip)
  if [ -z "$tip" ]; then
    say "Nothing to remove: there is no branch $BRANCH in $TARGET."
    return
  fi
  refuse_other_worktree
  refuse_branch_below
  base=$(known_base "$series") || die "branch $BRANCH in $TARGET was not made by apply, so it stays." "If it is in the way:  $(in_target branch -m "$BRANCH" my-rewact)"
  if [ "$tip" != "$(ref tip)" ] || ! is_kept; then state=$(branch_state "$series" "$tip" "$base"); fi
  # merged into another branch: nothing is lost with the name
  if [ "$state" = edited ] && is_elsewhere "$tip"; then state=ours; fi
  if [ "$state" = edited ]; then
    [ -n "$FORCE" ] || refuse_edited "$tip" "$base"
  fi
  remove_branch "$base" "$tip" "$state"
}

# remove_branch BASE TIP STATE: puts the checkout back to where it came from, and removes the branch.
remove_branch() {
  local base=$1 tip=$2 state=$3 from name other there
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
    there=$(tgit rev-parse "$from^{commit}")
    make_way_for "$there"
    [ "$state" != edited ] || save_branch "$tip"
    case $from in
      refs/heads/*) switch_to "$there" "$from" "$there" '' ;;
      *) switch_to "$there" '' "$there" '' ;;
    esac
  else
    [ "$state" != edited ] || save_branch "$tip"
  fi
  set_ref last "$tip"
  forget_merge
  tgit branch --quiet -D "$BRANCH" 2>"$TMP/error" || die_of_git "branch $BRANCH could not be removed:"
  forget
  from=$(head_branch)
  from="${from:+branch ${from#refs/heads/}, }commit $(short HEAD)"
  if [ "$tip" != "$base" ] && tgit merge-base --is-ancestor "$tip" HEAD; then
    say "Removed branch $BRANCH from $TARGET. Its commits stay in the history of $from, into which you merged them."
  else
    say "Removed the series from $TARGET, which is on $from again."
  fi
}

# cmd_series_files SERIES KIND FOLDER, for the Makefile: the Python files that the applied series touches.
cmd_series_files() {
  local base
  if [ -z "$(branch_tip)" ] || ! base=$(known_base "$1"); then die "the series is not applied." "$(next apply)"; fi
  tgit diff-tree -r --name-only --no-renames --diff-filter="$2" "$base" "refs/heads/$BRANCH" -- "$3" | grep '\.py$' || true
}
