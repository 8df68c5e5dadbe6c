"""What is unusual: a day without orders is found in every number it touches, and a quiet month is called quiet."""

from datetime import date

import pytest

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Query
from wenshu.tools.insight.insight import Insight, find
from wenshu.tools.insight.unusual import Unusual

OCTOBER = DateRange(date(2026, 10, 1), date(2026, 10, 31))


def unusual(layer: SemanticLayer, *metrics: str, period: DateRange = OCTOBER, by: tuple[str, ...] = ()) -> Insight:
    return find(layer, Unusual(query=Query(metrics=metrics or layer.model.headline, dimensions=by, period=period)))


def test_a_quiet_month_is_called_quiet(shop: SemanticLayer):
    found = unusual(shop)
    assert found.headline.en.startswith("**Nothing unusual**") and "没有异常" in found.headline.zh
    assert found.confidence is not None and "to be noticed" in found.confidence.why.en


def test_a_day_without_orders_is_found_wherever_it_shows(broken_shop: SemanticLayer):
    found = unusual(broken_shop)
    said = [text.en for text in found.findings if text.en.startswith("**2026-10-14**")]
    assert len(said) == 4  # GMV, orders, buyers and the conversion, but not who visited or registered
    assert any("no orders at all" in text for text in said)
    assert found.headline.zh.startswith("2026-10-01 至 2026-10-31 有 **1 个异常日**")


def test_the_picture_is_the_series_with_its_range(broken_shop: SemanticLayer):
    found = unusual(broken_shop, "orders")
    assert found.plot is not None and found.plot.kind == "band"
    day, value, expected, low, high = next(row for row in found.table.rows if row[0] == date(2026, 10, 14))
    assert value == 0 and 0 < low < expected < high
    outside = [row for row in found.table.rows if not row[3] <= row[1] <= row[4]]
    assert [row[0] for row in outside] == [date(2026, 10, 14)]


def test_groups_are_judged_one_by_one(broken_shop: SemanticLayer):
    found = unusual(broken_shop, "orders", by=("device",))
    said = " ".join(text.zh for text in found.findings)
    assert "2026-10-14" in said and "订单数（安卓）" in said


def test_sales_are_told_but_not_called_unusual(shop: SemanticLayer):
    found = unusual(shop, "gmv", period=DateRange(date(2026, 6, 1), date(2026, 6, 30)))
    assert "618" in " ".join(text.zh for text in found.findings)
    assert not any(text.en.startswith("**2026-06-18**") for text in found.findings)


@pytest.mark.parametrize(("metric", "start", "code"), [
    ("gmv", date(2025, 1, 1), "too_few_days"), ("paths", date(2026, 10, 1), "no_daily_series"), ("lifecycle_users", date(2026, 10, 1), "no_daily_series"),
])  # fmt: skip
def test_what_cannot_be_judged_is_refused(shop: SemanticLayer, metric: str, start: date, code: str):
    with pytest.raises(QueryError) as error:
        unusual(shop, metric, period=DateRange(start, date.fromordinal(start.toordinal() + 20)))
    assert error.value.code in (code, "too_thin")
