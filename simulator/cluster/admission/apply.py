"""What ``kubectl apply`` and ``kubectl patch`` make of an object: three-way, merge and strategic merge patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.meta import AnyObject, Object, decode, encode
from simulator.cluster.admission.schema import PLAIN, Field, fields_of

Raw = dict[str, Any]
Fields = Mapping[str, Field]

_SERVER_OWNED: Final = frozenset((
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "selfLink", "managedFields",
))
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which kubectl keeps the manifest that it applied last."""
_NOTHING: Final[Fields] = {}


def apply_patch(
    current: AnyObject, manifest: Mapping[str, Any], last_applied: Mapping[str, Any] | None = None
) -> AnyObject:
    """What ``kubectl apply`` makes of an object that exists.

    Fields of the manifest are set; fields that the manifest had when it was applied last, and has no more, are removed;
    all others stay as they are. Lists are merged by their key where Kubernetes does so, and replaced elsewhere. What
    only the server sets is not taken from a manifest.

    Returns
    -------
    The changed object, or `current` itself if the manifest changes nothing.
    """
    before = _plain(current)
    after = _three_way(before, _wanted(manifest), _wanted(last_applied or {}), fields_of(type(current)))
    changed = decode(after, type(current))
    return current if changed == current else changed


def merge_patch(current: AnyObject, patch: Mapping[str, Any]) -> AnyObject:
    """What ``kubectl patch --type=merge`` makes of an object (RFC 7386): lists are replaced, null removes."""
    return decode(_merge(_plain(current), patch), type(current))


def strategic_merge_patch(current: AnyObject, patch: Mapping[str, Any]) -> AnyObject:
    """What ``kubectl patch`` makes of an object by default; understands ``$patch``, ``$retainKeys`` and their like."""
    return decode(_strategic(_plain(current), patch, fields_of(type(current))), type(current))


def _plain(obj: Object) -> Raw:
    plain: Raw = _lists(encode(obj))
    return plain


def _lists(value: Any) -> Any:
    """Plain data with lists for tuples, so that it compares with what comes from a manifest."""
    if isinstance(value, dict):
        return {name: _lists(inner) for name, inner in value.items()}
    return [_lists(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _wanted(manifest: Mapping[str, Any]) -> Raw:
    """A manifest without what it cannot set: kind, status, and the server's part of the metadata."""
    wanted = {name: value for name, value in manifest.items() if name not in ("apiVersion", "kind", "status")}
    metadata = {name: value for name, value in (manifest.get("metadata") or {}).items() if name not in _SERVER_OWNED}
    if metadata.get("annotations"):
        metadata["annotations"] = {
            name: value for name, value in metadata["annotations"].items() if name != LAST_APPLIED}
    wanted["metadata"] = metadata
    return wanted


def _inside(field: Field) -> Fields:
    return fields_of(field.inside) if field.inside is not None and issubclass(field.inside, Struct) else _NOTHING


# --- apply ------------------------------------------------------------------------------------------------------------


def _three_way(current: Mapping[str, Any], wanted: Mapping[str, Any], last: Mapping[str, Any], fields: Fields) -> Raw:
    after = {name: value for name, value in current.items() if name not in last or name in wanted}
    for name, value in wanted.items():
        field, there, before = fields.get(name, PLAIN), current.get(name), last.get(name)
        if value is None:
            after.pop(name, None)
        elif field.number_only and isinstance(value, str):
            continue
        elif isinstance(value, Mapping) and isinstance(there, Mapping) and not field.replaces:
            after[name] = _three_way(there, value, before if isinstance(before, Mapping) else {}, _inside(field))
        elif field.merges and isinstance(value, Sequence) and isinstance(there, Sequence):
            after[name] = _three_way_list(there, value, before if isinstance(before, Sequence) else (), field)
        else:
            after[name] = _without_nulls(value)
    return after


def _three_way_list(current: Sequence[Any], wanted: Sequence[Any], last: Sequence[Any], field: Field) -> list[Any]:
    known, asked, gone = _by_key(current, field.key), _by_key(wanted, field.key), _by_key(last, field.key)
    if known is None or asked is None:  # a key that is missing or stands there twice: nothing to merge by
        return [_without_nulls(value) for value in wanted]
    merged = []
    for key, value in asked.items():
        there = known.get(key)
        if there is None or not field.key:
            merged.append(_without_nulls(value))
            continue
        after = _three_way(there, value, (gone or {}).get(key) or {}, _inside(field))
        if field.retains and after != there:
            after = {name: kept for name, kept in after.items() if name in value}
        merged.append(after)
    kept = [value for key, value in known.items() if key not in asked and key not in (gone or {})]
    removed = [key for key in known if key not in asked and key in (gone or {})]
    return _in_order(merged, kept, _order_before(list(known), removed, list(asked), field.key), field.key)


def _order_before(known: list[Any], removed: list[Any], asked: list[Any], key: str) -> list[Any]:
    """The order of the list before the patch, which the API server looks at while it removes and adds in place.

    So where elements with a key are removed, the first new ones count as having stood at the end all along.
    """
    if not key or not removed:
        return known
    kept = [name for name in known if name not in removed]
    return (kept + sorted((name for name in asked if name not in known), key=str))[:len(known)]


def _by_key(values: Sequence[Any], key: str) -> dict[Any, Any] | None:
    """Elements of a list by their key; None if that tells them not apart."""
    if not key:
        return {value: value for value in values}
    found = {value.get(key): value for value in values if isinstance(value, Mapping)}
    return found if len(found) == len(values) and None not in found else None


def _in_order(patched: list[Any], kept: list[Any], before: list[Any], key: str) -> list[Any]:
    """Patched elements in the patch's order; one that only the server has stands before the first that followed it."""

    def place(value: Any) -> int:
        name = value.get(key) if key else value
        return before.index(name) if name in before else -1

    ordered = []
    left, right = list(kept), list(patched)
    while left and right:
        first, second = place(left[0]), place(right[0])
        ordered.append(left.pop(0) if 0 <= first < second else right.pop(0))
    return ordered + left + right


# --- patch ------------------------------------------------------------------------------------------------------------


def _merge(current: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(current) if isinstance(current, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged


_ORDER, _REMOVE = "$setElementOrder/", "$deleteFromPrimitiveList/"


def _strategic(current: Mapping[str, Any], patch: Mapping[str, Any], fields: Fields) -> Raw:
    directive = patch.get("$patch")
    if directive == "delete":
        return {}
    if directive == "replace":
        return {name: _without_nulls(value) for name, value in patch.items() if name != "$patch"}
    retained = patch.get("$retainKeys")
    merged = {name: value for name, value in current.items() if retained is None or name in retained}
    for name, value in patch.items():
        if name.startswith(_REMOVE):
            list_name = name.removeprefix(_REMOVE)
            merged[list_name] = [kept for kept in merged.get(list_name, ()) if kept not in value]
        elif name.startswith(_ORDER):
            list_name = name.removeprefix(_ORDER)
            if list_name not in patch and list_name in merged:
                merged[list_name] = _strategic_list(merged[list_name], (), value, fields.get(list_name, PLAIN))
        elif not name.startswith("$"):
            _patch_field(merged, name, value, patch.get(_ORDER + name), fields.get(name, PLAIN))
    return merged


def _patch_field(merged: Raw, name: str, value: Any, order: Sequence[Any] | None, field: Field) -> None:
    there = merged.get(name)
    if value is None:
        merged.pop(name, None)
    elif isinstance(value, Mapping) and isinstance(there, Mapping) and not field.replaces:
        merged[name] = _strategic(there, value, _inside(field))
    elif field.merges and isinstance(value, Sequence) and isinstance(there, Sequence):
        merged[name] = _strategic_list(there, value, order, field)
    else:
        merged[name] = _without_nulls(value)


def _strategic_list(
    current: Sequence[Any], patch: Sequence[Any], order: Sequence[Any] | None, field: Field
) -> list[Any]:
    key = field.key
    if not key:
        asked, before = list(dict.fromkeys(patch)), list(dict.fromkeys(current))
        named = asked if order is None else [value for value in order if value in asked or value in before]
        return _in_order(named, [value for value in before if value not in named], before, "")
    plain = [value for value in patch if "$patch" not in value]
    if any(value.get("$patch") == "replace" for value in patch):
        return [_without_nulls(value) for value in plain]
    removed = [value.get(key) for value in patch if value.get("$patch") == "delete"]
    merged = {value.get(key): value for value in current if value.get(key) not in removed}
    for value in plain:
        there = merged.get(value.get(key))
        merged[value.get(key)] = _without_nulls(value) if there is None else _strategic(there, value, _inside(field))
    first = [value.get(key) for value in (plain if order is None else order)]
    named = [merged[name] for name in dict.fromkeys(first) if name in merged]
    before = [value.get(key) for value in current]
    if order is not None:
        before = _order_before(before, removed, [value.get(key) for value in plain], key)
    return _in_order(named, [value for name, value in merged.items() if name not in first], before, key)


def _without_nulls(value: Any) -> Any:
    """A value of a patch as it enters an object: without nulls and directives."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(inner) for name, inner in value.items()
                if inner is not None and not name.startswith("$")}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_without_nulls(inner) for inner in value if not (isinstance(inner, Mapping) and "$patch" in inner)]
    return value
