"""The syntax of names, labels and annotations; each check gives what is wrong in Kubernetes' words, or nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_LABEL_FORMAT: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_FORMAT: Final = _LABEL_FORMAT + r"(\." + _LABEL_FORMAT + ")*"
_SERVICE_FORMAT: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_FORMAT: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE_FORMAT: Final = "(" + _QUALIFIED_FORMAT + ")?"
_PERCENT_FORMAT: Final = "[0-9]+%"

_LABEL: Final = re.compile(_LABEL_FORMAT)
_SUBDOMAIN: Final = re.compile(_SUBDOMAIN_FORMAT)
_SERVICE: Final = re.compile(_SERVICE_FORMAT)
_QUALIFIED: Final = re.compile(_QUALIFIED_FORMAT)
_VALUE: Final = re.compile(_VALUE_FORMAT)
_PERCENT: Final = re.compile(_PERCENT_FORMAT)

_NONE: Final[tuple[str, ...]] = ()
Complaints = tuple[str, ...]


def _longer_than(limit: int) -> str:
    return f"must be no more than {limit} characters"


def _pattern(says: str, form: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{says} (e.g. {shown}regex used for validation is '{form}')"


def label_name(text: str) -> Complaints:
    """What keeps `text` from being a DNS-1123 label: the name of a set, a namespace, a container, a volume of a pod."""
    if len(text) <= 63 and _LABEL.fullmatch(text):
        return _NONE
    long = (_longer_than(63),) if len(text) > 63 else _NONE
    if _LABEL.fullmatch(text):
        return long
    if _SUBDOMAIN.fullmatch(text):
        return (*long, "must not contain dots")
    return (*long, _pattern(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character", _LABEL_FORMAT, "my-name", "123-abc"))


def subdomain_name(text: str) -> Complaints:
    """What keeps `text` from being a DNS-1123 subdomain: the name of most objects."""
    if len(text) <= 253 and _SUBDOMAIN.fullmatch(text):
        return _NONE
    long = (_longer_than(253),) if len(text) > 253 else _NONE
    if _SUBDOMAIN.fullmatch(text):
        return long
    return (*long, _pattern(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character", _SUBDOMAIN_FORMAT, "example.com"))


def service_name(text: str) -> Complaints:
    """What keeps `text` from being a DNS-1035 label: the name of a service."""
    if len(text) <= 63 and _SERVICE.fullmatch(text):
        return _NONE
    long = (_longer_than(63),) if len(text) > 63 else _NONE
    if _SERVICE.fullmatch(text):
        return long
    return (*long, _pattern(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character", _SERVICE_FORMAT, "my-name", "abc-123"))


@lru_cache(maxsize=4096)
def qualified_name(text: str) -> Complaints:
    """What keeps `text` from being a label key, an annotation key in lower case, or a finalizer."""
    parts = text.split("/")
    must = ("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character")
    examples = ("MyName", "my.name", "123-abc")
    if len(parts) > 2:
        return ("a valid label key " + _pattern(must, _QUALIFIED_FORMAT, *examples)
                + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    found: list[str] = []
    if len(parts) == 2:
        complaints = subdomain_name(parts[0]) if parts[0] else ("must be non-empty",)
        found += [f"prefix part {why}" for why in complaints]
    name = parts[-1]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append("name part " + _longer_than(63))
    if not _QUALIFIED.fullmatch(name):
        found.append("name part " + _pattern(must, _QUALIFIED_FORMAT, *examples))
    return tuple(found)


def label_value(text: str) -> Complaints:
    """What keeps `text` from being the value of a label (WL-6)."""
    if len(text) <= 63 and _VALUE.fullmatch(text):
        return _NONE
    long = (_longer_than(63),) if len(text) > 63 else _NONE
    if _VALUE.fullmatch(text):
        return long
    return (*long, _pattern(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character", _VALUE_FORMAT, "MyValue", "my_value", "12345"))


def is_percent(text: str) -> bool:
    """Whether `text` is a percentage such as ``50%``."""
    return _PERCENT.fullmatch(text) is not None


_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_SPREAD: Final = 7_654_321
_MOST: Final = 58


def generated_name(base: str, number: int) -> str:
    """A name from ``generateName``: five letters of Kubernetes' own alphabet, the same in every run of one history.

    Neighbouring numbers give names that look nothing alike.

    Examples
    --------
    >>> generated_name("web-", 1), generated_name("web-", 2)
    ('web-n26ns', 'web-2r24c')
    """
    rest = number * _SPREAD % len(_ALPHABET) ** 5
    letters = ""
    for _ in range(5):
        rest, digit = divmod(rest, len(_ALPHABET))
        letters += _ALPHABET[digit]
    return base[:_MOST] + letters
