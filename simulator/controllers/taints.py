"""Taints that controllers put on nodes and take away, and how long pods stand them (WL-120, WL-121, WL-124)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from simulator.api.core import Node, Pod, Taint, Toleration
from simulator.api.meta import evolve
from simulator.scheduler.plugins.taint_toleration import tolerates
from simulator.units import SECOND, Micros

NO_SCHEDULE: Final = "NoSchedule"
NO_EXECUTE: Final = "NoExecute"
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"

_BY_CONDITION: Final = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_MIRRORED: Final = frozenset({*_BY_CONDITION.values(), UNSCHEDULABLE})


def mirrored(node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of the NoSchedule taints to add and to take away, so that they mirror the node's conditions (WL-120)."""
    wanted = [
        key for condition in node.status.conditions
        if (key := _BY_CONDITION.get((condition.type, condition.status))) is not None
    ]
    if node.spec.unschedulable:
        wanted.append(UNSCHEDULABLE)
    present = [taint.key for taint in node.spec.taints if taint.effect == NO_SCHEDULE and taint.key in _MIRRORED]
    if wanted == present:
        return (), ()
    return tuple(key for key in wanted if key not in present), tuple(key for key in present if key not in wanted)


def swapped(node: Node, effect: str, add: tuple[str, ...], remove: tuple[str, ...], now: Micros | None) -> Node:
    """The node with some taints of one effect added and others taken away."""
    kept = tuple(
        taint for taint in node.spec.taints
        if taint.effect != effect or (taint.key not in remove and taint.key not in add)
    )
    added = tuple(Taint(key=key, effect=effect, time_added=now) for key in add)
    return evolve(node, spec=evolve(node.spec, taints=(*kept, *added)))


def has_taint(node: Node, key: str, effect: str) -> bool:
    """Whether the node has that taint."""
    return any(taint.key == key and taint.effect == effect for taint in node.spec.taints)


def no_execute(node: Node | None) -> tuple[Taint, ...]:
    """The taints of a node that drive pods away."""
    if node is None or not node.spec.taints:
        return ()
    return tuple(taint for taint in node.spec.taints if taint.effect == NO_EXECUTE)


def stands_for(pod: Pod, taints: Iterable[Taint]) -> Micros | None:
    """How long the pod may stay under these taints: 0 if it does not tolerate one, None if for ever (WL-124)."""
    tolerations: tuple[Toleration, ...] = pod.spec.tolerations
    shortest: int | None = None
    for taint in taints:
        matching = next((one for one in tolerations if tolerates((one,), taint)), None)
        if matching is None:
            return 0
        seconds = matching.toleration_seconds
        if seconds is not None:
            shortest = max(0, seconds) if shortest is None else min(shortest, max(0, seconds))
    return None if shortest is None else shortest * SECOND
