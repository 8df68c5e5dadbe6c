"""Statements in processes of their own: the same answers, limits that hold, and an engine that goes on whatever happens to a process."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread

import duckdb
import pytest
from sqlglot import exp

from wenshu.semantic_layer.cancellation import cancelled_by
from wenshu.semantic_layer.engine import DuckDBEngine, EngineSettings
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.guard import GuardedStatement
from wenshu.semantic_layer.worker_engine import WorkerEngine, _checked

CONTAINED = 60  # seconds, on whatever machine; 3 and 0.3 on one that does nothing else (benchmarks/worker.py)
GIVING_UP = "SELECT reservoir_quantile(i, 0.5, 2000000000) FROM range(100) t(i)"
SETTINGS = EngineSettings(memory="256MB", threads=2, seconds=2.0, sql_seconds=1.0)


def write_database(path: Path, users: int = 100) -> Path:
    made = path.with_suffix(".new")
    with duckdb.connect(str(made)) as connection:
        connection.execute(
            f"CREATE TABLE users AS SELECT i AS user_id, '城市' || i % 7 AS city, DATE '2026-01-01' AS entered FROM range({users}) t(i)"
        )
        connection.execute("CREATE TABLE events AS SELECT i AS event_id, md5(i::VARCHAR) AS payload FROM range(200000) t(i)")
    os.replace(made, path)
    return path


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_database(tmp_path_factory.mktemp("worker") / "it's a shop.duckdb")


@pytest.fixture
def engine(database: Path) -> Iterator[WorkerEngine]:
    engine = WorkerEngine(database, settings=SETTINGS)
    yield engine
    engine.close()


def unguarded(sql: str) -> GuardedStatement:
    """Return a statement that never saw the guard, to see what the process itself holds."""
    return GuardedStatement(tree=exp.select("1"), sql=sql, tables=())


def rows(engine: WorkerEngine, sql: str = "SELECT count(*) FROM users", max_rows: int = 100) -> tuple:
    return engine.run(unguarded(sql), max_rows=max_rows).rows


def code_of(run: Callable[[], object]) -> str:
    with pytest.raises(EngineError) as error:
        run()
    assert error.value.message.en and error.value.message.zh and error.value.hint.en and error.value.hint.zh
    assert not any(words in str(error.value) for words in ("Error:", "LINE 1", "Candidate", "Did you mean", "Traceback"))
    return error.value.code


def workers_of(engine: WorkerEngine) -> list[int]:
    return [worker._process.pid for worker in engine._idle]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def is_gone(pid: int) -> bool:
    """Say whether a process is gone, or a zombie that only waits to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


# The same answers


def test_the_same_as_in_this_process(engine, database):
    here = DuckDBEngine(database)
    assert engine.schema() == here.schema()
    sql = """
        SELECT user_id, city, entered, 1.50::DECIMAL(4, 2) AS price, TIMESTAMP '2026-02-03 04:05:06.7' AS at, user_id = 3 AS flag, NULL AS n,
               0.1::DOUBLE AS d, 'inf'::DOUBLE AS i, 2::HUGEINT ** 3 AS h, [1, 2] AS l, {'a': 'b'} AS s, 'x'::BLOB AS b, INTERVAL 1 DAY AS iv,
               170141183460469231731687303715884105727::HUGEINT AS huge, TIME '01:02:03' AS t, DATE '0044-03-15 (BC)' AS old
        FROM users ORDER BY user_id
    """
    for limit in (99, 100, 101):
        there, near = engine.run(unguarded(sql), max_rows=limit), here.run(unguarded(sql), max_rows=limit)
        assert (there.columns, there.types, there.rows[:-1]) == (near.columns, near.types, near.rows[:-1])
        assert there.truncated == near.truncated == (limit < 100)
    assert there.rows[1][:6] == (1, "城市1", date(2026, 1, 1), Decimal("1.50"), datetime(2026, 2, 3, 4, 5, 6, 700000), False)
    assert there.data_version == engine.data_version() == near.data_version
    here.close()


def test_a_moment_with_a_zone_is_the_same_moment(engine):
    ((moment,),) = rows(engine, "SELECT TIMESTAMPTZ '2026-02-03 04:05:06+08'")
    assert moment == datetime(2026, 2, 2, 20, 5, 6, tzinfo=UTC)


def test_data_files_are_copied_and_seen_anew_when_they_change(tmp_path, database):
    file = tmp_path / "rates.csv"
    file.write_text("city,rate\n北京,1.5\n")
    engine = WorkerEngine(database, files={"rates": str(file)}, settings=SETTINGS)
    assert rows(engine, "SELECT rate, (SELECT count(*) FROM users) FROM rates") == ((1.5, 100),)
    file.write_text("city,rate\n北京,2.5\n上海,3.5\n")
    assert rows(engine, "SELECT rate FROM rates ORDER BY 1") == ((2.5,), (3.5,))
    engine.close()


def test_statements_run_at_the_same_time(database):
    engine = WorkerEngine(database, settings=EngineSettings(workers=3, memory="256MB", threads=1))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: rows(engine, f"SELECT count(*) FROM events WHERE event_id < {n}"), range(60)))
    assert answers == [((n,),) for n in range(60)]
    assert 1 <= len(workers_of(engine)) <= 3
    engine.close()


# What a process may not


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_blob('{database}')",
        "ATTACH '{folder}/new.duckdb' AS new",
        "COPY users TO '{folder}/out.csv'",
        "COPY users TO '{database}.wal'",
        "CREATE TABLE t AS SELECT 1",
        "SET memory_limit = '8GB'",
        "SET GLOBAL max_execution_time = 0",
        "INSTALL httpfs",
    ],
)
def test_nothing_is_written_and_no_file_read(sql, engine, database):
    before = sorted(os.listdir(database.parent))
    words = {"database": str(database).replace("'", "''"), "folder": str(database.parent)}
    assert code_of(lambda: rows(engine, sql.format(**words)))
    assert sorted(os.listdir(database.parent)) == before
    assert rows(engine) == ((100,),)


@pytest.mark.parametrize("poison", ["CREATE TEMP VIEW users AS SELECT 1", "CREATE TEMP MACRO count(x) AS 42", "CREATE TEMP TABLE users AS SELECT 1 AS user_id"])
def test_each_statement_finds_a_fresh_session(poison, engine):
    rows(engine, poison)
    assert rows(engine, "SELECT count(user_id) FROM users") == ((100,),)


def test_the_process_has_no_environment_and_keeps_to_its_limits(engine, monkeypatch, database):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-of-the-parent")
    engine.close()
    engine = WorkerEngine(database, settings=SETTINGS)
    rows(engine)
    (pid,) = workers_of(engine)
    assert b"secret-of-the-parent" not in Path(f"/proc/{pid}/environ").read_bytes()
    limits = {kind: resource.prlimit(pid, kind)[0] for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)}
    assert set(limits.values()) == {0}
    assert 256 << 20 < resource.prlimit(pid, resource.RLIMIT_AS)[0] < 4 << 30
    assert 0 < resource.prlimit(pid, resource.RLIMIT_CPU)[0] < 60
    assert os.getsid(pid) == pid, "a Ctrl-C at the terminal reaches only who asked"
    modules = Path(f"/proc/{pid}/maps").read_text()
    assert "duckdb" in modules and "numpy" not in modules
    engine.close()


DENIALS = [
    "SELECT sleep_ms(60000)",
    "SELECT levenshtein(repeat('ab', 300000), repeat('ba', 300000))",
    "SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(1000000) b(i)",
    "SELECT list_sum(range(2000000000))",
    "SELECT repeat('x', 3000000000)",
    "SELECT lpad('x', 2000000000, 'y')",
    "SELECT list_aggregate(list_transform(range(100000000), lambda x: repeat('x', 100)), 'count')",
    "SELECT string_agg(i::TEXT, ',') FROM range(500000000) t(i)",
    "SELECT array_agg(i) FROM range(1000000000) t(i)",
    "SELECT i, count(*) FROM range(2000000000) t(i) GROUP BY i ORDER BY 2",
    "SELECT count(*) FROM (SELECT DISTINCT a.payload || b.payload FROM events a, events b)",
    "SELECT * FROM events a, events b, events c ORDER BY a.payload || b.payload || c.payload",
    "SELECT repeat('x', 5000000) FROM range(10000)",
    "SELECT * FROM range(100000000000)",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "WITH RECURSIVE t AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t",
    "SELECT regexp_matches(repeat('a', 9000000), '(a*)*(a*)*(a*)*b')",
    "SELECT quantile_cont(hash(a.payload || b.payload), 0.5) FROM events a, events b",
    "SELECT row_number() OVER (ORDER BY a.payload || b.payload) FROM events a, events b",
    "SELECT printf('%0500000000d', 1)",
    "SELECT count(*) FROM events a JOIN events b ON a.payload LIKE '%' || b.payload || '%'",
    "SELECT json_array(range(300000000))",
    "SELECT list_sort(list_transform(range(50000000), lambda x: -x))[1]",
    "SELECT len(flatten(list_transform(range(10000), lambda x: range(10000))))",
    "SELECT regexp_replace(repeat('ab', 20000000), '(a|b)*c', 'x', 'g')",
    "SELECT histogram(i) FROM range(100000000) t(i)",
    "SELECT max(s) FROM (SELECT sum(a.i) OVER (ORDER BY b.j, a.i ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING) AS s FROM range(30000) a(i), range(30000) b(j))",
    "SELECT length(json_group_array(i)) FROM range(50000000) t(i)",
    "SELECT length(array_to_string(range(100000000), ','))",
    "SELECT len(string_split(repeat('a,', 200000000), ','))",
    "SELECT reservoir_quantile(i, 0.5, 2000000000) FROM range(100) t(i)",
]


@pytest.fixture(scope="module")
def besieged(database: Path) -> Iterator[WorkerEngine]:
    engine = WorkerEngine(database, settings=SETTINGS)
    yield engine
    engine.close()


@pytest.mark.parametrize("sql", DENIALS)
def test_denials_of_service_are_contained(sql, besieged):
    engine = besieged
    started = time.perf_counter()
    try:
        result = engine.run(unguarded(sql), max_rows=100, by_hand=True)
        assert len(result.rows) <= 100 and sum(len(str(cell)) for row in result.rows for cell in row) < 2_000_000
    except EngineError as error:
        assert error.code in ("query_timeout", "out_of_memory", "result_too_large", "worker_lost", "query_failed"), sql
    assert time.perf_counter() - started < CONTAINED
    started = time.perf_counter()
    assert rows(engine) == ((100,),)
    assert time.perf_counter() - started < CONTAINED


def test_a_late_statement_is_named_with_its_limit(engine):
    with pytest.raises(EngineError) as error:
        engine.run(unguarded("SELECT sleep_ms(60000)"), max_rows=1, by_hand=True)
    assert error.value.code == "query_timeout"
    assert "1 seconds" in error.value.message.en and "1 秒" in error.value.message.zh
    assert "shorter period" in error.value.hint.en and "时间范围" in error.value.hint.zh


def test_long_texts_are_cut_and_large_results_refused(engine):
    ((text,),) = rows(engine, "SELECT repeat('数', 20000)")
    assert len(text) == 10_001 and text.endswith("…")
    assert code_of(lambda: rows(engine, "SELECT repeat('x', 9999) || i FROM range(100000) t(i)", 100_000)) in (
        "result_too_large",
        "out_of_memory",
    )
    assert rows(engine) == ((100,),)


# A process that is gone


def test_a_killed_process_between_statements_is_not_noticed(engine):
    rows(engine)
    for pid in workers_of(engine):
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: not any(worker.alive for worker in engine._idle))  # all of its threads
    assert rows(engine) == ((100,),)


def test_a_process_killed_at_work_is_told_and_replaced(engine):
    rows(engine)
    (pid,) = workers_of(engine)
    Thread(target=lambda: (time.sleep(0.3), os.kill(pid, signal.SIGKILL))).start()
    assert code_of(lambda: rows(engine, "SELECT sleep_ms(60000)")) == "worker_lost"
    started = time.perf_counter()
    assert rows(engine) == ((100,),)
    assert time.perf_counter() - started < CONTAINED
    assert pid not in workers_of(engine)


def test_an_instance_that_has_given_up_is_replaced(engine, database):
    """DuckDB answers nothing any more after an error of its own; the statement after that is answered by a new one."""
    rows(engine)
    [before] = workers_of(engine)
    assert code_of(lambda: rows(engine, GIVING_UP)) == "out_of_memory"
    assert rows(engine) == ((100,),)
    assert before not in workers_of(engine) and is_gone(before)


def test_cancelling_ends_the_query_and_its_process(engine):
    rows(engine)
    (pid,) = workers_of(engine)
    stop = Event()
    Thread(target=lambda: (time.sleep(0.3), stop.set())).start()
    started = time.perf_counter()
    with cancelled_by(stop):
        assert code_of(lambda: rows(engine, "SELECT sleep_ms(60000)")) == "cancelled"
        assert code_of(lambda: rows(engine)) == "cancelled", "nothing more is begun for it"
    assert time.perf_counter() - started < CONTAINED / 2
    assert is_gone(pid)
    assert rows(engine) == ((100,),)


def test_cancelling_leaves_the_line_for_a_process(engine):
    rows(engine)
    busy = Thread(target=lambda: code_of(lambda: rows(engine, "SELECT sleep_ms(60000)")))
    busy.start()
    time.sleep(0.2)
    stop = Event()
    stop.set()
    with cancelled_by(stop):
        assert code_of(lambda: rows(engine)) == "cancelled"
    busy.join()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_query_ends_with_the_program_that_asked(ending, database):
    program = """
import sys
from pathlib import Path
from sqlglot import exp
from wenshu.semantic_layer.guard import GuardedStatement
from wenshu.semantic_layer.worker_engine import WorkerEngine
engine = WorkerEngine(Path(sys.argv[1]))
engine.schema()
print(engine._idle[0]._process.pid, flush=True)
engine.run(GuardedStatement(tree=exp.select("1"), sql="SELECT sleep_ms(50000)", tables=()), max_rows=1)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(database)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as asking:
        assert asking.stdout
        pid = int(asking.stdout.readline())
        time.sleep(0.3)
        asking.send_signal(ending)
        asking.wait(timeout=10)
    assert wait_for(lambda: is_gone(pid))


def test_closing_ends_every_process(database):
    engine = WorkerEngine(database, settings=SETTINGS)
    rows(engine)
    pids = workers_of(engine)
    engine.close()
    assert pids and all(map(is_gone, pids))


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"columns": ["a"], "types": ["INTEGER"], "rows": [[1], [2], [3]]},
        {"columns": ["a"], "types": ["INTEGER"], "rows": [[1, 2]]},
        {"columns": ["a"], "types": [], "rows": []},
        {"columns": ["a"], "types": ["INTEGER"], "rows": [[[1]]]},
        {"columns": ["a"], "types": ["INTEGER"], "rows": [{"a": 1}]},
        {"columns": [1], "types": ["INTEGER"], "rows": []},
        {"columns": "a", "types": "b", "rows": []},
    ],
)
def test_what_is_no_result_is_not_taken_for_one(reply):
    assert code_of(lambda: _checked(reply, 2)) == "worker_lost"


# Data that change, go and are broken


def test_a_replaced_database_is_answered_from_at_once(tmp_path):
    path = write_database(tmp_path / "shop.duckdb")
    engine = WorkerEngine(path, settings=SETTINGS)
    before = engine.run(unguarded("SELECT count(*) FROM users"), max_rows=1)
    write_database(path, users=7)
    after = engine.run(unguarded("SELECT count(*) FROM users"), max_rows=1)
    assert (before.rows, after.rows) == (((100,),), ((7,),))
    assert before.data_version != after.data_version == engine.data_version()
    engine.close()


def test_a_missing_database_is_an_error_and_not_the_old_answer(tmp_path):
    path = write_database(tmp_path / "shop.duckdb")
    engine = WorkerEngine(path, settings=SETTINGS)
    assert rows(engine) == ((100,),)
    path.rename(tmp_path / "elsewhere.duckdb")
    assert code_of(lambda: rows(engine)) == "database_missing"
    assert code_of(engine.schema) == "database_missing"
    (tmp_path / "elsewhere.duckdb").rename(path)
    assert rows(engine) == ((100,),)
    engine.close()
    with pytest.raises(EngineError):
        WorkerEngine(tmp_path / "none.duckdb")


@pytest.mark.parametrize("content", [b"", b"not a database", os.urandom(20_000)], ids=["empty", "text", "noise"])
def test_a_broken_database_is_told_until_it_is_whole(content, tmp_path):
    path = write_database(tmp_path / "shop.duckdb")
    engine = WorkerEngine(path, settings=SETTINGS)
    rows(engine)
    (tmp_path / "broken").write_bytes(content)
    os.replace(tmp_path / "broken", path)
    assert code_of(lambda: rows(engine)) == "database_invalid"
    assert code_of(lambda: rows(engine)) == "database_invalid"
    write_database(path, users=5)
    assert rows(engine) == ((5,),)
    engine.close()


def test_a_database_being_written_is_told_until_it_is_free(tmp_path):
    path = tmp_path / "shop.duckdb"
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute('CREATE TABLE users AS SELECT 1'); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout and writer.stdout.readline() == "1\n"
        engine = WorkerEngine(path, settings=SETTINGS)
        assert code_of(lambda: rows(engine)) == "database_locked"
        writer.communicate("\n")
    assert rows(engine) == ((1,),)
    engine.close()


def test_spilling_is_off_unless_it_is_asked_for(database, tmp_path):
    large = "SELECT count(*) FROM (SELECT a.payload || b.user_id AS k FROM events a, users b WHERE b.user_id < 20 GROUP BY k)"
    tight = EngineSettings(memory="60MB", threads=1, seconds=60)
    engine = WorkerEngine(database, settings=tight)
    assert code_of(lambda: rows(engine, large)) == "out_of_memory"
    engine.close()
    folder = tmp_path / "spill"
    engine = WorkerEngine(
        database, settings=EngineSettings(memory="100MB", threads=1, seconds=60, spill=str(folder), spill_size="2GB")
    )
    assert rows(engine, large) == ((4_000_000,),)
    assert code_of(lambda: rows(engine, f"COPY users TO '{tmp_path}/out.csv'")), "other files stay closed"
    assert not (tmp_path / "out.csv").exists()
    engine.close()
