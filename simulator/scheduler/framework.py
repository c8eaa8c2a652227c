"""The scheduler's extension points: what a plug-in is asked, and what it may answer.

A plug-in is a frozen configuration with pure methods. What it works out once for a pod (PreFilter, PreScore) is handed
back to it at every node as `state`; it must not be changed by `filter` or `score`. Kubernetes: pkg/scheduler/framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from msgspec import Struct

from simulator.api.core import Node, Pod
from simulator.cluster.component import View


class Code(Enum):
    """The outcome of one plug-in (SC-0)."""

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
    """A node in a snapshot with the pods on it, assumed ones included (SC-31).

    Attributes
    ----------
    requested, nonzero : per resource, what the pods ask for in milli-units (cpu) or units (all else); `nonzero` has
        only cpu and memory, with the scoring defaults (SC-61, SC-62).
    """

    node: Node
    pods: tuple[Pod, ...] = ()
    requested: dict[str, int] = {}
    nonzero: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.metadata.name


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


class FilterPlugin(Protocol):
    """May this pod run on this node?"""

    name: str

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Asked once in a scheduling cycle, before any node. SKIP leaves `filter` out; UNRESOLVABLE refuses the pod."""

    def filter(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Asked once a node. Must not write, and must not change `state`."""

    def add_pod(self, state: Any, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Any:
        """State as if `other` were also on `node` (preemption and nominated pods); a new object, or the same."""

    def remove_pod(self, state: Any, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Any:
        """State as if `other` were not on `node`; a new object, or the same."""


class ScorePlugin(Protocol):
    """How good is this node for this pod, among those that may run it?"""

    name: str

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """Asked once with the feasible nodes; SKIP means that the plug-in adds nothing to any node (SC-97)."""

    def score(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """A raw score; any integer."""

    def normalize(self, state: Any, pod: Pod, scores: Sequence[int], nodes: Sequence[NodeInfo]) -> list[int]:
        """All raw scores brought to 0–100, in the same order."""
