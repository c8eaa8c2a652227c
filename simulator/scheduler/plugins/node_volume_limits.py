"""NodeVolumeLimits: a driver serves only so many volumes on a node (SC-65, VB-166)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.storage import CSINode, StorageClass
from simulator.binding.reference import class_of
from simulator.cluster.component import View
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

NAME: Final = "NodeVolumeLimits"
REFUSED: Final = unschedulable(NAME, "node(s) exceed max volume count")


class Limits(Struct, frozen=True):
    """What one pod wants of drivers that have limits.

    Attributes
    ----------
    wanted : volume to driver, for the pod's CSI volumes.
    by_node : limits that concern these drivers, per node that declares any.
    missing : the answer for every node if a claim has vanished.
    """

    wanted: dict[str, str]
    by_node: dict[str, dict[str, int]]
    missing: Status | None = None


class NodeVolumeLimits(FilterDefaults):
    """Counts the CSI volumes of a node against what its CSINode declares.

    Volumes that no driver manages, such as `local` ones, are not counted; attachments that outlive their pods are not
    simulated.
    """

    __slots__ = ()
    name = NAME

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """The pod's volumes whose drivers have a limit somewhere; left out if there is none."""
        names = pod.claim_names
        if not names:
            return PreFilterResult(skip(NAME))
        view, namespace = snapshot.view, pod.metadata.namespace
        wanted: dict[str, str] = {}
        missing: Status | None = None
        for name in names:
            claim = view.get(PersistentVolumeClaim, name, namespace)
            if claim is None:
                text = f'looking up PVC {namespace}/{name}: persistentvolumeclaim "{name}" not found'
                missing = missing or unresolvable(NAME, text)
            else:
                wanted.update(_volumes(claim, view))
        drivers = set(wanted.values())
        by_node: dict[str, dict[str, int]] = {}
        for declared in view.list(CSINode) if drivers or missing else ():
            limits = {
                driver.name: driver.allocatable.count
                for driver in declared.spec.drivers
                if driver.name in drivers and driver.allocatable is not None and driver.allocatable.count is not None
            }
            if limits or missing:
                by_node[declared.metadata.name] = limits
        return PreFilterResult(state=Limits(wanted, by_node, missing)) if by_node else PreFilterResult(skip(NAME))

    def filter(self, state: Limits, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether each driver of the pod's volumes has room on the node."""
        limits = state.by_node.get(node.node.metadata.name)
        if limits is None:
            return SUCCESS
        if state.missing is not None:
            return state.missing
        attached: dict[str, str] = {}
        for other in node.pods:
            for name in other.claim_names:
                claim = snapshot.view.get(PersistentVolumeClaim, name, other.metadata.namespace)
                if claim is not None:
                    attached.update(_volumes(claim, snapshot.view))
        # A volume that a pod on the node uses already is attached already.
        new = [driver for volume, driver in state.wanted.items() if volume not in attached]
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
    named = class_of(claim)
    storage_class = view.get(StorageClass, named) if named else None
    if storage_class is not None:
        driver = storage_class.provisioner
        yield f"{driver}/claim:{claim.metadata.namespace}/{claim.metadata.name}", driver
