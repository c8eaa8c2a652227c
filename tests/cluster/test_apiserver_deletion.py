from __future__ import annotations

from typing import Any

import pytest
from api_server import Server

from simulator.api.core import Namespace
from simulator.api.meta import decode, evolve, with_meta
from simulator.flows import Create, Delete, Patch
from simulator.testing.builders import make_claim, make_node, make_pod, make_set, make_volume
from simulator.units import SECOND


def running(server: Server, name: str = "p", **spec: Any) -> Any:
    pod = server.create(make_pod(name, nodeName="n1", **spec))
    return server.status(pod, phase="Running")


def times(obj: Any) -> tuple[Any, Any]:
    return obj.metadata.deletion_timestamp, obj.metadata.deletion_grace_period_seconds


# --- pods -------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-88")
@pytest.mark.parametrize(
    ("own", "asked", "grace"), [(None, None, 30), (10, None, 10), (10, 3, 3), (10, -4, 1), (-9, None, 1)]
)
def test_a_pod_on_a_node_gets_its_grace(server: Server, own: Any, asked: Any, grace: int) -> None:
    pod = running(server, **({"terminationGracePeriodSeconds": own} if own is not None else {}))
    server.now = 5 * SECOND
    going = server.delete(pod, grace=asked)
    assert times(going) == ((5 + grace) * SECOND, grace)
    assert going.metadata.generation == 2
    assert server.now_is(pod) is going


@pytest.mark.rule("WL-88")
def test_a_pod_on_no_node_goes_at_once_and_is_seen_to_go(server: Server) -> None:
    pod = server.create(make_pod("p"))
    server.now = 3
    assert server.delete(pod) is None
    assert server.now_is(pod) is None
    marked, removed = server.changes[-2:]
    assert times(marked.new) == (3, 0)
    assert removed.new is None


@pytest.mark.rule("WL-88")
@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_goes_at_once(server: Server, phase: str) -> None:
    assert server.delete(server.status(running(server), phase=phase)) is None


@pytest.mark.rule("WL-88")
def test_grace_zero_removes_a_pod_unless_finalizers_remain(server: Server) -> None:
    assert server.delete(running(server), grace=0) is None
    held = server.create(with_meta(make_pod("q", nodeName="n1"), finalizers=("a.b/c",)))
    server.now = 9
    held = server.delete(held, grace=0)
    assert times(held) == (9, 0)
    assert server.update(with_meta(held, finalizers=())) is not None  # it is answered as it was when it went
    assert server.now_is(held) is None


@pytest.mark.rule("WL-89")
def test_a_second_delete_only_shortens_the_grace(server: Server) -> None:
    going = server.delete(running(server))
    version = server.store.version
    for asked in (None, 30, 60):
        assert server.delete(going, grace=asked) is going
    assert server.store.version == version
    server.now = 2 * SECOND
    going = server.delete(going, grace=10)
    assert times(going) == (10 * SECOND, 10)
    assert going.metadata.generation == 2


@pytest.mark.rule("WL-89")
def test_a_grace_that_is_over_already_leaves_one_second(server: Server) -> None:
    going = server.delete(running(server))
    server.now = 20 * SECOND
    assert times(server.delete(going, grace=10)) == (20 * SECOND, 1)


@pytest.mark.rule("WL-89")
def test_a_second_delete_with_no_grace_removes_the_pod(server: Server) -> None:
    going = server.delete(running(server))
    seen = len(server.changes)
    assert server.delete(going, grace=0) is None
    assert [change.new for change in server.changes[seen:]] == [None]


@pytest.mark.rule("WL-88")
def test_finalizers_keep_a_pod_beyond_its_grace(server: Server) -> None:
    pod = server.create(with_meta(make_pod("p", nodeName="n1"), finalizers=("a.b/c",)))
    going = server.delete(pod)
    freed = server.update(with_meta(going, finalizers=()))
    assert freed is not None  # its grace runs: only the kubelet ends it
    assert server.delete(freed, grace=0) is None


# --- other kinds ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-90")
def test_an_object_without_finalizers_goes_at_once(server: Server) -> None:
    for obj in (make_node("n"), make_set("web")):
        assert server.delete(server.create(obj)) is None
        assert server.now_is(obj) is None


@pytest.mark.rule("WL-90")
@pytest.mark.rule("VB-169")
def test_an_object_with_finalizers_waits_for_them(server: Server) -> None:
    claim = server.create(make_claim("c"))
    server.now = 4
    going = server.delete(claim)
    assert times(going) == (4, 0)
    server.now = 6
    assert server.delete(going) is going
    assert server.done(Patch(going.key, with_meta_finalizers, ((),))) is not None
    assert server.now_is(claim) is None
    assert server.changes[-1].new is None


def with_meta_finalizers(obj: Any, finalizers: tuple[str, ...]) -> Any:
    return with_meta(obj, finalizers=finalizers)


def test_an_object_that_is_not_going_may_lose_its_finalizers(server: Server) -> None:
    claim = server.create(make_claim("c"))
    assert server.update(with_meta(claim, finalizers=())).metadata.finalizers == ()


def test_what_is_not_there_cannot_be_deleted(server: Server) -> None:
    refused = server.refused(Delete(make_pod("p").key))
    assert (refused.reason, refused.message) == ("NotFound", 'pods "p" not found')


@pytest.mark.rule("WL-95")
def test_preconditions_must_hold(server: Server) -> None:
    web = server.create(make_set("web"))
    refused = server.refused(Delete(web.key, uid="other"))
    assert refused.message == (
        'Operation cannot be fulfilled on StatefulSet.apps "web": the UID in the precondition (other) '
        "does not match the UID "
        f"in record ({web.metadata.uid}). The object might have been deleted and then recreated"
    )
    stale = web.metadata.resource_version
    web = server.update(with_meta(web, labels={"a": "b"}))
    refused = server.refused(Delete(web.key, uid=web.metadata.uid, resource_version=stale))
    assert (refused.code, refused.message) == (
        409,
        'Operation cannot be fulfilled on StatefulSet.apps "web": the ResourceVersion in the '
        f"precondition ({stale}) does "
        f"not match the ResourceVersion in record ({web.metadata.resource_version}). The object might "
        "have been modified",
    )
    assert server.delete(web, uid=web.metadata.uid, resource_version=web.metadata.resource_version) is None


# --- propagation ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-91")
@pytest.mark.rule("WL-92")
def test_in_the_background_an_owner_vanishes_at_once(server: Server) -> None:
    assert server.delete(server.create(make_set("web")), propagation="Background") is None


@pytest.mark.rule("WL-93")
@pytest.mark.rule("WL-94")
@pytest.mark.parametrize(("propagation", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_other_propagations_leave_a_finalizer_for_the_collector(
    server: Server, propagation: str, finalizer: str
) -> None:
    web = server.create(make_set("web"))
    server.now = 7
    going = server.delete(web, propagation=propagation)
    assert going.metadata.finalizers == (finalizer,)
    assert times(going) == (7, 0)
    assert server.update(with_meta(going, finalizers=())) is not None  # it is answered as it was when it went


@pytest.mark.rule("WL-91")
def test_a_finalizer_on_the_object_decides_where_the_request_does_not(server: Server) -> None:
    web = server.create(with_meta(make_set("web"), finalizers=("orphan",)))
    assert server.delete(web).metadata.finalizers == ("orphan",)
    web = server.create(with_meta(make_set("db"), finalizers=("orphan",)))
    assert server.delete(web, propagation="Background") is None
    web = server.create(with_meta(make_set("kv"), finalizers=("orphan", "a.b/c")))
    assert server.delete(web, propagation="Foreground").metadata.finalizers == ("a.b/c", "foregroundDeletion")


@pytest.mark.rule("WL-93")
def test_a_pod_can_be_deleted_in_the_foreground_too(server: Server) -> None:
    going = server.delete(running(server), propagation="Foreground")
    assert going.metadata.finalizers == ("foregroundDeletion",)
    assert times(going) == (30 * SECOND, 30)


# --- namespaces -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-108")
def test_a_namespace_is_terminating_until_it_is_emptied(server: Server) -> None:
    namespace = server.namespace("shop")
    server.now = 2
    going = server.delete(namespace)
    assert (going.status.phase, going.metadata.deletion_timestamp) == ("Terminating", 2)
    assert server.delete(going) is going
    assert server.refused(Create(make_claim("c", namespace="shop"))).code == 403
    assert server.done(server.edit(going.key, finalizers=())) is not None  # it is answered as it was when it went
    assert server.now_is(namespace) is None


def test_the_finalizer_of_a_live_namespace_stays(server: Server) -> None:
    namespace = server.namespace("shop")
    assert server.done(server.edit(namespace.key, finalizers=())) is namespace


def test_a_namespace_with_other_finalizers_waits_for_them_too(server: Server) -> None:
    namespace = server.create(decode({"metadata": {"name": "shop", "finalizers": ["a.b/c"]}}, Namespace))
    going = server.done(server.edit(server.delete(namespace).key, finalizers=()))
    assert going.spec.finalizers == ()
    assert server.update(with_meta(going, finalizers=())) is not None  # it is answered as it was when it went


def test_some_namespaces_may_not_be_deleted(server: Server) -> None:
    default = server.namespace("default")
    assert server.refused(Delete(default.key)).message == (
        'namespaces "default" is forbidden: this namespace may not be deleted'
    )


def test_a_volume_in_use_is_held_by_its_finalizer(server: Server) -> None:
    volume = server.status(server.create(make_volume("v", node="n")), phase="Bound")
    going = server.delete(volume)
    assert going.metadata.finalizers == ("kubernetes.io/pv-protection",)
    changed = server.update(
        evolve(going, spec=evolve(going.spec, claim_ref=None), metadata=evolve(going.metadata, labels={"a": "b"}))
    )
    assert changed.metadata.deletion_timestamp == 0
