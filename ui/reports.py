"""Owns making a report for a door: asked as one person through the reception, and written as HTML, Markdown or PDF."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wenshu.assistant.planner import Investigation, Plan, Step
from wenshu.assistant.report import WrittenReport, write_report
from wenshu.assistant.report_periods import report_period
from wenshu.assistant.report_templates import ReportTemplate
from wenshu.semantic_layer.text import Language
from wenshu.semantic_layer.whole_file import written_whole
from wenshu.ui.page_texts import DRAWING
from wenshu.ui.page_turn import Look, drawn
from wenshu.ui.present import Picture
from wenshu.ui.report_html import report_html
from wenshu.ui.report_markdown import report_markdown
from wenshu.ui.workspace import templates_of

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.question import Question

DRAW = "draw"  # the key of the step that draws the charts
ENDINGS = (".html", ".md", ".pdf")


class Door(Protocol):
    """Whoever answers people: a reception, or the page's entrance."""

    def stream(self, question: "Question") -> "Iterator[Step | Answer]": ...

    def carry_out(self, question: "Question", outcome: Plan | Investigation) -> "Iterator[Step | Answer]": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Hold a report that can be had as files; `answer` is its first, by which a message sums it up."""

    report: WrittenReport
    made: datetime

    @property
    def html(self) -> str:
        """Draw the charts and return the whole file."""
        return report_html(self.report, draw=_svg, made=self.made)

    @property
    def markdown(self) -> str:
        return report_markdown(self.report, made=self.made)

    @property
    def answer(self) -> "Answer":
        return next(answer for chapter in self.report.chapters for answer in chapter.answers)

    def name(self, ending: str) -> str:
        """Return the name of its file: wenshu-report-2026-W43.html."""
        return f"wenshu-report-{self.report.period.code}{ending}"


def documents(
    template: ReportTemplate, door: Door, assistant: "Assistant", *, period: str | None, language: Language, user: str | None, made: datetime
) -> Iterator[Step | Document]:  # fmt: skip
    """Yield the stages of a report as they begin, then the report, to be drawn. Raises `WenshuError` where there is none."""
    layer = assistant.layer
    about = report_period(period, as_of=layer.as_of(), coverage=layer.coverage, language=language)

    def carry(question: "Question", outcome: Plan | Investigation | None) -> "Iterator[Step | Answer]":
        return door.stream(question) if outcome is None else door.carry_out(question, outcome)

    saved = templates_of(layer.model, layer.policy_fingerprint)
    for news in write_report(template, layer, about, language=language, user=user, carry=carry, saved=saved):
        if isinstance(news, Step):
            yield news
        else:
            yield Step(DRAW, DRAWING)
            yield Document(report=news, made=made)


def write_document(document: Document, path: Path) -> None:
    """Write a report to a file, whole or not at all, in the form that its ending says."""
    with written_whole(path) as beside:
        match path.suffix.lower():
            case ".pdf":
                from wenshu.ui.print_pdf import print_pdf

                print_pdf(document.html, beside)
            case ".md":
                beside.write_text(document.markdown, "utf-8")
            case _:
                beside.write_text(document.html, "utf-8")


def _svg(picture: Picture, language: Language, narrow: bool) -> bytes | None:
    return drawn(picture.chart, picture.table, language, Look(narrow=narrow), "svg")
