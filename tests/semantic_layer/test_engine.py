"""The engine against real databases: what it answers, what it says when it cannot, and what the lock-down leaves open."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings, RawResult
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.guard import GuardedStatement, guard

ROWS = 200_000


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engine") / "it's a shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"""
            CREATE TABLE users AS SELECT i AS user_id, 'city ' || i % 7 AS city, DATE '2026-01-01' AS entered FROM range(100) t(i);
            CREATE TABLE events AS SELECT i AS event_id, md5(i::VARCHAR) AS payload FROM range({ROWS}) t(i);
            CREATE VIEW first_users AS SELECT * FROM users WHERE user_id < 3;
            CREATE SCHEMA other; CREATE TABLE other.users AS SELECT 'hidden' AS note;
            """
        )
    return path


@pytest.fixture
def engine(database: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(database)
    yield engine
    engine.close()


def ask(engine: DuckDBEngine, sql: str, max_rows: int = 100) -> RawResult:
    return engine.run(guard(sql, tables=engine.schema(), max_rows=max_rows), max_rows=max_rows)


def past_the_guard(sql: str) -> GuardedStatement:
    """Return a statement that never saw the guard, to see what the engine itself prevents."""
    return GuardedStatement(tree=exp.select("1"), sql=sql, tables=())


def code_of(error: pytest.ExceptionInfo[EngineError]) -> str:
    said = error.value.message.en + error.value.hint.en
    assert error.value.message.zh and error.value.hint.zh
    assert not any(words in said for words in ("Error:", "LINE 1", "Candidate", "Did you mean"))
    return error.value.code


def test_schema_is_of_tables_and_views_in_main(engine):
    assert engine.schema() == {
        "users": {"user_id": "BIGINT", "city": "VARCHAR", "entered": "DATE"},
        "events": {"event_id": "BIGINT", "payload": "VARCHAR"},
        "first_users": {"user_id": "BIGINT", "city": "VARCHAR", "entered": "DATE"},
    }


def test_result_holds_columns_types_and_python_values(engine):
    result = ask(
        engine, "SELECT user_id, city, entered, 1.50::DECIMAL(4, 2) AS price FROM first_users ORDER BY user_id"
    )
    assert result.columns == ("user_id", "city", "entered", "price")
    assert result.types == ("BIGINT", "VARCHAR", "DATE", "DECIMAL(4,2)")
    assert result.rows[1] == (1, "city 1", date(2026, 1, 1), Decimal("1.50"))
    assert len(result.rows) == 3 and not result.truncated and result.elapsed > 0


def test_what_is_not_a_number_is_empty(engine):
    assert ask(engine, "SELECT 1 / 0, -1 / 0, 'nan'::DOUBLE, 0.5, 'inf'").rows == (
        (None, None, None, Decimal("0.5"), "inf"),
    )
    assert ask(engine, "SELECT 'nan'::FLOAT, 1 / 4").rows == ((None, 0.25),)


@pytest.mark.parametrize("max_rows, truncated", [(99, True), (100, False), (101, False)])
def test_truncation_is_told(engine, max_rows, truncated):
    result = ask(engine, "SELECT user_id FROM users", max_rows)
    assert (len(result.rows), result.truncated) == (min(100, max_rows), truncated)


def test_rows_are_capped_without_a_limit_too(engine):
    result = engine.run(guard("SELECT * FROM events", tables=engine.schema()), max_rows=5)
    assert (len(result.rows), result.truncated) == (5, True)


def test_data_read_after_opening_need_no_file_system(database):
    """Blocks of the file come in as they are needed, through the handle that opening left."""
    engine = DuckDBEngine(database, settings=EngineSettings(memory="64MB", threads=1))
    [(count, letters)] = ask(engine, "SELECT count(*), sum(length(payload)) FROM events WHERE payload >= '0'").rows
    assert (count, letters) == (ROWS, ROWS * 32)
    engine.close()


def test_opening_is_fast(database):
    def opening() -> float:
        started = time.process_time()
        DuckDBEngine(database).close()
        return time.process_time() - started

    assert min(opening() for _ in range(5)) < 0.1


def test_engines_on_one_file_are_apart(database):
    first, second = DuckDBEngine(database), DuckDBEngine(database, settings=EngineSettings(threads=1))
    first.close()
    assert ask(second, "SELECT count(*) FROM users").rows == ((100,),)
    second.close()


def test_sessions_run_at_the_same_time(engine):
    engine.schema()
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda n: ask(engine, f"SELECT count(*) FROM events WHERE event_id < {n}").rows, range(40))
        )
    assert answers == [((n,),) for n in range(40)]


# What the engine itself prevents, should the guard ever fail.

WRITES_AND_FILES = [
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE MACRO f(x) AS 1",
    "INSERT INTO users VALUES (1, 'x', NULL)",
    "UPDATE users SET city = 'x'",
    "DELETE FROM users",
    "DROP TABLE users",
    "DROP VIEW first_users",
    "ALTER TABLE users ADD COLUMN x INTEGER",
    "COPY users TO '{folder}/out.csv'",
    "COPY users TO '{database}.wal'",
    "EXPORT DATABASE '{folder}/out'",
    "ATTACH '{database}' AS again",
    "ATTACH '{folder}/new.duckdb' AS new",
    "SELECT * FROM read_blob('{database}')",
    "SELECT * FROM read_duckdb('{database}', table_name = 'users')",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_csv('{database}')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/hostname'",
    "SELECT * FROM 'https://example.org/x.csv'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '1GB'",
    "SET GLOBAL max_execution_time = 0",
    "SET enable_external_access = true",
    "SET disabled_filesystems = ''",
    "SET lock_configuration = false",
    "RESET disabled_filesystems",
    "CREATE PERSISTENT SECRET s (TYPE s3)",
]


@pytest.mark.parametrize("sql", WRITES_AND_FILES)
def test_engine_writes_and_reads_nothing_else(sql, engine, database):
    before = sorted(os.listdir(database.parent))
    words = {"database": str(database).replace("'", "''"), "folder": str(database.parent)}
    with pytest.raises(EngineError) as error:
        engine.run(past_the_guard(sql.format(**words)), max_rows=10)
    assert code_of(error)
    assert sorted(os.listdir(database.parent)) == before
    assert ask(engine, "SELECT count(*) FROM users").rows == ((100,),)


@pytest.mark.parametrize(
    "poison",
    [
        "CREATE TEMP VIEW users AS SELECT 1 AS user_id",
        "CREATE TEMP TABLE users AS SELECT 1 AS user_id",
        "CREATE TEMP MACRO count(x) AS 42",
        "SET schema = 'other'",
        "SET search_path = 'other'",
        "USE other",
        "SET VARIABLE x = 1",
        "PREPARE p AS SELECT 1",
    ],
)
def test_one_statement_leaves_nothing_to_the_next(poison, engine):
    engine.run(past_the_guard(poison), max_rows=10)
    assert ask(engine, "SELECT count(*), count(user_id), max(user_id) FROM users").rows == ((100, 100, 99),)


def test_variables_of_the_program_are_no_tables(engine):
    users_of_the_program = [1, 2, 3]
    with pytest.raises(EngineError):
        engine.run(past_the_guard("SELECT * FROM users_of_the_program"), max_rows=10)
    assert users_of_the_program


# What is said when there is no answer.


def test_missing_database_is_named_and_not_made(tmp_path):
    missing = tmp_path / "none.duckdb"
    with pytest.raises(EngineError) as error:
        DuckDBEngine(missing)
    assert code_of(error) == "database_missing"
    assert "none.duckdb" in error.value.message.en and "wenshu data build" in error.value.hint.en
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"not a database", b"x" * 20_000], ids=["empty", "text", "long"])
def test_a_file_that_is_no_database_is_invalid(content, tmp_path):
    path = tmp_path / "some.duckdb"
    path.write_bytes(content)
    with pytest.raises(EngineError) as error:
        DuckDBEngine(path)
    assert code_of(error) == "database_invalid"
    assert path.read_bytes() == content


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(EngineError) as error:
        DuckDBEngine(tmp_path)
    assert code_of(error) == "database_missing"


def test_a_database_cut_short_is_invalid(database, tmp_path):
    path = tmp_path / "short.duckdb"
    path.write_bytes(database.read_bytes()[: database.stat().st_size // 3])
    with pytest.raises(EngineError) as error:
        engine = DuckDBEngine(path)
        ask(engine, "SELECT count(*), min(payload || 'x') FROM events")
    assert code_of(error) == "database_invalid"


def test_a_database_of_a_newer_version_is_invalid(database, tmp_path):
    path = tmp_path / "newer.duckdb"
    content = bytearray(database.read_bytes())
    content[12:20] = (9_999).to_bytes(8, "little")  # the storage version, after checksum and magic bytes
    path.write_bytes(content)
    with pytest.raises(EngineError) as error:
        DuckDBEngine(path)
    assert code_of(error) == "database_invalid"


def test_a_database_being_written_is_locked(tmp_path):
    path = tmp_path / "busy.duckdb"
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute('CREATE TABLE t AS SELECT 1'); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout and writer.stdout.readline() == "1\n"
        with pytest.raises(EngineError) as error:
            DuckDBEngine(path)
        writer.communicate("\n")
    assert code_of(error) == "database_locked"
    assert ask(DuckDBEngine(path), "SELECT * FROM t").rows == ((1,),)


def test_a_slow_query_is_stopped(database):
    engine = DuckDBEngine(database, settings=EngineSettings(seconds=0.3))
    started = time.perf_counter()
    with pytest.raises(EngineError) as error:
        ask(engine, "SELECT sum(hash(a.payload || b.payload) % 7) FROM events a CROSS JOIN events b")
    assert code_of(error) == "query_timeout"
    assert time.perf_counter() - started < 10
    assert ask(engine, "SELECT count(*) FROM users").rows == ((100,),)
    engine.close()


def test_too_much_memory_is_refused_and_given_back(database):
    engine = DuckDBEngine(database, settings=EngineSettings(memory="40MB", threads=1))
    with pytest.raises(EngineError) as error:
        ask(
            engine,
            "SELECT a.payload || b.user_id AS k, count(*) FROM events a CROSS JOIN users b GROUP BY k ORDER BY 2",
        )
    assert code_of(error) == "out_of_memory"
    assert ask(engine, "SELECT count(*) FROM users").rows == ((100,),)
    engine.close()


@pytest.mark.parametrize(
    "sql", ["SELECT gone FROM users", "SELECT u.gone FROM users u", "SELECT * FROM gone", "SELECT gone.x FROM gone"]
)
def test_a_table_or_column_that_has_gone(sql, engine):
    remembered = {"users": ["user_id", "gone"], "gone": ["x"]}
    with pytest.raises(EngineError) as error:
        engine.run(guard(sql, tables=remembered), max_rows=10)
    assert code_of(error) == "data_changed"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(city) FROM users",
        "SELECT city::INTEGER FROM users",
        "SELECT 1 // 0",
        "SELECT city + entered FROM users",
    ],
)
def test_a_query_that_makes_no_sense_says_nothing_of_the_data(sql, engine):
    with pytest.raises(EngineError) as error:
        ask(engine, sql)
    assert code_of(error) == "query_failed"
    assert "city" not in str(error.value)


def test_nothing_to_open_is_a_mistake_of_the_program():
    with pytest.raises(ValueError):
        DuckDBEngine(None)


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"threads": 0}])
def test_settings_check_themselves(wrong):
    with pytest.raises(ValueError):
        EngineSettings(**wrong)


# Data files.


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    with duckdb.connect() as connection:
        for month in (1, 2):
            connection.execute(
                f"COPY (SELECT {month} AS month, i AS n FROM range(10) t(i)) TO '{tmp_path}/part {month}.parquet'"
            )
        connection.execute(f"COPY (SELECT '北京' AS city, 1.5 AS rate) TO '{tmp_path}/rates.csv'")
    return {"parts": f"{tmp_path}/part *.parquet", "rates": f"{tmp_path}/rates.csv"}


def test_files_become_tables(files):
    engine = DuckDBEngine(None, files=files)
    assert engine.schema() == {
        "parts": {"month": "INTEGER", "n": "BIGINT"},
        "rates": {"city": "VARCHAR", "rate": "DOUBLE"},
    }
    assert ask(engine, "SELECT count(*), sum(n) FROM parts WHERE month = 2").rows == ((10, 45),)
    assert ask(engine, "SELECT * FROM main.rates").rows == (("北京", 1.5),)
    with pytest.raises(EngineError):
        engine.run(past_the_guard("DROP TABLE rates"), max_rows=1)
    with pytest.raises(EngineError):
        engine.run(past_the_guard(f"SELECT * FROM read_csv('{files['rates']}')"), max_rows=1)
    engine.close()


def test_files_stand_beside_a_database(files, database):
    engine = DuckDBEngine(database, files=files)
    assert set(engine.schema()) == {"parts", "rates", "users", "events", "first_users"}
    assert ask(engine, "SELECT count(*), max(n) FROM users JOIN parts ON users.user_id = parts.n").rows == ((20, 9),)
    assert ask(engine, "SELECT count(*) FROM first_users").rows == ((3,),)
    engine.close()


def test_the_copy_of_the_files_is_removed(files, tmp_path, monkeypatch):
    place = tmp_path / "copies"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    engine = DuckDBEngine(None, files=files)
    assert list(place.iterdir())
    engine.close()
    assert not list(place.iterdir())
    with pytest.raises(EngineError):
        DuckDBEngine(None, files={"broken": str(Path(__file__).with_name("none.csv"))})
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    "pattern, code",
    [("none.parquet", "data_file_missing"), ("none-*.csv", "data_file_missing"), ("x.xlsx", "data_file_unknown")],
)
def test_a_data_file_that_cannot_be_read_is_named(pattern, code, tmp_path):
    with pytest.raises(EngineError) as error:
        DuckDBEngine(None, files={"sales": str(tmp_path / pattern)})
    assert code_of(error) == code
    assert "sales" in error.value.message.en and pattern in error.value.message.zh


def test_version_changes_with_the_data(database, files):
    engine, again = DuckDBEngine(database, files=files), DuckDBEngine(database, files=files)
    assert engine.data_version() == again.data_version()
    before = engine.data_version()
    os.utime(files["rates"], (1, 1))
    between = engine.data_version()
    os.utime(database, (1, 1))
    assert len({before, between, engine.data_version()}) == 3
    assert engine.data_version() != DuckDBEngine(database).data_version()
    engine.close()
    again.close()


def test_the_dialect_is_one_sqlglot_writes(engine):
    assert sqlglot.Dialect.get(engine.dialect)
