"""Owns the rules about distributions: rows by an attribute, in its bands where it has them."""

from wenshu.assistant.linker import Target
from wenshu.assistant.people import people
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.model import Model


def read_distribution(reading: Reading) -> None:
    """订单金额分布, distribution of ratings: rows by the attribute beside, in its bands where it has them."""
    for i, mention in enumerate(reading.mentions):
        if not mention.is_word("distribution") or not reading.free(i):
            continue
        for k in (*(k for k in reading.near(i, -1, 2)), *reading.near(i, +1, 1)):
            numeric = {d.name for d in reading.model.dimensions if d.type == "number"}
            name = next((t.name for t in reading.mentions[k].of("dimension") if t.name in numeric), None)
            if name is not None and reading.free(k):
                reading.dimensions.append(banded(reading.model, name))
                reading.claim(
                    *(j for j, m in enumerate(reading.mentions) if any(t.name == name for t in m.of("dimension")))
                )
                break
        plain = any(m.of("dimension") and not m.of("metric", "dataset") for m in reading.mentions)
        if reading.dimensions or plain or reading.parts:
            reading.spread = True
            reading.claim(i)


def banded(model: Model, name: str) -> str:
    """Return the bands of a number as a dimension, or the number where the model cuts none."""
    number = next(d for d in model.dimensions if d.name == name)
    return next(
        (d.name for d in model.dimensions if d.bands and d.dataset == number.dataset and d.expr == number.expr), name
    )


def read_spread(reading: Reading) -> None:
    """分布 without a metric: count the things that the attribute belongs to."""
    if not reading.spread or reading.metrics or not reading.dimensions:
        return
    datasets = [d.dataset for d in reading.model.dimensions if d.name == reading.dimensions[0]]
    entities = [dataset.name for dataset in reading.model.datasets if dataset.entity]
    if any(noun not in (*datasets, *entities) for noun in reading.nouns):
        return  # 购买的品类分布: of orders, of units, of buyers?
    named = next((dataset for dataset in datasets if dataset in reading.nouns), datasets[0])
    whose = reading.model.dataset_by_name[named]
    own = next((d.name.removesuffix("_of_user") for d in whose.dimensions if d.name.endswith("_of_user")), None)
    leaf = reading.model.metric_by_name.get(own) if own else None
    if isinstance(leaf, Aggregate):
        reading.metrics.append(tuple(Target("metric", name) for name in people(reading.model, leaf.dataset)))
        return
    counted = reading.everyone if whose.entity or whose.is_segment else _rows_with(reading.model, named)
    if counted is not None:
        reading.metrics.append((Target("metric", counted),))


def _rows_with(model: Model, dataset: str) -> str | None:
    """Return the metric that counts a dataset's rows, or those of the rows that it describes one by one."""
    described = [dataset, *(r.many for r in model.relationships if r.one == dataset)]
    for name in described:
        for metric in model.metrics:
            if isinstance(metric, Aggregate) and metric.dataset == name and metric.aggregation is Aggregation.COUNT:
                return metric.name
    return None
