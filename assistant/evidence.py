"""Owns what the words of a question support: metrics, groups, values, dates and numbers, each with the words, and the words left over.

The closed lists that a language model may choose from. Knows nothing of models, plans or prompts.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from wenshu.assistant.linker import LinkedQuestion
from wenshu.assistant.reading import MULTIPLIERS, Reading
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Query, filters_of
from wenshu.semantic_layer.time_parts import TIME_PARTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Hold what a question's words support, each name with the words; `leftover` are the words that nothing explains."""

    question: str
    reading: Reading
    previous: Query | None
    leftover: tuple[str, ...]
    metrics: dict[str, str]
    dimensions: dict[str, str]
    values: dict[tuple[str, Any], str]
    periods: dict[str, DateRange]
    numbers: tuple[float, ...]


def evidence_of(reading: Reading, model: Model, previous: Query | None, named: tuple[str, ...] = ()) -> Evidence:
    """Return what the words of a question, and the query of the question before, support.

    `named` are the metrics that the rules take the words for, where they speak of people of some kind.
    """
    linked, binder = reading.linked, Binder(model, date.min)
    metrics: dict[str, str] = {}
    dimensions: dict[str, str] = {}
    values: dict[tuple[str, Any], str] = {}
    periods: dict[str, DateRange] = {}
    numbers: list[float] = []
    personal = {d.name for d in model.dimensions if d.pii}
    for mention in linked.mentions:
        for target in mention.targets:
            if target.kind == "metric":
                metrics.setdefault(target.name, mention.text)
            elif target.kind == "dimension" and target.name not in personal:
                dimensions.setdefault(target.name, mention.text)
            elif target.kind == "value":
                values.setdefault((_named(model, binder, target.name), target.value), mention.text)
        if mention.time is not None and mention.time.period is not None:
            periods[mention.text.strip()] = mention.time.period
        if mention.time is not None and mention.time.part in TIME_PARTS:
            dimensions.setdefault(mention.time.part, mention.text)
        if mention.number is not None:
            numbers.append(mention.number)
    if reading.nouns and reading.everyone in metrics and reading.everyone not in named:
        words = metrics.pop(str(reading.everyone))  # how many people of the rows that the question speaks of
        metrics = {name: words for name in named if name not in metrics} | metrics
    for targets in reading.metrics:
        for target in targets:
            if target.name != reading.everyone or target.name in metrics:
                metrics.setdefault(target.name, target.name)
    for name in named:
        metrics.setdefault(name, name)
    for name in (*reading.dimensions, *reading.parts):
        dimensions.setdefault(name, name)
    if previous is not None:
        metrics.update({name: "" for name in previous.metrics if name not in metrics})
        dimensions.update({name: "" for name in previous.dimensions if name not in dimensions})
        for where in filters_of(previous.filters):
            values.update({(where.dimension, value): "" for value in where.values})
    factors = {MULTIPLIERS[t.name] for m in linked.mentions for t in m.of("word") if t.name in MULTIPLIERS}
    said = [n * factor for n in numbers for factor in (1.0, *factors)]
    said += [float(reading.limit)] if reading.limit else []
    return Evidence(
        question=linked.text, reading=reading, previous=previous, leftover=leftover(linked, reading), metrics=metrics,
        dimensions=dimensions, values=values, periods=periods, numbers=tuple(dict.fromkeys(said)),
    )  # fmt: skip


def leftover(linked: LinkedQuestion, reading: Reading) -> tuple[str, ...]:
    """Return the words that nothing explains; a lone Chinese character with the filler it stands by, as it means little alone.

    >>> from wenshu.assistant.linker import Mention, Target
    >>> filler = Mention(start=1, end=2, text="都", targets=(Target("word", "filler"),))
    >>> linked = LinkedQuestion(text="帝都 vip", mentions=(filler,), unknown=("帝", "vip"))
    >>> leftover(linked, Reading(linked=linked, model=None))
    ('帝都', 'vip')
    """
    text, at, spans = linked.text, 0, []
    for word in reading.unclaimed():
        found = text.find(word, at if word in linked.unknown else 0)
        if found < 0:
            continue
        at = found + len(word) if word in linked.unknown else at
        spans.append((found, found + len(word)))
    filler = {m.start: m.end for m in linked.mentions if m.is_filler and m.end - m.start == 1}
    before = {end: start for start, end in filler.items()}
    grown: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if end - start == 1 and text[start] > "\u3400":
            if end in filler:
                end = filler[end]
            elif start in before:
                start = before[start]
        if grown and start <= grown[-1][1]:
            grown[-1] = (grown[-1][0], max(end, grown[-1][1]))
        else:
            grown.append((start, end))
    return tuple(dict.fromkeys(text[start:end].strip() for start, end in grown))


def _named(model: Model, binder: Binder, qualified: str) -> str:
    """Return the name that a query calls a dimension by: with its dataset only where the name is not the only one."""
    bare = qualified.rpartition(".")[2]
    return qualified if sum(1 for d in model.dimensions if d.name == bare) > 1 else binder.canonical(qualified)
