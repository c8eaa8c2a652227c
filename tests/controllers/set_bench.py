"""A bench for the StatefulSet controller alone: a store with the simplest API server, and syncs on demand.

Pods that it creates are Pending at once; pods that it deletes keep a deletion timestamp until `remove` takes them away.
Nothing else runs, and the caches are up to date between two syncs unless `is_lagging`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.api.apps import StatefulSet
from simulator.api.core import Condition, PersistentVolumeClaim, Pod, set_condition
from simulator.api.meta import Key, Object, decode, encode, evolve, with_meta
from simulator.cluster.cache import Cache, CacheView
from simulator.cluster.component import Change
from simulator.cluster.store import Store
from simulator.controllers.statefulset import StatefulSetController
from simulator.eventlog import apply_patch
from simulator.flows import (
    Choose,
    Create,
    Delete,
    Emit,
    Enqueue,
    Get,
    Intent,
    Outcome,
    Patch,
    Refused,
    Remember,
    Sleep,
    Tell,
    Told,
    Update,
    UpdateStatus,
)
from simulator.units import HOUR, SECOND, Micros

PLURALS = {"Pod": "pods", "PersistentVolumeClaim": "persistentvolumeclaims", "StatefulSet": "statefulsets.apps",
           "ControllerRevision": "controllerrevisions.apps"}
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"

Answer = Callable[[Intent], Any]


class Bench:
    """The controller under test, and all that it can see.

    Attributes
    ----------
    intents : everything that the syncs asked for, in order, `Tell` left aside.
    events : what the controller said, as (type, reason, message).
    queued : what was enqueued, as (name of the set, delay).
    created, deleted : names of the pods that it created and deleted, in order.
    interfere : asked before every intent; what it returns is the answer, None lets the intent through.
    choose : picks one of a choice's options.
    """

    def __init__(self, *objects: Object, controller: StatefulSetController | None = None) -> None:
        self.controller = controller if controller is not None else StatefulSetController()
        self.memory: Any = self.controller.new_memory()
        self.now: Micros = 24 * HOUR
        self.is_lagging = False
        self.store = Store(self._changed)
        self.cache = Cache()
        self.view = CacheView(self.store, self.cache, self, self)
        self.undelivered: list[Change] = []
        self.intents: list[Intent] = []
        self.events: list[tuple[str, str, str]] = []
        self.queued: list[tuple[str, Micros]] = []
        self.created: list[str] = []
        self.deleted: list[str] = []
        self.interfere: Answer = lambda intent: None
        self.choose: Callable[[Choose], Key] = lambda choice: choice.options[0]
        for obj in objects:
            self.put(obj)

    # --- syncs ------------------------------------------------------------------------------------------------------

    def sync(self, name: str = "web", namespace: str = "default") -> Outcome:
        """One sync of a set, to its end."""
        flow = self.controller.sync("sets", Key("StatefulSet", namespace, name), self.view)
        answer = None
        while True:
            try:
                intent = flow.send(answer)
            except StopIteration as end:
                if not self.is_lagging:
                    self.deliver()
                outcome: Outcome = end.value
                return outcome
            if isinstance(intent, Tell):
                answer = None
                self._tell(intent.change)
                continue
            self.intents.append(intent)
            answer = self.interfere(intent)
            if answer is None:
                answer = self._answer(intent)

    def settle(self, name: str = "web", namespace: str = "default") -> None:
        """Sync with an ideal kubelet and all the time in the world, until nothing changes any more."""
        for _ in range(1000):
            before = self.store.version
            self.sync(name, namespace)
            self.now += HOUR
            for pod in list(self.store.list(Pod)):
                if pod.metadata.is_terminating:
                    self.remove(pod)
                elif not pod.is_finished and not pod.is_ready:
                    self.set_pod(pod.name, phase="Running", ready=True)
            if self.store.version == before:
                return
        raise AssertionError(f"{name} does not settle")

    # --- the rest of the world --------------------------------------------------------------------------------------

    def put(self, obj: Object) -> Any:
        """Create or replace an object as it is; its uid is made up if it has none."""
        if not obj.metadata.uid:
            obj = with_meta(obj, uid=self.store.new_uid())
        stored = self.store.put(obj)
        if not self.is_lagging:
            self.deliver()
        return stored

    def remove(self, obj: Object) -> None:
        """Take an object away."""
        self.store.remove(obj.key)
        if not self.is_lagging:
            self.deliver()

    def pod(self, name: str) -> Pod:
        """A pod that is there."""
        pod = self.store.get(Pod, name, "default")
        assert pod is not None, f"no pod {name}"
        return pod

    def claim(self, name: str) -> PersistentVolumeClaim:
        """A claim that is there."""
        claim = self.store.get(PersistentVolumeClaim, name, "default")
        assert claim is not None, f"no claim {name}"
        return claim

    def sts(self, name: str = "web") -> StatefulSet:
        """A set that is there."""
        sts = self.store.get(StatefulSet, name, "default")
        assert sts is not None, f"no set {name}"
        return sts

    def pods(self) -> list[str]:
        """Names of the pods, oldest first."""
        return [pod.name for pod in self.store.list(Pod)]

    def set_pod(self, name: str, *, phase: str | None = None, ready: bool | None = None, ready_for: int | None = None,
                terminating: bool = False) -> None:
        """Change the state of a pod; `ready_for` are seconds, by default long enough."""
        pod = self.pod(name)
        status = pod.status if phase is None else evolve(pod.status, phase=phase)
        if ready is not None:
            since = self.now - (HOUR if ready_for is None else ready_for * SECOND)
            others = tuple(each for each in status.conditions if each.type != "Ready")
            condition = Condition(type="Ready", status=str(ready), last_transition_time=since)
            status = evolve(status, conditions=set_condition(others, condition, since))
        if terminating:
            pod = with_meta(pod, deletion_timestamp=self.now + 30 * SECOND, deletion_grace_period_seconds=30)
        self.put(evolve(pod, status=status))

    def patch(self, spec: dict[str, Any], name: str = "web") -> None:
        """Change a set's spec by a merge patch."""
        sts = self.sts(name)
        patched = decode(apply_patch(encode(sts), {"spec": spec}), StatefulSet)
        self.put(with_meta(patched, generation=sts.metadata.generation + 1))

    def scale(self, replicas: int, name: str = "web") -> None:
        """Change the number of replicas."""
        self.patch({"replicas": replicas}, name)

    def roll(self, image: str, name: str = "web") -> None:
        """Change the image of the template."""
        self.patch({"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}, name)

    def deliver(self, *kinds: str) -> None:
        """Bring the caches up to date, for some kinds or for all."""
        waiting, self.undelivered = self.undelivered, []
        for change in waiting:
            if kinds and change.key.kind not in kinds:
                self.undelivered.append(change)
                continue
            self.cache.deliver(change)
            for told in self.controller.observe(change, self.view):
                self._tell(told)

    def _changed(self, change: Change) -> None:
        self.cache.delay(change)
        self.undelivered.append(change)

    def _tell(self, told: Told) -> None:
        if isinstance(told, Remember):
            self.controller.remember(self.memory, told.what, self.now)
        elif isinstance(told, Emit):
            assert told.source == "statefulset-controller"
            self.events.append((told.type, told.reason, told.message))
        elif isinstance(told, Enqueue):
            self.queued.append((told.key.name, told.after))
        else:
            raise AssertionError(f"unexpected {told!r}")

    # --- the simplest API server ------------------------------------------------------------------------------------

    def _answer(self, intent: Intent) -> Any:
        match intent:
            case Create():
                return self._create(intent.obj)
            case Update() | UpdateStatus():
                return self._update(intent)
            case Patch():
                current = self.store.find(intent.key)
                if current is None or current.metadata.uid != intent.uid:
                    return _not_found(intent.key)
                return self._write(current, intent.edit(current, *intent.args))
            case Delete():
                return self._delete(intent.key)
            case Get():
                return self.store.find(intent.key)
            case Choose():
                return self.choose(intent)
            case Sleep():
                self.now += intent.duration or 0
                return None
        raise AssertionError(f"unexpected {intent!r}")

    def _create(self, obj: Object) -> Any:
        existing = self.store.find(obj.key)
        if existing is not None:
            going = "object is being deleted: " if existing.metadata.is_terminating else ""
            return Refused("AlreadyExists", 409, f'{going}{PLURALS[obj.KIND]} "{obj.name}" already exists')
        made = with_meta(obj, uid=self.store.new_uid(), generation=1, creation_timestamp=self.now)
        if isinstance(made, (Pod, PersistentVolumeClaim)):
            made = evolve(made, status=evolve(made.status, phase="Pending"))
        if isinstance(made, Pod):
            self.created.append(made.name)
        return self.store.put(made)

    def _update(self, intent: Update | UpdateStatus) -> Any:
        obj = intent.obj
        current = self.store.find(obj.key)
        if current is None:
            return _not_found(obj.key)
        if current.metadata.resource_version != obj.metadata.resource_version:
            return conflict(obj)
        if isinstance(intent, UpdateStatus):
            if isinstance(obj, StatefulSet) and obj.status.current_replicas < 0:
                return Refused("Invalid", 422, "status.currentReplicas: Invalid value: -1")
            return self._write(current, evolve(current, status=obj.status))  # type: ignore[call-arg]
        if isinstance(obj, Pod) and isinstance(current, Pod) and obj.spec != current.spec:
            return Refused("Invalid", 422, f'Pod "{obj.name}" is invalid: spec: Forbidden')
        return self._write(current, obj)

    def _write(self, current: Object, new: Object) -> Object:
        """Store a change; one that changes nothing gets no resource version."""
        return current if new == current else self.store.put(new)

    def _delete(self, key: Key) -> Any:
        current = self.store.find(key)
        if current is None:
            return _not_found(key)
        if not isinstance(current, Pod):
            self.store.remove(key)
            return None
        self.deleted.append(key.name)
        if current.metadata.is_terminating:
            return current
        return self.store.put(with_meta(current, deletion_timestamp=self.now + 30 * SECOND,
                                        deletion_grace_period_seconds=30))


def conflict(obj: Object) -> Refused:
    """A lost optimistic lock."""
    return Refused("Conflict", 409, f'Operation cannot be fulfilled on {PLURALS[obj.KIND]} "{obj.name}": {MODIFIED}')


def _not_found(key: Key) -> Refused:
    return Refused("NotFound", 404, f'{PLURALS[key.kind]} "{key.name}" not found')
