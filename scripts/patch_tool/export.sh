# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# export, and check, which exports a pristine copy and compares. Sourced by apply_patches.sh.

# Prints how the patches in the folder NEW differ from those in OLD, one line each.
compare_folders() {
  local new=$1 old=$2 file same
  patch_files "$new" | while IFS= read -r file; do
    if cmp -s "$file" "$old/${file##*/}"; then
      say "  = ${file##*/}"
    elif [ -f "$old/${file##*/}" ]; then
      say "  ~ ${file##*/}  (changed)"
    else
      same=$(find "$old" -maxdepth 1 -name "[0-9][0-9][0-9][0-9]-$(basename "$file" | cut -c 6-)" 2>/dev/null | head -n 1)
      if [ -z "$same" ]; then
        say "  + ${file##*/}  (new)"
      elif cmp -s "$file" "$same"; then
        say "  > ${file##*/}  (was ${same##*/})"
      else
        say "  ~ ${file##*/}  (was ${same##*/}, and changed)"
      fi
    fi
  done
  patch_files "$old" | while IFS= read -r file; do
    [ -n "$(find "$new" -maxdepth 1 -name "*-$(basename "$file" | cut -c 6-)")" ] || say "  - ${file##*/}  (dropped)"
  done
}

cmd_export() {
  local tip base count name faults fresh=
  refuse_in_progress
  tip=$(branch_tip)
  [ -n "$tip" ] || die "export takes the commits on branch $BRANCH, and $TARGET has none." "$(next apply)"
  on_branch || die "export takes the commits on branch $BRANCH, and $TARGET is not on it." "$(in_target switch "$BRANCH")"
  if [ -n "$BASE_WISH" ]; then
    base=$(tgit rev-parse -q --verify "$BASE_WISH^{commit}") || die "there is no commit $BASE_WISH in $TARGET."
    tgit merge-base --is-ancestor "$base" "$tip" || die "$BASE_WISH is no ancestor of $BRANCH."
  else
    base=$(known_base) || die "it is not known where the series on $BRANCH starts. Name the commit before its first:" "$(next 'export --base COMMIT')"
  fi
  [ -z "$(changed_files)" ] || die "there are changes that no commit holds, so the series would lack them:" \
    "$(changed_files | indent)" "Commit them (to fix an earlier commit: git commit --fixup, then rebase -i --autosquash), or  $(in_target stash push)"
  count=$(tgit rev-list --count "$base..$tip")
  [ "$count" -gt 0 ] || die "there is no commit on $BRANCH after $(short "$base"): an empty series is not written." "To put the series back:  $(next apply)"
  [ -z "$(tgit rev-list --merges "$base..$tip")" ] || die "there is a merge among the commits, and a patch cannot hold one. Make them a line first:" "$(in_target rebase "$(short "$base")")"

  name=${SERIES_WISH:-$(tgit config rewact.series || true)}
  if [ -z "$name" ]; then
    choose_series "$base" || die "no series fits the base $(short "$base"). Give the result a name of its own:" "$(next 'export --series NAME')"
    name=$SERIES
  fi
  case $name in "" | .* | *[!A-Za-z0-9._-]*) die "$name is no name for a series." ;; esac
  if [ -f "$ROOT/patches/$name/UPSTREAM" ]; then
    load_series "$name"
    refuse_other_base "$base" "$tip"
  else
    fresh=1
    SERIES=$name
    SERIES_DIR=$ROOT/patches/$name
  fi

  SWAP=$(mktemp -d "$ROOT/patches/.new.XXXXXX") || die "nothing can be written in $ROOT/patches."
  format_series "$base" "$tip" "$SWAP"
  faults=$(lint_series "$SWAP")
  [ -z "$faults" ] || die "the commits do not make good patches; the series was left as it is:" "$(say "$faults" | indent)" \
    "Reword them:  $(in_target rebase -i "$(short "$base")")"
  verify_round_trip "$base" "$tip"
  [ -n "$fresh" ] || refuse_hand_edits

  if [ -n "$fresh" ]; then
    write_upstream "$base" "$SWAP"
    chmod 755 "$SWAP"
    [ ! -d "$SERIES_DIR" ] || rmdir "$SERIES_DIR" || die "patches/$SERIES holds files, but is no series: it stays as it is."
    mv "$SWAP" "$SERIES_DIR"
    say "Wrote the new series patches/$SERIES, $count patches on $(short "$base")."
  else
    compare_folders "$SWAP" "$SERIES_DIR" >"$TMP/report"
    swap_in "$SWAP" "$SERIES_DIR"
    if grep -qv '^  = ' "$TMP/report"; then
      say "Exported $count commits to patches/$SERIES:"
      cat "$TMP/report"
    else
      say "Exported $count commits to patches/$SERIES: nothing changed."
    fi
  fi
  set_ref base "$base"
  set_ref tip "$tip"
  tgit config rewact.series "$SERIES"
  tgit config rewact.hash "$(series_hash "$SERIES_DIR")"
  say "Look at it with:  git diff patches   Check it with:  $(next check)"
}

# A series is for the files of its release: commits made on other files would not fit them.
refuse_other_base() {
  local base=$1 tip=$2 pin other
  pin=$(pristine || true)
  if [ -n "$pin" ]; then
    other=$(tgit diff-tree -r --name-only --no-renames "$base" "$tip" | tr '\n' '\0' |
      xargs -0 git -C "$TARGET" diff-tree -r --name-only --no-renames "$pin" "$base" --)
  else
    other=$(misfits "$base" "$SERIES_DIR")
  fi
  [ -z "$other" ] || die "the commits were made on other files than those of $SERIES:" "$(say "$other" | indent)" \
    "Keep them as a series of their own:  $(next "export --series $(name_of "$base")")"
}

# Commits that would not come back from their patches as they are, for whatever reason, are not exported.
verify_round_trip() {
  local base=$1 tip=$2 dir=$SERIES_DIR
  SERIES_DIR=$SWAP
  build "$base" || die "the exported patches would not apply again:" "$(cat "$TMP/error")"
  SERIES_DIR=$dir
  [ "$(fingerprint "$base" "$tip")" = "$(fingerprint "$base" "$BUILT")" ] ||
    die "the patches would not give the same commits again. The first that differs:" \
      "$(first_difference "$base" "$tip" "$BUILT")" "Reword it:  $(in_target rebase -i "$(short "$base")")"
}

first_difference() {
  sgit log --reverse --format='%T %an %ae %ad %s' "$1..$2" >"$TMP/a"
  sgit log --reverse --format='%T %an %ae %ad %s' "$1..$3" >"$TMP/b"
  diff "$TMP/a" "$TMP/b" | sed -n '2s/^. [0-9a-f]* //p'
  [ -s "$TMP/a" ] && cmp -s "$TMP/a" "$TMP/b" && say "(only a message differs)"
  true
}

# Patches edited by hand, or pulled since they were applied, are in no commit on the branch.
refuse_hand_edits() {
  local noted now
  noted=$(tgit config rewact.hash || true)
  now=$(series_hash "$SERIES_DIR")
  if [ "$(patch_count "$SERIES_DIR")" = 0 ] || [ "$noted" = "$now" ] || [ "$now" = "$(series_hash "$SWAP")" ]; then return 0; fi
  if [ -n "$FORCE" ]; then
    save_series
    return
  fi
  die "the patches in patches/$SERIES are not those that were applied (edited by hand, or pulled since): export would undo that." \
    "To take them instead:  FORCE=1 $(next apply)   (saves the commits on $BRANCH first)" \
    "To write over them:    FORCE=1 $(next export)  (saves the patches first)"
}

# The patch files as a commit in the target, under a backup ref.
save_series() {
  local name tree
  name=$(backup_name)
  tree=$(patch_files "$SERIES_DIR" | while IFS= read -r file; do
    printf '100644 blob %s\t%s\n' "$(tgit hash-object -w --no-filters "$file")" "${file##*/}"
  done | tgit mktree)
  set_ref "$name" "$(plain_commit -m "rewact: patches/$SERIES, saved before export" "$tree")"
  say "The patches are saved at refs/rewact/$name. To see one:  $(in_target show "refs/rewact/$name:FILE")"
}

# Puts the patches of NEW into OLD, file by file. A file that is the same is not touched.
swap_in() {
  local new=$1 old=$2 file
  patch_files "$new" | sed 's|.*/||' >"$TMP/names"
  patch_files "$new" | while IFS= read -r file; do
    if cmp -s "$file" "$old/${file##*/}"; then continue; fi
    chmod 644 "$file"
    mv -f "$file" "$old/"
  done
  # only now the ones that are left over, so that an interruption loses nothing
  patch_files "$old" | while IFS= read -r file; do
    grep -qxF "${file##*/}" "$TMP/names" || rm -f "$file"
  done
}

cmd_check() {
  local name pin dir faults checked=0 bad=0 names=$SERIES_WISH
  [ -n "$names" ] || names=$(series_names)
  for name in $names; do
    load_series "$name"
    if [ "$(patch_count "$SERIES_DIR")" = 0 ]; then
      say "patches/$name: holds no patch."
      bad=1
      continue
    fi
    faults=$(lint_series "$SERIES_DIR")
    if [ -n "$faults" ]; then
      say "patches/$name: lint"
      say "$faults" | indent
      bad=1
    fi
    if ! pin=$(pristine); then
      [ -z "$SERIES_WISH" ] || die "$TARGET does not hold ${UPSTREAM_TAG:-$UPSTREAM_COMMIT}, so the series cannot be tried." \
        "$(in_target fetch "https://github.com/$UPSTREAM_REPO.git" "${UPSTREAM_TAG:+tag }${UPSTREAM_TAG:-$UPSTREAM_COMMIT}")"
      say "patches/$name: not tried, since $TARGET does not hold ${UPSTREAM_TAG:-$UPSTREAM_COMMIT}."
      continue
    fi
    checked=1
    if ! build "$pin"; then
      say "patches/$name: does not apply to ${UPSTREAM_TAG:-$UPSTREAM_COMMIT}:"
      indent <"$TMP/error"
      bad=1
      continue
    fi
    dir=$TMP/check-$name
    mkdir "$dir"
    format_series "$pin" "$BUILT" "$dir"
    compare_folders "$dir" "$SERIES_DIR" >"$TMP/report"
    if grep -qv '^  = ' "$TMP/report"; then
      say "patches/$name: is not what an export of it gives. Run apply and export. (= same, ~ changed)"
      cat "$TMP/report"
      bad=1
    else
      say "patches/$name: $(patch_count "$SERIES_DIR") patches; lint, apply to ${UPSTREAM_TAG:-$UPSTREAM_COMMIT}, export again: the same."
    fi
  done
  [ $bad = 0 ] || exit 1
  [ $checked = 1 ] || die "no series could be tried on $TARGET." "$(how_to_fill)"
}
