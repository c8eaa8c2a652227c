"""Why things are short of their goal: causes before effects, and the whole in words."""

from __future__ import annotations

import pytest

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import evolve, with_meta
from simulator.explanation.evidence import gather
from simulator.explanation.reasons import OLDER_WORDING, leftovers
from simulator.testing.builders import make_claim, make_class, make_pod, make_set, make_volume
from tests.explanation.scene import AFFINITY, OUT_OF_REACH, Scene, owned, web_pod


def devil() -> Scene:
    scene = Scene().nodes("node1", "node2", "node3")
    scene.bound("data-web-0", "pv-a", "node2").bound("data-web-1", "pv-b", "node2")
    scene.running(web_pod("web-0", "data-web-0"), "node2")
    scene.store(web_pod("web-1", "data-web-1"))
    return scene.refused("web-1", node1=OUT_OF_REACH, node2=AFFINITY, node3=OUT_OF_REACH)


def test_the_devils_reason_names_claim_volume_node_and_the_pod_in_the_way() -> None:
    assert devil().texts() == [
        "web-1 waits: its claim data-web-1 is bound to pv-b, which exists only on node2; node2 already runs web-0, and "
        "web-1 may not share a node with app=web"
    ]


@pytest.mark.rule("SC-67")
def test_the_wording_of_older_releases_is_given_once_for_those_who_search_for_it() -> None:
    scene = devil()
    scene.bound("data-web-2", "pv-c", "node2").store(web_pod("web-2", "data-web-2"))
    scene.refused("web-2", node1=OUT_OF_REACH, node2=AFFINITY, node3=OUT_OF_REACH)
    assert scene.rendered().count(OLDER_WORDING) == 1


def test_an_ordered_set_says_which_pod_the_next_one_waits_for() -> None:
    scene = devil()
    web = scene.store(with_meta(make_set("web"), uid="uid-web", generation=1))
    assert isinstance(web, StatefulSet)
    scene.store(evolve(web, status=evolve(web.status, observed_generation=1, replicas=2, ready_replicas=1)))
    for name in ("web-0", "web-1"):
        pod = scene.objects[make_pod(name).key]
        assert isinstance(pod, Pod)
        scene.store(owned(pod, web))
    found = list(scene.reasons())
    assert found == ["Pod/web-1", "StatefulSet/web"]
    assert scene.rendered().splitlines()[-2:] == [
        "web has 1 of 3 pods ready",
        "    - web-2 does not exist yet: web-1 is not ready",
    ]


@pytest.mark.rule("VB-127")
def test_an_unbound_immediate_claim_comes_before_the_pod_that_waits_for_it() -> None:
    scene = Scene().nodes("node1")
    scene.store(make_class("fast"))
    scene.store(make_volume("pv-small", storage_class="fast", capacity="5Gi", phase="Available"))
    scene.store(make_volume("pv-other", storage_class="slow", phase="Available"))
    scene.store(make_claim("data", request="8Gi", storage_class="fast"))
    scene.store(make_pod("db", claims=("data",)))
    scene.refused("db", "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")
    assert scene.rendered().splitlines() == [
        "data is not bound: none of the volumes of class fast fits, and class fast makes none "
        "(kubernetes.io/no-provisioner)",
        "    - pv-small: 5Gi, less than the 8Gi asked for",
        "    - pv-other: of class slow",
        "db waits: its claim data is not bound, and the scheduler does not bind it",
    ]


@pytest.mark.rule("VB-83")
def test_volumes_that_nobody_can_use_are_left_over() -> None:
    scene = Scene()
    gone = {"namespace": "default", "name": "gone", "uid": "u"}
    for number in range(2):
        scene.store(make_volume(f"pv-{number}", phase="Released", claimRef=gone))
    scene.store(make_volume("pv-failed", phase="Failed", claimRef=gone, persistentVolumeReclaimPolicy="Delete"))
    assert [reason.text for reason in leftovers(gather(scene.log))] == [
        "pv-0 and pv-1 (Released, policy Retain): the claim is gone, the data are kept, and no claim gets the volume "
        "until its claimRef is cleared",
        "pv-failed (Failed, policy Delete): could not be reclaimed, and nobody is there who can; delete the volume by "
        "hand, or clear its claimRef",
    ]


def test_many_alike_are_summed_up() -> None:
    scene = Scene()
    for number in range(30):
        scene.store(make_claim(f"data-{number}", storage_class=""))
    assert isinstance(scene.objects[make_claim("data-0").key], PersistentVolumeClaim)
    lines = scene.rendered().splitlines()
    assert len(lines) == 4
    assert lines[-1] == "data-3, data-4, data-5, data-6 and 23 more: in the same way"
