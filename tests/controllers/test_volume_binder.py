"""The volume controller: claim sync, bind, volume sync, resync, and its own cache."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key, Object, evolve, with_annotations, with_meta
from simulator.api.storage import StorageClass
from simulator.binding.names import (
    BETA_STORAGE_PROVISIONER,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PRE_RESIZE_CAPACITY,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
)
from simulator.controllers.volume_binder import RESYNC, VolumeBinder
from simulator.controllers.volume_writes import reference_to
from simulator.flows import DONE, Choose, Emit, Refused, Retry, Tell, Update, UpdateStatus
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_volume
from simulator.units import SECOND, quantity
from tests.controllers.volume_bench import CONFLICT, Bench, settle

WFFC = "WaitForFirstConsumer"


def bench(*objects: Object, **options: Any) -> Bench:
    return Bench(VolumeBinder(**options), *objects)


def free(name: str, **fields: Any) -> PersistentVolume:
    return make_volume(name, phase="Available", **fields)


def claim(name: str = "c", phase: str = "Pending", **fields: Any) -> PersistentVolumeClaim:
    made = make_claim(name, uid=fields.pop("uid", f"uid-{name}"), **fields)
    return evolve(made, status=evolve(made.status, phase=phase))


def ref(name: str, uid: str = "") -> dict[str, str]:
    return {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": name, "uid": uid}


def bound_pair(**volume_fields: Any) -> tuple[PersistentVolumeClaim, PersistentVolume]:
    """A claim "c" and a volume "v" as a finished bind leaves them."""
    annotations = {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}
    volume = make_volume("v", phase="Bound", claimRef=ref("c", "uid-c"), **volume_fields)
    mine = with_annotations(claim(phase="Bound", volumeName="v"), annotations)
    shown = evolve(mine.status, access_modes=volume.spec.access_modes, capacity=volume.spec.capacity)
    return evolve(mine, status=shown), with_annotations(volume, {BOUND_BY_CONTROLLER: "yes"})


def only_event(at: Bench) -> tuple[str, str, str]:
    ((kind, reason, _, message),) = at.events
    return kind, reason, message


# --- binding --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-69")
@pytest.mark.rule("VB-48")
def test_a_free_claim_and_a_free_volume_are_bound_by_four_writes_in_one_sync_without_an_event() -> None:
    at = bench(free("v"), claim())
    assert at.sync("claims", claim()) == DONE
    assert at.writes == [
        ("update", Key("PersistentVolume", "", "v"), "VB-71"),
        ("status", Key("PersistentVolume", "", "v"), "VB-69"),
        ("update", Key("PersistentVolumeClaim", "default", "c"), "VB-71"),
        ("status", Key("PersistentVolumeClaim", "default", "c"), "VB-9"),
    ]
    assert at.events == []
    assert at.claim("c").status.phase == at.volume("v").status.phase == "Bound"


@pytest.mark.rule("VB-1")
def test_the_reference_of_a_volume_is_complete() -> None:
    at = bench(free("v"), claim())
    before = at.claim("c").metadata.resource_version
    at.sync("claims", claim())
    reference = at.volume("v").spec.claim_ref
    assert reference is not None
    assert (reference.kind, reference.api_version, reference.namespace, reference.name, reference.uid,
            reference.resource_version) == ("PersistentVolumeClaim", "v1", "default", "c", "uid-c", before)


@pytest.mark.rule("VB-9")
def test_a_bound_claim_shows_the_whole_volume_not_its_request() -> None:
    at = bench(free("v", capacity="50Gi", modes=("ReadWriteOnce", "ReadOnlyMany"), volumeAttributesClassName="fast"),
               claim(volumeAttributesClassName="fast"))
    at.sync("claims", claim())
    status = at.claim("c").status
    assert status.capacity == {"storage": quantity("50Gi")}
    assert status.access_modes == ("ReadWriteOnce", "ReadOnlyMany")
    assert status.current_volume_attributes_class_name == "fast"


@pytest.mark.rule("VB-10")
def test_a_volume_that_is_being_resized_counts_with_its_former_size() -> None:
    at = bench(with_annotations(free("v", capacity="50Gi"), {PRE_RESIZE_CAPACITY: "40Gi"}), claim())
    at.sync("claims", claim())
    assert at.claim("c").status.capacity == {"storage": quantity("40Gi")}


@pytest.mark.rule("VB-9")
def test_a_bound_claims_capacity_is_not_written_again() -> None:
    mine, volume = bound_pair()
    at = bench(volume, evolve(mine, status=evolve(mine.status, capacity={"storage": quantity("3Gi")})))
    at.sync("claims", mine)
    assert at.writes == []


@pytest.mark.rule("VB-71")
@pytest.mark.parametrize(("volume", "wanted", "volume_marked", "claim_marked"), [
    (free("v"), claim(), True, True),
    (with_annotations(make_volume("v", claimRef=ref("c", "uid-c")), {BOUND_BY_CONTROLLER: "yes"}), claim(), True, True),
    (make_volume("v", claimRef=ref("c")), claim(), False, True),
    (free("v"), claim(volumeName="v"), True, False),
    (make_volume("v", claimRef=ref("c")), claim(volumeName="v"), False, False),
    (make_volume("v", claimRef=ref("c", "uid-c")), claim(), False, True),
], ids=["both free", "scheduler", "volume prebound", "claim prebound", "both prebound", "provisioner"])
def test_who_is_marked_as_bound_by_the_controller(
    volume: PersistentVolume, wanted: PersistentVolumeClaim, volume_marked: bool, claim_marked: bool
) -> None:
    at = bench(volume, wanted)
    at.sync("claims", wanted)
    assert at.claim("c").spec.volume_name == "v"
    assert (BOUND_BY_CONTROLLER in at.volume("v").metadata.annotations) == volume_marked
    assert (BOUND_BY_CONTROLLER in at.claim("c").metadata.annotations) == claim_marked
    assert at.claim("c").metadata.annotations[BIND_COMPLETED] == "yes"


@pytest.mark.rule("VB-26")
@pytest.mark.rule("VB-70")
@pytest.mark.parametrize("failing", [0, 1, 2, 3])
def test_a_bind_stops_at_the_first_error_and_a_later_sync_finishes_it(failing: int) -> None:
    at = bench(free("v"), free("other"), claim())
    answers: list[Refused | None] = [None] * failing + [CONFLICT]
    at.refuse = lambda write: answers.pop(0) if answers else None
    assert at.sync("claims", claim()) == Retry(CONFLICT.message)
    assert len(at.writes) == failing
    chosen = at.writes[0][1].name if at.writes else "v"
    settle(at)
    assert at.claim("c").spec.volume_name == chosen
    assert at.claim("c").status.phase == at.volume(chosen).status.phase == "Bound"
    assert {volume.status.phase for volume in at.store.list(PersistentVolume)} == {"Bound", "Available"}


@pytest.mark.rule("VB-174")
@pytest.mark.rule("VB-181")
def test_a_bound_pair_stays_together_whatever_the_claim_asks_for_and_though_the_volume_is_deleted() -> None:
    mine, volume = bound_pair()
    resources = evolve(mine.spec.resources, requests={"storage": quantity("1Ti")})
    at = bench(with_meta(volume, deletion_timestamp=0, finalizers=("kubernetes.io/pv-protection",)),
               evolve(mine, spec=evolve(mine.spec, resources=resources)))
    settle(at)
    assert at.writes == at.events == []


@pytest.mark.rule("VB-66")
def test_the_sync_of_a_bound_pair_writes_nothing() -> None:
    mine, volume = bound_pair()
    at = bench(volume, mine)
    settle(at)
    assert at.writes == at.events == []


# --- choices --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-33")
def test_a_tie_is_a_choice_with_the_weights_of_the_map() -> None:
    at = bench(free("z"), free("small", capacity="5Gi"), free("a"), claim(request="8Gi"))
    at.drain()
    (choice,) = at.choices
    assert choice.point == "volume"
    assert choice.about == claim().key
    assert [option.name for option in choice.options] == ["z", "a"]
    assert choice.weights == (6, 2)


@pytest.mark.rule("VB-33")
def test_a_bound_volume_keeps_its_slot() -> None:
    at = bench(*(free(f"v{number}") for number in range(4)), claim("c0"), claim("c1"))
    at.choose = lambda choice: next(option for option in choice.options if option.name in ("v1", "v3"))
    at.drain()
    first, second = at.choices
    assert first.weights == (5, 1, 1, 1)
    assert [option.name for option in second.options] == ["v0", "v2", "v3"]
    assert second.weights == (5, 2, 1)


def test_weights_can_be_left_out() -> None:
    at = bench(free("a"), free("b"), claim(), tie_weights=False)
    at.drain()
    assert [choice.weights for choice in at.choices] == [None]


@pytest.mark.rule("VB-29")
def test_buckets_of_equal_size_are_a_choice_of_their_own() -> None:
    at = bench(free("a", modes=("ReadWriteOnce", "ReadWriteMany")), free("b", modes=("ReadWriteOnce", "ReadOnlyMany")),
               free("c", modes=("ReadWriteOnce", "ReadOnlyMany")), claim())
    at.choose = lambda choice: choice.options[-1]
    at.drain()
    first, second = at.choices
    assert first.point == "volume-bucket"
    assert {option.name for option in first.options} == {"ReadWriteMany,ReadWriteOnce", "ReadOnlyMany,ReadWriteOnce"}
    assert first.weights is not None and sum(first.weights) == 8
    assert second.point == "volume"
    assert at.claim("c").spec.volume_name == "c"


# --- free claims ----------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-46")
def test_a_class_without_a_binding_mode_is_an_error() -> None:
    storage_class = evolve(make_class("x"), volume_binding_mode=None)
    at = bench(storage_class, free("v", storage_class="x"), claim(storage_class="x"))
    assert at.sync("claims", claim()) == Retry('VolumeBindingMode not set for StorageClass "x"')
    assert at.writes == []


@pytest.mark.rule("VB-47")
def test_a_claim_whose_class_has_no_object_is_bound_at_once() -> None:
    at = bench(free("v", storage_class="x", node="n1"), claim(storage_class="x"))
    at.drain()
    assert at.claim("c").status.phase == "Bound"


@pytest.mark.rule("VB-49")
def test_a_claim_that_waits_takes_the_volume_that_the_scheduler_chose_and_no_free_one() -> None:
    at = bench(make_class("x", mode=WFFC), free("v", storage_class="x"), claim(storage_class="x"))
    at.drain()
    assert at.claim("c").spec.volume_name == ""
    at.edit(at.volume("v"), claim_ref=reference_to(at.claim("c")))
    at.drain()
    assert at.claim("c").spec.volume_name == "v"


@pytest.mark.rule("VB-50")
def test_a_claim_without_a_class_prefers_a_volume_without_one_to_the_default() -> None:
    default = with_annotations(make_class("std"), {"storageclass.kubernetes.io/is-default-class": "true"})
    at = bench(default, free("plain"), free("std-v", storage_class="std"), claim())
    at.drain()
    assert at.claim("c").spec.volume_name == "plain"
    assert at.claim("c").spec.storage_class_name is None


@pytest.mark.rule("VB-50")
def test_a_claim_without_a_class_gets_the_default_and_starts_over() -> None:
    default = with_annotations(make_class("std"), {"storageclass.kubernetes.io/is-default-class": "true"})
    at = bench(default, free("std-v", storage_class="std"), claim())
    assert at.sync("claims", claim()) == DONE
    assert at.claim("c").spec.storage_class_name == "std"
    assert at.claim("c").spec.volume_name == ""
    assert at.writes == [("update", claim().key, "VB-50")]
    assert at.events == []
    at.drain()
    assert at.claim("c").spec.volume_name == "std-v"


@pytest.mark.rule("VB-51")
def test_an_empty_class_or_a_volume_name_keeps_the_default_away() -> None:
    default = with_annotations(make_class("std"), {"storageclass.kubernetes.io/is-default-class": "true"})
    at = bench(default, claim("empty", storage_class=""), claim("named", volumeName="nowhere"))
    settle(at)
    assert at.claim("empty").spec.storage_class_name == ""
    assert at.claim("named").spec.storage_class_name is None


@pytest.mark.rule("VB-52")
@pytest.mark.rule("VB-53")
@pytest.mark.parametrize(("pods", "reason", "message"), [
    ([], "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
    (["web-0"], "WaitForPodScheduled", "waiting for pod web-0 to be scheduled"),
    (["web-0", "web-1"], "WaitForPodScheduled", "waiting for pods web-0,web-1 to be scheduled"),
])
def test_a_claim_that_waits_says_for_whom(pods: list[str], reason: str, message: str) -> None:
    ended = make_pod("ended", claims=("c",))
    bystanders = [
        evolve(ended, status=evolve(ended.status, phase="Succeeded")), make_pod("elsewhere", claims=("d",)),
        make_pod("placed", claims=("c",), nodeName="n1"), make_pod("foreign", claims=("c",), namespace="other"),
    ]
    at = bench(make_class("x", mode=WFFC), *bystanders, *(make_pod(name, claims=("c",)) for name in pods),
               claim(storage_class="x"))
    at.drain()
    assert only_event(at) == ("Normal", reason, message)
    assert at.writes == []


@pytest.mark.rule("VB-55")
def test_without_class_and_volume_the_claim_says_so() -> None:
    at = bench(claim())
    at.drain()
    assert only_event(at) == (
        "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set")


@pytest.mark.rule("VB-7")
@pytest.mark.rule("VB-8")
@pytest.mark.rule("VB-45")
@pytest.mark.rule("VB-56")
def test_a_claim_that_waits_is_set_to_pending_once_and_says_so_on_every_sync() -> None:
    strange = claim(phase="Bound")
    shown = evolve(strange.status, capacity={"storage": quantity("1Gi")}, access_modes=("ReadWriteOnce",),
                   current_volume_attributes_class_name="fast")
    at = bench(evolve(strange, status=shown))
    settle(at)
    assert at.writes == [("status", strange.key, "VB-56")]
    status = at.claim("c").status
    assert (status.phase, status.capacity, status.access_modes) == ("Pending", {}, ())
    assert status.current_volume_attributes_class_name is None
    at.forget()
    for _ in range(3):
        at.sync("claims", strange)
    assert at.writes == []
    assert len(at.events) == 3


# --- claims with a volume name --------------------------------------------------------------------------------------


@pytest.mark.rule("VB-57")
def test_a_named_volume_that_is_not_there_is_waited_for_silently() -> None:
    at = bench(claim(volumeName="v"))
    assert at.sync("claims", claim()) == DONE
    assert at.events == at.writes == []


@pytest.mark.rule("VB-59")
def test_a_named_volume_that_does_not_suit_is_named_with_the_reason() -> None:
    at = bench(free("v", capacity="1Gi"), claim(volumeName="v", request="2Gi", phase="Bound"))
    assert at.sync("claims", claim()) == DONE
    assert only_event(at) == (
        "Warning", "VolumeMismatch", 'Cannot bind to requested volume "v": requested PV is too small')
    assert at.claim("c").status.phase == "Pending"


@pytest.mark.rule("VB-59")
def test_selector_phase_and_affinity_do_not_matter_for_a_named_volume() -> None:
    at = bench(make_volume("v", phase="Pending", node="n1"),
               claim(volumeName="v", selector={"matchLabels": {"a": "b"}}))
    at.sync("claims", claim())
    assert at.claim("c").status.phase == "Bound"


@pytest.mark.rule("VB-60")
def test_mutual_prebinding_is_not_checked_at_all() -> None:
    wrong = with_meta(make_volume("v", capacity="1Mi", storage_class="y", volumeMode="Block", modes=("ReadOnlyMany",),
                                  claimRef=ref("c")), deletion_timestamp=0, finalizers=("example.com/keep",))
    at = bench(wrong, claim(volumeName="v"))
    at.sync("claims", claim())
    assert at.claim("c").status.phase == "Bound"


@pytest.mark.rule("VB-61")
@pytest.mark.parametrize("owner", [ref("d"), ref("c", "uid-earlier")])
def test_a_named_volume_of_somebody_else_is_refused(owner: dict[str, str]) -> None:
    at = bench(make_volume("v", phase="Bound", claimRef=owner), claim(volumeName="v", phase="Bound"))
    assert at.sync("claims", claim()) == DONE
    assert only_event(at) == ("Warning", "FailedBinding", 'volume "v" already bound to a different claim.')
    assert at.claim("c").status.phase == "Pending"


@pytest.mark.rule("VB-61")
def test_the_same_is_an_error_if_the_controller_itself_named_the_volume() -> None:
    mine = with_annotations(claim(volumeName="v", phase="Bound"), {BOUND_BY_CONTROLLER: "yes"})
    at = bench(make_volume("v", phase="Bound", claimRef=ref("d")), mine)
    assert at.sync("claims", claim()) == Retry(
        'invalid binding of claim "default/c" to volume "v": volume already claimed by "default/d"')
    assert at.claim("c").status.phase == "Bound"
    assert at.reasons == ["FailedBinding"]


@pytest.mark.rule("VB-62")
def test_a_claim_that_names_a_volume_does_not_take_another_that_is_reserved_for_it() -> None:
    at = bench(free("a"), make_volume("b", phase="Available", claimRef=ref("c")), claim(volumeName="a"))
    settle(at)
    assert at.claim("c").spec.volume_name == "a"
    assert at.volume("b").status.phase == "Available"
    reference = at.volume("b").spec.claim_ref
    assert reference is not None and reference.uid == ""


# --- claims that were bound -----------------------------------------------------------------------------------------


@pytest.mark.rule("VB-63")
def test_a_bound_claim_without_a_volume_name_is_lost() -> None:
    mine, _ = bound_pair()
    at = bench(evolve(mine, spec=evolve(mine.spec, volume_name="")))
    settle(at)
    assert at.claim("c").status.phase == "Lost"
    assert only_event(at) == (
        "Warning", "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")


@pytest.mark.rule("VB-64")
@pytest.mark.rule("VB-68")
@pytest.mark.rule("VB-93")
def test_when_the_volume_object_goes_the_claim_is_lost_and_says_so_once() -> None:
    mine, volume = bound_pair()
    at = bench(volume, mine)
    at.drain()
    at.remove(volume)
    at.drain()
    assert at.claim("c").status.phase == "Lost"
    assert at.claim("c").status.capacity == {}
    assert only_event(at) == (
        "Warning", "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
    settle(at)
    assert len(at.events) == 1


@pytest.mark.rule("VB-65")
def test_a_lost_claim_is_raised_by_a_volume_of_the_same_name() -> None:
    mine, volume = bound_pair()
    at = bench(volume, mine)
    at.drain()
    at.remove(volume)
    at.drain()
    at.put(make_volume("v"))
    settle(at)
    assert at.claim("c").status.phase == at.volume("v").status.phase == "Bound"


@pytest.mark.rule("VB-67")
@pytest.mark.parametrize("reference", [ref("d", "uid-d"), ref("c"), ref("c", "uid-earlier")])
def test_a_claim_whose_volume_points_elsewhere_is_lost_even_if_only_the_uid_is_missing(
    reference: dict[str, str],
) -> None:
    mine, _ = bound_pair()
    at = bench(make_volume("v", phase="Bound", claimRef=reference), mine)
    at.sync("claims", mine)
    assert at.claim("c").status.phase == "Lost"
    assert only_event(at) == (
        "Warning", "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")


# --- provisioning ---------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-95")
def test_a_class_without_an_object_fails_provisioning_on_every_sync() -> None:
    at = bench(claim(storage_class="x"))
    for _ in range(2):
        assert at.sync("claims", claim()) == DONE
    assert at.events == [
        ("Warning", "ProvisioningFailed", claim().key, 'storageclass.storage.k8s.io "x" not found')] * 2


@pytest.mark.rule("VB-96")
@pytest.mark.parametrize(("provisioner", "message"), [
    ("kubernetes.io/no-provisioner", "no volume plugin matched name: kubernetes.io/no-provisioner"),
    ("kubernetes.io/nfs", "no provisionable volume plugin matched"),
])
def test_an_in_tree_name_that_cannot_provision_is_said(provisioner: str, message: str) -> None:
    at = bench(make_class("x", provisioner=provisioner), claim(storage_class="x"))
    at.drain()
    assert only_event(at) == ("Warning", "ProvisioningFailed", message)


@pytest.mark.rule("VB-54")
@pytest.mark.rule("VB-97")
def test_an_external_provisioner_is_asked_by_annotations_written_once() -> None:
    at = bench(make_class("x", provisioner="example.com/p"), claim(storage_class="x", phase=""))
    at.drain()
    annotations = at.claim("c").metadata.annotations
    assert annotations == {STORAGE_PROVISIONER: "example.com/p", BETA_STORAGE_PROVISIONER: "example.com/p"}
    assert at.writes == [("update", claim().key, "VB-97")]
    assert at.events[0] == ("Normal", "ExternalProvisioning", claim().key, (
        "Waiting for a volume to be created either by the external provisioner 'example.com/p' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."))
    at.forget()
    at.sync("claims", claim())
    assert at.writes == []
    assert at.reasons == ["ExternalProvisioning"]


@pytest.mark.rule("VB-94")
def test_a_claim_that_waits_is_provisioned_once_a_node_is_selected() -> None:
    at = bench(make_class("x", mode=WFFC, provisioner="example.com/p"), free("v", storage_class="x"),
               with_annotations(claim(storage_class="x"), {SELECTED_NODE: "n1"}))
    at.drain()
    assert set(at.reasons) == {"ExternalProvisioning"}
    assert at.claim("c").spec.volume_name == ""


@pytest.mark.rule("VB-94")
def test_without_dynamic_provisioning_nothing_happens_silently() -> None:
    at = bench(claim(storage_class="x"), dynamic_provisioning=False)
    at.drain()
    assert at.events == at.writes == []


@pytest.mark.rule("VB-100")
def test_a_volume_that_appears_first_beats_the_provisioner() -> None:
    at = bench(make_class("x", provisioner="example.com/p"), claim(storage_class="x"))
    at.drain()
    at.put(free("v", storage_class="x"))
    settle(at)
    assert at.claim("c").spec.volume_name == "v"


@pytest.mark.rule("VB-27")
def test_a_failed_operation_is_refused_for_half_a_second_then_twice_as_long() -> None:
    at = bench(make_class("x", provisioner="example.com/p"), claim(storage_class="x"))
    at.refuse = lambda write: CONFLICT
    waits = []
    for _ in range(12):
        at.forget()
        at.sync("claims", claim())
        assert len(at.spawned) == 1
        start = at.now
        while not at.spawned or at.now == start:
            at.forget()
            at.now += SECOND // 4
            at.sync("claims", claim())
        waits.append(at.now - start)
        at.memory.operations[next(iter(at.memory.operations))] = evolve(
            next(iter(at.memory.operations.values())), not_before=0, delay=waits[-1])
    assert waits[:4] == [SECOND // 2, SECOND, 2 * SECOND, 4 * SECOND]
    assert max(waits) == 122 * SECOND


@pytest.mark.rule("VB-98")
def test_the_in_tree_plugin_makes_a_host_path_volume() -> None:
    at = bench(make_class("x", provisioner="kubernetes.io/host-path"), claim(storage_class="x"),
               host_path_provisioning=True)
    at.drain()
    volume = at.volume("pvc-uid-c")
    assert volume.metadata.annotations[PROVISIONED_BY] == "kubernetes.io/host-path"
    assert volume.metadata.finalizers == ("kubernetes.io/pv-controller",)
    assert ("Normal", "ProvisioningSucceeded", claim().key,
            "Successfully provisioned volume pvc-uid-c using kubernetes.io/host-path") in at.events
    settle(at)
    assert at.claim("c").spec.volume_name == "pvc-uid-c"


@pytest.mark.rule("VB-99")
def test_an_in_tree_failure_takes_the_selected_node_away() -> None:
    at = bench(make_class("x", mode=WFFC, provisioner="kubernetes.io/host-path"),
               with_annotations(claim(storage_class="x"), {SELECTED_NODE: "gone"}))
    at.sync("claims", claim())
    assert only_event(at) == ("Warning", "ProvisioningFailed", 'Failed to get target node: nodes "gone" not found')
    assert SELECTED_NODE in at.claim("c").metadata.annotations
    at.put(make_node("gone"))
    at.now += SECOND
    at.sync("claims", claim())
    assert at.events[1][3].startswith('Failed to provision volume with StorageClass "x": ')
    assert SELECTED_NODE not in at.claim("c").metadata.annotations


# --- volumes --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-3")
@pytest.mark.rule("VB-11")
def test_a_new_volume_cannot_be_matched_before_its_own_sync() -> None:
    at = bench(make_volume("v", phase="Pending"), claim())
    at.sync("claims", claim())
    assert at.claim("c").spec.volume_name == ""
    at.sync("volumes", at.volume("v"))
    assert at.volume("v").status.phase == "Available"
    at.sync("claims", claim())
    assert at.claim("c").spec.volume_name == "v"


@pytest.mark.rule("VB-5")
@pytest.mark.rule("VB-74")
@pytest.mark.parametrize("phase", ["Pending", "Released", "Failed", "Bound"])
def test_a_volume_without_a_claims_uid_is_available_from_any_phase(phase: str) -> None:
    failed = make_volume("v", phase=phase)
    failed = evolve(failed, status=evolve(failed.status, message="it broke"))
    at = bench(failed, make_volume("w", phase=phase, claimRef=ref("c")), claim("other", phase="Pending"))
    at.queue.clear()
    for name in "vw":
        at.sync("volumes", at.volume(name))
        assert at.volume(name).status.phase == "Available"
    assert at.volume("v").status.message == ""
    assert not any(queue == "claims" for queue, _ in at.queue)


@pytest.mark.rule("VB-4")
def test_a_volume_that_has_its_phase_is_not_written() -> None:
    at = bench(free("v"))
    at.drain()
    assert at.writes == []


@pytest.mark.rule("VB-75")
def test_a_claim_that_is_not_in_the_own_cache_yet_is_looked_up_before_its_volume_is_released() -> None:
    at = bench(make_volume("v", phase="Pending", claimRef=ref("c", "uid-c")))
    at.memory.is_running = True
    at.put(claim())  # the watch has it, no worker has come to it
    assert claim().key in at.memory.unseen
    at.sync("volumes", at.volume("v"))
    assert at.volume("v").status.phase == "Pending"
    assert ("claims", claim().key) in at.queue


@pytest.mark.rule("VB-75")
def test_a_claim_that_no_watch_has_brought_is_read_live_before_its_volume_is_released() -> None:
    at = bench(make_volume("v", phase="Pending", claimRef=ref("c", "uid-c")))
    at.is_lagging = True
    at.put(claim())
    assert at.view.get(claim().key) is None
    at.sync("volumes", at.volume("v"))
    assert at.volume("v").status.phase == "Pending"


@pytest.mark.rule("VB-75")
def test_a_volume_of_a_new_claim_is_not_released_because_of_an_old_one_in_the_cache() -> None:
    at = bench(claim(uid="uid-old"))
    at.drain()
    at.is_lagging = True
    at.remove(at.claim("c"))
    at.put(claim(uid="uid-new"))
    at.is_lagging = False
    at.put(make_volume("v", phase="Pending", claimRef=ref("c", "uid-new")))
    at.is_lagging = True
    at.memory.held[claim().key] = claim(uid="uid-old")
    at.sync("volumes", at.volume("v"))
    assert at.volume("v").status.phase == "Pending"


@pytest.mark.rule("VB-76")
@pytest.mark.parametrize("others", [(), (claim(uid="uid-new"),)])
def test_a_volume_whose_claim_is_gone_is_released(others: tuple[Object, ...]) -> None:
    at = bench(make_volume("v", phase="Bound", claimRef=ref("c", "uid-old")), *others)
    at.sync("volumes", at.volume("v"))
    assert at.volume("v").status.phase == "Released"
    assert at.volume("v").spec.claim_ref is not None


@pytest.mark.rule("VB-6")
def test_failed_is_not_overwritten_by_released() -> None:
    at = bench(make_volume("v", phase="Failed", claimRef=ref("c", "uid-old")))
    settle(at)
    assert at.volume("v").status.phase == "Failed"


@pytest.mark.rule("VB-77")
def test_a_volume_that_points_at_a_free_claim_hands_over_to_the_claims_sync() -> None:
    at = bench(make_volume("v", phase="Pending", claimRef=ref("c", "uid-c")), claim())
    at.queue.clear()
    at.sync("volumes", at.volume("v"))
    assert list(at.queue) == [("claims", claim().key)]
    assert at.volume("v").status.phase == "Pending"


@pytest.mark.rule("VB-77")
def test_a_volume_of_another_mode_than_its_claim_is_not_handed_over() -> None:
    at = bench(make_volume("v", phase="Pending", volumeMode="Block", claimRef=ref("c", "uid-c")), claim())
    at.queue.clear()
    at.sync("volumes", at.volume("v"))
    assert at.events == [
        ("Warning", "VolumeMismatch", at.volume("v").key,
         'Cannot bind PersistentVolume to requested PersistentVolumeClaim "c" due to incompatible volumeMode.'),
        ("Warning", "VolumeMismatch", claim().key,
         'Cannot bind PersistentVolume "v" to requested PersistentVolumeClaim due to incompatible volumeMode.'),
    ]
    assert not at.queue


@pytest.mark.rule("VB-78")
def test_a_volume_that_its_claim_names_is_bound() -> None:
    mine, volume = bound_pair()
    at = bench(evolve(volume, status=evolve(volume.status, phase="Available")), mine)
    at.sync("volumes", volume)
    assert at.volume("v").status.phase == "Bound"


@pytest.mark.rule("VB-79")
@pytest.mark.rule("VB-72")
@pytest.mark.rule("VB-80")
def test_what_becomes_of_a_volume_whose_claim_went_elsewhere() -> None:
    mine, volume = bound_pair()
    by_controller = with_annotations(
        make_volume("tried", phase="Bound", claimRef=ref("c", "uid-c")), {BOUND_BY_CONTROLLER: "yes"})
    by_human = make_volume("reserved", phase="Bound", claimRef=ref("c", "uid-c"))
    made = with_annotations(
        make_volume("made", phase="Bound", claimRef=ref("c", "uid-c"), persistentVolumeReclaimPolicy="Delete"),
        {PROVISIONED_BY: "example.com/p"})
    kept = with_annotations(
        make_volume("kept", phase="Bound", claimRef=ref("c", "uid-c")), {PROVISIONED_BY: "example.com/p"})
    at = bench(volume, mine, by_controller, by_human, made, kept)
    settle(at)
    assert at.volume("tried").spec.claim_ref is None
    assert BOUND_BY_CONTROLLER not in at.volume("tried").metadata.annotations
    for name in ("reserved", "kept"):
        reference = at.volume(name).spec.claim_ref
        assert reference is not None and (reference.name, reference.uid) == ("c", "")
    assert at.volume("made").status.phase == "Released"
    assert {at.volume(name).status.phase for name in ("tried", "reserved", "kept")} == {"Available"}
    assert at.claim("c").status.phase == at.volume("v").status.phase == "Bound"


@pytest.mark.rule("VB-22")
@pytest.mark.rule("VB-83")
def test_deleting_a_bound_claim_releases_its_volume_which_a_new_claim_of_that_name_cannot_use() -> None:
    mine, volume = bound_pair()
    at = bench(volume, mine)
    at.drain()
    at.remove(mine)
    at.drain()
    assert at.volume("v").status.phase == "Released"
    at.put(claim(uid="uid-again"))
    settle(at)
    assert at.claim("c").status.phase == "Pending"
    assert at.volume("v").status.phase == "Released"


@pytest.mark.rule("VB-81")
def test_a_volume_reserved_for_a_claim_that_goes_before_it_named_it_waits_for_the_resync() -> None:
    at = bench(make_class("x", mode=WFFC), claim(storage_class="x"))
    at.drain()
    at.put(make_volume("v", phase="Available", storage_class="x", claimRef=ref("c", "uid-c")))
    at.sync("volumes", at.volume("v"))
    at.queue.clear()
    at.remove(at.claim("c"))
    at.drain()
    assert at.volume("v").status.phase == "Available"
    at.sync("resync", RESYNC)
    at.drain()
    assert at.volume("v").status.phase == "Released"


@pytest.mark.rule("VB-84")
def test_removing_only_the_uid_keeps_the_volume_for_a_claim_of_that_name() -> None:
    at = bench(make_volume("v", phase="Released", claimRef=ref("c", "uid-old")), free("w", capacity="1Gi"))
    at.drain()
    reference = at.volume("v").spec.claim_ref
    at.edit(at.volume("v"), claim_ref=evolve(reference, uid=""))
    at.drain()
    assert at.volume("v").status.phase == "Available"
    at.put(claim(uid="uid-again"))
    at.drain()
    assert at.claim("c").spec.volume_name == "v"


# --- resync, triggers, cache ----------------------------------------------------------------------------------------


@pytest.mark.rule("VB-21")
def test_claims_and_volumes_have_one_worker_each() -> None:
    assert (VolumeBinder.queues["claims"], VolumeBinder.queues["volumes"]) == (1, 1)


@pytest.mark.rule("VB-184")
def test_events_come_from_kubernetes_own_component_name() -> None:
    at = bench(claim())
    told = [intent.change for intent in VolumeBinder().sync("claims", claim().key, at.view) if isinstance(intent, Tell)]
    assert [change.source for change in told if isinstance(change, Emit)] == ["persistentvolume-controller"]


@pytest.mark.rule("VB-24")
def test_an_available_volume_wakes_no_claim_and_the_resync_does() -> None:
    at = bench(claim())
    at.drain()
    at.put(free("v"))
    at.drain()
    assert at.claim("c").spec.volume_name == ""
    at.sync("resync", RESYNC)
    at.drain()
    assert at.claim("c").spec.volume_name == "v"


@pytest.mark.rule("VB-24")
def test_pods_and_classes_trigger_nothing() -> None:
    at = bench(claim(storage_class="x"))
    at.drain()
    at.put(make_class("x"))
    at.put(make_pod("p", claims=("c",)))
    assert not at.queue


@pytest.mark.rule("VB-23")
def test_the_resync_queues_claims_before_volumes_oldest_first() -> None:
    at = bench()
    at.now = 5
    for obj in (claim("young"), make_volume("v", phase="Pending", claimRef=ref("none", "uid-none"))):
        at.put(obj)
    at.now = 3
    at.put(claim("old"))
    at.refuse = lambda write: CONFLICT
    at.drain()
    at.sync("resync", RESYNC)
    assert list(at.queue) == [
        ("claims", claim("old").key), ("claims", claim("young").key), ("volumes", Key("PersistentVolume", "", "v"))]


@pytest.mark.rule("VB-23")
def test_the_order_of_the_resync_can_be_a_choice() -> None:
    at = bench(claim("a"), claim("b"), claim("c"), choose_resync_order=True)
    at.drain()
    at.choose = lambda choice: choice.options[-1]
    at.sync("resync", RESYNC)
    assert [key.name for _, key in at.queue] == ["c", "b", "a"]
    assert [len(choice.options) for choice in at.choices] == [3, 2]


@pytest.mark.rule("VB-23")
def test_the_first_resync_queues_everything_that_is_there() -> None:
    at = bench(free("v"), claim())
    at.queue.clear()
    at.sync("resync", RESYNC)
    assert list(at.queue) == [("claims", claim().key), ("volumes", free("v").key)]


@pytest.mark.rule("VB-23")
def test_a_released_volume_takes_part_in_the_resync_again_when_its_claim_turns_up() -> None:
    at = bench(make_volume("v", phase="Released", volumeMode="Block", claimRef=ref("c", "uid-c")))
    at.drain()
    assert not at.memory.unsettled
    at.put(claim())
    at.sync("claims", claim())
    at.forget()
    at.sync("resync", RESYNC)
    at.drain()
    assert at.reasons.count("VolumeMismatch") == 2


@pytest.mark.rule("VB-65")
def test_a_volume_that_is_set_free_while_it_is_being_bound_is_bound_again_at_the_resync() -> None:
    mine, volume = bound_pair()
    at = bench(volume, evolve(mine, status=evolve(mine.status, phase="Pending")))

    def set_free(intent: Any) -> None:
        if isinstance(intent, UpdateStatus):
            at.before = lambda intent: None
            at.edit(volume, claim_ref=None)
            at.sync("volumes", volume)

    at.before = set_free
    at.sync("claims", mine)
    at.drain()
    at.sync("resync", RESYNC)
    at.drain()
    reference = at.volume("v").spec.claim_ref
    assert reference is not None and reference.uid == "uid-c"


@pytest.mark.rule("VB-25")
def test_own_writes_are_known_before_the_watch_brings_them() -> None:
    at = bench(free("v"), claim("a"), claim("b"))
    at.sync("volumes", free("v"))
    at.is_lagging = True
    at.sync("claims", claim("a"))
    at.sync("claims", claim("b"))
    assert at.claim("a").spec.volume_name == "v"
    assert at.claim("b").spec.volume_name == ""
    assert at.reasons == ["FailedBinding"]
    at.deliver()
    at.drain()
    assert not at.memory.held


@pytest.mark.rule("VB-25")
def test_a_sync_is_skipped_while_the_watch_is_behind_an_own_write() -> None:
    at = bench(free("v"), claim())
    at.is_lagging = True
    at.sync("claims", claim())
    at.forget()
    assert at.sync("claims", claim()) == DONE
    assert at.sync("volumes", free("v")) == DONE
    assert at.writes == at.events == []


@pytest.mark.rule("VB-25")
def test_what_the_watch_brings_counts_when_the_worker_comes_to_it() -> None:
    at = bench(free("v"), claim("a"))
    at.sync("volumes", free("v"))
    at.edit(at.volume("v"), claim_ref=None, storage_class_name="x")  # delivered, but no worker has come to it
    at.sync("claims", claim("a"))
    assert at.claim("a").spec.volume_name == ""  # the own cache still has v without a class, and the write conflicts
    at.sync("volumes", free("v"))
    at.put(claim("b", storage_class="x"))
    at.sync("claims", claim("b"))
    assert at.claim("b").spec.volume_name == "v"


@pytest.mark.rule("VB-25")
def test_a_stale_own_cache_makes_for_a_conflict_not_for_a_double_binding() -> None:
    at = bench(free("v"), claim())
    at.is_lagging = True
    at.edit(at.volume("v"), claim_ref=None, mount_options=["ro"])
    assert isinstance(at.sync("claims", claim()), Retry)
    assert at.volume("v").spec.claim_ref is None
    at.deliver()
    at.drain()
    at.sync("claims", claim())
    assert at.claim("c").spec.volume_name == "v"


def test_a_retry_says_what_the_api_server_said() -> None:
    at = bench(free("v"), claim())
    at.refuse = lambda write: Refused("Fault", 500, "etcd is gone")
    assert at.sync("claims", claim()) == Retry("etcd is gone")
    assert at.sync("volumes", at.put(make_volume("w"))) == Retry("etcd is gone")


def test_every_write_names_its_rule() -> None:
    at = bench(free("v"), claim(), make_volume("w"))
    settle(at)
    assert all(rule.startswith("VB-") for _, _, rule in at.writes)


def test_the_memory_can_be_copied() -> None:
    at = bench(free("v"), claim())
    at.drain()
    twin = at.memory.copy()
    assert twin == at.memory
    at.put(free("w"))
    at.drain()
    assert twin != at.memory


# --- whatever happens -----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(
    st.tuples(st.just("volume"), NAMES, st.sampled_from(["x", "x", ""]), st.sampled_from(["1Gi", "2Gi"]),
              st.sampled_from(["Retain", "Delete", "Recycle"]), st.sampled_from(["", "", "a", "b"])),
    st.tuples(st.just("claim"), NAMES, st.sampled_from(["x", "x", "", "p"]), st.sampled_from(["", "", "a", "b"])),
    st.tuples(st.sampled_from(["delete volume", "delete claim", "free volume", "forget uid", "lost"]), NAMES),
    st.tuples(st.just("give"), NAMES, NAMES),
    st.tuples(st.just("policy"), NAMES, st.sampled_from(["Retain", "Delete"])),
    st.tuples(st.just("lag"), st.booleans()),
    st.tuples(st.just("conflict"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["claims", "volumes"]), NAMES),
    st.tuples(st.sampled_from(["drain", "drain", "resync"])),
)
MEANWHILE = st.one_of(
    st.tuples(st.sampled_from(["delete volume", "delete claim", "free volume", "forget uid"]), NAMES),
    st.tuples(st.just("give"), NAMES, NAMES),
    st.tuples(st.just("volumes"), NAMES),
    st.tuples(st.just("lag"), st.booleans()),
)
STEPS = st.one_of(
    STEPS,
    st.tuples(st.just("meanwhile"), st.integers(1, 8), st.lists(MEANWHILE, max_size=3)),
    st.tuples(st.just("race"), NAMES, st.integers(1, 4), st.lists(MEANWHILE, max_size=3)),
)
STARTS = st.sampled_from([
    (),
    (("volume", "a", "x", "1Gi", "Retain", ""), ("volume", "b", "x", "1Gi", "Delete", ""), ("drain",),
     ("claim", "a", "x", ""), ("drain",)),
    (("volume", "a", "x", "1Gi", "Retain", "b"), ("volume", "b", "", "2Gi", "Retain", ""), ("drain",),
     ("claim", "a", "", ""), ("claim", "b", "x", "a"), ("drain",), ("resync",), ("drain",)),
    (("volume", "a", "x", "1Gi", "Retain", ""), ("drain",), ("claim", "a", "x", ""), ("conflict", 4), ("claims", "a"),
     ("volumes", "a")),
])
HISTORIES = st.builds(lambda start, rest: [*start, *rest], STARTS, st.lists(STEPS, max_size=12))


def act(at: Bench, step: tuple[Any, ...], uids: list[int]) -> None:
    """One thing that somebody does to the cluster, or that the controller does."""
    kind, *rest = step
    volume = at.store.get(PersistentVolume, rest[0]) if rest and isinstance(rest[0], str) else None
    mine = at.store.get(PersistentVolumeClaim, rest[0], "default") if rest and isinstance(rest[0], str) else None
    match kind:
        case "volume" if volume is None:
            name, storage_class, capacity, policy, reserved_for = rest
            uids.append(0)
            spec = {"claimRef": ref(reserved_for)} if reserved_for else {}
            made = make_volume(name, capacity=capacity, storage_class=storage_class, phase="Pending", node="n",
                               persistentVolumeReclaimPolicy=policy, **spec)
            at.put(with_meta(made, uid=f"v-{len(uids)}"))
        case "claim" if mine is None:
            name, storage_class, volume_name = rest
            uids.append(0)
            at.put(claim(name, storage_class=storage_class, uid=f"c-{len(uids)}", volumeName=volume_name))
        case "delete claim" if mine is not None:
            at.remove(mine)
        case "lost" if mine is not None:
            at.store.put(evolve(mine, status=evolve(mine.status, phase="Lost")))
        case "give" if volume is not None:
            other = at.store.get(PersistentVolumeClaim, rest[1], "default")
            at.edit(volume, claim_ref=reference_to(other) if other is not None else None)
        case "delete volume" if volume is not None:
            at.remove(volume)
        case "free volume" if volume is not None:
            at.edit(volume, claim_ref=None)
        case "forget uid" if volume is not None and volume.spec.claim_ref is not None:
            at.edit(volume, claim_ref=evolve(volume.spec.claim_ref, uid=""))
        case "policy" if volume is not None:
            at.edit(volume, persistent_volume_reclaim_policy=rest[1])
        case "lag":
            at.is_lagging = rest[0]
            if not at.is_lagging:
                at.deliver()
        case "conflict":
            left = [rest[0]]

            def refuse(write: Any) -> Refused | None:
                left[0] -= 1
                return CONFLICT if left[0] == 0 else None

            at.refuse = refuse
        case "race":
            act(at, ("meanwhile", *rest[1:]), uids)
            act(at, ("claims", rest[0]), uids)
        case "meanwhile":
            moment, doings = rest

            def happen(intent: Any, count: list[int] = [moment]) -> None:  # noqa: B006
                count[0] -= not isinstance(intent, (Tell, Choose))  # these take no step
                if count[0] == 0:  # in the middle of a flow: others act, and the other worker too
                    at.before = lambda intent: None
                    for doing in doings:
                        act(at, doing, uids)

            at.before = happen
        case "claims" if "claims" not in at.active:
            at.sync("claims", claim(rest[0]).key)
        case "volumes" if "volumes" not in at.active:
            at.sync("volumes", Key("PersistentVolume", "", rest[0]))
        case "drain":
            at.drain()
        case "resync":
            at.sync("resync", RESYNC)


def quiet(at: Bench) -> None:
    """Everything is delivered, nothing fails, all queues are empty."""
    at.is_lagging = False
    at.refuse = lambda write: None
    at.before = lambda intent: None
    at.deliver()
    at.drain()


@pytest.mark.rule("VB-23")
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_whoever_the_resync_leaves_out_would_have_done_nothing(steps: list[tuple[Any, ...]]) -> None:
    at = bench(make_class("x"), make_class("p", provisioner="example.com/p"))
    uids: list[int] = []
    for step in steps:
        act(at, step, uids)
    quiet(at)
    left_out = [
        obj for kind in (PersistentVolumeClaim, PersistentVolume) for obj in at.store.list(kind)
        if obj.key not in at.memory.unsettled
    ]
    for obj in left_out:
        at.forget()
        before = at.memory.copy()
        at.sync("claims" if isinstance(obj, PersistentVolumeClaim) else "volumes", obj)
        assert at.writes == at.events == at.choices == []
        assert not at.queue
        assert at.memory == before


@pytest.mark.rule("VB-25")
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_in_the_end_both_ends_of_every_binding_agree(steps: list[tuple[Any, ...]]) -> None:
    at = bench(make_class("x"), make_class("p", provisioner="example.com/p"))
    uids: list[int] = []
    for step in steps:
        act(at, step, uids)
    quiet(at)
    for _ in range(4):
        at.now += 200 * SECOND
        at.sync("resync", RESYNC)
        at.drain()
    assert not at.memory.held and not at.memory.unseen
    version = at.store.version
    settle(at)
    assert at.store.version == version, "the resync has missed something"
    for mine in at.store.list(PersistentVolumeClaim):
        if mine.status.phase == "Bound":
            volume = at.volume(mine.spec.volume_name)
            assert volume.status.phase == "Bound"
            assert volume.spec.claim_ref is not None and volume.spec.claim_ref.uid == mine.metadata.uid
    for volume in at.store.list(PersistentVolume):
        if volume.status.phase == "Bound":
            assert volume.spec.claim_ref is not None
            assert at.claim(volume.spec.claim_ref.name).spec.volume_name == volume.name
        assert (volume.status.phase == "Available") == (
            volume.spec.claim_ref is None or not volume.spec.claim_ref.uid) or volume.status.phase == "Pending"
    kept = {name for slots in at.memory.buckets.values() for name in slots or () if name}
    assert kept == {volume.name for volume in at.store.list(PersistentVolume)}


@pytest.mark.rule("VB-20")
def test_a_write_is_based_on_what_the_one_before_left() -> None:
    at = bench(free("v"), claim())
    bases: list[tuple[type, int]] = []
    at.before = lambda intent: bases.append((type(intent), intent.obj.metadata.resource_version)) if isinstance(
        intent, (Update, UpdateStatus)) else None
    at.sync("claims", claim())
    versions = [version for _, version in bases]
    assert [kind for kind, _ in bases] == [Update, UpdateStatus, Update, UpdateStatus]
    assert versions[1] > versions[0] and versions[3] > versions[2]


def test_classes_are_looked_up_by_name() -> None:
    at = bench(make_class("x", mode=WFFC), claim(storage_class="y"), free("v", storage_class="y"))
    at.drain()
    assert at.claim("c").spec.volume_name == "v"
    assert at.store.get(StorageClass, "y") is None
