"""Owns the form of a plan that a language model writes: its JSON Schema, in which every name is from a closed list, and its reading.

The schema is small: a key stands in it only where the question's words give something to choose.
"""

import json
from collections.abc import Iterable
from typing import Any

from wenshu.assistant.evidence import Evidence
from wenshu.assistant.plan_check import HINTS, IGNORED, UNKNOWN, Draft, asks_for_groups
from wenshu.assistant.plan_names import PlanNames, raw_value
from wenshu.assistant.vicinity import Catalogue
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Compare, Grain
from wenshu.semantic_layer.query import Condition, Op, Scalar, UsersWith, Where
from wenshu.semantic_layer.text import same

Json = dict[str, Any]
MOST_FILTERS, MOST_GROUPS, MOST_MEASURES = 4, 2, 3
COMPARISONS = [str(op) for op in (Op.LT, Op.LE, Op.GT, Op.GE)]
LONGEST_PLAN = 20_000  # characters


def plan_schema(evidence: Evidence, catalogue: Catalogue, model: Model, names: PlanNames) -> Json:
    """Return the JSON Schema of a plan for one question, strict as OpenAI's structured outputs want it."""
    metrics, groups = list(evidence.metrics), list(evidence.dimensions)
    values = [(name, value) for name, value in evidence.values]
    if evidence.leftover:
        metrics += [name for name in catalogue.metrics if name not in metrics]
        groups += [name for name in catalogue.dimensions if name not in groups]
        values += [pair for pair in catalogue.values if pair not in values]
    properties: Json = {}
    if evidence.leftover:
        measured = [names.metric(name) for name in metrics if "[" not in name]
        split = map(names.group, groups) if asks_for_groups(evidence) else ()
        others = [*split, *(names.pair(*pair) for pair in values), *(names.word(hint) for hint in HINTS)]
        if not evidence.metrics and len(evidence.leftover) == 1:
            others = []  # what is measured is all that is missing
        meanings = [names.word(UNKNOWN), *measured, *others, names.word(IGNORED)]
        properties["words"] = _object({word: _enum(meanings) for word in evidence.leftover})
    properties["metrics"] = {"type": "array", "items": _enum([names.metric(name) for name in metrics]), "maxItems": MOST_MEASURES}
    if groups and asks_for_groups(evidence):
        properties["groups"] = {"type": "array", "items": _enum([names.group(name) for name in groups]), "maxItems": MOST_GROUPS}
    if filters := list(_filters(evidence, metrics, model, names)):
        properties["filters"] = {"type": "array", "items": {"anyOf": filters}, "maxItems": min(len(filters), MOST_FILTERS)}
    if len(evidence.periods) > 1:
        properties["period"] = _enum(list(evidence.periods))
    if evidence.reading.trend or (evidence.previous is not None and evidence.previous.grain):
        properties["grain"] = {"enum": [*map(str, Grain), None]}
    if evidence.numbers and evidence.metrics:
        compared = [names.metric(name) for name in evidence.metrics]
        value = {"enum": [*evidence.numbers, "average"]}
        condition = _object({"metric": _enum(compared), "op": _enum(COMPARISONS), "value": value})
        properties["conditions"] = {"type": "array", "items": condition, "maxItems": 2}
    return _object(properties)


def _filters(evidence: Evidence, metrics: list[str], model: Model, names: PlanNames) -> Iterable[Json]:
    """Yield the forms of a filter on values that words name; a value that the model reads into a word is a filter by itself."""
    for group in dict.fromkeys(name for name, _ in evidence.values):
        listed = [names.value(group, value) for name, value in evidence.values if name == group]
        values = {"type": "array", "items": _enum(listed), "minItems": 1, "maxItems": len(listed)}
        yield _object({"group": _enum([names.group(group)]), "op": _enum(["in", "not in"]), "values": values})
    if evidence.numbers:
        kinds = {d.name: d.type for d in model.dimensions if not d.pii}
        numeric = [names.group(name) for name in evidence.dimensions if kinds.get(name) == "number"]
        if numeric:
            number = {"type": "array", "items": {"enum": list(evidence.numbers)}, "minItems": 1, "maxItems": 2}
            yield _object({"group": _enum(numeric), "op": _enum([*COMPARISONS, "=", "between"]), "values": number})
        own = [names.metric(name) for name in evidence.metrics]
        if own:
            value = {"enum": [*evidence.numbers, "average"]}
            yield _object({"users_whose": _enum(own), "op": _enum([*COMPARISONS, "="]), "value": value})


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _enum(names: list[str]) -> Json:
    return {"type": "string", "enum": list(dict.fromkeys(names))}


# reading ------------------------------------------------------------------------------------------------------------


def read_plan(text: str, evidence: Evidence, names: PlanNames) -> Draft:
    """Read a plan, whatever a server made of the schema.

    Raises `QueryError` with code `llm_plan` that says, in English and for the model, what is wrong.
    """
    try:
        data = json.loads(_body(text))
        if not isinstance(data, dict):
            raise ValueError("it is not an object")
        return _draft(data, evidence, names)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        what = "it is not JSON" if isinstance(error, json.JSONDecodeError) else str(error) or type(error).__name__
        raise QueryError("llm_plan", same(f"The plan cannot be read: {what[:200]}.")) from None


def _body(text: str) -> str:
    """Return the JSON of a reply that may have a fence or words around it."""
    if len(text) > LONGEST_PLAN:
        raise ValueError(f"it has more than {LONGEST_PLAN:,} characters")
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _draft(data: Json, evidence: Evidence, names: PlanNames) -> Draft:
    period, words = data.get("period"), data.get("words") or {}
    grain, compare = data.get("grain"), data.get("compare")
    filters: list[Where | UsersWith] = []
    for item in _objects(data, "filters"):
        if "users_whose" in item:
            filters.append(UsersWith(metric=names.name(str(item["users_whose"]), "metric"), op=Op(item["op"]), value=_number(item["value"])))
            continue
        name = names.name(str(item["group"]), "group")
        known = [value for group, value in evidence.values if group == name]
        values = tuple(_scalar(raw_value(names, name, value, known)) for value in item.get("values") or ())
        op = Op(item.get("op", "in"))
        if op in (Op.IN, Op.NOT_IN, Op.EQ, Op.NE):
            op = Op.NOT_IN if op in (Op.NOT_IN, Op.NE) else Op.IN
        filters.append(Where(dimension=name, op=op, values=values))
    return Draft(
        metrics=tuple(names.name(label, "metric") for label in _names(data, "metrics")),
        dimensions=tuple(names.name(label, "group") for label in _names(data, "groups")),
        filters=tuple(filters),
        conditions=tuple(
            Condition(metric=names.name(str(item["metric"]), "metric"), op=Op(item["op"]), value=_number(item["value"]))
            for item in _objects(data, "conditions")
        ),
        period=period if isinstance(period, str) else None,
        grain=Grain(grain) if grain else None,
        compare=Compare(compare) if compare else None,
        meanings={str(word): names.meaning(str(meaning)) for word, meaning in words.items()},
    )


def _objects(data: Json, key: str) -> list[Json]:
    found = data.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError(f"“{key}” is not a list of objects")
    return found


def _names(data: Json, key: str) -> tuple[str, ...]:
    found = data.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ValueError(f"“{key}” is not a list of names")
    return tuple(dict.fromkeys(found))


def _number(value: Any) -> Any:
    if value == "average" or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ValueError(f"{str(value)[:40]!r} is no number")


def _scalar(value: Any) -> Scalar:
    return value if isinstance(value, str | int | float | bool) else str(value)
