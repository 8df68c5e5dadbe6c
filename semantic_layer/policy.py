"""Owns what a model file says of people's rights, as values: who asks, and which rows, columns and metrics a role may see.

Knows nothing of models, SQL dialects or where people are told apart. A model without policies is open to everybody; where there
are some, a role without one sees nothing, and of several policies for a role all must allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sqlglot import exp

Attribute = str | int | float | bool | date | tuple[str | int | float | bool | date, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Name who asks, as the door found out and never as a text claims: a role, and attributes for the row filters."""

    name: str
    role: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """Keep the rows of a dataset that meet a condition over its table's columns; its placeholders are the asker's attributes."""

    dataset: str
    condition: exp.Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Show an expression over its table's columns in the place of a column."""

    dataset: str
    dimension: str
    column: str
    shown: exp.Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Say what roles may see.

    No `rows` are all rows. `shared` names datasets and tables that the row filters leave whole; `hidden` pairs a dataset with a
    dimension or column. `metrics` are the only ones to be asked for, None means all; `withheld` are not, nor what is made of them.
    """

    roles: tuple[str, ...]
    rows: tuple[RowFilter, ...] = ()
    shared: tuple[str, ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()
    masks: tuple[Mask, ...] = ()
    metrics: tuple[str, ...] | None = None
    withheld: tuple[str, ...] = ()
    sql: bool = False
