"""What ``kubectl get pods`` says of a pod (WL-173 to WL-177)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.api.core import Container, ContainerStatus, Pod
from simulator.report.times import age
from simulator.units import Micros

NONE = "<none>"


def pod_cells(pod: Pod, now: Micros) -> Mapping[str, str]:
    """All cells of a pod's row, by column."""
    ready, total = ready_containers(pod)
    return {
        "NAME": pod.name,
        "READY": f"{ready}/{total}",
        "STATUS": pod_status(pod),
        "RESTARTS": _restarts(pod, now),
        "AGE": age(pod.metadata.creation_timestamp, now),
        "IP": _address(pod),
        "NODE": pod.spec.node_name or NONE,
        "NOMINATED NODE": pod.status.nominated_node_name or NONE,
        "READINESS GATES": _gates(pod),
    }


def pod_status(pod: Pod) -> str:
    """The STATUS column: later rules override earlier ones (WL-174)."""
    status = pod.status
    shown = status.reason or status.phase
    if any(c.type == "PodScheduled" and c.reason == "SchedulingGated" for c in status.conditions):
        shown = "SchedulingGated"
    held_up = _initializing(pod)
    shown = held_up or shown
    if not held_up or _is_true(pod, "Initialized"):
        shown = _of_containers(pod, shown)
    if pod.metadata.is_terminating:
        if status.reason == "NodeLost":
            return "Unknown"
        if not pod.is_finished:
            return "Terminating"
    return shown


def ready_containers(pod: Pod) -> tuple[int, int]:
    """How many containers are ready, of how many; sidecars count (WL-173)."""
    total = len(pod.spec.containers) + sum(_is_sidecar(one) for one in pod.spec.init_containers)
    sidecars = {one.name for one in pod.spec.init_containers if _is_sidecar(one)}
    ready = 0
    for container in pod.status.init_container_statuses:
        if _has_exited_well(container):
            continue
        if container.name not in sidecars or not container.started:
            break
        ready += container.ready
    if not _initializing(pod) or _is_true(pod, "Initialized"):
        ready += sum(_is_running(container) for container in pod.status.container_statuses)
    return ready, total


def _initializing(pod: Pod) -> str:
    """What the first init container that holds the pod up shows; empty if none does."""
    sidecars = {one.name for one in pod.spec.init_containers if _is_sidecar(one)}
    for position, container in enumerate(pod.status.init_container_statuses):
        if _has_exited_well(container) or (container.name in sidecars and container.started):
            continue
        state = container.state
        if state is not None and (ended := state.terminated) is not None:
            return "Init:" + (ended.reason or _exit(ended.signal, ended.exit_code))
        if state is not None and state.waiting is not None and state.waiting.reason not in ("", "PodInitializing"):
            return "Init:" + state.waiting.reason
        return f"Init:{position}/{len(pod.spec.init_containers)}"
    return ""


def _of_containers(pod: Pod, shown: str) -> str:
    """The first container's waiting or terminated state wins over all others."""
    failure = ""
    running = False
    for container in reversed(pod.status.container_statuses):
        state = container.state
        if state is None:
            continue
        if state.waiting is not None and state.waiting.reason:
            shown = state.waiting.reason
        elif (ended := state.terminated) is not None:
            shown = ended.reason or _exit(ended.signal, ended.exit_code)
            if shown != "Completed":
                failure = shown
        elif _is_running(container):
            running = True
    if shown != "Completed":
        return shown
    if running and _is_true(pod, "Ready"):
        return "Running"
    if failure:
        return failure
    return "NotReady" if running else shown


def _restarts(pod: Pod, now: Micros) -> str:
    """Restarts of the containers and sidecars; of all init containers while one holds the pod up (WL-176)."""
    sidecars = {one.name for one in pod.spec.init_containers if _is_sidecar(one)}
    counted: list[ContainerStatus] = []
    if _initializing(pod) and not _is_true(pod, "Initialized"):
        for container in pod.status.init_container_statuses:
            counted.append(container)
            if not _has_exited_well(container) and not (container.name in sidecars and container.started):
                break
    else:
        counted = [one for one in pod.status.init_container_statuses if one.name in sidecars]
        counted.extend(pod.status.container_statuses)
    number = sum(container.restart_count for container in counted)
    ends = [
        last.terminated.finished_at for container in counted
        if (last := container.last_state) is not None and last.terminated is not None
        and last.terminated.finished_at is not None
    ]
    return f"{number} ({age(max(ends), now)} ago)" if number and ends else str(number)


def _address(pod: Pod) -> str:
    ips: Any = pod.status.pod_ips
    first = ips[0].get("ip") if isinstance(ips, (list, tuple)) and ips and isinstance(ips[0], dict) else ""
    return first or pod.status.pod_ip or NONE


def _gates(pod: Pod) -> str:
    gates = pod.spec.readiness_gates
    if not gates:
        return NONE
    return f"{sum(_is_true(pod, gate.condition_type) for gate in gates)}/{len(gates)}"


def _is_true(pod: Pod, condition: str) -> bool:
    found = pod.condition(condition)
    return found is not None and found.status == "True"


def _is_sidecar(container: Container) -> bool:
    return container.restart_policy == "Always"


def _is_running(container: ContainerStatus) -> bool:
    return container.ready and container.state is not None and container.state.running is not None


def _has_exited_well(container: ContainerStatus) -> bool:
    ended = container.state.terminated if container.state is not None else None
    return ended is not None and ended.exit_code == 0


def _exit(signal: int, code: int) -> str:
    return f"Signal:{signal}" if signal else f"ExitCode:{code}"
