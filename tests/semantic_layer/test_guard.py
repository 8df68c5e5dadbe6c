"""The guard: what must pass with the same rows, what must be refused, and what nobody has thought of yet."""

import json
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlglot
import yaml
from sqlglot import exp

from wenshu.semantic_layer import functions
from wenshu.semantic_layer.engine import DuckDBEngine
from wenshu.semantic_layer.errors import GuardError
from wenshu.semantic_layer.guard import MARKS, guard
from wenshu.semantic_layer.second_opinion import SERIALIZE

CASES = yaml.safe_load(Path(__file__).with_name("guard_cases.yml").read_text())
BENIGN = [
    pytest.param(kind, sql, id=f"{kind}-{n}") for kind, many in CASES["benign"].items() for n, sql in enumerate(many)
]
ATTACKS = [
    pytest.param(kind, sql, id=f"{kind}-{n}") for kind, many in CASES["attacks"].items() for n, sql in enumerate(many)
]
NOT_ALLOWED = {"secret_salaries"}

SHOP = """
CREATE TABLE users (user_id BIGINT, registered_at TIMESTAMP, channel VARCHAR, city VARCHAR, gender VARCHAR,
                    birth_year INTEGER, phone VARCHAR, email VARCHAR);
INSERT INTO users SELECT i, TIMESTAMP '2026-01-05 08:00:00' + INTERVAL (i * 11) DAY + INTERVAL (i) HOUR,
  ['organic', 'douyin', 'wechat', 'baidu', 'referral'][1 + i % 5], ['北京', '上海', '广州'][1 + i % 3],
  [NULL, 'F', 'M'][1 + i % 3], CASE WHEN i % 4 = 0 THEN NULL ELSE 1970 + i END, '1380000' || i, i || '@example.com'
  FROM range(1, 13) t(i);
CREATE TABLE orders (order_id BIGINT, user_id BIGINT, ordered_at TIMESTAMP, paid_at TIMESTAMP, status VARCHAR,
                     amount DECIMAL(12, 2));
INSERT INTO orders SELECT i, 1 + i * 7 % 9, TIMESTAMP '2026-09-20 10:00:00' + INTERVAL (i * 37) HOUR,
  CASE WHEN i % 5 = 0 THEN NULL ELSE TIMESTAMP '2026-09-20 10:05:00' + INTERVAL (i * 37) HOUR END,
  CASE WHEN i % 5 = 0 THEN 'pending' WHEN i % 7 = 0 THEN 'refunded' ELSE 'paid' END, (i * 13 % 29 + 1) * 4.25
  FROM range(1, 25) t(i);
CREATE TABLE events (event_id BIGINT, user_id BIGINT, event_time TIMESTAMP, event_name VARCHAR);
INSERT INTO events SELECT i, 1 + i * 5 % 12, TIMESTAMP '2026-09-21 09:00:00' + INTERVAL (i * 9) HOUR,
  ['app_open', 'view_product', 'add_to_cart', 'pay'][1 + i % 4] FROM range(1, 81) t(i);
CREATE TABLE products (product_id BIGINT, name VARCHAR, category VARCHAR, list_price DECIMAL(12, 2));
INSERT INTO products SELECT i, 'product ' || i, ['手机数码', '食品生鲜'][1 + i % 2], i * 10.5 FROM range(1, 5) t(i);
CREATE TABLE order_items (order_id BIGINT, product_id BIGINT, quantity INTEGER, unit_price DECIMAL(12, 2));
INSERT INTO order_items SELECT i, 1 + i % 4, 1 + i % 3, 4.25 FROM range(1, 25) t(i);
CREATE VIEW buyers AS SELECT DISTINCT user_id FROM orders WHERE paid_at IS NOT NULL;
CREATE TABLE secret_salaries (name VARCHAR, pay INTEGER);
INSERT INTO secret_salaries VALUES ('the boss', 7777777);
CREATE SCHEMA other;
CREATE TABLE other.users AS SELECT 'the boss again' AS note;
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guard") / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SHOP)
    return path


@pytest.fixture(scope="module")
def engine(shop: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(shop)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def unguarded(shop: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{shop}' AS shop (READ_ONLY)")
        connection.execute("USE shop")
        connection.execute("SET threads = 1")  # so that rows which an ORDER BY leaves tied come in the same order
        yield connection


@pytest.fixture(scope="module")
def tables(engine: DuckDBEngine) -> dict[str, list[str]]:
    return {table: list(columns) for table, columns in engine.schema().items() if table not in NOT_ALLOWED}


def test_the_corpora_are_large():
    assert len(BENIGN) >= 700
    assert len(ATTACKS) >= 1_150
    assert not {sql.values[1] for sql in BENIGN} & {sql.values[1] for sql in ATTACKS}


@pytest.mark.parametrize("kind, sql", BENIGN)
def test_benign_statement_returns_the_same_rows(kind, sql, engine, unguarded, tables):
    guarded = guard(sql, tables=tables, max_rows=1_000)
    result = engine.run(guarded, max_rows=1_000)
    assert not result.truncated
    assert set(guarded.tables) <= set(tables)
    if kind != "not_compared":
        written = unguarded.execute(sql.strip(MARKS)).fetchall()
        assert sorted(map(repr, unguarded.execute(guarded.sql).fetchall())) == sorted(map(repr, written))
        assert len(result.rows) == len(written)


@pytest.mark.parametrize("kind, sql", BENIGN)
def test_tree_and_regenerated_text_agree(kind, sql, tables):
    guarded = guard(sql, tables=tables)
    assert guarded.tree.sql(dialect="duckdb", pretty=True, comments=False) == guarded.sql
    assert guard(guarded.tree, tables=tables) == guarded
    assert guard(guarded.sql, tables=tables).tables == guarded.tables


@pytest.mark.parametrize("kind, sql", ATTACKS)
def test_attack_is_refused(kind, sql, tables):
    with pytest.raises(GuardError) as refused:
        guard(sql, tables=tables)
    error = refused.value
    assert error.code in CASES["codes"][kind]
    for text in (error.message, error.hint):
        assert text.en and re.search("[\u4e00-\u9fff]", text.zh)
        assert not re.search("Parser Error|Binder Error|LINE 1|Traceback|sqlglot", text.en + text.zh)


@pytest.mark.parametrize(
    "kind, sql", [case for case in ATTACKS if case.values[0] not in ("characters", "forms", "statements")]
)
def test_attack_is_refused_as_a_tree_too(kind, sql, tables):
    try:
        trees = sqlglot.parse(sql, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return
    for tree in trees[:1] if kind != "several_statements" else ():
        with pytest.raises(GuardError):
            guard(tree, tables=tables)


@pytest.mark.parametrize(
    "sql, hint",
    [
        ("SELECT cty FROM users", "Did you mean city?"),
        ("SELECT u.chanel FROM users u", "Did you mean channel?"),
        ("SELECT * FROM usrs", "Did you mean users?"),
        ("SELECT medain(amount) FROM orders", "Did you mean median"),
        ("SELECT * FROM secret_salarie", "Tables: buyers, events, order_items, orders, products, users."),
        ("SELECT zzz FROM (SELECT city FROM users)", "Columns: city."),
    ],
)
def test_near_names_are_suggested_from_the_allowed_ones_only(sql, hint, tables):
    with pytest.raises(GuardError) as refused:
        guard(sql, tables=tables)
    assert refused.value.hint.en.startswith(hint)
    assert "secret_salaries" not in str(refused.value)


def test_a_column_left_out_of_the_table_is_no_column():
    tables = {"users": ["user_id", "city"]}
    for sql in (
        "SELECT phone FROM users",
        "SELECT u.phone FROM users u",
        "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM (SELECT count(*) FROM users) x WHERE phone = '1')",
        "SELECT x.phone FROM (SELECT * FROM users) x",
        "SELECT city AS phone_2 FROM users ORDER BY phone",
        "WITH a AS (SELECT * FROM users) SELECT max(phone) FROM a",
    ):
        with pytest.raises(GuardError) as refused:
            guard(sql, tables=tables)
        assert refused.value.code == "sql_column"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM users",
        "SELECT u.* FROM users u",
        "FROM users",
        "TABLE main.users",
        "SELECT * FROM (users)",
        "SELECT * FROM users, products",
        "SELECT x.* FROM (users u JOIN orders o ON u.user_id = o.user_id) AS x",
        "SELECT * FROM (users JOIN orders USING (user_id))",
        "SELECT main.users.city, * FROM main.users",
        "SELECT u.g, u.h FROM users AS u(a, b, c, d, e, f, g, h)",
        "SELECT b FROM (SELECT * FROM users) AS t(a, b)",
        "WITH t(a, b) AS (SELECT * FROM users) SELECT * FROM t",
        "WITH t AS (FROM users) SELECT * FROM t",
        "SELECT * FROM orders NATURAL JOIN users",
        "SELECT count(*) FROM users NATURAL JOIN (SELECT '13800001' AS phone)",
        "SELECT city, user_id FROM users UNION ALL BY NAME FROM users",
        "SELECT l.* FROM orders o, LATERAL (SELECT * FROM users u WHERE u.user_id = o.user_id) l",
        "SELECT * FROM users TABLESAMPLE 100%",
        "SELECT (SELECT u.*) FROM users u",
        "SELECT unnest([s]) FROM (SELECT * FROM users) s",
        "SELECT DISTINCT * FROM users AS Users",
        "SELECT * RENAME (city AS town) FROM users",
        "SELECT * REPLACE (1 AS city) FROM users",
    ],
)
def test_a_star_means_the_allowed_columns(sql, unguarded):
    tables = {"users": ["city", "user_id"], "orders": ["user_id", "amount"], "products": ["name"]}
    try:
        guarded = guard(sql, tables=tables)
    except GuardError as error:
        assert error.code == "sql_column"
        return
    with duckdb.connect() as connection:
        connection.execute(SHOP)
        try:
            shown = connection.execute(guarded.sql).fetchall()
        except duckdb.BinderException:
            return  # more names than columns are allowed
    assert "1380000" not in repr(shown) and "@example.com" not in repr(shown)
    assert len(shown) > 1 or shown == [(12,)], "a column that may not be read decides nothing"


@pytest.mark.parametrize(
    "sql, rows",
    [
        ("SELECT user_id FROM users", 4),
        ("SELECT user_id FROM users LIMIT 2", 2),
        ("SELECT user_id FROM users LIMIT 1000", 4),
        ("SELECT user_id FROM users LIMIT 50%", 4),
        ("SELECT user_id FROM users LIMIT (SELECT 8)", 4),
        ("SELECT user_id FROM users LIMIT 1 + 7", 4),
        ("SELECT user_id FROM users LIMIT 2 OFFSET 11", 1),
        ("SELECT user_id FROM users UNION ALL SELECT user_id FROM users", 4),
        ("(SELECT user_id FROM users LIMIT 9)", 4),
        ("VALUES (1), (2), (3), (4), (5)", 4),
        ("WITH a AS (SELECT user_id FROM users LIMIT 7) SELECT * FROM a", 4),
    ],
)
def test_limit_lets_one_row_more_through(sql, rows, engine, tables):
    guarded = guard(sql, tables=tables, max_rows=3)
    with duckdb.connect() as connection:
        connection.execute(SHOP)
        assert len(connection.execute(guarded.sql).fetchall()) == rows
    result = engine.run(guarded, max_rows=3)
    assert (len(result.rows), result.truncated) == (min(rows, 3), rows > 3)


def test_the_callers_tree_is_left_alone(tables):
    tree = sqlglot.parse_one("SELECT city FROM users", dialect="duckdb")
    before = tree.sql()
    assert "LIMIT 6" in guard(tree, tables=tables, max_rows=5).sql
    assert tree.sql() == before


@pytest.mark.parametrize(
    "tree",
    [
        exp.select(exp.Var(this="(SELECT max(pay) FROM secret_salaries)")).from_("users"),
        exp.select("1").from_(exp.Table(this=exp.Identifier(this="users, secret_salaries", quoted=False))),
        exp.select("1").from_(exp.Table(this=exp.Identifier(this="users", quoted=False), alias="u, secret_salaries")),
        exp.select(exp.column(exp.Identifier(this="city FROM users, secret_salaries --", quoted=False))).from_("users"),
        exp.select(exp.Anonymous(this="lower(city), sleep_ms", expressions=[exp.Literal.number(1)])).from_("users"),
        exp.select(exp.Interval(this=exp.Literal.number(1), unit=exp.Var(this="DAY, getvariable('x')"))).from_("users"),
    ],
)
def test_text_smuggled_into_a_tree_is_found(tree, tables):
    with pytest.raises(GuardError):
        guard(tree, tables=tables)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 9_000 + "1" + ")" * 9_000,
        "SELECT 1" + "+1" * 9_000,
        "SELECT 1 WHERE true" + " OR true" * 2_000,
        "SELECT " + "NOT " * 4_000 + "true",
        "SELECT * FROM (" * 600 + "SELECT 1" + ")" * 600,
        "SELECT " + "CASE WHEN true THEN " * 700 + "1" + " END" * 700,
        "SELECT " + "[" * 5_000 + "1" + "]" * 5_000,
        "SELECT city" + "[1]" * 5_000 + " FROM users",
        "SELECT " + "abs(" * 3_000 + "1" + ")" * 3_000,
        "SELECT 1" + " UNION ALL SELECT 1" * 900,
        "SELECT " + "list_transform([1], lambda x: " * 300 + "x" + ")" * 300,
    ],
    ids=lambda sql: sql[:24],
)
def test_deep_nesting_is_refused_at_once(sql, tables):
    started = time.process_time()
    with pytest.raises(GuardError) as refused:
        guard(sql, tables=tables)
    assert refused.value.code == "sql_too_deep"
    assert time.process_time() - started < 5


def test_length_is_limited_to_the_character(tables):
    fits = "SELECT 1 --" + "x" * (20_000 - 11)
    assert guard(fits, tables=tables)
    with pytest.raises(GuardError) as refused:
        guard(fits + "x", tables=tables)
    assert refused.value.code == "sql_too_long"


def test_every_allowed_function_is_one_of_duckdb(unguarded):
    known = {name for (name,) in unguarded.execute("SELECT lower(function_name) FROM duckdb_functions()").fetchall()}
    assert functions.FUNCTIONS - known == {"localtimestamp"}  # a word of its grammar


def test_no_function_reaches_beyond_the_data(unguarded):
    said = unguarded.execute(
        "SELECT lower(function_name), function_type, has_side_effects FROM duckdb_functions()"
    ).fetchall()
    tables = {name for name, kind, _ in said if kind in ("table", "table_macro", "pragma")}
    volatile = {name for name, _, effects in said if effects}
    assert functions.FUNCTIONS & tables == {"generate_series", "range", "unnest", "repeat", "histogram"}
    assert functions.FUNCTIONS & volatile <= {"random", "uuid"}
    words = re.compile(
        "current_(setting|database|schema|query|user|role)|read_|sleep|secret|pg_|has_.*privilege|duckdb|pragma|serialize|query"
    )
    assert not [name for name in functions.FUNCTIONS if words.search(name)]


# A mutation needs no meaning: whatever is accepted may read nothing that is not allowed, as DuckDB's own parser sees it.
TOKENS = re.compile(r"\s+|\w+|'[^']*'|\"[^\"]*\"|--|/\*|\*/|\$\$|.", re.DOTALL)
SPLINTERS = """secret_salaries other.users main. " ' ; -- /* */ ( ) , WITH RECURSIVE users LATERAL UNION $$ \\ E' AS . :: * COLUMNS pay
    query_table('secret_salaries') read_text('/etc/passwd') FROM SELECT { } [ ] := lambda \u00a0 \u3000 \u200b""".split()
ROUNDS = int(os.environ.get("WENSHU_FUZZ", "20000"))
SEEDS = range(20261031, 20261035)  # parts that run side by side


def mutated(chance: random.Random) -> str:
    """Return a statement of the corpora with a few tokens removed, repeated, exchanged or taken from another one."""
    corpora = [[case.values[1] for case in ATTACKS], [case.values[1] for case in BENIGN]]
    tokens = TOKENS.findall(chance.choice(chance.choice(corpora)))
    other = TOKENS.findall(chance.choice(chance.choice(corpora))) or ["SELECT"]
    for _ in range(chance.randint(1, 4)):
        place, start = chance.randrange(len(tokens) + 1), chance.randrange(len(other))
        match chance.randrange(9):
            case 0:
                del tokens[place : place + 1]
            case 1:
                tokens.insert(place, chance.choice(SPLINTERS))
            case 2:
                tokens[place:place] = other[start : start + chance.randint(1, 8)]
            case 3:
                tokens[place : place + 1] = [other[start]]
            case 4:
                tokens[place : place + 1] = [token.swapcase() for token in tokens[place : place + 1]]
            case 5:
                tokens[place:] = other[start:]
            case _:  # a word in the place of a word, a text in that of a text: more of these are SQL still
                for word in tokens[place : place + 1]:
                    alike = [each for each in (*other, *SPLINTERS) if each[0].isalpha() == word[0].isalpha() and each.isspace() == word.isspace()]
                    tokens[place] = chance.choice(alike or [word])
    return "".join(tokens)


def read_by_duckdb(node: object, found: set[str], named: set[str]) -> None:
    """Collect the tables and table functions of DuckDB's tree, and the names that WITH gives."""
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            found.add(
                ".".join(filter(None, (node.get(k, "") for k in ("catalog_name", "schema_name", "table_name")))).lower()
            )
        if node.get("type") == "TABLE_FUNCTION":
            found.add(node["function"]["function_name"].lower() + "()")
        if isinstance(node.get("map"), list):
            named.update(entry["key"].lower() for entry in node["map"] if isinstance(entry, dict) and "key" in entry)
        for child in node.values():
            read_by_duckdb(child, found, named)
    elif isinstance(node, list):
        for child in node:
            read_by_duckdb(child, found, named)


@pytest.mark.parametrize("seed", SEEDS)
def test_mutations_read_nothing_else(seed, tables, unguarded):
    chance, rounds = random.Random(seed), ROUNDS // len(SEEDS)
    allowed = {*tables, *(f"main.{table}" for table in tables), "range()", "generate_series()", "unnest()"}
    accepted = 0
    for _ in range(rounds):
        sql = mutated(chance)
        try:
            guarded = guard(sql, tables=tables, max_rows=20)
        except GuardError:
            continue
        accepted += 1
        found: set[str] = set()
        named: set[str] = set()
        [row] = unguarded.execute(SERIALIZE, [guarded.sql]).fetchall()
        read_by_duckdb(json.loads(row[0]), found, named)
        assert found - named <= allowed, (sql, guarded.sql)
        assert not named & set(tables), (sql, guarded.sql)
        try:
            rows = unguarded.execute(guarded.sql).fetchall()
        except duckdb.Error:
            continue
        assert not re.search(r"the boss|(?<![\d.])7777777(?!\d)", repr(rows)), (sql, guarded.sql)
    assert accepted > rounds / 50
