"""Owns the files that data come from: a database, data files beside it, their version, and the copy that makes one database of them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import duckdb

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.worker import literal

NO_FILES: Mapping[str, str] = MappingProxyType({})
READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".csv.gz": "read_csv", ".tsv": "read_csv"}
TABLES = """
    SELECT table_name FROM duckdb_tables() WHERE database_name = 'base' AND schema_name = 'main'
    UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = 'base' AND schema_name = 'main' AND NOT internal
"""


class DataFiles:
    """Name a database file, the data files that become tables of their own, or both.

    `files` gives tables their Parquet or CSV file, or a glob of them. They are trusted, as their names come from the model's author, and
    are copied into a temporary database, so that they too are read-only afterwards.
    """

    def __init__(self, database: Path | None, files: Mapping[str, str] = NO_FILES) -> None:
        if database is None and not files:
            raise ValueError("an engine needs a database or data files")
        self.database = database
        self._files = dict(files)
        self._copy: TemporaryDirectory[str] | None = None
        self._copied = ""
        self.check()

    def check(self) -> None:
        """Raise `EngineError` where the database is not there; it is never made."""
        if self.database is not None and not self.database.is_file():
            raise _database_missing(self.database)

    def version(self) -> str:
        """Return a word that changes when the data change."""
        paths = [self.database] if self.database else []
        paths += [path for pattern in self._files.values() for path in _matches(pattern)]
        digest = hashlib.sha256()
        for path in sorted(paths):
            try:
                seen = path.stat()
            except OSError:
                continue
            digest.update(f"{path.resolve()}\0{seen.st_ino}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]

    def opening(self, version: str) -> tuple[str, str | None]:
        """Return the database file to open and the one its views read, if any; data files are copied once a version.

        Raises `EngineError` and `duckdb.Error`.
        """
        self.check()
        database = str(self.database.absolute()) if self.database else None  # whoever opens it may be in another folder
        if database and not self._files:
            return database, None
        if self._copy is None or self._copied != version:
            self.discard()
            self._copy = TemporaryDirectory(prefix="wenshu-")
            try:
                self._copy_files(Path(self._copy.name) / "data.duckdb")
            except BaseException:
                self.discard()
                raise
            self._copied = version
        return str(Path(self._copy.name) / "data.duckdb"), database

    def discard(self) -> None:
        """Remove the copy; who has it open can go on reading."""
        if self._copy:
            self._copy.cleanup()
            self._copy = None

    def _copy_files(self, target: Path) -> None:
        """Write a database with a table for each data file, and a view for each table of the database beside them."""
        with duckdb.connect(":memory:") as loading:
            loading.execute(f"ATTACH {literal(str(target))} AS data")
            loading.execute("USE data")
            for table, pattern in self._files.items():
                reader = next((READERS[ending] for ending in READERS if pattern.lower().endswith(ending)), None)
                if reader is None:
                    raise _unreadable_file(table, pattern, known=False)
                if not _matches(pattern):
                    raise _unreadable_file(table, pattern, known=True)
                loading.execute(f"CREATE TABLE {_name(table)} AS FROM {reader}({literal(pattern)})")
            if self.database:
                loading.execute(f"ATTACH {literal(str(self.database))} AS base (READ_ONLY)")
                for (table,) in loading.execute(TABLES).fetchall():
                    if table not in self._files:
                        loading.execute(f"CREATE VIEW {_name(table)} AS FROM base.main.{_name(table)}")


def _name(table: str) -> str:
    return '"' + table.replace('"', '""') + '"'


def _matches(pattern: str) -> list[Path]:
    """Return the files that a path or a glob means."""
    path = Path(pattern)
    if path.is_file():
        return [path]
    fixed = Path(path.anchor)
    return sorted(fixed.glob(str(path.relative_to(path.anchor)))) if pattern else []


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
