"""How experiments take facts away: edits of a draft that leave everything else as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from simulator.api.apps import StatefulSet
from simulator.api.core import (
    Condition,
    Node,
    NodeAffinity,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
    Pod,
    PodAffinity,
    PodSchedulingGate,
    PodSpec,
    Resources,
    Taint,
    VolumeNodeAffinity,
    set_condition,
)
from simulator.api.meta import Key, ObjectMeta, evolve, with_annotations, with_meta
from simulator.api.nodes import HOSTNAME
from simulator.api.placement import PodAffinityTerm
from simulator.api.selectors import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from simulator.api.storage import StorageClass
from simulator.api.volumes import CSIPersistentVolumeSource, LocalVolumeSource
from simulator.binding.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE
from simulator.binding.reference import class_of
from simulator.cluster.admission.nodes import ASSUMED_CAPACITY
from simulator.diagnosis.draft import Draft
from simulator.units import quantity

ELSEWHERE: Final = "bindsim-elsewhere"
"""The node to which experiments move pods that are to be out of the way: nobody else fits there."""
ASIDE: Final = "bindsim-aside"
"""A gate, and a class that does not exist: what has it waits for ever."""
IDEAL: Final = "ideal.bindsim"
"""A provisioner that answers, and has room everywhere."""
_CLOSED: Final = Taint(key="bindsim/elsewhere", effect="NoSchedule")
_DOWN_TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_READY: Final = Condition(type="Ready", status="True", reason="KubeletReady",
                          message="kubelet is posting ready status")


# --- pods -----------------------------------------------------------------------------------------------------------


def move_away(draft: Draft, keys: Iterable[Key]) -> None:
    """Let pods run on a node of their own, which has room for nobody else."""
    moved = [pod for key in keys if isinstance(pod := draft.objects.get(key), Pod)]
    if not moved:
        return
    for pod in moved:
        draft.put(evolve(pod, spec=evolve(pod.spec, node_name=ELSEWHERE)))
    there = sum(pod.spec.node_name == ELSEWHERE for pod in draft.list(Pod))
    size = {**ASSUMED_CAPACITY, "pods": quantity(str(there))}
    node = Node(metadata=ObjectMeta(name=ELSEWHERE, labels={HOSTNAME: ELSEWHERE}))
    node = evolve(node, spec=evolve(node.spec, taints=(_CLOSED,), unschedulable=True),
                  status=evolve(node.status, capacity=size, allocatable=size, conditions=(_READY,)))
    draft.put(node)


def set_aside(draft: Draft, key: Key) -> None:
    """Keep an unscheduled pod, or an unbound claim, from taking anything."""
    obj = draft.objects.get(key)
    if isinstance(obj, Pod) and not obj.spec.node_name and not obj.metadata.is_terminating:
        gate = PodSchedulingGate(name=ASIDE)
        draft.put(evolve(obj, spec=evolve(obj.spec, scheduling_gates=(*obj.spec.scheduling_gates, gate))))
    elif isinstance(obj, PersistentVolumeClaim) and not obj.spec.volume_name:
        draft.put(evolve(obj, spec=evolve(obj.spec, storage_class_name=ASIDE)))


def make_ready(draft: Draft, key: Key) -> None:
    """Let a pod that runs be Ready."""
    pod = draft.objects.get(key)
    if isinstance(pod, Pod) and pod.status.phase == "Running":
        conditions = pod.status.conditions
        for kind in ("ContainersReady", "Ready"):
            conditions = set_condition(conditions, Condition(type=kind, status="True"), 0)
        draft.put(evolve(pod, status=evolve(pod.status, conditions=conditions)))


def change_pod(draft: Draft, key: Key, change: Callable[[PodSpec], PodSpec]) -> None:
    """Change what a pod asks for."""
    pod = draft.objects.get(key)
    if isinstance(pod, Pod):
        draft.put(evolve(pod, spec=change(pod.spec)))


def without_node_rules(spec: PodSpec) -> PodSpec:
    """No node selector, and no required node affinity."""
    affinity = spec.affinity
    if affinity is not None and affinity.node_affinity is not None:
        affinity = evolve(affinity, node_affinity=NodeAffinity())
    return evolve(spec, node_selector={}, affinity=affinity)


def without_apart(spec: PodSpec, term: PodAffinityTerm) -> PodSpec:
    """One required anti-affinity term less."""
    affinity = spec.affinity
    if affinity is None or affinity.pod_anti_affinity is None:
        return spec
    return evolve(spec, affinity=evolve(affinity, pod_anti_affinity=_less(affinity.pod_anti_affinity, term)))


def without_together(spec: PodSpec, term: PodAffinityTerm) -> PodSpec:
    """One required affinity term less."""
    affinity = spec.affinity
    if affinity is None or affinity.pod_affinity is None:
        return spec
    return evolve(spec, affinity=evolve(affinity, pod_affinity=_less(affinity.pod_affinity, term)))


def _less(rules: PodAffinity, term: PodAffinityTerm) -> PodAffinity:
    kept = tuple(other for other in rules.required if other != term)
    return evolve(rules, required_during_scheduling_ignored_during_execution=kept)


def without_rule_everywhere(draft: Draft, owner: Key, term: PodAffinityTerm) -> None:
    """Drop a required anti-affinity term from a pod, or from a set with all its pods."""
    obj = draft.objects.get(owner)
    if isinstance(obj, Pod):
        change_pod(draft, owner, lambda spec: without_apart(spec, term))
    elif isinstance(obj, StatefulSet):
        template = obj.spec.template
        draft.put(evolve(obj, spec=evolve(
            obj.spec, template=evolve(template, spec=without_apart(template.spec, term)))))
        for pod in draft.list(Pod):
            controller = pod.metadata.controller
            if controller is not None and controller.uid == obj.metadata.uid:
                draft.put(evolve(pod, spec=without_apart(pod.spec, term)))


def without_requests(spec: PodSpec, resource: str) -> PodSpec:
    """No container asks for a resource."""
    def less(resources: Resources) -> Resources:
        return {name: amount for name, amount in resources.items() if name != resource}

    containers = tuple(
        evolve(one, resources=evolve(one.resources, requests=less(one.resources.requests)))
        for one in spec.containers
    )
    first = tuple(
        evolve(one, resources=evolve(one.resources, requests=less(one.resources.requests)))
        for one in spec.init_containers
    )
    whole = spec.resources
    if whole is not None:
        whole = evolve(whole, requests=less(whole.requests))
    return evolve(spec, containers=containers, init_containers=first, resources=whole, overhead=less(spec.overhead))


def without_host_ports(spec: PodSpec) -> PodSpec:
    """No container asks for a port of its node."""
    return evolve(spec, containers=tuple(
        evolve(one, ports=tuple(evolve(port, host_port=0) for port in one.ports)) for one in spec.containers
    ))


def without_claim(spec: PodSpec, claim: str) -> PodSpec:
    """The pod no longer uses a claim."""
    gone = {
        volume.name for volume in spec.volumes
        if volume.persistent_volume_claim is not None and volume.persistent_volume_claim.claim_name == claim
    }
    return evolve(spec, volumes=tuple(volume for volume in spec.volumes if volume.name not in gone))


# --- nodes ----------------------------------------------------------------------------------------------------------


def uncordon(draft: Draft, name: str) -> None:
    """Open a node for new pods."""
    if (node := draft.get(Node, name)) is not None:
        taints = tuple(taint for taint in node.spec.taints if taint.key != "node.kubernetes.io/unschedulable")
        draft.put(evolve(node, spec=evolve(node.spec, unschedulable=False, taints=taints)))


def untaint(draft: Draft, name: str, key: str, effect: str) -> None:
    """Take a taint from a node."""
    if (node := draft.get(Node, name)) is not None:
        kept = tuple(taint for taint in node.spec.taints if (taint.key, taint.effect) != (key, effect))
        draft.put(evolve(node, spec=evolve(node.spec, taints=kept)))


def revive(draft: Draft, name: str) -> None:
    """Let a node's kubelet speak again, and the pods on it be as they were."""
    for pod in draft.list(Pod):
        if pod.spec.node_name == name and pod.key not in draft.never_ready:
            make_ready(draft, pod.key)
    draft.stopped.pop(name, None)
    draft.remove(Key("Lease", "kube-node-lease", name))
    if (node := draft.get(Node, name)) is not None:
        conditions = set_condition(node.status.conditions, _READY, 0)
        taints = tuple(taint for taint in node.spec.taints if taint.key not in _DOWN_TAINTS)
        draft.put(evolve(node, spec=evolve(node.spec, taints=taints),
                         status=evolve(node.status, conditions=conditions)))


def enlarge(draft: Draft, name: str, resource: str, amount: str) -> None:
    """Let a node have more of a resource."""
    if (node := draft.get(Node, name)) is not None:
        sizes = {**node.status.allocatable, resource: quantity(amount)}
        whole = {**node.status.capacity, resource: quantity(amount)}
        draft.put(evolve(node, status=evolve(node.status, allocatable=sizes, capacity=whole)))


def add_node(draft: Draft, name: str) -> None:
    """Add a node with the usual size, whose kubelet speaks."""
    draft.stopped.pop(name, None)
    draft.put(Node(metadata=ObjectMeta(name=name, labels={HOSTNAME: name})))


# --- claims and volumes ---------------------------------------------------------------------------------------------


def unbind(draft: Draft, key: Key) -> None:
    """Make a claim as it was before it got its volume, and the volume free."""
    claim = draft.objects.get(key)
    if not isinstance(claim, PersistentVolumeClaim):
        return
    if (volume := draft.get(PersistentVolume, claim.spec.volume_name)) is not None and _is_of(volume, claim):
        free(draft, volume.name)
    claim = with_annotations(claim, {BIND_COMPLETED: None, BOUND_BY_CONTROLLER: None, SELECTED_NODE: None})
    draft.put(evolve(claim, spec=evolve(claim.spec, volume_name=""),
                     status=PersistentVolumeClaimStatus(phase="Pending")))


def _is_of(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    reference = volume.spec.claim_ref
    return reference is not None and reference.uid in ("", claim.metadata.uid)


def free(draft: Draft, name: str) -> None:
    """Make a volume Available for everybody."""
    if (volume := draft.get(PersistentVolume, name)) is not None:
        volume = with_annotations(volume, {BOUND_BY_CONTROLLER: None})
        volume = with_meta(volume, deletion_timestamp=None, deletion_grace_period_seconds=None)
        draft.put(evolve(volume, spec=evolve(volume.spec, claim_ref=None),
                         status=evolve(volume.status, phase="Available", message="", reason="")))


def twin(draft: Draft, name: str) -> None:
    """Add a free volume like one that is taken."""
    if (volume := draft.get(PersistentVolume, name)) is not None:
        other = with_meta(volume, name=f"{name}-twin", uid="", finalizers=(), deletion_timestamp=None)
        draft.put(evolve(other, spec=evolve(other.spec, claim_ref=None), status=type(volume.status)()))


def add_volume(draft: Draft, claim: PersistentVolumeClaim, nodes: Sequence[str], name: str = "") -> None:
    """Add a free volume that fits a claim, on each of some nodes; without nodes one that is reachable everywhere."""
    now = draft.objects.get(claim.key)
    claim = now if isinstance(now, PersistentVolumeClaim) else claim  # it may ask for something else by now
    for node in nodes or ("",):
        volume = fitting_volume(claim, name or f"bindsim-{claim.name}-{node or 'anywhere'}", node)
        draft.put(volume)


def fitting_volume(claim: PersistentVolumeClaim, name: str, node: str) -> PersistentVolume:
    """A volume that a claim could take: local to a node, or reachable from everywhere."""
    labels = dict(claim.spec.selector.match_labels) if claim.spec.selector is not None else {}
    volume = PersistentVolume(metadata=ObjectMeta(name=name, labels=labels))
    return evolve(volume, spec=evolve(
        volume.spec, capacity={"storage": claim.request or quantity("1Gi")}, access_modes=claim.spec.access_modes,
        storage_class_name=class_of(claim), persistent_volume_reclaim_policy="Retain",
        volume_mode=claim.spec.volume_mode, volume_attributes_class_name=claim.spec.volume_attributes_class_name,
        node_affinity=_only_on(node) if node else None, **_behind(claim, name),
    ))


def _behind(claim: PersistentVolumeClaim, name: str) -> dict[str, Any]:
    """A local directory; a VolumeAttributesClass takes a driver."""
    if claim.spec.volume_attributes_class_name:
        return {"csi": CSIPersistentVolumeSource(driver=IDEAL, volume_handle=name)}
    return {"local": LocalVolumeSource(path=f"/mnt/disks/{name}")}


def _only_on(node: str) -> VolumeNodeAffinity:
    expression = NodeSelectorRequirement(key=HOSTNAME, operator="In", values=(node,))
    return VolumeNodeAffinity(required=NodeSelector(
        node_selector_terms=(NodeSelectorTerm(match_expressions=(expression,)),)))


def reach_everywhere(draft: Draft, names: Iterable[str]) -> None:
    """Let volumes be reached from every node."""
    for name in names:
        if (volume := draft.get(PersistentVolume, name)) is not None:
            draft.put(evolve(volume, spec=evolve(volume.spec, node_affinity=None)))


def change_claim(draft: Draft, key: Key, **changes: object) -> None:
    """Change what a claim asks for."""
    claim = draft.objects.get(key)
    if isinstance(claim, PersistentVolumeClaim):
        draft.put(evolve(claim, spec=evolve(claim.spec, **changes)))


def change_volumes(draft: Draft, names: Iterable[str], **changes: object) -> None:
    """Change some volumes."""
    for name in names:
        if (volume := draft.get(PersistentVolume, name)) is not None:
            draft.put(evolve(volume, spec=evolve(volume.spec, **changes)))


def let_provision(draft: Draft, name: str) -> None:
    """Let a class have a provisioner that answers, and has room; there may be no such class yet."""
    storage_class = draft.get(StorageClass, name)
    if storage_class is None:
        storage_class = StorageClass(metadata=ObjectMeta(name=name), volume_binding_mode="Immediate",
                                     reclaim_policy="Delete")
    draft.put(evolve(storage_class, provisioner=IDEAL, allowed_topologies=()))

