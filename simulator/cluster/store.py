"""The object store: what the API server keeps. Objects by key, resource versions, indexes, and who watches.

Nothing but `put` and `remove` changes it, each one change of one object; admission happens before, in `apiserver`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from simulator.api.meta import AnyObject, Key, Object, with_meta
from simulator.cluster.component import Change, Found
from simulator.cluster.indexes import BY_KIND, INDEXES

T = TypeVar("T", bound=Object)


class Shelf:
    """All objects of one kind, and the indexes over them: what is copied before it changes, once it has been saved.

    Attributes
    ----------
    objects : by key, oldest first.
    filed : index → value → keys, oldest first.
    """

    __slots__ = ("filed", "objects")

    def __init__(self, kind: str) -> None:
        self.objects: dict[Key, Object] = {}
        self.filed: dict[str, dict[Any, dict[Key, None]]] = {name: {} for name, _ in BY_KIND.get(kind, ())}

    def copy(self) -> Shelf:
        """The same shelf, free to go its own way; the objects are shared."""
        twin = Shelf.__new__(Shelf)
        twin.objects = dict(self.objects)
        twin.filed = {
            name: {value: dict(keys) for value, keys in values.items()} for name, values in self.filed.items()
        }
        return twin


class SavedStore(NamedTuple):
    """A store as it was at a moment; nothing in it changes any more."""

    shelves: dict[str, Shelf]
    version: int
    uids: int


_NOTHING: Final[dict[Any, Any]] = {}


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
        self._shelves: dict[str, Shelf] = {}
        self._saved: frozenset[str] = frozenset()
        self._uids = 0

    def save(self) -> SavedStore:
        """The store as it is now. O(kinds); a shelf that changes afterwards is copied first."""
        self._saved = frozenset(self._shelves)
        return SavedStore(dict(self._shelves), self.version, self._uids)

    def shelf(self, kind: str) -> Shelf | None:
        """All objects of a kind; another shelf, if anything on it has changed since it was saved."""
        return self._shelves.get(kind)

    def restore(self, saved: SavedStore) -> None:
        """Be again as it was; nobody is told. O(kinds)."""
        self._shelves = dict(saved.shelves)
        self._saved = frozenset(saved.shelves)
        self.version, self._uids = saved.version, saved.uids

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None:
        """The object of that kind and name, or None."""
        shelf = self._shelves.get(kind.KIND)
        return shelf.objects.get(Key(kind.KIND, namespace, name)) if shelf is not None else None  # type: ignore[return-value]

    def find(self, key: Key) -> Object | None:
        """The object at a key, or None."""
        shelf = self._shelves.get(key.kind)
        return shelf.objects.get(key) if shelf is not None else None

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """All objects of a kind, oldest first; of one namespace if given."""
        found = self.of_kind(kind.KIND).values()
        if namespace:
            return [obj for obj in found if obj.metadata.namespace == namespace]  # type: ignore[misc]
        return list(found)  # type: ignore[arg-type]

    def kinds(self) -> tuple[str, ...]:
        """Kinds that have or had objects, in order of first appearance."""
        return tuple(self._shelves)

    def of_kind(self, kind: str) -> dict[Key, Object]:
        """All objects of a kind by key; not to be changed."""
        shelf = self._shelves.get(kind)
        return shelf.objects if shelf is not None else _NOTHING

    def by(self, index: str, value: Any) -> Found:
        """Objects that an index files under `value`, oldest first."""
        shelf = self._shelves.get(INDEXES[index][0])
        if shelf is None:
            return []
        objects = shelf.objects
        return [objects[key] for key in shelf.filed[index].get(value, ())]

    def keys_by(self, index: str, value: Any) -> dict[Key, None]:
        """Keys that an index files under `value`; not to be changed."""
        shelf = self._shelves.get(INDEXES[index][0])
        return shelf.filed[index].get(value, _NOTHING) if shelf is not None else _NOTHING

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
        shelf = self._own(key.kind)
        old = shelf.objects.get(key)
        shelf.objects[key] = stored
        _file(shelf, key, old, stored)
        self.on_change(Change(key, old, stored))
        return stored

    def remove(self, key: Key) -> None:
        """Take an object away; watchers see its last version go."""
        self.version += 1
        shelf = self._own(key.kind)
        old = shelf.objects.pop(key)
        _file(shelf, key, old, None)
        self.on_change(Change(key, old, None))

    def _own(self, kind: str) -> Shelf:
        """The shelf of a kind, to be changed: a copy, if it has been saved."""
        shelf = self._shelves.get(kind)
        if shelf is None:
            shelf = self._shelves[kind] = Shelf(kind)
        elif kind in self._saved:
            self._saved -= {kind}
            shelf = self._shelves[kind] = shelf.copy()
        return shelf


def _file(shelf: Shelf, key: Key, old: Object | None, new: Object | None) -> None:
    for name, values in BY_KIND.get(key.kind, ()):
        before = tuple(values(old)) if old is not None else ()
        after = tuple(values(new)) if new is not None else ()
        if before == after:
            continue
        filed = shelf.filed[name]
        for value in before:
            if value not in after:
                filed[value].pop(key, None)
        for value in after:
            filed.setdefault(value, {})[key] = None
