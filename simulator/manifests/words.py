"""The sentences of the messages about fields and types: what is wrong, and how to mend it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from simulator.manifests.suggest import nearest, path_text, shown
from simulator.manifests.table import table

if TYPE_CHECKING:
    from simulator.manifests.origin import FieldPath
    from simulator.manifests.schema import Node

__all__ = [
    "bad_quantity", "empty_element", "expected", "out_of_range", "path_text", "required", "unknown_field",
    "whole_number", "wrong_type",
]  # fmt: skip

_NAMES: Final = {
    "s": "text", "i": "a whole number", "l": "a whole number", "d": "a number", "b": "true or false",
    "q": "a quantity", "t": "a point in time", "x": "a whole number or text",
}  # fmt: skip
_MOST_SEARCHED: Final = 3000


def unknown_field(node: Node, key: str, path: FieldPath) -> str:
    """A name that the kind does not have here."""
    what = f'unknown field "{path_text((*path, key))}". '
    guess = nearest(key, node.names)
    if guess is not None:
        return what + f'Did you mean "{guess}"?'
    places = _places(node, key)
    if places:
        return what + f'"{key}" belongs {" or ".join(places)}; check the indentation.'
    names = node.names
    if len(names) <= 12:
        return what + f"Here can stand: {', '.join(names)}."
    return what + "Remove it, or check the indentation."


def _places(node: Node, key: str) -> list[str]:
    """Where else in the object a field of that name can stand: further out, or else as little further in as can be."""
    outer = node.outer
    while outer is not None:
        if key in outer.names:
            return [f'into "{outer.pattern}"' if outer.pattern else "to the outermost level"]
        outer = outer.outer
    return _places_below(node, key)


def _places_below(node: Node, key: str) -> list[str]:
    level: list[tuple[str, str]] = [("", node.type_name)]
    seen: set[str] = set()
    types = table().types
    while level and len(seen) < _MOST_SEARCHED:
        found = [prefix for prefix, type_name in level if key in types[type_name] and prefix]
        if found:
            return [f'into "{prefix}"' for prefix in found[:2]]
        below: list[tuple[str, str]] = []
        for prefix, type_name in level:
            for name, code in types[type_name].items():
                inner = code.lstrip("[{")
                if inner in types and inner not in seen and name != "status":
                    seen.add(inner)
                    step = name + ("[]" if code[0] == "[" else "")
                    below.append((f"{prefix}.{step}" if prefix else step, inner))
        level = below
    return []


def wrong_type(path: FieldPath, code: str, value: Any) -> str:
    """A container where something else is wanted, or the other way round."""
    name = path_text(path)
    if code[0] == "[":
        how = "Begin each element with a dash on its own line"
        if isinstance(value, dict) and code[1:2].isupper():
            how = "Put a dash before its first field"
        return f"{name} must be a list, not {shown(value)}. {how}."
    how = "Write its fields indented below it"
    if isinstance(value, list):
        how = "Leave out the dash"
    return f"{name} must be a mapping, not {shown(value)}. {how}."


def expected(code: str, value: Any) -> str:
    """A single value of the wrong type."""
    if code == "s" and isinstance(value, bool):
        bare = "YAML takes a bare y, yes, on, n, no, off for a boolean"
        return f"must be text, not the boolean {shown(value)}. Write it in quotes ({bare})"
    if code in "st" and isinstance(value, (int, float)):
        return f'must be text, not the number {shown(value)}. Write it in quotes: "{shown(value)}"'
    if code in "ild" and isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value):
        return f"must be a number, not the text {shown(value)}. Write it without quotes: {shown(value)[1:-1]}"
    if code == "b" and isinstance(value, str) and value.lower() in ("true", "false", "yes", "no"):
        return f"must be true or false, not the text {shown(value)}. Write it without quotes"
    return f"must be {_NAMES[code]}, not {shown(value)}"


def bad_quantity(value: Any, error: ValueError) -> str:
    """An amount that Kubernetes cannot read."""
    return f"{shown(value)} is not a quantity: {error}. Write a number and a suffix, such as 10Gi, 500M or 250m"


def out_of_range(value: int, code: str) -> str:
    """A whole number that does not fit."""
    return f"{shown(value)} does not fit into {64 if code == 'l' else 32} bits. Write a smaller number"


def empty_element(path: FieldPath) -> str:
    """A list element without a value."""
    return f"{path_text(path)} has an element without a value. Write one after the dash, or remove the dash."


def required(path: FieldPath) -> str:
    """A field that cannot be missing, in the API server's words."""
    return f"{path_text(path)}: Required value. Add it."


def whole_number(text: str) -> int:
    """A number that the API server writes as text (a resource version).

    Raises
    ------
    ValueError
        If it is none.
    """
    if text == "":
        return 0
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"{shown(text)} is not a resource version. Remove the field; the cluster sets it")
    return int(text)
