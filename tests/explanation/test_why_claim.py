"""Why claims are not bound; each test is the end of a small run."""

from __future__ import annotations

import pytest

from simulator.api.meta import evolve, with_annotations, with_meta
from simulator.testing.builders import make_claim, make_class, make_pod, make_volume
from tests.explanation.scene import LOCAL, NO_VOLUME, Scene


@pytest.mark.parametrize(
    ("volume", "lack"),
    [
        (make_volume("pv", phase="Pending"), "Pending, not Available"),
        (
            make_volume("pv", phase="Bound", claimRef={"namespace": "db", "name": "other", "uid": "u"}),
            "bound to db/other",
        ),
        (
            make_volume("pv", phase="Released", claimRef={"namespace": "default", "name": "data", "uid": "old"}),
            "Released by an earlier claim data, and not free until its claimRef is cleared",
        ),
        (
            evolve(
                make_volume("pv", claimRef={"namespace": "default", "name": "x", "uid": "u"}),
                status=evolve(make_volume("pv").status, phase="Failed", message="no volume plugin matched"),
            ),
            "Failed: no volume plugin matched",
        ),
        (make_volume("pv", phase="Available", claimRef={"namespace": "default", "name": "x"}), "reserved for x"),
        (make_volume("pv", phase="Available", modes=("ReadOnlyMany",)), "without ReadWriteOnce"),
        (make_volume("pv", phase="Available", volumeMode="Block"), "of volumeMode Block, not Filesystem"),
        (with_meta(make_volume("pv", phase="Available"), deletion_timestamp=1), "being deleted"),
    ],
)
def test_each_volume_that_was_considered_says_what_it_lacks(volume: object, lack: str) -> None:
    scene = Scene()
    scene.store(volume)  # type: ignore[arg-type]
    scene.store(make_claim("data", storage_class="", uid="new"))
    assert [each.text for each in scene.reasons()["PersistentVolumeClaim/data"].because] == [f"pv: {lack}"]


def test_many_volumes_that_lack_the_same_sort_of_thing_are_named_together() -> None:
    scene = Scene()
    for number in range(9):
        scene.store(
            make_volume(
                f"pv-{number}", phase="Bound", claimRef={"namespace": "default", "name": f"c-{number}", "uid": "u"}
            )
        )
    scene.store(make_claim("data", storage_class=""))
    [reason] = scene.reasons()["PersistentVolumeClaim/data"].because
    assert reason.text == "pv-0, pv-1, pv-2, pv-3 and 5 more: bound to other claims"


@pytest.mark.rule("VB-55")
def test_a_claim_without_a_class_and_without_any_volume_has_nobody_who_makes_one() -> None:
    scene = Scene()
    scene.store(make_claim("data", storage_class=""))
    assert scene.texts() == ["data is not bound: there is no volume at all, and without a class none is made"]


@pytest.mark.rule("VB-95")
def test_a_claim_of_a_class_that_does_not_exist_says_so() -> None:
    scene = Scene()
    scene.store(make_claim("data", storage_class="gold"))
    assert scene.texts() == [
        "data is not bound: there is no volume at all, and no StorageClass gold exists to make one"
    ]


@pytest.mark.rule("VB-97")
def test_a_silent_provisioner_is_named() -> None:
    scene = Scene()
    scene.store(make_class("fast", provisioner="csi.example.com"))
    scene.store(
        with_annotations(
            make_claim("data", storage_class="fast"), {"volume.kubernetes.io/storage-provisioner": "csi.example.com"}
        )
    )
    assert scene.texts()[0].endswith("its provisioner csi.example.com has not answered")
    scene.event("PersistentVolumeClaim", "data", "Warning", "ProvisioningFailed", "no space", "csi.example.com")
    assert scene.texts()[0].endswith("its provisioner csi.example.com fails: no space")


@pytest.mark.rule("VB-52")
def test_a_claim_that_waits_for_its_first_consumer_comes_after_the_pod() -> None:
    scene = Scene().nodes("node1")
    scene.store(LOCAL)
    scene.store(make_claim("data", storage_class="local"))
    scene.store(make_pod("db", claims=("data",)))
    scene.refused("db", node1=NO_VOLUME)
    assert list(scene.reasons()) == ["Pod/db", "PersistentVolumeClaim/data"]
    assert scene.texts() == [
        "db waits: node1 has no volume of class local, and db needs one for its claim data",
        "data is not bound: class local waits for the first consumer (WaitForFirstConsumer), and db is not scheduled",
    ]


@pytest.mark.rule("VB-53")
def test_a_pod_that_names_its_node_keeps_a_waiting_claim_waiting() -> None:
    scene = Scene().nodes("node1")
    scene.store(LOCAL)
    scene.store(make_claim("data", storage_class="local"))
    scene.store(make_pod("db", claims=("data",), nodeName="node1"))
    found = scene.texts()
    assert "db was put on a node without the scheduler (spec.nodeName)" in found[0]
    assert found[1] == "db is on node1 and cannot start: data is not bound"


def test_a_claim_that_is_lost_or_names_a_strange_volume_says_why() -> None:
    scene = Scene()
    lost = make_claim("lost", volumeName="pv-gone")
    scene.store(evolve(lost, status=evolve(lost.status, phase="Lost")))
    scene.store(make_claim("preset", volumeName="pv-none", uid="p"))
    scene.store(make_volume("pv-taken", claimRef={"namespace": "default", "name": "other", "uid": "u"}))
    scene.store(make_claim("late", volumeName="pv-taken", uid="l"))
    scene.store(make_volume("pv-small", capacity="1Gi"))
    scene.store(make_claim("large", volumeName="pv-small", request="2Gi", storage_class=""))
    assert scene.texts() == [
        "lost is Lost: its volume pv-gone is gone, and the data with it",
        "preset is not bound: it asks for the volume pv-none, which does not exist",
        "late is not bound: it asks for the volume pv-taken, which belongs to other",
        "large is not bound: it asks for the volume pv-small: requested PV is too small",
    ]
