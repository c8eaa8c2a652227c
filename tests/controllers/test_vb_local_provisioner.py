"""The local static provisioner: what it finds, cleans, and finds again (section 8.3)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import PersistentVolume
from simulator.api.meta import Object
from simulator.assembly import LATENCIES
from simulator.binding.names import PROVISIONED_BY
from simulator.choices import Seeded
from simulator.controllers.local_provisioner import LocalProvisioner
from simulator.controllers.local_volumes import Directory, Settings, rounded, volume_name
from simulator.drivers.timed import Timed
from simulator.errors import ManifestError
from simulator.eventlog import Log
from simulator.simulation import Cluster
from simulator.testing.builders import HOSTNAME, make_claim, make_class, make_node, make_pod, make_set
from simulator.units import SECOND, quantity
from tests.whole.small_worlds import Played, apply, nodes, play, small_scenario

DISKS = make_class("disks", mode="WaitForFirstConsumer", reclaimPolicy="Delete", mountOptions=["noatime"])
NB = "node(s) didn't find available persistent volumes to bind"
NA = "node(s) didn't match PersistentVolume's node affinity"
WIPE = {"wipe": "2s"}


def found(*on: str, size: str = "20Gi", storage_class: str = "disks") -> Directory:
    """A directory with one file on each of some nodes."""
    return Directory(storage_class, {node: {"d1": quantity(size)} for node in on})


def name_on(node: str) -> str:
    return volume_name("d1", node, "disks")


def with_disks(objects: list[Object], timeline: list[dict[str, Any]], *, until: str | None = None,
               **settings: Any) -> Played:
    settings.setdefault("directories", (found("n1"),))
    provisioner = LocalProvisioner(Settings(**settings))
    return play([DISKS, *objects], timeline, components=[provisioner], latency=WIPE, until=until)


def changes(played: Played, name: str, verb: str) -> list[float]:
    """When an object was created, removed, …, in seconds."""
    return [entry.time / SECOND for entry in played.entries if entry.key.name == name and entry.verb == verb]


@pytest.mark.rule("VB-112")
def test_names_are_hashes_of_file_node_and_class() -> None:
    """The sums are those of FNV-1a with 32 bits, without leading zeros."""
    assert volume_name("a", "", "") == "local-pv-e40c292c"
    assert volume_name("foo", "b", "ar") == "local-pv-bf9cf968"
    assert volume_name("foobar", "", "") == volume_name("", "foo", "bar")


@pytest.mark.rule("VB-113")
@pytest.mark.parametrize(("size", "offered"), [
    ("10Gi", "10Gi"), ("20G", "18Gi"), ("9.9Gi", "10137Mi"), ("10Mi", "10Mi"), ("9Mi", "9Mi"),
])
def test_sizes_are_rounded_down(size: str, offered: str) -> None:
    assert rounded(quantity(size)) == quantity(offered)


@pytest.mark.rule("VB-113", "VB-111")
def test_a_volume_says_where_it_is_whose_it_is_and_what_its_class_says() -> None:
    node = make_node("n1", labels={HOSTNAME: "host-1", "rack": "r1"})
    played = with_disks([node], [{"at": "1s", "sleep": "1s"}], labels=("rack", "none"), owned=True)
    volume = played.volume(name_on("n1"))
    spec, meta = volume.spec, volume.metadata
    stored = played.object("Node", "n1")
    assert spec.local is not None and spec.local.path == "/mnt/disks/d1"
    assert spec.access_modes == ("ReadWriteOnce",) and spec.capacity == {"storage": quantity("20Gi")}
    assert (spec.storage_class_name, spec.persistent_volume_reclaim_policy) == ("disks", "Delete")
    assert tuple(spec.mount_options or ()) == ("noatime",)
    assert spec.node_affinity is not None and spec.node_affinity.required is not None
    term, = spec.node_affinity.required.node_selector_terms
    assert [(e.key, e.operator, e.values) for e in term.match_expressions] == [(HOSTNAME, "In", ("host-1",))]
    assert meta.annotations[PROVISIONED_BY] == f"local-volume-provisioner-n1-{stored.metadata.uid}"
    assert meta.labels == {"rack": "r1"} and [owner.name for owner in meta.owner_references] == ["n1"]
    assert volume.status.phase == "Available"


@pytest.mark.rule("VB-113")
def test_nothing_is_made_before_there_is_a_class_and_none_may_recycle() -> None:
    disks = [LocalProvisioner(Settings(directories=(found("n1"),)))]
    played = play(nodes(1), [apply(DISKS, at="25s"), {"at": "60s", "sleep": "1s"}], components=disks, latency=WIPE)
    made, = changes(played, name_on("n1"), "create")
    assert made == pytest.approx(30, abs=0.1)
    with pytest.raises(ManifestError, match='Unsupported value: "Recycle"'):
        play([make_class("disks", reclaimPolicy="Recycle")], [], components=disks)


@pytest.mark.rule("VB-111", "VB-114", "VB-80", "VB/ND-30", "VB/ND-33")
def test_a_released_volume_is_wiped_deleted_and_found_again_after_two_or_three_rounds() -> None:
    claim, pod = make_claim("c", storage_class="disks"), make_pod("p", claims=("c",))
    played = with_disks(nodes(1), [
        apply(claim, pod, at="1s"), {"at": "15s", "delete": "Pod/p"},
        {"when": "Pod/p is gone", "delete": "PersistentVolumeClaim/c"},
        apply(claim, pod, when="PersistentVolumeClaim/c is gone"),
    ])
    name = name_on("n1")
    first, again = changes(played, name, "create")
    released = next(entry.time / SECOND for entry in played.entries if entry.rule == "VB-76")
    removed, = changes(played, name, "remove")
    assert first < 1 and 10 < removed - released < 20 and again - removed == pytest.approx(10, abs=0.1)
    assert played.run.verdict == "converged" and played.volume_of("c") == name
    assert played.before(4).phase("PersistentVolume", name) in ("Bound", "Released")
    assert played.events("p", "FailedScheduling")[-1].startswith(f"0/1 nodes are available: 1 {NB}.")


@pytest.mark.rule("VB-114", "S-8")
def test_a_directory_that_cannot_be_cleaned_stays_a_released_volume_and_is_said_in_each_second_round() -> None:
    claim = make_claim("c", storage_class="disks")
    played = with_disks(nodes(1), [
        apply(claim, make_pod("p", claims=("c",)), at="1s"), {"at": "15s", "delete": "Pod/p"},
        {"when": "Pod/p is gone", "delete": "PersistentVolumeClaim/c"},
    ], wipe_error="exit status 1", until="100s")
    told = played.events(name_on("n1"), "VolumeFailedDelete")
    assert set(told) == {f'Error cleaning PV "{name_on("n1")}": exit status 1'} and 3 <= len(told) <= 5
    assert played.phase("PersistentVolume", name_on("n1")) == "Released"


@pytest.mark.rule("VB-114")
@pytest.mark.parametrize(("wipe", "rounds"), [("2s", 1), ("25s", 3)])
def test_a_volume_is_deleted_in_the_round_after_its_cleaning_however_long_that_takes(wipe: str, rounds: int) -> None:
    played = play([DISKS, *nodes(1)], [
        apply(make_claim("c", storage_class="disks"), make_pod("p", claims=("c",)), at="1s"),
        {"at": "15s", "delete": "Pod/p"}, {"when": "Pod/p is gone", "delete": "PersistentVolumeClaim/c"},
    ], components=[LocalProvisioner(Settings(directories=(found("n1"),)))], latency={"wipe": wipe}, until="100s")
    removed, = changes(played, name_on("n1"), "remove")
    assert removed == pytest.approx(20 + 10 * rounds, abs=0.1)


@pytest.mark.rule("VB-114")
def test_retain_is_left_alone() -> None:
    keeps = make_class("disks", mode="WaitForFirstConsumer", reclaimPolicy="Retain")
    played = play([keeps, *nodes(1)], [
        apply(make_claim("c", storage_class="disks"), make_pod("p", claims=("c",)), at="1s"),
        {"at": "15s", "delete": "Pod/p"}, {"when": "Pod/p is gone", "delete": "PersistentVolumeClaim/c"},
    ], components=[LocalProvisioner(Settings(directories=(found("n1"),)))], latency=WIPE, until="200s")
    assert played.phase("PersistentVolume", name_on("n1")) == "Released"


class Stage:
    """A cluster with the provisioner, in which something changes on the way."""

    def __init__(self, *objects: Object, timeline: list[dict[str, Any]], **settings: Any) -> None:
        self.component = LocalProvisioner(Settings(**settings))
        scenario = small_scenario([DISKS, *objects], timeline)
        self.cluster = Cluster(scenario, Seeded(1), lambda world: Timed(world, LATENCIES), Log(), [self.component])

    def until(self, seconds: int) -> None:
        self.cluster.driver.wake(seconds * SECOND)
        self.cluster.run(seconds * SECOND, goes_on=True)

    def set(self, **settings: Any) -> None:
        for told in self.component.configure(Settings(**settings)):
            self.cluster.world.tell(self.component.name, told)

    def volumes(self) -> dict[str, str]:
        return {volume.name: volume.status.phase for volume in self.cluster.store.list(PersistentVolume)}


@pytest.mark.rule("VB-114")
def test_an_available_volume_whose_directory_vanishes_goes_and_comes_back_with_it() -> None:
    at = Stage(*nodes(1), timeline=[], directories=(found("n1"),))
    at.until(5)
    assert at.volumes() == {name_on("n1"): "Available"}
    at.set()
    at.until(25)
    assert at.volumes() == {}
    at.set(directories=(found("n1"),))
    at.until(45)
    assert at.volumes() == {name_on("n1"): "Available"}


@pytest.mark.rule("VB-111", "S-8")
def test_the_volume_of_an_absent_instance_stays_released_until_it_is_back() -> None:
    at = Stage(*nodes(2), directories=(found("n1"),), timeline=[
        apply(make_claim("c", storage_class="disks"), make_pod("p", claims=("c",)), at="1s"),
        {"at": "15s", "delete": "Pod/p"}, {"when": "Pod/p is gone", "delete": "PersistentVolumeClaim/c"},
        apply(make_claim("c", storage_class="disks"), make_pod("p", claims=("c",)), at="30s"),
    ])
    at.until(10)
    at.set(directories=(found("n1"),), absent=frozenset({"n1"}))
    at.until(500)
    assert at.volumes() == {name_on("n1"): "Released"} and at.cluster.is_stuck()
    assert Played(as_run(at)).refusal("p") == f"2 {NB}"
    at.set(directories=(found("n1"),))
    at.until(607)
    assert at.volumes() == {name_on("n1"): "Bound"} and at.cluster.is_ready()


def as_run(at: Stage) -> Any:
    """What `Played` asks of a run."""
    return type("Run", (), {"log": at.cluster.world.log, "world": at.cluster.world})()


@pytest.mark.rule("VB-115", "S-8")
@pytest.mark.parametrize(("uid_in_name", "phase"), [(True, "Released"), (False, "Available")])
def test_a_node_object_of_a_new_uid_orphans_its_volumes(uid_in_name: bool, phase: str) -> None:
    node = make_node("n1")
    played = with_disks([node], [
        apply(make_claim("c", storage_class="disks"), make_pod("p", claims=("c",)), at="1s"),
        {"when": "Pod/p is ready", "delete": "Pod/p"}, {"when": "Pod/p is gone", "fail": "Node/n1"},
        {"delete": "Node/n1"}, apply(node, at="30s"), {"recover": "Node/n1"},
        {"at": "40s", "delete": "PersistentVolumeClaim/c"},
    ], uid_in_name=uid_in_name, until="200s")
    assert played.phase("PersistentVolume", name_on("n1")) == phase


LOST = [apply(make_set("web", replicas=1, storage_class="disks"), at="1s"),
        {"when": "StatefulSet/web is ready", "fail": "Node/n1"}, {"delete": "Node/n1"}, apply(make_node("n2"))]


@pytest.mark.rule("VB-116", "S-18")
def test_without_the_node_cleanup_controller_a_claim_waits_for_its_node_for_ever() -> None:
    played = with_disks(nodes(1), [*LOST, {"sleep": "5m"}], directories=(found("n1", "n2"),))
    assert played.run.verdict == "stuck" and played.refusal("web-0") == f"1 {NA}"


@pytest.mark.rule("VB-116", "S-18")
def test_claims_of_a_node_that_is_gone_are_deleted_after_a_while_and_its_volumes_too() -> None:
    played = with_disks(nodes(1), [*LOST, {"sleep": "5m"}], directories=(found("n1", "n2"),), cleanup_after=60 * SECOND)
    told, = (entry for entry in played.entries if (entry.detail or {}).get("reason") == "ReferencedNodeDeleted")
    assert told.key.name == "data-web-0" and told.detail is not None
    assert told.detail["message"] == (
        "PVC is tied to a deleted Node. PVC will be cleaned up in 1m0s if the Node doesn't come back")
    deleted = next(entry.time for entry in played.entries if entry.rule == "VB-116")
    assert deleted - told.time == pytest.approx(60 * SECOND, abs=10 * SECOND)
    assert played.run.verdict == "converged" and played.node_of("web-0") == "n2"
    assert [volume.name for volume in played.run.world.store.list(PersistentVolume)] == [name_on("n2")]


@pytest.mark.rule("VB-116")
def test_a_node_that_comes_back_in_time_keeps_its_claims() -> None:
    back = [{"sleep": "30s"}, apply(make_node("n1")), {"recover": "Node/n1"}, {"sleep": "5m"}]
    played = with_disks(nodes(1), [*LOST, *back], directories=(found("n1"),), cleanup_after=60 * SECOND)
    assert played.events("data-web-0", "ReferencedNodeDeleted") and played.volume_of("data-web-0") == name_on("n1")
    assert played.run.verdict == "converged" and played.node_of("web-0") == "n1"
