"""The steps of a world: what a driver may choose from, and the running things that steps are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from simulator.api.meta import Key
from simulator.cluster.cache import Cache, CacheView
from simulator.cluster.component import Change, Component, Periodic
from simulator.flows import Flow, Intent
from simulator.units import Micros
from simulator.workqueue import WorkQueue

if TYPE_CHECKING:
    from simulator.cluster.world import World


class Runtime:
    """A component in a world: its memory, its cache and its queues."""

    __slots__ = ("cache", "component", "incarnation", "memory", "pending_starts", "queues", "view")

    def __init__(self, component: Component, world: World) -> None:
        self.component = component
        self.incarnation = 0
        self.memory: Any = component.new_memory()
        self.cache = Cache()
        self.queues = {name: WorkQueue(workers) for name, workers in component.queues.items()}
        self.pending_starts = dict.fromkeys(self.queues, 0)
        self.view = CacheView(world.store, self.cache, world, self)


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
    """A free worker takes the next key of a queue."""

    runtime: Runtime
    queue: str


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
