"""Owns metrics as SQL expressions over aggregate columns: ratios, derived and running values, changes. Knows nothing of tables."""

from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from sqlglot import exp

from wenshu.semantic_layer.metrics import (
    Aggregate,
    AverageOver,
    Behaviour,
    Cumulative,
    Derived,
    Funnel,
    Interval,
    LastEvent,
    Lifecycle,
    LifetimeValue,
    Metric,
    Paths,
    PeriodReturn,
    Ratio,
    Repurchase,
    RepurchaseWithin,
    Retention,
    UserPercentile,
)
from wenshu.semantic_layer.query import Filter, both

if TYPE_CHECKING:
    from wenshu.semantic_layer.resolver import ResolvedQuery, Variant


def metric_value(resolved: "ResolvedQuery", metric: Metric, variant: "Variant") -> exp.Expr:
    """Return a metric as an expression over the aggregate columns."""
    columns = {(leaf.behaviour or leaf.aggregate, leaf.filters): leaf.column for leaf in resolved.leaves}
    # A sum is empty where no row fits: of all rows, of a bucket without any, of a group that another source has.
    may_lack_rows = len(resolved.leaves) > 1 or not variant.keys or resolved.grain is not None

    def value(metric: Metric, filters: Filter | None) -> exp.Expr:
        kept = both(filters, metric.filters)

        def of(name: str) -> exp.Expr:
            return value(resolved.model.metric(name), kept)

        match metric:
            case Aggregate():
                column = exp.column(columns[(metric, kept)])
                return zero_if_absent(metric, column) if may_lack_rows else column
            case Ratio():
                return divide(of(metric.numerator), of(metric.denominator))
            case Derived():
                return derived(metric, of)
            case Cumulative():
                if resolved.grain is None or str(resolved.grain) not in variant.keys:
                    return of(metric.metric)
                groups: list[exp.Expr] = [exp.column(name) for name in resolved.dimension_names]
                order = exp.Order(expressions=[exp.Ordered(this=exp.column(str(resolved.grain)))])
                return exp.Window(this=exp.Sum(this=of(metric.metric)), partition_by=groups, order=order)
            case _:
                return _behaviour_value(metric, columns[(metric, kept)])

    return value(metric, None)


def _behaviour_value(metric: Behaviour, column: str) -> exp.Expr:
    """Return a behavioural metric as a quotient of the counts its source gives."""

    def part(name: str) -> exp.Expr:
        return exp.column(f"{column}_{name}")

    match metric:
        case Retention():
            return divide(part("retained"), part("cohort"))
        case RepurchaseWithin():
            return divide(part("repeat_users"), part("cohort"))
        case LifetimeValue():
            return divide(part("amount"), part("cohort"))
        case Repurchase():
            return divide(part("repeat_users"), part("users"))
        case PeriodReturn(lost=False):
            return divide(part("users_back"), part("users_before"))
        case PeriodReturn():
            gone = exp.Sub(this=part("users_before"), expression=part("users_back"))
            return divide(exp.paren(gone, copy=False), part("users_before"))
        case Interval():
            return part("median")
        case Funnel():
            return divide(part("converted"), part("entered"))
        case Lifecycle() | LastEvent():
            return zero_if_absent(metric, part("users"))
        case Paths():
            return zero_if_absent(metric, part("times"))
        case UserPercentile():
            return part("value")
        case AverageOver():
            return zero_if_absent(metric, divide(part("sum"), part("buckets")))
        case _:
            assert_never(metric)


def count_value(column: str, suffix: str) -> exp.Expr:
    """Return the expression of one such count."""
    if suffix == "step_rate":
        return divide(exp.column(f"{column}_converted"), exp.column(f"{column}_step_before"))
    plain = exp.column(f"{column}_{suffix}")
    return (
        plain if suffix in ("median_hours", "place") else exp.Coalesce(this=plain, expressions=[exp.Literal.number(0)])
    )


def derived(metric: Derived, value: Callable[[str], exp.Expr]) -> exp.Expr:
    """Return a derived metric's expression with its inputs put in; a division by zero is empty."""

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            inner = value(node.name)
            return exp.paren(inner, copy=False) if isinstance(inner, exp.Binary) else inner
        return node

    tree = metric.expr.copy().transform(fill, copy=False)
    for division in list(tree.find_all(exp.Div)):
        if not isinstance(division.expression, exp.Nullif):
            division.set("expression", exp.Nullif(this=division.expression, expression=exp.Literal.number(0)))
    return tree


def divide(numerator: exp.Expr, denominator: exp.Expr) -> exp.Expr:
    return exp.Div(this=numerator, expression=exp.Nullif(this=denominator, expression=exp.Literal.number(0)))


def change(metric: Metric, now: exp.Expr, then: exp.Expr) -> exp.Expr:
    if is_rate(metric):
        return exp.Sub(this=now.copy(), expression=then.copy())
    return exp.Sub(this=divide(now.copy(), then.copy()), expression=exp.Literal.number(1))


def is_rate(metric: Metric) -> bool:
    """Say whether a metric's change is a difference in percentage points rather than a relative change."""
    return metric.unit == "%"


def counts_or_sums(metric: Metric) -> bool:
    return (
        metric.zero_if_empty
        if isinstance(metric, Aggregate)
        else isinstance(metric, Cumulative | Lifecycle | Paths | LastEvent | AverageOver)
    )


def zero_if_absent(metric: Metric, column: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=column, expressions=[exp.Literal.number(0)]) if counts_or_sums(metric) else column
