"""Owns which days of a series are unusual: what each day should have been by the weeks before it, and how far off it was.

Pure, and looking back only, so that an alert on the last day and a look at last year find the same. The level is the
median of four weeks, each weekday's own part the median of eight, the noise 1.4826 × the median absolute deviation: a
robust equal of a seasonal decomposition (Cleveland and others, 1990, “STL”, J. Official Statistics 6:3–73), in which a
few odd days move nothing. Sums and counts are judged on the scale of square roots, where their noise is even (Anscombe,
1948). Tails are Student's, as days of trade are wilder than normal noise, and the false discovery rate is held over all
days of all series together (Benjamini and Hochberg, 1995).
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from statistics import fmean, median

from wenshu.tools.insight.chance import tail

WEEKS, LEVEL_WEEKS = 8, 4  # that the expectation of a day is learnt from
FEWEST_DAYS = 28  # of them there must be data
MAD_TO_DEVIATION = 1.4826
TAIL, COUNT_TAIL = 8, 30  # degrees of freedom, even; fitted to shops without planted effects (benchmarks/false_findings.py)
POISSON, SMALLEST = 0.5, 0.01  # deviation of a count on the scale of square roots; of anything, by its level
ESTIMATED = 1.15  # the expectation is an estimate, too, with a noise of its own
RATE = 0.05  # false discovery rate
BAND = 0.002  # chance of a day outside the band that is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Hold a day of a series: its value, what was expected and between what ends, and how many deviations it is off.

    `chance` is how often noise alone is so far off. `explained` says that a festival accounts for it.
    """

    day: date
    value: float
    expected: float
    low: float
    high: float
    deviations: float
    chance: float
    explained: bool = False

    @property
    def is_outside(self) -> bool:
        return not self.low <= self.value <= self.high


def judge_days(
    values: Mapping[date, float | None], days: Sequence[date], *, rooted: bool, counted: bool = False, festive: Collection[date] = (),
) -> tuple[Day, ...]:  # fmt: skip
    """Return the days with what was expected of each; those with too little before them, or without value, are left out.

    `rooted` takes sums and counts to the scale of square roots, on which a count (`counted`) has Poisson's noise at
    least; rates stay as they are. Festive days are expected of no other day, and are marked.
    """
    scaled = {day: _to_scale(value, rooted) for day, value in values.items() if value is not None}
    least = POISSON if counted else 0.0
    judged = [day for day in days if _enough(scaled, day, festive)]
    return tuple(_judged(values[day] or 0.0, scaled, day, rooted, festive, least) for day in judged)


def unusual_days(series: Mapping[str, Sequence[Day]], rate: float = RATE) -> dict[str, tuple[Day, ...]]:
    """Return each series' days that are unusual, with the false discovery rate held over all series together.

    >>> quiet = [Day(day=date(2026, 1, 1), value=1, expected=1, low=0, high=2, deviations=0.1, chance=0.9)]
    >>> odd = [Day(day=date(2026, 1, 1), value=9, expected=1, low=0, high=2, deviations=9.0, chance=1e-6)]
    >>> [len(days) for days in unusual_days({"quiet": quiet, "odd": odd}).values()]
    [0, 1]
    """
    judged = sorted(day.chance for days in series.values() for day in days if not day.explained)
    limit = 0.0
    for rank, chance in enumerate(judged, 1):
        if chance <= rate * rank / len(judged):
            limit = chance
    return {name: tuple(day for day in days if not day.explained and day.chance <= limit) for name, days in series.items()}


def runs(days: Sequence[Day], gap: int = 2) -> Iterator[tuple[Day, ...]]:
    """Yield unusual days that follow each other the same way as one event; a usual day between them does not part them."""
    run: list[Day] = []
    for day in days:
        if run and ((day.day - run[-1].day).days > gap or (day.deviations > 0) != (run[-1].deviations > 0)):
            yield tuple(run)
            run = []
        run.append(day)
    if run:
        yield tuple(run)


def _judged(
    value: float, scaled: Mapping[date, float], day: date, rooted: bool, festive: Collection[date], least: float
) -> Day:
    expected, deviation = _expectation(scaled, day, festive, least)
    deviations = (scaled[day] - expected) / deviation if deviation else 0.0
    degrees = COUNT_TAIL if least else TAIL
    reach = _reach(BAND, degrees) * deviation
    return Day(
        day=day, value=value, expected=_from_scale(expected, rooted), low=_from_scale(expected - reach, rooted),
        high=_from_scale(expected + reach, rooted), deviations=deviations, chance=tail(deviations, degrees), explained=day in festive,
    )  # fmt: skip


def _expectation(scaled: Mapping[date, float], day: date, festive: Collection[date], least: float) -> tuple[float, float]:
    """Return what a day should be by those before it, and the deviation that days usually have from it."""
    before = list(_days_before(scaled, day, festive))
    weekday = _weekday_parts(before)
    plain = [((day - earlier).days, value - weekday[earlier.weekday()]) for earlier, value in before]
    drift = _drift(plain)
    brought = [(back, value + drift * back) for back, value in plain]
    level = median([value for back, value in brought if back <= 7 * LEVEL_WEEKS] or [value for _, value in brought])
    spread = MAD_TO_DEVIATION * median(abs(value - level) for _, value in brought)
    return level + weekday[day.weekday()], ESTIMATED * max(spread, least, SMALLEST * abs(level))


def _drift(days: Sequence[tuple[int, float]]) -> float:
    """Return how much the level rises a day: the median of all slopes between weeks (Theil and Sen), over their medians."""
    weeks: dict[int, list[float]] = {}
    for back, value in days:
        weeks.setdefault((back - 1) // 7, []).append(value)
    middles = [(week, median(values)) for week, values in weeks.items() if len(values) >= 4]
    slopes = [(new - old) / (before - after) / 7 for after, new in middles for before, old in middles if before > after]
    return median(slopes) if len(middles) >= 4 else 0.0


def _weekday_parts(days: Sequence[tuple[date, float]]) -> list[float]:
    """Return what each weekday adds to the middle of its own week; together they add nothing."""
    weeks: dict[tuple[int, int], list[float]] = {}
    for day, value in days:
        weeks.setdefault(day.isocalendar()[:2], []).append(value)
    middles = {week: median(values) for week, values in weeks.items() if len(values) >= 4}
    parts: list[list[float]] = [[] for _ in range(7)]
    for day, value in days:
        if (week := day.isocalendar()[:2]) in middles:
            parts[day.weekday()].append(value - middles[week])
    found = [median(part) if part else 0.0 for part in parts]
    return [part - fmean(found) for part in found]


def _days_before(scaled: Mapping[date, float], day: date, festive: Collection[date]) -> Iterator[tuple[date, float]]:
    for back in range(7 * WEEKS, 0, -1):
        earlier = day - timedelta(days=back)
        if earlier in scaled and earlier not in festive:
            yield earlier, scaled[earlier]


def _enough(scaled: Mapping[date, float], day: date, festive: Collection[date]) -> bool:
    return day in scaled and sum(1 for _ in _days_before(scaled, day, festive)) >= FEWEST_DAYS


@cache
def _reach(chance: float, degrees: int) -> float:
    """Return how many deviations noise stays within but for a chance, by halving."""
    low, high = 0.0, 1_000.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, degrees) > chance else (low, middle)
    return high


def _to_scale(value: float, rooted: bool) -> float:
    return math.copysign(math.sqrt(abs(value) + 0.375), value) if rooted else value


def _from_scale(value: float, rooted: bool) -> float:
    return max(value * abs(value) - 0.375, 0.0) if rooted else value
