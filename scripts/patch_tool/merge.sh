# shellcheck shell=bash
# Three-way merges: a series onto files that differ from those it was made for. A rehearsal in the sandbox says how each
# patch goes on; where there are conflicts, the rest happens in the checkout, where they can be resolved.
# Sourced by apply_patches.sh.

# prepare_merge SERIES: a three-way merge of a patch needs the files as the patches before it left them. No checkout
# holds these where the series was never applied, so this applies it to its own release in the sandbox.
prepare_merge() {
  local pin
  pin=$(require_pristine "$1")
  build "$(series_dir "$1")" "$pin" >/dev/null ||
    die "the series $1 does not apply to $(release_of "$1"), which it was made for:" "$(git_error)" "Look for the fault with:  $(next check)"
}

# merge_series SERIES COMMIT: applies the patches one by one to COMMIT in the sandbox, with three-way merges. A conflict
# is committed as it is, so that the patches after it can be tried too. Writes
#   $TMP/outcomes   NAME: clean | 3-way merge | already there, dropped | conflict; below a conflict its files and lines
#   $TMP/stop       the number of the first patch that conflicts, and the commit before it; not there without conflict
merge_series() {
  local dir file number=0 before outcome
  dir=$(series_dir "$1")
  prepare_merge "$1"
  fetch_missing "$2"
  sandbox_at "$2"
  # a merge needs the files that it changes
  touched "$dir" | cut -d ' ' -f 2 | tr '\n' '\0' | xargs -0 git -C "$TMP/sandbox" ls-files -z -- | sgit checkout-index --stdin -z
  : >"$TMP/outcomes"
  patch_files "$dir" >"$TMP/files"
  while IFS= read -r file; do
    number=$((number + 1))
    before=$(sgit rev-parse HEAD)
    outcome=$(merge_patch "$file")
    say "$(basename "$file"): $outcome" >>"$TMP/outcomes"
    [ "$outcome" = conflict ] || continue
    sed 's/^/    /' "$TMP/conflicts" >>"$TMP/outcomes"
    [ -f "$TMP/stop" ] || say "$number $before" >"$TMP/stop"
  done <"$TMP/files"
}

# merge_patch FILE: applies one patch to the sandbox's HEAD and prints how that went; on a conflict, writes the files
# and lines to $TMP/conflicts.
merge_patch() {
  local before
  before=$(sgit rev-parse HEAD)
  : >"$TMP/conflicts"
  if sandbox_am -- "$1" >"$TMP/error" 2>&1; then
    echo clean
    return
  fi
  sgit am --abort
  if sandbox_am --3way -- "$1" >"$TMP/error" 2>&1; then
    if [ "$(sgit rev-parse HEAD)" != "$before" ]; then echo "3-way merge"; else echo "already there, dropped"; fi
    return
  fi
  echo conflict
  conflicts_in "$TMP/sandbox" >"$TMP/conflicts"
  if [ ! -s "$TMP/conflicts" ]; then
    git_error | grep -E '^(error|fatal):' >"$TMP/conflicts" || true
    sgit am --abort
  else
    sgit diff --name-only --diff-filter=U | sgit add --pathspec-from-file=-
    sandbox_am --continue >/dev/null 2>&1 || sgit am --skip >/dev/null 2>&1 || sgit am --abort
  fi
}

# conflicts_in REPOSITORY: one line for each place that waits to be resolved: FILE:LINE, or FILE: what is the matter.
conflicts_in() {
  local file stages
  git -C "$1" -c core.quotePath=false diff --name-only --relative --diff-filter=U | while IFS= read -r file; do
    stages=$(git -C "$1" --literal-pathspecs ls-files -u -- "$file" | cut -f 1 | cut -d ' ' -f 3 | tr -d '\n')
    case $stages in
      123 | 23) grep -n '^<<<<<<< ' "$1/$file" 2>/dev/null | sed "s|^\([0-9]*\):.*|$file:\1|" || say "$file" ;;
      12) say "$file: the patch removes it, and yours differs" ;;
      *) say "$file: not in your files, and the patch changes it" ;;
    esac
  done
}

# merge_summary SERIES COMMIT: one sentence, from $TMP/outcomes.
merge_summary() {
  local clean merged dropped conflicts
  clean=$(grep -c ': clean$' "$TMP/outcomes" || true)
  merged=$(grep -c ': 3-way merge$' "$TMP/outcomes" || true)
  dropped=$(grep -c ': already there, dropped$' "$TMP/outcomes" || true)
  conflicts=$(grep -c '\.patch: conflict$' "$TMP/outcomes" || true)
  printf '%s onto %s: %s of %s go on as they are' "$1" "$(short "$2")" "$clean" "$(plural "$(patch_count "$(series_dir "$1")")" patch patches)"
  [ "$merged" = 0 ] || printf ', %s by a three-way merge' "$merged"
  [ "$dropped" = 0 ] || printf ', %s already there' "$dropped"
  case $conflicts in
    0) printf ', no conflict' ;;
    *) printf ', %s, in %s' "$(plural "$conflicts" conflicts conflict)" "$(plural "$(conflict_files | wc -l | tr -d ' ')" file)" ;;
  esac
}

conflict_files() { sed -n 's/^    \([^:]*\).*/\1/p' "$TMP/outcomes" | sort -u; }

# report_merge SERIES COMMIT: the summary, and each patch that conflicts with its files and lines.
report_merge() {
  say "$(merge_summary "$1" "$2")."
  awk '/^[^ ]/ { on = /: conflict$/ } on' "$TMP/outcomes" | indent
}

# lend_blobs SERIES: gives the target what `git am --3way` needs: each touched file as the patches before left it.
lend_blobs() {
  { patch_files "$(series_dir "$1")" | tr '\n' '\0' | xargs -0 sed -n 's/^index \([0-9a-f]*\)\.\..*/\1/p' |
    grep -v '^0*$' | sort -u | sgit pack-objects --quiet --stdout | tgit unpack-objects -q; } 2>"$TMP/error" ||
    die_of_git "the files for the merge could not be written to $TARGET:"
}

# merge_in_checkout SERIES BASE: goes on from the first patch that conflicts, on branch `rewact` of the checkout.
merge_in_checkout() {
  local name=$1 base=$2 number before later file
  read -r number before <"$TMP/stop"
  later=$(sgit rev-parse HEAD)
  take_from_sandbox "$base" "$before"
  lend_blobs "$name"
  make_way_for "$before" "$later"
  remember "$name" "$base" "$before" "$3"
  tgit config rewact.hash ''
  tgit config rewact.merging "$name"
  switch_to "$before" "refs/heads/$BRANCH"
  set --
  while IFS= read -r file; do set -- "$@" "$file"; done <<LIST
$(patch_files "$(series_dir "$name")" | tail -n "+$number")
LIST
  run_am --3way --keep --keep-cr --no-scissors --no-gpg-sign --committer-date-is-author-date -- "$@"
}

# `git am` in the checkout, also for users without a user.name.
tgit_am() {
  GIT_COMMITTER_NAME="RewACT patches" GIT_COMMITTER_EMAIL="patches@rewact.invalid" \
    tgit -c merge.renames=false -c diff.renames=false -c advice.mergeConflict=false am "$@"
}

# run_am ARGUMENT…: the same, and says where it stands afterwards.
run_am() {
  local base status=0
  tgit_am --quiet "$@" >"$TMP/error" 2>&1 || status=$?
  if [ "$(in_progress)" = am ]; then explain_am; fi
  tgit config --unset rewact.merging || true
  [ $status = 0 ] || die_of_git "git could not merge the series:" "To go back:  $(next unapply)"
  base=$(ref base)
  say "Merged: $(plural "$(tgit rev-list --count "$base..HEAD")" commit) on branch $BRANCH of $TARGET."
  say "To keep the result as a series of its own, made for your files:  $(next "export --series $(own_series_name)")"
}

own_series_name() { if is_series mine; then name_of "$(ref base)"; else echo mine; fi; }

# The merge of ours that waits in the checkout: the name of its series, or nothing.
merge_under_way() { if [ "$(in_progress)" = am ] && on_branch; then tgit config rewact.merging || true; fi; }

subject_under_way() { sed -n 's/^Subject: //p' "$(git_path rebase-apply)/info" 2>/dev/null || true; }

# A stopped `git am`: which patch, each place with both sides, and the ways to go on.
explain_am() {
  local dir name number last
  dir=$(git_path rebase-apply)
  name=$(merge_under_way)
  number=$(cat "$dir/next" 2>/dev/null || echo 0) last=$(cat "$dir/last" 2>/dev/null || echo 0)
  {
    if [ -z "$name" ]; then
      say "apply_patches.sh: an \`am\` is under way in $TARGET, at patch $number of $last. Finish or abort it, then run this again:"
      say "  $(in_target am --continue)"
      say "  $(in_target am --abort)"
    else
      # the patches before the first conflict were not part of the am
      if is_series "$name"; then
        number=$(($(patch_count "$(series_dir "$name")") - last + number)) last=$(patch_count "$(series_dir "$name")")
      fi
      say "apply_patches.sh: patch $number of $last waits for you: $(subject_under_way)"
      conflicts_in "$TARGET" >"$TMP/conflicts"
      if [ -s "$TMP/conflicts" ]; then
        show_conflicts
      elif tgit diff-index --cached --quiet HEAD --; then
        say "  Nothing of it is staged.$([ ! -s "$TMP/error" ] || printf ' git says:\n%s' "$(git_error | indent)")"
      else
        say "  Its conflicts are resolved."
      fi
      say "  To go on:                 edit these files so that both changes are in, then  $(next 'apply --continue')"
      ! grep -q ': not in your files' "$TMP/conflicts" ||
        say "  A file that you lack:     $(in_target rm FILE)  leaves it out"
      say "  The whole patch:          $(in_target am --show-current-patch=diff)"
      say "  To leave this patch out:  $(next 'apply --skip')"
      say "  To give up:               $(next 'apply --abort')"
    fi
  } >&2
  exit 1
}

# Each place of $TMP/conflicts, in the checkout, with both sides of it, and below a file's places what the patch itself
# changes in the file: its side also holds lines of the release that the patch was made for.
show_conflicts() {
  local place file line before=''
  while IFS= read -r place; do
    file=${place%%:*} line=${place##*:}
    if [ -n "$before" ] && [ "$file" != "$before" ]; then show_change "$before"; fi
    before=$file
    say "  $place"
    case $line in *[!0-9]* | '') continue ;; esac
    sed -n "$line,/^>>>>>>> /p" "$TARGET/$file" | awk '
      function cut() { if (lines > 20) print "… and " lines - 20 " more lines"; lines = 0 }
      /^<<<<<<< / { print "<<<<<<< yours"; next }
      /^(=======|\|\|\|\|\|\|\|)/ { cut(); print; next }
      /^>>>>>>> / { cut(); print ">>>>>>> the patch"; next }
      ++lines <= 20' | sed 's/^/      /'
  done <"$TMP/conflicts"
  show_change "$before"
}

# show_change FILE: the lines that the patch under way takes away and adds in one file.
show_change() {
  say "    what the patch changes in $1:"
  awk -v file="$1" '
    /^diff --git / { on = ($4 == "b/" file); hunk = 0; next }
    on && /^@@ / { hunk = 1; print "@@"; next }
    on && hunk && /^[-+]/' "$(git_path rebase-apply)/patch" | at_most 30 | sed 's/^/      /'
}

# cmd_go_on HOW: --continue, --skip or --abort of the merge that waits.
cmd_go_on() {
  local file marked='' tip
  [ -n "$(merge_under_way)" ] || die "no merge of a series waits in $TARGET: there is nothing to $1." "$(next status)"
  refuse_locks
  case $1 in
    abort)
      tip=$(branch_tip)
      [ "$tip" = "$(ref tip)" ] || save_branch "$tip" # what was resolved so far
      tgit_am --abort >"$TMP/error" 2>&1 || die_of_git "the merge could not be given up:"
      tgit config --unset rewact.merging
      # git does not go back where HEAD has moved since the stop
      [ "$(branch_tip)" = "$(ref tip)" ] || tgit reset --quiet --keep "$(ref tip)"
      cmd_unapply ""
      return
      ;;
    skip) run_am --skip ;;
    continue)
      tgit -c core.quotePath=false diff --name-only --relative --diff-filter=U >"$TMP/unmerged"
      { cat "$TMP/unmerged" && tgit -c core.quotePath=false diff-index --cached --name-only HEAD; } | sort -u | while IFS= read -r file; do
        grep -n '^<<<<<<< ' "$TARGET/$file" 2>/dev/null | sed "s|^\([0-9]*\):.*|$file:\1|" || true
      done >"$TMP/conflicts"
      marked=$(conflicts_in "$TARGET" | grep -v ':[0-9]*$' | grep ': ' || true)
      if [ -s "$TMP/conflicts" ] || [ -n "$marked" ]; then
        [ -z "$marked" ] || say "$marked" >>"$TMP/conflicts"
        die "these places are not resolved yet:" "$(cat "$TMP/conflicts")" \
          ${marked:+"For a whole file:  $(in_target add FILE)  takes it,  $(in_target rm FILE)  leaves it out."}
      fi
      if [ -s "$TMP/unmerged" ]; then tgit --literal-pathspecs add --pathspec-from-file=- <"$TMP/unmerged"; fi
      if tgit diff-index --cached --quiet HEAD --; then
        say "Left out, since nothing of it is new here: $(subject_under_way)"
        run_am --skip
      else
        run_am --continue
      fi
      ;;
  esac
}
