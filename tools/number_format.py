"""Owns how numbers are written for people. Knows nothing of tables or charts."""

import math

from wenshu.semantic_layer.text import Language

CURRENCY_SIGNS = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
NO_DATA = {"en": "no data", "zh": "无数据"}
UNIT_WORDS = {
    "day": ("days", "天"),
    "hour": ("hours", "小时"),
    "minute": ("minutes", "分钟"),
    "second": ("seconds", "秒"),
    "item": ("items", "件"),
}
DURATIONS = ("day", "hour", "minute", "second")
FINER = {"hour": ("minute", 60), "minute": ("second", 60)}  # in which less than one is written
LARGE_PERCENT = 1e6  # from which on a percentage is cut short as well
SMALLEST_PLAIN = 1e-4  # below, a short number has an exponent


def format_number(value: float | int | None, unit: str | None, language: Language, *, signed: bool = False) -> str:
    """Write a value exactly enough to be checked, with its unit; `signed` puts a plus before a gain.

    >>> format_number(0.2134, "%", "en"), format_number(1234567.5, "CNY", "zh"), format_number(None, None, "en")
    ('21.3%', '¥1,234,567.50', 'no data')
    >>> format_number(0.0123, "pp", "zh", signed=True), format_number(20.46, "day", "zh"), format_number(0.05, "hour", "en")
    ('+1.2 个百分点', '20.5 天', '3 minutes')
    """
    if value is None:
        return NO_DATA[language]
    sign = "-" if value < 0 else "+" if signed and value > 0 else ""
    size = abs(value)
    while 0 < size < 1 and unit in FINER:
        unit, parts = FINER[unit]
        size *= parts
    digits = _digits(size, unit)
    shown = f"{size * 100 if unit in ('%', 'pp') else size:,.{digits}f}"
    if not shown.strip("0."):
        sign, shown = "", f"{0:.{_digits(0, unit)}f}"
    if unit in DURATIONS:
        shown = shown.removesuffix(".0")
    if unit in CURRENCY_SIGNS:
        return f"{sign}{CURRENCY_SIGNS[unit]}{shown}"
    if unit == "%":
        return f"{sign}{shown}%"
    if unit == "pp":
        return f"{sign}{shown} {'个百分点' if language == 'zh' else 'pp'}"
    if unit in UNIT_WORDS:
        return f"{sign}{shown} {UNIT_WORDS[unit][language == 'zh']}"
    return f"{sign}{shown}{f' {unit}' if unit else ''}"


def _digits(size: float, unit: str | None) -> int:
    """Return how many decimals a number of a unit is written with."""
    if unit in ("%", "pp"):
        return 1 if size * 100 >= 1 or size == 0 else 2
    if unit in CURRENCY_SIGNS:
        return 2
    return 0 if float(size).is_integer() else 1 if unit in DURATIONS else 2


def format_short(value: float | None, unit: str | None, language: Language) -> str:
    """Write a value for a chart's axis or label, at most about six characters: 1.2M, 123万, 45%.

    >>> format_short(1234567, "CNY", "en"), format_short(-37900, "CNY", "zh"), format_short(0.456, "%", "en")
    ('¥1.23M', '-¥3.79万', '45.6%')
    >>> format_short(12.5, "%", "en"), format_short(-0.0, None, "en"), format_short(9999.6, None, "zh")
    ('1,250%', '0', '10,000')
    """
    if value is None:
        return NO_DATA[language]
    sign, size = "-" if value < 0 else "", abs(value)
    if unit in ("%", "pp"):
        sign = sign or ("+" if unit == "pp" and value > 0 else "")
        percent = size * 100
        shown = _significant(percent, 3) if percent < LARGE_PERCENT else _in_steps(percent, language)
        return f"{sign}{shown}{unit if unit == '%' else ''}"
    return f"{sign}{CURRENCY_SIGNS.get(unit or '', '')}{_in_steps(size, language)}"


def _in_steps(size: float, language: Language) -> str:
    """Write a number from zero up in thousands or ten thousands where it has so many."""
    steps = ((1e8, "亿"), (1e4, "万")) if language == "zh" else ((1e9, "B"), (1e6, "M"), (1e3, "K"))
    for step, suffix in steps:
        if size >= step:
            return f"{_significant(size / step, 3)}{suffix}"
    return _significant(size, 4)


def _significant(size: float, digits: int) -> str:
    """Write a number from zero up with so many digits that count, whole numbers in full.

    >>> _significant(1250, 3), _significant(0.0456, 3), _significant(3.0, 4)
    ('1,250', '0.0456', '3')
    """
    if size == 0:
        return "0"
    if size < SMALLEST_PLAIN:
        return f"{size:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    shown = f"{size:,.{decimals}f}"
    return shown.rstrip("0").rstrip(".") if decimals else shown
