"""Owns which metrics of a model count people, and which way: everyone, those with rows of a dataset, newcomers.

Knows nothing of questions.
"""

from collections.abc import Iterator

from wenshu.semantic_layer.model import Aggregate, Aggregation, Metric, Model


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
        if isinstance(metric, Aggregate) and metric.undated and _counts_rows_of_users(model, metric):
            return metric.name
    return next(people(model), None)


def people(model: Model, dataset: str | None = None) -> Iterator[str]:
    """Yield the metrics that count distinct users, of one dataset's rows or of any."""
    for metric in model.metrics:
        if isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT_DISTINCT and metric.where is None:
            if dataset in (None, metric.dataset) and model.dataset_by_name[subject(model, metric)].entity:
                yield metric.name
    for metric in model.metrics:
        if isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT_DISTINCT and metric.where:
            if dataset in (None, metric.dataset) and model.dataset_by_name[subject(model, metric)].entity:
                yield metric.name


def newcomers(model: Model, *, buying: bool) -> str | None:
    """Return the metric that counts users by the day they came or, with `buying`, by the day they first bought.

    Where users enter by buying, both are one.
    """
    entry: str | None = None
    for metric in model.metrics:
        if not isinstance(metric, Aggregate) or metric.undated or metric.where is not None:
            continue
        if _counts_rows_of_users(model, metric):
            entry = entry or metric.name
        elif buying and metric.aggregation is Aggregation.COUNT and _has_one_row_a_user(model, metric.dataset):
            return metric.name
    return entry


def _counts_rows_of_users(model: Model, metric: Metric) -> bool:
    counts = isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT
    return counts and isinstance(metric, Aggregate) and bool(model.dataset_by_name[metric.dataset].entity)


def _has_one_row_a_user(model: Model, dataset: str) -> bool:
    key = model.dataset_by_name[dataset].primary_key
    return bool(key) and any(
        r.many == dataset and r.many_columns == key and model.dataset_by_name[r.one].entity
        for r in model.relationships
    )
