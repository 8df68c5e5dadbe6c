"""Owns what stands around the marks of a chart: axes, captions, legends and colours. Knows nothing of matplotlib but axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wenshu.semantic_layer.text import Text
from wenshu.tools.chart_axes import period_ticks, short_value, time_tick, time_ticks, value_caption, value_ticks
from wenshu.tools.chart_data import ChartData, Panel
from wenshu.tools.chart_theme import LABEL, TICK, Theme, points

if TYPE_CHECKING:
    from wenshu.tools.render import Axes, Page

LINE = 14.5  # from one line of labels to the next
BASELINE = 15.0  # from an axis down to the baseline of its labels, some of which have descenders

CURRENT = Text("this period", "本期")
PREVIOUS = Text("compared period", "对比期")

Edges = tuple[float, float, float, float]  # left, top, right, bottom


def short(page: "Page", value: float, panel: Panel) -> str:
    return page.drawable(short_value(panel.shown(value), panel.unit, page.language))


def panel_grid(page: "Page", count: int, bottom: float) -> list[Edges]:
    """Return the edges of up to four panels, two a row."""
    left, right = page.pad, page.width - page.pad
    if count == 1:
        return [(left, page.top, right, bottom)]
    down, gap = -(-count // 2), 26.0
    width, height = (right - left + gap) / 2, (bottom - page.top + 10) / down
    corners = [(left + at % 2 * width, page.top + at // 2 * height) for at in range(count)]
    return [(x, y, x + width - gap, y + height - 10) for x, y in corners]


def write_caption(page: "Page", panel: Panel, left: float, top: float, right: float) -> float:
    """Write what a value axis measures above it and return where the axis may begin."""
    caption = value_caption(panel, page.language)
    if not caption:
        return top + 6
    page.text(left, top, page.fit(caption, TICK, right - left), TICK, page.theme.muted)
    return top + 22


def value_axis_left(page: "Page", panel: Panel, ends: tuple[float, float], left: float) -> float:
    """Return where an upright axis stands so that its tick labels fit between it and `left`."""
    _, written = value_ticks(*ends, panel, page.language)
    return left + max((page.text_width(page.drawable(text), TICK) for text in written), default=0.0) + 8


def draw_value_axis(
    page: "Page", axes: "Axes", panel: Panel, ends: tuple[float, float], *, upright: bool, most: int = 5
) -> None:
    values, written = value_ticks(*ends, panel, page.language, most)
    labels = [page.drawable(text) for text in written]
    if upright:
        axes.set_ylim(*ends)
        axes.set_yticks(values, labels)
    else:
        axes.set_xlim(*ends)
        axes.set_xticks(values, labels)
    axes.grid(axis="y" if upright else "x", color=page.theme.grid, linewidth=points(1))


def draw_time_axis(page: "Page", axes: "Axes", data: ChartData, width: float) -> None:
    """Write as many buckets under an axis as fit side by side."""
    shown = [time_tick(day, data.grain, page.language) for day in data.times[:60]]
    widest = max(page.text_width(part, TICK) for parts in shown for part in parts if part)
    positions, labels = time_ticks(data, page.language, int(width / (widest + 14)))
    axes.set_xticks([])
    for at, label in zip(positions, labels, strict=True):
        for line, text in enumerate(label.split("\n")):  # each by its own baseline, else descenders shift the lines
            axes.annotate(
                text, (at, 0), xycoords=("data", "axes fraction"), xytext=(0, -points(BASELINE + line * LINE)),
                textcoords="offset points", ha="center", va="baseline", fontsize=points(TICK), color=page.theme.muted,
            )  # fmt: skip


def draw_period_axis(page: "Page", axes: "Axes", data: ChartData, width: float) -> None:
    """Write periods after entry under an axis, and what they are counted in."""
    positions, labels = period_ticks(data.periods, int(width / 26))
    draw_category_axis(page, axes, positions, labels, data.axis)


def draw_category_axis(
    page: "Page", axes: "Axes", places: Sequence[float], names: list[str], title: str, *, slanted: bool = False
) -> None:
    """Write names under an axis, and what they are where they do not say so."""
    style: dict[str, Any] = {"fontsize": points(LABEL), "color": page.theme.ink, "va": "baseline"}
    if slanted:
        style |= {"rotation": 40, "ha": "right", "rotation_mode": "anchor", "va": "top"}
    axes.set_xticks(places, names, **style)
    axes.tick_params(axis="x", pad=points(6 if slanted else BASELINE))
    if title:
        axes.set_xlabel(page.drawable(title), fontsize=points(TICK), color=page.theme.muted)


def series_colors(panel: Panel, theme: Theme) -> list[str]:
    """Return a colour a series: a comparison has its metric's, lighter, and others are grey."""
    colors: list[str] = []
    current = 0
    for series in panel.series:
        if series.kind == "previous" and colors:
            colors.append(theme.tint(colors[-1]))
        elif series.kind in ("others", "lost"):
            colors.append(theme.others)
        else:
            colors.append(theme.color(current))
            current += 1
    return colors


def write_legend(page: "Page", data: ChartData) -> None:
    """Name the colours once for all panels."""
    first = data.panels[0]
    if len(first.series) < 2:
        return
    if len(first.series) == 2 and first.series[1].kind == "previous":
        labels = [CURRENT.in_(page.language), PREVIOUS.in_(page.language)]
    else:
        labels = [series.label for series in first.series]
    page.legend(list(zip(labels, series_colors(first, page.theme), strict=True)))
