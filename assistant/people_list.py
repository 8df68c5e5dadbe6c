"""Owns turning a count of users into the list of them, with the attributes that may be listed. Knows nothing of words."""

from wenshu.assistant.people import everyone, subject
from wenshu.semantic_layer.metrics import Aggregate
from wenshu.semantic_layer.model import Dataset, Model
from wenshu.semantic_layer.query import Op, Query, UsersWith

MOST_ATTRIBUTES = 4


def people_list(query: Query, model: Model) -> Query | None:
    """Return the list of the users that a query counts, None where it counts none or something else besides."""
    unfit = query.dimensions or query.grain or query.compare or query.share or query.conditions or len(query.metrics) != 1
    metric = None if unfit else model.metric(query.metrics[0])
    if not isinstance(metric, Aggregate):
        return None
    users = model.dataset_by_name[subject(model, metric)]
    columns = _columns(users) if users.entity else ()
    if not columns:
        return None
    filters, period = query.filters, query.period
    if metric.name != everyone(model) or not metric.undated:
        if metric.dataset == users.name:
            return Query(dimensions=columns, filters=filters, period=period, limit=query.limit)
        filters = UsersWith(metric=metric.name, op=Op.GE, value=1, period=period, where=filters)
    return Query(dimensions=columns, filters=filters, limit=query.limit)


def _columns(users: Dataset) -> tuple[str, ...]:
    """Return the key of the users and their first attributes, personal data left out."""
    key = next((d.name for d in users.dimensions if (d.name,) == users.primary_key and not d.pii), None)
    named = (d.name for d in users.dimensions if d.type == "string" and d.values and not d.pii and not d.bands)
    return (key, *list(named)[:MOST_ATTRIBUTES]) if key else ()
