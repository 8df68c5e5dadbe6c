"""Owns what a word of a question names: rows that users made, things that they did, people. Settles nothing."""

from dataclasses import dataclass

from wenshu.assistant.linker import Mention, Target
from wenshu.assistant.people import newcomers
from wenshu.assistant.reading import Reading, ValueFilter
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Funnel
from wenshu.semantic_layer.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Hold what a verb says that users did: the metric that counts its rows, and which of them."""

    metric: Target
    where: tuple[ValueFilter, ...] = ()


def rows_of(reading: Reading, mention: Mention, *, money: bool = False) -> Target | None:
    """Return the metric that counts, or with `money` sums, the rows that a noun or a verb names (下单, bought)."""
    entities = {dataset.name for dataset in reading.model.datasets if dataset.entity}
    names = [target.name for target in mention.of("dataset") if target.name not in entities]
    for metric in reading.model.metrics:
        if not isinstance(metric, Aggregate) or metric.dataset not in names:
            continue
        wanted = Aggregation.SUM if money else Aggregation.COUNT
        if metric.aggregation is wanted and (not money or metric.unit == reading.model.currency):
            return Target("metric", metric.name)
    return None


def done_of(reading: Reading, mention: Mention) -> Done | None:
    """Return what a word says that users did: rows of a dataset (bought), or one of the things a funnel counts (searched)."""
    if (counted := rows_of(reading, mention)) is not None:
        return Done(metric=counted)
    steps = {
        (step.rows.dataset, step.name)
        for metric in reading.model.metrics if isinstance(metric, Funnel) for step in (*metric.steps, *metric.choices)
    }  # fmt: skip
    targets = tuple(t for t in mention.of("value") if (t.name.rpartition(".")[0], t.value) in steps)
    for metric in reading.model.metrics:
        if targets and isinstance(metric, Aggregate) and metric.aggregation is Aggregation.COUNT and metric.where is None:
            if metric.dataset == targets[0].name.rpartition(".")[0]:
                return Done(metric=Target("metric", metric.name), where=(ValueFilter(mentions=(targets,)),))
    return None


def is_person(reading: Reading, position: int) -> bool:
    """Say whether a mention names users or counts them, all of them or those who came in a period."""
    entities = {dataset.name for dataset in reading.model.datasets if dataset.entity}
    mention = reading.mentions[position]
    came = mention.is_word("entered") and any(t.name in set(newcomers(reading.model)) for t in mention.of("metric"))
    return came or any(target.name in entities for target in mention.of("dataset")) or reading.is_people(mention)


def names_users(reading: Reading) -> bool:
    return any(is_person(reading, k) for k in range(len(reading.mentions)))


def rows_counted(model: Model, dataset: str) -> tuple[Target, ...]:
    """Return the metric that counts what the users of a dataset did."""
    counts = (m.name for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT and m.dataset == dataset)
    return tuple(Target("metric", name) for name in list(counts)[:1])


def spending(model: Model) -> tuple[Target, ...]:
    """Return the model's first amount of money, which is what users spend."""
    amounts = (
        m.name for m in model.metrics
        if isinstance(m, Aggregate) and m.aggregation is Aggregation.SUM and m.unit is not None and m.unit == model.currency
    )  # fmt: skip
    return tuple(Target("metric", name) for name in list(amounts)[:1])
