"""Owns the rules about cohorts told in plain words: which share of new users was back on, from or within a day after."""

from dataclasses import dataclass

from wenshu.assistant.linker import Target
from wenshu.assistant.naming import is_person
from wenshu.assistant.people import newcomers
from wenshu.assistant.question import normalise
from wenshu.assistant.reading import Reading, RetentionMode
from wenshu.semantic_layer.metric_parameters import MOST_DAYS, metric_spec
from wenshu.semantic_layer.metrics import LifetimeValue, Metric, Repurchase, RepurchaseWithin, Retention
from wenshu.semantic_layer.model import Model

SPANS = {"week_unit": 7, "weeks": 7, "months": 30}  # days of
FIRSTS = {"first_week": 7, "first_month": 30}
INSIDE = ("内", "里")
EACH = ("worth", "average", "per head", "per person", "apiece", "each", "人均", "平均", "每人", "每个人")
ONE = ("a", "one", "一", "一个")
REACH = 6  # mentions between the day and what was done on it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Day:
    """Hold the day after entry that is asked about, and the positions of its words."""

    number: int
    mode: RetentionMode
    used: frozenset[int]


def read_brackets(reading: Reading) -> None:
    """第8天到第14天之间回来过的比例, retention on days 8-14: back on any of several days after entry."""
    model, mentions = reading.model, reading.mentions
    within = next((m for m in model.metrics if isinstance(m, Retention) and m.mode == "within" and _is_of_activity(reading, m)), None)
    if within is None:
        return
    told = [k for k, m in enumerate(mentions) if m.is_word("entered", "since_entry") or _is_newcomer(reading, k)]
    rates = [k for k, m in enumerate(mentions) if any(_same_users(model, t, within) for t in m.of("metric"))]
    back = [k for k, m in enumerate(mentions) if m.is_word("stayed") or any(t.name == within.back for t in m.of("metric"))]
    if not rates and not (told and back):
        return
    for i in range(len(mentions)):
        first = _edge(reading, i, within)
        joint = reading.beside(max(first[1]), +1) if first else None
        if first is None or joint is None or not mentions[joint].is_word("to", *(("and",) if reading.has_word("between") else ())):
            continue
        j = next((k for k in reading.near(joint, +1, 2) if not mentions[k].is_word("day_unit")), None)
        last = _edge(reading, j, within) if j is not None else None
        if last is None or not (first[2] or last[2]) or not 0 <= first[0] < last[0] <= MOST_DAYS:
            continue
        reading.metrics.append((Target("metric", f"{within.name}[n={last[0]},from={first[0]}]"),))
        words = (k for k, m in enumerate(mentions) if m.is_word("share", "conversion", "between", "day_unit"))
        reading.claim(*first[1], *last[1], joint, *told, *rates, *back, *words)
        return


def _is_of_activity(reading: Reading, metric: Retention) -> bool:
    """Say whether a retention is of users by the day they came, by any activity."""
    model = reading.model
    return model.anchor(metric).dataset in _entities(reading) and not any(leaf.where for leaf in model.leaves(metric.back))


def _same_users(model: Model, target: Target, metric: Retention) -> bool:
    other = model.metric_by_name.get(target.name.partition("[")[0])
    return isinstance(other, Retention) and (other.start, other.back) == (metric.start, metric.back)


def _edge(reading: Reading, position: int, metric: Retention) -> tuple[int, set[int], bool] | None:
    """Return the day that a bracket begins or ends with, the positions of its words, and whether they say that it is a day."""
    mention = reading.mentions[position]
    for target in mention.of("metric"):
        if "[n=" in target.name and any(char.isdigit() for char in mention.text) and _same_users(reading.model, target, metric):
            return int(metric_spec(target.name)[1]["n"]), {position}, True
    if mention.number is None or mention.number != int(mention.number) or not reading.free(position):
        return None
    units = {k for k in (position - 1, position + 1) if 0 <= k < len(reading.mentions) and reading.mentions[k].is_word("day_unit")}
    return int(mention.number), {position, *units}, bool(units)


def read_staying(reading: Reading) -> None:
    """6月注册的用户14天后还活跃的比例, share of May sign-ups who came back within 7 days: retention in other words."""
    told = [i for i, m in enumerate(reading.mentions) if m.is_word("entered", "since_entry") or _is_newcomer(reading, i)]
    told += [k for i in told for k in reading.near(i, +1, 1) if reading.mentions[k].is_word("they")]  # 注册的那批人
    shares = [i for i, mention in enumerate(reading.mentions) if mention.is_word("share", "conversion", "how_many")]
    if reading.metrics or not told or not shares or any("[n=" in t.name for m in reading.mentions for t in m.of("metric")):
        return
    asks_share = reading.has_word("share", "conversion")
    for i in range(len(reading.mentions)):
        day = day_at(reading, i)
        if day is None:
            continue
        for k in _around(reading, day):
            name = _metric(reading, k, day)
            if name is not None and (asks_share or not reading.mentions[k].of("dataset")):
                reading.metrics.append((Target("metric", f"{name}[n={day.number}]"),))
                reading.claim(*(j for j in reading.near(k, -1, 1) if reading.mentions[j].is_word("both_of")))  # 又|回来
                reading.claim(*day.used, *told, *shares, k)
                reading.claim(*(j for j in range(len(reading.mentions)) if _metric(reading, j, day) == name))
                return


def read_buying_again(reading: Reading) -> None:
    """头一次下单的人60天里又买一次的比例, first-time buyers of May who ordered again within a month: repurchase in other words."""
    metric = next((m for m in reading.model.metrics if isinstance(m, RepurchaseWithin)), None)
    mentions = reading.mentions
    if metric is None or reading.metrics or any("[n=" in t.name for m in mentions for t in m.of("metric")):
        return
    told = [i for i, m in enumerate(mentions) if m.is_word("first_order") or (_is_newcomer(reading, i) and m.of("metric") and not _came(reading, i))]
    rates = {m.name for m in reading.model.metrics if isinstance(m, Repurchase)}
    again = [i for i, m in enumerate(mentions) if m.is_word("again") or any(t.name in rates for t in m.of("metric"))]
    shares = [i for i, m in enumerate(mentions) if m.is_word("share", "conversion", "how_many")]
    day = next((day for i in range(len(mentions)) if (day := day_at(reading, i)) is not None), None)
    if told and again and shares and day is not None and day.mode == "within":
        reading.metrics.append((Target("metric", f"{metric.name}[n={day.number}]"),))
        reading.claim(*told, *again, *shares, *day.used, *(i for i in range(len(mentions)) if is_person(reading, i)))


def read_cohort_value(reading: Reading) -> None:
    """注册后90天内平均每人花了多少钱, average spend of June sign-ups in their first 60 days: lifetime value in other words."""
    mentions, entities = reading.mentions, _entities(reading)
    metric = next((m for m in reading.model.metrics if isinstance(m, LifetimeValue) and reading.model.anchor(m).dataset in entities), None)
    if metric is None or reading.metrics or any("[n=" in t.name for m in mentions for t in m.of("metric")):
        return
    told = [i for i, m in enumerate(mentions) if m.is_word("entered", "since_entry") or _came(reading, i)]
    spent = [i for i in range(len(mentions)) if says_spending(reading, i)]
    each = [i for i in range(len(mentions)) if says_each(reading, i)]
    day = next((day for i in range(len(mentions)) if (day := day_at(reading, i)) is not None and day.mode != "on_or_after"), None)
    if told and spent and each and day is not None:
        reading.metrics.append((Target("metric", f"{metric.name}[n={day.number}]"),))
        first = (k for k in reading.near(min(day.used), -1, 1) if mentions[k].is_word("foremost", "most"))
        reading.claim(*told, *spent, *each, *day.used, *first, *(i for i, m in enumerate(mentions) if is_person(reading, i) or m.is_word("how_many")))


def says_spending(reading: Reading, position: int) -> bool:
    mention = reading.mentions[position]
    return mention.is_word("how_much") or any(reading.model.metric(t.name).unit == reading.model.currency for t in mention.of("metric"))


def says_each(reading: Reading, position: int) -> bool:
    """Say whether a mention asks for a number of each user: 人均, per head, worth."""
    mention = reading.mentions[position]
    return mention.is_word("each_of", "average") or any(word in mention.text.lower() for word in EACH)


def read_days(reading: Reading) -> None:
    """换成30日, LTV of May sign-ups after 120 days: a number of days that stands apart from its metric."""
    timed = [k for k, targets in enumerate(reading.metrics) if _takes_days(reading, targets)]
    alone = all(m.is_filler or m.number is not None or m.is_word("day_unit", "next_day", "within") for m in reading.mentions)
    apart = not reading.metrics and not reading.steps and (alone or reading.has_word("switch", "so", "only", "rolling"))
    if len(timed) != 1 and not apart:
        return
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("rolling") and reading.free(i):
            base = reading.metrics[timed[0]][0].name.partition("[")[0] if timed else ""
            if apart:
                reading.mode = "on_or_after"
            elif (name := in_mode(reading.model, reading.model.metric_by_name[base], "on_or_after")) is not None:
                reading.metrics[timed[0]] = (Target("metric", name),)
            reading.claim(i)
    for i, mention in enumerate(reading.mentions):
        said = mention.number is not None or mention.is_word("next_day", *FIRSTS) or _span(reading, i) is not None
        day = day_at(reading, i) if said and reading.free(i) else None
        if day is None:
            continue
        if apart:
            reading.days, reading.mode = day.number, reading.mode or day.mode
        else:
            base = reading.metrics[timed[0]][0].name.partition("[")[0]
            name = in_mode(reading.model, reading.model.metric_by_name[base], day.mode)
            if name is None:
                return
            reading.metrics[timed[0]] = (Target("metric", f"{name}[n={day.number}]"),)
        reading.claim(*day.used)
        return


def read_maturity(reading: Reading) -> None:
    """没满7天的不算, only those whose 7 days are over: what every rate of a cohort does anyway."""
    mentions = reading.mentions
    for i, mention in enumerate(mentions):
        days = {t.name for targets in reading.metrics for t in targets if f"[n={int(mention.number or 0)}" in t.name}
        if mention.number is None or not days or not reading.free(i):
            continue
        unit = next((k for k in reading.near(i, +1, 1) if mentions[k].is_word("day_unit")), None)
        before = [k for k in reading.near(i, -1, 2) if mentions[k].is_word("below", "at_least", "none", "only")]
        after = [k for k in reading.near(unit, +1, 2) if mentions[k].is_word("exclude", "exclude_tail", "only")] if unit else []
        if unit is not None and any(mentions[k].is_word("below", "at_least") for k in before) and (after or any(mentions[k].is_word("only") for k in before)):
            reading.claim(i, unit, *before, *after)
            return


def _takes_days(reading: Reading, targets: tuple[Target, ...]) -> bool:
    """Say whether a metric was named that has a number of days, and the words that named it say none."""
    named = [mention for mention in reading.mentions if mention.of("metric") == targets]
    metric = reading.model.metric_by_name[targets[0].name.partition("[")[0]]
    days = isinstance(metric, Retention | LifetimeValue | RepurchaseWithin)
    return days and not any(char.isdigit() for mention in named for char in mention.text)


def in_mode(model: Model, metric: Metric, mode: RetentionMode) -> str | None:
    """Return the metric's name or, of a retention, that of the one of the same users which counts the day so."""
    if not isinstance(metric, Retention):
        return metric.name
    alike = (m for m in model.metrics if isinstance(m, Retention) and (m.start, m.back) == (metric.start, metric.back))
    return next((m.name for m in alike if m.mode == mode), None)


def _is_newcomer(reading: Reading, position: int) -> bool:
    """Say whether a mention names those who came in the period (新用户, new users)."""
    starts = {reading.model.anchor(m).name for m in reading.model.metrics if isinstance(m, Retention)}
    mention = reading.mentions[position]
    return any(t.name in starts for t in mention.of("metric")) or any(t.value == "new" for t in mention.of("value"))


def _came(reading: Reading, position: int) -> bool:
    """Say whether a mention counts users by the day they came, not by that of their first order."""
    return any(target.name in set(newcomers(reading.model)) for target in reading.mentions[position].of("metric"))


def day_at(reading: Reading, position: int) -> _Day | None:
    """Return the day that begins at a position: 次日, 第14天后, within 7 days, day 30 or later."""
    mentions = reading.mentions
    used, number = {position}, mentions[position].number
    opening = next((days for word, days in FIRSTS.items() if mentions[position].is_word(word)), None)
    if mentions[position].is_word("next_day"):
        number = 1
    elif opening is not None:
        number = opening
    elif (span := _span(reading, position)) is not None:
        number, length = span
        used.update(range(position, position + length))
    elif number is None or not reading.free(position) or number != int(number):
        return None
    else:
        units = [k for k in (position - 1, position + 1) if 0 <= k < len(mentions) and mentions[k].is_word("day_unit")]
        if not units:
            return None
        used.update(units)
    first, last = min(used), max(used)
    around = [mentions[k] for k in (first - 1, last + 1) if 0 <= k < len(mentions)]
    following = mentions[last + 1].text if last + 1 < len(mentions) else ""
    words = [normalise(mentions[k].text) for k in used]
    inside = opening is not None or any(mark in word for word in (*words, following) for mark in INSIDE)
    if inside or any(mention.is_word("within") and not mention.is_word("or_later") for mention in around):
        mode: RetentionMode = "within"
    elif any(mention.is_word("or_later") for mention in around):
        mode = "on_or_after"
    else:
        mode = "on"
    joints = ("or_later", "within", "to", "goes_on", "at_least", "surpass")
    used.update(k for k in (first - 1, last + 1) if 0 <= k < len(mentions) and mentions[k].is_word(*joints))
    return _Day(number=int(number), mode=mode, used=frozenset(used))


def _span(reading: Reading, position: int) -> tuple[int, int] | None:
    """Return the days of 一周, two weeks, a month told at a position, and how many mentions tell them."""
    mentions = reading.mentions[position : position + 2]
    if len(mentions) < 2 or any(mention.time is not None for mention in mentions):
        return None
    unit = next((days for unit, days in SPANS.items() if mentions[1].is_word(unit)), None)
    before = reading.mentions[position - 1].text if position else ""
    number = 1.0 if mentions[0].text.lower() in ONE else mentions[0].number
    if unit is None or not number or number != int(number) or before == "第":
        return None
    return int(number) * unit, 2


def _around(reading: Reading, day: _Day) -> tuple[int, ...]:
    first, last = min(day.used), max(day.used)
    return (*reading.near(last, +1, REACH), *reading.near(first, -1, REACH))


def _metric(reading: Reading, position: int, day: _Day) -> str | None:
    """Return the retention that what stands at a position would be: of any activity, or of the rows named there."""
    mention, model = reading.mentions[position], reading.model
    named = {t.name for t in mention.of("metric", "dataset")}
    for metric in model.metrics:
        if not isinstance(metric, Retention) or model.anchor(metric).dataset not in _entities(reading):
            continue
        back = model.metric_by_name[metric.back]
        does = {back.name, *(leaf.dataset for leaf in model.leaves(back.name))}
        stays = mention.is_word("stayed") and not any(leaf.where for leaf in model.leaves(back.name))
        if metric.mode == day.mode and (stays or named & does):
            return metric.name
    return None


def _entities(reading: Reading) -> set[str]:
    return {dataset.name for dataset in reading.model.datasets if dataset.entity}
