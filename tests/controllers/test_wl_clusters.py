"""Rules of the workload lifecycle that only show where several controllers work together: the whole control plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulator.api.apps import StatefulSet
from simulator.api.core import (
    Namespace,
    NamespaceSpec,
    NamespaceStatus,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Taint,
)
from simulator.api.meta import Key, Object, decode, evolve, with_meta
from simulator.api.policy import PodDisruptionBudget
from simulator.assembly import LATENCIES, control_plane
from simulator.cluster.faults import Calls
from simulator.controllers.kubelet import StartNode, StopNode
from simulator.flows import Patch
from simulator.report.pod_columns import pod_cells
from simulator.scenario.kubectl import Kubectl
from simulator.testing.builders import make_class, make_node, make_pod, make_set, make_volume
from simulator.units import MINUTE, SECOND
from tests.controllers.cluster_bench import Cluster, status_of

BY_SCALING = {"whenDeleted": "Retain", "whenScaled": "Delete"}
BY_DELETION = {"whenDeleted": "Delete", "whenScaled": "Retain"}
NODES = ("n1", "n2", "n3")


def cluster_with(*objects: Object) -> Cluster:
    return Cluster(*control_plane(), Kubectl(), objects=objects, latencies=LATENCIES)


def lab() -> list[Object]:
    """Three machines with one local volume each."""
    volumes = [make_volume(f"pv-{name}", node=name, storage_class="local") for name in NODES]
    return [*(make_node(name) for name in NODES), make_class("local", mode="WaitForFirstConsumer"), *volumes]


def running(replicas: int = 2, policy: dict[str, str] | None = None, **spec: Any) -> Cluster:
    """A set web in the lab, all of whose pods are Ready."""
    if policy is not None:
        spec["persistentVolumeClaimRetentionPolicy"] = policy
    cluster = cluster_with(*lab())
    cluster.create(make_set("web", replicas=replicas, storage_class="local", **spec))
    cluster.run_until(lambda: all(is_ready(cluster, f"web-{n}") for n in range(replicas)), within=MINUTE)
    cluster.run(SECOND)
    return cluster


def is_ready(cluster: Cluster, name: str) -> bool:
    pod = cluster.pod(name)
    return pod is not None and pod.is_ready


def is_there(cluster: Cluster, kind: type[Object], name: str) -> bool:
    return cluster.find(Key(kind.KIND, "default" if kind.NAMESPACED else "", name)) is not None


def claims(cluster: Cluster) -> list[str]:
    return sorted(claim.name for claim in cluster.world.store.list(PersistentVolumeClaim))


def scale(cluster: Cluster, replicas: int) -> None:
    cluster.write(Patch(Key("StatefulSet", "default", "web"), with_replicas, (replicas,)))


def with_replicas(sts: StatefulSet, replicas: int) -> StatefulSet:
    return evolve(sts, spec=evolve(sts.spec, replicas=replicas))


def node_of(cluster: Cluster, pod: str) -> str:
    found = cluster.pod(pod)
    assert found is not None and found.spec.node_name
    return found.spec.node_name


def when_gone(cluster: Cluster, wanted: Key) -> int:
    return cluster.first_time(lambda key, obj: key == wanted and obj is None)


def first_seen_going(cluster: Cluster, wanted: Key) -> int:
    return cluster.first_time(lambda key, obj: key == wanted and obj is not None and obj.metadata.is_terminating)


def order_of(cluster: Cluster, *gone: Key) -> list[Key]:
    """In which order objects have gone."""
    return sorted(gone, key=lambda wanted: when_gone(cluster, wanted))


def claim_key(name: str) -> Key:
    return Key("PersistentVolumeClaim", "default", name)


def pod_key(name: str) -> Key:
    return Key("Pod", "default", name)


# --- pods and their names -------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-16")
@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_the_kubelet_never_takes_a_pod_out_of_a_final_phase(phase: str) -> None:
    cluster = cluster_with(make_node("n1"), make_pod("solo", nodeName="n1"))
    cluster.run_until(lambda: is_ready(cluster, "solo"))
    pod = cluster.pod("solo")
    assert pod is not None
    cluster.put(evolve(pod, status=evolve(pod.status, phase=phase)))
    cluster.run(10 * MINUTE)
    assert [step[1] for step in cluster.phases("solo")][-1] == phase
    cluster.act("kubelet", StopNode("n1", is_dead=True))
    cluster.run(SECOND)
    cluster.act("kubelet", StartNode("n1", is_rebooted=True))
    cluster.run(10 * MINUTE)
    assert cluster.phases("solo")[-1][1] in (phase, "gone")


@pytest.mark.rule("WL-49")
def test_a_deleted_pod_comes_back_under_its_name_only_after_its_object_has_gone() -> None:
    cluster = running(2)
    old = cluster.pod("web-1")
    assert old is not None
    cluster.delete(old)
    cluster.run_until(lambda: any(obj is None for _, key, obj in cluster.history if key == pod_key("web-1")))
    cluster.run_until(lambda: is_ready(cluster, "web-1"))
    seen = [obj.metadata.uid if obj is not None else None
            for _, key, obj in cluster.history if key == pod_key("web-1")]
    gone = seen.index(None)
    assert set(seen[:gone]) == {old.metadata.uid} and old.metadata.uid not in seen[gone:]
    assert not [entry for entry in cluster.world.log.entries if entry.verb == "refused" and entry.key.name == "web-1"]


@pytest.mark.rule("WL-56")
def test_without_replicas_all_pods_go_one_at_a_time_from_the_top() -> None:
    cluster = running(3)
    scale(cluster, 0)
    cluster.run(MINUTE)
    pods = [pod_key(f"web-{number}") for number in range(3)]
    assert order_of(cluster, *pods) == pods[::-1]
    for higher, lower in ((pods[2], pods[1]), (pods[1], pods[0])):
        assert first_seen_going(cluster, lower) > when_gone(cluster, higher)


@pytest.mark.rule("WL-92")
def test_deleting_the_set_instead_stops_all_pods_together() -> None:
    cluster = running(3)
    cluster.delete(Key("StatefulSet", "default", "web"))
    cluster.run(500_000)
    assert all(pod.metadata.is_terminating for pod in cluster.world.store.list(Pod))


# --- claims: what makes them go, and what does not ------------------------------------------------------------------


@pytest.mark.rule("WL-101")
@pytest.mark.rule("WL-105")
def test_a_claim_deleted_by_hand_goes_after_its_pod_and_the_set_makes_an_empty_one() -> None:
    cluster = running(1)
    claim = cluster.get(PersistentVolumeClaim, "data-web-0")
    cluster.delete(claim)
    cluster.run(10 * MINUTE)
    held = cluster.get(PersistentVolumeClaim, "data-web-0")
    assert held.metadata.uid == claim.metadata.uid and held.metadata.is_terminating and is_ready(cluster, "web-0")
    cluster.delete(pod_key("web-0"))
    cluster.run(2 * MINUTE)
    fresh = cluster.get(PersistentVolumeClaim, "data-web-0")
    assert fresh.metadata.uid != claim.metadata.uid and fresh.spec.volume_name != claim.spec.volume_name
    assert is_ready(cluster, "web-0")


@pytest.mark.rule("WL-102")
def test_a_claim_of_an_unscheduled_pod_goes_almost_at_once() -> None:
    cluster = cluster_with(make_class("local", mode="WaitForFirstConsumer"), make_node("n1"))
    cluster.create(make_set("web", replicas=1, storage_class="local"))
    cluster.run(5 * SECOND)
    claim = cluster.get(PersistentVolumeClaim, "data-web-0")
    assert cluster.pod("web-0") is not None
    cluster.delete(claim)
    cluster.run(100_000)
    found = cluster.world.store.get(PersistentVolumeClaim, "data-web-0", "default")
    assert found is None or found.metadata.uid != claim.metadata.uid


@pytest.mark.rule("WL-102")
@pytest.mark.rule("WL-87")
def test_a_claim_of_a_pod_stuck_on_a_dead_node_shows_terminating_as_long_as_the_pod() -> None:
    cluster = running(1)
    cluster.act("kubelet", StopNode(node_of(cluster, "web-0")))
    cluster.run(SECOND)
    cluster.delete(claim_key("data-web-0"))
    cluster.delete(pod_key("web-0"))
    cluster.run(60 * MINUTE)
    assert cluster.get(PersistentVolumeClaim, "data-web-0").metadata.is_terminating
    old = cluster.get(PersistentVolumeClaim, "data-web-0").metadata.uid
    cluster.delete(pod_key("web-0"), grace=0)
    cluster.run(5 * SECOND)
    assert cluster.first_time(lambda key, obj: key == claim_key("data-web-0") and obj is None)
    assert old not in [claim.metadata.uid for claim in cluster.world.store.list(PersistentVolumeClaim)]


@pytest.mark.rule("WL-103")
def test_a_deleted_volume_stays_exactly_while_it_is_bound() -> None:
    cluster = running(1)
    bound = cluster.get(PersistentVolumeClaim, "data-web-0").spec.volume_name
    free = next(name for name in ("pv-n1", "pv-n2", "pv-n3") if name != bound)
    for name in (bound, free):
        cluster.delete(Key("PersistentVolume", "", name))
    cluster.run(MINUTE)
    assert is_there(cluster, PersistentVolume, bound) and not is_there(cluster, PersistentVolume, free)
    scale(cluster, 0)
    cluster.run(MINUTE)
    cluster.delete(claim_key("data-web-0"))
    cluster.run(MINUTE)
    assert not is_there(cluster, PersistentVolume, bound), "Released is not Bound"


@pytest.mark.rule("WL-106")
@pytest.mark.rule("WL-87")
def test_when_scaled_down_the_claim_goes_after_the_condemned_pod() -> None:
    cluster = running(2, BY_SCALING)
    volume = cluster.get(PersistentVolumeClaim, "data-web-1").spec.volume_name
    scale(cluster, 1)
    cluster.run(MINUTE)
    assert order_of(cluster, claim_key("data-web-1"), pod_key("web-1"))[0] == pod_key("web-1")
    assert claims(cluster) == ["data-web-0"]
    assert cluster.get(PersistentVolume, volume).status.phase == "Released"


@pytest.mark.rule("WL-106")
def test_when_the_set_is_deleted_the_claims_go_if_the_policy_says_so() -> None:
    cluster = running(2, BY_DELETION)
    cluster.delete(Key("StatefulSet", "default", "web"))
    cluster.run(MINUTE)
    assert claims(cluster) == [] and not cluster.world.store.list(Pod)


@pytest.mark.rule("WL-87")
def test_a_condemned_pod_on_a_dead_node_keeps_its_claim() -> None:
    cluster = running(2, BY_SCALING)
    cluster.act("kubelet", StopNode(node_of(cluster, "web-1"), is_dead=True))
    cluster.run(SECOND)
    scale(cluster, 1)
    cluster.run(60 * MINUTE)
    pod = cluster.pod("web-1")
    assert pod is not None and pod.metadata.is_terminating
    assert not cluster.get(PersistentVolumeClaim, "data-web-1").metadata.is_terminating


@pytest.mark.rule("WL-107")
def test_nothing_but_hand_policy_and_namespace_makes_claims_go() -> None:
    cluster = running(3)
    scale(cluster, 1)
    cluster.run(MINUTE)
    cluster.delete(pod_key("web-0"))
    cluster.run(MINUTE)
    cluster.delete(Key("Node", "", node_of(cluster, "web-0")))
    cluster.run(5 * MINUTE)
    cluster.delete(Key("StatefulSet", "default", "web"))
    cluster.run(5 * MINUTE)
    assert claims(cluster) == ["data-web-0", "data-web-1", "data-web-2"]
    assert not any(claim.metadata.is_terminating for claim in cluster.world.store.list(PersistentVolumeClaim))


def shop() -> Cluster:
    """A set of two in a namespace of its own, all Ready."""
    namespace = with_meta(
        Namespace(spec=NamespaceSpec(finalizers=("kubernetes",)), status=NamespaceStatus(phase="Active")), name="shop")
    cluster = cluster_with(namespace, *lab())
    cluster.create(make_set("web", replicas=2, storage_class="local", namespace="shop"))
    cluster.run_until(lambda: sum(pod.is_ready for pod in cluster.world.store.list(Pod, "shop")) == 2, within=MINUTE)
    cluster.run(SECOND)
    return cluster


@pytest.mark.rule("WL-107")
def test_claims_go_with_their_namespace_and_local_volumes_are_released() -> None:
    cluster = shop()
    cluster.delete(Key("Namespace", "", "shop"))
    cluster.run(5 * MINUTE)
    assert cluster.find(Key("Namespace", "", "shop")) is None and claims(cluster) == []
    assert sorted(volume.status.phase for volume in cluster.world.store.list(PersistentVolume)) == [
        "Available", "Released", "Released"]


@pytest.mark.rule("WL-111")
def test_a_set_in_a_dying_namespace_tries_in_vain_to_bring_its_pods_back() -> None:
    cluster = shop()
    stays = next(pod for pod in cluster.world.store.list(Pod, "shop") if pod.name == "web-1")
    cluster.act("kubelet", StopNode(stays.spec.node_name))  # so that step 1 does not end
    cluster.run(SECOND)
    cluster.delete(Key("Namespace", "", "shop"))
    cluster.run(MINUTE)
    assert cluster.find(Key("StatefulSet", "shop", "web")) is not None
    refused = [entry.detail["message"] for entry in cluster.world.log.entries
               if entry.verb == "refused" and entry.detail is not None and entry.detail["verb"] == "create"]
    assert refused and all("unable to create new content in namespace shop because it is being terminated" in text
                           for text in refused)


# --- nodes that fail ------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-74")
@pytest.mark.rule("WL-119")
def test_a_pod_on_a_dead_node_looks_running_but_its_set_counts_it_no_longer() -> None:
    cluster = running(2)
    assert cluster.get(StatefulSet, "web").status.ready_replicas == 2
    cluster.act("kubelet", StopNode(node_of(cluster, "web-1"), is_dead=True))
    cluster.run(70 * SECOND)
    pod = cluster.pod("web-1")
    assert pod is not None and not pod.is_ready and status_of(pod, "ContainersReady") == "True"
    row = pod_cells(pod, cluster.now)
    assert (pod.status.phase, row["READY"], row["STATUS"]) == ("Running", "1/1", "Running")
    assert cluster.get(StatefulSet, "web").status.ready_replicas == 1


@pytest.mark.rule("WL-126")
@pytest.mark.rule("WL-127")
def test_after_a_crash_the_pod_terminates_for_ever_and_is_never_replaced() -> None:
    cluster = running(2)
    old = cluster.pod("web-1")
    assert old is not None
    cluster.act("kubelet", StopNode(old.spec.node_name, is_dead=True))
    cluster.run(6 * MINUTE + 30 * SECOND)
    pod = cluster.pod("web-1")
    assert pod is not None and pod.metadata.uid == old.metadata.uid and pod.metadata.is_terminating
    cluster.run(24 * 60 * MINUTE)
    pod = cluster.pod("web-1")
    assert pod is not None and pod.metadata.uid == old.metadata.uid and pod.metadata.is_terminating


@pytest.mark.rule("WL-128")
@pytest.mark.parametrize(
    ("management", "created", "rolled"), [("OrderedReady", [], []), ("Parallel", ["web-2"], ["web-2"])])
def test_a_stuck_pod_stops_an_ordered_set_and_only_the_update_of_a_parallel_one(
    management: str, created: Sequence[str], rolled: Sequence[str],
) -> None:
    cluster = running(2, podManagementPolicy=management)
    cluster.act("kubelet", StopNode(node_of(cluster, "web-1"), is_dead=True))
    cluster.delete(pod_key("web-1"))
    cluster.run(MINUTE)
    scale(cluster, 3)
    cluster.run(2 * MINUTE)
    assert [name for name in ("web-2",) if is_there(cluster, Pod, name)] == created
    before = {pod.name: pod.metadata.uid for pod in cluster.world.store.list(Pod)}
    cluster.write(Patch(Key("StatefulSet", "default", "web"), with_image, ("registry.example.com/main:2",)))
    cluster.run(10 * MINUTE)
    after = {pod.name: pod.metadata.uid for pod in cluster.world.store.list(Pod)}
    assert [name for name in before if after.get(name) != before[name]] == rolled, "the walk ends at the stuck pod"


def with_image(sts: StatefulSet, image: str) -> StatefulSet:
    template = sts.spec.template
    containers = tuple(evolve(one, image=image) for one in template.spec.containers)
    return evolve(sts, spec=evolve(
        sts.spec, template=evolve(template, spec=evolve(template.spec, containers=containers))))


@pytest.mark.rule("WL-133")
def test_a_deleted_node_comes_back_only_when_its_kubelet_is_restarted_and_its_volumes_match_again() -> None:
    cluster = running(1)
    home = node_of(cluster, "web-0")
    cluster.delete(Key("Node", "", home))
    cluster.run(10 * MINUTE)
    assert not is_there(cluster, Node, home), "a running kubelet registers once"
    pod = cluster.pod("web-0")
    assert pod is not None and not pod.spec.node_name and is_there(cluster, PersistentVolume, f"pv-{home}")
    cluster.act("kubelet", StopNode(home))
    cluster.run(SECOND)
    cluster.act("kubelet", StartNode(home))
    cluster.run(6 * MINUTE)
    assert status_of(cluster.node(home), "Ready") == "True" and not cluster.node(home).spec.taints
    assert node_of(cluster, "web-0") == home and is_ready(cluster, "web-0")


@pytest.mark.rule("WL-136")
@pytest.mark.parametrize("way", ["evicted by taint, forced", "node object deleted", "out of service"])
def test_no_failure_handling_moves_a_pod_away_from_its_local_volume(way: str) -> None:
    cluster = running(1)
    old = cluster.pod("web-0")
    assert old is not None
    home = old.spec.node_name
    cluster.act("kubelet", StopNode(home, is_dead=True))
    cluster.run(7 * MINUTE)
    match way:
        case "node object deleted":
            cluster.delete(Key("Node", "", home))
        case "out of service":
            taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
            cluster.write(Patch(Key("Node", "", home), with_taint, (taint,)))
        case _:
            cluster.delete(pod_key("web-0"), grace=0)
    cluster.run(10 * MINUTE)
    pod = cluster.pod("web-0")
    assert pod is not None and pod.metadata.uid != old.metadata.uid
    assert (pod.status.phase, pod.spec.node_name) == ("Pending", "")
    cluster.delete(claim_key("data-web-0"))  # the way out, at the price of the data
    cluster.delete(pod_key("web-0"))
    cluster.run(30 * MINUTE)
    assert is_ready(cluster, "web-0") and node_of(cluster, "web-0") != home


def with_taint(node: Node, taint: dict[str, str]) -> Node:
    return evolve(node, spec=evolve(node.spec, taints=(*node.spec.taints, Taint(**taint))))


@pytest.mark.rule("WL-125")
def test_a_taint_eviction_is_told_marked_and_an_ordinary_delete_that_no_budget_stops() -> None:
    cluster = running(1, pod_spec={"terminationGracePeriodSeconds": 77})
    budget = decode({"metadata": {"name": "all", "namespace": "default"},
                     "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}}}, PodDisruptionBudget)
    cluster.create(budget)
    home = node_of(cluster, "web-0")
    cluster.act("kubelet", StopNode(home, is_dead=True))
    cluster.run(SECOND)
    faults = cluster.world.faults
    faults.calls.append(Calls("taint-eviction-controller", "delete", "Pod", times=2))
    cluster.run(7 * MINUTE)
    pod = cluster.pod("web-0")
    assert pod is not None and pod.metadata.deletion_grace_period_seconds == 77 and faults.calls[0].times == 0
    target = pod.condition("DisruptionTarget")
    assert target is not None and target.reason == "DeletionByTaintManager"
    assert ("TaintManagerEviction", "Marking for deletion Pod default/web-0") in cluster.events(about="web-0")
