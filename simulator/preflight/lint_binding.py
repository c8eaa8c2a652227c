"""Lints about claims that are bound without regard to where their pods may run."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import StorageClass
from simulator.explanation.words import count, domain, listing
from simulator.preflight.candidates import supply, taken
from simulator.preflight.inventory import NODE_LOCAL, Inventory, Item, Wish, domain_of
from simulator.preflight.registry import Found, lint
from simulator.preflight.result import ERROR, NOTE, WARNING


def _class_words(inventory: Inventory, wish: Wish) -> str:
    name = wish.storage_class
    if not name:
        return "claims without a class are bound at once"
    if inventory.storage_class(name) is None:
        return f"class {name} has no StorageClass object, so claims are bound at once"
    return f"class {name} binds Immediate"


def _mend(wish: Wish) -> str:
    name = wish.storage_class or "a class of its own for these volumes"
    return (f"volumeBindingMode: WaitForFirstConsumer for {f'class {name}' if wish.storage_class else name} (a class "
            "cannot be changed: delete it and make it again, before the claims are made)")


def _domains(inventory: Inventory, volumes: list[Item[PersistentVolume]], label: str) -> list[str]:
    """The one domain of each volume that is in one only."""
    found = (domain_of(inventory.reach(item.obj), label) for item in volumes)
    return [value for value in found if value is not None]


def _domains_of_bound(inventory: Inventory, wish: Wish, label: str) -> dict[int, str]:
    """Ordinal → the one domain in which its claim's volume is."""
    found: dict[int, str] = {}
    for ordinal, name in wish.bound.items():
        volume = inventory.get(PersistentVolume, name)
        value = domain_of(inventory.reach(volume.obj), label) if volume is not None else None
        if value is not None:
            found[ordinal] = value
    return found


@lint
def immediate_with_anti_affinity(inventory: Inventory) -> Iterator[Found]:
    """Claims are bound to node-local volumes before pods that must not share a node are scheduled."""
    for wish in inventory.wishes:
        template = wish.template
        if template is None or wish.number < 2 or wish.open < 1 or not inventory.is_immediate(wish.storage_class):
            continue
        for _, term in template.apart:
            found = _collision(inventory, wish, term.topology_key)
            if found is None:
                continue
            severity, how = found
            yield Found(
                severity, wish.item,
                f"{_class_words(inventory, wish)}; its pods may not share a {domain(term.topology_key)}, and {how}",
                "the volume is chosen before the pod: two claims on one "
                f"{domain(term.topology_key)}, and the second pod can run nowhere, for good",
                _mend(wish), f"{template.path}.affinity.podAntiAffinity")
            break


def _collision(inventory: Inventory, wish: Wish, label: str) -> tuple[str, str] | None:
    """How two of the claims may come to lie in one domain; None if they cannot."""
    place = domain(label)
    provisioner = _local_provisioner(inventory, wish.storage_class, label)
    if provisioner and wish.open > 1:
        return WARNING, f"provisioner {provisioner} makes each volume on one {place}, whichever it likes"
    if inventory.is_dynamic(wish.storage_class):
        return None
    outcome = taken(supply(inventory, wish).volumes, wish.open)
    fixed = [*_domains_of_bound(inventory, wish, label).values(), *_domains(inventory, outcome.certain, label)]
    crowded = _twice(fixed)
    if crowded and outcome.certain:
        return ERROR, f"the smallest volumes that its claims will get are twice on {crowded}"
    tied = _domains(inventory, outcome.tied, label)
    if outcome.drawn and set(tied) & set(fixed):
        there = next(value for value in tied if value in fixed)
        return WARNING, f"a claim may get a volume on {there}, where another one has one already"
    crowded = _twice(tied)
    if outcome.drawn > 1 and crowded:
        alike = count(tied.count(crowded), "equally good free volume")
        return WARNING, f"there are {alike} on {crowded} alone"
    return None


def _twice(values: list[str]) -> str:
    return next((value for value in values if values.count(value) > 1), "")


def _local_provisioner(inventory: Inventory, class_name: str, label: str) -> str:
    """The provisioner of a class, if it is known to make volumes that are in one domain."""
    found = inventory.storage_class(class_name)
    if found is None:
        return ""
    described = inventory.provisioners.get(found.provisioner)
    if described is not None:
        return found.provisioner if described.topology == label else ""
    return found.provisioner if label == HOSTNAME and found.provisioner in NODE_LOCAL else ""


@lint
def immediate_with_several_claims(inventory: Inventory) -> Iterator[Found]:
    """The claims of one pod are bound one by one to node-local volumes, perhaps of different nodes."""
    by_pods: dict[str, list[Wish]] = {}
    for wish in inventory.wishes:
        if wish.template is not None and wish.open > 0 and inventory.is_immediate(wish.storage_class):
            by_pods.setdefault(wish.template.item.title, []).append(wish)
    for wishes in by_pods.values():
        places: list[set[str]] = []
        for wish in wishes:
            volumes = supply(inventory, wish).volumes if not inventory.is_dynamic(wish.storage_class) else []
            outcome = taken(volumes, sum(other.open for other in wishes if other.storage_class == wish.storage_class))
            domains = set(_domains(inventory, [*outcome.certain, *outcome.tied], HOSTNAME))
            if domains:
                places.append(domains)
        if len(places) < 2 or len(set().union(*places)) < 2:
            continue
        template = wishes[0].template
        assert template is not None
        nodes = count(len(set().union(*places)), "node")
        yield Found(
            WARNING, template.item, f"each pod has {len(places)} claims that are bound at once, to volumes of {nodes}",
            "nothing sees to it that the claims of one pod get volumes of one node; if they do not, it runs nowhere",
            _mend(wishes[0]), wishes[0].path if isinstance(template.item.obj, StatefulSet) else template.path)


@lint
def immediate_volume_on_closed_node(inventory: Inventory) -> Iterator[Found]:
    """A claim may be bound to a volume of a node on which its pod cannot run."""
    for wish in inventory.wishes:
        template = wish.template
        if template is None or wish.open < 1 or not inventory.is_immediate(wish.storage_class):
            continue
        if inventory.is_dynamic(wish.storage_class):
            continue
        open_nodes = {node.name for node in inventory.nodes_for(template.pod)}
        if not open_nodes:
            continue
        outcome = taken(supply(inventory, wish).volumes, wish.open)
        closed = [item for item in (*outcome.certain, *outcome.tied)
                  if (reach := inventory.reach(item.obj)) and not any(node.name in open_nodes for node in reach)]
        if not closed:
            continue
        is_certain = any(item in outcome.certain for item in closed)
        nodes = dict.fromkeys(node.name for item in closed for node in inventory.reach(item.obj))
        get = f"{'will' if is_certain else 'may'} get {'is' if len(closed) == 1 else 'are'}"
        yield Found(
            ERROR if is_certain else WARNING, wish.item,
            f"{_class_words(inventory, wish)}, and {count(len(closed), 'volume')} that its claims {get} on "
            f"{listing(nodes)}, where its pods cannot run (cordon, taint, selector or affinity)",
            "the volume is chosen before the pod, by size alone: the pod then fits nowhere",
            _mend(wish), wish.path)


@lint
def node_name_with_wait_for_first_consumer(inventory: Inventory) -> Iterator[Found]:
    """A pod is put on a node by name, and its claim waits for the scheduler, who never sees the pod."""
    for wish in inventory.wishes:
        template = wish.template
        if template is None or not template.pod.spec.node_name or inventory.is_immediate(wish.storage_class):
            continue
        if wish.claim.spec.volume_name or supply(inventory, wish).reserved >= wish.open:
            continue
        yield Found(
            ERROR if template.item.is_new else WARNING, template.item,
            f"spec.nodeName puts its pod on {template.pod.spec.node_name} past the scheduler; its claim, of class "
            f"{wish.storage_class}, waits for the scheduler (WaitForFirstConsumer)",
            "only the scheduler starts the binding of such a claim: the pod waits for its claim, the claim for the "
            "scheduler, for ever",
            "use nodeSelector or node affinity instead of nodeName (kubernetes.io/hostname: "
            f"{template.pod.spec.node_name})", f"{template.path}.nodeName")


@lint
def shared_claim_with_anti_affinity(inventory: Inventory) -> Iterator[Found]:
    """Several pods that must not share a node share one claim that one node only can use."""
    for template in inventory.templates:
        obj = template.item.obj
        if template.replicas < 2 or not isinstance(obj, StatefulSet):
            continue
        own = {claim.name for claim in obj.spec.volume_claim_templates}
        for number, volume in enumerate(template.pod.spec.volumes):
            source = volume.persistent_volume_claim
            if source is None or volume.name in own:
                continue
            claim = inventory.get(PersistentVolumeClaim, source.claim_name, template.namespace)
            modes = claim.obj.spec.access_modes if claim is not None else ()
            if not modes or any(mode in ("ReadWriteMany", "ReadOnlyMany") for mode in modes):
                continue
            path = f"{template.path}.volumes[{number}]"
            if "ReadWriteOncePod" in modes:
                yield Found(
                    ERROR if template.item.is_new else WARNING, template.item,
                    f"{template.replicas} replicas share claim {source.claim_name}, which is ReadWriteOncePod",
                    "one pod only may use it: the others are never scheduled",
                    "give each pod a claim of its own with volumeClaimTemplates", path)
            elif template.apart:
                place = domain(template.apart[0][1].topology_key)
                yield Found(
                    ERROR if template.item.is_new else WARNING, template.item,
                    f"{template.replicas} replicas share claim {source.claim_name} ({listing(modes)}), and may not "
                    f"share a {place}",
                    "its volume can be used from one node at a time: the first pod has it, and no other may come to "
                    f"that {place}",
                    "give each pod a claim of its own with volumeClaimTemplates, or use a ReadWriteMany volume", path)


@lint
def class_comes_after_its_claims(inventory: Inventory) -> Iterator[Found]:
    """A class that waits for the first consumer is made after the claims that name it."""
    for wish in inventory.wishes:
        found = inventory.get(StorageClass, wish.storage_class)
        if found is None or not wish.item.is_new or not inventory.is_created(found) or wish.item.turn > found.turn:
            continue
        if inventory.is_immediate(wish.storage_class) or not supply(inventory, wish).volumes:
            continue
        yield Found(
            WARNING, found, f"is applied after {wish.item.title}, whose claims name it",
            "until there is a class, a claim that names it is bound at once, wherever its pod may run",
            "apply it first")


@lint
def claims_bound_to_one_node(inventory: Inventory) -> Iterator[Found]:
    """Claims that are there already lie where pods may not run together."""
    for wish in inventory.wishes:
        template = wish.template
        if template is None or len(wish.bound) < 2 or template.is_up:
            continue
        for _, term in template.apart:
            where = _domains_of_bound(inventory, wish, term.topology_key)
            crowded = _twice(list(where.values()))
            if not crowded:
                continue
            obj = template.item.obj
            assert isinstance(obj, StatefulSet)
            names = [obj.claim_name(wish.claim.name, ordinal) for ordinal, value in where.items() if value == crowded]
            yield Found(
                ERROR if template.item.is_new else WARNING, template.item,
                f"claims {listing(names)} are there already, with volumes on {crowded}, and its pods may not share a "
                f"{domain(term.topology_key)}",
                "claims outlive their pods and sets: the pods find them again, and all but one run nowhere",
                f"if the data of one can be lost: kubectl delete pvc {names[-1]} -n {template.namespace}", wish.path)
            break


@lint
def old_claims_are_used_again(inventory: Inventory) -> Iterator[Found]:
    """A set that is new finds claims of an earlier one."""
    for wish in inventory.wishes:
        template = wish.template
        if template is None or not wish.bound or not inventory.is_created(template.item):
            continue
        obj = template.item.obj
        if not isinstance(obj, StatefulSet):
            continue
        names = [obj.claim_name(wish.claim.name, ordinal) for ordinal in wish.bound]
        yield Found(
            NOTE, template.item, f"claims {listing(names)} are there already, and are bound",
            "its pods get the old data, and must run where the volumes are",
            "delete the claims if a fresh start is meant (their data may be lost)", wish.path)
