"""Owns splitting a change into what its parts added, exactly, and telling which parts moved unlike the others.

Pure: numbers in, numbers out. A sum's parts add their own changes. A rate is split as Kitagawa (1955, “Components of a
difference between two rates”, JASA 50:1168–1194) does: the mix effect of a part is the change of its weight times how far
its mean rate lies from the whole's, its rate effect the change of its rate times its mean weight; both add up exactly.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import median

from wenshu.tools.insight.chance import tail

MOST_DEGREES = 200  # of freedom, from which on a tail is the normal's
SKEW = 8.0  # rows of an amount that make up for one row of a count
FEWEST_PARTS = 5  # from which on the noise between parts can be judged
MEDIAN_CHI_SQUARE = 0.454936  # of one degree of freedom: turns a median of squares into a variance


@dataclass(frozen=True, slots=True)
class Amount:
    """Hold a number: a sum, or with `base` a rate as `top` ÷ `base`."""

    top: float
    base: float | None = None

    @property
    def value(self) -> float | None:
        """Return the sum or the rate; None where nothing is there to be divided by."""
        return self.top if self.base is None else self.top / self.base if self.base else None

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.top + other.top, None if self.base is None or other.base is None else self.base + other.base)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.top - other.top, None if self.base is None or other.base is None else self.base - other.base)


@dataclass(frozen=True, slots=True)
class Part:
    """Hold one part of a whole, before and now; all parts of a whole are sums, or all are rates."""

    key: Hashable
    before: Amount
    now: Amount


@dataclass(frozen=True, slots=True)
class Effect:
    """Say what a part added to the change of the whole; of a rate, as mix and rate effect, which add up to it."""

    part: Part
    total: float
    mix: float | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Standout:
    """Say that a part moved unlike the rest: how much of the whole's change that is, in how many of its usual deviations."""

    part: Part
    excess: float
    deviations: float


def whole(parts: Sequence[Part]) -> Part:
    """Return the parts together."""
    before, now = parts[0].before, parts[0].now
    for part in parts[1:]:
        before, now = before + part.before, now + part.now
    return Part("whole", before, now)


def decompose(parts: Sequence[Part]) -> tuple[Effect, ...]:
    """Return what each part added; the effects add up to the change of the whole.

    >>> city = [Part("a", Amount(10, 100), Amount(10, 50)), Part("b", Amount(10, 20), Amount(40, 80))]
    >>> [round(one.mix, 3) for one in decompose(city)], [round(one.rate, 3) for one in decompose(city)]
    ([0.056, 0.101], [0.061, 0.0])
    """
    every = whole(parts)
    if every.before.base is None:
        return tuple(Effect(part, part.now.top - part.before.top) for part in parts)
    middle = ((every.before.value or 0.0) + (every.now.value or 0.0)) / 2
    return tuple(_rate_effect(part, every, middle) for part in parts)


def _rate_effect(part: Part, every: Part, middle: float) -> Effect:
    weights = [
        (side.base or 0.0) / all_.base if all_.base else 0.0
        for side, all_ in ((part.before, every.before), (part.now, every.now))
    ]
    # A part that is not there on one side has no rate there: its own on the other stands in, so that all is mix.
    rates = [part.before.value, part.now.value]
    before, now = (rates[0] if rates[0] is not None else rates[1]) or 0.0, (rates[1] if rates[1] is not None else rates[0]) or 0.0
    mix = (weights[1] - weights[0]) * ((before + now) / 2 - middle)
    rate = (weights[0] + weights[1]) / 2 * (now - before)
    return Effect(part, mix + rate, mix, rate)


def is_partition(parts: Sequence[Part], every: Part, tolerance: float = 1e-6) -> bool:
    """Say whether parts add up to the whole on both sides: no row is in two of them, and none in none."""
    if not parts:
        return False
    summed = whole(parts)
    pairs = [(summed.before.top, every.before.top), (summed.now.top, every.now.top)]
    pairs += [(summed.before.base or 0.0, every.before.base or 0.0), (summed.now.base or 0.0, every.now.base or 0.0)]
    return all(math.isclose(one, two, rel_tol=tolerance, abs_tol=1e-6) for one, two in pairs)


# What stands out -----------------------------------------------------------------------------------------------------


def compare_with(part: Part, rest: Part) -> tuple[float, float]:
    """Return how far a part moved from how the rest did, and the square of that deviation's size before dispersion.

    A sum is compared with what it would be had it grown as the rest; its variance grows with its size (a sum of many
    independent rows). A rate's change is compared with that of the rest; its variance falls with what it is over.
    """
    if part.before.base is None:
        return _sum_against(part, rest)
    bases = [side.base or 0.0 for side in (part.before, part.now, rest.before, rest.now)]
    if not all(base > 0 for base in bases):
        return 0.0, 0.0
    change = (part.now.value or 0.0) - (part.before.value or 0.0)
    return change - ((rest.now.value or 0.0) - (rest.before.value or 0.0)), sum(1 / base for base in bases)


def _sum_against(part: Part, rest: Part) -> tuple[float, float]:
    before, now = part.before.top, part.now.top
    if rest.before.top <= 0 or rest.now.top <= 0:
        return 0.0, 0.0
    growth = rest.now.top / rest.before.top
    expected = max(before + now, 0.0) / (1 + growth)  # of the part before, if it grew as the rest
    return now - growth * before, growth * (1 + growth) * expected * (1 + expected / rest.before.top)


def binomial_variance(parts: Sequence[Part]) -> float:
    """Return the variance of one user of a rate that is a share of users, where each is in or out."""
    every = whole(parts)
    mean = (every.before.top + every.now.top) / ((every.before.base or 0.0) + (every.now.base or 0.0) or 1.0)
    return mean * (1 - mean)


def dispersion(splits: Sequence[Sequence[Part]], least: float) -> float | None:
    """Return the variance of parts by their size that is usual between them, by the median so that few odd ones do not count.

    None where there are too few parts to tell; `least` is what chance alone gives.
    """
    squares = []
    for parts in splits:
        every = whole(parts)
        for part in parts:
            deviation, variance = compare_with(part, every_but(every, part))
            if variance > 0:
                squares.append(deviation**2 / variance)
    if len(squares) < FEWEST_PARTS:
        return None
    return max(median(squares) / MEDIAN_CHI_SQUARE, least)


def every_but(every: Part, part: Part) -> Part:
    return Part("rest", every.before - part.before, every.now - part.now)


def standouts(parts: Sequence[Part], dispersed: float, tested: int, rate: float, way: int) -> tuple[Standout, ...]:
    """Return the parts that moved further one way (1 up, -1 down) than the rest, the strongest first.

    Each is left out of the rest for those after it. `tested` is how many parts were looked at altogether: the false
    discovery rate is held over all of them (Benjamini and Hochberg, 1995, JRSS B 57:289–300), so that looking at more
    of them finds no more by chance.
    """
    left, found = list(parts), list[Standout]()
    while len(left) > 1 and dispersed > 0:
        every = whole(left)
        judged = [(part, *compare_with(part, every_but(every, part))) for part in left]
        scored = [(d * way / math.sqrt(v * dispersed), part, d) for part, d, v in judged if v > 0]
        if not scored:
            break
        deviations, part, deviation = max(scored, key=lambda one: one[0])
        chance = tail(deviations, _degrees(part, every_but(every, part), dispersed, way))
        if chance > rate * (len(found) + 1) / tested:
            break
        found.append(Standout(part, _in_the_whole(part, deviation, whole(parts)), deviations * way))
        left.remove(part)
    return tuple(found)


def _degrees(part: Part, rest: Part, dispersed: float, way: int) -> int:
    """Return degrees of freedom for the tail of a part's deviation: few where few rows make it up, which are skewed.

    A sum falls no further than to nothing, so that its lower side is shorter.
    """
    if part.before.base is None:
        growth = rest.now.top / rest.before.top
        rows = growth * part.before.top / dispersed * (2 if way < 0 else 1)
    else:
        fewest, mean = min(part.before.base, part.now.base or 0.0), rest.now.value or 0.0
        is_share = all(side.top <= (side.base or 0.0) for side in (part.before, part.now, rest.before, rest.now))
        rows = fewest * min(mean, 1 - mean) if is_share else fewest / SKEW
    return 2 * max(2, min(MOST_DEGREES, int(rows)) // 2)


def _in_the_whole(part: Part, deviation: float, every: Part) -> float:
    """Return how much a part's deviation moved the whole: of a rate, by its weight."""
    if part.now.base is None:
        return deviation
    return deviation * (part.now.base / every.now.base if every.now.base else 0.0)
