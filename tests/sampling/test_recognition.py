"""When a closed form holds, and that it says what the engine does: every choice gone through, with its probability."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from simulator.choices import Scripted
from simulator.drivers.untimed import Untimed, odds
from simulator.eventlog import NoLog
from simulator.latency import uniform
from simulator.sampling.recognition import ClosedForm, NotCovered, recognise
from simulator.scenario.file import LocalDirectory, LocalProvisioner, Provisioner, Spec, TimelineEntry
from simulator.scenario.load import Scenario, load_scenario
from simulator.simulation import HORIZON, Cluster
from simulator.testing.strategies import SmallCluster, small_clusters
from simulator.units import HOUR, MILLISECOND, SECOND
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

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def form(scenario: Scenario) -> ClosedForm:
    found = recognise(scenario, "uniform")
    assert isinstance(found, ClosedForm), found
    return found


def why_not(scenario: Scenario, ties: str = "uniform") -> str:
    found = recognise(scenario, ties)
    assert isinstance(found, NotCovered), found
    return found.why


def stuck_in_the_engine(scenario: Scenario) -> Fraction:
    """Over every run of the untimed driver, each with its probability."""
    ends = odds(lambda chooser: Cluster(scenario, chooser, Untimed, NoLog()).run(HORIZON)[0])
    assert sum(ends.values()) == 1 and ends.keys() <= {"converged", "stuck"}
    return ends.get("stuck", Fraction(0))


# --- what is recognised, and that it is right -------------------------------------------------------------------------


@pytest.mark.parametrize(("per_node", "stuck"), [(1, Fraction(0)), (2, Fraction(3, 5)), (3, Fraction(19, 28)),
                                                 (4, Fraction(39, 55))])
def test_the_devil_is_recognised(per_node: int, stuck: Fraction) -> None:
    found = form(load_scenario([str(SCENARIOS / "devil")], {"volumesPerNode": str(per_node)}))
    assert (found.name, found.stuck) == ("equal nodes", stuck)
    assert found.numbers[0].startswith(f"N = 3 nodes that can run the pods, m = {per_node} volumes on each, r = 3 pods")


def test_the_formula_is_given_with_its_numbers() -> None:
    found = form(load_scenario([str(SCENARIOS / "devil")]))
    assert found.formula == "P(converges) = [N]_r · ([m]_k)^r / [N m]_(r k)"
    assert found.numbers[1] == "[3]_3 · ([3]_1)^3 / [9]_3 = 6 · 27 / 504"


TWO = [template("data"), template("wal")]
FAST = local_class("fast")
PAIR = [template("data"), template("log", storageClassName="fast")]


def several_classes() -> Scenario:
    both = [*volumes((1, 2)), *volumes((2, 1), storageClassName="fast")]
    return scenario_of([*nodes(2), local_class(), FAST, *both], stateful_set(2, PAIR))


def closed(**spec: Any) -> Scenario:
    """Three nodes, of which node3 is closed to the pods."""
    return scenario_of([*nodes(2), node("node3", **spec), local_class(), *volumes((1, 1, 1))], stateful_set(2))


SMALL = {"resources": {"requests": {"cpu": "6"}}}
KINDS: dict[str, tuple[str, Callable[[], Scenario]]] = {
    "unequal nodes": ("unequal nodes", lambda: plain((1, 2, 2), pods=stateful_set(2))),
    "a set that is there from the start": (
        "equal nodes", lambda: scenario_of([*nodes(2), local_class(), *volumes((2, 2)), stateful_set(2)])),
    "Parallel": ("equal nodes", lambda: plain((2, 2), pods=stateful_set(2, podManagementPolicy="Parallel"))),
    "two claims of one class": ("equal nodes", lambda: plain((3, 3), pods=stateful_set(2, TWO))),
    "two claims, unequal nodes": ("unequal nodes", lambda: plain((2, 3), pods=stateful_set(2, TWO))),
    "two classes": ("several classes", lambda: scenario_of(
        [*nodes(2), local_class(), FAST, *volumes((2, 2)), *volumes((1, 1), storageClassName="fast")],
        stateful_set(2, PAIR))),
    "two classes, unequal": ("level by level", several_classes),
    "a tainted node": ("unequal nodes", lambda: closed(taints=[{"key": "dedicated", "effect": "NoSchedule"}])),
    "a cordoned node": ("unequal nodes", lambda: closed(unschedulable=True)),
    "a node that is too small": ("unequal nodes", lambda: scenario_of(
        [*nodes(2), {**node("node3"), "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "9"},
                                                 "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "9"}}},
         local_class(), *volumes((1, 1, 1))],
        stateful_set(2, pod={"containers": [{"name": "main", "image": "i", **SMALL}]}))),
    "a taint that is tolerated": ("equal nodes", lambda: scenario_of(
        [node("node1"), node("node2", taints=[{"key": "dedicated", "effect": "NoSchedule"}]), local_class(),
         *volumes((2, 2))], stateful_set(2, pod={"tolerations": [{"key": "dedicated", "operator": "Exists"}]}))),
    "volumes of a node that is not there": ("unequal nodes", lambda: scenario_of(
        [*nodes(2), local_class(), *volumes((2, 1)), volume("lost", "node9")], stateful_set(2))),
    "larger volumes that are not reached": ("equal nodes", lambda: scenario_of(
        [*nodes(2), local_class(), *volumes((1, 1)), *volumes((2, 2), "20Gi")], stateful_set(2))),
    "volumes that are too small": ("equal nodes", lambda: scenario_of(
        [*nodes(2), local_class(), *volumes((2, 2)), *volumes((2, 2), "1Gi")],
        stateful_set(2, [template(request="5Gi")]))),
    "several capacities": ("level by level", lambda: scenario_of(
        [*nodes(3), local_class(), *volumes((1, 0, 0)), *volumes((1, 1, 1), "20Gi")], stateful_set(2))),
    "several capacities, Parallel": ("level by level", lambda: scenario_of(
        [*nodes(3), local_class(), *volumes((1, 0, 0)), *volumes((1, 1, 1), "20Gi")],
        stateful_set(2, podManagementPolicy="Parallel"))),
    "two claims, several capacities": ("level by level", lambda: scenario_of(
        [*nodes(2), local_class(), *volumes((2, 1)), *volumes((1, 1), "20Gi")], stateful_set(2, TWO))),
    "one pod without a rule": ("equal nodes", lambda: plain((2, 2), pods=stateful_set(1, TWO, pod={"affinity": None}))),
    "fewer volumes than claims": ("too few volumes", lambda: plain((1, 1), pods=stateful_set(3))),
    "fewer volumes than claims, Parallel, capacities": ("too few volumes", lambda: scenario_of(
        [*nodes(2), local_class(), *volumes((1, 1)), *volumes((1, 0), "20Gi")],
        stateful_set(2, TWO, podManagementPolicy="Parallel"))),
    "fewer nodes than pods": ("equal nodes", lambda: plain((2, 2), pods=stateful_set(3))),
    "no volumes": ("too few volumes", lambda: plain((0, 0), pods=stateful_set(2))),
    "volumes without a class": ("equal nodes", lambda: scenario_of(
        [*nodes(2), *volumes((2, 2), storageClassName="")], stateful_set(2, [template(storageClassName="")]))),
    "a class without an object": ("equal nodes", lambda: scenario_of([*nodes(2), *volumes((2, 2))], stateful_set(2))),
    "volumes of more modes than are asked for": ("equal nodes", lambda: scenario_of(
        [*nodes(2), local_class(), *volumes((2, 2), accessModes=["ReadWriteOnce", "ReadOnlyMany"])], stateful_set(2))),
    "soft taints": ("equal nodes", lambda: scenario_of(
        [node("node1"), node("node2", taints=[{"key": "x", "effect": "PreferNoSchedule"}]), local_class(),
         *volumes((2, 2))], stateful_set(2))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_that_holds_gives_what_every_run_of_the_engine_gives(kind: str) -> None:
    name, make = KINDS[kind]
    scenario = make()
    found = form(scenario)
    assert found.name == name
    assert found.stuck == stuck_in_the_engine(scenario)


@settings(max_examples=150)
@given(cluster=small_clusters(max_nodes=3, max_steps=0, provisioned=False))
def test_whatever_is_recognised_is_what_the_engine_does(cluster: SmallCluster) -> None:
    """Clusters with volumes and claims of all sorts, closed nodes, late caches; few of them are plain enough."""
    scenario = cluster.scenario()
    found = recognise(scenario, "uniform")
    if isinstance(found, ClosedForm) and cluster.sets[0].replicas * len(cluster.sets[0].templates) <= 3:
        assert found.stuck == stuck_in_the_engine(scenario)


def test_whichever_capacity_comes_first_the_volumes_of_a_run_are_those_that_are_counted() -> None:
    """A check of the check: a wrong order of the levels would show."""
    scenario = KINDS["several capacities"][1]()
    assert form(scenario).converged == Fraction(2, 3)
    assert {len(asked[2]) for asked in asked_in(scenario)} == {3}  # the first claim has no choice


def asked_in(scenario: Scenario) -> list[tuple[Any, ...]]:
    chooser = Scripted()
    Cluster(scenario, chooser, Untimed, NoLog()).run(HORIZON)
    return [asked for asked in chooser.asked if asked[0] == "volume"]


def test_large_clusters_are_worked_out_too() -> None:
    counts = tuple(8 + number % 3 for number in range(200))
    found = form(scenario_of([*nodes(200), local_class(), *volumes(counts)], stateful_set(30)))
    assert found.name == "unequal nodes" and 0.12 < found.converged < 0.13
    assert len(found.numbers) == 1  # numbers of a hundred digits are not written out


# --- what is not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", ["go-map", "first", "last"])
def test_the_devil_is_not_recognised_under_other_ties(ties: str) -> None:
    assert why_not(load_scenario([str(SCENARIOS / "devil")]), ties) == f"the ties are not uniform ({ties})"


def test_the_devil_is_not_recognised_if_the_pods_are_scheduled_first() -> None:
    waiting = load_scenario([str(SCENARIOS / "devil")], {"bindingMode": "WaitForFirstConsumer"})
    assert why_not(waiting) == "class local does not bind claims at once (WaitForFirstConsumer)"


def test_of_all_scenarios_shipped_only_the_plain_ones_are_recognised() -> None:
    recognised = {
        path.parent.name for path in sorted(SCENARIOS.rglob("scenario.yaml"))
        if isinstance(recognise(load_scenario([str(path)]), "uniform"), ClosedForm)
    }
    assert recognised == {"devil", "15-one-volume-per-node", "16-several-volumes-per-node"}


def with_pod(**pod: Any) -> Scenario:
    return plain(pods=stateful_set(pod=pod))


def with_claim(**spec: Any) -> Scenario:
    return plain(pods=stateful_set(3, [template(**spec)]))


def with_objects(*more: dict[str, Any]) -> Scenario:
    return scenario_of([*nodes(3), local_class(), *volumes((2, 2, 2)), *more], stateful_set())


def with_volume(name: str = "odd", **spec: Any) -> Scenario:
    return with_objects(volume(name, "node1", **spec))


def with_node(**spec: Any) -> Scenario:
    return scenario_of([*nodes(2), node("node3", **spec), local_class(), *volumes((2, 2, 2))],
                       stateful_set(pod={"tolerations": [{"operator": "Exists"}]}))


def with_affinity(**affinity: Any) -> Scenario:
    return with_pod(affinity=affinity)


def anti(**term: Any) -> dict[str, Any]:
    rule = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}, **term}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}


def object_of(kind: str, api_version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "other"}, **fields}


def after(**entry: Any) -> Scenario:
    return plain(entries=[TimelineEntry(at="2s", **entry)])


def marked(field: str, value: Any) -> Scenario:
    odd = volume("odd", "node1")
    odd["metadata"][field] = value
    return with_objects(odd)


IN_A_ZONE = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}}
OTHER_POD = object_of("Pod", spec={"containers": [{"name": "c", "image": "i"}]})
OTHER_CLAIM = object_of("PersistentVolumeClaim", spec={
    "accessModes": ["ReadWriteOnce"], "storageClassName": "local", "resources": {"requests": {"storage": "1Gi"}}})
NOT: dict[str, tuple[str, Callable[[], Scenario]]] = {
    "another set": ("there are 2 sets", lambda: with_objects(stateful_set(name="db"))),
    "no set": ("there is no set", lambda: scenario_of([*nodes(1)])),
    "a pod": ("there is the Pod other", lambda: with_objects(OTHER_POD)),
    "a claim": ("there is the PersistentVolumeClaim other", lambda: with_objects(OTHER_CLAIM)),
    "a quota": ("there is the ResourceQuota other",
                lambda: with_objects(object_of("ResourceQuota", spec={"hard": {"pods": "2"}}))),
    "a priority class": ("there is the PriorityClass other",
                         lambda: with_objects(object_of("PriorityClass", "scheduling.k8s.io/v1", value=1))),
    "a budget": ("there is the PodDisruptionBudget other",
                 lambda: with_objects(object_of("PodDisruptionBudget", "policy/v1", spec={}))),
    "a later action": ("entry 2 of the timeline (cordon)", lambda: after(cordon="node1")),
    "a condition": ("entry 1 of the timeline (apply)", lambda: scenario_of(
        [*nodes(3), *volumes((1, 1, 1))],
        entries=[TimelineEntry(when="Node/node1 is ready", apply=stateful_set())])),
    "a pause": ("entry 2 of the timeline (sleep)", lambda: after(sleep="1m")),
    "a fault": ("entry 2 of the timeline (fail)", lambda: after(fail="Node/node1")),
    "volumes that come later": ("entry 2 of the timeline (apply)", lambda: after(apply=volume("late", "node1"))),
    "a scale": ("entry 2 of the timeline (scale)", lambda: after(scale="StatefulSet/web", replicas=2)),
    "until": ("to go on to a given time", lambda: plain(spec=Spec(until="1h"))),
    "provisioners": ("describes a provisioner", lambda: plain(spec=Spec(provisioners=(Provisioner(name="x"),)))),
    "a local provisioner": ("describes a provisioner", lambda: plain(spec=Spec(local_provisioner=LocalProvisioner(
        directories=(LocalDirectory(storage_class="local", files={}),))))),
    "a slow binder": ("may be looked at before", lambda: plain(latencies={"work": uniform(0, SECOND)})),
    "very slow pods": ("without a verdict", lambda: plain(latencies={"pod-start": uniform(0, HOUR)})),
    "minReadySeconds": ("without a verdict", lambda: plain(pods=stateful_set(minReadySeconds=3600))),
    "no replicas": ("no replicas", lambda: plain(pods=stateful_set(0))),
    "no templates": ("no claim templates", lambda: plain(pods=stateful_set(3, []))),
    "retention": ("deletes claims", lambda: plain(pods=stateful_set(
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete"}))),
    "ordinals": ("the set's spec has ordinals", lambda: plain(pods=stateful_set(ordinals={"start": 1}))),
    "no anti-affinity": ("no required anti-affinity", lambda: with_pod(affinity=None)),
    "soft anti-affinity": ("no required anti-affinity", lambda: with_affinity(podAntiAffinity={
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}}]})),
    "zones": ("is about topology.kubernetes.io/zone",
              lambda: with_affinity(podAntiAffinity=anti(topologyKey="topology.kubernetes.io/zone"))),
    "other pods": ("does not select the set's own pods",
                   lambda: with_affinity(podAntiAffinity=anti(labelSelector={"matchLabels": {"app": "db"}}))),
    "one pod only": ("labels that differ from pod to pod", lambda: with_affinity(podAntiAffinity=anti(labelSelector={
        "matchExpressions": [{"key": "apps.kubernetes.io/pod-index", "operator": "NotIn", "values": ["1"]}]}))),
    "namespaces": ("the anti-affinity has namespaces", lambda: with_affinity(podAntiAffinity=anti(namespaces=["x"]))),
    "node affinity": ("more than one rule",
                      lambda: with_affinity(podAntiAffinity=anti(), nodeAffinity=IN_A_ZONE)),
    "a node selector": ("the pods' spec has nodeSelector", lambda: with_pod(nodeSelector={"disk": "ssd"})),
    "a node name": ("the pods' spec has nodeName", lambda: with_pod(nodeName="node1")),
    "topology spread": ("the pods' spec has topologySpreadConstraints", lambda: with_pod(topologySpreadConstraints=[
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}])),
    "priority": ("the pods' spec has priorityClassName", lambda: with_pod(priorityClassName="system-node-critical")),
    "gates": ("the pods' spec has schedulingGates", lambda: with_pod(schedulingGates=[{"name": "x"}])),
    "another scheduler": ("another scheduler", lambda: with_pod(schedulerName="mine")),
    "a host port": ("hostPort", lambda: with_pod(containers=[
        {"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}])),
    "an inline claim": ("a volume of the pods has persistentVolumeClaim", lambda: with_pod(
        volumes=[{"name": "x", "persistentVolumeClaim": {"claimName": "other"}}])),
    "an ephemeral claim": ("a volume of the pods has ephemeral", lambda: with_pod(
        volumes=[{"name": "x", "ephemeral": {"volumeClaimTemplate": {"spec": template()["spec"]}}}])),
    "a toleration that ends": ("for some time only", lambda: scenario_of(
        [*nodes(2), node("node3", taints=[{"key": "x", "effect": "NoExecute"}]), local_class(), *volumes((2, 2, 2))],
        stateful_set(pod={"tolerations": [{"key": "x", "operator": "Exists", "effect": "NoExecute",
                                           "tolerationSeconds": 60}]}))),
    "pods that stand a cordon": ("may stand that node3 is cordoned", lambda: with_node(unschedulable=True)),
    "a taint of Kubernetes' own": ("has the taint node.kubernetes.io/disk-pressure", lambda: with_node(
        taints=[{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}])),
    "a node that is not ready": ("has the condition Ready=False", lambda: with_objects({
        **node("sick"), "status": {"conditions": [{"type": "Ready", "status": "False"}]}})),
    "a node under pressure": ("has the condition MemoryPressure=True", lambda: with_objects({
        **node("sick"), "status": {"conditions": [{"type": "Ready", "status": "True"},
                                                  {"type": "MemoryPressure", "status": "True"}]}})),
    "two nodes of one name": ("the same label kubernetes.io/hostname", lambda: with_objects(
        {"apiVersion": "v1", "kind": "Node",
         "metadata": {"name": "twin", "labels": {"kubernetes.io/hostname": "node1"}}})),
    "a provisioner": ("class local has a provisioner", lambda: scenario_of(
        [*nodes(3), local_class(provisioner="disk.example.com"), *volumes((2, 2, 2))], stateful_set())),
    "the default class": ("leaves the class to the default", lambda: with_claim(storageClassName=None)),
    "a selector": ("the claim template data has selector",
                   lambda: with_claim(selector={"matchLabels": {"disk": "ssd"}})),
    "a volume by name": ("the claim template data has volumeName", lambda: with_claim(volumeName="x")),
    "exclusive claims": ("asks for ReadWriteOncePod", lambda: with_claim(accessModes=["ReadWriteOncePod"])),
    "other modes": ("have other modes than the claims ask for", lambda: with_claim(accessModes=["ReadWriteMany"])),
    "block volumes": ("have other modes than the claims ask for", lambda: with_claim(volumeMode="Block")),
    "templates that differ": ("are not alike",
                              lambda: plain(pods=stateful_set(3, [template(), template("wal", "2Gi")]))),
    "mixed modes": ("differ in accessModes or volumeMode",
                    lambda: with_volume(accessModes=["ReadWriteOnce", "ReadOnlyMany"])),
    "mixed volume modes": ("differ in accessModes or volumeMode", lambda: with_volume(volumeMode="Block")),
    "a reserved volume": ("the volume odd is not free", lambda: with_volume(
        claimRef={"namespace": "default", "name": "data-web-0"})),
    "a volume of another class that is reserved": ("the volume odd is not free", lambda: with_volume(
        storageClassName="other", claimRef={"namespace": "default", "name": "data-web-0"})),
    "a volume for two nodes": ("not tied to one node", lambda: with_volume(nodeAffinity={"required": {
        "nodeSelectorTerms": [{"matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node1", "node2"]}]}]}})),
    "a volume tied by another label": ("not tied to one node", lambda: with_volume(nodeAffinity={"required": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["node1"]}]}]}})),
    "a network volume": ("the volume odd has csi", lambda: with_objects({
        **volume("odd", "node1"),
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
                 "csi": {"driver": "d", "volumeHandle": "h"}}})),
    "a volume in a zone": ("lies in a zone", lambda: marked("labels", {"topology.kubernetes.io/zone": "a"})),
    "a volume with annotations": ("has annotations", lambda: marked("annotations", {"mine": "x"})),
    "a volume with finalizers": ("has finalizers of its own", lambda: marked("finalizers", ["example.com/mine"])),
    "capacities in no certain order": ("in no certain order (Parallel)", lambda: scenario_of(
        [*nodes(2), local_class(), *volumes((1, 1)), *volumes((2, 2), "20Gi")],
        stateful_set(2, TWO, podManagementPolicy="Parallel"))),
    "a set that is refused": ("the API server refuses the set", lambda: plain(
        pods=stateful_set(selector={"matchLabels": {"app": "db"}}))),
    "pods that are refused": ("the API server refuses its pods", lambda: with_pod(containers=[
        {"name": "c", "image": "i", "volumeMounts": [{"name": "nothing", "mountPath": "/x"}]}])),
    "thousands of digits": ("thousands of digits", lambda: plain((900, 900), pods=stateful_set(
        2, [template(f"t{number}") for number in range(700)]))),
}


@pytest.mark.parametrize("kind", NOT)
def test_whatever_might_matter_leaves_no_closed_form(kind: str) -> None:
    words, make = NOT[kind]
    assert words in why_not(make())


def test_a_run_that_is_cut_off_has_none_either() -> None:
    assert recognise(plain(), "uniform", HOUR) == NotCovered("the run is to go on to a given time")


def test_a_set_that_is_there_already_is_not_new() -> None:
    there = stateful_set()
    there["metadata"]["uid"] = "1-2-3"
    assert why_not(scenario_of([*nodes(2), local_class(), *volumes((2, 2)), there])) == "the set web is not new"


def test_durations_do_not_matter() -> None:
    lag = {"watch": uniform(0, 300 * MILLISECOND), "pod-start": uniform(0, 9 * SECOND), "api": uniform(0, SECOND)}
    assert form(plain(latencies=lag)).stuck == Fraction(3, 5)
