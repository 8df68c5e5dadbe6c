"""What users have of their own against pandas: conditions, bands, saved filters and percentiles on small made-up shops."""

import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
from wenshu.semantic_layer.errors import ModelError, QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.query import filter_from_json, filter_to_json, query_from_json
from wenshu.tools.query import run_query

MORE = os.environ.get("WENSHU_ORACLE_EXAMPLES")
AS_OF, WINDOW = date(2024, 3, 31), 10
FIRST = AS_OF - timedelta(days=WINDOW - 1)
PERIOD = {"start": "2024-03-15", "end": "2024-03-28"}
BOUNDS = [1, 20, 100]
RECENT_RED = {"users": {"metric": "orders", "op": ">=", "value": 2, "period": {"last_days": WINDOW}, "where": {"dimension": "kind", "value": "red"}}}
MODEL: dict[str, Any] = {
    "name": "own",
    "as_of": AS_OF.isoformat(),
    "datasets": {
        "people": {"source": "users", "primary_key": "id", "entity": "user", "dimensions": {"id": {"type": "number"}, "city": {}}},
        "orders": {"source": "orders", "primary_key": "order_id", "time": "ordered_at", "dimensions": {"kind": {}}},
    },
    "relationships": [{"from": "orders", "to": "people", "on": {"user_id": "id"}}],
    "metrics": {
        "registered": {"type": "count", "dataset": "people", "time": "none"},
        "orders": {"type": "count", "dataset": "orders", "where": "paid"},
        "spend": {"type": "sum", "dataset": "orders", "expr": "amount", "where": "paid"},
        "largest": {"type": "max", "dataset": "orders", "expr": "amount", "where": "paid"},
        "mean_order": {"type": "ratio", "numerator": "spend", "denominator": "orders"},
        "p75_order": {"type": "percentile", "dataset": "orders", "expr": "amount", "where": "paid", "percent": 75},
        "p75_spend": {"type": "percentile", "of": "spend", "percent": 75},
    },
    "segments": {
        "band": {"type": "band", "of": "spend", "window": WINDOW, "from": BOUNDS, "values": {"a": None, "b": None, "c": None, "d": None}},
        "period_band": {"type": "band", "of": "spend", "window": "period", "from": BOUNDS, "values": {"e": None, "f": None, "g": None, "h": None}},
        "third": {"type": "band", "of": "spend", "window": "all", "quantiles": 3, "filters": {"dimension": "kind", "value": "red"}},
        "red_fan": {"type": "filter", "filters": RECENT_RED},
        "quiet_fan": {"type": "filter", "filters": [{"dimension": "red_fan", "value": "yes"}, {"dimension": "band", "op": "!=", "value": "d"}]},
    },
}  # fmt: skip
Rows = dict[str, list[tuple[Any, ...]]]
Made = Callable[..., SemanticLayer]

moments = st.builds(lambda back, hour: datetime(2024, 3, 31, hour) - timedelta(days=back), st.integers(-2, 25), st.sampled_from([0, 23]))
shops = st.fixed_dictionaries(
    {
        "users": st.lists(st.tuples(st.integers(1, 6), moments, st.sampled_from(["x", "y", None])), min_size=1, max_size=6, unique_by=lambda row: row[0]),
        "orders": st.lists(
            st.tuples(st.none() | st.integers(1, 7), moments, st.sampled_from([True, True, True, False]), st.sampled_from(["0.00", "5.00", "19.99", "20.00", "80.00", "250.00"]), st.sampled_from(["red", "blue"])),
            max_size=25,
        ).map(lambda rows: [(i, *row) for i, row in enumerate(rows)]),
    }
)  # fmt: skip
thorough = settings(
    max_examples=int(MORE or 20), derandomize=MORE is None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return the function that makes the layer of some rows."""
    folder, numbers = tmp_path_factory.mktemp("own"), count()
    (folder / "own.yml").write_text(yaml.safe_dump(MODEL, sort_keys=False))
    model = load_model(str(folder / "own.yml"))

    def layer(rows: Rows) -> SemanticLayer:
        path = folder / f"{next(numbers)}.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE users (id INT, joined_at TIMESTAMP, city TEXT)")
            connection.execute("CREATE TABLE orders (order_id INT, user_id INT, ordered_at TIMESTAMP, paid BOOLEAN, amount DECIMAL(9, 2), kind TEXT)")
            for day in ("2024-03-01", "2024-03-31"):  # nobody's, so that the data cover the month whatever else there is
                connection.execute("INSERT INTO orders VALUES (-1, NULL, ?, FALSE, 1, 'blue')", [day])
            for table, values in rows.items():
                if values:
                    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)
        return SemanticLayer(model, DuckDBEngine(path, settings=EngineSettings(threads=1)), clock=lambda: AS_OF)

    return layer


def paid(rows: Rows, first: date, last: date, kind: str | None = None) -> pd.DataFrame:
    """Return the paid orders of known users between two days."""
    frame = pd.DataFrame(rows["orders"], columns=["order_id", "user", "at", "paid", "amount", "kind"])
    kept = [
        bool(p) and first <= at.date() <= last and kind in (None, k) and not pd.isna(u)
        for u, at, p, k in zip(frame["user"], frame["at"], frame["paid"], frame["kind"], strict=True)
    ]
    frame = frame[pd.Series(kept, index=frame.index, dtype=bool)]
    return frame.assign(amount=frame["amount"].astype(float), user=frame["user"].astype(int))


def own(rows: Rows, metric: str, first: date, last: date, kind: str | None = None) -> dict[int, float]:
    """Return each user's own value of a metric."""
    grouped = paid(rows, first, last, kind).groupby("user")["amount"]
    folded = {"orders": grouped.count, "spend": grouped.sum, "largest": grouped.max, "mean_order": grouped.mean}[metric]()
    return {int(user): float(value) for user, value in folded.items()}


def users_of(layer: SemanticLayer, filters: Any) -> set[int]:
    query = {"dimensions": ["id"], "filters": filters}
    return {row[0] for row in layer.run(layer.compile(query_from_json(query))).rows}


COMPARE = {
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip
metrics = st.sampled_from(["orders", "spend", "largest", "mean_order"])


@thorough
@given(
    rows=shops, metric=metrics, op=st.sampled_from(sorted(COMPARE)), value=st.sampled_from([0, 1, 2, 20, 100.5, -1]) | st.just("average") | st.sampled_from([{"quantile": q} for q in (0.1, 0.5, 0.8)]),
    kind=st.sampled_from([None, "red"]), span=st.sampled_from(["last", "period", "all"]),
)  # fmt: skip
def test_users_chosen_are_those_of_pandas(made: Made, rows: Rows, metric: str, op: str, value: Any, kind: str | None, span: str) -> None:
    days = {"last": (FIRST, AS_OF), "period": (date(2024, 3, 15), date(2024, 3, 28)), "all": (date(2000, 1, 1), AS_OF)}[span]
    given_period = {"last": {"last_days": WINDOW}, "period": PERIOD, "all": "all"}[span]
    condition = {"metric": metric, "op": op, "value": value, "period": given_period}
    values = own(rows, metric, *days, kind)
    series = pd.Series(list(values.values()), dtype=float)
    bound = series.mean() if value == "average" else series.quantile(value["quantile"]) if isinstance(value, dict) else value
    counts_zero = metric in ("orders", "spend") and not isinstance(value, dict)
    expected = set()
    for user, *_ in rows["users"]:
        if user in values:
            fits = COMPARE[op](values[user], bound)
        elif counts_zero:
            fits = op in ("<", "<=", "!=") if value == "average" else COMPARE[op](0, bound)
        else:
            fits = False
        expected |= {user} if fits else set()
    # A sum of amounts that ties with a computed bound may be rounded to either side of it.
    rounds = metric != "orders" and isinstance(value, str | dict) and any(abs(v - bound) <= 1e-9 for v in values.values())
    layer = made(rows)
    try:
        found = users_of(layer, {"users": condition | ({"where": {"dimension": "kind", "value": kind}} if kind else {})})
        kept = {"users": condition}
        whole = users_of(layer, None)
        assert users_of(layer, kept) | users_of(layer, {"not": kept}) == whole
        assert not users_of(layer, kept) & users_of(layer, {"not": kept})
    finally:
        layer.engine.close()
    assert rounds or found == expected


@thorough
@given(rows=shops)
def test_bands_groups_and_saved_filters_are_those_of_pandas(made: Made, rows: Rows) -> None:
    layer = made(rows)
    try:
        query = {"dimensions": ["id", "band", "third", "red_fan", "quiet_fan"]}
        found = {row[0]: row[1:] for row in layer.run(layer.compile(query_from_json(query))).rows}
        by_band = dict(layer.run(layer.compile(query_from_json({"metrics": ["registered"], "dimensions": ["period_band"], "period": PERIOD}))).rows)
        split = layer.run(layer.compile(query_from_json({"metrics": ["orders"], "dimensions": ["red_fan"]}))).rows
    finally:
        layer.engine.close()
    recent, red = own(rows, "spend", FIRST, AS_OF), own(rows, "spend", date(2000, 1, 1), AS_OF, "red")
    reds = own(rows, "orders", FIRST, AS_OF, "red")
    cuts = pd.Series(list(red.values()), dtype=float).quantile([1 / 3, 2 / 3]).to_list()
    near = any(0 < abs(v - cut) < 1e-9 for v in red.values() for cut in cuts)
    in_period, expected = own(rows, "spend", date(2024, 3, 15), date(2024, 3, 28)), dict.fromkeys("efgh", 0)
    for user, *_ in rows["users"]:
        band = "abcd"[sum(recent.get(user, 0) >= bound for bound in BOUNDS)]
        fan = reds.get(user, 0) >= 2
        third = f"group {1 + sum(red[user] > cut for cut in cuts)}" if user in red else None
        assert found[user] == (band, found[user][1] if near else third, "yes" if fan else "no", "yes" if fan and band != "d" else "no")
        expected["efgh"[sum(in_period.get(user, 0) >= bound for bound in BOUNDS)]] += 1
    assert by_band == {band: n for band, n in expected.items() if n}
    known = {user for user, *_ in rows["users"]}
    assert sum(n for _, n in split) == sum(n for user, n in own(rows, "orders", date(2000, 1, 1), AS_OF).items() if user in known)


@thorough
@given(rows=shops)
def test_percentiles_are_those_of_pandas(made: Made, rows: Rows) -> None:
    layer = made(rows)
    try:
        query = {"metrics": ["p75_order", "p75_order[n=10]", "p75_spend"], "period": PERIOD}
        order, low, spend, users = layer.run(layer.compile(query_from_json(query))).rows[0]
    finally:
        layer.engine.close()
    frame = pd.DataFrame(rows["orders"], columns=["order_id", "user", "at", "paid", "amount", "kind"])
    amounts = pd.Series([float(a) for a, p, at in zip(frame["amount"], frame["paid"], frame["at"], strict=True) if p and date(2024, 3, 15) <= at.date() <= date(2024, 3, 28)], dtype=float)  # fmt: skip
    values = pd.Series(list(own(rows, "spend", date(2024, 3, 15), date(2024, 3, 28)).values()), dtype=float)
    assert users == len(values)
    for told, series, share in ((order, amounts, 0.75), (low, amounts, 0.1), (spend, values, 0.75)):
        assert told == pytest.approx(series.quantile(share)) if len(series) else told is None


def test_a_receipt_tells_the_days_of_a_segment(made: Made) -> None:
    layer = made({"users": [(1, datetime(2024, 3, 1), "x")], "orders": [(1, 1, datetime(2024, 3, 2), True, "30.00", "red")]})
    result = run_query(layer, query_from_json({"metrics": ["orders"], "dimensions": ["band", "period_band"], "period": PERIOD}))
    told = {name: text for name, _, text in result.definitions}
    assert "As of 2024-03-31." in told["band"].en and "截至 2024-03-31。" in told["band"].zh
    assert "2024-03-15 – 2024-03-28" in told["period_band"].en
    filtered = run_query(layer, query_from_json({"metrics": ["orders"], "filters": {"dimension": "red_fan", "value": "no"}}))
    assert "red_fan" in {name for name, *_ in filtered.definitions}


@pytest.mark.parametrize(
    "value",
    [RECENT_RED, {"users": {"metric": "spend", "op": "<", "value": {"quantile": 0.25}, "period": "all"}},
     {"users": {"metric": "spend", "op": ">", "value": "average", "period": PERIOD, "where": {"and": [{"dimension": "kind", "op": "is empty"}, RECENT_RED]}}}],
)  # fmt: skip
def test_a_condition_survives_its_json(value: dict[str, Any]) -> None:
    tree = filter_from_json(value)
    assert filter_from_json(filter_to_json(tree)) == tree


@pytest.mark.parametrize(
    "wrong",
    [{"value": {"quantile": 1}}, {"value": {"quantile": "half"}}, {"value": {"share": 0.5}}, {"value": True}, {"value": 10**400},
     {"value": 1, "period": {"last_days": 0}}, {"value": 1, "period": {"last_days": 1.5}}, {"value": 1, "period": "ever"}, {"value": 1, "where": 3}],
)  # fmt: skip
def test_a_condition_that_says_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(QueryError) as caught:
        filter_from_json({"users": {"metric": "spend", "op": ">"} | wrong})
    assert caught.value.code in ("invalid_query", "invalid_filter")


@pytest.mark.parametrize(
    "segment",
    [
        {"type": "band", "of": "spend"},
        {"type": "band", "of": "spend", "from": [1, 2], "quantiles": 3},
        {"type": "band", "of": "spend", "from": [2, 1]},
        {"type": "band", "of": "nothing", "from": [1]},
        {"type": "band", "of": "p75_spend", "from": [1]},
        {"type": "band", "of": "spend", "from": [1], "values": {"only": None}},
        {"type": "band", "of": "spend", "from": [1], "groups": {"g": {"label": "G", "values": ["nothing"]}}},
        {"type": "band", "of": "spend", "from": [1], "filters": {"dimension": "nothing", "value": 1}},
        {"type": "filter", "filters": {"dimension": "nothing", "value": 1}},
        {"type": "filter", "filters": {"users": {"metric": "nothing", "op": ">", "value": 1}}},
        {"type": "filter", "filters": {"dimension": "kind", "value": "red"}},
        {"type": "filter", "filters": "red"},
    ],
    ids=str,
)
def test_a_segment_that_cannot_be_is_a_mistake_of_the_model(tmp_path: Any, segment: dict[str, Any]) -> None:
    path = tmp_path / "model.yml"
    path.write_text(yaml.safe_dump(MODEL | {"segments": {"mine": segment}}, sort_keys=False))
    with pytest.raises(ModelError) as caught:
        load_model(str(path))
    assert caught.value.message.en and caught.value.message.zh


@pytest.mark.parametrize("name", ["city", "orders", "people"])
def test_a_segment_has_a_name_of_its_own(tmp_path: Any, name: str) -> None:
    path = tmp_path / "model.yml"
    path.write_text(yaml.safe_dump(MODEL | {"segments": {name: {"type": "band", "of": "spend", "from": [1]}}}, sort_keys=False))
    with pytest.raises(ModelError):
        load_model(str(path))
