# shellcheck shell=bash
# What branch `rewact` holds, and what is noted about it. Sourced by apply_patches.sh.

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
    # but not where the series was merged into that branch
    if [ -n "$onto" ] && [ "$onto" != "$tip" ] && tgit merge-base --is-ancestor "$base" "$onto" &&
      ! tgit merge-base --is-ancestor "$(ref tip)" "$onto"; then
      base=$onto
    fi
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
  # commits of the user's below the series, which no other branch holds
  if [ "$base" != "$(ref base)" ] && ! is_elsewhere "$base"; then
    echo edited
    return
  fi
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
  tree=$(tgit config rewact.folder || true)
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
    "Or let them be saved to a backup ref first:  FORCE=1 $(again)"
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
  tgit config rewact.folder "$(folder_tree "$1")"
}

forget() {
  local key
  drop_ref base
  drop_ref tip
  for key in from series hash folder; do tgit config --unset "rewact.$key" || true; done
}

# Is a commit in a branch, tag or remote branch other than ours, or where unapply returns to?
is_elsewhere() {
  local from
  from=$(tgit config rewact.from || true)
  if [ -n "$from" ] && tgit merge-base --is-ancestor "$1" "$from" 2>/dev/null; then return 0; fi
  [ -n "$(tgit for-each-ref --contains "$1" --format='%(refname)' refs/heads refs/tags refs/remotes |
    grep -vxF "refs/heads/$BRANCH" || true)" ]
}
