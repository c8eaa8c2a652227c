"""Where the real system can go another way: the choice points of the workload lifecycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import Pod
from simulator.api.meta import Key, Object, decode, evolve, with_meta
from simulator.api.policy import PodDisruptionBudget
from simulator.assembly import LATENCIES, control_plane
from simulator.choices import Seeded
from simulator.cluster.component import Change, View
from simulator.controllers.garbage_collector import GarbageCollector
from simulator.controllers.kubelet import Kubelet, StartNode, StopNode
from simulator.controllers.kubelet.config import RANGES as KUBELET_RANGES
from simulator.controllers.node_lifecycle import RANGES as NODE_RANGES
from simulator.controllers.node_lifecycle import NodeLifecycle
from simulator.controllers.pod_gc import RANGES as POD_GC_RANGES
from simulator.controllers.pod_gc import PodGC
from simulator.controllers.protection import ProtectionController
from simulator.controllers.statefulset import StatefulSetController
from simulator.controllers.statefulset.revisions import in_order
from simulator.flows import Bind, Done, Evict, Refused, Retry, UpdateStatus
from simulator.latency import Latency, constant, uniform
from simulator.scenario.kubectl import EvictPod, Kubectl, Sequel
from simulator.testing.builders import make_claim, make_node, make_pod, make_set
from simulator.units import MILLISECOND, MINUTE, SECOND
from tests.controllers.cluster_bench import Cluster, running_on, status_of, taints_of
from tests.controllers.set_bench import Bench, conflict

SEEDS = range(24)


def seeded(seed: int, *components: Any, objects: Sequence[Object] = (),
           latencies: Mapping[str, Latency] | None = None) -> Cluster:
    """A cluster whose latencies are drawn."""
    cluster = Cluster(*components, objects=objects, latencies={**LATENCIES, **(latencies or {})})
    cluster.world.chooser = Seeded(seed)
    return cluster


class Witness:
    """A component that notes what it sees, in order."""

    name = "witness"
    queues: Mapping[str, int] = {"seen": 1}
    watches = frozenset({"Pod", "PersistentVolumeClaim"})
    periodics: Sequence[Any] = ()

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def new_memory(self) -> None:
        """Nothing to remember."""

    def remember(self, memory: Any, what: Any, now: int) -> None:
        """Nothing to remember."""

    def check(self, poll: Any, view: View) -> Any:
        """Nothing to poll."""

    def observe(self, change: Change, view: View) -> tuple[()]:
        if change.new is not None:
            self.seen.append((change.key.kind, change.new.metadata.resource_version))
        return ()

    def sync(self, queue: str, key: Key, view: View) -> Any:
        raise AssertionError("nothing is queued")


@pytest.mark.rule("CP-1")
def test_a_watch_keeps_the_order_of_a_kind_but_there_is_none_across_kinds() -> None:
    crossed = 0
    for seed in SEEDS:
        witness = Witness()
        cluster = seeded(seed, witness, latencies={"watch": uniform(MILLISECOND, SECOND)})
        for number in range(3):
            cluster.create(make_claim(f"c{number}"))
            cluster.create(make_pod(f"p{number}"))
        cluster.run(MINUTE)
        assert len(witness.seen) == 6
        for kind in ("Pod", "PersistentVolumeClaim"):
            versions = [version for seen, version in witness.seen if seen == kind]
            assert versions == sorted(versions)
        crossed += [version for _, version in witness.seen] != sorted(version for _, version in witness.seen)
    assert crossed, "a pod can be seen before its claim"


@pytest.mark.rule("CP-2")
def test_a_cache_may_lack_the_controllers_own_delete_so_that_it_deletes_twice() -> None:
    bench = Bench(make_set("web", replicas=2))
    bench.settle()
    bench.scale(1)
    bench.events.clear()
    bench.is_lagging = True
    bench.sync()
    bench.deliver("StatefulSet")  # the status that it wrote itself is waited for (WL-33), the delete is not
    bench.sync()
    assert bench.deleted == ["web-1", "web-1"]
    assert [reason for _, reason, _ in bench.events] == ["SuccessfulDelete", "SuccessfulDelete"]


@pytest.mark.rule("CP-3")
def test_sets_that_are_queued_together_are_served_in_any_order_and_at_the_same_time() -> None:
    firsts = set()
    for seed in SEEDS:
        cluster = seeded(seed, StatefulSetController(),
                         latencies={"watch": uniform(MILLISECOND, SECOND), "api": uniform(MILLISECOND, SECOND)})
        for name in ("a", "b"):
            cluster.create(make_set(name, replicas=1))
        cluster.run(MINUTE)
        pods = [key.name for _, key, obj in cluster.history if isinstance(obj, Pod)]
        assert sorted(set(pods)) == ["a-0", "b-0"]
        firsts.add(pods[0])
    assert firsts == {"a-0", "b-0"}


@pytest.mark.rule("CP-3")
def test_a_key_is_never_worked_on_twice_at_once_and_changes_meanwhile_make_one_sync_more() -> None:
    cluster = seeded(0, StatefulSetController(), latencies={"api": constant(10 * SECOND)})
    cluster.create(make_set("web", replicas=1))
    cluster.run(5 * SECOND)
    work = cluster.world.runtimes["statefulset"].queues["sets"]
    key = Key("StatefulSet", "default", "web")
    for _ in range(3):
        sts = cluster.get(StatefulSet, "web")
        cluster.put(with_meta(sts, annotations={"n": str(cluster.now)}))
        cluster.run(100 * MILLISECOND)
    assert list(work.active) == [key] and list(work.dirty) == [key] and not work.ready


@pytest.mark.rule("CP-4")
@pytest.mark.parametrize("nudged", [False, True])
def test_a_retry_comes_when_its_back_off_is_over_or_when_an_event_wakes_the_set(nudged: bool) -> None:
    cluster = seeded(0, StatefulSetController())
    held = with_meta(make_claim("data-web-0"), finalizers=("example.com/hold",))
    cluster.create(held)
    cluster.delete(held)
    cluster.create(make_set("web", replicas=1))
    cluster.run(10 * MINUTE)
    cluster.world.store.remove(held.key)  # no event of a claim queues a set (WL-30)
    begun = cluster.now
    if nudged:
        sts = cluster.get(StatefulSet, "web")
        cluster.put(with_meta(sts, annotations={"a": "b"}))
    took = cluster.run_until(lambda: cluster.pod("web-0") is not None)
    waited = begun + took
    assert (took < SECOND) == nudged
    if not nudged:  # 5 ms · (2ⁿ - 1) after the first failure: 327.7 s, then 655.4 s
        assert 655 * SECOND <= waited <= 657 * SECOND


@pytest.mark.rule("CP-6")
def test_the_order_of_claims_and_of_claim_volumes_is_asked_for() -> None:
    asked = []
    bench = Bench(make_set("web", replicas=1, templates=("a", "b", "c")))

    def last(choice: Any) -> Key:
        asked.append(choice.point)
        return choice.options[-1]  # type: ignore[no-any-return]

    bench.choose = last
    bench.sync()
    assert asked == ["volume-order", "volume-order", "claim-order", "claim-order"]
    assert [volume.name for volume in bench.pod("web-0").spec.volumes] == ["c", "b", "a"]


@pytest.mark.rule("CP-7")
def test_an_update_that_loses_against_another_writer_is_tried_again_or_left_to_the_next_sync() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.sync()
    lost = [3]

    def interfere(intent: Any) -> Any:
        if isinstance(intent, UpdateStatus) and lost[0]:
            lost[0] -= 1
            return conflict(intent.obj)
        return None

    bench.interfere = interfere
    bench.set_pod("web-0", phase="Running", ready=True)
    assert isinstance(bench.sync(), Done) and bench.sts().status.ready_replicas == 1
    lost[0] = 9
    bench.set_pod("web-0", ready=False)
    assert isinstance(bench.sync(), Retry) and bench.sts().status.ready_replicas == 1
    lost[0] = 0
    bench.sync()
    assert bench.sts().status.ready_replicas == 0


@pytest.mark.rule("CP-8")
@pytest.mark.parametrize("late", [False, True])
def test_dependents_go_whether_the_collector_looks_before_or_after_a_new_owner_of_that_name(late: bool) -> None:
    delay = constant(5 * SECOND if late else MILLISECOND)
    cluster = seeded(0, GarbageCollector(), latencies={"work/garbage-collector-controller": delay})
    sts = cluster.create(make_set("web", replicas=1))
    owner = decode({"metadata": {"ownerReferences": [{
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": sts.metadata.uid, "controller": True,
    }]}}, Pod).metadata.owner_references
    revision = with_meta(ControllerRevision(data={"spec": {}}, revision=1), name="web-1", owner_references=owner)
    owned = cluster.create(revision)
    cluster.run(20 * SECOND)
    cluster.delete(sts.key)
    cluster.run(SECOND)
    assert (cluster.find(owned.key) is not None) == late
    cluster.create(make_set("web", replicas=1))
    cluster.run(MINUTE)
    assert cluster.find(owned.key) is None, "a new owner of that name has another uid"


@pytest.mark.rule("CP-9")
def test_a_claim_deleted_while_its_pod_is_bound_stays_or_goes() -> None:
    ends = set()
    for seed in SEEDS:
        cluster = seeded(seed, ProtectionController(), Witness(), objects=[make_node("n1")],
                         latencies={"read": uniform(MILLISECOND, SECOND), "api": uniform(MILLISECOND, SECOND)})
        claim = cluster.create(make_claim("data"))
        pod = cluster.create(make_pod("web-0", claims=("data",)))
        cluster.run(10 * SECOND)
        cluster.delete(claim)
        cluster.run(500 * MILLISECOND)
        cluster.write(Bind(pod.key, pod.metadata.uid, "n1"))
        cluster.run(MINUTE)
        ends.add(cluster.find(claim.key) is not None)
    assert ends == {True, False}


@pytest.mark.rule("CP-10")
def test_a_silent_node_is_unknown_forty_to_sixty_seconds_after_the_crash() -> None:
    delays = []
    for seed in SEEDS:
        cluster = seeded(seed, Kubelet(), NodeLifecycle(), objects=[make_node("n1"), make_node("n2")],
                         latencies={**KUBELET_RANGES, **NODE_RANGES})
        cluster.run(MINUTE)
        cluster.act("kubelet", StopNode("n1"))
        delays.append(cluster.run_until(lambda at=cluster: status_of(at.node("n1"), "Ready") == "Unknown"))
    assert min(delays) >= 40 * SECOND and max(delays) <= 60 * SECOND + 200 * MILLISECOND
    assert max(delays) - min(delays) > 5 * SECOND


@pytest.mark.rule("CP-11")
def test_nodes_that_die_together_may_or_may_not_get_a_taint_before_the_limiter_stops() -> None:
    tainted = set()
    for seed in SEEDS:
        cluster = seeded(seed, Kubelet(), NodeLifecycle(), objects=[make_node(f"n{n}") for n in range(4)],
                         latencies={**KUBELET_RANGES, **NODE_RANGES})
        cluster.run(MINUTE)
        for name in ("n1", "n2", "n3"):
            cluster.act("kubelet", StopNode(name))
        cluster.run(5 * MINUTE)
        tainted.add(tuple(name for name in ("n1", "n2", "n3")
                          if "unreachable:NoExecute" in taints_of(cluster.node(name))))
    assert all(len(names) <= 2 for names in tainted) and len(tainted) > 1


@pytest.mark.rule("CP-12")
def test_pods_of_a_deleted_node_go_after_forty_to_eighty_seconds_by_the_phase_of_the_pass() -> None:
    delays = []
    for seed in SEEDS:
        cluster = seeded(seed, PodGC(), objects=[make_node("n1"), make_node("n2"), running_on("n1")],
                         latencies=POD_GC_RANGES)
        cluster.run(MINUTE)
        cluster.delete(Key("Node", "", "n1"))
        delays.append(cluster.run_until(lambda at=cluster: at.pod("web-0") is None))
    assert min(delays) >= 40 * SECOND and max(delays) <= 80 * SECOND + SECOND
    assert max(delays) - min(delays) > 10 * SECOND


@pytest.mark.rule("CP-14")
@pytest.mark.parametrize("order", ["old ends first", "new starts first"])
def test_after_a_forced_deletion_on_a_live_node_old_and_new_may_overlap(order: str) -> None:
    grace = 1 if order == "old ends first" else 60
    pod = running_on("n1", terminationGracePeriodSeconds=grace)
    cluster = seeded(0, Kubelet(), objects=[make_node("n1"), pod])
    cluster.run(5 * SECOND)
    cluster.delete(pod.key, grace=0)
    cluster.run(SECOND)
    if order == "old ends first":
        cluster.run(2 * SECOND)
    cluster.put(with_meta(make_pod("web-0", nodeName="n1"), uid="new"))
    cluster.run_until(lambda: (found := cluster.pod("web-0")) is not None and found.is_ready)
    left = [one for one in cluster.world.runtimes["kubelet"].memory.leftovers.values()
            if one.until is not None and one.until > cluster.now]
    assert bool(left) == (order == "new starts first")


@pytest.mark.rule("CP-16")
def test_of_two_concurrent_evictions_either_may_get_the_last_of_the_budget() -> None:
    winners = set()
    labels = {"app": "web"}
    for seed in SEEDS:
        budget = decode({
            "metadata": {"name": "web", "namespace": "default", "generation": 1},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
            "status": {"disruptionsAllowed": 1, "observedGeneration": 1, "currentHealthy": 2, "desiredHealthy": 1},
        }, PodDisruptionBudget)
        pods = [with_meta(running_on("n1", name), labels=labels) for name in ("a", "b")]
        cluster = seeded(seed, Kubectl(), objects=[make_node("n1"), budget, *pods],
                         latencies={"api": uniform(MILLISECOND, SECOND)})
        for number, pod in enumerate(pods):
            cluster.act("kubectl", Sequel(number, (EvictPod(pod.key),)))
        cluster.run(MINUTE)
        going = [pod.name for pod in cluster.world.store.list(Pod) if pod.metadata.is_terminating]
        assert len(going) == 1
        winners.add(going[0])
    assert winners == {"a", "b"}


@pytest.mark.rule("CP-16")
def test_a_budget_counts_a_pod_that_turned_ready_only_once_its_controller_has_seen_it() -> None:
    cluster = seeded(0, *control_plane(), objects=[make_node("n1")], latencies={"watch": constant(5 * SECOND)})
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    cluster.create(decode({"metadata": {"name": "web", "namespace": "default"}, "spec": spec}, PodDisruptionBudget))
    cluster.run(MINUTE)
    cluster.put(with_meta(running_on("n1", "a"), labels={"app": "web"}))
    cluster.put(with_meta(running_on("n1", "b"), labels={"app": "web"}))
    answer = cluster.write(Evict(Key("Pod", "default", "a")))
    assert isinstance(answer, Refused) and answer.code == 429
    cluster.run(MINUTE)
    assert not isinstance(cluster.write(Evict(Key("Pod", "default", "a"))), Refused)


@pytest.mark.rule("CP-17")
def test_no_component_looks_at_events() -> None:
    assert not [component.name for component in (*control_plane(), Kubectl()) if "Event" in component.watches]


@pytest.mark.rule("CP-18")
def test_a_restarted_controller_has_forgotten_its_back_off_and_its_quarantine() -> None:
    cluster = seeded(0, StatefulSetController(), PodGC(),
                     objects=[make_node("n1"), make_node("n2"), running_on("n1", "solo")])
    held = with_meta(make_claim("data-web-0"), finalizers=("example.com/hold",))
    cluster.create(held)
    cluster.delete(held)
    cluster.create(make_set("web", replicas=1))
    cluster.run(10 * MINUTE)
    cluster.world.store.remove(held.key)
    cluster.world.restart("statefulset")
    assert cluster.run_until(lambda: cluster.pod("web-0") is not None) < SECOND
    cluster.delete(Key("Node", "", "n1"))
    cluster.run(39 * SECOND)
    cluster.world.restart("pod-garbage-collector")
    cluster.run(39 * SECOND)
    solo = cluster.pod("solo")
    assert solo is not None and solo.status.phase == "Running"
    cluster.run(45 * SECOND)
    assert cluster.pod("solo") is None


@pytest.mark.rule("CP-18")
def test_a_restarted_controller_looks_again_when_a_pod_becomes_available() -> None:
    cluster = seeded(0, StatefulSetController(), objects=[])
    cluster.create(make_set("web", replicas=2, minReadySeconds=60))
    cluster.run(SECOND)
    pod = cluster.pod("web-0")
    assert pod is not None
    began = running_on("n1", "web-0").status
    now = cluster.now
    conditions = tuple(evolve(one, last_transition_time=now) for one in began.conditions)
    cluster.put(evolve(pod, status=evolve(began, conditions=conditions)))
    cluster.run(10 * SECOND)
    cluster.world.restart("statefulset")
    took = cluster.run_until(lambda: cluster.pod("web-1") is not None)
    assert 48 * SECOND <= took <= 51 * SECOND


@pytest.mark.rule("CP-19")
@pytest.mark.rule("WL-153")
def test_a_pod_is_available_so_long_after_the_whole_second_in_which_it_became_ready() -> None:
    bench = Bench(make_set("web", replicas=1, minReadySeconds=10))
    bench.sync()
    bench.now += 900 * MILLISECOND
    bench.set_pod("web-0", phase="Running", ready=True, ready_for=0)
    bench.now += 9 * SECOND
    assert bench.sync() == Done(requeue_after=100 * MILLISECOND)
    bench.now += 100 * MILLISECOND
    bench.sync()
    assert bench.sts().status.available_replicas == 1


@pytest.mark.rule("CP-19")
def test_revisions_made_in_one_second_are_ordered_by_name() -> None:
    def revision(name: str, created: int) -> ControllerRevision:
        return decode({"metadata": {"name": name, "creationTimestamp": created}, "revision": 1}, ControllerRevision)

    later = revision("a", SECOND + 900 * MILLISECOND)
    assert in_order([revision("b", SECOND), later]) == [later, revision("b", SECOND)]
    assert [one.name for one in in_order([revision("b", SECOND), revision("a", 2 * SECOND)])] == ["b", "a"]


@pytest.mark.rule("WL-153")
def test_a_transition_time_moves_only_with_the_status() -> None:
    cluster = seeded(0, Kubelet(), NodeLifecycle(), objects=[make_node("n1"), make_node("n2")])
    cluster.run(MINUTE)
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(2 * MINUTE)
    cluster.act("kubelet", StartNode("n1"))
    cluster.run(2 * MINUTE)

    def since() -> tuple[str, int]:
        ready = cluster.node("n1").condition("Ready")
        assert ready is not None and ready.last_transition_time is not None
        return ready.status, ready.last_transition_time

    node = cluster.node("n1")
    posted = tuple(evolve(one, message="other words") for one in node.status.conditions)
    before = since()
    cluster.write(UpdateStatus(evolve(node, status=evolve(node.status, conditions=posted))))
    cluster.run(MINUTE)
    assert since() == before
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(2 * MINUTE)
    assert since()[0] == "Unknown" and since()[1] > before[1]
