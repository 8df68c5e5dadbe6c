"""Owns who is at the page: everybody alike, one person, who signed in, or whom a trusted proxy names. Plain ASGI; knows nothing of answers.

A proxy's name counts only where it comes in the one header that the operator chose, from a peer that the operator trusts. It is asked of every
request, and what one person's browser began, another's may not read or end.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from anyio import to_thread

from wenshu.semantic_layer.errors import WenshuError
from wenshu.ui.gate import LOGIN, UPLOAD, App, Message, Receive, Scope, Send, body_of

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.planner import Investigation, Plan, Step
    from wenshu.assistant.question import Question
    from wenshu.ui.login import SignIns

LOCAL_PEERS = ("127.0.0.1",)
OPEN_TO_ALL = frozenset({"/healthz", "/favicon.ico"})
HEARTBEAT = "/gradio_api/heartbeat/"
MOST_SESSIONS = 100_000  # browser tabs whose owner is remembered; the longest silent is forgotten first


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Say who is asking: `user` for everybody, or whom the `header` names when one of the `peers` sends it, or who came through `sign_ins`."""

    assistant_for: "Callable[[str | None], Assistant]"
    answers: "Callable[[Question], Iterator[Step | Answer]] | None" = None  # where it is not that assistant alone who answers
    carries: "Callable[[Question, Plan | Investigation], Iterator[Step | Answer]] | None" = None  # the same, of what is planned already
    user: str | None = None
    header: str | None = None
    peers: tuple[str, ...] = LOCAL_PEERS
    sign_ins: "SignIns | None" = None

    @property
    def tells_apart(self) -> bool:
        """Say whether it matters who sends a request."""
        return self.header is not None or self.sign_ins is not None

    def stream(self, question: "Question") -> "Iterator[Step | Answer]":
        """Yield the stages of a question as they begin, then its answer."""
        return self.answers(question) if self.answers else self.assistant_for(question.user).stream(question)

    def carry_out(self, question: "Question", outcome: "Plan | Investigation") -> "Iterator[Step | Answer]":
        """Yield the stages of what is planned already, then its answer."""
        return (self.carries or self.assistant_for(question.user).carry_out)(question, outcome)

    def name_in(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the name of who sends a request with these headers; None for nobody, as where the proxy's is not there just once."""
        if self.sign_ins is not None:
            return self.sign_ins.name_in(headers)
        if self.header is None:
            return self.user
        wanted = self.header.lower().encode()
        values = [value for key, value in headers if key.lower() == wanted]
        try:
            return values[0].decode("utf-8").strip() or None if len(values) == 1 else None
        except UnicodeDecodeError:
            return None

    def refused_with(self, scope: Scope) -> int | None:
        """Return the status code that a request is refused with for who sends it, or None if it may pass."""
        if not self.tells_apart or scope["path"] in OPEN_TO_ALL:
            return None
        if self.header is not None and (scope.get("client") or ("",))[0] not in self.peers:
            return 403
        name = self.name_in(scope["headers"])
        if name is None:
            return 401
        try:
            self.assistant_for(name)
        except WenshuError as error:
            return 403 if error.status == "refused" else None  # what else goes wrong, the page tells
        return None


def open_to_all(assistant: "Assistant") -> Entrance:
    """Return the entrance of a page on which nobody is told apart."""
    return Entrance(assistant_for=lambda _: assistant)


class Doorkeeper:
    """Let through only people with rights, and nobody to another's session."""

    def __init__(self, app: App, entrance: Entrance) -> None:
        self._app, self._entrance = app, entrance
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a bare status code."""
        if scope["type"] != "http" or not self._entrance.tells_apart:
            return await self._app(scope, receive, send)
        # in a thread, as a person who is new here may need a look at the data
        status = await to_thread.run_sync(self._entrance.refused_with, scope)
        body = await body_of(receive) if status is None and scope["method"] == "POST" and scope["path"] != UPLOAD else None
        if status is None and not self._owns(self._entrance.name_in(scope["headers"]), _session(scope, body)):
            status = 403
        if status is None:
            return await self._app(scope, receive if body is None else _again(body, receive), send)
        headers = [(b"content-length", b"0")]
        if status == 401 and self._entrance.sign_ins is not None and scope["path"] == "/":
            query = scope.get("query_string", b"")
            status, headers = 303, [*headers, (b"location", f"{LOGIN}?{urlencode({'to': query})}".encode() if query else LOGIN.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        return await send({"type": "http.response.body", "body": b""})

    def _owns(self, name: str | None, session: str | None) -> bool:
        """Say whether a session is this person's; a session belongs to whoever names it first."""
        if session is None or name is None:
            return True
        with self._lock:
            owner = self._owners.setdefault(session, name)
            self._owners.move_to_end(session)
            while len(self._owners) > MOST_SESSIONS:
                self._owners.popitem(last=False)
        return owner == name


def _session(scope: Scope, body: bytes | None) -> str | None:
    """Return the session that a request is about, wherever it names it."""
    if scope["path"].startswith(HEARTBEAT):
        return str(scope["path"].removeprefix(HEARTBEAT))
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash")
    if asked:
        return str(asked[-1])
    try:
        said = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
    named = said.get("session_hash") if isinstance(said, dict) else None
    return None if named is None else str(named)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that gives a body once more, then whatever follows."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
