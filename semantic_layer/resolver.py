"""Owns resolving a query: its period and comparison as dates, its variants as bound sources, what may not be combined.

What comes out names every dataset, join, column and date; the compiler only writes it down as SQL.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Literal, assert_never

from sqlglot import exp

from wenshu.semantic_layer.behaviour import behaviour_source, read_together
from wenshu.semantic_layer.behaviour_keys import (
    BEHAVIOUR_KEYS,
    FUNNEL_STEP,
    LAST_EVENT,
    LIFECYCLE_STAGE,
    PATH,
    count_columns,
)
from wenshu.semantic_layer.binder import Binder, Key
from wenshu.semantic_layer.errors import QueryError, did_you_mean
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, LastEvent, Lifecycle, Metric, Paths
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import (
    MONTHS,
    Compare,
    DateRange,
    Grain,
    add_months,
    bucket,
    calendar_grain,
    compared_period,
    next_bucket,
)
from wenshu.semantic_layer.query import Filter, Query, Share, both, filters_of
from wenshu.semantic_layer.refusals import no_such_key
from wenshu.semantic_layer.sources import Leaf, Source
from wenshu.semantic_layer.text import Text
from wenshu.semantic_layer.time_parts import TIME_PARTS, shifted
from wenshu.semantic_layer.user_rows import Asked

MOST_METRICS, MOST_DIMENSIONS = 12, 4
MOST_PATHS = 10  # shown where no number is asked for
EVERYWHERE: Mapping[str, DateRange] = MappingProxyType({})
VariantName = Literal["current", "compared", "whole", "overall", "all_rows", "ranked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Hold the sources of one computation of the metrics; a query has the current one and those it is held against."""

    name: VariantName
    keys: tuple[str, ...]
    sources: tuple[Source, ...]
    period: DateRange


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedQuery:
    """Hold a query bound to a model: all that the compiler and the receipt need.

    `overlapping` says that a row may belong to several groups, so that the groups do not add up to the total; `segments`
    are the datasets of those it reads.
    """

    query: Query
    model: Model
    as_of: date
    keys: tuple[tuple[str, Key], ...]
    metrics: tuple[Metric, ...]
    leaves: tuple[Leaf, ...]
    variants: tuple[Variant, ...]
    period: DateRange
    compared: DateRange | None
    caveats: tuple[Text, ...]
    overlapping: bool = False
    segments: frozenset[str] = frozenset()

    def variant(self, name: str) -> Variant | None:
        return next((variant for variant in self.variants if variant.name == name), None)

    @property
    def grain(self) -> Grain | None:
        return self.query.grain

    @property
    def dimension_names(self) -> tuple[str, ...]:
        return tuple(name for name, key in self.keys if not isinstance(key, Grain))


def resolve(
    query: Query, model: Model, *, as_of: date, coverage: DateRange, by_dataset: Mapping[str, DateRange] = EVERYWHERE,
    complete: Collection[str] = (),
) -> ResolvedQuery:  # fmt: skip
    """Bind `query` to `model`; `coverage` holds the dates the data cover, `by_dataset` those of each dataset, `complete`
    the relationships without unmatched rows, whose joins drop nothing.

    Raises `QueryError` where a name is unknown, a join would double rows, or the period lies outside the data.
    """
    if len(query.metrics) > MOST_METRICS or len(query.dimensions) > MOST_DIMENSIONS and query.metrics:
        raise QueryError(
            "too_wide",
            Text(
                f"The query asks for {len(query.metrics)} metrics by {len(query.dimensions)} dimensions.",
                f"查询涉及 {len(query.metrics)} 个指标、{len(query.dimensions)} 个维度。",
            ),
            Text(
                f"Ask for at most {MOST_METRICS} metrics by {MOST_DIMENSIONS} dimensions.",
                f"最多 {MOST_METRICS} 个指标、{MOST_DIMENSIONS} 个维度。",
            ),
        )
    binder = Binder(model, as_of, complete)
    metrics = tuple(binder.metric(name) for name in query.metrics)
    query = _with_own_key(_with_canonical_names(query, binder), metrics)
    leaves = _apart(dict.fromkeys(leaf for metric in metrics for leaf in binder.leaves(metric, None)))
    started = [dataset for leaf in leaves for dataset in leaf.datasets]
    covered = [by_dataset[dataset] for dataset in started if dataset in by_dataset]
    if len(covered) == len(started) and covered:
        coverage = DateRange(min(c.start for c in covered), max(coverage.end, *(c.start for c in covered)))
    if coverage.start > as_of:
        raise QueryError(
            "outside_data",
            Text(
                f"The data begin on {coverage.start}, after {as_of}.", f"数据从 {coverage.start} 开始，晚于 {as_of}。"
            ),
            Text("Ask about something that the data hold until then.", "请查询在此之前已有数据的内容。"),
        )
    period, caveats = effective_period(query.period, DateRange(coverage.start, as_of))
    caveats = caveats if model.has_dates else ()
    binder.period, binder.data_start = period, coverage.start
    if not metrics:
        return _resolve_list(query, binder, period, caveats)
    compared, shift = _compared(query, period)
    if compared and not compared.intersect(coverage):
        raise QueryError(
            "outside_data",
            Text(
                f"The period to compare with ({compared}) lies outside the data.",
                f"对比期（{compared}）不在数据范围内。",
            ),
            Text(f"The data cover {coverage}.", f"数据覆盖 {coverage}。"),
        )
    if compared and compared.start < coverage.start:
        caveats = (
            *caveats,
            Text(
                f"The data begin on {coverage.start}: the compared period is covered in part only.",
                f"数据从 {coverage.start} 开始，对比期只有部分数据。",
            ),
        )
    _check_share(query, metrics, binder)
    _check_columns(query, metrics)
    overlapping = any(_doubling_key(binder, leaf, query.dimensions, None) for leaf in leaves)
    _check_others(query, metrics, overlapping)
    _check_per(query)
    variants = tuple(_variants(query, binder, leaves, period, compared, shift, overlapping))
    keys = ((str(query.grain), query.grain),) if query.grain else ()
    if overlapping:
        caveats = (
            *caveats,
            Text(
                "A row may belong to several groups, so the groups add up to more than the total.",
                "同一对象可能同时属于多个分组，各组之和会大于总计。",
            ),
        )
    if query.period is not None and (stock := next((m.label for m in metrics if isinstance(m, Aggregate) and m.undated), None)):
        whole = Text(f"{stock.en}: all there are up to {as_of}, whatever the period.", f"{stock.zh}为截至 {as_of} 的总量，不受时间段限制。")
        caveats = (*caveats, whole)
    return ResolvedQuery(
        query=query, model=model, as_of=as_of, metrics=metrics, leaves=leaves, variants=variants,
        keys=keys + tuple((name, binder.key(name, leaves)) for name in query.dimensions),
        period=period, compared=compared, caveats=(*caveats, *binder.caveats), overlapping=overlapping, segments=frozenset(binder.segments),
    )  # fmt: skip


def _with_own_key(query: Query, metrics: tuple[Metric, ...]) -> Query:
    """Return the query with the key that its metric is always told by: the stage, the last event, the path, of which a few."""
    for metric in metrics:
        match metric:
            case Lifecycle(stage=None):
                key = LIFECYCLE_STAGE
            case LastEvent():
                key = LAST_EVENT
            case Paths():
                key = PATH
            case _:
                continue
        if key == PATH and query.limit is None:
            query = replace(query, limit=MOST_PATHS)
        if key not in query.dimensions:
            query = replace(query, dimensions=(*query.dimensions, key))
    return query


def _with_canonical_names(query: Query, binder: Binder) -> Query:
    """Return the query with one name for one dimension, where it is sorted by, too."""
    names = {name: binder.canonical(name) for name in query.dimensions}
    order = tuple(replace(item, by=names.get(item.by, item.by)) for item in query.order)
    per = tuple(names.get(name, name) for name in query.per)
    return replace(query, dimensions=tuple(dict.fromkeys(names.values())), order=order, per=per)


def _apart(leaves: Iterable[Leaf]) -> tuple[Leaf, ...]:
    """Return the leaves with a column name of its own for each."""
    taken: set[str] = set()
    out = []
    for leaf in leaves:
        column, i = leaf.column, 2
        while column in taken:
            column, i = f"{leaf.column}_{i}", i + 1
        taken.add(column)
        out.append(replace(leaf, column=column))
    return tuple(out)


def effective_period(asked: DateRange | None, coverage: DateRange) -> tuple[DateRange, tuple[Text, ...]]:
    """Return the part of the asked period that the data cover, with a caveat where that is not all of it.

    Raises `QueryError` with code `outside_data` where it is nothing.
    """
    if asked is None:
        return coverage, (
            Text(f"No period was named: all data, {coverage}.", f"未指定时间，按全部数据（{coverage}）计算。"),
        )
    period = asked.intersect(coverage)
    if period is None:
        raise QueryError(
            "outside_data",
            Text(f"There are no data for {asked}.", f"{asked} 没有数据。"),
            Text(f"The data cover {coverage}; ask for a period within.", f"数据覆盖 {coverage}，请选择其中的时间段。"),
        )
    if period != asked:
        return period, (
            Text(f"Of {asked}, only {period} is covered by the data.", f"{asked} 中只有 {period} 有数据。"),
        )
    return period, ()


# the variants of a query ----------------------------------------------------------------------------------------------


def _compared(query: Query, period: DateRange) -> tuple[DateRange | None, Callable[[exp.Expr], exp.Expr] | None]:
    """Return the compared period and, for a series, how its times move to the current buckets."""
    match query.compare:
        case None:
            return None, None
        case DateRange():
            return query.compare, _shift_between(query.compare, period, query.grain)
        case Compare():
            pass
        case _:
            assert_never(query.compare)
    if query.grain is None:
        asked = query.period or period
        whole = compared_period(asked, query.compare, query.to_date)
        if asked != period:  # what the data do not cover is held against nothing
            whole = _compared_part(asked, period, query)
        return whole, None
    months = 12 if query.compare is Compare.YEAR else MONTHS.get(query.grain, 0)
    if months:
        back = compared_period(period, Compare.YEAR) if months == 12 else _months_back(period, months)
        return back, lambda time: shifted(time, months=months)
    days = 7 if query.grain is Grain.WEEK else 1
    return DateRange(period.start - timedelta(days=days), period.end - timedelta(days=days)), lambda time: shifted(
        time, days=days
    )


def _compared_part(asked: DateRange, period: DateRange, query: Query) -> DateRange:
    """Return what `period`, the part of `asked` that the data cover, is compared with: the same days of the period before."""
    assert isinstance(query.compare, Compare)
    whole = calendar_grain(asked)
    if whole in MONTHS and query.compare is Compare.PREVIOUS:
        return _months_back(period, _months_between(asked.start, next_bucket(asked.end, Grain.DAY)))
    return compared_period(period, query.compare, query.to_date or whole)


def _shift_between(
    compared: DateRange, period: DateRange, grain: Grain | None
) -> Callable[[exp.Expr], exp.Expr] | None:
    """Return how the times of a compared series move to the current buckets: by months where both begin on the same day of one."""
    if grain is None:
        return None
    if grain in MONTHS and compared.start.day == period.start.day:
        months = _months_between(compared.start, period.start)
        return lambda time: shifted(time, months=months)
    days = (period.start - compared.start).days
    return lambda time: shifted(time, days=days)


def _months_between(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


def _months_back(period: DateRange, months: int) -> DateRange:
    end = add_months(period.end, -months)
    if period.end == bucket(period.end, Grain.MONTH).end:
        end = bucket(end, Grain.MONTH).end
    return DateRange(add_months(period.start, -months), end)


def _variants(
    query: Query, binder: Binder, leaves: tuple[Leaf, ...], period: DateRange, compared: DateRange | None,
    shift: Callable[[exp.Expr], exp.Expr] | None, overlapping: bool,
) -> Iterable[Variant]:  # fmt: skip
    dimensions, grain = query.dimensions, query.grain
    part = query.share.where if query.share else None
    taken = frozenset(name for d in binder.model.datasets for name in (d.name, d.source) if isinstance(name, str))

    def variant(
        name: VariantName, dimensions: tuple[str, ...], grain: Grain | None,
        period: DateRange, filters: Filter | None, moved: bool = False,
    ) -> Variant:  # fmt: skip
        plain = tuple(key for key in dimensions if key not in BEHAVIOUR_KEYS)
        own_key = next((key for key in dimensions if key in BEHAVIOUR_KEYS), None)
        groups: dict[tuple[str, str], list[Leaf]] = {}
        sources: list[Source] = []
        behaviours = read_together(leaves, own_key)
        for together in behaviours:
            own = f"{together[0].column}_" if len(behaviours) > 1 else ""
            prefix = own if name == "current" else f"{name}_{own}"
            asked = Asked(
                binder=binder, dimensions=plain, own_key=own_key, grain=grain, period=period, to_date=query.to_date,
                filters=filters, shift=shift if moved else None, prefix=prefix, taken=taken,
            )  # fmt: skip
            sources.append(behaviour_source(asked, together))
        for leaf in leaves:
            if leaf.behaviour is not None:
                continue
            if own_key is not None:
                raise no_such_key(leaf.aggregate, own_key)
            doubles = _doubling_key(binder, leaf, dimensions, both(filters, leaf.filters))
            groups.setdefault(
                (leaf.aggregate.dataset, f"{leaf.aggregate.time}{leaf.aggregate.undated}{doubles}"), []
            ).append(leaf)
        sources += [
            binder.source(tuple(group), plain, grain, period, filters, shift if moved else None)
            for group in groups.values()
        ]
        keys = ((str(grain),) if grain else ()) + dimensions
        return Variant(name=name, keys=keys, sources=tuple(sources), period=period)

    yield variant("current", dimensions, grain, period, both(query.filters, part))
    if compared:
        yield variant("compared", dimensions, grain, compared, both(query.filters, part), moved=True)
    if part is not None:
        yield variant("whole", dimensions, grain, period, query.filters)
    if any(condition.value == "total" for condition in query.conditions):
        yield variant("all_rows", (), None, period, query.filters)
    if query.share and part is None and (overlapping or not all(leaf.aggregate.additive for leaf in leaves)):
        yield variant("overall", (), grain if dimensions else None, period, query.filters)
    if grain and dimensions and query.limit and not query.per:
        yield variant("ranked", dimensions, None, period, both(query.filters, part))


def _doubling_key(binder: Binder, leaf: Leaf, dimensions: tuple[str, ...], filters: Filter | None) -> str:
    """Return what sets apart aggregates of one dataset that must not share a SELECT: the joins that double rows."""
    names = [
        name
        for name in (*dimensions, *(where.dimension for where in filters_of(filters)))
        if name not in TIME_PARTS and name not in BEHAVIOUR_KEYS
    ]
    doubled = {
        join.dataset.name for name in names for join in binder.dimension(name, leaf.aggregate)[1] if join.doubles
    }
    return ",".join(sorted(doubled))


# what a query may not combine ------------------------------------------------------------------------------------------


def _check_share(query: Query, metrics: tuple[Metric, ...], binder: Binder) -> None:
    if query.share is None:
        return
    for metric in metrics:
        counts = isinstance(metric, Aggregate) and (metric.additive or metric.aggregation is Aggregation.COUNT_DISTINCT)
        if not counts:
            raise QueryError(
                "no_share",
                Text(
                    f"{metric.label.en} is not an amount or a count, so it has no share.",
                    f"{metric.label.zh}不是数量或金额，不能计算占比。",
                ),
                Text("Ask for the share of a count or an amount.", "请查询数量或金额类指标的占比。"),
            )
    if query.share == Share() and not query.dimensions and not query.grain:
        raise QueryError(
            "no_share",
            Text(
                "A share needs groups to share among, or a part to compare with the whole.",
                "计算占比需要分组，或指定某一部分。",
            ),
            Text("Add a dimension, or name the part.", "请加上分组维度，或说明是哪一部分。"),
        )


def _check_columns(query: Query, metrics: tuple[Metric, ...]) -> None:
    for condition in query.conditions:
        _check_column(query, metrics, condition.metric)
        of_rows = condition.value == "total" and condition.metric not in query.metrics
        if of_rows or condition.metric in (str(query.grain), *query.dimensions):
            raise QueryError(
                "invalid_condition",
                Text(
                    f"{condition.metric} {condition.op} {condition.value} is not a condition on a metric.",
                    f"{condition.metric} {condition.op} {condition.value} 不是对指标的条件。",
                ),
                Text(
                    f"Put the condition on one of {', '.join(query.metrics)}; a dimension is filtered.",
                    f"请对 {'、'.join(query.metrics)} 设条件；对维度请用筛选。",
                ),
            )
    for order in query.order:
        _check_column(query, metrics, order.by)


def _check_column(query: Query, metrics: tuple[Metric, ...], name: str) -> None:
    columns = result_columns(query, metrics)
    if name not in columns:
        hint = did_you_mean(name, columns)
        raise QueryError(
            "unknown_column",
            Text(f"The result has no column “{name}”.", f"结果中没有“{name}”这一列。"),
            hint if hint.en else Text(f"Its columns are {', '.join(columns)}.", f"可用的列：{'、'.join(columns)}。"),
        )


def result_columns(query: Query, metrics: tuple[Metric, ...]) -> tuple[str, ...]:
    """Return the names of a query's result columns, in order."""
    out = [str(query.grain)] if query.grain else []
    out.extend(query.dimensions)
    for metric in metrics:
        out.append(metric.name)
        if query.compare is not None:
            out.extend((f"{metric.name}_previous", f"{metric.name}_change"))
        if query.share is not None:
            out.append(f"{metric.name}_share")
        counts = count_columns(metric, by_step=FUNNEL_STEP in query.dimensions)
        out.extend(f"{metric.name}_{count.suffix}" for count in counts)
    return tuple(out)


def _check_per(query: Query) -> None:
    """Refuse a limit within groups that are no part of the rows, or are all there is of them."""
    keys = (*query.dimensions, *([str(query.grain)] if query.grain else []))
    if query.per and not (set(query.per) < set(keys) and query.limit and query.metrics and not query.others):
        raise QueryError(
            "invalid_per",
            Text("“per” needs a limit, and some but not all of the dimensions.", "per 需要 limit，且只能是部分维度。"),
            Text("Ask for the top products of each category.", "例如：各品类销量最高的商品。"),
        )


def _check_others(query: Query, metrics: tuple[Metric, ...], overlapping: bool) -> None:
    if not query.others:
        return
    foldable = not overlapping and all(isinstance(metric, Aggregate) and metric.additive for metric in metrics)
    if not foldable or query.grain or query.limit is None or query.compare is not None:
        raise QueryError(
            "no_others",
            Text(
                "The rest can be folded into “others” only for counts and sums of a top list.",
                "只有数量和金额类指标的前 N 名才能把其余合并为“其他”。",
            ),
            Text(
                "Leave out “others”, or ask for such a metric with a limit.",
                "请去掉“其他”，或改用此类指标并限定前 N 名。",
            ),
        )


def _resolve_list(query: Query, binder: Binder, period: DateRange, caveats: tuple[Text, ...]) -> ResolvedQuery:
    """Bind a list of entities: the rows of the first dimension's dataset with the attributes chosen."""
    unfit = (query.grain, query.compare, query.share, *query.conditions)
    if any(item is not None for item in unfit) or any(name in TIME_PARTS for name in query.dimensions):
        raise QueryError(
            "invalid_list",
            Text(
                "A list of entities has no metric to group, compare or share.",
                "明细列表没有可分组、对比或计算占比的指标。",
            ),
            Text("Add a metric, or ask for attributes only.", "请加上指标，或只列出属性。"),
        )
    for order in query.order:
        _check_column(query, (), order.by)
    dated = query.period is not None
    source = binder.listing(query.dimensions, period if dated else None, query.filters)
    variant = Variant(name="current", keys=query.dimensions, sources=(source,), period=period)
    keys = tuple((name, binder.candidates(name)[0]) for name in query.dimensions)
    return ResolvedQuery(
        query=query, model=binder.model, as_of=binder.as_of, metrics=(), leaves=(), keys=keys, variants=(variant,),
        period=period, compared=None, caveats=(*(caveats if dated else ()), *binder.caveats), segments=frozenset(binder.segments),
    )  # fmt: skip
