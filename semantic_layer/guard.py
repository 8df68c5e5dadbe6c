"""Owns the gate that every statement passes before it may run, whoever wrote it. Knows nothing of models, people or engines.

    text ─▶ one statement ─▶ allowed nodes ─▶ bounded sizes ─▶ names in scope ─▶ the asker's sources ─▶ LIMIT
         ─▶ regenerated SQL ─▶ second opinion

Everything is refused but what is on a list. What runs is the SQL regenerated from the checked tree, never the text that came in.
"""

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError

from wenshu.semantic_layer import functions
from wenshu.semantic_layer.bounds import check_sizes
from wenshu.semantic_layer.duckdb_dialect import DuckDBText
from wenshu.semantic_layer.errors import GuardError, did_you_mean
from wenshu.semantic_layer.scopes import NO_SOURCES, fold, narrow_to, quoted
from wenshu.semantic_layer.second_opinion import confirm, reads_one_select
from wenshu.semantic_layer.text import Text, same

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it warns of is refused here, with a reason

DIALECT = "duckdb"
MAX_LENGTH = 20_000
MAX_DEPTH = 200
MAX_TABLES = 100  # each may be replaced by a query, and all of it is read again
MAX_BRACKETS = 300  # sqlglot needs quadratic time for a[1][1][1]…
STRAY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]|\r(?!\n)")
# What sqlglot raises, beside its own errors, on text that makes no sense.
SLIPS = (SqlglotError, ValueError, LookupError, TypeError, AttributeError)
MARKS = "\ufeff\u200b"  # a byte order mark or zero-width space, as pasted text often begins with one


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedStatement:
    """Hold a statement that may run. `sql`, regenerated from `tree`, is the only text that an engine is given."""

    tree: exp.Query
    sql: str
    tables: tuple[str, ...]


def guard(
    statement: str | exp.Query,
    *,
    tables: Mapping[str, Collection[str]],
    sources: Mapping[str, exp.Query] = NO_SOURCES,
    max_rows: int | None = None,
) -> GuardedStatement:
    """Return `statement` as one that may run, or raise GuardError.

    `tables` are the tables and views that may be read, each with the columns that may be read, in their order: a star means
    these. A query among `sources`, which gives just these columns, stands in the place of its table wherever that is read; what the
    database itself reads is held against it. With `max_rows`, the statement returns at most one row more than that: by it, `Engine.run` with the same `max_rows`
    sees that rows were left out.

    >>> guard("select city, count(*) n from users group by 1", tables={"users": ["city"]}).tables
    ('users',)
    """
    try:
        tree = _parse(statement) if isinstance(statement, str) else _check_nodes(statement.copy())
        check_sizes(tree)
        read = narrow_to(tables, tree, sources)
        if max_rows is not None:
            tree = _limited(tree, max_rows + 1)
        sql = _written(tree)
        _check_characters(sql)
        confirm(sql, read, {name: _written(sources[name]) for name in read if name in sources})
    except RecursionError:
        raise _too_deep() from None
    except UnsupportedError:
        raise GuardError(
            "sql_function",
            Text(
                "This statement uses a function in a form that cannot be carried over.",
                "语句中有一个函数的用法无法转换。",
            ),
            Text("Use its usual form, or another function.", "请使用该函数的常见写法，或改用其他函数。"),
        ) from None
    except SLIPS as error:
        if isinstance(statement, str):  # sqlglot made a tree of it that lacks parts
            raise _syntax(error) from None
        raise
    return GuardedStatement(tree=tree, sql=sql, tables=read)


def _written(tree: exp.Query) -> str:
    return tree.sql(dialect=DIALECT, pretty=True, comments=False, unsupported_level=ErrorLevel.RAISE)


def _parse(text: str) -> exp.Query:
    if len(text) > MAX_LENGTH:
        raise GuardError(
            "sql_too_long",
            Text(
                f"The statement has {len(text):,} characters; {MAX_LENGTH:,} is the most.",
                f"语句有 {len(text):,} 个字符，最多 {MAX_LENGTH:,} 个。",
            ),
            Text("Shorten it.", "请缩短语句。"),
        )
    _check_characters(text)
    if text.count("[") > MAX_BRACKETS:
        raise _too_deep()
    text = text.strip(MARKS)
    try:
        statements = [
            tree for tree in sqlglot.parse(text, dialect=DuckDBText) if tree and not isinstance(tree, exp.Semicolon)
        ]
    except SLIPS as error:
        raise _syntax(error) from None
    if len(statements) != 1:
        raise GuardError(
            "sql_not_one_statement",
            Text(
                f"There are {len(statements)} statements here; exactly one was expected.",
                f"这里有 {len(statements)} 条语句，只能有一条。",
            ),
            Text("Send one SELECT at a time.", "请每次只写一条 SELECT 语句。"),
        )
    [tree] = statements
    query = _check_nodes(exp.select("*").from_(tree) if isinstance(tree, exp.Values) else tree)
    if sum(1 for _ in query.find_all(exp.Table)) > MAX_TABLES:
        raise GuardError(
            "sql_too_long",
            Text(
                f"The statement reads tables in more than {MAX_TABLES} places.",
                f"语句中读取数据表的地方超过 {MAX_TABLES} 处。",
            ),
            Text("Read each table once, in a WITH.", "请用 WITH 只读取每个表一次。"),
        )
    if not reads_one_select(text):
        raise _syntax()
    return query


def _syntax(error: Exception | None = None) -> GuardError:
    """Return the error for text that does not parse, with the place where that is known."""
    places = getattr(error, "errors", None) or [{}]
    line, column = places[0].get("line"), places[0].get("col")
    where = Text(f" at line {line}, column {column}", f"（第 {line} 行第 {column} 列）") if line else same("")
    return GuardError(
        "sql_syntax",
        Text(f"This is not SQL that can be read{where.en}.", f"无法读懂这条 SQL{where.zh}。"),
        Text("Write one SELECT in DuckDB's SQL.", "请用 DuckDB 的 SQL 写一条 SELECT 语句。"),
    )


def _not_select(tree: exp.Expr) -> GuardError:
    kind = str(tree.this) if isinstance(tree, exp.Command) else tree.key
    return GuardError(
        "sql_not_select",
        Text(
            f"This statement is {quoted(kind.upper())}, not a SELECT.",
            f"这条语句是{quoted(kind.upper())}，不是 SELECT。",
        ),
        Text("Only reading is possible here: write a SELECT.", "这里只能读取数据，请写 SELECT 语句。"),
    )


def _check_characters(text: str) -> None:
    found = STRAY.search(text)
    if found:
        raise GuardError(
            "sql_characters",
            Text(
                f"The statement holds the control character U+{ord(found[0]):04X}.",
                f"语句中有控制字符 U+{ord(found[0]):04X}。",
            ),
            Text(
                "Remove it; only tabs and line breaks may stand between words.",
                "请删除它，词之间只能使用空格、制表符和换行。",
            ),
        )


def _check_nodes(tree: exp.Expr) -> exp.Query:
    """Return `tree` if it is a query of allowed kinds of node only, in forms that are plain reading."""
    if not isinstance(tree, exp.Query):
        raise _not_select(tree)
    level: list[exp.Expr] = [tree]
    for _ in range(MAX_DEPTH):
        for node in level:
            if type(node) in functions.CALLS:
                _check_call(node)
            elif type(node) not in functions.NODES:
                raise _function(node.sql_name()) if isinstance(node, exp.Func) else _node(node.key)
            else:
                _check_form(node)
        level = [child for node in level for child in node.iter_expressions()]
        if not level:
            return tree
    raise _too_deep()


def _check_call(node: exp.Expr) -> None:
    if not isinstance(node, exp.Anonymous):
        return
    name = fold(node.name)
    if name not in functions.FUNCTIONS:
        raise _function(node.name)
    if name in functions.LIST_AGGREGATES:
        applied = node.expressions[1] if len(node.expressions) > 1 else None
        if not isinstance(applied, exp.Literal) or fold(applied.name) not in functions.AGGREGATES:
            raise _function(f"{node.name}(…, {applied.name if applied else ''})")


def _check_form(node: exp.Expr) -> None:
    match node:
        case exp.With(args={"recursive": True}):
            raise GuardError(
                "sql_recursive",
                Text("WITH RECURSIVE may not be used.", "不能使用 WITH RECURSIVE。"),
                Text(
                    "Use range() or generate_series() for a series.", "需要序列时请使用 range() 或 generate_series()。"
                ),
            )
        case exp.Join() if node.method not in ("", "ASOF", "NATURAL"):
            raise _node(f"{node.method} JOIN")
        case exp.Columns() if node.args.get("unpack") or not isinstance(node.this, exp.Star):
            raise _function("COLUMNS")
        case exp.Star() if node.args.get("ilike") or not _plain_star(node):
            raise _node("*")
        case exp.Dot() if not isinstance(node.expression, exp.Identifier):
            raise _function(f"{node.this.name}.{node.expression.name}")
        case exp.DataType() if node.this not in functions.TYPES:
            raise _node(str(node.args.get("kind") or node.this.value))


def _plain_star(star: exp.Star) -> bool:
    """Tell whether a star means the columns of SELECT, COLUMNS(*) or count(*), and not the whole row as a value."""
    if isinstance(star.parent, exp.Columns):
        return True
    column = star.parent if isinstance(star.parent, exp.Column) else star
    if isinstance(column.parent, exp.Select):
        return column.arg_key == "expressions"
    return column is star and isinstance(star.parent, exp.Count)


def _limited(tree: exp.Query, rows: int) -> exp.Query:
    """Return `tree` with a LIMIT of at most `rows`."""
    limit = tree.args.get("limit")
    if not limit and not isinstance(tree, exp.Subquery):
        return tree.limit(rows, copy=False)
    count = limit.expression if limit and not limit.args.get("limit_options") else None
    if isinstance(count, exp.Literal) and count.is_int:
        count.replace(exp.Literal.number(min(int(count.this), rows)))
        return tree
    return (
        exp.select("*")
        .from_(tree if isinstance(tree, exp.Subquery) else tree.subquery(copy=False))
        .limit(rows, copy=False)
    )


def _node(kind: str) -> GuardError:
    return GuardError(
        "sql_node",
        Text(f"{quoted(kind.upper())} may not be used in this place.", f"此处不能使用{quoted(kind.upper())}。"),
        Text("Keep to what a plain SELECT needs.", "请只使用普通 SELECT 所需的写法。"),
    )


def _function(name: str) -> GuardError:
    meant = did_you_mean(name, functions.FUNCTIONS)
    return GuardError(
        "sql_function",
        Text(f"The function {quoted(name)} may not be used.", f"不能使用函数{quoted(name)}。"),
        meant
        if meant.en
        else Text(
            "Use an ordinary function over numbers, texts, dates or lists.",
            "请使用处理数字、文本、日期或列表的普通函数。",
        ),
    )


def _too_deep() -> GuardError:
    return GuardError(
        "sql_too_deep",
        Text("The statement is nested too deeply.", "语句嵌套过深。"),
        Text("Split it into parts with WITH.", "请用 WITH 把它拆成几部分。"),
    )
