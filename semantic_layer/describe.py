"""Owns saying in words what a query means: metric definitions, filters and conditions, in both languages. Knows nothing of results."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, assert_never

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import labelled
from wenshu.semantic_layer.metrics import (
    Aggregate,
    Aggregation,
    AverageOver,
    Behaviour,
    Cumulative,
    Derived,
    Funnel,
    Interval,
    Lifecycle,
    LifetimeValue,
    Metric,
    PeriodReturn,
    Ratio,
    Repurchase,
    RepurchaseWithin,
    Retention,
)
from wenshu.semantic_layer.model import Dimension, Model
from wenshu.semantic_layer.periods import Grain
from wenshu.semantic_layer.query import And, Condition, Filter, Not, Op, Or, UsersWith, Where
from wenshu.semantic_layer.table import UNKNOWN
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.semantic_layer.time_parts import TIME_PARTS

UNITS = {
    Grain.HOUR: Text("hour", "小时"),
    Grain.DAY: Text("day", "天"),
    Grain.WEEK: Text("week", "周"),
    Grain.MONTH: Text("month", "月"),
}
OPS: dict[Op, Text] = {
    Op.EQ: same("="), Op.NE: same("≠"), Op.IN: Text("is one of", "属于"), Op.NOT_IN: Text("is none of", "不属于"),
    Op.LT: same("<"), Op.LE: same("≤"), Op.GT: same(">"), Op.GE: same("≥"), Op.BETWEEN: Text("between", "介于"),
    Op.CONTAINS: Text("contains", "包含"), Op.NOT_CONTAINS: Text("does not contain", "不包含"),
    Op.EMPTY: Text("is unknown", "为未知"), Op.NOT_EMPTY: Text("is known", "不为未知"),
}  # fmt: skip
FOLDS: dict[Aggregation, Text] = {
    Aggregation.COUNT: Text("Number of {dataset}", "{dataset}的数量"),
    Aggregation.COUNT_DISTINCT: Text("Distinct {expr} of {dataset}", "{dataset}中去重的 {expr} 数"),
    Aggregation.SUM: Text("Sum of {expr} of {dataset}", "{dataset}的 {expr} 合计"),
    Aggregation.AVERAGE: Text("Mean of {expr} of {dataset}", "{dataset}的 {expr} 平均值"),
    Aggregation.MIN: Text("Smallest {expr} of {dataset}", "{dataset}的 {expr} 最小值"),
    Aggregation.MAX: Text("Largest {expr} of {dataset}", "{dataset}的 {expr} 最大值"),
    Aggregation.MEDIAN: Text("Median of {expr} of {dataset}", "{dataset}的 {expr} 中位数"),
}


def definition(metric: Metric, model: Model) -> Text:
    """Return what a metric means: the model's own words, or words made from its parameters."""
    return metric.description or _generated(metric, model)


def _generated(metric: Metric, model: Model) -> Text:
    def label(name: str) -> Text:
        return model.metric(name).label

    match metric:
        case Aggregate():
            dataset = model.dataset_by_name[metric.dataset].label
            expr = metric.expr.sql("duckdb") if metric.expr is not None else ""
            fold = FOLDS[metric.aggregation]
            where = metric.where.sql("duckdb") if metric.where is not None else None
            return Text(
                fold.en.format(dataset=dataset.en, expr=expr) + (f" where {where}." if where else "."),
                fold.zh.format(dataset=dataset.zh, expr=expr) + (f"，条件：{where}。" if where else "。"),
            )
        case Ratio():
            above, below = label(metric.numerator), label(metric.denominator)
            return Text(f"{above.en} ÷ {below.en}.", f"{above.zh} ÷ {below.zh}。")
        case Derived():
            en = zh = metric.expr.sql("duckdb")
            for name in sorted(metric.inputs, key=len, reverse=True):
                en, zh = en.replace(name, label(name).en), zh.replace(name, label(name).zh)
            return Text(f"{en}.", f"{zh}。")
        case Cumulative():
            inner = label(metric.metric)
            return Text(
                f"{inner.en}, added up from the period's first bucket on.", f"从时间段开始起逐期累加的{inner.zh}。"
            )
        case _:
            return _behaviour_definition(metric, label)


def _behaviour_definition(metric: Behaviour, label: Callable[[str], Text]) -> Text:
    """Say in words what a behavioural metric computes, from its parameters."""
    match metric:
        case Retention():
            start, back = label(metric.start), label(metric.back)
            unit = UNITS[metric.step]
            if metric.high is None:
                when = Text(f"on {unit.en} {metric.low} or later", f"第 {metric.low} {unit.zh}及以后")
            elif metric.low == metric.high:
                when = Text(f"on {unit.en} {metric.low}", f"第 {metric.low} {unit.zh}")
            else:
                when = Text(
                    f"on any of {unit.en}s {metric.low}–{metric.high}",
                    f"第 {metric.low}–{metric.high} {unit.zh}中任意一{unit.zh}",
                )
            clock = Text("24-hour windows", "按 24 小时窗口") if metric.hours else Text("calendar dates", "按自然日期")
            return Text(
                f"Share of the period's cohort ({start.en}; entry is {unit.en} 0) who are there again ({back.en}) {when.en}; {clock.en}; only cohorts whose time is over count.",
                f"期间进入的用户（{start.zh}，进入当{unit.zh}为第 0 {unit.zh}）中，{when.zh}仍有活动（{back.zh}）的比例；{clock.zh}；只计已到期的用户。",
            )
        case Repurchase():
            of = label(metric.of)
            return Text(
                f"Users with at least {metric.times} {of.en} in the period ÷ users with any.",
                f"期间{of.zh}不少于 {metric.times} 的用户数 ÷ 期间有{of.zh}的用户数。",
            )
        case RepurchaseWithin():
            of = label(metric.of)
            return Text(
                f"First-time users ({of.en}) of the period who did it again within {metric.days} days ÷ first-time users whose {metric.days} days are over.",
                f"期间首次（{of.zh}）的用户中，{metric.days} 天内再次发生的人数 ÷ 已满 {metric.days} 天的首次用户数。",
            )
        case PeriodReturn():
            of = label(metric.of)
            share = (
                Text("who are not there any more", "本期不再出现")
                if metric.lost
                else Text("who are there again", "本期再次出现")
            )
            return Text(
                f"Share of the {of.en} of the period before {share.en} in this period.",
                f"上一期{of.zh}中，{share.zh}的比例。",
            )
        case Interval():
            of = label(metric.of)
            return Text(
                f"Median calendar days between consecutive {of.en} of one user, dated by the later one.",
                f"同一用户相邻两次（{of.zh}）之间自然日天数的中位数，按较晚一次的日期统计。",
            )
        case LifetimeValue():
            value, start = label(metric.value), label(metric.start)
            return Text(
                f"{value.en} from day 0 to day {metric.days} after entry ({start.en}) ÷ users who entered; observed, only users whose {metric.days} days are over.",
                f"进入（{start.zh}）当天起至第 {metric.days} 天的{value.zh}合计 ÷ 进入的用户数；为实际观测值，只计已满 {metric.days} 天的用户。",
            )
        case Funnel():
            steps = Text(" → ".join(s.label.en for s in metric.steps), " → ".join(s.label.zh for s in metric.steps))
            return Text(
                f"Users who go {steps.en} in this order within {metric.days} × 24 hours of their first step in the period ÷ users who take the first step; only users whose window is over.",
                f"期间首次进入第一步后，在 {metric.days}×24 小时内依次完成 {steps.zh} 的用户数 ÷ 进入第一步的用户数；只计窗口已结束的用户。",
            )
        case Lifecycle():
            of, start = label(metric.of), label(metric.start)
            return Text(
                f"Users by stage ({of.en}): new entered in the period ({start.en}), returning also in the period before, resurrecting not in the one before, dormant only in the one before.",
                f"按阶段统计（{of.zh}）：新用户（期间{start.zh}）、留存（上期也活跃）、回流（上期不活跃且非新）、流失（上期活跃而本期不活跃）。",
            )
        case AverageOver():
            inner = label(metric.metric)
            return Text(
                f"Mean of {inner.en} over every {metric.over} of the period.",
                f"期间每{UNITS[metric.over].zh}{inner.zh}的平均值。",
            )
        case _:
            assert_never(metric)


def filter_phrases(tree: Filter | None, model: Model) -> tuple[Text, ...]:
    """Return one phrase for each part of a filter that must hold."""
    if tree is None:
        return ()
    parts = tree.parts if isinstance(tree, And) else (tree,)
    return tuple(_phrase(part, model) for part in parts)


def _phrase(tree: Filter, model: Model) -> Text:
    match tree:
        case UsersWith():
            metric = model.metric(tree.metric)
            condition = condition_phrase(Condition(metric=metric.name, op=tree.op, value=tree.value), model)
            span = f" ({tree.period})" if tree.period else ""
            return Text(f"users whose {condition.en}{span}", f"用户的{condition.zh}{span}")
        case Where():
            return _comparison(tree, model)
        case Not():
            inner = _phrase(tree.part, model)
            return Text(f"not ({inner.en})", f"非（{inner.zh}）")
        case And() | Or():
            parts = [_phrase(part, model) for part in tree.parts]
            en, zh = (" and ", " 且 ") if isinstance(tree, And) else (" or ", " 或 ")
            return Text(f"({en.join(p.en for p in parts)})", f"（{zh.join(p.zh for p in parts)}）")
        case _:
            assert_never(tree)


def _comparison(where: Where, model: Model) -> Text:
    label, names = same(where.dimension), dict[object, Text]()
    if where.dimension in TIME_PARTS:
        part = TIME_PARTS[where.dimension]
        label, names = part.label, dict(part.values)
    else:
        try:
            dimension = Binder(model, date.min).candidates(where.dimension)[0]
            label, names = dimension.label, {value.value: value.label for value in dimension.values}
        except QueryError:
            pass
    values = [UNKNOWN if value is None else names.get(value, same(str(value))) for value in where.values]
    en, zh = [value.en for value in values], [value.zh for value in values]
    if where.op is Op.BETWEEN:
        return Text(f"{label.en} {en[0]}–{en[1]}", f"{label.zh} {zh[0]}–{zh[1]}")
    op = OPS[where.op]
    return Text(f"{label.en} {op.en} {', '.join(en)}".strip(), f"{label.zh} {op.zh} {'、'.join(zh)}".strip())


def condition_phrase(condition: Condition, model: Model) -> Text:
    """Return a condition on a metric in words."""
    metric = model.metric_by_name.get(condition.metric)
    label = metric.label if metric else same(condition.metric)
    match condition.value:
        case "average":
            value = Text("the average of the rows", "各行平均值")
        case "total":
            value = Text("the value of all rows together", "整体水平")
        case number:
            value = same(f"{number:,g}" if condition.high is None else f"{number:,g}–{condition.high:,g}")
    op = OPS[condition.op]
    return Text(f"{label.en} {op.en} {value.en}", f"{label.zh} {op.zh} {value.zh}")


def query_definitions(metrics: tuple[Metric, ...], model: Model) -> Iterator[tuple[str, Text, Text]]:
    """Yield (name, label, definition) of the metrics and of those they are computed from."""
    for metric in metrics:
        yield metric.name, metric.label, definition(metric, model)


def catalogue(model: Model, language: Language) -> dict[str, Any]:
    """Return what a model can be asked: its metrics and dimensions with labels, definitions and other words for them."""
    metrics = [
        {
            "name": metric.name,
            "type": metric.aggregation.value if isinstance(metric, Aggregate) else type(metric).__name__.lower(),
            "label": labelled(metric).label.in_(language),
            "definition": definition(metric, model).in_(language),
            "unit": metric.unit,
            "synonyms": list(metric.synonyms),
        }
        for metric in model.metrics
    ]
    dimensions = [
        {
            "name": dimension.name,
            "dataset": dimension.dataset,
            "type": dimension.type,
            "label": dimension.label.in_(language),
            "definition": _dimension_definition(dimension, model).in_(language),
            "values": [value.value for value in dimension.values],
            "synonyms": list(dimension.synonyms),
        }
        for dimension in model.dimensions
        if not dimension.pii
    ]
    return {
        "model": model.name,
        "metrics": metrics,
        "dimensions": dimensions,
        "segments": [d.name for d in model.dimensions if model.dataset_by_name[d.dataset].is_segment],
    }


def _dimension_definition(dimension: Dimension, model: Model) -> Text:
    if dimension.description is not None:
        return dimension.description
    dataset = model.dataset_by_name[dimension.dataset].label
    return Text(f"{dimension.label.en} of {dataset.en}.", f"{dataset.zh}的{dimension.label.zh}。")
