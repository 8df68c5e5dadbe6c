"""Serves a scripted OpenAI-compatible endpoint over real sockets: each request gets the next reply of the script."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.auto import AutoPlanner
from wenshu.assistant.llm import Endpoint
from wenshu.assistant.llm_planner import LlmPlanner
from wenshu.assistant.llm_settings import LlmSettings
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.layer import SemanticLayer

KEY = "sk-secret-of-the-test"


@dataclass
class Script:
    """Hold the replies to come, the last of which is given again and again, and the requests that came."""

    replies: list[Callable[["Handler"], None]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    port: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    # what may be scripted

    def says(self, *texts: str | dict) -> "Script":
        """Stream each text, in small pieces; a dict is a plan."""
        for text in texts:
            said = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
            self.replies.append(lambda handler, said=said: handler.stream(said))
        return self

    def calls(self, name: str, **arguments: Any) -> "Script":
        """Stream a call of a tool."""
        self.replies.append(lambda handler: handler.stream("", tool=(name, json.dumps(arguments))))
        return self

    def fails(self, status: int, times: int = 1) -> "Script":
        body = {"error": {"message": f"no, and your key is {KEY}", "type": "trouble"}}
        self.replies += [lambda handler: handler.plain(status, json.dumps(body).encode())] * times
        return self

    def writes(self, raw: bytes, content_type: str = "application/json") -> "Script":
        self.replies.append(lambda handler: handler.plain(200, raw, content_type))
        return self

    def hangs(self) -> "Script":
        """Say nothing until the test is over."""
        self.replies.append(lambda handler: self.over.wait())
        return self

    def drips(self) -> "Script":
        """Stream a word a while, for ever."""
        self.replies.append(lambda handler: handler.stream("word " * 1000, pause=0.3))
        return self

    def cuts(self, text: str) -> "Script":
        """Close the connection in the middle of a stream."""
        self.replies.append(lambda handler: handler.stream(text, cut=True))
        return self

    @property
    def last(self) -> str:
        return json.dumps(self.requests[-1], ensure_ascii=False)


class Handler(BaseHTTPRequestHandler):
    script: Script
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.script.requests.append(json.loads(body))
        self.script.keys.append(self.headers.get("Authorization", ""))
        replies = self.script.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        try:
            reply(self)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def plain(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, text: str, *, tool: tuple[str, str] | None = None, pause: float = 0.0, cut: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        pieces: list[dict[str, Any]] = [{"content": text[i : i + 24]} for i in range(0, len(text), 24)]
        if tool is not None:
            function = {"name": tool[0], "arguments": tool[1]}
            call = {"index": 0, "id": f"call_{len(self.script.requests)}", "type": "function", "function": function}
            pieces = [{"role": "assistant", "tool_calls": [call]}]
        for piece in pieces[: len(pieces) // 2 if cut else None]:
            self.event({"choices": [{"index": 0, "delta": piece, "finish_reason": None}]})
            time.sleep(pause)
        if cut:
            self.wfile.write(b'data: {"choices": [{"index"')
            self.close_connection = True
            return
        reason = "tool_calls" if tool else "stop"
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        self.event({"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def event(self, data: dict[str, Any]) -> None:
        whole = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", **data}
        self.wfile.write(f"data: {json.dumps(whole)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *arguments: Any) -> None:
        return


class Server(ThreadingHTTPServer):
    """Says nothing of clients that go away, as the ones that lose patience do."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def script() -> Iterator[Script]:
    """Return the script of a server that runs for the test."""
    script = Script()
    server = Server(("127.0.0.1", 0), type("Scripted", (Handler,), {"script": script}))
    server.daemon_threads = True
    server.block_on_close = False
    script.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield script
    script.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings_of(script: Script) -> Callable[..., LlmSettings]:
    """Return the settings that lead to the scripted server, with some of them changed."""

    def settings(**changes: Any) -> LlmSettings:
        given = {"model": "scripted", "base_url": f"http://127.0.0.1:{script.port}/v1", "key": KEY, "seconds": 60.0}
        return LlmSettings(**{**given, "prose": False, "confirm": False, **changes})

    return settings


@pytest.fixture
def assistant_of(
    layer_of: Callable[[str], SemanticLayer], settings_of: Callable[..., LlmSettings]
) -> Callable[..., Assistant]:
    """Return the assistant over the demo shop whose language model is the scripted server."""

    def assistant(planner: str = "llm", **changes: Any) -> Assistant:
        layer = layer_of("shop")
        endpoint = Endpoint(settings_of(**changes))
        llm = LlmPlanner(RulesPlanner(layer), endpoint)
        return Assistant(layer, llm if planner == "llm" else AutoPlanner(llm))

    return assistant
