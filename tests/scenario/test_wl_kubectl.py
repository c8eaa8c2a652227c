"""What kubectl's commands do to a cluster: cordon, drain, scale."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simulator.api.apps import StatefulSet
from simulator.api.core import Pod
from simulator.api.meta import Key, Object, decode, evolve, with_annotations, with_meta
from simulator.api.policy import PodDisruptionBudget
from simulator.assembly import LATENCIES, control_plane
from simulator.scenario.kubectl import Action, Cordon, Drain, Kubectl, Remove, Scale, Sequel
from simulator.testing.builders import make_class, make_node, make_set, make_volume
from simulator.units import MINUTE, SECOND
from tests.controllers.cluster_bench import Cluster, running_on, taints_of

N1 = Key("Node", "", "n1")
OWNED = {"apiVersion": "apps/v1", "name": "x", "uid": "u", "controller": True}


def owned(name: str, kind: str = "ReplicaSet", node: str = "n1", **fields: Any) -> Pod:
    """A running pod of a controller that is not simulated."""
    raw = {"metadata": {"ownerReferences": [{"kind": kind, **OWNED}]}}
    return with_meta(running_on(node, name, **fields), owner_references=decode(raw, Pod).metadata.owner_references)


def budget(name: str, selector: dict[str, str], **spec: Any) -> PodDisruptionBudget:
    return decode({"metadata": {"name": name, "namespace": "default"},
                   "spec": {"selector": {"matchLabels": selector}, **spec}}, PodDisruptionBudget)


def cluster_with(*objects: Object) -> Cluster:
    cluster = Cluster(*control_plane(), Kubectl(), objects=objects, latencies=LATENCIES)
    cluster.run(SECOND)
    return cluster


def do(cluster: Cluster, action: Action) -> None:
    cluster.act("kubectl", Sequel(1, (action,)))


def outcome(cluster: Cluster) -> tuple[str, ...] | None:
    """What was refused; None while it goes on."""
    finished: dict[int, tuple[str, ...]] = cluster.world.runtimes["kubectl"].memory.finished
    return finished.get(1)


def evicted(cluster: Cluster) -> list[str]:
    """Names of the pods that the eviction API marked, in that order."""
    names: dict[str, None] = {}
    for _, _, obj in cluster.history:
        target = obj.condition("DisruptionTarget") if isinstance(obj, Pod) else None
        if obj is not None and target is not None and target.reason == "EvictionByEvictionAPI":
            names[obj.name] = None
    return list(names)


@pytest.mark.rule("WL-137")
def test_cordon_taints_the_node_and_leaves_its_pods_alone() -> None:
    cluster = cluster_with(make_node("n1"), owned("a"))
    do(cluster, Cordon(N1, True))
    cluster.run(MINUTE)
    assert cluster.node("n1").spec.unschedulable and taints_of(cluster.node("n1")) == ["unschedulable:NoSchedule"]
    pod = cluster.pod("a")
    assert pod is not None and pod.status.phase == "Running" and not pod.metadata.is_terminating
    assert cluster.events("NodeNotSchedulable") == [("NodeNotSchedulable", "Node n1 status is now: NodeNotSchedulable")]
    do(cluster, Cordon(N1, False))
    cluster.run(MINUTE)
    assert taints_of(cluster.node("n1")) == []


@pytest.mark.rule("WL-100")
@pytest.mark.parametrize(
    ("options", "grace"), [({}, 30), ({"grace": 7}, 7), ({"grace": 0}, 1), ({"force": True}, None)])
def test_only_a_forced_delete_does_without_the_kubelets_word(options: dict[str, Any], grace: int | None) -> None:
    cluster = cluster_with(make_node("n1"), owned("a"))
    do(cluster, Remove(Key("Pod", "default", "a"), **options))
    cluster.run(100_000)
    pod = cluster.pod("a")
    assert (pod.metadata.deletion_grace_period_seconds if pod is not None else None) == grace


@pytest.mark.rule("WL-138")
@pytest.mark.parametrize(
    ("pod", "flag", "why"),
    [
        (running_on("n1", "lonely"), "force",
         "cannot delete Pods that declare no controller (use --force to override): default/lonely"),
        (owned("scratch", volumes=[{"name": "tmp", "emptyDir": {}}]), "delete_emptydir_data",
         "cannot delete Pods with local storage (use --delete-emptydir-data to override): default/scratch"),
        (owned("daemon", "DaemonSet"), "ignore_daemonsets",
         "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/daemon"),
    ],
)
def test_a_drain_that_refuses_one_pod_evicts_none_but_has_cordoned(pod: Pod, flag: str, why: str) -> None:
    cluster = cluster_with(make_node("n1"), owned("other"), pod)
    do(cluster, Drain(N1))
    cluster.run(MINUTE)
    refused = outcome(cluster)
    assert refused is not None and refused[0].endswith(f'unable to drain node "n1" due to error: {why}')
    assert cluster.node("n1").spec.unschedulable and evicted(cluster) == []
    do(cluster, Drain(N1, **{flag: True}))
    cluster.run(2 * MINUTE)
    skipped = ["daemon"] if flag == "ignore_daemonsets" else []
    assert sorted(one.name for one in cluster.world.store.list(Pod)) == skipped
    assert outcome(cluster) == ()


@pytest.mark.rule("WL-138")
def test_several_reasons_are_joined_and_pods_of_one_reason_are_listed() -> None:
    daemon = owned("daemon", "DaemonSet")
    cluster = cluster_with(make_node("n1"), running_on("n1", "a"), running_on("n1", "b"), daemon)
    do(cluster, Drain(N1))
    cluster.run(MINUTE)
    assert (outcome(cluster) or ("",))[0].endswith(
        "[cannot delete Pods that declare no controller (use --force to override): default/a, default/b, "
        "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/daemon]")


@pytest.mark.rule("WL-138")
def test_mirror_pods_are_skipped_and_finished_pods_need_no_flag() -> None:
    mirror = with_annotations(running_on("n1", "static"), {"kubernetes.io/config.mirror": "x"})
    done = running_on("n1", "done")
    done = evolve(done, status=evolve(done.status, phase="Succeeded"))
    cluster = cluster_with(make_node("n1"), mirror, done)
    do(cluster, Drain(N1))
    cluster.run(MINUTE)
    assert outcome(cluster) == () and [pod.name for pod in cluster.world.store.list(Pod)] == ["static"]


def local_set(*more: Object, **spec: Any) -> Cluster:
    """A set of two on two machines, one local volume each."""
    machines = [make_node(name) for name in ("n1", "n2")]
    volumes = [make_volume(f"pv-{name}", node=name, storage_class="local") for name in ("n1", "n2")]
    cluster = cluster_with(make_class("local", mode="WaitForFirstConsumer"), *machines, *volumes, *more)
    cluster.create(make_set("web", replicas=2, storage_class="local", **spec))
    cluster.run_until(lambda: all((pod := cluster.pod(f"web-{n}")) is not None and pod.is_ready for n in range(2)))
    cluster.run(SECOND)
    return cluster


@pytest.mark.rule("WL-138")
@pytest.mark.rule("WL-139")
def test_a_pod_with_a_local_volume_is_drained_without_any_flag() -> None:
    cluster = local_set()
    home = next(pod for pod in cluster.world.store.list(Pod) if pod.spec.node_name == "n1")
    do(cluster, Drain(N1))
    cluster.run(MINUTE)
    successor = cluster.pod(home.name)
    assert outcome(cluster) == (), "a successor of that name counts as gone"
    assert successor is not None and successor.metadata.uid != home.metadata.uid and not successor.spec.node_name


@pytest.mark.rule("WL-139")
def test_a_blocked_eviction_is_tried_again_every_five_seconds_without_end() -> None:
    labels = {"app": "a"}
    pods = [with_meta(owned(name), labels=labels) for name in ("a", "b")]
    cluster = cluster_with(make_node("n1"), *pods, budget("all", labels, minAvailable=2))
    cluster.run(SECOND)
    begun = cluster.now
    do(cluster, Drain(N1))
    cluster.run(60 * MINUTE)
    assert outcome(cluster) is None and evicted(cluster) == []
    tries = [entry.time for entry in cluster.world.log.entries if entry.verb == "refused" and entry.key.name == "a"]
    waits = {(later - earlier) // SECOND for earlier, later in pairwise(tries)}
    assert waits == {5} and len(tries) >= 60 * 60 // 5 - 10 and tries[0] - begun < SECOND
    assert {note["message"] for note in cluster.notes("evict-blocked")} == {
        "Cannot evict pod as it would violate the pod's disruption budget."}
    cluster.delete(Key("PodDisruptionBudget", "default", "all"))
    cluster.run(MINUTE)
    assert outcome(cluster) == () and not cluster.world.store.list(Pod)


@pytest.mark.rule("WL-139")
def test_after_a_wait_the_pod_is_evicted_by_name_even_if_it_is_another_one_by_then() -> None:
    pods = [with_meta(owned("a"), labels={"app": "a"})]
    cluster = cluster_with(make_node("n1"), make_node("n2"), *pods, budget("all", {"app": "a"}, minAvailable=1))
    cluster.run(SECOND)
    do(cluster, Drain(N1))
    cluster.run(SECOND)
    cluster.delete(Key("Pod", "default", "a"), grace=0)
    cluster.delete(Key("PodDisruptionBudget", "default", "all"))
    cluster.put(with_meta(owned("a", node="n2"), labels={"app": "a"}))
    cluster.run(10 * SECOND)
    assert evicted(cluster) == ["a"] and outcome(cluster) == ()


@pytest.mark.rule("WL-139")
def test_a_pod_that_can_not_be_evicted_does_not_keep_the_others() -> None:
    pods = [with_meta(owned("a"), labels={"app": "a"}), owned("b")]
    two = [budget(name, {"app": "a"}, minAvailable=0) for name in ("one", "two")]
    cluster = cluster_with(make_node("n1"), *pods, *two)
    do(cluster, Drain(N1))
    cluster.run(2 * MINUTE)
    assert [pod.name for pod in cluster.world.store.list(Pod)] == ["a"]
    refused = outcome(cluster)
    assert refused is not None and "This pod has more than one PodDisruptionBudget" in refused[0]


@pytest.mark.rule("WL-145")
def test_with_local_volumes_a_budget_blocks_the_next_drain_until_the_first_node_is_uncordoned() -> None:
    cluster = local_set(budget("web", {"app": "web"}, maxUnavailable=1))
    do(cluster, Drain(N1))
    cluster.run(2 * MINUTE)
    assert len(evicted(cluster)) == 1
    cluster.act("kubectl", Sequel(2, (Drain(Key("Node", "", "n2")),)))
    cluster.run(30 * MINUTE)
    assert len(evicted(cluster)) == 1 and 2 not in cluster.world.runtimes["kubectl"].memory.finished
    cluster.act("kubectl", Sequel(3, (Cordon(N1, False),)))
    cluster.run(2 * MINUTE)
    assert len(evicted(cluster)) == 2 and cluster.world.runtimes["kubectl"].memory.finished[2] == ()


@pytest.mark.rule("WL-145")
def test_scaling_down_ignores_budgets() -> None:
    cluster = local_set(budget("web", {"app": "web"}, maxUnavailable=0))
    do(cluster, Scale(Key("StatefulSet", "default", "web"), 0))
    cluster.run(2 * MINUTE)
    assert not cluster.world.store.list(Pod) and cluster.get(StatefulSet, "web").status.replicas == 0


@pytest.mark.rule("WL-139")
def test_a_drain_looks_every_second_whether_its_pods_are_gone() -> None:
    cluster = cluster_with(make_node("n1"), owned("a"))
    begun = cluster.now
    do(cluster, Drain(N1))
    took = cluster.run_until(lambda: outcome(cluster) is not None)
    gone = cluster.first_time(lambda key, obj: key.name == "a" and obj is None) - begun
    assert gone <= took <= gone + SECOND
