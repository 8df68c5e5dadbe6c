"""Owns the rule about people who were there in one period and not in another, or were there and did not do something."""

from wenshu.assistant.grammar_behaviour import period_beside
from wenshu.assistant.linker import Target
from wenshu.assistant.naming import done_of, is_person, rows_counted
from wenshu.assistant.people import newcomers
from wenshu.assistant.reading import Reading, UserCondition
from wenshu.assistant.timephrases import TimePhrase
from wenshu.semantic_layer.metrics import Lifecycle, PeriodReturn
from wenshu.semantic_layer.query import Op

HOW_MANY = ("多少", "几", "how many")
LONGER = 3  # days by which one month may be longer than the next


def read_presence(reading: Reading) -> None:
    """8月来过9月就不来了的人, active in August but not in September, 9月来过但没下单: who was there, and not there or did nothing."""
    stages = {m.stage: m for m in reading.model.metrics if isinstance(m, Lifecycle) and m.stage}
    if "dormant" not in stages or "resurrecting" not in stages:
        return
    active = stages["dormant"].of
    returned = stages["resurrecting"].name
    here = [i for i, m in enumerate(reading.mentions) if m.is_word("was_here", "was_active", "stayed") or _names(reading, i, active, returned)]
    away = [i for i in range(len(reading.mentions)) if _is_away(reading, i) or _names(reading, i, stages["dormant"].name)]
    denied = {i for i in away if i in here}
    denied |= {k for i in away for k in reading.near(i, +1, 1) if reading.mentions[i].is_word("none") and k in here}
    here = [i for i in here if i not in denied]
    periods = {phrase.period: phrase for phrase in reading.periods if phrase.period is not None}
    if len(periods) != 2:
        if not away and not periods.keys() - {p.period for p in reading.periods[:1]}:
            _read_idle(reading, here, active)
        return
    gone = period_beside(reading, away[0]) if away and (here or denied) else None
    if gone is None or not here or reading.users_with or reading.numbers:
        return
    there = next(phrase for phrase in periods.values() if phrase.period != gone.period)
    counts = {active, returned, stages["dormant"].name, *newcomers(reading.model), reading.everyone}
    if any(not {t.name for t in targets} & counts for targets in reading.metrics):
        return
    back = any("又" in reading.mentions[i].text or reading.mentions[i].is_word("stayed") or _names(reading, i, returned) for i in here)
    used = [i for i, m in enumerate(reading.mentions) if m.is_word("but", "both_of") or (is_person(reading, i) and not m.of("value"))]
    reading.claim(*here, *away, *denied, *used)
    shares = [i for i, m in enumerate(reading.mentions) if m.is_word("share")]
    if _follows(gone, there) and shares:
        lost = next((m.name for m in reading.model.metrics if isinstance(m, PeriodReturn) and m.lost and m.of == active), active)
        reading.metrics, reading.periods = [(Target("metric", lost),)], [gone]
        reading.claim(*shares)
        return
    if back and _follows(there, gone) and not shares:
        reading.metrics, reading.periods = [(Target("metric", returned),)], [there]
        return
    rows = rows_counted(reading.model, reading.model.leaves(active)[0].dataset)
    reading.metrics, reading.periods = [(Target("metric", active),)], [there]
    reading.users_with.append(UserCondition(metric=rows, op=Op.EQ, value=0, period=gone))
    reading.shares_part = bool(shares)


def read_doers_among(reading: Reading) -> None:
    """9月新增用户里下单的有多少, how many new users in September ordered: of people counted by one thing, those who did another."""
    model, mentions = reading.model, reading.mentions
    entered = [i for i, m in enumerate(mentions) if m.is_word("entered")]
    among = reading.asks_how_many or reading.has_word("who") or any(word in m.text.lower() for m in mentions for word in HOW_MANY)
    came = [tuple(Target("metric", name) for name in newcomers(model))] if entered and not reading.metrics else []
    if len(reading.metrics or came) != 1 or reading.users_with or reading.steps or reading.numbers or reading.has_word("none", "again", "since_entry"):
        return
    (counted,) = reading.metrics or came
    if not among:
        return
    groups = {*newcomers(model), *(m.name for m in model.metrics if isinstance(m, Lifecycle) and m.stage)}
    active = {m.of for m in model.metrics if isinstance(m, Lifecycle)}
    groups |= active
    leaves = {leaf.dataset for name in active for leaf in model.leaves(name)} | {leaf.dataset for target in counted for leaf in model.leaves(target.name)}
    for i, mention in enumerate(mentions):
        if mention.of("metric") or mention.is_word("entered") or not reading.free(i) or not all(target.name in groups for target in counted):
            continue
        done = done_of(reading, mention)
        if done is None or done.where or {leaf.dataset for leaf in model.leaves(done.metric.name)} & leaves:
            continue
        period = period_beside(reading, i) if len({p.period for p in reading.periods}) > 1 else None
        if period is not None:
            reading.periods.remove(period)
        reading.users_with.append(UserCondition(metric=(done.metric,), op=Op.GE, value=1, period=period))
        reading.metrics = [counted]
        reading.claim(i, *entered, *(k for k in range(len(mentions)) if reading.is_people(mentions[k]) or mentions[k].is_word("who")))
        return


def _read_idle(reading: Reading, here: list[int], active: str) -> None:
    """Read 9月来过但一单都没下: of those who were there, the ones that did nothing."""
    for i in here:
        denies = (k for k in range(i + 1, len(reading.mentions)) if reading.mentions[k].is_word("none"))
        if reading.mentions[i].is_word("was_active") and reading.free(i) and next(denies, None) is not None:
            if all(any(t.name == reading.everyone for t in targets) for targets in reading.metrics):
                reading.metrics = [(Target("metric", active),)]
                reading.claim(i, *(k for k in range(len(reading.mentions)) if is_person(reading, k)))
            return


def _names(reading: Reading, position: int, *metrics: str) -> bool:
    mention = reading.mentions[position]
    return not reading.is_people(mention) and any(target.name in metrics for target in mention.of("metric"))


def _is_away(reading: Reading, position: int) -> bool:
    """Say whether a mention says that someone was not there: 没再来, never came back, not|in September."""
    mention = reading.mentions[position]
    if mention.is_word("was_away"):
        return True
    after = reading.beside(position, +1)
    if not mention.is_word("none") or after is None:
        return False
    following = reading.mentions[after]
    return following.time in reading.periods or following.is_word("was_here", "was_active", "stayed")


def _follows(later: TimePhrase, earlier: TimePhrase) -> bool:
    """Say whether a period comes right after another one of its length."""
    first, second = earlier.period, later.period
    return first is not None and second is not None and (second.start - first.end).days == 1 and abs(second.days - first.days) <= LONGER
