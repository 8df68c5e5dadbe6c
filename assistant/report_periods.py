"""Owns the dates of a report: the period it is about, how that is called, and the periods around it that it shows beside."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from wenshu.assistant.question import normalise
from wenshu.assistant.timephrases import find_time_phrases
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.periods import (
    Compare,
    DateRange,
    Grain,
    add_months,
    bucket,
    bucket_start,
    calendar_grain,
    compared_period,
)
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.wording import bucket_label

WEEK = re.compile(r"(\d{4})-?[Ww](\d{1,2})")
DAYS = re.compile(r"(\d{4}-\d\d-\d\d)_(\d{4}-\d\d-\d\d)")
SHOWN = {Grain.WEEK: 12, Grain.MONTH: 12, Grain.QUARTER: 8, Grain.YEAR: 5}  # how many periods a trend shows
A_YEAR = timedelta(days=364)  # of weeks, so that a Monday is held against a Monday
MONTHS = 6
COHORTS = 8

HOW_TO_NAME = Text(
    "Write a week as 2026-W43, or a period as “last month” or “2026-10-01 to 2026-10-15”.",
    "周可写作 2026-W43，时间段可写作“上个月”或“2026-10-01到2026-10-15”。",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPeriod:
    """Hold what a report is about: a week, or another period. Of one that is not over, `dates` are the days there are."""

    named: DateRange
    dates: DateRange

    @property
    def grain(self) -> Grain | None:
        """Return the calendar unit that it is one of, None for any other days."""
        grain = calendar_grain(self.named)
        return grain if grain is not None and bucket(self.named.start, grain) == self.named else None

    @property
    def is_cut(self) -> bool:
        return self.dates != self.named

    @property
    def code(self) -> str:
        """Return a short name for files, which names it again: 2026-W43, 2026-10, or the dates."""
        start = self.named.start
        match self.grain:
            case Grain.WEEK:
                year, week, _ = start.isocalendar()
                return f"{year}-W{week:02}"
            case Grain.MONTH:
                return f"{start:%Y-%m}"
            case Grain.YEAR:
                return f"{start:%Y}"
            case _:
                return f"{start}_{self.named.end}"

    @property
    def label(self) -> Text:
        """Return how people call it, with its dates."""
        dates = f"{self.named.start} – {self.named.end}"
        if self.grain is Grain.WEEK:
            year, week, _ = self.named.start.isocalendar()
            return Text(f"Week {week}, {year} ({dates})", f"{year}年第{week}周（{dates}）")
        if self.grain is None:
            return Text(dates, dates)
        start = self.named.start
        return Text(
            f"{bucket_label(start, self.grain, 'en')} ({dates})", f"{bucket_label(start, self.grain, 'zh')}（{dates}）"
        )

    @property
    def short(self) -> Text | None:
        """Return how a sentence calls it, None where its dates are its name."""
        if self.grain is Grain.WEEK:
            week = self.named.start.isocalendar().week
            return Text(f"week {week}", f"第{week}周")
        return (
            Text(*(bucket_label(self.named.start, self.grain, each) for each in ("en", "zh"))) if self.grain else None
        )

    def around(self, first: date) -> dict[str, DateRange | str]:
        """Return the periods and grains that a report's queries name, by slot; `first` is the first day of the data."""
        found: dict[str, DateRange | str] = {"period": self.dates, "step": str(self.grain or Grain.DAY)}
        end = self.dates.end
        by_weeks = self.grain in (Grain.WEEK, None)
        year_ago = _back(self.dates, A_YEAR) if by_weeks else compared_period(self.dates, Compare.YEAR)
        if year_ago.start >= first:
            found["year_ago"] = year_ago
        if self.grain is None:
            starts = [end - timedelta(days=max(28, self.dates.days) - 1)]
        else:
            starts = list(_earlier(self.named.start, self.grain, SHOWN[self.grain]))
        since = {
            "lately": [day for day in starts if day >= first],
            "days": [self.dates.start - timedelta(days=7) if self.dates.days <= 7 else self.dates.start],
            "weeks": [day for day in _earlier(bucket_start(end, Grain.WEEK), Grain.WEEK, COHORTS) if day >= first],
        }
        found |= {name: DateRange(max(min(days), first), end) for name, days in since.items() if days and end >= first}
        months = self.months(first)
        return found | ({"months": months} if months else {})

    def months(self, first: date, settled: date = date.max) -> DateRange | None:
        """Return the last six whole months up to its end, and up to the day up to which things are settled; None where there are no data."""
        last = last_whole(min(self.dates.end, settled), Grain.MONTH).named
        starts = [day for day in _earlier(last.start, Grain.MONTH, MONTHS) if day >= bucket_start(first, Grain.MONTH)]
        return DateRange(max(min(starts), first), last.end) if starts else None


def last_whole(as_of: date, grain: Grain = Grain.WEEK) -> ReportPeriod:
    """Return the last week, or other calendar unit, that is over.

    >>> last_whole(date(2026, 10, 31)).code, last_whole(date(2026, 10, 25)).code
    ('2026-W43', '2026-W43')
    """
    found = bucket(as_of, grain)
    if found.end > as_of:
        found = bucket(found.start - timedelta(days=1), grain)
    return ReportPeriod(named=found, dates=found)


def report_period(words: str | None, *, as_of: date, coverage: DateRange, language: Language) -> ReportPeriod:
    """Return the period that words name, the last complete week without any.

    Raises `QueryError` with code `invalid_period` for words that name none, `outside_data` for one of which there are no data.
    """
    named = last_whole(as_of).named if words is None else _named(words.strip(), as_of, language)
    dates = named.intersect(DateRange(min(coverage.start, as_of), as_of))
    if dates is None:
        raise QueryError(
            "outside_data",
            Text(f"There are no data of {named}.", f"没有 {named} 的数据。"),
            Text(f"The data run from {coverage.start} to {as_of}.", f"数据覆盖 {coverage.start} 至 {as_of}。"),
        )
    return ReportPeriod(named=named, dates=DateRange(named.start, dates.end))


def _named(words: str, as_of: date, language: Language) -> DateRange:
    try:
        if week := WEEK.fullmatch(words):
            return bucket(date.fromisocalendar(int(week[1]), int(week[2]), 1), Grain.WEEK)
        if days := DAYS.fullmatch(words):
            return DateRange(date.fromisoformat(days[1]), date.fromisoformat(days[2]))
    except ValueError:
        raise _no_period(words) from None
    normal = normalise(words)
    found = find_time_phrases(normal, as_of=as_of, language=language) if normal else ()
    if (
        len(found) == 1
        and found[0].period is not None
        and not (normal[: found[0].start] + normal[found[0].end :]).strip()
    ):
        period = found[0].period
        return bucket(as_of, found[0].to_date) if found[0].to_date else period
    raise _no_period(words)


def _no_period(words: str) -> QueryError:
    return QueryError(
        "invalid_period", Text(f"“{words[:60]}” is no week or period.", f"“{words[:60]}”不是周或时间段。"), HOW_TO_NAME
    )


def _earlier(start: date, grain: Grain, count: int) -> list[date]:
    """Return the first days of `count` calendar units, the last of which begins on `start`."""
    if grain is Grain.WEEK:
        return [start - timedelta(days=7 * n) for n in range(count)]
    months = {Grain.MONTH: 1, Grain.QUARTER: 3, Grain.YEAR: 12}[grain]
    return [add_months(start, -months * n) for n in range(count)]


def _back(period: DateRange, days: timedelta) -> DateRange:
    return DateRange(period.start - days, period.end - days)
