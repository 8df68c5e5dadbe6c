"""Owns metrics of metrics: the mean over the days, weeks or months of a period, the percentile over users.

A count of a day without rows is 0, so the mean divides by the days there are, which the calendar knows and not the rows.
"""

from dataclasses import replace

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer.conditions import date_literal
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.own_metrics import quantile_of
from wenshu.semantic_layer.periods import Grain, buckets
from wenshu.semantic_layer.query import And, Filter, Not, Or, UsersWith, Where, both, filters_of
from wenshu.semantic_layer.row_scope import Row, Scope
from wenshu.semantic_layer.sources import Leaf, source_select
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.time_parts import TIME_PARTS, bucket_expression
from wenshu.semantic_layer.user_rows import Asked, Parts, col, columns, equal, grouped, whole

OF_DAYS = ("weekday", "day_type")  # the parts of time that whole days have


def average_over(asked: Asked, leaf: Leaf, metric: m.AverageOver) -> Parts:
    """Return the sum of a metric over the buckets of a grain and how many buckets there are, by the keys."""
    per_bucket = asked.cte(f"by_{metric.over}")
    one = Leaf(column="amount", aggregate=leaf.aggregate, filters=leaf.filters)
    inner = asked.binder.source((one,), asked.dimensions, asked.grain, asked.period, asked.filters, asked.shift)
    stamped = ("own_bucket", asked.binder.bucketed(leaf.aggregate, metric.over))
    parts: Parts = [(per_bucket, source_select(replace(inner, keys=(*inner.keys, stamped))))]
    total = select_from(per_bucket, [
        *columns(asked.keys, per_bucket), named(exp.Sum(this=col("amount")), f"{leaf.column}_sum")
    ])  # fmt: skip
    shared = tuple(key for key in asked.keys if key in OF_DAYS or key == str(asked.grain))
    kept = _of_days(both(asked.filters, leaf.filters))
    if asked.grain is Grain.HOUR:
        number = whole(1)
    elif shared or kept is not None:
        calendar = asked.cte("calendar")
        parts.append((calendar, _calendar(asked, leaf, metric.over, shared, kept)))
        join(total, calendar, "LEFT" if shared else "CROSS", equal(per_bucket, calendar, shared))
        number = exp.AnyValue(this=col("buckets"))
    else:
        number = exp.Max(this=whole(sum(1 for _ in buckets(asked.period, metric.over))))
    return [*parts, ("", grouped(total.select(named(number, f"{leaf.column}_buckets"), copy=False), asked.keys))]


def user_percentile(asked: Asked, leaf: Leaf, metric: m.UserPercentile) -> Parts:
    """Return the percentile of the users' own values and how many users have one, by the keys."""
    per_user = asked.cte("user_totals")
    one = Leaf(column="amount", aggregate=leaf.aggregate, filters=leaf.filters)
    own = asked.binder.source(
        (one,), asked.dimensions, asked.grain, asked.period, asked.filters, asked.shift, by_user=True
    )
    folded = select_from(per_user, [
        *columns(asked.keys, per_user),
        named(quantile_of(col("amount"), metric.percent / 100), f"{leaf.column}_value"),
        named(exp.Count(this=col("amount")), f"{leaf.column}_users"),
    ])  # fmt: skip
    return [(per_user, source_select(own)), ("", grouped(folded, asked.keys))]


def _calendar(asked: Asked, leaf: Leaf, over: Grain, keys: tuple[str, ...], kept: Filter | None) -> exp.Select:
    """Return how many buckets of `over` the period's days make, by the keys that days have."""
    step = exp.Interval(this=exp.Literal.string("1"), unit=exp.var("DAY"))
    start, end = date_literal(asked.period.start), date_literal(asked.period.end)
    days = exp.Select(expressions=[named(exp.Explode(this=exp.GenerateSeries(start=start, end=end, step=step)), "day")])

    def key_of(name: str) -> exp.Expr:
        if name in TIME_PARTS:
            return TIME_PARTS[name].expression(col("day"))
        assert asked.grain is not None
        return bucket_expression(asked.shift(col("day")) if asked.shift else col("day"), asked.grain)

    number = exp.Count(this=exp.Distinct(expressions=[bucket_expression(col("day"), over)]))
    select = select_from(days.subquery("days"), [*(named(key_of(key), key) for key in keys), named(number, "buckets")])
    if kept is not None:
        row = Row(scope=Scope(asked.binder, leaf.aggregate), time=col("day"), value=whole(1))
        select.where(asked.binder.kept(kept)(row), copy=False)
    return grouped(select, keys)


def _of_days(tree: Filter | None) -> Filter | None:
    """Return the part of a filter that says which days count.

    Raises `QueryError` where it cannot be told apart from the rest.
    """
    if tree is None or not any(where.dimension in OF_DAYS for where in filters_of(tree)):
        return None
    if _is_of_days(tree):
        return tree
    if not isinstance(tree, And):
        raise QueryError(
            "invalid_filter",
            Text(
                "An average over days cannot be filtered by weekday or by something else.",
                "按日平均的指标不支持“星期或其他条件”这样的筛选。",
            ),
            Text("Filter by weekday and the rest apart, joined by “and”.", "请把星期条件与其他条件用“且”连接。"),
        )
    out: Filter | None = None
    for part in tree.parts:
        out = both(out, _of_days(part))
    return out


def _is_of_days(tree: Filter) -> bool:
    match tree:
        case Where():
            return tree.dimension in OF_DAYS
        case And() | Or():
            return all(map(_is_of_days, tree.parts))
        case Not():
            return _is_of_days(tree.part)
        case UsersWith():
            return False
