"""Owns repurchase metrics: who has several rows, who has the next one in time, how far apart they are, who is back."""

from dataclasses import replace
from datetime import timedelta

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer.periods import MONTHS, Compare, DateRange, Grain, bucket_start, compared_period
from wenshu.semantic_layer.sources import Leaf, source_select
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.user_rows import (
    Asked,
    Parts,
    Shift,
    col,
    columns,
    count_of,
    date_later,
    day_of,
    equal,
    grouped,
    in_order,
    inside,
    is_one,
    is_over,
    is_present,
    moment_of,
    negated,
    unit_later,
    units_between,
    whole,
)


def repurchase(asked: Asked, leaf: Leaf, metric: m.Repurchase) -> Parts:
    """Return users and repeat_users by the keys: users with a row in the period, and with at least `times`."""
    per_user, by_user = asked.cte("rows_by_user"), ("user_id", *asked.keys)
    source = asked.keyed_source(leaf, {}, asked.period)
    times = count_of()
    if any(step.doubles for step in source.joins):  # an order is one however many of its items fit
        times = exp.Count(this=exp.Distinct(expressions=[asked.binder.primary_key(leaf.aggregate)]))
    counted = replace(source, aggregates=(("times", times),))
    often = exp.GTE(this=col("times"), expression=whole(metric.times))
    counts = [named(count_of(), f"{leaf.column}_users"), named(count_of(often), f"{leaf.column}_repeat_users")]
    assert tuple(name for name, _ in counted.keys) == by_user
    totals = select_from(per_user, [*columns(asked.keys), *counts])
    return [(per_user, source_select(counted)), ("", grouped(totals, asked.keys))]


# one row after the other -------------------------------------------------------------------------------------------------


def _in_sequence(asked: Asked, leaf: Leaf, functions: dict[str, exp.Expr], name: str, until: DateRange) -> Parts:
    """Return all rows up to a date, as the CTE `name`, with what window functions say of a user's rows in order."""
    rows_name = asked.cte("dated_rows")
    rows = asked.flagged_rows(leaf, {"row_on": day_of, "row_at": moment_of}, until)
    windows = [named(in_order(function, "row_at"), given) for given, function in functions.items()]
    shown = [*columns(("user_id", "row_on", "is_kept", *asked.keys)), *windows]
    return [(rows_name, rows), (asked.cte(name), select_from(rows_name, shown))]


def repurchase_within(asked: Asked, leaf: Leaf, metric: m.RepurchaseWithin) -> Parts:
    """Return cohort, repeat users and left_out by the keys: first-time users of the period, whose second row came in time."""
    windows: dict[str, exp.Expr] = {"next_on": exp.Lead(this=col("row_on")), "place": exp.RowNumber()}
    until = DateRange(asked.history.start, max(asked.binder.as_of, asked.history.start))
    parts = _in_sequence(asked, leaf, windows, "numbered_rows", until)
    over = is_over(asked, col("row_on"), metric.days)
    in_time = exp.LTE(this=col("next_on"), expression=unit_later(col("row_on"), metric.days))
    counts = [
        named(count_of(over), f"{leaf.column}_cohort"),
        named(count_of(exp.and_(over.copy(), in_time)), f"{leaf.column}_repeat_users"),
        named(count_of(negated(over.copy())), f"{leaf.column}_left_out"),
    ]
    totals = select_from(asked.cte("numbered_rows"), [*columns(asked.keys), *counts])
    totals.where(is_one(col("place")), inside(asked.period, "row_on"), col("is_kept"), copy=False)
    return [*parts, ("", grouped(totals, asked.keys))]


def interval(asked: Asked, leaf: Leaf) -> Parts:
    """Return the median and the number of the gaps between consecutive rows of one user, dated by the later one."""
    windows: dict[str, exp.Expr] = {"previous_on": exp.Lag(this=col("row_on"))}
    parts = _in_sequence(asked, leaf, windows, "consecutive_rows", asked.history)
    values = [
        named(exp.Median(this=units_between(col("previous_on"), col("row_on"))), f"{leaf.column}_median"),
        named(count_of(None, col("previous_on")), f"{leaf.column}_gaps"),
    ]
    totals = select_from(asked.cte("consecutive_rows"), [*columns(asked.keys), *values])
    totals.where(is_present(col("previous_on")), inside(asked.period, "row_on"), col("is_kept"), copy=False)
    return [*parts, ("", grouped(totals, asked.keys))]


# this period and the one before ------------------------------------------------------------------------------------------


def period_return(asked: Asked, leaf: Leaf) -> Parts:
    """Return the users of the period before and those of them who are there in the period itself."""
    before_name, now_name = asked.cte("users_before"), asked.cte("users_now")
    if asked.grain is None:
        before = asked.keyed_rows(leaf, {}, period_before(asked))
        now = asked.plain_rows(leaf, {}, asked.period)
        same = ["user_id"]
    else:
        before = replace(asked, shift=into_next_bucket(asked)).keyed_rows(leaf, {}, buckets_before(asked))
        now = replace(asked, dimensions=(), filters=None).keyed_rows(leaf, {}, asked.period)
        same = ["user_id", str(asked.grain)]
    counts = [
        named(count_of(), f"{leaf.column}_users_before"),
        named(count_of(None, col("user_id", table=now_name)), f"{leaf.column}_users_back"),
    ]
    totals = select_from(before_name, [*columns(asked.keys, before_name), *counts])
    join(totals, now_name, "LEFT", equal(before_name, now_name, same))
    return [
        (before_name, before.distinct(copy=False)),
        (now_name, now.distinct(copy=False)),
        ("", grouped(totals, asked.keys)),
    ]


def period_before(asked: Asked) -> DateRange:
    """Return the dates of the period before, with a caveat where the data do not reach back to them."""
    before, start = compared_period(asked.period, Compare.PREVIOUS, asked.to_date), asked.binder.data_start
    part = Text("in part only", "只有部分数据") if start <= before.end else Text("not at all", "没有数据")
    caveat = Text(
        f"The data begin on {start}: the period before ({before}) is covered {part.en}.",
        f"数据从 {start} 开始，上一期（{before}）{part.zh}。",
    )
    if before.start < start and caveat not in asked.binder.caveats:
        asked.binder.caveats.append(caveat)
    return before


def buckets_before(asked: Asked) -> DateRange:
    """Return the dates of the buckets before each of the period's, whole ones."""
    assert asked.grain is not None
    first, last = bucket_start(asked.period.start, asked.grain), bucket_start(asked.period.end, asked.grain)
    return DateRange(date_later(first, -1, asked.grain), last - timedelta(days=1))


def into_next_bucket(asked: Asked) -> Shift:
    """Return the shift that moves a row into the bucket after its own, on top of the comparison's."""
    assert asked.grain is not None
    grain, outer = asked.grain, asked.shift
    number, unit = (MONTHS[grain], "MONTH") if grain in MONTHS else (7 if grain is Grain.WEEK else 1, "DAY")

    def shift(time: exp.Expr) -> exp.Expr:
        start = exp.TimestampTrunc(this=outer(time) if outer else time, unit=exp.var(str(grain).upper()))
        return exp.Add(this=start, expression=exp.Interval(this=exp.Literal.string(str(number)), unit=exp.var(unit)))

    return shift
