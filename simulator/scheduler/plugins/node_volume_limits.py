"""NodeVolumeLimits: a driver serves only so many volumes on a node (SC-65, VB-166)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.storage import CSINode, StorageClass
from simulator.cluster.component import View
from simulator.cluster.indexes import volume_class
from simulator.scheduler.framework import (
    NOTHING_PREPARED,
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

NAME: Final = "NodeVolumeLimits"
REFUSED: Final = unschedulable(NAME, "node(s) exceed max volume count")


class NodeVolumeLimits(FilterDefaults):
    """Counts the CSI volumes of a node against what its CSINode declares.

    Volumes that no driver manages, such as `local` ones, are not counted; attachments that outlive their pods are not
    simulated.
    """

    __slots__ = ()
    name = NAME

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Left out for pods without claims."""
        return NOTHING_PREPARED if pod.claim_names else PreFilterResult(skip(NAME))

    def filter(self, state: None, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether each driver of the pod's volumes has room on the node."""
        view = snapshot.view
        declared = view.get(CSINode, node.node.metadata.name)
        if declared is None:
            return SUCCESS
        wanted: dict[str, str] = {}
        for name in pod.claim_names:
            claim = view.get(PersistentVolumeClaim, name, pod.metadata.namespace)
            if claim is None:
                place = f"{pod.metadata.namespace}/{name}"
                return unresolvable(NAME, f'looking up PVC {place}: persistentvolumeclaim "{name}" not found')
            wanted.update(_volumes(claim, view))
        limits = {
            driver.name: driver.allocatable.count
            for driver in declared.spec.drivers
            if driver.allocatable is not None and driver.allocatable.count is not None
        }
        if not wanted or not limits:
            return SUCCESS
        attached: dict[str, str] = {}
        for other in node.pods:
            for name in other.claim_names:
                claim = view.get(PersistentVolumeClaim, name, other.metadata.namespace)
                if claim is not None:
                    attached.update(_volumes(claim, view))
        # A volume that a pod on the node uses already is attached already.
        new = [driver for volume, driver in wanted.items() if volume not in attached]
        there = list(attached.values())
        for driver, limit in limits.items():
            count = new.count(driver)
            if count and there.count(driver) + count > limit:
                return REFUSED
        return SUCCESS


def _volumes(claim: PersistentVolumeClaim, view: View) -> Iterator[tuple[str, str]]:
    """The CSI volume behind a claim and its driver; an unbound claim stands for one of its class's provisioner."""
    volume = view.get(PersistentVolume, claim.spec.volume_name) if claim.spec.volume_name else None
    if volume is not None:
        if volume.spec.csi is not None:
            yield f"{volume.spec.csi.driver}/{volume.spec.csi.volume_handle}", volume.spec.csi.driver
        return
    named = volume_class(claim)
    storage_class = view.get(StorageClass, named) if named else None
    if storage_class is not None:
        driver = storage_class.provisioner
        yield f"{driver}/claim:{claim.metadata.namespace}/{claim.metadata.name}", driver
