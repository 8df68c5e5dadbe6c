"""Owns an answer's table as an Excel workbook, and is the only module that writes one. A text never becomes a formula."""

from datetime import date
from io import BytesIO
from typing import TYPE_CHECKING, Any

from wenshu.semantic_layer.text import Language
from wenshu.tools.counts import header

if TYPE_CHECKING:
    from wenshu.semantic_layer.table import Cell, Column, ResultTable

NUMBER_FORMATS = {"%": "0.00%", "pp": "0.00%", "CNY": "¥#,##0.00", "USD": "$#,##0.00"}
WIDEST = 60  # characters


def to_xlsx(table: "ResultTable", language: Language) -> bytes:
    """Return the whole table as a workbook of one sheet: labels in bold, numbers and dates as such, rates as percentages."""
    from openpyxl import Workbook
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Wenshu"
    labels = [header(table, column, language) for column in table.columns]
    rows: list[list[Any]] = [list(labels)]
    rows += [[_shown(column, cell, language) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]
    for line, row in enumerate(rows, start=1):
        for place, value in enumerate(row, start=1):
            if isinstance(value, str):
                value = ILLEGAL_CHARACTERS_RE.sub("", value)[:32_000]
            cell = sheet.cell(line, place, value)
            if isinstance(value, str):
                cell.data_type = "s"  # “=1+1” stays a text
            elif line > 1 and (shape := NUMBER_FORMATS.get(table.columns[place - 1].unit or "")):
                cell.number_format = shape
    for place in range(1, len(labels) + 1):
        sheet.cell(1, place).font = Font(bold=True)
        longest = max(_width(str(row[place - 1])) for row in rows[:200])
        sheet.column_dimensions[get_column_letter(place)].width = min(WIDEST, longest + 3)
    sheet.freeze_panes = "A2"
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _shown(column: "Column", cell: "Cell", language: Language) -> Any:
    if column.role == "dimension" and cell is not None and not isinstance(cell, int | float | date):
        return column.shown(cell, language)
    return cell


def _width(text: str) -> int:
    """Return how wide a text is; a Chinese character counts double."""
    return sum(2 if char > "⺀" else 1 for char in text)
