"""The verdict over all runs, the odds, what is accepted, and whom a stuck object is blamed on."""

from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path

import pytest

from simulator import check
from simulator.errors import ScenarioError
from tests.preflight.conftest import Checks, Explores, FakeEnd, FakeExploration
from tests.preflight.dumps import Plain, condition, new_set, node, storage_class, three_nodes, volume

DEVIL = str(Path(__file__).parents[2] / "scenarios" / "devil")
WEB = {"StatefulSet/default/web": "has 1 of 2 pods ready"}


def broken(cluster: list[Plain]) -> list[Plain]:
    """The same cluster with a pod that keeps crashing."""
    cluster = copy.deepcopy(cluster)
    for obj in cluster:
        if obj["kind"] == "Pod" and obj["metadata"]["name"] == "db-1":
            obj["status"]["conditions"] = [condition("Ready", "False"), condition("PodScheduled")]
            obj["status"]["containerStatuses"][0].update(
                ready=False, restartCount=7, state={"waiting": {"reason": "CrashLoopBackOff"}})
        if obj["kind"] == "StatefulSet":
            obj["status"].update(readyReplicas=2, availableReplicas=2)
    return cluster


def test_where_nothing_is_left_to_chance_the_only_run_is_the_proof(checked: Checks, unexplored: None) -> None:
    found = checked(three_nodes())
    assert (found.verdict, found.is_proven, found.is_accepted) == ("always converges", True, True)
    assert found.odds is not None and found.odds.exact == "0"


def test_nothing_changes_for_what_runs_already(checked: Checks, unexplored: None) -> None:
    found = checked(three_nodes())
    assert not found.waiting and not found.before and not found.troubles and not found.findings
    assert "there is one run only" in found.why


def test_without_room_it_always_gets_stuck_and_says_why(checked: Checks, unexplored: None) -> None:
    found = checked(three_nodes(free=0), [new_set()])
    assert (found.verdict, found.is_proven, found.is_accepted) == ("always gets stuck", True, False)
    assert found.odds is not None and found.odds.exact == "1"
    assert found.waiting["StatefulSet/default/web"] == "has 0 of 2 pods ready"
    assert any("web-0 waits" in line for line in found.reason)


def test_every_explored_end_converges_is_a_proof(checked: Checks, explored: Explores) -> None:
    explored(FakeExploration([FakeEnd("converged", Fraction(1, 3)), FakeEnd("converged", Fraction(2, 3))]))
    found = checked(three_nodes(), [new_set()])
    assert (found.verdict, found.is_proven, found.is_accepted) == ("always converges", True, True)
    assert found.odds is not None and found.odds.exact == "0"


def test_some_stuck_ends_give_the_exact_odds(checked: Checks, explored: Explores) -> None:
    explored(FakeExploration([
        FakeEnd("converged", Fraction(9, 28)), FakeEnd("stuck", Fraction(12, 28), WEB),
        FakeEnd("stuck", Fraction(7, 28), WEB),
    ]))
    found = checked(three_nodes(), [new_set()])
    assert (found.verdict, found.is_proven, found.is_accepted) == ("may get stuck", True, False)
    assert found.odds is not None and (found.odds.exact, found.odds.stuck) == ("19/28", 19 / 28)
    assert found.waiting == WEB


def test_only_stuck_ends_mean_always(checked: Checks, explored: Explores) -> None:
    explored(FakeExploration([FakeEnd("stuck", Fraction(1), WEB)]))
    found = checked(three_nodes(), [new_set()])
    assert (found.verdict, found.is_accepted) == ("always gets stuck", False)


@pytest.mark.parametrize(("max_odds", "is_accepted"), [(0.7, True), (19 / 28, True), (0.67, False), (None, False)])
def test_odds_within_the_threshold_are_accepted(
    checked: Checks, explored: Explores, max_odds: float | None, is_accepted: bool
) -> None:
    explored(FakeExploration([FakeEnd("converged", Fraction(9, 28)), FakeEnd("stuck", Fraction(19, 28), WEB)]))
    found = checked(three_nodes(), [new_set()], max_odds=max_odds)
    assert (found.verdict, found.is_accepted) == ("may get stuck", is_accepted)


def test_a_sample_without_a_stuck_run_is_no_proof_and_says_so(checked: Checks, unexplored: None) -> None:
    found = checked(three_nodes(), [new_set()])
    assert (found.verdict, found.is_proven, found.is_accepted) == ("no verdict", False, False)
    assert "no run of" in found.why and "got stuck (sampled)" in found.why
    assert found.why_not_proven == "so many states, and no end"
    assert found.odds is not None and found.odds.stuck == 0 < found.odds.high and found.odds.runs >= 40


def test_a_sample_is_accepted_where_even_its_upper_bound_is_within_the_threshold(
    checked: Checks, unexplored: None
) -> None:
    assert checked(three_nodes(), [new_set()], max_odds=0.2).is_accepted
    assert not checked(three_nodes(), [new_set()], max_odds=0.0001).is_accepted


def test_a_sample_with_a_stuck_run_proves_that_it_may(checked: Checks, unexplored: None) -> None:
    found = checked(three_nodes("Immediate"), [new_set()])
    assert (found.verdict, found.is_proven, found.is_accepted) == ("may get stuck", True, False)
    assert "runs got stuck (sampled)" in found.why
    assert found.odds is not None and 0 < found.odds.low < found.odds.stuck < found.odds.high < 1
    assert "StatefulSet/default/web" in found.waiting and found.reason


def test_however_rare_it_is_one_unlucky_run_proves_that_it_may(checked: Checks, unexplored: None) -> None:
    many = [node(f"n{number}") for number in range(40)]
    disks = [volume(f"disk-{number}", f"n{number // 2}") for number in range(80)]
    cluster = [*many, storage_class(mode="Immediate"), *disks]
    found = checked(cluster, [new_set()], ties="go-map", must_stop=lambda: True)
    assert found.odds is not None and found.odds.stuck == 0
    assert (found.verdict, found.is_proven) == ("may get stuck", True)
    assert "one that was made as unlucky as can be did" in found.why and found.reason


def test_what_an_unfinished_exploration_has_found_counts(checked: Checks, explored: Explores) -> None:
    explored(FakeExploration([FakeEnd("stuck", None, WEB)], is_complete=False, why_incomplete="time was up"))
    found = checked(three_nodes(), [new_set()])
    assert (found.verdict, found.is_proven, found.waiting) == ("may get stuck", True, WEB)
    assert "one of those explored does" in found.why and found.why_not_proven == "time was up"


def test_a_cluster_too_large_to_explore_is_called_so(checked: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.preflight.runs.LARGEST", 5)
    monkeypatch.setattr("simulator.preflight.runs.MOST_RUNS", 60)
    ported = new_set()
    ported["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
    found = checked(three_nodes(), [ported])
    assert found.verdict == "no verdict" and "the cluster is too large to look at every run" in found.why_not_proven


def test_patience_ends_the_search_with_what_is_known(checked: Checks) -> None:
    seconds = iter(range(1000))
    ported = new_set()
    ported["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
    found = checked(three_nodes(), [ported], clock=lambda: float(next(seconds)), patience=6.0)
    assert found.verdict == "no verdict" and found.why_not_proven == "time was up"
    assert found.odds is not None and found.odds.runs < 20


def test_the_same_seed_gives_the_same_answer(checked: Checks, unexplored: None) -> None:
    first, again = (checked(three_nodes("Immediate"), [new_set()], seed=5) for _ in range(2))
    assert first == again
    assert checked(three_nodes("Immediate"), [new_set()], seed=6).odds != first.odds


def test_precision_says_how_many_runs(checked: Checks, unexplored: None) -> None:
    rough = checked(three_nodes("Immediate"), [new_set()], precision=0.2).odds
    fine = checked(three_nodes("Immediate"), [new_set()], precision=0.065).odds
    assert rough is not None and fine is not None
    assert rough.high - rough.low <= 0.4 and fine.high - fine.low <= 0.13 and rough.runs < fine.runs


def test_who_must_stop_gets_what_is_known_so_far(checked: Checks, unexplored: None) -> None:
    found = checked(three_nodes(), [new_set()], must_stop=lambda: True)
    assert found.verdict == "no verdict" and found.odds is not None and found.odds.runs == 1


def test_the_closed_form_counts_where_not_every_run_was_looked_at(unexplored: None) -> None:
    found = check(DEVIL, jobs=1)
    assert (found.verdict, found.is_proven) == ("may get stuck", True)
    assert found.odds is not None and found.odds.exact == "19/28"
    assert "closed form" in found.why and found.reason
    one = check(DEVIL, settings={"volumesPerNode": "1"}, jobs=1)
    assert (one.verdict, one.is_accepted) == ("always converges", True)


def test_room_to_spare_is_a_proof_that_needs_no_exploration(checked: Checks) -> None:
    found = checked(three_nodes(), [new_set(replicas=3)])
    assert (found.verdict, found.is_proven) == ("always converges", True)
    assert "each of 3 new pods spoils one node" in found.why


def test_odds_are_exact_where_what_runs_is_not_in_the_way(checked: Checks) -> None:
    found = checked(three_nodes("Immediate"), [new_set()])  # 2 claims, 3 nodes with 2 free volumes each
    assert found.odds is not None and found.odds.exact == "1/5"
    assert (found.verdict, found.is_proven) == ("may get stuck", True)
    assert any("web-1 waits" in line for line in found.reason)


def test_what_was_stuck_before_is_not_blamed_on_what_is_applied(checked: Checks, explored: Explores) -> None:
    before = {"Pod/default/db-1": "is not ready", "StatefulSet/default/db": "has 2 of 3 pods ready"}
    explored(FakeExploration([FakeEnd("stuck", Fraction(1), before)]))
    found = checked(broken(three_nodes()), [new_set()])
    assert (found.verdict, found.is_accepted, found.waiting) == ("always converges", True, {})
    assert found.before == before


def test_what_is_applied_is_blamed_even_where_it_was_stuck_before(checked: Checks, unexplored: None) -> None:
    cluster = broken(three_nodes())
    again = new_set("db", 3)
    again["spec"]["template"]["spec"]["containers"] = [{"name": "db", "image": "registry.example.com/db:1"}]
    found = checked(cluster, [again])
    assert found.verdict == "always gets stuck"
    assert "StatefulSet/default/db" in found.waiting and "Pod/default/db-1" in found.waiting


def test_the_cluster_as_it_is_can_be_checked_alone(checked: Checks, unexplored: None) -> None:
    found = checked(broken(three_nodes()))
    assert found.verdict == "always gets stuck" and not found.changes and not found.manifests
    assert any("CrashLoopBackOff" in line for line in found.reason)


def test_without_a_cluster_the_manifests_are_all_there_is(checked: Checks, unexplored: None) -> None:
    bare = [node("n1"), storage_class(), volume("disk", "n1")]
    for obj in bare:
        obj["metadata"] = {name: value for name, value in obj["metadata"].items() if name in ("name", "labels")}
        obj.pop("status", None)
    found = checked(new=[*bare, new_set(replicas=1)])
    assert found.verdict == "always converges" and not found.cluster and not found.changes


def test_a_workload_that_is_not_simulated_gives_no_verdict(checked: Checks, unexplored: None) -> None:
    found = checked(three_nodes(), [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "front"},
                                     "spec": {"selector": {"matchLabels": {"app": "front"}}, "template": {
                                         "metadata": {"labels": {"app": "front"}},
                                         "spec": {"containers": [{"name": "c", "image": "x"}]}}}}], max_odds=0.5)
    assert (found.verdict, found.is_accepted) == ("no verdict", False)
    assert "Deployment is not simulated" in found.why
    assert any("Deployment/front" in line for line in found.not_simulated)


def test_a_tie_policy_that_does_not_exist_is_named(checked: Checks) -> None:
    with pytest.raises(ScenarioError, match='"fair" is not a tie policy'):
        checked(three_nodes(), ties="fair")
