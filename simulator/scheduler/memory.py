"""All that the scheduler remembers, and every way in which it changes: small frozen notes that apply themselves."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from simulator.api.core import Node, Pod
from simulator.api.meta import Key
from simulator.errors import InvariantViolated
from simulator.scheduler.assumptions import Assumable, Assumptions
from simulator.scheduler.cache import SchedulerCache
from simulator.scheduler.events import ASSIGNED_POD, DELETE, ClusterEvent
from simulator.scheduler.queue import SchedulingQueue
from simulator.scheduler.records import DEFAULT_BACKOFF, QueueConfig, QueuedPod
from simulator.units import Micros


class Memory:
    """The scheduler's own state; a restart loses it (VB-121).

    Attributes
    ----------
    queue, cache, assumptions : pods that wait, nodes and pods that count, volumes and claims that are assumed.
    start : where the next search through the nodes starts (SC-44).
    prebinding : by uid, pods whose volumes are being bound; True once a preemptor has cancelled that (SC-113).
    """

    __slots__ = ("assumptions", "cache", "prebinding", "queue", "start")

    def __init__(self, config: QueueConfig = DEFAULT_BACKOFF) -> None:
        self.queue = SchedulingQueue(config)
        self.cache = SchedulerCache()
        self.assumptions = Assumptions()
        self.start = 0
        self.prebinding: dict[str, bool] = {}

    def copy(self) -> Memory:
        """The same memory, free to go its own way; everything frozen is shared."""
        twin = Memory(self.queue.config)
        twin.queue = self.queue.copy()
        twin.cache = self.cache.copy()
        twin.assumptions = self.assumptions.copy()
        twin.start = self.start
        twin.prebinding = dict(self.prebinding)
        return twin


# --- what the watch shows -------------------------------------------------------------------------------------------


class NodeShown(Struct, frozen=True):
    """A node is new or has changed."""

    node: Node

    def apply(self, memory: Memory, now: Micros) -> None:
        """Into the cache."""
        memory.cache.set_node(self.node)


class NodeGone(Struct, frozen=True):
    """A node is gone."""

    name: str

    def apply(self, memory: Memory, now: Micros) -> None:
        """Out of the cache."""
        memory.cache.remove_node(self.name)


class AssignedPodShown(Struct, frozen=True):
    """A pod on a node is new, has changed, or is one that was assumed."""

    pod: Pod

    def apply(self, memory: Memory, now: Micros) -> None:
        """Into the cache."""
        memory.cache.set_pod(self.pod)


class AssignedPodGone(Struct, frozen=True):
    """A pod on a node is gone or finished."""

    pod: Pod

    def apply(self, memory: Memory, now: Micros) -> None:
        """Out of the cache."""
        memory.cache.remove_pod(self.pod)


class PendingPodShown(Struct, frozen=True):
    """A pod without a node is new, or has changed."""

    old: Pod | None
    new: Pod

    def apply(self, memory: Memory, now: Micros) -> None:
        """Into the queue (SC-18, SC-20)."""
        if self.old is None:
            memory.queue.add(self.new, now)
        else:
            memory.queue.update(self.old, self.new, now)


class PendingPodGone(Struct, frozen=True):
    """A pod without a node is gone, or has got one."""

    pod: Pod

    def apply(self, memory: Memory, now: Micros) -> None:
        """Out of the queue (SC-23)."""
        memory.queue.delete(self.pod)


class VictimGoing(Struct, frozen=True):
    """The last victim of a preemptor is seen to go: the preemptor may be tried again (SC-112)."""

    preemptor: str

    def apply(self, memory: Memory, now: Micros) -> None:
        """The gate opens; the pod moves with the next event that concerns it."""
        memory.queue.preempting.pop(self.preemptor, None)


class Superseded(Struct, frozen=True):
    """The watch shows another version of a volume or claim that was assumed (VB-118)."""

    key: Key

    def apply(self, memory: Memory, now: Micros) -> None:
        """The assumption is void."""
        memory.assumptions.supersede(self.key)


class Happened(Struct, frozen=True):
    """An event that may help waiting pods (SC-14)."""

    event: ClusterEvent

    def apply(self, memory: Memory, now: Micros) -> None:
        """Requeue the pods that it may help."""
        memory.queue.move(self.event, now)


class LeftoversFlushed(Struct, frozen=True):
    """The half-minute timer has fired (SC-13)."""

    def apply(self, memory: Memory, now: Micros) -> None:
        """Try old pods again."""
        memory.queue.flush_leftovers(now)


# --- what a scheduling cycle does -----------------------------------------------------------------------------------


class Popped(Struct, frozen=True):
    """A pod is being scheduled (SC-6)."""

    key: Key

    def apply(self, memory: Memory, now: Micros) -> None:
        """Out of the queue, in flight."""
        record = memory.queue.pop(now)
        if record is None or record.key != self.key:
            raise InvariantViolated(f"{self.key} was the head of the queue, but {record} was popped")


class Preferred(Struct, frozen=True):
    """Of the pods that came at one moment, this one came first (SC/ND-7)."""

    key: Key

    def apply(self, memory: Memory, now: Micros) -> None:
        """To the head of the queue."""
        memory.queue.prefer(self.key)


class Landed(Struct, frozen=True):
    """A pod is not in flight any more (SC-15)."""

    uid: str

    def apply(self, memory: Memory, now: Micros) -> None:
        """Its marker goes, and the events that only it had to see."""
        memory.queue.done(self.uid)


class Searched(Struct, frozen=True):
    """The nodes have been searched; the next search starts elsewhere (SC-44)."""

    start: int

    def apply(self, memory: Memory, now: Micros) -> None:
        """Remember where."""
        memory.start = self.start


class Assumed(Struct, frozen=True):
    """A node has been chosen for a pod, and volumes and claims are taken to be as they are about to be written (SC-98).

    Attributes
    ----------
    pod : with the node as its ``nodeName``.
    """

    pod: Pod
    objects: tuple[Assumable, ...] = ()

    def apply(self, memory: Memory, now: Micros) -> None:
        """The pod counts on the node, its nomination is over, and others see the volumes as taken."""
        memory.cache.assume(self.pod)
        memory.queue.nominator.remove(self.pod)
        for obj in self.objects:
            memory.assumptions.assume(obj)


class Failed(Struct, frozen=True):
    """A pod goes back to wait (SC-107).

    Attributes
    ----------
    uid : of the pod that was tried.
    pod : as the watch shows it now.
    nominated : None leaves the nomination as it is, "" clears it, a name sets it (SC-108).
    record : of a pod that is not in flight any more.
    """

    uid: str
    pod: Pod
    rejectors: frozenset[str]
    nominated: str | None = None
    record: QueuedPod | None = None

    def apply(self, memory: Memory, now: Micros) -> None:
        """Into the back-off queue or the unschedulable ones (SC-12)."""
        memory.queue.fail(self.uid, self.pod, self.rejectors, now, self.record)
        memory.queue.nominator.add(self.pod, self.nominated)


# --- what a binding cycle does --------------------------------------------------------------------------------------


class PreBinding(Struct, frozen=True):
    """The volumes of a pod are being bound; until that is over, a preemptor can stop it in memory (SC-113)."""

    uid: str
    is_over: bool = False

    def apply(self, memory: Memory, now: Micros) -> None:
        """Enter the pod, or strike it out."""
        if self.is_over:
            memory.prebinding.pop(self.uid, None)
        else:
            memory.prebinding[self.uid] = False


class Unreserved(Struct, frozen=True):
    """A binding has failed: nothing is assumed of the pod any more (SC-106, VB-144).

    Attributes
    ----------
    pod : as it was assumed.
    objects : as they were assumed, or as they are stored where they have been written already; those stand (VB-119).
    """

    pod: Pod
    objects: tuple[Assumable, ...] = ()

    def apply(self, memory: Memory, now: Micros) -> None:
        """Take everything back, and tell the waiting pods that there is room."""
        memory.prebinding.pop(self.pod.metadata.uid, None)
        for obj in self.objects:
            memory.assumptions.restore(obj)  # VB-157: nobody hears of it
        if memory.cache.forget(self.pod):
            memory.queue.move(ClusterEvent(ASSIGNED_POD, DELETE, self.pod), now)


class AssumedPodGone(Struct, frozen=True):
    """A pod is being deleted, or gone, while it is being bound (SC-24)."""

    pod: Pod

    def apply(self, memory: Memory, now: Micros) -> None:
        """It stops counting at once; its binding goes on and fails by itself."""
        assumed = memory.cache.pods.get(self.pod.key)
        if assumed is not None and memory.cache.forget(assumed):
            memory.queue.move(ClusterEvent(ASSIGNED_POD, DELETE, assumed), now)


# --- what a preemption does -----------------------------------------------------------------------------------------


class Preempting(Struct, frozen=True):
    """The victims of a pod are being evicted; it is not tried again before the last one goes (SC-112).

    Attributes
    ----------
    last : the last victim, once it is its turn.
    """

    uid: str
    last: Key | None = None

    def apply(self, memory: Memory, now: Micros) -> None:
        """The preemptor is gated, unless the last victim is seen to go already."""
        if self.last is not None:
            if self.uid not in memory.queue.preempting:
                return
            victim = memory.cache.pods.get(self.last)
            if victim is None or victim.metadata.is_terminating:
                del memory.queue.preempting[self.uid]
                return
        memory.queue.preempting[self.uid] = self.last


class Preempted(Struct, frozen=True):
    """All victims have been told to go, or it has failed (SC-112).

    Attributes
    ----------
    failed : the preemptor, if an API call went wrong: it is tried again at once (SC-19).
    """

    uid: str
    failed: Pod | None = None

    def apply(self, memory: Memory, now: Micros) -> None:
        """The gate opens."""
        memory.queue.preempting.pop(self.uid, None)
        if self.failed is not None:
            memory.queue.activate(self.failed)


class Cancelled(Struct, frozen=True):
    """A preemptor stops a pod whose volumes are being bound (SC-113)."""

    uid: str

    def apply(self, memory: Memory, now: Micros) -> None:
        """Its wait notices at its next look."""
        if self.uid in memory.prebinding:
            memory.prebinding[self.uid] = True


class Note(Protocol):
    """Everything that `Remember` says to the scheduler."""

    def apply(self, memory: Memory, now: Micros) -> None:
        """Change the memory."""
