from __future__ import annotations

from typing import Any

import pytest
from cluster_bench import Cluster, pod_on, running_on

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import PersistentVolumeClaim
from simulator.api.meta import Key, Object, OwnerReference, with_meta
from simulator.controllers.garbage_collector import GarbageCollector
from simulator.controllers.kubelet import Kubelet, stand_in
from simulator.testing.builders import make_claim, make_node, make_pod, make_set, make_volume
from simulator.units import SECOND

SET = Key("StatefulSet", "default", "web")
BLOCKED = ("kubernetes.io/pvc-protection",)


def owner(obj: Object, blocks: bool = True) -> OwnerReference:
    return OwnerReference(
        api_version=obj.API_VERSION, kind=obj.KIND, name=obj.name, uid=obj.metadata.uid, controller=True,
        block_owner_deletion=blocks,
    )


def cluster_of(*objects: Object, components: tuple[Any, ...] = ()) -> Cluster:
    cluster = Cluster(GarbageCollector(), *components, objects=[make_node("n1"), *objects])
    cluster.run(SECOND)
    return cluster


def web() -> StatefulSet:
    return with_meta(make_set("web"), uid="set")


def family() -> list[Object]:
    """A set with two running pods, a revision, a claim that it owns and a claim that it does not."""
    parent = web()
    pods = [with_meta(running_on("n1", f"web-{number}"), owner_references=(owner(parent),)) for number in range(2)]
    revision = with_meta(ControllerRevision(), name="web-1", namespace="default", owner_references=(owner(parent),))
    own = with_meta(make_claim("own"), owner_references=(owner(parent),), finalizers=BLOCKED)
    return [parent, *pods, revision, own, make_claim("free")]


def is_there(cluster: Cluster, kind: str, name: str) -> bool:
    return cluster.find(Key(kind, "default", name)) is not None


def release(cluster: Cluster, name: str) -> None:
    """What the protection controller does to a claim that nobody uses any more."""
    claim = cluster.get(PersistentVolumeClaim, name)
    if claim.metadata.is_terminating:
        cluster.world.store.remove(claim.key)


@pytest.mark.rule("WL-92")
def test_in_the_background_the_owner_goes_at_once_and_its_dependents_follow_with_their_own_grace() -> None:
    cluster = cluster_of(*family())
    cluster.delete(SET)
    assert not is_there(cluster, "StatefulSet", "web")
    cluster.run(SECOND)
    for number in range(2):
        pod = cluster.pod(f"web-{number}")
        assert pod is not None and pod.metadata.deletion_grace_period_seconds == 30
    assert not is_there(cluster, "ControllerRevision", "web-1")
    assert cluster.get(PersistentVolumeClaim, "own").metadata.is_terminating
    assert not cluster.get(PersistentVolumeClaim, "free").metadata.is_terminating


@pytest.mark.rule("WL-93")
def test_in_the_foreground_the_owner_stays_until_pods_and_owned_claims_are_gone() -> None:
    cluster = cluster_of(*family(), components=(Kubelet(stand_in()),))
    cluster.delete(SET, propagation="Foreground")
    cluster.run(5 * SECOND)
    assert cluster.pod("web-0") is None and cluster.pod("web-1") is None
    assert is_there(cluster, "StatefulSet", "web"), "its claim is still there"
    release(cluster, "own")
    cluster.run(SECOND)
    assert not is_there(cluster, "StatefulSet", "web")
    assert is_there(cluster, "PersistentVolumeClaim", "free")


@pytest.mark.rule("WL-93")
def test_dependents_that_do_not_block_do_not_hold_their_owner() -> None:
    parent = web()
    pod = with_meta(running_on("n1"), owner_references=(owner(parent, blocks=False),))
    cluster = cluster_of(parent, pod)
    cluster.delete(SET, propagation="Foreground")
    cluster.run(SECOND)
    assert not is_there(cluster, "StatefulSet", "web")
    found = cluster.pod("web-0")
    assert found is not None and found.metadata.is_terminating


@pytest.mark.rule("WL-94")
def test_orphaning_takes_the_references_off_pods_revisions_and_claims_and_keeps_them() -> None:
    cluster = cluster_of(*family())
    cluster.delete(SET, propagation="Orphan")
    cluster.run(SECOND)
    assert not is_there(cluster, "StatefulSet", "web")
    for key in (Key("Pod", "default", "web-0"), Key("ControllerRevision", "default", "web-1"),
                Key("PersistentVolumeClaim", "default", "own")):
        left = cluster.find(key)
        assert left is not None and not left.metadata.is_terminating and left.metadata.owner_references == ()


@pytest.mark.rule("WL-94")
def test_orphaning_leaves_references_to_a_pod_alone() -> None:
    parent, pod = web(), with_meta(running_on("n1"), uid="pod")
    claim = with_meta(make_claim("own"), owner_references=(owner(parent), owner(pod)), finalizers=BLOCKED)
    cluster = cluster_of(parent, pod, claim)
    cluster.delete(SET, propagation="Orphan")
    cluster.run(SECOND)
    assert [one.kind for one in cluster.get(PersistentVolumeClaim, "own").metadata.owner_references] == ["Pod"]


@pytest.mark.rule("WL-95")
def test_an_object_with_a_living_owner_stays_and_loses_only_the_dangling_reference() -> None:
    parent = web()
    gone = OwnerReference(api_version="v1", kind="Pod", name="gone", uid="gone")
    cluster = cluster_of(parent, with_meta(make_claim("own"), owner_references=(owner(parent), gone)))
    cluster.run(SECOND)
    claim = cluster.get(PersistentVolumeClaim, "own")
    assert [one.uid for one in claim.metadata.owner_references] == ["set"]


@pytest.mark.rule("WL-95")
def test_an_owner_of_the_same_name_and_another_uid_is_no_owner() -> None:
    stranger = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="former", controller=True)
    cluster = cluster_of(web(), with_meta(running_on("n1"), owner_references=(stranger,)))
    cluster.run(SECOND)
    pod = cluster.pod("web-0")
    assert pod is not None and pod.metadata.is_terminating


@pytest.mark.rule("WL-95")
def test_an_object_that_appears_after_its_owner_has_gone_is_deleted() -> None:
    cluster = cluster_of(web())
    cluster.delete(SET)
    cluster.run(SECOND)
    cluster.put(with_meta(make_claim("late"), owner_references=(owner(web()),)))
    cluster.run(SECOND)
    assert not is_there(cluster, "PersistentVolumeClaim", "late")


@pytest.mark.rule("WL-76")
def test_a_claim_goes_after_the_pod_that_owns_it() -> None:
    pod = with_meta(running_on("n1", "web-2"), uid="pod")
    claim = with_meta(make_claim("data-web-2"), owner_references=(owner(pod),))
    cluster = cluster_of(pod, claim, components=(Kubelet(stand_in()),))
    cluster.delete(pod)
    cluster.run(50_000)
    assert is_there(cluster, "PersistentVolumeClaim", "data-web-2")
    cluster.run(SECOND)
    assert not is_there(cluster, "PersistentVolumeClaim", "data-web-2")


@pytest.mark.parametrize(("api_version", "kind"), [("apps/v1", "ReplicaSet"), ("example.com/v1", "StatefulSet")])
def test_owners_that_are_not_simulated_count_as_living(api_version: str, kind: str) -> None:
    elsewhere = OwnerReference(api_version=api_version, kind=kind, name="app", uid="app", controller=True)
    cluster = cluster_of(with_meta(running_on("n1"), owner_references=(elsewhere,)))
    cluster.run(10 * SECOND)
    pod = cluster.pod("web-0")
    assert pod is not None and not pod.metadata.is_terminating and pod.metadata.owner_references == (elsewhere,)


def test_a_cluster_scoped_owner_is_found_from_any_namespace() -> None:
    node = with_meta(make_node("n2"), uid="node")
    volume = with_meta(make_volume("local-pv"), owner_references=(owner(node),))
    cluster = cluster_of(node, volume)
    cluster.run(SECOND)
    assert cluster.find(volume.key) is not None
    cluster.delete(node)
    cluster.run(SECOND)
    assert cluster.find(volume.key) is None


@pytest.mark.rule("WL-95")
def test_an_owner_that_waits_for_its_dependents_is_no_living_owner() -> None:
    parent = web()
    pod = with_meta(running_on("n1"), uid="pod", owner_references=(owner(parent),))
    claim = with_meta(make_claim("data"), owner_references=(owner(pod),), finalizers=BLOCKED)
    cluster = cluster_of(parent, pod, claim, components=(Kubelet(stand_in()),))
    cluster.delete(SET, propagation="Foreground")
    cluster.run(5 * SECOND)
    found = cluster.pod("web-0")
    assert found is not None and "foregroundDeletion" in found.metadata.finalizers, "it has dependents of its own"
    release(cluster, "data")
    cluster.run(5 * SECOND)
    assert cluster.pod("web-0") is None and not is_there(cluster, "StatefulSet", "web")


def test_two_objects_that_own_each_other_do_not_wait_for_ever() -> None:
    first, second = with_meta(make_claim("a"), uid="a"), with_meta(make_claim("b"), uid="b")
    cluster = cluster_of(with_meta(first, owner_references=(owner(second),)),
                         with_meta(second, owner_references=(owner(first),)))
    cluster.delete(first, propagation="Foreground")
    cluster.run(5 * SECOND)
    assert not is_there(cluster, "PersistentVolumeClaim", "a") and not is_there(cluster, "PersistentVolumeClaim", "b")


def test_objects_without_owners_are_never_looked_at() -> None:
    cluster = cluster_of(make_pod("loner"), pod_on("n1"))
    assert len(cluster.world.log.entries) == 3
    assert cluster.pod("loner") is not None
