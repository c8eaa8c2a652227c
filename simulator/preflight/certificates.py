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

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

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
from simulator.api.meta import Key, Object, evolve
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
from simulator.cluster.admission.defaults import with_defaults
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
        crews = _crews(given, inventory)
        wanted = sum(crew.number for crew in crews)
        _check_calm(given, first)
        _check_strangers(given, inventory, crews)
        least = min(len(_good_nodes(given, inventory, crew)) for crew in crews)
    except NotCovered:
        return ""
    if least < wanted:
        return ""
    pods = "the new pod finds a node" if wanted == 1 else (
        f"each of {wanted} new pods spoils one node for the others at the most, and they find one")
    have = "1 node has" if least == 1 else f"{least} nodes have"
    return f"{pods}: {have} room and volumes for any of them"


def without_what_runs(given: Input, inventory: Inventory, first: Run) -> Scenario | None:
    """The cluster without what runs already, where that makes no difference to the odds; None if it may."""
    try:
        crews = _crews(given, inventory)
        if len(crews) != 1 or not crews[0].is_whole:
            raise NotCovered("more than one new set, or not a new one")
        _check_calm(given, first)
        _check_strangers(given, inventory, crews)
        template = crews[0].template
        wishes = [wish for wish in inventory.wishes if wish.template is template]
        classes = sorted({wish.storage_class for wish in wishes})
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


class Crew(Struct, frozen=True):
    """Pods that are to come: all of a new set, or those that an existing one is given more of.

    Attributes
    ----------
    first : the first ordinal that is to come.
    number : how many.
    """

    template: Template
    sts: StatefulSet
    first: int
    number: int

    @property
    def is_whole(self) -> bool:
        """Whether the set is new."""
        return self.number == self.sts.replicas


def _crews(given: Input, inventory: Inventory) -> list[Crew]:
    """The pods that are to come, if nothing is applied but what makes them."""
    there = {item.obj.key: item.obj for item in given.present}
    if not given.present or given.new_not_simulated:
        raise NotCovered("there is no cluster, or something applied is not simulated")
    has_set = False
    for item in given.new:
        is_set = isinstance(item.obj, StatefulSet)
        has_set = has_set or is_set
        if not isinstance(item.obj, _HARMLESS) or (item.obj.key in there and not is_set):
            raise NotCovered(f"{item.obj.key} is applied")
        if isinstance(item.obj, StorageClass) and has_set:
            raise NotCovered("a class comes after a set: its claims may be bound as if there were no class")
    new = {item.obj.key for item in given.new}
    found = [_crew(template, there.get(template.item.obj.key))
             for template in inventory.templates if template.item.obj.key in new]
    crews = [crew for crew in found if crew.number]
    if not crews:
        raise NotCovered("no pod is to come")
    for crew in crews:
        _check_plain(crew.template)
    return crews


def _crew(template: Template, before: Object | None) -> Crew:
    """The pods of a set that are to come; `before` is the set as it is."""
    sts = template.item.obj
    assert isinstance(sts, StatefulSet)
    if before is None:
        return Crew(template, sts, sts.start, sts.replicas)
    old = with_defaults(before)
    assert isinstance(old, StatefulSet)
    if evolve(sts.spec, replicas=old.replicas) != evolve(old.spec, replicas=old.replicas) or (
        sts.replicas < old.replicas or old.status.ready_replicas != old.replicas
    ):
        raise NotCovered("more than the number of replicas is changed, or it is not up")
    return Crew(template, sts, old.start + old.replicas, sts.replicas - old.replicas)


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
    there = {item.obj.key for item in given.present} - {item.obj.key for item in given.new}
    taken = {claim.spec.volume_name for claim in first.world.store.list(PersistentVolumeClaim)
             if claim.key not in there}
    for entry in first.log.entries:
        if entry.verb not in CHANGES or entry.verb == "load" or entry.key not in there:
            continue
        if not (entry.key.kind == PersistentVolume.KIND and entry.key.name in taken):
            raise NotCovered(f"{entry.key} changes")
    if any(isinstance(item.obj, ResourceQuota) for item in given.present):
        raise NotCovered("there are quotas")


def _check_strangers(given: Input, inventory: Inventory, crews: Sequence[Crew]) -> None:
    """No present pod or claim waits for anything, and no object has to do with the pods that are to come."""
    first_of = {(crew.sts.namespace, crew.sts.name): crew.first for crew in crews}
    first_of |= {(crew.sts.namespace, f"{template.name}-{crew.sts.name}"): crew.first
                 for crew in crews for template in crew.sts.spec.volume_claim_templates}

    def is_to_come(namespace: str, name: str) -> bool:
        member = parent_and_ordinal(name)
        return member is not None and member[1] >= first_of.get((namespace, member[0]), member[1] + 1)

    for obj in (item.obj for item in given.present):
        if obj.metadata.is_terminating:
            raise NotCovered(f"{obj.key} is being deleted")
        if isinstance(obj, Pod):
            if not obj.is_finished and not obj.spec.node_name:
                raise NotCovered(f"{obj.key} waits")
            if is_to_come(obj.namespace, obj.name):
                raise NotCovered(f"{obj.key} is there already")
        elif isinstance(obj, PersistentVolumeClaim):
            if obj.status.phase != "Bound" or is_to_come(obj.namespace, obj.name):
                raise NotCovered(f"{obj.key} waits, or is there already")
        elif isinstance(obj, PersistentVolume) and (reference := obj.spec.claim_ref) is not None and (
            not reference.uid or is_to_come(reference.namespace, reference.name)
        ):
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


def _good_nodes(given: Input, inventory: Inventory, crew: Crew) -> list[Node]:
    """The roomy nodes with enough volumes of their own for one of the pods, or for which volumes can be made."""
    by_class: dict[str, list[Wish]] = {}
    for wish in inventory.wishes:
        if wish.template is not crew.template:
            continue
        found = inventory.storage_class(wish.storage_class)
        if found is None or found.allowed_topologies or wish.claim.spec.volume_name:
            raise NotCovered("a class is missing, or its claims ask for a volume by name")
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
    return [node for node in _roomy_nodes(given, inventory, crew.template)
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
