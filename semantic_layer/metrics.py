"""Owns the metric types: how rows, or other metrics, become one number. Knows nothing of YAML, joins or SQL dialects.

Expressions are sqlglot trees as in `model`; a metric names others by their names, which the loader has checked.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from sqlglot import exp

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.text import Synonyms, Text

RetentionMode = Literal["on", "on_or_after", "within"]
FunnelOrder = Literal["ordered", "strict", "any"]


class Aggregation(StrEnum):
    """Name how an aggregate metric folds rows into one number."""

    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    SUM = "sum"
    AVERAGE = "average"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"
    PERCENTILE = "percentile"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCommon:
    """Hold what every metric has: its name, its words and how it is shown.

    `at_grain` holds words that mean the metric at one grain, such as DAU for active users by day, `at_number` those
    that mean it with one number, such as next-day retention. `{n}` in a label or a word stands for the number.
    `better` says which end of a ranking is the best one.
    """

    name: str
    label: Text
    synonyms: Synonyms = field(default_factory=Synonyms)
    at_grain: tuple[tuple[Grain, Synonyms], ...] = ()
    at_number: tuple[tuple[int, Synonyms], ...] = ()
    unit: str | None = None
    better: Literal["higher", "lower"] = "higher"
    description: Text | None = None
    filters: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate(MetricCommon):
    """Fold the rows of one dataset; `where` is a condition over its columns, `time` dates its rows, `undated` has none.

    `percent` is that of a percentile.
    """

    aggregation: Aggregation
    dataset: str
    expr: exp.Expr | None = None
    where: exp.Expr | None = None
    time: exp.Expr | None = None
    undated: bool = False
    percent: int | None = None

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
    windows of 24 hours from the start row instead of calendar days. `times` rows make a unit one of activity.
    """

    start: str
    back: str
    low: int
    high: int | None
    mode: RetentionMode = "on"
    step: Grain = Grain.DAY
    first: bool = True
    hours: bool = False
    times: int = 1

    @property
    def by_calendar(self) -> bool:
        """Say whether activity counts by whole calendar units, so that so many times in one can be asked for."""
        return not self.hours and not (self.mode == "within" and self.low == 0 and self.step is Grain.DAY)


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
    """Sum of `value` from day 0 to day `days` after entry, per user who entered; mature users only.

    `first` takes each user's first start row only; otherwise a user enters on every day with one.
    """

    start: str
    value: str
    days: int
    first: bool = True


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
    """Users who take the steps within a time from their first step 1 in the period, or with order `any` from their first of any.

    `strict` allows nothing else between two steps. `choices` are the steps a question may put together instead of `steps`.
    """

    steps: tuple[FunnelStep, ...]
    within: timedelta = timedelta(days=7)
    order: FunnelOrder = "ordered"
    choices: tuple[FunnelStep, ...] = ()

    @property
    def entries(self) -> tuple[Aggregate, ...]:
        """Return the rows that a user may enter with, one aggregate a dataset."""
        if self.order != "any":
            return (self.steps[0].rows,)
        return tuple(self.rows_of(dataset) for dataset in dict.fromkeys(step.rows.dataset for step in self.steps))

    def rows_of(self, dataset: str) -> Aggregate:
        """Return the rows of one dataset that are any of its steps."""
        own = [step.rows for step in self.steps if step.rows.dataset == dataset]
        if any(rows.where is None for rows in own):
            return replace(own[0], where=None)
        distinct = dict.fromkeys(rows.where for rows in own if rows.where is not None)
        return replace(own[0], where=exp.or_(*(where.copy() for where in distinct)))

    @property
    def stages(self) -> tuple[tuple[str, Text], ...]:
        """Return what a row a step is called: the step, or in any order how many of them have been taken."""
        if self.order != "any":
            return tuple((step.name, step.label) for step in self.steps)
        last = len(self.steps)
        labels = [Text("any step", "任一步骤"), *(Text(f"any {n} steps", f"任意 {n} 步") for n in range(2, last))]
        return tuple((str(n), label) for n, label in enumerate((*labels, Text(f"all {last} steps", f"全部 {last} 步")), 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle(MetricCommon):
    """Users of a period by stage: new, returning, resurrecting, dormant, from activity `of` and entry `start`.

    `stage` counts the users of one stage only.
    """

    start: str
    of: str
    stage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths(MetricCommon):
    """How often users go through each sequence of `steps` consecutive rows of `of`, by what they did.

    A step is a row's value of `dimension`; a sequence ends where more than `gap` minutes pass without a row. It begins
    with `start` and ends with `end`, where they are given; `values` are the values and labels that the model lists.
    """

    of: str
    dimension: str
    steps: int = 3
    gap: int = 30
    start: str | None = None
    end: str | None = None
    values: tuple[tuple[str, Text], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEvent(MetricCommon):
    """Users lost in a period by the value of `dimension` in their last row of `of` before it.

    Without a period before, they are those without a row in the last `days` days.
    """

    of: str
    dimension: str
    days: int = 30
    values: tuple[tuple[str, Text], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPercentile(MetricCommon):
    """Percentile, over the users who have any, of each user's own value of a metric, such as the median user's spend."""

    of: str
    percent: int = 50


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
    | Paths
    | LastEvent
    | UserPercentile
    | AverageOver
)
Metric = Aggregate | Ratio | Derived | Cumulative | Behaviour
