"""Owns what behavioural metrics are made of: rows of users bound by the binder, dates and counts over them, CTEs by name.

Knows no metric: each topic (cohorts, repurchase, funnels, lifecycle, averages) puts these parts together in its own module.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from sqlglot import exp

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.conditions import date_literal
from wenshu.semantic_layer.periods import MONTHS, DateRange, Grain, add_months
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.row_scope import Row, RowColumn
from wenshu.semantic_layer.sources import Leaf, Source, source_select
from wenshu.semantic_layer.sql_tree import named, select_from
from wenshu.semantic_layer.time_parts import bucket_expression

Shift = Callable[[exp.Expr], exp.Expr]
Parts = list[tuple[str, exp.Select]]  # named CTEs; the last SELECT, of the counts by the keys, has no name
col = exp.column


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Hold what a behavioural metric is asked for: by which keys, over which rows, and how its CTEs are called."""

    binder: Binder
    dimensions: tuple[str, ...]
    own_key: str | None
    grain: Grain | None
    period: DateRange
    to_date: Grain | None
    filters: Filter | None
    shift: Shift | None
    prefix: str
    taken: frozenset[str]

    @property
    def keys(self) -> tuple[str, ...]:
        return ((str(self.grain),) if self.grain else ()) + self.dimensions

    @property
    def history(self) -> DateRange:
        """Return the dates from the first that any row can have to the period's end."""
        return DateRange(date(1900, 1, 1), max(self.period.end, date(1900, 1, 1)))

    def cte(self, name: str) -> str:
        """Return the name of a CTE, apart from those of other metrics and from every table's."""
        full = f"{self.prefix}{name}"
        return f"{full}_of_users" if full in self.taken else full

    def keyed_source(self, leaf: Leaf, columns: dict[str, RowColumn], period: DateRange | None) -> Source:
        """Bind the rows that meet the filters, as user_id, the columns and the keys."""
        return self.binder.rows(leaf, columns, self.dimensions, self.grain, period, self.filters, self.shift)

    def keyed_rows(self, leaf: Leaf, columns: dict[str, RowColumn], period: DateRange | None) -> exp.Select:
        return source_select(self.keyed_source(leaf, columns, period))

    def flagged_rows(self, leaf: Leaf, columns: dict[str, RowColumn], period: DateRange) -> exp.Select:
        """Return all rows in a user's order to be, with the keys, row_key and is_kept: whether they meet the filters.

        What is first or next among a user's rows must be known before the filters drop any.
        """
        binder = self.binder
        flags = {"row_key": binder.row_key(leaf.aggregate), "is_kept": binder.kept(self.filters)}
        rows = binder.rows(leaf, columns | flags, self.dimensions, self.grain, period, None, self.shift)
        return source_select(rows)

    def plain_rows(self, leaf: Leaf, columns: dict[str, RowColumn], period: DateRange | None) -> exp.Select:
        """Return rows without keys and filters: what the users did elsewhere."""
        return source_select(self.binder.rows(leaf, columns, (), None, period, None))

    def first_rows(self, leaf: Leaf, columns: dict[str, RowColumn], name: str, until: DateRange) -> Parts:
        """Return each user's first row of all, by its time (started_at) and then its key, as the CTE `name` with is_kept."""
        columns = columns | {"started_at": moment_of}
        if not self.keys and self.filters is None:
            *parts, (cte, firsts) = self._earliest(self.plain_rows(leaf, columns, until), tuple(columns), name)
            return [*parts, (cte, firsts.select(named(exp.true(), "is_kept"), copy=False))]
        return self._numbered(self.flagged_rows(leaf, columns, until), "started_at", name)

    def first_kept_rows(self, leaf: Leaf, columns: dict[str, RowColumn], order: str, name: str) -> Parts:
        """Return each user's first row of the period that meets the filters, by a column and then the row's key."""
        if not self.keys:
            return self._earliest(self.keyed_rows(leaf, columns, self.period), tuple(columns), name)
        key = self.binder.row_key(leaf.aggregate)
        return self._numbered(self.keyed_rows(leaf, columns | {"row_key": key}, self.period), order, name)

    def _numbered(self, rows: exp.Select, order: str, name: str) -> Parts:
        all_rows = self.cte(f"{name}_rows")
        first = select_from(all_rows, [exp.Star()]).qualify(is_one(in_order(exp.RowNumber(), order)), copy=False)
        return [(all_rows, rows), (self.cte(name), first)]

    def _earliest(self, rows: exp.Select, times: tuple[str, ...], name: str) -> Parts:
        all_rows = self.cte(f"{name}_rows")
        first = select_from(all_rows, [col("user_id"), *(named(exp.Min(this=col(time)), time) for time in times)])
        return [(all_rows, rows), (self.cte(name), grouped(first, ("user_id",)))]


# columns of a row --------------------------------------------------------------------------------------------------------


def day_of(row: Row) -> exp.Expr:
    return exp.cast(row.time.copy(), "DATE")


def moment_of(row: Row) -> exp.Expr:
    return exp.cast(row.time.copy(), "TIMESTAMP")


def value_of(row: Row) -> exp.Expr:
    return row.value.copy()


def unit_of(unit: Grain) -> RowColumn:
    """Return the column of the first day of a row's day, week or month, or of its hour."""
    return lambda row: bucket_expression(row.time.copy(), unit)


# dates -------------------------------------------------------------------------------------------------------------------


def later(start: exp.Expr, number: int | exp.Expr, unit: Grain = Grain.DAY) -> exp.Expr:
    """Return the moment `number` units after another."""
    name = "HOUR" if unit is Grain.HOUR else "MONTH" if unit in MONTHS else "DAY"
    size = 7 if unit is Grain.WEEK else MONTHS.get(unit, 1)
    if isinstance(number, int):
        span: exp.Expr = exp.Interval(this=exp.Literal.string(str(number * size)), unit=exp.var(name))
    else:
        one = exp.Interval(this=exp.Literal.string(str(size)), unit=exp.var(name))
        span = exp.Mul(this=number, expression=one)
    return exp.Add(this=start, expression=span)


def unit_later(start: exp.Expr, number: int | exp.Expr, unit: Grain = Grain.DAY) -> exp.Expr:
    """Return the first day, or hour, of the unit `number` units after one."""
    moment = later(start, number, unit)
    return moment if unit is Grain.HOUR else exp.cast(moment, "DATE")


def units_between(earlier: exp.Expr, later: exp.Expr, unit: Grain = Grain.DAY) -> exp.Expr:
    """Return how many calendar units `later` is after `earlier`."""
    return exp.DateDiff(this=later, expression=earlier, unit=exp.var(str(unit).upper()))


def microseconds_between(earlier: exp.Expr, later: exp.Expr) -> exp.Expr:
    first, last = (exp.Anonymous(this="EPOCH_US", expressions=[moment]) for moment in (earlier, later))
    return exp.Sub(this=last, expression=first)


def spans_between(earlier: exp.Expr, later: exp.Expr) -> exp.Expr:
    """Return how many whole spans of 24 hours lie between two moments, the later one not before the other."""
    passed = exp.paren(microseconds_between(earlier, later), copy=False)
    return exp.IntDiv(this=passed, expression=exp.Literal.number(86_400_000_000))


def date_later(day: date, units: int, unit: Grain = Grain.DAY) -> date:
    """Return the date `units` after another, or the last there is."""
    try:
        if unit in MONTHS:
            return add_months(day, units * MONTHS[unit])
        if unit is Grain.HOUR:
            return day + timedelta(days=math.ceil(units / 24))
        return day + timedelta(days=units * (7 if unit is Grain.WEEK else 1))
    except (OverflowError, ValueError):
        return date.max


def is_over(asked: Asked, start: exp.Expr, number: int | exp.Expr, unit: Grain = Grain.DAY) -> exp.Expr:
    """Return the condition that unit `number` after `start` is over by the last complete day.

    A start that is a day or the first of a unit has whole units after it, a moment has spans of 24 hours.
    """
    end = date_later(asked.binder.as_of, 1)
    if isinstance(number, int):  # the last start that is over, as a literal
        return exp.LTE(this=start, expression=date_literal(date_later(end, -number - 1, unit)))
    following = exp.paren(exp.Add(this=number, expression=whole(1)))
    return exp.LTE(this=later(start, following, unit), expression=date_literal(end))


def inside(period: DateRange, column: str) -> exp.Expr:
    return exp.Between(this=col(column), low=date_literal(period.start), high=date_literal(period.end))


# counts and keys ---------------------------------------------------------------------------------------------------------


def whole(value: int) -> exp.Expr:
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))


def only(fold: exp.Expr, condition: exp.Expr) -> exp.Expr:
    """Return an aggregate of the rows that meet a condition."""
    return exp.Filter(this=fold, expression=exp.Where(this=condition))


def count_of(condition: exp.Expr | None = None, of: exp.Expr | None = None) -> exp.Expr:
    counted = exp.Count(this=of if of is not None else exp.Star())
    return only(counted, condition) if condition is not None else counted


def sum_of(value: exp.Expr, condition: exp.Expr | None = None) -> exp.Expr:
    summed: exp.Expr = exp.Sum(this=value)
    return exp.Coalesce(this=only(summed, condition) if condition is not None else summed, expressions=[whole(0)])


def negated(condition: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.paren(condition))


def is_present(column: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.Is(this=column, expression=exp.null()))


def is_one(place: exp.Expr) -> exp.Expr:
    return exp.EQ(this=place, expression=whole(1))


MOST_BITS = 62  # buckets or periods that a BIGINT holds, one bit each


def bits_of(place: exp.Expr) -> exp.Expr:
    """Return the number whose bits say which places occur in a group's rows."""
    one = exp.cast(whole(1), "BIGINT")
    return exp.BitwiseOrAgg(this=exp.BitwiseLeftShift(this=one, expression=place))


def has_bit(bits: str, place: exp.Expr) -> exp.Expr:
    """Return the condition that a place occurs."""
    shifted = exp.paren(exp.BitwiseRightShift(this=col(bits), expression=place), copy=False)
    return exp.EQ(this=exp.BitwiseAnd(this=shifted, expression=whole(1)), expression=whole(1))


def in_order(function: exp.Expr, moment: str) -> exp.Expr:
    """Return a window function over a user's rows in the order of a moment and then of the row's key."""
    order = exp.Order(expressions=[exp.Ordered(this=col(moment)), exp.Ordered(this=col("row_key"))])
    return exp.Window(this=function, partition_by=[col("user_id")], order=order)


def grouped(select: exp.Select, keys: tuple[str, ...]) -> exp.Select:
    """Group by the first columns of `select`, as many as there are keys."""
    return select.group_by(*(exp.Literal.number(i + 1) for i in range(len(keys))), copy=False) if keys else select


def columns(names: Iterable[str], table: str | None = None) -> list[exp.Expr]:
    return [col(name, table=table) for name in names]


def equal(left: str, right: str, names: Iterable[str]) -> list[exp.Expr]:
    return [exp.EQ(this=col(name, table=left), expression=col(name, table=right)) for name in names]


def equal_keys(left: str, right: str, names: Iterable[str]) -> list[exp.Expr]:
    """Return the conditions that two rows have the same keys, of which any may be missing."""
    return [exp.NullSafeEQ(this=col(name, table=left), expression=col(name, table=right)) for name in names]


def unnested(values: Iterable[exp.Expr], name: str) -> exp.Expr:
    """Return the column that makes one row for each of the values."""
    return named(exp.Explode(this=exp.Array(expressions=list(values))), name)
