"""Owns how SQL text is read where sqlglot's reading of DuckDB's language gives other rows than DuckDB. Knows nothing of what may run."""

from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.parsers.duckdb import DuckDBParser


def _typed_literal(parser: Any, operand: Any, kind: Any) -> Any:
    """Return DATE '…'::TEXT as DuckDB reads it: the type belongs to the literal, and what follows to the typed literal."""
    literal = operand
    while not isinstance(literal, exp.Literal):
        literal = literal.this
    if kind.this is exp.DataType.Type.JSON:
        return DuckDBParser.TYPE_LITERAL_PARSERS[kind.this](parser, operand, kind)
    typed = exp.Cast(this=literal.copy(), to=kind)
    return typed if literal is operand else literal.replace(typed).root()


class DuckDBText(DuckDB):
    """DuckDB's language, for reading only."""

    class Parser(DuckDBParser):
        TYPE_LITERAL_PARSERS: ClassVar = dict.fromkeys(exp.DataType.Type, _typed_literal)
