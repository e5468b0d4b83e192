"""The pin has one source of truth, patches/<release>/UPSTREAM: the submodule must point at the same commit."""

import re
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
UPSTREAMS = sorted(REPO.glob("patches/*/UPSTREAM"))
KEYS = ("UPSTREAM_TAG", "UPSTREAM_COMMIT", "UPSTREAM_SDIST_SHA256")


def read(upstream: Path) -> dict[str, str]:
    lines = upstream.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def git(*args: str) -> str:
    done = subprocess.run(["git", *args], cwd=REPO, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module", autouse=True)
def repository():
    """An archive of RewACT, without a git directory, has no gitlink to test."""
    top = subprocess.run(["git", "rev-parse", "--show-prefix"], cwd=REPO, capture_output=True, text=True)
    if top.returncode or top.stdout.strip():
        pytest.skip("RewACT is not a git repository of its own here")


def test_gitlink_is_the_pin():
    pins = {read(upstream)["UPSTREAM_COMMIT"] for upstream in UPSTREAMS}
    staged = git("ls-files", "--stage", "--", "lerobot").split()
    assert staged[:1] == ["160000"], "lerobot is not a submodule in the index"
    assert staged[1] in pins, "the staged commit of lerobot is in no UPSTREAM: git restore --staged lerobot"
    committed = git("ls-tree", "HEAD", "--", "lerobot").split()
    if committed:  # nothing yet before the first commit of the submodule
        assert committed[0] == "160000"
        assert committed[2] in pins


def test_submodule_is_upstream():
    config = ["config", "-f", ".gitmodules"]
    assert git(*config, "submodule.lerobot.path") == "lerobot"
    assert git(*config, "submodule.lerobot.url") == "https://github.com/huggingface/lerobot.git"
    # `ignore = all` would hide a lerobot/ that is not at the pin
    assert "ignore" not in (REPO / ".gitmodules").read_text()


@pytest.mark.parametrize("upstream", UPSTREAMS, ids=lambda path: path.parent.name)
def test_upstream_is_the_same_for_bash_and_python(upstream):
    values = read(upstream)
    assert tuple(values) == KEYS
    assert re.fullmatch(r"[0-9a-f]{40}", values["UPSTREAM_COMMIT"])
    if values["UPSTREAM_TAG"]:
        assert upstream.parent.name == values["UPSTREAM_TAG"]
    assert re.fullmatch(r"([0-9a-f]{64})?", values["UPSTREAM_SDIST_SHA256"])
    expected = "\n".join(values[key] for key in KEYS)

    words = " ".join(f'"${key}"' for key in KEYS)
    bash = subprocess.run(
        ["bash", "-euc", f'. "$0"; printf "%s\\n" {words}', upstream],
        capture_output=True,
        text=True,
        check=True,
    )
    assert bash.stdout.rstrip("\n") == expected.rstrip("\n")


def test_patches_keep_their_bytes():
    """A git that changes line ends on its own must leave patches and scripts alone."""
    for path, attribute, value in (
        ("patches/v0.6.1/0001-a.patch", "text", "unset"),
        ("patches/v0.6.1/UPSTREAM", "eol", "lf"),
        ("apply_patches.sh", "eol", "lf"),
        ("scripts/setup.sh", "eol", "lf"),
        (".ci/run", "eol", "lf"),
    ):
        assert git("check-attr", attribute, "--", path).endswith(f": {value}")
