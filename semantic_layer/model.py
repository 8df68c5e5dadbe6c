"""Owns the semantic model: datasets, dimensions, relationships and metrics as immutable values. Knows nothing of YAML or SQL dialects.

Expressions are sqlglot trees whose columns carry the name of their dataset, or none for a dataset's own columns;
the reserved column `as_of` stands for the last complete day, `period_start` and `period_end` for the days asked about.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, assert_never

from sqlglot import exp

from wenshu.semantic_layer.metric_parameters import labelled, metric_spec, with_parameters
from wenshu.semantic_layer.metrics import (
    Aggregate,
    AverageOver,
    Behaviour,
    Cumulative,
    Derived,
    Funnel,
    Interval,
    LastEvent,
    Lifecycle,
    LifetimeValue,
    Metric,
    Paths,
    PeriodReturn,
    Ratio,
    Repurchase,
    RepurchaseWithin,
    Retention,
    UserPercentile,
)
from wenshu.semantic_layer.policy import Policy
from wenshu.semantic_layer.text import Synonyms, Text

DimensionType = Literal["string", "number", "date", "time", "boolean"]
ROW_MAKERS = ("joins", "laterals", "group", "having", "qualify", "distinct", "limit", "offset", "with_", "sample")
AS_OF, PERIOD_START, PERIOD_END = "as_of", "period_start", "period_end"


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
class Lesson:
    """Say what is to be learnt from the data before a segment can be used, and the metrics that it is learnt from.

    `days` are those ahead that a probability speaks of; `number` is how many clusters there are to be, None for as many as fit.
    """

    kind: Literal["churn", "repurchase", "clusters"]
    activity: str
    value: str
    days: int = 30
    number: int | None = None
    learnt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Describe a table, view, file or SELECT whose rows are one kind of thing.

    `source` is a table's name or a SELECT tree; `file` is a Parquet or CSV path or glob loaded under `source`'s name.
    A segment has one row a user who belongs to it; `made_of` names the metrics and dimensions that decide who does. One
    with a `lesson` cannot be read before that is learnt.
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
    made_of: tuple[str, ...] = ()
    lesson: Lesson | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """Return the tables of the database that the dataset reads."""
        if isinstance(self.source, str):
            return (self.source,)
        ctes = {cte.alias for cte in self.source.find_all(exp.CTE)}
        return tuple(dict.fromkeys(t.name for t in self.source.find_all(exp.Table) if t.name not in ctes))

    @property
    def scanned(self) -> str | None:
        """Return the one table that the dataset shows rows of, all or some, or None where it makes rows of its own."""
        if isinstance(self.source, str):
            return self.source
        first = self.source.args.get("from_")
        makes = any(self.source.args.get(part) for part in ROW_MAKERS) or self.source.find(exp.AggFunc, exp.Window)
        if not isinstance(self.source, exp.Select) or makes or not first or not isinstance(first.this, exp.Table):
            return None
        return None if first.this.args.get("joins") else str(first.this.name)

    def columns_behind(self, name: str) -> tuple[str, ...]:
        """Return the columns of its tables that a column of the dataset is made from."""
        if isinstance(self.source, str):
            return (name,)
        for item in self.source.selects:
            if not item.is_star and item.alias_or_name == name:
                return tuple(column.name for column in item.find_all(exp.Column))
        return (name,)

    def passed_on(self, name: str) -> str | None:
        """Return the column of the scanned table that a column of the dataset is, or None where it is computed."""
        if isinstance(self.source, str):
            return name
        for item in self.source.selects:
            if not item.is_star and item.alias_or_name == name:
                column = item.unalias()
                return str(column.name) if isinstance(column, exp.Column) else None
        stars = [item for item in self.source.selects if item.is_star]
        changed = any(star.args.get("replace") for item in stars for star in item.find_all(exp.Star))
        return name if stars and not changed else None


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


@dataclass(frozen=True, kw_only=True)
class Model:
    """Hold one semantic model, checked: every name it mentions exists.

    What is withheld is there for others to be computed from, and may not be asked for.
    """

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
    policies: tuple[Policy, ...] = ()
    raw_sql: bool = False  # whether a language model may write SQL itself, as the last resort
    withheld_metrics: tuple[Metric, ...] = ()
    withheld_dimensions: tuple[Dimension, ...] = ()

    @property
    def has_dates(self) -> bool:
        """Say whether any dataset has a time; where none has, no period applies to anything."""
        return any(dataset.time is not None for dataset in self.datasets)

    @cached_property
    def dataset_by_name(self) -> dict[str, Dataset]:
        return {dataset.name: dataset for dataset in self.datasets}

    @cached_property
    def metric_by_name(self) -> dict[str, Metric]:
        return {metric.name: metric for metric in (*self.withheld_metrics, *self.metrics)}

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        return tuple(dimension for dataset in self.datasets for dimension in dataset.dimensions)

    @cached_property
    def dimension_by_qualified_name(self) -> dict[str, Dimension]:
        return {d.qualified: d for d in (*self.withheld_dimensions, *self.dimensions)}

    def anchor(self, metric: Behaviour) -> Aggregate:
        """Return the aggregate whose rows a behavioural metric is dated, grouped and filtered by."""
        match metric:
            case Retention() | LifetimeValue():
                name = metric.start
            case Repurchase() | RepurchaseWithin() | PeriodReturn() | Interval() | Lifecycle() | Paths() | LastEvent():
                name = metric.of
            case UserPercentile():
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
            case Funnel():
                return metric.entries
            case _:
                return (self.anchor(metric),)
        return tuple(dict.fromkeys(leaf for name in inputs for leaf in self.leaves(name)))

    def metric(self, spec: str) -> Metric:
        """Return a metric by name or, as `name[n=30]`, with other parameters; KeyError where there is none."""
        name, parameters = metric_spec(spec)
        metric = self.metric_by_name[name]
        return labelled(with_parameters(metric, parameters) if parameters else metric)
