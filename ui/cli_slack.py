"""Owns the command that serves Slack: what is missing is said before anything is served. Presentation only."""

import json
import signal
import sys
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.cli_options import (
    DbOption,
    Lang,
    LangOption,
    ModelOption,
    PlannerName,
    PlannerOption,
    PortOption,
    UsersOption,
    reception_of,
    reply_language,
    usage,
)
from wenshu.ui.console import reported, write

if TYPE_CHECKING:
    from wenshu.ui.reception import Reception

DEFAULT_PORT = 3000
DOOR = "slack"
SWITCH = 0.0005  # seconds that a thread at work keeps the one that acknowledges waiting, at each of its steps


def slack(
    http: Annotated[
        bool, typer.Option("--http", help="Take requests at /slack/events instead of Socket Mode.")
    ] = False,
    port: PortOption = None,
    model: ModelOption = "shop",
    db: DbOption = None,
    planner: PlannerOption = PlannerName.AUTO,
    users: UsersOption = None,
    channel_user: Annotated[
        str | None,
        typer.Option(
            "--channel-user",
            envvar="WENSHU_CHANNEL_USER",
            help="As whom channels are answered where the model has policies.",
        ),
    ] = None,
    manifest: Annotated[
        bool, typer.Option("--manifest", help="Print the manifest to make the Slack app from.")
    ] = False,
    url: Annotated[
        str | None, typer.Option("--url", help="With --manifest --http: the bridge's public https address.")
    ] = None,
    lang: LangOption = Lang.AUTO,
) -> None:
    """Serve the Slack bridge. 启动 Slack 机器人。"""
    language = reply_language(lang)
    with reported(language):
        if manifest:
            return _print_manifest(http, url, model, language)
        from wenshu.ui.slack_setup import slack_settings

        settings = slack_settings(http=http)
        needs_slack()
        from wenshu.ui.bridge import Bridge
        from wenshu.ui.inbox import INBOX, Inbox
        from wenshu.ui.one_program import only_program
        from wenshu.ui.parcels import SlackDestination, schedules_run
        from wenshu.ui.slack_app import Endpoint, SlackMessenger, create_app, listen
        from wenshu.ui.workspace import home

        sys.setswitchinterval(SWITCH)
        with only_program(home() / "slack.lock"):
            messenger = SlackMessenger(settings, _notice)
            reception = reception_of(model, db, planner, language, users, door=DOOR)
            reception.layer(channel_user) if channel_user else None  # one who may see nothing is said now
            inbox = Inbox(home() / INBOX)
            bridge = Bridge(messenger, reception, inbox, everyone=channel_user)
            app = create_app(
                settings, messenger, bridge, lambda each: examples(reception, channel_user, each), language
            )
            bridge.start()
            try:
                with schedules_run(
                    reception, home(), SlackDestination(messenger, inbox, reception), language, on_notice=_notice
                ):
                    if http:
                        from wenshu.ui.page_server import run

                        run(Endpoint(app), port or DEFAULT_PORT, _ready, _notice)
                    else:
                        listen(app, settings, lambda: _ready("Socket Mode"), until_stopped())
            finally:
                bridge.close()
                reception.close()


def examples(reception: "Reception", user: str | None, language: Language) -> tuple[str, ...]:
    """Return questions that anybody may be shown: none where people are told apart and there is nobody for all of them."""
    return reception.assistant(user).examples(language) if user or not reception.tells_apart else ()


def needs_slack() -> None:
    """Raise `EngineError` with code `slack_not_installed` where the library is missing."""
    from importlib.util import find_spec

    if not find_spec("slack_bolt"):
        raise EngineError(
            "slack_not_installed",
            Text("The Slack library is not installed.", "尚未安装 Slack 所需的库。"),
            Text('Run pip install "wenshu[slack]".', '请运行 pip install "wenshu[slack]"。'),
        )


def _print_manifest(http: bool, url: str | None, model: str, language: Language) -> None:
    from wenshu.ui.slack_setup import manifest

    if http != (url is not None):
        raise usage(
            "--manifest takes --http with --url, or neither.", "--manifest 须同时给出 --http 与 --url，或都不给。"
        )
    write(json.dumps(manifest(url), ensure_ascii=False, indent=2))


def until_stopped() -> Event:
    """Return what is set on Ctrl-C or when the program is told to end."""
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def _notice(text: Text) -> None:
    print(text.en, text.zh, file=sys.stderr)


def _ready(address: str) -> None:
    write(f"\n问数 Wenshu: Slack, {address}   (Ctrl-C to stop 按 Ctrl-C 退出)")
