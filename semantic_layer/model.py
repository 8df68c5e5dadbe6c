"""Owns the semantic model: datasets, dimensions, relationships and metrics as immutable values. Knows nothing of YAML or SQL dialects.

Expressions are sqlglot trees whose columns carry the name of their dataset, or none for a dataset's own columns;
the reserved column `as_of` stands for the last complete day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Literal

from sqlglot import exp

from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import Filter
from wenshu.semantic_layer.text import Text

DimensionType = Literal["string", "number", "date", "time", "boolean"]
AS_OF = "as_of"


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
    are the names in `values`. `indexed` says whether its values are looked up in the data to understand questions.
    """

    name: str
    dataset: str
    expr: exp.Expression
    type: DimensionType
    label: Text
    synonyms: Synonyms = field(default_factory=Synonyms)
    values: tuple[DimensionValue, ...] = ()
    ordered: bool = False
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
    """

    name: str
    source: str | exp.Query
    label: Text
    synonyms: Synonyms = field(default_factory=Synonyms)
    file: str | None = None
    primary_key: tuple[str, ...] = ()
    entity: str | None = None
    time: exp.Expression | None = None
    dimensions: tuple[Dimension, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """Join the many side to the one side: each row of `many` has at most one row of `one`."""

    many: str
    one: str
    many_columns: tuple[str, ...]
    one_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCommon:
    """Hold what every metric has: its name, its words and how it is shown.

    `at_grain` holds words that mean the metric at one grain, such as DAU for active users by day.
    """

    name: str
    label: Text
    synonyms: Synonyms = field(default_factory=Synonyms)
    at_grain: tuple[tuple[Grain, Synonyms], ...] = ()
    unit: str | None = None
    description: Text | None = None
    filters: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate(MetricCommon):
    """Fold the rows of one dataset; `where` is a condition over its columns, `time` dates its rows."""

    aggregation: Aggregation
    dataset: str
    expr: exp.Expression | None = None
    where: exp.Expression | None = None
    time: exp.Expression | None = None

    @property
    def additive(self) -> bool:
        """Say whether the values of disjoint groups add up to the whole."""
        return self.aggregation in (Aggregation.COUNT, Aggregation.SUM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio(MetricCommon):
    """Divide one metric by another; empty where the denominator is zero."""

    numerator: str
    denominator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(MetricCommon):
    """Compute an expression over other metrics, which it names as columns."""

    expr: exp.Expression
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cumulative(MetricCommon):
    """Run up a metric over the buckets of a time series, from the period's first bucket on."""

    metric: str


Metric = Aggregate | Ratio | Derived | Cumulative


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

    def leaves(self, name: str) -> tuple[Aggregate, ...]:
        """Return the aggregates that the metric `name` is computed from, without repeats."""
        metric = self.metric_by_name[name]
        match metric:
            case Aggregate():
                return (metric,)
            case Ratio():
                inputs: tuple[str, ...] = (metric.numerator, metric.denominator)
            case Derived():
                inputs = metric.inputs
            case Cumulative():
                inputs = (metric.metric,)
        return tuple(dict.fromkeys(leaf for name in inputs for leaf in self.leaves(name)))
