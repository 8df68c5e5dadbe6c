"""Owns differences between two groups that are held alike in what they are made of: within strata, then put together.

Rates: Mantel & Haenszel 1959 (J. Nat. Cancer Inst. 22:719–748), with the variances of Greenland & Robins 1985 (Biometrics
41:55–68). Means: direct standardisation to the first group (Miettinen 1972; the effect on the treated of Imbens 2004).
Numbers in, numbers out.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from wenshu.tools.insight.significance import Z, normal_tail


class Cell(NamedTuple):
    """Hold one stratum of a 2 × 2 table: how many did it, and how many of them came to the outcome; the same of the others."""

    with_outcome: int
    with_all: int
    without_outcome: int
    without_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """Hold the rates of those who did something and of the others, and how they differ within strata of equals.

    `difference` and `ratio` are Mantel–Haenszel's, with 95 % intervals; `z` is their test of no difference in any stratum.
    """

    with_rate: float
    without_rate: float
    coverage: float
    difference: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    z: float

    @property
    def chance(self) -> float:
        return normal_tail(self.z)


def association(cells: Iterable[Cell]) -> Association | None:
    """Return how an outcome goes with doing something, over strata; None where a stratum that holds both is missing."""
    every = list(cells)
    strata = [cell for cell in every if cell.with_all and cell.without_all]
    a, n1, c, n0 = (sum(part) for part in zip(*every, strict=True)) if every else (0, 0, 0, 0)
    if not strata or not a or not c:
        return None
    weight = weighted = spread = over = under = crossed = observed = usual = variance = 0.0
    for cell in strata:
        did, all1, others, all0 = cell
        total, outcomes = all1 + all0, did + others
        weight += all1 * all0 / total
        weighted += (did * all0 - others * all1) / total
        spread += (did * (all1 - did) * all0**3 + others * (all0 - others) * all1**3) / (all1 * all0 * total**2)
        over += did * all0 / total
        under += others * all1 / total
        crossed += (all1 * all0 * outcomes - did * others * total) / total**2
        observed += did
        usual += all1 * outcomes / total
        if total > 1:
            variance += all1 * all0 * outcomes * (total - outcomes) / (total**2 * (total - 1))
    if not over or not under or not variance:
        return None
    difference, error = weighted / weight, math.sqrt(spread) / weight
    ratio, log_error = over / under, math.sqrt(max(0.0, crossed) / (over * under))
    return Association(
        with_rate=a / n1, without_rate=c / n0, coverage=n1 / (n1 + n0), difference=difference, low=difference - Z * error,
        high=difference + Z * error, ratio=ratio, ratio_low=ratio * math.exp(-Z * log_error), ratio_high=ratio * math.exp(Z * log_error),
        z=(observed - usual) / math.sqrt(variance),
    )  # fmt: skip


class Means(NamedTuple):
    """Hold one stratum of two groups: users, mean and variance of each; the first group is the one looked at."""

    users: int
    mean: float
    variance: float
    other_users: int
    other_mean: float
    other_variance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardised:
    """Hold the mean of the first group, that of equals in the other, and their difference with its 95 % interval.

    `matched` is the share of the first group that has equals.
    """

    mean: float
    other_mean: float
    low: float
    high: float
    matched: float
    chance: float

    @property
    def difference(self) -> float:
        return self.mean - self.other_mean


def standardised(strata: Sequence[Means], fewest: int = 2) -> Standardised | None:
    """Return the first group against the other weighted to be made up alike; strata with fewer than `fewest` of either are left out."""
    used = [each for each in strata if each.users >= fewest and each.other_users >= fewest]
    users = sum(each.users for each in used)
    if not users:
        return None
    shares = [each.users / users for each in used]
    mean = sum(share * each.mean for share, each in zip(shares, used, strict=True))
    other = sum(share * each.other_mean for share, each in zip(shares, used, strict=True))
    error = math.sqrt(sum(s**2 * (e.variance / e.users + e.other_variance / e.other_users) for s, e in zip(shares, used, strict=True)))
    return Standardised(
        mean=mean, other_mean=other, low=mean - other - Z * error, high=mean - other + Z * error,
        matched=users / sum(each.users for each in strata), chance=normal_tail((mean - other) / error) if error else 1.0,
    )  # fmt: skip
