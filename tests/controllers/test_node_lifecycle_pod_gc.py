from __future__ import annotations

import pytest
from cluster_bench import Cluster, pod_on, running_on

from simulator.api.core import Condition, Taint
from simulator.api.meta import Key, evolve, with_meta
from simulator.controllers.pod_gc import PodGC
from simulator.flows import Delete
from simulator.latency import constant
from simulator.testing.builders import make_node, make_pod
from simulator.units import MINUTE, SECOND

WEB = Key("Pod", "default", "web-0")
NODE = Key("Node", "", "n1")


@pytest.mark.rule("WL-132")
@pytest.mark.parametrize("phase", [1, 7, 20])
def test_pods_of_a_deleted_node_fail_and_go_after_forty_to_eighty_seconds(phase: int) -> None:
    cluster = Cluster(PodGC(), objects=[make_node("n1"), make_node("n2"), running_on("n1"), running_on("n2", "web-1")],
                      latencies={"pod-gc-phase": constant(phase * SECOND)})
    cluster.run(SECOND)
    cluster.write(Delete(NODE))
    took = cluster.run_until(lambda: cluster.pod("web-0") is None)
    assert 40 * SECOND <= took <= 80 * SECOND + SECOND // 10
    failed = next(obj for _, key, obj in cluster.history if key == WEB and obj and obj.status.phase == "Failed")  # type: ignore[attr-defined]
    target = failed.condition("DisruptionTarget")  # type: ignore[attr-defined]
    assert (target.status, target.reason, target.message) == (
        "True", "DeletionByPodGC", "PodGC: node no longer exists")
    cluster.run(5 * MINUTE)
    assert cluster.pod("web-1") is not None


@pytest.mark.rule("WL-132")
def test_a_node_that_comes_back_in_time_keeps_its_pods() -> None:
    cluster = Cluster(PodGC(), objects=[make_node("n1"), running_on("n1")])
    cluster.run(SECOND)
    cluster.write(Delete(NODE))
    cluster.run(35 * SECOND)
    cluster.put(make_node("n1"))
    cluster.run(10 * MINUTE)
    assert cluster.pod("web-0") is not None
    cluster.write(Delete(NODE))
    cluster.run(35 * SECOND)
    assert cluster.pod("web-0") is not None, "a new absence is a new quarantine"


@pytest.mark.rule("WL-132")
def test_a_pod_bound_to_a_node_that_never_was_goes_too() -> None:
    cluster = Cluster(PodGC(), objects=[make_node("n1")])
    cluster.create(pod_on("ghost"))
    cluster.run(2 * MINUTE)
    assert cluster.pod("web-0") is None


@pytest.mark.rule("WL-131")
@pytest.mark.parametrize(("ready", "terminating", "goes"), [
    ("Unknown", True, True), ("False", True, True), ("True", True, False), ("Unknown", False, False)])
def test_out_of_service_removes_terminating_pods_of_nodes_that_are_not_ready(
    ready: str, terminating: bool, goes: bool
) -> None:
    node = make_node("n1")
    node = evolve(node, status=evolve(node.status, conditions=(Condition(type="Ready", status=ready),)))
    cluster = Cluster(PodGC(), objects=[node, running_on("n1")])
    cluster.run(SECOND)
    if terminating:
        cluster.delete(WEB)
    node = cluster.node("n1")
    given_up = Taint(key="node.kubernetes.io/out-of-service", value="nodeshutdown", effect="NoSchedule")
    cluster.put(evolve(node, spec=evolve(node.spec, taints=(given_up,))))
    cluster.run(21 * SECOND)
    assert (cluster.pod("web-0") is None) == goes


@pytest.mark.rule("WL-131")
def test_a_pod_that_becomes_terminating_on_a_given_up_node_goes_with_a_later_pass() -> None:
    node = make_node("n1", taints=[{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}])
    node = evolve(node, status=evolve(node.status, conditions=(Condition(type="Ready", status="Unknown"),)))
    cluster = Cluster(PodGC(), objects=[node, running_on("n1")])
    cluster.run(5 * MINUTE)
    cluster.delete(WEB)
    cluster.run(21 * SECOND)
    assert cluster.pod("web-0") is None
    failed = [obj for _, key, obj in cluster.history if key == WEB and obj is not None]
    assert failed[-1].condition("DisruptionTarget") is None, "it says why only if the node is gone"  # type: ignore[attr-defined]


@pytest.mark.rule("WL-134")
def test_a_terminating_pod_that_was_never_scheduled_goes() -> None:
    held = with_meta(make_pod("web-0"), deletion_timestamp=0)
    cluster = Cluster(PodGC(), objects=[make_node("n1"), held])
    cluster.run(21 * SECOND)
    assert cluster.pod("web-0") is None


@pytest.mark.rule("WL-134")
def test_too_many_ended_pods_are_removed_evicted_ones_first_then_the_oldest() -> None:
    cluster = Cluster(PodGC(threshold=2), objects=[make_node("n1")])
    ends = [("Succeeded", ""), ("Failed", ""), ("Failed", "Evicted"), ("Failed", "")]
    for number, (phase, reason) in enumerate(ends):
        pod = with_meta(pod_on("n1", f"p{number}"), creation_timestamp=number)
        cluster.put(evolve(pod, status=evolve(pod.status, phase=phase, reason=reason)))
    cluster.run(MINUTE)
    assert [number for number in range(4) if cluster.pod(f"p{number}") is not None] == [1, 3]


def test_nothing_to_remove_costs_nothing() -> None:
    cluster = Cluster(PodGC(), objects=[make_node("n1"), running_on("n1")])
    cluster.run(60 * MINUTE)
    assert not cluster.world.runtimes["pod-garbage-collector"].queues["passes"].waiting
    assert cluster.world.runtimes["pod-garbage-collector"].memory.grid is None
