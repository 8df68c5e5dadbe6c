"""Owns which metrics of a model count people, and which way: everyone, or those with rows of a dataset.

Knows nothing of questions.
"""

from collections.abc import Iterator

from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.model import Model


def subject(model: Model, leaf: Aggregate) -> str:
    """Return the dataset of the things a metric counts: users for distinct users, else its own rows."""
    if leaf.aggregation is Aggregation.COUNT_DISTINCT and leaf.expr is not None:
        for r in model.relationships:
            one = model.dataset_by_name[r.one]
            if r.many == leaf.dataset and r.many_columns == (leaf.expr.name,) and one.entity:
                return r.one
    return leaf.dataset


def everyone(model: Model) -> str | None:
    """Return the metric that counts all users there are or, in a model without one, those who did anything."""
    for metric in model.metrics:
        if isinstance(metric, Aggregate) and metric.undated and metric.aggregation is Aggregation.COUNT:
            if model.dataset_by_name[metric.dataset].entity:
                return metric.name
    return next(people(model), None)


def newcomers(model: Model) -> Iterator[str]:
    """Yield the metrics that count people by the day they came."""
    for metric in model.metrics:
        if isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT and metric.where is None:
            if not metric.undated and model.dataset_by_name[metric.dataset].entity:
                yield metric.name


def people(model: Model, dataset: str | None = None) -> Iterator[str]:
    """Yield the metrics that count distinct users, of one dataset's rows or of any."""
    distinct = [
        m for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT_DISTINCT
        and dataset in (None, m.dataset) and model.dataset_by_name[subject(model, m)].entity
    ]  # fmt: skip
    yield from (metric.name for metric in distinct if metric.where is None)
    yield from (metric.name for metric in distinct if metric.where is not None)
    for metric in model.metrics:
        if isinstance(metric, Aggregate) and dataset in (None, metric.dataset) and _counts_one_row_each(model, metric):
            yield metric.name


def _counts_one_row_each(model: Model, metric: Aggregate) -> bool:
    """Say whether a metric counts the rows of a dataset that has one row for each person who is in it."""
    if metric.aggregation is not Aggregation.COUNT or metric.undated:
        return False
    key = model.dataset_by_name[metric.dataset].primary_key
    return any(r.many == metric.dataset and r.many_columns == key and model.dataset_by_name[r.one].entity for r in model.relationships)
