"""Owns the numbers that may be said of a result: its cells, and what derives from them by a named rule.

Every fact knows the rule it comes from and, where it is a change or a gap, which way it goes. Knows nothing of sentences.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.tools.number_format import CURRENCY_SIGNS
from wenshu.tools.prose_numbers import Form
from wenshu.tools.readings import RATES, number

Rule = Literal["cell", "difference", "change", "ratio", "share", "total", "mean", "rank", "count", "top share", "unit"]
OTHER_UNITS = {"hour": (("minute", "分钟", 60.0), ("day", "天", 1 / 24)), "day": (("hour", "小时", 24.0), ("week", "周", 1 / 7)), "minute": (("second", "秒", 60.0), ("hour", "小时", 1 / 60))}


@dataclass(frozen=True, slots=True)
class Fact:
    """Hold one number that may be said, as it is written (percent as 28.3); `column` is the position of its column."""

    rule: Rule
    forms: tuple[Form, ...]
    value: float
    column: int = -1
    directed: bool = False
    unit: str = ""  # words that must follow, where the number is written in another unit than the column's


class Facts:
    """Derive what may be said of a table; `whole` says that its rows are all the groups there are."""

    def __init__(self, table: ResultTable, *, whole: bool = True) -> None:
        self.table = table
        self.whole = whole and not table.truncated
        self.columns = tuple(i for i, c in enumerate(table.columns) if c.role not in ("dimension", "time"))
        self.is_series = any(c.role == "time" for c in table.columns)

    def number(self, row: int, column: int) -> float | None:
        return number(self.table.rows[row][column])

    @cached_property
    def numbers(self) -> dict[int, tuple[float, ...]]:
        """Return the numbers of each measured column, the empty cells left out."""
        rows = range(len(self.table.rows))
        return {i: tuple(n for r in rows if (n := self.number(r, i)) is not None) for i in self.columns}

    def of_row(self, row: int, among: Sequence[int], *, to_mean: bool = False) -> Iterator[Fact]:
        """Yield what may be said of one row alone: its cells, shares, ranks and changes, and with `to_mean` how it stands to the mean."""
        for i in among:
            value = self.number(row, i)
            if value is None:
                continue
            column, others = self.table.columns[i], self.numbers[i]
            yield from _cell(column, i, value)
            yield Fact("rank", ("rank",), 1 + sum(other > value for other in others), i)
            yield Fact("rank", ("rank",), -1 - sum(other < value for other in others), i)  # counted from below
            if self._adds_up(i) and (total := math.fsum(others)):
                yield Fact("share", ("percent",), value / total * 100, i)
            if to_mean and len(others) > 1:
                yield from self.between(value, math.fsum(others) / len(others), i)
            previous = next((j for j in self.columns if self.table.columns[j].role == "comparison" and self.table.columns[j].metric == column.name), None)
            if previous is not None and (before := self.number(row, previous)) is not None:
                yield from self.between(value, before, i)

        yield from self._between_counts(row)

    def _between_counts(self, row: int) -> Iterator[Fact]:
        """Yield the differences between the counts beside one metric: who of a cohort did not come back."""
        counts = [i for i in self.columns if self.table.columns[i].role == "count"]
        for i in counts:
            for j in counts:
                one, other = self.number(row, i), self.number(row, j)
                same = self.table.columns[i].metric == self.table.columns[j].metric and self.table.columns[i].unit == self.table.columns[j].unit
                if same and one is not None and other is not None and one > other:
                    yield Fact("difference", ("plain",), one - other, i)

    def of_group(self, rows: Sequence[int], position: int, among: Sequence[int]) -> Iterator[Fact]:
        """Yield what may be said of several rows that share a key at `position`: their sum, and its share."""
        for i in among:
            if self._adds_up(i) and (total := math.fsum(self.numbers[i])):
                value = math.fsum(self.number(row, i) or 0.0 for row in rows)
                yield from (Fact("total", f.forms, f.value, i) for f in _cell(self.table.columns[i], i, value))
                yield Fact("share", ("percent",), value / total * 100, i)
                sums = self._sums(position, i).values()
                for extreme in (min(sums), max(sums)):
                    yield from self.between(value, extreme, i)

    def _sums(self, position: int, i: int) -> dict[object, float]:
        sums: dict[object, float] = {}
        for row in range(len(self.table.rows)):
            key = self.table.rows[row][position]
            sums[key] = sums.get(key, 0.0) + (self.number(row, i) or 0.0)
        return sums

    def of_rows(self, first: int, second: int, among: Sequence[int]) -> Iterator[Fact]:
        """Yield what may be said of one row against another."""
        for i in among:
            one, other = self.number(first, i), self.number(second, i)
            if one is not None and other is not None:
                yield from self.between(one, other, i)

    def between(self, one: float, other: float, i: int) -> Iterator[Fact]:
        """Yield the difference, relative change and ratio of two numbers of a column."""
        column = self.table.columns[i]
        if column.unit in RATES:
            yield Fact("difference", ("points",), (one - other) * 100, i, directed=True)
        else:
            yield Fact("difference", _forms(column), one - other, i, directed=True)
        if other > 0 and column.role != "change":
            yield Fact("change", ("percent",), (one / other - 1) * 100, i, directed=True)
            yield Fact("ratio", ("times",), one / other, i)
            if one < other:
                yield Fact("ratio", ("percent",), one / other * 100, i)
        if one > 0 and column.role != "change":
            yield Fact("ratio", ("times",), other / one, i)

    def of_all(self, among: Sequence[int]) -> Iterator[Fact]:
        """Yield what may be said of the table as a whole."""
        rows = len(self.table.rows)
        yield Fact("count", ("plain", "top", "rank"), rows)
        for position, column in enumerate(self.table.columns):
            if column.role in ("dimension", "time"):
                yield Fact("count", ("plain",), len({row[position] for row in self.table.rows}))
        for i in among:
            column, values = self.table.columns[i], self.numbers[i]
            if not values:
                continue
            for extreme in {min(values), max(values)}:
                yield from _cell(column, i, extreme)
            yield from self.between(max(values), min(values), i)
            for mark in (0.0, math.fsum(values) / len(values)):
                for count in (sum(v > mark for v in values), sum(v < mark for v in values)):
                    yield Fact("count", ("plain",), count, i)
            yield from (Fact(f.rule if f.rule != "cell" else "mean", f.forms, f.value, i) for f in _cell(column, i, math.fsum(values) / len(values)))
            if self._adds_up(i):
                total = math.fsum(values)
                yield from (Fact("total", f.forms, f.value, i) for f in _cell(column, i, total))
                ordered = sorted(values, reverse=True)
                for k in range(1, len(ordered)):
                    if total:
                        yield Fact("top share", ("percent",), math.fsum(ordered[:k]) / total * 100, i)
                    yield from (Fact("total", f.forms, f.value, i) for f in _cell(column, i, math.fsum(ordered[:k])))
        for k in range(1, rows + 1):
            yield Fact("count", ("top",), k)

    def is_extreme(self, rows: Sequence[int], position: int, i: int, *, least: bool) -> bool:
        """Say whether a row, or the rows that share a key at `position`, have the highest, or lowest, number of a column."""
        if len(rows) > 1:
            sums, key = self._sums(position, i), self.table.rows[rows[0]][position]
            return self._adds_up(i) and sums[key] == (min if least else max)(sums.values())
        value, extreme = self.number(rows[0], i), min if least else max
        return value is not None and value in (extreme(self.numbers[i]), extreme(self._complete(i), default=None))

    def _complete(self, i: int) -> tuple[float, ...]:
        """Return a column's numbers without the buckets that the period cuts short."""
        cut = set(self.table.incomplete)
        rows = (r for r, row in enumerate(self.table.rows) if not cut.intersection(row))
        return tuple(n for r in rows if (n := self.number(r, i)) is not None)

    def _adds_up(self, i: int) -> bool:
        column = self.table.columns[i]
        adds_up = self.whole and (column.additive or column.role == "count")
        return adds_up and column.unit not in RATES and min(self.numbers[i], default=-1) >= 0


def _cell(column: Column, i: int, value: float) -> Iterator[Fact]:
    directed = column.role == "change"
    if column.unit in RATES:
        form: Form = "points" if column.unit == "pp" else "percent"
        yield Fact("cell", (form,), value * 100, i, directed=directed)
    else:
        yield Fact("cell", _forms(column), value, i, directed=directed)
        for en, zh, factor in OTHER_UNITS.get(column.unit or "", ()):
            yield Fact("unit", ("plain",), value * factor, i, unit=f"{en}|{zh}")


def _forms(column: Column) -> tuple[Form, ...]:
    return ("money", "plain") if column.unit in CURRENCY_SIGNS else ("plain",)
