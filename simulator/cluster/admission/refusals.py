"""Refusals in Kubernetes' words: errors of a field, and the answers of the API server made from them (WL §1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from simulator.api.meta import Object, encode
from simulator.cluster.admission.resources import kind_of, resource_of
from simulator.flows import Refused
from simulator.units import Quantity

IMMUTABLE: Final = "field is immutable"
MODIFIED: Final = "the object has been modified; please apply your changes to the latest version and try again"
NOT_NEGATIVE: Final = "must be greater than or equal to 0"

# --- errors of one field: "<field>: <type>: <detail>" -----------------------------------------------------------------


def required(path: str, detail: str = "") -> str:
    """A field that must be there."""
    return f"{path}: Required value" + (f": {detail}" if detail else "")


def forbidden_field(path: str, detail: str) -> str:
    """A field that may not be set, or not now."""
    return f"{path}: Forbidden: {detail}"


def invalid(path: str, value: Any, detail: str) -> str:
    """A value that is malformed."""
    return f"{path}: Invalid value: {shown(value)}: {detail}"


def unsupported(path: str, value: Any, supported: Iterable[str]) -> str:
    """A value that is none of the known ones."""
    known = ", ".join(f'"{name}"' for name in supported)
    return f"{path}: Unsupported value: {shown(value)}: supported values: {known}"


def duplicate(path: str, value: Any) -> str:
    """A value that stands there twice."""
    return f"{path}: Duplicate value: {shown(value)}"


def not_found_value(path: str, value: Any) -> str:
    """A value that names something that is not there."""
    return f"{path}: Not found: {shown(value)}"


def too_long(path: str, limit: int) -> str:
    """A value with too many bytes."""
    return f"{path}: Too long: may not be more than {limit} bytes"


def negative(path: str, value: int | None) -> list[str]:
    """The error of a number below 0, if it is."""
    return [invalid(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def shown(value: Any) -> str:
    """A bad value as Kubernetes prints it: text quoted, numbers bare, everything else as JSON with sorted keys."""
    if isinstance(value, Quantity):
        value = value.text
    if isinstance(value, msgspec.Struct):
        value = encode(value)
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Quantity):
        return value.text
    if isinstance(value, msgspec.Struct):
        return encode(value)
    return str(value)


# --- answers ----------------------------------------------------------------------------------------------------------


def refuse_invalid(obj: Object, errors: Sequence[str]) -> Refused:
    """422: the object breaks rules; equal errors are told once, several as ``[a, b]``."""
    told = list(dict.fromkeys(errors))
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    return Refused("Invalid", 422, f'{kind_of(obj.KIND)} "{obj.metadata.name}" is invalid: {text}')


def refuse_forbidden(obj: Object, why: str) -> Refused:
    """403: an admission plugin says no."""
    name = obj.metadata.name or obj.metadata.generate_name
    return Refused("Forbidden", 403, f'{resource_of(obj.KIND)} "{name}" is forbidden: {why}')


def conflict(resource: str, name: str, why: str = MODIFIED) -> Refused:
    """409: what the write was based on holds no longer (VB-20)."""
    return Refused("Conflict", 409, f'Operation cannot be fulfilled on {resource} "{name}": {why}')


def uid_conflict(kind: str, namespace: str, name: str, wanted: str, found: str) -> Refused:
    """409: an object of that name exists, but it is another one."""
    plural = resource_of(kind).partition(".")[0]
    place = f"/registry/{plural}/{namespace}/{name}" if namespace else f"/registry/{plural}/{name}"
    return conflict(
        resource_of(kind), name,
        f"StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}",
    )


def not_found(kind: str, name: str) -> Refused:
    """404: there is no such object."""
    return Refused("NotFound", 404, f'{resource_of(kind)} "{name}" not found')


def already_exists(there: Object) -> Refused:
    """409: the name is taken, perhaps by an object on its way out (WL-99)."""
    going = "object is being deleted: " if there.metadata.deletion_timestamp is not None else ""
    return Refused("AlreadyExists", 409, f'{going}{resource_of(there.KIND)} "{there.metadata.name}" already exists')


def difference(old: msgspec.Struct, new: msgspec.Struct) -> str:
    """The fields in which two parts of an object differ, one line each side, as a hint after "is immutable".

    Kubernetes prints Go's own rendering of the difference here; the lines name the same fields with their JSON values.
    """
    before, after = encode(old), encode(new)
    lines = []
    for name in dict.fromkeys((*before, *after)):
        left, right = before.get(name), after.get(name)
        if left != right:
            lines += [f"- {name}: {shown(left)}"] if name in before else []
            lines += [f"+ {name}: {shown(right)}"] if name in after else []
    return "\n" + "\n".join(lines)
