"""Which volume for which claim: the rules of Kubernetes 1.36, written to be read; every volume is looked at.

Kubernetes has one matching function and calls it in two ways. The volume controller asks without a node, and looks at
buckets of volumes with the same access modes, fewest modes first. The scheduler asks for one node, and looks at all
volumes of the claim's class at once. Both take the first smallest volume that they meet in a Go map, so the answers
here are sets of equally good volumes (`Tier`), and whoever asks draws.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.selectors import node_selector_matches
from simulator.api.storage import WAIT_FOR_FIRST_CONSUMER, StorageClass
from simulator.binding.names import BETA_CLASS, BIND_COMPLETED, DEFAULT_CLASS
from simulator.units import SECOND, Quantity, quantity

NOTHING: Quantity = quantity("0")


class Tier(Struct, frozen=True):
    """Volumes of equal merit for a claim: Kubernetes takes whichever it meets first (VB-33, ND-1, ND-2).

    Attributes
    ----------
    volumes : in the order given; with a node, all of them can be reached from it.
    modes : the access modes of the bucket that they stand in, in alphabetical order; empty for the scheduler.
    out_of_reach : reserved for the claim, but not reachable from the node. Meeting one of these first ends the search
        without a match (VB-37), so they are options too: "no volume".
    """

    volumes: tuple[PersistentVolume, ...]
    modes: tuple[str, ...] = ()
    out_of_reach: tuple[PersistentVolume, ...] = ()


NO_MATCH = Tier(())


def volumes_for_claim(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], *, delay: bool
) -> tuple[Tier, ...]:
    """What the volume controller may bind a claim to: no node, topology-blind (VB-43).

    Parameters
    ----------
    volumes : every volume, or at least those of the claim's class and those that refer to it.
    delay : whether the claim's class says WaitForFirstConsumer; then only volumes reserved for it count (VB-49).

    Returns
    -------
    One tier for each bucket that may come first: buckets with equally many access modes are tried in a random order,
    and the first that yields a volume ends the search (VB-28, VB-29, ND-3). Within a tier any of the volumes. Empty if
    there is no match. Capacities are never compared across buckets (VB-30).
    """
    wanted = set(claim.spec.access_modes)
    buckets: dict[tuple[str, ...], list[PersistentVolume]] = {}
    for volume in volumes:
        if wanted.issubset(volume.spec.access_modes):
            buckets.setdefault(bucket_of(volume), []).append(volume)
    found: list[Tier] = []
    for modes in sorted(buckets, key=lambda modes: (len(modes), modes)):
        if found and len(modes) > len(found[0].modes):
            break
        tier = _smallest(claim, buckets[modes], None, (), delay)
        if tier.volumes:
            found.append(Tier(tier.volumes, modes))
    return tuple(found)


def volumes_for_claim_on_node(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], node_labels: Mapping[str, str],
    excluded: Collection[str] = (),
) -> Tier:
    """What the scheduler may bind a WaitForFirstConsumer claim to, if its pod goes to a certain node.

    Parameters
    ----------
    volumes : those whose class is the claim's, as the scheduler sees them, assumed ones included (VB-31, VB-120).
    excluded : names of volumes that an earlier claim of the same pod has taken (VB-133).
    """
    return _smallest(claim, volumes, node_labels, excluded, True)


def _smallest(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], node_labels: Mapping[str, str] | None,
    excluded: Collection[str], delay: bool,
) -> Tier:
    """One search through one list of candidates, test by test in Kubernetes' order (VB-32)."""
    request = claim.request or NOTHING
    wanted_class, wanted_modes = class_of(claim), set(claim.spec.access_modes)
    reserved: list[PersistentVolume] = []
    out_of_reach: list[PersistentVolume] = []
    best: list[PersistentVolume] = []
    least: Quantity | None = None
    for volume in volumes:
        if volume.name in excluded:
            continue
        is_reserved = refers(volume, claim)
        if volume.spec.claim_ref is not None and not is_reserved:
            continue
        capacity = volume.capacity or NOTHING
        if capacity < request:
            continue
        if volume_mode(volume) != volume_mode(claim):
            continue
        if attributes_class(volume) != attributes_class(claim):  # VB-44
            continue
        if volume.metadata.is_terminating:  # VB-174
            continue
        is_reachable = node_labels is None or affinity_matches(volume, node_labels)
        if is_reserved:  # VB-34, VB-36: neither phase, labels, class nor access modes are looked at
            (reserved if is_reachable else out_of_reach).append(volume)
            continue
        if node_labels is None and delay:  # VB-49
            continue
        if volume.status.phase != "Available":  # VB-3
            continue
        if claim.spec.selector is not None and not claim.spec.selector.selects(volume.metadata.labels):  # VB-39
            continue
        if class_of(volume) != wanted_class:  # VB-38
            continue
        if not is_reachable:
            continue
        if node_labels is not None and not wanted_modes.issubset(volume.spec.access_modes):
            continue
        if least is None or capacity < least:
            least, best = capacity, [volume]
        elif capacity == least:
            best.append(volume)
    if reserved or out_of_reach:
        return Tier(tuple(reserved), out_of_reach=tuple(out_of_reach))
    return Tier(tuple(best)) if best else NO_MATCH


def class_of(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    """The class of a volume or a claim: the beta annotation if present, else the field, else none."""
    legacy = obj.metadata.annotations.get(BETA_CLASS)
    return legacy if legacy is not None else obj.spec.storage_class_name or ""


def has_class(claim: PersistentVolumeClaim) -> bool:
    """Whether a claim says anything about its class; ``""`` is something (VB-12, VB-51)."""
    return claim.spec.storage_class_name is not None or BETA_CLASS in claim.metadata.annotations


def default_class(classes: Iterable[StorageClass]) -> StorageClass | None:
    """The current default class: of several the newest, of equally old ones the first by name (VB-13)."""
    marked = [
        found for found in classes
        if any(found.metadata.annotations.get(annotation) == "true" for annotation in DEFAULT_CLASS)
    ]
    return min(marked, key=lambda found: (-_born(found), found.name), default=None)


def _born(storage_class: StorageClass) -> int:
    """When a class was created, in whole seconds: creationTimestamp has no more."""
    return (storage_class.metadata.creation_timestamp or 0) // SECOND


def is_delayed(storage_class: StorageClass | None) -> bool:
    """Whether claims of a class wait for their first consumer; without a class object they do not (VB-47)."""
    return storage_class is not None and storage_class.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER


def refers(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether a volume's claimRef names the claim, by uid or for whoever bears the name."""
    reference = volume.spec.claim_ref
    return (
        reference is not None
        and reference.name == claim.metadata.name
        and reference.namespace == claim.metadata.namespace
        and reference.uid in ("", claim.metadata.uid)
    )


def is_fully_bound(claim: PersistentVolumeClaim) -> bool:
    """Whether a claim counts as bound for the scheduler: its phase is not looked at (VB-73)."""
    return bool(claim.spec.volume_name) and BIND_COMPLETED in claim.metadata.annotations


def affinity_matches(volume: PersistentVolume, node_labels: Mapping[str, str]) -> bool:
    """Whether a node with these labels can reach a volume (VB-40 to VB-42); matchFields are not evaluated."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return True
    return node_selector_matches(affinity.required, node_labels, None)


def suitability(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str | None:
    """What keeps a claim from a volume that it asks for by name, in Kubernetes' words; None if nothing does (VB-58)."""
    if volume.metadata.is_terminating:
        return f'the volume is marked for deletion "{volume.name}"'
    if (volume.capacity or NOTHING).value < (claim.request or NOTHING).value:
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if attributes_class(volume) != attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if volume_mode(volume) != volume_mode(claim):
        return "incompatible volumeMode"
    if not set(claim.spec.access_modes).issubset(volume.spec.access_modes):
        return "incompatible accessMode"
    return None


def volume_mode(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    """Filesystem or Block; unset means Filesystem (VB-32)."""
    return obj.spec.volume_mode or "Filesystem"


def attributes_class(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    """The VolumeAttributesClass; unset means none."""
    return obj.spec.volume_attributes_class_name or ""


def bucket_of(volume: PersistentVolume) -> tuple[str, ...]:
    """The access modes of a volume as a set, in alphabetical order (VB-28)."""
    return tuple(sorted(set(volume.spec.access_modes)))
