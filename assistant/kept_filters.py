"""Owns which filters of the query before still hold after a follow-up, and how one about the same thing joins them."""

from typing import Any

from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import And, Filter, Op, Where, both

SETS = {Op.EQ: True, Op.IN: True, Op.NE: False, Op.NOT_IN: False}  # whether the values are kept


def parts_of(filters: Filter | None) -> tuple[Filter, ...]:
    """Return the conditions that must all hold."""
    return () if filters is None else filters.parts if isinstance(filters, And) else (filters,)


def is_lifted(where: Where, reading: Reading, model: Model, known: dict[str, set[object]]) -> bool:
    """Say whether a filter no longer holds: 性别不限, everyone, or 男女对比 after 男性. `known` are the values of each dimension."""
    gone = {*reading.dropped, *reading.widened}
    if where.dimension in gone or any(set(where.values) <= known.get(name, set()) for name in gone):
        return True
    if reading.unfiltered == "users":
        owners = {dataset.name for dataset in model.datasets if dataset.entity or dataset.is_segment}
        return any(d.name == where.dimension and d.dataset in owners for d in model.dimensions)
    return where.op is Op.EQ and where.dimension in reading.dimensions


def joined(told: Filter | None, old: list[Where], reading: Reading, known: dict[str, set[object]]) -> Filter | None:
    """Return the new filters, each with the values of an old one of the same dimension that it adds to or takes from.

    What is added may be of another dimension that has the old values too: 广州 to 北京 and 上海, as cities.
    """
    filters: Filter | None = None
    for part in parts_of(told):
        names = {w.dimension for w in old if adds_value(reading) and isinstance(part, Where) and set(w.values) <= known.get(part.dimension, set())}
        before = next((w for w in old if isinstance(part, Where) and w.dimension in {part.dimension, *names}), None)
        kept = part if before is None or not isinstance(part, Where) else _together(before, part, reading)
        filters = both(filters, kept) if kept is not None else filters
    return filters


def adds_value(reading: Reading) -> bool:
    """Say whether values are added to those before: 再加上微信, also Shanghai."""
    return reading.has_word("add") and bool(reading.filters) and not reading.metrics and not any(f.negated for f in reading.filters)


def _together(before: Where, now: Where, reading: Reading) -> Where | None:
    """Return one filter of both: also exclude Shanghai, 再加上微信, add Beijing back; a new value alone takes the old one's place."""
    if before.op not in SETS or now.op not in SETS:
        return now
    keeps, kept = SETS[now.op], SETS[before.op]
    left = tuple(value for value in before.values if value not in now.values)
    if (not keeps and kept) or (keeps and not kept and adds_value(reading)):
        return now if len(left) == len(before.values) else _among(now.dimension, left, keeps=kept) if left else None if keeps else now
    if keeps is kept and (adds_value(reading) if keeps else not reading.has_word("so", "switch")):
        return _among(now.dimension, (*left, *now.values), keeps=keeps)
    return now


def _among(dimension: str, values: tuple[Any, ...], *, keeps: bool) -> Where:
    many = len(values) > 1
    return Where(dimension=dimension, op=(Op.IN if many else Op.EQ) if keeps else (Op.NOT_IN if many else Op.NE), values=values)
