"""Owns which HTTP requests reach the page. Plain ASGI; knows nothing of Gradio's inside or of answers."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 1_000_000
MAX_UPLOAD = 300_000_000
UPLOAD = "/upload"
LOGIN, LOGOUT = "/login", "/logout"

# What the page itself calls. Files, uploads, proxying, the API and its description are not among it.
OPEN = frozenset(
    ["/", "/healthz", "/favicon.ico", "/theme.css", "/complete", "/actions", "/report", UPLOAD]
    + [f"/gradio_api/{name}" for name in ("queue/join", "queue/data", "cancel", "reset")]
)
OPEN_BELOW = ("/assets/", "/static/", "/gradio_api/heartbeat/")

# Gradio's components compile their templates, hence 'unsafe-eval'; nothing may come from, or go to, another server.
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; "
        b"frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Gate:
    """Let through only what the page calls, of bounded size, and give every response the page's safety headers."""

    def __init__(self, app: App, also: frozenset[str] = frozenset()) -> None:
        """`also` are paths that are open besides those of the page."""
        self._app = app
        self._open = OPEN | also

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a bare status code."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close"})

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        if status := refused_with(scope, self._open):
            await send_guarded(
                {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]}
            )
            return await send_guarded({"type": "http.response.body", "body": b""})
        await self._app(scope, receive, send_guarded)


def refused_with(scope: Scope, paths: frozenset[str] = OPEN) -> int | None:
    """Return the status code a request is refused with, or None if it may pass."""
    path, method = scope["path"], scope["method"]
    if ".." in path or not (path in paths or path.startswith(OPEN_BELOW)):
        return 404
    if method not in ("GET", "HEAD", "POST"):
        return 405
    if method == "POST":
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            return 411
        if int(length) > (MAX_UPLOAD if path == UPLOAD else MAX_BODY):
            return 413
    return None


async def body_of(receive: Receive) -> bytes:
    """Return the whole body of a request, whose size the gate has bounded."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
