"""Owns what the numbers of a result say: readings, extremes, totals and changes. Knows nothing of words or languages.

Only what holds for any metric is computed here: differences, ratios of positive numbers, sums of additive metrics.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wenshu.semantic_layer.table import Cell, Column, ResultTable, Role
from wenshu.tools.counts import NO_COUNTS, Counts, counts_in

RATES = ("%", "pp")
BEYOND_MEANING = 1e100  # so that no sum or difference overflows


def number(cell: Cell) -> int | float | None:
    """Return a cell as a number that can be compared and written, or None."""
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    return cell if abs(cell) < BEYOND_MEANING else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Hold one metric's number for one group or bucket, named by `keys`.

    `change` is a fraction for `change_unit` "%", a difference of fractions for "pp" and else a difference in the
    metric's own unit, which stands where the number compared with is not positive. `counts` are those beside the metric.
    """

    keys: tuple[Cell, ...] = ()
    value: int | float | None
    previous: int | float | None = None
    change: float | None = None
    change_unit: str | None = None
    share: float | None = None
    counts: Counts = NO_COUNTS


def read(
    value: Cell,
    previous: Cell,
    unit: str | None,
    *,
    keys: tuple[Cell, ...] = (),
    change: Cell = None,
    change_unit: str | None = None,
    share: Cell = None,
    counts: Counts = NO_COUNTS,
) -> Reading:
    """Return a reading with its change from `previous`: the one given if it is of the right kind, else the derived one.

    >>> read(120, 100, None).change_unit, read(0.25, 0.2, "%").change_unit, read(5.0, 0, "CNY").change
    ('%', 'pp', 5.0)
    """
    now, before, given = number(value), number(previous), number(change)
    kind: str | None = "pp" if unit in RATES else "%"
    if given is not None and change_unit != kind:
        given = None
    if now is None:
        kind, given = None, None
    elif before is not None and kind == "pp":
        given = now - before if given is None else given
    elif before is not None and before > 0:
        given = number(now / before - 1) if given is None else given
    elif before is not None:
        kind, given = unit, now - before
    return Reading(
        keys=keys,
        value=now,
        previous=before,
        change=given,
        change_unit=None if given is None else kind,
        share=number(share),
        counts=counts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Hold a metric's column with the columns that belong to it."""

    column: Column
    comparison: Column | None = None
    change: Column | None = None
    share: Column | None = None

    @property
    def compared(self) -> bool:
        return self.comparison is not None or self.change is not None

    @property
    def additive(self) -> bool:
        return self.column.additive and self.column.unit not in RATES

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of its columns, its own first."""
        return tuple(column.name for column in (self.column, self.comparison, self.change, self.share) if column)

    def number_in(self, name: str | None) -> Literal["value", "change", "share"]:
        """Return which number of a reading the column called `name` holds."""
        if self.change is not None and self.change.name == name:
            return "change"
        return "share" if self.share is not None and self.share.name == name else "value"


def measures_of(table: ResultTable) -> tuple[Measure, ...]:
    """Return the metrics of a table in order; its counts where it has no metric."""

    def companion(metric: Column, role: Role) -> Column | None:
        return next((column for column in table.with_role(role) if column.metric == metric.name), None)

    return tuple(
        Measure(
            column=metric,
            comparison=companion(metric, "comparison"),
            change=companion(metric, "change"),
            share=companion(metric, "share"),
        )
        for metric in table.with_role("metric") or table.with_role("count")
    )


def readings_of(table: ResultTable, measure: Measure, keys: tuple[Column, ...]) -> tuple[Reading, ...]:
    """Return one reading a row, in row order, named by the cells of `keys`."""
    positions = {column.name: position for position, column in enumerate(table.columns)}

    def cell(row: tuple[Cell, ...], column: Column | None) -> Cell:
        return None if column is None else row[positions[column.name]]

    return tuple(
        read(
            cell(row, measure.column),
            cell(row, measure.comparison),
            measure.column.unit,
            keys=tuple(cell(row, key) for key in keys),
            change=cell(row, measure.change),
            change_unit=measure.change.unit if measure.change else None,
            share=cell(row, measure.share),
            counts=counts_in(row, table, measure.column),
        )
        for row in table.rows
    )


def valued(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Return the readings that have a number."""
    return tuple(reading for reading in readings if reading.value is not None)


def ranked(readings: Iterable[Reading], by: str = "value", *, least: bool = False) -> tuple[Reading, ...]:
    """Return the readings that have the number called `by`, the highest first, or the lowest."""
    having = [reading for reading in readings if getattr(reading, by) is not None]
    return tuple(sorted(having, key=lambda reading: getattr(reading, by), reverse=not least))


def first_ones(readings: tuple[Reading, ...], by: str = "value") -> tuple[Reading, ...]:
    """Return the readings that tie for the first place of a ranking."""
    return tuple(reading for reading in readings if getattr(reading, by) == getattr(readings[0], by))


def total(readings: Iterable[Reading]) -> float | None:
    """Return the sum of an additive metric over its groups, None without any number."""
    values = [reading.value for reading in readings if reading.value is not None]
    return math.fsum(values) if values else None


def collapsed(readings: Iterable[Reading], positions: tuple[int, ...]) -> tuple[Reading, ...]:
    """Return an additive metric summed over all keys but those at `positions`, in order of appearance."""
    groups: dict[tuple[Cell, ...], list[Reading]] = {}
    for reading in readings:
        groups.setdefault(tuple(reading.keys[position] for position in positions), []).append(reading)
    return tuple(Reading(keys=keys, value=total(members)) for keys, members in groups.items())


def divisible(readings: Iterable[Reading]) -> float | None:
    """Return the sum that shares may be taken of; None where negative numbers or an empty sum give them no meaning."""
    values = [reading.value for reading in readings if reading.value is not None]
    whole = math.fsum(values)
    return whole if values and min(values) >= 0 and whole > 0 else None
