"""Owns a result table as a pandas DataFrame, and is the only module that knows pandas."""

from pandas import DataFrame, Series, to_datetime

from wenshu.semantic_layer.table import Column, ResultTable
from wenshu.semantic_layer.text import Language
from wenshu.tools.counts import header

__all__ = ["DataFrame", "to_dataframe"]


def to_dataframe(table: ResultTable, language: Language | None = None) -> DataFrame:
    """Return the rows in order, dates as pandas moments; with a `language`, under labels and with values as people read them."""
    names = [header(table, column, language) if language else column.name for column in table.columns]
    columns = [_series(table, column, language) for column in table.columns]
    frame = DataFrame(dict(enumerate(columns)), columns=range(len(columns)))
    frame.columns = names
    return frame


def _series(table: ResultTable, column: Column, language: Language | None) -> "Series[object]":
    values = table.values(column.name)
    if column.type == "date":
        return Series(to_datetime(list(values)))
    if language and column.role == "dimension":
        return Series([column.shown(value, language) for value in values])
    return Series(list(values))
