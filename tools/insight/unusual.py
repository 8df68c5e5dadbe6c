"""Owns what is unusual lately: the days of some metrics, or of a metric's groups, that lie outside what was expected of them.

The judgement is anomalies.py's; this asks the data once for all series and tells what was found.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from statistics import median
from typing import ClassVar

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.holidays import BY_NAME
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import Aggregate, Cumulative, Funnel, LastEvent, Lifecycle, Paths
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.anomalies import FEWEST_DAYS, RATE, WEEKS, Day, judge_days, runs, unusual_days
from wenshu.tools.insight.calendar_causes import HOLIDAYS, SALES, festival_name, has_chinese_calendar
from wenshu.tools.insight.insight import Confidence, Inquiry, Insight, Method, in_both
from wenshu.tools.insight.plot import Plot
from wenshu.tools.insight.split import is_sum
from wenshu.tools.wording import Wording

AROUND_SALES = (4, 3)  # days before and after a sale that it moves
MOST_ROWS, MOST_TOLD, MOST_SERIES = 60_000, 5, 60
THIN = 5.0  # a usual day; below it a count says nothing by itself
SURE, WIDE = 1e-6, 0.5  # chance of a finding called sure; share of the expected from which on a range says little

METHOD = Method(
    name=Text("Expected range by day", "逐日预期范围"),
    told=Text(
        f"Each day is held against the level of the four weeks before it, its drift, and its weekday's usual part over {WEEKS} weeks (medians, which a few odd days do not move); of the days called unusual, at most {RATE:.0%} are expected to be chance.",
        f"每一天与此前四周的水平、趋势以及 {WEEKS} 周的星期规律相比（均取中位数，不受个别异常日影响）；被判为异常的日子中，预期最多 {RATE:.0%} 出于偶然。",
    ),
    assumptions=(
        Text("Days around holidays and sales are judged by their date, not as unusual.", "节假日和大促前后的日子归因于日期，不计为异常。"),
        Text("A change that lasts becomes the usual after some weeks.", "持续的变化几周后会成为新的常态。"),
    ),
    source="Theil–Sen drift; Anscombe 1948; Cleveland et al. 1990 (STL); Benjamini & Hochberg 1995 (JRSS B 57:289–300)",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeriesName:
    """Name a series: its metric's column and, where groups are looked at, its group."""

    metric: Column
    key: Cell = None
    by: Column | None = None

    def say(self, w: Wording) -> str:
        label = w.label(self.metric)
        return w.noted(label, w.name((self.by,), (self.key,))) if self.by else label


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusual:
    """Ask which days of the metrics of `query` are unusual in its period, of each value of its dimension if it has one."""

    name: ClassVar[str] = "unusual"
    label: ClassVar[Text] = Text("Unusual days", "异常检测")

    query: Query

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield Text("Reading the days and the weeks before", "读取每日数据与此前几周")
        for metric in self.query.metrics:
            _check_daily(inquiry.model, metric)
        period = self.query.period or DateRange(inquiry.as_of - timedelta(days=29), inquiry.as_of)
        first = period.start - timedelta(days=7 * WEEKS)
        start = max(first, min(inquiry.layer.coverage.start, period.start))
        asked = replace(self.query, grain=Grain.DAY, period=DateRange(start, period.end), compare=None, to_date=None, order=(), limit=None)
        table = inquiry.ask(asked, max_rows=MOST_ROWS).table
        yield Text("Comparing each day with what was expected", "将每一天与预期相比")
        judged, thin = self._judged(inquiry, table, period)
        if not any(judged.values()):
            if thin:
                raise QueryError(
                    "too_thin",
                    Text("There is too little a day to tell the unusual from chance.", "每天的数据太少，无法区分异常与偶然。"),
                    Text("Ask about a larger group, or compare weeks or months.", "请选择更大的范围，或按周、按月对比。"),
                )  # fmt: skip
            raise QueryError(
                "too_few_days",
                Text(f"There are too few days before to know what is usual: {FEWEST_DAYS} with data are needed.", f"此前的数据不足 {FEWEST_DAYS} 天，无法判断什么是平常。"),
                Text("Ask about a later period, or a metric or group with more data.", "请选择更晚的时间段，或数据更多的指标或分组。"),
            )  # fmt: skip
        odd = unusual_days({name: days for name, days in judged.items()})  # type: ignore[misc]
        return _insight(inquiry, self.query, period, judged, odd, thin)  # type: ignore[arg-type]

    def _judged(
        self, inquiry: Inquiry, table: ResultTable, period: DateRange
    ) -> tuple[dict[SeriesName, tuple[Day, ...]], int]:
        """Return each series' days as judged, and how many series were left out because usual days have next to nothing."""
        festive = frozenset(_festive_days(inquiry.model, DateRange(period.start - timedelta(days=7 * WEEKS), period.end)))
        days = [period.start + timedelta(days=n) for n in range(period.days)]
        by = table.with_role("dimension")
        judged: dict[SeriesName, tuple[Day, ...]] = {}
        thin = 0
        for spec in self.query.metrics:
            metric = inquiry.model.metric(spec)
            column, summed = table.column(metric_column(spec)), is_sum(metric, inquiry.model)
            counted = summed and metric.unit is None
            for key, values in _series(table, column, by, summed).items():
                inquiry.pause()
                known = [value for value in values.values() if value is not None]
                if (summed and sum(value == 0 for value in known) > 0.3 * len(known)) or (counted and median(known) < THIN):
                    thin += 1
                    continue
                name = SeriesName(column, key[0] if key else None, by[0] if by else None)
                judged[name] = judge_days(values, days, rooted=summed, counted=counted, festive=festive)
        return judged, thin


def _check_daily(model: Model, spec: str) -> None:
    metric = model.metric(spec)
    by_step = isinstance(metric, Funnel | Paths | LastEvent | Cumulative) or (isinstance(metric, Lifecycle) and metric.stage is None)
    if by_step or (isinstance(metric, Aggregate) and metric.undated):
        raise QueryError(
            "no_daily_series",
            Text(f"{metric.label.en} has no one number a day.", f"{metric.label.zh}没有逐日的单一数值。"),
            Text("Ask about a count, a sum or a rate.", "请询问计数、合计或比率类指标。"),
        )


def _series(
    table: ResultTable, column: Column, by: tuple[Column, ...], summed: bool
) -> Mapping[tuple[Cell, ...], dict[date, float | None]]:
    """Return each group's value by day; a sum without rows is nothing, a rate without rows is not known."""
    time = table.index("day")
    value, keys = table.index(column.name), [table.index(key.name) for key in by]
    every = sorted({day for row in table.rows if isinstance(day := row[time], date)})
    found: dict[tuple[Cell, ...], dict[date, float | None]] = {}
    for row in table.rows:
        day, cell = row[time], row[value]
        if isinstance(day, date):
            empty: dict[date, float | None] = dict.fromkeys(every, 0.0 if summed else None)
            group = found.setdefault(tuple(row[key] for key in keys), empty)
            group[day] = float(cell) if isinstance(cell, int | float) else (0.0 if summed else None)
    largest = sorted(found, key=lambda key: -sum(v or 0.0 for v in found[key].values()))[:MOST_SERIES]
    return {key: found[key] for key in largest}


def _festive_days(model: Model, span: DateRange) -> Iterator[date]:
    """Yield the days of holidays and around sales."""
    if not has_chinese_calendar(model):
        return
    for name in HOLIDAYS + SALES:
        before, after = AROUND_SALES if name in SALES else (0, 0)
        for year in range(span.start.year - 1, span.end.year + 2):
            try:
                dates = BY_NAME[name].dates(year)
            except ValueError:
                continue
            for n in range(-before, dates.days + after):
                yield dates.start + timedelta(days=n)


# Telling -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """Hold days of one series that are unusual one after another, and the one furthest out."""

    name: SeriesName
    days: tuple[Day, ...]

    @property
    def worst(self) -> Day:
        return max(self.days, key=lambda day: abs(day.deviations))


def _insight(
    inquiry: Inquiry, query: Query, period: DateRange, judged: dict[SeriesName, tuple[Day, ...]],
    odd: dict[SeriesName, tuple[Day, ...]], thin: int,
) -> Insight:  # fmt: skip
    events = [Event(name, run) for name, days in odd.items() for run in runs(days)]
    events.sort(key=lambda event: -abs(event.worst.deviations))
    shown = events[0].name if events else max(judged, key=lambda name: len(judged[name]) > 0)
    tested = sum(len(days) for days in judged.values())
    explained = [(name, day) for name, days in judged.items() for day in days if day.explained and day.is_outside]
    findings = [in_both(lambda w, event=event: _event_said(w, event)) for event in events[:MOST_TOLD]]  # type: ignore[misc]
    if len(events) > MOST_TOLD:
        more = len(events) - MOST_TOLD
        findings.append(Text(f"And {more} more, less far out.", f"另有 {more} 处，偏离较小。"))
    if explained:
        findings.append(in_both(lambda w: _explained_said(w, explained)))
    caveats = []
    if thin:
        caveats.append(Text(f"{thin} series are too thin to judge by day and were left out.", f"{thin} 个序列数据太少，未逐日判断。"))
    return Insight(
        title=in_both(lambda w: w.say(f"{w.opening(shown.say(w))} by day, with the range expected", f"{shown.say(w)}逐日值与预期范围")),
        headline=in_both(lambda w: _headline(w, events, tuple(judged), period, tested)),
        findings=tuple(findings),
        table=_table(shown, judged[shown]),
        plot=Plot(
            kind="band", x="day", y=(shown.metric.name, "low", "high"),
            reason=Text("Days and what was expected of them: a line with its range.", "逐日数值与预期：带范围的折线。"),
        ),
        method=METHOD,
        confidence=_confidence(events, judged),
        caveats=tuple(caveats),
        evidence=inquiry.evidence,
        query=Query(metrics=query.metrics[:1] if shown.by is None else query.metrics, dimensions=query.dimensions, grain=Grain.DAY, period=period, filters=query.filters),
        period=period,
        follow_ups=tuple(_follow_ups(events, shown)),
    )  # fmt: skip


def _headline(w: Wording, events: list[Event], names: tuple[SeriesName, ...], period: DateRange, tested: int) -> str:
    labels = list(dict.fromkeys(w.label(name.metric) for name in names))
    listed, groups = w.names(labels, 6), len({name.key for name in names if name.by})
    what = w.say(f"{listed}{f', {groups} groups' if groups else ''}", f"{listed}{f'的 {groups} 个分组' if groups else ''}")
    if not events:
        return w.say(
            f"**Nothing unusual** from {period.start} to {period.end}: every day of {what} lies within what the weeks before lead one to expect.",
            f"{period.start} 至 {period.end} **没有异常**：{what}每天都在此前几周所预期的范围内。",
        )
    days = len({day.day for event in events for day in event.days})
    return w.say(
        f"**{days} unusual {'day' if days == 1 else 'days'}** from {period.start} to {period.end}, of {tested} values looked at ({what}).",
        f"{period.start} 至 {period.end} 有 **{days} 个异常日**（共查看 {what}的 {tested} 个逐日数值）。",
    )


def _event_said(w: Wording, event: Event) -> str:
    day, unit, name = event.worst, event.name.metric.unit, event.name.say(w)
    dates = f"{event.days[0].day}" if len(event.days) == 1 else f"{event.days[0].day} – {event.days[-1].day}"
    off = w.value(day.value - day.expected, "pp", signed=True) if unit == "%" else w.value(day.value / day.expected - 1 if day.expected else None, "%", signed=True)
    value, low, high = (w.value(number, unit) for number in (day.value, day.low, day.high))
    when = "" if len(event.days) == 1 else w.say(f" on {day.day}", f"{day.day} ")
    if not day.value and day.expected:
        return w.say(f"**{dates}**: no {name} at all; {low} to {high} was expected. The data may be missing.", f"**{dates}**：{name}为零，预期 {low} 至 {high}，可能是数据缺失。")
    return w.say(
        f"**{dates}**: {name} {value}{when}, where {low} to {high} was expected ({off} against the middle).",
        f"**{dates}**：{name}{'，' if when else ''}{when}为 {value}，预期 {low} 至 {high}（较预期中值 {off}）。",
    )


def _explained_said(w: Wording, explained: list[tuple[SeriesName, Day]]) -> str:
    days = sorted({day.day for _, day in explained})
    names = [festival_name(festival).in_(w.language) for festival in _festivals_on(days)]
    return w.say(
        f"Not counted: {len(days)} {'day' if len(days) == 1 else 'days'} outside the range that {w.names(names, 4)} accounts for.",
        f"未计入：{len(days)} 天超出范围，但属于{w.names(names, 4)}前后。",
    )


def _festivals_on(days: list[date]) -> Iterator:  # type: ignore[type-arg]
    for name in HOLIDAYS + SALES:
        before, after = AROUND_SALES if name in SALES else (0, 0)
        for year in {day.year for day in days}:
            try:
                dates = BY_NAME[name].dates(year)
            except ValueError:
                continue
            if any(dates.start - timedelta(days=before) <= day <= dates.end + timedelta(days=after) for day in days):
                yield BY_NAME[name]
                break


def _confidence(events: list[Event], judged: dict[SeriesName, tuple[Day, ...]]) -> Confidence:
    if not events:
        every = [day for days in judged.values() for day in days]
        reach = median((day.high - day.expected) / day.expected for day in every if day.expected > 0)
        return Confidence(level="high" if reach < WIDE else "medium", why=in_both(lambda w: w.say(
            f"{len(every)} daily values were looked at; one must lie about {w.value(reach, '%')} off to be noticed.",
            f"共查看 {len(every)} 个逐日数值；单日约偏离 {w.value(reach, '%')} 才能被发现。",
        )))  # fmt: skip
    worst = events[0].worst
    level = "high" if worst.chance < SURE else "medium"
    return Confidence(level=level, why=Text(  # type: ignore[arg-type]
        f"The furthest out is {abs(worst.deviations):.1f} deviations from what was expected; among all days called unusual, {RATE:.0%} are expected to be chance.",
        f"偏离最大的一天为 {abs(worst.deviations):.1f} 个标准差；被判为异常的日子中预期有 {RATE:.0%} 出于偶然。",
    ))  # fmt: skip


def _table(name: SeriesName, days: tuple[Day, ...]) -> ResultTable:
    metric = name.metric

    def bound(column: str, label: Text) -> Column:
        return Column(name=column, role="comparison", type="number", label=label, unit=metric.unit, metric=metric.name)

    columns = (
        Column(name="day", role="time", type="date", label=Text("day", "日期"), grain=Grain.DAY),
        *([name.by] if name.by else []), replace(metric, additive=False), bound("expected", Text("expected", "预期")),
        bound("low", Text("lowest expected", "预期下限")), bound("high", Text("highest expected", "预期上限")),
    )  # fmt: skip
    key = (name.key,) if name.by else ()
    return ResultTable(columns=columns, rows=tuple((day.day, *key, day.value, day.expected, day.low, day.high) for day in days))


def _follow_ups(events: list[Event], shown: SeriesName) -> Iterator[Text]:
    if events and shown.by is None:
        day, label = events[0].worst, shown.metric.label
        fell = day.deviations < 0
        yield Text(f"why did {label.en} {'fall' if fell else 'rise'} on {day.day}", f"{day.day} {label.zh}为什么{'下降' if fell else '上升'}")
    yield Text("by week", "按周看")


