"""Owns the demo shop's database: its tables, their columns and how they are filled.

The shop itself is made in shop_people, shop_visits and shop_rows, which are imported only when one is built.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from wenshu.semantic_layer import shop_catalogue as catalogue
from wenshu.semantic_layer.new_database import new_database
from wenshu.semantic_layer.shop_effects import NONE, PLANTED

if TYPE_CHECKING:
    from wenshu.semantic_layer.shop_people import Assignments, People, Touches

Progress = Callable[[str, float], None]

CELLS = 4_000_000  # users × days worked on at once: bounds memory
TABLES = {
    "users": """user_id BIGINT NOT NULL, registered_at TIMESTAMP NOT NULL, channel VARCHAR NOT NULL, province VARCHAR NOT NULL,
        city VARCHAR NOT NULL, gender VARCHAR, birth_year INTEGER, device VARCHAR NOT NULL, referrer_id BIGINT, phone VARCHAR, email VARCHAR""",
    "events": """event_id BIGINT NOT NULL, user_id BIGINT NOT NULL, event_time TIMESTAMP NOT NULL, event_name VARCHAR NOT NULL,
        session_id BIGINT NOT NULL, platform VARCHAR NOT NULL, app_version VARCHAR, product_id BIGINT, campaign_id BIGINT""",
    "orders": """order_id BIGINT NOT NULL, user_id BIGINT NOT NULL, ordered_at TIMESTAMP NOT NULL, paid_at TIMESTAMP, status VARCHAR NOT NULL,
        amount DECIMAL(12,2) NOT NULL, discount DECIMAL(12,2) NOT NULL, coupon_id BIGINT, campaign_id BIGINT, platform VARCHAR NOT NULL""",
    "order_items": "order_id BIGINT NOT NULL, product_id BIGINT NOT NULL, quantity INTEGER NOT NULL, unit_price DECIMAL(12,2) NOT NULL",
    "products": """product_id BIGINT NOT NULL, name VARCHAR NOT NULL, category VARCHAR NOT NULL, brand VARCHAR NOT NULL,
        list_price DECIMAL(12,2) NOT NULL, cost DECIMAL(12,2) NOT NULL""",
    "campaigns": """campaign_id BIGINT NOT NULL, name VARCHAR NOT NULL, kind VARCHAR NOT NULL, channel VARCHAR NOT NULL,
        started_on DATE NOT NULL, ended_on DATE NOT NULL, cost DECIMAL(12,2) NOT NULL""",
    "campaign_touches": """campaign_id BIGINT NOT NULL, user_id BIGINT NOT NULL, touched_at TIMESTAMP NOT NULL,
        opened BOOLEAN NOT NULL, clicked BOOLEAN NOT NULL""",
    "experiments": "experiment_id BIGINT NOT NULL, name VARCHAR NOT NULL, started_on DATE NOT NULL, ended_on DATE NOT NULL",
    "experiment_assignments": """experiment_id BIGINT NOT NULL, user_id BIGINT NOT NULL, variant VARCHAR NOT NULL,
        assigned_at TIMESTAMP NOT NULL""",
    "reviews": """review_id BIGINT NOT NULL, user_id BIGINT NOT NULL, product_id BIGINT NOT NULL, rating INTEGER NOT NULL,
        content VARCHAR NOT NULL, created_at TIMESTAMP NOT NULL""",
}


def _word(words: tuple[str | None, ...], column: str) -> str:
    """Return the SQL that turns the codes of a column into words."""
    quoted = ", ".join("NULL" if word is None else f"'{word}'" for word in words)
    return f"([{quoted}])[{column} + 1] AS {column}"


def _time(column: str) -> str:
    return f"TIMESTAMP '{catalogue.FIRST_DAY}' + to_seconds(nullif({column}, -1)) AS {column}"


def _money(column: str) -> str:
    return f"({column} * 0.01::DECIMAL(3, 2))::DECIMAL(12, 2) AS {column}"


def _optional(column: str) -> str:
    return f"nullif({column}, 0) AS {column}"


# What stands in the rows as a code, a second of the shop or fen, and what it becomes; other columns are taken as they are.
COLUMNS = {
    "users": f"""user_id, {_time("registered_at")}, {_word(catalogue.CHANNELS, "channel")},
        {_word(tuple(province for _, province, _ in catalogue.CITIES), "province")}, {_word(tuple(city for city, _, _ in catalogue.CITIES), "city")},
        {_word(catalogue.GENDERS, "gender")}, {_optional("birth_year")}, {_word(catalogue.DEVICES, "device")}, {_optional("referrer_id")},
        '129' || lpad((user_id * 48271 % 100000000)::VARCHAR, 8, '0') AS phone, 'user' || user_id || '@example.com' AS email""",
    "events": f"""event_id, user_id, {_time("event_time")}, {_word(catalogue.EVENTS, "event_name")}, session_id,
        {_word(catalogue.DEVICES, "platform")}, {_word(catalogue.VERSIONS, "app_version")}, {_optional("product_id")}, {_optional("campaign_id")}""",
    "orders": f"""order_id, user_id, {_time("ordered_at")}, {_time("paid_at")}, {_word(catalogue.STATUSES, "status")}, {_money("amount")},
        {_money("discount")}, {_optional("coupon_id")}, {_optional("campaign_id")}, {_word(catalogue.DEVICES, "platform")}""",
    "order_items": f"order_id, product_id, quantity, {_money('unit_price')}",
    "campaign_touches": f"campaign_id, user_id, {_time('touched_at')}, opened, clicked",
    "experiment_assignments": f"experiment_id, user_id, {_word(('control', 'treatment'), 'variant')}, {_time('assigned_at')}",
    "reviews": f"""review_id, user_id, product_id, rating, {_word(tuple(text for texts in catalogue.REVIEW_TEXTS for text in texts), "content")},
        {_time("created_at")}""",
}


def build_shop(
    out: Path, *, users: int = 20_000, seed: int = 7, effects: bool = True, progress: Progress | None = None
) -> None:
    """Write the demo shop to the DuckDB file `out`.

    The same `users` and `seed` give the same rows on every machine. `effects` False leaves out the effects planted for
    analyses to find. `progress` is called with what is being done ("users", "campaigns", "events", "done") and how far
    the whole is, from 0 to 1. Raises EngineError "cannot_write"; an existing file is replaced only at the end.
    """
    with new_database(out) as connection:
        fill_shop(connection, users=users, seed=seed, effects=effects, progress=progress)


def fill_shop(
    connection: duckdb.DuckDBPyConnection,
    *,
    users: int,
    seed: int,
    effects: bool = True,
    progress: Progress | None = None,
) -> None:
    """Create and fill the demo shop's tables in the empty database of `connection`; see `build_shop`."""
    from wenshu.semantic_layer import shop_people, shop_rows, shop_visits

    if users < 1:
        raise ValueError(f"a shop has at least one user, not {users}")
    report = progress or (lambda step, share: None)
    draws, planted = shop_people.Draws(seed), PLANTED if effects else NONE
    for table, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {table} ({columns})")

    report("users", 0.0)
    crowd = shop_people.people(users, draws, planted)
    _insert(connection, "users", _user_rows(crowd))
    report("campaigns", 0.04)
    _insert_catalogue(connection, users)
    campaigns = [shop_people.touches(crowd, draws, number) for number in range(len(catalogue.CAMPAIGNS))]
    experiments = [
        shop_people.assignments(crowd, draws, planted, number) for number in range(len(catalogue.EXPERIMENTS))
    ]
    for touched in campaigns:
        _insert(connection, "campaign_touches", _touch_rows(touched))
    for assigned in experiments:
        _insert(connection, "experiment_assignments", _assignment_rows(assigned))

    visitors = shop_visits.Visitors(crowd, draws, planted, campaigns, experiments)
    ledger = shop_rows.Ledger(draws, planted)
    report("events", 0.08)
    for days, sessions in visitors.spans(width=max(1, CELLS // users)):
        for table, rows in ledger.rows(sessions).items():
            _insert(connection, table, rows)
        report("events", 0.08 + 0.91 * days / catalogue.DAYS)
    report("done", 1.0)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Mapping[str, Any]) -> None:
    if len(next(iter(rows.values()))):
        connection.register("new_rows", dict(rows))
        connection.execute(f"INSERT INTO {table} BY NAME SELECT {COLUMNS[table]} FROM new_rows")
        connection.unregister("new_rows")


def _user_rows(crowd: "People") -> Mapping[str, Any]:
    return {
        "user_id": crowd.key + 1,
        "registered_at": crowd.registered,
        "channel": crowd.channel,
        "province": crowd.city,
        "city": crowd.city,
        "gender": crowd.gender,
        "birth_year": crowd.birth_year,
        "device": crowd.device,
        "referrer_id": crowd.referrer,
    }


def _touch_rows(touched: "Touches") -> Mapping[str, Any]:
    return {
        "campaign_id": touched.user * 0 + touched.campaign + 1,
        "user_id": touched.user + 1,
        "touched_at": touched.second,
        "opened": touched.opened,
        "clicked": touched.clicked,
    }


def _assignment_rows(assigned: "Assignments") -> Mapping[str, Any]:
    return {
        "experiment_id": assigned.user * 0 + assigned.experiment + 1,
        "user_id": assigned.user + 1,
        "variant": assigned.treated.astype("int64"),
        "assigned_at": assigned.second,
    }


def _insert_catalogue(connection: duckdb.DuckDBPyConnection, users: int) -> None:
    connection.executemany(
        "INSERT INTO products VALUES (?, ?, ?, ?, ?::DECIMAL(12, 2) / 100, ?::DECIMAL(12, 2) / 100)",
        [
            (number, good.name, good.category, good.brand, good.list_price, good.cost)
            for number, good in enumerate(catalogue.products(), 1)
        ],
    )
    connection.executemany(
        "INSERT INTO campaigns VALUES (?, ?, ?, ?, ?, ?, ?::DECIMAL(12, 2) / 100)",
        [
            (number, plan.name, plan.kind, plan.channel, plan.start, plan.end, plan.cost * users // 1000)
            for number, plan in enumerate(catalogue.CAMPAIGNS, 1)
        ],
    )
    connection.executemany(
        "INSERT INTO experiments VALUES (?, ?, ?, ?)",
        [(number, plan.name, plan.start, plan.end) for number, plan in enumerate(catalogue.EXPERIMENTS, 1)],
    )
