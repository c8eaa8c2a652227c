"""The words of FailedScheduling, from whole attempts: the worked examples of the specification."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Condition, Pod
from simulator.api.meta import Object, evolve, with_annotations, with_meta
from simulator.binding.names import BIND_COMPLETED
from simulator.scheduler import messages
from simulator.scheduler.decision import Decision, Question, decide, prepare
from simulator.scheduler.framework import Snapshot, unresolvable, unschedulable
from simulator.scheduler.plugins import DEFAULT_PROFILE
from simulator.scheduler.preemption import best_candidates, dry_run, ineligible, potential_nodes
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_volume
from tests.scheduler.snapshots import on, snapshot_of

NO_NEWS = "no new claims to deallocate, preemption: "
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
WAIT = make_class("wait", mode="WaitForFirstConsumer")


def message(pod: Pod, snapshot: Snapshot) -> str:
    """What a failed attempt says, PostFilter included; "" if the pod found a node."""
    question = Question(DEFAULT_PROFILE, pod, snapshot)
    prepared = prepare(question)
    found = prepared if isinstance(prepared, Decision) else decide(question, prepared)
    if found.feasible:
        return ""
    nodes = len(snapshot.nodes)
    if messages.skips_post_filter(found.refused):
        post_filter = messages.NOT_FOUND
    else:
        preemption = ineligible(pod, snapshot, found.statuses)
        if not preemption:
            potential = potential_nodes(snapshot, found.statuses, found.refused)
            tried = dry_run(found.states, pod, snapshot, potential)
            if not best_candidates(tried.candidates, 0):
                preemption = messages.preemption_error(nodes, tried.statuses.values())
        post_filter = messages.post_filter_message(preemption) if preemption else ""
    return messages.fit_error(nodes, found.statuses.values(), others=found.others, rejection=found.refused,
                              post_filter=post_filter)


def full(node: str, *, priority: int = 0, **requests: str) -> Pod:
    return on(make_pod(f"on-{node}", priority=priority, uid=f"on-{node}", **({"cpu": "8"} | requests)), node)


def nodes(*names: str, **spec: Any) -> list[Object]:
    return [make_node(name, **spec) for name in names]


def bound(claim: str, node: str) -> tuple[Object, ...]:
    pair = with_annotations(make_claim(claim, storage_class="wait", volumeName=f"pv-{claim}"), {BIND_COMPLETED: "yes"})
    return WAIT, pair, make_volume(f"pv-{claim}", node=node, storage_class="wait", phase="Bound")


def by_name(name: str) -> dict[str, Any]:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


PEER = make_pod("p", cpu="1")


@pytest.mark.rule("SC-116")
@pytest.mark.rule("SC-120")
@pytest.mark.rule("SC-121")
@pytest.mark.rule("M-1")
def test_m1_three_nodes_full_of_equals() -> None:
    assert message(PEER, snapshot_of(*nodes(*"abc"), *map(full, "abc"))) == (
        f"0/3 nodes are available: 3 Insufficient cpu. {NO_NEWS}0/3 nodes are available: 3 {NO_VICTIMS}.")


@pytest.mark.rule("SC-119")
@pytest.mark.rule("SC-121")
@pytest.mark.rule("M-2")
def test_m2_a_request_beyond_every_node() -> None:
    assert message(make_pod("p", cpu="9"), snapshot_of(*nodes(*"abc"))) == (
        f"0/3 nodes are available: 3 Insufficient cpu. {NO_NEWS}0/3 nodes are available: 3 {NOT_HELPFUL}.")


@pytest.mark.rule("SC-116")
@pytest.mark.rule("M-3")
def test_m3_a_tainted_two_cordoned_and_two_without_a_volume() -> None:
    tainted = nodes("a", taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    snapshot = snapshot_of(*tainted, *nodes("b", "c", unschedulable=True), *nodes("d", "e"), WAIT,
                           make_claim("data", storage_class="wait"))
    assert message(make_pod("p", claims=("data",)), snapshot) == (
        "0/5 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't find available persistent "
        f"volumes to bind, 2 node(s) were unschedulable. {NO_NEWS}0/5 nodes are available: 5 {NOT_HELPFUL}.")


@pytest.mark.rule("SC-118")
@pytest.mark.rule("M-4")
def test_m4_the_volumes_node_is_full() -> None:
    snapshot = snapshot_of(*nodes(*"abc"), *bound("data", "b"), full("b"))
    assert message(make_pod("p", cpu="1", claims=("data",)), snapshot) == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match PersistentVolume's node affinity. "
        f"{NO_NEWS}0/3 nodes are available: 1 {NO_VICTIMS}, 2 {NOT_HELPFUL}.")


@pytest.mark.rule("SC-117")
@pytest.mark.rule("M-5")
def test_m5_a_node_short_of_two_things_counts_twice() -> None:
    snapshot = snapshot_of(*nodes(*"ab"), *(full(node, memory="32Gi") for node in "ab"))
    assert message(make_pod("p", cpu="1", memory="1Gi"), snapshot) == (
        "0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory. "
        f"{NO_NEWS}0/2 nodes are available: 2 {NO_VICTIMS}.")


@pytest.mark.rule("SC-127")
@pytest.mark.rule("M-6")
def test_m6_a_claim_that_is_not_there_yet() -> None:
    assert message(make_pod("p", claims=("data-db-0",)), snapshot_of(*nodes(*"abc"))) == (
        '0/3 nodes are available: persistentvolumeclaim "data-db-0" not found. not found')


@pytest.mark.rule("SC-127")
@pytest.mark.rule("M-7")
def test_m7_an_immediate_claim_without_a_volume() -> None:
    snapshot = snapshot_of(*nodes(*"abc"), make_class("now"), make_claim("data", storage_class="now"))
    assert message(make_pod("p", claims=("data",)), snapshot) == (
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")


@pytest.mark.rule("SC-117")
@pytest.mark.rule("SC-119")
@pytest.mark.rule("M-8")
def test_m8_the_named_node_is_out_of_memory() -> None:
    names = [f"n{number}" for number in range(10)]
    snapshot = snapshot_of(*nodes(*names), full("n7", memory="32Gi"))
    assert message(make_pod("p", memory="1Gi", affinity=by_name("n7")), snapshot) == (
        "0/10 nodes are available: 1 Insufficient memory, 9 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
        f"{NO_NEWS}0/10 nodes are available: 1 {NO_VICTIMS}, 9 {NOT_HELPFUL}.")


@pytest.mark.rule("SC-118")
@pytest.mark.rule("SC-121")
@pytest.mark.rule("M-9")
def test_m9_ten_sorts_before_two_and_some_never_preempt() -> None:
    tainted = [make_node(f"t{number}", taints=[{"key": "k", "effect": "NoSchedule"}]) for number in range(10)]
    snapshot = snapshot_of(*tainted, *nodes(*"ab"), *map(full, "ab"))
    assert message(make_pod("p", cpu="1", preemptionPolicy="Never"), snapshot) == (
        "0/12 nodes are available: 10 node(s) had untolerated taint(s), 2 Insufficient cpu. "
        f"{NO_NEWS}not eligible due to preemptionPolicy=Never.")


@pytest.mark.rule("SC-115")
@pytest.mark.rule("M-10")
def test_m10_preemption_would_not_bring_a_volume() -> None:
    snapshot = snapshot_of(*nodes(*"ab"), *(full(node, priority=-1) for node in "ab"), WAIT,
                           make_claim("data", storage_class="wait"))
    assert message(make_pod("p", cpu="1", claims=("data",)), snapshot) == (
        f"0/2 nodes are available: 2 Insufficient cpu. {NO_NEWS}0/2 nodes are available: "
        "2 node(s) didn't find available persistent volumes to bind.")


@pytest.mark.rule("SC-122")
@pytest.mark.rule("M-11")
def test_m11_a_preemption_that_succeeds_adds_nothing() -> None:
    assert message(PEER, snapshot_of(*nodes(*"abc"), *(full(node, priority=-1) for node in "abc"))) == (
        "0/3 nodes are available: 3 Insufficient cpu.")


@pytest.mark.rule("SC-110")
@pytest.mark.rule("M-12")
def test_m12_the_victim_is_still_terminating() -> None:
    condition = Condition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler")
    victim = with_meta(full("a", priority=-1), deletion_timestamp=1)
    victim = evolve(victim, status=evolve(victim.status, conditions=(condition,)))
    pod = evolve(PEER, status=evolve(PEER.status, nominated_node_name="a"))
    assert message(pod, snapshot_of(*nodes(*"abc"), victim, *map(full, "bc"))) == (
        f"0/3 nodes are available: 3 Insufficient cpu. {NO_NEWS}"
        "not eligible due to a terminating pod on the nominated node.")


@pytest.mark.rule("SC-41")
@pytest.mark.rule("M-13")
def test_m13_the_named_node_does_not_exist() -> None:
    assert message(make_pod("p", affinity=by_name("n7")), snapshot_of(*nodes(*"abcde"))) == (
        "0/5 nodes are available: 5 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
        f"{NO_NEWS}0/5 nodes are available: 5 {NOT_HELPFUL}.")


@pytest.mark.rule("SC-64")
@pytest.mark.rule("M-14")
def test_m14_an_exclusive_claim_is_in_use() -> None:
    claim = with_annotations(make_claim("data", storage_class="wait", modes=("ReadWriteOncePod",), volumeName="pv"),
                             {BIND_COMPLETED: "yes"})
    snapshot = snapshot_of(*nodes(*"abc"), WAIT, claim, make_volume("pv", storage_class="wait", phase="Bound"),
                           on(make_pod("user", claims=("data",)), "b"))
    assert message(make_pod("p", claims=("data",)), snapshot) == (
        "0/3 nodes are available: 3 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode "
        f"already in-use by another pod. {NO_NEWS}0/3 nodes are available: 3 {NO_VICTIMS}.")


@pytest.mark.rule("SC-68")
@pytest.mark.rule("SC-127")
@pytest.mark.rule("M-15")
def test_m15_a_bound_claim_lost_its_volume_a_moment_ago() -> None:
    snapshot = snapshot_of(*nodes(*"abc"), *bound("1", "a")[:2])
    assert message(make_pod("p", claims=("1",)), snapshot) == (
        '0/3 nodes are available: persistentvolume "pv-1" not found. not found')


@pytest.mark.rule("SC-116")
def test_a_refusal_before_any_node_carries_no_counts() -> None:
    rejection = unresolvable("X", "one", "two")
    assert messages.fit_error(4, rejection=rejection) == "0/4 nodes are available: one, two."


@pytest.mark.rule("SC-118")
def test_lines_are_sorted_as_text_with_capitals_first() -> None:
    statuses = [unschedulable("X", "node(s) x")] * 2 + [unschedulable("X", "Insufficient cpu")] * 2
    assert messages.fit_error(4, statuses) == "0/4 nodes are available: 2 Insufficient cpu, 2 node(s) x."


@pytest.mark.rule("SC-117")
def test_nodes_without_an_answer_are_not_told() -> None:
    assert messages.fit_error(4, [unschedulable("X", "x")]) == "0/4 nodes are available: 1 x."
    assert messages.fit_error(4) == "0/4 nodes are available:"


@pytest.mark.rule("SC-123")
def test_an_event_note_is_cut_to_1024_bytes() -> None:
    assert messages.event_note("x" * 1024) == "x" * 1024
    assert messages.event_note("x" * 1025) == "x" * 1020 + " ..."


@pytest.mark.rule("SC-124")
def test_without_nodes_the_message_says_so() -> None:
    assert messages.NO_NODES == "no nodes available to schedule pods"
