"""Owns what the calendar alone does to a number: more days, other weekdays, holidays on one side only, days without data.

Knows no parts. The festivals are China's; they are spoken of for models that live in its time zone only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from wenshu.semantic_layer.holidays import BY_NAME, Festival
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.insight import Inquiry, in_both

WEEKS = 8  # before, from which the usual weight of each weekday is learnt
WORTH_SAYING = 0.005  # of the number before
BUSY = 5  # a usual day has so many rows or so much, that a day with nothing is a gap
CHINA = ("Asia/Shanghai", "Asia/Chongqing", "Asia/Urumqi", "PRC")
HOLIDAYS = ("元旦", "春节", "清明", "五一", "端午", "中秋", "国庆")
SALES = ("618", "双11", "双12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Hold what the calendar says: the growth that days and weekdays alone would give, and sentences."""

    growth: float = 0.0
    findings: tuple[Text, ...] = ()
    gaps: tuple[date, ...] = ()


def calendar_causes(inquiry: Inquiry, query: Query, now: DateRange, before: DateRange) -> Calendar:
    """Return what the calendar explains of a change between two periods; only a sum or count has days that add up."""
    metric = inquiry.model.metric(query.metrics[0])
    festive = tuple(_festivals(inquiry.model, now, before))
    if not isinstance(metric, Aggregate) or not metric.additive:
        return Calendar(findings=festive)
    first = max(inquiry.layer.coverage.start, before.start - timedelta(days=7 * WEEKS))
    asked = Query(metrics=query.metrics, grain=Grain.DAY, period=DateRange(first, max(now.end, before.end)), filters=query.filters)
    table = inquiry.ask(asked).table
    days = {day: float(value) for day, value in zip(table.values("day"), table.values(metric_column(query.metrics[0])), strict=True) if isinstance(day, date) and isinstance(value, int | float)}  # fmt: skip
    gaps = tuple(_gaps(days, now, before))
    growth = calendar_growth(days, now, before)
    said = _growth_said(growth, now, before)
    missing = () if not gaps else (_gaps_said(gaps),)
    return Calendar(growth=growth, findings=(*missing, *said, *festive), gaps=gaps)


def calendar_growth(days: Mapping[date, float], now: DateRange, before: DateRange) -> float:
    """Return how much larger `now` would be than `before` if every weekday brought what it usually does.

    >>> flat = {date(2026, 8, 1) + timedelta(days=n): 10.0 for n in range(95)}
    >>> round(calendar_growth(flat, DateRange(date(2026, 10, 1), date(2026, 10, 31)), DateRange(date(2026, 9, 1), date(2026, 9, 30))), 4)
    0.0333
    """
    weekdays: dict[int, list[float]] = {}
    for day, value in days.items():
        if day <= before.end:
            weekdays.setdefault(day.weekday(), []).append(value)
    if len(weekdays) < 7:
        return now.days / before.days - 1
    usual = {weekday: median(values) for weekday, values in weekdays.items()}
    expected = [sum(usual[day.weekday()] for day in _days(period)) for period in (now, before)]
    return expected[0] / expected[1] - 1 if expected[1] > 0 else now.days / before.days - 1


def festivals_of(period: DateRange, names: tuple[str, ...] = HOLIDAYS + SALES) -> tuple[Festival, ...]:
    """Return the festivals of which any day lies in a period."""
    found = []
    for name in names:
        for year in range(period.start.year - 1, period.end.year + 2):
            try:
                if BY_NAME[name].dates(year).intersect(period):
                    found.append(BY_NAME[name])
            except ValueError:
                continue  # no lunar dates are known for that year
    return tuple(dict.fromkeys(found))


def festival_name(festival: Festival) -> Text:
    english = next((name for name in festival.names if name.isascii() and not name.isdecimal()), festival.names[0])
    return Text(english.title().replace("'S", "'s"), festival.names[0])


def has_chinese_calendar(model: Model) -> bool:
    return model.timezone in CHINA


def _festivals(model: Model, now: DateRange, before: DateRange) -> Iterator[Text]:
    if not has_chinese_calendar(model):
        return
    here, there = festivals_of(now), festivals_of(before)
    said = []
    for period, only in ((now, [f for f in here if f not in there]), (before, [f for f in there if f not in here])):
        if only:
            names = [festival_name(festival) for festival in only]
            en, zh = ", ".join(name.en for name in names), "、".join(name.zh for name in names)
            said.append(Text(f"{en} ({period})", f"{zh}（{period}）"))
    if said:
        yield Text(
            f"Holidays and sales on one side only: {'; '.join(text.en for text in said)}.",
            f"只落在一侧的节日或大促：{'；'.join(text.zh for text in said)}。",
        )


def _growth_said(growth: float, now: DateRange, before: DateRange) -> Iterator[Text]:
    if abs(growth) < WORTH_SAYING:
        return
    same = now.days == before.days
    yield in_both(lambda w: w.say(
        f"The calendar alone {'(other weekdays)' if same else f'({now.days} days against {before.days}, and their weekdays)'} would have made it {w.value(growth, '%', signed=True)}.",
        f"仅因日历{'（星期构成不同）' if same else f'（{now.days} 天对 {before.days} 天及其星期构成）'}，就应变化 {w.value(growth, '%', signed=True)}。",
    ))  # fmt: skip


def _gaps(days: Mapping[date, float], now: DateRange, before: DateRange) -> Iterator[date]:
    usual = median(days.values()) if days else 0.0
    if usual < BUSY:
        return
    for day in (*_days(before), *_days(now)):
        if days.get(day, 0.0) == 0.0:
            yield day


def _gaps_said(gaps: tuple[date, ...]) -> Text:
    listed = [day.isoformat() for day in gaps[:5]]
    more = len(gaps) - len(listed)
    return Text(
        f"Days without any data: {', '.join(listed)}{f' and {more} more' if more else ''}; the data may be incomplete there.",
        f"以下日期没有任何数据：{'、'.join(listed)}{f' 等 {len(gaps)} 天' if more else ''}，数据可能不完整。",
    )


def _days(period: DateRange) -> Iterator[date]:
    for number in range(period.days):
        yield period.start + timedelta(days=number)


