"""Owns reading a linked question: each rule takes the mentions it understands and says what they ask for.

`RULES` is the grammar, in order. A rule claims mentions; what no rule claims and is not filler is not understood.
A reading knows candidates only (several metrics or dimensions may share a word); `rules` settles them by what fits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from wenshu.assistant.linker import LinkedQuestion, Mention, Target
from wenshu.assistant.timephrases import TimePhrase
from wenshu.semantic_layer.behaviour_keys import FUNNEL_STEP, PERIOD_NUMBER
from wenshu.semantic_layer.model import Funnel, LifetimeValue, Model, RepurchaseWithin, Retention
from wenshu.semantic_layer.periods import Compare, Grain
from wenshu.semantic_layer.query import Op

COMPARED_BY: dict[str, Op] = {"above": Op.GT, "below": Op.LT, "at_least": Op.GE, "at_most": Op.LE, "equals": Op.EQ}
MULTIPLIERS = {
    "multiplier_1000": 1e3,
    "multiplier_10000": 1e4,
    "multiplier_1000000": 1e6,
    "multiplier_100000000": 1e8,
    "multiplier_0_01": 0.01,
}
GRAMMAR = (
    "by",
    "which",
    "who",
    "and",
    "to",
    "or",
    "exclude",
    "exclude_tail",
    "only",
    "so",
    "count_word",
    "how_many",
    "list",
    "others",
    "rank",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFilter:
    """Keep or drop values that one or more dimensions have; `targets` are the candidates, by mention."""

    mentions: tuple[tuple[Target, ...], ...]
    negated: bool = False
    noun: str | None = None
    joined: bool = False

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Return the qualified dimensions that have all of the values."""
        first, *rest = ({target.name for target in targets} for targets in self.mentions)
        common = first.intersection(*rest)
        return tuple(dict.fromkeys(target.name for target in self.mentions[0] if target.name in common))

    def values(self, dimension: str) -> tuple[Any, ...]:
        return tuple(target.value for targets in self.mentions for target in targets if target.name == dimension)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCondition:
    """Hold a comparison with a number, the average or the total, of a metric or a numeric dimension."""

    metric: tuple[Target, ...] = ()
    dimension: str | None = None
    op: Op
    value: float | Literal["average", "total"]
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCondition:
    """Hold a comparison of a user's own metric with a number: users with more than 3 orders, who never bought."""

    metric: tuple[Target, ...]
    op: Op
    value: float | Literal["average"]
    period: TimePhrase | None = None


@dataclass(slots=True)
class Reading:
    """Collect what the rules find; `claimed` are the positions of the mentions they used."""

    linked: LinkedQuestion
    model: Model
    claimed: set[int] = field(default_factory=set)
    metrics: list[tuple[Target, ...]] = field(default_factory=list)
    dimensions: list[str] = field(default_factory=list)
    filters: list[ValueFilter] = field(default_factory=list)
    numbers: list[NumberCondition] = field(default_factory=list)
    periods: list[TimePhrase] = field(default_factory=list)
    grain: Grain | None = None
    parts: list[str] = field(default_factory=list)
    weekdays: frozenset[int] | None = None
    compare: Compare | None = None
    versus: bool = False
    share: bool = False
    share_at: int = -1
    trend: bool = False
    superlative: Literal["most", "least"] | None = None
    order: Literal["ascending", "descending"] | None = None
    limit: int | None = None
    others: bool = False
    users_with: list[UserCondition] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    window: int | None = None
    own_key: str | None = None
    nouns: list[str] = field(default_factory=list)
    asks_which: bool = False

    @property
    def mentions(self) -> tuple[Mention, ...]:
        return self.linked.mentions

    def free(self, position: int) -> bool:
        return 0 <= position < len(self.mentions) and position not in self.claimed

    def claim(self, *positions: int) -> None:
        self.claimed.update(positions)

    def near(self, position: int, step: int, reach: int = 2) -> Iterator[int]:
        """Yield the next positions in one direction, passing over filler."""
        here, seen = position + step, 0
        while 0 <= here < len(self.mentions) and seen < reach:
            if not self.mentions[here].is_filler:
                yield here
                seen += 1
            here += step

    def beside(self, position: int, step: int) -> int | None:
        return next(self.near(position, step, 1), None)

    def has_word(self, *classes: str) -> bool:
        return any(mention.is_word(*classes) for mention in self.mentions)

    @property
    def asks_for_number(self) -> bool:
        """Say whether a metric is named, or users or steps that can be counted."""
        counted = self.asks_how_many and bool(self.filters)
        return bool(self.metrics or self.users_with or len(self.steps) > 1 or counted)

    @property
    def asks_how_many(self) -> bool:
        return self.has_word("how_many")

    def unclaimed(self) -> tuple[str, ...]:
        """Return the words that no rule understood, as the asker wrote them."""
        left = [
            m.text
            for i, m in enumerate(self.mentions)
            if i not in self.claimed and not m.is_filler and not m.is_word(*GRAMMAR)
        ]
        return (*self.linked.unknown, *left)


# the grammar ----------------------------------------------------------------------------------------------------------


def read_comparison(reading: Reading) -> None:
    """环比, 同比, year over year; 比, vs, compared with."""
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("compare_previous"):
            reading.compare = Compare.PREVIOUS
        elif mention.is_word("compare_year"):
            reading.compare = Compare.YEAR
        elif mention.is_word("versus"):
            reading.versus = True
        elif not mention.is_word("growth"):
            continue
        reading.claim(i)


def read_times(reading: Reading) -> None:
    """Periods, grains, weekdays and parts of the day."""
    for i, mention in enumerate(reading.mentions):
        phrase = mention.time
        if phrase is None:
            continue
        reading.claim(i)
        before = reading.beside(i, -1)
        if before is not None and reading.mentions[before].is_word("above", "below"):
            reading.claim(before)  # "over the last 12 weeks"
        if phrase.period is not None:
            reading.periods.append(phrase)
        if phrase.grain is not None:
            reading.grain = phrase.grain
        if phrase.part is not None:
            reading.parts.append({"hour": "hour_of_day", "weekday": "weekday", "day_type": "day_type"}[phrase.part])
        if phrase.weekdays is not None:
            reading.weekdays = phrase.weekdays


def read_conditions(reading: Reading) -> None:
    """超过100万, at least 3, 25到34岁, above average: of the metric or numeric dimension beside."""
    for i, mention in enumerate(reading.mentions):
        if mention.number is None or not reading.free(i):
            continue
        value, last = _multiplied(reading, i)
        high: float | None = None
        op: Op | None = None
        used = {i, last}
        joint = reading.beside(last, +1)
        if (
            joint is not None
            and reading.mentions[joint].is_word("to")
            and (other := reading.beside(joint, +1)) is not None
        ):
            if reading.mentions[other].number is not None:
                high, last = _multiplied(reading, other)
                op = Op.BETWEEN
                used |= {joint, other, last}
        for step, start in ((-1, i), (+1, last)):
            beside = reading.beside(start, step)
            if op is None and beside is not None:
                found = next(
                    (COMPARED_BY[t.name] for t in reading.mentions[beside].targets if t.name in COMPARED_BY), None
                )
                if found is not None and not (found is Op.EQ and reading.mentions[beside].is_filler):
                    op = found
                    used.add(beside)
        if op is None:
            continue
        owner = _owner(reading, min(used), max(used))
        if owner is None:
            continue
        position, metric, dimension = owner
        if dimension:
            used.add(position)
        reading.numbers.append(NumberCondition(metric=metric, dimension=dimension, op=op, value=value, high=high))
        reading.claim(*used)
        for around in (max(used) + 1,):
            if (
                reading.free(around)
                and reading.mentions[around].of("dimension") == reading.mentions[position].of("dimension")
                and dimension
            ):
                reading.claim(around)
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("above", "below") and reading.free(i):
            for j in reading.near(i, +1, 3):
                kind = _benchmark(reading, i, j)
                if kind is not None and (owner := _owner(reading, i, j)) is not None and owner[1]:
                    op = Op.GT if mention.is_word("above") else Op.LT
                    reading.numbers.append(NumberCondition(metric=owner[1], op=op, value=kind))
                    between = [k for k in range(i, j + 1) if k == i or k == j or reading.mentions[k].of("dimension")]
                    reading.claim(*between)
                    break


def _benchmark(reading: Reading, position: int, other: int) -> Literal["average", "total"] | None:
    """Return what a comparison is with: the average, or the metric of all rows together when it is named again."""
    mention = reading.mentions[other]
    if mention.is_word("average"):
        return "average"
    again = (
        any(m.of("metric") == mention.of("metric") for m in reading.mentions[:position])
        if mention.of("metric")
        else False
    )
    return "total" if mention.is_word("overall") or again else None


def _multiplied(reading: Reading, position: int) -> tuple[float, int]:
    """Return the number at a position with the multiplier that follows it, and the last position used."""
    value = reading.mentions[position].number or 0.0
    following = position + 1
    if following < len(reading.mentions) and reading.mentions[following].start == reading.mentions[position].end:
        for target in reading.mentions[following].targets:
            if target.name in MULTIPLIERS:
                reading.claim(following)
                return value * MULTIPLIERS[target.name], following
    return value, position


def _owner(reading: Reading, first: int, last: int) -> tuple[int, tuple[Target, ...], str | None] | None:
    """Return the metric or numeric dimension that a comparison belongs to: the one just after, else the nearest before."""
    numeric = {d.name for d in reading.model.dimensions if d.type in ("number", "date")}
    for i in (*reading.near(last, +1, 1), *reading.near(first, -1, 3), *reading.near(last, +1, 2)):
        mention = reading.mentions[i]
        dimension = next((t.name for t in mention.of("dimension") if t.name in numeric), None)
        if dimension:
            return i, (), dimension
        if mention.of("metric"):
            return i, mention.of("metric"), None
    return None


def read_ranking(reading: Reading) -> None:
    """前5, top 10, 最高的3个渠道, 哪个城市最多, 从高到低."""
    for i, mention in enumerate(reading.mentions):
        if not reading.free(i):
            continue
        if mention.is_word("most", "least") and not mention.of("metric"):
            number = _limit_beside(reading, i)
            if mention.text in ("前", "后") and number is None:
                continue
            reading.superlative = "least" if mention.is_word("least") else "most"
            reading.claim(i)
            if number is not None:
                reading.limit = int(reading.mentions[number].number or 0) or None
                reading.claim(number)
        elif mention.is_word("descending", "ascending"):
            reading.order = "ascending" if mention.is_word("ascending") else "descending"
            reading.claim(i)
        elif mention.is_word("rank"):
            reading.order = reading.order or "descending"
            reading.claim(i)
        elif mention.is_word("others"):
            reading.others = True
            reading.claim(i)
        elif mention.is_word("which", "who"):
            reading.asks_which = True
            reading.claim(i)
    if reading.limit is None and reading.superlative is not None:
        for i, mention in enumerate(reading.mentions):  # "下单最多的渠道，要5个": a number before a counting word
            following = reading.beside(i, +1)
            if mention.number is not None and reading.free(i) and following is not None:
                if reading.mentions[following].is_word("count_word") or reading.mentions[following].of("dimension"):
                    reading.limit = int(mention.number) or None
                    reading.claim(i)
    if reading.others and reading.limit is None:
        reading.others = False


def _limit_beside(reading: Reading, position: int) -> int | None:
    for beside in (*reading.near(position, +1, 1), *reading.near(position, -1, 1)):
        mention = reading.mentions[beside]
        if (
            mention.number is not None
            and reading.free(beside)
            and mention.number == int(mention.number)
            and 0 < mention.number <= 1000
        ):
            return beside
    return None


def read_shares_and_trends(reading: Reading) -> None:
    """占比, share of; 趋势, over time."""
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("share") and not mention.of("value") and reading.free(i):
            reading.share, reading.share_at = True, i
            reading.claim(i)
        elif mention.is_word("trend"):
            reading.trend = True
            reading.claim(i)


def read_metrics(reading: Reading) -> None:
    """Every metric named, in order."""
    for i, mention in enumerate(reading.mentions):
        metrics = mention.of("metric")
        if not metrics or not reading.free(i):
            continue
        if mention.of("dimension") and _after_by(reading, i):
            continue
        if _is_noun(reading, i):
            continue
        if metrics not in reading.metrics:
            reading.metrics.append(metrics)
        reading.claim(i)


def _is_noun(reading: Reading, position: int) -> bool:
    """Say whether a word that names things and counts them (orders) is only what another metric is about."""
    if not reading.mentions[position].of("dataset"):
        return False
    if any(reading.mentions[k].is_word("and") for step in (-1, +1) for k in reading.near(position, step, 1)):
        return False
    return any(mention.of("metric") and not mention.of("dataset") for mention in reading.mentions) or reading.has_word(
        "vague"
    )


def _after_by(reading: Reading, position: int) -> bool:
    """Say whether a dimension stands where groups are named: after 各/by/哪个, or after a number to list."""
    before = reading.beside(position, -1)
    if before is None:
        return False
    mention = reading.mentions[before]
    if mention.is_word("by", "which") or mention.number is not None or mention.is_word("count_word", "most", "least"):
        return True
    return (
        mention.is_word("and")
        and (earlier := reading.beside(before, -1)) is not None
        and bool(reading.mentions[earlier].of("dimension"))
    )


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
    reading.steps = [name for _, name in best] if len(best) > 1 else []
    if reading.steps:
        for i, mention in enumerate(reading.mentions):
            if any(target.value in reading.steps for target in mention.of("value")):
                reading.claim(i)
        reading.claim(*range(best[0][0], best[-1][0] + 1))
        reading.metrics = [targets for targets in reading.metrics if not _named_step(targets, reading, best)]
    reading.window = _window(reading)
    for i, mention in enumerate(reading.mentions):
        if mention.is_word("step", "conversion", "share", "to") and not mention.of("metric"):
            reading.claim(i)
        if mention.is_word("step"):
            reading.own_key = FUNNEL_STEP
    if not reading.steps and named and not any(mention.is_word("conversion") for mention in reading.mentions):
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
        while (following := reading.beside(joint, +1)) is not None and reading.mentions[following].is_word("to", "so"):
            joint = following
        if following is None:
            return chain
        step = next((t.value for t in reading.mentions[following].of("value") if t.value in known), None)
        if step is None:
            return chain
        chain.append((following, str(step)))
        here = following


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


def read_cohorts(reading: Reading) -> None:
    """Curves, triangles, stages; and the words that only say who a behavioural metric is about (注册用户的7日留存)."""
    names = {target.name.partition("[")[0] for targets in reading.metrics for target in targets}
    behaviours = [
        metric for metric in reading.model.metrics if metric.name in names and metric.name in _anchors(reading.model)
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
        if mention.is_word("curve", "triangle") and not mention.of("metric") and behaviours:
            reading.own_key = PERIOD_NUMBER
            reading.claim(i)


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


def read_user_conditions(reading: Reading) -> None:
    """消费超过2000元的用户, users with more than 3 orders, 没有下单的用户: of users rather than of the groups."""
    entities = {dataset.name for dataset in reading.model.datasets if dataset.entity}
    for number in list(reading.numbers):
        if not number.metric or number.value == "total" or number.high is not None:
            continue
        about_users = any(
            mention.of("dataset") and mention.of("dataset")[0].name in entities for mention in reading.mentions
        )
        groups = (
            any(m.of("dimension") and i not in reading.claimed for i, m in enumerate(reading.mentions)) or reading.grain
        )
        if about_users and not groups:
            reading.numbers.remove(number)
            value = number.value if number.value == "average" else float(number.value)
            reading.users_with.append(UserCondition(metric=number.metric, op=number.op, value=value))
            if number.metric in reading.metrics and sum(m.of("metric") == number.metric for m in reading.mentions) == 1:
                reading.metrics.remove(number.metric)
    for i, mention in enumerate(reading.mentions):
        if not mention.is_word("none") or not reading.free(i):
            continue
        owner = next((k for k in reading.near(i, +1, 2) if reading.mentions[k].of("metric")), None)
        if owner is None:
            continue
        metric = reading.mentions[owner].of("metric")
        period = reading.periods[-1] if reading.periods and _before(reading, reading.periods[-1], i) else None
        reading.users_with.append(UserCondition(metric=metric, op=Op.EQ, value=0, period=period))
        if metric in reading.metrics and sum(m.of("metric") == metric for m in reading.mentions) == 1:
            reading.metrics.remove(metric)
        reading.claim(i, owner)


def _before(reading: Reading, phrase: TimePhrase, position: int) -> bool:
    """Say whether a period stands right before a position (最近60天|没有购买)."""
    before = reading.beside(position, -1)
    return before is not None and reading.mentions[before].time is phrase


def read_values(reading: Reading) -> None:
    """抖音渠道, not iOS, 除了百度, 北京和上海: filters, with the noun beside them."""
    i = 0
    while i < len(reading.mentions):
        if not reading.mentions[i].of("value") or not reading.free(i):
            i += 1
            continue
        group, last = [i], i
        while (joint := _joined_value(reading, last)) is not None:
            group.append(joint)
            last = joint
        before = reading.beside(i, -1)
        after = next((k for k in reading.near(last, +1) if not reading.mentions[k].is_word("exclude_tail")), None)
        negated = before is not None and reading.mentions[before].is_word("exclude")
        if before is not None and not negated and reading.mentions[before].of("dimension"):
            earlier = reading.beside(before, -1)
            negated = earlier is not None and reading.mentions[earlier].is_word("exclude")
        noun = _noun(reading, before, after)
        targets = tuple(reading.mentions[k].of("value") for k in group)
        reading.filters.append(ValueFilter(mentions=targets, negated=negated, noun=noun, joined=len(group) > 1))
        reading.claim(*range(i, last + 1))
        i = last + 1
    for position, mention in enumerate(reading.mentions):
        if mention.is_word("exclude", "exclude_tail", "only") and reading.filters:
            reading.claim(position)


def _joined_value(reading: Reading, position: int) -> int | None:
    """Return the position of a value of the same dimension joined by 和/and/、/or/vs, passing over a noun."""
    mine = {target.name for target in reading.mentions[position].of("value")}
    here, joined = position, False
    for following in reading.near(position, +1, 4):
        mention = reading.mentions[following]
        if mention.of("value"):
            same = mine & {target.name for target in mention.of("value")}
            return following if same and (joined or following == here + 1) else None
        if mention.is_word("and", "or", "versus"):
            joined = True
        elif not (mention.of("dataset") or mention.of("dimension")):
            return None
        elif joined:
            return None
    return None


def _noun(reading: Reading, before: int | None, after: int | None) -> str | None:
    """Return the dimension or dataset named beside a value (抖音渠道, iOS用户, city 上海), claiming it."""
    for position in (after, before):
        if position is None or not reading.free(position):
            continue
        mention = reading.mentions[position]
        if mention.of("dimension") and not _after_by(reading, position) and not mention.of("metric"):
            reading.claim(position)
            return mention.of("dimension")[0].name
        if position == after and mention.of("dataset"):
            return mention.of("dataset")[0].name
    return None


def read_dimensions(reading: Reading) -> None:
    """按渠道, by city, 哪个品类: what to break down by."""
    for i, mention in enumerate(reading.mentions):
        dimensions = mention.of("dimension")
        if not dimensions or not reading.free(i):
            continue
        names = [target.name for target in dimensions]
        if (
            mention.of("dataset")
            and not _after_by(reading, i)
            and reading.metrics
            and not reading.superlative
            and not reading.asks_which
        ):
            continue  # "users", "products" as the subject of the sentence
        if names[0] not in reading.dimensions:
            reading.dimensions.append(names[0])
        reading.claim(i)


def read_nouns(reading: Reading) -> None:
    """用户, orders: what the question is about; they carry no condition of their own."""
    for i, mention in enumerate(reading.mentions):
        if mention.of("dataset") and reading.free(i):
            reading.nouns.append(mention.of("dataset")[0].name)
            reading.claim(i)


RULES: tuple[Callable[[Reading], None], ...] = (
    read_comparison,
    read_times,
    read_metrics,
    read_funnel,
    read_cohorts,
    read_conditions,
    read_user_conditions,
    read_ranking,
    read_shares_and_trends,
    read_values,
    read_dimensions,
    read_nouns,
)


def read(linked: LinkedQuestion, model: Model) -> Reading:
    """Return what the grammar understands of a linked question."""
    reading = Reading(linked=linked, model=model)
    for rule in RULES:
        rule(reading)
    return reading
