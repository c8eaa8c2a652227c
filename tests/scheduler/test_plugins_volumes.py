"""VolumeRestrictions, NodeVolumeLimits and VolumeZone."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Object, decode, evolve, with_meta
from simulator.api.storage import CSINode
from simulator.scheduler.framework import SUCCESS, Code, Status
from simulator.scheduler.plugins import NodeVolumeLimits, VolumeRestrictions, VolumeZone
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_volume
from tests.scheduler.snapshots import answers, on, reasons, snapshot_of

ONCE_POD = ("ReadWriteOncePod",)
IN_USE = [
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
]
NO_DISK = ["node(s) had no available disk"]
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
BETA_ZONE = "failure-domain.beta.kubernetes.io/zone"


@pytest.mark.rule("SC-63")
@pytest.mark.rule("VB-125")
def test_a_missing_claim_is_reported_before_volume_binding_is_asked() -> None:
    status = answers(VolumeRestrictions(), make_pod("p", claims=("gone",)), snapshot_of(make_node("a")))
    assert status == Status(Code.UNRESOLVABLE, "VolumeRestrictions", ('persistentvolumeclaim "gone" not found',))


@pytest.mark.rule("SC-63")
def test_a_missing_ephemeral_claim_is_left_to_volume_binding() -> None:
    pod = make_pod("p", volumes=[{"name": "v", "ephemeral": {}}])
    assert reasons(VolumeRestrictions(), pod, snapshot_of(make_node("a"))) == "skip"


@pytest.mark.rule("SC-64")
@pytest.mark.rule("VB-163")
def test_an_exclusive_claim_in_use_refuses_every_node_but_may_be_preempted() -> None:
    claim = make_claim("data", modes=ONCE_POD)
    user = on(make_pod("user", claims=("data",), uid="1"), "b")
    snapshot = snapshot_of(make_node("a"), make_node("b"), claim, user)
    pod = make_pod("p", claims=("data",))
    plugin = VolumeRestrictions()
    assert reasons(plugin, pod, snapshot) == {"a": IN_USE, "b": IN_USE}
    state = plugin.pre_filter(pod, snapshot).state
    node = snapshot.nodes[1]
    assert plugin.filter(state, pod, node, snapshot).code is Code.UNSCHEDULABLE
    without = plugin.remove_pod(state, pod, user, node, snapshot)
    assert plugin.filter(without, pod, node, snapshot) is SUCCESS
    assert plugin.add_pod(without, pod, user, node, snapshot) == state


@pytest.mark.rule("SC-63")
@pytest.mark.rule("VB-164")
def test_claims_of_other_modes_and_namespaces_are_shared_freely() -> None:
    pod = make_pod("p", claims=("data",))
    shared = snapshot_of(make_node("a"), make_claim("data"), on(make_pod("user", claims=("data",)), "a"))
    elsewhere = snapshot_of(make_node("a"), make_claim("data", modes=ONCE_POD),
                            on(make_pod("user", claims=("data",), namespace="other"), "a"))
    assert reasons(VolumeRestrictions(), pod, shared) == "skip"
    assert reasons(VolumeRestrictions(), pod, elsewhere) == "skip"


def disk(**source: Any) -> list[dict[str, Any]]:
    return [{"name": "disk", **source}]


RBD = {"monitors": ["m1", "m2"], "image": "i"}


@pytest.mark.rule("SC-64")
@pytest.mark.parametrize(("mine", "its", "passes"), [
    ({"gcePersistentDisk": {"pdName": "d"}}, {"gcePersistentDisk": {"pdName": "d"}}, False),
    ({"gcePersistentDisk": {"pdName": "d"}}, {"gcePersistentDisk": {"pdName": "e"}}, True),
    ({"gcePersistentDisk": {"pdName": "d", "readOnly": True}}, {"gcePersistentDisk": {"pdName": "d", "readOnly": True}},
     True),
    ({"awsElasticBlockStore": {"volumeID": "d", "readOnly": True}},
     {"awsElasticBlockStore": {"volumeID": "d", "readOnly": True}}, False),
    ({"iscsi": {"iqn": "d"}}, {"iscsi": {"iqn": "d", "readOnly": True}}, False),
    ({"rbd": RBD}, {"rbd": {**RBD, "monitors": ["m2"], "pool": "rbd"}}, False),
    ({"rbd": RBD}, {"rbd": {**RBD, "monitors": ["m3"]}}, True),
    ({"rbd": RBD}, {"rbd": {**RBD, "pool": "other"}}, True),
    ({"rbd": RBD}, {"iscsi": {"iqn": "i"}}, True),
])
def test_a_disk_is_attached_once_unless_all_only_read(mine: Any, its: Any, passes: bool) -> None:
    there = on(make_pod("there", volumes=disk(**its)), "a")
    snapshot = snapshot_of(make_node("a"), make_node("b"), there)
    expected = {"a": "ok" if passes else NO_DISK, "b": "ok"}
    assert reasons(VolumeRestrictions(), make_pod("p", volumes=disk(**mine)), snapshot) == expected


def csi_node(name: str, **limits: int | None) -> CSINode:
    drivers = [{"name": driver, "nodeID": name, "allocatable": {"count": count}} for driver, count in limits.items()]
    return decode({"metadata": {"name": name}, "spec": {"drivers": drivers}}, CSINode)


def bound(claim: str, driver: str = "fast", handle: str = "", **labels: str) -> tuple[Object, Object]:
    volume = make_volume(f"pv-{claim}", csi={"driver": driver, "volumeHandle": handle or claim}, phase="Bound")
    return make_claim(claim, volumeName=f"pv-{claim}"), with_meta(volume, labels=labels)


@pytest.mark.rule("SC-65")
@pytest.mark.rule("VB-166")
def test_a_driver_serves_only_so_many_volumes_on_a_node() -> None:
    snapshot = snapshot_of(
        make_node("full"), make_node("room"), make_node("unlimited"), make_node("unknown"), csi_node("full", fast=2),
        csi_node("room", fast=3), csi_node("unlimited", fast=None), *bound("x"), *bound("y"), *bound("new"),
        *(on(make_pod(f"{claim}-{node}", claims=(claim,)), node) for claim in "xy" for node in ("full", "room")),
    )
    assert reasons(NodeVolumeLimits(), make_pod("p", claims=("new",)), snapshot) == {
        "full": ["node(s) exceed max volume count"], "room": "ok", "unlimited": "ok", "unknown": "ok",
    }


@pytest.mark.rule("SC-65")
def test_a_volume_that_is_attached_already_is_not_counted_again() -> None:
    snapshot = snapshot_of(make_node("a"), csi_node("a", fast=1), *bound("x"), *bound("same", handle="x"),
                           on(make_pod("there", claims=("x",)), "a"))
    assert reasons(NodeVolumeLimits(), make_pod("p", claims=("same",)), snapshot) == {"a": "ok"}


@pytest.mark.rule("SC-65")
def test_an_unbound_claim_counts_under_the_provisioner_of_its_class() -> None:
    snapshot = snapshot_of(make_node("a"), csi_node("a", fast=1), make_class("c", provisioner="fast"), *bound("x"),
                           make_claim("new", storage_class="c"), on(make_pod("there", claims=("x",)), "a"))
    found = answers(NodeVolumeLimits(), make_pod("p", claims=("new",)), snapshot)
    assert found["a"].code is Code.UNSCHEDULABLE  # type: ignore[index]


@pytest.mark.rule("SC-65")
def test_local_volumes_are_never_limited() -> None:
    snapshot = snapshot_of(make_node("a"), csi_node("a", fast=0), make_class("c"), make_claim("new", storage_class="c"),
                           make_volume("pv", node="a"), make_claim("old", volumeName="pv"))
    assert reasons(NodeVolumeLimits(), make_pod("p", claims=("new", "old")), snapshot) == "skip"
    assert reasons(NodeVolumeLimits(), make_pod("p"), snapshot) == "skip"


@pytest.mark.rule("SC-65")
def test_a_claim_that_vanished_refuses_the_nodes_of_drivers() -> None:
    snapshot = snapshot_of(make_node("a"), make_node("b"), csi_node("a", fast=1))
    text = 'looking up PVC default/gone: persistentvolumeclaim "gone" not found'
    assert reasons(NodeVolumeLimits(), make_pod("p", claims=("gone",)), snapshot) == {"a": [text], "b": "ok"}


@pytest.mark.rule("SC-68")
@pytest.mark.parametrize(("claim", "expected"), [
    ({}, "PersistentVolumeClaim had no pv name and storageClass name"),
    ({"storage_class": "missing"}, 'storageclass.storage.k8s.io "missing" not found'),
    ({"storage_class": "modeless"}, 'VolumeBindingMode not set for StorageClass "modeless"'),
    ({"storage_class": "now"}, "PersistentVolume had no name"),
    ({"storage_class": "now", "volumeName": "gone"}, 'persistentvolume "gone" not found'),
])
def test_what_is_wrong_with_a_claim_refuses_the_pod(claim: dict[str, Any], expected: str) -> None:
    snapshot = snapshot_of(make_node("a"), make_class("now"), evolve(make_class("modeless"), volume_binding_mode=None),
                           make_claim("data", **claim))
    status = answers(VolumeZone(), make_pod("p", claims=("data",)), snapshot)
    assert status == Status(Code.UNRESOLVABLE, "VolumeZone", (expected,))


@pytest.mark.rule("SC-68")
def test_a_missing_and_a_nameless_claim_refuse_the_pod() -> None:
    snapshot = snapshot_of(make_node("a"))
    assert reasons(VolumeZone(), make_pod("p", claims=("x",)), snapshot) == ['persistentvolumeclaim "x" not found']
    assert reasons(VolumeZone(), make_pod("p", claims=("",)), snapshot) == ["PersistentVolumeClaim had no name"]


@pytest.mark.rule("SC-68")
@pytest.mark.rule("VB-165")
def test_a_claim_that_waits_for_its_consumer_is_not_looked_at() -> None:
    snapshot = snapshot_of(make_node("a"), make_class("wait", mode="WaitForFirstConsumer"),
                           make_claim("data", storage_class="wait"))
    assert reasons(VolumeZone(), make_pod("p", claims=("data",)), snapshot) == "skip"


@pytest.mark.rule("SC-69")
@pytest.mark.parametrize(("volume", "node", "passes"), [
    ({ZONE: "z1"}, {ZONE: "z1"}, True),
    ({ZONE: "z1"}, {ZONE: "z2"}, False),
    ({ZONE: "z1__z2"}, {ZONE: "z2"}, True),
    ({ZONE: "z1"}, {}, True),
    ({ZONE: "z1"}, {REGION: "r"}, False),
    ({BETA_ZONE: "z1"}, {ZONE: "z1"}, True),
    ({ZONE: "z1"}, {BETA_ZONE: "z1"}, False),
    ({ZONE: "z1", REGION: "r"}, {ZONE: "z1", REGION: "s"}, False),
    ({ZONE: "z1____z2"}, {ZONE: "z3"}, True),
])
def test_a_node_must_lie_in_the_zones_of_the_volume(volume: dict[str, str], node: dict[str, str], passes: bool) -> None:
    claim, bound_volume = bound("data", **volume)
    snapshot = snapshot_of(make_node("a", labels=node), claim, bound_volume)
    found = reasons(VolumeZone(), make_pod("p", claims=("data",)), snapshot)
    assert found in ("skip", {"a": "ok"}) if passes else found == {"a": ["node(s) had no available volume zone"]}


def test_the_builders_make_what_the_plugins_read() -> None:
    claim, volume = bound("data")
    assert isinstance(claim, PersistentVolumeClaim) and isinstance(volume, PersistentVolume)
    assert volume.spec.csi is not None and claim.spec.volume_name == volume.name
