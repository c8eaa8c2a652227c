"""What the API server does for each kind when an object is created or changed: resets, generations, checks.

A `Strategy` holds pure functions only; `apiserver` runs them around the admission plugins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from simulator.api.apps import StatefulSet, StatefulSetStatus
from simulator.api.core import (
    Condition,
    Namespace,
    NamespaceStatus,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
    PersistentVolumeStatus,
    Pod,
    PodStatus,
    ResourceQuota,
    ResourceQuotaStatus,
)
from simulator.api.kinds import KINDS
from simulator.api.meta import Object, evolve
from simulator.api.policy import PodDisruptionBudget, PodDisruptionBudgetStatus
from simulator.cluster.admission import classes, nodes, pods, policies, storage, workloads
from simulator.cluster.admission.metadata import metadata_update_errors
from simulator.cluster.admission.pod_defaults import qos_class
from simulator.units import Micros

Errors = list[str]


def _as_is(obj: Any, now: Micros) -> Any:
    return obj


def _kept(new: Any, old: Any, now: Micros) -> Any:
    return new


def _status_metadata(new: Any, old: Any) -> Errors:
    return metadata_update_errors(new.metadata, old.metadata)


class Strategy(Struct, frozen=True):
    """How one kind is treated.

    Attributes
    ----------
    errors, update_errors, status_errors : what is wrong with a new object, a change, a change of the status.
    fresh : the object as it is stored first: its status is the server's, not the client's.
    changed, changed_status : the change with what only the server may set put right.
    has_generation : counts changes of the spec (WL-4).
    has_status : the status is written through a subresource of its own.
    unconditional : an update without a resource version is taken as it is.
    """

    errors: Callable[[Any], Errors] = policies.other_errors
    update_errors: Callable[[Any, Any], Errors] = policies.other_update_errors
    status_errors: Callable[[Any, Any], Errors] = _status_metadata
    fresh: Callable[[Any, Micros], Any] = _as_is
    changed: Callable[[Any, Any, Micros], Any] = _kept
    changed_status: Callable[[Any, Any, Micros], Any] = _kept
    has_generation: bool = False
    has_status: bool = False
    unconditional: bool = True


# --- pods -------------------------------------------------------------------------------------------------------------

GATED: Final = "Scheduling is blocked due to non-empty scheduling gates"


def _fresh_pod(pod: Pod, now: Micros) -> Pod:
    conditions: tuple[Condition, ...] = ()
    if pod.spec.scheduling_gates:  # SC-21
        conditions = (Condition(type="PodScheduled", status="False", reason="SchedulingGated", message=GATED,
                                last_transition_time=now),)
    return evolve(pod, status=PodStatus(phase="Pending", conditions=conditions, qos_class=qos_class(pod.spec)))


def _changed_pod_status(pod: Pod, old: Pod, now: Micros) -> Pod:
    changes: dict[str, Any] = {}
    if pod.metadata.owner_references is not old.metadata.owner_references:
        changes["metadata"] = evolve(pod.metadata, owner_references=old.metadata.owner_references)
    if not pod.status.qos_class and old.status.qos_class:
        changes["status"] = evolve(pod.status, qos_class=old.status.qos_class)
    return evolve(pod, **changes) if changes else pod


# --- volumes and claims -----------------------------------------------------------------------------------------------

_NEW_CLAIM: Final = PersistentVolumeClaimStatus(phase="Pending")


def _fresh_volume(volume: PersistentVolume, now: Micros) -> PersistentVolume:
    return evolve(volume, status=PersistentVolumeStatus(phase="Pending", last_phase_transition_time=now))  # VB-2, WL-11


def _changed_volume_status(volume: PersistentVolume, old: PersistentVolume, now: Micros) -> PersistentVolume:
    """VB-4: the time of the last phase change is the server's, unless the writer says another one."""
    status, before = volume.status, old.status
    said = status.last_phase_transition_time
    if status.phase == before.phase or said not in (None, before.last_phase_transition_time):
        return volume
    return evolve(volume, status=evolve(status, last_phase_transition_time=now))


def _fresh_claim(claim: PersistentVolumeClaim, now: Micros) -> PersistentVolumeClaim:
    return evolve(claim, status=_NEW_CLAIM)  # VB-2


# --- sets -------------------------------------------------------------------------------------------------------------


def _fresh_set(stateful_set: StatefulSet, now: Micros) -> StatefulSet:
    return evolve(_without_max_unavailable(stateful_set), status=StatefulSetStatus())


def _changed_set(stateful_set: StatefulSet, old: StatefulSet, now: Micros) -> StatefulSet:
    block = old.spec.update_strategy.rolling_update
    carried = block is not None and block.max_unavailable is not None
    changed = _with_known_templates(stateful_set, old)
    return changed if carried else _without_max_unavailable(changed)


def _with_known_templates(stateful_set: StatefulSet, old: StatefulSet) -> StatefulSet:
    """The API server defaults the phase of claim templates too: a dump's templates have it, manifests need not."""
    spec, before = stateful_set.spec, old.spec.volume_claim_templates
    if spec.volume_claim_templates is before or _with_phases(spec.volume_claim_templates) != _with_phases(before):
        return stateful_set
    return evolve(stateful_set, spec=evolve(spec, volume_claim_templates=before))


def _with_phases(templates: tuple[PersistentVolumeClaim, ...]) -> list[PersistentVolumeClaim]:
    return [claim if claim.status.phase else evolve(claim, status=_NEW_CLAIM) for claim in templates]


def _without_max_unavailable(stateful_set: StatefulSet) -> StatefulSet:
    """WL-3: with the gate off the field is dropped, unless the stored object carries it already."""
    strategy = stateful_set.spec.update_strategy
    block = strategy.rolling_update
    if block is None or block.max_unavailable is None:
        return stateful_set
    strategy = evolve(strategy, rolling_update=evolve(block, max_unavailable=None))
    return evolve(stateful_set, spec=evolve(stateful_set.spec, update_strategy=strategy))


# --- the rest ---------------------------------------------------------------------------------------------------------


def _fresh_namespace(namespace: Namespace, now: Micros) -> Namespace:
    finalizers = namespace.spec.finalizers
    if "kubernetes" not in finalizers:
        finalizers = (*finalizers, "kubernetes")
    return evolve(namespace, spec=evolve(namespace.spec, finalizers=finalizers), status=NamespaceStatus(phase="Active"))


def _changed_namespace(namespace: Namespace, old: Namespace, now: Micros) -> Namespace:
    """Spec finalizers go through a subresource of their own, which is for a namespace on its way out only."""
    if old.metadata.deletion_timestamp is not None or namespace.spec.finalizers == old.spec.finalizers:
        return namespace
    return evolve(namespace, spec=evolve(namespace.spec, finalizers=old.spec.finalizers))


def _fresh_budget(budget: PodDisruptionBudget, now: Micros) -> PodDisruptionBudget:
    return evolve(budget, status=PodDisruptionBudgetStatus())


def _fresh_quota(quota: ResourceQuota, now: Micros) -> ResourceQuota:
    return evolve(quota, status=ResourceQuotaStatus())


_STRATEGIES: Final = {
    "Pod": Strategy(
        errors=pods.pod_errors, update_errors=pods.pod_update_errors, status_errors=pods.pod_status_errors,
        fresh=_fresh_pod, changed_status=_changed_pod_status, has_generation=True, has_status=True),
    "PersistentVolume": Strategy(
        errors=storage.volume_errors, update_errors=storage.volume_update_errors, fresh=_fresh_volume,
        changed_status=_changed_volume_status, has_status=True),
    "PersistentVolumeClaim": Strategy(
        errors=storage.claim_errors, update_errors=storage.claim_update_errors, fresh=_fresh_claim, has_status=True),
    "StatefulSet": Strategy(
        errors=workloads.set_errors, update_errors=workloads.set_update_errors,
        status_errors=workloads.set_status_errors, fresh=_fresh_set, changed=_changed_set,
        has_generation=True, has_status=True),
    "ControllerRevision": Strategy(errors=workloads.revision_errors, update_errors=workloads.revision_update_errors),
    "Node": Strategy(errors=nodes.node_errors, update_errors=nodes.node_update_errors, has_status=True),
    "Namespace": Strategy(errors=policies.namespace_errors, fresh=_fresh_namespace, changed=_changed_namespace,
                          has_status=True),
    "StorageClass": Strategy(errors=classes.class_errors, update_errors=classes.class_update_errors),
    "VolumeAttributesClass": Strategy(
        errors=classes.attributes_class_errors, update_errors=classes.attributes_class_update_errors),
    "PriorityClass": Strategy(errors=classes.priority_class_errors, update_errors=classes.priority_class_update_errors,
                              has_generation=True),
    "CSIDriver": Strategy(errors=classes.driver_errors, has_generation=True, unconditional=False),
    "CSINode": Strategy(errors=classes.driver_node_errors, update_errors=classes.driver_node_update_errors,
                        unconditional=False),
    "CSIStorageCapacity": Strategy(errors=classes.capacity_errors, update_errors=classes.capacity_update_errors,
                                   unconditional=False),
    "PodDisruptionBudget": Strategy(
        errors=policies.budget_errors, update_errors=policies.budget_update_errors,
        status_errors=policies.budget_status_errors, fresh=_fresh_budget, has_generation=True, has_status=True,
        unconditional=False),
    "ResourceQuota": Strategy(errors=policies.quota_errors, update_errors=policies.quota_update_errors,
                              fresh=_fresh_quota, has_status=True),
    "Service": Strategy(errors=policies.service_errors, has_status=True),
    "Lease": Strategy(unconditional=False),
}
_OTHER: Final = Strategy()

STRATEGIES: Final[dict[str, Strategy]] = {kind: _STRATEGIES.get(kind, _OTHER) for kind in KINDS}


def strategy_of(obj: Object) -> Strategy:
    """The strategy for the object's kind."""
    return STRATEGIES.get(obj.KIND, _OTHER)
