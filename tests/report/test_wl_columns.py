"""What stands in kubectl's columns, kind by kind; the layout is compared with the real kubectl's elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.kinds import KINDS
from simulator.api.meta import decode
from simulator.report.columns import COLUMNS
from simulator.report.pod_columns import pod_cells, pod_status, ready_containers
from simulator.units import HOUR, MINUTE, SECOND


def cells(kind: str, raw: dict[str, Any], now: int = HOUR) -> dict[str, str]:
    """The wide row of an object, by column."""
    meta = {"name": "x", "namespace": "default", "creationTimestamp": 0, **raw.pop("metadata", {})}
    if not KINDS[kind].NAMESPACED:
        del meta["namespace"]
    columns = COLUMNS[kind]
    obj = decode({"metadata": meta, **raw}, KINDS[kind])
    return dict(zip(columns.wide, columns.row(obj, now, True), strict=True))


@pytest.mark.rule("WL-171")
@pytest.mark.parametrize(
    ("kind", "narrow", "wide"),
    [
        ("Pod", "NAME READY STATUS RESTARTS AGE", "IP NODE NOMINATED_NODE READINESS_GATES"),
        ("StatefulSet", "NAME READY AGE", "CONTAINERS IMAGES"),
        ("PersistentVolumeClaim",
         "NAME STATUS VOLUME CAPACITY ACCESS_MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE", "VOLUMEMODE"),
        ("PersistentVolume",
         "NAME CAPACITY ACCESS_MODES RECLAIM_POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE",
         "VOLUMEMODE"),
        ("StorageClass", "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE", ""),
        ("Node", "NAME STATUS ROLES AGE VERSION",
         "INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME"),
        ("PodDisruptionBudget", "NAME MIN_AVAILABLE MAX_UNAVAILABLE ALLOWED_DISRUPTIONS AGE", ""),
        ("ControllerRevision", "NAME CONTROLLER REVISION AGE", ""),
        ("Namespace", "NAME STATUS AGE", ""),
    ],
)
def test_every_kind_has_its_columns(kind: str, narrow: str, wide: str) -> None:
    columns = COLUMNS[kind]
    first = tuple(name.replace("_", " ") for name in narrow.split())
    assert columns.narrow == first
    assert columns.wide == first + tuple(name.replace("_", " ") for name in wide.split())


@pytest.mark.rule("WL-171")
def test_the_wide_columns_of_events_have_an_order_of_their_own() -> None:
    assert COLUMNS["Event"].narrow == ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")
    assert COLUMNS["Event"].wide == ("LAST SEEN", "TYPE", "REASON", "OBJECT", "SUBOBJECT", "SOURCE", "MESSAGE",
                                     "FIRST SEEN", "COUNT", "NAME")


# --- pods -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-177")
def test_what_a_pod_does_not_have_is_none() -> None:
    row = cells("Pod", {"spec": {"containers": [{"name": "c"}]}})
    assert [row[name] for name in ("IP", "NODE", "NOMINATED NODE", "READINESS GATES")] == ["<none>"] * 4


@pytest.mark.rule("WL-177")
def test_a_pod_shows_its_first_address_its_nodes_and_how_many_gates_are_true() -> None:
    row = cells("Pod", {
        "spec": {"containers": [{"name": "c"}], "nodeName": "n1",
                 "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}, {"conditionType": "c"}]},
        "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "nominatedNodeName": "n2",
                   "conditions": [{"type": "a", "status": "True"}, {"type": "b", "status": "False"}]},
    })
    assert [row[name] for name in ("IP", "NODE", "NOMINATED NODE", "READINESS GATES")] == [
        "10.0.0.1", "n1", "n2", "1/3"]


@pytest.mark.rule("WL-174")
@pytest.mark.rule("WL-175")
@pytest.mark.parametrize("shown", [
    "ContainerCreating", "PodInitializing", "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff",
    "CreateContainerError",
])
def test_the_reason_for_which_a_container_waits_is_the_status(shown: str) -> None:
    status = {"phase": "Pending", "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": shown}}}]}
    assert cells("Pod", {"spec": {"containers": [{"name": "c"}]}, "status": status})["STATUS"] == shown


@pytest.mark.rule("WL-175")
def test_a_killed_container_shows_oom_killed_and_a_deleted_one_that_has_failed_shows_error() -> None:
    def shown(reason: str, deleted: bool) -> str:
        ended = {"name": "c", "state": {"terminated": {"exitCode": 137, "reason": reason}}}
        return cells("Pod", {
            "metadata": {"deletionTimestamp": 1} if deleted else {}, "spec": {"containers": [{"name": "c"}]},
            "status": {"phase": "Failed", "containerStatuses": [ended]},
        })["STATUS"]

    assert shown("OOMKilled", deleted=False) == "OOMKilled"
    assert shown("Error", deleted=True) == "Error"


@pytest.mark.rule("WL-173")
@pytest.mark.rule("WL-174")
def test_containers_that_run_are_not_counted_while_an_init_container_holds_the_pod_up() -> None:
    pod = decode({
        "metadata": {"name": "x"},
        "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
        "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}],
                   "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}]},
    }, KINDS["Pod"])
    assert (ready_containers(pod), pod_status(pod)) == ((0, 1), "Init:0/1")  # type: ignore[arg-type]


@pytest.mark.rule("WL-176")
def test_a_pod_that_never_restarted_shows_no_time() -> None:
    status = {"containerStatuses": [{"name": "c", "restartCount": 0, "state": {"running": {}},
                                     "lastState": {"terminated": {"exitCode": 1, "finishedAt": SECOND}}}]}
    pod = decode({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c"}]}, "status": status}, KINDS["Pod"])
    assert pod_cells(pod, MINUTE)["RESTARTS"] == "0"  # type: ignore[arg-type]


# --- sets, claims, volumes ------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-178")
def test_a_set_shows_ready_of_wanted_and_its_templates_containers() -> None:
    containers = [{"name": "a", "image": "one:1"}, {"name": "b", "image": "two:2"}]
    row = cells("StatefulSet", {
        "spec": {"replicas": 5, "template": {"spec": {"containers": containers}}},
        "status": {"replicas": 4, "readyReplicas": 2, "availableReplicas": 1},
    })
    assert (row["READY"], row["CONTAINERS"], row["IMAGES"]) == ("2/5", "a,b", "one:1,two:2")


REQUEST = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "7Gi"}}}


@pytest.mark.rule("WL-179")
def test_a_claim_shows_its_status_never_its_request() -> None:
    row = cells("PersistentVolumeClaim", {"spec": REQUEST, "status": {"phase": "Pending"}})
    assert (row["STATUS"], row["VOLUME"], row["CAPACITY"], row["ACCESS MODES"]) == ("Pending", "", "", "")
    bound = {"phase": "Bound", "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteMany"]}
    row = cells("PersistentVolumeClaim", {"spec": {**REQUEST, "volumeName": "pv"}, "status": bound})
    assert (row["STATUS"], row["VOLUME"], row["CAPACITY"], row["ACCESS MODES"]) == ("Bound", "pv", "10Gi", "RWX")
    hidden = cells("PersistentVolumeClaim", {"spec": REQUEST, "status": bound})
    assert (hidden["CAPACITY"], hidden["ACCESS MODES"]) == ("", "")


@pytest.mark.rule("WL-179")
def test_a_claim_that_names_its_volume_and_is_not_bound_has_capacity_zero() -> None:
    row = cells("PersistentVolumeClaim", {"spec": {**REQUEST, "volumeName": "pv"}, "status": {"phase": "Pending"}})
    assert (row["VOLUME"], row["CAPACITY"]) == ("pv", "0")


@pytest.mark.rule("WL-179")
@pytest.mark.rule("WL-180")
@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "PersistentVolume"])
def test_terminating_overrides_every_phase_of_claims_and_volumes(kind: str) -> None:
    going = {"deletionTimestamp": 1}
    for phase in ("Pending", "Bound", "Released"):
        assert cells(kind, {"metadata": going, "status": {"phase": phase}})["STATUS"] == "Terminating"
        assert cells(kind, {"status": {"phase": phase}})["STATUS"] == phase


@pytest.mark.rule("WL-180")
@pytest.mark.parametrize("phase", ["Available", "Released", "Failed"])
def test_a_volume_shows_its_claim_even_if_it_is_not_bound(phase: str) -> None:
    row = cells("PersistentVolume", {
        "spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadOnlyMany"], "storageClassName": "local",
                 "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "db", "name": "data-web-0"}},
        "status": {"phase": phase, "reason": "Because"},
    })
    assert (row["CLAIM"], row["RECLAIM POLICY"], row["CAPACITY"], row["ACCESS MODES"], row["REASON"]) == (
        "db/data-web-0", "Retain", "5Gi", "ROX", "Because")
    assert cells("PersistentVolume", {})["CLAIM"] == ""


@pytest.mark.rule("WL-181")
def test_access_modes_come_once_each_in_a_fixed_order() -> None:
    modes = ["ReadWriteOncePod", "ReadWriteMany", "ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]
    assert cells("PersistentVolume", {"spec": {"accessModes": modes}})["ACCESS MODES"] == "RWO,ROX,RWX,RWOP"


@pytest.mark.rule("WL-181")
@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "PersistentVolume"])
def test_the_old_annotation_goes_before_the_class_and_what_is_nil_is_unset(kind: str) -> None:
    old = {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}}
    assert cells(kind, {"metadata": old, "spec": {"storageClassName": "new"}})["STORAGECLASS"] == "old"
    assert cells(kind, {"spec": {"storageClassName": "new"}})["STORAGECLASS"] == "new"
    bare = cells(kind, {"spec": {}})
    assert (bare["STORAGECLASS"], bare["VOLUMEATTRIBUTESCLASS"], bare["VOLUMEMODE"]) == ("", "<unset>", "<unset>")
    full = cells(kind, {"spec": {"volumeAttributesClassName": "gold", "volumeMode": "Block"}})
    assert (full["VOLUMEATTRIBUTESCLASS"], full["VOLUMEMODE"]) == ("gold", "Block")


@pytest.mark.rule("WL-181")
@pytest.mark.parametrize(
    ("written", "shown"), [("10240Mi", "10Gi"), ("10Gi", "10Gi"), ("1.5Gi", "1536Mi"), ("1000M", "1G")])
def test_quantities_are_printed_in_canonical_form(written: str, shown: str) -> None:
    assert cells("PersistentVolume", {"spec": {"capacity": {"storage": written}}})["CAPACITY"] == shown


# --- classes, nodes, events, the rest -------------------------------------------------------------------------------


@pytest.mark.rule("WL-182")
def test_a_class_says_if_it_is_the_default_and_shows_what_nil_means() -> None:
    row = cells("StorageClass", {"provisioner": "p"})
    assert [row[name] for name in ("NAME", "RECLAIMPOLICY", "VOLUMEBINDINGMODE", "ALLOWVOLUMEEXPANSION")] == [
        "x", "Delete", "Immediate", "false"]
    for prefix in ("storageclass.kubernetes.io", "storageclass.beta.kubernetes.io"):
        default = {"annotations": {f"{prefix}/is-default-class": "true"}}
        assert cells("StorageClass", {"metadata": default, "provisioner": "p"})["NAME"] == "x (default)"
    no = {"annotations": {"storageclass.kubernetes.io/is-default-class": "false"}}
    assert cells("StorageClass", {"metadata": no, "provisioner": "p"})["NAME"] == "x"


@pytest.mark.rule("WL-183")
@pytest.mark.parametrize(
    ("ready", "shown"), [("True", "Ready"), ("False", "NotReady"), ("Unknown", "NotReady"), ("", "Unknown")])
def test_a_node_is_ready_or_not_and_perhaps_closed(ready: str, shown: str) -> None:
    status = {"conditions": [{"type": "Ready", "status": ready}]} if ready else {}
    assert cells("Node", {"status": status})["STATUS"] == shown
    assert cells("Node", {"status": status, "spec": {"unschedulable": True}})["STATUS"] == f"{shown},SchedulingDisabled"


@pytest.mark.rule("WL-183")
def test_a_node_shows_its_roles_sorted_and_its_addresses() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "",
              "kubernetes.io/role": "old"}
    info = {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.12", "architecture": "amd64",
            "containerRuntimeVersion": "containerd://2"}
    addresses = [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "10.1"}]
    row = cells("Node", {"metadata": {"labels": labels}, "status": {"nodeInfo": info, "addresses": addresses}})
    assert [row[name] for name in ("ROLES", "VERSION", "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION",
                                   "CONTAINER-RUNTIME")] == [
        "control-plane,old,worker", "v1.36.0", "10.1", "<none>", "Debian", "6.12 (amd64)", "containerd://2"]
    bare = cells("Node", {})
    assert [bare[name] for name in ("ROLES", "INTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME")] == [
        "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"]


@pytest.mark.rule("WL-184")
def test_an_event_says_what_where_and_how_often() -> None:
    about = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data", "fieldPath": "spec"}
    row = cells("Event", {
        "involvedObject": about, "type": "Normal", "reason": "R", "message": "m", "count": 3,
        "source": {"component": "kubelet", "host": "n1"}, "firstTimestamp": 0, "lastTimestamp": 59 * MINUTE,
    })
    assert [row[name] for name in ("LAST SEEN", "FIRST SEEN", "OBJECT", "SUBOBJECT", "SOURCE", "COUNT")] == [
        "60s", "60m", "persistentvolumeclaim/data", "spec", "kubelet, n1", "3"]
    bare = cells("Event", {"involvedObject": about, "source": {"component": "c"}, "firstTimestamp": 0})
    assert (bare["LAST SEEN"], bare["SOURCE"], bare["COUNT"]) == ("60m", "c", "1")


@pytest.mark.rule("WL-185")
@pytest.mark.parametrize(
    ("spec", "least", "most"),
    [({"minAvailable": 2}, "2", "N/A"), ({"minAvailable": "50%"}, "50%", "N/A"), ({"maxUnavailable": 0}, "N/A", "0")],
)
def test_a_budget_shows_the_side_that_is_set(spec: dict[str, Any], least: str, most: str) -> None:
    row = cells("PodDisruptionBudget", {"spec": spec, "status": {"disruptionsAllowed": 4}})
    assert (row["MIN AVAILABLE"], row["MAX UNAVAILABLE"], row["ALLOWED DISRUPTIONS"]) == (least, most, "4")


@pytest.mark.rule("WL-185")
def test_a_revision_shows_its_set_and_a_namespace_its_phase() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "u", "controller": True}
    row = cells("ControllerRevision", {"metadata": {"ownerReferences": [owner]}, "revision": 7})
    assert (row["CONTROLLER"], row["REVISION"]) == ("statefulset.apps/web", "7")
    assert cells("ControllerRevision", {"revision": 1})["CONTROLLER"] == "<none>"
    for phase in ("Active", "Terminating"):
        assert cells("Namespace", {"status": {"phase": phase}})["STATUS"] == phase
