"""One pod made, mended or deleted, with its claims before it and its events after it (WL-40 to WL-47, WL-54, WL-77)."""

from __future__ import annotations

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod, PodTemplateSpec
from simulator.api.meta import Key
from simulator.controllers.statefulset.claims import (
    Claims,
    all_owners_match,
    has_unexpected_controller,
    new_claim,
    owners_match,
    with_owners,
)
from simulator.controllers.statefulset.pods import (
    claim_volumes,
    identity_matches,
    new_pod,
    storage_matches,
    with_identity,
    with_storage,
)
from simulator.controllers.statefulset.sync import (
    CONFLICT_WAITS,
    Failure,
    Steps,
    Sync,
    aggregate,
    event,
    in_any_order,
    wait,
    write,
)
from simulator.flows import Create, Delete, Get, Refused, Tell, Update


def create_pod(sync: Sync, ordinal: int, template: PodTemplateSpec, revision: str) -> Steps[Failure | None]:
    """Create the claims of an ordinal, then its pod (WL-39, WL-43 to WL-45).

    A successor takes its predecessor's claims, and local volumes behind them tie it to the same node (WL-136).
    """
    sts = sync.sts
    volumes = {_claim_key(sts, volume.persistent_volume_claim.claim_name): volume
               for volume in claim_volumes(sts, ordinal) if volume.persistent_volume_claim is not None}
    about = Key(Pod.KIND, sts.namespace, sts.pod_name(ordinal))
    order = yield from in_any_order("volume-order", about, tuple(volumes))  # ND-4
    pod = new_pod(sts, ordinal, template, revision, [volumes[key] for key in order])

    created, failure = yield from create_claims(sync, pod, ordinal)
    if failure is not None:
        yield _pod_event(sts, "Create", pod.name, failure)  # WL-44
        return failure
    answer = yield from write(sts.key, Create(pod, rule="WL-39"))
    if isinstance(answer, Refused):
        failure = Failure.of(answer)
        if answer.reason == "AlreadyExists":
            return failure  # WL-45: no event
    # Also after a refusal. Claims created just now count as seen; one that somebody has changed since is a conflict.
    unowned = yield from update_owners(sync, pod, ordinal, {**sync.claims[ordinal], **created})  # WL-77
    if unowned is not None:
        yield _pod_event(sts, "Update", pod.name, unowned)
        return unowned
    yield _pod_event(sts, "Create", pod.name, failure)
    return failure


def create_claims(sync: Sync, pod: Pod, ordinal: int) -> Steps[tuple[dict[str, PersistentVolumeClaim], Failure | None]]:
    """Create the claims of a pod that are missing; those that are there are taken as they are (WL-43).

    Returns
    -------
    The claims created, by name, and what went wrong: a refusal, or a claim that is on its way out (WL-44).
    """
    sts = sync.sts
    created: dict[str, PersistentVolumeClaim] = {}
    missing: dict[Key, PersistentVolumeClaim] = {}
    failures = []
    for (name, existing), template in zip(
        sync.claims[ordinal].items(), sts.spec.volume_claim_templates, strict=True
    ):
        if existing is None:
            missing[_claim_key(sts, name)] = new_claim(sts, template, ordinal)
        elif existing.metadata.is_terminating:
            failures.append(Failure(f"pvc {name} is being deleted"))  # WL-47
    for key in (yield from in_any_order("claim-order", pod.key, tuple(missing))):  # ND-4
        answer = yield from write(sts.key, Create(missing[key], rule="WL-43"))
        if not isinstance(answer, Refused):
            created[key.name] = answer
            yield _claim_event(sts, pod, key.name, None)
            continue
        failures.append(Failure.of(answer, f"failed to create PVC {key.name}: "))
        if answer.reason != "AlreadyExists":
            yield _claim_event(sts, pod, key.name, Failure.of(answer))
    return created, aggregate(failures)


def create_missing_claims(sync: Sync, pod: Pod, ordinal: int) -> Steps[Failure | None]:
    """Give a pending pod the claims that it lacks, and all of them their owners (WL-40)."""
    created, failure = yield from create_claims(sync, pod, ordinal)
    if failure is not None:
        return failure
    unowned = yield from update_owners(sync, pod, ordinal, {**sync.claims[ordinal], **created})
    if unowned is not None:
        yield _pod_event(sync.sts, "Update", pod.name, unowned)
    return unowned


def update_owners(sync: Sync, pod: Pod, ordinal: int, claims: Claims) -> Steps[Failure | None]:
    """Put the owner references of a pod's claims right; a missing claim is skipped (WL-77)."""
    sts = sync.sts
    for name, claim in claims.items():
        if claim is None:
            continue
        if has_unexpected_controller(claim, sts, pod):
            yield event(sts.key, "Warning", "ConflictingController", (
                f"PersistentVolumeClaim {name} has a conflicting OwnerReference that acts as a manging controller, "
                "the retention policy is ignored for this claim"
            ))  # WL-84
        if owners_match(claim, sts, pod, ordinal):
            continue
        answer = yield from write(sts.key, Update(with_owners(claim, sts, pod, ordinal), rule="WL-82"))
        if isinstance(answer, Refused):
            return Failure.of(answer, f"could not update claim {name} for delete policy ownerRefs: ")
    return None


def update_pod(sync: Sync, pod: Pod, ordinal: int) -> Steps[Failure | None]:
    """Repair identity, storage and claim owners of a pod, with retries on conflict (WL-42)."""
    sts = sync.sts
    attempted = False
    for pause in CONFLICT_WAITS:
        wanted, failure = pod, None
        if not identity_matches(sts, pod, ordinal):
            wanted = with_identity(sts, wanted, ordinal)
        claims = sync.claims[ordinal]
        if not storage_matches(sts, pod, claims):
            # The API server will refuse it, as volumes are immutable, so the order of the volumes does not matter.
            wanted = with_storage(wanted, claim_volumes(sts, ordinal))
            _, failure = yield from create_claims(sync, pod, ordinal)
        owners_are_right = all_owners_match(sts, pod, ordinal, claims)
        if failure is None and not owners_are_right:
            failure = yield from update_owners(sync, pod, ordinal, claims)
        if failure is not None:
            yield _pod_event(sts, "Update", pod.name, failure)
        elif wanted is pod and owners_are_right:
            break
        else:
            attempted = True
            answer = yield from write(sts.key, Update(wanted, rule="WL-42"))  # also if only the claims were changed
            if not isinstance(answer, Refused):
                break
            failure = Failure.of(answer)
        if not failure.conflict or pause is None:
            break
        pod, sync = yield from _read_again(sync, pod, ordinal)
        yield from wait(pause)
    if attempted:
        yield _pod_event(sts, "Update", pod.name, failure)
    return failure


def delete_pod(sync: Sync, name: str) -> Steps[Failure | None]:
    """Delete a pod, without any precondition; one that is gone already counts as deleted (WL-54)."""
    answer = yield Delete(Key(Pod.KIND, sync.sts.namespace, name), rule="WL-54")
    failure = Failure.of(answer) if isinstance(answer, Refused) and answer.reason != "NotFound" else None
    yield _pod_event(sync.sts, "Delete", name, failure)
    return failure


def _read_again(sync: Sync, pod: Pod, ordinal: int) -> Steps[tuple[Pod, Sync]]:
    """Pod and claims as they are now, after a write that lost its optimistic lock."""
    fresh = yield Get(pod.key)
    claims: dict[str, PersistentVolumeClaim | None] = {}
    for name in sync.claims[ordinal]:
        claims[name] = yield Get(_claim_key(sync.sts, name))
    return (fresh if isinstance(fresh, Pod) else pod), Sync(sync.sts, sync.now, {ordinal: claims})


def _claim_key(sts: StatefulSet, name: str) -> Key:
    return Key(PersistentVolumeClaim.KIND, sts.namespace, name)


def _pod_event(sts: StatefulSet, verb: str, pod: str, failure: Failure | None) -> Tell:
    """What came of a pod, with a capital letter as since 1.36 (WL-168)."""
    about = f"{verb} Pod {pod} in StatefulSet {sts.name}"
    if failure is None:
        return event(sts.key, "Normal", f"Successful{verb}", f"{about} successful")
    return event(sts.key, "Warning", f"Failed{verb}", f"{about} failed error: {failure.message}")


def _claim_event(sts: StatefulSet, pod: Pod, name: str, failure: Failure | None) -> Tell:
    if failure is None:
        message = f"Create Claim {name} Pod {pod.name} in StatefulSet {sts.name} success"
        return event(sts.key, "Normal", "SuccessfulCreate", message)
    message = f"Create Claim {name} for Pod {pod.name} in StatefulSet {sts.name} failed error: {failure.message}"
    return event(sts.key, "Warning", "FailedCreate", message)
