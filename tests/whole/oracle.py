"""What Kubernetes would say of small clusters, worked out from the specification without the simulator's own core."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, Taint, Toleration
from simulator.api.meta import Key
from simulator.api.storage import StorageClass
from simulator.cluster.store import Store
from simulator.units import Quantity

HOSTNAME = "kubernetes.io/hostname"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
WAIT = "WaitForFirstConsumer"


def class_of(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    return obj.spec.storage_class_name or ""


def binding_mode(claim: PersistentVolumeClaim, store: Store) -> str:
    """Immediate for a claim without a class, and for one whose class has no object (VB-46)."""
    found = store.get(StorageClass, class_of(claim))
    return (found.volume_binding_mode or "Immediate") if found is not None else "Immediate"


def amount(quantity: Quantity | None) -> Quantity:
    assert quantity is not None
    return quantity


def suits(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume is what the claim asks for: class, modes, size, selector, volume mode (VB-32)."""
    selector = claim.spec.selector
    return (
        class_of(volume) == class_of(claim)
        and set(claim.spec.access_modes) <= set(volume.spec.access_modes)
        and not amount(volume.capacity) < amount(claim.request)
        and (volume.spec.volume_mode or "Filesystem") == (claim.spec.volume_mode or "Filesystem")
        and (selector is None or selector.selects(volume.metadata.labels))
    )


def is_free(volume: PersistentVolume) -> bool:
    """Whether a claim may be bound to the volume (VB-3, VB-32)."""
    return volume.spec.claim_ref is None and volume.status.phase == "Available" and not volume.metadata.is_terminating


def reaches(node: Node, volume: PersistentVolume) -> bool:
    """Whether pods of a node can use the volume; only hostnames with In occur here (VB-40)."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return True
    for term in affinity.required.node_selector_terms:
        assert not term.match_fields
        for expression in term.match_expressions:
            assert expression.operator == "In"
            if node.metadata.labels.get(expression.key) not in expression.values:
                break
        else:
            return True
    return False


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """SC-54."""
    return any(
        each.effect in ("", taint.effect)
        and each.key in ("", taint.key)
        and (each.operator == "Exists" or each.value == taint.value)
        for each in tolerations
    )


def is_closed(node: Node, pod: Pod) -> str:
    """Why the node takes no such pod, "" if it does (SC-51, SC-53)."""
    if node.spec.unschedulable and not tolerates(
        pod.spec.tolerations, Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
    ):
        return "cordoned"
    for taint in node.spec.taints:
        if taint.effect in ("NoSchedule", "NoExecute") and not tolerates(pod.spec.tolerations, taint):
            return f"tainted with {taint.key}:{taint.effect}"
    return ""


def repels(pod: Pod, other: Pod) -> bool:
    """Whether a required anti-affinity term of `pod`, by hostname, selects `other` (SC-81)."""
    affinity = pod.spec.affinity
    if affinity is None or affinity.pod_anti_affinity is None or pod.namespace != other.namespace:
        return False
    for term in affinity.pod_anti_affinity.required:
        assert term.topology_key == HOSTNAME
        if term.label_selector is not None and term.label_selector.selects(other.metadata.labels):
            return True
    return False


def at_odds(pod: Pod, other: Pod) -> bool:
    """Whether two pods may not share a machine."""
    return repels(pod, other) or repels(other, pod)


def is_fully_bound(claim: PersistentVolumeClaim) -> bool:
    return bool(claim.spec.volume_name) and BIND_COMPLETED in claim.metadata.annotations


def claims_of(pod: Pod, store: Store) -> list[PersistentVolumeClaim | None]:
    return [store.get(PersistentVolumeClaim, name, pod.namespace) for name in pod.claim_names]


def why_nowhere(pod: Pod, store: Store) -> str:
    """Why no node at all is looked at, "" if they are (VB-124, VB-127)."""
    for claim in claims_of(pod, store):
        if claim is None:
            return "a claim is missing"
        if claim.status.phase == "Lost":
            return f"{claim.name} is lost"
        if claim.metadata.is_terminating:
            return f"{claim.name} is being deleted"
        if not is_fully_bound(claim) and (claim.spec.volume_name or binding_mode(claim, store) != WAIT):
            return f"{claim.name} is an unbound immediate claim"
    return ""


def why_not(pod: Pod, node: Node, store: Store) -> str:
    """Why a node cannot take the pod, "" if it can."""
    if why := is_closed(node, pod):
        return why
    for other in store.list(Pod):
        if other.spec.node_name == node.name and other.key != pod.key and not other.is_finished and at_odds(pod, other):
            return f"{other.name} is there"
    claims = [claim for claim in claims_of(pod, store) if claim is not None]
    for claim in claims:
        if is_fully_bound(claim):
            volume = store.get(PersistentVolume, claim.spec.volume_name)
            if volume is None:
                return f"{claim.spec.volume_name} is gone"
            if not reaches(node, volume):
                return f"{volume.name} is elsewhere"
    return _why_no_volumes([claim for claim in claims if not is_fully_bound(claim)], node, store)


def _why_no_volumes(claims: list[PersistentVolumeClaim], node: Node, store: Store) -> str:
    """VB-132 to VB-135: delayed claims, the smallest first; what finds no volume must be provisioned."""
    taken: set[Key] = set()
    for claim in sorted(claims, key=lambda each: amount(each.request)):
        selected = claim.metadata.annotations.get(SELECTED_NODE, "")
        if selected and selected != node.name:
            return f"{claim.name} is to be made on {selected}"
        reserved = [
            volume for volume in store.list(PersistentVolume)
            if volume.spec.claim_ref is not None and volume.spec.claim_ref.uid == claim.metadata.uid
        ]
        if selected:
            fitting = []
        elif reserved:
            fitting = [volume for volume in reserved if reaches(node, volume)]
        else:
            fitting = [
                volume for volume in store.list(PersistentVolume)
                if is_free(volume) and suits(volume, claim) and reaches(node, volume) and volume.key not in taken
            ]
        if fitting:
            taken.add(min(fitting, key=lambda volume: amount(volume.capacity)).key)
            continue
        found = store.get(StorageClass, class_of(claim))
        if found is None or found.provisioner == NO_PROVISIONER:
            return f"no volume for {claim.name}"
    return ""


def bindable(claim: PersistentVolumeClaim, store: Store) -> list[str]:
    """Free volumes that an Immediate claim could be bound to at once; a controller at rest leaves none (VB-48)."""
    if claim.spec.volume_name or claim.metadata.is_terminating or binding_mode(claim, store) == WAIT:
        return []
    return [volume.name for volume in store.list(PersistentVolume) if is_free(volume) and suits(volume, claim)]


def short_of_goal(store: Store) -> list[str]:
    """Everything that has not reached its goal (design, decision 9)."""
    found = []
    for kind in store.kinds():
        for obj in store.of_kind(kind).values():
            if obj.metadata.is_terminating:
                found.append(f"{obj.key} is being deleted")
    for each in store.list(StatefulSet):
        wanted, status = each.replicas, each.status
        if not wanted == status.replicas == status.ready_replicas == status.updated_replicas:
            found.append(f"{each.key}: {wanted} wanted, {status.replicas} there, {status.ready_replicas} ready")
    for pod in store.list(Pod):
        if not pod.is_ready and pod.status.phase != "Succeeded":
            found.append(f"{pod.key} is not ready")
    for claim in store.list(PersistentVolumeClaim):
        users = [pod for pod in store.list(Pod) if claim.name in pod.claim_names and not pod.is_finished]
        if claim.status.phase != "Bound" and (binding_mode(claim, store) != WAIT or users):
            found.append(f"{claim.key} is not bound")
    return found
