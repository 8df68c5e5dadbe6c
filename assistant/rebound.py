"""Owns a follow-up that changes a number or a metric of the query before: 超过800呢, 改成90, 去掉订单数, same for May sign-ups."""

from dataclasses import replace

from wenshu.assistant.grammar_cohort import in_mode
from wenshu.assistant.grammar_subjects import BY_RULE
from wenshu.assistant.linker import Target
from wenshu.assistant.naming import is_person
from wenshu.assistant.people import newcomers, people
from wenshu.assistant.reading import GRAMMAR, Bound, Reading
from wenshu.semantic_layer.errors import QueryError
from wenshu.semantic_layer.metric_parameters import metric_column, metric_spec
from wenshu.semantic_layer.metrics import (
    Aggregate,
    Aggregation,
    Funnel,
    LifetimeValue,
    Metric,
    Ratio,
    RepurchaseWithin,
    Retention,
)
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import ORDERED_OPS, And, Condition, Query, UsersWith, Where
from wenshu.semantic_layer.text import Text

Compared = Condition | UsersWith | Where


def rebound(previous: Query, reading: Reading, model: Model) -> Query | None:
    """Return the query before with the number that the question gives, and take its words as read; None where it gives none.

    What else the question asks for is left to be read as an edit of the query returned.
    """
    if (other := _other_quotient(previous, reading, model) or _without_metric(previous, reading)) is not None:
        return other
    bound = reading.bound
    if bound is None or not (reading.has_word("so", "switch") or _is_all(reading, bound)):
        return None
    compared = [item for item in _compared(previous) if not bound.metric or _has_metric(item, bound)]
    if len(compared) == 1 and (bound.op is not None or _is_all(reading, bound)):
        query = _with_number(previous, compared[0], bound)
    elif not compared and bound.op is None and not bound.metric and _is_all(reading, bound):
        query = _with_count(previous, bound, model)
    else:
        return None
    if query is not None:
        reading.claim(*bound.positions)
        reading.numbers.clear()
        reading.users_with.clear()
        for targets in [targets for targets in reading.metrics if targets == bound.metric]:
            reading.metrics.remove(targets)
    return query


def _other_quotient(previous: Query, reading: Reading, model: Model) -> Query | None:
    """Return the query with its metric per something else: 按订单算呢 after 客单价, per order instead."""
    metric = model.metric_by_name[metric_spec(previous.metrics[0])[0]] if len(previous.metrics) == 1 else None
    if metric is None or not isinstance(metric, Ratio | Aggregate):
        return None
    said = [i for i, mention in enumerate(reading.mentions) if mention.is_word("each_of", "each_order") or _is_told_by(reading, i)]
    rest = (m for i, m in enumerate(reading.mentions) if i not in said and not m.is_filler)
    if len(said) != 1 or not all(m.is_word("so", "switch", *GRAMMAR) for m in rest):
        return None
    mention = reading.mentions[said[0]]
    named = {target.name for target in mention.of("metric")}
    if mention.is_word("each_of") or is_person(reading, said[0]):
        named = set(people(model))
    elif mention.is_word("each_order"):
        named = {m.name for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT}
    above = metric.numerator if isinstance(metric, Ratio) else metric.name
    others = (m.name for m in model.metrics if isinstance(m, Ratio) and m.numerator == above and m.denominator in named)
    ratio = next((name for name in others if name != metric.name), None)
    if ratio is None:
        return None
    reading.claim(*said)
    reading.metrics.clear()
    order = tuple(replace(item, by=ratio) for item in previous.order if item.by == metric.name)
    return replace(previous, metrics=(ratio,), order=order or previous.order)


def _without_metric(previous: Query, reading: Reading) -> Query | None:
    """Return the query without one of its several metrics: 去掉订单数, drop orders."""
    kept = previous.metrics
    for i, mention in enumerate(reading.mentions):
        named = {target.name for target in mention.of("metric")}
        beside = {reading.beside(i, -1): ("exclude", "unlimited"), reading.beside(i, +1): ("exclude_tail", "unlimited_tail")}
        said = [k for k, words in beside.items() if k is not None and reading.mentions[k].is_word(*words)]
        rest = (m for k, m in enumerate(reading.mentions) if k not in (i, *said))
        if named and said and all(m.is_filler or m.is_word("so", "add") for m in rest):
            kept = tuple(name for name in previous.metrics if name.partition("[")[0] not in named)
            reading.claim(i, *said)
            for k in (k for k in said if reading.mentions[k].is_word("growth")):
                reading.take_as(k, "unlimited")  # drop orders
    if kept == previous.metrics or not kept:
        return None
    reading.metrics.clear()
    columns = {metric_column(name) for name in previous.metrics} - {metric_column(name) for name in kept}
    return replace(previous, metrics=kept, order=tuple(order for order in previous.order if order.by not in columns))


def of_cohort(previous: Query, reading: Reading, model: Model) -> None:
    """Take back the metric that only says who entered, where the one before is about them: same for August signups."""
    if len(reading.metrics) != 1 or len(reading.periods) != 1 or not reading.has_word("so", "switch") or reading.has_word("how_many"):
        return
    entered = {name for spec in previous.metrics if (name := _entry(model.metric_by_name[metric_spec(spec)[0]])) is not None}
    datasets = {leaf.dataset for name in entered for leaf in model.leaves(name)}
    read = {table for name in datasets for table in model.dataset_by_name[name].tables}
    datasets |= {d.name for d in model.datasets if not isinstance(d.source, str) and read & set(d.tables)}  # first orders
    counts = {*newcomers(model), *(name for dataset in datasets for name in people(model, dataset)), *entered}
    if any(t.name in counts and {leaf.dataset for leaf in model.leaves(t.name)} <= datasets for t in reading.metrics[0]):
        reading.metrics.clear()


def _entry(metric: Metric) -> str | None:
    """Return the rows by which users enter the cohort that a metric is about."""
    return metric.start if isinstance(metric, Retention | LifetimeValue) else metric.of if isinstance(metric, RepurchaseWithin) else None


def _is_told_by(reading: Reading, position: int) -> bool:
    """Say whether a metric is what another is to be told by: 按|订单|算."""
    before, mention = reading.beside(position, -1), reading.mentions[position]
    by = before is not None and reading.mentions[before].is_word("by")
    return by and bool(mention.of("metric") or is_person(reading, position)) and reading.linked.text[mention.end :].lstrip().startswith(BY_RULE)


def _is_all(reading: Reading, bound: Bound) -> bool:
    """Say whether the question has no other content than the number and what it is compared with."""
    return all(
        i in bound.positions or mention.is_filler or mention.is_word("so", "switch", *GRAMMAR) or mention.of("metric") == bound.metric != ()
        for i, mention in enumerate(reading.mentions)
    )  # fmt: skip


def _compared(query: Query) -> tuple[Compared, ...]:
    """Return what the query compares with a number."""
    parts = query.filters.parts if isinstance(query.filters, And) else (query.filters,)
    numbers = [item for item in (*query.conditions, *parts) if isinstance(item, Condition | UsersWith) and isinstance(item.value, int | float)]
    attributes = [part for part in parts if isinstance(part, Where) and part.op in ORDERED_OPS and all(isinstance(v, int | float) for v in part.values)]
    return (*numbers, *attributes)


def _has_metric(item: Compared, bound: Bound) -> bool:
    return not isinstance(item, Where) and item.metric in {target.name for target in bound.metric}


def _with_number(query: Query, item: Compared, bound: Bound) -> Query | None:
    op = bound.op or item.op
    if bound.high is not None and isinstance(item, UsersWith):
        return None
    changed: Compared
    if isinstance(item, Where):
        changed = replace(item, op=op, values=(bound.value,) if bound.high is None else (bound.value, bound.high))
    elif isinstance(item, Condition):
        changed = replace(item, op=op, value=bound.value, high=bound.high)
        return replace(query, conditions=tuple(changed if old is item else old for old in query.conditions))
    else:
        changed = replace(item, op=op, value=bound.value)
    if isinstance(query.filters, And):
        return replace(query, filters=And(parts=tuple(changed if part is item else part for part in query.filters.parts)))
    return replace(query, filters=changed)


def renumbered(spec: str, reading: Reading, model: Model) -> str:
    """Return a metric with the days that the question gives it: 换成30日, and within 7 days?, day 30 or later.

    Raises `QueryError` with code `no_days` where the metric has none.
    """
    base, parameters = metric_spec(spec)
    metric = model.metric_by_name[base]
    if reading.metrics or (reading.days is None and reading.mode is None):
        return spec
    if not isinstance(metric, Retention | RepurchaseWithin | LifetimeValue | Funnel):
        raise QueryError(
            "no_days",
            Text("What was asked before has no number of days.", "上一问的指标没有天数可改。"),
            Text("Name the metric as well: “day-30 retention”.", "请同时说明指标，例如“30日留存”。"),
        )
    if reading.mode is not None and reading.mode != "on":
        base = in_mode(model, metric, reading.mode) or base
    if reading.days is not None:
        parameters = {key: value for key, value in parameters.items() if key not in ("within", "from")} | {"n": str(reading.days)}
    said = ",".join(f"{key}={value}" for key, value in parameters.items())
    return f"{base}[{said}]" if said else base


def with_number_before(targets: tuple[Target, ...], previous: Query, model: Model) -> tuple[Target, ...]:
    """Return a retention named without its day with that of the one asked about before: 滚动留存呢."""
    asked = [metric_spec(name) for name in previous.metrics]
    days = {said["n"] for base, said in asked if "n" in said and isinstance(model.metric_by_name[base], Retention)}
    bases = {base for base, _ in asked}
    return tuple(
        target.numbered(int(next(iter(days))))
        if len(days) == 1 and "[" not in target.name and target.name not in bases
        and isinstance(model.metric_by_name[target.name], Retention) else target
        for target in targets
    )  # fmt: skip


def _with_count(query: Query, bound: Bound, model: Model) -> Query | None:
    """Return the query with a bare number in the place of its days (and 90?), or of how many rows it shows (10个呢)."""
    count = int(bound.value)
    if count != bound.value or count < 1:
        return None
    bases = [model.metric_by_name[name.partition("[")[0]] for name in query.metrics]
    if bases and all(isinstance(metric, Retention | RepurchaseWithin | LifetimeValue) for metric in bases):
        return replace(query, metrics=tuple(f"{metric.name}[n={count}]" for metric in bases))
    return replace(query, limit=count) if query.limit is not None else None
