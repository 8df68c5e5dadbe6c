"""Owns predicting what customers will buy from how often and how recently they bought: BG/NBD, and Gamma-Gamma for the amounts.

Numbers in, numbers out; both models are fitted by maximum likelihood. BG/NBD: Fader, Hardie and Lee, 2005, “‘Counting Your
Customers’ the Easy Way”, Marketing Science 24:275–284. Gamma-Gamma: Fader and Hardie, 2013, “The Gamma-Gamma Model of
Monetary Value”. The expectation is written with Euler's transformation of Gauss's function, which never overflows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from wenshu.tools.insight.insight import library_missing

Numbers = Any  # an array of floats, or what becomes one: numpy is imported late
STARTS = (0.3, 2.0)  # of every parameter; times and amounts are brought to a like size before
POLE = 1e-6  # the expectation has a removable pole where a is 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """Hold the fit of how often customers buy until they leave; times are in the unit that it was fitted in."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, repeats: Numbers, recency: Numbers, age: Numbers) -> Numbers:
        """Return the probability that each customer still buys."""
        np, _ = _libraries()
        x, t_x, age = (np.asarray(values, float) for values in (repeats, recency, age))
        return np.asarray(1.0 / (1.0 + np.exp(self._log_odds_gone(x, t_x, age))))

    def expected(self, horizon: float, repeats: Numbers, recency: Numbers, age: Numbers) -> Numbers:
        """Return how many purchases each customer is expected to make in the time that follows."""
        np, special = _libraries()
        x, t_x, age = (np.asarray(values, float) for values in (repeats, recency, age))
        a = self.a + POLE if abs(self.a - 1.0) < POLE else self.a
        z = horizon / (self.alpha + age + horizon)
        gauss = special.hyp2f1(a + self.b - 1.0 - self.r, a - 1.0, a + self.b + x - 1.0, z)
        whole = (a + self.b + x - 1.0) / (a - 1.0) * (1.0 - np.power(1.0 - z, a - 1.0) * gauss)
        return np.maximum(whole, 0.0) * self.alive(x, t_x, age)

    def _log_odds_gone(self, x: Numbers, t_x: Numbers, age: Numbers) -> Numbers:
        np, _ = _libraries()
        gone = np.log(self.a) - np.log(self.b + np.maximum(x, 1.0) - 1.0)
        gone = gone + (self.r + x) * (np.log(self.alpha + age) - np.log(self.alpha + t_x))
        return np.where(x > 0, np.minimum(gone, 700.0), -np.inf)

    def log_likelihood(self, x: Numbers, t_x: Numbers, age: Numbers) -> Numbers:
        """Return each customer's log-likelihood: still there, or gone right after the last purchase, summed without overflow."""
        np, special = _libraries()
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        rate = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
        stay = special.gammaln(a + b) + special.gammaln(b + x) - special.gammaln(b) - special.gammaln(a + b + x)
        there = -(r + x) * np.log(alpha + age)
        gone = np.log(a) - np.log(b + np.maximum(x, 1.0) - 1.0) - (r + x) * np.log(alpha + t_x)
        return rate + stay + np.logaddexp(there, np.where(x > 0, gone, -np.inf))

    def scaled(self, factor: float) -> Self:
        """Return the same fit with times in units `factor` times as long: a fit by days for weeks is scaled by 7."""
        return replace(self, alpha=self.alpha / factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Hold the fit of what a purchase is worth, which varies around each customer's own mean."""

    p: float
    q: float
    gamma: float

    @property
    def usual(self) -> float:
        """Return the mean of a customer of whom nothing is known."""
        return self.p * self.gamma / (self.q - 1.0)

    def expected(self, repeats: Numbers, mean: Numbers) -> Numbers:
        """Return what a purchase of each customer is expected to be worth, from the mean of those there were."""
        np, _ = _libraries()
        x, m = np.asarray(repeats, float), np.asarray(mean, float)
        return self.p * (self.gamma + x * m) / (self.p * x + self.q - 1.0)

    def log_likelihood(self, x: Numbers, m: Numbers) -> Numbers:
        """Return each customer's log-likelihood, of those with purchases of any worth."""
        np, special = _libraries()
        p, q, gamma = self.p, self.q, self.gamma
        shape = special.gammaln(p * x + q) - special.gammaln(p * x) - special.gammaln(q)
        scale = q * np.log(gamma) + (p * x - 1.0) * np.log(m) + p * x * np.log(x)
        return shape + scale - (p * x + q) * np.log(gamma + x * m)


def fit_purchases(repeats: Numbers, recency: Numbers, age: Numbers, weights: Numbers = None) -> Purchases:
    """Return the BG/NBD model that customers' repeat purchases, time of the last and time since the first are likeliest under."""
    np, _ = _libraries()
    x, t_x, age = (np.asarray(values, float) for values in (repeats, recency, age))
    counts = np.ones_like(x) if weights is None else np.asarray(weights, float)
    scale = max(float(age.max()), 1e-9) / 10.0  # so that all parameters are of about the size of 1

    def model(values: Numbers) -> Purchases:
        r, alpha, a, b = (float(value) for value in values)
        return Purchases(r=r, alpha=alpha, a=a, b=b)

    found = _likeliest(lambda values: model(values).log_likelihood(x, t_x / scale, age / scale), counts, 4)
    return model(found).scaled(1.0 / scale)


def fit_amounts(repeats: Numbers, mean: Numbers, weights: Numbers = None) -> Amounts:
    """Return the Gamma-Gamma model that customers' mean amounts are likeliest under; those without any are left out."""
    np, _ = _libraries()
    x, m = np.asarray(repeats, float), np.asarray(mean, float)
    counts = np.ones_like(x) if weights is None else np.asarray(weights, float)
    kept = (x > 0) & (m > 0)
    x, m, counts = x[kept], m[kept], counts[kept]
    scale = float(np.average(m, weights=counts))

    def model(values: Numbers) -> Amounts:
        p, q, gamma = (float(value) for value in values)
        return Amounts(p=p, q=1.0 + q, gamma=gamma)  # a mean exists where q is above 1

    found = model(_likeliest(lambda values: model(values).log_likelihood(x, m / scale), counts, 3))
    return replace(found, gamma=found.gamma * scale)


def _likeliest(likelihood: Callable[[Numbers], Numbers], counts: Numbers, parameters: int) -> Numbers:
    """Return the positive parameters of the greatest likelihood: searched on the logarithms, from several starting points."""
    np, _ = _libraries()
    from scipy.optimize import minimize

    def loss(logs: Numbers) -> float:
        value = -float(counts @ likelihood(np.exp(logs))) / float(counts.sum())
        return value if np.isfinite(value) else 1e9

    reach = (float(np.log(1e-5)), float(np.log(1e5)))
    best: Any = None
    for start in STARTS:
        found = minimize(loss, np.full(parameters, np.log(start)), method="L-BFGS-B", bounds=[reach] * parameters,
                         options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 2_000})  # fmt: skip
        best = found if best is None or found.fun < best.fun else best
    return np.exp(best.x)


def _libraries() -> tuple[Any, Any]:
    try:
        import numpy as np
        from scipy import special
    except ImportError:
        raise library_missing("scipy") from None
    return np, special
