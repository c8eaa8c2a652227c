"""Why pods are not ready; each test is the end of a small run."""

from __future__ import annotations

import pytest

from simulator.api.meta import evolve, with_annotations, with_meta
from simulator.testing.builders import make_claim, make_class, make_pod
from tests.explanation.scene import OUT_OF_REACH, Scene
from tests.report.story import waiting


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


def test_a_pod_whose_claims_are_bound_by_now_is_only_to_be_tried_again() -> None:
    scene = Scene().nodes("node1")
    scene.bound("data", "pv", "node1").store(make_pod("db", claims=("data",)))
    scene.refused("db", "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")
    assert scene.texts() == [
        "db waits: its claim data is bound to pv, which exists only on node1; its claims have been bound since its "
        "last attempt, and it is to be tried again"
    ]


def test_a_scheduler_error_is_quoted() -> None:
    scene = Scene().nodes("node1")
    scene.store(make_pod("db"))
    scene.refused("db", 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded')
    assert scene.texts() == [
        'db waits: running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
    ]
