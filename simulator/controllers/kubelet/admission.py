"""What a kubelet refuses on arrival (WL-150, WL-166)."""

from __future__ import annotations

from typing import NamedTuple

from simulator.api.core import Node, Pod
from simulator.cluster.component import View
from simulator.controllers.kubelet.config import CRITICAL_PRIORITY
from simulator.controllers.kubelet.memory import ENDED, FAILED, KubeletMemory
from simulator.scheduler.plugins.node_affinity import RequiredNodes
from simulator.scheduler.resources import PODS, Amounts, HostPort, allocatable, host_ports, pod_requests


class Rejection(NamedTuple):
    """A reason, as in ``status.reason``, and a message."""

    reason: str
    message: str


def rejection(pod: Pod, node: Node, view: View) -> Rejection | None:
    """Why the kubelet refuses the pod; None if it takes it."""
    memory: KubeletMemory = view.memory
    if memory.node(node.metadata.name).under_pressure and not is_critical(pod):
        return Rejection("Evicted", "The node had condition: [DiskPressure]. ")  # WL-166
    others = [other for other in view.by("pods-by-node", node.metadata.name) if _counts(other, pod, memory)]
    lacking = _lacking(pod, node, others)
    if lacking is not None:
        return lacking
    if not RequiredNodes.of(pod).allows(node):
        message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        return Rejection("NodeAffinity", message)
    ports = host_ports(pod)
    if ports and any(_clash(mine, theirs) for mine in ports for other in others for theirs in host_ports(other)):
        return Rejection(
            "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        )
    return None


def is_critical(pod: Pod) -> bool:
    """Whether pressure spares the pod (WL-165)."""
    return (pod.spec.priority or 0) >= CRITICAL_PRIORITY


def _counts(other: Pod, pod: Pod, memory: KubeletMemory) -> bool:
    """Whether the kubelet has admitted the other pod and not let go of it."""
    work = memory.pods.get(other.key)
    return work is not None and other.metadata.uid != pod.metadata.uid and work.stage not in (FAILED, ENDED)


def _lacking(pod: Pod, node: Node, others: list[Pod]) -> Rejection | None:
    room = allocatable(node)
    if not room:
        return None
    limit = room.get(PODS)
    if limit is not None and len(others) + 1 > limit:
        return _out_of(PODS, 1, len(others), limit)
    wanted = pod_requests(pod)
    if not any(wanted.values()):
        return None
    used: Amounts = {}
    for other in others:
        for name, amount in pod_requests(other).items():
            used[name] = used.get(name, 0) + amount
    for name, amount in wanted.items():
        if amount > 0 and amount > room.get(name, 0) - used.get(name, 0):
            return _out_of(name, amount, used.get(name, 0), room.get(name, 0))
    return None


def _out_of(resource: str, requested: int, used: int, capacity: int) -> Rejection:
    message = (f"Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, "
               f"capacity: {capacity}")
    return Rejection(f"OutOf{resource}", message)


def _clash(mine: HostPort, theirs: HostPort) -> bool:
    if mine.port != theirs.port or mine.protocol != theirs.protocol:
        return False
    return mine.ip == theirs.ip or "0.0.0.0" in (mine.ip, theirs.ip)
