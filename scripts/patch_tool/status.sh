# shellcheck shell=bash
# status: where the checkout stands, and what to do next. Sourced by apply_patches.sh.

cmd_status() {
  local series=$1 what tip base from changed name state count
  from=$(head_branch)
  changed=$(changed_files)
  [ -z "$changed" ] || changed=", $(plural "$(say "$changed" | wc -l | tr -d ' ')" file) changed and not committed"
  say "checkout  $TARGET, $([ -z "$from" ] || printf 'branch %s, ' "${from#refs/heads/}")commit $(in_words HEAD)$changed"
  what=$(in_progress)
  if [ -n "$what" ]; then
    say "state     $(article "$what") is under way"
    refuse_in_progress
  fi
  if was_cut_off; then
    say "state     a checkout was cut off; nothing of yours is among the files that differ"
    say "next      $(next apply)  (puts them back first)"
    return
  fi
  name=$(merge_under_way)
  if [ -n "$name" ]; then
    say "state     a merge of the series $name waits at patch $(merge_note next):"
    explain_merge "$name"
  fi
  tip=$(branch_tip)
  if [ -z "$tip" ]; then
    status_without_branch "$series"
    return
  fi
  if ! base=$(known_base "$series"); then
    say "state     a branch $BRANCH that apply did not make"
    say "next      give it another name, $(in_target branch -m "$BRANCH" my-rewact)"
    say "          or make its commits a series, $(next 'export --series NAME --base COMMIT')"
    return
  fi
  count=$(plural "$(tgit rev-list --count "$base..$tip")" commit)
  if [ -z "$series" ] && [ -z "$(tgit config rewact.hash || true)" ]; then
    series=$(tgit config rewact.series || true)
    [ -z "$series" ] || require_series "$series"
  fi
  state=$(branch_state "$series" "$tip" "$base")
  name=$(cat "$TMP/built-series" 2>/dev/null || true)
  if [ -z "$name" ]; then
    say "state     $count on $BRANCH, merged from a series made for other files than those of $(in_words "$base")"
    say "next      $(next "export --series $(own_series_name)")"
    return
  fi
  case $state in
    same)
      if on_branch; then
        say "state     applied: the series $name, $(patch_count "$(series_dir "$name")") patches on $(in_words "$base")"
        say "next      use it; or edit the commits, then  $(next export);  or  $(next unapply)"
      else
        say "state     applied: the series $name, on branch $BRANCH, which is not checked out"
        say "next      $(in_target switch "$BRANCH")"
      fi
      tgit log --reverse --format='  %s' "$base..$tip"
      return
      ;;
    ours)
      say "state     an earlier form of the series $name; nothing of yours is on it"
      say "next      $(next apply)"
      ;;
    *)
      say "state     $count on $BRANCH after $(in_words "$base"), not all of them in the series $name:"
      say "next      $(next export)"
      ;;
  esac
  mkdir "$TMP/now"
  format_series "$base" "$tip" "$TMP/now"
  compare_folders "$TMP/now" "$(series_dir "$name")"
}

# status_without_branch SERIES: nothing is applied, or it was merged. Where no series fits, a rehearsal of the merge.
status_without_branch() {
  local series=$1 name
  if name=$(choose_series "$series" HEAD); then
    say "state     not applied; the series $name ($(patch_count "$(series_dir "$name")") patches) was made for these files"
    say "next      $(next apply)"
  elif name=$(applied_below "$series"); then
    say "state     the series $name is in the history of this commit"
    say "next      use it; to change it, change the files as you change yours"
  else
    name=${series:-$(newest_series)}
    if pristine "$name" >/dev/null; then
      merge_series "$name" "$(head_commit)"
      say "state     not applied; a merge of $(merge_summary "$name" HEAD)"
      say "next      $(next "--series $name apply --3way")   (with --dry-run: this list, and nothing is touched)"
      report_merge "$name" HEAD | tail -n +2
    else
      say "state     not applied, and no series fits"
      say "next      $(next "--series $name apply --3way --dry-run")"
      explain_misfits "$series" HEAD | indent
    fi
  fi
}
