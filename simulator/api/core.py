"""The core/v1 kinds: namespaces, services, quotas and events here; the larger ones in modules of their own."""

from __future__ import annotations

from typing import ClassVar

from simulator.api.conditions import (
    Condition,
    LocalObjectReference,
    ObjectReference,
    find_condition,
    set_condition,
)
from simulator.api.containers import (
    Container,
    ContainerPort,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Probe,
    ResourceRequirements,
    VolumeMount,
)
from simulator.api.meta import ApiStruct, Inert, Labels, Object
from simulator.api.nodes import (
    ContainerImage,
    Node,
    NodeAddress,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
    Resources,
    Taint,
)
from simulator.api.placement import (
    Affinity,
    NodeAffinity,
    PodAffinity,
    PodAffinityTerm,
    PreferredSchedulingTerm,
    Toleration,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from simulator.api.pods import (
    EmptyDirVolumeSource,
    EphemeralVolumeSource,
    PersistentVolumeClaimVolumeSource,
    Pod,
    PodReadinessGate,
    PodSchedulingGate,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
    Volume,
)
from simulator.api.volumes import (
    CSIPersistentVolumeSource,
    HostPathVolumeSource,
    LocalVolumeSource,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    PersistentVolumeClaimTemplate,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    VolumeNodeAffinity,
    VolumeResourceRequirements,
)
from simulator.units import Micros


class NamespaceSpec(ApiStruct, frozen=True):
    """The finalizers that hold a namespace."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(ApiStruct, frozen=True):
    """Phase Active or Terminating."""

    phase: str = ""
    conditions: tuple[Condition, ...] = ()


class Namespace(Object, frozen=True):
    """A namespace."""

    KIND: ClassVar[str] = "Namespace"
    API_VERSION: ClassVar[str] = "v1"
    NAMESPACED: ClassVar[bool] = False

    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ServiceSpec(ApiStruct, frozen=True):
    """Only the selector matters: the default topology spread looks at it (SC-79)."""

    selector: Labels = {}
    ports: Inert = None
    type: Inert = None
    cluster_ip: Inert = None
    cluster_ips: Inert = None
    external_ips: Inert = None
    external_name: Inert = None
    external_traffic_policy: Inert = None
    health_check_node_port: Inert = None
    internal_traffic_policy: Inert = None
    ip_families: Inert = None
    ip_family_policy: Inert = None
    load_balancer_class: Inert = None
    load_balancer_ip: Inert = None
    load_balancer_source_ranges: Inert = None
    allocate_load_balancer_node_ports: Inert = None
    publish_not_ready_addresses: Inert = None
    session_affinity: Inert = None
    session_affinity_config: Inert = None
    traffic_distribution: Inert = None


class Service(Object, frozen=True):
    """A service; no traffic is simulated."""

    KIND: ClassVar[str] = "Service"
    API_VERSION: ClassVar[str] = "v1"

    spec: ServiceSpec = ServiceSpec()
    status: Inert = None


class ResourceQuotaSpec(ApiStruct, frozen=True):
    """Hard limits of a namespace."""

    hard: Resources = {}
    scopes: tuple[str, ...] = ()
    scope_selector: Inert = None


class ResourceQuotaStatus(ApiStruct, frozen=True):
    """What is used of a quota."""

    hard: Resources = {}
    used: Resources = {}


class ResourceQuota(Object, frozen=True):
    """Limits on what a namespace may hold."""

    KIND: ClassVar[str] = "ResourceQuota"
    API_VERSION: ClassVar[str] = "v1"

    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()


class EventSource(ApiStruct, frozen=True):
    """Who reports."""

    component: str = ""
    host: str = ""


class Event(Object, frozen=True):
    """A Kubernetes event: what a component says about an object."""

    KIND: ClassVar[str] = "Event"
    API_VERSION: ClassVar[str] = "v1"

    involved_object: ObjectReference = ObjectReference()
    type: str = ""
    reason: str = ""
    message: str = ""
    source: EventSource = EventSource()
    count: int = 0
    first_timestamp: Micros | None = None
    last_timestamp: Micros | None = None
    event_time: Inert = None
    series: Inert = None
    action: str = ""
    related: Inert = None
    reporting_component: str = ""
    reporting_instance: str = ""


__all__ = [
    "Affinity",
    "CSIPersistentVolumeSource",
    "Condition",
    "Container",
    "ContainerImage",
    "ContainerPort",
    "ContainerState",
    "ContainerStateRunning",
    "ContainerStateTerminated",
    "ContainerStateWaiting",
    "ContainerStatus",
    "EmptyDirVolumeSource",
    "EphemeralVolumeSource",
    "Event",
    "EventSource",
    "HostPathVolumeSource",
    "LocalObjectReference",
    "LocalVolumeSource",
    "Namespace",
    "NamespaceSpec",
    "NamespaceStatus",
    "Node",
    "NodeAddress",
    "NodeAffinity",
    "NodeSpec",
    "NodeStatus",
    "NodeSystemInfo",
    "ObjectReference",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PersistentVolumeClaimSpec",
    "PersistentVolumeClaimStatus",
    "PersistentVolumeClaimTemplate",
    "PersistentVolumeClaimVolumeSource",
    "PersistentVolumeSpec",
    "PersistentVolumeStatus",
    "Pod",
    "PodAffinity",
    "PodAffinityTerm",
    "PodReadinessGate",
    "PodSchedulingGate",
    "PodSpec",
    "PodStatus",
    "PodTemplateSpec",
    "PreferredSchedulingTerm",
    "Probe",
    "ResourceQuota",
    "ResourceQuotaSpec",
    "ResourceQuotaStatus",
    "ResourceRequirements",
    "Resources",
    "Service",
    "ServiceSpec",
    "Taint",
    "Toleration",
    "TopologySpreadConstraint",
    "Volume",
    "VolumeMount",
    "VolumeNodeAffinity",
    "VolumeResourceRequirements",
    "WeightedPodAffinityTerm",
    "find_condition",
    "set_condition",
]
