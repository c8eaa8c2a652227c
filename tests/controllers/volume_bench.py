"""A bench for the volume side's components: a store, one component, and somebody who does what its flows ask for.

There is no clock and no concurrency: a flow runs to its end, or to the write at which a test interrupts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key, Object, evolve, with_meta
from simulator.cluster.cache import Cache, CacheView
from simulator.cluster.component import Change, Component
from simulator.cluster.store import Store
from simulator.flows import (
    Choose,
    Create,
    Delete,
    Emit,
    Enqueue,
    Flow,
    Get,
    ListLive,
    Outcome,
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

CONFLICT = Refused("Conflict", 409, "the object has been modified")


class Bench:
    """One component at work.

    Attributes
    ----------
    writes : what was written, as (verb, key, rule).
    events : (type, reason, key, message).
    choices : the `Choose` intents that were asked; answered by `choose`, by default the first option.
    sleeps : (point, duration).
    refuse : asked before each write; what it gives is the answer, if it is not None.
    active : the queues whose workers are busy, when a test acts in the middle of a flow.
    is_lagging : whether changes wait in `undelivered`.
    """

    def __init__(self, component: Component, *objects: Object) -> None:
        self.now = 0
        self.component = component
        self.memory: Any = component.new_memory()
        self.store = Store(self._changed)
        self.cache = Cache()
        self.view = CacheView(self.store, self.cache, self, self)
        self.queue: dict[tuple[str, Key], None] = {}
        self.active: list[str] = []
        self.later: dict[tuple[str, Key], int] = {}
        self.writes: list[tuple[str, Key, str]] = []
        self.events: list[tuple[str, str, Key, str]] = []
        self.choices: list[Choose] = []
        self.sleeps: list[tuple[str, int | None]] = []
        self.choose: Callable[[Choose], Key] = lambda choice: choice.options[0]
        self.refuse: Callable[[Any], Refused | None] = lambda write: None
        self.before: Callable[[Any], None] = lambda intent: None
        self.is_lagging = False
        self.is_writing = False
        self.undelivered: list[Change] = []
        self.spawned: list[Spawn] = []
        for obj in objects:
            self.put(obj)

    # --- what others do to the cluster ------------------------------------------------------------------------------

    def put(self, obj: Object) -> Any:
        """Create or replace an object, as somebody else would."""
        if not obj.metadata.uid:
            old = self.store.find(obj.key)
            obj = with_meta(obj, uid=old.metadata.uid if old is not None else self.store.new_uid())
        if obj.metadata.creation_timestamp is None:
            obj = with_meta(obj, creation_timestamp=self.now)
        return self.store.put(obj)

    def remove(self, obj: Object) -> None:
        """Take an object away."""
        self.store.remove(obj.key)

    def edit(self, obj: Object, **spec: Any) -> Any:
        """Change fields of the newest version of an object's spec, as somebody else would."""
        newest: Any = self.store.find(obj.key)
        return self.store.put(evolve(newest, spec=evolve(newest.spec, **spec)))

    def deliver(self) -> None:
        """Let the component see all changes that it has not seen yet."""
        changes, self.undelivered = self.undelivered, []
        for change in changes:
            self.cache.deliver(change)
            self._observe(change)

    # --- the component at work --------------------------------------------------------------------------------------

    def sync(self, queue: str, obj: Object | Key) -> Outcome:
        """Run the flow of one key, whether it is queued or not."""
        key = obj if isinstance(obj, Key) else obj.key
        self.queue.pop((queue, key), None)
        self.active.append(queue)
        outcome = self.run(self.component.sync(queue, key, self.view))
        self.active.remove(queue)
        return outcome

    def drain(self) -> None:
        """Work through all queues, claims before volumes, until nothing is left; failed keys are left out."""
        for _ in range(10_000):
            if not self.queue:
                return
            queue, key = next(iter(self.queue))
            self.sync(queue, key)
        raise AssertionError("this does not come to an end")

    def run(self, flow: Flow) -> Outcome:
        """Carry out what a flow asks for, to its end."""
        answer: Any = None
        while True:
            try:
                intent = flow.send(answer)
            except StopIteration as end:
                outcome = end.value
                assert outcome is not None
                self._flush()
                return outcome  # type: ignore[no-any-return]
            if not isinstance(intent, (Tell, Choose)):  # time passes
                self._flush()
            self.before(intent)
            answer = self._answer(intent)

    def _answer(self, intent: Any) -> Any:
        match intent:
            case Tell():
                self.tell(intent.change)
                return None
            case Choose():
                assert intent.options and len(set(intent.options)) == len(intent.options)
                assert intent.weights is None or len(intent.weights) == len(intent.options)
                self.choices.append(intent)
                return self.choose(intent)
            case Sleep():
                self.sleeps.append((intent.point, intent.duration))
                return None
            case Get():
                return self.store.find(intent.key)
            case ListLive():
                found = self.store.of_kind(intent.kind).values()
                return tuple(o for o in found if not intent.namespace or o.metadata.namespace == intent.namespace)
            case _:
                self.is_writing = True
                written = self._write(intent)
                self.is_writing = False
                return written

    def _write(self, write: Any) -> Any:
        if (refused := self.refuse(write)) is not None:
            return refused
        key = write.key if isinstance(write, Delete) else write.obj.key
        old: Any = self.store.find(key)
        if isinstance(write, Create):
            if old is not None:
                return Refused("AlreadyExists", 409, f"{key} already exists")
            self.writes.append(("create", key, write.rule))
            created: Any = self.put(write.obj)
            if not created.status.phase:
                created = self.store.put(evolve(created, status=evolve(created.status, phase="Pending")))
            return created
        if old is None:
            return Refused("NotFound", 404, f"{key} not found")
        if isinstance(write, Delete):
            self.writes.append(("delete", key, write.rule))
            if old.metadata.finalizers:
                return self.store.put(with_meta(old, deletion_timestamp=self.now))
            self.store.remove(key)
            return None
        assert isinstance(write, (Update, UpdateStatus))
        if write.obj.metadata.resource_version != old.metadata.resource_version:
            return CONFLICT
        sent: Any = write.obj
        if isinstance(write, Update):
            assert not hasattr(old, "status") or sent.status == old.status, "a spec write that changes the status"
        else:
            assert sent.spec == old.spec and sent.metadata == old.metadata, "a status write that changes the spec"
        if sent == old:
            return old
        self.writes.append(("status" if isinstance(write, UpdateStatus) else "update", key, write.rule))
        if sent.metadata.is_terminating and not sent.metadata.finalizers:
            self.store.remove(key)
            return sent
        return self.store.put(sent)

    def tell(self, change: Told) -> None:
        """Change the component's memory or queues."""
        match change:
            case Remember():
                self.component.remember(self.memory, change.what, self.now)
            case Enqueue():
                if change.after:
                    self.later[change.queue, change.key] = change.after
                else:
                    self.queue[change.queue, change.key] = None
            case Emit():
                self.events.append((change.type, change.reason, change.about, change.message))
            case Spawn():
                self.spawned.append(change)
                view = self.view.with_argument(change.argument)
                assert not isinstance(self.run(self.component.sync(change.queue, change.key, view)), Retry)
            case _:
                raise AssertionError(change)

    def _changed(self, change: Change) -> None:
        if change.key.kind not in self.component.watches:
            return
        self.cache.delay(change)
        self.undelivered.append(change)
        if not self.is_writing:  # a flow gets its answer before the watch brings what it has written
            self._flush()

    def _flush(self) -> None:
        if not self.is_lagging:
            self.deliver()

    def _observe(self, change: Change) -> None:
        for told in self.component.observe(change, self.view):
            self.tell(told)

    # --- what has come of it ----------------------------------------------------------------------------------------

    def claim(self, name: str, namespace: str = "default") -> PersistentVolumeClaim:
        """A claim as stored."""
        found = self.store.get(PersistentVolumeClaim, name, namespace)
        assert found is not None
        return found

    def volume(self, name: str) -> PersistentVolume:
        """A volume as stored."""
        found = self.store.get(PersistentVolume, name)
        assert found is not None
        return found

    @property
    def reasons(self) -> list[str]:
        """The reasons of all events so far."""
        return [reason for _, reason, _, _ in self.events]

    def forget(self) -> None:
        """Start to note writes, events and choices anew."""
        for notes in (self.writes, self.events, self.choices, self.sleeps, self.spawned):
            notes.clear()


def settle(bench: Bench, keys: Iterable[tuple[str, Key]] | None = None) -> None:
    """Sync every claim and every volume, again and again, until nothing changes any more."""
    before = -1
    while before != bench.store.version:
        before = bench.store.version
        for queue, kind in (("claims", PersistentVolumeClaim), ("volumes", PersistentVolume)):
            for obj in bench.store.list(kind):
                bench.queue[queue, obj.key] = None
        bench.drain()
