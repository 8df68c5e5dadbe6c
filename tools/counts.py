"""Owns the counts that stand beside a behavioural metric: which a person sees, how they are headed, what they count.

Knows nothing of sentences or charts.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime

from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP, PERIOD_NUMBER
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.semantic_layer.text import Language, Text

PLACE, LEFT_OUT, CONVERTED = "place", "left_out", "converted"
WHOLES = ("cohort", "entered", "users", "users_before")
PARTS = ("retained", CONVERTED, "repeat_users", "users_back")
SHORT_LABELS = {
    "step_rate": Text("from step before", "较上一步"),
    "median_hours": Text("median time from step before", "距上一步中位时长"),
    LEFT_OUT: Text("not mature, left out", "未到期（未计入）"),
    "users_before": Text("users, period before", "上期用户数"),
    "users_back": Text("of them back", "其中本期仍在"),
}
FROM_FIRST = Text("from step 1", "较第一步")
PERIOD_UNITS = {"day": Text("day", "天"), "week": Text("week", "周"), "month": Text("month", "个月")}
DID = {  # by what the whole and the part count, or what is left of it
    ("cohort", "retained"): Text("{} who entered", "进入的 {}留存"),
    ("entered", CONVERTED): Text("{} who entered", "进入的 {}完成转化"),
    ("cohort", "repeat_users"): Text("{} who bought for the first time", "首次购买的 {}复购"),
    ("users", "repeat_users"): Text("{} who bought", "购买的 {}复购"),
    ("users_before", "users_back"): Text("{} of the period before", "，上期的 {}本期仍在"),
    ("users_before", ""): Text("{} of the period before", "，上期的 {}本期不再出现"),
}
SAME_AS = 1e-9  # how exactly a rate is the quotient of its counts


def counts_of(table: ResultTable, metric: str) -> dict[str, Column]:
    """Return the counts beside a metric by what they count."""
    found = (column for column in table.with_role("count") if column.metric == metric)
    return {column.name.removeprefix(f"{metric}_"): column for column in found}


def shown_columns(table: ResultTable) -> tuple[Column, ...]:
    """Return the columns that people see: not a step's number, nor how many were left out where nobody was."""
    hidden = set()
    for metric in table.with_role("metric"):
        for suffix, column in counts_of(table, metric.name).items():
            if suffix == PLACE or (suffix == LEFT_OUT and not any(table.values(column.name))):
                hidden.add(column.name)
    return tuple(column for column in table.columns if column.name not in hidden)


def header(table: ResultTable, column: Column, language: Language) -> str:
    """Return how a column is headed: short, where its metric needs no naming again."""
    label = column.label
    names = [metric.name for metric in table.with_role("metric")]
    if column.name == PERIOD_NUMBER:
        unit = period_unit(column)
        label = Text(f"{unit.en}s after entry", f"进入后第几{unit.zh}")
    elif column.role == "metric" and len(names) == 1 and is_by_step(table):
        label = FROM_FIRST
    elif column.role == "count" and column.metric in names:
        metric = table.column(column.metric).label
        short = Text(label.en.removeprefix(f"{metric.en}: "), label.zh.removeprefix(f"{metric.zh}："))
        short = SHORT_LABELS.get(column.name.removeprefix(f"{column.metric}_"), short)
        behavioural = {count.metric for count in table.with_role("count")}
        label = short if len(behavioural) == 1 else Text(f"{metric.en}: {short.en}", f"{metric.zh}：{short.zh}")
    return label.in_(language)


def keys_beside(table: ResultTable, own_key: str) -> tuple[Column, ...]:
    """Return the keys of a result but one that only behavioural metrics have, time first."""
    keys = (*table.with_role("time"), *table.with_role("dimension"))
    return tuple(column for column in keys if column.name != own_key)


def is_by_step(table: ResultTable) -> bool:
    """Say whether a result has a row a funnel step."""
    return any(column.name == FUNNEL_STEP for column in table.with_role("dimension"))


def period_unit(column: Column) -> Text:
    """Return the unit that periods after entry are numbered in."""
    return PERIOD_UNITS.get(column.unit or "", PERIOD_UNITS["day"])


def period_name(period: Cell, unit: Text) -> Text:
    """Return what a period after entry is called: day 7, 第 7 天."""
    return Text(f"{unit.en} {period}", f"第 {period} {unit.zh}")


def label_at(label: Text, last: int, period: int | str, unit: Text) -> Text:
    """Return the label of a metric named by its last period for another one, or for period N.

    >>> label_at(Text("day-30 retention", "30日留存率"), 30, 7, PERIOD_UNITS["day"])
    Text(en='day-7 retention', zh='7日留存率')
    """
    whole = rf"(?<!\d){last}(?!\d)"
    en, one = re.subn(whole, str(period), label.en, count=1)
    zh, other = re.subn(whole, str(period), label.zh, count=1)
    if one and other:
        return Text(en, zh)
    name = period_name(period, unit)
    return Text(f"{label.en} ({name.en})", f"{label.zh}（{name.zh}）")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Hold the counts of one row: a rate is `part` of `whole`, who `did` it; a mean over users has no part."""

    part: int | None = None
    whole: int | None = None
    left_out: int = 0
    did: Text | None = None


NO_COUNTS = Counts()


def counts_in(row: tuple[Cell, ...], table: ResultTable, metric: Column) -> Counts:
    """Return the counts beside a metric in a row; the part is the one that the rate is the quotient of."""
    cells = {suffix: row[table.index(column.name)] for suffix, column in counts_of(table, metric.name).items()}
    value = row[table.index(metric.name)]
    of, whole = next(((name, count) for name in WHOLES if (count := _count(cells.get(name))) is not None), ("", None))
    by, part = next(((name, count) for name in PARTS if (count := _count(cells.get(name))) is not None), ("", None))
    left_out = _count(cells.get(LEFT_OUT)) or 0
    if not whole or not isinstance(value, int | float):
        return Counts(left_out=left_out)
    if part is None:
        return Counts(whole=whole, left_out=left_out)
    if part <= whole:
        for name, count in ((by, part), ("", whole - part)):
            if abs(count / whole - value) < SAME_AS:
                return Counts(part=count, whole=whole, left_out=left_out, did=DID.get((of, name)))
    return Counts(left_out=left_out)


def _count(cell: Cell) -> int | None:
    return cell if isinstance(cell, int) and not isinstance(cell, bool) and cell >= 0 else None


def unripe_buckets(table: ResultTable) -> tuple[date, ...]:
    """Return the buckets in which a metric leaves users out since their time is not over."""
    times = table.with_role("time")
    left = [counts[LEFT_OUT] for m in table.with_role("metric") if LEFT_OUT in (counts := counts_of(table, m.name))]
    found = []
    for row in table.rows if times and left else ():
        bucket = row[table.index(times[0].name)]
        if isinstance(bucket, date) and any(row[table.index(column.name)] for column in left):
            found.append(bucket.date() if isinstance(bucket, datetime) else bucket)
    return tuple(dict.fromkeys(found))
