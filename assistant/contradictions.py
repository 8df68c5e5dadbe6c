"""Owns finding a filter that a metric's own condition rules out: orders that are paid, asked for those not paid yet.

Such a metric is 0 whatever the data say, which answers nothing. Whether it is so is looked up in all the data.
"""

from dataclasses import replace

from wenshu.semantic_layer.binder import Binder
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.layer import SemanticLayer
from wenshu.semantic_layer.metrics import Aggregate, Ratio
from wenshu.semantic_layer.query import Query, Where, filters_of
from wenshu.semantic_layer.text import Text


def freed_of_contradictions(query: Query, layer: SemanticLayer) -> tuple[Query, tuple[Text, ...]]:
    """Return a query with the metric of all rows in the place of one whose condition rules a filter out, and what was read.

    Raises `QueryError` with code `contradiction` where the model has no such metric.
    """
    said: list[Text] = []
    for name in query.metrics:
        metric = layer.model.metric(name)
        for where in filters_of(query.filters):
            below = layer.model.metric(metric.denominator) if isinstance(metric, Ratio) else metric
            if not isinstance(below, Aggregate) or not _is_ruled_out(below, where, layer):
                continue
            wider = next((m for m in layer.model.metrics if isinstance(metric, Aggregate) and _is_wider(m, metric)), None)
            values = "、".join(str(value) for value in where.values)
            if wider is None:
                raise QueryError(
                    "contradiction",
                    Text(
                        f"{metric.label.en} leaves out all rows with {where.dimension} {values.replace('、', ', ')}.",
                        f"{metric.label.zh}的口径不包含 {where.dimension} 为 {values} 的记录。",
                    ),
                    Text("Ask for a metric that counts them.", "请改问包含这些记录的指标。"),
                )
            said.append(
                Text(
                    f"Read as {wider.label.en}: {metric.label.en} leaves out what is asked for.",
                    f"按“{wider.label.zh}”计算：“{metric.label.zh}”的口径不包含所问的记录。",
                )
            )
            query = _with_metric(query, metric.name, wider.name)
            metric = wider
    return query, tuple(said)


def _is_ruled_out(metric: Aggregate, where: Where, layer: SemanticLayer) -> bool:
    """Say whether no row of all the data counts in the metric and meets a filter on its own dataset, which other rows meet."""
    if metric.where is None or not metric.zero_if_empty:
        return False
    try:
        dimension, joins = Binder(layer.model, layer.as_of()).dimension(where.dimension, metric)
    except QueryError:
        return False
    if joins or not dimension.values:
        return False
    table = layer.run(layer.compile(Query(metrics=(metric.name,), filters=where)))
    return not table.rows[0][0]


def _is_wider(other: object, metric: Aggregate) -> bool:
    """Say whether a metric folds the same expression over all the rows."""
    return (
        isinstance(other, Aggregate) and other.where is None and other.filters is None
        and (other.aggregation, other.dataset, other.expr, other.time) == (metric.aggregation, metric.dataset, metric.expr, metric.time)
    )  # fmt: skip


def _with_metric(query: Query, name: str, other: str) -> Query:
    renamed = {name: other, f"{name}_change": f"{other}_change"}
    return replace(
        query,
        metrics=tuple(dict.fromkeys(renamed.get(item, item) for item in query.metrics)),
        order=tuple(replace(order, by=renamed.get(order.by, order.by)) for order in query.order),
        conditions=tuple(replace(c, metric=renamed.get(c.metric, c.metric)) for c in query.conditions),
    )
