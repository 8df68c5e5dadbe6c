"""Owns the questions about what reviews say: their sentiment, what bad ones complain about, what good ones praise. Computes nothing."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from wenshu.assistant.linker import Target
from wenshu.assistant.planner import Investigation
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import And, Filter, Op, Query, Where, both, filters_of
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.review_design import ReviewDesign, review_design
from wenshu.tools.insight.reviews import Reviews, no_reviews

if TYPE_CHECKING:
    from wenshu.assistant.grammar_insight import Asked

CALLING = ("complain", "praise", "sentiment")  # by themselves; the others only beside reviews
LATELY_DAYS = 90
ABOUT = re.compile(r"\babout\s*\??\s*$", re.IGNORECASE)  # what are bad reviews about
RATINGS = range(11)
NEUTRAL = 3
About = Literal["negative", "positive", "sentiment"]


def read_reviews(asked: "Asked") -> Investigation | None:
    """差评都在说什么, 差评率最高的品牌在抱怨什么, what do people dislike about X, sentiment of reviews by brand, 1星评价都说了什么."""
    reading, model = asked.reading, asked.model
    design = review_design(model)
    if design is None:
        if reading.asks_for_number or not reading.has_word(*CALLING):
            return None
        raise no_reviews()
    named = [targets for targets in reading.metrics if not _is_people(reading, targets)]
    others = [targets for targets in named if not _is_counted(model, design, targets)]
    ranks = reading.superlative is not None and bool(reading.dimensions)
    if not _is_called(reading, design) or len(others) > ranks or (reading.superlative == "least" and not named):
        return None
    if reading.has_word("complain") and (reading.share or (ranks and not named)):
        return None  # 吐槽占比, 被吐槽得最厉害的品类: how many there are, not what they say
    ranked_by = _ranked_by(asked, others, named) if ranks else ""
    first, least = reading.limit or 1, reading.superlative == "least"
    reading.superlative, reading.limit, reading.order, reading.share = None, None, None, False
    reading.dimensions[:] = [name for name in reading.dimensions if name not in (design.text.name, design.text.qualified)]
    _claim(asked, design)
    of_rating = _conditions_on_rating(reading, design)
    counted = ((Target("metric", design.counted.name),),)
    query, said = asked.settler.query(reading, asked.settler.settle(reading, (), counted), asked.as_of)
    if query.compare is not None or query.conditions or len(query.dimensions) > 1 or (ranked_by and not query.dimensions):
        raise QueryError(
            "one_group",
            Text("What reviews say is told of one group, or by month, at a time.", "评价内容一次只能按一个维度或按月查看。"),
            Text("Ask by one of them, without comparing periods.", "请只按一个维度询问，不要同时对比两个时间段。"),
        )
    query = replace(query, filters=both(query.filters, of_rating))
    ratings, filters = _ratings(query.filters, design)
    _leave_numbers(reading, query, ratings, first)
    about = _about(reading, ratings)
    if about == "sentiment":  # of the reviews that are so rated, as of those of a brand
        ratings, filters = (), query.filters
    assumptions = list(said)
    if query.grain not in (None, Grain.MONTH):
        assumptions.append(Text("Told by month.", "按月展示。"))
    if query.period is None and reading.has_word("lately"):
        query = replace(query, period=DateRange(asked.as_of - timedelta(days=LATELY_DAYS - 1), asked.as_of))
        assumptions.append(Text(f"The last {LATELY_DAYS} days.", f"最近 {LATELY_DAYS} 天。"))
    if about == "negative" and not reading.has_word("complain", "bad_reviews") and not ratings:
        assumptions.append(Text("Read as what the negative ones say.", "按差评的内容作答。"))
    plain = replace(query, filters=filters, order=(), limit=None, share=None, grain=Grain.MONTH if query.grain else None)
    analysis = Reviews(query=plain, about=about, ranked_by=ranked_by, first=first if ranked_by else 1, least=least and bool(ranked_by), ratings=ratings)
    return Investigation(analysis=analysis, assumptions=tuple(assumptions))


def _is_called(reading: Reading, design: ReviewDesign) -> bool:
    """Say whether the words ask for what texts say: by a word for it, or beside reviews by one that other things are asked by, too."""
    if any(m.is_word(*CALLING) and not m.of("metric") for m in reading.mentions):
        return True
    of_reviews = reading.has_word("bad_reviews", "good_reviews") or any(
        t.name in (design.dataset, design.text.name) for m in reading.mentions for t in m.of("dataset", "dimension")
    )
    if (reading.has_word("say_about") or ABOUT.search(reading.linked.text)) and (of_reviews or any(design.rating.name == n.dimension for n in reading.numbers)):
        return True
    sides = [m for m in reading.mentions if m.is_word("bad_reviews", "good_reviews")]
    both_sides = {name for m in sides for name in ("bad_reviews", "good_reviews") if m.is_word(name)}
    if len(both_sides) > 1 and of_reviews and not any(m.of("metric") for m in sides):
        return True
    return bool(sides) and reading.asks_which and reading.has_word("quality") and not reading.dimensions  # 差评主要是什么问题


def _about(reading: Reading, ratings: tuple[float, ...]) -> About:
    if reading.has_word("praise"):
        return "positive"
    if reading.has_word("complain"):
        return "negative"
    if reading.has_word("sentiment") or (reading.has_word("bad_reviews") and reading.has_word("good_reviews")):
        return "sentiment"
    if ratings:
        return "positive" if fmean(ratings) > NEUTRAL else "negative"
    return "positive" if reading.has_word("good_reviews") else "negative"


def _is_people(reading: Reading, targets: tuple[Target, ...]) -> bool:
    return any(target.name == reading.everyone for target in targets)


def _is_counted(model: Model, design: ReviewDesign, targets: tuple[Target, ...]) -> bool:
    """Say whether a metric named is one of the reviews themselves: 差评, reviews."""
    return any(all(leaf.dataset == design.dataset for leaf in model.leaves(target.name)) for target in targets)


def _ranked_by(asked: "Asked", others: list[tuple[Target, ...]], named: list[tuple[Target, ...]]) -> str:
    """Return the metric that chooses the groups: one of something else, else the first of the reviews; settled by what fits."""
    chosen = (others or named)[:1]
    if not chosen:
        return ""
    settled = asked.settler.settle(asked.reading, (), (chosen[0],))
    return settled.metrics[0].name


def _claim(asked: "Asked", design: ReviewDesign) -> None:
    """Take the words for reviews, and for the people who wrote them, as said."""
    owners = {dataset.name for dataset in asked.model.datasets if dataset.entity}
    own = {design.dataset, design.text.name, *owners}
    reading = asked.reading
    reading.claim(*(i for i, m in enumerate(reading.mentions) if any(t.name in own for t in m.of("dataset", "dimension")) or _is_people(reading, m.of("metric"))))


def _conditions_on_rating(reading: Reading, design: ReviewDesign) -> Filter | None:
    """Take what is said of the rating, where its mean has the same name, as said of each review: 评分为3的评论."""
    model, kept = reading.model, None
    for number in list(reading.numbers):
        leaves = [leaf for target in number.metric for leaf in model.leaves(target.name)]
        if isinstance(number.value, int | float) and any(leaf.dataset == design.dataset and leaf.expr == design.rating.expr for leaf in leaves):
            values = (number.value,) if number.high is None else (number.value, number.high)
            kept = both(kept, Where(dimension=design.rating.qualified, op=number.op, values=values))
            reading.numbers.remove(number)
    for i, mention in enumerate(reading.mentions):
        if any(target.name in (design.rating.name, design.rating.qualified) for target in mention.of("dimension")):
            after = reading.near(i, +1, 2)
            at = next((k for k in after if not reading.mentions[k].is_word("equals")), None)
            if at is not None and (value := reading.mentions[at].number) is not None and kept is None and not reading.numbers:
                kept = Where(dimension=design.rating.qualified, op=Op.EQ, values=(value,))
                reading.claim(at)
    return kept


def _leave_numbers(reading: Reading, query: Query, ratings: tuple[float, ...], first: int) -> None:
    """Leave as not understood each number that the request holds nowhere."""
    said = {float(first), *ratings, *(float(v) for where in filters_of(query.filters) for v in where.values if isinstance(v, int | float))}
    for i, mention in enumerate(reading.mentions):
        if mention.number is not None and mention.number not in said:
            reading.claimed.discard(i)


def _ratings(tree: Filter | None, design: ReviewDesign) -> tuple[tuple[float, ...], Filter | None]:
    """Return the ratings that a question keeps, which are told of, and the rest of the filters."""
    ratings: tuple[float, ...] = ()
    kept: Filter | None = None
    for part in tree.parts if isinstance(tree, And) else (tree,) if tree is not None else ():
        if isinstance(part, Where) and part.dimension in (design.rating.name, design.rating.qualified) and not ratings:
            ratings = tuple(_kept(part))
        else:
            kept = both(kept, part)
    return ratings, kept


def _kept(where: Where) -> Iterator[float]:
    values = [float(value) for value in where.values if isinstance(value, int | float)]
    if len(values) != len(where.values) or not values:
        return
    for rating in map(float, RATINGS):
        match where.op:
            case Op.EQ | Op.IN:
                keeps = rating in values
            case Op.LE:
                keeps = rating <= values[0]
            case Op.LT:
                keeps = rating < values[0]
            case Op.GE:
                keeps = rating >= values[0]
            case Op.GT:
                keeps = rating > values[0]
            case Op.BETWEEN:
                keeps = values[0] <= rating <= values[1]
            case _:
                keeps = False
        if keeps:
            yield rating
