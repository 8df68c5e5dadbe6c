"""Owns writing a resolved query down as one SQL tree, pass by pass. Knows nothing of names, joins or dates: the resolver bound them.

Each pass is a pure function from draft to draft that adds named CTEs; `PASSES` is the whole way.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlglot import exp

from wenshu.semantic_layer.binder import Source
from wenshu.semantic_layer.conditions import date_literal
from wenshu.semantic_layer.metric_sql import change, divide, metric_value, zero_if_absent
from wenshu.semantic_layer.model import Aggregate, Metric
from wenshu.semantic_layer.periods import Grain, bucket_start
from wenshu.semantic_layer.query import Condition, Op, Order
from wenshu.semantic_layer.resolver import ResolvedQuery, Variant, result_columns

OTHERS = "others"
NATURAL_ORDER = ("hour_of_day", "weekday")  # read in their own order rather than by size
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
    def columns(self) -> tuple[str, ...]:
        return result_columns(self.resolved.query)


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
    if len(draft.ctes) == 1 and not final.args.get("where"):
        name, only = draft.ctes[0]
        if isinstance(only, exp.Select) and [s.alias_or_name for s in only.selects] == [s.name for s in final.selects]:
            for part in ("order", "limit"):
                if final.args.get(part):
                    only.set(part, final.args[part])
            return only
    for name, select in draft.ctes:
        final = final.with_(name, as_=select, copy=False)
    return final


# passes ---------------------------------------------------------------------------------------------------------------


def aggregate_sources(draft: Draft) -> Draft:
    """Aggregate every source apart, so that no join ever multiplies rows of another."""
    for variant in draft.resolved.variants:
        names = []
        for source in variant.sources:
            name = _cte_name(draft, f"{source.dataset.name}_totals", variant)
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
        select = exp.select(*(_coalesced(names, key) for key in variant.keys))
        for name, source in zip(names, variant.sources, strict=True):
            select = select.select(*(exp.column(column, table=name) for column, _ in source.aggregates), copy=False)
        select = select.from_(names[0], copy=False)
        for i, name in enumerate(names[1:], start=1):
            if variant.keys:
                same_keys = [
                    exp.NullSafeEQ(this=_coalesce(names[:i], key), expression=exp.column(key, table=name))
                    for key in variant.keys
                ]
                select = select.join(exp.to_table(name), on=exp.and_(*same_keys), join_type="full", copy=False)
            else:
                select = select.join(exp.to_table(name), join_type="cross", copy=False)
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
    current = draft.head("current")
    spine = exp.select(exp.column(key, table=f"{key}s")).from_(f"{key}s")
    if resolved.dimension_names:
        groups = exp.select(*(exp.column(name) for name in resolved.dimension_names)).from_(current).distinct()
        draft = draft.add("all_groups", groups)
        spine = spine.select(*(exp.column(name, table="all_groups") for name in resolved.dimension_names), copy=False)
        spine = spine.join(exp.to_table("all_groups"), join_type="cross", copy=False)
    variant = _variant(resolved, "current")
    matches = [exp.EQ(this=exp.column(key, table=f"{key}s"), expression=exp.column(key, table=current))]
    matches += [
        exp.NullSafeEQ(this=exp.column(n, table="all_groups"), expression=exp.column(n, table=current))
        for n in resolved.dimension_names
    ]
    leaves = [exp.column(name, table=current) for source in variant.sources for name, _ in source.aggregates]
    filled = spine.select(*leaves, copy=False).join(
        exp.to_table(current), on=exp.and_(*matches), join_type="left", copy=False
    )
    return draft.add(f"every_{key}", filled).with_head("current", f"every_{key}")


def compute_metrics(draft: Draft) -> Draft:
    """Compute the metrics asked for from the aggregates."""
    for variant in draft.resolved.variants:
        head = draft.head(variant.name)
        selects: list[exp.Expression] = [exp.column(key) for key in variant.keys]
        selects += [
            exp.alias_(metric_value(draft.resolved, metric, variant), metric.name) for metric in draft.resolved.metrics
        ]
        given = [name for source in variant.sources for name, _ in source.aggregates]
        if all(isinstance(s, exp.Column) or s.this == exp.column(s.alias) for s in selects) and given == [
            m.name for m in draft.resolved.metrics
        ]:
            continue
        name = _cte_name(draft, "metrics", variant)
        draft = draft.add(name, exp.select(*selects).from_(head)).with_head(variant.name, name)
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
        exp.alias_(exp.column(k, table=current) if series else _coalesce([current, previous], k), k) for k in keys
    ]
    for metric in resolved.metrics:
        now, then = (zero_if_absent(metric, exp.column(metric.name, table=table)) for table in (current, previous))
        selects += [
            exp.alias_(now, metric.name),
            exp.alias_(then, f"{metric.name}_previous"),
            exp.alias_(change(metric, now, then), f"{metric.name}_change"),
        ]
    select = exp.select(*selects).from_(current)
    if keys:
        same_keys = [
            exp.NullSafeEQ(this=exp.column(k, table=current), expression=exp.column(k, table=previous)) for k in keys
        ]
        select = select.join(
            exp.to_table(previous), on=exp.and_(*same_keys), join_type="left" if series else "full", copy=False
        )
    else:
        select = select.join(exp.to_table(previous), join_type="cross", copy=False)
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
        selects: list[exp.Expression] = [exp.column(key, table=whole) for key in keys]
        for metric in resolved.metrics:
            part = exp.Coalesce(this=exp.column(metric.name, table=head), expressions=[exp.Literal.number(0)])
            selects += _beside(resolved, metric, exp.alias_(part, metric.name), head)
            selects.append(
                exp.alias_(divide(part.copy(), exp.column(metric.name, table=whole)), f"{metric.name}_share")
            )
        select = exp.select(*selects).from_(whole)
        if keys:
            same_keys = [
                exp.NullSafeEQ(this=exp.column(k, table=whole), expression=exp.column(k, table=head)) for k in keys
            ]
            select = select.join(exp.to_table(head), on=exp.and_(*same_keys), join_type="left", copy=False)
        else:
            select = select.join(exp.to_table(head), join_type="cross", copy=False)
        return replace(draft.add("shares", select), result="shares")
    within = [exp.column(str(resolved.grain), table=head)] if resolved.grain and resolved.dimension_names else []
    selects = [exp.column(name, table=head) for name, _ in resolved.keys]
    for metric in resolved.metrics:
        value = exp.column(metric.name, table=head)
        if isinstance(metric, Aggregate) and metric.additive:
            total: exp.Expression = exp.Window(
                this=exp.Sum(this=value.copy()), partition_by=[column.copy() for column in within]
            )
        else:
            total = exp.column(metric.name, table=draft.head("overall"))
        selects += _beside(resolved, metric, value, head)
        selects.append(exp.alias_(divide(value.copy(), total), f"{metric.name}_share"))
    select = exp.select(*selects).from_(head)
    if resolved.variant("overall"):
        overall = draft.head("overall")
        if within:
            key = str(resolved.grain)
            on = exp.EQ(this=exp.column(key, table=head), expression=exp.column(key, table=overall))
            select = select.join(exp.to_table(overall), on=on, join_type="left", copy=False)
        else:
            select = select.join(exp.to_table(overall), join_type="cross", copy=False)
    return replace(draft.add("shares", select), result="shares")


def keep_conditions(draft: Draft) -> Draft:
    """Keep the rows whose metrics meet the conditions, and of a series by group the groups that rank first."""
    resolved = draft.resolved
    conditions = [_condition(draft, condition) for condition in resolved.query.conditions]
    if resolved.variant("ranked"):
        keys = resolved.dimension_names
        order = resolved.query.order or (Order(by=resolved.metrics[0].name),)
        ranked = exp.select(*(exp.column(name) for name in keys)).from_(draft.head("ranked"))
        by = [_ordered(o) for o in order if o.by in {metric.name for metric in resolved.metrics}] or [
            _ordered(Order(by=resolved.metrics[0].name))
        ]
        ranked = ranked.order_by(*by, *(_ordered(Order(by=name, descending=False)) for name in keys)).limit(
            resolved.query.limit or 1
        )
        draft = draft.add("top_groups", ranked)
        same_keys = [
            exp.NullSafeEQ(this=exp.column(k, table="top_groups"), expression=exp.column(k, table=draft.result))
            for k in keys
        ]
        conditions.append(exp.Exists(this=exp.select(exp.Literal.number(1)).from_("top_groups").where(*same_keys)))
    if not conditions:
        return draft
    select = exp.select(*(exp.column(name) for name in draft.columns)).from_(draft.result).where(*conditions)
    return replace(draft.add("kept", select), result="kept")


def fold_others(draft: Draft) -> Draft:
    """Fold what a top list cuts off into one more row."""
    resolved = draft.resolved
    if not resolved.query.others:
        return draft
    order = [_ordered(o) for o in _orders(draft)]
    rank = exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=order))
    ranked = exp.select(*(exp.column(name) for name in draft.columns), exp.alias_(rank, "place")).from_(draft.result)
    within = exp.LTE(this=exp.column("place"), expression=exp.Literal.number(resolved.query.limit or 1))
    keys = resolved.dimension_names
    selects: list[exp.Expression] = []
    for name in keys:
        text = exp.cast(exp.column(name), "VARCHAR")
        selects.append(exp.alias_(exp.Case().when(within.copy(), text).else_(exp.Literal.string(OTHERS)), name))
    selects += [exp.alias_(exp.Sum(this=exp.column(name)), name) for name in draft.columns if name not in keys]
    place = (
        exp.Case().when(within.copy(), exp.column("place")).else_(exp.Literal.number((resolved.query.limit or 1) + 1))
    )
    selects.append(exp.alias_(exp.Min(this=place.copy()), "place"))
    folded = (
        exp.select(*selects).from_("ranked").group_by(*(exp.Literal.number(i + 1) for i in range(len(keys))), place)
    )
    return replace(draft.add("ranked", ranked).add("with_others", folded), result="with_others")


def sort_and_limit(draft: Draft) -> Draft:
    """Write the final SELECT: the result's columns in order, sorted as asked, cut to the rows asked for."""
    query = draft.resolved.query
    select = exp.select(*(exp.column(name) for name in draft.columns)).from_(draft.result)
    if query.others:
        return replace(draft, final=select.order_by(exp.column("place")))
    order = _orders(draft)
    if order and (draft.resolved.keys or not draft.resolved.metrics):
        select = select.order_by(*(_ordered(o) for o in order), copy=False)
    if query.limit is not None and draft.resolved.variant("ranked") is None:
        select = select.limit(query.limit, copy=False)
    return replace(draft, final=select)


def list_rows(draft: Draft) -> Draft:
    """List the rows of one dataset with the attributes chosen."""
    variant = _variant(draft.resolved, "current")
    limit = draft.resolved.query.limit or DEFAULT_LIST_LIMIT
    select = source_select(variant.sources[0])
    order = draft.resolved.query.order or tuple(Order(by=name, descending=False) for name in variant.keys)
    return replace(draft, final=select.order_by(*(_ordered(o) for o in order)).limit(limit))


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


def source_select(source: Source) -> exp.Select:
    """Return one source as SELECT keys, aggregates FROM dataset and joins WHERE … GROUP BY keys."""
    select = exp.select(
        *(exp.alias_(e, name) for name, e in source.keys), *(exp.alias_(e, name) for name, e in source.aggregates)
    )
    select = select.from_(_relation(source.dataset.source, source.dataset.name), copy=False)
    for join in source.joins:
        name = join.dataset.name
        on = [
            exp.EQ(this=exp.column(left, table=join.left), expression=exp.column(right, table=name))
            for left, right in join.columns
        ]
        select = select.join(_relation(join.dataset.source, name), on=exp.and_(*on), join_type="left", copy=False)
    if source.where:
        select = select.where(*source.where, copy=False)
    if source.keys and source.aggregates:
        select = select.group_by(*(exp.Literal.number(i + 1) for i in range(len(source.keys))), copy=False)
    return select


def _relation(source: str | exp.Query, name: str) -> exp.Expression:
    if isinstance(source, str):
        return (
            exp.to_table(source, dialect="duckdb")
            if source == name
            else exp.alias_(exp.to_table(source, dialect="duckdb"), name, table=True)
        )
    return source.subquery(name)


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


def _coalesced(tables: list[str], key: str) -> exp.Expression:
    return exp.alias_(_coalesce(tables, key), key)


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
        return exp.select(
            exp.alias_(exp.Explode(this=exp.GenerateSeries(start=start, end=last, step=_interval(1, "HOUR"))), "hour")
        )
    series = exp.Explode(this=exp.GenerateSeries(start=start, end=end, step=_interval(number, unit)))
    return exp.select(exp.alias_(exp.cast(series, "DATE"), str(grain)))


def _interval(number: int, unit: str) -> exp.Interval:
    return exp.Interval(this=exp.Literal.string(str(number)), unit=exp.var(unit))


def _beside(resolved: ResolvedQuery, metric: Metric, value: exp.Expression, head: str) -> list[exp.Expression]:
    """Return a metric's column with the comparison columns that stand beside it."""
    extra = (f"{metric.name}_previous", f"{metric.name}_change") if resolved.compared else ()
    return [value, *(exp.column(name, table=head) for name in extra)]


COMPARISONS: dict[Op, type[exp.Binary]] = {
    Op.EQ: exp.EQ,
    Op.NE: exp.NEQ,
    Op.LT: exp.LT,
    Op.LE: exp.LTE,
    Op.GT: exp.GT,
    Op.GE: exp.GTE,
}


def _condition(draft: Draft, condition: Condition) -> exp.Expression:
    left = exp.column(condition.metric)
    if condition.op is Op.BETWEEN:
        low, high = exp.Literal.number(str(condition.value)), exp.Literal.number(str(condition.high))
        return exp.Between(this=left, low=low, high=high)
    if condition.value == "average":
        right: exp.Expression = exp.select(exp.Avg(this=exp.column(condition.metric))).from_(draft.result).subquery()
    elif condition.value == "total":
        right = exp.select(exp.column(condition.metric)).from_(draft.head("overall")).subquery()
    else:
        right = exp.convert(condition.value)
    return COMPARISONS[condition.op](this=left, expression=right)


def _orders(draft: Draft) -> tuple[Order, ...]:
    """Return the order asked for or, without one, time first, else the first metric descending; keys settle ties."""
    resolved = draft.resolved
    keys = [name for name, _ in resolved.keys]
    if resolved.query.order:
        first = resolved.query.order
    elif resolved.grain:
        first = (
            Order(by=str(resolved.grain), descending=False),
            *(Order(by=m.name) for m in resolved.metrics[:1] if resolved.dimension_names),
        )
    elif keys and keys[0] in NATURAL_ORDER and resolved.query.limit is None:
        first = (
            Order(by=keys[0], descending=False),
            *(Order(by=m.name) for m in resolved.metrics[:1] if len(keys) > 1),
        )
    else:
        first = tuple(Order(by=metric.name) for metric in resolved.metrics[:1])
    named = {order.by for order in first}
    return (*first, *(Order(by=key, descending=False) for key in keys if key not in named))


def _ordered(order: Order) -> exp.Ordered:
    return exp.Ordered(this=exp.column(order.by), desc=order.descending, nulls_first=False)
