"""Owns the numbers of a chart: labelled series over categories or time, folded to what a picture can hold.

Knows nothing of how a chart is chosen or drawn.
"""

import math
import unicodedata
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from wenshu.semantic_layer.behaviour_keys import LIFECYCLE_STAGE, PERIOD_NUMBER
from wenshu.semantic_layer.periods import Grain, bucket_start, next_bucket
from wenshu.semantic_layer.rfm_segment import TIERS
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language, Text
from wenshu.tools.counts import unripe_buckets

MOST_SERIES = 12
MOST_CATEGORIES = 50
MOST_POINTS = 5_000
MOST_PANELS = 4
LONGEST_LABEL = 80
LARGEST_NUMBER = 1e100  # beyond it an axis overflows; no metric is there by right
COMPARABLE = 50  # magnitudes further apart than this would flatten the smaller one on a shared axis

LOST = "dormant"  # the lifecycle stage that is drawn below zero

OTHERS = Text("others", "其他")
BLANK = Text("(blank)", "（空）")
MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Hold one line or one colour of bars: a value a category, None where there is none.

    Users who were lost are numbers below zero, so that they hang below the axis; they are written without the sign.
    """

    label: str
    values: tuple[float | None, ...]
    kind: Literal["current", "previous", "others", "lost"] = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Hold the series that share one value axis, its unit and the metric's name; several metrics have no name as one."""

    label: str
    unit: str | None
    series: tuple[Series, ...]

    @property
    def numbers(self) -> tuple[float, ...]:
        return tuple(value for series in self.series for value in series.values if value is not None)

    def shown(self, value: float) -> float:
        """Return the number that stands for a value, which below zero may only be where it is drawn."""
        return abs(value) if any(series.kind == "lost" for series in self.series) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartData:
    """Hold what a chart shows; `times` are the categories' first days on a time axis, `periods` those after entry on another.

    `incomplete` are positions on either. `axis` names the categories where they do not speak for themselves, such as
    the hours of a day; `apart` is the position of one that is not like the others: a rest, users lost. `notes` say, in the reader's language, what the picture leaves out.
    """

    categories: tuple[str, ...]
    panels: tuple[Panel, ...]
    axis: str = ""
    apart: int | None = None
    times: tuple[date, ...] = ()
    periods: tuple[int, ...] = ()
    grain: Grain | None = None
    incomplete: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def clean(text: str, longest: int = LONGEST_LABEL) -> str:
    """Return text on one line without control characters, cut with an ellipsis.

    >>> clean("two\\nlines\\u202e"), clean("abcdef", 4)
    ('two lines', 'abc…')
    """
    spaced = "".join(" " if char.isspace() else char for char in text[: longest * 20])
    kept = "".join(char for char in spaced if unicodedata.category(char)[0] != "C")
    line = " ".join(unicodedata.normalize("NFC", kept).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def number(cell: Cell) -> float | None:
    """Return a cell as a number that can be drawn, or None."""
    if not isinstance(cell, int | float) or isinstance(cell, bool) or not abs(cell) < LARGEST_NUMBER:
        return None
    return float(cell)


def time_label(day: date, grain: Grain | None, language: Language) -> str:
    """Name a time bucket in full.

    >>> time_label(date(2026, 9, 1), Grain.MONTH, "zh"), time_label(date(2026, 9, 1), Grain.QUARTER, "en")
    ('2026年9月', 'Q3 2026')
    """
    zh = language == "zh"
    match grain:
        case Grain.YEAR:
            return f"{day.year}年" if zh else str(day.year)
        case Grain.QUARTER:
            quarter = f"Q{(day.month + 2) // 3}"
            return f"{day.year}年{quarter}" if zh else f"{quarter} {day.year}"
        case Grain.MONTH:
            return f"{day.year}年{day.month}月" if zh else f"{MONTHS_EN[day.month - 1]} {day.year}"
        case Grain.WEEK:
            return f"{day:%Y-%m-%d} 当周" if zh else f"week of {day:%Y-%m-%d}"
        case Grain.HOUR if isinstance(day, datetime):
            return f"{day:%Y-%m-%d %H:%M}"
        case _:
            return f"{day:%Y-%m-%d}"


def bucket_of(cell: Cell, grain: Grain | None) -> date | None:
    """Return the first day (or hour) of the bucket a time cell stands for."""
    if not isinstance(cell, date) or grain is None:
        return cell if isinstance(cell, date) else None
    if isinstance(cell, datetime):
        if grain is Grain.HOUR:
            return cell.replace(minute=0, second=0, microsecond=0)
        cell = cell.date()
    return bucket_start(cell, grain)


def distinct(table: ResultTable, column: Column) -> tuple[Hashable, ...]:
    """Return a key's values: time buckets in order, a dimension's values as the table orders them."""
    cells = table.values(column.name)
    if column.role == "time":
        return tuple(sorted({day for cell in cells if (day := bucket_of(cell, column.grain)) is not None}))
    return tuple(dict.fromkeys(_key(cell) for cell in cells))


def same_scale(table: ResultTable, columns: Iterable[Column]) -> bool:
    """Say whether columns can share one value axis: one unit and comparable magnitudes."""
    columns = tuple(columns)
    largest = [max((abs(number(cell) or 0) for cell in table.values(column.name)), default=0) for column in columns]
    largest = [size for size in largest if size > 0]
    return len({column.unit for column in columns}) == 1 and (not largest or max(largest) <= COMPARABLE * min(largest))


def is_additive(table: ResultTable, column: Column) -> bool:
    """Say whether a column's values may be added up over groups."""
    return column.additive or any(
        other.name == column.metric and other.additive for other in table.columns if column.role != "change"
    )


def chart_data(
    table: ResultTable,
    *,
    x: str,
    y: tuple[str, ...],
    series: str | None,
    language: Language,
    most_series: int = MOST_SERIES,
    most_categories: int = MOST_CATEGORIES,
) -> ChartData:
    """Lay out the columns `y` over the values of `x`, one series a value of `series` or one a column.

    Series beyond `most_series` and categories beyond `most_categories` are added up as “others” where every column is additive, and
    left out where not.
    """
    columns = tuple(table.column(name) for name in y)
    key = table.column(x)
    adds = all(is_additive(table, column) for column in columns)
    split = _split(table, table.column(series), columns[0], adds, most_series, language) if series else None
    if key.role == "time":
        axis = _time_axis(table, key, MOST_POINTS // ((len(split.labels) if split else 1) * len(columns)), language)
    else:
        keys = _in_order(table, key) if split or key.name == PERIOD_NUMBER else _named_order(key, distinct(table, key))
        axis = _dimension_axis(table, key, keys, most_categories, adds, language)

    sums: dict[tuple[int, int, str], float] = {}
    places = [(table.index(column.name), column.name) for column in columns]
    x_index, series_index = table.index(x), table.index(series) if series else 0
    for row in table.rows:
        at = axis.place(bucket_of(row[x_index], key.grain) if key.role == "time" else _key(row[x_index]))
        of = split.place(_key(row[series_index])) if split else 0
        if at is None or of is None:
            continue
        for index, name in places:
            value = number(row[index])
            if value is not None:
                sums[at, of, name] = sums.get((at, of, name), 0.0) + value if adds else value

    lost = split.positions.get(LOST) if split and series == LIFECYCLE_STAGE else None

    def values(of: int, column: Column) -> tuple[float | None, ...]:
        return tuple(sums.get((at, of, column.name)) for at in range(len(axis.labels)))

    if split:
        panels = tuple(
            Panel(
                label=clean(column.label.in_(language)),
                unit=column.unit,
                series=tuple(
                    _series(label, values(of, column), folded=of == split.others, lost=of == lost)
                    for of, label in enumerate(split.labels)
                ),
            )
            for column in columns
        )
    else:
        panels = tuple(
            Panel(
                label=clean(group[0].label.in_(language)) if _is_one_metric(group) else "",
                unit=group[0].unit,
                series=tuple(
                    Series(
                        label=clean(column.label.in_(language)),
                        values=values(0, column),
                        kind="previous" if column.role == "comparison" else "current",
                    )
                    for column in group
                ),
            )
            for group in _panel_columns(table, columns)
        )
    cut_short = {bucket_of(day, key.grain) for day in table.incomplete} if key.role == "time" else set()
    cut_short |= {bucket_of(day, key.grain) for day in unripe_buckets(table)} if key.role == "time" else set()
    return ChartData(
        categories=axis.labels,
        panels=panels,
        axis=clean(key.label.in_(language)) if key.type == "number" and not key.value_labels else "",
        apart=axis.others if key.name != LIFECYCLE_STAGE else axis.positions.get(LOST),
        times=axis.times,
        grain=key.grain if key.role == "time" else None,
        incomplete=frozenset(at for at, day in enumerate(axis.times) if day in cut_short),
        notes=(*(split.notes if split else ()), *axis.notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """Place key values on an axis; a value it does not hold goes to `others`, or nowhere."""

    positions: dict[Hashable, int]
    labels: tuple[str, ...]
    others: int | None = None
    times: tuple[date, ...] = ()
    notes: tuple[str, ...] = ()

    def place(self, key: Hashable) -> int | None:
        return self.positions.get(key, self.others)


def _key(cell: Cell) -> Hashable:
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def _in_order(table: ResultTable, column: Column) -> tuple[Hashable, ...]:
    """Return a dimension's values, numbers such as hours by size: rows sorted by a metric would scatter them."""
    keys = distinct(table, column)
    if column.type != "number":
        return _named_order(column, keys)
    return tuple(
        sorted(keys, key=lambda key: (not isinstance(key, int | float), key if isinstance(key, int | float) else 0))
    )


def _named_order(column: Column, keys: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """Return lifecycle stages and RFM tiers in the order of their names' list, other values as they are."""
    listed = [value for value, _ in column.value_labels]
    if column.name != LIFECYCLE_STAGE and not (listed and set(listed) <= set(TIERS)):
        return keys
    return tuple(sorted(keys, key=lambda key: listed.index(key) if key in listed else len(listed)))  # type: ignore[arg-type]


def _series(label: str, values: tuple[float | None, ...], *, folded: bool, lost: bool) -> Series:
    if lost:
        return Series(label=label, values=tuple(None if value is None else -value for value in values), kind="lost")
    return Series(label=label, values=values, kind="others" if folded else "current")


def _dimension_axis(
    table: ResultTable, column: Column, keys: tuple[Hashable, ...], most: int, adds: bool, language: Language
) -> _Axis:
    """Keep the first `most` of the keys, in the table's order."""
    notes: tuple[str, ...] = ()
    kept, others = keys, None
    if len(keys) > most:
        others = most - 1 if adds else None
        kept = keys[: most - 1 if adds else most]
        name, left = clean(column.label.in_(language)), len(keys) - len(kept)
        notes = (
            Text(
                f"{name}: {left} more added up as others" if adds else f"{name}: {len(kept)} of {len(keys)} shown",
                f"其余 {left} 个{name}并入“其他”" if adds else f"{name}仅显示 {len(keys)} 个中的 {len(kept)} 个",
            ).in_(language),
        )
    labels = tuple(clean(column.shown(key, language)) or BLANK.in_(language) for key in kept)  # type: ignore[arg-type]
    return _Axis(
        positions={key: at for at, key in enumerate(kept)},
        labels=labels + ((OTHERS.in_(language),) if others is not None else ()),
        others=others,
        notes=notes,
    )


def _split(table: ResultTable, column: Column, ranked_by: Column, adds: bool, most: int, language: Language) -> _Axis:
    """Keep the largest series (by sum, or by mean where values do not add up), in the table's order."""
    keys = _in_order(table, column)
    if len(keys) <= most:
        return _dimension_axis(table, column, keys, most, adds, language)
    found: dict[Hashable, list[float]] = {key: [] for key in keys}
    for cell, value in zip(table.values(column.name), table.values(ranked_by.name), strict=True):
        if (size := number(value)) is not None:
            found[_key(cell)].append(abs(size))
    weight = {key: sum(sizes) / (1 if adds else max(len(sizes), 1)) for key, sizes in found.items()}
    largest = set(sorted(keys, key=lambda key: -weight[key])[: most - 1 if adds else most])
    ordered = [key for key in keys if key in largest] + [key for key in keys if key not in largest]
    return _dimension_axis(table, column, tuple(ordered), most, adds, language)


def _time_axis(table: ResultTable, column: Column, most: int, language: Language) -> _Axis:
    """Keep the latest `most` buckets and put in those without rows, so that a gap is seen as one."""
    times: list[date] = [day for day in distinct(table, column) if isinstance(day, date)]
    grain = column.grain
    if grain is not None and len(times) > 1:
        whole, day = [times[0]], times[0]
        while day < times[-1] and len(whole) <= 2 * MOST_POINTS:
            by_hour = isinstance(day, datetime)
            day = day + timedelta(hours=1) if by_hour else next_bucket(day, grain)
            whole.append(day)
        if set(whole) >= set(times):
            times = whole
    notes: tuple[str, ...] = ()
    if len(times) > most:
        notes = (Text(f"latest {most} of {len(times)} points in time", f"仅显示最近 {most} 个时间点").in_(language),)
        times = times[-most:]
    return _Axis(
        positions={day: at for at, day in enumerate(times)},
        labels=tuple(time_label(day, grain, language) for day in times),
        times=tuple(times),
        notes=notes,
    )


def _panel_columns(table: ResultTable, columns: tuple[Column, ...]) -> list[list[Column]]:
    """Group columns by value axis: metrics that compare share one, others stand each beside its own comparison."""
    compared = any(column.role == "comparison" for column in columns)
    if not compared and same_scale(table, columns):
        return [list(columns)]
    groups: dict[str, list[Column]] = {}
    for column in columns:
        metric = column.metric if column.role == "comparison" else None
        groups.setdefault(metric or column.name, []).append(column)
    return list(groups.values())


def _is_one_metric(group: list[Column]) -> bool:
    return all(column.role == "comparison" for column in group[1:])
