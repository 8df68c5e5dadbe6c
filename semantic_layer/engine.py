"""Owns the database: opens it read-only, locks it down, runs guarded statements and says what went wrong. Knows nothing of models.

DuckDB has no wall of its own between a statement and the machine, so an instance gives up what a question does not need, in this order:
the data are attached read-only, nothing writable stays, files and extensions are closed off, and the settings are locked. Each statement
runs in a session of its own, as some settings of a session cannot be locked. The guard stands before all of this.
"""

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Protocol

import duckdb
from sqlglot import exp

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.guard import GuardedStatement
from wenshu.semantic_layer.text import Text

NO_FILES: Mapping[str, str] = MappingProxyType({})
READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".csv.gz": "read_csv", ".tsv": "read_csv"}

TABLES_AND_COLUMNS = """
    SELECT table_name, column_name, data_type FROM duckdb_columns()
    WHERE database_name = 'data' AND schema_name = 'main' AND NOT internal ORDER BY table_name, column_index
"""
TABLES = """
    SELECT table_name FROM duckdb_tables() WHERE database_name = 'base' AND schema_name = 'main'
    UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = 'base' AND schema_name = 'main' AND NOT internal
"""

# Wordings of DuckDB by which an error of a kind that has several causes is told apart; they are never shown.
GONE = ("does not exist", "not found in FROM clause", "does not have a column named")
IN_USE = ("Could not set lock", "already open", "being used by another process")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Set how much of the machine one instance may take.

    Nothing is spilled to disk, so `memory` (a size such as "8GB" or a share of the machine's) is what the largest sort or grouping
    may hold. `threads` is all cores by default. `seconds` is for one statement.
    """

    memory: str = "60%"
    threads: int | None = None
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError(f"a statement needs some time to run, not {self.seconds} seconds")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"a statement needs a thread to run on, not {self.threads}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResult:
    """Hold what a statement returned: column names and database types, rows of Python values, and the seconds it took.

    Numbers that are not finite are None. `truncated` tells that there were more rows than asked for.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    truncated: bool
    elapsed: float


class Engine(Protocol):
    """Answer guarded statements from one database."""

    dialect: str

    def schema(self) -> Mapping[str, Mapping[str, str]]:
        """Return every table and view that can be read, each with its columns and their types."""
        ...

    def run(self, statement: GuardedStatement, *, max_rows: int) -> RawResult:
        """Return the first `max_rows` rows of `statement`."""
        ...

    def data_version(self) -> str:
        """Return a word that changes when the data change."""
        ...

    def close(self) -> None:
        """Give up the database."""
        ...


class DuckDBEngine:
    """Answer from a DuckDB file, from data files, or from both together.

    `files` gives tables their Parquet or CSV file, or a glob of them. They are trusted, as their names come from the model's author, and
    are copied once into a temporary database, so that they too are read-only afterwards.
    """

    dialect = "duckdb"

    def __init__(
        self, database: Path | None, *, files: Mapping[str, str] = NO_FILES, settings: EngineSettings = EngineSettings()
    ) -> None:
        if database is None and not files:
            raise ValueError("an engine needs a database or data files")
        self._database = database
        self._files = dict(files)
        self._copy: TemporaryDirectory[str] | None = None
        self._schema: Mapping[str, Mapping[str, str]] | None = None
        if database is not None and not database.is_file():
            raise _database_missing(database)
        try:
            self._instance = self._open(settings)
        except duckdb.Error as error:
            self._discard_copy()
            raise _opening_failed(error, database) from None
        except BaseException:
            self._discard_copy()
            raise

    def schema(self) -> Mapping[str, Mapping[str, str]]:
        if self._schema is None:
            tables: dict[str, dict[str, str]] = {}
            with self._instance.cursor() as session:
                for table, column, kind in session.execute(TABLES_AND_COLUMNS).fetchall():
                    tables.setdefault(table, {})[column] = kind
            self._schema = tables
        return self._schema

    def run(self, statement: GuardedStatement, *, max_rows: int) -> RawResult:
        started = time.perf_counter()
        try:
            with self._instance.cursor() as session:
                session.execute("USE data")  # a new session starts in whichever database was attached first
                session.execute(statement.sql)
                described = session.description or []
                rows = session.fetchmany(max_rows + 1)
        except duckdb.Error as error:
            raise _running_failed(error) from None
        types = tuple(str(column[1]) for column in described)
        return RawResult(
            columns=tuple(str(column[0]) for column in described),
            types=types,
            rows=_finite(rows[:max_rows], types),
            truncated=len(rows) > max_rows,
            elapsed=time.perf_counter() - started,
        )

    def data_version(self) -> str:
        paths = [self._database] if self._database else []
        paths += [path for pattern in self._files.values() for path in _matches(pattern)]
        digest = hashlib.sha256()
        for path in sorted(paths):
            if path.exists():
                seen = path.stat()
                digest.update(f"{path.resolve()}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]

    def close(self) -> None:
        self._instance.close()
        self._discard_copy()

    def _open(self, settings: EngineSettings) -> duckdb.DuckDBPyConnection:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": settings.memory,
            "temp_directory": "",
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
        }
        if settings.threads is not None:
            config["threads"] = settings.threads
        data = self._database
        if self._files:
            self._copy = TemporaryDirectory(prefix="wenshu-")
            data = Path(self._copy.name) / "data.duckdb"
            self._copy_files(data)
        # An instance in memory of our own, not one that the client library may share by path with others in this process.
        instance = duckdb.connect(":memory:", config=config)
        if self._files and self._database:
            instance.execute(f"ATTACH {_literal(self._database)} AS base (READ_ONLY)")
        instance.execute(f"ATTACH {_literal(data)} AS data (READ_ONLY)")
        instance.execute("USE data")
        instance.execute("DETACH memory")
        instance.execute("SET enable_progress_bar = false")
        instance.execute(f"SET GLOBAL max_execution_time = {math.ceil(settings.seconds * 1000)}")
        instance.execute("SET enable_external_access = false")
        instance.execute("SET disabled_filesystems = 'LocalFileSystem'")
        instance.execute("SET lock_configuration = true")
        return instance

    def _copy_files(self, target: Path) -> None:
        """Write a database with a table for each data file, and a view for each table of the database beside them."""
        with duckdb.connect(":memory:") as loading:
            loading.execute(f"ATTACH {_literal(target)} AS data")
            loading.execute("USE data")
            for table, pattern in self._files.items():
                reader = next((READERS[ending] for ending in READERS if pattern.lower().endswith(ending)), None)
                if reader is None:
                    raise _unreadable_file(table, pattern, known=False)
                if not _matches(pattern):
                    raise _unreadable_file(table, pattern, known=True)
                loading.execute(f"CREATE TABLE {_name(table)} AS FROM {reader}({_literal(pattern)})")
            if self._database:
                loading.execute(f"ATTACH {_literal(self._database)} AS base (READ_ONLY)")
                for (table,) in loading.execute(TABLES).fetchall():
                    if table not in self._files:
                        loading.execute(f"CREATE VIEW {_name(table)} AS FROM base.main.{_name(table)}")

    def _discard_copy(self) -> None:
        if self._copy:
            self._copy.cleanup()
            self._copy = None


def _literal(value: Path | str | None) -> str:
    return exp.Literal.string(str(value)).sql(dialect="duckdb")


def _name(table: str) -> str:
    return exp.to_identifier(table, quoted=True).sql(dialect="duckdb")


def _matches(pattern: str) -> list[Path]:
    """Return the files that a path or a glob means."""
    path = Path(pattern)
    if path.is_file():
        return [path]
    fixed = Path(path.anchor)
    return sorted(fixed.glob(str(path.relative_to(path.anchor)))) if pattern else []


def _finite(rows: list[tuple[object, ...]], types: tuple[str, ...]) -> tuple[tuple[object, ...], ...]:
    if not {"FLOAT", "DOUBLE"} & set(types):
        return tuple(rows)
    return tuple(
        tuple(None if isinstance(value, float) and not math.isfinite(value) else value for value in row) for row in rows
    )


def _database_missing(database: Path) -> EngineError:
    return EngineError(
        "database_missing",
        Text(f"There is no database {database}.", f"数据库 {database} 不存在。"),
        Text(
            "Build it with `wenshu data build`, or name another with --db.",
            "请用 `wenshu data build` 生成，或用 --db 指定其他数据库。",
        ),
    )


def _unreadable_file(table: str, pattern: str, *, known: bool) -> EngineError:
    if known:
        return EngineError(
            "data_file_missing",
            Text(
                f"There is no data file {pattern} for the table {table}.",
                f"数据表 {table} 的数据文件 {pattern} 不存在。",
            ),
            Text("Correct the path in the model file.", "请修改模型文件中的路径。"),
        )
    return EngineError(
        "data_file_unknown",
        Text(
            f"The data file {pattern} of the table {table} is neither Parquet nor CSV.",
            f"数据表 {table} 的数据文件 {pattern} 不是 Parquet 或 CSV。",
        ),
        Text(f"Use a file that ends in one of {', '.join(READERS)}.", f"请使用以 {'、'.join(READERS)} 结尾的文件。"),
    )


def _opening_failed(error: duckdb.Error, database: Path | None) -> EngineError:
    if database and any(wording in str(error) for wording in IN_USE):
        return EngineError(
            "database_locked",
            Text(
                f"The database {database} is being written by another program.",
                f"数据库 {database} 正在被其他程序写入。",
            ),
            Text("Wait until that has finished, or stop it, and ask again.", "请等它完成或停止它，然后重试。"),
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return _out_of_memory()
    return EngineError(
        "database_invalid",
        Text(
            f"{database or 'A data file'} cannot be read: it is damaged, of a newer version, or something else.",
            f"{database or '数据文件'} 无法读取：文件可能已损坏、版本过新，或者不是数据文件。",
        ),
        Text(
            "Build it anew, with `wenshu data build` where it is a demo, or update wenshu.",
            "请重新生成（示例数据可用 `wenshu data build`），或升级 wenshu。",
        ),
    )


def _running_failed(error: duckdb.Error) -> EngineError:
    if isinstance(error, duckdb.InterruptException):
        return EngineError(
            "query_timeout",
            Text("The query took too long and was stopped.", "查询时间过长，已停止。"),
            Text("Ask about a shorter period or fewer groups.", "请缩短时间范围或减少分组。"),
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return _out_of_memory()
    if isinstance(error, (duckdb.CatalogException, duckdb.BinderException)) and any(
        words in str(error) for words in GONE
    ):
        return EngineError(
            "data_changed",
            Text(
                "A table or column that the query reads is not in the database.", "查询用到的数据表或列不在数据库中。"
            ),
            Text("Start again, or check that the model fits the database.", "请重新启动，或检查模型是否与数据库相符。"),
        )
    if isinstance(
        error, (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, duckdb.InternalException)
    ):
        return EngineError(
            "database_invalid",
            Text("The database can no longer be read.", "数据库已无法读取。"),
            Text("Build it anew and start again.", "请重新生成数据库并重新启动。"),
        )
    return EngineError(
        "query_failed",
        Text("The database could not answer this query.", "数据库无法回答这个查询。"),
        Text(
            "Check that its values are of the right type: a date is compared with a date, a number is summed.",
            "请检查数值类型是否正确：日期与日期比较，对数字求和。",
        ),
    )


def _out_of_memory() -> EngineError:
    return EngineError(
        "out_of_memory",
        Text("The query needs more memory than it may take.", "查询所需内存超过上限。"),
        Text("Ask about a shorter period or fewer groups.", "请缩短时间范围或减少分组。"),
    )
