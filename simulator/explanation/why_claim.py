"""Why a claim is not bound: which volumes were considered and what each lacks, or who has to act first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key
from simulator.api.storage import NO_PROVISIONER, StorageClass
from simulator.binding.names import SELECTED_NODE, STORAGE_PROVISIONER
from simulator.binding.reference import (
    NOTHING,
    affinity_matches,
    attributes_class,
    class_of,
    is_delayed,
    is_fully_bound,
    refers,
    suitability,
    volume_mode,
)
from simulator.explanation.evidence import Evidence
from simulator.explanation.reason import Reason
from simulator.explanation.words import listing, place, selector_text, short


def why_claim(evidence: Evidence, claim: PersistentVolumeClaim) -> Reason:
    """Why a claim is not Bound."""
    name = short(claim)
    if claim.status.phase == "Lost":
        return Reason(claim.key, f"{name} is Lost: {_lost(evidence, claim)}")
    if is_fully_bound(claim):
        return Reason(claim.key, f"{name} is being bound to {claim.spec.volume_name}")
    if claim.spec.volume_name:
        return Reason(claim.key, f"{name} is not bound: {_preset(evidence, claim)}")
    storage_class = evidence.class_of(claim)
    if not is_delayed(storage_class):
        return _immediate(evidence, claim, storage_class)
    node = claim.metadata.annotations.get(SELECTED_NODE)
    if node is not None:
        return Reason(claim.key, f"{name} is not bound: its volume is to be made for {node}, and "
                      f"{_provisioner(evidence, claim, storage_class)}")
    return Reason(claim.key, f"{name} is not bound: {_first_consumer(evidence, claim)}")


def _lost(evidence: Evidence, claim: PersistentVolumeClaim) -> str:
    """VB-63, VB-64, VB-67."""
    volume_name = claim.spec.volume_name
    if not volume_name:
        return "it no longer names a volume"
    volume = evidence.state.get(PersistentVolume, volume_name)
    if volume is None:
        return f"its volume {volume_name} is gone, and the data with it"
    owner = volume.spec.claim_ref
    whose = place(owner.namespace, owner.name) if owner is not None else "nobody"
    earlier = " (an earlier claim of that name)" if whose == short(claim) else ""
    return f"its volume {volume_name} belongs to {whose}{earlier}"


def _preset(evidence: Evidence, claim: PersistentVolumeClaim) -> str:
    """A claim that names its volume before it is bound (VB-57 to VB-61)."""
    wanted = claim.spec.volume_name
    volume = evidence.state.get(PersistentVolume, wanted)
    if volume is None:
        return f"it asks for the volume {wanted}, which does not exist"
    if volume.spec.claim_ref is not None and not refers(volume, claim):
        owner = volume.spec.claim_ref
        return f"it asks for the volume {wanted}, which belongs to {place(owner.namespace, owner.name)}"
    problem = suitability(volume, claim) if volume.spec.claim_ref is None else None
    return f"it asks for the volume {wanted}: {problem}" if problem is not None else f"{wanted} is being bound to it"


def _immediate(evidence: Evidence, claim: PersistentVolumeClaim, storage_class: StorageClass | None) -> Reason:
    """Bound at once, or as soon as there is a volume."""
    wanted = class_of(claim)
    name = short(claim)
    kind = f"of class {wanted}" if wanted else "without a class"
    volumes = list(evidence.state.list(PersistentVolume))
    lacks = {volume.name: lack(volume, claim) for volume in volumes}
    fitting = [volume for volume, problem in lacks.items() if problem is None]
    if fitting:
        verb = "fits" if len(fitting) == 1 else "fit"
        return Reason(claim.key, f"{name} is not bound yet: {listing(fitting)} {verb}, and the volume controller will "
                      "take it at its next look")
    if not volumes:
        found = "there is no volume at all"
    elif all(class_of(volume) != wanted for volume in volumes):
        found = f"there is no volume {kind}"
    else:
        found = f"none of the volumes {kind} fits"
    text = f"{name} is not bound: {found}, and {_provisioner(evidence, claim, storage_class)}"
    return Reason(claim.key, text, tuple(_lack_reasons(lacks)))


def _lack_reasons(lacks: Mapping[str, Lack | None]) -> Iterable[Reason]:
    for volumes, problem in grouped(lacks):
        yield Reason(Key("PersistentVolume", "", volumes[0]), f"{listing(volumes)}: {problem}")


class Lack(Struct, frozen=True):
    """What keeps a claim from a volume: of this one, and of several volumes that lack the same sort of thing."""

    one: str
    several: str


def grouped(lacks: Mapping[str, Lack | None]) -> list[tuple[list[str], str]]:
    """Volumes with what they lack, those together that lack the same sort of thing."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for volume, problem in lacks.items():
        if problem is not None:
            groups.setdefault(problem.several, []).append((volume, problem.one))
    return [
        ([volume for volume, _ in each], each[0][1] if len({one for _, one in each}) == 1 else several)
        for several, each in groups.items()
    ]


def lack(volume: PersistentVolume, claim: PersistentVolumeClaim, node: Node | None = None) -> Lack | None:
    """What keeps a claim from a volume, on a node if one is given; None if nothing does (VB-32)."""
    owner = volume.spec.claim_ref
    is_reserved = refers(volume, claim)
    if owner is not None and not is_reserved:
        return _taken(volume, claim)
    if volume.metadata.is_terminating:
        return _same("being deleted")
    size, request = volume.capacity or NOTHING, claim.request or NOTHING
    if size < request:
        return Lack(f"{size}, less than the {request} asked for", f"less than the {request} asked for")
    if volume_mode(volume) != volume_mode(claim):
        return _same(f"of volumeMode {volume_mode(volume)}, not {volume_mode(claim)}")
    if attributes_class(volume) != attributes_class(claim):
        return _same("of another volumeAttributesClassName")
    if node is not None and not affinity_matches(volume, node.metadata.labels):
        return _same(f"out of reach of {node.name}")
    if is_reserved:
        return None
    if class_of(volume) != class_of(claim):
        other = class_of(volume)
        return Lack(f"of class {other}" if other else "without a class", "of another class, or of none")
    missing = [mode for mode in claim.spec.access_modes if mode not in volume.spec.access_modes]
    if missing:
        return _same(f"without {listing(missing)}")
    if claim.spec.selector is not None and not claim.spec.selector.selects(volume.metadata.labels):
        return _same(f"without the labels asked for ({selector_text(claim.spec.selector)})")
    if volume.status.phase != "Available":
        return _same(f"{volume.status.phase or 'Pending'}, not Available")
    return None


def _same(text: str) -> Lack:
    return Lack(text, text)


def _taken(volume: PersistentVolume, claim: PersistentVolumeClaim) -> Lack:
    owner = volume.spec.claim_ref
    assert owner is not None
    whose = place(owner.namespace, owner.name)
    if (owner.namespace, owner.name) == (claim.metadata.namespace, claim.metadata.name):
        whose = f"an earlier claim {whose}"
    match volume.status.phase:
        case "Released":
            return Lack(f"Released by {whose}, and not free until its claimRef is cleared",
                        "Released, and not free until their claimRef is cleared")
        case "Failed":
            why = volume.status.message or volume.status.reason or "it could not be reclaimed"
            return Lack(f"Failed: {why}", "Failed: they could not be reclaimed")
        case "Bound":
            return Lack(f"bound to {whose}", "bound to other claims")
    return Lack(f"reserved for {whose}", "reserved for other claims")


def _provisioner(evidence: Evidence, claim: PersistentVolumeClaim, storage_class: StorageClass | None) -> str:
    """Why no volume is made for the claim (VB-94 to VB-105)."""
    wanted = class_of(claim)
    if not wanted:
        return "without a class none is made"
    if storage_class is None:
        return f"no StorageClass {wanted} exists to make one"
    if storage_class.provisioner in ("", NO_PROVISIONER):
        return f"class {wanted} makes none ({NO_PROVISIONER})"
    failed = evidence.event(claim.key, "ProvisioningFailed")
    asked = evidence.event(claim.key, "ExternalProvisioning", "Provisioning")
    if failed is not None and (asked is None or failed.time >= asked.time or failed.source != asked.source):
        return f"its provisioner {storage_class.provisioner} fails: {failed.message}"
    if STORAGE_PROVISIONER in claim.metadata.annotations:
        return f"its provisioner {storage_class.provisioner} has not answered"
    return f"its provisioner {storage_class.provisioner} has not been asked yet"


def _first_consumer(evidence: Evidence, claim: PersistentVolumeClaim) -> str:
    """WaitForFirstConsumer, and nobody has chosen yet (VB-52, VB-53)."""
    waits = f"class {class_of(claim)} waits for the first consumer (WaitForFirstConsumer)"
    users = [pod for pod in evidence.users_of(claim) if not pod.is_finished and not pod.metadata.is_terminating]
    if not users:
        return f"{waits}, and no pod uses it"
    bypassing = [pod for pod in users if pod.spec.node_name]
    if bypassing:
        names = listing(short(pod) for pod in bypassing)
        verb = "was" if len(bypassing) == 1 else "were"
        return (f"{waits}, and {names} {verb} put on a node without the scheduler (spec.nodeName), which would have "
                "chosen the volume")
    reserved = [volume.name for volume in evidence.state.list(PersistentVolume) if refers(volume, claim)]
    if reserved:
        return f"{listing(reserved)} is reserved for it, and the volume controller has yet to bind it"
    verb = "is" if len(users) == 1 else "are"
    return f"{waits}, and {listing(short(pod) for pod in users)} {verb} not scheduled"


def volumes_on(evidence: Evidence, claim: PersistentVolumeClaim, node: Node) -> str:
    """What there is for a claim on a node: no volume of its class, or which ones and what each lacks."""
    wanted = class_of(claim)
    kind = f" of class {wanted}" if wanted else ""
    lacks = {
        volume.name: lack(volume, claim, node)
        for volume in evidence.state.by("volumes-by-class", wanted)
        if affinity_matches(volume, node.metadata.labels)
    }
    each = "; ".join(f"{listing(volumes)}: {problem}" for volumes, problem in grouped(lacks))
    return f"no volume{kind} that is free" + (f" ({each})" if each else "") if lacks else f"no volume{kind}"
