"""Owns what an engine is: guarded statements in, rows out, and what is said when there are none. Knows nothing of models.

`DuckDBEngine` answers in this process; `WorkerEngine` (worker_engine.py) does the same in processes with limits, which every door uses.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb

from wenshu.semantic_layer.data_files import NO_FILES, DataFiles
from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.guard import GuardedStatement
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.worker import (
    EngineSettings,
    is_fatal,
    open_locked,
    opening_failure,
    read_schema,
    run_statement,
    running_failure,
)

Schema = Mapping[str, Mapping[str, str]]

__all__ = ["DuckDBEngine", "Engine", "EngineSettings", "RawResult", "Schema", "failure", "schema_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResult:
    """Hold what a statement returned: column names and database types, rows of plain Python values, and the seconds it took.

    Numbers that are not finite are None, what has no plain form is text, and a very long text is cut. `truncated` tells that there were
    more rows than asked for, `data_version` which data the rows are of.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    truncated: bool
    elapsed: float
    data_version: str


class Engine(Protocol):
    """Answer guarded statements from one database."""

    dialect: str

    def schema(self) -> Schema:
        """Return every table and view that can be read, each with its columns and their types."""
        ...

    def run(self, statement: GuardedStatement, *, max_rows: int, by_hand: bool = False) -> RawResult:
        """Return the first `max_rows` rows of `statement`; one written `by_hand` gets less time than one of a model."""
        ...

    def data_version(self) -> str:
        """Return a word that changes when the data change."""
        ...

    def close(self) -> None:
        """Give up the database."""
        ...


class DuckDBEngine:
    """Answer from a DuckDB file, from data files, or from both together, in this process.

    It sees the data as they were when it was opened, and stops a statement by DuckDB's own limits only.
    """

    dialect = "duckdb"

    def __init__(
        self, database: Path | None, *, files: Mapping[str, str] = NO_FILES, settings: EngineSettings = EngineSettings()
    ) -> None:
        self._data = DataFiles(database, files)
        self._schema: Schema | None = None
        self._version = self._data.version()
        self._settings = settings
        try:
            self._instance = self._opened()
        except duckdb.Error as error:
            self._data.discard()
            raise failure(opening_failure(error), database) from None

    def _opened(self) -> duckdb.DuckDBPyConnection:
        return open_locked(*self._data.opening(self._version), self._settings)

    def schema(self) -> Schema:
        if self._schema is None:
            self._schema = schema_of(read_schema(self._instance))
        return self._schema

    def run(self, statement: GuardedStatement, *, max_rows: int, by_hand: bool = False) -> RawResult:
        started = time.perf_counter()
        try:
            columns, types, rows = run_statement(self._instance, statement.sql, max_rows + 1)
        except (duckdb.Error, MemoryError, OverflowError) as error:
            if is_fatal(error):
                with suppress(duckdb.Error):
                    self._instance = self._opened()
            raise failure(running_failure(error)) from None
        return RawResult(
            columns=tuple(columns),
            types=tuple(types),
            rows=tuple(rows[:max_rows]),
            truncated=len(rows) > max_rows,
            elapsed=time.perf_counter() - started,
            data_version=self._version,
        )

    def data_version(self) -> str:
        return self._data.version()

    def close(self) -> None:
        self._instance.close()
        self._data.discard()


def schema_of(rows: list[tuple[str, str, str]]) -> Schema:
    """Return the tables of rows that each name a table, a column and its type."""
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        tables.setdefault(table, {})[column] = kind
    return tables


def failure(code: str, database: Path | None = None) -> EngineError:
    """Return the error that says in words what an engine's code means; a code that is none is an answer that failed."""
    message, hint = FAILURES.get(code, FAILURES["query_failed"])(database)
    return EngineError(code if code in FAILURES else "query_failed", message, hint)


NARROW = Text("Ask about a shorter period, or with fewer groups or filters.", "请缩短时间范围，或减少分组和条件。")

# Each takes the database, where the failure is about its file.
FAILURES: Mapping[str, Callable[[Path | None], tuple[Text, Text]]] = {
    "database_locked": lambda database: (
        Text(
            f"The database {database} is being written by another program.",
            f"数据库 {database} 正在被其他程序写入。",
        ),
        Text("Wait until that has finished, or stop it, and ask again.", "请等它完成或停止它，然后重试。"),
    ),
    "database_invalid": lambda database: (
        Text(
            f"{database or 'The database'} cannot be read: it is damaged, of a newer version, or something else.",
            f"{database or '数据库'} 无法读取：文件可能已损坏、版本过新，或者不是数据库。",
        ),
        Text(
            "Build it anew, with `wenshu data build` where it is a demo, or update wenshu.",
            "请重新生成（示例数据可用 `wenshu data build`），或升级 wenshu。",
        ),
    ),
    "query_timeout": lambda _: (Text("The query took too long and was stopped.", "查询时间过长，已停止。"), NARROW),
    "out_of_memory": lambda _: (
        Text("The query needs more memory than it may take.", "查询所需内存超过上限。"),
        NARROW,
    ),
    "result_too_large": lambda _: (
        Text("The result is larger than may be passed on.", "查询结果过大，无法返回。"),
        Text("Ask for fewer rows or columns, or for shorter texts.", "请减少行数或列数，或缩短文本。"),
    ),
    "data_changed": lambda _: (
        Text("A table or column that the query reads is not in the database.", "查询用到的数据表或列不在数据库中。"),
        Text("Start again, or check that the model fits the database.", "请重新启动，或检查模型是否与数据库相符。"),
    ),
    "query_failed": lambda _: (
        Text("The database could not answer this query.", "数据库无法回答这个查询。"),
        Text(
            "Check that its values are of the right type: a date is compared with a date, a number is summed.",
            "请检查数值类型是否正确：日期与日期比较，对数字求和。",
        ),
    ),
    "worker_lost": lambda _: (
        Text(
            "The process that ran the query ended before it answered, so there is no result.",
            "运行查询的进程在给出结果前意外终止，因此没有结果。",
        ),
        Text(
            "Ask again; if it happens again, ask about a shorter period or with fewer groups.",
            "请再问一次；如果仍然如此，请缩短时间范围或减少分组。",
        ),
    ),
    "cancelled": lambda _: (
        Text("The question was stopped before it was answered.", "问题在回答之前已被停止。"),
        Text("Ask again when you like.", "需要时可以再问。"),
    ),
}
