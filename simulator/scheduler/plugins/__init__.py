"""The scheduler's plug-ins, in Kubernetes' default order and with its default weights (SC-1).

SchedulingGates, PrioritySort and DefaultBinder are part of the queue and the cycle. DynamicResources and
NodeDeclaredFeatures have nothing to say about pods without resource claims and declared features, which are not
simulated; their scores would be 0 (SC-95), and the one trace that DynamicResources leaves is in the messages (SC-120,
SC-127).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from simulator.scheduler.decision import Profile
from simulator.scheduler.plugins.balanced_allocation import BalancedAllocation
from simulator.scheduler.plugins.configuration import (
    FeatureGates,
    balanced_allocation,
    check_gates,
    inter_pod_affinity,
    node_affinity,
    node_resources_fit,
    pod_topology_spread,
    volume_binding,
)
from simulator.scheduler.plugins.image_locality import ImageLocality
from simulator.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from simulator.scheduler.plugins.node_affinity import NodeAffinity
from simulator.scheduler.plugins.node_name import NodeName
from simulator.scheduler.plugins.node_ports import NodePorts
from simulator.scheduler.plugins.node_resources_fit import NodeResourcesFit
from simulator.scheduler.plugins.node_unschedulable import NodeUnschedulable
from simulator.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from simulator.scheduler.plugins.pod_topology_spread import PodTopologySpread
from simulator.scheduler.plugins.taint_toleration import TaintToleration
from simulator.scheduler.plugins.volume_binding import VolumeBinding
from simulator.scheduler.plugins.volume_restrictions import VolumeRestrictions
from simulator.scheduler.plugins.volume_zone import VolumeZone

Arguments: TypeAlias = Mapping[str, Any]
Maker: TypeAlias = Callable[[Arguments, FeatureGates], Any]


def _plain(name: str, plugin: Callable[[], Any]) -> Maker:
    def make(arguments: Arguments, gates: FeatureGates) -> Any:
        if arguments:
            raise ValueError(f"{name} takes no arguments, but was given {', '.join(arguments)}")
        return plugin()

    return make


FILTERS: Final[tuple[tuple[str, Maker], ...]] = (
    ("NodeUnschedulable", _plain("NodeUnschedulable", NodeUnschedulable)),
    ("NodeName", _plain("NodeName", NodeName)),
    ("TaintToleration", _plain("TaintToleration", TaintToleration)),
    ("NodeAffinity", node_affinity),
    ("NodePorts", _plain("NodePorts", NodePorts)),
    ("NodeResourcesFit", node_resources_fit),
    ("VolumeRestrictions", _plain("VolumeRestrictions", VolumeRestrictions)),
    ("NodeVolumeLimits", _plain("NodeVolumeLimits", NodeVolumeLimits)),
    ("VolumeBinding", volume_binding),
    ("VolumeZone", _plain("VolumeZone", VolumeZone)),
    ("PodTopologySpread", pod_topology_spread),
    ("InterPodAffinity", inter_pod_affinity),
)
"""Filter plug-ins in order, each with what makes it from the arguments of a profile and the feature gates."""

SCORES: Final[tuple[tuple[str, int], ...]] = (
    ("TaintToleration", 3),
    ("NodeAffinity", 2),
    ("NodeResourcesFit", 1),
    ("VolumeBinding", 1),
    ("PodTopologySpread", 2),
    ("InterPodAffinity", 2),
    ("NodeResourcesBalancedAllocation", 1),
    ("ImageLocality", 1),
)
"""Score plug-ins in order, with their weights."""

_SCORE_ONLY: Final[tuple[tuple[str, Maker], ...]] = (
    ("NodeResourcesBalancedAllocation", balanced_allocation),
    ("ImageLocality", _plain("ImageLocality", ImageLocality)),
)


def default_profile(
    arguments: Mapping[str, Arguments] | None = None, feature_gates: FeatureGates | None = None
) -> Profile:
    """The default profile, with arguments for some plug-ins.

    Parameters
    ----------
    arguments : per plug-in name, as under ``pluginConfig`` of a scheduler configuration file.
    feature_gates : gates that differ from the defaults of 1.36.

    Raises
    ------
    ValueError
        If a plug-in, an argument or a gate is unknown, or has no effect here.
    """
    given, gates = dict(arguments or {}), dict(feature_gates or {})
    check_gates(gates)
    plugins = {name: make(given.pop(name, {}), gates) for name, make in (*FILTERS, *_SCORE_ONLY)}
    if given:
        raise ValueError(f"no such plug-in: {', '.join(given)}; there are {', '.join(plugins)}")
    return Profile(
        filters=tuple(plugins[name] for name, _ in FILTERS),
        scores=tuple((plugins[name], weight) for name, weight in SCORES),
    )


DEFAULT_PROFILE: Final = default_profile()

__all__ = [
    "DEFAULT_PROFILE", "FILTERS", "SCORES", "BalancedAllocation", "ImageLocality", "InterPodAffinity", "NodeAffinity",
    "NodeName", "NodePorts", "NodeResourcesFit", "NodeUnschedulable", "NodeVolumeLimits", "PodTopologySpread",
    "TaintToleration", "VolumeBinding", "VolumeRestrictions", "VolumeZone", "default_profile",
]
