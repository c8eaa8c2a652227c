from __future__ import annotations

from typing import Any

import pytest
from api_server import Server

from simulator.api.core import Condition
from simulator.api.meta import Key, evolve, with_annotations, with_meta
from simulator.cluster.admission.apply import merge_patch
from simulator.flows import Bind, Patch, Refused, Update, UpdateStatus
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_set, make_volume

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-20")
@pytest.mark.parametrize(
    ("obj", "resource"),
    [
        (make_claim("x"), "persistentvolumeclaims"),
        (make_set("x"), "statefulsets.apps"),
        (make_volume("x", node="n"), "persistentvolumes"),
        (make_class("x"), "storageclasses.storage.k8s.io"),
    ],
)
def test_a_write_based_on_an_old_version_is_refused(server: Server, obj: Any, resource: str) -> None:
    first = server.create(obj)
    server.update(with_meta(first, labels={"a": "1"}))
    refused = server.refused(Update(with_meta(first, labels={"a": "2"})))
    assert (refused.reason, refused.code, refused.message) == (
        "Conflict",
        409,
        f'Operation cannot be fulfilled on {resource} "x": {MODIFIED}',
    )


@pytest.mark.rule("VB-20")
def test_a_status_write_based_on_an_old_version_is_refused(server: Server) -> None:
    pod = server.create(make_pod("p"))
    server.status(pod, phase="Running")
    refused = server.refused(UpdateStatus(evolve(pod, status=evolve(pod.status, phase="Failed"))))
    assert refused.message == f'Operation cannot be fulfilled on pods "p": {MODIFIED}'


@pytest.mark.rule("VB-20")
def test_a_write_that_changes_nothing_keeps_the_version(server: Server) -> None:
    claim = server.create(make_claim("c"))
    version, seen = server.store.version, len(server.changes)
    assert server.update(evolve(claim)) is claim
    assert server.update(evolve(claim, spec=evolve(claim.spec, resources=evolve(claim.spec.resources)))) is claim
    assert server.done(UpdateStatus(evolve(claim, status=evolve(claim.status)))) is claim
    assert server.done(Patch(claim.key, evolve)) is claim
    assert (server.store.version, len(server.changes)) == (version, seen)


def test_a_write_without_version_is_taken_as_it_is_where_kubernetes_allows_it(server: Server) -> None:
    pod = server.create(make_pod("p"))
    assert server.update(with_meta(pod, resource_version=0, labels={"a": "1"})).metadata.labels == {"a": "1"}
    budget = server.manifest({"kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {"minAvailable": 1}})
    assert server.refused(Update(with_meta(budget, resource_version=0))).message == (
        'poddisruptionbudgets.policy "b" is invalid: metadata.resourceVersion: Invalid value: 0: must '
        "be specified for an "
        "update"
    )


def test_a_write_to_what_is_not_there_is_refused(server: Server) -> None:
    assert server.refused(Update(make_set("web"))).message == 'statefulsets.apps "web" not found'
    assert server.refused(Patch(Key("Pod", "default", "p"), evolve)).message == 'pods "p" not found'
    assert server.refused(Bind(Key("Pod", "default", "p"), "u", "n")).code == 404


def test_a_write_to_a_successor_of_the_same_name_is_refused(server: Server) -> None:
    pod = server.create(make_pod("p"))
    server.delete(pod)
    new = server.create(make_pod("p"))
    message = server.refused(Update(pod)).message
    assert message.startswith(
        'Operation cannot be fulfilled on pods "p": StorageError: invalid object, Code: 4, Key: '
        "/registry/pods/default/p, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID "
    )
    assert message.endswith(f"UID in precondition: {pod.metadata.uid}, UID in object meta: {new.metadata.uid}")
    assert server.refused(Patch(new.key, evolve, uid=pod.metadata.uid)).reason == "NotFound"


# --- what only the server sets ----------------------------------------------------------------------------------------


def test_times_uid_and_generation_are_the_servers(server: Server) -> None:
    web = server.create(make_set("web"))
    forged = with_meta(
        web,
        uid="",
        creation_timestamp=99,
        deletion_timestamp=98,
        deletion_grace_period_seconds=5,
        generation=50,
        labels={"a": "b"},
    )
    changed = server.update(forged)
    assert changed.metadata == evolve(web.metadata, labels={"a": "b"}, resource_version=server.store.version)


def test_a_name_cannot_be_patched(server: Server) -> None:
    pod = server.create(make_pod("p"))
    assert server.refused(Patch(pod.key, with_meta_named, ("q",))).message == (
        'Pod "p" is invalid: metadata.name: Invalid value: "q": field is immutable'
    )


def with_meta_named(obj: Any, name: str) -> Any:
    return with_meta(obj, name=name)


@pytest.mark.rule("WL-4")
def test_only_a_change_of_the_spec_counts_as_a_generation(server: Server) -> None:
    web = server.create(make_set("web"))
    web = server.update(with_annotations(web, {"a": "b"}))
    web = server.status(web, replicas=1)
    assert web.metadata.generation == 1
    web = server.done(server.spec(web, replicas=5))
    assert web.metadata.generation == 2
    assert server.delete(web, propagation="Foreground").metadata.generation == 3


@pytest.mark.rule("WL-4")
def test_status_writes_leave_the_spec_alone_and_spec_writes_the_status(server: Server) -> None:
    web = server.create(make_set("web"))
    both = evolve(web, spec=evolve(web.spec, replicas=7), status=evolve(web.status, replicas=2))
    written = server.done(UpdateStatus(both))
    assert (written.spec.replicas, written.status.replicas) == (3, 2)
    both = evolve(written, spec=evolve(web.spec, replicas=7), status=evolve(web.status, replicas=0))
    written = server.update(both)
    assert (written.spec.replicas, written.status.replicas) == (7, 2)


def test_a_patch_goes_to_the_part_it_names(server: Server) -> None:
    pod = server.create(make_pod("p"))
    after = server.done(Patch(pod.key, phased, ("Running",), subresource="status"))
    assert after.status.phase == "Running"
    assert server.done(Patch(pod.key, phased, ("Failed",))) is after


def phased(pod: Any, phase: str) -> Any:
    return evolve(pod, status=evolve(pod.status, phase=phase))


def test_a_patch_that_makes_no_object_is_refused(server: Server) -> None:
    pod = server.create(make_pod("p"))
    refused = server.refused(Patch(pod.key, merge_patch, ({"spec": {"containers": 5}},)))
    assert (refused.reason, refused.code) == ("BadRequest", 400)


@pytest.mark.rule("VB-4")
def test_a_phase_change_of_a_volume_is_dated(server: Server) -> None:
    volume = server.create(make_volume("v", node="n"))
    server.now = 5
    volume = server.status(volume, phase="Available")
    assert volume.status.last_phase_transition_time == 5
    server.now = 8
    volume = server.status(volume, message="hello")
    assert volume.status.last_phase_transition_time == 5
    assert server.status(volume, phase="Bound").status.last_phase_transition_time == 8


def test_owners_of_a_pod_are_not_changed_with_its_status(server: Server) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "u", "controller": True}
    pod = server.manifest(
        {
            "kind": "Pod",
            "metadata": {"name": "p", "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "c", "image": "x"}]},
        }
    )
    stripped = with_meta(pod, owner_references=())
    after = server.done(UpdateStatus(evolve(stripped, status=evolve(pod.status, phase="Running", qos_class=""))))
    assert after.metadata.owner_references == pod.metadata.owner_references
    assert after.status.qos_class == "BestEffort"


def test_a_terminating_object_gets_no_new_finalizer(server: Server) -> None:
    claim = server.delete(server.create(make_claim("c")))
    refused = server.refused(Update(with_meta(claim, finalizers=(*claim.metadata.finalizers, "a.b/c"))))
    assert refused.message == (
        'PersistentVolumeClaim "c" is invalid: metadata.finalizers: Forbidden: no new finalizers can be '
        "added if the object is "
        'being deleted, found new finalizers []string{"a.b/c"}'
    )


# --- binding ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-103")
def test_a_binding_sets_node_and_condition_and_clears_the_nomination(server: Server) -> None:
    pod = server.status(
        server.create(make_pod("p")),
        nominated_node_name="n9",
        conditions=(
            Condition(
                type="PodScheduled", status="False", reason="Unschedulable", message="0/1", last_transition_time=0
            ),
        ),
    )
    server.now = 4
    after = server.done(Bind(pod.key, pod.metadata.uid, "n1"))
    assert (after.spec.node_name, after.status.nominated_node_name) == ("n1", "")
    assert after.status.conditions == (Condition(type="PodScheduled", status="True", last_transition_time=4),)
    assert after.metadata.generation == 1


@pytest.mark.rule("SC-103")
def test_a_binding_is_refused_for_another_pod_of_the_name(server: Server) -> None:
    pod = server.create(make_pod("p"))
    message = server.refused(Bind(pod.key, "other", "n1")).message
    assert message.endswith(f"Precondition failed: UID in precondition: other, UID in object meta: {pod.metadata.uid}")


@pytest.mark.rule("SC-103")
def test_a_pod_is_bound_once_and_not_while_it_is_gated_or_going(server: Server) -> None:
    on_node = server.create(make_pod("p", nodeName="n1"))
    gated = server.create(make_pod("g", schedulingGates=[{"name": "a.b/c"}]))
    going = server.delete(server.create(with_meta(make_pod("d"), finalizers=("a.b/c",))))
    for pod, why in (
        (on_node, 'pod p is already assigned to node "n1"'),
        (gated, "pod g has non-empty .spec.schedulingGates"),
        (going, "pod d is being deleted, cannot be assigned to a host"),
    ):
        refused = server.refused(Bind(pod.key, pod.metadata.uid, "n2"))
        name = pod.metadata.name
        assert (refused.code, refused.message) == (
            409,
            f'Operation cannot be fulfilled on pods/binding "{name}": {why}',
        )


def test_a_bound_pod_carries_zone_and_region_of_its_node(server: Server) -> None:
    zone = {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"}
    server.create(make_node("n1", labels={**zone, "disk": "ssd"}))
    pod = server.create(make_pod("p", labels={"app": "web"}))
    assert server.done(Bind(pod.key, pod.metadata.uid, "n1")).metadata.labels == {"app": "web", **zone}
    assert server.create(make_pod("q", nodeName="n1")).metadata.labels == zone


def test_refusals_print_their_message(server: Server) -> None:
    refused = server.refused(Update(make_pod("p")))
    assert isinstance(refused, Refused)
    assert str(refused) == 'pods "p" not found'
