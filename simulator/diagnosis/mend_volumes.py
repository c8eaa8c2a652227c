"""Repairs that supply volumes: new ones on nodes that will do, kept ones set free, others made to fit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any, Final

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, encode
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import NO_PROVISIONER, StorageClass
from simulator.binding.names import DEFAULT_CLASS
from simulator.binding.reference import class_of
from simulator.diagnosis import relax
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.remedy import DISK, Ailing, Candidate, Scene, join, names
from simulator.diagnosis.steps import apply, by_hand, delete, manifest_of, patch, replace
from simulator.explanation.words import count, listing
from simulator.scenario.file import Provisioner

PLACES: Final = 4
"""A new volume is tried on so many nodes."""


def mend_volumes(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """Volumes for claims that find none."""
    yield from _freed(scene, ailing)
    yield from _fitted(scene, ailing)
    yield from _new(scene, ailing)
    yield from _gone(scene, ailing)
    yield from _classes(scene, ailing)
    yield from _provisioners(scene, ailing)


# --- kept ones ------------------------------------------------------------------------------------------------------


def _freed(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    for fact in ailing.of_kind("released"):
        volumes = [volume for key in fact.about
                   if (volume := scene.evidence.state.get(PersistentVolume, key.name)) is not None]
        spec: dict[str, Any] = {"claimRef": None}
        if any(volume.status.phase == "Failed" for volume in volumes):
            spec["persistentVolumeReclaimPolicy"] = "Retain"
        had = [volume for volume in volumes if volume.status.phase in ("Released", "Failed")]
        notes = (f"what is on {names(had)} becomes the new claim's",) if had else ()
        yield Candidate("free", f"clear the claimRef of {listing(volume.name for volume in volumes)}",
                        tuple(patch(volume.key, {"spec": spec}) for volume in volumes), notes=notes)


# --- others made to fit ---------------------------------------------------------------------------------------------


def _fitted(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    for key in _claims(scene, ailing):
        claim = scene.evidence.state.find(key)
        if not isinstance(claim, PersistentVolumeClaim):
            continue
        for fact in ailing.facts:
            if not fact.kind.startswith("volume "):
                continue
            for volume in (scene.evidence.state.get(PersistentVolume, one.name) for one in fact.about[:2]):
                if volume is None:
                    continue
                changed = _adapted(fact.kind.removeprefix("volume "), claim)
                if changed:
                    what = ", ".join(changed)
                    yield Candidate("fit", f"change {what} of {volume.name} to what {names([claim])} asks for",
                                    (patch(volume.key, {"spec": changed}),),
                                    notes=("only if that is true of the storage behind it",))
        if claim.spec.selector is not None and ailing.has("asks labels"):
            volumes = [volume for volume in scene.evidence.state.by("volumes-by-class", class_of(claim))
                       if volume.spec.claim_ref is None]
            for volume in volumes[:2]:
                labels = dict(claim.spec.selector.match_labels)
                yield Candidate("fit", f"label {volume.name} as {names([claim])} asks",
                                (patch(volume.key, {"metadata": {"labels": labels}}),))
    for fact in ailing.of_kind("zone"):
        volume = scene.evidence.state.get(PersistentVolume, fact.about[0].name)
        if volume is not None:
            away = {label: None for label in volume.metadata.labels if label.endswith(("/zone", "/region"))}
            yield Candidate("zone", f"take the zone labels from {volume.name}",
                            (patch(volume.key, {"metadata": {"labels": away}}),),
                            notes=("only if the volume can be reached from the nodes of other zones",))
            for node in scene.evidence.reach(volume)[:1]:
                found = scene.evidence.state.get(Node, node)
                if found is not None:
                    own = {label: found.metadata.labels.get(label) for label in away}
                    yield Candidate("zone", f"label {volume.name} as {node} is labelled",
                                    (patch(volume.key, {"metadata": {"labels": own}}),))


def _adapted(trait: str, claim: PersistentVolumeClaim) -> dict[str, Any]:
    spec = encode(claim.spec)
    match trait:
        case "size":
            return {"capacity": {"storage": spec["resources"]["requests"]["storage"]}}
        case "access modes":
            return {"accessModes": spec["accessModes"]}
        case "class":
            return {"storageClassName": class_of(claim)}
        case "attributes class":
            return {"volumeAttributesClassName": claim.spec.volume_attributes_class_name}
    return {}  # volumeMode cannot be changed


def _claims(scene: Scene, ailing: Ailing) -> list[Key]:
    """The claims of a knot that have no volume."""
    found = [key for key in ailing.keys if key.kind == "PersistentVolumeClaim"]
    for pod in scene.pods_of(ailing):
        found += [claim.key for claim in scene.claims(pod) if claim.status.phase != "Bound"]
    return list(dict.fromkeys(found))


# --- new ones -------------------------------------------------------------------------------------------------------


def _new(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """A volume of the size asked for, on a node that will do; or a new node with one."""
    yield from _unused(scene, ailing)
    for pod in scene.pods_of(ailing):
        if pod.spec.node_name:
            continue
        wanted = [[claim for claim in scene.claims(pod) if claim.status.phase != "Bound"
                   and not claim.spec.volume_name]]
        nodes = scene.open_nodes(pod)
        tied = [claim for claim in scene.claims(pod) if claim.status.phase == "Bound"]
        reach = [volume for claim in tied
                 if (volume := scene.evidence.state.get(PersistentVolume, claim.spec.volume_name)) is not None]
        nodes = [node for node in nodes if all(node.name in scene.evidence.reach(volume) for volume in reach)]
        if not wanted[0] and not reach and not tied:
            node = scene.new_node(pod=pod)
            yield Candidate("node", "add a node", (join(node),), needs_hardware=True)
        if not wanted[0]:
            continue
        for node in nodes[:PLACES]:
            yield Candidate("volume", f"make a volume for {names(wanted[0])} on {node.name}",
                            (apply(*(scene.new_volume(claim, node.name, _hostname(node)) for claim in wanted[0])),),
                            notes=(DISK,), needs_hardware=True, place=node.name)
        owner = scene.owner(pod)
        if owner is not None:
            wanted += [claims for ordinal in scene.missing(owner)
                       if (claims := scene.claims_to_come(owner, ordinal))]
            if nodes and len(wanted) > 1:
                made = [scene.new_volume(claim, node.name, _hostname(node))
                        for claims, node in zip(wanted, cycle(nodes), strict=False) for claim in claims]
                where = listing(node.name for node in nodes[:len(wanted)])
                yield Candidate("volume", f"make {count(len(made), 'volume')} for the pods of {owner.name}, on {where}",
                                (apply(*made),), notes=(DISK,), needs_hardware=True)
        if not reach:
            yield from _new_nodes(scene, pod, wanted, nodes)


def _unused(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """A claim that no pod uses: it can go, or get a volume anywhere."""
    for key in ailing.keys:
        claim = scene.evidence.state.find(key)
        if not isinstance(claim, PersistentVolumeClaim) or scene.evidence.users_of(claim):
            continue
        yield Candidate("unused", f"delete {names([claim])}, which no pod uses", (delete(key),))
        for node in scene.evidence.nodes[:1] if not claim.spec.volume_name else ():
            yield Candidate("volume", f"make a volume for {names([claim])} on {node.name}",
                            (apply(scene.new_volume(claim, node.name, _hostname(node))),), notes=(DISK,),
                            needs_hardware=True)


def _new_nodes(
    scene: Scene, pod: Pod, wanted: list[list[PersistentVolumeClaim]], nodes: list[Node]
) -> Iterator[Candidate]:
    """New machines with a volume each, for what the present ones cannot take."""
    for old in dict.fromkeys((0, min(len(nodes), len(wanted) - 1))):
        places = list(nodes[:old])
        new: list[Node] = []
        while len(places) < len(wanted):
            node = scene.new_node([other.name for other in new], pod)
            new.append(node)
            places.append(node)
        made = [scene.new_volume(claim, node.name, _hostname(node))
                for claims, node in zip(wanted, places, strict=True) for claim in claims]
        does = [join(node) for node in new]
        more = f", and {count(old, 'volume')} on {listing(node.name for node in nodes[:old])}" if old else ""
        what = "a node" if len(new) == 1 else f"{len(new)} nodes"
        each = "a volume" if len(new) == 1 else "a volume each"
        yield Candidate("node", f"add {what} with {each}{more}", (*does, apply(*made)), notes=(DISK,),
                        needs_hardware=True)


def _hostname(node: Node) -> str:
    return node.metadata.labels.get(HOSTNAME, node.name)


# --- ones that are gone, or asked for by name -----------------------------------------------------------------------


def _gone(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    for fact in ailing.of_kind("gone volume"):
        claim = scene.evidence.state.find(fact.about[0])
        if not isinstance(claim, PersistentVolumeClaim):
            continue
        places = [pod.spec.node_name or next((node.name for node in scene.open_nodes(pod)), "")
                  for pod in scene.pods_of(ailing)] or [""]
        notes = (DISK, *(("what was on it is gone",) if claim.status.phase == "Lost" else ()))
        for place in dict.fromkeys(places):
            volume = manifest_of(relax.fitting_volume(claim, claim.spec.volume_name, place))
            yield Candidate("volume", f"make the volume {claim.spec.volume_name}" + (f" on {place}" if place else ""),
                            (apply(volume),), notes=notes, needs_hardware=True)
    for fact in ailing.of_kind("label"):
        name, = fact.detail
        yield Candidate("label", f"give {name} its hostname label back",
                        (patch(fact.about[0], {"metadata": {"labels": {HOSTNAME: name}}}),))


# --- classes and provisioners ---------------------------------------------------------------------------------------


def _classes(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    for fact in ailing.of_kind("no class"):
        name, = fact.detail
        for like in scene.classes()[:3]:
            manifest = manifest_of(like)
            manifest["metadata"] = {"name": name}
            yield Candidate("class", f"make class {name}, like class {like.name}", (apply(manifest),))
        manifest = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
                    "provisioner": "driver.example.com", "volumeBindingMode": "WaitForFirstConsumer"}
        if all(like.provisioner in ("", NO_PROVISIONER) for like in scene.classes()):
            yield Candidate("class", f"make class {name}, with a provisioner", (apply(manifest),),
                            notes=("put the name of a provisioner that is there in the place of driver.example.com",))
        manifest = {**manifest, "provisioner": NO_PROVISIONER}
        for candidate in _new(scene, Ailing(ailing.keys, (*ailing.facts,))):
            yield Candidate("class", f"make class {name} without a provisioner, and {candidate.title}",
                            (apply(manifest), *candidate.does), notes=candidate.notes, needs_hardware=True)
            break
    if ailing.has("no default class"):
        for like in scene.classes()[:3]:
            yield Candidate("default", f"make class {like.name} the default class",
                            (patch(like.key, {"metadata": {"annotations": {DEFAULT_CLASS[0]: "true"}}}),),
                            notes=("claims without a class get it from then on, everywhere",))
    for fact in ailing.of_kind("topologies"):
        storage_class = scene.evidence.state.get(StorageClass, fact.about[0].name)
        if storage_class is not None:
            manifest = {name: value for name, value in manifest_of(storage_class).items()
                        if name != "allowedTopologies"}
            yield Candidate("class", f"make class {storage_class.name} anew without allowedTopologies",
                            (replace(manifest),))
    for fact in ailing.of_kind("capacity"):
        yield Candidate("capacity", f"tell {fact.about[0].name} not to report its capacity (storageCapacity: false)",
                        (patch(fact.about[0], {"spec": {"storageCapacity": False}}),),
                        notes=("only if there is room after all",))


def _provisioners(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    for fact in ailing.of_kind("provisioner"):
        name, = fact.detail

        def edit(draft: Draft, name: str = name) -> None:
            draft.provisioners[name] = Provisioner(name=name)

        yield Candidate("provisioner", f"see to it that the provisioner {name} runs, and has room",
                        (by_hand(f"see to it that the provisioner {name} runs, and has room"),), edit=edit)


def mend_missing_claims(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """Claims that pods name and nobody has made."""
    for fact in ailing.of_kind("no claim"):
        key = Key("PersistentVolumeClaim", fact.about[0].namespace, *fact.detail)
        for each in scene.classes()[:3]:
            manifest = {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": key.name, "namespace": key.namespace},
                "spec": {"storageClassName": each.name, "accessModes": ["ReadWriteOnce"],
                         "resources": {"requests": {"storage": "1Gi"}}},
            }
            yield Candidate("claim", f"make the claim {key.name}, of class {each.name}", (apply(manifest),))
        for pod in scene.pods_of(ailing):
            if scene.owner(pod) is not None:
                yield Candidate("claim", f"make {names([pod])} anew, its set makes the claim",
                                (delete(pod.key),))
