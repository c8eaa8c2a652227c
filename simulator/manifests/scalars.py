"""Plain YAML scalars as kubectl reads them: YAML 1.1 words and numbers, timestamps left as text.

kubectl turns YAML into JSON before anything else, so a number that JSON would print without a fraction is an int here.
"""

from __future__ import annotations

import base64
import binascii
import re
from math import isfinite
from typing import Final

from simulator.manifests.suggest import shown

Scalar = str | int | float | bool | None
"""What a single value of a manifest can be."""

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NOT_FINITE: Final = frozenset(
    sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN")
)
_NUMBER_STARTS: Final = frozenset("0123456789+-.")
_WHOLE: Final = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_NUMBER: Final = 400
_INT64: Final = 1 << 63
_TAG: Final = "tag:yaml.org,2002:"


def resolve_plain(text: str) -> Scalar:
    """The value of an unquoted scalar.

    Raises
    ------
    ValueError
        If it is an infinity or not-a-number, which JSON cannot hold.

    Examples
    --------
    >>> [resolve_plain(text) for text in ("yes", "0x1F", "017", "1e3", "1.50", "12:30:45", "~", "node-1")]
    [True, 31, 15, 1000, 1.5, '12:30:45', None, 'node-1']
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if text in _NOT_FINITE:
        raise ValueError(f"{text} is not a finite number")
    return _number(text)


def _number(text: str) -> str | int | float:
    digits = text.replace("_", "")
    if len(digits) > _LONGEST_NUMBER:
        return text
    whole = _WHOLE.fullmatch(digits)
    if whole is not None:
        sign, *by_base = whole.groups()
        digits_of = zip(by_base, (16, 2, 8, 10), strict=True)
        number, base = next((part, base) for part, base in digits_of if part is not None)
        value = -int(number, base) if sign == "-" else int(number, base)
        if -_INT64 <= value < 2 * _INT64:
            return value if value < _INT64 else float(value)
    if _DECIMAL.fullmatch(digits) is None:
        return text
    try:
        return settle(float(digits))
    except ValueError:
        return text


def settle(value: float) -> int | float:
    """A float as JSON prints it: without a fraction it is an int, if it fits into 64 bits.

    Raises
    ------
    ValueError
        If it is not finite.
    """
    if not isfinite(value):
        raise ValueError("a number is too large")
    return int(value) if value.is_integer() and -_INT64 <= value < _INT64 else value


def resolve_tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar with an explicit tag; a tag that is not YAML's own means text.

    Raises
    ------
    ValueError
        If the text is not of the tag's type.
    """
    kind = tag.removeprefix(_TAG) if tag.startswith(_TAG) else ""
    if kind == "binary":
        try:
            return base64.b64decode(text, validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            raise ValueError("!!binary value contains invalid base64 data") from None
    if kind not in _TYPES:
        return text
    value = resolve_plain(text)
    if value.__class__ not in _TYPES[kind]:
        raise ValueError(f"{shown(text)} is not a !!{kind}")
    return value


_TYPES: Final = {"int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),)}


def key_text(value: Scalar) -> str:
    """The key that kubectl makes of a scalar: numbers and booleans become text.

    Raises
    ------
    ValueError
        If the key is null.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise ValueError("a key is missing before the colon, or it is null; write the name of a field")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
