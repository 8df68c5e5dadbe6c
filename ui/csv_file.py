"""Owns writing an answer's rows to a CSV file that spreadsheets open as they should, whole or not at all.

UTF-8 with a mark at its beginning, which Excel needs to read Chinese. A text that a spreadsheet would run as a formula
is written after an apostrophe, so that it stays a text.
"""

import csv
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from wenshu.semantic_layer.errors import EngineError
from wenshu.semantic_layer.text import Language, Text

if TYPE_CHECKING:
    from wenshu.semantic_layer.layer import SemanticLayer
    from wenshu.semantic_layer.query import Query
    from wenshu.semantic_layer.table import Cell, Column, ResultTable

MOST_ROWS = 200_000  # of one file
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def check_writable(path: Path) -> None:
    """Raise `EngineError` with code `csv_not_written` where a file cannot be written, before anything has run."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise _not_written(path)


def all_rows(layer: "SemanticLayer", query: "Query", *, today: date | None = None) -> "ResultTable":
    """Return the whole result of a query, up to `MOST_ROWS`: a list that names no limit is not cut."""
    if not query.metrics and query.limit is None:
        query = replace(query, limit=MOST_ROWS + 1)
    return layer.run(layer.compile(query, today=today), max_rows=MOST_ROWS)


def write_csv(table: "ResultTable", path: Path, language: Language) -> Text:
    """Write a table with its labels and return what was written, in words."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    shown = [_shown(column, language) for column in table.columns]
    try:
        with beside.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([harmless(column.label.in_(language)) for column in table.columns])
            for row in table.rows:
                writer.writerow([show(cell) for show, cell in zip(shown, row, strict=True)])
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise _not_written(path) from None
    rows = f"{len(table.rows):,}"
    if table.truncated:
        return Text(f"{path}: the first {rows} rows; there are more.", f"{path}：前 {rows} 行，其余未写入。")
    return Text(f"{path}: {rows} row{'' if len(table.rows) == 1 else 's'}.", f"{path}：共 {rows} 行。")


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    >>> harmless("=1+1"), harmless("抖音")
    ("'=1+1", '抖音')
    """
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def _shown(column: "Column", language: Language) -> "Callable[[Cell], object]":
    labels = {value: label.in_(language) for value, label in column.value_labels}

    def show(cell: "Cell") -> object:
        cell = labels.get(cell, cell)
        match cell:
            case None:
                return ""
            case str():
                return harmless(cell)
            case date():
                return cell.isoformat(*([" "] if hasattr(cell, "hour") else []))
        return cell

    return show


def _not_written(path: Path) -> EngineError:
    return EngineError(
        "csv_not_written",
        Text(f"The rows cannot be written to {path}.", f"数据无法写入 {path}。"),
        Text(
            "Name a file in a folder that exists and that you may write to.", "请指定一个存在且可写的文件夹中的文件。"
        ),
    )
