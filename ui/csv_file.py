"""Owns writing an answer's rows to a CSV file that spreadsheets open as they should, whole or not at all.

UTF-8 with a mark at its beginning, which Excel needs to read Chinese. A text that a spreadsheet would run as a formula
is written after an apostrophe, so that it stays a text.
"""

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from wenshu.semantic_layer.text import Language, Text
from wenshu.semantic_layer.whole_file import written_whole

if TYPE_CHECKING:
    from wenshu.semantic_layer.layer import SemanticLayer
    from wenshu.semantic_layer.query import Query
    from wenshu.semantic_layer.table import Cell, Column, ResultTable

MOST_ROWS = 200_000  # of one file
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def all_rows(layer: "SemanticLayer", query: "Query", *, today: date | None = None) -> "ResultTable":
    """Return the whole result of a query, up to `MOST_ROWS`: a list that names no limit is not cut."""
    if not query.metrics and query.limit is None:
        query = replace(query, limit=MOST_ROWS + 1)
    from wenshu.tools.query import compile_learnt

    return layer.run(compile_learnt(layer, query, today=today), max_rows=MOST_ROWS)


def write_csv(table: "ResultTable", path: Path, language: Language) -> Text:
    """Write a table with its labels and return what was written, in words."""
    shown = [_shown(column, language) for column in table.columns]
    with written_whole(path) as beside, beside.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([harmless(column.label.in_(language)) for column in table.columns])
        for row in table.rows:
            writer.writerow([show(cell) for show, cell in zip(shown, row, strict=True)])
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
