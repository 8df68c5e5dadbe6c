"""Owns funnels: who takes the steps within the window that opens with the user's first step 1 of the period.

All later steps of a dataset are gathered in one pass over its rows, as one sorted list of moments a user and step; each
step is then the earliest of its moments from the step before on. A strict funnel has a list of all of a dataset's rows
too, and a step is not taken where more rows than repeats of the step before lie between. In any order, the window opens
with the first row of any step, and the steps are the moments at which one, two and more of them have been taken.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, time, timedelta

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.row_scope import Row, RowColumn
from wenshu.semantic_layer.sources import Leaf
from wenshu.semantic_layer.sql_tree import join, named, select_from
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
    microseconds_between,
    moment_of,
    negated,
    only,
    unnested,
    whole,
)

MICROSECONDS_PER_HOUR = "3600000000.0"
UNITS = {"HOUR": timedelta(hours=1), "MINUTE": timedelta(minutes=1), "SECOND": timedelta(seconds=1)}


def funnel(asked: Asked, leaf: Leaf, metric: m.Funnel) -> Parts:
    """Return entered, converted and left_out by the keys or, by step, the users of each step and of the one before."""
    entries = asked.cte("entries")
    parts = _entries(asked, leaf, metric)
    later = range(1 if metric.order != "ordered" else 2, len(metric.steps) + 1)
    lists: dict[int, str] = {}  # of each step that may follow, the number of the first step like it
    for number in later:
        lists[number] = f"times_{next(n for n in later if metric.steps[number - 1].repeats(metric.steps[n - 1]))}"
    shown = columns(("user_id", *asked.keys, "step_1"), entries)
    tables: list[str] = []
    every: list[str] = []  # the lists of all rows of a dataset
    for dataset in dict.fromkeys(metric.steps[n - 1].rows.dataset for n in later):
        numbers = [
            n for n, name in lists.items() if name == f"times_{n}" and metric.steps[n - 1].rows.dataset == dataset
        ]
        rows, times = asked.cte(f"{dataset}_after_entry"), asked.cte(f"{dataset}_times")
        names = [f"times_{n}" for n in numbers]
        if metric.order == "strict":
            every.append(f"all_times_{len(every) + 1}")
            names.append(every[-1])
        parts += [(rows, _later_rows(asked, metric, numbers)), (times, _times(asked, metric, rows, names))]
        tables.append(times)
        shown += columns(names, times)
    head = asked.cte("later_steps")
    gathered = select_from(entries, shown)
    for table in tables:
        join(gathered, table, "LEFT", equal(entries, table, ("user_id",)))
    parts.append((head, gathered))
    if metric.order == "any":
        parts += _taken(asked, metric, lists)
        head = parts[-1][0]
    for number in range(2, len(metric.steps) + 1) if metric.order != "any" else ():
        reached = asked.cte(f"reached_step_{number}")
        moment = _moment_of_step(metric, number, lists[number])
        if metric.order == "strict":
            moment = _only_after(moment, number, lists[number - 1], every)
        parts.append((reached, select_from(head, [exp.Star(), named(moment, f"step_{number}")])))
        head = reached
    over = _is_over(asked, metric)
    if asked.own_key == FUNNEL_STEP:
        return [*parts, *_by_step(asked, leaf, metric, head, over)]
    counts = [
        named(count_of(over), f"{leaf.column}_entered"),
        named(count_of(over.copy(), col(f"step_{len(metric.steps)}")), f"{leaf.column}_converted"),
        named(count_of(negated(over.copy())), f"{leaf.column}_left_out"),
    ]
    return [*parts, ("", grouped(select_from(head, [*columns(asked.keys), *counts]), asked.keys))]


def _entries(asked: Asked, leaf: Leaf, metric: m.Funnel) -> Parts:
    """Return each user's first row of the period that opens the window, as the CTE entries with its moment, step_1."""
    leaves = [replace(leaf, aggregate=rows) for rows in metric.entries]
    if len(leaves) == 1:
        return asked.first_kept_rows(leaves[0], {"step_1": moment_of}, "step_1", "entries")
    parts: Parts = []
    firsts: list[exp.Query] = []
    for place, own in enumerate(leaves):
        name = f"{own.aggregate.dataset}_entries"
        parts += asked.first_kept_rows(own, {"step_1": moment_of}, "step_1", name)
        shown = [*columns(("user_id", *asked.keys, "step_1")), named(whole(place), "place")]
        firsts.append(select_from(asked.cte(name), shown))
    order = exp.Order(expressions=[exp.Ordered(this=col("step_1")), exp.Ordered(this=col("place"))])
    number = exp.Window(this=exp.RowNumber(), partition_by=[col("user_id")], order=order)
    union = exp.union(*firsts, distinct=False, copy=False).subquery("first_rows", copy=False)
    first = select_from(union, [exp.Star()]).qualify(is_one(number), copy=False)
    return [*parts, (asked.cte("entries"), first)]


def _is_over(asked: Asked, metric: m.Funnel) -> exp.Expr:
    """Return the condition that a user's window is over by the last complete day."""
    end = datetime.combine(date_later(asked.binder.as_of, 1), time()) - metric.within
    return exp.LT(this=col("step_1"), expression=exp.cast(exp.Literal.string(str(end)), "TIMESTAMP"))


def _later_rows(asked: Asked, metric: m.Funnel, numbers: list[int]) -> exp.Select:
    """Return the rows of one dataset that may be later steps, each with which of them it is; in strict order, all rows."""
    rows = [metric.steps[n - 1].rows for n in numbers]
    until = min(asked.binder.as_of, date_later(asked.period.end, metric.within.days + 1))
    span = DateRange(asked.period.start, max(until, asked.period.start))
    wanted: dict[str, RowColumn] = {"step_at": moment_of}
    if len(rows) == 1 and metric.order != "strict":
        return asked.plain_rows(Leaf(column="steps", aggregate=rows[0], filters=None), wanted, span)
    conditions = [(aggregate.where or exp.true()).copy() for aggregate in rows]
    of_dataset = replace(
        rows[0], where=None if metric.order == "strict" else exp.or_(*(condition.copy() for condition in conditions))
    )
    wanted |= {f"is_step_{n}": _meets(condition) for n, condition in zip(numbers, conditions, strict=True)}
    return asked.plain_rows(Leaf(column="steps", aggregate=of_dataset, filters=None), wanted, span)


def _meets(condition: exp.Expr) -> RowColumn:
    def column(row: Row) -> exp.Expr:
        return row.scope.bind(condition, row.scope.aggregate.dataset)

    return column


def _times(asked: Asked, metric: m.Funnel, rows: str, names: list[str]) -> exp.Select:
    """Return for each user who entered the sorted moments of each step, or of all rows, inside the user's window."""
    entries = asked.cte("entries")
    end = exp.Add(this=col("step_1", table=entries), expression=_interval(metric.within))
    in_window = exp.Between(this=col("step_at", table=rows), low=col("step_1", table=entries), high=end)

    def listed(name: str) -> exp.Expr:
        moments: exp.Expr = exp.ArrayAgg(this=col("step_at"))
        if len(names) > 1 and name.startswith("times_"):
            moments = only(moments, col(name.replace("times_", "is_step_")))
        return named(exp.ArraySort(this=moments, nulls_first=exp.false()), name)

    select = select_from(rows, [col("user_id", table=entries), *map(listed, names)])
    join(select, entries, "INNER", [*equal(entries, rows, ("user_id",)), in_window])
    return grouped(select, ("user_id",))


def _interval(window: timedelta) -> exp.Interval:
    unit, size = next((unit, size) for unit, size in UNITS.items() if not window % size)
    return exp.Interval(this=exp.Literal.string(str(window // size)), unit=exp.var(unit))


def _taken(asked: Asked, metric: m.Funnel, lists: dict[int, str]) -> Parts:
    """Return the moments at which one, two and more of the steps have been taken, in whatever order."""
    firsts = []
    for number, times in lists.items():
        nth = sum(metric.steps[number - 1].repeats(step) for step in metric.steps[:number])
        firsts.append(_element(col(times), whole(nth)))
    moments = exp.ArraySort(this=exp.Array(expressions=firsts), nulls_first=exp.false())
    sorted_moments = select_from(asked.cte("later_steps"), [exp.Star(), named(moments, "moments")])
    steps = [named(_element(col("moments"), whole(n)), f"step_{n}") for n in range(2, len(metric.steps) + 1)]
    counted = select_from(asked.cte("steps_in_order"), [exp.Star(), *steps])
    return [(asked.cte("steps_in_order"), sorted_moments), (asked.cte("steps_taken"), counted)]


def _element(values: exp.Expr, place: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="LIST_EXTRACT", expressions=[values, place])


def _only_after(moment: exp.Expr, number: int, times_before: str, every: list[str]) -> exp.Expr:
    """Return the moment of a step, unless a row lies between that is no repeat of the step before."""
    before, row = col(f"step_{number - 1}"), exp.to_identifier("moment")

    def between(times: str) -> exp.Expr:
        inside = exp.and_(exp.GT(this=row.copy(), expression=before.copy()), exp.LT(this=row.copy(), expression=moment.copy()))
        found = exp.ArrayFilter(this=col(times), expression=exp.Lambda(this=inside, expressions=[row.copy()]))
        return exp.Coalesce(this=exp.ArraySize(this=found), expressions=[whole(0)])

    rows = between(every[0])
    for times in every[1:]:
        rows = exp.Add(this=rows, expression=between(times))
    return exp.Case().when(exp.EQ(this=rows, expression=between(times_before)), moment)


def _moment_of_step(metric: m.Funnel, number: int, times: str) -> exp.Expr:
    """Return the moment of a step: the earliest of its times from the step before on.

    Of the times at that very moment, those already taken by steps like it are passed over.
    """
    before, moment = col(f"step_{number - 1}"), exp.to_identifier("moment")
    since = exp.GTE(this=moment.copy(), expression=before)
    fitting = exp.ArrayFilter(this=col(times), expression=exp.Lambda(this=since, expressions=[moment]))
    place: exp.Expr = whole(1)
    for n in range(1, number):
        if metric.steps[number - 1].repeats(metric.steps[n - 1]):
            taken = exp.cast(exp.EQ(this=col(f"step_{n}"), expression=before.copy()), "INT")
            place = exp.Add(this=place, expression=exp.Coalesce(this=taken, expressions=[whole(0)]))
    return _element(fitting, place)


def _by_step(asked: Asked, leaf: Leaf, metric: m.Funnel, head: str, over: exp.Expr) -> Parts:
    """Return one row a step: users, those of step 1 and of the step before, and the median wait since the step before."""
    counted, numbers = asked.cte("step_counts"), range(1, len(metric.steps) + 1)

    def wait(number: int) -> exp.Expr:
        passed = microseconds_between(col(f"step_{number - 1}"), col(f"step_{number}"))
        return only(exp.Median(this=passed), over.copy())

    def each(names: Iterable[str], suffix: str) -> exp.Expr:
        return unnested(columns(names), f"{leaf.column}_{suffix}")

    counts = [
        *(named(count_of(over.copy(), col(f"step_{n}")), f"users_{n}") for n in numbers),
        *(named(wait(n), f"wait_{n}") for n in numbers[1:]),
        named(count_of(negated(over.copy())), "left_out"),
    ]
    hours = [exp.Div(this=col(f"wait_{n}"), expression=exp.Literal.number(MICROSECONDS_PER_HOUR)) for n in numbers[1:]]
    final = select_from(counted, [
        *columns(asked.keys),
        unnested((exp.Literal.string(name) for name, _ in metric.stages), FUNNEL_STEP),
        each((f"users_{n}" for n in numbers), "converted"),
        named(col("users_1"), f"{leaf.column}_entered"),
        each((f"users_{max(n - 1, 1)}" for n in numbers), "step_before"),
        named(col("left_out"), f"{leaf.column}_left_out"),
        unnested([exp.null(), *hours], f"{leaf.column}_median_hours"),
        unnested(map(whole, numbers), f"{leaf.column}_place"),
    ])  # fmt: skip
    return [(counted, grouped(select_from(head, [*columns(asked.keys), *counts]), asked.keys)), ("", final)]
