"""Owns copying files that people bring into a DuckDB database: their kind by content, every column as text first, then as what it is.

Files are read, never run: a workbook's formulas, a database's code and the names in a file are data only.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from wenshu.semantic_layer import file_errors
from wenshu.semantic_layer.column_kinds import Column, column
from wenshu.semantic_layer.column_words import header_of, safe_name
from wenshu.semantic_layer.errors import FileError
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.text_file import TextTable, text_table
from wenshu.semantic_layer.workbook import workbook_table
from wenshu.semantic_layer.worker import literal

Progress = Callable[[str, float], None]
MEMORY, THREADS = "1GB", 2
ON_A_CLOCK = ("moment", "epoch seconds", "epoch milliseconds")
OLE, ZIP, PARQUET, GZIP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04", b"PAR1", b"\x1f\x8b"
OTHERS = ((b"%PDF", Text("a PDF document", "PDF 文档")), (b"\x89PNG", Text("a picture", "图片")), (b"\xff\xd8\xff", Text("a picture", "图片")),
          (GZIP, Text("a compressed file (.gz)", "压缩文件（.gz）")), (b"7z\xbc\xaf", Text("a compressed file (.7z)", "压缩文件（.7z）")),
          (b"Rar!", Text("a compressed file (.rar)", "压缩文件（.rar）")), (b"SQLite format 3", Text("an SQLite database", "SQLite 数据库")))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedTable:
    """Hold a file whose rows are staged as text in the table `lines`."""

    name: str
    lines: str
    headers: tuple[str, ...]
    percents: frozenset[int] = frozenset()
    findings: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedColumn:
    """Hold a column as loaded: its name in the database, what it is, and counts of its values; `unique` says none is empty or doubled."""

    name: str
    column: Column
    distinct: int
    unique: bool
    length: float

    @property
    def header(self) -> str:
        return self.column.header


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTable:
    """Hold a table as loaded from a file."""

    name: str
    stem: str
    rows: int
    columns: tuple[LoadedColumn, ...]
    findings: tuple[Text, ...]


def stage(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, folder: Path, progress: Progress
) -> StagedTable:
    """Copy a file's cells as text into the attached database `staging`. Raises `FileError`."""
    lines = f"staging.lines_{len(list(folder.iterdir()))}"
    try:
        if not path.is_file():
            raise file_errors.missing(name)
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        raise file_errors.missing(name) from None
    if not size:
        raise file_errors.empty(name)
    if size > file_errors.MOST_BYTES:
        most = f"{file_errors.MOST_BYTES / 1e6:,.0f} MB"
        raise file_errors.too_large(name, Text(f"{size / 1e6:,.0f} MB", f"{size / 1e6:,.0f} MB"), Text(most, most))
    progress(name, 0.0)
    if head.startswith(OLE):
        raise _ole(path, name)
    for magic, looks_like in OTHERS:
        if head.startswith(magic):
            raise file_errors.unknown(name, looks_like)
    if head.startswith(PARQUET):
        return StagedTable(name=name, lines=lines, headers=_stage_parquet(connection, lines, path, name, folder))
    text = workbook_table(path, name, folder) if head.startswith(ZIP) else text_table(path, name, folder)
    progress(name, 0.2)
    findings = text.findings + _stage_text(connection, lines, text, name)
    return StagedTable(name=name, lines=lines, headers=text.headers, percents=text.percents, findings=findings)


def _ole(path: Path, name: str) -> FileError:
    with path.open("rb") as file:
        if "EncryptedPackage".encode("utf-16-le") in file.read(1 << 20):
            return file_errors.encrypted(name)
        file.seek(-min(1 << 20, path.stat().st_size), os.SEEK_END)
        if "EncryptedPackage".encode("utf-16-le") in file.read():
            return file_errors.encrypted(name)
    return file_errors.unknown(name, Text("a workbook of an old Excel (.xls)", "旧版 Excel 工作簿（.xls）"))


def _stage_text(connection: duckdb.DuckDBPyConnection, lines: str, text: TextTable, name: str) -> tuple[Text, ...]:
    """Stage a delimited file as text; where its rows are uneven, short ones are filled up and long ones cut, and that is said."""
    width = len(text.headers)
    given = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(width + 1))
    exact = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(width))
    read = (
        "CREATE OR REPLACE TABLE {lines} AS FROM read_csv({path}, auto_detect = false, header = false, skip = {skip}, delim = {delim}, "
        "quote = '\"', escape = '\"', max_line_size = 16000000, {how})"
    )
    common = {"lines": lines, "path": literal(str(text.path)), "skip": text.skip, "delim": literal(text.delimiter)}
    try:
        connection.execute(read.format(**common, how=f"columns = {{{exact}}}, strict_mode = true"))
        findings: tuple[Text, ...] = ()
    except duckdb.InvalidInputException:
        try:
            lenient = "strict_mode = false, null_padding = true, parallel = false"
            connection.execute(read.format(**common, how=f"columns = {{{given}}}, {lenient}"))
        except duckdb.Error as problem:
            raise file_errors.broken(name, "CSV") from problem
        [(cut,)] = connection.execute(f"SELECT count(*) FILTER (c{width} IS NOT NULL) FROM {lines}").fetchall()
        findings = (Text(f"{name}: its rows are uneven; short rows were filled up with empty cells{f', and {cut:,} rows were cut to {width} columns' if cut else ''}.",
                         f"{name}：各行列数不一致；不足的行以空值补齐{f'，{cut:,} 行超出 {width} 列的部分未计入' if cut else ''}。"),)  # fmt: skip
    except duckdb.Error as problem:
        raise file_errors.broken(name, "CSV") from problem
    filled = " OR ".join(f"nullif(trim(c{i}), '') IS NOT NULL" for i in range(width))
    connection.execute(f"DELETE FROM {lines} WHERE NOT coalesce({filled}, false)")
    return findings


def _stage_parquet(
    connection: duckdb.DuckDBPyConnection, lines: str, path: Path, name: str, folder: Path
) -> tuple[str, ...]:
    local = folder / f"{len(list(folder.iterdir()))}.parquet"
    os.symlink(path.resolve(), local)
    source = f"read_parquet({literal(str(local))}, hive_partitioning = false)"
    try:
        [(rows, unpacked)] = connection.execute(
            f"SELECT coalesce(max(r.num_rows), 0), (SELECT sum(total_uncompressed_size) FROM parquet_metadata({literal(str(local))})) "
            f"FROM parquet_file_metadata({literal(str(local))}) AS r"
        ).fetchall()
        headers = tuple(str(row[0]) for row in connection.execute(f"DESCRIBE FROM {source}").fetchall())
        _check_size(name, int(rows), len(headers))
        if unpacked and unpacked > file_errors.MOST_UNPACKED * 4:
            size, most = f"{unpacked / 1e6:,.0f} MB", f"{file_errors.MOST_UNPACKED * 4 / 1e6:,.0f} MB"
            raise file_errors.too_large(name, Text(f"{size} once unpacked", f"解压后为 {size}"), Text(most, most))
        columns = ", ".join(f"CAST({_quoted(header)} AS VARCHAR) AS c{i}" for i, header in enumerate(headers))
        connection.execute(f"CREATE TABLE {lines} AS SELECT {columns} FROM {source}")
    except duckdb.Error as problem:
        raise file_errors.broken(name, "Parquet") from problem
    return headers


def _check_size(name: str, rows: int, columns: int) -> None:
    for count, most, en, zh in (
        (rows, file_errors.MOST_ROWS, "rows", "行"),
        (columns, file_errors.MOST_COLUMNS, "columns", "列"),
    ):
        if count > most:
            raise file_errors.too_large(
                name, Text(f"{count:,} {en}", f"{count:,} {zh}"), Text(f"{most:,} {en}", f"{most:,} {zh}")
            )


def load(
    connection: duckdb.DuckDBPyConnection, staged: StagedTable, taken: Sequence[str], zone: str, progress: Progress
) -> LoadedTable:
    """Make a table of staged text, every column as what it is; moments with a time zone become the clock of `zone`. Raises `FileError`."""
    name, lines, headers, findings = staged.name, staged.lines, staged.headers, staged.findings
    progress(name, 0.5)
    connection.execute(f"SET VARIABLE zone = {literal(zone)}")
    [(rows,)] = connection.execute(f"SELECT count(*) FROM {lines}").fetchall()
    _check_size(name, int(rows), len(headers))
    if not rows:
        raise file_errors.no_rows(name)
    keywords = {
        row[0]
        for row in connection.execute(
            "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'"
        ).fetchall()
    }
    found: dict[str, Column] = {}
    for i, header in enumerate(headers):
        said = header_of(_shown(header, i).en)
        read = column(
            connection, lines, f"c{i}", said.text, percent=i in staged.percents,
            dated=said.role == "time", keeps_text=said.role == "pii" or said.role == "code" and bool(said.near and said.near.zh[0] in ("邮编", "代码")),
            counted=said.role in ("amount", "measure", "rating", "id", "user", "code"),
        )  # fmt: skip
        if not header and read.type == "string":
            [(filled,)] = connection.execute(f"SELECT count(nullif(trim(c{i}), '')) FROM {lines}").fetchall()
            if not filled:
                continue  # a column that only its delimiters make
        findings += read.notes
        if read.kind in ON_A_CLOCK:
            findings += (Text(f"“{said.text}” was read on the clock of {zone}.", f"“{said.text}”按 {zone} 时区读取。"),)
        found[safe_name(header, f"column_{i + 1}", found, keywords)] = replace(read, header=_shown(header, i).zh)
        progress(name, 0.5 + 0.3 * (i + 1) / len(headers))
    stem = re.sub(r"(\.(csv|tsv|txt|xlsx|xlsm|parquet))+$", "", Path(name).name, flags=re.IGNORECASE)
    table = safe_name(stem, "data", [*taken, *found], keywords)
    chosen = ", ".join(f"{read.sql} AS {column_name}" for column_name, read in found.items())
    connection.execute(f"CREATE TABLE {table} AS SELECT {chosen} FROM {lines}")
    connection.execute(f"DROP TABLE {lines}")
    if doubled := [header for header in dict.fromkeys(headers) if header and list(headers).count(header) > 1]:
        shown = ", ".join(doubled[:3])[:80]
        findings += (
            Text(
                f"{name}: several columns are called {shown}; all were kept under names of their own.",
                f"{name}：有多列同名（{shown}），均已保留并另行命名。",
            ),
        )
    columns = tuple(_counted(connection, table, column_name, read, int(rows)) for column_name, read in found.items())
    empties = [each.header for each in columns if not each.distinct]
    if empties:
        shown = ", ".join(empties[:5])[:100]
        findings += (Text(f"{name}: no values in {shown}.", f"{name}：以下列没有任何值：{shown}。"),)
    progress(name, 1.0)
    return LoadedTable(name=table, stem=stem, rows=int(rows), columns=columns, findings=findings)


def _shown(header: str, i: int) -> Text:
    shown = re.sub(r"\s+", " ", header).strip()
    return Text(shown, shown) if shown else Text(f"column {i + 1}", f"第{i + 1}列")


def _counted(connection: duckdb.DuckDBPyConnection, table: str, name: str, read: Column, rows: int) -> LoadedColumn:
    length = f"avg(length({name}))" if read.type == "string" else "0"
    filled, distinct, letters = connection.execute(
        f"SELECT count({name}), approx_count_distinct({name}), {length} FROM {table}"
    ).fetchone() or (0, 0, 0)
    unique = False
    if filled and (distinct < 100_000 or filled == rows and distinct > rows * 0.8):
        [(distinct,)] = connection.execute(f"SELECT count(DISTINCT {name}) FROM {table}").fetchall()
        unique = filled == rows and distinct == rows
    return LoadedColumn(
        name=name,
        column=replace(read, filled=int(filled)),
        distinct=int(distinct) if filled else 0,
        unique=unique,
        length=float(letters or 0),
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
