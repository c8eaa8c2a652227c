"""Queueing hints: which event is worth another try, against the table of the specification (SC-25 to SC-27)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Node, Pod
from simulator.api.meta import decode, evolve, with_annotations, with_meta
from simulator.api.storage import CSIDriver, CSINode, CSIStorageCapacity
from simulator.cluster.component import Change
from simulator.scheduler.events import (
    ADD,
    ASSIGNED_POD,
    DELETE,
    NODE,
    UNSCHEDULED_POD,
    UPDATE,
    UPDATE_NODE_ALLOCATABLE,
    UPDATE_NODE_CONDITION,
    UPDATE_NODE_LABEL,
    UPDATE_NODE_TAINT,
    UPDATE_POD_GATES_ELIMINATED,
    UPDATE_POD_LABEL,
    UPDATE_POD_SCALE_DOWN,
    UPDATE_POD_TOLERATION,
    ClusterEvent,
    force_activate,
    matches,
    node_updates,
    pod_updates,
    storage_events,
)
from simulator.scheduler.hints import REGISTERED, Strategy, gate_opens, is_of_interest, worth
from simulator.testing.builders import HOSTNAME, apart, make_claim, make_class, make_node, make_pod, make_volume

TAINT = [{"key": "disk", "effect": "NoSchedule"}]
CORDON = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]


def helps(plugin: str, pod: Pod, resource: str, action: int, old: Any = None, new: Any = None) -> bool:
    return worth(pod, [plugin], [], ClusterEvent(resource, action, old, new)) is not Strategy.SKIP


def own(**fields: Any) -> Pod:
    return make_pod("web-0", uid="uid-own", **fields)


def other(name: str = "other", node: str = "node-1", **fields: Any) -> Pod:
    return make_pod(name, uid=f"uid-{name}", nodeName=node, **fields)


def spread(**fields: Any) -> dict[str, Any]:
    return {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}}, **fields}


def csi_node(count: int | None, annotation: str = "") -> CSINode:
    driver = {"name": "csi.example.com", "nodeID": "n", **({"allocatable": {"count": count}} if count else {})}
    node = decode({"metadata": {"name": "node-1"}, "spec": {"drivers": [driver]}}, CSINode)
    return with_annotations(node, {"storage.alpha.kubernetes.io/migrated-plugins": annotation}) if annotation else node


# --- from changes to events -----------------------------------------------------------------------------------------


@pytest.mark.rule("SC-17")
def test_a_generic_update_matches_only_those_who_registered_every_update() -> None:
    generic = ClusterEvent(ASSIGNED_POD, UPDATE)
    assert matches("Pod", UPDATE, generic) and matches("Pod", ADD | UPDATE, generic)
    assert not matches("Pod", UPDATE_POD_LABEL | ADD | DELETE, generic)
    assert matches("Pod", DELETE, ClusterEvent(UNSCHEDULED_POD, DELETE))
    assert not matches("Node", DELETE, ClusterEvent(ASSIGNED_POD, DELETE))
    assert not matches("Node", ADD, ClusterEvent(NODE, UPDATE_NODE_TAINT))


@pytest.mark.rule("SC-25")
def test_a_pod_update_is_one_event_for_each_known_change_else_a_generic_one() -> None:
    pod = other(cpu="1", schedulingGates=[{"name": "a"}])
    changed = other(cpu="500m", labels={"a": "b"}, tolerations=CORDON)
    assert [event.action for event in pod_updates(pod, changed)] == [
        UPDATE_POD_LABEL, UPDATE_POD_SCALE_DOWN, UPDATE_POD_GATES_ELIMINATED, UPDATE_POD_TOLERATION]
    terminating = with_meta(pod, deletion_timestamp=1)
    assert [event.action for event in pod_updates(pod, terminating)] == [UPDATE]
    assert pod_updates(pod, terminating)[0].resource == ASSIGNED_POD
    assert pod_updates(own(), own())[0].resource == UNSCHEDULED_POD
    assert [event.action for event in pod_updates(other(cpu="1"), other(cpu="2"))] == [UPDATE]


@pytest.mark.rule("SC-25")
def test_node_updates_in_their_order_and_none_for_a_heartbeat() -> None:
    node = make_node("node-1", unschedulable=True)
    changed = make_node("node-1", labels={"a": "b"}, cpu="16", taints=TAINT)
    changed = evolve(changed, status=evolve(changed.status, conditions=()))
    assert [event.action for event in node_updates(node, changed)] == [
        UPDATE_NODE_TAINT, UPDATE_NODE_ALLOCATABLE, UPDATE_NODE_LABEL, UPDATE_NODE_TAINT, UPDATE_NODE_CONDITION]
    beat = evolve(node.status.conditions[0], last_heartbeat_time=5)
    assert node_updates(node, evolve(node, status=evolve(node.status, conditions=(beat,)))) == []


@pytest.mark.rule("SC-25")
@pytest.mark.rule("VB-156")
def test_deletions_of_storage_objects_are_no_events() -> None:
    volume = make_volume("pv-1")
    assert storage_events(Change(volume.key, volume, None)) == []
    assert [event.action for event in storage_events(Change(volume.key, None, volume))] == [ADD]
    assert [event.action for event in storage_events(Change(volume.key, volume, volume))] == [UPDATE]


# --- hints ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-26")
def test_node_unschedulable() -> None:
    pod, cordoned, open_node = own(), make_node("n", unschedulable=True), make_node("n")
    assert helps("NodeUnschedulable", pod, NODE, ADD, None, open_node)
    assert not helps("NodeUnschedulable", pod, NODE, ADD, None, cordoned)
    assert helps("NodeUnschedulable", pod, NODE, UPDATE_NODE_TAINT, cordoned, open_node)
    assert not helps("NodeUnschedulable", pod, NODE, UPDATE_NODE_TAINT, open_node, open_node)
    assert helps("NodeUnschedulable", pod, UNSCHEDULED_POD, UPDATE_POD_TOLERATION, pod, own(tolerations=CORDON))
    assert not helps("NodeUnschedulable", pod, UNSCHEDULED_POD, UPDATE_POD_TOLERATION, pod, own(tolerations=[
        {"key": "disk", "operator": "Exists"}]))


@pytest.mark.rule("SC-26")
def test_taint_toleration() -> None:
    pod, tainted, clean = own(), make_node("n", taints=TAINT), make_node("n")
    assert helps("TaintToleration", pod, NODE, ADD, None, clean)
    assert not helps("TaintToleration", pod, NODE, ADD, None, tainted)
    assert helps("TaintToleration", pod, NODE, UPDATE_NODE_TAINT, tainted, clean)
    assert not helps("TaintToleration", pod, NODE, UPDATE_NODE_TAINT, clean, clean)
    assert helps("TaintToleration", pod, UNSCHEDULED_POD, UPDATE_POD_TOLERATION, pod, own(tolerations=CORDON))
    assert not helps("TaintToleration", pod, ASSIGNED_POD, UPDATE_POD_TOLERATION, other(), other())


@pytest.mark.rule("SC-26")
def test_node_affinity_and_node_name() -> None:
    pod, good, bad = own(nodeSelector={"disk": "ssd"}), make_node("n", labels={"disk": "ssd"}), make_node("n")
    assert helps("NodeAffinity", pod, NODE, ADD, None, good)
    assert not helps("NodeAffinity", pod, NODE, ADD, None, bad)
    assert helps("NodeAffinity", pod, NODE, UPDATE_NODE_LABEL, bad, good)
    assert not helps("NodeAffinity", pod, NODE, UPDATE_NODE_LABEL, good, good)
    assert helps("NodeName", pod, NODE, ADD, None, bad)


@pytest.mark.rule("SC-26")
def test_node_ports() -> None:
    def listens(port: int) -> list[dict[str, Any]]:
        return [{"name": "main", "ports": [{"hostPort": port}]}]

    pod = own(containers=listens(80))
    assert helps("NodePorts", pod, ASSIGNED_POD, DELETE, other(containers=listens(80)))
    assert not helps("NodePorts", pod, ASSIGNED_POD, DELETE, other(containers=listens(81)))
    assert not helps("NodePorts", pod, ASSIGNED_POD, DELETE, make_pod("free", containers=listens(80)))
    assert helps("NodePorts", pod, NODE, ADD, None, make_node("n"))


@pytest.mark.rule("SC-26")
def test_node_resources_fit() -> None:
    pod = own(cpu="4")
    assert helps("NodeResourcesFit", pod, ASSIGNED_POD, DELETE, other(cpu="1m"))
    assert not helps("NodeResourcesFit", pod, ASSIGNED_POD, DELETE, make_pod("unbound"))
    nominated = make_pod("nominated")
    nominated = evolve(nominated, status=evolve(nominated.status, nominated_node_name="node-1"))
    assert helps("NodeResourcesFit", pod, ASSIGNED_POD, DELETE, nominated)
    assert helps("NodeResourcesFit", pod, NODE, ADD, None, make_node("n", cpu="4"))
    assert not helps("NodeResourcesFit", pod, NODE, ADD, None, make_node("n", cpu="3"))
    small, large = make_node("n", cpu="2"), make_node("n", cpu="8")
    assert helps("NodeResourcesFit", pod, NODE, UPDATE_NODE_ALLOCATABLE, small, large)
    assert not helps("NodeResourcesFit", pod, NODE, UPDATE_NODE_ALLOCATABLE, large, small)
    assert not helps("NodeResourcesFit", pod, NODE, UPDATE_NODE_ALLOCATABLE, large,
                     make_node("n", cpu="8", memory="1Ti"))
    assert helps("NodeResourcesFit", pod, NODE, UPDATE_NODE_ALLOCATABLE, large, make_node("n", cpu="8", pods="500"))
    assert helps("NodeResourcesFit", pod, UNSCHEDULED_POD, UPDATE_POD_SCALE_DOWN, pod, own(cpu="1"))
    assert helps("NodeResourcesFit", pod, ASSIGNED_POD, UPDATE_POD_SCALE_DOWN, other(cpu="2"), other(cpu="1"))
    assert not helps("NodeResourcesFit", pod, ASSIGNED_POD, UPDATE_POD_SCALE_DOWN,
                     other(cpu="2", memory="2Gi"), other(cpu="2", memory="1Gi"))


@pytest.mark.rule("SC-26")
def test_volume_restrictions() -> None:
    pod = own(claims=("data",))
    assert helps("VolumeRestrictions", pod, ASSIGNED_POD, DELETE, other(claims=("data",)))
    assert not helps("VolumeRestrictions", pod, ASSIGNED_POD, DELETE, other(claims=("other",)))
    assert not helps("VolumeRestrictions", pod, ASSIGNED_POD, DELETE, other(claims=("data",), namespace="elsewhere"))
    assert helps("VolumeRestrictions", pod, "PersistentVolumeClaim", ADD, None, make_claim("data"))
    assert not helps("VolumeRestrictions", pod, "PersistentVolumeClaim", ADD, None, make_claim("other"))
    assert helps("VolumeRestrictions", pod, NODE, ADD, None, make_node("n"))


@pytest.mark.rule("SC-26")
def test_node_volume_limits() -> None:
    pod = own(claims=("data",))
    assert helps("NodeVolumeLimits", pod, "CSINode", ADD, None, csi_node(None))
    assert helps("NodeVolumeLimits", pod, "CSINode", UPDATE, csi_node(1), csi_node(2))
    assert not helps("NodeVolumeLimits", pod, "CSINode", UPDATE, csi_node(2), csi_node(1))
    assert helps("NodeVolumeLimits", pod, ASSIGNED_POD, DELETE, other(claims=("any",)))
    assert not helps("NodeVolumeLimits", pod, ASSIGNED_POD, DELETE, other())
    assert helps("NodeVolumeLimits", pod, "PersistentVolumeClaim", ADD, None, make_claim("data"))


@pytest.mark.rule("SC-26")
@pytest.mark.rule("VB-156")
def test_volume_binding() -> None:
    pod = own(claims=("data",))
    volume, claim, other_claim = make_volume("pv-1"), make_claim("data"), make_claim("other")
    for action, old in [(ADD, None), (UPDATE, volume)]:
        assert helps("VolumeBinding", pod, "PersistentVolume", action, old, volume)
    for action, old in [(ADD, None), (UPDATE, claim)]:
        assert helps("VolumeBinding", pod, "PersistentVolumeClaim", action, old, claim)
        assert not helps("VolumeBinding", pod, "PersistentVolumeClaim", action, old, other_claim)
    kind, zones = make_class("c"), [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}]
    assert helps("VolumeBinding", pod, "StorageClass", ADD, None, kind)
    assert helps("VolumeBinding", pod, "StorageClass", UPDATE, kind, make_class("c", allowedTopologies=zones))
    assert not helps("VolumeBinding", pod, "StorageClass", UPDATE, kind, make_class("c", reclaimPolicy="Retain"))
    assert helps("VolumeBinding", pod, NODE, ADD, None, make_node("n"))
    assert helps("VolumeBinding", pod, NODE, UPDATE_NODE_LABEL, make_node("n"), make_node("n", labels={"a": "b"}))
    assert not helps("VolumeBinding", pod, NODE, UPDATE_NODE_ALLOCATABLE, make_node("n"), make_node("n", cpu="9"))
    assert helps("VolumeBinding", pod, "CSINode", ADD, None, csi_node(None))
    assert helps("VolumeBinding", pod, "CSINode", UPDATE, csi_node(None), csi_node(None, "migrated"))
    assert not helps("VolumeBinding", pod, "CSINode", UPDATE, csi_node(1), csi_node(9))
    for action in (ADD, DELETE, UPDATE_POD_LABEL):
        assert not helps("VolumeBinding", pod, ASSIGNED_POD, action, other(), other())


@pytest.mark.rule("SC-26")
def test_volume_binding_and_what_drivers_say() -> None:
    def room(size: str | None) -> CSIStorageCapacity:
        return decode({"metadata": {"name": "c"}, **({"capacity": size} if size else {})}, CSIStorageCapacity)

    def driver(tracks: bool) -> CSIDriver:
        return decode({"metadata": {"name": "csi.example.com"}, "spec": {"storageCapacity": tracks}}, CSIDriver)

    pod = own(claims=("data",))
    assert helps("VolumeBinding", pod, "CSIStorageCapacity", ADD, None, room(None))
    assert helps("VolumeBinding", pod, "CSIStorageCapacity", UPDATE, room(None), room("1Gi"))
    assert helps("VolumeBinding", pod, "CSIStorageCapacity", UPDATE, room("1Gi"), room("2Gi"))
    assert not helps("VolumeBinding", pod, "CSIStorageCapacity", UPDATE, room("2Gi"), room("1Gi"))
    assert not helps("VolumeBinding", pod, "CSIDriver", UPDATE, driver(True), driver(False))
    inline = own(volumes=[{"name": "v", "csi": {"driver": "csi.example.com"}}])
    assert helps("VolumeBinding", inline, "CSIDriver", UPDATE, driver(True), driver(False))
    assert not helps("VolumeBinding", inline, "CSIDriver", UPDATE, driver(False), driver(True))


@pytest.mark.rule("SC-26")
def test_volume_zone() -> None:
    pod = own(claims=("data",))
    plain = make_volume("pv-1")
    zoned = with_meta(plain, labels={"topology.kubernetes.io/zone": "a"})
    assert helps("VolumeZone", pod, "PersistentVolume", ADD, None, plain)
    assert helps("VolumeZone", pod, "PersistentVolume", UPDATE, plain, zoned)
    assert not helps("VolumeZone", pod, "PersistentVolume", UPDATE, plain, with_meta(plain, labels={"a": "b"}))
    assert helps("VolumeZone", pod, "StorageClass", ADD, None, make_class("c", mode="WaitForFirstConsumer"))
    assert not helps("VolumeZone", pod, "StorageClass", ADD, None, make_class("c"))
    assert helps("VolumeZone", pod, "PersistentVolumeClaim", UPDATE, make_claim("data"), make_claim("data"))


@pytest.mark.rule("SC-26")
def test_pod_topology_spread() -> None:
    pod = own(labels={"app": "web"}, topologySpreadConstraints=[spread()])
    counted, ignored = {"app": "web"}, {"app": "db"}
    for action in (ADD, DELETE):
        old_new = (lambda one: (None, one)) if action == ADD else (lambda one: (one, None))
        assert helps("PodTopologySpread", pod, ASSIGNED_POD, action, *old_new(other(labels=counted)))
        assert not helps("PodTopologySpread", pod, ASSIGNED_POD, action, *old_new(other(labels=ignored)))
        assert not helps("PodTopologySpread", pod, ASSIGNED_POD, action,
                         *old_new(other(labels=counted, namespace="elsewhere")))
    assert helps("PodTopologySpread", pod, ASSIGNED_POD, UPDATE_POD_LABEL, other(labels=counted), other(labels=ignored))
    assert not helps("PodTopologySpread", pod, ASSIGNED_POD, UPDATE_POD_LABEL,
                     other(labels=counted), other(labels={**counted, "x": "y"}))
    tolerant = own(labels={"app": "web"}, topologySpreadConstraints=[spread()], tolerations=CORDON)
    assert not helps("PodTopologySpread", pod, UNSCHEDULED_POD, UPDATE_POD_TOLERATION, pod, tolerant)
    honours = own(labels={"app": "web"}, topologySpreadConstraints=[spread(nodeTaintsPolicy="Honor")])
    assert helps("PodTopologySpread", honours, UNSCHEDULED_POD, UPDATE_POD_TOLERATION, honours, tolerant)


@pytest.mark.rule("SC-26")
def test_pod_topology_spread_and_nodes() -> None:
    pod = own(topologySpreadConstraints=[spread()])
    inside, outside = make_node("n", labels={"zone": "a"}), make_node("n")
    elsewhere = make_node("n", labels={"zone": "b"})
    for action, old, new in [(ADD, None, inside), (DELETE, inside, None)]:
        assert helps("PodTopologySpread", pod, NODE, action, old, new)
    assert not helps("PodTopologySpread", pod, NODE, ADD, None, outside)
    assert helps("PodTopologySpread", pod, NODE, UPDATE_NODE_LABEL, inside, outside)
    assert helps("PodTopologySpread", pod, NODE, UPDATE_NODE_LABEL, outside, inside)
    assert helps("PodTopologySpread", pod, NODE, UPDATE_NODE_LABEL, inside, elsewhere)
    assert not helps("PodTopologySpread", pod, NODE, UPDATE_NODE_LABEL, inside, make_node("n", labels={
        "zone": "a", "x": "y"}))
    tainted = make_node("n", labels={"zone": "a"}, taints=TAINT)
    assert helps("PodTopologySpread", pod, NODE, UPDATE_NODE_TAINT, tainted, inside)
    assert not helps("PodTopologySpread", pod, NODE, UPDATE_NODE_TAINT, make_node("n", taints=TAINT), outside)


@pytest.mark.rule("SC-26")
def test_inter_pod_affinity() -> None:
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": HOSTNAME}]}}
    wants, shuns = own(affinity=near), own(labels={"app": "web"}, affinity=apart("web"))
    db, web = other(labels={"app": "db"}), other(labels={"app": "web"})
    assert helps("InterPodAffinity", wants, ASSIGNED_POD, ADD, None, db)
    assert not helps("InterPodAffinity", wants, ASSIGNED_POD, ADD, None, web)
    assert not helps("InterPodAffinity", wants, ASSIGNED_POD, ADD, None, other(labels={"app": "db"}, namespace="x"))
    assert not helps("InterPodAffinity", wants, ASSIGNED_POD, DELETE, db)
    assert helps("InterPodAffinity", wants, ASSIGNED_POD, UPDATE_POD_LABEL, web, db)
    assert helps("InterPodAffinity", shuns, ASSIGNED_POD, DELETE, web)
    assert not helps("InterPodAffinity", shuns, ASSIGNED_POD, DELETE, db)
    assert helps("InterPodAffinity", shuns, ASSIGNED_POD, UPDATE_POD_LABEL, web, db)
    assert not helps("InterPodAffinity", shuns, ASSIGNED_POD, UPDATE_POD_LABEL, db, web)
    enemy = other(labels={"app": "db"}, affinity=apart("web"))
    assert helps("InterPodAffinity", own(labels={"app": "web"}), ASSIGNED_POD, DELETE, enemy)
    assert helps("InterPodAffinity", wants, UNSCHEDULED_POD, UPDATE_POD_LABEL, wants, own(labels={"a": "b"}))


@pytest.mark.rule("SC-26")
def test_inter_pod_affinity_and_nodes() -> None:
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "zone"}]}}
    far = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "zone"}]}}
    a, b, bare = make_node("n", labels={"zone": "a"}), make_node("n", labels={"zone": "b"}), make_node("n")
    answers = {
        name: [helps("InterPodAffinity", own(affinity=rule), NODE, *event) for event in (
            (ADD, None, a), (ADD, None, bare), (UPDATE_NODE_LABEL, bare, a), (UPDATE_NODE_LABEL, a, b),
            (UPDATE_NODE_LABEL, a, bare))]
        for name, rule in (("near", near), ("far", far))
    }
    assert answers == {"near": [True, False, True, True, False], "far": [True, True, False, True, True]}


@pytest.mark.rule("SC-26")
def test_scheduling_gates_and_default_preemption() -> None:
    pod = own()
    assert helps("SchedulingGates", pod, UNSCHEDULED_POD, UPDATE_POD_GATES_ELIMINATED, pod, pod)
    assert not helps("SchedulingGates", pod, UNSCHEDULED_POD, UPDATE_POD_GATES_ELIMINATED, pod, make_pod("x", uid="x"))
    freed = ClusterEvent(ASSIGNED_POD, DELETE, other())
    assert worth(pod, ["DefaultPreemption"], [], freed) is Strategy.SKIP
    assert gate_opens("DefaultPreemption", freed) and not gate_opens("SchedulingGates", freed)


@pytest.mark.rule("SC-27")
@pytest.mark.parametrize("plugin", sorted(REGISTERED))
def test_whoever_registers_new_nodes_hears_of_every_change_of_taints(plugin: str) -> None:
    tainted, clean = make_node("n", taints=TAINT), make_node("n")
    hidden = {"NodeName", "NodeAffinity", "NodePorts", "NodeResourcesFit", "VolumeRestrictions", "VolumeBinding",
              "VolumeZone", "InterPodAffinity", "NodeDeclaredFeatures"}
    pod = own(topologySpreadConstraints=[spread()])
    assert helps(plugin, pod, NODE, UPDATE_NODE_TAINT, clean, tainted) == (plugin in hidden)


# --- how soon -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-16")
def test_no_rejector_a_wildcard_and_a_pending_plug_in() -> None:
    pod, added = own(), ClusterEvent("PersistentVolume", ADD, None, make_volume("pv-1"))
    assert worth(pod, [], [], added) is Strategy.AFTER_BACKOFF
    assert worth(pod, ["NodeAffinity"], [], force_activate(pod)) is Strategy.AFTER_BACKOFF
    assert worth(pod, ["NodeAffinity"], [], force_activate(other())) is Strategy.SKIP
    assert worth(pod, ["NodeAffinity"], ["VolumeBinding"], added) is Strategy.IMMEDIATELY
    assert worth(pod, ["VolumeBinding"], ["NodeAffinity"], added) is Strategy.AFTER_BACKOFF


@pytest.mark.rule("SC-14")
def test_events_that_interest_nobody() -> None:
    node = make_node("n")
    assert not is_of_interest(ClusterEvent(NODE, UPDATE_NODE_CONDITION, node, node))
    assert not is_of_interest(ClusterEvent("StorageClass", DELETE, make_class("c")))
    assert is_of_interest(ClusterEvent(NODE, DELETE, node))
    assert isinstance(node, Node)
