"""Proofs without exploration: they say what exploring every run says, and keep silent where something is in the way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from simulator.exploration.explore import explore
from simulator.preflight.certificates import room_to_spare, without_what_runs
from simulator.preflight.input import Input, read_input
from simulator.preflight.inventory import Inventory
from simulator.sampling.recognition import ClosedForm, recognise
from simulator.simulation import run
from tests.preflight.dumps import Plain, dump, manifest, new_set, node, pod, running, storage_class, three_nodes, volume

TAINT = {"taints": [{"key": "dedicated", "effect": "NoSchedule"}]}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def given_by(present: list[Plain], *new: Plain) -> Input:
    Path("cluster.yaml").write_text(dump(*present))
    Path("new.yaml").write_text(manifest(*new))
    return read_input(["cluster.yaml", "new.yaml"])


def spare(present: list[Plain], *new: Plain) -> str:
    given = given_by(present, *new)
    return room_to_spare(given, Inventory(given), run(given.scenario))


def exact(present: list[Plain], *new: Plain) -> Any:
    given = given_by(present, *new)
    plain = without_what_runs(given, Inventory(given), run(given.scenario))
    form = recognise(plain, "uniform") if plain is not None else None
    return form.stuck if isinstance(form, ClosedForm) else None


def clusters(number: int) -> tuple[list[Plain], Plain]:
    """A small cluster drawn at random, with a set that runs, and a new set."""
    draw = random.Random(number)
    names = [f"node{i}" for i in range(draw.randint(2, 4))]
    present = [node(name, **(TAINT if draw.random() < 0.15 else {})) for name in names]
    present.append(storage_class(mode=draw.choice(["Immediate", "WaitForFirstConsumer"])))
    if up := draw.randint(0, len(names)):
        present += running("db", tuple(draw.sample(names, up)))
    for name in names:
        for disk in range(draw.randint(0, 3)):
            present.append(volume(f"free-{name}-{disk}", name, size=draw.choice(["10Gi", "10Gi", "10Gi", "5Gi"])))
    return present, new_set(replicas=draw.randint(1, 3), podManagementPolicy=draw.choice(["OrderedReady", "Parallel"]))


@pytest.mark.parametrize("number", range(30))
def test_the_proofs_agree_with_exploring_every_run(number: int) -> None:
    present, new = clusters(number)
    given = given_by(present, new)
    inventory, first = Inventory(given), run(given.scenario)
    found = explore(given.scenario, most_states=3000)
    assert found.is_complete
    if room_to_spare(given, inventory, first):
        assert found.verdict == "always converges"
    plain = without_what_runs(given, inventory, first)
    form = recognise(plain, "uniform") if plain is not None else None
    if isinstance(form, ClosedForm):
        assert form.stuck == found.stuck


def test_there_is_room_to_spare_with_a_good_node_for_each_new_pod() -> None:
    assert "3 nodes have room and volumes" in spare(three_nodes(), new_set(replicas=3))
    assert not spare(three_nodes()[1:], new_set(replicas=3))


@pytest.mark.parametrize("mode", ["Immediate", "WaitForFirstConsumer"])
def test_volumes_that_are_made_where_they_are_wanted_need_only_nodes(mode: str) -> None:
    network = storage_class("network", mode, provisioner="csi.example.com")
    new = new_set(replicas=3)
    new["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "network"
    assert "3 nodes" in spare([*three_nodes(free=0), network], new)
    given = given_by([*three_nodes(free=0), network], new)
    assert explore(given.scenario, most_states=3000).verdict == "always converges"
    limits: Plain = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": "node1", "uid": "c-1"},
                     "spec": {"drivers": [{"name": "csi.example.com", "nodeID": "n", "topologyKeys": [],
                                           "allocatable": {"count": 1}}]}}
    assert not spare([*three_nodes(free=0), network, limits], new)
    stray = volume("stray", "node1", class_name="network")
    assert bool(spare([*three_nodes(free=0), network, stray], new)) == (mode == "WaitForFirstConsumer")


def test_a_set_that_is_given_more_replicas_needs_room_for_those_only() -> None:
    four = [*three_nodes(), node("node4"), volume("free-node4-0", "node4")]
    more = new_set("db", 4)
    more["spec"]["template"]["spec"]["containers"] = [
        {"name": "db", "image": "registry.example.com/db:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]
    assert spare(four, more) == "the new pod finds a node: 1 node has room and volumes for any of them"
    assert explore(given_by(four, more).scenario).verdict == "always converges"
    assert not spare(three_nodes(), more)
    old = volume("old", "node1", claim="data-db-3")
    assert not spare([*four, old], more)  # its claim is there already: the pod must go where that is
    more["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/db:2"
    assert not spare(four, more)


def test_a_class_that_comes_after_its_set_is_not_covered() -> None:
    cluster = [obj for obj in three_nodes() if obj["kind"] != "StorageClass"]
    late = storage_class()
    late["metadata"] = {"name": "local"}
    assert spare(cluster, late, new_set())
    assert not spare(cluster, new_set(), late)


def test_two_new_sets_count_together() -> None:
    assert spare(three_nodes(), new_set("a", 1), new_set("b", 2))
    assert not spare(three_nodes(), new_set("a", 2), new_set("b", 2))


def changed(**fields: Any) -> Plain:
    new = new_set()
    new["spec"]["template"]["spec"].update(fields)
    return new


@pytest.mark.parametrize("new", [
    changed(nodeName="node1"),
    changed(schedulerName="mine"),
    changed(schedulingGates=[{"name": "gate"}]),
    changed(containers=[{"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 80}]}]),
    changed(containers=[{"name": "c", "image": "x", "resources": {"requests": {"cpu": "15900m"}}},
                        {"name": "d", "image": "x", "resources": {"requests": {"cpu": "200m"}}}]),
    changed(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "labelSelector": {},
                                        "whenUnsatisfiable": "DoNotSchedule"}]),
    changed(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}]}}),
    changed(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/os", "labelSelector": {"matchLabels": {"app": "db"}}}]}}),
    changed(volumes=[{"name": "x", "persistentVolumeClaim": {"claimName": "data-db-0"}}]),
], ids=["node name", "scheduler", "gate", "host port", "too large", "spread", "near", "apart by more", "shared claim"])
def test_pods_that_look_at_more_than_a_node_are_not_covered(new: Plain) -> None:
    assert not spare(three_nodes(), new)
    assert exact(three_nodes("Immediate"), new) is None


def test_pods_that_run_in_the_way_spoil_their_nodes() -> None:
    apart = changed(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}]}})
    assert not spare(three_nodes(), apart)
    free = [node("free-a"), node("free-b"), volume("a", "free-a"), volume("b", "free-b")]
    assert "2 nodes" in spare([*three_nodes(), *free], apart)
    assert exact([*three_nodes("Immediate"), *free], apart) is None


@pytest.mark.parametrize("strange", [
    volume("reserved", "node1") | {"spec": volume("reserved", "node1")["spec"] | {
        "claimRef": {"namespace": "default", "name": "data-web-0"}}},
    {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "default", "uid": "q-1"},
     "spec": {"hard": {"pods": "9"}}},
    {**pod("other", 0, ""), "status": {"phase": "Pending"}},
], ids=["a reserved volume", "a quota", "a pod that waits"])
def test_what_else_may_matter_in_the_cluster_is_not_covered(strange: Plain) -> None:
    assert not spare([*three_nodes(), strange], new_set())
    assert exact([*three_nodes("Immediate"), strange], new_set()) is None


def test_a_node_that_is_not_well_does_not_count() -> None:
    assert not spare([node("node1", ready="Unknown"), *three_nodes()[1:]], new_set(replicas=3))
    assert not spare([node("node1", **TAINT), *three_nodes()[1:]], new_set(replicas=3))
