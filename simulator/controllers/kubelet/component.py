"""The kubelets of all nodes as one component.

It watches pods, nodes, claims and volumes, and keeps each pod's stage in memory. A healthy node costs nothing: no
heartbeat is sent, and a waiting pod is woken by what it waits for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from simulator.api.core import Node, PersistentVolume, Pod
from simulator.api.meta import Key
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.kubelet import disks, nodes
from simulator.controllers.kubelet.config import KubeletConfig
from simulator.controllers.kubelet.disks import ReadData, WipeData, WriteData, disks_of
from simulator.controllers.kubelet.memory import (
    ENDED,
    FAILED,
    RUNNING,
    STOPPED,
    Deregistered,
    Gone,
    KubeletMemory,
    NodeChanged,
    PodWork,
    Wiped,
)
from simulator.controllers.kubelet.nodes import LEASES, NODES, Behave, BreakNode, MendNode, StartNode, StopNode
from simulator.controllers.kubelet.pods import sync_pod
from simulator.controllers.kubelet.sync import MONITOR, PODS, SOURCE
from simulator.errors import InvariantViolated
from simulator.flows import Emit, Enqueue, Flow, Note, Poll, Remember, Told

NO_LIMIT: Final = 10_000
ACTIONS: Final = "actions"


class Kubelet:
    """All kubelets.

    A scenario acts on nodes and pods by spawning a flow of queue ``actions`` with one of `StopNode`, `StartNode`,
    `BreakNode`, `MendNode`, `Behave`, `WriteData`, `ReadData`, `WipeData` as argument.

    Parameters
    ----------
    config : what all kubelets have in common.
    """

    name = "kubelet"
    queues: Mapping[str, int] = {
        PODS: NO_LIMIT, NODES: NO_LIMIT, MONITOR: NO_LIMIT, LEASES: NO_LIMIT, "renewals": NO_LIMIT, ACTIONS: NO_LIMIT,
    }
    watches = frozenset({"Pod", "Node", "PersistentVolumeClaim", "PersistentVolume", "Lease"})
    periodics: Sequence[Periodic] = ()

    def __init__(self, config: KubeletConfig | None = None) -> None:
        self.config = config if config is not None else KubeletConfig()

    def new_memory(self) -> KubeletMemory:
        """Nothing runs yet."""
        return KubeletMemory()

    def restarted(self, memory: KubeletMemory) -> KubeletMemory:
        """The memory after all kubelets were restarted: containers, disks and dead machines are as before (WL-160)."""
        return memory.copy()

    def remember(self, memory: KubeletMemory, what: Any, now: int) -> None:
        """See `KubeletMemory.remember`."""
        memory.remember(what, now)

    def check(self, poll: Poll, view: View) -> Any:
        """The kubelets poll nothing."""
        return None

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Wake what a change concerns, and nothing else."""
        match change.key.kind:
            case "Pod":
                return self._observe_pod(change, view.memory)
            case "PersistentVolumeClaim":
                return _wake_users(change.key, view) if view.memory.waiting else ()
            case "PersistentVolume":
                return _observe_volume(change, view)
            case "Node":
                return self._observe_node(change, view.memory)
            case _:
                return ()

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """The flow of a queue's key."""
        match queue:
            case "pods":
                return sync_pod(self.config, key, view)
            case "nodes":
                return nodes.sync_node(self.config, key, view)
            case "monitor":
                return nodes.await_monitor(key)
            case "leases":
                return nodes.sync_lease(key, view)
            case "renewals":
                return nodes.await_renewal(key)
            case _:
                return self._act(view.argument, view)

    def read(self, pod: Key, volume: str, name: str, view: View) -> str | None:
        """What a pod would read now from a volume; None if nothing is there."""
        return disks.peek(self.config, ReadData(pod, volume, name), view)

    def _act(self, what: Any, view: View) -> Flow:
        match what:
            case StopNode():
                return nodes.stop_node(what, view)
            case StartNode():
                return nodes.start_node(self.config, what, view)
            case BreakNode():
                return nodes.set_runtime(self.config, what.node, what.message, view)
            case MendNode():
                return nodes.set_runtime(self.config, what.node, "", view)
            case Behave():
                return nodes.behave(what, view)
            case WriteData():
                return disks.write_data(self.config, what, view)
            case ReadData():
                return disks.read_data(self.config, what, view)
            case WipeData():
                return disks.wipe_data(what, view)
            case _:
                raise InvariantViolated(f"the kubelets cannot do {what!r}")

    def _observe_pod(self, change: Change, memory: KubeletMemory) -> Iterable[Told]:
        new = change.new
        work = memory.pods.get(change.key)
        if not isinstance(new, Pod):
            old = change.old
            if work is None or not isinstance(old, Pod) or work.uid != old.metadata.uid:
                return ()
            return _gone(change.key, work, old, memory)
        if not new.spec.node_name:
            return ()
        if work is None:
            return () if new.is_finished else (Enqueue(PODS, change.key),)
        if work.uid != new.metadata.uid or change.old is None:
            return (Enqueue(PODS, change.key),)
        if work.stage in (STOPPED, ENDED, FAILED):
            return ()
        if new.metadata.is_terminating:
            old_meta = change.old.metadata if change.old is not None else None
            is_news = old_meta is None or (
                old_meta.deletion_grace_period_seconds != new.metadata.deletion_grace_period_seconds
                or old_meta.deletion_timestamp != new.metadata.deletion_timestamp
            )
            return (Enqueue(PODS, change.key),) if is_news else ()
        if new.is_finished:
            return (Enqueue(PODS, change.key),)
        if work.stage == RUNNING and (new.spec.readiness_gates or new.is_ready != (work.ready_since is not None)):
            return (Enqueue(PODS, change.key, self.config.reconcile_after),)  # WL-154
        return ()

    def _observe_node(self, change: Change, memory: KubeletMemory) -> Iterable[Told]:
        new, old = change.new, change.old
        if not isinstance(new, Node):
            return (Remember(Deregistered(change.key.name, old)),) if isinstance(old, Node) else ()
        name = new.metadata.name
        told: list[Told] = [Remember(Deregistered(name, None))] if name in memory.lost else []
        ready = new.condition("Ready")
        if ready is None:
            told.append(Enqueue(NODES, change.key))
        if not isinstance(old, Node):
            if (work := memory.nodes.get(name)) is not None:  # the kubelets were restarted
                is_silent = work.stopped_at is not None
                told.append(Enqueue("renewals", nodes.lease_key(name)) if is_silent else Enqueue(MONITOR, change.key))
            elif ready is not None and ready.status == "Unknown":  # as in a dump of a cluster with a dead node
                told.append(Remember(NodeChanged(name, {"stopped_at": True, "is_dead": True})))
            elif ready is not None and ready.status == "False":
                told.append(Remember(NodeChanged(name, {"broken": ready.message or "the node is not ready"})))
            return told
        if memory.waiting and old.metadata.labels != new.metadata.labels:
            told.extend(Enqueue(PODS, pod) for pod, node in memory.waiting.items() if node == name)
        if self.config.reports and old.spec.unschedulable != new.spec.unschedulable:  # WL-137
            reason = "NodeNotSchedulable" if new.spec.unschedulable else "NodeSchedulable"
            told.append(Emit(change.key, "Normal", reason, f"Node {name} status is now: {reason}", SOURCE))
        return told


def _gone(key: Key, work: PodWork, old: Pod, memory: KubeletMemory) -> list[Told]:
    """A pod object is gone: others may mount what it had, and its own space is free."""
    claims = old.claim_names
    told: list[Told] = [Remember(Gone(key, work.uid, claims))]
    node = memory.node(work.node)
    if work.stage not in (STOPPED, ENDED, FAILED) and work.started_at and not node.is_dead:
        told.append(Note("leftover", key, {"node": work.node, "uid": work.uid}, "WL-100"))
    if memory.waiting and claims:
        told.extend(Enqueue(PODS, pod) for pod, where in memory.waiting.items() if where == work.node)
    if node.under_pressure:
        told.append(Enqueue(MONITOR, Key("Node", "", work.node)))
    return told


def _wake_users(claim: Key, view: View) -> list[Told]:
    waiting = view.memory.waiting
    return [
        Enqueue(PODS, pod.key)
        for pod in view.by("pods-by-claim", (claim.namespace, claim.name))
        if pod.key in waiting
    ]


def _observe_volume(change: Change, view: View) -> Iterable[Told]:
    memory: KubeletMemory = view.memory
    if not memory.waiting and not memory.disks:
        return ()
    told: list[Told] = []
    new, old = change.new, change.old
    if new is None and isinstance(old, PersistentVolume) and disks.PROVISIONED_BY in old.metadata.annotations:
        lost = disks_of(old, view)  # what was provisioned goes with its volume; what was made by hand stays
        if lost:
            told.append(Remember(Wiped(lost)))
            told.extend(Enqueue(MONITOR, Key("Node", "", disk.where)) for disk in lost if disk.kind == "dir")
    volume = new if new is not None else old
    if isinstance(volume, PersistentVolume) and volume.spec.claim_ref is not None and memory.waiting:
        reference = volume.spec.claim_ref
        told.extend(_wake_users(Key("PersistentVolumeClaim", reference.namespace, reference.name), view))
    return told
