"""The object store: what the API server keeps. Objects by key, resource versions, indexes, and who watches.

Nothing but `put` and `remove` changes it, each one change of one object; admission happens before, in `apiserver`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from simulator.api.meta import AnyObject, Key, Object, with_meta
from simulator.cluster.component import Change, Found
from simulator.cluster.indexes import BY_KIND, INDEXES

T = TypeVar("T", bound=Object)


class Store:
    """Objects by key, with resource versions and indexes.

    Attributes
    ----------
    version : the resource version of the last change; grows by one with each.
    on_change : called with each `Change`, after it has happened.
    """

    def __init__(self, on_change: Callable[[Change], None] = lambda change: None) -> None:
        self.version = 0
        self.on_change = on_change
        self._by_kind: dict[str, dict[Key, Object]] = {}
        self._filed: dict[str, dict[Any, dict[Key, None]]] = {name: {} for name in INDEXES}
        self._uids = 0

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None:
        """The object of that kind and name, or None."""
        return self._by_kind.get(kind.KIND, {}).get(Key(kind.KIND, namespace, name))  # type: ignore[return-value]

    def find(self, key: Key) -> Object | None:
        """The object at a key, or None."""
        kind = self._by_kind.get(key.kind)
        return kind.get(key) if kind is not None else None

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """All objects of a kind, oldest first; of one namespace if given."""
        found = self._by_kind.get(kind.KIND, {}).values()
        if namespace:
            return [obj for obj in found if obj.metadata.namespace == namespace]  # type: ignore[misc]
        return list(found)  # type: ignore[arg-type]

    def kinds(self) -> tuple[str, ...]:
        """Kinds that have or had objects, in order of first appearance."""
        return tuple(self._by_kind)

    def of_kind(self, kind: str) -> dict[Key, Object]:
        """All objects of a kind by key; not to be changed."""
        return self._by_kind.get(kind, {})

    def by(self, index: str, value: Any) -> Found:
        """Objects that an index files under `value`, oldest first."""
        objects = self._by_kind.get(INDEXES[index][0], {})
        return [objects[key] for key in self._filed[index].get(value, ())]

    def keys_by(self, index: str, value: Any) -> dict[Key, None]:
        """Keys that an index files under `value`; not to be changed."""
        return self._filed[index].get(value, {})

    def new_uid(self) -> str:
        """The next uid: shaped like a UUID, and the same in every run with the same history."""
        self._uids += 1
        return f"00000000-0000-4000-8000-{self._uids:012x}"

    def put(self, obj: AnyObject) -> AnyObject:
        """Create or replace an object; it gets the next resource version.

        Returns
        -------
        The object as stored.
        """
        self.version += 1
        stored = with_meta(obj, resource_version=self.version)
        key = stored.key
        objects = self._by_kind.setdefault(key.kind, {})
        old = objects.get(key)
        objects[key] = stored
        self._file(key, old, stored)
        self.on_change(Change(key, old, stored))
        return stored

    def remove(self, key: Key) -> None:
        """Take an object away; watchers see its last version go."""
        self.version += 1
        old = self._by_kind[key.kind].pop(key)
        self._file(key, old, None)
        self.on_change(Change(key, old, None))

    def _file(self, key: Key, old: Object | None, new: Object | None) -> None:
        for name, values in BY_KIND.get(key.kind, ()):
            before = tuple(values(old)) if old is not None else ()
            after = tuple(values(new)) if new is not None else ()
            if before == after:
                continue
            filed = self._filed[name]
            for value in before:
                if value not in after:
                    filed[value].pop(key, None)
            for value in after:
                filed.setdefault(value, {})[key] = None
