"""Rules of the scheduling queue and of what the watch tells it, as the specification words them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.api.core import Pod
from simulator.api.meta import Key, evolve, with_annotations, with_meta
from simulator.scheduler.events import (
    ADD,
    ASSIGNED_POD,
    DELETE,
    LEFTOVER,
    NODE,
    POD,
    UNSCHEDULED_POD,
    UPDATE,
    UPDATE_NODE_LABEL,
    UPDATE_NODE_TAINT,
    UPDATE_POD_LABEL,
    UPDATE_POD_SCALE_DOWN,
    UPDATE_POD_TOLERATION,
    ClusterEvent,
    force_activate,
    matches,
    node_updates,
    pod_updates,
)
from simulator.scheduler.hints import Strategy, worth
from simulator.scheduler.queue import SchedulingQueue
from simulator.scheduler.records import QueueConfig
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_volume
from simulator.units import SECOND, Micros
from tests.scheduler.bench import Bench

PV_ADDED = ClusterEvent("PersistentVolume", ADD, None, make_volume("pv-1"))
POD_KEY = Key("Pod", "default", "web-0")


def at(seconds: float) -> Micros:
    return round(seconds * SECOND)


def pod(name: str, priority: int = 0, version: int = 1, **spec: Any) -> Pod:
    return with_meta(make_pod(name, uid=f"uid-{name}", priority=priority, **spec), resource_version=version)


def tried(queue: SchedulingQueue, one: Pod, moment: float, *rejectors: str) -> None:
    """The pod is popped, which must be its turn, and its attempt fails at once."""
    record = queue.pop(at(moment))
    assert record is not None and record.pod == one
    queue.fail(one.metadata.uid, one, rejectors, at(moment))


def places(queue: SchedulingQueue, one: Pod) -> list[str]:
    kept = ("active", "backoff", "error_backoff", "unschedulable")
    found = [name for name in kept if one.key in getattr(queue, name)]
    return found + ["in flight"] * (one.metadata.uid in queue.in_flight)


# --- places and records ---------------------------------------------------------------------------------------------

STEPS = st.lists(st.tuples(st.sampled_from(["pop", "refuse", "err", "event", "flush", "land", "activate"]),
                           st.integers(0, 2), st.integers(0, 4_000_000)), max_size=25)


@pytest.mark.rule("SC-2")
@given(steps=STEPS)
def test_whatever_happens_a_waiting_pod_is_in_exactly_one_place(steps: list[tuple[str, int, int]]) -> None:
    queue, now = SchedulingQueue(), at(1)
    pods = [pod(f"web-{number}") for number in range(3)]
    for one in pods:
        queue.add(one, now)
    binding: list[Pod] = []
    for step, number, passed in steps:
        now += passed
        one = pods[number]
        if step == "pop":
            queue.pop(now)
        elif step == "event":
            queue.move(PV_ADDED, now)
        elif step == "flush":
            queue.flush_leftovers(now + at(301))
        elif step == "activate" and one not in binding:
            queue.activate(one)
        elif one.metadata.uid in queue.in_flight and step in ("refuse", "err"):
            queue.fail(one.metadata.uid, one, ["VolumeBinding"] * (step == "refuse"), now)
        elif one.metadata.uid in queue.in_flight and step == "land":
            queue.done(one.metadata.uid)
            binding.append(one)
        for each in pods:
            assert len(places(queue, each)) == (0 if each in binding else 1)


@pytest.mark.rule("SC-3")
@pytest.mark.rule("SC-12")
def test_the_record_keeps_attempts_failures_and_who_refused() -> None:
    queue, one = SchedulingQueue(), pod("web-0")
    queue.add(one, at(1))

    def kept() -> Any:
        record = queue.find(one.key)
        assert record is not None
        return (record.timestamp, record.attempts, record.unschedulable, record.errors, record.rejectors)

    assert kept() == (at(1), 0, 0, 0, frozenset())
    tried(queue, one, 2, "VolumeBinding", "NodeAffinity")
    assert kept() == (at(2), 1, 1, 0, frozenset({"VolumeBinding", "NodeAffinity"}))
    queue.move(PV_ADDED, at(9))
    tried(queue, one, 10)
    assert kept() == (at(10), 2, 1, 1, frozenset())
    tried(queue, one, 20)
    assert kept() == (at(20), 3, 1, 2, frozenset())
    tried(queue, one, 30, "VolumeBinding")
    assert kept() == (at(30), 4, 2, 0, frozenset({"VolumeBinding"})), "a refusal ends the row of errors, not its own"


@pytest.mark.rule("SC-4")
def test_neither_name_nor_uid_orders_the_active_queue() -> None:
    queue = SchedulingQueue()
    for name, priority, moment in (("a", 0, 3), ("z", 0, 1), ("b", 0, 2), ("c", -1, 0), ("d", 7, 9)):
        queue.add(pod(name, priority), at(moment))
    queue.add(with_meta(make_pod("no-priority", uid="n"), resource_version=1), at(2.5))
    order = [record.pod.name for _ in range(6) if (record := queue.pop(at(10))) is not None]
    assert order == ["d", "z", "b", "no-priority", "a", "c"]


@pytest.mark.rule("SC-5")
def test_updates_and_moves_leave_the_timestamp() -> None:
    queue, one = SchedulingQueue(), pod("web-0")
    queue.add(one, at(1))
    newer = with_meta(one, resource_version=2, labels={"x": "1"})
    queue.update(one, newer, at(2))
    tried(queue, newer, 3, "VolumeBinding")
    queue.move(PV_ADDED, at(3.1))
    assert places(queue, one) == ["backoff"]
    record = queue.find(one.key)
    assert record is not None and record.timestamp == at(3)


@pytest.mark.rule("SC-6")
def test_pods_that_failed_with_an_error_are_never_taken_early() -> None:
    queue, wrong, refused = SchedulingQueue(), pod("wrong", priority=9), pod("refused")
    queue.add(wrong, at(1))
    tried(queue, wrong, 1.5)
    queue.add(refused, at(1.6))
    tried(queue, refused, 1.6, "VolumeBinding")
    assert queue.head(at(1.7)) is None
    queue.move(PV_ADDED, at(1.7))
    assert (places(queue, wrong), places(queue, refused)) == (["error_backoff"], ["backoff"])
    head = queue.head(at(1.7))
    assert head is not None and head.pod.name == "refused"
    record = queue.pop(at(1.8))
    assert record is not None and record.pod.name == "refused" and queue.pop(at(1.9)) is None
    record = queue.pop(at(3))
    assert record is not None and record.pod.name == "wrong"


@pytest.mark.rule("SC-7")
@pytest.mark.parametrize(("initial", "most", "lengths"), [
    (1, 10, [1, 2, 4, 8, 10, 10]), (1, 0, [0, 0, 0, 0, 0, 0]), (3, 10, [3, 6, 10, 10, 10, 10]),
    (5, 4, [4, 4, 4, 4, 4, 4]),
])
def test_the_back_off_doubles_up_to_its_limit(initial: int, most: int, lengths: list[int]) -> None:
    queue = SchedulingQueue(QueueConfig(at(initial), at(most)))
    one = pod("web-0")
    queue.add(one, 0)
    moment = 0
    for length in lengths:
        tried(queue, one, moment)
        record = queue.find(one.key)
        assert record is not None and queue.backoff_until(record) - at(moment) == at(length)
        moment += 100
    assert queue.is_backing_off(record, at(moment - 100)) is (most > 0)  # type: ignore[arg-type]


@pytest.mark.rule("SC-8")
@pytest.mark.parametrize(("failed", "length", "released"), [(12.3, 1, 14), (12.0, 1, 14), (12.9, 4, 17)])
def test_a_back_off_ends_with_the_second_after_its_last(failed: float, length: int, released: int) -> None:
    queue = SchedulingQueue(QueueConfig(at(length), at(10)))
    one = pod("web-0")
    queue.add(one, at(1))
    tried(queue, one, failed)
    assert queue.next_release() == at(released)
    assert queue.pop(at(released) - 1) is None and queue.pop(at(released)) is not None


@pytest.mark.rule("SC-9")
@pytest.mark.rule("SC-21")
def test_gates_are_not_asked_when_the_back_off_runs_out() -> None:
    queue, one = SchedulingQueue(), pod("web-0")
    queue.add(one, at(1))
    tried(queue, one, 1, "NodeResourcesFit")
    queue.move(ClusterEvent(NODE, ADD, None, make_node("n")), at(1.2))
    assert places(queue, one) == ["backoff"]
    queue.preempting[one.metadata.uid] = None
    record = queue.pop(at(9))
    assert record is not None and record.gate == "", "the gates were asked on entry"


@pytest.mark.rule("SC-10")
def test_back_offs_that_end_together_go_by_priority_and_those_of_errors_by_their_end_alone() -> None:
    def failed(*rejectors: str) -> SchedulingQueue:
        queue, low, high = SchedulingQueue(), pod("low"), pod("high", 5)
        for one in (low, high):
            queue.add(one, at(1))
            queue.pop(at(1))
        queue.fail(low.metadata.uid, low, rejectors, at(1.2))
        queue.fail(high.metadata.uid, high, rejectors, at(1.3))
        return queue

    queue = failed("VolumeBinding")
    queue.move(PV_ADDED, at(1.4))
    assert [record.pod.name for record in queue.backoff.sorted()] == ["high", "low"], "one second, higher priority"
    queue = failed()
    assert [record.pod.name for record in queue.error_backoff.sorted()] == ["low", "high"]


@pytest.mark.rule("SC-13")
@pytest.mark.rule("SC-14")
@pytest.mark.rule("SC-21")
def test_a_gated_pod_hears_only_what_its_gate_has_registered_for() -> None:
    queue, one = SchedulingQueue(), pod("web-0")
    queue.add(one, at(1))
    tried(queue, one, 1, "NodeResourcesFit", "VolumeBinding")
    queue.preempting[one.metadata.uid] = None
    freed = ClusterEvent(ASSIGNED_POD, DELETE, make_pod("victim", uid="v", nodeName="n"))
    queue.move(freed, at(9))
    record = queue.find(one.key)
    assert record is not None and record.gate == "DefaultPreemption"
    del queue.preempting[one.metadata.uid]
    queue.move(PV_ADDED, at(10))
    queue.flush_leftovers(at(500))
    assert places(queue, one) == ["unschedulable"], "neither a volume nor the flush concerns the gate"
    queue.move(freed, at(501))
    assert places(queue, one) == ["active"]


# --- events ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-14")
def test_pods_that_are_active_or_back_off_do_not_care_for_events() -> None:
    queue, active, waiting = SchedulingQueue(), pod("active", 5), pod("waiting")
    queue.add(waiting, at(1))
    tried(queue, waiting, 1)
    queue.add(active, at(1))
    before = (list(queue.active.records.values()), list(queue.error_backoff.records.values()))
    queue.move(PV_ADDED, at(1.5))
    assert (list(queue.active.records.values()), list(queue.error_backoff.records.values())) == before


@pytest.mark.rule("SC-14")
@pytest.mark.rule("SC-15")
@pytest.mark.rule("SC/ND-10")
def test_events_are_kept_as_long_as_the_oldest_pod_in_flight_needs_them() -> None:
    queue = SchedulingQueue()
    for name in ("one", "two"):
        queue.add(pod(name), at(1))
    queue.pop(at(1))
    queue.move(PV_ADDED, at(1.1))
    queue.pop(at(1.2))
    queue.move(PV_ADDED, at(1.3))
    assert len(queue.events) == 2
    queue.done("uid-one")
    assert len(queue.events) == 1
    queue.fail("uid-two", pod("two"), ["VolumeBinding"], at(1.4))
    assert queue.events == [] and places(queue, pod("two")) == ["backoff"]


@pytest.mark.rule("SC-16")
@pytest.mark.parametrize(("rejectors", "pending", "event", "expected"), [
    ((), (), PV_ADDED, Strategy.AFTER_BACKOFF),
    (("VolumeBinding",), (), LEFTOVER, Strategy.AFTER_BACKOFF),
    (("VolumeBinding",), (), force_activate(pod("web-0")), Strategy.AFTER_BACKOFF),
    (("VolumeBinding",), (), force_activate(pod("other")), Strategy.SKIP),
    (("VolumeBinding",), (), PV_ADDED, Strategy.AFTER_BACKOFF),
    (("NodeAffinity",), (), PV_ADDED, Strategy.SKIP),
    (("NodeAffinity", "VolumeBinding"), (), PV_ADDED, Strategy.AFTER_BACKOFF),
    (("NodeAffinity",), ("VolumeBinding",), PV_ADDED, Strategy.IMMEDIATELY),
    (("VolumeBinding",), ("NodeAffinity",), PV_ADDED, Strategy.AFTER_BACKOFF),
])
def test_what_an_event_is_worth(rejectors: Any, pending: Any, event: ClusterEvent, expected: Strategy) -> None:
    assert worth(pod("web-0"), rejectors, pending, event) is expected


@pytest.mark.rule("SC-17")
@pytest.mark.parametrize(("resource", "mask", "event", "expected"), [
    (POD, DELETE, ClusterEvent(ASSIGNED_POD, DELETE), True),
    (POD, UPDATE_POD_LABEL, ClusterEvent(UNSCHEDULED_POD, UPDATE_POD_LABEL), True),
    (ASSIGNED_POD, DELETE, ClusterEvent(UNSCHEDULED_POD, DELETE), False),
    (NODE, ADD, ClusterEvent(POD, ADD), False),
    (NODE, ADD | UPDATE_NODE_LABEL, ClusterEvent(NODE, UPDATE_NODE_TAINT), False),
    (NODE, UPDATE_NODE_LABEL | UPDATE_NODE_TAINT, ClusterEvent(NODE, UPDATE_NODE_TAINT), True),
    (POD, UPDATE_POD_LABEL, ClusterEvent(ASSIGNED_POD, UPDATE), False),
    (POD, UPDATE, ClusterEvent(ASSIGNED_POD, UPDATE), True),
    (POD, UPDATE, ClusterEvent(ASSIGNED_POD, UPDATE_POD_LABEL), True),
])
def test_a_registration_takes_in_what_it_overlaps_and_does_not_exceed(
    resource: str, mask: int, event: ClusterEvent, expected: bool
) -> None:
    assert matches(resource, mask, event) is expected


@pytest.mark.rule("SC-18")
def test_an_update_without_a_new_version_is_ignored() -> None:
    queue, one = SchedulingQueue(), pod("web-0")
    queue.update(one, one, at(1))
    assert places(queue, one) == []


@pytest.mark.rule("SC-13")
@pytest.mark.parametrize(("failed", "tried_again"), [(12.3, 330), (30.0, 360), (29.999, 330)])
def test_leftovers_wait_for_more_than_five_minutes_and_the_next_half_minute(failed: float, tried_again: int) -> None:
    queue, one = SchedulingQueue(), pod("web-0")
    queue.add(one, at(1))
    tried(queue, one, failed, "VolumeBinding")
    flushes = [moment for moment in range(0, 400, 30) if queue.leftovers(at(moment))]
    assert flushes[0] == tried_again
    queue.flush_leftovers(at(tried_again))
    assert places(queue, one) == ["active"]


# --- nominations ----------------------------------------------------------------------------------------------------


def nominated_to(one: Pod, node: str) -> Pod:
    return evolve(one, status=evolve(one.status, nominated_node_name=node))


@pytest.mark.rule("SC-22")
def test_an_explicit_nomination_wins_an_empty_one_removes_and_none_leaves_it_to_the_status() -> None:
    queue, one = SchedulingQueue(), nominated_to(pod("web-0"), "a")
    for explicit, node in (("b", "b"), (None, "a"), ("", ""), (None, "a")):
        queue.nominator.add(one, explicit)
        assert queue.nominator.node_of("uid-web-0") == node
    queue.nominator.update(one, nominated_to(pod("web-0"), ""))
    assert queue.nominator.node_of("uid-web-0") == "", "the status took it away"


@pytest.mark.rule("SC-22")
@pytest.mark.rule("SC-98")
def test_a_nomination_ends_when_the_pod_is_assumed() -> None:
    bench = Bench(make_node("a"), nominated_to(make_pod("web-0"), "a"))
    assert bench.memory.queue.nominator.node_of("uid-web-0") == "a"
    bench.cycle()
    assert bench.memory.queue.nominator.node_of("uid-web-0") == ""


@pytest.mark.rule("SC-23")
@pytest.mark.parametrize("node", ["", "node-2"])
def test_a_nomination_that_is_cleared_or_changed_may_help_others(node: str) -> None:
    bench = Bench(make_node("node-1", cpu="1"), make_pod("there", cpu="1", nodeName="node-1", priority=100))
    nominated = nominated_to(make_pod("nominated", cpu="1", schedulingGates=[{"name": "wait"}]), "node-1")
    stored = bench.put(nominated)
    bench.put(make_pod("low", cpu="1", preemptionPolicy="Never"))
    bench.cycle()
    assert Key("Pod", "default", "low") in bench.memory.queue.unschedulable
    bench.put(with_meta(stored, labels={"x": "y"}))
    assert Key("Pod", "default", "low") in bench.memory.queue.unschedulable
    bench.put(nominated_to(nominated, node))
    assert Key("Pod", "default", "low") not in bench.memory.queue.unschedulable


@pytest.mark.rule("SC-23")
def test_only_pods_of_at_most_the_priority_of_the_nominated_one_are_woken() -> None:
    bench = Bench(make_node("node-1", cpu="1"), make_pod("there", cpu="1", nodeName="node-1", priority=100))
    nominated = make_pod("nominated", cpu="1", priority=5, schedulingGates=[{"name": "wait"}])
    bench.put(nominated_to(nominated, "node-1"))
    for name, priority in (("low", 4), ("equal", 5), ("high", 6)):
        bench.put(make_pod(name, cpu="1", priority=priority, preemptionPolicy="Never"))
        bench.cycle()
    assert len(bench.memory.queue.unschedulable) == 4
    bench.remove(nominated)
    assert [key.name for key in bench.memory.queue.unschedulable] == ["high"]


# --- what the watch shows -------------------------------------------------------------------------------------------


def waiting_for(plugin: str, *objects: Any, **spec: Any) -> Bench:
    """A bench where web-0 has been refused by a plug-in."""
    bench = Bench(*objects)
    one = bench.put(make_pod("web-0", **spec))
    bench.memory.queue.pop(0)
    bench.memory.queue.fail(one.metadata.uid, one, [plugin], 0)  # type: ignore[arg-type]
    return bench


def is_woken(bench: Bench) -> bool:
    return POD_KEY not in bench.memory.queue.unschedulable


@pytest.mark.rule("SC-25")
def test_a_bound_pod_is_an_event_when_the_watch_shows_it_and_not_when_it_is_assumed() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    bench = waiting_for("InterPodAffinity", make_node("node-1"), affinity=affinity)
    peer = bench.put(make_pod("db", labels={"app": "db"}))
    bench.cycle()
    assert len(bench.memory.cache.nodes()[0].pods) == 1 and not is_woken(bench)
    bench.change(peer, spec=evolve(peer.spec, node_name="node-1"))  # type: ignore[attr-defined]
    assert is_woken(bench)


@pytest.mark.rule("SC-25")
def test_a_pod_that_completes_is_as_good_as_deleted_and_one_that_terminates_is_not() -> None:
    bench = waiting_for("NodeResourcesFit", make_node("node-1"), make_pod("there", nodeName="node-1"), cpu="1")
    there: Any = bench.store.find(Key("Pod", "default", "there"))
    there = bench.put(with_meta(there, deletion_timestamp=1))
    assert not is_woken(bench)
    bench.put(evolve(there, status=evolve(there.status, phase="Succeeded")))
    assert is_woken(bench)


@pytest.mark.rule("SC-25")
def test_a_request_that_goes_is_a_smaller_one_and_only_the_number_of_tolerations_counts() -> None:
    def actions(old: Pod, new: Pod) -> list[int]:
        return [event.action for event in pod_updates(old, new)]

    one = {"key": "a", "operator": "Exists"}
    assert actions(pod("p", tolerations=[one]), pod("p", tolerations=[{**one, "key": "b"}])) == [UPDATE]
    assert actions(pod("p", tolerations=[one]), pod("p", tolerations=[one, one])) == [UPDATE_POD_TOLERATION]
    assert actions(pod("p", cpu="1", memory="1Gi"), pod("p", cpu="1")) == [UPDATE_POD_SCALE_DOWN]
    assert actions(pod("p", cpu="1"), pod("p", cpu="1", memory="1Gi")) == [UPDATE]


@pytest.mark.rule("SC-25")
def test_only_lifting_a_cordon_is_a_change_of_taints() -> None:
    free, cordoned = make_node("n"), make_node("n", unschedulable=True)
    assert node_updates(free, cordoned) == []
    assert [event.action for event in node_updates(cordoned, free)] == [UPDATE_NODE_TAINT]


@pytest.mark.rule("SC-25")
@pytest.mark.parametrize("change", [
    lambda node: evolve(node, status=evolve(node.status, images=())),
    lambda node: with_annotations(node, {"a": "b"}),
    lambda node: evolve(node, status=evolve(node.status, conditions=tuple(
        evolve(each, last_heartbeat_time=77) for each in node.status.conditions))),
])
def test_heartbeats_images_and_annotations_of_a_node_wake_nobody(change: Any) -> None:
    bench = waiting_for("VolumeBinding", make_node("node-1"))
    bench.put(change(bench.store.find(Key("Node", "", "node-1"))))
    assert not is_woken(bench)


@pytest.mark.rule("SC-26")
@pytest.mark.rule("SC-25")
def test_a_claim_wakes_only_pods_that_name_it_and_its_deletion_nobody() -> None:
    bench = waiting_for("VolumeBinding", make_node("node-1"), claims=("data",))
    bench.put(make_claim("other"))
    bench.put(make_claim("data", namespace="elsewhere"))
    assert not is_woken(bench)
    bench.put(make_claim("data"))
    assert is_woken(bench)
    bench = waiting_for("VolumeBinding", make_node("node-1"), make_claim("data"), make_volume("pv"), make_class("c"))
    for gone in (make_claim("data"), make_volume("pv"), make_class("c")):
        bench.remove(gone)
        assert not is_woken(bench)


@pytest.mark.rule("SC-27")
def test_any_taint_change_retries_a_pod_refused_for_its_volumes() -> None:
    for change in ({"taints": [{"key": "k", "effect": "NoSchedule"}]}, {"unschedulable": True}):
        bench = waiting_for("VolumeBinding", make_node("node-1"), make_node("node-2", unschedulable=True))
        bench.put(make_node("node-1", **change))
        assert is_woken(bench) is ("taints" in change), "cordoning alone is no event before the taint follows"
        bench.put(make_node("node-2"))
        assert is_woken(bench)
    bench = waiting_for("NodeVolumeLimits", make_node("node-1", unschedulable=True))
    bench.put(make_node("node-1"))
    bench.put(make_node("node-2"))
    assert not is_woken(bench), "NodeVolumeLimits hears of no node"


@pytest.mark.rule("SC-30")
def test_the_patch_of_its_own_status_leaves_a_refused_pod_where_it_is() -> None:
    bench = Bench(make_node("node-1", cpu="1"), make_pod("web-0", cpu="2"))
    run = bench.cycle()
    run.answer(bench.put(run.intent.edit(bench.store.find(POD_KEY), *run.intent.args)))
    stored: Any = bench.store.find(POD_KEY)
    assert stored.condition("PodScheduled") is not None and not is_woken(bench)


@pytest.mark.rule("SC-18")
@pytest.mark.rule("SC-107")
def test_an_update_during_the_attempt_is_only_recorded_and_the_pod_goes_back_as_it_is_now() -> None:
    bench = Bench(*(make_node(name, cpu="1") for name in "ab"),
                  *(make_pod(f"victim-{name}", cpu="1", nodeName=name) for name in "ab"))
    bench.put(make_pod("web-0", cpu="1", priority=5))
    run = bench.cycle()
    assert run.intent.point == "preemption"
    stored: Any = bench.store.find(POD_KEY)
    bench.put(with_meta(stored, labels={"new": "1"}))
    assert bench.memory.queue.find(POD_KEY) is None and len(bench.memory.queue.events) == 1
    run.answer(run.intent.options[0])
    record = bench.memory.queue.find(POD_KEY)
    assert record is not None and record.pod.metadata.labels == {"new": "1"}
    assert bench.memory.queue.events == []
