"""All that can change in a run, and the only code that changes it.

    store ──change──▶ Deliver ──▶ component.observe ──▶ queue ──▶ Start ──▶ flow ──Write──▶ Resume ──▶ store …

A driver decides which step comes next, and when; `World.take` carries the step out. A step that becomes possible is
handed to the driver through `World.enabled`, with the latency that it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from simulator.api.meta import Key, Object
from simulator.choices import Chooser
from simulator.cluster.apiserver import ApiServer
from simulator.cluster.cache import CacheView
from simulator.cluster.component import Change, Component
from simulator.cluster.faults import FAILED, LOST, NO_ANSWER, Calls, Faults
from simulator.cluster.steps import Deliver, Enabled, Fire, Resume, Runtime, SavedRuntime, Start, Step, Task, Tick
from simulator.cluster.store import SavedStore, Store
from simulator.errors import InvariantViolated
from simulator.eventlog import Log
from simulator.flows import (
    TIMED_OUT,
    Bind,
    Choose,
    Create,
    Delete,
    Emit,
    Enqueue,
    Evict,
    Flow,
    Get,
    Intent,
    ListLive,
    Note,
    Outcome,
    Patch,
    Poll,
    Refused,
    Remember,
    Retry,
    Sleep,
    Spawn,
    Tell,
    Told,
    Update,
    UpdateStatus,
)
from simulator.units import Micros

_VERBS: Final[Mapping[type[Any], str]] = {
    Create: "create", Update: "update", UpdateStatus: "update-status", Patch: "patch", Delete: "delete", Bind: "bind",
    Evict: "evict",
}


class SavedWorld(NamedTuple):
    """All that can change, as it was at a moment, but for the steps under way, which the driver keeps."""

    now: Micros
    last_change: Micros
    in_flight: int
    store: SavedStore
    runtimes: tuple[SavedRuntime, ...]
    faults: tuple[Calls, ...]


def new_flow(runtime: Runtime, queue: str, key: Key, view: CacheView) -> Flow:
    """A flow that runs as it goes."""
    return runtime.component.sync(queue, key, view)


class World:
    """Store, caches, queues, tasks and memories.

    Attributes
    ----------
    now : simulated time; the driver sets it.
    enabled : steps that have become possible since the driver last looked; the driver empties it.
    in_flight : steps that were enabled and not taken yet, timers left aside.
    last_change : when an object last changed.
    watchers : called with each change of an object, at once and in order; they must not change anything.
    faults : the API calls that are to go wrong.
    new_flow : how a flow is begun; a driver that goes back in time puts its own here.
    """

    def __init__(self, components: Sequence[Component], chooser: Chooser, log: Log | None = None) -> None:
        self.now: Micros = 0
        self.chooser = chooser
        self.log = log if log is not None else Log()
        self.store = Store(self._changed)
        self.api = ApiServer(self.store)
        self._has_begun = False
        self._is_watched = True
        self.enabled: list[Enabled] = []
        self.in_flight = 0
        self.last_change: Micros = 0
        self.watchers: list[Callable[[Change], None]] = []
        self.faults = Faults()
        self.new_flow: Callable[[Runtime, str, Key, CacheView], Flow] = new_flow
        self.runtimes = {component.name: Runtime(component, self) for component in components}
        self._runtimes = tuple(self.runtimes.values())
        self._interested: dict[str, tuple[Runtime, ...]] = {}
        self._events: dict[tuple[str, Key, str, str, str, str], int] = {}
        self._cause: tuple[str, str, str] = ("", "load", "")

    # --- what drivers and scenarios call ----------------------------------------------------------------------------

    def load(self, objects: Iterable[Object]) -> list[Refused]:
        """Put the initial objects in place, one after another, before anybody looks.

        Returns
        -------
        What the API server refused.
        """
        self._cause = ("kubectl", "load", "")
        self._is_watched = self._has_begun
        answers = [self.api.load(obj, self.now) for obj in objects]
        self._is_watched = True
        return [answer for answer in answers if isinstance(answer, Refused)]

    def begin(self) -> None:
        """Show everybody what is there, and start all periodic timers; from now on changes are delivered."""
        self._has_begun = True
        for runtime in self.runtimes.values():
            self._list(runtime)
            for periodic in runtime.component.periodics:
                self.enabled.append(Enabled(Tick(runtime, periodic), delay=periodic.first))

    def spawn(self, component: str, queue: str, key: Key, argument: Any = None) -> None:
        """Start a flow of a component from outside, beside its queues."""
        self._tell(self.runtimes[component], Spawn(queue, key, argument))

    def tell(self, component: str, change: Told) -> None:
        """Change a component's memory or queues from outside (a scenario's fault, say)."""
        self._tell(self.runtimes[component], change)

    def restart(self, component: str) -> None:
        """A component loses its memory, its queues and what it was about to do; its caches are filled again (ND-31)."""
        runtime = self.runtimes[component]
        runtime.start_anew()
        self._list(runtime)

    def save(self) -> SavedWorld:
        """All that can change, as it is now, steps under way left aside. O(components and kinds)."""
        return SavedWorld(
            self.now, self.last_change, self.in_flight, self.store.save(),
            tuple([runtime.saved or runtime.save() for runtime in self._runtimes]), tuple(self.faults.calls),
        )

    def restore(self, saved: SavedWorld) -> None:
        """Be again as it was; nobody is told, and nothing is logged. O(components and kinds)."""
        self.now, self.last_change, self.in_flight = saved.now, saved.last_change, saved.in_flight
        self.store.restore(saved.store)
        for runtime, mine in zip(self._runtimes, saved.runtimes, strict=True):
            if runtime.saved is not mine:
                runtime.restore(mine)
        self.faults.calls = list(saved.faults)

    def take(self, step: Step) -> None:
        """Carry out one step: the only way anything changes."""
        match step:
            case Deliver():
                self.in_flight -= 1
                for runtime in step.targets:
                    if runtime.own_cache().deliver(step.change):
                        self._observe(runtime, step.change)
            case Start():
                self._start(step.runtime, step.queue, step.key)
            case Resume():
                self._resume(step.task)
            case Fire():
                if step.runtime.own_queue(step.queue).expire(step.key, self.now):
                    self._ready(step.runtime, step.queue, step.key)
            case Tick():
                self.enabled.append(Enabled(step, delay=step.periodic.every))
                self._ready(step.runtime, step.periodic.queue, step.periodic.key)

    # --- changes of objects -----------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        actor, verb, rule = self._cause
        new = change.new
        if new is None:
            verb = "remove"
        version = new.metadata.resource_version if new is not None else self.store.version
        self.log.append(self.now, actor, verb, change.key, version, rule, None, change.old, new)
        self.last_change = self.now
        for watcher in self.watchers:
            watcher(change)
        if not self._is_watched:
            return
        kind = change.key.kind
        interested = self._interested.get(kind)
        if interested is None:
            interested = tuple(r for r in self.runtimes.values() if kind in r.component.watches)
            self._interested[kind] = interested
        if interested:
            for runtime in interested:
                runtime.own_cache().delay(change)
            self.in_flight += 1
            self.enabled.append(Enabled(Deliver(change, interested), "watch", about=change.key))

    def _list(self, runtime: Runtime) -> None:
        """A component's first look: it sees every object as just created, kind by kind, oldest first."""
        for kind in self.store.kinds():
            if kind in runtime.component.watches:
                for key, obj in list(self.store.of_kind(kind).items()):
                    if runtime.view.get(key) is obj:  # else its creation is still on its way
                        self._observe(runtime, Change(key, None, obj))

    def _observe(self, runtime: Runtime, change: Change) -> None:
        for told in runtime.component.observe(change, runtime.view):
            self._tell(runtime, told)

    # --- queues and tasks -------------------------------------------------------------------------------------------

    def _ready(self, runtime: Runtime, queue: str, key: Key) -> None:
        if runtime.own_queue(queue).add(key):
            self._offer(runtime, queue)

    def _offer(self, runtime: Runtime, queue: str) -> None:
        """Let a worker start, if one is free and there is a key for it."""
        work = runtime.queues[queue]
        if work.starting < len(work.ready) and work.starting + len(work.active) < work.workers:
            work = runtime.own_queue(queue)
            work.starting += 1
            self.in_flight += 1
            key = next(iter(work.ready))
            self.enabled.append(Enabled(Start(runtime, queue), f"work/{runtime.component.name}", about=key))

    def _start(self, runtime: Runtime, queue: str, wanted: Key | None = None) -> None:
        work = runtime.own_queue(queue)
        if work.starting == 0 or not work.ready:  # the component was restarted meanwhile
            self.in_flight -= 1
            return
        work.starting -= 1
        key = work.get(wanted)
        flow = self.new_flow(runtime, queue, key, runtime.view)
        self._advance(Task(runtime, queue, key, flow, runtime.view, spawned=False), None)
        self.in_flight -= 1

    def _resume(self, task: Task) -> None:
        if task.incarnation != task.runtime.incarnation:  # died with its component; what it wrote stays
            self.in_flight -= 1
            return
        intent = task.intent
        match intent:
            case Poll():
                answer = task.runtime.component.check(intent, task.view)
                if answer is None:
                    if self.now < task.deadline:
                        delay = min(intent.every, task.deadline - self.now)
                        self.enabled.append(Enabled(Resume(task), delay=delay))
                        return
                    answer = TIMED_OUT
            case Sleep():
                answer = None
            case Get():
                answer = self.store.find(intent.key)
            case ListLive():
                found = self.store.of_kind(intent.kind).values()
                answer = tuple(o for o in found if not intent.namespace or o.metadata.namespace == intent.namespace)
            case _:
                answer = self._write(task, intent)
        self._advance(task, answer)
        self.in_flight -= 1

    def _advance(self, task: Task, answer: Any) -> None:
        """Run a task up to the next thing that takes a step."""
        while True:
            try:
                intent = task.flow.send(answer)
            except StopIteration as end:
                self._finish(task, end.value)
                return
            answer = None
            if isinstance(intent, Tell):
                self._tell(task.runtime, intent.change)
            elif isinstance(intent, Choose):
                answer = self._choose(task, intent)
            else:
                task.intent = intent
                self._wait(task, intent)
                return

    def _wait(self, task: Task, intent: Intent) -> None:
        self.in_flight += 1
        step = Resume(task)
        match intent:
            case Poll():
                task.deadline = self.now + intent.deadline
                self.enabled.append(Enabled(step, delay=min(intent.every, intent.deadline)))
            case Sleep():
                if intent.duration is not None:
                    self.enabled.append(Enabled(step, delay=intent.duration))
                else:
                    self.enabled.append(Enabled(step, intent.point, about=task.key))
            case Get() | ListLive():
                self.enabled.append(Enabled(step, "read", about=task.key))
            case _:
                self.enabled.append(Enabled(step, "api", about=task.key))

    def _write(self, task: Task, intent: Any) -> Any:
        actor = task.runtime.component.name
        verb = _VERBS[type(intent)]
        key = intent.obj.key if isinstance(intent, (Create, Update, UpdateStatus)) else intent.key
        fate = self.faults.fate_of(actor, verb, key, lambda choice: self._choose(task, choice))
        self._cause = (actor, verb, intent.rule)
        answer = self.api.handle(intent, self.now) if fate != FAILED else NO_ANSWER
        if fate == LOST:
            answer = NO_ANSWER
        if isinstance(answer, Refused):
            self.log.append(self.now, actor, "refused", key, 0, intent.rule,
                            {"verb": verb, "reason": answer.reason, "code": answer.code, "message": answer.message})
        return answer

    def _choose(self, task: Task, intent: Choose) -> Key:
        chosen = self.chooser.choose(intent.point, intent.about, intent.options, intent.weights)
        if len(intent.options) > 1:
            self.log.append(self.now, task.runtime.component.name, "choose", intent.about, detail={
                "point": intent.point, "chosen": str(chosen), "among": [str(option) for option in intent.options]})
        return chosen

    def _finish(self, task: Task, outcome: Outcome) -> None:
        if task.spawned:
            return
        runtime, queue, key = task.runtime, task.queue, task.key
        work = runtime.own_queue(queue)
        again = work.done(key)
        if isinstance(outcome, Retry):
            self._enqueue(runtime, Enqueue(queue, key, work.back_off(key, self.now)))
        else:
            work.forget(key)
            if outcome.requeue_after is not None:
                self._enqueue(runtime, Enqueue(queue, key, outcome.requeue_after))
        if again or work.ready:
            self._offer(runtime, queue)

    def _enqueue(self, runtime: Runtime, told: Enqueue) -> None:
        if told.after <= 0:
            self._ready(runtime, told.queue, told.key)
        elif runtime.own_queue(told.queue).add_after(told.key, self.now + told.after):
            self.enabled.append(Enabled(Fire(runtime, told.queue, told.key), delay=told.after))

    def _tell(self, runtime: Runtime, told: Told) -> None:
        match told:
            case Remember():
                runtime.component.remember(runtime.own_memory(), told.what, self.now)
            case Enqueue():
                self._enqueue(runtime, told)
            case Emit():
                self._emit(runtime, told)
            case Note():
                self.log.append(self.now, runtime.component.name, told.verb, told.key, 0, told.rule, told.detail)
            case Spawn():
                view = runtime.view.with_argument(told.argument)
                flow = self.new_flow(runtime, told.queue, told.key, view)
                self._advance(Task(runtime, told.queue, told.key, flow, view, spawned=True), None)
            case _:
                raise InvariantViolated(f"{runtime.component.name} told {told!r}")

    def _emit(self, runtime: Runtime, told: Emit) -> None:
        """Record a Kubernetes event; the same one again only raises its count (WL-170)."""
        source = told.source or runtime.component.name
        subject = self.store.find(told.about)
        uid = subject.metadata.uid if subject is not None else ""
        same = (source, told.about, uid, told.type, told.reason, told.message)
        count = self._events.get(same, 0) + 1
        self._events[same] = count
        self.log.append(self.now, source, "event", told.about, detail={
            "type": told.type, "reason": told.reason, "message": told.message, "count": count})
