# shellcheck shell=bash
# What is in the way (FORCE=1) or about to be put back (--skip, --abort) is saved to refs/rewact/backup/ before anything
# replaces it. Sourced by apply_patches.sh.

backup_name() {
  local stamp n=
  stamp=$(date +%Y%m%d-%H%M%S)
  while [ -n "$(ref "backup/$stamp${n:+-$n}")" ]; do n=$((${n:-1} + 1)); done
  printf 'backup/%s' "$stamp${n:+-$n}"
}

# Makes a commit without touching HEAD, for users without a user.name too.
plain_commit() {
  if ! tgit var GIT_COMMITTER_IDENT >/dev/null 2>&1 || ! tgit var GIT_AUTHOR_IDENT >/dev/null 2>&1; then
    export GIT_AUTHOR_NAME=rewact GIT_AUTHOR_EMAIL=rewact@localhost GIT_COMMITTER_NAME=rewact GIT_COMMITTER_EMAIL=rewact@localhost
  fi
  tgit commit-tree --no-gpg-sign "$@"
}

# save_work BLOCKED: saves changed files, what is staged, and the untracked files named in BLOCKED; then puts these files,
# and no others, back to HEAD.
save_work() {
  tgit diff-index --cached -z --name-only --no-renames --ignore-submodules=all HEAD >"$TMP/changed"
  tgit diff-files -z --name-only --ignore-submodules=all >>"$TMP/changed"
  : >"$TMP/blocked"
  [ -z "$1" ] || printf '%s\n' "$1" | tr '\n' '\0' >"$TMP/blocked"
  save_files
  restore_changed
  while IFS= read -r -d '' path; do rm -f "$TARGET/$path"; done <"$TMP/blocked"
}

# save_files: saves the tracked files in $TMP/changed, what is staged, and the untracked files in $TMP/blocked (paths that
# end in a zero byte), in the form of a stash, so that `git stash apply` brings them back.
save_files() {
  local head index staged work others='' name exact
  head=$(head_commit)
  name=$(backup_name)
  index=$(tgit rev-parse --path-format=absolute --git-path index)
  # an index with a conflict cannot be written as a tree: its unmerged files count as they are on disk
  cp "$index" "$TMP/staged"
  tgit ls-files -u -z | tr '\0' '\n' | cut -f 2 | sort -u | tr '\n' '\0' >"$TMP/unmerged0"
  staged=$(tree_with "$TMP/staged" <"$TMP/unmerged0")
  staged=$(plain_commit -p "$head" -m "rewact: what was staged" "$staged")
  cp "$index" "$TMP/index"
  cat "$TMP/unmerged0" "$TMP/changed" >"$TMP/work"
  work=$(tree_with "$TMP/index" <"$TMP/work")
  set -- -p "$head" -p "$staged"
  if [ -s "$TMP/blocked" ]; then
    others=$(tree_with "$TMP/others" <"$TMP/blocked")
    set -- "$@" -p "$(plain_commit -m "rewact: files that were not in git" "$others")"
  fi
  exact=$(exact_bytes "$work" ${others:+"$others"})
  set_ref "$name" "$(plain_commit "$@" -m "rewact: saved before $COMMAND" "$work")"
  say "$name" >"$TMP/saved"
  say "Your work is saved at refs/rewact/$name. To bring it back:  $(in_target stash apply "refs/rewact/$name")"
  if [ -n "$exact" ]; then
    set_ref "$name-exact" "$(plain_commit -m "rewact: files that git's filters would change" "$exact")"
    say "Files whose line ends or large content git would change are, byte for byte, also at refs/rewact/$name-exact."
  fi
}

# Puts the files in $TMP/changed back to HEAD, on disk and in the index. Those that HEAD does not have are removed.
restore_changed() {
  local path
  : >"$TMP/known" && : >"$TMP/new"
  while IFS= read -r -d '' path; do
    if tgit cat-file -e "HEAD:$path" 2>/dev/null; then printf '%s\0' "$path" >>"$TMP/known"; else printf '%s\0' "$path" >>"$TMP/new"; fi
  done <"$TMP/changed"
  if [ -s "$TMP/known" ]; then
    tgit --literal-pathspecs restore --source=HEAD --staged --worktree --pathspec-from-file=- --pathspec-file-nul \
      <"$TMP/known" 2>"$TMP/error" || die_of_git "not all changed files could be put back to HEAD:" "$(saved_note)"
  fi
  if [ -s "$TMP/new" ]; then
    tgit update-index --force-remove -z --stdin <"$TMP/new" 2>"$TMP/error" || die_of_git "the index could not be written:" "$(saved_note)"
    while IFS= read -r -d '' path; do rm -f "$TARGET/$path"; done <"$TMP/new"
  fi
}

# saved_note: where FORCE=1 has saved the user's work in this run, for a message after a failure.
saved_note() {
  [ ! -f "$TMP/saved" ] || printf 'Your own changes are saved. To bring them back:  %s' "$(in_target stash apply "refs/rewact/$(cat "$TMP/saved")")"
}

# tree_with INDEX: reads paths that end in a zero byte, puts these files as they are on disk into the index file INDEX,
# and prints its tree.
tree_with() {
  if ! GIT_INDEX_FILE=$1 tgit -c core.safecrlf=false update-index --add --remove -z --stdin 2>"$TMP/error" ||
    ! GIT_INDEX_FILE=$1 tgit write-tree 2>"$TMP/error"; then
    die_of_git "your work could not be saved, so nothing was changed:"
  fi
}

# exact_bytes TREE…: checks that each saved file would come back as it is on disk. Those that git's filters would
# change (line ends, LFS) it saves as they are; prints the tree of these, or nothing.
exact_bytes() {
  local path tree
  rm -f "$TMP/exact"
  cat "$TMP/work" "$TMP/blocked" | while IFS= read -r -d '' path; do
    [ -f "$TARGET/$path" ] && [ ! -L "$TARGET/$path" ] || continue
    for tree in "$@"; do
      if tgit cat-file --filters "$tree:$path" 2>/dev/null | cmp -s - "$TARGET/$path"; then continue 2; fi
    done
    printf '100644 %s\t%s\n' "$(tgit hash-object -w --no-filters -- "$TARGET/$path")" "$path" |
      GIT_INDEX_FILE=$TMP/exact tgit update-index --add --index-info
  done || die "your work could not be saved, so nothing was changed."
  if [ -f "$TMP/exact" ]; then GIT_INDEX_FILE=$TMP/exact tgit write-tree; fi
}

save_branch() {
  local name
  name=$(backup_name)
  set_ref "$name" "$1"
  say "The commits on $BRANCH are saved at refs/rewact/$name. To look at them:  $(in_target log "refs/rewact/$name")"
}

# The patch files of a series as a commit in the target, under a backup ref.
save_series() {
  local name tree
  name=$(backup_name)
  tree=$(patch_files "$(series_dir "$1")" | while IFS= read -r file; do
    printf '100644 blob %s\t%s\n' "$(tgit hash-object -w --no-filters "$file")" "${file##*/}"
  done | tgit mktree)
  set_ref "$name" "$(plain_commit -m "rewact: patches/$1, saved before export" "$tree")"
  say "The patches are saved at refs/rewact/$name. To see one:  $(in_target show "refs/rewact/$name:FILE")"
}
