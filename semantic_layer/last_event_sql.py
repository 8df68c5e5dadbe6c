"""Owns what users did last before they were lost: active in the period before and not in the period.

Which row is the last is settled before any filter; the users are split and filtered by that row.
"""

from dataclasses import replace

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer.behaviour_keys import LAST_EVENT
from wenshu.semantic_layer.path_sql import share_of, value_of_dimension
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.repurchase_sql import buckets_before, into_next_bucket, period_before
from wenshu.semantic_layer.sources import Leaf
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.user_rows import (
    Asked,
    Parts,
    col,
    columns,
    count_of,
    date_later,
    equal,
    grouped,
    is_one,
    moment_of,
)


def last_event(asked: Asked, leaf: Leaf, metric: m.LastEvent) -> Parts:
    """Return the users lost, and their share, by the keys and the value of their last row."""
    rows_name, last_name, now_name = asked.cte("events_before"), asked.cte("last_events"), asked.cte("users_now")
    before, period = _periods(asked, metric)
    series = replace(asked, shift=into_next_bucket(asked)) if asked.grain else asked
    wanted = {"happened_at": moment_of, "event": value_of_dimension(asked, metric.dimension)}
    same = ("user_id", *((str(asked.grain),) if asked.grain else ()))
    newest = exp.Window(
        this=exp.RowNumber(), partition_by=columns(same, rows_name),
        order=exp.Order(expressions=[exp.Ordered(this=col(name), desc=True) for name in ("happened_at", "row_key")]),
    )  # fmt: skip
    now = replace(asked, dimensions=(), filters=None).keyed_rows(leaf, {}, period)
    lost = select_from(rows_name, columns(("event", "is_kept", *asked.keys), rows_name))
    join(lost, now_name, "LEFT", equal(rows_name, now_name, same))
    lost.where(exp.Is(this=col("user_id", table=now_name), expression=exp.null()), copy=False)
    keys = (*asked.keys, LAST_EVENT) if asked.own_key else asked.keys
    counted = select_from(last_name, [
        *columns(asked.keys),
        *([named(col("event"), LAST_EVENT)] if asked.own_key else []),
        named(count_of(), f"{leaf.column}_users"),
        named(share_of(count_of(), columns(asked.keys)), f"{leaf.column}_share"),
    ]).where(col("is_kept"), copy=False)  # fmt: skip
    return [
        (rows_name, series.flagged_rows(leaf, wanted, before)),
        (now_name, now.distinct(copy=False)),
        (last_name, lost.qualify(is_one(newest), copy=False)),
        ("", grouped(counted, keys)),
    ]


def _periods(asked: Asked, metric: m.LastEvent) -> tuple[DateRange, DateRange]:
    """Return the dates before and those in which lost users did nothing: the last days where no dates lie before the period."""
    if asked.grain:
        return buckets_before(asked), asked.period
    if asked.period.start > asked.binder.data_start:
        return period_before(asked), asked.period
    end = asked.period.end
    start = max(date_later(end, 1 - metric.days), asked.binder.data_start)
    caveat = Text(
        f"There is no period before: lost users are those without activity in the last {metric.days} days, {start} to {end}.",
        f"没有可对比的上期：流失用户为最近 {metric.days} 天（{start} 至 {end}）没有活动的用户。",
    )
    if caveat not in asked.binder.caveats:
        asked.binder.caveats.append(caveat)
    return DateRange(asked.history.start, date_later(start, -1)), DateRange(start, end)
