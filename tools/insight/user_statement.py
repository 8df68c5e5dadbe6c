"""Owns statements of an analysis's own over rows of users: bound by the model, put together from named parts.

The parts come from the binder (joins, filters, users), the frame from fixed SQL with `:names` for what is asked;
values become literals of the tree. Knows no analysis.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import sqlglot
from sqlglot import exp

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.conditions import literal
from wenshu.semantic_layer.grant import permit
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter, Query
from wenshu.semantic_layer.row_scope import RowColumn
from wenshu.semantic_layer.sources import Leaf, source_select
from wenshu.semantic_layer.sql_tree import with_ctes
from wenshu.semantic_layer.table import Cell, Column
from wenshu.semantic_layer.text import same
from wenshu.semantic_layer.user_rows import moment_of, value_of
from wenshu.tools.insight.insight import Inquiry

HAPPENED = {"happened_at": moment_of}
AMOUNT = {"happened_at": moment_of, "amount": value_of}


@dataclass(frozen=True, slots=True)
class UserRows:
    """Bind rows of users for one inquiry, up to its last complete day."""

    inquiry: Inquiry
    binder: Binder

    @property
    def history(self) -> DateRange:
        return DateRange(date(1900, 1, 1), self.inquiry.as_of)

    def permit(self, *metrics: str, dimensions: tuple[str, ...] = (), filters: Filter | None = None) -> None:
        """Refuse what is withheld from the asker."""
        permit(Query(metrics=metrics, dimensions=dimensions, filters=filters), self.inquiry.model)

    def of(
        self, aggregate: Aggregate, columns: Mapping[str, RowColumn], *, dimensions: tuple[str, ...] = (),
        period: DateRange | None = None, filters: Filter | None = None, keyed: bool = False,
    ) -> exp.Select:  # fmt: skip
        """Return an aggregate's rows: user_id, the columns made of each, and dimensions; `keyed` adds the row's key."""
        given = dict(columns) | ({"row_key": self.binder.row_key(aggregate)} if keyed else {})
        leaf = Leaf(column=aggregate.name, aggregate=aggregate, filters=aggregate.filters)
        return source_select(self.binder.rows(leaf, given, dimensions, None, period or self.history, filters))

    def statement(self, sql: str, parts: Mapping[str, exp.Query], **values: object) -> exp.Query:
        """Return fixed SQL that reads named parts only, with `:name` standing for a value; a part never hides a table."""
        tree = sqlglot.parse_one(sql, dialect="duckdb")
        assert isinstance(tree, exp.Query)
        literals = {name: value if isinstance(value, exp.Expr) else literal(value) for name, value in values.items()}
        for node in tree.find_all(exp.Table):  # each is a part
            if not node.alias:
                node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name)))
            node.set("this", exp.to_identifier(self._name(node.name)))
        tree = exp.replace_placeholders(tree, **literals)
        assert isinstance(tree, exp.Select)
        return with_ctes(tree, [(self._name(name), part) for name, part in parts.items()])

    def _name(self, part: str) -> str:
        return f"{part}_here" if part in self.inquiry.layer.tables else part


def user_rows(inquiry: Inquiry) -> UserRows:
    """Return what binds rows of users for an inquiry."""
    binder = Binder(inquiry.model, inquiry.as_of, inquiry.layer.profile.complete)
    coverage = inquiry.layer.coverage
    binder.period, binder.data_start = DateRange(min(coverage.start, inquiry.as_of), inquiry.as_of), coverage.start
    return UserRows(inquiry, binder)


def plain_columns(*names: str) -> tuple[Column, ...]:
    """Return columns without a meaning for people, for what an analysis reads itself."""
    return tuple(Column(name=name, role="metric", type="number", label=same(name)) for name in names)


def real(cell: Cell) -> float:
    """Return a number of a result as a float, 0 where there is none."""
    return float(cell) if isinstance(cell, int | float) else 0.0

