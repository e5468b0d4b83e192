"""The server of the labelling page, over HTTP without a browser: whom it answers, what it answers, what it saves."""

import copy
import http.client
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import label
import numpy as np
import pytest
from labelling import session as labelling_session, store
from labelling.differences import difference
from labelling.listening import listen
from labelling.server import PAGE, make_app, make_server
from labelling.session import make_session
from labelling.signals import dimensions, scaled
from labelling.store import LABELS_DIR, choose_place
from PIL import Image
from shared.cli import UserError
from shared.episodes import load_meta
from tiny_run import CAMERAS, FPS, LENGTHS, REPO_ID

from lerobot.datasets import LeRobotDataset
from rewact.keypoints import REWARD_LABELS_PATH, curve, load_labels

JSON = {"Content-Type": "application/json"}


def point(frame: int, reward: float, step: bool = False) -> dict:
    return {"frame": frame, "reward": reward, "step": step}


class Running:
    """A server on a thread, and requests to it as bytes on the wire."""

    def __init__(self, root: Path, port: int = 0, **options):
        self.session = make_session(load_meta(REPO_ID, root), **options)
        sock = listen(port)
        self.port = sock.getsockname()[1]
        self.server = make_server(make_app(self.session, self.port))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [sock]}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=10)

    def ask(self, path: str, method: str = "GET", body=None, **headers) -> tuple[int, dict, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        skip = "Host" in headers
        connection.putrequest(method, path, skip_host=skip, skip_accept_encoding=True)
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content

    def json(self, path: str, method: str = "GET", body=None) -> tuple[int, dict]:
        status, _, content = self.ask(path, method, body, Content_Type=body and "application/json")
        return status, json.loads(content)

    def save(self, labels: dict, before: dict | None = None) -> tuple[int, dict]:
        body = {"session": self.session.name, "labels": labels, "before": before or {}}
        return self.json("/api/labels", "PUT", body)


@pytest.fixture(scope="module")
def served(data_set, tmp_path_factory):
    """For tests that write no label."""
    running = Running(data_set, labels=tmp_path_factory.mktemp("labels") / "none.json")
    yield running
    running.stop()


@pytest.fixture
def root(data_set, tmp_path) -> Path:
    return Path(shutil.copytree(data_set, tmp_path / "tiny"))


@pytest.fixture
def writable(root):
    running = Running(root)
    yield running
    running.stop()


# ------------------------------------------------------------------------------------------------ who may ask


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}.evil.example", ""]
)
def test_another_host_is_refused(served, host):
    for path in ("/", "/api/data", "/video/0/0"):
        assert served.ask(path, Host=host.format(port=served.port))[0] == 421


def test_no_host_and_two_hosts_are_refused(served):
    for lines in (b"", b"Host: 127.0.0.1:%d\r\nHost: evil.example\r\n" % served.port):
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as sock:
            sock.sendall(b"GET /api/data HTTP/1.0\r\n" + lines + b"\r\n")
            assert sock.recv(64).split()[1] in (b"400", b"421")


def test_our_hosts_are_served(served):
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert served.ask("/api/data", Host=f"{name}:{served.port}")[0] == 200


def test_answers_are_sent_at_once():
    """asyncio sets TCP_NODELAY only on a socket whose protocol is named; without it each answer waits for 40 ms."""
    with listen(0) as sock:
        assert sock.proto == socket.IPPROTO_TCP


def test_listens_on_loopback_alone(served):
    assert listen(0).getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": None}, 415),
        ({"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_another_site_cannot_write(writable, headers, status):
    body = {"session": writable.session.name, "labels": {"0": {"exclude": True}}, "before": {}}
    headers = {"Content_Type": "application/json"} | {
        name: value and value.format(port=writable.port) for name, value in headers.items()
    }
    assert writable.ask("/api/labels", "PUT", body, **headers)[0] == status
    assert writable.session.store.place.path.exists() == (status == 200)


def test_another_site_cannot_read_or_embed(served):
    for path in ("/api/labels", "/video/0/0", "/frame/0/0/0", "/main.js"):
        assert served.ask(path, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert served.ask("/", **link, Sec_Fetch_Dest="document")[0] == 200
    assert served.ask("/", **link, Sec_Fetch_Dest="iframe")[0] == 403
    headers = served.ask("/")[1]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_too_long_a_body_is_refused_unread(served):
    assert served.ask("/api/curve", "POST", **JSON, Content_Length=str(10**9))[0] == 413
    assert served.ask("/api/curve", "POST", **JSON, Transfer_Encoding="chunked")[0] == 411


# ------------------------------------------------------------------------------------------------ what is served


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/page/../server.py",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/video/../../meta/info.json",
        "/video/0/..%2f..%2fmeta%2finfo.json",
        "/video/0/0/../../../meta/info.json",
        "/video/-1/0",
        "/video/0/2",
        "/video/99/0",
        "/video/99999999999999999999999999/0",
        "/video/" + "9" * 5000 + "/0",
        "/frame/0/0/9",
        "/frame/0/0/-1",
        "/frame/0/7/0",
        "/meta/info.json",
        "/label.py",
        "//etc/passwd",
        "/api/prediction/0",
        "/api/differences",
        "/api/signals/4",
        "/preview/4",
    ],
)
def test_nothing_else_is_served(served, path):
    status, _, content = served.ask(path)
    assert status in (400, 404, 414) and b"root:" not in content and b"codebase_version" not in content


def test_a_dataset_cannot_name_files_outside_of_it(root):
    info = json.loads((root / "meta/info.json").read_text())
    info["video_path"] = "videos/../../secret.mp4"
    (root / "meta/info.json").write_text(json.dumps(info))
    (root.parent / "secret.mp4").write_text("secret")
    with pytest.raises(UserError, match="lies outside the dataset"):
        make_session(load_meta(REPO_ID, root))


def test_the_page_needs_nothing_from_elsewhere(served):
    modules = [(f"/{path.name}", "text/javascript") for path in PAGE.glob("*.js")]
    assert ("/main.js", "text/javascript") in modules
    for path, kind in [("/", "text/html"), ("/label.css", "text/css"), *modules]:
        status, headers, content = served.ask(path)
        assert status == 200 and headers["content-type"].startswith(kind)
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        urls = content.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"http:" not in urls and b"https:" not in urls


def test_videos_by_ranges(served, data_set):
    """Several episodes are in one file, which the page requests by its first episode and in ranges."""
    data = served.json("/api/data")[1]
    assert data["lengths"] == LENGTHS and [c["name"] for c in data["cameras"]] == ["top", "wrist"]
    starts = np.cumsum([0, *LENGTHS[:-1]]) / FPS
    for camera, key in enumerate(CAMERAS):
        assert [file for file, _ in data["videos"][camera]] == [0] * len(LENGTHS)
        assert [start for _, start in data["videos"][camera]] == pytest.approx(list(starts))
        content = (data_set / f"videos/{key}/chunk-000/file-000.mp4").read_bytes()
        status, headers, got = served.ask(f"/video/2/{camera}", Range="bytes=100-299")
        assert (status, got) == (206, content[100:300])
        assert headers["content-range"] == f"bytes 100-299/{len(content)}"
        assert served.ask(f"/video/2/{camera}", Range="bytes=-10")[2] == content[-10:]
        assert served.ask(f"/video/2/{camera}")[2] == content
        assert served.ask(f"/video/0/{camera}", Range=f"bytes={len(content)}-")[0] == 416


def test_images_are_the_frames_of_the_dataset(served, data_set):
    import cv2

    dataset = LeRobotDataset(REPO_ID, root=data_set, video_backend="pyav", return_uint8=True)
    for episode, frame in ((0, 0), (1, 5), (3, LENGTHS[3] - 1)):
        row = sum(LENGTHS[:episode]) + frame
        for camera, key in enumerate(CAMERAS):
            status, headers, content = served.ask(f"/frame/{episode}/{camera}/{frame}")
            assert status == 200 and headers["content-type"] == "image/jpeg"
            got = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
            true = dataset[row][key].permute(1, 2, 0).numpy().astype(int)
            assert np.abs(got - true).mean() < 8  # a JPEG; a neighbouring frame is further away


def test_a_preview_is_the_last_frame(served, data_set):
    status, headers, content = served.ask("/preview/1")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    assert picture.size == (64, 48)  # not enlarged
    dataset = LeRobotDataset(REPO_ID, root=data_set, video_backend="pyav")
    last = dataset[sum(LENGTHS[:2]) - 1][next(iter(CAMERAS))].permute(1, 2, 0).numpy() * 255
    assert np.abs(np.asarray(picture) - last).mean() < 6


def test_signals_are_those_of_the_dataset(served, data_set):
    described = served.json("/api/data")[1]["signals"]
    assert described == {"names": ["state: x", "state: y", "action: x", "action: y"], "gripper": 3}
    got = served.json("/api/signals/1")[1]["signals"]
    dataset = LeRobotDataset(REPO_ID, root=data_set, video_backend="pyav").hf_dataset.with_format("numpy")
    rows = dataset[sum(LENGTHS[:1]) : sum(LENGTHS[:2])]
    expected = np.concatenate([rows["observation.state"], rows["action"]], axis=1)
    for i, curve_of in enumerate(got):
        part = np.array(curve_of["values"]) / 1000
        values = curve_of["low"] + part * (curve_of["high"] - curve_of["low"])
        assert values == pytest.approx(expected[:, i], abs=(curve_of["high"] - curve_of["low"]) / 1000)


def test_signals_with_holes_and_a_constant():
    assert scaled(np.array([0.0, np.nan, 5.0, 9.0]), 0.0, 5.0)["values"] == [0, None, 1000, 1000]
    assert scaled(np.array([2.0, 2.0]), 2.0, 2.0)["values"] == [0, 0]
    for names in (None, ["a"], {"motors": ["x", "y"]}, {"x": 0, "y": 1}):
        found = list(dimensions({"shape": (2,), "names": names}))
        assert found == (["x", "y"] if isinstance(names, dict) else ["0", "1"])


def test_alive_names_the_dataset(served):
    assert served.json("/api/alive") == (200, {"session": served.session.name})


def test_where_prediction_and_label_differ():
    label = np.array([np.nan, 0.5, 1.0])
    found = difference(label, np.array([1.0, 0.5, 0.25]))
    assert found == {"mean": 0.375, "frame": 2, "label": 1.0, "predicted": 0.25}
    assert difference(np.full(2, np.nan), np.zeros(2)) is None


def test_image_datasets_are_shown(tmp_path):
    features = {
        "observation.image": {
            "dtype": "image",
            "shape": (24, 32, 3),
            "names": ["height", "width", "channels"],
        },
        "action": {"dtype": "float32", "shape": (1,), "names": None},
    }
    dataset = LeRobotDataset.create(REPO_ID, FPS, features, root=tmp_path / "images", use_videos=False)
    for episode in range(2):
        for frame in range(3):
            image = np.full((24, 32, 3), 40 * episode + 20 * frame, np.uint8)
            dataset.add_frame({"task": "push", "action": np.zeros(1, np.float32), "observation.image": image})
        dataset.save_episode()
    dataset.finalize()
    running = Running(tmp_path / "images")
    try:
        import cv2

        data = running.json("/api/data")[1]
        assert [c["video"] for c in data["cameras"]] == [False] and data["videos"] == [[None, None]]
        status, headers, content = running.ask("/frame/1/0/2")
        assert status == 200 and headers["content-type"] == "image/png"
        assert (cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) == 80).all()
        assert running.ask("/video/0/0")[0] == 404
    finally:
        running.stop()


def test_a_missing_video_is_reported(root, capsys):
    (root / "videos/observation.images.top/chunk-000/file-000.mp4").unlink()
    running = Running(root)
    try:
        assert "file-000.mp4 is missing" in capsys.readouterr().err
        assert running.ask("/video/0/0")[0] == 404 and running.ask("/video/0/1")[0] == 200
        assert b"is missing" in running.ask("/frame/0/0/0")[2]
    finally:
        running.stop()


# ------------------------------------------------------------------------------------------------ the curve


@pytest.mark.parametrize("interpolation", ["linear", "pchip"])
def test_the_curve_is_the_one_of_training(served, interpolation):
    label = {"keypoints": [point(2, 0.25), point(5, 0.3), point(8, 1, step=True)], "failed_at": 10}
    entry = {
        "keypoints": [{"frame_index": p["frame"], **{k: p[k] for k in ("reward", "step")}} for p in label["keypoints"]],
        "failed_at": 10,
    }  # fmt: skip
    body = {"episode": 1, "label": label, "interpolation": interpolation}
    status, answer = served.json("/api/curve", "POST", body)
    assert status == 200
    assert answer["reward"] == pytest.approx(list(curve(entry, 12, FPS, interpolation)), abs=1e-5)
    body["label"] = {}
    status, answer = served.json("/api/curve", "POST", body)
    assert answer["reward"] == pytest.approx(list(curve(None, 12, FPS)), abs=1e-5)


INVALID = [
    ({"keypoints": [point(0, 1.5)]}, r"reward must be in \[0, 1\], got 1.5"),
    ({"keypoints": [point(0, float("nan"))]}, "reward must be in"),
    ({"keypoints": [point(0, None)]}, "reward must be in"),
    ({"keypoints": [point(9, 0.5)]}, "frame 9 .*does not exist: the episode has frames 0 to 8"),
    ({"keypoints": [point(3, 0.5), point(3, 1)]}, "two keypoints are on frame 3"),
    ({"keypoints": [point(1.5, 0.5)]}, "frame must be an integer"),
    ({"keypoints": [point([1], 0.5)]}, "frame must be an integer"),
    ({"keypoints": [point(True, 0.5)]}, "frame must be an integer"),
    ({"keypoints": [point(1, 0.5, step="yes")]}, "'step' must be true or false"),
    ({"keypoints": [{"frame_index": 1, "reward": 0.5}]}, "a JSON object with frame, reward, step"),
    ({"keypoints": 3}, "'keypoints' must be a list"),
    ({"failed_at": 9}, "failed_at: frame 9 does not exist"),
    ({"failed_at": 2.0}, "failed_at must be the index of a frame"),
    ({"failed_at": 2, "outcome": "success"}, "outcome is 'success', but failed_at is 2"),
    ({"outcome": "draw"}, "outcome must be"),
    ({"exclude": "yes"}, "'exclude' must be true or false"),
    ({"colour": 1}, "a JSON object with keypoints"),
    (3, "a JSON object with keypoints"),
    (None, "a JSON object with keypoints"),
]


@pytest.mark.parametrize("label, message", INVALID)
def test_an_invalid_label_is_refused(writable, label, message):
    status, answer = writable.json(
        "/api/curve", "POST", {"episode": 0, "label": label, "interpolation": "linear"}
    )
    assert status == 422

    assert re.search(message, answer["error"]) and "episode 0" in answer["error"]
    status, answer = writable.save({"0": label, "1": {"exclude": True}})
    assert status == 422 and re.search(message, answer["error"])
    assert not (Path(writable.session.meta.root) / "rewact_extensions").exists()  # nothing was written


def test_an_outcome_alone_is_a_label(writable, root):
    ask = {"episode": 0, "label": {"outcome": "failure"}, "interpolation": "linear"}
    status, answer = writable.json("/api/curve", "POST", ask)
    assert status == 200 and answer["reward"] == [None] * (LENGTHS[0] - 1) + [0]
    assert writable.save({"0": {"outcome": "failure"}, "1": {"outcome": "success"}})[0] == 200
    labels = load_labels(root / REWARD_LABELS_PATH, LENGTHS, FPS, REPO_ID)
    assert labels[0].failed and labels[1].outcome == "success"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"labels": {}, "more": 1}', b"\xff"])
def test_invalid_requests_are_refused(served, body):
    for path, method in (("/api/labels", "PUT"), ("/api/curve", "POST")):
        assert served.ask(path, method, body, **JSON)[0] == 400
    assert served.save({"4": {}})[0] == 422 and served.save({"x": {}})[0] == 422
    assert served.save({"9" * 5000: {}})[0] == 422


# ------------------------------------------------------------------------------------------------ saving


def test_saved_where_training_finds_it_as_rewact_writes_it(writable, root):
    status, answer = writable.save({"2": {"keypoints": [point(6, 1), point(3, 0.5, step=True)]}})
    path = root / REWARD_LABELS_PATH
    assert status == 200 and answer["path"] == str(path) and answer["n_episodes"] == 1
    assert json.loads(path.read_text()) == {
        "2": {
            "keypoints": [
                {"frame_index": 3, "timestamp": 0.3, "reward": 0.5, "step": True},
                {"frame_index": 6, "timestamp": 0.6, "reward": 1},
            ],
            "fps": 10,
        }
    }
    load_labels(path, LENGTHS, FPS, REPO_ID)
    assert writable.json("/api/data")[1]["place"]["flag"] is None

    # an emptied label leaves the file, and the previous version stays beside it
    status, answer = writable.save(
        {"2": {}, "0": {"failed_at": 4, "outcome": "failure"}}, before=answer["labels"]
    )
    assert status == 200 and answer["backup"]
    assert json.loads(path.read_text()) == {"0": {"failed_at": 4, "outcome": "failure"}}
    assert list(json.loads(path.with_name(path.name + ".bak").read_text())) == ["2"]


def test_what_did_not_change_stays_as_it_was(root):
    """rewact's timestamps are not multiples of 1/fps, and a wrapped file stays one."""
    old = {
        "keypoints": [
            {"timestamp": 0.29, "reward": 0.5},
            {"frame_index": 6, "timestamp": 0.58, "reward": 0.75, "step": False},
            {"frame_index": 8, "timestamp": 0.81, "reward": 1.0},
        ],
        "fps": 10.0,
        "failed_at": {"timestamp": 0.71},
    }
    other = {"keypoints": [{"timestamp": 0.123, "reward": 0.1}], "exclude": False}
    path = root / REWARD_LABELS_PATH
    path.parent.mkdir()
    path.write_text(json.dumps({"repo_id": REPO_ID, "episodes": {"1": old, "0": other}}))
    running = Running(root)
    try:
        answer = running.json("/api/labels")[1]
        label = copy.deepcopy(answer["labels"]["1"])
        assert label == {
            "keypoints": [point(3, 0.5), point(6, 0.75), point(8, 1)],
            "failed_at": 7,
            "outcome": None,
            "exclude": False,
            "proposed": None,
        }
        label["keypoints"] = [
            point(3, 0.5),
            point(5, 0.75),
            point(8, 0.9),
        ]  # one moved, one given another value
        assert running.save({"1": label}, answer["labels"])[0] == 200
    finally:
        running.stop()
    new = {
        "keypoints": [
            {"timestamp": 0.29, "reward": 0.5},
            {"frame_index": 5, "timestamp": 0.5, "reward": 0.75},
            {"frame_index": 8, "timestamp": 0.81, "reward": 0.9},
        ],
        "fps": 10.0,
        "failed_at": {"timestamp": 0.71},
    }
    assert json.loads(path.read_text()) == {"repo_id": REPO_ID, "episodes": {"0": other, "1": new}}


PROPOSED = {
    "0": {"outcome": "success", "proposed": {"stopped_by": "reward", "threshold": 0.9, "checkpoint": "run", "doubt": 0.3}},
    "1": {"proposed": {"stopped_by": None, "doubt": 1}},
    "2": {"failed_at": 4, "outcome": "failure", "proposed": {"stopped_by": "failure", "reason": "gripper 3.9", "doubt": 0}},
}  # fmt: skip


def test_a_proposal_is_accepted_by_saving(root):
    """And of what the policy said nothing else can be changed."""
    path = root / REWARD_LABELS_PATH
    path.parent.mkdir()
    path.write_text(json.dumps(PROPOSED))
    running = Running(root)
    try:
        answer = running.json("/api/labels")[1]
        labels = copy.deepcopy(answer["labels"])
        assert [labels[e]["proposed"]["accepted"] for e in "012"] == [False] * 3
        assert labels["2"]["proposed"]["reason"] == "gripper 3.9"

        as_it_was = running.save({"0": labels["0"]}, answer["labels"])[1]
        assert json.loads(path.read_text()) == PROPOSED

        labels["0"]["proposed"] |= {"accepted": True, "checkpoint": "forged"}
        changes = {
            "0": labels["0"],
            "1": {"failed_at": 3},
        }  # the second by a program that knows of no proposals
        answer = running.save(changes, as_it_was["labels"])[1]
        accepted = {"accepted": True}
        assert json.loads(path.read_text()) == {
            "0": PROPOSED["0"] | {"proposed": PROPOSED["0"]["proposed"] | accepted},
            "1": {"failed_at": 3, "proposed": PROPOSED["1"]["proposed"] | accepted},
            "2": PROPOSED["2"],
        }

        labels["0"]["proposed"]["accepted"] = False  # undo
        assert running.save({"0": labels["0"]}, answer["labels"])[0] == 200
        assert json.loads(path.read_text())["0"] == PROPOSED["0"]
    finally:
        running.stop()


def test_only_a_label_that_both_changed_is_a_conflict(writable, root):
    """Changed by another tab, by another program, and by one that broke it."""
    path = root / REWARD_LABELS_PATH
    half, third = {"keypoints": [point(3, 0.5)]}, {"keypoints": [point(3, 0.3)]}
    assert writable.save({"0": half})[0] == 200
    # a tab that was open before: another episode is merged, the same one is not
    status, answer = writable.save({"1": {"exclude": True}, "0": third})
    assert status == 409 and answer["episodes"] == [0] and "has changed the same" in answer["error"]
    assert answer["labels"]["0"]["keypoints"] == [point(3, 0.5)] and answer["labels"]["1"]["exclude"]
    status, answer = writable.save({"0": third}, before=answer["labels"])
    assert status == 200 and answer["labels"]["0"]["keypoints"] == [point(3, 0.3)]

    # the answer to a save was lost: saving the same again is no conflict
    status, again = writable.save({"0": third})
    assert status == 200 and again["labels"] == answer["labels"]

    # what another program writes stays, also in an episode that was never shown
    theirs = {"0": {"failed_at": 2}, "1": {"exclude": True}, "3": {"exclude": True}}
    path.write_text(json.dumps(theirs))
    status, answer = writable.save({"1": {}, "0": {}}, before=again["labels"])
    assert status == 409 and answer["episodes"] == [0]
    assert json.loads(path.read_text()) == {"0": {"failed_at": 2}, "3": {"exclude": True}}

    path.write_text("{")
    status, answer = writable.save({"0": {}})
    assert status == 422 and "not a JSON file" in answer["error"] and path.read_text() == "{"
    path.unlink()
    status, answer = writable.save({"0": {"failed_at": 3}}, before={"0": {"failed_at": 2}})
    assert status == 409 and answer["episodes"] == [0] and not path.exists()


def test_tabs_that_save_at_once_lose_nothing(writable, root):
    """Four tabs save another episode at the same moment, and then the same one."""

    def together(labels: list[dict]) -> list[int]:
        statuses = [0] * len(labels)

        def save(i: int) -> None:
            statuses[i] = writable.save(labels[i])[0]

        threads = [threading.Thread(target=save, args=(i,)) for i in range(len(labels))]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return statuses

    path = root / REWARD_LABELS_PATH
    assert together([{str(i): {"exclude": True}} for i in range(3)]) == [200] * 3
    assert json.loads(path.read_text()) == {str(i): {"exclude": True} for i in range(3)}
    statuses = together([{"3": {"failed_at": i}} for i in range(4)])
    assert sorted(statuses) == [200, 409, 409, 409]
    assert json.loads(path.read_text())["3"] == {"failed_at": statuses.index(200)}


def test_a_full_disk_leaves_the_old_file(writable, root, monkeypatch):
    assert writable.save({"0": {"exclude": True}})[0] == 200
    before = (root / REWARD_LABELS_PATH).read_bytes()

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, answer = writable.save({"1": {"exclude": True}})
    assert status == 500 and "No space left on device. The file is as it was." in answer["error"]
    assert (root / REWARD_LABELS_PATH).read_bytes() == before
    assert os.listdir(root / "rewact_extensions") == ["reward_keypoints.json"]
    monkeypatch.undo()
    assert writable.save({"1": {"exclude": True}})[0] == 200


def test_another_dataset_on_the_same_port_is_not_written_to(writable):
    body = {"session": "me/other at /data/other", "labels": {"0": {"exclude": True}}, "before": {}}
    status, answer = writable.json("/api/labels", "PUT", body)
    assert status == 409 and "me/other" in answer["error"] and answer["other"]
    assert not writable.session.store.place.path.exists()


# ------------------------------------------------------------------------------------------------ where


def test_a_dataset_that_cannot_be_written(root, tmp_path, monkeypatch):
    """outputs/labels begins with its labels; the dataset stays as it is."""
    monkeypatch.chdir(tmp_path)
    inside = root / REWARD_LABELS_PATH
    inside.parent.mkdir()
    inside.write_text('{"3": {"failed_at": 2}}')
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: not Path(path).resolve().is_relative_to(root) and access(path, mode)
    )
    running = Running(root)
    try:
        place = running.json("/api/data")[1]["place"]
        assert place["path"] == "outputs/labels/local_tiny.json" and "cannot be written" in place["why"]
        assert place["flag"] == "--dataset.reward_labels=outputs/labels/local_tiny.json"
        answer = running.json("/api/labels")[1]
        assert answer["version"] == "" and answer["labels"]["3"]["failed_at"] == 2
        assert running.save({"0": {"exclude": True}})[0] == 200
    finally:
        running.stop()
    saved = json.loads((tmp_path / place["path"]).read_text())
    assert saved == {"repo_id": REPO_ID, "episodes": {"0": {"exclude": True}, "3": {"failed_at": 2}}}
    assert inside.read_text() == '{"3": {"failed_at": 2}}'


def test_a_snapshot_of_the_hub_is_not_written_to(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hub = tmp_path / "hub" / "datasets--local--tiny"
    (hub / "blobs").mkdir(parents=True)
    snapshot = hub / "snapshots" / "0123abcd"
    snapshot.parent.mkdir()
    root.rename(snapshot)
    place = choose_place(load_meta(REPO_ID, snapshot))
    assert place.path == LABELS_DIR / "local_tiny.json" and "the Hub's cache" in place.why
    monkeypatch.setattr(store, "HF_LEROBOT_HUB_CACHE", tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "tiny"
    moved.parent.mkdir()
    snapshot.rename(moved)
    monkeypatch.setattr(store, "find_label_file", lambda meta: None)
    assert choose_place(load_meta(REPO_ID, moved)).path == LABELS_DIR / "local_tiny.json"


def test_the_file_that_the_user_names(root, tmp_path):
    meta = load_meta(REPO_ID, root)
    named = choose_place(meta, tmp_path / "my labels" / "a.json")
    assert named.flag == f"--dataset.reward_labels='{tmp_path}/my labels/a.json'"
    assert choose_place(meta, root / REWARD_LABELS_PATH).flag is None
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        choose_place(meta, tmp_path / "file" / "a.json")
    # a symbolic link stays one, and its target is written
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    running = Running(root, labels=tmp_path / "link.json")
    try:
        assert running.save({"0": {"exclude": True}})[0] == 200
    finally:
        running.stop()
    assert (tmp_path / "link.json").is_symlink() and "exclude" in (tmp_path / "real.json").read_text()


def test_suggestions_come_from_the_gripper(root, monkeypatch):
    entry = {"keypoints": [{"frame_index": 2, "timestamp": 0.2, "reward": 0.5}], "fps": 10}
    monkeypatch.setattr(labelling_session, "suggest_gripper", lambda root, fps, key, dim: {0: entry, 1: None})
    session = make_session(load_meta(REPO_ID, root))
    assert list(session.data()["suggestions"]) == [0]
    assert session.data()["suggestions"][0]["keypoints"] == [point(2, 0.5)]
    monkeypatch.undo()
    with pytest.raises(UserError, match="no feature 'gripper'"):
        make_session(load_meta(REPO_ID, root), gripper=("gripper", -1))


# ------------------------------------------------------------------------------------------------ the command


def test_a_broken_label_file_does_not_start(root):
    path = root / REWARD_LABELS_PATH
    path.parent.mkdir()
    path.write_text('{"2": {"keypoints": [{"frame_index": 1, "reward": 3}]}}')
    with pytest.raises(UserError, match=r"reward_keypoints.json: episode 2: keypoint 0: .* got 3.*--labels"):
        make_session(load_meta(REPO_ID, root))
    path.write_text("{")
    with pytest.raises(UserError, match="not a JSON file"):
        make_session(load_meta(REPO_ID, root))


def label_py(*args: str) -> str:
    """The last line of scripts/label.py's error where it refuses to start."""
    done = subprocess.run(
        [sys.executable, label.__file__, *args], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().split("\n")[-1]


def test_a_port_in_use_and_no_dataset(served, tmp_path):
    with pytest.raises(UserError, match=f"port {served.port} is in use"):
        listen(served.port)
    with pytest.raises(UserError, match="cannot listen on port 70000"):
        listen(70000)
    assert f"port {served.port} is in use" in label_py("--dataset", "me/x", "--port", str(served.port))
    at_once = "import labelling.listening, sys; sys.exit('torch' in sys.modules or 'rewact' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", at_once], cwd=Path(label.__file__).parent, timeout=60
        ).returncode
        == 0
    )
    error = label_py("--dataset", "me/x", "--root", str(tmp_path), "--port", "0")
    assert f"no LeRobot dataset at {tmp_path}" in error
    assert "make label DATASET=" in label_py()


def test_ends_quietly_while_a_browser_loads_a_video(root, capfd):
    video = root / "videos/observation.images.top/chunk-000/file-000.mp4"
    video.write_bytes(bytes(2**25))  # more than the buffers on the way take
    running = Running(root)
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as sock:
        sock.sendall(b"GET /video/0/0 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % running.port)
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
        running.stop()
        assert not running.thread.is_alive()
    assert capfd.readouterr().err == ""


def test_predictions_of_a_policy(checkpoint, data_set, tmp_path):
    """Computed in the background, kept, and the same as visualise.py's."""
    import time

    from shared.predict import predict_episode

    running = Running(data_set, labels=tmp_path / "labels.json", policy_path=str(checkpoint))
    try:
        assert running.json("/api/data")[1]["policy"] == "tiny_run"
        deadline = time.monotonic() + 120
        while (answer := running.json("/api/prediction/1")[1])["state"] == "waiting":
            assert time.monotonic() < deadline and 0 <= answer["done"] <= LENGTHS[1]
            time.sleep(0.1)
        assert answer["state"] == "ready" and answer["held_out"] is True  # it was trained on 0 and 2
        expected = predict_episode(running.session.predictor.loaded, 1)
        assert answer["reward"] == pytest.approx(expected.tolist(), abs=1e-4)
        assert running.ask("/api/prediction/4")[0] == 404

        # all others without being asked for each; an excluded episode does not differ
        assert running.save({"2": {"exclude": True}})[0] == 200
        while (found := running.json("/api/differences?all=1")[1])["done"] < len(LENGTHS):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert sorted(found["differences"]) == ["0", "1", "3"]
        apart = np.abs(curve({}, LENGTHS[1], FPS, "linear") - expected)
        assert found["differences"]["1"]["mean"] == pytest.approx(apart.mean(), abs=1e-3)
        assert found["differences"]["1"]["frame"] == apart.argmax()
        assert running.ask("/api/differences?interpolation=cubic")[0] == 422
    finally:
        running.stop()
    with pytest.raises(UserError, match="no policy in"):
        make_session(load_meta(REPO_ID, data_set), tmp_path / "labels.json", str(tmp_path))
