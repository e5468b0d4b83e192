"""A Markdown table whose lines differ in their number of cells is shown as plain text."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RULE = re.compile(r"\|(:?-+:?\|)+")


def uneven(text: str) -> list[str]:
    """The lines of tables that have another number of cells than the rule under the header."""
    found, lines = [], [line.strip() for line in text.split("\n")]
    for number, line in enumerate(lines):
        if RULE.fullmatch(line):
            end = next((i for i in range(number, len(lines)) if not lines[i].startswith("|")), len(lines))
            found += [row for row in lines[number - 1 : end] if cells(row) != cells(line)]
    return found


def cells(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_a_line_with_another_number_of_cells_is_found():
    assert uneven("| a | b |\n|---|---|\n| 1 | 2 |\n") == []
    assert uneven("| a \\| b | c |\n|---|---|\n| 1 | 2 |") == []
    assert uneven("| a | b |\n|---|---|---|\n| 1 | 2 | 3 |\n| 4 |\n\n| c |") == ["| a | b |", "| 4 |"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_this_repository_are_even(page):
    assert uneven(page.read_text(encoding="utf-8")) == []
