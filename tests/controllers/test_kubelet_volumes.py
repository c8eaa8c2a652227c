from __future__ import annotations

import pytest
from cluster_bench import Cluster, bound_pair, pod_on

from simulator.api.core import PersistentVolumeClaim
from simulator.api.meta import Key, evolve, with_meta
from simulator.controllers.kubelet import Behave, Behaviour, Kubelet, KubeletConfig, stand_in
from simulator.testing.builders import make_claim, make_node, make_volume
from simulator.units import MILLISECOND, MINUTE, SECOND

NOT_USABLE = ("Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process "
              "volumes=[data]: error processing PVC default/data: ")
WEB = Key("Pod", "default", "web-0")


def waiting(*objects: object, config: KubeletConfig | None = None, node: str = "n1") -> Cluster:
    """A cluster where a pod that uses claim data has been on its node for a minute."""
    cluster = Cluster(Kubelet(config), objects=[make_node("n1"), make_node("n2"), *objects])  # type: ignore[list-item]
    cluster.create(pod_on(node, claims=("data",)))
    cluster.run(MINUTE)
    return cluster


def is_ready(cluster: Cluster, name: str = "web-0") -> bool:
    pod = cluster.pod(name)
    return pod is not None and pod.is_ready


@pytest.mark.rule("VB-183")
def test_an_absent_claim_is_named_and_the_pod_waits() -> None:
    cluster = waiting()
    text = 'failed to fetch PVC from API server: persistentvolumeclaims "data" not found'
    assert cluster.events("FailedMount") == [("FailedMount", NOT_USABLE + text)]
    pod = cluster.pod("web-0")
    assert pod is not None and pod.status.phase == "Pending"
    state = pod.status.container_statuses[0].state
    assert state is not None and state.waiting is not None and state.waiting.reason == "ContainerCreating"


@pytest.mark.rule("VB-182")
def test_an_unbound_claim_is_waited_for() -> None:
    claim = make_claim("data", uid="uid-data")
    cluster = waiting(evolve(claim, status=evolve(claim.status, phase="Pending")))
    assert cluster.events("FailedMount") == [("FailedMount", NOT_USABLE + "PVC is not bound")]
    for obj in bound_pair("data", node="n1"):
        cluster.put(obj)
    cluster.run(MINUTE)
    assert is_ready(cluster)


@pytest.mark.rule("WL-148")
def test_the_kubelet_tries_again_every_ten_seconds_and_no_sooner() -> None:
    claim = make_claim("data", uid="uid-data")
    cluster = waiting(evolve(claim, status=evolve(claim.status, phase="Pending")))
    failed = next(entry.time for entry in cluster.world.log.entries if entry.detail and entry.verb == "event")
    cluster.run(3 * SECOND)
    for obj in bound_pair("data", node="n1"):
        cluster.put(obj)
    cluster.run(MINUTE)
    started = next(time for time, phase, _ in cluster.phases("web-0") if phase == "Running") - 1102 * MILLISECOND
    assert (started - failed) % (10 * SECOND) < 30 * MILLISECOND


def test_the_stand_in_starts_a_pod_as_soon_as_its_claim_is_bound() -> None:
    claim = make_claim("data", uid="uid-data")
    cluster = waiting(evolve(claim, status=evolve(claim.status, phase="Pending")), config=stand_in())
    bound = cluster.now
    for obj in bound_pair("data", node="n1"):
        cluster.put(obj)
    cluster.run(MINUTE)
    assert cluster.phases("web-0")[-1][0] - bound < 110 * MILLISECOND


@pytest.mark.rule("WL-104")
def test_a_claim_that_is_going_without_protection_is_refused_but_a_protected_one_is_not() -> None:
    volume, claim = bound_pair("data", node="n1")
    going = with_meta(claim, deletion_timestamp=0)
    assert is_ready(waiting(volume, going))
    cluster = waiting(volume, with_meta(going, finalizers=()))
    assert cluster.events("FailedMount") == [("FailedMount", NOT_USABLE + "PVC is being deleted")]


@pytest.mark.rule("VB-182")
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"claim_ref": None}, "found PV object pv-data but it has a nil pv.Spec.ClaimRef indicating it is not yet "
                              "bound to the claim"),
        ({"uid": "other"}, "found PV object pv-data but its pv.Spec.ClaimRef.UID other does not point to claim.UID "
                           "uid-data"),
    ],
)
def test_a_volume_must_point_back_to_its_claim(change: dict[str, object], text: str) -> None:
    volume, claim = bound_pair("data", node="n1")
    reference = volume.spec.claim_ref  # type: ignore[attr-defined]
    reference = None if "claim_ref" in change else evolve(reference, **change)
    cluster = waiting(evolve(volume, spec=evolve(volume.spec, claim_ref=reference)), claim)  # type: ignore[attr-defined]
    assert cluster.events("FailedMount") == [("FailedMount", NOT_USABLE + text)]


@pytest.mark.rule("WL-149")
def test_a_volume_of_another_node_cannot_be_mounted() -> None:
    cluster = waiting(*bound_pair("data", node="n2"))
    text = 'MountVolume.NodeAffinity check failed for volume "pv-data" : no matching NodeSelectorTerms'
    assert cluster.events("FailedMount") == [("FailedMount", text)]
    assert not is_ready(cluster)


@pytest.mark.rule("WL-149")
def test_the_pod_goes_on_when_the_node_gets_the_label_that_the_volume_asks_for() -> None:
    cluster = waiting(*bound_pair("data", node="other"))
    node = cluster.node("n1")
    cluster.put(with_meta(node, labels={"kubernetes.io/hostname": "other"}))
    cluster.run(3 * MINUTE)
    assert is_ready(cluster)


@pytest.mark.rule("WL-148")
def test_a_mount_that_fails_is_tried_again_after_doubling_waits() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1"), *bound_pair("data", node="n1")])
    cluster.act("kubelet", Behave((WEB,), Behaviour(mount_error='path "/mnt/x" does not exist')))
    cluster.create(pod_on("n1", claims=("data",)))
    cluster.run(2 * SECOND)
    failed = cluster.world.runtimes["kubelet"].memory.pods[WEB].since
    text = 'MountVolume.NewMounter initialization failed for volume "pv-data" : path "/mnt/x" does not exist'
    assert cluster.events("FailedMount") == [("FailedMount", text)]
    cluster.act("kubelet", Behave((WEB,), Behaviour()))
    cluster.run(MINUTE)
    started = cluster.phases("web-0")[-1][0] - 1102 * MILLISECOND  # its attempts come 0.5, 1.5, 3.5 s after the first
    assert abs(started - failed - 3500 * MILLISECOND) < 10 * MILLISECOND


@pytest.mark.rule("WL-147")
def test_two_pods_of_one_node_share_a_read_write_once_volume() -> None:
    cluster = waiting(*bound_pair("data", node="n1"))
    cluster.create(pod_on("n1", "web-1", claims=("data",)))
    cluster.run(MINUTE)
    assert is_ready(cluster, "web-0") and is_ready(cluster, "web-1")


@pytest.mark.rule("WL-147")
def test_a_read_write_once_pod_volume_is_mounted_by_one_pod_and_then_by_the_next() -> None:
    volume = make_volume("pv", node="n1", modes=("ReadWriteOncePod",))
    cluster = waiting(*bound_pair("data", volume))
    cluster.create(pod_on("n1", "web-1", claims=("data",)))
    cluster.run(MINUTE)
    assert is_ready(cluster, "web-0") and not is_ready(cluster, "web-1")
    text = ('MountVolume.SetUp failed for volume "pv" : volume uses the ReadWriteOncePod access mode and is already in '
            "use by another pod")
    assert cluster.events("FailedMount", "web-1") == [("FailedMount", text)]
    cluster.delete(WEB)
    cluster.run(3 * MINUTE)
    assert is_ready(cluster, "web-1")


@pytest.mark.rule("WL-100")
def test_what_is_left_of_a_force_deleted_pod_still_holds_a_read_write_once_pod_volume() -> None:
    volume = make_volume("pv", node="n1", modes=("ReadWriteOncePod",))
    cluster = waiting(*bound_pair("data", volume), config=stand_in())
    cluster.delete(WEB, grace=0)
    forced = cluster.now
    cluster.create(pod_on("n1", "web-1", claims=("data",)))
    cluster.run(MINUTE)
    assert 30 * SECOND <= cluster.phases("web-1")[-1][0] - forced <= 31 * SECOND


def test_a_waiting_pod_costs_nothing_while_nothing_changes() -> None:
    cluster = waiting()
    entries = len(cluster.world.log.entries)
    cluster.run(60 * MINUTE)
    assert len(cluster.world.log.entries) == entries
    assert not cluster.world.runtimes["kubelet"].queues["pods"].waiting


def test_a_claim_bound_while_the_pod_is_being_admitted_is_not_missed() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.create(pod_on("n1", claims=("data",)))
    cluster.run(5 * MILLISECOND)
    for obj in bound_pair("data", node="n1"):
        cluster.put(obj)
    cluster.run(MINUTE)
    assert is_ready(cluster)
    assert cluster.get(PersistentVolumeClaim, "data").status.phase == "Bound"
