"""Serves the page on which labels are made: scripts/label.py starts it, labelling/page/ is what it shows.

    app = make_app(session, port=8765)           # a labelling.session.Session
    serve(app, listen(8765))                     # a labelling.listening socket

    GET  /                                       the page, with its style sheet and its modules (/main.js, ...)
    GET  /api/data                               the dataset, once
    GET  /api/labels                             the labels in the file
    POST /api/curve                              the curve of a label, as in training; 422 if the label is not valid
    PUT  /api/labels                             save; 409 names episodes that have changed in the file meanwhile
    GET  /api/prediction/{episode}               what the policy predicts, once it is computed
    GET  /api/differences                        where prediction and label disagree; with ?all=1 in every episode
    GET  /api/signals/{episode}                  the curves of state and action
    GET  /api/alive                              whether the server is there, and serves the same dataset
    GET  /video/{episode}/{camera}               the video file with that episode in it, by ranges
    GET  /frame/{episode}/{camera}/{frame}       one frame as an image
    GET  /preview/{episode}                      the last frame as a small image

It listens on 127.0.0.1 only, and labelling.guard keeps other pages in the same browser away.
"""

import json
import logging
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from labelling.frames import NotThereError
from labelling.guard import Guard
from labelling.session import Session
from labelling.store import Snapshot
from rewact.keypoints import RewardLabelError, curve
from rewact.label_config import REWARD_INTERPOLATIONS

PAGE = Path(__file__).parent / "page"
# By suffix. Not guessed: the mimetypes module asks the system, and a browser runs no module of another type.
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


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
        if body.get("interpolation") not in REWARD_INTERPOLATIONS:
            return answer(422, "interpolation must be linear or pchip.")
        entry = store.entry(index, body.get("label"), Snapshot())
        reward = curve(entry, store.lengths[index], store.fps, body["interpolation"])
        # null where nothing is known, as in a failure of which only the end is
        known = [None if np.isnan(value) else round(float(value), 5) for value in reward]
        return JSONResponse({"reward": known})

    async def save(self, request: Request) -> Response:
        body = await read_body(request, ("session", "labels", "before"))
        return await run_in_threadpool(self._save, body)

    def _save(self, body: dict[str, Any]) -> Response:
        session, store = self.session, self.session.store
        changes, before = body.get("labels"), body.get("before")
        if not isinstance(changes, dict) or not isinstance(before, dict):
            return answer(400, "labels, and those before, are expected.")
        if not all(isinstance(label, dict) for label in before.values()):
            return answer(400, "the labels before must be objects.")
        if body.get("session") != session.name:
            return answer(
                409, f"this server now serves {session.name}, not {body.get('session')}.", other=True
            )
        known = {str(index): index for index in range(len(store.lengths))}
        if unknown := [key for key in changes if key not in known]:
            return answer(422, f"episode {unknown[0][:20]} does not exist.")
        try:
            now, conflicts = store.save(
                {known[key]: label for key, label in changes.items()},
                {known[key]: label for key, label in before.items() if key in known},
            )
        except OSError as error:
            reason = error.strerror or error
            return answer(500, f"{store.place.path} could not be written: {reason}. The file is as it was.")
        if conflicts:
            reason = f"another tab or program has changed the same in {store.place.path}."
            return answer(409, reason, episodes=conflicts, **session.labels(now))
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

    def differences(self, request: Request) -> Response:
        interpolation = request.query_params.get("interpolation", "linear")
        if self.session.differences is None:
            return answer(404, "there is no policy.")
        if interpolation not in REWARD_INTERPOLATIONS:
            return answer(422, "interpolation must be linear or pchip.")
        predictor = self.session.predictor
        if request.query_params.get("all") == "1":
            predictor.want_all()
        finished = predictor.finished  # before the differences, so that the last answer has all of them
        return JSONResponse({"differences": self.session.differences.now(interpolation), "done": finished})

    def signals(self, request: Request) -> Response:
        return JSONResponse({"signals": self.session.signals.of(request.path_params["episode"])})

    async def alive(self, request: Request) -> Response:  # on the event loop: no busy thread delays it
        return JSONResponse({"session": self.session.name})

    def preview(self, request: Request) -> Response:
        image, media_type = self.session.cameras.preview(request.path_params["episode"])
        return Response(image, media_type=media_type)

    def video(self, request: Request) -> Response:
        path, _ = self.session.cameras.video(request.path_params["episode"], request.path_params["camera"])
        if not path.is_file():
            raise NotThereError(f"{path} is missing.")
        return FileResponse(path, media_type="video/mp4", stat_result=path.stat())

    def frame(self, request: Request) -> Response:
        image, media_type = self.session.cameras.image(**request.path_params)
        return Response(image, media_type=media_type)


async def read_body(request: Request, keys: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object that a request sends, with no other keys than these."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise HTTPException(400, f"not JSON: {error}") from error
    if not isinstance(body, dict) or set(body) - set(keys):
        raise HTTPException(400, f"a JSON object with {', '.join(keys)} is expected.")
    return body


def make_app(session: Session, port: int) -> ASGIApp:
    """The application to serve on `port`."""
    api = Api(session)

    def page_file(path: Path) -> Route:
        url = "/" if path.name == "index.html" else f"/{path.name}"
        return Route(url, lambda request: FileResponse(path, media_type=MEDIA_TYPES[path.suffix]))

    routes = [
        # listed once, so that no request can name a file
        *(page_file(path) for path in sorted(PAGE.iterdir()) if path.suffix in MEDIA_TYPES),
        Route("/api/data", api.data),
        Route("/api/labels", api.labels),
        Route("/api/labels", api.save, methods=["PUT"]),
        Route("/api/curve", api.curve, methods=["POST"]),
        Route("/api/prediction/{episode:int}", api.prediction),
        Route("/api/differences", api.differences),
        Route("/api/signals/{episode:int}", api.signals),
        Route("/api/alive", api.alive),
        Route("/preview/{episode:int}", api.preview),
        Route("/video/{episode:int}/{camera:int}", api.video),
        Route("/frame/{episode:int}/{camera:int}/{frame:int}", api.frame),
    ]
    handlers = {
        RewardLabelError: lambda request, error: answer(422, str(error)),
        NotThereError: lambda request, error: answer(404, str(error)),
        HTTPException: lambda request, error: answer(error.status_code, error.detail),
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), port)


class Server(uvicorn.Server):
    """Ends without a traceback while a browser is loading a video."""

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
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after it has stopped
        make_server(app).run(sockets=[sock])
