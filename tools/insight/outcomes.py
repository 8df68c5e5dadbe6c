"""Owns what each user in a group comes to by a metric, from the moment of assignment on, as x of y per user.

Knows which metrics have such an outcome and how its SQL reads; judges nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from sqlglot import exp

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import (
    Aggregate,
    Aggregation,
    LifetimeValue,
    Metric,
    Ratio,
    Repurchase,
    RepurchaseWithin,
    Retention,
)
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.user_statement import AMOUNT, HAPPENED, UserRows

Fold = Literal["any", "count", "sum"]
UNIT_DAYS = {Grain.DAY: 1, Grain.WEEK: 7}
FOLDS = {
    "any": "CAST(count(r.user_id) >= :times AS INTEGER)",
    "count": "count(r.user_id)",
    "sum": "coalesce(sum(CAST(r.amount AS DOUBLE)), 0)",
}
SINCE = """
SELECT a.trial, a.variant, a.user_id, {fold} AS x, 1 AS y
FROM assigned_users AS a LEFT JOIN {rows} AS r ON r.user_id = a.user_id AND r.happened_at >= a.assigned_at
    AND CAST(r.happened_at AS DATE) - a.assigned_on BETWEEN :low AND :high
WHERE a.assigned_on <= :last
GROUP BY 1, 2, 3
"""
REPEAT = """
SELECT a.trial, a.variant, a.user_id, CAST(coalesce(r.next_on - r.first_on <= :days, FALSE) AS INTEGER) AS x, 1 AS y
FROM assigned_users AS a JOIN first_rows AS r ON r.user_id = a.user_id AND r.first_at >= a.assigned_at
WHERE r.first_on <= :last
"""
FIRST = """
SELECT user_id, happened_at AS first_at, CAST(happened_at AS DATE) AS first_on,
    CAST(lead(happened_at) OVER (PARTITION BY user_id ORDER BY happened_at, row_key) AS DATE) AS next_on
FROM metric_rows
QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY happened_at, row_key) = 1
"""
BOTH = "SELECT x.trial, x.variant, x.user_id, x.x AS x, y.x AS y FROM over AS x JOIN under AS y USING (trial, variant, user_id)"
NEVER = 100_000  # days, for what has no end


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Hold the days after assignment that count; `high` None is until now. Users whose days are not over do not count."""

    low: int = 0
    high: int | None = None


def outcome_parts(rows: UserRows, model: Model, spec: str) -> dict[str, exp.Query]:
    """Return named queries, the last of them `per_user` with trial, variant, user_id, x and y; they read `assigned_users`.

    Raises `QueryError` where a metric has no value per user.
    """
    metric = model.metric(spec)
    match metric:
        case Ratio():
            over, under = (model.metric(name) for name in (metric.numerator, metric.denominator))
            if not isinstance(over, Aggregate) or not isinstance(under, Aggregate) or metric.filters is not None:
                raise not_testable(metric.label)
            return {
                **_since(rows, over, Window(), "over_rows", "over"),
                **_since(rows, under, Window(), "under_rows", "under"),
                "per_user": rows.statement(BOTH, {}),
            }
        case RepurchaseWithin():
            kept = rows.of(_aggregate(model, metric.of), HAPPENED, keyed=True)
            return {
                "metric_rows": kept,
                "first_rows": rows.statement(FIRST, {}),
                "per_user": rows.statement(REPEAT, {}, days=metric.days, last=_last(rows, metric.days)),
            }
        case Repurchase():
            of = _aggregate(model, metric.of)
            return {
                **_since(rows, of, Window(), "over_rows", "over", fold="any", times=metric.times),
                **_since(rows, of, Window(), "under_rows", "under", fold="any"),
                "per_user": rows.statement(BOTH, {}),
            }
        case Retention() if metric.step in UNIT_DAYS:
            size = UNIT_DAYS[metric.step]
            high = None if metric.high is None else metric.high * size + size - 1
            window = Window(low=metric.low * size, high=high)
            return _since(rows, _aggregate(model, metric.back), window, "metric_rows", "per_user", fold="any", times=metric.times)
        case LifetimeValue():
            return _since(rows, _aggregate(model, metric.value), Window(high=metric.days), "metric_rows", "per_user")
        case Aggregate() if metric.aggregation is Aggregation.AVERAGE:
            return {
                **_since(rows, metric, Window(), "over_rows", "over", fold="sum"),
                **_since(rows, metric, Window(), "under_rows", "under", fold="count"),
                "per_user": rows.statement(BOTH, {}),
            }
        case Aggregate():
            return _since(rows, metric, Window(), "metric_rows", "per_user")
        case _:
            raise not_testable(metric.label)


def _since(
    rows: UserRows, aggregate: Aggregate, window: Window, source: str, name: str, *, fold: Fold | None = None, times: int = 1
) -> dict[str, exp.Query]:  # fmt: skip
    fold = fold or fold_of(aggregate)
    high = NEVER if window.high is None else window.high
    last = rows.inquiry.as_of if window.high is None else _last(rows, window.high)
    values: Mapping[str, object] = {"low": window.low, "high": high, "last": last} | ({"times": times} if fold == "any" else {})
    per_user = rows.statement(SINCE.format(fold=FOLDS[fold], rows=source), {}, **values)
    return {source: rows.of(aggregate, AMOUNT if fold == "sum" else HAPPENED), name: per_user}


def fold_of(aggregate: Aggregate) -> Fold:
    """Return how a user's rows become one number; of distinct users, whether the user is one."""
    match aggregate.aggregation:
        case Aggregation.COUNT:
            return "count"
        case Aggregation.COUNT_DISTINCT if isinstance(aggregate.expr, exp.Column):
            return "any"
        case Aggregation.SUM:
            return "sum"
        case _:
            raise not_testable(aggregate.label)


def is_testable(model: Model, spec: str) -> bool:
    """Say whether a metric has a value per user that groups can be compared by."""
    metric: Metric = model.metric(spec)
    try:
        match metric:
            case Ratio():
                return all(is_testable(model, name) and isinstance(model.metric(name), Aggregate) for name in (metric.numerator, metric.denominator))
            case Aggregate():
                return metric.aggregation is Aggregation.AVERAGE or bool(fold_of(metric))
            case Retention():
                return metric.step in UNIT_DAYS
            case _:
                return isinstance(metric, RepurchaseWithin | Repurchase | LifetimeValue)
    except QueryError:
        return False


def is_share(model: Model, spec: str) -> bool:
    """Say whether what a metric comes to per user is yes or no."""
    metric = model.metric(spec)
    return isinstance(metric, Retention | Repurchase | RepurchaseWithin) or (isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT_DISTINCT)


def _aggregate(model: Model, name: str) -> Aggregate:
    found = model.metric(name)
    assert isinstance(found, Aggregate), "the loader lets behavioural metrics refer to aggregates only"
    return found


def _last(rows: UserRows, days: int) -> date:
    return rows.inquiry.as_of - timedelta(days=days)


def not_testable(label: Text) -> QueryError:
    return QueryError(
        "not_testable",
        Text(f"{label.en} has no value per user that groups of an experiment could be compared by.", f"{label.zh}没有逐用户的取值，无法在实验组之间检验。"),
        Text("Ask about a count, a sum, a rate of users, retention, repurchase or lifetime value.", "请询问计数、合计、用户比率、留存、复购或生命周期价值。"),
    )  # fmt: skip
