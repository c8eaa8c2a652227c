"""Invariants of volumes and claims."""

from __future__ import annotations

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.cluster.component import Change
from simulator.units import Micros
from tests.whole.checks import Checks, phase_of
from tests.whole.oracle import BIND_COMPLETED, suits

VOLUME_PHASES = {  # VB-5, VB-6
    "Pending": {"Available", "Bound", "Released"},
    "Available": {"Bound", "Released"},
    "Bound": {"Available", "Released"},
    "Released": {"Available", "Failed"},
    "Failed": {"Available"},
}
CLAIM_PHASES = {"Pending": {"Bound", "Lost"}, "Bound": {"Lost"}, "Lost": {"Bound"}}  # VB-7, VB-65


def check_volume(checks: Checks, change: Change) -> None:
    """Phases, and who may take a volume when."""
    before, volume = change.old, change.new
    if volume is None:
        checks.require(phase_of(before) != "Bound", "VB-173", change, "goes away while it is bound")
        return
    assert isinstance(volume, PersistentVolume)
    phase = checks.phase(change, "VB-5", VOLUME_PHASES)
    reference = volume.spec.claim_ref
    is_taken = reference is not None and bool(reference.uid)
    if phase:
        is_meant = {"Available": not is_taken, "Bound": is_taken, "Released": is_taken, "Failed": is_taken}
        checks.require(is_meant[phase], "VB-5", change, f"is {phase} with claimRef {reference}")
    if phase == "Released" and reference is not None:
        claim = checks.store.get(PersistentVolumeClaim, reference.name, reference.namespace)
        is_gone = claim is None or claim.metadata.uid != reference.uid
        checks.require(is_gone, "VB-5", change, "is Released, but its claim is there")
    if phase == "Failed":
        policy = volume.spec.persistent_volume_reclaim_policy
        checks.require(policy == "Delete", "VB-89", change, f"has Failed with policy {policy}")
        text = f'error getting deleter volume plugin for volume "{volume.name}": no volume plugin matched'
        checks.require(volume.status.message == text, "VB-89", change, volume.status.message)
    if isinstance(before, PersistentVolume) and reference is not None:
        known = before.spec.claim_ref
        if known is None:
            is_free = before.status.phase == "Available" and not before.metadata.is_terminating
            checks.require(is_free, "VB-32", change, f"is taken while {before.status.phase}")
        else:
            checks.require(known.uid in ("", reference.uid), "VB-72", change, "goes from claim to claim directly")


def check_claim(checks: Checks, change: Change) -> None:
    """Phases, and what a claim is bound to."""
    before, claim = change.old, change.new
    if claim is None:
        assert isinstance(before, PersistentVolumeClaim)
        _check_gone(checks, change, before)
        return
    assert isinstance(claim, PersistentVolumeClaim)
    if claim.metadata.is_terminating:
        checks.deleted_claims[claim.key] = checks.world.now
    phase = checks.phase(change, "VB-7", CLAIM_PHASES)
    name = claim.spec.volume_name
    known = before.spec.volume_name if isinstance(before, PersistentVolumeClaim) else ""
    if known:
        checks.require(known == name, "VB-15", change, "is bound to another volume")
    elif name:
        _check_bound(checks, change, claim)
    volume = checks.store.get(PersistentVolume, name)
    if phase == "Bound":
        is_complete = bool(name) and BIND_COMPLETED in claim.metadata.annotations
        checks.require(is_complete, "VB-69", change, "is Bound before it is bound")
        if volume is not None:
            checks.require(claim.status.capacity == volume.spec.capacity, "VB-9", change, "has another capacity")
            modes = set(claim.status.access_modes), set(volume.spec.access_modes)
            checks.require(modes[0] == modes[1], "VB-9", change, "has other access modes")
    elif phase == "Lost":
        is_bare = not claim.status.capacity and not claim.status.access_modes
        checks.require(is_bare, "VB-8", change, "is Lost and keeps its capacity")


def _check_bound(checks: Checks, change: Change, claim: PersistentVolumeClaim) -> None:
    """A claim names a volume: the volume named it before, suits it, and is nobody else's."""
    name = claim.spec.volume_name
    volume = checks.store.get(PersistentVolume, name)
    checks.require(volume is not None, "VB-1", change, f"is bound to {name}, which is not there")
    assert volume is not None
    reference = volume.spec.claim_ref
    is_named = reference is not None and reference.uid == claim.metadata.uid
    checks.require(is_named, "VB-1", change, f"names {name} before {name} names it")
    checks.require(suits(volume, claim), "VB-32", change, f"is bound to {name}, which does not suit it")
    claims = [each.key for each in checks.store.list(PersistentVolumeClaim) if each.spec.volume_name == name]
    checks.require(claims == [claim.key], "VB-67", change, f"{name} is bound to all of {claims}")


def _check_gone(checks: Checks, change: Change, claim: PersistentVolumeClaim) -> None:
    """A claim goes away: no pod has used it for longer than somebody may not have seen (ND-27)."""
    checks.deleted_claims[claim.key] = checks.world.now
    users = [
        pod.name for pod in checks.store.list(Pod, claim.namespace)
        if claim.name in pod.claim_names and pod.spec.node_name and not checks.is_recent(_scheduled_at(pod))
    ]
    checks.require(not users, "VB-169", change, f"goes away while {users} use it")


def _scheduled_at(pod: Pod) -> Micros:
    condition = pod.condition("PodScheduled")
    return (condition.last_transition_time or 0) if condition is not None else 0
