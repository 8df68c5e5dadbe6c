"""Owns writing one filter's comparison as SQL, with its types checked and missing values kept apart. Knows nothing of joins."""

from datetime import date
from typing import assert_never

from sqlglot import exp

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.query import ORDERED_OPS, Op, Where, check_size
from wenshu.semantic_layer.text import Text

SQL_COMPARE: dict[Op, type[exp.Binary]] = {
    Op.EQ: exp.EQ, Op.NE: exp.NEQ, Op.LT: exp.LT, Op.LE: exp.LTE, Op.GT: exp.GT, Op.GE: exp.GTE,
}  # fmt: skip


def date_literal(day: date) -> exp.Expr:
    """Return a date as a literal of the tree."""
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")


def literal(value: object) -> exp.Expr:
    """Return a filter's value as a literal of the tree."""
    return date_literal(value) if isinstance(value, date) else exp.convert(value)


def comparison(where: Where, left: exp.Expr, kind: str) -> exp.Expr:
    """Return the condition of one filter; a missing value is a value of its own, so `!=` and `not in` keep it."""
    values = tuple(_typed(where, value, kind) for value in where.values)
    plain = [literal(value) for value in values if value is not None]
    has_missing = None in values
    missing = exp.Is(this=left.copy(), expression=exp.null())
    match where.op:
        case Op.EQ | Op.IN:
            if not plain:
                return missing
            inside = exp.EQ(this=left, expression=plain[0]) if len(plain) == 1 else exp.In(this=left, expressions=plain)
            return exp.paren(exp.or_(inside, missing)) if has_missing else inside
        case Op.NE | Op.NOT_IN:
            if not plain:
                return exp.not_(missing)
            if len(plain) == 1:
                outside: exp.Expr = exp.NullSafeNEQ(this=left, expression=plain[0])
            else:
                outside = exp.paren(exp.or_(exp.not_(exp.In(this=left, expressions=plain)), missing.copy()))
            return exp.and_(outside, exp.not_(missing)) if has_missing else outside
        case Op.LT:
            return exp.LT(this=left, expression=plain[0])
        case Op.LE:
            return exp.LTE(this=left, expression=plain[0])
        case Op.GT:
            return exp.GT(this=left, expression=plain[0])
        case Op.GE:
            return exp.GTE(this=left, expression=plain[0])
        case Op.BETWEEN:
            return exp.Between(this=left, low=plain[0], high=plain[1])
        case Op.CONTAINS | Op.NOT_CONTAINS:
            found = exp.Contains(this=exp.Lower(this=left), expression=exp.Literal.string(str(values[0]).lower()))
            return found if where.op is Op.CONTAINS else exp.not_(exp.Coalesce(this=found, expressions=[exp.false()]))
        case Op.EMPTY:
            return missing
        case Op.NOT_EMPTY:
            return exp.not_(missing)
        case _:
            assert_never(where.op)


def _typed(where: Where, value: object, kind: str) -> object:
    """Check that a filter's value is of its dimension's type."""
    if value is None and where.op not in ORDERED_OPS:
        return None
    if kind == "date" and isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    fits = {
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "date": isinstance(value, date),
    }.get(kind, isinstance(value, str | date))
    if where.op in (Op.CONTAINS, Op.NOT_CONTAINS):
        fits = isinstance(value, str) and kind == "string"
    if where.op in ORDERED_OPS and kind == "boolean":
        fits = False
    if fits:
        if isinstance(value, int | float):
            check_size(where.dimension, value)
        return value
    raise QueryError(
        "invalid_filter",
        Text(
            f"{where.dimension} {where.op} {value!r}: the dimension is a {kind}.",
            f"{where.dimension} {where.op} {value!r}：该维度的类型是 {kind}。",
        ),
        Text("Compare it with a value of that type.", "请使用该类型的值进行比较。"),
    )
