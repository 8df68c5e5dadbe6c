"""Owns the questions that call for an analysis: `INSIGHT_RULES`, in order. Knows no numbers; the analyses are tools/insight's.

A rule has the word classes that call for it (assistant/lexicon/*.yml), those that say nothing more beside them, and a
function that makes the analysis of what else was said, or None where the question is for another rule.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from wenshu.assistant.grammar_basket import read_basket
from wenshu.assistant.grammar_campaign import read_campaign, read_campaign_named
from wenshu.assistant.grammar_customers import read_clusters, read_predicted_value, read_propensity
from wenshu.assistant.grammar_experiment import read_experiment, read_experiment_named, read_retention_of_group
from wenshu.assistant.grammar_key_actions import read_key_actions, read_which_actions
from wenshu.assistant.grammar_reviews import read_reviews
from wenshu.assistant.linker import Target
from wenshu.assistant.planner import Clarification, Investigation, Outcome, Plan, Refusal
from wenshu.assistant.reading import Reading
from wenshu.assistant.settle import Settler
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import And, Filter, Op, Query, Where, both, filters_of
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.drivers import drivers_of
from wenshu.tools.insight.unusual import Unusual

GOES_WITH = ("goes_with", "rose", "drivers", "leads_to", "most", "which", "next_day", "quality", "stayed", "retention_of", "which_actions", "repurchase_of", "again", "equals")
REVIEWED = ("complain", "praise", "sentiment", "say_about", "bad_reviews", "good_reviews")
Found = Investigation | Plan | Clarification | Refusal | None
LATELY_DAYS = 30
USUAL_DAYS = 28  # where no period is named: whole weeks, so that weekdays weigh alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Hold a question for an analysis: its reading, the query that the conversation is about, and how words are settled.

    `values` are those of the data, by dimension.
    """

    reading: Reading
    previous: Query | None
    as_of: date
    settler: Settler
    values: Mapping[str, Sequence[str]]

    @property
    def model(self) -> Model:
        return self.reading.model

    @property
    def names_metric(self) -> bool:
        return self.reading.asks_for_number

    def query(self) -> tuple[Query, tuple[Text, ...]]:
        """Return the query that the words name, with the readings taken; raises `QueryError` where they fit nothing."""
        return self.settler.query(self.reading, self.settler.settle(self.reading, ()), self.as_of)

    def direction(self) -> Literal["up", "down"] | None:
        """Return which way the asker takes the number to have gone, where the words say it."""
        up, down = self.reading.has_word("rose"), self.reading.has_word("fell")
        return None if up == down else "up" if up else "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightRule:
    """Say which word classes call for an analysis, which add nothing beside them, and how it is read."""

    words: tuple[str, ...]
    beside: tuple[str, ...] = ()
    read: Callable[[Asked], Found]


def insight_of(asked: Asked) -> Outcome | None:
    """Return the first analysis that the words call for, with those words claimed; None where they call for none."""
    reading = asked.reading
    for rule in INSIGHT_RULES:
        if not reading.has_word(*rule.words):
            continue
        kept = set(reading.claimed)
        reading.claim(*(i for i, m in enumerate(reading.mentions) if m.is_word(*rule.words, *rule.beside)))
        found = rule.read(asked)
        if found is not None:
            return found
        reading.claimed = kept
    return None


# Why it changed -----------------------------------------------------------------------------------------------------


def read_drivers(asked: Asked) -> Found:
    """为什么10月成交额下降了, which category drove the increase, 哪些城市拖累了复购率; “why?” after a number."""
    reading, previous = asked.reading, asked.previous
    if not asked.names_metric and previous is None:
        return None
    if asked.names_metric:
        query, said = asked.query()
    else:
        assert previous is not None
        query, said = replace(previous, dimensions=tuple(reading.dimensions) or previous.dimensions), ()
    if not query.metrics:
        return None
    if query.period is None:
        query = replace(query, period=DateRange(asked.as_of - timedelta(days=USUAL_DAYS - 1), asked.as_of))
        said = (*said, Text(
            f"No period named: the last {USUAL_DAYS} days against the {USUAL_DAYS} before.",
            f"未指定时间段：最近 {USUAL_DAYS} 天与其前 {USUAL_DAYS} 天相比。",
        ))  # fmt: skip
    between = _two_groups(query) if reading.versus or asked.direction() or reading.has_word("above", "below") else None
    if between is not None:
        name, *values = between
        query = replace(query, dimensions=(), filters=without(query.filters, name))
        return Investigation(analysis=drivers_of(query, between=(name, *values)), assumptions=said)
    return Investigation(analysis=drivers_of(query, direction=asked.direction()), assumptions=said)


def _two_groups(query: Query) -> tuple[str, ...] | None:
    """Return the dimension and the two of its values that a question holds against each other."""
    for where in filters_of(query.filters):
        if where.op is Op.IN and len(where.values) == 2 and where.dimension in query.dimensions:
            return (where.dimension, *(str(value) for value in where.values))
    return None


def without(tree: Filter | None, dimension: str) -> Filter | None:
    """Return a filter without its comparisons of one dimension."""
    parts = tree.parts if isinstance(tree, And) else (tree,) if tree is not None else ()
    kept = None
    for part in parts:
        if not (isinstance(part, Where) and part.dimension == dimension):
            kept = both(kept, part)
    return kept


# What is unusual ----------------------------------------------------------------------------------------------------


def read_unusual(asked: Asked) -> Found:
    """最近有什么异常, any anomalies in orders last month, 各城市的订单有没有异常: by day, of the headline metrics where none is named."""
    reading, previous = asked.reading, asked.previous
    if asked.names_metric:
        query, said = asked.query()
    elif previous is not None and previous.metrics:
        period = reading.periods[0].period if reading.periods else previous.period
        query, said = replace(previous, period=period, dimensions=tuple(reading.dimensions)), ()
    else:
        named = tuple((Target("metric", name),) for name in asked.model.headline)
        if not named:
            return None
        query, said = asked.settler.query(reading, asked.settler.settle(reading, (), named), asked.as_of)
    plain = Query(metrics=query.metrics, dimensions=query.dimensions[:1], period=query.period, filters=query.filters)
    if plain.period is None:
        days = DateRange(asked.as_of - timedelta(days=LATELY_DAYS - 1), asked.as_of)
        plain, said = replace(plain, period=days), (*said, Text(f"The last {LATELY_DAYS} days.", f"最近 {LATELY_DAYS} 天。"))
    return Investigation(analysis=Unusual(query=plain), assumptions=said)


INSIGHT_RULES: tuple[InsightRule, ...] = (
    InsightRule(words=("key_actions",), beside=GOES_WITH, read=read_key_actions),
    InsightRule(words=("which_actions",), beside=GOES_WITH, read=read_which_actions),
    InsightRule(words=("trial_result",), beside=("quality", "which", "rose", "versus", "vague", "overview", "equals"), read=read_experiment),
    InsightRule(words=("effective", "quality", "overview", "vague"), beside=("rose", "versus", "equals"), read=read_experiment_named),
    InsightRule(words=("look_back",), beside=("quality", "overview", "vague", "effective", "hourly", "days", "equals"), read=read_campaign),
    InsightRule(words=("effective", "quality"), beside=("overview", "vague", "quality"), read=read_campaign_named),
    InsightRule(words=("retention_of", "stayed"), read=read_retention_of_group),
    InsightRule(words=("bought_together", "also_bought", "goes_with"), beside=("so", "which", "again", "vague", "overall", "who", "quality"), read=read_basket),
    InsightRule(words=("predicted_value", "forecast"), beside=("predicted_value", "forecast", "each_of", "vague", "which", "who", "overall", "lost", "how_many", "list"), read=read_predicted_value),
    InsightRule(words=("churn_risk",), beside=("distribution", "most", "forecast", "lost", "which", "who", "how_many", "list", "vague", "equals", "to"), read=read_propensity),
    InsightRule(words=("repurchase_chance",), beside=("distribution", "most", "forecast", "again", "which", "who", "how_many", "list", "vague", "equals", "to"), read=read_propensity),
    InsightRule(words=("cluster",), beside=("distribution", "how_many", "vague", "which", "by", "list", "by_behaviour"), read=read_clusters),
    InsightRule(words=REVIEWED, beside=("complain", "praise", "sentiment", "say_about", "bad_reviews", "good_reviews", "quality", "which", "why", "lately", "most", "distribution", "share", "overall", "trend", "list", "vague", "overview", "versus", "more", "equals", "who", "they"), read=read_reviews),
    InsightRule(words=("why", "drivers"), beside=("rose", "fell", "growth", "above", "below", "trend", "vague", "leads_to"), read=read_drivers),
    InsightRule(words=("unusual",), beside=("quality", "lately", "trend", "days", "overview", "vague", "rose", "fell", "growth", "hourly"), read=read_unusual),
)
