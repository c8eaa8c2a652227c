"""Which pods and revisions belong to a set: adopt what matches, release what no longer does (WL-96, WL-97)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import Pod
from simulator.api.meta import AnyObject, Labels, OwnerReference, with_meta
from simulator.controllers.statefulset.pods import member_ordinal, set_reference
from simulator.controllers.statefulset.sync import Failure, Steps, aggregate
from simulator.flows import Get, Patch, Refused

Member: TypeAlias = tuple[int, Pod]
"""A pod of a set with its ordinal, which is -1 if it is ignored (WL-19)."""

# --- pure -----------------------------------------------------------------------------------------------------------


def selects(sts: StatefulSet, labels: Labels) -> bool:
    """Whether the set's selector matches; without a selector nothing does."""
    return sts.spec.selector is not None and sts.spec.selector.selects(labels)


def sort_out(sts: StatefulSet, pods: Iterable[Pod]) -> tuple[list[Member], list[Pod]]:
    """Pods that could be the set's, as labels and name are right, with their ordinals; and the others (WL-96)."""
    members: list[Member] = []
    strangers = []
    name, selector = sts.metadata.name, sts.spec.selector
    for pod in pods:
        meta = pod.metadata
        ordinal = member_ordinal(name, meta.name)
        if ordinal is not None and selector is not None and selector.selects(meta.labels):
            members.append((ordinal, pod))
        else:
            strangers.append(pod)
    return members, strangers


def adoptable(sts: StatefulSet, pods: Iterable[Pod]) -> list[Member]:
    """Pods without a controller that the set may adopt: neither they nor the set are being deleted (WL-96).

    So come pods of an earlier set (WL-98) and pods made by hand (WL-57) to their set.
    """
    if sts.metadata.is_terminating:
        return []
    return [member for member in sort_out(sts, pods)[0] if not member[1].metadata.is_terminating]


def add_owner(obj: AnyObject, owner: OwnerReference) -> AnyObject:
    """The object with one owner more; the edit of an adoption."""
    others = tuple(reference for reference in obj.metadata.owner_references if reference.uid != owner.uid)
    return with_meta(obj, owner_references=(*others, owner))


def remove_owner(obj: AnyObject, uid: str) -> AnyObject:
    """The object without the owner of that uid; the edit of a release."""
    kept = tuple(reference for reference in obj.metadata.owner_references if reference.uid != uid)
    return with_meta(obj, owner_references=kept)


# --- flows ----------------------------------------------------------------------------------------------------------


def adopt_revisions(sts: StatefulSet,
                    orphans: Sequence[ControllerRevision]) -> Steps[list[ControllerRevision] | Failure]:
    """Adopt revisions that an earlier set of that name has left behind, before any pod (WL-96)."""
    adopted: list[ControllerRevision] = []
    if sts.metadata.is_terminating:
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


def release_pods(sts: StatefulSet, strangers: Sequence[Pod]) -> Steps[Failure | None]:
    """Give up pods of the set whose labels or name match no longer, unless the set is being deleted (WL-97)."""
    failures: list[Failure] = []
    for pod in () if sts.metadata.is_terminating else strangers:
        answer = yield Patch(pod.key, remove_owner, (sts.metadata.uid,), uid=pod.metadata.uid, rule="WL-97")
        # Gone, or no longer ours: there is nothing to release.
        if isinstance(answer, Refused) and answer.reason not in ("NotFound", "Invalid"):
            failures.append(Failure.of(answer))
    return aggregate(failures)


def adopt_pods(sts: StatefulSet, orphans: Sequence[Member]) -> Steps[tuple[list[Member], Failure | None]]:
    """Adopt pods that match and have no controller (WL-96).

    Returns
    -------
    The pods that are the set's now, and what went wrong with the others. There is no event for any of it.
    """
    adopted: list[Member] = []
    failures: list[Failure] = []
    if orphans:
        refusal = yield from _may_adopt(sts)
        for ordinal, pod in orphans:
            if refusal is not None:
                which = f"{pod.namespace}/{pod.name} ({pod.metadata.uid})"
                failures.append(Failure(f"can't adopt Pod {which}: {refusal.message}"))
                continue
            answer = yield Patch(pod.key, add_owner, (set_reference(sts),), uid=pod.metadata.uid, rule="WL-96")
            if not isinstance(answer, Refused):
                adopted.append((ordinal, answer))
            elif answer.reason != "NotFound":
                failures.append(Failure.of(answer))
    return adopted, aggregate(failures)


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
