"""Owns judged reviews and how they are counted: by group, by month, by what they speak of. Knows no words of an answer."""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Literal, TypeVar

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Query
from wenshu.semantic_layer.table import Cell, Column
from wenshu.tools.insight.sentiment import Sentiment
from wenshu.tools.insight.significance import Moments, compare, holm
from wenshu.tools.insight.topics import Topic, searchable
from wenshu.tools.query import QueryResult
from wenshu.tools.wording import escape_markdown

NEGATIVE, POSITIVE = 0.4, 0.6  # chance of being positive: up to, from; between them it is not clear
SHOWN = 0.05  # chance after the correction, below which a difference is told
FEWEST_COMPARED = 20  # reviews on either side of a comparison
MOST_PARTS, LATER_MONTHS = 20, 3
EXCERPT, LOOKED_AT = 48, 12  # letters of an example; reviews held against each other for the best
PRIVATE = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+|(?:https?://|www\.)\S+|@\w+|\d[\d\s-]{4,}\d|(?:微信|vx|wx|qq)[号:： ]*[\w-]{5,}", re.IGNORECASE | re.ASCII)
Key = TypeVar("Key", bound=Hashable)
Kind = Literal["negative", "positive", "unclear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Hold reviews of equal text: whether `rated`, and good (None: neither); the chance that the text is positive; `asked` says that only such ratings are asked about."""

    text: str
    good: bool | None
    rated: bool
    chance: float
    part: Cell
    month: date | None
    count: int
    asked: bool

    @property
    def reads(self) -> Kind:
        return "negative" if self.chance <= NEGATIVE else "positive" if self.chance >= POSITIVE else "unclear"

    @property
    def kind(self) -> Kind:
        """Return the kind by the rating, or by the text where there is none."""
        if not self.rated:
            return self.reads
        return "unclear" if self.good is None else "positive" if self.good else "negative"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Hold the reviews read, judged, and what was asked of them.

    `topics` are those of the reviews told of, `contrast` the texts these were held against; `is_wider` says that reviews from
    outside the question were learnt from, `whole` counts all those asked about, and `ranking` says which groups were chosen by what.
    """

    total: QueryResult
    query: Query
    reviews: tuple[Review, ...]
    sentiment: Sentiment
    about: Literal["negative", "positive", "sentiment"]
    by: Column | None
    grain: Grain | None
    whole: int
    is_wider: bool
    ratings: tuple[float, ...] = ()
    ranking: QueryResult | None = None
    topics: tuple[Topic, ...] = ()
    contrast: tuple[tuple[str, int], ...] = ()

    @property
    def opposite(self) -> Literal["negative", "positive"]:
        return "positive" if self.about == "negative" else "negative"

    def is_told(self, review: Review) -> bool:
        """Say whether a review is one of those whose topics are asked for."""
        return review.asked and (bool(self.ratings) or review.kind == self.about)

    def is_opposite(self, review: Review) -> bool:
        """Say whether a review is one of those that topics are held against."""
        return review.kind == self.opposite and not self.is_told(review)

    def texts(self, holds: Callable[[Review], bool]) -> Counter[str]:
        """Return the texts of some reviews, each with how many there are."""
        found = Counter[str]()
        for review in self.reviews:
            if holds(review):
                found[review.text] += review.count
        return found

    @cached_property
    def spoken(self) -> tuple[tuple[int, ...], ...]:
        """Return for each review which topics it speaks of."""
        found = (searchable(review.text) if self.is_told(review) else "" for review in self.reviews)
        return tuple(tuple(at for at, topic in enumerate(self.topics) if topic.is_in(text)) if text else () for text in found)

    def counts(self, key: Callable[[Review], Key]) -> dict[Key, Counter[str | int]]:
        """Return by group how many reviews there are, how many read as each kind, are told of (`told`) and speak of each topic or of `any`."""
        found: dict[Key, Counter[str | int]] = {}
        for review, topics in zip(self.reviews, self.spoken, strict=True):
            group = found.setdefault(key(review), Counter())
            for name in ("reviews", review.reads, *(("told",) if self.is_told(review) else ()), *(("any",) if topics else ()), *topics):
                group[name] += review.count
        return found

    @cached_property
    def overall(self) -> Counter[str | int]:
        return self.counts(lambda _: None).get(None, Counter())

    @cached_property
    def by_part(self) -> dict[Cell, Counter[str | int]]:
        """Return the counts of the groups that have any review to tell of, those with the most first."""
        first = "reviews" if self.about == "sentiment" else "told"
        found = sorted(self.counts(lambda review: review.part).items(), key=lambda item: (-item[1][first], str(item[0])))
        return {part: counts for part, counts in found[:MOST_PARTS] if counts[first]}

    @cached_property
    def by_month(self) -> dict[date, Counter[str | int]]:
        return {month: counts for month, counts in sorted(self.counts(lambda review: review.month or date.min).items()) if month > date.min}

    @property
    def later_since(self) -> date | None:
        """Return the first of the last months: three, or half of them where there are few; None where there is one."""
        months = tuple(self.by_month)
        if len(months) < 2:
            return None
        return months[-LATER_MONTHS] if len(months) >= 2 * LATER_MONTHS else months[len(months) // 2]

    def later_and_before(self, since: date) -> tuple[Counter[str | int], Counter[str | int]]:
        found = self.counts(lambda review: review.month is not None and review.month >= since)
        return found.get(True, Counter()), found.get(False, Counter())

    def examples(self, topic: int) -> tuple[str, ...]:
        """Return one or two texts that speak of a topic, short, and the same every time."""
        phrase = self.topics[topic].phrases[0]
        texts = {review.text for review, topics in zip(self.reviews, self.spoken, strict=True) if topic in topics}
        first = [text for text in texts if phrase in searchable(text)]
        return tuple(excerpt(text) for text in sorted(first, key=lambda text: (abs(len(text) - EXCERPT // 2), text))[:2])


def excerpt(text: str) -> str:
    """Return the beginning of a text, without what may be somebody's number, address or account.

    >>> print(excerpt("送餐员13812345678 态度差 a.b@c.com"))
    送餐员…… 态度差 ……
    """
    return escape_markdown(PRIVATE.sub("……", text), EXCERPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Hold two shares that differ by more than chance."""

    now: float
    before: float
    chance: float


def shifts(sides: Sequence[tuple[int, int, int, int]]) -> Iterator[Shift | None]:
    """Yield for each (part, whole, other part, other whole) how the shares differ, None where chance may have it; corrected together."""
    found: list[Shift | None] = []
    for part, whole, other, others in sides:
        if min(whole, others) < FEWEST_COMPARED:
            found.append(None)
            continue
        now, before = part / whole, other / others
        chance = compare(Moments(users=others, x=before), Moments(users=whole, x=now), "rate").chance
        found.append(Shift(now=now, before=before, chance=chance))
    corrected = iter(holm([shift.chance for shift in found if shift is not None]))
    for shift in found:
        yield shift if shift is not None and next(corrected) < SHOWN else None
