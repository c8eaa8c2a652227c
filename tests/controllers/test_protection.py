"""Protection of claims, volumes and attribute classes that are in use."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Object, OwnerReference, decode, evolve, with_meta
from simulator.api.storage import VolumeAttributesClass
from simulator.binding.names import PROTECTS_ATTRIBUTES_CLASS, PROTECTS_CLAIM, PROTECTS_VOLUME
from simulator.controllers.protection import ProtectionController, holds
from simulator.flows import DONE, Retry
from simulator.testing.builders import make_claim, make_pod, make_volume
from tests.controllers.volume_bench import CONFLICT, Bench


def deleted(obj: Any, *finalizers: str) -> Any:
    return with_meta(obj, deletion_timestamp=1, finalizers=finalizers)


def dying_claim(**fields: Any) -> PersistentVolumeClaim:
    claim: PersistentVolumeClaim = deleted(make_claim("c", **fields), PROTECTS_CLAIM)
    return claim


def running(name: str = "p", phase: str = "Running", **fields: Any) -> Pod:
    pod = make_pod(name, claims=("c",), nodeName="n", uid=f"uid-{name}", **fields)
    return evolve(pod, status=evolve(pod.status, phase=phase))


def bench(*objects: Object) -> Bench:
    at = Bench(ProtectionController(), *objects)
    at.drain()
    return at


def is_there(at: Bench, obj: Object) -> bool:
    return at.store.find(obj.key) is not None


@pytest.mark.rule("VB-169")
@pytest.mark.rule("WL-101")
@pytest.mark.parametrize("phase", ["Pending", "Running", "Succeeded", "Failed"])
def test_a_pod_with_a_node_holds_a_deleted_claim_whatever_its_phase(phase: str) -> None:
    at = bench(running(phase=phase), dying_claim())
    assert is_there(at, dying_claim())
    at.remove(running())
    at.drain()
    assert not is_there(at, dying_claim())
    assert at.writes == [("update", dying_claim().key, "VB-169")]


@pytest.mark.rule("VB-170")
def test_a_terminating_pod_still_holds_an_ordinary_claim() -> None:
    at = bench(with_meta(running(), deletion_timestamp=1, deletion_grace_period_seconds=0), dying_claim())
    assert is_there(at, dying_claim())


@pytest.mark.rule("VB-171")
@pytest.mark.rule("WL-102")
def test_a_pod_without_a_node_does_not_hold_a_claim() -> None:
    at = bench(make_pod("p", claims=("c",)), dying_claim())
    assert not is_there(at, dying_claim())


@pytest.mark.rule("VB-169")
def test_pods_of_other_namespaces_and_claims_do_not_matter() -> None:
    at = bench(with_meta(running(), namespace="other"), make_pod("q", claims=("d",), nodeName="n"), dying_claim())
    assert not is_there(at, dying_claim())


@pytest.mark.rule("VB-169")
def test_a_claim_that_is_not_deleted_is_left_alone() -> None:
    at = bench(with_meta(make_claim("c"), finalizers=(PROTECTS_CLAIM,)))
    assert at.writes == []
    at.put(deleted(at.claim("c"), PROTECTS_CLAIM, "example.com/other"))
    at.drain()
    assert at.claim("c").metadata.finalizers == ("example.com/other",)


@pytest.mark.rule("VB-169")
def test_only_a_live_list_tells_that_nobody_was_scheduled_meanwhile() -> None:
    at = bench(with_meta(make_claim("c"), finalizers=(PROTECTS_CLAIM,)), make_pod("p", claims=("c",), uid="uid-p"))
    at.put(dying_claim())
    at.is_lagging = True
    at.put(running())  # bound to a node, but no watch has brought it
    at.sync("PersistentVolumeClaim", dying_claim())
    assert is_there(at, dying_claim())
    assert at.writes == []


@pytest.mark.rule("VB-172")
def test_which_changes_of_pods_bring_a_claim_up_again() -> None:
    at = bench(running(), dying_claim())

    def queued(pod: Pod) -> bool:
        at.queue.clear()
        at.put(pod)
        return bool(at.queue)

    assert not queued(with_meta(running(), labels={"a": "b"}))
    assert queued(running(phase="Succeeded"))
    assert queued(running(phase="Failed"))
    assert not queued(running())
    going = with_meta(running(), deletion_timestamp=1)
    state = {"name": "main", "state": {"running": {}}}
    busy = decode({"phase": "Running", "containerStatuses": [state]}, type(going.status))
    assert not queued(evolve(going, status=busy))
    assert queued(going)
    assert queued(make_pod("unscheduled", claims=("c",)))
    at.queue.clear()
    at.remove(going)
    assert at.queue
    at.queue.clear()
    at.put(make_pod("q", claims=("d",)))
    assert not at.queue


@pytest.mark.rule("VB-172")
def test_a_pod_that_was_replaced_under_its_name_brings_its_claims_up() -> None:
    at = bench(running(), dying_claim())
    at.put(evolve(make_pod("p", claims=("d",), nodeName="n", uid="uid-new")))
    at.drain()
    assert not is_there(at, dying_claim())


@pytest.mark.rule("VB-167")
@pytest.mark.rule("VB-170")
def test_an_ephemeral_claim_is_held_by_its_own_pod_until_that_has_shut_down() -> None:
    pod = decode({
        "metadata": {"name": "p", "namespace": "default", "uid": "uid-p"},
        "spec": {"nodeName": "n", "containers": [], "volumes": [{"name": "scratch", "ephemeral": {}}]},
    }, Pod)
    owner = OwnerReference(api_version="v1", kind="Pod", name="p", uid="uid-p", controller=True)
    mine = with_meta(make_claim("p-scratch"), owner_references=(owner,))
    assert holds(pod, mine)
    assert not holds(pod, make_claim("p-scratch"))
    assert holds(with_meta(pod, deletion_timestamp=1, deletion_grace_period_seconds=30), mine)
    assert not holds(with_meta(pod, deletion_timestamp=1, deletion_grace_period_seconds=0), mine)


@pytest.mark.rule("VB-173")
@pytest.mark.rule("WL-103")
@pytest.mark.parametrize(("phase", "stays"), [
    ("Bound", True), ("Available", False), ("Released", False), ("Failed", False), ("Pending", False),
])
def test_only_a_bound_volume_is_held(phase: str, stays: bool) -> None:
    volume = deleted(make_volume("v", phase=phase), PROTECTS_VOLUME)
    at = bench(volume)
    assert is_there(at, volume) == stays


@pytest.mark.rule("VB-173")
def test_a_deleted_volume_goes_when_its_claim_has_gone() -> None:
    volume: PersistentVolume = deleted(make_volume("v", phase="Bound"), PROTECTS_VOLUME)
    at = bench(volume)
    at.put(evolve(at.volume("v"), status=evolve(volume.status, phase="Released")))
    at.drain()
    assert not is_there(at, volume)


@pytest.mark.rule("VB-176")
def test_an_attributes_class_is_held_by_claims_and_volumes_that_refer_to_it() -> None:
    attributes = deleted(decode({"metadata": {"name": "fast"}}, VolumeAttributesClass), PROTECTS_ATTRIBUTES_CLASS)
    claim = make_claim("c", volumeAttributesClassName="fast")
    volume = make_volume("v", volumeAttributesClassName="fast")
    at = bench(claim, volume, attributes)
    assert is_there(at, attributes)
    at.remove(claim)
    at.drain()
    assert is_there(at, attributes)
    at.edit(volume, volume_attributes_class_name="slow")
    at.drain()
    assert not is_there(at, attributes)


@pytest.mark.rule("VB-176")
def test_the_class_that_a_claim_has_now_counts_as_well_as_the_one_it_wants() -> None:
    attributes = deleted(decode({"metadata": {"name": "fast"}}, VolumeAttributesClass), PROTECTS_ATTRIBUTES_CLASS)
    claim = make_claim("c", volumeAttributesClassName="slow")
    claim = evolve(claim, status=evolve(claim.status, current_volume_attributes_class_name="fast"))
    at = bench(claim, attributes)
    assert is_there(at, attributes)


@pytest.mark.rule("VB-14")
def test_a_finalizer_that_is_missing_is_put_back() -> None:
    at = bench(make_claim("c"), make_volume("v"))
    assert at.claim("c").metadata.finalizers == (PROTECTS_CLAIM,)
    assert at.volume("v").metadata.finalizers == (PROTECTS_VOLUME,)
    at.forget()
    at.drain()
    assert at.writes == []


def test_a_conflict_is_tried_again_and_a_vanished_object_is_not() -> None:
    at = Bench(ProtectionController(), dying_claim())
    at.refuse = lambda write: CONFLICT
    assert at.sync("PersistentVolumeClaim", dying_claim()) == Retry(CONFLICT.message)
    at.refuse = lambda write: None
    at.before = lambda intent: at.remove(dying_claim()) if is_there(at, dying_claim()) else None
    assert at.sync("PersistentVolumeClaim", dying_claim()) == DONE
    assert at.sync("PersistentVolumeClaim", dying_claim()) == DONE
