"""Owns binding names and expressions to a model's datasets: which dimension a name means, which joins it takes.

Joins go from many to one. The one way down is to the rows that an object consists of (the items of an order), and
only for aggregates that repeated rows do not change; any other join that would double rows is refused.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import assert_never

from sqlglot import exp

from wenshu.semantic_layer.behaviour_keys import BEHAVIOUR_KEYS, BehaviourKey
from wenshu.semantic_layer.conditions import comparison, date_literal
from wenshu.semantic_layer.errors import NotLearnt
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Cumulative, Derived, Metric, Ratio
from wenshu.semantic_layer.model import AS_OF, PERIOD_END, PERIOD_START, Dataset, Dimension, Model
from wenshu.semantic_layer.own_metrics import present, quantile_of, users_with
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import And, Filter, LastDays, Not, Or, UsersWith, Where, both
from wenshu.semantic_layer.refusals import (
    fan_out,
    no_entity,
    not_joinable,
    personal_data,
    repeated_rows,
    undated,
    unknown,
)
from wenshu.semantic_layer.row_scope import Row, RowColumn, Scope
from wenshu.semantic_layer.sources import Join, Leaf, Source
from wenshu.semantic_layer.text import Text, same
from wenshu.semantic_layer.time_parts import TIME_PARTS, TimePart, bucket_expression

__all__ = ["Binder", "Key", "personal_data"]
FAN_OUT_SAFE = (Aggregation.COUNT, Aggregation.COUNT_DISTINCT, Aggregation.MIN, Aggregation.MAX)
Key = Dimension | TimePart | BehaviourKey | Grain
Span = DateRange | LastDays


class Binder:
    """Bind names and expressions of one query to a model."""

    def __init__(self, model: Model, as_of: date, complete: Collection[str] = ()) -> None:
        """`complete` names the relationships whose every row on the many side has its row on the one side."""
        self.model = model
        self.as_of = as_of
        self.complete = complete
        # of the query and the data; the resolver sets them before sources are bound
        self.period, self.data_start = DateRange(date.min, as_of), date.min
        self.caveats: list[Text] = []
        self.segments: set[str] = set()  # that were joined to

    # names

    def metric(self, name: str) -> Metric:
        try:
            return self.model.metric(name)
        except KeyError:
            known = [metric.name for metric in self.model.metrics]
            raise unknown("metric", Text("metric", "指标"), name.partition("[")[0], known) from None

    def canonical(self, name: str) -> str:
        """Return a dimension's shortest name that still means the same, so that one thing has one column name."""
        if name in TIME_PARTS or name in BEHAVIOUR_KEYS:
            return name
        found = self.candidates(name)
        bare = found[0].name
        return bare if "." not in name or len([d for d in self.model.dimensions if d.name == bare]) == 1 else name

    def candidates(self, name: str) -> tuple[Dimension, ...]:
        exact = self.model.dimension_by_qualified_name.get(name)
        found = (exact,) if exact else tuple(d for d in self.model.dimensions if d.name == name)
        found = found or tuple(d for d in self.model.withheld_dimensions if d.name == name)
        if not found:
            raise unknown(
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
                prefix = f"{owner}_" if filters and owner else ""
                yield Leaf(
                    column=f"{prefix}{metric.name}", aggregate=self.model.anchor(metric), filters=kept, behaviour=metric
                )
                return
        for name in inputs:
            yield from self.leaves(self.metric(name), kept, metric.name)

    def reserved(self, node: exp.Expr, period: DateRange) -> exp.Expr | None:
        """Return the date that a reserved column stands for, or None where the node is none of them."""
        if not isinstance(node, exp.Column) or node.table:
            return None
        days = {AS_OF: self.as_of, PERIOD_START: period.start, PERIOD_END: period.end}
        return date_literal(days[node.name]) if node.name in days else None

    def dated(self, dataset: Dataset, period: DateRange) -> Dataset:
        """Return a dataset whose SELECT has dates in place of the reserved columns.

        Raises `NotLearnt` for a segment that is yet to be learnt.
        """
        if isinstance(dataset.source, str):
            return dataset
        if dataset.lesson is not None and not dataset.lesson.learnt:
            raise NotLearnt(dataset.name, dataset.label)
        if dataset.is_segment:
            self.segments.add(dataset.name)

        def fill(node: exp.Expr) -> exp.Expr:
            return day if (day := self.reserved(node, period)) is not None else node

        source = dataset.source.copy().transform(fill, copy=False)
        assert isinstance(source, exp.Query)
        return replace(dataset, source=source)

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
                        way = reached[here]
                        keeps = step.keeps_matches and all(done.keeps_matches for done in way)
                        reached[step.dataset.name] = (*way, replace(step, keeps_matches=keeps))
                        following.append(step.dataset.name)
            frontier = following
        return reached.get(target)

    def _steps(self, here: str, details: bool) -> Iterator[Join]:
        datasets = self.model.dataset_by_name
        for r in self.model.relationships:
            if r.many == here:
                columns = tuple(zip(r.many_columns, r.one_columns, strict=True))
                whole = r.name in self.complete
                yield Join(dataset=datasets[r.one], left=here, columns=columns, doubles=False, keeps_matches=whole)
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
                raise fan_out(aggregate, paths[0][0], self._working_metrics(paths[0][0]))
        raise not_joinable(aggregate, found[0], self._working_metrics(found[0]))

    def key(self, name: str, leaves: tuple[Leaf, ...]) -> Key:
        if name in BEHAVIOUR_KEYS:
            return BEHAVIOUR_KEYS[name]
        return TIME_PARTS[name] if name in TIME_PARTS else self.dimension(name, leaves[0].aggregate)[0]

    def _working_metrics(self, dimension: Dimension) -> str:
        works = [
            metric.name
            for metric in self.model.metrics
            if all(self.path(leaf.dataset, dimension.dataset) is not None for leaf in self.model.leaves_of(metric))
        ]
        return ", ".join(works[:5])

    # sources

    def source(
        self, leaves: tuple[Leaf, ...], dimensions: tuple[str, ...], grain: Grain | None, period: Span, filters: Filter | None,
        shift: Callable[[exp.Expr], exp.Expr] | None = None, by_user: bool = False,
    ) -> Source:  # fmt: skip
        """Bind aggregates of one dataset and one time column, with everything they are grouped and filtered by.

        `shift` moves the times of a compared series to the current buckets. `by_user` groups by user_id, too, and
        leaves out rows of nobody.
        """
        first = leaves[0].aggregate
        scope = Scope(self, first, period if isinstance(period, DateRange) else None)
        time = self._time(first, scope)
        keys: list[tuple[str, exp.Expr]] = []
        if grain:
            if time is None:
                raise undated(first)
            keys.append((str(grain), bucket_expression(shift(time.copy()) if shift else time.copy(), grain)))
        keys.extend((name, self._key_expression(name, scope, time)) for name in dimensions)
        scope.keep_segments()
        where = self._period(time, period)
        if by_user:
            user = self.entity(scope)
            keys.insert(0, ("user_id", user))
            where.append(present(user))
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

    def rows(
        self, leaf: Leaf, columns: dict[str, RowColumn], dimensions: tuple[str, ...], grain: Grain | None,
        period: DateRange | None, filters: Filter | None, shift: Callable[[exp.Expr], exp.Expr] | None = None,
    ) -> Source:  # fmt: skip
        """Bind the rows of an aggregate, unfolded: user_id, each column made from the row's time and value, and the keys.

        Rows of nobody are left out. Rows that are put in order, by a column row_key, may not be repeated by a join.
        """
        aggregate = leaf.aggregate
        scope = Scope(self, aggregate)
        time = self._time(aggregate, scope)
        if time is None:
            raise undated(aggregate)
        user = self.entity(scope)
        by: list[tuple[str, exp.Expr]] = []
        if grain:
            by.append((str(grain), bucket_expression(shift(time.copy()) if shift else time.copy(), grain)))
        by.extend((name, self._key_expression(name, scope, time)) for name in dimensions)
        scope.keep_segments()
        value = scope.bind(aggregate.expr, aggregate.dataset) if aggregate.expr is not None else exp.Literal.number(1)
        row = Row(scope=scope, time=time, value=value)
        keys = [("user_id", user), *((name, column(row)) for name, column in columns.items()), *by]
        where = self._period(time, period) if period is not None else []
        if filters is not None:
            where.append(self._filter(filters, scope, time))
        where.extend(self._conditions(leaf, scope, time))
        if not self.model.dataset_by_name[aggregate.dataset].entity:
            where.append(present(user))
        if "row_key" in columns and any(join.doubles for join in scope.joins):
            raise repeated_rows(aggregate)
        return scope.source(keys, where, [])

    def leaf(self, name: str) -> Leaf:
        """Return the aggregate that a behavioural metric refers to by name."""
        metric = self.metric(name)
        assert isinstance(metric, Aggregate), "the loader lets behavioural metrics refer to aggregates only"
        return Leaf(column=metric.name, aggregate=metric, filters=metric.filters)

    def primary_key(self, aggregate: Aggregate) -> exp.Expr:
        """Return what tells the rows of an aggregate's dataset apart: its key, one value or a tuple, or else nothing."""
        names = self.model.dataset_by_name[aggregate.dataset].primary_key
        key = [exp.column(name, table=aggregate.dataset) for name in names]
        return exp.Literal.number(0) if not key else key[0] if len(key) == 1 else exp.Tuple(expressions=key)

    def row_key(self, aggregate: Aggregate) -> RowColumn:
        """Return the column that settles ties between rows of the same time."""
        return lambda _: self.primary_key(aggregate)

    def kept(self, filters: Filter | None) -> RowColumn:
        """Return the column that says whether a row meets the filters, for rows that must be numbered before they are kept."""
        return lambda row: exp.true() if filters is None else self._filter(filters, row.scope, row.time)

    def bucketed(self, aggregate: Aggregate, grain: Grain) -> exp.Expr:
        """Return the bucket of an aggregate's own time."""
        time = self._time(aggregate, Scope(self, aggregate))
        if time is None:
            raise undated(aggregate)
        return bucket_expression(time, grain)

    def entity(self, scope: Scope) -> exp.Expr:
        """Return the column of a row that names its user."""
        dataset = self.model.dataset_by_name[scope.aggregate.dataset]
        if dataset.entity:
            return exp.column(dataset.primary_key[0], table=dataset.name)
        entities = [other for other in self.model.datasets if other.entity]
        paths = [path for other in entities if (path := self.path(dataset.name, other.name))]
        if not paths:
            raise no_entity(dataset)
        *way, last = min(paths, key=len)
        scope.join(way)
        return exp.column(last.columns[0][0], table=last.left)

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

    def _period(self, time: exp.Expr | None, period: Span) -> list[exp.Expr]:
        if time is None:
            return []
        start, after = self.days(period)
        since = [exp.GTE(this=time.copy(), expression=start)] if start is not None else []
        return [*since, exp.LT(this=time.copy(), expression=after)]

    def days(self, period: Span) -> tuple[exp.Expr | None, exp.Expr]:
        """Return the first day of a period, None where it has none, and the day after its last."""
        if isinstance(period, DateRange):
            return date_literal(period.start), date_literal(period.end + timedelta(days=1))
        after = self.as_of + timedelta(days=1)
        return None if period.days is None else date_literal(after - timedelta(days=period.days)), date_literal(after)

    def _time(self, aggregate: Aggregate, scope: Scope) -> exp.Expr | None:
        expr = aggregate.time or self.model.dataset_by_name[aggregate.dataset].time
        if aggregate.undated:
            return None
        if expr is None:
            label = aggregate.label
            caveat = Text(
                f"{label.en} has no date: the period does not apply to it.", f"{label.zh}没有日期，时间范围对其不适用。"
            )
            if caveat not in self.caveats:
                self.caveats.append(caveat)
            return None
        return scope.bind(expr, aggregate.dataset)

    def _key_expression(self, name: str, scope: Scope, time: exp.Expr | None) -> exp.Expr:
        if name in TIME_PARTS:
            if time is None:
                raise undated(scope.aggregate)
            return TIME_PARTS[name].expression(time.copy())
        dimension, joins = self.dimension(name, scope.aggregate)
        scope.join(joins)
        if dimension.pii:
            raise personal_data(dimension)
        return scope.bind_dimension(dimension)

    def _conditions(self, leaf: Leaf, scope: Scope, time: exp.Expr | None) -> list[exp.Expr]:
        """Return the conditions on an aggregate's rows, one a conjunct, so that shared ones can be told."""
        where = leaf.aggregate.where
        parts = list(where.flatten()) if isinstance(where, exp.And) else [where] if where else []
        out = [scope.bind(part, leaf.aggregate.dataset) for part in parts]
        if leaf.filters is not None:
            out.append(self._filter(leaf.filters, scope, time))
        return out

    def _fold(self, aggregate: Aggregate, value: exp.Expr | None, scope: Scope) -> exp.Expr:
        match aggregate.aggregation:
            case Aggregation.COUNT:
                if not any(join.doubles for join in scope.joins):
                    return exp.Count(this=exp.Star())
                return exp.Count(this=exp.Distinct(expressions=[self.primary_key(aggregate)]))
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
            case Aggregation.PERCENTILE:
                assert value is not None and aggregate.percent is not None
                return quantile_of(value, aggregate.percent / 100)
            case _:
                assert_never(aggregate.aggregation)

    def condition(self, tree: Filter, scope: Scope) -> exp.Expr:
        """Return a filter as a condition over the rows of a scope."""
        return self._filter(tree, scope, self._time(scope.aggregate, scope))

    def _filter(self, tree: Filter, scope: Scope, time: exp.Expr | None) -> exp.Expr:
        match tree:
            case And():
                return exp.paren(exp.and_(*(self._filter(part, scope, time) for part in tree.parts)), copy=False)
            case Or():
                return exp.paren(exp.or_(*(self._filter(part, scope, time) for part in tree.parts)), copy=False)
            case Not():
                inner = self._filter(tree.part, scope, time)
                return exp.Not(this=exp.Coalesce(this=exp.paren(inner, copy=False), expressions=[exp.false()]))
            case UsersWith():
                return users_with(self, tree, scope)
            case Where():
                left = self._key_expression(tree.dimension, scope, time)
                part = TIME_PARTS.get(tree.dimension)
                return comparison(
                    tree, left, part.type if part else self.dimension(tree.dimension, scope.aggregate)[0].type
                )
            case _:
                assert_never(tree)
