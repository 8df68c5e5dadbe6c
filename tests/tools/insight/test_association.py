"""What is bought together: counts equal mlxtend's, chance is chance's, and random baskets are no finding."""

import random
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenshu.tools.insight.association import baskets_of, beyond_chance, pair_rules, poisson_tail

ITEMS = [f"item {i:02}" for i in range(40)]


def made(seed: int, number: int, planted: float = 0.0) -> list[frozenset[str]]:
    """Return baskets of one to five items, some sold more than others; with `planted`, item 00 brings item 01 along so often."""
    chance = random.Random(seed)
    weights = [1 / (i + 3) for i in range(len(ITEMS))]
    baskets = []
    for _ in range(number):
        basket = set(chance.choices(ITEMS, weights, k=chance.choice([1, 1, 1, 2, 2, 3, 5])))
        if ITEMS[0] in basket and chance.random() < planted:
            basket.add(ITEMS[1])
        baskets.append(frozenset(basket))
    return baskets


def rules_of(baskets: list[frozenset[str]], fewest: int = 10):
    counts = Counter(item for basket in baskets for item in basket)
    together = Counter(pair for basket in baskets for pair in combinations(sorted(basket), 2))
    chance = baskets_of(Counter(map(len, baskets)), Counter(counts.values()))
    return pair_rules([(a, b, n) for (a, b), n in together.items() if n >= fewest], counts, chance), len(counts)


def test_rules_equal_mlxtend():
    import pandas as pd
    from mlxtend.frequent_patterns import apriori, association_rules

    baskets = made(1, 2_000, planted=0.5)
    frame = pd.DataFrame([{item: item in basket for item in ITEMS} for basket in baskets])
    known = association_rules(apriori(frame, min_support=10 / 2_000, use_colnames=True, max_len=2), metric="support", min_threshold=0)
    theirs = {
        (min(row.antecedents), min(row.consequents)): (row.support, row.confidence, row.lift)
        for row in known.itertuples() if len(row.antecedents) == len(row.consequents) == 1
    }  # fmt: skip
    rules, _ = rules_of(baskets)
    assert len(rules) == len(theirs) / 2  # each pair once
    for rule in rules:
        assert theirs[rule.given[0], rule.then] == pytest.approx((rule.support, rule.confidence, rule.lift))
        assert rule.confidence >= theirs[rule.then, rule.given[0]][1]


@given(count=st.integers(0, 300), mean=st.floats(0.01, 250))
def test_the_tail_is_poissons(count: int, mean: float):
    from scipy import stats

    assert poisson_tail(count, mean) == pytest.approx(stats.poisson.sf(count - 1, mean), rel=1e-9, abs=1e-14)


def test_chance_fills_baskets_as_they_are():
    """What chance gives adds up to the pairs there are, whatever their sizes, and to each pair on average."""
    baskets = made(2, 20_000)
    counts = Counter(item for basket in baskets for item in basket)
    chance = baskets_of(Counter(map(len, baskets)), Counter(counts.values()))
    pairs = list(combinations(ITEMS, 2))
    expected = dict(zip(pairs, chance.expected([(counts[a], counts[b]) for a, b in pairs]), strict=True))
    together = Counter(pair for basket in baskets for pair in combinations(sorted(basket), 2))
    assert sum(expected.values()) == pytest.approx(sum(together.values()), rel=0.01)
    spread = [(together[pair] - number) / number**0.5 for pair, number in expected.items()]
    assert sum(x * x for x in spread) / len(spread) == pytest.approx(1.0, abs=0.25)


def test_only_what_is_planted_is_found():
    for seed in range(8):
        rules, kinds = rules_of(made(seed, 3_000))
        assert not beyond_chance(rules, kinds * (kinds - 1) // 2)
        rules, kinds = rules_of(made(seed, 3_000, planted=0.5))
        found = beyond_chance(rules, kinds * (kinds - 1) // 2)
        assert {found[0].given[0], found[0].then} == {ITEMS[0], ITEMS[1]} and found[0].chance < 1e-9
