"""Owns an answer as JSON that becomes the same answer again, for the history. The JSON that other programs read is assistant/answer.py's."""

from dataclasses import replace
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING

from wenshu.assistant.answer import Answer

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from wenshu.semantic_layer.table import Cell

MOST_ROWS = 5_000  # of one kept answer


def answer_to_text(answer: Answer) -> str:
    """Return an answer as JSON; a table longer than `MOST_ROWS` is cut, and says so."""
    table = answer.table
    if table is not None and len(table.rows) > MOST_ROWS:
        answer = replace(answer, table=replace(table, rows=table.rows[:MOST_ROWS], truncated=True))
    return _adapter().dump_json(answer).decode()


def answer_from_text(text: str) -> Answer:
    """Return the answer that was kept; ValueError for what is none."""
    answer = _adapter().validate_json(text)
    table = answer.table
    if table is None or not any(column.type in ("date", "time") for column in table.columns):
        return answer
    dated = [column.type in ("date", "time") for column in table.columns]
    rows = tuple(
        tuple(_moment(cell) if is_date else cell for cell, is_date in zip(row, dated, strict=True)) for row in table.rows
    )
    return replace(answer, table=replace(table, rows=rows))


def _moment(cell: "Cell") -> "Cell":
    """Return the date or time that JSON has as a text."""
    if not isinstance(cell, str):
        return cell
    return date.fromisoformat(cell) if len(cell) == len("2026-01-01") else datetime.fromisoformat(cell)


@cache
def _adapter() -> "TypeAdapter[Answer]":
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)
