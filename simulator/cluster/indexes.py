"""The indexes over the store: a name, the kind it files, and the values an object is filed under.

They answer ``view.by(name, value)``; an object may stand under several values, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from simulator.api.apps import parent_and_ordinal
from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Object
from simulator.binding.reference import class_of


def _pod_node(pod: Pod) -> Iterable[str]:
    return (pod.spec.node_name,)


def _pod_claims(pod: Pod) -> Iterable[tuple[str, str]]:
    return ((pod.metadata.namespace, name) for name in pod.claim_names)


def _controller(obj: Object) -> Iterable[str]:
    owner = obj.metadata.controller
    return (owner.uid,) if owner is not None else ()


def _owners(obj: Object) -> Iterable[str]:
    references = obj.metadata.owner_references
    return [owner.uid for owner in references] if references else ()


def _orphan(obj: Object) -> Iterable[str]:
    return (obj.metadata.namespace,) if obj.metadata.controller is None else ()


def _orphan_pod(pod: Pod) -> Iterable[tuple[str, str]]:
    if pod.metadata.controller is not None:
        return ()
    member = parent_and_ordinal(pod.metadata.name)
    return ((pod.metadata.namespace, member[0]),) if member is not None else ()


def _volume_class(volume: PersistentVolume) -> Iterable[str]:
    return (class_of(volume),)


def _volume_claim(volume: PersistentVolume) -> Iterable[tuple[str, str]]:
    reference = volume.spec.claim_ref
    return ((reference.namespace, reference.name),) if reference is not None else ()


def _claim_volume(claim: PersistentVolumeClaim) -> Iterable[str]:
    return (claim.spec.volume_name,) if claim.spec.volume_name else ()


Index = tuple[str, Callable[[Any], Iterable[Any]]]

INDEXES: Final[dict[str, Index]] = {
    "pods-by-node": ("Pod", _pod_node),  # "" holds the unassigned ones
    "pods-by-claim": ("Pod", _pod_claims),  # (namespace, claim name)
    "pods-by-controller": ("Pod", _controller),  # uid of the owner with controller: true
    "orphan-pods": ("Pod", _orphan_pod),  # (namespace, name of the set that it could be of), if it has no controller
    "revisions-by-controller": ("ControllerRevision", _controller),
    "orphan-revisions": ("ControllerRevision", _orphan),  # namespace of revisions that have no controller
    "volumes-by-class": ("PersistentVolume", _volume_class),
    "volumes-by-claim": ("PersistentVolume", _volume_claim),  # (namespace, name) of claimRef
    "claims-by-volume": ("PersistentVolumeClaim", _claim_volume),  # spec.volumeName
    # uid of any owner, for the garbage collector
    "pods-by-owner": ("Pod", _owners),
    "claims-by-owner": ("PersistentVolumeClaim", _owners),
    "volumes-by-owner": ("PersistentVolume", _owners),
    "sets-by-owner": ("StatefulSet", _owners),
    "revisions-by-owner": ("ControllerRevision", _owners),
}

BY_KIND: Final[dict[str, tuple[tuple[str, Callable[[Any], Iterable[Any]]], ...]]] = {
    kind: tuple((name, values) for name, (of, values) in INDEXES.items() if of == kind)
    for kind in dict.fromkeys(kind for kind, _ in INDEXES.values())
}
"""The indexes of each kind."""
