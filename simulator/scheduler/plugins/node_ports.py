"""NodePorts: a host port belongs to one pod of a node (SC-58)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.api.core import Pod
from simulator.scheduler.framework import (
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    Snapshot,
    Status,
    skip,
    unschedulable,
)
from simulator.scheduler.resources import HostPort, host_ports

NAME: Final = "NodePorts"
REFUSED: Final = unschedulable(NAME, "node(s) didn't have free ports for the requested pod ports")
ANY: Final = "0.0.0.0"


def ports_conflict(wanted: Sequence[HostPort], used: Sequence[HostPort]) -> bool:
    """Whether a wanted port is taken: same protocol and number, and the same address or one of them any."""
    return any(
        want.port == use.port and want.protocol == use.protocol and (want.ip == use.ip or ANY in (want.ip, use.ip))
        for want in wanted
        for use in used
    )


class NodePorts(FilterDefaults):
    """Refuses nodes where a host port of the pod is taken."""

    __slots__ = ()
    name = NAME

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """The host ports of the pod, if any."""
        ports = host_ports(pod)
        return PreFilterResult(state=ports) if ports else PreFilterResult(skip(NAME))

    def filter(self, state: tuple[HostPort, ...], pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether all of them are free."""
        used = node.ports
        return REFUSED if used and ports_conflict(state, used) else SUCCESS
