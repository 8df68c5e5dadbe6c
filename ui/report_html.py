"""Owns a report as one HTML file that needs nothing else: no script, no network, and it prints. Every text is escaped where it is put in."""

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.resources import files

from wenshu.assistant.answer import Answer
from wenshu.assistant.report import Chapter, WrittenReport
from wenshu.semantic_layer.text import Language
from wenshu.ui import report_view as view
from wenshu.ui.answer_html import Html, element, inline
from wenshu.ui.present import Block, Bullets, Grid, KeyFigures, Notice, Paragraph, Picture
from wenshu.ui.receipt_card import ReceiptCard

Draw = Callable[[Picture, Language, bool], bytes | None]

# Nothing runs and nothing is fetched, whatever a name in the data says.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
BESIDE = 4  # columns of a table that stands beside its picture
TREND_WIDTH, TREND_HEIGHT, TREND_PAD = 132, 34, 4


def report_html(report: WrittenReport, *, draw: Draw, made: datetime) -> str:
    """Return the whole file; `draw` gives a chart as SVG, narrow or not, `made` is the moment it was written."""
    language = report.language
    about = f"{report.period.label.in_(language)} · {report.about}"
    head = [
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"{report.title} · {report.period.code} · {report.about}"),
        element("style", Html(files("wenshu.ui").joinpath("report.css").read_text("utf-8"))),
    ]
    body = element(
        "main",
        element("header", element("h1", report.title), element("p", about, class_="about")),
        *(element("p", note, class_="note") for note in view.notes(report)),
        *_glance(report),
        *(_chapter(number, chapter, report, draw) for number, chapter in enumerate(report.chapters, start=1)),
        element("footer", view.MADE.in_(language).format(f"{made:%Y-%m-%d %H:%M}")),
    )
    page = element("html", element("head", *head), element("body", body), lang="zh-CN" if language == "zh" else "en")
    return f"<!doctype html>\n{page}\n"


def _glance(report: WrittenReport) -> Iterator[Html]:
    said = view.glance(report)
    if said:
        items = [
            element(
                "li",
                element("a", chapter.title, href=f"#part-{report.chapters.index(chapter) + 1}"),
                view.COLON.in_(report.language),
                inline(spans),
            )
            for chapter, spans in said
        ]
        yield element(
            "section", element("h2", view.GLANCE.in_(report.language)), element("ul", *items), class_="glance"
        )


def _chapter(number: int, chapter: Chapter, report: WrittenReport, draw: Draw) -> Html:
    parts: list[Html] = [element("h2", chapter.title)]
    if chapter.note:
        parts.append(element("p", chapter.note, class_="quiet"))
    elif chapter.section.show == "figures" and (shown := view.cards(chapter, report)):
        parts.append(element("div", *map(_card, shown), class_="cards"))
    else:
        for answer in chapter.answers:
            parts.append(element("div", *_answer(answer, draw), class_="answer"))
    parts += [_receipt(card) for card in view.receipts(chapter, report)]
    return element("section", *parts, id=f"part-{number}")


def _card(card: view.Card) -> Html:
    changes = [
        element(
            "p", element("span", change.change, class_=f"change {change.direction or ''}"), " ", element("span", f"{change.against} ({change.before})", class_="quiet")
        )
        for change in card.changes
    ]  # fmt: skip
    return element(
        "div",
        element("h3", card.label),
        element("p", card.value, class_="value"),
        *changes,
        *_trend(card),
        class_="card",
    )


def _trend(card: view.Card) -> Iterator[Html]:
    """Draw a line without axes, its last point marked."""
    if len(card.trend) < 2:
        return
    low, high = min(card.trend), max(card.trend)
    step = (TREND_WIDTH - 2 * TREND_PAD) / (len(card.trend) - 1)
    reach = TREND_HEIGHT - 2 * TREND_PAD
    points = [
        (TREND_PAD + step * at, TREND_PAD + reach * (1 - (value - low) / (high - low) if high > low else 0.5))
        for at, value in enumerate(card.trend)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    (x, y) = points[-1]
    drawn = Html(f'<polyline points="{line}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>')
    yield element(
        "svg",
        element("title", card.trend_label),
        drawn,
        class_="trend",
        viewBox=f"0 0 {TREND_WIDTH} {TREND_HEIGHT}",
        preserveAspectRatio="xMinYMid",
        role="img",
    )


def _answer(answer: Answer, draw: Draw) -> Iterator[Html]:
    """Yield an answer's words, then its picture with a small table beside it, or a large one folded below."""
    blocks = view.parts(answer)
    grid = next((block for block in blocks if isinstance(block, Grid)), None)
    picture = next((block for block in blocks if isinstance(block, Picture)), None)
    yield from (_block(block, answer.language) for block in blocks if not isinstance(block, Grid | Picture))
    beside = (
        grid is not None and picture is not None and len(grid.headers) <= BESIDE and len(grid.rows) <= view.MOST_ROWS
    )
    drawn = [_figure(picture, draw(picture, answer.language, beside))] if picture is not None else []
    table = [_table(grid, answer.language, folded=picture is not None and not beside)] if grid is not None else []
    yield element("div", *drawn, *table, class_="pair") if beside else Html("".join([*drawn, *table]))


def _figure(picture: Picture, image: bytes | None) -> Html:
    if image is None:
        return element("p", picture.alt_text, class_="quiet")
    return element(
        "figure",
        element(
            "img", src=f"data:image/svg+xml;base64,{base64.b64encode(image).decode('ascii')}", alt=picture.alt_text
        ),
    )


def _block(block: Block, language: Language) -> Html:
    match block:
        case Paragraph():
            return element("p", inline(block.spans))
        case Bullets():
            return element("ul", *(element("li", inline(item)) for item in block.items))
        case Notice():
            return element("p", f"{block.message} {block.hint}".strip(), class_="quiet")
        case KeyFigures():
            return element("div", *(_card(view.plain_card(figure)) for figure in block.figures), class_="cards")
        case _:  # what else there is, `view.parts` leaves out or `_answer` places
            return Html("")


def _table(grid: Grid, language: Language, *, folded: bool) -> Html:
    kinds = ["number" if numeric else "text" for numeric in grid.numeric]
    head = element(
        "tr", *(element("th", label, scope="col", class_=kind) for label, kind in zip(grid.headers, kinds, strict=True))
    )
    rows = [
        element("tr", *(element("td", cell.text, class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in grid.rows
    ]
    table = element("div", element("table", element("thead", head), element("tbody", *rows)), class_="scroll")
    notes = [element("p", note, class_="quiet") for note in grid.notes]
    if not folded and len(grid.rows) <= view.MOST_ROWS:
        return element("div", table, *notes)
    return element("details", element("summary", view.DATA.in_(language).format(grid.row_count)), table, *notes)


def _receipt(card: ReceiptCard) -> Html:
    entries = [
        element("div", element("dt", label), *(element("dd", line) for line in lines)) for label, lines in card.entries
    ]
    sql = [element("pre", element("code", card.sql))] if card.sql else []
    summary = element("summary", card.title, " ", element("span", card.summary, class_="quiet"))
    return element("details", summary, element("dl", *entries), *sql, class_="receipt")
