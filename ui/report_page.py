"""Owns the page's way to a report: the form that asks for one, and its making told step by step. Knows no HTTP and no Gradio."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from wenshu.assistant.planner import Step
from wenshu.assistant.report import SECTION
from wenshu.assistant.report_periods import ReportPeriod, last_whole
from wenshu.assistant.report_templates import ReportTemplate, report_template
from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.text import Language, Text
from wenshu.ui import desk_texts as words
from wenshu.ui.answer_html import Html, element
from wenshu.ui.desk_html import panel_html
from wenshu.ui.growing import grown
from wenshu.ui.page_texts import place_in_line
from wenshu.ui.reports import DRAW, Document, documents
from wenshu.ui.waiting import WaitingLine
from wenshu.ui.workspace import reports_of

if TYPE_CHECKING:
    from wenshu.assistant.assistant import Assistant
    from wenshu.ui.entrance import Entrance

AT_ONCE = 2  # reports at work; the others wait in line
MOST_WEEKS, MOST_MONTHS = 12, 3

ABOUT = Text(
    "The numbers of a week on one page: what changed and why, each figure with how it came about.",
    "一页看完一周：核心指标、变化与原因，每个数都说得清来历。",
)
WHICH, WHEN = Text("Report", "报告"), Text("Week or month", "周或月份")
WEEKS, MONTHS = Text("Weeks", "周"), Text("Months", "月")
WRITE = Text("Write the report", "生成报告")
SAVE_HTML, SAVE_MARKDOWN = Text("Download (HTML)", "下载（HTML）"), Text("Download (Markdown)", "下载（Markdown）")
PRINT = Text("Print or save as PDF", "打印或存为 PDF")

log = logging.getLogger("wenshu.ui")


def report_form(assistant: "Assistant", language: Language, *, begin: str = "") -> Html:
    """Return the form that asks for a report; with `begin`, a period of its list, it is sent off at once."""
    layer = assistant.layer
    groups = _choices(layer.as_of(), layer.coverage) if layer.model.has_dates else {}
    options = [
        element("optgroup", *(_option(period, language, begin) for period in periods), label=label.in_(language)) for label, periods in groups.items() if periods
    ]  # fmt: skip
    if begin and not any(period.code == begin for periods in groups.values() for period in periods):
        options.insert(0, element("option", begin, value=begin, selected=True))
    known = reports_of(assistant.model.name)
    names = [element("option", each.title.in_(language), value=name) for name, each in known.items()]
    which = [_choice("name", WHICH, names, language)] if len(known) > 1 else []
    go = element("button", WRITE.in_(language), type="submit", class_="go")
    said = {
        key: text.in_(language) for key, text in {"html": SAVE_HTML, "markdown": SAVE_MARKDOWN, "print": PRINT}.items()
    }
    form = element(
        "form", element("div", *which, _choice("period", WHEN, options, language), go, class_="fields"), element("ol", class_="steps", role="status"),
        element("p", role="alert", class_="alert"), class_="report", data_report=json.dumps(said, ensure_ascii=False),
    )  # fmt: skip
    return panel_html(words.REPORT.in_(language), ABOUT.in_(language), form)


def _choice(name: str, label: Text, options: list[Html], language: Language) -> Html:
    return element("label", element("span", label.in_(language)), element("select", *options, name=name, required=True))


def _option(period: ReportPeriod, language: Language, chosen: str) -> Html:
    return element("option", period.label.in_(language), value=period.code, selected=period.code == chosen)


def _choices(as_of: date, coverage: DateRange) -> dict[Text, list[ReportPeriod]]:
    """Return the last whole weeks and months of which there are data, the latest first."""
    found: dict[Text, list[ReportPeriod]] = {}
    for label, grain, most in ((WEEKS, Grain.WEEK, MOST_WEEKS), (MONTHS, Grain.MONTH, MOST_MONTHS)):
        period = last_whole(as_of, grain)
        found[label] = []
        while len(found[label]) < most and period.named.end >= coverage.start:
            found[label].append(period)
            period = last_whole(period.named.start - timedelta(days=1), grain)
    return found


class ReportDesk:
    """Make reports for the page's people, so many at once; holds nothing of any one browser."""

    def __init__(self, entrance: "Entrance", clock: Callable[[], datetime]) -> None:
        self._entrance, self._clock = entrance, clock
        self._line = WaitingLine(AT_ONCE)

    async def lines(self, user: str | None, sent: Any) -> AsyncIterator[bytes]:
        """Yield a JSON object a line as the report grows: its steps, then its files or why there are none.

        When nobody reads on, the query at work ends too.
        """
        growing = grown(self._grow(user, sent if isinstance(sent, Mapping) else {}))
        async with aclosing(growing):
            async for news in growing:
                yield (json.dumps(news, ensure_ascii=False).encode() if news else b"") + b"\n"

    def _grow(self, user: str | None, sent: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        language: Language = "zh" if str(sent.get("lang")).startswith("zh") else "en"
        try:
            assistant = self._entrance.assistant_for(user)
            template = report_template(str(sent.get("name") or "weekly"), reports_of(assistant.model.name))
            with self._line.turn(user or "") as ticket:
                shown = 0
                while place := ticket.place:
                    if place != shown:
                        shown = place
                        yield {"within": place_in_line(place).in_(language)}
                    yield {}
                yield from self._made(template, assistant, user, str(sent.get("period") or "") or None, language)
        except WenshuError as error:
            yield {"failed": f"{error.message.in_(language)} {error.hint.in_(language)}".strip()}
        except Exception:  # the page's edge: whatever happened, its reader gets a sentence, not a trace
            log.exception("a report failed")
            yield {"failed": words.FAILED.in_(language)}

    def _made(
        self, template: ReportTemplate, assistant: "Assistant", user: str | None, period: str | None, language: Language
    ) -> Iterator[dict[str, Any]]:
        for news in documents(
            template, self._entrance, assistant, period=period, language=language, user=user, made=self._clock()
        ):
            if isinstance(news, Document):
                yield {"title": f"{news.report.title} · {news.report.period.label.in_(language)}", "html": news.html, "markdown": news.markdown,
                       "name": news.name("")}  # fmt: skip
            elif isinstance(news, Step):
                yield {"section" if news.key in (SECTION, DRAW) else "within": news.text.in_(language)}
