# shellcheck shell=bash
# pr: the commits on the branch to a fork, and from there a pull request. Sourced by apply_patches.sh.

# cmd_pr SERIES FORK FORK-BRANCH ONTO TITLE
cmd_pr() {
  local series=$1 fork=$2 fork_branch=$3 onto=$4 base tip url shown there pushed owner name release below
  [ -n "$fork" ] || die "pr to which fork? Name yours:" "make pr FORK=<owner/name or git URL>   or   $(next 'pr --fork <owner/name or git URL>')"
  tgit check-ref-format --branch "$fork_branch" >/dev/null 2>&1 || die "$fork_branch is no name for a branch."
  case $fork_branch in
    main | master | "$onto") die "the commits do not go onto $fork_branch of your fork, which is the place for upstream's. Name another:" "$(next "pr --fork $(quoted "$fork") --branch rewact")" ;;
  esac
  url=$(fork_url "$fork")
  shown=$(shown_url "$url")
  refuse_upstream "$url"

  refuse_in_progress
  put_back_what_was_cut_off
  tip=$(branch_tip)
  [ -n "$tip" ] || die "there is no branch $BRANCH in $TARGET to push." "$(next apply)"
  base=$(known_base "$series") || die "it is not known where the series on $BRANCH starts." "$(next 'export --base COMMIT')"
  [ "$tip" != "$base" ] || die "there is no commit on $BRANCH to push." "$(next apply)"
  if ! on_branch || [ -z "$(changed_files)" ]; then :; else
    die "there are uncommitted changes, which the pull request would lack:" "$(changed_files | indent)" \
      "Commit them, or  $(in_target stash push)"
  fi
  if [ -n "$(tgit config rewact.source || true)" ]; then
    die "$TARGET comes from $(tgit config rewact.source), so its commits have no history in common with a fork. Use a clone of yours:" \
      "git clone $(quoted "$shown") my-lerobot" "$0 --target my-lerobot apply" "$0 --target my-lerobot pr --fork $(quoted "$fork")"
  fi

  # what is there, and whether it is ours
  if ! there=$(GIT_TERMINAL_PROMPT=0 tgit ls-remote -- "$url" "refs/heads/$fork_branch" 2>"$TMP/error"); then
    die_of_git "the fork $url does not answer:" "Does it exist, and may you read it?  On GitHub:  https://github.com/$UPSTREAM_REPO/fork"
  fi
  there=${there%%[!0-9a-f]*}
  pushed=refs/rewact/pushed/$(printf '%s' "$url" | git hash-object --stdin | cut -c 1-12)/$fork_branch
  if [ "$there" = "$tip" ]; then
    say "Branch $fork_branch of $shown has these commits already."
  elif [ -z "$there" ] || tgit merge-base --is-ancestor "$there" "$tip" 2>/dev/null ||
    [ "$there" = "$(tgit rev-parse -q --verify "$pushed" || true)" ]; then
    # The lease makes the server refuse when somebody pushed in the meantime.
    GIT_LFS_SKIP_PUSH=1 tgit push --quiet --force-with-lease="refs/heads/$fork_branch:$there" -- "$url" "$tip:refs/heads/$fork_branch" 2>"$TMP/error" ||
      die_of_git "the push to $url was refused:"
    say "Pushed to branch $fork_branch of $shown: the $(plural "$(tgit rev-list --count "$base..$tip")" commit) of the series."
  else
    die "branch $fork_branch of $url holds commits that were not pushed from here, and they stay." \
      "To look at them:  $(in_target fetch "$(quoted "$shown")" "$fork_branch")" \
      "To use another branch:  $(next "pr --fork $(quoted "$fork") --branch $fork_branch-2")"
  fi
  tgit update-ref "$pushed" "$tip"

  pull_request_text "$base" "$tip" "$5"
  below=$(commits_of_no_release "$base")
  if [ "$below" = unknown ]; then
    say "Note: if commits of your own lie below the series, the pull request includes them too. This clone has neither a"
    say "release of LeRobot nor a remote on it, so that cannot be told here."
  elif [ "$below" != 0 ]; then
    release=$(for name in $(series_names); do upstream "$name" TAG; done | grep . | head -n 1)
    say "Note: below the series lie $(plural "$below" commit) that no release of LeRobot has (yours, or later ones of LeRobot's main). They were"
    say "pushed too, and the pull request would include yours. For one without them, check out the release and apply there:"
    tgit rev-parse -q --verify "$release^{commit}" >/dev/null || say "  $(in_target fetch "https://github.com/$UPSTREAM_REPO.git" tag "$release")"
    say "  $(in_target checkout --detach "$release")"
  fi
  owner=$(printf '%s' "$url" | sed -n 's#.*github\.com[:/]\([^/]*\)/[^/]*$#\1#p')
  if [ -z "$owner" ]; then
    say "The fork is not on GitHub: open the pull request there, from $fork_branch onto $onto."
  elif command -v gh >/dev/null && gh auth status >/dev/null 2>&1; then
    if gh pr create --repo "$UPSTREAM_REPO" --base "$onto" --head "$owner:$fork_branch" --title="$(cat "$TMP/title")" --body-file "$TMP/body"; then
      return 0
    fi
    say "gh did not open it: see above. By hand:"
    say "  https://github.com/$UPSTREAM_REPO/compare/$onto...$owner:$fork_branch?expand=1"
  else
    say "Open the pull request here:"
    say "  https://github.com/$UPSTREAM_REPO/compare/$onto...$owner:$fork_branch?expand=1"
  fi
  say ""
  say "Title: $(cat "$TMP/title")"
  say ""
  cat "$TMP/body"
}

# commits_of_no_release COMMIT: how many commits below it are in none of LeRobot's releases, nor in a remote branch of
# LeRobot's own, as far as the checkout and lerobot/ know them. A remote of the user's does not count: their commits are
# there too. Prints "unknown" where nothing of LeRobot's history is known.
commits_of_no_release() {
  local name known='' repository
  borrow_from_lerobot
  for name in $(series_names); do # one without a tag was made for commits of the user's
    [ -z "$(upstream "$name" TAG)" ] || known="$known $(upstream "$name" COMMIT)"
  done
  for repository in "$TARGET" "$ROOT/lerobot"; do
    [ -e "$repository/.git" ] || continue
    known="$known $(git -C "$repository" for-each-ref --format='%(refname) %(objectname)' refs/tags |
      sed -nE 's#^refs/tags/v[0-9]+\.[0-9]+\.[0-9]+ ##p')"
    for name in $(git -C "$repository" remote); do
      case $(git -C "$repository" config "remote.$name.url" | tr '[:upper:]' '[:lower:]') in
        *"$UPSTREAM_REPO" | *"$UPSTREAM_REPO.git") known="$known $(git -C "$repository" for-each-ref --format='%(objectname)' "refs/remotes/$name/")" ;;
      esac
    done
  done
  # shellcheck disable=SC2086 # hashes
  known=$(printf '%s^{commit}\n' $known | sgit cat-file --batch-check='%(objectname)' | sed -n '/^[0-9a-f]*$/s/^/^/p')
  if [ -z "$known" ]; then
    echo unknown
  else
    printf '%s\n' "$1" "$known" | sgit rev-list --count --stdin
  fi
}

fork_url() {
  case $1 in
    *:*) printf '%s' "$1" ;;
    # git would take it from the target
    /*) printf '%s' "$1" ;;
    ./* | ../*) printf '%s/%s' "$PWD" "$1" ;;
    */*/*) die "$1 is neither owner/name nor a git URL." "$(next 'pr --fork <owner/name or git URL>')" ;;
    */*) if [ -d "$1" ]; then printf '%s/%s' "$PWD" "$1"; else printf 'https://github.com/%s.git' "${1%.git}"; fi ;;
    *) die "$1 is neither owner/name nor a git URL." "$(next 'pr --fork <owner/name or git URL>')" ;;
  esac
}

# Nothing is ever pushed to LeRobot itself, however its address is written or rewritten by git's settings.
refuse_upstream() {
  local url plain
  for url in "$1" "$(tgit ls-remote --get-url -- "$1")" "$(push_url "$1")"; do
    plain=$(printf '%s' "$url" | tr '[:upper:]' '[:lower:]' | sed -e 's#[?\#].*##' -e 's#//*#/#g' -e 's#/*$##' -e 's#\.git$##' -e 's#/*$##')
    case $plain in
      */"$UPSTREAM_REPO" | *:"$UPSTREAM_REPO" | "$UPSTREAM_REPO")
        die "$(shown_url "$url") is LeRobot itself, and nothing is pushed there. Name your own fork:" "$(next 'pr --fork <owner/name>')"
        ;;
    esac
  done
}

# push_url URL: where a push really goes: git's setting url.<address>.pushInsteadOf, the longest that fits.
push_url() {
  tgit config --get-regexp '^url\..*\.pushinsteadof$' | awk -v url="$1" '
    { key = $1; sub(/^url\./, "", key); sub(/\.pushinsteadof$/, "", key)
      if (index(url, $2) == 1 && length($2) > best) { best = length($2); result = key substr(url, best + 1) } }
    END { print (result == "" ? url : result) }'
}

# pull_request_text BASE TIP TITLE: title and body, made from the commit messages, into $TMP/title and $TMP/body.
pull_request_text() {
  local commit
  tgit log --reverse --format='%s' "$1..$2" >"$TMP/subjects"
  if [ -n "$3" ]; then
    say "$3" >"$TMP/title"
  else
    sed -n 1p "$TMP/subjects" >"$TMP/title"
  fi
  {
    say "One commit, one idea, in an order in which each step runs:"
    say ""
    sed 's/^/- /' "$TMP/subjects"
    tgit rev-list --reverse "$1..$2" | while IFS= read -r commit; do
      say ""
      tgit log -1 --format='### %s' "$commit"
      say ""
      # the trailers are for the patch series, not for upstream
      tgit log -1 --format='%b' "$commit" | sed '/^Upstream: /d; /^Drop-when: /d' | awk 'NF { for (; blank > 0; blank--) print ""; print; next } { blank++ }'
    done
  } >"$TMP/body"
}
