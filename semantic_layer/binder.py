"""Owns binding names and expressions to a model's datasets: which dimension a name means, which joins it takes.

Joins go from many to one. The one way down is to the rows that an object consists of (the items of an order), and
only for aggregates that repeated rows do not change; any other join that would double rows is refused.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import assert_never

from sqlglot import exp

from wenshu.semantic_layer.conditions import comparison, date_literal
from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.model import (
    AS_OF,
    Aggregate,
    Aggregation,
    Cumulative,
    Dataset,
    Derived,
    Dimension,
    Metric,
    Model,
    Ratio,
)
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import And, Filter, Not, Or, Where, both
from wenshu.semantic_layer.text import Text, same
from wenshu.semantic_layer.time_parts import TIME_PARTS, TimePart, bucket_expression

FAN_OUT_SAFE = (Aggregation.COUNT, Aggregation.COUNT_DISTINCT, Aggregation.MIN, Aggregation.MAX)
Key = Dimension | TimePart | Grain


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Join `dataset` to the datasets before it; `doubles` says that it may repeat their rows."""

    dataset: Dataset
    left: str
    columns: tuple[tuple[str, str], ...]
    doubles: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """Name one aggregate column of a source; `filters` is what the metrics around it keep."""

    column: str
    aggregate: Aggregate
    filters: Filter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Hold one dataset with its joins, group keys, condition and aggregates: one SELECT … GROUP BY.

    `keys` pairs each result column with its expression; `where` are conditions that all must hold.
    """

    dataset: Dataset
    joins: tuple[Join, ...]
    keys: tuple[tuple[str, exp.Expression], ...]
    where: tuple[exp.Expression, ...]
    aggregates: tuple[tuple[str, exp.Expression], ...]


class Binder:
    """Bind names and expressions of one query to a model."""

    def __init__(self, model: Model, as_of: date) -> None:
        self.model = model
        self.as_of = as_of
        self.caveats: list[Text] = []

    # names

    def metric(self, name: str) -> Metric:
        metric = self.model.metric_by_name.get(name)
        if metric is None:
            raise _unknown("metric", Text("metric", "指标"), name, self.model.metric_by_name)
        return metric

    def canonical(self, name: str) -> str:
        """Return a dimension's shortest name that still means the same, so that one thing has one column name."""
        if name in TIME_PARTS:
            return name
        found = self.candidates(name)
        bare = found[0].name
        return bare if "." not in name or len([d for d in self.model.dimensions if d.name == bare]) == 1 else name

    def candidates(self, name: str) -> tuple[Dimension, ...]:
        exact = self.model.dimension_by_qualified_name.get(name)
        found = (exact,) if exact else tuple(d for d in self.model.dimensions if d.name == name)
        if not found:
            raise _unknown(
                "dimension", Text("dimension", "维度"), name, [d.name for d in self.model.dimensions] + list(TIME_PARTS)
            )
        return found

    def leaves(self, metric: Metric, filters: Filter | None, owner: str | None = None) -> Iterable[Leaf]:
        """Yield the aggregates of a metric with the filters of all metrics on the way down."""
        kept = both(filters, metric.filters)
        match metric:
            case Aggregate():
                prefix = f"{owner}_" if filters and owner else ""
                yield Leaf(column=f"{prefix}{metric.name}", aggregate=metric, filters=kept)
                return
            case Ratio():
                inputs: tuple[str, ...] = (metric.numerator, metric.denominator)
            case Derived():
                inputs = metric.inputs
            case Cumulative():
                inputs = (metric.metric,)
            case _:
                assert_never(metric)
        for name in inputs:
            yield from self.leaves(self.metric(name), kept, metric.name)

    # dimensions and joins

    def path(self, base: str, target: str, details: bool = False) -> tuple[Join, ...] | None:
        """Return the fewest many-to-one joins from one dataset to another, None if there are none.

        With `details`, the first join may go down to the rows that `base` consists of.
        """
        reached: dict[str, tuple[Join, ...]] = {base: ()}
        frontier = [base]
        while frontier and target not in reached:
            following: list[str] = []
            for here in frontier:
                for step in self._steps(here, details and here == base):
                    if step.dataset.name not in reached:
                        reached[step.dataset.name] = (*reached[here], step)
                        following.append(step.dataset.name)
            frontier = following
        return reached.get(target)

    def _steps(self, here: str, details: bool) -> Iterator[Join]:
        datasets = self.model.dataset_by_name
        for r in self.model.relationships:
            if r.many == here:
                columns = tuple(zip(r.many_columns, r.one_columns, strict=True))
                yield Join(dataset=datasets[r.one], left=here, columns=columns, doubles=False)
            elif details and r.one == here and set(r.many_columns) < set(datasets[r.many].primary_key):
                columns = tuple(zip(r.one_columns, r.many_columns, strict=True))
                yield Join(dataset=datasets[r.many], left=here, columns=columns, doubles=True)

    def dimension(self, name: str, aggregate: Aggregate) -> tuple[Dimension, tuple[Join, ...]]:
        """Return the dimension that `name` means for an aggregate, its own dataset's first, and the joins to it."""
        found = self.candidates(name)
        for details in (False, True):
            paths = [(d, path) for d in found if (path := self.path(aggregate.dataset, d.dataset, details)) is not None]
            if paths and (not details or aggregate.aggregation in FAN_OUT_SAFE):
                return min(paths, key=lambda item: len(item[1]))
            if paths:
                raise self._fan_out(aggregate, paths[0][0])
        raise self._not_joinable(aggregate, found[0])

    def key(self, name: str, leaves: tuple[Leaf, ...]) -> Key:
        return TIME_PARTS[name] if name in TIME_PARTS else self.dimension(name, leaves[0].aggregate)[0]

    def _working_metrics(self, dimension: Dimension) -> str:
        works = [
            metric.name
            for metric in self.model.metrics
            if all(self.path(leaf.dataset, dimension.dataset) is not None for leaf in self.model.leaves(metric.name))
        ]
        return ", ".join(works[:5])

    def _fan_out(self, aggregate: Aggregate, dimension: Dimension) -> QueryError:
        works = self._working_metrics(dimension)
        return QueryError(
            "fan_out",
            Text(
                f"{aggregate.label.en} cannot be split by {dimension.label.en}: one row of {aggregate.dataset} has several of "
                f"{dimension.dataset}, so amounts would be counted more than once.",
                f"{aggregate.label.zh}不能按{dimension.label.zh}拆分：{aggregate.dataset} 的一行对应 {dimension.dataset} 的多行，金额会被重复计算。",
            ),
            Text(f"Metrics that can: {works}.", f"可以按此拆分的指标：{works}。") if works else same(""),
        )

    def _not_joinable(self, aggregate: Aggregate, dimension: Dimension) -> QueryError:
        works = self._working_metrics(dimension)
        return QueryError(
            "not_joinable",
            Text(
                f"{aggregate.label.en} has no {dimension.label.en}: nothing in the model joins {aggregate.dataset} to {dimension.dataset}.",
                f"{aggregate.label.zh}没有{dimension.label.zh}这个维度：模型中 {aggregate.dataset} 与 {dimension.dataset} 没有关联。",
            ),
            Text(f"Metrics that have it: {works}.", f"有此维度的指标：{works}。") if works else same(""),
        )

    # sources

    def source(
        self, leaves: tuple[Leaf, ...], dimensions: tuple[str, ...], grain: Grain | None, period: DateRange, filters: Filter | None,
        shift: Callable[[exp.Expression], exp.Expression] | None = None,
    ) -> Source:  # fmt: skip
        """Bind aggregates of one dataset and one time column, with everything they are grouped and filtered by.

        `shift` moves the times of a compared series to the current buckets.
        """
        first = leaves[0].aggregate
        scope = Scope(self, first)
        time = self._time(first, scope)
        keys: list[tuple[str, exp.Expression]] = []
        if grain:
            if time is None:
                raise self._undated(first)
            keys.append((str(grain), bucket_expression(shift(time.copy()) if shift else time.copy(), grain)))
        keys.extend((name, self._key_expression(name, scope, time)) for name in dimensions)
        where = self._period(time, period)
        if filters is not None:
            where.append(self._filter(filters, scope, time))
        conditions = [self._conditions(leaf, scope, time) for leaf in leaves]
        shared = [c for c in conditions[0] if all(c in other for other in conditions[1:])]
        own = [[c for c in condition if c not in shared] for condition in conditions]
        where.extend(shared)
        if all(own):
            where.append(exp.or_(*(exp.and_(*parts) for parts in own)))
        values = [scope.bind(leaf.aggregate.expr, first.dataset) if leaf.aggregate.expr else None for leaf in leaves]
        aggregates = []
        for leaf, value, rest in zip(leaves, values, own, strict=True):
            folded = self._fold(leaf.aggregate, value, scope)
            if rest:
                folded = exp.Filter(this=folded, expression=exp.Where(this=exp.and_(*rest)))
            aggregates.append((leaf.column, folded))
        return scope.source(keys, where, aggregates)

    def listing(self, dimensions: tuple[str, ...], period: DateRange | None, filters: Filter | None) -> Source:
        """Bind a list of the rows of the first dimension's dataset with the attributes chosen."""
        dataset = self.candidates(dimensions[0])[0].dataset
        scope = Scope(self, Aggregate(name="rows", label=same("rows"), aggregation=Aggregation.SUM, dataset=dataset))
        time = self._time(scope.aggregate, scope) if period else None
        keys = [(name, self._key_expression(name, scope, time)) for name in dimensions]
        where = self._period(time, period) if period else []
        if filters is not None:
            where.append(self._filter(filters, scope, time))
        return scope.source(keys, where, [])

    def _period(self, time: exp.Expression | None, period: DateRange) -> list[exp.Expression]:
        if time is None:
            return []
        after = date_literal(period.end + timedelta(days=1))
        return [
            exp.GTE(this=time.copy(), expression=date_literal(period.start)),
            exp.LT(this=time.copy(), expression=after),
        ]

    def _time(self, aggregate: Aggregate, scope: "Scope") -> exp.Expression | None:
        expr = aggregate.time or self.model.dataset_by_name[aggregate.dataset].time
        if expr is None:
            label = aggregate.label
            caveat = Text(
                f"{label.en} has no date: the period does not apply to it.", f"{label.zh}没有日期，时间范围对其不适用。"
            )
            if caveat not in self.caveats:
                self.caveats.append(caveat)
            return None
        return scope.bind(expr, aggregate.dataset)

    def _undated(self, aggregate: Aggregate) -> QueryError:
        return QueryError(
            "no_time",
            Text(
                f"{aggregate.label.en} has no date, so there is no trend of it.",
                f"{aggregate.label.zh}没有日期，无法按时间拆分。",
            ),
            Text("Ask for it without a time breakdown.", "请去掉时间粒度再问。"),
        )

    def _key_expression(self, name: str, scope: "Scope", time: exp.Expression | None) -> exp.Expression:
        if name in TIME_PARTS:
            if time is None:
                raise self._undated(scope.aggregate)
            return TIME_PARTS[name].expression(time.copy())
        dimension, joins = self.dimension(name, scope.aggregate)
        scope.join(joins)
        if dimension.pii:
            raise personal_data(dimension)
        return scope.bind_dimension(dimension)

    def _conditions(self, leaf: Leaf, scope: "Scope", time: exp.Expression | None) -> list[exp.Expression]:
        """Return the conditions on an aggregate's rows, one a conjunct, so that shared ones can be told."""
        where = leaf.aggregate.where
        parts = list(where.flatten()) if isinstance(where, exp.And) else [where] if where else []
        out = [scope.bind(part, leaf.aggregate.dataset) for part in parts]
        if leaf.filters is not None:
            out.append(self._filter(leaf.filters, scope, time))
        return out

    def _fold(self, aggregate: Aggregate, value: exp.Expression | None, scope: "Scope") -> exp.Expression:
        match aggregate.aggregation:
            case Aggregation.COUNT:
                if not any(join.doubles for join in scope.joins):
                    return exp.Count(this=exp.Star())
                key = [
                    exp.column(name, table=aggregate.dataset)
                    for name in self.model.dataset_by_name[aggregate.dataset].primary_key
                ]
                return exp.Count(this=exp.Distinct(expressions=key if len(key) == 1 else [exp.Tuple(expressions=key)]))
            case Aggregation.COUNT_DISTINCT:
                return exp.Count(this=exp.Distinct(expressions=[value]))
            case Aggregation.SUM:
                return exp.Sum(this=value)
            case Aggregation.AVERAGE:
                return exp.Avg(this=value)
            case Aggregation.MIN:
                return exp.Min(this=value)
            case Aggregation.MAX:
                return exp.Max(this=value)
            case Aggregation.MEDIAN:
                return exp.Median(this=value)
            case _:
                assert_never(aggregate.aggregation)

    def _filter(self, tree: Filter, scope: "Scope", time: exp.Expression | None) -> exp.Expression:
        match tree:
            case And():
                return exp.paren(exp.and_(*(self._filter(part, scope, time) for part in tree.parts)), copy=False)
            case Or():
                return exp.paren(exp.or_(*(self._filter(part, scope, time) for part in tree.parts)), copy=False)
            case Not():
                inner = self._filter(tree.part, scope, time)
                return exp.Not(this=exp.Coalesce(this=exp.paren(inner, copy=False), expressions=[exp.false()]))
            case Where():
                left = self._key_expression(tree.dimension, scope, time)
                part = TIME_PARTS.get(tree.dimension)
                return comparison(
                    tree, left, part.type if part else self.dimension(tree.dimension, scope.aggregate)[0].type
                )
            case _:
                assert_never(tree)


class Scope:
    """Collect the joins one source needs while its expressions are bound."""

    def __init__(self, binder: Binder, aggregate: Aggregate) -> None:
        self.binder, self.aggregate = binder, aggregate
        self.joins: list[Join] = []

    def join(self, joins: Iterable[Join]) -> None:
        for step in joins:
            if all(step.dataset.name != done.dataset.name for done in self.joins):
                self.joins.append(step)

    def source(
        self, keys: list[tuple[str, exp.Expression]], where: list[exp.Expression], aggregates: list[tuple[str, exp.Expression]]
    ) -> Source:  # fmt: skip
        """Return what was bound as one source."""
        dataset = self.binder.model.dataset_by_name[self.aggregate.dataset]
        return Source(
            dataset=dataset, joins=tuple(self.joins), keys=tuple(keys), where=tuple(where), aggregates=tuple(aggregates)
        )

    def bind_dimension(self, dimension: Dimension) -> exp.Expression:
        expr = self.bind(dimension.expr, dimension.dataset)
        if not dimension.bands:
            return expr
        case = exp.Case()
        for bound, value in zip(dimension.bands, dimension.values, strict=False):
            case = case.when(
                exp.LT(this=expr.copy(), expression=exp.Literal.number(f"{bound:g}")),
                exp.Literal.string(str(value.value)),
            )
        last = exp.Literal.string(str(dimension.values[-1].value))
        return case.when(exp.GTE(this=expr.copy(), expression=exp.Literal.number(f"{dimension.bands[-1]:g}")), last)

    def bind(self, expr: exp.Expression, dataset: str) -> exp.Expression:
        """Return a copy whose columns carry their dataset and whose `as_of` is a date, joining what it names."""

        def qualify(node: exp.Expression) -> exp.Expression:
            if not isinstance(node, exp.Column):
                return node
            if not node.table and node.name == AS_OF:
                return date_literal(self.binder.as_of)
            table = node.table or dataset
            if table not in (self.aggregate.dataset, *(join.dataset.name for join in self.joins)):
                path = self.binder.path(self.aggregate.dataset, table)
                if path is None:
                    raise QueryError(
                        "not_joinable",
                        Text(
                            f"Nothing joins {self.aggregate.dataset} to {table}.",
                            f"{self.aggregate.dataset} 与 {table} 没有关联。",
                        ),
                        Text("Add the relationship to the model.", "请在模型中补充关联关系。"),
                    )
                self.join(path)
            return exp.column(node.name, table=table)

        return expr.copy().transform(qualify, copy=False)


def personal_data(dimension: Dimension) -> QueryError:
    """Return the refusal of a personal attribute."""
    return QueryError(
        "personal_data",
        Text(
            f"{dimension.label.en} is personal data and is not shown.", f"{dimension.label.zh}属于个人信息，不予展示。"
        ),
        Text("Ask for counts or for groups of users instead.", "可以查询人数或用户分组的统计。"),
    )


def _unknown(kind: str, kind_label: Text, name: str, names: Iterable[str]) -> QueryError:
    hint = did_you_mean(name, names)
    return QueryError(
        f"unknown_{kind}",
        Text(f"There is no {kind_label.en} “{name}”.", f"没有名为“{name}”的{kind_label.zh}。"),
        hint
        if hint.en
        else Text("`wenshu metrics` lists what there is.", "可用 `wenshu metrics` 查看全部指标与维度。"),
    )
