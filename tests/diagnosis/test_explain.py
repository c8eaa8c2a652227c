"""What `explain` is given, and what it says: runs, logs and scenarios; the story, the tables and the graph."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from simulator import explain, load_scenario, read_log, run
from simulator.diagnosis.judge import ANY, Goal, Outcome, by_running
from simulator.diagnosis.table import NO, YES
from simulator.errors import ScenarioError
from simulator.eventlog import Log
from simulator.report.why import why_data, why_lines
from simulator.scenario.load import Scenario
from simulator.scheduler.plugins import FILTERS
from simulator.testing.builders import make_node, make_pod, make_set
from tests.diagnosis.stuck_cases import CASES, Stuck
from tests.whole.small_worlds import CLASSES, apply, nodes, small_scenario

DEVIL = "scenarios/devil"


@pytest.fixture(scope="module")
def devil() -> Scenario:
    return load_scenario([DEVIL])


def test_the_devil_is_told_in_a_dozen_lines_causes_before_effects(devil: Scenario) -> None:
    found = explain(devil, seed=0)
    knot, = found.stuck
    assert knot.objects == ("Pod/default/consul-2",) and knot.effects == ("consul has 2 of 3 pods ready",)
    assert len(knot.story) + len(knot.effects) <= 12
    texts = [member.text for member in knot.cores[0].members]
    assert texts == [
        "data-consul-2 is bound to pv-node2-2", "pv-node2-2, the volume of data-consul-2, exists only on node2",
        "pods of consul may not share a node with app=consul", "consul-1 runs on node2",
    ]
    assert [way.members[0].text for way in knot.ways_out] == texts or len(knot.ways_out) == 4
    for line in ("  node1, node3 and node4 will not do, required because", "  node2 will not do, required because"):
        assert line in knot.story


def test_each_fact_of_the_core_has_the_line_where_it_is_written(devil: Scenario) -> None:
    core, = explain(devil, seed=0).stuck[0].cores
    lines = {}
    for member in core.members:
        file, _, line = member.where.rpartition(":")
        lines[member.kind] = Path(file).read_text().splitlines()[int(line) - 1].strip()
    assert lines == {
        "bound": "volumeClaimTemplates:", "reach": "volumes:", "apart": "podAntiAffinity:", "there": "template:",
    }
    assert [member.made_from for member in core.members if member.kind != "apart"] == [
        "StatefulSet consul", "", "StatefulSet consul"]


def test_every_rule_answers_for_every_node(devil: Scenario) -> None:
    table, = explain(devil, seed=0).stuck[0].tables
    rules = [name for name, _ in FILTERS]
    assert [[answer.rule for answer in node.answers] for node in table.nodes] == [rules] * 4
    refusals = {node.node: [answer.rule for answer in node.refusals] for node in table.nodes}
    assert refusals == {"node1": ["TaintToleration", "VolumeBinding"], "node2": ["InterPodAffinity"],
                        "node3": ["VolumeBinding", "InterPodAffinity"], "node4": ["VolumeBinding"]}
    node3 = next(node for node in table.nodes if node.node == "node3")
    said = {answer.rule: answer for answer in node3.answers}
    assert said["VolumeBinding"].answer == NO and said["NodeUnschedulable"].answer == YES
    assert said["VolumeBinding"].reasons == ("node(s) didn't match PersistentVolume's node affinity",)
    assert said["InterPodAffinity"].text.startswith("node3 already runs consul-0")


def test_without_a_seed_the_first_stuck_run_is_explained(devil: Scenario) -> None:
    assert explain(devil, with_repairs=False).seed == 0
    some = next(seed for seed in range(10) if run(devil, seed=seed).verdict == "converged")
    told = explain(devil, seed=some, with_repairs=False)
    assert told.verdict == "converged" and not told.stuck and "seed 0 gets stuck" in told.found


def test_a_scenario_that_never_gets_stuck_is_said_to_converge() -> None:
    found = explain(small_scenario([make_node("n1")], [apply(make_pod("p"), at="1s")]))
    assert found.verdict == "converged" and "seeds 0 to 49 converge" in found.found and not found.repairs


def test_a_log_a_run_and_a_scenario_give_the_same(devil: Scenario) -> None:
    played = run(devil, seed=0)
    read = read_log(io.BytesIO(b"".join(played.log.lines())), "run.jsonl")
    answers = [json.dumps(why_data(explain(what)), sort_keys=True) for what in (played, played.log, read)]
    answers.append(json.dumps(why_data(explain(devil, seed=0)), sort_keys=True))
    assert len(set(answers)) == 1


def test_what_a_log_tells_of_provisioners_is_taken_up() -> None:
    case = next(case for case in CASES if case.name.startswith("A14"))
    log = run(case.scenario(), seed=0).log
    log = read_log(io.BytesIO(b"".join(log.lines())), "run.jsonl")
    texts = [member.text for member in explain(log).stuck[0].cores[0].members]
    assert texts == ["the provisioner csi.example.com does not answer"]


def test_only_what_is_asked_for_is_told() -> None:
    scenario = small_scenario([*CLASSES, *nodes(1)], [
        apply(make_pod("big", cpu="90"), make_pod("far", nodeSelector={"a": "b"}), at="1s")])
    both = explain(scenario, seed=0)
    assert [knot.objects for knot in both.stuck] == [("Pod/default/big",), ("Pod/default/far",)]
    one = explain(scenario, seed=0, objects=["pod/far"])
    assert [knot.objects for knot in one.stuck] == [("Pod/default/far",)]
    with pytest.raises(ScenarioError, match='nothing called "pod/near" is stuck'):
        explain(scenario, seed=0, objects=["pod/near"])


def test_two_things_that_are_stuck_are_mended_together() -> None:
    scenario = small_scenario([*CLASSES, make_node("n1", unschedulable=True)], [
        apply(make_pod("a"), make_pod("b", nodeSelector={"a": "b"}), at="1s")])
    found = explain(scenario, seed=0)
    assert len(found.stuck) == 2
    assert found.repairs[0].mends_all and found.repairs[0].title == "uncordon n1; let b run on any node"


def test_many_that_are_stuck_alike_are_looked_into_once_or_twice() -> None:
    closed = [make_node(f"n{number}", taints=[{"key": "a", "effect": "NoSchedule"}]) for number in range(1, 13)]
    web = make_set("web", replicas=8, templates=(), anti_affinity=False, podManagementPolicy="Parallel")
    found = explain(small_scenario([*CLASSES, *closed], [apply(web, at="1s")]), seed=0)
    assert [knot.alike for knot in found.stuck] == ["", "", *["Pod/default/web-0"] * 6]
    assert [member.text for member in found.stuck[0].cores[0].members] == [
        "n1, n2, n3, n4 and 8 more have the taint a:NoSchedule, which web-0 does not tolerate"]
    assert any("are stuck in the same way as web-0" in line for line in why_lines(found))
    assert found.repairs and all(repair.mends_all for repair in found.repairs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_all_that_is_short_of_its_goal_is_told_as_a_cause_or_an_effect(case: Stuck) -> None:
    played = run(case.scenario(), seed=0)
    found = explain(played, with_repairs=False)
    assert {str(key) for key in played.waiting} <= found.graph.deadlocked
    named = {name for knot in found.stuck for name in knot.objects}
    effects = " ".join(effect for knot in found.stuck for effect in knot.effects)
    assert all(str(key) in named or key.name in effects for key in played.waiting)


def test_a_log_without_an_end_is_refused(devil: Scenario) -> None:
    log = run(devil, seed=0).log
    cut = Log(log.header)
    cut.entries = log.entries[:20]
    with pytest.raises(ScenarioError, match="no verdict"):
        explain(cut)


def test_another_judge_can_run_the_experiments(devil: Scenario) -> None:
    asked: list[str] = []

    def judge(scenario: Scenario, goal: Goal, question: str) -> Outcome:
        asked.append(question)
        return by_running(scenario, goal, question)

    assert explain(devil, seed=0, judge=judge).stuck[0].cores and ANY in asked


def test_what_no_fact_explains_is_not_given_a_cause(devil: Scenario) -> None:
    def judge(scenario: Scenario, goal: Goal, question: str) -> Outcome:
        return Outcome(0, 1, True)

    knot, = explain(devil, seed=0, judge=judge).stuck
    assert not knot.cores and "not among the facts" in knot.remark
    assert any(line.startswith("  No cause is named") for line in why_lines(explain(devil, seed=0, judge=judge)))
