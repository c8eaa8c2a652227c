"""Queueing hints: which event is worth another try for a pod that certain plug-ins refused (SC-16, SC-26, SC-27).

A table from plug-in to the events it registered, each with a question about the pod and the object before and after; no
question means that every such event is worth a try.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import IntEnum
from functools import cache
from typing import Any, Final

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.storage import WAIT_FOR_FIRST_CONSUMER, CSIDriver, CSINode, CSIStorageCapacity, StorageClass
from simulator.scheduler import affinity_hints, spread_hints
from simulator.scheduler.events import (
    ADD,
    DELETE,
    NODE,
    POD,
    UPDATE,
    UPDATE_NODE_ALLOCATABLE,
    UPDATE_NODE_DECLARED_FEATURE,
    UPDATE_NODE_LABEL,
    UPDATE_NODE_TAINT,
    UPDATE_POD_GATES_ELIMINATED,
    UPDATE_POD_LABEL,
    UPDATE_POD_SCALE_DOWN,
    UPDATE_POD_TOLERATION,
    WILDCARD,
    ClusterEvent,
    matches,
)
from simulator.scheduler.plugins.node_affinity import RequiredNodes
from simulator.scheduler.plugins.node_ports import ports_conflict
from simulator.scheduler.plugins.node_unschedulable import TAINT
from simulator.scheduler.plugins.taint_toleration import has_untolerated_taint, tolerates
from simulator.scheduler.plugins.volume_restrictions import disks_conflict
from simulator.scheduler.resources import PODS, allocatable, host_ports, pod_requests

Hint = Callable[[Pod, Any, Any], bool]
"""From the refused pod and the object before and after to whether the pod is worth another try."""


class Strategy(IntEnum):
    """Where an event sends a pod; a higher one wins (SC-12, SC-16)."""

    SKIP = 0
    AFTER_BACKOFF = 1
    IMMEDIATELY = 2


def _is_own(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    return new is not None and new.metadata.uid == pod.metadata.uid


def _was_bound(old: Pod | None) -> bool:
    return old is not None and bool(old.spec.node_name or old.status.nominated_node_name)


# --- NodeUnschedulable, TaintToleration, NodeAffinity ---------------------------------------------------------------


def _uncordoned(pod: Pod, old: Node | None, new: Node) -> bool:
    return not new.spec.unschedulable and (old is None or old.spec.unschedulable)


def _tolerates_cordon(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    return _is_own(pod, old, new) and new is not None and tolerates(new.spec.tolerations, TAINT)


def _tolerated_now(pod: Pod, old: Node | None, new: Node) -> bool:
    if has_untolerated_taint(pod, new.spec.taints):
        return False
    return old is None or has_untolerated_taint(pod, old.spec.taints)


def _selected_now(pod: Pod, old: Node | None, new: Node) -> bool:
    required = RequiredNodes.of(pod)
    return required.allows(new) and (old is None or not required.allows(old))


# --- NodePorts, NodeResourcesFit ------------------------------------------------------------------------------------


def _port_freed(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    return _was_bound(old) and old is not None and ports_conflict(host_ports(pod), host_ports(old))


def _room_freed(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    return _was_bound(old)


def _scaled_down(pod: Pod, old: Pod, new: Pod) -> bool:
    if _is_own(pod, old, new):
        return True
    if not new.spec.node_name:
        return False
    before, after = pod_requests(old), pod_requests(new)
    return any(amount > 0 and after.get(name, 0) < before.get(name, 0) for name, amount in pod_requests(pod).items())


def _fits_empty(pod: Pod, old: Node | None, new: Node) -> bool:
    given = allocatable(new)
    return given.get(PODS, 0) > 0 and all(amount <= given.get(name, 0) for name, amount in pod_requests(pod).items())


def _grown(pod: Pod, old: Node, new: Node) -> bool:
    before, after = allocatable(old), allocatable(new)
    wanted = [name for name, amount in pod_requests(pod).items() if amount > 0]
    return _fits_empty(pod, old, new) and any(after.get(name, 0) > before.get(name, 0) for name in (*wanted, PODS))


# --- volumes --------------------------------------------------------------------------------------------------------


def _direct_claims(pod: Pod) -> list[str]:
    return [volume.persistent_volume_claim.claim_name for volume in pod.spec.volumes
            if volume.persistent_volume_claim is not None]


def _disk_freed(pod: Pod, old: Pod, new: Pod | None) -> bool:
    if old.metadata.namespace != pod.metadata.namespace:
        return False
    if any(disks_conflict(mine, its) for mine in pod.spec.volumes for its in old.spec.volumes):
        return True
    own = _direct_claims(pod)
    return any(name in own for name in _direct_claims(old))


def _direct_claim(pod: Pod, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim) -> bool:
    return new.metadata.namespace == pod.metadata.namespace and new.metadata.name in _direct_claims(pod)


def _any_claim(pod: Pod, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim) -> bool:
    return new.metadata.namespace == pod.metadata.namespace and new.metadata.name in pod.claim_names


def _limit_rose(pod: Pod, old: CSINode, new: CSINode) -> bool:
    def counts(node: CSINode) -> dict[str, int]:
        return {driver.name: driver.allocatable.count for driver in node.spec.drivers
                if driver.allocatable is not None and driver.allocatable.count is not None}

    before = counts(old)
    return any(count > before.get(name, 0) for name, count in counts(new).items())


def _volume_detached(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    return _was_bound(old) and old is not None and bool(old.claim_names)


def _topologies_changed(pod: Pod, old: StorageClass, new: StorageClass) -> bool:
    return old.allowed_topologies != new.allowed_topologies


_MIGRATED: Final = "storage.alpha.kubernetes.io/migrated-plugins"


def _migration_changed(pod: Pod, old: CSINode, new: CSINode) -> bool:
    return old.metadata.annotations.get(_MIGRATED) != new.metadata.annotations.get(_MIGRATED)


def _capacity_rose(pod: Pod, old: CSIStorageCapacity, new: CSIStorageCapacity) -> bool:
    before = old.maximum_volume_size or old.capacity
    after = new.maximum_volume_size or new.capacity
    return after is not None and (before is None or before < after)


def _tracking_ended(pod: Pod, old: CSIDriver, new: CSIDriver) -> bool:
    if not old.spec.storage_capacity or new.spec.storage_capacity:
        return False
    return any(isinstance(volume.csi, dict) and volume.csi.get("driver") == new.metadata.name
               for volume in pod.spec.volumes)


def _waits_for_consumer(pod: Pod, old: StorageClass | None, new: StorageClass) -> bool:
    return new.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER


_ZONE_LABELS: Final = ("failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
                       "topology.kubernetes.io/zone", "topology.kubernetes.io/region")


def _zone_changed(pod: Pod, old: PersistentVolume, new: PersistentVolume) -> bool:
    return any(old.metadata.labels.get(label) != new.metadata.labels.get(label) for label in _ZONE_LABELS)


def _never(pod: Pod, old: Any, new: Any) -> bool:
    return False


def _always(pod: Pod, old: Any, new: Any) -> bool:
    return True


_CLAIM: Final = PersistentVolumeClaim.KIND
_VOLUME: Final = PersistentVolume.KIND
_CLASS: Final = StorageClass.KIND
_CSI_NODE: Final = CSINode.KIND

_STATED: Final[dict[str, tuple[tuple[str, int, Hint], ...]]] = {
    "SchedulingGates": ((POD, UPDATE_POD_GATES_ELIMINATED, _is_own),),
    "NodeUnschedulable": ((NODE, ADD | UPDATE_NODE_TAINT, _uncordoned),
                          (POD, UPDATE_POD_TOLERATION, _tolerates_cordon)),
    "NodeName": ((NODE, ADD, _always),),
    "TaintToleration": ((NODE, ADD | UPDATE_NODE_TAINT, _tolerated_now), (POD, UPDATE_POD_TOLERATION, _is_own)),
    "NodeAffinity": ((NODE, ADD | UPDATE_NODE_LABEL, _selected_now),),
    "NodePorts": ((POD, DELETE, _port_freed), (NODE, ADD, _always)),
    "NodeResourcesFit": ((POD, DELETE, _room_freed), (POD, UPDATE_POD_SCALE_DOWN, _scaled_down),
                         (NODE, ADD, _fits_empty), (NODE, UPDATE_NODE_ALLOCATABLE, _grown)),
    "VolumeRestrictions": ((POD, DELETE, _disk_freed), (NODE, ADD, _always), (_CLAIM, ADD, _direct_claim)),
    "NodeVolumeLimits": ((_CSI_NODE, ADD, _always), (_CSI_NODE, UPDATE, _limit_rose), (POD, DELETE, _volume_detached),
                         (_CLAIM, ADD, _any_claim)),
    # VB-156: neither pods nor deletions, and of nodes the labels only
    "VolumeBinding": ((_VOLUME, ADD | UPDATE, _always), (_CLAIM, ADD | UPDATE, _any_claim), (_CLASS, ADD, _always),
                      (_CLASS, UPDATE, _topologies_changed), (NODE, ADD | UPDATE_NODE_LABEL, _always),
                      (_CSI_NODE, ADD, _always), (_CSI_NODE, UPDATE, _migration_changed),
                      (CSIStorageCapacity.KIND, ADD, _always), (CSIStorageCapacity.KIND, UPDATE, _capacity_rose),
                      (CSIDriver.KIND, UPDATE, _tracking_ended)),
    "VolumeZone": ((_CLASS, ADD, _waits_for_consumer), (NODE, ADD | UPDATE_NODE_LABEL, _always),
                   (_CLAIM, ADD | UPDATE, _any_claim), (_VOLUME, ADD, _always), (_VOLUME, UPDATE, _zone_changed)),
    "PodTopologySpread": ((POD, ADD | UPDATE_POD_LABEL | UPDATE_POD_TOLERATION | DELETE, spread_hints.pod_changed),
                          (NODE, ADD | DELETE | UPDATE_NODE_LABEL | UPDATE_NODE_TAINT, spread_hints.node_changed)),
    "InterPodAffinity": ((POD, ADD | UPDATE_POD_LABEL | DELETE, affinity_hints.pod_changed),
                         (NODE, ADD | UPDATE_NODE_LABEL, affinity_hints.node_changed)),
    "DefaultPreemption": ((POD, DELETE, _never),),
    "NodeDeclaredFeatures": ((NODE, ADD | UPDATE_NODE_DECLARED_FEATURE, _always), (POD, UPDATE, _is_own)),
}


def _with_hidden(stated: tuple[tuple[str, int, Hint], ...]) -> tuple[tuple[str, int, Hint], ...]:
    """SC-27: who registers new nodes but not their taints is asked to look at every change of taints, too."""
    mask = 0
    for resource, registered, _ in stated:
        if resource == NODE:
            mask |= registered
    hidden = mask & ADD and not mask & UPDATE_NODE_TAINT
    return (*stated, (NODE, UPDATE_NODE_TAINT, _always)) if hidden else stated


REGISTERED: Final = {plugin: _with_hidden(stated) for plugin, stated in _STATED.items()}
"""Per plug-in what it registered: resource, actions and hint."""


@cache
def _interested(resource: str, action: int) -> tuple[tuple[str, Hint], ...]:
    """Plug-ins that registered such an event, each with its hint; a plug-in may stand there more than once."""
    event = ClusterEvent(resource, action)
    return tuple((plugin, hint) for plugin, stated in REGISTERED.items()
                 for registered, mask, hint in stated if matches(registered, mask, event))


def is_of_interest(event: ClusterEvent) -> bool:
    """Whether any plug-in registered such an event; others are not even recorded (SC-14)."""
    return event.resource == WILDCARD or bool(_interested(event.resource, event.action))


def gate_opens(plugin: str, event: ClusterEvent) -> bool:
    """Whether a gating plug-in registered such an event (SC-14)."""
    return any(matches(resource, mask, event) for resource, mask, _ in REGISTERED.get(plugin, ()))


def worth(pod: Pod, rejectors: Collection[str], pending: Collection[str], event: ClusterEvent) -> Strategy:
    """Whether an event is worth another try for a refused pod, and how soon (SC-16)."""
    if not rejectors and not pending:
        return Strategy.AFTER_BACKOFF
    if event.resource == WILDCARD:
        meant = event.new
        return Strategy.AFTER_BACKOFF if meant is None or meant.metadata.uid == pod.metadata.uid else Strategy.SKIP
    best = Strategy.SKIP
    for plugin, hint in _interested(event.resource, event.action):
        if plugin in pending:
            if hint(pod, event.old, event.new):
                return Strategy.IMMEDIATELY
        elif best is Strategy.SKIP and plugin in rejectors and hint(pod, event.old, event.new):
            best = Strategy.AFTER_BACKOFF
            if not pending:
                break
    return best
