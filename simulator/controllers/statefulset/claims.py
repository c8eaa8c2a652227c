"""What the claims of a pod should look like, and who should own them: pure (WL-22, WL-75 to WL-85)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Object, ObjectMeta, OwnerReference, with_meta
from simulator.cluster.component import View
from simulator.controllers.statefulset.pods import set_reference

Claims: TypeAlias = Mapping[str, PersistentVolumeClaim | None]
"""The claims of one ordinal by name, in the order of the templates; None where one is missing."""


def claims_of(sts: StatefulSet, ordinal: int, view: View) -> Claims:
    """The claims of an ordinal as the cache shows them (WL-17)."""
    namespace = sts.metadata.namespace
    names = [sts.claim_name(template.metadata.name, ordinal) for template in sts.spec.volume_claim_templates]
    return {name: view.get(PersistentVolumeClaim, name, namespace) for name in names}


def new_claim(sts: StatefulSet, template: PersistentVolumeClaim, ordinal: int) -> PersistentVolumeClaim:
    """The claim of an ordinal as it is sent to the API server (WL-22)."""
    selected = sts.spec.selector.match_labels if sts.spec.selector is not None else {}
    name = sts.claim_name(template.metadata.name, ordinal)
    return with_meta(template, name=name, namespace=sts.namespace, labels={**template.metadata.labels, **selected})


def pod_reference(pod: Pod) -> OwnerReference:
    """The reference by which a condemned pod owns its claims."""
    return OwnerReference(api_version=pod.API_VERSION, kind=pod.KIND, name=pod.name, uid=pod.metadata.uid,
                          controller=True, block_owner_deletion=True)


def deletes_claims(sts: StatefulSet) -> tuple[bool, bool]:
    """The retention policy as (whenDeleted is Delete, whenScaled is Delete); both False if it is absent (WL-1)."""
    policy = sts.spec.persistent_volume_claim_retention_policy
    if policy is None:
        return False, False
    return policy.when_deleted == "Delete", policy.when_scaled == "Delete"


def wanted_owner(sts: StatefulSet, pod: Pod, ordinal: int) -> OwnerReference | None:
    """Who should own the claims of a pod of the set (WL-75)."""
    when_deleted, when_scaled = deletes_claims(sts)
    if when_scaled and ordinal not in sts.ordinals:
        return pod_reference(pod)
    return set_reference(sts) if when_deleted else None


def has_stale_owner(claim: PersistentVolumeClaim, owner: Object) -> bool:
    """Whether the claim names the owner, but with another uid: an earlier object of that name (WL-83, WL-85)."""
    for reference in claim.metadata.owner_references:
        if _names(reference, owner):
            return reference.uid != owner.metadata.uid
    return False


def has_unexpected_controller(claim: PersistentVolumeClaim, sts: StatefulSet, pod: Pod) -> bool:
    """Whether somebody else manages the claim, so that the retention policy must not (WL-84)."""
    if not any(deletes_claims(sts)):
        return False
    for reference in claim.metadata.owner_references:
        for ours in (sts, pod):
            if _names(reference, ours):
                if reference.uid != ours.metadata.uid:
                    return True
                break
        else:
            if reference.controller:
                return True
    return False


def owners_match(claim: PersistentVolumeClaim, sts: StatefulSet, pod: Pod, ordinal: int) -> bool:
    """Whether the claim's owner references are right, or must be left alone (WL-75, WL-83, WL-84)."""
    references = claim.metadata.owner_references
    wanted = wanted_owner(sts, pod, ordinal)
    if not references:
        return wanted is None
    if has_stale_owner(claim, sts) or has_stale_owner(claim, pod):
        return True  # WL-83: of an earlier set or pod; the garbage collector will deal with it
    ours = [reference for reference in references if reference.uid in (sts.metadata.uid, pod.metadata.uid)]
    if has_unexpected_controller(claim, sts, pod):
        return not ours  # WL-84: ours are stripped, none is added
    if not all(reference.controller for reference in ours):
        return False  # WL-84
    return {reference.uid for reference in ours} == ({wanted.uid} if wanted is not None else set())


def with_owners(claim: PersistentVolumeClaim, sts: StatefulSet, pod: Pod, ordinal: int) -> PersistentVolumeClaim:
    """The claim with its owner references put right; foreign ones stay (WL-82, WL-84)."""
    kept = [reference for reference in claim.metadata.owner_references
            if not _names(reference, sts) and not _names(reference, pod)]
    wanted = wanted_owner(sts, pod, ordinal)
    if (
        wanted is not None
        and not has_unexpected_controller(claim, sts, pod)
        and all(reference.uid != wanted.uid for reference in kept)
    ):
        kept.append(wanted)
    return with_meta(claim, owner_references=tuple(kept))


def all_owners_match(sts: StatefulSet, pod: Pod, ordinal: int, claims: Claims) -> bool:
    """Whether the owner references of all claims of a pod are right; a missing claim is skipped (WL-77)."""
    for claim in claims.values():  # noqa: SIM110 - for every pod in every sync, where a loop is twice as fast
        if claim is not None and not owners_match(claim, sts, pod, ordinal):
            return False
    return True


def is_blocked(sts: StatefulSet, ordinal: int, claims: Claims) -> bool:
    """Whether a claim of an earlier pod of that name stands in the way of the new pod (WL-85)."""
    if not deletes_claims(sts)[1]:
        return False
    awaited = Pod(metadata=ObjectMeta(name=sts.pod_name(ordinal)))  # without a uid, so any reference to it is stale
    return any(claim is not None and has_stale_owner(claim, awaited) for claim in claims.values())


def _names(reference: OwnerReference, owner: Object) -> bool:
    return (reference.kind == owner.KIND and reference.name == owner.metadata.name
            and reference.api_version == owner.API_VERSION)
