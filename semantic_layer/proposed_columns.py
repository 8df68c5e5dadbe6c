"""Owns the part that every column of a brought table plays: key, user, time, measure, dimension, personal. Builds no model."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from wenshu.semantic_layer.column_words import Header, entries, header_of
from wenshu.semantic_layer.data_loading import LoadedColumn, LoadedTable
from wenshu.semantic_layer.text import Text

MOST_NAMED, LONGEST_NAMED = 2_000, 40  # values of a dimension that people name: how many, and how long on average
PERSONAL = 0.8  # the share of values that must look personal
PHONE = re.compile(r"(\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}|\+\d{1,3}[- ]?\(?\d{2,4}\)?[- ]?\d{3,4}[- ]?\d{3,4}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
ID_CARD = re.compile(r"\d{6}(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dXx]")
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
CHINESE_NAME = re.compile(rf"(欧阳|上官|司马|诸葛|[{SURNAMES}])[\u4e00-\u9fff]{{1,2}}")
ENGLISH_NAME = re.compile(r"[A-Z][a-z'-]+,? (?:[A-Z]\.? )?[A-Z][A-Za-z'-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Hold a column with the part that it plays in its table."""

    column: LoadedColumn
    header: Header
    role: str  # key, user, time, measure, rating, boolean, dimension, id, pii, empty
    named: bool = False  # whether people name its values

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def type(self) -> str:
        return self.column.column.type

    @property
    def label(self) -> Text:
        if number := re.fullmatch(r"第(\d+)列", self.header.text):
            return Text(f"column {number[1]}", self.header.text)
        return self.header.label

    @property
    def adds_up(self) -> bool:
        """Say whether a measure's sum means something."""
        near = self.header.near
        return self.role == "measure" and self.column.column.unit != "%" and not (near and near.each)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableParts:
    """Hold a table with the parts of its columns; `key`, `user` and `time` are among them."""

    table: LoadedTable
    parts: tuple[Part, ...]
    key: Part | None
    user: Part | None
    time: Part | None

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def of_users(self) -> bool:
        """Say whether its rows are the users themselves."""
        return self.user is not None and self.user.column.unique


def parts_of(connection: duckdb.DuckDBPyConnection, table: LoadedTable) -> TableParts:
    """Say what part every column of a loaded table plays."""
    headers = [header_of(column.header) for column in table.columns]
    user = _user(table, headers)
    parts = []
    for column, header in zip(table.columns, headers, strict=True):
        sample = [str(row[0]) for row in connection.execute(f"SELECT DISTINCT {column.name} FROM (SELECT {column.name} FROM {table.name} WHERE {column.name} IS NOT NULL LIMIT 5000) LIMIT 500").fetchall()]  # fmt: skip
        role = _role(table, column, header, sample)
        if column is user and role != "pii":
            role = "user"
        few = 0 < column.distinct <= MOST_NAMED and column.length <= LONGEST_NAMED and header.role != "text"
        parts.append(Part(column=column, header=header, role=role, named=few and column.column.type == "string"))
    return TableParts(
        table=table,
        parts=tuple(parts),
        key=_key(parts, user),
        user=next((part for part in parts if part.column is user), None),
        time=_first(
            parts,
            lambda part: (
                part.type in ("date", "time")
                and part.column.distinct > 0
                and not (part.header.entry and part.header.entry.secondary)
            ),
        ),
    )


def _first(parts: Sequence[Part], fits: Callable[[Part], bool]) -> Part | None:
    return next((part for part in parts if fits(part)), None)


def _user(table: LoadedTable, headers: Sequence[Header]) -> LoadedColumn | None:
    """Return the column that says who: by the order of the dictionary's words, identifiers before mere names of people."""
    words = [
        word.lower()
        for entry in entries()
        if entry.role == "user"
        for pair in zip(entry.en, entry.zh, strict=False)
        for word in pair
    ]
    fits = [
        (words.index(header.text.lower()) if header.text.lower() in words else 0, i, column)
        for i, (column, header) in enumerate(zip(table.columns, headers, strict=True))
        if header.role == "user" and column.column.type in ("string", "number") and not (table.rows > 1000 and column.distinct <= 10)
        and column.distinct > 0 and "DECIMAL" not in column.column.sql and "DOUBLE" not in column.column.sql.split("AS")[-1]
    ]  # fmt: skip
    return min(fits)[2] if fits else None


def _role(table: LoadedTable, column: LoadedColumn, header: Header, sample: Sequence[str]) -> str:
    if not column.distinct:
        return "empty"
    if header.role == "pii" or _looks_personal(column, header, sample, table.rows):
        return "pii"
    match column.column.type:
        case "date" | "time":
            return "time"
        case "boolean":
            return "boolean"
        case "number":
            if header.role in ("id", "code", "user"):
                return "id"
            return "rating" if header.role == "rating" else "measure"
    return "id" if header.role in ("id", "user") else "dimension"


def _looks_personal(column: LoadedColumn, header: Header, sample: Sequence[str], rows: int) -> bool:
    if not sample or column.column.type in ("date", "time", "boolean"):
        return False

    def share(pattern: re.Pattern[str]) -> float:
        return sum(1 for value in sample if pattern.fullmatch(value.strip())) / len(sample)

    if column.column.type == "number":
        whole = all(value.isdigit() for value in sample)
        return (
            whole
            and header.role not in ("id", "amount", "measure", "user")
            and (share(PHONE) >= PERSONAL and len(sample[0]) == 11 or share(ID_CARD) >= PERSONAL)
        )
    if max(map(share, (PHONE, EMAIL, ID_CARD))) >= PERSONAL:
        return True
    if header.role == "name" or not header.role:
        many = column.distinct > max(rows * 0.3, 2) or header.role == "name"
        return many and share(CHINESE_NAME) >= 0.9 or header.role == "name" and share(ENGLISH_NAME) >= PERSONAL
    return False


def _key(parts: Sequence[Part], user: LoadedColumn | None) -> Part | None:
    """Return the column that no two rows share: the user's, one that is called an identifier, or the first column."""
    unique = [
        part
        for part in parts
        if part.column.unique and part.type in ("string", "number") and part.role not in ("pii", "rating")
    ]
    own = _first(unique, lambda part: part.column is user) or _first(unique, lambda part: part.role == "id")
    first = (
        unique[0]
        if unique and unique[0] is parts[0] and len(parts) > 1 and unique[0].column.length <= LONGEST_NAMED
        else None
    )
    if own is None and first is not None and not first.header.role and "DECIMAL" not in first.column.column.sql:
        return first
    return own
