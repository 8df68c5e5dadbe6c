"""Owns funnels: who takes the steps in order within the window that opens with the user's first step 1 of the period.

All later steps of a dataset are gathered in one pass over its rows, as one sorted list of moments a user and step; each
step is then the earliest of its moments from the step before on.
"""

from collections.abc import Iterable

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
    is_over,
    microseconds_between,
    moment_of,
    negated,
    only,
    unnested,
    whole,
)

MICROSECONDS_PER_HOUR = "3600000000.0"


def funnel(asked: Asked, leaf: Leaf, metric: m.Funnel) -> Parts:
    """Return entered, converted and left_out by the keys or, by step, the users of each step and of the one before."""
    entries = asked.cte("entries")
    parts = asked.first_kept_rows(leaf, {"step_1": moment_of}, "step_1", "entries")
    lists: dict[int, str] = {}  # of each later step, the number of the first step like it
    for number, step in enumerate(metric.steps[1:], start=2):
        alike = (n for n, other in enumerate(metric.steps[1:], start=2) if step.repeats(other))
        lists[number] = f"times_{next(alike)}"
    shown = columns(("user_id", *asked.keys, "step_1"), entries)
    tables: list[str] = []
    for dataset in dict.fromkeys(step.rows.dataset for step in metric.steps[1:]):
        numbers = [
            n for n, name in lists.items() if name == f"times_{n}" and metric.steps[n - 1].rows.dataset == dataset
        ]
        rows, times = asked.cte(f"{dataset}_after_entry"), asked.cte(f"{dataset}_times")
        parts += [(rows, _later_rows(asked, metric, numbers)), (times, _times(asked, metric, rows, numbers))]
        tables.append(times)
        shown += columns((f"times_{n}" for n in numbers), times)
    head = asked.cte("later_steps")
    gathered = select_from(entries, shown)
    for table in tables:
        join(gathered, table, "LEFT", equal(entries, table, ("user_id",)))
    parts.append((head, gathered))
    for number, times in lists.items():
        reached = asked.cte(f"reached_step_{number}")
        moment = named(_moment_of_step(metric, number, times), f"step_{number}")
        parts.append((reached, select_from(head, [exp.Star(), moment])))
        head = reached
    over = is_over(asked, exp.cast(col("step_1"), "DATE"), metric.days)
    if asked.own_key == FUNNEL_STEP:
        return [*parts, *_by_step(asked, leaf, metric, head, over)]
    counts = [
        named(count_of(over), f"{leaf.column}_entered"),
        named(count_of(over.copy(), col(f"step_{len(metric.steps)}")), f"{leaf.column}_converted"),
        named(count_of(negated(over.copy())), f"{leaf.column}_left_out"),
    ]
    return [*parts, ("", grouped(select_from(head, [*columns(asked.keys), *counts]), asked.keys))]


def _later_rows(asked: Asked, metric: m.Funnel, numbers: list[int]) -> exp.Select:
    """Return the rows of one dataset that may be later steps, each with which of them it is."""
    rows = [metric.steps[n - 1].rows for n in numbers]
    until = min(asked.binder.as_of, date_later(asked.period.end, metric.days + 1))
    span = DateRange(asked.period.start, max(until, asked.period.start))
    wanted: dict[str, RowColumn] = {"step_at": moment_of}
    if len(rows) == 1:
        return asked.plain_rows(Leaf(column="steps", aggregate=rows[0], filters=None), wanted, span)
    conditions = [(aggregate.where or exp.true()).copy() for aggregate in rows]
    any_of_them = m.Aggregate(
        name="steps", label=metric.label, aggregation=m.Aggregation.COUNT, dataset=rows[0].dataset,
        where=exp.or_(*(condition.copy() for condition in conditions)),
    )  # fmt: skip
    wanted |= {f"is_step_{n}": _meets(condition) for n, condition in zip(numbers, conditions, strict=True)}
    return asked.plain_rows(Leaf(column="steps", aggregate=any_of_them, filters=None), wanted, span)


def _meets(condition: exp.Expr) -> RowColumn:
    def column(row: Row) -> exp.Expr:
        return row.scope.bind(condition, row.scope.aggregate.dataset)

    return column


def _times(asked: Asked, metric: m.Funnel, rows: str, numbers: list[int]) -> exp.Select:
    """Return for each user who entered the sorted moments of each step inside the user's window."""
    entries = asked.cte("entries")
    end = exp.Add(
        this=col("step_1", table=entries),
        expression=exp.Interval(this=exp.Literal.string(str(metric.days * 24)), unit=exp.var("HOUR")),
    )
    in_window = exp.Between(this=col("step_at", table=rows), low=col("step_1", table=entries), high=end)

    def listed(number: int) -> exp.Expr:
        moments: exp.Expr = exp.ArrayAgg(this=col("step_at"))
        if len(numbers) > 1:
            moments = only(moments, col(f"is_step_{number}"))
        return named(exp.ArraySort(this=moments, nulls_first=exp.false()), f"times_{number}")

    select = select_from(rows, [col("user_id", table=entries), *map(listed, numbers)])
    join(select, entries, "INNER", [*equal(entries, rows, ("user_id",)), in_window])
    return grouped(select, ("user_id",))


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
    return exp.Anonymous(this="LIST_EXTRACT", expressions=[fitting, place])


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
        unnested((exp.Literal.string(step.name) for step in metric.steps), FUNNEL_STEP),
        each((f"users_{n}" for n in numbers), "converted"),
        named(col("users_1"), f"{leaf.column}_entered"),
        each((f"users_{max(n - 1, 1)}" for n in numbers), "step_before"),
        named(col("left_out"), f"{leaf.column}_left_out"),
        unnested([exp.null(), *hours], f"{leaf.column}_median_hours"),
        unnested(map(whole, numbers), f"{leaf.column}_place"),
    ])  # fmt: skip
    return [(counted, grouped(select_from(head, [*columns(asked.keys), *counts]), asked.keys)), ("", final)]
