"""Serves the page on which labels are made: scripts/label.py starts it, scripts/label_page/ is what it shows.

    app = make_app(Session(meta, store), port=8765)
    serve(app, listen(8765))

    GET  /                                       the page, with /label.css and /label.js
    GET  /api/data                               the data set, once; GET /api/labels the labels and their version
    POST /api/curve                              the curve of a label, as training makes it; 422 if it is not valid
    PUT  /api/labels                             save; 409 if the file is not the one that the page knows
    GET  /api/prediction/{episode}               what the policy predicts, when it is ready
    GET  /video/{episode}/{camera}               the video file with that episode in it, by ranges
    GET  /frame/{episode}/{camera}/{frame}       one frame as a picture

It listens on 127.0.0.1 alone. Other pages in the same browser can send requests there too, so it looks at who asks:
see Guard.
"""

import errno
import json
import logging
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from label_frames import Cameras, NotThereError
from label_store import LabelStore, Snapshot, StaleError, choose_place, in_hub_cache, page_label
from label_tools import suggest_gripper
from shared.cli import UserError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.datasets.reward_keypoints import RewardLabelError, curve, parse_entry

PAGE = Path(__file__).parent / "label_page"
MAX_PATH = 100  # characters; the longest of ours have half of that
MAX_BODY = 32 * 2**20  # bytes; the labels of 100,000 episodes are less
# Nothing from elsewhere, in no frame of another page, never taken for something else than it is.
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'none'; "
    "base-uri 'none'",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@dataclass
class Session:
    """One data set that is being labelled.

    Attributes:
        suggestions: by episode index, entries of a label file for a person to accept.
        predictor: label_predict.Predictor; None without a policy.
        interpolation: how the curve is drawn between keypoints until the page asks for the other way.
    """

    meta: LeRobotDatasetMetadata
    store: LabelStore
    suggestions: dict[int, dict[str, Any]] = field(default_factory=dict)
    predictor: Any = None
    interpolation: str = "linear"
    cameras: Cameras = field(init=False)

    def __post_init__(self) -> None:
        self.cameras = Cameras(self.meta)

    @property
    def name(self) -> str:
        """What tells it from another data set that is served on the same port later."""
        return f"{self.meta.repo_id} at {Path(self.meta.root).resolve()}"

    def data(self) -> dict[str, Any]:
        """All that the page needs to know once."""
        lengths, fps = self.store.lengths, self.meta.fps
        place = self.store.place
        suggested = {
            index: page_label(parse_entry(entry, lengths[index], fps, f"suggestion for episode {index}"))
            for index, entry in self.suggestions.items()
        }
        return {
            "session": self.name,
            "repo_id": self.meta.repo_id,
            "root": str(self.meta.root),
            "fps": fps,
            "lengths": lengths,
            "tasks": [", ".join(tasks) for tasks in self.meta.episodes["tasks"]],
            "cameras": self.cameras.describe(),
            "videos": self.cameras.starts(),
            "place": {"path": str(place.path), "why": place.why, "flag": place.flag},
            "policy": None if self.predictor is None else self.predictor.name,
            "suggestions": suggested,
            "interpolation": self.interpolation,
        }

    def labels(self, now: Snapshot) -> dict[str, Any]:
        """A version of the file for the page."""
        path = self.store.place.path.resolve()
        return {
            "version": now.version,
            "labels": {index: page_label(label) for index, label in now.labels.items()},
            "backup": path.with_name(path.name + ".bak").exists(),
        }


def make_session(
    meta: LeRobotDatasetMetadata,
    labels: Path | None = None,
    policy_path: str | None = None,
    gripper: tuple[str, int] = ("action", -1),
    interpolation: str = "linear",
) -> Session:
    """All that the page shows of a data set, or a UserError.

    Args:
        meta: of the data set; its videos are fetched if they are not here.
        labels: the label file that the user names, if any.
        policy_path: a run, a checkpoint or a Hub id whose predictions are wanted.
        gripper: the feature, and the dimension in it, from which labels are suggested.
    """
    meta = with_videos(meta)
    store = LabelStore(
        choose_place(meta, labels), [int(n) for n in meta.episodes["length"]], meta.fps, meta.repo_id
    )
    try:
        store.read()
    except RewardLabelError as error:
        raise UserError(f"{error} Correct it first, or name another file with --labels.") from error
    predictor = None
    if policy_path is not None:
        from label_predict import Predictor  # imports what draws pictures, too

        predictor = Predictor(policy_path, meta)
    return Session(meta, store, suggestions(meta, *gripper), predictor, interpolation)


def with_videos(meta: LeRobotDatasetMetadata) -> LeRobotDatasetMetadata:
    """The metadata, after the files were fetched that the page shows: of a data set on the Hub only meta/ may be here."""
    if not meta.total_episodes:
        raise UserError(f"'{meta.repo_id}' at {meta.root} has no episodes.")
    if not meta.camera_keys:
        raise UserError(f"'{meta.repo_id}' has no cameras, so there is nothing to look at.")
    cameras = Cameras(meta)
    try:
        missing = [path for path in cameras.needed() if not path.is_file()]
        if missing and in_hub_cache(Path(meta.root)):
            print(f"fetching  {len(missing)} files of {meta.repo_id} …", flush=True)
            meta = LeRobotDataset(meta.repo_id, revision=meta.revision).meta
            missing = [path for path in Cameras(meta).needed() if not path.is_file()]
    except NotThereError as error:
        raise UserError(f"'{meta.repo_id}': {error}") from error
    except Exception as error:  # the Hub's client raises many unrelated types
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"the videos of '{meta.repo_id}' cannot be fetched: {reason}") from error
    for path in missing:
        print(f"WARNING   {path} is missing: its episodes are shown without", file=sys.stderr)
    return meta


def suggestions(meta: LeRobotDatasetMetadata, key: str, dim: int) -> dict[int, dict[str, Any]]:
    """Labels proposed from the gripper; none where the feature that is looked at by default is not there."""
    if key == "action" and key not in meta.features:
        return {}
    found = suggest_gripper(Path(meta.root), meta.fps, key, dim)
    return {index: entry for index, entry in found.items() if entry is not None}


def answer(status: int, error: str, **more: Any) -> JSONResponse:
    return JSONResponse({"error": error, **more}, status)


class Api:
    """The answers to the page's requests."""

    def __init__(self, session: Session):
        self.session = session

    def data(self, request: Request) -> Response:
        return JSONResponse(self.session.data())

    def labels(self, request: Request) -> Response:
        return JSONResponse(self.session.labels(self.session.store.read()))

    async def curve(self, request: Request) -> Response:
        body = await read_body(request, ("episode", "label", "interpolation"))
        return await run_in_threadpool(self._curve, body)

    def _curve(self, body: dict[str, Any]) -> Response:
        store, index = self.session.store, body.get("episode")
        if type(index) is not int or index not in range(len(store.lengths)):
            return answer(422, f"episode {index} does not exist.")
        if body.get("interpolation") not in ("linear", "pchip"):
            return answer(422, "interpolation must be linear or pchip.")
        entry = store.entry(index, body.get("label"), Snapshot())
        reward = curve(entry, store.lengths[index], store.fps, body["interpolation"])
        return JSONResponse({"reward": [round(float(value), 5) for value in reward]})

    async def save(self, request: Request) -> Response:
        body = await read_body(request, ("session", "version", "labels"))
        return await run_in_threadpool(self._save, body)

    def _save(self, body: dict[str, Any]) -> Response:
        session, store = self.session, self.session.store
        version, changes = body.get("version"), body.get("labels")
        if not isinstance(version, str) or not isinstance(changes, dict):
            return answer(400, "a version and labels are expected.")
        if body.get("session") != session.name:
            return answer(
                409, f"this server now serves {session.name}, not {body.get('session')}.", other=True
            )
        known = {str(index): index for index in range(len(store.lengths))}
        if unknown := [key for key in changes if key not in known]:
            return answer(422, f"episode {unknown[0][:20]} does not exist.")
        try:
            now = store.save(version, {known[key]: label for key, label in changes.items()})
        except StaleError:
            now = store.read()
            return answer(409, f"{store.place.path} was changed by somebody else.", **session.labels(now))
        except OSError as error:
            reason = error.strerror or error
            return answer(500, f"{store.place.path} could not be written: {reason}. The file is as it was.")
        at = datetime.now().strftime("%H:%M:%S")
        return JSONResponse(
            {
                **session.labels(now),
                "path": str(store.place.path),
                "saved_at": at,
                "n_episodes": len(now.labels),
            }
        )

    def prediction(self, request: Request) -> Response:
        episode = request.path_params["episode"]
        if self.session.predictor is None or episode not in range(self.session.meta.total_episodes):
            return answer(404, "there is no such prediction.")
        return JSONResponse(self.session.predictor.get(episode))

    def video(self, request: Request) -> Response:
        path, _ = self.session.cameras.video(request.path_params["episode"], request.path_params["camera"])
        if not path.is_file():
            raise NotThereError(f"{path} is missing.")
        return FileResponse(path, media_type="video/mp4", stat_result=path.stat())

    def frame(self, request: Request) -> Response:
        picture, media_type = self.session.cameras.picture(**request.path_params)
        return Response(picture, media_type=media_type)


async def read_body(request: Request, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise HTTPException(400, f"not JSON: {error}") from error
    if not isinstance(body, dict) or set(body) - set(keys):
        raise HTTPException(400, f"a JSON object with {', '.join(keys)} is expected.")
    return body


class Guard:
    """Lets no other web page in.

    A page from elsewhere can make the browser send requests to 127.0.0.1, and through a name of its own that it points
    there (DNS rebinding) read the answers. So the Host must be ours, what comes from another site is refused except
    that a link may open the page, and what writes must be JSON, which another site may not send without being asked.
    """

    def __init__(self, app: ASGIApp, port: int):
        self.app = app
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        if port == 80:
            self.hosts |= {"127.0.0.1", "localhost", "[::1]"}

    def refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return 421, f"this is served as http://{sorted(self.hosts)[0]} alone."
        origin = headers.get("origin")
        if origin is not None and (urlsplit(origin).scheme, urlsplit(origin).netloc.lower()) != (
            "http",
            hosts[0].lower(),
        ):
            return 403, "another site may not ask for this."  # fmt: skip
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            opened = (
                headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
            )
            if not (opened and scope["path"] == "/" and scope["method"] == "GET"):
                return 403, "another site may not ask for this."
        if len(scope["path"]) > MAX_PATH:
            return 414, "there is no such path."
        if scope["method"] not in ("GET", "HEAD"):
            if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
                return 415, "application/json is expected."
            length = headers.get("content-length", "")
            if not length.isdecimal():
                return 411, "a Content-Length is expected."
            if int(length) > MAX_BODY:
                return 413, f"more than {MAX_BODY} bytes."
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                # a range of a video may be kept, and is asked about again; all else changes
                headers["cache-control"] = "no-cache" if scope["path"].startswith("/video/") else "no-store"
            await send(message)

        refused = self.refusal(scope, Headers(scope=scope))
        app = self.app if refused is None else answer(*refused)
        await app(scope, receive, send_with_headers)


def make_app(session: Session, port: int) -> ASGIApp:
    """The application that is served on `port`."""
    api = Api(session)

    def file(name: str):
        return lambda request: FileResponse(PAGE / name)

    routes = [
        Route("/", file("index.html")),
        Route("/label.css", file("label.css")),
        Route("/label.js", file("label.js")),
        Route("/api/data", api.data),
        Route("/api/labels", api.labels),
        Route("/api/labels", api.save, methods=["PUT"]),
        Route("/api/curve", api.curve, methods=["POST"]),
        Route("/api/prediction/{episode:int}", api.prediction),
        Route("/video/{episode:int}/{camera:int}", api.video),
        Route("/frame/{episode:int}/{camera:int}/{frame:int}", api.frame),
    ]
    handlers = {
        RewardLabelError: lambda request, error: answer(422, str(error)),
        NotThereError: lambda request, error: answer(404, str(error)),
        HTTPException: lambda request, error: answer(error.status_code, error.detail),
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), port)


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1, or a UserError; port 0 takes a free one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # after a restart the port is free at once; it is not while somebody listens there
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen(128)
    except (OSError, OverflowError) as error:
        sock.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise UserError(
                f"port {port} is in use: stop what listens there, or give another --port."
            ) from error
        raise UserError(
            f"cannot listen on port {port}: {getattr(error, 'strerror', None) or error}."
        ) from error
    return sock


class Server(uvicorn.Server):
    """Ends without a traceback for the video that a browser is in the middle of."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def make_server(app: ASGIApp) -> Server:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return Server(config)


def serve(app: ASGIApp, sock: socket.socket) -> None:
    """Serve until Ctrl-C."""
    with suppress(KeyboardInterrupt):  # uvicorn raises it again when it has stopped
        make_server(app).run(sockets=[sock])
