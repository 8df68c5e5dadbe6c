"""Owns paths: how often users go through each sequence of consecutive events, with no long pause between two of them.

One look at a user's rows in order gives each row those after it, or before it where only the last step is asked for;
no rows are joined and no sessions numbered, since a sequence lies within one session where none of its pauses is long.
"""

from datetime import timedelta

from sqlglot import exp

from wenshu.semantic_layer import metrics as m
from wenshu.semantic_layer.behaviour_keys import ARROW, PATH
from wenshu.semantic_layer.conditions import date_literal
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.row_scope import Row, RowColumn
from wenshu.semantic_layer.sources import Leaf
from wenshu.semantic_layer.sql_tree import named, select_from
from wenshu.semantic_layer.user_rows import (
    Asked,
    Parts,
    col,
    columns,
    count_of,
    date_later,
    grouped,
    in_order,
    is_present,
    moment_of,
    whole,
)


def path(asked: Asked, leaf: Leaf, metric: m.Paths) -> Parts:
    """Return times, users and share by the keys and the path; a path has the keys of the row it is dated by."""
    backwards = metric.start is None and metric.end is not None  # the row that a path is dated by is its last
    steps, rows, taken, paths = range(metric.steps), asked.cte("event_rows"), asked.cte("steps"), asked.cte("paths")
    dated_at = f"step_{metric.steps if backwards else 1}_at"
    reach = -(-metric.gap * (metric.steps - 1) // (24 * 60))  # days that a path may reach beyond the period
    span = DateRange(
        date_later(asked.period.start, -reach if backwards else 0),
        min(max(asked.binder.as_of, asked.period.end), date_later(asked.period.end, 0 if backwards else reach)),
    )
    found = asked.flagged_rows(leaf, {"step_at": moment_of, "step": value_of_dimension(asked, metric.dimension)}, span)
    present = select_from(rows, [exp.Star()]).where(is_present(col("step")), copy=False)
    shown = select_from(taken, columns(("user_id", "is_kept", *asked.keys)))
    for n in steps:
        shown.append("expressions", named(_beside("step", n, metric, backwards), f"step_{n + 1}"))
    for n in steps:
        shown.append("expressions", named(_beside("step_at", n, metric, backwards), f"step_{n + 1}_at"))
    conditions: list[exp.Expr] = [
        exp.GTE(this=col(dated_at), expression=date_literal(asked.period.start)),
        exp.LT(this=col(dated_at), expression=date_literal(asked.period.end + timedelta(days=1))),
        col("is_kept"),
    ]
    if metric.start is not None:
        conditions.append(_is_step(1, metric.start))
    ways = _ways(metric)
    conditions.append(exp.or_(*(condition.copy() for _, condition in ways), copy=False))
    keys = (*asked.keys, PATH) if asked.own_key else asked.keys
    counted = select_from(paths, [
        *columns(asked.keys),
        *([named(_first_of(ways), PATH)] if asked.own_key else []),
        named(count_of(), f"{leaf.column}_times"),
        named(exp.Count(this=exp.Distinct(expressions=[col("user_id")])), f"{leaf.column}_distinct_users"),
        named(share_of(count_of(), columns(asked.keys)), f"{leaf.column}_share"),
    ]).where(*conditions, copy=False)  # fmt: skip
    return [(rows, found), (taken, present), (paths, shown), ("", grouped(counted, keys))]


def value_of_dimension(asked: Asked, name: str) -> RowColumn:
    """Return the column of a row's value of a dimension, as text."""

    def column(row: Row) -> exp.Expr:
        dimension, joins = asked.binder.dimension(name, row.scope.aggregate)
        row.scope.join(joins)
        return exp.cast(row.scope.bind_dimension(dimension), "TEXT")

    return column


def share_of(count: exp.Expr, keys: list[exp.Expr]) -> exp.Expr:
    """Return a count of a group as a share of those of all groups with the same keys."""
    total = exp.Window(this=exp.Sum(this=count.copy()), partition_by=keys)
    return exp.Div(this=count, expression=total)


def _beside(column: str, n: int, metric: m.Paths, backwards: bool) -> exp.Expr:
    """Return the value of a path's step, counted from 0, from the row that the path is dated by."""
    away = metric.steps - 1 - n if backwards else n
    if not away:
        return col(column)
    function = exp.Lag if backwards else exp.Lead
    return in_order(function(this=col(column), offset=whole(away)), "step_at")


def _follows(n: int, gap: int) -> exp.Expr:
    """Return the condition that step n + 1 comes no later than the gap allows after the step before."""
    pause = exp.Interval(this=exp.Literal.string(str(gap)), unit=exp.var("MINUTE"))
    return exp.LTE(this=col(f"step_{n + 1}_at"), expression=exp.Add(this=col(f"step_{n}_at"), expression=pause))


def _is_step(n: int, value: str) -> exp.Expr:
    return exp.EQ(this=col(f"step_{n}"), expression=exp.Literal.string(value))


def _ways(metric: m.Paths) -> list[tuple[exp.Expr, exp.Expr]]:
    """Return each length a path may have, as its text and its condition: the one asked for, or up to the first end."""
    lengths = range(2, metric.steps + 1) if metric.start and metric.end else [metric.steps]
    found: list[tuple[exp.Expr, exp.Expr]] = []
    for length in lengths:
        conditions: list[exp.Expr] = [_follows(n, metric.gap) for n in range(1, length)]
        if metric.end is not None:
            conditions.append(_is_step(length, metric.end))
        found.append((_joined(length), exp.and_(*conditions, copy=False)))
    return found


def _first_of(ways: list[tuple[exp.Expr, exp.Expr]]) -> exp.Expr:
    """Return the text of the shortest path there is."""
    if len(ways) == 1:
        return ways[0][0]
    case = exp.Case()
    for text, condition in ways:
        case = case.when(condition, text)
    return case


def _joined(steps: int) -> exp.Expr:
    """Return the steps of a path as one text."""
    text: exp.Expr = col("step_1")
    for n in range(2, steps + 1):
        arrow = exp.DPipe(this=text, expression=exp.Literal.string(ARROW), safe=True)
        text = exp.DPipe(this=arrow, expression=col(f"step_{n}"), safe=True)
    return text
