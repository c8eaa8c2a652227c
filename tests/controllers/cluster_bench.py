"""A small cluster for tests of single controllers: a real store, API server and clock, and the components asked for.

What other components would do is done by hand: `put` stores an object as it is, `write` is a call of the API server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from simulator.api.core import (
    Condition,
    Node,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    find_condition,
    set_condition,
)
from simulator.api.meta import Key, Object, evolve, with_meta
from simulator.choices import Seeded
from simulator.cluster.admission.defaults import with_defaults
from simulator.cluster.component import Component
from simulator.cluster.world import World
from simulator.controllers import node_lifecycle, pod_gc
from simulator.controllers.kubelet import LATENCIES
from simulator.drivers.timed import Timed
from simulator.flows import Bind, Create, Delete, Refused
from simulator.latency import Latency, constant
from simulator.testing.builders import make_claim, make_pod, make_volume
from simulator.units import MILLISECOND, SECOND, Micros

T = TypeVar("T", bound=Object)

SHORT: Mapping[str, Latency] = {
    "api": constant(2 * MILLISECOND), "read": constant(MILLISECOND), "watch": constant(MILLISECOND),
    **LATENCIES, **node_lifecycle.LATENCIES, **pod_gc.LATENCIES,
}


class Cluster:
    """Components at work on a few objects.

    Attributes
    ----------
    history : (time, key, the object or None), one for each change.
    """

    def __init__(
        self, *components: Component, objects: Sequence[Object] = (), latencies: Mapping[str, Latency] | None = None
    ) -> None:
        self.world = World(components, Seeded(0))
        self.history: list[tuple[Micros, Key, Object | None]] = []
        self.world.watchers.append(lambda change: self.history.append((self.world.now, change.key, change.new)))
        for obj in objects:
            self.put(obj)
        self.driver = Timed(self.world, {**SHORT, **(latencies or {})})
        self.world.begin()

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> Micros:
        return self.world.now

    def run(self, duration: Micros) -> None:
        """Let so much time pass."""
        end = self.now + duration
        self.driver.wake(end)
        self.driver.run(end, lambda: self.world.now >= end)

    def run_until(self, holds: Callable[[], bool], within: Micros = 3600 * SECOND) -> Micros:
        """Let time pass until something holds; returns how long that took."""
        start = self.now
        assert self.driver.run(start + within, holds), "it never came true"
        return self.now - start

    # --- what others do ---------------------------------------------------------------------------------------------

    def put(self, obj: T) -> T:
        """Store an object as it is, missing API defaults filled in."""
        obj = with_defaults(obj)
        if not obj.metadata.uid:
            obj = with_meta(obj, uid=self.world.store.new_uid())
        return self.world.store.put(obj)

    def write(self, intent: Any) -> Any:
        """One call of the API server."""
        return self.world.api.handle(intent, self.now)

    def create(self, obj: Object) -> Any:
        answer = self.write(Create(obj))
        assert not isinstance(answer, Refused), answer
        return answer

    def bind(self, name: str, node: str) -> Any:
        pod = self.pod(name)
        assert pod is not None
        return self.write(Bind(pod.key, pod.metadata.uid, node))

    def delete(self, obj: Object | Key, grace: int | None = None, propagation: str | None = None) -> Any:
        key = obj if isinstance(obj, Key) else obj.key
        answer = self.write(Delete(key, grace=grace, propagation=propagation))
        assert not isinstance(answer, Refused), answer
        return answer

    def act(self, component: str, argument: Any) -> None:
        """Have a component do something, as a scenario does."""
        self.world.spawn(component, "actions", Key("Test", "", "action"), argument)

    # --- what is there ----------------------------------------------------------------------------------------------

    def get(self, kind: type[T], name: str, namespace: str = "default") -> T:
        found = self.world.store.get(kind, name, namespace if kind.NAMESPACED else "")
        assert found is not None, f"{kind.KIND}/{name} is not there"
        return found

    def find(self, key: Key) -> Object | None:
        return self.world.store.find(key)

    def pod(self, name: str) -> Pod | None:
        return self.world.store.get(Pod, name, "default")

    def node(self, name: str) -> Node:
        return self.get(Node, name)

    def phases(self, name: str) -> list[tuple[Micros, str, bool]]:
        """(time, phase, is ready) of a pod whenever one of the two changes; "gone" when it goes."""
        steps: list[tuple[Micros, str, bool]] = []
        for time, key, obj in self.history:
            if key != Key("Pod", "default", name):
                continue
            state = (obj.status.phase, obj.is_ready) if isinstance(obj, Pod) else ("gone", False)
            if not steps or steps[-1][1:] != state:
                steps.append((time, *state))
        return steps

    def events(self, reason: str = "", about: str = "") -> list[tuple[str, str]]:
        """(reason, message) of the events so far."""
        return [
            (entry.detail["reason"], entry.detail["message"])
            for entry in self.world.log.entries
            if entry.verb == "event" and entry.detail is not None
            and (not reason or entry.detail["reason"] == reason) and (not about or entry.key.name == about)
        ]

    def notes(self, verb: str) -> list[dict[str, Any]]:
        """Details of the notes of that verb."""
        return [dict(entry.detail or {}) for entry in self.world.log.entries if entry.verb == verb]

    def first_time(self, holds: Callable[[Key, Object | None], bool]) -> Micros:
        """When a change that holds first happened."""
        for time, key, obj in self.history:
            if holds(key, obj):
                return time
        raise AssertionError("it never happened")


def bound_pair(claim: str, volume: PersistentVolume | None = None, **fields: Any) -> list[Object]:
    """A claim and a volume that are bound to each other."""
    volume = volume if volume is not None else make_volume(f"pv-{claim}", **fields)
    made = make_claim(claim, uid=f"uid-{claim}")
    made = evolve(
        made,
        metadata=evolve(made.metadata, finalizers=("kubernetes.io/pvc-protection",)),
        spec=evolve(made.spec, volume_name=volume.metadata.name),
        status=evolve(made.status, phase="Bound", access_modes=volume.spec.access_modes, capacity=volume.spec.capacity),
    )
    reference = ObjectReference(kind="PersistentVolumeClaim", namespace="default", name=claim, uid=f"uid-{claim}")
    volume = evolve(volume, spec=evolve(volume.spec, claim_ref=reference), status=evolve(volume.status, phase="Bound"))
    return [volume, made]


def pod_on(node: str, name: str = "web-0", **fields: Any) -> Pod:
    """A pod that is bound to a node."""
    fields.setdefault("terminationGracePeriodSeconds", 30)
    return make_pod(name, nodeName=node, **fields)


def running_on(node: str, name: str = "web-0", **fields: Any) -> Pod:
    """A pod that runs on a node and is Ready since the beginning."""
    pod = pod_on(node, name, **fields)
    conditions: tuple[Condition, ...] = ()
    for kind in ("Ready", "ContainersReady"):
        conditions = set_condition(conditions, Condition(type=kind, status="True"), 0)
    return evolve(pod, status=evolve(pod.status, phase="Running", conditions=conditions))


def status_of(obj: Pod | Node | Any, kind: str) -> str:
    """Status of a condition; "" if there is none."""
    found = find_condition(obj.status.conditions, kind)
    return found.status if found is not None else ""


def claim_named(cluster: Cluster, name: str) -> PersistentVolumeClaim:
    return cluster.get(PersistentVolumeClaim, name)


def taints_of(node: Node) -> list[str]:
    """Taints as kubectl writes them, without the common prefix."""
    return [f"{taint.key.removeprefix('node.kubernetes.io/')}:{taint.effect}" for taint in node.spec.taints]
