# shellcheck shell=bash disable=SC2016 # the $ signs in quotes are awk's
# The patch series: which there are, for which files each was made, and the lint. Sourced by apply_patches.sh.

# All series, the newest release first, and last those whose name is that of no release.
series_names() {
  local dir
  for dir in "$ROOT"/patches/*/; do
    [ ! -f "$dir/UPSTREAM" ] || basename "$dir"
  done | sed -e 's/^v\([0-9]\)/1.\1/' -e t -e 's/^/0./' | sort -t. -k1,1nr -k2,2nr -k3,3nr -k4,4nr | sed -e 's/^1\./v/' -e 's/^0\.//'
}

newest_series() { series_names | head -n 1; }

series_dir() { printf '%s' "$ROOT/patches/$1"; }
is_series() { [ -f "$ROOT/patches/$1/UPSTREAM" ]; }
require_series() { is_series "$1" || die "there is no series patches/$1." "There are: $(series_names | tr '\n' ' ')"; }
require_patches() {
  require_series "$1"
  [ "$(patch_count "$(series_dir "$1")")" -gt 0 ] || die "patches/$1 holds no patch."
}

# A value of a series' UPSTREAM: $(upstream v0.6.1 COMMIT)
upstream() { sed -n "s/^UPSTREAM_$2=//p" "$ROOT/patches/$1/UPSTREAM"; }

# The release of a series as git knows it: its tag, or its commit where it has none.
release_of() {
  local tag
  tag=$(upstream "$1" TAG)
  printf '%s' "${tag:-$(upstream "$1" COMMIT)}"
}

patch_files() { find "$1" -maxdepth 1 -name '[0-9][0-9][0-9][0-9]-*.patch' | sort; }
patch_count() { patch_files "$1" | wc -l | tr -d ' '; }

# One hash for the patches in a folder.
series_hash() {
  local file
  patch_files "$1" | while IFS= read -r file; do
    basename "$file"
    cat "$file"
  done | git hash-object --stdin
}

# The files that a series touches, each with the blob it expects before the first patch: "BLOB PATH".
# A blob of zeros stands for a file that the series adds.
touched() {
  patch_files "$1" | tr '\n' '\0' | xargs -0 awk '
    /^diff --git / { path = substr($4, 3) }
    /^index [0-9a-f]+\.\.[0-9a-f]+/ && path != "" {
      if (!(path in seen)) { split($2, blob, /\.\./); print blob[1], path }
      seen[path] = 1; path = ""
    }'
}

# misfits COMMIT DIR: the files of COMMIT that are not those the series in DIR was made for, one line each.
# Prints nothing when it fits.
misfits() {
  touched "$2" >"$TMP/touched"
  awk '{ print $2 }' "$TMP/touched" | tr '\n' '\0' |
    xargs -0 git -C "$TARGET" ls-tree --full-tree "$1" -- >"$TMP/present"
  awk '
    NR == FNR { blob[$4] = $3; next }
    $1 ~ /^0+$/ { if ($2 in blob) print $2 " is there already, and the series adds it"; next }
    !($2 in blob) { print $2 " is missing"; next }
    blob[$2] != $1 { print $2 " differs" }' FS='[ \t]' "$TMP/present" FS=' ' "$TMP/touched"
}

# misfits_after COMMIT DIR: the files of COMMIT that are not what the last patch in DIR leaves, one line each.
misfits_after() {
  patch_files "$2" | tr '\n' '\0' | xargs -0 awk '
    /^diff --git / { path = substr($4, 3) }
    /^index [0-9a-f]+\.\.[0-9a-f]+/ && path != "" { split($2, blob, /\.\./); last[path] = blob[2]; path = "" }
    END { for (path in last) print last[path], path }' >"$TMP/after"
  awk '{ print $2 }' "$TMP/after" | tr '\n' '\0' |
    xargs -0 git -C "$TARGET" ls-tree --full-tree "$1" -- >"$TMP/present"
  awk '
    NR == FNR { blob[$4] = $3; next }
    $1 ~ /^0+$/ ? $2 in blob : blob[$2] != $1 { print $2 }' FS='[ \t]' "$TMP/present" FS=' ' "$TMP/after"
}

# choose_series SERIES COMMIT: prints the series for COMMIT: the one asked for, or the one whose files are
# COMMIT's. The version in COMMIT's pyproject.toml is only a hint where several fit: main has the next one right
# after a release. Returns 1 when none fits.
choose_series() {
  local series=$1 commit=$2 hint name
  if [ -n "$series" ]; then
    [ -z "$(misfits "$commit" "$(series_dir "$series")")" ] || return 1
    say "$series"
    return
  fi
  hint=v$(tgit cat-file -p "$commit:pyproject.toml" 2>/dev/null | sed -n 's/^version *= *"\(.*\)"/\1/p' | head -n 1)
  for name in "$hint" $(series_names); do
    if ! is_series "$name" || [ "$(patch_count "$(series_dir "$name")")" = 0 ]; then continue; fi
    if [ -z "$(misfits "$commit" "$(series_dir "$name")")" ]; then
      say "$name"
      return
    fi
  done
  return 1
}

# explain_misfits SERIES COMMIT: says for the series asked for, or for all, which files of COMMIT differ.
explain_misfits() {
  local name
  for name in ${1:-$(series_names)}; do
    say "patches/$name was made for other files than those of $(short "$2"):"
    misfits "$2" "$(series_dir "$name")" | at_most 10 | indent
  done
}

# The subject of a patch file, which may go over several lines.
subject_of() { awk '/^Subject: / { text = substr($0, 10); on = 1; next } on && /^ / { text = text $0; next } on { exit } END { print text }' "$1"; }

# format_series BASE TIP DIR: writes the patches of the sandbox's commits BASE..TIP into DIR.
format_series() {
  open_sandbox
  sgit format-patch --quiet --zero-commit --no-signature --full-index --no-stat --no-numbered --keep-subject \
    --no-encode-email-headers --no-renames --binary --filename-max-length=100 --output-directory "$3" "$1..$2"
}

# The lint of the patches in a folder. Prints one line for each fault.
lint_series() {
  local dir=$1 file number=0
  patch_files "$dir" >"$TMP/files"
  while IFS= read -r file; do
    number=$((number + 1))
    case ${file##*/} in
      "$(printf '%04d' $number)"-*) ;;
      *) say "${file##*/}: the number should be $(printf '%04d' $number)" ;;
    esac
  done <"$TMP/files"
  tr '\n' '\0' <"$TMP/files" | xargs -0 awk '
    function fault(text) { name = FILENAME; sub(/.*\//, "", name); print name ":" FNR ": " text }
    # Is the file one that PyPI has too? A series that changes others would not apply to its sdist.
    function in_sdist(path) {
      if (path ~ /^(pyproject\.toml|README\.md|setup\.py|MANIFEST\.in|tests\/test_[^\/]*\.py)$/) return 1
      if (path !~ /^src\//) return 0
      return path !~ /\.(mdx?|proto)$/ || path ~ /template[^\/]*\.md$/
    }
    function finish() {
      if (part == "" ) return
      name = last; sub(/.*\//, "", name)
      if (!subject) print name ": has no Subject"
      if (!words) print name ": the body says nothing: problem, change, effect"
      if (!upstream) print name ": lacks the trailer \"Upstream: none\" (or not-needed, or a URL)"
      if (!dropwhen) print name ": lacks the trailer \"Drop-when: <when the patch is no longer needed>\""
      if (part != "diff" && part != "text") print name ": changes nothing"
    }
    FNR == 1 {
      finish(); last = FILENAME
      part = "header"; text = ""; subject = words = upstream = dropwhen = broken = 0
      if ($0 !~ /^From 0+ Mon Sep 17 00:00:00 2001$/) fault("does not start as an exported patch does: run export" ($0 ~ /\r$/ ? " (it has CRLF line ends)" : ""))
      next
    }
    part == "header" && /^Subject: / { text = substr($0, 10); subject = 1; next }
    part == "header" && /^ / { if (subject == 1) text = text $0; next } # a long line goes on
    part == "header" && /^$/ {
      part = "body"
      if (text ~ /^(fixup|squash|amend)! /) fault("is a fixup: fold it into its commit first, with rebase -i --autosquash")
      else if (text !~ /^[a-z]+(\([^)]+\))?!?: [^ ]/) fault("the subject is not in the style of LeRobot, as in \"feat(act): add a reward head\"")
      gsub(/[\200-\277]/, "", text) # count characters, not bytes
      if (length(text) > 100) fault("the subject is longer than 100 characters")
      next
    }
    part == "header" { if (subject == 1) subject = 2; next }
    # Things at which `git am` takes the message for ended. The real end is followed by a line about the file.
    part == "body" && /^(---[ \t]*$|--- [^ ]|diff -|Index: )/ {
      ending = $0; part = "end?"
      if (!/^diff --git /) { fault("a line of the body would end the message: " ending); part = "text" }
    }
    part == "end?" && $0 != ending {
      if (/^(index |new file |deleted file |old mode |similarity |rename )/) part = "diff"
      else { fault("a line of the body would end the message: " ending); part = "text" }
    }
    part == "text" && /^diff --git / { part = "diff" }
    part == "body" {
      if (/^From: |^Date: |^Subject: /) fault("a line of the body would be taken for a header: " $0)
      if (/^Upstream: *(none|not-needed|https?:\/\/[^ ]+)$/) upstream = 1
      else if (/^Upstream:/) fault("Upstream: is none, not-needed or a URL")
      else if (/^Drop-when: *[^ ]/) dropwhen = 1
      else if (/[^ ]/ && !/^(Co-authored-by|Signed-off-by):/) words = 1
      next
    }
    (part == "diff" || part == "end?") && /^diff --git / {
      path = substr($4, 3)
      if (NF != 4 || $3 != "a/" path || path ~ /[^A-Za-z0-9_.\/+-]/) fault("a file is renamed or has an odd name: " $0)
    }
    part == "diff" && /^new file mode / { added[path] = 1 }
    part == "diff" && /^index / {
      if ($2 !~ /^[0-9a-f]+\.\.[0-9a-f]+$/ || length($2) < 82) fault("the index line is cut short: run export")
      if (!(path in added) && !in_sdist(path)) fault("modifies " path ", which the source distribution on PyPI does not have")
    }
    part == "diff" && /^-- $/ { fault("ends in a signature: run export") }
    END { finish() }'
}

# write_upstream COMMIT DIR: writes UPSTREAM, for a series on COMMIT, into DIR.
write_upstream() {
  local commit=$1 dir=$2 tag sha='' name
  for name in $(series_names); do # the import of an sdist: its release is known already
    if [ "$(tgit rev-parse -q --verify "refs/tags/pypi-$(upstream "$name" TAG)^{commit}")" = "$commit" ]; then
      cp "$(series_dir "$name")/UPSTREAM" "$dir/UPSTREAM"
      return
    fi
  done
  tag=$(tgit tag --points-at "$commit" | grep -E '^v[0-9]+(\.[0-9]+)+$' | head -n 1 || true)
  [ -z "$tag" ] || sha=$(sdist_sha256 "${tag#v}")
  {
    echo "# The LeRobot release that this series applies to. Plain KEY=VALUE lines, read by bash and Python."
    if [ -z "$tag" ]; then
      echo "# A commit without a release: PyPI has no source distribution of it, so make setup needs a git source."
    elif [ -z "$sha" ]; then
      echo "# The package index was not asked or had no source distribution: add its sha256, or use a git source."
    fi
    echo "UPSTREAM_TAG=$tag"
    echo "UPSTREAM_COMMIT=$commit"
    echo "UPSTREAM_SDIST_SHA256=$sha"
  } >"$dir/UPSTREAM"
}

# The sha256 of PyPI's sdist, from the index that pip uses; nothing when it is not there.
sdist_sha256() {
  [ -z "${PIP_NO_INDEX:-}" ] || return 0
  VERSION=$1 python3 - 2>/dev/null <<'PYTHON' || true
import json
import os
import urllib.request

index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
request = urllib.request.Request(
    f"{index}/lerobot/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
)
with urllib.request.urlopen(request, timeout=20) as answer:
    for file in json.load(answer)["files"]:
        if file["filename"] == f"lerobot-{os.environ['VERSION']}.tar.gz":
            print(file["hashes"]["sha256"])
PYTHON
}
