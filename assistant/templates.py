"""Owns saved question templates: a question with parameters and the semantic query it stands for. Knows no file.

A template is trusted: its query was looked at by a person, so a question that says the same is answered by it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any, Literal

from wenshu.assistant.planner import Plan
from wenshu.assistant.question import normalise
from wenshu.assistant.timephrases import TimePhrase, find_time_phrases
from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.metric_parameters import metric_spec
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Query, Scalar, filters_of, query_from_json, query_to_json
from wenshu.semantic_layer.text import Language, Text

CATEGORIES = {
    "acquisition": Text("Acquisition", "拉新"),
    "activation": Text("Activation", "激活"),
    "retention": Text("Retention", "留存"),
    "revenue": Text("Revenue", "收入"),
    "referral": Text("Referral", "传播"),
    "rfm": Text("RFM operations", "RFM 运营"),
    "funnel": Text("Funnel", "漏斗"),
    "campaign": Text("Campaign review", "活动复盘"),
    "product": Text("Product sales", "商品销售"),
    "weekly_report": Text("Weekly report", "周报"),
    "other": Text("Other", "其他"),
}
PREPOSITIONS = frozenset(("in", "for", "during", "of", "on", "over", "within", "the"))
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
HOLE = "\ue000"  # a private character in place of a slot
PUNCTUATION = re.compile(r"[\s,，。?？!！、;；:：“”\"']+")
BESIDE_CHINESE = re.compile(r"(?<=[一-鿿]) | (?=[一-鿿])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Describe a slot of a template; `default` is what stands there unless something else is given."""

    name: str
    type: Literal["period", "value", "number"]
    default: Text
    label: Text
    dimension: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Hold one saved question; `query` is the JSON of a semantic query in which “{name}” stands for a parameter."""

    name: str
    title: Text
    question: Text
    query: Mapping[str, Any]
    parameters: tuple[Parameter, ...] = ()
    description: Text = Text("", "")
    category: str = "other"
    built_in: bool = False

    def parameter(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        hint = did_you_mean(name, [parameter.name for parameter in self.parameters])
        message = Text(f"“{self.name}” has no parameter “{name}”.", f"模板“{self.name}”没有参数“{name}”。")
        raise QueryError("invalid_parameter", message, hint)

    def asked(self, given: Mapping[str, str], language: Language) -> str:
        """Return the question with its slots filled.

        Raises `QueryError` with code `invalid_parameter` for a parameter that the template does not have.
        """
        for name in given:
            self.parameter(name)
        values = {p.name: given.get(p.name, p.default.in_(language)) for p in self.parameters}
        return SLOT.sub(lambda slot: values.get(slot[1], slot[0]), self.question.in_(language))

    def filled(self, given: Mapping[str, str], model: Model, *, as_of: date, language: Language) -> "Filled":
        """Return the query with the parameters put in, defaults for the rest.

        Raises `QueryError` with code `invalid_parameter`, or one of a query that does not hold together.
        """
        for name in given:
            self.parameter(name)
        values: dict[str, Any] = {}
        phrase: TimePhrase | None = None
        for parameter in self.parameters:
            word = given.get(parameter.name, parameter.default.in_(language)).strip()
            match parameter.type:
                case "period":
                    phrase = _time_phrase(parameter, word, as_of=as_of, language=language)
                    values[parameter.name] = phrase.period
                case "number":
                    values[parameter.name] = _whole_number(parameter, word)
                case "value":
                    values[parameter.name] = _value_named(word, parameter, model)
        query = self.with_values(values)
        if phrase is not None:
            query = replace(query, to_date=phrase.to_date)
        return Filled(template=self, query=query, period_label=phrase.text if phrase else None)

    def with_values(self, values: Mapping[str, "Scalar | DateRange"]) -> Query:
        """Return the query with values in its slots, a period as dates."""
        return query_from_json(put_in(self.query, values))

    def asks(self, query: Query) -> bool:
        """Say whether a query is this template's, whatever its period, value and number are."""
        values: dict[str, Any] = {}
        own = [metric_spec(str(name))[0] for name in self.query.get("metrics", ())]
        if own != [metric_spec(name)[0] for name in query.metrics]:
            return False
        for parameter in self.parameters:
            match parameter.type:
                case "period":
                    values[parameter.name] = query.period
                case "number":
                    values[parameter.name] = query.limit if query.limit is not None else _metric_number(query)
                case "value":
                    chosen = [where for where in filters_of(query.filters) if where.dimension == parameter.dimension]
                    values[parameter.name] = chosen[0].values[0] if chosen and chosen[0].values else None
        if any(value is None for value in values.values()):
            return False
        try:
            return self.with_values(values) == replace(query, to_date=None)
        except QueryError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """Hold a template with its parameters put in, ready to run."""

    template: Template
    query: Query
    period_label: str | None = None

    def plan(self) -> Plan:
        return Plan(query=self.query, period_label=self.period_label, template=self.template.title)


def put_in(part: Any, values: Mapping[str, Any]) -> Any:
    """Return a part of a query's JSON with values in its slots, a period as its dates; other slots stay."""
    match part:
        case str():
            if (slot := SLOT.fullmatch(part)) and slot[1] in values:
                value = values[slot[1]]
                return (
                    {"start": value.start.isoformat(), "end": value.end.isoformat()}
                    if isinstance(value, DateRange)
                    else value
                )
            return SLOT.sub(lambda slot: str(values.get(slot[1], slot[0])), part)
        case Mapping():
            return {key: put_in(value, values) for key, value in part.items()}
        case list():
            return [put_in(item, values) for item in part]
    return part


def _value_named(word: str, parameter: Parameter, model: Model) -> Scalar:
    """Return the value that a word names among those the model lists of the parameter's dimension, or the word itself."""
    for dimension in model.dimensions:
        if parameter.dimension in (dimension.name, dimension.qualified):
            for value in dimension.values:
                names = (str(value.value), value.label.en, value.label.zh, *value.synonyms)
                if normalise(word) in map(normalise, names):
                    return value.value
    return word


def _metric_number(query: Query) -> int | None:
    numbers = [parameters.get("n") for _, parameters in map(metric_spec, query.metrics)]
    return next((int(n) for n in numbers if n is not None and n.isdecimal()), None)


def _time_phrase(parameter: Parameter, word: str, *, as_of: date, language: Language) -> TimePhrase:
    normal = normalise(word)
    found = find_time_phrases(normal, as_of=as_of, language=language) if normal else ()
    if len(found) == 1 and found[0].period is not None:
        around = normal[: found[0].start].split() + normal[found[0].end :].split()
        if set(around) <= PREPOSITIONS:
            return replace(found[0], text=word.strip()[found[0].start :])
    raise QueryError(
        "invalid_parameter",
        Text(f"“{word[:60]}” is not a period ({parameter.name}).", f"“{word[:60]}”不是时间范围（{parameter.name}）。"),
        Text(
            "Give e.g. last month, Q3 2026 or 2026-09-01 to 2026-09-30.",
            "例如：上个月、2026年第三季度、9月1日到9月30日。",
        ),
    )


def _whole_number(parameter: Parameter, word: str) -> int:
    if word.isdecimal() and 1 <= int(word) <= 10_000:
        return int(word)
    raise QueryError(
        "invalid_parameter",
        Text(
            f"“{word[:60]}” is not a whole number ({parameter.name}).", f"“{word[:60]}”不是整数（{parameter.name}）。"
        ),
        Text("Give a number from 1 to 10,000.", "请给出 1 到 10000 的整数。"),
    )


# from a question ------------------------------------------------------------------------------------------------------


def template_of(
    name: str, query: Query, *, question: str, title: str, as_of: date, language: Language, category: str = "other"
) -> Template:
    """Return a template made of an answered question; its one period becomes a parameter.

    Raises `QueryError` with code `invalid_name`.
    """
    if not NAME.fullmatch(name):
        raise QueryError(
            "invalid_name",
            Text(f"“{name[:60]}” cannot be a template's name.", f"“{name[:60]}”不能作为模板名称。"),
            Text("Use small letters, digits and _.", "请使用小写字母、数字和下划线，以字母开头。"),
        )
    found = [p for p in find_time_phrases(normalise(question), as_of=as_of, language=language) if p.period is not None]
    body = {key: value for key, value in query_to_json(query).items() if key != "to_date"}
    parameters: tuple[Parameter, ...] = ()
    if len(found) == 1 and query.period is not None:
        phrase = question[found[0].start : found[0].end].strip()
        question = question[: found[0].start] + "{period}" + question[found[0].end :]
        body["period"] = "{period}"
        label = Text("period", "时间")
        parameters = (Parameter(name="period", type="period", default=Text(phrase, phrase), label=label),)
    return Template(
        name=name, title=Text(title, title), question=Text(question, question), query=body, parameters=parameters, category=category
    )  # fmt: skip


# matching a question --------------------------------------------------------------------------------------------------


def slots_in(pattern: str, text: str) -> dict[str, str] | None:
    """Return what stands in the slots of a pattern, blanks and punctuation aside, None where the text is another.

    >>> slots_in("{period}各渠道的新用户数", "上周 各渠道的新用户数？")
    {'period': '上周'}
    """
    expression, names = _expression(pattern)
    found = expression.fullmatch(_squeezed(text))
    return {name: value.strip() for name, value in zip(names, found.groups(), strict=True)} if found else None


@cache
def _expression(pattern: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    literals = re.escape(_squeezed(SLOT.sub(HOLE, pattern))).split(HOLE)
    return re.compile("(.+?)".join(literals)), tuple(SLOT.findall(pattern))


def _squeezed(words: str) -> str:
    """Return words without punctuation, and without blanks beside Chinese characters."""
    return BESIDE_CHINESE.sub("", PUNCTUATION.sub(" ", normalise(words)).strip())
