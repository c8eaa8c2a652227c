"""The taint eviction controller: pods leave nodes whose NoExecute taints they do not tolerate (WL-124, WL-125).

A pod's timer starts when the controller sees the taint. It is kept in memory only, so a restart begins it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import Condition, Node, Pod, set_condition
from simulator.api.meta import Key, evolve
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.taints import no_execute, stands_for
from simulator.flows import DONE, Delete, Emit, Enqueue, Flow, Patch, Poll, Refused, Remember, Retry, Tell, Told
from simulator.units import Micros

NAME: Final = "taint-eviction-controller"
TARGET: Final = Condition(
    type="DisruptionTarget", status="True", reason="DeletionByTaintManager",
    message="Taint manager: deleting due to NoExecute taint",
)


class Timer(Struct, frozen=True):
    """When a pod is to be deleted; `is_spent` once that has been done."""

    uid: str
    due: Micros
    is_spent: bool = False


class Timed(Struct, frozen=True):
    """A pod's timer is set, or taken away (None)."""

    pod: Key
    timer: Timer | None


class Memory:
    """The timers, by pod."""

    __slots__ = ("timers",)

    def __init__(self) -> None:
        self.timers: dict[Key, Timer] = {}

    def copy(self) -> Memory:
        """A copy; the timers are frozen and shared."""
        twin = Memory()
        twin.timers = dict(self.timers)
        return twin


class TaintEviction:
    """The taint eviction controller."""

    name = NAME
    queues: Mapping[str, int] = {"pods": 8}
    watches = frozenset({"Node", "Pod"})
    periodics: Sequence[Periodic] = ()

    def new_memory(self) -> Memory:
        """No timer runs."""
        return Memory()

    def check(self, poll: Poll, view: View) -> Any:
        """The controller polls nothing."""
        return None

    def remember(self, memory: Memory, what: Timed, now: Micros) -> None:
        """Set a timer or take it away."""
        if what.timer is None:
            memory.timers.pop(what.pod, None)
        else:
            memory.timers[what.pod] = what.timer

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Pods of a node whose NoExecute taints change; pods that come to a node with such taints; pods that go."""
        if change.key.kind == "Node":
            return _observe_node(change, view)
        new, old = change.new, change.old
        if not isinstance(new, Pod):
            return (Enqueue("pods", change.key),) if change.key in view.memory.timers else ()
        if not new.spec.node_name:
            return ()
        if isinstance(old, Pod) and old.spec.node_name and old.spec.tolerations == new.spec.tolerations:
            return ()
        if no_execute(view.get(Node, new.spec.node_name)):
            return (Enqueue("pods", change.key),)
        return ()

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """Decide about one pod."""
        memory: Memory = view.memory
        timer = memory.timers.get(key)
        pod = view.get(key)
        if not isinstance(pod, Pod):
            return (yield from _cancel(key, timer))
        now, node = view.now, view.get(Node, pod.spec.node_name)
        if timer is not None and timer.uid != pod.metadata.uid:
            yield from _cancel(key, timer)
            timer = None
        if timer is not None and timer.is_spent:
            return DONE
        if node is None:  # a node that goes cancels nothing (WL-132)
            return (yield from _expire(pod, timer, now))
        taints = no_execute(node)
        if not taints:
            return (yield from _cancel(key, timer))
        patience = stands_for(pod, taints)
        if patience is None:
            return (yield from _cancel(key, timer))
        if patience == 0:
            if timer is not None and timer.due > now:
                yield from _cancel(key, timer)
            return (yield from _evict(pod, now))
        if timer is not None:  # a running timer is not moved, in either direction
            return (yield from _expire(pod, timer, now))
        yield Tell(Remember(Timed(key, Timer(pod.metadata.uid, now + patience))))
        yield Tell(Enqueue("pods", key, patience))
        return DONE


def _observe_node(change: Change, view: View) -> list[Told]:
    new = change.new if isinstance(change.new, Node) else None
    old = change.old if isinstance(change.old, Node) else None
    if new is None:
        return []
    if no_execute(old) == no_execute(new):
        return []
    return [Enqueue("pods", pod.key) for pod in view.by("pods-by-node", new.metadata.name)]


def _cancel(key: Key, timer: Timer | None) -> Flow:
    if timer is not None:
        yield Tell(Remember(Timed(key, None)))
        if not timer.is_spent:
            text = f"Cancelling deletion of Pod {key.namespace}/{key.name}"
            yield Tell(Emit(key, "Normal", "TaintManagerEviction", text, NAME))
    return DONE


def _expire(pod: Pod, timer: Timer | None, now: Micros) -> Flow:
    if timer is None:
        return DONE
    if now < timer.due:
        yield Tell(Enqueue("pods", pod.key, timer.due - now))
        return DONE
    return (yield from _evict(pod, now))


def disrupted(pod: Pod, now: Micros) -> Pod:
    """The pod with the condition that says why it goes."""
    conditions = set_condition(pod.status.conditions, TARGET, now)
    return evolve(pod, status=evolve(pod.status, conditions=conditions))


def _evict(pod: Pod, now: Micros) -> Flow:
    """Say so, then delete the pod with its own grace; budgets are not asked (WL-125)."""
    key, uid = pod.key, pod.metadata.uid
    text = f"Marking for deletion Pod {key.namespace}/{key.name}"
    yield Tell(Emit(key, "Normal", "TaintManagerEviction", text, NAME))
    yield Tell(Remember(Timed(key, Timer(uid, now, is_spent=True))))
    failure = ""
    for _ in range(5):
        answer = yield Patch(key, disrupted, (now,), "status", uid, "WL-125")
        if not isinstance(answer, Refused):
            answer = yield Delete(key, rule="WL-125")
        if not isinstance(answer, Refused) or answer.reason == "NotFound":
            return DONE
        failure = str(answer)
    yield Tell(Remember(Timed(key, None)))
    return Retry(failure)
