"""Admission plugins that change or refuse objects, in the order in which Kubernetes runs them.

NamespaceLifecycle, Priority, DefaultTolerationSeconds, DefaultStorageClass, StorageObjectInUseProtection and
PodTopologyLabels at creation; PersistentVolumeClaimResize at updates. ResourceQuota has a module of its own;
ServiceAccount, LimitRanger and webhooks are not simulated.
"""

from __future__ import annotations

from typing import Final

from simulator.api.core import Namespace, Node, PersistentVolumeClaim, Pod, PodSpec, Toleration
from simulator.api.meta import AnyObject, Labels, Object, evolve, with_meta
from simulator.api.policy import PriorityClass
from simulator.api.storage import StorageClass
from simulator.binding.names import BETA_CLASS
from simulator.binding.reference import class_of
from simulator.cluster.admission.classes import SYSTEM_PRIORITIES
from simulator.cluster.admission.refusals import not_found, refuse_forbidden
from simulator.cluster.store import Store
from simulator.flows import Refused
from simulator.units import SECOND

ALWAYS_THERE: Final = frozenset(("default", "kube-system", "kube-public", "kube-node-lease"))
"""Namespaces that every cluster has, whether or not somebody made an object of them."""

# --- NamespaceLifecycle -----------------------------------------------------------------------------------------------


def namespace_refusal(store: Store, obj: Object) -> Refused | None:
    """Why nothing can be created in the object's namespace: it does not exist, or is going (WL-108)."""
    name = obj.metadata.namespace
    if not name or not obj.NAMESPACED:
        return None
    namespace = store.get(Namespace, name)
    if namespace is None:
        return None if name in ALWAYS_THERE else not_found("Namespace", name)
    if namespace.metadata.deletion_timestamp is None and namespace.status.phase != "Terminating":
        return None
    return refuse_forbidden(
        obj, f"unable to create new content in namespace {name} because it is being terminated")


# --- Priority ---------------------------------------------------------------------------------------------------------


def with_priority(store: Store, pod: Pod) -> Pod | Refused:
    """The pod with the priority and preemption policy of its class (SC-109)."""
    spec = pod.spec
    name, value, policy = spec.priority_class_name, 0, "PreemptLowerPriority"
    classes = store.of_kind("PriorityClass")
    if name:
        found = store.get(PriorityClass, name)
        if found is not None:
            value, policy = found.value, found.preemption_policy or policy
        elif name in SYSTEM_PRIORITIES:
            value = SYSTEM_PRIORITIES[name]
        else:
            return refuse_forbidden(pod, f"no PriorityClass with name {name} was found")
    elif classes:
        default = _default_priority(store)
        if default is not None:
            name, value, policy = default.metadata.name, default.value, default.preemption_policy or policy
    if spec.priority is not None and spec.priority != value:
        return refuse_forbidden(
            pod, f"the integer value of priority ({spec.priority}) must not be provided in pod spec; priority "
            f"admission controller computed {value} from the given PriorityClass name")
    if spec.preemption_policy is not None and spec.preemption_policy != policy:
        return refuse_forbidden(
            pod, f"the string value of PreemptionPolicy ({spec.preemption_policy}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name")
    if spec.priority == value and spec.preemption_policy == policy and spec.priority_class_name == name:
        return pod
    return evolve(pod, spec=evolve(spec, priority=value, preemption_policy=policy, priority_class_name=name))


def _default_priority(store: Store) -> PriorityClass | None:
    """The globalDefault class, the one of the lowest value if there are several."""
    defaults = [found for found in store.list(PriorityClass) if found.global_default]
    return min(defaults, key=lambda found: found.value, default=None)


def second_default_refusal(store: Store, priority_class: PriorityClass) -> Refused | None:
    """Why a class cannot be the global default: another one is."""
    if not priority_class.global_default:
        return None
    other = _default_priority(store)
    if other is None or other.metadata.name == priority_class.metadata.name:
        return None
    return refuse_forbidden(priority_class, f"PriorityClass {other.metadata.name} is already marked as default. "
                            "Only one default can exist")


# --- DefaultTolerationSeconds -----------------------------------------------------------------------------------------

_NOT_READY: Final = "node.kubernetes.io/not-ready"
_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_ADDED: Final = {
    key: Toleration(key=key, operator="Exists", effect="NoExecute", toleration_seconds=300)
    for key in (_NOT_READY, _UNREACHABLE)
}


def with_tolerations(spec: PodSpec) -> PodSpec:
    """The spec with the two tolerations of 300 s, each unless another one covers its key and effect (WL-10)."""
    covered = [
        toleration.key for toleration in spec.tolerations
        if toleration.effect in ("NoExecute", "") and toleration.key in (_NOT_READY, _UNREACHABLE, "")
    ]
    if "" in covered:
        return spec
    added = tuple(toleration for key, toleration in _ADDED.items() if key not in covered)
    return evolve(spec, tolerations=(*spec.tolerations, *added)) if added else spec


# --- DefaultStorageClass ----------------------------------------------------------------------------------------------

_DEFAULT_MARKS: Final = (
    "storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def is_default_class(storage_class: StorageClass) -> bool:
    """Whether the class is marked as a default, with exactly ``"true"``."""
    annotations = storage_class.metadata.annotations
    return any(annotations.get(mark) == "true" for mark in _DEFAULT_MARKS)


def default_class(store: Store) -> StorageClass | None:
    """The default storage class: the newest by whole seconds, then the first by name (VB-13)."""
    marked = [found for found in store.list(StorageClass) if is_default_class(found)]
    return min(marked, default=None,
               key=lambda found: (-((found.metadata.creation_timestamp or 0) // SECOND), found.metadata.name))


def with_class(store: Store, claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    """The claim with the default class written in, if it leaves the class open (VB-12)."""
    if claim.spec.storage_class_name is not None or BETA_CLASS in claim.metadata.annotations:
        return claim
    chosen = default_class(store)
    return claim if chosen is None else evolve(claim, spec=evolve(claim.spec, storage_class_name=chosen.metadata.name))


# --- StorageObjectInUseProtection -------------------------------------------------------------------------------------

_PROTECTION: Final = {
    "PersistentVolumeClaim": "kubernetes.io/pvc-protection", "PersistentVolume": "kubernetes.io/pv-protection",
    "VolumeAttributesClass": "kubernetes.io/vac-protection",
}


def with_protection(obj: AnyObject) -> AnyObject:
    """The object with the finalizer that keeps it while it is in use (VB-14)."""
    finalizer = _PROTECTION.get(obj.KIND)
    if finalizer is None or finalizer in obj.metadata.finalizers:
        return obj
    return with_meta(obj, finalizers=(*obj.metadata.finalizers, finalizer))


# --- PodTopologyLabels ------------------------------------------------------------------------------------------------

_TOPOLOGY: Final = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def topology_labels(store: Store, pod: Pod, node_name: str) -> Labels:
    """The pod's labels with region and zone of its node (the plugin is on by default since 1.35)."""
    node = store.get(Node, node_name)
    if node is None:
        return pod.metadata.labels
    found = {name: node.metadata.labels[name] for name in _TOPOLOGY if name in node.metadata.labels}
    return {**pod.metadata.labels, **found} if found else pod.metadata.labels


# --- PersistentVolumeClaimResize --------------------------------------------------------------------------------------


def resize_refusal(store: Store, claim: PersistentVolumeClaim, old: PersistentVolumeClaim) -> Refused | None:
    """Why a claim cannot grow (VB-177); the class must allow it even up to what the volume has already (VB-178)."""
    size, before = claim.request, old.request
    if size is None or (before is not None and size <= before):
        return None
    if old.status.phase != "Bound":
        return refuse_forbidden(claim, "Only bound persistent volume claims can be expanded")
    name = class_of(claim)
    found = store.get(StorageClass, name) if name and name == class_of(old) else None
    if found is not None and found.allow_volume_expansion:
        return None
    return refuse_forbidden(claim, "only dynamically provisioned pvc can be resized and the storageclass that "
                            "provisions the pvc must support resize")
