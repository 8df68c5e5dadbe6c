"""Owns when a cron expression is due, in a time zone. Pure: the moment is an argument.

The five fields and their meaning are those of cron: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), with
lists, ranges, steps and English names; where both days are restricted, either is enough. `L` is the last day of the month. A time that
clocks skip in spring comes as much later; one that they repeat in autumn comes once, unless the hour is `*`.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
LONGEST_WAIT = 3_000  # days; 29 February is at most eight years away
ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Hold a cron expression in a time zone; make one with `parse_cron`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    last_day: bool
    any_hour: bool
    any_day: bool
    any_weekday: bool
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time that is due after a moment, in UTC; None where there is none for years.

        >>> cron = parse_cron("0 9 * * mon", ZoneInfo("Asia/Shanghai"))
        >>> str(cron.after(datetime(2026, 11, 22, tzinfo=UTC)))
        '2026-11-23 01:00:00+00:00'
        """
        day = moment.astimezone(self.zone).date() - timedelta(days=1)
        for _ in range(LONGEST_WAIT):
            if later := [due for due in self._on(day) if due > moment]:
                return min(later)
            day += timedelta(days=1)
        return None

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last time that is due after one moment and up to another, in UTC; None where there is none."""
        day, first = (
            until.astimezone(self.zone).date() + timedelta(days=1),
            after.astimezone(self.zone).date() - timedelta(days=1),
        )
        while day >= first:
            if due := [due for due in self._on(day) if after < due <= until]:
                return max(due)
            day -= timedelta(days=1)
        return None

    def _on(self, day: date) -> Iterator[datetime]:
        """Yield the moments of a calendar day."""
        if not self._has(day):
            return
        for hour in self.hours:
            for minute in self.minutes:
                wall = datetime.combine(day, time(hour, minute), self.zone)
                yield wall.astimezone(UTC)
                if self.any_hour and _is_repeated(wall):
                    yield wall.replace(fold=1).astimezone(UTC)

    def _has(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        is_last = day.day == calendar.monthrange(day.year, day.month)[1]
        on_day = day.day in self.days or (self.last_day and is_last)
        on_weekday = (day.weekday() + 1) % 7 in self.weekdays
        return on_day and on_weekday if self.any_day or self.any_weekday else on_day or on_weekday


def parse_cron(expression: str, zone: ZoneInfo) -> Cron:
    """Return what a cron expression means; `ValueError` says which field is wrong, in English.

    >>> parse_cron("0 25 * * *", ZoneInfo("UTC"))
    Traceback (most recent call last):
    ...
    ValueError: hour: 25
    """
    fields = SHORT.get(expression.strip().lower(), expression).lower().split()
    if len(fields) != len(FIELDS):
        raise ValueError(f"{len(fields)} fields instead of 5")
    minute, hour, day, month, weekday = fields
    items = [item for item in day.split(",") if item != "l"]
    return Cron(
        minutes=_numbers(minute, 0), hours=_numbers(hour, 1), days=_numbers(",".join(items), 2) if items else frozenset(),
        months=_numbers(month, 3, MONTHS, 1), weekdays=frozenset(n % 7 for n in _numbers(weekday, 4, WEEKDAYS)),
        last_day="l" in day.split(","), any_hour=hour == "*", any_day=day.startswith("*"), any_weekday=weekday.startswith("*"),
        zone=zone,
    )  # fmt: skip


def _numbers(text: str, field: int, names: tuple[str, ...] = (), first_name: int = 0) -> frozenset[int]:
    name, low, high = FIELDS[field]
    found: set[int] = set()
    for item in text.split(","):
        parts = ITEM.fullmatch(item)
        if parts is None:
            raise ValueError(f"{name}: {item}")
        every, start, end, step = parts.groups()
        try:
            first = low if every else _number(start, names, first_name)
            # 0-6 of weekdays are all of them; a start with a step goes on to the end
            last = (
                (6 if field == 4 else high)
                if every or (step and not end)
                else _number(end, names, first_name)
                if end
                else first
            )
            numbers = range(first, last + 1, int(step or 1))
        except ValueError:
            raise ValueError(f"{name}: {item}") from None
        if not low <= first <= last <= high or not numbers:
            raise ValueError(f"{name}: {item}")
        found.update(numbers)
    return frozenset(found)


def _number(word: str, names: tuple[str, ...], first_name: int) -> int:
    return names.index(word) + first_name if word in names else int(word)


def _is_repeated(wall: datetime) -> bool:
    """Say whether clocks show a time twice."""
    return wall.utcoffset() != wall.replace(fold=1).utcoffset() and wall.astimezone(UTC).astimezone(wall.tzinfo) == wall
