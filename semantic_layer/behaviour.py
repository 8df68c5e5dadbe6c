"""Owns behavioural metrics as bound sources: each becomes a few named CTEs and one SELECT of counts by the query's keys.

Every user is looked at once per step: rows of a cohort, rows of what they did later, one join, one fold. A count is
never divided here; the metric's value is a quotient of the counts (`metric_sql`), so that groups pool as they should.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer.average_sql import average_over, user_percentile
from wenshu.semantic_layer.behaviour_keys import (
    BEHAVIOUR_KEYS,
    FUNNEL_STEP,
    LAST_EVENT,
    LIFECYCLE_STAGE,
    PATH,
    PERIOD_NUMBER,
)
from wenshu.semantic_layer.cohort_sql import lifetime_value, retention, retention_on_units
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.funnel_sql import funnel
from wenshu.semantic_layer.last_event_sql import last_event
from wenshu.semantic_layer.lifecycle_sql import lifecycle
from wenshu.semantic_layer.path_sql import path
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import both
from wenshu.semantic_layer.repurchase_sql import interval, period_return, repurchase, repurchase_within
from wenshu.semantic_layer.sources import Leaf, Source
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.user_rows import Asked, Parts, col

KEYS_OF: dict[type, str] = {
    m.Retention: PERIOD_NUMBER,
    m.LifetimeValue: PERIOD_NUMBER,
    m.Funnel: FUNNEL_STEP,
    m.Lifecycle: LIFECYCLE_STAGE,
    m.Paths: PATH,
    m.LastEvent: LAST_EVENT,
}


def read_together(leaves: Iterable[Leaf], own_key: str | None) -> tuple[tuple[Leaf, ...], ...]:
    """Group the behavioural leaves: retention of one cohort on several days is read in one pass, the others each by itself."""
    groups: dict[object, list[Leaf]] = {}
    for leaf in leaves:
        match leaf.behaviour:
            case None:
                continue
            case m.Retention(mode="on", hours=False) as metric if own_key is None and metric.low == metric.high:
                key: object = (
                    leaf.aggregate.name, leaf.filters, metric.back, metric.step, metric.first, metric.times
                )  # fmt: skip
            case _:
                key = leaf.column
        groups.setdefault(key, []).append(leaf)
    return tuple(map(tuple, groups.values()))


def behaviour_source(asked: Asked, leaves: tuple[Leaf, ...]) -> Source:
    """Bind one behavioural metric, or several read together, as a source whose aggregates are its counts.

    Raises `QueryError` where a key does not belong to the metric or a dimension does not fit its start rows.
    """
    leaf = leaves[0]
    metric = leaf.behaviour
    assert metric is not None
    _check_keys(asked, metric)
    rows = tuple(replace(leaf, filters=both(leaf.filters, leaf.aggregate.filters)) for leaf in leaves)
    *before, (_, select) = _parts(asked, rows[0], metric) if len(rows) == 1 else retention_on_units(asked, rows)
    names = (select.alias_or_name for select in select.selects)
    return Source(
        dataset=asked.binder.model.dataset_by_name[leaf.aggregate.dataset], joins=(), keys=(), where=(),
        aggregates=tuple((name, col(name)) for name in names if name not in (*asked.keys, asked.own_key)),
        before=tuple(before), select=select, name=f"{leaf.column}_totals",
    )  # fmt: skip


def _check_keys(asked: Asked, metric: m.Behaviour) -> None:
    if asked.own_key is not None and asked.own_key != KEYS_OF.get(type(metric)):
        label = BEHAVIOUR_KEYS[asked.own_key].label
        raise QueryError(
            "not_joinable",
            Text(f"{metric.label.en} has no {label.en}.", f"{metric.label.zh}没有{label.zh}。"),
            Text("Leave it out, or ask for a metric that has it.", "请去掉它，或改用支持它的指标。"),
        )
    if asked.grain is Grain.HOUR and isinstance(metric, m.PeriodReturn | m.Lifecycle | m.LastEvent):
        raise QueryError(
            "invalid_grain",
            Text(
                f"{metric.label.en} compares whole days or longer with those before.",
                f"{metric.label.zh}按天或更长的周期与上一周期对比。",
            ),
            Text("Ask for it by day, week or month.", "请按日、周或月查询。"),
        )


def _parts(asked: Asked, leaf: Leaf, metric: m.Behaviour) -> Parts:
    match metric:
        case m.Retention():
            return retention(asked, leaf, metric)
        case m.Repurchase():
            return repurchase(asked, leaf, metric)
        case m.RepurchaseWithin():
            return repurchase_within(asked, leaf, metric)
        case m.PeriodReturn():
            return period_return(asked, leaf)
        case m.Interval():
            return interval(asked, leaf)
        case m.LifetimeValue():
            return lifetime_value(asked, leaf, metric)
        case m.Funnel():
            return funnel(asked, leaf, metric)
        case m.Lifecycle():
            return lifecycle(asked, leaf, metric)
        case m.Paths():
            return path(asked, leaf, metric)
        case m.LastEvent():
            return last_event(asked, leaf, metric)
        case m.UserPercentile():
            return user_percentile(asked, leaf, metric)
        case m.AverageOver():
            return average_over(asked, leaf, metric)
        case _:
            assert_never(metric)
