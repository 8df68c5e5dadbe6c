"""Owns the questions about what customers will do: predicted value, churn and repurchase probability, and their groups.

A number that is predicted from customers' own behaviour may be asked for by name; other predictions are refused.
"""

import re
from typing import TYPE_CHECKING, Literal

from wenshu.assistant.grammar_subjects import after_by
from wenshu.assistant.linker import LinkedQuestion, Target
from wenshu.assistant.naming import is_person
from wenshu.assistant.people_list import likely_people
from wenshu.assistant.planner import Investigation, Plan, Refusal
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Lifecycle, LifetimeValue, PeriodReturn, Repurchase, RepurchaseWithin
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.text import Text
from wenshu.tools.insight.clusters import Clusters
from wenshu.tools.insight.customers import property_of_users, signals_of
from wenshu.tools.insight.predicted_value import PredictedValue
from wenshu.tools.insight.propensity import Propensity

if TYPE_CHECKING:
    from wenshu.assistant.grammar_insight import Asked

PREDICTED = ("predicted_value", "churn_risk", "repurchase_chance")
LONGEST = {"value": 365, "event": 90}  # days ahead
USUAL = {"value": 90, "event": 30}
GROUPS = re.compile("groups?|clusters?|kinds?|types?|[类群组]|行为|用户行为", re.IGNORECASE)  # words for the groups themselves


def is_predictable(linked: LinkedQuestion, model: Model) -> bool:
    """Say whether a question asks by name for what is predicted here: lifetime value, who will leave or buy again."""
    lost = any(m.is_word("lost") for m in linked.mentions) and not any(
        isinstance(model.metric(t.name), PeriodReturn) and not m.is_word("lost") for m in linked.mentions for t in m.of("metric")
    )
    return lost or any(m.is_word(*PREDICTED) or _is_lifetime_value(model, m.of("metric")) for m in linked.mentions)


def no_forecast() -> Refusal:
    return Refusal(
        code="no_forecast",
        message=Text("The data say what has been; I do not predict this.", "数据只反映已发生的情况，我不做这类预测。"),
        hint=Text(
            "Ask for a trend up to today; predicted are lifetime value, churn probability and repurchase probability.",
            "可以改问截至目前的趋势；可预测的有 LTV、流失概率与复购概率。",
        ),
    )


def read_predicted_value(asked: "Asked") -> Investigation | Plan | Refusal | None:
    """预测LTV, 各渠道未来90天的预测LTV, predicted lifetime value by channel."""
    reading, model = asked.reading, asked.model
    lifetime = any(_is_lifetime_value(model, targets) for targets in reading.metrics)
    if not (lifetime or reading.has_word("predicted_value")):
        return read_propensity(asked) if reading.has_word("lost", "churn_risk") else None
    if _others(reading, model, LifetimeValue):
        return no_forecast()
    by, filters, said = _read(asked)
    days, assumed = _days(asked, "value")
    return Investigation(analysis=PredictedValue(days=days, by=by, filters=filters), assumptions=(*said, *assumed))


def read_propensity(asked: "Asked") -> Investigation | Plan | Refusal | None:
    """哪些用户可能流失, churn risk by channel, 未来30天的复购概率, who is likely to buy again; with 名单 or a number, the list of them."""
    event: Literal["churn", "repurchase"] = "churn" if asked.reading.has_word("churn_risk", "lost") else "repurchase"
    if _is_of_segment(asked, "churn_risk", "repurchase_chance"):
        return None
    if _others(asked.reading, asked.model, Lifecycle, PeriodReturn, Repurchase, RepurchaseWithin):
        return no_forecast()
    listed, least = _listed(asked.reading), asked.reading.superlative == "least"
    by, filters, said = _read(asked)
    days, assumed = _days(asked, "event")
    if by is None and listed is not None and (query := likely_people(asked.model, event, days, filters, listed, least=least)) is not None:
        return Plan(query=query, assumptions=said)
    return Investigation(analysis=Propensity(event=event, days=days, by=by, filters=filters), assumptions=(*said, *assumed))


def read_clusters(asked: "Asked") -> Investigation | None:
    """把用户聚成4类, cluster users by behaviour: groups that the data have, not those of a segment."""
    reading = asked.reading
    if _is_of_segment(asked, "cluster"):
        return None
    number = next((int(m.number) for i, m in enumerate(reading.mentions) if m.number is not None), None)
    reading.claim(*(i for i, m in enumerate(reading.mentions) if m.number is not None or m.is_word("how_many", "by", "vague")))
    groups = [i for i, m in enumerate(reading.mentions) if m.of("dimension") and GROUPS.fullmatch(m.text)]
    reading.claim(*groups)
    own = {target.name for i in groups for target in reading.mentions[i].of("dimension")}
    reading.dimensions[:] = [name for name in reading.dimensions if name not in own]
    if reading.dimensions or _others(reading, asked.model):
        raise QueryError(
            "not_grouped_by",
            Text("Groups are found from recency, frequency, activity and spending together, not by one property.", "聚类综合最近活跃、频率、活跃度与消费，不按单一属性。"),
            Text("Ask to cluster users, of a city or channel if you like.", "可以直接问“把用户聚成几类”，也可限定城市或渠道。"),
        )
    _, filters, said = _read(asked)
    return Investigation(analysis=Clusters(number=number, filters=filters), assumptions=said)


def _is_of_segment(asked: "Asked", *words: str) -> bool:
    """Say whether a segment that was learnt splits or keeps part of another number (AOV by churn risk, GMV of cluster A).

    Else the words ask for what is predicted or found itself, and no dimension of theirs is left.
    """
    reading = asked.reading
    learnt = {d.name for dataset in asked.model.datasets if dataset.lesson for d in dataset.dimensions}
    named = [i for i, m in enumerate(reading.mentions) if any(t.name in learnt for t in m.of("dimension"))]
    if any(not reading.mentions[i].is_word(*words) for i in named) or any(d.rpartition(".")[2] in learnt for f in reading.filters for d in f.dimensions):
        return True
    if any(number.dimension in learnt for number in reading.numbers):
        return True  # users with a churn probability above 80%
    other = any(not asked.settler.counts_anyone(targets) for targets in reading.metrics)
    if other and any(after_by(reading, i) for i in named):
        return True
    reading.dimensions[:] = [name for name in reading.dimensions if name not in learnt]
    return False


def _listed(reading: Reading) -> int | None:
    """Return how many people are to be listed (最可能流失的50个用户), 0 where it is not said, None where no list is asked for."""
    limit = reading.limit
    for i, mention in enumerate(reading.mentions):
        if reading.free(i) and mention.number is not None and any(is_person(reading, k) for k in reading.near(i, +1, 2)):
            reading.claim(i)
            limit = int(mention.number)
    if limit is None and not reading.has_word("list"):
        return None
    reading.limit = None  # of people, not of groups
    return limit or 0


def _read(asked: "Asked") -> tuple[str | None, Filter | None, tuple[Text, ...]]:
    """Return the group asked for and the users to keep; days are read apart, as they are to come."""
    reading, model = asked.reading, asked.model
    for name in reading.dimensions:
        property_of_users(model, name)  # says so where it is none
    own = ((Target("metric", signals_of(model).value),),)
    reading.claim(*(i for i, m in enumerate(reading.mentions) if m.of("metric", "dataset") or m.time is not None))
    periods, reading.periods = reading.periods, []
    try:
        query, said = asked.settler.query(reading, asked.settler.settle(reading, (), own), asked.as_of)
    finally:
        reading.periods = periods
    if len(query.dimensions) > 1 or query.grain is not None:
        raise QueryError(
            "one_group",
            Text("A prediction is told by one property of users at a time.", "预测一次只能按一个用户属性分组。"),
            Text("Ask by one of them, without days or months.", "请只按一个用户属性询问，不要按日期分组。"),
        )
    return (query.dimensions[0] if query.dimensions else None), query.filters, said


def _days(asked: "Asked", kind: Literal["value", "event"]) -> tuple[int, tuple[Text, ...]]:
    """Return how many days ahead are asked about; a period must begin with the day after the last."""
    usual, longest = USUAL[kind], LONGEST[kind]
    period = next((phrase.period for phrase in asked.reading.periods if phrase.period is not None), None)
    days = asked.reading.days
    if period is not None and period.end <= asked.as_of:
        raise QueryError(
            "not_ahead",
            Text(f"{period} is over: a prediction is of the days after {asked.as_of}.", f"{period} 已经过去，预测只针对 {asked.as_of} 之后。"),
            Text("Ask without a period, or for the next 30 days.", "请去掉时间，或询问未来 30 天。"),
        )
    if period is not None:
        days = (period.end - asked.as_of).days
    if days is None:
        return usual, (Text(f"The next {usual} days, as none are named.", f"未指定时间：未来 {usual} 天。"),)
    if not 1 <= days <= longest:
        raise QueryError(
            "too_far_ahead",
            Text(f"{days} days are too many to predict.", f"{days} 天过长，无法预测。"),
            Text(f"Ask for up to {longest} days.", f"请询问不超过 {longest} 天。"),
        )
    return days, ()


def _is_lifetime_value(model: Model, targets: tuple[Target, ...]) -> bool:
    return any(isinstance(model.metric(target.name), LifetimeValue) for target in targets)


def _others(reading: Reading, model: Model, *kinds: type) -> bool:
    """Say whether another number is named that would have to be predicted, too: not people, nor the metric's own kinds."""
    people = {t.name for targets in reading.metrics if any(t.name == reading.everyone for t in targets) for t in targets}
    return any(
        not isinstance(model.metric(target.name), kinds) and target.name not in people
        for targets in reading.metrics for target in targets[:1]
        if not any(m.of("dataset") and target in m.targets for m in reading.mentions)
    )  # fmt: skip
