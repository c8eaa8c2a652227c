"""The claims of a set's pods: made, found again, and owned as the retention policy says."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import OwnerReference, with_annotations, with_meta
from simulator.controllers.statefulset.claims import owners_match, with_owners
from simulator.flows import Create, Done, Intent, Refused, Retry, Update
from simulator.testing.builders import make_claim, make_pod, make_set
from tests.controllers.set_bench import Bench, conflict

RETAIN = {"whenDeleted": "Retain", "whenScaled": "Retain"}
ON_DELETION = {"whenDeleted": "Delete", "whenScaled": "Retain"}
ON_SCALING = {"whenDeleted": "Retain", "whenScaled": "Delete"}
BOTH = {"whenDeleted": "Delete", "whenScaled": "Delete"}
FORBIDDEN = Refused("Forbidden", 403, "exceeded quota")
CONFLICTING = ("Warning", "ConflictingController", (
    "PersistentVolumeClaim data-web-0 has a conflicting OwnerReference that acts as a manging controller, "
    "the retention policy is ignored for this claim"))


def make(replicas: int, policy: dict[str, str] | None = None, **spec: Any) -> Bench:
    """A settled set with a retention policy."""
    if policy is not None:
        spec["persistentVolumeClaimRetentionPolicy"] = policy
    bench = Bench(make_set("web", replicas=replicas, **spec))
    bench.settle()
    bench.intents.clear()
    bench.events.clear()
    return bench


def owners(bench: Bench, claim: str) -> list[str]:
    return [f"{owner.kind}/{owner.name}" for owner in bench.claim(claim).metadata.owner_references]


def own(bench: Bench, claim: str, **reference: Any) -> None:
    """Give a claim one owner."""
    full = {"api_version": "v1", "kind": "ConfigMap", "name": "x", "uid": "x", **reference}
    bench.put(with_meta(bench.claim(claim), owner_references=(OwnerReference(**full),)))


def terminate(bench: Bench, claim: str) -> None:
    bench.put(with_meta(bench.claim(claim), deletion_timestamp=bench.now))


def refuse_claim(name: str, refused: Refused, times: int = 1) -> Any:
    left = [times]

    def interfere(intent: Intent) -> Any:
        if isinstance(intent, (Create, Update)) and intent.obj.key.name == name and left[0]:
            left[0] -= 1
            return refused
        return None

    return interfere


# --- creation -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-43")
def test_all_claims_come_before_the_pod_and_existing_ones_are_taken_as_they_are() -> None:
    mine = make_claim("wal-web-0", request="1Ti", storage_class="odd")
    bench = Bench(mine, make_set("web", replicas=1, templates=("data", "wal")))
    bench.sync()
    made = [intent.obj.name for intent in bench.intents if isinstance(intent, Create)]
    assert made[1:] == ["data-web-0", "web-0"]
    assert bench.claim("wal-web-0").spec == mine.spec


@pytest.mark.rule("WL-44")
@pytest.mark.rule("WL-169")
def test_a_refused_claim_keeps_the_pod_from_being_made_and_the_other_claims_stay() -> None:
    bench = Bench(make_set("web", replicas=1, templates=("data", "wal")))
    bench.interfere = refuse_claim("data-web-0", FORBIDDEN)
    assert bench.sync() == Retry("failed to create PVC data-web-0: exceeded quota")
    assert bench.pods() == [] and bench.claim("wal-web-0")
    assert bench.events == [
        ("Warning", "FailedCreate",
         "Create Claim data-web-0 for Pod web-0 in StatefulSet web failed error: exceeded quota"),
        ("Normal", "SuccessfulCreate", "Create Claim wal-web-0 Pod web-0 in StatefulSet web success"),
        ("Warning", "FailedCreate",
         "Create Pod web-0 in StatefulSet web failed error: failed to create PVC data-web-0: exceeded quota"),
    ]


@pytest.mark.rule("WL-44")
def test_a_claim_that_somebody_else_made_meanwhile_is_an_error_of_the_pod_only() -> None:
    bench = Bench(make_set("web", replicas=1))
    exists = Refused("AlreadyExists", 409, 'persistentvolumeclaims "data-web-0" already exists')
    bench.interfere = refuse_claim("data-web-0", exists)
    assert isinstance(bench.sync(), Retry)
    assert bench.events == [("Warning", "FailedCreate", (
        "Create Pod web-0 in StatefulSet web failed error: failed to create PVC data-web-0: "
        'persistentvolumeclaims "data-web-0" already exists'))]


@pytest.mark.rule("WL-44")
@pytest.mark.rule("WL-47")
def test_the_successor_waits_until_a_deleted_claim_is_gone_and_gets_a_fresh_one() -> None:
    bench = make(1)
    terminate(bench, "data-web-0")
    bench.remove(bench.pod("web-0"))
    assert bench.sync() == Retry("pvc data-web-0 is being deleted")
    assert bench.events == [("Warning", "FailedCreate",
                             "Create Pod web-0 in StatefulSet web failed error: pvc data-web-0 is being deleted")]
    old = bench.claim("data-web-0")
    bench.remove(old)
    assert isinstance(bench.sync(), Done)
    assert bench.claim("data-web-0").metadata.uid != old.metadata.uid and bench.pods() == ["web-0"]


@pytest.mark.rule("WL-40")
def test_a_pending_pod_gets_a_new_claim_for_one_that_vanished() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.sync()
    bench.remove(bench.claim("data-web-0"))
    bench.sync()
    assert bench.claim("data-web-0") and bench.created == ["web-0"]


@pytest.mark.rule("WL-40")
def test_a_terminating_claim_of_a_pending_pod_fails_the_sync_without_an_event() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.sync()
    bench.events.clear()
    terminate(bench, "data-web-0")
    assert bench.sync() == Retry("pvc data-web-0 is being deleted") and bench.events == []
    bench.remove(bench.claim("data-web-0"))
    bench.interfere = refuse_claim("data-web-0", FORBIDDEN)
    assert isinstance(bench.sync(), Retry)
    assert bench.events == [("Warning", "FailedCreate",
                             "Create Claim data-web-0 for Pod web-0 in StatefulSet web failed error: exceeded quota")]


@pytest.mark.rule("WL-46")
def test_claims_are_found_again_by_name_whatever_became_of_pod_and_set() -> None:
    bench = make(2)
    first = bench.claim("data-web-1").metadata.uid
    bench.scale(1)
    bench.settle()
    bench.scale(2)
    bench.settle()
    bench.remove(bench.sts())
    for pod in bench.store.list(Pod):
        bench.remove(pod)
    bench.put(make_set("web", replicas=2, request="9Gi"))
    bench.settle()
    assert bench.claim("data-web-1").metadata.uid == first
    assert str(bench.claim("data-web-1").request) == "1Gi"


# --- retention policy -----------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-75")
@pytest.mark.parametrize(("policy", "in_range", "condemned"), [
    (None, [], []),
    (RETAIN, [], []),
    (ON_DELETION, ["StatefulSet/web"], ["StatefulSet/web"]),
    (ON_SCALING, [], ["Pod/web-1"]),
    (BOTH, ["StatefulSet/web"], ["Pod/web-1"]),
])
@pytest.mark.parametrize("management", ["OrderedReady", "Parallel"])
def test_who_owns_the_claims_of_a_pod(policy: dict[str, str] | None, in_range: list[str], condemned: list[str],
                                      management: str) -> None:
    bench = make(2, policy, podManagementPolicy=management)
    assert (owners(bench, "data-web-0"), owners(bench, "data-web-1")) == (in_range, in_range)
    bench.scale(1)
    bench.sync()
    assert bench.deleted == ["web-1"]
    assert (owners(bench, "data-web-0"), owners(bench, "data-web-1")) == (in_range, condemned)


@pytest.mark.rule("WL-75")
def test_an_owner_is_a_controller_and_blocks_deletion() -> None:
    bench = make(1, ON_DELETION)
    (owner,) = bench.claim("data-web-0").metadata.owner_references
    assert owner == OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid=bench.sts().metadata.uid,
                                   controller=True, block_owner_deletion=True)


@pytest.mark.rule("WL-76")
def test_the_controller_never_deletes_a_claim() -> None:
    bench = make(2, BOTH)
    bench.scale(0)
    bench.settle()
    assert [claim.name for claim in bench.store.list(PersistentVolumeClaim)] == ["data-web-0", "data-web-1"]


@pytest.mark.rule("WL-77")
def test_a_claim_made_in_the_same_sync_gets_its_owner_after_the_pod() -> None:
    bench = Bench(make_set("web", replicas=1, persistentVolumeClaimRetentionPolicy=ON_DELETION))
    bench.sync()
    made = [intent for intent in bench.intents if isinstance(intent, Create | Update)]
    writes = [(type(intent).__name__, intent.obj.KIND) for intent in made]
    assert writes == [("Create", "ControllerRevision"), ("Create", "PersistentVolumeClaim"), ("Create", "Pod"),
                      ("Update", "PersistentVolumeClaim")]


@pytest.mark.rule("WL-77")
def test_a_claim_that_the_binder_has_changed_meanwhile_fails_the_sync_and_hides_the_pods_event() -> None:
    bench = Bench(make_set("web", replicas=1, persistentVolumeClaimRetentionPolicy=ON_DELETION))

    def bind_first(intent: Intent) -> Any:
        if isinstance(intent, Create) and isinstance(intent.obj, Pod):
            bench.put(with_annotations(bench.claim("data-web-0"), {"bound": "yes"}))

    bench.interfere = bind_first
    error = f"could not update claim data-web-0 for delete policy ownerRefs: {conflict(make_claim('data-web-0'))}"
    assert bench.sync() == Retry(error)
    assert bench.events == [
        ("Normal", "SuccessfulCreate", "Create Claim data-web-0 Pod web-0 in StatefulSet web success"),
        ("Warning", "FailedUpdate", f"Update Pod web-0 in StatefulSet web failed error: {error}"),
    ]
    bench.sync()
    assert owners(bench, "data-web-0") == ["StatefulSet/web"]


@pytest.mark.rule("WL-77")
@pytest.mark.rule("WL-42")
def test_a_changed_policy_is_carried_out_for_all_healthy_pods_and_told_for_each() -> None:
    bench = make(3)
    bench.patch({"persistentVolumeClaimRetentionPolicy": ON_DELETION})
    bench.sync()
    assert [owners(bench, f"data-web-{ordinal}") for ordinal in range(3)] == [["StatefulSet/web"]] * 3
    assert bench.events == [("Normal", "SuccessfulUpdate", f"Update Pod web-{ordinal} in StatefulSet web successful")
                            for ordinal in range(3)]


@pytest.mark.rule("WL-42")
def test_a_claim_update_that_loses_its_lock_is_tried_four_times_with_longer_and_longer_waits() -> None:
    bench = make(1)
    bench.patch({"persistentVolumeClaimRetentionPolicy": ON_DELETION})
    lost = conflict(bench.claim("data-web-0"))
    bench.interfere = refuse_claim("data-web-0", lost, times=3)
    began = bench.now
    assert isinstance(bench.sync(), Done)
    assert bench.now - began == (10 + 50 + 250) * 1000
    assert [reason for _, reason, _ in bench.events] == ["FailedUpdate"] * 3 + ["SuccessfulUpdate"]
    bench.patch({"persistentVolumeClaimRetentionPolicy": RETAIN})
    bench.interfere = refuse_claim("data-web-0", lost, times=4)
    assert isinstance(bench.sync(), Retry)
    assert owners(bench, "data-web-0") == ["StatefulSet/web"]


@pytest.mark.rule("WL-78")
def test_all_condemned_pods_get_their_claims_before_the_first_is_deleted_and_may_lose_them_again() -> None:
    bench = make(5, ON_SCALING)
    bench.scale(1)
    bench.sync()
    assert bench.deleted == ["web-4"]
    assert [owners(bench, f"data-web-{n}") for n in range(1, 5)] == [[f"Pod/web-{n}"] for n in range(1, 5)]
    bench.scale(5)
    bench.sync()
    assert [owners(bench, f"data-web-{n}") for n in range(1, 5)] == [[], [], [], ["Pod/web-4"]]


@pytest.mark.rule("WL-79")
def test_after_a_change_of_policy_an_ordered_set_leaves_the_claims_above_an_unhealthy_pod() -> None:
    bench = make(3)
    bench.set_pod("web-1", ready=False)
    bench.patch({"persistentVolumeClaimRetentionPolicy": ON_DELETION})
    bench.sync()
    assert [owners(bench, f"data-web-{n}") for n in range(3)] == [["StatefulSet/web"], [], []]


@pytest.mark.rule("WL-80")
def test_a_claim_whose_pod_is_absent_at_the_scale_down_is_kept() -> None:
    bench = make(3, BOTH)
    bench.remove(bench.pod("web-2"))
    bench.scale(2)
    bench.settle()
    assert owners(bench, "data-web-2") == ["StatefulSet/web"]


@pytest.mark.rule("WL-81")
def test_losing_or_rolling_a_pod_in_range_does_not_touch_its_claims() -> None:
    bench = make(2, BOTH)
    before = [claim.metadata.resource_version for claim in bench.store.list(PersistentVolumeClaim)]
    bench.remove(bench.pod("web-1"))
    bench.roll("new")
    bench.settle()
    assert [claim.metadata.resource_version for claim in bench.store.list(PersistentVolumeClaim)] == before


@pytest.mark.rule("WL-82")
def test_foreign_owners_stay_where_ours_are_rewritten() -> None:
    bench = make(1)
    own(bench, "data-web-0")
    bench.patch({"persistentVolumeClaimRetentionPolicy": ON_DELETION})
    bench.settle()
    assert owners(bench, "data-web-0") == ["ConfigMap/x", "StatefulSet/web"]


@pytest.mark.rule("WL-83")
@pytest.mark.parametrize("earlier", [
    {"api_version": "apps/v1", "kind": "StatefulSet", "name": "web"}, {"kind": "Pod", "name": "web-0"},
])
@pytest.mark.parametrize("policy", [RETAIN, ON_DELETION])
def test_a_reference_to_an_earlier_set_or_pod_is_left_alone(earlier: dict[str, str], policy: dict[str, str]) -> None:
    bench = make(1)
    own(bench, "data-web-0", **earlier, uid="an earlier one", controller=True)
    before = bench.claim("data-web-0")
    bench.patch({"persistentVolumeClaimRetentionPolicy": policy})
    bench.settle()
    assert bench.claim("data-web-0") == before


@pytest.mark.rule("WL-84")
def test_a_foreign_controller_strips_our_references_and_is_warned_about_unless_all_is_retained() -> None:
    bench = make(1, ON_DELETION)
    foreign = OwnerReference(api_version="v1", kind="ConfigMap", name="x", uid="x", controller=True)
    claim = bench.claim("data-web-0")
    bench.put(with_meta(claim, owner_references=(*claim.metadata.owner_references, foreign)))
    bench.sync()
    assert owners(bench, "data-web-0") == ["ConfigMap/x"]
    assert bench.events[0] == CONFLICTING
    bench.events.clear()
    bench.patch({"persistentVolumeClaimRetentionPolicy": RETAIN})
    bench.settle()
    assert owners(bench, "data-web-0") == ["ConfigMap/x"] and bench.events == []


@pytest.mark.rule("WL-84")
def test_a_pending_pods_foreign_controller_is_warned_about_each_time() -> None:
    bench = Bench(make_set("web", replicas=1, persistentVolumeClaimRetentionPolicy=ON_DELETION))
    bench.put(make_claim("data-web-0"))
    own(bench, "data-web-0", controller=True)
    for _ in range(3):
        bench.sync()
    assert bench.events.count(CONFLICTING) == 3 and owners(bench, "data-web-0") == ["ConfigMap/x"]


@pytest.mark.rule("WL-84")
def test_a_reference_of_ours_that_is_no_controller_is_rewritten() -> None:
    bench = make(1, ON_DELETION)
    own(bench, "data-web-0", api_version="apps/v1", kind="StatefulSet", name="web", uid=bench.sts().metadata.uid)
    bench.settle()
    (owner,) = bench.claim("data-web-0").metadata.owner_references
    assert owner.controller


@pytest.mark.rule("WL-85")
@pytest.mark.parametrize("management", ["OrderedReady", "Parallel"])
def test_a_claim_of_an_earlier_pod_blocks_the_new_one_in_silence(management: str) -> None:
    bench = Bench(make_set("web", replicas=2, podManagementPolicy=management,
                           persistentVolumeClaimRetentionPolicy=ON_SCALING))
    bench.put(make_claim("data-web-0"))
    own(bench, "data-web-0", kind="Pod", name="web-0", uid="an earlier web-0", controller=True)
    assert bench.sync() == Done()
    assert bench.created == ([] if management == "OrderedReady" else ["web-1"])
    assert not [event for event in bench.events if "web-0" in event[2]]
    bench.remove(bench.claim("data-web-0"))
    bench.sync()
    assert "web-0" in bench.created


@pytest.mark.rule("WL-85")
def test_under_when_scaled_retain_such_a_claim_is_used() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.put(make_claim("data-web-0"))
    own(bench, "data-web-0", kind="Pod", name="web-0", uid="an earlier web-0", controller=True)
    bench.sync()
    assert bench.created == ["web-0"]


@pytest.mark.rule("WL-86")
@pytest.mark.parametrize(("management", "kept"), [("OrderedReady", ["Pod/web-2"]), ("Parallel", [])])
def test_scaling_back_while_the_pod_terminates_saves_its_claim_only_in_a_parallel_set(
    management: str, kept: list[str]
) -> None:
    bench = make(3, ON_SCALING, podManagementPolicy=management)
    bench.scale(2)
    bench.sync()
    bench.scale(3)
    bench.sync()
    assert bench.pod("web-2").metadata.is_terminating
    assert owners(bench, "data-web-2") == kept


@pytest.mark.rule("WL-86")
def test_scaling_back_takes_the_claim_from_a_pod_that_is_still_pending() -> None:
    bench = make(3, ON_SCALING)
    bench.set_pod("web-2", phase="Pending", ready=False)
    bench.set_pod("web-1", ready=False)  # so that web-2 is not deleted
    bench.scale(2)
    bench.put(with_owners(bench.claim("data-web-2"), bench.sts(), bench.pod("web-2"), 2))
    assert owners(bench, "data-web-2") == ["Pod/web-2"]
    bench.set_pod("web-1", ready=True)
    bench.scale(3)
    bench.sync()
    assert owners(bench, "data-web-2") == []


@pytest.mark.rule("WL-77")
def test_a_refused_owner_of_a_condemned_pods_claim_keeps_the_pod() -> None:
    bench = make(2, ON_SCALING)
    bench.scale(1)
    bench.interfere = refuse_claim("data-web-1", conflict(bench.claim("data-web-1")))
    assert isinstance(bench.sync(), Retry)
    assert bench.deleted == []
    bench.sync()
    assert bench.deleted == ["web-1"]


@pytest.mark.rule("WL-75")
def test_putting_owners_right_leaves_nothing_to_put_right() -> None:
    ours = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="web", controller=True)
    theirs = OwnerReference(api_version="v1", kind="Pod", name="web-1", uid="pod", controller=True)
    foreign = OwnerReference(api_version="v1", kind="ConfigMap", name="x", uid="x")
    pod = make_pod("web-1", uid="pod")
    for policy in (RETAIN, ON_DELETION, ON_SCALING, BOTH):
        for replicas in (1, 2):
            sts = with_meta(make_set("web", replicas=replicas, persistentVolumeClaimRetentionPolicy=policy), uid="web")
            for references in ((), (ours,), (theirs,), (ours, theirs), (foreign,), (foreign, theirs)):
                claim = with_meta(make_claim("data-web-1"), owner_references=references)
                fixed = with_owners(claim, sts, pod, 1)
                assert owners_match(fixed, sts, pod, 1)
                assert (foreign in fixed.metadata.owner_references) == (foreign in references)
