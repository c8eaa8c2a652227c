from __future__ import annotations

from typing import Any

import pytest
from cluster_bench import Cluster, running_on

from simulator.api.core import Namespace, NamespaceSpec, NamespaceStatus, Pod
from simulator.api.meta import Key, Object, evolve, with_meta
from simulator.controllers.kubelet import Kubelet, stand_in
from simulator.controllers.namespace import NamespaceController
from simulator.flows import Create, Refused
from simulator.testing.builders import make_claim, make_node, make_set
from simulator.units import MINUTE, SECOND

SHOP = Key("Namespace", "", "shop")


def in_shop(obj: Any, **changes: Any) -> Any:
    return with_meta(obj, namespace="shop", **changes)


def shop(*objects: Object, components: tuple[Any, ...] = (Kubelet(stand_in()),)) -> Cluster:
    """A cluster whose namespace shop has just been deleted."""
    namespace = Namespace(spec=NamespaceSpec(finalizers=("kubernetes",)), status=NamespaceStatus(phase="Active"))
    cluster = Cluster(NamespaceController(), *components, objects=[
        make_node("n1"), with_meta(namespace, name="shop"), *(in_shop(obj) for obj in objects)])
    cluster.run(SECOND)
    cluster.delete(SHOP)
    return cluster


def conditions(cluster: Cluster) -> dict[str, tuple[str, str, str]]:
    found = cluster.find(SHOP)
    assert isinstance(found, Namespace)
    return {one.type: (one.status, one.reason, one.message) for one in found.status.conditions}


def when_gone(cluster: Cluster, kind: str, name: str) -> int:
    gone = Key(kind, "shop" if kind != "Namespace" else "", name)
    return cluster.first_time(lambda key, obj: key == gone and obj is None)


@pytest.mark.rule("WL-108")
def test_a_terminating_namespace_takes_nothing_new_and_is_left_alone_for_five_seconds() -> None:
    cluster = shop(make_claim("data"))
    found = cluster.find(SHOP)
    assert isinstance(found, Namespace) and found.status.phase == "Terminating"
    answer = cluster.write(Create(in_shop(make_claim("late"))))
    assert isinstance(answer, Refused) and answer.code == 403
    assert "because it is being terminated" in answer.message
    cluster.run(4900_000)
    assert cluster.find(Key("PersistentVolumeClaim", "shop", "data")) is not None


@pytest.mark.rule("WL-109")
def test_pods_go_first_then_all_else_then_the_namespace() -> None:
    cluster = shop(make_set("web"), make_claim("data"), running_on("n1", "web-0"), running_on("n1", "web-1"))
    cluster.run(2 * MINUTE)
    pods = max(when_gone(cluster, "Pod", f"web-{number}") for number in range(2))
    rest = [when_gone(cluster, "StatefulSet", "web"), when_gone(cluster, "PersistentVolumeClaim", "data")]
    assert pods < min(rest) and max(rest) < when_gone(cluster, "Namespace", "shop")


@pytest.mark.rule("WL-109")
def test_while_a_pod_remains_nothing_else_is_touched() -> None:
    cluster = shop(make_claim("data"), running_on("n1", "web-0"), components=())
    cluster.run(30 * SECOND)
    assert cluster.find(Key("PersistentVolumeClaim", "shop", "data")) is not None
    pod = cluster.find(Key("Pod", "shop", "web-0"))
    assert isinstance(pod, Pod) and pod.metadata.deletion_grace_period_seconds == 30
    waiting = conditions(cluster)
    assert waiting["NamespaceContentRemaining"][:2] == ("False", "ContentRemoved")  # WL-112
    assert waiting["NamespaceFinalizersRemaining"][:2] == ("False", "ContentHasNoFinalizers")


@pytest.mark.rule("WL-110")
def test_the_next_look_comes_five_seconds_after_the_namespace_changed_or_after_half_the_grace() -> None:
    cluster = shop(running_on("n1", "web-0"), components=())
    deleted = cluster.now
    cluster.run(5500_000)
    assert conditions(cluster)
    looks = [cluster.world.runtimes["namespace-controller"].queues["namespaces"].waiting[SHOP] - deleted]
    cluster.run(5 * SECOND)
    looks.append(cluster.world.runtimes["namespace-controller"].queues["namespaces"].waiting[SHOP] - deleted)
    assert [look // SECOND for look in looks] == [10, 26], "30 s / 2 + 1 s"


@pytest.mark.rule("WL-110")
def test_pods_that_nobody_ends_leave_the_namespace_stuck_until_they_are_forced() -> None:
    cluster = shop(running_on("n1", "web-0"), components=())
    cluster.run(10 * MINUTE)
    stuck = conditions(cluster)["NamespaceDeletionContentFailure"]
    assert stuck == ("True", "ContentDeletionFailed", (
        "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: shop for gvr: "
        "/v1, Resource=pods"))
    cluster.delete(Key("Pod", "shop", "web-0"), grace=0)
    cluster.run(MINUTE + SECOND)
    assert cluster.find(SHOP) is None


@pytest.mark.rule("WL-113")
def test_what_finalizers_hold_is_told_and_waited_for() -> None:
    held = with_meta(make_claim("data"), finalizers=("kubernetes.io/pvc-protection",))
    cluster = shop(held, with_meta(make_claim("more"), finalizers=("kubernetes.io/pvc-protection",)))
    cluster.run(6 * SECOND)
    told = conditions(cluster)
    assert told["NamespaceContentRemaining"] == (
        "True", "SomeResourcesRemain", "Some resources are remaining: persistentvolumeclaims. has 2 resource instances")
    assert told["NamespaceFinalizersRemaining"] == (
        "True", "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: kubernetes.io/pvc-protection in 2 resource instances")
    assert told["NamespaceDeletionContentFailure"][0] == "False"
    for name in ("data", "more"):
        cluster.world.store.remove(Key("PersistentVolumeClaim", "shop", name))
    cluster.run(10 * SECOND)
    assert cluster.find(SHOP) is None


@pytest.mark.rule("WL-112")
def test_an_empty_namespace_gets_five_conditions_that_are_all_fine() -> None:
    cluster = shop()
    cluster.run(10 * SECOND)
    last = [obj for _, key, obj in cluster.history if key == SHOP and isinstance(obj, Namespace)]
    fine = next(obj for obj in last if obj.status.conditions).status.conditions
    assert {one.type: (one.status, one.reason) for one in fine} == {
        "NamespaceDeletionDiscoveryFailure": ("False", "ResourcesDiscovered"),
        "NamespaceDeletionGroupVersionParsingFailure": ("False", "ParsedGroupVersions"),
        "NamespaceDeletionContentFailure": ("False", "ContentDeleted"),
        "NamespaceContentRemaining": ("False", "ContentRemoved"),
        "NamespaceFinalizersRemaining": ("False", "ContentHasNoFinalizers"),
    }
    assert cluster.find(SHOP) is None


def test_other_namespaces_are_left_alone() -> None:
    cluster = shop(make_claim("data"))
    cluster.put(make_claim("data"))
    cluster.run(2 * MINUTE)
    assert cluster.find(Key("PersistentVolumeClaim", "default", "data")) is not None


def test_another_finalizer_of_the_namespace_keeps_it() -> None:
    cluster = shop()
    found = cluster.find(SHOP)
    assert isinstance(found, Namespace)
    cluster.put(evolve(found, spec=NamespaceSpec(finalizers=("kubernetes", "example.com/own"))))
    cluster.run(2 * MINUTE)
    left = cluster.find(SHOP)
    assert isinstance(left, Namespace) and left.spec.finalizers == ("example.com/own",)
