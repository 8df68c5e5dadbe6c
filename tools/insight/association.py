"""Owns what makes things that are bought together a finding: support, confidence, lift, and whether chance gives as much.

Numbers in, numbers out. Rules after Agrawal, Imieliński and Swami, 1993, “Mining Association Rules between Sets of Items
in Large Databases”, SIGMOD; lift is Brin and others', 1997. Chance is that of baskets of the sizes there are, filled
at random from the items as often as each is bought: the bipartite configuration model (Saracco and others, 2017, New J.
Phys. 19:053022), with as many pairs as baskets of a size have. Counts vary around it as Poisson's, and the false discovery
rate is held over all pairs that there could be (Benjamini and Hochberg, 1995).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

RATE = 0.01  # false discovery rate
WORTH = 1.2  # times chance
ROUNDS, LARGEST = 500, 1e9
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baskets:
    """Hold how many baskets there are of each size, and how likely one of a size is to hold an item that so many do.

    `likely` has a row for each number of baskets that hold an item, at the place `held` gives, and a column for each size;
    `sets` has, by how many items are together, how many sets of them such likelihoods stand for in a basket of each size.
    """

    sizes: Mapping[int, int]
    held: Mapping[int, int]
    likely: Any
    sets: Mapping[int, Any]

    @property
    def count(self) -> int:
        return sum(self.sizes.values())

    def expected(self, sets: Sequence[tuple[int, ...]]) -> list[float]:
        """Return for each set of two or three items how many baskets hold all by chance, given how many hold each."""
        import numpy as np

        if not sets:
            return []
        places = np.array([[self.held[item] for item in items] for items in sets])
        number = np.array([self.sizes[size] for size in sorted(self.sizes)], float)
        found: list[float] = (self.likely[places].prod(axis=1) @ (number * self.sets[len(sets[0])])).tolist()
        return found

    def expected_among(self, given: Sequence[int], then: Sequence[int], sizes: Mapping[int, int]) -> list[float]:
        """Return how many of the baskets of these sizes, which hold the items `given`, would hold each other item."""
        import numpy as np

        size = np.array(sorted(self.sizes), float)
        number = np.array([sizes.get(int(each), 0) for each in size], float)
        room = size - self.likely[[self.held[item] for item in given]].sum(axis=0)
        share = np.where(room > 1e-9, np.maximum(size - len(given), 0) / np.maximum(room, 1e-9), 0.0)
        found: list[float] = (self.likely[[self.held[item] for item in then]] @ (number * share)).tolist()
        return found


def baskets_of(sizes: Mapping[int, int], items: Mapping[int, int]) -> Baskets:
    """Return what chance gives in baskets of these sizes, filled with items of which so many are in so many baskets each.

    `sizes` has the number of baskets by size, `items` the number of items by baskets. An item of weight x is in a basket
    with x·y ÷ (1 + x·y), y for its size, so that every item and every basket has on average as many as it has.

    >>> baskets = baskets_of({1: 50, 2: 50}, {30: 5})  # five items alike: each of the ten pairs takes a tenth
    >>> [round(number, 3) for number in baskets.expected([(30, 30)])]
    [5.0]
    """
    import numpy as np

    size, kind = (np.array(sorted(table), float) for table in (sizes, items))
    baskets, alike = (np.array([table[number] for number in sorted(table)], float) for table in (sizes, items))
    x, y = kind / max(float(kind @ alike), 1.0), size.copy()
    for _ in range(ROUNDS):
        x = kind / (baskets * y / (1 + np.outer(x, y))).sum(axis=1)
        before, y = y, np.minimum(size / ((alike * x)[:, None] / (1 + np.outer(x, y))).sum(axis=0), LARGEST)
        if np.all(np.abs(y / before - 1) < 1e-5):
            break
    product = np.outer(x, y)
    likely = product / (1 + product)
    squares, cubes = alike @ likely**2, alike @ likely**3
    pairs = size * (size - 1) / np.maximum(size**2 - squares, 1e-9)
    threes = size * (size - 1) * (size - 2) / np.maximum(size**3 - 3 * size * squares + 2 * cubes, 1e-9)
    places = {int(number): place for place, number in enumerate(kind)}
    return Baskets(sizes=dict(sizes), held=places, likely=likely, sets={2: pairs, 3: np.where(size > 2, threes, 0.0)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[Item]):
    """Hold that baskets with the items `given` hold `then`, too: `together` baskets do, of `of_given` and `of_then` with each.

    `expected` is what chance gives.
    """

    given: tuple[Item, ...]
    then: Item
    together: int
    of_given: int
    of_then: int
    baskets: int
    expected: float

    @property
    def support(self) -> float:
        return self.together / self.baskets

    @property
    def confidence(self) -> float:
        return self.together / self.of_given

    @property
    def usual(self) -> float:
        """Return the share of all baskets that hold `then`."""
        return self.of_then / self.baskets

    @property
    def lift(self) -> float:
        return self.confidence / self.usual

    @property
    def chance(self) -> float:
        """Return how often chance alone gives as many baskets together, or more."""
        return poisson_tail(self.together, self.expected)

    @property
    def strength(self) -> float:
        """Return how much likelier the count is under its own rate than under chance, as a logarithm; 0 where it is below."""
        if self.together <= self.expected or self.expected <= 0:
            return 0.0
        return self.together * math.log(self.together / self.expected) - (self.together - self.expected)


def pair_rules(pairs: Sequence[tuple[Item, Item, int]], counts: Mapping[Item, int], baskets: Baskets) -> list[Rule[Item]]:
    """Return each pair of items, and how many baskets hold both, as a rule in the direction that is surer."""
    expected = baskets.expected([(counts[first], counts[second]) for first, second, _ in pairs])
    rules = []
    for (first, second, together), by_chance in zip(pairs, expected, strict=True):
        given, then = (first, second) if counts[first] <= counts[second] else (second, first)
        rules.append(Rule(
            given=(given,), then=then, together=together, of_given=counts[given], of_then=counts[then], baskets=baskets.count, expected=by_chance,
        ))  # fmt: skip
    return rules


def beyond_chance(rules: Sequence[Rule[Item]], possible: int, rate: float = RATE) -> tuple[Rule[Item], ...]:
    """Return the rules that chance does not account for, the strongest first; `possible` is how many there could be.

    Of many baskets, a difference may be sure and yet of no use: what is hardly more than chance is left out.
    """
    ranked = sorted(rules, key=lambda rule: (rule.chance, -rule.strength))
    kept = 0
    for rank, rule in enumerate(ranked, 1):
        if rule.chance <= rate * rank / max(possible, len(ranked)):
            kept = rank
    worth = (rule for rule in ranked[:kept] if rule.lift > 1 and rule.together >= WORTH * rule.expected)
    return tuple(sorted(worth, key=lambda rule: -rule.strength))


def poisson_tail(count: int, mean: float) -> float:
    """Return the probability that a Poisson variable is at least `count`.

    >>> round(poisson_tail(3, 1.0), 4)
    0.0803
    """
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if count <= mean:  # the other side has fewer terms
        return max(0.0, 1.0 - sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count)))
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    total, k = 0.0, count
    while term > total * 1e-17:
        total += term
        k += 1
        term *= mean / k
    return min(1.0, total)
