"""A metric that is withheld takes along whatever is made of it: no door shows it, and no order of rows or size of a group tells of it."""

import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.plan_names import PlanNames
from wenshu.assistant.prompts import agent_system, plan_system
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.assistant.template_files import Templates
from wenshu.assistant.template_planner import TemplatePlanner
from wenshu.semantic_layer.describe import catalogue
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.query import query_from_json

# What is made of GMV in shop.yml: metrics, bands, a saved filter over a band, another over a ratio, tiers.
MADE = ("gmv", "spend_per_buyer", "ltv_30", "spend_band", "spend_band_value", "top_buyer", "one_timer", "rfm_tier", "rfm_monetary", "m_score")
SAID = ("gmv", "成交额", "spend per buyer", "客单价", "30-day value", "30日价值", "spend band", "spend_band", "消费段", "top buyer", "top_buyer",
        "高价值用户", "whales", "small spender", "小额用户", "one_timer", "rfm", "champions")  # fmt: skip
USERS_SPEND = {"metric": "gmv", "op": ">", "value": 500}
"""A query by each way in which a name can be put into one; {} stands for a metric, [] for a dimension."""
METRIC_WAYS = [
    lambda m: {"metrics": [m]},
    lambda m: {"metrics": ["new_users", m]},
    lambda m: {"metrics": ["new_users"], "dimensions": ["channel"], "order": [{"by": m}]},
    lambda m: {"metrics": ["new_users"], "dimensions": ["channel"], "conditions": [{"metric": m, "op": ">", "value": 1}]},
    lambda m: {"metrics": ["new_users"], "filters": {"users": {"metric": m, "op": ">", "value": 1}}},
    lambda m: {"metrics": ["new_users"], "filters": {"users": {"metric": m, "op": ">", "value": "average"}}},
    lambda m: {"metrics": ["new_users"], "filters": {"users": {"metric": m, "op": ">", "value": {"quantile": 0.9}, "period": "all"}}},
    lambda m: {"metrics": ["new_users"], "filters": {"not": {"or": [{"users": {"metric": m, "op": "<", "value": 9}}]}}},
    lambda m: {"metrics": ["new_users"], "filters": {"users": {"metric": "buyers", "op": ">", "value": 0, "where": {"users": {"metric": m, "op": ">", "value": 9}}}}},
    lambda m: {"dimensions": ["nickname"], "filters": {"users": {"metric": m, "op": ">", "value": 1}}},
    lambda m: {"dimensions": ["nickname"], "order": [{"by": m}]},
    lambda m: {"metrics": [m], "grain": "month", "compare": "previous"},
    lambda m: {"metrics": [m], "dimensions": ["channel"], "share": {}},
]  # fmt: skip
DIMENSION_WAYS = [
    lambda d: {"metrics": ["new_users"], "dimensions": [d]},
    lambda d: {"metrics": ["new_users"], "filters": {"dimension": d, "op": "is not empty"}},
    lambda d: {"metrics": ["new_users"], "filters": [{"dimension": "channel", "values": ["search"]}, {"not": {"dimension": d, "values": ["yes"]}}]},
    lambda d: {"metrics": ["new_users"], "filters": {"users": {"metric": "buyers", "op": ">", "value": 0, "where": {"dimension": d, "values": ["yes"]}}}},
    lambda d: {"dimensions": ["nickname", d]},
    lambda d: {"metrics": ["new_users"], "dimensions": ["channel"], "order": [{"by": d}]},
    lambda d: {"metrics": ["pay_funnel"], "dimensions": [d]},
    lambda d: {"metrics": ["day_7_retention"], "filters": {"dimension": d, "values": ["yes"]}},
]  # fmt: skip


@pytest.fixture(scope="module")
def layer_for(whole, layer_over, person):
    base = layer_over(whole)
    return lambda role: base.for_user(person(role))


def refusal(layer, query: dict) -> str:
    with pytest.raises(QueryError) as refused:
        layer.run(layer.compile(query_from_json(query)))
    return refused.value.code


def test_every_way_into_a_query_is_closed(layer_for):
    marketing, analyst = layer_for("marketing"), layer_for("analyst")
    dimensions = {d.name: d.qualified for d in analyst.model.dimensions}
    ways = [(way(name), name) for name in MADE if name not in dimensions for way in METRIC_WAYS]
    ways += [(way(name), bare) for bare in MADE if bare in dimensions for name in (bare, dimensions[bare]) for way in DIMENSION_WAYS]
    assert len(ways) >= 150
    for query, name in ways:
        assert refusal(marketing, query) in ("not_allowed", "invalid_order"), (query, name)


def test_what_is_made_of_other_metrics_stays(layer_for):
    marketing, clerk, support = map(layer_for, ("marketing", "clerk", "support"))
    banded = {"metrics": ["new_users"], "dimensions": ["repeat_band"]}
    assert len(marketing.run(marketing.compile(query_from_json(banded))).rows) == 3
    assert refusal(clerk, banded) == refusal(support, banded) == "not_allowed"
    by_spend = {"metrics": ["new_users"], "dimensions": ["spend_band"]}
    assert len(clerk.run(clerk.compile(query_from_json(by_spend))).rows) == 3
    for role, query in (("clerk", {"metrics": ["new_users"], "dimensions": ["top_buyer"]}), ("clerk", {"metrics": ["repurchase"]}),
                        ("support", by_spend), ("support", {"metrics": ["new_users"], "dimensions": ["rfm_tier"]})):  # fmt: skip
        assert refusal(layer_for(role), query) == "not_allowed"
    by_ratio = {"metrics": ["new_users"], "dimensions": ["one_timer"]}  # made of the ratio that support may ask for
    assert support.run(support.compile(query_from_json(by_ratio))).rows


def test_nothing_that_is_listed_suggested_or_completed_names_it(layer_for, tmp_path):
    marketing, analyst = layer_for("marketing"), layer_for("analyst")

    def shown(layer) -> str:
        (tmp_path / "t.yml").write_text(
            "top: {question: {en: new users by whales}, query: {metrics: [new_users], dimensions: [top_buyer]}}\n"
            "plain: {question: {en: new users in all}, query: {metrics: [new_users]}}\n", "utf-8"
        )  # fmt: skip
        templates = Templates(layer.model, tmp_path)
        assistant = Assistant(layer, TemplatePlanner(RulesPlanner(layer), templates, layer))
        said = [catalogue(layer.model, lang) for lang in ("en", "zh")] + [assistant.examples(lang) for lang in ("en", "zh")]
        said += [assistant.complete(typed, lang) for lang in ("en", "zh") for typed in ("g", "gm", "sp", "消", "成", "客", "top", "wh", "高", "rf", "new users by ", "各", "small", "t")]
        said += [agent_system(layer.model, "en"), plan_system(layer.model, "en", PlanNames(layer.model, "en"))]
        said += [[t.name for t in templates.all], [t.question.en for t in templates.all], templates.errors, layer.model.headline]
        for text in ("help", "有哪些指标", "what can I ask", "new users", "new users by channel", "overview", "hello", "users by spendbnd", "orders by topbuyer", "总览"):
            answer = assistant.ask(Question(text=text))
            said.append((answer.text, answer.options, answer.follow_ups, answer.problem))
        return repr(said).lower()

    plainly, told = shown(analyst), shown(marketing)
    assert [word for word in SAID if word.lower() in told] == []
    assert len([word for word in SAID if word.lower() in plainly]) >= 12


@pytest.mark.parametrize(
    "text",
    ["new users by spend band", "各消费段的新增用户数", "高价值用户有多少", "how many whales are there", "new users of whales by channel", "新增用户数按是否高价值用户", "average spend per buyer of whales",
     "users with GMV over 500", "成交额超过500的用户数", "list the users with GMV over 500", "top 10 users by GMV", "成交额最高的10个用户", "orders of users whose spend per buyer is above average",
     "small spenders by channel", "GMV per order", "compare GMV this month with last month", "why did GMV fall", "paid orders by RFM tier", "GMV share by channel", "new users by spend band value", "users by m_score"],
)  # fmt: skip
def test_no_wording_gets_an_answer_made_of_it(text, layer_for):
    marketing = layer_for("marketing")
    answer = Assistant(marketing, RulesPlanner(marketing)).ask(Question(text=text))
    assert answer.status in ("refused", "clarify") or (answer.status == "answered" and not set(MADE) & set(repr(answer.query).replace("'", " ").split())), answer
    said = repr((answer.options, answer.follow_ups, answer.problem and answer.problem.hint)).lower()
    assert [word for word in SAID if word.lower() in said and word.lower() not in text.lower()] == []
    if answer.query is not None:
        assert "amount" not in answer.sql
