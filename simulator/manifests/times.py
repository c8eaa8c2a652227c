"""Points in time as manifests write them (RFC 3339), as simulated microseconds, and back."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from simulator.manifests.suggest import shown
from simulator.units import HOUR, MINUTE, SECOND, Micros

DAY: Final[Micros] = 24 * HOUR
_SHAPE: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def _absolute(text: str) -> Micros:
    """Microseconds since the year 1 began."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ValueError(f"{shown(text)} is not a point in time. Write it as 2026-01-01T00:00:00Z")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{shown(text)} is not a point in time: there is no {hour:02}:{minute:02}:{second:02}")
    try:
        days = date(year, month, day).toordinal()
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not a point in time: {error}") from None
    offset = int(found[9]) * HOUR + int(found[10]) * MINUTE if found[8] else 0
    fraction = int((found[7] or "").ljust(6, "0")[:6])
    moment = days * DAY + hour * HOUR + minute * MINUTE + second * SECOND + fraction
    return moment + offset if found[8] == "-" else moment - offset


EPOCH: Final = "2026-01-01T00:00:00Z"
"""The point in time that is simulated time 0, unless the caller says otherwise."""

_EPOCH_US: Final[Micros] = _absolute(EPOCH)


def parse_time(text: str, epoch: str = EPOCH) -> Micros:
    """Read a point in time; what lies before `epoch` is negative.

    Raises
    ------
    ValueError
        If `text` is not a date and time with a time zone.

    Examples
    --------
    >>> parse_time("2026-01-01T00:00:01.5Z"), parse_time("2025-12-31T23:59:59Z")
    (1500000, -1000000)
    """
    return _absolute(text) - (_EPOCH_US if epoch == EPOCH else _absolute(epoch))


def format_time(moment: Micros, epoch: str = EPOCH) -> str:
    """Print a point in time as the API server does: UTC, whole seconds.

    Examples
    --------
    >>> format_time(1_500_000), format_time(-1)
    ('2026-01-01T00:00:01Z', '2025-12-31T23:59:59Z')
    """
    days, rest = divmod(moment + (_EPOCH_US if epoch == EPOCH else _absolute(epoch)), DAY)
    hour, rest = divmod(rest, HOUR)
    minute, rest = divmod(rest, MINUTE)
    return f"{date.fromordinal(days).isoformat()}T{hour:02}:{minute:02}:{rest // SECOND:02}Z"
