"""Owns calendar arithmetic: date ranges, grains and the period a period is compared with. Knows nothing of SQL or words."""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum


class Grain(StrEnum):
    """Name the length of one bucket of a time series, finest first."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Compare(StrEnum):
    """Name what a period is compared with."""

    PREVIOUS = "previous"
    YEAR = "year"


MONTHS = {Grain.MONTH: 1, Grain.QUARTER: 3, Grain.YEAR: 12}


@dataclass(frozen=True, slots=True, order=True)
class DateRange:
    """Hold calendar dates from `start` to `end`, both included.

    >>> DateRange(date(2026, 9, 1), date(2026, 9, 30)).days
    30
    """

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a date range ends ({self.end}) before it starts ({self.start})")

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    def intersect(self, other: "DateRange") -> "DateRange | None":
        """Return the dates both ranges hold, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return DateRange(start, end) if start <= end else None

    def __str__(self) -> str:
        return f"{self.start} – {self.end}" if self.start != self.end else str(self.start)


def add_months(day: date, months: int) -> date:
    """Return the same day `months` later, or that month's last day where it has no such day.

    >>> add_months(date(2026, 3, 31), -1)
    datetime.date(2026, 2, 28)
    """
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def bucket_start(day: date, grain: Grain) -> date:
    """Return the first day of the bucket that holds `day`; weeks start on Monday."""
    match grain:
        case Grain.HOUR | Grain.DAY:
            return day
        case Grain.WEEK:
            return day - timedelta(days=day.weekday())
        case Grain.MONTH:
            return day.replace(day=1)
        case Grain.QUARTER:
            return date(day.year, day.month - (day.month - 1) % 3, 1)
        case Grain.YEAR:
            return date(day.year, 1, 1)


def next_bucket(start: date, grain: Grain) -> date:
    """Return the first day of the bucket after the one that starts on `start`."""
    if grain in MONTHS:
        return add_months(start, MONTHS[grain])
    return start + timedelta(days=7 if grain is Grain.WEEK else 1)


def bucket(day: date, grain: Grain) -> DateRange:
    """Return the whole bucket that holds `day`.

    >>> str(bucket(date(2026, 10, 31), Grain.QUARTER))
    '2026-10-01 – 2026-12-31'
    """
    start = bucket_start(day, grain)
    return DateRange(start, next_bucket(start, grain) - timedelta(days=1))


def buckets(period: DateRange, grain: Grain) -> Iterator[DateRange]:
    """Yield the buckets that touch `period`, whole ones, in order."""
    day = period.start
    while day <= period.end:
        whole = bucket(day, grain)
        yield whole
        day = whole.end + timedelta(days=1)


def calendar_grain(period: DateRange) -> Grain | None:
    """Return the grain of which `period` is exactly one or more whole buckets, the coarsest, or None.

    Weeks and single days do not count as calendar periods of several buckets: a fortnight is a free range.
    """
    for grain in (Grain.YEAR, Grain.QUARTER, Grain.MONTH):
        if period.start == bucket_start(period.start, grain) and period.end == bucket(period.end, grain).end:
            return grain
    if period.days == 7 and period.start.weekday() == 0:
        return Grain.WEEK
    return None


def compared_period(period: DateRange, compare: Compare, to_date: Grain | None = None) -> DateRange:
    """Return the period that `period` is compared with.

    Whole calendar periods go back by as many calendar periods, a period to date (`to_date` names its grain) goes to
    the same days of the period before, any other range to the same number of days just before. A year back keeps
    the dates.

    >>> str(compared_period(DateRange(date(2026, 9, 1), date(2026, 9, 30)), Compare.PREVIOUS))
    '2026-08-01 – 2026-08-31'
    >>> str(compared_period(DateRange(date(2026, 10, 26), date(2026, 10, 31)), Compare.PREVIOUS, to_date=Grain.WEEK))
    '2026-10-19 – 2026-10-24'
    """
    whole = calendar_grain(period)
    if compare is Compare.YEAR:
        end = add_months(period.end, -12)
        if whole in MONTHS:
            end = bucket(end, Grain.MONTH).end
        return DateRange(add_months(period.start, -12), end)
    if to_date is not None and whole != to_date:
        start = bucket_start(period.start - timedelta(days=1), to_date)
        if to_date in MONTHS:
            end = add_months(period.end, -MONTHS[to_date])
        else:
            end = start + timedelta(days=period.days - 1)
        return DateRange(start, min(end, period.start - timedelta(days=1)))
    if whole in MONTHS:
        months = (period.end.year - period.start.year) * 12 + period.end.month - period.start.month + 1
        return DateRange(add_months(period.start, -months), period.start - timedelta(days=1))
    return DateRange(period.start - timedelta(days=period.days), period.start - timedelta(days=1))
