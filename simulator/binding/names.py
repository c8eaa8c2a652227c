"""Annotations and finalizers through which the volume controller, the scheduler and provisioners speak."""

from __future__ import annotations

from typing import Final

BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
"""On a claim: it has been bound before; only its presence matters (VB-45)."""

BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
"""On a volume or a claim: its pointer was written by a controller; absent, a human wrote it (VB-71)."""

PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
"""On a volume: who made it; present, it counts as dynamically provisioned (VB-79)."""

LOCAL_PROVISIONER: Final = "local-volume-provisioner"
"""Begins the mark of volumes that the local static provisioner has found; no other one touches these (VB-115)."""

MIGRATED_TO: Final = "pv.kubernetes.io/migrated-to"
"""On a volume or a claim: a CSI driver has taken over; the volume controller does not reclaim it (VB-82)."""

STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER: Final = "volume.beta.kubernetes.io/storage-provisioner"
"""On a claim: which external provisioner is asked; both are always written together (VB-97)."""

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
"""On a claim: where the scheduler wants its volume; removed by a provisioner that cannot make it there (VB-105)."""

BETA_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
"""On a claim or a volume: its class, before the field of the spec."""

PRE_RESIZE_CAPACITY: Final = "volume.alpha.kubernetes.io/pre-resize-capacity"
"""On a volume that is being grown: the capacity that its claim still has (VB-10)."""

DEFAULT_CLASS: Final = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
"""On a storage class: ``"true"`` under either marks a default (VB-13)."""

PROTECTS_CLAIM: Final = "kubernetes.io/pvc-protection"
PROTECTS_VOLUME: Final = "kubernetes.io/pv-protection"
PROTECTS_ATTRIBUTES_CLASS: Final = "kubernetes.io/vac-protection"
PROTECTS_ASSET: Final = "external-provisioner.volume.kubernetes.io/finalizer"
PROTECTS_IN_TREE_ASSET: Final = "kubernetes.io/pv-controller"
