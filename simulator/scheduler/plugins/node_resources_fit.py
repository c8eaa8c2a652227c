"""NodeResourcesFit: a node must have what the pod requests, and what is left ranks it (SC-59, SC-88, SC-89, SC-91)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, TypeAlias

from msgspec import Struct

from simulator.api.core import Pod
from simulator.scheduler.framework import (
    MAX_SCORE,
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    ScoreDefaults,
    Snapshot,
    Status,
    unresolvable,
    unschedulable,
)
from simulator.scheduler.plugins.shape import Shape, broken_linear, round_half_up
from simulator.scheduler.resources import (
    CPU,
    EPHEMERAL_STORAGE,
    MEMORY,
    PODS,
    Amounts,
    incoming_nonzero_requests,
    is_scalar,
    pod_requests,
)

NAME: Final = "NodeResourcesFit"
TOO_MANY_PODS: Final = "Too many pods"
_NATIVE: Final = (CPU, MEMORY, EPHEMERAL_STORAGE)
_NONZERO: Final = (CPU, MEMORY)
_RATIO: Final = "RequestedToCapacityRatio"

Asked: TypeAlias = tuple[tuple[str, int, int], ...]
"""Name, weight and the pod's own request of each resource that a score looks at."""


class ResourceWeight(Struct, frozen=True):
    """A resource that a score looks at."""

    name: str
    weight: int = 1


DEFAULT_RESOURCES: Final = (ResourceWeight(CPU), ResourceWeight(MEMORY))


class NodeResourcesFit(ScoreDefaults, FilterDefaults, Struct, frozen=True):
    """Refuses nodes that are short of something, and scores nodes by how full they would be.

    Attributes
    ----------
    strategy : LeastAllocated, MostAllocated or RequestedToCapacityRatio.
    resources : what the score looks at.
    shape : (utilization 0–100, score 0–10) pairs of RequestedToCapacityRatio.
    ignored_resources, ignored_resource_groups : extended resources, or the parts before their slash, that the filter
        leaves out.
    """

    name: ClassVar[str] = NAME

    strategy: str = "LeastAllocated"
    resources: tuple[ResourceWeight, ...] = DEFAULT_RESOURCES
    shape: Shape = ()
    ignored_resources: frozenset[str] = frozenset()
    ignored_resource_groups: frozenset[str] = frozenset()

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """What the pod requests, in the order in which shortages are reported."""
        requests = pod_requests(pod)
        wanted = [(name, requests[name]) for name in _NATIVE if requests.get(name, 0) > 0]
        wanted += [
            (name, amount)
            for name, amount in sorted(requests.items())
            if name not in _NATIVE and amount > 0 and not self._is_ignored(name)
        ]
        return PreFilterResult(state=tuple(wanted))

    def filter(self, state: tuple[tuple[str, int], ...], pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether the node has enough of everything; all shortages are reported."""
        given, used = node.allocatable, node.requested
        fits = len(node.pods) < given.get(PODS, 0)
        for name, amount in state:
            if amount > given.get(name, 0) - used.get(name, 0):
                fits = False
                break
        return SUCCESS if fits else self._shortages(state, node)

    def _shortages(self, wanted: tuple[tuple[str, int], ...], node: NodeInfo) -> Status:
        given, used = node.allocatable, node.requested
        reasons: list[str] = []
        hopeless = False
        if len(node.pods) + 1 > given.get(PODS, 0):
            reasons.append(TOO_MANY_PODS)
        for name, amount in wanted:
            if amount > given.get(name, 0) - used.get(name, 0):
                reasons.append(f"Insufficient {name}")
                hopeless = hopeless or amount > given.get(name, 0)
        return unresolvable(NAME, *reasons) if hopeless else unschedulable(NAME, *reasons)

    def _is_ignored(self, name: str) -> bool:
        return name in self.ignored_resources or name.partition("/")[0] in self.ignored_resource_groups

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """What the pod counts as, silent containers at their default (SC-62)."""
        return PreFilterResult(state=asked(self.resources, incoming_nonzero_requests(pod)))

    def score(self, state: Asked, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """The weighted mean over the resources that the node has, as the strategy rates each."""
        rate = self._rate()
        total = weights = 0
        for name, weight, mine in state:
            given = node.allocatable.get(name, 0)
            if given == 0:
                continue
            used = node.nonzero if name in _NONZERO else node.requested
            rating = rate(used.get(name, 0) + mine, given)
            if rating == 0 and self.strategy == _RATIO:
                continue
            total += rating * weight
            weights += weight
        if weights == 0:
            return 0
        return round_half_up(total / weights) if self.strategy == _RATIO else total // weights

    def _rate(self) -> Callable[[int, int], int]:
        if self.strategy == "LeastAllocated":
            return _least_allocated
        if self.strategy == "MostAllocated":
            return _most_allocated
        return self._requested_to_capacity

    def _requested_to_capacity(self, amount: int, given: int) -> int:
        return broken_linear(self.shape, MAX_SCORE if amount > given else amount * MAX_SCORE // given)


def _least_allocated(amount: int, given: int) -> int:
    return 0 if amount > given else (given - amount) * MAX_SCORE // given


def _most_allocated(amount: int, given: int) -> int:
    return min(amount, given) * MAX_SCORE // given


def asked(resources: Sequence[ResourceWeight], requests: Amounts) -> Asked:
    """The resources that a score looks at for a pod: extended ones only if the pod requests them."""
    return tuple(
        (resource.name, resource.weight, requests.get(resource.name, 0))
        for resource in resources
        if requests.get(resource.name, 0) or not is_scalar(resource.name)
    )
