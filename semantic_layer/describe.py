"""Owns saying in words what a query means: metric definitions, filters and conditions, in both languages. Knows nothing of results."""

from collections.abc import Iterator
from datetime import date
from typing import Any, assert_never

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.model import Aggregate, Aggregation, Cumulative, Derived, Dimension, Metric, Model, Ratio
from wenshu.semantic_layer.query import And, Condition, Filter, Not, Op, Or, Where
from wenshu.semantic_layer.table import UNKNOWN
from wenshu.semantic_layer.text import Language, Text, same
from wenshu.semantic_layer.time_parts import TIME_PARTS

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
        return model.metric_by_name[name].label

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
            assert_never(metric)


def filter_phrases(tree: Filter | None, model: Model) -> tuple[Text, ...]:
    """Return one phrase for each part of a filter that must hold."""
    if tree is None:
        return ()
    parts = tree.parts if isinstance(tree, And) else (tree,)
    return tuple(_phrase(part, model) for part in parts)


def _phrase(tree: Filter, model: Model) -> Text:
    match tree:
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
            "label": metric.label.in_(language),
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
    return {"model": model.name, "metrics": metrics, "dimensions": dimensions, "segments": []}


def _dimension_definition(dimension: Dimension, model: Model) -> Text:
    if dimension.description is not None:
        return dimension.description
    dataset = model.dataset_by_name[dimension.dataset].label
    return Text(f"{dimension.label.en} of {dataset.en}.", f"{dataset.zh}的{dimension.label.zh}。")
