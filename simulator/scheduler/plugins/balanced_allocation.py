"""NodeResourcesBalancedAllocation: prefer nodes where the pod evens out cpu and memory use (SC-90, SC-91)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec import Struct

from simulator.api.core import Pod
from simulator.scheduler.framework import MAX_SCORE, NodeInfo, PreFilterResult, ScoreDefaults, Snapshot, skip
from simulator.scheduler.plugins.node_resources_fit import DEFAULT_RESOURCES, Asked, ResourceWeight, asked
from simulator.scheduler.resources import pod_requests

NAME: Final = "NodeResourcesBalancedAllocation"
_HALF: Final = MAX_SCORE // 2


class BalancedAllocation(ScoreDefaults, Struct, frozen=True):
    """Scores how the spread between the used fractions of resources changes; 75 is neutral."""

    name: ClassVar[str] = NAME

    resources: tuple[ResourceWeight, ...] = DEFAULT_RESOURCES

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """What the pod really requests; a pod that requests none of the resources is not scored."""
        requests = pod_requests(pod)
        if not any(requests.get(resource.name, 0) for resource in self.resources):
            return PreFilterResult(skip(NAME))
        return PreFilterResult(state=asked(self.resources, requests))

    def score(self, state: Asked, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """Balance with the pod against balance without it, over the resources that the node has."""
        before: list[float] = []
        after: list[float] = []
        for name, _, mine in state:
            given = node.allocatable.get(name, 0)
            if given:
                used = node.requested.get(name, 0)
                before.append(min(1.0, used / given))
                after.append(min(1.0, (used + mine) / given))
        return _HALF + (_HALF + _balance(after) - _balance(before)) // 2


def _balance(fractions: list[float]) -> int:
    """100 if all fractions are equal, less the further they lie apart."""
    count = len(fractions)
    if count == 2:
        deviation = abs((fractions[0] - fractions[1]) / 2)
    elif count > 2:
        mean = sum(fractions) / count
        deviation = math.sqrt(sum((fraction - mean) * (fraction - mean) for fraction in fractions) / count)
    else:
        deviation = 0.0
    return int((1 - deviation) * MAX_SCORE)
