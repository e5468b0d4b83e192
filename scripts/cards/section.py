"""A section of a README that a command writes, between two comments. The rest of the file belongs to its owner."""

import os
from pathlib import Path

from shared.cli import UserError

BEGIN = (
    "<!-- rewact: `make card` writes what is between this line and the next such comment, and replaces it -->"
)
END = "<!-- rewact: end of what `make card` writes -->"


def split(text: str, path: Path) -> tuple[str, str] | None:
    """What is before and after the section; None if there is none. `path` is for the error message."""
    if not text.count(BEGIN) and not text.count(END):
        return None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in before + after:
        raise UserError(
            f"{path} has lost one of the two comments around the section that this command writes, or has them twice: "
            "remove what is left of the section with its comments, and it is written anew."
        )
    return before, after


def put_section(text: str, section: str, next_heading: str, path: Path) -> str:
    """A README's text with the section in it: where the section was, or else before a heading, or at the end.

    Args:
        text: of the README.
        section: without the comments around it.
        next_heading: a line such as "## Citation".
        path: of the README, for the error message.
    """
    marked = f"{BEGIN}\n\n{section.strip()}\n\n{END}"
    parts = split(text, path)
    if parts is not None:
        return parts[0] + marked + parts[1]
    before, heading, after = text.partition(f"\n{next_heading}\n")
    return f"{before.rstrip()}\n\n{marked}\n{heading}{after}"


def write_text(path: Path, text: str) -> None:
    """Write the file, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
