"""Owns how a cohort triangle is drawn. Knows nothing of matplotlib but the axes that a page hands out."""

from typing import TYPE_CHECKING

from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.chart import Chart
from wenshu.tools.chart_axes import short_value
from wenshu.tools.chart_periods import Triangle, TriangleRow, triangle_of
from wenshu.tools.chart_theme import LABEL, SMALL, TICK, channels, points

if TYPE_CHECKING:
    from wenshu.tools.render import Axes, Page

CELL_HEIGHT = 27.0, 20.0  # of few rows, of many
HEAD = 22.0
FOOT = 28.0
WHOLE_FROM = 100  # the largest number from which on decimals say nothing
USERS = Text("users", "人数")
PARTIAL = Text(
    "* Part of a period, or some users not mature yet; only the others count",
    "* 时段不完整，或部分用户尚未到期，只计已到期的",
)


def draw_triangle(page: "Page", chart: Chart, table: ResultTable) -> None:
    """Draw cohorts as rows, periods after entry as columns, the higher the darker; what is still to come stays blank."""
    triangle = triangle_of(table, table.column(chart.y[0]), page.language)
    theme, rows, columns = page.theme, len(triangle.rows), len(triangle.periods)
    names = [page.fit(row.label + (" *" if row.incomplete else ""), LABEL, 120) for row in triangle.rows]
    sizes = ["" if row.size is None else f"{row.size:,}" for row in triangle.rows]
    users = USERS.in_(page.language)
    name_width = max(page.text_width(name, LABEL) for name in names)
    size_width = max(page.text_width(text, TICK) for text in (*sizes, users))
    left, right = page.pad + name_width + 14 + size_width + 10, page.width - page.pad
    height = max(CELL_HEIGHT[1], min(CELL_HEIGHT[0], 560 / rows))
    page.text(left, page.top, page.fit(triangle.axis, TICK, right - left), TICK, theme.muted)
    top = page.top + 18 + HEAD
    bottom = top + height * rows
    partial = any(row.incomplete or any(cell and cell.partial for cell in row.cells) for row in triangle.rows)
    page.height = bottom + (FOOT + 12 if partial else 18)
    if partial:
        page.footnote(PARTIAL.in_(page.language))
    axes = page.axes(left, top, right, bottom)
    colors = _colors(triangle, page)
    shades = [[[part / 255 for part in channels(color)] for color in row] for row in colors]
    axes.pcolormesh(range(columns + 1), range(rows + 1), shades)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.hlines(range(rows + 1), 0, columns, color=theme.ground, linewidth=points(1.5))
    axes.vlines(range(columns + 1), 0, rows, color=theme.ground, linewidth=points(1.5))
    axes.set_xticks([])
    axes.set_yticks([])
    for place, period in enumerate(triangle.periods):
        axes.annotate(
            str(period), (place + 0.5, 0), xytext=(0, points(7)), textcoords="offset points", ha="center",
            va="baseline", fontsize=points(TICK), color=theme.muted,
        )  # fmt: skip
    for at, (name, size) in enumerate(zip(names, sizes, strict=True)):
        _write_left(axes, name, at, -(size_width + 24), LABEL, theme.ink)
        _write_left(axes, size, at, -10, TICK, theme.muted)
    page.text(left - 10 - page.text_width(users, TICK), top - 18, users, TICK, theme.muted)
    _write_cells(page, axes, triangle, colors, (right - left) / columns)


def _write_left(axes: "Axes", text: str, at: int, x: float, size: float, ink: str) -> None:
    axes.annotate(
        text, (0, at + 0.5), xytext=(points(x), 0), textcoords="offset points", ha="right", va="center_baseline",
        fontsize=points(size), color=ink,
    )  # fmt: skip


def _colors(triangle: Triangle, page: "Page") -> list[list[str]]:
    low, high = min(triangle.numbers, default=0.0), max(triangle.numbers, default=1.0)

    def color(row: TriangleRow, at: int) -> str:
        cell = row.cells[at]
        if cell is None:
            return page.theme.ground
        return page.theme.card if at == triangle.trivial else page.theme.heat(cell.value, low, high)

    return [[color(row, at) for at in range(len(row.cells))] for row in triangle.rows]


def _write_cells(page: "Page", axes: "Axes", triangle: Triangle, colors: list[list[str]], width: float) -> None:
    written = [
        ["" if cell is None else _written(page, triangle, cell.value) + "*" * cell.partial for cell in row.cells]
        for row in triangle.rows
    ]
    longest = max((text for row in written for text in row), key=lambda text: page.text_width(text, SMALL))
    size = next((size for size in (TICK, SMALL, 8.5, 8.0, 7.5) if page.text_width(longest, size) <= width - 3), None)
    for at, row in enumerate(written) if size else ():
        for place, text in enumerate(row):
            ink = page.theme.muted if place == triangle.trivial else page.theme.ink_on(colors[at][place])
            axes.text(
                place + 0.5,
                at + 0.5,
                text,
                ha="center",
                va="center_baseline",
                fontsize=points(size or SMALL),
                color=ink,
            )


def _written(page: "Page", triangle: Triangle, value: float) -> str:
    if triangle.unit == "%":
        return f"{value:.0%}" if value == 1 or len(triangle.periods) > 12 else f"{value:.1%}"
    if max(map(abs, triangle.numbers), default=0.0) >= WHOLE_FROM:
        value = float(round(value))
    return page.drawable(short_value(value, triangle.unit, page.language))
