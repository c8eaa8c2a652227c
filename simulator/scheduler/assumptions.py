"""Volumes and claims as the scheduler assumes them to become, laid over what is seen (SC-104, VB-117 to VB-121)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar, overload

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key, Object
from simulator.cluster.component import View
from simulator.cluster.indexes import INDEXES
from simulator.units import Micros

T = TypeVar("T", bound=Object)
Assumable = PersistentVolume | PersistentVolumeClaim


class Assumptions:
    """Assumed volumes and claims by key; each holds only while the watch shows the version it was made from.

    Attributes
    ----------
    objects : what is assumed, in order of assumption.
    """

    __slots__ = ("objects",)

    def __init__(self) -> None:
        self.objects: dict[Key, Assumable] = {}

    def copy(self) -> Assumptions:
        """The same assumptions, free to go their own way."""
        twin = Assumptions()
        twin.objects = dict(self.objects)
        return twin

    def assume(self, obj: Assumable) -> None:
        """Lay an object over the one with the same key and version."""
        self.objects[obj.key] = obj

    def restore(self, obj: Assumable) -> None:
        """Take an assumption back, unless it was made from another version (VB-119)."""
        key = obj.key
        assumed = self.objects.get(key)
        if assumed is not None and assumed.metadata.resource_version == obj.metadata.resource_version:
            del self.objects[key]

    def supersede(self, key: Key) -> None:
        """The watch shows another version, or none: what was assumed is void (VB-118)."""
        self.objects.pop(key, None)


def out_of_sync(obj: Assumable, stored: Object | None) -> str:
    """Why an object cannot be assumed, "" if it can: what is stored is not what it was made from (VB-117)."""
    meta = obj.metadata
    name = f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
    if stored is None:
        return f'{obj.KIND.lower()}s "{name}" not found'
    if stored.metadata.resource_version != meta.resource_version:
        return (f'"{name}" is out of sync (stored: {stored.metadata.resource_version}, '
                f"assume: {meta.resource_version})")
    return ""


class AssumedView:
    """A view that shows volumes and claims as assumed; everything else as it is."""

    __slots__ = ("_objects", "_view")

    def __init__(self, view: View, assumptions: Assumptions) -> None:
        self._view = view
        self._objects = assumptions.objects

    @property
    def now(self) -> Micros:
        """Simulated time."""
        return self._view.now

    @property
    def memory(self) -> Any:
        """The scheduler's memory."""
        return self._view.memory

    @property
    def argument(self) -> Any:
        """What `Spawn` handed over."""
        return self._view.argument

    @overload
    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None: ...
    @overload
    def get(self, kind: Key) -> Object | None: ...
    def get(self, kind: Any, name: str = "", namespace: str = "") -> Any:
        """The object, as assumed if it is."""
        found = self._view.get(kind) if isinstance(kind, Key) else self._view.get(kind, name, namespace)
        return self._shown(found) if self._objects and found is not None else found

    def by(self, index: str, value: Any) -> list[Any]:
        """Objects that an index files under `value`; what is assumed is filed as it would be."""
        found: list[Any] = self._view.by(index, value)
        kind, values = INDEXES[index]
        assumed = self._of_kind(kind)
        if not assumed:
            return found
        shown = _laid_over(found, assumed)
        if index == "volumes-by-class":  # VB-120: by the class of the stored copy
            return shown
        kept = [obj for obj in shown if value in tuple(values(obj))]
        listed = [obj.key for obj in kept]
        for key, obj in self._objects.items():
            if key.kind == kind and key not in listed and value in tuple(values(obj)):
                stored = self._view.get(type(obj), key.name, key.namespace)
                if stored is not None and self._shown(stored) is obj:
                    kept.append(obj)
        return kept

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """All objects of a kind, as assumed where they are."""
        found = self._view.list(kind, namespace)
        assumed = self._of_kind(kind.KIND)
        return _laid_over(found, assumed) if assumed else found

    def _of_kind(self, kind: str) -> dict[int, Assumable]:
        """What is assumed of a kind, by the version that it was made from."""
        if not self._objects or kind not in _KINDS:
            return {}
        return {obj.metadata.resource_version: obj for key, obj in self._objects.items() if key.kind == kind}

    def _shown(self, found: Any) -> Any:
        assumed = self._objects.get(found.key) if found.KIND in _KINDS else None
        if assumed is not None and assumed.metadata.resource_version == found.metadata.resource_version:
            return assumed  # VB-118
        return found


_KINDS: Final = (PersistentVolume.KIND, PersistentVolumeClaim.KIND)


def _laid_over(found: Iterable[Any], assumed: dict[int, Assumable]) -> list[Any]:
    """The objects, those replaced that are assumed; only an object whose version fits is looked at more closely."""
    shown = list(found)
    for place, obj in enumerate(shown):
        if obj.metadata.resource_version in assumed:
            over = assumed[obj.metadata.resource_version]
            if over.key == obj.key:
                shown[place] = over
    return shown
