"""Splitting a change: exact for any parts, Kitagawa's formula for rates, and chance alone stands out no more than it may."""

import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wenshu.tools.insight.decomposition import (
    Amount,
    Part,
    binomial_variance,
    compare_with,
    decompose,
    dispersion,
    every_but,
    is_partition,
    standouts,
    whole,
)

sums = st.builds(Amount, st.floats(-1e9, 1e9))
bases = st.integers(0, 10**6)
rates = bases.flatmap(lambda base: st.builds(Amount, st.integers(0, base).map(float), st.just(float(base))))


any_parts = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def parts_of(amounts: st.SearchStrategy[Amount]) -> st.SearchStrategy[list[Part]]:
    pairs = st.lists(st.tuples(amounts, amounts), min_size=1, max_size=12)
    return pairs.map(lambda found: [Part(at, before, now) for at, (before, now) in enumerate(found)])


@any_parts
@given(parts_of(sums))
def test_parts_of_a_sum_add_up_to_its_change(parts: list[Part]):
    every = whole(parts)
    added = math.fsum(effect.total for effect in decompose(parts))
    assert added == pytest.approx(every.now.top - every.before.top, rel=1e-9, abs=1e-3)


@any_parts
@given(parts_of(rates))
def test_mix_and_rate_effects_add_up_to_the_change_of_a_rate(parts: list[Part]):
    every, effects = whole(parts), decompose(parts)
    if every.before.value is None or every.now.value is None:
        return
    change = every.now.value - every.before.value
    assert math.fsum(effect.total for effect in effects) == pytest.approx(change, abs=1e-9)
    assert math.fsum((effect.mix or 0.0) + (effect.rate or 0.0) for effect in effects) == pytest.approx(change, abs=1e-9)


@any_parts
@given(parts_of(rates.filter(lambda amount: bool(amount.base))))
def test_the_effects_are_kitagawas(parts: list[Part]):
    """Composition effect: Σ mean rate × change of weight; rate effect: Σ mean weight × change of rate."""
    before, now = (sum(getattr(part, side).base for part in parts) for side in ("before", "now"))
    mix = sum((p.now.base / now - p.before.base / before) * (p.now.value + p.before.value) / 2 for p in parts)
    rate = sum((p.now.base / now + p.before.base / before) / 2 * (p.now.value - p.before.value) for p in parts)
    effects = decompose(parts)
    assert sum(effect.mix for effect in effects) == pytest.approx(mix, abs=1e-9)
    assert sum(effect.rate for effect in effects) == pytest.approx(rate, abs=1e-9)


@any_parts
@given(parts_of(rates), st.integers(1, 11))
def test_putting_parts_together_keeps_the_whole(parts: list[Part], cut: int):
    joined = [whole(side) for side in (parts[:cut], parts[cut:]) if side]
    assert is_partition(joined, whole(parts))
    if whole(parts).before.value is not None and whole(parts).now.value is not None:
        assert math.fsum(e.total for e in decompose(joined)) == pytest.approx(math.fsum(e.total for e in decompose(parts)), abs=1e-9)


def test_parts_that_overlap_are_no_partition():
    parts = [Part("a", Amount(6), Amount(8)), Part("b", Amount(6), Amount(8))]
    assert not is_partition(parts, Part("whole", Amount(10), Amount(12)))
    assert not is_partition([], Part("whole", Amount(0), Amount(0)))


def counts(seed: int, groups: int = 30, factor: float = 1.1) -> list[Part]:
    """Return groups whose numbers grow alike, with Poisson's noise."""
    noise = random.Random(seed)

    def draw(mean: float) -> Amount:
        return Amount(max(0.0, round(noise.gauss(mean, math.sqrt(mean)))))

    return [Part(at, draw(100 * (at + 1)), draw(100 * (at + 1) * factor)) for at in range(groups)]


def test_noise_alone_stands_out_hardly_ever():
    found = 0
    for seed in range(300):
        parts = counts(seed)
        found += any(standouts(parts, dispersion([parts], 1.0) or 1.0, 2 * len(parts), 0.05, way) for way in (1, -1))
    assert found <= 300 * 0.1


@pytest.mark.parametrize("way", [-1, 1])
def test_planted_parts_are_found_first_and_alone(way: int):
    parts = counts(1)
    for at in (4, 20):
        parts[at] = Part(at, parts[at].before, Amount(parts[at].now.top * (0.3 if way < 0 else 2.0)))
    found = standouts(parts, dispersion([parts], 1.0) or 1.0, len(parts), 0.01, way)
    assert {one.part.key for one in found} == {4, 20} and all(one.excess * way > 0 for one in found)
    assert not standouts([p for p in parts if p.key not in (4, 20)], 1.0, len(parts), 0.01, -way)


def test_a_rate_deviates_as_the_difference_of_differences():
    """Against statsmodels: the interaction of part and period in a linear probability model, by its pooled variance."""
    import numpy as np
    from statsmodels.regression.linear_model import OLS

    part, rest = Part("a", Amount(126.0, 297.0), Amount(50.0, 302.0)), Part("b", Amount(104.0, 263.0), Amount(101.0, 260.0))
    rows = [(is_part, is_now, hit) for is_part, one in ((1, part), (0, rest)) for is_now, side in ((0, one.before), (1, one.now)) for hit in [1] * int(side.top) + [0] * int(side.base - side.top)]
    data = np.array(rows, dtype=float)
    fitted = OLS(data[:, 2], np.column_stack([np.ones(len(data)), data[:, 0], data[:, 1], data[:, 0] * data[:, 1]])).fit()
    deviation, variance = compare_with(part, rest)
    assert deviation == pytest.approx(fitted.params[3])
    assert math.sqrt(variance * binomial_variance([part, rest])) == pytest.approx(fitted.bse[3], rel=0.05)


def test_the_variance_of_a_sums_deviation_is_that_of_simulation():
    noise = random.Random(5)

    def draw(mean: float) -> Amount:
        return Amount(noise.gauss(mean, math.sqrt(mean)))

    part = Part("a", Amount(400.0), Amount(440.0))
    rest = Part("b", Amount(2000.0), Amount(2200.0))
    deviations = [compare_with(Part("a", draw(400), draw(440)), Part("b", draw(2000), draw(2200)))[0] for _ in range(1500)]
    spread = math.sqrt(sum(d * d for d in deviations) / len(deviations))
    assert math.sqrt(compare_with(part, rest)[1]) == pytest.approx(spread, rel=0.08)


def test_the_rest_is_everything_else():
    parts = [Part("a", Amount(1, 4), Amount(2, 4)), Part("b", Amount(3, 6), Amount(1, 6))]
    assert every_but(whole(parts), parts[0]).now == Amount(1, 6)
    assert compare_with(parts[0], Part("none", Amount(0, 0), Amount(0, 0))) == (0.0, 0.0)
