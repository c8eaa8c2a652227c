"""Drawn clusters can be read: they shrink to little, print without defaults, and are what they print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, find, given, settings

from simulator.simulation import run
from simulator.testing import strategies
from simulator.testing.strategies import SmallCluster, SmallNode, SmallVolume, small_clusters

SEARCH = settings(max_examples=30, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def simplest(condition: Callable[[SmallCluster], bool]) -> SmallCluster:
    return find(small_clusters(), condition, settings=SEARCH)


def test_the_simplest_cluster_is_one_machine_and_one_pod_and_nothing_done() -> None:
    assert simplest(lambda cluster: True) == SmallCluster()
    assert repr(SmallCluster()) == "SmallCluster()"


def test_a_cluster_prints_what_it_takes_to_build_it() -> None:
    cluster = simplest(lambda each: len(each.steps) > 1 and any(node.volumes for node in each.nodes))
    rebuilt = eval(repr(cluster), vars(strategies))
    assert rebuilt == cluster
    assert len(repr(cluster)) < 300


@given(cluster=small_clusters())
def test_a_scenario_is_the_same_each_time_it_is_made(cluster: SmallCluster) -> None:
    first, second = cluster.scenario(), cluster.scenario()
    assert [(item.obj.key, item.raw) for item in first.initial.objects] == [
        (item.obj.key, item.raw) for item in second.initial.objects]
    assert len(first.timeline) == len(cluster.sets) + len(cluster.steps)


def test_the_draw_covers_modes_actions_and_verdicts() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=300)
    @given(cluster=small_clusters())
    def look(cluster: SmallCluster) -> None:
        seen.update([cluster.binding, *{step.action for step in cluster.steps}])
        if sum(seen[verdict] for verdict in ("converged", "stuck", "no verdict")) < 60:
            seen[run(cluster.scenario(), keep_log=False).verdict] += 1

    look()
    actions = ("scale", "delete", "apply", "update", "cordon", "uncordon", "drain", "fail", "recover", "restart",
               "fail_call")
    ends = {"Immediate": 30, "WaitForFirstConsumer": 30, "": 20, "converged": 10, "stuck": 10}
    least = ends | dict.fromkeys(actions, 2)
    assert {what: seen[what] for what, count in least.items() if seen[what] < count} == {}


@pytest.mark.parametrize("round_robin", [False, True])
def test_volumes_are_created_machine_by_machine_or_one_for_each_in_turn(round_robin: bool) -> None:
    nodes = (SmallNode(volumes=(SmallVolume(), SmallVolume())),) * 2
    names = [each["metadata"]["name"] for each in SmallCluster(nodes=nodes, round_robin=round_robin).objects()]
    volumes = [name for name in names if name.startswith("pv-")]
    by_node = ["pv-node1-1", "pv-node1-2", "pv-node2-1", "pv-node2-2"]
    assert volumes == (["pv-node1-1", "pv-node2-1", "pv-node1-2", "pv-node2-2"] if round_robin else by_node)
