"""Owns the server that a web application runs on: this machine only, a free port, a quiet end. The only module that imports uvicorn."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.text import Text
from wenshu.ui import page_texts as words

HOST = "127.0.0.1"
DEFAULT_PORT = 7860


def run(app: Any, port: int | None, on_ready: Callable[[str], None], on_notice: Callable[[Text], None]) -> None:
    """Serve an application until Ctrl-C; `on_ready` is told its address once it answers, `on_notice` of a port that is taken."""
    listener = _listen(port, on_notice)
    address = f"http://{HOST}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app, log_level="error", access_log=False, timeout_graceful_shutdown=1, server_header=False,
        proxy_headers=False,  # who the peer is may not be up to a header
    )  # fmt: skip
    with listener, suppress(KeyboardInterrupt):
        _Server(config, lambda: on_ready(address)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that says when it answers, and ends without a word about the pages that are still open."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def _listen(port: int | None, on_notice: Callable[[Text], None]) -> socket.socket:
    for candidate in (port or DEFAULT_PORT, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        if candidate == 0:
            used = (port or DEFAULT_PORT, listener.getsockname()[1])
            on_notice(Text(words.PORT_TAKEN.en.format(*used), words.PORT_TAKEN.zh.format(*used)))
        return listener
    raise WenshuError("no_port", Text("No port is free on this machine.", "本机没有可用的端口。"))
