"""Owns what charts by period after entry show: the numbers of curves and the grid of a cohort triangle.

Knows nothing of how they are drawn.
"""

from dataclasses import dataclass, replace

from wenshu.semantic_layer.behaviour_keys import PERIOD_NUMBER
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart_axes import time_tick
from wenshu.tools.chart_data import ChartData, bucket_of, chart_data, time_label
from wenshu.tools.cohorts import MILESTONES, Cohort, Point, cohorts_of, curve_label, is_retention, periods_of
from wenshu.tools.counts import header, period_name, period_unit

MOST_PERIODS = 16  # side by side in a triangle; beyond, round ones stand for all
MOST_COHORTS = 30
MOST_CURVE = 1_001


@dataclass(frozen=True, slots=True, kw_only=True)
class TriangleCell:
    """Hold a cohort's number at a period; `partial` says that some of its users have not come so far."""

    value: float
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TriangleRow:
    """Hold a cohort: its bucket in short and in full, how many entered, a cell a period."""

    label: str
    full_label: str
    size: int | None
    incomplete: bool
    cells: tuple[TriangleCell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Triangle:
    """Hold the grid of cohorts by period; `trivial` is the position of a period that is 100 % by definition."""

    axis: str
    unit: str | None
    period_label: Text
    periods: tuple[int, ...]
    rows: tuple[TriangleRow, ...]
    trivial: int | None
    notes: tuple[str, ...]

    @property
    def numbers(self) -> tuple[float, ...]:
        """Return the numbers that tell something."""
        return tuple(
            cell.value
            for row in self.rows
            for at, cell in enumerate(row.cells)
            if cell is not None and at != self.trivial
        )


def triangle_of(table: ResultTable, metric: Column, language: Language) -> Triangle:
    """Lay out cohorts in time order; of many the latest, of many periods round ones."""
    (time,) = table.with_role("time")
    column = table.column(PERIOD_NUMBER)
    found = sorted(
        ((day, cohort) for cohort in cohorts_of(table, metric) if (day := bucket_of(cohort.keys[0], time.grain))),
        key=lambda one: str(one[0]),
    )
    notes = []
    if len(found) > MOST_COHORTS:
        notes.append(
            Text(f"latest {MOST_COHORTS} of {len(found)} cohorts", f"仅显示最近 {MOST_COHORTS} 个同期群").in_(language)
        )
        found = found[-MOST_COHORTS:]
    cohorts = tuple(cohort for _, cohort in found)
    every = periods_of(cohorts)
    periods = every
    if len(every) > MOST_PERIODS:
        periods = tuple(at for at in every if at in MILESTONES or at == every[-1])[-MOST_PERIODS:]
        unit = period_unit(column)
        notes.append(Text(f"selected {unit.en}s only", f"仅显示部分{unit.zh}数").in_(language))
    trivial = is_retention(table, metric) and 0 in periods
    days = [day for day, _ in found]
    years = {day.year for day in days}
    rows = []
    for day, cohort in found:
        tick, year = time_tick(day, time.grain, language)
        if len(years) > 1 and year:
            comma = "," if time.grain is not Grain.MONTH else ""
            tick = f"{year}{tick}" if language == "zh" else f"{tick}{comma} {year}"
        rows.append(
            TriangleRow(
                label=tick, full_label=time_label(day, time.grain, language), size=cohort.size,
                incomplete=cohort.incomplete, cells=tuple(_cell(cohort.points.get(at)) for at in periods),
            )
        )  # fmt: skip
    return Triangle(
        axis=header(table, column, language), unit=metric.unit, period_label=period_unit(column), periods=periods,
        rows=tuple(rows), trivial=periods.index(0) if trivial else None, notes=tuple(notes),
    )  # fmt: skip


def _cell(point: Point | None) -> TriangleCell | None:
    if point is None or point.value is None:
        return None
    return TriangleCell(value=point.value, partial=point.left_out > 0)


def curve_data(table: ResultTable, *, y: tuple[str, ...], series: str | None, language: Language) -> ChartData:
    """Lay out curves from the first period that tells something to the last that anybody has come to."""
    metrics = [table.column(name) for name in y if table.column(name).role == "metric"]
    cohorts = [cohort for metric in metrics for cohort in cohorts_of(table, metric)]
    known = periods_of(tuple(cohorts))
    trivial = len(known) > 1 and all(is_retention(table, metric) for metric in metrics)
    periods = tuple(at for at in known if at > 0 or not trivial)
    index, column = table.index(PERIOD_NUMBER), table.column(PERIOD_NUMBER)
    unit = period_unit(column)
    labelled = {metric.name: replace(metric, label=curve_label(table, metric)) for metric in metrics}
    named = replace(column, value_labels=tuple((at, period_name(at, unit)) for at in periods))
    shown = replace(
        table,
        columns=tuple(named if other is column else labelled.get(other.name, other) for other in table.columns),
        rows=tuple(row for row in table.rows if row[index] in periods),
    )
    data = chart_data(shown, x=PERIOD_NUMBER, y=y, series=series, language=language, most_categories=MOST_CURVE)
    note = Text(f"{unit.en} 0, 100%, is not drawn", f"未画出第 0 {unit.zh}（100%）").in_(language)
    return replace(
        data,
        axis=header(table, column, language),
        periods=periods,
        incomplete=frozenset(
            at for at, period in enumerate(periods) if any(_is_partial(one, period) for one in cohorts)
        ),
        notes=(*data.notes, note) if trivial and 0 in known else data.notes,
    )


def _is_partial(cohort: Cohort, period: int) -> bool:
    point = cohort.points.get(period)
    return point is not None and point.left_out > 0
