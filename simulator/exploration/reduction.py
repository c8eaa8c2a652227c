"""Steps that need not be taken in every order, as they come to the same: one of them is taken at once, alone.

- Those of the components in `QUIET`: nobody who binds or schedules reads what they write. A set does read whether its
  pods are ready, but that a pod is not ready yet only makes it wait. Where API calls are single steps the protection
  controller is not among them, as its writes make those of others conflict.
- The binding of a pod that the scheduler counts on its node already, and conditions that nobody decides by.
- What a set creates, as everybody may be late to look at it; and a sync that changes nothing but the set's status.
- A sync of the volume controller that does nothing, and would not before something changes that queues it again.
- An attempt to schedule a pod in vain: it waits for something that queues it again. Of pods that came at the same
  moment any may be tried first (SC/ND-7), of those that look the same, one.
- What a component with nothing to do is shown: nothing goes by what it sees before it has.

The tests compare with the search that takes every step in every order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from simulator.api.core import Pod
from simulator.cluster.steps import Deliver, Resume, Start
from simulator.cluster.store import Store
from simulator.exploration.engine import Moment, Move
from simulator.exploration.placements import looks
from simulator.exploration.symmetry import Symmetry
from simulator.flows import Bind, Create, Patch, Poll, Sleep, UpdateStatus
from simulator.scheduler.failure import CYCLE

QUIET: Final = frozenset({
    "kubelet", "protection", "persistentvolume-expander", "disruption-controller", "garbage-collector-controller",
    "pod-garbage-collector", "node-lifecycle-controller", "taint-eviction-controller", "namespace-controller",
})
"""Components whose steps, once they can be taken, take place before others."""


def is_quiet(move: Move, is_whole: bool) -> bool:
    """Whether a step is to be taken before all others.

    Parameters
    ----------
    is_whole : whether a sync is one step, with all its API calls.
    """
    if isinstance(move, Deliver):
        return move.targets[0].component.name in QUIET
    if isinstance(move, Start):
        name = move.runtime.component.name
        return name in QUIET and (is_whole or name != "protection")
    if isinstance(move, Resume):
        intent, name = move.task.intent, move.task.runtime.component.name
        if isinstance(intent, Bind) or (name in QUIET and (is_whole or name != "protection")):
            return True
        if name == "scheduler":
            return isinstance(intent, Patch) and intent.subresource == "status"
        return name == "statefulset" and isinstance(intent, (Create, UpdateStatus))
    return False


def unheeded(moves: Sequence[Move]) -> list[int]:
    """The changes on their way to one component that has nothing to do, so that nothing goes by what it sees."""
    busy = {move.runtime.component.name for move in moves if isinstance(move, Start)}
    busy |= {move.task.runtime.component.name for move in moves
             if isinstance(move, Resume) and isinstance(move.task.intent, (Poll, Sleep))}
    first = next((move.targets[0] for move in moves
                  if isinstance(move, Deliver) and move.targets[0].component.name not in busy), None)
    return [place for place, move in enumerate(moves) if isinstance(move, Deliver) and move.targets[0] is first]


def equals(moves: Sequence[Move], store: Store, symmetry: Symmetry, where: Mapping[str, str]) -> frozenset[int]:
    """Of the pods that may be tried next, those that look like one before them."""
    if not symmetry.members:
        return frozenset()
    tried = [(place, move.key) for place, move in enumerate(moves)
             if isinstance(move, Start) and move.key is not None and move.queue == CYCLE
             and move.key.name in symmetry.members]
    if len(tried) < 2:
        return frozenset()
    seen = looks(store, symmetry, where)
    first: dict[str, int] = {}
    return frozenset(place for place, key in tried
                     if (look := seen.get(key.name)) is not None and first.setdefault(look, place) != place)


def _changes_status_only(before: Moment, after: Moment, move: Start) -> bool:
    """Whether a sync of a set changed nothing but its status, and is not about to."""
    return _only_changes("StatefulSet", before, after) and all(
        isinstance(flight.intent, UpdateStatus) for flight in after.flights
        if flight.task.runtime is move.runtime and flight.task.key == move.key
    )


def _is_settled(before: Moment, after: Moment, move: Start) -> bool:
    """Whether a sync of a claim or volume changed nothing, and would not before something else changes."""
    if before.world.store.version != after.world.store.version or len(after.timers) > len(before.timers):
        return False
    return move.key not in move.runtime.memory.unsettled


def _has_failed(before: Moment, after: Moment, move: Start) -> bool:
    """Whether a pod was tried in vain, so that it waits for something that would make it come again anyway."""
    if move.queue != CYCLE or move.key is None or not _only_changes("Pod", before, after):
        return False
    pods = after.world.store.shelves["Pod"].objects
    pod = pods.get(move.key)
    memory = move.runtime.memory
    return (isinstance(pod, Pod) and not pod.spec.node_name and not pod.status.nominated_node_name
            and move.key in memory.queue.unschedulable)


def _only_changes(kind: str, before: Moment, after: Moment) -> bool:
    old, new = before.world.store.shelves, after.world.store.shelves
    return all(new[other] is old.get(other) for other in new if other != kind)


IDLE: Final[dict[str, Callable[[Moment, Moment, Start], bool]]] = {
    "statefulset": _changes_status_only, "persistentvolume-binder": _is_settled, "scheduler": _has_failed,
}
"""Syncs that come to the same whenever they take place, by component."""
