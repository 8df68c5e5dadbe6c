"""Owns turning a count of users into the list of them, with the attributes that may be listed. Knows nothing of words."""

from collections.abc import Iterator
from dataclasses import replace

from wenshu.assistant.people import everyone, subject
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.learnt_segment import APART, BANDS, LIKELY
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.model import Dataset, Model
from wenshu.semantic_layer.query import Filter, Op, Order, Query, UsersWith, Where, both, filters_of
from wenshu.semantic_layer.text import Text

MOST_ATTRIBUTES = 4


def people_list(query: Query, model: Model) -> Query | None:
    """Return the list of the users that a query counts, None where it counts none or something else besides.

    Those kept by a probability that was learnt are told with it, the most likely first.
    """
    unfit = query.dimensions or query.grain or query.compare or query.share or query.conditions or len(query.metrics) != 1
    metric = None if unfit else model.metric(query.metrics[0])
    if not isinstance(metric, Aggregate):
        return None
    users = model.dataset_by_name[subject(model, metric)]
    columns = _columns(users) if users.entity else ()
    if not columns:
        return None
    filters, period = query.filters, query.period
    scores = tuple(dict.fromkeys(name for dataset in _scored_by(filters, model) for name in _scores(dataset)))
    order = tuple(Order(by=name) for name in scores[:1])
    columns = (*columns, *scores)
    if metric.name != everyone(model) or not metric.undated:
        if metric.dataset == users.name:
            return Query(dimensions=columns, filters=filters, period=period, order=order, limit=query.limit)
        filters = UsersWith(metric=metric.name, op=Op.GE, value=1, period=period, where=filters)
    return Query(dimensions=columns, filters=filters, order=order, limit=query.limit)


def likely_people(model: Model, event: str, days: int, filters: Filter | None, limit: int, *, least: bool) -> Query | None:
    """Return the list of the users to whom an event is likely (`least`: unlikely), or the `limit` first; None in a model without such a segment.

    Raises `QueryError` where the model's segment speaks of another number of days.
    """
    dataset = next((d for d in model.datasets if d.lesson and d.lesson.kind == event and _groups(d)), None)
    columns = next((found for d in model.datasets if d.entity and (found := _columns(d))), ())
    if dataset is None or dataset.lesson is None or not columns:
        return None
    if dataset.lesson.days != days:
        raise QueryError(
            "other_days",
            Text(f"Users are scored for the next {dataset.lesson.days} days, not {days}.", f"用户评分针对未来 {dataset.lesson.days} 天，而非 {days} 天。"),
            Text("Ask for the list without days, or for the probability by group.", "请不指定天数查询名单，或改问分组的概率。"),
        )
    scores, band = _scores(dataset), _groups(dataset)
    names = tuple(name for name, _ in BANDS[event])
    kept = Where(dimension=band, op=Op.IN, values=names[:LIKELY] if least else names[LIKELY:]) if not limit else scored(band)
    order = (Order(by=scores[0], descending=not least),)
    return Query(dimensions=(*columns, *scores), filters=both(filters, kept), order=order, limit=limit or None)


def scored(dimension: str) -> Where:
    """Return the filter that keeps the users of whom the question of a segment is asked."""
    return Where(dimension=dimension, op=Op.NE, values=(APART,))


def of_those_scored(query: Query, model: Model) -> Query:
    """Return a query by a segment that was learnt without the users of whom its question is not asked."""
    learnt = {_groups(dataset) for dataset in model.datasets if dataset.lesson}
    for name in learnt & set(query.dimensions):
        query = replace(query, filters=both(query.filters, scored(name)))
    return query


def _scored_by(filters: Filter | None, model: Model) -> Iterator[Dataset]:
    """Yield the segments of a probability that a filter is on."""
    named = {where.dimension.rpartition(".")[2] for where in filters_of(filters)}
    for dataset in model.datasets:
        if dataset.lesson and dataset.lesson.kind in BANDS and named & {d.name for d in dataset.dimensions}:
            yield dataset


def _scores(dataset: Dataset) -> tuple[str, ...]:
    """Return what tells how likely: the probability, its band, the main reason."""
    return tuple(d.name for d in sorted(dataset.dimensions, key=lambda d: d.type != "number"))


def _groups(dataset: Dataset) -> str:
    """Return the dimension of a learnt segment that is its groups, or nothing where the asker may not see it."""
    return next((d.name for d in dataset.dimensions if d.expr.name in ("band", "cluster")), "")


def _columns(users: Dataset) -> tuple[str, ...]:
    """Return the key of the users and their first attributes, personal data left out."""
    key = next((d.name for d in users.dimensions if (d.name,) == users.primary_key and not d.pii), None)
    named = (d.name for d in users.dimensions if d.type == "string" and d.values and not d.pii and not d.bands)
    return (key, *list(named)[:MOST_ATTRIBUTES]) if key else ()
