"""Owns what the text of a column is: numbers, amounts, percentages, dates in their many forms, yes and no, or text; and its SQL reading.

A kind is guessed from a sample and then held to the whole column: where more than a few values do not fit, the column stays text.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import duckdb

from wenshu.semantic_layer.text import Text

Type = Literal["string", "number", "boolean", "date", "time"]
MOST_UNFIT = 0.05  # of a column's values; beyond it the column is text
SAMPLE = 2_000
NOTHING = (
    "",
    "-",
    "--",
    "—",
    "——",
    "/",
    "\\n",
    "n/a",
    "na",
    "nan",
    "null",
    "none",
    "#n/a",
    "nil",
    "无",
    "空",
    "暂无",
    "未知",
)
PAIRS = (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("是", "否"), ("有", "无"), ("真", "假"))
MONEY = {
    "CNY": "¥|￥|RMB|CNY|元|块",
    "HKD": r"HK\$|HKD|港元|港币",
    "USD": r"US\$|\$|USD|美元",
    "EUR": "€|EUR|欧元",
    "GBP": "£|GBP|英镑",
}
SIGNS = "|".join(sorted("|".join(MONEY.values()).split("|"), key=len, reverse=True))
DIGITS = r"(?:\d{1,3}(?:[,，]\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,3})?"
PLAIN = rf"[(（]?[-+−]?(?:(?:{SIGNS})\s*)?[-+−]?{DIGITS}\s*(?:{SIGNS})?[)）]?"
NUMBER = rf"{PLAIN}"
CLOCK = r"(?:[ T]*(?:(?:上午|下午)\s*)?\d{1,2}[:时]\d{1,2}(?:[:分](?:\d{1,2}(?:\.\d{1,9})?秒?)?)?(?:\s*[AaPp][Mm])?)?"
ZONE = r"\s*(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Describe one form of values: the pattern that they match as a whole, and the SQL that reads a trimmed text.

    `dated` kinds are plain numbers that are dates only where the header says so. `quick` ones read untrimmed text fast, and only where
    every value of the column fits; where not, a slower kind of the same values follows.
    """

    name: str
    type: Type
    pattern: str
    sql: Callable[[str], str]
    dated: bool = False
    quick: bool = False
    plausible: Callable[[str], bool] = lambda value: True


def _number(t: str) -> str:
    bare = f"replace(regexp_replace({t}, '(?i){SIGNS}|[,，\\s()（）]', '', 'g'), '−', '-')"
    return f"CASE WHEN regexp_matches({t}, '^[(（]') THEN '-' ELSE '' END || {bare}"


def _scaled(t: str, marks: str) -> str:
    unmarked = _number(f"translate({t}, '{marks}', '')")
    return f"TRY_CAST({unmarked} AS DOUBLE)"


def _iso(t: str) -> str:
    day = rf"regexp_replace({t}, '^(\d{{4}})[-/.年]\s*(\d{{1,2}})[-/.月]\s*(\d{{1,2}})[日号]?[ T]*', '\1-\2-\3 ')"
    clock = rf"regexp_replace({day}, '(上午|下午)\s*(.+)$', '\2 \1')"
    clock = rf"regexp_replace(regexp_replace({clock}, '[时分](\d)', ':\1', 'g'), '[时分秒]', '', 'g')"
    ready = f"trim(replace(replace({clock}, '上午', 'AM'), '下午', 'PM'))"
    halves, wholes = "['%Y-%m-%d %I:%M %p', '%Y-%m-%d %I:%M:%S %p']", "['%Y-%m-%d %H:%M', '%Y-%m-%d %H:%M:%S']"
    return f"coalesce(try_strptime({ready}, {halves}), TRY_CAST({ready} AS TIMESTAMP), try_strptime({ready}, {wholes}))"


def _in_order(*parts: str) -> Callable[[str], str]:
    days = ["-".join(parts)]
    clocks = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
    formats = ", ".join(f"'{day}{clock}'" for day in days for clock in clocks)
    return lambda t: f"try_strptime(regexp_replace({t}, '[/.]', '-', 'g'), [{formats}])"


def _in_words(t: str) -> str:
    formats = ("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y")
    listed = ", ".join(f"'{day}{clock}'" for day in formats for clock in ("", " %H:%M", " %H:%M:%S"))
    return f"try_strptime(regexp_replace({t}, '[-, ]+', ' ', 'g'), [{listed}])"


def _month(value: str) -> bool:
    return 1 <= int(re.split(r"[/.-]", value)[0]) <= 12


def _second(value: str) -> bool:
    return 1 <= int(re.split(r"[/.-]", value)[1]) <= 12


def _compact(value: str) -> bool:
    return 1 <= int(value[4:6]) <= 12 and 1 <= int(value[6:8]) <= 31


SHORT_DAY = r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}" + CLOCK
KINDS = (
    Kind(name="plain number", type="number", pattern=r"[-+]?\d+(?:\.\d+)?", sql=lambda t: t, quick=True),
    Kind(name="plain date", type="time", pattern=r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)?", quick=True,
         sql=lambda t: f"TRY_CAST({t} AS TIMESTAMP)"),
    Kind(name="ISO date", type="time", pattern=r"\d{4}[-/.年]\s*\d{1,2}[-/.月]\s*\d{1,2}[日号]?" + CLOCK, sql=_iso),
    Kind(name="moment", type="time", pattern=r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?" + ZONE,
         sql=lambda t: f"timezone(getvariable('zone'), TRY_CAST(replace({t}, ' UTC', 'Z') AS TIMESTAMPTZ))"),
    Kind(name="month", type="time", pattern=r"\d{4}(?:[-/]\d{1,2}|年\d{1,2}月)",
         sql=lambda t: f"try_strptime(regexp_replace(regexp_replace({t}, '[年/]', '-'), '月', ''), '%Y-%m')"),
    Kind(name="month/day/year", type="time", pattern=SHORT_DAY, sql=_in_order("%m", "%d", "%Y"), plausible=_month),
    Kind(name="day/month/year", type="time", pattern=SHORT_DAY, sql=_in_order("%d", "%m", "%Y"), plausible=_second),
    Kind(name="date in words", type="time", pattern=r"(?:\d{1,2}[- ][A-Za-z]{3,9}|[A-Za-z]{3,9} \d{1,2}),?[- ]\d{4}(?: \d{1,2}:\d{2}(?::\d{2})?)?", sql=_in_words),
    Kind(name="compact date", type="time", pattern=r"(?:19|20)\d{6}(?:\d{6})?", plausible=_compact, dated=True,
         sql=lambda t: f"try_strptime({t}, ['%Y%m%d', '%Y%m%d%H%M%S'])"),
    Kind(name="epoch seconds", type="time", pattern=r"[12]\d{9}(?:\.\d+)?", dated=True,
         sql=lambda t: f"timezone(getvariable('zone'), to_timestamp(TRY_CAST({t} AS DOUBLE)))"),
    Kind(name="epoch milliseconds", type="time", pattern=r"[12]\d{12}", dated=True,
         sql=lambda t: f"timezone(getvariable('zone'), to_timestamp(TRY_CAST({t} AS BIGINT) / 1000))"),
    Kind(name="Excel serial date", type="time", pattern=r"[2-7]\d{4}(?:\.\d+)?", dated=True,
         sql=lambda t: f"TIMESTAMP '1899-12-30' + to_microseconds(CAST(round(TRY_CAST({t} AS DOUBLE) * 86400) AS BIGINT) * 1000000)"),
    Kind(name="percentage", type="number", pattern=rf"{NUMBER}\s*[%％]",
         sql=lambda t: f"round({_scaled(t, '%％')} / 100, 12)"),
    Kind(name="number", type="number", pattern=NUMBER, sql=_number),
    Kind(name="number in 万", type="number", pattern=rf"{PLAIN}(?:\s*[万亿](?:{SIGNS})?)?",
         sql=lambda t: f"round({_scaled(t, '万亿')} * CASE WHEN contains({t}, '亿') THEN 1e8 WHEN contains({t}, '万') THEN 1e4 ELSE 1 END, 6)"),
    Kind(name="decimal comma", type="number", pattern=r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?(?:\s*€)?",
         sql=lambda t: f"replace(replace(regexp_replace({t}, '[€\\s]', '', 'g'), '.', ''), ',', '.')"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Hold what a column of text is: its type, the SQL that reads it from `source`, its unit, and what is to be said of it."""

    source: str
    header: str
    type: Type
    sql: str
    unit: str | None = None
    kind: str = "text"
    filled: int = 0
    unfit: int = 0
    notes: tuple[Text, ...] = ()


def column(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    source: str,
    header: str,
    *,
    dated: bool,
    keeps_text: bool,
    counted: bool = False,
    percent: bool = False,
) -> Column:
    """Say what the column `source` of `table` is; `dated` headers make dates of numbers, `keeps_text` ones (phones, codes) stay text.

    Where what it holds is `counted`, 0 and 1 are numbers rather than no and yes.
    """
    text = f"trim({source}, ' \t\u3000\u00a0')"
    nothing = ", ".join(f"'{word}'" for word in NOTHING)
    value = f"CASE WHEN lower({text}) NOT IN ({nothing}) THEN {text} END"
    as_text = Column(source=source, header=header, type="string", sql=f"nullif({text}, '')")
    step = f"(SELECT greatest(count(*) // {SAMPLE}, 1) FROM {table})"
    picked = f"SELECT {{}} AS v FROM {table} WHERE hash(rowid) % {step} = 0 AND {{}} IS NOT NULL LIMIT {2 * SAMPLE}"
    raw = [row[0] for row in connection.execute(picked.format(text, f"nullif({text}, '')")).fetchall()]
    if not raw:
        raw = [
            row[0]
            for row in connection.execute(
                f"SELECT {text} FROM {table} WHERE nullif({text}, '') IS NOT NULL LIMIT {SAMPLE}"
            ).fetchall()
        ]
    if not raw:
        return as_text
    if not keeps_text and (pair := _pair(raw, counted)):
        yes, no = pair
        sql = f"CASE lower({text}) WHEN '{yes}' THEN true WHEN '{no}' THEN false END"
        found = _held(connection, table, as_text, value, sql, "boolean", "yes or no", None)
        if found.type == "boolean":
            return found
    sample = [word for word in raw if word.lower() not in NOTHING]
    notes: tuple[Text, ...] = ()
    for kind in KINDS:
        if not sample or keeps_text and kind.type == "number" or kind.dated and not dated:
            continue
        fits = [
            word
            for word in sample
            if re.fullmatch(kind.pattern, word, re.IGNORECASE) and re.search(r"\d", word) and kind.plausible(word)
        ]
        if len(fits) < len(sample) * (1 - MOST_UNFIT):
            continue
        if kind.name == "month/day/year" and all(_second(word) for word in fits):
            notes = (
                Text(
                    f"Dates of “{header}” such as {fits[0]} were read as month/day/year.",
                    f"“{header}”中的日期（如 {fits[0]}）按“月/日/年”读取。",
                ),
            )
        if kind.quick and (len(fits) < len(sample) or kind.type == "number" and dated):
            continue
        read = kind.sql(source if kind.quick else value)
        if kind.type == "time":
            found = _held(connection, table, as_text, value, read, "time", kind.name, None)
        else:
            found = _number_column(connection, table, as_text, value, kind, read, _unit(header, sample), percent)
        if kind.quick and (found.type == "string" or found.unfit):
            continue
        if found.type != "string" or found.notes:
            return _with(found, notes)
    return as_text


def _pair(words: Sequence[str], counted: bool) -> tuple[str, str] | None:
    lower = {word.lower() for word in words}
    numbers = (("1", "0"),) if lower == {"0", "1"} and not counted else ()
    empties = set(NOTHING)
    return next((pair for pair in (*PAIRS, *numbers) if pair[0] in lower | {pair[1]} and lower - (empties - set(pair)) <= set(pair) and lower & set(pair)
                 and (pair[0] in lower or lower == {pair[1]} and pair[1] not in empties)), None)  # fmt: skip


def _number_column(
    connection: duckdb.DuckDBPyConnection, table: str, as_text: Column, value: str, kind: Kind, read: str, unit: str | None, percent: bool
) -> Column:  # fmt: skip
    """Choose the narrowest exact type for a column of numbers; identifiers, with leading zeros or too many digits, stay text."""
    if kind.name in ("percentage", "number in 万"):
        return _held(
            connection, table, as_text, value, read, "number", kind.name, "%" if kind.name == "percentage" else unit
        )
    after_point = (
        f"length({read}) - strpos({read}, '.')" if kind.quick else f"length(regexp_extract({read}, '\\.(\\d+)$', 1))"
    )
    leading, scale, digits, exponents = connection.execute(f"""
        SELECT count(*) FILTER (contains(left(n, 2), '0') AND regexp_matches(n, '^[-+]?0\\d')), coalesce(max(places), 0),
               coalesce(max(length(n) - CASE WHEN places > 0 THEN places + 1 ELSE 0 END - CASE WHEN left(n, 1) IN ('-', '+') THEN 1 ELSE 0 END), 0),
               count(*) FILTER (contains(lower(n), 'e'))
        FROM (SELECT {read} AS n, CASE WHEN contains({read}, '.') THEN {after_point} ELSE 0 END AS places FROM {table} WHERE {read if kind.quick else value} IS NOT NULL)
        WHERE TRY_CAST(n AS DOUBLE) IS NOT NULL""").fetchone() or (0, 0, 0, 0)
    if leading:
        return _with(
            as_text,
            (
                Text(
                    f"“{as_text.header}” has leading zeros and stays text.", f"“{as_text.header}”含前导零，按文本保存。"
                ),
            ),
        )
    if digits > 18 and not scale and not exponents:
        return _with(as_text, (Text(f"“{as_text.header}” has numbers of {digits} digits, too long to count with exactly; it stays text.",
                                    f"“{as_text.header}”的数字长达 {digits} 位，无法精确计算，按文本保存。"),))  # fmt: skip
    exact = "BIGINT" if not scale else f"DECIMAL(18, {scale})" if scale <= 6 and digits + scale <= 17 else "DOUBLE"
    exact = "DOUBLE" if exponents else exact
    number = f"TRY_CAST({read} AS {exact})"
    finite = f"CASE WHEN isfinite({number}) THEN {number} END" if exact == "DOUBLE" else number
    return _held(connection, table, as_text, value, finite, "number", kind.name, "%" if percent else unit)


def _held(
    connection: duckdb.DuckDBPyConnection, table: str, as_text: Column, value: str, sql: str, type_: Type, kind: str, unit: str | None
) -> Column:  # fmt: skip
    """Hold a reading to the whole column: say what does not fit, or leave the column text where that is more than a few."""
    midnight = f"coalesce(bool_and(date_trunc('day', {sql}) = {sql}), false)" if type_ == "time" else "false"
    given = as_text.sql if type_ == "boolean" else value
    read, days = connection.execute(f"SELECT count({sql}), {midnight} FROM {table}").fetchone() or (0, False)
    unfit, example = connection.execute(
        f"SELECT count(*), min({given}) FROM (FROM {table} WHERE {as_text.source} IS NOT NULL AND {sql} IS NULL) WHERE {given} IS NOT NULL"
    ).fetchone() or (0, None)
    filled = read + unfit
    header, seen = as_text.header, str(example)[:30]
    if unfit and type_ == "boolean":
        return as_text
    if unfit > filled * MOST_UNFIT:
        return _with(as_text, (Text(f"“{header}” mixes values of several kinds (such as “{seen}”) and stays text.",
                                    f"“{header}”混有多种类型的值（如“{seen}”），按文本保存。"),))  # fmt: skip
    notes = (Text(f"{unfit:,} of {filled:,} values of “{header}” (such as “{seen}”) are not of its type and are empty.",
                  f"“{header}”的 {filled:,} 个值中有 {unfit:,} 个（如“{seen}”）类型不符，按空值处理。"),) if unfit else ()  # fmt: skip
    if days:
        type_, sql = "date", f"CAST({sql} AS DATE)"
    return Column(
        source=as_text.source,
        header=header,
        type=type_,
        sql=sql,
        unit=unit,
        kind=kind,
        filled=filled,
        unfit=unfit,
        notes=notes,
    )


def _with(column_: Column, notes: tuple[Text, ...]) -> Column:
    return replace(column_, notes=(*column_.notes, *notes))


def _unit(header: str, sample: Sequence[str]) -> str | None:
    """Return the currency that the header or the values name."""
    named = re.search(r"[(（\[]\s*([^)）\]]+?)\s*[)）\]]", header)
    texts = [*([named[1]] if named else []), *sample[:50]]
    for currency in ("HKD", "USD", "EUR", "GBP", "CNY"):
        if any(re.search(MONEY[currency], text, re.IGNORECASE) for text in texts):
            return currency
    return None
