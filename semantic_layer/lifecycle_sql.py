"""Owns lifecycle: which stage each user is in, by being active in a period and in the one before and by when they entered."""

from dataclasses import replace

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer.behaviour_keys import LIFECYCLE_STAGE, STAGES
from wenshu.semantic_layer.conditions import date_literal
from wenshu.semantic_layer.periods import DateRange, bucket_start, buckets
from wenshu.semantic_layer.repurchase_sql import buckets_before, into_next_bucket, period_before
from wenshu.semantic_layer.sources import Leaf
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.time_parts import bucket_expression
from wenshu.semantic_layer.user_rows import (
    MOST_BITS,
    Asked,
    Parts,
    bits_of,
    col,
    columns,
    count_of,
    day_of,
    equal,
    grouped,
    has_bit,
    inside,
    is_present,
    sum_of,
    unit_later,
    units_between,
    unnested,
    whole,
)  # fmt: skip


def lifecycle(asked: Asked, leaf: Leaf, metric: m.Lifecycle) -> Parts:
    """Return the users of each stage by the keys: active in the period, in the one before, entered in it."""
    activity, staged = asked.cte("activity"), asked.cte("stages")
    parts, entered = _activity_of_people(asked, leaf, asked.binder.leaf(metric.start))
    stage = (
        exp.Case()
        .when(exp.and_(col("is_active"), entered), exp.Literal.string("new"))
        .when(exp.and_(col("is_active"), col("was_active")), exp.Literal.string("returning"))
        .when(col("is_active"), exp.Literal.string("resurrecting"))
        .else_(exp.Literal.string("dormant"))
    )  # fmt: skip
    by_stage = (*asked.keys, "stage")
    select = select_from(
        activity, [*columns(asked.keys), named(stage, "stage"), named(exp.Sum(this=col("users")), "users")]
    )
    parts.append((staged, grouped(select.where(exp.or_(col("is_active"), col("was_active")), copy=False), by_stage)))
    names = [metric.stage] if metric.stage else [name for name, _ in STAGES]

    def of_stage(name: str) -> exp.Expr:
        return sum_of(col("users"), exp.EQ(this=col("stage"), expression=exp.Literal.string(name)))

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


def _activity_of_people(asked: Asked, leaf: Leaf, entry: Leaf) -> tuple[Parts, exp.Expr]:
    """Return the CTEs up to activity — the keys, users, is_active, was_active — and the condition of having entered.

    Of a series, users of the same pattern of active buckets are counted together.
    """
    people, active, activity = asked.cte("people"), asked.cte("active_users"), asked.cte("activity")
    flags = ("is_active", "was_active")
    parts = _people(asked, entry)
    if _has_whole_buckets(asked) and len(_buckets(asked)) <= MOST_BITS:
        return [*parts, *_patterns(asked, leaf)], exp.EQ(this=col("entered_in"), expression=col("bucket_number"))
    parts += _activity(asked, leaf, active)
    shown = select_from(active, columns((*asked.keys, *flags, "entered_on")))
    shown.append("expressions", named(whole(1), "users"))
    parts.append((activity, join(shown, people, "INNER", equal(active, people, ("user_id",)))))
    if asked.grain is None:
        return parts, inside(asked.period, "entered_on")
    entered_on = asked.shift(col("entered_on")) if asked.shift else col("entered_on")
    return parts, exp.EQ(this=bucket_expression(entered_on, asked.grain), expression=col(str(asked.grain)))


def _has_whole_buckets(asked: Asked) -> bool:
    """Say whether a bucket of the series is the same days as when the next one is held against it: none is cut at its start."""
    grain, start = asked.grain, asked.period.start
    return grain is not None and asked.shift is None and start == bucket_start(start, grain)


def _buckets(asked: Asked) -> list[DateRange]:
    """Return the buckets of a series, and before them the one that the first is held against."""
    assert asked.grain is not None
    return list(buckets(DateRange(buckets_before(asked).start, asked.period.end), asked.grain))


def _patterns(asked: Asked, leaf: Leaf) -> Parts:
    """Return a series' activity in one scan: a user's active buckets as the bits of a number, equal ones together."""
    assert asked.grain is not None
    grain, all_buckets = asked.grain, _buckets(asked)
    people, patterns, numbers = asked.cte("people"), asked.cte("activity_patterns"), asked.cte("bucket_numbers")
    users, activity = asked.cte("active_buckets"), asked.cte("activity")
    origin = date_literal(all_buckets[0].start)
    rows = asked.plain_rows(leaf, {"active_on": day_of}, DateRange(all_buckets[0].start, asked.period.end))
    bits = bits_of(units_between(origin.copy(), col("active_on"), grain))
    rows_name = asked.cte("active_days")
    folded = grouped(select_from(rows_name, [col("user_id"), named(bits, "active_in")]), ("user_id",))
    dimensions = tuple(key for key in asked.keys if key != str(grain))
    by = (*dimensions, "entered_in", "active_in")
    entered_in = named(units_between(origin.copy(), col("entered_on"), grain), "entered_in")
    counted = select_from(users, [*columns(dimensions), entered_in, col("active_in"), named(count_of(), "users")])
    join(counted, people, "INNER", equal(users, people, ("user_id",)))
    first = all_buckets[0].start

    before = exp.paren(exp.Sub(this=col("bucket_number"), expression=whole(1)), copy=False)
    series = select_from(patterns, [
        named(unit_later(date_literal(first), col("bucket_number"), grain), str(grain)), *columns(dimensions), col("users"),
        col("entered_in"), col("bucket_number"),
        named(has_bit("active_in", col("bucket_number")), "is_active"), named(has_bit("active_in", before), "was_active"),
    ])  # fmt: skip
    listed = exp.Explode(this=exp.GenerateSeries(start=whole(1), end=whole(len(all_buckets) - 1)))
    return [
        (rows_name, rows),
        (users, folded),
        (patterns, grouped(counted, by)),
        (numbers, exp.Select(expressions=[named(listed, "bucket_number")])),
        (activity, join(series, numbers, "CROSS")),
    ]


def _activity(asked: Asked, leaf: Leaf, activity: str) -> Parts:
    """Return for each user, and bucket of a series, whether they are active in it and were in the one before."""
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
