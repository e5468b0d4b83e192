# shellcheck shell=bash
# Moving the checkout to another commit, and the way back when that fails or is cut off. Sourced by apply_patches.sh.

# A move that is under way is noted in a file of the worktree's git directory, until it is finished or undone:
# OLD-COMMIT NEW-COMMIT HEAD-COMMIT-AT-THE-END BRANCH-TIP-BEFORE(or -) OLD-HEAD(refs/heads/…, or -)
pending_file() { git_path rewact-pending; }

# switch_to COMMIT NAME TIP ENTRIES [NOTE…]: the only place where files change. NAME is the branch that HEAD is on
# afterwards, which is made or moved if it is ours; when it is empty HEAD is detached. The branch is then at TIP, which is
# COMMIT but for a conflict: there the files are those of COMMIT, and the file ENTRIES has the unmerged entries of the
# index. NOTE is a command that records what was done. When anything fails, all is as it was before.
switch_to() {
  local commit=$1 name=$2 tip=$3 entries=$4 left file old_ref old_tip
  shift 4
  file=$(pending_file) old_ref=$(head_branch) old_tip=$(branch_tip)
  say "$(head_commit) $commit $tip ${old_tip:--} ${old_ref:--}" >"$file.new"
  mv "$file.new" "$file"
  : >"$TMP/switching"
  if ! tgit checkout --quiet --no-overwrite-ignore --detach "$commit" 2>"$TMP/error"; then
    failed_switch "git could not move $TARGET to $(short "$commit")"
  fi
  left=$(changed_files)
  if [ -n "$left" ]; then
    [ -s "$TMP/error" ] || say "$left" >"$TMP/error"
    failed_switch "not all files of $TARGET could be written"
  fi
  left=$(files_left_out "$commit")
  if [ -n "$left" ]; then
    say "$left" | at_most 5 >"$TMP/error"
    failed_switch "files of the series lie outside your sparse checkout" \
      "To have them on disk:  $(in_target sparse-checkout add "$(say "$left" | sed 's|/[^/]*$||' | sort -u | as_words)")"
  fi
  if [ -n "$name" ]; then
    # shellcheck disable=SC2153 # apply_patches.sh sets it
    if [ "$name" = "refs/heads/$BRANCH" ]; then
      tgit update-ref -m "rewact: $COMMAND" "$name" "$tip" 2>"$TMP/error" || failed_switch "branch $BRANCH could not be written"
    fi
    tgit symbolic-ref -m "rewact: $COMMAND" HEAD "$name" 2>"$TMP/error" || failed_switch "HEAD could not be written"
  fi
  if [ -n "$entries" ]; then
    tgit update-index --index-info <"$entries" 2>"$TMP/error" || failed_switch "the conflict could not be noted in the index"
  fi
  "$@"
  end_switch
}

end_switch() {
  rm -f "$TMP/switching"
  rm -f "$(pending_file)"
}

# Was all of the move done but for the removal of its note? So it is once a conflict is noted.
is_complete() {
  local new end
  read -r _ new end _ <"$(pending_file)"
  [ "$new" != "$end" ] && [ "$(merge_note conflict)" = "$new" ]
}

# The files that differ between where we come from and COMMIT and that a sparse checkout leaves out.
files_left_out() {
  [ "$(tgit config --bool core.sparseCheckout || true)" = true ] || return 0
  moves "$(cut -d ' ' -f 1 "$(pending_file)")" "$1" | sed -n "s/^[AMT]$TAB//p" | while IFS= read -r path; do
    [ -e "$TARGET/$path" ] || [ -L "$TARGET/$path" ] || say "$path"
  done
}

failed_switch() {
  local what=$1 note
  shift
  note=$(saved_note)
  if put_back 2>"$TMP/put-back"; then
    die_of_git "$what, and it is as it was before${note:+ but for your own changes}:" "$@" ${note:+"$note"}
  fi
  die_of_git "$what:" "$@" "These files could not be put back to what they were:" "$(at_most 10 <"$TMP/left" | indent)" \
    "Nothing of yours is among them. Once the cause is gone, this puts them back:  $(again)" ${note:+"$note"}
}

# put_back: undoes a move that stopped anywhere: files, index, HEAD and branch. It replaces only what the move wrote.
# Returns 1, with the files in $TMP/left, when that fails; the note of the move then stays for the next attempt.
put_back() {
  local old new end branch old_ref path kind head file
  file=$(pending_file)
  if is_complete; then
    end_switch
    return 0
  fi
  read -r old new end branch old_ref <"$file"
  rm -f "$TMP/switching"
  moves "$old" "$new" >"$TMP/moves"
  head=$(head_commit)
  # a checkout that is complete goes back as git does it, which keeps a sparse checkout sparse
  if [ "$head" != "$new" ] || [ -n "$(changed_files)" ] || ! tgit checkout --quiet --detach "$old"; then
    put_files_back "$old" "$new"
  fi
  # HEAD, unless it is where the user has put it since
  if [ "$head" != "$old" ] || [ -z "$(head_branch)" ] || [ "$(head_branch)" = "refs/heads/$BRANCH" ]; then
    if [ "$old_ref" != - ] && [ "$old_ref" != "refs/heads/$BRANCH" ] && [ "$(tgit rev-parse -q --verify "$old_ref" || true)" = "$old" ]; then
      [ "$(head_branch)" = "$old_ref" ] || tgit symbolic-ref -m "rewact: back" HEAD "$old_ref" || true
    elif [ "$old_ref" = "refs/heads/$BRANCH" ]; then
      tgit update-ref -m "rewact: back" "$old_ref" "$branch" || true
      [ "$(head_branch)" = "$old_ref" ] || tgit symbolic-ref -m "rewact: back" HEAD "$old_ref" || true
    else
      tgit update-ref --no-deref -m "rewact: back" HEAD "$old" || true
    fi
  fi
  if [ "$branch" = - ] && [ "$(branch_tip)" = "$end" ]; then
    tgit update-ref -d "refs/heads/$BRANCH" "$end" || true
    forget
  elif [ "$branch" != - ] && [ "$(branch_tip)" = "$end" ]; then
    tgit update-ref -m "rewact: back" "refs/heads/$BRANCH" "$branch" || true
  fi
  changed_files >"$TMP/left"
  while IFS="$TAB" read -r kind path; do
    [ "$kind" != A ] || ! is_written "$path" "$new" || say "?? $path"
  done <"$TMP/moves" >>"$TMP/left"
  [ ! -s "$TMP/left" ] || return 1
  rm -f "$file"
}

# put_files_back OLD NEW: the files of $TMP/moves and their entries in the index, each by itself.
put_files_back() {
  local old=$1 new=$2 kind path
  # first what was added: on a full disk this makes the room for the rest
  while IFS="$TAB" read -r kind path; do
    [ "$kind" = A ] || continue
    if is_written "$path" "$new"; then
      rm -f "$TARGET/$path"
      (cd "$TARGET" && rmdir -p "$(dirname "$path")" 2>/dev/null) || true
    fi
  done <"$TMP/moves"
  # an entry of the index for each file, as the old commit has it
  sgit -c core.quotePath=false diff-tree -r --no-renames --raw "$old" "$new" |
    awk -F "$TAB" '{ split($1, part, " "); print substr(part[1], 2) " " part[3] FS $2 }' |
    tgit update-index --index-info || true
  # a conflict also leaves entries of files that are the same in both
  tgit -c core.quotePath=false ls-files -u | cut -f 2 | sort -u >"$TMP/unmerged-paths"
  while IFS= read -r path; do
    printf '0 0000000000000000000000000000000000000000\t%s\n' "$path"
    tgit --literal-pathspecs ls-tree --full-tree "$old" -- "$path"
  done <"$TMP/unmerged-paths" | tgit update-index --index-info || true
  while IFS="$TAB" read -r kind path; do
    if [ "$kind" != A ] && [ "$(disk_blob "$path")" != "$(tgit rev-parse "$old:$path")" ]; then
      say "$path"
    fi
  done <"$TMP/moves" | tr '\n' '\0' | tgit checkout-index --force --stdin -z || true
}

# The blob that a file on disk would be in git.
disk_blob() {
  if [ -L "$TARGET/$1" ]; then
    printf '%s' "$(readlink "$TARGET/$1")" | tgit hash-object --stdin
  elif [ -f "$TARGET/$1" ]; then
    tgit hash-object --path "$1" -- "$TARGET/$1"
  fi
}

# is_written PATH COMMIT: did a checkout of COMMIT write this file, in whole or the first part of it?
is_written() {
  local size
  if [ -L "$TARGET/$1" ]; then
    [ "$(readlink "$TARGET/$1")" = "$(tgit cat-file blob "$2:$1" 2>/dev/null)" ]
  elif [ -f "$TARGET/$1" ]; then
    size=$(($(wc -c <"$TARGET/$1")))
    ( # head ends before git does
      set +o pipefail
      tgit cat-file --filters "$2:$1" 2>/dev/null | if [ $size -gt 0 ]; then head -c $size; fi | cmp -s - "$TARGET/$1"
    )
  else
    return 1
  fi
}

# Has a move been cut off here, with nothing of the user's among the files that differ? Its half of the files is then put
# back before any command goes on.
was_cut_off() {
  local old new end head path file blob
  file=$(pending_file)
  [ -f "$file" ] || return 1
  if is_complete; then return 1; fi
  read -r old new end _ <"$file"
  head=$(head_commit)
  case $head in "$old" | "$new" | "$end") ;; *) return 1 ;; esac
  { moves "$old" "$new" | cut -f 2 && tgit -c core.quotePath=false ls-files -u | cut -f 2; } | sort -u >"$TMP/paths"
  tgit update-index -q --refresh >/dev/null 2>&1 || true # a new time alone is no change
  tgit diff-index -z --name-only --no-renames --ignore-submodules=all "$old" >"$TMP/differ"
  while IFS= read -r -d '' path; do
    grep -qxF -- "$path" "$TMP/paths" || return 1
  done <"$TMP/differ"
  while IFS= read -r path; do
    blob=$(tgit rev-parse -q --verify "$old:$path" || true)
    if [ -e "$TARGET/$path" ] || [ -L "$TARGET/$path" ]; then
      is_written "$path" "$new" || [ "$(disk_blob "$path")" = "$blob" ] || return 1
    fi
    # and in the index: as one of the two, or unmerged with the entries of the conflict
    case $(tgit --literal-pathspecs ls-files -s -- "$path") in
      "" | *" ${blob:-none} 0$TAB"* | *" $(tgit rev-parse -q --verify "$new:$path" || echo none) 0$TAB"* | *" "[123]"$TAB"*) ;;
      *) return 1 ;;
    esac
  done <"$TMP/paths"
}

put_back_what_was_cut_off() {
  local file old new end
  file=$(pending_file)
  [ -f "$file" ] || return 0
  read -r old new end _ <"$file"
  case $(head_commit) in
    "$old" | "$new" | "$end") ;;
    *)
      rm -f "$file" # the user has gone on by themselves
      return 0
      ;;
  esac
  if is_complete; then
    end_switch
    return 0
  fi
  # otherwise something of the user's is among the files, which is refused as any other work
  if ! was_cut_off; then return 0; fi
  put_back 2>"$TMP/error" || die_of_git "a checkout was cut off in $TARGET, and these files could not be put back:" \
    "$(at_most 10 <"$TMP/left" | indent)" "Nothing of yours is among them."
  say "A checkout was cut off in $TARGET: it is as it was before."
}
