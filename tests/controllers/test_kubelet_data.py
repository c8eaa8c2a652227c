from __future__ import annotations

from typing import Any

import pytest
from cluster_bench import Cluster, bound_pair, pod_on, status_of

from simulator.api.core import PersistentVolume
from simulator.api.meta import Key, Object, with_annotations, with_meta
from simulator.controllers.kubelet import Kubelet, KubeletConfig, ReadData, StopNode, WipeData, WriteData, stand_in
from simulator.controllers.kubelet.config import GIB
from simulator.flows import Delete
from simulator.testing.builders import make_node, make_volume
from simulator.units import MINUTE, SECOND

WEB = Key("Pod", "default", "web-0")
FULL = "no space left on device"


def cluster_with(*objects: Object, config: KubeletConfig | None = None, pods: dict[str, Any] | None = None) -> Cluster:
    """A cluster with a 100Gi node n1 and pods on it, by default web-0 with claim data."""
    cluster = Cluster(Kubelet(config), objects=[make_node("n1"), *objects])
    for name, fields in (pods if pods is not None else {"web-0": {"claims": ("data",)}}).items():
        cluster.create(pod_on("n1", name, **fields))
    cluster.run(MINUTE)
    return cluster


def write(cluster: Cluster, name: str = "file", value: str = "", size: int = 0, *, pod: str = "web-0",
          volume: str = "data") -> str:
    """What comes of it when a pod writes."""
    cluster.act("kubelet", WriteData(Key("Pod", "default", pod), volume, name, value, size))
    return str(cluster.notes("write")[-1]["outcome"])


def read(cluster: Cluster, name: str = "file", *, pod: str = "web-0", volume: str = "data") -> str | None:
    """What a pod reads."""
    cluster.act("kubelet", ReadData(Key("Pod", "default", pod), volume, name))
    value = cluster.notes("read")[-1]["value"]
    kubelet = cluster.world.runtimes["kubelet"]
    component: Any = kubelet.component
    assert component.read(Key("Pod", "default", pod), volume, name, kubelet.view) == value
    return value


def network(name: str = "pv-data", **fields: Any) -> PersistentVolume:
    return make_volume(name, **fields)


# --- where data live ------------------------------------------------------------------------------------------------


def test_what_a_pod_wrote_is_there_for_its_successor() -> None:
    cluster = cluster_with(*bound_pair("data", node="n1"))
    assert write(cluster, "answer", "42") == "ok"
    cluster.delete(WEB)
    cluster.run(MINUTE)
    cluster.create(pod_on("n1", claims=("data",)))
    cluster.run(MINUTE)
    assert read(cluster, "answer") == "42"


@pytest.mark.parametrize("target", ["data", "claim", "/var/data"])
def test_a_volume_is_named_as_the_pod_names_it_by_its_claim_or_by_its_mount_path(target: str) -> None:
    fields = {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}],
        "containers": [{"name": "main", "image": "i:1", "volumeMounts": [{"name": "data", "mountPath": "/var/data"}]}],
    }
    cluster = cluster_with(*bound_pair("claim", node="n1"))
    cluster.create(pod_on("n1", "web-1", **fields))
    cluster.run(MINUTE)
    assert write(cluster, "answer", "42", pod="web-1", volume=target) == "ok"
    assert read(cluster, "answer", pod="web-1", volume="data") == "42"


def test_a_network_volume_shows_the_same_data_on_every_node() -> None:
    cluster = cluster_with(*bound_pair("data", network()))
    cluster.put(make_node("n2"))
    write(cluster, "answer", "42")
    cluster.create(pod_on("n2", "web-1", claims=("data",)))
    cluster.run(MINUTE)
    assert read(cluster, "answer", pod="web-1") == "42"


def test_two_local_volumes_of_one_path_are_one_place() -> None:
    same = {"local": {"path": "/mnt/disk"}}
    cluster = cluster_with(
        *bound_pair("data", make_volume("a", node="n1", **same)),
        *bound_pair("other", make_volume("b", node="n1", **same)),
        pods={"web-0": {"claims": ("data",)}, "web-1": {"claims": ("other",)}},
    )
    write(cluster, "answer", "42")
    assert read(cluster, "answer", pod="web-1", volume="other") == "42"


def test_an_empty_dir_goes_with_its_pod() -> None:
    pod = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
    cluster = cluster_with(pods={"web-0": pod})
    assert write(cluster, "answer", "42", volume="scratch") == "ok"
    assert read(cluster, "answer", volume="scratch") == "42"
    cluster.delete(WEB)
    cluster.run(MINUTE)
    cluster.create(pod_on("n1", **pod))
    cluster.run(MINUTE)
    assert read(cluster, "answer", volume="scratch") is None


def test_a_hand_made_local_volume_keeps_its_data_when_its_object_is_deleted_and_made_again() -> None:
    cluster = cluster_with(*bound_pair("data", node="n1"))
    write(cluster, "answer", "42")
    volume, claim = bound_pair("data", node="n1")
    cluster.write(Delete(volume.key))
    cluster.put(with_meta(volume, name="pv-data"))
    cluster.put(claim)
    cluster.run(SECOND)
    assert read(cluster, "answer") == "42"
    cluster.act("kubelet", WipeData("pv-data"))
    assert read(cluster, "answer") is None


def test_the_data_of_a_provisioned_volume_go_with_it() -> None:
    volume, claim = bound_pair("data", network())
    made = with_annotations(volume, {"pv.kubernetes.io/provisioned-by": "csi.example.com"})
    cluster = cluster_with(made, claim)
    write(cluster, "answer", "42")
    cluster.write(Delete(made.key))
    cluster.run(SECOND)
    assert not cluster.world.runtimes["kubelet"].memory.disks
    cluster.put(made)
    cluster.run(SECOND)
    assert read(cluster, "answer") is None


def test_only_a_running_pod_can_write() -> None:
    cluster = cluster_with(pods={"web-0": {"claims": ("data",)}})
    assert write(cluster) == "the pod is not running"
    assert write(cluster, pod="other") == "there is no such pod"
    cluster = cluster_with(*bound_pair("data", node="n1"))
    assert write(cluster, volume="else") == 'the pod has no volume "else"'
    cluster.act("kubelet", StopNode("n1"))
    assert write(cluster, "answer", "42") == "the pod is not running"
    assert read(cluster, "answer") is None


# --- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-12")
def test_a_local_directory_takes_more_than_its_volume_says() -> None:
    cluster = cluster_with(*bound_pair("data", make_volume("pv", node="n1", capacity="10Gi")))
    assert write(cluster, size=50 * GIB) == "ok"


def test_a_network_volume_is_full_when_it_is_full_and_only_its_writer_suffers() -> None:
    cluster = cluster_with(*bound_pair("data", network(capacity="10Gi")))
    assert write(cluster, "a", size=6 * GIB) == "ok"
    assert write(cluster, "b", size=5 * GIB) == FULL
    assert write(cluster, "a", size=10 * GIB) == "ok", "what is overwritten makes room"
    cluster.run(10 * MINUTE)
    assert status_of(cluster.node("n1"), "DiskPressure") != "True"


@pytest.mark.rule("WL-162")
def test_a_local_volume_on_its_own_filesystem_is_as_large_as_that_and_never_troubles_its_node() -> None:
    config = KubeletConfig(own_filesystems={"/mnt/pv": 20 * GIB})
    cluster = cluster_with(*bound_pair("data", make_volume("pv", node="n1", capacity="10Gi")), config=config)
    assert write(cluster, size=21 * GIB) == FULL
    assert write(cluster, size=20 * GIB) == "ok"
    cluster.run(10 * MINUTE)
    assert status_of(cluster.node("n1"), "DiskPressure") != "True"


@pytest.mark.rule("WL-162")
def test_local_directories_of_one_node_share_its_free_space() -> None:
    cluster = cluster_with(
        *bound_pair("data", make_volume("a", node="n1")), *bound_pair("other", make_volume("b", node="n1")),
        config=stand_in(), pods={"web-0": {"claims": ("data",)}, "web-1": {"claims": ("other",)}},
    )
    assert write(cluster, size=80 * GIB) == "ok"
    assert write(cluster, size=30 * GIB, pod="web-1", volume="other") == FULL
    assert write(cluster, size=5 * GIB, pod="web-1", volume="other") == "ok"


# --- pressure -------------------------------------------------------------------------------------------------------

PLAIN: dict[str, Any] = {"web-0": {"claims": ("data",)}, "web-1": {}}


def pressed(config: KubeletConfig | None = None, pods: dict[str, Any] | None = None) -> Cluster:
    """A cluster whose node has just been filled to 95 % through the local volume of web-0."""
    pods = pods if pods is not None else PLAIN
    cluster = cluster_with(*bound_pair("data", node="n1"), config=config, pods=pods)
    assert write(cluster, size=95 * GIB) == "ok"
    return cluster


@pytest.mark.rule("WL-163")
def test_too_little_free_space_gives_disk_pressure_within_ten_seconds() -> None:
    cluster = pressed()
    took = cluster.run_until(lambda: status_of(cluster.node("n1"), "DiskPressure") == "True")
    assert took <= 10 * SECOND + SECOND // 10
    condition = cluster.node("n1").condition("DiskPressure")
    assert condition is not None
    assert (condition.reason, condition.message) == ("KubeletHasDiskPressure", "kubelet has disk pressure")
    cluster.run(SECOND)
    assert cluster.events("NodeHasDiskPressure") == [
        ("NodeHasDiskPressure", "Node n1 status is now: NodeHasDiskPressure")]
    assert cluster.events("EvictionThresholdMet") == [
        ("EvictionThresholdMet", "Attempting to reclaim ephemeral-storage")]


@pytest.mark.rule("WL-164")
def test_data_of_volumes_are_not_counted_so_every_pod_goes_and_nothing_is_won() -> None:
    cluster = pressed()
    cluster.run(10 * MINUTE)
    statuses = [pod.status for name in PLAIN if (pod := cluster.pod(name)) is not None]
    assert [(status.phase, status.reason) for status in statuses] == [("Failed", "Evicted")] * 2
    ended = [time for name in PLAIN for time, phase, _ in cluster.phases(name) if phase == "Failed"]
    assert abs(ended[0] - ended[1]) >= SECOND, "one at a time"
    assert status_of(cluster.node("n1"), "DiskPressure") == "True"


@pytest.mark.rule("WL-165")
def test_an_evicted_pod_says_why() -> None:
    cluster = pressed(pods={"web-0": {"claims": ("data",)}})
    cluster.run(MINUTE)
    pod = cluster.pod("web-0")
    assert pod is not None
    message = "The node was low on resource: ephemeral-storage. Threshold quantity: 10737418240, available: 5Gi. "
    assert (pod.status.reason, pod.status.message) == ("Evicted", message)
    target = pod.condition("DisruptionTarget")
    assert target is not None and (target.status, target.reason) == ("True", "TerminationByKubelet")
    assert cluster.events("Evicted") == [("Evicted", message)]


@pytest.mark.rule("WL-164")
def test_the_pod_that_uses_more_ephemeral_storage_than_it_asked_for_goes_first_then_the_less_important() -> None:
    modest = {"containers": [{"name": "main", "image": "i:1",
                              "resources": {"requests": {"ephemeral-storage": "50Gi"}}}]}
    pods: dict[str, Any] = {"modest": modest, "greedy": {}, "high": {"priority": 0}}
    cluster = cluster_with(pods=pods, config=KubeletConfig())
    assert write(cluster, size=40 * GIB, pod="modest", volume="") == "ok"
    assert write(cluster, size=52 * GIB, pod="greedy", volume="") == "ok"
    cluster.run(30 * MINUTE)
    evicted = [name for name in pods if (pod := cluster.pod(name)) is not None and pod.status.reason == "Evicted"]
    assert evicted == ["greedy"], "its own space is free once it is gone, and that is enough"
    pod = cluster.pod("greedy")
    assert pod is not None and pod.status.message.endswith(
        "Container main was using 52Gi, request is 0, has larger consumption of ephemeral-storage. ")


@pytest.mark.rule("WL-166")
def test_pressure_outlives_its_cause_by_five_minutes() -> None:
    cluster = pressed(pods={"web-0": {"claims": ("data",)}})
    cluster.run(MINUTE)
    wiped = cluster.now
    cluster.act("kubelet", WipeData("pv-data"))
    cluster.run_until(lambda: status_of(cluster.node("n1"), "DiskPressure") == "False")
    assert 5 * MINUTE <= cluster.now - wiped <= 5 * MINUTE + 11 * SECOND
    cluster.run(SECOND)
    assert cluster.events("NodeHasNoDiskPressure")


@pytest.mark.rule("WL-166")
def test_a_pod_that_comes_under_pressure_is_refused() -> None:
    cluster = pressed()
    cluster.run(MINUTE)
    cluster.create(pod_on("n1", "late"))
    cluster.run(MINUTE)
    pod = cluster.pod("late")
    assert pod is not None
    assert (pod.status.phase, pod.status.reason) == ("Failed", "Evicted")
    assert pod.status.message == "Pod was rejected: The node had condition: [DiskPressure]. "


@pytest.mark.rule("WL-163")
def test_unused_images_go_before_pods_do() -> None:
    config = KubeletConfig(nodefs_used=20 * GIB, reclaimable=20 * GIB)
    cluster = cluster_with(*bound_pair("data", node="n1"), config=config)
    assert write(cluster, size=75 * GIB) == "ok"
    cluster.run(10 * MINUTE)
    assert status_of(cluster.node("n1"), "DiskPressure") == "False"
    pod = cluster.pod("web-0")
    assert pod is not None and pod.is_ready


@pytest.mark.rule("WL-167")
def test_an_empty_dir_over_its_limit_costs_the_pod_its_life() -> None:
    pod = {"volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}]}
    cluster = cluster_with(pods={"web-0": pod})
    assert write(cluster, "a", size=GIB, volume="scratch") == "ok"
    cluster.run(MINUTE)
    assert cluster.phases("web-0")[-1][1] == "Running"
    write(cluster, "b", size=1, volume="scratch")
    cluster.run(MINUTE)
    found = cluster.pod("web-0")
    assert found is not None
    assert found.status.message == 'Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". '


def test_pressure_without_victims_is_at_rest() -> None:
    cluster = pressed()
    cluster.run(10 * MINUTE)
    entries = len(cluster.world.log.entries)
    cluster.run(60 * MINUTE)
    assert len(cluster.world.log.entries) == entries
