"""Defaults and limits of the API that the workload lifecycle rests on, clause by clause."""

from __future__ import annotations

from typing import Any

import pytest
from api_server import Server

from simulator.api.core import Namespace, Pod
from simulator.api.meta import evolve, with_meta
from simulator.flows import Create
from simulator.testing.builders import make_claim, make_class, make_pod, make_set, make_volume
from simulator.units import SECOND


@pytest.mark.rule("WL-4")
def test_the_first_deletion_of_an_object_that_stays_counts_as_a_generation() -> None:
    server = Server()
    web = server.create(make_set("web"))
    server.delete(web, propagation="Foreground")
    once: Any = server.now_is(web)
    server.delete(web, propagation="Foreground")
    twice: Any = server.now_is(web)
    assert (web.metadata.generation, once.metadata.generation, twice.metadata.generation) == (1, 2, 2)
    claim = server.create(make_claim("c"))
    server.delete(claim)
    going: Any = server.now_is(claim)
    assert going.metadata.deletion_timestamp is not None
    assert going.metadata.generation == 0, "a claim has no generation"


@pytest.mark.rule("WL-11")
def test_a_volume_starts_pending_retained_and_dated_and_a_claim_pending() -> None:
    server = Server()
    server.now = 7 * SECOND
    volume = server.create(make_volume("v", persistentVolumeReclaimPolicy=""))
    assert (volume.status.phase, volume.spec.persistent_volume_reclaim_policy, volume.spec.volume_mode) == (
        "Pending", "Retain", "Filesystem")
    assert volume.status.last_phase_transition_time == 7 * SECOND
    claim = server.create(make_claim("c"))
    spec = claim.spec
    assert (claim.status.phase, spec.volume_mode, spec.storage_class_name) == ("Pending", "Filesystem", None)


@pytest.mark.rule("WL-11")
def test_a_claim_without_a_class_gets_the_default_and_a_class_deletes_where_a_volume_retains() -> None:
    server = Server()
    default = make_class("std", provisioner="x.io/y")
    default = with_meta(default, annotations={"storageclass.kubernetes.io/is-default-class": "true"})
    made = server.create(default)
    assert made.reclaim_policy == "Delete"
    assert server.create(make_claim("c")).spec.storage_class_name == "std"


@pytest.mark.rule("WL-14")
def test_the_volume_and_a_missing_class_of_a_claim_may_be_filled_in_once() -> None:
    server = Server()
    claim = server.create(make_claim("c"))
    claim = server.done(server.spec(claim, volume_name="v"))
    claim = server.done(server.spec(claim, storage_class_name="local"))
    for change in ({"volume_name": "w"}, {"volume_name": ""}, {"storage_class_name": "other"}):
        assert "spec is immutable after creation" in server.refused(server.spec(claim, **change)).message


@pytest.mark.rule("WL-88")
@pytest.mark.parametrize(
    ("own", "asked", "given"), [(30, None, 30), (30, 5, 5), (30, 60, 60), (-5, None, 1), (30, -1, 1)])
def test_the_grace_is_what_was_asked_for_else_the_pods_own_and_at_least_one_second(
    own: int, asked: int | None, given: int,
) -> None:
    server = Server()
    pod = make_pod("p", nodeName="n1", uid="u", terminationGracePeriodSeconds=own)
    loaded: Any = server.api.load(evolve(pod, status=evolve(pod.status, phase="Running")), 0)
    server.delete(loaded, grace=asked)
    going: Any = server.now_is(loaded)
    assert going.metadata.deletion_grace_period_seconds == given
    assert going.metadata.deletion_timestamp == given * SECOND


@pytest.mark.rule("WL-20")
@pytest.mark.rule("WL-6")
def test_the_host_name_of_a_set_of_a_long_name_is_refused_with_each_pod() -> None:
    server = Server()
    name = "a" * 62
    server.create(make_set(name, serviceName=""))
    pod = make_pod(f"{name}-0", labels={"statefulset.kubernetes.io/pod-name": f"{name}-0"}, hostname=f"{name}-0")
    message = server.refused(Create(pod)).message
    assert "metadata.labels: Invalid value" in message and "spec.hostname: Invalid value" in message


@pytest.mark.rule("WL-108")
def test_a_namespace_gets_its_deletion_time_and_its_phase_in_one_write() -> None:
    server = Server()
    shop = server.namespace("shop")
    server.changes.clear()
    server.delete(shop)
    (change,) = server.changes
    assert isinstance(change.new, Namespace)
    assert change.new.metadata.is_terminating and change.new.status.phase == "Terminating"


@pytest.mark.rule("WL-88")
@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_or_runs_nowhere_goes_at_once_whatever_grace_is_asked_for(phase: str) -> None:
    server = Server()
    waiting = server.create(make_pod("waiting"))
    server.delete(waiting, grace=60)
    done = make_pod("done", nodeName="n1", uid="u")
    loaded: Any = server.api.load(evolve(done, status=evolve(done.status, phase=phase)), 0)
    server.delete(loaded, grace=60)
    assert not server.store.list(Pod)
