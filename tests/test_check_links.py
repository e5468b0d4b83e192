"""scripts/check_links.py: what counts as a broken link."""

import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from check_links import anchors, ask, check, links

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_links.py"


@pytest.fixture
def pages(tmp_path):
    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_md", ".md").replace("_py", ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_files_and_headings_that_exist_are_fine(pages):
    root = pages(
        README_md="[a](docs/A.md) [b](docs/A.md#what-it-costs) [c](#here) [d](docs)\n# Here\n",
        docs__A_md="# A\n## What it costs?\n[up](../README.md#here)\n",
        scripts__a_py="print('see docs/A.md#what-it-costs')",
    )
    assert check(root) == ([], {})


@pytest.mark.parametrize(
    ("link", "what"),
    [
        ("docs/B.md", "no such file"),
        ("docs/A.md#costs", "no such heading in docs/A.md"),
        ("#there", "no such heading in README.md"),
        ("../outside.md", "no such file"),
    ],
)
def test_a_broken_link_is_named_with_its_page(pages, link, what):
    root = pages(README_md=f"# Here\n[a]({link})", docs__A_md="# A\n")
    assert check(root)[0] == [f"README.md: {link}: {what}"]


def test_a_page_that_a_script_names_must_exist(pages):
    root = pages(README_md="# Here\n", scripts__a_py="raise SystemExit('see docs/GONE.md')")
    assert check(root)[0] == ["scripts/a.py: docs/GONE.md: no such file"]


def test_every_form_of_link_is_read_and_code_is_not():
    text = '[a](x.md) ![b](y.png "title") <img src="z.png"> `[no](code.md)`\n```\n[no](fence.md)\n```\n[r]: w.md\n'
    assert list(links(text)) == ["x.md", "y.png", "z.png", "w.md"]


def test_anchors_are_those_of_github():
    text = "# A `b` (c): d, e\n## [Link](x.md) here\n## Same\n## Same\n```\n# no heading\n```\n"
    assert anchors(text) == {"a-b-c-d-e", "link-here", "same", "same-1"}


def test_other_sites_are_listed_and_asked_only_on_request(pages):
    root = pages(README_md="[a](https://example.invalid/x)")
    assert check(root) == ([], {"https://example.invalid/x": "README.md"})


def test_a_page_that_is_missing_on_another_site_is_broken():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(int(self.path[1:]))
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        assert [ask(url + code) for code in ("200", "404", "429")] == [None, "HTTP 404", None]
        server.shutdown()


def test_this_repository_has_no_broken_link():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
