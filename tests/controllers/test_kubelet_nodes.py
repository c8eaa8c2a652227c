from __future__ import annotations

import pytest
from cluster_bench import Cluster, bound_pair, pod_on, running_on, status_of

from simulator.api.core import Condition, Node, Pod
from simulator.api.meta import Key, evolve, with_meta
from simulator.api.policy import Lease
from simulator.controllers.kubelet import BreakNode, Kubelet, MendNode, StartNode, StopNode, WriteData
from simulator.testing.builders import make_node
from simulator.units import MINUTE, SECOND

WEB = Key("Pod", "default", "web-0")


def cluster_with_pod() -> Cluster:
    cluster = Cluster(Kubelet(), objects=[make_node("n1"), make_node("n2")])
    cluster.create(pod_on("n1"))
    cluster.run(MINUTE)
    return cluster


def web(cluster: Cluster) -> Pod:
    pod = cluster.pod("web-0")
    assert pod is not None
    return pod


def lease(cluster: Cluster) -> Lease | None:
    found = cluster.find(Key("Lease", "kube-node-lease", "n1"))
    return found if isinstance(found, Lease) else None


def marked_not_ready(pod: Pod, now: int) -> Pod:
    """The pod as the node controller leaves it on a node that has fallen silent."""
    conditions = tuple(
        evolve(one, status="False", last_transition_time=now) if one.type == "Ready" else one
        for one in pod.status.conditions
    )
    return evolve(pod, status=evolve(pod.status, conditions=conditions))


@pytest.mark.rule("WL-114")
def test_healthy_nodes_write_no_lease_and_nothing_else() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.run(60 * MINUTE)
    assert len(cluster.history) == 1


@pytest.mark.rule("WL-114")
def test_a_stopped_kubelet_leaves_a_lease_that_says_when_it_was_renewed_last() -> None:
    cluster = cluster_with_pod()
    stopped = cluster.now
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(MINUTE)
    found = lease(cluster)
    assert found is not None
    assert found.spec.renew_time == stopped, "by default it fails right after a renewal"
    cluster.act("kubelet", StartNode("n1"))
    cluster.run(SECOND)
    found = lease(cluster)
    assert found is not None and found.spec.renew_time is None, "renewed all the time again"


def test_a_node_that_is_back_before_its_next_renewal_writes_no_lease() -> None:
    cluster = cluster_with_pod()
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(5 * SECOND)
    cluster.act("kubelet", StartNode("n1"))
    cluster.run(MINUTE)
    assert lease(cluster) is None


@pytest.mark.rule("WL-127")
def test_on_a_stopped_node_no_pod_starts_and_none_is_removed() -> None:
    cluster = cluster_with_pod()
    cluster.act("kubelet", StopNode("n1"))
    cluster.create(pod_on("n1", "web-1"))
    cluster.delete(WEB)
    cluster.run(60 * MINUTE)
    assert web(cluster).metadata.is_terminating and web(cluster).status.phase == "Running"
    assert cluster.phases("web-1")[-1][1] == "Pending"


@pytest.mark.rule("WL-129")
def test_a_returning_kubelet_sends_its_old_statuses_again_within_ten_seconds() -> None:
    cluster = cluster_with_pod()
    before = web(cluster).condition("Ready")
    cluster.act("kubelet", StopNode("n1", is_dead=False))
    cluster.run(MINUTE)
    cluster.put(marked_not_ready(web(cluster), cluster.now))
    cluster.run(MINUTE)
    assert not web(cluster).is_ready
    cluster.act("kubelet", StartNode("n1"))
    assert cluster.run_until(lambda: web(cluster).is_ready) <= 10 * SECOND
    assert web(cluster).condition("Ready") == before
    assert web(cluster).status.container_statuses[0].restart_count == 0


@pytest.mark.rule("WL-129")
def test_after_a_reboot_containers_are_started_in_place_and_ready_is_new() -> None:
    cluster = cluster_with_pod()
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(MINUTE)
    cluster.put(marked_not_ready(web(cluster), cluster.now))
    uid, back = web(cluster).metadata.uid, cluster.now
    cluster.act("kubelet", StartNode("n1", is_rebooted=True))
    cluster.run(MINUTE)
    ready = web(cluster).condition("Ready")
    assert web(cluster).metadata.uid == uid
    assert ready is not None and ready.status == "True" and (ready.last_transition_time or 0) > back
    assert web(cluster).status.container_statuses[0].restart_count == 1
    assert cluster.events("Rebooted")


@pytest.mark.rule("WL-129")
def test_a_pod_deleted_meanwhile_is_ended_and_removed_by_the_returning_kubelet() -> None:
    cluster = cluster_with_pod()
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(SECOND)
    cluster.delete(WEB)
    cluster.run(MINUTE)
    cluster.act("kubelet", StartNode("n1", is_rebooted=True))
    cluster.run(5 * SECOND)
    assert cluster.pod("web-0") is None


@pytest.mark.rule("WL-130")
def test_a_returning_kubelet_kills_what_it_no_longer_finds_in_the_api() -> None:
    cluster = cluster_with_pod()
    cluster.act("kubelet", StopNode("n1", is_dead=False))
    cluster.run(SECOND)
    cluster.delete(WEB, grace=0)
    cluster.run(MINUTE)
    assert len(cluster.world.runtimes["kubelet"].memory.leftovers) == 1
    cluster.act("kubelet", StartNode("n1"))
    assert not cluster.world.runtimes["kubelet"].memory.leftovers
    assert cluster.notes("node-started")[0]["killed"] == ["Pod/default/web-0"]


@pytest.mark.rule("WL-130")
def test_a_dead_machine_leaves_nothing_running() -> None:
    cluster = cluster_with_pod()
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(SECOND)
    cluster.delete(WEB, grace=0)
    cluster.run(SECOND)
    assert not cluster.world.runtimes["kubelet"].memory.leftovers
    assert not cluster.notes("leftover")


def test_a_returning_kubelet_says_that_its_node_is_ready() -> None:
    cluster = cluster_with_pod()
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(SECOND)
    node = cluster.node("n1")
    unknown = tuple(evolve(one, status="Unknown") for one in node.status.conditions)
    cluster.put(evolve(node, status=evolve(node.status, conditions=unknown)))
    cluster.run(MINUTE)
    cluster.act("kubelet", StartNode("n1"))
    cluster.run(SECOND)
    ready = cluster.node("n1").condition("Ready")
    assert ready is not None and (ready.status, ready.reason) == ("True", "KubeletReady")
    assert status_of(cluster.node("n1"), "MemoryPressure") == "False"
    assert ("NodeReady", "Node n1 status is now: NodeReady") in cluster.events(about="n1")


@pytest.mark.rule("WL-117")
def test_a_live_kubelet_can_say_that_its_node_is_not_ready_and_starts_nothing_meanwhile() -> None:
    cluster = cluster_with_pod()
    cluster.act("kubelet", BreakNode("n1"))
    cluster.run(SECOND)
    ready = cluster.node("n1").condition("Ready")
    assert ready is not None and (ready.status, ready.reason) == ("False", "KubeletNotReady")
    cluster.create(pod_on("n1", "web-1"))
    cluster.run(MINUTE)
    assert cluster.phases("web-1")[-1][1] == "Pending"
    cluster.act("kubelet", MendNode("n1"))
    cluster.run(MINUTE)
    assert cluster.phases("web-1")[-1][1:] == ("Running", True)
    assert status_of(cluster.node("n1"), "Ready") == "True"


@pytest.mark.rule("WL-115")
def test_a_node_without_any_status_is_registered_by_its_kubelet() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    bare = make_node("n3")
    cluster.put(evolve(bare, status=evolve(bare.status, conditions=())))
    cluster.run(MINUTE)
    assert status_of(cluster.node("n3"), "Ready") == "True"


@pytest.mark.rule("WL-137")
def test_the_kubelet_says_when_its_node_is_cordoned() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.run(SECOND)
    node: Node = cluster.node("n1")
    cluster.put(evolve(node, spec=evolve(node.spec, unschedulable=True)))
    cluster.run(SECOND)
    assert cluster.events("NodeNotSchedulable") == [
        ("NodeNotSchedulable", "Node n1 status is now: NodeNotSchedulable")]


def test_pods_on_a_node_that_does_not_exist_are_nobodys() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.create(pod_on("ghost"))
    cluster.run(10 * MINUTE)
    assert [phase for _, phase, _ in cluster.phases("web-0")] == ["Pending"]


@pytest.mark.rule("WL-160")
def test_restarted_kubelets_go_on_with_the_containers_and_disks_that_they_find() -> None:
    kubelet = Kubelet()
    cluster = Cluster(kubelet, objects=[make_node("n1"), *bound_pair("data", node="n1")])
    cluster.create(pod_on("n1", claims=("data",)))
    cluster.create(pod_on("n1", "web-1"))
    cluster.run(MINUTE)
    cluster.act("kubelet", WriteData(WEB, "data", "answer", "42"))
    cluster.create(pod_on("n1", "web-2"))
    cluster.delete(Key("Pod", "default", "web-1"))
    cluster.run(SECOND // 2)
    memory = cluster.world.runtimes["kubelet"].memory
    kubelet.new_memory = lambda: kubelet.restarted(memory)  # type: ignore[method-assign]
    before = web(cluster)
    cluster.world.restart("kubelet")
    cluster.run(MINUTE)
    assert web(cluster) == before
    assert cluster.phases("web-2")[-1][1:] == ("Running", True), "what was being started is started"
    assert cluster.pod("web-1") is None, "what was being stopped is stopped"
    assert kubelet.read(WEB, "data", "answer", cluster.world.runtimes["kubelet"].view) == "42"


def found_node(status: str) -> Node:
    node = make_node("n1")
    conditions = (Condition(type="Ready", status=status, message="network plugin is not ready"),)
    return evolve(node, status=evolve(node.status, conditions=conditions))


@pytest.mark.rule("WL-127")
def test_a_node_that_is_found_unknown_has_a_dead_kubelet_until_it_is_started() -> None:
    pod = running_on("n1")
    going = with_meta(pod, deletion_timestamp=0, deletion_grace_period_seconds=30)
    cluster = Cluster(Kubelet(), objects=[found_node("Unknown"), going])
    cluster.run(60 * MINUTE)
    assert cluster.phases("web-0") == [(0, "Running", True)]
    cluster.act("kubelet", StartNode("n1", is_rebooted=True))
    cluster.run(MINUTE)
    assert cluster.pod("web-0") is None
    assert status_of(cluster.node("n1"), "Ready") == "True"


def test_a_node_that_is_found_not_ready_starts_no_pod_until_it_recovers() -> None:
    cluster = Cluster(Kubelet(), objects=[found_node("False")])
    cluster.create(pod_on("n1"))
    cluster.run(10 * MINUTE)
    assert not web(cluster).is_ready
    assert ("FailedCreatePodSandBox", "Failed to create pod sandbox: network plugin is not ready") in cluster.events()
    cluster.act("kubelet", StartNode("n1"))
    cluster.run(MINUTE)
    assert web(cluster).is_ready


def test_a_pod_that_was_found_running_ends_like_any_other() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1"), running_on("n1")])
    cluster.run(MINUTE)
    cluster.delete(WEB)
    cluster.run(MINUTE)
    assert [phase for _, phase, _ in cluster.phases("web-0")] == ["Running", "Succeeded", "gone"]
