"""Owns a bound source as a value: one dataset with its joins, group keys, conditions and aggregates, and its SELECT.

Knows nothing of names or models' words; the binder makes sources, the compiler writes them down.
"""

from dataclasses import dataclass

from sqlglot import exp

from wenshu.semantic_layer.metrics import Aggregate, Behaviour, Funnel
from wenshu.semantic_layer.model import Dataset
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.sql_tree import join, named, select_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Join `dataset` to the datasets before it; `doubles` says that it may repeat their rows.

    `keeps_matches` drops the rows that have none, such as users without a tier where tiers are the groups.
    """

    dataset: Dataset
    left: str
    columns: tuple[tuple[str, str], ...]
    doubles: bool
    keeps_matches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """Name one aggregate column of a source; `filters` is what the metrics around it keep.

    For a behavioural metric, `aggregate` is the one whose rows it starts from.
    """

    column: str
    aggregate: Aggregate
    filters: Filter | None
    behaviour: Behaviour | None = None

    @property
    def datasets(self) -> tuple[str, ...]:
        """Return the datasets whose rows it starts from."""
        starts = self.behaviour.entries if isinstance(self.behaviour, Funnel) else (self.aggregate,)
        return tuple(rows.dataset for rows in starts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Hold one dataset with its joins, group keys, condition and aggregates: one SELECT … GROUP BY.

    `keys` pairs each result column with its expression; `where` are conditions that all must hold. A behavioural
    metric gives its SELECT and the CTEs `before` it instead, and `name` for it.
    """

    dataset: Dataset
    joins: tuple[Join, ...]
    keys: tuple[tuple[str, exp.Expr], ...]
    where: tuple[exp.Expr, ...]
    aggregates: tuple[tuple[str, exp.Expr], ...]
    before: tuple[tuple[str, exp.Query], ...] = ()
    select: exp.Select | None = None
    name: str | None = None


def source_select(source: Source) -> exp.Select:
    """Return one source as SELECT keys, aggregates FROM dataset and joins WHERE … GROUP BY keys."""
    if source.select is not None:
        return source.select
    columns = (named(expression, name) for name, expression in (*source.keys, *source.aggregates))
    select = select_from(_relation(source.dataset), columns)
    for step in source.joins:
        on = [
            exp.EQ(this=exp.column(left, table=step.left), expression=exp.column(right, table=step.dataset.name))
            for left, right in step.columns
        ]
        join(select, _relation(step.dataset), "INNER" if step.keeps_matches else "LEFT", on)
    if source.where:
        select = select.where(*source.where, copy=False)
    if source.keys and source.aggregates:
        select = select.group_by(*(exp.Literal.number(i + 1) for i in range(len(source.keys))), copy=False)
    return select


def _relation(dataset: Dataset) -> exp.Expr:
    if isinstance(dataset.source, str):
        return exp.table_(dataset.source, alias=None if dataset.source == dataset.name else dataset.name)
    return dataset.source.subquery(dataset.name)
