"""Owns how what a schedule sends travels: to a Slack channel, an address or a file. Knows nothing of when."""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wenshu.assistant.answer import answer_to_json
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Language, Text
from wenshu.semantic_layer.whole_file import cannot_write, written_whole
from wenshu.ui.answer_chart import chart_png
from wenshu.ui.history import now
from wenshu.ui.one_program import only_program
from wenshu.ui.present import file_name, to_csv
from wenshu.ui.reports import write_document
from wenshu.ui.schedule_runs import Runs
from wenshu.ui.scheduler import Parcel, Scheduler, Send, running
from wenshu.ui.schedules import DATE
from wenshu.ui.slack_incoming import conversation_of
from wenshu.ui.slack_present import Attachment, SlackMessage, buttons, escaped, section, slack_message
from wenshu.ui.webhook import call_webhook, not_delivered

if TYPE_CHECKING:
    from wenshu.ui.inbox import Inbox
    from wenshu.ui.reception import Reception
    from wenshu.ui.slack_app import SlackMessenger

FILE = "schedules.yml"  # in the data folder
RUNS = "schedules.sqlite3"
LOCK = "schedules.lock"


class SlackDestination:
    """Send parcels to Slack channels; what they speak of is remembered, so that their buttons lead on from it."""

    def __init__(self, messenger: "SlackMessenger", inbox: "Inbox", reception: "Reception") -> None:
        self._messenger, self._inbox, self._reception = messenger, inbox, reception

    def __call__(self, parcel: Parcel) -> None:
        """Post a message with the answer; raises `EngineError` where Slack does not take it."""
        answer, channel, user = parcel.answer, parcel.schedule.to.address, parcel.schedule.user
        said, files = slack_message(answer, parcel.question)
        head = f"*{escaped(parcel.title)}*"
        if parcel.alert is None:
            message = SlackMessage(text=head, blocks=(section(head), *said.blocks))
        else:
            alarm, files = f"{head}\n{escaped(parcel.alert)}", ()
            message = SlackMessage(text=alarm, blocks=(section(alarm), buttons(parcel.questions)))
        image = None if parcel.document else chart_png(answer)
        if parcel.document is not None:
            files = (Attachment(name=parcel.document.name(".html"), content=parcel.document.html.encode()),)
        elif image is not None and answer.chart is not None:
            picture = Attachment(name=file_name(parcel.question, "png"), content=image, alt_text=answer.chart.alt_text)
            files = (picture, *files)
        posted = self._messenger.announce(channel, message, files, answer.language)
        if answer.query is not None:
            rights = self._reception.layer(user).policy_fingerprint
            self._inbox.remember(conversation_of(channel, posted), rights, answer.query)


def to_webhook(environment: Mapping[str, str] = os.environ, **calling: Any) -> Send:
    """Return what calls a parcel's address; the key that signs it is in the environment."""

    def send(parcel: Parcel) -> None:
        to = parcel.schedule.to
        secret = environment.get(to.secret, "") if to.secret else None
        if secret == "":
            raise not_delivered(
                Text(f"{to.secret} is not set, so nothing can be signed.", f"未设置 {to.secret}，无法签名。")
            )
        call_webhook(to.address, parcel_json(parcel), delivery=parcel.delivery, secret=secret, **calling)

    return send


def to_file(home: Path) -> Send:
    """Return what writes a parcel to its file; a path that begins nowhere is in the data folder `home`."""

    def send(parcel: Parcel) -> None:
        due = parcel.due.astimezone(parcel.schedule.cron.zone)
        path = home / parcel.schedule.to.address.replace(DATE, f"{due:%Y-%m-%d}")
        answer, content = parcel.answer, None
        if parcel.document is not None and path.suffix != ".json":
            _make_room(path)
            return write_document(parcel.document, path)
        match path.suffix:
            case ".csv" if answer.table is not None:
                content = to_csv(answer.table, answer.language)
            case ".png":
                content = chart_png(answer)
            case ".json":
                content = parcel_json(parcel)
        if content is None:
            raise not_delivered(
                Text(f"The answer has nothing for {path.name}.", f"此回答没有可写入 {path.name} 的内容。")
            )
        _make_room(path)
        with written_whole(path) as beside:
            beside.write_bytes(content)

    return send


def _make_room(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise cannot_write(path) from None


def parcel_json(parcel: Parcel) -> bytes:
    """Return a parcel as JSON."""
    image, document = chart_png(parcel.answer), parcel.document
    said = {
        "delivery": parcel.delivery,
        "schedule": parcel.schedule.name,
        "kind": "report" if parcel.alert is None else "alert",
        "due": parcel.due.isoformat(),
        "title": parcel.title,
        "alert": parcel.alert,
        "questions": list(parcel.questions),
        "answer": answer_to_json(parcel.answer),
        "report": {"name": document.name(""), "html": document.html, "markdown": document.markdown} if document else None,
        "chart_png": base64.b64encode(image).decode() if image else None,
    }
    return json.dumps(said, ensure_ascii=False, allow_nan=False).encode()


def scheduler_of(
    reception: "Reception", home: Path, slack: Send | None, *, path: Path | None = None,
    language: Language = "zh", clock: Callable[[], datetime] = now, on_notice: Callable[[Text], None],
) -> Scheduler:  # fmt: skip
    """Return the scheduler of the file at `path`, else of the data folder's."""
    senders: dict[str, Send] = {"webhook": to_webhook(), "file": to_file(home)}
    if slack is not None:
        senders["slack"] = slack
    return Scheduler(
        reception,
        path or home / FILE,
        Runs(home / RUNS, clock),
        senders,
        language=language,
        clock=clock,
        on_notice=on_notice,
    )


@contextmanager
def schedules_run(
    reception: "Reception", home: Path, slack: Send | None, language: Language, *, on_notice: Callable[[Text], None]
) -> Iterator[None]:
    """Run the data folder's schedules until the block ends; where another program does, leave them to it."""
    with ExitStack() as held:
        try:
            held.enter_context(only_program(home / LOCK))
        except EngineError as error:
            on_notice(Text(f"Schedules: {error.message.en}", f"定时任务：{error.message.zh}"))
        else:
            held.enter_context(running(scheduler_of(reception, home, slack, language=language, on_notice=on_notice)))
        yield
