"""What a component sees of the store: the store minus what has not been delivered to it yet, never a copy."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar, overload

from simulator.api.meta import Key, Object
from simulator.cluster.component import Change, Found
from simulator.cluster.indexes import INDEXES
from simulator.cluster.store import Store
from simulator.errors import InvariantViolated
from simulator.units import Micros

T = TypeVar("T", bound=Object)
Stale: TypeAlias = dict[str, dict[Key, list[Change]]]
"""Undelivered changes by kind and key, oldest first."""


class Cache:
    """The undelivered changes of one component, which sees what was there before them instead of what is stored.

    Attributes
    ----------
    stale : kind → key → undelivered changes, oldest first; what is seen is the version before the first.
    """

    __slots__ = ("stale",)

    def __init__(self) -> None:
        self.stale: Stale = {}

    @staticmethod
    def copy(stale: Stale) -> Stale:
        """The same undelivered changes, free to go their own way."""
        return {
            kind: {key: list(changes) for key, changes in of_kind.items()} for kind, of_kind in stale.items() if of_kind
        }

    def delay(self, change: Change) -> None:
        """A change has happened that this component does not see yet."""
        self.stale.setdefault(change.key.kind, {}).setdefault(change.key, []).append(change)

    def deliver(self, change: Change) -> bool:
        """A change, the oldest undelivered one of its key, is seen from now on.

        Returns
        -------
        Whether it was still to come; not if the cache has been filled again since.

        Raises
        ------
        InvariantViolated
            If an earlier change of the key is still undelivered (CP-1).
        """
        of_kind = self.stale.get(change.key.kind, {})
        changes = of_kind.get(change.key, [])
        if not any(waiting is change for waiting in changes):
            return False
        if changes[0] is not change:
            raise InvariantViolated(f"a watch delivered a change of {change.key} before an earlier one")
        changes.pop(0)
        if not changes:
            del of_kind[change.key]
        return True


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
        if stale and (changes := stale.get(key)) is not None:
            return changes[0].old
        return self._store.find(key)

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """All objects of a kind as this component sees them, oldest first."""
        stale = self._cache.stale.get(kind.KIND)
        if not stale:
            return self._store.list(kind, namespace)
        seen: list[Any] = []
        stored = self._store.of_kind(kind.KIND)
        for key, obj in stored.items():
            changes = stale.get(key)
            visible = obj if changes is None else changes[0].old
            if visible is not None and (not namespace or key.namespace == namespace):
                seen.append(visible)
        for key, changes in stale.items():
            visible = changes[0].old
            if key not in stored and visible is not None and (not namespace or key.namespace == namespace):
                seen.append(visible)
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
        for changes in stale.values():
            visible = changes[0].old
            if visible is not None and value in tuple(values(visible)):
                seen.append(visible)
        return seen
