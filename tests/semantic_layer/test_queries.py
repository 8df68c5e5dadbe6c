"""Semantic queries give the numbers that hand-written SQL gives, in one SELECT, with the columns they promise."""

import json
import math
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from sqlglot import exp, parse

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import CompiledQuery, SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Cumulative, Derived, Ratio
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Op, Query, filters_of, query_from_json

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "query_cases.yml").read_text("utf-8"))
ANSWERED = [case for case in CASES if "error" not in case]
REFUSED = [case for case in CASES if "error" in case]
KEYS = {"name", "over", "query", "check_sql", "error", "ordered", "columns", "caveats", "incomplete"}


def case_name(case: dict[str, Any]) -> str:
    return str(case["name"])


def query_of(case: dict[str, Any]) -> Query:
    """Return a case's query, read from JSON as any other."""
    return query_from_json(json.loads(json.dumps(case["query"], default=str)))


def plain(cell: object) -> object:
    return float(cell) if isinstance(cell, Decimal) else cell


def same(ours: object, theirs: object) -> bool:
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)
    return ours == theirs and isinstance(ours, datetime) == isinstance(theirs, datetime)


def assert_same_rows(ours: tuple[tuple[object, ...], ...], theirs: list[tuple[object, ...]], *, ordered: bool) -> None:
    expected = [tuple(map(plain, row)) for row in theirs]
    found = list(ours) if ordered else sorted(ours, key=repr)
    expected = expected if ordered else sorted(expected, key=repr)
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert len(row) == len(wanted) and all(map(same, row, wanted)), f"{row} is not {wanted}"


@pytest.mark.parametrize("case", ANSWERED, ids=case_name)
def test_rows_are_those_of_the_check(
    case: dict[str, Any],
    layer_of: Callable[[str], SemanticLayer],
    connection_to: Callable[[str], duckdb.DuckDBPyConnection],
) -> None:
    layer, query = layer_of(case.get("over", "shop")), query_of(case)
    compiled = layer.compile(query)
    table = layer.run(compiled)
    expected = connection_to(case.get("over", "shop")).execute(case["check_sql"]).fetchall()

    assert_same_rows(table.rows, expected, ordered=case.get("ordered", True))
    assert not table.truncated and table.rows
    assert_one_select(compiled)
    assert_columns(compiled, query)
    assert layer.compile(query).sql == compiled.sql
    if "columns" in case:
        assert [column.name for column in table.columns] == case["columns"]
    for part in case.get("caveats", []):
        assert any(part in caveat.en for caveat in compiled.resolved.caveats), compiled.resolved.caveats
    assert all(caveat.zh for caveat in compiled.resolved.caveats)
    if query.period is not None and "caveats" not in case:
        assert not compiled.resolved.caveats
    if "incomplete" in case:
        assert list(table.incomplete) == case["incomplete"]


def assert_one_select(compiled: CompiledQuery) -> None:
    [statement] = parse(compiled.statement.sql, dialect="duckdb")
    assert isinstance(statement, exp.Select)
    assert not list(statement.find_all(exp.CurrentDate, exp.CurrentTimestamp))


def assert_columns(compiled: CompiledQuery, query: Query) -> None:
    """Check that the columns are those of the statement, in the order time, dimensions, metrics with what stands beside them."""
    columns = compiled.columns
    assert [column.name for column in columns] == [select.output_name for select in compiled.statement.tree.selects]
    beside = (["comparison", "change"] if query.compare else []) + (["share"] if query.share else [])
    dimensions = len(compiled.resolved.dimension_names)
    expected = ["time"] * (query.grain is not None) + ["dimension"] * dimensions
    for metric in query.metrics:
        expected += ["metric", *beside]
        assert next(column for column in columns if column.name == metric).role == "metric"
    assert [column.role for column in columns] == expected
    assert all(column.label.en and column.label.zh for column in columns)
    assert {column.metric for column in columns} - {None} == set(query.metrics)


@pytest.mark.parametrize("case", REFUSED, ids=case_name)
def test_refusals_have_their_code(case: dict[str, Any], layer_of: Callable[[str], SemanticLayer]) -> None:
    with pytest.raises(QueryError) as caught:
        layer_of(case.get("over", "shop")).compile(query_of(case))
    assert caught.value.code == case["error"]
    assert all((caught.value.message.en, caught.value.message.zh, caught.value.hint.en, caught.value.hint.zh))


# The cases themselves


def test_cases_have_names_of_their_own_and_known_keys() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) >= 80
    for case in CASES:
        assert not set(case) - KEYS, case["name"]
        assert ("check_sql" in case) != ("error" in case), case["name"]


@pytest.mark.parametrize("model", ["shop", "cdnow", "journey"])
def test_every_metric_has_a_case(model: str) -> None:
    asked = {
        name for case in ANSWERED if case.get("over", "shop") == model for name in case["query"].get("metrics", ())
    }
    plain_metrics = {
        m.name for m in load_model(model).metrics if isinstance(m, Aggregate | Ratio | Derived | Cumulative)
    }
    assert not plain_metrics - asked


def test_every_part_of_a_query_has_a_case() -> None:
    queries = [query_of(case) for case in ANSWERED]
    assert {query.grain for query in queries} == {None, *Grain}
    assert {where.op for query in queries for where in filters_of(query.filters)} == set(Op)
    metrics = [
        m for model in ("shop", "cdnow", "journey") for m in load_model(model).metrics if isinstance(m, Aggregate)
    ]
    assert {metric.aggregation for metric in metrics} == set(Aggregation)


def test_a_bucket_is_a_date_and_an_hour_a_time(layer_of: Callable[[str], SemanticLayer]) -> None:
    layer = layer_of("shop")
    for grain in Grain:
        period = {"start": "2026-10-30", "end": "2026-10-31"}
        table = layer.run(
            layer.compile(query_from_json({"metrics": ["orders"], "grain": str(grain), "period": period}))
        )
        kind = datetime if grain is Grain.HOUR else date
        assert all(type(cell) is kind for cell in table.values(str(grain)))
        assert table.columns[0].grain is grain
