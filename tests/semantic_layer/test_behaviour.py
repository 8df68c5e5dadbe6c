"""Behavioural metrics give the numbers that hand-written SQL gives, and find what is planted in the demo shop."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from sqlglot import exp, parse

from wenshu.semantic_layer.errors import ModelError, QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.metric_parameters import with_parameters
from wenshu.semantic_layer.metrics import AverageOver, Retention
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import query_from_json
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.text import same as same_text

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "behaviour_cases.yml").read_text("utf-8"))
ANSWERED = [case for case in CASES if "error" not in case]
REFUSED = [case for case in CASES if "error" in case]
Layers = Callable[[str], SemanticLayer]
AS_OF = date(2026, 10, 31)


def case_name(case: dict[str, Any]) -> str:
    return str(case["name"])


def run(layer: SemanticLayer, query: dict[str, Any]) -> ResultTable:
    return layer.run(layer.compile(query_from_json(json.loads(json.dumps(query, default=str)))))


def plain(cell: object) -> object:
    return float(cell) if isinstance(cell, Decimal) else cell


def same(ours: object, theirs: object) -> bool:
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)
    return ours == theirs


@pytest.mark.parametrize("case", ANSWERED, ids=case_name)
def test_rows_are_those_of_the_check(
    case: dict[str, Any], layer_of: Layers, connection_to: Callable[[str], duckdb.DuckDBPyConnection]
) -> None:
    over = case.get("over", "shop")
    compiled = layer_of(over).compile(query_from_json(json.loads(json.dumps(case["query"], default=str))))
    table = layer_of(over).run(compiled)
    expected = [tuple(map(plain, row)) for row in connection_to(over).execute(case["check_sql"]).fetchall()]
    keys = len(compiled.resolved.keys)
    found = list(table.rows) if case.get("ordered") else sorted(table.rows, key=lambda row: repr(row[:keys]))
    wanted = expected if case.get("ordered") else sorted(expected, key=lambda row: repr(row[:keys]))
    assert found and len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert len(ours) == len(theirs) and all(map(same, ours, theirs)), f"{ours} is not {theirs}"
    [statement] = parse(compiled.statement.sql, dialect="duckdb")
    assert isinstance(statement, exp.Select)
    assert [column.name for column in table.columns] == [select.output_name for select in statement.selects]


@pytest.mark.parametrize("case", REFUSED, ids=case_name)
def test_refusals_have_their_code(case: dict[str, Any], layer_of: Layers) -> None:
    with pytest.raises(QueryError) as caught:
        run(layer_of(case.get("over", "shop")), case["query"])
    assert caught.value.code == case["error"]
    assert all((caught.value.message.en, caught.value.message.zh, caught.value.hint.en, caught.value.hint.zh))


def test_cases_have_names_of_their_own() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) >= 60
    assert all(("check_sql" in case) != ("error" in case) for case in CASES)


# What is planted in the demo shop comes out


def by_key(table: ResultTable) -> dict[Any, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in table.rows}


def test_channels_keep_users_differently(layer_of: Layers) -> None:
    query = {"metrics": ["retention"], "dimensions": ["channel"]}
    shares = {channel: row[0] for channel, row in by_key(run(layer_of("shop"), query)).items()}
    assert list(shares) == ["referral", "organic", "appstore", "wechat", "douyin", "baidu"]
    assert [round(100 * share, 1) for share in shares.values()] == [30.6, 24.0, 21.9, 21.6, 17.2, 10.1]


@pytest.mark.parametrize(
    "asked",
    [
        {"dimensions": ["channel"]},
        {"grain": "week", "period": {"start": "2026-09-01", "end": "2026-10-31"}},
        {"dimensions": ["city"], "grain": "month", "filters": [{"dimension": "device", "value": "ios"}]},
        {"period": {"start": "2026-10-01", "end": "2026-10-31"}, "compare": "previous"},
    ],
    ids=["by channel", "by week", "by city and month", "compared"],
)
def test_retention_on_several_days_is_that_on_each_and_reads_activity_once(
    layer_of: Layers, asked: dict[str, Any]
) -> None:
    layer, names = layer_of("shop"), [f"retention[n={n}]" for n in (1, 7, 90)]
    together = layer.compile(query_from_json({"metrics": names, **asked}))
    [statement] = parse(together.statement.sql, dialect="duckdb")
    assert statement is not None
    scans = [table for table in statement.find_all(exp.Table) if table.name == "events"]
    assert len(scans) == (2 if "compare" in asked else 1)
    table = layer.run(together)
    keys = len(together.resolved.keys)
    found = {row[:keys]: row[keys:] for row in table.rows}
    width = (len(table.columns) - keys) // len(names)
    for place, name in enumerate(names):
        alone = run(layer, {"metrics": [name], **asked})
        assert len(alone.rows) == len(found) > 0
        for row in alone.rows:
            assert row[keys:] == found[row[:keys]][place * width : (place + 1) * width]


def test_a_release_broke_android_for_a_fortnight(layer_of: Layers) -> None:
    def share(device: str, first: date, last: date) -> float:
        period, kept = {"start": first, "end": last}, [{"dimension": "device", "value": device}]
        table = run(layer_of("shop"), {"metrics": ["retention"], "period": period, "filters": kept})
        return float(table.rows[0][0])  # type: ignore[arg-type]

    before, broken, after = (
        (date(2026, 8, 31), date(2026, 9, 13)), (date(2026, 9, 14), date(2026, 9, 27)), (date(2026, 9, 28), date(2026, 10, 11)),
    )  # fmt: skip
    assert [round(100 * share("android", *dates), 1) for dates in (before, broken, after)] == [17.8, 6.3, 19.5]
    assert abs(share("ios", *broken) - share("ios", *before)) < 0.05


def test_the_dip_shows_in_the_weekly_series(layer_of: Layers) -> None:
    kept, period = [{"dimension": "device", "value": "android"}], {"start": "2026-08-03", "end": "2026-10-18"}
    weeks = by_key(
        run(layer_of("shop"), {"metrics": ["retention"], "grain": "week", "period": period, "filters": kept})
    )
    lowest = sorted(weeks, key=lambda week: weeks[week][0])[:2]
    assert sorted(lowest) == [date(2026, 9, 14), date(2026, 9, 21)]


def test_sale_days_bring_dormant_users_back(layer_of: Layers) -> None:
    period = {"start": "2026-05-04", "end": "2026-07-19"}
    weeks = by_key(run(layer_of("shop"), {"metrics": ["average_dau"], "grain": "week", "period": period}))
    assert max(weeks, key=lambda week: weeks[week][0]) == date(2026, 6, 15)


def test_cdnow_customers_with_one_row_and_with_one_day(layer_of: Layers) -> None:
    """Published: 11,908 customers have one row, 12,054 one day; retention of any later day counts the rest."""
    layer = layer_of("cdnow")
    once = run(layer, {"metrics": ["repurchase_rate"]}).rows[0]
    assert (once[1], int(once[1]) - int(once[2])) == (23570, 11908)  # type: ignore[arg-type]
    later = Retention(
        name="later",
        label=same_text("later"),
        start="new_customers",
        back="customers",
        low=1,
        high=None,
        mode="on_or_after",
    )
    wider: Model = replace(layer.model, metrics=(*layer.model.metrics, later))
    _, cohort, retained, _ = run(SemanticLayer(wider, layer.engine, clock=lambda: AS_OF), {"metrics": ["later"]}).rows[
        0
    ]
    assert int(cohort) - int(retained) == 12054  # type: ignore[arg-type]


# Parameters


@pytest.mark.parametrize(
    ("spec", "fits"),
    [("retention[n=0]", True), ("retention[n=1000]", True), ("retention[n=1001]", False), ("retention[n=-1]", False), ("retention[n=x]", False),
     ("retention_within[n=1]", True), ("retention_within[n=0]", False), ("first_order_within[n=0]", True), ("repurchase_rate[n=1]", True),
     ("repurchase_rate[n=0]", False), ("repurchase_cycle[n=3]", False), ("signup_funnel[n=0]", True), ("signup_funnel[steps=pay]", False), ("retention[day=3]", False)],
)  # fmt: skip
def test_parameters_have_bounds(spec: str, fits: bool) -> None:
    model = load_model("shop")
    if fits:
        assert model.metric(spec).name != spec.partition("[")[0]
        return
    with pytest.raises(QueryError) as caught:
        model.metric(spec)
    assert caught.value.code == "invalid_parameter"


def test_a_number_keeps_the_mode_of_a_retention() -> None:
    one_day = Retention(name="r", label=same_text("r"), start="a", back="b", low=1, high=1, mode="within")
    wider = with_parameters(one_day, {"n": "30"})
    assert isinstance(wider, Retention) and (wider.low, wider.high) == (1, 30)


def test_an_average_of_averages_is_no_metric(tmp_path: Path) -> None:
    text = """
    name: shop
    datasets: {reviews: {source: reviews, time: created_at}}
    metrics:
      rating: {type: average, dataset: reviews, expr: rating}
      daily_rating: {type: average_over, metric: rating, over: day}
    """
    (tmp_path / "model.yml").write_text(text)
    with pytest.raises(ModelError, match="rating"):
        load_model(str(tmp_path / "model.yml"))


def test_weekdays_or_something_else_is_refused_of_an_average(layer_of: Layers) -> None:
    either = {"or": [{"dimension": "weekday", "value": 1}, {"dimension": "channel", "value": "baidu"}]}
    with pytest.raises(QueryError) as caught:
        run(layer_of("shop"), {"metrics": ["average_dau"], "filters": either})
    assert caught.value.code == "invalid_filter"


def test_a_behaviour_of_filtered_rows_keeps_the_filter(layer_of: Layers) -> None:
    """Filters of the metric and of the aggregate it starts from hold beside the query's."""
    layer = layer_of("shop")
    orders, rate = layer.model.metric_by_name["orders"], layer.model.metric_by_name["repurchase_rate"]
    on_ios = query_from_json(
        {"metrics": ["orders"], "filters": [{"dimension": "orders.platform", "value": "ios"}]}
    ).filters
    in_shanghai = query_from_json({"metrics": ["orders"], "filters": [{"dimension": "city", "value": "上海"}]}).filters
    metrics = (*layer.model.metrics, replace(orders, name="ios_orders", filters=on_ios),
               replace(rate, name="narrow_rate", of="ios_orders", filters=in_shanghai))  # type: ignore[call-arg]  # fmt: skip
    narrow = SemanticLayer(replace(layer.model, metrics=metrics), layer.engine, clock=lambda: AS_OF)
    asked = [{"dimension": "orders.platform", "value": "ios"}, {"dimension": "city", "value": "上海"}]
    period = {"start": "2026-04-01", "end": "2026-09-30"}
    expected = run(layer, {"metrics": ["repurchase_rate"], "period": period, "filters": asked}).rows
    assert run(narrow, {"metrics": ["narrow_rate"], "period": period}).rows == expected


def test_averages_are_over_the_buckets_of_their_own(layer_of: Layers) -> None:
    layer = layer_of("shop")
    weekly = AverageOver(name="wau", label=same_text("WAU"), metric="active_users", over=Grain.WEEK)
    wider = SemanticLayer(
        replace(layer.model, metrics=(*layer.model.metrics, weekly)), layer.engine, clock=lambda: AS_OF
    )
    period = {"start": "2026-09-07", "end": "2026-10-04"}
    each = run(layer, {"metrics": ["active_users"], "grain": "week", "period": period}).rows
    mean = sum(int(row[1]) for row in each) / 4  # type: ignore[arg-type]
    assert run(wider, {"metrics": ["wau"], "period": period}).rows == ((mean,),)


@pytest.mark.parametrize(
    ("metric", "period", "said"),
    [("rebuy_rate", None, "covered not at all"), ("churn_rate", ("2025-01-11", "2025-02-10"), "covered in part only"),
     ("lifecycle_users", ("2025-01-01", "2025-01-31"), "covered not at all"), ("churn_rate", ("2025-02-01", "2025-02-28"), "")],
)  # fmt: skip
def test_a_period_before_the_data_is_told(
    layer_of: Layers, metric: str, period: tuple[str, str] | None, said: str
) -> None:
    query = {"metrics": [metric]} | ({"period": {"start": period[0], "end": period[1]}} if period else {})
    caveats = layer_of("shop").compile(query_from_json(query)).resolved.caveats
    told = [caveat for caveat in caveats if "the period before" in caveat.en]
    assert len(told) == bool(said) and all(said in caveat.en and caveat.zh for caveat in told)
