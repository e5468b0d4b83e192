# shellcheck shell=bash
# What a move of the checkout would overwrite, and what would stop it half-way. Sourced by apply_patches.sh.

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
  moves "$(head_commit)" "$commit" | sed "s/^[A-Z]$TAB//" | tr '\n' '\0' >"$TMP/paths0"
  [ -s "$TMP/paths0" ] || return 0 # ls-files without a path lists all
  flagged=$(xargs -0 git -C "$TARGET" --literal-pathspecs ls-files -v -- <"$TMP/paths0" | grep '^[a-zS] ' || true)
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

# make_way_for COMMIT: refuses to move the checkout to COMMIT while something of the user's is in the way; with FORCE=1
# saves it first. Other untracked files are not in the way, and stay where they are.
make_way_for() {
  local commit=$1 changed blocked solid
  refuse_hidden "$commit"
  refuse_unwritable "$commit"
  changed=$(changed_files)
  blocked=$(obstacles "$commit")
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
    if [ -n "$(tgit ls-files -u)" ]; then
      say "  Resolve the conflict in it and commit that:  $(in_target status)"
    elif [ -n "$changed" ]; then
      say "  Commit it, or put it away:  $(in_target stash push)"
    fi
    [ -z "$blocked" ] || say "  Move these files to another place."
    say "  Or let it be saved to a backup ref first:  FORCE=1 $(again)"
  } >&2
  exit 1
}
