"""The storage.k8s.io/v1 kinds."""

from __future__ import annotations

from typing import ClassVar

from simulator.api.meta import ApiStruct, Inert, Labels, Object
from simulator.api.selectors import LabelSelector
from simulator.units import Quantity

NO_PROVISIONER = "kubernetes.io/no-provisioner"
IMMEDIATE = "Immediate"
WAIT_FOR_FIRST_CONSUMER = "WaitForFirstConsumer"


class TopologySelectorLabelRequirement(ApiStruct, frozen=True):
    """A label that must have one of the values."""

    key: str
    values: tuple[str, ...] = ()


class TopologySelectorTerm(ApiStruct, frozen=True):
    """A conjunction; a term with no expression matches nothing (VB-136)."""

    match_label_expressions: tuple[TopologySelectorLabelRequirement, ...] = ()


class StorageClass(Object, frozen=True):
    """How and when volumes are found or made for claims."""

    KIND: ClassVar[str] = "StorageClass"
    API_VERSION: ClassVar[str] = "storage.k8s.io/v1"
    NAMESPACED: ClassVar[bool] = False

    provisioner: str = ""
    volume_binding_mode: str | None = None
    reclaim_policy: str | None = None
    allowed_topologies: tuple[TopologySelectorTerm, ...] = ()
    allow_volume_expansion: bool | None = None
    parameters: Labels = {}
    mount_options: Inert = None


class CSIDriverSpec(ApiStruct, frozen=True):
    """What the scheduler must know of a driver (VB-138)."""

    storage_capacity: bool | None = None
    attach_required: Inert = None
    pod_info_on_mount: Inert = None
    volume_lifecycle_modes: Inert = None
    fs_group_policy: Inert = None
    token_requests: Inert = None
    requires_republish: Inert = None
    se_linux_mount: Inert = None
    node_allocatable_update_period_seconds: Inert = None
    service_account_token_in_secrets: Inert = None
    prevent_pod_scheduling_if_missing: Inert = None


class CSIDriver(Object, frozen=True):
    """A CSI driver."""

    KIND: ClassVar[str] = "CSIDriver"
    API_VERSION: ClassVar[str] = "storage.k8s.io/v1"
    NAMESPACED: ClassVar[bool] = False

    spec: CSIDriverSpec = CSIDriverSpec()


class VolumeNodeResources(ApiStruct, frozen=True):
    """How many volumes a driver can serve on a node."""

    count: int | None = None


class CSINodeDriver(ApiStruct, frozen=True):
    """A driver on a node."""

    name: str
    node_id: str = ""
    topology_keys: tuple[str, ...] = ()
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(ApiStruct, frozen=True):
    """The drivers of a node."""

    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(Object, frozen=True):
    """What CSI drivers say about a node (SC-65)."""

    KIND: ClassVar[str] = "CSINode"
    API_VERSION: ClassVar[str] = "storage.k8s.io/v1"
    NAMESPACED: ClassVar[bool] = False

    spec: CSINodeSpec = CSINodeSpec()


class CSIStorageCapacity(Object, frozen=True):
    """How much a driver can still provision in a topology segment (VB-138)."""

    KIND: ClassVar[str] = "CSIStorageCapacity"
    API_VERSION: ClassVar[str] = "storage.k8s.io/v1"

    storage_class_name: str = ""
    node_topology: LabelSelector | None = None
    capacity: Quantity | None = None
    maximum_volume_size: Quantity | None = None


class VolumeAttributesClass(Object, frozen=True):
    """A class of mutable volume attributes."""

    KIND: ClassVar[str] = "VolumeAttributesClass"
    API_VERSION: ClassVar[str] = "storage.k8s.io/v1"
    NAMESPACED: ClassVar[bool] = False

    driver_name: str = ""
    parameters: Labels = {}
