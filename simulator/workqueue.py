"""A work queue of keys, as in client-go: each key once, never worked on twice at a time, with back-off and delays."""

from __future__ import annotations

from typing import Final

from simulator.api.meta import Key
from simulator.units import MILLISECOND, SECOND, Micros

BASE_DELAY: Final[Micros] = 5 * MILLISECOND
MAX_DELAY: Final[Micros] = 1000 * SECOND
REFILL: Final[Micros] = 100 * MILLISECOND
"""How often the bucket that all keys share lets one more retry pass; 100 fit into it (WL-31)."""
_BURST: Final = 100


class WorkQueue:
    """Keys in order of arrival.

    Attributes
    ----------
    ready : keys that wait for a worker, oldest first.
    active : keys that are being worked on.
    dirty : active keys that were added meanwhile; they become ready when their work is done.
    waiting : keys that become ready at a later time, and when.
    bucket : when the retries let through so far would have passed one after the other.
    starting : workers that are about to take a key.
    """

    __slots__ = ("active", "bucket", "dirty", "failures", "ready", "starting", "waiting", "workers")

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.ready: dict[Key, None] = {}
        self.active: dict[Key, None] = {}
        self.dirty: dict[Key, None] = {}
        self.waiting: dict[Key, Micros] = {}
        self.failures: dict[Key, int] = {}
        self.bucket: Micros = -_BURST * REFILL
        self.starting = 0

    def copy(self) -> WorkQueue:
        """The same queue, free to go its own way."""
        twin = WorkQueue(self.workers)
        twin.ready, twin.active, twin.dirty = dict(self.ready), dict(self.active), dict(self.dirty)
        twin.waiting, twin.failures = dict(self.waiting), dict(self.failures)
        twin.bucket, twin.starting = self.bucket, self.starting
        return twin

    def add(self, key: Key) -> bool:
        """Make a key ready.

        Returns
        -------
        Whether it is newly ready; not if it already waits, or is being worked on (then it comes round again).
        """
        if key in self.active:
            self.dirty[key] = None
            return False
        if key in self.ready:
            return False
        self.ready[key] = None
        return True

    def add_after(self, key: Key, due: Micros) -> bool:
        """Make a key ready at `due`; of several times the earliest counts. Returns whether a timer must be set."""
        known = self.waiting.get(key)
        if known is not None and known <= due:
            return False
        self.waiting[key] = due
        return True

    def expire(self, key: Key, now: Micros) -> bool:
        """A timer of this key has run out: returns whether the key is now due (and no longer waiting)."""
        due = self.waiting.get(key)
        if due is None or due > now:
            return False
        del self.waiting[key]
        return True

    def get(self, wanted: Key | None = None) -> Key:
        """Take the oldest ready key, or a certain one, to work on it."""
        key = wanted if wanted is not None else next(iter(self.ready))
        del self.ready[key]
        self.active[key] = None
        return key

    def done(self, key: Key) -> bool:
        """The work on a key has ended; returns whether it is ready again, as it was added meanwhile."""
        del self.active[key]
        if key in self.dirty:
            del self.dirty[key]
            self.ready[key] = None
            return True
        return False

    def forget(self, key: Key) -> None:
        """Success: the key's back-off starts anew."""
        self.failures.pop(key, None)

    def back_off(self, key: Key, now: Micros = 0) -> Micros:
        """Failure: how long the key has to wait, 5 ms · 2**n up to 1000 s, or for the bucket (VB-26, WL-31)."""
        failures = self.failures.get(key, 0)
        self.failures[key] = failures + 1
        self.bucket = max(self.bucket, now - _BURST * REFILL) + REFILL
        return max(min(BASE_DELAY << min(failures, 30), MAX_DELAY), self.bucket - now)
