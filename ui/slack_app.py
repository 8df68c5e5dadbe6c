"""Owns the Slack app: what Slack calls, and calling Slack. The only module that imports slack_bolt and slack_sdk.

What comes in is written down before it is acknowledged, and answered in threads of the bridge's own. Nothing is sent twice: a call that
Slack turned away for its rate, or that never reached it, is made again; one that may have arrived is not.
"""

import logging
import re
import socket
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

from anyio import to_thread
from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.http_retry import RateLimitErrorRetryHandler, RetryHandler
from slack_sdk.web import SlackResponse

from wenshu.assistant.answer import Answer
from wenshu.assistant.question import language_of
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.answer_chart import chart_png
from wenshu.ui.bridge import Bridge, Reply, Thread
from wenshu.ui.gate import Message, Receive, Scope, Send
from wenshu.ui.inbox import Incoming
from wenshu.ui.present import file_name
from wenshu.ui.slack_incoming import click_of, command_of, conversation_of, message_of, teams_in
from wenshu.ui.slack_present import ACTION, Attachment, SlackMessage, escaped, section, slack_message, small_print
from wenshu.ui.slack_setup import COMMAND, PATH, SlackSettings, lacking_scopes, slack_failure

MOST_RETRIES = 8
SECONDS = 30  # that a call of Slack may take
LARGEST_BODY = 1_000_000
MISSHAPEN = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long")
NOT_THERE = ("not_in_channel", "channel_not_found", "is_archived", "restricted_action")

WORKING = Text("is looking at the data…", "正在查询数据…")
ASKED = Text("asked", "提问")
IN_PRIVATE = Text(
    "I have answered you in a direct message, as not everybody here may see this.",
    "已通过私信回答您，因为此频道中并非人人可以查看。",
)
NO_FILES = Text("The chart or table could not be sent: {}", "图表或表格文件未能发送：{}")
WELCOME = Text("Ask me about your data, in English or Chinese.", "请用中文或英文询问数据。")
TRY = Text("For example", "例如")
HOW_TO_ASK = Text(
    f"Write a question after {COMMAND}, e.g. {COMMAND} {{}}", f"请在 {COMMAND} 后写上问题，例如 {COMMAND} {{}}"
)

ASKS = re.compile(rf"{ACTION}:\d+")

log = logging.getLogger("wenshu.ui")


class _Unreached(RetryHandler):
    """Makes a call again that never reached Slack; one whose answer was lost may have done its work."""

    def _can_retry(self, *, error: Exception | None = None, **_: Any) -> bool:
        return isinstance(error, URLError) and isinstance(error.reason, ConnectionRefusedError | socket.gaierror)


class SlackMessenger:
    """Send to Slack; `on_notice` is told what the operator can mend. Raises `EngineError` where Slack does not know the token."""

    name = "slack"

    def __init__(self, settings: SlackSettings, on_notice: Callable[[Text], None] = log.warning) -> None:
        retries = [RateLimitErrorRetryHandler(max_retry_count=MOST_RETRIES), _Unreached(max_retry_count=3)]
        quiet = logging.getLogger("wenshu.slack")
        quiet.setLevel(logging.CRITICAL)
        self.client = WebClient(
            settings.bot_token, base_url=settings.api, timeout=SECONDS, retry_handlers=retries, logger=quiet
        )
        # what only shows that something is at work must not keep it waiting
        self._hurried = WebClient(settings.bot_token, base_url=settings.api, timeout=5, retry_handlers=[], logger=quiet)
        self._on_notice = on_notice
        known = self._called(lambda: self.client.auth_test())
        self.team, self.bot = str(known["team_id"]), str(known["user_id"])
        self.identity = AuthorizeResult.from_auth_test_response(auth_test_response=known, bot_token=settings.bot_token)
        granted = known.headers.get("x-oauth-scopes") or known.headers.get("X-OAuth-Scopes")
        if granted is not None and (lacking := lacking_scopes(granted.split(","))):
            on_notice(Text(f"{lacking.message.en} {lacking.hint.en}", f"{lacking.message.zh}{lacking.hint.zh}"))

    def working(self, message: Incoming) -> None:
        """Show beside the thread that a question is being answered, where Slack shows such a thing."""
        if not message.shared and message.place.get("thread"):
            try:
                self._hurried.assistant_threads_setStatus(
                    channel_id=message.place["channel"], thread_ts=message.place["thread"],
                    status=WORKING.in_(language_of(message.text)),
                )  # fmt: skip
            except (
                SlackApiError,
                SlackRequestError,
                OSError,
            ):  # not an assistant's thread, or one that has no such rights
                log.debug("no status was shown", exc_info=True)

    def open(self, reply: Reply) -> Thread:
        """Return the question's own thread, else a new one that begins with the question."""
        channel, thread = self._called(lambda: self._thread_for(reply))
        return Thread(conversation=conversation_of(channel, thread), place={"channel": channel, "thread": thread})

    def deliver(self, reply: Reply, thread: Thread) -> str:
        """Post an answer in a thread, then its chart and its table where it is long."""
        answer, message, channel, parent = reply.answer, reply.message, thread.place["channel"], thread.place["thread"]
        said, files = slack_message(answer, message.text)
        blocks = said.blocks
        if message.place.get("clicked") and not reply.private:
            blocks = (
                small_print(f"<@{message.account}> {ASKED.in_(answer.language)}: {escaped(message.text)}"),
                *blocks,
            )
        posted = self._called(lambda: self._post(channel, parent, SlackMessage(text=said.text, blocks=blocks)))
        self.upload(channel, parent, (*chart_of(answer, message.text), *files), answer.language)
        if reply.private and message.shared:
            self.tell(message, IN_PRIVATE)
        return conversation_of(channel, str(posted["ts"]))

    def tell(self, message: Incoming, words: Text) -> None:
        """Say something to the asker alone: where the question stands, else in a direct message."""
        channel, thread = message.place["channel"], message.place.get("thread")
        text = escaped(words.in_(language_of(message.text)))
        try:
            if message.shared:
                self.client.chat_postEphemeral(channel=channel, user=message.account, text=text, thread_ts=thread)
            else:
                self.client.chat_postMessage(channel=channel, thread_ts=thread, text=text)
        except SlackApiError:
            self.client.chat_postMessage(channel=self._direct(message.account), text=text)

    def announce(self, channel: str, message: SlackMessage, files: tuple[Attachment, ...], language: Language) -> str:
        """Post a message of its own in a channel, with files in its thread, and return that thread. Raises `EngineError`."""
        thread = str(self._called(lambda: self._post(channel, None, message))["ts"])
        self.upload(channel, thread, files, language)
        return thread

    def welcome(self, channel: str, thread: str, prompts: Iterable[str], language: Language) -> None:
        """Greet in an assistant's thread and suggest questions."""
        try:
            self.client.chat_postMessage(channel=channel, thread_ts=thread, text=WELCOME.in_(language))
            self.client.assistant_threads_setSuggestedPrompts(
                channel_id=channel, thread_ts=thread, title=TRY.in_(language),
                prompts=[{"title": each[:100], "message": each} for each in list(prompts)[:4]],
            )  # fmt: skip
        except SlackApiError as error:
            self._notify(error)

    def upload(self, channel: str, thread: str, files: tuple[Attachment, ...], language: Language) -> None:
        """Send files to a thread; where they cannot be, say so there, as the numbers stand already."""
        if not files:
            return
        uploads = [
            {
                "filename": file.name,
                "title": file.name,
                "content": file.content,
                "alt_txt": file.alt_text[:1_000] or None,
            }
            for file in files
        ]
        try:
            self._called(lambda: self.client.files_upload_v2(channel=channel, thread_ts=thread, file_uploads=uploads))
        except (EngineError, SlackRequestError, OSError) as error:
            log.warning("files were not sent", exc_info=error)
            reason = error.message.in_(language) if isinstance(error, EngineError) else type(error).__name__
            text = escaped(NO_FILES.in_(language).format(reason))
            self.client.chat_postMessage(channel=channel, thread_ts=thread, text=text)

    def _thread_for(self, reply: Reply) -> tuple[str, str]:
        message, place = reply.message, reply.message.place
        if place.get("thread") and not (reply.private and message.shared):
            return place["channel"], place["thread"]
        asked = f"<@{message.account}> {ASKED.in_(reply.answer.language)}: {escaped(message.text)}"
        opening = SlackMessage(text=asked, blocks=(section(asked),))
        if not reply.private:
            try:
                return place["channel"], str(self._post(place["channel"], None, opening)["ts"])
            except SlackApiError as error:
                if error.response["error"] not in NOT_THERE:
                    raise
        channel = self._direct(message.account)
        return channel, str(self._post(channel, None, opening)["ts"])

    def _direct(self, account: str) -> str:
        return str(self.client.conversations_open(users=account)["channel"]["id"])

    def _post(self, channel: str, thread: str | None, message: SlackMessage) -> SlackResponse:
        def post(blocks: list[dict[str, Any]] | None) -> SlackResponse:
            return self.client.chat_postMessage(
                channel=channel,
                thread_ts=thread,
                text=message.text,
                blocks=blocks,
                unfurl_links=False,
                unfurl_media=False,
            )

        try:
            return post(list(message.blocks))
        except SlackApiError as error:
            if error.response["error"] not in MISSHAPEN:
                raise
            log.warning("Slack did not take the blocks of a message: %s", error.response["error"])
            return post(None)

    def _called(self, call: Callable[[], Any]) -> Any:
        """Return what a call gives; an error that Slack names becomes one that people can act on."""
        try:
            return call()
        except SlackApiError as error:
            raise self._notify(error) from error

    def _notify(self, error: SlackApiError) -> EngineError:
        failure = failure_of(error)
        self._on_notice(Text(f"{failure.message.en} {failure.hint.en}", f"{failure.message.zh}{failure.hint.zh}"))
        return failure


def chart_of(answer: Answer, question: str) -> tuple[Attachment, ...]:
    """Return the chart of an answer as a file, where it has one."""
    image = chart_png(answer)
    if image is None or answer.chart is None:
        return ()
    return (Attachment(name=file_name(question, "png"), content=image, alt_text=answer.chart.alt_text),)


def failure_of(error: SlackApiError, method: str = "") -> EngineError:
    response = error.response if not isinstance(error.response, str) else {}
    return slack_failure(str(response.get("error", "unknown")), needed=str(response.get("needed") or ""), method=method)


def create_app(
    settings: SlackSettings, messenger: SlackMessenger, bridge: Bridge, prompts: Callable[[Language], tuple[str, ...]], language: Language
) -> App:  # fmt: skip
    """Return the app that takes what Slack sends to the bridge."""
    app = App(
        client=messenger.client, signing_secret=settings.signing_secret, authorize=lambda **_: messenger.identity,
        process_before_response=True,  # what comes is written down before it is acknowledged
        logger=logging.getLogger("wenshu.slack"),
    )  # fmt: skip

    @app.middleware
    def own_workspace(body: dict[str, Any], next: Callable[[], BoltResponse]) -> BoltResponse:
        if strangers := teams_in(body) - {messenger.team}:
            log.warning("a request of another workspace was turned away: %s", sorted(strangers))
            return BoltResponse(status=200 if body.get("team_id") == messenger.team else 403)
        return next()

    def take(message: Incoming | None) -> None:
        if message is not None:
            bridge.receive(message)

    @app.event("app_mention")
    @app.event("message")
    def spoken(body: dict[str, Any]) -> None:
        take(message_of(body, messenger.bot))

    @app.command(COMMAND)
    def commanded(body: dict[str, Any], ack: Callable[..., BoltResponse]) -> None:
        message = command_of(body)
        if message.text:
            take(message)
            ack()
        else:
            ack(escaped(HOW_TO_ASK.in_(language).format(next(iter(prompts(language)), ""))))

    @app.action({"type": "block_actions", "action_id": ASKS})
    def clicked(body: dict[str, Any], ack: Callable[[], BoltResponse]) -> None:
        take(click_of(body))
        ack()

    def greet(event: dict[str, Any]) -> None:
        thread = event["assistant_thread"]
        if bridge.first_time(f"welcome:{thread['channel_id']}:{thread['thread_ts']}"):
            messenger.welcome(thread["channel_id"], thread["thread_ts"], prompts(language), language)

    app.event("assistant_thread_started")(ack=lambda ack: ack(), lazy=[greet])
    app.event("assistant_thread_context_changed")(lambda ack: ack())
    return app


class Endpoint:
    """Take Slack's requests over HTTP at one path, of bounded size; `/healthz` says that it is there."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close"})
        if scope["path"] == "/healthz":
            return await _send(send, BoltResponse(status=200, body="ok"))
        if scope["path"] != PATH or scope["method"] != "POST":
            return await _send(send, BoltResponse(status=404 if scope["path"] != PATH else 405))
        body = bytearray()
        while True:
            message: Message = await receive()
            body += message.get("body", b"")
            if len(body) > LARGEST_BODY or message["type"] != "http.request":
                return await _send(send, BoltResponse(status=413))
            if not message.get("more_body"):
                break
        try:
            request = BoltRequest(
                body=body.decode("utf-8"), query=scope["query_string"].decode("latin-1"),
                headers={key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]},
            )  # fmt: skip
        except (ValueError, RecursionError):
            return await _send(send, BoltResponse(status=400))
        await _send(send, await to_thread.run_sync(self._app.dispatch, request))


def listen(app: App, settings: SlackSettings, on_ready: Callable[[], None], until: Event) -> None:
    """Take Slack's requests through Socket Mode until an event; raises `EngineError` where Slack does not let the app in."""
    client = WebClient(base_url=settings.api, timeout=SECONDS, logger=logging.getLogger("wenshu.slack"))
    mode = SocketModeHandler(app, settings.app_token, web_client=client)
    try:
        try:
            mode.client.connect()
        except SlackApiError as error:
            raise failure_of(error, "apps.connections.open") from error
        except OSError as error:
            host = urlsplit(settings.api).hostname
            raise EngineError(
                "slack_unreached",
                Text(f"{host} cannot be reached.", f"无法连接 {host}。"),
                Text("Check the network and HTTPS_PROXY.", "请检查网络与 HTTPS_PROXY。"),
            ) from error
        on_ready()
        until.wait()
    finally:
        mode.client.close()


async def _lifespan(receive: Receive, send: Send) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


async def _send(send: Send, response: BoltResponse) -> None:
    body = response.body.encode() if isinstance(response.body, str) else b""
    headers = [(key.encode(), value.encode()) for key, values in response.headers.items() for value in values]
    headers = [pair for pair in headers if pair[0].lower() != b"content-length"] + [
        (b"content-length", str(len(body)).encode())
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
