"""Owns how a funnel is drawn: a bar a step, and between two steps how many go on. Knows nothing of matplotlib."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Text
from wenshu.tools.chart import Chart
from wenshu.tools.chart_theme import LABEL, TICK
from wenshu.tools.number_format import format_number
from wenshu.tools.steps import Funnel, shown_funnels, step_names

if TYPE_CHECKING:
    from wenshu.tools.render import Page

BAR, BETWEEN = 27.0, 25.0  # heights
GROUP_BAR, GROUP_GAP = 15.0, 13.0
COLUMN_GAP = 14.0
LARGEST = Text("largest drop", "降幅最大")
FROM_FIRST = Text("Share of those at step 1", "占第一步人数的比例")
LEFT_OUT = Text("{} not mature yet, left out", "另有 {} 人转化窗口未结束，未计入")


def draw_funnel(page: "Page", chart: Chart, table: ResultTable) -> None:
    """Draw the funnel of all users by numbers of users, or those of several groups by conversion from step 1."""
    funnels, labels = shown_funnels(table, page.language)
    names = [page.fit(name, LABEL, page.width * 0.24) for name in step_names(table, page.language)]
    left = page.pad + max(page.text_width(name, LABEL) for name in names) + 12
    if len(funnels) == 1:
        bottom = _draw_one(page, funnels[0], names, left)
    else:
        bottom = _draw_groups(page, funnels, labels, names, left)
    left_out = sum(funnel.left_out for funnel in funnels)
    page.height = bottom + (34 if left_out else 14)
    if left_out:
        page.footnote(LEFT_OUT.in_(page.language).format(f"{left_out:,}"))


def _draw_one(page: "Page", funnel: Funnel, names: list[str], left: float) -> float:
    theme = page.theme
    users, shares = _values(page, [funnel])
    right = _bars_end(page, users, shares, LABEL)
    most, y = max(step.users for step in funnel.steps), page.top + 4
    for at, step in enumerate(funnel.steps):
        if at:
            worst = at == funnel.largest_drop
            x = left + 2
            for text, ink in _between(page, funnel, at):
                page.text(x, y + BETWEEN / 2, text, TICK, theme.down if worst else ink, va="center")
                x += page.text_width(text, TICK) + 12
            y += BETWEEN
        width = (right - left) * step.users / most if most else 0.0
        page.box(left, y, right - left, BAR, theme.card)
        page.box(left, y, width, BAR, theme.color(0))
        page.text(page.pad, y + BAR / 2, names[at], LABEL, va="center")
        _write_value(
            page, y + BAR / 2, users[at], shares[at], max(page.text_width(text, LABEL) for text in shares), LABEL
        )
        y += BAR
    return y


def _values(page: "Page", funnels: Sequence[Funnel]) -> tuple[list[str], list[str]]:
    """Return the users at every step of every funnel and their shares of those at step 1."""
    steps = [step for funnel in funnels for step in funnel.steps]
    users = [f"{step.users:,}" for step in steps]
    return users, ["" if step.overall is None else format_number(step.overall, "%", page.language) for step in steps]


def _bars_end(page: "Page", users: list[str], shares: list[str], size: float) -> float:
    """Return where bars end so that the two columns of numbers fit beside them."""
    widths = (max(page.text_width(text, size) for text in column) for column in (users, shares))
    return page.width - page.pad - sum(widths) - 10 - COLUMN_GAP


def _write_value(page: "Page", y: float, users: str, share: str, share_width: float, size: float) -> None:
    """Write the two numbers of a bar, each ending where the others of its column end."""
    end = page.width - page.pad
    page.text(end - page.text_width(share, size), y, share, size, va="center")
    end -= share_width + COLUMN_GAP
    page.text(end - page.text_width(users, size), y, users, size, page.theme.muted, va="center")


def _between(page: "Page", funnel: Funnel, at: int) -> list[tuple[str, str]]:
    """Return what is written between two steps: the share that goes on, how many drop out, how long it takes."""
    theme, language = page.theme, page.language
    before, step = funnel.steps[at - 1], funnel.steps[at]
    if step.rate is None:
        return []
    lost = before.users - step.users
    parts = [
        (f"↓ {format_number(step.rate, '%', language)}", theme.ink),
        (Text(f"{lost:,} drop out", f"流失 {lost:,} 人").in_(language), theme.muted),
    ]
    if step.hours is not None:
        wait = format_number(step.hours, "hour", language)
        parts.append((Text(f"median {wait}", f"中位时长 {wait}").in_(language), theme.muted))
    if at == funnel.largest_drop:
        parts.append((LARGEST.in_(language), theme.down))
    return parts


def _draw_groups(
    page: "Page", funnels: tuple[Funnel, ...], labels: tuple[str, ...], names: list[str], left: float
) -> float:
    theme = page.theme
    page.legend([(label, theme.color(at)) for at, label in enumerate(labels)])
    page.text(left, page.top, FROM_FIRST.in_(page.language), TICK, theme.muted)
    users, shares = _values(page, funnels)
    right, widest = _bars_end(page, users, shares, TICK), max(page.text_width(text, TICK) for text in shares)
    y = page.top + 20
    for at, name in enumerate(names):
        height = GROUP_BAR * len(funnels)
        page.text(page.pad, y + height / 2, name, LABEL, va="center")
        for position, funnel in enumerate(funnels):
            top, share = y + position * GROUP_BAR, funnel.steps[at].overall or 0.0
            page.box(left, top, right - left, GROUP_BAR - 2, theme.card)
            page.box(left, top, (right - left) * min(share, 1.0), GROUP_BAR - 2, theme.color(position))
            place = position * len(names) + at
            _write_value(page, top + GROUP_BAR / 2 - 1, users[place], shares[place], widest, TICK)
        y += height + GROUP_GAP
    return y - GROUP_GAP
