"""A pod on its node: admitted, started, kept running, ended (WL §11).

Each sync looks at the pod and at what is remembered of it, takes it one stage further, and ends; what takes time is
slept through at the end of a sync, and the next stage is entered by a new one, which sees what has happened meanwhile.

    admitted ─▶ started ─▶ running ─▶ stopping ─▶ stopped ─▶ ended ─▶ (object removed)
        └▶ waiting ─┘  ▲       └▶ backoff ─┐
                       └───────────────────┘
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from simulator.api.core import Node, Pod
from simulator.api.meta import Key, evolve
from simulator.cluster.component import View
from simulator.controllers.kubelet import ending, running, status
from simulator.controllers.kubelet.admission import Rejection, rejection
from simulator.controllers.kubelet.config import MOUNT, KubeletConfig
from simulator.controllers.kubelet.memory import (
    ADMITTED,
    FAILED,
    RUNNING,
    STARTED,
    WAITING,
    Begun,
    KubeletMemory,
    PodWork,
    Problem,
)
from simulator.controllers.kubelet.sync import PODS, SOURCE, change, grace, nothing, outcome
from simulator.controllers.kubelet.volumes import busy_until, find_problem, next_attempt
from simulator.flows import DONE, Emit, Enqueue, Flow, Intent, Patch, Refused, Remember, Sleep, Tell
from simulator.units import Micros


def sync_pod(config: KubeletConfig, key: Key, view: View) -> Flow:
    """The flow that takes a pod one stage further."""
    memory: KubeletMemory = view.memory
    pod = view.get(key)
    if not isinstance(pod, Pod) or not pod.spec.node_name:
        return nothing()
    if memory.node(pod.spec.node_name).stopped_at is not None:
        return nothing()  # a dead kubelet does nothing
    work = memory.pods.get(key)
    if work is None or work.uid != pod.metadata.uid:
        return _meet(config, pod, view)
    match work.stage:
        case "failed":
            return nothing()
        case "ended":
            return ending.remove(pod, memory)
        case "stopped":
            return ending.post_end(config, pod, work, view)
    if pod.is_finished:  # others have ended it, pod GC say (WL-16)
        return _give_up(pod)
    if pod.metadata.is_terminating or work.evicted:
        return ending.stop(config, pod, work, view)
    match work.stage:
        case "admitted":
            return _begin(config, pod, view)
        case "waiting":
            return _look_again(config, pod, work, view)
        case "started":
            return running.post_running(config, pod, work, view)
        case "running":
            return running.keep(config, pod, work, view)
        case "backoff":
            return running.start_again(pod, work, view)
        case "rebooted":
            return running.come_back(pod, work, view)
        case _:
            return nothing()


def _give_up(pod: Pod) -> Flow:
    yield change(pod, stage=FAILED)
    return DONE


# --- arrival --------------------------------------------------------------------------------------------------------


def _meet(config: KubeletConfig, pod: Pod, view: View) -> Flow:
    """First sight of a pod."""
    node = view.get(Node, pod.spec.node_name)
    if node is None or pod.is_finished:
        return nothing()  # no such kubelet (WL-132), or nothing to run
    work = PodWork(uid=pod.metadata.uid, node=pod.spec.node_name, stage=ADMITTED, since=view.now, grace=grace(pod))
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
    return outcome(answer)


def _adopted(pod: Pod, work: PodWork) -> PodWork:
    """The work of a pod that was found running; what was not Ready then does not become so by itself."""
    first = pod.status.container_statuses[0] if pod.status.container_statuses else None
    began = first.state.running.started_at if first and first.state and first.state.running else None
    ready = pod.condition("Ready")
    since = (ready.last_transition_time or 0) if ready is not None and ready.status == "True" else None
    return evolve(
        work, stage=RUNNING, started_at=began or max(1, work.since), ready_from=since, ready_since=since,
        restarts=first.restart_count if first is not None else 0,
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
            return outcome(answer)
    if problem is not None:  # it may have been solved meanwhile
        yield change(pod, stage=WAITING, problem=None)
        yield Tell(Enqueue(PODS, key))
        return DONE
    yield from _steps(config, pod)
    yield change(pod, stage=STARTED)
    yield Tell(Enqueue(PODS, key))
    return DONE


def _look_again(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
    """A waiting pod goes on if what it waits for is there, when the kubelet would try again."""
    now = view.now
    problem = find_problem(pod, view.get(Node, pod.spec.node_name), view)
    if problem is not None:
        if problem != work.problem:
            since = now if work.problem is None or problem.kind != work.problem.kind else work.since
            yield change(pod, problem=problem, since=since)
            yield from _report_problem(config, pod, problem, now)
        freed = busy_until(pod, view)
        if freed is not None:
            yield Tell(Enqueue(PODS, pod.key, freed - now))
        return DONE
    due = next_attempt(config, work, now) if work.problem is not None else now
    if due > now:
        yield Tell(Enqueue(PODS, pod.key, due - now))
        return DONE
    yield change(pod, stage=ADMITTED)
    yield from _steps(config, pod)
    yield change(pod, stage=STARTED)
    yield Tell(Enqueue(PODS, pod.key))
    return DONE


def _report_problem(config: KubeletConfig, pod: Pod, problem: Problem, now: Micros) -> Generator[Intent, Any, None]:
    if not config.reports:
        return
    if problem.kind == "image":  # only this one shows in the status (WL-175)
        arguments = (now, problem.reason, problem.message)
        yield Patch(pod.key, status.blocked, arguments, "status", pod.metadata.uid, "WL-146")
        image = pod.spec.containers[0].image if pod.spec.containers else ""
        back_off, _, error = problem.message.partition(f'"{image}": ')
        for kind, reason, text in (
            ("Normal", "Pulling", f'Pulling image "{image}"'),
            ("Warning", "Failed", f'Failed to pull image "{image}": {error}'),
            ("Warning", "Failed", "Error: ErrImagePull"),
            ("Normal", "BackOff", f'{back_off}"{image}"'),
            ("Warning", "Failed", f"Error: {problem.reason}"),
        ):
            yield Tell(Emit(pod.key, kind, reason, text, SOURCE))
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
