"""Rules of VolumeBinding and its neighbours that whole attempts and whole runs show (sections 9 and 10)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Pod
from simulator.api.meta import Key, Object, evolve, with_meta
from simulator.binding.names import SELECTED_NODE
from simulator.controllers.storage_driver import StorageDriver
from simulator.flows import Choose, Poll
from simulator.scheduler import Scheduler
from simulator.scheduler.decision import Preparation, Question, decide, prepare
from simulator.scheduler.plugins import DEFAULT_PROFILE
from simulator.testing.builders import (
    HOSTNAME,
    apart,
    make_claim,
    make_class,
    make_node,
    make_pod,
    make_set,
    make_volume,
)
from simulator.units import SECOND
from tests.scheduler.bench import Bench
from tests.scheduler.snapshots import snapshot_of
from tests.whole.small_worlds import CLASSES, CSI, Played, apply, nodes, play

NA = "node(s) didn't match PersistentVolume's node affinity"
NB = "node(s) didn't find available persistent volumes to bind"
NOT_HELPFUL = "Preemption is not helpful for scheduling."
TAINTED = [{"key": "a", "effect": "NoSchedule"}]
TAIL = "no new claims to deallocate, preemption: "


def local(name: str, node: str, storage_class: str = "wait", **fields: Any) -> Object:
    return make_volume(name, node=node, storage_class=storage_class, **fields)


def claim(name: str = "c", storage_class: str = "wait", **fields: Any) -> Object:
    return make_claim(name, storage_class=storage_class, **fields)


def pod(name: str = "p", *claims: str, **fields: Any) -> Object:
    return make_pod(name, claims=claims or ("c",), **fields)


def full_message(played: Played, name: str) -> str:
    return played.events(name, "FailedScheduling")[-1]


# --- one attempt ----------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-128")
def test_the_volumes_of_a_class_are_listed_once_for_all_nodes() -> None:
    made = [make_class("one", mode="WaitForFirstConsumer"), make_class("two", mode="WaitForFirstConsumer")]
    claims = [make_claim(name, storage_class=of) for name, of in (("a", "one"), ("b", "one"), ("c", "two"))]
    snapshot = snapshot_of(*made, *claims, *(make_node(f"n{number}") for number in range(20)))
    asked: list[tuple[str, Any]] = []
    found: Any = snapshot.view.by

    def by(index: str, value: Any) -> Any:
        asked.append((index, value))
        return found(index, value)

    snapshot.view.by = by  # type: ignore[method-assign]
    question = Question(DEFAULT_PROFILE, make_pod("p", claims=("a", "b", "c")), snapshot, 0)
    preparation = prepare(question)
    assert isinstance(preparation, Preparation)
    assert len(decide(question, preparation).statuses) == 20
    listed = [value for index, value in asked if index == "volumes-by-class"]
    assert sorted(set(listed)) == ["one", "two"] and len(listed) <= 3


@pytest.mark.rule("VB-158", "VB/ND-21", "VB/ND-1")
def test_a_volume_that_comes_during_the_attempt_brings_the_pod_back() -> None:
    """The attempt is held up by a choice between two equal volumes, of which the second claim needs a certain one."""

    def after(*meanwhile: Any) -> Bench:
        free = [make_volume(name, node="n1", storage_class="wait", phase="Available") for name in ("v1", "v2")]
        fast = with_meta(free[1], labels={"disk": "fast"})
        at = Bench(make_class("wait", mode="WaitForFirstConsumer"), make_node("n1"), free[0], fast,
                   make_claim("a", storage_class="wait"),
                   make_claim("b", storage_class="wait", selector={"matchLabels": {"disk": "fast"}}))
        at.put(make_pod("p", claims=("a", "b")))
        flow = at.cycle()
        assert isinstance(flow.intent, Choose) and flow.intent.point == "volume"
        for obj in meanwhile:
            at.put(obj)
        flow.answer(fast.key)
        assert at.events[-1].message.startswith(f"0/1 nodes are available: 1 {NB}.")
        return at

    key = Key("Pod", "default", "p")
    assert key in after().memory.queue.unschedulable
    assert key not in after(make_volume("v3", node="n1", storage_class="wait")).memory.queue.unschedulable
    assert key in after(make_pod("other", cpu="7", nodeName="n1")).memory.queue.unschedulable


# --- the message ----------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-159", "VB-160", "VB-129")
def test_reasons_are_counted_and_sorted_as_text_and_volumes_are_no_matter_for_preemption() -> None:
    played = play(
        [*CLASSES, *nodes(11), make_node("full", cpu="1"), make_node("tainted", taints=TAINTED), local("v1", "tainted"),
         local("v2", "full")],
        [apply(claim(), pod(cpu="2"), at="1s")],
    )
    assert full_message(played, "p") == (
        f"0/13 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 11 {NB}. {TAIL}"
        f"0/13 nodes are available: 13 {NOT_HELPFUL}"
    )


@pytest.mark.rule("VB-159", "VB-127")
def test_a_refusal_before_any_node_counts_no_nodes() -> None:
    played = play([*CLASSES, *nodes(3)], [apply(claim(storage_class="now"), pod(), at="1s")])
    assert full_message(played, "p") == (
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")


@pytest.mark.rule("VB-160", "VB-161")
def test_one_plug_in_speaks_for_a_node_and_only_its_kind_of_refusal_counts_for_preemption() -> None:
    """n1 has the volume, and a pod to keep away from; n2 only the latter; n3 is tainted and has no volume either."""
    keeps_away = [make_pod(f"q{node}", labels={"app": "x"}, nodeSelector={HOSTNAME: f"n{node}"}) for node in (1, 2)]
    played = play(
        [*CLASSES, *nodes(2), make_node("n3", taints=TAINTED), local("v1", "n1")],
        [apply(*keeps_away, at="1s"),
         apply(claim(), pod(affinity=apart("x")), when="Pod/q1 is ready and Pod/q2 is ready")],
    )
    assert full_message(played, "p") == (
        f"0/3 nodes are available: 1 {NB}, 1 node(s) didn't match pod anti-affinity rules, "
        f"1 node(s) had untolerated taint(s). {TAIL}0/3 nodes are available: "
        f"1 No preemption victims found for incoming pod, 2 {NOT_HELPFUL}"
    )


CONTRADICTION = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]} for name in ("n1", "n2")]}]}}}


@pytest.mark.rule("VB-162", "VB-125", "VB-124")
@pytest.mark.parametrize(("spec", "claims", "message"), [
    ({}, ("c", "gone"), 'persistentvolumeclaim "gone" not found'),
    ({"affinity": CONTRADICTION}, ("c", "gone"), "pod affinity terms conflict"),
    ({}, ("c",), "pod has unbound immediate PersistentVolumeClaims"),
    ({}, ("lost", "c"), 'persistentvolumeclaim "lost" bound to non-existent persistentvolume "v"'),
])
def test_the_first_plug_in_that_refuses_outright_speaks_alone(
    spec: dict[str, Any], claims: tuple[str, ...], message: str
) -> None:
    at = Bench(*nodes(2), make_class("now"), make_claim("c", storage_class="now"))
    lost = make_claim("lost", storage_class="now", volumeName="v")
    at.put(evolve(lost, status=evolve(lost.status, phase="Lost")))
    at.put(make_pod("p", claims=claims, **spec))
    at.cycle()
    assert at.events[-1].message.startswith(f"0/2 nodes are available: {message}")


# --- what becomes of the pod's claims -------------------------------------------------------------------------------


@pytest.mark.rule("VB-131", "VB-129")
def test_a_node_may_have_two_things_wrong_with_its_volumes() -> None:
    played = play(
        [*CLASSES, *nodes(3), local("v1", "n1", "now")],
        [apply(claim("a", "now"), at="1s"),
         apply(claim("b"), pod("p", "a", "b"), when="PersistentVolumeClaim/a is bound")],
    )
    assert played.refusal("p") == f"2 {NA}, 3 {NB}"


@pytest.mark.rule("VB-134", "VB-137", "VB-135")
def test_a_pod_takes_the_volume_that_is_there_and_has_the_other_made_on_the_same_node() -> None:
    played = play(
        [*CLASSES, *nodes(3), local("v2", "n2", "made"), local("w3", "n3")],
        [apply(claim("a", "made"), claim("b", "made"), pod("p", "a", "b", nodeSelector={HOSTNAME: "n2"}),
               claim("d", "made"), claim("e"), pod("q", "d", "e"), at="1s")],
        drivers={CSI: StorageDriver(topology=HOSTNAME)},
    )
    assert played.run.verdict == "converged"
    assert sorted([played.volume_of("a"), played.volume_of("b")])[1] == "v2"
    assert played.node_of("q") == "n3" and played.volume_of("e") == "w3"
    annotations = [played.claim(name).metadata.annotations.get(SELECTED_NODE) for name in "abde"]
    assert sorted(map(str, annotations)) == ["None", "None", "n2", "n3"]


@pytest.mark.rule("VB-139", "VB-155", "VB-138")
def test_a_retry_is_refused_when_the_room_has_gone_meanwhile() -> None:
    capacity = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity", "metadata": {"name": "n1"},
                "storageClassName": "made", "capacity": "5Gi", "nodeTopology": {"matchLabels": {HOSTNAME: "n1"}}}
    driver = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": CSI},
              "spec": {"storageCapacity": True}}
    played = play(
        [*CLASSES, *nodes(2), driver, capacity],
        [apply(claim(storage_class="made"), pod(), at="1s"),
         {"at": "300s", "patch": "CSIStorageCapacity/n1", "to": {"capacity": "0"}}],
        drivers={CSI: StorageDriver(absent=True)}, until="700s",
    )
    assert played.events("p", "FailedScheduling")[0].endswith("binding volumes: context deadline exceeded")
    assert played.refusal("p") == f"1 node(s) did not have enough free storage, 1 {NB}"


@pytest.mark.rule("VB-148", "VB-149", "VB-25")
@pytest.mark.parametrize("kind", ["wait", "made"])
def test_what_is_older_than_the_own_write_is_waited_for(kind: str) -> None:
    """The first polls see neither the claimRef nor the selected node that this very binding has written."""
    played = play([*CLASSES, *nodes(1), local("v", "n1")], [apply(claim(storage_class=kind), pod(), at="1s")],
                  latency={"watch": "2500ms"})
    assert played.run.verdict == "converged" and not played.events("p", "FailedScheduling")
    bound, = (entry.time for entry in played.entries if entry.verb == "bind")
    written = next(entry.time for entry in played.entries if entry.actor == "scheduler" and entry.verb == "update")
    assert bound - written > 5 * SECOND


@pytest.mark.rule("VB-147")
def test_a_time_out_of_zero_fails_at_once() -> None:
    volume = make_volume("v", node="n1", storage_class="wait", phase="Available")
    at = Bench(make_class("wait", mode="WaitForFirstConsumer"), make_node("n1"), make_claim("c", storage_class="wait"),
               volume, scheduler=Scheduler(bind_timeout=0))
    at.put(make_pod("p", claims=("c",)))
    at.cycle()
    flow = at.run_spawned()
    while not isinstance(flow.intent, Poll):
        flow.answer(flow.intent.obj if hasattr(flow.intent, "obj") else at.store.get(Pod, "p", "default"))
    assert flow.intent.deadline == 0


# --- what wakes a pod -----------------------------------------------------------------------------------------------

OTHER = make_claim("other", storage_class="wait")
WAKERS: list[tuple[str, dict[str, Any], bool]] = [
    ("a pod goes", {"delete": "Pod/q"}, False),
    ("a volume goes at last", {"patch": "PersistentVolume/going", "to": {"metadata": {"finalizers": None}}}, False),
    ("a claim goes", {"delete": "PersistentVolumeClaim/other"}, False),
    ("a driver",
     apply({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": CSI}, "spec": {}}), False),
    ("another claim", apply(make_claim("new", storage_class="wait")), False),
    ("a class changes", {"patch": "StorageClass/wait", "to": {"metadata": {"labels": {"a": "b"}}}}, False),
    ("a taint, though not registered: SC-27", {"taint": "Node/n1", "taints": ["a=b:PreferNoSchedule"]}, True),
    ("a volume comes", apply(local("v9", "n1", "now")), True),
    ("a volume changes", {"patch": "PersistentVolume/far", "to": {"metadata": {"labels": {"a": "b"}}}}, True),
    ("its claim changes", {"patch": "PersistentVolumeClaim/c", "to": {"metadata": {"labels": {"a": "b"}}}}, True),
    ("a class comes", apply(make_class("x")), True),
    ("its class changes its topology",
     {"patch": "StorageClass/wait",
      "to": {"allowedTopologies": [{"matchLabelExpressions": [{"key": HOSTNAME, "values": ["n1"]}]}]}}, True),
    ("a node comes", apply(make_node("n9")), True),
    ("a node's label changes", {"patch": "Node/n1", "to": {"metadata": {"labels": {"a": "b"}}}}, True),
]


@pytest.mark.rule("VB-156")
@pytest.mark.parametrize(("name", "what", "wakes"), WAKERS, ids=[name for name, *_ in WAKERS])
def test_what_wakes_a_pod_that_waits_for_a_volume(name: str, what: dict[str, Any], wakes: bool) -> None:
    played = play(
        [*CLASSES, *nodes(1), local("far", "elsewhere", "now"),
         with_meta(local("going", "elsewhere", "now"), finalizers=("example.com/hold",))],
        [apply(OTHER, make_pod("q"), claim(), at="1s"), {"delete": "PersistentVolume/going"},
         apply(pod(), when="Pod/q is ready"), {"at": "60s", **what}],
        until="250s",
    )
    attempts = [entry.time for entry in played.entries if entry.verb == "schedule-failed" and entry.key.name == "p"]
    assert (len([time for time in attempts if time > 59 * SECOND]) > 0) == wakes


# --- neighbours -----------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-163")
def test_a_more_important_pod_drives_the_user_of_an_exclusive_claim_away() -> None:
    important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"},
                 "value": 10}
    played = play(
        [*CLASSES, *nodes(2), important, local("v", "n1", modes=("ReadWriteOncePod",))],
        [apply(claim(modes=("ReadWriteOncePod",)), pod("low", "c"), at="1s"),
         apply(pod("high", "c", priorityClassName="high"), when="Pod/low is ready")],
    )
    assert played.phase("Pod", "low") == "gone" and played.node_of("high") == "n1"
    assert played.run.verdict == "converged"


@pytest.mark.rule("VB-164")
def test_two_pods_share_a_claim_of_read_write_once_on_one_node() -> None:
    played = play([*CLASSES, *nodes(3), local("v", "n2")], [apply(claim(), pod("a", "c"), pod("b", "c"), at="1s")])
    assert played.node_of("a") == played.node_of("b") == "n2" and played.run.verdict == "converged"


@pytest.mark.rule("VB-165")
def test_the_zone_of_a_volume_counts_from_the_second_attempt_on() -> None:
    zone = "topology.kubernetes.io/zone"
    volume = with_meta(local("v", "n1"), labels={zone: "b"})
    played = play(
        [*CLASSES, make_node("n1", labels={zone: "a"}), volume],
        [apply(claim(), pod(), at="1s"), {"when": "Pod/p is ready", "delete": "Pod/p"},
         apply(pod(), when="Pod/p is gone")],
    )
    assert played.before(2).node_of("p") == "n1"
    assert played.refusal("p") == "1 node(s) had no available volume zone"


@pytest.mark.rule("VB-168")
def test_the_second_replica_is_not_sent_where_the_first_one_went() -> None:
    played = play(
        [*CLASSES, *nodes(2), local("v1", "n1"), local("v2", "n2")],
        [apply(make_set("web", replicas=2, storage_class="wait", anti_affinity=False, podManagementPolicy="Parallel"),
               at="1s")],
    )
    assert {played.node_of("web-0"), played.node_of("web-1")} == {"n1", "n2"}


@pytest.mark.rule("VB-175")
def test_a_claim_that_is_being_deleted_stops_its_next_pod_and_not_the_one_that_runs() -> None:
    played = play(
        [*CLASSES, *nodes(1), local("v1", "n1"), local("v2", "n1")],
        [apply(claim(), pod("a", "c"), at="1s"), {"when": "Pod/a is ready", "delete": "PersistentVolumeClaim/c"},
         apply(pod("b", "c"), at="20s"), {"at": "60s", "delete": "Pod/a"},
         apply(claim(), when="PersistentVolumeClaim/c is gone")],
    )
    then = played.before(4)
    assert then.pod("a").is_ready and then.refusal("b") == 'persistentvolumeclaim "c" is being deleted'
    assert {then.volume_of("c"), played.volume_of("c")} == {"v1", "v2"} and played.run.verdict == "converged"
