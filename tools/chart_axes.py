"""Owns the axes of charts: value ranges, round ticks and how they are written. Knows nothing of matplotlib."""

import math
from datetime import date, datetime

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.text import Language
from wenshu.tools.chart_data import MONTHS_EN, ChartData, Panel, Series, clean
from wenshu.tools.number_format import CURRENCY_SIGNS, UNIT_WORDS, format_number, format_short

ROOM = 0.08  # of the range, beyond the outermost value
HUGE = 1e16
LONG_SPAN = 150  # days; beyond, whole months are written under days and weeks
MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120, 600, 100_000)
PERIOD_STEPS = (1, 2, 5, 7, 10, 15, 30, 60, 90, 180, 365)
ROUND_STEPS = {Grain.MONTH: (1, 2, 3, 6, 12), Grain.DAY: (1, 2, 3, 5, 7, 14, 28), Grain.HOUR: (1, 2, 3, 6, 12, 24)}


def value_range(panel: Panel, *, from_zero: bool, stacked: bool = False) -> tuple[float, float]:
    """Return the ends of a value axis; bars begin at zero, lines where zero is not far from their values."""
    values = [total for sign in (1, -1) for total in totals(panel.series, sign)] if stacked else panel.numbers
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if from_zero or 0 <= low <= 0.5 * high:
        low = min(0.0, low)
    if from_zero or 0.5 * low <= high <= 0:
        high = max(0.0, high)
    if low == high:
        low, high = (low - abs(low) / 10, high + abs(high) / 10) if low else (0.0, 1.0)
    room = (high - low) * ROOM
    return (low - room if low else low), (high + room if high else high)


def value_ticks(
    low: float, high: float, panel: Panel, language: Language, most: int = 5
) -> tuple[list[float], list[str]]:
    """Return at most about `most` round values within the range and how they are written, no two alike."""
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    if panel.unit != "%" and all(value.is_integer() for value in panel.numbers):
        step = max(1.0, step) if step != 2.5 else 5.0
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [at * step for at in range(first, last + 1)]
    write = short_value
    if (
        len({short_value(value, panel.unit, language) for value in values}) < len(values)
        and max(map(abs, values)) < HUGE
    ):
        write = format_number
    return values, [write(panel.shown(value), panel.unit, language) for value in values]


def value_caption(panel: Panel, language: Language) -> str:
    """Return a value axis's name and, where the ticks do not show it, its unit."""
    unit = ""
    if panel.unit in UNIT_WORDS:
        unit = UNIT_WORDS[panel.unit][language == "zh"]
    elif panel.unit and panel.unit not in ("%", *CURRENCY_SIGNS):
        unit = clean(panel.unit, 20)
    if not panel.label or not unit:
        return panel.label or unit
    return f"{panel.label}（{unit}）" if language == "zh" else f"{panel.label} ({unit})"


def time_ticks(data: ChartData, language: Language, most: int) -> tuple[list[int], list[str]]:
    """Choose at most about `most` evenly spaced buckets; a second line names the year, or the day, where it begins."""
    most, grain, every = max(2, most), data.grain, range(len(data.times))
    if grain in (Grain.DAY, Grain.WEEK) and (data.times[-1] - data.times[0]).days > LONG_SPAN:
        months = [day.year * 12 + day.month - 1 for day in data.times]
        step = next(size for size in MONTH_STEPS if (months[-1] - months[0]) / size <= most)
        first = [at for at in every if (months[at] != months[at - 1] if at else data.times[0].day == 1)]
        starts = [at for at in first if months[at] % step == 0]
        positions, grain = starts or [0], Grain.MONTH
    else:
        step = max(1, math.ceil(len(data.times) / most))
        step = next((size for size in ROUND_STEPS.get(grain or Grain.DAY, ()) if size >= step), step)
        positions = list(every[::step])
    labels, above = [], ""
    for at in positions:
        label, below = time_tick(data.times[at], grain, language)
        labels.append(f"{label}\n{below}" if below != above else label)
        above = below
    return positions, labels


def short_value(value: float, unit: str | None, language: Language) -> str:
    """Write a value short enough for any axis."""
    return format_short(value, unit, language) if abs(value) < HUGE else f"{value:.3g}"


def time_tick(day: date, grain: Grain | None, language: Language) -> tuple[str, str]:
    """Write a time bucket in short, and what it is part of.

    >>> time_tick(date(2026, 9, 1), Grain.MONTH, "en"), time_tick(date(2026, 9, 7), Grain.WEEK, "zh")
    (('Sep', '2026'), ('9月7日', '2026年'))
    """
    zh = language == "zh"
    year = f"{day.year}年" if zh else str(day.year)
    short = f"{day.month}月{day.day}日" if zh else f"{MONTHS_EN[day.month - 1]} {day.day}"
    match grain:
        case Grain.YEAR:
            return year, ""
        case Grain.QUARTER:
            return f"Q{(day.month + 2) // 3}", year
        case Grain.MONTH:
            return (f"{day.month}月" if zh else MONTHS_EN[day.month - 1]), year
        case Grain.HOUR if isinstance(day, datetime):
            return f"{day:%H:%M}", short
        case _:
            return short, year


def period_ticks(periods: tuple[int, ...], most: int) -> tuple[list[int], list[str]]:
    """Choose at most about `most` round periods after entry: their positions and how they are written."""
    step = next((size for size in PERIOD_STEPS if len(periods) / size <= max(2, most)), PERIOD_STEPS[-1])
    positions = [at for at, period in enumerate(periods) if period % step == 0 or len(periods) == 1]
    return positions, [str(periods[at]) for at in positions]


def totals(series: tuple[Series, ...], sign: int = 1) -> list[float | None]:
    """Return how far the parts at each category reach above zero, or below; None where there are none."""
    columns = (
        [value for value in values if value is not None and value * sign >= 0]
        for values in zip(*(one.values for one in series), strict=True)
    )
    return [sum(known) if known else None for known in columns]
