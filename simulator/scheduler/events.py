"""Cluster events: what a change of an object can mean to a pod that waits (SC-17, SC-25)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from simulator.api.core import Condition, Node, Pod
from simulator.api.meta import Object
from simulator.cluster.component import Change
from simulator.scheduler.resources import pod_requests

# SC-17: the bits of an action, ascending; a generic update has all of those that begin with UPDATE.
ADD: Final = 1 << 0
DELETE: Final = 1 << 1
UPDATE_NODE_ALLOCATABLE: Final = 1 << 2
UPDATE_NODE_LABEL: Final = 1 << 3
UPDATE_NODE_TAINT: Final = 1 << 4
UPDATE_NODE_CONDITION: Final = 1 << 5
UPDATE_NODE_ANNOTATION: Final = 1 << 6
UPDATE_NODE_DECLARED_FEATURE: Final = 1 << 7
UPDATE_POD_LABEL: Final = 1 << 8
UPDATE_POD_SCALE_DOWN: Final = 1 << 9
UPDATE_POD_TOLERATION: Final = 1 << 10
UPDATE_POD_GATES_ELIMINATED: Final = 1 << 11
UPDATE_POD_RESOURCE_CLAIM: Final = 1 << 12
UPDATE: Final = (1 << 13) - 1 - ADD - DELETE

POD: Final = "Pod"
ASSIGNED_POD: Final = "assigned pod"
UNSCHEDULED_POD: Final = "unscheduled pod"
NODE: Final = "Node"
WILDCARD: Final = "*"


class ClusterEvent(Struct, frozen=True):
    """Something has happened to a resource.

    Attributes
    ----------
    resource : a kind, `ASSIGNED_POD`, `UNSCHEDULED_POD`, or `WILDCARD`.
    action : bits of SC-17.
    old, new : the object before and after; a wildcard may name the one pod that it is meant for as `new`.
    priority_at_most : only pods of at most this priority are looked at (SC-23).
    """

    resource: str
    action: int
    old: Object | None = None
    new: Object | None = None
    priority_at_most: int | None = None


LEFTOVER: Final = ClusterEvent(WILDCARD, ADD | DELETE | UPDATE)
"""The leftover flush: every pod is worth another try (SC-13)."""


def force_activate(pod: Pod) -> ClusterEvent:
    """The wildcard that brings one pod back (SC-19)."""
    return ClusterEvent(WILDCARD, ADD | DELETE | UPDATE, None, pod)


def matches(resource: str, mask: int, event: ClusterEvent) -> bool:
    """Whether a registration for (`resource`, `mask`) takes in an event (SC-17)."""
    if resource != event.resource and not (resource == POD and event.resource in (ASSIGNED_POD, UNSCHEDULED_POD)):
        return False
    return bool(mask & event.action) and event.action <= mask


def pod_updates(old: Pod, new: Pod) -> list[ClusterEvent]:
    """The events of a pod's update: one for each change that is known, else a generic one (SC-25).

    What the scheduler itself patches is of the generic kind, and brings back nobody (SC-30).
    """
    resource = ASSIGNED_POD if new.spec.node_name else UNSCHEDULED_POD
    actions: list[int] = []
    if old.metadata.labels != new.metadata.labels:
        actions.append(UPDATE_POD_LABEL)
    if old.spec is not new.spec:
        if old.spec.containers != new.spec.containers or old.spec.init_containers != new.spec.init_containers \
                or old.spec.resources != new.spec.resources or old.spec.overhead != new.spec.overhead:
            before, after = pod_requests(old), pod_requests(new)
            if any(name not in after or after[name] < amount for name, amount in before.items()):
                actions.append(UPDATE_POD_SCALE_DOWN)
        if old.spec.scheduling_gates and not new.spec.scheduling_gates:
            actions.append(UPDATE_POD_GATES_ELIMINATED)
        if len(old.spec.tolerations) != len(new.spec.tolerations):
            actions.append(UPDATE_POD_TOLERATION)
    if old.status.resource_claim_statuses != new.status.resource_claim_statuses:
        actions.append(UPDATE_POD_RESOURCE_CLAIM)
    return [ClusterEvent(resource, action, old, new) for action in actions or (UPDATE,)]


def node_updates(old: Node, new: Node) -> list[ClusterEvent]:
    """The events of a node's update, in the order of SC-25; a heartbeat has none."""
    actions: list[int] = []
    if old.spec.unschedulable and not new.spec.unschedulable:
        actions.append(UPDATE_NODE_TAINT)
    if old.status.allocatable != new.status.allocatable:
        actions.append(UPDATE_NODE_ALLOCATABLE)
    if old.metadata.labels != new.metadata.labels:
        actions.append(UPDATE_NODE_LABEL)
    if old.spec.taints != new.spec.taints:
        actions.append(UPDATE_NODE_TAINT)
    if _statuses(old.status.conditions) != _statuses(new.status.conditions):
        actions.append(UPDATE_NODE_CONDITION)
    if old.metadata.annotations != new.metadata.annotations:
        actions.append(UPDATE_NODE_ANNOTATION)
    if old.status.declared_features != new.status.declared_features:
        actions.append(UPDATE_NODE_DECLARED_FEATURE)
    return [ClusterEvent(NODE, action, old, new) for action in actions]


def _statuses(conditions: tuple[Condition, ...]) -> Mapping[str, str]:
    return {condition.type: condition.status for condition in conditions}


def storage_events(change: Change) -> list[ClusterEvent]:
    """The event of a change of a volume, claim, class, CSINode, CSIDriver or CSIStorageCapacity (SC-25).

    A deletion is none.
    """
    if change.new is None:
        return []
    action = ADD if change.old is None else UPDATE
    return [ClusterEvent(change.key.kind, action, change.old, change.new)]
