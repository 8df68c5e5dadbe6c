"""Owns where a model keeps reviews: the dimension with their text, that of their rating, and the metric that counts them.

Found by what things are called, so that uploaded data works unprepared. Says which ratings are negative; runs nothing.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from sqlglot import exp

from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.table import Cell

WORD = re.compile(r"[a-z]+|[\u4e00-\u9fff]+")
TEXT = frozenset("review reviews comment comments feedback opinion opinions content text message remark 评价 评论 点评 反馈 留言 意见 内容 文本 评语".split())
RATING = frozenset("rating ratings star stars score grade satisfaction label sentiment polarity recommend recommended 评分 星级 打分 得分 分数 满意度 标签 情感 好评 差评 推荐".split())
REVERSED = frozenset("negative bad complaint 差评 负面 不满 投诉".split())  # yes is bad
GOOD = frozenset("positive pos good recommend 好评 好 正面 积极 满意 推荐".split())
BAD = frozenset("negative neg bad poor 差评 差 负面 消极 不满意 不推荐".split())
SCALES = (5, 10, 100)
LOW, HIGH = 0.25, 0.75  # of the way from 1 to the scale's end: 1 and 2, 4 and 5 stars


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDesign:
    """Hold a dataset's dimension of texts and that of ratings, and the metric that counts its rows."""

    text: Dimension
    rating: Dimension
    counted: Aggregate
    judged: tuple[str, ...]

    @property
    def dataset(self) -> str:
        return self.text.dataset

    @property
    def keys(self) -> tuple[str, str]:
        return self.text.qualified, self.rating.qualified

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the metrics that an answer tells of: how many reviews there are, and how many have which ratings."""
        return (self.counted.name, *self.judged)

    def ratings(self, values: Collection[Cell]) -> "Ratings":
        """Return which of the ratings that there are, are good or bad."""
        known: set[Cell] = {value for value in values if value is not None}
        numbers = [float(value) for value in known if isinstance(value, int | float)]
        reverse = bool(_words(self.rating) & REVERSED)
        low: set[Cell]
        high: set[Cell]
        if len(numbers) < len(known):
            low, high = ({value for value in known if set(WORD.findall(str(value).lower())) & words} for words in (BAD, GOOD))
        elif set(numbers) <= {-1.0, 0.0, 1.0}:
            least = min(numbers, default=0.0)
            low, high = set[Cell](value for value in known if value == least), set[Cell](value for value in known if value == 1)
        else:
            end = next((scale for scale in SCALES if max(numbers) <= scale), max(numbers))
            placed = [(value, (float(value) - 1) / (end - 1)) for value in known if isinstance(value, int | float)]
            low, high = set[Cell](value for value, at in placed if at <= LOW), set[Cell](value for value, at in placed if at >= HIGH)
        return Ratings(bad=frozenset(high if reverse else low), good=frozenset(low if reverse else high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """Hold which ratings are bad and which are good; others are neither."""

    bad: frozenset[Cell]
    good: frozenset[Cell]

    def outcome(self, rating: Cell) -> bool | None:
        """Return whether a rating is good, None where it is neither or there is none."""
        return True if rating in self.good else False if rating in self.bad else None


def review_design(model: Model) -> ReviewDesign | None:
    """Return where a model keeps reviews, also where they are withheld from the asker; None where it has none."""
    dimensions = tuple(model.dimension_by_qualified_name.values())
    found = []
    for text in dimensions:
        if text.type != "string" or text.indexed or text.values or not _words(text) & TEXT:
            continue
        ratings = [d for d in dimensions if d.dataset == text.dataset and _is_rating(d)]
        counted = next((m for m in model.metric_by_name.values() if _counts_rows(m, text.dataset)), None)
        if ratings and isinstance(counted, Aggregate):
            found.append(ReviewDesign(text=text, rating=ratings[0], counted=counted, judged=tuple(_judging(model, ratings[0]))))
    return found[0] if found else None


def _words(dimension: Dimension) -> set[str]:
    """Return the words that a dimension is called, Chinese ones also by their ends: 评价内容 is a content."""
    words = {word for name in (dimension.name, dimension.label.en, dimension.label.zh) for word in WORD.findall(name.lower().replace("_", " "))}
    return words | {word[-2:] for word in words if word[0] >= "\u4e00"} | {word[:2] for word in words if word[0] >= "\u4e00"}


def _is_rating(dimension: Dimension) -> bool:
    plain = dimension.type in ("number", "boolean") or (dimension.type == "string" and dimension.indexed)
    return plain and not dimension.bands and bool(_words(dimension) & (RATING | REVERSED))


def _counts_rows(metric: object, dataset: str) -> bool:
    plain = isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT and metric.dataset == dataset
    return plain and metric.where is None and metric.filters is None  # type: ignore[attr-defined]


def _judging(model: Model, rating: Dimension) -> list[str]:
    """Return the metrics that count the rows of some ratings."""
    columns = {column.name for column in rating.expr.find_all(exp.Column)}
    return [
        metric.name for metric in model.metric_by_name.values()
        if isinstance(metric, Aggregate) and metric.dataset == rating.dataset and metric.where is not None
        and columns & {column.name for column in metric.where.find_all(exp.Column)}
    ]  # fmt: skip
