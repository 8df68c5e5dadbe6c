"""What customers will do: published fits, tests on later days, and groups that are there."""

import csv
import random
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from wenshu.semantic_layer.errors import EngineError
from wenshu.tools.insight.learning import Chance, area_under_curve, calibration, learn_chance, learn_groups
from wenshu.tools.insight.lifetime import Amounts, Purchases, fit_amounts, fit_purchases

PUBLISHED = Purchases(r=0.243, alpha=4.414, a=0.793, b=2.426)


def cdnow() -> Iterator[dict[str, float]]:
    """Yield the 2,357 customers of CDNOW's published sample, up to week 39."""
    spec = find_spec("lifetimes")
    assert spec is not None and spec.origin is not None
    with (Path(spec.origin).parent / "datasets" / "cdnow_customers_summary_with_transactions.csv").open() as file:
        yield from ({name: float(value) for name, value in row.items()} for row in csv.DictReader(file))


def test_purchases_are_fitted_as_published():
    """Fader, Hardie and Lee, 2005, table 2, and the customer of their note on computing the expectation."""
    rows = list(cdnow())
    fit = fit_purchases(*([row[name] for row in rows] for name in ("x", "t_x", "T")))
    assert (fit.r, fit.alpha, fit.a, fit.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=0.001)
    assert sum(fit.log_likelihood(*(_array(row[name] for row in rows) for name in ("x", "t_x", "T")))) == pytest.approx(-9582.4, abs=0.1)
    assert fit.expected(39, [2], [30.43], [38.86])[0] == pytest.approx(1.226, abs=0.001)
    assert fit.alive([2], [30.43], [38.86])[0] == pytest.approx(0.7266, abs=0.0005)


def test_amounts_are_fitted_as_published():
    rows = list(cdnow())
    fit = fit_amounts([row["x"] for row in rows], [row["zbar"] for row in rows])
    assert (fit.p, fit.q, fit.gamma) == pytest.approx((6.25, 3.74, 15.44), rel=0.002)
    assert fit.expected([0], [0.0])[0] == pytest.approx(fit.usual)
    assert fit.usual == pytest.approx(35.2, abs=0.2)


def test_alike_customers_weigh_as_many():
    rows = [(0, 0.0, 30.0)] * 50 + [(1, 5.0, 30.0)] * 20 + [(4, 28.0, 30.0)] * 30
    kinds = sorted(set(rows))
    one_by_one = fit_purchases(*zip(*rows, strict=True))
    weighed = fit_purchases(*zip(*kinds, strict=True), weights=[rows.count(kind) for kind in kinds])
    args = (10.0, [0, 1, 4], [0.0, 5.0, 28.0], [30.0] * 3)
    assert weighed.expected(*args) == pytest.approx(one_by_one.expected(*args), rel=1e-3)


def test_expectations_are_sane_at_the_ends():
    """No time brings nothing, more time brings more, many purchases do not overflow, and a = 1 is no hole."""
    many, last, age = [0, 1, 500], [0.0, 10.0, 99.0], [100.0] * 3
    for model in (PUBLISHED, Purchases(r=0.2, alpha=4.0, a=1.0, b=2.0), Purchases(r=1.5, alpha=0.5, a=1.4, b=0.3)):
        assert model.expected(0.0, many, last, age) == pytest.approx([0, 0, 0], abs=1e-9)
        grown = [model.expected(weeks, many, last, age) for weeks in (1.0, 10.0, 100.0)]
        assert all((later > earlier).all() for earlier, later in pairwise(grown))
        assert grown[1][2] == pytest.approx(10.0 * (model.r + 500) / (model.alpha + 100) * model.alive([500], [99.0], [100.0])[0], rel=0.2)
    near, at = (Purchases(r=0.2, alpha=4.0, a=a, b=2.0).expected(10.0, many, last, age) for a in (1.0 + 1e-4, 1.0))
    assert near == pytest.approx(at, rel=1e-3)
    assert Amounts(p=6.25, q=3.74, gamma=15.44).expected([1_000], [80.0])[0] == pytest.approx(80.0, rel=0.01)


def behaving(seed: int, number: int) -> tuple[list[list[float]], list[bool]]:
    """Return users whose chance falls with ln(1 + the first number), the second being of no account."""
    chance, law = random.Random(seed), Chance(intercept=1.0, weights=(-0.8, 0.0))
    rows = [[chance.expovariate(0.1), chance.expovariate(0.1)] for _ in range(number)]
    return rows, [chance.random() < law.of(row) for row in rows]


def test_chances_are_learnt_and_tested():
    rows, outcomes = behaving(1, 4_000)
    learnt = learn_chance(rows, outcomes)
    assert (learnt.intercept, *learnt.weights) == pytest.approx((1.0, -0.8, 0.0), abs=0.15)
    fresh, came = behaving(2, 4_000)
    chances = [learnt.of(row) for row in fresh]
    area, error = area_under_curve(chances, came)
    with_it, without = ([c for c, outcome in zip(chances, came, strict=True) if outcome is wanted] for wanted in (True, False))
    assert area == pytest.approx(sum(a > b for a in with_it for b in without) / len(with_it) / len(without), abs=1e-9)
    assert 0.004 < error < 0.012
    for count, expected, true in calibration(chances, came, (0.2, 0.5, 0.8)):
        assert count < 100 or expected == pytest.approx(true, abs=0.06)


def test_noise_has_no_area():
    chance = random.Random(3)
    area, error = area_under_curve([chance.random() for _ in range(2_000)], [chance.random() < 0.3 for _ in range(2_000)])
    assert abs(area - 0.5) < 3 * error


def test_groups_that_are_there_are_found():
    chance = random.Random(4)
    centres = ((1.0, 1.0), (30.0, 1.0), (30.0, 900.0))
    rows = [[value * chance.lognormvariate(0, 0.2) for value in centres[i % 3]] for i in range(600)]
    found = learn_groups(rows)
    assert len(found.centres) == 3 and found.silhouette > 0.7 and found.stability > 0.99
    assert len(learn_groups(rows, 5).centres) == 5


@pytest.mark.parametrize(("library", "learn"), [("sklearn", lambda: learn_groups([[1.0], [2.0]])), ("scipy", lambda: fit_amounts([1], [2.0]))])
def test_a_missing_library_names_the_command(library: str, learn: Callable[[], object], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(EngineError) as error:
        learn()
    assert error.value.code == "insight_missing" and "pip install" in error.value.hint.en


def _array(values):
    import numpy as np

    return np.array(list(values))
