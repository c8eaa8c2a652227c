"""The external provisioner, alone and together with the volume controller in a world."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Condition, Node, PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Object, evolve, with_annotations, with_meta
from simulator.api.storage import StorageClass
from simulator.binding.names import (
    BETA_STORAGE_PROVISIONER,
    PROTECTS_ASSET,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
)
from simulator.controllers.provisioner import ExternalProvisioner
from simulator.controllers.storage_driver import StorageDriver, first_segment
from simulator.controllers.volume_binder import VolumeBinder
from simulator.flows import DONE, Done, Refused, Retry
from simulator.testing.builders import HOSTNAME, make_claim, make_class, make_node, make_volume
from simulator.units import MINUTE, SECOND, quantity
from tests.controllers.volume_bench import CONFLICT, Bench

P = "example.com/p"
WFFC = "WaitForFirstConsumer"
LOCAL = StorageDriver(topology=HOSTNAME)
NODES = (make_node("n1"), make_node("n2"), make_node("n3"))


def asked(name: str = "c", selected: str | None = None, **fields: Any) -> PersistentVolumeClaim:
    claim = make_claim(name, storage_class="x", uid=f"uid-{name}", **fields)
    return with_annotations(claim, {STORAGE_PROVISIONER: P, BETA_STORAGE_PROVISIONER: P, SELECTED_NODE: selected})


def bench(driver: StorageDriver | None, *objects: Object, mode: str = "Immediate", **storage_class: Any) -> Bench:
    drivers = {P: driver} if driver is not None else {}
    return Bench(ExternalProvisioner(drivers), make_class("x", mode=mode, provisioner=P, **storage_class), *NODES,
                 *objects)


def place(at: Bench, name: str = "pvc-uid-c") -> tuple[str, ...]:
    """The hostnames of a volume's node affinity; nothing if it can be reached from everywhere."""
    affinity = at.volume(name).spec.node_affinity
    if affinity is None or affinity.required is None:
        return ()
    ((expression,),) = (term.match_expressions for term in affinity.required.node_selector_terms)
    assert (expression.key, expression.operator) == (HOSTNAME, "In")
    return expression.values


# --- making volumes -------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-101")
@pytest.mark.rule("VB-102")
@pytest.mark.rule("VB-103")
def test_a_volume_is_made_for_a_claim_that_asks_and_the_claim_is_not_touched() -> None:
    at = bench(None, asked(request="3Gi", modes=("ReadWriteMany",), volumeMode="Block"), reclaimPolicy="Retain",
               mountOptions=["ro"])
    at.drain()
    volume = at.volume("pvc-uid-c")
    assert volume.metadata.annotations == {PROVISIONED_BY: P}
    assert volume.metadata.finalizers == ()
    spec = volume.spec
    assert spec.claim_ref is not None
    assert (spec.claim_ref.namespace, spec.claim_ref.name, spec.claim_ref.uid) == ("default", "c", "uid-c")
    assert (spec.storage_class_name, spec.persistent_volume_reclaim_policy) == ("x", "Retain")
    assert spec.mount_options == ["ro"]
    assert (spec.access_modes, spec.volume_mode) == (("ReadWriteMany",), "Block")
    assert spec.capacity == {"storage": quantity("3Gi")}
    assert spec.node_affinity is None
    assert at.events == [
        ("Normal", "Provisioning", asked().key, 'External provisioner is provisioning volume for claim "default/c"'),
        ("Normal", "ProvisioningSucceeded", asked().key, "Successfully provisioned volume pvc-uid-c")]
    assert [key.kind for _, key, _ in at.writes] == ["PersistentVolume"]
    assert at.sleeps == [("provision", None)]


@pytest.mark.rule("VB-101")
@pytest.mark.parametrize("claim", [
    make_claim("c", storage_class="x", uid="uid-c"),
    asked(volumeName="v"),
    with_annotations(asked(), {STORAGE_PROVISIONER: "kubernetes.io/x", BETA_STORAGE_PROVISIONER: "kubernetes.io/x"}),
    with_annotations(asked(), {STORAGE_PROVISIONER: "example.com/q", BETA_STORAGE_PROVISIONER: "example.com/q"}),
], ids=["not asked", "has a volume", "in-tree", "another provisioner than the class says"])
def test_nothing_is_made_for_other_claims(claim: PersistentVolumeClaim) -> None:
    at = bench(None, claim)
    at.drain()
    at.sync("claims", claim)
    assert at.events == at.writes == []


@pytest.mark.rule("VB-101")
def test_a_claim_that_waits_is_served_once_its_node_is_selected() -> None:
    at = bench(LOCAL, asked(), mode=WFFC)
    at.drain()
    assert at.events == []
    at.put(with_annotations(at.claim("c"), {SELECTED_NODE: "n2"}))
    at.drain()
    assert place(at) == ("n2",)


@pytest.mark.rule("VB-101")
def test_a_volume_that_exists_is_not_made_again() -> None:
    at = bench(None, make_volume("pvc-uid-c"), asked())
    at.drain()
    assert at.events == []


@pytest.mark.rule("VB-101")
def test_a_volume_that_was_just_made_is_not_made_again_though_no_watch_has_brought_it() -> None:
    at = bench(None, asked())
    at.is_lagging = True
    at.drain()
    at.sync("claims", asked())
    assert at.reasons == ["Provisioning", "ProvisioningSucceeded"]
    at.deliver()
    assert at.memory.made == {}


def test_an_absent_provisioner_leaves_claims_alone_until_it_comes() -> None:
    at = bench(StorageDriver(absent=True), asked())
    at.drain()
    assert at.events == []
    component = at.component
    assert isinstance(component, ExternalProvisioner)
    for told in component.configure(P, StorageDriver()):
        at.tell(told)
    at.drain()
    assert at.volume("pvc-uid-c")


@pytest.mark.rule("VB-108")
def test_a_claim_with_a_selector_is_refused() -> None:
    at = bench(None, asked(selector={}))
    assert at.sync("claims", asked()) == Done(requeue_after=SECOND)
    assert at.events[1] == ("Warning", "ProvisioningFailed", asked().key,
                            'failed to provision volume with StorageClass "x": claim Selector is not supported')


def test_a_volume_that_cannot_be_saved_is_tried_again() -> None:
    at = bench(None, asked())
    at.refuse = lambda write: Refused("Fault", 500, "etcd is gone")
    assert at.sync("claims", asked()) == Done(requeue_after=SECOND)
    at.refuse = lambda write: None
    at.sync("claims", asked())
    assert at.reasons == ["Provisioning", "ProvisioningFailed", "Provisioning", "ProvisioningSucceeded"]


# --- where ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-107")
def test_volumes_of_immediate_claims_go_round_the_nodes_by_ordinal() -> None:
    at = bench(LOCAL, *(asked(f"data-web-{ordinal}") for ordinal in range(4)), asked("logs-web-1"))
    at.drain()
    places = [place(at, f"pvc-uid-data-web-{ordinal}")[0] for ordinal in range(4)]
    assert sorted(places[:3]) == ["n1", "n2", "n3"]
    assert places[3] == places[0]
    assert place(at, "pvc-uid-logs-web-1")[0] == places[1]  # claims of one replica go together


@pytest.mark.rule("VB-107")
def test_the_first_segment_comes_from_the_name() -> None:
    assert first_segment("data-web-0", 1) == 0
    assert first_segment("data-web-7", 5) == (first_segment("data-web-0", 5) + 7) % 5
    assert {first_segment(name, 3) for name in ("a", "b", "c", "data", "web-x", "-")} <= {0, 1, 2}


@pytest.mark.rule("VB-107")
@pytest.mark.rule("VB-136")
def test_allowed_topologies_limit_the_nodes() -> None:
    terms = [{"matchLabelExpressions": [{"key": HOSTNAME, "values": ["n2"]}]}]
    at = bench(LOCAL, *(asked(f"data-web-{ordinal}") for ordinal in range(3)), allowedTopologies=terms)
    at.drain()
    assert {place(at, f"pvc-uid-data-web-{ordinal}") for ordinal in range(3)} == {("n2",)}


@pytest.mark.rule("VB-107")
def test_where_volumes_of_immediate_claims_go_can_be_said() -> None:
    at = bench(evolve(LOCAL, immediate_node="n3"), asked())
    at.drain()
    assert place(at) == ("n3",)
    at = bench(evolve(LOCAL, immediate_anywhere=True), asked())
    at.drain()
    assert place(at) == ()


def test_the_topology_key_can_be_a_parameter_of_the_class() -> None:
    at = bench(None, asked(), parameters={"bindsim/topology-key": HOSTNAME})
    at.drain()
    assert len(place(at)) == 1


@pytest.mark.rule("VB-104")
def test_a_class_that_allows_no_node_fails() -> None:
    terms = [{"matchLabelExpressions": [{"key": HOSTNAME, "values": ["elsewhere"]}]}]
    at = bench(LOCAL, asked(), allowedTopologies=terms)
    assert at.sync("claims", asked()) == Done(requeue_after=SECOND)
    assert at.reasons == ["Provisioning", "ProvisioningFailed"]


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-104")
@pytest.mark.rule("VB-105")
@pytest.mark.parametrize("driver", [
    evolve(LOCAL, full_on=frozenset({"n2"})), evolve(LOCAL, capacity={"n2": quantity("500Mi")}),
    evolve(LOCAL, error="reschedule"),
], ids=["full", "too little room", "reschedule"])
def test_without_room_on_the_selected_node_the_scheduler_is_asked_for_another(driver: StorageDriver) -> None:
    at = bench(driver, asked(selected="n2"), mode=WFFC)
    assert at.sync("claims", asked()) == DONE
    assert SELECTED_NODE not in at.claim("c").metadata.annotations
    assert at.reasons == ["Provisioning", "ProvisioningFailed"]
    assert at.store.list(PersistentVolume) == []
    at.drain()
    assert len(at.events) == 2


@pytest.mark.rule("VB-104")
def test_a_selected_node_that_is_gone_is_given_back() -> None:
    at = bench(LOCAL, asked(selected="gone"), mode=WFFC)
    at.sync("claims", asked())
    assert SELECTED_NODE not in at.claim("c").metadata.annotations


@pytest.mark.rule("VB-105")
def test_giving_a_node_back_may_meet_a_conflict() -> None:
    at = bench(evolve(LOCAL, full_on=frozenset({"n2"})), asked(selected="n2"), mode=WFFC)
    at.refuse = lambda write: CONFLICT
    assert at.sync("claims", asked()) == Retry(CONFLICT.message)
    assert SELECTED_NODE in at.claim("c").metadata.annotations


@pytest.mark.rule("VB-104")
def test_a_final_error_is_tried_again_and_again_at_growing_intervals() -> None:
    at = bench(evolve(LOCAL, error="final"), asked(selected="n2"), mode=WFFC)
    pauses = []
    for _ in range(11):
        outcome = at.sync("claims", asked())
        assert isinstance(outcome, Done)
        pauses.append(outcome.requeue_after)
    assert pauses[:4] == [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert pauses[-1] == 5 * MINUTE
    assert at.claim("c").metadata.annotations[SELECTED_NODE] == "n2"
    assert at.events[1] == ("Warning", "ProvisioningFailed", asked().key, (
        'failed to provision volume with StorageClass "x": rpc error: code = Internal desc = failed'))


@pytest.mark.rule("VB-104")
@pytest.mark.rule("VB-105")
def test_without_a_selected_node_there_is_nobody_to_ask_for_another() -> None:
    at = bench(evolve(LOCAL, immediate_node="n1", full_on=frozenset({"n1"})), asked())
    assert at.sync("claims", asked()) == Done(requeue_after=SECOND)


@pytest.mark.rule("VB-104")
def test_an_operation_in_background_goes_on_for_the_same_claim_and_node() -> None:
    at = bench(evolve(LOCAL, error="background"), asked(selected="n2"), mode=WFFC)
    at.sync("claims", asked())
    at.put(with_annotations(at.claim("c"), {SELECTED_NODE: "n3"}))
    at.remove(at.claim("c"))
    component = at.component
    assert isinstance(component, ExternalProvisioner)
    for told in component.configure(P, LOCAL):
        at.tell(told)
    at.sync("claims", asked())
    assert place(at) == ("n2",)
    assert at.memory.in_progress == {}


@pytest.mark.rule("VB-106")
def test_an_infeasible_request_is_tried_again_slowly() -> None:
    at = bench(evolve(LOCAL, error="infeasible", message="bad"), asked(selected="n2"), mode=WFFC)
    assert at.sync("claims", asked()) == Done(requeue_after=5 * MINUTE)
    assert at.events[1][3] == ("Volume provisioning failed with infeasible error. Retries will be delayed. "
                               'failed to provision volume with StorageClass "x": bad')
    assert SELECTED_NODE in at.claim("c").metadata.annotations


@pytest.mark.rule("VB-104")
def test_room_is_taken_by_volumes_and_given_back_when_they_are_deleted() -> None:
    at = bench(evolve(LOCAL, capacity={"n1": quantity("2Gi")}, finalizer=False), mode=WFFC)
    for name in "abc":
        at.put(asked(name, selected="n1"))
    at.drain()
    assert {volume.name for volume in at.store.list(PersistentVolume)} == {"pvc-uid-a", "pvc-uid-b"}
    volume = at.volume("pvc-uid-a")
    at.put(evolve(volume, status=evolve(volume.status, phase="Released")))
    at.drain()
    at.put(with_annotations(at.claim("c"), {SELECTED_NODE: "n1"}))
    at.drain()
    assert {volume.name for volume in at.store.list(PersistentVolume)} == {"pvc-uid-b", "pvc-uid-c"}


def test_room_can_be_a_parameter_of_the_class_for_each_segment() -> None:
    at = bench(LOCAL, mode=WFFC, parameters={"bindsim/capacity": "1Gi"})
    for name, node in (("a", "n1"), ("b", "n1"), ("c", "n2")):
        at.put(asked(name, selected=node))
    at.drain()
    assert {volume.name for volume in at.store.list(PersistentVolume)} == {"pvc-uid-a", "pvc-uid-c"}


def test_volumes_that_were_there_before_take_room_too() -> None:
    old = with_annotations(make_volume("old", node="n1", storage_class="x"), {PROVISIONED_BY: P})
    at = bench(evolve(LOCAL, capacity={"n1": quantity("10Gi")}), old, asked(selected="n1"), mode=WFFC)
    at.sync("claims", asked())
    assert "ProvisioningFailed" in at.reasons


# --- distributed ----------------------------------------------------------------------------------------------------


def not_ready(node: Node) -> Node:
    return evolve(node, status=evolve(node.status, conditions=(Condition(type="Ready", status="Unknown"),)))


@pytest.mark.rule("VB-109")
def test_in_distributed_mode_only_the_selected_nodes_own_instance_acts() -> None:
    at = bench(evolve(LOCAL, distributed=True), not_ready(make_node("n2")), asked(selected="n2"), mode=WFFC)
    at.drain()
    assert at.events == []
    at.put(make_node("n2"))
    at.sync("claims", asked())
    assert place(at) == ("n2",)


@pytest.mark.rule("VB-109")
def test_in_distributed_mode_an_instance_makes_an_immediate_claim_its_own_after_a_while() -> None:
    at = bench(evolve(LOCAL, distributed=True, full_on=frozenset({"n1"})), asked())
    at.choose = lambda choice: choice.options[-1]
    at.drain()
    (choice,) = at.choices
    assert [option.name for option in choice.options] == ["n2", "n3"]
    assert at.sleeps[0] == ("provision-ownership", None)
    assert at.claim("c").metadata.annotations[SELECTED_NODE] == "n3"
    assert place(at) == ("n3",)


# --- deleting volumes -----------------------------------------------------------------------------------------------


def released(policy: str = "Delete", **meta: Any) -> PersistentVolume:
    volume = make_volume("v", phase="Released", storage_class="x", persistentVolumeReclaimPolicy=policy)
    return with_meta(with_annotations(volume, {PROVISIONED_BY: P}), **meta)


@pytest.mark.rule("VB-110")
def test_a_released_volume_is_deleted_and_then_its_finalizer_goes() -> None:
    at = bench(None, released(finalizers=(PROTECTS_ASSET,)))
    at.drain()
    assert at.store.get(PersistentVolume, "v") is None
    assert [verb for verb, _, _ in at.writes] == ["delete", "update"]
    assert at.sleeps == [("provision-delete", None)]


@pytest.mark.rule("VB-110")
@pytest.mark.parametrize("volume", [
    released("Retain"), evolve(released(), status=evolve(released().status, phase="Bound")),
    with_annotations(released(), {PROVISIONED_BY: None}),
    with_annotations(released(), {PROVISIONED_BY: "kubernetes.io/x"}),
], ids=["Retain", "not released", "not provisioned", "in-tree"])
def test_other_volumes_are_left_alone(volume: PersistentVolume) -> None:
    at = bench(None, volume)
    at.drain()
    at.sync("volumes", volume)
    assert at.writes == at.events == []


@pytest.mark.rule("VB-110")
def test_a_deletion_that_fails_is_said_and_tried_again() -> None:
    at = bench(StorageDriver(delete_error="still attached"), released())
    assert at.sync("volumes", released()) == Done(requeue_after=SECOND)
    assert at.sync("volumes", released()) == Done(requeue_after=2 * SECOND)
    assert set(at.events) == {("Warning", "VolumeFailedDelete", released().key, "still attached")}


@pytest.mark.rule("VB-103")
@pytest.mark.parametrize(("driver", "policy", "finalizers"), [
    (StorageDriver(), "Delete", (PROTECTS_ASSET,)), (StorageDriver(), "Retain", ()),
    (StorageDriver(finalizer=False), "Delete", ()),
])
def test_the_finalizer_guards_volumes_of_policy_delete(
    driver: StorageDriver, policy: str, finalizers: tuple[str, ...]
) -> None:
    at = bench(driver, asked(), reclaimPolicy=policy)
    at.drain()
    assert at.volume("pvc-uid-c").metadata.finalizers == finalizers


# --- with the volume controller -------------------------------------------------------------------------------------


class Pair:
    """The volume controller and the provisioner over one store, without delays."""

    def __init__(self, driver: StorageDriver, *objects: Object) -> None:
        self.made = Bench(ExternalProvisioner({P: driver}))
        self.bound = Bench(VolumeBinder())
        self.bound.store = self.made.store
        self.bound.view = type(self.bound.view)(self.made.store, self.bound.cache, self.bound, self.bound)
        first = self.made.store.on_change

        def both(change: Any) -> None:
            first(change)
            self.bound._changed(change)

        self.made.store.on_change = both
        for obj in objects:
            self.made.put(obj)
        self.work()

    def work(self) -> None:
        for _ in range(50):
            self.bound.drain()
            self.made.drain()
            if not self.bound.queue and not self.made.queue:
                return
        raise AssertionError("this does not come to an end")


def storage_class(mode: str) -> StorageClass:
    return make_class("x", mode=mode, provisioner=P)


@pytest.mark.rule("VB-77")
@pytest.mark.rule("VB-98")
def test_the_six_steps_of_dynamic_provisioning_in_their_order() -> None:
    pair = Pair(LOCAL, storage_class(WFFC), *NODES, make_claim("c", storage_class="x", uid="uid-c"))
    assert set(pair.bound.reasons) == {"WaitForFirstConsumer"}
    pair.made.put(with_annotations(pair.made.claim("c"), {SELECTED_NODE: "n2"}))
    pair.work()
    claim = pair.made.claim("c")
    assert claim.status.phase == pair.made.volume("pvc-uid-c").status.phase == "Bound"
    assert claim.spec.volume_name == "pvc-uid-c"
    assert place(pair.made) == ("n2",)
    assert claim.metadata.annotations[SELECTED_NODE] == "n2"
    assert "ExternalProvisioning" in pair.bound.reasons
    assert pair.made.reasons == ["Provisioning", "ProvisioningSucceeded"]


@pytest.mark.rule("VB-110")
def test_deleting_the_claim_deletes_the_volume() -> None:
    pair = Pair(LOCAL, storage_class("Immediate"), *NODES, make_claim("c", storage_class="x", uid="uid-c"))
    assert pair.made.claim("c").status.phase == "Bound"
    pair.made.remove(pair.made.claim("c"))
    pair.work()
    assert pair.made.store.list(PersistentVolume) == []


@pytest.mark.rule("VB-79")
def test_a_volume_that_comes_too_late_is_deleted_again() -> None:
    pair = Pair(LOCAL, storage_class("Immediate"), *NODES, make_volume("static", storage_class="x", phase="Available"),
                make_claim("c", storage_class="x", uid="uid-c"))
    assert pair.made.claim("c").spec.volume_name == "static"
    late = make_volume("pvc-uid-c", storage_class="x", persistentVolumeReclaimPolicy="Delete", claimRef={
        "namespace": "default", "name": "c", "uid": "uid-c"})
    pair.made.put(with_annotations(late, {PROVISIONED_BY: P}))
    pair.work()
    assert [volume.name for volume in pair.made.store.list(PersistentVolume)] == ["static"]
