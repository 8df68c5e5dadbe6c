"""Owns whether two groups differ by more than chance: tests, intervals, corrections and sample sizes. Numbers in, numbers out.

Two proportions: pooled z-test (Fleiss, Levin & Paik 2003, §3.2) with Newcombe's hybrid score interval (Newcombe 1998,
Statistics in Medicine 17:873–890, method 10, on Wilson 1927). Two means: Welch 1947 (Biometrika 34:28–35) with
Satterthwaite's degrees of freedom. A ratio of two sums per user: the delta method (Deng, Knoblich & Lu 2018, KDD). Sample ratio:
Pearson's chi-square (Fabijan et al. 2019, KDD). Several comparisons: Holm 1979 (Scand. J. Statistics 6:65–70).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Literal

SURE = 0.95
POWER = 0.8
Kind = Literal["rate", "mean"]
Z = NormalDist().inv_cdf(0.5 + SURE / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Hold what a group's users come to: x of what is looked at over y of what it is taken of, both summed per user.

    y is 1 for whoever counts; a rate is x and y of 0 or 1, a mean any x over y = 1, a ratio of sums any x over any y.
    """

    users: int
    x: float
    y: float = 1.0
    var_x: float = 0.0
    var_y: float = 0.0
    cov: float = 0.0

    @property
    def base(self) -> float:
        """Return how many users count, or the sum of y."""
        return self.users * self.y

    @property
    def value(self) -> float:
        return self.x / self.y

    @property
    def variance(self) -> float:
        """Return the variance of one user's part in the value, by the delta method."""
        return max(0.0, self.var_x - 2 * self.value * self.cov + self.value**2 * self.var_y) / self.y**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Hold how far a group is above another, its interval, and how often chance alone is as far off.

    `detectable` is the least difference that groups of this size show four times in five.
    """

    value: float
    low: float
    high: float
    chance: float
    detectable: float


def compare(control: Moments, treated: Moments, kind: Kind) -> Difference:
    """Return the difference of the treated from the control group.

    >>> found = compare(Moments(users=1000, x=0.10), Moments(users=1000, x=0.13), "rate")
    >>> round(found.value, 4), round(found.low, 4), round(found.high, 4), round(found.chance, 4)
    (0.03, 0.002, 0.0581, 0.0355)
    """
    if kind == "rate":
        return _compare_rates(control, treated)
    errors = [group.variance / group.users for group in (control, treated)]
    error = math.sqrt(sum(errors))
    value = treated.value - control.value
    degrees = sum(errors) ** 2 / sum(e**2 / (g.users - 1) for e, g in zip(errors, (control, treated), strict=True)) if error else math.inf
    reach = error * student_quantile(0.5 + SURE / 2, degrees)
    chance = student_tail(value / error, degrees) if error else float(value == 0)
    return Difference(value=value, low=value - reach, high=value + reach, chance=chance, detectable=_both_errors() * error)


def _compare_rates(control: Moments, treated: Moments) -> Difference:
    p0, n0, p1, n1 = control.value, control.base, treated.value, treated.base
    pooled = (p0 * n0 + p1 * n1) / (n0 + n1)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    value = p1 - p0
    (low0, high0), (low1, high1) = wilson(p0, n0), wilson(p1, n1)
    return Difference(
        value=value, low=value - math.hypot(p1 - low1, high0 - p0), high=value + math.hypot(high1 - p1, p0 - low0),
        chance=normal_tail(value / error) if error else 1.0, detectable=_both_errors() * error,
    )  # fmt: skip


def interval(group: Moments, kind: Kind) -> tuple[float, float]:
    """Return the 95 % interval of a group's own value."""
    if kind == "rate":
        return wilson(group.value, group.base)
    reach = math.sqrt(group.variance / group.users) * student_quantile(0.5 + SURE / 2, group.users - 1)
    return group.value - reach, group.value + reach


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share of so many."""
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    reach = Z / (1 + Z**2 / count) * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def needed_users(control: Moments, kind: Kind, effect: float) -> int:
    """Return how many users each of two equal groups needs to show a difference of `effect` four times in five.

    >>> needed_users(Moments(users=1000, x=0.10), "rate", 0.02)
    3839
    """
    if kind == "rate":
        p0 = control.value
        p1 = min(1.0, max(0.0, p0 + effect))
        variance = (p0 * (1 - p0) + p1 * (1 - p1)) / control.y
    else:
        variance = 2 * control.variance
    return math.ceil(_both_errors() ** 2 * variance / effect**2)


def _both_errors() -> float:
    return Z + NormalDist().inv_cdf(POWER)


def sample_ratio(counts: Sequence[int], shares: Sequence[float] = ()) -> tuple[float, float]:
    """Return chi-square, and its chance, of groups of these sizes where `shares` (equal ones, if not given) were meant.

    >>> chi, chance = sample_ratio([44700, 45489])
    >>> round(chi, 2), round(chance, 4)
    (6.9, 0.0086)
    """
    total = sum(counts)
    expected = [total * share / sum(shares) for share in shares] if shares else [total / len(counts)] * len(counts)
    chi = sum((count - usual) ** 2 / usual for count, usual in zip(counts, expected, strict=True))
    return chi, chi_square_tail(chi, len(counts) - 1)


def holm(chances: Sequence[float]) -> list[float]:
    """Return the chances corrected for being several, so that all findings below 5 % together are wrong at most 5 % of times.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    out, most = [0.0] * len(chances), 0.0
    for place, at in enumerate(sorted(range(len(chances)), key=lambda i: chances[i])):
        most = max(most, min(1.0, chances[at] * (len(chances) - place)))
        out[at] = most
    return out


# Distributions ------------------------------------------------------------------------------------------------------------


def normal_tail(z: float) -> float:
    """Return how often a standard normal number is further from zero, on either side."""
    return math.erfc(abs(z) / math.sqrt(2))


def chi_square_tail(value: float, degrees: int) -> float:
    """Return how often chi-square of so many degrees of freedom is larger (Abramowitz & Stegun 26.4.4 and 26.4.5)."""
    half = value / 2
    if degrees % 2 == 0:
        return min(1.0, math.exp(-half) * sum(math.pow(half, i) / math.factorial(i) for i in range(degrees // 2)))
    more = sum(math.pow(half, i - 0.5) / math.gamma(i + 0.5) for i in range(1, degrees // 2 + 1))
    return min(1.0, math.erfc(math.sqrt(half)) + math.exp(-half) * more)


def student_tail(t: float, degrees: float) -> float:
    """Return how often Student's t of any degrees of freedom is further from zero, on either side."""
    if math.isinf(degrees) or degrees > 1e7:
        return normal_tail(t)
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def student_quantile(share: float, degrees: float) -> float:
    """Return the value that a share of Student's t lies below, for shares above a half."""
    return _quantile(share, round(degrees, 3))


@cache
def _quantile(share: float, degrees: float) -> float:
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, degrees) > 2 * (1 - share) else (low, middle)
    return low


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function, by its continued fraction (Abramowitz & Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a

    def term(m: int) -> float:
        k = m // 2
        if m % 2 == 0:
            return k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k))
        return -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))

    return front / _continued_fraction(term)


def _continued_fraction(term: Callable[[int], float]) -> float:
    """Return 1 + term(1) / (1 + term(2) / (1 + …)), by Lentz's method."""
    tiny, value, c, d = 1e-300, 1.0, 1.0, 0.0
    for m in range(1, 2000):
        d = 1 / (1 + term(m) * d or tiny)
        c = 1 + term(m) / c or tiny
        value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value
