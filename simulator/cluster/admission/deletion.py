"""Deletion: grace, finalizers and propagation (WL-88 to WL-94), and namespaces, which go in their own way (WL-108)."""

from __future__ import annotations

from typing import Final

from simulator.api.core import Namespace, Pod
from simulator.api.meta import AnyObject, Object, evolve, with_meta
from simulator.cluster.admission.metadata import FOREGROUND, ORPHAN
from simulator.cluster.admission.refusals import conflict, refuse_forbidden
from simulator.cluster.admission.resources import kind_of
from simulator.flows import Delete, Refused
from simulator.units import SECOND, Micros

_IMMORTAL: Final = frozenset(("default", "kube-system", "kube-public"))


class Gone:
    """The answer of `deleted` for an object that is to go now; `mark` is what watchers see just before, if anything."""

    __slots__ = ("mark",)

    def __init__(self, mark: Object | None = None) -> None:
        self.mark = mark


def deleted(obj: Object, write: Delete, now: Micros) -> Object | Gone | Refused:
    """What a DELETE makes of an object.

    Returns
    -------
    The object as it stays for the time being (the very same one if nothing changes), `Gone`, or why not.
    """
    refusal = _precondition(obj, write)
    if refusal is not None:
        return refusal
    if isinstance(obj, Namespace):
        return _namespace_deleted(obj, now)
    if isinstance(obj, Pod):
        return _pod_deleted(obj, write, now)
    marked = _with_propagation(obj, write.propagation)
    return _marked(marked, now) if marked.metadata.finalizers else Gone()  # WL-90


def _precondition(obj: Object, write: Delete) -> Refused | None:
    meta = obj.metadata
    if write.uid and write.uid != meta.uid:
        return conflict(kind_of(obj.KIND), meta.name,
                        f"the UID in the precondition ({write.uid}) does not match the UID in record ({meta.uid}). "
                        "The object might have been deleted and then recreated")
    if write.resource_version and write.resource_version != meta.resource_version:
        return conflict(kind_of(obj.KIND), meta.name,
                        f"the ResourceVersion in the precondition ({write.resource_version}) does not match the "
                        f"ResourceVersion in record ({meta.resource_version}). The object might have been modified")
    return None


def _pod_deleted(pod: Pod, write: Delete, now: Micros) -> Object | Gone:
    meta = pod.metadata
    asked = 1 if write.grace is not None and write.grace < 0 else write.grace
    begun, left = meta.deletion_timestamp, meta.deletion_grace_period_seconds or 0
    if begun is None:
        grace = _grace(pod, asked)
        marked = with_meta(pod, deletion_timestamp=now + grace * SECOND, deletion_grace_period_seconds=grace,
                           generation=meta.generation + 1 if meta.generation else 0)  # WL-4
    elif left == 0:
        grace, marked = 0, with_meta(pod, deletion_timestamp=min(begun, now))
    elif asked is None or asked >= left:
        return pod  # WL-89: a later request can only shorten the grace
    else:
        grace, end = asked, begun - (left - asked) * SECOND
        if end < now:
            end, grace = now, 1 if asked else 0
        marked = with_meta(pod, deletion_timestamp=end, deletion_grace_period_seconds=grace)
    marked = _with_propagation(marked, write.propagation)
    if grace > 0 or marked.metadata.finalizers:
        return marked
    # Watchers of a pod that runs nowhere see it terminating, and then no more.
    return Gone(marked if begun is None else None)


def _grace(pod: Pod, asked: int | None) -> int:
    """WL-88: what was asked for, else the pod's own; nothing for a pod that runs nowhere or has ended."""
    grace = asked if asked is not None else pod.spec.termination_grace_period_seconds or 0
    if not pod.spec.node_name or pod.is_finished:
        return 0
    return 1 if grace < 0 else grace


def _with_propagation(obj: AnyObject, propagation: str | None) -> AnyObject:
    """The object with the finalizer that the propagation asks for; none asked: the one it has stays (WL-91)."""
    finalizers = obj.metadata.finalizers
    if propagation is None:
        return obj
    kept = tuple(name for name in finalizers if name not in (ORPHAN, FOREGROUND))
    if propagation == "Orphan":
        kept = (*kept, ORPHAN)  # WL-94
    elif propagation == "Foreground":
        kept = (*kept, FOREGROUND)  # WL-93
    return obj if sorted(kept) == sorted(finalizers) else with_meta(obj, finalizers=kept)


def _marked(obj: Object, now: Micros) -> Object:
    meta = obj.metadata
    begun = meta.deletion_timestamp
    generation = meta.generation + 1 if begun is None and meta.generation else meta.generation  # WL-4
    return with_meta(obj, deletion_timestamp=now if begun is None or begun > now else begun,
                     deletion_grace_period_seconds=0, generation=generation)


def _namespace_deleted(namespace: Namespace, now: Micros) -> Object | Gone | Refused:
    """WL-108: the first DELETE only begins it; the namespace controller empties it and removes the finalizer."""
    if namespace.metadata.name in _IMMORTAL:
        return refuse_forbidden(namespace, "this namespace may not be deleted")
    if namespace.metadata.deletion_timestamp is None:
        going = with_meta(namespace, deletion_timestamp=now)
        return evolve(going, status=evolve(going.status, phase="Terminating"))
    if namespace.spec.finalizers:
        return namespace
    return _marked(namespace, now) if namespace.metadata.finalizers else Gone()


def is_released(new: Object, old: Object) -> bool:
    """Whether an update takes the last finalizer off an object that waits for nothing else, so that it goes (WL-90)."""
    if new.metadata.finalizers or old.metadata.deletion_timestamp is None or old.metadata.deletion_grace_period_seconds:
        return False
    return not (isinstance(new, Namespace) and new.spec.finalizers)
