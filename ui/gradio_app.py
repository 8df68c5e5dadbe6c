"""Owns the chat page: its layout, its events and the server it runs on. The only module that imports gradio and fastapi.

What an answer looks like is present.py's and answer_html.py's; this module moves turns between the browser and the
Assistant. Everything the page needs comes from this server: no font, script or image from elsewhere, no file route.
"""

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.resources import files
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from wenshu.ui import gradio_stubs  # noqa: F401 - before Gradio

# isort: split
import gradio as gr
from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from wenshu.assistant.answer import Answer
from wenshu.assistant.planner import SAY, Step
from wenshu.assistant.question import MAX_LENGTH, Context, Question, language_of
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui import answer_html as html
from wenshu.ui import desk_texts
from wenshu.ui import page_texts as words
from wenshu.ui.entrance import Doorkeeper, Entrance, open_to_all
from wenshu.ui.gate import LOGIN, LOGOUT, Gate
from wenshu.ui.growing import grown
from wenshu.ui.history import History
from wenshu.ui.login import LoginDoor
from wenshu.ui.own_models import OwnModels
from wenshu.ui.page_actions import PageActions, sent_json
from wenshu.ui.page_data import arrived
from wenshu.ui.page_server import HOST, run
from wenshu.ui.page_turn import Look, failed_answer, kept_turn_html, message, ready_to_draw, shown_answer
from wenshu.ui.report_page import ReportDesk
from wenshu.ui.store import Store
from wenshu.ui.waiting import MOST_WAITING, Ticket, WaitingLine

if TYPE_CHECKING:
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.template_files import Templates

MAX_AT_ONCE = 4  # questions at work; the others wait in line
TELL = 2.0  # seconds at least between two places that one person is told
WAIT = "in line"
LANGUAGES: list[tuple[str, Language]] = [("中文", "zh"), ("English", "en")]

ICON = html.LOGO.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')

log = logging.getLogger("wenshu.ui")


@dataclass(frozen=True, slots=True)
class Session:
    """Hold where one browser tab is: its conversation, the number of its last turn, and the question at work, which is turn `at`."""

    conversation: str
    turn: int = 0
    question: str = ""
    at: int = 0
    model: str = ""


def new_session(model: str = "") -> Session:
    """Return the session of a conversation about a model that nobody else can name."""
    return Session(secrets.token_urlsafe(16), model=model)


def build_page(entrance: Entrance, history: History, *, language: Language | None = None) -> gr.Blocks:
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
            js_on_load="".join(map(_page_file, ("page.js", "completion.js", "asking.js", "uploading.js", "reporting.js", "desk.js"))),
            apply_default_css=False,
            elem_id="conversation",
        )
        with gr.Column(elem_id="composer"):
            with gr.Row(elem_id="question-row"):
                box = gr.Textbox(
                    elem_id="question", lines=1, max_lines=6, interactive=True, autofocus=True, show_label=False, container=False, scale=1,
                )  # fmt: skip
                send = gr.Button(words.SEND.in_(first), elem_id="send", variant="primary", scale=0, min_width=72)
                stop = gr.Button(words.STOP.in_(first), elem_id="stop", scale=0, min_width=72)
            look = gr.Textbox(visible=False)
            hint = gr.HTML("", elem_id="help", js_on_load=None, apply_default_css=False)

        desk = _Desk(entrance, history, language)
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        quick: dict[str, Any] = {**hidden, "concurrency_limit": None}
        interface = [switch, header, new, box, send, stop, hint, thread]
        news = [thread, session]
        page.load(desk.open, [switch], [*interface, session], js=_RECALL_LANGUAGE, **quick)
        switch.input(desk.relabel, [switch, session], interface, js=_KEEP_LANGUAGE, **quick)
        asking = thread.submit(
            desk.ask,
            [session, switch, look],
            news,
            js=_SEE_LOOK,
            concurrency_limit=None,  # the line lets them in
            trigger_mode="multiple",  # desk.js sends one at a time, and knows when the one before is over
            **hidden,
        )
        asking.failure(None, js=_TELL_FAILURE)
        stop.click(desk.stop, [session, switch], news, cancels=asking, **quick)
        new.click(desk.restart, [switch], news, cancels=asking, **quick)
        thread.select(desk.reopen, [switch, look], news, js=_SEE_LOOK_ONLY, cancels=asking, **quick)
    page.queue(max_size=MOST_WAITING * 2, api_open=False)
    return page


def create_app(
    asked: "Assistant | Entrance", history: History | None = None, own: OwnModels | None = None
) -> FastAPI:
    """Return the web application: the page at "/", what completes a question and does the rest, its health, and nothing else.

    Without a `history` conversations are kept as long as the application runs; without a place for `own` models nobody brings data.
    """
    served = asked if isinstance(asked, Entrance) else open_to_all(asked)
    entrance = own.entrance(served) if own else served
    history = history or History(Store(None))
    actions = PageActions(entrance, history, saved_questions, lambda: datetime.now().astimezone(), own, served)
    reports = ReportDesk(entrance, datetime.now)
    app = FastAPI(title=words.NAME, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(ICON, media_type="image/svg+xml")

    @app.post("/complete")
    async def complete(request: Request) -> JSONResponse:
        return JSONResponse(await _completions(entrance, request))

    @app.post("/actions")
    async def act(request: Request) -> JSONResponse:
        sent = sent_json(request.headers.get("content-type", ""), await request.body())
        return JSONResponse(await to_thread.run_sync(actions.perform, entrance.name_in(request.headers.raw), sent))

    @app.post("/report")
    async def report(request: Request) -> StreamingResponse:
        sent = sent_json(request.headers.get("content-type", ""), await request.body())
        return StreamingResponse(reports.lines(entrance.name_in(request.headers.raw), sent), media_type="application/x-ndjson")

    @app.post("/upload")
    async def upload(request: Request) -> JSONResponse:
        return JSONResponse(await arrived(own, entrance.name_in(request.headers.raw), request.headers, request.stream()))

    gr.mount_gradio_app(
        app,
        build_page(entrance, history),
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
        head=f"{_HEAD}<style>{_page_file('desk.css')}</style>",  # as it is: Gradio rewrites what it gets as css
    )
    app.add_middleware(Doorkeeper, entrance=entrance)
    if entrance.sign_ins is not None:
        app.add_middleware(LoginDoor, sign_ins=entrance.sign_ins)
    app.add_middleware(Gate, also=frozenset([LOGIN, LOGOUT]) if entrance.sign_ins else frozenset())
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return app


def serve(
    asked: "Assistant | Entrance",
    *,
    port: int | None = None,
    on_ready: Callable[[str], None],
    on_notice: Callable[[Text], None] = log.warning,
    history: History | None = None,
    own: OwnModels | None = None,
) -> None:
    """Serve the page on this machine only until Ctrl-C; `on_ready` is told its address once it answers.

    A port that is taken is replaced by a free one, which `on_notice` is told.
    """

    def ready(address: str) -> None:
        on_ready(address)
        Thread(target=ready_to_draw, daemon=True).start()  # not before, as it takes as long as all the rest

    run(create_app(asked, history, own), port, ready, on_notice)


class _Desk:
    """Answers the page's events; holds nothing of any one browser."""

    def __init__(self, entrance: Entrance, history: History, language: Language | None) -> None:
        self._entrance = entrance
        self._history = history
        self._line = WaitingLine(MAX_AT_ONCE)
        self._language = language

    def open(self, kept: str | None, request: gr.Request) -> list[Any]:
        """Return the whole interface in the language that was kept, or the browser's, and a session."""
        if kept not in ("zh", "en"):
            kept = self._language or words.preferred(request.headers.get("accept-language", ""))
        session = new_session(self._assistant(request).model.name)
        return [*self.relabel("zh" if kept == "zh" else "en", session, request), session]

    def relabel(self, language: Language, session: Session | None, request: gr.Request) -> list[Any]:
        """Return the whole interface in another language; the conversation stays."""
        return [
            gr.update(value=language, label=words.LANGUAGE.in_(language)),
            html.header_html(self._assistant(request).model.label.in_(language), language),
            gr.update(value=words.NEW.in_(language)),
            gr.update(placeholder=words.PLACEHOLDER.in_(language), label=words.QUESTION.in_(language)),
            gr.update(value=words.SEND.in_(language)),
            gr.update(value=words.STOP.in_(language)),
            html.help_html(language),
            self._welcome(session or new_session(), language, request),
        ]

    async def ask(
        self,
        session: Session | None,
        interface: Language,
        look: str,
        event: gr.EventData,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        """Yield the turn as it grows; when it is stopped, or nobody looks any more, the query at work ends too."""
        growing = grown(self._grow(session, interface, Look.of(look), event, request))
        async with aclosing(growing):
            async for news in growing:
                yield news or [gr.skip()] * len(_news({}, new_session()))  # a page that has gone is noticed here

    def _grow(
        self,
        session: Session | None,
        interface: Language,
        look: Look,
        event: gr.EventData,
        request: gr.Request,
    ) -> Iterator[list[Any]]:
        """Yield the question, its place in the line, the steps, the answer; an empty list while there is nothing new."""
        session = session or new_session()
        sent = event._data if isinstance(event._data, dict) else {}
        text = str(sent.get("text", "")).strip()[: MAX_LENGTH + 1]
        if not text:
            yield [gr.skip()] * len(_news({}, session))
            return
        again = sent.get("at") if sent.get("at") in range(1, session.turn + 1) else None
        dropped = again is not None and sent.get("keep") is not True  # an edited question is the end of what followed it
        at = again or session.turn + 1
        session = replace(session, turn=at if dropped else max(at, session.turn), question=text, at=at)
        language = language_of(text)
        begun = _turn(session, html.steps_html((), language), interface, busy=True)
        yield _news(begun | {"drop": dropped}, session)
        steps: tuple[str, ...] = ()
        user = self._name(request)
        question = Question(text=text, conversation=session.conversation, user=user)
        for news in self._tell(question, session, dropped, look):
            if news is None:
                yield []
            elif isinstance(news, Step) and news.key == WAIT:
                shown = html.steps_html((news.text.in_(language),), language)
                yield _news(_turn(session, shown, interface, busy=True), session)
            elif isinstance(news, Step):
                shown_steps = (*steps, news.text.in_(language))
                steps = steps if news.key == SAY else shown_steps  # what is said so far takes the place of what was
                shown = html.steps_html(shown_steps, language)
                yield _news(_turn(session, shown, interface, busy=True), session)
            else:
                yield _news(_turn(session, news, interface), session)

    def reopen(self, interface: Language, look: str, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Return a conversation out of the history, or an empty page where there is none of this name any more."""
        wanted = str(event._data.get("open")) if isinstance(event._data, dict) else ""
        assistant, user = self._assistant(request), self._name(request)
        turns = self._history.turns(user or "", assistant.model.name, wanted)
        if not turns:
            return self.restart(interface, request)
        session = Session(wanted, turns[-1].number, turns[-1].question, turns[-1].number, assistant.model.name)
        shown = [{"turn": t.number, "html": kept_turn_html(t, assistant, interface, Look.of(look))} for t in turns]
        news = message(wanted, session.turn, html.Html(""), interface, status=words.READY.in_(interface), turns=shown)
        return _news(news, session)

    def stop(self, session: Session | None, interface: Language) -> list[Any]:
        """Return the turn as stopped."""
        session = session or new_session()
        return _news(_turn(session, html.stopped_html(language_of(session.question)), interface), session)

    def restart(self, interface: Language, request: gr.Request) -> list[Any]:
        """Return an empty page and a new conversation."""
        session = new_session(self._assistant(request).model.name)
        return _news(self._welcome(session, interface, request), session)

    def _name(self, request: gr.Request) -> str | None:
        """Return who sent the request that an event came with, whoever the session began with."""
        assert request.request is not None, "every event of the page comes with a request"
        return self._entrance.name_in(request.request.headers.raw)

    def _assistant(self, request: gr.Request) -> "Assistant":
        return self._entrance.assistant_for(self._name(request))

    def _welcome(self, session: Session, language: Language, request: gr.Request) -> dict[str, Any]:
        examples = words.group_examples(self._assistant(request).examples(language), language)
        return message(session.conversation, 0, html.welcome_html(examples, language), language)

    def _tell(self, question: Question, session: Session, dropped: bool, look: Look) -> Iterator[Step | html.Html | None]:
        at = session.at
        try:
            if session.model not in ("", self._entrance.assistant_for(question.user).model.name):
                raise QueryError("data_switched", desk_texts.SWITCHED, desk_texts.SWITCHED_HINT)
            question = replace(question, context=self._context(question, at, dropped))
            with self._line.turn(question.user or question.conversation or "") as ticket:
                yield from _waited(ticket)
                for news in self._entrance.stream(question):
                    if not isinstance(news, Answer):
                        yield news
                        continue
                    if news.chart is not None and news.chart.kind not in ("number", "table"):
                        yield Step("draw", words.DRAWING)
                    yield shown_answer(news, question.text, look=look, turn=self._keep(question, at, news))
        except Exception as problem:  # the page's edge: whatever happened, its reader gets a sentence, not a trace
            failure = failed_answer(problem, language_of(question.text))
            switched = isinstance(problem, QueryError) and problem.code == "data_switched"
            kept = None if switched else self._keep(question, at, failure)
            yield shown_answer(failure, question.text, look=look, turn=kept)

    def _context(self, question: Question, at: int, dropped: bool) -> Context:
        """Return what a turn may build on, after forgetting what it takes the place of."""
        owned = (question.user or "", self._entrance.assistant_for(question.user).model.name, question.conversation or "")
        if dropped:
            self._history.drop_after(*owned, at)
        return Context(query=self._history.previous(*owned, at), offer=self._history.offered(*owned, at))

    def _keep(self, question: Question, at: int, answer: Answer) -> int | None:
        try:
            assistant = self._entrance.assistant_for(question.user)
            return self._history.keep(
                question.user or "", assistant.model.name, question.conversation or "", at, question.text, answer,
                assistant.layer.policy_fingerprint,
            )  # fmt: skip
        except Exception:  # the page's edge: an answer that cannot be kept is an answer all the same
            log.exception("a turn could not be kept")
            return None


def saved_questions(assistant: "Assistant") -> "Templates":
    """Return the saved questions that an assistant answers from, else those of its model."""
    from wenshu.assistant.template_planner import TemplatePlanner
    from wenshu.ui.workspace import templates_of

    planner, layer = assistant.planner, assistant.layer
    return planner.templates if isinstance(planner, TemplatePlanner) else templates_of(layer.model, layer.policy_fingerprint)


async def _completions(entrance: Entrance, request: Request) -> dict[str, Any]:
    """Return what may continue the text of a request, for who sent it; nothing for what is no such request."""
    try:
        sent = await request.json()
        typed, language = str(sent["typed"])[-MAX_LENGTH:], sent["language"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {"label": "", "items": []}
    spoken: Language = "zh" if str(language).startswith("zh") else "en"
    cut = max(0, len(str(sent["typed"])) - MAX_LENGTH)
    assistant = entrance.assistant_for(entrance.name_in(request.headers.raw))
    found = await to_thread.run_sync(assistant.complete, typed, spoken)
    items = [{"text": item.text, "start": item.start + cut, "note": item.note} for item in found]
    return {"label": words.COMPLETIONS.in_(spoken), "items": items}


def _waited(ticket: Ticket) -> Iterator[Step | None]:
    """Yield each place that a question has in the line, and None while it stays there."""
    shown, until = 0, 0.0
    while place := ticket.place:
        if place != shown and monotonic() >= until:
            shown, until = place, monotonic() + TELL
            yield Step(WAIT, words.place_in_line(place))
        else:
            yield None


def _news(thread: dict[str, Any], session: Session) -> list[Any]:
    """Return what changes on the page: the conversation and the session."""
    return [thread, session]


def _turn(session: Session, answer: html.Html, interface: Language, *, busy: bool = False) -> dict[str, Any]:
    shown = html.turn_html(session.question, answer, interface)
    status = (words.WORKING if busy else words.READY).in_(interface)
    return message(session.conversation, session.at, shown, interface, busy=busy, status=status)


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
_LOOK = "[document.body.matches('.dark') && 'dark', innerWidth <= 640 && 'narrow'].filter(Boolean).join(' ')"
_SEE_LOOK = f"(session, language) => [session, language, {_LOOK}]"
_SEE_LOOK_ONLY = f"(language) => [language, {_LOOK}]"
_TELL_FAILURE = "() => document.dispatchEvent(new CustomEvent('wenshu:lost'))"
_HEAD = (
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
)
