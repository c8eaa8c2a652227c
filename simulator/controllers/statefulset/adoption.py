"""Which pods and revisions belong to a set: adopt what matches, release what no longer does (WL-96, WL-97)."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import Pod
from simulator.api.meta import AnyObject, Labels, OwnerReference, with_meta
from simulator.controllers.statefulset.pods import member_ordinal, set_reference
from simulator.controllers.statefulset.sync import Failure, Steps, aggregate
from simulator.flows import Get, Patch, Refused

# --- pure -----------------------------------------------------------------------------------------------------------


def selects(sts: StatefulSet, labels: Labels) -> bool:
    """Whether the set's selector matches; without a selector nothing does."""
    return sts.spec.selector is not None and sts.spec.selector.selects(labels)


def is_match(sts: StatefulSet, pod: Pod) -> bool:
    """Whether a pod could be the set's: labels and name are right (WL-96)."""
    return member_ordinal(sts, pod.metadata.name) is not None and selects(sts, pod.metadata.labels)


def add_owner(obj: AnyObject, owner: OwnerReference) -> AnyObject:
    """The object with one owner more; the edit of an adoption."""
    others = tuple(reference for reference in obj.metadata.owner_references if reference.uid != owner.uid)
    return with_meta(obj, owner_references=(*others, owner))


def remove_owner(obj: AnyObject, uid: str) -> AnyObject:
    """The object without the owner of that uid; the edit of a release."""
    kept = tuple(reference for reference in obj.metadata.owner_references if reference.uid != uid)
    return with_meta(obj, owner_references=kept)


# --- flows ----------------------------------------------------------------------------------------------------------


def adopt_revisions(sts: StatefulSet, orphans: Sequence[ControllerRevision]) -> Steps[list[ControllerRevision] | Failure]:
    """Adopt revisions that an earlier set of that name has left behind, before any pod (WL-96)."""
    adopted: list[ControllerRevision] = []
    if not orphans:
        return adopted
    refusal = yield from _may_adopt(sts)
    if refusal is not None:
        return Failure(f"can't adopt ControllerRevisions: {refusal.message}", refusal.conflict)
    for orphan in orphans:
        answer = yield Patch(orphan.key, add_owner, (set_reference(sts),), uid=orphan.metadata.uid, rule="WL-96")
        if isinstance(answer, Refused):
            return Failure.of(answer)
        adopted.append(answer)
    return adopted


def claim_pods(sts: StatefulSet, owned: Sequence[Pod], orphans: Sequence[Pod]) -> Steps[list[Pod] | Failure]:
    """Release owned pods that match no longer, adopt orphans that do.

    Parameters
    ----------
    owned : pods whose controller is this set.
    orphans : pods without a controller that match, name and labels.

    Returns
    -------
    The pods that are the set's now. No event is emitted for any of it.
    """
    claimed, failures = [], []
    for pod in owned:
        if is_match(sts, pod):
            claimed.append(pod)
        elif not sts.metadata.is_terminating:
            answer = yield Patch(pod.key, remove_owner, (sts.metadata.uid,), uid=pod.metadata.uid, rule="WL-97")
            # Gone, or no longer ours: there is nothing to release.
            if isinstance(answer, Refused) and answer.reason not in ("NotFound", "Invalid"):
                failures.append(Failure.of(answer))
    adoptable = [pod for pod in orphans if not pod.metadata.is_terminating and not sts.metadata.is_terminating]
    if adoptable:
        refusal = yield from _may_adopt(sts)
        for pod in adoptable:
            if refusal is not None:
                failures.append(Failure(f"can't adopt Pod {pod.namespace}/{pod.name} ({pod.metadata.uid}): {refusal.message}"))
                continue
            answer = yield Patch(pod.key, add_owner, (set_reference(sts),), uid=pod.metadata.uid, rule="WL-96")
            if not isinstance(answer, Refused):
                claimed.append(answer)
            elif answer.reason != "NotFound":
                failures.append(Failure.of(answer))
    return aggregate(failures) or claimed


def _may_adopt(sts: StatefulSet) -> Steps[Failure | None]:
    """Read the set itself, not the cache: it must be the same one and not be going away (WL-96)."""
    fresh = yield Get(sts.key)
    where = f"{sts.namespace}/{sts.name}"
    if not isinstance(fresh, StatefulSet):
        return Failure(f'statefulsets.apps "{sts.name}" not found')
    if fresh.metadata.uid != sts.metadata.uid:
        return Failure(f"original StatefulSet {where} is gone: got uid {fresh.metadata.uid}, wanted {sts.metadata.uid}")
    if fresh.metadata.is_terminating:
        return Failure(f"{where} has just been deleted")
    return None
