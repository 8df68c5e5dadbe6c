"""Owns the rules about behavioural metrics: who comes back, cohorts and their curves."""

from dataclasses import replace

from wenshu.assistant.linker import Target, words_of
from wenshu.assistant.people import newcomers, people
from wenshu.assistant.reading import Reading, UserCondition
from wenshu.assistant.timephrases import TimePhrase
from wenshu.semantic_layer.behaviour_keys import PERIOD_NUMBER
from wenshu.semantic_layer.metrics import (
    Funnel,
    Interval,
    Lifecycle,
    LifetimeValue,
    PeriodReturn,
    Repurchase,
    RepurchaseWithin,
    Retention,
)
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.query import Op

STAGE_WORDS = {"stayed": "returning", "lost": "dormant"}


def read_returns(reading: Reading) -> None:
    """8月的买家在9月又买的比例, August buyers who bought again in September: who came back from one period to the next."""
    again = [i for i, mention in enumerate(reading.mentions) if mention.is_word("again") and reading.free(i)]
    phrases = {phrase.period: phrase for phrase in reading.periods if phrase.period is not None}
    both = [i for i, mention in enumerate(reading.mentions) if mention.is_word("in_both")]
    if len(phrases) == 2 and both:
        _read_bought_in_both(reading, both, max(phrases.values(), key=lambda phrase: phrase.start))
        return
    if not again or len(phrases) != 2:
        return
    first, second = sorted(phrases)
    beside = period_beside(reading, again[0])
    if (second.start - first.end).days != 1 or (beside is not None and beside.period == first):
        _read_bought_in_both(reading, again, beside)
        return
    for metric in reading.model.metrics:
        if isinstance(metric, PeriodReturn) and not metric.lost:
            reading.metrics = [(Target("metric", metric.name),)]
            reading.periods = [phrases[second]]
            reading.share = False
            words = [i for i, m in enumerate(reading.mentions) if m.of("metric") or m.is_word("share", "conversion")]
            reading.claim(*again, *words)
            return


def _read_bought_in_both(reading: Reading, again: list[int], other: TimePhrase | None) -> None:
    """9月购买用户里有多少8月也买过, share of May buyers who also bought in August: buyers of one period by what they did in the other."""
    bought = next((m.of for m in reading.model.metrics if isinstance(m, Repurchase)), None)
    if bought is None or other is None:
        return
    (dataset,) = {leaf.dataset for leaf in reading.model.leaves(bought)}
    done = Target("metric", bought)
    reading.metrics = [tuple(Target("metric", name) for name in people(reading.model, dataset))]
    reading.users_with.append(UserCondition(metric=(done,), op=Op.GE, value=1, period=other))
    reading.periods.remove(other)
    reading.shares_part = reading.share
    reading.claim(*again, *(i for i, m in enumerate(reading.mentions) if m.of("metric") or m.of("dataset")))


def period_beside(reading: Reading, position: int) -> TimePhrase | None:
    """Return the period that stands beside a position: right after in English, before in Chinese."""
    steps = (-1, +1) if not reading.mentions[position].text.isascii() else (+1, -1)
    beside = (reading.mentions[k].time for step in steps for k in reading.near(position, step, 2))
    return next((phrase for phrase in beside if phrase is not None and phrase in reading.periods), None)


def read_stages(reading: Reading) -> None:
    """留存、回流、流失用户: a word listed beside a stage of the lifecycle names a stage too; by lifecycle stage."""
    whole = {m.name: m.of for m in reading.model.metrics if isinstance(m, Lifecycle) and not m.stage}
    for i, mention in enumerate(reading.mentions):
        if any(t.name in whole for t in mention.of("metric")) and reading.free(i):
            reading.metrics.append(mention.of("metric"))
            reading.claim(i)
    stages = {m.stage: m.name for m in reading.model.metrics if isinstance(m, Lifecycle) and m.stage}
    named = set(stages.values())
    _name_parts_of_all(reading)
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("lost") and reading.has_word("so", "switch") and "dormant" in stages:
            if not mention.targets[1:] and not any(m.of("metric") for m in reading.mentions):
                reading.metrics.append((Target("metric", stages["dormant"]),))  # 流失呢
                reading.claim(i)
        if not any(t.name in named for t in mention.of("metric")):
            continue
        for step in (-1, +1):
            here = i
            while (beside := _listed_beside(reading, here, step)) is not None:
                other = reading.mentions[beside]
                said = next((str(t.value) for t in other.of("value") if t.value in stages), None)
                stage = said or next((stage for word, stage in STAGE_WORDS.items() if other.is_word(word)), None)
                if stage in stages and not any(t.name in named for t in other.of("metric")) and reading.free(beside):
                    reading.metrics.append((Target("metric", stages[stage]),))
                    reading.claim(beside)
                here = beside


def _name_parts_of_all(reading: Reading) -> None:
    """Read of the active users, new vs returning as the stages alone: they are parts of what is named first."""
    stages = {m.name: m.of for m in reading.model.metrics if isinstance(m, Lifecycle) and m.stage}
    names = {m.stage for m in reading.model.metrics if isinstance(m, Lifecycle) and m.stage}
    said = [i for i, m in enumerate(reading.mentions) if any(t.name in stages or t.value in names for t in m.of("metric", "value"))]
    if not any(t.name in stages for i in said for t in reading.mentions[i].of("metric")):
        return
    whole = [i for i, m in enumerate(reading.mentions) if said and i < said[0] and any(t.name in stages.values() for t in m.of("metric"))]
    beside = (_listed_beside(reading, i, step) for i in whole for step in (-1, +1))
    joined = any(reading.mentions[k].of("metric") for k in beside if k is not None)
    if len(said) > 1 and whole and not joined:
        reading.claim(*whole)
        reading.versus = False


def _listed_beside(reading: Reading, position: int, step: int) -> int | None:
    """Return the position of what stands beside in a list: after a comma, 、 or and."""
    beside = reading.beside(position, step)
    if beside is not None and reading.mentions[beside].is_word("and", "versus"):
        return reading.beside(beside, step)
    if beside is None:
        return None
    first, second = sorted((position, beside))
    between = reading.linked.text[reading.mentions[first].end : reading.mentions[second].start].strip()
    return beside if between in (",", "，") else None  # noqa: RUF001 - new, resurrected and churned users


def read_numbers(reading: Reading) -> None:
    """次日、3日、7日留存: a list of numbers before a metric that has one is that metric for each of them."""
    for i, mention in enumerate(reading.mentions):
        numbered = [t for t in mention.of("metric") if "[n=" in t.name]
        if not numbered:
            continue
        base, at = (
            numbered[0].name.partition("[")[0],
            reading.metrics.index(mention.of("metric")) if mention.of("metric") in reading.metrics else None,
        )
        here, found = i, []
        while (before := reading.beside(here, -1)) is not None:
            word = reading.mentions[before]
            if word.is_word("and"):
                here = before
                continue
            if word.is_word("next_day"):
                found.append((1, [before]))
                here = before
                continue
            beside = reading.beside(before, -1)
            if beside is None:
                break
            number, unit = (beside, before) if word.is_word("day_unit") else (before, beside)  # 3日; day 3
            said = reading.mentions[number].number
            if said is None or not reading.free(number) or not reading.mentions[unit].is_word("day_unit"):
                break
            found.append((int(said), [number, unit]))
            here = beside
        if at is not None and found:
            reading.metrics[at:at] = [(Target("metric", f"{base}[n={n}]"),) for n, _ in reversed(found)]
            reading.claim(*(k for _, positions in found for k in positions))


def read_cohorts(reading: Reading) -> None:
    """Curves, triangles, stages; and the words that only say who a behavioural metric is about (注册用户的7日留存)."""
    default = next(
        (m.name for m in reading.model.metrics if isinstance(m, Retention) and _of_newcomers(reading, m)), None
    )
    if default and not reading.metrics and reading.has_word("triangle"):
        reading.metrics.append((Target("metric", default),))  # a cohort table is one of retention
    names = {target.name.partition("[")[0] for targets in reading.metrics for target in targets}
    behaviours = [
        metric for metric in reading.model.metrics if metric.name in names and metric.name in _anchors(reading.model)
    ]
    if any(isinstance(m, Interval) for m in reading.model.metrics if m.name in names):
        told = [i for i, m in enumerate(reading.mentions) if m.is_word("median")]
        told += [i for i, m in enumerate(reading.mentions) if m.is_word("day_unit") and not any(reading.mentions[k].number for k in reading.near(i, -1, 1))]
        reading.claim(*told)  # the days between orders are its unit, the median is how it is counted
    if any(isinstance(m, Lifecycle) for m in reading.model.metrics if m.name in names):
        reading.claim(*(i for i, mention in enumerate(reading.mentions) if mention.is_word("step", "distribution")))
        whole = [m.name for m in reading.model.metrics if isinstance(m, Lifecycle) and m.name in names and not m.stage]
        parts = {m.name for m in reading.model.metrics if isinstance(m, Lifecycle) and m.stage} | set(newcomers(reading.model))
        _name_whole(reading, whole)
        if whole:  # 生命周期构成：新增、留存、回流、流失 names its rows
            reading.metrics = [targets for targets in reading.metrics if not {t.name for t in targets} & parts]
        reading.metrics = [
            targets for targets in reading.metrics if not any(t.name == reading.everyone for t in targets)
        ]
    anchors = {_anchors(reading.model)[metric.name] for metric in behaviours}
    anchors |= {metric.value for metric in behaviours if isinstance(metric, LifetimeValue)}  # 30天内人均贡献多少|成交额
    if not behaviours and not reading.steps:
        return
    if reading.steps:
        anchors |= set(_anchors(reading.model).values())
        anchors |= {reading.everyone or "", *people(reading.model)}  # 各步剩多少人: of each step
    kept = [targets for targets in reading.metrics if not {t.name for t in targets} & anchors]
    if kept and len(kept) < len(reading.metrics) and not _joined_metrics(reading):
        reading.metrics = kept
    elif reading.steps and not kept:
        reading.metrics = []
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("first_order", "since_entry") and reading.free(i):
            reading.claim(i)
        if mention.is_word("curve", "triangle") and not mention.of("metric") and behaviours:
            if not (mention.is_word("triangle") and _says_number(reading, names)):
                reading.own_key = PERIOD_NUMBER
                if not _says_number(reading, names):
                    reading.metrics = [_unnumbered(targets) for targets in reading.metrics]
            reading.claim(i)


def _name_whole(reading: Reading, whole: list[str]) -> None:
    """Read users split into all of the stages as the metric that has a row for each."""
    stages = {m.name for m in reading.model.metrics if isinstance(m, Lifecycle) and m.stage}
    names = {target.name for targets in reading.metrics for target in targets}
    every = next((m.name for m in reading.model.metrics if isinstance(m, Lifecycle) and not m.stage), None)
    if every is not None and not whole and names >= stages and reading.has_word("by"):
        reading.metrics.append((Target("metric", every),))
        whole.append(every)


def _of_newcomers(reading: Reading, metric: Retention) -> bool:
    """Say whether a cohort is of users by the day they came."""
    start = reading.model.anchor(metric)
    return bool(reading.model.dataset_by_name[start.dataset].entity)


def _unnumbered(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    return tuple(replace(target, name=target.name.partition("[")[0]) for target in targets)


def _says_number(reading: Reading, names: set[str]) -> bool:
    """Say whether a cohort metric is asked for one day (D7, next-day retention), so that weekly cohorts are rows of one rate each."""
    return any(
        (any(char.isdigit() for char in mention.text) or any(word in mention.text.lower() for word in words_of("next_day")))
        and any(t.name.partition("[")[0] in names for t in mention.of("metric"))
        for mention in reading.mentions
    )


def _anchors(model: Model) -> dict[str, str]:
    """Return the start metric of each cohort metric."""
    return {
        m.name: model.anchor(m).name
        for m in model.metrics
        if isinstance(m, Retention | LifetimeValue | RepurchaseWithin | Funnel)
    }


def _joined_metrics(reading: Reading) -> bool:
    """Say whether two metrics stand side by side: GMV and new users."""
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("and") and all(
            (k := reading.beside(i, step)) is not None and reading.mentions[k].of("metric") for step in (-1, 1)
        ):
            return True
    return False
