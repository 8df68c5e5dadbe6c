"""A Slack to test against, on this machine: its web API, uploads and Socket Mode, and signed requests to the bridge's own endpoint.

It keeps what it is sent and obeys Slack's rules where a mistake would show: unknown methods, sizes of blocks, threads, ephemerals.
"""

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn

TEAM, BOT, SECRET = "T0HOME", "UBOT", "8f742231b10e8888abcd99yyyzzz85a5"
SCOPES = "app_mentions:read,assistant:write,chat:write,commands,files:write,im:history,im:write"
PATIENCE = 120.0


@dataclass
class Call:
    """One call of a method, with when it came and as what it was answered."""

    method: str
    sent: dict[str, Any]
    answer: dict[str, Any]
    number: int


@dataclass
class SlackApi:
    """What Slack knows; `trouble` may answer a call in its place with a status, headers and a body."""

    address: str = ""
    scopes: str = SCOPES
    calls: list[Call] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    trouble: Callable[[str, dict[str, Any]], tuple[int, dict[str, str], dict[str, Any]] | None] = lambda method, sent: (
        None
    )
    absent: set[str] = field(default_factory=set)  # channels the app is not in
    socket: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def call(self, method: str, sent: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        if trouble := self.trouble(method, sent):
            return trouble
        with self.changed:
            number = len(self.calls) + 1
            answer = self._answer(method, sent, number)
            self.calls.append(Call(method, sent, answer, number))
            self.changed.notify_all()
        return 200, {"x-oauth-scopes": self.scopes}, answer

    def _answer(self, method: str, sent: dict[str, Any], number: int) -> dict[str, Any]:
        if sent.get("channel", sent.get("channel_id")) in self.absent:
            return {"ok": False, "error": "not_in_channel"}
        match method:
            case "auth.test":
                return {"ok": True, "team_id": TEAM, "user_id": BOT, "bot_id": "B0BOT", "url": self.address}
            case "chat.postMessage" | "chat.postEphemeral":
                if problem := problem_of(sent):
                    return {"ok": False, "error": problem}
                return {"ok": True, "channel": sent["channel"], "ts": f"1800000000.{number:06}"}
            case "conversations.open":
                return {"ok": True, "channel": {"id": f"D{sent['users']}"}}
            case "files.getUploadURLExternal":
                return {"ok": True, "file_id": f"F{number}", "upload_url": f"{self.address}/upload/F{number}"}
            case "files.completeUploadExternal":
                return {"ok": True, "files": [{"id": each["id"]} for each in json.loads(sent["files"])]}
            case "assistant.threads.setStatus" | "assistant.threads.setSuggestedPrompts":
                return {"ok": True}
            case "apps.connections.open":
                return {"ok": True, "url": self.socket}
        return {"ok": False, "error": "unknown_method"}

    def of(self, *methods: str) -> list[Call]:
        with self.changed:
            return [call for call in self.calls if call.method in methods]

    def posts(self, channel: str | None = None, thread: str | None = None) -> list[dict[str, Any]]:
        """Return the messages that came through, in order."""
        posted = [call.sent | {"ts": call.answer["ts"]} for call in self.of("chat.postMessage") if call.answer["ok"]]
        return [p for p in posted if channel in (None, p["channel"]) and thread in (None, p.get("thread_ts"))]

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Return what a condition gives once it holds, looking whenever a call comes."""
        end = time.monotonic() + PATIENCE
        with self.changed:
            while not (found := condition()):
                assert time.monotonic() < end, [(call.method, call.sent) for call in self.calls]
                self.changed.wait(0.1)
        return found


def problem_of(sent: dict[str, Any]) -> str | None:
    """Return the error that Slack gives for a message that is too long or malformed."""
    blocks = sent.get("blocks") or []
    blocks = json.loads(blocks) if isinstance(blocks, str) else blocks
    if len(sent.get("text") or "") > 40_000:
        return "msg_too_long"
    if not (blocks or sent.get("text")):
        return "no_text"
    seen: set[str] = set()
    for block in blocks:
        texts = {"section": [block.get("text")], "context": block.get("elements")}.get(block["type"], [])
        if any(not text or not 1 <= len(text["text"]) <= 3_000 for text in texts) or len(texts) > 10:
            return "invalid_blocks"
        for button in block["elements"] if block["type"] == "actions" else []:
            if len(button["text"]["text"]) > 75 or len(button["value"]) > 2_000 or button["action_id"] in seen:
                return "invalid_blocks"
        ids = [button["action_id"] for button in block.get("elements", []) if block["type"] == "actions"]
        if len(ids) != len(set(ids)) or len(ids) > 25:
            return "invalid_blocks"
    return "invalid_blocks" if len(blocks) > 50 else None


@contextmanager
def slack_api() -> Iterator[SlackApi]:
    """Serve a Slack until the block ends."""
    api = SlackApi()

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path, _, query = self.path.partition("?")
            if path.startswith("/upload/"):
                api.files[path.removeprefix("/upload/")] = body
                return self._reply(200, {}, {"ok": True})
            sent = dict(urllib.parse.parse_qsl(query))
            if "json" in self.headers.get("content-type", ""):
                sent |= json.loads(body or b"{}")
            else:
                sent |= dict(urllib.parse.parse_qsl(body.decode()))
            self._reply(*api.call(path.removeprefix("/api/"), sent))

        do_GET = do_POST

        def _reply(self, status: int, headers: dict[str, str], answer: dict[str, Any]) -> None:
            text = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {
                "content-type": "application/json",
                "content-length": str(len(text)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Requests)
    api.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served(endpoint: Any) -> Iterator[str]:
    """Serve the bridge's endpoint; yield its address."""
    server = uvicorn.Server(uvicorn.Config(endpoint, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def signed(body: bytes, *, secret: str = SECRET, age: float = 0) -> dict[str, str]:
    """Return the headers with which Slack signs a request."""
    moment = str(int(time.time() - age))
    digest = hmac.new(secret.encode(), f"v0:{moment}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": moment, "x-slack-signature": f"v0={digest}"}


def post(
    address: str, body: dict[str, Any], *, form: bool = False, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Send the bridge what Slack sends: JSON, or a form for commands and clicks. Return the status and the body."""
    if form:
        fields = body if "command" in body else {"payload": json.dumps(body)}
        data, kind = urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded"
    else:
        data, kind = json.dumps(body).encode(), "application/json"
    sent = {"content-type": kind, **(signed(data) if headers is None else headers)}
    request = urllib.request.Request(f"{address}/slack/events", data, sent)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


_times = iter(range(1, 10**9))
_lock = threading.Lock()


def moment() -> str:
    """Return the time of a new message, which names it in its channel."""
    with _lock:
        return f"1700000000.{next(_times):06}"


def event(
    kind: str, text: str, *, user: str = "U1", channel: str = "C1", thread: str | None = None, **more: Any
) -> dict[str, Any]:
    """Return the event of a message as Slack sends it."""
    ts = more.pop("ts", None) or moment()
    body = {"type": kind, "user": user, "text": text, "ts": ts, "channel": channel, "event_ts": ts, "team": TEAM}
    if kind == "message":
        body["channel_type"] = "im"
    if thread:
        body["thread_ts"] = thread
    return {
        "type": "event_callback", "team_id": TEAM, "api_app_id": "A1", "event_id": f"Ev{ts}", "event_time": int(float(ts)),
        "authorizations": [{"team_id": TEAM, "user_id": BOT, "is_bot": True}], "event": body | more,
    }  # fmt: skip


def mention(text: str, **more: Any) -> dict[str, Any]:
    return event("app_mention", f"<@{BOT}> {text}", **more)


def direct(text: str, *, user: str = "U1", **more: Any) -> dict[str, Any]:
    return event("message", text, user=user, channel=f"D{user}", **more)


def command(text: str, *, user: str = "U1", channel: str = "C1") -> dict[str, Any]:
    return {
        "command": "/ask", "text": text, "user_id": user, "channel_id": channel, "team_id": TEAM, "trigger_id": f"13.{moment()}",
        "api_app_id": "A1", "response_url": "http://127.0.0.1:9/",
    }  # fmt: skip


def click(posted: dict[str, Any], button: dict[str, Any], *, user: str = "U1") -> dict[str, Any]:
    message = {"ts": posted["ts"]} | ({"thread_ts": posted["thread_ts"]} if posted.get("thread_ts") else {})
    return {
        "type": "block_actions", "team": {"id": TEAM}, "user": {"id": user, "team_id": TEAM}, "channel": {"id": posted["channel"]},
        "message": message, "container": {"message_ts": posted["ts"]}, "trigger_id": f"13.{moment()}",
        "actions": [button | {"action_ts": moment(), "block_id": "b"}],
    }  # fmt: skip


def blocks_of(posted: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = posted.get("blocks") or []
    return json.loads(blocks) if isinstance(blocks, str) else blocks


def buttons_of(posted: dict[str, Any]) -> list[dict[str, Any]]:
    return [button for block in blocks_of(posted) if block["type"] == "actions" for button in block["elements"]]


def said(posted: dict[str, Any]) -> str:
    """Return all that a message shows, as mrkdwn."""
    parts = []
    for block in blocks_of(posted):
        parts += [block["text"]["text"]] if block["type"] == "section" else []
        parts += [each["text"] for each in block["elements"]] if block["type"] == "context" else []
    return "\n".join(parts)


def in_threads(calls: list[dict[str, Any]]) -> dict[str, deque[dict[str, Any]]]:
    """Return messages by their thread."""
    threads: dict[str, deque[dict[str, Any]]] = {}
    for call in calls:
        threads.setdefault(call.get("thread_ts") or call["ts"], deque()).append(call)
    return threads
