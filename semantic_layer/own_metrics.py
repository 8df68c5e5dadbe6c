"""Owns what users have of their own: a metric computed for each user apart, and conditions that choose users by it.

Knows nothing of the query's groups: a condition becomes “the row's user is, or is not, among those who fit”.
"""

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from wenshu.semantic_layer.conditions import SQL_COMPARE
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_sql import derived, divide
from wenshu.semantic_layer.metrics import Aggregate, Derived, Metric, Ratio
from wenshu.semantic_layer.query import Filter, Op, Quantile, UsersWith, both
from wenshu.semantic_layer.row_scope import Scope
from wenshu.semantic_layer.sources import Leaf, source_select
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.text import Text

if TYPE_CHECKING:
    from wenshu.semantic_layer.binder import Binder, Span

COMPARE: dict[Op, Callable[[float, float], bool]] = {
    Op.EQ: operator.eq, Op.NE: operator.ne, Op.LT: operator.lt, Op.LE: operator.le, Op.GT: operator.gt, Op.GE: operator.ge,
}  # fmt: skip
OPPOSITE = {Op.EQ: Op.NE, Op.NE: Op.EQ, Op.LT: Op.GE, Op.GE: Op.LT, Op.GT: Op.LE, Op.LE: Op.GT}


def own_totals(binder: "Binder", metric: Metric, where: Filter | None, period: "Span") -> exp.Select:
    """Return user_id and amount, the metric over a user's own rows that meet `where`, of every user who has any.

    Raises `QueryError` where a user has no such metric alone, as of a rate over several users.
    """
    leaves = tuple(dict.fromkeys(_leaves(binder, metric)))
    groups: dict[object, list[Leaf]] = {}
    for i, (aggregate, filters) in enumerate(leaves):
        apart = filters is not None or where is not None  # a filter may take a join that repeats rows of the others
        key = i if apart else (aggregate.dataset, f"{aggregate.time}{aggregate.undated}")
        leaf = Leaf(column="amount" if len(leaves) == 1 else f"amount_{i}", aggregate=aggregate, filters=filters)
        groups.setdefault(key, []).append(leaf)
    sources = [
        source_select(binder.source(tuple(group), (), None, period, where, by_user=True)) for group in groups.values()
    ]
    if len(leaves) == 1:
        return sources[0]
    columns = {leaf: exp.column(f"amount_{i}") for i, leaf in enumerate(leaves)}
    value = named(_value(binder, metric, None, columns), "amount")
    first, *others = (select.subquery(f"part_{i}") for i, select in enumerate(sources))
    user: exp.Expr = exp.column("user_id", table="part_0")
    select = select_from(first, [])
    for i, other in enumerate(others, start=1):
        mine = exp.column("user_id", table=f"part_{i}")
        join(select, other, "FULL", [exp.EQ(this=mine, expression=user.copy())])
        user = exp.Coalesce(this=user, expressions=[mine.copy()])
    return select.select(named(user, "user_id"), value, copy=False)


def has_zero(metric: Metric) -> bool:
    """Say whether a user without rows has 0 of a metric rather than nothing."""
    return isinstance(metric, Aggregate) and metric.zero_if_empty


def _leaves(binder: "Binder", metric: Metric, kept: Filter | None = None) -> list[tuple[Aggregate, Filter | None]]:
    kept = both(kept, metric.filters)
    match metric:
        case Aggregate():
            return [(metric, kept)]
        case Ratio():
            names: tuple[str, ...] = (metric.numerator, metric.denominator)
        case Derived():
            names = metric.inputs
        case _:
            raise QueryError(
                "invalid_filter",
                Text(f"Users cannot be chosen by {metric.label.en}.", f"不能按{metric.label.zh}筛选用户。"),
                Text("Choose them by a count or an amount of theirs.", "请使用用户自己的次数或金额类指标。"),
            )
    return [leaf for name in names for leaf in _leaves(binder, binder.metric(name), kept)]


def _value(
    binder: "Binder", metric: Metric, kept: Filter | None, columns: dict[tuple[Aggregate, Filter | None], exp.Column]
) -> exp.Expr:
    kept = both(kept, metric.filters)

    def of(name: str) -> exp.Expr:
        return _value(binder, binder.metric(name), kept, columns)

    match metric:
        case Aggregate():
            column = columns[(metric, kept)].copy()
            return exp.Coalesce(this=column, expressions=[exp.Literal.number(0)]) if metric.zero_if_empty else column
        case Ratio():
            return divide(of(metric.numerator), of(metric.denominator))
        case Derived():
            return derived(metric, of)
    raise AssertionError("the leaves of other metrics were refused")


def users_with(binder: "Binder", asked: UsersWith, scope: Scope) -> exp.Expr:
    """Return the condition that a row's user is among those whose own metric compares so.

    Where a user without rows would fit, too, the users who do not fit are left out instead.
    """
    metric = binder.metric(asked.metric)
    per_user = own_totals(binder, metric, asked.where, asked.period or binder.period)
    none_fits = False
    if asked.value == "average":
        right = _over_users(per_user, exp.Avg(this=exp.column("amount")))
        none_fits = has_zero(metric) and asked.op in (Op.LT, Op.LE, Op.NE)  # below an average above 0
    elif isinstance(asked.value, Quantile):
        right = _over_users(per_user, quantile_of(exp.column("amount"), asked.value.share))
    else:
        right = exp.convert(asked.value)
        none_fits = has_zero(metric) and COMPARE[asked.op](0, asked.value)
    op = OPPOSITE[asked.op] if none_fits else asked.op
    fitting = select_from(per_user.subquery("users"), [exp.column("user_id")])
    fitting = fitting.where(SQL_COMPARE[op](this=exp.column("amount"), expression=right), copy=False)
    user = binder.entity(scope)
    inside = exp.In(this=user, query=fitting.subquery())
    if not none_fits:
        return inside
    is_user = binder.model.dataset_by_name[scope.aggregate.dataset].entity is not None
    return exp.Not(this=inside) if is_user else exp.and_(present(user), exp.Not(this=inside))


def _over_users(per_user: exp.Select, fold: exp.Expr) -> exp.Expr:
    return select_from(per_user.copy().subquery("users"), [fold]).subquery()


def quantile_of(column: exp.Expr, share: float) -> exp.Expr:
    """Return the quantile of a column over rows, linear between neighbours."""
    number = exp.cast(column, "DOUBLE")
    return exp.Anonymous(this="QUANTILE_CONT", expressions=[number, exp.Literal.number(f"{share:.15g}")])


def present(user: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.Is(this=user.copy(), expression=exp.null()))
