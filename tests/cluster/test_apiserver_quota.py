from __future__ import annotations

from typing import Any

import pytest
from api_server import Server

from simulator.api.core import ResourceQuota
from simulator.api.meta import decode, evolve, with_meta
from simulator.flows import Create
from simulator.testing.builders import make_claim, make_class, make_pod, make_set


def a_quota(server: Server, name: str = "q", scopes: tuple[str, ...] = (), **hard: str) -> Any:
    return server.create(quota(name, scopes, {key.replace("__", "."): value for key, value in hard.items()}))


def quota(name: str, scopes: tuple[str, ...], hard: Any) -> ResourceQuota:
    return decode(
        {"metadata": {"name": name, "namespace": "default"}, "spec": {"hard": hard, "scopes": list(scopes)}},
        ResourceQuota,
    )


def used(server: Server, made: Any) -> dict[str, str]:
    now: Any = server.now_is(made)
    return {name: str(amount) for name, amount in now.status.used.items()}


def test_a_third_claim_exceeds_a_quota_of_two(server: Server) -> None:
    made = a_quota(server, persistentvolumeclaims="2")
    server.create(make_claim("data-web-0"))
    server.create(make_claim("data-web-1"))
    refused = server.refused(Create(make_claim("data-web-2")))
    assert (refused.reason, refused.code, refused.message) == (
        "Forbidden",
        403,
        'persistentvolumeclaims "data-web-2" is forbidden: exceeded quota: q, requested: '
        "persistentvolumeclaims=1, used: persistentvolumeclaims=2, limited: persistentvolumeclaims=2",
    )
    assert used(server, made) == {"persistentvolumeclaims": "2"}


def test_storage_is_counted_in_all_and_by_class(server: Server) -> None:
    hard = {
        "requests.storage": "10Gi",
        "gold.storageclass.storage.k8s.io/requests.storage": "4Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "2",
        "count/persistentvolumeclaims": "9",
    }
    made = server.create(quota("q", (), hard))
    server.create(make_claim("a", request="3Gi", storage_class="gold"))
    server.create(make_claim("b", request="3Gi", storage_class="tin"))
    assert used(server, made) == {
        "requests.storage": "6Gi",
        "gold.storageclass.storage.k8s.io/requests.storage": "3Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "count/persistentvolumeclaims": "2",
    }
    assert server.refused(Create(make_claim("c", request="2Gi", storage_class="gold"))).message.endswith(
        "exceeded quota: q, requested: gold.storageclass.storage.k8s.io/requests.storage=2Gi, used: "
        "gold.storageclass.storage.k8s.io/requests.storage=3Gi, limited: "
        "gold.storageclass.storage.k8s.io/requests.storage=4Gi"
    )
    server.create(make_claim("d", request="4Gi", storage_class="tin"))


def test_all_resources_that_are_exceeded_are_told_in_order(server: Server) -> None:
    a_quota(server, pods="0", requests__cpu="1")
    pod = make_pod("p", cpu="2")
    assert server.refused(Create(pod)).message == (
        'pods "p" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=2, used: '
        "pods=0,requests.cpu=0, limited: "
        "pods=0,requests.cpu=1"
    )


def test_compute_resources_under_a_quota_must_be_said(server: Server) -> None:
    a_quota(server, requests__cpu="1", limits__memory="1Gi")
    assert server.refused(Create(make_pod("p"))).message == (
        'pods "p" is forbidden: failed quota: q: must specify limits.memory for: main; requests.cpu for: main'
    )


def test_cpu_and_memory_of_pods_add_up(server: Server) -> None:
    made = server.create(quota("q", (), {"cpu": "2", "memory": "2Gi", "pods": "5", "count/pods": "5"}))
    for name in "ab":
        server.create(make_pod(name, cpu="500m", memory="512Mi"))
    assert used(server, made) == {"cpu": "1", "memory": "1Gi", "pods": "2", "count/pods": "2"}


def test_what_is_deleted_or_finished_is_given_back(server: Server) -> None:
    made = a_quota(server, pods="1", persistentvolumeclaims="1")
    first = server.create(make_pod("a", nodeName="n"))
    assert server.refused(Create(make_pod("b"))).code == 403
    server.status(first, phase="Failed")
    assert used(server, made)["pods"] == "0"
    second = server.create(make_pod("b"))
    server.delete(second)
    claim = server.delete(server.create(make_claim("c")))
    assert used(server, made) == {"pods": "0", "persistentvolumeclaims": "1"}
    server.update(with_meta(claim, finalizers=()))
    assert used(server, made)["persistentvolumeclaims"] == "0"


def test_a_new_quota_counts_what_is_there(server: Server) -> None:
    server.create(make_claim("a", request="3Gi"))
    server.create(make_set("web"))
    made = server.create(
        quota("q", (), {"requests.storage": "1Gi", "count/statefulsets.apps": "1", "resourcequotas": "2"})
    )
    assert used(server, made) == {"requests.storage": "3Gi", "count/statefulsets.apps": "1", "resourcequotas": "1"}
    assert server.refused(Create(make_set("db"))).message.startswith(
        'statefulsets.apps "db" is forbidden: exceeded quota: q, requested: count/statefulsets.apps=1'
    )


def test_a_changed_quota_counts_anew(server: Server) -> None:
    made = a_quota(server, pods="3")
    server.create(make_claim("a"))
    changed = server.done(
        server.spec(server.now_is(made), hard=quota("x", (), {"persistentvolumeclaims": "1"}).spec.hard)
    )
    assert {name: str(amount) for name, amount in changed.status.used.items()} == {"persistentvolumeclaims": "1"}


def test_a_claim_may_grow_as_far_as_the_quota_goes(server: Server) -> None:
    server.create(make_class("grow", provisioner="x.io/y", allowVolumeExpansion=True))
    made = a_quota(server, requests__storage="10Gi")
    claim = server.done(
        server.spec(server.create(make_claim("c", request="5Gi", storage_class="grow")), volume_name="v")
    )
    claim = server.status(claim, phase="Bound", capacity=claim.spec.resources.requests)
    for size, fits in (("11Gi", False), ("10Gi", True)):
        resources = evolve(claim.spec.resources, requests=make_claim("x", request=size).spec.resources.requests)
        write = server.spec(claim, resources=resources)
        if fits:
            server.done(write)
        else:
            assert "exceeded quota: q, requested: requests.storage=6Gi, used: requests.storage=5Gi" in (
                server.refused(write).message
            )
    assert used(server, made) == {"requests.storage": "10Gi"}


def test_a_name_that_is_taken_costs_nothing(server: Server) -> None:
    made = a_quota(server, pods="5")
    server.create(make_pod("p"))
    assert server.refused(Create(make_pod("p"))).reason == "AlreadyExists"
    assert used(server, made) == {"pods": "1"}


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        ("BestEffort", 1),
        ("NotBestEffort", 1),
        ("Terminating", 1),
        ("NotTerminating", 2),
        ("PriorityClass", 1),
    ],
)
def test_a_quota_with_scopes_looks_at_some_pods_only(server: Server, scope: str, counted: int) -> None:
    made = a_quota(server, scopes=(scope,), pods="10")
    server.create(make_claim("c"))
    server.create(make_pod("a"))
    server.create(make_pod("b", cpu="1", priorityClassName="system-node-critical"))
    if scope in ("Terminating", "NotTerminating"):
        server.create(make_pod("c", activeDeadlineSeconds=5))
    assert used(server, made) == {"pods": str(counted)}


def test_a_quota_elsewhere_does_not_count(server: Server) -> None:
    server.namespace("other")
    made = a_quota(server, persistentvolumeclaims="1")
    server.create(make_claim("a", namespace="other"))
    assert used(server, made) == {"persistentvolumeclaims": "0"}


def test_a_negative_limit_is_refused(server: Server) -> None:
    assert server.refused(Create(quota("q", (), {"pods": "-1"}))).message == (
        'ResourceQuota "q" is invalid: spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0'
    )
