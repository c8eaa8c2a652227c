"""What becomes of a pod whose attempt has failed: back to the queue, an event, a condition (SC-107, SC-108)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import Condition, Pod, set_condition
from simulator.api.meta import Key, evolve
from simulator.cluster.component import View
from simulator.flows import Answer, Emit, Enqueue, Intent, Note, Patch, Remember, Tell
from simulator.scheduler.memory import Failed, Landed, Memory
from simulator.scheduler.messages import event_note
from simulator.scheduler.records import QueuedPod
from simulator.units import Micros

CYCLE: Final = "cycle"
CYCLE_KEY: Final = Key("Scheduler", "", CYCLE)
DEFAULT_SCHEDULER: Final = "default-scheduler"
UNSCHEDULABLE: Final = "Unschedulable"
SCHEDULER_ERROR: Final = "SchedulerError"


class Failure(Struct, frozen=True):
    """A failed attempt.

    Attributes
    ----------
    pod : as it was tried, with whatever the attempt itself has written to it.
    message : why.
    reason : `UNSCHEDULABLE` or `SCHEDULER_ERROR`.
    rejectors : plug-ins that refused the pod; none for an error.
    nominated : None leaves ``nominatedNodeName`` as it is, "" clears it, a name sets it (SC-108).
    record : of a pod that is not in flight any more.
    detail : for the log: what each node said.
    """

    pod: Pod
    message: str
    reason: str = SCHEDULER_ERROR
    rejectors: frozenset[str] = frozenset()
    nominated: str | None = ""
    record: QueuedPod | None = None
    detail: Mapping[str, Any] = {}


def scheduler_of(pod: Pod) -> str:
    """The name of the scheduler that the pod asks for."""
    return pod.spec.scheduler_name or DEFAULT_SCHEDULER


def event(pod: Pod, kind: str, reason: str, message: str) -> Tell:
    """Tell of an event about a pod, in the name of its scheduler (SC-128)."""
    return Tell(Emit(pod.key, kind, reason, message, scheduler_of(pod)))


def wake(memory: Memory, now: Micros) -> Generator[Tell, None, None]:
    """See to it that a cycle starts if a pod can be taken, and at the end of the first back-off after an error."""
    if memory.queue.head(now) is not None:
        yield Tell(Enqueue(CYCLE, CYCLE_KEY))
    release = memory.queue.next_release()
    if release is not None and release > now:
        yield Tell(Enqueue(CYCLE, CYCLE_KEY, release - now))


def fail(view: View, failure: Failure) -> Generator[Intent, Answer, None]:
    """Handle a failed attempt: the pod, then the event, then the condition (SC-107)."""
    pod, memory = failure.pod, view.memory
    key, uid = pod.key, pod.metadata.uid
    current = view.get(Pod, key.name, key.namespace)
    if current is not None and current.metadata.uid != uid:
        yield Tell(Remember(Landed(uid)))
        return
    if current is None or current.is_finished or current.spec.node_name:
        yield Tell(Remember(Landed(uid)))
    else:
        yield Tell(Remember(Failed(uid, current, failure.rejectors, failure.nominated, failure.record)))
    yield from wake(memory, view.now)
    yield Tell(Note("schedule-failed", key, {
        "message": failure.message, "reason": failure.reason, "rejectors": sorted(failure.rejectors), **failure.detail,
    }, rule="SC-107"))
    yield event(pod, "Warning", "FailedScheduling", event_note(failure.message))  # SC-131
    condition = Condition(type="PodScheduled", status="False", reason=failure.reason, message=failure.message)
    if _changes(pod, condition, failure.nominated):
        yield Patch(key, with_outcome, (condition, failure.nominated, view.now), subresource="status", rule="SC-130")


def _changes(pod: Pod, condition: Condition, nominated: str | None) -> bool:
    """Whether there is anything to patch (SC-130)."""
    if nominated is not None and pod.status.nominated_node_name != nominated:
        return True
    old = pod.condition(condition.type)
    return old is None or (old.status, old.reason, old.message) != (
        condition.status, condition.reason, condition.message
    )


def with_outcome(pod: Pod, condition: Condition, nominated: str | None, now: Micros) -> Pod:
    """The pod with the condition of a failed attempt and its nomination."""
    status = evolve(pod.status, conditions=set_condition(pod.status.conditions, condition, now))
    if nominated is not None:
        status = evolve(status, nominated_node_name=nominated)
    return evolve(pod, status=status)


def with_nomination(pod: Pod, node: str) -> Pod:
    """The pod with another nominated node."""
    return evolve(pod, status=evolve(pod.status, nominated_node_name=node))
