"""Owns how much a statement may make out of nothing: the length of series and of repeated text. Knows nothing of tables.

Neither a time limit nor a memory limit of the engine stops a single call such as range(10000000000) or repeat('x', 10000000000), so
the sizes must be written in the statement as constants.
"""

import re
from datetime import datetime, timedelta
from math import inf, isfinite, prod

from sqlglot import exp

from wenshu.semantic_layer.errors import GuardError
from wenshu.semantic_layer.text import Text

MAX_SERIES_ROWS = 100_000
MAX_SERIES_PRODUCT = 1_000_000
MAX_TEXT = 10_000

DAYS = {"day": 1, "week": 7, "month": 28, "quarter": 89, "year": 365, "decade": 3652}
SECONDS = {"hour": 3600, "minute": 60, "second": 1}
INTERVAL = re.compile(r"\s*(-?\d+)\s*([a-z]+?)s?\s*", re.IGNORECASE)
WIDE = re.compile(r"\d{4,}|\*|\{[^}]*\{")

TODAY = (datetime(2000, 1, 1), datetime(2100, 1, 1))  # what current_date may be: the longer series counts

Constant = float | datetime | timedelta


def check_sizes(tree: exp.Query) -> None:
    """Refuse a statement that makes long series or texts, or whose sizes are not constants."""
    repeated = 1
    for node in tree.find_all(exp.GenerateSeries, exp.Repeat, exp.Pad, exp.Format, exp.Anonymous, exp.Select):
        match node:
            case exp.Select():
                if prod(_rows(table.this) for table in _series_of(node)) > MAX_SERIES_PRODUCT:
                    raise _too_large_series()
            case exp.GenerateSeries():
                if _rows(node) > MAX_SERIES_ROWS:
                    raise _too_large_series()
            case exp.Repeat():
                repeated *= max(1, _length(node.args.get("times")))
            case exp.Pad():
                _length(node.expression)
            case exp.Format():
                _check_format(node.this)
            case exp.Anonymous() if node.name.lower() == "reservoir_quantile" and len(node.expressions) > 2:
                _length(node.expressions[2])
            case exp.Anonymous() if node.name.lower() == "printf":
                _check_format((node.expressions or [None])[0])
    if repeated > MAX_TEXT:
        raise _too_large_text()


def _series_of(select: exp.Select) -> list[exp.Table]:
    items = [select.args.get("from_"), *(select.args.get("joins") or ())]
    return [
        item.this
        for item in items
        if item and isinstance(item.this, exp.Table) and isinstance(item.this.this, exp.GenerateSeries)
    ]


def _rows(series: exp.Expr) -> float:
    """Return how many rows a series has at most, whatever day it is; infinity where its bounds are not constants."""
    return max(_rows_on(day, series) for day in TODAY)


def _rows_on(today: datetime, series: exp.Expr) -> float:
    try:
        start, end = _constant(series.args.get("start"), today), _constant(series.args.get("end"), today)
        step = _constant(series.args.get("step"), today) if series.args.get("step") else 1.0
        match start, end, step:
            case float(), float(), float() if step:
                steps = (end - start) / step
            case datetime(), datetime(), timedelta() if step:
                steps = (end - start) / step
            case _:
                return inf
    except OverflowError:
        return inf
    return max(0.0, steps) + 1 if isfinite(steps) else inf


def _constant(node: exp.Expr | None, today: datetime) -> Constant | None:
    """Return the number, the moment or the length of time that `node` writes, or None."""
    match node:
        case exp.Paren():
            return _constant(node.this, today)
        case exp.Literal(is_string=False):
            return _number(node.this)
        case exp.Neg():
            value = _constant(node.this, today)
            return None if value is None or isinstance(value, datetime) else -value
        case exp.Cast() if isinstance(node.this, exp.Literal) and node.this.is_string:
            return _moment(node.this.this)
        case exp.Cast() | exp.DateTrunc() | exp.TimestampTrunc():
            return _constant(node.this, today)
        case exp.DateFromParts():
            return _moment(
                "-".join(part.name.zfill(2) for part in (node.args["year"], node.args["month"], node.args["day"]))
            )
        case exp.CurrentDate() | exp.CurrentTimestamp():
            return today
        case exp.Interval():
            unit = node.args.get("unit")
            return _length_of_time(f"{node.this.name if node.this else ''} {unit.name if unit else ''}")
        case exp.Mul():
            left, right = _constant(node.this, today), _constant(node.expression, today)
            return left * right if isinstance(left, float) and isinstance(right, float) else None
        case exp.Add() | exp.Sub():
            return _sum(
                _constant(node.this, today), _constant(node.expression, today), -1 if isinstance(node, exp.Sub) else 1
            )
    return None


def _number(words: str) -> float | None:
    try:
        return float(words)
    except ValueError:
        return None


def _sum(left: Constant | None, right: Constant | None, sign: int) -> Constant | None:
    match left, right:
        case float(), float():
            return left + sign * right
        case datetime(), timedelta():
            return left + sign * right
        case datetime(), float():
            return left + sign * timedelta(days=right)
    return None


def _moment(words: str) -> datetime | None:
    try:
        return datetime.fromisoformat(words.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _length_of_time(words: str) -> timedelta | None:
    found = INTERVAL.fullmatch(words)
    if not found:
        return None
    count, unit = int(found[1]), found[2].lower()
    if unit in DAYS:
        return timedelta(days=count * DAYS[unit])
    return timedelta(seconds=count * SECONDS[unit]) if unit in SECONDS else None


def _length(node: exp.Expr | None) -> int:
    """Return a length, or the most that it can be where it is the least of something and a constant."""
    while isinstance(node, exp.Paren | exp.Cast) and not isinstance(node.this, exp.Literal):
        node = node.this
    parts = [node.this, *node.expressions] if isinstance(node, exp.Least) else [node]
    known = [part for part in (_constant(part, TODAY[0]) for part in parts) if isinstance(part, float)]
    value = min(known, default=None)
    if not isinstance(value, float) or not abs(value) <= MAX_TEXT:
        raise _too_large_text()
    return int(value)


def _check_format(node: exp.Expr | None) -> None:
    if not isinstance(node, exp.Literal) or not node.is_string or WIDE.search(node.this):
        raise _too_large_text()


def _too_large_series() -> GuardError:
    return GuardError(
        "sql_too_large_series",
        Text(
            f"A series in this statement may have more than {MAX_SERIES_ROWS:,} rows ({MAX_SERIES_PRODUCT:,} where several are joined), "
            "or its bounds are not constants.",
            f"语句中的序列可能超过 {MAX_SERIES_ROWS:,} 行（多个序列相连时为 {MAX_SERIES_PRODUCT:,} 行），或者它的上下界不是常量。",
        ),
        Text(
            "Write the bounds and the step of range() or generate_series() as constants and keep the series short.",
            "请把 range() 或 generate_series() 的上下界和步长写成常量，并缩短序列。",
        ),
    )


def _too_large_text() -> GuardError:
    return GuardError(
        "sql_too_large_text",
        Text(
            f"This statement may make a text longer than {MAX_TEXT:,} characters out of a short one, or its length is not a constant.",
            f"语句可能由短文本生成超过 {MAX_TEXT:,} 个字符的文本，或者其长度不是常量。",
        ),
        Text(
            "Give repeat(), lpad() and rpad() a small constant length, and format() and printf() a constant pattern.",
            "请为 repeat()、lpad()、rpad() 使用较小的常量长度，为 format()、printf() 使用常量格式。",
        ),
    )
