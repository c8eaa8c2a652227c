"""A node as its kubelet sees it: registered, stopped and started, short of disk (WL-114, WL-129, WL-161 to WL-166)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from simulator.api.core import Condition, Node, Pod, set_condition
from simulator.api.meta import Key, ObjectMeta, evolve
from simulator.api.policy import Lease, LeaseSpec
from simulator.cluster.component import View
from simulator.controllers.kubelet.admission import is_critical
from simulator.controllers.kubelet.config import LEASE_RENEWAL, PRESSURE_HOLD, Behaviour, KubeletConfig
from simulator.controllers.kubelet.disks import available, bytes_text, capacity_of, evict, scratch_used
from simulator.controllers.kubelet.memory import (
    ALIVE,
    Behaves,
    KubeletMemory,
    NodeChanged,
    NodeWork,
    Returned,
)
from simulator.controllers.kubelet.sync import MONITOR, PODS, SOURCE
from simulator.flows import (
    DONE,
    Choose,
    Create,
    Emit,
    Enqueue,
    Flow,
    Note,
    Patch,
    Refused,
    Remember,
    Retry,
    Sleep,
    Tell,
)
from simulator.scheduler.resources import EPHEMERAL_STORAGE, pod_requests
from simulator.units import Micros

NODES = "nodes"
LEASES = "leases"
LEASE_NAMESPACE = "kube-node-lease"
READY = Condition(type="Ready", status="True", reason="KubeletReady", message="kubelet is posting ready status")
PRESSURES = (
    Condition(type="MemoryPressure", status="False", reason="KubeletHasSufficientMemory",
              message="kubelet has sufficient memory available"),
    Condition(type="DiskPressure", status="False", reason="KubeletHasNoDiskPressure",
              message="kubelet has no disk pressure"),
    Condition(type="PIDPressure", status="False", reason="KubeletHasSufficientPID",
              message="kubelet has sufficient PID available"),
)
DISK_PRESSURE = Condition(type="DiskPressure", status="True", reason="KubeletHasDiskPressure",
                          message="kubelet has disk pressure")


class StopNode(Struct, frozen=True):
    """The kubelet falls silent; with `is_dead` the whole machine does, and the programs on it stop."""

    node: str
    is_dead: bool = True


class StartNode(Struct, frozen=True):
    """The kubelet speaks again; with `is_rebooted` all containers of the node have to be started anew."""

    node: str
    is_rebooted: bool = False


class BreakNode(Struct, frozen=True):
    """The kubelet lives and says that its node is not ready."""

    node: str
    message: str = "container runtime is down"


class MendNode(Struct, frozen=True):
    """The node is ready again."""

    node: str


class Behave(Struct, frozen=True):
    """Pods behave so from now on, and so do their successors of the same name."""

    pods: tuple[Key, ...]
    behaviour: Behaviour


# --- edits ----------------------------------------------------------------------------------------------------------


def conditions_posted(node: Node, now: Micros, conditions: tuple[Condition, ...]) -> Node:
    """The node with some conditions as its kubelet posts them."""
    posted = node.status.conditions
    for condition in conditions:
        posted = set_condition(posted, evolve(condition, last_heartbeat_time=now), now)
    return evolve(node, status=evolve(node.status, conditions=posted))


def lease_posted(lease: Lease, renew_time: Micros | None) -> Lease:
    """The lease with another time of renewal."""
    return evolve(lease, spec=evolve(lease.spec, renew_time=renew_time))


# --- leases ---------------------------------------------------------------------------------------------------------


def sync_lease(key: Key, view: View) -> Flow:
    """The node's lease, written only when its renewal stops or starts again.

    A lease without ``renewTime`` is renewed every 10 s, as is that of a node without one; a lease with it has not been
    renewed since. So healthy nodes cost nothing.
    """
    node = key.name
    lease = view.get(key)
    silent_since = None
    if view.memory.node(node).stopped_at is not None:
        silent_since = view.now - LEASE_RENEWAL
    if isinstance(lease, Lease):
        if (lease.spec.renew_time is None) == (silent_since is None):
            return DONE
        answer = yield Patch(key, lease_posted, (silent_since,), rule="WL-114")
    elif silent_since is not None:
        spec = LeaseSpec(holder_identity=node, lease_duration_seconds=40, renew_time=silent_since)
        meta = ObjectMeta(name=node, namespace=LEASE_NAMESPACE)
        answer = yield Create(Lease(metadata=meta, spec=spec), "WL-114")
    else:
        return DONE
    return Retry(str(answer)) if isinstance(answer, Refused) else DONE


def await_renewal(key: Key) -> Flow:
    """Sleep until the renewal that a stopped kubelet would have made next, and does not."""
    yield Sleep("lease-renewal")
    yield Tell(Enqueue(LEASES, key))
    return DONE


def lease_key(node: str) -> Key:
    """Where a node's lease is."""
    return Key("Lease", LEASE_NAMESPACE, node)


# --- what scenarios do to nodes and pods ----------------------------------------------------------------------------


def stop_node(what: StopNode, view: View) -> Flow:
    """Silence a kubelet."""
    yield Tell(Note("node-stopped", Key("Node", "", what.node), {"machine": what.is_dead}))
    yield Tell(Remember(NodeChanged(what.node, {"stopped_at": True, "is_dead": what.is_dead})))
    yield Tell(Enqueue("renewals", lease_key(what.node)))
    return DONE


def start_node(config: KubeletConfig, what: StartNode, view: View) -> Flow:
    """Bring a kubelet back: its node is Ready, leftovers are killed, statuses are sent again (WL-129, WL-130)."""
    memory: KubeletMemory = view.memory
    key = Key("Node", "", what.node)
    node = view.get(Node, what.node)
    pods = [pod.key for pod in view.by("pods-by-node", what.node)]
    stale = [left.key for left in memory.leftovers.values() if left.node == what.node]
    detail = {"rebooted": what.is_rebooted, "killed": [str(one) for one in stale]}
    yield Tell(Note("node-started", key, detail))
    yield Tell(Remember(Returned(what.node, what.is_rebooted)))
    yield Tell(Enqueue(LEASES, lease_key(what.node)))
    for pod in pods:
        is_late = not what.is_rebooted and not _is_urgent(view, pod)
        yield Tell(Enqueue(PODS, pod, config.reconcile_after if is_late else 0))
    yield Tell(Enqueue(MONITOR, key))
    if node is None:
        lost = memory.lost.get(what.node)
        return (yield from _register(lost)) if lost is not None else DONE
    pressure = (DISK_PRESSURE,) if memory.node(what.node).under_pressure else ()
    posted = (*PRESSURES, *pressure, READY)
    answer = yield Patch(key, conditions_posted, (view.now, posted), "status", rule="WL-129")
    if isinstance(answer, Refused):
        return Retry(str(answer))
    if config.reports:
        yield Tell(Emit(key, "Normal", "Starting", "Starting kubelet.", SOURCE))
        if what.is_rebooted:
            text = f"Node {what.node} has been rebooted, boot id: {node.metadata.uid}"
            yield Tell(Emit(key, "Warning", "Rebooted", text, SOURCE))
        yield Tell(Emit(key, "Normal", "NodeReady", f"Node {what.node} status is now: NodeReady", SOURCE))
    return DONE


def _register(lost: Node) -> Flow:
    """A kubelet registers its node once in its life, when it starts: with its labels, but not its taints (WL-133)."""
    meta = ObjectMeta(name=lost.metadata.name, labels=lost.metadata.labels)
    answer = yield Create(Node(metadata=meta, status=evolve(lost.status, conditions=())), "WL-133")
    return Retry(str(answer)) if isinstance(answer, Refused) and answer.reason != "AlreadyExists" else DONE


def _is_urgent(view: View, key: Key) -> bool:
    """Whether a returning kubelet acts on a pod at once: one to stop, or one that it has never seen."""
    memory: KubeletMemory = view.memory
    pod = view.get(key)
    return key not in memory.pods or (isinstance(pod, Pod) and pod.metadata.is_terminating)


def set_runtime(config: KubeletConfig, node: str, broken: str, view: View) -> Flow:
    """A live kubelet says that its node is not ready, or ready again (WL-117)."""
    key = Key("Node", "", node)
    yield Tell(Remember(NodeChanged(node, {"broken": broken})))
    not_ready = Condition(type="Ready", status="False", reason="KubeletNotReady", message=broken)
    answer = yield Patch(key, conditions_posted, (view.now, (not_ready if broken else READY,)), "status", rule="WL-117")
    if isinstance(answer, Refused):
        return Retry(str(answer))
    if config.reports:
        reason = "NodeNotReady" if broken else "NodeReady"
        yield Tell(Emit(key, "Normal", reason, f"Node {node} status is now: {reason}", SOURCE))
    for pod, where in list(view.memory.waiting.items()):
        if where == node:
            yield Tell(Enqueue(PODS, pod))
    return DONE


def behave(what: Behave, view: View) -> Flow:
    """Change how pods behave."""
    yield Tell(Remember(Behaves(what.pods, what.behaviour)))
    for pod in what.pods:
        yield Tell(Enqueue(PODS, pod))
    return DONE


# --- the node's status and its disk ---------------------------------------------------------------------------------


def sync_node(config: KubeletConfig, key: Key, view: View) -> Flow:
    """Register the node, or look how full its disk is."""
    memory: KubeletMemory = view.memory
    node = view.get(Node, key.name)
    work = memory.node(key.name)
    if node is None or work.stopped_at is not None:
        return DONE
    if node.condition("Ready") is None:
        yield Sleep("node-register")
        answer = yield Patch(key, conditions_posted, (view.now, (*PRESSURES, READY)), "status", rule="WL-115")
        return Retry(str(answer)) if isinstance(answer, Refused) else DONE
    free, capacity = available(config, node, view), capacity_of(config, node)
    if free * 100 < capacity * config.threshold_percent:
        return (yield from _relieve(config, node, work, free, view))
    if not work.under_pressure:
        return DONE
    if work.eased_at is None:
        yield Tell(Remember(NodeChanged(key.name, {"eased_at": view.now})))
        yield Tell(Enqueue(NODES, key, PRESSURE_HOLD))
        return DONE
    clears = work.eased_at + PRESSURE_HOLD
    if view.now < clears:
        yield Tell(Enqueue(NODES, key, clears - view.now))
        return DONE
    answer = yield Patch(key, conditions_posted, (view.now, PRESSURES[1:2]), "status", rule="WL-166")
    if isinstance(answer, Refused):
        return Retry(str(answer))
    yield Tell(Remember(NodeChanged(key.name, {"under_pressure": False, "eased_at": None})))
    if config.reports:
        text = f"Node {key.name} status is now: NodeHasNoDiskPressure"
        yield Tell(Emit(key, "Normal", "NodeHasNoDiskPressure", text, SOURCE))
    return DONE


def _relieve(config: KubeletConfig, node: Node, work: NodeWork, free: int, view: View) -> Flow:
    """The disk is too full: say so, remove unused images, else end one pod (WL-163)."""
    key, name = node.key, node.metadata.name
    capacity = capacity_of(config, node)
    victims = _victims(node, view)
    if not work.under_pressure:
        answer = yield Patch(key, conditions_posted, (view.now, (DISK_PRESSURE,)), "status", rule="WL-163")
        if isinstance(answer, Refused):
            return Retry(str(answer))
        if config.reports:
            text = f"Node {name} status is now: NodeHasDiskPressure"
            yield Tell(Emit(key, "Normal", "NodeHasDiskPressure", text, SOURCE))
            yield Tell(Emit(key, "Warning", "EvictionThresholdMet", "Attempting to reclaim ephemeral-storage", SOURCE))
    yield Tell(Remember(NodeChanged(name, {"under_pressure": True, "eased_at": None, "is_reclaimed": True})))
    if config.reclaimable and not work.is_reclaimed:
        yield Tell(Enqueue(MONITOR, key))
        return DONE
    if not victims:
        return DONE
    chosen = yield Choose("eviction", key, tuple(pod.key for pod in victims))
    victim = next(pod for pod in victims if pod.key == chosen)
    message = _message(config, victim, free, capacity, view)
    yield from evict(victim, message)
    return DONE


def _victims(node: Node, view: View) -> list[Pod]:
    """The pods that go first, equals together (WL-164); none while an evicted pod is still being cleaned up."""
    memory: KubeletMemory = view.memory
    candidates: list[tuple[tuple[Any, ...], Pod]] = []
    for pod in view.by("pods-by-node", node.metadata.name):
        work = memory.pods.get(pod.key)
        if work is None or work.uid != pod.metadata.uid or work.stage not in ALIVE:
            continue
        if work.evicted:
            return []
        if is_critical(pod):
            continue
        usage = scratch_used(memory, pod)
        requested = pod_requests(pod).get(EPHEMERAL_STORAGE, 0)
        rank = (usage <= requested, pod.spec.priority or 0, requested - usage)
        candidates.append((rank, pod))
    if not candidates:
        return []
    first = min(rank for rank, _ in candidates)
    return [pod for rank, pod in candidates if rank == first]


def _message(config: KubeletConfig, pod: Pod, free: int, capacity: int, view: View) -> str:
    threshold = capacity * config.threshold_percent // 100
    message = (f"The node was low on resource: {EPHEMERAL_STORAGE}. Threshold quantity: {threshold}, "
               f"available: {bytes_text(max(0, free))}. ")
    layers = view.memory.scratch.get(pod.metadata.uid, {}).get("", {})
    usage = sum(datum.size for datum in layers.values())
    if pod.spec.containers and usage:
        container = pod.spec.containers[0]
        stated = container.resources.requests.get(EPHEMERAL_STORAGE)
        if usage > (stated.value if stated is not None else 0):
            request = stated.text if stated is not None else "0"
            message += (f"Container {container.name} was using {bytes_text(usage)}, request is {request}, "
                        f"has larger consumption of {EPHEMERAL_STORAGE}. ")
    return message


def await_monitor(key: Key) -> Flow:
    """Sleep until the eviction manager looks next."""
    yield Sleep("eviction-monitor")
    yield Tell(Enqueue(NODES, key))
    return DONE
