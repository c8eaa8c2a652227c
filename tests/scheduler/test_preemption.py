"""The dry run of preemption: who may, where, who must go, and which node is best."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Condition, Pod
from simulator.api.meta import decode, evolve, with_meta
from simulator.api.policy import PodDisruptionBudget
from simulator.scheduler.decision import Decision, Question, decide, prepare
from simulator.scheduler.framework import SUCCESS, Code, Snapshot, Status, unresolvable, unschedulable
from simulator.scheduler.messages import NEVER_PREEMPTS, NO_VICTIMS, VICTIM_TERMINATING
from simulator.scheduler.plugins import DEFAULT_PROFILE
from simulator.scheduler.preemption import (
    Candidate,
    best_candidates,
    dry_run,
    ineligible,
    outranked,
    potential_nodes,
    victims_on,
)
from simulator.testing.builders import HOSTNAME, make_claim, make_node, make_pod
from tests.scheduler.snapshots import on, snapshot_of

NOW = 1_000


def small(name: str, priority: int = 0, cpu: str = "1", started: int | None = None, node: str = "a", app: str = "v",
          **spec: Any) -> Pod:
    pod = on(make_pod(name, cpu=cpu, priority=priority, uid=name, labels={"app": app}, **spec), node)
    return evolve(pod, status=evolve(pod.status, start_time=started)) if started is not None else pod


def preemptor(cpu: str = "2", priority: int = 10, **spec: Any) -> Pod:
    return make_pod("p", cpu=cpu, priority=priority, uid="p", labels={"app": "p"}, **spec)


def world(*pods: Pod, cpu: str = "3", names: str = "a") -> Snapshot:
    return snapshot_of(*(make_node(name, cpu=cpu) for name in names), *pods, now=NOW)


def budget(allowed: int, *, app: str | None = "v", **status: Any) -> PodDisruptionBudget:
    selector = None if app is None else {"matchLabels": {"app": app}} if app else {}
    return decode({"metadata": {"name": "b", "namespace": "default"}, "spec": {"selector": selector},
                   "status": {"disruptionsAllowed": allowed, **status}}, PodDisruptionBudget)


def attempt(pod: Pod, snapshot: Snapshot, **nominations: Any) -> Decision:
    question = Question(DEFAULT_PROFILE, pod, snapshot, nominations=nominations)
    prepared = prepare(question)
    return prepared if isinstance(prepared, Decision) else decide(question, prepared)


def evicted(pod: Pod, snapshot: Snapshot, *budgets: PodDisruptionBudget, **nominations: Any) -> Any:
    """Names of the victims on node a and how many budgets are violated; or the status."""
    failed = attempt(pod, snapshot, **nominations)
    assert not failed.feasible
    found = victims_on(failed.states, pod, snapshot.nodes[0], snapshot, budgets, nominations)
    if isinstance(found, Status):
        return found
    return [victim.name for victim in found.victims], found.violations


# --- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-110")
def test_a_policy_of_never_is_respected() -> None:
    assert ineligible(preemptor(preemptionPolicy="Never"), world(), {}) == NEVER_PREEMPTS
    assert ineligible(preemptor(), world(), {}) == ""


def leaving(priority: int = 0, reason: str = "PreemptionByScheduler", terminating: bool = True) -> Pod:
    pod = small("leaving", priority)
    condition = Condition(type="DisruptionTarget", status="True", reason=reason)
    pod = evolve(pod, status=evolve(pod.status, conditions=(condition,)))
    return with_meta(pod, deletion_timestamp=1) if terminating else pod


@pytest.mark.rule("SC-110")
@pytest.mark.parametrize(("victim", "status", "waits"), [
    (leaving(), unschedulable("X"), True),
    (leaving(), None, True),
    (leaving(), unresolvable("X"), False),
    (leaving(priority=10), unschedulable("X"), False),
    (leaving(reason="EvictionByEvictionAPI"), unschedulable("X"), False),
    (leaving(terminating=False), unschedulable("X"), False),
])
def test_a_pod_waits_for_its_victim_on_the_nominated_node(victim: Pod, status: Status | None, waits: bool) -> None:
    pod = preemptor()
    pod = evolve(pod, status=evolve(pod.status, nominated_node_name="a"))
    statuses = {"a": status} if status is not None else {}
    assert ineligible(pod, world(victim), statuses) == (VICTIM_TERMINATING if waits else "")
    assert ineligible(pod, snapshot_of(make_node("b")), statuses) == "", "the nominated node is gone"


# --- where ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-111")
def test_only_nodes_that_eviction_can_help_are_tried() -> None:
    snapshot = world(names="abc")
    statuses = {"a": unresolvable("X", "x"), "b": unschedulable("X", "x")}
    assert [info.name for info in potential_nodes(snapshot, statuses)] == ["b"]
    assert potential_nodes(snapshot, {}, unresolvable("X", "x")) == ()
    assert potential_nodes(snapshot, {}, unschedulable("X", "x")) == snapshot.nodes


@pytest.mark.rule("SC-111")
def test_all_of_up_to_a_hundred_nodes_are_tried_and_of_more_enough() -> None:
    names = [f"n{number:03}" for number in range(150)]
    victims = [small(f"v{name}", node=name) for name in names]
    snapshot = snapshot_of(*(make_node(name, cpu="1") for name in names), *victims)
    pod = preemptor(cpu="1")
    failed = attempt(pod, snapshot)
    potential = potential_nodes(snapshot, failed.statuses)
    assert len(potential) == 150
    found = dry_run(failed.states, pod, snapshot, potential, offset=120)
    assert [candidate.node for candidate in found.candidates] == [names[(120 + turn) % 150] for turn in range(100)]
    assert len(dry_run(failed.states, pod, snapshot, potential[:100]).candidates) == 100


@pytest.mark.rule("SC-111")
def test_the_search_goes_on_until_a_node_without_violation_is_found() -> None:
    names = [f"n{number:03}" for number in range(150)]
    victims = [small(f"v{name}", node=name, app="free" if number == 119 else "v") for number, name in enumerate(names)]
    snapshot = snapshot_of(*(make_node(name, cpu="1") for name in names), *victims)
    pod = preemptor(cpu="1")
    failed = attempt(pod, snapshot)
    found = dry_run(failed.states, pod, snapshot, potential_nodes(snapshot, failed.statuses), [budget(0)])
    assert len(found.candidates) == 120
    assert [candidate.node for candidate in best_candidates(found.candidates, NOW)] == ["n119"]


@pytest.mark.rule("SC-111")
def test_a_node_that_is_no_candidate_says_why() -> None:
    pod = preemptor(cpu="3")
    snapshot = world(small("equal", 10), small("low", 0), small("other", 10, node="b", cpu="3"), names="ab")
    failed = attempt(pod, snapshot)
    found = dry_run(failed.states, pod, snapshot, potential_nodes(snapshot, failed.statuses))
    assert found.candidates == ()
    assert found.statuses == {"a": unschedulable("NodeResourcesFit", "Insufficient cpu"), "b": NO_VICTIMS}


# --- who must go ----------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-111")
def test_only_lower_priority_pods_are_victims_and_no_more_than_needed() -> None:
    snapshot = world(small("low", 1), small("lower", 0), small("mid", 5))
    assert evicted(preemptor(), snapshot) == (["low", "lower"], 0)
    assert evicted(preemptor(priority=1), snapshot).reasons == ("Insufficient cpu",)
    assert evicted(preemptor(priority=0), snapshot) == NO_VICTIMS


@pytest.mark.rule("SC-111")
def test_among_equals_the_one_that_ran_longest_stays() -> None:
    snapshot = world(small("young", started=300), small("old", started=100), small("fresh"))
    assert evicted(preemptor(), snapshot) == (["young", "fresh"], 0), "not started means now"


@pytest.mark.rule("SC-111")
def test_terminating_pods_can_be_victims_too() -> None:
    snapshot = world(with_meta(small("leaving", cpu="3"), deletion_timestamp=1))
    assert evicted(preemptor(), snapshot) == (["leaving"], 0)


@pytest.mark.rule("SC-111")
def test_a_pod_that_a_budget_keeps_is_spared_if_possible() -> None:
    snapshot = world(small("kept", 0, app="v"), small("other", 1, app="w"), cpu="2")
    assert evicted(preemptor(cpu="1"), snapshot) == (["kept"], 0)
    assert evicted(preemptor(cpu="1"), snapshot, budget(0)) == (["other"], 0)
    assert evicted(preemptor(cpu="2"), snapshot, budget(0)) == (["other", "kept"], 1)


@pytest.mark.rule("SC-111")
@pytest.mark.parametrize(("given", "violations"), [
    (budget(2), 0), (budget(1), 1), (budget(0), 2), (budget(0, app=None), 0), (budget(0, app=""), 0),
    (budget(0, disruptedPods={"one": 1}), 1), (with_meta(budget(0), namespace="other"), 0),
])
def test_budgets_are_used_up_from_the_most_important_pod_on(given: PodDisruptionBudget, violations: int) -> None:
    snapshot = world(small("one", 2), small("two", 1), cpu="2")
    assert evicted(preemptor(), snapshot, given) == (["one", "two"], violations)


@pytest.mark.rule("SC-111")
def test_every_filter_has_its_say_in_the_dry_run() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "v"}}, "topologyKey": HOSTNAME}
    pod = preemptor(cpu="1", affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    snapshot = world(small("hated", 5), small("harmless", 0, app="w"))
    assert evicted(pod, snapshot) == (["hated"], 0)


@pytest.mark.rule("SC-64")
def test_the_user_of_an_exclusive_claim_can_be_evicted() -> None:
    user = small("user", claims=("data",))
    snapshot = snapshot_of(make_node("a"), make_claim("data", modes=("ReadWriteOncePod",), uid="u"), user)
    plugin = next(each for each in DEFAULT_PROFILE.filters if each.name == "VolumeRestrictions")
    pod = preemptor(claims=("data",))
    states = ((plugin, plugin.pre_filter(pod, snapshot).state),)
    found = victims_on(states, pod, snapshot.nodes[0], snapshot)
    assert isinstance(found, Candidate) and [victim.name for victim in found.victims] == ["user"]


@pytest.mark.rule("SC-46")
def test_pods_nominated_to_the_node_are_respected() -> None:
    snapshot = world(small("low", cpu="3"))
    nominated = make_pod("n", cpu="2", priority=10, uid="n")
    found = evicted(preemptor(), snapshot, a=(nominated,))
    assert isinstance(found, Status) and found.code is Code.UNSCHEDULABLE
    humble = make_pod("n", cpu="2", priority=9, uid="n")
    assert evicted(preemptor(), snapshot, a=(humble,)) == (["low"], 0)


# --- which node -----------------------------------------------------------------------------------------------------


def candidate(node: str, *victims: Pod, violations: int = 0) -> Candidate:
    return Candidate(node, victims, violations)


def best(*candidates: Candidate) -> list[str]:
    return [each.node for each in best_candidates(candidates, NOW)]


@pytest.mark.rule("SC-112")
def test_candidates_are_compared_criterion_by_criterion() -> None:
    low, high = small("low", 1), small("high", 9)
    assert best(candidate("a", low, violations=1), candidate("b", high, high)) == ["b"], "fewest violations"
    assert best(candidate("a", high), candidate("b", low, low, low)) == ["b"], "least important first victim"
    assert best(candidate("a", low, small("x", 0)), candidate("b", low)) == ["b"], "smallest sum"
    assert best(candidate("a", low, small("x", -2**31)), candidate("b", low)) == ["b"], "fewest victims"
    early, late = small("early", 1, started=1), small("late", 1, started=2)
    assert best(candidate("a", early), candidate("b", late), candidate("c", small("new", 1))) == ["c"], "latest start"
    assert best(candidate("a", early, late), candidate("b", late, late)) == ["b"]


@pytest.mark.rule("SC-112")
def test_only_the_most_important_victims_start_counts() -> None:
    mine = candidate("a", small("x", 5, started=9), small("y", 1, started=1))
    its = candidate("b", small("x", 5, started=8), small("y", 1, started=8))
    assert best(mine, its) == ["a"]


@pytest.mark.rule("SC-112")
def test_candidates_that_stay_equal_are_all_named_in_order() -> None:
    assert best(*(candidate(node, small("v", started=1)) for node in "cab")) == ["c", "a", "b"]
    assert best() == []


@pytest.mark.rule("SC-112")
def test_lower_priority_pods_lose_their_nomination() -> None:
    humble, equal = make_pod("h", priority=9), make_pod("e", priority=10)
    assert outranked({"a": (humble, equal)}, "a", preemptor()) == (humble,)
    assert outranked({}, "a", preemptor()) == ()


def test_a_pod_that_fits_needs_no_victims() -> None:
    snapshot = world(small("low"))
    failed = attempt(preemptor(), snapshot)
    assert failed.feasible and SUCCESS.is_success
