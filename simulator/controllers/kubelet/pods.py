"""A pod on its node: admitted, started, kept running, ended (WL §11).

Each sync looks at the pod and at what is remembered of it, takes it one stage further, and ends; what takes time is
slept through at the end of a sync, and the next stage is entered by a new one, which sees what has happened meanwhile.

    admitted ─▶ started ─▶ running ─▶ stopping ─▶ stopped ─▶ ended ─▶ (object removed)
        └▶ waiting ─┘  ▲       └▶ backoff ─┐
                       └───────────────────┘
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from simulator.api.core import ContainerStateTerminated, Node, Pod, Probe
from simulator.api.meta import Key, evolve
from simulator.cluster.component import View
from simulator.controllers.kubelet import status
from simulator.controllers.kubelet.admission import Rejection, rejection
from simulator.controllers.kubelet.config import (
    CRASH_BACKOFF,
    CRASH_BACKOFF_MAX,
    CRASH_RESET,
    MIN_STOP,
    MOUNT,
    Behaviour,
    KubeletConfig,
)
from simulator.controllers.kubelet.memory import (
    ADMITTED,
    BACKOFF,
    ENDED,
    FAILED,
    RUNNING,
    STARTED,
    STOPPED,
    STOPPING,
    WAITING,
    Begun,
    Changed,
    KubeletMemory,
    PodWork,
    Problem,
)
from simulator.controllers.kubelet.volumes import busy_until, find_problem, next_attempt
from simulator.flows import (
    DONE,
    Delete,
    Emit,
    Enqueue,
    Flow,
    Intent,
    Outcome,
    Patch,
    Refused,
    Remember,
    Retry,
    Sleep,
    Tell,
)
from simulator.units import SECOND, Micros

PODS: Final = "pods"
MONITOR: Final = "monitor"
SOURCE: Final = "kubelet"


def sync_pod(config: KubeletConfig, key: Key, view: View) -> Flow:
    """The flow that takes a pod one stage further."""
    memory: KubeletMemory = view.memory
    pod = view.get(key)
    if not isinstance(pod, Pod) or not pod.spec.node_name:
        return _nothing()
    if memory.node(pod.spec.node_name).stopped_at is not None:
        return _nothing()  # a dead kubelet does nothing
    work = memory.pods.get(key)
    if work is None or work.uid != pod.metadata.uid:
        return _meet(config, pod, view)
    match work.stage:
        case "failed":
            return _nothing()
        case "ended":
            return _remove(pod, memory)
        case "stopped":
            return _post_end(config, pod, work, view)
    if pod.is_finished:  # others have ended it, pod GC say (WL-16)
        return _give_up(pod)
    if pod.metadata.is_terminating or work.evicted:
        return _stop(config, pod, work, view)
    match work.stage:
        case "admitted":
            return _begin(config, pod, view)
        case "waiting":
            return _look_again(config, pod, work, view)
        case "started":
            return _post_running(config, pod, work, view)
        case "running":
            return _keep(config, pod, work, view)
        case "backoff":
            return _start_again(pod, work, view)
        case "rebooted":
            return _come_back(pod, work, view)
        case _:
            return _nothing()


def _nothing() -> Flow:
    yield from ()
    return DONE


def _give_up(pod: Pod) -> Flow:
    yield _change(pod, stage=FAILED)
    return DONE


# --- arrival --------------------------------------------------------------------------------------------------------


def _meet(config: KubeletConfig, pod: Pod, view: View) -> Flow:
    """First sight of a pod."""
    node = view.get(Node, pod.spec.node_name)
    if node is None or pod.is_finished:
        return _nothing()  # no such kubelet (WL-132), or nothing to run
    work = PodWork(uid=pod.metadata.uid, node=pod.spec.node_name, stage=ADMITTED, since=view.now, grace=_grace(pod))
    if pod.status.phase == "Running":  # it ran before the simulation began: it goes on as it was found
        return _take_on(pod, _adopted(pod, work))
    if pod.metadata.is_terminating:
        return _take_on(pod, work)
    refusal = rejection(pod, node, view) if config.admits else None
    if refusal is not None:
        return _reject(pod, work, refusal)
    return _begin(config, pod, view, work)


def _take_on(pod: Pod, work: PodWork) -> Flow:
    yield Tell(Remember(Begun(pod.key, work)))
    yield Tell(Enqueue(PODS, pod.key))
    return DONE


def _reject(pod: Pod, work: PodWork, refusal: Rejection) -> Flow:
    yield Tell(Remember(Begun(pod.key, evolve(work, stage=FAILED))))
    yield Sleep("kubelet-admit")
    yield Tell(Emit(pod.key, "Warning", refusal.reason, refusal.message, SOURCE))
    answer = yield Patch(pod.key, status.rejected, (work.since, *refusal), "status", work.uid, "WL-150")
    return _outcome(answer)


def _adopted(pod: Pod, work: PodWork) -> PodWork:
    """The work of a pod that was found running; what was not Ready then does not become so by itself."""
    first = pod.status.container_statuses[0] if pod.status.container_statuses else None
    began = first.state.running.started_at if first and first.state and first.state.running else None
    ready = pod.condition("Ready")
    since = (ready.last_transition_time or 0) if ready is not None and ready.status == "True" else None
    return PodWork(
        uid=work.uid, node=work.node, stage=RUNNING, since=work.since, grace=work.grace, started_at=began or 0,
        ready_from=since, ready_since=since, restarts=first.restart_count if first is not None else 0,
    )


def _begin(config: KubeletConfig, pod: Pod, view: View, work: PodWork | None = None) -> Flow:
    """Post ContainerCreating, then start the containers, if nothing stands in the way."""
    key, uid, now = pod.key, pod.metadata.uid, view.now
    problem = find_problem(pod, view.get(Node, pod.spec.node_name), view)
    if work is not None:
        yield Tell(Remember(Begun(key, work)))
    if config.posts_creating and pod.status.start_time is None:
        yield Sleep("kubelet-admit")
        answer = yield Patch(key, status.creating, (now,), "status", uid, "WL-146")
        if isinstance(answer, Refused):
            return _outcome(answer)
    if problem is not None:  # it may have been solved meanwhile
        yield _change(pod, stage=WAITING, problem=None)
        yield Tell(Enqueue(PODS, key))
        return DONE
    yield from _steps(config, pod)
    yield _change(pod, stage=STARTED)
    yield Tell(Enqueue(PODS, key))
    return DONE


def _look_again(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
    """A waiting pod goes on if what it waits for is there, when the kubelet would try again."""
    now = view.now
    problem = find_problem(pod, view.get(Node, pod.spec.node_name), view)
    if problem is not None:
        if problem != work.problem:
            since = now if work.problem is None or problem.kind != work.problem.kind else work.since
            yield _change(pod, problem=problem, since=since)
            yield from _report_problem(config, pod, problem, now)
        freed = busy_until(pod, view)
        if freed is not None:
            yield Tell(Enqueue(PODS, pod.key, freed - now))
        return DONE
    due = next_attempt(config, work, now) if work.problem is not None else now
    if due > now:
        yield Tell(Enqueue(PODS, pod.key, due - now))
        return DONE
    yield _change(pod, stage=ADMITTED)
    yield from _steps(config, pod)
    yield _change(pod, stage=STARTED)
    yield Tell(Enqueue(PODS, pod.key))
    return DONE


def _report_problem(config: KubeletConfig, pod: Pod, problem: Problem, now: Micros) -> Generator[Intent, Any, None]:
    if not config.reports:
        return
    if problem.kind == "image":  # only this one shows in the status (WL-175)
        arguments = (now, problem.reason, problem.message)
        yield Patch(pod.key, status.blocked, arguments, "status", pod.metadata.uid, "WL-146")
        yield Tell(Emit(pod.key, "Normal", "BackOff", problem.message.partition(":")[0], SOURCE))
        return
    yield Tell(Emit(pod.key, "Warning", problem.reason, problem.message, SOURCE))


def _steps(config: KubeletConfig, pod: Pod) -> list[Sleep]:
    """All that has to be slept through until the containers run."""
    steps = [Sleep(step) for step in config.start_steps if step != MOUNT or pod.claim_names]
    if config.ready_delay is not None:
        steps.append(Sleep("kubelet-ready", config.ready_delay))
    if pod.spec.init_containers:
        ordinary = [one for one in pod.spec.init_containers if one.restart_policy != "Always"]
        return [*(Sleep("init-container") for _ in ordinary), *steps]
    return steps


# --- running --------------------------------------------------------------------------------------------------------


def _post_running(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
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
        return _outcome(answer)
    ready_since = now if ready else None
    yield _change(
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


def _keep(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
    """See that a running pod is Ready as it should be, and whether its containers have exited."""
    key, uid, now = pod.key, pod.metadata.uid, view.now
    behaviour, since = view.memory.behaviour(key)
    if behaviour.crash_after is not None and now >= _crash_time(work, behaviour, since):
        return (yield from _crash(config, pod, work, behaviour, now))
    ready = is_ready(pod, work, behaviour, since, now)
    if ready != (work.ready_since is not None) or ready != _containers_ready(pod):
        began = (work.ready_since if work.ready_since is not None else now) if ready else None
        answer = yield Patch(
            key, status.readiness, (now, ready, began if began is not None else now), "status", uid, "WL-154"
        )
        if isinstance(answer, Refused):
            return _outcome(answer)
        yield _change(pod, ready_since=began)
        if not ready and config.reports and _probes(pod):
            yield Tell(Emit(key, "Warning", "Unhealthy", "Readiness probe failed: ", SOURCE))
    elif pod.spec.readiness_gates or ready != pod.is_ready:
        answer = yield Patch(key, status.readiness, (now, ready, work.ready_since or now), "status", uid, "WL-154")
        if isinstance(answer, Refused):
            return _outcome(answer)
    yield from _wake(pod, work, behaviour, since, now)
    return DONE


def is_ready(pod: Pod, work: PodWork, behaviour: Behaviour, since: Micros, now: Micros) -> bool:
    """Whether the containers' probes succeed: a pure function of what is remembered (WL-151, WL-152)."""
    if work.ready_from is None or now < work.ready_from:
        return False
    if not behaviour.never_ready:
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


def _containers_ready(pod: Pod) -> bool:
    condition = pod.condition("ContainersReady")
    return condition.status == "True" if condition is not None else pod.is_ready


def _wake(pod: Pod, work: PodWork, behaviour: Behaviour, since: Micros, now: Micros) -> Generator[Intent, Any, None]:
    """Come back when readiness may change by itself, or the containers exit."""
    times = []
    if work.ready_from is not None and work.ready_from > now:
        times.append(work.ready_from)
    if behaviour.never_ready and since + failure_delay(pod) > now:
        times.append(since + failure_delay(pod))
    if behaviour.crash_after is not None:
        times.append(max(now, _crash_time(work, behaviour, since)))
    if times:
        yield Tell(Enqueue(PODS, pod.key, min(times) - now))


# --- crashes --------------------------------------------------------------------------------------------------------


def _crash_time(work: PodWork, behaviour: Behaviour, since: Micros) -> Micros:
    return max(work.started_at, since) + (behaviour.crash_after or 0)


def crash_wait(crashes: int) -> Micros:
    """How long containers that have crashed so many times in a row wait (WL-155): not at all, 10 s, 20 s, … 300 s."""
    return min(CRASH_BACKOFF << min(crashes - 1, 10), CRASH_BACKOFF_MAX) if crashes > 0 else 0


def _last_exit(work: PodWork, behaviour: Behaviour) -> ContainerStateTerminated | None:
    if not work.restarts:
        return None
    code = behaviour.crash_code
    return ContainerStateTerminated(exit_code=code, reason="Error" if code else "Completed", finished_at=work.exited_at)


def _crash(config: KubeletConfig, pod: Pod, work: PodWork, behaviour: Behaviour, now: Micros) -> Flow:
    """All containers have exited by themselves."""
    key, uid, code = pod.key, pod.metadata.uid, behaviour.crash_code
    policy = pod.spec.restart_policy or "Always"
    if policy == "Never" or (policy == "OnFailure" and code == 0):
        phase = "Succeeded" if code == 0 else "Failed"
        arguments = (now, phase, code, work.started_at, work.restarts)
        answer = yield Patch(key, status.ended, arguments, "status", uid, "WL-146")
        if isinstance(answer, Refused):
            return _outcome(answer)
        yield _change(pod, stage=FAILED)
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
            return _outcome(answer)
        if config.reports:
            for container in pod.spec.containers:
                text = (f"Back-off restarting failed container {container.name} in pod "
                        f"{pod.metadata.name}_{pod.metadata.namespace}({uid})")
                yield Tell(Emit(key, "Warning", "BackOff", text, SOURCE))
    yield _change(
        pod, stage=BACKOFF, due=now + wait, crashes=crashes + 1, exited_at=now,
        ready_since=None if wait else work.ready_since,
    )
    yield Tell(Enqueue(PODS, key, wait))
    return DONE


def _start_again(pod: Pod, work: PodWork, view: View) -> Flow:
    """Containers start once more in the same pod."""
    if view.now < work.due:
        yield Tell(Enqueue(PODS, pod.key, work.due - view.now))
        return DONE
    yield Sleep("container-restart")
    yield _change(pod, stage=STARTED, restarts=work.restarts + 1)
    yield Tell(Enqueue(PODS, pod.key))
    return DONE


def _come_back(pod: Pod, work: PodWork, view: View) -> Flow:
    """The machine was rebooted: containers start in place (WL-129)."""
    if pod.is_ready:
        arguments = (view.now, False, view.now)
        answer = yield Patch(pod.key, status.readiness, arguments, "status", pod.metadata.uid, "WL-129")
        if isinstance(answer, Refused):
            return _outcome(answer)
    yield Sleep("pod-start")
    yield _change(pod, stage=STARTED, restarts=work.restarts + 1, exited_at=work.since)
    yield Tell(Enqueue(PODS, pod.key))
    return DONE


# --- the end --------------------------------------------------------------------------------------------------------


def _grace(pod: Pod) -> int:
    asked = pod.metadata.deletion_grace_period_seconds
    if asked is not None:
        return asked
    usual = pod.spec.termination_grace_period_seconds
    return 30 if usual is None else usual


def _stop(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
    """TERM, and KILL when the grace period is over, but never less than 2 s later (WL-156)."""
    key, now = pod.key, view.now
    grace = 1 if work.evicted else _grace(pod)
    least = max(grace * SECOND, MIN_STOP)
    if work.stage == STOPPING:
        due = min(work.due, work.since + least)  # a second DELETE can shorten it (WL-89)
        if now < due:
            yield _change(pod, due=due, grace=grace)
            yield Tell(Enqueue(PODS, key, due - now))
            return DONE
        yield _change(pod, stage=STOPPED, was_killed=True)
        yield Tell(Enqueue(PODS, key))
        return DONE
    if work.stage not in (STARTED, RUNNING):  # nothing runs
        yield _change(pod, stage=STOPPED)
        yield Tell(Enqueue(PODS, key))
        return DONE
    if config.reports:
        for container in pod.spec.containers:
            yield Tell(Emit(key, "Normal", "Killing", f"Stopping container {container.name}", SOURCE))
    started_at = work.since if work.stage == STARTED else work.started_at
    behaviour, _ = view.memory.behaviour(key)
    yield _change(pod, stage=STOPPING, due=now + least, grace=grace, started_at=started_at)
    if config.ignores_term or behaviour.ignores_term:
        yield Tell(Enqueue(PODS, key, least))
        return DONE
    yield Sleep("container-stop", config.term_delay)
    yield _change(pod, stage=STOPPED)
    yield Tell(Enqueue(PODS, key))
    return DONE


def _post_end(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
    """The final status comes before the removal (WL-158)."""
    key, uid, now = pod.key, pod.metadata.uid, view.now
    if work.evicted:
        arguments: tuple[Any, ...] = (now, work.evicted, work.started_at, work.restarts)
        answer = yield Patch(key, status.evicted, arguments, "status", uid, "WL-165")
    else:
        behaviour, _ = view.memory.behaviour(key)
        if not work.started_at:
            code = status.KILLED if config.unstarted_phase == "Failed" else 0
        else:
            code = status.KILLED if work.was_killed else behaviour.stop_code
        phase = "Succeeded" if code == 0 else "Failed"
        arguments = (now, phase, code, work.started_at, work.restarts)
        answer = yield Patch(key, status.ended, arguments, "status", uid, "WL-158")
    if isinstance(answer, Refused):
        return _outcome(answer)
    is_deleted = isinstance(answer, Pod) and answer.metadata.is_terminating
    yield _change(pod, stage=ENDED if is_deleted else FAILED)
    if work.evicted:
        yield Tell(Enqueue(MONITOR, Key("Node", "", work.node)))
    if is_deleted:
        if config.term_delay is None:
            yield Sleep("volume-unmount")
        yield Tell(Enqueue(PODS, key))
    return DONE


def _remove(pod: Pod, memory: KubeletMemory) -> Flow:
    """Only the kubelet's word frees the name (WL-127, WL-159)."""
    behaviour, _ = memory.behaviour(pod.key)
    if behaviour.unmount_hangs:
        return DONE
    return _outcome((yield Delete(pod.key, uid=pod.metadata.uid, grace=0, rule="WL-156")))


def _change(pod: Pod, **changes: Any) -> Tell:
    return Tell(Remember(Changed(pod.key, pod.metadata.uid, changes)))


def _outcome(answer: Any) -> Outcome:
    """The outcome of a sync after a write: a pod that is gone, or another one by now, is nobody's trouble."""
    if not isinstance(answer, Refused) or answer.reason == "NotFound":
        return DONE
    if answer.reason == "Conflict" and "uid" in answer.message.lower():
        return DONE
    return Retry(str(answer))
