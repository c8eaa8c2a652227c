"""What stuck runs fail on first, and that the short log tells as much about it as the whole one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from simulator.explanation.evidence import gather
from simulator.explanation.reasons import explain, reasons
from simulator.sampling.causes import Cause
from simulator.sampling.runs import LastWords, Question, derived_seed, outcome
from simulator.scenario.file import TimelineEntry
from simulator.scenario.load import Scenario, load_scenario
from simulator.simulation import Cluster, run
from simulator.testing.strategies import SmallCluster, small_clusters
from tests.sampling.plain import (
    local_class,
    node,
    nodes,
    plain,
    scenario_of,
    stateful_set,
    template,
    volume,
    volumes,
)

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").rglob("scenario.yaml"))


def cause(scenario: Scenario, seed: int = 0, ties: str = "uniform") -> Cause:
    ended = outcome(Question(scenario, 0, ties), seed)
    assert ended.cause is not None, ended
    return ended.cause


def both_ways(scenario: Scenario, seed: int) -> None:
    """The reasons after a whole log, and after the last words only."""
    whole, words = run(scenario, seed=seed), LastWords()

    def listen(cluster: Cluster) -> None:
        cluster.world.log = words

    again = run(scenario, seed=seed, keep_log=False, prepare=listen)
    assert (again.verdict, again.why, again.failures) == (whole.verdict, whole.why, whole.failures)
    assert explain(gather(words.log(again.world.store))) == reasons(whole.log)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_the_last_words_give_the_reasons_of_the_whole_log(path: Path) -> None:
    scenario = load_scenario([str(path)])
    for seed in range(3):
        both_ways(scenario, seed)


@settings(max_examples=60)
@given(cluster=small_clusters())
def test_the_last_words_do_so_in_any_cluster(cluster: SmallCluster) -> None:
    both_ways(cluster.scenario(), 1)


@settings(max_examples=60)
@given(cluster=small_clusters(max_steps=1))
def test_no_cause_names_what_differs_from_run_to_run(cluster: SmallCluster) -> None:
    """Nodes and volumes, and the ordinals of a set that is still there."""
    ended = outcome(Question(cluster.scenario(), 0, "uniform"), 1)
    if ended.cause is not None and not any(step.target.startswith("StatefulSet/") for step in cluster.steps):
        assert not re.search(r"\bnode\d|\bpv-|web-\d|db-\d", ended.cause.what), ended.cause


def tied(*more: dict[str, Any], where: dict[str, Any] | None = None) -> Scenario:
    """A set of one whose claim is bound to a volume of node1 before anything else."""
    return scenario_of([where or node("node1"), node("node2"), local_class(), volume("v1", "node1"), *more],
                       stateful_set(1))


def test_the_devil_fails_on_anti_affinity() -> None:
    found = cause(load_scenario([str(SCENARIOS[0].parents[1] / "devil")]), ties="first")
    assert found == Cause(
        "a pod of consul: its volume is on a node that already runs another pod of consul, and anti-affinity keeps "
        "them apart", ("InterPodAffinity",), "Pod/default/consul-1")


def test_equal_causes_of_different_runs_are_one() -> None:
    scenario = plain((3, 3, 3))
    found = [ended.cause for seed in range(40) if (ended := outcome(Question(scenario, 0, "uniform"), seed)).cause]
    assert len(found) > 10 and len({(each.what, each.plugins) for each in found if each}) == 1
    assert {each.object for each in found if each} == {"Pod/default/web-1", "Pod/default/web-2"}


LARGE = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "99"}}}]}
WAITING = local_class(volumeBindingMode="WaitForFirstConsumer")


@pytest.mark.parametrize(("scenario", "what", "plugins"), [
    (tied(where=node("node1", unschedulable=True)),
     "a pod of web: its volume is on a node that is cordoned", ("NodeUnschedulable",)),
    (tied(where=node("node1", taints=[{"key": "x", "value": "y", "effect": "NoSchedule"}])),
     "a pod of web: its volume is on a node that has the taint x=y:NoSchedule", ("TaintToleration",)),
    (scenario_of([node("node1"), local_class(), volume("v1", "node9")], stateful_set(1)),
     "a pod of web: its volume is on no node that the cluster has", ("VolumeBinding",)),
    (scenario_of([*nodes(2), local_class(), volume("v1", "node1"), volume("v2", "node2")],
                 stateful_set(1, [template(), template("wal")])),
     "a pod of web: its volumes are on different nodes", ("VolumeBinding",)),
    (scenario_of([*nodes(2), local_class(), *volumes((1, 1))], stateful_set(1, pod=LARGE)),
     "a pod of web: its volume is on a node that has too little cpu left", ("NodeResourcesFit",)),
    (scenario_of([*nodes(2), WAITING, *volumes((1, 1))], stateful_set(1, pod=LARGE)),
     "a pod of web: no node takes it: each has too little cpu left", ("NodeResourcesFit",)),
    (scenario_of([*nodes(2), WAITING, *volumes((2, 2))], stateful_set(3)),
     "a pod of web: no node takes it: each already runs another pod of web, and anti-affinity keeps them apart",
     ("InterPodAffinity",)),
    (scenario_of([node("node1", unschedulable=True), node("node2"), WAITING], stateful_set(1)),
     "a pod of web: no node takes it: each didn't find available persistent volumes to bind; or is cordoned",
     ("VolumeBinding", "NodeUnschedulable")),
    (scenario_of([*nodes(1), local_class()], stateful_set(1)),
     "a claim data of web: there is no volume of class local, and none is made", ()),
    (scenario_of([*nodes(1), local_class(), volume("v1", "node1", "1Gi")], stateful_set(1, [template(request="2Gi")])),
     "a claim data of web: no volume of class local fits (less than the 2Gi asked for), and none is made", ()),
    (plain((1, 1), pods=stateful_set(3)),
     "a claim data of web: no volume of class local fits (bound to other claims), and none is made", ()),
], ids=lambda value: value if isinstance(value, str) else "")
def test_each_sort_of_constraint_has_its_words(scenario: Scenario, what: str, plugins: tuple[str, ...]) -> None:
    found = cause(scenario)
    assert (found.what, found.plugins) == (what, plugins)


def test_what_has_no_words_of_its_own_is_told_without_the_names_of_the_run() -> None:
    going = [TimelineEntry(at="1s", apply=stateful_set(1)), TimelineEntry(when="Pod/web-0 is ready", fail="Node/node1"),
             TimelineEntry(at="10m", delete="StatefulSet/web")]
    found = cause(scenario_of([*nodes(1), local_class(), *volumes((1,))], entries=going))
    assert found.what == ("a pod of web is being deleted: only the kubelet of a node can say that it has stopped, and "
                          "a node is not ready")


def test_pods_and_claims_of_no_set_keep_their_names() -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mine"},
             "spec": template()["spec"]}
    found = cause(scenario_of([*nodes(1), local_class()], claim))
    assert found.what == "claim mine: there is no volume of class local, and none is made"


def test_a_seed_depends_on_nothing_but_the_root_and_the_number() -> None:
    seeds = [derived_seed(root, index) for root in range(20) for index in range(500)]
    assert len(set(seeds)) == len(seeds) and max(seeds) < 1 << 48
    assert seeds[:2] == [derived_seed(0, 0), derived_seed(0, 1)]
