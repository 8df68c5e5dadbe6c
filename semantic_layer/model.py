"""Owns the semantic model: datasets, dimensions, relationships and metrics as immutable values. Knows nothing of YAML or SQL dialects.

Expressions are sqlglot trees whose columns carry the name of their dataset, or none for a dataset's own columns;
the reserved column `as_of` stands for the last complete day, `period_start` and `period_end` for the days asked about.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Literal, assert_never

from sqlglot import exp

from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.text import Text

RetentionMode = Literal["on", "on_or_after", "within"]
DimensionType = Literal["string", "number", "date", "time", "boolean"]
AS_OF, PERIOD_START, PERIOD_END = "as_of", "period_start", "period_end"
MOST_DAYS = 1_000  # of any window that a question may ask for


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
class Synonyms:
    """Hold the other words people use for a thing, by language."""

    en: tuple[str, ...] = ()
    zh: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        yield from self.en
        yield from self.zh


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionValue:
    """Describe one value of a dimension as people name it."""

    value: str | int | bool
    label: Text
    synonyms: Synonyms = field(default_factory=Synonyms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """Describe a property rows can be grouped and filtered by.

    `expr` is over its dataset's columns. `bands` holds the ascending lower bounds of a banded number, whose values
    are the names in `values`. `groups` name several values together. `indexed` says whether its values are looked up in the data to understand questions.
    """

    name: str
    dataset: str
    expr: exp.Expr
    type: DimensionType
    label: Text
    synonyms: Synonyms = field(default_factory=Synonyms)
    values: tuple[DimensionValue, ...] = ()
    ordered: bool = False
    groups: tuple[tuple[Text, Synonyms, tuple[str, ...]], ...] = ()
    pii: bool = False
    indexed: bool = False
    unit: str | None = None
    bands: tuple[float, ...] = ()
    description: Text | None = None

    @property
    def qualified(self) -> str:
        return f"{self.dataset}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Describe a table, view, file or SELECT whose rows are one kind of thing.

    `source` is a table's name or a SELECT tree; `file` is a Parquet or CSV path or glob loaded under `source`'s name.
    A segment has one row a user who belongs to it.
    """

    name: str
    source: str | exp.Query
    label: Text
    synonyms: Synonyms = field(default_factory=Synonyms)
    file: str | None = None
    primary_key: tuple[str, ...] = ()
    entity: str | None = None
    time: exp.Expr | None = None
    dimensions: tuple[Dimension, ...] = ()
    is_segment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """Join the many side to the one side: each row of `many` has at most one row of `one`."""

    many: str
    one: str
    many_columns: tuple[str, ...]
    one_columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.many}({','.join(self.many_columns)}) to {self.one}"


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


@dataclass(frozen=True, kw_only=True)
class Model:
    """Hold one semantic model, checked: every name it mentions exists."""

    name: str
    label: Text
    timezone: str
    as_of: str
    currency: str | None
    datasets: tuple[Dataset, ...]
    relationships: tuple[Relationship, ...]
    metrics: tuple[Metric, ...]
    headline: tuple[str, ...] = ()
    examples: tuple[Text, ...] = ()
    absent: tuple[tuple[Text, Synonyms], ...] = ()

    @cached_property
    def dataset_by_name(self) -> dict[str, Dataset]:
        return {dataset.name: dataset for dataset in self.datasets}

    @cached_property
    def metric_by_name(self) -> dict[str, Metric]:
        return {metric.name: metric for metric in self.metrics}

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        return tuple(dimension for dataset in self.datasets for dimension in dataset.dimensions)

    @cached_property
    def dimension_by_qualified_name(self) -> dict[str, Dimension]:
        return {dimension.qualified: dimension for dimension in self.dimensions}

    def anchor(self, metric: Behaviour) -> Aggregate:
        """Return the aggregate whose rows a behavioural metric is dated, grouped and filtered by."""
        match metric:
            case Retention() | LifetimeValue():
                name = metric.start
            case Repurchase() | RepurchaseWithin() | PeriodReturn() | Interval() | Lifecycle():
                name = metric.of
            case AverageOver():
                name = metric.metric
            case Funnel():
                return metric.steps[0].rows
            case _:
                assert_never(metric)
        found = self.metric_by_name[name]
        assert isinstance(found, Aggregate), "the loader lets behavioural metrics refer to aggregates only"
        return found

    def leaves(self, name: str) -> tuple[Aggregate, ...]:
        """Return the aggregates that decide what the metric `name` can be split and filtered by, without repeats."""
        return self.leaves_of(self.metric(name))

    def leaves_of(self, metric: Metric) -> tuple[Aggregate, ...]:
        """Return the same for a metric, whatever parameters it was given."""
        match metric:
            case Aggregate():
                return (metric,)
            case Ratio():
                inputs: tuple[str, ...] = (metric.numerator, metric.denominator)
            case Derived():
                inputs = metric.inputs
            case Cumulative():
                inputs = (metric.metric,)
            case Lifecycle():  # dated by activity, but split by what people have who entered
                inputs = (metric.start,)
            case _:
                return (self.anchor(metric),)
        return tuple(dict.fromkeys(leaf for name in inputs for leaf in self.leaves(name)))

    def metric(self, spec: str) -> Metric:
        """Return a metric by name or, as `name[n=30]`, with other parameters; KeyError where there is none."""
        name, parameters = metric_spec(spec)
        metric = self.metric_by_name[name]
        return labelled(with_parameters(metric, parameters) if parameters else metric)


def metric_spec(spec: str) -> tuple[str, dict[str, str]]:
    """Return a metric's name and the parameters in brackets.

    >>> metric_spec("retention[n=30]")
    ('retention', {'n': '30'})
    """
    name, _, inside = spec.partition("[")
    pairs = (item.partition("=") for item in inside.rstrip("]").split(",") if item)
    return name, {key.strip(): value.strip() for key, _, value in pairs}


def metric_column(spec: str) -> str:
    """Return the name of a metric's result column.

    >>> metric_column("retention[n=30]")
    'retention_30'
    """
    name, parameters = metric_spec(spec)
    return re.sub(r"[^a-z0-9_]+", "_", "_".join((name, *parameters.values())).lower())


def parameter(metric: Metric) -> int | None:
    """Return the number a question may change in a metric: the day of a retention, the days of a lifetime value."""
    match metric:
        case Retention():
            return metric.low if metric.high is None else metric.high
        case RepurchaseWithin() | LifetimeValue() | Funnel():
            return metric.days
        case Repurchase():
            return metric.times
    return None


def labelled(metric: Metric) -> Metric:
    """Return a metric whose label names its number."""
    n = parameter(metric)
    if n is None or "{n}" not in metric.label.en + metric.label.zh:
        return metric
    return replace(metric, label=Text(metric.label.en.replace("{n}", str(n)), metric.label.zh.replace("{n}", str(n))))


def with_parameters(metric: Metric, parameters: dict[str, str]) -> Metric:
    """Return a metric with other parameters: `n`, its number, or `steps`, a funnel's steps joined by “>”.

    Raises `QueryError` with code `invalid_parameter` where the metric has no such parameter or it is out of bounds.
    """
    name = metric_column(f"{metric.name}[{','.join(f'{k}={v}' for k, v in parameters.items())}]")
    for key, value in parameters.items():
        lowest = _lowest_number(metric)
        if key == "n" and value.isdecimal() and lowest <= int(value) <= MOST_DAYS and parameter(metric) is not None:
            metric = _with_number(metric, int(value))
        elif key == "steps" and isinstance(metric, Funnel):
            metric = replace(metric, steps=_chosen_steps(metric, [name.strip() for name in value.split(">")]))
        else:
            raise QueryError(
                "invalid_parameter",
                Text(
                    f"{metric.label.en} has no parameter {key}={value}.", f"{metric.label.zh}没有参数 {key}={value}。"
                ),
                Text(
                    f"Give n as a whole number from {lowest} to {MOST_DAYS}.",
                    f"请将 n 设为 {lowest} 到 {MOST_DAYS} 的整数。",
                ),
            )
    return replace(metric, name=name)


def _with_number(metric: Metric, n: int) -> Metric:
    match metric:
        case Retention(mode="on"):
            return replace(metric, low=n, high=n)
        case Retention(mode="on_or_after"):
            return replace(metric, low=n)
        case Retention():
            return replace(metric, high=n)
        case RepurchaseWithin() | LifetimeValue() | Funnel():
            return replace(metric, days=n)
        case Repurchase():
            return replace(metric, times=n)
    return metric


def _lowest_number(metric: Metric) -> int:
    match metric:
        case Retention(mode="within"):
            return metric.low
        case Repurchase():
            return 1
    return 0


def _chosen_steps(funnel: Funnel, names: list[str]) -> tuple[FunnelStep, ...]:
    known = {step.name: step for step in (*funnel.steps, *funnel.choices)}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            steps = Text(f"Its steps are {', '.join(known)}.", f"可用的步骤：{'、'.join(known)}。")
            message = Text(f"There is no funnel step “{name}”.", f"没有名为“{name}”的漏斗步骤。")
            raise QueryError("invalid_parameter", message, hint if hint.en else steps)
    if len(names) < 2:
        raise QueryError(
            "invalid_parameter",
            Text("A funnel needs at least two steps.", "漏斗至少需要两个步骤。"),
            Text("Name them in order.", "请按顺序列出。"),
        )
    return named_apart(known[name] for name in names)


def named_apart(steps: Iterable[FunnelStep]) -> tuple[FunnelStep, ...]:
    """Return steps with a name of its own for each: a repeated one is numbered."""
    out: list[FunnelStep] = []
    given: list[FunnelStep] = []
    for step in steps:
        times = 1 + sum(other.name == step.name for other in given)
        label = Text(f"{step.label.en} ({times})", f"{step.label.zh}（{times}）")
        out.append(step if times == 1 else replace(step, name=f"{step.name}_{times}", label=label))
        given.append(step)
    return tuple(out)
