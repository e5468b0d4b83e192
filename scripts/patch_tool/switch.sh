# shellcheck shell=bash
# Moving the checkout to another commit: what would be lost, what stands in the way, the move itself, and the way back
# when it fails half-way. Sourced by apply_patches.sh.

TAB=$(printf '\t')

# moves OLD NEW: what differs between two commits, one line each: STATUS, a tab, PATH. STATUS is A (added), D, M or T.
# Submodules are left out.
moves() {
  local list=$TMP/moves-$1-$2
  if [ ! -f "$list" ]; then
    open_sandbox
    sgit -c core.quotePath=false diff-tree -r --no-renames --raw "$1" "$2" |
      awk -F "$TAB" '{ split($1, part, " "); if (part[1] != ":160000" && part[2] != "160000") print part[5] FS $2 }' >"$list"
  fi
  cat "$list"
}

# ---------------------------------------------------------------- what is in the way

# obstacles NEW: what is untracked and lies where a checkout of NEW puts a file. KIND, a tab, PATH: a file, which can
# be saved; a folder or a repository, which cannot.
obstacles() {
  local path
  moves "$(head_commit)" "$1" | sed -n "s/^A$TAB//p" | while IFS= read -r path; do obstacle "$path"; done | sort -u |
    while IFS="$TAB" read -r kind path; do
      # staged as new already: then it counts among the changed files
      [ "$kind" != repository ] && [ -n "$(tgit --literal-pathspecs ls-files -- "$path")" ] || say "$kind$TAB$path"
    done
}

# obstacle PATH: the first part of the path that is not what it should be.
obstacle() {
  local part='' rest=$1
  while :; do
    part=${part:+$part/}${rest%%/*}
    if [ -L "$TARGET/$part" ]; then
      say "file$TAB$part"
    elif [ ! -e "$TARGET/$part" ]; then
      :
    elif [ "$part" = "$1" ]; then
      if [ -d "$TARGET/$part" ]; then say "folder$TAB$part"; else say "file$TAB$part"; fi
    elif [ ! -d "$TARGET/$part" ]; then
      say "file$TAB$part"
    elif [ -e "$TARGET/$part/.git" ]; then
      say "repository$TAB$part"
    else
      rest=${rest#*/}
      continue
    fi
    return 0
  done
}

# Refuses where git was told to hide the changes of a file that a checkout of $1 replaces.
refuse_hidden() {
  local commit=$1 flagged path unseen='' skipped=''
  flagged=$(moves "$(head_commit)" "$commit" | sed "s/^[A-Z]$TAB//" | tr '\n' '\0' |
    xargs -0 git -C "$TARGET" --literal-pathspecs ls-files -v -- | grep '^[a-zS] ' || true)
  [ -n "$flagged" ] || return 0
  while IFS= read -r path; do
    case $path in [a-z]\ *) unseen="$unseen${path#??}
" ;; esac
    # not on disk: a sparse checkout, in which there is nothing to lose
    case $path in [Ss]\ *) if [ -e "$TARGET/${path#??}" ] || [ -L "$TARGET/${path#??}" ]; then skipped="$skipped${path#??}
"; fi ;; esac
  done <<FLAGGED
$flagged
FLAGGED
  [ -n "$unseen$skipped" ] || return 0
  set -- "these files are marked assume-unchanged or skip-worktree, so that git would not see your changes:" \
    "$(printf '%s' "$unseen$skipped" | sort -u | indent)" "Lift the marks:"
  if [ -n "$unseen" ]; then
    set -- "$@" "$(in_target update-index --no-assume-unchanged -- "$(printf '%s' "$unseen" | as_words)")"
  fi
  if [ -n "$skipped" ]; then
    set -- "$@" "$(in_target update-index --no-skip-worktree -- "$(printf '%s' "$skipped" | as_words)")"
  fi
  die "$@"
}

# git writes a file by replacing it, for which its folder must be writable.
refuse_unwritable() {
  local path folder own
  own=$(tgit rev-parse --path-format=absolute --git-dir)
  [ -w "$own" ] || die "the folder $own cannot be written, and git needs to. To own it:" \
    "sudo chown -R \"\$(id -un)\" $(quoted "$TARGET_SHOWN")"
  moves "$(head_commit)" "$1" | cut -f 2 | while IFS= read -r path; do
    folder=./$path
    folder=${folder%/*}
    while [ ! -e "$TARGET/$folder" ]; do folder=${folder%/*}; done
    say "$folder"
  done | sort -u | while IFS= read -r folder; do [ -w "$TARGET/$folder" ] || say "$folder"; done >"$TMP/unwritable"
  [ ! -s "$TMP/unwritable" ] || die "these folders of $TARGET cannot be written, and files in them would change:" \
    "$(at_most 10 <"$TMP/unwritable" | indent)" "If another user owns them, as Docker leaves them:" \
    "sudo chown -R \"\$(id -un)\" $(quoted "$TARGET_SHOWN")"
}

# make_way_for COMMIT [LATER]: refuses to move the checkout to COMMIT while something of the user's is in the way; with
# FORCE=1 saves it first. Other untracked files are not in the way, and stay where they are. LATER is a commit of the
# sandbox that the checkout will reach after that.
make_way_for() {
  local commit=$1 later=${2:-$1} changed blocked solid
  refuse_hidden "$later"
  refuse_unwritable "$later"
  changed=$(changed_files)
  blocked=$(obstacles "$later")
  solid=$(printf '%s\n' "$blocked" | sed -n "s/^repository$TAB\(.*\)/\1  (a git repository of its own)/p; s/^folder$TAB\(.*\)/\1  (a folder)/p")
  [ -z "$solid" ] || die "in $TARGET the series adds files where you keep something that cannot be saved for you:" \
    "$(say "$solid" | indent)" "Move it to another place, then run this again."
  blocked=$(printf '%s\n' "$blocked" | cut -f 2)
  if [ -z "$changed$blocked" ]; then return 0; fi
  if [ -n "$FORCE" ]; then
    save_work "$blocked"
    return 0
  fi
  {
    say "apply_patches.sh: $TARGET holds work that would be in the way:"
    [ -z "$changed" ] || say "$changed" | at_most 20 | sed 's/^/    /'
    [ -z "$blocked" ] || say "$blocked" | sed 's/$/  (untracked; the series has a file there)/' | at_most 20 | sed 's/^/    /'
    [ -z "$changed" ] || say "  Commit it, or put it away:  $(in_target stash push)"
    [ -z "$blocked" ] || say "  Move these files to another place."
    say "  Or let it be saved to a backup ref first:  FORCE=1 $(next "$COMMAND")"
  } >&2
  exit 1
}

# ---------------------------------------------------------------- the move

# switch_to COMMIT [NAME]: the only place where files change. NAME is the branch that HEAD is on afterwards, which is
# made or moved if it is ours; without one HEAD is detached. When anything fails, all is as it was before.
switch_to() {
  local commit=$1 name=${2:-} old_ref left
  old_ref=$(head_branch)
  set_ref pending-from HEAD
  set_ref pending "$commit"
  tgit config rewact.pendingbranch "$old_ref"
  printf '%s\n' "$old_ref" "$(branch_tip)" >"$TMP/switching"
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
      tgit update-ref -m "rewact: $COMMAND" "$name" "$commit" 2>"$TMP/error" || failed_switch "branch $BRANCH could not be written"
    fi
    tgit symbolic-ref -m "rewact: $COMMAND" HEAD "$name" 2>"$TMP/error" || failed_switch "HEAD could not be written"
  fi
  rm "$TMP/switching"
  forget_switch
}

forget_switch() {
  drop_ref pending
  drop_ref pending-from
  tgit config --unset rewact.pendingbranch || true
}

# The files that differ between where we come from and COMMIT and that a sparse checkout leaves out.
files_left_out() {
  [ "$(tgit config --bool core.sparseCheckout || true)" = true ] || return 0
  moves "$(ref pending-from)" "$1" | sed -n "s/^[AMT]$TAB//p" | while IFS= read -r path; do
    [ -e "$TARGET/$path" ] || [ -L "$TARGET/$path" ] || say "$path"
  done
}

failed_switch() {
  local what=$1
  shift
  if put_back 2>"$TMP/put-back"; then
    die_of_git "$what, and it is as it was before:" "$@"
  fi
  die_of_git "$what:" "$@" "These files could not be put back to what they were:" "$(at_most 10 <"$TMP/left" | indent)" \
    "Nothing of yours is among them. Once the cause is gone, this puts them back:  $(next "$COMMAND")"
}

# put_back: undoes a checkout that stopped anywhere between refs/rewact/pending-from and refs/rewact/pending: files,
# index, HEAD and branch. It replaces only what the checkout wrote. Returns 1, with the files in $TMP/left, when that
# fails; the refs then stay for the next attempt.
put_back() {
  local old new old_ref='' branch='' path kind
  old=$(ref pending-from) new=$(ref pending)
  if [ -f "$TMP/switching" ]; then
    {
      read -r old_ref
      read -r branch
    } <"$TMP/switching"
    rm -f "$TMP/switching"
  else
    old_ref=$(tgit config rewact.pendingbranch || true)
    branch=keep
  fi
  moves "$old" "$new" >"$TMP/moves"
  # a checkout that is complete goes back as git does it, which keeps a sparse checkout sparse
  if [ "$(head_commit)" = "$new" ] && [ -z "$(changed_files)" ]; then tgit checkout --quiet --detach "$old" || true; fi
  [ "$(head_commit)" = "$old" ] && [ -z "$(changed_files)" ] || put_files_back "$old" "$new"
  if [ "$(head_commit)" != "$old" ]; then tgit update-ref --no-deref -m "rewact: back" HEAD "$old" || true; fi
  if [ -n "$old_ref" ] && [ "$(head_branch)" != "$old_ref" ]; then tgit symbolic-ref -m "rewact: back" HEAD "$old_ref" || true; fi
  if [ "$branch" != keep ] && [ "$(branch_tip)" != "$branch" ]; then
    if [ -n "$branch" ]; then
      tgit update-ref -m "rewact: back" "refs/heads/$BRANCH" "$branch" || true
    else
      tgit update-ref -d "refs/heads/$BRANCH" || true
    fi
  fi
  changed_files >"$TMP/left"
  while IFS="$TAB" read -r kind path; do
    [ "$kind" != A ] || ! is_written "$path" "$new" || say "?? $path"
  done <"$TMP/moves" >>"$TMP/left"
  [ ! -s "$TMP/left" ] || return 1
  forget_switch
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

# Has a checkout been cut off here, with nothing of the user's among the files that differ? Its half of the files
# is then put back before any command goes on.
was_cut_off() {
  local old new head path
  new=$(ref pending) old=$(ref pending-from)
  [ -n "$new" ] && [ -n "$old" ] || return 1
  head=$(head_commit)
  [ "$head" = "$old" ] || { [ "$head" = "$new" ] && [ -z "$(head_branch)" ]; } || return 1
  moves "$old" "$new" | cut -f 2 >"$TMP/paths"
  { changed_files | cut -c 4- && cat "$TMP/paths"; } | sort -u | while IFS= read -r path; do
    if [ ! -e "$TARGET/$path" ] && [ ! -L "$TARGET/$path" ]; then continue; fi
    grep -qxF -- "$path" "$TMP/paths" || exit 1
    is_written "$path" "$new" || [ "$(disk_blob "$path")" = "$(tgit rev-parse -q --verify "$old:$path" || true)" ] || exit 1
  done
}

put_back_what_was_cut_off() {
  if ! was_cut_off; then return 0; fi
  put_back 2>"$TMP/error" || die_of_git "a checkout was cut off in $TARGET, and these files could not be put back:" \
    "$(at_most 10 <"$TMP/left" | indent)" "Nothing of yours is among them."
  say "A checkout was cut off in $TARGET: it is as it was before."
}
