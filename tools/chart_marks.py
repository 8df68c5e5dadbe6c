"""Owns the pictures of insights: waterfalls, lines with an expected range, intervals and dots; drawn, and told in words.

Knows nothing of matplotlib but the axes that a page hands out, nor of how the numbers came about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.chart_axes import value_range
from wenshu.tools.chart_data import OTHERS, ChartData, Panel, Series, clean, number, time_label
from wenshu.tools.chart_frame import draw_time_axis, draw_value_axis, short, value_axis_left, write_caption
from wenshu.tools.chart_theme import LABEL, TICK, points
from wenshu.tools.number_format import format_number

if TYPE_CHECKING:
    from wenshu.tools.chart import Chart
    from wenshu.tools.render import Axes, Page

MARKS = ("waterfall", "band", "intervals", "scatter")
EVERYTHING = ""  # the key of a row that is not split by a dimension
MOST_STEPS = 10  # of a waterfall; the rest is one step
MOST_INTERVALS, MOST_NAMED_DOTS, MOST_TOLD = 20, 12, 5
SMALL_STEPS = 0.35  # of the totals: steps that stay above so much of them are drawn without the part below
TIME_LABELS, NAMES, FOOT = 36.0, 24.0, 22.0
CUT_AXIS = Text("The axis does not begin at zero", "坐标轴不从零开始")
BAND = Text("Shaded: expected range", "阴影：预期范围")


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one mark: its name, its number and the ends of its interval, as far as it has them."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def draw_marks(page: "Page", chart: "Chart", table: ResultTable) -> None:
    """Draw a chart of one of these kinds under the page's head."""
    match chart.kind:
        case "waterfall":
            _draw_waterfall(page, chart, table)
        case "band":
            _draw_band(page, chart, table)
        case "intervals":
            _draw_intervals(page, chart, table)
        case _:
            _draw_scatter(page, chart, table)


def describe_marks(chart: "Chart", table: ResultTable, language: Language) -> str:
    """Say what such a chart shows, with the numbers that matter most."""
    value, colon, comma = table.column(chart.y[0]), "：" if language == "zh" else ": ", "；" if language == "zh" else "; "
    rows = _rows(chart, table, language)

    def write(size: float | None, signed: bool = False) -> str:
        return format_number(size, value.unit, language, signed=signed)

    def ranged(row: Row) -> str:
        return f"{row.name} {write(row.value)}" + (f" ({write(row.low)} – {write(row.high)})" if row.low is not None else "")

    if chart.kind == "waterfall":
        kind, told = Text("Waterfall", "瀑布图"), [f"{name} {write(size)}" for name, size in chart.totals[:1]]
        told += [f"{row.name} {write(row.value, True)}" for row in _folded(rows, language)[:MOST_TOLD]]
        told += [f"{name} {write(size)}" for name, size in chart.totals[1:]]
    elif chart.kind == "band":
        outside = [row for row in rows if _is_outside(row)]
        kind = Text("Line with its expected range", "折线与预期范围图")
        count = Text(f"{len(outside)} of {len(rows)} points outside", f"{len(rows)} 个点中有 {len(outside)} 个在范围外")
        told = [count.in_(language), *map(ranged, outside[:MOST_TOLD])]
    elif chart.kind == "intervals":
        kind = Text("Values with their intervals", "数值与区间图")
        told = [ranged(row) for row in rows[:MOST_TOLD]]
    else:
        kind = Text("Scatter plot", "散点图")
        count = Text(f"{len(rows)} dots", f"{len(rows)} 个点")
        across = table.column(chart.x or "")
        told = [count.in_(language), f"{across.label.in_(language)} × {value.label.in_(language)}"]
    return f"{kind.in_(language)}{colon}{chart.title}{'。' if language == 'zh' else '. '}{comma.join(told)}{'。' if language == 'zh' else '.'}"


# Numbers ------------------------------------------------------------------------------------------------------------


def _rows(chart: "Chart", table: ResultTable, language: Language) -> tuple[Row, ...]:
    """Return the marks that have a number, in row order."""
    keys = table.with_role("time", "dimension") if chart.kind != "scatter" else ()
    names = [table.column(chart.series)] if chart.series else list(keys)
    columns = [table.index(name) for name in chart.y]
    out = []
    for row in table.rows:
        cells = [number(row[at]) for at in columns]
        if cells[0] is not None:
            places = [(key, row[table.index(key.name)]) for key in names]
            name = " × ".join(_name(key, cell, language) for key, cell in places if cell != EVERYTHING)
            out.append(Row(clean(name), cells[0], *cells[1:3]))
    return tuple(out)


def _name(key: Column, cell: object, language: Language) -> str:
    if isinstance(cell, date):
        return time_label(cell, key.grain, language)
    return key.shown(cell, language)  # type: ignore[arg-type]


def _folded(rows: Sequence[Row], language: Language) -> list[Row]:
    """Return a waterfall's steps, the largest first and the small ones as one."""
    ordered = sorted(rows, key=lambda row: -abs(row.value))
    shown, rest = ordered[:MOST_STEPS], ordered[MOST_STEPS:]
    if rest:
        shown.append(Row(OTHERS.in_(language), sum(row.value for row in rest)))
    return shown


def _is_outside(row: Row) -> bool:
    return (row.low is not None and row.value < row.low) or (row.high is not None and row.value > row.high)


def _panel(column: Column, values: Sequence[float | None], language: Language) -> Panel:
    return Panel(label=clean(column.label.in_(language)), unit=column.unit, series=(Series(label="", values=tuple(values)),))


# Pictures -----------------------------------------------------------------------------------------------------------


def _draw_waterfall(page: "Page", chart: "Chart", table: ResultTable) -> None:
    theme, column = page.theme, table.column(chart.y[0])
    steps = _folded(_rows(chart, table, page.language), page.language)
    (first, start), (last, end) = chart.totals
    begun, levels = start, []
    for step in steps:
        levels.append((begun, begun + step.value))
        begun += step.value
    reached = [start, end, *(level for pair in levels for level in pair)]
    cut = 0 < min(reached) and max(reached) - min(reached) < SMALL_STEPS * max(reached)
    floor = min(reached) - 0.35 * (max(reached) - min(reached)) if cut and max(reached) > min(reached) else 0.0
    panel = _panel(column, [*reached, floor], page.language)
    low, high = value_range(panel, from_zero=not cut)
    low = floor if cut else low
    names = [clean(first), *(step.name for step in steps), clean(last)]
    axes = _named_axes(page, names, foot=FOOT if cut else 0.0, room=64)
    high += (high - low) * 0.16
    draw_value_axis(page, axes, panel, (low, high), upright=False)
    spans = [(floor, start), *levels, (floor, end)]
    for at, (low_end, high_end) in enumerate(spans):
        total = at in (0, len(spans) - 1)
        color = theme.others if total else theme.up if high_end >= low_end else theme.down
        axes.barh([at], [high_end - low_end], 0.62, left=[low_end], color=[color])
        if at + 1 < len(spans):
            axes.plot([high_end, high_end], [at + 0.31, at + 0.69], color=theme.baseline, linewidth=points(1))
        text = short(page, high_end, panel) if total else _signed(page, high_end - low_end, panel)
        _write_beside(page, axes, max(low_end, high_end), at, text)
    if cut:
        page.footnote(CUT_AXIS.in_(page.language))


def _draw_intervals(page: "Page", chart: "Chart", table: ResultTable) -> None:
    theme, column = page.theme, table.column(chart.y[0])
    rows = _rows(chart, table, page.language)[:MOST_INTERVALS]
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    panel = _panel(column, ends, page.language)
    axes = _named_axes(page, [row.name for row in rows], foot=0.0, room=64)
    low, high = value_range(panel, from_zero=column.role == "change")
    draw_value_axis(page, axes, panel, (low, high + (high - low) * 0.12), upright=False)
    if low <= 0 <= high:
        axes.axvline(0, color=theme.baseline, linewidth=points(1), zorder=1)
    for at, row in enumerate(rows):
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [at, at], color=theme.tint(theme.color(0), 0.6), linewidth=points(4), solid_capstyle="round")
        axes.plot([row.value], [at], linestyle="", marker="o", color=theme.color(0), markersize=points(7))
        _write_beside(page, axes, max(end for end in (row.value, row.high) if end is not None), at, short(page, row.value, panel))


def _draw_band(page: "Page", chart: "Chart", table: ResultTable) -> None:
    theme, key, column = page.theme, table.column(chart.x or ""), table.column(chart.y[0])
    rows = _rows(chart, table, page.language)
    days = tuple(cell for cell in table.values(key.name) if isinstance(cell, date))
    panel = _panel(column, [end for row in rows for end in (row.value, row.low, row.high)], page.language)
    ends = value_range(panel, from_zero=False)
    left, bottom = page.pad, page.height - 10 - FOOT
    top = write_caption(page, panel, left, page.top, page.width - page.pad)
    left = value_axis_left(page, panel, ends, left)
    axes = page.axes(left, top, page.width - page.pad - 6, bottom - TIME_LABELS)
    draw_value_axis(page, axes, panel, ends, upright=True)
    axes.set_xlim(-0.5, len(rows) - 0.5)
    draw_time_axis(page, axes, ChartData(categories=(), panels=(panel,), times=days, grain=key.grain), page.width - page.pad - left)
    banded = [(at, row.low, row.high) for at, row in enumerate(rows) if row.low is not None and row.high is not None]
    axes.fill_between([at for at, _, _ in banded], [low for _, low, _ in banded], [high for _, _, high in banded], color=theme.tint(theme.color(0), 0.22), linewidth=0)
    axes.plot(range(len(rows)), [row.value for row in rows], color=theme.color(0), linewidth=points(2.2))
    outside = [(at, row) for at, row in enumerate(rows) if _is_outside(row)]
    axes.plot([at for at, _ in outside], [row.value for _, row in outside], linestyle="", marker="o", color=theme.down, markersize=points(7), zorder=4)
    for at, row in sorted(outside, key=lambda one: -_excess(one[1]))[:MOST_TOLD]:
        above = row.high is not None and row.value > row.high
        axes.annotate(
            short(page, row.value, panel), (at, row.value), textcoords="offset points", xytext=(0, points(8 if above else -8)),
            ha="center", va="bottom" if above else "top", fontsize=points(TICK), color=theme.ink, path_effects=page.halo(theme.ground), zorder=5,
        )  # fmt: skip
    page.footnote(BAND.in_(page.language))


def _draw_scatter(page: "Page", chart: "Chart", table: ResultTable) -> None:
    theme, across, column = page.theme, table.column(chart.x or ""), table.column(chart.y[0])
    xs = [number(cell) for cell in table.values(across.name)]
    ys = [number(cell) for cell in table.values(column.name)]
    names = table.values(chart.series) if chart.series else [None] * len(xs)
    dots = [(x, y, name) for x, y, name in zip(xs, ys, names, strict=True) if x is not None and y is not None]
    flat, tall = _panel(across, [x for x, _, _ in dots], page.language), _panel(column, [y for _, y, _ in dots], page.language)
    ends = value_range(tall, from_zero=False)
    top = write_caption(page, tall, page.pad, page.top, page.width - page.pad)
    left = value_axis_left(page, tall, ends, page.pad)
    axes = page.axes(left, top, page.width - page.pad - 10, page.height - 10 - NAMES - 18)
    draw_value_axis(page, axes, flat, value_range(flat, from_zero=False), upright=False)
    draw_value_axis(page, axes, tall, ends, upright=True)
    axes.set_xlabel(page.drawable(clean(across.label.in_(page.language))), fontsize=points(TICK), color=theme.muted)
    axes.plot([x for x, _, _ in dots], [y for _, y, _ in dots], linestyle="", marker="o", color=theme.color(0), markersize=points(7), alpha=0.75)
    key = table.column(chart.series) if chart.series else None
    for x, y, name in dots[:MOST_NAMED_DOTS] if key is not None else ():
        assert key is not None
        axes.annotate(
            page.fit(_name(key, name, page.language), LABEL, 130), (x, y), textcoords="offset points", xytext=(points(6), points(3)),
            fontsize=points(TICK), color=theme.ink, path_effects=page.halo(theme.ground),
        )  # fmt: skip


def _named_axes(page: "Page", names: Sequence[str], *, foot: float, room: float) -> "Axes":
    """Return axes with a named row for each mark, and make the page as tall as they need."""
    shown = [page.fit(name, LABEL, page.width * 0.34) for name in names]
    page.height = page.top + max(19.0, min(30.0, 290 / max(len(names), 1))) * len(names) + 48 + foot
    left = page.pad + max((page.text_width(name, LABEL) for name in shown), default=0.0) + 8
    axes = page.axes(left, page.top, page.width - page.pad - room / 4, page.height - 10 - foot - NAMES)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_yticks(range(len(names)), shown, fontsize=points(LABEL), color=page.theme.ink)
    return axes


def _write_beside(page: "Page", axes: "Axes", value: float, at: int, text: str) -> None:
    axes.annotate(
        text, (value, at), textcoords="offset points", xytext=(points(6), 0), ha="left", va="center_baseline",
        fontsize=points(TICK), color=page.theme.ink, path_effects=page.halo(page.theme.ground), zorder=4,
    )  # fmt: skip


def _signed(page: "Page", value: float, panel: Panel) -> str:
    return ("+" if value > 0 else "") + short(page, value, panel)


def _excess(row: Row) -> float:
    """Return how far a value lies outside its range, in widths of it."""
    if row.low is None or row.high is None:
        return 0.0
    return max(row.low - row.value, row.value - row.high) / ((row.high - row.low) or 1.0)
