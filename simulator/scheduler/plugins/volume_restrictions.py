"""VolumeRestrictions: claims that only one pod may use, and disks that only one node may attach (SC-63, SC-64)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import PersistentVolumeClaim, Pod, Volume
from simulator.scheduler.framework import (
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    Snapshot,
    Status,
    skip,
    unresolvable,
    unschedulable,
)

NAME: Final = "VolumeRestrictions"
DISK_CONFLICT: Final = unschedulable(NAME, "node(s) had no available disk")
CLAIM_IN_USE: Final = unschedulable(
    NAME,
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
)
READ_WRITE_ONCE_POD: Final = "ReadWriteOncePod"


class Restrictions(Struct, frozen=True):
    """What is restricted for one pod.

    Attributes
    ----------
    claims : the pod's own ReadWriteOncePod claims.
    in_use : how many of them some pod uses; the pod waits while it is above 0.
    disks : the pod's inline disks that can conflict.
    """

    claims: frozenset[str] = frozenset()
    in_use: int = 0
    disks: tuple[Volume, ...] = ()


class VolumeRestrictions(FilterDefaults):
    """Refuses all nodes while an exclusive claim of the pod is in use, and nodes where a disk of it is (VB-163)."""

    __slots__ = ()
    name = NAME

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Look up the claims; a missing one is reported here, before VolumeBinding is asked (SC-63, VB-125)."""
        exclusive: set[str] = set()
        for volume in pod.spec.volumes:
            source = volume.persistent_volume_claim
            if source is None:
                continue
            claim = snapshot.view.get(PersistentVolumeClaim, source.claim_name, pod.metadata.namespace)
            if claim is None:
                return PreFilterResult(
                    unresolvable(NAME, f'persistentvolumeclaim "{source.claim_name}" not found')
                )
            if READ_WRITE_ONCE_POD in claim.spec.access_modes:  # VB-164: no other mode is looked at
                exclusive.add(source.claim_name)
        disks = tuple(volume for volume in pod.spec.volumes if _is_restricted(volume))
        in_use = len(_claims_in_use(exclusive, pod.metadata.namespace, snapshot)) if exclusive else 0
        if not in_use and not disks:
            return PreFilterResult(skip(NAME))
        return PreFilterResult(state=Restrictions(frozenset(exclusive), in_use, disks))

    def filter(self, state: Restrictions, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether the pod's disks are free on the node, and its exclusive claims anywhere."""
        for disk in state.disks:
            for other in node.pods:
                if any(disks_conflict(disk, volume) for volume in other.spec.volumes):
                    return DISK_CONFLICT
        return CLAIM_IN_USE if state.in_use > 0 else SUCCESS

    def add_pod(self, state: Restrictions, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Restrictions:
        """One more user of the exclusive claims."""
        return _counted(state, pod, other, 1)

    def remove_pod(
        self, state: Restrictions, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot
    ) -> Restrictions:
        """One user of the exclusive claims less."""
        return _counted(state, pod, other, -1)


def _counted(state: Restrictions, pod: Pod, other: Pod, sign: int) -> Restrictions:
    if not state.claims or other.metadata.namespace != pod.metadata.namespace:
        return state
    shared = sum(name in state.claims for name in _claim_references(other))
    return replace(state, in_use=state.in_use + sign * shared) if shared else state


def _claim_references(pod: Pod) -> list[str]:
    """Claims that a pod names; those made for it alone are not looked at (SC-63)."""
    return [
        volume.persistent_volume_claim.claim_name
        for volume in pod.spec.volumes
        if volume.persistent_volume_claim is not None
    ]


def _claims_in_use(names: set[str], namespace: str, snapshot: Snapshot) -> set[str]:
    """Those of the claims that a pod in the snapshot uses, on whatever node."""
    used: set[str] = set()
    for info in snapshot.nodes:
        for pod in info.pods:
            if pod.spec.volumes and pod.metadata.namespace == namespace:
                used.update(name for name in _claim_references(pod) if name in names)
    return used


def _is_restricted(volume: Volume) -> bool:
    return (
        volume.gce_persistent_disk is not None
        or volume.aws_elastic_block_store is not None
        or volume.iscsi is not None
        or volume.rbd is not None
    )


def disks_conflict(one: Volume, other: Volume) -> bool:
    """Whether two inline volumes are the same disk, and may not both be on a node (SC-64).

    All but EBS volumes may be shared as long as all uses are read-only.
    """
    if one.gce_persistent_disk is not None and other.gce_persistent_disk is not None:
        mine, its = one.gce_persistent_disk, other.gce_persistent_disk
        return _same(mine, its, "pdName") and not _both_read_only(mine, its)
    if one.aws_elastic_block_store is not None and other.aws_elastic_block_store is not None:
        return _same(one.aws_elastic_block_store, other.aws_elastic_block_store, "volumeID")
    if one.iscsi is not None and other.iscsi is not None:
        return _same(one.iscsi, other.iscsi, "iqn") and not _both_read_only(one.iscsi, other.iscsi)
    if one.rbd is not None and other.rbd is not None:
        mine, its = one.rbd, other.rbd
        overlap = any(monitor in its.get("monitors", ()) for monitor in mine.get("monitors", ()))
        same_pool = mine.get("pool", "rbd") == its.get("pool", "rbd")
        return overlap and same_pool and _same(mine, its, "image") and not _both_read_only(mine, its)
    return False


def _same(one: Mapping[str, Any], other: Mapping[str, Any], field: str) -> bool:
    return bool(one.get(field) == other.get(field))


def _both_read_only(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(one.get("readOnly") and other.get("readOnly"))
