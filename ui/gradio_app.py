"""Owns the chat page: its layout, its events and the server it runs on. The only module that imports gradio and fastapi.

What an answer looks like is present.py's and answer_html.py's; this module moves turns between the browser and the
Assistant. Everything the page needs comes from this server: no font, script or image from elsewhere, no file route.
"""

import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import gradio as gr
import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from wenshu.assistant.answer import Answer, Problem
from wenshu.assistant.assistant import Step
from wenshu.assistant.question import MAX_LENGTH, Question, language_of
from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui import answer_html as html
from wenshu.ui import page_texts as words
from wenshu.ui.gate import Gate
from wenshu.ui.present import Block, Picture, present, to_csv

if TYPE_CHECKING:
    from wenshu.assistant.assistant import Assistant

HOST = "127.0.0.1"
DEFAULT_PORT = 7860
MAX_AT_ONCE = 4
LANGUAGES: list[tuple[str, Language]] = [("中文", "zh"), ("English", "en")]

ICON = html.LOGO.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')

log = logging.getLogger("wenshu.ui")


@dataclass(frozen=True, slots=True)
class Session:
    """Hold where one browser tab is: its conversation, the number of its turns, and the question at work."""

    conversation: str
    turn: int = 0
    question: str = ""


def new_session() -> Session:
    """Return the session of a conversation that nobody else can name."""
    return Session(secrets.token_urlsafe(16))


def build_page(assistant: "Assistant", *, language: Language | None = None) -> gr.Blocks:
    """Return the chat page; `language` fixes the interface's first language, else the browser's is taken."""
    first: Language = language or "zh"
    page = gr.Blocks(title=words.TITLE.in_(first), analytics_enabled=False, fill_width=True)
    with page:
        session = gr.State(None)  # a start value would be every browser's; desk.open gives each its own
        with gr.Row(elem_id="page-header"):
            header = gr.HTML("", elem_id="brand", js_on_load=None, apply_default_css=False)
            switch = gr.Radio(LANGUAGES, value=first, elem_id="language", container=False)
            new = gr.Button(words.NEW.in_(first), elem_id="new", size="sm")
        thread = gr.HTML(
            None,
            html_template='<div class="thread"></div><p role="status" class="sr-only"></p>',
            js_on_load=_page_file("page.js"),
            apply_default_css=False,
            elem_id="conversation",
        )
        with gr.Column(elem_id="composer"):
            with gr.Row(elem_id="question-row"):
                box = gr.Textbox(
                    elem_id="question", lines=1, max_lines=6, autofocus=True, show_label=False, container=False, scale=1
                )
                send = gr.Button(words.SEND.in_(first), elem_id="send", variant="primary", scale=0, min_width=72)
                stop = gr.Button(words.STOP.in_(first), elem_id="stop", visible=False, scale=0, min_width=72)
            dark = gr.Checkbox(visible=False)
            hint = gr.HTML("", elem_id="help", js_on_load=None, apply_default_css=False)

        desk = _Desk(assistant, language)
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        quick: dict[str, Any] = {**hidden, "concurrency_limit": None}
        interface = [switch, header, new, box, send, stop, hint, thread]
        news = [thread, session, box, send, stop]
        page.load(desk.open, [switch], [*interface, session], js=_RECALL_LANGUAGE, **quick)
        switch.input(desk.relabel, [switch, session], interface, js=_KEEP_LANGUAGE, **quick)
        asking = gr.on(
            [box.submit, send.click, thread.submit],
            desk.ask,
            [box, session, switch, dark],
            news,
            js=_SEE_DARK,
            concurrency_limit=MAX_AT_ONCE,
            trigger_mode="once",
            **hidden,
        )
        stop.click(desk.stop, [session, switch], news, cancels=asking, **quick)
        new.click(desk.restart, [switch], news, cancels=asking, **quick)
    page.queue(max_size=64, api_open=False)
    return page


def create_app(assistant: "Assistant") -> FastAPI:
    """Return the web application: the page at "/", its health at "/healthz", and nothing else."""
    app = FastAPI(title=words.NAME, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(ICON, media_type="image/svg+xml")

    gr.mount_gradio_app(
        app,
        build_page(assistant),
        path="/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        max_file_size=1,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=_theme(),
        css=_page_file("page.css"),
        head=_HEAD,
    )
    app.add_middleware(Gate)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return app


def serve(
    assistant: "Assistant",
    *,
    port: int | None = None,
    on_ready: Callable[[str], None],
    on_notice: Callable[[Text], None] = log.warning,
) -> None:
    """Serve the page on this machine only until Ctrl-C; `on_ready` is told its address once it answers.

    A port that is taken is replaced by a free one, which `on_notice` is told.
    """
    listener = _listen(port, on_notice)
    address = f"http://{HOST}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        create_app(assistant), log_level="error", access_log=False, timeout_graceful_shutdown=1, server_header=False
    )
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


class _Desk:
    """Answers the page's events; holds nothing of any one browser."""

    def __init__(self, assistant: "Assistant", language: Language | None) -> None:
        self._assistant = assistant
        self._language = language

    def open(self, kept: str | None, request: gr.Request) -> list[Any]:
        """Return the whole interface in the language that was kept, or the browser's, and a session."""
        if kept not in ("zh", "en"):
            kept = self._language or _preferred(request.headers.get("accept-language", ""))
        session = new_session()
        return [*self.relabel("zh" if kept == "zh" else "en", session), session]

    def relabel(self, language: Language, session: Session | None) -> list[Any]:
        """Return the whole interface in another language; the conversation stays."""
        return [
            gr.update(value=language, label=words.LANGUAGE.in_(language)),
            html.header_html(self._assistant.model.label.in_(language), language),
            gr.update(value=words.NEW.in_(language)),
            gr.update(placeholder=words.PLACEHOLDER.in_(language), label=words.QUESTION.in_(language)),
            gr.update(value=words.SEND.in_(language)),
            gr.update(value=words.STOP.in_(language)),
            html.help_html(language),
            self._welcome(session or new_session(), language),
        ]

    async def ask(
        self, typed: str, session: Session | None, interface: Language, dark: bool, event: gr.EventData
    ) -> AsyncIterator[list[Any]]:
        """Yield the turn as it grows; when it is stopped, the step at work ends by itself in the background."""
        growing = self._grow(typed, session, interface, dark, event)
        while news := await to_thread.run_sync(next, growing, None, abandon_on_cancel=True):
            yield news

    def _grow(
        self, typed: str, session: Session | None, interface: Language, dark: bool, event: gr.EventData
    ) -> Iterator[list[Any]]:
        """Yield the question, the steps, the answer."""
        session = session or new_session()
        clicked = event._data.get("text") if isinstance(event._data, dict) else None
        text = (str(clicked) if clicked is not None else typed or "").strip()[: MAX_LENGTH + 1]
        if not text:
            yield [gr.skip()] * len(_news({}, session))
            return
        session = replace(session, turn=session.turn + 1, question=text)
        language = language_of(text)
        yield _news(
            _turn(session, html.steps_html((), language), interface, busy=True), session, busy=True, empty=not clicked
        )
        steps: tuple[str, ...] = ()
        for news in self._tell(Question(text=text, conversation=session.conversation), dark):
            if isinstance(news, Step):
                steps = (*steps, news.text.in_(language))
                yield _news(_turn(session, html.steps_html(steps, language), interface, busy=True), session, busy=True)
            else:
                yield _news(_turn(session, news, interface), session)

    def stop(self, session: Session | None, interface: Language) -> list[Any]:
        """Return the turn as stopped."""
        session = session or new_session()
        return _news(_turn(session, html.stopped_html(language_of(session.question)), interface), session)

    def restart(self, interface: Language) -> list[Any]:
        """Return an empty page and a new conversation."""
        session = new_session()
        return _news(self._welcome(session, interface), session, empty=True)

    def _welcome(self, session: Session, language: Language) -> dict[str, Any]:
        examples = words.group_examples(self._assistant.examples(language), language)
        return _message(replace(session, turn=0), html.welcome_html(examples, language), language)

    def _tell(self, question: Question, dark: bool) -> Iterator[Step | html.Html]:
        try:
            for news in self._assistant.stream(question):
                if isinstance(news, Answer):
                    blocks = present(news)
                    if any(isinstance(block, Picture) for block in blocks):
                        yield Step("draw", words.DRAWING)
                    yield _shown(news, blocks, question.text, dark)
                else:
                    yield news
        except Exception as problem:  # the page's edge: whatever happened, its reader gets a sentence, not a trace
            failure = _failed(problem, language_of(question.text))
            yield _shown(failure, present(failure), question.text, dark)


def _shown(answer: Answer, blocks: tuple[Block, ...], question: str, dark: bool) -> html.Html:
    return html.answer_html(
        blocks,
        question=question,
        language=answer.language,
        status=answer.status,
        csv=to_csv(answer.table, answer.language) if answer.table else None,
        picture=lambda picture: _drawn(picture, answer.language, dark),
    )


def _drawn(picture: Picture, language: Language, dark: bool) -> bytes | None:
    from wenshu.tools.render import render_chart

    try:
        return render_chart(picture.chart, picture.table, language=language, dark=dark)
    except Exception:  # the page's edge: a chart that fails must not take the numbers with it
        log.exception("a chart could not be drawn")
        return None


def _failed(problem: Exception, language: Language) -> Answer:
    if isinstance(problem, WenshuError):
        status, code, message, hint = problem.status, problem.code, problem.message, problem.hint
    else:
        log.error("a question failed", exc_info=problem)
        status, code, message, hint = "error", "unexpected", words.UNEXPECTED, words.UNEXPECTED_HINT
    said = Problem(code=code, message=message.in_(language), hint=hint.in_(language))
    return Answer(
        id=secrets.token_hex(8), status="refused" if status == "refused" else "error", language=language, problem=said
    )


def _news(thread: dict[str, Any], session: Session, *, busy: bool = False, empty: bool = False) -> list[Any]:
    """Return what changes on the page: the conversation, the session, the question box, the two buttons."""
    return [thread, session, "" if empty else gr.skip(), gr.update(visible=not busy), gr.update(visible=busy)]


def _turn(session: Session, answer: html.Html, interface: Language, *, busy: bool = False) -> dict[str, Any]:
    shown = html.turn_html(session.question, answer, interface)
    status = (words.WORKING if busy else words.READY).in_(interface)
    return _message(session, shown, interface, busy=busy, status=status)


def _message(
    session: Session, shown: html.Html, language: Language, *, busy: bool = False, status: str = ""
) -> dict[str, Any]:
    """Return what page.js puts in the conversation: turn 0 is the empty page's welcome."""
    return {
        "conversation": session.conversation,
        "turn": session.turn,
        "html": str(shown),
        "busy": busy,
        "status": status,
        "language": language,
        "title": words.TITLE.in_(language),
    }


def _preferred(accept_language: str) -> Language:
    """Return the first of the browser's languages that the page speaks, English if none."""
    weighed = []
    for position, part in enumerate(accept_language.split(",")):
        tag, _, weight = part.strip().partition(";q=")
        with suppress(ValueError):
            weighed.append((-float(weight or 1), position, tag[:2].lower()))
    for _, _, tag in sorted(weighed):
        if tag in ("zh", "en"):
            return "zh" if tag == "zh" else "en"
    return "en"


def _theme() -> gr.themes.Base:
    text = ["system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        font=[*text, "Noto Sans CJK SC", "Source Han Sans SC", "sans-serif"],
        font_mono=mono,
    )


def _page_file(name: str) -> str:
    return files("wenshu.ui").joinpath(name).read_text(encoding="utf-8")


# The switch outlives a reload of the tab, not the tab.
_KEEP_LANGUAGE = (
    "(language, session) => { sessionStorage.setItem('wenshu.language', language); return [language, session]; }"
)
_RECALL_LANGUAGE = "() => [['zh', 'en'].find((known) => known === sessionStorage.getItem('wenshu.language')) ?? null]"
_SEE_DARK = "(text, session, language, dark) => [text, session, language, document.body.classList.contains('dark')]"
_HEAD = (
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
)
