"""The pod garbage collector: pods that nobody else will ever remove (WL-131, WL-132, WL-134).

Kubernetes looks at all pods every 20 s. Here a pass takes place only while there is something to remove; all passes lie
on one 20 s grid.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import Condition, Node, Pod, set_condition
from simulator.api.meta import Key, evolve
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.taints import OUT_OF_SERVICE
from simulator.flows import DONE, Delete, Enqueue, Flow, Get, Intent, Patch, Poll, Refused, Remember, Sleep, Tell, Told
from simulator.latency import Latency, constant, uniform
from simulator.units import SECOND, Micros

PERIOD: Final[Micros] = 20 * SECOND
LATE: Final[Micros] = SECOND  # a pass that a busy machine begins so much later is still the one of the grid
QUARANTINE: Final[Micros] = 40 * SECOND
THRESHOLD: Final = 12500
TARGET: Final = Condition(
    type="DisruptionTarget", status="True", reason="DeletionByPodGC", message="PodGC: node no longer exists"
)

LATENCIES: Final[Mapping[str, Latency]] = {"pod-gc-phase": constant(PERIOD // 2)}
RANGES: Final[Mapping[str, Latency]] = {"pod-gc-phase": uniform(0, PERIOD)}

PASS: Final = Key("PodGC", "", "pass")


class GridBegins(Struct, frozen=True):
    """Passes lie on a grid that begins now."""


class Quarantined(Struct, frozen=True):
    """These node names have pods but no node; the others that were in quarantine leave it."""

    nodes: tuple[str, ...]


class Counted(Struct, frozen=True):
    """A pod has ended, or one that had is gone."""

    difference: int


class Memory:
    """What the controller remembers.

    Attributes
    ----------
    grid : a moment of the 20 s grid; None before the first pass.
    quarantine : name of a missing node → when a pass first missed it.
    ended : number of pods in phase Succeeded or Failed.
    """

    __slots__ = ("ended", "grid", "quarantine")

    grid: Micros | None
    quarantine: dict[str, Micros]
    ended: int

    def __init__(self) -> None:
        self.grid, self.quarantine, self.ended = None, {}, 0

    def copy(self) -> Memory:
        """A copy."""
        twin = Memory()
        twin.grid, twin.quarantine, twin.ended = self.grid, dict(self.quarantine), self.ended
        return twin


class PodGC:
    """The pod garbage collector.

    Parameters
    ----------
    threshold : how many ended pods may stay.
    """

    name = "pod-garbage-collector"
    queues: Mapping[str, int] = {"passes": 1, "grid": 1}
    watches = frozenset({"Node", "Pod"})
    periodics: Sequence[Periodic] = ()

    def __init__(self, threshold: int = THRESHOLD) -> None:
        self.threshold = threshold

    def new_memory(self) -> Memory:
        """Nothing is in quarantine."""
        return Memory()

    def check(self, poll: Poll, view: View) -> Any:
        """The controller polls nothing."""
        return None

    def remember(self, memory: Memory, what: Any, now: Micros) -> None:
        """Change as asked."""
        match what:
            case GridBegins():
                memory.grid = now
            case Quarantined():
                memory.quarantine = {node: memory.quarantine.get(node, now) for node in what.nodes}
            case Counted():
                memory.ended += what.difference

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Ask for a pass if the change leaves something to remove."""
        memory: Memory = view.memory
        new, old = change.new, change.old
        if change.key.kind == "Node":
            if new is None:
                return _look(memory, view.now) if view.by("pods-by-node", change.key.name) else ()
            return _look(memory, view.now) if isinstance(new, Node) and _is_given_up(new) else ()
        is_ended = isinstance(new, Pod) and new.is_finished
        was_ended = isinstance(old, Pod) and old.is_finished
        told: list[Told] = []
        if is_ended != was_ended:
            told.append(Remember(Counted(1 if is_ended else -1)))
            if is_ended and memory.ended + 1 > self.threshold:
                told.extend(_look(memory, view.now))
        if isinstance(new, Pod) and _may_be_orphan(new, old) and _is_due(new, view):
            told.extend(_look(memory, view.now))
        return told

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """A pass over all pods."""
        memory: Memory = view.memory
        now = view.now
        if queue == "grid":
            if memory.grid is None:
                yield Sleep("pod-gc-phase")
                yield Tell(Remember(GridBegins()))
            yield Tell(Enqueue("passes", PASS))
            return DONE
        if memory.grid is None:
            yield Tell(Enqueue("grid", PASS))
            return DONE
        if (now - memory.grid) % PERIOD > LATE:
            yield Tell(Enqueue("passes", PASS, (memory.grid - now) % PERIOD))
            return DONE
        pods = view.list(Pod)
        nodes = {node.metadata.name: node for node in view.list(Node)}
        ended = sorted((pod for pod in pods if pod.is_finished), key=_removal_order)
        missed = yield from _remove_all(ended[:max(0, len(ended) - self.threshold)], now)
        leaving = [pod for pod in pods if pod.metadata.is_terminating]
        stuck = [pod for pod in leaving if pod.spec.node_name in nodes and _is_given_up(nodes[pod.spec.node_name])]
        missed |= yield from _remove_all(sorted(stuck, key=_removal_order), now)  # WL-131
        orphans = [pod for pod in pods if pod.spec.node_name and pod.spec.node_name not in nodes]
        missing = dict.fromkeys(pod.spec.node_name for pod in orphans)
        kept = []
        for name in missing:
            since = memory.quarantine.get(name)
            if since is None or now - since <= QUARANTINE or (yield Get(Key("Node", "", name))) is not None:
                kept.append(name)  # WL-132
            elif (yield from _remove_all([pod for pod in orphans if pod.spec.node_name == name], now, TARGET)):
                kept.append(name)
        missed |= yield from _remove_all([pod for pod in leaving if not pod.spec.node_name], now)  # WL-134
        yield Tell(Remember(Quarantined(tuple(kept))))
        if kept or missed:
            yield Tell(Enqueue("passes", PASS, PERIOD))
        return DONE


def _look(memory: Memory, now: Micros) -> tuple[Told, ...]:
    if memory.grid is None:
        return (Enqueue("grid", PASS),)
    return (Enqueue("passes", PASS, (memory.grid - now) % PERIOD),)


def _is_given_up(node: Node) -> bool:
    """Whether an admin has said that the node will not come back (WL-131)."""
    if not any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints):
        return False
    ready = node.condition("Ready")
    return ready is None or ready.status != "True"


def _may_be_orphan(new: Pod, old: Any) -> bool:
    """Whether the change can have made the pod one to remove."""
    if not isinstance(old, Pod):
        return bool(new.spec.node_name) or new.metadata.is_terminating
    return old.spec.node_name != new.spec.node_name or old.metadata.is_terminating != new.metadata.is_terminating


def _is_due(pod: Pod, view: View) -> bool:
    if not pod.spec.node_name:
        return pod.metadata.is_terminating
    node = view.get(Node, pod.spec.node_name)
    return node is None or (pod.metadata.is_terminating and _is_given_up(node))


def _removal_order(pod: Pod) -> tuple[Any, ...]:
    """Evicted ones first, then the oldest."""
    return (pod.status.reason != "Evicted", pod.metadata.creation_timestamp or 0, pod.metadata.name)


def failed(pod: Pod, now: Micros, target: Condition | None) -> Pod:
    """The pod in phase Failed, with the condition that says why, if there is one."""
    if pod.is_finished:
        return pod
    conditions = pod.status.conditions
    if target is not None:
        conditions = set_condition(conditions, target, now)
    return evolve(pod, status=evolve(pod.status, phase="Failed", conditions=conditions))


def _remove_all(
    pods: Iterable[Pod], now: Micros, target: Condition | None = None
) -> Generator[Intent, Any, bool]:
    """Mark each pod Failed and force its deletion; says whether one was refused and has to be tried again."""
    was_refused = False
    for pod in pods:
        answer: Any = None
        if not pod.is_finished:
            answer = yield Patch(pod.key, failed, (now, target), "status", pod.metadata.uid, "WL-134")
        if not isinstance(answer, Refused):
            answer = yield Delete(pod.key, grace=0, rule="WL-132")
        was_refused |= isinstance(answer, Refused) and answer.reason != "NotFound"
    return was_refused
