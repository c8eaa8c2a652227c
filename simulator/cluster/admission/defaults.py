"""What the API server fills in before anything else looks at an object (VB-11, WL-1, WL-2, WL-9, WL-11).

Every function gives the very same object back if nothing was missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from simulator.api.apps import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
)
from simulator.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Object, evolve, with_meta
from simulator.api.policy import PriorityClass
from simulator.api.storage import IMMEDIATE, CSIDriver, StorageClass
from simulator.cluster.admission.pod_defaults import default_pod_spec

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"


def with_defaults(obj: Object) -> Object:
    """The object with its missing fields filled in."""
    fill = _DEFAULTS.get(obj.KIND)
    return fill(obj) if fill is not None else obj


def _pod(pod: Pod) -> Pod:
    spec = default_pod_spec(pod.spec)
    return pod if spec is pod.spec else evolve(pod, spec=spec)


def _volume(volume: PersistentVolume) -> PersistentVolume:
    spec = volume.spec
    if spec.persistent_volume_reclaim_policy and spec.volume_mode is not None:
        return volume
    return evolve(volume, spec=evolve(
        spec, persistent_volume_reclaim_policy=spec.persistent_volume_reclaim_policy or "Retain",  # VB-11
        volume_mode=spec.volume_mode if spec.volume_mode is not None else "Filesystem",
    ))


def _claim(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    if claim.spec.volume_mode is not None:
        return claim
    return evolve(claim, spec=evolve(claim.spec, volume_mode="Filesystem"))  # VB-11


def _class(storage_class: StorageClass) -> StorageClass:
    if storage_class.reclaim_policy is not None and storage_class.volume_binding_mode is not None:
        return storage_class
    return evolve(
        storage_class, reclaim_policy=storage_class.reclaim_policy or "Delete",  # VB-11
        volume_binding_mode=storage_class.volume_binding_mode or IMMEDIATE,
    )


def _set(stateful_set: StatefulSet) -> StatefulSet:
    """WL-1 and WL-2; the template is filled in as a pod is, the claim templates as claims are."""
    spec = stateful_set.spec
    changes: dict[str, Any] = {}
    if not spec.pod_management_policy:
        changes["pod_management_policy"] = "OrderedReady"
    if spec.replicas is None:
        changes["replicas"] = 1
    if spec.revision_history_limit is None:
        changes["revision_history_limit"] = 10
    strategy = spec.update_strategy
    if not strategy.type:
        # WL-2: only the strategy that nobody named gets the block.
        strategy = evolve(strategy, type="RollingUpdate",
                          rolling_update=strategy.rolling_update or RollingUpdateStatefulSetStrategy())
    block = strategy.rolling_update
    if strategy.type == "RollingUpdate" and block is not None and block.partition is None:
        strategy = evolve(strategy, rolling_update=evolve(block, partition=0))
    if strategy is not spec.update_strategy:
        changes["update_strategy"] = strategy
    keep = spec.persistent_volume_claim_retention_policy or StatefulSetPersistentVolumeClaimRetentionPolicy()
    if not (keep.when_deleted and keep.when_scaled):
        changes["persistent_volume_claim_retention_policy"] = evolve(
            keep, when_deleted=keep.when_deleted or "Retain", when_scaled=keep.when_scaled or "Retain")
    template = default_pod_spec(spec.template.spec)
    if template is not spec.template.spec:
        changes["template"] = evolve(spec.template, spec=template)
    if any(claim.spec.volume_mode is None for claim in spec.volume_claim_templates):
        changes["volume_claim_templates"] = tuple(_claim(claim) for claim in spec.volume_claim_templates)
    return evolve(stateful_set, spec=evolve(spec, **changes)) if changes else stateful_set


def _namespace(namespace: Namespace) -> Namespace:
    labels = namespace.metadata.labels
    if not namespace.metadata.name or labels.get(NAMESPACE_NAME) == namespace.metadata.name:
        return namespace
    return with_meta(namespace, labels={**labels, NAMESPACE_NAME: namespace.metadata.name})


def _node(node: Node) -> Node:
    status = node.status
    if status.allocatable or not status.capacity:
        return node
    return evolve(node, status=evolve(status, allocatable=status.capacity))


def _priority_class(priority_class: PriorityClass) -> PriorityClass:
    if priority_class.preemption_policy is not None:
        return priority_class
    return evolve(priority_class, preemption_policy="PreemptLowerPriority")


def _driver(driver: CSIDriver) -> CSIDriver:
    if driver.spec.storage_capacity is not None:
        return driver
    return evolve(driver, spec=evolve(driver.spec, storage_capacity=False))


_DEFAULTS: Final[dict[str, Callable[[Any], Any]]] = {
    "Pod": _pod, "PersistentVolume": _volume, "PersistentVolumeClaim": _claim, "StorageClass": _class,
    "StatefulSet": _set, "Namespace": _namespace, "Node": _node, "PriorityClass": _priority_class, "CSIDriver": _driver,
}
