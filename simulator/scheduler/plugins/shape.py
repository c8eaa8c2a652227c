"""Piecewise-linear shapes that turn a utilization into a score (SC-89, SC-96)."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

Shape: TypeAlias = tuple[tuple[int, int], ...]
"""Points (utilization 0–100, score 0–10), by rising utilization."""

_SCALE: Final = 10


def broken_linear(shape: Shape, utilization: int) -> int:
    """The score, 0–100, at a utilization: integer interpolation between points, flat outside them.

    Examples
    --------
    >>> broken_linear(((0, 0), (100, 10)), 25), broken_linear(((0, 10), (100, 0)), 33)
    (25, 67)
    """
    for place, (x, y) in enumerate(shape):
        if utilization <= x:
            if place == 0:
                return y * _SCALE
            x0, y0 = shape[place - 1]
            return y0 * _SCALE + _truncated((y - y0) * _SCALE * (utilization - x0), x - x0)
    return shape[-1][1] * _SCALE


def round_half_up(value: float) -> int:
    """The nearest whole number, halves away from zero, for values of 0 and more."""
    whole = math.floor(value)
    return whole + 1 if value - whole >= 0.5 else whole


def _truncated(dividend: int, divisor: int) -> int:
    """Integer division that rounds towards zero, as Kubernetes' does."""
    return dividend // divisor if dividend >= 0 else -(-dividend // divisor)
