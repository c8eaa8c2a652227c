"""A memory by identity, for frozen objects that cost too much to hash or compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ByIdentity(Generic[T]):
    """What was found out about objects; it keeps them alive, so that no two ever share an identity.

    Parameters
    ----------
    most : so many are kept at most; then it begins anew, so that it does not keep everything alive for ever.
    """

    __slots__ = ("_known", "_most")

    def __init__(self, most: int = 50_000) -> None:
        self._known: dict[int | tuple[int, ...], tuple[Any, T]] = {}
        self._most = most

    def get(self, obj: Any) -> T | None:
        """What is known of this very object."""
        known = self._known.get(id(obj))
        return known[1] if known is not None else None

    def put(self, obj: Any, value: T) -> T:
        """Keep what was found out; returns it."""
        self._make_room()
        self._known[id(obj)] = (obj, value)
        return value

    def get_all(self, objects: Sequence[Any]) -> T | None:
        """What is known of these very objects together."""
        known = self._known.get(tuple(map(id, objects)))
        return known[1] if known is not None else None

    def put_all(self, objects: Sequence[Any], value: T) -> T:
        """Keep what was found out about several objects together; returns it."""
        self._make_room()
        self._known[tuple(map(id, objects))] = (objects, value)
        return value

    def _make_room(self) -> None:
        if len(self._known) >= self._most:
            self._known.clear()
