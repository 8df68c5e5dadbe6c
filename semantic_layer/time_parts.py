"""Owns what can be taken out of a time: the bucket of a grain, the hour of day, the weekday. Knows nothing of queries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.text import Text

WEEKDAYS = (
    Text("Mon", "周一"), Text("Tue", "周二"), Text("Wed", "周三"), Text("Thu", "周四"), Text("Fri", "周五"), Text("Sat", "周六"), Text("Sun", "周日"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePart:
    """Describe a property of a row's time that every dated dataset has."""

    name: str
    label: Text
    type: Literal["number", "string"]
    expression: Callable[[exp.Expr], exp.Expr]
    values: tuple[tuple[str | int, Text], ...] = ()


def _hour(time: exp.Expr) -> exp.Expr:
    return exp.Extract(this=exp.var("HOUR"), expression=time)


def _weekday(time: exp.Expr) -> exp.Expr:
    return exp.DayOfWeekIso(this=time)


def _day_type(time: exp.Expr) -> exp.Expr:
    weekend = exp.GTE(this=_weekday(time), expression=exp.Literal.number(6))
    return exp.Case().when(weekend, exp.Literal.string("weekend")).else_(exp.Literal.string("weekday"))


TIME_PARTS = {
    part.name: part
    for part in (
        TimePart(name="hour_of_day", label=Text("hour of day", "小时"), type="number", expression=_hour),
        TimePart(
            name="weekday", label=Text("weekday", "星期"), type="number", expression=_weekday,
            values=tuple((number, label) for number, label in enumerate(WEEKDAYS, start=1)),
        ),
        TimePart(
            name="day_type", label=Text("weekday or weekend", "工作日/周末"), type="string", expression=_day_type,
            values=(("weekday", Text("weekdays (Mon–Fri)", "工作日（周一至周五）")), ("weekend", Text("weekends (Sat, Sun)", "周末（周六、周日）"))),
        ),
    )
}  # fmt: skip


def bucket_expression(time: exp.Expr, grain: Grain) -> exp.Expr:
    """Return the start of the bucket that holds `time`: a timestamp for hours, else a date."""
    if grain is Grain.DAY:
        return exp.cast(time, "DATE")
    truncated = exp.TimestampTrunc(this=time, unit=exp.var(str(grain).upper()))
    return truncated if grain is Grain.HOUR else exp.cast(truncated, "DATE")


def shifted(time: exp.Expr, *, days: int = 0, months: int = 0) -> exp.Expr:
    """Return `time` moved forward by whole days or calendar months."""
    number, unit = (months, "MONTH") if months else (days, "DAY")
    return exp.Add(this=time, expression=exp.Interval(this=exp.Literal.string(str(number)), unit=exp.var(unit)))
