"""Owns lifecycle: which stage each user is in, by being active in a period and in the one before and by when they entered."""

from dataclasses import replace

from sqlglot import exp

from wenshu.semantic_layer import model as m
from wenshu.semantic_layer.behaviour_keys import LIFECYCLE_STAGE, STAGES
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.repurchase_sql import buckets_before, into_next_bucket, period_before
from wenshu.semantic_layer.sources import Leaf
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.time_parts import bucket_expression
from wenshu.semantic_layer.user_rows import (
    Asked,
    Parts,
    col,
    columns,
    count_of,
    day_of,
    equal,
    grouped,
    inside,
    is_present,
    unnested,
)


def lifecycle(asked: Asked, leaf: Leaf, metric: m.Lifecycle) -> Parts:
    """Return the users of each stage by the keys: active in the period, in the one before, entered in it."""
    people, activity, staged = asked.cte("people"), asked.cte("activity"), asked.cte("stages")
    parts = [*_people(asked, asked.binder.leaf(metric.start)), *_activity(asked, leaf)]
    if asked.grain is None:
        entered = inside(asked.period, "entered_on")
    else:
        entry = asked.shift(col("entered_on")) if asked.shift else col("entered_on")
        entered = exp.EQ(this=bucket_expression(entry, asked.grain), expression=col(str(asked.grain)))
    stage = (
        exp.Case()
        .when(exp.and_(col("is_active"), entered), exp.Literal.string("new"))
        .when(exp.and_(col("is_active"), col("was_active")), exp.Literal.string("returning"))
        .when(col("is_active"), exp.Literal.string("resurrecting"))
        .else_(exp.Literal.string("dormant"))
    )  # fmt: skip
    select = select_from(activity, [*columns(asked.keys), named(stage, "stage")])
    join(select, people, "INNER", equal(activity, people, ("user_id",)))
    parts.append((staged, select.where(exp.or_(col("is_active"), col("was_active")), copy=False)))
    names = [metric.stage] if metric.stage else [name for name, _ in STAGES]

    def of_stage(name: str) -> exp.Expr:
        return count_of(exp.EQ(this=col("stage"), expression=exp.Literal.string(name)))

    users = f"{leaf.column}_users"
    if asked.own_key is None:
        totals = select_from(staged, [*columns(asked.keys), named(of_stage(names[0]), users)])
        return [*parts, ("", grouped(totals, asked.keys))]
    counted = asked.cte("stage_counts")
    counts = [*columns(asked.keys), *(named(of_stage(name), f"{name}_users") for name in names)]
    final = select_from(counted, [
        *columns(asked.keys),
        unnested((exp.Literal.string(name) for name in names), LIFECYCLE_STAGE),
        unnested(columns(f"{name}_users" for name in names), users),
    ])  # fmt: skip
    return [*parts, (counted, grouped(select_from(staged, counts), asked.keys)), ("", final)]


def _people(asked: Asked, entry: Leaf) -> Parts:
    """Return user_id, entered_on and the keys but time, of those who ever entered and meet the filters."""
    plain = replace(asked, grain=None, shift=None)
    if asked.binder.model.dataset_by_name[entry.aggregate.dataset].entity:
        return [(asked.cte("people"), plain.keyed_rows(entry, {"entered_on": day_of}, None))]
    until = DateRange(asked.history.start, asked.binder.as_of)
    parts = plain.first_rows(entry, {"entered_on": day_of}, "first_entries", until)
    shown = columns(("user_id", "entered_on", *plain.keys))
    kept = select_from(asked.cte("first_entries"), shown).where(col("is_kept"), copy=False)
    return [*parts, (asked.cte("people"), kept)]


def _activity(asked: Asked, leaf: Leaf) -> Parts:
    """Return for each user, and bucket of a series, whether they are active in it and were in the one before."""
    activity = asked.cte("activity")
    if asked.grain is None:
        previous = period_before(asked)
        rows = asked.plain_rows(leaf, {"active_on": day_of}, DateRange(previous.start, asked.period.end))
        now, then = (exp.Max(this=inside(period, "active_on")) for period in (asked.period, previous))
        flags = [col("user_id"), named(now, "is_active"), named(then, "was_active")]
        active = asked.cte("active_days")
        return [(active, rows), (activity, grouped(select_from(active, flags), ("user_id",)))]
    keyed = replace(asked, dimensions=(), filters=None)
    now_name, before_name, key = asked.cte("users_now"), asked.cte("users_before"), str(asked.grain)
    now_rows = keyed.keyed_rows(leaf, {}, asked.period)
    before_rows = replace(keyed, shift=into_next_bucket(asked)).keyed_rows(leaf, {}, buckets_before(asked))

    def either(name: str) -> exp.Expr:
        return named(exp.Coalesce(this=col(name, table=now_name), expressions=[col(name, table=before_name)]), name)

    select = select_from(now_name, [
        either("user_id"), either(key),
        named(is_present(col("user_id", table=now_name)), "is_active"),
        named(is_present(col("user_id", table=before_name)), "was_active"),
    ])  # fmt: skip
    join(select, before_name, "FULL", equal(now_name, before_name, ("user_id", key)))
    return [
        (now_name, now_rows.distinct(copy=False)),
        (before_name, before_rows.distinct(copy=False)),
        (activity, select),
    ]
