"""Clusters that get stuck, one for each mechanism that people met in the wild (field-cases) or that the rules allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from simulator.api.meta import Object, with_meta
from simulator.scenario.load import Scenario
from simulator.testing.builders import apart, make_claim, make_node, make_pod, make_set, make_volume
from tests.whole.small_worlds import CLASSES, CSI, HOSTNAME, apply, nodes, small_scenario

ZONE = "topology.kubernetes.io/zone"


class Stuck(Struct, frozen=True, kw_only=True):
    """A cluster that gets stuck.

    Attributes
    ----------
    core : parts of the texts of the core's members, one each, in any order.
    repair : part of the title of a repair that must be found.
    """

    name: str
    given: Sequence[Object | Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]
    core: Sequence[str]
    repair: str
    ties: str = "first"
    spec: Mapping[str, Any] = {}

    def scenario(self) -> Scenario:
        """The scenario in which it happens."""
        return small_scenario([*CLASSES, *self.given], self.steps, ties=self.ties, **self.spec)


def local(name: str, node: str, storage_class: str = "wait", **fields: Any) -> Object:
    return make_volume(name, node=node, storage_class=storage_class, **fields)


def claim(name: str = "c", storage_class: str | None = "wait", **fields: Any) -> Object:
    return make_claim(name, storage_class=storage_class, **fields)


def in_zones(*zones: str) -> list[Object]:
    return [make_node(f"n{number}", labels={ZONE: zone}) for number, zone in enumerate(zones, 1)]


def named(kind: str, name: str, api_version: str = "v1", **body: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, **body}


SPREAD = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule",
          "labelSelector": {"matchLabels": {"app": "web"}}}
TOGETHER = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": HOSTNAME}]}}
PORT = [{"name": "main", "image": "registry.example.com/main:1", "ports": [{"containerPort": 80, "hostPort": 80}]}]
UP = "StatefulSet/web is ready"

CASES = [
    Stuck(
        name="A2 both volumes on one node", given=[*nodes(2), *(local(f"v{i}", "n1", "now") for i in (1, 2))],
        steps=[apply(make_set("web", replicas=2, storage_class="now"), at="1s")],
        core=["exists only on n1", "may not share a node", "web-0 runs on n1"], repair="with a new volume on n2",
    ),
    Stuck(
        name="A9 the port of the node to which its volume ties it", given=[*nodes(2), local("v1", "n1")],
        steps=[apply(claim(), make_pod("p", claims=("c",), containers=PORT), at="1s"),
               {"when": "Pod/p is ready", "delete": "Pod/p"},
               apply(make_pod("q", containers=PORT, nodeSelector={HOSTNAME: "n1"}), when="Pod/p is gone"),
               apply(make_pod("p", claims=("c",), containers=PORT), when="Pod/q is ready")],
        core=["asks for port 80", "q runs on n1", "exists only on n1"], repair="without its host port",
    ),
    Stuck(
        name="C1 its home is too full", given=[*nodes(2, cpu="4"), local("v1", "n1"), local("v2", "n2")],
        steps=[apply(make_set("web", replicas=2, storage_class="wait", pod_spec={"containers": [
                   {"name": "main", "image": "registry.example.com/main:1", "resources": {"requests": {"cpu": "3"}}}]}),
                     at="1s"),
               {"when": UP, "delete": "Pod/web-1"},
               apply(make_pod("q", cpu="2", nodeSelector={HOSTNAME: "n2"}), at="20s")],
        core=["has 4 cpu in all", "asks for 2 cpu", "web-1 runs on n2", "asks for a node with"],
        repair="ask for a tenth of the cpu",
    ),
    Stuck(
        name="C8 more replicas than nodes",
        given=[*nodes(2), *(local(f"v{i}{j}", f"n{i}") for i in (1, 2) for j in "ab")],
        steps=[apply(make_set("web", replicas=3, storage_class="wait"), at="1s")],
        core=["may not share a node", "web-0 runs on", "web-1 runs on"], repair="scale web down to 2",
    ),
    Stuck(
        name="C11 scaled down and up again, with a volume in a zone that is taken",
        given=[*in_zones("a", "b"), local("v1", "n1"), local("v2", "n2"), local("v3", "n1", capacity="20Gi")],
        steps=[apply(claim("data-web-1", volumeName="v3"), at="1s"),
               apply(make_set("web", replicas=2, storage_class="wait"), at="2s")],
        core=["exists only on n1", "may not share a node", "web-0 runs on n1"], repair="make data-web-1 and web-1 anew",
    ),
    Stuck(
        name="D3 the scheduler is bypassed", given=[*nodes(1), local("v1", "n1")],
        steps=[apply(claim(), make_pod("p", claims=("c",), nodeName="n1"), at="1s")],
        core=["without the scheduler", "waits for the first consumer"], repair="by hand",
    ),
    Stuck(
        name="F1 rolled back from a template that fits nowhere", given=nodes(2),
        steps=[apply(make_set("web", replicas=2, templates=(), anti_affinity=False), at="1s"),
               {"when": UP, "patch": "StatefulSet/web",
                "to": {"spec": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}}},
               {"at": "60s", "patch": "StatefulSet/web",
                "to": {"spec": {"template": {"spec": {"nodeSelector": None}}}}}],
        core=["asks for a node with disk=ssd", "of an older revision"], repair="make web-1 anew",
    ),
    Stuck(
        name="a budget that lets nobody go",
        given=[*nodes(2), named("PodDisruptionBudget", "web", "policy/v1",
                                spec={"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}})],
        steps=[apply(make_set("web", replicas=2, templates=(), anti_affinity=False), at="1s"),
               {"when": UP, "drain": "Node/n1"}],
        core=["lets no more pods go"], repair="allow one pod to go",
    ),
    Stuck(
        name="F3 a drain and a pod that cannot move",
        given=[*nodes(2), local("v1", "n1"), local("v2", "n2"), named(
            "PodDisruptionBudget", "web", "policy/v1",
            spec={"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}})],
        steps=[apply(make_set("web", replicas=2, storage_class="wait"), at="1s"), {"when": UP, "drain": "Node/n1"}],
        core=["n1 is cordoned", "exists only on n1"], repair="uncordon n1",
    ),
    Stuck(
        name="a finalizer that nobody removes", given=nodes(1),
        steps=[apply(with_meta(claim(), finalizers=("example.com/backup",)), at="1s"),
               {"at": "2s", "delete": "PersistentVolumeClaim/c"}],
        core=["the finalizer example.com/backup"], repair="remove the finalizer",
    ),
    Stuck(
        name="a claim in use is deleted", given=[*nodes(1), local("v1", "n1")],
        steps=[apply(claim(), make_pod("p", claims=("c",)), at="1s"),
               {"when": "Pod/p is ready", "delete": "PersistentVolumeClaim/c"}],
        core=["p uses c"], repair="delete p",
    ),
    Stuck(
        name="a volume in use is deleted", given=[*nodes(1), local("v1", "n1")],
        steps=[apply(claim(), make_pod("p", claims=("c",)), at="1s"),
               {"when": "Pod/p is ready", "delete": "PersistentVolume/v1"}, {"sleep": "1s"}],
        core=["c is bound to v1"], repair="delete",
    ),
    Stuck(
        name="a quota", given=[*nodes(2), named("ResourceQuota", "few", spec={"hard": {"pods": "1"}})],
        steps=[apply(make_set("web", replicas=2, templates=()), at="1s")],
        core=["the quota few allows pods=1"], repair="raise the quota few",
    ),
    Stuck(
        name="another pod has its name", given=nodes(2),
        steps=[apply(make_pod("web-1"), at="1s"), apply(make_set("web", replicas=2, templates=()), at="2s")],
        core=["another pod has the name web-1"], repair="delete web-1",
    ),
    Stuck(
        name="never ready", given=nodes(2),
        steps=[{"at": "0s", "neverReady": ["web-0"]}, apply(make_set("web", replicas=2, templates=()), at="1s")],
        core=["never says that it is ready"], repair="programs of web-0 get ready",
    ),
    Stuck(
        name="a readiness gate", given=nodes(1),
        steps=[apply(make_pod("p", readinessGates=[{"conditionType": "example.com/open"}]), at="1s")],
        core=["readiness gate example.com/open"], repair="open the readiness gates",
    ),
    Stuck(
        name="a node is down with the pod on it", given=[*nodes(2), local("v1", "n1")],
        steps=[apply(claim(), make_pod("p", claims=("c",), tolerations=[{"operator": "Exists"}]), at="1s"),
               {"when": "Pod/p is ready", "fail": "Node/n1"}],
        core=["n1 is not ready"], repair="bring n1 back",
    ),
    Stuck(
        name="a pod is deleted on a node that is down", given=[*nodes(2), local("v1", "n1")],
        steps=[apply(make_set("web", replicas=1, storage_class="wait"), at="1s"), {"when": UP, "fail": "Node/n1"}],
        core=["n1 is not ready"], repair="bring n1 back",
    ),
    Stuck(
        name="no claim", given=nodes(1), steps=[apply(make_pod("p", claims=("c",)), at="1s")],
        core=["claim c does not exist"], repair="make the claim c",
    ),
    Stuck(
        name="no node", given=[], steps=[apply(make_pod("p"), at="1s")], core=["the cluster has no node"],
        repair="add a node",
    ),
    Stuck(
        name="too small everywhere", given=nodes(2, cpu="2"), steps=[apply(make_pod("p", cpu="4"), at="1s")],
        core=["p asks for 4 cpu", "n1 has 2 cpu", "n2 has 2 cpu"], repair="ask for a tenth",
    ),
    Stuck(
        name="together with a pod that is not there", given=nodes(2),
        steps=[apply(make_pod("p", affinity=TOGETHER), at="1s")],
        core=["p must share a node with app=db"], repair="prefer a common node",
    ),
    Stuck(
        name="another application does not want it", given=nodes(1),
        steps=[apply(make_pod("a", labels={"app": "a"}, affinity=apart("b")), at="1s"),
               apply(make_pod("b", labels={"app": "b"}), when="Pod/a is ready")],
        core=["a may not share a node with app=b", "a runs on n1"], repair="delete a",
    ),
    Stuck(
        name="a zone too full for the spread", given=[*in_zones("a", "b"), local("v1", "n1"), local("v2", "n1")],
        steps=[apply(make_set("web", replicas=2, storage_class="wait", anti_affinity=False,
                              pod_spec={"topologySpreadConstraints": [SPREAD]}), at="1s")],
        core=["must be spread", "web-0 runs on n1", "n2 has no volume", "makes no volumes"], repair="ScheduleAnyway",
    ),
    Stuck(
        name="tainted and cordoned",
        given=[make_node("n1", taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}]),
               make_node("n2", unschedulable=True)],
        steps=[apply(make_pod("p"), at="1s")], core=["the taint a=b:NoSchedule", "n2 is cordoned"],
        repair="uncordon n2",
    ),
    Stuck(
        name="A14 the provisioner does not answer", given=nodes(2),
        steps=[apply(claim(storage_class="made"), make_pod("p", claims=("c",)), at="1s")],
        core=["does not answer"], repair="see to it that the provisioner",
        spec={"provisioners": [{"name": CSI, "absent": True}]},
    ),
    Stuck(
        name="E9 the provisioner has no room", given=nodes(2),
        steps=[apply(claim(storage_class="made"), make_pod("p", claims=("c",)), at="1s")],
        core=["the provisioner csi.example.com fails"], repair="see to it that the provisioner",
        spec={"provisioners": [{"name": CSI, "topology": HOSTNAME, "fullOn": ["n1", "n2"]}]},
    ),
    Stuck(
        name="two reasons at once", given=[make_node("n1", taints=[{"key": "a", "effect": "NoSchedule"}], cpu="2")],
        steps=[apply(make_pod("p", cpu="4"), at="1s")], core=["p asks for 4 cpu", "n1 has 2 cpu"],
        repair="take the taint a from n1; let p ask for a tenth of the cpu",
    ),
    Stuck(
        name="A10 three replicas share a claim",
        given=[*nodes(3), *(local(f"v{i}", f"n{i}") for i in (1, 2, 3)), local("v1b", "n1", capacity="20Gi")],
        steps=[apply(claim("shared"), make_set("web", templates=(), pod_spec={
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}],
            "containers": [{"name": "main", "image": "registry.example.com/main:1",
                            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}), at="1s")],
        core=["exists only on n1", "may not share a node", "web-0 runs on n1"],
        repair="give each pod of web a claim of its own",
    ),
    Stuck(
        name="A5 two pods of a set started together",
        given=[*nodes(3), *(local(f"v{i}", "n1", "now") for i in (1, 2, 3)), local("w", "n2", "now", capacity="20Gi"),
               local("x", "n3", "now", capacity="20Gi")],
        steps=[apply(make_set("web", replicas=3, storage_class="now", podManagementPolicy="Parallel"), at="1s")],
        core=["exists only on n1", "may not share a node", "runs on n1"], repair="let class now wait",
    ),
]
