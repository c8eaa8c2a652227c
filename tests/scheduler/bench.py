"""A scheduler on a bench: a store that it sees at once, and flows that are driven by hand."""

from __future__ import annotations

from typing import Any

from simulator.api.meta import AnyObject, Key, Object, evolve, with_meta
from simulator.cluster.component import Change
from simulator.cluster.store import Store
from simulator.flows import Emit, Enqueue, Flow, Note, Outcome, Remember, Spawn, Tell, Told
from simulator.scheduler import Scheduler
from simulator.scheduler.failure import CYCLE, CYCLE_KEY
from simulator.scheduler.memory import Memory
from simulator.units import Micros


class View:
    """What a scheduler on the bench sees."""

    def __init__(self, bench: Bench, argument: Any = None) -> None:
        self._bench = bench
        self.argument = argument
        self.get = bench.store.get_any
        self.list = bench.store.list
        self.by = bench.store.by

    @property
    def now(self) -> Micros:
        return self._bench.now

    @property
    def memory(self) -> Memory:
        return self._bench.memory


class _Store(Store):
    def get_any(self, kind: Any, name: str = "", namespace: str = "") -> Any:
        return self.find(kind) if isinstance(kind, Key) else self.get(kind, name, namespace)


class Running:
    """A flow under way, and what it has told since it was last asked for something.

    Attributes
    ----------
    intent : what it waits for; None once it has ended with `outcome`.
    """

    def __init__(self, bench: Bench, flow: Flow) -> None:
        self._bench = bench
        self._flow = flow
        self.outcome: Outcome | None = None
        self.intent: Any = None
        self.answer(None)

    def answer(self, answer: Any) -> Any:
        """Send an answer and go on to the next intent that is not a `Tell`; returns it."""
        while True:
            try:
                self.intent = self._flow.send(answer)
            except StopIteration as end:
                self.intent, self.outcome = None, end.value
                return None
            if not isinstance(self.intent, Tell):
                return self.intent
            answer = None
            self._bench.tell(self.intent.change)


class Bench:
    """A scheduler and the objects it sees.

    Attributes
    ----------
    events, notes, spawned, enqueued : what has been told, in order.
    """

    def __init__(self, *objects: Object, scheduler: Scheduler | None = None, now: Micros = 0) -> None:
        self.now = now
        self.scheduler = scheduler if scheduler is not None else Scheduler()
        self.memory = self.scheduler.new_memory()
        self.events: list[Emit] = []
        self.notes: list[Note] = []
        self.spawned: list[Spawn] = []
        self.enqueued: list[Enqueue] = []
        self.store = _Store(self._changed)
        for obj in objects:
            self.put(obj)

    def put(self, obj: AnyObject) -> AnyObject:
        """Create or replace an object; it gets a uid if it has none, and the scheduler sees it."""
        if not obj.metadata.uid:
            obj = with_meta(obj, uid=f"uid-{obj.metadata.name}")
        return self.store.put(obj)

    def change(self, obj: AnyObject, **fields: Any) -> AnyObject:
        """Replace fields of an object as it is stored."""
        stored: Any = self.store.find(obj.key)
        return self.store.put(evolve(stored, **fields))

    def remove(self, obj: Object) -> None:
        """An object goes, and the scheduler sees it go."""
        self.store.remove(obj.key)

    def tell(self, told: Told) -> None:
        """Do what is told."""
        match told:
            case Remember():
                self.scheduler.remember(self.memory, told.what, self.now)
            case Emit():
                self.events.append(told)
            case Note():
                self.notes.append(told)
            case Spawn():
                self.spawned.append(told)
            case Enqueue():
                self.enqueued.append(told)

    def cycle(self) -> Running:
        """Start a scheduling cycle."""
        return self.run(CYCLE, CYCLE_KEY)

    def run(self, queue: str, key: Key, argument: Any = None) -> Running:
        """Start a flow."""
        return Running(self, self.scheduler.sync(queue, key, View(self, argument)))  # type: ignore[arg-type]

    def run_spawned(self) -> Running:
        """Start the flow that was spawned first."""
        spawn = self.spawned.pop(0)
        return self.run(spawn.queue, spawn.key, spawn.argument)

    def view(self) -> View:
        """What the scheduler sees."""
        return View(self)

    def _changed(self, change: Change) -> None:
        for told in self.scheduler.observe(change, View(self)):  # type: ignore[arg-type]
            self.tell(told)
