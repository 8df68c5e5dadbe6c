"""Owns segments made of what users have of their own: bands of a metric of theirs, and filters under a name.

Both are bound before any date is known; the reserved columns stand for the dates until a query gives them.
"""

from datetime import date

from sqlglot import exp

from wenshu.semantic_layer import spec as s
from wenshu.semantic_layer.binder import Binder, Span
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.model import (
    AS_OF,
    PERIOD_END,
    PERIOD_START,
    Dataset,
    Dimension,
    DimensionValue,
    Model,
    Relationship,
)
from wenshu.semantic_layer.own_metrics import has_zero, own_totals
from wenshu.semantic_layer.periods import DateRange
from wenshu.semantic_layer.query import Filter, LastDays
from wenshu.semantic_layer.row_scope import Scope
from wenshu.semantic_layer.segment_parts import (
    Segment,
    band_values,
    groups_of,
    label_of,
    relation_of,
    score_of,
    users_of,
    words_of,
)
from wenshu.semantic_layer.sources import source_select
from wenshu.semantic_layer.sql_tree import join, named, select_from, with_ctes
from wenshu.semantic_layer.text import Text, same

MEMBER, OTHER = "yes", "no"


class TemplateBinder(Binder):
    """Bind before any date is known: the reserved columns stay in the place of dates."""

    def __init__(self, model: Model) -> None:
        super().__init__(model, date.min)

    def reserved(self, node: exp.Expr, period: DateRange) -> exp.Expr | None:
        is_reserved = isinstance(node, exp.Column) and not node.table and node.name in (AS_OF, PERIOD_START, PERIOD_END)
        return node.copy() if is_reserved else None

    def days(self, period: Span) -> tuple[exp.Expr | None, exp.Expr]:
        if period is self.period:
            return exp.column(PERIOD_START), _day_after(PERIOD_END)
        if isinstance(period, DateRange):
            return super().days(period)
        before = exp.Literal.number((period.days or 1) - 1)
        first = exp.Sub(this=exp.column(AS_OF), expression=before)
        return first if period.days is not None else None, _day_after(AS_OF)


def _day_after(name: str) -> exp.Expr:
    return exp.Add(this=exp.column(name), expression=exp.Literal.number(1))


def band_segment(name: str, spec: s.BandSegmentSpec, model: Model, filters: Filter | None) -> Segment:
    """Return every user's own value of a metric, cut into bands or into as many groups of equal size.

    A user without rows has 0 of what is counted or summed, else no value; the groups are of the users who have any.
    """
    binder, users = TemplateBinder(model), users_of(model)
    metric = binder.metric(spec.of)
    span: Span = binder.period if spec.window == "period" else LastDays(days=None if spec.window == "all" else spec.window)
    totals = own_totals(binder, metric, filters, span)
    if spec.quantiles is None:
        amount: exp.Expr = exp.column("amount", table="own_totals")
        if has_zero(metric):
            amount = exp.Coalesce(this=amount, expressions=[exp.Literal.number(0)])
        key = exp.column(users.primary_key[0], table=users.name)
        of_user = exp.EQ(this=key.copy(), expression=exp.column("user_id", table="own_totals"))
        every_user = select_from(relation_of(users), [named(key, "user_id"), named(amount, "amount")])
        source: exp.Query = join(every_user, totals.subquery("own_totals"), "LEFT", [of_user])
        expr: exp.Expr = exp.column("amount")
        values = _values(spec, band_values(tuple(spec.from_), spec.unit))
    else:
        source = _grouped(totals, spec.quantiles)
        values = _values(spec, _group_values(spec.quantiles))
        expr = exp.Case(this=exp.column("place"))
        for i, value in enumerate(values, start=1):
            expr = expr.when(exp.Literal.number(i), exp.Literal.string(str(value.value)), copy=False)
    label = label_of(spec.label, same(name.replace("_", " ")))
    when = {
        "period": Text("over the period", "统计期内"), "all": Text("over all days so far", "截至当前的全部"),
    }.get(str(spec.window), Text(f"over the last {spec.window} days", f"近 {spec.window} 天"))  # fmt: skip
    cut = (
        Text("in bands", "分段") if spec.quantiles is None
        else Text(f"in {spec.quantiles} groups of equal size among the users who have any", f"在有该指标的用户中等分为 {spec.quantiles} 组")
    )  # fmt: skip
    none = (
        Text("; a user without any has 0", "；没有的用户按 0 计") if spec.quantiles is None and has_zero(metric)
        else Text("; a user without any has no group", "；没有的用户不属于任何一组")
    )  # fmt: skip
    told = Text(
        f"Each user's own {metric.label.en} {when.en}, {cut.en}{none.en}.",
        f"每位用户{when.zh}的{metric.label.zh}，{cut.zh}{none.zh}。",
    )
    dataset_name = f"{name}_of_users"
    band = Dimension(
        name=name, dataset=dataset_name, expr=expr, type="string", label=label, synonyms=words_of(spec.synonyms), values=values,
        groups=groups_of(spec.groups), ordered=True, indexed=True, bands=tuple(spec.from_), description=told,
    )  # fmt: skip
    number = Dimension(
        name=f"{name}_value", dataset=dataset_name, expr=exp.column("amount"), type="number", unit=metric.unit,
        label=Text(f"{label.en}: {metric.label.en} of the user", f"{label.zh}：用户{metric.label.zh}"), description=told,
    )  # fmt: skip
    return _segment(dataset_name, source, users, label, (band, number))


def filter_segment(name: str, spec: s.FilterSegmentSpec, model: Model, filters: Filter) -> Segment:
    """Return whether each user meets a filter, under the names of those who do and those who do not."""
    binder, users = TemplateBinder(model), users_of(model)
    scope = Scope(binder, Aggregate(name=name, label=same(name), aggregation=Aggregation.COUNT, dataset=users.name))
    member = binder.condition(filters, scope)
    case = exp.Case().when(member, exp.Literal.string(MEMBER), copy=False).else_(exp.Literal.string(OTHER), copy=False)
    bound = scope.source([("user_id", binder.entity(scope)), ("member", case)], [], [])
    label = label_of(spec.label, same(name.replace("_", " ")))
    default = (Text(f"{label.en}: yes", f"{label.zh}：是"), Text(f"{label.en}: no", f"{label.zh}：否"))
    values = tuple(
        DimensionValue(value=value, label=label_of(part.label, words), synonyms=words_of(part.synonyms))
        for value, part, words in zip((MEMBER, OTHER), (spec.members, spec.others), default, strict=True)
    )
    dataset_name = f"{name}_of_users"
    dimension = Dimension(
        name=name, dataset=dataset_name, expr=exp.column("member"), type="string", label=label, synonyms=words_of(spec.synonyms),
        values=values, ordered=True, indexed=True, description=Text(spec.description.en, spec.description.zh) if spec.description else None,
    )  # fmt: skip
    return _segment(dataset_name, source_select(bound), users, label, (dimension,))


def _segment(name: str, source: exp.Query, users: Dataset, label: Text, dimensions: tuple[Dimension, ...]) -> Segment:
    dataset = Dataset(
        name=name, source=source, label=Text(f"{label.en} of users", f"用户的{label.zh}"), primary_key=("user_id",), is_segment=True,
        dimensions=dimensions,
    )  # fmt: skip
    return dataset, Relationship(
        many=users.name, one=name, many_columns=users.primary_key[:1], one_columns=("user_id",)
    )


def _grouped(totals: exp.Select, number: int) -> exp.Query:
    """Return the users with the place of their group, 1 for the lowest: 1 + how many of the cutoffs they exceed."""
    shares = [exp.Literal.number(f"{i / number:.15g}") for i in range(1, number)]
    amount = exp.cast(exp.column("amount"), "DOUBLE")
    cutoffs = exp.Anonymous(this="QUANTILE_CONT", expressions=[amount, exp.Array(expressions=shares)])
    place = named(score_of("amount", "amounts", number), "place")
    placed = select_from("own_totals", [exp.column("user_id"), exp.column("amount"), place])
    ctes = (("own_totals", totals), ("cutoffs", select_from("own_totals", [named(cutoffs, "amounts")])))
    return with_ctes(join(placed, "cutoffs", "CROSS"), ctes)


def _values(spec: s.BandSegmentSpec, names: tuple[DimensionValue, ...]) -> tuple[DimensionValue, ...]:
    """Return the values in order: those that the model names, else the default names."""
    if spec.values and len(spec.values) != len(names):
        raise QueryError(
            "invalid_segment",
            Text(f"{len(spec.values)} values are named for {len(names)} groups", f"{len(names)} 组却命名了 {len(spec.values)} 个值"),
            Text("Name every group, the lowest first.", "请从低到高为每一组命名。"),
        )  # fmt: skip
    if not spec.values:
        return names
    given = [(key, value or s.ValueSpec()) for key, value in spec.values.items()]
    return tuple(
        DimensionValue(value=key, label=label_of(value.label, same(key)), synonyms=words_of(value.synonyms))
        for key, value in given
    )


def _group_values(number: int) -> tuple[DimensionValue, ...]:
    ends = {1: Text(" (lowest)", "（最低）"), number: Text(" (highest)", "（最高）")}
    names = ((i, ends.get(i, same(""))) for i in range(1, number + 1))
    return tuple(
        DimensionValue(value=f"group {i}", label=Text(f"group {i} of {number}{end.en}", f"第{i}组（共{number}组）{end.zh}"))
        for i, end in names
    )
