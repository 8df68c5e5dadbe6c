"""Measure what it adds to run a statement in a process of its own, and how long service is gone after one had to be killed."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from _measuring import arguments, milliseconds, print_times, shop
from sqlglot import exp

from wenshu.semantic_layer.engine import DuckDBEngine, Engine, EngineSettings
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.guard import GuardedStatement
from wenshu.semantic_layer.worker_engine import WorkerEngine

SMALL = "SELECT channel, count(*) FROM users GROUP BY channel"
LARGE = "SELECT * FROM orders LIMIT 10000"
ENDLESS = {
    "DuckDB can stop it": "SELECT count(*) FROM orders a, orders b, orders c WHERE a.amount + b.amount < c.amount",
    "DuckDB cannot": "SELECT levenshtein(repeat('ab', 1000000), repeat('ba', 1000000))",
    "too much memory": "SELECT list_sum(range(2000000000))",
}


def main() -> None:
    """Print times of statements in this process and in another, and of what comes after a statement had to be ended."""
    options = arguments(__doc__ or "", users=20_000, repeat=100)
    database = shop(options.folder, options.users)
    settings = EngineSettings(memory="1GB", sql_seconds=1)
    here, there = DuckDBEngine(database, settings=settings), WorkerEngine(database, settings=settings)

    def run(engine: Engine, sql: str) -> Callable[[], object]:
        statement = GuardedStatement(tree=exp.select("1"), sql=sql, tables=())
        return lambda: engine.run(statement, max_rows=10_000, by_hand=True)

    rows: list[tuple[str, list[float]]] = []
    for name, sql in (("6 rows", SMALL), ("10,000 rows of 10 columns", LARGE)):
        times: dict[str, list[float]] = {"in this process": [], "in a worker": []}
        for _ in range(options.repeat):
            times["in this process"].append(milliseconds(run(here, sql)))
            times["in a worker"].append(milliseconds(run(there, sql)))
        rows += [(f"{name}, {where}", values) for where, values in times.items()]
    rows.append(("starting a worker, to the first row", [milliseconds(lambda: first_row(database, settings)) for _ in range(10)]))
    for name, sql in ENDLESS.items():
        ended, next_one = [], []
        for _ in range(5):
            started = time.perf_counter()
            try:
                run(there, sql)()
            except EngineError:
                ended.append((time.perf_counter() - started) * 1000)
            next_one.append(milliseconds(run(there, SMALL)))
        rows += [(f"{name}: ended after", ended), ("  the next statement", next_one)]
    after_kill = []
    for _ in range(10):
        os.kill(there._idle[0]._process.pid, signal.SIGKILL)
        time.sleep(0.1)
        after_kill.append(milliseconds(run(there, SMALL)))
    rows.append(("the next statement after kill -9", after_kill))
    print(f"{options.users:,} users; limit of a statement: {settings.sql_seconds:g} s")
    print_times(rows)
    here.close()
    there.close()


def first_row(database: Path, settings: EngineSettings) -> None:
    engine = WorkerEngine(database, settings=settings)
    engine.run(GuardedStatement(tree=exp.select("1"), sql=SMALL, tables=()), max_rows=10)
    engine.close()


if __name__ == "__main__":
    main()
