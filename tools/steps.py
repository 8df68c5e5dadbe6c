"""Owns a funnel as a result holds it: the users at each step, by group, and the step that loses the largest share.

Knows nothing of sentences or charts.
"""

from dataclasses import dataclass, replace

from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.counts import CONVERTED, LEFT_OUT, PLACE, counts_of, keys_beside

MOST_GROUPS = 6  # funnels side by side


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Hold a step: how many users took it, of those at step 1, of those at the step before, and how long after it."""

    label: Text
    users: int
    overall: float | None
    rate: float | None
    hours: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """Hold the steps of one group in order; `left_out` users have time left to go on."""

    keys: tuple[Cell, ...]
    steps: tuple[Step, ...]
    left_out: int

    @property
    def largest_drop(self) -> int | None:
        """Return the position of the step with the lowest conversion from the step before."""
        rates = [(step.rate, at) for at, step in enumerate(self.steps) if at and step.rate is not None]
        return min(rates)[1] if rates else None


def funnels_of(table: ResultTable) -> tuple[Funnel, ...]:
    """Return the funnel of each group, in order of appearance; none where the rows are not whole funnels of one metric."""
    metrics = table.with_role("metric")
    if len(metrics) != 1 or FUNNEL_STEP not in {column.name for column in table.columns}:
        return ()
    counts = counts_of(table, metrics[0].name)
    if not {CONVERTED, PLACE} <= set(counts):
        return ()
    groups: dict[tuple[Cell, ...], dict[int, tuple[Cell, ...]]] = {}
    places = [table.index(column.name) for column in keys_beside(table, FUNNEL_STEP)]
    for row in table.rows:
        at = row[table.index(counts[PLACE].name)]
        if not isinstance(at, int) or not isinstance(row[table.index(counts[CONVERTED].name)], int):
            return ()
        groups.setdefault(tuple(row[place] for place in places), {})[at] = row
    length = max((len(rows) for rows in groups.values()), default=0)
    if length < 2 or any(sorted(rows) != list(range(1, length + 1)) for rows in groups.values()):
        return ()
    return tuple(_funnel(table, keys, [rows[at] for at in sorted(rows)], counts) for keys, rows in groups.items())


def _funnel(
    table: ResultTable, keys: tuple[Cell, ...], rows: list[tuple[Cell, ...]], counts: dict[str, Column]
) -> Funnel:
    def number(row: tuple[Cell, ...], column: Column | None) -> float | None:
        cell = row[table.index(column.name)] if column else None
        return float(cell) if isinstance(cell, int | float) else None

    column, metric = table.column(FUNNEL_STEP), table.with_role("metric")[0]
    cells = [row[table.index(FUNNEL_STEP)] for row in rows]
    steps = tuple(
        Step(
            label=_label(column, cells, at),
            users=int(number(row, counts[CONVERTED]) or 0),
            overall=number(row, metric),
            rate=number(row, counts.get("step_rate")),
            hours=number(row, counts.get("median_hours")),
        )
        for at, row in enumerate(rows)
    )
    return Funnel(keys=keys, steps=steps, left_out=int(number(rows[0], counts.get(LEFT_OUT)) or 0))


def _label(column: Column, cells: list[Cell], at: int) -> Text:
    """Return a step's name; the second of equal steps says that it is."""
    nth = cells[: at + 1].count(cells[at])
    label = Text(column.shown(cells[at], "en"), column.shown(cells[at], "zh"))
    return label if nth == 1 else Text(f"{label.en} ({nth})", f"{label.zh}（{nth}）")


def step_names(table: ResultTable, language: Language) -> tuple[str, ...]:
    """Return the names of a funnel's steps in order."""
    funnels = funnels_of(table)
    return tuple(step.label.in_(language) for step in funnels[0].steps) if funnels else ()


def overall_table(table: ResultTable) -> ResultTable:
    """Return the conversion from the first to the last step by the other keys, with its counts: a rate like any other."""
    funnels = {funnel.keys: funnel for funnel in funnels_of(table)}
    metric = table.with_role("metric")[0]
    first, *_, last = next(iter(funnels.values())).steps
    label = Text(f"conversion from {first.label.en} to {last.label.en}", f"{first.label.zh}到{last.label.zh}的转化率")
    keys, counts = keys_beside(table, FUNNEL_STEP), counts_of(table, metric.name)
    beside = tuple(column for column in table.columns if column.role in ("comparison", "change", "share"))
    entered = Column(
        name=f"{metric.name}_entered",
        role="count",
        type="number",
        label=Text("entered", "进入人数"),
        metric=metric.name,
    )
    kept = (*keys, replace(metric, label=label), *beside, counts[CONVERTED])
    left = (counts[LEFT_OUT],) if LEFT_OUT in counts else ()
    rows = tuple(
        (
            *(row[table.index(column.name)] for column in (*kept, *left)),
            funnels[tuple(row[table.index(key.name)] for key in keys)].steps[0].users,
        )
        for row in table.rows
        if row[table.index(counts[PLACE].name)] == len(next(iter(funnels.values())).steps)
    )
    return replace(table, columns=(*kept, *left, entered), rows=rows)


def shown_funnels(table: ResultTable, language: Language) -> tuple[tuple[Funnel, ...], tuple[str, ...]]:
    """Return the funnels that a picture holds, those with the most users, and what their groups are called."""
    funnels = funnels_of(table)
    largest = set(sorted(range(len(funnels)), key=lambda at: -funnels[at].steps[0].users)[:MOST_GROUPS])
    kept = tuple(funnel for at, funnel in enumerate(funnels) if at in largest)
    columns = keys_beside(table, FUNNEL_STEP)
    names = tuple(
        " · ".join(column.shown(key, language) for column, key in zip(columns, funnel.keys, strict=True))
        for funnel in kept
    )
    return kept, names
