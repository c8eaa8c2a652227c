"""Where an external provisioner puts a volume, and what the volume looks like: pure decisions."""

from __future__ import annotations

from msgspec import Struct

from simulator.api.core import (
    CSIPersistentVolumeSource,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from simulator.api.meta import ObjectMeta
from simulator.api.selectors import NodeSelector, NodeSelectorTerm
from simulator.api.storage import StorageClass
from simulator.binding.names import PROTECTS_ASSET, PROVISIONED_BY, SELECTED_NODE
from simulator.binding.reference import class_of
from simulator.cluster.component import View
from simulator.controllers.storage_driver import (
    Asset,
    StorageDriver,
    affinity_to,
    allows,
    first_segment,
    room_in,
    segments,
    topology_of,
)
from simulator.controllers.volume_writes import reference_to


class Failure(Struct, frozen=True):
    """What the driver answered instead of a volume: the kind of error (VB-104), and its words."""

    kind: str
    message: str


def make(
    view: View, driver: StorageDriver, claim: PersistentVolumeClaim, storage_class: StorageClass
) -> PersistentVolume | Failure:
    """What the driver answers: the volume as it will be created, or an error."""
    if claim.spec.selector is not None:  # VB-108
        return Failure("final", "claim Selector is not supported")
    selected = claim.metadata.annotations.get(SELECTED_NODE, "")
    node = view.get(Node, selected) if selected else None
    if selected and node is None:  # VB-104
        return Failure("reschedule", f'error generating accessibility requirements: node "{selected}" not found')
    if driver.error is not None:
        return Failure(driver.error, driver.message)
    topology = topology_of(driver, storage_class)
    if not topology or (not selected and driver.immediate_anywhere):
        return volume_for(claim, storage_class, driver, None)
    preferred = _preferred(view, driver, claim, storage_class, topology, node)
    if not preferred:
        return Failure("final", "error generating accessibility requirements: no segment is allowed")
    for segment in preferred:
        if has_room(view, driver, claim, storage_class, segment) and selected not in driver.full_on:
            return volume_for(claim, storage_class, driver, (topology, segment))
    return Failure("reschedule" if selected else "final", "rpc error: code = ResourceExhausted desc = no room")


def _preferred(
    view: View, driver: StorageDriver, claim: PersistentVolumeClaim, storage_class: StorageClass,
    topology: str, node: Node | None,
) -> list[str]:
    """The segments in which the driver may put a volume, best first (VB-107); with a node, only that node's."""
    at = node or (view.get(Node, driver.immediate_node) if driver.immediate_node else None)
    if at is not None:
        segment = at.metadata.labels.get(topology)
        return [segment] if segment and allows(storage_class.allowed_topologies, at.metadata.labels) else []
    found = segments(view.list(Node), storage_class, topology)
    if not found:
        return []
    first = first_segment(claim.name, len(found))
    return found[first:] + found[:first]


def has_room(
    view: View, driver: StorageDriver, claim: PersistentVolumeClaim, storage_class: StorageClass, segment: str
) -> bool:
    """Whether the driver can put the claim's volume into a segment."""
    if segment in driver.full_on:
        return False
    limit = room_in(driver, storage_class, segment)
    if limit is None or claim.request is None:
        return True
    used: int = view.memory.used.get((storage_class.provisioner, limit[0], segment), 0)
    return used + claim.request.nano <= limit[1]


def asset_of(view: View, driver: StorageDriver, volume: PersistentVolume) -> Asset | None:
    """The room that a volume takes, if it is in a limited pool."""
    storage_class = view.get(StorageClass, class_of(volume))
    affinity = volume.spec.node_affinity
    if storage_class is None or affinity is None or affinity.required is None or volume.capacity is None:
        return None
    topology = topology_of(driver, storage_class)
    for term in affinity.required.node_selector_terms:
        for expression in term.match_expressions:
            if expression.key == topology and len(expression.values) == 1:
                limit = room_in(driver, storage_class, expression.values[0])
                if limit is not None:
                    return Asset((storage_class.provisioner, limit[0], expression.values[0]), volume.capacity.nano)
    return None


def volume_for(
    claim: PersistentVolumeClaim, storage_class: StorageClass, driver: StorageDriver, place: tuple[str, str] | None
) -> PersistentVolume:
    """The volume for a claim; `place` is the topology label and its value, None for everywhere (VB-103)."""
    name = f"pvc-{claim.metadata.uid}"
    policy = storage_class.reclaim_policy or "Delete"
    affinity = None
    if place is not None:
        term = NodeSelectorTerm(match_expressions=affinity_to(*place))
        affinity = VolumeNodeAffinity(required=NodeSelector(node_selector_terms=(term,)))
    return PersistentVolume(
        metadata=ObjectMeta(
            name=name, annotations={PROVISIONED_BY: storage_class.provisioner},
            finalizers=(PROTECTS_ASSET,) if driver.finalizer and policy == "Delete" else (),
        ),
        spec=PersistentVolumeSpec(
            capacity=claim.spec.resources.requests, access_modes=claim.spec.access_modes,
            persistent_volume_reclaim_policy=policy, storage_class_name=class_of(claim),
            volume_mode=claim.spec.volume_mode, claim_ref=reference_to(claim), node_affinity=affinity,
            volume_attributes_class_name=claim.spec.volume_attributes_class_name,
            mount_options=storage_class.mount_options,
            # the name of a CSI driver has no slash
            csi=CSIPersistentVolumeSource(driver=storage_class.provisioner.replace("/", "."), volume_handle=name),
        ),
    )
