"""Owns what a language model may read of a result: bounded rows as JSON, without any text that is no known name.

A string goes out only where it is a value that the model file lists or the data's profile holds: free text and keys
stay here, whatever query they came from.
"""

import json
from collections.abc import Collection
from datetime import date

from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language
from wenshu.tools.number_format import format_number
from wenshu.tools.wording import bucket_label

MOST_ROWS = 30
LONGEST_NAME = 60
HIDDEN = "(not shown)"


def known_names(layer: SemanticLayer) -> frozenset[str]:
    """Return the values that people name: those that the model file lists and those that its profile holds."""
    personal = {dimension.qualified for dimension in layer.model.dimensions if dimension.pii}
    names = {str(value) for name, found in layer.profile.values.items() if name not in personal for value in found}
    for dimension in layer.model.dimensions:
        if not dimension.pii:
            names |= {name for value in dimension.values for name in (str(value.value), value.label.en, value.label.zh)}
    return frozenset(names)


def table_text(table: ResultTable, names: Collection[str], language: Language, *, values: bool = True) -> str:
    """Return a table as JSON, the numbers as people read them; without `values` only what its columns are."""
    columns = [column.label.in_(language) for column in table.columns]
    if not values:
        return json.dumps({"columns": columns, "rows": f"{len(table.rows)} rows, not shown to you"}, ensure_ascii=False)
    rows = [
        [_shown(cell, column, names, language) for cell, column in zip(row, table.columns, strict=True)]
        for row in table.rows[:MOST_ROWS]
    ]
    body: dict[str, object] = {"columns": columns, "rows": rows}
    if len(table.rows) > MOST_ROWS:
        body["more_rows"] = len(table.rows) - MOST_ROWS
    return json.dumps(body, ensure_ascii=False)


def hides_names(table: ResultTable, names: Collection[str]) -> bool:
    """Say whether a table has texts that may not go out."""
    return any(isinstance(cell, str) and not _is_known(cell, column, names) for row in table.rows for cell, column in zip(row, table.columns, strict=True))


def _shown(cell: Cell, column: Column, names: Collection[str], language: Language) -> str | bool | None:
    match cell:
        case None | bool():
            return cell
        case str():
            return column.shown(cell, language)[:LONGEST_NAME] if _is_known(cell, column, names) else HIDDEN
        case date():
            return bucket_label(cell, column.grain, language) if column.role == "time" else str(cell)
        case _ if column.role in ("dimension", "time"):
            return column.shown(cell, language)
        case _:
            return format_number(cell, column.unit, language, signed=column.role == "change")


def _is_known(cell: str, column: Column, names: Collection[str]) -> bool:
    return cell in names or any(cell == value for value, _ in column.value_labels)
