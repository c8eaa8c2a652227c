"""The scheduler's cache of nodes and pods, and the volumes and claims it assumes."""

from __future__ import annotations

import pytest

from simulator.api.core import Node, PersistentVolume, Pod
from simulator.api.meta import Key, evolve, with_annotations, with_meta
from simulator.cluster.store import Store
from simulator.scheduler.assumptions import AssumedView, Assumptions, out_of_sync
from simulator.scheduler.cache import SchedulerCache
from simulator.scheduler.framework import NodeInfo
from simulator.testing.builders import make_claim, make_node, make_pod, make_volume
from tests.scheduler.snapshots import StoreView, on

ZONE = "topology.kubernetes.io/zone"


def zoned(name: str, zone: str) -> Node:
    return make_node(name, labels={ZONE: zone})


def order(cache: SchedulerCache) -> list[str]:
    return [info.name for info in cache.nodes()]


def pod(name: str, node: str, cpu: str = "1", uid: str = "") -> Pod:
    return on(make_pod(name, uid=uid or f"uid-{name}", cpu=cpu), node)


def assert_sums(cache: SchedulerCache) -> None:
    """What is kept node by node is what adding everything up anew gives."""
    for info in cache.nodes():
        anew = NodeInfo.of(info.node, info.pods)
        for kept, added in [(info.requested, anew.requested), (info.nonzero, anew.nonzero)]:
            assert {name: amount for name, amount in kept.items() if amount} == added
        assert info == evolve(anew, requested=info.requested, nonzero=info.nonzero)


@pytest.mark.rule("SC-34")
@pytest.mark.rule("SC-35")
def test_nodes_are_listed_round_robin_over_zones() -> None:
    cache = SchedulerCache()
    for name, zone in [("a1", "A"), ("a2", "A"), ("b1", "B"), ("c1", "C"), ("a3", "A"), ("c2", "C")]:
        cache.set_node(zoned(name, zone))
    assert order(cache) == ["a1", "b1", "c1", "a2", "c2", "a3"]


@pytest.mark.rule("SC-34")
def test_a_zone_that_empties_goes_last_when_it_comes_back() -> None:
    cache = SchedulerCache()
    for name, zone in [("a1", "A"), ("b1", "B")]:
        cache.set_node(zoned(name, zone))
    cache.remove_node("a1")
    cache.set_node(zoned("a2", "A"))
    assert order(cache) == ["b1", "a2"]


@pytest.mark.rule("SC-35")
def test_a_node_that_changes_its_zone_moves_when_a_node_comes_or_goes() -> None:
    cache = SchedulerCache()
    for name, zone in [("a1", "A"), ("a2", "A"), ("b1", "B")]:
        cache.set_node(zoned(name, zone))
    assert order(cache) == ["a1", "b1", "a2"]
    cache.set_node(zoned("a1", "B"))
    assert order(cache) == ["a1", "b1", "a2"]
    cache.set_node(zoned("c1", "C"))
    assert order(cache) == ["a2", "b1", "c1", "a1"]


@pytest.mark.rule("SC/ND-16")
def test_nodes_without_zones_keep_the_order_in_which_they_came() -> None:
    cache = SchedulerCache()
    for name in ["n3", "n1", "n2"]:
        cache.set_node(make_node(name))
    assert order(cache) == ["n3", "n1", "n2"]


@pytest.mark.rule("SC-31")
def test_assumed_pods_count_until_they_are_forgotten_or_confirmed() -> None:
    cache = SchedulerCache()
    cache.set_node(make_node("node-1"))
    kept, dropped = pod("kept", "node-1"), pod("dropped", "node-1")
    cache.assume(kept)
    cache.assume(dropped)
    assert cache.nodes()[0].requested["cpu"] == 2000
    assert cache.forget(dropped)
    cache.set_pod(with_meta(kept, resource_version=9))
    assert cache.nodes()[0].requested["cpu"] == 1000
    assert not cache.is_assumed(kept) and not cache.forget(kept)
    assert_sums(cache)


@pytest.mark.rule("SC-31")
def test_an_assumed_pod_that_turns_up_elsewhere_counts_there() -> None:
    cache = SchedulerCache()
    for name in ["node-1", "node-2"]:
        cache.set_node(make_node(name))
    cache.assume(pod("web-0", "node-1"))
    cache.set_pod(pod("web-0", "node-2"))
    assert [len(info.pods) for info in cache.nodes()] == [0, 1]
    assert_sums(cache)


@pytest.mark.rule("SC-31")
def test_forgetting_a_pod_leaves_its_namesake_alone() -> None:
    cache = SchedulerCache()
    cache.set_node(make_node("node-1"))
    old, new = pod("web-0", "node-1", uid="old"), pod("web-0", "node-1", uid="new")
    cache.assume(new)
    assert not cache.forget(old)
    cache.remove_pod(old)
    assert cache.nodes()[0].pods == (new,)


@pytest.mark.rule("SC-32")
def test_a_snapshot_does_not_change_and_is_made_anew_only_after_a_change() -> None:
    cache = SchedulerCache()
    cache.set_node(make_node("node-1"))
    before = cache.nodes()
    assert cache.nodes() is before
    cache.set_pod(pod("web-0", "node-1"))
    assert before[0].pods == () and len(cache.nodes()[0].pods) == 1


@pytest.mark.rule("SC-33")
def test_pods_of_a_deleted_node_stop_counting_and_count_again_when_it_comes_back() -> None:
    cache = SchedulerCache()
    cache.set_node(make_node("node-1"))
    cache.set_pod(pod("web-0", "node-1"))
    cache.remove_node("node-1")
    assert cache.nodes() == () and len(cache.pods) == 1
    cache.set_pod(pod("web-1", "node-1"))
    cache.remove_pod(pod("web-0", "node-1"))
    cache.set_node(make_node("node-1"))
    assert [each.name for each in cache.nodes()[0].pods] == ["web-1"]
    assert_sums(cache)


@pytest.mark.rule("SC-61")
def test_changed_pods_and_nodes_leave_right_sums() -> None:
    cache = SchedulerCache()
    cache.set_node(make_node("node-1", cpu="4"))
    for name in ["web-0", "web-1"]:
        cache.set_pod(pod(name, "node-1"))
    cache.set_pod(pod("web-0", "node-1", cpu="500m"))
    going = with_meta(pod("web-1", "node-1"), deletion_timestamp=5)
    cache.set_pod(going)
    cache.set_node(make_node("node-1", cpu="16"))
    info = cache.nodes()[0]
    assert (info.requested["cpu"], info.allocatable["cpu"]) == (1500, 16000)
    assert going in info.pods
    assert_sums(cache)


def test_a_copy_of_the_cache_goes_its_own_way() -> None:
    cache = SchedulerCache()
    cache.set_node(make_node("node-1"))
    twin = cache.copy()
    twin.assume(pod("web-0", "node-1"))
    twin.set_node(make_node("node-2"))
    assert order(cache) == ["node-1"] and cache.nodes()[0].pods == ()
    assert order(twin) == ["node-1", "node-2"] and len(twin.nodes()[0].pods) == 1


# --- assumptions ----------------------------------------------------------------------------------------------------


def assumed_for(volume: PersistentVolume, claim: str) -> PersistentVolume:
    reference = make_volume("x", claimRef={"name": claim, "namespace": "default", "uid": f"uid-{claim}"}).spec.claim_ref
    return evolve(volume, spec=evolve(volume.spec, claim_ref=reference))


@pytest.mark.rule("VB-117")
def test_only_the_version_that_is_stored_can_be_assumed() -> None:
    store = Store()
    volume = store.put(make_volume("pv-1"))
    assert out_of_sync(volume, store.find(volume.key)) == ""
    newer = store.put(with_meta(volume, labels={"a": "b"}))
    text = out_of_sync(volume, newer)
    assert text == f'"pv-1" is out of sync (stored: {newer.metadata.resource_version}, assume: 1)'
    assert out_of_sync(volume, None) == 'persistentvolumes "pv-1" not found'
    claim = store.put(make_claim("data"))
    assert out_of_sync(claim, None) == 'persistentvolumeclaims "default/data" not found'


@pytest.mark.rule("VB-118")
def test_any_newer_version_discards_an_assumption() -> None:
    store, assumptions = Store(), Assumptions()
    view = AssumedView(StoreView(store), assumptions)  # type: ignore[arg-type]
    volume = store.put(make_volume("pv-1"))
    assumptions.assume(assumed_for(volume, "data"))
    seen = view.get(PersistentVolume, "pv-1")
    assert seen is not None and seen.spec.claim_ref is not None
    store.put(with_meta(volume, labels={"unrelated": "label"}))
    seen = view.get(PersistentVolume, "pv-1")
    assert seen is not None and seen.spec.claim_ref is None


@pytest.mark.rule("VB-119")
def test_restoring_drops_only_an_assumption_from_the_same_version() -> None:
    store, assumptions = Store(), Assumptions()
    volume = store.put(make_volume("pv-1"))
    assumed = assumed_for(volume, "data")
    assumptions.assume(assumed)
    assumptions.restore(with_meta(assumed, resource_version=99))
    assert assumptions.objects == {volume.key: assumed}
    assumptions.restore(assumed)
    assert not assumptions.objects


@pytest.mark.rule("VB-120")
def test_listing_by_class_shows_assumed_volumes_with_their_claim() -> None:
    store, assumptions = Store(), Assumptions()
    view = AssumedView(StoreView(store), assumptions)  # type: ignore[arg-type]
    volumes = [store.put(make_volume(f"pv-{number}", storage_class="local")) for number in range(3)]
    assumptions.assume(assumed_for(volumes[1], "data"))
    listed = view.by("volumes-by-class", "local")
    assert [volume.name for volume in listed] == ["pv-0", "pv-1", "pv-2"]
    assert [volume.spec.claim_ref is not None for volume in listed] == [False, True, False]
    assert [volume.name for volume in view.by("volumes-by-claim", ("default", "data"))] == ["pv-1"]
    assert [volume.spec.claim_ref is not None for volume in view.list(PersistentVolume)] == [False, True, False]


@pytest.mark.rule("SC-104")
def test_assumed_claims_are_seen_by_key_too() -> None:
    store, assumptions = Store(), Assumptions()
    view = AssumedView(StoreView(store), assumptions)  # type: ignore[arg-type]
    claim = store.put(make_claim("data"))
    assumptions.assume(with_annotations(claim, {"volume.kubernetes.io/selected-node": "node-1"}))
    seen = view.get(type(claim), "data", "default")
    assert seen is not None and seen.metadata.annotations["volume.kubernetes.io/selected-node"] == "node-1"
    twin = assumptions.copy()
    twin.supersede(Key("PersistentVolumeClaim", "default", "data"))
    assert assumptions.objects and not twin.objects
