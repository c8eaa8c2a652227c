"""What keeps a claim from a volume, or ties the pod that uses it to some nodes: one fact for each thing at fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, evolve, with_annotations, with_meta
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import NO_PROVISIONER, CSIDriver, StorageClass
from simulator.binding.names import SELECTED_NODE, STORAGE_PROVISIONER
from simulator.binding.reference import (
    affinity_matches,
    class_of,
    is_delayed,
    is_fully_bound,
    refers,
)
from simulator.diagnosis import relax
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.fact import Fact
from simulator.diagnosis.fit_facts import Where, misfits, no_selector
from simulator.explanation.evidence import Evidence
from simulator.explanation.why_claim import volumes_on
from simulator.explanation.words import is_everywhere, listing, place, reach_text, selector_text, short
from simulator.scenario.file import Provisioner
from simulator.scheduler.plugins.free_volumes import Reach

FEW: Final = 4
"""The volumes of so many nodes are one fact each; those of more are one together."""


def claim_facts(
    evidence: Evidence, claim: PersistentVolumeClaim, pod: Pod | None = None, closed: Sequence[Node] = (),
) -> Iterator[Fact]:
    """The facts about a claim.

    Parameters
    ----------
    pod : the unscheduled pod that uses it.
    closed : the nodes that VolumeBinding closes to that pod.
    """
    if claim.status.phase == "Lost":
        yield from _lost(evidence, claim)
    elif is_fully_bound(claim):
        yield from _bound(evidence, claim)
    elif claim.spec.volume_name:
        yield from _preset(evidence, claim)
    else:
        yield from _unbound(evidence, claim, pod, closed)


# --- bound ----------------------------------------------------------------------------------------------------------


def _bound(evidence: Evidence, claim: PersistentVolumeClaim) -> Iterator[Fact]:
    name = claim.spec.volume_name
    volume = evidence.state.get(PersistentVolume, name)
    if volume is None:
        yield _bound_to(claim, f"{short(claim)} is bound to {name}, which does not exist")
        return
    labels = {key: value for key, value in volume.metadata.labels.items() if key.endswith(("/zone", "/region"))}
    if is_everywhere(volume) and not labels:
        return
    yield _bound_to(claim, f"{short(claim)} is bound to {name}")
    if not is_everywhere(volume):
        reach = evidence.reach(volume)
        yield Fact(f"reach {name}", f"{name}, the volume of {short(claim)}, {reach_text(volume, reach)}", (volume.key,),
                   "if it could be reached from everywhere", partial(relax.reach_everywhere, names=[name]),
                   "spec.nodeAffinity", tuple(_others(evidence, reach)), True, "reach")
        yield from _gone_nodes(evidence, volume)
    if labels:
        said = listing(f"{key}={value}" for key, value in labels.items())
        yield Fact(f"zone {name}", f"{name} has the label {said}", (volume.key,), "if it had not",
                   partial(_without_zone, name=name), "metadata.labels", (), True, "zone")


def _others(evidence: Evidence, reach: Sequence[str]) -> list[str]:
    return [node.name for node in evidence.nodes if node.name not in set(reach)]


def _gone_nodes(evidence: Evidence, volume: PersistentVolume) -> Iterator[Fact]:
    """The machine of a local volume is not in the cluster."""
    reach = Reach.of(volume)
    if reach.label != HOSTNAME or evidence.reach(volume):
        return
    for value in reach.values:
        node = evidence.state.get(Node, value)
        key = Key("Node", "", value)
        if node is None:
            yield Fact(f"gone {value}", f"the cluster has no node {value}", (key, volume.key), "if it had",
                       partial(relax.add_node, name=value), kind="gone node")
        else:
            yield Fact(f"label {value}", f"{value} has no label {HOSTNAME}={value}", (key,), "if it had",
                       partial(_label, name=value), "metadata.labels", kind="label", detail=(value,))


def _label(draft: Draft, name: str) -> None:
    if (node := draft.get(Node, name)) is not None:
        draft.put(with_meta(node, labels={**node.metadata.labels, HOSTNAME: name}))


def _bound_to(claim: PersistentVolumeClaim, text: str) -> Fact:
    return Fact(f"bound {claim.key}", text, (claim.key,), "if it were not bound", partial(relax.unbind, key=claim.key),
                ties=True, kind="bound")


def _without_zone(draft: Draft, name: str) -> None:
    if (volume := draft.get(PersistentVolume, name)) is not None:
        kept = {key: value for key, value in volume.metadata.labels.items() if not key.endswith(("/zone", "/region"))}
        draft.put(with_meta(volume, labels=kept))


# --- lost, and asking for one volume by name ------------------------------------------------------------------------


def _lost(evidence: Evidence, claim: PersistentVolumeClaim) -> Iterator[Fact]:
    name = claim.spec.volume_name
    yield _bound_to(claim, f"{short(claim)} is bound to {name}, and Lost")
    volume = evidence.state.get(PersistentVolume, name)
    if volume is None:
        yield Fact(f"gone {name}", f"{name}, the volume of {short(claim)}, is gone", (claim.key,), "if it were there",
                   lambda draft: relax.add_volume(draft, claim, (), name), kind="gone volume")
    elif volume.spec.claim_ref is not None and not refers(volume, claim):
        yield _owner(volume, claim)


def _owner(volume: PersistentVolume, claim: PersistentVolumeClaim) -> Fact:
    """A volume refers to another claim, or an earlier one."""
    owner = volume.spec.claim_ref
    assert owner is not None
    whose = place(owner.namespace, owner.name)
    if whose == short(claim):
        whose = f"an earlier claim {whose}"
    verb = {"Released": "is Released, and still of", "Bound": "is bound to", "Failed": "has Failed, and is still of"}
    text = f"{volume.name} {verb.get(volume.status.phase, 'is reserved for')} {whose}"
    return Fact(f"owner {volume.name}", text, (volume.key,), "if it were free",
                partial(relax.free, name=volume.name), "spec.claimRef", kind="released")


def _preset(evidence: Evidence, claim: PersistentVolumeClaim) -> Iterator[Fact]:
    name = claim.spec.volume_name
    yield Fact(f"asks for {name}", f"{short(claim)} asks for the volume {name} by name", (claim.key,),
               "if it took any that fits", lambda draft: relax.change_claim(draft, claim.key, volume_name=""),
               "spec.volumeName", kind="preset")
    volume = evidence.state.get(PersistentVolume, name)
    if volume is None:
        yield Fact(f"gone {name}", f"there is no volume {name}", (claim.key,), "if there were",
                   lambda draft: relax.add_volume(draft, claim, (), name), kind="gone volume")
        return
    if volume.spec.claim_ref is not None and not refers(volume, claim):
        yield Fact(f"owner {name}", f"{name} {_whose(volume)}", (volume.key,), "if it were free",
                   partial(relax.free, name=name), "spec.claimRef", kind="released")
    yield from misfits(claim, [volume])


def _whose(volume: PersistentVolume) -> str:
    owner = volume.spec.claim_ref
    assert owner is not None
    return f"is {volume.status.phase or 'reserved'}, for {place(owner.namespace, owner.name)}"


# --- unbound --------------------------------------------------------------------------------------------------------


def _unbound(
    evidence: Evidence, claim: PersistentVolumeClaim, pod: Pod | None, closed: Sequence[Node]
) -> Iterator[Fact]:
    storage_class = evidence.class_of(claim)
    is_waiting = is_delayed(storage_class)
    if is_waiting:
        yield from _chosen(evidence, claim)
    volumes = list(evidence.state.list(PersistentVolume))
    taken = [volume for volume in volumes if volume.spec.claim_ref is not None and not refers(volume, claim)]
    open_to_all = [volume for volume in volumes if volume.spec.claim_ref is None or refers(volume, claim)]
    where = partial(_reaching, evidence, [node.name for node in closed])
    yield from misfits(claim, open_to_all, where)
    yield from _kept([volume for volume in taken if class_of(volume) == class_of(claim)], claim, where)
    if is_waiting:
        yield from _none_on(evidence, claim, closed)
    else:
        if not _would_do(claim, [volume for volume in volumes if class_of(volume) == class_of(claim)]):
            kind = f" of class {class_of(claim)}" if class_of(claim) else " without a class"
            yield Fact(f"none for {claim.key}", f"no volume{kind} is free for {short(claim)}", (claim.key,),
                       "if there were one", lambda draft: relax.add_volume(draft, claim, ()), kind="no volume")
    yield from _provisioner(evidence, claim, storage_class)


def _reaching(evidence: Evidence, closed: Sequence[str], volumes: Sequence[PersistentVolume]) -> tuple[str, ...]:
    reached = {node for volume in volumes for node in evidence.reach(volume)} if closed else set()
    return tuple(node for node in closed if node in reached)


def _kept(volumes: Sequence[PersistentVolume], claim: PersistentVolumeClaim, where: Where) -> Iterator[Fact]:
    """Volumes that others have had, or are to have: free, they would do; those that others use are in use."""
    kept = [volume for volume in volumes if volume.status.phase != "Bound"]
    if len(kept) <= FEW:
        yield from (evolve(_owner(volume, claim), nodes=where([volume])) for volume in kept)
        return
    names = [volume.name for volume in kept]
    yield Fact(f"kept from {claim.key}", f"{listing(names)} are Released, or reserved for others",
               tuple(each.key for each in kept), "if they were free", partial(_free_all, names=names),
               "spec.claimRef", where(kept), kind="released")


def _free_all(draft: Draft, names: Sequence[str]) -> None:
    for name in names:
        relax.free(draft, name)


def _chosen(evidence: Evidence, claim: PersistentVolumeClaim) -> Iterator[Fact]:
    """What the scheduler has said of a WaitForFirstConsumer claim, or who never asks it."""
    node = claim.metadata.annotations.get(SELECTED_NODE)
    if node is not None:
        yield Fact(f"selected {claim.key}", f"the volume of {short(claim)} is to be made for {node}", (claim.key,),
                   "if no node had been chosen", partial(_unselect, key=claim.key), ties=True, kind="selected")
    users = [user for user in evidence.users_of(claim) if not user.is_finished and not user.metadata.is_terminating]
    for user in users:
        if user.spec.node_name and node is None:
            yield Fact(
                f"bypass {user.key}", f"{short(user)} was put on {user.spec.node_name} without the scheduler "
                "(spec.nodeName), which alone would choose the volume", (user.key,), "if the scheduler placed it",
                partial(_unplace, key=user.key), "spec.nodeName", kind="bypass",
            )
    if users and all(user.spec.node_name for user in users):
        name = class_of(claim)
        yield Fact(f"mode {name}", f"class {name} waits for the first consumer (WaitForFirstConsumer)",
                   (Key("StorageClass", "", name),), "if it bound at once", partial(_at_once, name=name),
                   "volumeBindingMode", kind="mode")


def _unselect(draft: Draft, key: Key) -> None:
    claim = draft.objects.get(key)
    if isinstance(claim, PersistentVolumeClaim):
        draft.put(with_annotations(claim, {SELECTED_NODE: None}))


def _unplace(draft: Draft, key: Key) -> None:
    relax.change_pod(draft, key, lambda spec: evolve(spec, node_name=""))


def _at_once(draft: Draft, name: str) -> None:
    if (storage_class := draft.get(StorageClass, name)) is not None:
        draft.put(evolve(storage_class, volume_binding_mode="Immediate"))


def _none_on(evidence: Evidence, claim: PersistentVolumeClaim, closed: Sequence[Node]) -> Iterator[Fact]:
    """Nodes on which there is no volume for the claim but those that others use."""
    empty: dict[str, str] = {}
    for node in closed:
        volumes = [volume for volume in evidence.state.by("volumes-by-class", class_of(claim))
                   if affinity_matches(volume, node.metadata.labels)]
        if not _would_do(claim, volumes):
            empty[node.name] = volumes_on(evidence, claim, node)
    texts = list(empty.items())
    if len(empty) > FEW:
        texts = [(listing(empty), next(iter(empty.values())).partition(" (")[0])]
    for names, text in texts:
        nodes = list(empty) if len(empty) > FEW else [names]
        verb = "has" if len(nodes) == 1 else "have"
        yield Fact(
            f"none on {names} for {claim.key}", f"{names} {verb} {text} for {short(claim)}",
            (Key("Node", "", nodes[0]), claim.key), "if there were one",
            partial(relax.add_volume, claim=claim, nodes=nodes), "", tuple(nodes), kind="no volume",
        )


def _would_do(claim: PersistentVolumeClaim, volumes: Sequence[PersistentVolume]) -> bool:
    """Whether there is a volume that nobody uses: then what is wrong with that one is a fact of its own."""
    return any(volume.spec.claim_ref is None or (volume.status.phase != "Bound" and not refers(volume, claim))
               for volume in volumes)


# --- nobody makes one -----------------------------------------------------------------------------------------------


def _provisioner(
    evidence: Evidence, claim: PersistentVolumeClaim, storage_class: StorageClass | None
) -> Iterator[Fact]:
    wanted = class_of(claim)
    if not wanted:
        if claim.spec.storage_class_name is None:
            yield Fact(f"no default class for {claim.key}",
                       f"{short(claim)} names no class, and there is no default class", (claim.key,),
                       "if there were one that makes volumes",
                       partial(_with_class, key=claim.key), "spec.storageClassName", kind="no default class")
        return
    key = Key("StorageClass", "", wanted)
    if storage_class is None:
        yield Fact(f"no class {wanted}", f"there is no StorageClass {wanted}, which {short(claim)} asks for",
                   (claim.key, key), "if there were, with a provisioner", partial(relax.let_provision, name=wanted),
                   "spec.storageClassName", kind="no class", detail=(wanted,))
        return
    provisioner = storage_class.provisioner
    if provisioner in ("", NO_PROVISIONER):
        yield Fact(f"makes none {wanted}", f"class {wanted} makes no volumes ({NO_PROVISIONER})", (key,),
                   "if it had a provisioner", partial(relax.let_provision, name=wanted), "provisioner",
                   kind="makes none")
        return
    if storage_class.allowed_topologies:
        yield Fact(f"topologies {wanted}", f"class {wanted} makes volumes only in its allowedTopologies", (key,),
                   "if anywhere", partial(_anywhere, name=wanted), "allowedTopologies", kind="topologies")
    driver = evidence.state.get(CSIDriver, provisioner)
    if driver is not None and driver.spec.storage_capacity:
        yield Fact(f"capacity {provisioner}", f"{provisioner} says that it has no room for {short(claim)} "
                   "(CSIStorageCapacity)", (driver.key,), "if nobody asked", partial(_uncounted, name=provisioner),
                   "spec.storageCapacity", kind="capacity")
    if claim.spec.selector is not None:
        yield Fact(f"asks labels {claim.key}", f"{short(claim)} asks for a volume with "
                   f"{selector_text(claim.spec.selector)}, and no volume is made for a claim with a selector",
                   (claim.key,), "if it did not", partial(no_selector, key=claim.key), "spec.selector",
                   kind="asks labels")
    asked = STORAGE_PROVISIONER in claim.metadata.annotations
    failed = evidence.event(claim.key, "ProvisioningFailed")
    if asked or failed is not None:
        said = f"fails ({failed.message})" if failed is not None else "does not answer"
        yield Fact(f"provisioner {provisioner}", f"the provisioner {provisioner} {said}", (key,), "if it did its work",
                   partial(_working, name=provisioner), "provisioner", kind="provisioner", detail=(provisioner,))


def _with_class(draft: Draft, key: Key) -> None:
    relax.let_provision(draft, relax.IDEAL)
    relax.change_claim(draft, key, storage_class_name=relax.IDEAL)


def _anywhere(draft: Draft, name: str) -> None:
    if (storage_class := draft.get(StorageClass, name)) is not None:
        draft.put(evolve(storage_class, allowed_topologies=()))


def _uncounted(draft: Draft, name: str) -> None:
    if (driver := draft.get(CSIDriver, name)) is not None:
        draft.put(evolve(driver, spec=evolve(driver.spec, storage_capacity=False)))


def _working(draft: Draft, name: str) -> None:
    draft.provisioners[name] = Provisioner(name=name)

