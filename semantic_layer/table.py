"""Owns the result table: typed, labelled columns and plain rows. Knows nothing of how they were computed."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.text import Language, Text

Role = Literal["dimension", "time", "metric", "comparison", "change", "share", "count"]
Cell = str | int | float | bool | date | None

UNKNOWN = Text("unknown", "未知")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Describe one column: its role, how it is labelled and shown.

    Rates and shares are fractions with unit "%"; a "change" column is a relative change (unit "%") or, for rates, a
    difference in fractions (unit "pp", percentage points). `value_labels` names the raw values of a dimension;
    `metric` is the metric that a comparison, change or share belongs to.
    """

    name: str
    role: Role
    type: Literal["string", "number", "date", "time", "boolean"]
    label: Text
    unit: str | None = None
    additive: bool = False
    grain: Grain | None = None
    metric: str | None = None
    value_labels: tuple[tuple[Cell, Text], ...] = ()

    def shown(self, cell: Cell, language: Language) -> str:
        """Return a dimension's raw value in the asker's words."""
        if cell is None:
            return UNKNOWN.in_(language)
        for value, label in self.value_labels:
            if value == cell:
                return label.in_(language)
        return f"{cell:.1%}" if self.unit == "%" and isinstance(cell, float) else str(cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """Hold a result: rows in order, as plain Python values (numbers as int or float, empty as None).

    `incomplete` holds the first days of the time buckets that the period or the data cut short; `truncated` says that
    there were more rows than were fetched; `elapsed` is in seconds.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    incomplete: tuple[date, ...] = ()
    truncated: bool = False
    elapsed: float = 0.0

    def column(self, name: str) -> Column:
        """Return the column called `name`; KeyError if there is none."""
        return self.columns[self.index(name)]

    def index(self, name: str) -> int:
        """Return the position of the column called `name`; KeyError if there is none."""
        for position, column in enumerate(self.columns):
            if column.name == name:
                return position
        raise KeyError(name)

    def values(self, name: str) -> tuple[Cell, ...]:
        """Return the cells of one column, in row order."""
        position = self.index(name)
        return tuple(row[position] for row in self.rows)

    def with_role(self, *roles: Role) -> tuple[Column, ...]:
        """Return the columns that have one of the roles, in order."""
        return tuple(column for column in self.columns if column.role in roles)
