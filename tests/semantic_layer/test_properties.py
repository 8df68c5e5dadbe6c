"""What must hold of every answer: parts add up, order does not matter, a comparison is two queries, JSON loses nothing."""

import json
import math
import random
from calendar import monthrange
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.periods import (
    MONTHS,
    Compare,
    DateRange,
    Grain,
    add_months,
    bucket,
    bucket_start,
    buckets,
    calendar_grain,
    compared_period,
    next_bucket,
)
from wenshu.semantic_layer.query import (
    And,
    Condition,
    Filter,
    Not,
    Op,
    Or,
    Order,
    Query,
    Share,
    UsersWith,
    Where,
    query_from_json,
    query_to_json,
)
from wenshu.semantic_layer.table import ResultTable
from wenshu.semantic_layer.time_parts import TIME_PARTS
from wenshu.tools.query import compile_learnt

SHOP = load_model("shop")
ADDITIVE = [metric.name for metric in SHOP.metrics if isinstance(metric, Aggregate) and metric.additive]
SEGMENTS = sorted({d.name for d in SHOP.dimensions if SHOP.dataset_by_name[d.dataset].is_segment})
DIMENSIONS = sorted({d.name for d in SHOP.dimensions if not d.pii} - set(SEGMENTS)) + list(TIME_PARTS)
SUMMER = DateRange(date(2026, 6, 1), date(2026, 8, 31))
LayerOf = Callable[[str], SemanticLayer]


def run(layer: SemanticLayer, query: Query) -> ResultTable:
    return layer.run(compile_learnt(layer, query), max_rows=100_000)


def number(layer: SemanticLayer, query: Query) -> float:
    [[value]] = run(layer, query).rows
    assert isinstance(value, int | float)
    return value


def total(cells: Iterable[object]) -> float:
    return math.fsum(cell for cell in cells if isinstance(cell, int | float))


def close(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-6)


def answered_groups(layer: SemanticLayer, metric: str, **parts: Any) -> list[tuple[str, ResultTable]]:
    """Return the metric by every dimension that it has and whose groups do not overlap."""
    out = []
    for name in DIMENSIONS:
        try:
            compiled = layer.compile(Query(metrics=(metric,), dimensions=(name,), period=SUMMER, **parts))
        except QueryError as error:
            assert error.code in ("not_joinable", "fan_out", "no_time")
            continue
        if not compiled.resolved.overlapping:
            out.append((name, layer.run(compiled, max_rows=100_000)))
    assert out
    return out


# Parts add up


@pytest.mark.parametrize("metric", ADDITIVE)
def test_groups_add_up_to_the_total_and_shares_to_one(layer_of: LayerOf, metric: str) -> None:
    layer = layer_of("shop")
    whole = number(layer, Query(metrics=(metric,), period=SUMMER))
    for name, table in answered_groups(layer, metric, share=Share()):
        assert close(total(table.values(metric)), whole), name
        assert close(total(table.values(f"{metric}_share")), 1.0 if whole else 0.0), name


@pytest.mark.parametrize("grain", list(Grain)[1:])
@pytest.mark.parametrize("metric", ["gmv", "new_users", "touches", "units_sold", "campaign_cost"])
def test_a_series_has_every_bucket_and_adds_up_to_the_total(layer_of: LayerOf, metric: str, grain: Grain) -> None:
    layer = layer_of("shop")
    series = run(layer, Query(metrics=(metric,), grain=grain, period=SUMMER))
    assert list(series.values(str(grain))) == [whole.start for whole in buckets(SUMMER, grain)]
    assert None not in series.values(metric)
    assert close(total(series.values(metric)), number(layer, Query(metrics=(metric,), period=SUMMER)))


@pytest.mark.parametrize("limit", [1, 3, 9, 50])
@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("gmv", "city"),
        ("orders", "campaign"),
        ("new_users", "gender"),
        ("item_sales", "product"),
        ("events", "app_version"),
    ],
)
def test_the_first_and_the_others_add_up_to_the_total(layer_of: LayerOf, metric: str, name: str, limit: int) -> None:
    layer = layer_of("shop")
    table = run(layer, Query(metrics=(metric,), dimensions=(name,), period=SUMMER, limit=limit, others=True))
    assert close(total(table.values(metric)), number(layer, Query(metrics=(metric,), period=SUMMER)))
    assert len(table.rows) <= limit + 1 and (table.rows[-1][0] == "others" or len(table.rows) <= limit)


def test_shares_within_a_bucket_add_up_to_one(layer_of: LayerOf) -> None:
    query = Query(metrics=("gmv", "orders"), dimensions=("device",), grain=Grain.WEEK, period=SUMMER, share=Share())
    table = run(layer_of("shop"), query)
    for week in set(table.values("week")):
        rows = [row for row in table.rows if row[0] == week]
        for column in ("gmv_share", "orders_share"):
            assert close(total(row[table.index(column)] for row in rows), 1.0)


VALUES: dict[str, list[Any]] = {
    "channel": ["douyin", "organic", None], "gender": ["F", "M", None, "X"], "age": [18, 30, 55], "device": ["ios", "web"],
    "age_band": ["18–24", None], "registered_on": ["2026-06-18", "2025-01-01"], "hour_of_day": [0, 12], "weekday": [1, 7], "day_type": ["weekend"],
}  # fmt: skip


@st.composite
def shop_filters(draw: st.DrawFn) -> Where:
    name = draw(st.sampled_from(sorted(VALUES)))
    ops = [Op.EQ, Op.NE, Op.IN, Op.NOT_IN, Op.EMPTY, Op.NOT_EMPTY]
    ops += (
        [Op.LT, Op.LE, Op.GT, Op.GE, Op.BETWEEN] if name in ("age", "registered_on", "hour_of_day", "weekday") else []
    )
    ops += [Op.CONTAINS, Op.NOT_CONTAINS] if name in ("device", "age_band") else []
    op = draw(st.sampled_from(ops))
    if op in (Op.EMPTY, Op.NOT_EMPTY):
        return Where(dimension=name, op=op)
    if op in (Op.CONTAINS, Op.NOT_CONTAINS):
        return Where(dimension=name, op=op, values=(draw(st.sampled_from(["o", "18", "%"])),))
    counts = {Op.IN: (1, 3), Op.NOT_IN: (1, 3), Op.BETWEEN: (2, 2)}.get(op, (1, 1))
    return Where(
        dimension=name,
        op=op,
        values=tuple(draw(st.lists(st.sampled_from(VALUES[name]), min_size=counts[0], max_size=counts[1]))),
    )


trees = st.recursive(
    shop_filters(),
    lambda parts: st.builds(And, parts=st.lists(parts, min_size=1, max_size=3).map(tuple))
    | st.builds(Or, parts=st.lists(parts, min_size=1, max_size=3).map(tuple))
    | st.builds(Not, part=parts),
    max_leaves=4,
)  # fmt: skip


@given(tree=trees, metric=st.sampled_from(["gmv", "orders", "new_users", "units_sold", "events"]))
def test_a_filter_and_its_complement_add_up(layer_of: LayerOf, tree: Filter, metric: str) -> None:
    layer = layer_of("shop")
    kept, rest = (number(layer, Query(metrics=(metric,), period=SUMMER, filters=f)) for f in (tree, Not(part=tree)))
    assert close(kept + rest, number(layer, Query(metrics=(metric,), period=SUMMER)))


OPPOSITES = {Op.EQ: Op.NE, Op.IN: Op.NOT_IN, Op.EMPTY: Op.NOT_EMPTY, Op.CONTAINS: Op.NOT_CONTAINS}


@given(where=shop_filters().filter(lambda where: where.op in OPPOSITES))
def test_an_operator_and_its_opposite_add_up(layer_of: LayerOf, where: Where) -> None:
    layer = layer_of("shop")
    opposite = Where(dimension=where.dimension, op=OPPOSITES[where.op], values=where.values)
    kept, rest = (number(layer, Query(metrics=("orders",), period=SUMMER, filters=f)) for f in (where, opposite))
    assert kept + rest == number(layer, Query(metrics=("orders",), period=SUMMER))


# A comparison is two queries


@pytest.mark.parametrize("compare", list(Compare))
@pytest.mark.parametrize(
    "metrics",
    [
        ("gmv",),
        ("aov", "buyers"),
        ("active_users", "payment_conversion", "roi"),
        ("median_order_amount", "average_rating"),
    ],
)
@pytest.mark.parametrize("dimensions", [(), ("weekday",), ("day_type",)])
@settings(max_examples=6)
@given(start=st.dates(date(2026, 1, 5), date(2026, 10, 1)), days=st.integers(1, 40))
def test_the_compared_value_is_the_query_over_the_compared_period(
    layer_of: LayerOf, compare: Compare, metrics: tuple[str, ...], dimensions: tuple[str, ...], start: date, days: int
) -> None:
    layer, period = layer_of("shop"), DateRange(start, min(start + timedelta(days=days), date(2026, 10, 31)))
    compiled = layer.compile(Query(metrics=metrics, dimensions=dimensions, period=period, compare=compare))
    table = layer.run(compiled)
    now = run(layer, Query(metrics=metrics, dimensions=dimensions, period=period))
    before = run(layer, Query(metrics=metrics, dimensions=dimensions, period=compiled.resolved.compared))
    assert compiled.resolved.compared == compared_period(period, compare)
    for metric in metrics:
        for column, other in ((metric, now), (f"{metric}_previous", before)):
            found = dict(zip(keys(table), table.values(column), strict=True))
            for key, value in zip(keys(other), other.values(metric), strict=True):
                assert found[key] == value or close(found[key], value), (key, column)
        change = table.values(f"{metric}_change")
        rate = table.column(f"{metric}_change").unit == "pp"
        for a, b, c in zip(table.values(metric), table.values(f"{metric}_previous"), change, strict=True):
            empty = a is None or b is None or (not rate and b == 0)
            assert c is None if empty else close(c, a - b if rate else a / b - 1)


def keys(table: ResultTable) -> list[tuple[object, ...]]:
    positions = [i for i, column in enumerate(table.columns) if column.role in ("dimension", "time")]
    return [tuple(row[i] for i in positions) for row in table.rows]


@pytest.mark.parametrize("name", SEGMENTS)
def test_shares_of_a_segment_are_among_the_users_who_belong_to_it(layer_of: LayerOf, name: str) -> None:
    table = run(layer_of("shop"), Query(metrics=("gmv",), dimensions=(name,), period=SUMMER, share=Share()))
    assert close(total(table.values("gmv_share")), 1.0)


@pytest.mark.parametrize("grain", [Grain.DAY, Grain.WEEK, Grain.MONTH, Grain.QUARTER])
def test_a_series_against_the_bucket_before_is_the_series_itself_one_bucket_later(
    layer_of: LayerOf, grain: Grain
) -> None:
    layer, period = (
        layer_of("shop"),
        DateRange(bucket_start(date(2025, 7, 1), grain), bucket(date(2026, 9, 20), grain).end),
    )
    longer = DateRange(bucket(bucket_start(period.start, grain) - timedelta(days=1), grain).start, period.end)
    table = run(layer, Query(metrics=("orders",), grain=grain, period=period, compare=Compare.PREVIOUS))
    series = dict(run(layer, Query(metrics=("orders",), grain=grain, period=longer)).rows)
    for start, now, before, _ in table.rows[1:]:
        assert isinstance(start, date)
        assert (now, before) == (series[start], series[bucket_start(start - timedelta(days=1), grain)])


# Neither the order of rows nor that of the asking matters


def random_rows(seed: int) -> dict[str, list[tuple[object, ...]]]:
    chance = random.Random(seed)

    def time() -> datetime:
        return datetime(2026, 1, 1) + timedelta(minutes=chance.randrange(90 * 24 * 60))

    def some(*values: object) -> object:
        return chance.choice(values)

    return {
        "users": [(i, some("a", "b", "c"), some("F", "M", None), some(1990, 2004, None), time(), None) for i in range(1, 30)],
        "events": [(some(None, *range(1, 33)), some("open", "pay"), some("app", "web", None), time()) for _ in range(80)],
        "orders": [(i, some(*range(1, 33)), time(), some(time(), None), some(10, 20.5), some(1.5, None), some("app", "web"), some(True, False, None)) for i in range(60)],
        "order_items": [(order, product, 1, 5) for order in range(60) for product in range(3) if chance.random() < 0.5],
        "products": [(0, "x"), (1, "y"), (2, None)],
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_source_rows_does_not_matter(small_shop: Callable[..., SemanticLayer], seed: int) -> None:
    rows, chance = random_rows(seed), random.Random(seed)
    shuffled = {table: chance.sample(found, len(found)) for table, found in rows.items()}
    first, second = small_shop(rows), small_shop(shuffled)
    for query in (
        Query(metrics=("gmv", "active_users", "median_discount"), dimensions=("channel", "gender")),
        Query(metrics=("orders", "buyers"), dimensions=("category",), limit=2),
        Query(metrics=("orders",), dimensions=("age_band",), grain=Grain.WEEK, limit=1, compare=Compare.PREVIOUS),
        Query(metrics=("item_sales",), dimensions=("platform",), share=Share(), others=True, limit=1),
        Query(dimensions=("order_id", "order_amount", "channel"), order=(Order(by="order_amount"),), limit=20),
    ):
        assert first.compile(query).sql == second.compile(query).sql
        assert run(first, query).rows == run(second, query).rows
    first.engine.close()
    second.engine.close()


def test_metrics_asked_for_together_are_those_asked_for_apart(layer_of: LayerOf) -> None:
    layer = layer_of("shop")
    metrics = (
        "active_users",
        "gmv",
        "roi",
        "new_users",
        "aov",
        "open_rate",
        "average_rating",
        "units_sold",
        "products",
    )
    together = run(layer, Query(metrics=metrics, period=SUMMER))
    for metric in metrics:
        assert run(layer, Query(metrics=(metric,), period=SUMMER)).rows == (together.values(metric),)


def test_distinct_counts_of_groups_are_no_smaller_than_the_total_and_each_no_larger(layer_of: LayerOf) -> None:
    layer = layer_of("shop")
    distinct = [
        m.name for m in SHOP.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT_DISTINCT
    ]
    for metric in distinct:
        whole = number(layer, Query(metrics=(metric,), period=SUMMER))
        for name, table in answered_groups(layer, metric):
            assert total(table.values(metric)) >= whole and all(cell <= whole for cell in table.values(metric)), name


# JSON


names = st.sampled_from(["gmv", "orders", "channel", "users.city", "hour_of_day"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
ranges = st.builds(
    lambda day, days: DateRange(day, day + timedelta(days=days)),
    st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    st.integers(0, 400),
)
numbers = st.integers(-1000, 1000) | st.floats(-1e6, 1e6)


@st.composite
def wheres(draw: st.DrawFn) -> Where:
    op = draw(st.sampled_from(list(Op)))
    least, most = {Op.EMPTY: (0, 0), Op.NOT_EMPTY: (0, 0), Op.BETWEEN: (2, 2), Op.IN: (1, 3), Op.NOT_IN: (1, 3)}.get(
        op, (1, 1)
    )
    return Where(dimension=draw(names), op=op, values=tuple(draw(st.lists(scalars, min_size=least, max_size=most))))


users_with = st.builds(
    UsersWith, metric=names, op=st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE]), value=numbers | st.just("average"), period=st.none() | ranges
)  # fmt: skip
any_filters = st.recursive(
    wheres() | users_with,
    lambda parts: st.builds(And, parts=st.lists(parts, min_size=1, max_size=3).map(tuple))
    | st.builds(Or, parts=st.lists(parts, min_size=1, max_size=3).map(tuple))
    | st.builds(Not, part=parts),
    max_leaves=5,
)  # fmt: skip
conditions = st.builds(
    Condition, metric=names, op=st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE]), value=numbers | st.sampled_from(["average", "total"])
) | st.builds(Condition, metric=names, op=st.just(Op.BETWEEN), value=numbers, high=numbers)  # fmt: skip
queries = st.builds(
    Query,
    metrics=st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
    dimensions=st.lists(names, max_size=3, unique=True).map(tuple),
    grain=st.none() | st.sampled_from(Grain),
    period=st.none() | ranges,
    to_date=st.none() | st.sampled_from(Grain),
    filters=st.none() | any_filters,
    conditions=st.lists(conditions, max_size=2).map(tuple),
    compare=st.none() | st.sampled_from(Compare) | ranges,
    share=st.none() | st.builds(Share, where=st.none() | any_filters),
    order=st.lists(st.builds(Order, by=names, descending=st.booleans()), max_size=2).map(tuple),
    limit=st.none() | st.integers(1, 100),
    others=st.booleans(),
)


@given(query=queries)
def test_json_gives_the_same_query_back(query: Query) -> None:
    assert query_from_json(json.loads(json.dumps(query_to_json(query)))) == query


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["gmv", "month", "total", "2026-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["start", "end", "where", "and", "not", "dimension", "op", "values", "by", "metric", "value", "users"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(
    data=st.dictionaries(st.sampled_from(["metrics", *(field for field in Query.__slots__)]), json_values, max_size=5)
    | json_values
)
def test_whatever_comes_in_as_json_is_a_query_or_a_refusal(layer_of: LayerOf, data: Any) -> None:
    try:
        layer_of("shop").compile(query_from_json(data))
    except QueryError as error:
        assert error.code and error.message.zh and error.hint.zh


# Calendar arithmetic


any_days = st.dates(date(1990, 1, 1), date(2090, 12, 31))
grains = st.sampled_from(list(Grain)[1:])


@given(day=any_days, grain=grains)
def test_buckets_part_the_calendar(day: date, grain: Grain) -> None:
    whole = bucket(day, grain)
    assert whole.start <= day <= whole.end
    assert bucket_start(whole.end, grain) == whole.start == bucket_start(whole.start, grain)
    assert (
        next_bucket(whole.start, grain)
        == whole.end + timedelta(days=1)
        == bucket_start(whole.end + timedelta(days=1), grain)
    )


@given(period=ranges, grain=grains)
def test_buckets_of_a_period_cover_it_without_a_gap(period: DateRange, grain: Grain) -> None:
    found = list(buckets(period, grain))
    assert found[0].start <= period.start and found[-1].end >= period.end
    assert found[0].end >= period.start and found[-1].start <= period.end
    for first, second in zip(found, found[1:], strict=False):
        assert first.end + timedelta(days=1) == second.start


@given(day=any_days, months=st.integers(-30, 30))
def test_months_keep_the_day_or_end_on_the_last(day: date, months: int) -> None:
    moved = add_months(day, months)
    assert (moved.year * 12 + moved.month) - (day.year * 12 + day.month) == months
    assert moved.day == min(day.day, monthrange(moved.year, moved.month)[1])


@given(period=ranges)
def test_the_period_before_ends_the_day_before_and_is_as_long(period: DateRange) -> None:
    before = compared_period(period, Compare.PREVIOUS)
    assert before.end == period.start - timedelta(days=1)
    whole = calendar_grain(period)
    if whole in MONTHS:
        assert calendar_grain(before) in MONTHS
        assert len(list(buckets(before, Grain.MONTH))) == len(list(buckets(period, Grain.MONTH)))
    else:
        assert before.days == period.days


@given(period=ranges)
def test_the_period_a_year_before_has_the_same_dates(period: DateRange) -> None:
    before = compared_period(period, Compare.YEAR)
    for then, now in ((before.start, period.start), (before.end, period.end)):
        assert then.year == now.year - 1 and then.month == now.month
        assert then.day == now.day or {then.month, now.month} == {2} and 29 in (then.day, now.day)
    if calendar_grain(period) in MONTHS:
        assert calendar_grain(before) in MONTHS


@given(day=any_days, grain=st.sampled_from([Grain.WEEK, Grain.MONTH, Grain.QUARTER, Grain.YEAR]))
def test_a_period_to_date_is_held_against_the_same_days_of_the_period_before(day: date, grain: Grain) -> None:
    period = DateRange(bucket_start(day, grain), day)
    before = compared_period(period, Compare.PREVIOUS, to_date=grain)
    assert before.start == bucket_start(period.start - timedelta(days=1), grain)
    assert before.end < period.start
    if day == bucket(day, grain).end:
        assert before == bucket(before.start, grain)
    elif grain is Grain.WEEK:
        assert before.days == period.days
    else:
        last = monthrange(before.end.year, before.end.month)[1]
        assert before.end.day == min(day.day, last)
        assert (day.year * 12 + day.month) - (before.end.year * 12 + before.end.month) == MONTHS[grain]


@given(first=ranges, second=ranges)
def test_what_two_periods_share_is_what_each_day_says(first: DateRange, second: DateRange) -> None:
    shared = first.intersect(second)
    in_both = [day for day in days_of(first) if second.start <= day <= second.end]
    assert (list(days_of(shared)) if shared else []) == in_both


def days_of(period: DateRange) -> list[date]:
    return [period.start + timedelta(days=i) for i in range(period.days)]
