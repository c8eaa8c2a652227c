"""VolumeBinding: what PreFilter sorts out, what Filter answers, plans, ties and writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.api.core import (
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimStatus,
    PersistentVolumeStatus,
    Pod,
)
from simulator.api.meta import Key, Object, decode, evolve, with_annotations, with_meta
from simulator.api.storage import CSIDriver, CSIStorageCapacity
from simulator.binding.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE
from simulator.binding.reference import volumes_for_claim_on_node
from simulator.errors import InvariantViolated
from simulator.scheduler.framework import Code, Snapshot, Status
from simulator.scheduler.plugins import VolumeBinding, default_profile
from simulator.scheduler.plugins.pod_volumes import VolumePlan
from simulator.scheduler.plugins.volume_binding import EVERY_NODE, PodVolumes, assumptions, ties_matter, volume_writes
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_volume
from tests.scheduler.snapshots import answers, reasons, scores, snapshot_of

NODE_AFFINITY = "node(s) didn't match PersistentVolume's node affinity"
NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
NO_SPACE = "node(s) did not have enough free storage"
GONE = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"

WAIT = make_class("wait", mode="WaitForFirstConsumer")
PLUGIN = VolumeBinding()


def waiting(name: str, request: str = "1Gi", uid: str = "", **spec: Any) -> PersistentVolumeClaim:
    return make_claim(name, request=request, storage_class="wait", uid=uid or f"uid-{name}", **spec)


def free(name: str, node: str | None, capacity: str = "10Gi", **spec: Any) -> PersistentVolume:
    return make_volume(name, node=node, capacity=capacity, storage_class="wait", phase="Available", **spec)


def bound(claim: str, node: str | None) -> tuple[Object, Object]:
    pair = make_claim(claim, storage_class="wait", volumeName=f"pv-{claim}")
    volume = make_volume(f"pv-{claim}", node=node, storage_class="wait", phase="Bound")
    return with_annotations(pair, {BIND_COMPLETED: "yes"}), volume


def reference_to(claim: PersistentVolumeClaim, uid: str | None = None) -> dict[str, Any]:
    return {"kind": "PersistentVolumeClaim", "namespace": claim.namespace, "name": claim.name,
            "uid": claim.metadata.uid if uid is None else uid}


def pod_of(*claims: PersistentVolumeClaim) -> Pod:
    return make_pod("p", claims=tuple(claim.name for claim in claims))


def state_of(pod: Pod, snapshot: Snapshot) -> PodVolumes:
    prepared = PLUGIN.pre_filter(pod, snapshot)
    assert prepared.status.is_success, prepared.status
    assert isinstance(prepared.state, PodVolumes)
    return prepared.state


def plan_on(node: str, pod: Pod, snapshot: Snapshot, chosen: dict[Key, Key] | None = None) -> VolumePlan:
    info = snapshot.node(node)
    assert info is not None
    return PLUGIN.plan(state_of(pod, snapshot), pod, info, chosen or {})


def bindings(plan: VolumePlan) -> dict[str, str]:
    return {claim.name: volume.name for claim, volume in plan.static}


# --- PreFilter ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-123")
def test_a_pod_without_claims_is_not_looked_at() -> None:
    assert reasons(PLUGIN, make_pod("p"), snapshot_of(make_node("a"))) == "skip"


@pytest.mark.rule("VB-124")
@pytest.mark.parametrize(("claim", "expected"), [
    (evolve(make_claim("data", volumeName="pv"), status=PersistentVolumeClaimStatus(phase="Lost")),
     'persistentvolumeclaim "data" bound to non-existent persistentvolume "pv"'),
    (with_meta(make_claim("data"), deletion_timestamp=1), 'persistentvolumeclaim "data" is being deleted'),
    (None, 'persistentvolumeclaim "data" not found'),
])
def test_a_claim_that_cannot_be_used_stops_the_pod(claim: PersistentVolumeClaim | None, expected: str) -> None:
    snapshot = snapshot_of(make_node("a"), *((claim,) if claim is not None else ()))
    assert answers(PLUGIN, make_pod("p", claims=("data",)), snapshot) == Status(
        Code.UNRESOLVABLE, "VolumeBinding", (expected,))


@pytest.mark.rule("VB-124")
@pytest.mark.rule("VB-167")
def test_an_ephemeral_claim_must_be_the_pods_own() -> None:
    pod = make_pod("p", uid="u", volumes=[{"name": "v", "ephemeral": {}}])
    missing = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v"'
    assert reasons(PLUGIN, pod, snapshot_of(make_node("a"))) == [missing]
    foreign = "PVC default/p-v was not created for pod default/p (pod is not owner)"
    assert reasons(PLUGIN, pod, snapshot_of(make_node("a"), waiting("p-v"))) == [foreign]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    own = decode({"metadata": {"name": "p-v", "namespace": "default", "ownerReferences": [owner]},
                  "spec": {"storageClassName": "wait", "resources": {"requests": {"storage": "1Gi"}}}},
                 PersistentVolumeClaim)
    assert reasons(PLUGIN, pod, snapshot_of(make_node("a"), WAIT, own, free("v", "a"))) == {"a": "ok"}


@pytest.mark.rule("VB-124")
def test_the_first_problem_in_the_order_of_the_volumes_is_told() -> None:
    snapshot = snapshot_of(make_node("a"), with_meta(make_claim("leaving"), deletion_timestamp=1))
    pod = make_pod("p", claims=("leaving", "gone"))
    assert reasons(PLUGIN, pod, snapshot) == ['persistentvolumeclaim "leaving" is being deleted']


@pytest.mark.rule("VB-126")
@pytest.mark.rule("VB-127")
@pytest.mark.parametrize("claim", [
    make_claim("data", storage_class="now"), make_claim("data", storage_class="missing"),
    make_claim("data", storage_class=""), make_claim("data"), waiting("data", volumeName="pv"),
])
def test_an_unbound_claim_that_does_not_wait_stops_the_pod(claim: PersistentVolumeClaim) -> None:
    snapshot = snapshot_of(make_node("a"), WAIT, make_class("now"), claim, free("pv", "a"))
    assert reasons(PLUGIN, pod_of(claim), snapshot) == ["pod has unbound immediate PersistentVolumeClaims"]


@pytest.mark.rule("VB-46")
def test_a_class_without_a_mode_is_an_error() -> None:
    claim = waiting("data")
    snapshot = snapshot_of(make_node("a"), evolve(WAIT, volume_binding_mode=None), claim)
    status = answers(PLUGIN, pod_of(claim), snapshot)
    assert status == Status(Code.ERROR, "VolumeBinding", ('VolumeBindingMode not set for StorageClass "wait"',))


# --- bound claims ---------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-129")
@pytest.mark.rule("VB-130")
def test_a_bound_volume_pins_its_pod() -> None:
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, *bound("data", "a"))
    found = answers(PLUGIN, make_pod("p", claims=("data",)), snapshot)
    assert reasons(PLUGIN, make_pod("p", claims=("data",)), snapshot) == {"a": "ok", "b": [NODE_AFFINITY]}
    assert found["b"].code is Code.UNRESOLVABLE  # type: ignore[index]


@pytest.mark.rule("VB-130")
def test_the_first_bound_claim_that_does_not_fit_ends_that_part() -> None:
    claim, _ = bound("lost", None)
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, *bound("data", "a"), claim)
    assert reasons(PLUGIN, make_pod("p", claims=("data", "lost")), snapshot) == {"a": [GONE], "b": [NODE_AFFINITY]}
    assert reasons(PLUGIN, make_pod("p", claims=("lost", "data")), snapshot) == {"a": [GONE], "b": [GONE]}


@pytest.mark.rule("VB-131")
def test_waiting_claims_are_tried_even_where_bound_ones_fail() -> None:
    new = waiting("new")
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, *bound("data", "a"), new, free("v", "a"))
    pod = make_pod("p", claims=("data", "new"))
    assert reasons(PLUGIN, pod, snapshot) == {"a": "ok", "b": [NODE_AFFINITY, NO_VOLUME]}


@pytest.mark.rule("VB-40")
@pytest.mark.rule("VB-41")
def test_affinity_rules_of_every_shape_are_understood() -> None:
    def ruled(name: str, *terms: dict[str, Any]) -> PersistentVolume:
        return free(name, None, nodeAffinity={"required": {"nodeSelectorTerms": list(terms)}})

    def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
        return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}

    fields = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}
    claim = waiting("data")
    for terms, feasible in (
        ((expression("rack", "In", "1", "2"),), {"a", "b"}),
        ((expression("rack", "NotIn", "1"),), {"b", "c"}),
        ((expression("rack", "In", "1"), expression("rack", "In", "2")), {"a", "b"}),
        ((fields,), {"a", "b", "c"}),
        (({**fields, **expression("rack", "In", "1")},), {"a"}),
        ((expression("rack", "In"),), set[str]()),
        ((), set[str]()),
    ):
        snapshot = snapshot_of(make_node("a", labels={"rack": "1"}), make_node("b", labels={"rack": "2"}),
                               make_node("c"), WAIT, claim, ruled("v", *terms))
        found = reasons(PLUGIN, pod_of(claim), snapshot)
        assert {name for name, answer in found.items() if answer == "ok"} == feasible, terms


# --- waiting claims -------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-31")
@pytest.mark.rule("VB-33")
def test_the_smallest_volume_in_reach_is_taken() -> None:
    claim = waiting("data", "5Gi")
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, claim, free("a20", "a", "20Gi"), free("a10", "a"),
                           free("a1", "a", "1Gi"), free("b30", "b", "30Gi"))
    assert bindings(plan_on("a", pod_of(claim), snapshot)) == {"data": "a10"}
    assert bindings(plan_on("b", pod_of(claim), snapshot)) == {"data": "b30"}


@pytest.mark.rule("VB-32")
@pytest.mark.parametrize("volume", [
    free("v", "a", "1Mi"),
    free("v", "a", volumeMode="Block"),
    free("v", "a", volumeAttributesClassName="fast"),
    with_meta(free("v", "a"), deletion_timestamp=1),
    evolve(free("v", "a"), status=PersistentVolumeStatus(phase="Pending")),
    make_volume("v", node="a", storage_class="other", phase="Available"),
    make_volume("v", node="a", storage_class="wait", phase="Available", modes=("ReadOnlyMany",)),
    free("v", "a", claimRef={"namespace": "default", "name": "other"}),
    free("v", "a", claimRef={"namespace": "default", "name": "data", "uid": "of an earlier one"}),
])
def test_a_volume_must_fit_in_every_respect(volume: PersistentVolume) -> None:
    claim = waiting("data")
    assert reasons(PLUGIN, pod_of(claim), snapshot_of(make_node("a"), WAIT, claim, volume)) == {"a": [NO_VOLUME]}


@pytest.mark.rule("VB-39")
def test_a_selector_is_about_the_volumes_labels() -> None:
    claim = waiting("data", selector={"matchLabels": {"disk": "ssd"}})
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, claim, free("a", "a"),
                           with_meta(free("b", "b"), labels={"disk": "ssd"}))
    assert reasons(PLUGIN, pod_of(claim), snapshot) == {"a": [NO_VOLUME], "b": "ok"}


@pytest.mark.rule("VB-34")
@pytest.mark.rule("VB-36")
@pytest.mark.rule("VB-37")
def test_a_reserved_volume_wins_wherever_it_is_and_whatever_it_offers() -> None:
    claim = waiting("data")
    mine = make_volume("mine", node="b", capacity="90Gi", storage_class="wait", modes=("ReadOnlyMany",),
                       phase="Released", claimRef=reference_to(claim, uid=""))
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, claim, free("a", "a"), free("b", "b"), mine)
    assert reasons(PLUGIN, pod_of(claim), snapshot) == {"a": [NO_VOLUME], "b": "ok"}
    assert bindings(plan_on("b", pod_of(claim), snapshot)) == {"data": "mine"}


@pytest.mark.rule("VB-133")
def test_claims_are_matched_by_size_and_never_share_a_volume() -> None:
    large, small = waiting("large", "5Gi"), waiting("small", "2Gi")
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, large, small, free("a5", "a", "5Gi"),
                           free("a10", "a"), free("b10", "b"))
    plan = plan_on("a", pod_of(large, small), snapshot)
    assert plan.static[0][0].name == "small"
    assert bindings(plan) == {"small": "a5", "large": "a10"}
    assert reasons(PLUGIN, pod_of(large, small), snapshot) == {"a": "ok", "b": [NO_VOLUME]}
    assert bindings(plan_on("b", pod_of(large, small), snapshot)) == {"small": "b10"}, "VB-134: it stays matched"


@pytest.mark.rule("VB-133")
def test_claims_of_equal_size_are_matched_in_the_order_of_the_pods_volumes() -> None:
    first, second = waiting("zz"), waiting("aa")
    snapshot = snapshot_of(make_node("a"), WAIT, first, second, free("v1", "a"), free("v2", "a"))
    assert [claim.name for claim, _ in plan_on("a", pod_of(first, second), snapshot).static] == ["zz", "aa"]


# --- provisioning ---------------------------------------------------------------------------------------------------

MADE = make_class("made", mode="WaitForFirstConsumer", provisioner="csi.example.com", allowedTopologies=[
    {"matchLabelExpressions": [{"key": "rack", "values": ["1", "2"]}]}])


def made(name: str, request: str = "1Gi") -> PersistentVolumeClaim:
    return make_claim(name, request=request, storage_class="made", uid=f"uid-{name}")


@pytest.mark.rule("VB-135")
@pytest.mark.rule("VB-136")
def test_a_claim_without_a_volume_is_provisioned_where_its_class_allows() -> None:
    claim = made("data")
    snapshot = snapshot_of(make_node("a", labels={"rack": "1"}), make_node("b", labels={"rack": "9"}), make_node("c"),
                           MADE, claim)
    assert reasons(PLUGIN, pod_of(claim), snapshot) == {"a": "ok", "b": [NO_VOLUME], "c": [NO_VOLUME]}
    made_here = [each.claim for each in plan_on("a", pod_of(claim), snapshot).provisions]
    assert made_here == [claim_as_stored(snapshot, claim)]


def claim_as_stored(snapshot: Snapshot, claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    stored = snapshot.view.get(PersistentVolumeClaim, claim.name, claim.namespace)
    assert stored is not None
    return stored


@pytest.mark.rule("VB-136")
def test_a_topology_term_without_expressions_matches_nothing() -> None:
    claim = made("data")
    closed = make_class("made", mode="WaitForFirstConsumer", provisioner="csi.example.com", allowedTopologies=[{}])
    assert reasons(PLUGIN, pod_of(claim), snapshot_of(make_node("a"), closed, claim)) == {"a": [NO_VOLUME]}


@pytest.mark.rule("VB-137")
def test_one_pod_may_take_a_volume_and_have_another_made() -> None:
    static, dynamic = waiting("static"), made("dynamic")
    snapshot = snapshot_of(make_node("a", labels={"rack": "1"}), make_node("b", labels={"rack": "1"}), WAIT, MADE,
                           static, dynamic, free("v", "a"))
    plan = plan_on("a", pod_of(static, dynamic), snapshot)
    assert (bindings(plan), [each.claim.name for each in plan.provisions]) == ({"static": "v"}, ["dynamic"])
    assert reasons(PLUGIN, pod_of(static, dynamic), snapshot) == {"a": "ok", "b": [NO_VOLUME]}


@pytest.mark.rule("VB-132")
def test_a_selected_node_is_the_only_one_and_nothing_static_is_tried_there() -> None:
    claim = with_annotations(made("data"), {SELECTED_NODE: "a"})
    ready = make_volume("v", node="a", storage_class="made", phase="Available")
    snapshot = snapshot_of(make_node("a", labels={"rack": "1"}), make_node("b", labels={"rack": "1"}), MADE, claim,
                           ready)
    assert reasons(PLUGIN, pod_of(claim), snapshot) == {"a": "ok", "b": [NO_VOLUME]}
    plan = plan_on("a", pod_of(claim), snapshot)
    assert (bindings(plan), [each.claim.name for each in plan.provisions]) == ({}, ["data"])


@pytest.mark.rule("VB-132")
def test_another_selected_node_ends_the_search_before_anything_is_matched() -> None:
    claim, other = with_annotations(made("data"), {SELECTED_NODE: "a"}), waiting("other")
    snapshot = snapshot_of(make_node("b", labels={"rack": "1"}), MADE, WAIT, claim, other, free("v", "b"))
    assert bindings(plan_on("b", pod_of(other, claim), snapshot)) == {}


def capacity(name: str, size: str | None, topology: dict[str, Any] | None, largest: str | None = None,
             storage_class: str = "made") -> CSIStorageCapacity:
    return decode({"metadata": {"name": name, "namespace": "kube-system"}, "storageClassName": storage_class,
                   "nodeTopology": topology, "capacity": size, "maximumVolumeSize": largest}, CSIStorageCapacity)


TRACKED = decode({"metadata": {"name": "csi.example.com"}, "spec": {"storageCapacity": True}}, CSIDriver)
OPEN = make_class("made", mode="WaitForFirstConsumer", provisioner="csi.example.com")
RACK_1 = {"matchLabels": {"rack": "1"}}


@pytest.mark.rule("VB-138")
@pytest.mark.parametrize(("told", "passes"), [
    ([], False),
    ([capacity("c", "5Gi", RACK_1)], True),
    ([capacity("c", "4Gi", RACK_1)], False),
    ([capacity("c", "9Gi", RACK_1, largest="4Gi")], False),
    ([capacity("c", "1Gi", RACK_1, largest="5Gi")], True),
    ([capacity("c", None, RACK_1)], False),
    ([capacity("c", "9Gi", None)], False),
    ([capacity("c", "9Gi", {})], True),
    ([capacity("c", "9Gi", {"matchLabels": {"rack": "2"}})], False),
    ([capacity("c", "9Gi", RACK_1, storage_class="other")], False),
    ([capacity("c", "1Gi", RACK_1), capacity("d", "9Gi", RACK_1)], True),
])
def test_a_driver_that_tracks_capacity_must_have_enough(told: list[CSIStorageCapacity], passes: bool) -> None:
    claim = made("data", "5Gi")
    snapshot = snapshot_of(make_node("a", labels={"rack": "1"}), OPEN, TRACKED, claim, *told)
    assert reasons(PLUGIN, pod_of(claim), snapshot) == {"a": "ok" if passes else [NO_SPACE]}


@pytest.mark.rule("VB-138")
def test_each_claim_is_checked_alone_and_untracked_drivers_not_at_all() -> None:
    one, two = made("one", "5Gi"), made("two", "5Gi")
    node = make_node("a", labels={"rack": "1"})
    assert reasons(PLUGIN, pod_of(one, two), snapshot_of(node, OPEN, TRACKED, one, two, capacity("c", "5Gi", {}))) == {
        "a": "ok"}
    untracked = evolve(TRACKED, spec=evolve(TRACKED.spec, storage_capacity=None))
    assert reasons(PLUGIN, pod_of(one), snapshot_of(node, OPEN, untracked, one)) == {"a": "ok"}


@pytest.mark.rule("VB-139")
def test_capacity_is_checked_again_for_a_claim_with_a_selected_node() -> None:
    claim = with_annotations(made("data"), {SELECTED_NODE: "a"})
    assert reasons(PLUGIN, pod_of(claim), snapshot_of(make_node("a"), OPEN, TRACKED, claim)) == {"a": [NO_SPACE]}


# --- ties -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-33")
def test_equal_volumes_of_a_node_are_a_tie_that_the_plugin_does_not_break() -> None:
    claim = waiting("data")
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, claim, free("v1", "a"), free("v2", "a"),
                           free("v3", "a", "11Gi"), free("w", "b"))
    plan = plan_on("a", pod_of(claim), snapshot)
    tie = plan.next_tie()
    assert tie is not None and [volume.name for volume in tie.volumes] == ["v1", "v2"]
    assert bindings(plan) == {"data": "v1"}, "the first, for feasibility"
    other = plan_on("a", pod_of(claim), snapshot, {claim.key: tie.volumes[1].key})
    assert bindings(other) == {"data": "v2"}
    assert other.next_tie({claim.key: tie.volumes[1].key}) is None
    assert plan_on("b", pod_of(claim), snapshot).ties == ()


@pytest.mark.rule("VB-133")
def test_what_one_claim_is_given_is_no_option_for_the_next() -> None:
    one, two = waiting("one"), waiting("two")
    snapshot = snapshot_of(make_node("a"), WAIT, one, two, *(free(f"v{number}", "a") for number in range(3)))
    chosen: dict[Key, Key] = {}
    asked = []
    while (tie := plan_on("a", pod_of(one, two), snapshot, chosen).next_tie(chosen)) is not None:
        asked.append((tie.claim.name, [volume.name for volume in tie.volumes]))
        chosen[tie.claim.key] = tie.volumes[-1].key
    assert asked == [("one", ["v0", "v1", "v2"]), ("two", ["v0", "v1"])]
    assert bindings(plan_on("a", pod_of(one, two), snapshot, chosen)) == {"one": "v2", "two": "v1"}


@pytest.mark.rule("VB-33")
def test_a_choice_that_is_no_option_is_refused() -> None:
    claim = waiting("data")
    snapshot = snapshot_of(make_node("a"), WAIT, claim, free("v1", "a"))
    with pytest.raises(InvariantViolated, match="PersistentVolume/v9"):
        plan_on("a", pod_of(claim), snapshot, {claim.key: Key("PersistentVolume", "", "v9")})


def labelled(volume: PersistentVolume, **labels: str) -> PersistentVolume:
    return with_meta(volume, labels=labels)


@pytest.mark.rule("VB-33")
def test_ties_do_not_matter_between_claims_that_differ_in_size_alone() -> None:
    one, two, three = waiting("one", "1Gi"), waiting("two", "2Gi"), waiting("three", "2Gi")
    snapshot = snapshot_of(make_node("a"), WAIT, one, two, three, *(free(f"v{number}", "a") for number in range(3)),
                           free("small", "a", "1Gi"))
    assert not ties_matter(state_of(pod_of(one, two, three), snapshot))


@pytest.mark.rule("VB-33")
def test_ties_matter_if_a_later_claim_wants_only_some_of_the_equal_volumes() -> None:
    any_disk, ssd = waiting("any"), waiting("ssd", selector={"matchLabels": {"disk": "ssd"}})
    disks = [labelled(free("v1", "a"), disk="ssd"), free("v2", "a")]
    snapshot = snapshot_of(make_node("a"), WAIT, any_disk, ssd, *disks)
    pod = pod_of(any_disk, ssd)
    state = state_of(pod, snapshot)
    assert ties_matter(state)
    info = snapshot.nodes[0]
    assert PLUGIN.filter(state, pod, info, snapshot).code is Code.UNRESOLVABLE, "v1 first"
    settled = PLUGIN.settle(state, "a", {any_disk.key: disks[1].key})
    assert PLUGIN.filter(settled, pod, info, snapshot).is_success
    assert bindings(PLUGIN.plan(settled, pod, info)) == {"any": "v2", "ssd": "v1"}
    assert not ties_matter(state_of(pod_of(ssd, any_disk), snapshot)), "the choosy claim comes first"


@pytest.mark.rule("VB-33")
def test_ties_do_not_matter_if_no_node_reaches_both_volumes() -> None:
    any_disk, ssd = waiting("any"), waiting("ssd", selector={"matchLabels": {"disk": "ssd"}})
    apart = snapshot_of(make_node("a"), make_node("b"), WAIT, any_disk, ssd, labelled(free("v1", "a"), disk="ssd"),
                        free("v2", "b"))
    shared = snapshot_of(make_node("a"), WAIT, any_disk, ssd, labelled(free("v1", "a"), disk="ssd"), free("v2", None))
    assert not ties_matter(state_of(pod_of(any_disk, ssd), apart))
    assert ties_matter(state_of(pod_of(any_disk, ssd), shared))


@pytest.mark.rule("VB-37")
def test_several_reserved_volumes_are_one_tie_on_every_node() -> None:
    claim = waiting("data")
    mine = [free(f"m{node}", node, claimRef=reference_to(claim)) for node in "ab"]
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, claim, *mine)
    pod = pod_of(claim)
    state = state_of(pod, snapshot)
    assert ties_matter(state)
    assert reasons(PLUGIN, pod, snapshot) == {"a": "ok", "b": [NO_VOLUME]}
    other = PLUGIN.settle(state, EVERY_NODE, {claim.key: mine[1].key})
    assert [PLUGIN.filter(other, pod, info, snapshot).is_success for info in snapshot.nodes] == [False, True]


VOLUMES = st.builds(
    lambda number, node, size, label, mode, owner: (number, node, size, label, mode, owner),
    st.integers(0, 9), st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, 3]), st.sampled_from(["x", "y"]),
    st.sampled_from(["ReadWriteOnce", "ReadWriteMany"]), st.sampled_from(["", "", "", "c0", "other"]),
)
CLAIMS = st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([None, "x"]),
                            st.sampled_from(["ReadWriteOnce", "ReadWriteMany"])), min_size=1, max_size=3)


@given(claims=CLAIMS, volumes=st.lists(VOLUMES, max_size=8, unique_by=lambda drawn: drawn[0]), data=st.data())
@pytest.mark.rule("VB-32")
def test_every_plan_is_one_that_the_reference_allows(claims: Any, volumes: Any, data: st.DataObject) -> None:
    made_claims = [
        waiting(f"c{number}", f"{size}Gi", modes=(mode,),
                **({"selector": {"matchLabels": {"disk": label}}} if label else {}))
        for number, (size, label, mode) in enumerate(claims)
    ]
    made_volumes = [
        labelled(make_volume(
            f"v{number}", node=node, capacity=f"{size}Gi", storage_class="wait", phase="Available", modes=(mode,),
            **({"claimRef": {"namespace": "default", "name": owner}} if owner else {}),
        ), disk=label)
        for number, node, size, label, mode, owner in volumes
    ]
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, *made_claims, *made_volumes)
    pod = pod_of(*made_claims)
    state = state_of(pod, snapshot)
    by_name = {volume.name: volume for volume in snapshot.view.by("volumes-by-class", "wait")}
    for info in snapshot.nodes:
        chosen: dict[Key, Key] = {}
        while (tie := (plan := PLUGIN.plan(state, pod, info, chosen)).next_tie(chosen)) is not None:
            chosen[tie.claim.key] = data.draw(st.sampled_from(tie.volumes)).key
        assert plan == PLUGIN.plan(PLUGIN.settle(state, info.name, chosen), pod, info)
        if not ties_matter(state):
            assert PLUGIN.filter(state, pod, info, snapshot).is_success == (not plan.reasons)
        taken: list[str] = []
        result = bindings(plan)
        for claim in sorted(made_claims, key=lambda claim: claim.request.nano):  # type: ignore[union-attr]
            tier = volumes_for_claim_on_node(claim, by_name.values(), info.node.metadata.labels, taken)
            allowed = {volume.name for volume in tier.volumes}
            if claim.name in result:
                assert result[claim.name] in allowed
                taken.append(result[claim.name])
            else:
                assert not allowed or tier.out_of_reach
        assert bool(plan.reasons) == (len(result) < len(made_claims))


# --- what is written ------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-142")
@pytest.mark.rule("VB-146")
def test_volumes_are_written_before_claims_with_full_references() -> None:
    static, dynamic = waiting("static"), made("dynamic")
    snapshot = snapshot_of(make_node("a", labels={"rack": "1"}), WAIT, MADE, static, dynamic, free("v", "a"))
    plan = plan_on("a", pod_of(dynamic, static), snapshot)
    volume, claim = volume_writes(plan, "a")
    assert isinstance(volume, PersistentVolume) and volume.spec.claim_ref is not None
    stored = claim_as_stored(snapshot, static)
    reference = volume.spec.claim_ref
    assert (reference.kind, reference.api_version, reference.namespace, reference.name, reference.uid) == (
        "PersistentVolumeClaim", "v1", "default", "static", "uid-static")
    assert reference.resource_version == stored.metadata.resource_version
    assert volume.metadata.annotations == {BOUND_BY_CONTROLLER: "yes"}
    assert volume.metadata.resource_version == plan.static[0][1].metadata.resource_version, "based on what was seen"
    assert claim == with_annotations(claim_as_stored(snapshot, dynamic), {SELECTED_NODE: "a"})
    assert assumptions(plan, "a") == (volume, claim)


@pytest.mark.rule("VB-142")
@pytest.mark.rule("VB-71")
@pytest.mark.parametrize(("uid", "assumed"), [("", True), ("uid-data", False)])
def test_a_volume_that_referred_to_the_claim_keeps_its_humans_mark(uid: str, assumed: bool) -> None:
    claim = waiting("data")
    snapshot = snapshot_of(make_node("a"), WAIT, claim, free("v", "a", claimRef=reference_to(claim, uid)))
    plan = plan_on("a", pod_of(claim), snapshot)
    written, = volume_writes(plan, "a")
    assert isinstance(written, PersistentVolume) and written.spec.claim_ref is not None
    assert written.spec.claim_ref.uid == "uid-data" and not written.metadata.annotations
    assert bool(assumptions(plan, "a")) is assumed


@pytest.mark.rule("VB-142")
def test_a_pod_whose_claims_are_bound_has_nothing_to_write() -> None:
    snapshot = snapshot_of(make_node("a"), WAIT, *bound("data", "a"))
    plan = plan_on("a", make_pod("p", claims=("data",)), snapshot)
    assert volume_writes(plan, "a") == () and plan == VolumePlan()


# --- score ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-140")
@pytest.mark.rule("SC-96")
def test_volumes_do_not_influence_the_score_by_default() -> None:
    claim = waiting("data")
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, claim, free("v", "a"), free("w", "b", "99Gi"))
    assert scores(PLUGIN, pod_of(claim), snapshot) == "skip"


@pytest.mark.rule("VB-141")
def test_with_the_gate_on_the_least_used_volumes_are_preferred() -> None:
    plugin = next(each for each in default_profile(None, {"StorageCapacityScoring": True}).filters
                  if isinstance(each, VolumeBinding))
    claim = waiting("data", "5Gi")
    snapshot = snapshot_of(make_node("a"), make_node("b"), WAIT, claim, free("v", "a"), free("w", "b", "50Gi"))
    assert scores(plugin, pod_of(claim), snapshot) == {"a": 50, "b": 90}


@pytest.mark.rule("VB-141")
def test_with_the_gate_on_reported_capacity_counts_for_claims_to_be_made() -> None:
    plugin = VolumeBinding(scores_capacity=True)
    one, two = made("one", "5Gi"), made("two", "5Gi")
    snapshot = snapshot_of(make_node("a", labels={"rack": "1"}), make_node("b", labels={"rack": "2"}), OPEN, TRACKED,
                           one, two, capacity("c", "20Gi", RACK_1),
                           capacity("d", "8Gi", {"matchLabels": {"rack": "2"}}))
    assert scores(plugin, pod_of(one, two), snapshot) == {"a": 50, "b": 0}
