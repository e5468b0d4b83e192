"""The labelling page in a real browser without a screen: opened, scrubbed, labelled, undone, saved, and saved again.

It needs Chromium and its driver on the PATH (apt-get install chromium chromium-driver). In CI it fails without them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from importlib import resources
from pathlib import Path

import av
import label
import pytest
from labelling.listening import listen
from labelling.server import make_app, make_server
from labelling.session import make_session
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from shared.episodes import load_meta
from tiny_run import CAMERAS, FPS, LENGTHS, REPO_ID

from rewact.keypoints import REWARD_LABELS_PATH, curve, load_labels

BROWSERS = ("chromium", "google-chrome", "chromium-browser", "chrome")
SECONDS = 60  # the most that anything takes on a busy machine
# What the tests read and call of the page's modules. Importing them again gives the ones that the page runs.
IMPORTS = """
const [{state, labelOf, stateOf}, {openEpisode}, {xOf}] =
    await Promise.all(['/state.js', '/episodes.js', '/timeline.js'].map(url => import(url)));
"""


def find(names: tuple[str, ...], what: str) -> str:
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        message = f"no {what} on the PATH ({', '.join(names)}): apt-get install chromium chromium-driver"
        # nobody would notice that CI skips it
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = find(BROWSERS, "browser")
    driver = find(("chromedriver", "chromium.chromedriver"), "driver of Chromium")
    profile = tmp_path_factory.mktemp("profile")
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "window-size=1200,900",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.set_capability("unhandledPromptBehavior", "accept")  # "leave this page?"
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


class Served:
    """A server on a thread for a copy of the tiny dataset."""

    def __init__(self, root: Path, port: int = 0, **options):
        self.root, self.path = root, root / REWARD_LABELS_PATH
        sock = listen(port)
        self.port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        session = replace(make_session(load_meta(REPO_ID, root)), **options)
        self.server = make_server(make_app(session, self.port))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [sock]}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(timeout=10)


@pytest.fixture
def root(data_set, tmp_path) -> Path:
    return Path(shutil.copytree(data_set, tmp_path / "tiny"))


@pytest.fixture
def served(root):
    served = Served(root)
    yield served
    served.stop()


class Page:
    """What a person does and sees in one tab."""

    def __init__(self, browser, url: str):
        self.browser = browser
        browser.get("about:blank")  # a page with the same address would not be loaded again
        browser.get_log("browser")  # forget what the page before said of a server that has stopped
        browser.get(url)
        self.wait(lambda: self.js("return 'ready' in document.body.dataset"))

    def wait(self, until, what: str = ""):
        return WebDriverWait(self.browser, SECONDS, poll_frequency=0.05).until(lambda _: until(), what)

    def js(self, script: str, *args):
        """The result of a script that sees the names of IMPORTS."""
        script = f"const run = async () => {{ {IMPORTS} {script} }}; return run()".replace(
            "arguments", "args"
        )
        return self.browser.execute_script(f"const args = [...arguments]; {script}", *args)

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other, where the focus is."""
        ActionChains(self.browser).send_keys(*keys).perform()

    def shift(self, key: str) -> None:
        ActionChains(self.browser).key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT).perform()

    def text(self, id: str) -> str:
        return self.js("return document.getElementById(arguments[0]).textContent", id)

    def click(self, id: str) -> None:
        self.browser.find_element(By.ID, id).click()

    def at(self, episode: int, frame: int) -> None:
        """Wait until all cameras show this frame."""
        shown = (
            "return [...document.querySelectorAll('#cameras video, #cameras img')].map(e => e.dataset.frame)"
        )
        self.wait(
            lambda: self.text("episode") == f"Episode {episode}" and set(self.js(shown)) == {str(frame)}
        )
        assert self.text("where").startswith(f"frame {frame} of {LENGTHS[episode] - 1} ")

    def seen(self, camera: int) -> float:
        """Where the bright block is in the image, 0 left to 1 right: it tells the frames apart."""
        return self.js(
            """const video = document.querySelectorAll('#cameras video, #cameras img')[arguments[0]];
            const canvas = document.createElement('canvas'), c = canvas.getContext('2d');
            canvas.width = 64; canvas.height = 64; c.drawImage(video, 0, 0, 64, 64);
            const d = c.getImageData(0, 0, 64, 64).data; let sum = 0, n = 0;
            for (let i = 0; i < d.length; i += 4) if (d[i] > 140) { sum += (i / 4) % 64 + 0.5; n++; }
            return sum / n / 64;""",
            camera,
        )

    def shows(self, camera: int, where: float, abs: float = 0.02) -> None:
        """Wait until the bright block is there: Chromium reports a seek a moment before it draws the frame."""
        self.wait(lambda: self.seen(camera) == pytest.approx(where, abs=abs), f"camera {camera}: {where}")

    def saved(self) -> str:
        """Wait until everything is saved."""
        state = "return Object.keys(state.changed).length === 0 && document.getElementById('save').dataset.state === 'saved'"
        self.wait(lambda: self.js(state))
        return self.text("save")

    def label(self) -> dict:
        return self.js("return structuredClone(labelOf(state.current))")

    def centre(self, selector: str) -> tuple[float, float]:
        box = self.js(
            "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector
        )
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, selector: str, x: float, y: float) -> None:
        """Drag something by so many pixels."""
        from_x, from_y = self.centre(selector)
        actions = ActionChains(self.browser, duration=20)
        actions.w3c_actions.pointer_action.move_to_location(round(from_x), round(from_y))
        actions.w3c_actions.pointer_action.pointer_down()
        for part in (0.3, 0.6, 1):
            actions.w3c_actions.pointer_action.move_to_location(
                round(from_x + part * x), round(from_y + part * y)
            )
        actions.w3c_actions.pointer_action.pointer_up()
        actions.perform()

    def pixels_a_frame(self) -> float:
        return self.js("return xOf(1) - xOf(0)")


class Said:
    """In place of a Predictor: what a policy has predicted."""

    name = "said"

    def __init__(self, rewards: dict[int, list[float]]):
        self.rewards, self.wants_all = rewards, False

    def get(self, episode: int) -> dict:
        return {"state": "ready", "reward": self.rewards[episode], "held_out": True}

    def want_all(self) -> None:
        self.wants_all = True

    def ready(self) -> dict[int, list[float]]:
        return self.rewards

    finished = len(LENGTHS)


def rising(episode: int) -> list[float]:
    return [frame / (LENGTHS[episode] - 1) for frame in range(LENGTHS[episode])]


def block(episode: int, frame: int, camera: int) -> float:
    """Where make_data_set draws it."""
    width = list(CAMERAS.values())[camera][1]
    return (round(frame / LENGTHS[episode] * (width - 16)) + 8) / width


def points(path: Path, episode: int) -> list[tuple]:
    entry = json.loads(path.read_text())[str(episode)]
    return [(p["frame_index"], p["reward"], p.get("step", False)) for p in entry["keypoints"]]


def test_the_frame_shown_is_the_frame_meant(browser, served):
    """All episodes are in one file. Shows each frame of one, the ends of all; playing stops at the last frame."""
    page = Page(browser, served.url)
    page.at(0, 0)
    for episode, length in enumerate(LENGTHS):
        for frame in range(length) if episode == 1 else (0, length - 1):
            page.js("openEpisode(arguments[0], arguments[1])", episode, frame)
            page.at(episode, frame)
            for camera in range(2):
                page.shows(camera, block(episode, frame, camera))
    page.js("openEpisode(1)")
    page.at(1, 0)
    page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.at(1, 2)
    page.keys(Keys.ARROW_LEFT)
    page.at(1, 1)
    page.shift(Keys.ARROW_RIGHT)
    page.at(1, 11)
    page.keys(Keys.HOME, " ")  # play
    page.wait(lambda: page.text("play") == "▶" and page.text("where").startswith("frame 11 "))
    page.at(1, 11)
    page.shows(0, block(1, 11, 0))
    page.drag("#timeline", 0, 0)  # a click in the middle
    page.wait(lambda: page.text("where").startswith(("frame 5 ", "frame 6 ")))
    assert not served.path.exists()
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_label_episodes(browser, served):
    page = Page(browser, served.url)
    page.keys(*[Keys.ARROW_RIGHT] * 3, "2", *[Keys.ARROW_RIGHT] * 4, "4")
    assert "1 episode" in page.saved()
    assert points(served.path, 0) == [(3, 0.5, False), (7, 1, False)]
    drawn = page.js("return state.curve")
    entry = json.loads(served.path.read_text())["0"]
    assert drawn == pytest.approx(list(curve(entry, LENGTHS[0], FPS)), abs=1e-5)
    assert page.js("return document.querySelector('#episodes [aria-current]').textContent").startswith(
        "0labelled"
    )

    # a typed value, a step, and an invalid value
    page.keys(Keys.ARROW_LEFT, "v", "0.6", Keys.ENTER)
    page.keys("s")
    page.saved()
    assert points(served.path, 0) == [(3, 0.5, False), (6, 0.6, True), (7, 1, False)]
    page.keys("v", "1.5", Keys.ENTER)
    page.wait(lambda: "between 0 and 1" in page.text("toast"))
    assert page.label()["keypoints"][1]["reward"] == 0.6

    # dragging sideways changes the frame only, dragging up the value too; never onto another point
    step = page.pixels_a_frame()
    page.drag('[data-point="3"]', -2 * step, 4)
    page.wait(lambda: [p["frame"] for p in page.label()["keypoints"]] == [1, 6, 7])
    page.drag('[data-point="1"]', step, -40)
    page.wait(lambda: page.label()["keypoints"][0]["reward"] > 0.6)
    page.drag('[data-point="6"]', step, 0)
    page.saved()
    got = points(served.path, 0)
    assert (
        got[0][0] == 2 and 0.6 < got[0][1] < 0.95 and got[0][1] * 20 == pytest.approx(round(got[0][1] * 20))
    )
    assert got[1:] == [(7, 1, False), (8, 0.6, True)]

    # everything undone, and the first two done again
    for _ in range(10):
        page.keys("z")
    page.saved()
    assert json.loads(served.path.read_text()) == {}
    page.keys("y", "y")
    page.saved()
    assert points(served.path, 0) == [(3, 0.5, False), (7, 1, False)]

    # copied to the same fraction of the next episode; there moved, deleted, and failed
    page.keys("c")
    page.saved()
    assert page.text("episode") == "Episode 1"
    assert points(served.path, 1) == [(4, 0.5, False), (10, 1, False)]
    page.keys("]", ".", Keys.ARROW_UP, "]", Keys.DELETE, Keys.END, "f")
    page.saved()
    assert json.loads(served.path.read_text())["1"] == {
        "keypoints": [{"frame_index": 5, "timestamp": 0.5, "reward": 0.55}],
        "fps": 10,
        "failed_at": 11,
    }
    assert page.js("return state.curve[11]") == 0 and page.js("return stateOf(1)") == "failed"
    page.drag("[data-failed]", -2 * page.pixels_a_frame(), 0)
    page.wait(lambda: page.label()["failed_at"] == 9)

    # a success has not failed
    Select(browser.find_element(By.ID, "outcome")).select_by_value("success")
    page.wait(lambda: page.label()["failed_at"] is None)
    page.keys("z")
    page.wait(lambda: page.label()["failed_at"] == 9)

    # a label that training would refuse is refused and taken back
    page.keys("u")
    page.wait(lambda: page.text("episode") == "Episode 2")
    page.js("(await import('/editing.js')).setOutcome('draw')")
    page.wait(lambda: "outcome must be" in page.text("toast"))
    page.wait(lambda: page.label()["outcome"] is None)
    # the outcome alone says enough
    Select(browser.find_element(By.ID, "outcome")).select_by_value("failure")
    page.saved()
    assert "only the last frame is used" in page.text("legend")
    page.keys("o")
    page.wait(lambda: page.label()["outcome"] is None)
    page.keys("x")
    page.saved()
    # one point below 1 does not say how the episode ended
    page.keys("g", "3", Keys.ENTER, "1")
    page.saved()
    assert page.js("return stateOf(3)") == "open" and "stays at 0.25 to the end" in page.text("legend")
    page.keys(Keys.END, "4")
    page.saved()
    assert page.text("progress") == "4 of 4 labelled"
    assert [page.js("return stateOf(arguments[0])", i) for i in range(4)] == ["labelled", "failed", "excluded", "labelled"]  # fmt: skip
    page.keys("g", "44", Keys.ENTER)
    page.wait(lambda: "there is no episode 44" in page.text("toast"))

    # loaded again, the page shows the labels in the file, and training reads the same
    before = page.js("return [0, 1, 2, 3].map(i => structuredClone(labelOf(i)))")
    page = Page(browser, served.url)
    assert page.js("return [0, 1, 2, 3].map(i => structuredClone(labelOf(i)))") == before
    labels = load_labels(served.path, LENGTHS, FPS, REPO_ID)
    assert labels[1].failed_at == 9 and labels[2].exclude and labels[3].keypoints[0].reward == 0.25
    page.keys("?")
    page.wait(lambda: page.js("return document.getElementById('help').open"))
    page.keys(Keys.ESCAPE, "i")
    page.wait(lambda: "--dataset.reward_interpolation=pchip" in page.text("file"))
    assert not [entry for entry in browser.get_log("browser") if "422" not in entry["message"] and entry["level"] == "SEVERE"]  # fmt: skip


def test_the_task_that_is_looked_for_holds_for_all_keys(browser, served):
    """C and U go to episodes of this task, as N does; Enter in a point's value gives the keys back."""
    page = Page(browser, served.url)
    page.keys("g", "push", Keys.ENTER)
    assert page.text("episode") == "Episode 0"
    page.keys("4", "c")
    page.wait(lambda: page.text("episode") == "Episode 2")
    page.saved()
    assert sorted(json.loads(served.path.read_text())) == ["0", "2"]
    page.keys("u")
    page.wait(lambda: page.text("episode") == "Episode 3")
    page.keys("4")
    page.saved()
    page.keys("u")
    page.wait(lambda: "every episode with this task has a label" in page.text("toast"))
    field = browser.find_element(By.CSS_SELECTOR, "#points input")
    field.clear()
    field.send_keys("0.3", Keys.ENTER)
    page.wait(lambda: page.label()["keypoints"][0]["reward"] == 0.3)
    assert page.js("return document.activeElement.tagName") == "BODY"
    page.keys("p")
    page.wait(lambda: page.text("episode") == "Episode 2")


def test_proposals_of_a_policy(browser, root):
    """The doubtful ones first; accepted, changed, and not accepted while nobody knows how the episode ended."""
    said = {"threshold": 0.9, "checkpoint": "outputs/run"}
    entries = {
        "0": {"outcome": "success", "proposed": {"stopped_by": "reward", "doubt": 0.1, **said}},
        "1": {
            "outcome": "success",
            "proposed": {"stopped_by": "reward", "doubt": 0.8, "reason": "gripper 3", **said},
        },
        "2": {
            "failed_at": 4,
            "outcome": "failure",
            "proposed": {"stopped_by": "failure", "doubt": 0.2, **said},
        },
        "3": {"proposed": {"stopped_by": None, "doubt": 1, **said}},
    }
    path = root / REWARD_LABELS_PATH
    path.parent.mkdir()
    path.write_text(json.dumps(entries))
    served = Served(root)
    try:
        page = Page(browser, served.url)
        listed = "return [...document.querySelectorAll('#episodes li')].map(e => e.innerText.split('\\n'))"
        rows = [row[:2] for row in page.js(listed)]
        assert rows[:4] == [["3", "open"], ["1", "success?"], ["2", "failed?"], ["0", "success?"]]
        assert page.text("progress") == f"0 of {len(LENGTHS)} labelled"

        assert page.text("episode") == "Episode 3" and "How did it end?" in page.text("proposal")
        page.keys("a")
        assert "nobody knows how this episode ended" in page.text("toast")
        page.keys("o")
        page.saved()
        assert "A person has looked at it" in page.text("proposal")

        page.keys("u")
        assert page.text("episode") == "Episode 1"
        assert "the reward stayed at 0.9 or above" in page.text("proposal")
        assert "an alarm was raised on the way: gripper 3." in page.text("proposal")
        page.keys("a")
        page.saved()
        page.keys("n", "o")  # the next one did not fail, says the person
        page.keys("o")
        page.saved()
        labels = load_labels(path, LENGTHS, FPS)
        assert [labels[i].is_open for i in range(4)] == [True, False, False, False]
        assert (labels[2].outcome, labels[2].failed_at) == ("success", None)
        page.keys("z", "z")
        page.saved()
        assert json.loads(path.read_text())["2"] == entries["2"]
        assert page.text("progress") == f"2 of {len(LENGTHS)} labelled"
    finally:
        served.stop()


def test_a_prediction_that_contradicts_what_is_proposed(browser, root):
    """A warns and goes there first; the points can be visited before; many are accepted, except those; D and the sort."""
    points_at = {0: (3, 7), 1: (5, 10), 2: (3, 6)}
    proposed = {
        episode: {"keypoints": [{"frame_index": a, "reward": 0.5}, {"frame_index": b, "reward": 1.0}]}
        for episode, (a, b) in points_at.items()
    }
    zero = [0.05] * LENGTHS[0]
    said = Said({0: zero, 1: rising(1), 2: rising(2), 3: [0.0] * 8 + [1.0] * 3})
    served = Served(root, suggestions=proposed, predictor=said)
    try:
        page = Page(browser, served.url)
        page.wait(lambda: "the prediction never rises above 0.05" in page.text("proposal"))
        page.keys("]")
        page.at(0, 3)
        page.keys("]", "]", "[")
        page.at(0, 3)
        page.keys("a")
        page.at(0, LENGTHS[0] - 1)
        assert "look first" in page.text("toast") and not page.label()["keypoints"]
        page.click("pick-all")
        page.click("many-accept")
        page.wait(lambda: "accepted 2 of 4" in page.text("toast"))
        assert "nothing is proposed for 1; the prediction contradicts 0" in page.text("toast")
        page.saved()
        assert sorted(json.loads(served.path.read_text())) == ["1", "2"]
        page.keys("a")
        page.saved()
        assert points(served.path, 0) == [(3, 0.5, False), (7, 1, False)]

        page.keys("d")
        page.at(0, 7)
        assert "label 1, predicted 0.05" in page.text("toast")
        Select(browser.find_element(By.ID, "sort")).select_by_value("difference")
        page.wait(lambda: page.js("return state.order.slice(0, 2)") == [0, 3])
        assert said.wants_all and "Δ 0." in page.js(
            "return document.querySelector('#episodes li').textContent"
        )
    finally:
        served.stop()


def test_many_episodes_and_marks_for_later(browser, served):
    """Selected with the keyboard, excluded and included in one step of undo. Marks stay in the browser, not in the file."""
    page = Page(browser, served.url)
    page.js("document.querySelector('#episodes [aria-current]').focus()")
    page.keys(Keys.ARROW_DOWN, " ", Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    page.shift(" ")
    assert page.text("many-count") == "3 selected" and page.text("episode") == "Episode 0"
    page.click("many-exclude")
    page.saved()
    assert json.loads(served.path.read_text()) == {str(i): {"exclude": True} for i in (1, 2, 3)}
    page.keys("z")
    page.saved()
    assert json.loads(served.path.read_text()) == {}
    # what is not listed is not touched
    page.keys("g", "pull", Keys.ENTER)
    assert page.text("many-count") == "1 selected"
    page.click("many-exclude")
    page.saved()
    assert list(json.loads(served.path.read_text())) == ["1"]

    page.keys("m")
    before = served.path.read_bytes()
    page = Page(browser, served.url)
    page.js("document.querySelector('[data-filter=later]').click()")
    listed = (
        "return [...document.querySelectorAll('#episodes li:not([hidden]) .index')].map(e => e.textContent)"
    )
    assert page.js(listed) == ["0", "1"]  # and the one that is open
    assert served.path.read_bytes() == before
    page.wait(
        lambda: page.js("return [...document.querySelectorAll('.preview')].some(e => e.naturalWidth > 0)")
    )


def test_to_a_frame(browser, served):
    """By seconds, by a typed frame or time, by an address; and the part of an episode that the timeline shows."""
    page = Page(browser, served.url + "#episode=1&frame=7")
    page.at(1, 7)
    page.js("location.hash = '#episode=3&frame=99'")
    page.at(3, LENGTHS[3] - 1)
    page.keys("j")
    page.at(3, 0)
    page.keys("l", Keys.ARROW_LEFT)
    page.at(3, 9)
    page.wait(lambda: browser.current_url.endswith("#episode=3&frame=9"))
    for typed, frame in (("4", 4), ("0.6s", 6), ("0:00.8", 8)):
        page.keys("t", typed, Keys.ENTER)
        page.at(3, frame)
    page.keys("t", "11", Keys.ENTER)
    page.wait(lambda: "there is no frame 11" in page.text("toast"))
    page.keys(Keys.ESCAPE)

    page.js("openEpisode(1, 6)")
    whole = page.pixels_a_frame()
    page.keys("e")
    assert page.pixels_a_frame() == pytest.approx(whole * 11 / 10)  # ten frames are the fewest
    page.keys(Keys.HOME)
    x = page.js("return [xOf(0), xOf(10), document.querySelector('#timeline .playhead').x1.baseVal.value]")
    assert x[2] == x[0] < x[1]  # the frame on the screen is in view
    page.keys("q")
    assert page.pixels_a_frame() == pytest.approx(whole)

    assert "action: " in page.js("return document.getElementById('signal').textContent")
    page.wait(
        lambda: page.js("return document.querySelectorAll('#signals path').length") == 2
    )  # action and state


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_accessible(browser, served, scheme):
    """axe finds no fault in either colour scheme: names, contrast, roles."""
    axe = resources.files(pytest.importorskip("axe_core_python")).joinpath("axe.min.js").read_text()
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        page = Page(browser, served.url)
        page.keys("2", Keys.ARROW_RIGHT, "4", Keys.END, "f")
        page.click("pick-all")
        page.wait(
            lambda: page.text("toast") == "" or page.js("return !document.getElementById('toast').className")
        )
        browser.execute_script(axe)
        faults = browser.execute_async_script(
            "const done = arguments[0]; axe.run().then(({violations}) => "
            "done(violations.map(v => `${v.id}: ${v.nodes.map(n => n.target).join(' ')}`)))"
        )
        assert faults == []
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_two_tabs(browser, served):
    """Changes to other episodes are merged. Where both changed the same one, the person chooses, and nothing else is lost."""
    first = browser.current_window_handle
    page = Page(browser, served.url)
    browser.switch_to.new_window("tab")
    second = browser.current_window_handle
    try:
        other = Page(browser, served.url)
        browser.switch_to.window(first)
        page.keys("2")
        page.saved()
        browser.switch_to.window(second)
        other.keys("4", "n", "1")
        other.wait(lambda: other.js("return !document.getElementById('banner').hidden"))
        other.wait(lambda: points(served.path, 1) == [(0, 0.25, False)])
        assert points(served.path, 0) == [(0, 0.5, False)]
        assert "Not saved: episode 0. Another tab or program has changed the same" in other.text(
            "banner-text"
        )
        assert other.js("return labelOf(0).keypoints[0].reward") == 1  # still there
        # meanwhile a program writes an episode that the banner does not name
        entries = json.loads(served.path.read_text()) | {"2": {"exclude": True}}
        served.path.write_text(json.dumps(entries))
        other.click("mine")
        other.saved()
        assert points(served.path, 0) == [(0, 1, False)] and points(served.path, 1) == [(0, 0.25, False)]
        assert json.loads(served.path.read_text())["2"] == {"exclude": True}

        browser.switch_to.window(first)
        page.keys("3")
        page.wait(lambda: page.js("return !document.getElementById('banner').hidden"))
        page.click("theirs")
        page.wait(lambda: page.js("return document.getElementById('banner').hidden"))
        assert page.label()["keypoints"][0]["reward"] == 1 and not page.js(
            "return Object.keys(state.changed)"
        )
        page.keys("n", "3")
        page.saved()
        assert points(served.path, 1) == [(0, 0.75, False)]
    finally:
        browser.switch_to.window(second)
        browser.close()
        browser.switch_to.window(first)


def test_a_killed_server(browser, root):
    """Labels made meanwhile are kept, and saved when a server runs again. The real command is killed."""
    script = Path(label.__file__)
    command = [sys.executable, script, "--dataset", REPO_ID, "--root", root, "--port", "0"]
    killed = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in killed.stdout if line.startswith("open"))
        page = Page(browser, line.split()[1])
        page.keys("2")
        page.saved()
        path = root / REWARD_LABELS_PATH
        before = path.read_bytes()
        assert page.text("connection") == ""
        killed.send_signal(signal.SIGKILL)
        killed.wait(timeout=30)
        page.wait(lambda: "The server is gone" in page.text("connection"))  # before anything is to be saved
        page.keys("n", "4", Keys.ARROW_RIGHT)
        page.wait(lambda: "not saved: server gone" in page.text("save"))
        assert path.read_bytes() == before and page.label()["keypoints"][0]["reward"] == 1
        again = Served(root, port=int(line.split()[1].rsplit(":", 1)[1]))
        try:
            page.saved()
            assert points(path, 0) == [(0, 0.5, False)] and points(path, 1) == [(0, 1, False)]
            page.wait(lambda: page.js("return state.curve !== null"))
            page.wait(lambda: page.text("connection") == "")
        finally:
            again.stop()
    finally:
        killed.kill()
        killed.wait(timeout=30)


def test_where_the_browser_cannot_play_the_video(browser, root):
    """The server decodes single frames, and one line says so."""
    for key, (height, width, _) in CAMERAS.items():
        path = root / f"videos/{key}/chunk-000/file-000.mp4"
        with av.open(str(path)) as video:
            frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        with av.open(str(path), "w") as video:
            stream = video.add_stream("mpeg4", rate=FPS, width=width, height=height, pix_fmt="yuv420p")
            for frame in frames:
                video.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            video.mux(stream.encode())
    served = Served(root)
    try:
        page = Page(browser, served.url)
        page.wait(lambda: page.js("return document.querySelectorAll('#cameras img').length") == 2)
        assert "cannot be played by this browser: the server decodes" in page.text("camera-note")
        page.js("openEpisode(1, 4)")
        page.at(1, 4)
        page.shows(0, block(1, 4, 0), abs=0.03)
        page.keys(" ")
        page.wait(lambda: page.text("play") == "▶" and page.text("where").startswith("frame 11 "))
        page.at(1, 11)
    finally:
        served.stop()
