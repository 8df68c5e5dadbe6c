"""Owns when a metric has left its range, and how that is said. Pure: the series is an argument.

The usual weekday is told by the median of the same weekday in the weeks before; how far a day is from it is counted in deviations, the
median absolute deviation (MAD) times 1.4826, which estimates the standard deviation of normal data and is not moved by an odd day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Literal, assert_never

from wenshu.semantic_layer.periods import Grain, bucket, bucket_start
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.number_format import format_number
from wenshu.tools.wording import bucket_label

FEWEST_WEEKS = 4  # of one weekday, to say what is usual
NORMAL = 1.4826  # MAD of normal data times this is their standard deviation (Rousseeuw and Croux 1993)
QUIETEST = 0.01  # of the median: the least deviation, as days that are all alike have none
SHOWN = {Grain.DAY: 35, Grain.WEEK: 12, Grain.MONTH: 12}  # buckets that the chart shows
WEEKDAYS = (
    Text("Monday", "周一"), Text("Tuesday", "周二"), Text("Wednesday", "周三"), Text("Thursday", "周四"),
    Text("Friday", "周五"), Text("Saturday", "周六"), Text("Sunday", "周日"),
)  # fmt: skip

Direction = Literal["down", "up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Keep a metric from going below or above a number."""

    below: float | None = None
    above: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Keep a metric from changing by a share or more against the period before."""

    down: float | None = None
    up: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualWeekday:
    """Keep a day within so many deviations of the same weekday in the weeks before."""

    deviations: float
    weeks: int


Rule = Threshold | Change | UsualWeekday


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Say that a metric has left its range, which way, and in words why."""

    direction: Direction
    reason: Text


def buckets_needed(rules: tuple[Rule, ...], grain: Grain) -> int:
    """Return how many buckets the rules look at, or the chart shows if that is more."""
    weeks = max((rule.weeks for rule in rules if isinstance(rule, UsualWeekday)), default=0)
    return max(SHOWN[grain], 7 * weeks + 1)


def departure(
    rules: tuple[Rule, ...], series: Mapping[date, float | None], at: date, grain: Grain, unit: str | None
) -> Departure | None:
    """Return how the bucket that begins `at` has left its range by the first rule that says so; None where none does.

    `series` holds the values by the first day of their bucket. Where a value that a rule needs is missing, the rule says nothing.
    """
    value = series.get(at)
    if value is None:
        return None
    for rule in rules:
        found = _departure(rule, value, series, at, grain, unit)
        if found is not None:
            return found
    return None


def why(
    label: str, direction: Direction, at: date, grain: Grain, language: Language, within: tuple[str, ...] = ()
) -> str:
    """Return the question for the likely cause, `within` some values alone.

    >>> why("成交额", "down", date(2026, 10, 31), Grain.DAY, "zh"), why("GMV", "up", date(2026, 10, 26), Grain.WEEK, "en")
    ('2026-10-31成交额为什么下降了？', 'Why did GMV rise from 2026-10-26 to 2026-11-01?')
    """
    whole = bucket(at, grain)
    if language == "zh":
        when = f"{whole.start}至{whole.end}" if grain is Grain.WEEK else bucket_label(at, grain, "zh")
        return f"{when}{'、'.join(within)}{label}为什么{'下降' if direction == 'down' else '上升'}了？"
    when = {Grain.DAY: f"on {at}", Grain.WEEK: f"from {whole.start} to {whole.end}"}.get(
        grain, f"in {bucket_label(at, grain, 'en')}"
    )
    subject = f"{label} for {' and '.join(within)}" if within else label
    return f"Why did {subject} {'fall' if direction == 'down' else 'rise'} {when}?"


def _departure(
    rule: Rule, value: float, series: Mapping[date, float | None], at: date, grain: Grain, unit: str | None
) -> Departure | None:
    match rule:
        case Threshold():
            if rule.below is not None and value < rule.below:
                shown = _both(rule.below, unit)
                return Departure(direction="down", reason=Text(f"below {shown.en}", f"低于 {shown.zh}"))
            if rule.above is not None and value > rule.above:
                shown = _both(rule.above, unit)
                return Departure(direction="up", reason=Text(f"above {shown.en}", f"高于 {shown.zh}"))
        case Change():
            before = series.get(bucket_start(at - timedelta(days=1), grain))
            if before is None or before == 0:
                return None
            share = (value - before) / abs(before)
            past, moved = _both(before, unit), _both(abs(share), "%")
            if rule.down is not None and share <= -rule.down:
                return Departure(
                    direction="down",
                    reason=Text(f"{moved.en} down from {past.en}", f"较前一期的 {past.zh} 下降 {moved.zh}"),
                )
            if rule.up is not None and share >= rule.up:
                return Departure(
                    direction="up",
                    reason=Text(f"{moved.en} up from {past.en}", f"较前一期的 {past.zh} 上升 {moved.zh}"),
                )
        case UsualWeekday():
            same = [series.get(at - timedelta(days=7 * weeks)) for weeks in range(1, rule.weeks + 1)]
            past_values = [each for each in same if each is not None]
            if len(past_values) < FEWEST_WEEKS:
                return None
            usual = median(past_values)
            deviation = max(NORMAL * median(abs(each - usual) for each in past_values), QUIETEST * abs(usual))
            far = abs(value - usual)
            if far <= rule.deviations * deviation:
                return None
            shown, day = _both(usual, unit), WEEKDAYS[at.weekday()]
            times = f"{far / deviation:.1f}" if deviation else "∞"
            return Departure(
                direction="down" if value < usual else "up",
                reason=Text(
                    f"{times} deviations from {shown.en}, the median of the last {len(past_values)} {day.en}s",
                    f"与近 {len(past_values)} 个{day.zh}的中位数 {shown.zh} 相差 {times} 倍偏差",
                ),
            )
        case _:
            assert_never(rule)
    return None


def _both(value: float, unit: str | None) -> Text:
    return Text(format_number(value, unit, "en"), format_number(value, unit, "zh"))
