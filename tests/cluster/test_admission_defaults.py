from __future__ import annotations

from typing import Any

import pytest
from api_server import Server, read

from simulator.api.core import Node
from simulator.api.meta import decode, encode, with_meta
from simulator.cluster.admission.defaults import with_defaults
from simulator.cluster.admission.nodes import node_defaults
from simulator.testing.builders import make_class, make_node, make_pod, make_set, make_volume
from simulator.units import SECOND


@pytest.mark.rule("VB-11")
def test_a_volume_is_retained_and_a_file_system_unless_it_says_otherwise(server: Server) -> None:
    raw = {
        "kind": "PersistentVolume",
        "metadata": {"name": "v"},
        "spec": {"capacity": {"storage": "1024Mi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/v"}},
    }
    spec = server.manifest(raw).spec
    assert (spec.persistent_volume_reclaim_policy, spec.volume_mode) == ("Retain", "Filesystem")
    assert str(spec.capacity["storage"]) == "1Gi"


@pytest.mark.rule("VB-11")
def test_a_claim_is_a_file_system_and_a_class_deletes_and_binds_at_once(server: Server) -> None:
    claim = server.manifest(
        {
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "c"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    )
    assert claim.spec.volume_mode == "Filesystem"
    made = server.manifest({"kind": "StorageClass", "metadata": {"name": "s"}, "provisioner": "x/y"})
    assert (made.reclaim_policy, made.volume_binding_mode) == ("Delete", "Immediate")


@pytest.mark.rule("WL-1")
def test_a_set_gets_its_defaults(server: Server) -> None:
    spec = server.manifest(
        {
            "kind": "StatefulSet",
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "c", "image": "x"}]},
                },
            },
        }
    ).spec
    assert encode(spec) | {"selector": 0, "template": 0} == {
        "selector": 0,
        "template": 0,
        "podManagementPolicy": "OrderedReady",
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }
    assert spec.min_ready_seconds == 0
    assert spec.ordinals is None


@pytest.mark.rule("WL-2")
@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ({}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        ({"type": "RollingUpdate"}, {"type": "RollingUpdate"}),
        ({"type": "RollingUpdate", "rollingUpdate": {}}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        ({"type": "OnDelete"}, {"type": "OnDelete"}),
    ],
)
def test_only_a_strategy_that_nobody_named_gets_the_block(server: Server, written: Any, stored: Any) -> None:
    made = server.create(make_set("web", updateStrategy=written))
    assert encode(made.spec.update_strategy) == stored


@pytest.mark.rule("WL-3")
def test_max_unavailable_is_dropped_while_its_gate_is_off(server: Server) -> None:
    block = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1, "maxUnavailable": 2}}
    made = server.create(make_set("web", updateStrategy=block))
    assert encode(made.spec.update_strategy) == {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    wanted = read({"kind": "StatefulSet", "metadata": {"name": "web"}, "spec": {"updateStrategy": block}})
    again = server.done(server.spec(made, update_strategy=wanted.spec.update_strategy))
    assert again is made


@pytest.mark.rule("WL-3")
def test_max_unavailable_stays_where_the_stored_object_carries_it(server: Server) -> None:
    old = make_set("web", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}})
    loaded: Any = server.api.load(with_meta(old, uid="u"), 0)
    changed = server.done(server.spec(loaded, replicas=5))
    assert changed.spec.update_strategy.rolling_update.max_unavailable == 2


@pytest.mark.rule("WL-9")
def test_a_pod_gets_its_defaults(server: Server) -> None:
    probe = {"tcpSocket": {"port": 1}}
    pod = server.manifest(
        {
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {
                "containers": [
                    {
                        "name": "a",
                        "image": "x",
                        "readinessProbe": probe,
                        "resources": {"limits": {"cpu": "0.5", "memory": "1Gi"}},
                    },
                    {
                        "name": "b",
                        "image": "x:1",
                        "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "500m"}},
                        "ports": [{"containerPort": 80}],
                    },
                ],
                "volumes": [{"name": "tmp"}],
            },
        }
    )
    spec = pod.spec
    assert (spec.restart_policy, spec.termination_grace_period_seconds) == ("Always", 30)
    assert (spec.scheduler_name, spec.dns_policy) == ("default-scheduler", "ClusterFirst")
    first, second = spec.containers
    assert {name: str(amount) for name, amount in first.resources.requests.items()} == {"cpu": "500m", "memory": "1Gi"}
    assert str(second.resources.requests["cpu"]) == "500m"
    assert encode(first.readiness_probe) == {
        "tcpSocket": {"port": 1},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert second.ports[0].protocol == "TCP"
    assert spec.volumes[0].empty_dir is not None


@pytest.mark.rule("WL-9")
@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("x", "Always"),
        ("x:latest", "Always"),
        ("host:5000/x", "Always"),
        ("x:1", "IfNotPresent"),
        ("host:5000/x:1", "IfNotPresent"),
        ("x@sha256:abc", "IfNotPresent"),
    ],
)
def test_an_image_is_pulled_always_only_if_its_tag_may_move(server: Server, image: str, policy: str) -> None:
    pod = server.manifest(
        {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": image}]}}
    )
    assert pod.spec.containers[0].image_pull_policy == policy


@pytest.mark.rule("WL-9")
def test_the_template_of_a_set_is_filled_in_as_its_pods_are(server: Server) -> None:
    template = server.create(make_set("web")).spec.template
    assert template.spec.restart_policy == "Always"
    assert template.spec.containers[0].image_pull_policy == "IfNotPresent"
    assert template.spec.tolerations == ()  # admission looks at pods only


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"ephemeral-storage": "1Gi"}}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"limits": {"cpu": "1"}}], "Burstable"),
    ],
)
def test_the_quality_of_service_follows_from_requests_and_limits(server: Server, resources: Any, qos: str) -> None:
    containers = [{"name": f"c{number}", "image": "x", "resources": part} for number, part in enumerate(resources)]
    pod = server.manifest({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}})
    assert pod.status.qos_class == qos


def test_requests_of_the_whole_pod_come_from_its_containers_or_its_limits(server: Server) -> None:
    pod = server.manifest(
        {
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {
                "resources": {"limits": {"cpu": "2", "memory": "2Gi"}},
                "containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "500m"}}}],
            },
        }
    )
    assert encode(pod.spec.resources)["requests"] == {"cpu": "500m", "memory": "2Gi"}


@pytest.mark.parametrize(
    "obj", [make_pod("p", claims=("c",)), make_set("web"), make_volume("v", node="n"), make_class("s")]
)
def test_defaults_are_filled_in_once(obj: Any) -> None:
    done = with_defaults(obj)
    assert with_defaults(done) is done


# --- nodes ------------------------------------------------------------------------------------------------------------


def test_a_node_that_is_only_named_is_ready_and_has_room() -> None:
    node, assumed = node_defaults(decode({"metadata": {"name": "n1", "labels": {"zone": "a"}}}, Node), now=3)
    assert node.metadata.labels == {"kubernetes.io/hostname": "n1", "zone": "a"}
    ready = node.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason, ready.last_transition_time) == ("True", "KubeletReady", 3)
    assert encode(node.status)["allocatable"] == {
        "cpu": "8",
        "memory": "32Gi",
        "pods": "110",
        "ephemeral-storage": "100Gi",
    }
    assert assumed == [
        "label kubernetes.io/hostname=n1",
        "condition Ready=True",
        "capacity cpu=8, memory=32Gi, pods=110, ephemeral-storage=100Gi",
    ]


def test_of_a_complete_node_nothing_is_assumed() -> None:
    node = make_node("n1")
    assert node_defaults(node) == (node, [])


def test_a_node_that_says_it_is_not_ready_is_believed(server: Server) -> None:
    node = server.manifest(
        {
            "kind": "Node",
            "metadata": {"name": "n"},
            "status": {"capacity": {"cpu": "2"}, "conditions": [{"type": "Ready", "status": "False"}]},
        }
    )
    assert node.condition("Ready").status == "False"
    assert encode(node.status)["allocatable"] == {"cpu": "2"}


@pytest.mark.rule("WL-120")
def test_a_new_node_is_born_not_ready_but_one_of_the_initial_state_is_not(server: Server) -> None:
    born = server.create(make_node("n")).spec.taints
    assert [(taint.key, taint.effect) for taint in born] == [("node.kubernetes.io/not-ready", "NoSchedule")]
    loaded = server.api.load(make_node("m"), 0)
    assert isinstance(loaded, Node) and loaded.spec.taints == ()


def test_a_namespace_is_labelled_with_its_name_and_held_by_kubernetes(server: Server) -> None:
    namespace = server.namespace("shop")
    assert namespace.metadata.labels == {"kubernetes.io/metadata.name": "shop"}
    assert namespace.spec.finalizers == ("kubernetes",)
    assert namespace.status.phase == "Active"


def test_the_transition_of_an_assumed_condition_is_the_creation(server: Server) -> None:
    server.now = 7 * SECOND
    node = server.manifest({"kind": "Node", "metadata": {"name": "n"}})
    assert node.condition("Ready").last_transition_time == 7 * SECOND
