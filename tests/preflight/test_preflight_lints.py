"""Each lint finds what it is for, says why it bites and how to mend it, and keeps silent about what is fine."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from simulator.preflight.input import read_input
from simulator.preflight.inventory import Inventory
from simulator.preflight.lints import LINTS, run_lints
from simulator.preflight.result import SEVERITIES, Finding
from tests.preflight.dumps import Plain, dump, manifest, meta, new_set, node, storage_class, three_nodes, volume

ROOT = Path(__file__).parents[2]
Lint = Callable[..., list[Finding]]
TAINT = [{"key": "dedicated", "effect": "NoSchedule"}]


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lint:
    """The findings about new objects in a cluster."""
    monkeypatch.chdir(tmp_path)

    def find(present: Sequence[Plain], *new: Plain) -> list[Finding]:
        sources = []
        if present:
            Path("cluster.yaml").write_text(dump(*present))
            sources.append("cluster.yaml")
        if new:
            Path("new.yaml").write_text(manifest(*new))
            sources.append("new.yaml")
        return run_lints(Inventory(read_input(sources)))

    return find


# --- what people write ------------------------------------------------------------------------------------------------


def web(**fields: Any) -> Plain:
    """A set of two with changes of its pods' spec."""
    new = new_set()
    new["spec"]["template"]["spec"].update(fields)
    return new


def spec(new: Plain, **fields: Any) -> Plain:
    """A set with changes of its own spec."""
    new["spec"].update(fields)
    return new


def asks(**fields: Any) -> Plain:
    """A set with changes of its claim template."""
    new = new_set()
    new["spec"]["volumeClaimTemplates"][0]["spec"].update(fields)
    return new


def pv(name: str, on: str = "node1", **fields: Any) -> Plain:
    """A volume as people write it."""
    made = volume(name, on, **fields)
    made["metadata"] = {"name": name}
    del made["status"]
    return made


def pvc(name: str, **fields: Any) -> Plain:
    """A claim as people write it."""
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
        "storageClassName": "local", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        **fields}}


def sc(name: str, mode: str = "WaitForFirstConsumer", **fields: Any) -> Plain:
    """A class as people write it."""
    made = storage_class(name, mode, **fields)
    made["metadata"] = {"name": name}
    return made


def default_sc(name: str) -> Plain:
    """A class marked as the default."""
    made = sc(name)
    made["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    return made


def pdb(name: str = "pdb", app: str = "db", **fields: Any) -> Plain:
    """A disruption budget."""
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": app}}, **fields}}


def shares(modes: list[str], replicas: int = 2, *, apart: bool = True) -> list[Plain]:
    """A set whose pods share one claim."""
    new = spec(web(volumes=[{"name": "shared", "persistentVolumeClaim": {"claimName": "one"}}]), replicas=replicas,
               volumeClaimTemplates=[])
    if not apart:
        del new["spec"]["template"]["spec"]["affinity"]
    return [pvc("one", accessModes=modes), new]


def changed(kind: str, name: str, change: Callable[[Plain], object], cluster: Sequence[Plain] = ()) -> list[Plain]:
    """A cluster in which one object is different."""
    found = copy.deepcopy(list(cluster) or three_nodes())
    change(next(obj for obj in found if (obj["kind"], obj["metadata"]["name"]) == (kind, name)))
    return found


def term(key: str = "kubernetes.io/hostname", app: str = "web") -> list[Plain]:
    """One affinity term."""
    return [{"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}]


def affinity(**rules: Any) -> Plain:
    """A set with required affinity rules."""
    return web(affinity={name: {"requiredDuringSchedulingIgnoredDuringExecution": terms}
                         for name, terms in rules.items()})


TAINTED = node("node1", taints=TAINT)
IMMEDIATE = three_nodes("Immediate")
ONE_EACH = three_nodes("Immediate", free=1)
SMALL_TWICE = [*(node(name) for name in ("node1", "node2", "node3")), storage_class(mode="Immediate"),
               volume("a1", "node1", size="1Gi"), volume("a2", "node1", size="2Gi"),
               volume("b", "node2", size="9Gi"), volume("c", "node3", size="9Gi")]
SMALL_APART = [*SMALL_TWICE[:4], volume("a", "node1", size="1Gi"), volume("b", "node2", size="2Gi"),
               volume("c1", "node3", size="9Gi"), volume("c2", "node3", size="9Gi")]
OLD_CLAIMS = [*(node(name) for name in ("node1", "node2")), storage_class(), *(
    each for number in (0, 1) for each in (
        volume(f"old-{number}", "node1", claim=f"data-web-{number}"),
        {**pvc(f"data-web-{number}", volumeName=f"old-{number}"), "status": {"phase": "Bound"},
         "metadata": meta("PersistentVolumeClaim", f"data-web-{number}", namespace="default")}))]

Case = tuple[str, str, list[Plain], list[Plain]]
"""A lint, the severity of what it finds, and a cluster with what is applied to it."""

BAD: list[Case] = [
    ("immediate-with-anti-affinity", "warning", IMMEDIATE, [new_set()]),
    ("immediate-with-anti-affinity", "error", SMALL_TWICE, [new_set()]),
    ("immediate-with-anti-affinity", "warning", three_nodes(), [
        sc("fast", "Immediate", provisioner="openebs.io/local"), asks(storageClassName="fast")]),
    ("immediate-with-several-claims", "warning", IMMEDIATE, [spec(new_set(replicas=1), volumeClaimTemplates=[
        *new_set()["spec"]["volumeClaimTemplates"],
        {**new_set()["spec"]["volumeClaimTemplates"][0], "metadata": {"name": "wal"}}])]),
    ("immediate-volume-on-closed-node", "warning", [TAINTED, *IMMEDIATE[1:]], [new_set(replicas=1)]),
    ("immediate-volume-on-closed-node", "error", [TAINTED, *SMALL_TWICE[1:]], [new_set(replicas=1)]),
    ("node-name-with-wait-for-first-consumer", "error", three_nodes(), [spec(web(nodeName="node1"), replicas=1)]),
    ("shared-claim-with-anti-affinity", "error", three_nodes(), shares(["ReadWriteOnce"])),
    ("shared-claim-with-anti-affinity", "error", three_nodes(), shares(["ReadWriteOncePod"], apart=False)),
    ("class-comes-after-its-claims", "warning", [obj for obj in three_nodes() if obj["kind"] != "StorageClass"], [
        new_set(), sc("local")]),
    ("claims-bound-to-one-node", "error", OLD_CLAIMS, [new_set()]),
    ("old-claims-are-used-again", "note", OLD_CLAIMS, [new_set()]),
    ("missing-class", "error", three_nodes(), [asks(storageClassName="locl")]),
    ("missing-class", "note", [obj for obj in three_nodes() if obj["kind"] != "StorageClass"], [new_set(replicas=1)]),
    ("no-default-class", "error", three_nodes(), [pvc("p", storageClassName=None)]),
    ("two-default-classes", "warning", three_nodes(), [default_sc("a"), default_sc("b")]),
    ("no-volume-of-class", "error", three_nodes(free=0), [new_set()]),
    ("claim-larger-than-any-volume", "error", three_nodes(), [asks(resources={"requests": {"storage": "11Gi"}})]),
    ("volume-mode-mismatch", "error", three_nodes(), [asks(volumeMode="Block")]),
    ("access-mode-mismatch", "error", three_nodes(), [asks(accessModes=["ReadWriteMany"])]),
    ("selector-matches-no-volume", "error", three_nodes(), [asks(selector={"matchLabels": {"disk": "ssd"}})]),
    ("fewer-volumes-than-claims", "error", three_nodes(free=1), [new_set(replicas=4)]),
    ("fewer-volumes-than-claims", "error", three_nodes(free=1), [new_set("a", 2), new_set("b", 2)]),
    ("claim-names-unusable-volume", "error", three_nodes(), [pvc("p", volumeName="free-node1-9")]),
    ("claim-names-unusable-volume", "error", three_nodes(), [pvc("p", volumeName="db-disk-0")]),
    ("selected-node-is-gone", "warning", three_nodes(), [{**pvc("p"), "metadata": {
        "name": "p", "annotations": {"volume.kubernetes.io/selected-node": "node9"}}}]),
    ("allowed-topologies-match-no-node", "error", three_nodes(), [
        sc("zonal", provisioner="csi.example.com", allowedTopologies=[{"matchLabelExpressions": [
            {"key": "topology.kubernetes.io/zone", "values": ["z"]}]}]), asks(storageClassName="zonal")]),
    ("volume-on-missing-node", "error", three_nodes(), [pv("disk", "node9")]),
    ("volume-affinity-matches-no-node", "error", three_nodes(), [pv("disk", nodeAffinity={"required": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "rack", "operator": "In", "values": ["r1"]}]}]}})]),
    ("directory-advertised-twice", "error", three_nodes(), [pv("disk", local={"path": "/mnt/free-node1-0/"})]),
    ("delete-policy-on-hand-made-local-volume", "warning", three_nodes(), [
        pv("disk", persistentVolumeReclaimPolicy="Delete")]),
    ("released-volume-nobody-will-bind", "note",
     [*three_nodes(), volume("old", "node1", claim="x", phase="Released")], []),
    ("released-volume-nobody-will-bind", "warning",
     [*three_nodes(free=0), volume("old", "node1", claim="x", phase="Released")], [new_set(replicas=1)]),
    ("released-volume-nobody-will-bind", "warning", three_nodes(), [
        pv("copied", claimRef={"namespace": "default", "name": "gone", "uid": "u-1"})]),
    ("volume-reserved-for-unknown-claim", "warning", three_nodes(), [
        pv("disk", claimRef={"namespace": "default", "name": "data-wep-0"}), new_set()]),
    ("host-path-without-node-affinity", "warning", three_nodes(), [
        {**pv("disk"), "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                                "hostPath": {"path": "/data"}, "storageClassName": "local"}}]),
    ("no-node-for-pods", "error", three_nodes(), [web(nodeSelector={"disk": "ssd"})]),
    ("no-node-for-pods", "error", three_nodes(), [spec(web(nodeName="node9"), volumeClaimTemplates=[])]),
    ("more-replicas-than-nodes", "error", three_nodes(), [new_set(replicas=4)]),
    ("more-replicas-than-nodes", "error", three_nodes(), [spec(web(affinity={}, containers=[
        {"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 80}]}]), replicas=4)]),
    ("more-replicas-than-nodes-with-volumes", "error",
     [*three_nodes(free=0), volume("a", "node1"), volume("b", "node1")], [new_set()]),
    ("pod-larger-than-any-node", "error", three_nodes(), [web(containers=[
        {"name": "c", "image": "x", "resources": {"requests": {"cpu": "17"}}}])]),
    ("affinity-by-unknown-label", "warning", three_nodes(), [affinity(podAntiAffinity=term("kubernetes.io/hostnam"))]),
    ("affinity-by-unknown-label", "error", three_nodes(), [affinity(podAffinity=term("rack"))]),
    ("affinity-selects-nobody", "warning", three_nodes(), [affinity(podAntiAffinity=term(app="wbe"))]),
    ("affinity-selects-nobody", "error", three_nodes(), [affinity(podAffinity=term(app="wbe"))]),
    ("spread-does-not-select-itself", "warning", three_nodes(), [web(topologySpreadConstraints=[
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
         "labelSelector": {"matchLabels": {"app": "other"}}}])]),
    ("unknown-priority-class", "error", three_nodes(), [web(priorityClassName="hihg")]),
    ("missing-claim", "error", three_nodes(), [
        web(volumes=[{"name": "x", "persistentVolumeClaim": {"claimName": "data-db-9"}}])]),
    ("node-without-hostname-label", "warning",
     changed("Node", "node1", lambda obj: obj["metadata"]["labels"].pop("kubernetes.io/hostname")), []),
    ("partition-beyond-replicas", "warning", three_nodes(), [
        spec(new_set(), updateStrategy={"rollingUpdate": {"partition": 2}})]),
    ("max-unavailable-is-dropped", "note", three_nodes(), [
        spec(new_set(), updateStrategy={"rollingUpdate": {"maxUnavailable": 2}})]),
    ("slow-to-become-available", "note", three_nodes(), [spec(new_set(), minReadySeconds=1800)]),
    ("no-grace-period", "warning", three_nodes(), [web(terminationGracePeriodSeconds=0)]),
    ("name-too-long-for-pods", "error", three_nodes(), [new_set("w" * 53)]),
    ("budget-blocks-every-drain", "warning", three_nodes(), [pdb(maxUnavailable=0)]),
    ("budget-blocks-every-drain", "warning", three_nodes(), [pdb(minAvailable="100%")]),
    ("budget-blocks-every-drain", "warning", three_nodes(), [pdb(minAvailable=3)]),
    ("two-budgets-for-one-pod", "error", three_nodes(), [pdb("one", maxUnavailable=1), pdb("two", maxUnavailable=1)]),
    ("budget-selects-nobody", "note", three_nodes(), [pdb(app="bd", maxUnavailable=1)]),
]

FINE: list[tuple[str, list[Plain], list[Plain]]] = [
    ("a cluster that runs", three_nodes(), []),
    ("a set that waits for the first consumer", three_nodes(), [new_set(replicas=3)]),
    ("one free volume a node", ONE_EACH, [new_set()]),
    ("the smallest volumes lie apart", SMALL_APART, [new_set()]),
    ("a set of one", IMMEDIATE, [new_set(replicas=1)]),
    ("a provisioner that makes volumes anywhere", three_nodes(), [
        sc("net", "Immediate", provisioner="csi.example.com"), asks(storageClassName="net")]),
    ("a shared claim that many may use", three_nodes(), [
        shares(["ReadWriteMany"])[1], pvc("one", accessModes=["ReadWriteMany"], storageClassName="net"),
        sc("net", provisioner="csi.example.com")]),
    ("a shared claim without anti-affinity", three_nodes(), shares(["ReadWriteOnce"], apart=False)),
    ("a shared claim of one replica", three_nodes(), shares(["ReadWriteOnce"], 1)),
    ("a node name with a claim that is reserved", [*three_nodes(), volume("mine", "node1") | {
        "spec": volume("mine", "node1")["spec"] | {"claimRef": {"namespace": "default", "name": "data-web-0"}}}],
     [spec(web(nodeName="node1"), replicas=1)]),
    ("the same directory on two nodes", three_nodes(), [pv("a", "node1", local={"path": "/mnt/x"}),
                                                        pv("b", "node2", local={"path": "/mnt/x"})]),
    ("a local volume that its provisioner deletes", changed("PersistentVolume", "free-node1-0", lambda obj: (
        obj["spec"].update(persistentVolumeReclaimPolicy="Delete"),
        obj["metadata"].update(annotations={"pv.kubernetes.io/provisioned-by": "local-volume-provisioner-n"}))), []),
    ("hostPath with a node affinity", three_nodes(), [
        {**pv("disk"), "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                                "hostPath": {"path": "/data"}, "storageClassName": "local",
                                "nodeAffinity": volume("x", "node1")["spec"]["nodeAffinity"]}}]),
    ("a volume and its claim by name", three_nodes(), [
        pv("disk", claimRef={"namespace": "default", "name": "p"}), pvc("p", volumeName="disk")]),
    ("a budget that lets one go", three_nodes(), [pdb(maxUnavailable=1)]),
    ("a budget with a share", three_nodes(), [pdb(minAvailable="50%")]),
    ("a toleration for the taint", [node("node1", taints=TAINT), *three_nodes()[1:]], [
        spec(web(tolerations=[{"key": "dedicated", "operator": "Exists"}]), replicas=3)]),
    ("a known priority class", three_nodes(), [
        web(priorityClassName="high"), {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                                        "metadata": {"name": "high"}, "value": 10}]),
    ("a system priority class", three_nodes(), [web(priorityClassName="system-node-critical")]),
    ("the default class is used", three_nodes(), [
        {**default_sc("net"), "provisioner": "csi.example.com"}, pvc("p", storageClassName=None)]),
    ("a class before its set", [obj for obj in three_nodes() if obj["kind"] != "StorageClass"], [
        sc("local"), new_set()]),
    ("rules by labels that are there", three_nodes(), [affinity(podAntiAffinity=term(), podAffinity=[
        {"topologyKey": "kubernetes.io/os", "labelSelector": {"matchLabels": {"app": "db"}}}])]),
]


@pytest.mark.parametrize(
    ("name", "severity", "present", "new"), BAD, ids=[f"{case[0]}-{n}" for n, case in enumerate(BAD)])
def test_a_lint_finds_what_it_is_for(
    lint: Lint, name: str, severity: str, present: list[Plain], new: list[Plain]
) -> None:
    found = [finding for finding in lint(present, *new) if finding.lint == name]
    assert severity in {finding.severity for finding in found}
    for finding in found:
        assert finding.what and finding.why and finding.mend and not finding.what.endswith(".")
        file, _, line = finding.where.rpartition(":")
        assert file == ("new.yaml" if finding.is_new else "cluster.yaml") and int(line) > 0


@pytest.mark.parametrize(("what", "present", "new"), FINE, ids=[case[0] for case in FINE])
def test_what_is_fine_raises_no_alarm(lint: Lint, what: str, present: list[Plain], new: list[Plain]) -> None:
    assert lint(present, *new) == []


def test_every_lint_is_tested_and_says_what_it_is_for() -> None:
    assert {case[0] for case in BAD} == set(LINTS)
    for name, each in LINTS.items():
        assert each.about and "-" in name and name == name.lower()


def test_errors_come_first_and_what_is_new_before_what_is_there(lint: Lint) -> None:
    found = lint([*three_nodes(), volume("old", "node9")], pv("disk", persistentVolumeReclaimPolicy="Delete"),
                 pv("lost", "node8"))
    ranks = [(not one.is_new, SEVERITIES.index(one.severity)) for one in found]
    assert ranks == sorted(ranks) and len(found) == 3


def test_a_near_miss_is_suggested(lint: Lint) -> None:
    finding, = (one for one in lint(three_nodes(), asks(storageClassName="locl")) if one.lint == "missing-class")
    assert finding.mend == "did you mean local?"


def test_a_node_whose_hostname_differs_from_its_name_is_explained(lint: Lint) -> None:
    cluster = changed("Node", "node1", lambda obj: obj["metadata"]["labels"].update(
        {"kubernetes.io/hostname": "node1.example.com"}), [node("node1"), storage_class()])
    finding, = lint(cluster, pv("disk", "node1"))
    assert finding.lint == "volume-on-missing-node"
    assert 'its label kubernetes.io/hostname is "node1.example.com"' in finding.mend


def test_the_line_is_that_of_the_field(lint: Lint) -> None:
    finding, = lint(three_nodes(), spec(new_set(), minReadySeconds=1800))
    lines = Path("new.yaml").read_text().splitlines()
    assert "minReadySeconds" in lines[int(finding.where.rpartition(":")[2]) - 1]


# --- scenarios that are fine, and those that are not ------------------------------------------------------------------

EXPECTED = {
    "devil": {"immediate-with-anti-affinity"},
    "09-no-volumes": {"no-default-class"},
    "12-volumes-made-by-hand": {"delete-policy-on-hand-made-local-volume"},
    "16-several-volumes-per-node": {"immediate-with-anti-affinity"},
    "18b-stuck-and-made-again": {"immediate-with-anti-affinity"},
    "18c-stuck-and-mended": {"immediate-with-anti-affinity"},
    "19-cleaned-up-by-hand": {"delete-policy-on-hand-made-local-volume"},
}
"""What the lints say of scenarios; of all others nothing. Each alarm here is a true one."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "scenarios").rglob("scenario*.yaml")), ids=lambda path: str(path.parent.name))
def test_no_false_alarm_on_a_scenario(path: Path) -> None:
    given = read_input([str(path)])
    found = {finding.lint for finding in run_lints(Inventory(given))}
    expect = given.scenario.spec.expect
    every = expect.every_run.verdict if expect is not None and expect.every_run is not None else None
    if path.parent.name in EXPECTED:
        assert found == EXPECTED[path.parent.name]
    elif every == "always converges":
        assert not {name for name in found if name.startswith(("immediate", "claim", "fewer", "more", "no-"))}
