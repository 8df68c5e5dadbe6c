"""Segments that are learnt: the bands and groups of the analyses, of every user, under the asker's rights, or the reason why not."""

from collections.abc import Callable
from datetime import date
from importlib import resources

import pytest

from wenshu.assistant.assistant import Assistant
from wenshu.assistant.investigation import INVESTIGATE
from wenshu.assistant.planner import Step
from wenshu.assistant.question import Question
from wenshu.assistant.rules import RulesPlanner
from wenshu.semantic_layer.errors import ModelError, NotLearnt, QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.learnt_segment import APART, BANDS
from wenshu.semantic_layer.loader import parse_model
from wenshu.semantic_layer.policy import Principal
from wenshu.semantic_layer.query import Op, Order, Query, Where
from wenshu.tools.insight.clusters import Clusters
from wenshu.tools.insight.insight import find
from wenshu.tools.insight.propensity import Propensity
from wenshu.tools.query import run_query

MODEL = resources.files("wenshu.semantic_layer").joinpath("models/shop.yml").read_text("utf-8")
POLICIES = """
policies:
  - {role: manager, rows: 'users.city = {user.city}', shared: [products, campaigns, experiments]}
  - {role: clerk, rows: all, withhold: [gmv]}
  - {role: nobody, rows: all, hide: [churn_risk_of_users]}
  - {role: guest, rows: all, hide: [churn_risk_of_users.churn_risk_reason]}
"""
BY_RISK = Query(metrics=("users",), dimensions=("churn_risk",))


@pytest.fixture(scope="module")
def shop(layer_of: Callable[[str], SemanticLayer]) -> SemanticLayer:
    return layer_of("shop")


@pytest.fixture(scope="module")
def guarded(shop: SemanticLayer) -> SemanticLayer:
    return SemanticLayer(parse_model(MODEL + POLICIES, "shop.yml"), shop.engine, clock=lambda: date(2026, 11, 1), folder=None)


def counted(layer: SemanticLayer, dimension: str) -> dict[str, int]:
    return {str(name): int(str(users)) for name, users in run_query(layer, Query(metrics=("users",), dimensions=(dimension,))).table.rows}


@pytest.mark.parametrize(("event", "segment"), [("churn", "churn_risk"), ("repurchase", "repurchase_chance")])
def test_the_bands_are_those_of_the_analysis(shop: SemanticLayer, event, segment: str):
    sizes = counted(shop, segment)
    named = {label.en: sizes.get(name, 0) for name, label in BANDS[event]}
    told = find(shop, Propensity(event=event)).table
    assert named == dict(zip(told.values("band"), told.values("users"), strict=True))
    assert sum(sizes.values()) == run_query(shop, Query(metrics=("users",))).table.rows[0][0]


def test_the_clusters_are_those_of_the_analysis(shop: SemanticLayer):
    result = run_query(shop, Query(metrics=("users",), dimensions=("customer_cluster",)))
    labels = {value: label.en for value, label in result.table.column("customer_cluster").value_labels}
    told = find(shop, Clusters()).table
    found = {labels[name]: users for name, users in result.table.rows if name != APART}
    assert found == dict(zip(told.values("cluster"), told.values("users"), strict=True))
    assert all(label.startswith(f"{value} · ") for value, label in labels.items() if value != APART)


@pytest.mark.parametrize("segment", ["churn_risk", "repurchase_chance", "customer_cluster"])
def test_groups_add_up_and_filters_agree(shop: SemanticLayer, segment: str):
    october = {"period": run_query(shop, Query(metrics=("gmv",))).period}
    split = dict(run_query(shop, Query(metrics=("gmv",), dimensions=(segment,), **october)).table.rows)
    ((whole,),) = run_query(shop, Query(metrics=("gmv",), **october)).table.rows
    assert sum(split.values()) == pytest.approx(whole, rel=1e-12)
    first = next(iter(split))
    ((kept,),) = run_query(shop, Query(metrics=("gmv",), filters=Where(dimension=segment, op=Op.EQ, values=(first,)), **october)).table.rows
    assert kept == pytest.approx(split[first], rel=1e-12)


def test_the_list_is_in_the_order_of_the_probability_and_in_its_bands(shop: SemanticLayer):
    columns = ("user_id", "churn_risk_probability", "churn_risk", "churn_risk_reason")
    likely = Where(dimension="churn_risk", op=Op.IN, values=("high", "very high"))
    rows = run_query(shop, Query(dimensions=columns, filters=likely, order=(Order(by=columns[1]),), limit=9_000)).table.rows
    sizes = counted(shop, "churn_risk")
    assert len({row[0] for row in rows}) == len(rows) == sizes["high"] + sizes["very high"]
    chances = [float(str(row[1])) for row in rows]
    assert chances == sorted(chances, reverse=True)
    assert all((band == "very high") == (chance >= 0.8) and chance >= 0.5 and reason for (_, _, band, reason), chance in zip(rows, chances, strict=True))


def test_the_answer_tells_how_it_was_learnt(shop: SemanticLayer):
    assistant = Assistant(SemanticLayer(shop.model, shop.engine, clock=lambda: date(2026, 11, 1), folder=None), RulesPlanner(shop))
    *steps, answer = assistant.stream(Question(text="what share of GMV comes from users at high risk"))
    assert [step for step in steps if isinstance(step, Step) and step.key == INVESTIGATE]  # people see that it takes a while
    receipt = answer.receipt
    assert receipt.method is not None and "logistic" in receipt.method.name
    assert len(receipt.steps) == 3 and receipt.steps[-1].sql == answer.sql
    assert any("2026-10-31" in text for text in receipt.caveats)
    assert any("AUC" in told.definition and "2026-10-31" in told.definition for told in receipt.definitions)
    *again, _ = assistant.stream(Question(text="流失风险各档的订单数"))
    assert not [step for step in again if isinstance(step, Step) and step.key == INVESTIGATE]


def test_data_too_thin_are_refused(shop: SemanticLayer):
    with pytest.raises(QueryError) as error:
        run_query(shop, BY_RISK, today=date(2025, 2, 1))
    assert error.value.code == "too_thin" and "60" in error.value.hint.en


def test_it_is_learnt_from_what_the_asker_may_see(shop: SemanticLayer, guarded: SemanticLayer):
    mine, same, other = (guarded.for_user(Principal(name=name, role="manager", attributes={"city": city})) for name, city in (("a", "上海"), ("b", "上海"), ("c", "北京")))
    sizes = counted(mine, "churn_risk")
    here = Where(dimension="users.city", op=Op.EQ, values=("上海",))
    told = find(shop, Propensity(event="churn", filters=here)).table
    assert [sizes.get(name, 0) for name, _ in BANDS["churn"]][::-1] == list(told.values("users"))
    assert same.compile(BY_RISK).learnt
    with pytest.raises(NotLearnt):
        other.compile(BY_RISK)


def test_a_hidden_part_leaves_the_rest(guarded: SemanticLayer, shop: SemanticLayer):
    guest = guarded.for_user(Principal(name="g", role="guest"))
    assert counted(guest, "churn_risk") == counted(shop, "churn_risk")
    with pytest.raises(QueryError) as error:
        guest.compile(Query(dimensions=("user_id", "churn_risk_reason")))
    assert error.value.code == "not_allowed"


@pytest.mark.parametrize("role", ["clerk", "nobody"])
def test_what_is_made_of_the_withheld_is_withheld(guarded: SemanticLayer, role: str):
    layer = guarded.for_user(Principal(name="x", role=role))
    for query in (BY_RISK, Query(dimensions=("user_id", "churn_risk_probability")), Query(dimensions=("user_id", "churn_risk_reason"))):
        with pytest.raises(QueryError) as error:
            run_query(layer, query)
        assert error.value.code == "not_allowed"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("  risky: {type: chance, event: churn, of: users, value: gmv}", "no user or no time"),
        ("  risky: {type: chance, event: churn, of: active_users, value: gmv, values: {hgih: {}}}", "hgih"),
        ("  gone: {type: filter, filters: {dimension: churn_risk, value: high}}", "yet to be learnt"),
    ],
)
def test_what_a_model_file_gets_wrong(written: str, said: str):
    with pytest.raises(ModelError) as error:
        parse_model(MODEL.replace("\nheadline:", f"\n{written}\n\nheadline:"), "shop.yml")
    assert said in str(error.value)
