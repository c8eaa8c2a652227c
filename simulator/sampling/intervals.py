"""Wilson's interval for a share, and when it is narrow enough to stop."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import sqrt


@cache
def standard_deviations(confidence: float) -> float:
    """How many standard deviations around the mean hold that share of a normal distribution.

    Rounded to twelve decimals, so that the last bit of a machine's logarithm does not show.

    Examples
    --------
    >>> standard_deviations(0.95), standard_deviations(0.999)
    (1.95996398454, 3.290526731492)
    """
    from statistics import NormalDist

    return round(NormalDist().inv_cdf((1 + confidence) / 2), 12)


def wilson(hits: int, runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(0, 1000)], [round(end, 3) for end in wilson(600, 1000)]
    ([0.0, 0.0038], [0.569, 0.63])
    """
    if not runs:
        return 0.0, 1.0
    z = standard_deviations(confidence)
    share, square = hits / runs, z * z
    centre = share + square / (2 * runs)
    spread = z * sqrt(share * (1 - share) / runs + square / (4 * runs * runs))
    scale = 1 + square / runs
    lower = (centre - spread) / scale if hits else 0.0  # exactly, not up to rounding
    upper = (centre + spread) / scale if hits < runs else 1.0
    return max(0.0, lower), min(1.0, upper)


FIRST_LOOK = 100
"""So many runs are made before anybody asks whether they are enough."""


def looks() -> Iterator[int]:
    """After how many runs the width of the interval is looked at: 100, 125, 157, …, a quarter more each time.

    Looking again and again makes an interval that is too lucky more likely in principle. With these looks it costs next
    to nothing: worked out exactly, the interval at which one stops holds the true share about as often as one of a
    fixed number of runs does (the tests show it).
    """
    runs = FIRST_LOOK
    while True:
        yield runs
        runs += -(-runs // 4)


def half_width(hits: int, runs: int, confidence: float = 0.95) -> float:
    """Half the width of Wilson's interval."""
    lower, upper = wilson(hits, runs, confidence)
    return (upper - lower) / 2
