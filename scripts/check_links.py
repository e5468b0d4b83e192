#!/usr/bin/env python
"""Check the links of the documentation: files and headings in this repository, and other sites on request.

    python scripts/check_links.py               # within the repository, no network; part of `make lint`
    python scripts/check_links.py --list        # print every link to another site
    EXTERNAL=1 python scripts/check_links.py    # also ask the other sites

Headings become anchors as they do on GitHub. A page that a script names, such as docs/ROBOT.md, has to exist as well.
"""

import argparse
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("*.md", "docs/**/*.md", ".github/**/*.md")
SOURCES = ("Makefile", "*.sh", "scripts/**/*.py", "scripts/**/*.sh", "scripts/**/*.js", "scripts/**/*.html")

FENCE = re.compile(r"^( *)(```|~~~).*?^ *\2[^\n]*$", re.M | re.S)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
HEADING = re.compile(r"^#{1,6} +(.+?)[ #]*$", re.M)
# [text](target), [name]: target, src="target"
LINK = re.compile(r"\]\(<?([^\s)>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)=\"([^\"]+)\"", re.M)
NAMED_PAGE = re.compile(r"\bdocs/[\w./-]+\.md(?:#[\w-]+)?")
# GitHub answers robots with these although the page is there
BUSY = (403, 429)


def find(patterns: tuple[str, ...], root: Path) -> list[Path]:
    return sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})


def links(text: str) -> Iterator[str]:
    """The targets of all links in a page, without those in code."""
    for match in LINK.finditer(CODE.sub("", FENCE.sub("", text))):
        yield next(group for group in match.groups() if group)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        name, n = slug, 0
        while name in found:
            n += 1
            name = f"{slug}-{n}"
        found.add(name)
    return found


def problem(page: Path, target: str, root: Path) -> str | None:
    """What is wrong with a link within the repository, or None."""
    parts = urlsplit(target)
    file = page if not parts.path else (page.parent / unquote(parts.path)).resolve()
    if not file.is_relative_to(root) or not file.exists():
        return "no such file"
    if parts.fragment and file.suffix == ".md" and unquote(parts.fragment) not in anchors(file.read_text()):
        return f"no such heading in {file.relative_to(root)}"
    return None


def check(root: Path) -> tuple[list[str], dict[str, str]]:
    """Look at every link.

    Returns:
        The broken links within the repository, one line each, and the links to other sites with a page that has them.
    """
    broken: list[str] = []
    external: dict[str, str] = {}
    for page in find(PAGES, root):
        name = page.relative_to(root)
        for target in links(page.read_text()):
            if urlsplit(target).scheme in ("http", "https"):
                external.setdefault(target, str(name))
            elif not target.startswith("mailto:") and (what := problem(page, target, root)):
                broken.append(f"{name}: {target}: {what}")
    for source in find(SOURCES, root):
        for target in sorted(set(NAMED_PAGE.findall(source.read_text()))):
            if what := problem(root / "README.md", target, root):
                broken.append(f"{source.relative_to(root)}: {target}: {what}")
    return broken, external


def ask(url: str) -> str | None:
    """Why a page on another site cannot be read, or None."""
    request = urllib.request.Request(url, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in BUSY else f"HTTP {error.code}"
    except OSError as error:
        return str(getattr(error, "reason", error))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="print the links to other sites and stop")
    args = parser.parse_args()
    broken, external = check(ROOT)
    if args.list:
        print("\n".join(sorted(external)))
        return
    if os.environ.get("EXTERNAL") == "1":
        with ThreadPoolExecutor(8) as pool:
            answers = zip(external.items(), pool.map(ask, external), strict=True)
            broken += [f"{page}: {url}: {what}" for (url, page), what in answers if what]
    for line in broken:
        print(f"broken link: {line}", file=sys.stderr)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
