"""The demo shop: its tables are sound, its data the same everywhere, and every planted effect is there to be found."""

import math
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
import yaml

from wenshu.semantic_layer import shop_catalogue as catalogue
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.shop import build_shop, fill_shop
from wenshu.semantic_layer.shop_effects import PLANTED
from wenshu.semantic_layer.shop_people import Draws, assignments, people, touches
from wenshu.semantic_layer.shop_visits import Visitors

USERS = 20_000  # as many as the shared shop has, too
# One number for the rows of 1,000 users of seed 7. It changes when the data is changed on purpose, and never otherwise.
FINGERPRINT = 32_033_685_249_714

SCHEMA = {
    "users": "user_id BIGINT, registered_at TIMESTAMP, channel VARCHAR, province VARCHAR, city VARCHAR, gender VARCHAR, "
    "birth_year INTEGER, device VARCHAR, referrer_id BIGINT, phone VARCHAR, email VARCHAR",
    "events": "event_id BIGINT, user_id BIGINT, event_time TIMESTAMP, event_name VARCHAR, session_id BIGINT, "
    "platform VARCHAR, app_version VARCHAR, product_id BIGINT, campaign_id BIGINT",
    "orders": "order_id BIGINT, user_id BIGINT, ordered_at TIMESTAMP, paid_at TIMESTAMP, status VARCHAR, "
    "amount DECIMAL(12,2), discount DECIMAL(12,2), coupon_id BIGINT, campaign_id BIGINT, platform VARCHAR",
    "order_items": "order_id BIGINT, product_id BIGINT, quantity INTEGER, unit_price DECIMAL(12,2)",
    "products": "product_id BIGINT, name VARCHAR, category VARCHAR, brand VARCHAR, list_price DECIMAL(12,2), cost DECIMAL(12,2)",
    "campaigns": "campaign_id BIGINT, name VARCHAR, kind VARCHAR, channel VARCHAR, started_on DATE, ended_on DATE, "
    "cost DECIMAL(12,2)",
    "campaign_touches": "campaign_id BIGINT, user_id BIGINT, touched_at TIMESTAMP, opened BOOLEAN, clicked BOOLEAN",
    "experiments": "experiment_id BIGINT, name VARCHAR, started_on DATE, ended_on DATE",
    "experiment_assignments": "experiment_id BIGINT, user_id BIGINT, variant VARCHAR, assigned_at TIMESTAMP",
    "reviews": "review_id BIGINT, user_id BIGINT, product_id BIGINT, rating INTEGER, content VARCHAR, created_at TIMESTAMP",
}
KEYS = {
    "users": "user_id", "events": "event_id", "orders": "order_id", "order_items": "order_id, product_id",
    "products": "product_id", "campaigns": "campaign_id", "campaign_touches": "campaign_id, user_id",
    "experiments": "experiment_id", "experiment_assignments": "experiment_id, user_id", "reviews": "review_id",
}  # fmt: skip
REFERRING = {
    "users.user_id": ("events.user_id", "orders.user_id", "campaign_touches.user_id", "experiment_assignments.user_id",
                      "reviews.user_id", "users.referrer_id"),
    "orders.order_id": ("order_items.order_id",),
    "products.product_id": ("events.product_id", "order_items.product_id", "reviews.product_id"),
    "campaigns.campaign_id": ("events.campaign_id", "orders.campaign_id", "campaign_touches.campaign_id"),
    "experiments.experiment_id": ("experiment_assignments.experiment_id",),
}  # fmt: skip
REFERENCES = [(column, key) for key, columns in REFERRING.items() for column in columns]
DOMAINS = {
    "users.channel": {"organic", "douyin", "wechat", "baidu", "appstore", "referral"},
    "users.city": {"北京", "上海", "广州", "深圳", "杭州", "成都", "武汉", "南京", "西安", "重庆"},
    "users.gender": {"F", "M", None},
    "users.device": {"ios", "android", "web"},
    "events.event_name": {
        "sign_up", "app_open", "search", "view_product", "add_to_cart", "checkout", "pay", "share", "write_review", "push_open",
    },
    "events.platform": {"ios", "android", "web"},
    "orders.status": {"paid", "refunded", "cancelled", "pending"},
    "orders.platform": {"ios", "android", "web"},
    "products.category": {
        "手机数码", "家用电器", "服饰鞋包", "美妆个护", "食品生鲜", "母婴用品", "家居日用", "运动户外",
    },
    "campaigns.kind": {"coupon", "push", "sms", "ads"},
    "experiment_assignments.variant": {"control", "treatment"},
    "reviews.rating": {1, 2, 3, 4, 5},
}  # fmt: skip
BROKEN_ROWS = yaml.safe_load((Path(__file__).parent / "shop_rules.yml").read_text())


@pytest.fixture(scope="session")
def plain_shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        fill_shop(connection, users=USERS, seed=7, effects=False)
        yield connection


def value(connection: duckdb.DuckDBPyConnection, query: str) -> object:
    rows = connection.execute(query).fetchall()
    assert len(rows) == 1 and len(rows[0]) == 1
    return rows[0][0]


def by_name(connection: duckdb.DuckDBPyConnection, query: str) -> dict[object, object]:
    return {name: found for name, found in connection.execute(query).fetchall()}


def fingerprints(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return one number a table that does not depend on the order of its rows."""
    return {
        table: value(
            connection, f"SELECT (count(*) + sum((md5_number({table}::VARCHAR) % 1000000007)::BIGINT)) FROM {table}"
        )
        for table in SCHEMA
    }


def small_shop(*, users: int = 1_000, seed: int = 7, threads: int = 2) -> dict[str, int]:
    with duckdb.connect(config={"threads": threads}) as connection:
        fill_shop(connection, users=users, seed=seed)
        return fingerprints(connection)


# Tables


@pytest.mark.parametrize("table", SCHEMA)
def test_columns(shop, table):
    columns = [f"{name} {kind}" for name, kind, *_ in shop.execute(f"DESCRIBE {table}").fetchall()]
    assert ", ".join(columns) == SCHEMA[table]


@pytest.mark.parametrize("table", KEYS)
def test_keys_are_unique_and_whole(shop, table):
    whole = " AND ".join(f"{column} IS NOT NULL" for column in KEYS[table].split(", "))
    assert value(shop, f"SELECT count(*) = count(DISTINCT ({KEYS[table]})) FROM {table}")
    assert value(shop, f"SELECT count(*) > 0 AND bool_and({whole}) FROM {table}")


@pytest.mark.parametrize(("column", "key"), REFERENCES)
def test_references_are_never_broken(shop, column, key):
    (table, name), (other, other_name) = column.split("."), key.split(".")
    used = f"SELECT DISTINCT {name} AS id FROM {table} WHERE {name} IS NOT NULL"
    assert value(shop, f"SELECT count(*) FROM ({used})") > 0
    assert value(shop, f"SELECT count(*) FROM ({used}) WHERE id NOT IN (SELECT {other_name} FROM {other})") == 0


@pytest.mark.parametrize("column", DOMAINS)
def test_values_are_those_promised_and_all_occur(shop, column):
    table, name = column.split(".")
    assert {found for (found,) in shop.execute(f"SELECT DISTINCT {name} FROM {table}").fetchall()} == DOMAINS[column]


@pytest.mark.parametrize("rule", BROKEN_ROWS)
def test_no_row_breaks(shop, rule):
    assert value(shop, f"SELECT count(*) {BROKEN_ROWS[rule]}") == 0


def test_cities_lie_in_their_provinces(shop):
    found = set(shop.execute("SELECT city || province FROM users").fetchall())
    expected = "北京北京 上海上海 广州广东 深圳广东 杭州浙江 成都四川 武汉湖北 南京江苏 西安陕西 重庆重庆"
    assert found == {(pair,) for pair in expected.split()}


def test_names_are_unique_and_counted(shop):
    assert shop.execute("SELECT count(DISTINCT name), count(DISTINCT brand) FROM products").fetchall() == [(400, 40)]
    for table in ("products", "campaigns", "experiments"):
        assert value(shop, f"SELECT count(*) = count(DISTINCT name) FROM {table}")
    names = by_name(shop, "SELECT name, kind FROM campaigns")
    assert {"618大促 2026", "双11预热 2025", "新客首单礼", "沉睡唤醒短信"} <= set(names) and len(names) >= 12
    assert {"新手引导改版", "首页推荐算法", "包邮门槛"} <= set(by_name(shop, "SELECT name, 1 FROM experiments"))


@pytest.mark.parametrize(
    ("table", "time"), [("users", "registered_at"), ("events", "event_time"), ("orders", "ordered_at")]
)
def test_the_first_and_the_last_day_are_lived(shop, table, time):
    ends = shop.execute(f"SELECT min({time})::DATE::VARCHAR, max({time})::DATE::VARCHAR FROM {table}").fetchall()
    assert ends == [("2025-01-01", "2026-10-31")]
    assert value(shop, f"SELECT count(DISTINCT {time}::DATE) FROM {table}") == 669


def test_one_row_in_a_hundred_is_dirty(shop):
    assert 0.005 < value(shop, "SELECT avg((gender IS NULL)::INTEGER) FROM users") < 0.015
    assert 0.005 < value(shop, "SELECT avg((birth_year IS NULL)::INTEGER) FROM users") < 0.015
    assert 0.007 < value(shop, "SELECT avg((status = 'pending')::INTEGER) FROM orders") < 0.017


def test_every_age_band_is_filled(shop):
    bands = "CASE WHEN age < 18 THEN 0 WHEN age < 25 THEN 18 WHEN age < 35 THEN 25 WHEN age < 45 THEN 35 WHEN age < 55 THEN 45 ELSE 55 END"
    ages = "SELECT 2026 - birth_year AS age FROM users WHERE birth_year IS NOT NULL"
    counts = by_name(shop, f"SELECT {bands}, count(*) FROM ({ages}) GROUP BY 1")
    assert set(counts) == {0, 18, 25, 35, 45, 55} and min(counts.values()) > 200


# A shop like real ones

ACTIVE = "SELECT DISTINCT user_id, event_time::DATE AS day FROM events"


def retention(connection: duckdb.DuckDBPyConnection, day: int, split: str = "'all'", where: str = "true") -> dict:
    """Return the share of mature users active so many days after registration, by `split`."""
    return by_name(
        connection,
        f"""
        SELECT {split}, count(active.user_id) / count(*)
        FROM users LEFT JOIN ({ACTIVE}) AS active
            ON active.user_id = users.user_id AND active.day = registered_at::DATE + {day}
        WHERE registered_at::DATE + {day} <= DATE '2026-10-31' AND {where}
        GROUP BY 1""",
    )


@pytest.mark.parametrize(("day", "low", "high"), [(1, 0.35, 0.45), (7, 0.17, 0.24), (30, 0.08, 0.12)])
def test_retention_decays_as_in_real_apps(shop, day, low, high):
    assert low < retention(shop, day)["all"] < high


def test_size_is_about_fifty_events_a_user(shop):
    assert 40 < value(shop, "SELECT count(*) FROM events") / USERS < 60


def test_registrations_grow_and_purchases_are_heavy_tailed(shop):
    half = "SELECT count(*) FROM users WHERE registered_at {} TIMESTAMP '2025-12-01'"
    assert value(shop, half.format(">=")) > 1.4 * value(shop, half.format("<"))
    orders = "SELECT count(*) AS orders FROM orders WHERE paid_at IS NOT NULL GROUP BY user_id"
    median, top = shop.execute(f"SELECT median(orders), quantile_disc(orders, 0.99) FROM ({orders})").fetchall()[0]
    assert median <= 2 and top > 20


def test_weekends_are_busier(shop):
    daily = f"SELECT day, count(*) AS users FROM ({ACTIVE}) WHERE day >= DATE '2026-07-01' GROUP BY day"
    weekend = by_name(shop, f"SELECT isodow(day) >= 6, avg(users) FROM ({daily}) GROUP BY 1")
    assert weekend[True] > 1.05 * weekend[False]


# The same everywhere


def test_the_same_seed_gives_the_same_rows():
    found = small_shop(threads=1)
    assert found == small_shop(threads=2)
    assert sum(found.values()) == FINGERPRINT


def test_another_seed_gives_another_shop():
    found, other = small_shop(), small_shop(seed=8)
    same = {table for table in SCHEMA if found[table] == other[table]}
    assert same == {"products", "campaigns", "experiments"}


def test_days_come_out_alike_however_many_are_made_at_once():
    draws = Draws(7)
    crowd = people(500, draws, PLANTED)
    reached = [touches(crowd, draws, number) for number in range(len(catalogue.CAMPAIGNS))]
    tested = [assignments(crowd, draws, PLANTED, number) for number in range(len(catalogue.EXPERIMENTS))]
    visitors = Visitors(crowd, draws, PLANTED, reached, tested)
    whole, weekly = (np.concatenate([part for _, part in visitors.spans(width)]) for width in (catalogue.DAYS, 7))
    assert len(whole) > 5_000
    assert whole.tobytes() == weekly.tobytes()


@pytest.mark.parametrize("users", [1, 30])
def test_a_tiny_shop_is_sound(users):
    with duckdb.connect() as connection:
        fill_shop(connection, users=users, seed=7)
        assert value(connection, "SELECT count(*) FROM users") == users
        assert not [rule for rule, rows in BROKEN_ROWS.items() if value(connection, f"SELECT count(*) {rows}")]


def test_a_shop_needs_a_user():
    with duckdb.connect() as connection, pytest.raises(ValueError, match="at least one user"):
        fill_shop(connection, users=0, seed=7)


# Writing the file


def test_progress_is_told_in_order(tmp_path):
    told = []
    build_shop(tmp_path / "shop.duckdb", users=50, progress=lambda step, share: told.append((step, share)))
    assert [step for step, _ in told][:3] == ["users", "campaigns", "events"]
    assert told[-1] == ("done", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_a_failed_build_leaves_what_was_there(tmp_path):
    out = tmp_path / "new" / "shop.duckdb"
    out.parent.mkdir()
    out.write_text("before")

    def stop(step: str, share: float) -> None:
        if step == "events":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_shop(out, users=50, progress=stop)
    assert out.read_text() == "before"
    assert list(out.parent.iterdir()) == [out]


def test_a_build_replaces_what_was_there_and_makes_the_folder(tmp_path):
    out = tmp_path / "some" / "folder" / "shop.duckdb"
    for users in (40, 50):
        build_shop(out, users=users)
        with duckdb.connect(str(out), read_only=True) as connection:
            assert value(connection, "SELECT count(*) FROM users") == users
        assert list(out.parent.iterdir()) == [out]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError) as caught:
        build_shop(tmp_path / "file" / "shop.duckdb", users=50)
    assert caught.value.code == "cannot_write"
    assert "shop.duckdb" in caught.value.message.en and "shop.duckdb" in caught.value.message.zh


# Planted effects: each is found with plain SQL, and is not there without them


def test_retention_differs_by_channel(shop, plain_shop):
    found = retention(shop, 7, "channel")
    assert sorted(found, key=found.get)[-2:] == ["organic", "referral"]
    assert min(found, key=found.get) == "baidu"
    assert found["referral"] > 2 * found["baidu"] and found["organic"] > 1.15 * retention(shop, 7)["all"]
    plain = retention(plain_shop, 7, "channel")
    assert max(plain.values()) < 1.25 * min(plain.values())


def test_a_release_broke_android_retention_for_a_fortnight(shop, plain_shop):
    split = """device || CASE WHEN registered_at < DATE '2026-09-14' THEN ' before'
        WHEN registered_at < DATE '2026-09-28' THEN ' during' ELSE ' after' END"""
    where = "registered_at >= DATE '2026-08-31' AND registered_at < DATE '2026-10-12'"
    found, plain = retention(shop, 7, split, where), retention(plain_shop, 7, split, where)
    assert found["android during"] < 0.5 * min(found["android before"], found["android after"])
    assert found["ios during"] > 0.8 * found["ios before"]
    assert plain["android during"] > 0.8 * plain["android before"]


def test_those_who_registered_then_got_the_broken_release(shop):
    versions = """SELECT app_version, count(*) FROM events JOIN users USING (user_id)
        WHERE device = 'android' AND platform = 'android' AND event_name = 'sign_up' AND registered_at >= DATE '{}'
            AND registered_at < DATE '{}' GROUP BY 1"""
    assert set(by_name(shop, versions.format("2026-09-14", "2026-09-28"))) == {"5.3.0"}
    assert set(by_name(shop, versions.format("2026-09-28", "2026-11-01"))) == {"5.3.1"}
    assert value(shop, "SELECT count(*) FROM events WHERE app_version = '5.3.0' AND platform <> 'android'") == 0


KEY_ACTIONS = """(SELECT count(*) FROM events WHERE events.user_id = users.user_id
    AND event_name IN ('search', 'view_product', 'add_to_cart') AND event_time < registered_at + INTERVAL 24 HOUR) >= 3"""


def test_three_key_actions_in_the_first_day_keep_users(shop, plain_shop):
    found, plain = retention(shop, 7, KEY_ACTIONS), retention(plain_shop, 7, KEY_ACTIONS)
    assert found[True] > 2.2 * found[False]
    assert plain[True] < 1.25 * plain[False]


def test_gmv_peaks_on_sale_days(shop, plain_shop):
    daily = "SELECT ordered_at::DATE AS day, sum(amount) AS gmv FROM orders WHERE paid_at IS NOT NULL GROUP BY day"
    best = f"SELECT strftime(max_by(day, gmv), '%m-%d') FROM ({daily}) WHERE day BETWEEN DATE '{{}}' AND DATE '{{}}'"
    assert value(shop, best.format("2026-01-01", "2026-10-31")) == "06-18"
    assert value(shop, best.format("2025-07-01", "2025-12-31")) == "11-11"
    times = f"""SELECT max(gmv) FILTER (day = DATE '2026-06-18') / avg(gmv) FILTER (monthname(day) IN ('May', 'July'))
        FROM ({daily}) WHERE year(day) = 2026"""
    assert value(shop, times) > 3
    assert value(plain_shop, times) < 2


def gmv_change(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """Return the change of item sales from September to October 2026, over all and in the planted cell, of the whole."""
    return connection.execute(
        """
        WITH sales AS (
            SELECT
                monthname(ordered_at) AS month,
                category = '手机数码' AND city IN ('上海', '深圳') AS cell,
                (quantity * unit_price)::DOUBLE AS amount
            FROM orders JOIN order_items USING (order_id) JOIN products USING (product_id) JOIN users USING (user_id)
            WHERE paid_at IS NOT NULL AND ordered_at >= DATE '2026-09-01'
        )
        SELECT
            sum(CASE month WHEN 'October' THEN amount ELSE -amount END) / sum(amount) FILTER (month = 'September'),
            sum(CASE month WHEN 'October' THEN amount ELSE -amount END) FILTER (cell) / sum(amount) FILTER (month = 'September')
        FROM sales"""
    ).fetchall()[0]


def test_october_fell_because_of_one_category_in_two_cities(shop, plain_shop):
    whole, cell = gmv_change(shop)
    assert whole < -0.05 and cell < -0.10 and cell / whole > 0.6
    _, plain_cell = gmv_change(plain_shop)
    assert abs(plain_cell) < 0.05


PAIRS = """
    WITH bought AS (SELECT order_id, product_id FROM order_items JOIN orders USING (order_id) WHERE paid_at IS NOT NULL),
    support AS (SELECT product_id, count(*) AS orders FROM bought GROUP BY product_id),
    pairs AS (
        SELECT one.product_id AS one, two.product_id AS two, count(*) AS together
        FROM bought AS one JOIN bought AS two ON one.order_id = two.order_id AND one.product_id < two.product_id GROUP BY ALL
    )
    SELECT
        (SELECT name FROM products WHERE product_id = one), (SELECT name FROM products WHERE product_id = two), together,
        together * (SELECT count(DISTINCT order_id) FROM bought)
            / ((SELECT orders FROM support WHERE product_id = one) * (SELECT orders FROM support WHERE product_id = two))
    FROM pairs ORDER BY together DESC LIMIT 2"""


def test_one_pair_is_bought_together(shop, plain_shop):
    (first, second, together, lift), (_, _, runner_up, _) = shop.execute(PAIRS).fetchall()
    assert {first, second} == {"霁川胶囊咖啡机", "麦芒街咖啡胶囊"}
    assert together > 4 * runner_up and lift > 20
    assert plain_shop.execute(PAIRS).fetchall()[0][2] < 20


ROI = """SELECT name, (coalesce(sum(amount), 0) - any_value(cost)) / any_value(cost)
    FROM campaigns LEFT JOIN (FROM orders WHERE paid_at IS NOT NULL) AS valid USING (campaign_id) GROUP BY name"""


def test_one_campaign_pays_back_and_one_does_not(shop, plain_shop):
    found, plain = by_name(shop, ROI), by_name(plain_shop, ROI)
    assert max(found, key=found.get) == "618大促 2026" and found["618大促 2026"] > 2
    assert found["沉睡唤醒短信"] < -0.9
    assert plain["618大促 2026"] < 1


def repurchase_z(connection: duckdb.DuckDBPyConnection, experiment: str) -> tuple[float, float]:
    """Return how much more of the treated first-time buyers bought again within 7 days, and its z."""
    rows = connection.execute(
        """
        WITH numbered AS (
            SELECT user_id, ordered_at,
                row_number() OVER orders_of_user AS number, lead(ordered_at) OVER orders_of_user AS next
            FROM orders WHERE paid_at IS NOT NULL WINDOW orders_of_user AS (PARTITION BY user_id ORDER BY ordered_at, order_id)
        )
        SELECT variant, count(*), count(*) FILTER (next::DATE <= ordered_at::DATE + 7)
        FROM experiment_assignments JOIN experiments USING (experiment_id) JOIN numbered USING (user_id)
        WHERE name = ? AND number = 1 AND ordered_at >= assigned_at AND ordered_at::DATE + 7 <= DATE '2026-10-31'
        GROUP BY variant ORDER BY variant""",
        [experiment],
    ).fetchall()
    (_, n0, k0), (_, n1, k1) = rows
    pooled = (k0 + k1) / (n0 + n1)
    difference = k1 / n1 - k0 / n0
    return difference, difference / math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))


def test_one_experiment_lifts_repurchase_and_one_does_not(shop, plain_shop):
    lift, z = repurchase_z(shop, "新手引导改版")
    assert 0.08 < lift < 0.22 and z > 4
    assert abs(repurchase_z(shop, "首页推荐算法")[1]) < 1.96
    assert abs(repurchase_z(plain_shop, "新手引导改版")[1]) < 1.96


def split_z(connection: duckdb.DuckDBPyConnection) -> dict:
    return by_name(
        connection,
        """SELECT name, (2 * count(*) FILTER (variant = 'treatment') - count(*)) / sqrt(count(*))
        FROM experiment_assignments JOIN experiments USING (experiment_id) GROUP BY name""",
    )


def test_one_experiment_has_a_broken_split(shop, plain_shop):
    found = split_z(shop)
    assert found.pop("包邮门槛") < -5
    assert max(abs(z) for z in found.values()) < 1.96
    assert max(abs(z) for z in split_z(plain_shop).values()) < 1.96


CONVERSION = """SELECT hour(event_time), count(*) FILTER (event_name = 'pay') / count(DISTINCT session_id) FROM events GROUP BY 1"""


def test_conversion_is_highest_from_four_to_six(shop, plain_shop):
    found, plain = by_name(shop, CONVERSION), by_name(plain_shop, CONVERSION)
    best = sorted(found, key=found.get)
    assert set(best[-2:]) == {16, 17}
    assert min(found[16], found[17]) > 1.3 * found[best[-3]]
    assert max(plain[16], plain[17]) < 1.2 * plain[12]


RATINGS = """SELECT brand, avg(rating) FROM reviews JOIN products USING (product_id)
    WHERE created_at {} TIMESTAMP '2026-08-01' GROUP BY brand"""


def test_one_brand_is_badly_reviewed_since_august(shop, plain_shop):
    before, since = by_name(shop, RATINGS.format("<")), by_name(shop, RATINGS.format(">="))
    assert before["羽堇"] > 4
    assert since.pop("羽堇") < 2
    assert min(since.values()) > 3
    assert by_name(plain_shop, RATINGS.format(">="))["羽堇"] > 3.5
    reviews = "SELECT count(*) FROM reviews JOIN products USING (product_id) WHERE brand = '羽堇' AND created_at >= TIMESTAMP '2026-08-01'"
    assert value(shop, reviews) >= 40
