"""Owns the rules about comparisons with a number: of result rows, of an attribute, of a user's own metric."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlglot import exp

from wenshu.assistant.grammar_none import read_none
from wenshu.assistant.grammar_time import BUCKETS
from wenshu.assistant.linker import Mention, Target
from wenshu.assistant.naming import done_of, is_person, names_users, rows_counted, rows_of, spending
from wenshu.assistant.people import people
from wenshu.assistant.reading import (
    COMPARED_BY,
    JOINING,
    MULTIPLIERS,
    Bound,
    NumberCondition,
    Reading,
    UserCondition,
    ValueFilter,
)
from wenshu.semantic_layer.metrics import Aggregate, Aggregation
from wenshu.semantic_layer.query import Op, Where

MONEY_SIGNS = ("¥", "￥", "$")  # noqa: RUF001
GREATER = ("高", "多", "大", "higher", "more")
TOO_MANY = 10_000  # bare, after a verb, an amount of money rather than a count of what was done
LARGE = 100  # a number that 过 compares with, rather than counts what was done


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Hold a number of the question, or two with what joins them, and the positions of its words.

    `dimension` is the attribute that its unit names (25岁, 5 stars), `is_money` says that the unit is a currency.
    """

    value: float
    high: float | None
    first: int
    last: int
    dimension: str | None = None
    counted: bool = False
    is_money: bool = False
    in_days: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Hold what a comparison belongs to: a metric or an attribute, and where it is named."""

    position: int
    metric: tuple[Target, ...] = ()
    dimension: str | None = None
    where: tuple[ValueFilter, ...] = ()


def read_conditions(reading: Reading) -> None:
    """超过100万, at least 3, 25到34岁, 5星, above average: of the metric or the attribute beside."""
    for i, mention in enumerate(reading.mentions):
        if mention.number is not None and reading.free(i):
            if not _is_included(reading, i):
                _read_number(reading, i)
        elif mention.is_word("negative", "positive") and reading.free(i) and (owner := _owner(reading, i, i, None)) is not None and _has_sign(reading, owner):
            op = Op.LT if mention.is_word("negative") else Op.GT
            reading.numbers.append(NumberCondition(metric=owner.metric, op=op, value=0.0, span=(i, i)))
            reading.claim(i)
        elif mention.is_word("versus") and (beside := list(reading.near(i, +1, 2))):
            kind, more = _benchmark(reading, i, beside[0]), reading.mentions[beside[-1]]
            if kind and len(beside) == 2 and more.is_word("more") and (owner := _owner(reading, i, i, None)) is not None and owner.metric:
                op = Op.GT if more.text.lower() in GREATER else Op.LT
                reading.numbers.append(NumberCondition(metric=owner.metric, op=op, value=kind, span=(i, beside[1])))
                reading.claim(i, *beside)
                reading.versus = False  # 比|平均|高
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("above", "below") and reading.free(i):
            for j in reading.near(i, +1, 3):
                kind = _benchmark(reading, i, j)
                if kind is not None and (owner := _owner(reading, i, j, None)) is not None and owner.metric:
                    op = Op.GT if mention.is_word("above") else Op.LT
                    reading.numbers.append(NumberCondition(metric=owner.metric, op=op, value=kind, span=(i, j)))
                    reading.claim(*(k for k in range(i, j + 1) if k in (i, j) or reading.mentions[k].of("dimension")))
                    break


def _is_included(reading: Reading, position: int) -> bool:
    """Claim a number that is only said to be included: 3单以上(含|3|单)."""
    for number in reading.numbers:
        said = reading.linked.text[: reading.mentions[position].start].rstrip().endswith(("含", "including", "includes", "incl.", "inclusive of"))
        if said and number.value == reading.mentions[position].number and number.op in (Op.GE, Op.LE):
            reading.claim(position, _unit(reading, position)[0])
            return True
    return False


def _has_sign(reading: Reading, owner: Owner) -> bool:
    """Say whether a metric can be below zero, which a count or a sum of the model's is not."""
    return bool(owner.metric) and not isinstance(reading.model.metric(owner.metric[0].name), Aggregate)


def _read_number(reading: Reading, position: int) -> None:
    amount = _amount(reading, position)
    op, used = _comparison(reading, amount)
    span = (min(used, default=amount.first), max(used, default=amount.last))
    owner = _owner(reading, min(amount.first, span[0]), max(amount.last, span[1]), amount)
    if op is None and owner is not None and _means_exactly(reading, amount, owner):
        op = Op.EQ
    if owner is None or owner.metric:
        positions = (*range(amount.first, amount.last + 1), *used)
        reading.bound = Bound(value=amount.value, high=amount.high, op=op, metric=owner.metric if owner else (), positions=positions)
    if op is None or owner is None:
        return
    days = _days_done(reading, owner.metric) if amount.in_days else ()
    if days and len(reading.metrics) > 1:
        reading.metrics = [targets for targets in reading.metrics if targets != owner.metric]
    owner = replace(owner, metric=days) if days else owner
    if _says_times(reading.mentions[amount.last]) and owner.metric and owner.metric[0].name in set(people(reading.model)):
        datasets = [leaf.dataset for leaf in reading.model.leaves(owner.metric[0].name)]
        owner = replace(owner, metric=rows_counted(reading.model, datasets[0]) or owner.metric)  # users who ordered|more than 3 times
    first, last = min(amount.first, span[0]), max(amount.last, span[1])
    if owner.dimension:
        first, last = min(first, owner.position), max(last, owner.position)
    reading.numbers.append(
        NumberCondition(
            metric=owner.metric, dimension=owner.dimension, op=op, value=amount.value, high=amount.high,
            span=(min(first, owner.position), max(last, owner.position)), counted=amount.counted or _counts_noun(reading, owner, last), of_users=bool(days), where=owner.where,
        )
    )  # fmt: skip
    reading.claim(*range(amount.first, amount.last + 1), *used)
    if owner.dimension:
        for targets in list(reading.metrics):  # 金额大于500元的订单: what was read as a metric is the attribute
            if reading.mentions[owner.position].of("metric") == targets:
                reading.metrics.remove(targets)
    if owner.dimension or not reading.mentions[owner.position].of("metric"):
        reading.claim(owner.position)
    unit = reading.mentions[amount.last]
    if _says_times(unit) and amount.last != owner.position and unit.of("metric") in reading.metrics:
        reading.metrics.remove(unit.of("metric"))  # how many users bought at least 3 |times|
    following = last + 1
    if owner.dimension and following < len(reading.mentions):
        if any(target.name == owner.dimension for target in reading.mentions[following].of("dimension")):
            reading.claim(following)


def _amount(reading: Reading, position: int) -> Amount:
    """Return the number at a position with its multiplier, its unit, and the second one of a range."""
    value, last = _multiplied(reading, position)
    last, unit = _unit(reading, last)
    high: float | None = None
    joint = reading.beside(last, +1)
    before = reading.beside(position, -1)
    between = before is not None and reading.mentions[before].is_word("between")
    if joint is not None and reading.mentions[joint].is_word("to", "or", "and"):
        other = reading.beside(joint, +1)
        ranged = between or reading.mentions[joint].is_word("to")
        if other is not None and reading.mentions[other].number is not None and (ranged or _are_neighbours(reading, value, other)):
            high, last = _multiplied(reading, other)
            last, second = _unit(reading, last)
            unit = second or unit
    dimension = next(iter(_attributes(reading, unit)), None) if unit is not None else None
    return Amount(
        value=value, high=high, first=position, last=last, dimension=dimension,
        counted=(unit or reading.mentions[position]).is_word("count_word"), is_money=unit is not None and unit.is_word("money") or _has_sign_of_money(reading, position),
        in_days=unit is not None and unit.is_word("day_unit"),
    )  # fmt: skip


def _has_sign_of_money(reading: Reading, position: int) -> bool:
    return reading.linked.text[: reading.mentions[position].start].rstrip().endswith(MONEY_SIGNS)


def _are_neighbours(reading: Reading, value: float, other: int) -> bool:
    """Say whether a number with an attribute as its unit is the next one: 4 or 5 stars."""
    unit = _unit(reading, other)[1]
    return reading.mentions[other].number == value + 1 and unit is not None and bool(_attributes(reading, unit))


def _multiplied(reading: Reading, position: int) -> tuple[float, int]:
    """Return the number at a position with the multiplier that follows it, and the last position used."""
    value = reading.mentions[position].number or 0.0
    following = position + 1
    if following < len(reading.mentions) and reading.mentions[following].start - reading.mentions[position].end <= 1:
        for target in reading.mentions[following].targets:
            if target.name in MULTIPLIERS:
                return value * MULTIPLIERS[target.name], following
    return value, position


def _unit(reading: Reading, position: int) -> tuple[int, Mention | None]:
    """Return the position of the unit right after a number (元, 次, 岁, yuan, years old) and the unit, if there is one."""
    following = position + 1
    if following < len(reading.mentions):
        mention = reading.mentions[following]
        adjacent = mention.start - reading.mentions[position].end <= 2
        if adjacent and (mention.is_word("count_word", "money") or _attributes(reading, mention)):
            return following, mention
        before = reading.beside(position, -1)
        compared = before is not None and _op(reading.mentions[before]) is not None
        if adjacent and compared and mention.is_word("day_unit") and reading.mentions[position].number is not None:
            return following, mention  # 活跃天数超过10|天
    return position, None


def _attributes(reading: Reading, mention: Mention) -> list[str]:
    """Return the numeric attributes that a mention names."""
    numeric = {d.name for d in reading.model.dimensions if d.type in ("number", "date")}
    return [target.name for target in mention.of("dimension") if target.name in numeric]


def _counts_noun(reading: Reading, owner: Owner, last: int) -> bool:
    """Say whether a number stands right before the English noun it counts: two or more orders."""
    return owner.position == last + 1 and reading.mentions[owner.position].text.isascii()


def _comparison(reading: Reading, amount: Amount) -> tuple[Op | None, set[int]]:
    """Return how an amount is compared, and the positions of the words that say so."""
    before, after = reading.beside(amount.first, -1), reading.beside(amount.last, +1)
    if amount.high is not None:
        around = before is not None and reading.mentions[before].is_word("between")
        return Op.BETWEEN, {before} if around and before is not None else set()
    for beside in (before, after):
        if beside is None or not reading.free(beside):
            continue
        mention = reading.mentions[beside]
        op = _op(mention)
        if beside == before:
            op = next((JOINING[t.name] for t in mention.targets if t.name in JOINING), op)
        if op is not None and not (op is Op.EQ and mention.is_word("filler") and not (mention.is_word("exactly") and beside == before)):
            return op, {beside}
    earlier = reading.beside(before, -1) if before is not None and done_of(reading, reading.mentions[before]) is not None else None
    if earlier is not None and reading.free(earlier) and (op := _op(reading.mentions[earlier])) not in (None, Op.EQ):
        return op, {earlier}  # 至少|买过|3次
    if amount.value >= LARGE and amount.first and reading.mentions[amount.first - 1].is_word("surpass"):
        return Op.GT, {amount.first - 1}  # 成交额过十万, but not 下过3单
    return None, set()


def _op(mention: Mention) -> Op | None:
    return next((COMPARED_BY[t.name] for t in mention.targets if t.name in COMPARED_BY), None)


def _owner(reading: Reading, first: int, last: int, amount: Amount | None) -> Owner | None:
    """Return what a comparison belongs to: its unit, else the word right after it, before it, or after it further on."""
    if amount is not None and amount.dimension:
        return Owner(position=amount.last, dimension=amount.dimension)
    if amount is not None and first < amount.first and (adjective := _attributes(reading, reading.mentions[first])):
        return Owner(position=first, dimension=adjective[0])  # older than 45
    before = reading.beside(first, -1)
    if (
        before is not None
        and (first < (amount.first if amount else last) or (amount is not None and amount.high is not None and not amount.counted))
        and _attributes(reading, reading.mentions[before])
        and not (reading.mentions[before].of("metric") and names_users(reading))
    ):
        return Owner(position=before, dimension=_attributes(reading, reading.mentions[before])[0])  # aged under 25, aged 25 to 34
    right_after = [last + 1] if last + 1 < len(reading.mentions) and _adjoins(reading, last) else []
    inside = range(first + 1, amount.first) if amount is not None else ()  # 至少|买过|3次
    for i in (*inside, *right_after, *reading.near(first, -1, 3), *reading.near(last, +1, 2)):
        if i in reading.claimed and not reading.mentions[i].of("metric"):
            continue
        mention = reading.mentions[i]
        if mention.is_word("how_much") and not mention.of("metric") and names_users(reading) and (spent := spending(reading.model)):
            return Owner(position=i, metric=spent)  # 花了|超过5000块的人
        attribute = next(iter(_attributes(reading, mention)), None)
        if attribute and not (mention.of("metric") and (reading.has_groups or names_users(reading))):
            return Owner(position=i, dimension=attribute)
        if mention.of("metric") and not (amount is not None and amount.is_money and is_person(reading, i)):
            return Owner(position=i, metric=mention.of("metric"))
        if amount is not None and amount.counted and (said := _asked_by(reading, i, amount)):
            return Owner(position=i, metric=said)  # 卖了|不到500件: what 卖了多少件 asks for
        passed = i in right_after and before is not None and bool(reading.mentions[before].of("metric"))
        if not passed and (counted := rows_of(reading, mention, money=amount is not None and _is_paid(mention, amount))):
            return Owner(position=i, metric=(counted,))
        if not (passed and mention.is_word("filler")) and names_users(reading) and (done := done_of(reading, mention)) is not None:
            return Owner(position=i, metric=(done.metric,), where=done.where)
    return None


def _asked_by(reading: Reading, position: int, amount: Amount) -> tuple[Target, ...]:
    """Return the metric that a Chinese verb and the unit of a number name when they ask how many."""
    verb, unit = reading.mentions[position].text, reading.mentions[amount.last].text
    words = {f"{verb}多少{unit}", f"{verb}几{unit}"} if amount.last != position and not verb.isascii() else set()
    return tuple(Target("metric", m.name) for m in reading.model.metrics if words & set(m.synonyms))[:1]


def _says_times(mention: Mention) -> bool:
    """Say whether a mention counts how often something was done (times, twice), not things."""
    return mention.is_word("count_word") and (mention.is_word("filler") or mention.number is not None)


def _is_paid(mention: Mention, amount: Amount) -> bool:
    """Say whether an amount is money: by its unit, or paid more than 500."""
    sold = not amount.counted and amount.value >= TOO_MANY and not mention.of("metric")  # 卖不到5万
    return amount.is_money or (mention.is_word("paying") and not amount.counted) or sold


def _adjoins(reading: Reading, position: int) -> bool:
    """Say whether nothing but blanks stands between a mention and the next one."""
    here, following = reading.mentions[position], reading.mentions[position + 1]
    return not reading.linked.text[here.end : following.start].strip()


def _means_exactly(reading: Reading, amount: Amount, owner: Owner) -> bool:
    """Say whether a bare number is a condition: 5星, 25岁, or 只买过1次 before the users it chooses."""
    if amount.dimension:
        return True
    before = reading.beside(amount.first, -1)
    chosen = any(is_person(reading, k) for k in reading.near(amount.last, +1, 1))
    return amount.counted and before == owner.position and bool(owner.metric) and chosen


def _benchmark(reading: Reading, position: int, other: int) -> Literal["average", "total"] | None:
    """Return what a comparison is with: the average, or the metric of all rows together when it is named again."""
    mention = reading.mentions[other]
    if mention.is_word("average"):
        return "average"
    named = mention.of("metric")
    again = bool(named) and any(m.of("metric") == named for m in reading.mentions[:position])
    return "total" if mention.is_word("overall") or again else None


def read_user_conditions(reading: Reading) -> None:
    """消费超过2000元的用户, users with more than 3 orders, 没有下单的用户: of users rather than of the groups."""
    for number in list(reading.numbers):
        if not number.metric or number.value == "total":
            continue
        if number.metric[0].name == reading.everyone and not reading.has_groups:
            reading.numbers.remove(number)
            reading.claimed -= {k for k in range(number.span[0], number.span[1] + 1) if reading.mentions[k].number is not None}
            continue  # households over 45: a number of what?
        asked = next((m.of("metric") for k, m in enumerate(reading.mentions) if m.of("metric") or is_person(reading, k)), None)
        counts = [m.aggregation is Aggregation.COUNT for t in number.metric if isinstance(m := reading.model.metric_by_name.get(t.name), Aggregate)]
        if asked == number.metric and all(counts) and counts and _says_money(reading, number) and (attribute := _money_of(reading, number)):
            reading.numbers.remove(number)  # orders from iPhone users|over 300 yuan
            reading.numbers.append(NumberCondition(dimension=attribute, op=number.op, value=number.value, high=number.high))
        elif _chooses_users(reading, number):
            reading.numbers.remove(number)
            _choose_users(reading, number)
        elif not number.counted and (not reading.has_groups or _says_money(reading, number)) and (attribute := _money_of(reading, number)):
            reading.numbers.remove(number)
            reading.numbers.append(
                NumberCondition(dimension=attribute, op=number.op, value=number.value, high=number.high)
            )
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("none") and reading.free(i):
            read_none(reading, i)
        grain = next((grain for name, grain in BUCKETS.items() if mention.is_word(name)), None)
        if grain is not None and any(number.metric for number in reading.numbers) and not reading.has_groups:
            reading.grain = grain  # days with GMV below 50k
            reading.claim(i)


def _chooses_users(reading: Reading, number: NumberCondition) -> bool:
    """Say whether users are named right beside a condition, or anywhere where there are no groups it could choose."""
    first, last = number.span
    if first and reading.mentions[first - 1].is_word("how_many"):
        return False  # how many |orders over 1000| did customers place
    around = (*reading.near(first, -1, 2), first, *reading.near(last, +1, 1))
    beside = number.of_users or any(is_person(reading, k) or _counts_people(reading, k, number) for k in around)
    return beside or (names_users(reading) and not reading.has_groups)


def _counts_people(reading: Reading, position: int, number: NumberCondition) -> bool:
    """Say whether a mention counts users by what they did, and is not what the condition is on (buyers with two orders)."""
    metric = reading.mentions[position].of("metric")
    return metric != number.metric and any(target.name in set(people(reading.model)) for target in metric)


def _days_done(reading: Reading, metric: tuple[Target, ...]) -> tuple[Target, ...]:
    """Return the metric that counts the days on which the users of a metric did what it counts."""
    model, counted = reading.model, set(people(reading.model))
    datasets = {leaf.dataset for target in metric if target.name in counted for leaf in model.leaves(target.name)}
    days = (
        m.name for m in model.metrics
        if isinstance(m, Aggregate) and m.dataset in datasets and m.aggregation is Aggregation.COUNT_DISTINCT
        and m.where is None and m.expr is not None and m.expr.find(exp.Tuple) and m.expr.find(exp.Cast)
    )  # fmt: skip
    return tuple(Target("metric", name) for name in list(days)[:1])


def _choose_users(reading: Reading, number: NumberCondition) -> None:
    metric, where = number.metric, (*number.where, *_rows_within(reading, number))
    counts = [reading.model.metric_by_name.get(target.name) for target in metric]
    counted = all(isinstance(m, Aggregate) and m.aggregation is Aggregation.COUNT for m in counts)
    if counted and number.value != "average" and _says_money(reading, number) and (amount := _money_of(reading, number)):
        values = (number.value,) if number.high is None else (number.value, number.high)
        rows = Where(dimension=amount, op=number.op, values=values)  # users with orders over 300 yuan: at least one such
        reading.users_with.append(UserCondition(metric=metric, op=Op.GE, value=1.0, where=where, rows=rows))
    elif number.value == "average":
        reading.users_with.append(UserCondition(metric=metric, op=number.op, value="average", where=where))
    elif number.high is not None:
        reading.users_with.append(UserCondition(metric=metric, op=Op.GE, value=float(number.value), where=where))
        reading.users_with.append(UserCondition(metric=metric, op=Op.LE, value=number.high, where=where))
    else:
        reading.users_with.append(UserCondition(metric=metric, op=number.op, value=float(number.value), where=where))
    reading.forget(metric)


def _rows_within(reading: Reading, number: NumberCondition) -> tuple[ValueFilter, ...]:
    """Return the values named among a condition's words or right after, which say which rows count (买过母婴用品至少两次)."""
    first, last = number.span
    users = {dataset.name for dataset in reading.model.datasets if dataset.entity or dataset.is_segment}
    found = []
    for k in (*range(first, last + 1), *reading.near(last, +1, 1)):
        targets = tuple(t for t in reading.mentions[k].of("value") if t.name.rpartition(".")[0] not in users)
        if targets and reading.free(k) and not is_person(reading, k):
            found.append(ValueFilter(mentions=(targets,)))
            reading.claim(k)
    return tuple(found)


def _says_money(reading: Reading, number: NumberCondition) -> bool:
    said = range(number.span[0], number.span[1] + 1)
    return any(reading.mentions[k].is_word("money") or (reading.mentions[k].number is not None and _has_sign_of_money(reading, k)) for k in said)


def _money_of(reading: Reading, number: NumberCondition) -> str | None:
    """Return the amount that one thing has, where a condition on the number of things can only mean it (orders over 1k)."""
    named = {t.name for m in reading.mentions if m.of("metric") == number.metric for t in m.of("dataset")}
    if _says_money(reading, number):
        leaves = (leaf for target in number.metric for leaf in reading.model.leaves(target.name))
        named |= {leaf.dataset for leaf in leaves if leaf.aggregation is Aggregation.COUNT}
    amounts = [
        d.name
        for d in reading.model.dimensions
        if d.dataset in named and d.type == "number" and d.unit == reading.model.currency
    ]
    return amounts[0] if len(amounts) == 1 else None
