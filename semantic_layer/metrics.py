"""Owns the metric types: how rows, or other metrics, become one number. Knows nothing of YAML, joins or SQL dialects.

Expressions are sqlglot trees as in `model`; a metric names others by their names, which the loader has checked.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from sqlglot import exp

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.text import Synonyms, Text

RetentionMode = Literal["on", "on_or_after", "within"]


class Aggregation(StrEnum):
    """Name how an aggregate metric folds rows into one number."""

    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    SUM = "sum"
    AVERAGE = "average"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCommon:
    """Hold what every metric has: its name, its words and how it is shown.

    `at_grain` holds words that mean the metric at one grain, such as DAU for active users by day, `at_number` those
    that mean it with one number, such as next-day retention. `{n}` in a label or a word stands for the number.
    """

    name: str
    label: Text
    synonyms: Synonyms = field(default_factory=Synonyms)
    at_grain: tuple[tuple[Grain, Synonyms], ...] = ()
    at_number: tuple[tuple[int, Synonyms], ...] = ()
    unit: str | None = None
    description: Text | None = None
    filters: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate(MetricCommon):
    """Fold the rows of one dataset; `where` is a condition over its columns, `time` dates its rows, `undated` has none."""

    aggregation: Aggregation
    dataset: str
    expr: exp.Expr | None = None
    where: exp.Expr | None = None
    time: exp.Expr | None = None
    undated: bool = False

    @property
    def additive(self) -> bool:
        """Say whether the values of disjoint groups add up to the whole."""
        return self.aggregation in (Aggregation.COUNT, Aggregation.SUM)

    @property
    def zero_if_empty(self) -> bool:
        """Say whether the value of no rows is 0 rather than nothing."""
        return self.additive or self.aggregation is Aggregation.COUNT_DISTINCT


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio(MetricCommon):
    """Divide one metric by another; empty where the denominator is zero."""

    numerator: str
    denominator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(MetricCommon):
    """Compute an expression over other metrics, which it names as columns."""

    expr: exp.Expr
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cumulative(MetricCommon):
    """Run up a metric over the buckets of a time series, from the period's first bucket on."""

    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention(MetricCommon):
    """Share of a cohort that is active again `low` to `high` units after entry (definitions in docs/behaviour.md).

    `start` and `back` are aggregates whose rows enter the cohort and count as active. Units are of length `step`;
    `high` None means any later unit. `mode` is on one unit, on it or any later one, or within a range of units.
    `first` takes each user's first start row only; otherwise a user enters in every unit with one. `hours` measures
    windows of 24 hours from the start row instead of calendar days.
    """

    start: str
    back: str
    low: int
    high: int | None
    mode: RetentionMode = "on"
    step: Grain = Grain.DAY
    first: bool = True
    hours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repurchase(MetricCommon):
    """Share of the users of `of` who have at least `times` rows of it in the period."""

    of: str
    times: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RepurchaseWithin(MetricCommon):
    """Share of first-time users of `of` who have another row of it within `days` calendar days; mature users only."""

    of: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodReturn(MetricCommon):
    """Share of the users of `of` in the period before who have it again in this period or, with `lost`, have not."""

    of: str
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval(MetricCommon):
    """Median calendar days between consecutive rows of `of` of one user, dated by the later one."""

    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimeValue(MetricCommon):
    """Sum of `value` from day 0 to day `days` after entry, per user who entered; mature users only."""

    start: str
    value: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    """Name one step of a funnel: rows of a dataset that meet a condition."""

    name: str
    label: Text
    rows: Aggregate

    def repeats(self, other: "FunnelStep") -> bool:
        """Say whether both steps are taken by the same rows, so that each needs one of its own."""
        return (self.rows.dataset, self.rows.where) == (other.rows.dataset, other.rows.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel(MetricCommon):
    """Users who take the steps in order within `days` × 24 hours from their first step 1 in the period.

    `choices` are the steps a question may put together instead of `steps`.
    """

    steps: tuple[FunnelStep, ...]
    days: int = 7
    choices: tuple[FunnelStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle(MetricCommon):
    """Users of a period by stage: new, returning, resurrecting, dormant, from activity `of` and entry `start`.

    `stage` counts the users of one stage only.
    """

    start: str
    of: str
    stage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageOver(MetricCommon):
    """Mean of a metric over the buckets of a grain, such as the average DAU of a month."""

    metric: str
    over: Grain


Behaviour = (
    Retention
    | Repurchase
    | RepurchaseWithin
    | PeriodReturn
    | Interval
    | LifetimeValue
    | Funnel
    | Lifecycle
    | AverageOver
)
Metric = Aggregate | Ratio | Derived | Cumulative | Behaviour
