"""Owns how numbers are written for people. Knows nothing of tables or charts."""

from wenshu.semantic_layer.text import Language

CURRENCY_SIGNS = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
NO_DATA = {"en": "no data", "zh": "无数据"}
UNIT_WORDS = {"day": ("days", "天"), "hour": ("hours", "小时"), "minute": ("minutes", "分钟"), "item": ("items", "件")}


def format_number(value: float | int | None, unit: str | None, language: Language, *, signed: bool = False) -> str:
    """Write a value exactly enough to be checked, with its unit; `signed` puts a plus before a gain.

    >>> format_number(0.2134, "%", "en"), format_number(1234567.5, "CNY", "zh"), format_number(None, None, "en")
    ('21.3%', '¥1,234,567.50', 'no data')
    >>> format_number(0.0123, "pp", "zh", signed=True)
    '+1.2 个百分点'
    """
    if value is None:
        return NO_DATA[language]
    sign = "-" if value < 0 else "+" if signed and value > 0 else ""
    size = abs(value)
    if unit in ("%", "pp"):
        shown = f"{size * 100:,.{1 if size * 100 >= 1 or size == 0 else 2}f}"
        if unit == "%":
            return f"{sign}{shown}%"
        return f"{sign}{shown} {'个百分点' if language == 'zh' else 'pp'}"
    shown = f"{size:,.0f}" if float(size).is_integer() and unit not in CURRENCY_SIGNS else f"{size:,.2f}"
    if unit in CURRENCY_SIGNS:
        return f"{sign}{CURRENCY_SIGNS[unit]}{shown}"
    if unit in UNIT_WORDS:
        return f"{sign}{shown} {UNIT_WORDS[unit][language == 'zh']}"
    return f"{sign}{shown}{f' {unit}' if unit else ''}"


def format_short(value: float | None, unit: str | None, language: Language) -> str:
    """Write a value for a chart's axis or label, at most about six characters: 1.2M, 123万, 45%.

    >>> format_short(1234567, "CNY", "en"), format_short(1234567, "CNY", "zh"), format_short(0.456, "%", "en")
    ('¥1.23M', '¥123万', '45.6%')
    """
    if value is None:
        return NO_DATA[language]
    if unit in ("%", "pp"):
        return f"{value * 100:.3g}%" if unit == "%" else f"{value * 100:+.3g}"
    steps = ((1e8, "亿"), (1e4, "万")) if language == "zh" else ((1e9, "B"), (1e6, "M"), (1e3, "K"))
    for size, suffix in steps:
        if abs(value) >= size:
            shown = f"{value / size:.3g}" if abs(value) < size * 1000 else f"{value / size:,.0f}"
            return f"{CURRENCY_SIGNS.get(unit or '', '')}{shown}{suffix}"
    return f"{CURRENCY_SIGNS.get(unit or '', '')}{value:,.4g}"
