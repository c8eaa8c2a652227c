"""JSON text to plain data: one value or several after each other, as kubectl and log shippers write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

from simulator.manifests.parsed import MAX_DEPTH, TOO_DEEP, Malformed, Parsed, check_unicode, given_twice
from simulator.manifests.scalars import settle

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_NUMBER: Final = 300
_LIST_HEAD: Final = 600
"""A list says so early: kubectl writes ``apiVersion`` and ``items`` first."""


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(given_twice(key))
            seen.add(key)
    return mapping


def _whole(text: str) -> int | float:
    if len(text) <= 18:
        return int(text)
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number is too large")
    value = int(text)
    return value if -(1 << 63) <= value < 1 << 63 else float(value)


def _decimal(text: str) -> int | float:
    return settle(float(text))


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not a finite number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_mapping, parse_int=_whole, parse_float=_decimal, parse_constant=_constant
)


def read_json(text: str) -> Iterator[Parsed]:
    """Read the values of a text one after the other.

    Raises
    ------
    Malformed
        At the first thing that is not JSON, or that no manifest can hold.
    """
    position = _after_space(text, 0)
    escapes = _SURROGATE.search(text) is not None
    line, counted = 1, 0
    while position < len(text):
        line, counted = line + text.count("\n", counted, position), position
        try:
            head = text[position : position + _LIST_HEAD]
            if head[0] == "[":
                elements: list[Any] = []
                lines, end = _elements(text, position, elements)
                value: Any = elements
            elif head[0] == "{" and '"items"' in head:
                value, lines, end = _list(text, position)
            else:
                (value, end), lines = _DECODER.raw_decode(text, position), []
        except json.JSONDecodeError as error:
            what = f"not JSON: {error.msg}. Check quotes, commas and brackets there and on the line before"
            raise Malformed(error.lineno, what, is_syntax=True) from None
        except ValueError as error:
            raise Malformed(line, str(error)) from None
        except RecursionError:
            raise Malformed(line, TOO_DEEP) from None
        _check_depth(value, line)
        if escapes:
            check_unicode(value, line)
        if value is not None:
            yield Parsed(line, value, lines)
        position = _after_space(text, end)


def _check_depth(value: Any, line: int) -> None:
    """Refuse what is nested too deep; the decoder itself allows whatever Python's stack does."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            part
            for whole in level
            for part in (whole.values() if whole.__class__ is dict else whole if whole.__class__ is list else ())
            if part.__class__ is dict or part.__class__ is list
        ]
        if not level:
            return
    raise Malformed(line, TOO_DEEP)


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found is not None else position


def _elements(text: str, position: int, elements: list[Any]) -> tuple[list[int], int]:
    """Read a JSON array element by element; the line of each mapping in it, and where the array ends."""
    lines: list[int] = []
    line, counted = 1 + text.count("\n", 0, position), position
    position = _after_space(text, position + 1)
    if text[position : position + 1] == "]":
        return lines, position + 1
    while True:
        line, counted = line + text.count("\n", counted, position), position
        value, position = _DECODER.raw_decode(text, position)
        elements.append(value)
        if value.__class__ is dict:
            lines.append(line)
        position = _after_space(text, position)
        sign = text[position : position + 1]
        if sign == "]":
            return lines, position + 1
        if sign != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
        position = _after_space(text, position + 1)


def _list(text: str, position: int) -> tuple[dict[str, Any], list[int], int]:
    """Read a JSON object member by member, so that the lines of its items are known."""
    pairs: list[tuple[str, Any]] = []
    lines: list[int] = []
    position = _after_space(text, position + 1)
    while True:
        if text[position : position + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, position)
        key, position = scanstring(text, position + 1, True)
        position = _after_space(text, position)
        if text[position : position + 1] != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", text, position)
        position = _after_space(text, position + 1)
        if key == "items" and text[position : position + 1] == "[":
            value: Any = []
            lines, position = _elements(text, position, value)
        else:
            value, position = _DECODER.raw_decode(text, position)
        pairs.append((key, value))
        position = _after_space(text, position)
        sign = text[position : position + 1]
        if sign == "}":
            return _mapping(pairs), lines, position + 1
        if sign != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
        position = _after_space(text, position + 1)
