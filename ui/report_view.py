"""Owns what people see of a report: cards with changes and trends, the sentences that sum it up, and its parts as blocks. Pure.

Knows nothing of HTML or Markdown. Names found in the data are data, so every door escapes what it prints.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from wenshu.assistant.answer import Answer
from wenshu.assistant.report import Chapter, WrittenReport
from wenshu.semantic_layer.periods import Compare, Grain
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui.present import COLON as COLON
from wenshu.ui.present import Block, Choices, Grid, KeyFigure, Paragraph, ReportOffer, Span, Spans, key_figures, present
from wenshu.ui.receipt_card import ReceiptCard, receipt_card

MOST_ROWS = 12  # of a table that stands open
MOST_SUMMED = 3  # numbers in the summary
LONGEST_SUMMARY = {"zh": 160, "en": 380}  # characters of one point of it
SENTENCE = re.compile(r"[。！？]|[.!?](?=\s+[A-Z“])")

GLANCE = Text("At a glance", "要点")
AGAINST = {
    Grain.WEEK: Text("vs the week before", "较上周"),
    Grain.MONTH: Text("vs the month before", "较上月"),
    Grain.QUARTER: Text("vs the quarter before", "较上季度"),
    Grain.YEAR: Text("vs the year before", "较上年"),
}
AGAINST_BEFORE = Text("vs the period before", "较上期")
AGAINST_YEAR = Text("vs a year ago", "较去年同期")
AGAINST_DATES = Text("vs {}", "较 {}")
NOT_OVER = Text(
    "Not over yet: {} to {}, against the same days before.", "尚未结束：截至目前为 {} 至 {}，与此前相同天数对比。"
)
WITHHELD = Text("Left out, as your role may not see it: {}.", "以下内容未列出，您的角色无权查看：{}。")
MADE = Text("Made on {} by Wenshu.", "由问数生成于 {}。")
DATA = Text("Data ({} rows)", "数据（{} 行）")
RECEIPTS = Text("How these numbers came about", "这些数怎么来的")
UNTIL = Text("Trend, {} to {}", "走势：{} 至 {}")

Direction = Literal["up", "down", "flat"] | None


@dataclass(frozen=True, slots=True)
class Change:
    """Say how a number moved against another period."""

    against: str
    change: str
    before: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class Card:
    """Show one number large, with its changes and the values that led to it."""

    label: str
    value: str
    changes: tuple[Change, ...]
    trend: tuple[float, ...]
    trend_label: str = ""


def cards(chapter: Chapter, report: WrittenReport) -> tuple[Card, ...]:
    """Return the numbers of a chapter of figures: those of its first answer, changes from each that compares, trends from a series."""
    compared = [
        (_against(answer, report), {figure.label: figure for figure in _figures(answer)})
        for answer in chapter.answers
        if answer.query and answer.query.compare
    ]
    series = next((a.table for a in chapter.answers if a.table and a.query and a.query.grain), None)
    return tuple(
        Card(
            label=figure.label[:1].upper() + figure.label[1:],
            value=figure.value,
            changes=tuple(
                Change(against, other.change, other.before, other.direction)
                for against, others in compared
                if (other := others.get(figure.label)) is not None and other.direction is not None
            ),
            trend=_trend(series, figure.label, report.language),
            trend_label=_dates(series, report.language),
        )
        for figure in _figures(chapter.answers[0])
    )


def plain_card(figure: KeyFigure) -> Card:
    """Return the card of a number that stands in any answer."""
    changes = (Change("", figure.change, figure.before, figure.direction),) if figure.change else ()
    return Card(figure.label, figure.value, changes, ())


def glance(report: WrittenReport) -> tuple[tuple[Chapter, Spans], ...]:
    """Return what sums up each chapter that the template wants in the summary: its first numbers, or its first words."""
    found: list[tuple[Chapter, Spans]] = []
    for chapter in report.chapters:
        if not chapter.section.glance or not chapter.answers:
            continue
        if chapter.section.show == "figures" and (shown := cards(chapter, report)):
            found.append((chapter, _in_a_line(shown[:MOST_SUMMED], report.language)))
        elif said := next((block for block in present(chapter.answers[-1]) if isinstance(block, Paragraph)), None):
            found.append((chapter, _shortened(said.spans, LONGEST_SUMMARY[report.language])))
    return tuple(found)


def _in_a_line(shown: tuple[Card, ...], language: Language) -> Spans:
    spans: list[Span] = []
    for at, card in enumerate(shown):
        if language == "zh":
            moved = "，".join(f"{change.against} {change.change}" for change in card.changes)
            before, after = "；" if at else "", f"（{moved}）" if moved else ""
        else:
            moved = ", ".join(f"{change.change} {change.against}" for change in card.changes)
            before, after = "; " if at else "", f" ({moved})" if moved else ""
        spans += [Span(f"{before}{card.label} "), Span(card.value, "strong"), Span(after)]
    return tuple(spans)


def _shortened(spans: Spans, longest: int) -> Spans:
    """Return the whole sentences that fit, at least the first."""
    text = "".join(span.text for span in spans)
    ends = [found.end() for found in SENTENCE.finditer(text)]
    end = max([at for at in ends if at <= longest] or ends[:1] or [len(text)])
    kept: list[Span] = []
    for span in spans:
        if end <= 0:
            break
        kept.append(Span(span.text[:end], span.style))
        end -= len(span.text)
    return tuple(kept)


def parts(answer: Answer) -> tuple[Block, ...]:
    """Return what a report shows of an answer: all but its receipt and what to ask next."""
    return tuple(block for block in present(answer) if not isinstance(block, Choices | ReceiptCard | ReportOffer))


def receipts(chapter: Chapter, report: WrittenReport) -> Iterator[ReceiptCard]:
    """Yield the receipt of each answer of a chapter, those of one question told apart by what it is held against."""
    for answer in chapter.answers:
        if answer.receipt is not None:
            card = receipt_card(answer.receipt, answer.sql, answer.language)
            compares = answer.query is not None and answer.query.compare is not None and answer.analysis is None
            yield replace(card, summary=f"{card.summary} · {_against(answer, report)}") if compares else card


def cut(grid: Grid, rows: int = MOST_ROWS) -> Grid:
    """Return a table's first rows."""
    return replace(grid, rows=grid.rows[:rows])


def notes(report: WrittenReport) -> tuple[str, ...]:
    """Return what is to be known of the whole report."""
    said = []
    if report.period.is_cut:
        said.append(NOT_OVER.in_(report.language).format(report.period.dates.start, report.period.dates.end))
    if report.withheld:
        between = "、" if report.language == "zh" else ", "
        said.append(WITHHELD.in_(report.language).format(between.join(report.withheld)))
    return tuple(said)


def _figures(answer: Answer) -> tuple[KeyFigure, ...]:
    found = key_figures(answer.table, answer.language) if answer.table else None
    return found.figures if found else ()


def _against(answer: Answer, report: WrittenReport) -> str:
    """Say what an answer is held against: the period before, a year ago (whole weeks or the same dates), or other dates."""
    grain, language = report.period.grain, report.language
    if answer.query is not None and answer.query.compare is Compare.PREVIOUS:
        return (AGAINST[grain] if grain in AGAINST else AGAINST_BEFORE).in_(language)
    then = answer.receipt.compared_period if answer.receipt else None
    if then is None or 360 <= (report.period.dates.start - then.start).days <= 370:
        return AGAINST_YEAR.in_(language)
    return AGAINST_DATES.in_(language).format(f"{then.start} – {then.end}")


def _trend(series: ResultTable | None, label: str, language: Language) -> tuple[float, ...]:
    column = next((c for c in series.with_role("metric") if c.label.in_(language) == label), None) if series else None
    return (
        tuple(float(value) for value in series.values(column.name) if isinstance(value, int | float))
        if series and column
        else ()
    )


def _dates(series: ResultTable | None, language: Language) -> str:
    days = series.values(series.with_role("time")[0].name) if series else ()
    return UNTIL.in_(language).format(days[0], days[-1]) if days else ""
