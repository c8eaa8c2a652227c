from __future__ import annotations

from typing import Any

import pytest
from cluster_bench import Cluster, running_on, status_of

from simulator.api.core import Node, Pod, Taint, Toleration
from simulator.api.meta import Key, evolve
from simulator.controllers.taint_eviction import TaintEviction
from simulator.controllers.taints import stands_for
from simulator.flows import Delete
from simulator.testing.builders import make_node
from simulator.units import MINUTE, SECOND

WEB = Key("Pod", "default", "web-0")
DEDICATED = Taint(key="dedicated", value="x", effect="NoExecute")


def tolerated(seconds: int | None = None, key: str = "dedicated") -> dict[str, Any]:
    toleration = {"key": key, "operator": "Exists", "effect": "NoExecute"}
    return {"tolerations": [toleration | ({} if seconds is None else {"tolerationSeconds": seconds})]}


def cluster_with(**fields: Any) -> Cluster:
    cluster = Cluster(TaintEviction(), objects=[make_node("n1"), make_node("n2"), running_on("n1", **fields)])
    cluster.run(SECOND)
    return cluster


def taint(cluster: Cluster, *taints: Taint) -> None:
    node = cluster.node("n1")
    cluster.put(evolve(node, spec=evolve(node.spec, taints=taints)))
    cluster.run(100_000)


def is_going(cluster: Cluster, name: str = "web-0") -> bool:
    pod = cluster.pod(name)
    return pod is None or pod.metadata.is_terminating


@pytest.mark.rule("WL-124")
def test_a_pod_that_does_not_tolerate_a_taint_is_deleted_at_once() -> None:
    cluster = cluster_with()
    taint(cluster, DEDICATED)
    pod = cluster.pod("web-0")
    assert pod is not None and pod.metadata.deletion_grace_period_seconds == 30
    target = pod.condition("DisruptionTarget")
    assert target is not None and (target.status, target.reason, target.message) == (
        "True", "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
    assert cluster.events() == [("TaintManagerEviction", "Marking for deletion Pod default/web-0")]


@pytest.mark.rule("WL-124")
def test_a_no_schedule_taint_drives_nobody_away() -> None:
    cluster = cluster_with()
    taint(cluster, Taint(key="dedicated", effect="NoSchedule"))
    cluster.run(MINUTE)
    assert not is_going(cluster)


@pytest.mark.rule("WL-124")
def test_a_pod_that_tolerates_a_taint_for_some_time_stays_so_long() -> None:
    cluster = cluster_with(**tolerated(60))
    taint(cluster, DEDICATED)
    cluster.run(59 * SECOND)
    assert not is_going(cluster)
    cluster.run(SECOND)
    assert is_going(cluster)


@pytest.mark.rule("WL-124")
def test_a_pod_that_tolerates_a_taint_for_ever_stays() -> None:
    cluster = cluster_with(**tolerated())
    taint(cluster, DEDICATED)
    cluster.run(60 * MINUTE)
    assert not is_going(cluster)


@pytest.mark.rule("WL-124")
@pytest.mark.parametrize(
    ("seconds", "expected"), [((60, 30), 30), ((60, None), 60), ((None, None), None), ((60, 0), 0), ((60, -5), 0)]
)
def test_of_several_taints_the_least_patience_counts(seconds: tuple[int | None, ...], expected: int | None) -> None:
    taints = [Taint(key=f"t{number}", effect="NoExecute") for number in range(len(seconds))]
    tolerations = tuple(
        Toleration(key=f"t{number}", operator="Exists", toleration_seconds=patience)
        for number, patience in enumerate(seconds)
    )
    pod = running_on("n1")
    pod = evolve(pod, spec=evolve(pod.spec, tolerations=tolerations))
    assert stands_for(pod, taints) == (expected * SECOND if expected is not None else None)


@pytest.mark.rule("WL-124")
def test_a_running_timer_is_not_moved_by_further_taints() -> None:
    both = [tolerated(60)["tolerations"][0], tolerated(10, "other")["tolerations"][0]]
    cluster = cluster_with(tolerations=both)
    taint(cluster, DEDICATED)
    cluster.run(20 * SECOND)
    taint(cluster, DEDICATED, Taint(key="other", effect="NoExecute"))
    cluster.run(30 * SECOND)
    assert not is_going(cluster)
    cluster.run(10 * SECOND)
    assert is_going(cluster)


@pytest.mark.rule("WL-124")
def test_a_taint_that_goes_cancels_the_timer_and_a_new_one_starts_afresh() -> None:
    cluster = cluster_with(**tolerated(60))
    taint(cluster, DEDICATED)
    cluster.run(30 * SECOND)
    taint(cluster)
    assert cluster.events() == [("TaintManagerEviction", "Cancelling deletion of Pod default/web-0")]
    taint(cluster, DEDICATED)
    cluster.run(59 * SECOND)
    assert not is_going(cluster)
    cluster.run(2 * SECOND)
    assert is_going(cluster)


@pytest.mark.rule("WL-124")
def test_a_taint_that_is_not_tolerated_at_all_overrides_a_running_timer() -> None:
    cluster = cluster_with(**tolerated(600))
    taint(cluster, DEDICATED)
    taint(cluster, DEDICATED, Taint(key="other", effect="NoExecute"))
    assert is_going(cluster)


@pytest.mark.rule("WL-124")
def test_a_restarted_controller_starts_the_timer_anew() -> None:
    cluster = cluster_with(**tolerated(60))
    taint(cluster, DEDICATED)
    cluster.run(50 * SECOND)
    cluster.world.restart("taint-eviction-controller")
    cluster.run(50 * SECOND)
    assert not is_going(cluster)
    cluster.run(15 * SECOND)
    assert is_going(cluster)


@pytest.mark.rule("WL-124")
def test_a_pod_that_is_bound_to_a_tainted_node_is_looked_at_too() -> None:
    cluster = cluster_with()
    taint(cluster, DEDICATED)
    cluster.put(running_on("n1", "web-1"))
    cluster.run(SECOND)
    assert is_going(cluster, "web-1")


@pytest.mark.rule("WL-132")
def test_a_node_that_is_deleted_does_not_cancel_a_timer() -> None:
    cluster = cluster_with(**tolerated(60))
    taint(cluster, DEDICATED)
    cluster.write(Delete(Key("Node", "", "n1")))
    cluster.run(61 * SECOND)
    assert is_going(cluster)


def test_a_pod_that_goes_by_itself_is_no_longer_marked_for_deletion() -> None:
    cluster = cluster_with(**tolerated(60))
    taint(cluster, DEDICATED)
    cluster.delete(WEB, grace=0)
    cluster.run(SECOND)
    assert cluster.events() == [("TaintManagerEviction", "Cancelling deletion of Pod default/web-0")]
    cluster.put(running_on("n2"))
    cluster.run(2 * MINUTE)
    assert not is_going(cluster)


def test_an_evicted_pods_successor_is_judged_anew() -> None:
    cluster = cluster_with()
    taint(cluster, DEDICATED)
    cluster.delete(WEB, grace=0)
    cluster.put(running_on("n1"))
    cluster.run(SECOND)
    assert is_going(cluster)
    assert len(cluster.events()) == 2
    node = cluster.node("n1")
    pod = cluster.pod("web-0")
    assert isinstance(node, Node) and isinstance(pod, Pod) and status_of(pod, "DisruptionTarget") == "True"
