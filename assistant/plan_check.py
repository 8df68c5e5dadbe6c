"""Owns the check of a plan that a language model wrote: what the words of the question support of it.

A metric, group, value, number or date that no span of the question or the conversation supports is dropped; what the
words ask for and the plan lacks is put back from the rules' reading or named as a problem. Knows nothing of prompts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from wenshu.assistant.evidence import Evidence
from wenshu.assistant.linker import Mention
from wenshu.assistant.naming import names_users
from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_spec, parameter
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Compare, DateRange, Grain
from wenshu.semantic_layer.query import (
    And,
    Condition,
    Filter,
    Not,
    Op,
    Or,
    Order,
    Query,
    Share,
    UsersWith,
    Where,
    both,
    filters_of,
)
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.time_parts import TIME_PARTS

IGNORED, UNKNOWN = "no meaning", "not in the catalogue"
HINTS = {"most": "most", "least": "least", "share": "share", "compare with the period before": "previous"}
MOST_METRICS = 4
GROUPING = ("by", "which", "who", "rank", "share", "distribution", "each_of", "versus", "most", "least", "switch", "list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Hold a plan as a language model wrote it, in the model's names; `meanings` says what it took each leftover word for."""

    metrics: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    filters: tuple[Where | UsersWith, ...] = ()
    conditions: tuple[Condition, ...] = ()
    period: str | None = None
    grain: Grain | None = None
    compare: Compare | None = None
    meanings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Hold the query that is left of a draft, what was read and dropped, and what stands against running it.

    `problems` are for the model to mend, in English; `unread` are words that it could not place either.
    """

    query: Query | None
    said: tuple[Text, ...] = ()
    problems: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def meaning_of(word: str) -> tuple[str, str, str]:
    """Return kind, name and value of what a leftover word was taken for.

    >>> meaning_of("metric gmv"), meaning_of("value city = 北京")
    (('metric', 'gmv', ''), ('value', 'city', '北京'))
    """
    kind, _, rest = word.partition(" ")
    name, _, value = rest.partition(" = ")
    return kind, name, value


def asks_for_groups(evidence: Evidence) -> bool:
    """Say whether a question asks for several numbers beside each other: by what, which, most."""
    return evidence.reading.has_word(*GROUPING) or evidence.reading.superlative is not None


def check(draft: Draft, evidence: Evidence, model: Model) -> Checked:
    """Return the query that a question's words support of a draft, or why there is none."""
    unread = tuple(w for w in evidence.leftover if draft.meanings.get(w, UNKNOWN) == UNKNOWN)
    taken = {w: meaning_of(m) for w, m in draft.meanings.items() if w in evidence.leftover and m not in (IGNORED, UNKNOWN)}
    if not asks_for_groups(evidence):
        unread += tuple(w for w, (kind, _, _) in taken.items() if kind == "group")
    metrics = {_base(name) for name in evidence.metrics} | {name for kind, name, _ in taken.values() if kind == "metric"}
    groups = {_bare(n) for n in evidence.dimensions} | {_bare(n) for kind, n, _ in taken.values() if kind == "group"}
    values = {(_bare(n), str(v)) for n, v in evidence.values} | {(_bare(n), v) for k, n, v in taken.values() if k == "value"}
    hints = {HINTS[m] for m in draft.meanings.values() if m in HINTS}

    dropped: list[str] = [name for name in draft.metrics if not _supported(name, metrics, evidence, model)]
    read = [name for kind, name, _ in taken.values() if kind == "metric"]
    unread += tuple(w for w, (kind, _, _) in taken.items() if kind == "metric") if len(set(read)) > 1 else ()  # one number at a time
    kept = tuple(dict.fromkeys(name for name in (*draft.metrics, *read) if name not in dropped))
    if read:  # of what the linker thought possible beside it, only what the words name for sure
        kept = tuple(name for name in kept if name in read or name in draft.metrics)
    dimensions = tuple(dict.fromkeys(n for n in draft.dimensions if _bare(n) in groups))
    dropped += [n for n in draft.dimensions if _bare(n) not in groups]
    dimensions += tuple(n for kind, n, _ in taken.values() if kind == "group" and n not in dimensions)
    dimensions += tuple(n for n in evidence.reading.dimensions if n not in map(_bare, dimensions))
    filters: Filter | None = None
    for part in (*draft.filters, *_read_filters(taken, evidence)):
        fits = _filter(part, values, evidence, metrics, model)
        dropped += [] if fits is not None else [_shown(part)]
        known = {_bare(w.dimension) for w in filters_of(filters)}
        if fits is not None and not (isinstance(fits, Where) and _bare(fits.dimension) in known):
            filters = both(filters, fits)
    conditions = tuple(c for c in draft.conditions if _condition_fits(c, evidence) and c.metric in kept)
    dropped += [c.metric for c in draft.conditions if c not in conditions]
    said = tuple(_said(evidence, draft, dropped, model))
    if not kept:
        return Checked(query=None, said=said, problems=("No metric that the question asks for is left.",), unread=unread)
    query = _query(draft, evidence, kept[:MOST_METRICS], dimensions, filters, conditions, hints)
    return Checked(query=query, said=said, problems=tuple(uncovered(query, evidence)), unread=unread)


def _read_filters(taken: dict[str, tuple[str, str, str]], evidence: Evidence) -> Iterator[Where]:
    """Yield the filters on values read into words, and those that the rules read without doubt."""
    read: dict[str, list[str]] = {}
    for kind, name, value in taken.values():
        if kind == "value":
            read.setdefault(name, []).append(value)
    for name, values in read.items():
        yield Where(dimension=name, op=Op.IN, values=tuple(values))
    for item in evidence.reading.filters:
        if len(item.dimensions) == 1:
            named = next((n for n, v in evidence.values if _bare(n) == _bare(item.dimensions[0])), item.dimensions[0])
            yield Where(dimension=named, op=Op.IN, values=item.values(item.dimensions[0]))


def _query(
    draft: Draft, evidence: Evidence, metrics: tuple[str, ...], dimensions: tuple[str, ...], filters: Filter | None,
    conditions: tuple[Condition, ...], hints: set[str],
) -> Query:  # fmt: skip
    """Return the query, in which what the rules read of time, comparison, share and ranking stands."""
    reading, previous = evidence.reading, evidence.previous
    period = evidence.periods.get(draft.period or "") or next(iter(evidence.periods.values()), None)
    phrase = next((p for p in reading.periods if p.period == period), None)
    to_date = phrase.to_date if phrase is not None else None
    if period is None and previous is not None:
        period, to_date = previous.period, previous.to_date
    others = [p for p in evidence.periods.values() if p != period]
    compare: Compare | DateRange | None = reading.compare or (others[0] if len(others) == 1 and reading.versus else None)
    if compare is None and "previous" in hints and period is not None:
        compare = draft.compare or Compare.PREVIOUS
    superlative = reading.superlative or next((h for h in ("most", "least") if h in hints), None)
    limit = reading.limit
    grain = reading.grain or (draft.grain if reading.trend or (previous and draft.grain == previous.grain) else None)
    share = Share() if (reading.share or "share" in hints) and (dimensions or grain) else None
    column = metrics[0].replace("[n=", "_").rstrip("]")
    order = (Order(by=column, descending=superlative != "least"),) if superlative and (dimensions or grain) else ()
    return Query(
        metrics=metrics, dimensions=dimensions, grain=grain, period=period, to_date=to_date, filters=filters,
        conditions=conditions if dimensions or grain else (), compare=compare, share=share, order=order,
        limit=limit if dimensions or grain else None,
    )  # fmt: skip


def _base(spec: str) -> str:
    return metric_spec(spec)[0]


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _supported(spec: str, metrics: set[str], evidence: Evidence, model: Model) -> bool:
    """Say whether words ask for a metric, and for the number in its brackets."""
    name, parameters = metric_spec(spec)
    if name not in metrics or name not in model.metric_by_name:
        return False
    if spec in evidence.metrics or not parameters:
        return True
    metric, n = model.metric_by_name[name], parameters.get("n", "")
    return set(parameters) == {"n"} and parameter(metric) is not None and n.isdecimal() and float(n) in evidence.numbers


def _filter(
    part: Where | UsersWith, values: set[tuple[str, str]], evidence: Evidence, metrics: set[str], model: Model
) -> Filter | None:
    if isinstance(part, UsersWith):
        fits = part.value == "average" or part.value in evidence.numbers or part.value in (0, 1)
        return part if fits and _base(part.metric) in metrics | {_base(n) for n in evidence.metrics} else None
    dimension = _bare(part.dimension)
    if dimension not in {d.name for d in model.dimensions if not d.pii} | set(TIME_PARTS):
        return None
    kept = tuple(
        v for v in part.values
        if (dimension, str(v)) in values or (isinstance(v, int | float) and not isinstance(v, bool) and float(v) in evidence.numbers)
    )  # fmt: skip
    if not kept or (len(kept) < len(part.values) and part.op not in (Op.IN, Op.NOT_IN)):
        return None
    negated = any(f.negated for f in evidence.reading.filters for t in f.mentions for x in t if _bare(x.name) == dimension and x.value in kept)
    op = part.op
    if op in (Op.EQ, Op.IN, Op.NE, Op.NOT_IN):
        op = {(False, False): Op.EQ, (False, True): Op.IN, (True, False): Op.NE, (True, True): Op.NOT_IN}[
            negated, len(kept) > 1
        ]
    return replace(part, op=op, values=kept)


def _condition_fits(condition: Condition, evidence: Evidence) -> bool:
    numbers = [n for n in (condition.value, condition.high) if isinstance(n, int | float)]
    return all(float(n) in evidence.numbers for n in numbers)


def uncovered(query: Query, evidence: Evidence) -> Iterator[str]:
    """Yield what the words ask for and the query does not have."""
    metrics = {_base(n) for n in (*query.metrics, *(u.metric for u in users_with(query.filters)))}
    filtered = {(_bare(w.dimension), str(v)) for w in filters_of(query.filters) for v in w.values}
    groups = {_bare(n) for n in query.dimensions} | {d for d, _ in filtered}
    compared = isinstance(query.compare, DateRange)
    read = {target.name for targets in evidence.reading.metrics for target in targets}
    if evidence.reading.users_with and names_users(evidence.reading) and not users_with(query.filters):
        yield "The condition on users is not used."
    for mention in evidence.reading.mentions:
        if mention.is_filler or mention.of("dataset") or mention.text in evidence.leftover:
            continue
        if mention.time is not None and mention.time.period is not None:
            if mention.time.period not in (query.period, query.compare if compared else None):
                yield f"The period “{mention.text}” is not used."
        elif (not mention.of("word") or read & {t.name for t in mention.of("metric")}) and not _covers(mention, metrics, groups, filtered, evidence.reading.model):
            people = evidence.reading.everyone in {t.name for t in mention.of("metric")}
            kinds = "" if people and query.metrics else "/".join(dict.fromkeys(t.kind for t in mention.of("metric", "dimension", "value")))
            if kinds:
                yield f"The words “{mention.text}” ({kinds}) are not used."


def _covers(mention: Mention, metrics: set[str], groups: set[str], filtered: set[tuple[str, str]], model: Model) -> bool:
    measured = {part for name in metrics for part in _measures(model, name)}
    return any(
        (t.kind == "metric" and (_base(t.name) in metrics or not measured.isdisjoint(_measures(model, t.name))))
        or (t.kind == "dimension" and t.name in groups)
        or (t.kind == "value" and (_bare(t.name), str(t.value)) in filtered)
        or (t.kind == "value" and _bare(t.name) in groups and not filtered)
        for t in mention.targets
    )


def _measures(model: Model, name: str) -> set[tuple[str, str, str]]:
    """Return what a metric is made of, of whichever rows: refunded money is money, orders per buyer are about orders."""
    metric = model.metric_by_name.get(_base(name))
    return {(leaf.dataset, str(leaf.aggregation), str(leaf.expr)) for leaf in model.leaves_of(metric)} if metric else set()


def users_with(tree: Filter | None) -> tuple[UsersWith, ...]:
    """Return the conditions on users of a filter."""
    match tree:
        case UsersWith():
            return (tree,)
        case Not():
            return users_with(tree.part)
        case And() | Or():
            return tuple(found for part in tree.parts for found in users_with(part))
        case _:
            return ()


def _said(evidence: Evidence, draft: Draft, dropped: list[str], model: Model) -> Iterator[Text]:
    """Yield what the language model read into words that the rules do not know, and what was left out."""
    for word in evidence.leftover:
        meaning = draft.meanings.get(word)
        if meaning is None or meaning == UNKNOWN:
            continue
        if meaning == IGNORED:
            yield Text(f"The language model took “{word}” to ask for nothing.", f"大模型认为“{word}”不含查询条件。")
            continue
        label = _label(meaning, model)
        yield Text(f"The language model read “{word}” as {label.en}.", f"大模型将“{word}”理解为{label.zh}。")
    if dropped:
        names = dict.fromkeys(dropped)
        yield Text(
            f"Left out, as no word of the question asks for it: {', '.join(names)}.",
            f"问题中没有依据，已忽略：{'、'.join(names)}。",
        )


def named(query: Query, model: Model) -> Text:
    """Return the labels of what a query measures and splits by."""
    labels = [_label(f"metric {name}", model) for name in query.metrics] + [_label(f"group {name}", model) for name in query.dimensions]
    return Text(", ".join(label.en for label in labels), "、".join(label.zh for label in labels))


def _label(meaning: str, model: Model) -> Text:
    kind, name, value = meaning_of(meaning)
    if kind == "metric" and _base(name) in model.metric_by_name:
        return model.metric(name).label
    if kind in ("group", "value"):
        try:
            label = Binder(model, date.min).candidates(name)[0].label
        except QueryError:
            return Text(meaning, meaning)
        return Text(f"{label.en} {value}".strip(), f"{label.zh}{value}")
    return Text(meaning, {"most": "最高", "least": "最低", "share": "占比"}.get(meaning, "与上期对比"))


def _shown(part: Where | UsersWith) -> str:
    return f"{part.metric} {part.op} {part.value}" if isinstance(part, UsersWith) else f"{part.dimension} {part.op} {'/'.join(map(str, part.values))}"
