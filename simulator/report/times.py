"""Times as people read them: kubectl's ages, RFC 3339 for manifests, and the clock of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from simulator.units import HOUR, MILLISECOND, MINUTE, SECOND, Micros

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""The moment at which every run starts."""

_DAY: Final = 24 * 3600
_YEAR: Final = 365 * _DAY


def age(since: Micros | None, now: Micros) -> str:
    """How long ago something was, as kubectl prints it (WL-172); stamps have whole seconds (CP-19).

    Examples
    --------
    >>> age(1_900_000, 4_100_000), age(0, 125_000_000), age(0, 3 * HOUR), age(None, 0)
    ('3s', '2m5s', '3h', '<unknown>')
    """
    if since is None:
        return "<unknown>"
    return duration((now - since // SECOND * SECOND) / SECOND)


def duration(exact: float) -> str:
    """Seconds in kubectl's short form (WL-172)."""
    seconds = int(exact)  # towards zero
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // _DAY
    if minutes < 10:
        return f"{minutes}m" + _rest(seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h" + _rest(minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d" + _rest(hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    years = seconds // _YEAR
    if years < 8:
        return f"{years}y" + _rest(days % 365, "d")
    return f"{years}y"


def _rest(amount: int, unit: str) -> str:
    return f"{amount}{unit}" if amount else ""


def rfc3339(time: Micros) -> str:
    """A timestamp as the API shows it, in whole seconds.

    Examples
    --------
    >>> rfc3339(61_500_000)
    '2026-01-01T00:01:01Z'
    """
    return (START + timedelta(seconds=time // SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(time: Micros) -> str:
    """A timestamp with microseconds, as leases have it."""
    return (START + timedelta(microseconds=time)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def clock(time: Micros) -> str:
    """A moment of a run: ``0s``, ``3ms``, ``1.234s``, ``2m05.1s``, ``1h02m``; rounded to what a reader can use.

    Examples
    --------
    >>> clock(250), clock(12_400), clock(1_234_567), clock(65_100_000), clock(3_725_000_000)
    ('0.25ms', '12.4ms', '1.23s', '1m05.1s', '1h02m05s')
    """
    if time == 0:
        return "0s"
    if time < MILLISECOND:
        return f"{time / MILLISECOND:.2g}ms"
    if time < SECOND:
        return f"{time / MILLISECOND:.4g}ms"
    if time < MINUTE:
        return f"{time / SECOND:.3g}s" if time >= 10 * SECOND else f"{time / SECOND:.2f}s"
    minutes, rest = divmod(time, MINUTE)
    if time < HOUR:
        return f"{minutes}m{rest / SECOND:04.1f}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{rest // SECOND:02d}s"
