"""How long things take: latencies by name, each a constant, a range or a table of quantiles.

A latency holds no generator: exploration asks for `representatives`, a timed run for `quantile(u)`. Only integers are
used, so that every machine gives the same microsecond.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct

from simulator.units import MILLISECOND, SECOND, Micros, parse_duration

_ONE: Final = 1 << 64


class Latency(Struct, frozen=True):
    """A distribution of durations as a piecewise-linear quantile function.

    Attributes
    ----------
    points : ((share, duration), …) with shares in 2**-64 steps from 0 to 2**64, both ascending.
    """

    points: tuple[tuple[int, Micros], ...]

    @property
    def constant(self) -> Micros | None:
        """The duration, if it is always the same."""
        first = self.points[0][1]
        return first if all(value == first for _, value in self.points) else None

    def quantile(self, u: int) -> Micros:
        """The duration at share ``u / 2**64``."""
        lower_share, lower = self.points[0]
        for share, value in self.points[1:]:
            if u < share:
                return lower + (value - lower) * (u - lower_share) // (share - lower_share)
            lower_share, lower = share, value
        return lower

    @property
    def representatives(self) -> tuple[Micros, ...]:
        """The distinct durations that exploration tries: the corners of the quantile function."""
        return tuple(dict.fromkeys(value for _, value in self.points))


def constant(duration: Micros) -> Latency:
    """Always the same duration."""
    return Latency(((0, duration), (_ONE, duration)))


def uniform(shortest: Micros, longest: Micros) -> Latency:
    """Any duration of a range, each as likely."""
    return Latency(((0, shortest), (_ONE, longest)))


def parse_latency(written: Any) -> Latency:
    """Read a latency of a scenario file.

    Parameters
    ----------
    written : ``30ms``; ``[10ms, 50ms]`` (a range); or ``{"0": 10ms, "0.9": 50ms, "1": 2s}`` (quantiles).

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(written, str):
        return constant(parse_duration(written))
    if isinstance(written, (list, tuple)) and len(written) == 2:
        shortest, longest = (parse_duration(str(end)) for end in written)
        if shortest > longest:
            raise ValueError(f"the range [{written[0]}, {written[1]}] ends before it begins")
        return uniform(shortest, longest)
    if isinstance(written, Mapping) and written:
        points = sorted((_share(share), parse_duration(str(value))) for share, value in written.items())
        if points[0][0] != 0 or points[-1][0] != 10**9:
            raise ValueError('a table of quantiles needs the shares "0" and "1"')
        if any(earlier > later for (_, earlier), (_, later) in pairwise(points)):
            raise ValueError("the durations of a table of quantiles must not fall")
        return Latency(tuple((share * _ONE // 10**9, value) for share, value in points))
    raise ValueError(f"{written!r} is not a latency; write 30ms, a range [10ms, 50ms], or quantiles {{'0': …, '1': …}}")


def _share(written: Any) -> int:
    """A share from 0 to 1, in billionths."""
    try:
        return round(float(written) * 10**9)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f'{written!r} is not a share; write a number from "0" to "1"') from None


DEFAULTS: Final[dict[str, Latency]] = {
    "api": constant(2 * MILLISECOND),  # one API write, until it is stored and answered
    "read": constant(1 * MILLISECOND),  # one live read
    "watch": constant(1 * MILLISECOND),  # from stored to seen by a watcher
    "work": constant(0),  # from a key that is ready to its sync
    "work/scheduler": constant(1 * MILLISECOND),  # one scheduling cycle
}
"""Latencies by point; a component's own points are added where the cluster is put together."""


def default_latency(point: str) -> Latency:
    """The latency of a point: its own, else that of the part before the slash.

    Raises
    ------
    KeyError
        If neither is known.
    """
    found = DEFAULTS.get(point)
    return found if found is not None else DEFAULTS[point.partition("/")[0]]


__all__ = ["DEFAULTS", "SECOND", "Latency", "constant", "default_latency", "parse_latency", "uniform"]
