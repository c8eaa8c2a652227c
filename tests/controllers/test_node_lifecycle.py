from __future__ import annotations

from collections.abc import Mapping

import pytest
from cluster_bench import Cluster, running_on, status_of, taints_of

from simulator.api.core import Condition, Node, Pod, Taint
from simulator.api.meta import Key, evolve, with_meta
from simulator.api.policy import Lease, LeaseSpec
from simulator.controllers.kubelet import BreakNode, Kubelet, MendNode, StartNode, StopNode
from simulator.controllers.node_lifecycle import NodeLifecycle
from simulator.controllers.node_zones import (
    FULL,
    NEVER,
    NORMAL,
    PARTIAL,
    ZoneWork,
    changed_limits,
    zone_of,
    zone_states,
)
from simulator.controllers.taint_eviction import TaintEviction
from simulator.flows import Delete
from simulator.latency import Latency, constant
from simulator.testing.builders import make_node
from simulator.units import MILLISECOND, MINUTE, SECOND

UNREACHABLE = ["unreachable:NoSchedule", "unreachable:NoExecute"]
NOT_READY = ["not-ready:NoSchedule", "not-ready:NoExecute"]
TOLERATED = [{"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
             for key in ("not-ready", "unreachable")]


def nodes(*names: str, **labels: str) -> list[Node]:
    return [make_node(name, labels=labels) for name in names]


def cluster_of(*objects: Node | Pod, latencies: Mapping[str, Latency] | None = None) -> Cluster:
    cluster = Cluster(Kubelet(), NodeLifecycle(), TaintEviction(), objects=objects, latencies=latencies)
    cluster.run(MINUTE)
    return cluster


def changed(cluster: Cluster, name: str, kind: str, status: str, after: int) -> int:
    """How long after a moment a node's condition took a value."""
    return cluster.first_time(
        lambda key, obj: isinstance(obj, Node) and key.name == name and status_of(obj, kind) == status
        and cluster_time(obj, kind) >= after
    ) - after


def cluster_time(node: Node, kind: str) -> int:
    condition = node.condition(kind)
    return condition.last_transition_time or 0 if condition is not None else 0


# --- NoSchedule taints ----------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-120")
@pytest.mark.parametrize(
    ("kind", "status", "taint"),
    [
        ("MemoryPressure", "True", "memory-pressure:NoSchedule"),
        ("DiskPressure", "True", "disk-pressure:NoSchedule"),
        ("PIDPressure", "True", "pid-pressure:NoSchedule"),
        ("NetworkUnavailable", "True", "network-unavailable:NoSchedule"),
        ("MemoryPressure", "Unknown", None),
    ],
)
def test_conditions_are_mirrored_in_taints_as_soon_as_they_are_seen(kind: str, status: str, taint: str | None) -> None:
    cluster = cluster_of(*nodes("n1", "n2"))
    node = cluster.node("n1")
    condition = Condition(type=kind, status=status)
    cluster.put(evolve(node, status=evolve(node.status, conditions=(*node.status.conditions, condition))))
    cluster.run(50 * MILLISECOND)
    assert taints_of(cluster.node("n1")) == ([taint] if taint else [])
    node = cluster.node("n1")
    cluster.put(evolve(node, status=evolve(node.status, conditions=node.status.conditions[:-1])))
    cluster.run(50 * MILLISECOND)
    assert taints_of(cluster.node("n1")) == []


@pytest.mark.rule("WL-120")
def test_a_cordoned_node_is_tainted_and_an_uncordoned_one_no_longer() -> None:
    cluster = cluster_of(*nodes("n1", "n2"))
    for unschedulable, expected in ((True, ["unschedulable:NoSchedule"]), (False, [])):
        node = cluster.node("n1")
        cluster.put(evolve(node, spec=evolve(node.spec, unschedulable=unschedulable)))
        cluster.run(50 * MILLISECOND)
        assert taints_of(cluster.node("n1")) == expected


@pytest.mark.rule("WL-120")
def test_the_taint_that_a_new_node_is_born_with_goes_when_it_is_ready_and_other_taints_stay() -> None:
    cluster = cluster_of(*nodes("n1"))
    born = make_node("n2", taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
                                   {"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
    cluster.put(born)
    cluster.run(50 * MILLISECOND)
    assert taints_of(cluster.node("n2")) == ["dedicated:NoSchedule"]


# --- silence --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-115")
def test_a_silent_node_is_unknown_fifty_to_sixty_seconds_after_its_last_renewal() -> None:
    for phase in range(5):
        for renewal in (0, 5, 10):
            cluster = cluster_of(*nodes("n1", "n2", "n3"), latencies={
                "node-monitor-phase": constant(phase * SECOND), "lease-renewal": constant(renewal * SECOND)})
            stopped = cluster.now
            cluster.act("kubelet", StopNode("n1"))
            cluster.run(2 * MINUTE)
            since_renewal = changed(cluster, "n1", "Ready", "Unknown", stopped) + (10 - renewal) * SECOND
            assert 50 * SECOND <= since_renewal <= 60 * SECOND, (phase, renewal)


@pytest.mark.rule("WL-115")
def test_the_unknown_conditions_are_those_that_the_kubelet_posts() -> None:
    cluster = cluster_of(*nodes("n1", "n2", "n3"))
    node = cluster.node("n1")
    cluster.put(evolve(node, status=evolve(node.status, conditions=(
        *node.status.conditions, Condition(type="NetworkUnavailable", status="False")))))
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(2 * MINUTE)
    conditions = {one.type: (one.status, one.reason, one.message) for one in cluster.node("n1").status.conditions}
    assert conditions["Ready"] == ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
    for kind in ("MemoryPressure", "DiskPressure", "PIDPressure"):
        assert conditions[kind][0] == "Unknown"
    assert conditions["NetworkUnavailable"][0] == "False"


@pytest.mark.rule("WL-118")
def test_a_silent_nodes_pods_are_marked_not_ready_and_nothing_else_of_them_changes() -> None:
    cluster = cluster_of(*nodes("n1", "n2", "n3"), running_on("n1", "web-0", tolerations=TOLERATED))
    before = cluster.pod("web-0")
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(2 * MINUTE)
    pod = cluster.pod("web-0")
    assert before is not None and pod is not None
    assert status_of(pod, "Ready") == "False" and status_of(pod, "ContainersReady") == "True"
    ready, was = pod.condition("Ready"), before.condition("Ready")
    assert ready is not None and was is not None and (ready.reason, ready.message) == (was.reason, was.message)
    assert pod.status.phase == "Running"  # WL-119
    assert ("NodeNotReady", "Node n1 status is now: NodeNotReady") in cluster.events(about="n1")
    assert cluster.events(about="web-0") == [("NodeNotReady", "Node is not ready")]


@pytest.mark.rule("WL-118")
def test_a_pod_without_a_ready_condition_is_left_alone() -> None:
    pod = running_on("n1", tolerations=TOLERATED)
    cluster = cluster_of(*nodes("n1", "n2", "n3"), evolve(pod, status=evolve(pod.status, conditions=())))
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(2 * MINUTE)
    found = cluster.pod("web-0")
    assert found is not None and found.status.conditions == ()


@pytest.mark.rule("WL-126")
def test_the_default_timeline_of_a_crash() -> None:
    cluster = cluster_of(*nodes("n1", "n2", "n3"), running_on("n1", tolerations=TOLERATED))
    crash = cluster.now
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(MINUTE)
    assert 50 * SECOND <= changed(cluster, "n1", "Ready", "Unknown", crash) <= 60 * SECOND
    assert taints_of(cluster.node("n1")) == UNREACHABLE
    cluster.run(4 * MINUTE + 49 * SECOND)
    pod = cluster.pod("web-0")
    assert pod is not None and not pod.metadata.is_terminating
    cluster.run(11 * SECOND)
    pod = cluster.pod("web-0")
    assert pod is not None and pod.metadata.is_terminating and pod.metadata.deletion_grace_period_seconds == 30
    cluster.run(24 * 60 * MINUTE)
    pod = cluster.pod("web-0")
    assert pod is not None and pod.metadata.is_terminating, "only its kubelet can say that it has ended"


@pytest.mark.rule("WL-126")
def test_recovery_before_the_deadline_cancels_the_eviction() -> None:
    cluster = cluster_of(*nodes("n1", "n2", "n3"), running_on("n1", tolerations=TOLERATED))
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(5 * MINUTE)
    back = cluster.now
    cluster.act("kubelet", StartNode("n1"))
    cluster.run(20 * MILLISECOND)
    assert status_of(cluster.node("n1"), "Ready") == "True"
    assert taints_of(cluster.node("n1")) == ["unreachable:NoExecute"], "the other taint goes with the next pass"
    cluster.run(5 * SECOND)
    assert taints_of(cluster.node("n1")) == []
    assert cluster.now - back <= 6 * SECOND
    cluster.run(60 * MINUTE)
    pod = cluster.pod("web-0")
    assert pod is not None and not pod.metadata.is_terminating and pod.is_ready
    assert cluster.events("TaintManagerEviction") == [
        ("TaintManagerEviction", "Cancelling deletion of Pod default/web-0")]


@pytest.mark.rule("WL-116")
def test_a_node_that_is_renewed_again_in_time_is_never_unknown() -> None:
    cluster = cluster_of(*nodes("n1", "n2"))
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(45 * SECOND)
    cluster.act("kubelet", StartNode("n1"))
    cluster.run(10 * MINUTE)
    assert not any(isinstance(obj, Node) and status_of(obj, "Ready") == "Unknown" for _, _, obj in cluster.history)


@pytest.mark.rule("WL-115")
def test_a_node_that_never_posts_any_status_is_unknown_after_a_minute() -> None:
    cluster = Cluster(NodeLifecycle(), objects=nodes("n2", "n3"))
    cluster.run(10 * SECOND)
    bare = make_node("n1")
    bare = evolve(with_meta(bare, creation_timestamp=cluster.now), status=evolve(bare.status, conditions=()))
    cluster.put(bare)
    cluster.run(55 * SECOND)
    assert status_of(cluster.node("n1"), "Ready") == ""
    cluster.run(11 * SECOND)
    ready = cluster.node("n1").condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason, ready.message) == (
        "Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")


def test_a_healthy_cluster_has_no_passes() -> None:
    cluster = cluster_of(*nodes("n1", "n2", "n3"), running_on("n1"))
    entries = len(cluster.world.log.entries)
    cluster.run(60 * MINUTE)
    assert len(cluster.world.log.entries) == entries
    assert not any(queue.waiting for runtime in cluster.world.runtimes.values() for queue in runtime.queues.values())


def test_a_cluster_with_a_dead_node_comes_to_rest() -> None:
    cluster = cluster_of(*nodes("n1", "n2", "n3"), running_on("n1", tolerations=TOLERATED))
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(10 * MINUTE)
    assert not any(queue.waiting for runtime in cluster.world.runtimes.values() for queue in runtime.queues.values())


# --- NotReady, posted by a live kubelet -----------------------------------------------------------------------------


@pytest.mark.rule("WL-117")
def test_a_node_that_says_it_is_not_ready_is_acted_on_within_one_pass() -> None:
    cluster = cluster_of(*nodes("n1", "n2", "n3"))
    cluster.act("kubelet", BreakNode("n1"))
    cluster.run(5 * SECOND + 200 * MILLISECOND)
    assert taints_of(cluster.node("n1")) == NOT_READY
    cluster.act("kubelet", MendNode("n1"))
    cluster.run(5 * SECOND + 200 * MILLISECOND)
    assert taints_of(cluster.node("n1")) == []


@pytest.mark.rule("WL-121")
def test_not_ready_is_swapped_for_unreachable_without_waiting_its_turn() -> None:
    cluster = cluster_of(*nodes("n1", "n2", "n3"))
    cluster.act("kubelet", BreakNode("n1"))
    cluster.run(10 * SECOND)
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(2 * MINUTE)
    assert sorted(taints_of(cluster.node("n1"))) == sorted(UNREACHABLE)


# --- zones ----------------------------------------------------------------------------------------------------------


def tainted(cluster: Cluster, names: list[str]) -> list[str]:
    return [name for name in names if any(taint.effect == "NoExecute" for taint in cluster.node(name).spec.taints)]


def taint_times(cluster: Cluster, names: list[str]) -> list[int]:
    return sorted(
        cluster.first_time(lambda key, obj, name=name: key.name == name and isinstance(obj, Node) and any(  # type: ignore[misc]
            taint.effect == "NoExecute" for taint in obj.spec.taints))
        for name in names
    )


@pytest.mark.rule("WL-121")
def test_nodes_of_a_zone_are_tainted_ten_seconds_apart() -> None:
    names = [f"n{number}" for number in range(1, 9)]
    cluster = cluster_of(*nodes(*names))
    for name in names[:3]:
        cluster.act("kubelet", StopNode(name))
    cluster.run(2 * MINUTE)
    first, second, third = taint_times(cluster, names[:3])
    assert abs(second - first - 10 * SECOND) < SECOND and abs(third - second - 10 * SECOND) < SECOND


@pytest.mark.rule("WL-122")
def test_in_a_small_zone_that_is_mostly_down_tainting_stops() -> None:
    names = ["n1", "n2", "n3", "n4"]
    cluster = cluster_of(*nodes(*names))
    for name in names[:3]:
        cluster.act("kubelet", StopNode(name))
    cluster.run(10 * MINUTE)
    assert tainted(cluster, names) == [], "3 dead workers out of 4 evict nobody (WL-123)"
    assert all("unreachable:NoSchedule" in taints_of(cluster.node(name)) for name in names[:3])


@pytest.mark.rule("WL-122")
def test_a_zone_that_is_wholly_down_is_tainted_at_the_normal_rate_while_another_lives() -> None:
    cluster = cluster_of(*nodes("a1", "a2", **{"topology.kubernetes.io/zone": "a"}),
                         *nodes("b1", **{"topology.kubernetes.io/zone": "b"}))
    for name in ("a1", "a2"):
        cluster.act("kubelet", StopNode(name))
    cluster.run(5 * MINUTE)
    assert tainted(cluster, ["a1", "a2"]) == ["a1", "a2"]


@pytest.mark.rule("WL-123")
def test_a_total_outage_evicts_nothing_and_its_end_restarts_all_clocks() -> None:
    names = ["n1", "n2", "n3"]
    pods = [running_on(name, f"web-{number}", tolerations=TOLERATED) for number, name in enumerate(names)]
    cluster = cluster_of(*nodes(*names), *pods)
    for name in names:
        cluster.act("kubelet", StopNode(name))
    cluster.run(60 * MINUTE)
    assert tainted(cluster, names) == []
    assert all((pod := cluster.pod(f"web-{number}")) is not None and not pod.metadata.is_terminating
               for number in range(3))
    cluster.act("kubelet", StartNode("n1"))
    cluster.run(17 * SECOND)
    assert tainted(cluster, names) == ["n2"], "tainting goes on, a node at a time"
    cluster.run(2 * MINUTE)
    assert tainted(cluster, names) == ["n2", "n3"]


@pytest.mark.rule("WL-123")
def test_taints_given_before_an_outage_is_total_are_taken_back() -> None:
    cluster = cluster_of(*nodes("n1", "n2"))
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(2 * MINUTE)
    assert tainted(cluster, ["n1"]) == ["n1"]
    cluster.act("kubelet", StopNode("n2"))
    cluster.run(2 * MINUTE)
    assert tainted(cluster, ["n1", "n2"]) == []


def unready_node(name: str, **labels: str) -> Node:
    node = make_node(name, labels=labels)
    return evolve(node, status=evolve(node.status, conditions=(Condition(type="Ready", status="Unknown"),)))


@pytest.mark.rule("WL-122")
@pytest.mark.parametrize(
    ("ready", "unready", "state"),
    [(1, 0, NORMAL), (0, 1, FULL), (1, 2, NORMAL), (2, 3, PARTIAL), (3, 3, NORMAL), (9, 11, PARTIAL), (10, 11, NORMAL)],
)
def test_the_state_of_a_zone(ready: int, unready: int, state: str) -> None:
    some = [make_node(f"r{number}") for number in range(ready)]
    some += [unready_node(f"u{number}") for number in range(unready)]
    assert zone_states(some) == {"": (state, ready + unready)}


@pytest.mark.rule("WL-122")
def test_the_rate_of_a_zone_follows_its_state_and_size() -> None:
    def interval(state: str, size: int) -> int:
        limits = changed_limits({}, {"": (state, size)}, 0, is_outage=False, was_outage=False)
        return limits[""].interval
    assert interval(NORMAL, 3) == 10 * SECOND
    assert interval(PARTIAL, 50) == NEVER
    assert interval(PARTIAL, 51) == 100 * SECOND
    assert interval(FULL, 3) == 10 * SECOND


def test_a_zone_that_starts_again_waits_for_a_new_token() -> None:
    zones = {"": ZoneWork(PARTIAL, NEVER, 0)}
    limits = changed_limits(zones, {"": (NORMAL, 4)}, 7 * SECOND, is_outage=False, was_outage=False)
    assert limits[""].next_at == 17 * SECOND


def test_a_zone_is_region_and_zone() -> None:
    both = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "a"}
    assert [zone_of(make_node("n", labels=labels)) for labels in ({}, both)] == ["", "eu:a"]


# --- nodes that come and go -----------------------------------------------------------------------------------------


def test_nodes_that_come_and_go_are_announced() -> None:
    cluster = cluster_of(*nodes("n1"))
    cluster.create(make_node("n2"))
    cluster.run(SECOND)
    cluster.write(Delete(Key("Node", "", "n2")))
    cluster.run(SECOND)
    assert cluster.events(about="n2")[0] == ("RegisteredNode", "Node n2 event: Registered Node n2 in Controller")
    assert cluster.events(about="n2")[-1] == ("RemovingNode", "Node n2 event: Removing Node n2 from Controller")
    assert not cluster.events(about="n1"), "what is there from the start is not news"


def test_a_restarted_controller_finds_a_silent_node_again() -> None:
    cluster = cluster_of(*nodes("n1", "n2"))
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(30 * SECOND)
    cluster.world.restart("node-lifecycle-controller")
    cluster.run(5 * MINUTE)
    assert taints_of(cluster.node("n1")) == UNREACHABLE


def test_a_lease_with_a_time_of_renewal_means_silence_since_then() -> None:
    cluster = Cluster(NodeLifecycle(), objects=nodes("n1", "n2"))
    lease = Lease(spec=LeaseSpec(holder_identity="n1", renew_time=0))
    cluster.put(with_meta(lease, name="n1", namespace="kube-node-lease"))
    cluster.run(2 * MINUTE)
    assert status_of(cluster.node("n1"), "Ready") == "Unknown"


def test_a_taint_that_somebody_took_off_a_dead_node_comes_back() -> None:
    cluster = cluster_of(*nodes("n1", "n2"))
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(2 * MINUTE)
    node = cluster.node("n1")
    kept = tuple(taint for taint in node.spec.taints if taint.effect != "NoExecute")
    assert all(isinstance(taint, Taint) for taint in kept)
    cluster.put(evolve(node, spec=evolve(node.spec, taints=kept)))
    cluster.run(MINUTE)
    assert taints_of(cluster.node("n1")) == UNREACHABLE
