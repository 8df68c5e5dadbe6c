"""Experiments, key actions and campaigns over the demo shop: what is planted is found with its size, as written by hand in SQL."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.proposal import propose
from wenshu.semantic_layer.query import Op, Where
from wenshu.semantic_layer.table import Column
from wenshu.semantic_layer.text import same
from wenshu.tools.insight.campaign import CampaignReview
from wenshu.tools.insight.experiment import Experiment
from wenshu.tools.insight.insight import Inquiry, Insight, find
from wenshu.tools.insight.key_actions import KeyActions
from wenshu.tools.insight.significance import Moments, compare
from wenshu.tools.insight.user_statement import user_rows

TODAY = date(2026, 11, 1)
VARIANT = "experiment_assignments.variant"
NEVER_SAID = ("no effect", "no impact", "没有效果", "无效果", "没有影响")


def rows_of(path: Path, sql: str) -> list[tuple]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def named(name: str) -> Where:
    return Where(dimension="experiment", op=Op.EQ, values=(name,))


def said(insight: Insight) -> str:
    return "\n".join(text for each in (insight.headline, *insight.findings) for text in (each.en, each.zh))


def test_a_part_of_a_statement_hides_no_table(shop: SemanticLayer):
    rows = user_rows(Inquiry(shop))
    orders = shop.model.metric_by_name["orders"]
    assert isinstance(orders, Aggregate)
    statement = rows.statement("SELECT count(*) AS n FROM orders WHERE :least <= user_id", {"orders": rows.of(orders, {})}, least=0)
    column = Column(name="n", role="metric", type="number", label=same("n"))
    found = Inquiry(shop).select(statement, (column,))
    assert "orders_here" in found.sql and found.table.rows[0][0] > 20_000


# Experiments


def test_the_planted_lift_is_the_first_finding(shop: SemanticLayer, shop_file: Path):
    found = find(shop, Experiment(groups=VARIANT, filters=named("新手引导改版")))
    sizes = rows_of(
        shop_file,
        """WITH numbered AS (SELECT user_id, ordered_at, row_number() OVER w AS number, lead(ordered_at) OVER w AS next
            FROM orders WHERE paid_at IS NOT NULL WINDOW w AS (PARTITION BY user_id ORDER BY ordered_at, order_id))
        SELECT variant, count(*), count(*) FILTER (next::DATE <= ordered_at::DATE + 7)
        FROM experiment_assignments JOIN experiments USING (experiment_id) JOIN numbered USING (user_id)
        WHERE name = '新手引导改版' AND number = 1 AND ordered_at >= assigned_at AND ordered_at::DATE + 7 <= DATE '2026-10-31'
        GROUP BY variant ORDER BY variant""",
    )
    (_, n0, k0), (_, n1, k1) = sizes
    by_hand = compare(Moments(users=n0, x=k0 / n0), Moments(users=n1, x=k1 / n1), "rate")
    treated = dict(zip((c.name for c in found.table.columns), found.table.rows[1], strict=True))
    assert (treated["difference"], treated["difference_low"], treated["difference_high"]) == pytest.approx((by_hand.value, by_hand.low, by_hand.high))
    assert found.headline.en.startswith("Sample ratio as meant: control 1,950, treatment 1,941") and "+15.1 pp" in found.headline.en
    assert found.confidence is not None and found.confidence.level == "high"


def test_a_broken_split_is_said_before_any_result_with_where_it_is(shop: SemanticLayer):
    found = find(shop, Experiment(groups=VARIANT, filters=named("包邮门槛")))
    assert found.headline.en.startswith("**The split is broken**") and found.headline.zh.startswith("**分流异常")
    assert any("device is Android: control 670, treatment 391" in text.en for text in found.findings)
    assert found.confidence is not None and found.confidence.level == "low"


def test_what_is_not_shown_is_not_called_absent(shop: SemanticLayer):
    found = find(shop, Experiment(groups=VARIANT, filters=named("首页推荐算法")))
    assert "No difference is shown" in found.headline.en and "each group would need about" in said(found)
    assert not [words for words in NEVER_SAID if words in said(found)]


@pytest.mark.parametrize(
    ("metric", "per_user", "kind"),
    [
        ("gmv", "coalesce(sum(o.amount), 0)", "mean"),
        ("orders", "count(o.order_id)", "mean"),
        ("buyers", "(count(o.order_id) > 0)::INTEGER", "rate"),
        ("assigned_order_rate[n=14]", "(count(o.order_id) FILTER (o.ordered_at::DATE <= a.assigned_at::DATE + 14) > 0)::INTEGER", "rate"),
    ],
)
def test_metrics_are_of_assigned_users_from_assignment_on(shop: SemanticLayer, shop_file: Path, metric: str, per_user: str, kind: str):
    found = find(shop, Experiment(groups=VARIANT, metrics=(metric,), filters=named("评价有礼")))
    mature = "a.assigned_at::DATE + 14 <= DATE '2026-10-31'" if "14" in metric else "TRUE"
    hand = rows_of(
        shop_file,
        f"""SELECT variant, count(*), avg(x), var_samp(x) FROM (
            SELECT a.variant, a.user_id, {per_user} AS x FROM experiment_assignments AS a JOIN experiments USING (experiment_id)
            LEFT JOIN orders AS o ON o.user_id = a.user_id AND o.paid_at IS NOT NULL AND o.ordered_at >= a.assigned_at
            WHERE experiments.name = '评价有礼' AND {mature} GROUP BY ALL) GROUP BY 1 ORDER BY 1""",
    )
    (control, treated) = (Moments(users=n, x=float(mean), var_x=float(variance)) for _, n, mean, variance in hand)
    by_hand = compare(control, treated, kind)  # type: ignore[arg-type]
    row = dict(zip((c.name for c in found.table.columns), found.table.rows[1], strict=True))
    assert (row["difference"], row["difference_low"], row["p"]) == pytest.approx((by_hand.value, by_hand.low, round(by_hand.chance, 6)), rel=1e-5, abs=1e-6)


def test_filters_and_a_period_keep_some_of_the_assigned(shop: SemanticLayer, shop_file: Path):
    only = Where(dimension="device", op=Op.EQ, values=("ios",))
    found = find(shop, Experiment(groups=VARIANT, metrics=("orders",), filters=only, period=DateRange(date(2026, 5, 11), date(2026, 5, 31))))
    hand = rows_of(
        shop_file,
        """SELECT name, variant, count(*) FROM experiment_assignments JOIN experiments USING (experiment_id) JOIN users USING (user_id)
        WHERE device = 'ios' AND assigned_at >= DATE '2026-05-11' AND assigned_at < DATE '2026-06-01' GROUP BY ALL""",
    )
    assert sorted(row[:3] for row in found.table.rows) == sorted(hand)


def test_a_metric_without_a_value_per_user_is_refused(shop: SemanticLayer):
    with pytest.raises(QueryError) as error:
        find(shop, Experiment(groups=VARIANT, metrics=("median_order_amount",)))
    assert error.value.code == "not_testable"


@pytest.fixture(scope="module")
def cats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticLayer]:
    """An upload with the published counts of an experiment: a version, two yes or no columns and a number."""
    folder = tmp_path_factory.mktemp("cats")
    lines, user = ["userid,version,rounds,retention_1,retention_7"], 0
    for version, users, day1, day7 in (("gate_30", 44_700, 20_034, 8_502), ("gate_40", 45_489, 20_119, 8_279)):
        for n in range(users):
            user += 1
            lines.append(f"{user},{version},{n % 97},{n < day1},{n % (users // 3 * 2) < day7 if n < users // 3 * 2 else False}")
    (folder / "cats.csv").write_text("\n".join(lines) + "\n")
    made = propose([folder / "cats.csv"], folder / "model")
    engine = DuckDBEngine(made.database)
    yield SemanticLayer(made.model, engine, clock=lambda: TODAY, folder=None)
    engine.close()


def test_an_upload_gives_the_published_figures(cats: SemanticLayer):
    found = find(cats, Experiment(groups="cats.version"))
    text = said(found)
    assert "chi-square 6.90, p = 0.0086" in text and "gate_30 44,700, gate_40 45,489" in text
    assert "**gate_40 does worse than gate_30** in retention_7 rate: 18.2% against 19.0%, -0.82 pp" in text and "p = 0.0016" in text
    assert "**No difference is shown** between gate_40 and gate_30 in retention_1 rate: 44.2% against 44.8%, -0.59 pp" in text
    assert "p = 0.074" in text and not [words for words in NEVER_SAID if words in text]


# Key actions


def test_three_key_actions_in_the_first_day_go_with_day_7_retention(shop: SemanticLayer, shop_file: Path):
    found = find(shop, KeyActions(outcome="retention"))
    (hand,) = rows_of(
        shop_file,
        """WITH done AS (SELECT users.user_id, count(*) FILTER (event_name IN ('search', 'view_product', 'add_to_cart')
                AND event_time < registered_at + INTERVAL 24 HOUR) AS actions,
                bool_or(event_time::DATE = registered_at::DATE + 7) AS stayed
            FROM users JOIN events USING (user_id) WHERE registered_at::DATE <= DATE '2026-10-24' GROUP BY 1)
        SELECT count(*) FILTER (actions >= 3), avg(stayed::INTEGER) FILTER (actions >= 3), avg(stayed::INTEGER) FILTER (actions < 3) FROM done""",
    )
    first = dict(zip((c.name for c in found.table.columns), found.table.rows[0], strict=True))
    assert (first["users"], first["retention"], first["others"]) == pytest.approx(hand)
    assert all(words in found.headline.zh for words in ("浏览商品", "搜索", "加购", "合计至少 3 次", "31.4%", "12.0%"))
    assert any("association" in text.en for text in found.findings) and found.confidence is not None and found.confidence.level != "high"
    assert first["low"] > 0.15 and first["difference"] < first["retention"] - first["others"]  # held alike, it is less


def test_actions_are_counted_within_channels(shop: SemanticLayer):
    """A narrower question: one channel alone needs no strata of channels, and gives the same kind of answer."""
    found = find(shop, KeyActions(outcome="retention[n=14]", filters=Where(dimension="channel", op=Op.EQ, values=("organic",)), by="users.device"))
    assert "same device" in found.headline.en and "day-14 retention" in found.headline.en


def test_next_day_retention_is_too_early_for_first_day_actions(shop: SemanticLayer):
    with pytest.raises(QueryError) as error:
        find(shop, KeyActions(outcome="retention[n=1]"))
    assert error.value.code == "too_early"


# Campaigns


def test_a_campaign_is_reviewed_with_its_money_and_its_equals(shop: SemanticLayer, shop_file: Path):
    found = find(shop, CampaignReview(campaign="618大促 2026"))
    ((cost, gmv, orders, touched),) = rows_of(
        shop_file,
        """SELECT any_value(cost), (SELECT sum(amount) FROM orders WHERE campaign_id = c.campaign_id AND paid_at IS NOT NULL),
            (SELECT count(*) FROM orders WHERE campaign_id = c.campaign_id AND paid_at IS NOT NULL),
            (SELECT count(DISTINCT user_id) FROM campaign_touches WHERE campaign_id = c.campaign_id)
        FROM campaigns AS c WHERE name = '618大促 2026' GROUP BY c.campaign_id""",
    )
    row = dict(zip((c.name for c in found.table.columns), found.table.rows[0], strict=True))
    assert (row["campaign_cost"], row["attributed_gmv"], row["orders"], row["reached_users"]) == pytest.approx((float(cost), float(gmv), orders, touched))
    assert row["roi"] == pytest.approx(float(gmv / cost) - 1) and row["roas"] == pytest.approx(float(gmv / cost))
    assert found.headline.en.startswith("**618大促 2026 paid back**: ROI 420.3%")
    assert "equals not touched" in found.findings[0].en and "chosen by somebody" in found.findings[1].en
    assert any("17:00–17:59" in text.en or "16:00–16:59" in text.en for text in found.findings)


def test_the_campaign_that_did_not_pay_back(shop: SemanticLayer):
    found = find(shop, CampaignReview(campaign="沉睡唤醒短信"))
    assert found.headline.zh.startswith("**沉睡唤醒短信没有收回成本**：ROI -95.6%")


def test_a_campaign_that_reaches_everyone_on_entry_has_no_equals(shop: SemanticLayer):
    assert "No comparable users" in find(shop, CampaignReview(campaign="新客首单礼")).findings[0].en


def test_all_campaigns_are_ranked_by_what_they_paid_back(shop: SemanticLayer):
    found = find(shop, CampaignReview())
    assert len(found.table.rows) == 16 and found.table.rows[0][0] == "618大促 2026"
