"""Owns the rule about those who were reached or assigned: what share of a campaign's or a test's users ordered within N days, what they spent."""

from wenshu.assistant.grammar_cohort import day_at, says_each, says_spending
from wenshu.assistant.linker import Mention, Target
from wenshu.assistant.naming import is_person, rows_of
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.metrics import LifetimeValue, Retention


def read_reached(reading: Reading) -> None:
    """实验各组7天内下单的比例, of those a campaign reached, what share bought within a week: cohorts of users by what was done to them."""
    mentions, model = reading.mentions, reading.model
    if reading.metrics or any("[n=" in t.name for m in mentions for t in m.of("metric")):
        return
    day = next((day for i in range(len(mentions)) if (day := day_at(reading, i)) is not None and day.mode != "on_or_after"), None)
    shares = [i for i, m in enumerate(mentions) if m.is_word("share", "conversion", "how_many")]
    if day is None:
        return
    for metric in model.metrics:
        if not isinstance(metric, Retention | LifetimeValue) or not _is_told(reading, model.anchor(metric).dataset):
            continue
        if isinstance(metric, Retention):
            does = {leaf.dataset for leaf in model.leaves(metric.back)}
            rows = [i for i, m in enumerate(mentions) if rows_of(reading, m) is not None and does & {t.name for t in m.of("dataset")}]
            done = [*rows, *(i for i, m in enumerate(mentions) if any(t.name == metric.back for t in m.of("metric")))]
            asked = bool(done and shares and day.mode == "within")
        else:
            done = [i for i in range(len(mentions)) if says_spending(reading, i)]
            each = [i for i in range(len(mentions)) if says_each(reading, i)]
            asked, done = bool(done and each), [*done, *each]
        if asked:
            started = [i for i, m in enumerate(mentions) if any(t.name == metric.start for t in m.of("metric"))]
            people = [i for i in range(len(mentions)) if is_person(reading, i) and not mentions[i].of("value")]
            reading.metrics.append((Target("metric", f"{metric.name}[n={day.number}]"),))
            reading.claim(*day.used, *done, *shares, *started, *people)
            return


def _is_told(reading: Reading, dataset: str) -> bool:
    """Say whether a question names rows of a dataset, or of what they belong to, and they are no users."""
    model = reading.model
    entities = {d.name for d in model.datasets if d.entity}
    own = {dataset, *(r.one for r in model.relationships if r.many == dataset)} - entities
    return dataset not in entities and any(_datasets(reading, mention) & own for mention in reading.mentions)


def _datasets(reading: Reading, mention: Mention) -> set[str]:
    named = {t.name for t in mention.of("dimension")}
    values = {t.name.rpartition(".")[0] for t in mention.of("value")}
    return values | {d.dataset for d in reading.model.dimensions if d.name in named} | {t.name for t in mention.of("dataset")}
