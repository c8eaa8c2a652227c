"""What a component sees of the store: the store minus what has not been delivered to it yet, never a copy."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from simulator.api.meta import Key, Object
from simulator.cluster.component import Change, Found
from simulator.cluster.indexes import INDEXES
from simulator.cluster.store import Store
from simulator.units import Micros

T = TypeVar("T", bound=Object)


class Cache:
    """The undelivered changes of one component: per key the versions that it sees instead of the store's.

    Attributes
    ----------
    stale : kind → key → for each undelivered change the version before it, oldest first; the first is what is seen.
    """

    __slots__ = ("stale",)

    def __init__(self) -> None:
        self.stale: dict[str, dict[Key, list[Object | None]]] = {}

    def delay(self, change: Change) -> None:
        """A change has happened that this component does not see yet."""
        self.stale.setdefault(change.key.kind, {}).setdefault(change.key, []).append(change.old)

    def deliver(self, change: Change) -> None:
        """The oldest undelivered change of a key is seen from now on."""
        of_kind = self.stale[change.key.kind]
        versions = of_kind[change.key]
        versions.pop(0)
        if not versions:
            del of_kind[change.key]


class CacheView:
    """A `View`: cache, memory and time, as one component has them now."""

    __slots__ = ("_cache", "_clock", "_owner", "_store", "argument")

    def __init__(self, store: Store, cache: Cache, clock: Any, owner: Any, argument: Any = None) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock
        self._owner = owner
        self.argument = argument

    def with_argument(self, argument: Any) -> CacheView:
        """The same view, for a flow that was spawned with an argument."""
        return CacheView(self._store, self._cache, self._clock, self._owner, argument)

    @property
    def now(self) -> Micros:
        """Simulated time."""
        now: Micros = self._clock.now
        return now

    @property
    def memory(self) -> Any:
        """The component's memory."""
        return self._owner.memory

    @overload
    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None: ...
    @overload
    def get(self, kind: Key) -> Object | None: ...
    def get(self, kind: Any, name: str = "", namespace: str = "") -> Any:
        """The object as this component sees it."""
        key = kind if isinstance(kind, Key) else Key(kind.KIND, namespace, name)
        stale = self._cache.stale.get(key.kind)
        if stale and (versions := stale.get(key)) is not None:
            return versions[0]
        return self._store.find(key)

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """All objects of a kind as this component sees them, oldest first."""
        stale = self._cache.stale.get(kind.KIND)
        if not stale:
            return self._store.list(kind, namespace)
        seen: list[Any] = []
        stored = self._store.of_kind(kind.KIND)
        for key, obj in stored.items():
            versions = stale.get(key)
            visible = obj if versions is None else versions[0]
            if visible is not None and (not namespace or key.namespace == namespace):
                seen.append(visible)
        for key, versions in stale.items():
            if key not in stored and versions[0] is not None and (not namespace or key.namespace == namespace):
                seen.append(versions[0])
        return seen

    def by(self, index: str, value: Any) -> Found:
        """Objects that an index files under `value`, as this component sees them."""
        kind, values = INDEXES[index]
        stale = self._cache.stale.get(kind)
        if not stale:
            return self._store.by(index, value)
        filed = self._store.keys_by(index, value)
        stored = self._store.of_kind(kind)
        seen = [stored[key] for key in filed if key not in stale]
        for versions in stale.values():
            if versions[0] is not None and value in tuple(values(versions[0])):
                seen.append(versions[0])
        return seen
