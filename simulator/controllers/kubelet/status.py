"""The statuses that a kubelet posts for a pod: pure edits of the object as it is then."""

from __future__ import annotations

from typing import Final

from simulator.api.core import (
    Condition,
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
)
from simulator.api.meta import evolve
from simulator.units import Micros

SANDBOX: Final = "PodReadyToStartContainers"
INITIALIZED: Final = "Initialized"
READY: Final = "Ready"
CONTAINERS_READY: Final = "ContainersReady"
_HAS_SANDBOX: Final = Condition(type=SANDBOX, status="True")
_NO_SANDBOX: Final = Condition(type=SANDBOX, status="False")
_INITIALIZED: Final = Condition(type=INITIALIZED, status="True")
_READY: Final = Condition(type=READY, status="True")
_CONTAINERS_READY: Final = Condition(type=CONTAINERS_READY, status="True")

KILLED: Final = 137
"""Exit code of a container that was killed."""


def creating(pod: Pod, now: Micros) -> Pod:
    """Admitted, nothing started yet: the first post (WL §11, step 1)."""
    if pod.is_finished or pod.status.start_time is not None:
        return pod
    reason = "PodInitializing" if pod.spec.init_containers else "ContainerCreating"
    state = ContainerState(waiting=ContainerStateWaiting(reason=reason))
    return _posted(pod, now, state, has_sandbox=False, ready=False, phase="Pending", start_time=now)


def blocked(pod: Pod, now: Micros, reason: str, message: str) -> Pod:
    """Admitted, but its containers cannot be started: `reason` is what kubectl shows (WL-146)."""
    if pod.is_finished:
        return pod
    state = ContainerState(waiting=ContainerStateWaiting(reason=reason, message=message))
    start = pod.status.start_time if pod.status.start_time is not None else now
    return _posted(pod, now, state, has_sandbox=True, ready=False, phase="Pending", start_time=start)


def running(
    pod: Pod, now: Micros, started_at: Micros, ready: bool, restarts: int, last: ContainerStateTerminated | None
) -> Pod:
    """All containers run; `ready` says whether their probes succeed (WL-151)."""
    if pod.is_finished:
        return pod
    state = ContainerState(running=ContainerStateRunning(started_at=started_at))
    start = pod.status.start_time if pod.status.start_time is not None else now
    return _posted(
        pod, now, state, has_sandbox=True, ready=ready, phase="Running", start_time=start, restarts=restarts, last=last
    )


def backing_off(
    pod: Pod, now: Micros, wait_seconds: int, restarts: int, last: ContainerStateTerminated
) -> Pod:
    """All containers have exited and wait to be started again (WL-155)."""
    if pod.is_finished:
        return pod
    meta = pod.metadata
    minutes, seconds = divmod(wait_seconds, 60)
    wait = f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
    name = pod.spec.containers[0].name if pod.spec.containers else ""
    message = f"back-off {wait} restarting failed container={name} pod={meta.name}_{meta.namespace}({meta.uid})"
    state = ContainerState(waiting=ContainerStateWaiting(reason="CrashLoopBackOff", message=message))
    return _posted(
        pod, now, state, has_sandbox=True, ready=False, phase="Running", start_time=pod.status.start_time,
        restarts=restarts, last=last,
    )


def readiness(pod: Pod, now: Micros, ready: bool, since: Micros) -> Pod:
    """The kubelet's word on readiness, over whatever others have written (WL-154).

    Parameters
    ----------
    since : what the condition's transition time becomes, if its status changes (WL-129: the old one is sent again).
    """
    if pod.is_finished:
        return pod
    before = {one.type: one.status for one in pod.status.conditions}
    conditions = tuple(
        evolve(one, last_transition_time=since)
        if one.type in (READY, CONTAINERS_READY) and before.get(one.type) != one.status == "True" else one
        for one in _merged(pod, _ready_conditions(pod, ready), now)
    )
    statuses = tuple(evolve(one, ready=ready) for one in pod.status.container_statuses)
    return evolve(pod, status=evolve(pod.status, conditions=conditions, container_statuses=statuses))


def ended(pod: Pod, now: Micros, phase: str, exit_code: int, started_at: Micros, restarts: int) -> Pod:
    """All containers have ended for good (WL-158)."""
    if pod.is_finished:
        return pod
    return _ended(pod, now, phase, exit_code, started_at, restarts)


def evicted(pod: Pod, now: Micros, message: str, started_at: Micros, restarts: int) -> Pod:
    """Ended by the kubelet itself (WL-165)."""
    if pod.is_finished:
        return pod
    ended_pod = _ended(pod, now, "Failed", KILLED, started_at, restarts)
    target = Condition(type="DisruptionTarget", status="True", reason="TerminationByKubelet", message=message)
    conditions = _merged(ended_pod, (target,), now)
    return evolve(ended_pod, status=evolve(
        ended_pod.status, reason="Evicted", message=message, conditions=conditions
    ))


def rejected(pod: Pod, now: Micros, reason: str, message: str) -> Pod:
    """Refused on arrival (WL-150)."""
    if pod.is_finished:
        return pod
    return evolve(pod, status=evolve(
        pod.status, phase="Failed", reason=reason, message=f"Pod was rejected: {message}", start_time=now
    ))


def _posted(
    pod: Pod, now: Micros, state: ContainerState, *, has_sandbox: bool, ready: bool, phase: str,
    start_time: Micros | None, restarts: int = 0, last: ContainerStateTerminated | None = None,
) -> Pod:
    spec, is_up = pod.spec, state.running is not None
    last_state = ContainerState(terminated=last) if last is not None else None
    statuses = tuple(
        ContainerStatus(
            name=container.name, ready=ready and is_up, started=is_up, restart_count=restarts, state=state,
            last_state=last_state, image=container.image,
        )
        for container in spec.containers
    )
    is_initialized = has_sandbox or not spec.init_containers
    initialized = _INITIALIZED
    if not is_initialized:
        initialized = Condition(
            type=INITIALIZED, status="False", reason="ContainersNotInitialized",
            message=f"containers with incomplete status: [{_names(spec.init_containers)}]",
        )
    sandbox = _HAS_SANDBOX if has_sandbox else _NO_SANDBOX
    conditions = _merged(pod, (sandbox, initialized, *_ready_conditions(pod, ready)), now)
    init_statuses = tuple(_init_status(container, is_initialized) for container in spec.init_containers)
    return evolve(pod, status=evolve(
        pod.status, phase=phase, conditions=conditions, container_statuses=statuses,
        init_container_statuses=init_statuses, start_time=start_time,
    ))


def _ended(pod: Pod, now: Micros, phase: str, exit_code: int, started_at: Micros, restarts: int) -> Pod:
    terminated = ContainerStateTerminated(
        exit_code=exit_code, reason="Completed" if exit_code == 0 else "Error",
        started_at=started_at or None, finished_at=now,
    )
    statuses = tuple(
        ContainerStatus(
            name=container.name, ready=False, started=False, restart_count=restarts,
            state=ContainerState(terminated=terminated), image=container.image,
        )
        for container in pod.spec.containers
    )
    reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    conditions = _merged(pod, (
        _NO_SANDBOX,
        Condition(type=INITIALIZED, status="True", reason="PodCompleted" if phase == "Succeeded" else ""),
        Condition(type=READY, status="False", reason=reason),
        Condition(type=CONTAINERS_READY, status="False", reason=reason),
    ), now)
    return evolve(pod, status=evolve(pod.status, phase=phase, conditions=conditions, container_statuses=statuses))


def _ready_conditions(pod: Pod, ready: bool) -> tuple[Condition, Condition]:
    if not ready:
        message = f"containers with unready status: [{_names(pod.spec.containers)}]"
        return (
            Condition(type=READY, status="False", reason="ContainersNotReady", message=message),
            Condition(type=CONTAINERS_READY, status="False", reason="ContainersNotReady", message=message),
        )
    if _gates_pass(pod):
        return (_READY, _CONTAINERS_READY)
    message = "; ".join(
        f'corresponding condition of pod readiness gate "{gate.condition_type}" does not exist.'
        if pod.condition(gate.condition_type) is None
        else f'the status of pod readiness gate "{gate.condition_type}" is not "True", but '
        f"{pod.condition(gate.condition_type).status}"  # type: ignore[union-attr]
        for gate in pod.spec.readiness_gates
        if not _is_true(pod, gate.condition_type)
    )
    return (Condition(type=READY, status="False", reason="ReadinessGatesNotReady", message=message), _CONTAINERS_READY)


def _gates_pass(pod: Pod) -> bool:
    return all(_is_true(pod, gate.condition_type) for gate in pod.spec.readiness_gates)


def _is_true(pod: Pod, kind: str) -> bool:
    condition = pod.condition(kind)
    return condition is not None and condition.status == "True"


def _merged(pod: Pod, new: tuple[Condition, ...], now: Micros) -> tuple[Condition, ...]:
    """The new conditions, then all others; a transition time moves only with the status (WL-153)."""
    others = {condition.type: condition for condition in pod.status.conditions}
    placed = []
    for condition in new:
        old = others.pop(condition.type, None)
        since = old.last_transition_time if old is not None and old.status == condition.status else now
        placed.append(Condition(
            type=condition.type, status=condition.status, reason=condition.reason, message=condition.message,
            last_transition_time=since,
        ))
    return (*placed, *others.values())


def _init_status(container: Container, is_initialized: bool) -> ContainerStatus:
    if not is_initialized:
        state = ContainerState(waiting=ContainerStateWaiting(reason="PodInitializing"))
        return ContainerStatus(name=container.name, state=state, image=container.image)
    if container.restart_policy == "Always":  # a sidecar
        state = ContainerState(running=ContainerStateRunning())
        return ContainerStatus(name=container.name, ready=True, started=True, state=state, image=container.image)
    state = ContainerState(terminated=ContainerStateTerminated(reason="Completed"))
    return ContainerStatus(name=container.name, ready=True, state=state, image=container.image)


def _names(containers: tuple[Container, ...]) -> str:
    return " ".join(container.name for container in containers)
