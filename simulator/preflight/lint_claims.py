"""Lints about claims: classes that are not there, and volumes that do not fit."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim
from simulator.api.storage import NO_PROVISIONER, StorageClass
from simulator.binding.names import DEFAULT_CLASS, SELECTED_NODE
from simulator.binding.reference import NOTHING, has_class, volume_mode
from simulator.explanation.words import count, listing
from simulator.manifests.suggest import nearest
from simulator.preflight.candidates import ACCESS, MODE, SELECTOR, SIZE, Supply, supply
from simulator.preflight.inventory import Inventory, Wish
from simulator.preflight.registry import Found, lint
from simulator.preflight.result import ERROR, NOTE, WARNING


def _severity(wish: Wish) -> str:
    return ERROR if wish.item.is_new else WARNING


def _static(inventory: Inventory) -> Iterator[tuple[Wish, Supply]]:
    """Claims that need a volume which nobody will make for them."""
    if inventory.has_local_provisioner:
        return
    for wish in inventory.wishes:
        if wish.open <= 0 or inventory.is_dynamic(wish.storage_class) or wish.claim.spec.volume_name:
            continue
        found = supply(inventory, wish)
        if found.reserved < wish.open:
            yield wish, found


def _path(wish: Wish, field: str) -> str:
    return f"{wish.path}.{field}" if isinstance(wish.item.obj, PersistentVolumeClaim) else f"{wish.path}.spec.{field}"


def _claims(wish: Wish) -> str:
    if isinstance(wish.item.obj, StatefulSet):
        return f"claim template {wish.claim.name}"
    return "claim"


@lint
def missing_class(inventory: Inventory) -> Iterator[Found]:
    """A claim names a class that does not exist."""
    for wish in inventory.wishes:
        name = wish.storage_class
        if wish.open <= 0 or not name or inventory.storage_class(name) is not None or wish.claim.spec.volume_name:
            continue
        if supply(inventory, wish).reserved >= wish.open:
            continue  # VB-36: a volume that names the claim may be of any class
        near = nearest(name, [item.obj.name for item in inventory.all(StorageClass)])
        mend = f"did you mean {near}?" if near else f"make a StorageClass {name}, or correct storageClassName"
        if inventory.volumes_of_class(name):
            yield Found(
                NOTE, wish.item, f"{_claims(wish)} names class {name}, of which there are volumes but no StorageClass",
                "without the object claims are bound at once, wherever their pods may run",
                f"make a StorageClass {name} with volumeBindingMode: WaitForFirstConsumer",
                _path(wish, "storageClassName"))
        else:
            yield Found(
                _severity(wish), wish.item, f"{_claims(wish)} names class {name}, which does not exist",
                "nobody makes a volume for it, and there is none of that class", mend, _path(wish, "storageClassName"))


@lint
def no_default_class(inventory: Inventory) -> Iterator[Found]:
    """A claim names no class, there is no default one, and no volume without a class."""
    for wish, _ in _static(inventory):
        if has_class(wish.claim) or inventory.volumes_of_class(""):
            continue
        yield Found(
            _severity(wish), wish.item, f"{_claims(wish)} names no class, and no class is the default one",
            "only volumes without a class will do, and there is none",
            f"name a class, or mark one with the annotation {DEFAULT_CLASS[0]}: \"true\"", _path(wish, ""))


@lint
def two_default_classes(inventory: Inventory) -> Iterator[Found]:
    """More than one class is the default one."""
    marked = [item for item in inventory.all(StorageClass)
              if any(item.obj.metadata.annotations.get(each) == "true" for each in DEFAULT_CLASS)]
    if len(marked) < 2:
        return
    last = next((item for item in reversed(marked) if item.is_new), marked[-1])
    wins = inventory.default_class
    yield Found(
        WARNING, last, f"{listing(item.obj.name for item in marked)} are all marked as the default class",
        f"claims without a class get the newest one, here {wins.name if wins is not None else ''}: what they get "
        "changes with the order in which classes are made", "take the mark from all but one", "metadata.annotations")


@lint
def no_volume_of_class(inventory: Inventory) -> Iterator[Found]:
    """There is no free volume of a claim's class, and nobody makes one."""
    for wish, found in _static(inventory):
        name = wish.storage_class
        if found.of_class or (not has_class(wish.claim) and not inventory.volumes_of_class("")):
            continue
        if name and inventory.storage_class(name) is None and not inventory.volumes_of_class(name):
            continue  # `missing_class` says so
        others = len(inventory.volumes_of_class(name))
        taken = f"; {count(others, 'volume is', 'volumes are')} taken or Released" if others else ""
        yield Found(
            _severity(wish), wish.item,
            f"{_claims(wish)}: there is no free volume {f'of class {name}' if name else 'without a class'}{taken}",
            f"class {name} has provisioner {NO_PROVISIONER}: nobody makes volumes of it" if name
            else "nobody makes volumes without a class", "make volumes, or name another class",
            _path(wish, "storageClassName"))


def _largest(found: Supply) -> str:
    largest = max((item.obj.capacity or NOTHING for item in found.of_class), key=lambda size: size.nano)
    return str(largest)


@lint
def claim_larger_than_any_volume(inventory: Inventory) -> Iterator[Found]:
    """A claim asks for more than any free volume has."""
    for wish, found in _static(inventory):
        if found.short_of == SIZE:
            yield Found(
                _severity(wish), wish.item,
                f"{_claims(wish)} asks for {wish.claim.request}; the largest free volume of its class has "
                f"{_largest(found)}", "a claim is never bound to a volume that is smaller than it asks for",
                "ask for less, or make larger volumes", _path(wish, "resources.requests.storage"))


@lint
def volume_mode_mismatch(inventory: Inventory) -> Iterator[Found]:
    """A claim asks for Block where all volumes are Filesystem, or the other way round."""
    for wish, found in _static(inventory):
        if found.short_of == MODE:
            modes = sorted({volume_mode(item.obj) for item in found.of_class})
            yield Found(
                _severity(wish), wish.item, f"{_claims(wish)} asks for volumeMode {volume_mode(wish.claim)}"
                + (f"; all free volumes of its class are {listing(modes)}" if modes != [volume_mode(wish.claim)]
                   else " and a VolumeAttributesClass that no free volume of its class has"),
                "volumes of another mode are never taken", "give claim and volumes the same volumeMode",
                _path(wish, "volumeMode"))


@lint
def access_mode_mismatch(inventory: Inventory) -> Iterator[Found]:
    """A claim asks for access modes that no free volume offers."""
    for wish, found in _static(inventory):
        if found.short_of == ACCESS:
            offered = sorted({mode for item in found.of_class for mode in item.obj.spec.access_modes})
            yield Found(
                _severity(wish), wish.item, f"{_claims(wish)} asks for {listing(wish.claim.spec.access_modes)}; the "
                f"free volumes of its class offer {listing(offered)}",
                "a volume must offer all modes that a claim asks for",
                "ask for a mode that they offer, or add it to the volumes", _path(wish, "accessModes"))


@lint
def selector_matches_no_volume(inventory: Inventory) -> Iterator[Found]:
    """A claim's selector selects none of the free volumes."""
    for wish, found in _static(inventory):
        if found.short_of == SELECTOR:
            yield Found(
                _severity(wish), wish.item, f"{_claims(wish)} has a selector that selects no free volume of its class",
                "other volumes are never taken", "label the volumes, or correct the selector", _path(wish, "selector"))


@lint
def fewer_volumes_than_claims(inventory: Inventory) -> Iterator[Found]:
    """There are fewer free volumes than claims that need one."""
    by_class: dict[str, list[tuple[Wish, Supply]]] = {}
    for wish, found in _static(inventory):
        if not found.volumes:
            continue  # others say why
        need = wish.open - found.reserved
        if need > len(found.volumes):
            there = count(len(found.volumes), "free volume")
            needs = f"{count(need, 'claim')} that {'needs' if need == 1 else 'need'} a volume"
            yield Found(
                _severity(wish), wish.item, f"{_claims(wish)} makes {needs}; {there} of its class will do",
                "nobody makes volumes of this class: the last claims wait for ever",
                "make more volumes, or ask for less", _path(wish, "storageClassName"))
        else:
            by_class.setdefault(wish.storage_class, []).append((wish, found))
    for name, entries in by_class.items():
        need = sum(wish.open - found.reserved for wish, found in entries)
        free = {item.obj.name for _, found in entries for item in found.volumes}
        if len(entries) > 1 and need > len(free):
            wish = next((wish for wish, _ in reversed(entries) if wish.item.is_new), entries[-1][0])
            owners = listing(dict.fromkeys(each.item.obj.name for each, _ in entries))
            yield Found(
                _severity(wish), wish.item,
                f"{count(need, 'claim')} of {owners} need volumes of class {name or 'none'}; "
                f"{count(len(free), 'free volume')} will do",
                "nobody makes volumes of this class: the last claims wait for ever", "make more volumes", wish.path)


@lint
def claim_names_unusable_volume(inventory: Inventory) -> Iterator[Found]:
    """A claim asks by name for a volume that is not there, or is another claim's."""
    for item in inventory.all(PersistentVolumeClaim):
        name = item.obj.spec.volume_name
        if not name or item.obj.status.phase in ("Bound", "Lost"):
            continue
        volume = inventory.get(PersistentVolume, name)
        if volume is None:
            near = nearest(name, [each.obj.name for each in inventory.volumes])
            yield Found(
                ERROR if item.is_new else WARNING, item, f"asks for volume {name}, which does not exist",
                "it waits until somebody makes a volume of that name",
                f"did you mean {near}?" if near else "make that volume, or remove spec.volumeName", "spec.volumeName")
            continue
        reference = volume.obj.spec.claim_ref
        if reference is not None and (reference.namespace, reference.name) != (item.obj.namespace, item.obj.name):
            yield Found(
                ERROR if item.is_new else WARNING, item,
                f"asks for volume {name}, which is claim {reference.namespace}/{reference.name}'s",
                "a volume has one claim: it waits for ever", "ask for another volume", "spec.volumeName")


@lint
def selected_node_is_gone(inventory: Inventory) -> Iterator[Found]:
    """A volume is to be made for a claim on a node that is gone."""
    for item in inventory.all(PersistentVolumeClaim):
        node = item.obj.metadata.annotations.get(SELECTED_NODE)
        if not node or item.obj.status.phase == "Bound" or inventory.get(Node, node) is not None:
            continue
        if not inventory.nodes:
            continue
        yield Found(
            WARNING, item, f"its volume is to be made on node {node}, which does not exist",
            "the provisioner is asked for a volume where there is no machine; until it gives up nobody chooses anew",
            f"kubectl annotate pvc {item.obj.name} -n {item.obj.namespace} {SELECTED_NODE}-",
            "metadata.annotations")


@lint
def allowed_topologies_match_no_node(inventory: Inventory) -> Iterator[Found]:
    """A class allows volumes only where no node is."""
    used = {wish.storage_class for wish in inventory.wishes if wish.open}
    for item in inventory.all(StorageClass):
        terms = item.obj.allowed_topologies
        if not terms or not inventory.nodes or item.obj.name not in used:
            continue
        if any(
            all(node.obj.metadata.labels.get(each.key) in each.values for each in term.match_label_expressions)
            for term in terms for node in inventory.nodes if term.match_label_expressions
        ):
            continue
        yield Found(
            ERROR if item.is_new else WARNING, item, "allowedTopologies matches no node",
            "no volume of this class can be made where a pod could use it", "correct allowedTopologies",
            "allowedTopologies")
