"""NodeUnschedulable: no new pods on a cordoned node (SC-51)."""

from __future__ import annotations

from typing import Final

from simulator.api.core import Pod, Taint
from simulator.scheduler.framework import SUCCESS, FilterDefaults, NodeInfo, Snapshot, Status, unresolvable
from simulator.scheduler.plugins.taint_toleration import tolerates

NAME: Final = "NodeUnschedulable"
TAINT: Final = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
REFUSED: Final = unresolvable(NAME, "node(s) were unschedulable")


class NodeUnschedulable(FilterDefaults):
    """Refuses cordoned nodes, unless the pod tolerates the cordon's taint.

    It comes before TaintToleration, so a cordoned node reports this and not its taint (SC-51).
    """

    __slots__ = ()
    name = NAME

    def filter(self, state: None, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether the node takes new pods."""
        if not node.node.spec.unschedulable or tolerates(pod.spec.tolerations, TAINT):
            return SUCCESS
        return REFUSED
