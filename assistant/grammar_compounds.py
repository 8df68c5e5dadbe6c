"""Owns the rule about what is said in one breath: 复购的|人数, 点击的|人数, 新用户|有多少|下单了, 活动|带来的|订单数.

Together the words mean one thing: a condition on users, another count, or a number that the model has not.
"""

from wenshu.assistant.linker import Target
from wenshu.assistant.naming import done_of, is_person
from wenshu.assistant.people import people, subject
from wenshu.assistant.reading import Reading, UserCondition
from wenshu.semantic_layer.metrics import Aggregate, Aggregation, Lifecycle, Ratio, Repurchase
from wenshu.semantic_layer.query import Op

JOINTS = ("", "的", "了", "过的")  # between two words of one thing
BRINGING = ("带来", "贡献", "产生", "带动", "拉动", "创造", "引来", "带了")


def read_compounds(reading: Reading) -> None:
    """复购的人数 is users with two orders, 活跃人数 is named already, 点击的人数 is a number the model has not."""
    for i, j in _pairs(reading):
        head, tail = reading.mentions[i].of("metric"), reading.mentions[j].of("metric")
        if reading.is_people(reading.mentions[j]) and _read_again(reading, i):
            reading.metrics = [targets for targets in reading.metrics if targets != tail]
        elif reading.is_people(reading.mentions[j]) and any(_counts_people(reading, target.name) for target in head):
            reading.metrics = [targets for targets in reading.metrics if targets != tail]
        elif reading.mentions[i].is_word("filler"):
            reading.metrics = [targets for targets in reading.metrics if targets != head]
        elif _are_rows(reading, i, j):
            _take_back(reading, i)
    for i in range(len(reading.mentions)):
        after = reading.beside(i, +1)
        if after is not None and is_person(reading, after) and _adjoin(reading, i, after) and i in reading.claimed:
            _read_again(reading, i)
        if (doers := _part_that_did(reading, i)) is not None:
            _take_back(reading, i)
            reading.metrics += [doers] if reading.mentions[i].of("value") else []
        elif _is_brought(reading, i) or _is_asked_in_money(reading, i):
            reading.claimed.discard(i)


def _read_again(reading: Reading, position: int) -> bool:
    """Read 复购 before people as a condition on them."""
    targets = reading.mentions[position].of("metric")
    metrics = [reading.model.metric_by_name.get(target.name) for target in targets]
    again = next((m for m in metrics if isinstance(m, Repurchase)), None)
    if again is None or targets not in reading.metrics:
        return False
    reading.users_with.append(UserCondition(metric=(Target("metric", again.of),), op=Op.GE, value=float(again.times)))
    reading.metrics.remove(targets)
    return True


def _part_that_did(reading: Reading, position: int) -> tuple[Target, ...] | None:
    """Return the metrics that count the part of some people who did something: 新用户|有多少|下单了."""
    after = list(reading.near(position, +1, 2))
    if len(after) < 2 or not any(_counts_people(reading, t.name) for t in reading.mentions[position].of("metric")):
        return None
    asked, verb = (reading.mentions[k] for k in after)
    if not asked.is_word("how_many") or asked.of("metric") or verb.of("metric") or is_person(reading, after[1]) or verb.text.isascii():
        return None
    done = done_of(reading, verb)
    datasets = [leaf.dataset for leaf in reading.model.leaves(done.metric.name)] if done is not None else []
    return tuple(Target("metric", name) for dataset in datasets for name in people(reading.model, dataset)) if datasets else None


def _is_asked_in_money(reading: Reading, position: int) -> bool:
    """Say whether a count of rows is asked for as money, which is another number: 没付款的订单|有多少钱."""
    after, targets = reading.beside(position, +1), reading.mentions[position].of("metric")
    if after is None or targets not in reading.metrics or not reading.mentions[after].is_word("how_much") or reading.mentions[after].of("metric"):
        return False
    named = [reading.model.metric_by_name.get(target.name) for target in targets]
    return all(isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT for m in named) and not reading.mentions[position].text.isascii()


def _is_brought(reading: Reading, position: int) -> bool:
    """Say whether a metric is only of what things of some kind brought, which no group or value of theirs says (活动带来的|订单数)."""
    targets = reading.mentions[position].of("metric")
    if position not in reading.claimed or targets not in reading.metrics or reading.has_word("which", "by", "rank", "most", "least"):
        return False
    nouns = [k for k, m in enumerate(reading.mentions[:position]) if m.of("dataset") and m.of("dimension")]
    if not nouns or reading.has_word("share") or any(m.of("value") for m in reading.mentions):
        return False
    between = reading.linked.text[reading.mentions[nouns[-1]].end : reading.mentions[position].start]
    own = {target.name for target in reading.mentions[nouns[-1]].of("dataset")}
    return between.startswith(BRINGING) and not any(leaf.dataset in own for t in targets for leaf in reading.model.leaves(t.name))


def _pairs(reading: Reading) -> list[tuple[int, int]]:
    """Return the positions of metrics that stand together in Chinese, with no more than 的 or 了 between them."""
    taken = [i for i, m in enumerate(reading.mentions) if i in reading.claimed and m.of("metric") and m.of("metric") in reading.metrics]
    return [
        (i, j) for i, j in zip(taken, taken[1:], strict=False)
        if _adjoin(reading, i, j) and reading.mentions[i].of("metric") != reading.mentions[j].of("metric")
        and not (reading.mentions[j].of("dimension", "value") and any(reading.mentions[k].number is not None for k in reading.near(j, +1, 3)))
    ]  # fmt: skip


def _adjoin(reading: Reading, i: int, j: int) -> bool:
    text, head, tail = reading.linked.text, reading.mentions[i], reading.mentions[j]
    return text[head.end : tail.start] in JOINTS and not head.text.isascii() and not tail.text.isascii()


def _are_rows(reading: Reading, *positions: int) -> bool:
    """Say whether all that is named are plain numbers of rows, rather than rates and cohorts of the people named before them."""
    named = [reading.model.metric_by_name.get(target.name) for i in positions for target in reading.mentions[i].of("metric")]
    return all(isinstance(metric, Aggregate | Repurchase | Ratio) for metric in named)


def _counts_people(reading: Reading, name: str) -> bool:
    model = reading.model
    metric = model.metric_by_name.get(name)
    by_row = isinstance(metric, Lifecycle) or isinstance(metric, Aggregate) and bool(model.dataset_by_name[subject(model, metric)].entity)
    return by_row or name in set(people(model))


def _take_back(reading: Reading, position: int) -> None:
    reading.metrics = [targets for targets in reading.metrics if targets != reading.mentions[position].of("metric")]
    reading.claimed.discard(position)
