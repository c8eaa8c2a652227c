"""What our own structs say of their fields: types, and which of them must be there."""

from __future__ import annotations

import sys
from inspect import get_annotations
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import msgspec

NO_HINT: Final = object()
"""Stands for the type of a field that no struct of ours has."""


def hint_of(struct: type[msgspec.Struct] | None, name: str) -> Any:
    """The type of the field that is encoded as `name`."""
    if struct is None or name not in struct.__struct_encode_fields__:
        return NO_HINT
    attribute = struct.__struct_fields__[struct.__struct_encode_fields__.index(name)]
    for owner in struct.__mro__:
        if attribute in (annotations := get_annotations(owner)):
            return _evaluate(annotations[attribute], owner.__module__)
    return NO_HINT


def _evaluate(annotation: Any, module: str) -> Any:
    """The type that an annotation of our own structs stands for (`typing.get_type_hints` takes much longer)."""
    while isinstance(annotation, str):
        annotation = eval(annotation, vars(sys.modules[module]))  # our own source, never input
    return annotation


def without_none(hint: Any) -> Any:
    """``X | None`` as ``X``; everything else as it is."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    parts = [part for part in get_args(hint) if part is not type(None)]
    return parts[0] if len(parts) == 1 else hint


def element_hint(hint: Any) -> Any:
    """The element type of ``tuple[X, ...]``, the value type of ``Mapping[str, X]``."""
    arguments = get_args(hint)
    if not arguments:
        return hint
    return arguments[0] if get_origin(hint) is tuple else arguments[-1]


def required_of(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """The names of the fields without which a struct cannot be made."""
    names, defaults = struct.__struct_encode_fields__, struct.__struct_defaults__
    first_default = len(names) - len(defaults)
    return names[:first_default] + tuple(
        name for name, default in zip(names[first_default:], defaults, strict=True) if default is msgspec.NODEFAULT
    )
