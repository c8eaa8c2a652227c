"""NodeName: a pod that names its node goes nowhere else (SC-52)."""

from __future__ import annotations

from typing import Final

from simulator.api.core import Pod
from simulator.scheduler.framework import (
    NOTHING_PREPARED,
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    Snapshot,
    Status,
    skip,
    unresolvable,
)

NAME: Final = "NodeName"
REFUSED: Final = unresolvable(NAME, "node(s) didn't match the requested node name")


class NodeName(FilterDefaults):
    """Compares ``spec.nodeName``; almost never set on a pod that the scheduler sees."""

    __slots__ = ()
    name = NAME

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Left out for a pod that names no node: it would say yes to all."""
        return NOTHING_PREPARED if pod.spec.node_name else PreFilterResult(skip(NAME))

    def filter(self, state: None, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether the pod may be on this node by name."""
        return SUCCESS if pod.spec.node_name in ("", node.node.metadata.name) else REFUSED
