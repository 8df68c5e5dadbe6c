"""Owns the rules about what users did and where they stand: 既搜索又加购, who never opened a push, the top 10% by spend."""

from collections.abc import Iterator

from wenshu.assistant.linker import Target
from wenshu.assistant.naming import Done, done_of, is_person, names_users, rows_counted, rows_of, spending
from wenshu.assistant.people import people
from wenshu.assistant.reading import MULTIPLIERS, Reading, UserCondition, ValueFilter
from wenshu.semantic_layer.metrics import Repurchase
from wenshu.semantic_layer.query import Op, Quantile


def read_standings(reading: Reading) -> None:
    """消费金额前20%的用户, top 10% spenders, users above the median by orders: users by their place among all."""
    for i, mention in enumerate(reading.mentions):
        if not reading.free(i):
            continue
        if mention.is_word("most", "least") and not mention.of("metric"):
            _read_top_share(reading, i)
        elif mention.is_word("above", "below"):
            _read_median(reading, i)
    for i, mention in enumerate(reading.mentions):
        entity = next((dataset.name for dataset in reading.model.datasets if dataset.entity), None)
        if mention.is_word("spenders") and reading.free(i) and entity is not None and reading.has_word("most", "least"):
            reading.metrics.append(spending(reading.model))  # who are our top 10 |spenders|
            reading.nouns.append(entity)
            reading.claim(i)


def _read_top_share(reading: Reading, position: int) -> None:
    number = reading.beside(position, +1)
    if number is None or reading.mentions[number].number is None or number + 1 >= len(reading.mentions):
        return
    percent = reading.mentions[number + 1]
    if not (percent.text.startswith("%") or any(MULTIPLIERS.get(target.name) == 0.01 for target in percent.targets)):
        return
    after = [k for k in reading.near(number + 1, +1, 3)]
    person = next((k for k in after[:2] if is_person(reading, k) or reading.mentions[k].is_word("spenders")), None)
    if person is None and names_users(reading) and all(reading.mentions[k].is_word("by") for k in after[:1]):
        person = number + 1  # which customers are in the top 10% by sales
    share = (reading.mentions[number].number or 0) / 100
    if person is None or not 0 < share < 1:
        return
    metric, used = _ranked_by(reading, position, person)
    if not metric:
        return
    least = reading.mentions[position].is_word("least")
    op, quantile = (Op.LE, share) if least else (Op.GE, 1 - share)
    reading.users_with.append(UserCondition(metric=metric, op=op, value=Quantile(share=round(quantile, 6))))
    reading.claim(position, number, number + 1, *used)
    if reading.mentions[person].is_word("spenders"):
        reading.claim(person)


def _ranked_by(reading: Reading, position: int, person: int) -> tuple[tuple[Target, ...], tuple[int, ...]]:
    """Return what the users are ranked by and the words that say so: right before, after “by”, else what they spend."""
    before = reading.beside(position, -1)
    if before is not None and (found := reading.mentions[before].of("metric")) and reading.free(before):
        earlier = reading.beside(before, -1)
        by = (earlier,) if earlier is not None and reading.mentions[earlier].is_word("by") else ()
        return found, (before, *by)
    for k in reading.near(person, +1, 2):
        if reading.mentions[k].is_word("by"):
            named = reading.beside(k, +1)
            if named is not None and (found := reading.mentions[named].of("metric")):
                return found, (k, named)
    return spending(reading.model), ()


def _read_median(reading: Reading, position: int) -> None:
    median = next((k for k in reading.near(position, +1, 2) if reading.mentions[k].is_word("median")), None)
    if median is None or not names_users(reading):
        return
    for k in (*reading.near(position, -1, 2), *reading.near(median, +1, 3)):
        if (metric := reading.mentions[k].of("metric")) and not reading.is_people(reading.mentions[k]):
            op = Op.GT if reading.mentions[position].is_word("above") else Op.LT
            reading.users_with.append(UserCondition(metric=metric, op=op, value=Quantile(share=0.5)))
            by = (j for j in reading.near(k, -1, 1) if reading.mentions[j].is_word("by"))
            reading.claim(position, median, k, *by)
            return


def read_doings(reading: Reading) -> None:
    """既搜索又加购的用户, users who both searched and added to cart, 加购但没下单: each thing done is a condition."""
    counted = set(people(reading.model))
    if not names_users(reading) and not any(t.name in counted for m in reading.mentions for t in m.of("metric")):
        return
    i = 0
    while i < len(reading.mentions):
        found = tuple(_doings(reading, i))
        last = found[-1][0] if found else i
        if len(found) > 1 and _are_conditions(reading, i, found):
            for _, done, negated in found:
                op, value = (Op.EQ, 0) if negated else (Op.GE, 1)
                reading.users_with.append(UserCondition(metric=(done.metric,), op=op, value=value, where=done.where))
            before = reading.beside(i, -1)
            reading.claim(*range(i, last + 1))
            while before is not None and reading.mentions[before].is_word("both_of", "who", "none"):
                reading.claim(before)
                before = reading.beside(before, -1)
        i = max(last, i) + 1
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("both_of", "in_both") and reading.free(i) and mention.text.isascii():
            _read_both_things(reading, i)


def _read_both_things(reading: Reading, position: int) -> None:
    """Read people who bought|both|phones and shoes: who did it with the one and with the other."""
    counted = set(people(reading.model))
    named = [t for k in reading.near(position, -1, 1) for t in reading.mentions[k].of("metric") if t.name in counted]
    done = rows_counted(reading.model, reading.model.leaves(named[0].name)[0].dataset) if named else ()
    for k in () if done else reading.near(position, -1, 1):
        done = (rows,) if (rows := rows_of(reading, reading.mentions[k])) is not None else ()
    things = list(reading.near(position, +1, 3))
    users = {dataset.name for dataset in reading.model.datasets if dataset.entity or dataset.is_segment}
    values = [tuple(t for t in reading.mentions[k].of("value") if t.name.rpartition(".")[0] not in users) for k in things]
    if len(things) < 3 or not done or not values[0] or not values[2] or not reading.mentions[things[1]].is_word("and"):
        return
    for value in (values[0], values[2]):
        reading.users_with.append(UserCondition(metric=done, op=Op.GE, value=1, where=(ValueFilter(mentions=(value,)),)))
    reading.claim(position, *things)


def _doings(reading: Reading, start: int) -> Iterator[tuple[int, Done, bool]]:
    """Yield (position, what was done, whether it was not) of the things done that follow each other from `start` on."""
    if (first := _done_at(reading, start)) is None:
        return
    negated = any(reading.mentions[k].is_word("none") for k in reading.near(start, -1, 1))
    here, first = _with_things(reading, start, first)
    yield here, first, negated
    negated, joined = False, False
    while (following := reading.beside(here, +1)) is not None and reading.free(following):
        here = following
        mention = reading.mentions[here]
        if (done := _done_at(reading, here)) is not None:
            if negated and not joined and done.metric == first.metric:
                return  # placed|no|orders: one thing, not done
            here, done = _with_things(reading, here, done)
            yield here, done, negated
            negated, joined = False, False
        elif mention.is_word("none"):
            negated = True
        elif mention.is_word("and", "both_of", "but"):
            joined = True
        else:
            return


def _with_things(reading: Reading, position: int, done: Done) -> tuple[int, Done]:
    """Return where what was done ends and what it was done with, as far as values right after it say (买过|手机数码)."""
    users = {dataset.name for dataset in reading.model.datasets if dataset.entity or dataset.is_segment}
    for k in reading.near(position, +1, 1):
        targets = tuple(t for t in reading.mentions[k].of("value") if t.name.rpartition(".")[0] not in users)
        if targets and not done.where and reading.free(k) and not reading.mentions[k].of("metric", "dataset"):
            return k, Done(metric=done.metric, where=(ValueFilter(mentions=(targets,)),))
    return position, done


def _done_at(reading: Reading, position: int) -> Done | None:
    mention = reading.mentions[position]
    if not reading.free(position) or is_person(reading, position):
        return None
    if buyers := [t for t in mention.of("metric") if t.name in set(people(reading.model))]:
        return Done(metric=buyers[0])
    if mention.is_word("again"):
        bought = next((m.of for m in reading.model.metrics if isinstance(m, Repurchase)), None)
        return Done(metric=Target("metric", bought)) if bought else None
    return done_of(reading, mention)


def _are_conditions(reading: Reading, first: int, found: tuple[tuple[int, Done, bool], ...]) -> bool:
    """Say whether all of it is said of the users: by 既…又, both, a thing not done, or after “who”."""
    last = found[-1][0]
    before = reading.beside(first, -1)
    leads = before is not None and reading.mentions[before].is_word("both_of", "who")
    inside = any(reading.mentions[k].is_word("both_of", "none", "but") for k in range(first, last))
    again = any(reading.mentions[k].is_word("again") for k in range(first, last)) and all(done.where for _, done, _ in found)
    return leads or inside or again or any(negated for _, _, negated in found)
