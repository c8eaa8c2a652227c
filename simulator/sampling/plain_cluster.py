"""The nodes and volumes that a set's claims draw from, if all are plain: local volumes that are free, healthy nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, Toleration
from simulator.api.meta import encode
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import IMMEDIATE, NO_PROVISIONER, StorageClass
from simulator.binding.names import PROTECTS_VOLUME, PROVISIONED_BY
from simulator.binding.reference import bucket_of, class_of, volume_mode
from simulator.sampling.closed_forms import Level, Pool
from simulator.sampling.plain_set import UnknownToForms, only
from simulator.scheduler.plugins.taint_toleration import has_untolerated_taint
from simulator.scheduler.resources import PODS, allocatable, pod_requests
from simulator.units import Quantity

_OWN_TAINTS: Final = "node.kubernetes.io/"
_CORDONED: Final = "node.kubernetes.io/unschedulable"
_VOLUME: Final = frozenset({
    "capacity", "accessModes", "persistentVolumeReclaimPolicy", "storageClassName", "local", "nodeAffinity",
    "volumeMode",
})
_NOTES: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration", PROVISIONED_BY})


# --- nodes ----------------------------------------------------------------------------------------------------------


def usable_nodes(pod: Pod, nodes: Sequence[Node], volumes: Sequence[PersistentVolume]) -> tuple[str, ...]:
    """The hostnames of the nodes that have volumes and can run one pod of the set, and always will.

    Parameters
    ----------
    pod : as the API server admits it.
    volumes : plain ones, as `check_volume` has them.

    Raises
    ------
    UnknownToForms
        If that may change, or if nodes cannot be told apart.
    """
    hostnames = [node.metadata.labels[HOSTNAME] for node in nodes if HOSTNAME in node.metadata.labels]
    if len(set(hostnames)) < len(hostnames):
        raise UnknownToForms(f"two nodes have the same label {HOSTNAME}")
    wanted = {PODS: 1, **pod_requests(pod)}
    places = {_hostname(volume) for volume in volumes}
    usable = []
    for node in nodes:
        _check_node(pod, node)
        given = allocatable(node)
        is_open = not node.spec.unschedulable and not has_untolerated_taint(pod, node.spec.taints)
        is_large_enough = all(given.get(name, 0) >= amount for name, amount in wanted.items())
        if is_open and is_large_enough and node.metadata.labels.get(HOSTNAME) in places:
            usable.append(node.metadata.labels[HOSTNAME])
    return tuple(usable)


def _check_node(pod: Pod, node: Node) -> None:
    for condition in node.status.conditions:
        if condition.status != ("True" if condition.type == "Ready" else "False"):
            raise UnknownToForms(f"the node {node.name} has the condition {condition.type}={condition.status}")
    if node.condition("Ready") is None:
        raise UnknownToForms(f"the node {node.name} does not say that it is ready")
    is_cordoned = node.spec.unschedulable
    for taint in node.spec.taints:
        if taint.key.startswith(_OWN_TAINTS) and taint.key != _CORDONED:
            raise UnknownToForms(f"the node {node.name} has the taint {taint.key}")
        is_cordoned = is_cordoned or taint.key == _CORDONED
        if taint.effect == "NoExecute" and any(_is_for_a_time(each) for each in pod.spec.tolerations):
            raise UnknownToForms(f"the pods may stand the taint {taint.key} of {node.name} for some time only")
    if is_cordoned and any(each.key in ("", _CORDONED) for each in pod.spec.tolerations):
        raise UnknownToForms(f"the pods may stand that {node.name} is cordoned")


def _is_for_a_time(toleration: Toleration) -> bool:
    """The two that the API server adds are about taints that no node here has."""
    return toleration.toleration_seconds is not None and not toleration.key.startswith(_OWN_TAINTS)


# --- volumes --------------------------------------------------------------------------------------------------------


def check_volume(volume: PersistentVolume) -> None:
    """See to it that a volume is free, local, and on one node.

    Raises
    ------
    UnknownToForms
        If it is not, or if something else about it might matter.
    """
    name = volume.name
    if volume.spec.claim_ref is not None or volume.status.phase != "Available":
        raise UnknownToForms(f"the volume {name} is not free")
    if set(volume.metadata.finalizers) != {PROTECTS_VOLUME}:
        raise UnknownToForms(f"the volume {name} has finalizers of its own, or lacks Kubernetes'")
    if not _NOTES.issuperset(volume.metadata.annotations):
        raise UnknownToForms(f"the volume {name} has annotations")
    if any(label.endswith(("/zone", "/region")) for label in volume.metadata.labels):
        raise UnknownToForms(f"the volume {name} lies in a zone")
    only(encode(volume.spec), _VOLUME, f"the volume {name}")
    if volume.spec.local is None or volume.capacity is None:
        raise UnknownToForms(f"the volume {name} is not local to a node")
    _hostname(volume)


def _hostname(volume: PersistentVolume) -> str:
    """The one node that a volume is on, by hostname; whether the cluster has that node is another matter."""
    affinity = volume.spec.node_affinity
    terms = affinity.required.node_selector_terms if affinity is not None and affinity.required is not None else ()
    if len(terms) == 1 and len(terms[0].match_expressions) == 1 and not terms[0].match_fields:
        expression = terms[0].match_expressions[0]
        if (expression.key, expression.operator, len(expression.values)) == (HOSTNAME, "In", 1):
            return expression.values[0]
    raise UnknownToForms(f"the volume {volume.name} is not tied to one node by its hostname")


def pool_of(
    templates: Sequence[PersistentVolumeClaim], storage_class: StorageClass | None, volumes: Sequence[PersistentVolume],
    nodes: Sequence[str],
) -> Pool:
    """What the claims of one class draw from, by capacity and node.

    Parameters
    ----------
    templates : the set's claim templates of that class.
    storage_class : None if there is no such object; then claims are bound at once too (VB-47), and no volumes are made.
    volumes : all there are.
    nodes : the hostnames of those that can run the pods.

    Raises
    ------
    UnknownToForms
        If the class waits or makes volumes, or if not all claims, or not all volumes, of the class are alike.
    """
    claim = templates[0]
    name = class_of(claim)
    kind = f"of class {name}" if name else "without a class"
    if any(other.spec != claim.spec for other in templates):
        raise UnknownToForms(f"the claim templates {kind} are not alike")
    if storage_class is not None:
        _check_class(storage_class)
    mine = [volume for volume in volumes if class_of(volume) == name]
    shapes = {(bucket_of(volume), volume_mode(volume)) for volume in mine}
    if len(shapes) > 1:
        raise UnknownToForms(f"the volumes {kind} differ in accessModes or volumeMode")
    for modes, mode in shapes:
        if not set(claim.spec.access_modes).issubset(modes) or mode != volume_mode(claim):
            raise UnknownToForms(f"the volumes {kind} have other modes than the claims ask for")
    request = claim.request
    sizes: dict[Quantity, list[str]] = {}
    for volume in mine:
        size = volume.capacity
        if request is not None and size is not None and request <= size:  # smaller ones are never taken (VB-32)
            sizes.setdefault(size, []).append(_hostname(volume))
    levels = [_level(sizes[size], nodes) for size in sorted(sizes)]
    return Pool(len(templates), tuple(levels) or (Level((0,) * len(nodes)),))


def _check_class(storage_class: StorageClass) -> None:
    name = storage_class.name
    if storage_class.volume_binding_mode != IMMEDIATE:
        mode = storage_class.volume_binding_mode or "no volumeBindingMode"
        raise UnknownToForms(f"class {name} does not bind claims at once ({mode})")
    if storage_class.provisioner != NO_PROVISIONER:
        raise UnknownToForms(f"class {name} has a provisioner")
    if storage_class.allowed_topologies:
        raise UnknownToForms(f"class {name} has allowedTopologies")


def _level(places: Sequence[str], nodes: Sequence[str]) -> Level:
    count = Counter(places)
    there = tuple(count[node] for node in nodes)
    return Level(there, len(places) - sum(there))
