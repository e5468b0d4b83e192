"""A patch series as a folder: its name, its UPSTREAM and its patches."""

import re
from pathlib import Path

PATCHES = Path(__file__).resolve().parent.parent.parent / "patches"


def find_series(name: str | None) -> Path:
    """The folder of a series, without a name that of the newest release."""
    names = [upstream.parent.name for upstream in PATCHES.glob("*/UPSTREAM")]
    if name is None:
        name = max(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
    if name not in names:
        raise SystemExit(f"there is no series patches/{name}.")
    return PATCHES / name


def read_upstream(series: Path) -> dict[str, str]:
    """UPSTREAM_TAG, UPSTREAM_COMMIT and UPSTREAM_SDIST_SHA256."""
    lines = (series / "UPSTREAM").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def patch_files(series: Path) -> list[Path]:
    return sorted(series.glob("[0-9][0-9][0-9][0-9]-*.patch"))
