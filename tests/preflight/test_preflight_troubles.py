"""A dump with trouble in it: everything is handled and named, and nothing is guessed."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from simulator.report.check import check_lines, check_result
from simulator.report.junit import junit
from tests.preflight.conftest import Checks
from tests.preflight.dumps import Plain, claim, condition, meta, new_set, node, pod, running, three_nodes, volume


def without(kind: str, name: str = "") -> list[Plain]:
    return [obj for obj in three_nodes() if obj["kind"] != kind or (name and obj["metadata"]["name"] != name)]


def named(found: Any, kind: str) -> tuple[str, ...]:
    """The objects of a trouble, which must be there once."""
    trouble, = (trouble for trouble in found.troubles if trouble.kind == kind)
    return tuple(trouble.objects)


def test_a_pod_on_a_node_that_is_not_in_the_dump(checked: Checks) -> None:
    found = checked(without("Node", "node2"))
    assert named(found, "pod-on-missing-node") == ("Pod/default/db-1",)
    assert "node2" in next(t.what for t in found.troubles if t.kind == "pod-on-missing-node")
    assert found.verdict == "always gets stuck" and "StatefulSet/default/db" in found.waiting


def test_a_claim_bound_to_a_volume_that_is_missing(checked: Checks) -> None:
    found = checked(without("PersistentVolume", "db-disk-1"))
    assert named(found, "claim-of-missing-volume") == ("PersistentVolumeClaim/default/data-db-1",)
    assert "db-disk-1" in found.troubles[0].what


def test_a_volume_bound_to_a_claim_that_is_missing(checked: Checks) -> None:
    found = checked(without("PersistentVolumeClaim", "data-db-1"))
    assert named(found, "volume-of-missing-claim") == ("PersistentVolume/db-disk-1",)
    assert named(found, "pod-of-missing-claim") == ("Pod/default/db-1",)


def test_a_volume_bound_to_a_claim_of_another_uid(checked: Checks) -> None:
    cluster = three_nodes()
    next(obj for obj in cluster if obj["metadata"]["name"] == "db-disk-1")["spec"]["claimRef"]["uid"] = "another"
    assert "of another uid" in checked(cluster).troubles[0].what


def test_a_claim_and_a_volume_that_disagree(checked: Checks) -> None:
    cluster = three_nodes()
    next(obj for obj in cluster if obj["metadata"]["name"] == "data-db-1")["spec"]["volumeName"] = "db-disk-0"
    found = checked(cluster)
    assert named(found, "claim-and-volume-disagree") == ("PersistentVolumeClaim/default/data-db-1",)


def test_a_pod_whose_set_is_missing(checked: Checks) -> None:
    found = checked([*without("StatefulSet", "db"), *running("other", ("node1",))])
    assert named(found, "owner-missing") == ("Pod/default/db-0", "Pod/default/db-1", "Pod/default/db-2")


def test_an_owner_of_a_kind_that_is_not_simulated_is_no_trouble(checked: Checks) -> None:
    odd = pod("op", 0, "node1")
    odd["metadata"]["ownerReferences"] = [{"apiVersion": "example.com/v1", "kind": "Database", "name": "x", "uid": "u",
                                           "controller": True}]
    odd["spec"]["volumes"] = []
    odd["spec"]["containers"][0]["volumeMounts"] = []
    assert not checked([*three_nodes(), odd]).troubles


@pytest.mark.parametrize(("kind", "trouble"), [
    ("Node", "no-nodes"), ("PersistentVolume", "no-volumes"), ("PersistentVolumeClaim", "no-claims"),
    ("StatefulSet", "no-sets"),
])
def test_a_kind_that_was_left_out_gives_no_verdict(checked: Checks, kind: str, trouble: str) -> None:
    found = checked(without(kind), [new_set()])
    assert trouble in {each.kind for each in found.troubles}
    assert (found.verdict, found.is_accepted) == ("no verdict", False)
    assert found.why.startswith("this is not the whole cluster")
    assert any("kubectl get nodes" in each.taken for each in found.troubles)


def test_a_cluster_without_nodes_that_holds_nothing_else_either_is_believed(checked: Checks) -> None:
    found = checked([volume("disk", "node1")], [new_set(replicas=1)])
    assert {each.kind for each in found.troubles} == {"no-nodes"}
    assert found.verdict == "always gets stuck"


@pytest.mark.parametrize("kind", ["Node", "Pod", "PersistentVolume", "PersistentVolumeClaim", "StatefulSet"])
def test_objects_without_a_status_are_named(checked: Checks, kind: str) -> None:
    cluster = three_nodes()
    for obj in cluster:
        if obj["kind"] == kind:
            del obj["status"]
    found = checked(cluster, [new_set(replicas=1)])
    assert all(name.startswith(f"{kind}/") for name in named(found, "no-status"))
    assert found.verdict in ("always converges", "no verdict")


def test_a_dump_without_any_status_is_named_once_for_all(checked: Checks) -> None:
    cluster = three_nodes()
    for obj in cluster:
        obj.pop("status", None)
    found = checked(cluster)
    assert len(named(found, "no-status")) == len([o for o in cluster if o["kind"] != "StorageClass"])
    assert found.verdict == "always converges"


def test_a_pod_that_is_not_ready_stays_so_and_is_named(checked: Checks) -> None:
    cluster = three_nodes()
    for obj in cluster:
        if obj["kind"] == "Pod" and obj["metadata"]["name"] == "db-1":
            obj["status"]["conditions"] = [condition("Ready", "False"), condition("PodScheduled")]
            obj["status"]["containerStatuses"][0]["ready"] = False
    found = checked(cluster)
    assert named(found, "not-ready") == ("Pod/default/db-1",)
    assert found.verdict == "always gets stuck"


def test_a_set_that_was_just_changed_is_named(checked: Checks) -> None:
    cluster = three_nodes()
    next(obj for obj in cluster if obj["kind"] == "StatefulSet")["metadata"]["generation"] = 2
    assert named(checked(cluster), "not-observed-yet") == ("StatefulSet/default/db",)


def test_what_is_being_deleted_goes_on_being_deleted(checked: Checks) -> None:
    cluster = three_nodes()
    for obj in cluster:
        if obj["metadata"]["name"] == "db-2":
            obj["metadata"].update(deletionTimestamp="2025-11-20T08:30:00Z", deletionGracePeriodSeconds=30)
    assert checked(cluster).verdict == "always converges"


def test_what_is_being_deleted_and_held_by_nothing_is_gone(checked: Checks) -> None:
    cluster = three_nodes()
    free = next(obj for obj in cluster if obj["metadata"]["name"] == "free-node1-0")
    free["metadata"].update(deletionTimestamp="2025-11-20T08:30:00Z", finalizers=[])
    assert named(checked(cluster), "gone-by-now") == ("PersistentVolume/free-node1-0",)


def test_many_of_a_sort_are_one_trouble(checked: Checks) -> None:
    cluster = [node("here"), *(
        each for number in range(8) for each in running(f"db{number}", (f"gone{number}",)))]
    found = checked(cluster)
    assert len(named(found, "pod-on-missing-node")) == 8
    text = "\n".join(check_lines(found))
    assert "and 7 more like this" in " ".join(text.split())


def test_trouble_that_was_there_is_not_blamed_on_what_is_applied(checked: Checks) -> None:
    cluster = [*without("PersistentVolume", "db-disk-1"), *(volume(f"extra{n}", f"node{n}") for n in (1, 2, 3))]
    found = checked(cluster, [new_set(replicas=1)])
    assert found.verdict == "always converges"
    assert found.before == {"PersistentVolumeClaim/default/data-db-1": "has lost its volume"}


def mangled(number: int) -> list[Plain]:
    """A cluster from which things were taken at random, and in which references point anywhere."""
    draw = random.Random(number)
    cluster = copy.deepcopy(three_nodes())
    for _ in range(draw.randint(1, 6)):
        if len(cluster) < 2:
            break
        obj = draw.choice(cluster)
        match draw.randrange(9):
            case 0:
                cluster.remove(obj)
            case 1:
                obj.pop("status", None)
            case 2:
                obj["metadata"]["uid"] = f"strange-{draw.randrange(3)}"
            case 3:
                obj.get("spec", {}).pop(draw.choice(sorted(obj.get("spec", {"": 0}))), None)
            case 4:
                obj.get("spec", {})["nodeName" if obj["kind"] == "Pod" else "volumeName"] = "nowhere"
            case 5:
                obj["metadata"]["deletionTimestamp"] = "2025-11-20T09:00:00Z"
            case 6:
                obj["metadata"].pop("ownerReferences", None)
            case 7:
                obj["metadata"]["namespace"] = draw.choice(["", "team", "kube-system"])
            case 8:
                obj["metadata"]["ownerReferences"] = [
                    {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "none", "uid": "none", "controller": True}]
    return cluster


@pytest.mark.parametrize("number", range(40))
def test_no_trouble_ends_in_a_traceback(checked: Checks, unexplored: None, number: int) -> None:
    from simulator.errors import ManifestError

    try:
        found = checked(mangled(number), [new_set(replicas=1)], must_stop=lambda: True)
    except ManifestError as error:
        assert str(error).startswith("cluster.yaml:")
        return
    assert check_lines(found) and check_result(found) and junit(found)


def test_claims_and_volumes_of_other_namespaces_are_kept_apart(checked: Checks) -> None:
    other = [*three_nodes(), claim("data-db-0", "other-disk", namespace="team"),
             {**volume("other-disk", "node1", claim="data-db-0", namespace="team")}]
    other[-1]["spec"]["claimRef"]["uid"] = other[-2]["metadata"]["uid"] = "team-claim"
    assert not checked(other).troubles


def test_a_lease_of_a_node_is_no_trouble(checked: Checks) -> None:
    lease: Plain = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": meta("Lease", "node1", namespace="kube-node-lease"),
                    "spec": {"holderIdentity": "node1", "leaseDurationSeconds": 40,
                             "renewTime": "2025-11-20T10:00:00.000000Z"}}
    found = checked([*three_nodes(), lease])
    assert not found.troubles and found.verdict == "always converges"
