"""Owns how history, saved questions, board and metrics look as HTML. Every text is escaped where it is put in; desk.js gives life to it.

`data-do` names an action of page_actions.py and `data-with` what is sent with it; `data-open` opens a conversation, `data-ask` asks.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from wenshu.assistant.question import language_of
from wenshu.assistant.templates import CATEGORIES
from wenshu.semantic_layer.errors import WenshuError
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.ui import desk_texts as words
from wenshu.ui.answer_html import Html, element, icon, icon_button
from wenshu.ui.gate import LOGOUT
from wenshu.ui.page_texts import NEW

if TYPE_CHECKING:
    from wenshu.assistant.templates import Parameter, Template
    from wenshu.ui.board import Pin
    from wenshu.ui.history import Conversation

SHOWN_VALUES = 8
SHOWN_NAMES = 6
BOOK, GRID, LIST, PEN, BIN, CROSS, HELP, PAGE = "book", "grid", "list", "pen", "bin", "cross", "help", "page"


def does(action: str, **sent: Any) -> dict[str, str | bool | None]:
    """Return the attributes of what does an action when it is clicked or sent off."""
    return {"data_do": action, "data_with": json.dumps(sent, ensure_ascii=False) if sent else None}


def button(label: str, **attributes: str | bool | None) -> Html:
    return element("button", label, type="button", **{"class_": "tool", **attributes})


# beside the conversation ----------------------------------------------------------------------------------------------


def sidebar_html(listed: Html, language: Language, switch: Html | None = None, user: str | None = None, signed_in: bool = False) -> Html:
    """Return what stands beside the conversation: the ways to elsewhere, the conversations and the `user`; with a `switch`, people bring data."""
    own = [("table", words.DATA, "data")] if switch is not None else []
    ways = [
        element("button", icon(name), label.in_(language), type="button", class_="way", **does(action))
        for name, label, action in ((BOOK, words.SAVED, "saved"), (GRID, words.BOARD, "board"), (PAGE, words.REPORT, "report"), (LIST, words.METRICS, "metrics"), *own, (HELP, words.GUIDE, "guide"))
    ]  # fmt: skip
    search = words.SEARCH.in_(language)
    said = {
        key: text.in_(language)
        for key, text in {
            "failed": words.FAILED, "sure": words.DELETE_SURE, "yes": words.DELETE_IT, "no": words.CANCEL, "title": words.TITLE,
            "close": words.CLOSE, "copied": words.COPIED, "link": words.LINK_COPIED, "loading": words.LOADING,
            "menu": words.MENU, "editing": words.EDITING, "gone": words.GONE, "held": words.HELD, "takeBack": words.TAKE_BACK, "nothing": words.NOTHING_FOUND,
        }.items()
    }  # fmt: skip
    return element(
        "div",
        *([switch] if switch else []),
        element("button", NEW.in_(language), type="button", class_="new", data_new=True),
        element("nav", *ways, aria_label=words.MENU.in_(language)),
        element("h2", words.CONVERSATIONS.in_(language)),
        element("input", type="search", placeholder=search, aria_label=search, data_live="conversations"),
        element("div", listed, id="conversations"),
        *([_who(user, signed_in, language)] if user else []),
        class_="side",
        data_words=json.dumps(said, ensure_ascii=False),
    )


def _who(user: str, signed_in: bool, language: Language) -> Html:
    name = words.SIGNED_IN.in_(language).format(user)
    out = element("button", icon("out"), type="submit", class_="icon", title=words.SIGN_OUT.in_(language), aria_label=words.SIGN_OUT.in_(language))
    return element("form", element("span", name, title=name), *([out] if signed_in else []), class_="who", method="post", action=LOGOUT)


def conversations_html(
    conversations: Iterable["Conversation"], *, search: str, today: datetime, language: Language
) -> Html:
    """Return the conversations under the days they were last used; `today` is the beginning of the reader's day."""
    days: dict[str, list[Html]] = {}
    for each in conversations:
        days.setdefault(_day(each.changed, today).in_(language), []).append(_conversation(each, language))
    if not days:
        nothing = words.NOTHING_FOUND.in_(language).format(search) if search else words.NO_CONVERSATIONS.in_(language)
        return element("p", nothing, class_="quiet")
    return _join(element("section", element("h3", day), element("ul", *items)) for day, items in days.items())


def _day(moment: datetime, today: datetime) -> Text:
    for text, since in ((words.TODAY, 0), (words.YESTERDAY, 1), (words.WEEK, 7)):
        if moment >= today - timedelta(days=since):
            return text
    return words.OLDER


def _conversation(each: "Conversation", language: Language) -> Html:
    return element(
        "li",
        element("button", each.title, type="button", class_="open", data_open=each.id, title=each.title),
        icon_button(PEN, words.RENAME.in_(language).format(each.title), data_rename=each.id),
        icon_button(BIN, words.DELETE.in_(language).format(each.title), data_sure=each.title, **does("delete", conversation=each.id)),
    )  # fmt: skip


# saved questions ------------------------------------------------------------------------------------------------------


def saved_html(
    templates: Iterable["Template"], problems: Iterable[WenshuError], own: frozenset[str], language: Language, said: WenshuError | None = None
) -> Html:  # fmt: skip
    """Return the saved questions by category, each with its parameters to fill; `own` may be edited and deleted."""
    groups: dict[str, list[Html]] = {}
    for template in templates:
        category = CATEGORIES.get(template.category, same(template.category)).in_(language)
        groups.setdefault(category, []).append(_saved(template, template.name in own, language))
    listed = [element("section", element("h3", name), *cards, class_="group") for name, cards in groups.items()]
    return panel_html(
        words.SAVED.in_(language),
        words.SAVED_HELP.in_(language),
        *([failure_html(said, language)] if said else []),
        _broken(tuple(problems), language),
        _filter(words.SEARCH_SAVED.in_(language)),
        *(listed or [element("p", words.NO_SAVED.in_(language), class_="quiet")]),
    )


def _broken(problems: tuple[WenshuError, ...], language: Language) -> Html:
    if not problems:
        return Html("")
    said = [element("li", f"{p.message.in_(language)} {p.hint.in_(language)}".strip()) for p in problems]
    return element("details", element("summary", words.BROKEN.in_(language)), element("ul", *said), class_="notice refused")


def _saved(template: "Template", own: bool, language: Language) -> Html:
    title = template.title.in_(language)
    about = template.description.in_(language) or template.asked({}, language)
    fields = [_field(parameter, template.name, language) for parameter in template.parameters]
    tools = [
        element("button", words.RUN.in_(language), type="submit", class_="go"),
        button(words.SHARE.in_(language), data_share=template.name),
    ]
    if own:
        tools += [
            button(words.EDIT_SAVED.in_(language), **does("edit_saved", name=template.name)),
            icon_button(BIN, words.DELETE.in_(language).format(title), data_sure=title, **does("delete_saved", name=template.name)),
        ]  # fmt: skip
    head = [element("h4", title), *([element("span", words.OWN.in_(language), class_="tag")] if own else [])]
    return element(
        "form",
        element("div", *head, class_="head"),
        element("p", about, class_="quiet"),
        *([element("div", *fields, class_="fields")] if fields else []),
        element("p", role="alert", class_="alert"),
        element("div", *tools, class_="tools"),
        class_="card",
        data_find=f"{title} {about} {template.name}".lower(),
        **does("run", name=template.name),
    )


def _field(parameter: "Parameter", template: str, language: Language) -> Html:
    number = parameter.type == "number"
    shown = element(
        "input",
        type="number" if number else "text",
        name=parameter.name,
        value=parameter.default.in_(language),
        required=True,
        min="1" if number else None,
        autocomplete="off",
    )
    return element("label", element("span", parameter.label.in_(language)), shown)


def save_form_html(
    language: Language, *, title: str, action: Mapping[str, Any], name: str | None, said: Mapping[str, str]
) -> Html:
    """Return the form that saves a question; `name` is what it is called where that is still to be chosen."""
    chosen = said.get("category", "other")
    options = [
        element("option", label.in_(language), value=key, selected=key == chosen) for key, label in CATEGORIES.items()
    ]
    hint = words.NAME_HINT.in_(language)
    fields = [_text("title", words.TITLE.in_(language), said.get("title", ""), required=True, maxlength="120")]
    if name is not None:
        fields.append(
            _text("name", words.NAME.in_(language), name, required=True, pattern="[a-z][a-z0-9_]*", title=hint, maxlength="64")
        )
    wording = words.WORDING if name is None else words.WORDING_NEW
    fields += [
        element("label", element("span", words.CATEGORY.in_(language)), element("select", *options, name="category")),
        _text("question", wording.in_(language), said.get("question", ""), required=True, maxlength="400"),
        _text("description", words.DESCRIPTION.in_(language), said.get("description", ""), maxlength="300"),
    ]
    go = element("button", words.SAVE_IT.in_(language), type="submit", class_="go")
    tools = element("div", go, button(words.CANCEL.in_(language), data_close=True), class_="tools")
    form = element("form", *fields, element("p", role="alert", class_="alert"), tools, class_="stack", **does(**action))
    return panel_html(title, "", form)


def _text(name: str, label: str, value: str, **attributes: str | bool | None) -> Html:
    field = element("input", type="text", name=name, value=value, autocomplete="off", **attributes)
    return element("label", element("span", label), field)


# board and metrics ----------------------------------------------------------------------------------------------------


def board_html(pins: tuple["Pin", ...], language: Language) -> Html:
    """Return the board with a place for each pinned answer, which desk.js asks for one after the other."""
    cards = [
        element(
            "article",
            element("div", element("h3", " › ".join(pin.questions)), _unpin(pin, language), class_="head"),
            element("div", element("p", words.LOADING.in_(language), class_="quiet"), class_="body", data_card=str(pin.id), aria_busy="true"),
            class_="card",
        )
        for pin in pins
    ]  # fmt: skip
    shown = element("div", *cards, class_="cards") if cards else element("p", words.NO_PINS.in_(language), class_="quiet")
    return panel_html(words.BOARD.in_(language), words.BOARD_HELP.in_(language), shown)


def _unpin(pin: "Pin", language: Language) -> Html:
    return icon_button(CROSS, words.UNPIN.in_(language).format(pin.question), **does("unpin", pin=pin.id))


def card_html(answer: Html, at: str, pin: "Pin", language: Language) -> Html:
    """Return what a place on the board is filled with."""
    ask = [button(words.OPEN_QUESTION.in_(language), data_ask=pin.question)] if len(pin.questions) == 1 else []
    return _join([answer, element("p", words.RUN_AT.in_(language).format(at), class_="quiet"), *ask])


def metrics_html(catalogue: Mapping[str, Any], examples: Mapping[str, str], language: Language) -> Html:
    """Return what the model can be asked; `examples` has a question for a name."""
    segments = set(catalogue["segments"])
    kinds = {
        "metrics": catalogue["metrics"],
        "segments": [d for d in catalogue["dimensions"] if d["name"] in segments],
        "dimensions": [d for d in catalogue["dimensions"] if d["name"] not in segments],
    }
    groups = [
        element("section", element("h3", words.KINDS[kind].in_(language)), *(_entry(e, examples, language) for e in entries), class_="group")
        for kind, entries in kinds.items()
        if entries
    ]  # fmt: skip
    search = _filter(words.SEARCH_METRICS.in_(language))
    return panel_html(words.METRICS.in_(language), words.METRICS_HELP.in_(language), search, *groups)


def _entry(entry: Mapping[str, Any], examples: Mapping[str, str], language: Language) -> Html:
    between = "、" if language == "zh" else ", "
    also = between.join([word for word in entry["synonyms"] if language_of(word) == language and "{" not in word][:SHOWN_NAMES])
    values = between.join(map(str, entry.get("values", ())[:SHOWN_VALUES]))
    lines = [
        element("p", text, class_="quiet")
        for text in (
            entry["definition"],
            words.ALSO.in_(language).format(also) if also else "",
            words.VALUES.in_(language).format(values) if values else "",
        )
        if text
    ]
    example = examples.get(entry["name"])
    ask = [button(example, class_="ask", data_ask=example)] if example else []
    head = element("div", element("h4", entry["label"]), element("code", entry["name"]), class_="head")
    find = " ".join([entry["label"], entry["name"], entry["definition"], *entry["synonyms"], values]).lower()
    return element("article", head, *lines, *ask, class_="card", data_find=find)


def guide_html(examples: Iterable[tuple[str, tuple[str, ...]]], language: Language) -> Html:
    """Return what tells somebody new how to ask; `examples` are questions under the names of their groups."""
    asked = [
        element("section", element("h3", label), *(button(each, class_="ask", data_ask=each) for each in questions)) for label, questions in examples
    ]  # fmt: skip
    said = [element("section", element("h3", title.in_(language)), *(element("p", line) for line in text.in_(language).split("\n"))) for title, text in words.GUIDE_TEXTS]
    keys = [part for key, does in words.GUIDE_KEYS for part in (element("dt", element("kbd", key)), element("dd", does.in_(language)))]
    keyboard = element("section", element("h3", words.KEYBOARD.in_(language)), element("dl", *keys))
    return panel_html(words.GUIDE.in_(language), words.GUIDE_ABOUT.in_(language), element("div", *asked, *said, keyboard, class_="guide"))


# shared ---------------------------------------------------------------------------------------------------------------


def panel_html(title: str, about: str, *parts: Html) -> Html:
    """Return the inside of the panel over the page."""
    return _join(
        [
            element("h2", title, id="panel-title"),
            *([element("p", about, class_="quiet")] if about else []),
            *parts,
        ]
    )


def failure_html(error: WenshuError, language: Language) -> Html:
    said = [element("p", text, class_=part) for part, text in (("message", error.message.in_(language)), ("hint", error.hint.in_(language))) if text]  # fmt: skip
    return element("div", *said, class_="notice refused", role="alert")


def _filter(label: str) -> Html:
    return element(
        "div",
        element("input", type="search", placeholder=label, aria_label=label, data_filter=True),
        element("p", role="status", class_="quiet none"),
        class_="filter",
    )


def _join(parts: Iterable[Html]) -> Html:
    return Html("".join(parts))
