"""Claims and volumes (core/v1)."""

from __future__ import annotations

from typing import ClassVar

from simulator.api.conditions import Condition, ObjectReference
from simulator.api.meta import ApiStruct, Inert, Object, ObjectMeta
from simulator.api.nodes import Resources
from simulator.api.selectors import LabelSelector, NodeSelector
from simulator.units import Micros, Quantity


class VolumeResourceRequirements(ApiStruct, frozen=True):
    """How much storage a claim asks for."""

    requests: Resources = {}
    limits: Resources = {}


class PersistentVolumeClaimSpec(ApiStruct, frozen=True):
    """What a claim asks for; `storage_class_name` None is "the default", "" is "no class"."""

    access_modes: tuple[str, ...] = ()
    resources: VolumeResourceRequirements = VolumeResourceRequirements()
    storage_class_name: str | None = None
    volume_name: str = ""
    volume_mode: str | None = None
    selector: LabelSelector | None = None
    volume_attributes_class_name: str | None = None
    data_source: Inert = None
    data_source_ref: Inert = None


class PersistentVolumeClaimStatus(ApiStruct, frozen=True):
    """Phase Pending, Bound or Lost; the volume's modes and capacity once bound."""

    phase: str = ""
    access_modes: tuple[str, ...] = ()
    capacity: Resources = {}
    current_volume_attributes_class_name: str | None = None
    conditions: tuple[Condition, ...] = ()
    allocated_resources: Inert = None
    allocated_resource_statuses: Inert = None
    modify_volume_status: Inert = None


class PersistentVolumeClaim(Object, frozen=True):
    """A request for a volume."""

    KIND: ClassVar[str] = "PersistentVolumeClaim"
    API_VERSION: ClassVar[str] = "v1"

    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()

    @property
    def request(self) -> Quantity | None:
        """The requested storage."""
        return self.spec.resources.requests.get("storage")


class PersistentVolumeClaimTemplate(ApiStruct, frozen=True):
    """What an ephemeral claim is made from."""

    spec: PersistentVolumeClaimSpec
    metadata: ObjectMeta = ObjectMeta()


class LocalVolumeSource(ApiStruct, frozen=True):
    """A directory or device of one node."""

    path: str
    fs_type: str | None = None


class CSIPersistentVolumeSource(ApiStruct, frozen=True):
    """A volume of a CSI driver."""

    driver: str
    volume_handle: str = ""
    read_only: Inert = None
    fs_type: Inert = None
    volume_attributes: Inert = None
    controller_publish_secret_ref: Inert = None
    node_stage_secret_ref: Inert = None
    node_publish_secret_ref: Inert = None
    controller_expand_secret_ref: Inert = None
    node_expand_secret_ref: Inert = None


class HostPathVolumeSource(ApiStruct, frozen=True):
    """A directory of whichever node the pod is on."""

    path: str
    type: str | None = None


class VolumeNodeAffinity(ApiStruct, frozen=True):
    """The nodes from which a volume can be reached (VB-40)."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(ApiStruct, frozen=True):
    """What a volume offers."""

    capacity: Resources = {}
    access_modes: tuple[str, ...] = ()
    persistent_volume_reclaim_policy: str = ""
    storage_class_name: str = ""
    volume_mode: str | None = None
    claim_ref: ObjectReference | None = None
    node_affinity: VolumeNodeAffinity | None = None
    volume_attributes_class_name: str | None = None
    mount_options: Inert = None
    local: LocalVolumeSource | None = None
    csi: CSIPersistentVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    nfs: Inert = None
    iscsi: Inert = None
    fc: Inert = None
    rbd: Inert = None
    cephfs: Inert = None
    cinder: Inert = None
    glusterfs: Inert = None
    flex_volume: Inert = None
    flocker: Inert = None
    aws_elastic_block_store: Inert = None
    azure_disk: Inert = None
    azure_file: Inert = None
    gce_persistent_disk: Inert = None
    photon_persistent_disk: Inert = None
    portworx_volume: Inert = None
    quobyte: Inert = None
    scale_io: Inert = None
    storageos: Inert = None
    vsphere_volume: Inert = None


class PersistentVolumeStatus(ApiStruct, frozen=True):
    """Phase Pending, Available, Bound, Released or Failed (VB-5)."""

    phase: str = ""
    message: str = ""
    reason: str = ""
    last_phase_transition_time: Micros | None = None


class PersistentVolume(Object, frozen=True):
    """A piece of storage."""

    KIND: ClassVar[str] = "PersistentVolume"
    API_VERSION: ClassVar[str] = "v1"
    NAMESPACED: ClassVar[bool] = False

    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()

    @property
    def capacity(self) -> Quantity | None:
        """The advertised size."""
        return self.spec.capacity.get("storage")
