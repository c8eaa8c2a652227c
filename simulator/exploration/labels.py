"""Where the words on the lines of a picture go: beside their line, where they hide least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.exploration.canvas import Point

Box = tuple[float, float, float, float]
"""Left, bottom, right, top; in inches."""

_SHARES: Final = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)
_SAMPLES: Final = 30  # of a curve
_GAP, _FAR = 0.03, 0.2
"""Least and greatest distance of words beside a line."""

_MOST_HIDDEN: Final = 30
"""Points of other lines that words may hide; if there is no better place, they are left out."""


class Labels:
    """Finds places for words, one after the other.

    Parameters
    ----------
    routes : all lines, as Bézier curves end to end.
    taken : what must not be covered.
    """

    def __init__(self, routes: Sequence[Sequence[Point]], taken: Sequence[Box]) -> None:
        self._lines = [_points_on(route) for route in routes]
        self._taken = list(taken)

    def place(self, line: int, width: float, height: float) -> Point | None:
        """The middle of words of that size on or beside a line; None if there is no room for them."""
        best: tuple[int, Point] | None = None
        for share in _SHARES:
            x, y = self._lines[line][round(share * (len(self._lines[line]) - 1))]
            under = [other for beside, other in self._lines[line] if abs(beside - x) < width / 2]
            above, below = max(under, default=y) + height / 2 + _GAP, min(under, default=y) - height / 2 - _GAP
            for at in ((x, y), (x, above), (x, below)):
                if abs(at[1] - y) > height / 2 + _FAR:
                    continue
                box = box_around(at, width, height)
                if any(overlap(box, other) for other in self._taken):
                    continue
                hidden = sum(
                    (1 if number == line else 3) * _inside(point, box)
                    for number, points in enumerate(self._lines) for point in points
                )
                if best is None or hidden < best[0]:
                    best = hidden, at
        if best is None or best[0] > _MOST_HIDDEN:
            return None
        self._taken.append(box_around(best[1], width, height))
        return best[1]


def box_around(at: Point, width: float, height: float) -> Box:
    """The box of that size around a point."""
    return at[0] - width / 2, at[1] - height / 2, at[0] + width / 2, at[1] + height / 2


def overlap(one: Box, other: Box) -> bool:
    """Do two boxes have a point in common?"""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(point: Point, box: Box) -> bool:
    return box[0] < point[0] < box[2] and box[1] < point[1] < box[3]


def _points_on(route: Sequence[Point]) -> list[Point]:
    """Points on all curves of a line, in order."""
    points = [route[0]]
    for first in range(0, len(route) - 1, 3):
        corners = route[first : first + 4]
        for sample in range(1, _SAMPLES + 1):
            t = sample / _SAMPLES
            weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
            points.append((
                sum(weight * corner[0] for weight, corner in zip(weights, corners, strict=True)),
                sum(weight * corner[1] for weight, corner in zip(weights, corners, strict=True)),
            ))
    return points
