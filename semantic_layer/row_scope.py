"""Owns the joins that one source needs, collected while its expressions are bound. Knows nothing of filters or grouping."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.model import Dimension
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.refusals import no_relationship
from wenshu.semantic_layer.sources import Join, Source

if TYPE_CHECKING:
    from wenshu.semantic_layer.binder import Binder


class Scope:
    """Collect the joins one source needs while its expressions are bound."""

    def __init__(self, binder: "Binder", aggregate: Aggregate, period: DateRange | None = None) -> None:
        self.binder, self.aggregate = binder, aggregate
        self.period = period or binder.period
        self.joins: list[Join] = []

    def join(self, joins: Iterable[Join]) -> None:
        for step in joins:
            if all(step.dataset.name != done.dataset.name for done in self.joins):
                self.joins.append(step)

    def keep_segments(self) -> None:
        """Make the joins to segments, which are groups now, drop the rows that have none."""
        self.joins = [replace(step, keeps_matches=True) if step.dataset.is_segment else step for step in self.joins]

    def source(
        self, keys: list[tuple[str, exp.Expr]], where: list[exp.Expr], aggregates: list[tuple[str, exp.Expr]]
    ) -> Source:  # fmt: skip
        """Return what was bound as one source."""
        dataset = self.binder.dated(self.binder.model.dataset_by_name[self.aggregate.dataset], self.period)
        joins = (replace(step, dataset=self.binder.dated(step.dataset, self.period)) for step in self.joins)
        return Source(
            dataset=dataset, joins=tuple(joins), keys=tuple(keys), where=tuple(where), aggregates=tuple(aggregates)
        )

    def bind_dimension(self, dimension: Dimension) -> exp.Expr:
        expr = self.bind(dimension.expr, dimension.dataset)
        if not dimension.bands:
            return expr
        case = exp.Case()
        for bound, value in zip(dimension.bands, dimension.values, strict=False):
            case = case.when(
                exp.LT(this=expr.copy(), expression=exp.Literal.number(f"{bound:.15g}")),
                exp.Literal.string(str(value.value)),
            )
        last = exp.Literal.string(str(dimension.values[-1].value))
        return case.when(exp.GTE(this=expr.copy(), expression=exp.Literal.number(f"{dimension.bands[-1]:.15g}")), last)

    def bind(self, expr: exp.Expr, dataset: str) -> exp.Expr:
        """Return a copy whose columns carry their dataset and whose reserved ones are dates, joining what it names."""

        def qualify(node: exp.Expr) -> exp.Expr:
            if not isinstance(node, exp.Column):
                return node
            if (day := self.binder.reserved(node, self.period)) is not None:
                return day
            table = node.table or dataset
            if table not in (self.aggregate.dataset, *(join.dataset.name for join in self.joins)):
                path = self.binder.path(self.aggregate.dataset, table)
                if path is None:
                    raise no_relationship(self.aggregate.dataset, table)
                self.join(path)
            return exp.column(node.name, table=table)

        return expr.copy().transform(qualify, copy=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Hold what a column of an unfolded row is made from: its time, the aggregate's value, and where joins go."""

    scope: Scope
    time: exp.Expr
    value: exp.Expr


RowColumn = Callable[[Row], exp.Expr]
