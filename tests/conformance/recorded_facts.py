"""What the recorder saw of an object: the few fields that a recording keeps of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulator.api.apps import StatefulSet
from simulator.api.core import Condition, Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Object
from simulator.api.policy import PodDisruptionBudget
from simulator.api.storage import StorageClass
from simulator.binding.names import (
    BETA_STORAGE_PROVISIONER,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
)
from tests.conformance.recorded_case import SPACE

Facts = dict[str, Any]
SHORT = {"PersistentVolume": "PV", "PersistentVolumeClaim": "PVC", "StatefulSet": "STS", "StorageClass": "SC",
         "PodDisruptionBudget": "PDB"}
UNSET = "<unset>"
_KEPT = {"class"}
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def facts_of(obj: Object | None) -> Facts | None:
    """The observable fields of an object; None if it is gone or of a kind that was not watched."""
    look = _LOOKS.get(type(obj))
    if obj is None or look is None:
        return None
    facts = look(obj)
    if obj.metadata.is_terminating:
        facts["deleting"] = True
    return {name: value for name, value in facts.items() if value not in (None, "", [], False) or name in _KEPT}


def spoken(text: str) -> str:
    """A message with the namespace as the recordings write it."""
    return text.replace(SPACE, "NS")


def _finalizers(obj: Object) -> list[str]:
    return [name.rpartition("/")[2] for name in obj.metadata.finalizers]


def _yes(obj: Object, annotation: str) -> str | None:
    return "yes" if annotation in obj.metadata.annotations else None


def _said(conditions: tuple[Condition, ...], kind: str, status: str) -> str | None:
    for condition in conditions:
        if condition.type == kind and condition.status == status:
            return f"{condition.reason}: {spoken(condition.message)}"
    return None


def _node(node: Node) -> Facts:
    ready = node.condition("Ready")
    return {
        "ready": ready.status if ready is not None else None,
        "taints": [f"{t.key}={t.value}:{t.effect}" if t.value else f"{t.key}:{t.effect}" for t in node.spec.taints],
        "unschedulable": node.spec.unschedulable,
    }


def _volume(volume: PersistentVolume) -> Facts:
    spec, reference = volume.spec, volume.spec.claim_ref
    return {
        "finalizers": _finalizers(volume), "phase": volume.status.phase, "class": spec.storage_class_name or UNSET,
        "bound-by-controller": _yes(volume, BOUND_BY_CONTROLLER),
        "claim": None if reference is None else spoken(
            f"{reference.namespace}/{reference.name}{'' if reference.uid else ' (no uid)'}"),
        "capacity": volume.capacity.text if volume.capacity is not None else None,
        "reclaim": spec.persistent_volume_reclaim_policy, "message": volume.status.message,
        "provisioned-by": volume.metadata.annotations.get(PROVISIONED_BY),
    }


def _claim(claim: PersistentVolumeClaim) -> Facts:
    annotations, request = claim.metadata.annotations, claim.spec.resources.requests.get("storage")
    capacity = claim.status.capacity.get("storage")
    return {
        "finalizers": _finalizers(claim), "phase": claim.status.phase,
        "class": UNSET if claim.spec.storage_class_name is None else claim.spec.storage_class_name,
        "bound-by-controller": _yes(claim, BOUND_BY_CONTROLLER), "bind-completed": _yes(claim, BIND_COMPLETED),
        "volume": claim.spec.volume_name, "request": request.text if request is not None else None,
        "capacity": capacity.text if capacity is not None else None, "selected-node": annotations.get(SELECTED_NODE),
        "storage-provisioner": annotations.get(STORAGE_PROVISIONER) or annotations.get(BETA_STORAGE_PROVISIONER),
        "owners": [f"{owner.kind}/{owner.name}{' controller' if owner.controller else ''}"
                   for owner in claim.metadata.owner_references],
    }


def _set(sts: StatefulSet) -> Facts:
    status = sts.status
    return {
        "replicas": sts.spec.replicas,
        "status": f"replicas={status.replicas} ready={status.ready_replicas} available={status.available_replicas} "
                  f"current={status.current_replicas} updated={status.updated_replicas}",
        "currentRevision": status.current_revision, "updateRevision": status.update_revision,
    }


def _pod(pod: Pod) -> Facts:
    return {
        "phase": pod.status.phase, "node": pod.spec.node_name, "ready": pod.is_ready,
        "revision": pod.metadata.labels.get("controller-revision-hash"), "claims": list(pod.claim_names),
        "unscheduled": _said(pod.status.conditions, "PodScheduled", "False"),
        "nominated": pod.status.nominated_node_name,
        "disruption": _said(pod.status.conditions, "DisruptionTarget", "True"),
    }


def _class(storage_class: StorageClass) -> Facts:
    return {
        "provisioner": storage_class.provisioner, "mode": storage_class.volume_binding_mode,
        "default": storage_class.metadata.annotations.get(DEFAULT_CLASS),
    }


def _budget(budget: PodDisruptionBudget) -> Facts:
    status = budget.status
    return {"status": {"currentHealthy": status.current_healthy, "desiredHealthy": status.desired_healthy,
                       "disruptionsAllowed": status.disruptions_allowed, "expectedPods": status.expected_pods}}


_LOOKS: Mapping[type, Callable[[Any], Facts]] = {
    Node: _node, PersistentVolume: _volume, PersistentVolumeClaim: _claim, StatefulSet: _set, Pod: _pod,
    StorageClass: _class, PodDisruptionBudget: _budget,
}


def difference(before: Facts | None, after: Facts | None) -> Facts:
    """What a log entry of the recorder says of a change; empty if it saw none."""
    if after is None:
        return {"deleted": True}
    if before is None:
        return {**after, "added": True}
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    return {**changed, **dict.fromkeys(name for name in before if name not in after)}
