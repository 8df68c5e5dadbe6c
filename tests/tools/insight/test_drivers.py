"""Why a number changed: what is planted in the shop comes first, with its size; parts add up; nothing is found in noise."""

from dataclasses import replace
from datetime import date

import pytest

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.metric_sql import is_rate as is_percentage
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Op, Query, Where
from wenshu.tools.insight.calendar_causes import calendar_growth, festivals_of
from wenshu.tools.insight.drivers import Drivers, drivers_of
from wenshu.tools.insight.history import usual_change
from wenshu.tools.insight.insight import Inquiry, Insight, find, request_to_json
from wenshu.tools.insight.split import Side, Sides, fetch

SEPTEMBER = DateRange(date(2026, 9, 1), date(2026, 9, 30))
OCTOBER = DateRange(date(2026, 10, 1), date(2026, 10, 31))
RELEASE = DateRange(date(2026, 9, 14), date(2026, 9, 27))
METRICS = (  # one of each kind that can be split
    "gmv", "buyers", "aov", "retention[n=7]", "repurchase_rate", "signup_funnel", "average_rating", "average_daily_gmv", "churn_rate",
    "repurchase_within[n=7]", "returning_users",
)  # fmt: skip


def why(layer: SemanticLayer, metric: str, period: DateRange = OCTOBER, **asked) -> Insight:
    return find(layer, drivers_of(Query(metrics=(metric,), period=period), **asked))


def column(insight: Insight, name: str) -> list[float]:
    return [float(cell) for cell in insight.table.values(name)]


@pytest.mark.parametrize("metric", METRICS)
def test_the_parts_shown_add_up_to_the_change(shop: SemanticLayer, metric: str):
    found = why(shop, metric)
    assert found.plot is not None
    (_, before), (_, now) = found.plot.totals
    assert sum(column(found, "contribution")) == pytest.approx(now - before, abs=1e-6 * max(1.0, abs(now)))
    if "mix_effect" in {c.name for c in found.table.columns}:
        both = zip(column(found, "mix_effect"), column(found, "rate_effect"), column(found, "contribution"), strict=True)
        assert all(mix + rate == pytest.approx(added, abs=1e-9) for mix, rate, added in both)


def test_contributions_are_those_of_sql_written_by_hand(shop: SemanticLayer):
    found = find(shop, Drivers(query=Query(metrics=("gmv",), period=OCTOBER, compare=SEPTEMBER), by=("channel",)))
    _, table = shop.sql("""
        SELECT u.channel,
               sum(o.amount) FILTER (o.ordered_at >= DATE '2026-10-01' AND o.ordered_at < DATE '2026-11-01')
               - sum(o.amount) FILTER (o.ordered_at >= DATE '2026-09-01' AND o.ordered_at < DATE '2026-10-01')
        FROM orders o JOIN users u ON u.user_id = o.user_id WHERE o.paid_at IS NOT NULL GROUP BY 1
    """)
    by_hand = {channel: pytest.approx(float(added)) for channel, added in table.rows}
    assert dict(zip(found.table.values("channel"), column(found, "contribution"), strict=True)) == by_hand


def test_the_shortage_is_the_first_finding_with_its_size(shop: SemanticLayer):
    found = why(shop, "gmv")
    first = found.findings[0]
    assert all(word in first.zh for word in ("手机数码", "上海", "深圳", "商品销售额"))
    assert all(word in first.en for word in ("Phones & digital", "Shanghai", "Shenzhen"))
    chosen = [row for row in found.table.rows if row[0] == "手机数码" and row[1] in ("上海", "深圳")]
    now, before = sum(row[2] for row in chosen), sum(row[3] for row in chosen)
    assert -0.99 < now / before - 1 < -0.9  # 95 % of the orders are lost
    assert f"{now / before - 1:.1%}" in first.en
    assert found.confidence is not None and found.confidence.level in ("medium", "high")


def test_the_broken_release_is_the_first_finding(shop: SemanticLayer):
    found = why(shop, "retention[n=7]", RELEASE)
    assert found.findings[0].en.startswith("**Android** made the difference: from 17.8% to 6.3%")


def test_the_unhappy_brand_is_the_first_finding(shop: SemanticLayer):
    found = why(shop, "negative_review_rate", DateRange(date(2026, 8, 1), date(2026, 10, 31)))
    assert found.findings[0].zh.startswith("**羽堇**是主要来源")


def test_a_wrong_direction_is_said_first(shop: SemanticLayer):
    assert why(shop, "gmv", direction="up").headline.en.startswith("It did not rise. GMV **fell**")
    assert why(shop, "gmv", direction="down").headline.zh.startswith("成交额**下降**")


def test_a_usual_change_without_standing_parts_says_so(shop: SemanticLayer):
    found = why(shop, "orders")
    assert found.findings[0].en.startswith("**No part stands out**")
    assert any("within the usual" in text.en for text in found.findings)
    assert found.confidence is not None and "no cause" in found.confidence.why.en


def test_the_calendar_is_told(shop: SemanticLayer):
    said = " ".join(text.zh for text in why(shop, "gmv").findings)
    assert "31 天对 30 天" in said and "国庆" in said and "中秋" in said


def test_a_day_without_data_comes_first(broken_shop: SemanticLayer):
    assert "2026-10-14" in why(broken_shop, "gmv").findings[0].en


def test_named_dimensions_are_the_ones_told(shop: SemanticLayer):
    found = find(shop, drivers_of(Query(metrics=("gmv",), dimensions=("category",), period=OCTOBER)))
    assert [c.name for c in found.table.with_role("dimension")] == ["category"]
    assert "手机数码" in found.findings[0].zh and "上海" not in found.findings[0].zh
    assert any("item sales" in text.en for text in found.caveats)


def test_two_groups_are_compared(shop: SemanticLayer):
    asked = drivers_of(Query(metrics=("aov",), period=OCTOBER), between=("city", "上海", "北京"))
    found = find(shop, asked)
    (_, beijing), (_, shanghai) = found.plot.totals  # type: ignore[union-attr]
    assert sum(column(found, "contribution")) == pytest.approx(shanghai - beijing)
    assert "Shanghai" in found.headline.en and "Beijing" in found.headline.en
    assert request_to_json(asked)["between"] == ["city", "上海", "北京"]


def test_a_median_is_refused_with_what_to_ask(shop: SemanticLayer):
    with pytest.raises(QueryError) as error:
        why(shop, "median_order_amount")
    assert error.value.code == "not_splittable" and error.value.hint.en


def test_every_statement_is_kept(shop: SemanticLayer):
    found = why(shop, "gmv")
    assert len(found.evidence) > 5 and all(step.sql for step in found.evidence)
    assert found.query is not None and found.query.metrics == ("gmv",)


@pytest.mark.parametrize("metric", METRICS)
def test_buckets_of_one_query_are_the_sides_asked_for_apart(shop: SemanticLayer, metric: str):
    inquiry = Inquiry(shop)
    together = Sides(query=Query(metrics=(metric,)), now=Side(period=OCTOBER), before=Side(period=SEPTEMBER))
    everyone = Where(dimension="city", op=Op.NOT_EMPTY)
    apart = replace(together, now=Side(period=OCTOBER, where=everyone))
    assert together.grain is not None and apart.grain is None
    one, two = (next(fetch(inquiry, sides, ("device",))) for sides in (together, apart))
    for part in one.parts:
        other = next(other for other in two.parts if other.key == part.key)
        for mine, theirs in ((part.now, other.now), (part.before, other.before)):
            assert mine.top == pytest.approx(theirs.top) and mine.base == theirs.base


@pytest.mark.parametrize("metric", ["gmv", "payment_conversion"])
def test_the_totals_are_the_metrics_own(shop: SemanticLayer, metric: str):
    found = find(shop, drivers_of(Query(metrics=(metric,), dimensions=("city",), period=OCTOBER)))
    row = Inquiry(shop).ask(Query(metrics=(metric,), period=OCTOBER)).table.rows[0]
    assert found.plot is not None and found.plot.totals[1][1] == pytest.approx(row[0])
    assert is_percentage(shop.model.metric(metric)) == (metric != "gmv")


def test_weekdays_count_for_the_calendar():
    first = date(2026, 6, 1)
    weekend = {day: 100.0 if day.weekday() > 4 else 10.0 for day in (date.fromordinal(first.toordinal() + n) for n in range(153))}
    expected = {period: sum(weekend[date.fromordinal(n)] for n in range(period.start.toordinal(), period.end.toordinal() + 1)) for period in (OCTOBER, SEPTEMBER)}
    assert calendar_growth(weekend, OCTOBER, SEPTEMBER) == pytest.approx(expected[OCTOBER] / expected[SEPTEMBER] - 1)


def test_festivals_are_known_by_their_days():
    assert [festival.names[0] for festival in festivals_of(OCTOBER)] == ["国庆"]
    assert [festival.names[0] for festival in festivals_of(DateRange(date(2026, 2, 10), date(2026, 2, 20)))] == ["春节"]


def test_the_usual_change_is_robust():
    usual = usual_change([100, 104, 99, 103, 500, 101, 98, 104, 100], relative=True)
    assert usual is not None and not usual.is_beyond(0.05) and usual.is_beyond(0.6)
    assert usual_change([1, 2, 3], relative=True) is None
