"""Owns what touches the data: opening a database locked down, running a statement in it and, as a program, doing so within limits.

DuckDB has no wall of its own between a statement and the machine, so an instance gives up what a question does not need, in this order:
the data are attached read-only, nothing writable stays, files and extensions are closed off, and the settings are locked. Each statement
runs in a session of its own, as some settings of a session cannot be locked. The guard stands before all of this.

As a program it reads one JSON object a line and answers each with one: first the opening, then statements. It imports DuckDB and the
standard library only, so that it starts fast, and is given no environment, so that there is nothing in it to be stolen.
"""

import json
import math
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from queue import SimpleQueue
from typing import Any, BinaryIO

import duckdb

TABLES_AND_COLUMNS = """
    SELECT table_name, column_name, data_type FROM duckdb_columns()
    WHERE database_name = 'data' AND schema_name = 'main' AND NOT internal ORDER BY table_name, column_index
"""
MAX_CELL = 10_000  # characters of a text
MAX_REPLY = 32_000_000  # bytes of a whole result
CHUNK = 1_000
HEADROOM = 512 << 20  # bytes of address space beside what the database may hold: threads, Python, rows on their way out
UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

# Wordings of DuckDB by which an error of a kind that has several causes is told apart; they are never shown.
GONE = ("does not exist", "not found in FROM clause", "does not have a column named")
NO_ROOM = "allocation failure"
IN_USE = ("Could not set lock", "already open", "being used by another process")

Connection = duckdb.DuckDBPyConnection
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Set how much of the machine an engine may take.

    Each of up to `workers` processes may hold `memory` (a size such as "8GB" or a share of the machine's), run `threads` (all cores by
    default), and work `seconds` on a query of the model, `sql_seconds` on a statement that somebody wrote. With `spill`, a folder,
    what does not fit into memory is put there, up to `spill_size`; without it nothing is ever written, and the file system is closed.
    """

    workers: int = 1
    memory: str = "60%"
    threads: int | None = None
    seconds: float = 60.0
    sql_seconds: float = 2.0
    spill: str | None = None
    spill_size: str = "10GB"

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"a statement needs a worker, not {self.workers}")
        if self.seconds <= 0 or self.sql_seconds <= 0:
            raise ValueError(f"a statement needs some time to run, not {min(self.seconds, self.sql_seconds)} seconds")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"a statement needs a thread to run on, not {self.threads}")


def open_locked(data: str, base: str | None, settings: EngineSettings) -> Connection:
    """Open the database file `data`, whose views may read the database file `base`, and give up everything but reading them."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.memory,
        "temp_directory": settings.spill or "",
        "max_temp_directory_size": settings.spill_size if settings.spill else "0KB",
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "python_enable_replacements": False,
    }
    if settings.threads is not None:
        config["threads"] = settings.threads
    # An instance in memory of our own, not one that the client library may share by path with others in this process.
    instance = duckdb.connect(":memory:", config=config)
    if base:
        instance.execute(f"ATTACH {literal(base)} AS base (READ_ONLY)")
    instance.execute(f"ATTACH {literal(data)} AS data (READ_ONLY)")
    instance.execute("USE data")
    instance.execute("DETACH memory")
    instance.execute("SET enable_progress_bar = false")
    instance.execute(f"SET GLOBAL max_execution_time = {math.ceil(settings.seconds * 1000)}")
    instance.execute("SET enable_external_access = false")
    if not settings.spill:
        instance.execute("SET disabled_filesystems = 'LocalFileSystem'")
    instance.execute("SET lock_configuration = true")
    return instance


def literal(text: str) -> str:
    """Return a text as SQL writes it.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def read_schema(instance: Connection) -> list[Row]:
    """Return each table and view of the data with its columns and their types."""
    with instance.cursor() as session:
        return session.execute(TABLES_AND_COLUMNS).fetchall()


def run_statement(instance: Connection, sql: str, max_rows: int) -> tuple[list[str], list[str], list[Row]]:
    """Return a statement's column names, their types and at most `max_rows` rows.

    Raises `OverflowError` where the rows are more than a result may hold.
    """
    with instance.cursor() as session:
        session.execute("USE data")  # a new session starts in whichever database was attached first
        session.execute(sql)
        columns = session.description or []
        types = [str(column[1]) for column in columns]
        rows: list[Row] = []
        size = 0
        while len(rows) < max_rows and (chunk := session.fetchmany(min(CHUNK, max_rows - len(rows)))):
            rows += (tuple(map(_bounded, row)) for row in chunk)
            size += sum(len(cell) if isinstance(cell, str) else 8 for row in rows[-len(chunk) :] for cell in row)
            if size > MAX_REPLY // 4:  # a character takes up to four bytes
                raise OverflowError
    return [str(column[0]) for column in columns], types, rows


def _bounded(value: Any) -> Any:
    """Return a value of the database as a plain one: what is no finite number is None, odd types and long texts are short texts."""
    match value:
        case None | bool() | int() | Decimal() | date():
            return value
        case float():
            return value if math.isfinite(value) else None
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"


def opening_failure(error: duckdb.Error) -> str:
    """Return the code of why a database could not be opened."""
    if any(wording in str(error) for wording in IN_USE):
        return "database_locked"
    return "out_of_memory" if isinstance(error, duckdb.OutOfMemoryException) else "database_invalid"


def running_failure(error: Exception) -> str:
    """Return the code of why a statement was not answered."""
    match error:
        case OverflowError():
            return "result_too_large"
        case duckdb.InterruptException():
            return "query_timeout"
        case duckdb.OutOfMemoryException() | MemoryError():
            return "out_of_memory"
        case duckdb.CatalogException() | duckdb.BinderException() if any(words in str(error) for words in GONE):
            return "data_changed"
        case duckdb.IOException() | duckdb.SerializationException():
            return "database_invalid"
        case duckdb.InternalException() | duckdb.FatalException() if NO_ROOM in str(error):
            return "out_of_memory"
    return "query_failed"


def is_fatal(error: Exception) -> bool:
    """Say whether an instance answers nothing any more after an error, as it does after an internal one."""
    return isinstance(error, duckdb.InternalException | duckdb.FatalException)


# The program


def main() -> None:
    """Answer on standard output what comes on standard input, until it ends."""
    replies = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    requests: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, requests), daemon=True).start()
    opening = requests.get()
    settings = EngineSettings(**opening["settings"])
    try:
        instance = open_locked(opening["data"], opening["base"], settings)
        _limit(instance, settings)
    except duckdb.Error as error:
        return _reply(replies, {"failed": opening_failure(error)})
    _reply(replies, {"opened": True})
    threads = settings.threads or os.cpu_count() or 1
    while True:
        request = requests.get()
        _limit_work(request["seconds"] * threads)
        _reply(replies, _answered(instance, request))


def _read(stream: BinaryIO, requests: "SimpleQueue[Any]") -> None:
    for line in stream:
        requests.put(json.loads(line))
    os._exit(0)  # whoever asked is gone, and so is the use of whatever runs


def _reply(replies: BinaryIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply, ensure_ascii=False, allow_nan=False, default=str).encode() + b"\n")
    replies.flush()


def _answered(instance: Connection, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if "sql" not in request:
            return {"schema": read_schema(instance)}
        columns, types, rows = run_statement(instance, request["sql"], request["max_rows"])
        return {"columns": columns, "types": types, "rows": rows}
    except (duckdb.Error, MemoryError, OverflowError) as error:
        return {"failed": running_failure(error), "fatal": is_fatal(error)}


def _limit(instance: Connection, settings: EngineSettings) -> None:
    """Take from this process what no statement needs: more memory than agreed, writing files, leaving a core dump."""
    import resource

    rows = instance.execute("SELECT current_setting('memory_limit')").fetchall()
    number, unit = str(rows[0][0]).split()
    limits = [(resource.RLIMIT_CORE, 0)]
    if not settings.spill:
        limits.append((resource.RLIMIT_FSIZE, 0))
    with suppress(OSError):  # elsewhere than on Linux the size of a process is not told, nor kept to
        with open("/proc/self/statm") as statm:
            taken = int(statm.read().split()[0]) * resource.getpagesize()
        limits.append((resource.RLIMIT_AS, taken + int(float(number) * UNITS[unit]) + HEADROOM))
    for kind, limit in limits:
        resource.setrlimit(kind, (limit, limit))


def _limit_work(seconds: float) -> None:
    """Let this process end by itself where nobody ends it: after so many more seconds of a core's work."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, most))


if __name__ == "__main__":
    main()
