"""The core/v1 kinds: nodes, namespaces, pods, claims, volumes, services, quotas and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.api.meta import ApiStruct, Inert, Labels, Object, ObjectMeta
from simulator.api.selectors import LabelSelector, NodeSelector, NodeSelectorTerm
from simulator.units import Micros, Quantity

Resources = Mapping[str, Quantity]


class ObjectReference(ApiStruct, frozen=True):
    """A pointer to an object; ``claimRef`` of a volume is one, and so is the subject of an event."""

    kind: str = ""
    api_version: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: int = 0
    field_path: str = ""


class LocalObjectReference(ApiStruct, frozen=True):
    """A name in the same namespace."""

    name: str = ""


class Condition(ApiStruct, frozen=True):
    """A condition of a node, pod, claim, namespace or set; the fields that a kind does not have stay absent."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: Micros | None = None
    last_heartbeat_time: Micros | None = None
    last_probe_time: Micros | None = None
    last_update_time: Micros | None = None
    observed_generation: int | None = None


# --- nodes and namespaces -------------------------------------------------------------------------------------------


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


# --- pods -----------------------------------------------------------------------------------------------------------


class Toleration(ApiStruct, frozen=True):
    """Lets a pod stand a taint (SC-54)."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class PodAffinityTerm(ApiStruct, frozen=True):
    """Pods that attract or repel, and the domain in which they do (SC-80)."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class WeightedPodAffinityTerm(ApiStruct, frozen=True):
    """A preference with a weight of 1 to 100."""

    weight: int
    pod_affinity_term: PodAffinityTerm


class PodAffinity(ApiStruct, frozen=True):
    """Affinity or anti-affinity to other pods, required and preferred."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()

    @property
    def required(self) -> tuple[PodAffinityTerm, ...]:
        """Short name of the required terms."""
        return self.required_during_scheduling_ignored_during_execution

    @property
    def preferred(self) -> tuple[WeightedPodAffinityTerm, ...]:
        """Short name of the preferred terms."""
        return self.preferred_during_scheduling_ignored_during_execution


class PreferredSchedulingTerm(ApiStruct, frozen=True):
    """A preferred node, with a weight."""

    weight: int
    preference: NodeSelectorTerm


class NodeAffinity(ApiStruct, frozen=True):
    """Affinity to nodes, required and preferred."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()

    @property
    def required(self) -> NodeSelector | None:
        """Short name of the required selector."""
        return self.required_during_scheduling_ignored_during_execution

    @property
    def preferred(self) -> tuple[PreferredSchedulingTerm, ...]:
        """Short name of the preferred terms."""
        return self.preferred_during_scheduling_ignored_during_execution


class Affinity(ApiStruct, frozen=True):
    """All affinities of a pod."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpreadConstraint(ApiStruct, frozen=True):
    """How unevenly matching pods may be spread over the domains of a label (SC-70 to SC-79)."""

    max_skew: int
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: tuple[str, ...] = ()


class ContainerPort(ApiStruct, frozen=True):
    """A port of a container; only a host port matters to the scheduler (SC-58)."""

    container_port: int = 0
    host_port: int = 0
    host_ip: str = ""
    protocol: str = ""
    name: str = ""


class ResourceRequirements(ApiStruct, frozen=True):
    """Requests and limits."""

    requests: Resources = {}
    limits: Resources = {}
    claims: Inert = None


class VolumeMount(ApiStruct, frozen=True):
    """Where a container sees a volume."""

    name: str
    mount_path: str = ""
    read_only: bool = False
    sub_path: Inert = None
    sub_path_expr: Inert = None
    mount_propagation: Inert = None
    recursive_read_only: Inert = None


class Probe(ApiStruct, frozen=True):
    """A probe's timing; what it does is not simulated."""

    initial_delay_seconds: int = 0
    period_seconds: int = 0
    timeout_seconds: int = 0
    success_threshold: int = 0
    failure_threshold: int = 0
    termination_grace_period_seconds: int | None = None
    exec: Inert = None
    http_get: Inert = None
    tcp_socket: Inert = None
    grpc: Inert = None


class Container(ApiStruct, frozen=True):
    """A container of a pod."""

    name: str = ""
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    volume_mounts: tuple[VolumeMount, ...] = ()
    restart_policy: str | None = None
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    image_pull_policy: str = ""
    command: Inert = None
    args: Inert = None
    working_dir: Inert = None
    env: Inert = None
    env_from: Inert = None
    volume_devices: Inert = None
    lifecycle: Inert = None
    security_context: Inert = None
    stdin: Inert = None
    stdin_once: Inert = None
    tty: Inert = None
    termination_message_path: Inert = None
    termination_message_policy: Inert = None
    resize_policy: Inert = None
    restart_policy_rules: Inert = None


class PersistentVolumeClaimVolumeSource(ApiStruct, frozen=True):
    """A pod's use of a claim."""

    claim_name: str
    read_only: bool = False


class Volume(ApiStruct, frozen=True):
    """A volume of a pod; only claims, ephemeral claims and emptyDir have an effect."""

    name: str = ""
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    ephemeral: "EphemeralVolumeSource | None" = None
    empty_dir: "EmptyDirVolumeSource | None" = None
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

    volume_claim_template: "PersistentVolumeClaimTemplate | None" = None


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


class ContainerStatus(ApiStruct, frozen=True):
    """What a container does; `state` holds one of waiting, running, terminated, as in Kubernetes."""

    name: str
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: "ContainerState | None" = None
    last_state: "ContainerState | None" = None
    image: str = ""
    image_id: Inert = None
    container_id: Inert = None
    allocated_resources: Inert = None
    allocated_resources_status: Inert = None
    resources: Inert = None
    volume_mounts: Inert = None
    user: Inert = None
    stop_signal: Inert = None


class ContainerState(ApiStruct, frozen=True):
    """Exactly one of the three is set."""

    waiting: "ContainerStateWaiting | None" = None
    running: "ContainerStateRunning | None" = None
    terminated: "ContainerStateTerminated | None" = None


class ContainerStateWaiting(ApiStruct, frozen=True):
    """Not started yet, and why."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(ApiStruct, frozen=True):
    """Started."""

    started_at: Micros | None = None


class ContainerStateTerminated(ApiStruct, frozen=True):
    """Ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    signal: int = 0
    started_at: Micros | None = None
    finished_at: Micros | None = None
    container_id: Inert = None


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


# --- claims and volumes ---------------------------------------------------------------------------------------------


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


# --- the rest -------------------------------------------------------------------------------------------------------


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


def find_condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of type `kind`, if present."""
    for condition in conditions:
        if condition.type == kind:
            return condition
    return None


def set_condition(conditions: tuple[Condition, ...], new: Condition, now: Micros) -> tuple[Condition, ...]:
    """Conditions with `new` put in place of its type; the transition time moves only with the status (WL-153)."""
    old = find_condition(conditions, new.type)
    kept = old.last_transition_time if old is not None and old.status == new.status else now
    placed = Condition(
        type=new.type, status=new.status, reason=new.reason, message=new.message, last_transition_time=kept,
        last_heartbeat_time=new.last_heartbeat_time, observed_generation=new.observed_generation,
    )
    if old is None:
        return (*conditions, placed)
    return tuple(placed if condition.type == new.type else condition for condition in conditions)
