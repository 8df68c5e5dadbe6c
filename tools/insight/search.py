"""Owns the search for the parts that a change comes from: dimension by dimension, then within what was found.

A part is chosen where it moved unlike the rest by more than chance gives. Knows no words and no calendar.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wenshu.semantic_layer.metrics import Ratio
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import Filter, Op, Or, Where, both
from wenshu.tools.insight.decomposition import (
    Amount,
    Part,
    Standout,
    binomial_variance,
    compare_with,
    decompose,
    dispersion,
    every_but,
    is_partition,
    standouts,
    whole,
)
from wenshu.tools.insight.insight import Inquiry
from wenshu.tools.insight.split import Key, Sides, Split, fetch, fetch_whole

DEEPEST = 3  # city × category × brand
STANDS_OUT, LIKELY = 0.01, 0.10  # false discovery rates: by itself, and where the whole is known to have moved unusually
ANY = 1.0  # a rate that everything passes
AMOUNTS = 0.2  # of the rate, for amounts: few large ones among many small make for more chance than the tail knows
CONFIRMED = 2.0  # deviations between the two sides themselves, for a part that stands out against its usual size
MATERIAL = 0.1  # of the change, that parts must deviate by together: with much data the smallest deviation is no chance
PRESENT = 0.5  # of a dimension's parts must be there on both sides: campaigns come and go, cities do not


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Say what to look at: the dimensions to begin with, and those to look at within a part."""

    sides: Sides
    by: tuple[str, ...]
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Hold one step of the search: a split of what was chosen before, and the parts of it that stand out."""

    split: Split
    chosen: tuple[Standout, ...]

    @property
    def keys(self) -> tuple[Key, ...]:
        return tuple(one.part.key for one in self.chosen)  # type: ignore[misc]


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """Hold what the search found: the way down to what explains the change, and what moved against it.

    `splits` are those looked at first, `overlapping` the dimensions whose parts do not add up, `tested` is the number
    of parts looked at. `lead` is the part furthest from the rest where none stands out.
    """

    levels: tuple[Level, ...]
    against: tuple[tuple[Split, Standout], ...]
    splits: tuple[Split, ...]
    tested: int
    overlapping: tuple[str, ...] = ()
    lead: tuple[Split, Standout] | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """Hold one of the parts that make up the whole: the parts chosen above it, and itself or the rest (None)."""

    path: tuple[tuple[Key, ...], ...]
    key: Key | None
    part: Part


def search(inquiry: Inquiry, scopes: Sequence[Scope], *, only: tuple[str, ...] = (), unusual: bool) -> Searched:
    """Return the way to the parts that explain a change; `unusual` says that the whole moved beyond its usual.

    Only parts of the dimensions `only` are named, where there are any; the others tell how much parts usually vary.
    """
    rate = LIKELY if unusual else STANDS_OUT
    if (unit := inquiry.model.metric(scopes[0].sides.metric).unit) is not None and unit != "%":
        rate *= AMOUNTS
    splits, overlapping = _splits(inquiry, scopes, None)
    found = _best(inquiry.model, splits, rate, only)
    levels: list[Level] = []
    level, where = found[0], None
    while level is not None:
        levels.append(level)
        where = both(where, _only(level))
        sides, used = level.split.sides, {name for each in levels for name in each.split.by}
        within = next(scope.within for scope in scopes if scope.sides.metric == sides.metric)
        inner = Scope(sides=sides, by=tuple(name for name in within if name not in used))
        level = None
        if len(levels) < DEEPEST and inner.by:
            level = _best(inquiry.model, _splits(inquiry, [inner], where)[0], LIKELY, ())[0]
    named = [split for split in splits if not only or split.by[0] in only]
    lead = None if levels else _lead(inquiry.model, splits, only)
    return Searched(
        levels=tuple(levels), against=found[1], splits=tuple(named), tested=sum(len(split.judged) for split in named),
        overlapping=tuple(name for name in overlapping if not only or name in only), lead=lead,
    )  # fmt: skip


def leaves(levels: Sequence[Level]) -> tuple[Leaf, ...]:
    """Return the parts that make up the whole: of each level those that were not gone into, of the last all chosen ones.

    What was not chosen is listed by itself on the first level, and as one rest below it, so that it stays readable.
    """
    out: list[Leaf] = []
    path: tuple[tuple[Key, ...], ...] = ()
    for depth, level in enumerate(levels):
        last, chosen = depth + 1 == len(levels), set(level.keys)
        rest = [part for part in level.split.parts if part.key not in chosen]
        if depth == 0:
            out += [Leaf((), part.key, part) for part in rest]  # type: ignore[arg-type]
        elif rest:
            out.append(Leaf(path, None, whole(rest)))
        if last:
            out += [Leaf(path, part.key, part) for part in level.split.parts if part.key in chosen]
        path = (*path, level.keys)
    return tuple(out)


def chosen_part(level: Level) -> Part:
    """Return what was chosen at a level, as one part."""
    return whole([part for part in level.split.parts if part.key in set(level.keys)])


def direction_of(part: Part) -> int:
    """Return 1 where a number rose, -1 where it fell, 0 where it stayed or is not there."""
    before, now = part.before.value, part.now.value
    return 0 if before is None or now is None else (now > before) - (now < before)


def _splits(inquiry: Inquiry, scopes: Sequence[Scope], where: Filter | None) -> tuple[list[Split], tuple[str, ...]]:
    """Return the splits whose parts make up the whole, and the dimensions of the others."""
    found: list[Split] = []
    overlapping: list[str] = []
    for scope in scopes:
        if not scope.by:
            continue
        every = fetch_whole(inquiry, scope.sides, where)
        for split in fetch(inquiry, scope.sides, scope.by, where):
            if not is_partition(split.parts, every):
                overlapping.extend(split.by)
            elif len(split.parts) > 1:
                found.append(split)
    return found, tuple(overlapping)


def _best(
    model: Model, splits: Sequence[Split], rate: float, only: tuple[str, ...]
) -> tuple[Level | None, tuple[tuple[Split, Standout], ...]]:
    """Return the split with the part that stands out most the way the whole went, and parts that went the other way."""
    candidates = [split for split in splits if (not only or split.by[0] in only) and _is_lasting(split)]
    tested = sum(len(split.judged) for split in candidates)
    with_it: list[Level] = []
    against: list[tuple[Split, Standout]] = []
    for split, spread, way in _judged(model, splits, candidates):
        same = _moved(split, split.judged, way, spread, tested, rate)
        change = sum(effect.total for effect in decompose(split.parts))
        if same and len(same) < len(split.parts) and sum(one.excess for one in same) * way >= MATERIAL * abs(change):
            with_it.append(Level(split=split, chosen=same))
        left = [part for part in split.judged if part.key not in {one.part.key for one in same}]
        against += [(split, one) for one in _moved(split, left, -way, spread, tested, min(rate, STANDS_OUT))]
    with_it.sort(key=lambda level: -max(abs(one.deviations) for one in level.chosen))
    against.sort(key=lambda pair: -abs(pair[1].deviations))
    return (with_it[0] if with_it else None), tuple(against)


def _lead(model: Model, splits: Sequence[Split], only: tuple[str, ...]) -> tuple[Split, Standout] | None:
    """Return the part furthest from the rest the way the whole went, whether or not by more than chance."""
    candidates = [split for split in splits if (not only or split.by[0] in only) and _is_lasting(split)]
    every = [
        (split, one)
        for split, spread, way in _judged(model, splits, candidates)
        for one in standouts(split.judged, spread, 1, ANY, way)[:1]
    ]
    return max(every, key=lambda pair: abs(pair[1].deviations), default=None)


def _judged(
    model: Model, splits: Sequence[Split], candidates: Sequence[Split]
) -> Iterator[tuple[Split, float, int]]:
    """Yield each candidate with the dispersion of its metric's parts, from every split of it, and the way of the whole."""
    for metric in dict.fromkeys(split.sides.metric for split in candidates):
        own = [split for split in splits if split.sides.metric == metric and _is_lasting(split)]
        spread, way = _dispersion(model, own), direction_of(whole(own[0].parts))
        if spread is not None and way:
            yield from ((split, spread, way) for split in candidates if split.sides.metric == metric)


def _moved(
    split: Split, judged: Sequence[Part], way: int, spread: float, tested: int, rate: float
) -> tuple[Standout, ...]:
    """Return the parts that stand out one way and did go that way between the two sides, too."""
    added = {effect.part.key: effect.total for effect in decompose(split.parts)}
    every = whole(split.parts)

    def is_new(key: object) -> bool:
        """Say whether a part also moved between the two sides, and did not stand out before already."""
        part = next((part for part in split.parts if part.key == key), None)
        deviation, variance = compare_with(part, every_but(every, part)) if part else (0.0, 0.0)
        return variance > 0 and deviation * way >= CONFIRMED * (variance * spread) ** 0.5 and added[key] * way > 0

    return tuple(one for one in standouts(judged, spread, tested, rate, way) if is_new(one.part.key))


def _is_lasting(split: Split) -> bool:
    """Say whether most parts are there on both sides, so that they can be held against each other."""
    there = [part for part in split.judged if _size(part.before) > 0 and _size(part.now) > 0]
    return len(there) >= PRESENT * len(split.judged)


def _size(amount: Amount) -> float:
    return amount.top if amount.base is None else amount.base


def _dispersion(model: Model, splits: Sequence[Split]) -> float | None:
    if not splits:
        return None
    metric, parts = model.metric(splits[0].sides.metric), splits[0].judged
    if parts[0].before.base is None:
        least = 1.0 if metric.unit is None else 0.0  # a count varies as Poisson's at least
    elif metric.unit == "%":
        least = binomial_variance(parts)
        if not isinstance(metric, Ratio):
            return least  # each user is in or out, once
    else:
        least = 0.0
    return dispersion([split.judged for split in splits], least)


def _only(level: Level) -> Filter:
    """Return the filter that keeps the chosen parts."""
    (name,) = level.split.by
    values = tuple(value for (value,) in level.keys if value is not None)
    known = Where(dimension=name, op=Op.IN if len(values) > 1 else Op.EQ, values=values)
    if len(values) == len(level.keys):
        return known
    empty = Where(dimension=name, op=Op.EMPTY)
    return Or(parts=(known, empty)) if values else empty
