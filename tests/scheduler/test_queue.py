"""The scheduling queue, against the rules and the timeline vectors of the specification."""

from __future__ import annotations

import pytest

from simulator.api.core import Pod, PodSchedulingGate
from simulator.api.meta import evolve, with_meta
from simulator.scheduler.events import ADD, ASSIGNED_POD, DELETE, UPDATE, ClusterEvent
from simulator.scheduler.queue import SchedulingQueue
from simulator.scheduler.records import QueueConfig, QueuedPod
from simulator.testing.builders import make_pod, make_volume
from simulator.units import SECOND, Micros

PV_ADDED = ClusterEvent("PersistentVolume", ADD, None, make_volume("pv-1"))


def at(seconds: float) -> Micros:
    return round(seconds * SECOND)


def pod(name: str, priority: int = 0, version: int = 1) -> Pod:
    return with_meta(make_pod(name, uid=f"uid-{name}", priority=priority), resource_version=version)


def popped(queue: SchedulingQueue, now: Micros) -> QueuedPod:
    record = queue.pop(now)
    assert record is not None
    return record


def refused(queue: SchedulingQueue, name: str, popped_at: float, failed_at: float,
            plugin: str = "VolumeBinding") -> Pod:
    """A pod that came, was tried and refused once."""
    one = pod(name)
    queue.add(one, at(popped_at))
    assert popped(queue, at(popped_at)).pod == one
    queue.fail(one.metadata.uid, one, [plugin], at(failed_at))
    return one


def place(queue: SchedulingQueue, one: Pod) -> str:
    """Where a pod is; fails if it is in more than one place (SC-2)."""
    places = [
        *("active" for _ in range(one.key in queue.active)),
        *("backoff" for _ in range(one.key in queue.backoff)),
        *("error back-off" for _ in range(one.key in queue.error_backoff)),
        *("unschedulable" for _ in range(one.key in queue.unschedulable)),
        *("in flight" for _ in range(one.metadata.uid in queue.in_flight)),
    ]
    assert len(places) <= 1
    return places[0] if places else "nowhere"


# --- order ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-4")
def test_higher_priority_goes_first_and_then_the_earlier_pod() -> None:
    queue = SchedulingQueue()
    for name, priority, came in [("late", 0, 3), ("early", 0, 1), ("high", 5, 4), ("negative", -1, 0)]:
        queue.add(pod(name, priority), at(came))
    assert [popped(queue, at(5)).pod.name for _ in range(4)] == ["high", "early", "late", "negative"]
    assert queue.pop(at(5)) is None


@pytest.mark.rule("SC-4")
def test_pods_with_one_timestamp_go_in_the_order_in_which_they_came() -> None:
    queue = SchedulingQueue()
    for name in ["web-2", "web-0", "web-1"]:
        queue.add(pod(name), at(1))
    assert [popped(queue, at(1)).pod.name for _ in range(3)] == ["web-2", "web-0", "web-1"]


@pytest.mark.rule("SC-5")
def test_a_retried_pod_goes_before_one_created_after_its_failure() -> None:
    queue = SchedulingQueue()
    old = refused(queue, "old", 1, 1)
    queue.add(pod("new"), at(10))
    queue.move(PV_ADDED, at(11))
    assert popped(queue, at(11)).pod == old


@pytest.mark.rule("SC-6")
def test_attempts_are_counted_and_rejectors_forgotten_when_a_pod_is_popped() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 1, 1)
    queue.move(PV_ADDED, at(1))
    record = popped(queue, at(1))
    assert (record.attempts, record.rejectors) == (2, frozenset())
    assert place(queue, one) == "in flight"


@pytest.mark.rule("SC-6")
def test_a_pod_already_in_flight_is_dropped_when_its_turn_comes() -> None:
    queue = SchedulingQueue()
    queue.add(pod("web-0"), at(1))
    popped(queue, at(1))
    queue.add(pod("web-0"), at(2))
    queue.add(pod("web-1"), at(3))
    head = queue.head(at(3))
    assert head is not None and head.pod.name == "web-1"
    assert popped(queue, at(3)).pod.name == "web-1"
    assert queue.pop(at(3)) is None


@pytest.mark.rule("SC-6")
def test_the_head_is_what_pop_takes_even_when_back_offs_have_run_out_meanwhile() -> None:
    queue = SchedulingQueue()
    failed = pod("failed", version=1)
    queue.add(failed, at(1))
    popped(queue, at(1))
    queue.fail(failed.metadata.uid, failed, [], at(1))
    queue.add(pod("new"), at(2))
    assert popped(queue, at(2)).pod.name == "new"
    queue.add(pod("newer"), at(2))
    head = queue.head(at(3))
    assert head is not None and head.pod == failed
    assert popped(queue, at(3)).pod == failed


# --- back-off -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-7")
def test_back_off_doubles_from_one_second_to_ten() -> None:
    queue = SchedulingQueue()
    lengths = []
    for count in range(7):
        record = QueuedPod(pod("web-0"), 0, 1, unschedulable=count)
        lengths.append(queue.backoff_until(record) // SECOND)
    assert lengths == [0, 1, 2, 4, 8, 10, 10]
    errors_count_first = QueuedPod(pod("web-0"), 0, 1, unschedulable=5, errors=2)
    assert queue.backoff_until(errors_count_first) == at(2)
    without = SchedulingQueue(QueueConfig(max_backoff=0))
    assert not without.is_backing_off(QueuedPod(pod("web-0"), 0, 1, errors=3), 0)


@pytest.mark.rule("SC-8")
@pytest.mark.parametrize(("failed", "count", "released"), [(12.3, 1, 14.0), (12.0, 1, 14.0), (12.9, 3, 17.0)])
def test_back_off_runs_out_on_the_whole_second_after_it(failed: float, count: int, released: float) -> None:
    queue = SchedulingQueue()
    record = QueuedPod(pod("web-0"), at(failed), 1, unschedulable=count)
    assert queue.is_backing_off(record, at(released) - 1)
    assert not queue.is_backing_off(record, at(released))


@pytest.mark.rule("SC-11")
def test_an_error_and_a_refusal_back_off_in_different_queues() -> None:
    queue = SchedulingQueue()
    one, other = pod("one"), pod("other")
    for each in (one, other):
        queue.add(each, at(1))
        popped(queue, at(1))
    queue.move(PV_ADDED, at(1))
    queue.fail(one.metadata.uid, one, [], at(1))
    queue.fail(other.metadata.uid, other, ["VolumeBinding"], at(1))
    assert (place(queue, one), place(queue, other)) == ("error back-off", "backoff")


@pytest.mark.rule("SC-10")
def test_the_pod_whose_back_off_ends_first_is_taken_early() -> None:
    queue = SchedulingQueue()
    for name, failed_at in [("second", 12.9), ("first", 11.0), ("third", 13.0)]:
        refused(queue, name, failed_at, failed_at)
    queue.move(PV_ADDED, at(11.5))
    assert [popped(queue, at(11.6)).pod.name for _ in range(3)] == ["first", "second", "third"]


@pytest.mark.rule("SC-12")
def test_counts_of_failures_follow_what_happened() -> None:
    queue = SchedulingQueue(QueueConfig(max_backoff=0))
    one = pod("web-0")
    queue.add(one, at(0))
    seen = []
    for rejectors in (["NodeAffinity"], [], [], ["NodeAffinity"]):
        popped(queue, at(1))
        queue.fail(one.metadata.uid, one, rejectors, at(1))
        record = queue.find(one.key)
        assert record is not None
        seen.append((record.unschedulable, record.errors))
        queue.activate(one)
    assert seen == [(1, 0), (1, 1), (1, 2), (2, 0)]


# --- timeline vectors -----------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-14")
@pytest.mark.rule("TL-1")
def test_tl_1_an_event_after_the_back_off_makes_the_pod_active_at_once() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 12.25, 12.3)
    assert place(queue, one) == "unschedulable"
    queue.move(PV_ADDED, at(15))
    assert place(queue, one) == "active"


@pytest.mark.rule("SC-6")
@pytest.mark.rule("TL-2")
@pytest.mark.rule("SC/ND-12")
def test_tl_2_an_event_during_the_back_off_is_acted_on_at_once_by_an_idle_scheduler() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 12.25, 12.3)
    queue.move(PV_ADDED, at(12.8))
    assert place(queue, one) == "backoff"
    assert popped(queue, at(12.8)).pod == one


@pytest.mark.rule("SC-9")
@pytest.mark.rule("TL-3")
def test_tl_3_a_busy_scheduler_takes_the_pod_when_its_back_off_has_run_out() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 12.25, 12.3)
    queue.move(PV_ADDED, at(12.8))
    for number in range(9):
        queue.add(pod(f"busy-{number}"), at(12.6))
    assert popped(queue, at(13.999)).pod.name == "busy-0"
    assert place(queue, one) == "backoff"
    assert popped(queue, at(14)).pod == one


@pytest.mark.rule("SC-15")
@pytest.mark.rule("TL-4")
def test_tl_4_an_event_in_flight_is_replayed_when_the_pod_comes_back() -> None:
    queue = SchedulingQueue()
    one = pod("web-0")
    queue.add(one, at(12.25))
    popped(queue, at(12.25))
    queue.move(PV_ADDED, at(12.27))
    queue.fail(one.metadata.uid, one, ["VolumeBinding"], at(12.3))
    assert place(queue, one) == "backoff"
    assert popped(queue, at(12.3)).pod == one


@pytest.mark.rule("SC-13")
@pytest.mark.rule("TL-5")
def test_tl_5_a_deleted_pod_does_not_help_volume_binding_and_the_flush_retries_after_five_minutes() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 12.25, 12.3)
    gone = make_pod("gone", uid="uid-gone", nodeName="node-1")
    queue.move(ClusterEvent(ASSIGNED_POD, DELETE, gone), at(20))
    assert place(queue, one) == "unschedulable"
    queue.flush_leftovers(at(312.3))
    assert place(queue, one) == "unschedulable"
    queue.flush_leftovers(at(330))
    assert place(queue, one) == "active"


@pytest.mark.rule("SC-11")
@pytest.mark.rule("TL-6")
def test_tl_6_an_error_backs_off_even_on_an_idle_scheduler() -> None:
    queue = SchedulingQueue()
    one = pod("web-0")
    queue.add(one, at(12.25))
    record = popped(queue, at(12.25))
    queue.done(one.metadata.uid)
    queue.fail(one.metadata.uid, one, [], at(12.3), record)
    assert place(queue, one) == "error back-off"
    assert queue.next_release() == at(14)
    assert queue.head(at(13.999)) is None
    assert popped(queue, at(14)).pod == one


# --- events ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-15")
def test_a_failing_pod_sees_exactly_the_events_after_its_own_pop() -> None:
    queue = SchedulingQueue()
    first, second = pod("first"), pod("second")
    for each in (first, second):
        queue.add(each, at(1))
    popped(queue, at(1))
    queue.move(PV_ADDED, at(1))
    popped(queue, at(1))
    queue.fail(second.metadata.uid, second, ["VolumeBinding"], at(1))
    assert place(queue, second) == "unschedulable"
    queue.fail(first.metadata.uid, first, ["VolumeBinding"], at(1))
    assert place(queue, first) == "backoff"
    assert not queue.events and not queue.in_flight


@pytest.mark.rule("SC-14")
def test_an_event_that_no_plug_in_registered_is_not_even_recorded() -> None:
    queue = SchedulingQueue()
    one = pod("web-0")
    queue.add(one, at(1))
    popped(queue, at(1))
    queue.move(ClusterEvent("PersistentVolume", DELETE, make_volume("pv-1")), at(1))
    assert not queue.events


@pytest.mark.rule("SC-16")
def test_one_rejector_that_hopes_is_enough() -> None:
    queue = SchedulingQueue()
    one = pod("web-0")
    queue.add(one, at(1))
    popped(queue, at(1))
    queue.fail(one.metadata.uid, one, ["NodeAffinity", "VolumeBinding"], at(1))
    queue.move(PV_ADDED, at(5))
    assert place(queue, one) == "active"


@pytest.mark.rule("SC-23")
def test_only_pods_of_at_most_a_priority_hear_that_a_nomination_is_gone() -> None:
    queue = SchedulingQueue()
    low, high = pod("low"), pod("high", 10)
    for each in (low, high):
        queue.add(each, at(1))
        popped(queue, at(1))
        queue.fail(each.metadata.uid, each, ["NodeResourcesFit"], at(1))
    gone = make_pod("gone", uid="uid-gone", nodeName="node-1")
    queue.move(ClusterEvent(ASSIGNED_POD, DELETE, gone, None, priority_at_most=5), at(9))
    assert (place(queue, low), place(queue, high)) == ("active", "unschedulable")


# --- updates, gates, activation -------------------------------------------------------------------------------------


@pytest.mark.rule("SC-18")
@pytest.mark.rule("SC-30")
def test_the_status_patch_of_a_refused_pod_does_not_requeue_it() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 1, 1)
    queue.update(one, with_meta(one, resource_version=2), at(5))
    assert place(queue, one) == "unschedulable"
    record = queue.find(one.key)
    assert record is not None and record.pod.metadata.resource_version == 2 and record.timestamp == at(1)


@pytest.mark.rule("SC-18")
def test_an_update_that_may_help_requeues_the_pod_and_keeps_its_timestamp() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 1, 1, "TaintToleration")
    tolerant = with_meta(make_pod("web-0", uid="uid-web-0", tolerations=[{"operator": "Exists"}]), resource_version=2)
    queue.update(one, tolerant, at(5))
    assert place(queue, one) == "active"
    assert popped(queue, at(5)).timestamp == at(1)


@pytest.mark.rule("SC-18")
def test_updates_of_waiting_pods_replace_them_in_place_and_unknown_ones_are_added() -> None:
    queue = SchedulingQueue()
    one = pod("web-0")
    queue.update(pod("web-0", version=0), one, at(1))
    queue.add(pod("web-1"), at(2))
    newer = with_meta(one, resource_version=7)
    queue.update(one, newer, at(3))
    assert popped(queue, at(3)).pod == newer


@pytest.mark.rule("SC-18")
def test_an_update_in_flight_is_recorded_and_replayed() -> None:
    queue = SchedulingQueue()
    one = pod("web-0")
    queue.add(one, at(1))
    popped(queue, at(1))
    tolerant = with_meta(make_pod("web-0", uid="uid-web-0", tolerations=[{"operator": "Exists"}]), resource_version=2)
    queue.update(one, tolerant, at(1))
    assert place(queue, one) == "in flight"
    queue.fail(one.metadata.uid, tolerant, ["TaintToleration"], at(1))
    assert place(queue, one) == "backoff"


@pytest.mark.rule("SC-20")
@pytest.mark.rule("SC-21")
def test_a_gated_pod_waits_for_its_gates_and_nothing_else() -> None:
    queue = SchedulingQueue()
    gated = with_meta(make_pod("web-0", uid="uid-web-0", schedulingGates=[{"name": "a"}]), resource_version=1)
    queue.add(gated, at(0))
    record = queue.find(gated.key)
    assert record is not None and (record.gate, record.rejectors) == ("SchedulingGates", frozenset({"SchedulingGates"}))
    queue.move(PV_ADDED, at(400))
    queue.flush_leftovers(at(400))
    assert place(queue, gated) == "unschedulable"
    two = evolve(gated, spec=evolve(gated.spec, scheduling_gates=(PodSchedulingGate(name="b"),)))
    queue.update(gated, with_meta(two, resource_version=2), at(401))
    assert place(queue, gated) == "unschedulable"
    free = with_meta(evolve(gated, spec=evolve(gated.spec, scheduling_gates=())), resource_version=3)
    queue.update(two, free, at(402))
    assert place(queue, gated) == "active"


@pytest.mark.rule("SC-21")
@pytest.mark.rule("SC-112")
def test_a_preemptor_is_gated_until_its_last_victim_is_going() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 1, 1, "NodeResourcesFit")
    queue.preempting[one.metadata.uid] = None
    freed = ClusterEvent(ASSIGNED_POD, DELETE, make_pod("victim-1", uid="uid-victim-1", nodeName="node-1"))
    queue.move(freed, at(2.5))
    record = queue.find(one.key)
    assert place(queue, one) == "unschedulable"
    assert record is not None and record.gate == "DefaultPreemption"
    queue.move(PV_ADDED, at(3))
    assert place(queue, one) == "unschedulable"
    del queue.preempting[one.metadata.uid]
    queue.move(freed, at(4))
    assert place(queue, one) == "active"


@pytest.mark.rule("SC-19")
def test_activation_ignores_back_off_and_reaches_pods_in_flight_later() -> None:
    queue = SchedulingQueue()
    waiting = refused(queue, "waiting", 1, 1)
    backing_off = refused(queue, "backing-off", 1, 1)
    queue.activate(waiting)
    queue.move(PV_ADDED, at(1))
    queue.activate(backing_off)
    assert (place(queue, waiting), place(queue, backing_off)) == ("active", "active")
    flying = popped(queue, at(1)).pod
    other = popped(queue, at(1)).pod
    queue.activate(flying)
    queue.fail(other.metadata.uid, other, ["NodeAffinity"], at(1))
    queue.fail(flying.metadata.uid, flying, ["NodeAffinity"], at(1))
    assert (place(queue, other), place(queue, flying)) == ("unschedulable", "backoff")


@pytest.mark.rule("SC-22")
def test_a_nomination_that_only_memory_knows_survives_an_update() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 1, 1)
    queue.nominator.add(one, "node-1")
    queue.update(one, with_meta(one, resource_version=2), at(2))
    assert [each.name for each in queue.nominator.pods("node-1")] == ["web-0"]
    queue.nominator.add(one, "")
    assert queue.nominator.pods("node-1") == ()


@pytest.mark.rule("SC-22")
def test_a_pod_with_a_nominated_node_is_entered_when_it_comes() -> None:
    queue = SchedulingQueue()
    one = pod("web-0")
    nominated = evolve(one, status=evolve(one.status, nominated_node_name="node-2"))
    queue.add(nominated, at(1))
    assert queue.nominator.pods("node-2") == (nominated,)
    queue.delete(nominated)
    assert queue.nominator.pods("node-2") == ()


@pytest.mark.rule("SC-23")
def test_a_deleted_pod_is_nowhere() -> None:
    queue = SchedulingQueue()
    waiting = refused(queue, "waiting", 1, 1)
    active = pod("active")
    queue.add(active, at(2))
    for each in (waiting, active):
        queue.delete(each)
        assert place(queue, each) == "nowhere"
    assert queue.head(at(2)) is None


def test_a_copy_goes_its_own_way() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 1, 1)
    queue.add(pod("web-1"), at(1))
    twin = queue.copy()
    twin.move(PV_ADDED, at(9))
    popped(twin, at(9))
    assert place(queue, one) == "unschedulable" and len(queue.active) == 1


@pytest.mark.rule("SC-17")
def test_a_generic_update_is_not_one_of_its_parts() -> None:
    queue = SchedulingQueue()
    one = refused(queue, "web-0", 1, 1, "InterPodAffinity")
    other = make_pod("other", uid="uid-other", nodeName="node-1")
    queue.move(ClusterEvent(ASSIGNED_POD, UPDATE, other, other), at(9))
    assert place(queue, one) == "unschedulable"
