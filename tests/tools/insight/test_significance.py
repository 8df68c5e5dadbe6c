"""Tests of differences against scipy, statsmodels and published figures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wenshu.tools.insight.significance import (
    Moments,
    chi_square_tail,
    compare,
    holm,
    interval,
    needed_users,
    sample_ratio,
    student_quantile,
    student_tail,
    wilson,
)

SHARES = [(130, 1000, 100, 1000), (3, 40, 0, 35), (8279, 45489, 8502, 44700), (20119, 45489, 20034, 44700)]


def rate(got: int, of: int) -> Moments:
    return Moments(users=of, x=got / of)


def moments_of(x: np.ndarray, y: np.ndarray | None = None) -> Moments:
    if y is None:
        return Moments(users=len(x), x=float(x.mean()), var_x=float(x.var(ddof=1)))
    both = np.cov(x, y)
    return Moments(users=len(x), x=float(x.mean()), y=float(y.mean()), var_x=float(both[0, 0]), var_y=float(both[1, 1]), cov=float(both[0, 1]))


@pytest.mark.parametrize(("k1", "n1", "k0", "n0"), SHARES)
def test_two_shares_as_statsmodels(k1: int, n1: int, k0: int, n0: int):
    from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

    found = compare(rate(k0, n0), rate(k1, n1), "rate")
    low, high = confint_proportions_2indep(k1, n1, k0, n0, method="newcomb")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.chance == pytest.approx(proportions_ztest([k1, k0], [n1, n0])[1], rel=1e-9)
    assert found.value == pytest.approx(k1 / n1 - k0 / n0)


def test_the_published_figures_of_cookie_cats():
    """gate_40 against gate_30: retention on day 1 and day 7, and the split, as many have recomputed them."""
    day7, day1 = compare(rate(8502, 44700), rate(8279, 45489), "rate"), compare(rate(20034, 44700), rate(20119, 45489), "rate")
    assert (round(day7.value, 5), round(day7.chance, 4)) == (-0.0082, 0.0016)
    assert (round(day1.value, 5), round(day1.chance, 4)) == (-0.00591, 0.0744)
    chi, chance = sample_ratio([44700, 45489])
    assert (round(chi, 2), round(chance, 4)) == (6.9, 0.0086)


@pytest.mark.parametrize("seed", range(4))
def test_two_means_as_scipy(seed: int):
    from scipy import stats

    draw = np.random.default_rng(seed)
    a, b = draw.gamma(1, 100, 60 + 40 * seed), draw.gamma(2, 60, 45)
    found, reference = compare(moments_of(a), moments_of(b), "mean"), stats.ttest_ind(b, a, equal_var=False)
    ends = reference.confidence_interval(0.95)
    assert found.chance == pytest.approx(reference.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-4)
    own = stats.t.interval(0.95, len(a) - 1, a.mean(), stats.sem(a))
    assert interval(moments_of(a), "mean") == pytest.approx(own, rel=1e-6)


def test_a_ratio_of_sums_has_the_spread_of_the_delta_method():
    """Against the spread of the ratio over resampled users."""
    draw = np.random.default_rng(5)
    orders = draw.poisson(2, 3000) + 1
    spent = orders * draw.gamma(3, 30, 3000)
    group = moments_of(spent, orders)
    picks = draw.integers(0, 3000, (400, 3000))
    resampled = spent[picks].sum(axis=1) / orders[picks].sum(axis=1)
    assert group.value == pytest.approx(spent.sum() / orders.sum())
    assert math.sqrt(group.variance / group.users) == pytest.approx(resampled.std(), rel=0.12)


@pytest.mark.parametrize("counts", [(5000, 5100), (1314, 990), (300, 310, 295), (40, 60, 55, 45, 50)])
def test_the_sample_ratio_as_scipy(counts: tuple[int, ...]):
    from scipy import stats

    assert sample_ratio(counts) == pytest.approx(tuple(stats.chisquare(counts)), rel=1e-9)


def test_a_planned_split_is_no_mismatch():
    assert sample_ratio([9010, 990], (0.9, 0.1))[1] > 0.5 and sample_ratio([9010, 990])[1] < 1e-10


@given(st.floats(0, 60), st.integers(1, 12))
def test_chi_square_as_scipy(value: float, degrees: int):
    from scipy import stats

    assert chi_square_tail(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-7, abs=1e-14)


@given(st.floats(-40, 40), st.floats(1, 1e5))
def test_students_t_as_scipy(t: float, degrees: float):
    from scipy import stats

    assert student_tail(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 4.7, 30, 1e4, 1e9])
def test_students_quantile_as_scipy(degrees: float):
    from scipy import stats

    assert student_quantile(0.975, degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-5)


@settings(max_examples=20)  # statsmodels takes its time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_as_statsmodels(chances: list[float]):
    from statsmodels.stats.multitest import multipletests

    assert holm(chances) == pytest.approx(list(multipletests(chances, method="holm")[1]))


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_as_statsmodels(got: int, more: int):
    from statsmodels.stats.proportion import proportion_confint

    of = got + more
    low, high = proportion_confint(got, of, method="wilson")
    assert wilson(got / of, of) == pytest.approx((low, high), abs=1e-9)


def test_needed_users_have_the_power_said():
    """As statsmodels' power of a t-test for means; for shares, as the textbook's 3,839 for 10 % against 12 %."""
    from statsmodels.stats.power import TTestIndPower

    group = Moments(users=500, x=50.0, var_x=900.0)
    assert needed_users(group, "mean", 3.0) == pytest.approx(TTestIndPower().solve_power(3 / 30, power=0.8, alpha=0.05), rel=0.01)
    assert needed_users(rate(100, 1000), "rate", 0.02) == 3839
    n = needed_users(rate(100, 1000), "rate", 0.02)
    assert compare(rate(round(0.1 * n), n), rate(round(0.12 * n), n), "rate").detectable == pytest.approx(0.02, rel=0.01)


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 40), st.integers(1, 40))
def test_any_two_shares_have_an_interval_around_their_difference(k1: int, more1: int, k0: int, more0: int):
    found = compare(rate(k0, k0 + more0), rate(k1, k1 + more1), "rate")
    assert -1 <= found.low <= found.value + 1e-12 and found.value <= found.high + 1e-12 <= 1 + 1e-9 and 0 <= found.chance <= 1
