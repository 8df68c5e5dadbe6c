"""Owns the rules about what users did not do: 没有下单, never bought, bought in September but not in October."""

from collections.abc import Iterator

from sqlglot import exp

from wenshu.assistant.linker import Target
from wenshu.assistant.naming import done_of, names_users, rows_counted, rows_of
from wenshu.assistant.people import newcomers, people
from wenshu.assistant.reading import Reading, UserCondition, ValueFilter
from wenshu.assistant.timephrases import TimePhrase
from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.query import Op


def read_none(reading: Reading, position: int) -> None:
    """没有下单, never bought: users whose own count is zero, over the period right before the words or the question's."""
    if _read_but_not(reading, position):
        return
    if not names_users(reading) and _names_other_things(reading):
        return  # 一件都没卖出去的商品: products, not users
    if not names_users(reading) and reading.metrics and _leaves_out_value(reading, position):
        return  # orders not placed on the web
    if _read_denied_value(reading, position):
        return
    counted_people = set(people(reading.model))
    others = [t for targets in reading.metrics for t in targets if t.name not in counted_people]
    denied = {t.name for k in reading.near(position, +1, 1) for t in reading.mentions[k].of("metric")}
    if not names_users(reading) and denied and {t.name for t in others} - denied:
        return  # how many orders had no |discount|: no number of users
    before = list(reading.near(position, -1, 2))
    if len(before) == 2 and reading.mentions[before[0]].is_word("or_later", "goes_on") and reading.mentions[before[1]].of("value"):
        return  # 结算之后没付钱的人: who did not go on, which is no number of their own
    for owner in (*reading.near(position, +1, 2), *_done_before(reading, position)):
        mention = reading.mentions[owner]
        done = done_of(reading, mention) if names_users(reading) else None
        counted = done.metric if done is not None else rows_of(reading, mention)
        metric = mention.of("metric") or ((counted,) if counted else ())
        doers = {name: leaf.dataset for name in people(reading.model) for leaf in reading.model.leaves(name)}
        two = len({p.period for p in reading.periods}) > 1
        if two and metric and metric[0].name in doers and not reading.is_people(mention):
            metric = rows_counted(reading.model, doers[metric[0].name]) or metric  # 没再|下单的用户
        if counted and not names_users(reading) and any(counted in reading.mentions[k].of("metric") for k in reading.near(position, -1, 1)):
            return  # how many orders were never paid
        if metric and not reading.is_people(mention):
            where = done.where if done is not None and not mention.of("metric") else ()
            period = next((p for p in reading.periods if _stands_after(reading, p, position)), None)
            period = period or next((p for p in reading.periods if _stands_before(reading, p, position)), None)
            ever = period is not None and len(reading.periods) == 1 and _dates_entry(reading, period)
            if ever:
                period = None
            if period is None and two:
                period = next((p for p in reading.periods if _stands_after(reading, p, owner)), None)
            if period is not None and (reading.users_with or two):
                reading.periods.remove(period)  # of this condition alone, not of the others
            reading.users_with.append(UserCondition(metric=metric, op=Op.EQ, value=0, period=period, where=where, ever=ever))
            reading.forget(metric)
            if period is not None and period not in reading.periods and reading.periods:
                _count_doers(reading, position, metric)
            named = {target.name for target in mention.of("dataset")}
            again = (
                k for k in reading.near(owner, +1, 1) if named & {t.name for t in reading.mentions[k].of("dataset")}
            )
            but = (k for k in reading.near(position, -1, 1) if reading.mentions[k].is_word("but"))
            reading.claim(position, owner, *again, *but)
            return


def _read_denied_value(reading: Reading, position: int) -> bool:
    """Read 从来没|退过货的买家 as those without such a row, 没|退款的订单 as the rows with another value."""
    following = reading.beside(position, +1)
    if following is None or reading.mentions[following].is_word("filler", "share"):
        return False
    model, mention = reading.model, reading.mentions[following]
    counted = [m for t in mention.of("metric") if isinstance(m := model.metric_by_name.get(t.name), Aggregate) and m.aggregation is Aggregation.COUNT]
    where = next((m.where for m in counted if m.where is not None), None)
    same = {(str(e.this), e.expression.name) for e in where.find_all(exp.EQ) if isinstance(e.expression, exp.Literal)} if where is not None else set()
    of_metric = tuple(
        Target("value", d.qualified, v.value) for d in model.dimensions for m in counted[:1]
        if d.dataset == m.dataset for v in d.values if (str(d.expr), str(v.value)) in same
    )  # fmt: skip
    values = of_metric if mention.of("metric") else mention.of("value")
    datasets = list(dict.fromkeys(t.name.rpartition(".")[0] for t in values))
    rows = rows_counted(model, datasets[0]) if datasets else ()
    doers = set(people(model, *datasets[:1])) if datasets else set()
    if not rows or model.dataset_by_name[datasets[0]].entity or done_of(reading, mention) is not None:
        return False
    denied = reading.mentions[position].is_word("exclude")
    if not denied and (names_users(reading) or any(t.name in doers for m in reading.mentions for t in m.of("metric"))):
        reading.users_with.append(UserCondition(metric=rows, op=Op.EQ, value=0, where=(ValueFilter(mentions=(values,)),)))
    elif not names_users(reading) and not reading.has_word("but"):
        reading.filters.append(ValueFilter(mentions=(values,), negated=True))
        if mention.of("metric") and not reading.metrics:
            reading.metrics.append(rows)
    else:
        return False
    reading.forget(mention.of("metric"))
    reading.claim(position, following)
    return True


def _read_but_not(reading: Reading, position: int) -> bool:
    """Read 打开了但没|点击, opened but not clicked: rows of the one kind that are not of the other."""
    model = reading.model
    sides = [[model.metric_by_name.get(t.name) for k in reading.near(position, step, 2) for t in reading.mentions[k].of("metric")] for step in (-1, +1)]
    kinds = [[m for m in side if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT and isinstance(m.where, exp.Column)] for side in sides]
    said = {t.name for k in reading.near(position, +1, 1) for t in reading.mentions[k].of("dimension")}
    kept, denied = next(iter(kinds[0]), None), [metric.where for metric in kinds[1][:1]]
    flags = (d for d in model.dimensions if kept is not None and d.dataset == kept.dataset and d.type == "boolean")
    flag = next((d for d in flags if d.name in said or d.expr in denied), None)
    if kept is None or flag is None or kept.where == flag.expr:
        return False
    reading.metrics = [(Target("metric", kept.name),)]
    reading.filters.append(ValueFilter(mentions=((Target("value", flag.qualified, False),),)))
    but = (k for k in reading.near(position, -1, 1) if reading.mentions[k].is_word("but"))
    reading.claim(position, *but, *(k for k in (*reading.near(position, +1, 1),)))
    return True


def _leaves_out_value(reading: Reading, position: int) -> bool:
    """Say whether a verb that is denied is followed by the value of its rows that is left out."""
    ahead = list(reading.near(position, +1, 2))
    if len(ahead) < 2 or rows_of(reading, reading.mentions[ahead[0]]) is None:
        return False
    return bool(reading.mentions[ahead[1]].of("value")) and not reading.mentions[ahead[1]].is_word("filler")


def _count_doers(reading: Reading, position: int, metric: tuple[Target, ...]) -> None:
    """Count those who did in one period what they did not do in another: bought in September but not in October."""
    datasets = {leaf.dataset for target in metric for leaf in reading.model.leaves(target.name)}
    earlier = [m for m in reading.mentions[:position] if datasets & {t.name for t in m.of("dataset")}]
    named = [m for m in reading.mentions[:position] if m.of("metric") and m.of("metric") in reading.metrics]
    if len(datasets) == 1 and (earlier or named) and not any(not reading.is_people(m) for m in named):
        doers = tuple(Target("metric", name) for name in people(reading.model, *datasets))
        reading.metrics = [doers] if doers else reading.metrics
    reading.claim(*(k for k, m in enumerate(reading.mentions[:position]) if m.is_word("but", "both_of") and not m.of("metric")))


def _names_other_things(reading: Reading) -> bool:
    """Say whether the question is about things that are no users and none of what they did: products, campaigns."""
    model = reading.model
    entities = {dataset.name for dataset in model.datasets if dataset.entity}
    done = {r.many for r in model.relationships if r.one in entities}
    counted = {
        m.dataset for m in model.metrics if isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT and m.where is None
        for mention in reading.mentions for t in mention.of("metric") if t.name == m.name
    }  # fmt: skip
    return any(name not in entities | done for name in counted | {t.name for m in reading.mentions for t in m.of("dataset")})


def _done_before(reading: Reading, position: int) -> Iterator[int]:
    """Yield the position of what was done before, where “but not” is followed by another period only."""
    following = next(iter(reading.near(position, +1, 1)), None)
    if following is not None and reading.mentions[following].time in reading.periods:
        counted = set(people(reading.model))
        for k in reading.near(position, -1, 4):
            if done_of(reading, reading.mentions[k]) is not None or any(t.name in counted for t in reading.mentions[k].of("metric")):
                yield k


def _stands_after(reading: Reading, phrase: TimePhrase, position: int) -> bool:
    """Say whether a period stands right after a position (but not|in October)."""
    after = reading.beside(position, +1)
    return after is not None and reading.mentions[after].time is phrase


def _dates_entry(reading: Reading, phrase: TimePhrase) -> bool:
    """Say whether a period is when the users came: registered|in H1|have never ordered."""
    position = next(k for k, mention in enumerate(reading.mentions) if mention.time is phrase)
    return reading.mentions[position].text.isascii() and any(
        reading.mentions[k].is_word("entered") or any(t.name in set(newcomers(reading.model)) for t in reading.mentions[k].of("metric"))
        for k in reading.near(position, -1, 1)
    )


def _stands_before(reading: Reading, phrase: TimePhrase, position: int) -> bool:
    """Say whether a period stands right before a position (最近60天|没有购买)."""
    before = reading.beside(position, -1)
    return before is not None and reading.mentions[before].time is phrase
