"""The record of a waiting pod (SC-3), and heaps of them."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import Pod
from simulator.api.meta import Key
from simulator.units import SECOND, Micros


class QueueConfig(Struct, frozen=True):
    """Back-off of refused pods (SC-7)."""

    initial_backoff: Micros = SECOND
    max_backoff: Micros = 10 * SECOND


DEFAULT_BACKOFF: Final = QueueConfig()


class QueuedPod(Struct, frozen=True):
    """A waiting pod's record (SC-3).

    Attributes
    ----------
    timestamp : when the pod came, or its last attempt failed; it orders pods of equal priority.
    order : counts the timestamps given out, and orders pods with the same one (SC/ND-7).
    unschedulable, errors : failed attempts that count for the back-off.
    rejectors, pending : plug-ins that refused the pod, and those that wait for something of their own.
    gate : the plug-in that keeps the pod out of the queues, "" if none (SC-21).
    """

    pod: Pod
    timestamp: Micros
    order: int
    attempts: int = 0
    unschedulable: int = 0
    errors: int = 0
    rejectors: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    gate: str = ""

    @property
    def key(self) -> Key:
        """The pod's key."""
        return self.pod.key

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return self.pod.metadata.uid

    @property
    def rank(self) -> tuple[int, Micros, int]:
        """Smaller goes first (SC-4, SC-5)."""
        return (-(self.pod.spec.priority or 0), self.timestamp, self.order)


class RecordHeap:
    """Records by key, the smallest rank first; a replaced or deleted record leaves a stale entry behind."""

    __slots__ = ("_entries", "records")

    def __init__(self) -> None:
        self.records: dict[Key, QueuedPod] = {}
        self._entries: list[tuple[Any, int, Key]] = []

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, key: Key) -> bool:
        return key in self.records

    def add(self, record: QueuedPod, rank: Any) -> None:
        """Put a record in."""
        self.records[record.key] = record
        heappush(self._entries, (rank, record.order, record.key))

    def swap(self, record: QueuedPod) -> None:
        """Put a new version of the same pod in its place: its rank is the same."""
        self.records[record.key] = record

    def remove(self, key: Key) -> QueuedPod | None:
        """Take a record out, if it is there."""
        return self.records.pop(key, None)

    def peek(self) -> QueuedPod | None:
        """The first record."""
        entries = self._entries
        while entries:
            _, order, key = entries[0]
            record = self.records.get(key)
            if record is not None and record.order == order:
                return record
            heappop(entries)
        return None

    def sorted(self) -> list[QueuedPod]:
        """All records, first one first."""
        live = [entry for entry in self._entries if entry[2] in self.records]
        return [self.records[key] for _, order, key in sorted(set(live)) if self.records[key].order == order]

    def copy(self) -> RecordHeap:
        """The same heap, free to go its own way."""
        twin = RecordHeap()
        twin.records = dict(self.records)
        twin._entries = list(self._entries)
        return twin
