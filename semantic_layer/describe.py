"""Owns saying in words what a query means: metric definitions, filters and conditions, in both languages. Knows nothing of results."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any, assert_never

from sqlglot import exp

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import labelled, window_text
from wenshu.semantic_layer.metrics import (
    Aggregate,
    Aggregation,
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
from wenshu.semantic_layer.model import AS_OF, PERIOD_END, PERIOD_START, Dimension, Model
from wenshu.semantic_layer.periods import DateRange, Grain
from wenshu.semantic_layer.query import (
    And,
    Condition,
    Filter,
    LastDays,
    Not,
    Op,
    Or,
    Quantile,
    Query,
    UsersWith,
    Where,
    filters_of,
)
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
    Aggregation.PERCENTILE: Text("{percent}th percentile of {expr} of {dataset}", "{dataset}的 {expr} 第 {percent} 百分位数"),
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
                fold.en.format(dataset=dataset.en, expr=expr, percent=metric.percent) + (f" where {where}." if where else "."),
                fold.zh.format(dataset=dataset.zh, expr=expr, percent=metric.percent) + (f"，条件：{where}。" if where else "。"),
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
            if metric.times > 1:
                back = Text(f"{back.en}, at least {metric.times} times in a {unit.en}", f"{back.zh}，同一{unit.zh}内至少 {metric.times} 次")
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
            return _funnel_definition(metric)
        case Lifecycle():
            of, start = label(metric.of), label(metric.start)
            return Text(
                f"Users by stage ({of.en}): new entered in the period ({start.en}), returning also in the period before, resurrecting not in the one before, dormant only in the one before.",
                f"按阶段统计（{of.zh}）：新用户（期间{start.zh}）、留存（上期也活跃）、回流（上期不活跃且非新）、流失（上期活跃而本期不活跃）。",
            )
        case Paths():
            most = Text("at most ", "至多 ") if metric.start and metric.end else Text("", " ")
            return Text(
                f"How often {most.en}{metric.steps} events in a row of one user are these, with at most {metric.gap} minutes from one to the next; a path is dated by the event it begins with or, where only its end is asked for, by its last. Share: of all such paths.",
                f"同一用户连续{most.zh}{metric.steps} 个事件依次为该路径的次数，相邻两个事件相隔不超过 {metric.gap} 分钟；按路径的第一个事件（只指定终点时按最后一个事件）的时间统计。占比为占全部此类路径次数的比例。",
            )
        case LastEvent():
            of = label(metric.of)
            return Text(
                f"Users active in the period before and not in the period ({of.en}), by the last thing they did before it; without a period before: users without activity in the last {metric.days} days.",
                f"上期活跃而本期不活跃的用户（{of.zh}），按其此前最后一次行为统计；没有上期时，为最近 {metric.days} 天没有活动的用户。",
            )
        case UserPercentile():
            of = label(metric.of)
            return Text(
                f"{metric.percent}th percentile, over the users who have any in the period, of each user's own {of.en}.",
                f"期间有{of.zh}的用户中，每人{of.zh}的第 {metric.percent} 百分位数。",
            )
        case AverageOver():
            inner = label(metric.metric)
            return Text(
                f"Mean of {inner.en} over every {metric.over} of the period.",
                f"期间每{UNITS[metric.over].zh}{inner.zh}的平均值。",
            )
        case _:
            assert_never(metric)


def _funnel_definition(funnel: Funnel) -> Text:
    window = window_text(funnel.within)
    if not funnel.within % timedelta(days=1):  # not calendar days
        window = Text(f"{funnel.within.days} × 24 hours", f"{funnel.within.days}×24 小时")
    joint = Text(", ", "、") if funnel.order == "any" else same(" → ")
    en = joint.en.join(step.label.en for step in funnel.steps)
    zh = joint.zh.join(step.label.zh for step in funnel.steps)
    if funnel.order == "any":
        return Text(
            f"Users who take all of {en}, in any order, within {window.en} of their first of these in the period ÷ users who take any; only users whose window is over.",
            f"期间首次完成任一步骤起 {window.zh}内完成全部步骤（{zh}，不限顺序）的用户数 ÷ 完成任一步骤的用户数；只计窗口已结束的用户。",
        )
    strict = Text(" with no other action in between", "且中间没有其他行为") if funnel.order == "strict" else same("")
    return Text(
        f"Users who go {en} in this order{strict.en} within {window.en} of their first step in the period ÷ users who take the first step; only users whose window is over.",
        f"期间首次进入第一步后，在 {window.zh}内依次完成 {zh}{strict.zh}的用户数 ÷ 进入第一步的用户数；只计窗口已结束的用户。",
    )


def filter_phrases(tree: Filter | None, model: Model) -> tuple[Text, ...]:
    """Return one phrase for each part of a filter that must hold."""
    if tree is None:
        return ()
    parts = tree.parts if isinstance(tree, And) else (tree,)
    return tuple(_phrase(part, model) for part in parts)


def _phrase(tree: Filter, model: Model) -> Text:
    match tree:
        case UsersWith():
            return _users_phrase(tree, model)
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


def _users_phrase(tree: UsersWith, model: Model) -> Text:
    """Return a condition on users in words: their own metric, its rows, how it is compared and over which days."""
    label, op = model.metric(tree.metric).label, OPS[tree.op]
    match tree.value:
        case "average":
            value = Text("that of the average user who has any", "有该指标的用户的平均值")
        case Quantile(share=share):
            value = Text(f"the {share * 100:g}th percentile of the users who have any", f"有该指标的用户的第 {share * 100:g} 百分位数")
        case number:
            value = same(f"{number:,g}")
    rows = filter_phrases(tree.where, model)
    en = f" ({', '.join(phrase.en for phrase in rows)})" if rows else ""
    zh = f"（{'，'.join(phrase.zh for phrase in rows)}）" if rows else ""
    match tree.period:
        case None:
            span = same("")
        case LastDays(days=None):
            span = Text(" (all days so far)", "（截至当前）")
        case LastDays(days=days):
            span = Text(f" (the last {days} days)", f"（近 {days} 天）")
        case period:
            span = same(f" ({period})")
    return Text(
        f"users whose {label.en}{en} {op.en} {value.en}{span.en}", f"用户的{label.zh}{zh} {op.zh} {value.zh}{span.zh}"
    )


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


def segment_definitions(query: Query, model: Model, as_of: date, period: DateRange) -> Iterator[tuple[str, Text, Text]]:
    """Yield (name, label, definition) of the segments that a query groups or filters by, with the days they are told for."""
    parts = (query.filters, query.share.where if query.share else None)
    filtered = (where.dimension for part in parts for where in filters_of(part))
    for name in dict.fromkeys((*query.dimensions, *filtered)):
        dimension = next((d for d in model.dimensions if name in (d.name, d.qualified)), None)
        source = model.dataset_by_name[dimension.dataset].source if dimension else ""
        if dimension is None or isinstance(source, str):
            continue
        named = {column.name for column in (*source.find_all(exp.Column), *dimension.expr.find_all(exp.Column))}
        days = [Text(f"As of {as_of}.", f"截至 {as_of}。")] if AS_OF in named else []
        if named & {PERIOD_START, PERIOD_END}:
            days.append(Text(f"Relative to {period}.", f"相对于 {period}。"))
        if days or model.dataset_by_name[dimension.dataset].lesson is not None:
            told = _dimension_definition(dimension, model)
            en, zh = " ".join((told.en, *(day.en for day in days))), "".join((told.zh, *(day.zh for day in days)))
            yield dimension.name, dimension.label, Text(en, zh)


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
