"""Unusual days: what is planted is found, what is noise is not, and the tail is Student's."""

import math
import random
from datetime import date, timedelta
from statistics import NormalDist

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wenshu.tools.insight.anomalies import BAND, judge_days, runs, unusual_days
from wenshu.tools.insight.chance import tail

FIRST = date(2026, 3, 2)
DAYS = [FIRST + timedelta(days=n) for n in range(120)]
WEEKDAYS = (1.0, 0.95, 0.9, 1.0, 1.1, 1.4, 1.3)


def shop_days(seed: int, *, level: float = 400.0, growth: float = 0.002) -> dict[date, float]:
    """Return counts with weekdays, growth and Poisson's noise."""
    noise = random.Random(seed)
    means = [level * (1 + growth * n) * WEEKDAYS[day.weekday()] for n, day in enumerate(DAYS)]
    return {day: max(0.0, round(noise.gauss(mean, math.sqrt(mean)))) for day, mean in zip(DAYS, means, strict=True)}


def judged(values: dict[date, float]):
    return judge_days(values, DAYS[60:], rooted=True, counted=True)


@pytest.mark.parametrize("degrees", [2, 8, 30])
def test_the_tail_is_students(degrees: int):
    from scipy import stats

    for deviations in (0.0, 0.5, 1.7, 3.4, 6.0, 40.0):
        assert tail(deviations, degrees) == pytest.approx(2 * stats.t.sf(deviations, degrees), rel=1e-6, abs=1e-12)
        assert tail(-deviations, degrees) == tail(deviations, degrees)


@pytest.mark.parametrize(("factor", "at"), [(0.6, 75), (1.4, 100), (0.0, 119)])
def test_a_planted_day_is_found_and_nothing_else(factor: float, at: int):
    values = shop_days(3)
    values[DAYS[at]] *= factor
    (found,) = unusual_days({"orders": judged(values)})["orders"]
    assert found.day == DAYS[at] and found.is_outside and (found.deviations > 0) == (factor > 1)
    assert found.expected == pytest.approx(values[DAYS[at]] / factor if factor else 400 * 1.24 * WEEKDAYS[0], rel=0.2)


def test_noise_alone_is_hardly_ever_unusual():
    """At a rate of 5 % over each shop, about one shop in twenty has any."""
    found = [unusual_days({"orders": judged(shop_days(seed))})["orders"] for seed in range(40)]
    assert sum(bool(days) for days in found) <= 6


def test_weekdays_and_growth_are_expected():
    days = judged(shop_days(5))
    assert len(days) == 60 and sum(day.is_outside for day in days) <= 1
    assert abs(sum(day.deviations for day in days) / len(days)) < 0.5  # no lag behind the growth


def test_odd_days_do_not_hide_later_ones():
    values = shop_days(7)
    for at in (62, 65, 70, 76):
        values[DAYS[at]] *= 3
    values[DAYS[90]] *= 0.5
    found = {day.day for day in unusual_days({"orders": judged(values)})["orders"]}
    assert {DAYS[at] for at in (62, 65, 70, 76, 90)} <= found


def test_the_same_days_as_a_robust_seasonal_decomposition():
    """statsmodels' robust STL on the same scale leaves its largest residuals on the days that are found here."""
    import numpy as np
    from statsmodels.tsa.seasonal import STL

    values = shop_days(11)
    planted = {DAYS[80]: 0.55, DAYS[101]: 1.5}
    for day, factor in planted.items():
        values[day] *= factor
    rooted = np.sqrt([values[day] + 0.375 for day in DAYS])
    residuals = STL(rooted, period=7, robust=True).fit().resid
    largest = {DAYS[at] for at in np.argsort(-np.abs(residuals))[:2]}
    assert {day.day for day in unusual_days({"orders": judged(values)})["orders"]} == largest == set(planted)


def test_a_festive_day_is_marked_and_teaches_nothing():
    values = shop_days(13)
    festive = set(DAYS[70:74])
    for day in festive:
        values[day] *= 4
    days = judge_days(values, DAYS[60:], rooted=True, counted=True, festive=festive)
    assert {day.day for day in days if day.explained} == festive
    assert not unusual_days({"orders": days})["orders"]


def test_too_little_before_is_not_judged():
    assert not judge_days(shop_days(1), DAYS[:20], rooted=True)
    assert not judge_days({day: None for day in DAYS}, DAYS, rooted=False)


def test_days_in_a_row_are_one_event():
    values = shop_days(17)
    for at in (80, 81, 83, 95):
        values[DAYS[at]] *= 0.4
    found = unusual_days({"orders": judged(values)})["orders"]
    assert [[day.day for day in run] for run in runs(found)] == [[DAYS[80], DAYS[81], DAYS[83]], [DAYS[95]]]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0, 1e6), min_size=40, max_size=80), st.booleans())
def test_any_series_is_judged_without_failing(values: list[float], rooted: bool):
    days = DAYS[: len(values)]
    for day in judge_days(dict(zip(days, values, strict=True)), days, rooted=rooted):
        assert day.low <= day.expected <= day.high and 0 <= day.chance <= 1
        assert day.is_outside == (day.chance < BAND) or abs(day.chance - BAND) < 1e-3 or day.low == day.high or day.value == day.low


def test_the_normal_is_within_the_tail():
    assert tail(3.0, 30) > 2 * (1 - NormalDist().cdf(3.0))
