"""The scheduling cycle: the search through the nodes, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulator.api.core import Condition, Node, Pod
from simulator.api.meta import Key, evolve, with_meta
from simulator.flows import DONE, Choose, Patch, Refused
from simulator.scheduler import Scheduler
from simulator.scheduler.decision import Decision, Preparation, Profile, Question, decide, feasible_target, prepare
from simulator.scheduler.failure import with_outcome
from simulator.scheduler.framework import (
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    ScoreDefaults,
    Snapshot,
    Status,
    error,
    skip,
    unresolvable,
    unschedulable,
)
from simulator.testing.builders import apart, make_claim, make_class, make_node, make_pod, make_volume
from simulator.units import SECOND
from tests.scheduler.bench import Bench
from tests.scheduler.snapshots import snapshot_of


class Only(FilterDefaults):
    """Lets the pod on some nodes; may narrow, skip or refuse beforehand."""

    def __init__(self, name: str, nodes: Sequence[str], before: PreFilterResult | None = None) -> None:
        self.name = name
        self.nodes = nodes
        self.before = before
        self.asked: list[str] = []

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        return self.before if self.before is not None else PreFilterResult()

    def filter(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        self.asked.append(node.name)
        return SUCCESS if node.name in self.nodes else unschedulable(self.name, f"refused by {self.name}")


class Score(ScoreDefaults):
    """Scores nodes by name."""

    name = "Score"

    def __init__(self, scores: dict[str, int]) -> None:
        self.scores = scores

    def score(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        return self.scores.get(node.name, 0)


def nodes(count: int) -> list[Node]:
    return [make_node(f"n{number:03}") for number in range(count)]


def names(count: int) -> list[str]:
    return [node.name for node in nodes(count)]


def question(profile: Profile, count: int, start: int = 0, pod: Pod | None = None, **fields: Any) -> Question:
    return Question(profile, pod or make_pod("web-0", uid="uid-web-0"), snapshot_of(*nodes(count)), start, **fields)


def ask(profile: Profile, count: int, start: int = 0, pod: Pod | None = None, **fields: Any) -> Decision:
    asked = question(profile, count, start, pod, **fields)
    preparation = prepare(asked)
    return decide(asked, preparation) if isinstance(preparation, Preparation) else preparation


def found(decision: Decision) -> list[str]:
    return [info.name for info in decision.feasible]


# --- the search -----------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-42")
@pytest.mark.parametrize(("count", "target"), [
    (99, 99), (100, 100), (150, 100), (206, 100), (207, 101), (250, 120), (300, 144), (500, 230), (1000, 420),
    (2000, 680), (3000, 780), (4000, 720), (5000, 500), (5625, 281), (6000, 300), (10000, 500),
])
def test_how_many_feasible_nodes_are_enough(count: int, target: int) -> None:
    assert feasible_target(count, 0) == target


@pytest.mark.rule("SC-42")
def test_a_configured_percentage_overrides_the_adaptive_one() -> None:
    assert (feasible_target(1000, 100), feasible_target(1000, 1), feasible_target(50, 10)) == (1000, 100, 50)


@pytest.mark.rule("SC-43")
@pytest.mark.rule("SC-44")
def test_the_search_stops_at_the_surplus_node_and_goes_on_from_there() -> None:
    plugin = Only("A", names(150))
    profile = Profile((plugin,), ())
    first = ask(profile, 150, 20)
    assert found(first) == names(150)[20:120] and plugin.asked == names(150)[20:121]
    assert first.next_start == 120
    assert found(ask(profile, 150, 120)) == names(150)[120:] + names(150)[:70]


@pytest.mark.rule("SC-43")
@pytest.mark.rule("SC-44")
def test_a_search_that_is_not_cut_short_asks_every_node_and_leaves_the_start() -> None:
    plugin = Only("A", names(150)[:100])
    decision = ask(Profile((plugin,), ()), 150, 7)
    assert len(plugin.asked) == 150 and decision.next_start == 7
    nobody = Only("A", [])
    assert ask(Profile((nobody,), ()), 5, 3).next_start == 3


@pytest.mark.rule("SC-44")
def test_refusals_before_the_cut_count_for_the_next_start() -> None:
    decision = ask(Profile((Only("A", names(200)[50:]),), ()), 200, 0)
    assert (len(decision.feasible), len(decision.statuses), decision.next_start) == (100, 50, 150)


@pytest.mark.rule("SC-46")
@pytest.mark.rule("SC-28")
def test_each_node_has_the_reason_of_the_first_plug_in_that_refuses_it() -> None:
    profile = Profile((Only("A", ["n000", "n001"]), Only("B", ["n000", "n002"])), ())
    decision = ask(profile, 3)
    assert {name: status.plugin for name, status in decision.statuses.items()} == {"n001": "B", "n002": "A"}
    assert decision.rejectors == {"A", "B"}


@pytest.mark.rule("SC-39")
def test_a_skipped_filter_is_not_asked() -> None:
    plugin = Only("A", [], PreFilterResult(skip("A")))
    assert found(ask(Profile((plugin,), ()), 2)) == names(2) and plugin.asked == []


@pytest.mark.rule("SC-39")
def test_an_unresolvable_refusal_ends_it_and_an_unschedulable_one_only_at_the_end() -> None:
    class Counted(Only):
        asked_before = 0

        def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
            self.asked_before += 1
            return super().pre_filter(pod, snapshot)

    later = Counted("Later", names(2))
    hopeless = Only("A", [], PreFilterResult(unresolvable("A", "no")))
    decision = ask(Profile((hopeless, later), ()), 2)
    assert decision.refused == unresolvable("A", "no") and decision.rejectors == {"A"} and later.asked_before == 0
    hoping = Only("A", [], PreFilterResult(unschedulable("A", "not yet")))
    decision = ask(Profile((hoping, later), ()), 2)
    assert decision.refused == unschedulable("A", "not yet") and later.asked_before == 1


@pytest.mark.rule("SC-39")
@pytest.mark.rule("SC-41")
@pytest.mark.rule("SC-28")
def test_narrowing_looks_only_at_nodes_that_exist_and_makes_a_rejector() -> None:
    narrow = Only("Narrow", names(5), PreFilterResult(node_names=frozenset(["n001", "n003", "gone"])))
    full = Only("Full", [])
    decision = ask(Profile((narrow, full), ()), 5)
    assert full.asked == ["n001", "n003"] and decision.rejectors == {"Narrow", "Full"}
    assert decision.others == unresolvable("", "node(s) didn't satisfy plugin(s) [Narrow]")
    assert decision.next_start == 2
    other = Only("Other", [], PreFilterResult(node_names=frozenset(["n000"])))
    conflict = ask(Profile((narrow, other), ()), 5)
    assert conflict.refused == unresolvable("", "node(s) didn't satisfy plugin(s) [Narrow Other] simultaneously")
    nothing = Only("Nothing", [], PreFilterResult(node_names=frozenset()))
    assert ask(Profile((nothing,), ()), 5).refused == unresolvable("", "node(s) didn't satisfy plugin Nothing")


@pytest.mark.rule("SC-39")
@pytest.mark.rule("SC-43")
def test_an_error_fails_the_attempt() -> None:
    class Broken(Only):
        def filter(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
            return error(self.name, "boom")

    assert ask(Profile((Broken("A", []),), ()), 2).error == 'running "A" filter plugin: boom'
    before = Only("A", [], PreFilterResult(error("A", "boom")))
    assert ask(Profile((before,), ()), 2).error == 'running PreFilter plugin "A": boom'


@pytest.mark.rule("SC-40")
def test_the_nominated_node_is_tried_first_and_alone() -> None:
    plugin = Only("A", names(3))
    pod = make_pod("web-0", uid="uid-web-0")
    pod = evolve(pod, status=evolve(pod.status, nominated_node_name="n002"))
    decision = ask(Profile((plugin,), ()), 3, 1, pod)
    assert found(decision) == ["n002"] and plugin.asked == ["n002"] and decision.next_start == 1
    refusing = Only("A", ["n000"])
    decision = ask(Profile((refusing,), ()), 3, 0, pod)
    assert found(decision) == ["n000"] and refusing.asked == ["n002", "n000", "n001", "n002"]


@pytest.mark.rule("SC-46")
@pytest.mark.rule("SC-114")
def test_room_nominated_to_pods_of_the_same_or_a_higher_priority_is_respected() -> None:
    profile = Scheduler().profile
    big = make_pod("big", uid="uid-big", cpu="8", priority=5)
    taken = {"n000": (big,)}
    assert found(ask(profile, 2, 0, make_pod("low", uid="uid-low", cpu="1"), nominations=taken)) == ["n001"]
    assert found(ask(profile, 2, 0, make_pod("same", uid="s", cpu="1", priority=5), nominations=taken)) == ["n001"]
    assert found(ask(profile, 2, 0, make_pod("high", uid="h", cpu="1", priority=6), nominations=taken)) == names(2)
    assert found(ask(profile, 2, 0, big, nominations=taken)) == names(2)


# --- scores ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-48")
@pytest.mark.rule("SC-49")
def test_all_nodes_with_the_highest_total_are_best() -> None:
    profile = Profile((), ((Score({"n000": 10, "n002": 20}), 3), (Score({"n001": 60, "n000": 30}), 1)))
    decision = ask(profile, 4)
    assert decision.totals == (60, 60, 60, 0)
    assert [info.name for info in decision.best] == ["n000", "n001", "n002"]


@pytest.mark.rule("SC-47")
def test_a_single_feasible_node_is_not_scored() -> None:
    decision = ask(Profile((Only("A", ["n001"]),), ((Score({"n001": 999}), 1),)), 3)
    assert decision.totals == () and [info.name for info in decision.best] == ["n001"]


@pytest.mark.rule("SC-48")
def test_a_score_out_of_range_is_an_error() -> None:
    assert "returns an invalid score 101" in ask(Profile((), ((Score({"n001": 101}), 1),)), 2).error


@pytest.mark.rule("SC-97")
def test_a_skipped_score_adds_nothing() -> None:
    class Skipping(Score):
        def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
            return PreFilterResult(skip("Score"))

    assert ask(Profile((), ((Skipping({"n000": 50}), 9),)), 2).totals == (0, 0)


# --- the cycle ------------------------------------------------------------------------------------------------------


def bench(*objects: Any) -> Bench:
    return Bench(make_class("local", mode="WaitForFirstConsumer"), *objects)


def test_no_pod_no_cycle() -> None:
    assert bench(make_node("node-1")).cycle().outcome == DONE


@pytest.mark.rule("SC-98")
def test_a_pod_that_fits_is_assumed_and_its_binding_starts() -> None:
    at = bench(make_node("node-1"), make_pod("web-0", cpu="1"))
    run = at.cycle()
    assert run.outcome == DONE and [spawn.queue for spawn in at.spawned] == ["binding"]
    assert at.memory.cache.nodes()[0].requested["cpu"] == 1000
    plan = at.spawned[0].argument
    assert plan.pod.spec.node_name == "node-1" and plan.writes == ()
    assert "uid-web-0" in at.memory.queue.in_flight


@pytest.mark.rule("SC-49")
def test_equal_nodes_are_a_choice_in_the_order_in_which_they_were_found() -> None:
    at = bench(make_node("node-1"), make_node("node-2"), make_node("full", cpu="0"), make_pod("web-0", cpu="1"))
    run = at.cycle()
    options = (Key("Node", "", "node-1"), Key("Node", "", "node-2"))
    assert run.intent == Choose("node", Key("Pod", "default", "web-0"), options)
    run.answer(options[1])
    assert at.spawned[0].argument.pod.spec.node_name == "node-2"


def test_equal_volumes_are_a_choice_on_the_chosen_node_one_claim_after_another() -> None:
    volumes = [make_volume(name, node="node-1", storage_class="local", phase="Available") for name in ("a", "b", "c")]
    claims = [make_claim(name, storage_class="local") for name in ("x", "y")]
    at = bench(make_node("node-1"), *volumes, *claims, make_pod("web-0", claims=("x", "y")))
    run = at.cycle()
    assert run.intent == Choose("volume", claims[0].key, tuple(volume.key for volume in volumes))
    assert run.answer(volumes[1].key) == Choose("volume", claims[1].key, (volumes[0].key, volumes[2].key))
    run.answer(volumes[2].key)
    plan = at.spawned[0].argument
    assert [write.metadata.name for write in plan.writes] == ["b", "c"]
    assert [write.spec.claim_ref.name for write in plan.writes] == ["x", "y"]
    assert list(at.memory.assumptions.objects) == [volumes[1].key, volumes[2].key]


def test_a_volume_assumed_for_one_pod_is_not_seen_by_the_next() -> None:
    at = bench(
        make_node("node-1"), make_volume("a", node="node-1", storage_class="local", phase="Available"),
        make_claim("x", storage_class="local"), make_claim("y", storage_class="local"),
        make_pod("web-0", claims=("x",)), make_pod("web-1", claims=("y",)),
    )
    at.cycle()
    run = at.cycle()
    assert isinstance(run.intent, Patch)
    assert at.events[-1].message.startswith(
        "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind. ")


def test_ties_that_decide_feasibility_are_broken_before_the_nodes_are_asked() -> None:
    special = with_meta(make_volume("a", node="node-1", storage_class="local", phase="Available"), labels={"for": "y"})
    plain = make_volume("b", node="node-1", storage_class="local", phase="Available")
    picky = make_claim("y", storage_class="local", request="2Gi", selector={"matchLabels": {"for": "y"}})
    at = bench(make_node("node-1"), special, plain, make_claim("x", storage_class="local"), picky,
               make_pod("web-0", claims=("x", "y")))
    run = at.cycle()
    assert run.intent.point == "volume" and [key.name for key in run.intent.options] == ["a", "b"]
    run.answer(special.key)
    assert isinstance(run.intent, Patch)
    at.memory.queue.activate(at.store.get(Pod, "web-0", "default"))  # type: ignore[arg-type]
    run = at.cycle()
    run.answer(plain.key)
    assert [write.metadata.name for write in at.spawned[0].argument.writes] == ["b", "a"]


@pytest.mark.rule("SC-37")
def test_a_pod_that_is_being_deleted_is_dropped_with_an_event() -> None:
    at = bench(make_node("node-1"), with_meta(make_pod("web-0"), deletion_timestamp=5))
    run = at.cycle()
    assert run.outcome == DONE and not at.memory.queue.in_flight
    assert [event.message for event in at.events] == ["skip schedule deleting pod: default/web-0"]


@pytest.mark.rule("SC-29")
@pytest.mark.rule("SC-38")
@pytest.mark.rule("SC-124")
def test_without_nodes_a_pod_is_retried_after_an_errors_back_off() -> None:
    at = bench(make_pod("web-0"))
    run = at.cycle()
    assert isinstance(run.intent, Patch)
    condition, nominated, _ = run.intent.args
    assert (condition.reason, condition.message, nominated) == (
        "Unschedulable", "no nodes available to schedule pods", "")
    assert len(at.memory.queue.error_backoff) == 1
    assert at.enqueued[-1].after == 2 * SECOND


# --- a pod that is refused ------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-107")
@pytest.mark.rule("SC-130")
def test_a_refused_pod_goes_back_is_told_about_and_patched_only_if_something_changes() -> None:
    at = bench(make_node("node-1", cpu="1"), make_pod("web-0", cpu="2"))
    run = at.cycle()
    message = ("0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are "
               "available: 1 Preemption is not helpful for scheduling.")
    assert [(event.type, event.reason, event.message, event.source) for event in at.events] == [
        ("Warning", "FailedScheduling", message, "default-scheduler")]
    note = at.notes[0]
    assert note.verb == "schedule-failed" and note.detail["message"] == message
    assert note.detail["nodes"] == {
        "node-1": ["NodeResourcesFit", "UnschedulableAndUnresolvable", "Insufficient cpu"]}
    assert list(at.memory.queue.unschedulable) == [Key("Pod", "default", "web-0")]
    intent = run.intent
    assert isinstance(intent, Patch) and intent.subresource == "status" and intent.edit is with_outcome
    pod = at.put(intent.edit(at.store.find(intent.key), *intent.args))
    condition = pod.condition("PodScheduled")
    assert condition is not None and (condition.status, condition.reason) == ("False", "Unschedulable")
    assert run.answer(pod) is None and run.outcome == DONE
    at.memory.queue.activate(pod)
    again = at.cycle()
    assert again.intent is None and len(at.events) == 2  # SC-131


@pytest.mark.rule("SC-127")
def test_a_refusal_before_the_nodes_ends_with_not_found_and_leaves_the_nomination() -> None:
    at = bench(make_node("node-1"), make_pod("web-0", claims=("missing",)))
    run = at.cycle()
    assert run.intent.args[1] is None
    assert at.events[0].message == '0/1 nodes are available: persistentvolumeclaim "missing" not found. not found'
    record = at.memory.queue.find(Key("Pod", "default", "web-0"))
    assert record is not None and record.rejectors == {"VolumeRestrictions"}
    at.put(make_claim("missing", storage_class="local"))
    assert len(at.memory.queue.backoff) == 1 and at.enqueued[-1].queue == "cycle"


@pytest.mark.rule("SC-107")
def test_a_pod_that_is_gone_is_not_put_back_and_one_of_its_name_stops_everything() -> None:
    at = bench(make_node("node-1", cpu="1"), make_pod("web-0", cpu="2"))
    at.store.on_change = lambda change: None
    at.remove(make_pod("web-0"))
    at.cycle()
    assert not at.memory.queue.unschedulable and not at.memory.queue.in_flight and len(at.events) == 1
    at = bench(make_node("node-1", cpu="1"), make_pod("web-0", cpu="2"))
    at.store.on_change = lambda change: None
    at.put(make_pod("web-0", cpu="2", uid="another"))
    run = at.cycle()
    assert run.outcome == DONE and not at.events and not at.memory.queue.in_flight


@pytest.mark.rule("SC-36")
def test_the_next_cycle_is_asked_for_while_pods_wait() -> None:
    at = bench(make_node("node-1"), make_pod("web-0"), make_pod("web-1"))
    at.enqueued.clear()
    at.cycle()
    assert [enqueue.queue for enqueue in at.enqueued] == ["cycle"]
    at.enqueued.clear()
    at.cycle()
    assert at.enqueued == []


@pytest.mark.rule("SC-13")
def test_leftovers_are_flushed_only_when_there_are_any() -> None:
    at = bench(make_node("node-1", cpu="1"), make_pod("web-0", cpu="2"))
    at.cycle()
    at.now = 300 * SECOND
    key = at.scheduler.periodics[0].key
    at.run("flush", key)
    assert at.memory.queue.unschedulable
    at.now = 330 * SECOND
    at.run("flush", key)
    assert not at.memory.queue.unschedulable and at.enqueued[-1].queue == "cycle"


# --- what the watch shows -------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-20")
def test_pods_of_other_schedulers_and_finished_pods_are_left_alone() -> None:
    at = bench(make_node("node-1"), make_pod("other", schedulerName="mine"))
    done = make_pod("done", nodeName="node-1", cpu="1")
    at.put(evolve(done, status=evolve(done.status, phase="Succeeded")))
    assert at.memory.queue.head(0) is None and at.memory.cache.nodes()[0].pods == ()
    running = at.put(make_pod("running", nodeName="node-1", cpu="1"))
    assert len(at.memory.cache.nodes()[0].pods) == 1
    at.change(running, status=evolve(running.status, phase="Failed"))
    assert at.memory.cache.nodes()[0].pods == ()


@pytest.mark.rule("SC-25")
def test_a_pod_bound_by_somebody_else_leaves_the_queue() -> None:
    at = bench(make_node("node-1"))
    pod = at.put(make_pod("web-0"))
    at.change(pod, spec=evolve(pod.spec, node_name="node-1"))
    assert at.memory.queue.head(0) is None and len(at.memory.cache.nodes()[0].pods) == 1


@pytest.mark.rule("SC-24")
def test_an_assumed_pod_that_is_deleted_stops_counting_and_wakes_others() -> None:
    at = bench(make_node("node-1", cpu="1"))
    pod = at.put(make_pod("web-0", cpu="1"))
    at.put(make_pod("web-1", cpu="1"))
    at.cycle()
    at.cycle()
    assert list(at.memory.queue.unschedulable) == [Key("Pod", "default", "web-1")]
    at.put(with_meta(pod, deletion_timestamp=1))
    assert at.memory.cache.nodes()[0].pods == () and not at.memory.queue.unschedulable


@pytest.mark.rule("SC-23")
def test_a_nominated_pod_that_goes_wakes_pods_of_its_priority_and_below() -> None:
    at = bench(make_node("node-1", cpu="1"))
    nominated = make_pod("nominated", cpu="1", priority=5, schedulingGates=[{"name": "wait"}])
    nominated = at.put(evolve(nominated, status=evolve(nominated.status, nominated_node_name="node-1")))
    at.memory.queue.nominator.add(nominated)
    at.put(make_pod("low", cpu="1", preemptionPolicy="Never"))
    at.cycle()
    assert Key("Pod", "default", "low") in at.memory.queue.unschedulable
    at.remove(nominated)
    assert Key("Pod", "default", "low") not in at.memory.queue.unschedulable


@pytest.mark.rule("VB-118")
def test_a_volume_that_changes_is_no_longer_assumed() -> None:
    volume = make_volume("a", node="node-1", storage_class="local", phase="Available")
    at = bench(make_node("node-1"), volume, make_claim("x", storage_class="local"), make_pod("web-0", claims=("x",)))
    at.cycle()
    assert at.memory.assumptions.objects
    at.change(volume, metadata=evolve(at.store.find(volume.key).metadata, labels={"a": "b"}))  # type: ignore[union-attr]
    assert not at.memory.assumptions.objects


# --- preemption -----------------------------------------------------------------------------------------------------


def full_node(at: Bench, name: str, *victims: tuple[str, int]) -> None:
    at.put(make_node(name, cpu="2"))
    for victim, priority in victims:
        at.put(make_pod(victim, cpu="1", priority=priority, nodeName=name))


@pytest.mark.rule("SC-112")
@pytest.mark.rule("SC-113")
@pytest.mark.rule("SC-122")
def test_a_preemptor_is_nominated_and_its_victims_are_evicted_one_by_one() -> None:
    at = bench()
    full_node(at, "node-1", ("v1", 1), ("v2", 2))
    pod = at.put(make_pod("high", cpu="2", priority=10))
    run = at.cycle()
    assert at.events[0].message == "0/1 nodes are available: 1 Insufficient cpu."
    assert at.notes[0].detail["victims"] == ["Pod/default/v2", "Pod/default/v1"]
    assert run.intent.args[1] == "node-1"
    assert [each.name for each in at.memory.queue.nominator.pods("node-1")] == ["high"]
    assert at.memory.queue.preempting == {"uid-high": None} and not at.spawned
    run.answer(pod)
    eviction = at.run_spawned()
    for name in ("v2", "v1"):
        condition = eviction.intent.args[0]
        assert eviction.intent.key.name == name and condition.type == "DisruptionTarget"
        assert (condition.reason, condition.message) == (
            "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod")
        deletion = eviction.answer(pod)
        assert deletion.key.name == name and deletion.grace is None
        eviction.answer(None)
    assert [event.message for event in at.events[1:]] == ["Preempted by pod uid-high on node node-1"] * 2
    assert eviction.outcome == DONE and not at.memory.queue.preempting


@pytest.mark.rule("SC-21")
@pytest.mark.rule("SC-112")
def test_the_preemptor_waits_until_the_last_victim_is_seen_to_go() -> None:
    at = bench()
    full_node(at, "node-1", ("v1", 1), ("v2", 2))
    pod = at.put(make_pod("high", cpu="2", priority=10))
    at.cycle().answer(pod)
    eviction = at.run_spawned()
    eviction.answer(pod)
    at.remove(make_pod("v2"))
    record = at.memory.queue.find(pod.key)
    assert record is not None and record.gate == "DefaultPreemption"
    eviction.answer(None)
    assert at.memory.queue.preempting == {"uid-high": Key("Pod", "default", "v1")}
    eviction.answer(pod)
    at.change(make_pod("v1"), metadata=with_meta(at.store.find(Key("Pod", "default", "v1")),  # type: ignore[arg-type]
                                                 deletion_timestamp=1).metadata)
    assert not at.memory.queue.preempting and at.memory.queue.head(0) is None
    at.remove(make_pod("v1"))
    head = at.memory.queue.head(0)
    assert head is not None and head.pod.name == "high"


@pytest.mark.rule("SC-19")
@pytest.mark.rule("SC-112")
def test_an_eviction_that_fails_spares_the_rest_and_the_preemptor_is_tried_at_once() -> None:
    at = bench()
    full_node(at, "node-1", ("v1", 1), ("v2", 2))
    pod = at.put(make_pod("high", cpu="2", priority=10))
    at.cycle().answer(pod)
    eviction = at.run_spawned()
    eviction.answer(Refused("Forbidden", 403, "no"))
    assert eviction.outcome == DONE
    head = at.memory.queue.head(0)
    assert head is not None and head.pod.name == "high" and len(at.events) == 1


@pytest.mark.rule("SC-108")
@pytest.mark.rule("SC-110")
@pytest.mark.rule("M-12")
def test_a_preemptor_whose_victim_is_still_going_keeps_its_nomination() -> None:
    at = bench()
    full_node(at, "node-1", ("v1", 1), ("v2", 2))
    going = Condition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler")
    for name in ("v1", "v2"):
        victim: Any = at.store.find(Key("Pod", "default", name))
        at.put(evolve(with_meta(victim, deletion_timestamp=1), status=evolve(victim.status, conditions=(going,))))
    pod = make_pod("high", cpu="2", priority=10)
    at.put(evolve(pod, status=evolve(pod.status, nominated_node_name="node-1")))
    run = at.cycle()
    assert run.intent.args[1] is None
    assert at.events[0].message.endswith("preemption: not eligible due to a terminating pod on the nominated node.")


@pytest.mark.rule("SC-112")
def test_victims_that_are_going_already_need_no_eviction_and_no_gate() -> None:
    at = bench()
    full_node(at, "node-1", ("v1", 1), ("v2", 2))
    for name in ("v1", "v2"):
        at.put(with_meta(at.store.find(Key("Pod", "default", name)), deletion_timestamp=1))  # type: ignore[arg-type]
    at.put(make_pod("high", cpu="2", priority=10))
    run = at.cycle()
    assert run.intent.args[1] == "node-1" and not at.memory.queue.preempting
    run.answer(None)
    assert not at.spawned


@pytest.mark.rule("SC-112")
def test_equally_good_nodes_for_preemption_are_a_choice_and_outranked_nominations_are_cleared() -> None:
    at = bench()
    for number in (1, 2):
        full_node(at, f"node-{number}", (f"v{number}", 1))
    nominated = make_pod("outranked", cpu="2", priority=3, schedulingGates=[{"name": "wait"}])
    nominated = at.put(evolve(nominated, status=evolve(nominated.status, nominated_node_name="node-2")))
    at.memory.queue.nominator.add(nominated)
    pod = at.put(make_pod("high", cpu="2", priority=10))
    run = at.cycle()
    options = (Key("Node", "", "node-1"), Key("Node", "", "node-2"))
    assert run.intent == Choose("preemption", pod.key, options)
    run.answer(options[1])
    run.answer(pod)
    eviction = at.run_spawned()
    assert eviction.intent.key.name == "outranked" and eviction.intent.args == ("",)
    assert eviction.answer(pod).key.name == "v2"


def test_a_memory_can_be_forked() -> None:
    at = bench(make_node("node-1"), make_pod("web-0", affinity=apart("web")), make_pod("web-1"))
    twin = at.memory.copy()
    at.cycle()
    assert len(at.memory.queue.active) == 1 and len(twin.queue.active) == 2
    assert twin.cache.nodes()[0].pods == () and not twin.queue.in_flight
