"""kube-scheduler as a component: what the watch tells it, its flows, and what it remembers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service
from simulator.api.meta import Key
from simulator.api.policy import PodDisruptionBudget
from simulator.api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass
from simulator.cluster.component import Change, Periodic, View
from simulator.errors import InvariantViolated
from simulator.flows import DONE, Flow, Poll, Remember, Tell, Told
from simulator.scheduler import events
from simulator.scheduler.binding import BINDING, FAILED, bind, check_claims, give_up
from simulator.scheduler.cycle import Cycle, schedule_one
from simulator.scheduler.decision import Decide, Profile, decide
from simulator.scheduler.events import ADD, ASSIGNED_POD, DELETE, NODE, ClusterEvent
from simulator.scheduler.eviction import EVICTION, evict
from simulator.scheduler.failure import CYCLE, DEFAULT_SCHEDULER, scheduler_of, wake
from simulator.scheduler.memory import (
    AssignedPodGone,
    AssignedPodShown,
    AssumedPodGone,
    Happened,
    LeftoversFlushed,
    Memory,
    NodeGone,
    NodeShown,
    PendingPodGone,
    PendingPodShown,
    Superseded,
    VictimGoing,
)
from simulator.scheduler.plugins import DEFAULT_PROFILE
from simulator.scheduler.records import DEFAULT_BACKOFF, QueueConfig
from simulator.units import SECOND, Micros

FLUSH: Final = "flush"
_ANY: Final = 1_000_000

_STORAGE: Final = frozenset(kind.KIND for kind in (
    PersistentVolume, PersistentVolumeClaim, StorageClass, CSINode, CSIDriver, CSIStorageCapacity,
))
_READ: Final = frozenset(kind.KIND for kind in (Namespace, Service, StatefulSet, PodDisruptionBudget))


class Scheduler(Struct, frozen=True):
    """The default kube-scheduler of Kubernetes 1.36.

    Attributes
    ----------
    profile : its plug-ins.
    scheduler_name : pods that ask for another scheduler are left alone.
    backoff : of refused pods (SC-7).
    bind_timeout : how long a pod waits for its volumes (VB-147).
    percentage : percentageOfNodesToScore, 0 for adaptive (SC-42).
    decide : goes through the nodes.
    """

    name: ClassVar[str] = "scheduler"
    queues: ClassVar[Mapping[str, int]] = {CYCLE: 1, FLUSH: 1, BINDING: _ANY, FAILED: _ANY, EVICTION: _ANY}
    watches: ClassVar[frozenset[str]] = _STORAGE | _READ | {Pod.KIND, Node.KIND}
    periodics: ClassVar[tuple[Periodic, ...]] = (
        Periodic("leftover-flush", 30 * SECOND, 30 * SECOND, FLUSH, Key("Scheduler", "", FLUSH)),  # SC-13
    )

    profile: Profile = DEFAULT_PROFILE
    scheduler_name: str = DEFAULT_SCHEDULER
    backoff: QueueConfig = DEFAULT_BACKOFF
    bind_timeout: Micros = 600 * SECOND
    percentage: int = 0
    decide: Decide = decide

    def new_memory(self) -> Memory:
        """Empty queues and an empty cache."""
        return Memory(self.backoff)

    def remember(self, memory: Memory, what: Any, now: Micros) -> None:
        """Every note knows what it changes."""
        what.apply(memory, now)

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """The flow of a queue."""
        if queue == CYCLE:
            return schedule_one(Cycle(self.profile, self.percentage, self.decide), view)
        if queue == BINDING:
            return bind(view.argument, view, self.bind_timeout)
        if queue == FAILED:
            return give_up(view.argument, view)
        if queue == EVICTION:
            return evict(view.argument, view)
        return _flush(view)

    def check(self, poll: Poll, view: View) -> str | None:
        """Whether the claims of a binding pod are bound."""
        return check_claims(poll.about, view)

    # --- what the watch tells ---------------------------------------------------------------------------------------

    def observe(self, change: Change, view: View) -> Iterator[Told]:
        """Bring cache and queue up to date, and requeue whom it may help.

        Each thing told must be done before the next is asked for: the last ones depend on what the queue then holds.
        """
        memory: Memory = view.memory
        kind = change.key.kind
        if kind == Pod.KIND:
            yield from self._pod(change, memory)
        elif kind == Node.KIND:
            yield from _node(change, memory)
        elif kind in _STORAGE:
            if change.key in memory.assumptions.objects:
                yield Remember(Superseded(change.key))  # VB-118
            for event in events.storage_events(change):
                yield from _happened(event, memory)
        else:
            return
        for tell in wake(memory, view.now):
            yield tell.change

    def _pod(self, change: Change, memory: Memory) -> Iterator[Told]:
        """A pod's change; one that has finished looks as if it were gone (SC-25)."""
        old, new = _living(change.old), _living(change.new)
        if memory.queue.preempting and (new is None or new.metadata.is_terminating):
            for preemptor, victim in list(memory.queue.preempting.items()):
                if victim == change.key:
                    yield Remember(VictimGoing(preemptor))
        if new is not None and new.spec.node_name:
            yield Remember(AssignedPodShown(new))
            if old is not None and old.spec.node_name:
                for event in events.pod_updates(old, new):
                    yield from _happened(event, memory)
                return
            yield from _happened(ClusterEvent(ASSIGNED_POD, ADD, None, new), memory)
            if old is not None and self._is_mine(old):
                yield Remember(PendingPodGone(old))
        elif old is not None and old.spec.node_name:
            yield Remember(AssignedPodGone(old))
            yield from _happened(ClusterEvent(ASSIGNED_POD, DELETE, old), memory)
        elif new is not None and self._is_mine(new):
            yield from _pending(old, new, memory)
        elif old is not None and self._is_mine(old):
            yield Remember(PendingPodGone(old))
            if memory.cache.is_assumed(old):
                yield Remember(AssumedPodGone(old))  # SC-24
            elif old.status.nominated_node_name:
                yield from _nomination_gone(old, memory)  # SC-23

    def _is_mine(self, pod: Pod) -> bool:
        return scheduler_of(pod) == self.scheduler_name


def _living(pod: Any) -> Pod | None:
    if pod is None or isinstance(pod, Pod):
        return pod if pod is not None and not pod.is_finished else None
    raise InvariantViolated(f"{pod!r} is not a pod")


def _pending(old: Pod | None, new: Pod, memory: Memory) -> Iterator[Told]:
    """A pod without a node is new, or has changed."""
    if old is None:
        yield Remember(PendingPodShown(None, new))
        return
    if memory.cache.is_assumed(new):  # SC-18
        if new.metadata.is_terminating and not old.metadata.is_terminating:
            yield Remember(AssumedPodGone(new))  # SC-24
        return
    yield Remember(PendingPodShown(old, new))
    if old.status.nominated_node_name and old.status.nominated_node_name != new.status.nominated_node_name:
        yield from _nomination_gone(old, memory)


def _nomination_gone(pod: Pod, memory: Memory) -> Iterator[Told]:
    """Pods that respected a nomination may be helped (SC-23)."""
    event = ClusterEvent(ASSIGNED_POD, DELETE, pod, None, priority_at_most=pod.spec.priority or 0)
    yield from _happened(event, memory)


def _node(change: Change, memory: Memory) -> Iterator[Told]:
    old, new = change.old, change.new
    if new is None:
        yield from _happened(ClusterEvent(NODE, DELETE, old), memory)
        yield Remember(NodeGone(change.key.name))
        return
    assert isinstance(new, Node)
    yield Remember(NodeShown(new))
    if old is None:
        yield from _happened(ClusterEvent(NODE, ADD, None, new), memory)
        return
    assert isinstance(old, Node)
    for event in events.node_updates(old, new):
        yield from _happened(event, memory)


def _happened(event: ClusterEvent, memory: Memory) -> Iterator[Told]:
    """Nobody waits and nobody is in flight: then nobody needs to hear."""
    if memory.queue.unschedulable or memory.queue.in_flight:
        yield Remember(Happened(event))


def _flush(view: View) -> Flow:
    """Try pods again that no event has helped for five minutes (SC-13)."""
    memory: Memory = view.memory
    if memory.queue.leftovers(view.now):
        yield Tell(Remember(LeftoversFlushed()))
        yield from wake(memory, view.now)
    return DONE
