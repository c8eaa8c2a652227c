"""Pods and their templates (core/v1)."""

from __future__ import annotations

from typing import ClassVar

from simulator.api.conditions import Condition, find_condition
from simulator.api.containers import Container, ContainerStatus, ResourceRequirements
from simulator.api.meta import ApiStruct, Inert, Labels, Object, ObjectMeta
from simulator.api.nodes import Resources
from simulator.api.placement import Affinity, Toleration, TopologySpreadConstraint
from simulator.api.volumes import PersistentVolumeClaimTemplate
from simulator.units import Micros, Quantity


class PersistentVolumeClaimVolumeSource(ApiStruct, frozen=True):
    """A pod's use of a claim."""

    claim_name: str
    read_only: bool = False


class Volume(ApiStruct, frozen=True):
    """A volume of a pod; only claims, ephemeral claims and emptyDir have an effect."""

    name: str = ""
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    host_path: Inert = None
    config_map: Inert = None
    secret: Inert = None
    projected: Inert = None
    downward_api: Inert = None
    csi: Inert = None
    nfs: Inert = None
    iscsi: Inert = None
    rbd: Inert = None
    cephfs: Inert = None
    glusterfs: Inert = None
    fc: Inert = None
    flex_volume: Inert = None
    flocker: Inert = None
    git_repo: Inert = None
    image: Inert = None
    aws_elastic_block_store: Inert = None
    azure_disk: Inert = None
    azure_file: Inert = None
    cinder: Inert = None
    gce_persistent_disk: Inert = None
    photon_persistent_disk: Inert = None
    portworx_volume: Inert = None
    quobyte: Inert = None
    scale_io: Inert = None
    storageos: Inert = None
    vsphere_volume: Inert = None


class EmptyDirVolumeSource(ApiStruct, frozen=True):
    """Scratch space on the node."""

    medium: str = ""
    size_limit: Quantity | None = None


class EphemeralVolumeSource(ApiStruct, frozen=True):
    """A claim that lives and dies with its pod."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = None


class PodSchedulingGate(ApiStruct, frozen=True):
    """Keeps a pod out of scheduling until removed."""

    name: str = ""


class PodReadinessGate(ApiStruct, frozen=True):
    """An extra condition that readiness waits for."""

    condition_type: str = ""


class PodSpec(ApiStruct, frozen=True):
    """What is wanted of a pod."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    node_name: str = ""
    node_selector: Labels = {}
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    scheduler_name: str = ""
    scheduling_gates: tuple[PodSchedulingGate, ...] = ()
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str | None = None
    restart_policy: str = ""
    termination_grace_period_seconds: int | None = None
    hostname: str = ""
    subdomain: str = ""
    overhead: Resources = {}
    resources: ResourceRequirements | None = None
    active_deadline_seconds: int | None = None
    resource_claims: Inert = None
    dns_policy: Inert = None
    dns_config: Inert = None
    service_account_name: Inert = None
    service_account: Inert = None
    automount_service_account_token: Inert = None
    security_context: Inert = None
    image_pull_secrets: Inert = None
    host_network: Inert = None
    host_pid: Inert = None
    host_ipc: Inert = None
    host_users: Inert = None
    share_process_namespace: Inert = None
    host_aliases: Inert = None
    runtime_class_name: Inert = None
    enable_service_links: Inert = None
    set_hostname_as_fqdn: Inert = None
    os: Inert = None
    ephemeral_containers: Inert = None
    hostname_override: Inert = None
    scheduling_group: Inert = None


class PodStatus(ApiStruct, frozen=True):
    """What is known of a pod."""

    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    reason: str = ""
    message: str = ""
    nominated_node_name: str = ""
    start_time: Micros | None = None
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: Inert = None
    host_ip: str = ""
    host_ips: Inert = None
    pod_ip: str = ""
    pod_ips: Inert = None
    qos_class: str = ""
    observed_generation: int | None = None
    resize: Inert = None
    resource_claim_statuses: Inert = None
    allocated_resources: Inert = None
    resources: Inert = None
    extended_resource_claim_status: Inert = None
    node_allocatable_resource_claim_statuses: Inert = None


class Pod(Object, frozen=True):
    """One replica on one node."""

    KIND: ClassVar[str] = "Pod"
    API_VERSION: ClassVar[str] = "v1"

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if the pod has one."""
        return find_condition(self.status.conditions, kind)

    @property
    def is_ready(self) -> bool:
        """Whether condition Ready is True."""
        ready = find_condition(self.status.conditions, "Ready")
        return ready is not None and ready.status == "True"

    @property
    def is_finished(self) -> bool:
        """Whether the phase is Succeeded or Failed, which a pod never leaves (WL-16)."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def claim_names(self) -> tuple[str, ...]:
        """Names of all claims that the pod uses, ephemeral ones included, in volume order (VB-167)."""
        return tuple(
            volume.persistent_volume_claim.claim_name
            if volume.persistent_volume_claim is not None
            else f"{self.metadata.name}-{volume.name}"
            for volume in self.spec.volumes
            if volume.persistent_volume_claim is not None or volume.ephemeral is not None
        )


class PodTemplateSpec(ApiStruct, frozen=True):
    """What a set makes its pods from."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
