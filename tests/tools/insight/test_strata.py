"""Differences within strata against statsmodels and by hand."""

import math

import numpy as np
import pytest

from wenshu.tools.insight.strata import Cell, Means, association, standardised

STRATA = [Cell(30, 100, 20, 120), Cell(55, 90, 60, 150), Cell(8, 40, 30, 400)]


def test_mantel_haenszel_as_statsmodels():
    from statsmodels.stats.contingency_tables import StratifiedTable

    tables = [np.array([[c[0], c[1] - c[0]], [c[2], c[3] - c[2]]]) for c in STRATA]
    reference, found = StratifiedTable(tables), association(STRATA)
    assert found is not None
    assert found.ratio == pytest.approx(reference.riskratio_pooled)
    assert found.z**2 == pytest.approx(reference.test_null_odds(correction=False).statistic)
    assert found.chance == pytest.approx(reference.test_null_odds(correction=False).pvalue)


def test_the_difference_by_hand():
    found = association(STRATA)
    assert found is not None
    weights = [c.with_all * c.without_all / (c.with_all + c.without_all) for c in STRATA]
    by_hand = sum(w * (c[0] / c[1] - c[2] / c[3]) for w, c in zip(weights, STRATA, strict=True)) / sum(weights)
    assert found.difference == pytest.approx(by_hand) and found.low < by_hand < found.high
    assert found.with_rate == pytest.approx(93 / 230) and found.without_rate == pytest.approx(110 / 670)
    assert found.coverage == pytest.approx(230 / 900)


def test_one_stratum_is_the_plain_difference_with_its_usual_interval():
    found = association([Cell(30, 100, 20, 120)])
    assert found is not None
    error = math.sqrt(0.3 * 0.7 / 100 + (20 / 120) * (100 / 120) / 120)
    assert (found.difference, found.high) == pytest.approx((0.3 - 20 / 120, 0.3 - 20 / 120 + 1.959964 * error), rel=1e-6)
    assert found.ratio == pytest.approx(0.3 / (20 / 120))
    assert math.log(found.ratio_high / found.ratio) == pytest.approx(1.959964 * math.sqrt(1 / 30 - 1 / 100 + 1 / 20 - 1 / 120), rel=1e-6)


def test_what_only_the_strata_differ_in_is_no_association():
    """Each stratum has one rate; those who did it are more often in the better stratum (Simpson's paradox)."""
    found = association([Cell(40, 80, 10, 20), Cell(2, 20, 8, 80)])
    assert found is not None and found.with_rate > 2 * found.without_rate
    assert found.difference == pytest.approx(0) and found.ratio == pytest.approx(1)


@pytest.mark.parametrize("cells", [[], [Cell(5, 10, 0, 0)], [Cell(0, 10, 0, 10)]])
def test_nothing_to_compare(cells: list[Cell]):
    assert association(cells) is None


def test_means_are_weighted_to_the_first_group():
    strata = [Means(100, 10.0, 4.0, 300, 8.0, 9.0), Means(300, 20.0, 16.0, 50, 19.0, 25.0), Means(50, 5.0, 1.0, 1, 9.0, 0.0)]
    found = standardised(strata)
    assert found is not None
    assert (found.mean, found.other_mean) == pytest.approx((17.5, 0.25 * 8 + 0.75 * 19))
    error = math.sqrt(0.25**2 * (4 / 100 + 9 / 300) + 0.75**2 * (16 / 300 + 25 / 50))
    assert found.high - found.difference == pytest.approx(1.959964 * error, rel=1e-6)
    assert found.matched == pytest.approx(400 / 450)
    assert standardised([Means(5, 1.0, 1.0, 0, 0.0, 0.0)]) is None
