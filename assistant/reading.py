"""Owns what a reading of a question is: the metrics, groups, filters, times and conditions its words ask for.

A reading knows candidates only (several metrics or dimensions may share a word); `settle` settles them by what fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wenshu.assistant.linker import LinkedQuestion, Mention, Target
from wenshu.assistant.timephrases import TimePhrase
from wenshu.semantic_layer.model import Model
from wenshu.semantic_layer.periods import Compare, DateRange, Grain
from wenshu.semantic_layer.query import Op, Quantile, Where
from wenshu.tools.chart import WantedKind

RetentionMode = Literal["on", "on_or_after", "within"]
COMPARED_BY: dict[str, Op] = {
    "above": Op.GT,
    "below": Op.LT,
    "at_least": Op.GE,
    "at_most": Op.LE,
    "equals": Op.EQ,
    "and_above": Op.GE,
    "and_below": Op.LE,
}
JOINING = {"and_above": Op.GT, "and_below": Op.LT}  # before the number: women |and under| 25
MULTIPLIERS = {
    "multiplier_1000": 1e3,
    "multiplier_10000": 1e4,
    "multiplier_1000000": 1e6,
    "multiplier_100000000": 1e8,
    "multiplier_0_01": 0.01,
}
GRAMMAR = (
    "altogether",
    "since_entry",
    "among",
    "entered",
    "add",
    "between",
    "within",
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
    "severally",
    "surpass",
    "summed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFilter:
    """Keep or drop values that one or more dimensions have; `targets` are the candidates, by mention."""

    mentions: tuple[tuple[Target, ...], ...]
    negated: bool = False
    noun: str | None = None
    joined: bool = False
    attributive: bool = False

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Return the qualified dimensions that have all of the values."""
        first, *rest = ({target.name for target in targets} for targets in self.mentions)
        common = first.intersection(*rest)
        return tuple(dict.fromkeys(target.name for target in self.mentions[0] if target.name in common))

    def values(self, dimension: str) -> tuple[Any, ...]:
        named = (target.value for targets in self.mentions for target in targets if target.name == dimension)
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCondition:
    """Hold a comparison with a number, the average or the total, of a metric or a numeric dimension.

    `span` is where its words begin and end, by position; `counted` says that its unit counts things,
    `of_users` that it can only be about each user (active on at least 5 days).
    """

    metric: tuple[Target, ...] = ()
    dimension: str | None = None
    op: Op
    value: float | Literal["average", "total"]
    high: float | None = None
    span: tuple[int, int] = (-1, -1)
    counted: bool = False
    of_users: bool = False
    where: tuple[ValueFilter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Hold a number and how it is compared, if it says, and the positions of its words; `metric` is what it is compared with, if named."""

    value: float
    high: float | None = None
    op: Op | None = None
    metric: tuple[Target, ...] = ()
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCondition:
    """Hold a comparison of a user's own metric: users with more than 3 orders, who never bought, the top 10% by spend.

    `where` keeps some of the metric's rows only (who bought baby products twice), `rows` those of an amount (with orders
    over 300 yuan); `ever` means at any time.
    """

    metric: tuple[Target, ...]
    op: Op
    value: float | Literal["average"] | Quantile
    period: TimePhrase | None = None
    ever: bool = False
    rows: Where | None = None
    where: tuple[ValueFilter, ...] = ()


@dataclass(slots=True)
class Reading:
    """Collect what the rules find; `claimed` are the positions of the mentions they used.

    `bound` is the last number compared, for a question that changes only the one compared before (超过800呢). Of that
    question, `dropped` are the dimensions that no longer count, `widened` those of which all values do.
    """

    linked: LinkedQuestion
    model: Model
    everyone: str | None = None
    claimed: set[int] = field(default_factory=set)
    metrics: list[tuple[Target, ...]] = field(default_factory=list)
    dimensions: list[str] = field(default_factory=list)
    filters: list[ValueFilter] = field(default_factory=list)
    numbers: list[NumberCondition] = field(default_factory=list)
    bound: Bound | None = None
    periods: list[TimePhrase] = field(default_factory=list)
    grain: Grain | None = None
    parts: list[str] = field(default_factory=list)
    weekdays: frozenset[int] | None = None
    compare: Compare | None = None
    pace: Grain | None = None
    versus: bool = False
    compared_with: DateRange | None = None
    share: bool = False
    shares_part: bool = False
    trend: bool = False
    chart: WantedKind | None = None
    superlative: Literal["most", "least"] | None = None
    by_merit: bool = False
    order: Literal["ascending", "descending"] | None = None
    limit: int | None = None
    per: list[str] = field(default_factory=list)
    others: bool = False
    users_with: list[UserCondition] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    window: str | None = None
    step_order: str | None = None
    days: int | None = None
    mode: RetentionMode | None = None
    own_key: str | None = None
    nouns: list[str] = field(default_factory=list)
    asks_which: bool = False
    hours: tuple[int, int] | None = None
    dated: list[tuple[str, TimePhrase]] = field(default_factory=list)
    spread: bool = False
    dropped: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)
    unsplit: bool = False
    unfiltered: Literal["users", "all"] | None = None
    uncompared: bool = False

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

    def take_as(self, position: int, word: str) -> None:
        """Read a word as one of its classes only: drop as what leaves out, not as a change."""
        mention = self.mentions[position]
        only = replace(mention, targets=tuple(target for target in mention.targets if target.name == word))
        self.linked = replace(self.linked, mentions=tuple(only if m is mention else m for m in self.mentions))

    def beside(self, position: int, step: int) -> int | None:
        return next(self.near(position, step, 1), None)

    def forget(self, metric: tuple[Target, ...]) -> None:
        """Take back a metric that is named for a condition only."""
        if metric in self.metrics and sum(mention.of("metric") == metric for mention in self.mentions) == 1:
            self.metrics.remove(metric)

    def has_word(self, *classes: str) -> bool:
        return any(mention.is_word(*classes) for mention in self.mentions)

    @property
    def has_groups(self) -> bool:
        """Say whether the question names groups that a condition on a metric can choose among."""
        return self.grain is not None or bool(self.parts) or any(
            mention.of("dimension") and not mention.of("metric") and i not in self.claimed
            for i, mention in enumerate(self.mentions)
        )  # fmt: skip

    def is_people(self, mention: Mention) -> bool:
        """Say whether a mention counts people of any kind (用户数, how many users)."""
        return any(target.name == self.everyone for target in mention.of("metric"))

    @property
    def asks_for_number(self) -> bool:
        """Say whether a metric is named, or users or steps that can be counted."""
        of_people = any(self._is_of_people(item) for item in self.filters)
        counted = (self.asks_how_many and bool(self.filters or self.dated)) or (self.asks_which_group and of_people)
        return bool(self.metrics or self.users_with or len(self.steps) > 1 or counted)

    def _is_of_people(self, item: ValueFilter) -> bool:
        """Say whether a value is one that users have, not one of their orders (退款) or visits."""
        own = {dataset.name for dataset in self.model.datasets if dataset.entity or dataset.is_segment}
        return any(name.rpartition(".")[0] in own for name in item.dimensions)

    @property
    def asks_which_group(self) -> bool:
        """Say whether a group is looked for in which people of some kind are many: which channel brings loyal customers."""
        return bool(self.dimensions) and (self.asks_which or self.superlative is not None)

    @property
    def asks_how_many(self) -> bool:
        return self.has_word("how_many")

    def _drops_metric(self, position: int) -> bool:
        """Say whether something is to be left out that is a metric: GMV excluding refunds."""
        following = self.beside(position, +1)
        dropped = self.mentions[following] if following is not None else None
        return self.mentions[position].is_word("exclude") and dropped is not None and bool(dropped.of("metric"))

    def unclaimed(self) -> tuple[str, ...]:
        """Return the words that no rule understood, as the asker wrote them."""
        left = [
            m.text
            for i, m in enumerate(self.mentions)
            if i not in self.claimed and not m.is_filler and (not m.is_word(*GRAMMAR) or self._drops_metric(i))
        ]
        return (*self.linked.unknown, *left)


def is_counted(reading: Reading, position: int) -> bool:
    """Say whether a metric named counts rows that have the value (注册 as an event, not as how users came)."""
    datasets = {target.name.rpartition(".")[0] for target in reading.mentions[position].of("value")}
    return any(
        leaf.dataset in datasets
        for targets in reading.metrics
        for target in targets
        for leaf in reading.model.leaves(target.name)
    )
