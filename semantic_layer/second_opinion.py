"""Owns a second reading of the very text that is to run, by DuckDB's own parser, held against the same allow-lists.

Two parsers can read one text differently, and an attack lives in the difference. So the guard's reading by sqlglot counts only where
DuckDB reads the same tables, restricted ones inside their source alone, and nothing but allowed functions, kinds of node and
types. Nothing is executed here.
"""

import json
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from threading import Lock
from types import MappingProxyType
from typing import Any

import duckdb

from wenshu.semantic_layer.errors import GuardError
from wenshu.semantic_layer.functions import FUNCTIONS, READ_CLASSES, READ_JOINS, READ_KINDS, READ_TYPES, TABLE_FUNCTIONS
from wenshu.semantic_layer.scopes import fold, quoted
from wenshu.semantic_layer.text import Text, same

SERIALIZE = "SELECT json_serialize_sql(?, skip_null := true, skip_empty := true, skip_default := true)"
NAMED = {"COLUMN_REF", "CONSTANT"}  # leaves: nothing below them is checked, as user text may stand there

PLACES = {"query_location", "query_location_length"}

Node = dict[str, Any]
NO_SOURCES: Mapping[str, str] = MappingProxyType({})


def confirm(sql: str, tables: Collection[str], sources: Mapping[str, str] = NO_SOURCES) -> None:
    """Raise GuardError unless DuckDB reads `sql` as one query over exactly `tables`, made of allowed parts only.

    A table that has a query in `sources` must be read inside just that query and nowhere else.
    """
    reading = _Reading({fold(name): _source(source) for name, source in sources.items()})
    for node in _parse(sql):
        reading.visit(node, frozenset())
    if reading.tables != set(map(fold, tables)):
        raise _disagreement(", ".join(sorted(reading.tables ^ set(map(fold, tables)))))


@lru_cache(maxsize=256)
def _source(sql: str) -> Node:
    [node] = _parse(sql)
    return node


def reads_one_select(text: str) -> bool:
    """Tell whether DuckDB, too, reads `text` as one SELECT."""
    connection, lock = _parser()
    with lock:
        try:
            statements = connection.extract_statements(text)
        except duckdb.Error:
            return False
    return [statement.type for statement in statements] == [duckdb.StatementType.SELECT]


@cache
def _parser() -> tuple[duckdb.DuckDBPyConnection, Lock]:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "python_enable_replacements": "false",
        "threads": "1",
        "lock_configuration": "true",
    }
    return duckdb.connect(":memory:", config=settings), Lock()


def _parse(sql: str) -> list[Node]:
    connection, lock = _parser()
    with lock:
        row = connection.execute(SERIALIZE, [sql]).fetchone()
    read: Node = json.loads(row[0]) if row else {"error": True}
    if read["error"] or len(read["statements"]) != 1:
        raise GuardError(
            "sql_syntax",
            Text("The database would not read this statement as one query.", "数据库无法把这条语句读作一条查询。"),
            Text("Write one SELECT in DuckDB's SQL.", "请用 DuckDB 的 SQL 写一条 SELECT 语句。"),
        )
    return [statement["node"] for statement in read["statements"]]


class _Reading:
    """Walk DuckDB's tree by the rules of scope, noting tables and refusing what is not on a list."""

    def __init__(self, sources: Mapping[str, Node]) -> None:
        self._sources = sources
        self.tables: set[str] = set()

    def visit(self, node: Any, ctes: frozenset[str]) -> None:
        if isinstance(node, list):
            for child in node:
                self.visit(child, ctes)
        elif isinstance(node, dict):
            if self._is_source(node):
                return
            self._check(node, ctes)
            for entry in node.get("cte_map", {}).get("map", ()):
                if fold(entry["key"]) in self._sources:
                    raise _disagreement(entry["key"])
                self.visit(entry["value"], ctes)
                ctes |= {fold(entry["key"])}
            if node.get("class") not in NAMED:
                for key, child in node.items():
                    if key not in ("cte_map", "qualified_name"):
                        self.visit(child, ctes)

    def _is_source(self, node: Node) -> bool:
        """Note the table whose source stands here, if one does."""
        if node.get("type") != "SUBQUERY" or "class" in node:
            return False
        inner = node["subquery"]["node"]
        found = [name for name, source in self._sources.items() if _alike(inner, source)]
        self.tables.update(found)
        return bool(found)

    def _check(self, node: Node, ctes: frozenset[str]) -> None:
        kind = node.get("type")
        if "class" in node:
            if node["class"] not in READ_CLASSES:
                raise _disagreement(node["class"])
            if "function_name" in node:
                self._check_function(node)
            if node["class"] == "STAR" and "expr" in node:
                raise _disagreement("COLUMNS")
            if node["class"] == "TYPE" and node["type_name"].upper() not in READ_TYPES:
                raise _disagreement(node["type_name"])
        elif isinstance(kind, str) and kind not in READ_KINDS:
            raise _disagreement(kind)
        if kind == "BASE_TABLE":
            self._check_table(node, ctes)
        elif kind == "TABLE_FUNCTION" and fold(node["function"]["function_name"]) not in TABLE_FUNCTIONS:
            raise _disagreement(node["function"]["function_name"])
        elif kind == "JOIN" and node.get("ref_type", "REGULAR") not in READ_JOINS:
            raise _disagreement(node["ref_type"])

    def _check_table(self, node: Node, ctes: frozenset[str]) -> None:
        name, schema = fold(node["table_name"]), fold(node.get("schema_name", ""))
        if "at_clause" in node or "catalog_name" in node or schema not in ("", "main"):
            raise _disagreement(node["table_name"])
        if name in self._sources:
            raise _disagreement(node["table_name"])
        if schema or name not in ctes:
            self.tables.add(name)

    def _check_function(self, node: Node) -> None:
        name = node["function_name"]
        if fold(name) not in FUNCTIONS or "schema" in node or "catalog" in node:
            raise GuardError(
                "sql_function",
                Text(f"The function {quoted(name)} may not be used.", f"不能使用函数{quoted(name)}。"),
                Text(
                    "Use an ordinary function over numbers, texts, dates or lists.",
                    "请使用处理数字、文本、日期或列表的普通函数。",
                ),
            )


def _alike(one: Any, other: Any) -> bool:
    """Tell whether two readings are the same but for where they stand in the text."""
    if isinstance(one, dict) and isinstance(other, dict):
        return (one.keys() - PLACES) == (other.keys() - PLACES) and all(
            _alike(value, other[key]) for key, value in one.items() if key not in PLACES
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


def _disagreement(what: str) -> GuardError:
    return GuardError(
        "sql_node",
        Text(
            f"The database would read {quoted(what)} in this statement, which may not be used.",
            f"数据库会在语句中读到不允许使用的{quoted(what)}。",
        ),
        Text("Write the statement more plainly.", "请把语句写得更简单一些。") if what else same(""),
    )
