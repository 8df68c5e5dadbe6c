"""Owns how blocks look as HTML. Every text is escaped where it is put in; knows nothing of Gradio.

`page.js` gives life to what is written here: `data-ask` asks, `data-sort` orders, `data-copy` copies, `data-zoom` enlarges.
"""

import base64
import json
from collections.abc import Callable, Iterable
from html import escape
from typing import assert_never

from wenshu.semantic_layer.text import Language, Text
from wenshu.ui import desk_texts
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
    ReportOffer,
    ShownCell,
    Spans,
    file_name,
)

MAX_SHOWN_QUESTION = 400
NO_PICTURE_YET = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


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
    if tag in ("img", "br", "input"):
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
            element("h2", element("span", f"{words.ASKED.in_(language)} ", class_="sr-only"), shown, class_="question", data_question=question),
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
    retry = element("button", desk_texts.RETRY.in_(language), type="button", class_="tool", data_retry=True)
    return element("p", words.STOPPED.in_(language), " ", retry, class_="quiet")


def answer_html(
    blocks: tuple[Block, ...],
    *,
    question: str,
    language: Language,
    status: str,
    csv: bytes | None,
    picture: Callable[[Picture], bytes | None],
    turn: int | None = None,
    verified: str | None = None,
    good: bool | None = None,
    later: bool = False,
) -> Html:
    """Return the answer's blocks; `picture` draws one as PNG, `csv` is the whole table for download.

    `turn` names the answer in the history, which what can be done with it needs; `good` says how its reader liked it.
    With `later`, the page asks for the picture when its reader comes to it.
    """
    parts = [element("p", desk_texts.VERIFIED.in_(language).format(verified), class_="verified")] if verified else []
    for block in blocks:
        match block:
            case Picture():
                parts.append(_figure(block, b"" if later else picture(block), question, language, turn))
            case Grid():
                parts.append(_table(block, question, language, csv, turn))
            case _:
                parts.append(_block(block, language))
    if turn is not None:
        sql = any(isinstance(block, ReceiptCard) and block.sql for block in blocks)
        at = next((at for at, block in enumerate(blocks) if isinstance(block, Choices) and block.kind == "follow_ups"), len(blocks))
        parts.insert(at + bool(verified), _actions(turn, language, good, answered=status == "answered" and sql))
    return element("article", *parts, class_=f"answer {status}", aria_label=words.ANSWERED.in_(language), lang=language)


def _actions(turn: int, language: Language, good: bool | None, *, answered: bool) -> Html:
    """Return what can be done with an answer; only one with numbers is saved and pinned."""
    told = {"data_with": json.dumps({"turn": turn})}
    offered: list[tuple[str, Text, dict[str, str | bool | None]]] = [
        ("retry", desk_texts.RETRY, {"data_retry": True}),
        ("pen", desk_texts.EDIT, {"data_edit": True}),
        ("copy", desk_texts.COPY_ANSWER, {"data_copy_answer": True}),
    ]
    if answered:
        offered += [
            ("code", desk_texts.COPY_SQL, {"data_copy_sql": True}),
            ("book", desk_texts.SAVE, {"data_do": "save_form", **told}),
            ("pin", desk_texts.PIN, {"data_do": "pin", **told}),
        ]
    buttons = [icon_button(name, label.in_(language), **does) for name, label, does in offered]
    for name, label, vote in (("up", desk_texts.GOOD, True), ("down", desk_texts.BAD, False)):
        pressed = "true" if good is vote else "false"
        buttons.append(icon_button(name, label.in_(language), data_vote=str(vote).lower(), aria_pressed=pressed, **told))
    reason = element("input", type="text", maxlength="1000", placeholder=desk_texts.REASON.in_(language), aria_label=desk_texts.REASON.in_(language))  # fmt: skip
    send = element("button", desk_texts.SEND_REASON.in_(language), type="submit", class_="tool")
    form = element("form", reason, send, class_="reason", data_reason=desk_texts.REASON_GOOD.in_(language), hidden=True)
    bar = element("div", *buttons, class_="actions", role="group", aria_label=desk_texts.ACTIONS.in_(language))
    return element("div", bar, form, class_="about", data_turn_id=str(turn))


def icon_button(name: str, label: str, **attributes: str | bool | None) -> Html:
    """Return a button that shows an icon and is called by its label."""
    return element("button", icon(name), type="button", class_="icon", title=label, aria_label=label, **attributes)


def icon(name: str) -> Html:
    """Return one of the page's icons."""
    return Html(f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{ICONS[name]}"/></svg>')


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


ICONS = {  # paths of 24 × 24, stroked
    "retry": "M4 12a8 8 0 1 1 2.5 5.8M4 19v-5h5",
    "pen": "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
    "copy": "M9 9h11v11H9zM5 15H4V4h11v1",
    "code": "M8 8l-4 4 4 4M16 8l4 4-4 4M13.5 6l-3 12",
    "book": "M6 4h12v16l-6-4-6 4z",
    "pin": "M9 4h6l-1 6 4 3v2H6v-2l4-3zM12 15v6",
    "up": "M7 11v9H4v-9zM7 11l4-7c1.500 0 2.500 1 2 3l-.7 3H19c1 0 1.700 1 1.400 2l-1.800 6.500c-.2.9-1 1.500-2 1.500H7",
    "down": "M17 13V4h3v9zM17 13l-4 7c-1.500 0-2.500-1-2-3l.7-3H5c-1 0-1.700-1-1.400-2l1.800-6.500C5.600 4.600 6.400 4 7.400 4H17",
    "grid": "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
    "page": "M6 3h9l4 4v14H6zM9.500 17v-4M12.500 17V9.500M15.500 17v-2.500",
    "list": "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
    "bin": "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
    "cross": "M6 6l12 12M18 6L6 18",
    "up_file": "M12 16V5M8 9l4-4 4 4M5 15v4h14v-4",
    "help": "M9.500 9a2.500 2.500 0 1 1 3.500 2.300c-.7.4-1 .9-1 1.700M12 17h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
    "out": "M10 4H5v16h5M9 12h11M16 8l4 4-4 4",
    "table": "M4 5h16v14H4zM4 10h16M4 15h16M10 5v14",
}


def _block(block: Paragraph | Bullets | Notice | KeyFigures | ReceiptCard | Choices | ReportOffer, language: Language) -> Html:
    match block:
        case Paragraph():
            return element("p", inline(block.spans))
        case Bullets():
            return element("ul", *(element("li", inline(item)) for item in block.items))
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
        case ReportOffer():
            return element("p", element("button", block.text, type="button", class_="ask", data_do="report", data_with=json.dumps({"period": block.period})))
        case Choices():
            return element(
                "div",
                *([element("h3", block.title)] if block.title else []),
                *map(_ask_button, block.questions),
                class_=f"choices {block.kind}",
            )
        case _:
            assert_never(block)


def inline(spans: Spans) -> Html:
    """Return a line of styled words."""
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


def _figure(block: Picture, png: bytes | None, question: str, language: Language, turn: int | None) -> Html:
    if png is None:
        return element("p", words.PICTURE_FAILED.in_(language), class_="quiet")
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}" if png else NO_PICTURE_YET
    zoom = element(
        "button",
        element("img", src=source, alt=block.alt_text, data_picture=None if png else str(turn)),
        type="button",
        class_="zoom",
        data_zoom=words.CLOSE.in_(language),
        title=words.ENLARGE.in_(language),
    )
    save = element(
        "button", words.SAVE_PICTURE.in_(language), type="button", class_="tool", data_save=file_name(question, "png")
    )
    tools = [save, *_from_history("svg", desk_texts.SAVE_SVG, turn, language)]
    return element("figure", zoom, element("figcaption", *tools), class_="chart")


def _from_history(action: str, label: Text, turn: int | None, language: Language) -> list[Html]:
    if turn is None:
        return []
    sent = json.dumps({"turn": turn})
    return [element("button", label.in_(language), type="button", class_="tool", data_do=action, data_with=sent)]


def _table(block: Grid, question: str, language: Language, csv: bytes | None, turn: int | None) -> Html:
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
    tools += _from_history("xlsx", desk_texts.SAVE_XLSX, turn, language)
    return element(
        "section",
        element("div", element("h3", title), *tools, class_="bar"),
        element(
            "div",
            element("table", element("thead", element("tr", *heads)), element("tbody", *rows)),
            class_="scroll",
            tabindex="0",
            role="group",
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
