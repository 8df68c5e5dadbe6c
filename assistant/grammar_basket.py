"""Owns the questions about what is bought together and what goes with something. Computes nothing."""

import re
from typing import TYPE_CHECKING, Literal

from wenshu.assistant.linker import Target
from wenshu.assistant.planner import Investigation
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import PeriodReturn
from wenshu.semantic_layer.model import Dimension
from wenshu.semantic_layer.query import Filter, Op, Query, Where, both, filters_of
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.basket import Basket, item_dimensions, lines_of

if TYPE_CHECKING:
    from wenshu.assistant.grammar_insight import Asked

THREES = re.compile(r"三[件个种]|3\s*[件个种]|\b(?:three|3)\b|\btriples?\b|\btriplets?\b", re.IGNORECASE)
PEOPLE = re.compile(r"\b(?:who|people|customers|buyers|users|shoppers)\b", re.IGNORECASE)
INSIDE = re.compile(r"^\s*(?:里|中|内|之中|当中|里面)"), re.compile(r"\b(?:in|within|among|inside)\s+(?:the\s+)?$", re.IGNORECASE)


def read_basket(asked: "Asked") -> Investigation | None:
    """买了X的人还买什么, what goes with X, 哪些品类经常一起买, which three brands are bought together."""
    reading, model = asked.reading, asked.model
    if any(isinstance(model.metric_by_name.get(target.name), PeriodReturn) for targets in reading.metrics for target in targets):
        return None  # 8月的买家9月还买: in one period and in another
    named = any(mention.of("value", "dimension", "dataset") for mention in reading.mentions)
    if reading.asks_how_many or (not named and not reading.has_word("bought_together")):
        return None
    try:
        lines, items = lines_of(model), item_dimensions(model)
    except QueryError:
        if reading.has_word("bought_together", "also_bought"):
            raise
        return None
    if not reading.has_word("bought_together", "also_bought") and not _names_item(reading, items):
        return None  # “goes with” is said of actions and numbers, too
    metrics = ((Target("metric", lines.metric),),)
    by = [name for name in reading.dimensions if any(name in (d.name, d.qualified) for d in items)]
    others = [name for name in reading.dimensions if name not in by]
    if others:
        label = next((d.label for d in model.dimensions if others[0] in (d.name, d.qualified)), Text(others[0], others[0]))
        raise QueryError(
            "not_of_items",
            Text(f"{label.en} is no property of what is bought.", f"{label.zh}不是商品的属性。"),
            Text(f"Ask by {', '.join(d.label.en for d in items)}.", f"可以按{'、'.join(d.label.zh for d in items)}询问。"),
        )
    reading.dimensions.clear()
    query, said = asked.settler.query(reading, asked.settler.settle(reading, (), metrics), asked.as_of)
    reading.claim(*(i for i, m in enumerate(reading.mentions) if m.of("dataset") or (THREES.search(m.text) and m.number is not None)))
    reading.claim(*(i for i, m in enumerate(reading.mentions) if m.of("metric") and m.of("dimension", "dataset")))
    given, kept = _given(reading, query.filters, items, by)
    of: Literal["order", "user"] = "user" if _is_of_people(asked) else "order"
    dimension = by[0] if by else given[0][0] if given else items[0].name
    words = (Text("Together in all that a user bought.", "按用户购买的全部商品判断是否一起购买。"),) if of == "user" else ()
    pair = len(given) == 2 and given[0][0] == dimension and not reading.has_word("also_bought")  # do they go together?
    analysis = Basket(
        query=Query(metrics=(lines.metric,), period=query.period, filters=kept), by=dimension,
        given=given[:1] if pair else given, then=given[1][1] if pair else None, of=of,
        size=3 if not given and THREES.search(reading.linked.text) else 2,
    )  # fmt: skip
    return Investigation(analysis=analysis, assumptions=(*said, *words))


def _names_item(reading: Reading, items: tuple[Dimension, ...]) -> bool:
    names = {d.qualified for d in items} | {d.name for d in items}
    return any(target.name in names for mention in reading.mentions for target in mention.of("value"))


def _given(
    reading: Reading, filters: Filter | None, items: tuple[Dimension, ...], by: list[str]
) -> tuple[tuple[tuple[str, str], ...], Filter | None]:
    """Return the items that something is to go with, and the rest of the filters: 手机数码里 keeps items, 和手机数码 does not."""
    names = {name for d in items for name in (d.name, d.qualified)}
    given: list[tuple[str, str]] = []
    kept: Filter | None = None
    parts = filters_of(filters)
    for part in parts:
        if part.dimension in names and part.op in (Op.EQ, Op.IN) and not (by and _is_inside(reading, part)):
            given += [(part.dimension, str(value)) for value in part.values]
        else:
            kept = both(kept, part)
    if len({dimension for dimension, _ in given}) > 1:  # 星瑭 in 手机数码: the narrower is what is asked about
        first = next(d.name for d in items if any(d.name == name for name, _ in given))
        kept = both(kept, next(part for part in parts if part.dimension in names and part.dimension != first))
        given = [pair for pair in given if pair[0] == first]
    return tuple(given), (kept if given or parts else filters)


def _is_inside(reading: Reading, part: Where) -> bool:
    text = reading.linked.text
    for mention in reading.mentions:
        if any(target.value in part.values for target in mention.of("value")):
            return bool(INSIDE[0].search(text[mention.end :]) or INSIDE[1].search(text[: mention.start]))
    return False


def _is_of_people(asked: "Asked") -> bool:
    """Say whether people are asked about, not orders: 买了X的人还买什么, customers who bought X."""
    reading = asked.reading
    owners = {dataset.name for dataset in asked.model.datasets if dataset.entity}
    for i, mention in enumerate(reading.mentions):
        before = reading.beside(i, -1)
        of_value = before is not None and bool(reading.mentions[before].of("value")) and not reading.has_word("also_bought")
        people = any(target.name in owners for target in mention.of("dataset")) or mention.is_word("who")
        if people and not of_value:  # 上海用户 says whose orders, no more
            return True
    return reading.has_word("also_bought") and bool(PEOPLE.search(reading.linked.text))
