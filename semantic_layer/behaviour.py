"""Owns behavioural metrics as bound sources: each becomes a few named CTEs and one SELECT of counts by the query's keys.

Every user is looked at once per step: rows of a cohort, rows of what they did later, one join, one fold. A count is
never divided here; the metric's value is a quotient of the counts (`metric_sql`), so that groups pool as they should.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import assert_never

from sqlglot import exp

from wenshu.semantic_layer import model as m
from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS, FUNNEL_STEP, LIFECYCLE_STAGE, PERIOD_NUMBER
from wenshu.semantic_layer.binder import Binder, Leaf, Row, RowColumn, Source, source_select
from wenshu.semantic_layer.conditions import date_literal
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.periods import MONTHS, Compare, DateRange, Grain, add_months, bucket_start, compared_period
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.time_parts import bucket_expression

Shift = Callable[[exp.Expression], exp.Expression]
col = exp.column
KEYS_OF: dict[type, str] = {
    m.Retention: PERIOD_NUMBER,
    m.LifetimeValue: PERIOD_NUMBER,
    m.Funnel: FUNNEL_STEP,
    m.Lifecycle: LIFECYCLE_STAGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Hold what a behavioural metric is asked for: by which keys, over which rows, and how its CTEs are called."""

    binder: Binder
    dimensions: tuple[str, ...]
    own_key: str | None
    grain: Grain | None
    period: DateRange
    to_date: Grain | None
    filters: Filter | None
    shift: Shift | None
    prefix: str
    taken: frozenset[str]

    @property
    def keys(self) -> tuple[str, ...]:
        return ((str(self.grain),) if self.grain else ()) + self.dimensions

    @property
    def as_of(self) -> exp.Expression:
        return date_literal(self.binder.as_of)

    def cte(self, name: str) -> str:
        """Return the name of a CTE, apart from those of other metrics and from every table's."""
        full = f"{self.prefix}{name}"
        return f"{full}_of_users" if full in self.taken else full


def behaviour_source(asked: Asked, leaf: Leaf) -> Source:
    """Bind one behavioural metric as a source whose aggregates are its counts.

    Raises `QueryError` where a key does not belong to the metric or a dimension does not fit its start rows.
    """
    metric = leaf.behaviour
    assert metric is not None
    wanted = KEYS_OF.get(type(metric))
    if asked.own_key is not None and asked.own_key != wanted:
        label = BEHAVIOUR_KEYS[asked.own_key].label
        raise QueryError(
            "not_joinable",
            Text(f"{metric.label.en} has no {label.en}.", f"{metric.label.zh}没有{label.zh}。"),
            Text("Leave it out, or ask for a metric that has it.", "请去掉它，或改用支持它的指标。"),
        )
    match metric:
        case m.Retention():
            parts = _retention(asked, leaf, metric)
        case m.Repurchase():
            parts = _repurchase(asked, leaf, metric)
        case m.RepurchaseWithin():
            parts = _repurchase_within(asked, leaf, metric)
        case m.PeriodReturn():
            parts = _period_return(asked, leaf, metric)
        case m.Interval():
            parts = _interval(asked, leaf, metric)
        case m.LifetimeValue():
            parts = _lifetime_value(asked, leaf, metric)
        case m.Funnel():
            parts = _funnel(asked, leaf, metric)
        case m.Lifecycle():
            parts = _lifecycle(asked, leaf, metric)
        case m.AverageOver():
            parts = _average_over(asked, leaf, metric)
        case _:
            assert_never(metric)
    *before, (_, select) = parts
    names = tuple(
        name for name in (s.alias_or_name for s in select.selects) if name not in (*asked.keys, asked.own_key)
    )
    return Source(
        dataset=asked.binder.model.dataset_by_name[leaf.aggregate.dataset], joins=(), keys=(), where=(),
        aggregates=tuple((name, col(name)) for name in names), before=tuple(before), select=select, name=f"{leaf.column}_totals",
    )  # fmt: skip


Parts = list[tuple[str, exp.Select]]


# what the metrics are made of ------------------------------------------------------------------------------------------


def _rows(
    asked: Asked, leaf: Leaf, columns: dict[str, RowColumn], *,
    keyed: bool, period: DateRange | None, kept: bool = True,
) -> exp.Select:  # fmt: skip
    """Return the rows of an aggregate as SELECT user_id, columns, keys: each column from the row's time and value."""
    source = asked.binder.rows(
        leaf, columns, asked.dimensions if keyed else (), asked.grain if keyed else None, period,
        asked.filters if kept else None, asked.shift if keyed else None,
    )  # fmt: skip
    return source_select(source)


def _day(row: Row) -> exp.Expression:
    return exp.cast(row.time.copy(), "DATE")


def _moment(row: Row) -> exp.Expression:
    return exp.cast(row.time.copy(), "TIMESTAMP")


def _value(row: Row) -> exp.Expression:
    return row.value.copy()


def _unit_start(unit: Grain) -> RowColumn:
    return lambda row: bucket_expression(row.time.copy(), unit)


def _plus(day: exp.Expression, number: int | exp.Expression, unit: Grain = Grain.DAY) -> exp.Expression:
    """Return the date `number` units later."""
    name = "DAY" if unit in (Grain.DAY, Grain.WEEK) else "MONTH"
    size = 7 if unit is Grain.WEEK else MONTHS.get(unit, 1)
    if isinstance(number, int):
        span: exp.Expression = exp.Interval(this=exp.Literal.string(str(number * size)), unit=exp.var(name))
    else:
        one = exp.Interval(this=exp.Literal.string(str(size)), unit=exp.var(name))
        span = exp.Mul(this=number, expression=one)
    return exp.cast(exp.Add(this=day, expression=span), "DATE")


def _apart(earlier: exp.Expression, later: exp.Expression, unit: Grain = Grain.DAY) -> exp.Expression:
    """Return how many units `later` is after `earlier`."""
    return exp.DateDiff(this=later, expression=earlier, unit=exp.var(str(unit).upper()))


def _number(value: int) -> exp.Expression:
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))


def _count(condition: exp.Expression | None = None, of: exp.Expression | None = None) -> exp.Expression:
    counted = exp.Count(this=of if of is not None else exp.Star())
    return exp.Filter(this=counted, expression=exp.Where(this=condition)) if condition is not None else counted


def _sum(value: exp.Expression, condition: exp.Expression | None = None) -> exp.Expression:
    summed: exp.Expression = exp.Sum(this=value)
    if condition is not None:
        summed = exp.Filter(this=summed, expression=exp.Where(this=condition))
    return exp.Coalesce(this=summed, expressions=[_number(0)])


def _grouped(select: exp.Select, keys: tuple[str, ...]) -> exp.Select:
    return select.group_by(*(exp.Literal.number(i + 1) for i in range(len(keys))), copy=False) if keys else select


def _keys(asked: Asked, table: str | None = None) -> list[exp.Expression]:
    return [col(name, table=table) for name in asked.keys]


def _same(left: str, right: str, names: tuple[str, ...]) -> list[exp.Expression]:
    return [exp.EQ(this=col(name, table=left), expression=col(name, table=right)) for name in names]


def _same_keys(left: str, right: str, names: tuple[str, ...]) -> list[exp.Expression]:
    return [exp.NullSafeEQ(this=col(name, table=left), expression=col(name, table=right)) for name in names]


def _first_rows(asked: Asked, rows: exp.Select, order: str, base: str) -> Parts:
    """Return each user's first row of `rows`, by `order` and then by the row's key."""
    ranked = asked.cte(f"{base}_rows")
    window = exp.Window(
        this=exp.RowNumber(), partition_by=[col("user_id")],
        order=exp.Order(expressions=[exp.Ordered(this=col(order)), exp.Ordered(this=col("row_key"))]),
    )  # fmt: skip
    first = select_from(ranked, [exp.Star()]).qualify(exp.EQ(this=window, expression=_number(1)), copy=False)
    return [(ranked, rows), (asked.cte(base), first)]


def _numbers(asked: Asked, most: int) -> tuple[str, exp.Select]:
    series = exp.Explode(this=exp.GenerateSeries(start=_number(0), end=_number(most)))
    return asked.cte("period_numbers"), exp.Select(expressions=[named(series, PERIOD_NUMBER)])


def _whole_period(asked: Asked) -> DateRange:
    """Return the dates from the first that any row can have to the period's end."""
    return DateRange(date(1900, 1, 1), asked.period.end)


# retention and lifetime value -----------------------------------------------------------------------------------------


def _cohort(asked: Asked, leaf: Leaf, unit: Grain, first: bool, hours: bool = False) -> Parts:
    """Return the CTEs of a cohort: user_id, entered_on (and entered_at) and the keys, one row an entry."""
    dataset = asked.binder.model.dataset_by_name[leaf.aggregate.dataset]
    columns: dict[str, RowColumn] = {"entered_on": _unit_start(unit)}
    if hours:
        columns["entered_at"] = _moment
    shown = ["user_id", *columns, *asked.keys]
    if dataset.entity:  # one row a user: it is its own first
        return [(asked.cte("cohort"), _rows(asked, leaf, columns, keyed=True, period=asked.period))]
    if not first:
        rows = _rows(asked, leaf, columns, keyed=True, period=asked.period)
        return [(asked.cte("cohort"), rows.distinct(copy=False))]
    columns["started_at"] = _moment
    columns["row_key"] = asked.binder.row_key(leaf.aggregate)
    columns["is_kept"] = asked.binder.kept(asked.filters)
    rows = _rows(asked, leaf, columns, keyed=True, period=_whole_period(asked), kept=False)
    parts = _first_rows(asked, rows, "started_at", "first_entries")
    inside = [exp.GTE(this=col("started_at"), expression=date_literal(asked.period.start)), col("is_kept")]
    return [
        *parts,
        (asked.cte("cohort"), select_from(asked.cte("first_entries"), map(col, shown)).where(*inside, copy=False)),
    ]


def _retention(asked: Asked, leaf: Leaf, metric: m.Retention) -> Parts:
    """Return cohort, retained and left_out by the keys and, where asked, by the number of the period after entry."""
    parts = _cohort(asked, leaf, metric.step, metric.first, metric.hours)
    cohort, activity, returned = asked.cte("cohort"), asked.cte("activity"), asked.cte("returned_users")
    curve = asked.own_key == PERIOD_NUMBER
    low, high = (0, metric.high if metric.high is not None else metric.low) if curve else (metric.low, metric.high)
    back = asked.binder.leaf(metric.back)
    until = date.max if high is None else _later(asked.period.end, high + 1, metric.step)
    span = DateRange(asked.period.start, min(asked.binder.as_of, until))
    columns = {"active_at": _moment} if metric.hours else {"active_on": _unit_start(metric.step)}
    parts.append((activity, _rows(asked, back, columns, keyed=False, period=span, kept=False)))
    if metric.hours:
        after: exp.Expression = _day_number(col("entered_at", table=cohort), col("active_at", table=activity))
    else:
        after = _apart(col("entered_on", table=cohort), col("active_on", table=activity), metric.step)
    conditions = _same(cohort, activity, ("user_id",))
    if not curve and low == high and not metric.hours:
        due = _plus(col("entered_on", table=cohort), low, metric.step)
        conditions.append(exp.EQ(this=col("active_on", table=activity), expression=due))
    elif high is None:
        conditions.append(exp.GTE(this=after.copy(), expression=_number(low)))
    else:
        conditions.append(exp.Between(this=after.copy(), low=_number(low), high=_number(high)))
    entry = ("user_id", "entered_on", *(("entered_at",) if metric.hours else ()))
    shown = [*(col(name, table=cohort) for name in (*entry, *(asked.keys if curve else ())))]
    if curve:
        shown.append(named(after.copy(), PERIOD_NUMBER))
    parts.append((returned, join(select_from(activity, shown), cohort, "INNER", conditions).distinct(copy=False)))
    if curve:
        return [*parts, *_curve(asked, metric, high or 0)]
    mature = _mature(asked, col("entered_on", table=cohort), high if high is not None else low, metric.step)
    counts = [
        named(_count(mature.copy()), f"{leaf.column}_cohort"),
        named(_count(mature.copy(), col("user_id", table=returned)), f"{leaf.column}_retained"),
        named(_count(exp.Not(this=exp.paren(mature))), f"{leaf.column}_left_out"),
    ]
    totals = join(
        select_from(cohort, [*_keys(asked, cohort), *counts]), returned, "LEFT", _same(cohort, returned, entry)
    )
    return [*parts, ("", _grouped(totals, asked.keys))]


def _day_number(start: exp.Expression, end: exp.Expression) -> exp.Expression:
    """Return how many whole spans of 24 hours lie between two moments."""
    seconds = exp.DateDiff(this=end, expression=start, unit=exp.var("SECOND"))
    return exp.cast(exp.Floor(this=exp.Div(this=seconds, expression=exp.Literal.number("86400.0"))), "BIGINT")


def _later(day: date, units: int, unit: Grain) -> date:
    try:
        if unit in MONTHS:
            return add_months(day, units * MONTHS[unit])
        return day + timedelta(days=units * (7 if unit is Grain.WEEK else 1))
    except (OverflowError, ValueError):
        return date.max


def _mature(asked: Asked, entered_on: exp.Expression, number: int | exp.Expression, unit: Grain) -> exp.Expression:
    """Return the condition that the period `number` after entry is over by `as_of`."""
    if unit is Grain.DAY:
        return exp.LTE(this=_plus(entered_on, number), expression=asked.as_of)
    following = number + 1 if isinstance(number, int) else exp.paren(exp.Add(this=number, expression=_number(1)))
    return exp.LTE(this=_plus(entered_on, following, unit), expression=_plus(asked.as_of, 1))


def _curve(asked: Asked, metric: m.Retention, most: int) -> Parts:
    """Return the counts for every period after entry; a cohort counts where that period is over for it."""
    cohort, returned, sizes = asked.cte("cohort"), asked.cte("returned_users"), asked.cte("cohort_sizes")
    numbers = asked.cte("period_numbers")
    prefix = metric.name
    by_entry = (*asked.keys, "entered_on")
    sized = _grouped(select_from(cohort, [*map(col, by_entry), named(_count(), "users")]), by_entry)
    mature = _mature(asked, col("entered_on"), col(PERIOD_NUMBER), metric.step)
    by_number = (*asked.keys, PERIOD_NUMBER)
    observed = select_from(sizes, [*map(col, by_number), named(_sum(col("users"), mature.copy()), f"{prefix}_cohort"),
                                   named(_sum(col("users"), exp.Not(this=exp.paren(mature.copy()))), f"{prefix}_left_out")])  # fmt: skip
    observed = _grouped(join(observed, numbers, "CROSS"), by_number)
    kept = select_from(returned, [*map(col, by_number), named(_count(), "users")]).where(mature.copy(), copy=False)
    observed_name, retained_name = asked.cte("observed_cohorts"), asked.cte("retained_users")
    zero = exp.Coalesce(this=col("users", table=retained_name), expressions=[_number(0)])
    final = select_from(observed_name, [
        *(col(name, table=observed_name) for name in by_number),
        col(f"{prefix}_cohort", table=observed_name), named(zero, f"{prefix}_retained"), col(f"{prefix}_left_out", table=observed_name),
    ])  # fmt: skip
    join(final, retained_name, "LEFT", _same_keys(observed_name, retained_name, by_number))
    return [
        (sizes, sized),
        _numbers(asked, most),
        (observed_name, observed),
        (retained_name, _grouped(kept, by_number)),
        ("", final),
    ]


def _lifetime_value(asked: Asked, leaf: Leaf, metric: m.LifetimeValue) -> Parts:
    """Return cohort, amount and left_out by the keys and, where asked, by the day after entry up to which it is summed."""
    parts = _cohort(asked, leaf, Grain.DAY, True)
    cohort, spending, spent = asked.cte("cohort"), asked.cte("spending"), asked.cte("spent_by_user")
    value = asked.binder.leaf(metric.value)
    span = DateRange(asked.period.start, min(asked.binder.as_of, _later(asked.period.end, metric.days, Grain.DAY)))
    columns = {"spent_on": _day, "amount": _value}
    parts.append((spending, _rows(asked, value, columns, keyed=False, period=span, kept=False)))
    after = _apart(col("entered_on", table=cohort), col("spent_on", table=spending))
    inside = [
        *_same(cohort, spending, ("user_id",)),
        exp.Between(this=after, low=_number(0), high=_number(metric.days)),
    ]
    if asked.own_key == PERIOD_NUMBER:
        return [*parts, *_value_curve(asked, leaf, metric, after, inside)]
    by_user = select_from(spending, [col("user_id", table=cohort), named(exp.Sum(this=col("amount")), "amount")])
    parts.append((spent, _grouped(join(by_user, cohort, "INNER", inside), ("user_id",))))
    mature = _mature(asked, col("entered_on", table=cohort), metric.days, Grain.DAY)
    counts = [
        named(_count(mature.copy()), f"{leaf.column}_cohort"),
        named(_sum(col("amount", table=spent), mature.copy()), f"{leaf.column}_amount"),
        named(_count(exp.Not(this=exp.paren(mature.copy()))), f"{leaf.column}_left_out"),
    ]
    totals = join(
        select_from(cohort, [*_keys(asked, cohort), *counts]), spent, "LEFT", _same(cohort, spent, ("user_id",))
    )
    return [*parts, ("", _grouped(totals, asked.keys))]


def _value_curve(
    asked: Asked, leaf: Leaf, metric: m.LifetimeValue, after: exp.Expression, inside: list[exp.Expression]
) -> Parts:
    cohort, spending, sizes, daily = (
        asked.cte("cohort"),
        asked.cte("spending"),
        asked.cte("cohort_sizes"),
        asked.cte("spent_by_day"),
    )
    numbers, grid = asked.cte("period_numbers"), asked.cte("running_amounts")
    by_entry = (*asked.keys, "entered_on")
    sized = _grouped(select_from(cohort, [*map(col, by_entry), named(_count(), "users")]), by_entry)
    by_day = (*by_entry, PERIOD_NUMBER)
    days = select_from(
        spending,
        [
            *(col(n, table=cohort) for n in by_entry),
            named(after.copy(), PERIOD_NUMBER),
            named(exp.Sum(this=col("amount")), "amount"),
        ],
    )
    days = _grouped(join(days, cohort, "INNER", [c.copy() for c in inside]), by_day)
    running = exp.Window(
        this=exp.Sum(this=exp.Coalesce(this=col("amount", table=daily), expressions=[_number(0)])),
        partition_by=[col(n, table=sizes) for n in by_entry],
        order=exp.Order(expressions=[exp.Ordered(this=col(PERIOD_NUMBER, table=numbers))]),
    )  # fmt: skip
    rows = select_from(
        sizes,
        [
            *(col(n, table=sizes) for n in by_entry),
            col(PERIOD_NUMBER, table=numbers),
            col("users", table=sizes),
            named(running, "amount"),
        ],
    )
    join(rows, numbers, "CROSS")
    join(rows, daily, "LEFT", [*_same_keys(sizes, daily, by_entry), *_same(numbers, daily, (PERIOD_NUMBER,))])
    mature = _mature(asked, col("entered_on"), col(PERIOD_NUMBER), Grain.DAY)
    by_number = (*asked.keys, PERIOD_NUMBER)
    final = select_from(grid, [
        *map(col, by_number),
        named(_sum(col("users"), mature.copy()), f"{leaf.column}_cohort"),
        named(_sum(col("amount"), mature.copy()), f"{leaf.column}_amount"),
        named(_sum(col("users"), exp.Not(this=exp.paren(mature.copy()))), f"{leaf.column}_left_out"),
    ])  # fmt: skip
    return [(sizes, sized), (daily, days), _numbers(asked, metric.days), (grid, rows), ("", _grouped(final, by_number))]


# repurchase -----------------------------------------------------------------------------------------------------------


def _repurchase(asked: Asked, leaf: Leaf, metric: m.Repurchase) -> Parts:
    """Return buyers and repeat_buyers by the keys: users with a row in the period, and with at least `times`."""
    per_user = asked.cte("rows_by_user")
    by_user = (*asked.keys, "user_id")
    rows = asked.binder.rows(leaf, {}, asked.dimensions, asked.grain, asked.period, asked.filters, asked.shift)
    source = replace(
        rows, keys=tuple(sorted(rows.keys, key=lambda key: by_user.index(key[0]))), aggregates=(("times", _count()),)
    )
    counts = [
        named(_count(), f"{leaf.column}_users"),
        named(_count(exp.GTE(this=col("times"), expression=_number(metric.times))), f"{leaf.column}_repeat_users"),
    ]
    return [
        (per_user, source_select(source)),
        ("", _grouped(select_from(per_user, [*_keys(asked), *counts]), asked.keys)),
    ]


def _in_sequence(asked: Asked, leaf: Leaf, extra: dict[str, exp.Expression], name: str) -> Parts:
    """Return all rows of an aggregate up to the period's end, with what window functions say of a user's rows in order."""
    rows_name = asked.cte("dated_rows")
    columns: dict[str, RowColumn] = {
        "row_on": _day, "row_at": _moment, "row_key": asked.binder.row_key(leaf.aggregate), "is_kept": asked.binder.kept(asked.filters),
    }  # fmt: skip
    until = DateRange(date(1900, 1, 1), asked.binder.as_of if name == "first_rows" else asked.period.end)
    rows = _rows(asked, leaf, columns, keyed=True, period=until, kept=False)
    order = exp.Order(expressions=[exp.Ordered(this=col("row_at")), exp.Ordered(this=col("row_key"))])

    def over(function: exp.Expression) -> exp.Expression:
        return exp.Window(this=function, partition_by=[col("user_id")], order=order.copy())

    shown = [
        *map(col, ("user_id", "row_on", "row_at", "is_kept", *asked.keys)),
        *(named(over(f), n) for n, f in extra.items()),
    ]
    return [(rows_name, rows), (asked.cte(name), select_from(rows_name, shown))]


def _repurchase_within(asked: Asked, leaf: Leaf, metric: m.RepurchaseWithin) -> Parts:
    """Return cohort, repeat users and left_out by the keys: first-time users of the period, whose second row came in time."""
    windows: dict[str, exp.Expression] = {"next_on": exp.Lead(this=col("row_on")), "place": exp.RowNumber()}
    parts = _in_sequence(asked, leaf, windows, "first_rows")
    first = asked.cte("first_rows")
    mature = _mature(asked, col("row_on"), metric.days, Grain.DAY)
    in_time = exp.LTE(this=col("next_on"), expression=_plus(col("row_on"), metric.days))
    counts = [
        named(_count(mature.copy()), f"{leaf.column}_cohort"),
        named(_count(exp.and_(mature.copy(), in_time)), f"{leaf.column}_repeat_users"),
        named(_count(exp.Not(this=exp.paren(mature))), f"{leaf.column}_left_out"),
    ]
    totals = select_from(first, [*_keys(asked), *counts]).where(
        exp.EQ(this=col("place"), expression=_number(1)), *_inside(asked, "row_on"), col("is_kept"), copy=False
    )  # fmt: skip
    return [*parts, ("", _grouped(totals, asked.keys))]


def _inside(asked: Asked, column: str) -> list[exp.Expression]:
    return [exp.Between(this=col(column), low=date_literal(asked.period.start), high=date_literal(asked.period.end))]


def _interval(asked: Asked, leaf: Leaf, metric: m.Interval) -> Parts:
    """Return the median and the number of the gaps between consecutive rows of one user, dated by the later one."""
    parts = _in_sequence(asked, leaf, {"previous_on": exp.Lag(this=col("row_on"))}, "consecutive_rows")
    name = asked.cte("consecutive_rows")
    gap = _apart(col("previous_on"), col("row_on"))
    values = [
        named(exp.Median(this=gap), f"{leaf.column}_median"),
        named(_count(None, col("previous_on")), f"{leaf.column}_gaps"),
    ]
    later = exp.Not(this=exp.Is(this=col("previous_on"), expression=exp.null()))
    totals = select_from(name, [*_keys(asked), *values]).where(
        later, *_inside(asked, "row_on"), col("is_kept"), copy=False
    )
    return [*parts, ("", _grouped(totals, asked.keys))]


def _period_return(asked: Asked, leaf: Leaf, metric: m.PeriodReturn) -> Parts:
    """Return the users of the period before and those of them who are there in the period itself."""
    before_name, now_name = asked.cte("users_before"), asked.cte("users_now")
    if asked.grain is None:
        previous = compared_period(asked.period, Compare.PREVIOUS, asked.to_date)
        before = _rows(asked, leaf, {}, keyed=True, period=previous).distinct(copy=False)
        now = _rows(asked, leaf, {}, keyed=False, period=asked.period, kept=False).distinct(copy=False)
        same = ("user_id",)
    else:
        moved = replace(asked, shift=_moved(asked))
        before = _rows(moved, leaf, {}, keyed=True, period=_buckets_before(asked)).distinct(copy=False)
        unfiltered = replace(asked, dimensions=())
        now = _rows(unfiltered, leaf, {}, keyed=True, period=asked.period, kept=False).distinct(copy=False)
        same = ("user_id", str(asked.grain))
    counts = [
        named(_count(), f"{leaf.column}_users_before"),
        named(_count(None, col("user_id", table=now_name)), f"{leaf.column}_users_back"),
    ]
    totals = select_from(before_name, [*_keys(asked, before_name), *counts])
    join(totals, now_name, "LEFT", _same(before_name, now_name, same))
    return [(before_name, before), (now_name, now), ("", _grouped(totals, asked.keys))]


def _buckets_before(asked: Asked) -> DateRange:
    """Return the dates of the buckets before each of the period's, whole ones."""
    assert asked.grain is not None
    first, last = bucket_start(asked.period.start, asked.grain), bucket_start(asked.period.end, asked.grain)
    return DateRange(_later(first, -1, asked.grain), last - timedelta(days=1))


def _moved(asked: Asked) -> Shift:
    """Return the shift that moves a row into the bucket after its own, on top of the comparison's."""
    assert asked.grain is not None
    grain, outer = asked.grain, asked.shift
    months, days = MONTHS.get(grain, 0), 7 if grain is Grain.WEEK else 1

    def shift(time: exp.Expression) -> exp.Expression:
        inner = outer(time) if outer else time
        unit = ("MONTH", months) if months else ("DAY", days)
        start = exp.TimestampTrunc(this=inner, unit=exp.var(str(grain).upper()))
        return exp.Add(
            this=start, expression=exp.Interval(this=exp.Literal.string(str(unit[1])), unit=exp.var(unit[0]))
        )

    return shift


# funnel ---------------------------------------------------------------------------------------------------------------


def _funnel(asked: Asked, leaf: Leaf, metric: m.Funnel) -> Parts:
    """Return entered, converted and left_out by the keys or, by step, users, those of step 1 and of the step before.

    Each later step is the user's earliest row at or after the one before, within the window; all rows of a user are
    gathered once, in lists.
    """
    entries, later = asked.cte("entries"), asked.cte("later_steps")
    columns: dict[str, RowColumn] = {"step_1": _moment, "row_key": asked.binder.row_key(leaf.aggregate)}
    parts = _first_rows(asked, _rows(asked, leaf, columns, keyed=True, period=asked.period), "step_1", "entries")
    until = min(asked.binder.as_of, _later(asked.period.end, metric.days + 1, Grain.DAY))
    span = DateRange(asked.period.start, max(until, asked.period.start))
    gathered: list[str] = []
    tables: dict[int, str] = {}
    for number, step in enumerate(metric.steps[1:], start=2):
        earlier = next(
            (n for n, other in enumerate(metric.steps[1 : number - 1], start=2) if other.rows == step.rows), None
        )
        if earlier is not None:
            tables[number] = tables[earlier]
            continue
        name = asked.cte(f"{step.name}_times")
        step_leaf = Leaf(column=step.name, aggregate=step.rows, filters=None)
        rows = _rows(asked, step_leaf, {"step_at": _moment}, keyed=False, period=span, kept=False)
        gathered_rows = asked.cte(f"{step.name}_rows")
        parts.append((gathered_rows, rows))
        listed = exp.ArraySort(this=exp.ArrayAgg(this=col("step_at")), nulls_first=exp.false())
        parts.append(
            (name, _grouped(select_from(gathered_rows, [col("user_id"), named(listed, "times")]), ("user_id",)))
        )
        tables[number] = name
        gathered.append(name)
    shown = [col(name, table=entries) for name in ("user_id", *asked.keys, "step_1")]
    shown += [named(col("times", table=tables[n]), f"times_{n}") for n in tables]
    gather = select_from(entries, shown)
    for name in gathered:
        join(gather, name, "LEFT", _same(entries, name, ("user_id",)))
    parts.append((later, gather))
    head = later
    for number in range(2, len(metric.steps) + 1):
        walked = asked.cte(f"reached_step_{number}")
        select = select_from(head, [exp.Star(), named(_next_step(metric, number), f"step_{number}")])
        parts.append((walked, select))
        head = walked
    mature = _mature(asked, exp.cast(col("step_1"), "DATE"), metric.days, Grain.DAY)
    if asked.own_key == FUNNEL_STEP:
        return [*parts, *_by_step(asked, leaf, metric, head, mature)]
    last = f"step_{len(metric.steps)}"
    counts = [
        named(_count(mature.copy()), f"{leaf.column}_entered"),
        named(_count(mature.copy(), col(last)), f"{leaf.column}_converted"),
        named(_count(exp.Not(this=exp.paren(mature.copy()))), f"{leaf.column}_left_out"),
    ]
    return [*parts, ("", _grouped(select_from(head, [*_keys(asked), *counts]), asked.keys))]


def _next_step(metric: m.Funnel, number: int) -> exp.Expression:
    """Return the moment of step `number`: the earliest of its times from the step before on, within the window.

    Of equal steps the times already used by earlier ones are passed over.
    """
    times, before = col(f"times_{number}"), col(f"step_{number - 1}")
    limit = exp.Add(
        this=col("step_1"),
        expression=exp.Interval(this=exp.Literal.string(str(metric.days * 24)), unit=exp.var("HOUR")),
    )
    moment = exp.to_identifier("moment")
    inside = exp.and_(
        exp.GTE(this=moment.copy(), expression=before.copy()), exp.LTE(this=moment.copy(), expression=limit)
    )  # fmt: skip
    fitting = exp.ArrayFilter(this=times, expression=exp.Lambda(this=inside, expressions=[moment]))
    used = [
        exp.Coalesce(
            this=exp.cast(exp.EQ(this=col(f"step_{n}"), expression=before.copy()), "INT"), expressions=[_number(0)]
        )
        for n in range(1, number)
        if metric.steps[n - 1].rows == metric.steps[number - 1].rows
    ]
    place: exp.Expression = _number(1)
    for taken in used:
        place = exp.Add(this=place, expression=taken)
    return exp.Anonymous(this="LIST_EXTRACT", expressions=[fitting, place])


def _by_step(asked: Asked, leaf: Leaf, metric: m.Funnel, head: str, mature: exp.Expression) -> Parts:
    steps, counted = asked.cte("steps"), asked.cte("step_counts")
    names = exp.Array(expressions=[exp.Literal.string(step.name) for step in metric.steps])
    places = exp.Array(expressions=[_number(i + 1) for i in range(len(metric.steps))])
    listed = exp.Select(
        expressions=[named(exp.Explode(this=names), FUNNEL_STEP), named(exp.Explode(this=places), "place")]
    )
    by_step = (*asked.keys, FUNNEL_STEP, "place")
    reached, before = exp.Case(this=col("place")), exp.Case(this=col("place"))
    for i in range(1, len(metric.steps) + 1):
        reached = reached.when(_number(i), col(f"step_{i}"))
        if i > 1:
            before = before.when(_number(i), col(f"step_{i - 1}"))
    wait = exp.DateDiff(this=reached.copy(), expression=before, unit=exp.var("SECOND"))
    counts = [
        named(_count(mature.copy(), reached), "users"),
        named(_count(exp.Not(this=exp.paren(mature.copy()))), "left_out"),
        named(exp.Filter(this=exp.Median(this=wait), expression=exp.Where(this=mature.copy())), "wait"),
    ]
    folded = _grouped(join(select_from(head, [*map(col, by_step), *counts]), steps, "CROSS"), by_step)

    def over(function: exp.Expression) -> exp.Expression:
        return exp.Window(
            this=function, partition_by=[*_keys(asked)], order=exp.Order(expressions=[exp.Ordered(this=col("place"))])
        )

    final = select_from(counted, [
        *map(col, (*asked.keys, FUNNEL_STEP)),
        named(col("users"), f"{leaf.column}_converted"),
        named(over(exp.FirstValue(this=col("users"))), f"{leaf.column}_entered"),
        named(exp.Coalesce(this=over(exp.Lag(this=col("users"))), expressions=[col("users")]), f"{leaf.column}_step_before"),
        named(col("left_out"), f"{leaf.column}_left_out"),
        named(exp.Div(this=col("wait"), expression=exp.Literal.number("3600.0")), f"{leaf.column}_median_hours"),
        named(col("place"), f"{leaf.column}_place"),
    ])  # fmt: skip
    return [(steps, listed), (counted, folded), ("", final)]


# lifecycle and averages -----------------------------------------------------------------------------------------------


def _lifecycle(asked: Asked, leaf: Leaf, metric: m.Lifecycle) -> Parts:
    """Return the users of each stage by the keys: active in the period, in the one before, registered in it."""
    activity, staged = asked.cte("activity"), asked.cte("stages")
    entry = asked.binder.leaf(metric.start)
    entity = asked.binder.model.dataset_by_name[entry.aggregate.dataset].name
    people = asked.cte("people")
    plain = replace(asked, grain=None, shift=None)
    people_rows = _rows(replace(plain, prefix=asked.prefix), entry, {"entered_on": _day}, keyed=True, period=None)
    if asked.grain is None:
        previous = compared_period(asked.period, Compare.PREVIOUS, asked.to_date)
        rows = _rows(
            plain,
            leaf,
            {"active_on": _day},
            keyed=False,
            period=DateRange(previous.start, asked.period.end),
            kept=False,
        )
        parts: Parts = [(people, people_rows), (asked.cte("activity_rows"), rows)]
        now = exp.Max(
            this=exp.Between(
                this=col("active_on"), low=date_literal(asked.period.start), high=date_literal(asked.period.end)
            )
        )
        then = exp.Max(
            this=exp.Between(this=col("active_on"), low=date_literal(previous.start), high=date_literal(previous.end))
        )
        flags = select_from(
            asked.cte("activity_rows"), [col("user_id"), named(now, "is_active"), named(then, "was_active")]
        )
        parts.append((activity, _grouped(flags, ("user_id",))))
        entered = exp.Between(
            this=col("entered_on"), low=date_literal(asked.period.start), high=date_literal(asked.period.end)
        )
    else:
        key = str(asked.grain)
        keyed = replace(asked, dimensions=())
        now_rows = _rows(keyed, leaf, {}, keyed=True, period=asked.period, kept=False).distinct(copy=False)
        then_rows = _rows(
            replace(keyed, shift=_moved(asked)), leaf, {}, keyed=True, period=_buckets_before(asked), kept=False
        ).distinct(copy=False)  # fmt: skip
        now_name, then_name = asked.cte("users_now"), asked.cte("users_before")

        def either(name: str) -> exp.Expression:
            return named(exp.Coalesce(this=col(name, table=now_name), expressions=[col(name, table=then_name)]), name)

        def there(table: str) -> exp.Expression:
            return exp.Not(this=exp.Is(this=col("user_id", table=table), expression=exp.null()))

        flags = select_from(
            now_name,
            [
                either("user_id"),
                either(key),
                named(there(now_name), "is_active"),
                named(there(then_name), "was_active"),
            ],
        )
        join(flags, then_name, "FULL", _same(now_name, then_name, ("user_id", key)))
        parts = [(people, people_rows), (now_name, now_rows), (then_name, then_rows), (activity, flags)]
        bucket_of = exp.cast(exp.TimestampTrunc(this=col("entered_on"), unit=exp.var(key.upper())), "DATE")
        entered = exp.EQ(this=bucket_of, expression=col(key))
    stage = (
        exp.Case()
        .when(exp.and_(col("is_active"), entered), exp.Literal.string("new"))
        .when(exp.and_(col("is_active"), col("was_active")), exp.Literal.string("returning"))
        .when(col("is_active"), exp.Literal.string("resurrecting"))
        .else_(exp.Literal.string("dormant"))
    )  # fmt: skip
    select = select_from(people, [*map(col, asked.keys), named(stage, LIFECYCLE_STAGE)])
    join(select, activity, "INNER", _same(people, activity, ("user_id",)))
    select = select.where(exp.or_(col("is_active"), col("was_active")), copy=False)
    parts.append((staged, select))
    keys = (*asked.keys, *((LIFECYCLE_STAGE,) if asked.own_key else ()))
    totals = select_from(staged, [*map(col, keys), named(_count(), f"{leaf.column}_users")])
    if metric.stage is not None:
        totals = totals.where(
            exp.EQ(this=col(LIFECYCLE_STAGE), expression=exp.Literal.string(metric.stage)), copy=False
        )
    assert entity
    return [*parts, ("", _grouped(totals, keys))]


def _average_over(asked: Asked, leaf: Leaf, metric: m.AverageOver) -> Parts:
    """Return the sum of a metric over the buckets of a grain and how many buckets there are, by the keys."""
    per_bucket = asked.cte(f"by_{metric.over}")
    inner = asked.binder.source(
        (Leaf(column="amount", aggregate=leaf.aggregate, filters=leaf.filters),),
        asked.dimensions,
        asked.grain,
        asked.period,
        asked.filters,
        asked.shift,
    )
    stamped = asked.binder.bucketed(leaf.aggregate, metric.over)
    source = replace(inner, keys=(*inner.keys, ("inner_bucket", stamped)))
    values = [
        named(exp.Sum(this=col("amount")), f"{leaf.column}_sum"),
        named(_buckets(asked, metric.over), f"{leaf.column}_buckets"),
    ]
    return [
        (per_bucket, source_select(source)),
        ("", _grouped(select_from(per_bucket, [*_keys(asked), *values]), asked.keys)),
    ]


def _buckets(asked: Asked, over: Grain) -> exp.Expression:
    """Return how many buckets of `over` the period has, or the part of it that a row's own bucket covers."""
    start: exp.Expression = date_literal(asked.period.start)
    end: exp.Expression = date_literal(asked.period.end)
    if asked.grain is not None and asked.shift is None:
        key = col(str(asked.grain))
        start = exp.Greatest(this=exp.Max(this=key), expressions=[start])
        end = exp.Least(this=_plus(_plus(exp.Max(this=key.copy()), 1, asked.grain), -1), expressions=[end])
    return exp.Add(this=_apart(start, end, over), expression=_number(1))
