"""Serves the real chat page to the tests, and opens it in headless Chromium."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from wenshu.assistant.answer import Answer
from wenshu.assistant.assistant import Assistant, Step
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.text import Text
from wenshu.ui.gradio_app import HOST, create_app, serve
from wenshu.ui.history import History
from wenshu.ui.own_models import OwnModels
from wenshu.ui.workspace import build, database_of, open_layer

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def make_assistant() -> Assistant:
    """Return the real assistant over a small demo shop, built in `WENSHU_HOME` where it is missing."""
    database = database_of("shop")
    if not database.exists():
        build("shop", database, users=2_000)
    layer = open_layer("shop", database)
    return Assistant(layer, RulesPlanner(layer))


@pytest.fixture(scope="session")
def assistant() -> Assistant:
    return make_assistant()


class TroubledAssistant:
    """The same assistant on a bad day: it takes its time, and breaks on "boom"."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self.model = assistant.model
        self.layer = assistant.layer
        self.planner = assistant.planner
        self.examples = assistant.examples
        self.complete = assistant.complete

    def stream(self, question: Question) -> Iterator[Step | Answer]:
        yield Step("wait", Text("Taking its time", "慢慢来"))
        if "boom" in question.text:
            raise RuntimeError("secret internals")
        time.sleep(4)
        yield from self._assistant.stream(question)


@contextmanager
def served(assistant: Assistant, history: History | None = None, own: OwnModels | None = None) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(create_app(assistant, history, own), host=HOST, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://{HOST}:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def address(assistant: Assistant) -> Iterator[str]:
    with served(assistant) as url:
        yield url


@pytest.fixture(scope="session")
def troubled_address(assistant: Assistant) -> Iterator[str]:
    with served(TroubledAssistant(assistant)) as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """Hold an open page and what it did: its requests, failed responses, and what its console said."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def ask(self, question: str) -> int:
        """Type a question and press Enter; return the number of its turn."""
        turn = self.turns + 1
        self.page.fill("#question textarea", question)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector(f'[data-turn="{turn}"] h2.question')
        return turn

    def answer(self, turn: int):
        """Wait for a turn's answer and return it."""
        answer = self.page.locator(f'[data-turn="{turn}"] .answer')
        answer.wait_for()
        return answer

    @property
    def turns(self) -> int:
        return self.page.locator('[data-turn]:not([data-turn="0"])').count()


@pytest.fixture
def visit(chromium: Browser) -> Iterator:
    """Return a function that opens an address as a fresh browser; afterwards nothing may have left this machine."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def open_page(address: str, language: str, **options) -> Visit:
        context = chromium.new_context(locale={"zh": "zh-CN", "en": "en-GB"}[language], **options)
        contexts.append(context)
        context.set_default_timeout(90_000)
        visited = Visit(context.new_page())
        visits.append(visited)
        page = visited.page
        page.on("request", lambda sent: visited.requests.append(sent))
        page.on("response", lambda got: got.status >= 400 and visited.complaints.append(f"{got.status} {got.url}"))
        page.on("console", lambda said: said.type in ("error", "warning") and visited.complaints.append(said.text))
        page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        page.goto(address)
        page.wait_for_selector("body[data-ready] .thread .ask")
        return visited

    yield open_page
    for context in contexts:
        context.close()
    for visited in visits:
        assert visited.complaints == []
        outside = [r.url for r in visited.requests if not r.url.startswith((f"http://{HOST}:", "data:", "blob:"))]
        assert outside == []


if __name__ == "__main__":  # test_page.py starts the server as a program of its own

    def tell(said: object) -> None:
        print(said, flush=True)

    serve(make_assistant(), port=int(sys.argv[1]), on_ready=tell, on_notice=tell)
    tell("ended")
