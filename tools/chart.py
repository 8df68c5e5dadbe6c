"""Owns the Chart, a closed description of a picture, and the choice of one from a result's shape.

Knows nothing of matplotlib.
"""

from dataclasses import dataclass, replace
from typing import Literal

from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP, LIFECYCLE_STAGE, PERIOD_NUMBER
from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.alt_text import describe_cards, describe_chart, describe_funnel, describe_triangle
from wenshu.tools.chart_data import (
    MOST_CATEGORIES,
    MOST_PANELS,
    MOST_SERIES,
    ChartData,
    bucket_of,
    chart_data,
    clean,
    distinct,
    is_additive,
    number,
    same_scale,
    time_label,
)
from wenshu.tools.chart_periods import curve_data, triangle_of
from wenshu.tools.cohorts import cohorts_of, periods_of
from wenshu.tools.steps import MOST_GROUPS, funnels_of

ChartKind = Literal[
    "number", "line", "bar", "grouped_bar", "stacked_bar", "heat_map", "table", "funnel", "curve", "triangle",
    "waterfall", "band", "intervals", "scatter",
]  # fmt: skip

WantedKind = Literal["bar", "line", "table"]
AS_WANTED = Text("The chart that was asked for.", "按要求的图表类型。")
MOST_CARDS = 12
FEW_BARS = 12  # up to so many, two dimensions stand side by side
MOST_GROUPED_BARS = 24
MOST_STACKS = 31  # over time; beyond, lines show shares better
MANY_VALUES = 6  # two dimensions with more values each make a heat map
MOST_SUBTITLE = 200

Shape = tuple[ChartKind, tuple[Column, ...], Text]  # the kind, the columns shown and why


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Describe a chart by the columns it shows; all text is in the answer's language.

    `x` names the column of categories or time, `series` the dimension that splits it into lines, colours or rows,
    `y` the value columns: metrics and shares, each followed by its comparison (and, on number cards, its change). The
    columns of the last four kinds, which insights choose, are listed in tools/insight/plot.py; `totals` are the bars
    that a waterfall begins and ends with.
    """

    kind: ChartKind
    x: str | None
    y: tuple[str, ...]
    series: str | None
    title: str
    subtitle: str
    alt_text: str
    reason: str
    totals: tuple[tuple[str, float], ...] = ()

    def with_alt_text(self, alt_text: str) -> "Chart":
        return replace(self, alt_text=alt_text)


def choose_chart(
    table: ResultTable, *, title: str, subtitle: str, language: Language, wanted: WantedKind | None = None
) -> Chart:
    """Choose the chart that fits a result's shape: how many keys and values it has, of which roles and units.

    `wanted` is what was asked for, and taken where it can show the result.
    """
    title = clean(title)
    keys, fixed = _keys(table, language)
    notes = [subtitle, *fixed]
    if table.truncated:
        notes.append(Text(f"first {len(table.rows)} rows", f"仅前 {len(table.rows)} 行").in_(language))
    kind, columns, reason = _behavioural_shape(table, keys) or _shape(table, keys)
    if wanted is not None and (other := _as_wanted(kind, wanted, keys)) is not None:
        kind, reason = other, AS_WANTED
    if kind == "funnel":
        keys = tuple(column for column in keys if column.name != FUNNEL_STEP)
        x, series = None, keys[0] if keys else None
        if len(funnels_of(table)) > MOST_GROUPS:
            notes.append(Text(f"the {MOST_GROUPS} largest groups", f"仅显示最大的 {MOST_GROUPS} 组").in_(language))
    else:
        x, series = (keys[0], keys[1] if len(keys) > 1 else None) if keys else (None, None)
    y = tuple(column.name for column in columns)
    alt_text = ""
    match kind:
        case "table":
            x = series = None
        case "number":
            x = None
            alt_text = describe_cards(table, columns, title, language)
        case "funnel":
            x = table.column(FUNNEL_STEP)
            alt_text = describe_funnel(table, title, language)
        case "triangle":
            x, series = table.column(PERIOD_NUMBER), table.with_role("time")[0]
            triangle = triangle_of(table, columns[0], language)
            notes.extend(triangle.notes)
            alt_text = describe_triangle(triangle, title, language)
        case _:
            assert x is not None
            if series is not None and PERIOD_NUMBER in (x.name, series.name):
                x, series = (x, series) if x.name == PERIOD_NUMBER else (series, x)
            elif series is not None and LIFECYCLE_STAGE in (x.name, series.name):
                x, series = (x, series) if series.name == LIFECYCLE_STAGE else (series, x)
            elif series is not None and x.role != "time":
                x, series = _larger_first(table, x, series, kind)
            data = data_of(kind, table, x=x.name, y=y, series=series.name if series else None, language=language)
            notes.extend(data.notes)
            names = tuple(clean(key.label.in_(language)) for key in (x, series) if key is not None)
            alt_text = describe_chart(data, kind=kind, title=title, keys=names, language=language)
    return Chart(
        kind=kind,
        x=x.name if x else None,
        y=y,
        series=series.name if series and kind != "number" else None,
        title=title,
        subtitle=clean(" · ".join(note for note in notes if note), MOST_SUBTITLE),
        alt_text=alt_text or _no_picture(title, reason, language),
        reason=reason.in_(language),
    )


def _as_wanted(kind: ChartKind, wanted: WantedKind, keys: tuple[Column, ...]) -> ChartKind | None:
    """Return the kind that draws a result as it was asked for, None where that would not show it."""
    bars: ChartKind = "bar" if len(keys) == 1 else "grouped_bar"
    match wanted:
        case "table":
            return "table"
        case "bar":
            return bars if kind == "line" else None
        case "line":
            return "line" if kind in ("bar", "grouped_bar", "stacked_bar") and keys[0].role == "time" else None


def data_of(
    kind: ChartKind, table: ResultTable, *, x: str, y: tuple[str, ...], series: str | None, language: Language
) -> ChartData:
    """Lay out a table's columns as a chart of this kind shows them: a heat map holds more rows than colours tell apart."""
    if kind == "curve":
        return curve_data(table, y=y, series=series, language=language)
    most = MOST_CATEGORIES if kind == "heat_map" else MOST_SERIES
    return chart_data(table, x=x, y=y, series=series, language=language, most_series=most)


def _keys(table: ResultTable, language: Language) -> tuple[tuple[Column, ...], list[str]]:
    """Return the time and dimension columns that vary, time first, and what the others are fixed to, in words."""
    every = (*table.with_role("time"), *table.with_role("dimension"))
    if len(table.rows) > 1:
        varied = tuple(column for column in every if len(distinct(table, column)) > 1)
    else:
        varied = ()
    fixed = []
    for column in every:
        if column in varied or not table.rows:
            continue
        cell = table.values(column.name)[0]
        day = bucket_of(cell, column.grain) if column.role == "time" else None
        shown = time_label(day, column.grain, language) if day else clean(column.shown(cell, language))
        named = Text(f"{column.label.en}: {shown}", f"{column.label.zh}：{shown}").in_(language)
        fixed.append(shown if column.role == "time" else named)
    return varied, fixed


def _shape(table: ResultTable, keys: tuple[Column, ...]) -> Shape:
    """Decide by the number of keys, then by what the values are."""
    measures = table.with_role("metric", "share")
    if not table.rows:
        return "table", (), Text("The result has no rows, so there is nothing to draw.", "结果为空，没有可画的内容。")
    if not measures:
        return "table", (), Text("A list of records reads best as a table.", "明细列表用表格最清楚。")
    if not keys and len(table.rows) == 1:
        cards = tuple(part for column in measures[:MOST_CARDS] for part in (column, *_beside(table, column)))
        return (
            "number",
            cards,
            Text("A single row: the figures themselves say it best.", "只有一行结果，直接看数字最清楚。"),
        )
    if all(number(cell) is None for column in measures for cell in table.values(column.name)):
        return (
            "table",
            (),
            Text("Every value is empty, so there is nothing to draw.", "所有数值都为空，没有可画的内容。"),
        )
    if not keys or len(keys) > 2:
        return (
            "table",
            (),
            Text(
                f"{len(keys)} dimensions at once are clearer in a table.", f"{len(keys)} 个维度的交叉结果用表格更清楚。"
            ),
        )
    shares = table.with_role("share")
    measures = (shares or measures)[:MOST_PANELS]
    if len(keys) == 2:
        if keys[0].role == "time":
            return _time_by_dimension(table, keys[0], measures)
        return _two_dimensions(table, keys, measures[0])
    with_comparisons = tuple(part for column in measures for part in (column, *_compared(table, column)))
    if keys[0].role == "time":
        return (
            "line",
            with_comparisons,
            Text("Values over time: a line shows their course.", "数值随时间变化，用折线看走势。"),
        )
    return _one_dimension(table, keys[0], measures, with_comparisons)


def _behavioural_shape(table: ResultTable, keys: tuple[Column, ...]) -> Shape | None:
    """Return the shape of a funnel, of cohorts by period after entry, or of lifecycle stages; None for any other."""
    names, timed = {column.name for column in keys}, any(column.role == "time" for column in keys)
    metrics = table.with_role("metric")
    if funnels_of(table) and not timed and len(names - {FUNNEL_STEP}) < 2:
        return (
            "funnel",
            metrics,
            Text("Steps in order: a funnel shows who goes on.", "按顺序的步骤，用漏斗图看逐步转化。"),
        )
    if PERIOD_NUMBER in names and len(keys) <= 2 and periods_of(cohorts_of(table, metrics[0])):
        if timed:
            told = Text("Cohorts by time after entry: a triangle.", "各同期群随进入后时间的变化，用同期群三角图。")
            return "triangle", metrics[:1], told
        shown = metrics[:MOST_PANELS] if len(keys) == 1 else metrics[:1]
        if len(keys) == 1:
            shown = tuple(part for column in shown for part in (column, *_compared(table, column)))
        return "curve", shown, Text("Values by time after entry: a curve.", "随进入后时间的变化，用曲线看走势。")
    if LIFECYCLE_STAGE in names and len(keys) == 2 and len(distinct(table, table.column(LIFECYCLE_STAGE))) > 1:
        told = Text("Stages add up; users lost hang below.", "各阶段可以相加，流失用户画在零线以下。")
        return "stacked_bar", metrics[:1], told
    return None


def _one_dimension(
    table: ResultTable, key: Column, measures: tuple[Column, ...], with_comparisons: tuple[Column, ...]
) -> Shape:
    if len(with_comparisons) > len(measures):
        return (
            "grouped_bar",
            with_comparisons,
            Text(f"Each {key.label.en} beside the period compared with.", f"按{key.label.zh}并列对比本期与对比期。"),
        )
    if len(measures) == 1:
        return (
            "bar",
            measures,
            Text(
                f"One value for each {key.label.en}: bars compare them.",
                f"每个{key.label.zh}一个数值，用条形图比较大小。",
            ),
        )
    if same_scale(table, measures):
        return (
            "grouped_bar",
            measures,
            Text(f"{len(measures)} metrics of one unit, side by side.", f"{len(measures)} 个同单位指标，并列比较。"),
        )
    return (
        "bar",
        measures,
        Text("Metrics of different scales: one panel for each.", "各指标的单位或量级不同，分面展示。"),
    )


def _time_by_dimension(table: ResultTable, time: Column, measures: tuple[Column, ...]) -> Shape:
    if measures[0].role == "share" and len(distinct(table, time)) <= MOST_STACKS:
        return (
            "stacked_bar",
            measures[:1],
            Text("Shares over time: stacked bars show the mix.", "占比随时间变化，用堆叠柱看构成。"),
        )
    return "line", measures, Text("Groups over time: one line for each.", "各组随时间变化，每组一条折线。")


def _two_dimensions(table: ResultTable, keys: tuple[Column, ...], measure: Column) -> Shape:
    """Stack what adds up, stand a few bars side by side, and colour a grid for the rest."""
    sizes = sorted(len(distinct(table, key)) for key in keys)
    values = [value for cell in table.values(measure.name) if (value := number(cell)) is not None]
    if sizes[0] > MANY_VALUES:
        return (
            "heat_map",
            (measure,),
            Text(
                "Two dimensions with many values: colours show where it is high.",
                "两个维度的取值都较多，用热力图看高低分布。",
            ),
        )
    if sizes[0] * sizes[1] <= FEW_BARS:
        return (
            "grouped_bar",
            (measure,),
            Text("Two small dimensions, side by side.", "两个维度的取值都不多，并列比较。"),
        )
    if is_additive(table, measure) and min(values) >= 0:
        return (
            "stacked_bar",
            (measure,),
            Text("The parts add up, so they are stacked to the whole.", "各部分可以相加，堆叠看整体与构成。"),
        )
    if sizes[0] * sizes[1] <= MOST_GROUPED_BARS:
        return (
            "grouped_bar",
            (measure,),
            Text("The values do not add up, so they stand side by side.", "数值不可相加，并列比较。"),
        )
    return (
        "heat_map",
        (measure,),
        Text(
            "Many values that do not add up: colours show where it is high.", "数值较多且不可相加，用热力图看高低分布。"
        ),
    )


def _beside(table: ResultTable, column: Column) -> tuple[Column, ...]:
    """Return a metric's comparison and change; its share stands alone."""
    if column.role == "share":
        return ()
    return tuple(other for other in table.with_role("comparison", "change") if other.metric == column.name)


def _compared(table: ResultTable, column: Column) -> tuple[Column, ...]:
    return tuple(other for other in _beside(table, column) if other.role == "comparison")


def _larger_first(table: ResultTable, first: Column, second: Column, kind: ChartKind) -> tuple[Column, Column]:
    """Put the dimension with more values along the axis; a heat map's columns need short names as well."""
    sizes = len(distinct(table, first)), len(distinct(table, second))
    if kind == "heat_map":
        longest = [
            max(len(column.shown(cell, "zh")) for cell in table.values(column.name)) for column in (first, second)
        ]
        swap = longest[0] * sizes[0] > 60 and longest[1] < longest[0] or sizes[1] > sizes[0] and longest[1] <= 4
    else:
        swap = sizes[1] > sizes[0]
    return (second, first) if swap else (first, second)


def _no_picture(title: str, reason: Text, language: Language) -> str:
    return Text(f"{title}: no chart. {reason.en}", f"{title}：没有图表。{reason.zh}").in_(language)
