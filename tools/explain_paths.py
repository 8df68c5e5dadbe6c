"""Owns how paths, and the last events of users who were lost, are explained: the commonest one, how much of all it is, what follows.

Knows nothing of queries.
"""

from dataclasses import dataclass

from wenshu.semantic_layer.behaviour_keys import LAST_EVENT, PATH
from wenshu.semantic_layer.table import Cell, Column, ResultTable
from wenshu.tools.counts import counts_of, keys_beside
from wenshu.tools.findings import Asked, Told
from wenshu.tools.readings import Measure, Reading, number, readings_of
from wenshu.tools.wording import Wording

MOST_NEXT = 3  # named after the commonest
SHARE, USERS = "share", "distinct_users"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """Hold how often one path was taken, or how many users an event was the last of."""

    group: tuple[Cell, ...]
    name: str
    reading: Reading
    share: str
    users: int | None


def explain_paths(table: ResultTable, measure: Measure, asked: Asked) -> Told | None:
    """Explain paths or last events, all together or by groups; None where they are neither, or nothing was counted."""
    own = next((column for column in table.columns if column.name in (PATH, LAST_EVENT)), None)
    if own is None or asked.least or any(column.role == "time" for column in table.columns):
        return None
    groups, words = keys_beside(table, own.name), asked.words
    rows = _rows(table, measure, own, groups, words)
    if not rows:
        return None
    by_group: dict[tuple[Cell, ...], list[_Row]] = {}
    for row in rows:
        by_group.setdefault(row.group, []).append(row)
    label, top = words.label(measure.column) + asked.filters, rows[0]
    told = _told(top, own, words)
    moved = words.moved(top.reading, measure.column.unit, asked.compared)
    told += moved and words.say(f", {moved}", f"，{moved}")
    if not groups or len(by_group) < 2:
        headline = words.say(
            f"In {label} for {asked.period}, {top.name} comes first: {told}.",
            f"{asked.period}{label}中，最常见的是{top.name}：{told}。",
        )
        return Told(headline=headline, findings=(_next(rows[1:], own, words), _together(rows, words)))
    firsts = [found[0] for found in by_group.values()]
    by, same = words.by(groups), len({row.name for row in firsts}) == 1
    shares = words.say(", ", "、").join(
        words.noted(words.name(groups, row.group), row.share if same else f"{row.name} {row.share}".strip())
        for row in firsts[: MOST_NEXT + 2]
    )
    if same:
        headline = words.say(
            f"In {label} for {asked.period}, {top.name} comes first in every {by} shown.",
            f"{asked.period}{label}中，所列各{by}最常见的都是{top.name}。",
        )
    else:
        headline = words.say(
            f"In {label} for {asked.period}, what comes first differs by {by}.",
            f"{asked.period}{label}中，各{by}最常见的不同。",
        )
    each = words.say(f"First in each {by}: {shares}.", f"各{by}的第一位：{shares}。")
    return Told(headline=headline, findings=(each,))


def _rows(table: ResultTable, measure: Measure, own: Column, groups: tuple[Column, ...], words: Wording) -> list[_Row]:
    """Return the rows that something was counted in, the commonest first."""
    counts = counts_of(table, measure.column.name)
    found = []
    for cells, reading in zip(table.rows, readings_of(table, measure, (*groups, own)), strict=True):
        users = number(cells[table.index(counts[USERS].name)]) if USERS in counts else None
        share = cells[table.index(counts[SHARE].name)] if SHARE in counts else None
        name = words.name((own,), (cells[table.index(own.name)],))
        if reading.value:
            found.append(
                _Row(
                    group=reading.keys[:-1], name=words.say(name, f"“{name}”"), reading=reading,
                    share="" if share is None else words.value(share, "%"), users=int(users) if users else None,
                )
            )  # fmt: skip
    return sorted(found, key=lambda row: -(row.reading.value or 0))


def _told(row: _Row, own: Column, words: Wording) -> str:
    """Return how often, or how many, in words: 1,359 times, 38.1 % of all, by 847 users."""
    count = int(row.reading.value or 0)
    if own.name == LAST_EVENT:
        return words.say(f"{words.people(count)}, {row.share} of all", f"{words.people(count)}，占 {row.share}")
    times = words.say(f"{count:,} time{'' if count == 1 else 's'}, {row.share} of all", f"{count:,} 次，占 {row.share}")
    by = words.people(row.users or 0)
    return times + (words.say(f", by {by}", f"，涉及 {by}") if row.users else "")


def _next(rows: list[_Row], own: Column, words: Wording) -> str:
    if not rows:
        return ""
    listed = words.say(", ", "、").join(
        words.noted(
            row.name, f"{words.value(row.reading.value, None)}, {row.share}".replace(", ", words.say(", ", "，"))
        )
        for row in rows[:MOST_NEXT]
    )
    return words.say(f"Next: {listed}.", f"其后依次为{listed}。")


def _together(rows: list[_Row], words: Wording) -> str:
    """Say how few of the rows make up most of all."""
    top = [row for row in rows if row.share][: MOST_NEXT + 1]
    total = sum(row.reading.value or 0 for row in rows)
    first = sum(row.reading.value or 0 for row in top)
    if len(rows) <= len(top) + 1 or not total or not 0.5 <= first / total < 0.995:
        return ""
    share = words.value(first / total, "%")
    return words.say(
        f"The first {len(top)} make up {share} of those listed.", f"前 {len(top)} 位合计占所列的 {share}。"
    )
