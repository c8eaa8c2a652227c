"""Drawn clusters can be read: they shrink to little, print without defaults, and are what they print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from simulator.simulation import run
from simulator.testing import strategies
from simulator.testing.strategies import SmallCluster, SmallNode, SmallSet, SmallVolume, small_clusters

SEARCH = settings(max_examples=2000, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def simplest(condition: Callable[[SmallCluster], bool], **options: bool | int) -> SmallCluster:
    return find(small_clusters(**options), condition, settings=SEARCH)  # type: ignore[arg-type]


def test_the_simplest_cluster_is_one_machine_and_one_pod_and_nothing_done() -> None:
    assert simplest(lambda cluster: True) == SmallCluster()
    assert repr(SmallCluster()) == "SmallCluster()"


def test_a_cluster_prints_what_it_takes_to_build_it() -> None:
    cluster = simplest(lambda each: len(each.steps) > 1 and any(node.volumes for node in each.nodes))
    rebuilt = eval(repr(cluster), vars(strategies))
    assert rebuilt == cluster
    assert len(repr(cluster)) < 300


def test_the_devil_is_found_by_itself_and_shrinks_to_two_pods_and_one_volume_too_many() -> None:
    """Three volumes on two machines are the least that Immediate binding can get wrong and waiting gets right."""

    def is_the_devil(cluster: SmallCluster) -> bool:
        if len(cluster.sets) > 1 or cluster.binding != "Immediate" or not cluster.sets[0].apart:
            return False
        immediate = run(cluster.scenario(), keep_log=False).verdict
        waits = {"binding": "WaitForFirstConsumer"}
        fields = {name: getattr(cluster, name) for name in cluster.__struct_fields__} | waits
        return immediate == "stuck" and run(SmallCluster(**fields).scenario(), keep_log=False).verdict == "converged"

    found = simplest(is_the_devil, odd=False, provisioned=False, max_steps=0)
    assert found.sets == (SmallSet(replicas=2, apart=True),)
    assert sorted(len(node.volumes) for node in found.nodes) == [1, 2]


@given(cluster=small_clusters())
def test_a_scenario_is_the_same_each_time_it_is_made(cluster: SmallCluster) -> None:
    first, second = cluster.scenario(), cluster.scenario()
    assert [(item.obj.key, item.raw) for item in first.initial.objects] == [
        (item.obj.key, item.raw) for item in second.initial.objects]
    assert len(first.timeline) == len(cluster.sets) + len(cluster.steps)


def test_the_draw_covers_modes_actions_and_verdicts() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=400)
    @given(cluster=small_clusters(), seed=st.just(0))
    def look(cluster: SmallCluster, seed: int) -> None:
        seen[cluster.binding] += 1
        seen.update({step.action for step in cluster.steps})
        seen[run(cluster.scenario(), seed=seed, keep_log=False).verdict] += 1

    look()
    actions = {"scale", "delete", "apply", "patch", "cordon", "uncordon", "drain", "fail", "recover", "restart", "fail_call"}
    least = {"Immediate", "WaitForFirstConsumer", "", "converged", "stuck"} | actions - {"patch"} | {"update"}
    assert {what: seen[what] for what in least if seen[what] < 5} == {}


@pytest.mark.parametrize("round_robin", [False, True])
def test_volumes_are_created_machine_by_machine_or_one_for_each_in_turn(round_robin: bool) -> None:
    nodes = (SmallNode(volumes=(SmallVolume(), SmallVolume())),) * 2
    names = [each["metadata"]["name"] for each in SmallCluster(nodes=nodes, round_robin=round_robin).objects()]
    volumes = [name for name in names if name.startswith("pv-")]
    by_node = ["pv-node1-1", "pv-node1-2", "pv-node2-1", "pv-node2-2"]
    assert volumes == (["pv-node1-1", "pv-node2-1", "pv-node1-2", "pv-node2-2"] if round_robin else by_node)
