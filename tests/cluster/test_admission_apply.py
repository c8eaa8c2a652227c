"""kubectl's patches; each expectation is what the real kubectl makes of it, which is asked where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubectl_oracle import KUBECTL, apply_as_kubectl, patch_as_kubectl

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolumeClaim, Pod, Service
from simulator.api.kinds import KINDS
from simulator.api.meta import decode, encode
from simulator.api.policy import PodDisruptionBudget
from simulator.cluster.admission.apply import apply_patch, merge_patch, strategic_merge_patch
from simulator.testing.builders import make_node, make_set

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="no kubectl here")


def a_pod(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    containers = {"containers": [{"name": "c", "image": "x"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", **metadata},
        "spec": {**containers, **spec},
    }


def of(kind: str, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "default"}, "spec": spec}


def named(*names: str, **extra: Any) -> list[dict[str, Any]]:
    return [{"name": name, "image": "x", **extra} for name in names]


ENV = {"A": {"name": "A", "value": "1"}, "B": {"name": "B", "value": "2"}, "C": {"name": "C", "value": "3"}}


def env(*names: str) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "x", "env": [ENV[name] for name in names]}]}


# --- apply: current, last applied, manifest, expected -----------------------------------------------------------------

APPLIES: dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any], dict[str, Any]]] = {
    "a label that the manifest has no more goes, one that it never had stays": (
        a_pod({}, labels={"a": "1", "b": "2", "injected": "3"}),
        a_pod({}, labels={"a": "1", "b": "2"}),
        a_pod({}, labels={"a": "9"}),
        a_pod({}, labels={"a": "9", "injected": "3"}),
    ),
    "without a last manifest nothing goes": (
        a_pod({}, labels={"a": "1", "b": "2"}),
        None,
        a_pod({}, labels={"a": "9"}),
        a_pod({}, labels={"a": "9", "b": "2"}),
    ),
    "a container that something else injected stays, in its place": (
        a_pod({"containers": named("side", "c", "last")}),
        a_pod({"containers": named("c")}),
        a_pod({"containers": named("c", "new")}),
        a_pod({"containers": named("side", "c", "new", "last")}),
    ),
    "a container that the manifest has no more goes": (
        a_pod({"containers": named("side", "c", "d")}),
        a_pod({"containers": named("c", "d")}),
        a_pod({"containers": named("d")}),
        a_pod({"containers": named("side", "d")}),
    ),
    "containers stand in the order of the manifest": (
        a_pod({"containers": named("a", "b", "c")}),
        a_pod({"containers": named("a", "b", "c")}),
        a_pod({"containers": named("c", "a", "b")}),
        a_pod({"containers": named("c", "a", "b")}),
    ),
    "a replaced container leaves its neighbours where they are": (
        a_pod({"containers": named("s", "old")}),
        a_pod({"containers": named("old")}),
        a_pod({"containers": named("new")}),
        a_pod({"containers": named("s", "new")}),
    ),
    "environment variables are merged by name": (
        a_pod(env("A", "C")),
        a_pod(env("A")),
        a_pod(env("B")),
        a_pod(env("C", "B")),
    ),
    "mounts are merged by path and ports by number": (
        a_pod(
            {"containers": named("c", volumeMounts=[{"name": "v", "mountPath": "/a"}], ports=[{"containerPort": 1}])}
        ),
        None,
        a_pod(
            {"containers": named("c", volumeMounts=[{"name": "w", "mountPath": "/b"}], ports=[{"containerPort": 2}])}
        ),
        a_pod(
            {
                "containers": named(
                    "c",
                    volumeMounts=[{"name": "w", "mountPath": "/b"}, {"name": "v", "mountPath": "/a"}],
                    ports=[{"containerPort": 2}, {"containerPort": 1}],
                )
            }
        ),
    ),
    "tolerations, arguments and volume terms are replaced": (
        a_pod({"tolerations": [{"key": "a", "operator": "Exists"}], "containers": named("c", args=["1", "2"])}),
        None,
        a_pod({"tolerations": [{"key": "b", "operator": "Exists"}], "containers": named("c", args=["3"])}),
        a_pod({"tolerations": [{"key": "b", "operator": "Exists"}], "containers": named("c", args=["3"])}),
    ),
    "a volume keeps one source": (
        a_pod({"volumes": [{"name": "v", "emptyDir": {}}]}),
        None,
        a_pod({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "d"}}]}),
        a_pod({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "d"}}]}),
    ),
    "spread constraints are merged by their key": (
        a_pod(
            {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]}
        ),
        None,
        a_pod(
            {"topologySpreadConstraints": [{"topologyKey": "host", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}]}
        ),
        a_pod(
            {
                "topologySpreadConstraints": [
                    {"topologyKey": "host", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"},
                    {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
                ]
            }
        ),
    ),
    "null takes a field away": (
        a_pod({"nodeSelector": {"a": "1"}, "hostname": "h"}),
        None,
        a_pod({"nodeSelector": None, "hostname": "i"}),
        a_pod({"hostname": "i"}),
    ),
    "finalizers and owners are merged": (
        a_pod({}, finalizers=["a/b"], ownerReferences=[{"apiVersion": "v1", "kind": "X", "name": "n", "uid": "u"}]),
        None,
        a_pod({}, finalizers=["c/d"]),
        a_pod(
            {}, finalizers=["c/d", "a/b"], ownerReferences=[{"apiVersion": "v1", "kind": "X", "name": "n", "uid": "u"}]
        ),
    ),
    "the claim templates of a set are replaced, its template is merged": (
        of(
            "StatefulSet",
            "apps/v1",
            {
                "replicas": 3,
                "template": {"spec": {"containers": named("c", imagePullPolicy="Always")}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"volumeMode": "Filesystem"}}],
            },
        ),
        None,
        of(
            "StatefulSet",
            "apps/v1",
            {
                "template": {"spec": {"containers": [{"name": "c", "image": "y"}]}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
            },
        ),
        of(
            "StatefulSet",
            "apps/v1",
            {
                "replicas": 3,
                "template": {"spec": {"containers": [{"name": "c", "image": "y", "imagePullPolicy": "Always"}]}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
            },
        ),
    ),
    "the selector of a budget is replaced": (
        of("PodDisruptionBudget", "policy/v1", {"selector": {"matchLabels": {"a": "1"}}, "minAvailable": 1}),
        None,
        of("PodDisruptionBudget", "policy/v1", {"selector": {"matchLabels": {"b": "2"}}}),
        of("PodDisruptionBudget", "policy/v1", {"selector": {"matchLabels": {"b": "2"}}, "minAvailable": 1}),
    ),
    "ports of a service are merged by port": (
        of("Service", "v1", {"ports": [{"port": 80, "nodePort": 30000}], "clusterIP": "10.0.0.1"}),
        None,
        of("Service", "v1", {"ports": [{"port": 80, "name": "http"}]}),
        of("Service", "v1", {"ports": [{"port": 80, "name": "http", "nodePort": 30000}], "clusterIP": "10.0.0.1"}),
    ),
    "what was dropped and is gone already is not missed": (a_pod({}), a_pod({"hostname": "h"}), a_pod({}), a_pod({})),
}


def decoded(raw: dict[str, Any]) -> Any:
    return decode(raw, KINDS[raw["kind"]])


@pytest.mark.parametrize("name", APPLIES)
def test_apply_merges_three_ways(name: str) -> None:
    current, last, manifest, expected = APPLIES[name]
    assert encode(apply_patch(decoded(current), manifest, last)) == encode(decoded(expected))


@needs_kubectl
@pytest.mark.parametrize("name", APPLIES)
def test_kubectl_applies_in_the_same_way(name: str, tmp_path: Path) -> None:
    current, last, manifest, expected = APPLIES[name]
    assert encode(decoded(apply_as_kubectl(tmp_path, current, manifest, last))) == encode(decoded(expected))


def test_an_apply_that_changes_nothing_gives_the_very_object() -> None:
    pod = decoded(a_pod({}, labels={"a": "1"}))
    assert apply_patch(pod, a_pod({}, labels={"a": "1"}), None) is pod


def test_status_and_what_the_server_sets_are_not_taken_from_a_manifest() -> None:
    node = make_node("n1")
    raw = {
        "kind": "Node",
        "apiVersion": "v1",
        "status": {"capacity": {"cpu": "1"}},
        "metadata": {
            "name": "n1",
            "uid": "forged",
            "resourceVersion": "12",
            "creationTimestamp": "2024-01-01T00:00:00Z",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
    }
    assert apply_patch(node, raw, None) == node


def test_a_date_in_a_manifest_is_left_to_the_server() -> None:
    taint = {"key": "a", "effect": "NoSchedule"}
    node = make_node("n1", taints=[taint])
    manifest = {"kind": "Node", "metadata": {"name": "n1", "deletionTimestamp": "2024-01-01T00:00:00Z"}}
    assert apply_patch(node, manifest, manifest) is node


def test_a_list_whose_keys_tell_nothing_apart_is_replaced() -> None:
    twice = [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
    pod = decoded(a_pod({"containers": named("c", ports=twice)}))
    one = a_pod({"containers": named("c", ports=twice[1:])})
    assert [port.protocol for port in apply_patch(pod, one, None).spec.containers[0].ports] == ["UDP"]


def test_a_set_that_is_applied_again_stays_as_it_is_stored() -> None:
    web = make_set("web")
    manifest = encode(web)
    assert apply_patch(web, manifest, manifest) is web


# --- patch ------------------------------------------------------------------------------------------------------------

STRATEGIC: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "containers are merged by name, new ones first": (
        a_pod({"containers": named("c", command=["a"])}),
        {"spec": {"containers": [{"name": "d", "image": "y"}, {"name": "c", "image": "z"}]}},
        a_pod({"containers": [{"name": "d", "image": "y"}, {"name": "c", "image": "z", "command": ["a"]}]}),
    ),
    "an element is deleted by a directive": (
        a_pod({"containers": named("c", "d")}),
        {"spec": {"containers": [{"name": "c", "$patch": "delete"}]}},
        a_pod({"containers": named("d")}),
    ),
    "a list is replaced by a directive": (
        a_pod({"containers": named("c", "d")}),
        {"spec": {"containers": [{"name": "e", "image": "x"}, {"$patch": "replace"}]}},
        a_pod({"containers": named("e")}),
    ),
    "a map is replaced by a directive": (
        a_pod({}, labels={"a": "1"}),
        {"metadata": {"labels": {"b": "2", "$patch": "replace"}}},
        a_pod({}, labels={"b": "2"}),
    ),
    "kept keys are named": (
        a_pod({"volumes": [{"name": "v", "emptyDir": {}}]}),
        {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}, "$retainKeys": ["name", "hostPath"]}]}},
        a_pod({"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}),
    ),
    "plain values are merged and taken out by a directive": (
        a_pod({}, finalizers=["a/b", "c/d"]),
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"], "finalizers": ["e/f"]}},
        a_pod({}, finalizers=["e/f", "c/d"]),
    ),
    "an order is given by a directive": (
        a_pod({"containers": named("a", "b", "c")}),
        {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}},
        a_pod({"containers": named("b", "c", "a")}),
    ),
    "null takes a field away": (
        a_pod({"nodeSelector": {"a": "1", "b": "2"}, "hostname": "h"}),
        {"spec": {"nodeSelector": {"a": None}, "hostname": None}},
        a_pod({"nodeSelector": {"b": "2"}}),
    ),
    "other lists are replaced": (
        a_pod({"tolerations": [{"key": "a", "operator": "Exists"}]}),
        {"spec": {"tolerations": [{"key": "b", "operator": "Exists"}]}},
        a_pod({"tolerations": [{"key": "b", "operator": "Exists"}]}),
    ),
}


@pytest.mark.parametrize("name", STRATEGIC)
def test_a_strategic_patch_merges_lists_by_their_key(name: str) -> None:
    current, patch, expected = STRATEGIC[name]
    assert encode(strategic_merge_patch(decoded(current), patch)) == encode(decoded(expected))


@needs_kubectl
@pytest.mark.parametrize("name", STRATEGIC)
def test_kubectl_patches_in_the_same_way(name: str, tmp_path: Path) -> None:
    current, patch, expected = STRATEGIC[name]
    assert encode(decoded(patch_as_kubectl(tmp_path, current, patch))) == encode(decoded(expected))


MERGES = {
    "lists are replaced": (
        a_pod({"containers": named("c", "d")}),
        {"spec": {"containers": named("e")}},
        a_pod({"containers": named("e")}),
    ),
    "maps are merged and null removes": (
        a_pod({"hostname": "h"}, labels={"a": "1", "b": "2"}),
        {"metadata": {"labels": {"a": None, "c": "3"}}, "spec": {"hostname": None}},
        a_pod({}, labels={"b": "2", "c": "3"}),
    ),
    "a map that was not there is made": (
        a_pod({}),
        {"metadata": {"labels": {"a": "1", "b": None}}},
        a_pod({}, labels={"a": "1"}),
    ),
}


@pytest.mark.parametrize("name", MERGES)
def test_a_merge_patch_follows_rfc_7386(name: str) -> None:
    current, patch, expected = MERGES[name]
    assert encode(merge_patch(decoded(current), patch)) == encode(decoded(expected))


@needs_kubectl
@pytest.mark.parametrize("name", MERGES)
def test_kubectl_merges_in_the_same_way(name: str, tmp_path: Path) -> None:
    current, patch, expected = MERGES[name]
    assert encode(decoded(patch_as_kubectl(tmp_path, current, patch, "merge"))) == encode(decoded(expected))


KEYS: dict[type[Any], dict[str, Any]] = {
    Pod: {"initContainers": "name", "imagePullSecrets": "name", "schedulingGates": "name"},
    Service: {"ports": "port"},
}


@pytest.mark.parametrize(
    ("kind", "field", "key"), [(kind, field, key) for kind, fields in KEYS.items() for field, key in fields.items()]
)
def test_more_lists_are_merged_by_their_key(kind: type[Any], field: str, key: str) -> None:
    obj = decode(
        {"metadata": {"name": "x"}, "spec": {field: [{key: "a"}]}}
        if key != "port"
        else {"metadata": {"name": "x"}, "spec": {field: [{key: 1}]}},
        kind,
    )
    merged = encode(strategic_merge_patch(obj, {"spec": {field: [{key: "b" if key != "port" else 2}]}}))
    assert len(merged["spec"][field]) == 2


def test_conditions_of_a_claim_a_set_a_node_and_a_budget_are_merged_by_type() -> None:
    for kind in (PersistentVolumeClaim, StatefulSet, Node, PodDisruptionBudget):
        obj = decode({"metadata": {"name": "x"}, "status": {"conditions": [{"type": "A", "status": "True"}]}}, kind)
        patch = {"status": {"conditions": [{"type": "B", "status": "False"}]}}
        assert [part.type for part in strategic_merge_patch(obj, patch).status.conditions] == ["B", "A"]
