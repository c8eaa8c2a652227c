"""What becomes of volumes whose claim is gone."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import PersistentVolume
from simulator.api.meta import evolve, with_annotations, with_meta
from simulator.binding.names import BOUND_BY_CONTROLLER, MIGRATED_TO, PROTECTS_IN_TREE_ASSET, PROVISIONED_BY
from simulator.controllers.volume_binder import RESYNC, VolumeBinder
from simulator.testing.builders import make_claim, make_pod, make_volume
from simulator.units import SECOND
from tests.controllers.volume_bench import CONFLICT, Bench, settle

GONE = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": "gone", "uid": "uid-gone"}


def orphan(policy: str, name: str = "v", *, annotations: dict[str, str] | None = None, **spec: Any) -> PersistentVolume:
    volume = make_volume(name, phase="Bound", claimRef=GONE, persistentVolumeReclaimPolicy=policy, **spec)
    return with_annotations(volume, dict(annotations or {}))


def plain(policy: str, source: dict[str, Any], **options: Any) -> PersistentVolume:
    """An orphan with a source of its own instead of the builder's CSI one."""
    return orphan(policy, csi=None, **source, **options)


def after(volume: PersistentVolume, *others: Any) -> Bench:
    at = Bench(VolumeBinder(), volume, *others)
    at.drain()
    return at


@pytest.mark.rule("VB-82")
@pytest.mark.rule("VB-83")
@pytest.mark.parametrize("volume", [
    orphan("Retain"), orphan("Delete", node="n", annotations={MIGRATED_TO: "csi.example.com"}),
], ids=["Retain", "migrated"])
def test_nothing_is_done(volume: PersistentVolume) -> None:
    at = after(volume)
    assert at.volume("v").status.phase == "Released"
    assert at.events == at.spawned == []


@pytest.mark.rule("VB-86")
@pytest.mark.rule("VB-88")
@pytest.mark.parametrize("volume", [
    orphan("Delete"), orphan("Delete", node="n", annotations={PROVISIONED_BY: "example.com/p"}),
], ids=["CSI", "provisioned outside"])
def test_a_volume_with_a_deleter_outside_stays_released(volume: PersistentVolume) -> None:
    at = after(volume)
    settle(at)
    assert at.volume("v").status.phase == "Released"
    assert at.events == []


@pytest.mark.rule("VB-89")
def test_a_hand_made_local_volume_of_policy_delete_fails_and_says_so_once() -> None:
    at = after(plain("Delete", {"local": {"path": "/mnt"}}))
    text = 'error getting deleter volume plugin for volume "v": no volume plugin matched'
    assert at.volume("v").status.phase == "Failed"
    assert at.volume("v").status.message == text
    assert at.events == [("Warning", "VolumeFailedDelete", at.volume("v").key, text)]
    settle(at)
    at.sync("resync", RESYNC)
    at.drain()
    assert len(at.events) == 1


@pytest.mark.rule("VB-90")
@pytest.mark.parametrize(("volume", "message"), [
    (plain("Delete", {"nfs": {"server": "s"}}),
     'error getting deleter volume plugin for volume "v": no deletable volume plugin matched'),
    (orphan("Delete", annotations={PROVISIONED_BY: "kubernetes.io/gone"}),
     "no volume plugin matched name: kubernetes.io/gone"),
    (plain("Delete", {"hostPath": {"path": "/data"}}),
     "host_path deleter only supports /tmp/.+ but received provided /data"),
])
def test_why_a_volume_cannot_be_deleted(volume: PersistentVolume, message: str) -> None:
    at = after(volume)
    assert (at.volume("v").status.phase, at.volume("v").status.message) == ("Failed", message)


@pytest.mark.rule("VB-91")
def test_a_host_path_volume_is_deleted_with_its_finalizer() -> None:
    volume = plain("Delete", {"hostPath": {"path": "/tmp/x"}}, annotations={PROVISIONED_BY: "kubernetes.io/host-path"})
    at = after(with_meta(volume, finalizers=(PROTECTS_IN_TREE_ASSET,)))
    assert at.store.get(PersistentVolume, "v") is None
    assert [verb for verb, _, _ in at.writes] == ["status", "update", "delete"]


@pytest.mark.rule("VB-91")
def test_the_state_is_read_again_before_anything_is_deleted() -> None:
    at = Bench(VolumeBinder(), plain("Delete", {"hostPath": {"path": "/tmp/x"}}))
    at.before = lambda intent: at.edit(at.volume("v"), claim_ref=None) if type(intent).__name__ == "Get" and (
        intent.key.kind == "PersistentVolume") else None
    at.sync("volumes", at.volume("v"))
    assert at.volume("v").status.phase == "Released"
    assert at.spawned


@pytest.mark.rule("VB-92")
def test_an_unknown_policy_fails() -> None:
    at = after(orphan("Burn"))
    assert at.volume("v").status.phase == "Failed"
    assert at.events == [("Warning", "VolumeUnknownReclaimPolicy", at.volume("v").key,
                          "Volume has unrecognized PersistentVolumeReclaimPolicy")]


@pytest.mark.rule("VB-85")
@pytest.mark.rule("VB-87")
def test_a_local_volume_cannot_be_recycled() -> None:
    at = after(plain("Recycle", {"local": {"path": "/mnt"}}))
    assert at.volume("v").status.message == "No recycler plugin found for the volume!"
    assert at.events == [
        ("Warning", "VolumeFailedRecycle", at.volume("v").key, "No recycler plugin found for the volume!")]


@pytest.mark.rule("VB-85")
@pytest.mark.rule("VB-72")
@pytest.mark.parametrize(("annotations", "left"), [({BOUND_BY_CONTROLLER: "yes"}, None), ({}, "gone")])
def test_a_recycled_volume_is_available_again(annotations: dict[str, str], left: str | None) -> None:
    at = after(plain("Recycle", {"nfs": {"server": "s"}}, annotations=annotations))
    assert at.sleeps == [("recycle", None)]
    assert ("Normal", "VolumeRecycled", at.volume("v").key, "Volume recycled") in at.events
    assert at.volume("v").status.phase == "Available"
    reference = at.volume("v").spec.claim_ref
    assert (reference.name if reference is not None else None) == left
    assert reference is None or reference.uid == ""


@pytest.mark.rule("VB-85")
def test_a_volume_in_use_is_not_recycled() -> None:
    ended = make_pod("ended", claims=("gone",))
    at = after(plain("Recycle", {"nfs": {"server": "s"}}), make_pod("user", claims=("gone",)),
               evolve(ended, status=evolve(ended.status, phase="Failed")))
    assert at.volume("v").status.phase == "Released"
    assert set(at.events) == {
        ("Normal", "VolumeFailedRecycle", at.volume("v").key, "Volume is used by pods: default/user")}
    at.put(make_claim("gone", uid="uid-again"))  # then the pod uses another volume
    settle(at)
    assert "VolumeRecycled" in at.reasons


@pytest.mark.rule("VB-27")
def test_a_host_path_that_cannot_be_deleted_backs_off() -> None:
    at = after(plain("Delete", {"hostPath": {"path": "/data"}}))
    at.forget()
    at.sync("volumes", at.volume("v"))
    assert not at.spawned
    at.now += SECOND // 2
    at.sync("volumes", at.volume("v"))
    assert at.spawned
    assert at.events == []


@pytest.mark.rule("VB-70")
def test_an_unbind_that_fails_is_tried_again() -> None:
    owner = make_claim("gone", uid="uid-gone", volumeName="other")
    at = Bench(VolumeBinder(), orphan("Retain", annotations={BOUND_BY_CONTROLLER: "yes"}), owner)
    answers = [CONFLICT]
    at.refuse = lambda write: answers.pop() if answers else None
    settle(at)
    assert at.volume("v").spec.claim_ref is None
    assert at.volume("v").status.phase == "Available"
