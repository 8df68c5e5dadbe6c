"""Owns a follow-up that changes a number of the query before: 超过800呢, and at least 3?, 改成90."""

from dataclasses import replace

from wenshu.assistant.reading import GRAMMAR, Bound, Reading
from wenshu.semantic_layer.metrics import LifetimeValue, RepurchaseWithin, Retention
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import ORDERED_OPS, And, Condition, Query, UsersWith, Where

Compared = Condition | UsersWith | Where


def rebound(previous: Query, reading: Reading, model: Model) -> Query | None:
    """Return the query before with the number that the question gives, and take its words as read; None where it gives none.

    What else the question asks for is left to be read as an edit of the query returned.
    """
    bound = reading.bound
    if bound is None or not (reading.has_word("so", "switch") or _is_all(reading, bound)):
        return None
    compared = [item for item in _compared(previous) if not bound.metric or _has_metric(item, bound)]
    if len(compared) == 1 and (bound.op is not None or _is_all(reading, bound)):
        query = _with_number(previous, compared[0], bound)
    elif not compared and bound.op is None and not bound.metric and _is_all(reading, bound):
        query = _with_count(previous, bound, model)
    else:
        return None
    if query is not None:
        reading.claim(*bound.positions)
        reading.numbers.clear()
        reading.users_with.clear()
        for targets in [targets for targets in reading.metrics if targets == bound.metric]:
            reading.metrics.remove(targets)
    return query


def _is_all(reading: Reading, bound: Bound) -> bool:
    """Say whether the question has no other content than the number and what it is compared with."""
    return all(
        i in bound.positions or mention.is_filler or mention.is_word("so", "switch", *GRAMMAR) or mention.of("metric") == bound.metric != ()
        for i, mention in enumerate(reading.mentions)
    )  # fmt: skip


def _compared(query: Query) -> tuple[Compared, ...]:
    """Return what the query compares with a number."""
    parts = query.filters.parts if isinstance(query.filters, And) else (query.filters,)
    numbers = [item for item in (*query.conditions, *parts) if isinstance(item, Condition | UsersWith) and isinstance(item.value, int | float)]
    attributes = [part for part in parts if isinstance(part, Where) and part.op in ORDERED_OPS and all(isinstance(v, int | float) for v in part.values)]
    return (*numbers, *attributes)


def _has_metric(item: Compared, bound: Bound) -> bool:
    return not isinstance(item, Where) and item.metric in {target.name for target in bound.metric}


def _with_number(query: Query, item: Compared, bound: Bound) -> Query | None:
    op = bound.op or item.op
    if bound.high is not None and isinstance(item, UsersWith):
        return None
    changed: Compared
    if isinstance(item, Where):
        changed = replace(item, op=op, values=(bound.value,) if bound.high is None else (bound.value, bound.high))
    elif isinstance(item, Condition):
        changed = replace(item, op=op, value=bound.value, high=bound.high)
        return replace(query, conditions=tuple(changed if old is item else old for old in query.conditions))
    else:
        changed = replace(item, op=op, value=bound.value)
    if isinstance(query.filters, And):
        return replace(query, filters=And(parts=tuple(changed if part is item else part for part in query.filters.parts)))
    return replace(query, filters=changed)


def _with_count(query: Query, bound: Bound, model: Model) -> Query | None:
    """Return the query with a bare number in the place of its days (and 90?), or of how many rows it shows (10个呢)."""
    count = int(bound.value)
    if count != bound.value or count < 1:
        return None
    bases = [model.metric_by_name[name.partition("[")[0]] for name in query.metrics]
    if bases and all(isinstance(metric, Retention | RepurchaseWithin | LifetimeValue) for metric in bases):
        return replace(query, metrics=tuple(f"{metric.name}[n={count}]" for metric in bases))
    return replace(query, limit=count) if query.limit is not None else None
