"""What a controller, the scheduler or the kubelets are to the world: a component with watches, queues and a memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, overload, runtime_checkable

from msgspec import Struct

from simulator.api.meta import Key, Object
from simulator.flows import Flow, Poll, Told
from simulator.units import Micros

T = TypeVar("T", bound=Object)
Found: TypeAlias = list[Any]
"""What an index finds: a list, by another name where a method is called `list`."""


class Change(Struct, frozen=True):
    """One change of one object: `old` is None for a creation, `new` is None for a removal."""

    key: Key
    old: Object | None
    new: Object | None


class View(Protocol):
    """What a component sees at this moment: its caches, its memory and the time. Reading it costs O(1) per object."""

    @property
    def now(self) -> Micros:
        """Simulated time."""

    @property
    def memory(self) -> Any:
        """The component's own memory; read only."""

    @property
    def argument(self) -> Any:
        """What `Spawn` handed over, None for an ordinary sync."""

    @overload
    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None: ...
    @overload
    def get(self, kind: Key) -> Object | None: ...

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """All objects of a kind as the cache shows them, oldest first; of one namespace if given."""

    def by(self, index: str, value: Any) -> Found:
        """Objects that an index of `simulator.cluster.indexes` files under `value`, oldest first."""


class Periodic(Struct, frozen=True):
    """A timer that fires for ever: `queue`/`key` is enqueued at `first` and then every so often."""

    name: str
    every: Micros
    first: Micros
    queue: str
    key: Key


class Component(Protocol):
    """A controller. It holds configuration only; all that changes is in its memory, which the world owns."""

    @property
    def name(self) -> str:
        """What the log calls it."""

    @property
    def queues(self) -> Mapping[str, int]:
        """Queue to number of workers: so many keys of that queue are synced at once, never one key twice."""

    @property
    def watches(self) -> frozenset[str]:
        """Kinds whose changes are delivered to `observe`, and that its view shows."""

    @property
    def periodics(self) -> Sequence[Periodic]:
        """Timers that fire for ever."""

    def new_memory(self) -> Any:
        """A fresh memory, as after a restart. It must have ``copy()`` if it is not None."""

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """A change has reached the caches (the view shows it already): say what to enqueue or remember. Pure."""

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """The flow for a key of a queue. Level, not edge: a key says what to look at, never what happened."""

    def remember(self, memory: Any, what: Any, now: Micros) -> None:
        """Carry out a `Remember` of this component: the only place where its memory changes."""

    def check(self, poll: Poll, view: View) -> Any:
        """Answer a `Poll` of this component: None to wait on, anything else to go on with."""


@runtime_checkable
class Survivor(Protocol):
    """A component of whose memory a restart leaves something, such as the disks that kubelets look after."""

    def restarted(self, memory: Any) -> Any:
        """The memory after a restart."""
