"""Owns running schedules: what is due is answered and sent, once, by whoever is named in it. The clock and the senders are arguments.

A run that was missed is caught up once, with what is true then. What may have been sent when the program ended is not sent again.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, assert_never

from wenshu.assistant.answer import Answer
from wenshu.assistant.planner import Plan
from wenshu.assistant.question import Question
from wenshu.assistant.report_periods import report_period
from wenshu.assistant.report_templates import report_template
from wenshu.semantic_layer.errors import EngineError, ModelError, NotLearnt, QueryError, WenshuError
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange, bucket, bucket_start
from wenshu.semantic_layer.query import And, Op, Query, Where
from wenshu.semantic_layer.table import Column
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.tools.number_format import format_number
from wenshu.tools.wording import bucket_label
from wenshu.ui.alert_rules import Departure, buckets_needed, departure, why
from wenshu.ui.bridge import LOST
from wenshu.ui.history import now
from wenshu.ui.reports import Document, documents
from wenshu.ui.schedule_runs import Runs
from wenshu.ui.schedules import Alert, Report, Schedule, WholeReport, read_schedules
from wenshu.ui.workspace import reports_of, templates_of

if TYPE_CHECKING:
    from wenshu.ui.reception import Reception

LOOK = 20.0  # seconds between two looks at what is due

log = logging.getLogger("wenshu.ui")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Hold what a run sends: an answer under a title and, of an alert, why it comes and the questions that lead on.

    Of a whole report, `document` holds it and the answer is its first.
    """

    schedule: Schedule
    due: datetime
    title: str
    question: str
    answer: Answer
    alert: str | None = None
    questions: tuple[str, ...] = ()
    document: Document | None = None

    @property
    def delivery(self) -> str:
        """Return the name of this delivery, which no other has."""
        return f"{self.schedule.name}@{self.due.isoformat()}"


Send = Callable[[Parcel], None]  # raises EngineError where it has not arrived, any other error where nobody can say


class Scheduler:
    """Run the schedules of a file; `senders` sends to each kind of destination, `on_notice` is told what goes wrong."""

    def __init__(
        self, reception: "Reception", path: Path, runs: Runs, senders: Mapping[str, Send], *,
        language: Language = "zh", clock: Callable[[], datetime] = now, on_notice: Callable[[Text], None] = log.warning,
    ) -> None:  # fmt: skip
        self._reception, self._path, self._runs, self._senders = reception, path, runs, senders
        self._language, self._clock, self._on_notice = language, clock, on_notice
        self._schedules: tuple[Schedule, ...] = ()
        self._seen: object = None

    def start(self) -> None:
        """Take up what an earlier program left."""
        known = {schedule.name: schedule for schedule in self.schedules()}
        for run in self._runs.left():
            if run.schedule in known:
                self._attempt(known[run.schedule], run.due)
            else:
                self._runs.end(run.schedule, run.due, "failed", "removed")

    def tick(self) -> None:
        """Run what is due now."""
        for schedule in self.schedules():
            due = schedule.cron.latest(self._runs.since(schedule.name, schedule.timing), self._clock())
            if due is not None and self._runs.begin(schedule.name, due):
                self._attempt(schedule, due)

    def run_now(self, name: str) -> None:
        """Run one schedule whether it is due or not; raises `WenshuError` where it fails."""
        for schedule in self.schedules():
            if schedule.name == name:
                due = self._clock()
                self._runs.since(name, schedule.timing)
                self._runs.begin(name, due)
                return self._run(schedule, due)
        raise QueryError(
            "unknown_schedule",
            Text(f"There is no schedule “{name[:60]}”.", f"没有名为“{name[:60]}”的定时任务。"),
            Text("`wenshu schedule list` shows them.", "可用 `wenshu schedule list` 查看。"),
        )

    def schedules(self) -> tuple[Schedule, ...]:
        """Return the schedules as the file is now; while it has mistakes, those that were read last."""
        try:
            seen: object = (found := self._path.stat()).st_mtime_ns, found.st_size, found.st_ino
        except OSError:
            seen = None
        if seen != self._seen:
            try:
                self._schedules = read_schedules(self._path, timezone=self._reception.timezone, language=self._language)
            except ModelError as error:
                self._on_notice(error.message)
            self._seen = seen
        return self._schedules

    def problems(self, schedule: Schedule) -> tuple[WenshuError, ...]:
        """Return what keeps a schedule from running: a saved question, metric or user that is not there, or no way to send."""
        found = []
        for attempt in (self._sender, self._compile):
            try:
                attempt(schedule)
            except WenshuError as error:
                found.append(error)
        return tuple(found)

    def _compile(self, schedule: Schedule) -> None:
        if isinstance(schedule.sends, WholeReport):
            return self._check(schedule, schedule.sends)
        with suppress(NotLearnt):  # it is learnt when it runs
            self._reception.layer(schedule.user).compile(self._plan(schedule)[1].query)

    def _check(self, schedule: Schedule, report: WholeReport) -> None:
        layer = self._reception.layer(schedule.user)
        report_template(report.name, reports_of(layer.model.name))
        report_period(report.period, as_of=layer.as_of(), coverage=layer.coverage, language=schedule.language)

    def _attempt(self, schedule: Schedule, due: datetime) -> None:
        """Run a schedule that is due; one that fails leaves the others alone."""
        try:
            self._run(schedule, due)
        except WenshuError as error:
            self._tell(schedule, error.message, error.hint)
        except Exception as error:  # the door's edge: the next schedule runs all the same
            log.exception("a schedule failed")
            self._runs.end(schedule.name, due, "failed", type(error).__name__)

    def _run(self, schedule: Schedule, due: datetime) -> None:
        try:
            send = self._sender(schedule)
            parcel = self._parcel(schedule, due)
        except WenshuError as error:
            self._runs.end(schedule.name, due, "failed", error.message.en)
            raise
        if parcel is None:
            return self._runs.end(schedule.name, due, "quiet")
        self._runs.sending(schedule.name, due)
        if parcel.alert is not None:
            self._runs.set_out(schedule.name, True)
        try:
            send(parcel)
        except EngineError as error:
            if parcel.alert is not None:
                self._runs.set_out(schedule.name, False)  # nobody was told: tell it next time
            self._runs.end(schedule.name, due, "failed", error.message.en)
            raise
        except Exception as error:  # the door's edge: it may have arrived, so it is not sent again
            log.warning("%s may not have arrived", parcel.delivery, exc_info=error)
            self._runs.end(schedule.name, due, "unknown", type(error).__name__)
            return self._tell(schedule, LOST)
        self._runs.end(schedule.name, due, "done")

    def _sender(self, schedule: Schedule) -> Send:
        send = self._senders.get(schedule.to.kind)
        if send is None:
            raise EngineError(
                "no_slack",
                Text(f"Nothing can be sent to Slack for “{schedule.name}”.", f"“{schedule.name}”无法发送到 Slack。"),
                Text("Set SLACK_BOT_TOKEN; docs/slack.md tells how.", "请设置 SLACK_BOT_TOKEN，方法见 docs/slack.md。"),
            )
        return send

    def _plan(self, schedule: Schedule) -> tuple[Question, Plan]:
        """Return what a schedule asks, in words and as a plan."""
        assistant = self._reception.assistant(schedule.user)
        layer, language = assistant.layer, schedule.language
        match schedule.sends:
            case Report(template=name, given=given):
                template = templates_of(assistant.model, layer.policy_fingerprint).get(name)
                filled = template.filled(given, assistant.model, as_of=layer.as_of(), language=language)
                return Question(
                    text=template.asked(given, language), language=language, user=schedule.user
                ), filled.plan()
            case Alert() as alert:
                try:
                    text = assistant.model.metric(alert.metric).label.in_(language)
                except KeyError:
                    text = alert.metric  # which the query complains of
                first, last = _watched(alert, layer.as_of())
                query = Query(
                    metrics=(alert.metric,), grain=alert.grain, filters=alert.filters,
                    period=DateRange(first, bucket(last, alert.grain).end),
                )  # fmt: skip
                return Question(text=text, language=language, user=schedule.user), Plan(query=query)
            case WholeReport():
                raise AssertionError("a whole report is many questions")
            case _:
                assert_never(schedule.sends)

    def _whole_report(self, schedule: Schedule, report: WholeReport, due: datetime) -> Parcel:
        assistant = self._reception.assistant(schedule.user)
        template = report_template(report.name, reports_of(assistant.model.name))
        made = self._clock().astimezone(schedule.cron.zone)
        *_, document = documents(
            template, self._reception, assistant, period=report.period, language=schedule.language, user=schedule.user, made=made
        )
        assert isinstance(document, Document), "the documents come last"
        language = schedule.language
        title = schedule.title.in_(language) if schedule.title else f"{document.report.title} · {document.report.period.label.in_(language)}"
        return Parcel(schedule=schedule, due=due, title=title, question=title, answer=document.answer, document=document)

    def _parcel(self, schedule: Schedule, due: datetime) -> Parcel | None:
        """Return what is to be sent; None for an alert with nothing to tell, or with nothing that was not told."""
        if isinstance(schedule.sends, WholeReport):
            return self._whole_report(schedule, schedule.sends, due)
        question, plan = self._plan(schedule)
        as_of = self._reception.layer(schedule.user).as_of()
        answer = self._reception.answer_plan(question, plan)
        title = schedule.title.in_(schedule.language) if schedule.title else question.text
        parcel = Parcel(schedule=schedule, due=due, title=title, question=question.text, answer=answer)
        if isinstance(schedule.sends, Report):
            if answer.table is None and schedule.to.kind == "file":
                raise _failed(answer)
            return parcel
        if answer.table is None:
            raise _failed(answer)
        _, at = _watched(schedule.sends, as_of)
        found = _found(schedule.sends, answer, at)
        if found is None:
            self._runs.set_out(schedule.name, False)
            return None
        if self._runs.is_out(schedule.name):
            return None
        said, column = found
        return _alarm(parcel, schedule.sends, said, column, at, self._reception.assistant(schedule.user).model)

    def _tell(self, schedule: Schedule, *texts: Text) -> None:
        en, zh = " ".join(text.en for text in texts), "".join(text.zh for text in texts)
        self._on_notice(Text(f"{schedule.name}: {en}", f"{schedule.name}：{zh}"))


@contextmanager
def running(scheduler: Scheduler, look: float = LOOK) -> Iterator[None]:
    """Run what is due in a thread of its own until the block ends."""
    stop = Event()

    def run() -> None:
        while True:
            try:
                scheduler.tick()
            except Exception:  # the door's edge: what fails now may work at the next look
                log.exception("schedules could not be run")
            if stop.wait(look):
                return

    scheduler.start()
    thread = Thread(target=run, name="schedules")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watched(alert: Alert, as_of: date) -> tuple[date, date]:
    """Return the first and the last bucket that an alert looks at: the last is over on `as_of`."""
    last = bucket_start(as_of, alert.grain)
    if bucket(as_of, alert.grain).end > as_of:
        last = bucket_start(date.fromordinal(last.toordinal() - 1), alert.grain)
    first = last
    for _ in range(buckets_needed(alert.rules, alert.grain) - 1):
        first = bucket_start(date.fromordinal(first.toordinal() - 1), alert.grain)
    return first, last


def _found(alert: Alert, answer: Answer, at: date) -> tuple[Departure, Column] | None:
    table = answer.table
    assert table is not None
    time, metric = table.with_role("time"), table.with_role("metric")
    if not time or not metric:
        return None
    days, values = table.values(time[0].name), table.values(metric[0].name)
    series = {
        day: float(value) if isinstance(value, int | float) else None
        for day, value in zip(days, values, strict=True)
        if isinstance(day, date) and day not in table.incomplete
    }
    found = departure(alert.rules, series, at, alert.grain, metric[0].unit)
    return (found, metric[0]) if found else None


def _alarm(parcel: Parcel, alert: Alert, found: Departure, column: Column, at: date, model: Model) -> Parcel:
    answer, language = parcel.answer, parcel.schedule.language
    assert answer.table is not None
    label, when = column.label.in_(language), bucket_label(at, alert.grain, language)
    position = answer.table.values(answer.table.with_role("time")[0].name).index(at)
    value = answer.table.values(column.name)[position]
    shown = format_number(value if isinstance(value, int | float) else None, column.unit, language)
    of = "；".join(answer.receipt.filters) if answer.receipt else ""
    subject = f"{label}（{of}）" if of and language == "zh" else f"{label} ({of})" if of else label
    said = Text(
        f"{subject}, {when}: {shown}, {found.reason.en}.", f"{when}{subject}为 {shown}，{found.reason.zh}。"
    ).in_(language)
    within = _named(alert, model, language)
    questions = () if within is None else (why(label, found.direction, at, alert.grain, language, within),)
    return replace(parcel, alert=said, questions=questions)


def _named(alert: Alert, model: Model, language: Language) -> tuple[str, ...] | None:
    """Return the values that an alert is about, as people call them; None where its filters say more than that."""
    names: list[str] = []
    parts = alert.filters.parts if isinstance(alert.filters, And) else (alert.filters,) if alert.filters else ()
    for part in parts:
        if not isinstance(part, Where) or part.op not in (Op.EQ, Op.IN):
            return None
        known = [d for d in model.dimensions if part.dimension in (d.name, d.qualified)]
        labels: dict[object, str] = {v.value: v.label.in_(language) for dimension in known for v in dimension.values}
        names += [labels.get(value, str(value)) for value in part.values]
    return tuple(names)


def _failed(answer: Answer) -> EngineError:
    problem = answer.problem
    return EngineError(
        problem.code if problem else "no_result",
        same(problem.message if problem else answer.text),
        same(problem.hint if problem else ""),
    )
