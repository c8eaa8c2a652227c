"""Machines: Node and its parts (core/v1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from simulator.api.conditions import Condition, find_condition
from simulator.api.meta import ApiStruct, Inert, Object
from simulator.units import Micros, Quantity

Resources = Mapping[str, Quantity]

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
"""Labels that tell where a node is."""


class Taint(ApiStruct, frozen=True):
    """Repels pods that do not tolerate it: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    effect: str
    value: str = ""
    time_added: Micros | None = None


class NodeSpec(ApiStruct, frozen=True):
    """What is wanted of a node."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    pod_cidr: Inert = None
    pod_cidrs: Inert = None
    provider_id: Inert = None
    external_id: Inert = None
    config_source: Inert = None


class ContainerImage(ApiStruct, frozen=True):
    """An image present on a node (SC-92)."""

    names: tuple[str, ...] = ()
    size_bytes: int = 0


class NodeAddress(ApiStruct, frozen=True):
    """An address of a node."""

    type: str
    address: str


class NodeSystemInfo(ApiStruct, frozen=True):
    """Versions of what runs on a node; printed, not used."""

    kubelet_version: str = ""
    os_image: str = ""
    kernel_version: str = ""
    container_runtime_version: str = ""
    architecture: str = ""
    operating_system: str = ""
    kube_proxy_version: str = ""
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    swap: Inert = None


class NodeStatus(ApiStruct, frozen=True):
    """What is known of a node; `allocatable` is what the scheduler counts with."""

    capacity: Resources = {}
    allocatable: Resources = {}
    conditions: tuple[Condition, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    images: tuple[ContainerImage, ...] = ()
    node_info: NodeSystemInfo | None = None
    declared_features: tuple[str, ...] = ()
    phase: Inert = None
    daemon_endpoints: Inert = None
    volumes_in_use: Inert = None
    volumes_attached: Inert = None
    config: Inert = None
    runtime_handlers: Inert = None
    features: Inert = None


class Node(Object, frozen=True):
    """A machine."""

    KIND: ClassVar[str] = "Node"
    API_VERSION: ClassVar[str] = "v1"
    NAMESPACED: ClassVar[bool] = False

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if the node has one."""
        return find_condition(self.status.conditions, kind)
