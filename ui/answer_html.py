"""Owns how blocks look as HTML. Every text is escaped where it is put in; knows nothing of Gradio.

`page.js` gives life to what is written here: `data-ask` asks, `data-sort` orders, `data-copy` copies, `data-zoom` enlarges.
"""

import base64
from collections.abc import Callable, Iterable
from html import escape
from typing import assert_never

from wenshu.semantic_layer.text import Language
from wenshu.ui import page_texts as words
from wenshu.ui.present import (
    Block,
    Bullets,
    Choices,
    Grid,
    KeyFigure,
    KeyFigures,
    Notice,
    Paragraph,
    Picture,
    ReceiptCard,
    ShownCell,
    Spans,
    file_name,
)

MAX_SHOWN_QUESTION = 400


class Html(str):
    """Mark text that is HTML already; any other text is escaped."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | bool | None) -> Html:
    """Return an element; `class_` and `aria_label` stand for class and aria-label, None and False leave one out.

    >>> element("b", "1 < 2", title='"')
    '<b title="&quot;">1 &lt; 2</b>'
    """
    shown = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in ("img", "br"):
        return Html(f"<{tag}{shown}>")
    return Html(f"<{tag}{shown}>{''.join(map(_html, children))}</{tag}>")


def _html(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)


def _join(parts: Iterable[str]) -> Html:
    return Html("".join(map(_html, parts)))


def turn_html(question: str, answer: Html, language: Language) -> Html:
    """Return one turn of the conversation: the question, then whatever is known of its answer."""
    shown = question if len(question) <= MAX_SHOWN_QUESTION else f"{question[:MAX_SHOWN_QUESTION]}…"
    return _join(
        [
            element("h2", element("span", f"{words.ASKED.in_(language)} ", class_="sr-only"), shown, class_="question"),
            answer,
        ]
    )


def steps_html(steps: tuple[str, ...], language: Language) -> Html:
    """Return the stages so far; the last is the one at work."""
    last = len(steps) - 1
    items = [element("li", step, class_="done" if at < last else "now") for at, step in enumerate(steps)]
    shown = items or [element("li", words.WORKING.in_(language), class_="now")]
    return element("ol", *shown, class_="steps", aria_label=words.STEPS.in_(language))


def stopped_html(language: Language) -> Html:
    """Return what takes the place of an answer that was stopped."""
    return element("p", words.STOPPED.in_(language), class_="quiet")


def answer_html(
    blocks: tuple[Block, ...],
    *,
    question: str,
    language: Language,
    status: str,
    csv: bytes | None,
    picture: Callable[[Picture], bytes | None],
) -> Html:
    """Return the answer's blocks; `picture` draws one as PNG, `csv` is the whole table for download."""
    parts = []
    for block in blocks:
        match block:
            case Picture():
                parts.append(_figure(block, picture(block), question, language))
            case Grid():
                parts.append(_table(block, question, language, csv))
            case _:
                parts.append(_block(block, language))
    return element("article", *parts, class_=f"answer {status}", aria_label=words.ANSWERED.in_(language), lang=language)


def welcome_html(examples: tuple[tuple[str, tuple[str, ...]], ...], language: Language) -> Html:
    """Return what the empty page shows: a greeting, and example questions in groups."""
    groups = [
        element("section", element("h3", label), *map(_ask_button, questions), class_="examples")
        for label, questions in examples
    ]
    return _join(
        [
            element("h2", words.GREETING.in_(language), class_="greeting"),
            element("p", words.TAGLINE.in_(language), class_="tagline"),
            element("div", *groups, class_="example-groups"),
        ]
    )


def header_html(label: str, language: Language) -> Html:
    """Return the page's head: its name and what data it speaks of."""
    return _join(
        [
            Html(LOGO),
            element("h1", words.NAME),
            element("span", label, class_="model-label", title=words.TAGLINE.in_(language)),
        ]
    )


def help_html(language: Language) -> Html:
    """Return the line that says what can be asked, and the keys for those who have them."""
    return _join([words.HELP.in_(language), element("span", f" · {words.KEYS.in_(language)}", class_="keys")])


LOGO = (
    '<svg class="logo" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="9" fill="#3355d8"/>'
    '<path d="M9 22v-5M16 22V10M23 22v-8" stroke="#fff" stroke-width="3.4" stroke-linecap="round"/></svg>'
)


def _block(block: Paragraph | Bullets | Notice | KeyFigures | ReceiptCard | Choices, language: Language) -> Html:
    match block:
        case Paragraph():
            return element("p", _inline(block.spans))
        case Bullets():
            return element("ul", *(element("li", _inline(item)) for item in block.items))
        case Notice():
            said = [
                element("p", text, class_=part)
                for part, text in (("message", block.message), ("hint", block.hint))
                if text
            ]
            return element("div", *said, class_=f"notice {block.status}", role="note")
        case KeyFigures():
            return _key_figures(block, language)
        case ReceiptCard():
            return _receipt(block, language)
        case Choices():
            return element(
                "div",
                *([element("h3", block.title)] if block.title else []),
                *map(_ask_button, block.questions),
                class_=f"choices {block.kind}",
            )
        case _:
            assert_never(block)


def _inline(spans: Spans) -> Html:
    return _join(span.text if span.style == "plain" else element(span.style, span.text) for span in spans)


def _ask_button(question: str) -> Html:
    return element("button", question, type="button", class_="ask", data_ask=question)


def _key_figures(block: KeyFigures, language: Language) -> Html:
    return element("dl", *(_key_figure(figure, language) for figure in block.figures), class_="key-figures")


def _key_figure(figure: KeyFigure, language: Language) -> Html:
    parts = [element("dt", figure.label), element("dd", figure.value)]
    if figure.change:
        parts.append(element("dd", element("span", figure.change, class_=f"change {figure.direction or ''}")))
    if figure.before:
        parts.append(element("dd", words.BEFORE.in_(language).format(figure.before), class_="quiet"))
    if figure.counts:
        parts.append(element("dd", figure.counts, class_="quiet"))
    return element("div", *parts, class_="figure")


def _figure(block: Picture, png: bytes | None, question: str, language: Language) -> Html:
    if png is None:
        return element("p", words.PICTURE_FAILED.in_(language), class_="quiet")
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    zoom = element(
        "button",
        element("img", src=source, alt=block.alt_text),
        type="button",
        class_="zoom",
        data_zoom=words.CLOSE.in_(language),
        title=words.ENLARGE.in_(language),
    )
    save = element(
        "button", words.SAVE_PICTURE.in_(language), type="button", class_="tool", data_save=file_name(question, "png")
    )
    return element("figure", zoom, element("figcaption", save), class_="chart")


def _table(block: Grid, question: str, language: Language, csv: bytes | None) -> Html:
    kinds = ["number" if numeric else "text" for numeric in block.numeric]
    sort = words.SORT.in_(language)
    heads = [
        element(
            "th",
            element("button", label, type="button", data_sort=kind, title=sort.format(label)),
            scope="col",
            class_=kind,
        )
        for label, kind in zip(block.headers, kinds, strict=True)
    ]
    rows = [element("tr", *(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True))) for row in block.rows]
    title = words.TABLE.in_(language)
    tools = [element("span", words.ROWS.in_(language).format(block.row_count), class_="row-count")]
    if csv is not None:
        source = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(csv).decode('ascii')}"
        tools.append(
            element(
                "a", words.SAVE_TABLE.in_(language), href=source, download=file_name(question, "csv"), class_="tool"
            )
        )
    return element(
        "section",
        element("div", element("h3", title), *tools, class_="bar"),
        element(
            "div",
            element("table", element("thead", element("tr", *heads)), element("tbody", *rows)),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label=title,
        ),
        *(element("p", note, class_="quiet") for note in block.notes),
        class_="data",
    )


def _cell(cell: ShownCell, kind: str) -> Html:
    return element("td", cell.text, class_=kind, data_key=None if cell.sort is None else str(cell.sort))


def _receipt(block: ReceiptCard, language: Language) -> Html:
    entries = [
        element("div", element("dt", label), *(element("dd", line) for line in lines)) for label, lines in block.entries
    ]
    parts: list[Html] = [element("dl", *entries)]
    if block.sql:
        copy = element(
            "button", words.COPY.in_(language), type="button", class_="tool", data_copy=words.COPIED.in_(language)
        )
        head = element("div", element("h4", "SQL"), copy, class_="bar")
        parts.append(element("div", head, element("pre", element("code", block.sql), tabindex="0"), class_="sql"))
    summary = element("summary", element("span", block.title), element("span", block.summary, class_="quiet"))
    return element("details", summary, *parts, class_="receipt")
