"""Proofs for clusters too large to look at every run: where what runs already stays out of the way.

Both begin with the same facts: nothing of the present cluster changes in a run, no present pod has to do with the new
ones, and the nodes in question have room for one of the new pods each.

- *Room to spare*, for classes that wait for the first consumer: wherever a new pod goes, it spoils one node for the
  others at the most. With at least as many good nodes as new pods the scheduler always finds one, whatever the ties
  give.
- *Without what runs already*, for classes that bind at once: which volume a claim gets does not depend on pods at all,
  and the volume says where its pod goes. So the odds are those of the cluster without the pods that run, and of such a
  cluster there may be a closed form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simulator.api.apps import StatefulSet, parent_and_ordinal
from simulator.api.core import (
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodAffinityTerm,
    ResourceQuota,
    Service,
)
from simulator.api.meta import Key, evolve
from simulator.api.nodes import HOSTNAME
from simulator.api.policy import PriorityClass
from simulator.api.storage import (
    NO_PROVISIONER,
    WAIT_FOR_FIRST_CONSUMER,
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    StorageClass,
)
from simulator.binding.reference import NOTHING, attributes_class, class_of, volume_mode
from simulator.eventlog import CHANGES
from simulator.explanation.verdict import CONVERGED, SCHEDULER_NAME
from simulator.preflight.input import Input
from simulator.preflight.inventory import Inventory, Template, Wish, anti_affinity_of, is_free
from simulator.scenario.load import Scenario
from simulator.scheduler.plugins.free_volumes import Reach
from simulator.scheduler.resources import PODS, allocatable, host_ports, pod_requests
from simulator.simulation import Run

_HARMLESS: Final = (StatefulSet, Service, PersistentVolume, StorageClass, Namespace)
"""Kinds that may be applied: nothing but sets makes pods or claims."""


class NotCovered(Exception):
    """Why a proof does not hold, in a clause."""


def room_to_spare(given: Input, inventory: Inventory, first: Run) -> str:
    """The proof that every run converges, in a sentence; "" if it does not hold."""
    try:
        if first.verdict != CONVERGED or first.failures:
            raise NotCovered("one run does not converge")
        templates = _new_pods(given, inventory)
        wanted = sum(template.replicas for template in templates)
        _check_calm(given, first)
        _check_strangers(given, inventory)
        least = min(len(_good_nodes(given, inventory, template)) for template in templates)
    except NotCovered:
        return ""
    if least < wanted:
        return ""
    pods = "the new pod finds a node" if wanted == 1 else (
        f"each of {wanted} new pods spoils one node for the others at the most, and they find one")
    return f"{pods}: {least} nodes have room and volumes for any of them"


def without_what_runs(given: Input, inventory: Inventory, first: Run) -> Scenario | None:
    """The cluster without what runs already, where that makes no difference to the odds; None if it may."""
    try:
        templates = _new_pods(given, inventory)
        if len(templates) != 1:
            raise NotCovered("more than one new set")
        _check_calm(given, first)
        _check_strangers(given, inventory)
        template = templates[0]
        wishes = [wish for wish in inventory.wishes if wish.template is template]
        classes = {wish.storage_class for wish in wishes}
        if not all(inventory.is_immediate(name) and not inventory.is_dynamic(name) for name in classes):
            raise NotCovered("a class waits, or makes volumes")
        volumes = [item.obj for name in classes for item in inventory.volumes_of_class(name) if is_free(item.obj)]
        roomy = {node.name for node in _roomy_nodes(given, inventory, template)}
        for node in inventory.nodes_for(template.pod):
            if node.name not in roomy and any(node in inventory.reach(volume) for volume in volumes):
                raise NotCovered(f"{node.name} has a volume, and what runs there may be in the way")
    except NotCovered:
        return None
    kept = {volume.key for volume in volumes}
    classes_kept = {Key(StorageClass.KIND, "", name) for name in classes}
    initial = given.scenario.initial
    objects = tuple(item for item in initial.objects if (
        isinstance(item.obj, (Node, Namespace, PriorityClass)) or item.obj.key in kept or item.obj.key in classes_kept))
    return evolve(given.scenario, initial=evolve(initial, objects=objects))


# --- what must hold ---------------------------------------------------------------------------------------------------


def _new_pods(given: Input, inventory: Inventory) -> list[Template]:
    """The new sets' pods, if nothing else is applied that could matter."""
    there = {item.obj.key for item in given.present}
    if not given.present or given.new_not_simulated:
        raise NotCovered("there is no cluster, or something applied is not simulated")
    for item in given.new:
        if not isinstance(item.obj, _HARMLESS) or item.obj.key in there:
            raise NotCovered(f"{item.obj.key} is applied")
    new = {item.obj.key for item in given.new if isinstance(item.obj, StatefulSet)}
    found = [template for template in inventory.templates if template.item.obj.key in new and template.replicas]
    if not found:
        raise NotCovered("no new set")
    for template in found:
        _check_plain(template)
    return found


def _check_plain(template: Template) -> None:
    """New pods that look at nothing but nodes: no ports, no rules by anything larger than a node, no foreign claims."""
    pod, spec = template.pod, template.pod.spec
    if spec.node_name or spec.scheduling_gates or host_ports(pod) or spec.scheduler_name not in ("", SCHEDULER_NAME):
        raise NotCovered("its pods are scheduled in a way of their own")
    if any(each.when_unsatisfiable != "ScheduleAnyway" for each in spec.topology_spread_constraints):
        raise NotCovered("its pods are to be spread")
    affinity = spec.affinity
    if affinity is not None and affinity.pod_affinity is not None and affinity.pod_affinity.required:
        raise NotCovered("its pods must be near others")
    if any(term.topology_key != HOSTNAME for term in anti_affinity_of(pod)):
        raise NotCovered("its pods must be apart by more than the node")
    if pod.claim_names or any(volume.csi is not None for volume in spec.volumes):
        raise NotCovered("its pods use claims that are not their own")
    if any(each.toleration_seconds is not None for each in spec.tolerations):
        raise NotCovered("its pods stand some taints for a time only")


def _check_calm(given: Input, first: Run) -> None:
    """Nothing of the present cluster changes but what the new sets take."""
    there = {item.obj.key for item in given.present}
    taken = {claim.spec.volume_name for claim in first.world.store.list(PersistentVolumeClaim)
             if claim.key not in there}
    for entry in first.log.entries:
        if entry.verb not in CHANGES or entry.verb == "load" or entry.key not in there:
            continue
        if not (entry.key.kind == PersistentVolume.KIND and entry.key.name in taken):
            raise NotCovered(f"{entry.key} changes")
    if any(isinstance(item.obj, ResourceQuota) for item in given.present):
        raise NotCovered("there are quotas")


def _check_strangers(given: Input, inventory: Inventory) -> None:
    """No present pod or claim waits for anything, and no volume or claim has to do with the new sets."""
    new = [item.obj for item in given.new if isinstance(item.obj, StatefulSet)]
    names = {(obj.namespace, obj.name) for obj in new}
    claims = {(obj.namespace, f"{template.name}-{obj.name}") for obj in new
              for template in obj.spec.volume_claim_templates}
    for item in given.present:
        obj = item.obj
        if obj.metadata.is_terminating:
            raise NotCovered(f"{obj.key} is being deleted")
        if isinstance(obj, Pod):
            member = parent_and_ordinal(obj.name)
            if not obj.is_finished and not obj.spec.node_name:
                raise NotCovered(f"{obj.key} waits")
            if member is not None and (obj.namespace, member[0]) in names:
                raise NotCovered(f"{obj.key} is there already")
        elif isinstance(obj, PersistentVolumeClaim):
            member = parent_and_ordinal(obj.name)
            if obj.status.phase == "Pending" or (member is not None and (obj.namespace, member[0]) in claims):
                raise NotCovered(f"{obj.key} waits, or is there already")
        elif isinstance(obj, PersistentVolume) and obj.spec.claim_ref is not None:
            reference = obj.spec.claim_ref
            member = parent_and_ordinal(reference.name)
            if not reference.uid or (member is not None and (reference.namespace, member[0]) in claims):
                raise NotCovered(f"{obj.key} is reserved")
    if any(not item.is_new and item.obj.status.phase in ("", "Pending") and item.obj.spec.claim_ref is None
           for item in inventory.volumes):
        raise NotCovered("a volume is not looked at yet")


def _roomy_nodes(given: Input, inventory: Inventory, template: Template) -> Iterator[Node]:
    """The healthy open nodes with room for one of the pods, and no pod that wants to be apart from it."""
    pods: dict[str, list[Pod]] = {}
    hostnames: dict[str, int] = {}
    for obj in (item.obj for item in given.present):
        if isinstance(obj, Pod) and obj.spec.node_name and not obj.is_finished:
            pods.setdefault(obj.spec.node_name, []).append(obj)
    for item in inventory.nodes:
        name = item.obj.metadata.labels.get(HOSTNAME, "")
        hostnames[name] = hostnames.get(name, 0) + 1
    if any(
        term.topology_key != HOSTNAME and _selects(term, pod, template.pod)
        for there in pods.values() for pod in there for term in anti_affinity_of(pod)
    ):
        raise NotCovered("pods that run want to be apart from the new ones by more than the node")
    own = anti_affinity_of(template.pod)
    wanted = {PODS: 1, **pod_requests(template.pod)}
    for node in inventory.nodes_for(template.pod):
        there = pods.get(node.name, [])
        if hostnames.get(node.metadata.labels.get(HOSTNAME, ""), 2) != 1 or not _is_healthy(node):
            continue
        used: dict[str, int] = {PODS: len(there)}
        for pod in there:
            for resource, amount in pod_requests(pod).items():
                used[resource] = used.get(resource, 0) + amount
        has = allocatable(node)
        if any(has.get(resource, 0) - used.get(resource, 0) < amount for resource, amount in wanted.items()):
            continue
        if any(_selects(term, template.pod, pod) for pod in there for term in own):
            continue
        if any(_selects(term, pod, template.pod) for pod in there for term in anti_affinity_of(pod)):
            continue
        yield node


def _selects(term: PodAffinityTerm, owner: Pod, other: Pod) -> bool:
    """Whether a pod's term may be about another pod; where namespaces are selected by labels, it is taken to be."""
    if term.namespace_selector is None and other.namespace not in (term.namespaces or (owner.namespace,)):
        return False
    return term.label_selector is not None and term.label_selector.selects(other.metadata.labels)


def _is_healthy(node: Node) -> bool:
    if node.spec.taints or node.metadata.is_terminating or node.condition("Ready") is None:
        return False
    return all(each.status == ("True" if each.type == "Ready" else "False") for each in node.status.conditions)


def _good_nodes(given: Input, inventory: Inventory, template: Template) -> list[Node]:
    """The roomy nodes with enough volumes of their own for one of the pods, or for which volumes can be made."""
    by_class: dict[str, list[Wish]] = {}
    for wish in inventory.wishes:
        if wish.template is not template:
            continue
        found = inventory.storage_class(wish.storage_class)
        if found is None or found.allowed_topologies or wish.claim.spec.volume_name or wish.bound:
            raise NotCovered("a class is missing, or its claims are not new")
        if found.provisioner == NO_PROVISIONER:
            if found.volume_binding_mode != WAIT_FOR_FIRST_CONSUMER:
                raise NotCovered("a class does not wait")
            by_class.setdefault(wish.storage_class, []).append(wish)
        else:
            _check_dynamic(inventory, found)
    enough: dict[str, int] = {}
    for name, alike in by_class.items():
        counts: dict[str, int] = {}
        for item in inventory.volumes_of_class(name):
            reach = Reach.of(item.obj)
            if reach.label == HOSTNAME and len(reach.values) == 1 and is_free(item.obj) and all(
                _will_do(item.obj, wish) for wish in alike
            ):
                counts[reach.values[0]] = counts.get(reach.values[0], 0) + 1
        for host, number in counts.items():
            enough[host] = enough.get(host, 0) + (number >= len(alike))
    return [node for node in _roomy_nodes(given, inventory, template)
            if enough.get(node.metadata.labels[HOSTNAME], 0) == len(by_class)]


def _check_dynamic(inventory: Inventory, storage_class: StorageClass) -> None:
    """A class whose volumes are made wherever they are wanted, and can be reached from everywhere."""
    if storage_class.provisioner.startswith("kubernetes.io/") or storage_class.provisioner in inventory.provisioners:
        raise NotCovered("nobody makes its volumes, or somebody with a will of his own")
    if inventory.has(CSIDriver) or inventory.has(CSINode) or inventory.has(CSIStorageCapacity):
        raise NotCovered("how many volumes there can be on a node is limited")
    if storage_class.volume_binding_mode != WAIT_FOR_FIRST_CONSUMER and any(
        is_free(item.obj) for item in inventory.volumes_of_class(storage_class.name)
    ):
        raise NotCovered("a claim may get a volume that is there already, wherever it is")


def _will_do(volume: PersistentVolume, wish: Wish) -> bool:
    claim = wish.claim
    return (
        volume_mode(volume) == volume_mode(claim) and attributes_class(volume) == attributes_class(claim)
        and set(claim.spec.access_modes) <= set(volume.spec.access_modes)
        and (claim.spec.selector is None or claim.spec.selector.selects(volume.metadata.labels))
        and (claim.request or NOTHING) <= (volume.capacity or NOTHING) and class_of(volume) == wish.storage_class
    )
