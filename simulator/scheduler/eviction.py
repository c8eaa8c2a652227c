"""How a preemptor's victims are made to go (SC-112, SC-113); which they are has been decided."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from msgspec import Struct

from simulator.api.core import Condition, Pod, set_condition
from simulator.api.meta import evolve
from simulator.cluster.component import View
from simulator.flows import DONE, Answer, Delete, Emit, Flow, Intent, Patch, Refused, Remember, Tell
from simulator.scheduler.failure import scheduler_of, wake, with_nomination
from simulator.scheduler.memory import Cancelled, Memory, Preempted, Preempting
from simulator.scheduler.preemption import BY_SCHEDULER, DISRUPTION_TARGET
from simulator.units import Micros

EVICTION: Final = "preemption"
_IN_MEMORY: Final = " (in kube-scheduler memory)."


class Eviction(Struct, frozen=True):
    """What a preemptor has decided.

    Attributes
    ----------
    victims : those that do not go already, the most important first.
    outranked : pods nominated to the node that lose their nomination.
    """

    preemptor: Pod
    node: str
    victims: tuple[Pod, ...]
    outranked: tuple[Pod, ...] = ()


def evict(eviction: Eviction, view: View) -> Flow:
    """Evict the victims one after another; an error spares the rest, and the preemptor is tried again at once.

    Kubernetes evicts all but the last in parallel, and then the last (SC/ND-17).
    """
    memory: Memory = view.memory
    now, preemptor, victims = view.now, eviction.preemptor, eviction.victims
    uid = preemptor.metadata.uid
    binding = [victim.metadata.uid for victim in victims if victim.metadata.uid in memory.prebinding]
    failed = False
    for other in eviction.outranked:
        if other.status.nominated_node_name:
            answer = yield Patch(other.key, with_nomination, ("",), subresource="status", rule="SC-112")
            failed = failed or isinstance(answer, Refused)
    for place, victim in enumerate(victims):
        if place == len(victims) - 1:
            yield Tell(Remember(Preempting(uid, victim.key)))
        if victim.metadata.uid in binding:
            yield Tell(Remember(Cancelled(victim.metadata.uid)))
            yield _preempted(eviction, victim, _IN_MEMORY)
        elif not (yield from _evict_one(eviction, victim, now)):
            failed = True
            break
    yield Tell(Remember(Preempted(uid, preemptor if failed else None)))
    if failed:
        yield from wake(memory, now)
    return DONE


def _evict_one(eviction: Eviction, victim: Pod, now: Micros) -> Generator[Intent, Answer, bool]:
    """SC-113: say why, delete, tell; a victim that is gone already is as good. Returns whether it went well."""
    condition = Condition(
        type=DISRUPTION_TARGET, status="True", reason=BY_SCHEDULER,
        message=f"{scheduler_of(eviction.preemptor)}: preempting to accommodate a higher priority pod",
    )
    old = victim.condition(DISRUPTION_TARGET)
    if old is None or (old.status, old.reason, old.message) != (
        condition.status, condition.reason, condition.message
    ):
        answer = yield Patch(victim.key, with_disruption, (condition, now), subresource="status", rule="SC-113")
        if isinstance(answer, Refused):
            return answer.reason == "NotFound"
    answer = yield Delete(victim.key, rule="SC-113")
    if isinstance(answer, Refused):
        return answer.reason == "NotFound"
    yield _preempted(eviction, victim)
    return True


def _preempted(eviction: Eviction, victim: Pod, suffix: str = "") -> Tell:
    text = f"Preempted by pod {eviction.preemptor.metadata.uid} on node {eviction.node}{suffix}"
    return Tell(Emit(victim.key, "Normal", "Preempted", text, scheduler_of(eviction.preemptor)))


def with_disruption(pod: Pod, condition: Condition, now: Micros) -> Pod:
    """The pod with the condition that says why it must go."""
    return evolve(pod, status=evolve(pod.status, conditions=set_condition(pod.status.conditions, condition, now)))
