"""What the node lifecycle controller remembers: silent nodes, suspects, and nodes that wait for a taint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.controllers.node_zones import ZoneWork
from simulator.units import SECOND, Micros

PERIOD: Final[Micros] = 5 * SECOND


class Suspected(Struct, frozen=True):
    """A node is to be looked at in the next pass."""

    node: str


class Silent(Struct, frozen=True):
    """A lease has not been renewed since; None: it is renewed again."""

    node: str
    since: Micros | None


class GridBegins(Struct, frozen=True):
    """Passes lie on a grid that begins now."""


class Begun(Struct, frozen=True):
    """The controller has seen its first node; what is created from now on is news."""


class Passed(Struct, frozen=True):
    """A pass is over: these suspects were looked at, these have to be once more, these nodes wait for their taint."""

    looked_at: tuple[str, ...]
    again: tuple[str, ...]
    queued: tuple[tuple[str, str], ...]
    ready: tuple[str, ...]
    zones: Mapping[str, ZoneWork] = {}
    clocks_restart: bool = False


class Tainted(Struct, frozen=True):
    """A zone's queue has let a node pass; the next may follow at `next_at`."""

    zone: str
    node: str
    next_at: Micros


class Memory:
    """What the controller remembers.

    Attributes
    ----------
    began : when the controller saw its first node; None before.
    grid : a moment of the 5 s grid; None before the first pass.
    suspects : nodes to look at in the next pass.
    silent : node → last renewal of its lease.
    seen : node → the health clock, if it was set back by the end of a total outage (WL-123).
    zones : by zone.
    queue : nodes that wait for a NoExecute taint, and their zones, oldest first.
    """

    __slots__ = ("began", "grid", "queue", "seen", "silent", "suspects", "zones")

    began: Micros | None
    grid: Micros | None
    suspects: dict[str, None]
    silent: dict[str, Micros]
    seen: dict[str, Micros]
    zones: dict[str, ZoneWork]
    queue: dict[str, str]

    def __init__(self) -> None:
        self.began = self.grid = None
        self.suspects, self.silent, self.seen, self.zones, self.queue = {}, {}, {}, {}, {}

    def copy(self) -> Memory:
        """A copy; all values are frozen and shared."""
        twin = Memory()
        twin.began, twin.grid = self.began, self.grid
        for name in ("suspects", "silent", "seen", "zones", "queue"):
            setattr(twin, name, dict(getattr(self, name)))
        return twin

    def next_pass(self, now: Micros) -> Micros:
        """The first moment of the grid that is not before `now`."""
        assert self.grid is not None
        return now + (self.grid - now) % PERIOD

    def health_clock(self, node: str) -> Micros | None:
        """When a pass first saw the last renewal of the node's lease; None while it is renewed (WL-115)."""
        since = self.silent.get(node)
        if since is None:
            return None
        first_seen = self.next_pass(since)
        return max(first_seen, self.seen.get(node, first_seen))

    def remember(self, what: Any, now: Micros) -> None:
        """Change as asked."""
        match what:
            case Suspected():
                self.suspects[what.node] = None
            case Silent():
                if what.since is None:
                    self.silent.pop(what.node, None)
                    self.seen.pop(what.node, None)
                else:
                    self.silent[what.node] = what.since
            case GridBegins():
                self.grid = now
            case Begun():
                self.began = now
            case Passed():
                self._remember_pass(what, now)
            case Tainted():
                self.queue.pop(what.node, None)
                self.zones[what.zone] = replace(self.zones[what.zone], next_at=what.next_at)

    def _remember_pass(self, passed: Passed, now: Micros) -> None:
        for node in passed.looked_at:
            self.suspects.pop(node, None)
        for node in passed.again:
            self.suspects[node] = None
        for node in passed.ready:
            self.queue.pop(node, None)
        for node, zone in passed.queued:
            self.queue.setdefault(node, zone)
        self.zones.update(passed.zones)
        if passed.clocks_restart:
            for node in self.silent:
                self.seen[node] = now
