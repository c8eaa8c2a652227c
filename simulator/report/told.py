"""What is telling about a change of an object, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object
from simulator.api.nodes import HOSTNAME
from simulator.binding.names import SELECTED_NODE
from simulator.explanation.words import listing, short
from simulator.report.state import State
from simulator.scheduler.plugins.free_volumes import Reach

SCHEDULED: Final = "scheduled"

Luck = dict[Key, int]
"""Among how many equally good things one was chosen last, for a claim or a pod; told once."""


def volume_place(volume: PersistentVolume) -> str:
    """Where a volume is, as the end of a sentence: `` on node2``; empty if it is everywhere, or by a rule."""
    reach = Reach.of(volume)
    if not reach.label:
        return ""
    if reach.label == HOSTNAME:
        return f" on {listing(reach.values, 2)}"
    return f" on nodes with {reach.label}={' or '.join(reach.values)}"


def _claim(state: State, luck: Luck, old: Object, new: Object) -> Iterator[tuple[str, str]]:
    assert isinstance(old, PersistentVolumeClaim)
    assert isinstance(new, PersistentVolumeClaim)
    name = short(new)
    node = new.metadata.annotations.get(SELECTED_NODE)
    if node is not None and SELECTED_NODE not in old.metadata.annotations:
        yield "to be provisioned", f"{name} is to get a volume for {node}"
    if new.spec.storage_class_name is not None and old.spec.storage_class_name is None:
        yield "given its class", f"{name} gets the default class {new.spec.storage_class_name}"
    if new.status.phase == old.status.phase:
        return
    if new.status.phase == "Bound":
        volume = state.get(PersistentVolume, new.spec.volume_name)
        among = luck.pop(new.key, 1)
        chance = f", one of {among} equally good ones" if among > 1 else ""
        place = volume_place(volume) if volume is not None else ""
        yield "bound", f"{name} bound to {new.spec.volume_name}{place}{chance}"
    elif new.status.phase == "Lost":
        yield "lost", f"{name} has lost its volume {new.spec.volume_name}"


def _pod(state: State, luck: Luck, old: Object, new: Object) -> Iterator[tuple[str, str]]:
    assert isinstance(old, Pod)
    assert isinstance(new, Pod)
    name = short(new)
    if new.spec.node_name and not old.spec.node_name:
        among = luck.pop(new.key, 1)
        chance = f", one of {among} equally good ones" if among > 1 else ""
        yield SCHEDULED, f"{name} scheduled to {new.spec.node_name}{chance}"
    if new.status.phase != old.status.phase and new.status.phase in ("Failed", "Succeeded"):
        if not new.metadata.is_terminating:
            why = f": {new.status.reason}" if new.status.reason else ""
            yield new.status.phase.lower(), f"{name} has {new.status.phase.lower()}{why}"
    elif new.is_ready != old.is_ready and not new.metadata.is_terminating:
        where = f" on {new.spec.node_name}"
        yield ("ready", f"{name} ready{where}") if new.is_ready else ("not ready", f"{name} no longer ready{where}")


def _volume(state: State, luck: Luck, old: Object, new: Object) -> Iterator[tuple[str, str]]:
    assert isinstance(old, PersistentVolume)
    assert isinstance(new, PersistentVolume)
    phase = new.status.phase
    if phase == old.status.phase:
        return
    if phase == "Released":
        yield "Released", f"{new.name} is Released ({new.spec.persistent_volume_reclaim_policy})"
    elif phase == "Failed":
        yield "Failed", f"{new.name} has Failed: {new.status.message}"
    elif phase == "Available" and old.status.phase not in ("", "Pending"):
        yield "free again", f"{new.name} is free again"


def _node(state: State, luck: Luck, old: Object, new: Object) -> Iterator[tuple[str, str]]:
    assert isinstance(old, Node)
    assert isinstance(new, Node)
    before, after = old.condition("Ready"), new.condition("Ready")
    if after is not None and before is not None and after.status != before.status:
        said = f": {after.message}" if after.message and after.status != "True" else ""
        yield ("ready", f"node {new.name} is ready") if after.status == "True" else (
            "not ready", f"node {new.name} is not ready{said}")


def _set(state: State, luck: Luck, old: Object, new: Object) -> Iterator[tuple[str, str]]:
    assert isinstance(old, StatefulSet)
    assert isinstance(new, StatefulSet)
    if new.replicas and _is_complete(new) and not _is_complete(old):
        yield "complete", f"set {short(new)} is complete: {new.status.ready_replicas} of {new.replicas} ready"


def _is_complete(obj: StatefulSet) -> bool:
    status = obj.status
    return status.ready_replicas == status.replicas == status.updated_replicas == obj.replicas


TELLERS: Final[dict[str, Callable[[State, Luck, Object, Object], Iterator[tuple[str, str]]]]] = {
    "PersistentVolumeClaim": _claim, "Pod": _pod, "PersistentVolume": _volume, "Node": _node, "StatefulSet": _set,
}
"""For each kind: what happened, in a word or two and as a sentence, when an object went from old to new."""
