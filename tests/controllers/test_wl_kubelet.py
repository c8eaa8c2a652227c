"""A pod on its node, in the words of the specification: probes that kill, limits, and what the kubelet tells."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Pod
from simulator.api.meta import Key
from simulator.controllers.kubelet import Behave, Behaviour, Kubelet, StartNode, StopNode, WriteData
from simulator.report.pod_columns import pod_cells
from simulator.testing.builders import make_node
from simulator.units import MINUTE, SECOND
from tests.controllers.cluster_bench import Cluster, pod_on

WEB = Key("Pod", "default", "web-0")
GIB = 1 << 30


def started(*containers: dict[str, Any], **fields: Any) -> Cluster:
    """A cluster with a pod that was bound to node n1 a minute ago."""
    if containers:
        fields["containers"] = [{"image": "i:1", **container} for container in containers]
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.create(pod_on("n1", **fields))
    cluster.run(MINUTE)
    return cluster


def web(cluster: Cluster) -> Pod:
    pod = cluster.pod("web-0")
    assert pod is not None
    return pod


def behave(cluster: Cluster, **how: Any) -> None:
    cluster.act("kubelet", Behave((WEB,), Behaviour(**how)))


def restarts(cluster: Cluster) -> int:
    return web(cluster).status.container_statuses[0].restart_count


# --- probes that kill -----------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-152")
def test_a_program_that_hangs_is_killed_by_its_liveness_probe_and_started_again_under_the_back_off() -> None:
    cluster = started({"name": "main", "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 5}})
    began = cluster.now
    behave(cluster, hangs=True)
    first = cluster.run_until(lambda: restarts(cluster) == 1)
    assert 10 * SECOND <= first <= 13 * SECOND, "three failures, five seconds apart"
    second = cluster.run_until(lambda: restarts(cluster) == 2)
    assert 20 * SECOND <= second <= 24 * SECOND, "the same, and a back-off of ten seconds"
    assert web(cluster).status.phase == "Running"
    assert ("Killing", "Container main failed liveness probe, will be restarted") in cluster.events()
    assert ("Unhealthy", "Liveness probe failed: ") in cluster.events()
    behave(cluster)
    cluster.run(2 * MINUTE)
    steady = restarts(cluster)
    cluster.run(10 * MINUTE)
    assert restarts(cluster) == steady and web(cluster).is_ready and cluster.now > began


@pytest.mark.rule("WL-152")
def test_without_a_probe_nobody_notices_that_a_program_hangs() -> None:
    cluster = started()
    behave(cluster, hangs=True)
    cluster.run(10 * MINUTE)
    assert restarts(cluster) == 0 and web(cluster).is_ready


@pytest.mark.rule("WL-152")
def test_a_readiness_probe_alone_makes_a_hung_pod_unready_but_does_not_restart_it() -> None:
    cluster = started({"name": "main", "readinessProbe": {"httpGet": {"port": 80}}})
    behave(cluster, hangs=True)
    cluster.run(10 * MINUTE)
    assert restarts(cluster) == 0 and not web(cluster).is_ready


@pytest.mark.rule("WL-152")
def test_a_startup_probe_suspends_the_liveness_probe_until_it_passes() -> None:
    probes = {"startupProbe": {"httpGet": {"port": 80}, "failureThreshold": 30, "periodSeconds": 10},
              "livenessProbe": {"httpGet": {"port": 80}, "failureThreshold": 1}}
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    behave(cluster, hangs=True)
    cluster.create(pod_on("n1", containers=[{"name": "main", "image": "i:1", **probes}]))
    cluster.run_until(lambda: web(cluster).status.phase == "Running")
    took = cluster.run_until(lambda: restarts(cluster) == 1, within=20 * MINUTE)
    assert 290 * SECOND <= took <= 293 * SECOND


@pytest.mark.rule("WL-152")
def test_a_hung_program_that_ignores_term_is_killed_after_its_grace() -> None:
    probe = {"livenessProbe": {"httpGet": {"port": 80}, "failureThreshold": 1, "periodSeconds": 1}}
    cluster = started({"name": "main", **probe}, terminationGracePeriodSeconds=40)
    behave(cluster, hangs=True, ignores_term=True)
    took = cluster.run_until(lambda: restarts(cluster) == 1)
    assert 40 * SECOND <= took <= 42 * SECOND
    last = web(cluster).status.container_statuses[0].last_state
    assert last is not None and last.terminated is not None and last.terminated.exit_code == 137


# --- limits ---------------------------------------------------------------------------------------------------------


def limited(name: str, limit: str | None = None) -> dict[str, Any]:
    return {"name": name, "resources": {"limits": {"ephemeral-storage": limit}} if limit else {}}


def write(cluster: Cluster, size: int) -> None:
    cluster.act("kubelet", WriteData(WEB, "", "blob", size=size))
    cluster.run(MINUTE)


@pytest.mark.rule("WL-167")
@pytest.mark.parametrize(
    ("containers", "size", "message"),
    [
        ([limited("a", "1Gi")], 2 * GIB,
         "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "),
        ([limited("a", "1Gi"), limited("b")], 2 * GIB,
         "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "),
        ([limited("a", "1Gi"), limited("b", "4Gi")], 2 * GIB,
         'Container a exceeded its local ephemeral storage limit "1Gi". '),
    ],
)
def test_a_pod_over_a_limit_of_ephemeral_storage_is_evicted(
    containers: list[dict[str, Any]], size: int, message: str,
) -> None:
    cluster = started(*containers)
    write(cluster, size)
    status = web(cluster).status
    assert (status.phase, status.reason, status.message) == ("Failed", "Evicted", message)
    assert ("Evicted", message) in cluster.events()


@pytest.mark.rule("WL-167")
def test_a_pod_within_its_limits_stays() -> None:
    cluster = started(limited("a", "2Gi"), limited("b"))
    write(cluster, GIB)
    assert web(cluster).status.phase == "Running"


# --- what it tells --------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-175")
def test_an_image_that_cannot_be_pulled_is_told_and_shown() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    behave(cluster, image_error="ErrImagePull: not found")
    cluster.create(pod_on("n1", containers=[{"name": "main", "image": "i:1"}]))
    cluster.run(MINUTE)
    assert cluster.events()[:5] == [
        ("Pulling", 'Pulling image "i:1"'),
        ("Failed", 'Failed to pull image "i:1": ErrImagePull: not found'),
        ("Failed", "Error: ErrImagePull"),
        ("BackOff", 'Back-off pulling image "i:1"'),
        ("Failed", "Error: ImagePullBackOff"),
    ]
    waiting = web(cluster).status.container_statuses[0].state
    assert waiting is not None and waiting.waiting is not None
    assert waiting.waiting.message == 'Back-off pulling image "i:1": ErrImagePull: not found'
    assert pod_cells(web(cluster), cluster.now)["STATUS"] == "ImagePullBackOff"


@pytest.mark.rule("WL-155")
@pytest.mark.rule("WL-175")
def test_a_crash_loop_is_told_and_shown() -> None:
    cluster = started()
    uid = web(cluster).metadata.uid
    behave(cluster, crash_after=SECOND)
    cluster.run(8 * SECOND)
    row = pod_cells(web(cluster), cluster.now)
    assert row["STATUS"] == "CrashLoopBackOff" and row["READY"] == "0/1"
    assert ("BackOff", f"Back-off restarting failed container main in pod web-0_default({uid})") in cluster.events()
    state = web(cluster).status.container_statuses[0].state
    assert state is not None and state.waiting is not None
    assert state.waiting.message == f"back-off 10s restarting failed container=main pod=web-0_default({uid})"


@pytest.mark.rule("WL-129")
def test_a_rebooted_node_says_so() -> None:
    cluster = started()
    cluster.act("kubelet", StopNode("n1"))
    cluster.run(MINUTE)
    cluster.act("kubelet", StartNode("n1", is_rebooted=True))
    cluster.run(MINUTE)
    told = cluster.events(about="n1")
    assert told[0] == ("Starting", "Starting kubelet.") and told[-1] == (
        "NodeReady", "Node n1 status is now: NodeReady")
    assert told[1][1].startswith("Node n1 has been rebooted, boot id: ")
    assert restarts(cluster) == 1


@pytest.mark.rule("WL-158")
@pytest.mark.parametrize(("behaviour", "phase", "code"), [
    ({}, "Succeeded", 0), ({"stop_code": 143}, "Failed", 143), ({"ignores_term": True}, "Failed", 137),
])
def test_a_deleted_pod_ends_with_the_exit_codes_of_its_containers(
    behaviour: dict[str, Any], phase: str, code: int,
) -> None:
    cluster = started(terminationGracePeriodSeconds=5)
    behave(cluster, **behaviour)
    cluster.delete(WEB)
    cluster.run(MINUTE)
    last = [obj for _, key, obj in cluster.history if key == WEB and isinstance(obj, Pod)][-1]
    state = last.status.container_statuses[0].state
    assert state is not None and state.terminated is not None
    assert (last.status.phase, state.terminated.exit_code) == (phase, code)
    assert pod_cells(last, cluster.now)["STATUS"] == ("Completed" if code == 0 else "Error")
    assert cluster.phases("web-0")[-1][1] == "gone"


@pytest.mark.rule("WL-150")
def test_a_rejected_pod_has_the_reason_and_the_prefix() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1", pods="0")])
    cluster.create(pod_on("n1"))
    cluster.run(MINUTE)
    status = web(cluster).status
    assert (status.phase, status.reason) == ("Failed", "OutOfpods")
    assert status.message.startswith("Pod was rejected: Node didn't have enough resource: pods")
