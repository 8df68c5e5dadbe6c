"""Owns how a metric usually moves: its changes between the comparable periods before, and whether one lies beyond them.

Knows no parts. A change is judged against the median of the earlier ones in robust deviations (1.4826 × the median
absolute deviation, which is one standard deviation of normal noise), and never finer than chance alone would move it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median

from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_column
from wenshu.semantic_layer.periods import DateRange, bucket, calendar_grain
from wenshu.semantic_layer.query import Query
from wenshu.tools.insight.insight import Inquiry

MOST_EARLIER, FEWEST_EARLIER = 12, 5  # comparable periods before
MAD_TO_DEVIATION = 1.4826
BEYOND = 2.0  # deviations; of normal noise about one change in twenty lies so far out


@dataclass(frozen=True, slots=True)
class Usual:
    """Hold the usual course of a change: its middle, its deviation, and the ends of what most earlier changes kept to.

    Changes of sums are relative, those of rates differences. `earlier` are the changes it was learnt from.
    """

    middle: float
    deviation: float
    earlier: tuple[float, ...]

    def deviations(self, change: float) -> float:
        return (change - self.middle) / self.deviation if self.deviation else 0.0

    def is_beyond(self, change: float) -> bool:
        return abs(self.deviations(change)) > BEYOND

    @property
    def ends(self) -> tuple[float, float]:
        return self.middle - BEYOND * self.deviation, self.middle + BEYOND * self.deviation


def usual_change(values: Sequence[float], *, relative: bool, least: float = 0.0) -> Usual | None:
    """Return how consecutive values usually change; None where there are too few. `least` is what chance alone gives.

    >>> usual_change([100, 110, 99, 104, 100, 105, 101], relative=True).is_beyond(0.5)
    True
    """
    pairs = list(zip(values, values[1:], strict=False))
    changes = [now / before - 1 if relative else now - before for before, now in pairs if not relative or before > 0]
    if len(changes) < FEWEST_EARLIER:
        return None
    middle = median(changes)
    spread = MAD_TO_DEVIATION * median(abs(change - middle) for change in changes)
    return Usual(middle, max(spread, least), tuple(changes))


def earlier_values(inquiry: Inquiry, query: Query, now: DateRange, before: DateRange) -> tuple[float, ...]:
    """Return the metric of the comparable periods before `now`, the latest of which is `before`, oldest first.

    Calendar periods come from one query by that grain, other lengths from one query each. Periods that the data do not
    cover whole are left out.
    """
    if before.end + timedelta(days=1) != now.start:
        return ()  # a year apart, or chosen freely: no earlier changes of that kind
    plain = replace(query, compare=None, dimensions=(), to_date=None)
    first = inquiry.layer.coverage.start
    grain = calendar_grain(now)
    if grain is not None and calendar_grain(before) == grain and bucket(now.start, grain) == now:
        start = before.start
        for _ in range(MOST_EARLIER):
            earlier = bucket(start - timedelta(days=1), grain).start
            if earlier < first:
                break
            start = earlier
        asked = replace(plain, grain=grain, period=DateRange(start, before.end))
        table = inquiry.ask(asked).table
        cells = table.values(metric_column(query.metrics[0]))
        return tuple(float(cell) for cell in cells if isinstance(cell, int | float))
    values: list[float] = []
    end, days = before.end, before.days
    while len(values) < MOST_EARLIER // 2 + 2 and (start := end - timedelta(days=days - 1)) >= first:
        try:
            cell = inquiry.ask(replace(plain, period=DateRange(start, end), grain=None)).table.rows[0][0]
        except QueryError:
            break
        if not isinstance(cell, int | float):
            break
        values.append(float(cell))
        end = start - timedelta(days=1)
    return tuple(reversed(values))
