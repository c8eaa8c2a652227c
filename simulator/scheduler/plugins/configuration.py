"""Plug-ins made from the arguments of a scheduler configuration file; what is not understood is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from simulator.api.core import NodeAffinity as NodeAffinityRule
from simulator.api.core import TopologySpreadConstraint
from simulator.api.meta import decode
from simulator.scheduler.plugins.balanced_allocation import BalancedAllocation
from simulator.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from simulator.scheduler.plugins.node_affinity import NodeAffinity
from simulator.scheduler.plugins.node_resources_fit import DEFAULT_RESOURCES, NodeResourcesFit, ResourceWeight
from simulator.scheduler.plugins.pod_topology_spread import SYSTEM_DEFAULTS, PodTopologySpread
from simulator.scheduler.plugins.shape import Shape
from simulator.scheduler.plugins.volume_binding import DEFAULT_SHAPE, VolumeBinding

Arguments: TypeAlias = Mapping[str, Any]
FeatureGates: TypeAlias = Mapping[str, bool]

CAPACITY_SCORING: Final = "StorageCapacityScoring"
_DEFAULT_GATES: Final = {CAPACITY_SCORING: False}
_STRATEGIES: Final = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")


def check_gates(gates: FeatureGates) -> None:
    """Refuse gates that have no effect here.

    Raises
    ------
    ValueError
        If there is one.
    """
    unknown = [name for name in gates if name not in _DEFAULT_GATES]
    if unknown:
        raise ValueError(f"feature gates without effect: {', '.join(unknown)}; known: {', '.join(_DEFAULT_GATES)}")


def _check(plugin: str, given: Arguments, known: Sequence[str]) -> None:
    unknown = [name for name in given if name not in (*known, "apiVersion", "kind")]
    if unknown:
        raise ValueError(f"{plugin} has no argument {', '.join(unknown)}; it takes {', '.join(known)}")


def node_affinity(given: Arguments, gates: FeatureGates) -> NodeAffinity:
    """NodeAffinityArgs."""
    _check("NodeAffinity", given, ("addedAffinity",))
    return NodeAffinity(decode(given.get("addedAffinity") or {}, NodeAffinityRule))


def node_resources_fit(given: Arguments, gates: FeatureGates) -> NodeResourcesFit:
    """NodeResourcesFitArgs."""
    _check("NodeResourcesFit", given, ("scoringStrategy", "ignoredResources", "ignoredResourceGroups"))
    strategy = given.get("scoringStrategy") or {}
    _check("scoringStrategy", strategy, ("type", "resources", "requestedToCapacityRatio"))
    name = strategy.get("type", "LeastAllocated")
    if name not in _STRATEGIES:
        raise ValueError(f"{name} is not a scoring strategy; there are {', '.join(_STRATEGIES)}")
    ratio = strategy.get("requestedToCapacityRatio") or {}
    _check("requestedToCapacityRatio", ratio, ("shape",))
    shape = _shape(ratio["shape"]) if "shape" in ratio else ()
    if name == "RequestedToCapacityRatio" and not shape:
        raise ValueError("RequestedToCapacityRatio needs a shape")
    return NodeResourcesFit(
        strategy=name, resources=_resources(strategy.get("resources")), shape=shape,
        ignored_resources=frozenset(given.get("ignoredResources") or ()),
        ignored_resource_groups=frozenset(given.get("ignoredResourceGroups") or ()),
    )


def balanced_allocation(given: Arguments, gates: FeatureGates) -> BalancedAllocation:
    """NodeResourcesBalancedAllocationArgs."""
    _check("NodeResourcesBalancedAllocation", given, ("resources",))
    return BalancedAllocation(_resources(given.get("resources")))


def inter_pod_affinity(given: Arguments, gates: FeatureGates) -> InterPodAffinity:
    """InterPodAffinityArgs."""
    _check("InterPodAffinity", given, ("hardPodAffinityWeight", "ignorePreferredTermsOfExistingPods"))
    return InterPodAffinity(
        hard_pod_affinity_weight=given.get("hardPodAffinityWeight", 1),
        ignore_preferred_terms_of_existing_pods=given.get("ignorePreferredTermsOfExistingPods", False),
    )


def pod_topology_spread(given: Arguments, gates: FeatureGates) -> PodTopologySpread:
    """PodTopologySpreadArgs."""
    _check("PodTopologySpread", given, ("defaultConstraints", "defaultingType"))
    kind = given.get("defaultingType", "System")
    constraints = tuple(decode(each, TopologySpreadConstraint) for each in given.get("defaultConstraints") or ())
    if kind == "System":
        if constraints:
            raise ValueError("defaultConstraints need defaultingType: List")
        return PodTopologySpread(SYSTEM_DEFAULTS, True)
    if kind != "List":
        raise ValueError(f"{kind} is not a defaulting type; there are System and List")
    return PodTopologySpread(constraints, False)


def volume_binding(given: Arguments, gates: FeatureGates) -> VolumeBinding:
    """VolumeBindingArgs; the bind timeout belongs to the binding cycle and is not looked at here."""
    _check("VolumeBinding", given, ("bindTimeoutSeconds", "shape"))
    scores_capacity = gates.get(CAPACITY_SCORING, _DEFAULT_GATES[CAPACITY_SCORING])
    if "shape" in given and not scores_capacity:
        raise ValueError(f"VolumeBinding takes a shape only with feature gate {CAPACITY_SCORING}")
    return VolumeBinding(scores_capacity, _shape(given["shape"]) if "shape" in given else DEFAULT_SHAPE)


def _resources(given: Sequence[Arguments] | None) -> tuple[ResourceWeight, ...]:
    if not given:
        return DEFAULT_RESOURCES
    for each in given:
        _check("resources", each, ("name", "weight"))
    return tuple(ResourceWeight(each["name"], each.get("weight", 1)) for each in given)


def _shape(given: Sequence[Arguments]) -> Shape:
    for each in given:
        _check("shape", each, ("utilization", "score"))
    return tuple((each["utilization"], each["score"]) for each in given)
