"""Owns the rules about behavioural metrics: the steps of a funnel, cohorts and their curves."""

from dataclasses import replace

from wenshu.assistant.linker import Target
from wenshu.assistant.reading import Reading
from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP, PERIOD_NUMBER
from wenshu.semantic_layer.metrics import Funnel, Lifecycle, LifetimeValue, PeriodReturn, RepurchaseWithin, Retention
from wenshu.semantic_layer.model import Model


def read_funnel(reading: Reading) -> None:
    """从注册到加购再到结算, checkout to pay: the steps of a funnel, its window, and whether each step is a row."""
    funnel = next((metric for metric in reading.model.metrics if isinstance(metric, Funnel)), None)
    if funnel is None:
        return
    known = {step.name for step in (*funnel.steps, *funnel.choices)}
    best: list[tuple[int, str]] = []
    for i in range(len(reading.mentions)):
        chain = _chain(reading, i, known)
        best = chain if len(chain) > len(best) else best
    named = any(target.name.partition("[")[0] == funnel.name for targets in reading.metrics for target in targets)
    if len(best) < 2 and not named:
        return
    lost = {m.name for m in reading.model.metrics if isinstance(m, PeriodReturn)}
    for i, mention in enumerate(reading.mentions):
        if mention.of("metric") in reading.metrics and any(t.name in lost for t in mention.of("metric")):
            reading.metrics.remove(mention.of("metric"))  # 从加购到结算的流失率 is no churn of users: ask
            reading.claimed.discard(i)
    reading.steps = [name for _, name in best] if len(best) > 1 else []
    if reading.steps:
        for i, mention in enumerate(reading.mentions):
            if any(target.value in reading.steps for target in mention.of("value")):
                reading.claim(i)
        span = range(best[0][0], best[-1][0] + 1)
        reading.claim(
            *(i for i in span if reading.mentions[i].number is None and not reading.mentions[i].is_word("day_unit"))
        )
        reading.metrics = [targets for targets in reading.metrics if not _named_step(targets, reading, best)]
    reading.window = _window(reading)
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("step", "conversion", "share", "to") and not mention.of("metric"):
            reading.claim(i)
        if mention.is_word("step"):
            reading.own_key = FUNNEL_STEP
    if named and not any(mention.is_word("conversion") for mention in reading.mentions):
        reading.own_key = FUNNEL_STEP


def _chain(reading: Reading, start: int, known: set[str]) -> list[tuple[int, str]]:
    """Return the step values from a position on that are joined by 到/→/to/then, each with its position."""
    name = next((t.value for t in reading.mentions[start].of("value") if t.value in known), None)
    if name is None:
        return []
    chain, here = [(start, str(name))], start
    while True:
        joint = reading.beside(here, +1)
        if joint is None or not reading.mentions[joint].is_word("to", "and"):
            return chain
        while (following := reading.beside(joint, +1)) is not None and (
            reading.mentions[following].is_word("to", "so", "day_unit")
            or reading.mentions[following].number is not None
        ):
            joint = following
        if following is None:
            return chain
        step = next((t.value for t in reading.mentions[following].of("value") if t.value in known), None)
        step = step or _step_within(reading, following)
        if step is None:
            return chain
        chain.append((following, str(step)))
        here = following


def _step_within(reading: Reading, position: int) -> str | None:
    """Return the step that a longer metric's name begins with (结算到|支付转化率)."""
    mention = reading.mentions[position]
    if not mention.of("metric") or mention.of("value"):
        return None
    for metric in reading.model.metrics:
        for step in (*metric.steps, *metric.choices) if isinstance(metric, Funnel) else ():
            if mention.text.startswith(step.label.zh) and mention.text != step.label.zh:
                return step.name
    return None


def _named_step(targets: tuple[Target, ...], reading: Reading, chain: list[tuple[int, str]]) -> bool:
    inside = [m for i, m in enumerate(reading.mentions) if chain[0][0] <= i <= chain[-1][0]]
    return any(mention.of("metric") == targets for mention in inside)


def _window(reading: Reading) -> int | None:
    """Return the days of “within 7 days” or “1天内”, claiming the words."""
    for i, mention in enumerate(reading.mentions):
        if mention.number is None or not reading.free(i):
            continue
        following = i + 1
        if following < len(reading.mentions) and reading.mentions[following].is_word("day_unit"):
            reading.claim(i, following)
            before = reading.beside(i, -1)
            if before is not None and reading.mentions[before].is_word("at_most", "within"):
                reading.claim(before)
            return int(mention.number)
    return None


def read_returns(reading: Reading) -> None:
    """8月的买家在9月又买的比例, August buyers who bought again in September: who came back from one period to the next."""
    again = [i for i, mention in enumerate(reading.mentions) if mention.is_word("again") and reading.free(i)]
    ranges = [phrase.period for phrase in reading.periods if phrase.period is not None]
    if not again or len(ranges) != 2 or (ranges[1].start - ranges[0].end).days != 1:
        return
    for metric in reading.model.metrics:
        if isinstance(metric, PeriodReturn) and not metric.lost:
            reading.metrics = [(Target("metric", metric.name),)]
            reading.periods = [reading.periods[1]]
            reading.share = False
            words = [i for i, m in enumerate(reading.mentions) if m.of("metric") or m.is_word("share", "conversion")]
            reading.claim(*again, *words)
            return


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
            number = reading.beside(before, -1) if word.is_word("day_unit") else None
            if number is None or reading.mentions[number].number is None or not reading.free(number):
                break
            found.append((int(reading.mentions[number].number or 0), [number, before]))
            here = number
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
    if any(isinstance(m, Lifecycle) for m in reading.model.metrics if m.name in names):
        reading.claim(*(i for i, mention in enumerate(reading.mentions) if mention.is_word("step")))
        reading.metrics = [
            targets for targets in reading.metrics if not any(t.name == reading.everyone for t in targets)
        ]
    anchors = {_anchors(reading.model)[metric.name] for metric in behaviours}
    if not behaviours and not reading.steps:
        return
    if reading.steps:
        anchors |= set(_anchors(reading.model).values())
    kept = [targets for targets in reading.metrics if not {t.name for t in targets} & anchors]
    if kept and len(kept) < len(reading.metrics) and not _joined_metrics(reading):
        reading.metrics = kept
    elif reading.steps and not kept:
        reading.metrics = []
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("first_order") and reading.free(i):
            reading.claim(i)
        if mention.is_word("curve", "triangle") and not mention.of("metric") and behaviours:
            if not (mention.is_word("triangle") and _says_number(reading, names)):
                reading.own_key = PERIOD_NUMBER
                if not _says_number(reading, names):
                    reading.metrics = [_unnumbered(targets) for targets in reading.metrics]
            reading.claim(i)


def _of_newcomers(reading: Reading, metric: Retention) -> bool:
    """Say whether a cohort is of users by the day they came."""
    start = reading.model.anchor(metric)
    return bool(reading.model.dataset_by_name[start.dataset].entity)


def _unnumbered(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    return tuple(replace(target, name=target.name.partition("[")[0]) for target in targets)


def _says_number(reading: Reading, names: set[str]) -> bool:
    """Say whether a cohort metric is asked for one day (D7 retention), so that weekly cohorts are rows of one rate each."""
    return any(
        any(char.isdigit() for char in mention.text)
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
