"""The table of simulated kinds."""

from __future__ import annotations

from typing import Final

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import (
    Event,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    ResourceQuota,
    Service,
)
from simulator.api.meta import Object
from simulator.api.policy import Lease, PodDisruptionBudget, PriorityClass
from simulator.api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttributesClass

KINDS: Final[dict[str, type[Object]]] = {
    kind.KIND: kind
    for kind in (
        Namespace, Node, PriorityClass, StorageClass, VolumeAttributesClass, CSIDriver, CSINode, CSIStorageCapacity,
        PersistentVolume, PersistentVolumeClaim, ResourceQuota, Service, PodDisruptionBudget, StatefulSet,
        ControllerRevision, Pod, Lease, Event,
    )
}
"""Kind name to struct, for every kind that has an effect."""

_SHORT: Final = {
    "Namespace": ("ns",), "Node": ("no",), "PriorityClass": ("pc",), "StorageClass": ("sc",),
    "VolumeAttributesClass": ("vac",), "PersistentVolume": ("pv",), "PersistentVolumeClaim": ("pvc",),
    "ResourceQuota": ("quota",), "Service": ("svc",), "PodDisruptionBudget": ("pdb",), "StatefulSet": ("sts",),
    "Pod": ("po",), "Event": ("ev",),
}


def plural(kind: str) -> str:
    """The resource name of a kind: ``persistentvolumeclaims``, ``storageclasses``."""
    lower = kind.lower()
    if lower.endswith("y"):
        return lower[:-1] + "ies"
    return lower + ("es" if lower.endswith("s") else "s")


RESOURCES: Final[dict[str, str]] = {
    name: kind
    for kind in KINDS
    for name in (kind.lower(), plural(kind), *_SHORT.get(kind, ()))
}
"""Every name that kubectl accepts for a simulated kind, in lower case."""


def find_kind(name: str) -> type[Object] | None:
    """The kind that kubectl understands by a name such as ``pvc``, ``Pods`` or ``statefulsets.apps``."""
    kind = RESOURCES.get(name.lower().partition(".")[0])
    return KINDS[kind] if kind is not None else None
