"""Owns what is learnt from rows of numbers with scikit-learn: the chance of an outcome, and groups that rows fall into.

Numbers in, numbers out. Logistic regression with a quadratic penalty (Hastie, Tibshirani and Friedman, 2009, section 4.4);
the area under the curve with its error after Hanley and McNeil, 1982, Radiology 143:29–36; K-means (Lloyd, 1982) with the
number of groups by silhouette (Rousseeuw, 1987) and their stability by the adjusted Rand index (Hubert and Arabie, 1985).
Counts and amounts are taken as ln(1 + value), as they are skewed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from wenshu.tools.insight.insight import library_missing

Rows = Sequence[Sequence[float]]
MOST_FOR_SILHOUETTE = 2_000  # rows; it holds each against each
SEEDS = 4  # that a grouping is repeated from
TRIED = range(2, 7)  # numbers of groups
NEARLY = 0.05  # of the best silhouette, which by itself favours two groups that tell little


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Hold how an outcome's log-odds follow from a row: `intercept` + Σ weight × ln(1 + value).

    `means` are those of the logarithms learnt from, `gaps` how much higher they are with the outcome than without.
    """

    intercept: float
    weights: tuple[float, ...]
    means: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()

    def of(self, row: Sequence[float]) -> float:
        odds = self.intercept + sum(weight * math.log1p(value) for weight, value in zip(self.weights, row, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, odds))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Hold groups of rows: centres of the standardised ln(1 + value), with what it was standardised by.

    `silhouette` says how far apart they are, from -1 to 1; `stability` how alike they are from other starting points, up to 1.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    centres: tuple[tuple[float, ...], ...]
    silhouette: float
    stability: float


def learn_chance(rows: Rows, outcomes: Sequence[bool]) -> Chance:
    """Return how an outcome goes with the numbers of rows."""
    np, linear = _libraries("linear_model")
    values = np.log1p(np.asarray(rows, float))
    means, scales = values.mean(axis=0), values.std(axis=0)
    scales[scales < 1e-9] = np.inf  # what does not vary says nothing
    found = linear.LogisticRegression(C=1.0, max_iter=1_000).fit((values - means) / scales, np.asarray(outcomes, int))
    weights = found.coef_[0] / scales
    came = np.asarray(outcomes, bool)
    gaps = values[came].mean(axis=0) - values[~came].mean(axis=0)
    return Chance(
        intercept=float(found.intercept_[0] - weights @ means), weights=tuple(weights.tolist()), means=tuple(means.tolist()), gaps=tuple(gaps.tolist()),
    )  # fmt: skip


def area_under_curve(chances: Sequence[float], outcomes: Sequence[bool]) -> tuple[float, float]:
    """Return how often a row with the outcome has the higher chance of two, and the standard error of that."""
    _, metrics = _libraries("metrics")
    area = float(metrics.roc_auc_score([int(outcome) for outcome in outcomes], list(chances)))
    with_it = sum(outcomes)
    without = len(outcomes) - with_it
    both_above, one_above_both = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (with_it - 1) * (both_above - area**2) + (without - 1) * (one_above_both - area**2)
    return area, math.sqrt(max(variance, 0.0) / (with_it * without))


def calibration(chances: Sequence[float], outcomes: Sequence[bool], edges: Sequence[float]) -> list[tuple[int, float, float]]:
    """Return by band of the chance how many rows there are, the mean chance and the share with the outcome.

    >>> calibration([0.1, 0.2, 0.9], [False, True, True], [0.5])
    [(2, 0.15, 0.5), (1, 0.9, 1.0)]
    """
    bands: list[list[tuple[float, bool]]] = [[] for _ in (*edges, 1)]
    for chance, outcome in zip(chances, outcomes, strict=True):
        bands[sum(chance >= edge for edge in edges)].append((chance, outcome))
    return [(len(band), round(fmean(c for c, _ in band), 12), fmean(o for _, o in band)) if band else (0, 0.0, 0.0) for band in bands]


def learn_groups(rows: Rows, number: int | None = None) -> Groups:
    """Return the groups that rows fall into: `number` of them, or the most that are nearly as far apart as groups can be."""
    np, cluster = _libraries("cluster")
    _, metrics = _libraries("metrics")
    from threadpoolctl import threadpool_limits

    values = np.log1p(np.asarray(rows, float))
    means, scales = values.mean(axis=0), values.std(axis=0)
    scales[scales < 1e-9] = 1.0
    scaled = (values - means) / scales
    some = scaled[:: max(1, len(scaled) // MOST_FOR_SILHOUETTE)]

    def grouped(count: int, seed: int) -> Any:
        return cluster.KMeans(n_clusters=count, n_init=2, random_state=seed).fit(scaled)

    def apart(found: Any) -> float:
        labels = found.predict(some)
        return float(metrics.silhouette_score(some, labels)) if len(set(labels.tolist())) > 1 else -1.0

    with threadpool_limits(1):  # threads that wait for each other are slow where the cores are shared
        tried = [(apart(found), found) for found in (grouped(count, 0) for count in ((number,) if number else TRIED))]
        best = max(silhouette for silhouette, _ in tried)
        silhouette, found = [one for one in tried if one[0] >= best - NEARLY][-1]
        others = [grouped(len(found.cluster_centers_), seed).labels_ for seed in range(1, SEEDS + 1)]
        stability = fmean(float(metrics.adjusted_rand_score(found.labels_, labels)) for labels in others)
    return Groups(
        means=tuple(means.tolist()), scales=tuple(scales.tolist()), silhouette=silhouette, stability=stability,
        centres=tuple(tuple(centre) for centre in found.cluster_centers_.tolist()),
    )  # fmt: skip


def _libraries(part: str) -> tuple[Any, Any]:
    try:
        import numpy as np
        from sklearn import cluster, linear_model, metrics
    except ImportError:
        raise library_missing("scikit-learn") from None
    return np, {"cluster": cluster, "linear_model": linear_model, "metrics": metrics}[part]
