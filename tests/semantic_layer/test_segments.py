"""Segments against an oracle: RFM scores and tiers as pandas computes them, activity stages counted by hand."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
from wenshu.semantic_layer.errors import ModelError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.query import query_from_json

MORE = os.environ.get("WENSHU_ORACLE_EXAMPLES")
AS_OF, WINDOW, STAGE_DAYS = date(2024, 3, 31), 10, 5
DAY = timedelta(days=1)
TIERS = {
    (True, True, True): "champions", (True, False, True): "promising big spenders", (False, True, True): "loyal at risk",
    (False, False, True): "big spenders slipping away", (True, True, False): "loyal low spenders",
    (True, False, False): "new or occasional", (False, True, False): "fading regulars", (False, False, False): "hibernating",
}  # fmt: skip
MODEL: dict[str, Any] = {
    "name": "segments",
    "as_of": AS_OF.isoformat(),
    "datasets": {
        "people": {"source": "users", "primary_key": "id", "entity": "user", "time": "joined_at", "dimensions": {"id": {"type": "number"}}},
        "orders": {"source": "SELECT * FROM raw_orders WHERE NOT is_test", "primary_key": "order_id", "time": "ordered_at"},
        "events": {"source": "events", "time": "happened_at"},
    },
    "relationships": [
        {"from": "orders", "to": "people", "on": {"user_id": "id"}}, {"from": "events", "to": "people", "on": {"user_id": "id"}},
    ],
    "metrics": {
        "registrations": {"type": "count", "dataset": "people"},
        "actions": {"type": "count", "dataset": "events"},
        "orders": {"type": "count", "dataset": "orders", "where": "status = 'paid' OR status = 'refunded'"},
        "net": {"type": "sum", "dataset": "orders", "expr": "amount", "where": "status = 'paid'"},
        "spend": {"type": "sum", "dataset": "orders", "expr": "amount"},
    },
    "segments": {
        "rfm": {"type": "rfm", "of": "orders", "value": "spend", "window": WINDOW},
        "activity": {"type": "activity", "of": "actions", "start": "registrations", "days": STAGE_DAYS},
    },
}  # fmt: skip
TABLES = {
    "users": "id INT, joined_at TIMESTAMP",
    "raw_orders": "order_id INT, user_id INT, ordered_at TIMESTAMP, status TEXT, amount DECIMAL(9, 2), is_test BOOLEAN",
    "events": "user_id INT, happened_at TIMESTAMP",
}
Rows = dict[str, list[tuple[Any, ...]]]
Made = Callable[..., SemanticLayer]

clock = st.sampled_from([timedelta(), timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999)])
moments = st.builds(lambda back, time: datetime(2024, 3, 31) - back * DAY + time, st.integers(-1, 14), clock)
ids = st.none() | st.integers(1, 7)
amounts = st.sampled_from(["0.00", "10.00", "10.00", "19.99", "250.00"])
shops = st.fixed_dictionaries(
    {
        "users": st.lists(st.tuples(st.integers(1, 6), moments), min_size=1, max_size=6, unique_by=lambda row: row[0]),
        "raw_orders": st.lists(
            st.tuples(ids, moments, st.sampled_from(["paid", "paid", "refunded", "pending"]), amounts, st.sampled_from([False, False, False, True])), max_size=25,
        ).map(lambda rows: [(i, *row) for i, row in enumerate(rows)]),
        "events": st.lists(st.tuples(ids, moments), max_size=12),
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return the function that makes the layer of some rows and a way to score."""
    folder, numbers = tmp_path_factory.mktemp("segments"), count()

    def layer(rows: Rows, **rfm: Any) -> SemanticLayer:
        number = next(numbers)
        model = MODEL | {"segments": MODEL["segments"] | {"rfm": MODEL["segments"]["rfm"] | rfm}}
        (folder / f"{number}.yml").write_text(yaml.safe_dump(model, sort_keys=False))
        with duckdb.connect(str(folder / f"{number}.duckdb")) as connection:
            for table, columns in TABLES.items():
                connection.execute(f"CREATE TABLE {table} ({columns})")
                if values := rows.get(table):
                    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)
        engine = DuckDBEngine(folder / f"{number}.duckdb", settings=EngineSettings(threads=1))
        return SemanticLayer(load_model(str(folder / f"{number}.yml")), engine, clock=lambda: AS_OF)

    return layer


def listed(layer: SemanticLayer, *columns: str) -> dict[Any, tuple[Any, ...]]:
    """Return attributes of every user."""
    table = layer.run(layer.compile(query_from_json({"dimensions": ["id", *columns]})))
    return {row[0]: row[1:] for row in table.rows}


@dataclass(frozen=True)
class Facts:
    """Score users the slow way."""

    rows: Rows
    value: str
    quantiles: int

    def by_user(self) -> dict[int, tuple[Any, ...]]:
        orders = pd.DataFrame(self.rows["raw_orders"], columns=["order_id", "user", "at", "status", "amount", "is_test"])
        orders = orders[orders["user"].notna() & ~orders["is_test"].astype(bool) & orders["status"].isin(["paid", "refunded"])]
        orders = orders[[AS_OF - (WINDOW - 1) * DAY <= at.date() <= AS_OF for at in orders["at"]]]
        if orders.empty:
            return {}
        counted = orders["amount"].astype(float)
        if self.value == "net":
            counted = counted.where(orders["status"] == "paid", 0.0)
        elif self.value == "orders":
            counted = pd.Series(1.0, index=orders.index)
        of_user = orders.assign(counted=counted, day=[at.date() for at in orders["at"]]).groupby("user")
        facts = pd.DataFrame({
            "recency": [(AS_OF - day).days for day in of_user["day"].max()], "frequency": of_user.size().to_list(),
            "monetary": of_user["counted"].sum().to_list(),
        }, index=of_user.size().index)  # fmt: skip
        goodness = pd.DataFrame({"r": -facts["recency"], "f": facts["frequency"], "m": facts["monetary"]}).astype(float)
        shares = [i / self.quantiles for i in range(1, self.quantiles)]
        scores = pd.DataFrame({
            name: [1 + sum(value > column.quantile(share, interpolation="linear") for share in shares) for value in column]
            for name, column in goodness.items()
        }, index=facts.index)  # fmt: skip
        high = scores >= scores.mean()
        return {
            int(user): (*facts.loc[user], *scores.loc[user], TIERS[tuple(bool(h) for h in high.loc[user])]) for user in facts.index
        }  # fmt: skip


RFM_COLUMNS = ("rfm_recency", "rfm_frequency", "rfm_monetary", "r_score", "f_score", "m_score", "rfm_tier")
thorough = settings(
    max_examples=int(MORE or 40), derandomize=MORE is None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip


@thorough
@given(rows=shops, value=st.sampled_from(["spend", "net", "orders"]), quantiles=st.sampled_from([2, 3, 5, 5, 10]))
def test_scores_and_tiers_are_those_of_pandas(made: Made, rows: Rows, value: str, quantiles: int) -> None:
    layer = made(rows, value=value, quantiles=quantiles)
    expected = Facts(rows, value, quantiles).by_user()
    try:
        found = listed(layer, *RFM_COLUMNS)
    finally:
        layer.engine.close()
    for user, _ in rows["users"]:
        *numbers, tier = found[user]
        *wanted, wanted_tier = expected.get(user, (None,) * 7)
        assert tier == wanted_tier
        assert numbers == pytest.approx(wanted) if user in expected else numbers == wanted


@thorough
@given(rows=shops)
def test_stages_are_those_counted_by_hand(made: Made, rows: Rows) -> None:
    layer = made(rows)
    try:
        found = listed(layer, "activity_stage", "activity_days_since")
    finally:
        layer.engine.close()
    for user, joined in rows["users"]:
        days = {at.date() for u, at in rows["events"] if u == user and at.date() <= AS_OF}
        now = any(AS_OF - STAGE_DAYS * DAY < day for day in days)
        before = any(AS_OF - 2 * STAGE_DAYS * DAY < day <= AS_OF - STAGE_DAYS * DAY for day in days)
        is_new = joined.date() > AS_OF - STAGE_DAYS * DAY
        stage = ("new" if is_new else "returning" if before else "resurrecting") if now else "dormant" if before else "inactive"
        assert found[user] == (stage, (AS_OF - max(days)).days if days else None)


def orders_of(*facts: tuple[int, int, str]) -> Rows:
    """Return paid orders, each of a user so many days ago for an amount."""
    rows = [(i, user, datetime(2024, 3, 31) - ago * DAY, "paid", amount, False) for i, (user, ago, amount) in enumerate(facts)]
    return {"users": [(user, datetime(2024, 1, 1)) for user in sorted({fact[0] for fact in facts})], "raw_orders": rows}


def test_equal_users_share_scores_and_tier(made: Made) -> None:
    layer = made(orders_of((1, 3, "10"), (2, 3, "10"), (3, 3, "10")))
    assert set(listed(layer, *RFM_COLUMNS).values()) == {(3, 1, 10.0, 1, 1, 1, "champions")}


def test_one_user_is_a_population(made: Made) -> None:
    assert listed(made(orders_of((1, 0, "5"))), "rfm_tier") == {1: ("champions",)}


def test_the_window_holds_its_first_and_its_last_day(made: Made) -> None:
    layer = made(orders_of((1, WINDOW - 1, "5"), (2, WINDOW, "5"), (3, 0, "5"), (4, -1, "5")))
    tiers = {user: row[0] for user, row in listed(layer, "rfm_tier").items()}
    assert [user for user, tier in tiers.items() if tier is None] == [2, 4]


def test_groups_by_tier_leave_out_users_without_one_and_filters_tell_them(made: Made) -> None:
    layer = made(orders_of((1, 0, "100"), (1, 1, "100"), (2, 9, "5"), (3, 12, "5")))

    def counted(query: dict[str, Any]) -> list[tuple[Any, ...]]:
        return sorted(layer.run(layer.compile(query_from_json({"metrics": ["registrations"]} | query))).rows)

    assert counted({"dimensions": ["rfm_tier"]}) == [("champions", 1), ("hibernating", 1)]
    assert counted({"filters": [{"dimension": "rfm_tier", "op": "is empty"}]}) == [(1,)]
    assert counted({"filters": [{"dimension": "rfm_tier", "op": "!=", "value": "champions"}]}) == [(2,)]
    assert counted({"filters": [{"dimension": "r_score", "op": ">=", "value": 2}]}) == [(1,)]


@pytest.mark.parametrize(
    "change",
    [
        {"segments": {"rfm": {"type": "rfm", "of": "orders", "value": "actions"}}},
        {"segments": {"rfm": {"type": "rfm", "of": "orders", "value": "far"}}, "metrics": {"far": {"type": "sum", "dataset": "orders", "expr": "people.id"}}},
        {"segments": {"rfm": {"type": "rfm", "of": "few", "value": "spend"}}, "metrics": {"few": {"type": "count", "dataset": "orders", "filters": [{"dimension": "id", "value": 1}]}}},
        {"segments": {"rfm": {"type": "rfm", "of": "registrations", "value": "registrations"}}},
        {"segments": {"stages": {"type": "activity", "of": "orders", "start": "actions"}}},
        {"segments": {"rfm": {"type": "rfm", "of": "orders", "value": "spend", "tiers": {"whales": {"label": "Whales"}}}}},
        {"segments": {"orders": {"type": "rfm", "of": "orders", "value": "spend"}}},
    ],
)  # fmt: skip
def test_segments_that_cannot_be_computed_are_mistakes_of_the_model(tmp_path: Path, change: dict[str, Any]) -> None:
    model = MODEL | {"segments": change["segments"], "metrics": MODEL["metrics"] | change.get("metrics", {})}
    (tmp_path / "model.yml").write_text(yaml.safe_dump(model, sort_keys=False))
    with pytest.raises(ModelError) as caught:
        load_model(str(tmp_path / "model.yml"))
    assert caught.value.message.en and caught.value.message.zh
