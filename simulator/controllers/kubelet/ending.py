"""The end of a pod on its node: stopped, reported, removed (WL-156 to WL-159)."""

from __future__ import annotations

from typing import Any

from simulator.api.core import Pod
from simulator.api.meta import Key
from simulator.cluster.component import View
from simulator.controllers.kubelet import status
from simulator.controllers.kubelet.config import MIN_STOP, KubeletConfig
from simulator.controllers.kubelet.memory import (
    ENDED,
    FAILED,
    RUNNING,
    STARTED,
    STOPPED,
    STOPPING,
    KubeletMemory,
    PodWork,
)
from simulator.controllers.kubelet.sync import MONITOR, PODS, SOURCE, change, grace, outcome
from simulator.flows import DONE, Delete, Emit, Enqueue, Flow, Patch, Refused, Sleep, Tell
from simulator.units import SECOND


def stop(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
    """TERM, and KILL when the grace period is over, but never less than 2 s later (WL-156)."""
    key, now = pod.key, view.now
    seconds = 1 if work.evicted else grace(pod)
    least = max(seconds * SECOND, MIN_STOP)
    if work.stage == STOPPING:
        due = min(work.due, work.since + least)  # a second DELETE can shorten it (WL-89)
        if now < due:
            yield change(pod, due=due, grace=seconds)
            yield Tell(Enqueue(PODS, key, due - now))
            return DONE
        yield change(pod, stage=STOPPED, was_killed=True)
        yield Tell(Enqueue(PODS, key))
        return DONE
    if work.stage not in (STARTED, RUNNING):  # nothing runs
        yield change(pod, stage=STOPPED)
        yield Tell(Enqueue(PODS, key))
        return DONE
    if config.reports:
        for container in pod.spec.containers:
            yield Tell(Emit(key, "Normal", "Killing", f"Stopping container {container.name}", SOURCE))
    started_at = work.since if work.stage == STARTED else work.started_at
    behaviour, _ = view.memory.behaviour(key)
    yield change(pod, stage=STOPPING, due=now + least, grace=seconds, started_at=started_at)
    if config.ignores_term or behaviour.ignores_term:
        yield Tell(Enqueue(PODS, key, least))
        return DONE
    yield Sleep("container-stop", config.term_delay)
    yield change(pod, stage=STOPPED)
    yield Tell(Enqueue(PODS, key))
    return DONE


def post_end(config: KubeletConfig, pod: Pod, work: PodWork, view: View) -> Flow:
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
        return outcome(answer)
    is_deleted = isinstance(answer, Pod) and answer.metadata.is_terminating
    yield change(pod, stage=ENDED if is_deleted else FAILED)
    if work.evicted:
        yield Tell(Enqueue(MONITOR, Key("Node", "", work.node)))
    if is_deleted:
        if config.term_delay is None:
            yield Sleep("volume-unmount")
        yield Tell(Enqueue(PODS, key))
    return DONE


def remove(pod: Pod, memory: KubeletMemory) -> Flow:
    """Only the kubelet's word frees the name (WL-127, WL-159)."""
    behaviour, _ = memory.behaviour(pod.key)
    if behaviour.unmount_hangs:
        return DONE
    return outcome((yield Delete(pod.key, uid=pod.metadata.uid, grace=0, rule="WL-156")))
