"""Owns what reviews say: their sentiment, learnt from the data's own ratings, and what good or bad ones speak of.

Texts are read by the database under the asker's rights; sentiment.py judges them, topics.py finds what sets them apart, the
words are reviews_told.py's. Texts are data: they are counted and quoted, never followed.
"""

import math
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar, Literal

from sqlglot import exp

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.grant import withheld_in
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Op, Order, Query, Where, both
from wenshu.semantic_layer.refusals import personal_data
from wenshu.semantic_layer.sources import source_select
from wenshu.semantic_layer.table import Cell
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.insight import Inquiry, Insight
from wenshu.tools.insight.review_counts import Judged, Review
from wenshu.tools.insight.review_design import Ratings, ReviewDesign, review_design
from wenshu.tools.insight.reviews_told import insight_of_topics
from wenshu.tools.insight.sentiment import Sentiment, learn_sentiment
from wenshu.tools.insight.sentiment_told import insight_of_sentiment
from wenshu.tools.insight.topics import searchable, topics_of
from wenshu.tools.insight.user_statement import plain_columns
from wenshu.tools.query import QueryResult

MOST_TEXTS, LONGEST_TEXT = 50_000, 300
FEWEST, FEWEST_DIFFERENT = 30, 5  # rated texts of either kind, and different ones, to learn from
ENOUGH = 200  # of either kind, below which texts from outside the question are learnt from, too
FEWEST_TOLD = 10  # texts that topics are told of
TELLING = 0.6  # mean recall, below which texts do not tell the rating
MOST_TOPICS = 15
Row = tuple[str, Cell, Cell, date | None, int]  # text, rating, group, month, how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """Ask what reviews say: what the `negative` or `positive` ones speak of, or the `sentiment` of all.

    `query` counts the reviews of the period and filters, in groups of one dimension or months. `ranked_by` keeps the
    groups that come first by a metric, `first` of them, the last with `least`. `ratings` are the only ones told of, where given.
    """

    name: ClassVar[str] = "reviews"
    label: ClassVar[Text] = Text("What reviews say", "评价分析")

    query: Query
    about: Literal["negative", "positive", "sentiment"] = "negative"
    ranked_by: str = ""
    first: int = 1
    least: bool = False
    ratings: tuple[float, ...] = ()

    def run(self, inquiry: Inquiry) -> Generator[Text, None, Insight]:
        yield Text("Reading reviews", "读取评价")
        design = self._design(inquiry)
        ranking = self._ranking(inquiry) if self.ranked_by else None
        total = inquiry.ask(replace(self.query if ranking is None else self._chosen(ranking), grain=None))
        rows = _rows(inquiry, design, total)
        wider = self._wider(inquiry, design, rows)
        ratings = design.ratings({rating for _, rating, *_ in wider or rows})
        yield Text("Learning sentiment from the ratings", "从评分学习情感")
        sentiment = _learnt(rows, wider, ratings)
        by = next((total.table.column(name) for name in total.query.dimensions), None)
        judged = Judged(
            total=total, query=replace(total.query, grain=self.query.grain), reviews=self._reviews(rows, ratings, sentiment), sentiment=sentiment,
            about=self.about, by=by, grain=self.query.grain, whole=_whole(total, design), is_wider=bool(wider), ranking=ranking,
            ratings=tuple(rating for rating in self.ratings if any(rating == known for _, known, *_ in rows)),
        )  # fmt: skip
        if self.about == "sentiment":
            if sentiment.balanced < TELLING:
                raise _untelling(sentiment)
            return insight_of_sentiment(inquiry, judged)
        yield Text("Finding what sets them apart", "提炼差异话题")
        return insight_of_topics(inquiry, self._with_topics(judged, self._reviews(wider, ratings, sentiment)))

    def _with_topics(self, judged: Judged, wider: tuple[Review, ...]) -> Judged:
        """Return the reviews with the topics of those told of, the most frequent first; where these are few, also those of all."""
        everything = replace(judged, reviews=wider)
        own, other = judged.texts(judged.is_told), judged.texts(judged.is_opposite)
        if other.total() < ENOUGH and wider:
            other = everything.texts(judged.is_opposite)
        for kind, texts in ((self.about, own), (judged.opposite, other)):
            if texts.total() < FEWEST_TOLD:
                raise _too_few(texts.total(), kind)
        topics = list(topics_of(own, other, MOST_TOPICS))
        if wider and own.total() < ENOUGH:
            known = {phrase for topic in topics for phrase in topic.phrases}
            topics += [topic for topic in topics_of(everything.texts(judged.is_told), other, MOST_TOPICS) if not known & {*topic.phrases}]
        judged = replace(judged, topics=tuple(topics), contrast=tuple((searchable(text), count) for text, count in other.items()))
        frequent = sorted((at for at in range(len(topics)) if judged.overall[at]), key=lambda at: (-judged.overall[at], at))
        if not frequent:
            raise _nothing_apart(own.total())
        return replace(judged, topics=tuple(topics[at] for at in frequent[:MOST_TOPICS]))

    def _reviews(self, rows: list[Row], ratings: Ratings, sentiment: Sentiment) -> tuple[Review, ...]:
        return tuple(
            Review(
                text=text, good=ratings.outcome(rating), rated=rating is not None, chance=sentiment.chances.get(text, 0.5), part=part, month=month,
                count=count, asked=not self.ratings or rating in self.ratings,
            ) for text, rating, part, month, count in rows
        )  # fmt: skip

    def _design(self, inquiry: Inquiry) -> ReviewDesign:
        """Return where the reviews are; refuses what is personal or withheld from the asker."""
        design = review_design(inquiry.model)
        if design is None:
            raise no_reviews()
        for dimension in (design.text, design.rating):
            if dimension.pii:
                raise personal_data(dimension)
        told = Query(metrics=(*design.metrics, *((self.ranked_by,) if self.ranked_by else ())), dimensions=(*design.keys, *self.query.dimensions), filters=self.query.filters)
        if withheld_in(told, inquiry.model) is not None:
            raise _not_open(inquiry)
        return design

    def _ranking(self, inquiry: Inquiry) -> QueryResult:
        """Return the groups that come first by a metric."""
        order = Order(by=metric_column(self.ranked_by), descending=not self.least)
        return inquiry.ask(replace(self.query, metrics=(self.ranked_by,), grain=None, order=(order,), limit=self.first))

    def _chosen(self, ranking: QueryResult) -> Query:
        """Return the query of the groups that a ranking chose; one alone is no group any more."""
        by = ranking.query.dimensions[0]
        names = tuple(cell for cell in ranking.table.values(by) if cell is not None)
        if not names:
            raise _too_few(0, self.about)
        where = Where(dimension=by, op=Op.IN if len(names) > 1 else Op.EQ, values=names)
        return replace(self.query, dimensions=(by,) if len(names) > 1 else (), filters=both(self.query.filters, where))

    def _wider(self, inquiry: Inquiry, design: ReviewDesign, rows: list[Row]) -> list[Row]:
        """Return all reviews there are, where those asked about are too few to learn from."""
        ratings, kinds = design.ratings({rating for _, rating, *_ in rows}), Counter[bool | None]()
        for _, rating, _, _, count in rows:
            kinds[ratings.outcome(rating)] += count
        narrow = self.query.filters is not None or self.query.period is not None or bool(self.ranked_by)
        if not narrow or min(kinds[True], kinds[False]) >= ENOUGH:
            return []
        return _rows(inquiry, design, inquiry.ask(Query(metrics=self.query.metrics)))


def _rows(inquiry: Inquiry, design: ReviewDesign, total: QueryResult) -> list[Row]:
    """Return the reviews that a query counts, equal ones once; above so many, the same part of them each time."""
    query, counted = total.query, design.counted
    binder = Binder(inquiry.model, inquiry.as_of, inquiry.layer.profile.complete)
    binder.period, binder.data_start = total.period, inquiry.layer.coverage.start
    dated = counted.time is not None or inquiry.model.dataset_by_name[design.dataset].time is not None
    dated = dated and not counted.undated
    names = (*design.keys, *query.dimensions)
    source = binder.source((binder.leaf(counted.name),), names, Grain.MONTH if dated else None, total.period, query.filters)
    keys = dict(source.keys)
    text = exp.Left(this=exp.cast(keys[design.text.qualified], "TEXT"), expression=exp.Literal.number(LONGEST_TEXT))
    columns = [("text", text), ("rating", keys[design.rating.qualified])]
    columns += [("part", keys[name]) for name in query.dimensions] + ([("month", keys[str(Grain.MONTH)])] if dated else [])
    where = [*source.where, exp.NEQ(this=exp.Trim(this=text.copy()), expression=exp.Literal.string(""))]
    whole = _whole(total, design)
    if whole > MOST_TEXTS:
        drawn = exp.Anonymous(this="HASH", expressions=[binder.primary_key(counted), text.copy()])
        share = exp.Mod(this=exp.paren(drawn), expression=exp.Literal.number(10_000))
        where.append(exp.LT(this=share, expression=exp.Literal.number(max(1, math.floor(10_000 * MOST_TEXTS / whole)))))
    select = source_select(replace(source, keys=tuple(columns), where=tuple(where), aggregates=(("reviews", exp.Count(this=exp.Star())),)))
    select = select.order_by(*(exp.Literal.number(at + 1) for at in range(len(columns))), copy=False)
    table = inquiry.select(select, plain_columns(*(name for name, _ in columns), "reviews"), max_rows=2 * MOST_TEXTS).table
    places = {name: at for at, (name, _) in enumerate(columns)}
    rows: list[Row] = []
    for row in table.rows:
        month = row[places["month"]] if "month" in places else None
        part = row[places["part"]] if "part" in places else None
        rows.append((str(row[0]), row[1], part, month if isinstance(month, date) else None, _number(row[-1])))
    return rows


def _learnt(rows: list[Row], wider: list[Row], ratings: Ratings) -> Sentiment:
    """Return the sentiment of all texts, learnt from those rated good or bad."""
    rated = Counter[tuple[str, bool]]()
    for text, rating, _, _, count in wider or rows:
        if (outcome := ratings.outcome(rating)) is not None:
            rated[text, outcome] += count
    for kind in (False, True):
        texts = [text for text, outcome in rated if outcome is kind]
        number = sum(rated[text, kind] for text in texts)
        if number < FEWEST or len(texts) < FEWEST_DIFFERENT:
            raise _too_thin(number, len(texts), kind)
    return learn_sentiment(rated, {text for text, *_ in rows})


def _whole(total: QueryResult, design: ReviewDesign) -> int:
    return sum(_number(cell) for cell in total.table.values(design.counted.name))


def _number(cell: Cell) -> int:
    return int(cell) if isinstance(cell, int | float) else 0


# What cannot be told ---------------------------------------------------------------------------------------------------


def no_reviews() -> QueryError:
    return QueryError(
        "no_reviews",
        Text("The data hold no reviews with a text and a rating.", "数据中没有同时包含文本与评分的评价。"),
        Text("It takes a column of texts, such as review or comment, and one of ratings, such as rating or label, in the same table.", "需要同一张表中既有文本列（如 评论、review），又有评分列（如 评分、label）。"),
    )  # fmt: skip


def _not_open(inquiry: Inquiry) -> QueryError:
    """Return the refusal of what a role may not see; it names no column or metric that is withheld."""
    labels = [metric.label for metric in inquiry.model.metrics[:6]]
    return QueryError(
        "not_allowed",
        Text("What reviews say is not open to your role.", "您的角色无权查看评价内容。"),
        Text(f"You can ask for {', '.join(label.en for label in labels)}.", f"可以查询：{'、'.join(label.zh for label in labels)}。"),
    )


def _too_thin(number: int, different: int, kind: bool) -> QueryError:
    en, zh = ("good", "好评") if kind else ("bad", "差评")
    return QueryError(
        "too_thin",
        Text(f"There are {number:,} reviews rated {en}, {different:,} of them different: too few to learn sentiment from.", f"评分为{zh}的评价只有 {number:,} 条（不同文本 {different:,} 种），不足以学习情感。"),
        Text(f"It takes {FEWEST} of good and of bad ratings, {FEWEST_DIFFERENT} of them different; ask about a longer period.", f"好评与差评各需至少 {FEWEST} 条、{FEWEST_DIFFERENT} 种不同文本，请放宽时间或范围。"),
    )  # fmt: skip


def _too_few(number: int, about: str) -> QueryError:
    zh = "差评" if about == "negative" else "好评"
    return QueryError(
        "too_thin",
        Text(f"There are {number:,} {about} reviews here: too few to tell what they speak of.", f"这里只有 {number:,} 条{zh}，数量太少，无法归纳内容。"),
        Text(f"It takes {FEWEST_TOLD}; ask about a longer period or more reviews.", f"至少需要 {FEWEST_TOLD} 条，请放宽时间或范围。"),
    )


def _nothing_apart(number: int) -> QueryError:
    return QueryError(
        "nothing_apart",
        Text(f"No phrase sets these {number:,} reviews apart from the others by more than chance.", f"这 {number:,} 条评价中没有明显区别于其他评价的词句。"),
        Text("Ask about a longer period or more reviews.", "请放宽时间或范围。"),
    )


def _untelling(sentiment: Sentiment) -> QueryError:
    return QueryError(
        "texts_tell_nothing",
        Text(f"The texts do not tell the rating: {sentiment.balanced:.0%} are judged right where chance gives 50%.", f"文本无法反映评分：判断正确率约 {sentiment.balanced:.0%}，随机为 50%。"),
        Text("Ask for the ratings themselves.", "可以直接询问评分。"),
    )

