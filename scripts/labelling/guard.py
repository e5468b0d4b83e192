"""Keeps other web pages away from the labelling server.

A page from elsewhere can make the browser send requests to 127.0.0.1. With a host name of its own that resolves to
127.0.0.1 (DNS rebinding) it could even read the answers.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_PATH = 100  # characters; our longest paths have half of that
MAX_BODY = 32 * 2**20  # bytes; the labels of 100,000 episodes take less
# Load nothing from other sites, show in no frame of another page, never guess a content type.
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'none'; "
    "base-uri 'none'",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """Answers only requests of the page itself, and adds the security headers.

    The Host must be ours. Requests from another site are refused, except for a link that opens the page. Requests
    that write must send JSON, which a browser does not let another site do without asking the server first.
    """

    def __init__(self, app: ASGIApp, port: int):
        self.app = app
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        if port == 80:
            self.hosts |= {"127.0.0.1", "localhost", "[::1]"}

    def refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """The status and the reason to refuse a request with; None to answer it."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return 421, f"this server answers only as http://{sorted(self.hosts)[0]}."
        origin = headers.get("origin")
        if origin is not None:
            url = urlsplit(origin)
            if (url.scheme, url.netloc.lower()) != ("http", hosts[0].lower()):
                return 403, "another site may not ask for this."
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
                # the browser may keep parts of a video if it checks that they are unchanged, and must keep nothing else
                headers["cache-control"] = "no-cache" if scope["path"].startswith("/video/") else "no-store"
            await send(message)

        app, refused = self.app, self.refusal(scope, Headers(scope=scope))
        if refused is not None:
            status, error = refused
            app = JSONResponse({"error": error}, status)
        await app(scope, receive, send_with_headers)
