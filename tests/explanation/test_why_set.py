"""Why sets are short of replicas, and what is being deleted is still there."""

from __future__ import annotations

import pytest

from simulator.api.apps import StatefulSet
from simulator.api.meta import with_meta
from simulator.testing.builders import make_claim, make_pod, make_set, make_volume
from tests.explanation.scene import Scene, owned


@pytest.mark.rule("VB-169")
def test_what_is_being_deleted_names_who_holds_it() -> None:
    scene = Scene().nodes("node1")
    scene.running(make_pod("db", claims=("data",)), "node1")
    scene.store(with_meta(make_claim("data"), deletion_timestamp=1, finalizers=("kubernetes.io/pvc-protection",)))
    scene.store(
        with_meta(
            make_volume("pv", phase="Bound", claimRef={"namespace": "default", "name": "data"}),
            deletion_timestamp=1,
            finalizers=("kubernetes.io/pv-protection",),
        )
    )
    scene.put("Namespace", "old", {}, meta={"deletionTimestamp": 1})
    scene.store(make_claim("left", namespace="old", storage_class=""))
    scene.store(with_meta(make_set("web"), deletion_timestamp=1, finalizers=("example.com/hold",)))
    found = scene.reasons()
    assert found["PersistentVolumeClaim/data"].text == (
        "data is being deleted, but is kept while db uses it (kubernetes.io/pvc-protection)"
    )
    assert found["PersistentVolume/pv"].text == (
        "pv is being deleted, but is kept while it is bound to data (kubernetes.io/pv-protection)"
    )
    assert found["Namespace/old"].text == "old is being deleted, but still holds 1 PersistentVolumeClaim"
    assert found["StatefulSet/web"].text == (
        "web is being deleted, but is held by the finalizer example.com/hold, and nobody has removed it"
    )


def short_set(scene: Scene, **spec: object) -> StatefulSet:
    web = scene.store(with_meta(make_set("web", **spec), uid="uid-web"))  # type: ignore[arg-type]
    assert isinstance(web, StatefulSet)
    return web


def test_a_refused_creation_is_quoted_from_the_api_server() -> None:
    scene = Scene()
    short_set(scene, replicas=1)
    scene.event(
        "StatefulSet",
        "web",
        "Warning",
        "FailedCreate",
        'Create Pod web-0 in StatefulSet web failed error: pods "web-0" is forbidden: exceeded quota: small',
        "statefulset-controller",
    )
    [missing] = scene.reasons()["StatefulSet/web"].because
    assert missing.text == 'web-0 does not exist yet: pods "web-0" is forbidden: exceeded quota: small'


@pytest.mark.rule("WL-47")
def test_a_claim_on_its_way_out_keeps_its_pod_from_coming_back() -> None:
    scene = Scene()
    short_set(scene, replicas=1)
    scene.store(with_meta(make_claim("data-web-0"), deletion_timestamp=1))
    reason = scene.reasons()["StatefulSet/web"]
    assert [each.text for each in reason.because] == ["web-0 does not exist yet: its claim data-web-0 is being deleted"]


@pytest.mark.rule("WL-51")
def test_a_pod_that_is_to_go_waits_for_an_unhealthy_one() -> None:
    scene = Scene().nodes("node1")
    web = short_set(scene, replicas=1)
    scene.store(owned(make_pod("web-0", nodeName="node1"), web))
    scene.running(owned(make_pod("web-1"), web), "node1")
    texts = [each.text for each in scene.reasons()["StatefulSet/web"].because]
    assert texts[-1] == ("web-1 is to go: web-0 is not ready, and the set removes its pods one by one (OrderedReady)")
