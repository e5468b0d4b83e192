# shellcheck shell=bash
# Three-way merges: a series onto files that differ from those it was made for. All merging happens in the sandbox.
# resolve.sh brings the result to the checkout. Sourced by apply_patches.sh.

YOURS='<<<<<<< yours'
THEIRS='>>>>>>> the patch'

# prepare_merge SERIES: a three-way merge of a patch needs the files as the patches before it left them. No checkout
# holds these where the series was never applied, so this applies it to its own release in the sandbox.
prepare_merge() {
  local pin
  pin=$(require_pristine "$1")
  build "$(series_dir "$1")" "$pin" >/dev/null ||
    die "the series $1 does not apply to $(release_of "$1"), which it was made for:" "$(git_error)" "Look for the fault with:  $(next check)"
}

# merge_series SERIES COMMIT [FIRST]: applies the patches, from number FIRST on, one by one to COMMIT in the sandbox, with
# three-way merges. A conflict is committed as it is, so that the patches after it can be tried too. Writes
#   $TMP/outcomes   NAME: clean | 3-way merge | already there, dropped | conflict; below a conflict its files and lines
#   $TMP/stop       of the first patch that conflicts: its number, the commit before it, and a commit with its markers;
#                   its unmerged entries of the index are in $TMP/stages. Neither is there without a conflict
merge_series() {
  local dir file number=0 before outcome first=${3:-1}
  dir=$(series_dir "$1")
  prepare_merge "$1"
  fetch_missing "$2"
  sandbox_at "$2"
  # a merge needs the files that it changes
  touched "$dir" | cut -d ' ' -f 2 | tr '\n' '\0' | xargs -0 git -C "$TMP/sandbox" ls-files -z -- | sgit checkout-index --stdin -z
  : >"$TMP/outcomes"
  rm -f "$TMP/stop"
  patch_files "$dir" >"$TMP/files"
  while IFS= read -r file; do
    number=$((number + 1))
    [ "$number" -ge "$first" ] || continue
    before=$(sgit rev-parse HEAD)
    outcome=$(merge_patch "$file")
    say "$(basename "$file"): $outcome" >>"$TMP/outcomes"
    [ "$outcome" = conflict ] || continue
    sed 's/^/    /' "$TMP/conflicts" >>"$TMP/outcomes"
    if [ ! -f "$TMP/stop" ]; then
      say "$number $before $(sgit rev-parse HEAD)" >"$TMP/stop"
      cp "$TMP/unmerged" "$TMP/stages"
    fi
  done <"$TMP/files"
}

# merge_patch FILE: applies one patch to the sandbox's HEAD and prints how that went; on a conflict, writes the files
# and lines to $TMP/conflicts, and the unmerged entries of the index to $TMP/unmerged.
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
  sgit ls-files -u >"$TMP/unmerged"
  if [ -s "$TMP/unmerged" ]; then
    name_the_sides "$(subject_of "$1")"
    conflicts_in "$TMP/sandbox" >"$TMP/conflicts"
    sgit diff --name-only --diff-filter=U | sgit add --pathspec-from-file=-
    sandbox_am --continue >/dev/null 2>&1 || sgit am --skip >/dev/null 2>&1 || sgit am --abort
  else
    git_error | grep -E '^(error|fatal):' >"$TMP/conflicts" || true
    sgit am --abort
  fi
  # nothing of it could be merged: it still needs a commit that says which patch it is
  [ "$(sgit rev-parse HEAD)" != "$before" ] || sgit update-ref --no-deref HEAD "$(empty_commit "$1" "$before")"
}

# empty_commit FILE PARENT: a commit with the author, date and message of a patch, and without its changes.
empty_commit() {
  sgit mailinfo -k -b --no-scissors "$TMP/message" /dev/null <"$1" >"$TMP/info"
  { sed -n 's/^Subject: //p' "$TMP/info" && echo && cat "$TMP/message"; } >"$TMP/full-message"
  GIT_AUTHOR_NAME=$(sed -n 's/^Author: //p' "$TMP/info") GIT_AUTHOR_EMAIL=$(sed -n 's/^Email: //p' "$TMP/info") \
    GIT_AUTHOR_DATE=$(sed -n 's/^Date: //p' "$TMP/info") GIT_COMMITTER_DATE=$(sed -n 's/^Date: //p' "$TMP/info") \
    sgit commit-tree -p "$2" -F "$TMP/full-message" "$2^{tree}"
}

# name_the_sides SUBJECT: gives the sandbox's conflict markers names that say whose lines they are about.
name_the_sides() {
  local file
  sgit diff --name-only --diff-filter=U | while IFS= read -r file; do
    [ -f "$TMP/sandbox/$file" ] && [ ! -L "$TMP/sandbox/$file" ] || continue
    THEIRS="$THEIRS" YOURS="$YOURS" SUBJECT="$1" awk '
      { line = $0; sub(/\r$/, "", line) }
      line == "<<<<<<< HEAD" { print ENVIRON["YOURS"]; next }
      line == ">>>>>>> " ENVIRON["SUBJECT"] { print ENVIRON["THEIRS"]; next }
      { print }' "$TMP/sandbox/$file" >"$TMP/named"
    cat "$TMP/named" >"$TMP/sandbox/$file" # keeps its mode
  done
}

# conflicts_in REPOSITORY: one line for each place that waits to be resolved: FILE:LINE, or FILE: what is the matter.
conflicts_in() {
  local file
  git -C "$1" -c core.quotePath=false diff --name-only --relative --diff-filter=U | while IFS= read -r file; do
    if ! marked_lines "$1/$file" | sed "s|^|$file:|" | grep .; then whole_conflict "$1" "$file"; fi
  done
}

# whole_conflict REPOSITORY FILE: what is the matter with a file in which no place is marked.
whole_conflict() {
  case $(git -C "$1" --literal-pathspecs ls-files -u -- "$2" | cut -f 1 | cut -d ' ' -f 3 | tr -d '\n') in
    123 | 23) say "$2: both sides change it, and no place is marked in it" ;;
    12) say "$2: the patch removes it, and yours differs" ;;
    *) say "$2: not in your files, and the patch changes it" ;;
  esac
}

# The numbers of the lines at which our conflict markers begin.
marked_lines() { YOURS="$YOURS" awk '{ sub(/\r$/, "") } $0 == ENVIRON["YOURS"] { print FNR }' "$1" 2>/dev/null || true; }

# merge_summary SERIES COMMIT: one sentence, from $TMP/outcomes.
merge_summary() {
  local clean merged dropped conflicts
  clean=$(grep -c ': clean$' "$TMP/outcomes" || true)
  merged=$(grep -c ': 3-way merge$' "$TMP/outcomes" || true)
  dropped=$(grep -c ': already there, dropped$' "$TMP/outcomes" || true)
  conflicts=$(grep -c '\.patch: conflict$' "$TMP/outcomes" || true)
  printf '%s onto %s: %s of %s go on as they are' "$1" "$(short "$2")" "$clean" "$(plural "$(grep -c '^[^ ]' "$TMP/outcomes")" patch patches)"
  [ "$merged" = 0 ] || printf ', %s by a three-way merge' "$merged"
  [ "$dropped" = 0 ] || printf ', %s already there' "$dropped"
  case $conflicts in
    0) printf ', no conflict' ;;
    *) printf ', %s, in %s' "$(plural "$conflicts" conflicts conflict)" "$(plural "$(conflict_files | wc -l | tr -d ' ')" file)" ;;
  esac
}

conflict_files() { sed -n 's/^    \([^:]*\).*/\1/p' "$TMP/outcomes" | sort -u; }

# report_all SERIES COMMIT: the summary, and how each patch goes on.
report_all() {
  say "$(merge_summary "$1" "$2"):"
  indent <"$TMP/outcomes"
}

# report_merge SERIES COMMIT: the summary, and each patch that conflicts with its files and lines.
report_merge() {
  say "$(merge_summary "$1" "$2")."
  awk '/^[^ ]/ { on = /: conflict$/ } on' "$TMP/outcomes" | indent
}
