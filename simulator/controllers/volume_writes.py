"""The single writes of the volume controller: pure functions from objects to the write that is missing, or None."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from simulator.api.core import (
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
)
from simulator.api.meta import Key, evolve, with_annotations
from simulator.binding.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, PRE_RESIZE_CAPACITY
from simulator.binding.reference import refers
from simulator.flows import Emit, Intent, Tell, Update, UpdateStatus
from simulator.units import quantity

T = TypeVar("T")
Steps = Generator[Intent, Any, T]
"""A part of a flow: it yields intents, and returns something to the flow that contains it."""

SOURCE = "persistentvolume-controller"


def emit(about: Key, kind: str, reason: str, message: str) -> Tell:
    """A Kubernetes event of the volume controller (VB-184); `kind` is Normal or Warning."""
    return Tell(Emit(about, kind, reason, message, SOURCE))


# --- the four writes of a bind (VB-69) ------------------------------------------------------------------------------


def claim_ref(volume: PersistentVolume, claim: PersistentVolumeClaim) -> Update | None:
    """Write 1: point the volume at the claim; the annotation says that no human did (VB-71)."""
    was_reserved = refers(volume, claim)
    if was_reserved and volume.spec.claim_ref is not None and volume.spec.claim_ref.uid == claim.metadata.uid:
        return None
    reference = reference_to(claim)
    pointed = evolve(volume, spec=evolve(volume.spec, claim_ref=reference))
    if not was_reserved:
        pointed = with_annotations(pointed, {BOUND_BY_CONTROLLER: "yes"})
    return Update(pointed, "VB-71")


def volume_bound(volume: PersistentVolume, claim: PersistentVolumeClaim) -> UpdateStatus | None:
    """Write 2: the volume is Bound."""
    return volume_phase(volume, "Bound", rule="VB-69")


def volume_name(volume: PersistentVolume, claim: PersistentVolumeClaim) -> Update | None:
    """Write 3: point the claim at the volume; from now on the scheduler takes it as bound (VB-71, VB-73)."""
    annotations: dict[str, str | None] = {}
    spec = claim.spec
    if spec.volume_name != volume.name:
        spec = evolve(spec, volume_name=volume.name)
        if BOUND_BY_CONTROLLER not in claim.metadata.annotations:
            annotations[BOUND_BY_CONTROLLER] = "yes"
    if BIND_COMPLETED not in claim.metadata.annotations:
        annotations[BIND_COMPLETED] = "yes"
    if spec is claim.spec and not annotations:
        return None
    return Update(with_annotations(evolve(claim, spec=spec), annotations), "VB-71")


def claim_bound(volume: PersistentVolume, claim: PersistentVolumeClaim) -> UpdateStatus | None:
    """Write 4: the claim is Bound, and shows what it got."""
    return claim_phase(claim, "Bound", volume, rule="VB-9")


def reference_to(claim: PersistentVolumeClaim) -> ObjectReference:
    """A full reference to a claim, as claimRef holds it (VB-1)."""
    meta = claim.metadata
    return ObjectReference(
        kind="PersistentVolumeClaim", api_version="v1", namespace=meta.namespace, name=meta.name, uid=meta.uid,
        resource_version=meta.resource_version,
    )


# --- phases ---------------------------------------------------------------------------------------------------------


def volume_phase(volume: PersistentVolume, phase: str, message: str = "", rule: str = "VB-5") -> UpdateStatus | None:
    """Set a volume's phase; None if it has it already, whatever its message says (VB-4)."""
    if volume.status.phase == phase:
        return None
    return UpdateStatus(evolve(volume, status=evolve(volume.status, phase=phase, message=message)), rule)


def claim_phase(
    claim: PersistentVolumeClaim, phase: str, volume: PersistentVolume | None = None, rule: str = "VB-7"
) -> UpdateStatus | None:
    """Set a claim's phase and what it shows of its volume; None if nothing changes.

    Parameters
    ----------
    volume : what it is bound to; without one, everything that it showed of a volume is cleared (VB-8).
    """
    before = claim.status
    after = evolve(before, phase=phase)
    if volume is None:
        after = evolve(after, access_modes=(), capacity={}, current_volume_attributes_class_name=None)
    else:
        after = evolve(after, access_modes=volume.spec.access_modes)
        if before.phase != phase:  # VB-9: only at the transition, so that a resize is not overwritten
            after = evolve(after, capacity=_capacity_shown(volume, before))
        if before.phase == "Pending" and phase == "Bound":
            after = evolve(after, current_volume_attributes_class_name=volume.spec.volume_attributes_class_name)
    return UpdateStatus(evolve(claim, status=after), rule) if after != before else None


def _capacity_shown(volume: PersistentVolume, before: PersistentVolumeClaimStatus) -> Any:
    """The volume's whole capacity, or the one that it had before a resize began (VB-9, VB-10)."""
    shown = dict(volume.spec.capacity)
    resizing_from = volume.metadata.annotations.get(PRE_RESIZE_CAPACITY)
    if resizing_from is not None:
        shown["storage"] = quantity(resizing_from)
    return before.capacity if shown.get("storage") == before.capacity.get("storage") else shown


def unbound(volume: PersistentVolume) -> Update:
    """Take back a volume's pointer: all of it if a controller wrote it, only the uid if a human did (VB-72)."""
    if BOUND_BY_CONTROLLER in volume.metadata.annotations:
        freed = with_annotations(volume, {BOUND_BY_CONTROLLER: None})
        return Update(evolve(freed, spec=evolve(freed.spec, claim_ref=None)), "VB-72")
    reference = volume.spec.claim_ref
    kept = evolve(reference, uid="") if reference is not None else None
    return Update(evolve(volume, spec=evolve(volume.spec, claim_ref=kept)), "VB-72")
