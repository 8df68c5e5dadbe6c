"""Owns putting SELECT trees together from parts. Knows nothing of models.

sqlglot's own builders parse every name they are given as SQL and copy what they are called on, which took most of a
compilation's time; these take trees and plain names, and build in place.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from sqlglot import exp

Side = Literal["INNER", "LEFT", "FULL", "CROSS"]


def select_from(relation: str | exp.Expr, columns: Iterable[exp.Expr]) -> exp.Select:
    """Return SELECT columns FROM a table's name or a relation."""
    table = exp.table_(relation) if isinstance(relation, str) else relation
    return exp.Select(expressions=list(columns), from_=exp.From(this=table))


def join(select: exp.Select, relation: str | exp.Expr, side: Side, on: Iterable[exp.Expr] = ()) -> exp.Select:
    """Join a table's name or a relation to `select`, in place, on all of the conditions."""
    table = exp.table_(relation) if isinstance(relation, str) else relation
    kind = {"kind": side} if side in ("CROSS", "INNER") else {"side": side}
    conditions = list(on)
    select.append("joins", exp.Join(this=table, on=all_of(conditions) if conditions else None, **kind))
    return select


def all_of(conditions: Iterable[exp.Expr]) -> exp.Expr:
    """Return the condition that holds where all of them do."""
    return exp.and_(*conditions, copy=False)


def named(expression: exp.Expr, name: str) -> exp.Alias:
    """Return `expression` AS `name`."""
    return exp.Alias(this=expression, alias=exp.to_identifier(name))


def with_ctes(select: exp.Select, ctes: Iterable[tuple[str, exp.Query]]) -> exp.Select:
    """Put named queries before `select`, in place; a plain scan that several of them read is not kept in memory for it."""
    named_queries = list(ctes)
    read = Counter(table.name for query in (select, *(q for _, q in named_queries)) for table in query.find_all(exp.Table))
    parts = []
    for name, query in named_queries:
        cte = exp.CTE(this=query, alias=exp.TableAlias(this=exp.to_identifier(name)))
        if read[name] > 1 and _is_plain_scan(query):
            cte.set("materialized", False)
        parts.append(cte)
    if parts:
        select.set("with_", exp.With(expressions=parts))
    return select


def _is_plain_scan(query: exp.Query) -> bool:
    """Say whether a query only filters and projects the rows of one table."""
    folds = ("group", "distinct", "qualify", "joins", "limit", "with_")
    return isinstance(query, exp.Select) and not any(query.args.get(part) for part in folds)
