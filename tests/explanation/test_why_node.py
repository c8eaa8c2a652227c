"""Why nodes refuse pods; each test is the end of a small run."""

from __future__ import annotations

import pytest

from simulator.testing.builders import make_claim, make_node, make_pod, make_volume
from tests.explanation.scene import LOCAL, NO_VOLUME, TAINTED, Scene


def test_a_node_says_which_of_its_volumes_are_taken() -> None:
    scene = Scene().nodes("node1", "node2")
    scene.store(LOCAL)
    scene.store(
        make_volume(
            "pv-a",
            node="node1",
            storage_class="local",
            phase="Bound",
            claimRef={"namespace": "default", "name": "other", "uid": "u"},
        )
    )
    scene.store(make_volume("pv-b", node="node1", storage_class="local", capacity="1Gi", phase="Available"))
    scene.store(make_claim("data", storage_class="local", request="2Gi"))
    scene.store(make_pod("db", claims=("data",)))
    scene.refused("db", node1=NO_VOLUME, node2=NO_VOLUME)
    assert scene.reasons()["Pod/db"].text == (
        "db waits: node1 has no volume of class local that is free (pv-a: bound to other; pv-b: 1Gi, less than the 2Gi "
        "asked for), node2 has no volume of class local, and db needs one for its claim data"
    )


def test_taints_and_cordons_are_told_in_words() -> None:
    scene = Scene().nodes("node1", taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    scene.nodes("node2", unschedulable=True)
    scene.nodes("node3", "node4", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
    scene.store(make_pod("web"))
    scene.refused(
        "web",
        node1=TAINTED,
        node2=("NodeUnschedulable", "U", "node(s) were unschedulable"),
        node3=TAINTED,
        node4=TAINTED,
    )
    assert scene.texts() == [
        "web waits: node1 is a control plane node (taint node-role.kubernetes.io/control-plane:NoSchedule); "
        "node3 and node4 have the taint dedicated=db:NoSchedule, and web does not tolerate it; node2 is cordoned"
    ]


@pytest.mark.rule("SC-59")
def test_scarce_resources_are_given_in_numbers() -> None:
    scene = Scene()
    scene.store(make_node("node1", cpu="4", pods="1"))
    scene.store(make_node("node2", cpu="500m", memory="1Gi"))
    scene.running(make_pod("busy", cpu="3500m"), "node1")
    scene.store(make_pod("web", cpu="1", memory="2Gi"))
    scene.refused(
        "web",
        node1=("NodeResourcesFit", "Unschedulable", "Too many pods", "Insufficient cpu"),
        node2=("NodeResourcesFit", "UnschedulableAndUnresolvable", "Insufficient cpu", "Insufficient memory"),
    )
    assert scene.texts() == [
        "web waits: node1 has 1 pod already, of 1 that it may run and 500m of 4 cpu left, and web asks for 1 cpu; "
        "node2 has only 500m cpu in all and only 1Gi memory in all, and web asks for 1 cpu and 2Gi memory"
    ]


@pytest.mark.rule("SC-58")
def test_a_taken_port_is_named_with_the_pod_that_has_it() -> None:
    port = {"containers": [{"name": "main", "ports": [{"hostPort": 9042}]}]}
    scene = Scene().nodes("node1")
    scene.put(
        "Pod",
        "db-0",
        {
            "spec": {**port, "nodeName": "node1"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        },
    )
    scene.put("Pod", "db-1", {"spec": port})
    scene.refused(
        "db-1", node1=("NodePorts", "Unschedulable", "node(s) didn't have free ports for the requested pod ports")
    )
    assert scene.texts() == [
        "db-1 waits: node1 has port 9042/TCP taken by db-0, and db-1 asks for that port of its node"
    ]


def test_anti_affinity_of_the_pods_already_there_and_affinity_are_told_apart() -> None:
    zone = "topology.kubernetes.io/zone"
    scene = Scene().nodes("node1", labels={zone: "a"})
    against = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app": "new"}}, "topologyKey": zone}
            ]
        }
    }
    scene.running(make_pod("old", affinity=against), "node1")
    scene.store(make_pod("new", labels={"app": "new"}))
    scene.refused(
        "new", node1=("InterPodAffinity", "Unschedulable", "node(s) didn't satisfy existing pods anti-affinity rules")
    )
    near = {
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app": "cache"}}, "topologyKey": zone}
            ]
        }
    }
    scene.store(make_pod("near", affinity=near))
    scene.refused(
        "near", node1=("InterPodAffinity", "UnschedulableAndUnresolvable", "node(s) didn't match pod affinity rules")
    )
    assert scene.texts() == [
        "new waits: node1 lies in zone a, where old runs already, and old may not share a zone with app=new",
        "near waits: node1 has no pod with app=cache in its zone, and near must share a zone with one",
    ]


@pytest.mark.rule("SC-73")
def test_a_broken_spread_is_given_in_numbers() -> None:
    zone = "topology.kubernetes.io/zone"
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": zone,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }
    ]
    scene = Scene()
    scene.store(make_node("node1", labels={zone: "a"}))
    scene.store(make_node("node2", labels={zone: "b"}, unschedulable=True))
    scene.running(make_pod("web-0", labels={"app": "web"}), "node1")
    scene.store(make_pod("web-1", labels={"app": "web"}, topologySpreadConstraints=spread))
    scene.refused(
        "web-1", node1=("PodTopologySpread", "Unschedulable", "node(s) didn't match pod topology spread constraints")
    )
    assert scene.texts() == [
        "web-1 waits: node1 has 1 pod with app=web in its zone a, and the emptiest zone has 0, so that one more would "
        "break the spread of at most 1 (maxSkew)"
    ]


def test_a_reason_that_the_last_state_does_not_bear_out_is_quoted() -> None:
    scene = Scene().nodes("node1")
    scene.store(make_pod("web"))
    scene.refused("web", node1=TAINTED)
    assert scene.texts() == ["web waits: node1 refuses web (TaintToleration: node(s) had untolerated taint(s))"]
