"""Owns writing a resolved query down as one SQL tree, pass by pass. Knows nothing of names, joins or dates: the resolver bound them.

Each pass is a pure function from draft to draft that adds named CTEs; `PASSES` is the whole way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlglot import exp

from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP, PERIOD_NUMBER, count_columns
from wenshu.semantic_layer.conditions import SQL_COMPARE, date_literal
from wenshu.semantic_layer.metric_sql import change, count_value, divide, metric_value, zero_if_absent
from wenshu.semantic_layer.metrics import Aggregate, Metric
from wenshu.semantic_layer.periods import Grain, bucket_start
from wenshu.semantic_layer.query import Condition, Op, Order, Query
from wenshu.semantic_layer.resolver import ResolvedQuery, Variant, result_columns
from wenshu.semantic_layer.sources import source_select
from wenshu.semantic_layer.sql_tree import Side, join, named, select_from, with_ctes

OTHERS = "others"
NATURAL_ORDER = ("hour_of_day", "weekday", PERIOD_NUMBER, FUNNEL_STEP)  # read in their own order rather than by size
DEFAULT_LIST_LIMIT = 1000
STEP = {
    Grain.HOUR: (1, "HOUR"),
    Grain.DAY: (1, "DAY"),
    Grain.WEEK: (7, "DAY"),
    Grain.MONTH: (1, "MONTH"),
    Grain.QUARTER: (3, "MONTH"),
    Grain.YEAR: (12, "MONTH"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Hold a statement on its way: the CTEs so far, and for each variant the CTE that holds its rows."""

    resolved: ResolvedQuery
    ctes: tuple[tuple[str, exp.Query], ...] = ()
    heads: tuple[tuple[str, str], ...] = ()
    result: str = ""
    final: exp.Select | None = None

    def add(self, name: str, select: exp.Query) -> "Draft":
        return replace(self, ctes=(*self.ctes, (name, select)))

    def head(self, variant: str) -> str:
        return dict(self.heads)[variant]

    def with_head(self, variant: str, cte: str) -> "Draft":
        return replace(self, heads=(*((n, c) for n, c in self.heads if n != variant), (variant, cte)))

    @property
    def counts(self) -> tuple[tuple[str, str], ...]:
        """Return (metric, suffix) of the counts beside behavioural metrics."""
        by_step = FUNNEL_STEP in self.resolved.query.dimensions
        return tuple((m.name, c.suffix) for m in self.resolved.metrics for c in count_columns(m, by_step=by_step))

    @property
    def columns(self) -> tuple[str, ...]:
        return result_columns(self.resolved.query, self.resolved.metrics)


def compile_query(resolved: ResolvedQuery) -> exp.Query:
    """Return the one SQL statement that answers a resolved query."""
    draft = Draft(resolved=resolved)
    for step in PASSES if resolved.metrics else LIST_PASSES:
        draft = step(draft)
    if draft.final is None:
        raise AssertionError("the last pass writes the final SELECT")
    return _with_ctes(draft)


def _with_ctes(draft: Draft) -> exp.Query:
    """Return the final SELECT under its CTEs; a lone CTE that it passes on unchanged becomes the statement itself."""
    final = draft.final
    assert final is not None
    if len(draft.ctes) == 1 and not (final.args.get("where") or final.args.get("qualify")):
        name, only = draft.ctes[0]
        if isinstance(only, exp.Select) and [s.alias_or_name for s in only.selects] == [s.name for s in final.selects]:
            for part in ("order", "limit"):
                if final.args.get(part):
                    only.set(part, final.args[part])
            return only
    return with_ctes(final, draft.ctes)


# passes ---------------------------------------------------------------------------------------------------------------


def aggregate_sources(draft: Draft) -> Draft:
    """Aggregate every source apart, so that no join ever multiplies rows of another."""
    for variant in draft.resolved.variants:
        names = []
        for source in variant.sources:
            for cte, select in source.before:
                draft = draft.add(cte, select)
            name = _cte_name(draft, source.name or f"{source.dataset.name}_totals", variant)
            draft = draft.add(name, source_select(source))
            names.append(name)
        draft = draft.with_head(variant.name, "+".join(names))
    return draft


def join_sources(draft: Draft) -> Draft:
    """Join the sources of a variant on their common keys; a group that one of them lacks is kept."""
    for variant in draft.resolved.variants:
        names = draft.head(variant.name).split("+")
        if len(names) == 1:
            continue
        columns: list[exp.Expr] = [named(_coalesce(names, key), key) for key in variant.keys]
        for name, source in zip(names, variant.sources, strict=True):
            columns += [exp.column(column, table=name) for column, _ in source.aggregates]
        select = select_from(names[0], columns)
        for i, name in enumerate(names[1:], start=1):
            _join_on_keys(select, names[:i], name, variant.keys, "FULL")
        joined = _cte_name(draft, "joined_totals", variant)
        draft = draft.add(joined, select).with_head(variant.name, joined)
    return draft


def fill_periods(draft: Draft) -> Draft:
    """Give a series a row for every bucket of the period, and every group of it one for each."""
    resolved = draft.resolved
    if resolved.grain is None:
        return draft
    key = str(resolved.grain)
    draft = draft.add(f"{key}s", _bucket_series(resolved))
    series = [variant for variant in resolved.variants if variant.name in ("current", "compared", "whole")]
    if resolved.dimension_names:
        heads = [draft.head(variant.name) for variant in series]
        groups = [select_from(head, map(exp.column, resolved.dimension_names)) for head in heads]
        distinct = groups[0].distinct(copy=False) if len(groups) == 1 else exp.union(*groups, copy=False)
        draft = draft.add("all_groups", distinct)
    for variant in series:
        draft = _filled(draft, variant, key)
    return draft


def _filled(draft: Draft, variant: Variant, key: str) -> Draft:
    resolved, current = draft.resolved, draft.head(variant.name)
    spine = select_from(f"{key}s", [exp.column(key, table=f"{key}s")])
    if resolved.dimension_names:
        spine = spine.select(*(exp.column(name, table="all_groups") for name in resolved.dimension_names), copy=False)
        spine = join(spine, "all_groups", "CROSS")
    matches: list[exp.Expression] = [
        exp.EQ(this=exp.column(key, table=f"{key}s"), expression=exp.column(key, table=current))
    ]
    matches += [
        exp.NullSafeEQ(this=exp.column(n, table="all_groups"), expression=exp.column(n, table=current))
        for n in resolved.dimension_names
    ]
    leaves = [exp.column(name, table=current) for source in variant.sources for name, _ in source.aggregates]
    filled = join(spine.select(*leaves, copy=False), current, "LEFT", matches)
    name = _cte_name(draft, f"every_{key}", variant)
    return draft.add(name, filled).with_head(variant.name, name)


def compute_metrics(draft: Draft) -> Draft:
    """Compute the metrics asked for from the aggregates."""
    for variant in draft.resolved.variants:
        head = draft.head(variant.name)
        selects: list[exp.Expression] = [exp.column(key) for key in variant.keys]
        selects += [
            named(metric_value(draft.resolved, metric, variant), metric.name) for metric in draft.resolved.metrics
        ]
        selects += [named(count_value(name, suffix), f"{name}_{suffix}") for name, suffix in draft.counts]
        given = [name for source in variant.sources for name, _ in source.aggregates]
        if all(isinstance(s, exp.Column) or s.this == exp.column(s.alias) for s in selects) and given == [
            m.name for m in draft.resolved.metrics
        ]:
            continue
        name = _cte_name(draft, "metrics", variant)
        draft = draft.add(name, select_from(head, selects)).with_head(variant.name, name)
    return replace(draft, result=draft.head("current"))


def compare_periods(draft: Draft) -> Draft:
    """Set each row beside the same group of the compared period: its value and the change."""
    resolved = draft.resolved
    if resolved.compared is None:
        return draft
    current, previous = draft.result, draft.head("compared")
    keys = [name for name, _ in resolved.keys]
    series = resolved.grain is not None
    selects: list[exp.Expression] = [
        named(exp.column(k, table=current) if series else _coalesce([current, previous], k), k) for k in keys
    ]
    for metric in resolved.metrics:
        now, then = (zero_if_absent(metric, exp.column(metric.name, table=table)) for table in (current, previous))
        selects += [
            named(now, metric.name),
            named(then, f"{metric.name}_previous"),
            named(change(metric, now, then), f"{metric.name}_change"),
        ]
    selects += [exp.column(f"{name}_{suffix}", table=current) for name, suffix in draft.counts]
    select = select_from(current, selects)
    _join_on_keys(select, [current], previous, keys, "LEFT" if series else "FULL")
    return replace(draft.add("compared", select), result="compared")


def add_shares(draft: Draft) -> Draft:
    """Add each metric's share of the total or, where the query names a part, the part's share in the whole."""
    resolved = draft.resolved
    share = resolved.query.share
    if share is None:
        return draft
    head = draft.result
    if share.where is not None:
        whole = draft.head("whole")
        keys = [name for name, _ in resolved.keys]
        # A group that only the compared period has is in the part's rows and not in the whole's.
        side: Side = "FULL" if resolved.compared and resolved.grain is None else "LEFT"
        tables = [whole, head] if side == "FULL" else [whole]
        selects: list[exp.Expression] = [named(_coalesce(tables, key), key) for key in keys]
        for metric in resolved.metrics:
            part = exp.Coalesce(this=exp.column(metric.name, table=head), expressions=[exp.Literal.number(0)])
            selects += _beside(resolved, metric, named(part, metric.name), head)
            selects.append(named(divide(part.copy(), exp.column(metric.name, table=whole)), f"{metric.name}_share"))
        select = select_from(whole, selects)
        _join_on_keys(select, [whole], head, keys, side)
        return replace(draft.add("shares", select), result="shares")
    within = [exp.column(str(resolved.grain), table=head)] if resolved.grain and resolved.dimension_names else []
    selects = [exp.column(name, table=head) for name, _ in resolved.keys]
    for metric in resolved.metrics:
        value = exp.column(metric.name, table=head)
        if isinstance(metric, Aggregate) and metric.additive and not resolved.overlapping:
            total: exp.Expression = exp.Window(
                this=exp.Sum(this=value.copy()), partition_by=[column.copy() for column in within]
            )
        else:
            total = exp.column(metric.name, table=draft.head("overall"))
        selects += _beside(resolved, metric, value, head)
        selects.append(named(divide(value.copy(), total), f"{metric.name}_share"))
    select = select_from(head, selects)
    if resolved.variant("overall"):
        overall = draft.head("overall")
        if within:
            key = str(resolved.grain)
            on = exp.EQ(this=exp.column(key, table=head), expression=exp.column(key, table=overall))
            join(select, overall, "LEFT", [on])
        else:
            join(select, overall, "CROSS")
    return replace(draft.add("shares", select), result="shares")


def keep_conditions(draft: Draft) -> Draft:
    """Keep the rows whose metrics meet the conditions, and of a series by group the groups that rank first."""
    resolved = draft.resolved
    conditions = [_condition(draft, condition) for condition in resolved.query.conditions]
    if resolved.variant("ranked"):
        keys = resolved.dimension_names
        order = resolved.query.order or (Order(by=resolved.metrics[0].name),)
        ranked = select_from(draft.head("ranked"), map(exp.column, keys))
        by = [_ordered(o) for o in order if o.by in {metric.name for metric in resolved.metrics}] or [
            _ordered(Order(by=resolved.metrics[0].name))
        ]
        ranked = ranked.order_by(*by, *(_ordered(Order(by=name, descending=False)) for name in keys), copy=False)
        ranked = ranked.limit(exp.Literal.number(resolved.query.limit or 1), copy=False)
        draft = draft.add("top_groups", ranked)
        same_keys = [
            exp.NullSafeEQ(this=exp.column(k, table="top_groups"), expression=exp.column(k, table=draft.result))
            for k in keys
        ]
        conditions.append(
            exp.Exists(this=select_from("top_groups", [exp.Literal.number(1)]).where(*same_keys, copy=False))
        )
    if not conditions:
        return draft
    select = select_from(draft.result, map(exp.column, draft.columns)).where(*conditions, copy=False)
    return replace(draft.add("kept", select), result="kept")


def fold_others(draft: Draft) -> Draft:
    """Fold what a top list cuts off into one more row."""
    resolved = draft.resolved
    if not resolved.query.others:
        return draft
    order = [_ordered(o) for o in _orders(draft)]
    rank = exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=order))
    ranked = select_from(draft.result, [*map(exp.column, draft.columns), named(rank, "place")])
    within = exp.LTE(this=exp.column("place"), expression=exp.Literal.number(resolved.query.limit or 1))
    keys = resolved.dimension_names
    selects: list[exp.Expression] = []
    for name in keys:
        text = exp.cast(exp.column(name), "VARCHAR")
        selects.append(named(exp.Case().when(within.copy(), text).else_(exp.Literal.string(OTHERS)), name))
    selects += [named(exp.Sum(this=exp.column(name)), name) for name in draft.columns if name not in keys]
    place = (
        exp.Case().when(within.copy(), exp.column("place")).else_(exp.Literal.number((resolved.query.limit or 1) + 1))
    )
    selects.append(named(exp.Min(this=place.copy()), "place"))
    positions = (exp.Literal.number(i + 1) for i in range(len(keys)))
    folded = select_from("ranked", selects).group_by(*positions, place, copy=False)
    return replace(draft.add("ranked", ranked).add("with_others", folded), result="with_others")


def sort_and_limit(draft: Draft) -> Draft:
    """Write the final SELECT: the result's columns in order, sorted as asked, cut to the rows asked for."""
    query = draft.resolved.query
    select = select_from(draft.result, map(exp.column, draft.columns))
    if query.others:
        return replace(draft, final=select.order_by(exp.column("place"), copy=False))
    order = _orders(draft)
    if query.per:
        return replace(draft, final=_best_of_each(select, query, order))
    if order and (draft.resolved.keys or not draft.resolved.metrics):
        select = select.order_by(*(_ordered(o) for o in order), copy=False)
    if query.limit is not None and draft.resolved.variant("ranked") is None:
        select = select.limit(exp.Literal.number(query.limit), copy=False)
    return replace(draft, final=select)


def _best_of_each(select: exp.Select, query: Query, order: tuple[Order, ...]) -> exp.Select:
    """Keep the first rows of each group by the column that ranks them; equals share a place, so all of them stay."""
    ranking = next(by for by in order if by.by not in query.per)
    place = exp.Window(
        this=exp.Anonymous(this="RANK"), partition_by=[exp.column(name) for name in query.per], order=exp.Order(expressions=[_ordered(ranking)])
    )  # fmt: skip
    select = select.qualify(exp.LTE(this=place, expression=exp.Literal.number(query.limit or 1)), copy=False)
    first = [Order(by=name, descending=False) for name in query.per]
    rest = [by for by in order if by.by not in query.per]
    return select.order_by(*(_ordered(by) for by in (*first, *rest)), copy=False)


def list_rows(draft: Draft) -> Draft:
    """List the rows of one dataset with the attributes chosen."""
    variant = _variant(draft.resolved, "current")
    limit = draft.resolved.query.limit or DEFAULT_LIST_LIMIT
    select = source_select(variant.sources[0])
    asked = draft.resolved.query.order
    named_keys = {order.by for order in asked}
    order = (*asked, *(Order(by=key, descending=False) for key in variant.keys if key not in named_keys))
    return replace(
        draft, final=select.order_by(*map(_ordered, order), copy=False).limit(exp.Literal.number(limit), copy=False)
    )


PASSES: tuple[Callable[[Draft], Draft], ...] = (
    aggregate_sources,
    join_sources,
    fill_periods,
    compute_metrics,
    compare_periods,
    add_shares,
    keep_conditions,
    fold_others,
    sort_and_limit,
)
LIST_PASSES: tuple[Callable[[Draft], Draft], ...] = (list_rows,)


# parts of passes -------------------------------------------------------------------------------------------------------


def _cte_name(draft: Draft, base: str, variant: Variant) -> str:
    name = base if variant.name == "current" else f"{variant.name}_{base}"
    taken = {cte for cte, _ in draft.ctes} | {dataset.name for dataset in draft.resolved.model.datasets}
    taken |= {dataset.source for dataset in draft.resolved.model.datasets if isinstance(dataset.source, str)}
    unique, i = name, 2
    while unique in taken:
        unique, i = f"{name}_{i}", i + 1
    return unique


def _variant(resolved: ResolvedQuery, name: str) -> Variant:
    variant = resolved.variant(name)
    assert variant is not None
    return variant


def _coalesce(tables: list[str], key: str) -> exp.Expression:
    columns = [exp.column(key, table=table) for table in tables]
    return columns[0] if len(columns) == 1 else exp.Coalesce(this=columns[0], expressions=list(columns[1:]))


def _join_on_keys(select: exp.Select, left: list[str], right: str, keys: Sequence[str], side: Side) -> None:
    """Join `right` where its keys are those of the first table on the left that has the row; without keys, cross join."""
    same_keys = [exp.NullSafeEQ(this=_coalesce(left, key), expression=exp.column(key, table=right)) for key in keys]
    join(select, right, side if keys else "CROSS", same_keys)


def _bucket_series(resolved: ResolvedQuery) -> exp.Select:
    """Return SELECT of the first moment of every bucket of the period."""
    assert resolved.grain is not None
    grain = resolved.grain
    start, end = date_literal(bucket_start(resolved.period.start, grain)), date_literal(resolved.period.end)
    number, unit = STEP[grain]
    if grain is Grain.HOUR:
        start = exp.cast(start, "TIMESTAMP")
        last = exp.Sub(
            this=exp.cast(date_literal(resolved.period.end + timedelta(days=1)), "TIMESTAMP"),
            expression=_interval(1, "HOUR"),
        )
        hours = exp.Explode(this=exp.GenerateSeries(start=start, end=last, step=_interval(1, "HOUR")))
        return exp.select(named(hours, "hour"))
    series = exp.Explode(this=exp.GenerateSeries(start=start, end=end, step=_interval(number, unit)))
    return exp.select(named(exp.cast(series, "DATE", copy=False), str(grain)))


def _interval(number: int, unit: str) -> exp.Interval:
    return exp.Interval(this=exp.Literal.string(str(number)), unit=exp.var(unit))


def _beside(resolved: ResolvedQuery, metric: Metric, value: exp.Expression, head: str) -> list[exp.Expression]:
    """Return a metric's column with the comparison columns that stand beside it."""
    if resolved.compared is None:
        return [value]
    previous = zero_if_absent(metric, exp.column(f"{metric.name}_previous", table=head))
    return [value, named(previous, f"{metric.name}_previous"), exp.column(f"{metric.name}_change", table=head)]


def _condition(draft: Draft, condition: Condition) -> exp.Expr:
    left = exp.column(condition.metric)
    if condition.op is Op.BETWEEN:
        low, high = exp.Literal.number(str(condition.value)), exp.Literal.number(str(condition.high))
        return exp.Between(this=left, low=low, high=high)
    if condition.value == "average":
        right: exp.Expr = select_from(draft.result, [exp.Avg(this=exp.column(condition.metric))]).subquery(copy=False)
    elif condition.value == "total":
        right = select_from(draft.head("all_rows"), [exp.column(condition.metric)]).subquery(copy=False)
    else:
        right = exp.convert(condition.value)
    return SQL_COMPARE[condition.op](this=left, expression=right)


def _orders(draft: Draft) -> tuple[Order, ...]:
    """Return the order asked for or, without one, time first, else the first metric descending; keys settle ties."""
    resolved = draft.resolved
    keys = [name for name, _ in resolved.keys]
    series = [str(resolved.grain)] if resolved.grain else []
    natural = [key for key in keys if key in NATURAL_ORDER]
    first: tuple[Order, ...]
    if resolved.query.order:
        first = resolved.query.order
    elif natural and resolved.query.limit is None:
        groups = [key for key in keys if key not in (*series, *natural)]
        first = tuple(Order(by=_sorted_by(draft, key), descending=False) for key in (*series, *groups, *natural))
    else:
        by_value = [] if series and not resolved.dimension_names else [Order(by=resolved.metrics[0].name)]
        first = (*(Order(by=key, descending=False) for key in series), *by_value)
    named = {order.by for order in first}
    return (*first, *(Order(by=key, descending=False) for key in keys if key not in named))


def _sorted_by(draft: Draft, key: str) -> str:
    """Return the column that puts a key into its own order: of a funnel's steps, their number."""
    return f"{draft.resolved.metrics[0].name}_place" if key == FUNNEL_STEP else key


def _ordered(order: Order) -> exp.Ordered:
    return exp.Ordered(this=exp.column(order.by), desc=order.descending, nulls_first=False)
