"""Why things are short of their goal, in words; each test is the end of a small run."""

from __future__ import annotations

import pytest

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import evolve, with_annotations, with_meta
from simulator.explain.evidence import gather
from simulator.explain.reasons import OLDER_WORDING, leftovers
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_set, make_volume
from tests.explain.scene import AFFINITY, NO_VOLUME, OUT_OF_REACH, TAINTED, Scene, owned, web_pod
from tests.report.story import waiting

LOCAL = make_class("local", mode="WaitForFirstConsumer")


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


@pytest.mark.parametrize(
    ("volume", "lack"),
    [
        (make_volume("pv", phase="Pending"), "Pending, not Available"),
        (
            make_volume("pv", phase="Bound", claimRef={"namespace": "db", "name": "other", "uid": "u"}),
            "bound to db/other",
        ),
        (
            make_volume("pv", phase="Released", claimRef={"namespace": "default", "name": "data", "uid": "old"}),
            "Released by an earlier claim data, and not free until its claimRef is cleared",
        ),
        (
            evolve(
                make_volume("pv", claimRef={"namespace": "default", "name": "x", "uid": "u"}),
                status=evolve(make_volume("pv").status, phase="Failed", message="no volume plugin matched"),
            ),
            "Failed: no volume plugin matched",
        ),
        (make_volume("pv", phase="Available", claimRef={"namespace": "default", "name": "x"}), "reserved for x"),
        (make_volume("pv", phase="Available", modes=("ReadOnlyMany",)), "without ReadWriteOnce"),
        (make_volume("pv", phase="Available", volumeMode="Block"), "of volumeMode Block, not Filesystem"),
        (with_meta(make_volume("pv", phase="Available"), deletion_timestamp=1), "being deleted"),
    ],
)
def test_each_volume_that_was_considered_says_what_it_lacks(volume: object, lack: str) -> None:
    scene = Scene()
    scene.store(volume)  # type: ignore[arg-type]
    scene.store(make_claim("data", storage_class="", uid="new"))
    assert [each.text for each in scene.reasons()["PersistentVolumeClaim/data"].because] == [f"pv: {lack}"]


def test_many_volumes_that_lack_the_same_sort_of_thing_are_named_together() -> None:
    scene = Scene()
    for number in range(9):
        scene.store(
            make_volume(
                f"pv-{number}", phase="Bound", claimRef={"namespace": "default", "name": f"c-{number}", "uid": "u"}
            )
        )
    scene.store(make_claim("data", storage_class=""))
    [reason] = scene.reasons()["PersistentVolumeClaim/data"].because
    assert reason.text == "pv-0, pv-1, pv-2, pv-3 and 5 more: bound to other claims"


@pytest.mark.rule("VB-55")
def test_a_claim_without_a_class_and_without_any_volume_has_nobody_who_makes_one() -> None:
    scene = Scene()
    scene.store(make_claim("data", storage_class=""))
    assert scene.texts() == ["data is not bound: there is no volume at all, and without a class none is made"]


@pytest.mark.rule("VB-95")
def test_a_claim_of_a_class_that_does_not_exist_says_so() -> None:
    scene = Scene()
    scene.store(make_claim("data", storage_class="gold"))
    assert scene.texts() == [
        "data is not bound: there is no volume at all, and no StorageClass gold exists to make one"
    ]


@pytest.mark.rule("VB-97")
def test_a_silent_provisioner_is_named() -> None:
    scene = Scene()
    scene.store(make_class("fast", provisioner="csi.example.com"))
    scene.store(
        with_annotations(
            make_claim("data", storage_class="fast"), {"volume.kubernetes.io/storage-provisioner": "csi.example.com"}
        )
    )
    assert scene.texts()[0].endswith("its provisioner csi.example.com has not answered")
    scene.event("PersistentVolumeClaim", "data", "Warning", "ProvisioningFailed", "no space", "csi.example.com")
    assert scene.texts()[0].endswith("its provisioner csi.example.com fails: no space")


@pytest.mark.rule("VB-52")
def test_a_claim_that_waits_for_its_first_consumer_comes_after_the_pod() -> None:
    scene = Scene().nodes("node1")
    scene.store(LOCAL)
    scene.store(make_claim("data", storage_class="local"))
    scene.store(make_pod("db", claims=("data",)))
    scene.refused("db", node1=NO_VOLUME)
    assert list(scene.reasons()) == ["Pod/db", "PersistentVolumeClaim/data"]
    assert scene.texts() == [
        "db waits: node1 has no volume of class local, and db needs one for its claim data",
        "data is not bound: class local waits for the first consumer (WaitForFirstConsumer), and db is not scheduled",
    ]


def test_a_node_says_which_of_its_volumes_are_taken() -> None:
    scene = Scene().nodes("node1", "node2")
    scene.store(LOCAL)
    scene.store(
        make_volume(
            "pv-a",
            node="node1",
            storage_class="local",
            phase="Bound",
            claimRef={"namespace": "default", "name": "other", "uid": "u"},
        )
    )
    scene.store(make_volume("pv-b", node="node1", storage_class="local", capacity="1Gi", phase="Available"))
    scene.store(make_claim("data", storage_class="local", request="2Gi"))
    scene.store(make_pod("db", claims=("data",)))
    scene.refused("db", node1=NO_VOLUME, node2=NO_VOLUME)
    assert scene.reasons()["Pod/db"].text == (
        "db waits: node1 has no volume of class local that is free (pv-a: bound to other; pv-b: 1Gi, less than the 2Gi "
        "asked for), node2 has no volume of class local, and db needs one for its claim data"
    )


@pytest.mark.rule("VB-53")
def test_a_pod_that_names_its_node_keeps_a_waiting_claim_waiting() -> None:
    scene = Scene().nodes("node1")
    scene.store(LOCAL)
    scene.store(make_claim("data", storage_class="local"))
    scene.store(make_pod("db", claims=("data",), nodeName="node1"))
    found = scene.texts()
    assert "db was put on a node without the scheduler (spec.nodeName)" in found[0]
    assert found[1] == "db is on node1 and cannot start: data is not bound"


def test_a_claim_that_is_lost_or_names_a_strange_volume_says_why() -> None:
    scene = Scene()
    lost = make_claim("lost", volumeName="pv-gone")
    scene.store(evolve(lost, status=evolve(lost.status, phase="Lost")))
    scene.store(make_claim("preset", volumeName="pv-none", uid="p"))
    scene.store(make_volume("pv-taken", claimRef={"namespace": "default", "name": "other", "uid": "u"}))
    scene.store(make_claim("late", volumeName="pv-taken", uid="l"))
    scene.store(make_volume("pv-small", capacity="1Gi"))
    scene.store(make_claim("large", volumeName="pv-small", request="2Gi", storage_class=""))
    assert scene.texts() == [
        "lost is Lost: its volume pv-gone is gone, and the data with it",
        "preset is not bound: it asks for the volume pv-none, which does not exist",
        "late is not bound: it asks for the volume pv-taken, which belongs to other",
        "large is not bound: it asks for the volume pv-small: requested PV is too small",
    ]


@pytest.mark.rule("VB-124")
def test_a_pod_says_that_its_claim_is_missing_lost_or_being_deleted() -> None:
    scene = Scene().nodes("node1")
    lost = make_claim("lost", volumeName="gone")
    scene.store(evolve(lost, status=evolve(lost.status, phase="Lost")))
    scene.store(with_meta(make_claim("leaving"), deletion_timestamp=1, finalizers=("kubernetes.io/pvc-protection",)))
    for name, claim in (("a", "nowhere"), ("b", "lost"), ("c", "leaving")):
        scene.store(make_pod(name, claims=(claim,)))
    found = scene.reasons()
    assert found["Pod/a"].text == "a waits: its claim nowhere does not exist"
    assert found["Pod/b"].text == "b waits: its claim lost has lost its volume"
    assert found["Pod/c"].text == "c waits: its claim leaving is being deleted"


def test_taints_and_cordons_are_told_in_words() -> None:
    scene = Scene().nodes("node1", taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    scene.nodes("node2", unschedulable=True)
    scene.nodes("node3", "node4", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
    scene.store(make_pod("web"))
    scene.refused(
        "web",
        node1=TAINTED,
        node2=("NodeUnschedulable", "U", "node(s) were unschedulable"),
        node3=TAINTED,
        node4=TAINTED,
    )
    assert scene.texts() == [
        "web waits: node1 is a control plane node (taint node-role.kubernetes.io/control-plane:NoSchedule); "
        "node3 and node4 have the taint dedicated=db:NoSchedule, and web does not tolerate it; node2 is cordoned"
    ]


@pytest.mark.rule("SC-59")
def test_scarce_resources_are_given_in_numbers() -> None:
    scene = Scene()
    scene.store(make_node("node1", cpu="4", pods="1"))
    scene.store(make_node("node2", cpu="500m", memory="1Gi"))
    scene.running(make_pod("busy", cpu="3500m"), "node1")
    scene.store(make_pod("web", cpu="1", memory="2Gi"))
    scene.refused(
        "web",
        node1=("NodeResourcesFit", "Unschedulable", "Too many pods", "Insufficient cpu"),
        node2=("NodeResourcesFit", "UnschedulableAndUnresolvable", "Insufficient cpu", "Insufficient memory"),
    )
    assert scene.texts() == [
        "web waits: node1 has 1 pod already, of 1 that it may run and 500m of 4 cpu left, and web asks for 1 cpu; "
        "node2 has only 500m cpu in all and only 1Gi memory in all, and web asks for 1 cpu and 2Gi memory"
    ]


@pytest.mark.rule("SC-58")
def test_a_taken_port_is_named_with_the_pod_that_has_it() -> None:
    port = {"containers": [{"name": "main", "ports": [{"hostPort": 9042}]}]}
    scene = Scene().nodes("node1")
    scene.put(
        "Pod",
        "db-0",
        {
            "spec": {**port, "nodeName": "node1"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        },
    )
    scene.put("Pod", "db-1", {"spec": port})
    scene.refused(
        "db-1", node1=("NodePorts", "Unschedulable", "node(s) didn't have free ports for the requested pod ports")
    )
    assert scene.texts() == [
        "db-1 waits: node1 has port 9042/TCP taken by db-0, and db-1 asks for that port of its node"
    ]


def test_anti_affinity_of_the_pods_already_there_and_affinity_are_told_apart() -> None:
    zone = "topology.kubernetes.io/zone"
    scene = Scene().nodes("node1", labels={zone: "a"})
    against = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app": "new"}}, "topologyKey": zone}
            ]
        }
    }
    scene.running(make_pod("old", affinity=against), "node1")
    scene.store(make_pod("new", labels={"app": "new"}))
    scene.refused(
        "new", node1=("InterPodAffinity", "Unschedulable", "node(s) didn't satisfy existing pods anti-affinity rules")
    )
    near = {
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app": "cache"}}, "topologyKey": zone}
            ]
        }
    }
    scene.store(make_pod("near", affinity=near))
    scene.refused(
        "near", node1=("InterPodAffinity", "UnschedulableAndUnresolvable", "node(s) didn't match pod affinity rules")
    )
    assert scene.texts() == [
        "new waits: node1 lies in zone a, where old runs already, and old may not share a zone with app=new",
        "near waits: node1 has no pod with app=cache in its zone, and near must share a zone with one",
    ]


@pytest.mark.rule("SC-73")
def test_a_broken_spread_is_given_in_numbers() -> None:
    zone = "topology.kubernetes.io/zone"
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": zone,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }
    ]
    scene = Scene()
    scene.store(make_node("node1", labels={zone: "a"}))
    scene.store(make_node("node2", labels={zone: "b"}, unschedulable=True))
    scene.running(make_pod("web-0", labels={"app": "web"}), "node1")
    scene.store(make_pod("web-1", labels={"app": "web"}, topologySpreadConstraints=spread))
    scene.refused(
        "web-1", node1=("PodTopologySpread", "Unschedulable", "node(s) didn't match pod topology spread constraints")
    )
    assert scene.texts() == [
        "web-1 waits: node1 has 1 pod with app=web in its zone a, and the emptiest zone has 0, so that one more would "
        "break the spread of at most 1 (maxSkew)"
    ]


def test_a_reason_that_the_last_state_does_not_bear_out_is_quoted() -> None:
    scene = Scene().nodes("node1")
    scene.store(make_pod("web"))
    scene.refused("web", node1=TAINTED)
    assert scene.texts() == ["web waits: node1 is refused by TaintToleration (node(s) had untolerated taint(s))"]


def test_a_volume_whose_node_is_not_there_says_so() -> None:
    scene = Scene().nodes("node1")
    scene.bound("data", "pv", "node9").store(make_pod("db", claims=("data",)))
    scene.refused("db", node1=OUT_OF_REACH)
    assert scene.texts() == [
        "db waits: its claim data is bound to pv, which exists only on node9, which the cluster does not have"
    ]


def test_two_claims_on_different_nodes_leave_no_node() -> None:
    scene = Scene().nodes("node1", "node2")
    scene.bound("data", "pv-a", "node1").bound("wal", "pv-b", "node2").store(make_pod("db", claims=("data", "wal")))
    scene.refused("db", node1=OUT_OF_REACH, node2=OUT_OF_REACH)
    assert scene.texts() == [
        "db waits: its claim data is bound to pv-a, which exists only on node1; its claim wal is bound to pv-b, which "
        "exists only on node2; no node reaches all of these volumes"
    ]


def not_ready(name: str) -> dict[str, object]:
    return {
        "status": {
            "conditions": [{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}]
        },
        "metadata": {"name": name},
    }


def test_a_dead_node_explains_its_pods_and_those_that_cannot_end_there() -> None:
    scene = Scene()
    scene.put("Node", "node1", {"status": not_ready("node1")["status"]})
    scene.note("node-stopped", "Node", "node1", {"machine": True}, "kubelet")
    scene.store(make_pod("a", nodeName="node1"))
    scene.store(with_meta(make_pod("b", nodeName="node1"), deletion_timestamp=1))
    found = scene.reasons()
    assert found["Pod/a"].text == "a is on node1, which is not ready"
    assert found["Pod/b"].text == (
        "b is being deleted: only the kubelet of node1 can say that it has stopped, and node1 is not ready"
    )
    [cause] = found["Pod/a"].because
    assert cause.text == ("node1 is not ready: Kubelet stopped posting node status. (the scenario stopped it)")


def test_a_pod_that_does_not_start_says_what_is_in_its_way() -> None:
    scene = Scene().nodes("node1")
    on = {"nodeName": "node1", "containers": [{"name": "main"}]}
    scene.put(
        "Pod",
        "image",
        {
            "spec": on,
            "status": {
                "phase": "Pending",
                "containerStatuses": [waiting("main", "ImagePullBackOff", 'Back-off pulling image "a:1"')],
            },
        },
    )
    scene.put(
        "Pod",
        "crash",
        {
            "spec": on,
            "status": {
                "phase": "Running",
                "containerStatuses": [
                    waiting(
                        "main",
                        "CrashLoopBackOff",
                        "back-off",
                        restartCount=4,
                        lastState={"terminated": {"exitCode": 3}},
                    )
                ],
            },
        },
    )
    scene.put("Pod", "mount", {"spec": on, "status": {"phase": "Pending"}})
    scene.event("Pod", "mount", "Warning", "FailedMount", 'path "/mnt" does not exist', "kubelet")
    scene.put(
        "Pod",
        "slow",
        {
            "spec": on,
            "status": {
                "phase": "Running",
                "conditions": [
                    {"type": "Ready", "status": "False", "message": "containers with unready status: [main]"}
                ],
            },
        },
    )
    assert scene.texts() == [
        'image is on node1, and its container main does not start: ImagePullBackOff (Back-off pulling image "a:1")',
        "crash is on node1, and its container main keeps ending (exit code 3, 4 restarts): CrashLoopBackOff",
        'mount is on node1 and cannot start: path "/mnt" does not exist',
        "slow runs on node1, and is not ready: containers with unready status: [main]",
    ]


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


def test_a_preemptor_waits_for_its_victims() -> None:
    scene = Scene().nodes("node1")
    scene.put(
        "Pod",
        "low",
        {
            "spec": {"nodeName": "node1"},
            "status": {
                "phase": "Running",
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"},
                ],
            },
        },
    )
    scene.put("Pod", "high", {"status": {"nominatedNodeName": "node1", "phase": "Pending"}})
    assert scene.texts() == ["high is to run on node1, and waits until low, which it preempts, has gone"]


@pytest.mark.rule("VB-146")
def test_a_pod_whose_volume_is_being_made_waits_for_the_provisioner() -> None:
    scene = Scene().nodes("node1")
    scene.store(make_class("fast", mode="WaitForFirstConsumer", provisioner="csi.example.com"))
    scene.store(
        with_annotations(
            make_claim("data", storage_class="fast"),
            {
                "volume.kubernetes.io/selected-node": "node1",
                "volume.kubernetes.io/storage-provisioner": "csi.example.com",
            },
        )
    )
    pod = make_pod("db", claims=("data",))
    scene.store(evolve(pod, status=evolve(pod.status, nominated_node_name="node1")))
    assert scene.texts() == [
        "data is not bound: its volume is to be made for node1, and its provisioner csi.example.com has not answered",
        "db is to run on node1, and waits until a volume is made there for data",
    ]


def test_gates_and_other_schedulers_are_no_shortfall() -> None:
    scene = Scene().nodes("node1")
    scene.store(make_pod("gated", schedulingGates=[{"name": "example.com/wait"}]))
    scene.store(make_pod("other", schedulerName="mine"))
    assert scene.texts() == []


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
