"""Owns what stands out in a result, one sentence a finding. Knows nothing of queries; says what is, never why.

A finding states only what its numbers carry: rates are never added up or averaged, shares need a whole that is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wenshu.semantic_layer.rfm_segment import TIERS
from wenshu.semantic_layer.table import Cell, Column
from wenshu.tools.readings import (
    RATES,
    Measure,
    Reading,
    collapsed,
    divisible,
    first_ones,
    ranked,
    total,
    valued,
)
from wenshu.tools.wording import Wording

MANY = 5  # groups, from which on the share of the first three says something
CLEAR_RATIO, ABSURD_RATIO = 1.5, 10_000  # between which "times as much" reads better than a difference
NEXT = 4  # runners-up named after a winner


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Hold what the sentences about a result refer to, worded and escaped.

    `least` is None where no superlative was asked; `by` is the number of a reading that a superlative speaks of.
    """

    words: Wording
    period: str
    compared: str
    filters: str
    least: bool | None
    by: Literal["value", "change", "share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Hold an explanation before it is cut to length: a headline, findings of which some may be empty, and notices to keep."""

    headline: str
    findings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Hold the readings of one metric by its keys.

    `complete` says that they make up the whole; `others` is the key of a row that folds several groups into one: it
    counts in sums, and is never ranked.
    """

    measure: Measure
    keys: tuple[Column, ...]
    readings: tuple[Reading, ...]
    complete: bool
    others: Cell = None

    @property
    def named(self) -> tuple[Reading, ...]:
        """Return the readings that speak of one group each."""
        return tuple(reading for reading in self.readings if self.others is None or self.others not in reading.keys)

    @property
    def whole(self) -> float | None:
        """Return the metric over all groups, where their sum is that."""
        return total(self.readings) if self.complete and self.measure.additive else None

    @property
    def divisible(self) -> float | None:
        """Return the whole, where shares may be taken of it."""
        return divisible(self.readings) if self.complete and self.measure.additive else None

    @property
    def unit(self) -> str | None:
        return self.measure.column.unit

    @property
    def change_unit(self) -> str:
        """Return the unit in which changes of groups compare with each other."""
        return "pp" if self.unit in RATES else "%"

    def comparable(self, by: str) -> tuple[Reading, ...]:
        """Return the named groups, for changes only those in the common unit."""
        return tuple(reading for reading in self.named if by != "change" or reading.change_unit == self.change_unit)

    def name(self, reading: Reading, words: Wording) -> str:
        return words.name(self.keys, reading.keys)

    def names(self, readings: Sequence[Reading], words: Wording) -> str:
        return words.names([self.name(reading, words) for reading in readings])

    def told(self, words: Wording, en: str, zh: str) -> str:
        """Return a sentence about the groups; of a part of them, it says so."""
        if not self.complete or len(self.named) < len(self.readings):
            en, zh = f"of those listed, {en}", f"所列各组中，{zh}"
        return words.say(words.opening(en), zh)

    def with_value(self, reading: Reading, words: Wording) -> str:
        """Return the name of a group with its value in brackets."""
        value, counts = words.value(reading.value, self.unit), words.counts(reading.counts)
        return words.noted(self.name(reading, words), words.say(", ", "，").join(filter(None, (value, counts))))


def ranking_findings(groups: Groups, asked: Asked) -> tuple[str, ...]:
    """Return what stands out among groups, the weightiest first; some may be empty."""
    after = _contrast(groups, asked) if asked.least is None else runners_up(groups, asked)
    return (
        _winner_among_the_known(groups, asked) or after,
        _changes(groups, asked),
        _share(groups, asked),
        _totals_by_first_key(groups, asked),
        _without_data(groups, asked),
        _unknown(groups, asked),
    )


def _winner_among_the_known(groups: Groups, asked: Asked) -> str:
    order = ranked(groups.named, least=bool(asked.least))
    known = tuple(reading for reading in order if None not in reading.keys)
    if asked.by != "value" or len(groups.keys) != 1 or not known or None not in order[0].keys:
        return ""
    words, by = asked.words, asked.words.by(groups.keys)
    best = words.noted(groups.names(first_ones(known), words), words.value(known[0].value, groups.unit))
    return words.say(
        f"Where the {by} is known, the {'lowest' if asked.least else 'highest'}: {best}.",
        f"在{by}已知的各组中，最{'低' if asked.least else '高'}的是{best}。",
    )


def _contrast(groups: Groups, asked: Asked) -> str:
    order, words = ranked(groups.named), asked.words
    if not order or order[0].value == order[-1].value:
        return ""
    high, low = order[0].value or 0, order[-1].value or 0
    if low > 0 and CLEAR_RATIO <= high / low <= ABSURD_RATIO and groups.unit not in RATES:
        times = f"{high / low:,.1f}"
        gap = words.say(f"the highest is {times} times that", f"最高是最低的 {times} 倍")
    else:
        apart = words.value(high - low, "pp" if groups.unit in RATES else groups.unit)
        gap = words.say(f"{apart} below the highest", f"与最高相差 {apart}")
    last = first_ones(order[::-1])
    if len(last) == 1:
        lowest = groups.with_value(last[0], words)
    else:
        lowest = words.noted(groups.names(last, words), words.value(low, groups.unit))
    return groups.told(words, f"lowest: {lowest}; {gap}.", f"最低的是{lowest}，{gap}。")


def runners_up(groups: Groups, asked: Asked) -> str:
    """Say who follows the winner of a superlative; after the largest fall come falls only."""
    order, words = ranked(groups.comparable(asked.by), asked.by, least=bool(asked.least)), asked.words
    rest = order[len(first_ones(order, asked.by)) :]
    unit = groups.change_unit if asked.by == "change" else "%" if asked.by == "share" else groups.unit
    if asked.by == "change" and order:
        rest = tuple(reading for reading in rest if (reading.change or 0) * (order[0].change or 0) > 0)
    listed = words.say(", ", "、").join(
        words.noted(
            groups.name(reading, words),
            words.value(getattr(reading, asked.by), unit, signed=asked.by == "change"),
        )
        for reading in rest[:NEXT]
    )
    return words.say(f"Next: {listed}.", f"其后依次为{listed}。") if rest else ""


def _changes(groups: Groups, asked: Asked) -> str:
    order = ranked(groups.comparable("change"), "change")
    rises = [reading for reading in order if (reading.change or 0) > 0]
    falls = [reading for reading in reversed(order) if (reading.change or 0) < 0]
    if asked.by == "change" or len(order) < 2 or not (rises or falls):
        return ""
    words = asked.words
    parts = [words.say(f"{len(rises)} up, {len(falls)} down", f"{len(rises)} 个上升、{len(falls)} 个下降")]
    for readings, en, zh in ((rises, "largest rise: ", "升幅最大的是"), (falls, "largest fall: ", "降幅最大的是")):
        if readings:
            change = words.value(readings[0].change, groups.change_unit, signed=True)
            parts.append(words.say(en, zh) + words.noted(groups.name(readings[0], words), change))
    compared = words.brief(asked.compared)
    return groups.told(words, f"against {compared}: {'; '.join(parts)}.", f"较 {compared}，{'，'.join(parts)}。")


def _share(groups: Groups, asked: Asked) -> str:
    words = asked.words
    if (whole := groups.divisible) is None:
        best = ranked(groups.named, "share")
        if len(best) < 2:
            return ""
        leader = words.noted(groups.names(first_ones(best, "share"), words), words.value(best[0].share, "%"))
        return groups.told(words, f"largest share: {leader}.", f"占比最高的是{leader}。")
    order = ranked(groups.named)
    if asked.least or asked.by == "change" or not order or order[0].value == order[-1].value:
        return ""
    top, first, tail = first_ones(order), words.value((order[0].value or 0) / whole, "%"), ""
    if len(order) >= MANY:
        three = words.value((total(order[:3]) or 0) / whole, "%")
        tail = words.say(f"; the top 3 make up {three}", f"，前 3 名共占 {three}")
    make, each = ("makes", "") if len(top) == 1 else ("each make", "各")
    names = groups.names(top, words)
    return words.say(f"{names} {make} up {first} of the total{tail}.", f"{names}{each}占合计的 {first}{tail}。")


def _totals_by_first_key(groups: Groups, asked: Asked) -> str:
    if len(groups.keys) < 2 or groups.whole is None:
        return ""
    sums = summed(groups, (0,))
    order, words = ranked(sums.named), asked.words
    if not order or order[0].value == order[-1].value:
        return ""
    high, low, by = sums.with_value(order[0], words), sums.with_value(order[-1], words), words.by(sums.keys)
    return sums.told(
        words, f"in total by {by}: highest {high}, lowest {low}.", f"按{by}合计，最高的是{high}，最低的是{low}。"
    )


def summed(groups: Groups, positions: tuple[int, ...]) -> Groups:
    """Return an additive metric summed over all keys but those at `positions`."""
    return Groups(
        measure=Measure(column=groups.measure.column),
        keys=tuple(groups.keys[position] for position in positions),
        readings=collapsed(groups.readings, positions),
        complete=groups.complete,
        others=groups.others,
    )


def _without_data(groups: Groups, asked: Asked) -> str:
    empty = [reading for reading in groups.readings if reading.value is None]
    if len(empty) in (0, len(groups.readings)):
        return ""
    names = groups.names(empty, asked.words)
    return asked.words.say(f"No data: {names}.", f"没有数据：{names}。")


def _unknown(groups: Groups, asked: Asked) -> str:
    row = next((reading for reading in valued(groups.named) if reading.keys == (None,)), None)
    order, words = ranked(groups.named, least=bool(asked.least)), asked.words
    if row is None or None in order[0].keys:
        return ""
    column, by, share = groups.measure.column, words.by(groups.keys), ""
    if groups.divisible is not None:
        part = words.value((row.value or 0) / groups.divisible, "%")
        share = words.say(f", {part} of the total", f"，占合计的 {part}")
    label, value = words.label(column), words.value(row.value, column.unit)
    return words.say(
        f"Where the {by} is unknown, {label} {words.came_to(column)} {value}{share}.",
        f"{by}未知的{label}为 {value}{share}。",
    )


def other_metric_finding(groups: Groups, asked: Asked) -> str:
    """Say the extremes of a metric beside the one that the headline is about."""
    order, words = ranked(groups.named), asked.words
    if not order:
        return ""
    label = words.label(groups.measure.column)
    if order[0].value == order[-1].value:
        return ""
    high, low = groups.with_value(order[0], words), groups.with_value(order[-1], words)
    return groups.told(words, f"{label}: highest {high}, lowest {low}.", f"{label}最高的是{high}，最低的是{low}。")


def left_out_notice(left_out: int, asked: Asked) -> tuple[str, ...]:
    """Say how many users a rate leaves out since their time is not over."""
    if not left_out:
        return ()
    words, people = asked.words, asked.words.people(left_out)
    return (words.say(f"Left out, not mature yet: {people}.", f"另有 {people}尚未到期，未计入。"),)


def tier_shares(groups: tuple[Groups, ...], asked: Asked) -> str:
    """Say of RFM tiers what share of each additive metric the largest one makes up: of the users, of their value."""
    first, words = groups[0], asked.words
    order = ranked(first.named)
    known = {reading.keys[0] for reading in order if len(reading.keys) == 1}
    if asked.least is not None or not known or not known - {None} <= set(TIERS) or len(first_ones(order)) > 1:
        return ""
    shares = []
    for each in groups:
        part = next((reading.value for reading in each.named if reading.keys == order[0].keys), None)
        if each.divisible is not None and part is not None:
            share, label = words.value(part / each.divisible, "%"), words.label(each.measure.column)
            shares.append(words.say(f"{share} of {label}", f"{label}的 {share}"))
    name, listed = first.name(order[0], words), words.say(" and ", "、").join(shares)
    return words.say(f"{name} make up {listed}.", f"{name}占{listed}。") if shares else ""
