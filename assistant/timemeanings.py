"""Owns what time words mean as dates, given the day it is. Knows nothing of the words themselves.

`timegrammar` says which words call which function, `timeparts` holds what is cut out of a period beside them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from wenshu.assistant.timeparts import day_of, edge_of_year, half_of, half_of_period, one_day, shift, third_of
from wenshu.assistant.timewords import DAY, MONTH, QUARTER, WEEK, YEAR
from wenshu.semantic_layer.holidays import BY_NAME, Festival
from wenshu.semantic_layer.periods import Compare, DateRange, Grain, add_months, bucket, bucket_start

Yearly = Callable[[int], DateRange]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Hold what a date is read by: the day it is, whether 1/9 is the first of September, and the question's language.

    A Chinese question puts the year first; where it stands last all the same, the date is written day by month.
    """

    as_of: date
    day_first: bool
    is_chinese: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """Hold what words mean; one with nothing set means that the words are no time phrase, whatever they look like.

    `yearly` gives the dates in a year that is not said yet; `unit` is set where they are one whole calendar unit.
    `cut` is the part of something that the words beside it may name (上半月, the first half). A `weak` meaning counts only beside another one or after a preposition. Where both dates and `weekdays` are set, it
    is the dates, and in a list (Saturday and Sunday) the weekdays.
    """

    period: DateRange | None = None
    yearly: Yearly | None = None
    unit: Grain | None = None
    to_date: Grain | None = None
    rolling: bool = False
    grain: Grain | None = None
    weekdays: frozenset[int] | None = None
    weekday: int | None = None
    part: str | None = None
    festival: bool = False
    weak: bool = False
    now: bool = False
    cut: tuple[Callable[..., DateRange], int] | None = None
    echo: Compare | None = None


def nothing(today: Calendar, **slots: object) -> Meaning:
    return Meaning()


def day_beside_today(today: Calendar, offset: int) -> Meaning:
    return Meaning(period=one_day(today.as_of + timedelta(offset)), unit=DAY)


def now(today: Calendar, now: str) -> Meaning:
    return Meaning(period=one_day(today.as_of), unit=DAY, weak=True, now=True)


def calendar_unit(today: Calendar, offset: int, unit: Grain = YEAR) -> Meaning | None:
    """Resolve this, last or next week, month, quarter or year; this one ends on `as_of`."""
    if unit is DAY:
        return None
    whole = bucket(shift(bucket_start(today.as_of, unit), unit, offset), unit)
    return Meaning(period=whole, unit=unit) if offset else so_far(today, unit)


def so_far(today: Calendar, unit: Grain) -> Meaning:
    return Meaning(period=DateRange(bucket_start(today.as_of, unit), today.as_of), unit=unit, to_date=unit)


def the_unit(today: Calendar, unit: Grain) -> Meaning | None:
    return None if unit is DAY else replace(so_far(today, unit), weak=True)


def half_beside(today: Calendar, offset: int) -> Meaning:
    half = 2 * today.as_of.year + (today.as_of.month > 6) + offset
    return Meaning(period=half_of(half // 2, half % 2 + 1))


def rest_of(today: Calendar, unit: Grain) -> Meaning:
    return Meaning(period=DateRange(today.as_of, bucket(today.as_of, unit).end))


def rolling(today: Calendar, n: int = 1, unit: Grain = MONTH) -> Meaning | None:
    """Resolve the last N days or, day for day, weeks, months, quarters or years, that end on `as_of`."""
    if not 1 <= n <= 4000:
        return None
    start = shift(today.as_of, unit, -n) + timedelta(1)
    return Meaning(period=DateRange(start, today.as_of), rolling=True)


def preceding(today: Calendar, n: int, unit: Grain) -> Meaning | None:
    """Resolve 前N天 like 近N天, but 前一周 like 上周."""
    return calendar_unit(today, -1, unit) if n == 1 else rolling(today, n, unit)


def whole_units(today: Calendar, n: int, unit: Grain) -> Meaning | None:
    """Resolve the last N whole calendar units, without the current one."""
    if not 1 <= n <= 4000:
        return None
    start = bucket_start(today.as_of, unit)
    return Meaning(period=DateRange(shift(start, unit, -n), start - timedelta(1)))


def ago(today: Calendar, unit: Grain, n: int = 1) -> Meaning | None:
    """Resolve N days ago to that day, N weeks or months ago to that calendar week or month."""
    if not 1 <= n <= 1000 or (unit is YEAR and n > 100):
        return None
    return Meaning(period=bucket(shift(bucket_start(today.as_of, unit), unit, -n), unit), unit=unit)


def day_units_ago(today: Calendar, unit: Grain, n: int = 1) -> Meaning | None:
    """Resolve 一个月前的今天 and a year ago today to that day."""
    return Meaning(period=one_day(shift(today.as_of, unit, -n)), unit=DAY) if 1 <= n <= 100 else None


def coming(today: Calendar, n: int, unit: Grain) -> Meaning | None:
    if not 1 <= n <= 1000:
        return None
    return Meaning(period=DateRange(today.as_of + timedelta(1), shift(today.as_of, unit, n)))


def same_month(today: Calendar) -> Meaning:
    """Resolve 去年同月, the month of the period said before it, else of `as_of`, a year earlier."""
    return Meaning(period=bucket(add_months(today.as_of, -12), MONTH), unit=MONTH, echo=Compare.YEAR)


def unit_before(today: Calendar, unit: Grain) -> Meaning | None:
    """Resolve “the month before”, that of the month said before it, else of this one."""
    found = day_beside_today(today, -1) if unit is DAY else calendar_unit(today, -1, unit)
    return found and replace(found, echo=Compare.PREVIOUS)


def year(today: Calendar, year: int, weak: bool = False) -> Meaning:
    return Meaning(period=bucket(date(year, 1, 1), YEAR), unit=YEAR, weak=weak)


def month(today: Calendar, month: int) -> Meaning:
    return Meaning(yearly=lambda year: bucket(date(year, month, 1), MONTH), unit=MONTH)


def month_name(today: Calendar, month: int) -> Meaning:
    """Resolve an English month; “may” is more often a verb."""
    return Meaning(yearly=lambda year: bucket(date(year, month, 1), MONTH), unit=MONTH, weak=month == 5)


def day_of_year_beside(today: Calendar, offset: int) -> Meaning:
    return Meaning(period=one_day(add_months(today.as_of, 12 * offset)), unit=DAY)


def month_beside(today: Calendar, offset: int, month: int) -> Meaning:
    """Resolve last May to the latest one that is over, this May to this year's, next May to the first to come."""
    found = bucket(date(today.as_of.year, month, 1), MONTH)
    if offset < 0 and found.end >= bucket_start(today.as_of, MONTH):
        found = bucket(add_months(found.start, -12), MONTH)
    if offset > 0 and found.start <= today.as_of:
        found = bucket(add_months(found.start, 12), MONTH)
    return Meaning(period=found, unit=MONTH)


def months(today: Calendar, first: int, last: int) -> Meaning | None:
    if first >= last:
        return None
    return Meaning(yearly=lambda year: DateRange(date(year, first, 1), bucket(date(year, last, 1), MONTH).end))


def year_month(today: Calendar, year: int, month: int) -> Meaning:
    return Meaning(period=bucket(date(year, month, 1), MONTH), unit=MONTH)


def quarter(today: Calendar, quarter: int) -> Meaning | None:
    if not 1 <= quarter <= 4:
        return None
    return Meaning(yearly=lambda year: bucket(date(year, 3 * quarter, 1), QUARTER), unit=QUARTER)


def quarters(today: Calendar, last: int, first: int = 1) -> Meaning | None:
    return months(today, 3 * first - 2, 3 * last) if 1 <= first < last <= 4 else None


def half(today: Calendar, half: int, bare: bool = False) -> Meaning:
    return Meaning(yearly=lambda year: half_of(year, half), cut=(half_of_period, half) if bare else None)


def half_of_this_month(today: Calendar, half: int) -> Meaning:
    found = half_of_period(bucket(today.as_of, MONTH), half)
    if found.start > today.as_of:
        found = half_of_period(bucket(add_months(today.as_of, -1), MONTH), half)
    return Meaning(period=found, cut=(half_of_period, half))


def week(today: Calendar, n: int, year: int | None = None) -> Meaning | None:
    """Resolve a week by its ISO number."""
    if not 1 <= n <= 53:
        return None
    if year:
        return Meaning(period=bucket(date.fromisocalendar(year, n, 1), WEEK), unit=WEEK)
    return Meaning(yearly=lambda year: bucket(date.fromisocalendar(year, n, 1), WEEK), unit=WEEK, weak=True)


def full_date(today: Calendar, year: int, month: int, day: int) -> Meaning:
    return Meaning(period=one_day(date(year, month, day)), unit=DAY)


def compact_date(today: Calendar, year: int, month: int, day: int) -> Meaning | None:
    """Resolve 20260901; digits that are no date are some other number."""
    try:
        return full_date(today, year, month, day)
    except ValueError:
        return None


def date_year_last(today: Calendar, a: int, b: int, year: int) -> Meaning:
    month, day = _ordered(a, b, today.day_first or today.is_chinese)
    return full_date(today, year, month, day)


def short_date(today: Calendar, a: int, b: int, c: int) -> Meaning | None:
    """Resolve 12-11-10, a year of two digits: first in a Chinese question where it can be, else last."""
    if today.is_chinese and a >= 10:
        return compact_date(today, 2000 + a, b, c)
    month, day = _ordered(a, b, today.day_first or today.is_chinese)
    return compact_date(today, 2000 + c, month, day)


def month_day(today: Calendar, a: int, b: int, weak: bool = False) -> Meaning | None:
    month, day = _ordered(a, b, today.day_first)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return Meaning(yearly=lambda year: one_day(date(year, month, day)), unit=DAY, weak=weak)


def _ordered(a: int, b: int, day_first: bool) -> tuple[int, int]:
    """Return month and day; a number above 12 is the day wherever it stands."""
    return (b, a) if a > 12 or (day_first and b <= 12) else (a, b)


def day_of_this_month(today: Calendar, day: int, weak: bool = False) -> Meaning | None:
    """Resolve 15号 or the 18th: its latest occurrence not after `as_of`."""
    month = bucket_start(today.as_of, MONTH)
    days = [shift(month, MONTH, back) for back in (0, -1, -2)]
    known = [first.replace(day=day) for first in days if day <= bucket(first, MONTH).end.day and day > 0]
    latest = next((found for found in known if found <= today.as_of), None)
    return Meaning(period=one_day(latest), unit=DAY, weak=weak, cut=(day_of, day)) if latest else None


def edge_of_this_year(today: Calendar, third: int) -> Meaning:
    return Meaning(yearly=lambda year: edge_of_year(bucket(date(year, 1, 1), YEAR), third))


def third_of_this_month(today: Calendar, third: int) -> Meaning:
    found = third_of(bucket(today.as_of, MONTH), third)
    if found.start > today.as_of:
        found = third_of(bucket(add_months(today.as_of, -1), MONTH), third)
    return Meaning(period=found, cut=(third_of, third))


def weekday(today: Calendar, weekday: int, weak: bool = False) -> Meaning:
    """Resolve a bare weekday to the latest one not after `as_of`."""
    day = today.as_of - timedelta((today.as_of.isoweekday() - weekday) % 7)
    return Meaning(period=one_day(day), weekdays=frozenset({weekday}), weekday=weekday, weak=weak)


def weekday_of_week(today: Calendar, offset: int, weekday: int) -> Meaning:
    monday = bucket_start(today.as_of, WEEK) + timedelta(7 * offset)
    return Meaning(period=one_day(monday + timedelta(weekday - 1)), unit=DAY, weekday=weekday)


def days_of_week(today: Calendar, offset: int, first: int = 6, last: int = 7) -> Meaning | None:
    monday = bucket_start(today.as_of, WEEK) + timedelta(7 * offset)
    if first > last:
        return None
    return Meaning(period=DateRange(monday + timedelta(first - 1), monday + timedelta(last - 1)))


def every_weekday(today: Calendar, weekday: int, last: int | None = None) -> Meaning | None:
    if last is not None and last < weekday:
        return None
    return Meaning(weekdays=frozenset(range(weekday, (last or weekday) + 1)))


def day_type(today: Calendar, day_type: frozenset[int]) -> Meaning:
    return Meaning(weekdays=day_type)


def festival(today: Calendar, festival: Festival) -> Meaning:
    return Meaning(yearly=festival.dates, festival=True)


def festival_holiday(today: Calendar, festival: Festival) -> Meaning | None:
    """Resolve 国庆期间; how long 双11期间 lasts is a matter of campaigns, not of the calendar."""
    return Meaning(yearly=festival.dates, festival=True) if festival.before or festival.after else None


def festival_day(today: Calendar, festival: Festival) -> Meaning:
    return Meaning(yearly=lambda year: one_day(festival.day(year)), festival=True, unit=DAY)


def golden_week(today: Calendar) -> Meaning:
    return Meaning(yearly=BY_NAME["国庆"].dates, festival=True, weak=True)


def grain(today: Calendar, unit: Grain) -> Meaning:
    return Meaning(grain=unit)


def by_turns(today: Calendar, unit: Grain, other: Grain) -> Meaning | None:
    return Meaning(grain=unit) if unit is other else None


def day_types(today: Calendar, **sides: object) -> Meaning:
    return Meaning(part="day_type")


def part(today: Calendar, name: str) -> Meaning:
    return Meaning(part=name)


Resolver = Callable[..., Meaning | None]
