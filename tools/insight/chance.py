"""Owns how often noise alone lies so far out: the tails of Student's t. Pure, and without a library.

An even number of degrees of freedom has a closed form (Abramowitz and Stegun, 1964, 26.7.4).
"""

import math


def tail(deviations: float, degrees: int) -> float:
    """Return how often Student's t of an even number of degrees of freedom is further from zero, on either side.

    >>> round(tail(2.306, 8), 4)
    0.05
    """
    angle = math.atan(abs(deviations) / math.sqrt(degrees))
    term = total = 1.0
    for k in range(1, degrees // 2):
        term *= (2 * k - 1) / (2 * k) * math.cos(angle) ** 2
        total += term
    return max(0.0, 1.0 - math.sin(angle) * total)
