"""Owns how each kind of chart is drawn on a page. Knows nothing of matplotlib but the axes that a page hands out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, assert_never

from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.chart import Chart, data_of
from wenshu.tools.chart_axes import short_value, totals, value_range
from wenshu.tools.chart_cohorts import draw_triangle
from wenshu.tools.chart_data import ChartData, Panel, number
from wenshu.tools.chart_frame import (
    Edges,
    draw_category_axis,
    draw_period_axis,
    draw_time_axis,
    draw_value_axis,
    panel_grid,
    series_colors,
    short,
    value_axis_left,
    write_caption,
    write_legend,
)
from wenshu.tools.chart_funnel import draw_funnel
from wenshu.tools.chart_marks import MARKS, draw_marks
from wenshu.tools.chart_theme import LABEL, SMALL, TICK, channels, points
from wenshu.tools.number_format import format_number

if TYPE_CHECKING:
    from wenshu.tools.render import Axes, Page

TIME_LABELS, NAMES, FOOT = 36.0, 24.0, 22.0  # room under axes, and for a remark at the foot
TALLEST = 1_500.0
MOST_LABELLED_BARS = 15
MOST_DOTS = 31
FEW_POINTS = 13
CARDS_ACROSS, CARD_GAP = 4, 12.0

INCOMPLETE_LINE = Text("Dashed: incomplete period", "虚线：该周期数据未完整")
INCOMPLETE_CURVE = Text(
    "Dashed: some users are not mature yet; only the others count", "虚线：部分用户尚未到期，只计已到期的"
)
INCOMPLETE_BAR = Text("Hatched: incomplete period", "斜纹：该周期数据未完整")


def draw(page: "Page", chart: Chart, table: ResultTable) -> None:
    """Draw a chart under the page's head."""
    if chart.kind == "number":
        return _draw_cards(page, table, tuple(table.column(name) for name in chart.y))
    if chart.kind == "table" or chart.x is None:
        return _draw_reason(page, chart)
    if chart.kind == "funnel":
        return draw_funnel(page, chart, table)
    if chart.kind == "triangle":
        return draw_triangle(page, chart, table)
    if chart.kind in MARKS:
        return draw_marks(page, chart, table)
    data = data_of(chart.kind, table, x=chart.x, y=chart.y, series=chart.series, language=page.language)
    match chart.kind:
        case "line" | "curve":
            _draw_lines(page, data)
        case "bar" | "grouped_bar":
            _draw_bars(page, data, stacked=False)
        case "stacked_bar":
            _draw_bars(page, data, stacked=True)
        case "heat_map":
            _draw_heat_map(page, data)
        case "funnel" | "triangle" | "waterfall" | "band" | "intervals" | "scatter":
            raise AssertionError("drawn from the table itself, above")
        case _:
            assert_never(chart.kind)


# Lines --------------------------------------------------------------------------------------------------------------


def _draw_lines(page: "Page", data: ChartData) -> None:
    alone = len(data.panels) == 1
    page.height += 150 if len(data.panels) > 2 else 0
    if not alone:
        write_legend(page, data)
    bottom = page.height - 10 - (FOOT if data.incomplete else 0)
    for panel, edges in zip(data.panels, panel_grid(page, len(data.panels), bottom), strict=True):
        _draw_line_panel(page, data, panel, edges, alone)
    if data.incomplete:
        page.footnote((INCOMPLETE_LINE if data.times else INCOMPLETE_CURVE).in_(page.language))


def _draw_line_panel(page: "Page", data: ChartData, panel: Panel, edges: Edges, alone: bool) -> None:
    left, top, right, bottom = edges
    theme, last = page.theme, len(data.categories) - 1
    ends = value_range(panel, from_zero=bool(data.periods))
    top = write_caption(page, panel, left, top, right)
    left = value_axis_left(page, panel, ends, left)
    names = [page.fit(series.label, LABEL, 150) for series in panel.series] if alone and len(panel.series) > 1 else []
    right -= max((page.text_width(name, LABEL) + 14 for name in names), default=6.0)
    bottom -= TIME_LABELS
    axes = page.axes(left, top, right, bottom)
    draw_value_axis(page, axes, panel, ends, upright=True)
    space = max(0.2, last * 0.015)
    axes.set_xlim(-space, last + space)
    (draw_time_axis if data.times else draw_period_axis)(page, axes, data, right - left)
    for series, color in reversed(list(zip(panel.series, series_colors(panel, theme), strict=True))):
        behind = series.kind == "previous"  # and whole: only the current period can be incomplete
        _draw_line(page, axes, series.values, frozenset() if behind else data.incomplete, color, behind=behind)
    if names:
        _name_line_ends(page, axes, panel, names, ends, bottom - top)
    elif len(panel.series) == 1:
        _write_line_values(
            page, axes, panel, ends, few=len(data.categories) <= (FEW_POINTS if alone else FEW_POINTS // 2)
        )


def _draw_line(
    page: "Page",
    axes: "Axes",
    values: tuple[float | None, ...],
    incomplete: frozenset[int],
    color: str,
    behind: bool,
) -> None:
    """Draw a line with a gap where a value is missing, and dashed to where a period is incomplete."""
    style: dict[str, Any] = {"color": color, "linewidth": points(2.4), "solid_capstyle": "round"}
    dot: dict[str, Any] = {"linestyle": "", "marker": "o", "color": color, "markersize": points(5)}
    sure = [None if at in incomplete else value for at, value in enumerate(values)]
    axes.plot(range(len(sure)), _gaps(sure), linestyle=(0, (1, 1.6)) if behind else "-", **style)
    dots = len(values) <= MOST_DOTS and not behind
    marked = [at for at, value in enumerate(sure) if value is not None and (dots or _stands_alone(sure, at))]
    axes.plot(marked, _gaps([sure[at] for at in marked]), **dot)
    for run in _runs(incomplete):
        near = range(max(run[0] - 1, 0), min(run[-1] + 2, len(values)))
        axes.plot(near, _gaps([values[place] for place in near]), linestyle=(0, (3, 2)), **style)
    for at in sorted(incomplete) if dots else ():
        hollow = {"markersize": points(6), "markerfacecolor": page.theme.ground, "markeredgewidth": points(1.6)}
        axes.plot([at], _gaps([values[at]]), **(dot | hollow))


def _runs(places: frozenset[int]) -> list[list[int]]:
    """Return places as runs of neighbours.

    >>> _runs(frozenset({1, 2, 5}))
    [[1, 2], [5]]
    """
    runs: list[list[int]] = []
    for place in sorted(places):
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _stands_alone(values: Sequence[float | None], at: int) -> bool:
    return all(value is None for value in (*values[max(at - 1, 0) : at], *values[at + 1 : at + 2]))


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _name_line_ends(
    page: "Page", axes: "Axes", panel: Panel, names: list[str], ends: tuple[float, float], height: float
) -> None:
    """Write each line's name at its end, pushed apart where lines end close together."""
    low, high = ends
    placed: list[tuple[float, str, str]] = []
    for name, series, color in zip(names, panel.series, series_colors(panel, page.theme), strict=True):
        known = [value for value in series.values if value is not None]
        if known:
            ink = page.theme.muted if series.kind == "previous" else color
            placed.append(((known[-1] - low) / (high - low) * height, name, ink))
    placed.sort(key=lambda one: one[0])
    gap = min(14.5, height / max(len(placed), 1))
    ys: list[float] = []
    for y, _, _ in placed:
        ys.append(max(y, ys[-1] + gap if ys else 0.0))
    for at in reversed(range(len(ys))):  # what was pushed above the axis comes down again
        ys[at] = min(ys[at], height if at == len(ys) - 1 else ys[at + 1] - gap)
    for y, (_, name, ink) in zip(ys, placed, strict=True):
        axes.annotate(
            name, (1, y / height), xycoords="axes fraction", xytext=(points(6), 0), textcoords="offset points",
            va="center", fontsize=points(LABEL), color=ink,
        )  # fmt: skip


def _write_line_values(page: "Page", axes: "Axes", panel: Panel, ends: tuple[float, float], *, few: bool) -> None:
    """Write every value of a short line, else the last, the highest and the lowest."""
    values = panel.series[0].values
    known = [at for at, value in enumerate(values) if value is not None]
    shown = set(known)
    if not few and known:
        extremes = (max(known, key=lambda at: values[at] or 0.0), min(known, key=lambda at: values[at] or 0.0))
        shown = {known[-1], *(at for at in extremes if known[-1] - at > len(values) / 12)}
    for at in sorted(shown):
        value = values[at] or 0.0
        beside = [near for near in (*values[max(at - 1, 0) : at], *values[at + 1 : at + 2]) if near is not None]
        room = value > ends[0] + 0.07 * (ends[1] - ends[0])
        below = bool(beside) and value < sum(beside) / len(beside) and room
        axes.annotate(
            short(page, value, panel), (at, value), textcoords="offset points",
            xytext=(0, points(-7 if below else 7)), ha="center" if at or few else "left", va="top" if below else "bottom",
            fontsize=points(TICK), color=page.theme.ink, path_effects=page.halo(page.theme.ground), zorder=5,
        )  # fmt: skip


# Bars ---------------------------------------------------------------------------------------------------------------


def _draw_bars(page: "Page", data: ChartData, *, stacked: bool) -> None:
    write_legend(page, data)
    count, groups = len(data.categories), 1 if stacked else len(data.panels[0].series)
    foot = FOOT if data.incomplete else 0.0
    if _stands_upright(page, data, groups, stacked):
        edges = (page.pad, page.top, page.width - page.pad, page.height - 10 - foot)
        _draw_bar_panel(page, data, data.panels[0], edges, stacked, upright=True, names=None)
    else:
        slot = max(17.0, min(28.0, 270 / count)) if groups == 1 else max(12.0 * groups + 9, min(44.0, 270 / count))
        page.height = page.top + min(slot * count, TALLEST) + 52 + foot
        names = [
            page.fit(name, LABEL, page.width * (0.34 if len(data.panels) == 1 else 0.22)) for name in data.categories
        ]
        left = page.pad + max(page.text_width(name, LABEL) for name in names) + 8
        width = (page.width - page.pad - left + 18) / len(data.panels)
        for at, panel in enumerate(data.panels):
            edges = (left + at * width, page.top, left + (at + 1) * width - 18, page.height - 10 - foot)
            _draw_bar_panel(page, data, panel, edges, stacked, upright=False, names=names if at == 0 else [])
    if data.incomplete:
        page.footnote(INCOMPLETE_BAR.in_(page.language))


def _stands_upright(page: "Page", data: ChartData, groups: int, stacked: bool) -> bool:
    """Say whether bars have room to stand with their names under them and their numbers on them."""
    if data.times or len(data.panels) > 1:
        return bool(data.times)
    panel, slot = data.panels[0], (page.width - 2 * page.pad - 60) / len(data.categories)
    widest = max(page.text_width(page.fit(name, LABEL, 300), LABEL) for name in data.categories)
    if widest + 8 > slot or slot / groups < 9:
        return False
    if stacked or groups * len(data.categories) > MOST_LABELLED_BARS:
        return True
    written = (short(page, value, panel) for value in panel.numbers)
    return max((page.text_width(text, TICK) for text in written), default=0.0) + 2 <= slot * 0.8 / groups + 6


def _draw_bar_panel(
    page: "Page", data: ChartData, panel: Panel, edges: Edges, stacked: bool, *, upright: bool, names: list[str] | None
) -> None:
    left, top, right, bottom = edges
    count, groups = len(data.categories), 1 if stacked else len(panel.series)
    low, high = value_range(panel, from_zero=True, stacked=stacked)
    labelled = not stacked and (groups * count <= MOST_LABELLED_BARS or (not upright and groups <= 2))
    top = write_caption(page, panel, left, top, right)
    if upright:
        left = value_axis_left(page, panel, (low, high), left)
        axes = page.axes(left, top, right, bottom - (TIME_LABELS if data.times else NAMES) - (16 if data.axis else 0))
        axes.set_xlim(-0.55, count - 0.45)
    else:
        axes = page.axes(left, top, right, bottom - NAMES)
        axes.set_ylim(count - 0.45, -0.55)
        if labelled:  # the longest bar leaves room for its number
            room = 1 + 46 / (right - left - 46)
            low, high = (low * room if low < 0 else low), (high * room if high > 0 else high)
    draw_value_axis(page, axes, panel, (low, high), upright=upright, most=5 if right - left > 300 else 3)
    if data.times:
        draw_time_axis(page, axes, data, right - left)
    else:
        shown = [page.fit(name, LABEL, 300) for name in data.categories] if names is None else names
        if upright:
            draw_category_axis(page, axes, range(count), shown, data.axis)
        else:
            axes.set_yticks(range(count) if shown else [], shown, fontsize=points(LABEL), color=page.theme.ink)

    thick = 0.76 / groups if groups > 1 else (0.66 if count > 3 else 0.4)
    style: dict[str, Any] = {"edgecolor": page.theme.ground, "linewidth": points(1 if stacked else 0)}
    starts = {True: [0.0] * count, False: [0.0] * count}  # where the next part of a stack begins, above and below zero
    for position, (series, color) in enumerate(zip(panel.series, series_colors(panel, page.theme), strict=True)):
        known = [(at, value) for at, value in enumerate(series.values) if value is not None]
        shift = 0.0 if stacked else (position - (groups - 1) / 2) * thick
        middles = [at + shift for at, _ in known]
        begun = [starts[value >= 0][at] if stacked else 0.0 for at, value in known]
        whole = [at not in data.incomplete for at, _ in known]
        fills = [color if sure else page.theme.tint(color, 0.7) for sure in whole]
        if len(panel.series) == 1:
            fills = [
                page.theme.others if at == data.apart else fill for (at, _), fill in zip(known, fills, strict=True)
            ]
        style["hatch"] = ["" if sure else "////" for sure in whole]
        lengths = [value for _, value in known]
        if upright:
            axes.bar(middles, lengths, thick * (0.94 if groups > 1 else 1), bottom=begun, color=fills, **style)
        else:
            axes.barh(middles, lengths, thick * (0.94 if groups > 1 else 1), left=begun, color=fills, **style)
        for (at, value), middle, start, fill in zip(known, middles, begun, fills, strict=True):
            starts[value >= 0][at] += value
            if labelled:
                _write_bar_value(page, axes, middle, value, panel, upright)
            elif stacked and count <= 12 and abs(value) >= 0.07 * (high - low):
                half = start + value / 2
                axes.text(
                    *((middle, half) if upright else (half, middle)), short(page, value, panel), ha="center",
                    va="center", fontsize=points(SMALL), color=page.theme.ink_on(fill),
                    path_effects=page.halo(fill) if at in data.incomplete else None,
                )  # fmt: skip
    if stacked and count <= MOST_LABELLED_BARS and panel.unit != "%":
        for at, total in enumerate(totals(panel.series)):
            if total is not None:
                _write_bar_value(page, axes, at, total, panel, upright)
    (axes.axhline if upright else axes.axvline)(0, color=page.theme.baseline, linewidth=points(1), zorder=3)


def _write_bar_value(page: "Page", axes: "Axes", middle: float, value: float, panel: Panel, upright: bool) -> None:
    sign = -1 if value < 0 else 1
    axes.annotate(
        short(page, value, panel),
        (middle, value) if upright else (value, middle),
        textcoords="offset points",
        xytext=(0, points(3 * sign)) if upright else (points(5 * sign), 0),
        ha="center" if upright else ("left" if sign > 0 else "right"),
        va=("bottom" if sign > 0 else "top") if upright else "center_baseline",
        fontsize=points(TICK),
        color=page.theme.ink,
        zorder=4,
    )


# Heat map -----------------------------------------------------------------------------------------------------------


def _draw_heat_map(page: "Page", data: ChartData) -> None:
    (panel,) = data.panels
    rows, columns, theme = len(panel.series), len(data.categories), page.theme
    names = [page.fit(series.label, LABEL, page.width * 0.24) for series in panel.series]
    left = page.pad + max(page.text_width(name, LABEL) for name in names) + 8
    right = page.width - page.pad - 62
    cell = (right - left) / columns
    heads = [page.fit(name, TICK, 90) for name in data.categories]
    widest = max(page.text_width(name, TICK) for name in heads)
    slanted = widest > cell - 3
    top = write_caption(page, panel, page.pad, page.top, right)
    bottom = top + max(18.0, min(34.0, 270 / rows)) * rows
    page.height = bottom + (20 + widest * 0.66 if slanted else 34) + (16 if data.axis else 0)

    low, high = min(panel.numbers), max(panel.numbers)
    axes = page.axes(left, top, right, bottom)
    colors = [
        [theme.card if value is None else theme.heat(value, low, high) for value in series.values]
        for series in panel.series
    ]
    _fill(axes, colors)
    axes.set_ylim(rows, 0)
    axes.hlines(range(rows + 1), 0, columns, color=theme.ground, linewidth=points(1.5))
    axes.vlines(range(columns + 1), 0, rows, color=theme.ground, linewidth=points(1.5 if columns <= MOST_DOTS else 0.5))
    axes.set_yticks([at + 0.5 for at in range(rows)], names, fontsize=points(LABEL), color=theme.ink)
    draw_category_axis(page, axes, [at + 0.5 for at in range(columns)], heads, data.axis, slanted=slanted)
    written = [
        ["–" if value is None else short(page, value, panel) for value in series.values] for series in panel.series
    ]
    longest = max((text for row in written for text in row), key=lambda text: page.text_width(text, SMALL))
    size = next((size for size in (SMALL, 8.5, 8.0) if page.text_width(longest, size) <= cell - 3), None)
    for at, row in enumerate(written) if size else ():
        for place, text in enumerate(row):
            ink = theme.muted if text == "–" else theme.ink_on(colors[at][place])
            axes.text(
                place + 0.5, at + 0.5, text, ha="center", va="center_baseline",
                fontsize=points(size or SMALL), color=ink,
            )  # fmt: skip
    if low < high:
        scale = page.axes(right + 14, top, right + 23, bottom)
        _fill(scale, [[theme.heat(low + (high - low) * part / 63, low, high)] for part in range(64)])
        scale.yaxis.tick_right()
        scale.tick_params(length=0)
        ends = [short(page, value, panel) for value in (low, high)]
        scale.set_xticks([])
        scale.set_yticks([1, 63], ends)


def _fill(axes: "Axes", colors: list[list[str]]) -> None:
    """Fill a grid of cells, the first row at zero."""
    shades = [[[part / 255 for part in channels(color)] for color in row] for row in colors]
    axes.pcolormesh(range(len(colors[0]) + 1), range(len(colors) + 1), shades)


# Cards --------------------------------------------------------------------------------------------------------------


def _draw_cards(page: "Page", table: ResultTable, columns: tuple[Column, ...]) -> None:
    """Draw a card a metric: its name, its figure, what it is compared with and the change."""
    cards = [column for column in columns if column.role not in ("comparison", "change")]
    across = min(len(cards), CARDS_ACROSS if len(cards) not in (5, 6, 9) else 3)
    width = (page.width - 2 * page.pad - CARD_GAP * (across - 1)) / across
    height = 116.0 if len(cards) < len(columns) else 84.0
    for at, card in enumerate(cards):
        left = page.pad + at % across * (width + CARD_GAP)
        top = page.top + at // across * (height + CARD_GAP)
        page.box(left, top, width, height, page.theme.card)
        _write_card(page, table, card, [column for column in columns if column.metric == card.name], left, top, width)
    page.height = page.top + -(-len(cards) // across) * (height + CARD_GAP) + 10


def _write_card(
    page: "Page", table: ResultTable, card: Column, beside: list[Column], left: float, top: float, width: float
) -> None:
    language, theme, inner, x = page.language, page.theme, width - 28, left + 14
    page.text(x, top + 12, page.fit(card.label.in_(language), 11.5, inner), 11.5, theme.muted)
    value = number(table.values(card.name)[0])
    written, size = page.drawable(format_number(value, card.unit, language)), 27.0
    if value is not None and page.text_width(written, 19) > inner:
        written = page.drawable(short_value(value, card.unit, language))
    while page.text_width(written, size) > inner and size > 12:
        size -= 1
    page.text(x, top + 51, written, size, va="center")
    y = top + 74
    for column in sorted(beside, key=lambda column: column.role != "change"):
        other = number(table.values(column.name)[0])
        if column.role == "change" and other is not None:
            arrow = "▲ " if other > 0 else "▼ " if other < 0 else ""
            change = arrow + format_number(other, column.unit, language, signed=True)
            ink = theme.up if other > 0 else theme.down if other < 0 else theme.muted
            page.text(x, y, page.fit(change, 11.5, inner), 11.5, ink)
            y += 19
        elif column.role == "comparison":
            before = f"{column.label.in_(language)} {format_number(other, column.unit, language)}"
            page.text(x, y, page.fit(before, TICK, inner), TICK, theme.muted)


def _draw_reason(page: "Page", chart: Chart) -> None:
    page.text(page.pad, page.top + 6, page.fit(chart.reason, 12.5, page.width - 2 * page.pad), 12.5, page.theme.muted)
    page.height = page.top + 50
