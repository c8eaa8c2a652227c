"""Containers of pods: what is wanted of them, and what they do (core/v1)."""

from __future__ import annotations

from simulator.api.meta import ApiStruct, Inert
from simulator.api.nodes import Resources
from simulator.units import Micros


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


class ContainerStatus(ApiStruct, frozen=True):
    """What a container does; `state` holds one of waiting, running, terminated, as in Kubernetes."""

    name: str
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None
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

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


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
