"""The scheduler's extension points: what a plug-in is asked, and what it may answer.

A plug-in is a frozen configuration with pure methods. What it works out once for a pod (PreFilter, PreScore) is handed
back to it at every node as `state`; it must not be changed by `filter` or `score`. Kubernetes: pkg/scheduler/framework.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import Node, Pod
from simulator.cluster.component import View
from simulator.scheduler.resources import Amounts, HostPort, allocatable, host_ports, nonzero_requests, pod_requests

MAX_SCORE: Final = 100
"""The best a node can score before weights (SC-48)."""


class Code(Enum):
    """The outcome of one plug-in."""

    SUCCESS = "Success"
    UNSCHEDULABLE = "Unschedulable"
    UNRESOLVABLE = "UnschedulableAndUnresolvable"
    ERROR = "Error"
    SKIP = "Skip"


class Status(Struct, frozen=True):
    """Yes, or no with Kubernetes' own reasons, and the plug-in that says so."""

    code: Code
    plugin: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """Whether the answer is yes."""
        return self.code is Code.SUCCESS

    @property
    def is_rejected(self) -> bool:
        """Whether the answer is no, of either kind; an error is neither."""
        return self.code in (Code.UNSCHEDULABLE, Code.UNRESOLVABLE)


SUCCESS = Status(Code.SUCCESS)


def unschedulable(plugin: str, *reasons: str) -> Status:
    """No, but removing pods might help (preemption tries the node)."""
    return Status(Code.UNSCHEDULABLE, plugin, reasons)


def unresolvable(plugin: str, *reasons: str) -> Status:
    """No, and removing pods cannot help (SC-115)."""
    return Status(Code.UNRESOLVABLE, plugin, reasons)


def error(plugin: str, message: str) -> Status:
    """The attempt fails with an error (SC-125)."""
    return Status(Code.ERROR, plugin, (message,))


def skip(plugin: str) -> Status:
    """The plug-in has nothing to check for this pod: its filter or score is left out of this cycle (SC-39)."""
    return Status(Code.SKIP, plugin)


class NodeInfo(Struct, frozen=True):
    """A node in a snapshot with the pods on it, assumed ones included (SC-31, SC-78); made with `of`.

    Attributes
    ----------
    allocatable : what the node has to give, in the units of `simulator.scheduler.resources`.
    requested, nonzero : what its pods ask for; `nonzero` has only cpu and memory, with the scoring defaults (SC-61,
        SC-62). Terminating pods count until they are gone.
    ports : host ports in use, one entry a port and pod.
    with_affinity, with_anti_affinity : those of `pods` with any affinity or anti-affinity to pods, and those with
        required anti-affinity.
    """

    node: Node
    pods: tuple[Pod, ...]
    allocatable: Amounts
    requested: Amounts
    nonzero: Amounts
    ports: tuple[HostPort, ...]
    with_affinity: tuple[Pod, ...]
    with_anti_affinity: tuple[Pod, ...]

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.metadata.name

    @classmethod
    def of(cls, node: Node, pods: Iterable[Pod] = ()) -> NodeInfo:
        """A node and what its pods add up to."""
        listed = tuple(pods)
        requested: Amounts = {}
        nonzero: Amounts = {}
        for pod in listed:
            _add(requested, pod_requests(pod), 1)
            _add(nonzero, nonzero_requests(pod), 1)
        return cls(
            node=node, pods=listed, allocatable=allocatable(node), requested=requested, nonzero=nonzero,
            ports=tuple(port for pod in listed for port in host_ports(pod)),
            with_affinity=tuple(pod for pod in listed if _has_affinity(pod)),
            with_anti_affinity=tuple(pod for pod in listed if _has_anti_affinity(pod)),
        )

    def with_node(self, node: Node) -> NodeInfo:
        """The same pods on a changed node."""
        return replace(self, node=node, allocatable=allocatable(node))

    def with_pod(self, pod: Pod) -> NodeInfo:
        """The node with one pod more; its cost does not depend on how many pods are there, save for copying a tuple."""
        return replace(
            self, pods=(*self.pods, pod),
            requested=_sum(self.requested, pod_requests(pod), 1), nonzero=_sum(self.nonzero, nonzero_requests(pod), 1),
            ports=(*self.ports, *host_ports(pod)),
            with_affinity=(*self.with_affinity, pod) if _has_affinity(pod) else self.with_affinity,
            with_anti_affinity=(*self.with_anti_affinity, pod) if _has_anti_affinity(pod) else self.with_anti_affinity,
        )

    def without_pod(self, pod: Pod) -> NodeInfo:
        """The node with that pod (same namespace, name and uid) gone; the same node if it is not there."""
        gone = next((there for there in self.pods if is_same_pod(there, pod)), None)
        if gone is None:
            return self
        ports = list(self.ports)
        for port in host_ports(gone):
            ports.remove(port)
        return replace(
            self, pods=_without(self.pods, pod),
            requested=_sum(self.requested, pod_requests(gone), -1),
            nonzero=_sum(self.nonzero, nonzero_requests(gone), -1), ports=tuple(ports),
            with_affinity=_without(self.with_affinity, pod),
            with_anti_affinity=_without(self.with_anti_affinity, pod),
        )


def is_same_pod(one: Pod, other: Pod) -> bool:
    """Whether two versions are of one pod, not merely of one name."""
    mine, its = one.metadata, other.metadata
    return mine.name == its.name and mine.uid == its.uid and mine.namespace == its.namespace


def _without(pods: tuple[Pod, ...], gone: Pod) -> tuple[Pod, ...]:
    return tuple(pod for pod in pods if not is_same_pod(pod, gone))


def _has_affinity(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    return affinity is not None and (affinity.pod_affinity is not None or affinity.pod_anti_affinity is not None)


def _has_anti_affinity(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    return affinity is not None and affinity.pod_anti_affinity is not None and bool(affinity.pod_anti_affinity.required)


def _add(total: Amounts, other: Amounts, sign: int) -> None:
    for name, amount in other.items():
        total[name] = total.get(name, 0) + sign * amount


def _sum(total: Amounts, other: Amounts, sign: int) -> Amounts:
    result = dict(total)
    _add(result, other, sign)
    return result


class Snapshot(Struct, frozen=True):
    """What one scheduling cycle sees (SC-32): nodes in tree order, and live reads of everything else through `view`.

    `view` shows claims and volumes with the scheduler's assumptions laid over them (VB-118).
    """

    nodes: tuple[NodeInfo, ...]
    view: View

    def node(self, name: str) -> NodeInfo | None:
        """The node of that name."""
        for info in self.nodes:
            if info.node.metadata.name == name:
                return info
        return None


class PreFilterResult(Struct, frozen=True):
    """What PreFilter gives: a status, the plug-in's state for this pod, and the only nodes worth a look (None: all)."""

    status: Status = SUCCESS
    state: Any = None
    node_names: frozenset[str] | None = None


NOTHING_PREPARED: Final = PreFilterResult()


class FilterPlugin(Protocol):
    """May this pod run on this node?"""

    @property
    def name(self) -> str:
        """Kubernetes' name of the plug-in."""

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Asked once in a scheduling cycle, before any node. SKIP leaves `filter` out; UNRESOLVABLE refuses the pod."""

    def filter(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Asked once a node; says yes with `SUCCESS` itself. Must not write, and must not change `state`."""

    def add_pod(self, state: Any, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Any:
        """State as if `other` were also on `node` (preemption and nominated pods); a new object, or the same."""

    def remove_pod(self, state: Any, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Any:
        """State as if `other` were not on `node`; a new object, or the same."""


class ScorePlugin(Protocol):
    """How good is this node for this pod, among those that may run it?"""

    @property
    def name(self) -> str:
        """Kubernetes' name of the plug-in."""

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """Asked once with the feasible nodes; SKIP means that the plug-in adds nothing to any node (SC-97)."""

    def score(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """A raw score; any integer."""

    def normalize(self, state: Any, pod: Pod, scores: Sequence[int], nodes: Sequence[NodeInfo]) -> list[int]:
        """All raw scores brought to 0–100, in the same order."""


class FilterDefaults:
    """The parts of a filter plug-in that look at one node alone: no preparation, and no state for others to change."""

    __slots__ = ()

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Nothing to prepare."""
        return NOTHING_PREPARED

    def add_pod(self, state: Any, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Any:
        """The state does not depend on other pods."""
        return state

    def remove_pod(self, state: Any, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Any:
        """The state does not depend on other pods."""
        return state


class ScoreDefaults:
    """The parts of a score plug-in whose raw scores are 0–100 already."""

    __slots__ = ()

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """Nothing to prepare."""
        return NOTHING_PREPARED

    def normalize(self, state: Any, pod: Pod, scores: Sequence[int], nodes: Sequence[NodeInfo]) -> list[int]:
        """Raw scores as they are."""
        return list(scores)


def default_normalize(scores: Sequence[int], *, reverse: bool) -> list[int]:
    """Scores in proportion to the highest, which gets 100, or 0 if `reverse` (SC-85)."""
    highest = max(scores, default=0)
    if highest == 0:
        return [MAX_SCORE] * len(scores) if reverse else list(scores)
    scaled = [MAX_SCORE * score // highest for score in scores]
    return [MAX_SCORE - score for score in scaled] if reverse else scaled
