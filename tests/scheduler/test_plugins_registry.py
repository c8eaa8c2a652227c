"""The default profile: order, weights, arguments and gates."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.scheduler.plugins import DEFAULT_PROFILE, default_profile


@pytest.mark.rule("SC-1")
def test_filters_are_asked_in_kubernetes_order() -> None:
    assert [plugin.name for plugin in DEFAULT_PROFILE.filters] == [
        "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit",
        "VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone", "PodTopologySpread",
        "InterPodAffinity",
    ]


@pytest.mark.rule("SC-1")
def test_scores_have_kubernetes_weights() -> None:
    assert [(plugin.name, weight) for plugin, weight in DEFAULT_PROFILE.scores] == [
        ("TaintToleration", 3), ("NodeAffinity", 2), ("NodeResourcesFit", 1), ("VolumeBinding", 1),
        ("PodTopologySpread", 2), ("InterPodAffinity", 2), ("NodeResourcesBalancedAllocation", 1), ("ImageLocality", 1),
    ]


def test_a_plugin_that_filters_and_scores_is_one_object() -> None:
    filters = {plugin.name: plugin for plugin in DEFAULT_PROFILE.filters}
    for plugin, _ in DEFAULT_PROFILE.scores:
        assert filters.get(plugin.name, plugin) is plugin  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(("arguments", "problem"), [
    ({"NoSuch": {}}, "no such plug-in: NoSuch"),
    ({"NodePorts": {"x": 1}}, "NodePorts takes no arguments, but was given x"),
    ({"NodeAffinity": {"affinity": {}}}, "NodeAffinity has no argument affinity; it takes addedAffinity"),
    ({"NodeResourcesFit": {"scoringStrategy": {"type": "Best"}}}, "Best is not a scoring strategy"),
    ({"NodeResourcesFit": {"scoringStrategy": {"type": "RequestedToCapacityRatio"}}}, "needs a shape"),
    ({"NodeResourcesFit": {"scoringStrategy": {"resources": [{"named": "cpu"}]}}}, "resources has no argument named"),
    ({"PodTopologySpread": {"defaultingType": "Mine"}}, "Mine is not a defaulting type"),
    ({"VolumeBinding": {"shape": [{"utilization": 0, "score": 0}]}}, "only with feature gate StorageCapacityScoring"),
])
def test_arguments_that_are_not_understood_are_errors(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        default_profile(arguments)


def test_gates_without_effect_are_errors() -> None:
    with pytest.raises(ValueError, match="without effect: GangScheduling"):
        default_profile(None, {"GangScheduling": True})
