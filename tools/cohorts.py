"""Owns cohorts by the periods after entry as a result holds them: which are whole, what they come to at one period.

Knows nothing of sentences or charts.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from wenshu.semantic_layer.behaviour_keys import PERIOD_NUMBER
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.counts import counts_in, counts_of, keys_beside, label_at, period_unit, unripe_buckets

MILESTONES = (0, 1, 3, 7, 14, 21, 30, 45, 60, 75, 90, 120, 150, 180, 270, 365, 540, 730, 1000)
TOLD = (0, 1, 7, 30, 90, 180, 365)  # of which a sentence names a few


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Hold a metric's number at a period after entry, of how many users, and how many have not come so far."""

    value: float | None
    whole: int | None
    part: int | None
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Hold the points of one cohort by period; `keys` are its bucket and dimensions, `incomplete` says it is cut short."""

    keys: tuple[Cell, ...]
    points: dict[int, Point]
    incomplete: bool

    @property
    def size(self) -> int | None:
        """Return how many users entered."""
        return next((point.whole + point.left_out for point in self.points.values() if point.whole is not None), None)


def has_periods(table: ResultTable) -> bool:
    """Say whether a result has a row a period after entry."""
    return any(column.name == PERIOD_NUMBER for column in table.with_role("dimension"))


def is_retention(table: ResultTable, metric: Column) -> bool:
    """Say whether a metric is the share of a cohort that is still there, which is everybody at period 0."""
    return "retained" in counts_of(table, metric.name)


def cohorts_of(table: ResultTable, metric: Column) -> tuple[Cohort, ...]:
    """Return the cohorts of a metric, in order of appearance."""
    keys = keys_beside(table, PERIOD_NUMBER)
    found: dict[tuple[Cell, ...], dict[int, Point]] = {}
    for row in table.rows:
        period, value = row[table.index(PERIOD_NUMBER)], row[table.index(metric.name)]
        if not isinstance(period, int):
            continue
        counts = counts_in(row, table, metric)
        point = Point(
            value=float(value) if isinstance(value, int | float) else None,
            whole=counts.whole, part=counts.part, left_out=counts.left_out,
        )  # fmt: skip
        found.setdefault(tuple(row[table.index(key.name)] for key in keys), {})[period] = point
    timed = bool(keys) and keys[0].role == "time"
    return tuple(
        Cohort(keys=key, points=dict(sorted(points.items())), incomplete=timed and _is_cut(key[0], table.incomplete))
        for key, points in found.items()
    )


def _is_cut(bucket: Cell, incomplete: tuple[date, ...]) -> bool:
    return (bucket.date() if isinstance(bucket, datetime) else bucket) in incomplete


def periods_of(cohorts: tuple[Cohort, ...]) -> tuple[int, ...]:
    """Return the periods at which any cohort has a number."""
    return tuple(sorted({at for cohort in cohorts for at, point in cohort.points.items() if point.value is not None}))


def common_period(cohorts: tuple[Cohort, ...]) -> int | None:
    """Return the last period that at least two cohorts, and half of the whole ones, have come to with every user."""
    whole = [cohort for cohort in cohorts if not cohort.incomplete]
    for period in reversed(periods_of(cohorts)):
        there = [cohort for cohort in whole if is_mature(cohort, period)]
        if len(there) >= max(2, len(whole) / 2):
            return period
    return None


def is_mature(cohort: Cohort, period: int) -> bool:
    """Say whether every user of a cohort has come to a period."""
    point = cohort.points.get(period)
    return point is not None and point.value is not None and point.left_out == 0


def table_at(table: ResultTable, period: int) -> ResultTable:
    """Return the rows of one period without that key, each metric labelled for it; buckets not mature there are incomplete."""
    index, column = table.index(PERIOD_NUMBER), table.column(PERIOD_NUMBER)
    last = max((cell for cell in table.values(PERIOD_NUMBER) if isinstance(cell, int)), default=period)
    unit = period_unit(column)
    columns = tuple(
        replace(other, label=label_at(other.label, last, period, unit)) if other.role == "metric" else other
        for other in table.columns
        if other is not column
    )
    rows = [row for row in table.rows if row[index] == period]
    narrowed = replace(table, columns=columns, rows=tuple(row[:index] + row[index + 1 :] for row in rows))
    return replace(narrowed, incomplete=tuple(dict.fromkeys((*table.incomplete, *unripe_buckets(narrowed)))))


def curve_label(table: ResultTable, metric: Column) -> Text:
    """Return what a metric is called over all periods: day-N retention."""
    last = max((cell for cell in table.values(PERIOD_NUMBER) if isinstance(cell, int)), default=0)
    return label_at(metric.label, last, "N", period_unit(table.column(PERIOD_NUMBER)))
