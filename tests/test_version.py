"""The version of RewACT: in CHANGELOG.md and nowhere else."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_make_version_prints_the_newest_version_of_the_changelog():
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    printed = subprocess.run(["make", "-s", "version"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert newest and printed.stdout.startswith(f"RewACT {newest[1]}, commit ")
    assert ", series v" in printed.stdout
