"""VolumeZone: zone and region labels of a bound volume bind its pods to that zone (SC-68, SC-69, VB-165)."""

from __future__ import annotations

from typing import Final

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.nodes import ZONE
from simulator.api.storage import WAIT_FOR_FIRST_CONSUMER, StorageClass
from simulator.binding.reference import class_of
from simulator.scheduler.framework import (
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    Snapshot,
    Status,
    skip,
    unresolvable,
)

NAME: Final = "VolumeZone"
REFUSED: Final = unresolvable(NAME, "node(s) had no available volume zone")
REGION: Final = "topology.kubernetes.io/region"
_BETA_ZONE: Final = "failure-domain.beta.kubernetes.io/zone"
_BETA_REGION: Final = "failure-domain.beta.kubernetes.io/region"
TOPOLOGY_LABELS: Final = {_BETA_ZONE: ZONE, _BETA_REGION: REGION, ZONE: ZONE, REGION: REGION}
"""Labels of volumes and nodes that are looked at, and the label that a node may carry instead."""

Topologies = tuple[tuple[str, frozenset[str]], ...]


class VolumeZone(FilterDefaults):
    """Refuses nodes outside the zone or region that a bound volume is labelled with.

    A volume chosen in this very cycle is not looked at (VB-165).
    """

    __slots__ = ()
    name = NAME

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """The topology labels of all bound volumes of the pod."""
        topologies: list[tuple[str, frozenset[str]]] = []
        for volume in pod.spec.volumes:
            source = volume.persistent_volume_claim
            if source is None:
                continue
            if not source.claim_name:
                return _refused("PersistentVolumeClaim had no name")
            claim = snapshot.view.get(PersistentVolumeClaim, source.claim_name, pod.metadata.namespace)
            if claim is None:
                return _refused(f'persistentvolumeclaim "{source.claim_name}" not found')
            if not claim.spec.volume_name:
                problem = _problem_of_unbound(claim, snapshot)
                if problem is not None:
                    return _refused(problem)
                continue
            bound = snapshot.view.get(PersistentVolume, claim.spec.volume_name)
            if bound is None:
                return _refused(f'persistentvolume "{claim.spec.volume_name}" not found')
            for key in TOPOLOGY_LABELS:
                zones = _zones(bound.metadata.labels.get(key))
                if zones:
                    topologies.append((key, zones))
        return PreFilterResult(state=tuple(topologies)) if topologies else PreFilterResult(skip(NAME))

    def filter(self, state: Topologies, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether the node's labels lie in the zones of all volumes; a node without any such label passes."""
        labels = node.node.metadata.labels
        if not any(key in labels for key in TOPOLOGY_LABELS):
            return SUCCESS
        for key, zones in state:
            value = labels.get(key, labels.get(TOPOLOGY_LABELS[key]))
            if value is None or value not in zones:
                return REFUSED
        return SUCCESS


def _refused(reason: str) -> PreFilterResult:
    return PreFilterResult(unresolvable(NAME, reason))


def _problem_of_unbound(claim: PersistentVolumeClaim, snapshot: Snapshot) -> str | None:
    """Why an unbound claim stops its pod here; None if it waits for this very pod (SC-68)."""
    named = class_of(claim)
    if not named:
        return "PersistentVolumeClaim had no pv name and storageClass name"
    storage_class = snapshot.view.get(StorageClass, named)
    if storage_class is None:
        return f'storageclass.storage.k8s.io "{named}" not found'
    if storage_class.volume_binding_mode is None:
        return f'VolumeBindingMode not set for StorageClass "{named}"'
    return None if storage_class.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER else "PersistentVolume had no name"


def _zones(label: str | None) -> frozenset[str]:
    """The zones of a label value, joined by a double underscore; a label with an empty part is ignored."""
    if label is None:
        return frozenset()
    parts = [part.strip() for part in label.split("__")]
    return frozenset(parts) if all(parts) else frozenset()
