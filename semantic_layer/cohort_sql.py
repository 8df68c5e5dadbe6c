"""Owns retention and lifetime value: who entered when, and what they did in the periods after.

Only entries whose period after is over are counted; those whose is not are counted apart, as left out.
"""

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer.behaviour_keys import PERIOD_NUMBER
from wenshu.semantic_layer.conditions import date_literal
from wenshu.semantic_layer.periods import DateRange, Grain, bucket_start
from wenshu.semantic_layer.row_scope import RowColumn
from wenshu.semantic_layer.sources import Leaf
from wenshu.semantic_layer.sql_tree import join, named, select_from
from wenshu.semantic_layer.user_rows import (
    MOST_BITS,
    Asked,
    Parts,
    bits_of,
    col,
    columns,
    count_of,
    date_later,
    day_of,
    equal,
    equal_keys,
    grouped,
    has_bit,
    is_over,
    later,
    moment_of,
    negated,
    spans_between,
    sum_of,
    unit_later,
    unit_of,
    units_between,
    unnested,
    value_of,
    whole,
)


def _cohort(asked: Asked, leaf: Leaf, unit: Grain, *, first: bool, hours: bool = False) -> Parts:
    """Return the CTEs of a cohort: user_id, entered_on (and entered_at) and the keys, one row an entry."""
    cohort = asked.cte("cohort")
    wanted: dict[str, RowColumn] = {"entered_on": unit_of(unit)}
    if hours:
        wanted["entered_at"] = moment_of
    if asked.binder.model.dataset_by_name[leaf.aggregate.dataset].entity:  # one row a user is its own first
        return [(cohort, asked.keyed_rows(leaf, wanted, asked.period))]
    if first:
        parts = asked.first_rows(leaf, wanted, "first_entries", asked.history)
        started = exp.GTE(this=col("started_at"), expression=date_literal(asked.period.start))
        entries = select_from(asked.cte("first_entries"), columns(("user_id", *wanted, *asked.keys)))
        return [*parts, (cohort, entries.where(started, col("is_kept"), copy=False))]
    rows = asked.keyed_rows(leaf, wanted, asked.period)
    if not hours:
        return [(cohort, rows.distinct(copy=False))]
    names = ("user_id", "entered_on", *asked.keys)
    entries = select_from(asked.cte("entries"), [*columns(names), named(exp.Min(this=col("entered_at")), "entered_at")])
    return [(asked.cte("entries"), rows), (cohort, grouped(entries, names))]


# retention ---------------------------------------------------------------------------------------------------------------


def retention(asked: Asked, leaf: Leaf, metric: m.Retention) -> Parts:
    """Return cohort, retained and left_out by the keys and, where asked, by the number of the period after entry.

    A range that begins on the day of entry begins with the start row: what came earlier that day is not after it.
    """
    curve = asked.own_key == PERIOD_NUMBER
    from_entry = metric.mode == "within" and metric.low == 0 and metric.step is Grain.DAY and not metric.hours
    parts = _cohort(asked, leaf, metric.step, first=metric.first, hours=metric.hours or from_entry)
    cohort, activity, returned = asked.cte("cohort"), asked.cte("activity"), asked.cte("returned_users")
    low = 0 if curve and metric.mode != "within" else metric.low
    until = (
        date_later(asked.period.end, metric.high + 1, metric.step) if metric.high is not None else asked.binder.as_of
    )
    span = DateRange(bucket_start(asked.period.start, metric.step), min(asked.binder.as_of, until))
    active: dict[str, RowColumn] = {"active_at": moment_of} if metric.hours else {"active_on": unit_of(metric.step)}
    if from_entry:
        active["active_at"] = moment_of
    parts += _activity(asked, metric, active, span)
    conditions = [*equal(cohort, activity, ("user_id",)), *_came_back(metric, cohort, activity, low)]
    if from_entry:
        conditions.append(exp.GTE(this=col("active_at", table=activity), expression=col("entered_at", table=cohort)))
    entry: tuple[str, ...] = ("user_id", "entered_on", *(("entered_at",) if metric.hours or from_entry else ()))
    if metric.first or asked.binder.model.dataset_by_name[leaf.aggregate.dataset].entity:  # a user enters once
        entry = ("user_id",)
    if curve:
        entry = tuple(dict.fromkeys((*entry, *_needed_entry(metric))))
        number_after = _number_after(metric, cohort, activity)
        if _as_bits(metric):
            names = (*entry, *asked.keys)
            rows = select_from(activity, [*columns(names, cohort), named(bits_of(number_after), "periods")])
            parts.append((returned, grouped(join(rows, cohort, "INNER", conditions), names)))
            return [*parts, *_curve(asked, leaf, metric, entry)]
        shown = [*columns((*entry, *asked.keys), cohort), named(number_after, PERIOD_NUMBER)]
        parts.append((returned, join(select_from(activity, shown), cohort, "INNER", conditions).distinct(copy=False)))
        return [*parts, *_curve(asked, leaf, metric, entry)]
    users = join(select_from(activity, columns(entry, cohort)), cohort, "INNER", conditions)
    parts.append((returned, users.distinct(copy=False)))
    number = metric.low if metric.high is None else metric.high
    over = is_over(asked, col("entered_at" if metric.hours else "entered_on", table=cohort), number, metric.step)
    counts = [
        named(count_of(over), f"{leaf.column}_cohort"),
        named(count_of(over.copy(), col("user_id", table=returned)), f"{leaf.column}_retained"),
        named(count_of(negated(over.copy())), f"{leaf.column}_left_out"),
    ]
    totals = select_from(cohort, [*columns(asked.keys, cohort), *counts])
    join(totals, returned, "LEFT", equal(cohort, returned, entry))
    return [*parts, ("", grouped(totals, asked.keys))]


def _activity(asked: Asked, metric: m.Retention, active: dict[str, RowColumn], span: DateRange) -> Parts:
    """Return the rows of activity, where several a unit are asked for as one row a unit that has as many."""
    rows = asked.plain_rows(asked.binder.leaf(metric.back), active, span)
    if metric.times == 1:
        return [(asked.cte("activity"), rows)]
    often = exp.GTE(this=exp.Count(this=exp.Star()), expression=whole(metric.times))
    units = grouped(select_from(asked.cte("activity_rows"), columns(("user_id", *active))), ("user_id", *active))
    units.set("having", exp.Having(this=often))
    return [(asked.cte("activity_rows"), rows), (asked.cte("activity"), units)]


def retention_on_units(asked: Asked, leaves: tuple[Leaf, ...]) -> Parts:
    """Return what `retention` does for metrics of one cohort that differ in the one unit after entry only, from one join."""
    metrics = [(leaf.column, leaf.behaviour) for leaf in leaves if isinstance(leaf.behaviour, m.Retention)]
    _, metric = metrics[0]
    numbers = sorted({each.low for _, each in metrics})
    cohort, due, activity, returned = map(asked.cte, ("cohort", "due_units", "activity", "returned_users"))
    until = date_later(asked.period.end, numbers[-1] + 1, metric.step)
    span = DateRange(bucket_start(asked.period.start, metric.step), min(asked.binder.as_of, until))
    parts = _cohort(asked, leaves[0], metric.step, first=metric.first)
    entry, place = ("user_id", "entered_on"), asked.cte("period_numbers")
    due_on = unit_later(col("entered_on"), col(PERIOD_NUMBER), metric.step)
    units = select_from(cohort, [*columns((*entry, PERIOD_NUMBER)), named(due_on, "due_on")])
    parts += [
        (place, exp.Select(expressions=[unnested(map(whole, numbers), PERIOD_NUMBER)])),
        (due, join(units, place, "CROSS")),
        *_activity(asked, metric, {"active_on": unit_of(metric.step)}, span),
    ]

    def is_back(number: int) -> exp.Expr:
        return exp.Max(this=exp.EQ(this=col(PERIOD_NUMBER), expression=whole(number)))

    flags = select_from(activity, [*columns(entry, due), *(named(is_back(n), f"is_back_{n}") for n in numbers)])
    same = exp.EQ(this=col("active_on", table=activity), expression=col("due_on", table=due))
    parts.append((returned, grouped(join(flags, due, "INNER", [*equal(due, activity, ("user_id",)), same]), entry)))
    counts = []
    for column, each in metrics:
        over = is_over(asked, col("entered_on", table=cohort), each.low, metric.step)
        counts += [
            named(count_of(over), f"{column}_cohort"),
            named(count_of(exp.and_(over, col(f"is_back_{each.low}"))), f"{column}_retained"),
            named(count_of(negated(over.copy())), f"{column}_left_out"),
        ]
    totals = select_from(cohort, [*columns(asked.keys, cohort), *counts])
    return [*parts, ("", grouped(join(totals, returned, "LEFT", equal(cohort, returned, entry)), asked.keys))]


def _as_bits(metric: m.Retention) -> bool:
    """Say whether the periods in which a user came back fit into the bits of one number."""
    return metric.mode == "on" and metric.high is not None and metric.high < MOST_BITS


def _came_back(metric: m.Retention, cohort: str, activity: str, low: int) -> list[exp.Expr]:
    """Return the conditions that an activity lies `low` to `metric.high` units after entry."""
    high = metric.high
    if metric.hours:
        entered, active = col("entered_at", table=cohort), col("active_at", table=activity)
        out: list[exp.Expr] = [exp.GTE(this=active, expression=later(entered, low) if low else entered)]
        if high is not None:
            out.append(exp.LT(this=active.copy(), expression=later(entered.copy(), high + 1)))
        return out
    if low == high:  # an equality is part of the join's hash
        entered, active = col("entered_on", table=cohort), col("active_on", table=activity)
        return [exp.EQ(this=active, expression=unit_later(entered, low, metric.step) if low else entered)]
    number = _number_after(metric, cohort, activity)
    if high is None:
        return [exp.GTE(this=number, expression=whole(low))]
    return [exp.Between(this=number, low=whole(low), high=whole(high))]


def _number_after(metric: m.Retention, cohort: str, activity: str) -> exp.Expr:
    if metric.hours:
        return spans_between(col("entered_at", table=cohort), col("active_at", table=activity))
    return units_between(col("entered_on", table=cohort), col("active_on", table=activity), metric.step)


def _needed_entry(metric: m.Retention) -> tuple[str, ...]:
    """Return the column of a returned user that says which periods are over, none where being active on a day says so."""
    if metric.hours:
        return ("entered_at",)
    return () if metric.step is Grain.DAY and metric.mode != "within" else ("entered_on",)


def _curve(asked: Asked, leaf: Leaf, metric: m.Retention, entry: tuple[str, ...]) -> Parts:
    """Return the counts for every period after entry; an entry counts where that period is over for it.

    A user counts in period n who came back in n or, in the other modes, in n or later, or by n.
    """
    cohort, returned = asked.cte("cohort"), asked.cte("returned_users")
    entered = "entered_at" if metric.hours else "entered_on"
    sizes, numbers = asked.cte("cohort_sizes"), asked.cte("period_numbers")
    observed, retained = asked.cte("observed_cohorts"), asked.cte("retained_users")
    by_entry, by_number = (*asked.keys, entered), (*asked.keys, PERIOD_NUMBER)
    low, high = _numbers_of(metric)
    parts: Parts = [
        (sizes, grouped(select_from(cohort, [*columns(by_entry), named(count_of(), "users")]), by_entry)),
        (numbers, _series(low, high)),
    ]
    over = is_over(asked, col(entered), col(PERIOD_NUMBER), metric.step)
    sums = select_from(sizes, [
        *columns(by_number),
        named(sum_of(col("users"), over), f"{leaf.column}_cohort"),
        named(sum_of(col("users"), negated(over.copy())), f"{leaf.column}_left_out"),
    ])  # fmt: skip
    parts.append((observed, grouped(join(sums, numbers, "CROSS"), by_number)))
    if _as_bits(metric):  # users of one entry who came back in the same periods are counted together
        patterns, names = asked.cte("return_patterns"), (*asked.keys, *_needed_entry(metric), "periods")
        alike = select_from(returned, [*columns(names), named(count_of(), "users")])
        parts.append((patterns, grouped(alike, names)))
        users = select_from(patterns, [*columns(by_number), named(exp.Sum(this=col("users")), "users")])
        join(users, numbers, "INNER", [has_bit("periods", col(PERIOD_NUMBER))])
    elif metric.mode == "on":
        users = select_from(returned, [*columns(by_number), named(count_of(), "users")])
    else:
        reached, extreme = asked.cte("furthest_returns"), exp.Max if metric.mode == "on_or_after" else exp.Min
        names = (*entry, *asked.keys)
        most = select_from(returned, [*columns(names), named(extreme(this=col(PERIOD_NUMBER)), "reached")])
        parts.append((reached, grouped(most, names)))
        users = select_from(reached, [*columns(by_number), named(count_of(), "users")])
        fits = exp.LTE if metric.mode == "on_or_after" else exp.GTE
        join(users, numbers, "INNER", [fits(this=col(PERIOD_NUMBER), expression=col("reached"))])
    if _needed_entry(metric):
        users.where(over.copy(), copy=False)
    parts.append((retained, grouped(users, by_number)))
    found = exp.Coalesce(this=col("users", table=retained), expressions=[whole(0)])
    final = select_from(observed, [
        *columns((*by_number, f"{leaf.column}_cohort"), observed), named(found, f"{leaf.column}_retained"),
        col(f"{leaf.column}_left_out", table=observed),
    ])  # fmt: skip
    return [*parts, ("", join(final, retained, "LEFT", equal_keys(observed, retained, by_number)))]


def _numbers_of(metric: m.Retention) -> tuple[int, int]:
    """Return the first and the last period of a metric's curve."""
    if metric.mode == "within":
        return metric.low, metric.low if metric.high is None else metric.high
    return 0, metric.low


def _series(low: int, high: int) -> exp.Select:
    series = exp.Explode(this=exp.GenerateSeries(start=whole(low), end=whole(high)))
    return exp.Select(expressions=[named(series, PERIOD_NUMBER)])


# lifetime value ----------------------------------------------------------------------------------------------------------


def lifetime_value(asked: Asked, leaf: Leaf, metric: m.LifetimeValue) -> Parts:
    """Return cohort, amount and left_out by the keys and, where asked, by the day after entry up to which it is summed."""
    parts = _cohort(asked, leaf, Grain.DAY, first=metric.first, hours=not metric.first)
    cohort, spending = asked.cte("cohort"), asked.cte("spending")
    span = DateRange(asked.period.start, min(asked.binder.as_of, date_later(asked.period.end, metric.days)))
    spent: dict[str, RowColumn] = {"spent_on": day_of, "amount": value_of}
    if not metric.first:
        spent["spent_at"] = moment_of
    parts.append((spending, asked.plain_rows(asked.binder.leaf(metric.value), spent, span)))
    if asked.own_key == PERIOD_NUMBER:
        return [*parts, *_value_curve(asked, leaf, metric)]
    sizes, amounts = asked.cte("cohort_sizes"), asked.cte("cohort_amounts")
    over = is_over(asked, col("entered_on"), metric.days)
    counts = [
        named(count_of(over), f"{leaf.column}_cohort"),
        named(count_of(negated(over.copy())), f"{leaf.column}_left_out"),
    ]
    parts.append((sizes, grouped(select_from(cohort, [*columns(asked.keys), *counts]), asked.keys)))
    summed = select_from(cohort, [*columns(asked.keys, cohort), named(exp.Sum(this=col("amount")), "amount")])
    join(summed, spending, "INNER", _spent_by(asked, metric)).where(over.copy(), copy=False)
    parts.append((amounts, grouped(summed, asked.keys)))
    total = exp.Coalesce(this=col("amount", table=amounts), expressions=[whole(0)])
    final = select_from(sizes, [
        *columns((*asked.keys, f"{leaf.column}_cohort"), sizes), named(total, f"{leaf.column}_amount"),
        col(f"{leaf.column}_left_out", table=sizes),
    ])  # fmt: skip
    return [
        *parts,
        ("", join(final, amounts, "LEFT" if asked.keys else "CROSS", equal_keys(sizes, amounts, asked.keys))),
    ]


def _spent_by(asked: Asked, metric: m.LifetimeValue) -> list[exp.Expr]:
    cohort, spending = asked.cte("cohort"), asked.cte("spending")
    entered, spent = col("entered_on", table=cohort), col("spent_on", table=spending)
    within = exp.Between(this=units_between(entered, spent), low=whole(0), high=whole(metric.days))
    spends = [*equal(cohort, spending, ("user_id",)), within]
    if not metric.first:  # what was spent earlier on the day of an assignment is not after it
        spends.append(exp.GTE(this=col("spent_at", table=spending), expression=col("entered_at", table=cohort)))
    return spends


def _value_curve(asked: Asked, leaf: Leaf, metric: m.LifetimeValue) -> Parts:
    """Return the counts for every day after entry, with the amount of all days up to it."""
    cohort, spending, sizes = asked.cte("cohort"), asked.cte("spending"), asked.cte("cohort_sizes")
    daily, numbers, running = asked.cte("spent_by_day"), asked.cte("period_numbers"), asked.cte("running_amounts")
    by_entry, by_number = (*asked.keys, "entered_on"), (*asked.keys, PERIOD_NUMBER)
    after = units_between(col("entered_on", table=cohort), col("spent_on", table=spending))
    days = select_from(spending, [
        *columns(by_entry, cohort), named(after, PERIOD_NUMBER), named(exp.Sum(this=col("amount")), "amount"),
    ])  # fmt: skip
    days = grouped(join(days, cohort, "INNER", _spent_by(asked, metric)), (*by_entry, PERIOD_NUMBER))
    amount = exp.Window(
        this=exp.Sum(this=exp.Coalesce(this=col("amount", table=daily), expressions=[whole(0)])),
        partition_by=columns(by_entry, sizes),
        order=exp.Order(expressions=[exp.Ordered(this=col(PERIOD_NUMBER, table=numbers))]),
    )
    rows = select_from(sizes, [
        *columns((*by_entry, "users"), sizes), col(PERIOD_NUMBER, table=numbers), named(amount, "amount"),
    ])  # fmt: skip
    join(rows, numbers, "CROSS")
    join(rows, daily, "LEFT", [*equal_keys(sizes, daily, by_entry), *equal(numbers, daily, (PERIOD_NUMBER,))])
    over = is_over(asked, col("entered_on"), col(PERIOD_NUMBER))
    final = select_from(running, [
        *columns(by_number),
        named(sum_of(col("users"), over), f"{leaf.column}_cohort"),
        named(sum_of(col("amount"), over.copy()), f"{leaf.column}_amount"),
        named(sum_of(col("users"), negated(over.copy())), f"{leaf.column}_left_out"),
    ])  # fmt: skip
    sized = select_from(cohort, [*columns(by_entry), named(count_of(), "users")])
    return [
        (sizes, grouped(sized, by_entry)), (daily, days), (numbers, _series(0, metric.days)), (running, rows),
        ("", grouped(final, by_number)),
    ]  # fmt: skip
