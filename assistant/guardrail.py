"""Owns what is refused before anything is planned: actions, instructions, predictions, personal data, what is withheld, absent subjects."""

import re

from wenshu.assistant.commands import command_in
from wenshu.assistant.grammar_customers import is_predictable, no_forecast
from wenshu.assistant.linker import LinkedQuestion
from wenshu.assistant.planner import Refusal
from wenshu.assistant.question import normalise
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.refusals import not_allowed, personal_data
from wenshu.semantic_layer.text import Text

SQL = re.compile(
    r"\bselect\b.+\bfrom\b|\b(drop|truncate|alter|wipe|empty)\s+((the|our|all|every)\s+)*(\w+\s+)?(tables?|database)\b"
    r"|\bunion\s+(all\s+)?select\b",
    re.IGNORECASE | re.DOTALL,
)


def guardrail(linked: LinkedQuestion, model: Model) -> Refusal | None:
    """Refuse what is no question, asks for personal data, or is about what the data do not hold."""
    for position, mention in enumerate(linked.mentions):
        if mention.is_word("injection") or SQL.search(linked.text):
            return Refusal(
                code="not_a_question",
                message=Text(
                    "I answer questions about the data and follow no other instructions.",
                    "我只回答关于数据的问题，不执行其他指令。",
                ),
                hint=what_there_is(model),
            )
        if mention.is_word("forecast") and not is_predictable(linked, model):
            return no_forecast()
        if mention.is_word("write") or _sets_a_number(linked, position):
            return _no_action(mention.text)
        personal = [d for t in mention.of("dimension") for d in model.dimensions if d.name == t.name and d.pii]
        if personal:
            error = personal_data(personal[0])
            return Refusal(code=error.code, message=error.message, hint=error.hint)
        if mention.is_word("personal"):
            return Refusal(
                code="personal_data",
                message=Text(
                    f"“{mention.text}” is personal data and is not shown.",
                    f"“{mention.text}”属于个人信息，不予展示。",
                ),
                hint=Text("Ask for counts or for groups of users instead.", "可以查询人数或用户分组的统计。"),
            )
        if mention.of("withheld") and not mention.of("dimension", "dataset", "value"):
            error = not_allowed(mention.text, [model.metric(name).label for name in _first(model)])
            return Refusal(code=error.code, message=error.message, hint=error.hint)
    if (command := command_in(normalise(linked.text))) is not None:
        return _no_action(command)
    for mention in linked.mentions:
        if absent := mention.of("absent"):
            label = model.absent[int(absent[0].name)][0]
            return Refusal(
                code="not_in_data",
                message=Text(f"The data say nothing about {label.en}.", f"数据中没有{label.zh}相关的内容。"),
                hint=what_there_is(model),
            )
    return None


def _no_action(words: str) -> Refusal:
    return Refusal(
        code="not_a_question",
        message=Text(f"“{words}” asks for an action; I only read data.", f"“{words}”是一项操作，我只能查询数据。"),
        hint=Text("Ask for a number instead.", "请改为查询某个数字。"),
    )


def _sets_a_number(linked: LinkedQuestion, position: int) -> bool:
    """Say whether something is to be given another number (把成本改成20000), which is no change of the question's own (改成30日)."""
    said, following = linked.mentions[position], linked.mentions[position + 1 :]
    ends = bool(following) and following[0].number is not None and all(m.is_word("money") for m in following[1:])
    return said.is_word("switch") and ends and any(word in linked.text[: said.start] for word in ("把", "将"))


def what_there_is(model: Model) -> Text:
    """Return the hint that names the headline metrics."""
    labels = [model.metric(name).label for name in _first(model)]
    return Text(
        f"You can ask about {', '.join(label.en for label in labels)} and more.",
        f"可以询问{'、'.join(label.zh for label in labels)}等指标。",
    )


def _first(model: Model) -> tuple[str, ...]:
    return model.headline or tuple(metric.name for metric in model.metrics[:6])
