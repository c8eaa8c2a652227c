"""A pod whose containers run: its readiness, its crashes, its return after a reboot (WL-129, WL-151 to WL-155)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from simulator.api.core import ContainerStateTerminated, Pod, Probe
from simulator.cluster.component import View
from simulator.controllers.kubelet import status
from simulator.controllers.kubelet.config import (
    CRASH_BACKOFF,
    CRASH_BACKOFF_MAX,
    CRASH_RESET,
    MIN_STOP,
    Behaviour,
    KubeletConfig,
)
from simulator.controllers.kubelet.memory import BACKOFF, FAILED, RUNNING, STARTED, PodWork
from simulator.controllers.kubelet.sync import PODS, SOURCE, change, outcome
from simulator.flows import DONE, Emit, Enqueue, Flow, Intent, Patch, Refused, Sleep, Tell
from simulator.units import SECOND, Micros


def post_running(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
    """Running, and Ready in the same post if no probe has to succeed first."""
    key, uid, now = pod.key, pod.metadata.uid, view.now
    began = work.since
    work = PodWork(
        uid=uid, node=work.node, stage=RUNNING, since=now, grace=work.grace, started_at=began,
        ready_from=began + probe_delay(pod), restarts=work.restarts, crashes=work.crashes, exited_at=work.exited_at,
    )
    behaviour, since = view.memory.behaviour(key)
    ready = is_ready(pod, work, behaviour, since, now)
    last = _last_exit(work, behaviour)
    answer = yield Patch(key, status.running, (now, began, ready, work.restarts, last), "status", uid, "WL-151")
    if isinstance(answer, Refused):
        return outcome(answer)
    ready_since = now if ready else None
    yield change(
        pod, stage=RUNNING, started_at=began, ready_from=work.ready_from, ready_since=ready_since, problem=None
    )
    if config.reports:
        for container in pod.spec.containers:
            text = f'Container image "{container.image}" already present on machine and can be accessed by the pod'
            yield Tell(Emit(key, "Normal", "Pulled", text, SOURCE))
            yield Tell(Emit(key, "Normal", "Created", "Container created", SOURCE))
            yield Tell(Emit(key, "Normal", "Started", "Container started", SOURCE))
    yield from _wake(pod, work, behaviour, since, now)
    return DONE


def keep(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
    """See that a running pod is Ready as it should be, and whether its containers have exited."""
    key, uid, now = pod.key, pod.metadata.uid, view.now
    behaviour, since = view.memory.behaviour(key)
    if behaviour.crash_after is not None and now >= _crash_time(work, behaviour, since):
        return (yield from _crash(config, pod, work, behaviour, now))
    hung_until = _kill_time(pod, work, behaviour, since)
    if hung_until is not None and now >= hung_until:
        return (yield from _restart_hung(config, pod, work, behaviour, view))
    ready = is_ready(pod, work, behaviour, since, now)
    if ready != (work.ready_since is not None) or ready != _containers_ready(pod):
        began = (work.ready_since if work.ready_since is not None else now) if ready else None
        answer = yield Patch(
            key, status.readiness, (now, ready, began if began is not None else now), "status", uid, "WL-154"
        )
        if isinstance(answer, Refused):
            return outcome(answer)
        yield change(pod, ready_since=began)
        if not ready and config.reports and _probes(pod):
            yield Tell(Emit(key, "Warning", "Unhealthy", "Readiness probe failed: ", SOURCE))
    elif pod.spec.readiness_gates or ready != pod.is_ready:
        answer = yield Patch(key, status.readiness, (now, ready, work.ready_since or now), "status", uid, "WL-154")
        if isinstance(answer, Refused):
            return outcome(answer)
    yield from _wake(pod, work, behaviour, since, now)
    return DONE


def is_ready(pod: Pod, work: PodWork, behaviour: Behaviour, since: Micros, now: Micros) -> bool:
    """Whether the containers' probes succeed: a pure function of what is remembered (WL-151, WL-152)."""
    if work.ready_from is None or now < work.ready_from:
        return False
    if not _fails(pod, behaviour):
        return True
    return work.ready_since is not None and now < since + failure_delay(pod)


def probe_delay(pod: Pod) -> Micros:
    """From the start of the containers to the probe that makes the last of them ready (WL §11, step 8)."""
    delay = 0
    for container in pod.spec.containers:
        waited = 0
        for probe in (container.startup_probe, container.readiness_probe):
            if probe is not None:
                successes = max(1, probe.success_threshold)
                first = max(waited, probe.initial_delay_seconds * SECOND)
                waited = first + (successes - 1) * _period(probe)
        delay = max(delay, waited)
    return delay


def failure_delay(pod: Pod) -> Micros:
    """How long a pod stays Ready after its programs stop answering (WL-152); nobody notices without a probe."""
    delays = [max(1, probe.failure_threshold or 3) * _period(probe) for probe in _probes(pod)]
    return min(delays) if delays else 0


def _probes(pod: Pod) -> list[Probe]:
    return [one.readiness_probe for one in pod.spec.containers if one.readiness_probe is not None]


def _period(probe: Probe) -> Micros:
    return (probe.period_seconds or 10) * SECOND


def _fails(pod: Pod, behaviour: Behaviour) -> bool:
    """Whether its programs do not say that they are ready."""
    return behaviour.never_ready or (behaviour.hangs and bool(_probes(pod)))


def _containers_ready(pod: Pod) -> bool:
    condition = pod.condition("ContainersReady")
    return condition.status == "True" if condition is not None else pod.is_ready


def _wake(pod: Pod, work: PodWork, behaviour: Behaviour, since: Micros, now: Micros) -> Generator[Intent, Any, None]:
    """Come back when readiness may change by itself, or the containers exit."""
    times = []
    if work.ready_from is not None and work.ready_from > now:
        times.append(work.ready_from)
    if _fails(pod, behaviour) and since + failure_delay(pod) > now:
        times.append(since + failure_delay(pod))
    if (hung_until := _kill_time(pod, work, behaviour, since)) is not None:
        times.append(max(now, hung_until))
    if behaviour.crash_after is not None:
        times.append(max(now, _crash_time(work, behaviour, since)))
    if times:
        yield Tell(Enqueue(PODS, pod.key, min(times) - now))


# --- programs that hang ---------------------------------------------------------------------------------------------


def _kill_time(pod: Pod, work: PodWork, behaviour: Behaviour, since: Micros) -> Micros | None:
    """When a startup or liveness probe has failed as often as it may; None if that does not happen (WL-152)."""
    if not behaviour.hangs:
        return None
    times = []
    for container in pod.spec.containers:
        # A startup probe suspends the others until it passes.
        is_new = since <= work.started_at and container.startup_probe is not None
        probe = container.startup_probe if is_new else container.liveness_probe
        if probe is not None:
            first = max(work.started_at + probe.initial_delay_seconds * SECOND, since)
            times.append(first + (max(1, probe.failure_threshold or 3) - 1) * _period(probe))
    return min(times, default=None)


def _restart_hung(config: KubeletConfig, pod: Pod, work: PodWork, behaviour: Behaviour, view: View) -> Flow:
    """Stop containers that answer no probe, and start them again under the crash back-off (WL-152)."""
    for container in pod.spec.containers if config.reports else ():
        kind = "startup" if container.startup_probe is not None and container.liveness_probe is None else "liveness"
        if container.startup_probe is not None or container.liveness_probe is not None:
            yield Tell(Emit(pod.key, "Warning", "Unhealthy", f"{kind.capitalize()} probe failed: ", SOURCE))
            text = f"Container {container.name} failed {kind} probe, will be restarted"
            yield Tell(Emit(pod.key, "Normal", "Killing", text, SOURCE))
    stubborn = max(work.grace * SECOND, MIN_STOP) if config.ignores_term or behaviour.ignores_term else None
    yield Sleep("container-stop", stubborn if stubborn is not None else config.term_delay)
    return (yield from _crash(config, pod, work, behaviour, view.now))


# --- crashes --------------------------------------------------------------------------------------------------------


def _crash_time(work: PodWork, behaviour: Behaviour, since: Micros) -> Micros:
    return max(work.started_at, since) + (behaviour.crash_after or 0)


def crash_wait(crashes: int) -> Micros:
    """How long containers that have crashed so many times in a row wait (WL-155): not at all, 10 s, 20 s, … 300 s."""
    return min(CRASH_BACKOFF << min(crashes - 1, 10), CRASH_BACKOFF_MAX) if crashes > 0 else 0


def _exit_code(behaviour: Behaviour) -> int:
    if not behaviour.hangs:
        return behaviour.crash_code
    return status.KILLED if behaviour.ignores_term else behaviour.stop_code


def _last_exit(work: PodWork, behaviour: Behaviour) -> ContainerStateTerminated | None:
    if not work.restarts:
        return None
    code = _exit_code(behaviour)
    return ContainerStateTerminated(exit_code=code, reason="Error" if code else "Completed", finished_at=work.exited_at)


def _crash(config: KubeletConfig, pod: Pod, work: PodWork, behaviour: Behaviour, now: Micros) -> Flow:
    """All containers have exited."""
    key, uid, code = pod.key, pod.metadata.uid, _exit_code(behaviour)
    policy = pod.spec.restart_policy or "Always"
    if policy == "Never" or (policy == "OnFailure" and code == 0):
        phase = "Succeeded" if code == 0 else "Failed"
        arguments = (now, phase, code, work.started_at, work.restarts)
        answer = yield Patch(key, status.ended, arguments, "status", uid, "WL-146")
        if isinstance(answer, Refused):
            return outcome(answer)
        yield change(pod, stage=FAILED)
        return DONE
    crashes = 0 if now - work.started_at > CRASH_RESET else work.crashes
    wait = crash_wait(crashes)
    if wait:
        last = ContainerStateTerminated(
            exit_code=code, reason="Error" if code else "Completed", started_at=work.started_at, finished_at=now
        )
        answer = yield Patch(
            key, status.backing_off, (now, wait // SECOND, work.restarts, last), "status", uid, "WL-155"
        )
        if isinstance(answer, Refused):
            return outcome(answer)
        if config.reports:
            for container in pod.spec.containers:
                text = (f"Back-off restarting failed container {container.name} in pod "
                        f"{pod.metadata.name}_{pod.metadata.namespace}({uid})")
                yield Tell(Emit(key, "Warning", "BackOff", text, SOURCE))
    yield change(
        pod, stage=BACKOFF, due=now + wait, crashes=crashes + 1, exited_at=now,
        ready_since=None if wait else work.ready_since,
    )
    yield Tell(Enqueue(PODS, key, wait))
    return DONE


def start_again(pod: Pod, work: PodWork, view: View) -> Flow:
    """Containers start once more in the same pod."""
    if view.now < work.due:
        yield Tell(Enqueue(PODS, pod.key, work.due - view.now))
        return DONE
    yield Sleep("container-restart")
    yield change(pod, stage=STARTED, restarts=work.restarts + 1)
    yield Tell(Enqueue(PODS, pod.key))
    return DONE


def come_back(pod: Pod, work: PodWork, view: View) -> Flow:
    """The machine was rebooted: containers start in place (WL-129)."""
    if pod.is_ready:
        arguments = (view.now, False, view.now)
        answer = yield Patch(pod.key, status.readiness, arguments, "status", pod.metadata.uid, "WL-129")
        if isinstance(answer, Refused):
            return outcome(answer)
    yield Sleep("pod-start")
    yield change(pod, stage=STARTED, restarts=work.restarts + 1, exited_at=work.since)
    yield Tell(Enqueue(PODS, pod.key))
    return DONE
