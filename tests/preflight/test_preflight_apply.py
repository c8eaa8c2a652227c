"""What applying means: what is there keeps its state, what is there already is updated, what is refused is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.preflight.conftest import Checks
from tests.preflight.dumps import Plain, meta, new_set, node, pod, running, stateful_set, three_nodes, volume

TAINT = [{"key": "dedicated", "effect": "NoSchedule"}]


def actions(found: Any) -> dict[str, str]:
    return {change.object: change.action for change in found.changes}


def as_written(app: str = "db", replicas: int = 3) -> Plain:
    """The set that runs, as somebody would write it."""
    written = new_set(app, replicas)
    written["spec"]["template"]["spec"]["containers"] = [
        {"name": "db", "image": "registry.example.com/db:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]
    return written


def test_what_is_not_there_is_created_and_what_is_there_updated(checked: Checks) -> None:
    found = checked(three_nodes(), [new_set(), as_written(replicas=2)])
    assert actions(found) == {"StatefulSet/default/web": "create", "StatefulSet/default/db": "update"}
    assert found.verdict == "always converges"


def test_what_is_the_same_is_unchanged(checked: Checks) -> None:
    found = checked(three_nodes(), [as_written()])
    assert actions(found) == {"StatefulSet/default/db": "unchanged"}


def test_a_claim_template_that_changes_is_refused_in_the_servers_words(checked: Checks) -> None:
    larger = as_written()
    larger["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = "5Gi"
    found = checked(three_nodes(), [larger])
    assert actions(found) == {"StatefulSet/default/db": "refused"}
    assert "updates to statefulset spec for fields other than 'replicas'" in found.refused[0].message
    assert found.refused[0].where.startswith("new.yaml:")
    assert not found.is_accepted and found.why.startswith("without what the API server refuses")


def test_one_refusal_does_not_keep_the_others_from_being_applied(checked: Checks) -> None:
    larger = as_written()
    larger["spec"]["serviceName"] = "other"
    found = checked(three_nodes(), [larger, new_set()])
    assert actions(found) == {"StatefulSet/default/db": "refused", "StatefulSet/default/web": "create"}
    assert found.verdict == "always converges"


def test_a_new_object_that_is_invalid_is_refused_with_its_line(checked: Checks) -> None:
    bad = new_set()
    bad["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    found = checked(three_nodes(), [bad])
    assert actions(found) == {"StatefulSet/default/web": "refused"}
    assert "`selector` does not match template `labels`" in found.refused[0].message
    assert int(found.refused[0].where.rpartition(":")[2]) > 1


def test_what_a_manifest_no_longer_says_is_taken_away(checked: Checks) -> None:
    before = as_written()
    before["spec"]["minReadySeconds"] = 30
    cluster = three_nodes()
    there = next(obj for obj in cluster if obj["kind"] == "StatefulSet")
    there["spec"]["minReadySeconds"] = 30
    there["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(before)}
    assert actions(checked(cluster, [as_written()])) == {"StatefulSet/default/db": "update"}
    there["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{not json"}
    assert actions(checked(cluster, [as_written()])) == {"StatefulSet/default/db": "unchanged"}


def test_an_update_that_cannot_come_up_is_found(checked: Checks) -> None:
    found = checked(three_nodes(), [as_written(replicas=5)])
    assert found.verdict == "always gets stuck"
    assert "StatefulSet/default/db" in found.waiting
    assert {finding.lint for finding in found.findings} == {"more-replicas-than-nodes"}


# --- what is there keeps its state ------------------------------------------------------------------------------------


def test_bound_claims_stay_bound(checked: Checks) -> None:
    cluster = three_nodes("Immediate", free=3)
    found = checked(cluster, [as_written()])
    assert found.verdict == "always converges" and found.is_proven


def test_a_released_volume_is_no_free_one(checked: Checks) -> None:
    released = [volume(f"old-{number}", f"node{number}", claim="gone", phase="Released") for number in (1, 2, 3)]
    found = checked([*three_nodes(free=0), *released], [new_set(replicas=1)])
    assert found.verdict == "always gets stuck"
    assert "released-volume-nobody-will-bind" in {finding.lint for finding in found.findings}


def test_a_tainted_or_cordoned_node_takes_no_pod(checked: Checks) -> None:
    closed = [node("node1", taints=TAINT), node("node2", unschedulable=True), *three_nodes()[2:]]
    assert checked(closed, [new_set(replicas=1)]).verdict == "always converges"
    assert checked(closed, [new_set(replicas=2)]).verdict == "always gets stuck"


def test_running_pods_take_their_room(checked: Checks) -> None:
    large = new_set(replicas=1)
    large["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "15"}}
    cluster = three_nodes()
    assert checked(cluster, [large]).verdict == "always converges"
    for obj in cluster:
        if obj["kind"] == "Pod":
            obj["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
    assert checked(cluster, [large]).verdict == "always gets stuck"


def test_pods_of_a_deployment_keep_their_place(checked: Checks) -> None:
    front = pod("front", 0, "node1")
    front["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "front-1",
                                             "uid": "u-1", "controller": True}]
    front["spec"]["volumes"] = []
    front["spec"]["containers"][0]["volumeMounts"] = []
    found = checked([*three_nodes(), front], [new_set(replicas=1)])
    assert found.verdict == "always converges" and not found.troubles


# --- what a dump leaves out -------------------------------------------------------------------------------------------


def test_a_set_without_its_revisions_does_not_roll_over_its_pods(checked: Checks) -> None:
    found = checked(three_nodes())
    assert any("StatefulSet default/db: the dump has no ControllerRevision" in said for said in found.assumed)
    assert found.verdict == "always converges" and "there is one run only" in found.why


def test_a_revision_in_the_dump_is_the_one_that_counts(checked: Checks) -> None:
    template = stateful_set("db")["spec"]["template"]
    revision: Plain = {
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1,
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "metadata": meta("ControllerRevision", "db-6d5f8c7b9d", namespace="default", labels={"app": "db"},
                         ownerReferences=pod("db", 0, "node1")["metadata"]["ownerReferences"]
                         and [{**pod("db", 0, "node1")["metadata"]["ownerReferences"][0]}]),
    }
    found = checked([*three_nodes(), revision])
    assert not found.assumed and found.verdict == "always converges"


def test_a_rolling_update_under_way_goes_on_and_is_named(checked: Checks) -> None:
    cluster = three_nodes()
    for obj in cluster:
        if obj["kind"] == "StatefulSet":
            obj["status"].update(updateRevision="db-new", updatedReplicas=1, currentReplicas=2)
            obj["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/db:2"
        if obj["kind"] == "Pod" and obj["metadata"]["name"] == "db-2":
            obj["metadata"]["labels"]["controller-revision-hash"] = "db-new"
    found = checked(cluster)
    assert any("a rolling update is under way" in said for said in found.assumed)
    assert found.verdict == "always converges"


def test_the_priority_class_of_pods_that_run_is_known_from_them(checked: Checks) -> None:
    cluster = three_nodes()
    for obj in cluster:
        if obj["kind"] == "StatefulSet":
            obj["spec"]["template"]["spec"]["priorityClassName"] = "high"
        if obj["kind"] == "Pod":
            obj["spec"].update(priorityClassName="high", priority=1000)
    new = new_set(replicas=1)
    new["spec"]["template"]["spec"]["priorityClassName"] = "high"
    found = checked(cluster, [new])
    assert found.verdict == "always converges"
    assert any("PriorityClass high: not in the dump" in said for said in found.assumed)


def test_namespaces_that_the_dump_does_not_show_are_taken_to_exist(checked: Checks) -> None:
    elsewhere = new_set(replicas=1)
    elsewhere["metadata"]["namespace"] = "team"
    found = checked(three_nodes(), [elsewhere])
    assert found.verdict == "always converges"
    assert any("namespaces" in said and "team" in said for said in found.assumed)


def test_a_namespace_that_the_dump_would_show_is_missed(checked: Checks) -> None:
    elsewhere = new_set(replicas=1)
    elsewhere["metadata"]["namespace"] = "team"
    shown = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta("Namespace", "default"),
             "status": {"phase": "Active"}}
    found = checked([*three_nodes(), shown], [elsewhere])
    assert 'namespaces "team" not found' in found.refused[0].message
    made: Plain = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    assert not checked([*three_nodes(), shown], [made, elsewhere]).refused


@pytest.mark.parametrize("field", ["annotations", "labels", "podCIDR", "addresses"])
def test_what_only_tells_machines_apart_makes_no_difference(checked: Checks, field: str) -> None:
    cluster = [*three_nodes("Immediate"), *running("more", ("node1",))]
    plain = checked(cluster, [new_set()])
    for number, obj in enumerate(cluster[:3]):
        if field in ("annotations", "labels"):
            obj["metadata"].setdefault(field, {})["example.com/rack-id"] = f"r{number}"
        elif field == "podCIDR":
            obj["spec"][field] = f"10.0.{number}.0/24"
        else:
            obj["status"][field] = [{"type": "InternalIP", "address": f"192.0.2.{number}"}]
    again = checked(cluster, [new_set()])
    assert (again.verdict, again.why, again.odds) == (plain.verdict, plain.why, plain.odds)
