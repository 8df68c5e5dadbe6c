"""Owns what the page does beside asking: history, votes, files of an answer, saved questions, board, metrics. Knows no HTTP and no Gradio.

Every action is done as the person who sends it, over what that person may see; nothing is taken from another's.
"""

import base64
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wenshu.assistant.question import Question
from wenshu.assistant.templates import CATEGORIES, Template, template_of
from wenshu.semantic_layer.describe import catalogue
from wenshu.semantic_layer.errors import QueryError, WenshuError
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.ui import board, feedback
from wenshu.ui import desk_html as html
from wenshu.ui import desk_texts as words
from wenshu.ui.answer_html import Html, element
from wenshu.ui.history import History, Turn, not_answered
from wenshu.ui.page_data import DataActions, no_data
from wenshu.ui.page_texts import group_examples
from wenshu.ui.page_turn import Look, answer_of, drawn, shown_answer
from wenshu.ui.present import file_name

if TYPE_CHECKING:
    from wenshu.assistant.answer import Answer
    from wenshu.assistant.assistant import Assistant
    from wenshu.assistant.template_files import Templates
    from wenshu.ui.entrance import Entrance
    from wenshu.ui.own_models import OwnModels

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Reply = dict[str, Any]

log = logging.getLogger("wenshu.ui")


@dataclass(frozen=True, slots=True)
class Wish:
    """Hold what a person's browser asks to be done, and in which language and colours its page is."""

    user: str | None
    assistant: "Assistant"
    sent: Mapping[str, Any]
    language: Language

    @property
    def owner(self) -> str:
        return self.user or ""

    @property
    def model(self) -> str:
        return self.assistant.model.name

    @property
    def mine(self) -> tuple[str, str]:
        """Return what a person's things are kept under."""
        return self.owner, self.model

    @property
    def look(self) -> Look:
        return Look.of(self.sent.get("look"))

    def text(self, key: str) -> str:
        value = self.sent.get(key, "")
        return value.strip() if isinstance(value, str) else ""

    def fields(self) -> dict[str, str]:
        """Return what was filled into a form."""
        sent = self.sent.get("fields")
        return {str(key): value.strip() for key, value in sent.items() if isinstance(value, str)} if isinstance(sent, Mapping) else {}

    def number(self, key: str) -> int:
        value = self.sent.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else 0


class PageActions:
    """Do what the page asks for, by name; a failure is an answer too."""

    def __init__(
        self, entrance: "Entrance", history: History, templates_of: "Callable[[Assistant], Templates]", today: Callable[[], datetime],
        own: "OwnModels | None" = None, served: "Entrance | None" = None,
    ) -> None:  # fmt: skip
        """`today` gives the moment by this machine's clock, in its time zone; `served` answers those who have chosen no model of their `own`."""
        self._entrance = entrance
        self.history = history
        self._templates_of = templates_of
        self._clock = today
        self._models = own
        self._served = served or entrance

    def perform(self, user: str | None, sent: Any) -> Reply:
        """Return what the page is to do: fill a place, say something, save a file, ask a question."""
        language: Language = "zh" if isinstance(sent, Mapping) and str(sent.get("lang")).startswith("zh") else "en"
        try:
            name = sent.get("do") if isinstance(sent, Mapping) else None
            wish = Wish(user, self._entrance.assistant_for(user), sent, language)
            if name in DATA_ACTIONS:
                reply: Reply = getattr(self._data(wish), name)(wish)
                return reply
            if name in ACTIONS:
                return ACTIONS[name](self, wish)
            return {"failed": words.FAILED.in_(language)}
        except WenshuError as error:
            return {"failed": f"{error.message.in_(language)} {error.hint.in_(language)}".strip()}
        except Exception:  # the page's edge: whatever happened, its reader gets a sentence, not a trace
            log.exception("an action of the page failed")
            return {"failed": words.FAILED.in_(language)}

    # conversations

    def sidebar(self, wish: Wish) -> Reply:
        switch = self._data(wish).switch(wish) if self._models else None
        return {"into": "#side", "html": html.sidebar_html(self._listed(wish), wish.language, switch, wish.user, self._entrance.sign_ins is not None)}

    def _data(self, wish: Wish) -> DataActions:
        if self._models is None:
            raise no_data()
        return DataActions(self._models, self._served.assistant_for(wish.user).model.label)

    def conversations(self, wish: Wish) -> Reply:
        return {"into": "#conversations", "html": self._listed(wish)}

    def _listed(self, wish: Wish) -> Html:
        search = wish.text("search")
        found = self.history.conversations(*wish.mine, search)
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        return html.conversations_html(found, search=search, today=today, language=wish.language)

    def rename(self, wish: Wish) -> Reply:
        self.history.rename(*wish.mine, wish.text("conversation"), wish.text("title"))
        return self.conversations(wish)

    def delete(self, wish: Wish) -> Reply:
        self.history.delete(*wish.mine, wish.text("conversation"))
        return {**self.conversations(wish), "deleted": wish.text("conversation"), "said": words.DELETED.in_(wish.language)}

    # an answer

    def vote(self, wish: Wish) -> Reply:
        good = wish.sent.get("good")
        feedback.vote(self.history, *wish.mine, wish.number("turn"), good if isinstance(good, bool) else None, wish.text("reason"))
        return {"said": words.THANKS.in_(wish.language)} if isinstance(good, bool) else {}

    def xlsx(self, wish: Wish) -> Reply:
        from wenshu.ui.excel_file import to_xlsx

        turn, answer = self._answer(wish)
        if answer.table is None:
            raise _gone()
        return _file(turn.question, "xlsx", XLSX, to_xlsx(answer.table, answer.language))

    def png(self, wish: Wish) -> Reply:
        _, answer = self._answer(wish)
        picture = answer.chart and answer.table and drawn(answer.chart, answer.table, answer.language, wish.look)
        return {"picture": base64.b64encode(picture).decode("ascii")} if picture else {}

    def svg(self, wish: Wish) -> Reply:
        turn, answer = self._answer(wish)
        picture = answer.chart and answer.table and drawn(answer.chart, answer.table, answer.language, replace(wish.look, narrow=False), "svg")
        if not picture:
            raise _gone()
        return _file(turn.question, "svg", "image/svg+xml", picture)

    def _answer(self, wish: Wish) -> "tuple[Turn, Answer]":
        turn = self.history.turn(*wish.mine, wish.number("turn"))
        return turn, answer_of(turn, wish.assistant)

    # saved questions

    def saved(self, wish: Wish, said: WenshuError | None = None) -> Reply:
        templates = self._templates_of(wish.assistant)
        order = list(CATEGORIES)
        found = sorted(templates.all, key=lambda t: order.index(t.category) if t.category in order else len(order))
        own = frozenset(t.name for t in found if templates.owns(t.name))
        return {"panel": html.saved_html(found, templates.errors, own, wish.language, said)}

    def run(self, wish: Wish) -> Reply:
        given = wish.fields()
        try:
            template = self._named(wish)
            as_of = wish.assistant.layer.as_of()
            template.filled(given, wish.assistant.model, as_of=as_of, language=wish.language)
            return {"ask": template.asked(given, wish.language), "close": True}
        except WenshuError as error:
            if wish.sent.get("link") is True:
                return self.saved(wish, error)
            raise

    def save_form(self, wish: Wish) -> Reply:
        turn, answer = self._answer(wish)
        if answer.query is None:
            raise not_answered()
        alone = self._ask(Question(text=turn.question, user=wish.user)).query == answer.query
        title = turn.question if alone or answer.chart is None else answer.chart.title
        said = {"title": title, "question": turn.question if alone else ""}
        return {"panel": html.save_form_html(wish.language, title=words.SAVE_TITLE.in_(wish.language), action={"action": "save", "turn": turn.id}, name=f"saved_{turn.id}", said=said)}  # fmt: skip

    def save(self, wish: Wish) -> Reply:
        turn, answer = self._answer(wish)
        if answer.query is None:
            raise not_answered()
        said, templates = wish.fields(), self._templates_of(wish.assistant)
        name, question = said.get("name", ""), said.get("question", "")
        if any(template.name == name for template in templates.all):
            taken = Text(words.NAME_TAKEN.en.format(name), words.NAME_TAKEN.zh.format(name))
            raise QueryError("name_taken", taken, words.NAME_TAKEN_HINT)
        made = template_of(
            name, answer.query, question=question or turn.question, title=said.get("title", ""),
            as_of=wish.assistant.layer.as_of(), language=answer.language,
        )  # fmt: skip
        templates.save(_worded(made, {**said, "question": ""}, wish.language))
        return {"said": words.SAVED_NOW.in_(wish.language), "close": True}

    def edit_saved(self, wish: Wish) -> Reply:
        template = self._own(wish)
        said = {
            "title": template.title.in_(wish.language), "category": template.category,
            "question": template.question.in_(wish.language), "description": template.description.in_(wish.language),
        }  # fmt: skip
        return {"panel": html.save_form_html(wish.language, title=words.EDIT_TITLE.in_(wish.language), action={"action": "change_saved", "name": template.name}, name=None, said=said)}  # fmt: skip

    def change_saved(self, wish: Wish) -> Reply:
        self._templates_of(wish.assistant).save(_worded(self._own(wish), wish.fields(), wish.language))
        return {"said": words.SAVED_NOW.in_(wish.language), **self.saved(wish)}

    def delete_saved(self, wish: Wish) -> Reply:
        self._templates_of(wish.assistant).delete(self._own(wish).name)
        return {"said": words.DELETED.in_(wish.language), **self.saved(wish)}

    def _named(self, wish: Wish) -> Template:
        name = wish.text("name")
        for template in self._templates_of(wish.assistant).all:
            if template.name == name:
                return template
        message = Text(words.UNKNOWN_SAVED.en.format(name[:60]), words.UNKNOWN_SAVED.zh.format(name[:60]))
        raise QueryError("unknown_template", message, words.UNKNOWN_SAVED_HINT)

    def _own(self, wish: Wish) -> Template:
        template = self._named(wish)
        if not self._templates_of(wish.assistant).owns(template.name):
            raise QueryError("unknown_template", Text("This one cannot be changed here.", "这个问题不能在此修改。"))
        return template

    # board and metrics

    def board(self, wish: Wish) -> Reply:
        return {"panel": html.board_html(board.pins(self.history, *wish.mine), wish.language), "cards": True}

    def card(self, wish: Wish) -> Reply:
        for pin in board.pins(self.history, *wish.mine):
            if pin.id == wish.number("pin"):
                answer = pin.run(self._ask, wish.user)
                shown = shown_answer(answer, pin.question, look=replace(wish.look, narrow=True), brief=True)
                at = self._clock().strftime("%Y-%m-%d %H:%M")
                return {"html": html.card_html(shown, at, pin, wish.language)}
        return {"html": element("p", words.FAILED.in_(wish.language), class_="quiet")}

    def pin(self, wish: Wish) -> Reply:
        board.pin(self.history, *wish.mine, wish.number("turn"), self._ask, wish.user)
        return {"said": words.PINNED.in_(wish.language)}

    def unpin(self, wish: Wish) -> Reply:
        board.unpin(self.history, *wish.mine, wish.number("pin"))
        return {"remove": ".card"}

    def report(self, wish: Wish) -> Reply:
        from wenshu.ui.report_page import report_form

        return {"panel": report_form(wish.assistant, wish.language, begin=wish.text("period")), "report": bool(wish.text("period"))}

    def metrics(self, wish: Wish) -> Reply:
        found = catalogue(wish.assistant.model, wish.language)
        return {"panel": html.metrics_html(found, _examples(found, wish.language), wish.language)}

    def guide(self, wish: Wish) -> Reply:
        examples = group_examples(wish.assistant.examples(wish.language), wish.language)
        return {"panel": html.guide_html(examples, wish.language)}

    def _ask(self, question: Question) -> "Answer":
        from wenshu.assistant.answer import Answer

        *_, answer = self._entrance.stream(question)
        assert isinstance(answer, Answer)
        return answer


DATA_ACTIONS = ("data", "propose", "choose", "edit_model", "change_model", "delete_model")
ACTIONS: dict[str, Callable[[PageActions, Wish], Reply]] = {
    name: getattr(PageActions, name)
    for name in (
        "sidebar", "conversations", "rename", "delete", "vote", "xlsx", "png", "svg", "saved", "run", "save_form", "save", "edit_saved",
        "change_saved", "delete_saved", "board", "card", "pin", "unpin", "report", "metrics", "guide",
    )
}  # fmt: skip


def _worded(template: Template, said: Mapping[str, str], language: Language) -> Template:
    """Return a template in the words that a person gave it; those of the other language stay where they say something else."""

    def text(before: Text, key: str) -> Text:
        new = said.get(key, "").strip() or ("" if key == "description" else before.in_(language))
        if before.en == before.zh or not before.en:
            return same(new)
        return replace(before, **{language: new})

    slots = {f"{{{parameter.name}}}" for parameter in template.parameters}
    question = text(template.question, "question")
    if missing := [slot for slot in sorted(slots) if slot not in question.en or slot not in question.zh]:
        raise QueryError(
            "invalid_parameter",
            Text(f"The question lacks {missing[0]}.", f"问题中缺少 {missing[0]}。"),
            Text(f"Put {missing[0]} where it belongs.", f"请在相应位置写上 {missing[0]}。"),
        )
    category = said.get("category", template.category)
    return replace(
        template, title=text(template.title, "title"), question=question, description=text(template.description, "description"),
        category=category if category in CATEGORIES else "other",
    )  # fmt: skip


def _examples(found: Mapping[str, Any], language: Language) -> dict[str, str]:
    """Return a question that shows each metric, and each dimension by the metric that the model names first."""
    if not (metrics := found["metrics"]):
        return {}
    last, by = ("上个月的{}", "上个月各{1}的{0}") if language == "zh" else ("{} last month", "{} by {} last month")
    examples = {dimension["name"]: by.format(metrics[0]["label"], dimension["label"]) for dimension in found["dimensions"]}
    return examples | {metric["name"]: last.format(metric["label"]) for metric in metrics}


def _file(question: str, ending: str, type: str, content: bytes) -> Reply:
    return {"file": {"name": file_name(question, ending), "type": type, "content": base64.b64encode(content).decode("ascii")}}


def _gone() -> QueryError:
    return QueryError("nothing_to_save", Text("There is nothing to save here.", "这里没有可保存的内容。"))


def sent_json(content_type: str, body: bytes) -> Any:
    """Return what a request says, or None where it is not JSON sent as such, which no other site's form can do."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
