"""The steps of a world: what a driver may choose from, and the running things that steps are about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from simulator.api.meta import Key
from simulator.cluster.cache import Cache, CacheView, Stale
from simulator.cluster.component import Change, Component, Periodic, Survivor
from simulator.flows import Flow, Intent
from simulator.units import Micros
from simulator.workqueue import WorkQueue

if TYPE_CHECKING:
    from simulator.cluster.world import World


class SavedRuntime(NamedTuple):
    """A component as it was at a moment; nothing in it changes any more."""

    memory: Any
    stale: Stale
    queues: dict[str, WorkQueue]
    incarnation: int


class Runtime:
    """A component in a world: its memory, its cache and its queues.

    Flows hold on to the memory and its parts, so going back in time fills the same memory again. Cache and queues are
    copied before they change, once they have been saved; `own_…` hands out what may be changed.

    Attributes
    ----------
    saved : as it was saved, if nothing has changed since.
    """

    __slots__ = ("_frozen", "_is_cache_shared", "_shared", "cache", "component", "incarnation", "memory", "queues",
                 "saved", "view")

    def __init__(self, component: Component, world: World) -> None:
        self.component = component
        self.incarnation = 0
        self.memory: Any = component.new_memory()
        self.cache = Cache()
        self.queues = {name: WorkQueue(workers) for name, workers in component.queues.items()}
        self.view = CacheView(world.store, self.cache, world, self)
        self.saved: SavedRuntime | None = None
        self._shared: frozenset[str] = frozenset()
        self._is_cache_shared = False
        self._frozen: Any = None

    def save(self) -> SavedRuntime:
        """The component as it is now; the same object as long as nothing changes."""
        if self.saved is None:
            if self._frozen is None and self.memory is not None:
                self._frozen = self.memory.copy()
            self.saved = SavedRuntime(self._frozen, self.cache.stale, dict(self.queues), self.incarnation)
            self._shared, self._is_cache_shared = frozenset(self.queues), True
        return self.saved

    def restore(self, saved: SavedRuntime) -> None:
        """Be again as it was."""
        if self.saved is saved:
            return
        if self._frozen is not saved.memory:
            self._frozen = saved.memory
            _assign(self.memory, saved.memory.copy())
        self.cache.stale, self.incarnation, self.queues = saved.stale, saved.incarnation, dict(saved.queues)
        self.saved, self._shared, self._is_cache_shared = saved, frozenset(saved.queues), True

    def own_memory(self) -> Any:
        """The memory, to be changed."""
        self.saved = self._frozen = None
        return self.memory

    def own_cache(self) -> Cache:
        """The cache, to be changed."""
        self.saved = None
        if self._is_cache_shared:
            self._is_cache_shared = False
            self.cache.stale = Cache.copy(self.cache.stale)
        return self.cache

    def own_queue(self, name: str) -> WorkQueue:
        """A queue, to be changed."""
        self.saved = None
        queue = self.queues[name]
        if name in self._shared:
            self._shared -= {name}
            queue = self.queues[name] = queue.copy()
        return queue

    def start_anew(self) -> None:
        """A restart: memory and queues are lost, and the cache is filled again (ND-31)."""
        component = self.component
        self.memory = component.restarted(self.memory) if isinstance(component, Survivor) else component.new_memory()
        self._frozen = None
        self.saved, self._shared, self._is_cache_shared = None, frozenset(), False
        self.incarnation += 1
        self.cache.stale = {}  # a new list shows what is stored now; what is still on its way is not delivered again
        self.queues = {name: WorkQueue(workers) for name, workers in component.queues.items()}


def _assign(memory: Any, other: Any) -> None:
    """Give a memory everything that another one has."""
    for name in fields_of(memory):
        setattr(memory, name, getattr(other, name))


def fields_of(memory: Any) -> Iterable[str]:
    """The names of what a memory holds."""
    kind = type(memory)
    names: Iterable[str] = getattr(kind, "__struct_fields__", None) or getattr(kind, "__slots__", None) or vars(memory)
    return names


class Task:
    """A flow under way: where it came from, and what it asked for last."""

    __slots__ = ("deadline", "flow", "incarnation", "intent", "key", "queue", "runtime", "spawned", "view")

    def __init__(self, runtime: Runtime, queue: str, key: Key, flow: Flow, view: CacheView, spawned: bool) -> None:
        self.runtime = runtime
        self.incarnation = runtime.incarnation
        self.queue = queue
        self.key = key
        self.flow = flow
        self.view = view
        self.spawned = spawned
        self.intent: Intent | None = None
        self.deadline: Micros = 0


class Deliver(Struct, frozen=True, gc=False):
    """A change reaches the caches of some components."""

    change: Change
    targets: tuple[Runtime, ...]


class Start(Struct, frozen=True, gc=False):
    """A free worker takes the next key of a queue, or a certain one."""

    runtime: Runtime
    queue: str
    key: Key | None = None


class Resume(Struct, frozen=True, gc=False):
    """What a task asked for is done, and the task goes on."""

    task: Task


class Fire(Struct, frozen=True, gc=False):
    """A delayed key of a queue becomes ready."""

    runtime: Runtime
    queue: str
    key: Key


class Tick(Struct, frozen=True, gc=False):
    """A periodic timer fires."""

    runtime: Runtime
    periodic: Periodic


Step = Deliver | Start | Resume | Fire | Tick


class Enabled(Struct, frozen=True, gc=False):
    """A step that has become possible, and what it costs: a latency by name, or a fixed delay."""

    step: Step
    point: str = ""
    delay: Micros = 0
    about: Key | None = None
