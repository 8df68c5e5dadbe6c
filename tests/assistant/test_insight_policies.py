"""Analyses under row filters: who may see one city's users only finds what a database of that city alone would tell."""

from collections.abc import Callable
from datetime import date
from importlib import resources

import pytest

from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import parse_model
from wenshu.semantic_layer.policy import Principal
from wenshu.semantic_layer.query import Op, Query, Where
from wenshu.tools.insight.basket import Basket
from wenshu.tools.insight.clusters import Clusters
from wenshu.tools.insight.insight import Analysis, find
from wenshu.tools.insight.predicted_value import PredictedValue
from wenshu.tools.insight.propensity import Propensity

CITY = "上海"
HERE = Where(dimension="users.city", op=Op.EQ, values=(CITY,))
POLICY = "\npolicies:\n  - {role: manager, rows: 'users.city = {user.city}', shared: [products, campaigns, experiments]}\n"
ASKED: dict[str, Callable[[Where | None], Analysis]] = {
    "basket": lambda kept: Basket(query=Query(metrics=("item_sales",), filters=kept), by="category"),
    "predicted value": lambda kept: PredictedValue(filters=kept),
    "churn": lambda kept: Propensity(event="churn", filters=kept),
    "clusters": lambda kept: Clusters(number=3, filters=kept),
}


@pytest.fixture(scope="module")
def layers(layer_of: Callable[[str], SemanticLayer]) -> tuple[SemanticLayer, SemanticLayer]:
    whole = layer_of("shop")
    text = resources.files("wenshu.semantic_layer").joinpath("models/shop.yml").read_text("utf-8")
    model = parse_model(text + POLICY, "shop.yml")
    guarded = SemanticLayer(model, whole.engine, clock=lambda: date(2026, 11, 1), folder=None)
    return whole, guarded.for_user(Principal(name="one", role="manager", attributes={"city": CITY}))


@pytest.mark.parametrize("name", ASKED)
def test_a_restricted_person_finds_what_a_filter_does(name: str, layers: tuple[SemanticLayer, SemanticLayer]):
    whole, mine = layers
    theirs, all_of_it = find(mine, ASKED[name](None)).table.rows, find(whole, ASKED[name](HERE)).table.rows
    assert theirs and len(theirs) == len(all_of_it)
    for one, other in zip(theirs, all_of_it, strict=True):  # sums in another order differ in their last places
        assert [cell if isinstance(cell, str) else pytest.approx(cell, rel=1e-3) for cell in one] == list(other)
