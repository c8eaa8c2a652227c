"""How external provisioners behave: what is behind a storage class, where it has room, and how it fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from simulator.api.core import Node
from simulator.api.selectors import NodeSelectorRequirement
from simulator.api.storage import StorageClass, TopologySelectorTerm
from simulator.units import Micros, Quantity, quantity

TOPOLOGY_KEY: Final = "bindsim/topology-key"
CAPACITY: Final = "bindsim/capacity"
"""Parameters of a storage class: the node label that its volumes are tied to; the room in each segment."""


class StorageDriver(Struct, frozen=True, kw_only=True):
    """An external provisioner, and the storage behind it.

    Attributes
    ----------
    absent : nobody answers (VB-97 goes on for ever).
    topology : node label that its volumes are tied to, such as ``kubernetes.io/hostname``; "" if they can be reached
        from everywhere. The parameter ``bindsim/topology-key`` of a class comes first.
    immediate_node : the node whose segment takes the volumes of Immediate claims; "" spreads them (VB-107).
    immediate_anywhere : whether the volumes of Immediate claims can be reached from everywhere instead.
    full_on : nodes, or values of the topology label, without room.
    capacity : room by value of the topology label, all classes together; no entry means enough. The parameter
        ``bindsim/capacity`` of a class sets aside so much in each segment for that class alone.
    delay : how long the driver takes to make a volume; None asks for the latency ``provision``.
    delete_delay : how long it takes to delete one; None asks for the latency ``provision-delete``.
    error : None, or how each call ends: ``final``, ``background``, ``reschedule`` or ``infeasible`` (VB-104, VB-106).
    message : the driver's words for the error.
    delete_error : the driver's words when it cannot delete; "" if it can (VB-110).
    distributed : one instance on each node, which serves its own node only (VB-109).
    finalizer : whether volumes of policy Delete are protected until the driver has deleted what is behind them.
    """

    absent: bool = False
    topology: str = ""
    immediate_node: str = ""
    immediate_anywhere: bool = False
    full_on: frozenset[str] = frozenset()
    capacity: Mapping[str, Quantity] = {}
    delay: Micros | None = None
    delete_delay: Micros | None = None
    error: str | None = None
    message: str = "rpc error: code = Internal desc = failed"
    delete_error: str = ""
    distributed: bool = False
    finalizer: bool = True


DEFAULT_DRIVER: Final = StorageDriver()


class Asset(Struct, frozen=True):
    """A volume of a driver's own: where it is, and how large.

    Attributes
    ----------
    pool : (provisioner, class or "" for all, segment) of the room that it takes.
    """

    pool: tuple[str, str, str]
    nano: int


def topology_of(driver: StorageDriver, storage_class: StorageClass) -> str:
    """The node label that volumes of a class are tied to, or ""."""
    return storage_class.parameters.get(TOPOLOGY_KEY, driver.topology)


def room_in(driver: StorageDriver, storage_class: StorageClass, segment: str) -> tuple[str, int] | None:
    """Whose room a volume takes in a segment (a class's, or "" for all), and how much there is; None if enough."""
    of_class = storage_class.parameters.get(CAPACITY)
    if of_class is not None:
        return storage_class.name, quantity(of_class).nano
    limit = driver.capacity.get(segment)
    return ("", limit.nano) if limit is not None else None


def allows(terms: tuple[TopologySelectorTerm, ...], labels: Mapping[str, str]) -> bool:
    """Whether ``allowedTopologies`` accept a node with these labels (VB-136)."""
    return not terms or any(
        term.match_label_expressions
        and all(labels.get(wanted.key) in wanted.values for wanted in term.match_label_expressions)
        for term in terms
    )


def segments(nodes: Iterable[Node], storage_class: StorageClass, topology: str) -> list[str]:
    """The values of a topology label on the nodes that a class allows, in order."""
    return sorted({
        node.metadata.labels[topology] for node in nodes
        if topology in node.metadata.labels and allows(storage_class.allowed_topologies, node.metadata.labels)
    })


def first_segment(claim: str, count: int) -> int:
    """Which of so many segments an Immediate claim prefers: replicas of a set go round (VB-107).

    Examples
    --------
    >>> [first_segment(f"data-web-{ordinal}", 3) for ordinal in range(4)]
    [0, 1, 2, 0]
    """
    base, dash, last = claim.rpartition("-")
    if not dash or not last.isascii() or not last.isdigit():
        return _fnv1(claim) % count
    # claims of one replica have the set's name in common, so they go together
    return (_fnv1(base.rpartition("-")[2]) + int(last)) % count


def _fnv1(text: str) -> int:
    value = 2_166_136_261
    for byte in text.encode():
        value = (value * 16_777_619 & 0xFFFFFFFF) ^ byte
    return value


def affinity_to(topology: str, segment: str) -> tuple[NodeSelectorRequirement, ...]:
    """The node affinity of a volume that is in one segment."""
    return (NodeSelectorRequirement(key=topology, operator="In", values=(segment,)),)
