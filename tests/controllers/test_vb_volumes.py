"""Rules of the volume controller that have several parts, part by part (sections 1, 3, 5, 7 and 8.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Object, evolve, with_annotations, with_meta
from simulator.binding.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, PROVISIONED_BY, SELECTED_NODE
from simulator.controllers.volume_binder import VolumeBinder
from simulator.eventlog import LogEntry
from simulator.flows import Create, Refused, Retry
from simulator.testing.builders import make_claim, make_class, make_pod, make_volume
from simulator.units import SECOND, quantity
from tests.controllers.volume_bench import CONFLICT, Bench, settle
from tests.whole.small_worlds import CLASSES, apply, nodes, play

HOST_PATH = "kubernetes.io/host-path"


def claim(name: str = "c", phase: str = "Pending", **fields: Any) -> PersistentVolumeClaim:
    made = make_claim(name, uid=fields.pop("uid", f"uid-{name}"), **fields)
    return evolve(made, status=evolve(made.status, phase=phase))


def reference(name: str = "c", uid: str = "uid-c") -> dict[str, str]:
    return {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": name, "uid": uid}


def bench(*objects: Object, **options: Any) -> Bench:
    return Bench(VolumeBinder(**options), *objects)


# --- phases ---------------------------------------------------------------------------------------------------------

BOUND_ELSEWHERE = claim(volumeName="other")
MADE = {PROVISIONED_BY: "example.com/p"}


@pytest.mark.rule("VB-5", "VB-80")
@pytest.mark.parametrize(("volume", "claims", "expected"), [
    (make_volume("v"), (), "Available"),
    (make_volume("v", claimRef=reference(uid="")), (claim(),), "Available"),
    (make_volume("v", claimRef=reference()), (claim(volumeName="v"),), "Bound"),
    (make_volume("v", claimRef=reference()), (), "Released"),
    (make_volume("v", claimRef=reference()), (claim(uid="uid-new"),), "Released"),
    (with_annotations(make_volume("v", claimRef=reference(), persistentVolumeReclaimPolicy="Delete"), MADE),
     (BOUND_ELSEWHERE,), "Released"),
    (with_annotations(make_volume("v", claimRef=reference()), MADE), (BOUND_ELSEWHERE,), "Available"),
    (make_volume("v", claimRef=reference(), persistentVolumeReclaimPolicy="Delete"), (BOUND_ELSEWHERE,), "Available"),
    (make_volume("v", claimRef=reference(), persistentVolumeReclaimPolicy="Shred"), (), "Failed"),
    (make_volume("v", node="n", claimRef=reference(), persistentVolumeReclaimPolicy="Delete"), (), "Failed"),
], ids=str)
@pytest.mark.parametrize("before", ["Pending", "Available", "Bound"])
def test_the_phase_of_a_volume_follows_from_its_claim_ref(
    volume: PersistentVolume, claims: tuple[Object, ...], expected: str, before: str
) -> None:
    at = bench(evolve(volume, status=evolve(volume.status, phase=before)), *claims)
    at.queue.clear()
    at.sync("volumes", volume)
    assert at.volume("v").status.phase == expected


@pytest.mark.rule("VB-7", "VB-45")
def test_the_annotation_alone_says_whether_a_claim_has_been_bound() -> None:
    """Its phase, whatever it is, does not."""
    for phase in ("Pending", "Bound", "Lost"):
        at = bench(make_volume("v", phase="Available"), claim(phase=phase))
        at.sync("claims", claim())
        assert at.claim("c").spec.volume_name == "v" and at.claim("c").status.phase == "Bound"
        at = bench(make_volume("v", phase="Available"), with_annotations(claim(phase=phase), {BIND_COMPLETED: ""}))
        at.sync("claims", claim())
        assert at.claim("c").spec.volume_name == "" and at.claim("c").status.phase == "Lost"


@pytest.mark.rule("VB-4", "VB-5")
def test_a_message_goes_with_the_phase_that_it_explains() -> None:
    at = bench(make_volume("v", node="n", phase="Bound", claimRef=reference(), persistentVolumeReclaimPolicy="Delete"))
    settle(at)
    assert (at.volume("v").status.phase, bool(at.volume("v").status.message)) == ("Failed", True)
    at.edit(at.volume("v"), claim_ref=None)
    settle(at)
    assert (at.volume("v").status.phase, at.volume("v").status.message) == ("Available", "")


@pytest.mark.rule("VB-9")
def test_a_claim_that_was_lost_is_not_told_its_attributes_class_again() -> None:
    lost = with_annotations(claim(phase="Lost", volumeName="v"), {BIND_COMPLETED: "yes"})
    at = bench(make_volume("v", phase="Available", volumeAttributesClassName="fast"), lost)
    at.sync("claims", lost)
    status = at.claim("c").status
    assert (status.phase, status.capacity) == ("Bound", {"storage": quantity("10Gi")})
    assert status.current_volume_attributes_class_name is None


# --- the preset name, and recovery by hand --------------------------------------------------------------------------


@pytest.mark.rule("VB-62")
@pytest.mark.parametrize(("uid", "phase"), [("", "Available"), ("uid-c", "Available")])
def test_a_volume_reserved_for_a_claim_that_names_another_stays_out_of_it(uid: str, phase: str) -> None:
    at = bench(make_volume("a", phase="Available"), make_volume("b", phase="Available", claimRef=reference(uid=uid)),
               claim(volumeName="a"), claim("other", request="2Gi"))
    settle(at)
    assert at.claim("c").spec.volume_name == "a" and at.volume("b").status.phase == phase
    left = at.volume("b").spec.claim_ref
    assert left is not None and left.name == "c" and left.uid == ""
    assert at.claim("other").spec.volume_name == ""


@pytest.mark.rule("VB-84", "VB-83")
def test_without_its_claim_ref_a_released_volume_is_anyones() -> None:
    at = bench(make_volume("v", phase="Released", claimRef=reference(uid="uid-old")), claim("other"), claim())
    settle(at)
    assert {at.claim(name).spec.volume_name for name in ("c", "other")} == {""}
    at.edit(at.volume("v"), claim_ref=None)
    settle(at)
    assert sorted(at.claim(name).spec.volume_name for name in ("c", "other")) == ["", "v"]


@pytest.mark.rule("VB-181")
def test_a_claim_that_asks_for_more_keeps_its_volume() -> None:
    mine = with_annotations(claim(phase="Bound", volumeName="v", request="99Gi"), {BIND_COMPLETED: "yes"})
    mine = evolve(mine, status=evolve(mine.status, capacity={"storage": quantity("10Gi")}))
    at = bench(with_annotations(make_volume("v", phase="Bound", claimRef=reference()), {BOUND_BY_CONTROLLER: "yes"}),
               make_volume("big", phase="Available", capacity="100Gi"), mine)
    settle(at)
    assert at.claim("c").spec.volume_name == "v" and at.volume("big").status.phase == "Available"
    assert at.claim("c").status.capacity == {"storage": quantity("10Gi")} and not at.events


# --- provisioning by the controller itself --------------------------------------------------------------------------


@pytest.mark.rule("VB-99")
@pytest.mark.parametrize(("refusals", "saved"), [(0, True), (4, True), (5, False)])
def test_saving_a_volume_is_tried_five_times_ten_seconds_apart(refusals: int, saved: bool) -> None:
    at = bench(make_class("x", provisioner=HOST_PATH), claim(storage_class="x"), host_path_provisioning=True)
    left = [CONFLICT] * refusals

    def refuse(write: Any) -> Refused | None:
        return left.pop() if left and isinstance(write, Create) else None

    at.refuse = refuse
    at.sync("claims", claim())
    assert at.sleeps == [("provision-save", 10 * SECOND)] * min(refusals, 4)
    assert (at.store.get(PersistentVolume, "pvc-uid-c") is not None) == saved
    assert ("ProvisioningSucceeded" in at.reasons) == saved


@pytest.mark.rule("VB-96", "VB-100")
def test_a_claim_without_a_provisioner_says_so_again_and_again_until_a_volume_comes() -> None:
    at = bench(make_class("x"), claim(storage_class="x"))
    for _ in range(3):
        at.sync("claims", claim())
    assert at.events == [("Warning", "ProvisioningFailed", claim().key,
                          "no volume plugin matched name: kubernetes.io/no-provisioner")] * 3
    at.sync("volumes", at.put(make_volume("v", storage_class="x", phase="Available")))
    at.sync("claims", claim())
    assert at.claim("c").status.phase == "Bound" and len(at.events) == 3


@pytest.mark.rule("VB-97", "VB-54")
def test_a_claim_that_is_handed_over_keeps_its_status() -> None:
    at = bench(make_class("x", provisioner="example.com/p", mode="WaitForFirstConsumer"),
               with_annotations(claim(phase="Lost", storage_class="x"), {SELECTED_NODE: "n"}))
    at.sync("claims", claim())
    assert at.claim("c").status.phase == "Lost" and at.reasons == ["ExternalProvisioning"]


# --- the machinery, in whole runs -----------------------------------------------------------------------------------


def writes_of_binding(entries: Sequence[LogEntry]) -> list[tuple[str, str]]:
    """What claim syncs wrote, as (volume, claim) pairs by the names that the objects bear at that moment."""
    pairs = []
    for entry in entries:
        if entry.actor != "persistentvolume-binder" or entry.rule not in ("VB-69", "VB-71", "VB-9"):
            continue
        new: Any = entry.new
        if entry.key.kind == "PersistentVolume":
            pairs.append((entry.key.name, new.spec.claim_ref.name))
        else:
            pairs.append((new.spec.volume_name, entry.key.name))
    return pairs


@pytest.mark.rule("VB-21", "VB-69", "VB/ND-7")
def test_one_claim_is_bound_after_another_while_volumes_are_worked_on_too() -> None:
    claims = [make_claim(f"c{number}", storage_class="now") for number in range(4)]
    volumes = [make_volume(f"v{number}", node="n1", storage_class="now") for number in range(4)]
    played = play([*CLASSES, *nodes(1)], [apply(*volumes, at="1s"), apply(*claims, at="2s"), apply(make_volume("w"))],
                  latency={"api": "5ms"})
    pairs = writes_of_binding(played.entries)
    assert len(pairs) == 16
    assert all(len(set(pairs[place:place + 4])) == 1 for place in range(0, 16, 4)), "two claim syncs overlap"
    times = [entry.time for entry in played.entries if entry.rule in ("VB-69", "VB-71", "VB-9")]
    between = [entry for entry in played.entries if entry.rule == "VB-74" and times[0] < entry.time < times[-1]]
    assert between, "a volume sync waited for the claims"


@pytest.mark.rule("VB-26")
def test_failed_syncs_come_back_after_growing_delays() -> None:
    """A claim that its own controller bound to a volume that belongs to somebody else is an error, not a wait."""
    invalid = with_annotations(make_claim("c", storage_class="now", volumeName="v"), {BOUND_BY_CONTROLLER: "yes"})
    played = play([*CLASSES, make_volume("v", storage_class="now", claimRef=reference("other", ""))],
                  [apply(invalid, at="100ms")], until="14s")
    told = [entry.time for entry in played.entries if entry.verb == "event" and entry.key.name == "c"]
    delays = [later - earlier for earlier, later in pairwise(told)]
    assert delays[:6] == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000]


@pytest.mark.rule("VB-26")
def test_a_wait_is_no_failure_and_an_error_is_one() -> None:
    at = bench(make_volume("v", phase="Available", claimRef=reference("other", "")), claim(volumeName="v"))
    assert not isinstance(at.sync("claims", claim()), Retry)
    at.put(with_annotations(at.claim("c"), {BOUND_BY_CONTROLLER: "yes"}))
    outcome = at.sync("claims", claim())
    assert isinstance(outcome, Retry) and outcome.error.endswith('volume already claimed by "default/other"')


@pytest.mark.rule("VB-184", "VB-56")
def test_every_logical_event_is_told_with_its_count() -> None:
    played = play([*CLASSES], [apply(make_claim("c", storage_class=""), at="1s")], until="400s")
    told = [entry for entry in played.entries if entry.verb == "event"]
    assert {entry.actor for entry in told} == {"persistentvolume-controller"}
    counts = [entry.detail["count"] for entry in told if entry.detail is not None]
    assert counts == list(range(1, len(counts) + 1)) and len(counts) == 1 + 400 // 15


@pytest.mark.rule("VB-122", "VB-49")
def test_the_scheduler_reserves_for_claims_that_wait_and_the_controller_does_the_rest() -> None:
    played = play(
        [*CLASSES, *nodes(2), *(make_volume(f"{kind}{number}", node=f"n{number}", storage_class=kind)
                                for kind in ("now", "wait") for number in (1, 2)),
         make_volume("named", node="n1", storage_class="wait")],
        [apply(make_claim("a", storage_class="now"), make_claim("b", storage_class="wait"),
               make_claim("c", storage_class="wait", volumeName="named"), make_pod("p", claims=("b",)), at="1s")],
    )
    reserved = {}
    for entry in played.entries:
        old, new = entry.old, entry.new
        if isinstance(old, PersistentVolume) and isinstance(new, PersistentVolume):
            if old.spec.claim_ref is None and new.spec.claim_ref is not None:
                reserved[new.spec.claim_ref.name] = entry.actor
        elif isinstance(old, PersistentVolumeClaim) and isinstance(new, PersistentVolumeClaim):
            assert entry.actor == "persistentvolume-binder", "only the controller completes a binding"
    assert reserved == {"a": "persistentvolume-binder", "b": "scheduler", "c": "persistentvolume-binder"}
    assert played.run.verdict == "converged"


@pytest.mark.rule("VB-174")
def test_a_volume_that_is_being_deleted_is_taken_by_nobody_new() -> None:
    held = [with_meta(make_volume(kind, node="n1", storage_class=kind), finalizers=("example.com/hold",))
            for kind in ("now", "wait")]
    played = play(
        [*CLASSES, *nodes(1), *held],
        [{"at": "1s", "delete": ["PersistentVolume/now", "PersistentVolume/wait"]},
         apply(make_claim("a", storage_class="now"), make_claim("b", storage_class="wait"),
               make_pod("p", claims=("b",)), at="2s")],
    )
    assert played.phase("PersistentVolume", "now") == played.phase("PersistentVolume", "wait") == "Available"
    assert played.refusal("p") == "1 node(s) didn't find available persistent volumes to bind"
    assert (played.volume_of("a"), played.volume_of("b")) == ("", "")
