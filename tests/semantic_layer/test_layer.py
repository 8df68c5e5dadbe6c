"""The semantic layer as others use it: which data it finds, what it keeps of them, what day it is and what it never shows."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.errors import EngineError, GuardError, QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.loader import load_model
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import Op, Query, Where

MODEL = load_model(str(Path(__file__).parent / "small_shop.yml"))
CREATE = """
    CREATE TABLE users (user_id BIGINT, channel VARCHAR, gender VARCHAR, birth_year INTEGER, registered_at TIMESTAMP, phone VARCHAR);
    CREATE TABLE events (user_id BIGINT, event_name VARCHAR, platform VARCHAR, event_time TIMESTAMP);
    CREATE TABLE orders (order_id BIGINT, user_id BIGINT, ordered_at TIMESTAMP, paid_at TIMESTAMP, amount DECIMAL(9, 2), discount DOUBLE,
                         platform VARCHAR, is_gift BOOLEAN);
    CREATE TABLE order_items (order_id BIGINT, product_id BIGINT, quantity INTEGER, price DECIMAL(9, 2));
    CREATE TABLE products (product_id BIGINT, category VARCHAR);
    CREATE TABLE opening_days (opened_on DATE);
"""
FILL = """
    INSERT INTO users VALUES (1, 'web', 'F', 1990, '2026-01-05', '555-0101'), (2, 'shop', NULL, NULL, '2026-02-10 23:59:59.999999', '555-0102'),
                             (3, 'web', 'M', 2004, '2026-04-02', '555-0103');
    INSERT INTO orders VALUES (1, 1, '2026-01-05 10:00', '2026-01-05 10:01', 10.10, NULL, 'app', true), (2, 3, '2026-04-02', '2026-04-02', 5, 1, 'web', false);
    INSERT INTO opening_days VALUES ('2026-01-01'), ('2026-03-31');
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    write(path, CREATE + FILL)
    return path


def write(path: Path, sql: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


@pytest.fixture
def opened() -> Iterator[list[SemanticLayer]]:
    layers: list[SemanticLayer] = []
    yield layers
    for layer in layers:
        layer.engine.close()


@pytest.fixture
def open_layer(opened: list[SemanticLayer]) -> Callable[..., SemanticLayer]:
    """Return the function that opens a database with the small shop's model, read with another `as_of` where one is given."""

    def layer(
        path: Path, *, as_of: str = MODEL.as_of, today: date = date(2026, 4, 2), folder: Path | None = None
    ) -> SemanticLayer:
        made = SemanticLayer(replace(MODEL, as_of=as_of), DuckDBEngine(path), clock=lambda: today, folder=folder)
        opened.append(made)
        return made

    return layer


OpenLayer = Callable[..., SemanticLayer]
USERS = Query(metrics=("new_users",))


def only(layer: SemanticLayer, query: Query, today: date | None = None) -> object:
    [[value]] = layer.run(layer.compile(query, today=today)).rows
    return value


# The database


def test_a_missing_table_is_named(database: Path, open_layer: OpenLayer) -> None:
    write(database, "DROP TABLE products; DROP TABLE opening_days")
    with pytest.raises(EngineError) as caught:
        open_layer(database).compile(USERS)
    assert caught.value.code == "table_missing"
    assert "opening_days, products" in caught.value.message.en and "opening_days" in caught.value.message.zh
    assert caught.value.hint.en and caught.value.hint.zh


@pytest.mark.parametrize(("table", "column"), [("users", "registered_at"), ("orders", "amount"), ("users", "channel")])
def test_a_missing_column_is_named(database: Path, open_layer: OpenLayer, table: str, column: str) -> None:
    write(database, f"ALTER TABLE {table} DROP COLUMN {column}")
    with pytest.raises(EngineError) as caught:
        open_layer(database).compile(Query(metrics=("gmv", "new_users"), dimensions=("channel",)))
    assert caught.value.code == "column_missing"
    assert column in caught.value.message.en and column in caught.value.message.zh
    assert "small_shop" in caught.value.message.en


def test_a_view_stands_for_a_table(database: Path, open_layer: OpenLayer) -> None:
    write(
        database, "ALTER TABLE users RENAME TO people; CREATE VIEW users AS SELECT * FROM people WHERE channel = 'web'"
    )
    assert only(open_layer(database), Query(metrics=("new_users",))) == 1


def test_an_empty_database_says_so(tmp_path: Path, open_layer: OpenLayer) -> None:
    write(tmp_path / "empty.duckdb", CREATE)
    layer = open_layer(tmp_path / "empty.duckdb")
    for ask in (lambda: layer.coverage, lambda: layer.compile(USERS)):
        with pytest.raises(EngineError) as caught:
            ask()
        assert caught.value.code == "no_data" and caught.value.hint.zh


def test_a_dataset_without_rows_counts_nothing(database: Path, open_layer: OpenLayer) -> None:
    table = open_layer(database).run(
        open_layer(database).compile(Query(metrics=("events", "active_users", "conversion", "item_sales")))
    )
    assert table.rows == ((0, 0, None, 0.0),)


def test_cells_are_plain_values(database: Path, open_layer: OpenLayer) -> None:
    layer = open_layer(database)
    table = layer.run(
        layer.compile(
            Query(
                metrics=("gmv", "orders", "aov"),
                dimensions=("is_gift", "order_amount"),
                grain=Grain.HOUR,
                period=DateRange(date(2026, 1, 5), date(2026, 1, 5)),
            )
        )
    )
    assert len(table.rows) == 24
    assert table.rows[10] == (datetime(2026, 1, 5, 10), True, 10.1, 10.1, 1, 10.1)
    assert not any(isinstance(cell, Decimal) for row in table.rows for cell in row)


def test_more_rows_than_wanted_are_cut_and_said_to_be(database: Path, open_layer: OpenLayer) -> None:
    layer = open_layer(database)
    compiled = layer.compile(Query(metrics=("orders",), grain=Grain.DAY))
    assert (len(layer.run(compiled, max_rows=10).rows), layer.run(compiled, max_rows=10).truncated) == (10, True)
    assert not layer.run(compiled, max_rows=100).truncated
    _, table = layer.sql("SELECT range AS n FROM range(50)", max_rows=20)
    assert (len(table.rows), table.truncated, table.columns[0].name, table.columns[0].type) == (20, True, "n", "number")


# What is known of the data, and kept


def test_coverage_is_that_of_all_datasets(database: Path, open_layer: OpenLayer) -> None:
    profile = open_layer(database).profile
    assert profile.whole == DateRange(date(2026, 1, 1), date(2026, 4, 2))
    assert profile.coverage == {
        "users": DateRange(date(2026, 1, 5), date(2026, 4, 2)),
        "orders": DateRange(date(2026, 1, 5), date(2026, 4, 2)),
        "openings": DateRange(date(2026, 1, 1), date(2026, 3, 31)),
    }
    assert profile.values["users.channel"] == ("shop", "web")
    assert "users.phone" not in profile.values


def test_a_profile_is_kept_between_runs(database: Path, tmp_path: Path, open_layer: OpenLayer) -> None:
    folder = tmp_path / "kept"
    first = open_layer(database, folder=folder).profile
    [kept] = folder.iterdir()
    assert kept.name.startswith("profile-small_shop-") and "555-01" not in kept.read_text("utf-8")
    assert open_layer(database, folder=folder).profile == first
    changed = json.loads(kept.read_text("utf-8"))
    changed["values"]["users.channel"] = ["from the file"]
    kept.write_text(json.dumps(changed), "utf-8")
    assert open_layer(database, folder=folder).profile.values["users.channel"] == ("from the file",)


def test_a_kept_profile_is_not_used_for_other_data(
    database: Path, tmp_path: Path, open_layer: OpenLayer, opened: list[SemanticLayer]
) -> None:
    folder = tmp_path / "kept"
    before = open_layer(database, folder=folder)
    assert before.coverage.end == date(2026, 4, 2)
    opened.remove(before)
    before.engine.close()
    write(database, "INSERT INTO users SELECT i, 'app', 'F', 1990, '2026-05-05', '' FROM range(100000) t(i)")
    after = open_layer(database, folder=folder)
    assert after.coverage.end == date(2026, 5, 5) and after.profile.values["users.channel"] == ("app", "shop", "web")
    assert len(list(folder.iterdir())) == 2


def test_a_kept_profile_that_cannot_be_read_is_made_anew(database: Path, tmp_path: Path, open_layer: OpenLayer) -> None:
    folder = tmp_path / "kept"
    first = open_layer(database, folder=folder).profile
    [kept] = folder.iterdir()
    for broken in ("", "{", "[]", '{"coverage": {"users": ["x", "y"]}, "values": {}}'):
        kept.write_text(broken, "utf-8")
        assert open_layer(database, folder=folder).profile == first
        assert json.loads(kept.read_text("utf-8"))["coverage"]


def test_a_folder_that_cannot_be_written_to_is_no_failure(
    database: Path, tmp_path: Path, open_layer: OpenLayer
) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    assert open_layer(database, folder=tmp_path / "file").profile.values["users.channel"] == ("shop", "web")


# What day it is


@pytest.mark.parametrize(
    ("as_of", "last", "users"),
    [("latest", date(2026, 4, 2), 3), ("2026-03-31", date(2026, 3, 31), 2), ("today", date(2026, 2, 9), 1)],
)
def test_as_of_is_the_last_day_that_counts(
    database: Path, open_layer: OpenLayer, as_of: str, last: date, users: int
) -> None:
    layer = open_layer(database, as_of=as_of, today=date(2026, 2, 9))
    assert layer.as_of() == last
    assert layer.compile(USERS).resolved.as_of == last
    assert only(layer, USERS) == users


@pytest.mark.parametrize("as_of", ["latest", "2026-03-31", "today"])
def test_a_day_given_takes_the_place_of_as_of(database: Path, open_layer: OpenLayer, as_of: str) -> None:
    layer = open_layer(database, as_of=as_of)
    assert only(layer, USERS, today=date(2026, 2, 9)) == 1
    assert only(layer, USERS, today=date(2026, 2, 10)) == 2
    assert only(layer, USERS, today=date(2026, 12, 31)) == 3


def test_an_age_is_reckoned_at_as_of(database: Path, open_layer: OpenLayer) -> None:
    of_35 = Query(metrics=("new_users",), filters=Where(dimension="age", op=Op.EQ, values=(35,)))
    assert only(open_layer(database), of_35, today=date(2026, 12, 31)) == 0
    assert only(open_layer(database, as_of="2025-12-31"), of_35, today=date(2026, 1, 31)) == 0
    assert only(open_layer(database), replace(of_35, filters=Where(dimension="age", op=Op.EQ, values=(36,)))) == 1


def test_a_series_goes_on_to_a_day_after_the_data(database: Path, open_layer: OpenLayer) -> None:
    layer = open_layer(database)
    table = layer.run(layer.compile(Query(metrics=("new_users",), grain=Grain.MONTH), today=date(2026, 6, 15)))
    assert table.rows == tuple(
        (date(2026, month, 1), users) for month, users in ((1, 1), (2, 1), (3, 0), (4, 1), (5, 0), (6, 0))
    )
    assert date(2026, 6, 1) in table.incomplete and date(2026, 2, 1) not in table.incomplete


@pytest.mark.parametrize("today", [date(2025, 12, 31), date(2026, 1, 2)])
def test_a_day_before_the_data_begin_is_refused(database: Path, open_layer: OpenLayer, today: date) -> None:
    with pytest.raises(QueryError) as caught:
        open_layer(database).compile(USERS, today=today)
    assert caught.value.code == "outside_data" and str(today) in caught.value.message.en


def test_rows_dated_after_as_of_never_count(database: Path, open_layer: OpenLayer) -> None:
    layer = open_layer(database)
    assert only(layer, Query(metrics=("orders",))) == 1
    assert only(layer, Query(metrics=("orders",), period=DateRange(date(2026, 3, 1), date(2026, 4, 30)))) == 0


# What is never shown


@pytest.mark.parametrize(
    "query",
    [
        Query(metrics=("new_users",), dimensions=("phone",)),
        Query(metrics=("new_users",), dimensions=("users.phone",)),
        Query(metrics=("gmv",), filters=Where(dimension="phone", op=Op.CONTAINS, values=("555",))),
        Query(metrics=("gmv",), filters=Where(dimension="phone", op=Op.NOT_EMPTY)),
        Query(dimensions=("channel", "phone")),
        Query(dimensions=("channel",), filters=Where(dimension="phone", op=Op.EQ, values=("555-0101",))),
    ],
)
def test_personal_data_are_refused_by_name(database: Path, open_layer: OpenLayer, query: Query) -> None:
    with pytest.raises(QueryError) as caught:
        open_layer(database).compile(query)
    assert caught.value.code == "personal_data"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT phone FROM users",
        "SELECT count(*) FROM users WHERE phone = '555-0101'",
        "SELECT channel FROM users ORDER BY phone",
        "SELECT max(u.phone) FROM users u",
        "SELECT a FROM (SELECT phone AS a FROM users)",
        "SELECT (SELECT phone) FROM users",
        "SELECT users FROM users",
        "SELECT COLUMNS('.*') FROM users",
        "SELECT row_number() OVER (PARTITION BY phone) FROM users",
        "SELECT u.channel FROM users u JOIN users v ON u.phone = v.phone",
        "DESCRIBE users",
        "SUMMARIZE users",
    ],
)
def test_a_statement_that_names_personal_data_is_refused(database: Path, open_layer: OpenLayer, sql: str) -> None:
    with pytest.raises(GuardError):
        open_layer(database).check(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM users",
        "FROM users",
        "TABLE users",
        "SELECT u.* FROM users u",
        "WITH u AS (FROM users) SELECT * FROM u",
        "SELECT * FROM users AS u(a)",
        "SELECT * FROM users u(a, b, c, d, e, f)",
        "SELECT f FROM users u(a, b, c, d, e, f)",
        "SELECT * REPLACE ('' AS phone) FROM users",
        "SELECT channel FROM users UNION ALL BY NAME SELECT * FROM users",
        "SELECT * FROM users JOIN (SELECT '555-0101' AS phone) t USING (phone)",
        "SELECT user_id FROM users JOIN (SELECT '555-0101' AS phone) t USING (phone)",
        "SELECT user_id FROM users NATURAL JOIN (SELECT '555-0101' AS phone) t",
        "SELECT user_id FROM users SEMI JOIN (SELECT '555-0101' AS phone) t USING (phone)",
    ],
)
def test_a_statement_that_takes_all_columns_gets_none_that_is_personal(
    database: Path, open_layer: OpenLayer, sql: str
) -> None:
    layer = open_layer(database)
    try:
        _, table = layer.sql(sql)
    except (GuardError, EngineError):
        return
    assert "USING" not in sql and "NATURAL" not in sql  # a match would tell whose number it is
    assert table.rows and "555-01" not in str(table.rows) and "phone" not in [column.name for column in table.columns]


def test_what_is_not_personal_is_shown(database: Path, open_layer: OpenLayer) -> None:
    statement, table = open_layer(database).sql("SELECT channel, count(*) AS n FROM users GROUP BY 1 ORDER BY 1")
    assert table.rows == (("shop", 1), ("web", 2)) and statement.tables == ("users",)
    assert [(column.name, column.role) for column in table.columns] == [("channel", "dimension"), ("n", "metric")]
