# shellcheck shell=bash
# A merge in the checkout: it only gets finished commits and, at a conflict, the files and the index entries that wait to
# be resolved. Sourced by apply_patches.sh.
#
# A merge that waits is noted in the file rewact-merge of the git directory, one line, replaced as a whole:
#   SERIES HASH NEXT BEFORE CONFLICT RESOLVED OLD
#   HASH      of the series, which must not change meanwhile
#   NEXT      number of the patch that comes next, or that waits to be resolved
#   BEFORE    the commit before that patch, where the branch is
#   CONFLICT  a commit of that patch with its conflict markers, while it waits to be resolved; or -. With a - in front its
#             files are being put back
#   RESOLVED  1 once a conflict was resolved: the branch then holds work of the user's; or 0
#   OLD       the tip of the branch before the merge, or -
# refs/rewact/conflict is CONFLICT too, for the user to look at.

own_series_name() { if is_series mine; then name_of "$(ref base)"; else echo mine; fi; }

merge_file() { say "$(tgit rev-parse --path-format=absolute --git-common-dir)/rewact-merge"; }

# merge_note FIELD: a field of the note, or nothing. A damaged note is none.
merge_note() {
  local file series='' hash='' next='' before='' conflict='' resolved='' old=''
  file=$(merge_file)
  [ -f "$file" ] || return 0
  read -r series hash next before conflict resolved old <"$file" || return 0
  case $next$resolved in *[!0-9]* | '') return 0 ;; esac
  [ -n "$old" ] && tgit cat-file -e "$before^{commit}" 2>/dev/null || return 0
  case $1 in
    series) say "$series" ;;
    hash) say "$hash" ;;
    next) say "$next" ;;
    before) say "$before" ;;
    conflict) [ "$conflict" = - ] || say "${conflict#-}" ;;
    leaving) case $conflict in -?*) say 1 ;; esac ;;
    resolved) [ "$resolved" = 0 ] || say 1 ;;
    old) [ "$old" = - ] || say "$old" ;;
  esac
}

# note_merge SERIES HASH NEXT BEFORE CONFLICT RESOLVED OLD
note_merge() {
  local file
  file=$(merge_file)
  [ "$5" = - ] || set_ref conflict "${5#-}"
  say "$*" >"$file.new"
  mv "$file.new" "$file"
  [ "$5" != - ] || drop_ref conflict
}

# note_next NEXT BEFORE CONFLICT RESOLVED: the same for the merge that is noted already.
note_next() {
  local old
  old=$(merge_note old)
  note_merge "$(merge_note series)" "$(merge_note hash)" "$@" "${old:--}"
}

forget_merge() {
  [ -f "$(merge_file)" ] || return 0
  rm -f "$(merge_file)"
  drop_ref conflict
}

# The series whose merge waits, or nothing.
merge_under_way() { [ -z "$(branch_tip)" ] || merge_note series; }

# settle SERIES COMMIT [BASE FROM OLD]: moves the checkout to where merge_series has come from COMMIT: to the end, or to
# the first conflict, which it lays out to be resolved. With BASE, FROM and OLD (the old branch) the merge begins here.
settle() {
  local name=$1 tip=$2 base=${3:-} from=${4:-} old=${5:-} number before marked end
  if [ ! -f "$TMP/stop" ]; then
    end=$(sgit rev-parse HEAD)
    take_from_sandbox "$tip" "$end"
    make_way_for "$end"
    switch_to "$end" "refs/heads/$BRANCH" "$end" ''
    finish_merge "$end"
    say_merged
    return
  fi
  read -r number before marked <"$TMP/stop"
  take_from_sandbox "$tip" "$marked"
  if [ -s "$TMP/stages" ]; then
    cut -f 1 "$TMP/stages" | cut -d ' ' -f 2 | sort -u | sgit pack-objects --quiet --stdout | tgit unpack-objects -q
  fi
  make_way_for "$marked"
  if [ -f "$TMP/save-branch" ]; then save_branch "$old"; fi
  # first the entry without a stage is removed
  awk -F "$TAB" '!seen[$2]++ { print "0 0000000000000000000000000000000000000000" FS $2 } { print }' "$TMP/stages" >"$TMP/entries"
  if [ -n "$base" ]; then
    switch_to "$marked" "refs/heads/$BRANCH" "$before" "$TMP/entries" begin_merge "$name" "$base" "$from" "$number" "$before" "$marked" "${old:--}"
  else
    switch_to "$marked" "refs/heads/$BRANCH" "$before" "$TMP/entries" note_next "$number" "$before" "$marked" "$(resolved_yet)"
  fi
  explain_merge "$name"
}

resolved_yet() { if [ -n "$(merge_note resolved)" ]; then echo 1; else echo 0; fi; }

# begin_merge SERIES BASE FROM NEXT BEFORE CONFLICT OLD
begin_merge() {
  remember "$1" "$2" "$2" "$3"
  tgit config rewact.hash '' # no series was made for these files
  note_merge "$1" "$(series_hash "$(series_dir "$1")")" "$4" "$5" "$6" 0 "$7"
}

# finish_merge COMMIT: what was merged without a conflict can be made again, what was resolved cannot. If this is cut off,
# --continue finds nothing more to merge and comes here again.
finish_merge() {
  [ -n "$(merge_note resolved)" ] || set_ref tip "$1"
  forget_merge
}

say_merged() {
  if [ "$(head_commit)" = "$(ref base)" ]; then
    say "Every patch was left out: branch $BRANCH of $TARGET holds nothing of the series. To remove it:  $(next unapply)"
    return
  fi
  say "Merged: $(plural "$(tgit rev-list --count "$(ref base)..HEAD")" commit) on branch $BRANCH of $TARGET."
  say "To keep the result as a series of its own, made for your files:  $(next "export --series $(own_series_name)")"
  say "To remove it again:  $(next unapply)"
}

# explain_merge SERIES: which patch waits, each place with both sides, and the ways to go on.
explain_merge() {
  local name=$1 number marked other total='?'
  number=$(merge_note next)
  marked=$(merge_note conflict)
  ! is_series "$name" || total=$(patch_count "$(series_dir "$name")")
  {
    if ! on_branch; then
      other=$(worktree_of "refs/heads/$BRANCH")
      if [ -n "$other" ]; then
        say "apply_patches.sh: a merge of the series $name waits in another worktree of this repository, $other."
        say "  Work there:  $(quoted "$0") --target $(quoted "$other") status"
        exit 1
      fi
      say "apply_patches.sh: a merge of the series $name waits on branch $BRANCH of $TARGET, which is not checked out."
      say "  To go on:    $(in_target switch "$BRANCH")  and  $(next 'apply --continue')"
    elif [ -n "$(merge_note leaving)" ]; then
      say "apply_patches.sh: patch $number of $total was about to be left out when that was cut off:"
      say "  To leave it out:  $(next 'apply --skip')"
    elif [ -z "$marked" ]; then
      say "apply_patches.sh: a merge of the series $name waits in $TARGET, before patch $number of $total."
      say "  To go on:    $(next 'apply --continue')"
    else
      say "apply_patches.sh: patch $number of $total waits for you: $(tgit log -1 --format=%s "$marked")"
      conflicts_in "$TARGET" >"$TMP/conflicts"
      if [ -s "$TMP/conflicts" ]; then
        show_conflicts "$name" "$number"
      elif tgit diff-index --cached --quiet HEAD -- && [ -z "$(changed_files)" ]; then
        say "  Nothing of it is in your files. git says:"
        if [ -s "$TMP/error" ]; then git_error | indent; fi
      else
        say "  Its conflicts are resolved."
      fi
      say "  To go on:                 edit these files so that both changes are in, then  $(next 'apply --continue')"
      ! grep -q ': not in your files' "$TMP/conflicts" ||
        say "  A file that you lack:     $(in_target rm FILE)  leaves it out"
      say "  The whole patch:          $(in_target show refs/rewact/conflict)"
      say "  To leave this patch out:  $(next 'apply --skip')"
    fi
    say "  To give up:               $(next 'apply --abort')"
  } >&2
  exit 1
}

# show_conflicts SERIES NUMBER: each place of $TMP/conflicts with both sides, and below a file's places what the patch
# itself changes in the file: its side also holds lines of the release that the patch was made for.
show_conflicts() {
  local place file line before='' patch=''
  ! is_series "$1" || patch=$(patch_files "$(series_dir "$1")" | sed -n "$2p")
  while IFS= read -r place; do
    file=${place%%:*} line=${place##*:}
    if [ -n "$before" ] && [ "$file" != "$before" ]; then show_change "$before" "$patch"; fi
    before=$file
    say "  $place"
    case $line in *[!0-9]* | '') continue ;; esac
    sed -n "$line,/^$THEIRS/p" "$TARGET/$file" | YOURS="$YOURS" THEIRS="$THEIRS" awk '
      function cut() { if (lines > 20) print "… and " lines - 20 " more lines"; lines = 0 }
      { sub(/\r$/, "") }
      $0 == ENVIRON["YOURS"] { print; next }
      $0 == "=======" || $0 == ENVIRON["THEIRS"] { cut(); print; next }
      ++lines <= 20' | sed 's/^/      /'
  done <"$TMP/conflicts"
  show_change "$before" "$patch"
}

# show_change FILE PATCH: the lines that a patch takes away and adds in one file.
show_change() {
  [ -n "$2" ] || return 0
  say "    what the patch changes in $1:"
  awk -v file="$1" '
    /^diff --git / { on = ($4 == "b/" file); hunk = 0; next }
    on && /^@@ / { hunk = 1; print "@@"; next }
    on && hunk && /^[-+]/' "$2" | at_most 30 | sed 's/^/      /'
}

# ---------------------------------------------------------------- --continue, --skip, --abort

# cmd_go_on HOW
cmd_go_on() {
  local name number
  refuse_in_progress ours
  put_back_what_was_cut_off
  name=$(merge_under_way)
  [ -n "$name" ] || die "no merge of a series waits in $TARGET: there is nothing to $1." "$(next status)"
  refuse_other_worktree
  number=$(merge_note next)
  if [ "$1" = abort ]; then
    abort_merge
    return
  fi
  on_branch || explain_merge "$name"
  is_series "$name" && [ "$(series_hash "$(series_dir "$name")")" = "$(merge_note hash)" ] ||
    die "the patches in patches/$name are not those whose merge waits here. Bring these back, or give up:" "$(next 'apply --abort')"
  if [ "$1" = skip ]; then
    [ -n "$(merge_note conflict)" ] || die "no patch waits to be resolved in $TARGET, so there is none to leave out." "$(next 'apply --continue')"
    lay_away
    number=$((number + 1))
    note_next "$number" "$(merge_note before)" - "$(resolved_yet)"
  elif [ -n "$(merge_note leaving)" ]; then
    explain_merge "$name"
  elif [ -n "$(merge_note conflict)" ] && is_laid_out; then
    take_resolution "$number"
    number=$((number + 1))
  elif [ -n "$(merge_note conflict)" ]; then
    say "Nothing of patch $number is in your files: here it is again. To leave it out:  $(next 'apply --skip')"
    note_next "$number" "$(merge_note before)" - "$(resolved_yet)"
  fi
  next 'apply --continue' >"$TMP/again" # so far it is done
  if [ "$(branch_tip)" != "$(merge_note before)" ]; then # commits of the user's between two patches
    note_next "$number" "$(branch_tip)" - 1
  fi
  merge_series "$name" "$(branch_tip)" "$number"
  settle "$name" "$(branch_tip)"
}

# Is anything of the patch that waits in the checkout, or in a commit of the user's?
is_laid_out() {
  [ "$(branch_tip)" != "$(merge_note before)" ] || [ -n "$(tgit ls-files -u)" ] || ! tgit diff-index --cached --quiet HEAD -- ||
    [ -n "$(changed_files)" ]
}

# The files of the patch that waits, one in a line: those that it changes, and those that wait to be resolved. A folder
# of the fork's in the place of a file is none.
patch_paths() {
  local path
  { tgit -c core.quotePath=false diff-tree -r --name-only --no-renames "$(merge_note before)" "$(merge_note conflict)" &&
    tgit -c core.quotePath=false ls-files -u | cut -f 2; } | sort -u | while IFS= read -r path; do
    [ "$(tgit cat-file -t "HEAD:$path" 2>/dev/null)" = tree ] || say "$path"
  done
}

# Refuses where the files of the patch cannot be taken or put back as files: hidden from git, not writable, or with
# something else in their place.
refuse_odd_files() {
  local path odd
  refuse_hidden "$(merge_note conflict)"
  refuse_unwritable "$(merge_note conflict)"
  odd=$(patch_paths | while IFS= read -r path; do
    obstacle "$path" | { grep -vxF "file$TAB$path" || true; } | cut -f 2
  done | sort -u)
  [ -z "$odd" ] || die "something else is where files of the patch are:" "$(say "$odd" | indent)" "Move it to another place, then run this again."
}

# take_resolution NUMBER: makes the commit of a patch from the files as the user resolved them.
take_resolution() {
  local number=$1 before marked head tree commit
  before=$(merge_note before) marked=$(merge_note conflict) head=$(branch_tip)
  refuse_odd_files
  if [ "$head" != "$before" ]; then
    refuse_unresolved "$marked"
    [ "$(tgit rev-parse -q --verify "$head^" || true)" = "$before" ] && [ -z "$(tgit ls-files -u)" ] ||
      die "branch $BRANCH has other commits than the merge left there, so it cannot go on. Yours are kept when you give up:" "$(next 'apply --abort')"
    [ -z "$(changed_files)" ] || die "you have committed patch $number yourself, and these files have changed since:" \
      "$(changed_files | at_most 20 | indent)" "Commit them too, or  $(in_target stash push)"
    tree=$(tgit rev-parse "$head^{tree}") # the user committed it
  else
    refuse_unresolved "$marked"
    patch_paths | tr '\n' '\0' >"$TMP/paths0"
    tgit update-index --add --remove -z --stdin <"$TMP/paths0" 2>"$TMP/error" || die_of_git "the resolved files could not be staged:"
    tree=$(staged_tree)
  fi
  [ "$tree" != "$(tgit rev-parse "$before^{tree}")" ] ||
    die "nothing of patch $number is left in your files." "To leave it out:  $(next 'apply --skip')"
  # the author, the date and the message are the patch's
  commit=$(tgit cat-file commit "$marked" | sed -e "1s/.*/tree $tree/" -e "2s/.*/parent $before/" | tgit hash-object -t commit -w --stdin)
  tgit update-ref -m "rewact: patch $number" "refs/heads/$BRANCH" "$commit" "$head" 2>"$TMP/error" || die_of_git "branch $BRANCH could not be written:"
  note_next "$((number + 1))" "$commit" - 1
}

# The tree of the index. A submodule stays as HEAD has it: no patch changes one.
staged_tree() {
  cp "$(tgit rev-parse --path-format=absolute --git-path index)" "$TMP/resolved"
  tgit diff-index --cached --raw --no-renames --no-abbrev HEAD | awk -F "$TAB" '
    { split($1, part, " ") } part[1] == ":160000" || part[2] == "160000" { print substr(part[1], 2) " " part[3] FS $2 }' |
    GIT_INDEX_FILE=$TMP/resolved tgit update-index --index-info
  GIT_INDEX_FILE=$TMP/resolved tgit write-tree
}

# refuse_unresolved MARKED: names the places of the conflict that still wait.
refuse_unresolved() {
  local marked=$1 path whole=''
  tgit -c core.quotePath=false diff --name-only --relative --diff-filter=U >"$TMP/unmerged-paths"
  { patch_paths && cat "$TMP/unmerged-paths"; } | sort -u | while IFS= read -r path; do
    if [ -f "$TARGET/$path" ] && [ ! -L "$TARGET/$path" ]; then
      if unresolved_lines "$TARGET/$path" | sed "s|^|$path:|" | grep .; then continue; fi
    fi
    grep -qxF -- "$path" "$TMP/unmerged-paths" || continue # the user has staged it
    tgit cat-file blob "$marked:$path" >"$TMP/was" 2>/dev/null || : >"$TMP/was"
    if [ ! -f "$TARGET/$path" ] || [ -z "$(marked_lines "$TMP/was")" ]; then
      whole_conflict "$TARGET" "$path"
    elif [ "$(separators "$TARGET/$path")" -gt $(($(separators "$TMP/was") - $(marked_lines "$TMP/was" | wc -l))) ]; then
      grep -n '^=======.\{0,1\}$' "$TARGET/$path" | sed "s|^\([0-9]*\):.*|$path:\1: a line of seven = (if it belongs there, stage the file)|"
    fi
  done | awk '!seen[$0]++' >"$TMP/conflicts"
  [ -s "$TMP/conflicts" ] || return 0
  ! grep -q ': ' "$TMP/conflicts" || whole="To take a file as it is:  $(in_target add FILE)    To leave it out:  $(in_target rm FILE)"
  die "these places are not resolved yet:" "$(cat "$TMP/conflicts")" ${whole:+"$whole"}
}

# The numbers of the lines at which a marker of ours is left: one line for each place, and one for an end without a start.
unresolved_lines() {
  YOURS="$YOURS" THEIRS="$THEIRS" awk '
    { sub(/\r$/, "") }
    $0 == ENVIRON["YOURS"] { print FNR; open = 1 }
    $0 == ENVIRON["THEIRS"] { if (!open) print FNR; open = 0 }' "$1"
}

separators() { grep -c '^=======.\{0,1\}$' "$1" || true; }

# lay_away: puts the files of the patch that waits back to the commit before it. What the user did to them is saved.
lay_away() {
  local marked
  marked=$(merge_note conflict)
  [ -n "$marked" ] || return 0
  if [ "$(branch_tip)" = "$(merge_note before)" ]; then
    refuse_odd_files
    patch_paths | tr '\n' '\0' >"$TMP/changed"
    : >"$TMP/blocked"
    if is_edited "$marked"; then save_files; fi
    note_next "$(merge_note next)" "$(merge_note before)" "-$marked" "$(resolved_yet)"
    restore_changed
    # entries of files where the fork has a folder
    tgit ls-files -u -z | tr '\0' '\n' | cut -f 2 | sort -u | tr '\n' '\0' | tgit update-index --force-remove -z --stdin
  fi
  note_next "$(merge_note next)" "$(merge_note before)" - "$(resolved_yet)"
}

# is_edited MARKED: are the files in $TMP/changed, on disk or staged, other than in the commit with the markers and other
# than in HEAD, to which a lay_away that was cut off has put some of them?
is_edited() {
  local path on_disk staged
  cp "$(tgit rev-parse --path-format=absolute --git-path index)" "$TMP/on-disk"
  GIT_INDEX_FILE=$TMP/on-disk tgit update-index --add --remove -z --stdin <"$TMP/changed"
  while IFS= read -r -d '' path; do
    on_disk=$(GIT_INDEX_FILE=$TMP/on-disk entry "$path")
    staged=$(entry "$path")
    case $on_disk in "$(entry_in "$1" "$path")" | "$(entry_in HEAD "$path")") ;; *) return 0 ;; esac
    case $staged in "$(entry_in "$1" "$path")" | "$(entry_in HEAD "$path")" | *" "[123]) ;; *) return 0 ;; esac
  done <"$TMP/changed"
  return 1
}

# The mode, blob and stage of a file in the index, and in a commit.
entry() { tgit --literal-pathspecs ls-files -s -- "$1" | cut -f 1; }
entry_in() { tgit --literal-pathspecs ls-tree --full-tree "$1" -- "$2" | cut -f 1 | sed 's/ blob / /; s/$/ 0/'; }

# abort_merge: back to the branch from which the merge began. What was resolved is kept in a backup ref.
abort_merge() {
  local tip old
  if on_branch; then lay_away; fi
  tip=$(branch_tip) old=$(merge_note old)
  if [ -n "$(merge_note resolved)" ] || [ "$tip" != "$(merge_note before)" ]; then
    save_branch "$tip"
    note_next "$(merge_note next)" "$tip" - 0 # it need not be saved twice
  fi
  remove_branch "$(ref base)" "$tip" ours
  if [ -n "$old" ]; then
    tgit update-ref -m "rewact: back" "refs/heads/$BRANCH" "$old"
    say "Branch $BRANCH is what it was before the merge."
  fi
}
