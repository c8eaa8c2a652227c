"""Units: simulated time in integer microseconds, and Kubernetes quantities, read and printed.

Simulated time is exact, so that two states can be compared; a run starts at 0 µs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

Micros = int
"""A simulated moment or duration, in microseconds."""

MILLISECOND: Final[Micros] = 1_000
SECOND: Final[Micros] = 1_000_000
MINUTE: Final[Micros] = 60 * SECOND
HOUR: Final[Micros] = 60 * MINUTE

_UNITS: Final = {"ns": 1e-3, "us": 1, "µs": 1, "ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": 24 * HOUR}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+")
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")


def parse_duration(text: str) -> Micros:
    """Read a duration such as ``30s``, ``1h``, ``1m30s`` or ``250ms``.

    Returns
    -------
    The duration in microseconds, rounded to the nearest.

    Raises
    ------
    ValueError
        If `text` is not a non-negative number with a unit.

    Examples
    --------
    >>> parse_duration("1m30s")
    90000000
    """
    if not _DURATION.fullmatch(text.strip()):
        raise ValueError(f'"{text}" is not a duration; write a number with a unit, such as 30s, 5m, 1h or 250ms')
    return round(sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text)))


def format_duration(us: Micros) -> str:
    """Print a duration the short way, exactly.

    Examples
    --------
    >>> format_duration(90_000_000), format_duration(1_250), format_duration(0)
    ('1m30s', '1.25ms', '0s')
    """
    if us < 0:
        return "-" + format_duration(-us)
    if us == 0:
        return "0s"
    if us < MILLISECOND:
        return f"{us}us"
    if us < SECOND:
        return f"{us / MILLISECOND:.3f}".rstrip("0").rstrip(".") + "ms"
    hours, rest = divmod(us, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds = f"{rest // SECOND}.{rest % SECOND:06d}".rstrip("0").rstrip(".") + "s" if rest else ""
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") + seconds


_BINARY: Final = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY: Final = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d{1,3})?")
_NANO: Final = 10**9
_LIMIT: Final = ((1 << 63) - 1) * _NANO


class Quantity:
    """An amount of a resource, exact, printed in Kubernetes' canonical form.

    Attributes
    ----------
    text : canonical form, as the API server stores it (``1024Mi`` becomes ``1Gi``).
    nano : the amount in billionths; comparisons use it and are exact (VB-32).
    """

    __slots__ = ("nano", "text")

    def __init__(self, text: str, nano: int) -> None:
        self.text = text
        self.nano = nano

    @property
    def value(self) -> int:
        """The amount in whole units (bytes, cores, pods), rounded up."""
        return -(-self.nano // _NANO)

    @property
    def milli(self) -> int:
        """The amount in thousandths, rounded up."""
        return -(-self.nano // 1_000_000)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: Quantity) -> bool:
        return self.nano < other.nano

    def __le__(self, other: Quantity) -> bool:
        return self.nano <= other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


@lru_cache(maxsize=65_536)
def quantity(text: str | int | float) -> Quantity:
    """Read a quantity such as ``10Gi``, ``500m``, ``1e3`` or ``2``.

    Raises
    ------
    ValueError
        With Kubernetes' own wording, if `text` is not a quantity.

    Examples
    --------
    >>> quantity("1024Mi"), quantity("0.5"), quantity("1.5Gi"), quantity("1000m")
    (1Gi, 500m, 1536Mi, 1)
    """
    written = str(text).strip() if not isinstance(text, bool) else ""
    found = _QUANTITY.fullmatch(written)
    if found is None:
        raise ValueError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    sign, number, suffix = found[1], found[2], found[3] or ""
    whole, _, fraction = number.partition(".")
    digits, scale = int((whole + fraction) or "0"), -len(fraction)
    if suffix in _BINARY:
        digits *= _BINARY[suffix]
    else:
        scale += _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    scale += 9
    nano = digits * 10**scale if scale >= 0 else -(-digits // 10**-scale)
    if suffix in _BINARY or len(whole + fraction) > 18:
        nano = min(nano, _LIMIT)  # Kubernetes keeps 2**63-1 at the most, but not for short decimal numbers (200E)
    if sign == "-":
        nano = -nano
    return Quantity(_canonical(nano, suffix), nano)


def _canonical(nano: int, suffix: str) -> str:
    """Kubernetes' canonical form: no fraction, the largest suffix that allows it, in the format as written."""
    if nano == 0:
        return "0"
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    if suffix in _BINARY and nano % _NANO == 0 and nano // _NANO >= 1024:
        value = nano // _NANO
        best = ""
        for name, size in _BINARY.items():
            if value % size == 0:
                best = name
        return f"{sign}{value // _BINARY[best] if best else value}{best}"
    exponent = -9
    while nano % 1000 == 0 and exponent < 18:
        nano //= 1000
        exponent += 3
    if suffix[:1] in ("e", "E") and suffix not in ("E", "Ei"):
        return f"{sign}{nano}" + (f"e{exponent}" if exponent else "")
    name = next(name for name, power in _DECIMAL.items() if power == exponent)
    return f"{sign}{nano}{name}"
