# shellcheck shell=bash
# export, and check, which exports a pristine copy and compares. Sourced by apply_patches.sh.

# compare_folders NEW OLD: prints how the patches in the folder NEW differ from those in OLD, one line each.
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
  local name=$1 given_base=$2 tip base count new faults unknown=''
  refuse_in_progress
  put_back_what_was_cut_off
  tip=$(branch_tip)
  [ -n "$tip" ] || die "export takes the commits on branch $BRANCH, and $TARGET has none." "$(next apply)"
  on_branch || die "export takes the commits on branch $BRANCH, and $TARGET is not on it." "$(in_target switch "$BRANCH")"
  if [ -n "$given_base" ]; then
    base=$(tgit rev-parse -q --verify --end-of-options "$given_base^{commit}") || die "there is no commit $given_base in $TARGET."
    tgit merge-base --is-ancestor "$base" "$tip" || die "$given_base is no ancestor of $BRANCH."
  else
    base=$(known_base "$name") || die "it is not known where the series on $BRANCH starts. Name the commit before its first:" "$(next 'export --base COMMIT')"
  fi
  [ -z "$(changed_files)" ] || die "there are uncommitted changes, which the series would lack:" \
    "$(changed_files | at_most 20 | indent)" "Commit them (to fix an earlier commit: git commit --fixup, then rebase -i --autosquash), or  $(in_target stash push)"
  count=$(tgit rev-list --count "$base..$tip")
  [ "$count" -gt 0 ] || die "there is no commit on $BRANCH after $(short "$base"): an empty series is not written." "To restore the series:  $(next apply)"
  [ -z "$(tgit rev-list --merges "$base..$tip")" ] || die "there is a merge among the commits, and a patch cannot hold one. Make the history linear first:" "$(in_target rebase "$(short "$base")")"

  name=${name:-$(tgit config rewact.series || true)}
  if [ -z "$name" ]; then
    name=$(choose_series "" "$base") || die "no series fits the base $(short "$base"). Give the result a name of its own:" "$(next 'export --series NAME')"
  fi
  case $name in "" | .* | *[!A-Za-z0-9._-]*) die "$name is no name for a series." ;; esac
  ! is_series "$name" || refuse_other_base "$name" "$base" "$tip"

  [ ! -d "$(series_dir "$name")" ] || [ -w "$(series_dir "$name")" ] || die "the folder patches/$name cannot be written."
  new=$(unfinished_folder "$ROOT/patches")
  format_series "$base" "$tip" "$new"
  faults=$(lint_series "$new")
  [ -z "$faults" ] || die "the commits do not make good patches; the series was left as it is:" "$(say "$faults" | indent)" \
    "Reword them:  $(in_target rebase -i "$(short "$base")")"
  verify_round_trip "$base" "$tip" "$new"

  if is_series "$name"; then
    refuse_hand_edits "$name" "$new"
    update_series "$name" "$new" "$count"
  else
    create_series "$name" "$new" "$base"
    unknown=1 # to git, whose diff does not show such files
    say "Wrote the new series patches/$name, $(plural "$count" patch patches) on $(short "$base")."
  fi
  set_ref base "$base"
  set_ref tip "$tip"
  tgit config rewact.series "$name"
  tgit config rewact.hash "$(series_hash "$(series_dir "$name")")"
  tgit config rewact.folder "$(folder_tree "$name")"
  say "Look at it with:  $(git_here "${unknown:+add -N patches/$name && git }diff patches")   Check it with:  $(next check)"
}

# git_here COMMAND: a git command for this repository, as one has to type it.
git_here() { if [ "$PWD" = "$ROOT" ]; then printf 'git %s' "$1"; else printf 'cd %s && git %s' "$(quoted "$ROOT")" "$1"; fi; }

# create_series NAME NEW BASE: moves the patches in the folder NEW to patches/NAME, with its UPSTREAM.
create_series() {
  local dir
  dir=$(series_dir "$1")
  write_upstream "$3" "$2"
  chmod 755 "$2"
  [ ! -d "$dir" ] || rmdir "$dir" || die "patches/$1 holds files, but is no series: it stays as it is."
  mv "$2" "$dir"
}

# update_series NAME NEW COUNT: replaces the patches of a series by those in the folder NEW, and says what changed.
update_series() {
  local dir
  dir=$(series_dir "$1")
  compare_folders "$2" "$dir" >"$TMP/report"
  swap_in "$2" "$dir"
  if grep -qv '^  = ' "$TMP/report"; then
    say "Exported $(plural "$3" commit) to patches/$1:"
    cat "$TMP/report"
  else
    say "Exported $(plural "$3" commit) to patches/$1: nothing changed."
  fi
}

# refuse_other_base SERIES BASE TIP: commits that were made on other files than those of the series' release would
# not apply to it.
refuse_other_base() {
  local name=$1 base=$2 tip=$3 pin other
  pin=$(pristine "$name" || true)
  if [ -n "$pin" ]; then
    other=$(tgit diff-tree -r --name-only --no-renames "$base" "$tip" | tr '\n' '\0' |
      xargs -0 git -C "$TARGET" diff-tree -r --name-only --no-renames "$pin" "$base" --)
  else
    other=$(misfits "$base" "$(series_dir "$name")")
  fi
  [ -z "$other" ] || die "the commits were made on other files than those of $name:" "$(say "$other" | indent)" \
    "Keep them as a series of their own:  $(next "export --series $(name_of "$base")")"
}

# verify_round_trip BASE TIP DIR: refuses commits that their patches, in DIR, would not reproduce exactly.
verify_round_trip() {
  local base=$1 tip=$2 built
  built=$(build "$3" "$base") || die "the exported patches would not apply again:" "$(git_error)"
  [ "$(fingerprint "$base" "$tip")" = "$(fingerprint "$base" "$built")" ] ||
    die "the patches would not give the same commits again. The first that differs:" \
      "$(first_difference "$base" "$tip" "$built")" "Reword it:  $(in_target rebase -i "$(short "$base")")"
}

first_difference() {
  sgit log --reverse --format='%T %an %ae %ad %s' "$1..$2" >"$TMP/a"
  sgit log --reverse --format='%T %an %ae %ad %s' "$1..$3" >"$TMP/b"
  diff "$TMP/a" "$TMP/b" | sed -n '2s/^. [0-9a-f]* //p'
  [ -s "$TMP/a" ] && cmp -s "$TMP/a" "$TMP/b" && say "(only a message differs)"
  true
}

# refuse_hand_edits SERIES NEW: patches that were edited by hand, or pulled since they were applied, are in no commit
# on the branch, and those in the folder NEW would replace them.
refuse_hand_edits() {
  local name=$1 now
  now=$(series_hash "$(series_dir "$name")")
  if [ "$(patch_count "$(series_dir "$name")")" = 0 ] || [ "$(tgit config rewact.hash || true)" = "$now" ] ||
    [ "$now" = "$(series_hash "$2")" ]; then
    return 0
  fi
  if [ -n "$FORCE" ]; then
    save_series "$name"
    return
  fi
  die "the patches in patches/$name are not those that were applied (edited by hand, or pulled since): export would undo that." \
    "To take them instead:  FORCE=1 $(next apply)   (saves the commits on $BRANCH first)" \
    "To overwrite them:     FORCE=1 $(next export)  (saves the patches first)"
}

# swap_in NEW OLD: moves the patches in NEW to OLD, file by file. A file that is the same is not touched.
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
  local series=$1 name old new pin release built faults checked=0 bad=0
  for name in ${series:-$(series_names)}; do
    old=$(series_dir "$name")
    release=$(release_of "$name")
    if [ "$(patch_count "$old")" = 0 ]; then
      say "patches/$name: holds no patch."
      bad=1
      continue
    fi
    faults=$(lint_series "$old")
    if [ -n "$faults" ]; then
      say "patches/$name: lint"
      say "$faults" | indent
      bad=1
    fi
    if [ -n "$series" ]; then
      pin=$(require_pristine "$name")
    elif ! pin=$(pristine "$name"); then
      say "patches/$name: not tried, since neither $TARGET nor lerobot/ holds $release."
      continue
    fi
    checked=1
    if ! built=$(build "$old" "$pin"); then
      say "patches/$name: does not apply to $release:"
      git_error | indent
      bad=1
      continue
    fi
    new=$TMP/check-$name
    mkdir "$new"
    format_series "$pin" "$built" "$new"
    compare_folders "$new" "$old" >"$TMP/report"
    if grep -qv '^  = ' "$TMP/report"; then
      say "patches/$name: is not what an export of it gives. Run apply and export. (= same, ~ changed)"
      cat "$TMP/report"
      bad=1
    else
      say "patches/$name: $(patch_count "$old") patches; lint, apply to $release, export again: the same."
    fi
  done
  [ $bad = 0 ] || exit 1
  [ $checked = 1 ] || die "no series could be tried on $TARGET." "$(how_to_fill)"
}
